"""Prints the megabytes that one fit adds at its peak; run by `fresh` in a new process (Linux)."""

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path

from benchmarks.data import overlapping

STATUS = Path("/proc/self/status")
N_ITER = 3


def resident(field):
    """VmRSS (now) or VmHWM (peak) of this process in megabytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def main(package, module, family, n_features, k, dtype, n_rows):
    warnings.simplefilter("ignore")
    estimator = getattr(import_module(f"{package}.{module}"), family)
    X = overlapping(n_rows, n_features, k, dtype)
    if family == "KMeans":
        options = {"init": X[:k], "n_init": 1}
    else:
        options = {"init_params": "random_from_data", "random_state": 0}
    # Code, thread pools and small buffers are not what the size of the data costs.
    estimator(k, max_iter=1, **options).fit(X[: 20 * k])
    # Writing 5 resets the peak to the present size.
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    estimator(k, max_iter=N_ITER, tol=0.0, **options).fit(X)
    print(json.dumps([X.nbytes / 2**20, resident("VmHWM") - before]))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))

"""Peak memory of training a network, by width and batch, each in a new process (Linux).

One hidden layer on few columns: what grows is the batch's outputs, batch x width cells, not the
weights.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

N_ROWS, N_FEATURES = 32_768, 32
WIDTHS, BATCH_SIZES = (512, 1024, 2048), (1024, 2048, 4096)
NAMES = ("skgen", "scikit-learn", "torch eager, 2 threads")
COLUMNS = ("contender", "width", "batch", "MB", "bytes per cell of batch x width")


def measure_memory(rounds, small):
    """Megabytes that three epochs add at their peak to data, code and weights."""
    from benchmarks.fresh import RETURN_MEMORY

    rows = []
    for name in NAMES:
        for width in WIDTHS:
            for batch_size in BATCH_SIZES:
                arguments = json.dumps([name, width, batch_size, N_ROWS // (4 if small else 1)])
                command = [sys.executable, "-m", "benchmarks.network_memory", arguments]
                done = subprocess.run(
                    command,
                    env=os.environ | RETURN_MEMORY,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                size = [name, str(width), str(batch_size)]
                if done.returncode:
                    rows.append([*size, done.stderr.strip().splitlines()[-1], ""])
                    continue
                extra = float(done.stdout)
                cells = f"{extra * 2**20 / (width * batch_size):.1f}"
                rows.append([*size, f"{extra:.1f}", cells])
    return rows


def main(name, width, batch_size, n_rows):
    import numpy as np

    from benchmarks.data import gaussian_classes
    from benchmarks.fit_memory import resident
    from benchmarks.network_contenders import NETWORKS
    from benchmarks.network_problems import NetworkProblem

    contender = next(contender for contender in NETWORKS if contender.name == name)
    X, y = gaussian_classes(n_rows, N_FEATURES, 10, np.float32)
    # Code, thread pools and small buffers are not what width and batch cost.
    contender.fit(NetworkProblem.from_rows(X[:2000], y[:2000], (32,), 100, 1), 1, 0)
    problem = NetworkProblem.from_rows(X, y, (width,), batch_size, 3)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    contender.fit(problem, 3, 0)
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))

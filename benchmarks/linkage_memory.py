"""Peak memory of trees of 20000 rows, each in a new process (Linux)."""

import json
import subprocess
import sys
from pathlib import Path

RULES = ("ward", "average", "complete", "single")


def measure(rounds, small):
    """Megabytes that building a tree adds at its peak."""
    rows = []
    for rule in RULES:
        for name in ("skgen", "scipy", "fastcluster", "scikit-learn"):
            arguments = json.dumps([name, rule, 2000 if small else 20_000])
            command = [sys.executable, "-m", "benchmarks.linkage_memory", arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                rows.append([name, rule, done.stderr.strip().splitlines()[-1]])
            else:
                rows.append([name, rule, f"{float(done.stdout):.0f}"])
    return rows


def main(name, rule, n_rows):
    from benchmarks.data import overlapping
    from benchmarks.decomposition_contenders import LINKAGE
    from benchmarks.fit_memory import resident
    from benchmarks.problems import LinkageProblem

    contender = next(contender for contender in LINKAGE if contender.name == name)
    X = overlapping(n_rows, 10, 20, "float64")
    # Code and small buffers are not what the size of the data costs.
    contender.fit(LinkageProblem(X[:200], rule), 1, 0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    contender.fit(LinkageProblem(X, rule), 1, 0)
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))

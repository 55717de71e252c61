"""Measurements that need a new process each: import time and peak memory of a fit."""

import json
import os
import subprocess
import sys
import time
from statistics import median

IMPORTS = ("", "numpy", "sklearn.mixture", "skgen.mixture", "sklearn.cluster", "skgen.cluster")
# getrusage would count what the parent had resident when it forked.
PEAK_OF_IMPORT = """
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        print(int(line.split()[1]) / 1024)
"""
# Freed arrays go back to the system at once; kept by malloc, those of the data's making would
# hide what a fit needs.
RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
ESTIMATORS = {
    "GaussianMixture, 1e6x8, k=16": ("mixture", "GaussianMixture", 8, 16),
    "KMeans, 1e6x16, k=64": ("cluster", "KMeans", 16, 64),
}


def measure_imports(rounds, small):
    """Median wall milliseconds and peak resident megabytes, the modules taking turns."""
    seconds = {module: [] for module in IMPORTS}
    peaks, failed = {}, set()
    for number in range(rounds + 1):
        for module in IMPORTS:
            program = (f"import {module}\n" if module else "") + PEAK_OF_IMPORT
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=False
            )
            if done.returncode:
                failed.add(module)
                continue
            # The first round reads files from disk that later ones find in memory.
            if number:
                seconds[module].append(time.perf_counter() - start)
            peaks[module] = float(done.stdout)
    return [
        [module or "(nothing)", "not importable", ""]
        if module in failed
        else [
            module or "(nothing)",
            f"{1e3 * median(seconds[module]):.0f}",
            f"{peaks[module]:.0f}",
        ]
        for module in IMPORTS
    ]


def measure_memory(rounds, small):
    """Megabytes that a fit adds at its peak, for scikit-learn and skgen, in both dtypes."""
    rows = []
    for title, task in ESTIMATORS.items():
        for dtype in ("float64", "float32"):
            baseline = None
            for package in ("sklearn", "skgen"):
                command = [sys.executable, "-m", "benchmarks.fit_memory"]
                arguments = json.dumps([package, *task, dtype, 1_000_000 // (50 if small else 1)])
                done = subprocess.run(
                    [*command, arguments],
                    env=os.environ | RETURN_MEMORY,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                label = f"{package} {title}, {dtype}"
                if done.returncode:
                    rows.append([label, "", done.stderr.strip().splitlines()[-1], ""])
                    continue
                data, extra = json.loads(done.stdout)
                baseline = baseline or extra
                rows.append([label, f"{data:.0f}", f"{extra:.1f}", f"{extra / baseline:.3f}"])
    return rows

"""What a core kept busy by a foreign process costs who trains a network.

Threads that wait for one another in a spin lose a time slice at every wait for one that has no
core.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from statistics import median

from benchmarks.network_contenders import NETWORKS
from benchmarks.network_problems import digits, table
from benchmarks.report import number_text
from benchmarks.timing import LoadClock, timed

PROBLEMS = {
    "784-128-10, 60000 rows, batch 32": digits((128,), 32),
    "784-128-10, 60000 rows, batch 128": digits((128,), 128),
    "20-64-64-1, 10000 rows, batch 32": table(),
}
COLUMNS = (
    "contender",
    "network",
    "seconds per epoch, quiet",
    "one core busy",
    "ratio",
    "worst round",
    "others' load while quiet",
)


@contextmanager
def one_busy_core():
    """A process that keeps the first core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        time.sleep(0.3)
        yield
    finally:
        process.kill()
        process.wait()


def measure_load(rounds, small):
    """Epochs with and without a foreign process, in turns."""
    rows = []
    present = [contender for contender in NETWORKS if not contender.missing()]
    for title, make in PROBLEMS.items():
        problem = make("float32", 10 if small else 1)
        quiet = {contender.name: [] for contender in present}
        busy = {contender.name: [] for contender in present}
        loads = {contender.name: [] for contender in present}
        for contender in present:
            timed(problem, contender, 1, 0)
        for number in range(rounds):
            for contender in present:
                clock = LoadClock()
                quiet[contender.name].append(timed(problem, contender, 1, number)[0])
                loads[contender.name].append(clock.foreign_load())
            with one_busy_core():
                for contender in present:
                    busy[contender.name].append(timed(problem, contender, 1, number)[0])
        rows += [
            [
                name,
                title,
                number_text(median(quiet[name])),
                number_text(median(busy[name])),
                f"{median(busy[name]) / median(quiet[name]):.2f}",
                f"{max(busy[name]) / median(quiet[name]):.2f}",
                f"{max(loads[name]):.2f}",
            ]
            for name in quiet
        ]
    return rows

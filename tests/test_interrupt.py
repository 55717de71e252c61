"""Ctrl-C ends any fit within half a second and leaves the estimator unfitted but usable."""

import signal
import subprocess
import sys
import time

import pytest

from tests import children
from tests.catalogue import entries

SCRIPT = """
import os, sys, time, traceback, warnings
warnings.simplefilter("ignore")
import numpy as np
import skgen
from tests.catalogue import CATALOGUE
from tests.problems import answers, fitted_state

entry = next(entry for entry in CATALOGUE if entry.name == sys.argv[1])
n_jobs = int(sys.argv[2])
rng = np.random.default_rng(0)
X = rng.normal(size=(300_000, 20)).astype(sys.argv[3])
data = entry.data(X)
arguments = entry.accepts(max_iter=10**6, tol=0.0, n_init=200, n_jobs=n_jobs)
for group in ("n_clusters", "n_components"):
    if isinstance(entry.prototype.get_params().get(group), int):
        arguments[group] = 20 if entry.groups else 3
if "max_no_improvement" in entry.prototype.get_params():
    arguments["max_no_improvement"] = None
estimator = entry.build(**arguments)
print("ready", flush=True)
try:
    estimator.fit(**data)
    while entry.supervised or not entry.groups:  # such fits may be short
        estimator = entry.build(**arguments)
        estimator.fit(**data)
    print("finished", flush=True)
except KeyboardInterrupt as interruption:
    raised = time.time()
    # A signal between the end of one fit and the start of the next strikes no fit.
    frames = traceback.extract_tb(interruption.__traceback__)
    package = os.path.join(skgen.__path__[0], "")
    if any(frame.filename.startswith(package) for frame in frames):
        known = set(fitted_state(estimator))
        assert known <= {"n_features_in_", "feature_names_in_"}, sorted(known)
    estimator.set_params(**entry.accepts(max_iter=2, n_init=1)).fit(**entry.data(X[:500]))
    answers(estimator, X[:5])
    print("interrupted", raised, flush=True)
"""


def interrupt(name, delay, n_jobs, dtype):
    """Seconds from the signal to the KeyboardInterrupt."""
    child = subprocess.Popen(
        children.command(SCRIPT, name, n_jobs, dtype),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay)
        sent = time.time()
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=20)[0].split()
    finally:
        child.kill()
        child.wait()
    assert said[:1] == ["interrupted"], said
    assert child.returncode == 0
    return float(said[1]) - sent


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
@pytest.mark.parametrize(
    **entries(lambda entry: entry.processes and not entry.name.endswith("one-cluster"))
)
def test_interrupt_is_heard_within_half_a_second(entry):
    """The best of two trials: a busy machine may delay a process, a deaf fit always does."""
    odd = len(entry.name) % 2
    delay, n_jobs, dtype = (0.3, 2, "float64") if odd else (1.0, 1, "float32")
    heard = interrupt(entry.name, delay, n_jobs, dtype)
    if heard > 0.5:
        heard = min(heard, interrupt(entry.name, 1.3 * delay, n_jobs, dtype))
    assert heard <= 0.5

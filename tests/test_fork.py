"""A fit in a forked child after a fit in the parent works."""

import os

import pytest

from tests.catalogue import entries
from tests.children import run

SCRIPT = """
import os, pickle, signal, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from tests.catalogue import CATALOGUE
from tests.laws.test_lifecycle import bits
from tests.problems import assert_same_bits

entry = next(entry for entry in CATALOGUE if entry.name == sys.argv[1])
rows = 4000 if entry.quadratic else 40_000
data = entry.data(np.random.default_rng(0).normal(size=(rows, 5)))
X = data["X"]
arguments = {"n_jobs": 4} if "n_jobs" in entry.prototype.get_params() else {}
fitted = entry.build(**entry.accepts(max_iter=3), **arguments).fit(**data)
here = bits(fitted, X)
read, write = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(30)
    code = 1
    try:
        assert_same_bits(here, bits(fitted, X))
        again = entry.build(**entry.accepts(max_iter=3), **arguments).fit(**data)
        assert_same_bits(here, bits(again, X))
        code = 0
    finally:
        os._exit(code)
status = os.waitpid(child, 0)[1]
assert status == 0, f"the child ended with status {status}"
assert_same_bits(here, bits(entry.build(**entry.accepts(max_iter=3), **arguments).fit(**data), X))
"""

MULTIPROCESSING = """
import multiprocessing, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from tests.catalogue import CATALOGUE

def work(name):
    entry = next(entry for entry in CATALOGUE if entry.name == name)
    rows = 4000 if entry.quadratic else 40_000
    data = entry.data(np.random.default_rng(0).normal(size=(rows, 5)))
    return {key: value.tobytes() for key, value in
            entry.values(entry.build(**entry.accepts(max_iter=3)).fit(**data)).items()}

if __name__ == "__main__":
    here = work(sys.argv[1])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        answers = pool.map_async(work, [sys.argv[1]] * 3).get(timeout=40)
    assert answers == [here] * 3
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(**entries(lambda entry: entry.processes))
def test_fit_in_a_forked_child_equals_the_fit_in_the_parent(entry):
    run(SCRIPT, entry.name)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    **entries(lambda entry: entry.name.endswith(("lloyd", "default", "-full")))
)
def test_fit_in_a_forked_pool_equals_the_fit_in_the_parent(entry):
    run(MULTIPROCESSING, entry.name)

"""Fits at the same time, in threads or processes, equal fits one after the other."""

from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from tests.catalogue import CATALOGUE, entries
from tests.laws.test_lifecycle import bits
from tests.problems import assert_same_bits, outputs, overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def many_blocks(monkeypatch):
    rows = pytest.importorskip("skgen.rows")
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 300)


def test_different_fits_in_threads_equal_serial_fits(many_blocks):
    problems = [overlapping(n=900, seed=seed) for seed in range(3)]
    jobs = [(entry, X) for entry in CATALOGUE for X in problems]

    def fit(job):
        entry, X = job
        return bits(entry.build().fit(**entry.data(X)), X)

    alone = [fit(job) for job in jobs]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(fit, jobs, timeout=120))
    for expected, found in zip(alone, together, strict=True):
        assert_same_bits(expected, found)


@pytest.mark.parametrize(**entries())
def test_one_estimator_answers_many_threads_at_once(entry, many_blocks):
    X = overlapping(n=900)
    fitted = entry.build().fit(**entry.data(X))
    alone = outputs(fitted, X)
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda _: outputs(fitted, X), range(16), timeout=60):
            assert_same_bits(alone, answer)


@pytest.mark.parametrize(**entries())
def test_predicting_while_a_clone_fits_gives_the_same_bits(entry, many_blocks):
    X = overlapping(n=900)
    fitted = entry.build().fit(**entry.data(X))
    alone = outputs(fitted, X)
    with ThreadPoolExecutor(4) as threads:
        fits = [threads.submit(lambda: clone(fitted).fit(**entry.data(X))) for _ in range(4)]
        for _ in range(5):
            assert_same_bits(alone, outputs(fitted, X))
        for future in fits:
            assert_same_bits(entry.values(fitted), entry.values(future.result(timeout=60)))


def fit_for_joblib(estimator, data):
    return clone(estimator).fit(**data)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_fits_equal_serial_fits(backend):
    """In worker processes the rows are a read-only memory map."""
    X = overlapping(n=40_000)
    chosen = [entry for entry in CATALOGUE if not entry.quadratic]
    jobs = [(entry.build(**entry.accepts(max_iter=3)), entry.data(X)) for entry in chosen]
    alone = [fit_for_joblib(*job) for job in jobs]
    together = joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=1000)(
        joblib.delayed(fit_for_joblib)(*job) for job in jobs
    )
    for entry, expected, found in zip(chosen, alone, together, strict=True):
        assert_same_bits(entry.values(expected), entry.values(found))


@pytest.mark.parametrize(
    **entries(lambda entry: entry.name.endswith(("lloyd", "-full", "-default")))
)
def test_grid_search_in_processes_equals_serial(entry):
    from sklearn.model_selection import GridSearchCV

    X = overlapping()
    scores = [
        GridSearchCV(entry.build(), entry.grid, cv=3, n_jobs=n_jobs)
        .fit(**entry.data(X))
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    assert scores[0].tobytes() == np.asarray(scores[1]).tobytes()


@pytest.mark.parametrize(**entries(lambda entry: entry.accepts(n_init=3)))
@pytest.mark.parametrize("n_init", [3])
def test_restarts_side_by_side_equal_restarts_in_turn(entry, n_init, many_blocks):
    X = overlapping(n=900)
    alone = entry.build(n_init=n_init, n_jobs=1).fit(**entry.data(X))
    together = entry.build(n_init=n_init, n_jobs=4).fit(**entry.data(X))
    assert_same_bits(bits(alone, X), bits(together, X))

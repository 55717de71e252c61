"""How rows are cut into blocks and shared among threads does not show in the result."""

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import assert_same_bits, fitted_state, outputs, overlapping

rows = pytest.importorskip("skgen.rows")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def cut(monkeypatch, rows_in_block, n_features):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", rows_in_block * n_features)


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("rows_in_block", [1, 7, 64, 239])
def test_blocks_of_any_size_agree(entry, rows_in_block, monkeypatch):
    X = overlapping()
    whole = entry.build().fit(**entry.data(X))
    said = outputs(whole, X)
    cut(monkeypatch, rows_in_block, X.shape[1])
    blocked = entry.build().fit(**entry.data(X))
    for name, value in entry.values(whole).items():
        # Sums in another order round differently; up to 30 iterations amplify that.
        np.testing.assert_allclose(
            entry.values(blocked)[name], value, rtol=1e-9, atol=1e-9, err_msg=name
        )
    for name, value in outputs(whole, X).items():
        # One pass only: rounding of the kernels' edges.
        np.testing.assert_allclose(value, said[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(**entries())
def test_rows_one_at_a_time_equal_the_batch(entry):
    X = overlapping(n=40)
    fitted = entry.build().fit(**entry.data(X))
    batch = outputs(fitted, X)
    batch.pop("score", None)
    for name, value in batch.items():
        alone = np.concatenate([getattr(fitted, name)(row[None]) for row in X])
        np.testing.assert_allclose(alone, value, rtol=1e-12, atol=1e-12, err_msg=name)


def threaded(entry, X, n_jobs, **fit_arguments):
    estimator = entry.build(n_jobs=n_jobs).fit(**entry.data(X), **fit_arguments)
    state = fitted_state(estimator)
    arrays = {name: value for name, value in state.items() if name != "stop_reason_"}
    return {**arrays, **outputs(estimator, X)}


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threads_give_the_same_bits(entry, dtype, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 100 * 3)
    X = overlapping(n=1000 if entry.quadratic else 3000, dtype=dtype)
    alone = threaded(entry, X, 1)
    for n_jobs in (2, 3, 4, 8):
        assert_same_bits(alone, threaded(entry, X, n_jobs))


@pytest.mark.parametrize(**entries(lambda entry: entry.weighted and not entry.quadratic))
def test_threads_give_the_same_bits_with_weights_at_full_size(entry):
    X = overlapping(n=40_000, d=5)
    weight = np.random.default_rng(0).uniform(size=len(X))
    assert rows.Rows(X).n_blocks >= 4
    assert_same_bits(
        threaded(entry, X, 1, sample_weight=weight), threaded(entry, X, 4, sample_weight=weight)
    )


@pytest.mark.parametrize(**entries(lambda entry: entry.sparse))
def test_threads_give_the_same_bits_on_sparse_rows(entry, monkeypatch):
    from scipy import sparse

    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 100 * 3)
    X = overlapping(n=2000)
    X = sparse.csr_array(X * (X > 0.5))
    assert_same_bits(threaded(entry, X, 1), threaded(entry, X, 4))

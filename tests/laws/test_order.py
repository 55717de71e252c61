"""The order and the naming of rows and columns carry no information."""

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import assert_same_answers, overlapping, separated

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Sums in another order round differently; up to 30 iterations amplify that.
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.mark.parametrize(**entries(lambda entry: entry.permutes))
@pytest.mark.parametrize("seed", range(3))
def test_row_permutation_permutes_the_labels_and_nothing_else(entry, seed):
    X = overlapping(seed=seed)
    order = np.random.default_rng(seed).permutation(len(X))
    fitted = entry.build().fit(**entry.data(X))
    permuted = entry.build().fit(**entry.data(X[order]))
    for name, value in entry.values(fitted).items():
        np.testing.assert_allclose(entry.values(permuted)[name], value, **CLOSE, err_msg=name)
    assert_same_answers(fitted, X, permuted, X)
    if hasattr(entry.prototype, "fit_predict") and entry.named:
        np.testing.assert_array_equal(
            entry.build().fit_predict(X[order]), entry.build().fit_predict(X)[order]
        )


@pytest.mark.parametrize(**entries(lambda entry: entry.moves))
def test_column_permutation_permutes_the_parameters(entry):
    X = separated()
    order = np.array([2, 0, 1])
    Q = np.eye(3)[:, order]
    fitted = entry.started(X).fit(**entry.data(X))
    permuted = entry.started(X[:, order]).fit(**entry.data(X[:, order], like=X))
    for name, move in entry.parameters.items():
        np.testing.assert_allclose(
            entry.values(permuted)[name],
            move(entry.values(fitted)[name], 1.0, Q, 0.0),
            rtol=1e-9,
            atol=1e-9,
            err_msg=name,
        )
    if entry.groups or entry.supervised:
        assert_same_answers(fitted, X, permuted, X[:, order])


@pytest.mark.parametrize(**entries(lambda entry: entry.n_groups > 1 and entry.grouped))
def test_group_names_follow_the_start(entry):
    X = separated()
    start = entry.start(X)
    order = np.array([2, 0, 3, 1])
    shared = "covariances_" in entry.parameters and "covariances_" not in entry.grouped
    renamed = {
        name: value
        if not np.ndim(value) or (shared and name == "precisions_init")
        else value[order]
        for name, value in start.items()
    }
    fitted = entry.build(**start).fit(**entry.data(X))
    other = entry.build(**renamed).fit(**entry.data(X))
    np.testing.assert_array_equal(order[other.predict(X)], fitted.predict(X))
    for name in entry.grouped:
        np.testing.assert_allclose(
            getattr(other, name), getattr(fitted, name)[order], rtol=1e-10, atol=1e-10
        )

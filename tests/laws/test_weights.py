"""sample_weight: a weight is a number of copies; a penalty aside, only ratios of weights matter."""

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import assert_same_answers, assert_same_bits, overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

weighted = entries(lambda entry: entry.weighted)
repeating = entries(lambda entry: entry.weighted and entry.repeats)

# Sums over copies and sums over weights round differently; 30 iterations amplify that.
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def assert_same_model(entry, estimator, other, X):
    for name, value in entry.values(estimator).items():
        np.testing.assert_allclose(entry.values(other)[name], value, **CLOSE, err_msg=name)
    assert_same_answers(estimator, X, other, X)


@pytest.mark.parametrize(**repeating)
@pytest.mark.parametrize("seed", range(3))
def test_weight_equals_repeated_rows(entry, seed):
    X = overlapping(seed=seed)
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 6, size=len(X))
    copies = rng.permutation(np.repeat(X, weight, axis=0))
    by_weight = entry.build().fit(**entry.data(X), sample_weight=weight)
    by_copies = entry.build().fit(**entry.data(copies))
    assert_same_model(entry, by_copies, by_weight, X)


@pytest.mark.parametrize(
    **entries(lambda e: e.weighted and not e.supervised and (e.repeats or e.moves))
)
def test_weight_two_equals_rows_given_twice_in_a_fixed_start(entry):
    """Without drawing, repetition must hold whatever the seeding does."""
    X = overlapping(seed=4)
    weight = np.where(np.arange(len(X)) % 3 == 0, 2.0, 1.0)
    copies = np.repeat(X, weight.astype(int), axis=0)
    by_weight = entry.started(X).fit(**entry.data(X), sample_weight=weight)
    by_copies = entry.started(X).fit(**entry.data(copies))
    assert_same_model(entry, by_copies, by_weight, X)


@pytest.mark.parametrize(**weighted)
def test_weight_zero_equals_absent_row(entry):
    X = overlapping(seed=1)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, size=len(X))
    weight[::5] = 0.0
    present = weight > 0
    with_zeros = entry.build().fit(**entry.data(X), sample_weight=weight)
    without = entry.build().fit(**entry.data(X[present]), sample_weight=weight[present])
    assert_same_model(entry, without, with_zeros, X)


@pytest.mark.parametrize(**weighted)
@pytest.mark.parametrize("absurd", [1e6, -1e6])
def test_row_of_weight_zero_may_hold_any_finite_value(entry, absurd):
    X = overlapping(seed=1)
    weight = np.ones(len(X))
    weight[:7] = 0.0
    outlying = X.copy()
    outlying[:7] = absurd
    fitted = entry.build().fit(**entry.data(outlying, like=X), sample_weight=weight)
    assert_same_model(entry, entry.build().fit(**entry.data(X[7:])), fitted, X[7:])


@pytest.mark.parametrize(**entries(lambda entry: entry.weighted and not entry.prior))
@pytest.mark.parametrize("factor", [2.0**40, 2.0**-40, 1e5 / 3, 1e-5 / 3])
def test_scaled_weights_give_the_same_parameters(entry, factor):
    X = overlapping(seed=2)
    weight = np.random.default_rng(2).uniform(0.1, 3.0, size=len(X))
    fitted = entry.build().fit(**entry.data(X), sample_weight=weight)
    scaled = entry.build(**entry.weight_units(factor))
    scaled.fit(**entry.data(X), sample_weight=weight * factor)
    if "inertia_" in entry.parameters:
        scaled.inertia_ /= factor  # the one sum over rows, by definition
    assert_same_model(entry, fitted, scaled, X)


@pytest.mark.parametrize(**weighted)
def test_weights_of_one_give_the_bits_of_no_weights(entry):
    X = overlapping(seed=3)
    plain = entry.build().fit(**entry.data(X))
    ones = entry.build().fit(**entry.data(X), sample_weight=np.ones(len(X)))
    assert_same_bits(entry.values(plain), entry.values(ones))


@pytest.mark.parametrize(**repeating)
def test_weight_equals_repeated_rows_over_many_blocks(entry, monkeypatch):
    rows = pytest.importorskip("skgen.rows")
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 40 * 3)
    X = overlapping(seed=5)
    weight = np.random.default_rng(5).integers(0, 4, size=len(X))
    copies = np.repeat(X, weight, axis=0)
    by_weight = entry.build().fit(**entry.data(X), sample_weight=weight)
    by_copies = entry.build().fit(**entry.data(copies))
    assert_same_model(entry, by_copies, by_weight, X)

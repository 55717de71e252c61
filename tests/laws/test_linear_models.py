"""Classifiers, linear ones above all: classes and columns have no order, no unit, no origin."""

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

classifiers = entries(lambda entry: entry.classifies and not entry.partly_labeled)
unpenalized = entries(
    lambda entry: (
        entry.supervised
        and entry.prototype.get_params().get("C") == np.inf
        and entry.fits_intercept
    )
)

# Sums in another order round differently; the optimum is known to about 1e-10.
CLOSE = {"rtol": 1e-8, "atol": 1e-8}
NAMES = {2: ["no", "yes"], 3: ["a", "bb", "ccc"]}


def scores(estimator, X):
    """Scores per class, (n, K), whatever the number of classes."""
    found = estimator.decision_function(X)
    return np.column_stack([-found, found]) if found.ndim == 1 else found


@pytest.mark.parametrize(**classifiers)
@pytest.mark.parametrize("kind", ["U3", object, np.float64, bool])
def test_classes_may_have_any_name(entry, kind):
    X = overlapping()
    y = entry.data(X)["y"]
    k = len(entry.classes)
    if kind is bool and k > 2:
        pytest.skip("three classes")
    if kind in (np.float64, bool):
        names = np.arange(k).astype(kind)
    else:
        names = np.array(NAMES[k], dtype=kind)
    fitted = entry.build().fit(X, y)
    named = entry.build().fit(X, names[y])
    np.testing.assert_array_equal(named.classes_, names)
    assert named.classes_.dtype == names.dtype
    for name, value in entry.values(fitted).items():
        np.testing.assert_array_equal(entry.values(named)[name], value, err_msg=name)
    np.testing.assert_array_equal(named.predict(X), names[fitted.predict(X)])


@pytest.mark.parametrize(
    **entries(lambda entry: entry.classifies and entry.moves and not entry.partly_labeled)
)
def test_class_permutation_permutes_the_coefficients(entry):
    X = overlapping(seed=1)
    y = entry.data(X)["y"]
    order = np.array([1, 0] if len(entry.classes) == 2 else [2, 0, 1])
    fitted = entry.started(X).fit(X, y)
    renamed = entry.started(X).fit(X, order[y])
    np.testing.assert_allclose(scores(renamed, X)[:, order], scores(fitted, X), **CLOSE)
    np.testing.assert_array_equal(renamed.predict(X), order[fitted.predict(X)])
    if len(entry.classes) > 2 and entry.linear:
        for name in ("coef_", "intercept_"):
            np.testing.assert_allclose(
                getattr(renamed, name)[order], getattr(fitted, name), **CLOSE, err_msg=name
            )


@pytest.mark.parametrize(**unpenalized)
@pytest.mark.parametrize("shift", [1.0, -300.0, 2.0**17])
def test_translation_moves_the_intercept_only(entry, shift):
    X = np.round(overlapping() * 2**20) / 2**20
    fitted = entry.build().fit(**entry.data(X))
    moved = entry.build().fit(**entry.data(X + shift, like=X))
    np.testing.assert_allclose(moved.coef_, fitted.coef_, **CLOSE)
    # The intercept is a difference of numbers as large as shift * coef_.
    np.testing.assert_allclose(
        moved.intercept_, fitted.intercept_ - shift * fitted.coef_.sum(axis=1), rtol=1e-8, atol=1e-6
    )
    np.testing.assert_allclose(
        moved.predict_proba(X + shift), fitted.predict_proba(X), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize(**unpenalized)
def test_scale_of_a_column_divides_its_coefficients(entry):
    X = overlapping()
    units = np.array([1e-6, 1.0, 1e7])
    fitted = entry.build().fit(**entry.data(X))
    moved = entry.build().fit(**entry.data(X * units, like=X))
    np.testing.assert_allclose(moved.coef_ * units, fitted.coef_, **CLOSE)
    np.testing.assert_allclose(moved.intercept_, fitted.intercept_, **CLOSE)


@pytest.mark.parametrize(**unpenalized)
def test_unpenalized_fits_do_not_care_for_a_linear_change_of_columns(entry):
    X = overlapping()
    A = np.array([[2.0, 1.0, 0.0], [0.0, -1.0, 3.0], [0.5, 0.0, 1.0]])
    fitted = entry.build().fit(**entry.data(X))
    moved = entry.build().fit(**entry.data(X @ A, like=X))
    np.testing.assert_allclose(moved.coef_ @ A.T, fitted.coef_, **CLOSE)


@pytest.mark.parametrize(**entries(lambda entry: entry.calibrated))
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_probability_is_the_share_of_the_class(entry, weighted):
    """The gradient with respect to an intercept without a penalty is just this difference."""
    X = overlapping(seed=3)
    y = entry.data(X)["y"]
    weight = np.random.default_rng(0).uniform(0.1, 3.0, len(X)) if weighted else np.ones(len(X))
    fitted = entry.build().fit(X, y, sample_weight=weight)
    if entry.prototype.class_weight == "balanced":
        weight = weight / np.bincount(y, weight)[y]
    shares = np.bincount(y, weight) / weight.sum()
    mean = np.average(fitted.predict_proba(X), axis=0, weights=weight)
    np.testing.assert_allclose(mean, shares, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    **entries(
        lambda entry: (
            entry.calibrated or (entry.supervised and entry.linear and not entry.fits_intercept)
        )
    )
)
def test_constant_and_repeated_columns_are_harmless(entry):
    """A singular Hessian still has an optimum, and the probabilities there are unique."""
    X = overlapping()
    wide = np.column_stack([X, np.full(len(X), 7.0)])
    if not entry.fits_intercept:
        wide[:, 3] = 0.0
    fitted = entry.build().fit(**entry.data(X))
    other = entry.build().fit(**entry.data(wide, like=X))
    assert np.isfinite(other.coef_).all()
    np.testing.assert_allclose(scores(other, wide), scores(fitted, X), rtol=1e-7, atol=1e-7)
    twice = np.column_stack([X, X])
    assert np.isfinite(entry.build().fit(**entry.data(twice, like=X)).coef_).all()

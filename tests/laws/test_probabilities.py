"""Probabilities sum to one, agree with the scores behind them, and survive any distance."""

import numpy as np
import pytest
from scipy.special import expit, log_expit, log_softmax, softmax

from tests.catalogue import entries
from tests.problems import overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

classifiers = entries(lambda entry: entry.classifies)
probabilistic = entries(
    lambda entry: entry.classifies and hasattr(entry.prototype, "predict_proba")
)


def fitted_on(entry, **changes):
    X = overlapping()
    return entry.build(**changes).fit(**entry.data(X)), overlapping(seed=7)


@pytest.mark.parametrize(**classifiers)
def test_prediction_is_the_class_of_the_largest_score(entry):
    fitted, X = fitted_on(entry)
    scores = fitted.decision_function(X)
    winner = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[winner])


@pytest.mark.parametrize(**entries(lambda entry: entry.classifies and entry.linear))
def test_scores_are_linear_in_the_rows(entry):
    fitted, X = fitted_on(entry)
    scores = X @ fitted.coef_.T + fitted.intercept_
    if len(fitted.classes_) == 2:
        scores = scores[:, 0] if scores.shape[1] == 1 else scores[:, 1] - scores[:, 0]
    close = 1e-12 * np.abs(scores).max()
    np.testing.assert_allclose(fitted.decision_function(X), scores, rtol=1e-12, atol=close)


@pytest.mark.parametrize(**probabilistic)
def test_probabilities_are_those_of_the_scores(entry):
    fitted, X = fitted_on(entry)
    scores = fitted.decision_function(X) / getattr(fitted, "temperature", 1.0)
    if scores.ndim == 1:
        expected = np.column_stack([expit(-scores), expit(scores)])
        logs = np.column_stack([log_expit(-scores), log_expit(scores)])
    else:
        expected, logs = softmax(scores, axis=1), log_softmax(scores, axis=1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_log_proba(X), logs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(**probabilistic)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_probabilities_sum_to_one_near_and_far(entry, dtype):
    X = overlapping(dtype=dtype)
    fitted = entry.build().fit(**entry.data(X))
    rng = np.random.default_rng(0)
    powers = (0, 3, 8, 50, 150, 200, 300) if dtype == np.float64 else (0, 3, 8, 18, 30, 36)
    for power in powers:
        asked = (10.0**power * rng.uniform(-1.5, 1.5, size=(50, 3))).astype(dtype)
        proba = fitted.predict_proba(asked)
        logs = fitted.predict_log_proba(asked)
        assert np.isfinite(proba).all() and ((proba >= 0) & (proba <= 1)).all(), f"at 1e{power}"
        np.testing.assert_allclose(
            proba.sum(axis=1), 1.0, rtol=0, atol=8 * np.finfo(proba.dtype).eps
        )
        assert not np.isnan(logs).any() and (logs <= 0).all(), f"at 1e{power}"
        # The best class keeps a probability of at least one in the number of classes.
        assert (logs.max(axis=1) >= -np.log(proba.shape[1]) - 1e-6).all()
        found = np.take_along_axis(
            proba, np.searchsorted(fitted.classes_, fitted.predict(asked))[:, None], axis=1
        )
        np.testing.assert_array_equal(found[:, 0], proba.max(axis=1))


@pytest.mark.parametrize(**probabilistic)
def test_log_probabilities_stay_exact_where_probabilities_underflow(entry):
    fitted, X = fitted_on(entry)
    asked = 1e6 * X
    scores = fitted.decision_function(asked) / getattr(fitted, "temperature", 1.0)
    if scores.ndim == 1:
        expected = np.column_stack([log_expit(-scores), log_expit(scores)])
    else:
        expected = log_softmax(scores, axis=1)
    assert expected.min() < -1000
    np.testing.assert_allclose(fitted.predict_log_proba(asked), expected, rtol=1e-9, atol=1e-16)

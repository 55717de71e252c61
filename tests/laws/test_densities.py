"""A density integrates to one; responsibilities are exact, however far away the row lies."""

from decimal import Decimal, getcontext

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

densities = entries(lambda entry: entry.density)
GAUSSIAN = entries(lambda entry: entry.name.startswith(("GaussianMixture-", "MAPGaussianMixture")))


@pytest.mark.parametrize(**densities)
def test_density_integrates_to_one_in_one_dimension(entry):
    fitted = entry.build().fit(overlapping(d=1))
    # x = 3 sinh(t) reaches 1e11, where the tail of a Cauchy distribution holds less than 1e-10.
    t = np.linspace(-25, 25, 100_001)
    # The trapezoid rule is spectrally exact for smooth functions that vanish at both ends.
    density = np.exp(fitted.score_samples(3.0 * np.sinh(t)[:, None])) * 3.0 * np.cosh(t)
    assert abs(density.sum() * (t[1] - t[0]) - 1) < 1e-9


@pytest.mark.parametrize(**densities)
def test_density_integrates_to_one_in_two_dimensions(entry):
    fitted = entry.build().fit(overlapping(d=2))
    t = np.linspace(-14, 14, 801)
    axis, length = 3.0 * np.sinh(t), 3.0 * np.cosh(t)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(fitted.score_samples(grid)) * np.outer(length, length).ravel()
    assert abs(density.sum() * (t[1] - t[0]) ** 2 - 1) < 1e-6


@pytest.mark.parametrize(**densities)
def test_samples_have_the_means_of_the_density(entry):
    fitted = entry.build().fit(overlapping())
    drawn, component = fitted.sample(40_000)
    assert drawn.shape == (40_000, 3) and component.shape == (40_000,)
    mean = fitted.weights_ @ fitted.means_
    # Standard error of a mean over 40 000 draws; 6 of them: alpha below 1e-8.
    assert (np.abs(drawn.mean(axis=0) - mean) < 6 * drawn.std(axis=0) / 200).all()


@pytest.mark.parametrize(**densities)
def test_responsibilities_sum_to_one_near_and_far(entry):
    fitted = entry.build().fit(overlapping())
    rng = np.random.default_rng(0)
    for power in (0, 3, 8, 50, 150, 153, 154, 200, 300):
        X = 10.0**power * rng.uniform(-1.5, 1.5, size=(50, 3))
        proba = fitted.predict_proba(X)
        assert np.isfinite(proba).all(), f"at 1e{power}"
        assert ((proba >= 0) & (proba <= 1)).all()
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(proba.argmax(axis=1), fitted.predict(X))


@pytest.mark.parametrize(**densities)
def test_responsibilities_sum_to_one_far_away_in_float32(entry):
    fitted = entry.build().fit(overlapping(dtype=np.float32))
    for power in (0, 3, 8, 18, 19, 30, 36):
        X = (10.0**power * np.random.default_rng(0).uniform(-1.5, 1.5, size=(50, 3))).astype(
            np.float32
        )
        proba = fitted.predict_proba(X)
        assert np.isfinite(proba).all(), f"at 1e{power}"
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=0, atol=1e-6)


def exact_responsibilities(x, weights, means, variances):
    """To 400 digits (x^2 has 300 at 1e150), by Python's decimals."""
    getcontext().prec = 400
    x = Decimal(float(x))
    logs = []
    for w, m, v in zip(weights, means, variances, strict=True):
        w, m, v = (Decimal(float(number)) for number in (w, m, v))
        logs.append(w.ln() - v.ln() / 2 - (x - m) ** 2 / (2 * v))
    top = max(logs)
    terms = [(value - top).exp() if value - top > -2000 else Decimal(0) for value in logs]
    return np.array([float(term / sum(terms)) for term in terms])


@pytest.mark.parametrize(**GAUSSIAN)
def test_responsibilities_are_exact_in_one_dimension(entry):
    fitted = entry.build().fit(overlapping(d=1, n=400))
    kind = fitted.covariance_type
    variances = (
        np.full(4, fitted.covariances_[0, 0]) if kind == "tied" else fitted.covariances_.ravel()
    )
    points = np.concatenate([np.linspace(-8, 8, 41), [1e3, -1e3, 1e5, 1e7, -1e20, 1e100, 1e150]])
    proba = fitted.predict_proba(points[:, None])
    for x, row in zip(points, proba, strict=True):
        expected = exact_responsibilities(x, fitted.weights_, fitted.means_.ravel(), variances)
        # log p carries x^2 eps / variance; it matters only where two components tie.
        assert np.abs(row - expected).max() < 1e-9, x


@pytest.mark.parametrize(**GAUSSIAN)
def test_score_samples_is_the_log_density_of_scipy(entry):
    from scipy.special import logsumexp
    from scipy.stats import multivariate_normal

    fitted = entry.build().fit(overlapping())
    covariance = {
        "full": lambda k: fitted.covariances_[k],
        "tied": lambda k: fitted.covariances_,
        "diag": lambda k: np.diag(fitted.covariances_[k]),
        "spherical": lambda k: fitted.covariances_[k] * np.eye(3),
    }[fitted.covariance_type]
    X = overlapping(seed=9)
    logs = [
        np.log(fitted.weights_[k]) + multivariate_normal(fitted.means_[k], covariance(k)).logpdf(X)
        for k in range(4)
    ]
    np.testing.assert_allclose(fitted.score_samples(X), logsumexp(logs, axis=0), rtol=1e-10)

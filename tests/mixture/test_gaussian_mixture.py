"""GaussianMixture: known answers, parity with scikit-learn, degenerate and far data."""

import logging
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as PeerMixture

from skgen.mixture import GaussianMixture

STRUCTURES = ("full", "tied", "diag", "spherical")


@pytest.fixture(scope="module")
def iris():
    return load_iris().data


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(1500, 5, centers=4, cluster_std=3.0, random_state=0)[0]


def start(X, k, structure, seed=0):
    """Weights, means and precisions that both libraries start from."""
    means = X[np.random.default_rng(seed).choice(len(X), k, replace=False)].astype(float)
    variance = X.var(axis=0).astype(float)
    precisions = {
        "full": np.stack([np.diag(1 / variance)] * k),
        "tied": np.diag(1 / variance),
        "diag": np.stack([1 / variance] * k),
        "spherical": np.full(k, 1 / variance.mean()),
    }[structure]
    return {"weights_init": np.full(k, 1 / k), "means_init": means, "precisions_init": precisions}


def quiet_fit(estimator, X, **kwargs):
    """Fit, whether it converges within max_iter or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, **kwargs)


@pytest.mark.parametrize("max_iter", [1, 7, 40])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_parameters_equal_the_peer_after_the_same_iterations(blobs, structure, dtype, max_iter):
    X = blobs.astype(dtype)
    arguments = {
        "n_components": 4,
        "covariance_type": structure,
        "max_iter": max_iter,
        "tol": 0.0,
        **start(X, 4, structure),
    }
    ours = quiet_fit(GaussianMixture(**arguments), X)
    peer = quiet_fit(PeerMixture(**arguments), X.astype(np.float64))
    assert ours.n_iter_ == peer.n_iter_
    assert ours.means_.dtype == dtype
    # float32 resolves means of size 10 to 1e-6, and squares of deviations to 1e-5.
    tolerance = 1e-9 if dtype == np.float64 else 2e-5
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(peer, name), rtol=tolerance, atol=tolerance
        )
    np.testing.assert_allclose(ours.lower_bounds_, peer.lower_bounds_, rtol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X.astype(np.float64)))
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=tolerance)
    np.testing.assert_allclose(ours.score_samples(X), peer.score_samples(X), rtol=10 * tolerance)
    for name in ("score", "aic", "bic"):
        assert getattr(ours, name)(X) == pytest.approx(getattr(peer, name)(X), rel=1e-5)


@pytest.mark.parametrize(
    ("structure", "k", "bic"),
    [("full", 2, 574.0178), ("full", 3, 580.840), ("tied", 3, 632.965)],
)
def test_iris_reaches_the_published_bic(iris, structure, k, bic):
    """Figures printed by mclust (Scrucca et al. 2016) for the same models."""
    mixture = GaussianMixture(
        k,
        covariance_type=structure,
        n_init=5,
        tol=1e-9,
        max_iter=2000,
        reg_covar=0.0,
        random_state=0,
    ).fit(iris)
    assert mixture.bic(iris) == pytest.approx(bic, abs=0.01)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_one_component_is_the_closed_form(blobs, structure):
    mixture = GaussianMixture(covariance_type=structure, reg_covar=0.0).fit(blobs)
    covariance = np.cov(blobs.T, bias=True)
    expected = {
        "full": covariance[None],
        "tied": covariance,
        "diag": np.diag(covariance)[None],
        "spherical": [np.diag(covariance).mean()],
    }[structure]
    np.testing.assert_allclose(mixture.means_[0], blobs.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(mixture.covariances_, expected, rtol=1e-12, atol=1e-12)
    assert mixture.converged_


def test_limit_is_a_stationary_point(blobs):
    """Wu (1983): at convergence the gradient of the log likelihood in the means vanishes."""
    mixture = GaussianMixture(3, tol=1e-14, max_iter=5000, reg_covar=0.0, random_state=0).fit(blobs)
    r = mixture.predict_proba(blobs)
    for k in range(3):
        gradient = r[:, k] @ (blobs - mixture.means_[k]) @ mixture.precisions_[k]
        assert np.abs(gradient).max() < 1e-3


def test_collapsed_component_is_named_in_the_error():
    X = np.r_[np.random.default_rng(0).normal(size=(20, 2)), [[50.0, 50.0]]]
    mixture = GaussianMixture(2, reg_covar=0.0, random_state=0)
    with pytest.raises(ValueError, match=r"component \d .*weight of its rows: 1\).*reg_covar"):
        mixture.fit(X)
    assert not hasattr(mixture, "means_")


def test_degenerate_starts_are_dropped_and_said():
    X = np.r_[np.random.default_rng(0).normal(size=(20, 2)), [[8.0, 8.0]]]
    mixture = GaussianMixture(
        2, reg_covar=0.0, random_state=0, n_init=10, init_params="random_from_data"
    )
    with pytest.warns(ConvergenceWarning, match="starts were dropped"):
        mixture.fit(X)
    assert np.isfinite(mixture.score(X))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_large_floor_keeps_the_objective_monotone(iris, structure):
    for floor in (1e-3, 1e-2, 0.1, 1.0):
        mixture = quiet_fit(
            GaussianMixture(
                4,
                covariance_type=structure,
                reg_covar=floor,
                tol=0.0,
                max_iter=100,
                random_state=0,
            ),
            iris,
        )
        history = np.array(mixture.objective_history_)
        assert np.diff(history).min() >= -1e-10 * np.abs(history).max()


def test_far_rows_have_exact_probabilities(blobs):
    mixture = GaussianMixture(4, random_state=0).fit(blobs)
    far = np.array([[1e6, 0, 0, 0, 0], [-1e9, 3, 1e9, 0, 0], [1e200, 0, 0, 0, 1e200]])
    probability = mixture.predict_proba(far)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(mixture.score_samples(far)).all()
    np.testing.assert_array_equal(probability.argmax(axis=1), mixture.predict(far))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_sample_follows_the_density(blobs, structure):
    mixture = GaussianMixture(3, covariance_type=structure, random_state=0).fit(blobs)
    X, labels = mixture.sample(20000)
    assert X.shape == (20000, 5)
    shares = np.bincount(labels, minlength=3) / 20000
    # Five standard errors of a share and of a mean.
    np.testing.assert_allclose(shares, mixture.weights_, atol=5 * 0.5 / np.sqrt(20000))
    again = GaussianMixture(1, covariance_type="full").fit(X[labels == 0])
    target = mixture.means_[0]
    spread = np.sqrt(np.diag(again.covariances_[0]) / (labels == 0).sum())
    assert (np.abs(again.means_[0] - target) < 5 * spread).all()


def test_restarts_in_parallel_give_the_same_bits(blobs):
    fits = [
        GaussianMixture(4, n_init=4, random_state=3, n_jobs=n_jobs).fit(blobs)
        for n_jobs in (None, 1, 2, 4)
    ]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.means_, fits[0].means_)
        assert fit.lower_bounds_ == fits[0].lower_bounds_


def test_best_start_is_kept(blobs):
    scores = [
        quiet_fit(
            GaussianMixture(6, n_init=n, init_params="random", random_state=0, max_iter=20), blobs
        ).lower_bound_
        for n in (1, 5)
    ]
    assert scores[1] >= scores[0]


def test_warm_start_continues(blobs):
    whole = quiet_fit(GaussianMixture(4, max_iter=6, tol=0.0, random_state=0), blobs)
    parts = GaussianMixture(4, max_iter=2, tol=0.0, random_state=0, warm_start=True)
    for _ in range(3):
        quiet_fit(parts, blobs)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=1e-12)


def test_given_means_decide_the_start(blobs):
    means = make_blobs(4, 5, centers=4, cluster_std=0.1, random_state=0)[0]
    mixture = GaussianMixture(4, means_init=means, max_iter=0).fit(blobs)
    np.testing.assert_allclose(mixture.means_, means)
    nearest = ((blobs[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(mixture.weights_, np.bincount(nearest, minlength=4) / len(blobs))


def test_unconverged_fit_says_why(blobs):
    mixture = GaussianMixture(4, max_iter=2, tol=1e-12, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=2 reached.*last change"):
        mixture.fit(blobs)
    assert mixture.stop_reason_ == "max_iter=2 reached"


def test_verbose_goes_through_logging(blobs, caplog):
    with caplog.at_level(logging.INFO, logger="skgen"):
        GaussianMixture(2, verbose=2, verbose_interval=1, random_state=0).fit(blobs)
    assert any("Iteration 1" in message for message in caplog.messages)
    assert any("converged" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights_init": [0.5, 0.6]}, "weights"),
        ({"weights_init": [1.5, -0.5]}, "weights"),
        ({"means_init": np.zeros((3, 5))}, "means"),
        ({"precisions_init": np.zeros((2, 5, 5))}, "full precision"),
        ({"precisions_init": np.ones((2, 5))}, "full precision"),
    ],
)
def test_bad_starts_are_named(blobs, arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(2, **arguments).fit(blobs)


def test_tight_cluster_far_from_the_others_keeps_its_digits():
    """Moments about the current means: the second cluster lies 1e7 deviations away."""
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(500, 3)), rng.normal(size=(500, 3))
    X = np.r_[near, far + 1e7]
    mixture = GaussianMixture(2, random_state=0, reg_covar=0.0).fit(X)
    k = int(mixture.means_[:, 0].argmax())
    expected = np.cov((X[500:] - 1e7).T, bias=True)
    np.testing.assert_allclose(mixture.covariances_[k], expected, rtol=1e-7, atol=1e-8)


def test_rows_of_zeros_are_told_apart_where_distances_overflow():
    """Variances of 1e-200 have inverses beyond float32, and zero has no scale of its own."""
    X = np.random.default_rng(0).normal(size=(60, 2)) * 1e-100
    mixture = GaussianMixture(2, reg_covar=0.0, random_state=0).fit(X)
    proba = mixture.predict_proba(np.zeros((2, 2), dtype=np.float32))
    np.testing.assert_array_equal(proba.sum(axis=1), 1.0)

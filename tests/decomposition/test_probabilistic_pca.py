"""ProbabilisticPCA: what is its own; laws and conformance stand elsewhere."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skgen.decomposition import PCA, ProbabilisticPCA
from skgen.distributions import latent_linear
from skgen.rows import Rows
from tests import reference_ppca
from tests.problems import holes, overlapping


def factors(n=300, d=8, q=3, noise=0.5, seed=0):
    """Rows of a model of q factors of unequal strength."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(d, q)))[0].T
    z = rng.normal(size=(n, q)) * np.arange(q + 1, 1, -1)
    return z @ directions + noise * rng.normal(size=(n, d)) + rng.normal(size=d)


def exact(model):
    return {"tol": 1e-13, "max_iter": 20_000, **model}


def loadings_of(fitted):
    return fitted.mean_, fitted.components_.T, fitted.noise_variance_


@pytest.mark.parametrize("q", [1, 3, 6])
def test_closed_form_is_the_maximum_likelihood_solution_of_pca(q):
    """Tipping and Bishop (1999), equations 7, 8 and 9."""
    X = load_digits().data
    fitted, pca = ProbabilisticPCA(q).fit(X), PCA().fit(X)
    values = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]
    noise = values[q:].mean()
    np.testing.assert_allclose(fitted.noise_variance_, noise, rtol=1e-12)
    np.testing.assert_allclose(fitted.explained_variance_, values[:q], rtol=1e-12)
    lengths = np.sqrt(values[:q] - noise)
    np.testing.assert_allclose(
        fitted.components_, lengths[:, None] * pca.components_[:q], rtol=0, atol=1e-9
    )
    d = X.shape[1]
    likelihood = -0.5 * (
        d * np.log(2 * np.pi) + np.log(values[:q]).sum() + (d - q) * np.log(noise) + d
    )
    np.testing.assert_allclose(fitted.lower_bound_, likelihood, rtol=1e-12)
    np.testing.assert_allclose(fitted.score(X), likelihood, rtol=1e-12)


@pytest.mark.parametrize("acceleration", [None, "squarem", "anderson"])
def test_em_on_complete_rows_reaches_the_closed_form(acceleration):
    X = factors()
    closed = ProbabilisticPCA(2).fit(X)
    # From another start than the solution itself.
    options = exact({"solver": "em", "acceleration": acceleration, "warm_start": True})
    started = ProbabilisticPCA(2, **options)
    other = ProbabilisticPCA(2).fit(factors(seed=9))
    for name in ("mean_", "components_", "noise_variance_"):
        setattr(started, name, getattr(other, name))
    started.fit(X)
    assert started.n_iter_ > 3
    np.testing.assert_allclose(started.lower_bound_, closed.lower_bound_, rtol=1e-10)
    np.testing.assert_allclose(started.noise_variance_, closed.noise_variance_, rtol=1e-5)
    np.testing.assert_allclose(started.components_, closed.components_, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", [0.0, 3.0])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_one_step_is_that_of_loops(precision, share):
    X = factors(40, 6, 2)
    X = holes(X, share) if share else X
    weight = np.random.default_rng(0).uniform(0.2, 3.0, size=40)
    rng = np.random.default_rng(1)
    mean, loadings, noise = rng.normal(size=6), rng.normal(size=(6, 2)), 0.7
    model = latent_linear.ProbabilisticPCAModel(latent_linear.e_step, 1e-12, precision, np.ones(6))
    params = latent_linear.LatentLinear(mean, loadings, noise)
    moments = Rows(X, weight).sum(model.e_step, model.prepare(params))
    found = model.m_step(params, moments)
    expected = reference_ppca.em_step(X, weight, mean, loadings, noise, precision)
    np.testing.assert_allclose(found.mean, expected[0], rtol=1e-10)
    np.testing.assert_allclose(found.loadings, expected[1], rtol=1e-10)
    np.testing.assert_allclose(found.noise, expected[2], rtol=1e-10)
    density = reference_ppca.log_density(X, mean, loadings, noise)
    np.testing.assert_allclose(moments.log_norm, weight @ density, rtol=1e-11)


def test_moments_of_a_scatter_are_those_of_its_rows():
    from skgen.statistics import scatter_moments

    X = factors(50, 5, 2)
    weight = np.random.default_rng(0).uniform(0.2, 3.0, size=50)
    rng = np.random.default_rng(1)
    params = latent_linear.LatentLinear(rng.normal(size=5), rng.normal(size=(5, 2)), 0.3)
    prepared, rows = latent_linear.Prepared.of(params), Rows(X, weight)
    by_rows = rows.sum(latent_linear.e_step, prepared)
    by_scatter = latent_linear.moments_of_scatter(scatter_moments(rows), prepared)
    for name in ("log_norm", *latent_linear.LatentMoments.NAMES):
        np.testing.assert_allclose(
            getattr(by_scatter, name), getattr(by_rows, name), rtol=1e-11, atol=1e-11, err_msg=name
        )


@pytest.mark.parametrize("precision", [None, 2.0])
@pytest.mark.parametrize("acceleration", [None, "squarem", "anderson"])
@pytest.mark.parametrize("seed", range(6))
def test_objective_never_falls_where_cells_are_missing(precision, acceleration, seed):
    rng = np.random.default_rng(seed)
    X = 10.0 ** rng.uniform(-3, 3) * factors(60, 7, 2, noise=10.0 ** rng.uniform(-4, 0), seed=seed)
    X = holes(X, rng.uniform(0.05, 0.5), seed)
    model = ProbabilisticPCA(
        2, component_precision_prior=precision, acceleration=acceleration, tol=0.0, max_iter=80
    )
    with quiet():
        history = np.array(model.fit(X + 100.0).objective_history_)
    fall = -np.diff(history)
    assert (fall <= 1e-10 * np.abs(history[1:])).all(), fall.max()


@contextmanager
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_limit_with_missing_cells_is_a_stationary_point(acceleration):
    X = holes(factors(150, 5, 2), 0.25)
    fitted = ProbabilisticPCA(2, **exact({"acceleration": acceleration})).fit(X)
    mean, loadings, noise = loadings_of(fitted)

    def value(theta):
        return reference_ppca.log_density(
            X, theta[:5], theta[5:15].reshape(5, 2), np.exp(theta[15])
        ).mean()

    theta = np.concatenate([mean, loadings.ravel(), [np.log(noise)]])
    steps = 1e-5 * np.eye(len(theta))
    gradient = [(value(theta + step) - value(theta - step)) / 2e-5 for step in steps]
    assert np.abs(gradient).max() < 1e-4
    np.testing.assert_allclose(fitted.lower_bound_, value(theta), rtol=1e-9)


def test_prior_is_where_loadings_shrink_and_the_objective_says_so():
    X = factors()
    free = ProbabilisticPCA(3).fit(X)
    sizes = []
    for precision in (1e-8, 1.0, 100.0):
        model = ProbabilisticPCA(3, **exact({"component_precision_prior": precision})).fit(X)
        sizes.append((model.components_**2).sum())
        prior = 0.5 * (24 * np.log(precision / (2 * np.pi)) - precision * sizes[-1])
        np.testing.assert_allclose(model.lower_bound_, model.score(X) + prior / 300, rtol=1e-9)
    np.testing.assert_allclose(sizes[0], (free.components_**2).sum(), rtol=1e-5)
    assert sizes[0] > sizes[1] > sizes[2]


def test_true_parameters_are_recovered():
    """Within six standard errors, roughly."""
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.normal(size=(10, 2)))[0] * [3.0, 2.0]
    X = rng.normal(size=(20_000, 2)) @ W.T + 0.5 * rng.normal(size=(20_000, 10)) + 7.0
    fitted = ProbabilisticPCA(2, tol=1e-8).fit(holes(X, 0.3))
    np.testing.assert_allclose(fitted.noise_variance_, 0.25, rtol=0.03)
    np.testing.assert_allclose(fitted.mean_, 7.0, atol=0.15)
    covariance = W @ W.T + 0.25 * np.eye(10)
    np.testing.assert_allclose(fitted.get_covariance(), covariance, atol=0.25)


def test_score_samples_is_the_density_of_observed_cells():
    X = holes(factors(60, 6, 2), 0.3)
    X[3] = np.nan
    fitted = ProbabilisticPCA(2, tol=1e-6).fit(X)
    expected = reference_ppca.log_density(X, *loadings_of(fitted))
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-9, atol=1e-9)
    assert fitted.score_samples(X)[3] == 0.0
    complete = factors(20, 6, 2, seed=3)
    density = multivariate_normal(fitted.mean_, fitted.get_covariance()).logpdf(complete)
    np.testing.assert_allclose(fitted.score_samples(complete), density, rtol=1e-10)


def test_density_integrates_to_one():
    fitted = ProbabilisticPCA(1).fit(overlapping(200, 2))
    t = np.linspace(-60, 60, 1501)
    grid = np.stack(np.meshgrid(t, t), axis=-1).reshape(-1, 2)
    assert abs(np.exp(fitted.score_samples(grid)).sum() * (t[1] - t[0]) ** 2 - 1.0) < 1e-9


def test_transform_is_the_posterior_and_tells_its_covariance():
    X = holes(factors(50, 6, 2), 0.3)
    fitted = ProbabilisticPCA(2, tol=1e-6).fit(X)
    means, covariances = fitted.transform(X, return_covariance=True)
    assert covariances.shape == (50, 2, 2)
    for row, mean, covariance in zip(X, means, covariances, strict=True):
        expected = reference_ppca.posterior(row, *loadings_of(fitted))
        np.testing.assert_allclose(mean, expected[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(covariance, expected[1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fitted.transform(X), means, rtol=1e-12)


def test_a_row_that_says_nothing_has_the_prior_as_posterior():
    X = holes(factors(50, 6, 2), 0.3)
    fitted = ProbabilisticPCA(2, tol=1e-6).fit(X)
    mean, covariance = fitted.transform(np.full((1, 6), np.nan), return_covariance=True)
    np.testing.assert_allclose(mean, 0.0, atol=1e-15)
    np.testing.assert_allclose(covariance[0], np.eye(2), rtol=1e-14)
    np.testing.assert_allclose(fitted.impute(np.full((1, 6), np.nan))[0], fitted.mean_)


def test_impute_is_the_conditional_mean_and_leaves_observed_cells():
    X = holes(factors(50, 6, 2), 0.3)
    fitted = ProbabilisticPCA(2, tol=1e-6).fit(X)
    restored, covariance = fitted.impute(X), fitted.get_covariance()
    for row, full in zip(X, restored, strict=True):
        u, o = np.isnan(row), ~np.isnan(row)
        np.testing.assert_array_equal(full[o], row[o])
        if o.any():
            gain = np.linalg.solve(covariance[np.ix_(o, o)], row[o] - fitted.mean_[o])
            expected = fitted.mean_[u] + covariance[np.ix_(u, o)] @ gain
            np.testing.assert_allclose(full[u], expected, rtol=1e-8, atol=1e-8)


def test_missing_cells_are_restored_better_than_by_means():
    X = load_digits().data
    spoiled = holes(X, 0.2)
    restored = ProbabilisticPCA(15).fit(spoiled).impute(spoiled)
    missing = np.isnan(spoiled)
    error = np.sqrt(np.mean((restored - X)[missing] ** 2))
    means = np.sqrt(np.mean((np.nanmean(spoiled, axis=0) - X)[missing] ** 2))
    assert error < 0.7 * means


@pytest.mark.parametrize("sizes", [[2, 3, 295], [100, 199, 1], [150, 150]])
@pytest.mark.parametrize("precision", [None, 1.0])
def test_partial_fit_on_complete_rows_is_fit(sizes, precision):
    X = factors()
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=300)
    options = exact({"component_precision_prior": precision})
    whole = ProbabilisticPCA(2, **options).fit(X, sample_weight=weight)
    parts, start = ProbabilisticPCA(2, **options), 0
    for size in sizes:
        piece = slice(start, start + size)
        parts.partial_fit(X[piece], sample_weight=weight[piece])
        start += size
    close = 1e-9 if precision is None else 1e-5
    np.testing.assert_allclose(parts.components_, whole.components_, rtol=0, atol=close)
    np.testing.assert_allclose(parts.noise_variance_, whole.noise_variance_, rtol=close)
    np.testing.assert_allclose(parts.lower_bound_, whole.lower_bound_, rtol=1e-9)
    assert len(parts.objective_history_) >= len(sizes)


def test_partial_fit_with_missing_cells_comes_near_the_fit():
    X = holes(factors(4000, 8, 2), 0.2)
    whole = ProbabilisticPCA(2, tol=1e-8).fit(X)
    parts = ProbabilisticPCA(2)
    for _ in range(3):
        for piece in np.array_split(X, 20):
            parts.partial_fit(piece)
    assert whole.score(X) - parts.score(X) < 0.01
    assert "calls of partial_fit" in parts.stop_reason_


def test_complete_batches_may_be_followed_by_incomplete_ones():
    X = factors(2000, 8, 2)
    model = ProbabilisticPCA(2).partial_fit(X[:1000])
    for piece in np.array_split(holes(X[1000:], 0.2), 10):
        model.partial_fit(piece)
    assert ProbabilisticPCA(2).fit(X).score(X) - model.score(X) < 0.05


def test_sample_has_the_moments_of_the_model():
    fitted = ProbabilisticPCA(2, random_state=0).fit(factors())
    drawn = fitted.sample(100_000)
    assert drawn.shape == (100_000, 8)
    covariance = fitted.get_covariance()
    scale = np.sqrt(np.diag(covariance))
    assert (np.abs(drawn.mean(axis=0) - fitted.mean_) < 6 * scale / np.sqrt(1e5)).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03 * scale.max() ** 2)


def test_precision_is_the_inverse_of_the_covariance():
    fitted = ProbabilisticPCA(3).fit(factors())
    product = fitted.get_covariance() @ fitted.get_precision()
    np.testing.assert_allclose(product, np.eye(8), atol=1e-12)


@pytest.mark.parametrize("make", ["rank", "constant", "column"])
def test_data_without_noise_give_finite_densities(make):
    X = factors(50, 6, 2)
    if make == "rank":
        X = X[:, :2] @ np.random.default_rng(0).normal(size=(2, 6))
    elif make == "constant":
        X = np.full((50, 6), 3.0)
    else:
        X[:, 2] = 5.0
    fitted = ProbabilisticPCA(3).fit(X)
    assert np.isfinite(fitted.score_samples(X)).all() and np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.get_precision()).all()
    with quiet():
        missing = ProbabilisticPCA(3).fit(holes(X, 0.1))
    assert np.isfinite(missing.score_samples(X)).all()
    np.testing.assert_allclose(missing.impute(holes(X, 0.1)), X, rtol=0.2, atol=3.0)


@pytest.mark.parametrize(
    ("arguments", "data", "pattern"),
    [
        ({"n_components": 8}, factors(), "n_components=8 must be smaller than n_features=8"),
        ({}, factors()[:, :1], "n_features=1"),
        ({"solver": "closed_form"}, holes(factors()), "closed_form"),
        (
            {"solver": "closed_form", "component_precision_prior": 1.0},
            factors(),
            "component_precision_prior",
        ),
        ({}, np.where(np.arange(8) == 3, np.nan, factors()), "column 3"),
        ({}, factors() * 1e200, "too large"),
    ],
)
def test_refusals_name_the_argument(arguments, data, pattern):
    with pytest.raises(ValueError, match=pattern):
        ProbabilisticPCA(**arguments).fit(data)


def test_fit_that_does_not_converge_says_what_to_do():
    model = ProbabilisticPCA(2, max_iter=2, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="max_iter=2 reached.*Increase max_iter"):
        model.fit(holes(factors()))
    assert not model.converged_


def test_warm_start_goes_on():
    X = holes(factors())
    cold = ProbabilisticPCA(2, tol=1e-9).fit(X)
    warm = ProbabilisticPCA(2, tol=1e-9, warm_start=True).fit(X).fit(X)
    assert warm.n_iter_ < cold.n_iter_
    assert warm.lower_bound_ >= cold.lower_bound_ - 1e-9


def test_wide_complete_rows_need_no_covariance_matrix(monkeypatch):
    from skgen.decomposition import probabilistic_pca

    X = factors(60, 100, 3)
    expected = ProbabilisticPCA(3).fit(X)
    monkeypatch.setattr(probabilistic_pca, "MOST_COLUMNS", 10)
    fitted = ProbabilisticPCA(3).fit(X)
    np.testing.assert_allclose(fitted.noise_variance_, expected.noise_variance_, rtol=1e-10)
    np.testing.assert_allclose(fitted.components_, expected.components_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(fitted.lower_bound_, expected.lower_bound_, rtol=1e-10)

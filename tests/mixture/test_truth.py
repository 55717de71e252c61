"""Mixtures against what is known: simulated truths, calibration, published figures.

Every assertion on random numbers has a fixed seed, and would fail on at most one seed in a
million: alpha = 1e-6, or five standard errors (6e-7).
"""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris

from skgen.mixture import BayesianGaussianMixture, GaussianMixture, MAPGaussianMixture
from tests import reference_mixture as reference
from tests.problems import holes, old_faithful, separated
from tests.reference_mixture import STRUCTURES, Posterior, default_mean_field_prior, dense

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

every_structure = pytest.mark.parametrize("structure", STRUCTURES)
CLASSES = (GaussianMixture, MAPGaussianMixture, BayesianGaussianMixture)
every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)

ALPHA = 1e-6


# Recovery -----------------------------------------------------------------------------------


def truth(structure, seed=0):
    """Weights, means and covariance matrices of three groups ten deviations apart."""
    rng = np.random.default_rng(seed)
    weights = np.array([0.2, 0.3, 0.5])
    means = 12.0 * np.eye(3) + rng.normal(size=(3, 3))
    root = rng.normal(size=(3, 3, 3)) / 2
    S = root @ root.transpose(0, 2, 1) + 0.5 * np.eye(3)
    if structure == "tied":
        S = np.stack([S[0]] * 3)
    elif structure == "diag":
        S = np.stack([np.diag(np.diag(matrix)) for matrix in S])
    elif structure == "spherical":
        S = np.stack([np.eye(3) * np.trace(matrix) / 3 for matrix in S])
    return weights, means, S


def simulate(structure, n, seed=0):
    weights, means, S = truth(structure)
    rng = np.random.default_rng(seed)
    group = rng.choice(3, size=n, p=weights)
    L = np.linalg.cholesky(S)
    return means[group] + np.einsum("nij,nj->ni", L[group], rng.normal(size=(n, 3))), group


@every_class
@every_structure
@pytest.mark.parametrize("seed", range(3))
def test_estimates_lie_within_five_standard_errors(kind, structure, seed):
    """Groups do not overlap, so errors are those of known memberships; no prior adds 0.1 of one.

    Of a covariance the standard error is sqrt((S_ii S_jj + S_ij^2) / rows).
    """
    n = 6000
    weights, means, S = truth(structure)
    X, _ = simulate(structure, n, seed)
    fitted = kind(n_components=3, covariance_type=structure, random_state=0, tol=1e-6).fit(X)
    order = fitted.means_.argmax(axis=1).argsort()
    np.testing.assert_array_equal(fitted.means_[order].argmax(axis=1), [0, 1, 2])
    # Priors move estimates by the order of (their rows) / (rows of the group) deviations.
    slack = 0.0 if kind is GaussianMixture else 0.005
    share_error = np.sqrt(weights * (1 - weights) / n)
    assert (np.abs(fitted.weights_[order] - weights) < 5 * share_error + slack / 5).all()
    found = dense(structure, fitted.covariances_, 3, 3)[order]
    for k in range(3):
        rows = n if structure == "tied" else n * weights[k]
        variance = np.diag(S[k])
        error = np.sqrt(variance / (n * weights[k]))
        distance = np.abs(fitted.means_[order][k] - means[k])
        assert (distance < 5 * error + slack * np.abs(means).max() / 3).all()
        error = np.sqrt((np.outer(variance, variance) + S[k] ** 2) / rows)
        if structure in ("diag", "spherical"):
            error *= np.eye(3)
        if structure == "spherical":
            error /= np.sqrt(3)
        # Means of all groups pull 300 rows of a group; its scatter grows by its square.
        pull = 0.0 if kind is GaussianMixture else 200.0 / (n * weights[k])
        assert (np.abs(found[k] - S[k]) <= 5 * error + pull).all()


@every_structure
def test_estimates_lie_within_five_standard_errors_with_missing_cells(structure):
    """Each mean is known from the 80 % of cells that are there, at least."""
    n = 6000
    weights, means, S = truth(structure)
    X, _ = simulate(structure, n)
    Z = holes(X, share=0.2)
    Z = Z[~np.isnan(Z).all(axis=1)]
    fitted = GaussianMixture(3, covariance_type=structure, random_state=0, tol=1e-6).fit(Z)
    order = fitted.means_.argmax(axis=1).argsort()
    found = dense(structure, fitted.covariances_, 3, 3)[order]
    # Rows that miss the one telling cell have open memberships: 10 % for them.
    for k in range(3):
        rows = 0.8 * n * weights[k]
        variance = np.diag(S[k])
        error = 1.1 * np.sqrt(variance / rows)
        assert (np.abs(fitted.means_[order][k] - means[k]) < 5 * error).all()
        rows = 0.64 * (n if structure == "tied" else n * weights[k])
        error = 1.1 * np.sqrt((np.outer(variance, variance) + S[k] ** 2) / rows)
        assert (np.abs(found[k] - S[k]) <= 5 * error).all()


@every_class
def test_memberships_are_recovered(kind):
    X, group = simulate("full", 2000)
    fitted = kind(n_components=3, random_state=0).fit(X)
    label = fitted.means_.argmax(axis=1)[fitted.predict(X)]
    assert (label == group).all()


# Calibration --------------------------------------------------------------------------------


@every_structure
def test_probability_integral_transform_of_draws_from_the_prior_is_uniform(structure):
    """Parameters from the prior, four rows to learn from, one to predict: exact for one Gaussian.

    A plug-in density is too narrow by far here: its transforms pile up at the ends.
    """
    rng = np.random.default_rng(5)
    nu, scale, kappa, mean = 3.0, 2.0, 0.5, 1.0
    names = {"degrees_of_freedom_prior": nu, "mean_precision_prior": kappa, "mean_prior": [mean]}
    shape = {"full": [[scale]], "tied": [[scale]], "diag": [scale], "spherical": scale}[structure]
    mixture = BayesianGaussianMixture(
        n_components=1, covariance_type=structure, covariance_prior=shape, reg_covar=0.0, **names
    )
    prior = reference.Prior(structure, 1.0, kappa, np.array([mean]), nu, shape)
    transforms, plug_in, gains = [], [], []
    for _ in range(150):
        variance = scale / rng.chisquare(nu)
        center = rng.normal(mean, np.sqrt(variance / kappa))
        rows = rng.normal(center, np.sqrt(variance), size=(5, 1))
        mixture.fit(rows[:4])
        q = Posterior.of(mixture, prior)
        # The distribution whose log density score_samples is, at the row itself.
        freedom = float(np.ravel(q.freedom)[0])
        width = np.sqrt(q.scales[0, 0, 0] / freedom * (1 + 1 / q.precision[0]))
        log_density = mixture.score_samples(rows[4:])[0]
        expected = stats.t.logpdf(rows[4, 0], freedom, q.means[0, 0], width)
        assert log_density == pytest.approx(expected, rel=1e-10)
        transforms.append(stats.t.cdf(rows[4, 0], freedom, q.means[0, 0], width))
        deviation = np.sqrt(mixture.covariances_.ravel()[0])
        plug_in.append(stats.norm.cdf(rows[4, 0], q.means[0, 0], deviation))
        gains.append(log_density - stats.norm.logpdf(rows[4, 0], q.means[0, 0], deviation))
    assert stats.kstest(transforms, "uniform").pvalue > ALPHA
    # Of all densities given four rows, the predictive has the largest expected logarithm.
    assert np.mean(gains) > 0
    assert np.var(plug_in) > np.var(transforms)


@pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
@every_structure
def test_probability_integral_transform_of_a_large_fit_is_uniform(structure, kind):
    """The distribution function is summed up from score_samples; 1000 rows to learn, 500 new."""
    rng = np.random.default_rng(0)
    n = 1500
    x = np.where(rng.uniform(size=n) < 0.35, rng.normal(-2, 0.5, n), rng.normal(1, 1.0, n))
    if structure == "tied":
        x = np.where(rng.uniform(size=n) < 0.35, rng.normal(-2, 0.8, n), rng.normal(1, 0.8, n))
    mixture = BayesianGaussianMixture(
        n_components=2,
        covariance_type=structure,
        weight_concentration_prior_type=kind,
        random_state=0,
    ).fit(x[:1000, None])
    grid = np.linspace(-40, 40, 40_001)
    density = np.exp(mixture.score_samples(grid[:, None]))
    total = np.cumsum(density) * (grid[1] - grid[0])
    # The cut-off tails, of t of hundreds of degrees, hold nothing.
    assert total[-1] == pytest.approx(1.0, abs=1e-8)
    assert stats.kstest(np.interp(x[1000:], grid, total), "uniform").pvalue > ALPHA


def held_out(n, k, **mixtures):
    """Average log density of 2000 new rows over 20 draws of n rows of k groups, by name."""
    scores = {name: [] for name in mixtures}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centers = np.array([[0.0, 0, 0, 0], [3, 3, 0, 0], [0, 0, 3, -3]])[:k]

        def draw(n, rng=rng, centers=centers):
            return centers[rng.integers(k, size=n)] + rng.normal(size=(n, 4)) * [1, 0.5, 1, 2]

        X, new = draw(n), draw(2000)
        for name, build in mixtures.items():
            fitted = build(X).set_params(n_components=k, random_state=0, n_init=2).fit(X)
            scores[name].append(fitted.score(new))
    return {name: np.mean(values) for name, values in scores.items()}


def centered_prior(X):
    """MAP whose covariances have their mode where Fraley and Raftery's prior has its scale.

    Their own mode is smaller by 2 (d + 2), so that it is no help where likelihood alone does well.
    """
    d = X.shape[1]
    return MAPGaussianMixture(covariance_prior=2 * (d + 2) * np.cov(X.T) / 2 ** (2 / d))


def test_priors_help_on_few_rows():
    """20 rows for a group in 4 dimensions."""
    score = held_out(
        40,
        2,
        likelihood=lambda X: GaussianMixture(),
        mode=centered_prior,
        mean_field=lambda X: BayesianGaussianMixture(),
    )
    assert score["mode"] > score["likelihood"]
    assert score["mean_field"] > score["likelihood"]


def test_default_priors_help_where_likelihood_overfits():
    """Seven rows for a group in 4 dimensions."""
    score = held_out(
        21,
        3,
        likelihood=lambda X: GaussianMixture(),
        mode=lambda X: MAPGaussianMixture(),
        mean_field=lambda X: BayesianGaussianMixture(),
    )
    assert score["mode"] > score["likelihood"] + 1
    assert score["mean_field"] > score["likelihood"] + 1


# Far from the origin ------------------------------------------------------------------------


@every_class
@every_structure
@pytest.mark.parametrize("missing", [False, True])
def test_a_hundred_million_deviations_away_the_fit_is_the_same(kind, structure, missing):
    """Values on a grid of 2**-20, so that adding 2**27 to them is exact."""
    X = separated(n=160, d=3, k=4)
    X = holes(X, share=0.1) if missing else X
    shift = np.array([2.0**27, -(2.0**27), 2.0**27])
    arguments = {"n_components": 4, "covariance_type": structure, "random_state": 0}
    near, far = kind(**arguments).fit(X), kind(**arguments).fit(X + shift)
    order, other = (
        np.lexsort(np.round((fitted.means_ - c) / 10).T)
        for fitted, c in ((near, 0.0), (far, shift))
    )
    # Means are stored with a spacing of 3e-8 out there.
    np.testing.assert_allclose(far.means_[other] - shift, near.means_[order], atol=1e-6)
    np.testing.assert_allclose(far.weights_[other], near.weights_[order], rtol=1e-8)
    found, expected = (
        fitted.covariances_ if structure == "tied" else fitted.covariances_[places]
        for fitted, places in ((far, other), (near, order))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert far.lower_bound_ == pytest.approx(near.lower_bound_, rel=1e-7)
    np.testing.assert_allclose(far.score_samples(X + shift), near.score_samples(X), atol=1e-5)
    np.testing.assert_allclose(far.impute(X + shift) - shift, near.impute(X), atol=1e-5)


# Published figures --------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "figure"), [(2, -214.3547), (3, -180.186)])
def test_iris_reaches_the_published_likelihood(k, figure):
    """mclust, model VVV: Scrucca et al. (2016)."""
    X = load_iris().data
    arguments = {"n_init": 5, "tol": 1e-10, "max_iter": 3000, "random_state": 0, "reg_covar": 0.0}
    flat = MAPGaussianMixture(k, **reference.flat_prior("full", 4).arguments | arguments).fit(X)
    plain = GaussianMixture(k, **arguments).fit(X)
    for fitted in (flat, plain):
        assert fitted.score(X) * 150 == pytest.approx(figure, abs=0.001)


@pytest.mark.parametrize(
    ("structure", "k", "log_likelihood", "bic"),
    [("full", 2, -1130.264, 2322.192), ("tied", 3, -1126.316, 2314.296)],
)
def test_old_faithful_reaches_the_published_figures(structure, k, log_likelihood, bic):
    """mclust prints 2322.192 and, from EM that stops earlier, 2314.316."""
    X = old_faithful()
    fitted = GaussianMixture(
        k,
        covariance_type=structure,
        n_init=10,
        tol=1e-10,
        max_iter=3000,
        random_state=0,
        reg_covar=0.0,
    ).fit(X)
    assert fitted.score(X) * 272 == pytest.approx(log_likelihood, abs=0.001)
    assert fitted.bic(X) == pytest.approx(bic, abs=0.002)
    if k == 3:
        # mclust prints its variant as 2357.82, from EM that stops earlier.
        assert fitted.icl(X, hard=True) == pytest.approx(2358.39, abs=0.01)
        assert fitted.icl(X) == pytest.approx(2399.78, abs=0.01)


def test_iris_has_two_components_by_every_criterion_and_by_the_bound():
    """BIC and the evidence choose setosa against the rest, as published."""
    X = load_iris().data
    arguments = {"n_init": 3, "tol": 1e-7, "max_iter": 1000, "random_state": 0}
    plain = [GaussianMixture(k, **arguments).fit(X) for k in (1, 2, 3, 4)]
    assert np.argmin([fitted.bic(X) for fitted in plain]) == 1
    assert np.argmin([fitted.icl(X) for fitted in plain]) == 1
    bounds = [
        BayesianGaussianMixture(
            n_components=k, **arguments, **default_mean_field_prior(X, "full", 1).arguments
        )
        .fit(X)
        .lower_bound_
        for k in (1, 2)
    ]
    assert bounds[1] > bounds[0] + 50

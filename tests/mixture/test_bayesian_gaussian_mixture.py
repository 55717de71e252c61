"""BayesianGaussianMixture: a complete bound, a Student t predictive, exact marginals."""

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture as PeerMixture

from skgen.mixture import BayesianGaussianMixture, GaussianMixture
from tests import reference_mixture as reference
from tests.problems import old_faithful, overlapping, separated
from tests.reference_mixture import (
    STRUCTURES,
    Posterior,
    default_mean_field_prior,
    some_prior,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("dirichlet_process", "dirichlet_distribution")
every_structure = pytest.mark.parametrize("structure", STRUCTURES)
both_kinds = pytest.mark.parametrize("sticks", [True, False], ids=KINDS)


def fit(prior, k, X, weight=None, **arguments):
    arguments = {"random_state": 0, "reg_covar": 0.0, "max_iter": 40, "tol": 0.0} | arguments
    mixture = BayesianGaussianMixture(n_components=k, **prior.mean_field_arguments, **arguments)
    return mixture.fit(X, sample_weight=weight)


def some_weights(n, seed=0):
    return np.random.default_rng(seed).uniform(0.3, 2.5, size=n)


def assert_posterior(fitted, q, **tolerance):
    found = Posterior.of(fitted, q.prior)
    for name in ("concentration", "precision", "means", "freedom", "scale"):
        value, expected = getattr(found, name), getattr(q, name)
        np.testing.assert_allclose(value, expected, err_msg=name, **tolerance)


# The evidence -------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@both_kinds
@every_structure
def test_bound_of_one_component_is_the_log_evidence(structure, sticks, weighted):
    X = overlapping(n=40, d=3)
    weight = some_weights(40) if weighted else None
    prior = some_prior(structure, 3, sticks=sticks)
    fitted = fit(prior, 1, X, weight, max_iter=5)
    assert fitted.lower_bound_ == pytest.approx(reference.log_evidence(X, prior, weight), rel=1e-9)
    assert fitted.lower_bound_ == fitted.objective_history_[-1]


@both_kinds
@every_structure
def test_default_bound_of_one_component_is_the_log_evidence(structure, sticks):
    X = overlapping(n=40, d=3)
    prior = default_mean_field_prior(X, structure, 1, sticks)
    kind = prior.mean_field_arguments["weight_concentration_prior_type"]
    fitted = BayesianGaussianMixture(
        covariance_type=structure, weight_concentration_prior_type=kind, reg_covar=0.0
    ).fit(X)
    assert fitted.converged_
    assert fitted.lower_bound_ == pytest.approx(reference.log_evidence(X, prior), rel=1e-9)


@both_kinds
@every_structure
def test_predictive_is_the_ratio_of_evidences(structure, sticks):
    """p(X, x) = p(X) p(x | X)."""
    X, prior = overlapping(n=30, d=3), some_prior(structure, 3, sticks=sticks)
    fits = [fit(prior, 1, X[:n], max_iter=5) for n in (28, 29, 30)]
    for i, (before, then) in enumerate(pairwise(fits)):
        row = X[28 + i : 29 + i]
        assert before.score_samples(row)[0] == pytest.approx(
            then.lower_bound_ - before.lower_bound_, rel=1e-9
        )


@every_structure
def test_bound_ranks_priors_as_the_evidence_does(structure):
    X = overlapping(n=40, d=3)
    priors = [
        replace(some_prior(structure, 3, seed=seed), precision=10.0 ** (1 - seed))
        for seed in range(4)
    ]
    exact = [reference.log_evidence(X, prior) for prior in priors]
    bounds = [fit(prior, 1, X, max_iter=5).lower_bound_ for prior in priors]
    np.testing.assert_allclose(bounds, exact, rtol=1e-9)
    np.testing.assert_array_equal(np.argsort(bounds), np.argsort(exact))


# Iterations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@both_kinds
@every_structure
def test_iterations_and_bound_equal_the_reference(structure, sticks, weighted):
    X, k = overlapping(n=70, d=3, k=3), 3
    weight = some_weights(70) if weighted else None
    prior = some_prior(structure, 3, sticks=sticks)
    for n_iter in (1, 5):
        before, then = (fit(prior, k, X, weight, max_iter=n) for n in (n_iter, n_iter + 1))
        value, q = reference.mean_field_iteration(X, Posterior.of(before, prior), weight)
        assert_posterior(then, q, rtol=1e-9, atol=1e-9)
        # The value belongs to the posterior that the iteration started from.
        assert then.objective_history_[n_iter] == pytest.approx(value, rel=1e-10)
        assert then.objective_history_[:n_iter] == before.objective_history_
        np.testing.assert_allclose(then.weights_, q.weights, rtol=1e-9)


@both_kinds
@every_structure
def test_floor_is_added_as_in_scikit_learn(structure, sticks):
    X, k = overlapping(n=70, d=3, k=3), 3
    prior = some_prior(structure, 3, sticks=sticks)
    before, then = (fit(prior, k, X, max_iter=n, reg_covar=1e-4) for n in (3, 4))
    completed = reference.mean_field_e_step(X, Posterior.of(before, prior))
    moments = reference.expected_moments(completed, np.ones(70))
    q = reference.mean_field_m_step(prior, *moments, reg_covar=1e-4)
    assert_posterior(then, q, rtol=1e-9, atol=1e-9)


@both_kinds
@every_structure
@pytest.mark.parametrize("seed", range(2))
def test_bound_never_falls(structure, sticks, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    X = overlapping(n=80, d=d, k=3, seed=seed) * 10.0 ** rng.uniform(-2, 2)
    prior = default_mean_field_prior(X, structure, 5, sticks)
    fitted = fit(prior, 5, X, some_weights(80, seed), max_iter=80)
    history = np.array(fitted.objective_history_)
    assert np.isfinite(history).all() and len(history) == fitted.n_iter_
    # The law of all objectives: rounding of a sum, 1e-10 of its size.
    assert np.diff(history).min() >= -1e-10 * np.abs(history).max()


@every_structure
def test_sticks_hold_what_the_later_components_hold(structure):
    X = overlapping(n=120, d=2, k=3)
    prior = some_prior(structure, 2, concentration=0.7, sticks=True)
    fitted = fit(prior, 4, X)
    taken, left = fitted.weight_concentration_
    count = taken - 1.0
    assert count.sum() == pytest.approx(120.0, rel=1e-12)
    assert (np.diff(count) <= 1e-9).all()
    np.testing.assert_allclose(left[:-1], 0.7 + np.cumsum(count[::-1])[::-1][1:], rtol=1e-10)
    assert left[-1] == 0.0
    assert fitted.weights_.sum() == pytest.approx(1.0, rel=1e-12)
    # Means of independent beta variables.
    stick = taken / (taken + left)
    expected = stick * np.append(1.0, np.cumprod(1.0 - stick)[:-1])
    np.testing.assert_allclose(fitted.weights_, expected, rtol=1e-10)


@pytest.mark.parametrize("g", [0.3, 1.0, 3.0, 20.0])
def test_any_concentration_of_the_sticks_converges_upwards(g):
    """The order of components is part of the bound: a wrong one lowers it, and ends the fit."""
    for seed in range(6):
        X = overlapping(n=80, d=2, k=3, seed=seed)
        prior = some_prior("full", 2, concentration=g, sticks=True)
        fitted = fit(prior, 3, X, tol=1e-6, max_iter=3000)
        history = np.array(fitted.objective_history_)
        assert np.diff(history).min() >= -1e-10 * np.abs(history).max()
        assert fitted.converged_ and "tol" in fitted.stop_reason_, fitted.stop_reason_


@pytest.mark.parametrize("g", [0.3, 1.0, 3.0, 20.0])
def test_order_of_the_sticks_is_the_best_one(g):
    """Of all orders of the components, at the same responsibilities."""
    for seed in range(3):
        X = overlapping(n=80, d=2, k=3, seed=seed)
        prior = some_prior("full", 2, concentration=g, sticks=True)
        count = fit(prior, 4, X, max_iter=6).weight_concentration_[0] - 1.0
        best = max(
            reference.log_stick_evidence(np.array(order), g) for order in permutations(count)
        )
        assert reference.log_stick_evidence(count, g) >= best - 1e-9


@both_kinds
@every_structure
def test_attributes_follow_their_formulas(structure, sticks):
    X, k, d = overlapping(n=90, d=3, k=3), 3, 3
    prior = some_prior(structure, d, sticks=sticks)
    fitted = fit(prior, k, X)
    count = fitted.mean_precision_ - prior.precision
    assert count.sum() == pytest.approx(90.0, rel=1e-10)
    freedom = {"tied": prior.freedom + 90, "spherical": prior.freedom + d * count}
    np.testing.assert_allclose(
        fitted.degrees_of_freedom_, freedom.get(structure, prior.freedom + count), rtol=1e-10
    )
    shapes = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}
    assert fitted.covariances_.shape == fitted.precisions_.shape == shapes[structure]
    inverse = (
        np.linalg.inv(fitted.covariances_)
        if structure in ("full", "tied")
        else 1 / fitted.covariances_
    )
    np.testing.assert_allclose(fitted.precisions_, inverse, rtol=1e-9, atol=1e-9)


@every_structure
def test_defaults_are_those_of_scikit_learn(structure):
    X = overlapping(n=80, d=3, k=3)
    arguments = {"n_components": 3, "covariance_type": structure, "random_state": 0}
    fitted = BayesianGaussianMixture(**arguments, max_iter=10).fit(X)
    peer = PeerMixture(**arguments, max_iter=2).fit(X)
    for name in (
        "weight_concentration_prior_",
        "mean_precision_prior_",
        "mean_prior_",
        "degrees_of_freedom_prior_",
        "covariance_prior_",
    ):
        np.testing.assert_allclose(getattr(fitted, name), getattr(peer, name), rtol=1e-12)
    assert BayesianGaussianMixture().get_params().items() >= PeerMixture().get_params().items()


# Predictions --------------------------------------------------------------------------------


@both_kinds
@every_structure
def test_density_is_a_mixture_of_students_t(structure, sticks):
    """Parameters of t from the attributes, as Bishop (10.81) and Gelman's chapter 3 have them."""
    X, d = overlapping(n=40, d=3, k=3), 3
    fitted = fit(some_prior(structure, d, sticks=sticks), 3, X)
    asked = overlapping(n=30, d=3, seed=9) * 2
    nu = np.broadcast_to(fitted.degrees_of_freedom_, 3)
    S = reference.dense(structure, fitted.covariances_, 3, d)
    logs = []
    for k in range(3):
        spread = 1.0 + 1.0 / fitted.mean_precision_[k]
        mean = fitted.means_[k]
        if structure == "diag":
            t = stats.t(nu[k], mean, np.sqrt(spread * np.diag(S[k])))
            logs.append(t.logpdf(asked).sum(axis=1))
        else:
            freedom = nu[k] + 1 - d if structure in ("full", "tied") else nu[k]
            shape = spread * nu[k] / freedom * S[k]
            logs.append(stats.multivariate_t(mean, shape, freedom).logpdf(asked))
    expected = logsumexp(np.stack(logs, axis=1) + np.log(fitted.weights_), axis=1)
    np.testing.assert_allclose(fitted.score_samples(asked), expected, rtol=1e-10)
    assert fitted.score(asked) == pytest.approx(expected.mean(), rel=1e-10)


def stretched(n, scale, reach):
    """Points s sinh(u) and their widths: fine in the middle, far at the ends."""
    u = np.linspace(-reach, reach, n)
    return scale * np.sinh(u), scale * np.cosh(u) * (u[1] - u[0])


@both_kinds
@every_structure
def test_density_integrates_to_one_in_one_dimension(structure, sticks):
    X = overlapping(n=25, d=1, k=2)
    fitted = fit(default_mean_field_prior(X, structure, 3, sticks), 3, X)
    x, width = stretched(40_001, X.std(), 35.0)
    total = width @ np.exp(fitted.score_samples(X.mean() + x[:, None]))
    assert abs(total - 1) < 1e-9


@every_structure
def test_density_integrates_to_one_in_two_dimensions(structure):
    X = overlapping(n=40, d=2, k=2)
    fitted = fit(some_prior(structure, 2, sticks=True), 2, X)
    x, width = stretched(501, X.std(), 12.0)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2) + X.mean(axis=0)
    density = np.exp(fitted.score_samples(grid)).reshape(501, 501)
    # A step of 0.05 deviations; tails are cut off at 1e5 of them.
    assert abs(width @ density @ width - 1) < 1e-7


@both_kinds
@every_structure
def test_density_integrates_to_one_in_three_dimensions(structure, sticks):
    """By importance sampling; 4.9 standard errors are alpha = 1e-6."""
    X = overlapping(n=60, d=3, k=3)
    fitted = fit(default_mean_field_prior(X, structure, 3, sticks), 3, X)
    wide = stats.multivariate_t(X.mean(axis=0), 2 * np.cov(X.T), df=2, seed=1)
    drawn = wide.rvs(100_000)
    ratio = np.exp(fitted.score_samples(drawn) - wide.logpdf(drawn))
    assert abs(ratio.mean() - 1) < 4.9 * ratio.std() / np.sqrt(len(ratio))


@both_kinds
@every_structure
def test_sample_follows_the_density(structure, sticks):
    """Few rows, so that t has long tails; moments of log p and distributions by sums on a grid."""
    X = overlapping(n=20, d=2, k=2)
    fitted = fit(some_prior(structure, 2, sticks=sticks), 2, X)
    x, width = stretched(401, X.std(), 12.0)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2) + X.mean(axis=0)
    log_density = fitted.score_samples(grid).reshape(401, 401)
    mean = width @ (np.exp(log_density) * log_density) @ width
    drawn, component = fitted.sample(40_000)
    score = fitted.score_samples(drawn)
    # Five standard errors, and five of a variance of log p, in which tails count more.
    assert abs(score.mean() - mean) < 5 * score.std() / 200
    square = (score - mean) ** 2
    variance = width @ (np.exp(log_density) * (log_density - mean) ** 2) @ width
    assert abs(square.mean() - variance) < 5 * square.std() / 200
    share = np.bincount(component, minlength=2) / 40_000
    np.testing.assert_allclose(share, fitted.weights_, atol=5 * 0.5 / 200)
    for column in (0, 1):
        part = fitted.marginal([column])
        density = width @ np.exp(log_density) if column == 0 else np.exp(log_density) @ width
        found = np.exp(part.score_samples(X.mean(axis=0)[column] + x[:, None]))
        np.testing.assert_allclose(found, density, rtol=1e-6, atol=1e-9)
        total = np.cumsum(density * width)
        uniform = np.interp(
            drawn[:, column] - X.mean(axis=0)[column], x, total - 0.5 * density * width
        )
        # alpha = 1e-6 is 0.0135; the distribution function is summed in steps of 0.06 deviations.
        assert stats.kstest(uniform, "uniform").statistic < 0.015


@both_kinds
@every_structure
def test_plug_in_density_and_responsibilities_are_those_of_rho(structure, sticks):
    X = overlapping(n=60, d=3, k=3)
    prior = some_prior(structure, 3, sticks=sticks)
    fitted = fit(prior, 3, X, max_iter=8)
    rho = reference.mean_field_e_step(X, Posterior.of(fitted, prior))
    np.testing.assert_allclose(fitted.plug_in_score_samples(X), rho.log_norm, rtol=1e-10)
    np.testing.assert_allclose(fitted.predict_proba(X), rho.responsibilities, atol=1e-10)
    np.testing.assert_array_equal(fitted.predict(X), rho.joint.argmax(axis=1))


@both_kinds
@every_structure
def test_gaussian_mixture_at_the_posterior_means(structure, sticks):
    X = overlapping(n=60, d=3, k=3)
    fitted = fit(some_prior(structure, 3, sticks=sticks), 3, X)
    plain = fitted.as_gaussian_mixture()
    assert isinstance(plain, GaussianMixture) and plain.covariance_type == structure
    np.testing.assert_allclose(plain.weights_, fitted.weights_, rtol=1e-12)
    np.testing.assert_allclose(plain.means_, fitted.means_, rtol=1e-12)
    joint = reference.e_step(X, structure, plain.weights_, plain.means_, plain.covariances_)
    np.testing.assert_allclose(plain.score_samples(X), joint.log_norm, rtol=1e-9)
    with pytest.raises(NotFittedError):
        BayesianGaussianMixture().as_gaussian_mixture()
    # A posterior of many rows is its mean.
    rows = np.tile(X, (2000, 1))
    many = fit(some_prior(structure, 3, sticks=sticks), 2, X, np.full(60, 1e7), max_iter=10)
    np.testing.assert_allclose(
        many.as_gaussian_mixture().score_samples(rows[:60]), many.score_samples(X), atol=1e-5
    )


DEGENERATE = {
    "a point per component": (np.array([[0.0, 0], [3, 1], [9, 4], [1, 8], [7, 7]]), 5),
    "identical rows": (np.ones((12, 3)), 2),
    "constant columns": (np.c_[np.ones(20), np.linspace(0, 1, 20) ** 2, np.zeros(20)], 2),
    "fewer rows than features": (np.random.default_rng(0).normal(size=(4, 9)), 2),
    "a far row": (np.r_[np.random.default_rng(0).normal(size=(20, 2)), [[80.0, 80.0]]], 2),
}


@pytest.mark.parametrize("case", DEGENERATE)
@both_kinds
@every_structure
def test_degenerate_rows_have_a_posterior(structure, sticks, case):
    """As in scikit-learn, with the default floor where the default scale is singular."""
    X, k = DEGENERATE[case]
    kind = KINDS[0 if sticks else 1]
    fitted = BayesianGaussianMixture(
        n_components=k,
        covariance_type=structure,
        weight_concentration_prior_type=kind,
        random_state=0,
    ).fit(X)
    d = X.shape[1]
    matrices = reference.dense(structure, fitted.covariances_, k, d)
    assert np.linalg.eigvalsh(matrices).min() > 0.0
    assert np.isfinite(fitted.objective_history_).all()
    assert np.isfinite(fitted.score_samples(X)).all()


# Marginals ----------------------------------------------------------------------------------


@both_kinds
@every_structure
def test_marginal_of_the_posterior_is_exact(structure, sticks):
    """The inverse Wishart of a block has as many degrees fewer as columns were dropped."""
    X, columns = overlapping(n=40, d=3, k=2), [2, 0]
    fitted = fit(some_prior(structure, 3, sticks=sticks), 2, X)
    part = fitted.marginal(columns)
    assert isinstance(part, BayesianGaussianMixture) and part.n_features_in_ == 2
    dropped = 1 if structure in ("full", "tied") else 0
    np.testing.assert_allclose(
        part.degrees_of_freedom_, np.asarray(fitted.degrees_of_freedom_) - dropped, rtol=1e-12
    )
    np.testing.assert_allclose(part.means_, fitted.means_[:, columns], rtol=1e-12)
    np.testing.assert_allclose(part.weights_, fitted.weights_, rtol=1e-12)
    np.testing.assert_allclose(part.mean_precision_, fitted.mean_precision_, rtol=1e-12)
    scale = Posterior.of(fitted, some_prior(structure, 3, sticks=sticks)).scales
    own = Posterior.of(part, some_prior(structure, 2, sticks=sticks)).scales
    np.testing.assert_allclose(own, scale[:, columns][:, :, columns], rtol=1e-10)
    # Against the integral over the dropped column.
    x, width = stretched(4001, X[:, 1].std(), 25.0)
    for row in X[:5]:
        line = np.tile(row, (len(x), 1))
        line[:, 1] = X[:, 1].mean() + x
        total = np.log(width @ np.exp(fitted.score_samples(line)))
        assert part.score_samples(row[None, columns])[0] == pytest.approx(total, abs=1e-8)


# Known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [1e-3, None])
@pytest.mark.parametrize("kind", KINDS)
def test_old_faithful_keeps_two_of_six_components(kind, concentration):
    """Bishop (2006), figure 10.6; what remains elsewhere is less than three rows."""
    mixture = BayesianGaussianMixture(
        n_components=6,
        weight_concentration_prior_type=kind,
        weight_concentration_prior=concentration,
        max_iter=2000,
        tol=1e-6,
        random_state=0,
    ).fit(old_faithful())
    large = mixture.weights_ > 0.01
    assert large.sum() == 2
    # Centers and shares of the two kinds of eruptions, as the maximum likelihood fit has them.
    order = np.argsort(mixture.means_[large][:, 0])
    means = mixture.means_[large][order]
    np.testing.assert_allclose(means, [[2.04, 54.5], [4.29, 80.0]], rtol=0.02)
    np.testing.assert_allclose(mixture.weights_[large][order], [0.356, 0.644], atol=0.02)


def ordered(fitted, names):
    order = np.argsort(np.round(fitted.means_ @ [1.0, 100.0, 10_000.0]))
    return {name: np.asarray(getattr(fitted, name))[order] for name in names}


def blobs():
    """Four groups at distance 30, of unequal sizes."""
    X = separated(n=240)
    return X[(np.arange(240) % 4 == 0) | (np.arange(240) >= 30 * (np.arange(240) % 4))]


@pytest.mark.parametrize("structure", ["full", "diag"])
def test_well_separated_groups_give_the_posterior_of_scikit_learn(structure):
    X = blobs()
    arguments = {
        "n_components": 4,
        "covariance_type": structure,
        "weight_concentration_prior_type": "dirichlet_distribution",
        "random_state": 0,
        "n_init": 3,
        "max_iter": 100,
    }
    ours = BayesianGaussianMixture(**arguments).fit(X)
    peer = PeerMixture(**arguments).fit(X)
    names = (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "weight_concentration_",
        "mean_precision_",
        "degrees_of_freedom_",
    )
    mine, theirs = ordered(ours, names), ordered(peer, names)
    for name in names:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-8, atol=1e-9, err_msg=name)
    if structure == "full":
        np.testing.assert_allclose(ours.plug_in_score_samples(X), peer.score_samples(X), rtol=1e-8)


def test_well_separated_groups_under_sticks_come_in_order_of_size():
    X = blobs()
    arguments = {"n_components": 4, "random_state": 0, "n_init": 3, "max_iter": 100}
    ours = BayesianGaussianMixture(**arguments).fit(X)
    peer = PeerMixture(**arguments).fit(X)
    names = ("means_", "covariances_", "mean_precision_", "degrees_of_freedom_")
    mine, theirs = ordered(ours, names), ordered(peer, names)
    for name in names:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-8, atol=1e-9, err_msg=name)
    assert (np.diff(ours.weights_) < 0).all()


@both_kinds
@every_structure
def test_weight_is_repetition(structure, sticks):
    X = overlapping(n=90, d=3, k=3)
    weight = np.random.default_rng(0).integers(0, 4, size=90)
    arguments = {
        "n_components": 3,
        "covariance_type": structure,
        "weight_concentration_prior_type": KINDS[0 if sticks else 1],
        "random_state": 0,
        "max_iter": 25,
        "tol": 0.0,
    }
    by_weight = BayesianGaussianMixture(**arguments).fit(X, sample_weight=weight)
    by_copies = BayesianGaussianMixture(**arguments).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(
        by_weight.objective_history_, by_copies.objective_history_, rtol=1e-9
    )
    for name in ("weights_", "means_", "covariances_", "degrees_of_freedom_", "covariance_prior_"):
        np.testing.assert_allclose(
            getattr(by_weight, name), getattr(by_copies, name), rtol=1e-8, atol=1e-8
        )


@pytest.mark.parametrize(
    ("structure", "name", "value"),
    [
        ("full", "weight_concentration_prior", 0.0),
        ("full", "weight_concentration_prior", np.nan),
        ("full", "mean_precision_prior", 0.0),
        ("full", "mean_precision_prior", np.nan),
        ("full", "mean_prior", np.zeros(3)),
        ("full", "mean_prior", [0.0, np.inf]),
        ("full", "degrees_of_freedom_prior", 1.0),
        ("tied", "degrees_of_freedom_prior", 0.5),
        ("diag", "degrees_of_freedom_prior", 0.0),
        ("full", "degrees_of_freedom_prior", np.nan),
        ("full", "covariance_prior", np.eye(3)),
        ("full", "covariance_prior", np.zeros((2, 2))),
        ("full", "covariance_prior", [[1.0, 0.5], [0.0, 1.0]]),
        ("tied", "covariance_prior", [[1.0, 2.0], [2.0, 1.0]]),
        ("diag", "covariance_prior", [1.0, 0.0]),
        ("diag", "covariance_prior", np.ones(3)),
        ("spherical", "covariance_prior", 0.0),
        ("spherical", "covariance_prior", np.nan),
    ],
)
def test_bad_priors_are_refused_by_name(structure, name, value):
    """The evidence needs proper priors; scikit-learn's messages may leave the `_prior` away."""
    X = overlapping(n=30, d=2, k=2)
    mixture = BayesianGaussianMixture(n_components=2, covariance_type=structure, **{name: value})
    words = {"covariance_prior": "covariance.prior", "mean_prior": "mean|means"}
    with pytest.raises(ValueError, match=words.get(name, name)):
        mixture.fit(X)
    assert not hasattr(mixture, "means_")


# Components that are not needed ------------------------------------------------------------------


@both_kinds
@every_structure
def test_small_components_are_removed_once_converged(structure, sticks):
    X = separated(n=240, d=2, k=3)
    arguments = {
        "n_components": 8,
        "covariance_type": structure,
        "weight_concentration_prior_type": KINDS[not sticks],
        "weight_concentration_prior": 1e-2,
        "max_iter": 500,
        "random_state": 0,
    }
    whole = BayesianGaussianMixture(**arguments).fit(X)
    pruned = BayesianGaussianMixture(**arguments, prune_threshold=0.01).fit(X)
    assert len(pruned.weights_) == (whole.weights_ >= 0.01).sum() < 8
    assert pruned.lower_bound_ >= whole.lower_bound_
    assert pruned.converged_
    assert "prune_threshold" in pruned.stop_reason_
    assert pruned.predict_proba(X).shape == (240, len(pruned.weights_))
    # A run that was ended from outside is left as it is.
    ended = BayesianGaussianMixture(**arguments, prune_threshold=0.1)
    ended.set_params(max_iter=2, tol=0.0).fit(X)
    assert ended.weights_.min() < 0.1
    assert (len(ended.weights_), ended.n_iter_) == (8, 2)

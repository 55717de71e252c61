"""The references that the mixtures are tested against, tested against one another."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import logsumexp

from tests import reference_mixture as reference
from tests.problems import holes, overlapping
from tests.reference_mixture import STRUCTURES, Posterior, some_prior


def with_an_empty_row(X):
    """X with holes and a row without any cell."""
    X = holes(X)
    X[5] = np.nan
    return X


def one_gaussian(X, prior, weight=None):
    """The exact posterior of a single component."""
    start = reference.hard_start(X, np.zeros(len(X), dtype=int), 1, prior, weight)
    return reference.mean_field_m_step(prior, *start)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_evidence_in_one_dimension_is_the_integral(structure):
    x = np.array([0.3, 1.7, -0.4])
    prior = replace(some_prior(structure, 1), freedom=2.5)
    nu, scale = 2.5, float(np.ravel(prior.scale)[0])

    # The trapezoid rule is spectrally exact: nothing is left at the ends.
    u, z = np.linspace(-12, 40, 4001), np.linspace(-12, 12, 401)
    deviation = np.sqrt(np.exp(u)[:, None] / (prior.precision + 3))
    mean = (prior.precision * prior.mean[0] + x.sum()) / (prior.precision + 3) + deviation * z
    variance = np.exp(u)[:, None]
    value = stats.norm.logpdf(mean, prior.mean[0], np.sqrt(variance / prior.precision))
    value += stats.invgamma.logpdf(variance, nu / 2, scale=scale / 2)
    for row in x:
        value += stats.norm.logpdf(row, mean, np.sqrt(variance))
    total = (np.exp(value) * deviation * variance).sum() * (u[1] - u[0]) * (z[1] - z[0])
    assert np.log(total) == pytest.approx(reference.log_evidence(x[:, None], prior), rel=1e-9)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_evidence_is_the_product_of_predictives(structure):
    X, prior = overlapping(n=12, d=3), some_prior(structure, 3)
    rows = range(3, len(X))
    added = [reference.predictive(X[i : i + 1], one_gaussian(X[:i], prior))[0] for i in rows]
    whole, part = (reference.log_evidence(Z, prior) for Z in (X, X[:3]))
    assert whole - part == pytest.approx(sum(added), rel=1e-12)


@pytest.mark.parametrize("sticks", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_bound_of_one_component_is_the_evidence(structure, sticks):
    X, prior = overlapping(n=30, d=3), some_prior(structure, 3, sticks=sticks)
    weight = np.random.default_rng(0).uniform(0.2, 2.0, size=30)
    q = one_gaussian(X, prior, weight)
    assert reference.bound(X, q, weight) == pytest.approx(
        reference.log_evidence(X, prior, weight), rel=1e-12
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_log_priors_are_those_of_scipy(structure):
    rng = np.random.default_rng(0)
    prior = some_prior(structure, 2, concentration=2.0)
    weights, means = np.array([0.2, 0.3, 0.5]), rng.normal(size=(3, 2))
    roots = rng.normal(size=(3, 2, 2))
    matrices = roots @ roots.transpose(0, 2, 1) + np.eye(2)
    covariances = reference.of_structure(structure, matrices)
    expected = stats.dirichlet([2.0] * 3).logpdf(weights)
    for mean, S in zip(means, reference.dense(structure, covariances, 3, 2), strict=True):
        expected += stats.multivariate_normal(prior.mean, S / prior.precision).logpdf(mean)
    if structure in ("full", "tied"):
        matrices = np.atleast_3d(covariances) if structure == "full" else [covariances]
        for S in matrices:
            expected += stats.invwishart(prior.freedom, prior.scale).logpdf(S)
    else:
        scale = np.broadcast_to(prior.scale, np.shape(covariances))
        expected += stats.invgamma.logpdf(covariances, prior.freedom / 2, scale=scale / 2).sum()
    assert reference.log_prior(prior, weights, means, covariances) == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_em_with_missing_cells_never_falls(structure, flat):
    X = with_an_empty_row(overlapping(n=30, d=3, k=2))
    prior = reference.flat_prior(structure, 3) if flat else some_prior(structure, 3)
    labels = np.arange(30) % 3
    params = reference.maximize(prior, *reference.hard_start(X, labels, 3, prior))
    values = []
    for _ in range(6):
        value, params = reference.em_iteration(X, prior, *params)
        values.append(value)
    assert np.diff(values).min() > -1e-9


@pytest.mark.parametrize("structure", STRUCTURES)
def test_em_with_missing_cells_climbs_the_log_posterior(structure):
    """Its fixed point has no slope: what is known of the cells is right."""
    X = with_an_empty_row(overlapping(n=40, d=2, k=1))
    prior = some_prior(structure, 2)
    params = reference.maximize(prior, *reference.hard_start(X, np.zeros(40, dtype=int), 1, prior))
    for _ in range(60):
        value, params = reference.em_iteration(X, prior, *params)

    def log_posterior(means):
        return reference.em_iteration(X, prior, params[0], means.reshape(1, 2), params[2])[0]

    slope = optimize.approx_fprime(params[1].ravel(), log_posterior, 1e-5)
    assert np.abs(slope).max() < 1e-3
    for factor in (0.99, 1.01):
        other = reference.em_iteration(X, prior, *params[:2], params[2] * factor)[0]
        assert other < value


@pytest.mark.parametrize("sticks", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_mean_field_never_falls_and_stays_below_the_evidence(structure, missing, sticks):
    X = overlapping(n=30, d=3, k=2)
    X = with_an_empty_row(X) if missing else X
    prior = some_prior(structure, 3, sticks=sticks)
    weight = np.random.default_rng(1).uniform(0.3, 2.0, size=30)
    start = reference.hard_start(X, np.arange(30) % 3, 3, prior, weight)
    q, values = reference.mean_field_m_step(prior, *start), []
    for _ in range(6):
        value, q = reference.mean_field_iteration(X, q, weight)
        values.append(value)
    assert np.diff(values).min() > -1e-9


@pytest.mark.parametrize("sticks", [False, True])
@pytest.mark.parametrize("structure", ["full", "diag", "spherical"])
def test_bound_is_below_the_evidence_summed_over_all_memberships(structure, sticks):
    """Five rows, two components: the 32 memberships one by one.

    Where components share a covariance, memberships have no product of evidences.
    """
    X, prior = overlapping(n=5, d=2, k=2), some_prior(structure, 2, sticks=sticks)
    logs = []
    for number in range(32):
        labels = (number >> np.arange(5)) & 1
        count = np.bincount(labels, minlength=2)
        value = sum(reference.log_evidence(X[labels == j], prior) for j in range(2) if count[j] > 0)
        a, b = (1.0, prior.concentration) if sticks else (prior.concentration,) * 2
        value += stats.betabinom(5, a, b).logpmf(count[0]) - np.log(
            stats.binom(5, 0.5).pmf(count[0]) * 2**5
        )
        logs.append(value)
    evidence = logsumexp(logs)
    start = reference.hard_start(X, np.array([0, 0, 1, 1, 1]), 2, prior)
    q = reference.mean_field_m_step(prior, *start)
    for _ in range(60):
        value, q = reference.mean_field_iteration(X, q)
    # The gap is the divergence of the posterior from a product: positive, and not large here.
    assert evidence - 5.0 < value < evidence
    assert isinstance(q, Posterior)


@pytest.mark.parametrize("sticks", [False, True])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_bound_is_the_sum_of_log_norms_minus_divergences(structure, missing, sticks):
    """After an E-step the bound is sum_i ln sum_k rho_ik - KL(q | prior).

    Shifting every row's terms by its ln rho makes the bound linear in the row weights, so that
    the difference of two weights is the log norm of the rows between.
    """
    X = overlapping(n=20, d=3, k=2)
    X = with_an_empty_row(X) if missing else X
    prior = some_prior(structure, 3, sticks=sticks)
    start = reference.hard_start(X, np.arange(20) % 3, 3, prior)
    q = reference.mean_field_m_step(prior, *start)
    weight = np.random.default_rng(2).uniform(0.3, 2.0, size=20)
    log_norm = reference.mean_field_e_step(X, q).log_norm
    difference = reference.bound(X, q, weight) - reference.bound(X, q, np.zeros(20))
    assert difference == pytest.approx(weight @ log_norm, rel=1e-12)

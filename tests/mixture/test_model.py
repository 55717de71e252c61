"""The pieces of the EM model that acceleration needs, against brute force."""

import numpy as np
import pytest

from skgen.distributions.gaussian import (
    STRUCTURES,
    GaussianParams,
    expected_log_joint,
    log_weights,
)
from skgen.mixture.inference import MaximumLikelihood
from skgen.mixture.model import MixtureModel, responsibilities, total_scatter
from skgen.rows import Rows
from tests.problems import overlapping


def random_params(structure, k, d, seed, center=0.0):
    rng = np.random.default_rng(seed)
    factors = {
        "full": np.triu(rng.normal(size=(k, d, d)), 1) + np.eye(d) * rng.uniform(0.5, 2, (k, d, 1)),
        "tied": np.triu(rng.normal(size=(d, d)), 1) + np.diag(rng.uniform(0.5, 2, d)),
        "diag": rng.uniform(0.5, 2, (k, d)),
        "spherical": rng.uniform(0.5, 2, k),
    }[structure.name]
    means = center + rng.normal(size=(k, d))
    return GaussianParams(
        rng.dirichlet(np.ones(k)), means, structure.covariances_of(factors), factors
    )


def model_of(X, structure, weight=None, **options):
    rows = Rows(X, weight)
    scatter = total_scatter(rows, X.mean(axis=0)) if structure.name == "tied" else None
    model = MixtureModel(
        structure, X.dtype, MaximumLikelihood(), scatter=scatter, scale=X.std(axis=0), **options
    )
    return rows, model


def factor_list(structure, factors, k, d):
    """The factors as k matrices."""
    if structure.name == "tied":
        return [factors] * k
    return [np.eye(d) * f if structure.name != "full" else f for f in factors]


@pytest.mark.parametrize("center", [0.0, 1e4])
@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_expected_log_joint_is_the_sum_over_rows(structure, center):
    X = overlapping(n=200, d=3, k=4) + center
    weight = np.random.default_rng(0).gamma(1.0, size=len(X))
    rows, model = model_of(X, structure, weight)
    old, new = (random_params(structure, 4, 3, seed, center) for seed in (1, 2))
    prepared = model.prepare(old)
    moments = rows.sum(model.e_step, prepared)
    R = weight[:, None] * responsibilities(rows, prepared)
    joint = np.empty_like(R)
    constant = np.broadcast_to(log_weights(structure, new), 4)
    for k, factor in enumerate(factor_list(structure, new.factors, 4, 3)):
        joint[:, k] = constant[k] - 0.5 * (((X - new.means[k]) @ factor) ** 2).sum(axis=1)
    ours = expected_log_joint(
        structure, moments, new.means, new.factors, log_weights(structure, new), model.scatter
    )
    assert ours == pytest.approx((R * joint).sum(), rel=1e-11)


@pytest.mark.parametrize("options", [{}, {"floor": 1e-2}, {"floor": 0.3, "penalized": True}])
@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_gain_is_a_lower_bound_of_the_rise_of_the_merit(structure, options):
    X = overlapping(n=200, d=3, k=4)
    rows, model = model_of(X, structure, **options)
    for seed in range(6):
        old = random_params(structure, 4, 3, seed)
        statistic = rows.sum(model.e_step, model.prepare(old))
        for new in (model.m_step(old, statistic), random_params(structure, 4, 3, seed + 50)):
            there = rows.sum(model.e_step, model.prepare(new))
            rise = model.merit(new, there) - model.merit(old, statistic)
            # What the floor costs is known to second order in it where the E-step ignores it.
            slack = 0.0 if options.get("penalized") else options.get("floor", 0.0)
            assert model.gain(statistic, old, new) <= rise + 1e-12 + slack
        assert model.gain(statistic, old, model.m_step(old, statistic)) >= -1e-13
        assert model.gain(statistic, old, old) == 0.0


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_packing_is_reversible_and_every_vector_is_a_mixture(structure):
    X = overlapping(n=200, d=3, k=3) * [1.0, 100.0, 0.01]
    _, model = model_of(X, structure)
    params = random_params(structure, 3, 3, 0)
    back = model.unpack(model.pack(params), params)
    for name in ("weights", "means", "covariances", "factors"):
        np.testing.assert_allclose(getattr(back, name), getattr(params, name), rtol=1e-12)
    vector = model.pack(params)
    vector += np.random.default_rng(0).normal(size=len(vector))
    moved = model.unpack(vector, params)
    assert moved.weights.sum() == pytest.approx(1.0)
    shifted = model.pack(moved) - vector
    np.testing.assert_allclose(shifted[:3], shifted[0], rtol=1e-9)
    np.testing.assert_allclose(shifted[3:], 0.0, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_component_of_weight_zero_stays_so(structure):
    X = overlapping(n=200, d=3, k=3)
    _, model = model_of(X, structure)
    params = random_params(structure, 3, 3, 0)
    params = GaussianParams(np.array([0.4, 0.6, 0.0]), *list(vars(params).values())[1:])
    vector = model.pack(params)
    assert np.isfinite(vector).all()
    back = model.unpack(vector, params)
    np.testing.assert_allclose(back.weights, params.weights, rtol=1e-12)
    assert back.weights[2] == 0.0


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
@pytest.mark.parametrize("step", [2000.0, -2000.0, np.nan])
def test_vector_that_overflows_is_no_mixture(structure, step):
    X = overlapping(n=200, d=3, k=3)
    _, model = model_of(X, structure)
    params = random_params(structure, 3, 3, 0)
    vector = model.pack(params)
    vector[3 + 9] += step
    with pytest.raises(ValueError, match="no mixture"):
        model.unpack(vector, params)

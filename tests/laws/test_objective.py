"""objective_history_ never goes the wrong way, and tells the truth."""

import os

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Random problems per configuration; a release runs 1000.
PROBLEMS = int(os.environ.get("TESTED_PROBLEMS", 12))

monotone = entries(lambda entry: entry.direction != 0)
densities = entries(lambda entry: entry.density and entry.direction != 0)


def assert_never_worse(history, direction, what):
    history = np.asarray(history, dtype=np.float64)
    assert history.ndim == 1 and len(history) > 0
    assert np.isfinite(history).all(), what
    # The sum of n rounded terms is good to some 1e-13 of its size; the gate is 1e-10.
    fall = -direction * np.diff(history)
    allowed = 1e-10 * np.maximum(np.abs(history[1:]), np.abs(history[:-1]))
    assert (fall <= allowed).all(), f"{what}: falls by {(fall - allowed).max():.3e}"


def random_problem(seed, fewest_columns=1):
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(30, 300)), int(rng.integers(1, 9)), int(rng.integers(1, 7))
    d = max(d, fewest_columns)
    scale = 10.0 ** rng.uniform(-2, 3)
    offset = 10.0 ** rng.uniform(-2, 3)
    like = overlapping(n, d, k, seed)
    return scale * like + offset, like, rng


@pytest.mark.parametrize(**monotone)
@pytest.mark.parametrize("seed", range(PROBLEMS))
def test_objective_never_goes_the_wrong_way(entry, seed):
    X, like, _ = random_problem(seed, entry.fewest_columns)
    fitted = entry.single(random_state=seed, tol=0.0, max_iter=40).fit(**entry.data(X, like))
    assert_never_worse(fitted.objective_history_, entry.direction, (entry.name, seed))


@pytest.mark.parametrize(**entries(lambda entry: entry.weighted and entry.direction != 0))
@pytest.mark.parametrize("seed", range(PROBLEMS))
def test_objective_never_goes_the_wrong_way_with_weights(entry, seed):
    X, like, rng = random_problem(100 + seed, entry.fewest_columns)
    weight = rng.gamma(0.5, size=len(X)) * 10.0 ** rng.uniform(-3, 3)
    weight[: len(X) // 7] = 0.0
    fitted = entry.single(random_state=seed, tol=0.0, max_iter=40)
    fitted.fit(**entry.data(X, like), sample_weight=weight)
    assert_never_worse(fitted.objective_history_, entry.direction, (entry.name, seed))


@pytest.mark.parametrize(**densities)
@pytest.mark.parametrize("seed", range(PROBLEMS))
@pytest.mark.parametrize("strength", [1e-2, 1.0])
def test_bound_never_falls_with_strong_regularization(entry, seed, strength):
    """The floor under the covariances must be part of the objective, or the bound falls."""
    X, _, _ = random_problem(200 + seed)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    fitted = entry.single(random_state=seed, tol=0.0, max_iter=40, reg_covar=strength).fit(X)
    assert_never_worse(fitted.objective_history_, entry.direction, (entry.name, seed))


@pytest.mark.parametrize(**densities)
def test_bound_never_falls_on_nearly_singular_data(entry):
    X, _, rng = random_problem(3)
    X = np.column_stack([X, X[:, 0] + 1e-7 * rng.normal(size=len(X)), np.zeros(len(X))])
    fitted = entry.build(n_init=1, tol=0.0, max_iter=40).fit(X)
    assert_never_worse(fitted.objective_history_, entry.direction, entry.name)


@pytest.mark.parametrize(**monotone)
def test_history_has_one_value_per_iteration_of_the_best_run(entry):
    X = overlapping()
    fitted = entry.build(**entry.accepts(n_init=3)).fit(**entry.data(X))
    assert len(fitted.objective_history_) == fitted.n_iter_
    assert isinstance(fitted.stop_reason_, str) and fitted.stop_reason_


@pytest.mark.parametrize(**entries(lambda e: e.direction == -1 and "inertia_" in e.parameters))
def test_inertia_is_the_weighted_squared_distance_to_the_nearest_center(entry):
    X = overlapping()
    weight = np.random.default_rng(0).uniform(size=len(X))
    fitted = entry.build().fit(X, sample_weight=weight)
    distance = ((X[:, None] - fitted.cluster_centers_) ** 2).sum(axis=2)
    np.testing.assert_array_equal(fitted.labels_, distance.argmin(axis=1))
    np.testing.assert_allclose(fitted.inertia_, (weight * distance.min(axis=1)).sum(), rtol=1e-12)
    assert fitted.inertia_ <= fitted.objective_history_[-1] * (1 + 1e-10)


@pytest.mark.parametrize(**densities)
def test_more_restarts_are_never_worse(entry):
    X = overlapping(k=6)
    bounds = [entry.build(n_init=n).fit(X).lower_bound_ for n in (1, 2, 5)]
    assert bounds == sorted(bounds)

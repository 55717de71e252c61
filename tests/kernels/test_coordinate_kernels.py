"""The coordinate descent kernels against their NumPy twins, under every SIMD level."""

import numpy as np
import pytest

from skgen import kernels
from tests import reference_coordinate as reference


@pytest.fixture(params=kernels.available_levels())
def coordinate(request):
    return kernels.load("coordinate", request.param)


def quadratic(p, rank, seed=0):
    """A positive semidefinite Hessian, a gradient in its range, strengths, and a start."""
    random = np.random.default_rng(seed)
    root = random.standard_normal((rank, p))
    hessian = root.T @ root
    gradient = root.T @ random.standard_normal(rank)
    l1 = random.uniform(0.0, 2.0, p) * (random.random(p) < 0.8)
    w = random.standard_normal(p) * (random.random(p) < 0.5)
    return hessian, gradient, l1, w


@pytest.mark.parametrize(("p", "rank"), [(1, 1), (3, 3), (7, 20), (40, 60), (33, 5)])
@pytest.mark.parametrize("sweeps", [1, 3])
def test_sweep_gram_equals_its_twin(coordinate, p, rank, sweeps):
    hessian, gradient, l1, w = quadratic(p, rank)
    order = np.random.default_rng(1).permutation(p).astype(np.int32)
    u, slope = w.copy(), gradient.copy()
    largest = coordinate.sweep_gram(hessian, l1, order, u, slope, sweeps, 0.0)
    expected = reference.sweep_gram(hessian, l1, order, w, gradient, sweeps, 0.0)
    scale = np.abs(hessian).max()
    np.testing.assert_allclose(u, expected[0], rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(slope, expected[1], rtol=0, atol=1e-12 * scale)
    assert largest == pytest.approx(expected[2], abs=1e-12 * scale)
    np.testing.assert_array_equal(u == 0.0, expected[0] == 0.0)


def test_sweep_gram_never_raises_the_model(coordinate):
    hessian, gradient, l1, w = quadratic(30, 12)
    order = np.arange(30, dtype=np.int32)
    u, slope = w.copy(), gradient.copy()
    values = [reference.model_value(hessian, l1, w, gradient, u)]
    for _ in range(20):
        coordinate.sweep_gram(hessian, l1, order, u, slope, 1, 0.0)
        values.append(reference.model_value(hessian, l1, w, gradient, u))
    assert np.all(np.diff(values) <= 1e-12 * abs(values[0]))
    assert values[-1] < values[0]


def test_sweep_gram_ends_when_moves_are_small(coordinate):
    hessian, gradient, l1, w = quadratic(10, 50)
    order = np.arange(10, dtype=np.int32)
    u, slope = w.copy(), gradient.copy()
    assert coordinate.sweep_gram(hessian, l1, order, u, slope, 10_000, 1e-9) <= 1e-9
    before = u.copy()
    assert coordinate.sweep_gram(hessian, l1, order, u, slope, 1, 1e-9) <= 1e-9
    np.testing.assert_allclose(u, before, atol=1e-9)


def test_sweep_gram_leaves_what_has_no_curvature_and_what_is_not_listed(coordinate):
    hessian, gradient, l1, w = quadratic(6, 20)
    hessian[2], hessian[:, 2] = 0.0, 0.0
    u, slope = w.copy(), gradient.copy()
    coordinate.sweep_gram(hessian, l1, np.array([0, 2, 3], np.int32), u, slope, 5, 0.0)
    np.testing.assert_array_equal(u[[1, 2, 4, 5]], w[[1, 2, 4, 5]])
    assert u[0] != w[0]
    coordinate.sweep_gram(hessian, l1, np.array([], np.int32), u, slope, 5, 0.0)

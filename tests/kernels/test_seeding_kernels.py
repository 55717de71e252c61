"""Seeding kernels agree with NumPy at every SIMD level."""

import numpy as np
import pytest
from scipy import sparse

from skgen.kernels import available_levels, load

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}
# Below, at and above multiples of every vector length, short rows and long ones.
WIDTHS = [1, 2, 3, 5, 8, 15, 16, 17, 31, 48, 49, 70, 100]


@pytest.fixture(params=available_levels())
def level(request):
    return request.param


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


def problem(n, d, count, dtype, reach, seed=0):
    """Rows, weights, candidates, distances to three centers and thresholds."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(dtype)
    weight = rng.integers(0, 4, size=n).astype(float)
    centers = X[rng.integers(0, n, size=3)]
    squared = ((X[:, None] - centers) ** 2).sum(axis=-1)
    nearest = squared.argmin(axis=1).astype(np.int32)
    distance = np.ascontiguousarray(squared.min(axis=1))
    candidates = X[rng.integers(0, n, size=count)]
    # Quantiles of the distances leave any mixture of active and idle rows.
    threshold = np.quantile(distance, reach).astype(dtype) * np.array([0.5, 1.0, 2.0], dtype)
    return X, weight, candidates, distance, nearest, threshold


def entries(X, is_sparse):
    if not is_sparse:
        return (X,)
    X = sparse.csr_array(X)
    return X.data, X.indices, X.indptr


def operand(kernels, points, is_sparse):
    if not is_sparse:
        return (points,)
    squares = np.empty(len(points))
    kernels.add_squares(points, squares)
    return points, squares


def looked_at(active, is_sparse, chunk=256, mostly=0.6):
    """The dense kernel looks at a whole chunk where most of its rows are active."""
    active = active.copy()
    for start in range(0, 0 if is_sparse else len(active), chunk):
        part = active[start : start + chunk]
        part |= part.sum() > mostly * len(part)
    return active


@pytest.mark.parametrize("reach", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
def test_try_candidates_agrees_with_numpy(level, dtype, is_sparse, d, reach):
    kernels = load("sparse" if is_sparse else "seeding", level)
    for count in (1, 4, 8):
        X, weight, candidates, distance, nearest, threshold = problem(601, d, count, dtype, reach)
        improved, gain = np.full(601, 255, np.uint8), np.empty(count)
        kernels.try_candidates(
            *entries(X, is_sparse), weight, *operand(kernels, candidates, is_sparse), distance,
            nearest, threshold, improved, gain,
        )  # fmt: skip
        squared = ((X[:, None].astype(float) - candidates) ** 2).sum(axis=-1)
        # The candidates may be any points here, so rows within reach are improved by them too:
        # those must be left alone, unless most of their neighbors are looked at.
        active = looked_at(distance > threshold[nearest], is_sparse)
        saved = np.where(active[:, None], np.maximum(distance[:, None] - squared, 0.0), 0.0)
        np.testing.assert_allclose(
            gain, weight @ saved, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * (weight @ distance)
        )
        bits = (improved[:, None] >> np.arange(count)) & 1
        # Rounding decides where a candidate is as near as the center.
        clear = np.abs(distance[:, None] - squared) > TOLERANCE[dtype] * distance[:, None]
        np.testing.assert_array_equal(bits[clear], (saved > 0)[clear])
        assert (improved >> count == 0).all()


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
def test_accept_center_moves_marked_rows(level, dtype, is_sparse, d):
    kernels = load("sparse" if is_sparse else "seeding", level)
    X, weight, candidates, distance, nearest, _ = problem(301, d, 1, dtype, 0.5)
    rng = np.random.default_rng(1)
    improved = rng.integers(0, 4, size=301).astype(np.uint8)
    bucket = rng.integers(0, 7, size=301).astype(np.uint16)
    after, now, change = distance.copy(), nearest.copy(), np.zeros(7)
    kernels.accept_center(
        *entries(X, is_sparse), weight, *operand(kernels, candidates, is_sparse), 3, 2, improved,
        bucket, after, now, change,
    )  # fmt: skip
    squared = ((X - candidates) ** 2).sum(axis=1)
    moved = (improved & 2 > 0) & (squared < distance * (1 - TOLERANCE[dtype]))
    np.testing.assert_allclose(after[moved], squared[moved], rtol=TOLERANCE[dtype], atol=1e-30)
    np.testing.assert_array_equal(now[moved], 3)
    np.testing.assert_array_equal(after[improved & 2 == 0], distance[improved & 2 == 0])
    lost = np.bincount(bucket, weight * (distance.astype(float) - after), minlength=7)
    np.testing.assert_allclose(-change, lost, rtol=1e-5, atol=TOLERANCE[dtype] * distance.sum())


def test_distance_of_equal_rows_is_exactly_zero(level, dtype):
    rng = np.random.default_rng(0)
    for d in WIDTHS:
        for is_sparse in (False, True):
            kernels = load("sparse" if is_sparse else "seeding", level)
            X = np.tile((rng.normal(size=d) * 1e3).astype(dtype), (37, 1))
            distance, nearest = np.full(37, np.inf, dtype), np.zeros(37, np.int32)
            kernels.accept_center(
                *entries(X, is_sparse), np.ones(37), *operand(kernels, X[:1], is_sparse), 0, 1,
                np.ones(37, np.uint8), np.zeros(37, np.uint16), distance, nearest, np.zeros(1),
            )  # fmt: skip
            assert (distance == 0).all()


@pytest.mark.parametrize("d", WIDTHS)
def test_projection_of_a_row_does_not_depend_on_the_others(level, dtype, d):
    kernels = load("seeding", level)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, d)).astype(dtype)
    mean, first, second = rng.normal(size=(3, d))
    out, alone = np.empty((2, 40)), np.empty((2, 1))
    kernels.project(X, mean, 0.5, first, second, *out)
    np.testing.assert_allclose(out, np.array([first, second]) @ (0.5 * (X - mean)).T, atol=1e-12)
    for i in range(40):
        kernels.project(X[i : i + 1], mean, 0.5, first, second, *alone)
        np.testing.assert_array_equal(alone[:, 0], out[:, i])


def test_keys_order_by_the_first_value_then_by_the_second(level):
    kernels = load("seeding", level)
    first = np.array([0.0, 1.0, 1.0, -5.0, 99.0])
    second = np.array([0.0, 3.0, -3.0, 9.0, 0.0])
    bounds = np.array([np.inf, -np.inf, np.inf, -np.inf])
    # The last row has no weight: it neither stretches the range nor falls out of it.
    kernels.find_range(first, second, np.array([1.0, 1.0, 1.0, 1.0, 0.0]), bounds)
    np.testing.assert_array_equal(bounds, [-5.0, 1.0, -3.0, 9.0])
    key = np.empty(5, np.uint64)
    kernels.combine_keys(first, second, bounds, key)
    np.testing.assert_array_equal(np.argsort(key[:4]), [3, 0, 2, 1])

"""The scatter kernels against their NumPy twins, under every SIMD level this processor runs."""

import numpy as np
import pytest
from scipy import sparse

from skgen.kernels import available_levels, load
from tests import reference_pca as reference

# Around every multiple of lanes, tiles, stages and lists of rows.
SHAPES = [
    (1, 1), (2, 3), (7, 2), (5, 6), (23, 7), (64, 8), (65, 9), (97, 12), (130, 15), (128, 16),
    (129, 17), (255, 24), (256, 25), (257, 31), (300, 33), (513, 47), (140, 64), (70, 65),
    (96, 101), (1, 40), (30, 257), (600, 260), (20, 784), (9, 1501),
]  # fmt: skip
WIDTHS = [1, 2, 3, 5, 8, 9, 16, 17, 24, 33, 65]
# A sum of up to 512 rows in X's type is off by a few of its units at most.
TOLERANCE = {np.float64: 4e-15, np.float32: 2e-6}


@pytest.fixture(params=available_levels())
def kernels(request):
    return load("scatter", request.param)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


def problem(n, d, dtype, *, zeros=0.0, shift=0.0, seed=0):
    """Rows, weights of which some are 0, and an origin."""
    random = np.random.default_rng([seed, n, d])
    X = random.normal(size=(n, d)) + shift
    X[random.random((n, d)) < zeros] = 0.0
    weight = random.uniform(0.2, 3, n)
    weight[random.random(n) < 0.1] = 0
    origin = np.zeros(d) if zeros else random.normal(size=d) + shift
    return X.astype(dtype), weight, origin.astype(dtype)


def wide(kernels, Q, dtype):
    out = np.zeros((len(Q), kernels.width(Q.shape[1], np.dtype(dtype).itemsize)), dtype)
    out[:, : Q.shape[1]] = Q
    return out


def assert_close(actual, expected, scale, dtype):
    """Errors in units of the sum of the terms' sizes."""
    assert np.isfinite(actual).all()
    error = np.max(np.abs(actual - expected) / (scale + 1e-300))
    assert error < TOLERANCE[dtype], f"error {error:.1e} of the scale"


def outer(kernels, X, weight, origin, scale=1.0):
    d = X.shape[1]
    sums = np.zeros((d + 1, kernels.width(d, X.itemsize)))
    total = kernels.add_outer(X, weight, origin, scale, sums)
    lower = np.tril(sums[:d, :d])
    return total, sums[d, :d], lower + np.tril(lower, -1).T


def assert_outer_agrees(kernels, X, weight, origin, dtype, scale=1.0):
    total, first, second = outer(kernels, X, weight, origin, scale)
    expected = reference.outer_sums(X, weight, origin, scale)
    sizes = np.abs(reference.deviations(X, origin)) * scale
    assert total == pytest.approx(expected[0], rel=1e-14, abs=0)
    assert_close(first, expected[1], weight @ sizes, dtype)
    assert_close(second, expected[2], (sizes.T * weight) @ sizes, dtype)


@pytest.mark.parametrize("shape", SHAPES)
def test_outer_products_agree_with_their_twin(kernels, dtype, shape):
    assert_outer_agrees(kernels, *problem(*shape, dtype), dtype)


@pytest.mark.parametrize("zeros", [0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(40, 5), (257, 31), (1200, 30), (700, 101), (1100, 260)])
def test_rows_of_zeros_in_a_group_of_columns_may_be_left_out(kernels, dtype, shape, zeros):
    assert_outer_agrees(kernels, *problem(*shape, dtype, zeros=zeros), dtype)


def test_columns_that_are_zero_at_first_only_are_added(kernels, dtype):
    """What the first rows are like decides how the others are read, not what they add."""
    X, weight, origin = problem(3000, 40, dtype, zeros=0.9)
    X[1000:] = np.random.default_rng(1).normal(size=(2000, 40))
    assert_outer_agrees(kernels, X, weight, origin, dtype)
    assert_outer_agrees(kernels, X[::-1].copy(), weight, origin, dtype)


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**60])
def test_outer_products_of_scaled_deviations(kernels, dtype, scale):
    X, weight, origin = problem(100, 20, dtype)
    factor = dtype(1 / scale)
    assert_outer_agrees(kernels, X * factor, weight, origin * factor, dtype, scale)


def test_an_origin_near_the_rows_costs_no_digits(kernels, dtype):
    shift = {np.float64: 1e8, np.float32: 1e4}[dtype]
    assert_outer_agrees(kernels, *problem(400, 20, dtype, shift=shift), dtype)


def test_sums_are_added_to_what_is_there(kernels, dtype):
    X, weight, origin = problem(100, 10, dtype)
    sums = np.ones((11, kernels.width(10, X.itemsize)))
    kernels.add_outer(X, weight, origin, 1.0, sums)
    once = np.zeros_like(sums)
    kernels.add_outer(X, weight, origin, 1.0, once)
    lower = np.tril_indices(10)
    np.testing.assert_allclose(sums[:10, :10][lower], 1.0 + once[:10, :10][lower], rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_column_sums_agree_with_their_twin(kernels, dtype, shape):
    X, weight, origin = problem(*shape, dtype)
    d = shape[1]
    sums = np.zeros((2, kernels.width(d, X.itemsize)))
    total = kernels.add_columns(X, weight, origin, sums)
    expected, first, second = reference.outer_sums(X, weight, origin, 1.0)
    assert total == pytest.approx(expected, rel=1e-14, abs=0)
    sizes = np.abs(reference.deviations(X, origin))
    assert_close(sums[0, :d], first, weight @ sizes, dtype)
    assert_close(sums[1, :d], np.diagonal(second), weight @ sizes**2, dtype)


@pytest.mark.parametrize("k", WIDTHS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 2), (100, 13), (257, 32), (300, 100), (25, 1030)])
def test_products_with_vectors_agree_with_their_twins(kernels, dtype, shape, k):
    X, weight, origin = problem(*shape, dtype)
    n, d = shape
    Q = np.random.default_rng(k).normal(size=(d, k)).astype(dtype)
    sizes = np.abs(reference.deviations(X, origin))
    out = np.zeros((d, kernels.width(k, X.itemsize)))
    kernels.apply(X, weight, origin, wide(kernels, Q, dtype), out)
    expected = reference.apply_scatter(X, weight, origin, Q)
    assert_close(out[:, :k], expected, (sizes.T * weight) @ (sizes @ np.abs(Q)), dtype)
    assert not out[:, k:].any()
    coordinates = np.full((n, k), np.nan, dtype)
    kernels.project(X, origin, wide(kernels, Q, dtype), coordinates)
    expected = reference.project(X, origin, Q)
    assert_close(coordinates, expected, sizes @ np.abs(Q), dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_rows_without_weight_may_hold_anything(kernels, dtype, value):
    X, weight, origin = problem(60, 9, dtype)
    spoiled = X.copy()
    weight[::7] = 0.0
    spoiled[::7] = value
    Q = wide(kernels, np.eye(9, 4), dtype)
    sums, others = np.zeros((2, 2, 10, kernels.width(9, X.itemsize)))[:, 0]
    kernels.add_outer(X, weight, origin, 1.0, sums)
    kernels.add_outer(spoiled, weight, origin, 1.0, others)
    np.testing.assert_array_equal(sums, others)
    columns, other_columns = np.zeros((2, 2, kernels.width(9, X.itemsize)))
    kernels.add_columns(X, weight, origin, columns)
    kernels.add_columns(spoiled, weight, origin, other_columns)
    np.testing.assert_array_equal(columns, other_columns)
    out, other = np.zeros((2, *Q.shape))
    kernels.apply(X, weight, origin, Q, out)
    kernels.apply(spoiled, weight, origin, Q, other)
    np.testing.assert_array_equal(out, other)


def test_numbers_that_are_not_finite_reach_the_sums(kernels, dtype):
    """The caller looks for them there."""
    X, weight, origin = problem(600, 31, dtype, zeros=0.95)
    weight[500] = 1.0
    for value in (np.nan, np.inf):
        X[500, 17] = value
        _, first, second = outer(kernels, X, weight, origin)
        assert not np.isfinite(first[17]) and not np.isfinite(second[17, 17])


def test_shapes_that_do_not_agree_are_refused(kernels, dtype):
    X, weight, origin = problem(10, 4, dtype)
    width = kernels.width(4, X.itemsize)
    sums, Q = np.zeros((5, width)), wide(kernels, np.eye(4, 2), dtype)
    for call in (
        lambda: kernels.add_outer(X, weight[1:], origin, 1.0, sums),
        lambda: kernels.add_outer(X, weight, origin[1:], 1.0, sums),
        lambda: kernels.add_outer(X, weight, origin, 1.0, sums[1:]),
        lambda: kernels.add_outer(X, weight, origin, 1.0, np.zeros((5, width + 1))),
        lambda: kernels.add_columns(X, weight[1:], origin, sums[:2]),
        lambda: kernels.add_columns(X, weight, origin, sums[:3]),
        lambda: kernels.apply(X, weight, origin, Q[1:], np.zeros(Q.shape)),
        lambda: kernels.apply(X, weight, origin, Q, np.zeros((3, Q.shape[1]))),
        lambda: kernels.project(X, origin, Q[1:], np.zeros((10, 2), dtype)),
        lambda: kernels.project(X, origin, Q, np.zeros((9, 2), dtype)),
    ):
        with pytest.raises(ValueError, match="do not agree"):
            call()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_no_rows_or_columns_add_nothing(kernels, dtype, shape):
    X, weight, origin = np.ones(shape, dtype), np.ones(shape[0]), np.ones(shape[1], dtype)
    width = kernels.width(shape[1], X.itemsize)
    sums = np.ones((shape[1] + 1, width))
    assert kernels.add_outer(X, weight, origin, 1.0, sums) == 0.0
    columns = np.ones((2, width))
    assert kernels.add_columns(X, weight, origin, columns) == 0.0
    Q = np.ones((shape[1], kernels.width(2, X.itemsize)), dtype)
    out = np.ones(Q.shape)
    kernels.apply(X, weight, origin, Q, out)
    assert (sums == 1).all() and (columns == 1).all() and (out == 1).all()


@pytest.mark.parametrize("level", available_levels())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("density", [0.05, 0.6, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (40, 7), (301, 33)])
def test_outer_products_of_csr_agree_with_their_twin(level, shape, density, dtype):
    n, d = shape
    random = np.random.default_rng(n)
    X = np.where(random.random(shape) < density, random.normal(size=shape), 0.0).astype(dtype)
    weight = random.integers(0, 3, n).astype(float)
    # Columns in which everything is stored may have an origin.
    stored = sparse.csr_array(X)
    full = np.bincount(stored.indices, minlength=d) == n
    origin = np.where(full, random.normal(size=d), 0.0)
    second, first = np.zeros((d, d)), np.zeros(d)
    total = load("sparse", level).add_products(
        stored.data, stored.indices, stored.indptr, weight, origin, second, first
    )
    expected = reference.outer_sums(X, weight, origin, 1.0)
    lower = np.tril(second)
    sizes = np.abs(reference.deviations(X, origin))
    assert total == expected[0]
    np.testing.assert_allclose(first, expected[1], atol=1e-14 * max((weight @ sizes).max(), 1))
    scale = 1e-14 * max(((sizes.T * weight) @ sizes).max(), 1)
    np.testing.assert_allclose(lower + np.tril(lower, -1).T, expected[2], atol=scale)

"""The coordinate descent kernels against their NumPy twins, under every SIMD level."""

import numpy as np
import pytest
from scipy import sparse

from skgen import kernels
from skgen.losses import LogLoss, SoftmaxLoss
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


DTYPES = [np.float32, np.float64]


def sparse_rows(n, d, seed=0, dtype=np.float64, density=0.3):
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) * (random.random((n, d)) < density)
    return sparse.csr_array(X.astype(dtype))


def by_columns(X):
    """What Columns holds, made by SciPy."""
    X = sparse.csc_array(X)
    return X.data.astype(np.float32), X.indices.astype(np.int32), X.indptr.astype(np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_scattered_columns_equal_those_of_scipy(coordinate, dtype, index):
    X = sparse_rows(40, 13, dtype=dtype)
    values, row_numbers, starts = by_columns(X)
    counts = np.zeros(13, dtype=np.int32)
    coordinate.count_columns(X.indices.astype(index), counts)
    np.testing.assert_array_equal(counts, np.diff(starts))
    places, found = starts[:-1].copy(), (np.empty_like(values), np.empty_like(row_numbers))
    for first in (0, 25):
        part = X[first : first + 25] if first == 0 else X[25:]
        pieces = part.data, part.indices.astype(index), part.indptr.astype(index)
        coordinate.scatter_columns(*pieces, places, *found, first)
    np.testing.assert_array_equal(found[0], values)
    np.testing.assert_array_equal(found[1], row_numbers)
    np.testing.assert_array_equal(places, starts[1:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3])
def test_add_rows_is_a_product(coordinate, dtype, k):
    X = sparse_rows(30, 8, dtype=dtype)
    scale = np.random.default_rng(0).standard_normal((30, k))
    total = np.ones((8, k))
    coordinate.add_rows(X.data, X.indices, X.indptr, scale, total)
    np.testing.assert_allclose(total, 1.0 + X.toarray().T.astype(float) @ scale, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("size", [1.0, 30.0, 800.0])
def test_row_derivatives_are_those_of_the_losses(coordinate, k, size):
    random = np.random.default_rng(k)
    raw = random.standard_normal((50, k)) * size
    target = random.integers(0, max(k, 2), 50).astype(np.int32)
    weight = random.uniform(0.0, 2.0, 50)
    loss = LogLoss() if k == 1 else SoftmaxLoss()
    value, slope = loss.value_and_gradient(raw, target, weight)
    residual = np.empty((50, k))
    state = np.full((50, 2 if k == 1 else 2 * k + 1), np.nan, dtype=np.float32)
    kernel = coordinate.logistic_rows if k == 1 else coordinate.softmax_rows
    assert kernel(raw, target, weight, residual, state) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(residual, slope, rtol=1e-12, atol=1e-15)
    curvature = loss.curvature(raw, weight)
    np.testing.assert_array_equal(state[:, :k], 0.0)
    if k == 1:
        np.testing.assert_allclose(state[:, 1], curvature[:, 0, 0], rtol=1e-6, atol=1e-37)
    else:
        share = state[:, k : 2 * k]
        np.testing.assert_allclose(share, loss.predict(raw), rtol=1e-6, atol=1e-37)
        np.testing.assert_allclose(state[:, 2 * k], weight, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("n", [1, 8, 35])
def test_logistic_pass_is_a_product_the_loss_and_a_product(coordinate, dtype, index, n):
    random = np.random.default_rng(n)
    X, coef = sparse_rows(n, 9, dtype=dtype, density=0.8), random.standard_normal(9)
    target, weight = random.integers(0, 2, n).astype(np.int32), random.uniform(0.0, 2.0, n)
    raw, residual = np.full((n, 1), np.nan), np.full((n, 1), np.nan)
    state, total = np.full((n, 2), np.nan, dtype=np.float32), np.ones((9, 1))
    pieces = X.data, X.indices.astype(index), X.indptr.astype(index)
    value = coordinate.logistic_pass(
        *pieces, target, weight, coef, raw, residual, state, total, 0.5
    )
    np.testing.assert_allclose(raw[:, 0], X.astype(float) @ coef + 0.5, rtol=1e-12, atol=1e-14)
    slope, bend = np.empty((n, 1)), np.empty((n, 2), dtype=np.float32)
    assert value == coordinate.logistic_rows(raw, target, weight, slope, bend)
    np.testing.assert_array_equal(residual, slope)
    np.testing.assert_array_equal(state, bend)
    np.testing.assert_allclose(total, 1.0 + X.astype(float).T @ slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("with_intercept", [False, True])
def test_sweep_columns_equals_its_twin(coordinate, with_intercept):
    n, d = 60, 12
    random = np.random.default_rng(3)
    X = sparse_rows(n, d)
    h = random.uniform(0.01, 0.25, n).astype(np.float32)
    gradient, w = random.standard_normal(d), random.standard_normal(d)
    w[random.random(d) < 0.5] = 0.0
    l1, l2 = random.uniform(0.0, 1.5, d), random.uniform(0.0, 0.5, d)
    share = 1.0 / h.sum(dtype=float) if with_intercept else 0.0
    order = random.permutation(d).astype(np.int32)
    u, state, sums = w.copy(), np.column_stack([np.zeros(n, np.float32), h]), np.zeros(2)
    sums[0] = level = 0.3 * with_intercept
    curvature, cross, count = np.full(d, -1.0), np.zeros(d), d
    expected, scores, stays = w, np.zeros(n), order
    for _ in range(3):
        before = np.array(stays)
        np.testing.assert_array_equal(np.sort(order[:count]), np.sort(before))
        order[:count] = before
        expected, stays, level = reference.sweep_columns(
            X.toarray(),
            h.astype(float),
            gradient,
            l1,
            l2,
            w,
            before,
            expected,
            scores,
            level,
            share,
        )
        scores = X @ (expected - w)
        count = coordinate.sweep_columns(
            *by_columns(X),
            gradient,
            l1,
            l2,
            w,
            order,
            curvature,
            cross,
            u,
            state,
            sums,
            count,
            share,
        )
        np.testing.assert_allclose(u, expected, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(u == 0.0, expected == 0.0)
    assert 0 < count < d
    np.testing.assert_allclose(state[:, 0], h * scores, atol=1e-5)
    assert sums[0] == pytest.approx(level, abs=1e-5) if with_intercept else True


@pytest.mark.parametrize("k", [2, 3, 10])
def test_sweep_column_blocks_lowers_the_model_to_its_optimum(coordinate, k):
    n, d = 80, 6
    random = np.random.default_rng(k)
    X = sparse_rows(n, d)
    share = random.dirichlet(np.ones(k), n).astype(np.float32)
    weight = random.uniform(0.5, 2.0, n).astype(np.float32)
    gradient, w = random.standard_normal((d, k)), random.standard_normal((d, k))
    l1, l2 = random.uniform(0.0, 1.0, (d, k)), random.uniform(2.0, 3.0, (d, k))
    state = np.hstack([np.zeros((n, k), np.float32), share, weight[:, None]])
    u, curvature, decrease = w.copy(), np.full((d, k), -1.0), np.zeros(1)
    scratch, order, count = np.empty((2, k)), np.arange(d, dtype=np.int32), d
    model = (X.toarray(), share.astype(float), weight.astype(float), gradient, l1, l2, w)
    value = reference.softmax_model_value(*model, u)
    for _ in range(200):
        count = coordinate.sweep_column_blocks(
            *by_columns(X),
            gradient,
            l1,
            l2,
            w,
            order,
            curvature,
            u,
            state,
            scratch,
            decrease,
            count,
        )
        new = reference.softmax_model_value(*model, u)
        assert new <= value - decrease[0] + 1e-5
        value = new
    scores = X @ (u - w)
    bent = weight[:, None] * share * (scores - (share * scores).sum(axis=1, keepdims=True))
    slope = gradient + X.T @ bent + l2 * (u - w)
    rest = np.where(u != 0.0, np.abs(slope + l1 * np.sign(u)), np.maximum(np.abs(slope) - l1, 0.0))
    assert rest.max() <= 1e-4
    assert decrease[0] <= 1e-8

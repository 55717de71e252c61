"""The linear kernels against their NumPy twins, under every SIMD level this processor runs."""

import numpy as np
import pytest

from skgen.kernels import available_levels, load
from tests import reference_linear as reference

# Around every multiple of lanes, panels, chunks of rows and packed rows.
SHAPES = [
    (1, 1), (2, 3), (7, 2), (8, 7), (63, 8), (64, 9), (65, 15), (130, 16), (97, 23), (255, 24),
    (256, 25), (257, 31), (300, 30), (129, 47), (140, 48), (70, 65), (513, 64), (600, 101),
    (40, 500), (1, 40), (20, 784),
]  # fmt: skip
CLASSES = [2, 3, 5, 6, 7, 10, 13]
TOLERANCE = {np.float64: 1e-12, np.float32: 2e-6}


@pytest.fixture(params=available_levels())
def kernels(request):
    return load("linear", request.param)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


class Problem:
    """Random rows, an origin among them, coefficients that numbers of `dtype` hold."""

    def __init__(self, n, d, classes, dtype, seed=0, shift=0.0, steep=1.0):
        random = np.random.default_rng([seed, n, d, classes])
        self.dtype = dtype
        self.X = (random.normal(size=(n, d)) + shift).astype(dtype)
        self.origin = (random.normal(size=d) + shift).astype(dtype)
        self.weight = random.uniform(0.2, 3, n)
        self.weight[random.random(n) < 0.1] = 0
        self.target = random.integers(0, classes, n).astype(np.int32)
        coef = random.normal(size=(classes, d)) * steep / np.sqrt(d)
        self.coef = coef.astype(dtype).astype(np.float64)
        self.intercept = random.normal(size=classes)
        self.features = d

    def rows(self):
        return self.X, self.origin, self.weight, self.target

    def logistic(self, kernels, hessian=False, curvature=None):
        """Value, gradient and the symmetric Hessian or None."""
        size = self.features + 1
        gradient, second = np.zeros(size), np.zeros((size, size))
        coef, intercept = self.coef[0], float(self.intercept[0])
        if not hessian:
            value = kernels.add_logistic(*self.rows(), coef, gradient, intercept, curvature)
            return value, gradient, None
        value = kernels.add_logistic_hessian(*self.rows(), coef, gradient, second, intercept)
        return value, gradient, symmetric(second)

    def softmax(self, kernels, hessian=False):
        size = self.features + 1
        gradient = np.zeros((len(self.coef), size))
        arguments = (*self.rows(), self.coef, self.intercept, gradient)
        if not hessian:
            return kernels.add_softmax(*arguments), gradient, None
        second = np.zeros((gradient.size, gradient.size))
        value = kernels.add_softmax_hessian(*arguments, second)
        return value, gradient, symmetric(second)

    def model(self):
        return self.X, self.origin, self.weight, self.coef, self.intercept

    def expected_logistic(self):
        return reference.logistic(*self.rows(), self.coef[0], self.intercept[0])

    def expected_softmax(self):
        return reference.softmax_loss(*self.model(), self.target)

    def natural_scale(self):
        """Of gradient and Hessian: sums of weight |z| and of weight |z| |z|'."""
        Z = np.abs(reference.with_ones(self.X, self.origin))
        return self.weight @ Z + 1e-300, (Z.T * self.weight) @ Z + 1e-300


def symmetric(lower):
    return np.tril(lower) + np.tril(lower, -1).T


def close(actual, expected, scale, tolerance):
    assert np.isfinite(actual).all()
    error = np.max(np.abs(actual - expected) / scale)
    assert error < tolerance, f"error {error:.1e} of the scale"


@pytest.mark.parametrize("shape", SHAPES)
def test_logistic_agrees_with_its_twin(kernels, dtype, shape):
    problem = Problem(*shape, 2, dtype)
    value, gradient, hessian, curvature = problem.expected_logistic()
    first, second = problem.natural_scale()
    tolerance, total = TOLERANCE[dtype], problem.weight.sum() + value + 1e-300
    seen = np.full(shape[0], np.nan)
    for with_hessian in (False, True):
        result = problem.logistic(kernels, with_hessian, None if with_hessian else seen)
        close(result[0], value, total, tolerance)
        close(result[1], gradient, first, tolerance)
    close(result[2], hessian, second, tolerance)
    close(seen, curvature, problem.weight + 1e-300, tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", CLASSES)
def test_softmax_agrees_with_its_twin(kernels, dtype, shape, classes):
    problem = Problem(*shape, classes, dtype)
    value, gradient = problem.expected_softmax()
    result = problem.softmax(kernels)
    tolerance = TOLERANCE[dtype]
    close(result[0], value, problem.weight.sum() + value + 1e-300, tolerance)
    close(result[1], gradient, problem.natural_scale()[0], tolerance)


@pytest.mark.parametrize("shape", [(1, 1), (65, 4), (200, 7), (131, 8), (90, 33)])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_softmax_hessian_agrees_with_its_twin(kernels, dtype, shape, classes):
    problem = Problem(*shape, classes, dtype, steep=3.0)
    value, gradient = problem.expected_softmax()
    hessian = reference.softmax_hessian(*problem.model())
    result = problem.softmax(kernels, hessian=True)
    first, second = problem.natural_scale()
    tolerance = TOLERANCE[dtype]
    close(result[0], value, problem.weight.sum() + value + 1e-300, tolerance)
    close(result[1], gradient, first, tolerance)
    close(result[2], hessian, np.tile(second, (classes, classes)), tolerance)


def test_results_are_added(kernels, dtype):
    problem = Problem(70, 9, 3, dtype)
    _, gradient, hessian = problem.logistic(kernels, hessian=True)
    again, second = gradient.copy(), np.tril(hessian)
    coef, intercept = problem.coef[0], float(problem.intercept[0])
    kernels.add_logistic_hessian(*problem.rows(), coef, again, second, intercept)
    np.testing.assert_allclose(again, 2 * gradient, rtol=1e-12)
    np.testing.assert_allclose(symmetric(second), 2 * hessian, rtol=1e-12)
    kernels.add_logistic(*problem.rows(), coef, again, intercept)
    np.testing.assert_allclose(again, 3 * gradient, rtol=1e-5)
    _, gradient, hessian = problem.softmax(kernels, hessian=True)
    again, second = gradient.copy(), np.tril(hessian)
    arguments = (*problem.rows(), problem.coef, problem.intercept)
    kernels.add_softmax_hessian(*arguments, again, second)
    np.testing.assert_allclose(again, 2 * gradient, rtol=1e-12)
    np.testing.assert_allclose(symmetric(second), 2 * hessian, rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
def test_two_classes_of_a_softmax_are_a_sigmoid_of_the_difference(kernels, dtype, classes):
    """Classes without a chance change nothing."""
    problem = Problem(200, 11, 2, dtype)
    value, gradient, hessian = problem.logistic(kernels, hessian=True)
    coef = np.zeros((classes, 11))
    coef[1] = problem.coef[0]
    intercept = np.full(classes, -1e300)
    intercept[:2] = 0, problem.intercept[0]
    problem.coef, problem.intercept = coef, intercept
    result = problem.softmax(kernels, hessian=True)
    tolerance = {"rtol": 1e-11, "atol": 0.0}
    if dtype is np.float32:
        tolerance = {"rtol": 1e-5, "atol": 1e-4}
    np.testing.assert_allclose(result[0], value, **tolerance)
    np.testing.assert_allclose(result[1][:2], [-gradient, gradient], **tolerance)
    np.testing.assert_allclose(result[2][12:24, 12:24], hessian, **tolerance)
    np.testing.assert_allclose(result[2][12:24, :12], -hessian, **tolerance)
    assert (result[1][2:] == 0).all() and (result[2][24:] == 0).all()


def test_origin_keeps_digits_far_from_zero(kernels):
    """Rows a million away: subtracting first loses nothing, expanding the product would."""
    near = Problem(150, 6, 3, np.float64)
    near.X, near.origin = np.round(near.X * 256) / 256, np.round(near.origin * 256) / 256
    far = Problem(150, 6, 3, np.float64)
    far.X, far.origin = near.X + 2.0**30, near.origin + 2.0**30
    for one, other in zip(near.logistic(kernels, True), far.logistic(kernels, True), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(near.softmax(kernels, True), far.softmax(kernels, True), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("raw", [0.0, 1e-9, 1.0, 30.0, 40.0, 700.0, 1e4, 1e300, 1.7e308])
def test_logistic_tails_keep_all_digits(kernels, raw):
    """One row, x = 1: the value is log1p(exp(-|raw|)), plus |raw| for the other class."""
    X, origin, weight = np.ones((1, 1)), np.zeros(1), np.ones(1)
    tail = np.log1p(np.exp(-raw))
    p = np.exp(-raw) / (1 + np.exp(-raw))
    for score in (raw, -raw):
        for target in (0, 1):
            gradient, hessian = np.zeros(2), np.zeros((2, 2))
            value = kernels.add_logistic_hessian(
                X, origin, weight, np.array([target], np.int32), np.array([score]), gradient,
                hessian, 0.0,
            )  # fmt: skip
            right = raw == 0 or (score > 0) == (target == 1)
            np.testing.assert_allclose(value, tail if right else raw + tail, rtol=1e-14)
            size = p if right else 1 - p
            np.testing.assert_allclose(gradient, [(1 - 2 * target) * size] * 2, rtol=1e-14)
            expected = np.full(3, p * (1 - p))
            np.testing.assert_allclose(hessian[np.tril_indices(2)], expected, rtol=1e-13)


@pytest.mark.parametrize("gap", [0.0, 1e-9, 1.0, 30.0, 40.0, 700.0, 1e4, 1e300])
def test_softmax_tails_keep_all_digits(kernels, gap):
    """Three classes, one of them ahead by `gap`."""
    X, origin, weight = np.zeros((1, 1)), np.zeros(1), np.ones(1)
    coef, intercept = np.zeros((3, 1)), np.array([0.0, gap, 0.0])
    rest = 2 * np.exp(-gap)
    p = np.exp(-gap) / (1 + rest)
    for target, loss in ((1, np.log1p(rest)), (0, gap + np.log1p(rest))):
        gradient, hessian = np.zeros((3, 2)), np.zeros((6, 6))
        value = kernels.add_softmax_hessian(
            X, origin, weight, np.array([target], np.int32), coef, intercept, gradient, hessian
        )
        np.testing.assert_allclose(value, loss, rtol=1e-14)
        expected = [p, -2 * p, p] if target == 1 else [p - 1, 1 / (1 + rest), p]
        np.testing.assert_allclose(gradient[:, 1], expected, rtol=1e-14)
        second = symmetric(hessian)[1::2, 1::2]
        across = -p / (1 + rest)
        np.testing.assert_allclose(second[1], [across, -2 * across, across], rtol=1e-13)
        np.testing.assert_allclose(second[0], [p * (1 - p), across, -p * p], rtol=1e-13)


@pytest.mark.parametrize("size", [1e-200, 1e-60, 1e60, 1e200])
def test_any_scale_of_weights(kernels, dtype, size):
    problem = Problem(100, 5, 3, dtype)
    results = problem.logistic(kernels, True), problem.softmax(kernels, True)
    problem.weight = problem.weight * size
    scaled = problem.logistic(kernels, True), problem.softmax(kernels, True)
    for one, other in zip(results, scaled, strict=True):
        scales = (one[0], problem.natural_scale()[0].max(), problem.natural_scale()[1].max())
        for before, after, scale in zip(one, other, scales, strict=True):
            tolerance = TOLERANCE[dtype] * max(scale / size, 1)
            np.testing.assert_allclose(after / size, before, rtol=1e-5, atol=tolerance)


def test_rows_without_weight_count_nothing(kernels, dtype):
    problem = Problem(200, 9, 3, dtype)
    kept = problem.weight > 0
    results = problem.logistic(kernels, True), problem.softmax(kernels, True)
    problem.X[~kept] = 1e10
    wild = problem.logistic(kernels, True), problem.softmax(kernels, True)
    for one, other in zip(results, wild, strict=True):
        for before, after in zip(one, other, strict=True):
            np.testing.assert_allclose(after, before, rtol=1e-12)


def test_scores_beyond_the_largest_number_make_the_value_not_finite(kernels, dtype):
    problem = Problem(100, 5, 3, dtype)
    largest = np.finfo(dtype).max
    problem.weight[:] = 1
    problem.X[50] = [largest, -largest, 0, 0, 0]
    problem.origin[:] = 0
    problem.coef[:] = [4.0, 4.0, 0, 0, 0]
    assert not np.isfinite(problem.logistic(kernels)[0])
    assert not np.isfinite(problem.softmax(kernels)[0])


def test_gradient_is_the_slope_of_the_value(kernels):
    """Central differences of the kernels' own value and gradient."""
    problem = Problem(90, 4, 3, np.float64)
    _, gradient, hessian = problem.softmax(kernels, hessian=True)
    step = 1e-6
    for k in range(3):
        for j in range(5):
            values, slopes = [], []
            for sign in (1, -1):
                moved = Problem(90, 4, 3, np.float64)
                place = (moved.coef[k], j) if j < 4 else (moved.intercept, k)
                place[0][place[1]] += sign * step
                value, slope, _ = moved.softmax(kernels)
                values.append(value)
                slopes.append(slope)
            slope = (values[0] - values[1]) / (2 * step)
            np.testing.assert_allclose(slope, gradient[k, j], rtol=1e-6, atol=1e-6)
            curve = (slopes[0] - slopes[1]).ravel() / (2 * step)
            np.testing.assert_allclose(curve, hessian[k * 5 + j], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 100])
def test_mirror(kernels, size):
    matrix = np.random.default_rng(0).normal(size=(size, size))
    expected = symmetric(matrix)
    kernels.mirror(matrix)
    np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 33])
def test_softmax_of_rows(kernels, dtype, n, classes):
    random = np.random.default_rng(0)
    raw = (random.normal(size=(n, classes)) * 10.0 ** random.integers(-2, 4, (n, 1))).astype(dtype)
    exact = raw.astype(np.float64)
    p, log_p = raw.copy(), raw.copy()
    kernels.softmax_rows(p)
    kernels.log_softmax_rows(log_p)
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(p, reference.softmax(exact), rtol=4 * epsilon, atol=2e-45)
    np.testing.assert_allclose(log_p, reference.log_softmax(exact), rtol=4 * epsilon, atol=2e-45)
    np.testing.assert_allclose(p.sum(axis=1, dtype=np.float64), 1, rtol=classes * epsilon)


def test_softmax_of_huge_rows(kernels):
    raw = np.array([[1e300, -1e300, 0], [-np.inf, 0, 0], [1e300, 1e300, 1e300], [-1e300] * 3])
    p, log_p = raw.copy(), raw.copy()
    kernels.softmax_rows(p)
    kernels.log_softmax_rows(log_p)
    third = 1 / 3
    np.testing.assert_allclose(p, [[1, 0, 0], [0, 0.5, 0.5], [third] * 3, [third] * 3], rtol=1e-15)
    expected = [[0, -2e300, -1e300], [-np.inf, -np.log(2), -np.log(2)]] + 2 * [[-np.log(3)] * 3]
    np.testing.assert_allclose(log_p, expected, rtol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 100])
def test_sigmoid_of_pairs(kernels, dtype, n):
    random = np.random.default_rng(0)
    raw = (random.normal(size=n) * 10.0 ** random.integers(-3, 3, n)).astype(dtype)
    raw[0] = np.finfo(dtype).max
    exact = raw.astype(np.float64)
    p, log_p = np.full((n, 2), np.nan, dtype), np.full((n, 2), np.nan, dtype)
    kernels.sigmoid_pairs(raw, p)
    kernels.log_sigmoid_pairs(raw, log_p)
    epsilon = np.finfo(dtype).eps
    both = np.column_stack([-exact, exact])
    np.testing.assert_allclose(p, reference.sigmoid(both), rtol=4 * epsilon, atol=2e-45)
    tails = np.minimum(both, 0) - np.log1p(np.exp(-np.abs(both)))
    np.testing.assert_allclose(log_p, tails, rtol=4 * epsilon, atol=2e-45)
    np.testing.assert_allclose(p.sum(axis=1, dtype=np.float64), 1, rtol=2 * epsilon)

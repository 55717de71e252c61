"""CSR kernels of linear models agree with NumPy at every SIMD level."""

import numpy as np
import pytest
from scipy import sparse

from skgen.kernels import available_levels, load
from tests import reference_linear_sparse as reference

CLASSES = [1, 2, 3, 7, 8, 20]


@pytest.fixture(params=available_levels())
def kernels(request):
    return load("sparse_linear", request.param)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=[np.int32, np.int64], ids=["int32", "int64"])
def integer(request):
    return request.param


def problem(n, d, n_classes, dtype, integer=np.int32, seed=0, density=0.3):
    """Dense rows (some without entries), their CSR parts, weights, classes."""
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, d)) < density, rng.normal(size=(n, d)), 0.0).astype(dtype)
    X[::7] = 0.0
    csr = sparse.csr_array(X)
    entries = csr.data, csr.indices.astype(integer), csr.indptr.astype(integer)
    weight = rng.integers(0, 4, size=n) * 0.5
    target = rng.integers(0, n_classes, size=n).astype(np.int32)
    return X, entries, weight, target, rng


def assert_sums_close(given, expected):
    # Sums are float64 for float32 rows too: only the order of additions differs.
    np.testing.assert_allclose(given, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 3), (8, 5), (203, 40), (64, 301)])
def test_logistic_agrees_with_numpy(kernels, dtype, integer, n, d):
    X, entries, weight, target, rng = problem(n, d, 2, dtype, integer)
    coef, intercept = rng.normal(size=d), 0.3
    expected = reference.logistic(X, weight, target, coef, intercept)
    gradient = np.zeros(d + 1)
    value = kernels.add_logistic(*entries, weight, target, coef, intercept, gradient)
    assert value == pytest.approx(expected[0], rel=1e-13, abs=1e-300)
    assert_sums_close(gradient, expected[1])
    sums = np.zeros((3, d + 1))
    value = kernels.add_logistic_diagonal(*entries, weight, target, coef, intercept, *sums)
    assert value == pytest.approx(expected[0], rel=1e-13, abs=1e-300)
    for given, wanted in zip(sums, expected[1:], strict=True):
        assert_sums_close(given, wanted)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_softmax_agrees_with_numpy(kernels, dtype, integer, n_classes):
    n, d = 103, 23
    X, entries, weight, target, rng = problem(n, d, n_classes, dtype, integer)
    turned, intercept = rng.normal(size=(d, n_classes)), rng.normal(size=n_classes)
    expected = reference.softmax_sums(X, weight, target, turned, intercept)
    model = (weight, target, turned, intercept)
    gradient = np.zeros((d + 1, n_classes))
    value = kernels.add_softmax(*entries, *model, np.empty(n_classes), gradient)
    assert value == pytest.approx(expected[0], rel=1e-13, abs=1e-14)
    assert_sums_close(gradient, expected[1])
    sums = np.zeros((3, d + 1, n_classes))
    value = kernels.add_softmax_diagonal(*entries, *model, np.empty(2 * n_classes), *sums)
    assert value == pytest.approx(expected[0], rel=1e-13, abs=1e-14)
    for given, wanted in zip(sums, expected[1:], strict=True):
        assert_sums_close(given, wanted)


def test_column_sums_agree_with_numpy(kernels, dtype, integer):
    X, entries, weight, _, _ = problem(77, 41, 2, dtype, integer)
    sums = np.ones((41, 2))
    kernels.add_column_sums(*entries, weight, sums)
    X = X.astype(np.float64)
    expected = np.column_stack([weight @ X, weight @ X**2])
    assert_sums_close(sums, expected + 1.0)


def test_sums_are_added_to_what_is_there(kernels):
    _, entries, weight, target, rng = problem(30, 9, 3, np.float64)
    model = (weight, target, rng.normal(size=(9, 3)), rng.normal(size=3), np.empty(3))
    once, onto = np.zeros((10, 3)), np.ones((10, 3))
    kernels.add_softmax(*entries, *model, once)
    kernels.add_softmax(*entries, *model, onto)
    np.testing.assert_allclose(onto, once + 1.0, rtol=1e-14, atol=1e-14)
    binary = (weight, (target > 0).astype(np.int32), rng.normal(size=9), 0.1)
    once, onto = np.zeros(10), np.ones(10)
    kernels.add_logistic(*entries, *binary, once)
    kernels.add_logistic(*entries, *binary, onto)
    np.testing.assert_allclose(onto, once + 1.0, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("score", [40.0, 300.0, 745.0, 1e4, 1e300])
def test_tails_keep_their_digits(kernels, score):
    entries = np.array([1.0, -1.0]), np.array([0, 0], np.int32), np.arange(3, dtype=np.int32)
    weight = np.ones(2)
    tail = np.exp(-score)
    for target, loss, slope in [([1, 0], tail, -tail), ([0, 1], score + tail, 1.0)]:
        target = np.array(target, np.int32)
        gradient = np.zeros(2)
        value = kernels.add_logistic(*entries, weight, target, np.array([score]), 0.0, gradient)
        assert value == pytest.approx(2.0 * loss, rel=1e-14, abs=0.0)
        assert gradient[0] == pytest.approx(2.0 * slope, rel=1e-14, abs=0.0)
        gradient = np.zeros((2, 2))
        turned = np.array([[0.0, score]])
        value = kernels.add_softmax(
            *entries, weight, target, turned, np.zeros(2), np.empty(2), gradient
        )
        assert value == pytest.approx(2.0 * loss, rel=1e-14, abs=0.0)
        np.testing.assert_allclose(gradient[0], [-2.0 * slope, 2.0 * slope], rtol=1e-14)


def test_no_number_in_a_row_reaches_the_value(kernels):
    entries = np.array([np.nan]), np.zeros(1, np.int32), np.array([0, 1], np.int32)
    one, zero = np.ones(1), np.zeros(1, np.int32)
    assert np.isnan(kernels.add_logistic(*entries, one, zero, one, 0.0, np.zeros(2)))
    turned = np.array([[1.0, 2.0]])
    value = kernels.add_softmax(
        *entries, one, zero, turned, np.zeros(2), np.empty(2), np.zeros((2, 2))
    )
    assert np.isnan(value)


@pytest.mark.parametrize("n_classes", CLASSES)
def test_scores_agree_with_numpy(kernels, dtype, integer, n_classes):
    X, entries, _, _, rng = problem(50, 31, 2, dtype, integer)
    turned, intercept = rng.normal(size=(31, n_classes)), rng.normal(size=n_classes)
    raw = np.full((50, n_classes), np.nan)
    kernels.write_scores(*entries, turned, intercept, raw)
    assert_sums_close(raw, X.astype(np.float64) @ turned + intercept)

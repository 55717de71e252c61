"""Column moments of CSR equal those of the same dense rows, whatever the columns look like."""

import numpy as np
import pytest
from scipy import sparse

from skgen.rows import Rows
from skgen.statistics import column_moments


def both(X, weight):
    return column_moments(Rows(sparse.csr_array(X), weight)), column_moments(Rows(X, weight))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_csr_equal_those_of_dense_rows(weighted, dtype):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((500, 30)) < 0.2, rng.normal(size=(500, 30)), 0.0).astype(dtype)
    X[:, 3] = 0.0
    weight = rng.integers(0, 4, size=500).astype(float) if weighted else None
    given, expected = both(X, weight)
    assert given.weight == expected.weight
    # Dense float32 rows are summed in float32 for a few hundred rows.
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(given.mean, expected.mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(given.square, expected.square, rtol=rtol)


def test_full_columns_far_from_zero_keep_their_digits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4)) + np.array([0.0, 1e4, 1e8, -1e8])
    X[:, 0] *= rng.random(1000) < 0.1
    given, expected = both(X, None)
    np.testing.assert_allclose(given.square, expected.square, rtol=1e-8)
    # About zero, the squares of the third column would be lost altogether.
    np.testing.assert_allclose(given.square[2], 1000.0 * X[:, 2].var(), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_numbers_that_do_not_fit_are_noticed(value):
    X = np.eye(6)
    X[2, 2] = value
    assert not column_moments(Rows(sparse.csr_array(X))).finite


def test_rows_without_weight_have_no_moments():
    moments = column_moments(Rows(sparse.csr_array(np.eye(3)), np.zeros(3)))
    assert moments.weight == 0.0
    np.testing.assert_array_equal(moments.square, np.zeros(3))

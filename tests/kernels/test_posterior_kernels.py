"""The kernel of small systems against numpy.linalg, at every SIMD level."""

import numpy as np
import pytest

from skgen import kernels


@pytest.mark.parametrize("level", kernels.available_levels())
@pytest.mark.parametrize("q", [1, 2, 3, 7, 20, 41])
@pytest.mark.parametrize("n", [1, 5, 8, 29])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_posterior_solves_every_row(level, q, n, size):
    rng = np.random.default_rng(q * n)
    factors = size * rng.normal(size=(n, q, q + 2))
    matrices = np.eye(q) + factors @ factors.transpose(0, 2, 1)
    right = rng.normal(size=(n, q))
    rows, columns = np.tril_indices(q)
    packed = np.ascontiguousarray(matrices[:, rows, columns].T)
    vectors, logs = np.array(right.T, order="C", copy=True), np.empty(n)
    kernels.load("posterior", level).posterior(packed, vectors, logs)
    inverses = np.linalg.inv(matrices)
    condition = np.linalg.cond(matrices).max()
    close = 1e-14 * condition * q
    scale = np.abs(inverses).max()
    np.testing.assert_allclose(packed, inverses[:, rows, columns].T, rtol=0, atol=close * scale)
    solutions = np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    np.testing.assert_allclose(vectors.T, solutions, rtol=0, atol=10 * close * scale)
    np.testing.assert_allclose(logs, np.linalg.slogdet(matrices)[1], rtol=1e-13, atol=1e-13 * q)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="shapes"):
        kernels.posterior.posterior(np.zeros((2, 4)), np.zeros((2, 4)), np.zeros(4))


def test_log_determinants_beyond_the_largest_double_are_exact():
    q = 40
    packed = np.zeros((q * (q + 1) // 2, 3))
    packed[np.flatnonzero(np.equal(*np.tril_indices(q)))] = 1e60
    logs = np.empty(3)
    kernels.posterior.posterior(packed, np.ones((q, 3)), logs)
    np.testing.assert_allclose(logs, q * 60 * np.log(10.0), rtol=1e-14)

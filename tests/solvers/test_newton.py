"""Newton's method and the factor it rests on."""

import numpy as np
import pytest

from skgen.base import UNWATCHED
from skgen.rows import Rows
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.newton import Factor, newton

ROWS = Rows(np.zeros((1, 1)))


class Watched:
    """An objective from a function of w that returns value, gradient and Hessian."""

    def __init__(self, function):
        self.value_gradient_hessian = lambda w, rows: function(w)

    def gradient_norm(self, gradient):
        return float(np.abs(gradient).max())


def quadratic(condition):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    matrix = basis @ np.diag(np.geomspace(1.0, condition, 6)) @ basis.T
    optimum = rng.normal(size=6)

    def function(w):
        return 0.5 * (w - optimum) @ matrix @ (w - optimum), matrix @ (w - optimum), matrix

    return Watched(function), optimum


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e8])
def test_a_quadratic_takes_one_step(condition):
    objective, optimum = quadratic(condition)
    solution = newton(objective, np.zeros(6), ROWS, DescentMonitor(20, 1e-4, UNWATCHED, None))
    assert solution.converged and solution.n_iter == 1
    np.testing.assert_allclose(solution.params, optimum, rtol=1e-15 * condition + 1e-12)


def test_a_step_that_overshoots_is_shortened():
    """Newton's method on sqrt(1 + w^2) diverges from |w| > 1 without backtracking."""

    def function(w):
        root = np.sqrt(1.0 + w @ w)
        return root, w / root, np.array([[root**-3]])

    monitor = DescentMonitor(100, 1e-8, UNWATCHED, None)
    solution = newton(Watched(function), np.array([20.0]), ROWS, monitor)
    assert solution.converged
    assert abs(solution.params[0]) < 1e-6
    assert (np.diff(solution.history) <= 0.0).all()


def test_max_iter_zero_returns_the_start():
    objective, _ = quadratic(10.0)
    solution = newton(objective, np.ones(6), ROWS, DescentMonitor(0, 1e-4, UNWATCHED, None))
    assert solution.n_iter == 0 and not solution.converged
    np.testing.assert_array_equal(solution.params, np.ones(6))


def test_what_cannot_fall_further_says_so():
    """A slope that no step can reduce: the value is all rounding."""

    def function(w):
        return 1.0, np.array([1e-3]), np.array([[1.0]])

    monitor = DescentMonitor(5, 1e-12, UNWATCHED, None)
    solution = newton(Watched(function), np.zeros(1), ROWS, monitor)
    assert not solution.converged
    assert "rounding" in solution.reason


def test_factor_solves_at_any_scale():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(7, 7))
    scale = np.geomspace(1e-12, 1e12, 7)
    matrix = scale[:, None] * (root @ root.T + np.eye(7)) * scale
    w = rng.normal(size=7) / scale
    np.testing.assert_allclose(Factor(matrix).solve(matrix @ w), w, rtol=1e-9)


def test_factor_of_a_singular_matrix_solves_what_can_be_solved():
    """The shift of all classes is a null direction, and gradients are orthogonal to it."""
    matrix = np.eye(3) - 1.0 / 3.0
    gradient = np.array([1.0, -2.0, 1.0])
    step = Factor(matrix).solve(gradient)
    np.testing.assert_allclose(matrix @ step, gradient, rtol=1e-9)


def test_factor_leaves_alone_what_has_no_curvature():
    matrix = np.diag([4.0, 0.0, 1.0])
    np.testing.assert_allclose(Factor(matrix).solve(np.array([4.0, 5.0, 6.0])), [1.0, 0.0, 6.0])


def test_factor_in_float32_is_a_preconditioner():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(9, 20))
    matrix = root @ root.T
    solved = Factor(matrix, np.float32).solve(matrix @ np.ones(9))
    # Rounding of 1e-7 times a condition number of about 1e2.
    np.testing.assert_allclose(solved, 1.0, atol=1e-3)
    assert solved.dtype == np.float64


def test_factor_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="finite"):
        Factor(np.array([[1.0, 0.0], [0.0, -1.0]]) * 1e3)


def test_inverse_is_what_solve_multiplies_by():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 12))
    scale = np.geomspace(1e-6, 1e6, 5)
    factor = Factor(scale[:, None] * (root @ root.T) * scale)
    gradient = rng.normal(size=5)
    np.testing.assert_allclose(factor.inverse() @ gradient, factor.solve(gradient), rtol=1e-10)
    np.testing.assert_allclose(factor.inverse(), factor.inverse().T, rtol=1e-15)

"""L-BFGS: reaches what float64 can tell, on a Wolfe line search, and says why it stops."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, log_expit

from skgen.solvers.lbfgs import Point, Trial, between, lbfgs, search
from skgen.solvers.monitor import DescentMonitor

ROWS = SimpleNamespace(dtype=np.dtype(np.float64))


class Run:
    """A callback that asks for a stop after `stop_after` iterations."""

    def __init__(self, stop_after=None):
        self.stop_after, self.begun, self.ended = stop_after, 0, 0

    def begin(self):
        self.begun += 1

    def end(self, attributes):
        self.ended += 1
        return self.ended == self.stop_after


class Function:
    """An objective given by value and gradient; counts its calls."""

    def __init__(self, value, gradient):
        self.value, self.gradient, self.calls = value, gradient, 0

    def value_and_gradient(self, w, rows):
        self.calls += 1
        with np.errstate(over="ignore", invalid="ignore"):
            return float(self.value(w)), self.gradient(w)

    def gradient_norm(self, gradient):
        return float(np.abs(gradient).max())


def monitor_of(max_iter=1000, tol=1e-10, run=None):
    return DescentMonitor(max_iter, tol, run or Run(), lambda w: {"w": w})


def quadratic(condition, d=40, seed=0):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    H = Q * np.geomspace(1.0, condition, d) @ Q.T
    best = rng.normal(size=d)
    value = lambda w: 1.0 + 0.5 * (w - best) @ H @ (w - best)  # noqa: E731
    return H, best, Function(value, lambda w: H @ (w - best))


def log_loss(n=300, d=20, strength=1e-3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.geomspace(0.1, 10.0, d)
    sign = np.where(X @ rng.normal(size=d) + rng.logistic(size=n) > 0, 1.0, -1.0)

    def value(w):
        return -log_expit(sign * (X @ w)).mean() + 0.5 * strength * w @ w

    def gradient(w):
        return -X.T @ (sign * expit(-sign * (X @ w))) / n + strength * w

    return Function(value, gradient), d


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e3])
def test_optimum_of_a_quadratic_is_found(condition):
    _, best, objective = quadratic(condition)
    solution = lbfgs(objective, np.zeros(len(best)), ROWS, monitor_of())
    assert solution.converged, solution.reason
    # A gradient of 1e-10 along the flattest direction, where H is 1.
    np.testing.assert_allclose(solution.params, best, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_gradient_of_a_log_loss_reaches_1e_10(seed):
    objective, d = log_loss(seed=seed)
    monitor = monitor_of()
    solution = lbfgs(objective, np.zeros(d), ROWS, monitor)
    assert solution.converged, solution.reason
    assert np.abs(objective.gradient(solution.params)).max() <= 1e-10
    assert monitor.gradient_norms[-1] <= 1e-10
    # Values may rise by what rounding does to them, no more.
    history = np.array(solution.history)
    assert (np.diff(history) <= 1e-14 * history[:-1]).all()


def test_exact_preconditioner_makes_a_newton_step():
    H, best, objective = quadratic(1e6)
    solution = lbfgs(
        objective,
        np.zeros(len(best)),
        ROWS,
        monitor_of(tol=1e-6),
        precondition=np.linalg.inv(H).dot,
    )
    assert solution.converged and solution.n_iter <= 3


class Renewal:
    """Asks for a new preconditioner after some iterations, and remembers where."""

    def __init__(self, after):
        self.after, self.asked, self.gaps = after, [], []

    def __call__(self, w):
        self.asked.append(w)
        return np.copy

    def due(self, n_iter, gap, goal, left):
        self.gaps.append((gap, goal))
        return n_iter in self.after


def test_preconditioner_is_renewed_where_it_is_due():
    objective, d = log_loss()
    renewal = Renewal([8, 16, 32])
    monitor = monitor_of(max_iter=40, tol=1e-12)
    lbfgs(objective, np.zeros(d), ROWS, monitor, precondition=np.copy, renew=renewal)
    values = [objective.value(w) for w in renewal.asked]
    np.testing.assert_allclose(values, np.array(monitor.history)[[7, 15, 31]], rtol=1e-14)
    # It is told how far there is to go.
    assert all(gap > goal > 0.0 for gap, goal in renewal.gaps)


def test_curved_valley_is_followed():
    objective = Function(
        lambda w: 100.0 * (w[1] - w[0] ** 2) ** 2 + (1.0 - w[0]) ** 2,
        lambda w: np.array(
            [-400.0 * w[0] * (w[1] - w[0] ** 2) - 2.0 * (1.0 - w[0]), 200.0 * (w[1] - w[0] ** 2)]
        ),
    )
    solution = lbfgs(objective, np.array([-1.2, 1.0]), ROWS, monitor_of())
    assert solution.converged, solution.reason
    np.testing.assert_allclose(solution.params, [1.0, 1.0], atol=1e-9)


def test_step_into_overflow_is_shortened():
    # exp(50 w) overflows at w = 14.2; the first step of length 1 goes no further than needed.
    objective = Function(
        lambda w: np.exp(50.0 * w[0]) - 1e3 * w[0], lambda w: 50.0 * np.exp(50.0 * w) - 1e3
    )
    solution = lbfgs(
        objective, np.zeros(1), ROWS, monitor_of(tol=1e-8), precondition=lambda g: 1e3 * g
    )
    assert solution.converged, solution.reason
    assert solution.params[0] == pytest.approx(np.log(20.0) / 50.0, rel=1e-10)


def test_it_stops_where_rounding_hides_any_fall():
    objective, d = log_loss()
    monitor = monitor_of(tol=0.0)
    solution = lbfgs(objective, np.zeros(d), ROWS, monitor)
    assert "rounding" in solution.reason
    assert solution.n_iter < 1000
    assert np.abs(objective.gradient(solution.params)).max() < 1e-12


def test_start_at_the_optimum_converges_at_once():
    _, best, objective = quadratic(10.0)
    solution = lbfgs(objective, best.copy(), ROWS, monitor_of())
    assert solution.converged and solution.n_iter == 1
    np.testing.assert_array_equal(solution.params, best)


def test_it_stops_at_max_iter_and_on_request():
    objective, d = log_loss()
    run = Run()
    solution = lbfgs(objective, np.zeros(d), ROWS, monitor_of(max_iter=3, run=run))
    assert solution.n_iter == len(solution.history) == run.begun == run.ended == 3
    assert not solution.converged and "max_iter=3" in solution.reason
    run = Run(stop_after=2)
    solution = lbfgs(objective, np.zeros(d), ROWS, monitor_of(run=run))
    assert solution.n_iter == run.ended == 2
    assert not solution.converged and "callback" in solution.reason
    solution = lbfgs(objective, np.zeros(d), ROWS, monitor_of(max_iter=0))
    assert solution.n_iter == 0 and not solution.converged
    solution = lbfgs(objective, np.zeros(d), ROWS, monitor_of(tol=0.0), max_steps=4)
    assert solution.n_iter == 4


def test_start_is_not_changed():
    objective, d = log_loss()
    start = np.full(d, 0.1)
    lbfgs(objective, start, ROWS, monitor_of(max_iter=5))
    np.testing.assert_array_equal(start, np.full(d, 0.1))


# Moré and Thuente (1994), section 5: hard functions of one step length.
HARD = {
    "hump": (lambda t: -t / (t * t + 2.0), lambda t: (t * t - 2.0) / (t * t + 2.0) ** 2),
    "flat": (
        lambda t: (t + 0.004) ** 5 - 2.0 * (t + 0.004) ** 4,
        lambda t: 5.0 * (t + 0.004) ** 4 - 8.0 * (t + 0.004) ** 3,
    ),
}


@pytest.mark.parametrize("length", [1e-3, 1e-1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize("name", ["hump", "flat"])
def test_step_obeys_the_strong_wolfe_conditions(name, length):
    value, slope = HARD[name]
    objective = Function(lambda w: value(w[0]), lambda w: slope(w[0]) * np.ones(1))
    start = Point(np.zeros(1), value(0.0), slope(0.0) * np.ones(1))
    point = search(objective, ROWS, start, np.ones(1), 1e-16, length)
    assert point.value <= start.value + 1e-4 * point.w[0] * slope(0.0)
    assert abs(point.gradient[0]) <= 0.9 * abs(slope(0.0))
    assert objective.calls <= 20


def test_direction_that_does_not_descend_is_refused():
    objective = Function(lambda w: w @ w, lambda w: 2.0 * w)
    start = Point(np.ones(1), 1.0, np.full(1, 2.0))
    assert search(objective, ROWS, start, np.ones(1), 1e-16, 1.0) is None


def test_cubic_through_two_points_finds_its_minimum():
    # t^3 - 3 t has its minimum at 1.
    ends = [Trial(t, t**3 - 3.0 * t, 3.0 * t * t - 3.0) for t in (0.2, 1.9)]
    assert between(*ends) == pytest.approx(1.0, rel=1e-12)
    # Never the ends themselves, nor where nothing is known about one of them.
    ends[1] = Trial(1.9, np.inf, np.nan)
    assert 0.2 < between(*ends) < 1.0

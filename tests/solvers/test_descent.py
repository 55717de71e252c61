"""What every solver of linear problems promises, whatever its way to the optimum.

A new solver is one row of `SOLVERS`.
"""

import numpy as np
import pytest
from scipy import sparse

from skgen.losses import LogLoss, SoftmaxLoss
from skgen.objectives import LinearObjective
from skgen.penalties import ElasticNet
from skgen.residuals import RowView
from skgen.rows import Rows
from skgen.solvers.columns import column_newton
from skgen.solvers.diagonal import diagonal
from skgen.solvers.lbfgs import lbfgs
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.newton import newton
from skgen.solvers.proximal import proximal_newton
from skgen.solvers.sampled import sampled


def by_columns(objective, w, rows, monitor):
    return column_newton(RowView(objective, rows), w, monitor)


def by_sample(objective, w, rows, monitor):
    def solve_sample(objective, w, rows):
        return newton(objective, w, rows, DescentMonitor(20, 1e-3, Run(), None)).params

    return sampled(objective, w, rows, monitor, solve_sample)


# Name -> solve(objective, w, rows, monitor), the penalties and containers that it takes.
SMOOTH, ALL = ("squared",), ("squared", "absolute", "mixed")
DENSE, BOTH = (np.asarray,), (np.asarray, sparse.csr_array)
SOLVERS = {
    "newton": (newton, SMOOTH, BOTH),
    "lbfgs": (lbfgs, SMOOTH, BOTH),
    "sampled": (by_sample, SMOOTH, DENSE),
    "diagonal": (diagonal, SMOOTH, BOTH),
    "proximal": (proximal_newton, ALL, BOTH),
    "columns": (by_columns, ALL, BOTH),
}
STRENGTHS = {"squared": (0.01, 0.0), "absolute": (0.0, 0.01), "mixed": (0.005, 0.005)}
CASES = [
    pytest.param(solve, penalty, container, id=f"{name}-{penalty}-{container.__name__}")
    for name, (solve, penalties, containers) in SOLVERS.items()
    for penalty in penalties
    for container in containers
]
cases = pytest.mark.parametrize(("solve", "penalty", "container"), CASES)
classes = pytest.mark.parametrize("n_classes", [2, 3])


class Run:
    """The callback side of a monitor; asks for a stop after `stop_after` iterations."""

    def __init__(self, stop_after=None):
        self.stop_after, self.n_begun, self.n_ended = stop_after, 0, 0

    def begin(self):
        self.n_begun += 1

    def end(self, attributes):
        self.n_ended += 1
        return self.n_ended == self.stop_after


def problem(penalty, container, n_classes, n=9000, d=6):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, d)) * (generator.random((n, d)) < 0.6)
    raw = X @ generator.normal(size=(d, n_classes)) + generator.gumbel(size=(n, n_classes))
    loss = LogLoss() if n_classes == 2 else SoftmaxLoss()
    k = loss.n_outputs(n_classes)
    penalized = np.repeat([1.0, 0.0], [k * d, k])
    l2, l1 = (strength * penalized for strength in STRENGTHS[penalty])
    objective = LinearObjective(loss, k, d, True, ElasticNet(l2, l1))
    weight = generator.uniform(0.2, 2.0, n)
    return objective, Rows(container(X), weight, raw.argmax(axis=1).astype(np.int32))


def run(solve, objective, rows, tol=1e-9, max_iter=500, stop_after=None):
    watch = Run(stop_after)
    monitor = DescentMonitor(max_iter, tol, watch, lambda w: {})
    start = np.zeros(objective.n_parameters)
    solution = solve(objective, start, rows, monitor)
    assert not start.any()
    assert watch.n_begun == watch.n_ended == solution.n_iter == len(solution.history)
    return solution, monitor


def value(objective, rows, w):
    return objective.value_and_gradient(w, rows)[0] + objective.penalty.absolute(w)


@cases
@classes
def test_optimum_has_no_subgradient(solve, penalty, container, n_classes):
    objective, rows = problem(penalty, container, n_classes)
    solution, monitor = run(solve, objective, rows)
    assert solution.converged and "within tol" in solution.reason
    w = solution.params
    _, gradient = objective.value_and_gradient(w, rows)
    slack = np.maximum(np.abs(gradient) - objective.l1, 0.0)
    slope = np.where(w != 0.0, np.abs(gradient + objective.l1 * np.sign(w)), slack)
    assert slope.max() <= 1.1e-9
    np.testing.assert_allclose(monitor.gradient_norms[-1], slope.max(), rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(solution.history[-1], value(objective, rows, w), rtol=1e-12)
    assert (np.diff(solution.history) <= 1e-13).all()


@cases
@classes
def test_gap_at_the_default_tolerance_is_below_1e_6(solve, penalty, container, n_classes):
    objective, rows = problem(penalty, container, n_classes)
    best = run(solve, objective, rows)[0].value
    solution, monitor = run(solve, objective, rows, tol=1e-4)
    assert solution.converged
    assert solution.value <= best * (1 + 1e-6)
    assert monitor.gap <= 1e-7 * solution.value


@cases
def test_stop_requests_and_max_iter_are_obeyed(solve, penalty, container):
    objective, rows = problem(penalty, container, 3)
    solution, _ = run(solve, objective, rows, tol=0.0, stop_after=2)
    assert solution.n_iter == 2 and solution.reason == "stopped by a callback"
    assert not solution.converged
    solution, _ = run(solve, objective, rows, tol=0.0, max_iter=1)
    assert solution.n_iter == 1 and solution.reason == "max_iter=1 reached"
    assert value(objective, rows, solution.params) < np.log(3)
    solution, _ = run(solve, objective, rows, max_iter=0)
    assert solution.n_iter == 0 and np.isfinite(solution.params).all()


@cases
def test_result_does_not_depend_on_threads(solve, penalty, container):
    objective, rows = problem(penalty, container, 3)
    ends = [
        run(solve, objective, rows.with_threads(number), max_iter=5)[0].params for number in (1, 3)
    ]
    np.testing.assert_array_equal(*ends)

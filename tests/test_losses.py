"""Losses by name: derivatives against differences, compiled sums against NumPy, and the optimum.

A new loss is one row of `LOSSES`.
"""

import numpy as np
import pytest
from scipy import sparse

from skgen.base import UNWATCHED
from skgen.losses import LogLoss, SoftmaxLoss
from skgen.objectives import LinearObjective, LinearParams, add_in_numpy, add_rows
from skgen.penalties import ElasticNet
from skgen.rows import Rows
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.newton import newton


class PoissonLoss:
    """exp(raw) - y raw, a loss in NumPy alone."""

    def n_outputs(self, n_classes):
        return 1

    def value_and_gradient(self, raw, target, weight):
        mean = np.exp(raw[:, 0])
        return float(weight @ (mean - target * raw[:, 0])), (weight * (mean - target))[:, None]

    def curvature(self, raw, weight):
        return (weight * np.exp(raw[:, 0]))[:, None, None]


# Name -> the loss, number of classes.
LOSSES = {
    "log": (LogLoss(), 2),
    "softmax of two": (SoftmaxLoss(), 2),
    "softmax of five": (SoftmaxLoss(), 5),
    "without a kernel": (PoissonLoss(), 4),
}
losses = pytest.mark.parametrize("name", LOSSES)
containers = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])


def problem(name, container=np.asarray, n=60, d=3):
    """A loss, rows of random classes and a penalized objective."""
    loss, n_classes = LOSSES[name]
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, d)) * (generator.random((n, d)) < 0.7)
    y = generator.integers(n_classes, size=n).astype(np.int32)
    k = loss.n_outputs(n_classes)
    l2 = np.repeat([0.1, 0.0], [k * d, k])
    objective = LinearObjective(loss, k, d, True, ElasticNet(l2, np.zeros(l2.size)))
    return objective, Rows(container(X), generator.uniform(0.1, 2.0, n), y)


@losses
def test_gradient_is_the_slope_of_the_value(name):
    loss, n_classes = LOSSES[name]
    generator = np.random.default_rng(1)
    raw = generator.normal(size=(20, loss.n_outputs(n_classes)))
    target, weight = generator.integers(n_classes, size=20), generator.uniform(0.1, 2.0, 20)
    _, gradient = loss.value_and_gradient(raw, target, weight)
    for where in np.ndindex(raw.shape):
        move = np.zeros_like(raw)
        move[where] = 1e-5
        up = loss.value_and_gradient(raw + move, target, weight)[0]
        down = loss.value_and_gradient(raw - move, target, weight)[0]
        np.testing.assert_allclose(gradient[where], (up - down) / 2e-5, rtol=0, atol=1e-8)


@losses
@containers
def test_hessian_is_the_slope_of_the_gradient(name, container):
    objective, rows = problem(name, container)
    w = np.random.default_rng(2).normal(size=objective.n_parameters)
    _, _, hessian = objective.value_gradient_hessian(w, rows)
    for j, move in enumerate(1e-5 * np.eye(len(w))):
        up = objective.value_and_gradient(w + move, rows)[1]
        down = objective.value_and_gradient(w - move, rows)[1]
        np.testing.assert_allclose(hessian[j], (up - down) / 2e-5, rtol=0, atol=1e-9)


@losses
@containers
def test_compiled_sums_are_those_of_numpy(name, container):
    objective, rows = problem(name, container)
    w = np.random.default_rng(2).normal(size=objective.n_parameters)
    coef, intercept = objective.parts(w)
    params = LinearParams(coef, intercept, objective.loss, None, with_hessian=True)
    block = rows.block(0)
    found = add_rows(block, params)
    gradient, hessian = np.zeros_like(found.gradient), np.zeros_like(found.hessian)
    value = add_in_numpy(block, params, gradient, hessian)
    np.testing.assert_allclose(found.value, value, rtol=1e-13)
    np.testing.assert_allclose(found.gradient, gradient, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.hessian, hessian, rtol=0, atol=1e-12)


@losses
@containers
def test_newton_finds_the_optimum(name, container):
    objective, rows = problem(name, container)
    monitor = DescentMonitor(100, 1e-11, UNWATCHED, lambda w: {})
    solution = newton(objective, np.zeros(objective.n_parameters), rows, monitor)
    assert solution.converged
    assert np.abs(objective.value_and_gradient(solution.params, rows)[1]).max() <= 1e-11

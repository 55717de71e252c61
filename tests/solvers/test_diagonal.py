"""Sparse problems: the diagonal about the mean row is a sound metric and finds the optimum."""

import numpy as np
import pytest
from scipy import sparse

from skgen.losses import LogLoss, SoftmaxLoss
from skgen.objectives import LinearObjective
from skgen.penalties import ElasticNet
from skgen.rows import Rows
from skgen.solvers.diagonal import CenteredDiagonal, diagonal
from skgen.solvers.monitor import DescentMonitor
from skgen.statistics import column_moments


class Run:
    def begin(self):
        pass

    def end(self, attributes):
        return False


def text(n=2000, d=300, n_classes=2, seed=0, dtype=np.float64):
    """Rows of counts whose columns differ in frequency by a factor of hundreds."""
    rng = np.random.default_rng(seed)
    frequency = 1.0 / (np.arange(d) + 3.0)
    X = sparse.csr_array(rng.poisson(8.0 * frequency / frequency.sum(), (n, d)).astype(dtype))
    raw = X @ rng.normal(size=(d, n_classes)) + rng.gumbel(size=(n, n_classes))
    return X, raw.argmax(axis=1).astype(np.int32), rng.integers(1, 4, size=n).astype(float)


def problem(n_classes=2, fit_intercept=True, strength=1e-3, n_threads=1, scale=None, **given):
    X, y, weight = text(n_classes=n_classes, **given)
    d = X.shape[1]
    scale = np.ones(d) if scale is None else scale
    X = sparse.csr_array((X.data * scale[X.indices], X.indices, X.indptr), X.shape)
    rows = Rows(X, weight, y, n_threads=n_threads)
    loss = LogLoss() if n_classes == 2 else SoftmaxLoss()
    k = loss.n_outputs(n_classes)
    l2 = np.concatenate([np.tile(strength * scale**2, k), np.zeros(k * fit_intercept)])
    objective = LinearObjective(loss, k, d, fit_intercept, ElasticNet(l2, np.zeros(l2.size)))
    return objective, rows


def solve(objective, rows, max_iter=500, tol=1e-10, columns=None):
    monitor = DescentMonitor(max_iter, tol, Run(), lambda w: {})
    return diagonal(objective, np.zeros(objective.n_parameters), rows, monitor, columns)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_optimum_has_no_gradient(n_classes, fit_intercept):
    objective, rows = problem(n_classes, fit_intercept)
    solution = solve(objective, rows)
    assert solution.converged, solution.reason
    gradient = objective.value_and_gradient(solution.params, rows)[1]
    assert np.abs(gradient).max() <= 1e-10
    values = np.array(solution.history)
    assert (np.diff(values) <= 1e-14 * values[:-1]).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_units_of_the_columns_do_not_matter(n_classes):
    # Powers of two change no digit, so every iterate is the same in other units.
    scale = 2.0 ** np.random.default_rng(0).integers(-20, 20, size=300)
    plain = solve(*problem(n_classes), max_iter=30, tol=0.0)
    scaled = solve(*problem(n_classes, scale=scale), max_iter=30, tol=0.0)
    np.testing.assert_allclose(scaled.history, plain.history, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_metric_inverts_its_own_matrix(n_classes, fit_intercept):
    objective, rows = problem(n_classes, fit_intercept, d=20)
    w = np.random.default_rng(0).normal(size=objective.n_parameters)
    diagonal_, cross = objective.class_diagonal(w, rows)
    metric = CenteredDiagonal(objective, diagonal_, cross)
    inverse = np.array([metric.solve(unit) for unit in np.eye(objective.n_parameters)]).T
    np.testing.assert_allclose(inverse, inverse.T, rtol=1e-12, atol=1e-14)
    matrix = np.linalg.inv(inverse)
    assert np.linalg.eigvalsh(matrix)[0] > 0.0
    k, d = objective.layout.shapes["coef"]
    strength = objective.penalty.l2[: k * d].reshape(k, d)
    for number in range(k):
        own = slice(number * d, (number + 1) * d)
        np.testing.assert_allclose(
            np.diag(matrix[own, own]), diagonal_[number, :d] + strength[number], rtol=1e-9
        )
        if fit_intercept:
            np.testing.assert_allclose(
                matrix[own, k * d + number], cross[number, :d], rtol=1e-9, atol=1e-14
            )


@pytest.mark.parametrize("n_classes", [2, 4])
def test_diagonal_is_that_of_the_hessian(n_classes):
    objective, rows = problem(n_classes, d=20)
    w = np.random.default_rng(0).normal(size=objective.n_parameters)
    hessian = objective.value_gradient_hessian(w, rows)[2]
    diagonal_, cross = objective.class_diagonal(w, rows)
    k, d = objective.layout.shapes["coef"]
    given = np.concatenate([diagonal_[:, :d].ravel(), diagonal_[:, d]]) + objective.penalty.l2
    np.testing.assert_allclose(given, np.diag(hessian), rtol=1e-10)
    for number in range(k):
        between = hessian[number * d : (number + 1) * d, k * d + number]
        np.testing.assert_allclose(cross[number, :d], between, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_column_moments_spare_the_first_reading(n_classes):
    objective, rows = problem(n_classes)
    w = np.zeros(objective.n_parameters)
    w[-1] = 0.7
    read = objective.class_diagonal(w, rows)
    known = objective.class_diagonal(w, rows, column_moments(rows))
    for given, expected in zip(known, read, strict=True):
        np.testing.assert_allclose(given, expected, rtol=1e-10)


def test_frequent_words_and_the_intercept_are_told_apart():
    # 6 steps; 14 with the plain diagonal, 28 without any metric.
    objective, rows = problem(n=4000)
    best = solve(objective, rows).value
    history = np.array(solve(objective, rows, max_iter=20, tol=0.0).history)
    assert (history[6:] - best <= 1e-6 * best).all()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_result_does_not_depend_on_the_number_of_threads(n_classes):
    one = solve(*problem(n_classes, n=40000, n_threads=1), max_iter=6)
    three = solve(*problem(n_classes, n=40000, n_threads=3), max_iter=6)
    np.testing.assert_array_equal(one.params, three.params)


def test_empty_column_keeps_no_weight():
    objective, rows = problem(strength=0.0)
    X = rows.X.copy()
    X.data[X.indices == 299] = 0.0
    solution = solve(objective, Rows(X, rows.weight, rows.target), max_iter=20)
    assert solution.params[299] == 0.0
    assert np.isfinite(solution.params).all()

"""Proximal Newton by columns: it reaches the optimum of the solver that has the Hessian."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from skgen.objectives import LinearObjective
from skgen.residuals import RowView
from skgen.rows import Rows, one_blas_thread
from skgen.solvers.columns import ColumnModel, column_newton, conjugate_gradients
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.proximal import proximal_newton
from tests.solvers.test_proximal import Run, load, optimality, problem
from tests.solvers.test_proximal import solve as solve_with_hessian


def solve(objective, rows, tol=1e-9, max_iter=300, w=None, run=None):
    monitor = DescentMonitor(max_iter, tol, run or Run(), lambda params: {})
    w = np.zeros(objective.n_parameters) if w is None else w
    with one_blas_thread(rows):
        return column_newton(RowView(objective, rows), w, monitor), monitor


def text(n=400, d=300, n_classes=2, seed=0, dtype=np.float64):
    """Rows of a few words each, and classes that some words tell."""
    random = np.random.default_rng(seed)
    X = sparse.csr_array(random.poisson(3.0 / (1.0 + np.arange(d)), (n, d)).astype(dtype))
    scores = X @ (random.standard_normal((d, n_classes)) * 2.0) + random.gumbel(size=(n, n_classes))
    return X, scores.argmax(axis=1)


def as_csr(rows):
    return Rows(sparse.csr_array(rows.X), rows.weight, rows.target, n_threads=rows.n_threads)


def sparse_problem(X, y, *args, n_threads=1, weight=None, **settings):
    objective, rows = problem(X.toarray(), y, *args, weight=weight, **settings)
    return objective, Rows(X, weight, rows.target, n_threads=n_threads)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_csr_reaches_the_optimum(fit_intercept, l1_ratio, n_classes, C):
    X, y = text(n_classes=n_classes)
    objective, rows = sparse_problem(X, y, C, l1_ratio, fit_intercept=fit_intercept)
    solution, _ = solve(objective, rows)
    assert solution.converged, solution.reason
    assert optimality(objective, rows, solution.params) <= 2e-9
    dense = Rows(X.toarray(), None, rows.target)
    expected = solve_with_hessian(objective, dense)[0]
    assert solution.value == pytest.approx(expected.value, rel=1e-12)
    # Of an even number of classes two middle ones may shift together under an absolute penalty.
    if n_classes == 2 or l1_ratio < 1.0:
        left, right = (objective.layout.views(s.params)["coef"] for s in (solution, expected))
        np.testing.assert_allclose(left, right, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
@pytest.mark.parametrize("form", ["dense", "centered", "csr", "float32"])
def test_correlated_columns_reach_the_optimum(name, form):
    X, y = load(name)
    X = StandardScaler().fit_transform(X)
    X = X.astype(np.float32) if form == "float32" else X
    objective, rows = problem(X, y, 10.0, 0.8)
    if form == "centered":
        origin = np.full(X.shape[1], 0.25)
        objective = LinearObjective(
            objective.loss, *objective.layout.shapes["coef"], True, objective.penalty, origin
        )
    rows = as_csr(rows) if form == "csr" else rows
    solution, _ = solve(objective, rows, tol=1e-8)
    assert solution.converged, solution.reason
    assert optimality(objective, rows, solution.params) <= 2e-8


def test_dense_rows_with_many_zeros_are_read_as_csr():
    X, y = text()
    objective, rows = problem(X.toarray(), y, 1.0, 0.9)
    centered = LinearObjective(
        objective.loss, *objective.layout.shapes["coef"], True, objective.penalty,
        X.toarray().mean(axis=0),
    )  # fmt: skip
    view = RowView(centered, rows)
    assert sparse.issparse(view.rows.X)
    left, right = solve(objective, as_csr(rows))[0], solve(centered, rows)[0]
    assert left.value == pytest.approx(right.value, rel=1e-12)
    np.testing.assert_allclose(left.params[:-1], right.params[:-1], atol=1e-6)
    assert optimality(centered, rows, right.params) <= 2e-9


@pytest.mark.parametrize("n_classes", [2, 3])
def test_number_of_threads_does_not_change_a_bit(n_classes):
    X, y = text(70_000, 50, n_classes)
    results = []
    for n_threads in (1, 2, 3):
        objective, rows = sparse_problem(X, y, 1.0, n_threads=n_threads)
        assert rows.n_blocks > 1
        results.append(solve(objective, rows, max_iter=4)[0].params)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_default_tolerance_means_a_relative_gap_below_1e_6(n_classes):
    X, y = text(n_classes=n_classes)
    for C in [0.05, 1.0, 100.0]:
        objective, rows = sparse_problem(X, y, C, fit_intercept=True)
        best = solve(objective, rows)[0].value
        solution, _ = solve(objective, rows, tol=1e-4)
        assert solution.converged
        assert solution.value <= best * (1.0 + 1e-6)


def test_whole_weights_are_repetitions():
    X, y = text()
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    objective, rows = sparse_problem(X, y, 1.0, weight=weight.astype(float))
    picked = np.repeat(np.arange(len(y)), weight)
    repeated, repeated_rows = sparse_problem(X[picked], y[picked], 1.0)
    left, right = solve(objective, rows)[0], solve(repeated, repeated_rows)[0]
    assert left.value == pytest.approx(right.value, rel=1e-12)
    np.testing.assert_allclose(left.params, right.params, atol=1e-5)


def test_penalized_intercept_is_a_column_of_ones():
    X, y = text()
    ones = sparse.csr_array(sparse.hstack([X, np.ones((X.shape[0], 1))]))
    objective, rows = sparse_problem(ones, y, 1.0, fit_intercept=False)
    with_intercept, with_rows = sparse_problem(X, y, 1.0)
    with_intercept.penalty.l1[-1] = objective.penalty.l1[-1]
    left, right = solve(objective, rows)[0], solve(with_intercept, with_rows)[0]
    assert left.value == pytest.approx(right.value, rel=1e-12)
    np.testing.assert_allclose(left.params, right.params, atol=1e-6)


def test_value_never_rises_and_callbacks_may_stop():
    X, y = text(n_classes=3)
    objective, rows = sparse_problem(X, y, 10.0)
    solution, _ = solve(objective, rows)
    assert np.all(np.diff(solution.history) <= 1e-14)
    run = Run(stop_after=2)
    stopped, _ = solve(objective, rows, run=run)
    assert (run.n_begun, stopped.n_iter, stopped.converged) == (2, 2, False)
    assert stopped.reason == "stopped by a callback"
    assert stopped.value == solution.history[1]


def test_all_weights_zero_where_the_penalty_is_large():
    X, y = text()
    objective, rows = sparse_problem(X, y, 1e-6)
    solution, _ = solve(objective, rows)
    assert solution.converged
    assert not solution.params[:-1].any()
    assert solution.params[-1] == pytest.approx(np.log(y.mean() / (1.0 - y.mean())))


def test_rows_are_not_changed():
    X, y = text()
    before = X.copy()
    objective, rows = sparse_problem(X, y)
    w = np.ones(objective.n_parameters)
    solve(objective, rows, w=w, max_iter=3)
    assert abs(X - before).nnz == 0
    np.testing.assert_array_equal(w, 1.0)


def test_conjugate_gradients_leave_still_what_has_no_curvature():
    random = np.random.default_rng(0)
    root = random.standard_normal((20, 5))
    matrix = root.T @ root
    matrix[2], matrix[:, 2] = 0.0, 0.0
    inverse = np.array([1.0 / value if value else 0.0 for value in np.diag(matrix)])
    target = matrix @ np.arange(5.0)
    found = conjugate_gradients(lambda x: matrix @ x, target, inverse)
    assert found[2] == 0.0
    assert np.linalg.norm(matrix @ found - target) <= 0.2 * np.linalg.norm(target)


def test_runs_of_columns_in_every_order_hold_each_column_once():
    model = ColumnModel(RowView(*sparse_problem(*text(), 1.0)))
    for n in (0, 1, 7, 8, 9, 250):
        order = np.arange(n, dtype=np.int32)
        first, second = model.shuffled(order), model.shuffled(order)
        np.testing.assert_array_equal(np.sort(first), order)
        np.testing.assert_array_equal(np.sort(second), order)
    assert (first != second).any()


def test_one_pass_over_the_rows_is_the_passes_one_by_one():
    X, y = text(70_000, 50)
    for fit_intercept in (False, True):
        objective, rows = sparse_problem(X, y, 1.0, fit_intercept=fit_intercept)
        if fit_intercept:
            objective.penalty.l1[-1] = 1e-3
        view = RowView(objective, rows)
        V = np.random.default_rng(0).standard_normal((50 + fit_intercept, 1))
        raw, by_row, gradient = view.visit(V)
        np.testing.assert_allclose(raw, view.scores(V), rtol=1e-12, atol=1e-13)
        assert by_row.loss == pytest.approx(view.evaluate(raw).loss, rel=1e-13)
        np.testing.assert_allclose(gradient, view.gradient(by_row.residual), rtol=1e-9)


def test_another_solver_goes_on_after_the_limit():
    X, y = text()
    objective, rows = sparse_problem(X, y, 10.0)
    monitor = DescentMonitor(300, 1e-12, Run(), lambda params: {})
    solution = column_newton(RowView(objective, rows), np.zeros(301), monitor, limit=3)
    assert (len(monitor.history), monitor.ended, solution.converged) == (3, False, False)
    finished = proximal_newton(objective, solution.params, rows, monitor)
    assert finished.converged, finished.reason
    assert np.all(np.diff(finished.history) <= 1e-14)
    assert optimality(objective, rows, finished.params) <= 2e-12

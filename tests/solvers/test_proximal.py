"""Proximal Newton: optimality, the duality gap, hard cases, parity with scikit-learn."""

import numpy as np
import pytest
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skgen.losses import LogLoss, SoftmaxLoss
from skgen.objectives import LinearObjective
from skgen.penalties import ElasticNet
from skgen.rows import Rows, one_blas_thread
from skgen.solvers.duality import lower_bound, minimal_subgradient
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.proximal import lowest_on_line, proximal_newton


class Run:
    """The callback side of a monitor; asks for a stop after `stop_after` iterations."""

    def __init__(self, stop_after=None):
        self.stop_after, self.n_begun, self.n_ended = stop_after, 0, 0

    def begin(self):
        self.n_begun += 1

    def end(self, attributes):
        self.n_ended += 1
        return self.n_ended == self.stop_after


def problem(X, y, C=1.0, l1_ratio=1.0, fit_intercept=True, softmax=False, weight=None):
    """Objective and rows of scikit-learn's LogisticRegression."""
    classes, y = np.unique(y, return_inverse=True)
    softmax = softmax or len(classes) > 2
    loss = SoftmaxLoss() if softmax else LogLoss()
    k, d = loss.n_outputs(len(classes)), X.shape[1]
    rows = Rows(np.ascontiguousarray(X), weight, y.astype(np.int32))
    penalized = np.repeat([1.0, 0.0], [k * d, k * fit_intercept]) / (C * rows.weight_sum)
    penalty = ElasticNet(penalized * (1.0 - l1_ratio), penalized * l1_ratio)
    return LinearObjective(loss, k, d, fit_intercept, penalty), rows


def solve(objective, rows, tol=1e-10, max_iter=200, w=None, run=None):
    monitor = DescentMonitor(max_iter, tol, run or Run(), lambda params: {})
    w = np.zeros(objective.n_parameters) if w is None else w
    with one_blas_thread(rows):
        return proximal_newton(objective, w, rows, monitor), monitor


def optimality(objective, rows, w):
    """The largest entry of the minimal subgradient, recomputed."""
    _, gradient = objective.value_and_gradient(w, rows)
    return np.abs(minimal_subgradient(gradient, w, objective.l1)).max()


def value(objective, rows, w):
    return objective.value_and_gradient(w, rows)[0] + objective.penalty.absolute(w)


def load(name):
    return getattr(datasets, f"load_{name}")(return_X_y=True)


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "wine"])
@pytest.mark.parametrize("C", [1e-2, 1.0, 1e4])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.05])
@pytest.mark.parametrize("softmax", [False, True])
def test_raw_data_reach_a_subgradient_of_1e_10(name, C, l1_ratio, softmax):
    X, y = load(name)
    y = y if softmax else y == y.max()
    objective, rows = problem(X, y, C, l1_ratio, softmax=softmax)
    solution, _ = solve(objective, rows)
    assert solution.converged, solution.reason
    assert optimality(objective, rows, solution.params) <= 1e-10
    assert solution.value == pytest.approx(value(objective, rows, solution.params), rel=1e-12)


@pytest.mark.parametrize(("C", "l1_ratio"), [(0.01, 1.0), (1.0, 0.5)])
def test_ten_classes_reach_a_subgradient_of_1e_10(C, l1_ratio):
    objective, rows = problem(*load("digits"), C, l1_ratio)
    solution, _ = solve(objective, rows)
    assert solution.converged, solution.reason
    assert optimality(objective, rows, solution.params) <= 1e-10
    assert 0.1 < np.mean(solution.params == 0.0) < 0.9


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
@pytest.mark.parametrize(
    ("name", "C"),
    [("iris", 0.1), ("iris", 1.0), ("wine", 0.1), ("wine", 1.0), ("breast_cancer", 0.1)],
)
def test_coefficients_equal_those_of_saga(name, C, l1_ratio):
    X, y = load(name)
    X = StandardScaler().fit_transform(X)
    objective, rows = problem(X, y, C, l1_ratio)
    solution, _ = solve(objective, rows)
    saga = LogisticRegression(
        C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-12, max_iter=100_000, random_state=0
    ).fit(X, y)
    views = objective.layout.views(solution.params)
    np.testing.assert_allclose(views["coef"], saga.coef_, rtol=0, atol=1e-6)
    shift = (views["intercept"] - saga.intercept_).mean() if len(saga.intercept_) > 1 else 0.0
    np.testing.assert_allclose(views["intercept"] - shift, saga.intercept_, rtol=0, atol=1e-6)


# Within rounding of the optimum it does not notice that it has arrived.
@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_coefficients_equal_those_of_liblinear(C):
    X, y = load("breast_cancer")
    X = X / X.std(axis=0)
    objective, rows = problem(X, y, C, fit_intercept=False)
    model = LogisticRegression(
        C=C, l1_ratio=1.0, solver="liblinear", tol=1e-12, max_iter=10_000, fit_intercept=False
    ).fit(X, y)
    np.testing.assert_allclose(solve(objective, rows)[0].params, model.coef_[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("l1_ratio", "C"), [(1.0, 1.0), (0.5, 0.1), (0.05, 100.0)])
@pytest.mark.parametrize("softmax", [False, True])
def test_gap_is_never_less_than_the_distance_to_the_optimum(l1_ratio, C, softmax):
    X, y = load("wine")
    y = y if softmax else y == 0
    objective, rows = problem(X, y, C, l1_ratio, fit_intercept=False, softmax=softmax)
    best = solve(objective, rows)[0]
    penalty = objective.penalty
    random = np.random.default_rng(0)
    for distance in [0.0, 1e-6, 1e-3, 0.1, 1.0]:
        w = best.params * (1.0 + distance * random.standard_normal(objective.n_parameters))
        smooth, gradient = objective.value_and_gradient(w, rows)
        squared, slope = penalty.squared(w)
        bound = lower_bound(smooth - squared, gradient - slope, w, penalty.l1, penalty.l2)
        assert bound <= best.value * (1.0 + 1e-12)
    bound_at_zero = lower_bound(
        *objective.value_and_gradient(np.zeros(len(w)), rows),
        np.zeros(len(w)),
        penalty.l1,
        penalty.l2,
    )
    assert 0.0 <= bound_at_zero <= best.value


def test_reported_gap_bounds_the_distance_at_every_iteration():
    objective, rows = problem(*load("breast_cancer"), C=0.1, l1_ratio=0.5)
    best = solve(objective, rows)[0].value
    for max_iter in range(1, 9):
        solution, monitor = solve(objective, rows, max_iter=max_iter)
        assert monitor.gap >= (solution.value - best) - 1e-13


def test_default_tolerance_means_a_relative_gap_below_1e_6():
    for name in ["iris", "breast_cancer", "wine"]:
        objective, rows = problem(*load(name), softmax=True)
        best = solve(objective, rows)[0].value
        assert solve(objective, rows, tol=1e-4)[0].value <= best * (1.0 + 1e-6)


def test_value_never_rises():
    objective, rows = problem(*load("breast_cancer"), C=1e4)
    history = np.array(solve(objective, rows)[0].history)
    assert np.all(np.diff(history) <= 1e-14)


def test_penalty_beyond_the_largest_gradient_leaves_only_the_intercept():
    X, y = load("breast_cancer")
    objective, rows = problem(X, y)
    share = y.mean()
    largest = np.abs(X.T @ (y - share)).max()
    for C, empty in [(0.999 / largest, True), (1.01 / largest, False)]:
        objective, rows = problem(X, y, C)
        views = objective.layout.views(solve(objective, rows)[0].params)
        assert (not views["coef"].any()) == empty
        if empty:
            assert views["intercept"][0] == pytest.approx(np.log(share / (1.0 - share)))


def test_equal_and_constant_columns_do_no_harm():
    X, y = load("iris")
    X = np.column_stack([X, X, np.zeros(len(X)), np.ones(len(X)), X @ np.ones(4)])
    for l1_ratio in [1.0, 0.5]:
        objective, rows = problem(X, y, 10.0, l1_ratio)
        solution, _ = solve(objective, rows)
        assert solution.converged, solution.reason
        assert optimality(objective, rows, solution.params) <= 1e-10
        assert not objective.layout.views(solution.params)["coef"][:, 8].any()


def test_elastic_net_shares_weight_evenly_among_equal_columns():
    X, y = load("iris")
    objective, rows = problem(np.column_stack([X, X]), y == 2, 10.0, 0.5)
    coef = solve(objective, rows)[0].params[:8]
    np.testing.assert_allclose(coef[:4], coef[4:], atol=1e-8)


def test_more_columns_than_rows():
    random = np.random.default_rng(0)
    X, y = random.standard_normal((40, 300)), random.integers(0, 2, 40)
    objective, rows = problem(X, y, 10.0)
    solution, _ = solve(objective, rows)
    assert solution.converged
    assert optimality(objective, rows, solution.params) <= 1e-10
    assert np.count_nonzero(solution.params) <= 41


def test_whole_weights_are_repetitions():
    X, y = load("wine")
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    objective, rows = problem(X, y, 1.0, 0.7, weight=weight.astype(float))
    repeated, repeated_rows = problem(np.repeat(X, weight, axis=0), np.repeat(y, weight), 1.0, 0.7)
    left, right = solve(objective, rows)[0], solve(repeated, repeated_rows)[0]
    left_views, right_views = (
        objective.layout.views(left.params),
        objective.layout.views(right.params),
    )
    np.testing.assert_allclose(left_views["coef"], right_views["coef"], rtol=0, atol=1e-6)
    shift = (left_views["intercept"] - right_views["intercept"]).mean()
    np.testing.assert_allclose(
        left_views["intercept"] - shift, right_views["intercept"], rtol=0, atol=1e-5
    )
    assert left.value == pytest.approx(right.value, rel=1e-12)


def test_a_start_at_the_optimum_ends_after_one_iteration():
    objective, rows = problem(*load("iris"))
    best = solve(objective, rows)[0]
    again, _ = solve(objective, rows, w=best.params, tol=1e-8)
    assert again.n_iter == 1
    assert again.converged
    np.testing.assert_allclose(again.params, best.params, atol=1e-9)


def test_callbacks_see_every_iteration_and_may_stop():
    objective, rows = problem(*load("iris"))
    run = Run(stop_after=3)
    solution, _ = solve(objective, rows, run=run)
    assert (run.n_begun, run.n_ended, solution.n_iter) == (3, 3, 3)
    assert not solution.converged
    assert solution.reason == "stopped by a callback"


def test_no_iterations_return_the_start():
    objective, rows = problem(*load("iris"))
    w = np.arange(float(objective.n_parameters))
    solution, _ = solve(objective, rows, max_iter=0, w=w)
    assert solution.n_iter == 0 and not solution.converged
    np.testing.assert_array_equal(solution.params, w)


def test_start_is_not_changed():
    objective, rows = problem(*load("iris"))
    w = np.ones(objective.n_parameters)
    solve(objective, rows, w=w)
    np.testing.assert_array_equal(w, 1.0)


def test_without_penalty_it_is_newton():
    X, y = load("breast_cancer")
    y = np.random.default_rng(0).permutation(y)
    objective, rows = problem(X, y, C=np.inf)
    solution, _ = solve(objective, rows)
    assert solution.converged
    assert optimality(objective, rows, solution.params) <= 1e-10


@pytest.mark.parametrize("seed", range(20))
def test_lowest_on_line_is_the_lowest_of_a_fine_grid(seed):
    random = np.random.default_rng(seed)
    p = 6
    root = random.standard_normal((9, p))
    hessian, slope = root.T @ root, random.standard_normal(p)
    u = random.standard_normal(p) * (random.random(p) < 0.8)
    l1 = random.uniform(0.0, 3.0, p) * (random.random(p) < 0.8)
    step = -np.linalg.solve(hessian, slope + l1 * np.sign(u))
    step[(u == 0.0) & (l1 > 0.0)] = 0.0

    def model(t):
        moved = u + t * step
        return slope @ (t * step) + 0.5 * t * t * step @ hessian @ step + l1 @ np.abs(moved)

    moved = lowest_on_line(u, step, slope, hessian, l1)
    found = slope @ (moved - u) + 0.5 * (moved - u) @ hessian @ (moved - u) + l1 @ np.abs(moved)
    assert found <= min(model(t) for t in np.linspace(0.0, 1.0, 2001)) + 1e-12

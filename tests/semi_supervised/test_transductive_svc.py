"""Transductive machines against all labelings, and what they are for."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.datasets import load_iris, make_moons
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgen.model_selection import PartiallyLabeledStratifiedKFold, labeled_scorer
from skgen.semi_supervised import TransductiveSVC
from skgen.semi_supervised.transductive import KernelSpace, TransductiveProblem


@parametrize_with_checks([TransductiveSVC(), TransductiveSVC("linear"), TransductiveSVC("poly")])
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def few(seed, n_free, d=2):
    """Two clouds with two labels each, the other rows without one."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(4 + n_free, d)) + np.repeat(
        [[-0.7] * d, [0.7] * d], [2 + n_free // 2, 2 + n_free - n_free // 2], axis=0
    )
    y = np.full(len(X), -1)
    y[:2], y[-2:] = 0, 1
    return X, y


def best_of_all_labelings(K, y, C, C_unlabeled, b):
    """The least objective over all labels, each a quadratic program by another solver."""
    known, free = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    mean = np.zeros(len(y))
    mean[free] = 1.0 / len(free)
    P = np.eye(len(y)) - np.outer(np.ones(len(y)), mean)
    centered = P @ K @ P.T
    upper = np.where(y >= 0, C, C_unlabeled)
    best = np.inf
    for labels in itertools.product((-1.0, 1.0), repeat=len(free)):
        signs = np.empty(len(y))
        signs[known], signs[free] = 2.0 * y[known] - 1.0, labels
        Q = centered * np.outer(signs, signs)
        target = 1.0 - signs * b
        found = minimize(
            lambda a, Q=Q, target=target: (0.5 * a @ Q @ a - target @ a, Q @ a - target),
            np.full(len(y), 0.1),
            jac=True,
            method="trust-constr" if len(free) < 3 else "L-BFGS-B",
            bounds=[(0.0, u) for u in upper],
            options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000}
            if len(free) >= 3
            else {"gtol": 1e-10},
        )
        # Strong duality: the primal objective is minus the dual one.
        best = min(best, -found.fun)
    return best


@pytest.mark.parametrize("n_free", [3, 5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_minimum_over_all_labelings(seed, n_free):
    X, y = few(seed, n_free)
    K = rbf_kernel(X, gamma=0.5)
    expected = best_of_all_labelings(K, y, 1.0, 0.5, 0.0)
    for kernel, given in (("rbf", X), ("precomputed", K)):
        model = TransductiveSVC(kernel, gamma=0.5, C=1.0, C_unlabeled=0.5, tol=1e-8, n_init=1).fit(
            given, y
        )
        np.testing.assert_allclose(model.objective_, expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_branch_and_bound_from_any_labels(seed):
    X, y = few(seed, 6)
    known, free = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)
    mean = np.where(y >= 0, 0.0, 1.0 / len(free))
    signs = np.where(y >= 0, 2.0 * y - 1.0, 0.0)
    space = KernelSpace(rbf_kernel(X, gamma=0.5), mean)
    problem = TransductiveProblem(space, signs, np.ones(len(y)), 0.0, 1e-7, 10000)
    machines = []
    for labels in itertools.product((-1.0, 1.0), repeat=len(free)):
        full = signs.copy()
        full[free] = labels
        machines.append(problem.solve(full))
    objectives = np.array([machine.objective for machine in machines])
    assert len(known) == 4
    for start in np.argsort(objectives)[[-1, 3, 1, 0]]:
        found = problem.bound(machines[start])
        np.testing.assert_allclose(found.objective, objectives.min(), rtol=1e-6)


def test_linear_minimum_and_its_constraint():
    X, y = few(1, 6)
    expected = best_of_all_labelings(X @ X.T, y, 2.0, 1.0, 0.2)
    options = {"C": 2.0, "class_shares": [0.4, 0.6], "tol": 1e-8}
    for given in (X, sparse.csr_matrix(X)):
        model = TransductiveSVC("linear", **options).fit(given, y)
        np.testing.assert_allclose(model.objective_, expected, rtol=1e-6)
        assert model.decision_function(given)[y < 0].mean() == pytest.approx(0.2, abs=1e-6)
    # The objective in the primal.
    f, w = model.decision_function(X), model.coef_[0]
    loss = 2.0 * np.maximum(0.0, 1.0 - (2 * y[y >= 0] - 1) * f[y >= 0]).sum()
    loss += np.maximum(0.0, 1.0 - np.abs(f[y < 0])).sum()
    np.testing.assert_allclose(0.5 * w @ w + loss, model.objective_[0], rtol=1e-6)


def test_twelve_rows_are_settled_for_good():
    X, y = few(3, 12)
    exact = TransductiveSVC(gamma=0.5, tol=1e-6, n_init=1).fit(X, y)
    for seed in range(3):
        local = TransductiveSVC(gamma=0.5, tol=1e-6, n_init=6, exact_rows=0, random_state=seed)
        assert local.fit(X, y).objective_[0] >= exact.objective_[0] * (1.0 - 1e-7)


@pytest.mark.parametrize("gamma", [3.0, 10.0])
def test_two_moons_with_a_label_each(gamma):
    X, y = make_moons(100, noise=0.05, random_state=0)
    hidden = np.full(100, -1)
    for label in (0, 1):
        hidden[np.flatnonzero(y == label)[0]] = label
    model = TransductiveSVC(gamma=gamma, C=10.0, random_state=0).fit(X, hidden)
    np.testing.assert_array_equal(model.transduction_, y)
    alone = TransductiveSVC(gamma=gamma, C=10.0, C_unlabeled=0.0).fit(X, hidden)
    assert (alone.transduction_ == y).mean() < 0.95
    np.testing.assert_allclose(model.decision_function(X)[hidden < 0].mean(), 0.0, atol=1e-6)
    history = np.array(model.objective_history_[:9])
    assert (np.diff(history) >= -1e-6).all()


def test_without_cost_it_is_scikit_learns():
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 4 > 0, -1, y)
    known = hidden >= 0
    for kernel in ("rbf", "linear", "poly"):
        model = TransductiveSVC(kernel, C_unlabeled=0.0).fit(X, hidden)
        for number in range(3):
            theirs = SVC(kernel=kernel, gamma=model._gamma, tol=1e-8)
            theirs.fit(X[known], hidden[known] == number)
            np.testing.assert_allclose(
                model.decision_function(X)[:, number], theirs.decision_function(X), atol=1e-5
            )
    full = TransductiveSVC().fit(X, y)
    assert (full.predict(X) == y).mean() > 0.95


def test_many_classes_marks_and_pickles():
    X, y = (part[::2] for part in load_iris(return_X_y=True))
    hidden = np.where(np.arange(75) % 5 > 0, -1, y)
    names = np.array(["a", "b", "c"], dtype=object)[y]
    names[hidden < 0] = None
    by_number = TransductiveSVC(gamma=0.5, random_state=0, n_init=2).fit(X, hidden)
    by_name = TransductiveSVC(gamma=0.5, random_state=0, n_init=2).fit(X, names)
    assert by_name.transduction_.tolist() == [["a", "b", "c"][k] for k in by_number.transduction_]
    assert (by_number.transduction_ == y).mean() > 0.9
    assert by_number.decision_function(X).shape == (75, 3)
    again = pickle.loads(pickle.dumps(by_number))
    np.testing.assert_array_equal(again.decision_function(X), by_number.decision_function(X))
    thin = TransductiveSVC(gamma=0.5, random_state=0, n_init=2).fit(sparse.csr_matrix(X), hidden)
    np.testing.assert_allclose(thin.decision_function(X), by_number.decision_function(X), atol=1e-3)


def test_costs_are_weights():
    X, y = few(2, 6)
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    copies = np.repeat(np.arange(len(y)), weight)
    heavy = TransductiveSVC("linear", tol=1e-6).fit(X, y, sample_weight=weight)
    twice = TransductiveSVC("linear", tol=1e-6, exact_rows=16).fit(X[copies], y[copies])
    # Copies may get labels of their own, which only lowers the minimum.
    assert twice.objective_[0] <= heavy.objective_[0] * (1.0 + 1e-6)
    np.testing.assert_allclose(heavy.coef_, twice.coef_, atol=1e-4)
    options = {"class_shares": [0.5, 0.5], "tol": 1e-6}
    classes = TransductiveSVC("linear", class_weight={0: 2.0, 1: 1.0}, **options).fit(X, y)
    factors = np.where(y == 0, 2.0, 1.0)
    weighted = TransductiveSVC("linear", **options).fit(X, y, sample_weight=factors)
    np.testing.assert_allclose(classes.coef_, weighted.coef_, atol=1e-6)


def test_a_search():
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 5 > 0, -1, y)
    search = GridSearchCV(
        TransductiveSVC("linear", n_init=1),
        {"C_unlabeled": [0.0, 0.1]},
        cv=PartiallyLabeledStratifiedKFold(2),
        scoring=labeled_scorer("accuracy"),
        error_score="raise",
    ).fit(X, hidden)
    assert search.best_score_ > 0.8


def test_bad_arguments_are_named():
    X, y = few(0, 4)
    with pytest.raises(ValueError, match="class_shares"):
        TransductiveSVC(class_shares=[1.0]).fit(X, y)
    with pytest.raises(ValueError, match="must be square"):
        TransductiveSVC("precomputed").fit(X, y)
    with pytest.raises(ValueError, match="2 classes"):
        TransductiveSVC().fit(X, np.where(y == 0, 0, -1))
    with pytest.raises(ValueError, match="leaves no labeled row"):
        TransductiveSVC().fit(X, y, sample_weight=(y != 1).astype(float))

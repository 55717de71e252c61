"""Smoothness on a graph: gradient, limits, and what it is for."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgen.linear_model import LogisticRegression, Perceptron, SoftmaxRegression
from skgen.linear_model.fitting import LinearFit
from skgen.rows import Rows
from skgen.semi_supervised import LaplacianRegularizedClassifier
from skgen.semi_supervised.laplacian_regularized import GraphObjective
from skgen.statistics import column_moments


@parametrize_with_checks(
    [
        LaplacianRegularizedClassifier(),
        LaplacianRegularizedClassifier(SoftmaxRegression(), gamma=0.5, graph_weight=0.1),
    ]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def hidden_iris(two=False):
    X, y = load_iris(return_X_y=True)
    if two:
        X, y = X[y > 0], y[y > 0] - 1
    return X, np.where(np.random.default_rng(0).random(len(y)) < 0.8, -1, y), y


@pytest.mark.parametrize("two", [False, True])
def test_gradient_of_the_objective(two):
    X, hidden, _ = hidden_iris(two)
    base, k = LogisticRegression(C=0.3), 2 if two else 3
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    rows = Rows(X, weight, hidden.astype(np.int32))
    labeled = float(weight[hidden >= 0].sum())
    fit = LinearFit(base._problem(*base._checked_penalty(), k, labeled), rows, column_moments(rows))
    W = rbf_kernel(X)
    L = np.diag(W.sum(axis=1)) - W
    objective = GraphObjective(fit.objective, L, 0.6, labeled)
    w = np.random.default_rng(2).normal(size=fit.objective.n_parameters)
    _, gradient = objective.value_and_gradient(w, fit.rows)
    for direction in np.eye(len(w)):
        ahead = objective.value_and_gradient(w + 1e-5 * direction, fit.rows)[0]
        behind = objective.value_and_gradient(w - 1e-5 * direction, fit.rows)[0]
        np.testing.assert_allclose(gradient @ direction, (ahead - behind) / 2e-5, atol=2e-7)


def test_minimum_by_another_way():
    X, hidden, _ = hidden_iris(two=True)
    X = X - X.mean(axis=0)
    model = LaplacianRegularizedClassifier(
        LogisticRegression(tol=1e-9, max_iter=2000), graph_weight=0.3, kernel="rbf", gamma=1.0
    ).fit(X, hidden)
    known, W = hidden >= 0, rbf_kernel(X, gamma=1.0)

    def objective(w):
        p = expit(X @ w[:-1] + w[-1])
        cross = -np.log(np.where(hidden[known] == 1, p[known], 1.0 - p[known])).sum()
        # Both probabilities of a row differ by as much.
        rough = 0.5 * (W * 2.0 * (p[:, None] - p) ** 2).sum()
        return cross + 0.3 * rough + 0.5 * w[:-1] @ w[:-1]

    w = np.append(model.estimator_.coef_[0], model.estimator_.intercept_)
    found = minimize(objective, w, method="BFGS", options={"gtol": 1e-6})
    assert objective(w) - found.fun < 1e-6
    np.testing.assert_allclose(model.objective_history_[-1] * known.sum(), objective(w), rtol=1e-8)
    assert (np.diff(model.objective_history_) <= 1e-12).all()
    assert model.roughnesses_[-1] < model.roughnesses_[0]


@pytest.mark.parametrize("base", [LogisticRegression(tol=1e-9), SoftmaxRegression(tol=1e-9)])
def test_without_weight_it_is_the_supervised_fit(base):
    X, hidden, _ = hidden_iris()
    known = hidden >= 0
    model = LaplacianRegularizedClassifier(base, graph_weight=0.0).fit(X, hidden)
    alone = base.fit(X[known], hidden[known])
    np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), atol=1e-5)


def test_digits_are_told_better():
    X, y = load_digits(return_X_y=True)
    gains = []
    for seed in range(3):
        generator = np.random.default_rng(seed)
        hidden = np.full(len(y), -1)
        for label in range(10):
            hidden[generator.choice(np.flatnonzero(y == label), 5, replace=False)] = label
        model = LaplacianRegularizedClassifier(
            SoftmaxRegression(C=10.0, max_iter=500), graph_weight=0.03, kernel="knn"
        ).fit(X / 16.0, hidden)
        rest = hidden < 0
        gains.append(
            model.score(X[rest] / 16.0, y[rest])
            - model.supervised_estimator_.score(X[rest] / 16.0, y[rest])
        )
    assert np.mean(gains) > 0.03
    assert min(gains) > 0.0


def test_weights_threads_sparse_and_pickles():
    X, hidden, _ = hidden_iris()
    weight = np.random.default_rng(4).integers(0, 3, len(X))
    weight[[np.flatnonzero(hidden == k)[0] for k in range(3)]] = 2
    copies = np.repeat(np.arange(len(X)), weight)
    base = LogisticRegression(tol=1e-9, max_iter=2000)
    make = LaplacianRegularizedClassifier(base, kernel="rbf", gamma=1.0, graph_weight=0.1)
    heavy = make.fit(X, hidden, sample_weight=weight).predict_proba(X)
    twice = make.fit(X[copies], hidden[copies]).predict_proba(X)
    np.testing.assert_allclose(heavy, twice, atol=1e-5)
    one, four = (
        LaplacianRegularizedClassifier(LogisticRegression(n_jobs=n)).fit(X, hidden).predict_proba(X)
        for n in (1, 4)
    )
    np.testing.assert_array_equal(one, four)
    thin = LaplacianRegularizedClassifier(base).fit(sparse.csr_matrix(X), hidden)
    dense = LaplacianRegularizedClassifier(base).fit(X, hidden)
    np.testing.assert_allclose(thin.predict_proba(X), dense.predict_proba(X), atol=1e-6)
    again = pickle.loads(pickle.dumps(dense))
    np.testing.assert_array_equal(again.predict_proba(X), dense.predict_proba(X))


def test_bad_arguments_are_named():
    X, hidden, y = hidden_iris()
    with pytest.raises(TypeError, match="LogisticRegression or SoftmaxRegression"):
        LaplacianRegularizedClassifier(Perceptron()).fit(X, hidden)
    with pytest.raises(ValueError, match="l1_ratio"):
        LaplacianRegularizedClassifier(LogisticRegression(l1_ratio=1.0, solver="saga")).fit(X, y)
    with pytest.raises(ValueError, match="2 classes"):
        LaplacianRegularizedClassifier().fit(X, np.where(hidden == 0, 0, -1))

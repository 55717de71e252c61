"""Entropy regularization: its gradient, its limits and what it tells."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import check_grad, minimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgen.linear_model import LogisticRegression, Perceptron, SoftmaxRegression
from skgen.linear_model.fitting import LinearFit
from skgen.networks.losses import Binary, Categorical
from skgen.neural_network import MLPClassifier
from skgen.rows import Rows
from skgen.semi_supervised import EntropyRegularizedClassifier
from skgen.semi_supervised.entropy import BalancedEntropy, PartlyLabeledObjective
from skgen.statistics import column_moments

BASES = {
    "logistic": LogisticRegression(C=1.0, tol=1e-8, max_iter=2000),
    "softmax": SoftmaxRegression(C=1.0, tol=1e-8, max_iter=2000),
    "network": MLPClassifier((8,), "tanh", solver="lbfgs", random_state=0, max_iter=300),
}


@parametrize_with_checks(
    [
        EntropyRegularizedClassifier(),
        EntropyRegularizedClassifier(SoftmaxRegression(), balance_weight=0.1),
        EntropyRegularizedClassifier(
            MLPClassifier((10,), max_iter=100, learning_rate_init=0.01, random_state=0), n_stages=2
        ),
    ]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def hidden_iris(two=False, seed=0):
    X, y = load_iris(return_X_y=True)
    if two:
        X, y = X[y > 0], y[y > 0] - 1
    generator = np.random.default_rng(seed)
    return X, np.where(generator.random(len(y)) < 0.8, -1, y), y


@pytest.mark.parametrize("balance", [0.0, 0.7])
@pytest.mark.parametrize("two", [False, True])
def test_gradient_of_the_objective(two, balance):
    X, hidden, _ = hidden_iris(two)
    base, k = LogisticRegression(C=0.3), 2 if two else 3
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    rows = Rows(X, weight, hidden.astype(np.int32))
    problem = base._problem(*base._checked_penalty(), k, rows.weight_sum)
    fit = LinearFit(problem, rows, column_moments(rows))
    objective = PartlyLabeledObjective(fit.objective, 0.6, balance, np.full(k, 1.0 / k))
    w = np.random.default_rng(2).normal(size=fit.objective.n_parameters)
    _, gradient = objective.value_and_gradient(w, fit.rows)
    for direction in np.eye(len(w)):
        ahead = objective.value_and_gradient(w + 1e-5 * direction, fit.rows)[0]
        behind = objective.value_and_gradient(w - 1e-5 * direction, fit.rows)[0]
        np.testing.assert_allclose(gradient @ direction, (ahead - behind) / 2e-5, atol=1e-8)


@pytest.mark.parametrize("plain", [Categorical(0.6), Binary(0.6)])
def test_gradient_of_a_balanced_batch(plain):
    generator = np.random.default_rng(0)
    k = 3 if isinstance(plain, Categorical) else 1
    mark = -1.0 if k == 3 else np.nan
    target = np.where(generator.random((7, 1)) < 0.5, mark, generator.integers(0, 2, (7, 1)))
    loss = BalancedEntropy(plain, 0.4, (0.2, 0.3, 0.5) if k == 3 else (0.3, 0.7))
    weight = generator.uniform(0.5, 2.0, 7)

    def value(raw):
        return loss.value_and_gradient(raw.reshape(7, k), target, weight)[0]

    def slope(raw):
        return loss.value_and_gradient(raw.reshape(7, k), target, weight)[1].ravel()

    assert check_grad(value, slope, generator.normal(size=7 * k)) < 1e-6


def test_minimum_by_another_way():
    X, hidden, _ = hidden_iris(two=True)
    X = X - X.mean(axis=0)
    model = EntropyRegularizedClassifier(BASES["logistic"], entropy_weight=0.5, n_stages=3)
    model.fit(X, hidden)
    known = hidden >= 0

    def objective(w):
        z = X @ w[:-1] + w[-1]
        p = expit(z)
        p = np.clip(p, 1e-300, 1 - 1e-16)
        cross = -np.where(hidden[known] == 1, np.log(p[known]), np.log1p(-p[known])).sum()
        entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p))[~known].sum()
        return cross + 0.5 * entropy + 0.5 * w[:-1] @ w[:-1]

    w = np.append(model.estimator_.coef_[0], model.estimator_.intercept_)
    found = minimize(objective, w, method="BFGS", options={"gtol": 1e-7})
    assert objective(w) - found.fun < 1e-6
    np.testing.assert_allclose(w, found.x, atol=1e-3)
    # What is told adds up to the objective.
    n_known, n_open = known.sum(), (~known).sum()
    told = n_known * model.supervised_losses_[-1] + 0.5 * n_open * model.entropies_[-1]
    told += 0.5 * w[:-1] @ w[:-1]
    np.testing.assert_allclose(told, objective(w), rtol=1e-8)
    np.testing.assert_allclose(model.objective_history_[-1] * len(X), objective(w), rtol=1e-8)


@pytest.mark.parametrize("base", BASES)
def test_without_weight_it_is_the_supervised_fit(base):
    X, hidden, _ = hidden_iris()
    known = hidden >= 0
    model = EntropyRegularizedClassifier(BASES[base], entropy_weight=0.0).fit(X, hidden)
    alone = BASES[base].fit(X[known], hidden[known])
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    tiny = EntropyRegularizedClassifier(BASES[base], entropy_weight=1e-9, n_stages=1)
    np.testing.assert_allclose(
        tiny.fit(X, hidden).predict_proba(X), alone.predict_proba(X), atol=2e-3
    )


def test_rows_far_on_one_side_change_nothing():
    X, hidden, _ = hidden_iris(two=True)
    known = hidden >= 0
    X, hidden = X[known], hidden[known]
    alone = BASES["logistic"].fit(X, hidden)
    far = X.mean(axis=0) + 1e4 * alone.coef_[0]
    more = np.vstack([X, np.tile(far, (20, 1))])
    model = EntropyRegularizedClassifier(BASES["logistic"], n_stages=2)
    model.fit(more, np.append(hidden, np.full(20, -1)))
    np.testing.assert_allclose(model.estimator_.coef_, alone.coef_, rtol=1e-3)


@pytest.mark.parametrize("base", ["logistic", "softmax"])
def test_objective_falls_within_a_stage(base):
    X, hidden, _ = hidden_iris()
    model = EntropyRegularizedClassifier(BASES[base], n_stages=4).fit(X, hidden)
    ends = np.cumsum([stage["n_iter"] for stage in model.stages_])
    assert ends[-1] == model.n_iter_ == len(model.objective_history_)
    assert len(model.entropies_) == len(model.supervised_losses_) == model.n_iter_
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        part = np.array(model.objective_history_[start:end])
        assert (np.diff(part) <= 1e-12).all()
    assert model.entropies_[-1] < model.entropies_[0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("base", BASES)
def test_weights_are_copies_and_zero_is_absence(base):
    X, hidden, _ = hidden_iris(seed=3)
    weight = np.random.default_rng(4).integers(0, 3, len(X))
    weight[[np.flatnonzero(hidden == k)[0] for k in range(3)]] = 2
    copies = np.repeat(np.arange(len(X)), weight)
    # The way of a network is one of many: only its first steps are the same up to rounding.
    model = clone(BASES[base]).set_params(max_iter=10) if base == "network" else BASES[base]
    make = EntropyRegularizedClassifier(model, entropy_weight=0.3, n_stages=2)
    heavy = make.fit(X, hidden, sample_weight=weight.astype(float)).predict_proba(X)
    twice = make.fit(X[copies], hidden[copies]).predict_proba(X)
    np.testing.assert_allclose(heavy, twice, atol=1e-5)


@pytest.mark.parametrize("base", ["logistic", "softmax", "network"])
def test_sparse_equals_dense_and_threads_the_same_bits(base):
    X, hidden, _ = hidden_iris()
    X = X * (np.random.default_rng(0).random(X.shape) < 0.7)
    model = BASES[base] if base != "network" else MLPClassifier((6,), max_iter=30, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = EntropyRegularizedClassifier(model, n_stages=2).fit(X, hidden)
        thin = EntropyRegularizedClassifier(model, n_stages=2).fit(sparse.csr_matrix(X), hidden)
        one, four = (
            EntropyRegularizedClassifier(model.set_params(n_jobs=n), n_stages=2).fit(X, hidden)
            for n in (1, 4)
        )
    model.set_params(n_jobs=None)
    np.testing.assert_allclose(dense.predict_proba(X), thin.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(one.predict_proba(X), four.predict_proba(X))
    again = pickle.loads(pickle.dumps(dense))
    np.testing.assert_array_equal(again.predict_proba(X), dense.predict_proba(X))


def test_terms_add_up_with_a_balance():
    X, hidden, _ = hidden_iris()
    model = EntropyRegularizedClassifier(
        BASES["softmax"], entropy_weight=0.5, balance_weight=2.0, class_shares=[0.2, 0.3, 0.5]
    ).fit(X, hidden)
    open_rows = hidden < 0
    p, mean = model.predict_proba(X[open_rows]), model.predict_proba(X[open_rows]).mean(axis=0)
    np.testing.assert_allclose(model.entropies_[-1], -(p * np.log(p)).sum(axis=1).mean(), rtol=1e-8)
    wanted = np.array([0.2, 0.3, 0.5])
    total = (~open_rows).sum() * model.supervised_losses_[-1]
    total += open_rows.sum() * (0.5 * model.entropies_[-1] + 2.0 * wanted @ np.log(wanted / mean))
    total += 0.5 * np.square(model.estimator_.coef_).sum()
    np.testing.assert_allclose(model.objective_history_[-1] * len(X), total, rtol=1e-8)


def test_balance_keeps_the_shares():
    generator = np.random.default_rng(0)
    X = np.concatenate([generator.normal(0, 1, (40, 2)), generator.normal(1.5, 1, (40, 2))])
    hidden = np.full(80, -1)
    hidden[0], hidden[45] = 0, 1
    options = {"entropy_weight": 3.0, "n_stages": 3}
    base = LogisticRegression(C=10.0, max_iter=1000)
    collapsed = EntropyRegularizedClassifier(base, **options).fit(X - [3, 3], hidden)
    balanced = EntropyRegularizedClassifier(
        base, balance_weight=10.0, class_shares=[0.5, 0.5], **options
    ).fit(X - [3, 3], hidden)
    shares = [model.predict_proba(X - [3, 3])[:, 1].mean() for model in (collapsed, balanced)]
    assert abs(shares[1] - 0.5) < 0.05
    assert abs(shares[1] - 0.5) <= abs(shares[0] - 0.5)


def test_two_moons_by_a_network():
    X, y = make_moons(300, noise=0.06, random_state=0)
    hidden = np.full(300, -1)
    for label in (0, 1):
        hidden[np.flatnonzero(y == label)[[0, 30, 60]]] = label
    scores = []
    for seed in range(5):
        base = MLPClassifier(
            (30,), max_iter=300, batch_size=300, learning_rate_init=0.01, random_state=seed, tol=0.0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = EntropyRegularizedClassifier(base, entropy_weight=1.0, n_stages=3)
            model.fit(X, hidden)
        scores.append((model.supervised_estimator_.score(X, y), model.score(X, y)))
    before, after = np.mean(scores, axis=0)
    assert after > before


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_networks_tell_their_terms(solver):
    X, y = load_digits(return_X_y=True)
    hidden = np.where(np.arange(len(y)) % 20 > 0, -1, y)
    base = MLPClassifier((20,), solver=solver, max_iter=15, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = EntropyRegularizedClassifier(base, n_stages=2).fit(X / 16.0, hidden)
    n = 2 if solver == "lbfgs" else sum(stage["n_iter"] for stage in model.stages_)
    assert len(model.objective_history_) == len(model.entropies_) == n
    assert model.entropies_[-1] < model.entropies_[0]
    assert type(model.estimator_) is MLPClassifier
    assert not any(name.startswith("given") for name in vars(model.estimator_))
    pickle.loads(pickle.dumps(model))


def test_bad_arguments_are_named():
    X, hidden, y = hidden_iris()
    with pytest.raises(TypeError, match="LogisticRegression, SoftmaxRegression or MLPClassifier"):
        EntropyRegularizedClassifier(Perceptron()).fit(X, hidden)
    with pytest.raises(ValueError, match="l1_ratio"):
        EntropyRegularizedClassifier(LogisticRegression(l1_ratio=1.0, solver="saga")).fit(X, y)
    with pytest.raises(ValueError, match="class_shares"):
        EntropyRegularizedClassifier(class_shares=[1.0, 2.0]).fit(X, hidden)
    with pytest.raises(ValueError, match="2 classes"):
        EntropyRegularizedClassifier().fit(X, np.where(hidden == 0, 0, -1))
    with pytest.raises(ValueError, match="y labels none"):
        EntropyRegularizedClassifier().fit(X, np.full(150, -1))

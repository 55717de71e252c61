"""From the same start and batches, scikit-learn's perceptrons and ours take the same path."""

import numpy as np
import pytest
import sklearn.neural_network as peer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

import skgen.neural_network as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# What gives both the same first weights and batches.
SAME = {"random_state": 3, "shuffle": False, "batch_size": 32, "max_iter": 20}


def classes(k):
    X, y = (load_breast_cancer if k == 2 else load_iris)(return_X_y=True)
    return StandardScaler().fit_transform(X[:140]), y[:140] if k == 2 else load_iris().target[:140]


def labels():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), np.column_stack([y == 0, y > 0, X[:, 0] > 5]) * 1


def numbers(counts=False):
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return X, np.floor(y / 40) if counts else (y - y.mean()) / y.std()


PROBLEMS = {
    "two classes": ("MLPClassifier", lambda: classes(2), {}),
    "three classes": ("MLPClassifier", lambda: classes(3), {}),
    "several labels": ("MLPClassifier", labels, {}),
    "squared errors": ("MLPRegressor", numbers, {}),
    "counts": ("MLPRegressor", lambda: numbers(True), {"loss": "poisson"}),
}
SOLVERS = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.02},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.03},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.02,
        "tol": 0.05,
        "n_iter_no_change": 2,
        "max_iter": 40,
    },
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
}


def both(kind, X, y, sample_weight=None, **arguments):
    """scikit-learn's fit and ours from the same start."""
    theirs = getattr(peer, kind)(**arguments).fit(X, y, sample_weight=sample_weight)
    found = getattr(ours, kind)(initializer="glorot", **arguments)
    return theirs, found.fit(X, y, sample_weight=sample_weight)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_loss_curve_is_that_of_scikit_learn(problem, solver, activation):
    kind, data, extra = PROBLEMS[problem]
    arguments = SAME | {"hidden_layer_sizes": (9, 4), "activation": activation}
    theirs, found = both(kind, *data(), **arguments | SOLVERS[solver] | extra)
    np.testing.assert_allclose(found.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    assert (found.n_iter_, found.t_) == (theirs.n_iter_, theirs.t_)
    for ours_, peers in zip(found.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(ours_, peers, atol=1e-6)
    np.testing.assert_allclose(found.predict(data()[0]), theirs.predict(data()[0]), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attributes_are_those_of_scikit_learn(dtype):
    X, y = classes(3)
    theirs, found = both("MLPClassifier", X.astype(dtype), y, **SAME)
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "n_iter_", "t_"):
        assert getattr(found, name) == getattr(theirs, name), name
    assert (found.validation_scores_, found.best_validation_score_) == (None, None)
    np.testing.assert_allclose(found.best_loss_, theirs.best_loss_, rtol=1e-5)
    assert [part.dtype for part in found.coefs_] == [part.dtype for part in theirs.coefs_]
    np.testing.assert_allclose(found.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def test_weights_mean_what_they_mean_in_scikit_learn():
    X, y = numbers()
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    theirs, found = both("MLPRegressor", X, y, weight, **SAME | {"solver": "sgd"})
    for one, other in zip(found.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("problem", ["two classes", "three classes", "squared errors"])
def test_lbfgs_reaches_what_scikit_learn_reaches(problem):
    kind, data, extra = PROBLEMS[problem]
    arguments = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "alpha": 1.0, "random_state": 0}
    arguments |= {"max_iter": 15, "activation": "tanh"}
    theirs, found = both(kind, *data(), **arguments | extra)
    assert found.loss_ == pytest.approx(theirs.loss_, rel=1e-6)
    assert found.n_iter_ == theirs.n_iter_


def test_warm_start_goes_on_as_in_scikit_learn():
    X, y = classes(3)
    arguments = SAME | {"warm_start": True, "max_iter": 5}
    theirs, found = both("MLPClassifier", X, y, **arguments)
    theirs.fit(X, y), found.fit(X, y)
    np.testing.assert_allclose(found.loss_curve_, theirs.loss_curve_, rtol=1e-6)


def test_partial_fit_goes_on_as_in_scikit_learn():
    X, y = classes(3)
    arguments = {"random_state": 0, "shuffle": False, "batch_size": 50}
    theirs = peer.MLPClassifier(**arguments)
    found = ours.MLPClassifier(initializer="glorot", **arguments)
    for start in (0, 70, 0, 70):
        part = slice(start, start + 70)
        theirs.partial_fit(X[part], y[part], classes=[0, 1, 2])
        found.partial_fit(X[part], y[part], classes=[0, 1, 2])
    np.testing.assert_allclose(found.loss_curve_, theirs.loss_curve_, rtol=1e-6)

"""From the same start, the same iterations: scikit-learn's parameters."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.catalogue import PACKAGE, entries
from tests.parity.peer_suite import MODULES, NOT_APPLICABLE, OF_PERCEPTRONS
from tests.problems import overlapping

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(PACKAGE != "skgen", reason="compares with scikit-learn"),
]

# What stands for values that scikit-learn's classes of the same name do not have.
STAND_INS = {
    "algorithm": {"auto": "lloyd"},
    "init_params": {"whitened-k-means++": "kmeans", "agglomerative": "kmeans"},
    "solver": {"adamw": "adam", "nesterov": "sgd", "auto": "saga"},
    "svd_solver": {"gram": "full", "block_lanczos": "full"},
    "n_components": {"parallel_analysis": "mle", "held_out": "mle"},
    "linkage": {"centroid": "ward", "median": "ward"},
    "activation": {"prelu": "relu", "maxout": "relu"},
}
# Arguments of SGDClassifier that scikit-learn's Perceptron fixes, and does not take.
OF_THE_PARENT = {"epsilon", "learning_rate", "loss", "loss_functions", "power_t"}


def known(entry):
    """Whether scikit-learn has a class of that name."""
    kind = type(entry.prototype)
    return hasattr(import_module(f"sklearn.{kind.__module__.split('.')[1]}"), kind.__name__)


# Priors are weighed alike, but not started alike: tests/mixture compares those at the limit.
exact = entries(
    lambda entry: known(entry) and entry.direction != 0 and not (entry.supervised or entry.prior)
)


def peer(estimator):
    """scikit-learn's class of the same name, with the same parameters."""
    kind = type(estimator)
    package = kind.__module__.split(".")[1]
    theirs = getattr(import_module(f"sklearn.{package}"), kind.__name__)
    arguments = estimator.get_params()
    known = theirs().get_params()
    for name, values in STAND_INS.items():
        # An argument may be an array.
        if isinstance(arguments.get(name), str):
            arguments[name] = values.get(arguments[name], arguments[name])
    return theirs(**{name: arguments[name] for name in arguments if name in known})


@pytest.mark.parametrize(**exact)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_iter", [1, 2, 20])
@pytest.mark.parametrize("seed", range(2))
def test_parameters_equal_those_of_scikit_learn(entry, dtype, max_iter, seed):
    X = overlapping(seed=seed, dtype=dtype)
    ours = entry.started(X, max_iter=max_iter, tol=0.0).fit(X)
    theirs = peer(entry.started(X, max_iter=max_iter, tol=0.0)).fit(X)
    # The gate; in float32 scikit-learn's own rounding is what remains.
    close = 1e-6 if dtype == np.float64 else 2e-3
    names = [*entry.parameters, *(("precisions_", "precisions_cholesky_") if entry.density else ())]
    for name in names:
        value = np.asarray(getattr(theirs, name))
        np.testing.assert_allclose(getattr(ours, name), value, rtol=close, atol=close, err_msg=name)
    agreement = np.mean(ours.predict(X) == theirs.predict(X))
    assert agreement == 1.0 if dtype == np.float64 else agreement > 0.98


@pytest.mark.parametrize(**exact)
def test_number_of_iterations_equals_that_of_scikit_learn(entry):
    X = overlapping(seed=3)
    arguments = {"max_iter": 300}
    ours = entry.started(X, **arguments).fit(X)
    theirs = peer(entry.started(X, **arguments)).fit(X)
    assert ours.n_iter_ == theirs.n_iter_
    if entry.density:
        assert ours.converged_ == theirs.converged_
        np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-9)


@pytest.mark.parametrize(**exact)
def test_answers_equal_those_of_scikit_learn(entry):
    X = overlapping(seed=4)
    ours = entry.started(X, max_iter=10, tol=0.0).fit(X)
    theirs = peer(entry.started(X, max_iter=10, tol=0.0)).fit(X)
    names = ("predict", "predict_proba", "score_samples", "score", "aic", "bic")
    for name in names if entry.density else ("predict", "transform", "score"):
        np.testing.assert_allclose(
            getattr(ours, name)(X), getattr(theirs, name)(X), rtol=1e-6, atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize(**entries(known))
def test_constructor_and_methods_of_scikit_learn_exist(entry):
    """Same parameters in the same order with the same defaults; every public name there is."""
    ours, theirs = type(entry.prototype)(), None
    theirs = peer(ours)
    defaults = theirs.get_params()
    mine = ours.get_params()
    assert set(defaults) <= set(mine)
    for name, value in defaults.items():
        same = mine[name] == value or (mine[name] != mine[name] and value != value)
        assert same or (name == "algorithm" and mine[name] == "auto"), name
    public = {name for name in dir(theirs) if not name.startswith("_")} - OF_THE_PARENT
    assert public <= set(dir(ours)), public - set(dir(ours))
    X = overlapping()
    data = entry.data(X)
    fitted = {name for name in vars(peer(entry.build()).fit(**data)) if name.endswith("_")}
    missing = {
        name
        for name in fitted
        if not name.startswith("_") and not hasattr(entry.build().fit(**data), name)
    }
    assert not missing


def test_list_of_tests_that_do_not_apply_is_current():
    """Every listed test still exists, so that the list cannot hide a renamed one."""
    found = set()
    for module in MODULES:
        tree = ast.parse(Path(find_spec(module).origin).read_text())
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert set(NOT_APPLICABLE) | OF_PERCEPTRONS <= found

"""LogisticRegression finds scikit-learn's coefficients, whatever the penalty and the solver's name.

The truth is the solver of scikit-learn that comes closest to the optimum, at a tight tolerance.
Columns are standardized, since some of those solvers do not get there otherwise.
"""

import warnings
from functools import cache

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets, linear_model

from tests.catalogue import PACKAGE

pytestmark = pytest.mark.skipif(PACKAGE != "skgen", reason="compares with scikit-learn")

SMOOTH = ("auto", "lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
PENALTIES = {
    "l2": ({"C": 0.7}, SMOOTH),
    "none": ({"C": np.inf}, SMOOTH),
    "l1": ({"C": 0.1, "l1_ratio": 1.0}, ("auto", "saga")),
    "elasticnet": ({"C": 0.2, "l1_ratio": 0.3}, ("auto", "saga")),
}
NAMES = ("iris", "breast_cancer", "wine", "digits")
# Some of the columns and classes, so that no plane separates the classes and an optimum exists.
OVERLAPPING = {
    "iris": (slice(None), [1, 2]),
    "breast_cancer": ([0, 1, 4, 8], [0, 1]),
    "wine": ([1, 2, 4, 7], [0, 1, 2]),
    "digits": ([20, 27, 36, 43, 58], [3, 8, 9]),
}


@cache
def problem(name, penalty):
    """Standardized columns, labels and weights of a data set; parts of it without a penalty."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if penalty == "none":
        columns, classes = OVERLAPPING[name]
        chosen = np.isin(y, classes)
        X, y = X[chosen][:, columns], y[chosen]
    elif name == "digits":
        chosen = np.flatnonzero(y < 5)[:200]
        X, y = X[chosen], y[chosen]
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    weight = np.random.default_rng(0).uniform(0.2, 2.0, len(y))
    return X, y, weight


@cache
def truth(name, penalty, fit_intercept, weighted, class_weight=None):
    """scikit-learn's coefficients and intercepts."""
    X, y, weight = problem(name, penalty)
    arguments, _ = PENALTIES[penalty]
    solver = "newton-cholesky" if penalty in ("l2", "none") else "saga"
    model = linear_model.LogisticRegression(
        **arguments,
        solver=solver,
        tol=1e-11,
        max_iter=10**5,
        fit_intercept=fit_intercept,
        class_weight=class_weight,
        random_state=0,
    )
    model.fit(X, y, sample_weight=weight if weighted else None)
    return model.coef_, model.intercept_


def assert_same(model, expected):
    """To 1e-6 of the largest coefficient or of one."""
    coef, intercept = expected
    np.testing.assert_allclose(model.coef_, coef, rtol=0, atol=1e-6 * max(1, np.abs(coef).max()))
    close = 1e-6 * max(1, np.abs(intercept).max())
    np.testing.assert_allclose(model.intercept_, intercept, rtol=0, atol=close)


def fitted(name, penalty, solver, *, weighted, container=np.asarray, **arguments):
    from skgen.linear_model import LogisticRegression

    X, y, weight = problem(name, penalty)
    model = LogisticRegression(**PENALTIES[penalty][0], solver=solver, tol=1e-11, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.fit(container(X), y, sample_weight=weight if weighted else None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("penalty", "solver"), [(p, s) for p, (_, solvers) in PENALTIES.items() for s in solvers]
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_coefficients_equal_those_of_scikit_learn(name, penalty, solver, container, fit_intercept):
    """With weights where there is an intercept, without where there is none."""
    model = fitted(
        name,
        penalty,
        solver,
        weighted=fit_intercept,
        container=container,
        fit_intercept=fit_intercept,
    )
    assert model.converged_
    assert_same(model, truth(name, penalty, fit_intercept, fit_intercept))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("penalty", ["l2", "none", "l1"])
@pytest.mark.parametrize("class_weight", ["balanced", "given"])
def test_class_weights_mean_the_same(name, penalty, class_weight):
    y = problem(name, penalty)[1]
    if class_weight == "given":
        class_weight = {label: 1.0 + i % 3 for i, label in enumerate(np.unique(y))}
    expected = truth.__wrapped__(name, penalty, True, True, class_weight)
    assert_same(fitted(name, penalty, "auto", weighted=True, class_weight=class_weight), expected)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("scaling", [1.0, 10.0])
def test_liblinear_penalizes_its_intercept(l1_ratio, fit_intercept, scaling):
    from skgen.linear_model import LogisticRegression

    X, y, weight = problem("breast_cancer", "l2")
    arguments = {
        "C": 0.2,
        "l1_ratio": l1_ratio,
        "solver": "liblinear",
        "fit_intercept": fit_intercept,
        "intercept_scaling": scaling,
    }
    theirs = linear_model.LogisticRegression(
        **arguments, tol=1e-10, max_iter=10**5, random_state=0
    ).fit(X, y, weight)
    ours = LogisticRegression(**arguments, tol=1e-11).fit(X, y, weight)
    assert_same(ours, (theirs.coef_, theirs.intercept_))


@pytest.mark.parametrize("name", NAMES)
def test_raw_columns_give_the_coefficients_of_standardized_ones(name):
    """Without a penalty a change of units changes the units of the coefficients only."""
    from skgen.linear_model import LogisticRegression

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    columns, classes = OVERLAPPING[name]
    chosen = np.isin(y, classes)
    X, y = X[chosen][:, columns], y[chosen]
    model = LogisticRegression(C=np.inf, tol=1e-11).fit(X, y)
    coef, _ = truth(name, "none", True, False)
    np.testing.assert_allclose(model.coef_ * X.std(axis=0), coef, rtol=0, atol=1e-6)


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "saga"])
def test_answers_equal_those_of_scikit_learn(solver):
    X, y, _ = problem("wine", "l2")
    ours = fitted("wine", "l2", solver, weighted=False)
    theirs = linear_model.LogisticRegression(C=0.7, solver="newton-cholesky", tol=1e-11).fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_allclose(
            getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-6, atol=1e-6
        )
    assert ours.score(X, y) == theirs.score(X, y)

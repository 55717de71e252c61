"""GaussianMixtureClassifier: its peers where all rows have labels, Nigam's EM where some have."""

import pickle
import warnings
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgen import rows
from skgen.mixture import GaussianMixture, GaussianMixtureClassifier, MAPGaussianMixture
from tests import reference_classifier as reference
from tests.children import run
from tests.problems import assert_same_bits, fitted_state, holes, outputs
from tests.reference_classifier import covariance_matrices, likelihood_task
from tests.reference_mixture import STRUCTURES, default_map_prior, log_gaussian, some_prior

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARAMETERS = ("weights_", "means_", "covariances_")


def params_of(fitted):
    return tuple(getattr(fitted, name) for name in PARAMETERS)


def assert_params(fitted, params, **tolerance):
    for name, value in zip(PARAMETERS, params, strict=True):
        np.testing.assert_allclose(getattr(fitted, name), value, err_msg=name, **tolerance)


def grouped(n=90, d=2, k=3, seed=0):
    """Rows of k overlapping Gaussians of unequal shape, and the group of each."""
    rng = np.random.default_rng(seed)
    group = rng.choice(k, size=n, p=np.arange(2, k + 2) / np.arange(2, k + 2).sum())
    centers, roots = rng.normal(scale=1.6, size=(k, d)), rng.normal(size=(k, d, d)) + np.eye(d)
    noise = np.einsum("nij,nj->ni", roots[group], rng.normal(size=(n, d)))
    return centers[group] + 0.7 * noise, group


def partly(group, share=0.6, seed=0, at_least=6):
    """The groups with that share of them hidden as -1, so many rows of each left."""
    y = np.array(group)
    y[np.random.default_rng(seed).uniform(size=len(y)) < share] = -1
    for c in np.unique(group):
        own = np.flatnonzero(group == c)[:at_least]
        y[own] = c
    return y


def some_weights(n, seed=0):
    return np.random.default_rng(seed).uniform(0.3, 2.5, size=n)


def build(structure="full", components=1, **arguments):
    """A classifier that stops after `max_iter` iterations only and has no floor."""
    arguments = {
        "n_components_per_class": components,
        "covariance_type": structure,
        "reg_covar": 0.0,
        "tol": 0.0,
        "random_state": 0,
    } | arguments
    return GaussianMixtureClassifier(**arguments)


# Every row labeled ---------------------------------------------------------------------------

SETS = {
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
    "breast_cancer": load_breast_cancer,
}


@cache
def labeled_set(name):
    """Columns that vary; of breast_cancer in standard units, or the condition number is 3e11."""
    X, y = SETS[name](return_X_y=True)
    X = X[:, X.std(axis=0) > 0]
    return (X / X.std(axis=0) if name == "breast_cancer" else X), y


def some_priors(k):
    priors = np.arange(1.0, k + 1)
    return priors / priors.sum()


@pytest.mark.parametrize("name", SETS)
def test_tied_is_linear_discriminant_analysis(name):
    X, y = labeled_set(name)
    peer = LinearDiscriminantAnalysis(solver="lsqr").fit(X, y)
    fitted = build("tied").fit(X, y)
    # Condition numbers reach 4e6 (wine): 1e-9 of the largest coefficient.
    scale = np.abs(peer.coef_).max()
    np.testing.assert_allclose(fitted.coef_, peer.coef_, rtol=0, atol=1e-9 * scale)
    np.testing.assert_allclose(fitted.intercept_, peer.intercept_, rtol=1e-8)
    np.testing.assert_allclose(fitted.covariances_, peer.covariance_, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(fitted.priors_, peer.priors_, rtol=1e-14)
    np.testing.assert_array_equal(fitted.predict(X), peer.predict(X))
    np.testing.assert_allclose(fitted.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-9)
    assert fitted.score(X, y) == peer.score(X, y)
    if len(fitted.classes_) == 2:
        assert fitted.coef_.shape == (1, X.shape[1]) and fitted.intercept_.shape == (1,)
        np.testing.assert_allclose(
            fitted.decision_function(X), peer.decision_function(X), rtol=1e-8, atol=1e-8
        )


@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_given_priors_move_the_intercepts_only(name):
    """The convention that differs: scikit-learn also averages the covariances by given priors."""
    X, y = labeled_set(name)
    k = len(np.unique(y))
    priors = some_priors(k)
    fitted, estimated = build("tied", priors=priors).fit(X, y), build("tied").fit(X, y)
    np.testing.assert_allclose(fitted.priors_, priors, rtol=1e-15)
    np.testing.assert_allclose(fitted.covariances_, estimated.covariances_, rtol=1e-13)
    coef, intercept = reference.linear_coefficients(fitted.means_, fitted.covariances_, priors)
    expected = softmax(X @ coef.T + intercept, axis=1)
    if k == 2:
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    scale = np.abs(coef).max()
    np.testing.assert_allclose(fitted.coef_, coef, rtol=0, atol=1e-9 * scale)
    np.testing.assert_allclose(fitted.intercept_, intercept, rtol=1e-8)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=0, atol=1e-9)
    peer = LinearDiscriminantAnalysis(solver="lsqr", priors=priors).fit(X, y)
    assert np.abs(peer.covariance_ - fitted.covariances_).max() > 1e-3


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_classes_weighing_as_much_as_their_priors_are_scikit_learns_given_priors(name):
    X, y = labeled_set(name)
    priors = some_priors(3)
    peer = LinearDiscriminantAnalysis(solver="lsqr", priors=priors).fit(X, y)
    weight = (priors / np.bincount(y))[y]
    for given in (None, priors):
        fitted = build("tied", priors=given).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(fitted.priors_, priors, rtol=1e-13)
        scale = np.abs(peer.coef_).max()
        np.testing.assert_allclose(fitted.coef_, peer.coef_, rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(
            fitted.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-9
        )


def biased(peer, y):
    """A fitted QuadraticDiscriminantAnalysis with covariances over n_c.

    scikit-learn 1.9 divides by n_c itself, versions that divided by n_c - 1 are corrected.
    """
    probe = QuadraticDiscriminantAnalysis(store_covariance=True)
    probe.fit(np.array([[0.0], [2.0], [0.0], [2.0]]), [0, 0, 1, 1])
    if probe.covariance_[0][0, 0] > 1.5:
        counts = np.bincount(y)
        peer.scalings_ = [s * (n - 1) / n for s, n in zip(peer.scalings_, counts, strict=True)]
    return peer


@pytest.mark.parametrize("priors", [None, "given"])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_full_is_quadratic_discriminant_analysis(name, priors):
    X, y = labeled_set(name)
    priors = None if priors is None else some_priors(len(np.unique(y)))
    peer = QuadraticDiscriminantAnalysis(priors=priors, tol=0.0).fit(X, y)
    peer = biased(peer, y)
    fitted = build("full", priors=priors).fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), peer.predict(X))
    # Squared distances of some 1e3 by covariances of condition 1e6.
    np.testing.assert_allclose(fitted.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-8)
    scores = peer.decision_function(X)
    if scores.ndim == 2:
        # scikit-learn leaves out the constant of the density, and log p(x).
        joint = fitted.predict_joint_log_proba(X)
        constant = 0.5 * X.shape[1] * np.log(2 * np.pi)
        np.testing.assert_allclose(joint, scores - constant, rtol=1e-8, atol=1e-8)
        scores = log_softmax(scores, axis=1)
    np.testing.assert_allclose(fitted.decision_function(X), scores, rtol=1e-8, atol=1e-8)


class Floored:
    """A covariance estimator of scikit-learn's that adds a floor."""

    def __init__(self, floor):
        self.floor = floor

    def fit(self, X):
        gap = X - X.mean(axis=0)
        self.covariance_ = gap.T @ gap / len(X) + self.floor * np.eye(X.shape[1])
        return self


@pytest.mark.parametrize("structure", ["full", "tied"])
def test_floor_is_a_variance_added_to_every_covariance(structure):
    """Pixels of digits are constant within classes."""
    X, y = labeled_set("digits")
    kind, solver = QuadraticDiscriminantAnalysis, "eigen"
    if structure == "tied":
        kind, solver = LinearDiscriminantAnalysis, "lsqr"
    peer = kind(solver=solver, covariance_estimator=Floored(0.3)).fit(X, y)
    fitted = build(structure, reg_covar=0.3).fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), peer.predict(X))
    np.testing.assert_allclose(fitted.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-10)


@pytest.mark.parametrize("priors", [None, "given"])
@pytest.mark.parametrize("smoothing", [1e-9, 1e-3])
@pytest.mark.parametrize("name", SETS)
def test_diag_is_gaussian_naive_bayes(name, smoothing, priors):
    """var_smoothing is a share of the largest variance of a column, reg_covar a variance."""
    X, y = labeled_set(name)
    priors = None if priors is None else some_priors(len(np.unique(y)))
    peer = GaussianNB(priors=priors, var_smoothing=smoothing).fit(X, y)
    fitted = build("diag", priors=priors, reg_covar=peer.epsilon_).fit(X, y)
    np.testing.assert_allclose(fitted.means_, peer.theta_, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(fitted.covariances_, peer.var_, rtol=1e-9)
    np.testing.assert_allclose(fitted.priors_, peer.class_prior_, rtol=1e-14)
    np.testing.assert_array_equal(fitted.predict(X), peer.predict(X))
    logs = peer.predict_joint_log_proba(X)
    # Pixels that are constant in a class: distances of 1e9 that differ in their last digits.
    close = max(1e-12 * np.abs(logs).max(), 1e-9)
    np.testing.assert_allclose(fitted.predict_joint_log_proba(X), logs, rtol=1e-9, atol=close)
    np.testing.assert_allclose(fitted.predict_proba(X), peer.predict_proba(X), rtol=0, atol=close)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_supervised_fit_is_the_closed_form(structure):
    X, y = grouped(n=150, d=3)
    weight = some_weights(len(X))
    fitted = build(structure).fit(X, y, sample_weight=weight)
    task = likelihood_task(structure, X, y, [0, 1, 2], weight=weight)
    assert_params(fitted, reference.supervised(task), rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(fitted.transduction_, y)
    assert fitted.converged_
    value = reference.objective(task, *params_of(fitted))
    assert fitted.objective_history_[-1] == pytest.approx(value, rel=1e-12)
    assert fitted.lower_bound_ == pytest.approx(value / weight.sum(), rel=1e-12)


def blocks(n, size, seed=0):
    order = np.random.default_rng(seed).permutation(n)
    return [order[start : start + size] for start in range(0, n, size)]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_of_labeled_rows_is_fit(structure, weighted):
    X, y = labeled_set("iris")
    weight = some_weights(len(X)) if weighted else None
    streamed = build(structure)
    for at in blocks(len(X), 32):
        own = None if weight is None else weight[at]
        streamed.partial_fit(X[at], y[at], classes=[0, 1, 2], sample_weight=own)
    whole = build(structure).fit(X, y, sample_weight=weight)
    assert_params(streamed, params_of(whole), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(streamed.priors_, whole.priors_, rtol=1e-12)
    np.testing.assert_allclose(streamed.predict_proba(X), whole.predict_proba(X), atol=1e-9)
    if structure == "tied":
        np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-9)


def test_partial_fit_is_that_of_gaussian_naive_bayes():
    X, y = labeled_set("wine")
    streamed, peer = build("diag"), GaussianNB(var_smoothing=0.0)
    for at in blocks(len(X), 60):
        streamed.partial_fit(X[at], y[at], classes=[0, 1, 2])
        peer.partial_fit(X[at], y[at], classes=[0, 1, 2])
        np.testing.assert_allclose(streamed.means_, peer.theta_, rtol=1e-11)
        np.testing.assert_allclose(streamed.covariances_, peer.var_, rtol=1e-9)
        np.testing.assert_allclose(
            streamed.predict_proba(X), peer.predict_proba(X), rtol=0, atol=1e-9
        )


def test_partial_fit_names_the_classes_that_it_does_not_know():
    X, y = grouped()
    started = build().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes.*(7|3)"):
        started.partial_fit(X, y, classes=[0, 1, 7])
    with pytest.raises(ValueError, match=r"classes.*5|5.*classes"):
        started.partial_fit(X, np.where(y == 2, 5, y))


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_histories_of_partial_fit_have_a_place_per_call(begin):
    X, y = grouped()
    fitted, weights = getattr(build(), begin)(X, y), [90.0]
    for n_rows in (30, 20):
        fitted.partial_fit(X[:n_rows], y[:n_rows])
        weights.append(weights[-1] + n_rows)
    totals = np.multiply(fitted.lower_bounds_, weights)
    np.testing.assert_allclose(fitted.objective_history_, totals, rtol=1e-12)


@pytest.mark.parametrize("inference", ["ml", "map"])
def test_partial_fit_of_the_mixture_continues_from_the_classifier(inference):
    """As after a fit of its own that ended with these parameters."""
    X, y = grouped()
    fitted = build(inference=inference).fit(X, y)
    mixture, rows = fitted.mixture_, X[:4] + 0.1
    own = type(mixture)(n_components=3, reg_covar=0.0, random_state=0).fit(X)
    for name in (*PARAMETERS, "precisions_cholesky_"):
        setattr(own, name, getattr(fitted, name))
    own.partial_fit(rows)
    assert_params(mixture.partial_fit(rows), params_of(own), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(fitted.mixture_.means_, fitted.means_)


@pytest.mark.parametrize("classes", [["a", "b", None], [0.0, 1.0, np.nan]], ids=["None", "NaN"])
def test_no_label_is_no_class(classes):
    X, y = grouped()
    with pytest.raises(ValueError, match=r"classes=.*no label"):
        build().partial_fit(X, y, classes=classes)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("priors", [None, [0.2, 0.3, 0.5]])
def test_partial_fit_after_fit_knows_a_floor_that_counts(structure, priors):
    """One that is a material share of the variances is part of the objective, of old rows too."""
    X, y = labeled_set("iris")
    X, arguments = 3.0 * X, {"reg_covar": 0.5, "priors": priors}
    whole = build(structure, **arguments).fit(X, y)
    first, *others = blocks(len(X), 60)
    continued = build(structure, **arguments).fit(X[first], y[first])
    for at in others:
        continued.partial_fit(X[at], y[at])
    assert_params(continued, params_of(whole), rtol=1e-10, atol=1e-10)
    assert continued.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_partial_fit_takes_rows_of_another_dtype(dtypes, begin):
    X, y = labeled_set("iris")
    first, second = slice(None, None, 2), slice(1, None, 2)
    fitted = getattr(build(), begin)(X[first].astype(dtypes[0]), y[first])
    fitted.partial_fit(X[second].astype(dtypes[1]), y[second])
    assert fitted.means_.dtype == dtypes[1]
    assert_params(fitted, params_of(build().fit(X, y)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "changed",
    [{"covariance_type": "tied"}, {"inference": "map"}, {"n_components_per_class": [1, 1, 2]}],
    ids=lambda changed: next(iter(changed)),
)
@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_partial_fit_continues_no_other_model(changed, begin):
    X, y = grouped()
    fitted = getattr(build(), begin)(X, y).set_params(**changed)
    with pytest.raises(ValueError, match=f"{next(iter(changed))}.*clone"):
        fitted.partial_fit(X, y)


def test_priors_may_be_given_to_rows_that_follow():
    X, y = labeled_set("iris")
    fitted = build().fit(X, y).set_params(priors=[0.2, 0.3, 0.5]).partial_fit(X, y)
    whole = build(priors=[0.2, 0.3, 0.5]).fit(X, y)
    assert_params(fitted, params_of(whole), rtol=1e-10, atol=1e-10)


# Some rows labeled ---------------------------------------------------------------------------


def unlabeled_responsibilities(X, structure, params):
    """Posterior of one component per class, by SciPy's densities."""
    weights, means, covariances = params
    matrices = reference.dense(structure, covariances, *means.shape)
    logs = [multivariate_normal(m, S).logpdf(X) for m, S in zip(means, matrices, strict=True)]
    return softmax(np.log(weights) + np.stack(logs, axis=1), axis=1)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_one_step_from_the_supervised_fit_is_the_printed_formula(structure, share):
    """With its slip corrected: labeled and unlabeled rows are pooled in one mean."""
    X, group = grouped()
    y = partly(group)
    task = likelihood_task(structure, X, y, [0, 1, 2], unlabeled_weight=share)
    start = reference.supervised(task)
    R = unlabeled_responsibilities(X, structure, start)
    fitted = build(structure, unlabeled_weight=share, max_iter=1).fit(X, y)
    assert fitted.n_iter_ == 1 and len(fitted.objective_history_) == 1
    assert_params(fitted, reference.pooled_step(task, R), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(fitted.priors_, fitted.weights_, rtol=1e-14)
    value = reference.objective(task, *start)
    assert fitted.objective_history_[0] == pytest.approx(value, rel=1e-12)
    # As printed: the mean of the labeled rows plus the mean of the others.
    labeled, hidden = y == 0, y == -1
    printed = X[labeled].mean(axis=0) + R[hidden, 0] @ X[hidden] / R[hidden, 0].sum()
    assert np.abs(fitted.means_[0] - printed).max() > 0.1


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_limit_is_that_of_the_reference(structure, share):
    X, group = grouped(n=36, seed=1)
    y = partly(group, at_least=8)
    task = likelihood_task(structure, X, y, [0, 1, 2], unlabeled_weight=share)
    params = reference.em(task, reference.supervised(task), 25)
    fitted = build(structure, unlabeled_weight=share, max_iter=25).fit(X, y)
    # The same path of 25 steps.
    assert_params(fitted, params, rtol=1e-8, atol=1e-8)
    limit = build(structure, unlabeled_weight=share, max_iter=5000, tol=1e-17).fit(X, y)
    again = reference.iteration(task, *params_of(limit))
    assert_params(limit, again, rtol=1e-8, atol=1e-8)


TASKS = {
    "plain": {},
    "louder": {"unlabeled_weight": 0.25},
    "weights": {"weighted": True},
    "priors": {"priors": np.array([0.5, 0.2, 0.3])},
    "components": {"components": 2},
    "components by class": {"components": [1, 3, 2], "unlabeled_weight": 0.7},
    "components, priors": {"components": [2, 1, 2], "priors": np.array([0.2, 0.2, 0.6])},
    "missing": {"missing": True},
    "missing, components": {"missing": True, "components": 2, "weighted": True},
    "map": {"map": True},
    "map, components": {"map": True, "components": [2, 1, 2], "weighted": True},
    "map, missing": {"map": True, "missing": True, "unlabeled_weight": 0.5},
    "map, priors": {"map": True, "components": 2, "priors": np.array([0.5, 0.3, 0.2])},
}


def posed(structure, components=1, weighted=False, missing=False, map=False, **choices):
    """(task, y, how to fit it for so many iterations)."""
    X, group = grouped(n=72, seed=2)
    y = partly(group, share=0.5, at_least=10)
    if missing:
        X = holes(X, 0.2)
    counts = np.broadcast_to(components, 3)
    owners = np.repeat(np.arange(3), counts)
    weight = some_weights(len(X)) if weighted else None
    task = likelihood_task(structure, X, y, owners, weight=weight, **choices)
    arguments = dict(choices)
    if map:
        prior = some_prior(structure, 2, concentration=1.7)
        task = replace(task, prior=prior, map=True)
        arguments |= prior.arguments | {"inference": "map"}
        arguments.pop("covariance_type")

    def after(n_iter):
        return build(structure, components, max_iter=n_iter, **arguments).fit(
            X, y, sample_weight=weight
        )

    return task, y, after


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("what", TASKS)
def test_iterations_and_objective_equal_the_reference(structure, what):
    task, _, after = posed(structure, **TASKS[what])
    for n_iter in (1, 4):
        before, then = after(n_iter), after(n_iter + 1)
        params = params_of(before)
        assert_params(then, reference.iteration(task, *params), rtol=1e-9, atol=1e-9)
        # The value belongs to the parameters that the iteration started from.
        value = reference.objective(task, *params)
        assert then.objective_history_[n_iter] == pytest.approx(value, rel=1e-10)
        assert then.objective_history_[:n_iter] == before.objective_history_
    owners = task.components_class
    np.testing.assert_array_equal(then.components_class_, owners)
    assert then.weights_.sum() == pytest.approx(1.0, rel=1e-14)
    shares = [then.weights_[owners == c].sum() for c in range(3)]
    np.testing.assert_allclose(then.priors_, shares if task.priors is None else task.priors)
    np.testing.assert_allclose(then.priors_, shares, rtol=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("what", TASKS)
def test_answers_equal_the_reference(structure, what):
    task, y, after = posed(structure, **TASKS[what])
    fitted = after(4)
    X = np.vstack([holes(grouped(n=40, seed=5)[0], 0.3), [[np.nan, np.nan]]])
    for rows_ in (task.X, X):
        joint = reference.log_joint(rows_, structure, fitted.components_class_, *params_of(fitted))
        np.testing.assert_allclose(
            fitted.predict_joint_log_proba(rows_), joint, rtol=1e-10, atol=1e-10
        )
        logs = log_softmax(joint, axis=1)
        np.testing.assert_array_equal(
            fitted.decision_function(rows_), fitted.predict_log_proba(rows_)
        )
        np.testing.assert_allclose(fitted.predict_log_proba(rows_), logs, rtol=1e-9, atol=1e-10)
        # Subnormal numbers may be zero.
        np.testing.assert_allclose(
            fitted.predict_proba(rows_), np.exp(logs), rtol=1e-9, atol=1e-300
        )
        np.testing.assert_array_equal(fitted.predict(rows_), joint.argmax(axis=1))
        density = logsumexp(joint, axis=1)
        np.testing.assert_allclose(fitted.score_samples(rows_), density, rtol=1e-10, atol=1e-10)
    # A row without any cell says nothing.
    np.testing.assert_allclose(fitted.predict_proba(X)[-1], fitted.priors_, rtol=1e-12)
    expected = np.where(y == -1, fitted.predict(task.X), y)
    np.testing.assert_array_equal(fitted.transduction_, expected)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_missing_cells_are_those_of_the_marginal_model(structure):
    _, _, after = posed(structure, components=2, missing=True)
    fitted = after(10)
    X = grouped(n=30, seed=6)[0]
    for column in (0, 1):
        part = X.copy()
        part[:, 1 - column] = np.nan
        marginal = fitted.mixture_.marginal([column])
        R = marginal.predict_proba(X[:, [column]])
        proba = np.stack([R[:, fitted.components_class_ == c].sum(axis=1) for c in range(3)], 1)
        np.testing.assert_allclose(fitted.predict_proba(part), proba, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            fitted.score_samples(part), marginal.score_samples(X[:, [column]]), rtol=1e-10
        )


def scipy_objective(fitted, X, y, weight, share):
    """sum_labeled w log p(x, y) + lambda sum_unlabeled w log p(x), complete rows."""
    logs = [
        np.log(pi) + multivariate_normal(m, S).logpdf(X)
        for pi, m, S in zip(
            fitted.weights_, fitted.means_, covariance_matrices(fitted), strict=True
        )
    ]
    logs, total = np.stack(logs, axis=1), 0.0
    for i, label in enumerate(y):
        own = fitted.components_class_ == label
        if label == -1:
            total += share * weight[i] * logsumexp(logs[i])
        else:
            total += weight[i] * logsumexp(logs[i, own])
    return total


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_objective_is_the_weighted_log_likelihood(structure, components, share):
    X, group = grouped(n=150, d=3, seed=3)
    y, weight = partly(group, at_least=30), some_weights(len(X))
    choices = {"unlabeled_weight": share}
    for n_iter in (1, 7):
        fitted = build(structure, components, max_iter=n_iter, **choices)
        fitted.fit(X, y, sample_weight=weight)
        then = build(structure, components, max_iter=n_iter + 1, **choices)
        then.fit(X, y, sample_weight=weight)
        value = scipy_objective(fitted, X, y, weight, share)
        assert then.objective_history_[n_iter] == pytest.approx(value, rel=1e-11)
    heard = weight[y != -1].sum() + share * weight[y == -1].sum()
    assert then.lower_bound_ * heard == pytest.approx(then.objective_history_[-1], rel=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("inference", ["ml", "map"])
@pytest.mark.parametrize("seed", range(3))
def test_objective_never_falls(structure, inference, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    X, group = grouped(n=160, d=d, seed=seed)
    X, y = holes(X, 0.1, seed) * 10.0 ** rng.uniform(-2, 2), partly(group, 0.7, at_least=30)
    fitted = build(
        structure,
        [1, 2, 1],
        inference=inference,
        unlabeled_weight=rng.uniform(),
        max_iter=60,
        priors=[None, np.array([0.5, 0.3, 0.2])][seed % 2],
    ).fit(X, y, sample_weight=some_weights(160, seed))
    history = np.array(fitted.objective_history_)
    assert np.isfinite(history).all() and len(history) == fitted.n_iter_
    # The law of all objectives: rounding of a sum, 1e-10 of its size.
    assert np.diff(history).min() >= -1e-10 * np.abs(history).max()
    assert history[-1] > history[0]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("floor", [1e-2, 1.0])
def test_floor_keeps_the_objective_monotone(structure, floor):
    X, group = grouped(n=120, seed=4)
    y = partly(group, 0.7)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    history = build(structure, reg_covar=floor, max_iter=60).fit(X, y).objective_history_
    assert np.diff(history).min(initial=0.0) >= -1e-10 * np.abs(history).max()


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("acceleration", ["squarem", "anderson"])
def test_acceleration_reaches_a_limit_of_em(structure, acceleration):
    X, group = grouped(n=60, seed=1)
    y = partly(group, at_least=8)
    fitted = build(structure, acceleration=acceleration, max_iter=2000, tol=1e-13).fit(X, y)
    history = np.array(fitted.objective_history_)
    assert np.diff(history).min(initial=0.0) >= -1e-10 * np.abs(history).max()
    task = likelihood_task(structure, X, y, [0, 1, 2])
    # A gain below 1e-13 a row leaves some 1e-6 of the parameters.
    assert_params(fitted, reference.iteration(task, *params_of(fitted)), rtol=1e-5, atol=1e-5)


# The weight of what has no label -------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("what", ["plain", "components", "map", "priors"])
def test_unlabeled_rows_of_weight_zero_leave_the_supervised_fit(structure, what):
    task, y, _ = posed(structure, **TASKS[what])
    X, known = task.X, y != -1
    arguments = {"priors": task.priors, "inference": "map" if what == "map" else "ml"}
    classifier = build(structure, TASKS[what].get("components", 1), max_iter=30, **arguments)
    supervised = clone(classifier).fit(X[known], y[known])
    deaf = clone(classifier).set_params(unlabeled_weight=0.0).fit(X, y)
    weightless = clone(classifier).fit(X, y, sample_weight=known.astype(float))
    for name in (*PARAMETERS, "priors_", "components_class_"):
        value = getattr(supervised, name)
        np.testing.assert_array_equal(getattr(deaf, name), value, err_msg=name)
        # Zeros among the terms of a sum move its rounding.
        np.testing.assert_allclose(
            getattr(weightless, name), value, rtol=1e-12, atol=1e-12, err_msg=name
        )
    assert deaf.objective_history_ == supervised.objective_history_
    assert deaf.lower_bound_ == supervised.lower_bound_
    np.testing.assert_array_equal(deaf.transduction_[~known], supervised.predict(X[~known]))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_limit_is_continuous_in_the_unlabeled_weight(structure):
    X, group = grouped(n=90, seed=1)
    y = partly(group, at_least=10)
    far = grouped(n=90, seed=1)[0]

    def proba(share):
        fitted = build(structure, unlabeled_weight=share, max_iter=2000, tol=1e-13)
        return fitted.fit(X, y).predict_proba(far)

    # 50 unlabeled rows at a millionth each against 10 labeled rows a class.
    np.testing.assert_allclose(proba(1e-6), proba(0.0), rtol=0, atol=1e-4)
    np.testing.assert_allclose(proba(0.5 + 1e-6), proba(0.5), rtol=0, atol=1e-4)
    assert np.abs(proba(0.5) - proba(0.0)).max() > 1e-2


@pytest.mark.parametrize("structure", STRUCTURES)
def test_unlabeled_weight_multiplies_the_weights(structure):
    X, group = grouped()
    y, weight = partly(group), some_weights(90)
    scaled = np.where(y == -1, 0.3 * weight, weight)
    by_share = build(structure, unlabeled_weight=0.3, max_iter=20)
    by_share.fit(X, y, sample_weight=weight)
    by_weight = build(structure, max_iter=20).fit(X, y, sample_weight=scaled)
    assert_params(by_share, params_of(by_weight), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        by_share.objective_history_, by_weight.objective_history_, rtol=1e-12
    )


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("inference", ["ml", "map"])
def test_weight_is_repetition(structure, inference):
    X, group = grouped(n=120)
    y = partly(group, at_least=20)
    weight = np.random.default_rng(0).integers(0, 4, size=120)
    classifier = build(structure, [1, 2, 1], inference=inference, max_iter=25)
    by_weight = clone(classifier).fit(X, y, sample_weight=weight)
    by_copies = clone(classifier).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_params(by_weight, params_of(by_copies), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        by_weight.objective_history_, by_copies.objective_history_, rtol=1e-10
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_default_priors_are_those_of_fraley_and_raftery(structure):
    """Of k = all components, and of all rows by their weight."""
    X, y = labeled_set("iris")
    plain = build(structure, inference="map").fit(X, y)
    arguments = default_map_prior(X, structure, 3).arguments
    given = GaussianMixtureClassifier(inference="map", reg_covar=0.0, **arguments).fit(X, y)
    assert_params(plain, params_of(given), rtol=1e-10)
    np.testing.assert_allclose(plain.objective_history_, given.objective_history_, rtol=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("inference", ["ml", "map"])
def test_components_beyond_the_different_rows_of_a_class_do_no_harm(structure, inference):
    X, group = grouped()
    y = partly(group)
    arguments = {"inference": inference, "reg_covar": 1e-3, "max_iter": 20}
    fitted = build(structure, 8, **arguments).fit(X, y)
    history = np.array(fitted.objective_history_)
    assert np.diff(history).min(initial=0.0) >= -1e-10 * np.abs(history).max()
    assert fitted.weights_.sum() == pytest.approx(1.0, rel=1e-12)
    assert np.isfinite(fitted.means_).all() and np.isfinite(fitted.covariances_).all()
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(fitted.transduction_[y != -1], y[y != -1])


def test_map_survives_a_class_of_one_row():
    X = np.array([[0.0, 0], [1, 0], [0, 1], [9, 9], [8.5, 9.5], [9, 8]])
    y = np.array([0, 0, 0, 1, -1, -1])
    fitted = build(inference="map", max_iter=100).fit(X, y)
    assert np.linalg.eigvalsh(fitted.covariances_).min() > 0
    np.testing.assert_array_equal(fitted.transduction_, [0, 0, 0, 1, 1, 1])
    known = y != -1
    with pytest.raises(ValueError, match=r"component 1.*inference"):
        build().fit(X[known], y[known])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_class_of_one_labeled_row_learns_from_the_others(structure):
    """A supervised fit has no covariance to start from; maximum likelihood has one in the end."""
    X, group = grouped(n=90, seed=1)
    y = np.full(90, -1)
    for c in range(3):
        y[np.flatnonzero(group == c)[0]] = c
    fitted = build(structure, max_iter=5000, tol=1e-12, reg_covar=1e-6).fit(X, y)
    history = np.array(fitted.objective_history_)
    assert np.diff(history).min() >= -1e-10 * np.abs(history).max()
    assert np.isfinite(fitted.predict_proba(X)).all()


# Far from the data ---------------------------------------------------------------------------


def exact(value):
    return Fraction(float(value))


def exact_logits(x, means, covariance, log_weights):
    """log p(x, c) - log p(x, 0) of two columns and one covariance, rounded once at the end."""
    (a, b), (_, c) = [[exact(cell) for cell in row] for row in covariance]
    inverse = [[c, -b], [-b, a]]
    determinant = a * c - b * b
    logits = []
    for mean, log_weight in zip(means, log_weights, strict=True):
        gap = [exact(mean[j]) - exact(means[0][j]) for j in range(2)]
        middle = [exact(x[j]) - (exact(mean[j]) + exact(means[0][j])) / 2 for j in range(2)]
        form = sum(gap[i] * inverse[i][j] * middle[j] for i in range(2) for j in range(2))
        logits.append(float(form / determinant + exact(log_weight) - exact(log_weights[0])))
    return np.array(logits)


POWERS = (0, 3, 8, 20, 50, 100, 150)


def directions(seed=0):
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(size=(6, 2)), [[1, 0], [0, -1.0]]])


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("power", POWERS)
def test_tied_logits_are_linear_at_any_distance(k, power):
    X, y = grouped(k=k)
    fitted = build("tied").fit(X, y)
    asked = 10.0**power * directions()
    logs, proba = fitted.predict_log_proba(asked), fitted.predict_proba(asked)
    scores = fitted.decision_function(asked)
    for i, x in enumerate(asked):
        logits = exact_logits(x, fitted.means_, fitted.covariances_, np.log(fitted.weights_))
        expected = log_softmax(logits)
        np.testing.assert_allclose(logs[i], expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(proba[i], np.exp(expected), rtol=0, atol=1e-9)
        if k == 2:
            np.testing.assert_allclose(scores[i], logits[1], rtol=1e-9)
    linear = asked @ fitted.coef_.T + fitted.intercept_
    if k == 2:
        np.testing.assert_allclose(scores, linear[:, 0], rtol=1e-9, atol=1e-9)
    else:
        np.testing.assert_array_equal(fitted.predict(asked), linear.argmax(axis=1))


@pytest.mark.parametrize("distance", [1e3, 1e4, 1e6, 1e8])
def test_tied_odds_on_the_boundary_are_right_far_away(distance):
    """Neither class wins there, however far both are."""
    X, y = grouped(k=2)
    fitted = build("tied").fit(X, y)
    (slope,), (offset,) = fitted.coef_, fitted.intercept_
    foot = -offset * slope / (slope @ slope)
    along = np.array([-slope[1], slope[0]]) / np.sqrt(slope @ slope)
    asked = foot + np.outer([-distance, distance], along) + 0.5 * slope / (slope @ slope)
    logs, proba = fitted.predict_log_proba(asked), fitted.predict_proba(asked)
    for i, x in enumerate(asked):
        logits = exact_logits(x, fitted.means_, fitted.covariances_, np.log(fitted.weights_))
        expected = log_softmax(logits)
        assert abs(logits[1]) < 1.0
        # Products of slopes and rows are rounded to 1e-16 of their size, and so are squared
        # distances, which say who wins up to some 1e6.
        close = 1e-14 * distance * np.abs(slope).max() + 1e-9
        np.testing.assert_allclose(logs[i], expected, rtol=0, atol=close)
        np.testing.assert_allclose(proba[i], np.exp(expected), rtol=0, atol=close)
        np.testing.assert_allclose(proba[i].sum(), 1.0, rtol=1e-14)


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_probabilities_hold_at_any_distance(structure, components):
    X, y = grouped(n=150)
    fitted = build(structure, components, max_iter=20, reg_covar=1e-6).fit(X, y)
    for power in (*POWERS, 153, 200, 300):
        asked = 10.0**power * directions()
        proba = fitted.predict_proba(asked)
        assert ((proba >= 0) & (proba <= 1)).all(), power
        np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=0, atol=1e-14)
        logs = fitted.predict_log_proba(asked)
        assert not np.isnan(logs).any() and (logs <= 0).all(), power
        if power <= 150:
            # A distance of 1e153 has a square that is a number.
            assert np.isfinite(logs).all(), power
        np.testing.assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(asked))
        np.testing.assert_allclose(np.exp(logs), proba, rtol=0, atol=1e-9)


def exact_diagonal(x, weights, means, variances):
    """log p(x, c) - log p(x, 0) for independent columns, the squares exact."""
    forms = []
    for mean, variance in zip(means, variances, strict=True):
        cells = zip(x, mean, variance, strict=True)
        forms.append(sum((exact(a) - exact(m)) ** 2 / exact(v) for a, m, v in cells) / 2)
    logs = np.log(weights) - 0.5 * np.log(variances).sum(axis=1)
    return np.array(
        [float(forms[0] - form + exact(logs[c]) - exact(logs[0])) for c, form in enumerate(forms)]
    )


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("structure", ["diag", "spherical"])
def test_quadratic_logits_are_exact_at_any_distance(structure, power):
    X, y = grouped()
    fitted = build(structure).fit(X, y)
    variances = np.array([np.diag(S) for S in covariance_matrices(fitted)])
    asked = 10.0**power * directions()
    logs = fitted.predict_log_proba(asked)
    for x, row in zip(asked, logs, strict=True):
        expected = log_softmax(exact_diagonal(x, fitted.weights_, fitted.means_, variances))
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-9)


def test_log_probabilities_do_not_underflow():
    """Where predict_proba is 0 the logarithm is still right."""
    X, group = grouped()
    fitted = build(max_iter=20).fit(X, partly(group))
    asked = 100.0 * directions()
    logs = fitted.predict_log_proba(asked)
    assert logs.min() < -800 and fitted.predict_proba(asked).min() == 0.0
    joint = [
        [np.log(pi) + log_gaussian(x, m, S) for pi, m, S in zip(*params_of(fitted), strict=True)]
        for x in asked
    ]
    np.testing.assert_allclose(logs, log_softmax(joint, axis=1), rtol=1e-9, atol=1e-12)


# Labels --------------------------------------------------------------------------------------

LETTERS = np.array(["ant", "bee", "cat"])


def none_for(codes, names):
    return np.array([None if c == -1 else names[c] for c in codes.tolist()], dtype=object)


def replaced(values, codes, marker):
    values = np.array(values, dtype=object)
    values[codes == -1] = marker
    return values


def series(values, dtype=None):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(values, dtype=dtype)


def na_objects(codes):
    pandas = pytest.importorskip("pandas")
    return replaced(none_for(codes, LETTERS), codes, pandas.NA)


def polars_series(values, **arguments):
    polars = pytest.importorskip("polars")
    return polars.Series(values, **arguments)


NUMBERS = {
    "int": lambda c: c,
    "int8": lambda c: c.astype(np.int8),
    "list of int": lambda c: c.tolist(),
    "float NaN": lambda c: np.where(c == -1, np.nan, c),
    "float32 NaN": lambda c: np.where(c == -1, np.nan, c).astype(np.float32),
    "objects None": lambda c: none_for(c, [0, 1, 2]),
    "objects NaN": lambda c: replaced(c, c, np.nan),
    "list with None": lambda c: none_for(c, [0, 1, 2]).tolist(),
    "Series int": lambda c: series(c),
    "Series float": lambda c: series(np.where(c == -1, np.nan, c)),
    "Series Int64": lambda c: series(none_for(c, [0, 1, 2]), "Int64"),
    "Series Int64 with -1": lambda c: series(c, "Int64"),
    "Series UInt8": lambda c: series(none_for(c, [0, 1, 2]), "UInt8"),
    "Series Float64": lambda c: series(none_for(c, [0.0, 1.0, 2.0]), "Float64"),
    "Series category of int": lambda c: series(none_for(c, [0, 1, 2]), "category"),
    "polars int": lambda c: polars_series(none_for(c, [0, 1, 2]).tolist()),
    "polars int with None and -1": lambda c: polars_series(
        [
            None if missing and row % 2 else int(code)
            for row, (code, missing) in enumerate(zip(c, c == -1, strict=True))
        ]
    ),
}
TEXTS = {
    "strings None": lambda c: none_for(c, LETTERS),
    "strings NaN": lambda c: replaced(none_for(c, LETTERS), c, np.nan),
    "strings NA": na_objects,
    "list of strings": lambda c: none_for(c, LETTERS.tolist()).tolist(),
    "Series object": lambda c: series(none_for(c, LETTERS), object),
    "Series str": lambda c: series(none_for(c, LETTERS), "str"),
    "Series string": lambda c: series(none_for(c, LETTERS), "string"),
    "Series category": lambda c: series(none_for(c, LETTERS), "category"),
    "polars string": lambda c: polars_series(none_for(c, LETTERS.tolist()).tolist()),
    "polars category": lambda c: polars_series(
        none_for(c, LETTERS.tolist()).tolist(),
        dtype=pytest.importorskip("polars").Categorical,
    ),
}


@pytest.mark.parametrize("kind", NUMBERS | TEXTS)
def test_unlabeled_rows_are_known_by_their_marker(kind):
    X, group = grouped()
    codes = partly(group)
    y = (NUMBERS | TEXTS)[kind](codes)
    plain, fitted = build(max_iter=10).fit(X, codes), build(max_iter=10).fit(X, y)
    names = LETTERS if kind in TEXTS else np.arange(3)
    assert fitted.classes_.tolist() == names.tolist()
    for name in (*PARAMETERS, "priors_"):
        np.testing.assert_array_equal(getattr(fitted, name), getattr(plain, name), err_msg=name)
    assert fitted.transduction_.tolist() == names[plain.transduction_].tolist()
    assert fitted.predict(X).tolist() == names[plain.predict(X)].tolist()
    assert fitted.transduction_.dtype == fitted.classes_.dtype == fitted.predict(X).dtype
    assert fitted.classes_.dtype.kind in ("OUT" if kind in TEXTS else "iufO")
    with_labels = codes != -1
    answer = [value for value, known in zip(np.asarray(y), with_labels, strict=True) if known]
    assert fitted.transduction_[with_labels].tolist() == answer


def signs(group):
    return np.where(group == 1, 1, -1)


def test_signs_are_two_classes_with_a_warning():
    """The commonest two classes of all; NaN, None and pandas.NA mark rows without a label."""
    X, group = grouped()
    y = signs(group)
    plain = build().fit(X, group == 1)
    for given in (y, y.astype(object), series(y, "Int64")):
        with pytest.warns(UserWarning, match="two classes"):
            fitted = build().fit(X, given)
        assert fitted.classes_.tolist() == [-1, 1]
        np.testing.assert_array_equal(fitted.means_, plain.means_)
        np.testing.assert_array_equal(fitted.transduction_, y)
    assert build().fit(X, y.astype(float)).classes_.tolist() == [-1.0, 1.0]
    assert fitted.score(X, y) == np.mean(fitted.predict(X) == y)


@pytest.mark.parametrize("kind", ["objects", "Int64"])
def test_signs_may_lack_labels(kind):
    X, group = grouped()
    codes = partly((group == 1).astype(int))
    y = none_for(codes, [-1, 1])
    plain = build(max_iter=10).fit(X, codes)
    with pytest.warns(UserWarning, match="two classes"):
        fitted = build(max_iter=10).fit(X, y if kind == "objects" else series(y, "Int64"))
    assert fitted.classes_.tolist() == [-1, 1]
    np.testing.assert_array_equal(fitted.means_, plain.means_)


def test_minus_one_is_no_class_of_a_model_that_has_others():
    X, group = grouped()
    fitted = build(max_iter=5).fit(X, partly(group))
    y = signs(group)
    assert fitted.score(X, y) == np.mean(fitted.predict(X[group == 1]) == 1)
    streamed = build().partial_fit(X, group, classes=[0, 1, 2]).partial_fit(X, y)
    np.testing.assert_array_equal(streamed.transduction_[y == 1], 1)
    assert streamed.classes_.tolist() == [0, 1, 2]
    assert set(streamed.transduction_.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("dtype", ["boolean", "object"])
def test_booleans_may_lack_labels(dtype):
    X, group = grouped(k=2)
    codes = partly(group)
    y = series(none_for(codes, [False, True]), dtype)
    fitted, plain = build(max_iter=10).fit(X, y), build(max_iter=10).fit(X, codes)
    assert fitted.classes_.tolist() == [False, True]
    np.testing.assert_array_equal(fitted.means_, plain.means_)
    assert fitted.transduction_.tolist() == (plain.transduction_ == 1).tolist()


def test_categories_without_rows_are_no_classes():
    pandas = pytest.importorskip("pandas")
    X, group = grouped()
    y = pandas.Series(pandas.Categorical(LETTERS[group], categories=[*LETTERS, "dog"]))
    assert build().fit(X, y).classes_.tolist() == LETTERS.tolist()


def test_a_column_of_labels_is_taken_with_scikit_learns_warning():
    X, group = grouped()
    y = partly(group)
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        fitted = build(max_iter=5).fit(X, y[:, None])
    assert_params(fitted, params_of(build(max_iter=5).fit(X, y)), rtol=0)
    assert fitted.transduction_.shape == (90,)


@pytest.mark.parametrize("kind", ["int", "strings None", "float NaN", "Series Int64"])
def test_score_counts_labeled_rows(kind):
    """accuracy of rows whose class is known."""
    X, group = grouped()
    fitted = build(max_iter=10).fit(X, (NUMBERS | TEXTS)[kind](partly(group)))
    y = LETTERS[group] if kind in TEXTS else group
    weight = some_weights(90)
    hit = fitted.predict(X) == y
    assert fitted.score(X, y) == pytest.approx(hit.mean(), rel=1e-14)
    assert fitted.score(X, y, sample_weight=weight) == pytest.approx(
        np.average(hit, weights=weight), rel=1e-14
    )


def unlabeled(kind):
    return lambda y: (NUMBERS | TEXTS)[kind](np.full_like(y, -1))


def no_weight_for(y, c):
    return np.where(y == c, 0.0, 1.0)


BAD_LABELS = {
    "all -1": (unlabeled("int"), r"unlabeled|label"),
    "all NaN": (unlabeled("float NaN"), r"unlabeled|label"),
    "all None": (unlabeled("strings None"), r"unlabeled|label"),
    "all NA": (unlabeled("Series string"), r"unlabeled|label"),
    "one class": (lambda y: np.where(y == -1, -1, 2), r"one class.*\b2\b|class 2"),
    "one class, NaN": (lambda y: np.where(y == -1, np.nan, 1.0), r"one class.*\b1|class 1"),
    "one class, None": (
        lambda y: none_for(np.minimum(y, 0), LETTERS),
        r"one class.*ant|class 'ant",
    ),
    "one class only": (lambda y: np.zeros(len(y), int), r"class.*\b0\b|\bone\b.*class|1 class"),
    "nothing": (lambda y: None, "requires y"),
    "short": (lambda y: y[:-1], r"inconsistent.*90.*89"),
    "long": (lambda y: np.append(y, 0), r"inconsistent.*90.*91"),
    "infinity": (lambda y: np.r_[np.inf, y[1:]], r"y contains infinity"),
    "continuous": (lambda y: y + 0.25, r"continuous"),
    "continuous and NaN": (lambda y: np.where(y == -1, np.nan, y + 0.25), r"continuous"),
    "two columns": (lambda y: np.column_stack([y, y]), r"y should be a 1d array"),
    "three dimensions": (lambda y: y[:, None, None], r"y should be a 1d array|[Dd]im"),
    "mixed": (lambda y: replaced(np.where(y == 0, "a", y), y, 3), r"label|\by\b|uniformly"),
    "text and number": (lambda y: np.array(["a", 1, None] * 30, object), r"label|\by\b|uniformly"),
    "a word": (lambda y: "yes", r"\by\b|ingleton"),
    "complex": (lambda y: y + 1j, r"omplex|\by\b"),
    "lists": (lambda y: [[v] * (2 + v) for v in y.tolist()], r"inhomogeneous|\by\b|label"),
}


@pytest.mark.parametrize("what", BAD_LABELS)
def test_bad_labels_are_refused_by_name(what):
    X, group = grouped()
    change, words = BAD_LABELS[what]
    classifier = build()
    with pytest.raises((ValueError, TypeError), match=words):
        classifier.fit(X, change(partly(group)))
    with pytest.raises(NotFittedError):
        classifier.predict(X)


BAD_ARGUMENTS = {
    "priors": [
        ([0.5, 0.5], r"priors.*\(2,\).*3|priors.*\b2\b.*\b3\b|priors.*\b3\b.*\b2\b"),
        ([[0.5, 0.3, 0.2]], r"priors.*\(1, 3\)|priors.*dim|priors.*shape"),
        ([-0.2, 0.6, 0.6], r"priors.*-0\.2"),
        ([0.5, 0.5, 0.5], r"priors.*1\.5"),
        ([0.2, 0.2, 0.2], r"priors.*0\.6"),
        ([np.nan, 0.5, 0.5], r"priors"),
        ([np.inf, 0.5, 0.5], r"priors"),
        (0.5, r"priors"),
        ("even", r"priors.*even"),
        (["a", "b", "c"], r"priors"),
    ],
    "n_components_per_class": [
        (0, r"n_components_per_class.*\b0\b"),
        (-1, r"n_components_per_class.*-1"),
        (1.5, r"n_components_per_class.*1\.5"),
        ("two", r"n_components_per_class.*two"),
        (None, r"n_components_per_class.*None"),
        ([1, 2], r"n_components_per_class.*\b2\b.*\b3\b|n_components_per_class.*\b3\b.*\b2\b"),
        ([1, 0, 2], r"n_components_per_class.*\b0\b"),
        ([1, 1.5, 2], r"n_components_per_class.*1\.5"),
        ([[1, 1, 1]], r"n_components_per_class"),
        ([1, np.nan, 2], r"n_components_per_class"),
        (["a", "b", "c"], r"n_components_per_class"),
        (10**30, r"n_components_per_class"),
    ],
    "unlabeled_weight": [
        (-0.1, r"unlabeled_weight.*-0\.1"),
        (np.nan, r"unlabeled_weight.*nan"),
        (np.inf, r"unlabeled_weight.*inf"),
        ("half", r"unlabeled_weight.*half"),
        (None, r"unlabeled_weight.*None"),
    ],
    "inference": [("mean_field", r"inference.*mean_field"), (None, r"inference.*None")],
    "covariance_type": [("round", r"covariance_type.*round")],
    "reg_covar": [(-1.0, r"reg_covar.*-1"), (np.nan, r"reg_covar.*nan")],
    "tol": [(-1.0, r"tol.*-1"), ("low", r"tol.*low")],
    "max_iter": [(-1, r"max_iter.*-1"), (1.5, r"max_iter.*1\.5")],
    "n_init": [(0, r"n_init.*0")],
    "init_params": [("best", r"init_params.*best")],
    "acceleration": [("fast", r"acceleration.*fast")],
    "random_state": [("seed", r"random_state.*seed")],
    "n_jobs": [(1.5, r"n_jobs.*1\.5")],
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_are_refused_by_name(name):
    X, group = grouped()
    for value, words in BAD_ARGUMENTS[name]:
        classifier = build(**{name: value})
        with pytest.raises((ValueError, TypeError), match=words):
            classifier.fit(X, partly(group))
        assert not hasattr(classifier, "means_"), value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_concentration_prior", -1.0),
        ("mean_precision_prior", -1.0),
        ("mean_prior", np.zeros(3)),
        ("degrees_of_freedom_prior", -1000.0),
        ("covariance_prior", np.eye(3)),
        ("covariance_prior", [[1.0, 2.0], [2.0, 1.0]]),
    ],
)
def test_bad_priors_of_parameters_are_refused_by_name(name, value):
    X, group = grouped()
    with pytest.raises(ValueError, match=name):
        build(inference="map", **{name: value}).fit(X, partly(group))


@pytest.mark.parametrize("priors", [None, [0.5, 0.2, 0.3]])
@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("inference", ["ml", "map"])
def test_a_class_without_weight_is_named(priors, components, inference):
    X, group = grouped()
    y = partly(group)
    classifier = build("tied", components, priors=priors, inference=inference)
    with pytest.raises(ValueError, match=r"class.*cat|cat.*class"):
        classifier.fit(X, LETTERS[group], sample_weight=no_weight_for(group, 2))
    with pytest.raises(ValueError, match=r"class.*\b1\b|\b1\b.*class"):
        classifier.fit(X, y, sample_weight=no_weight_for(y, 1))


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.full(90, -1.0), r"sample_weight|[Nn]egative"),
        (np.full(90, np.nan), r"sample_weight"),
        (np.ones(89), r"sample_weight"),
        (np.zeros(90), r"[Ss]ample.weight"),
    ],
)
def test_bad_weights_are_refused_by_name(weight, words):
    X, group = grouped()
    with pytest.raises(ValueError, match=words):
        build().fit(X, partly(group), sample_weight=weight)


def test_singular_class_is_named_with_a_remedy():
    X, group = grouped()
    X[group == 1, 1] = 3.0
    with pytest.raises(ValueError, match="reg_covar") as caught:
        build("full").fit(X, LETTERS[group])
    assert "bee" in str(caught.value) or "component 1" in str(caught.value)
    assert not isinstance(caught.value, np.linalg.LinAlgError)


# Life of an estimator ------------------------------------------------------------------------


@pytest.mark.parametrize("components", [1, [1, 2, 2]])
@pytest.mark.parametrize("inference", ["ml", "map"])
def test_threads_give_the_same_bits(components, inference, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 100 * 3)
    X, group = grouped(n=2000, d=3)
    X, y = holes(X, 0.1), partly(group, 0.9)

    def said(n_jobs):
        classifier = build("full", components, inference=inference, max_iter=8, n_jobs=n_jobs)
        fitted = classifier.fit(X, y)
        state = {name: value for name, value in fitted_state(fitted).items() if name != "mixture_"}
        return state | outputs(fitted, X)

    alone = said(1)
    for n_jobs in (2, 3):
        assert_same_bits(alone, said(n_jobs))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_float32_is_kept_and_agrees(structure):
    X, group = grouped(n=200, d=3)
    X, y = X.astype(np.float32), partly(group)
    fitted = build(structure, max_iter=20).fit(X, y)
    double = build(structure, max_iter=20).fit(X.astype(np.float64), y)
    for name in (*PARAMETERS, "precisions_", "precisions_cholesky_"):
        value = getattr(fitted, name)
        assert value.dtype == np.float32, name
        expected = getattr(double, name)
        close = 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=close, err_msg=name)
    # Logarithms of float32 numbers next to 1 would say nothing of their distance from it.
    assert fitted.predict_proba(X).dtype == np.float64
    if structure == "tied":
        assert fitted.coef_.dtype == np.float32
    np.testing.assert_allclose(
        fitted.predict_proba(X), double.predict_proba(X.astype(np.float64)), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_precisions_belong_to_the_covariances(structure):
    _, _, after = posed(structure, components=2)
    fitted = after(5)
    shapes = {"full": (6, 2, 2), "tied": (2, 2), "diag": (6, 2), "spherical": (6,)}
    assert fitted.covariances_.shape == shapes[structure]
    for name in ("precisions_", "precisions_cholesky_"):
        assert getattr(fitted, name).shape == shapes[structure], name
    if structure in ("diag", "spherical"):
        inverse, root = 1 / fitted.covariances_, np.sqrt(fitted.precisions_)
    else:
        inverse = np.linalg.inv(fitted.covariances_)
        root = fitted.precisions_cholesky_
        product = root @ np.swapaxes(root, -1, -2)
        np.testing.assert_allclose(product, inverse, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.precisions_, inverse, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.precisions_cholesky_, root, rtol=1e-9)
    assert hasattr(fitted, "coef_") is False


def test_only_linear_models_have_coefficients():
    X, y = grouped()
    for structure in STRUCTURES:
        for components in (1, 2):
            fitted = build(structure, components).fit(X, y)
            linear = structure == "tied" and components == 1
            assert hasattr(fitted, "coef_") is linear is hasattr(fitted, "intercept_")
    again = build("tied").fit(X, y).set_params(covariance_type="full").fit(X, y)
    assert not hasattr(again, "coef_")


IN_A_NEW_PROCESS = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    fitted, X, y = pickle.load(file)
from sklearn.base import clone
answers = [fitted.predict(X), fitted.predict_proba(X), fitted.transduction_, fitted.mixture_.means_]
answers.append(clone(fitted).fit(X, y).predict_proba(X))
sys.stdout.buffer.write(pickle.dumps(answers).hex().encode())
"""


def test_pickle_survives_a_new_process(tmp_path):
    X, group = grouped()
    y = none_for(partly(group), LETTERS)
    fitted = build("full", [1, 2, 1], tol=1e-3, reg_covar=1e-6).fit(X, y)
    (tmp_path / "fitted").write_bytes(pickle.dumps((fitted, X, y)))
    said = pickle.loads(bytes.fromhex(run(IN_A_NEW_PROCESS, tmp_path / "fitted").stdout))
    proba = fitted.predict_proba(X)
    expected = [fitted.predict(X), proba, fitted.transduction_, fitted.mixture_.means_, proba]
    for value, other in zip(expected, said, strict=True):
        np.testing.assert_array_equal(value, other)


def test_clone_and_refit_forget_the_fit():
    X, group = grouped()
    y = none_for(partly(group), LETTERS)
    classifier = build("tied", max_iter=7, priors=[0.2, 0.3, 0.5])
    first = classifier.fit(X, y).predict_proba(X)
    twin = clone(classifier)
    assert not fitted_state(twin)
    np.testing.assert_array_equal(twin.fit(X, y).predict_proba(X), first)
    classifier.set_params(priors=None).fit(X[:, :1], np.arange(90) % 2)
    assert classifier.classes_.tolist() == [0, 1] and classifier.means_.shape == (2, 1)
    np.testing.assert_array_equal(
        classifier.set_params(priors=[0.2, 0.3, 0.5]).fit(X, y).predict_proba(X), first
    )


def labeled_folds(y, n_splits=3):
    """Folds whose test rows are labeled; all unlabeled rows train."""
    known, unknown = np.flatnonzero(y != -1), np.flatnonzero(y == -1)
    for train, test in StratifiedKFold(n_splits).split(known, y[known]):
        yield np.concatenate([known[train], unknown]), known[test]


def test_grid_search_chooses_the_unlabeled_weight():
    X, group = grouped(n=150)
    y = partly(group, 0.5, at_least=12)
    grid = {"gaussianmixtureclassifier__unlabeled_weight": [0.0, 0.3, 1.0]}
    pipeline = make_pipeline(StandardScaler(), build(tol=1e-3))
    search = GridSearchCV(
        pipeline, grid, cv=list(labeled_folds(y)), scoring="neg_log_loss", error_score="raise"
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_params_["gaussianmixtureclassifier__unlabeled_weight"]
    alone = make_pipeline(StandardScaler(), build(tol=1e-3, unlabeled_weight=best)).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), alone.predict_proba(X))


def test_grid_search_over_labeled_rows_with_a_plain_splitter():
    X, y = labeled_set("iris")
    grid = {"covariance_type": list(STRUCTURES), "n_components_per_class": [1, 2]}
    search = GridSearchCV(build(reg_covar=1e-6, tol=1e-3), grid, cv=3, error_score="raise")
    assert search.fit(X, LETTERS[y]).best_score_ > 0.95


@pytest.mark.parametrize("structure", ["full", "tied"])
def test_a_linear_change_of_columns_changes_no_probability(structure):
    X, group = grouped()
    y = partly(group)
    A = np.array([[2.0, 0.5], [-1.0, 3.0]])
    plain = build(structure, max_iter=10).fit(X, y)
    moved = build(structure, max_iter=10).fit(X @ A + 5.0, y)
    np.testing.assert_allclose(
        moved.predict_proba(X @ A + 5.0), plain.predict_proba(X), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_names_of_classes_carry_no_information(structure):
    X, group = grouped()
    y = partly(group)
    order = np.array([2, 0, 1])
    plain = build(structure, max_iter=10).fit(X, y)
    renamed = build(structure, max_iter=10).fit(X, np.where(y == -1, -1, order[y]))
    np.testing.assert_allclose(
        renamed.predict_proba(X)[:, order], plain.predict_proba(X), rtol=0, atol=1e-10
    )


# The density ---------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", STRUCTURES)
def test_samples_have_the_frequencies_and_moments_of_the_classes(structure):
    X, group = grouped(n=200)
    y = none_for(partly(group, at_least=30), LETTERS)
    fitted = build(structure, [1, 2, 1], max_iter=10).fit(X, y)
    n = 20_000
    drawn, labels = fitted.sample(n)
    assert drawn.shape == (n, 2) and labels.shape == (n,)
    assert set(labels.tolist()) == set(LETTERS.tolist())
    matrices = covariance_matrices(fitted)
    for c, name in enumerate(LETTERS):
        p, own = fitted.priors_[c], labels == name
        # 6 standard errors: alpha below 1e-8.
        assert abs(own.mean() - p) < 6 * np.sqrt(p * (1 - p) / n)
        inside = fitted.components_class_ == c
        share = fitted.weights_[inside] / p
        mean = share @ fitted.means_[inside]
        spread = sum(
            s * (np.outer(m - mean, m - mean) + S)
            for s, m, S in zip(share, fitted.means_[inside], matrices[inside], strict=True)
        )
        error = np.sqrt(np.diag(spread) / own.sum())
        assert (np.abs(drawn[own].mean(axis=0) - mean) < 6 * error).all()
        # The fourth moment of a mixture of two is below 5 of a Gaussian's.
        np.testing.assert_allclose(
            np.cov(drawn[own].T, bias=True), spread, rtol=0, atol=0.15 * np.abs(spread).max()
        )
    again, names = fitted.sample(n)
    np.testing.assert_array_equal(again, drawn)
    np.testing.assert_array_equal(names, labels)
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("inference", ["ml", "map"])
def test_density_integrates_to_one(structure, inference):
    X, group = grouped(d=1)
    y = partly(group, at_least=14)
    fitted = build(structure, 2, inference=inference, max_iter=5).fit(X, y)
    t = np.linspace(-60, 60, 200_001)
    density = np.exp(fitted.score_samples(t[:, None]))
    assert abs(density.sum() * (t[1] - t[0]) - 1) < 1e-9


@pytest.mark.parametrize("inference", ["ml", "map"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_mixture_answers_the_same(structure, inference):
    X, group = grouped()
    y = partly(group, at_least=14)
    fitted = build(structure, [1, 2, 1], inference=inference, max_iter=5).fit(X, y)
    mixture = fitted.mixture_
    assert type(mixture) is {"ml": GaussianMixture, "map": MAPGaussianMixture}[inference]
    assert mixture.covariance_type == structure and mixture.means_.shape == (4, 2)
    for name in (*PARAMETERS, "precisions_", "precisions_cholesky_"):
        np.testing.assert_array_equal(getattr(mixture, name), getattr(fitted, name))
    asked = holes(X, 0.3)
    np.testing.assert_array_equal(mixture.score_samples(asked), fitted.score_samples(asked))
    R = mixture.predict_proba(asked)
    proba = np.stack([R[:, fitted.components_class_ == c].sum(axis=1) for c in range(3)], axis=1)
    np.testing.assert_allclose(fitted.predict_proba(asked), proba, rtol=1e-12, atol=1e-15)
    filled = fitted.impute(asked)
    np.testing.assert_array_equal(filled, mixture.impute(asked))
    np.testing.assert_array_equal(
        fitted.impute(asked, random_state=3), mixture.impute(asked, random_state=3)
    )
    np.testing.assert_array_equal(filled[~np.isnan(asked)], asked[~np.isnan(asked)])
    known = mixture.conditional([0], [0.3])
    assert known.means_.shape == (4, 1)
    drawn, component = mixture.sample(10)
    assert drawn.shape == (10, 2) and component.max() < 4


def test_frames_name_their_columns():
    pandas = pytest.importorskip("pandas")
    X, group = grouped()
    frame = pandas.DataFrame(X, columns=["length", "width"])
    y = series(none_for(partly(group), LETTERS), "string")
    fitted = build(max_iter=5).fit(frame, y)
    assert fitted.feature_names_in_.tolist() == ["length", "width"]
    assert fitted.mixture_.marginal(["width"]).means_.shape == (3, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict(frame), fitted.score_samples(frame), fitted.impute(frame)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["width", "length"]])


def test_verbose_reports_iterations(caplog):
    X, group = grouped()
    build(verbose=2, verbose_interval=1, max_iter=3).fit(X, partly(group))
    assert "Iteration 3" in caplog.text


def test_score_refuses_labels_of_another_type():
    X, y = load_iris(return_X_y=True)
    fitted = GaussianMixtureClassifier().fit(X, y)
    with pytest.raises(ValueError, match=r"y holds labels such as .*classes are"):
        fitted.score(X, y.astype(str))
    with pytest.raises(ValueError, match="y has no labeled row"):
        fitted.score(X, np.full(len(y), -1))


def test_partial_fit_of_unlabeled_rows_needs_a_weight_for_them():
    X, y = load_iris(return_X_y=True)
    unlabeled = np.full(5, -1)
    fitted = GaussianMixtureClassifier().partial_fit(X, y)
    np.testing.assert_array_equal(fitted.partial_fit(X[:5], unlabeled).transduction_, y[:5])
    fitted.set_params(unlabeled_weight=0.0)
    with pytest.raises(ValueError, match=r"y labels none of its 5 rows and unlabeled_weight=0"):
        fitted.partial_fit(X[:5], unlabeled)


def test_unlabeled_digits_help_ten_labels_per_class():
    """Paired over 20 draws, the defaults: the 95 % t interval of the gain lies above 5 points."""
    X, y = load_digits(return_X_y=True)
    gains = []
    for seed in range(20):
        generator, known = np.random.default_rng(seed), np.full(len(y), -1)
        for c in range(10):
            known[generator.permutation(np.flatnonzero(y == c))[:10]] = c
        fits = [GaussianMixtureClassifier(unlabeled_weight=w).fit(X, known) for w in (0.0, 1.0)]
        without, with_unlabeled = [(fit.transduction_ == y)[known < 0].mean() for fit in fits]
        gains.append(with_unlabeled - without)
    margin = 2.093 * np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert np.mean(gains) - margin > 0.05


def test_objective_of_a_stream_is_the_bound_of_the_labels_that_were_filled_in():
    """sum_l log p(x, y) + sum_u sum_c r (log p(x, c) - log r), r from when the rows came."""
    X, y = load_iris(return_X_y=True)
    partly = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    first, second = np.arange(len(y)) % 2 == 0, np.arange(len(y)) % 2 == 1
    filled = np.empty((len(y), 3))
    fitted, streamed = build(max_iter=200, tol=1e-3), build(max_iter=200, tol=1e-3)
    filled[first] = fitted.fit(X[first], partly[first]).predict_proba(X[first])
    streamed.partial_fit(X[first], partly[first])
    filled[second] = streamed.predict_proba(X[second])
    streamed.partial_fit(X[second], partly[second])
    joint = streamed.predict_joint_log_proba(X)
    known = partly >= 0
    expected = joint[known, partly[known]].sum()
    r = filled[~known]
    with np.errstate(divide="ignore", invalid="ignore"):
        expected += np.where(r > 0.0, r * (joint[~known] - np.log(r)), 0.0).sum()
    np.testing.assert_allclose(streamed.objective_history_[-1], expected, rtol=1e-9)


def test_start_from_few_labeled_rows_is_regular():
    """Three rows do not span four columns; the start has at least its prior's share, Psi / 15.

    Psi = cov(X) / 3^(2 / 4), and 15 = (4 + 2) + 3 rows + 4 + 2 (Fraley and Raftery 2007).
    """
    X, y = load_iris(return_X_y=True)
    few = np.where(np.arange(len(y)) % 50 < 3, y, -1)
    start = GaussianMixtureClassifier(covariance_type="full", max_iter=0).fit(X, few)
    least = np.linalg.eigvalsh(np.cov(X.T)).min() / 3.0**0.5 / 15.0
    assert np.linalg.eigvalsh(start.covariances_).min() >= least
    supervised = GaussianMixtureClassifier(covariance_type="full", unlabeled_weight=0.0)
    assert np.linalg.eigvalsh(supervised.fit(X, few).covariances_).min() < 1e-5

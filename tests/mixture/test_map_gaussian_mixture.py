"""MAPGaussianMixture: the M-step is a maximum, the objective is the log posterior, no collapse."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import log_softmax
from sklearn.datasets import load_iris

from skgen.mixture import GaussianMixture, MAPGaussianMixture
from tests import reference_mixture as reference
from tests.problems import overlapping
from tests.reference_mixture import (
    STRUCTURES,
    Prior,
    default_map_prior,
    dense,
    flat_prior,
    some_prior,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def after(n_iter, prior, k, X, weight=None, **arguments):
    """Fitted for exactly so many iterations."""
    arguments = prior.arguments | {"random_state": 0, "tol": 0.0} | arguments
    return MAPGaussianMixture(k, max_iter=n_iter, **arguments).fit(X, sample_weight=weight)


def params_of(fitted):
    return fitted.weights_, fitted.means_, fitted.covariances_


def assert_params(fitted, params, **tolerance):
    for name, value in zip(("weights_", "means_", "covariances_"), params, strict=True):
        np.testing.assert_allclose(getattr(fitted, name), value, err_msg=name, **tolerance)


def some_weights(n, seed=0):
    return np.random.default_rng(seed).uniform(0.3, 2.5, size=n)


def is_positive_definite(fitted):
    k, d = fitted.means_.shape
    matrices = dense(fitted.covariance_type, fitted.covariances_, k, d)
    return np.isfinite(matrices).all() and np.linalg.eigvalsh(matrices).min() > 0.0


def unpack(flat, structure, k, d):
    """Any vector as weights, means and covariances; logarithms and Cholesky factors inside."""
    logits, flat = np.append(flat[: k - 1], 0.0), flat[k - 1 :]
    means, flat = flat[: k * d].reshape(k, d), flat[k * d :]
    if structure == "diag":
        return log_softmax(logits), means, np.exp(flat.reshape(k, d))
    if structure == "spherical":
        return log_softmax(logits), means, np.exp(flat)
    n = 1 if structure == "tied" else k
    factors = np.zeros((n, d, d))
    rows, columns = np.tril_indices(d)
    factors[:, rows, columns] = flat.reshape(n, -1)
    diagonal = np.arange(d)
    factors[:, diagonal, diagonal] = np.exp(factors[:, diagonal, diagonal])
    covariances = factors @ factors.transpose(0, 2, 1)
    return log_softmax(logits), means, covariances[0] if structure == "tied" else covariances


def n_free(structure, k, d):
    return {
        "full": k * d * (d + 1) // 2,
        "tied": d * (d + 1) // 2,
        "diag": k * d,
        "spherical": k,
    }[structure]


@pytest.mark.parametrize("precision", [0.0, 0.4])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_m_step_maximizes_the_expected_log_posterior(structure, precision):
    """A general optimizer, which knows the densities only, finds the same parameters."""
    X, k, d = overlapping(n=14, d=2, k=2, seed=3), 2, 2
    weight = some_weights(len(X))
    prior = some_prior(structure, d, concentration=2.5, precision=precision)
    before, then = (after(n, prior, k, X, weight) for n in (2, 3))
    r = weight[:, None] * before.predict_proba(X)

    def loss(flat):
        log_weights, means, covariances = unpack(flat, structure, k, d)
        matrices = dense(structure, covariances, k, d)
        logs = [
            stats.multivariate_normal(mean, S).logpdf(X)
            for mean, S in zip(means, matrices, strict=True)
        ]
        expected = (r * (np.stack(logs, axis=1) + log_weights)).sum()
        return -expected - reference.log_prior(prior, np.exp(log_weights), means, covariances)

    start = np.zeros(k - 1 + k * d + n_free(structure, k, d))
    start[k - 1 : k - 1 + k * d] = before.means_.ravel()
    best = optimize.minimize(loss, start, method="BFGS", jac="3-point", options={"gtol": 1e-7})
    log_weights, means, covariances = unpack(best.x, structure, k, d)
    # Slopes of differences are good to some 1e-8, curvatures are of order 1.
    assert_params(then, (np.exp(log_weights), means, covariances), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_iterations_and_objective_equal_the_reference(structure, weighted):
    X, k = overlapping(n=70, d=3, k=3), 3
    weight = some_weights(len(X)) if weighted else None
    prior = some_prior(structure, 3, concentration=1.7)
    for n_iter in (1, 5):
        before, then = (after(n, prior, k, X, weight) for n in (n_iter, n_iter + 1))
        value, params = reference.em_iteration(X, prior, *params_of(before), weight)
        assert_params(then, params, rtol=1e-10, atol=1e-10)
        # The value belongs to the parameters that the iteration started from.
        assert then.objective_history_[n_iter] == pytest.approx(value, rel=1e-10)
        assert then.objective_history_[:n_iter] == before.objective_history_


@pytest.mark.parametrize("structure", STRUCTURES)
def test_bounds_are_the_log_posterior_per_row(structure):
    X = overlapping(n=60, d=2, k=2)
    weight = some_weights(len(X))
    fitted = after(9, some_prior(structure, 2), 2, X, weight)
    assert len(fitted.objective_history_) == fitted.n_iter_ == 9
    np.testing.assert_allclose(
        np.array(fitted.lower_bounds_) * weight.sum(), fitted.objective_history_, rtol=1e-12
    )
    assert fitted.lower_bound_ == fitted.lower_bounds_[-1]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("seed", range(3))
def test_objective_never_falls(structure, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    X = overlapping(n=80, d=d, k=3, seed=seed) * 10.0 ** rng.uniform(-2, 2)
    concentration = 10.0 ** rng.uniform(-0.5, 0.5)
    prior = replace(default_map_prior(X, structure, 5), concentration=concentration)
    history = np.array(after(60, prior, 5, X, some_weights(80, seed)).objective_history_)
    assert np.isfinite(history).all()
    # The law of all objectives: rounding of a sum, 1e-10 of its size.
    assert np.diff(history).min() >= -1e-10 * np.abs(history).max()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_tolerance_is_per_row(structure):
    X = overlapping(n=200, d=2, k=3)
    weight = some_weights(200)
    fitted = MAPGaussianMixture(
        3, covariance_type=structure, tol=1e-4, max_iter=500, random_state=0
    ).fit(X, sample_weight=weight)
    change = np.diff(fitted.objective_history_) / weight.sum()
    assert fitted.converged_
    assert change[-1] < 1e-4 and (change[:-1] >= 1e-4).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_flat_prior_is_maximum_likelihood(structure, weighted):
    X, k = overlapping(n=240, d=3, k=4), 3
    weight = some_weights(240) if weighted else None
    fitted = after(15, flat_prior(structure, 3), k, X, weight)
    peer = GaussianMixture(
        k, covariance_type=structure, reg_covar=0.0, random_state=0, max_iter=15, tol=0.0
    ).fit(X, sample_weight=weight)
    # The same formulas; 15 iterations amplify the last digit.
    assert_params(fitted, params_of(peer), rtol=1e-11, atol=1e-11)
    # Dirichlet(1, 1, 1) is a proper density: (3 - 1)! everywhere.
    total = 240 if weight is None else weight.sum()
    np.testing.assert_allclose(
        fitted.objective_history_,
        np.array(peer.objective_history_) * total + np.log(2.0),
        rtol=1e-11,
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_flat_prior_converges_where_maximum_likelihood_does(structure):
    X = load_iris().data
    arguments = {"covariance_type": structure, "random_state": 0, "max_iter": 1000, "tol": 1e-7}
    arguments["reg_covar"] = 0.0
    fitted = MAPGaussianMixture(2, **flat_prior(structure, 4).arguments | arguments).fit(X)
    peer = GaussianMixture(2, **arguments).fit(X)
    assert fitted.n_iter_ == peer.n_iter_ and fitted.converged_
    assert fitted.score(X) == pytest.approx(peer.score(X), rel=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_defaults_are_those_of_fraley_and_raftery(structure):
    X = load_iris().data
    plain = MAPGaussianMixture(3, covariance_type=structure, random_state=0, max_iter=30).fit(X)
    prior = default_map_prior(X, structure, 3)
    given = MAPGaussianMixture(3, random_state=0, max_iter=30, **prior.arguments).fit(X)
    assert_params(plain, params_of(given), rtol=1e-10)
    np.testing.assert_allclose(plain.objective_history_, given.objective_history_, rtol=1e-10)
    assert plain.reg_covar == 0.0


DEGENERATE = {
    "a point per component": (np.array([[0.0, 0], [3, 1], [9, 4], [1, 8], [7, 7]]), 5),
    "identical rows": (np.ones((12, 3)), 2),
    "a single row": (np.array([[1.0, 2.0, 3.0]]), 1),
    "constant columns": (np.c_[np.ones(20), np.linspace(0, 1, 20) ** 2, np.zeros(20)], 2),
    "fewer rows than features": (np.random.default_rng(0).normal(size=(4, 9)), 2),
    "a far row": (np.r_[np.random.default_rng(0).normal(size=(20, 2)), [[80.0, 80.0]]], 2),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_degenerate_rows_leave_positive_definite_covariances(structure, case):
    X, k = DEGENERATE[case]
    prior = some_prior(structure, X.shape[1], precision=0.01)
    fitted = after(100, prior, k, X, tol=1e-6)
    assert is_positive_definite(fitted)
    assert np.isfinite(fitted.objective_history_).all()
    assert np.isfinite(fitted.score_samples(X)).all()
    assert fitted.weights_.sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_degenerate_rows_under_default_priors(structure, case):
    """The default scale is the data's own; where they have no spread it must be something else."""
    X, k = DEGENERATE[case]
    fitted = MAPGaussianMixture(k, covariance_type=structure, random_state=0).fit(X)
    assert is_positive_definite(fitted)
    history = np.array(fitted.objective_history_)
    assert np.isfinite(history).all()
    assert np.diff(history).min(initial=0.0) >= -1e-10 * np.abs(history).max()


def annihilating_prior(structure):
    """All components nearly alike, so that weights feed on one another: the small ones starve."""
    scale = {"diag": np.full(2, 1e6), "spherical": 1e6}.get(structure, 1e6 * np.eye(2))
    return Prior(structure, 0.2, 1e3, np.zeros(2), 1e6, scale)


def annihilated(structure="full"):
    """More components than 20 rows feed, and what was said about them."""
    X = np.random.default_rng(0).normal(size=(20, 2))
    prior = annihilating_prior(structure)
    mixture = MAPGaussianMixture(4, tol=1e-9, max_iter=500, random_state=0, **prior.arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture.fit(X)
    return X, mixture, " ".join([*(str(w.message) for w in caught), mixture.stop_reason_])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_small_concentration_annihilates_and_says_so(structure):
    X, mixture, said = annihilated(structure)
    dead = mixture.weights_ == 0.0
    assert dead.any() and not dead.all()
    assert mixture.weights_.sum() == pytest.approx(1.0, rel=1e-12)
    history = np.array(mixture.objective_history_)
    assert np.isfinite(history).all()
    assert np.diff(history).min() >= -1e-10 * np.abs(history).max()
    assert re.search(r"annihilat|weight of (zero|0)|weight (zero|0)", said), said
    assert is_positive_definite(mixture)
    assert not dead[mixture.predict(X)].any()
    assert (mixture.predict_proba(X)[:, dead] == 0.0).all()
    assert np.isfinite(mixture.score_samples(X)).all()
    drawn, component = mixture.sample(50)
    assert np.isfinite(drawn).all() and not dead[component].any()
    # They are no parameters of the density.
    k = int((~dead).sum())
    p = n_free(structure, k, 2) + 2 * k + k - 1
    assert mixture.aic(X) == pytest.approx(-2 * mixture.score_samples(X).sum() + 2 * p, rel=1e-11)


def test_weight_of_zero_counts_as_the_smallest_number():
    X, mixture, _ = annihilated()
    prior = annihilating_prior("full")
    again = after(mixture.n_iter_ + 1, prior, 4, X)
    assert (again.weights_ == 0.0).any()
    value, _ = reference.em_iteration(X, prior, *params_of(mixture))
    assert again.objective_history_[mixture.n_iter_] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_criteria_are_those_of_the_likelihood(structure):
    X, k, d = load_iris().data, 3, 4
    weight = some_weights(len(X))
    fitted = MAPGaussianMixture(k, covariance_type=structure, random_state=0).fit(X)
    joint = reference.e_step(X, structure, *params_of(fitted))
    for w in (None, weight):
        total = (np.ones(len(X)) if w is None else w) @ joint.log_norm
        n = len(X) if w is None else w.sum()
        p = n_free(structure, k, d) + k * d + k - 1
        r = joint.responsibilities
        entropy = -(np.ones(len(X)) if w is None else w) @ np.where(
            r > 0, r * np.log(np.maximum(r, 1e-300)), 0.0
        ).sum(axis=1)
        hard = (np.ones(len(X)) if w is None else w) @ np.log(r.max(axis=1))
        assert fitted.score(X, sample_weight=w) == pytest.approx(total / n, rel=1e-11)
        assert fitted.aic(X, sample_weight=w) == pytest.approx(-2 * total + 2 * p, rel=1e-11)
        bic = -2 * total + p * np.log(n)
        assert fitted.bic(X, sample_weight=w) == pytest.approx(bic, rel=1e-11)
        assert fitted.icl(X, sample_weight=w) == pytest.approx(bic + 2 * entropy, rel=1e-10)
        assert fitted.icl(X, sample_weight=w, hard=True) == pytest.approx(bic - 2 * hard, rel=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_weight_is_repetition(structure):
    """Of the default priors too: means and covariances of the columns count copies."""
    X = overlapping(n=90, d=3, k=3)
    weight = np.random.default_rng(0).integers(0, 4, size=90)
    arguments = {"covariance_type": structure, "random_state": 0, "max_iter": 25, "tol": 0.0}
    by_weight = MAPGaussianMixture(3, **arguments).fit(X, sample_weight=weight)
    by_copies = MAPGaussianMixture(3, **arguments).fit(np.repeat(X, weight, axis=0))
    assert_params(by_weight, params_of(by_copies), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        by_weight.objective_history_, by_copies.objective_history_, rtol=1e-10
    )


def test_strong_prior_decides():
    """As the prior grows, means go to its mean and covariances to its mode."""
    X = overlapping(n=60, d=2, k=2)
    m, S = np.array([5.0, -3.0]), np.array([[2.0, 0.6], [0.6, 1.0]])
    nu = 1e10
    fitted = MAPGaussianMixture(
        1,
        mean_prior=m,
        mean_precision_prior=1e10,
        degrees_of_freedom_prior=nu,
        covariance_prior=nu * S,
    ).fit(X)
    # What 60 rows move against 1e10.
    np.testing.assert_allclose(fitted.means_[0], m, rtol=1e-6)
    np.testing.assert_allclose(fitted.covariances_[0], S, rtol=1e-6)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_far_data_give_the_same_model(structure):
    X = np.round(overlapping(n=120, d=2, k=3) * 2**20) / 2**20
    arguments = {"covariance_type": structure, "random_state": 0, "max_iter": 30, "tol": 0.0}
    near = MAPGaussianMixture(2, **arguments).fit(X)
    far = MAPGaussianMixture(2, **arguments).fit(X + 2.0**27)
    # Means are stored with a spacing of 3e-8 out there.
    np.testing.assert_allclose(far.means_ - 2.0**27, near.means_, atol=1e-6)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-6, atol=1e-6)


INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    ("structure", "name", "value"),
    [
        ("full", "weight_concentration_prior", np.nan),
        ("full", "weight_concentration_prior", np.inf),
        ("full", "mean_precision_prior", -1.0),
        ("full", "mean_precision_prior", np.nan),
        ("full", "mean_prior", np.zeros(3)),
        ("full", "mean_prior", [0.0, np.nan]),
        ("diag", "mean_prior", np.zeros((2, 2))),
        ("full", "degrees_of_freedom_prior", np.nan),
        ("full", "degrees_of_freedom_prior", -1000.0),
        ("diag", "degrees_of_freedom_prior", -1000.0),
        ("full", "covariance_prior", np.eye(3)),
        ("full", "covariance_prior", [[1.0, 0.5], [0.0, 1.0]]),
        ("full", "covariance_prior", INDEFINITE),
        ("full", "covariance_prior", [[np.nan, 0.0], [0.0, 1.0]]),
        ("tied", "covariance_prior", INDEFINITE),
        ("tied", "covariance_prior", np.eye(3)),
        ("diag", "covariance_prior", [1.0, -1.0]),
        ("diag", "covariance_prior", np.ones(3)),
        ("diag", "covariance_prior", np.eye(2)),
        ("spherical", "covariance_prior", -1.0),
        ("spherical", "covariance_prior", np.nan),
        ("spherical", "covariance_prior", np.ones(2)),
    ],
)
def test_bad_priors_are_refused_by_name(structure, name, value):
    X = overlapping(n=30, d=2, k=2)
    mixture = MAPGaussianMixture(2, covariance_type=structure, **{name: value})
    with pytest.raises(ValueError, match=name):
        mixture.fit(X)
    assert not hasattr(mixture, "means_")

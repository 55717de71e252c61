"""Logistic fits end where the objective, written down here once more, has its minimum."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from tests.catalogue import PACKAGE, entries, linear_model
from tests.problems import labels, overlapping

logistic = entries(lambda entry: entry.name.startswith("LogisticRegression"))
pytestmark = pytest.mark.skipif(PACKAGE != "skgen", reason="scikit-learn stops earlier")


def objective(coef, intercept, X, y, weight, C=1.0, l1_ratio=0.0, intercept_penalty=0.0):
    """Sum of losses plus penalty / C, over the sum of weights."""
    raw = X @ coef.T + intercept
    if raw.shape[1] == 1:
        raw = np.column_stack([np.zeros(len(raw)), raw])
    loss = -(weight * log_softmax(raw, axis=1)[np.arange(len(y)), y]).sum()

    def penalty(w):
        return 0.5 * (1.0 - l1_ratio) * np.square(w).sum() + l1_ratio * np.abs(w).sum()

    return (loss + (penalty(coef) + penalty(intercept_penalty * intercept)) / C) / weight.sum()


def options(entry):
    """What of the objective the parameters of a configuration say."""
    arguments = entry.prototype.get_params()
    penalized = arguments["solver"] == "liblinear"
    return {
        "C": arguments["C"],
        "l1_ratio": arguments["l1_ratio"],
        "intercept_penalty": 1.0 / arguments["intercept_scaling"] if penalized else 0.0,
    }


def row_weights(entry, y, weight):
    if entry.prototype.class_weight != "balanced":
        return weight
    share = np.bincount(y, weight) / weight.sum()
    return weight / (len(share) * share)[y]


@pytest.mark.parametrize(**logistic)
@pytest.mark.parametrize("seed", range(2))
def test_no_small_step_lowers_the_objective(entry, seed):
    """Central differences: the slope is zero, or between those of the absolute value at zero."""
    X = overlapping(seed=seed)
    y = entry.data(X)["y"]
    weight = np.random.default_rng(seed).uniform(0.2, 2.0, len(X))
    fitted = entry.build().fit(X, y, sample_weight=weight)
    weight = row_weights(entry, y, weight)
    known = options(entry)
    step = 1e-5
    for name in ("coef_", "intercept_") if entry.fits_intercept else ("coef_",):
        values = getattr(fitted, name)
        for where in np.ndindex(values.shape):

            def at(move, name=name, where=where):
                moved = {"coef_": fitted.coef_.copy(), "intercept_": fitted.intercept_.copy()}
                moved[name][where] += move
                return objective(moved["coef_"], moved["intercept_"], X, y, weight, **known)

            here, up, down = at(0.0), at(step), at(-step)
            if values[where] == 0.0:
                assert min(up, down) >= here, (name, where)
            else:
                # The error of a difference is step^2 of a third derivative, and 1e-16 / step.
                assert abs(up - down) / (2 * step) < 1e-9, (name, where)


@pytest.mark.parametrize(**logistic)
def test_last_value_of_the_history_is_the_objective(entry):
    X = overlapping()
    y = entry.data(X)["y"]
    weight = np.random.default_rng(0).uniform(0.2, 2.0, len(X))
    fitted = entry.build().fit(X, y, sample_weight=weight)
    value = objective(
        fitted.coef_, fitted.intercept_, X, y, row_weights(entry, y, weight), **options(entry)
    )
    np.testing.assert_allclose(fitted.objective_history_[-1], value, rtol=1e-12)
    assert fitted.gradient_norm_ <= 1e-10 and abs(fitted.objective_gap_) <= 1e-12


def newton(X, y, k, C, scale):
    """Minimum of the objective by Newton's method in columns divided by `scale`."""
    n, d = X.shape
    Z = np.column_stack([X / scale, np.ones(n)])
    p = d + 1
    # A penalty on w = u / scale; none on intercepts.
    strength = np.append(1.0 / (C * n * scale**2), 0.0)
    targets = np.eye(k)[y]
    u = np.zeros((k, p))

    def value(u):
        losses = -log_softmax(Z @ u.T, axis=1)[np.arange(n), y]
        return losses.mean() + 0.5 * (strength * u**2).sum()

    for _ in range(100):
        proba = softmax(Z @ u.T, axis=1)
        gradient = (proba - targets).T @ Z / n + strength * u
        hessian = np.zeros((k, p, k, p))
        for a in range(k):
            for b in range(k):
                curvature = proba[:, a] * ((a == b) - proba[:, b])
                hessian[a, :, b] = (curvature[:, None] * Z).T @ Z / n
            hessian[a, :, a] += np.diag(strength)
        move = np.linalg.lstsq(hessian.reshape(k * p, k * p), gradient.ravel(), rcond=1e-13)[0]
        length = 1.0
        while value(u - length * move.reshape(k, p)) > value(u) and length > 1e-12:
            length /= 2
        u -= length * move.reshape(k, p)
    return value(u)


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_columns_of_any_scale_converge_without_help(solver, k, container, offset):
    X = overlapping(n=400, d=7)
    y = labels(X, k)
    scale = 10.0 ** np.linspace(-6, 6, 7)
    X = (X + offset) * scale
    # The two classes of a softmax share the squared penalty of one weight vector between them.
    best = newton(X, y, k, 0.5 if k == 2 else 1.0, scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = linear_model.LogisticRegression(solver=solver).fit(container(X), y)
    value = objective(fitted.coef_, fitted.intercept_, X, y, np.ones(len(y)))
    assert fitted.converged_
    assert value <= best * (1 + 1e-6)
    assert value >= best * (1 - 1e-10)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_tight_tolerance_reaches_a_slope_of_1e_10(k, container):
    X = overlapping(n=400, d=7) * 10.0 ** np.linspace(-6, 6, 7)
    y = labels(X / 10.0 ** np.linspace(-6, 6, 7), k)
    fitted = linear_model.LogisticRegression(tol=1e-10).fit(container(X), y)
    assert fitted.converged_ and fitted.gradient_norm_ <= 1e-10


SEPARABLE = {
    "two": lambda X: (X[:, 0] > 0).astype(int),
    "three": lambda X: np.digitize(X[:, 0] + X[:, 1], [-1.0, 1.0]),
}


@pytest.mark.parametrize("classes", SEPARABLE)
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton-cholesky", "saga"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_separable_and_unpenalized_is_said_and_finite(classes, solver, container, dtype):
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(dtype)
    y = SEPARABLE[classes](X)
    # A gap between the classes, which a finite fit of float32 can see.
    score = X[:, 0] if classes == "two" else X[:, 0] + X[:, 1]
    clear = np.min(np.abs(score[:, None] - ([0.0] if classes == "two" else [-1.0, 1.0])), axis=1)
    X, y = X[clear > 0.05], y[clear > 0.05]
    model = linear_model.LogisticRegression(C=np.inf, solver=solver)
    with pytest.warns(ConvergenceWarning, match="separates the classes"):
        model.fit(container(X), y)
    assert model.separable_ and not model.converged_
    assert "separable" in model.stop_reason_
    assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
    np.testing.assert_array_equal(model.predict(X), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        penalized = linear_model.LogisticRegression(C=100.0, solver=solver).fit(container(X), y)
    assert not penalized.separable_ and penalized.converged_


def test_one_row_on_the_wrong_side_is_not_called_separable():
    X = np.random.default_rng(0).normal(size=(200, 4))
    y = (X[:, 0] > 0).astype(int)
    X, y = np.vstack([X, [[-3.0, 0, 0, 0], [3.0, 0, 0, 0]]]), np.append(y, [1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = linear_model.LogisticRegression(C=np.inf).fit(X, y)
    assert model.converged_ and not model.separable_


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tolerance_of_zero_ends_where_rounding_begins(k, container, dtype):
    """Enough rows that a sample of them is solved first."""
    X = overlapping(n=30_000, d=4, dtype=dtype)
    y = labels(X, k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ended = linear_model.LogisticRegression(tol=0.0).fit(container(X), y)
    fitted = linear_model.LogisticRegression(tol=1e-6).fit(container(X), y)
    # float32 gradients are good to some 1e-7.
    close = 1e-9 if dtype == np.float64 else 1e-6
    assert ended.objective_history_[-1] <= fitted.objective_history_[-1] * (1 + close)
    assert ended.n_iter_ <= 100

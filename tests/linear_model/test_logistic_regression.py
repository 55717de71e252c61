"""LogisticRegression: ways to the optimum agree, and what it says of itself is true."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skgen.linear_model import LogisticRegression, SoftmaxRegression
from skgen.linear_model import fitting as fitting_module
from skgen.solvers import sampled as sampled_module


def classes_of(X, k, noise, seed=0):
    rng = np.random.default_rng(seed)
    raw = X @ rng.normal(size=(X.shape[1], k)) + noise * rng.gumbel(size=(len(X), k))
    return raw.argmax(axis=1)


def data(n, d, k, seed=0, noise=2.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.exp(rng.normal(size=d)) + rng.normal(size=d)
    return X, classes_of(X, k, noise, seed)


WAYS = {
    "newton": {"forms_hessian": True},
    "blocks": {"forms_hessian": False, "is_wide": False},
    "diagonal": {"forms_hessian": False, "is_wide": True},
}


def fit_by(way, monkeypatch, X, y, **arguments):
    """A fit that goes the named way whatever its shape."""
    with monkeypatch.context() as patch:
        for name, answer in WAYS[way].items():
            patch.setattr(fitting_module.LinearFit, name, lambda self, answer=answer: answer)
        return LogisticRegression(tol=1e-11, max_iter=2000, **arguments).fit(X, y)


@pytest.mark.parametrize("way", ["blocks", "diagonal"])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_all_ways_lead_to_the_same_optimum(way, k, container, monkeypatch):
    X, y = data(400, 6, k)
    exact = fit_by("newton", monkeypatch, X, y)
    other = fit_by(way, monkeypatch, container(X), y)
    assert exact.converged_ and other.converged_
    np.testing.assert_allclose(other.coef_, exact.coef_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(other.intercept_, exact.intercept_, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [2, 4])
def test_a_sample_first_leads_to_the_same_optimum(k, monkeypatch):
    X, y = data(3000, 5, k)
    exact = LogisticRegression(tol=1e-9).fit(X, y)
    monkeypatch.setattr(sampled_module, "SMALLEST_SAMPLE", 256)
    monkeypatch.setattr(fitting_module.LinearFit, "forms_hessian", lambda self: False)
    sampled = LogisticRegression(tol=1e-9, max_iter=500).fit(X, y)
    assert sampled.converged_
    np.testing.assert_allclose(sampled.coef_, exact.coef_, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.1, 100.0])
def test_a_basis_of_the_rows_changes_nothing(k, fit_intercept, C, monkeypatch):
    X, y = data(30, 80, k)
    inside = LogisticRegression(C=C, tol=1e-9, fit_intercept=fit_intercept).fit(X, y)
    monkeypatch.setattr(fitting_module.LinearFit, "is_flat", lambda self, rows: False)
    outside = LogisticRegression(C=C, tol=1e-9, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(inside.coef_, outside.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(inside.intercept_, outside.intercept_, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("power", [-300, -120, 120, 300])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_units_beyond_all_squares_are_scaled(power, container):
    """With C=inf the optimum moves exactly as 1 / unit."""
    X, y = data(200, 3, 2)
    plain = LogisticRegression(C=np.inf, tol=1e-9).fit(X, y)
    huge = LogisticRegression(C=np.inf, tol=1e-9).fit(container(X * 10.0**power), y)
    np.testing.assert_allclose(huge.coef_ * 10.0**power, plain.coef_, rtol=1e-6)
    np.testing.assert_allclose(huge.intercept_, plain.intercept_, rtol=1e-6)
    assert np.isfinite(huge.predict_proba(X * 10.0**power)).all()


def test_two_classes_of_softmax_at_a_strength_are_the_sigmoid_at_half():
    X, y = data(300, 4, 2)
    softmax = SoftmaxRegression(C=1.0, tol=1e-10).fit(X, y)
    sigmoid = LogisticRegression(C=2.0, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(softmax.coef_[1] - softmax.coef_[0], sigmoid.coef_[0], rtol=1e-7)
    np.testing.assert_allclose(softmax.predict_proba(X), sigmoid.predict_proba(X), rtol=1e-7)


def test_known_answer_of_a_two_by_two_table():
    """With one 0/1 column and no penalty, the weight is the log odds ratio of the table."""
    X = np.repeat([[0.0], [0.0], [1.0], [1.0]], [30, 10, 12, 24], axis=0)
    y = np.repeat([0, 1, 0, 1], [30, 10, 12, 24])
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(X, y)
    assert model.intercept_[0] == pytest.approx(np.log(10 / 30), rel=1e-9)
    assert model.coef_[0, 0] == pytest.approx(np.log(24 / 12 / (10 / 30)), rel=1e-9)
    found = model.inference(X, y)
    # Woolf (1955): the variance of a log odds ratio is the sum of inverse counts.
    assert found.coef_standard_error[0, 0] == pytest.approx(
        np.sqrt(1 / 30 + 1 / 10 + 1 / 12 + 1 / 24), rel=1e-8
    )


def test_warm_start_continues_where_the_last_fit_ended():
    X, y = data(300, 4, 3)
    model = LogisticRegression(warm_start=True, tol=1e-9).fit(X, y)
    assert model.fit(X, y).n_iter_[0] <= 1
    with pytest.raises(ValueError, match=r"warm_start=True .*\(3, 4\).*\(1, 4\)"):
        model.fit(X, y == 0)


def test_what_a_fit_says_of_itself_is_true():
    X, y = data(300, 4, 2)
    model = LogisticRegression().fit(X, y)
    assert model.converged_ and not model.separable_
    assert model.gradient_norm_ <= 1e-4
    assert (np.diff(model.objective_history_) <= 1e-15).all()
    best = LogisticRegression(tol=1e-12).fit(X, y).objective_history_[-1]
    gap = model.objective_history_[-1] - best
    assert -1e-15 <= gap <= 1e-6 * best
    with pytest.warns(ConvergenceWarning, match=r"after 1 iteration.*max_iter=1 reached.*tol"):
        short = LogisticRegression(max_iter=1).fit(X, y)
    assert not short.converged_ and "max_iter" in short.stop_reason_


@pytest.mark.parametrize("k", [2, 3])
def test_separation_is_named_only_without_a_penalty(k):
    X = np.arange(12.0)[:, None]
    y = np.arange(12) * k // 12
    with pytest.warns(ConvergenceWarning, match="separates the classes"):
        model = LogisticRegression(C=np.inf).fit(X, y)
    assert model.separable_ and not model.converged_
    assert np.isfinite(model.coef_).all()
    assert (model.predict(X) == y).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not LogisticRegression(C=1e3).fit(X, y).separable_


def test_an_absolute_penalty_leaves_zeros_exactly_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 30))
    y = (X[:, 0] - X[:, 1] + 0.5 * rng.logistic(size=400) > 0).astype(int)
    model = LogisticRegression(l1_ratio=1.0, C=0.05, solver="auto").fit(X, y)
    used = np.flatnonzero(model.coef_[0])
    assert {0, 1} <= set(used) and len(used) < 15
    assert model.sparsify().coef_.nnz == len(used)
    np.testing.assert_array_equal(model.predict(X), model.densify().predict(X))


@pytest.mark.parametrize("model", [LogisticRegression, SoftmaxRegression])
@pytest.mark.parametrize("k", [2, 3])
def test_separation_with_rows_on_the_plane_is_named_too(model, k):
    """Both classes of one step share its border, so no plane separates them strictly."""
    X = np.repeat(np.arange(2.0 * k), 5)[:, None]
    y = np.repeat(np.arange(2 * k) // 2, 5)
    X[y == 1] -= 1.0
    with pytest.warns(ConvergenceWarning, match="separates"):
        fitted = model(C=np.inf).fit(X, y)
    assert not fitted.converged_
    assert np.isfinite(fitted.coef_).all()


@pytest.mark.parametrize("seed", range(5))
def test_overlapping_classes_are_not_called_separable(seed):
    X, y = data(60, 4, 2, seed=seed, noise=5.0)
    y[:2] = [0, 1]
    X[0] = X[1]
    fitted = LogisticRegression(C=np.inf).fit(X, y)
    assert fitted.converged_ and not fitted.separable_


def test_c_too_small_to_divide_by_gives_the_class_shares():
    X, y = data(60, 3, 2)
    fitted = LogisticRegression(C=5e-324).fit(X, y)
    np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], y.mean(), rtol=1e-9)
    assert np.isfinite(fitted.objective_history_).all()

"""Standard errors, z and p values equal those of statsmodels; refused where there are none."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning

from tests.catalogue import PACKAGE, linear_model
from tests.problems import labels, overlapping

pytestmark = pytest.mark.skipif(PACKAGE != "skgen", reason="scikit-learn has no standard errors")


def binary():
    X, y = load_breast_cancer(return_X_y=True)
    return X[:, [0, 1, 4, 8]], y


def assert_equals(inference, params, errors, z, p_values):
    """Arrays in statsmodels' order: the constant first, a column per outcome."""
    ours = {
        "params": np.column_stack([inference.intercept, inference.coef]),
        "errors": np.column_stack(
            [inference.intercept_standard_error, inference.coef_standard_error]
        ),
        "z": np.column_stack([inference.intercept_z, inference.coef_z]),
        "p": np.column_stack([inference.intercept_p_value, inference.coef_p_value]),
    }
    theirs = {"params": params, "errors": errors, "z": z, "p": p_values}
    for name, value in theirs.items():
        value = np.atleast_2d(np.asarray(value).T)
        np.testing.assert_allclose(ours[name], value, rtol=1e-6, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_binary_standard_errors_are_those_of_statsmodels(container):
    X, y = binary()
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(container(X), y)
    inference = model.inference(container(X), y)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(method="newton", tol=1e-12, disp=0)
    assert_equals(inference, theirs.params, theirs.bse, theirs.tvalues, theirs.pvalues)
    np.testing.assert_allclose(inference.log_likelihood, theirs.llf, rtol=1e-10)
    low, high = inference.interval(0.9)
    np.testing.assert_allclose(
        np.column_stack([low[0], high[0]]), theirs.conf_int(alpha=0.1)[1:], rtol=1e-6
    )


def test_default_tolerance_is_enough_for_standard_errors():
    X, y = binary()
    model = linear_model.LogisticRegression(C=np.inf).fit(X, y)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(method="newton", tol=1e-12, disp=0)
    errors = model.inference(X, y).coef_standard_error[0]
    np.testing.assert_allclose(errors, theirs.bse[1:], rtol=1e-3)


def test_weights_count_as_frequencies_of_statsmodels():
    X, y = binary()
    weight = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(X, y, sample_weight=weight)
    inference = model.inference(X, y, sample_weight=weight)
    family = sm.families.Binomial()
    theirs = sm.GLM(y, sm.add_constant(X), family=family, freq_weights=weight).fit(tol=1e-13)
    assert_equals(inference, theirs.params, theirs.bse, theirs.tvalues, theirs.pvalues)


def test_without_an_intercept_there_is_no_standard_error_of_it():
    X, y = binary()
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10, fit_intercept=False).fit(X, y)
    inference = model.inference(X, y)
    theirs = sm.Logit(y, X).fit(method="newton", tol=1e-12, disp=0)
    np.testing.assert_allclose(inference.coef_standard_error[0], theirs.bse, rtol=1e-6)
    assert np.isnan(inference.intercept_standard_error).all()


def test_contrasts_of_three_classes_are_those_of_statsmodels():
    X = overlapping(n=300, d=3)
    y = labels(X, 3)
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(X, y)
    theirs = sm.MNLogit(y, sm.add_constant(X)).fit(method="newton", tol=1e-12, disp=0)
    inference = model.inference(X, y, reference=0)
    assert_equals(inference, theirs.params, theirs.bse, theirs.tvalues, theirs.pvalues)
    np.testing.assert_array_equal(inference.classes, [1, 2])


def test_units_of_columns_are_units_of_standard_errors():
    X, y = binary()
    scale = np.array([1e-6, 1.0, 1e5, 1e8])
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(X, y)
    other = linear_model.LogisticRegression(C=np.inf, tol=1e-10).fit(X * scale, y)
    ours, moved = model.inference(X, y), other.inference(X * scale, y)
    np.testing.assert_allclose(
        moved.coef_standard_error * scale, ours.coef_standard_error, rtol=1e-6
    )
    np.testing.assert_allclose(moved.coef_z, ours.coef_z, rtol=1e-6)


def test_refusals_say_why():
    X, y = binary()
    absolute = linear_model.LogisticRegression(l1_ratio=1.0, solver="auto").fit(X, y)
    with pytest.raises(ValueError, match="absolute penalty"):
        absolute.inference(X, y)
    split = (X[:, 0] > np.median(X[:, 0])).astype(int)
    with pytest.warns(ConvergenceWarning, match="separates"):
        separated = linear_model.LogisticRegression(C=np.inf).fit(X, split)
    with pytest.raises(ValueError, match="separable"):
        separated.inference(X, split)
    with pytest.warns(ConvergenceWarning):
        unfinished = linear_model.LogisticRegression(C=np.inf, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="did not converge"):
        unfinished.inference(X, y)

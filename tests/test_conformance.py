"""scikit-learn's own checks of an estimator, with no expected failure.

`parametrize_with_checks` yields what third parties are asked to pass; the checks below it are
those that scikit-learn runs on its own classes only.
"""

import warnings
from inspect import signature

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.catalogue import CATALOGUE, entries
from tests.problems import overlapping

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # The checks themselves use old spellings and convert what they pass in.
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
    # They ask for one cluster, and pass arrays to what was fitted on frames.
    pytest.mark.filterwarnings("ignore:algorithm='elkan' doesn't make sense:RuntimeWarning"),
    # They call partial_fit after fit.
    pytest.mark.filterwarnings("ignore:partial_fit begins anew:UserWarning"),
    pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning"),
    pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning"),
    pytest.mark.filterwarnings("ignore:Casting complex values:numpy.exceptions.ComplexWarning"),
]

ESTIMATORS = [entry.prototype for entry in CATALOGUE if entry.checked]
TRANSFORMERS = entries(lambda entry: entry.transforms)


@parametrize_with_checks(ESTIMATORS)
def test_check_of_third_parties(estimator, check):
    check(estimator)


def run(check, entry):
    estimator = entry.build()
    assert next(iter(signature(check).parameters)) == "name"
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize(**entries())
def test_parameter_validation(entry):
    run(estimator_checks.check_param_validation, entry)


@pytest.mark.parametrize(**entries())
def test_dataframe_column_names(entry):
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        run(estimator_checks.check_dataframe_column_names_consistency, entry)
    assert not [w for w in record if "was fitted without feature names" in str(w.message)]


@pytest.mark.parametrize(**TRANSFORMERS)
@pytest.mark.parametrize(
    "check",
    [
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_get_feature_names_out_error",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_set_output_transform_polars",
    ],
)
def test_check_of_transformers(entry, check):
    run(getattr(estimator_checks, check), entry)


@pytest.mark.parametrize(**entries(lambda entry: "copy_x" in entry.prototype.get_params()))
def test_read_only_input_may_be_worked_on_in_place(entry):
    """scikit-learn's check of the same name knows `copy` and `copy_X` only."""
    X = overlapping()
    X.flags.writeable = False
    expected = entry.build().fit(X).cluster_centers_
    np.testing.assert_allclose(
        entry.build(copy_x=False).fit(X).cluster_centers_, expected, rtol=1e-10
    )


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("check", ["check_inplace_ensure_writeable"])
def test_check_of_in_place_estimators(entry, check):
    arguments = entry.prototype.get_params()
    if not {"copy", "copy_X"} & set(arguments):
        assert not hasattr(clone(entry.prototype), "copy")
        return
    run(getattr(estimator_checks, check), entry)


@pytest.mark.parametrize(**entries())
def test_default_constructor_passes_the_checks_of_the_configuration(entry):
    """Defaults are a configuration too."""
    estimator = type(entry.prototype)()
    assert estimator.get_params() == clone(estimator).get_params()
    estimator.fit(**entry.data(overlapping()))

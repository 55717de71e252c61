"""fit, refit, set_params, clone, pickle: an estimator is its parameters and its data."""

import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from tests.catalogue import CATALOGUE, PACKAGE, entries
from tests.children import run
from tests.problems import answers, assert_same_bits, fitted_state, outputs, overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def bits(estimator, X):
    state = {
        name: value
        for name, value in fitted_state(estimator).items()
        if isinstance(value, np.ndarray | float | int | list)
    }
    return {**state, **outputs(estimator, X)}


@pytest.mark.parametrize(**entries())
def test_fit_twice_gives_the_same_bits(entry):
    X = overlapping()
    estimator = entry.build()
    first = bits(estimator.fit(**entry.data(X)), X)
    assert_same_bits(first, bits(estimator.fit(**entry.data(X)), X))


@pytest.mark.parametrize(**entries())
def test_refit_forgets_the_earlier_data(entry):
    X = overlapping(seed=1)
    # Networks do not train on columns of any size.
    size = 1e3 if entry.moves else 3.0
    estimator = entry.build().fit(**entry.data(size * overlapping(seed=2, d=5)))
    assert_same_bits(
        bits(entry.build().fit(**entry.data(X)), X), bits(estimator.fit(**entry.data(X)), X)
    )


@pytest.mark.parametrize(**entries())
def test_fit_ignores_the_global_random_state(entry):
    X = overlapping()
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = bits(entry.build().fit(**entry.data(X)), X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert_same_bits(first, bits(entry.build().fit(**entry.data(X)), X))


@pytest.mark.parametrize(**entries())
def test_failed_fit_leaves_an_unfitted_estimator_usable(entry):
    X = overlapping()
    estimator = entry.build()
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(**entry.data(np.full_like(X, np.nan), like=X))
    with pytest.raises(NotFittedError):
        answers(estimator, X)
    assert_same_bits(
        bits(entry.build().fit(**entry.data(X)), X), bits(estimator.fit(**entry.data(X)), X)
    )


@pytest.mark.parametrize(**entries())
def test_failed_refit_leaves_a_consistent_estimator(entry):
    X = overlapping()
    estimator = entry.build().fit(**entry.data(X))
    before = bits(estimator, X)
    broken = overlapping(d=5)
    broken[3, 3] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        estimator.fit(**entry.data(broken, like=overlapping(d=5)))
    try:
        after = bits(estimator, X)
    except (NotFittedError, ValueError):
        pass  # forgetting the model (or knowing 5 columns only) is consistent too
    else:
        assert_same_bits(before, after)
    assert_same_bits(before, bits(estimator.fit(**entry.data(X)), X))


@pytest.mark.parametrize(**entries())
def test_failed_predict_leaves_the_model(entry):
    X = overlapping()
    estimator = entry.build().fit(**entry.data(X))
    before = bits(estimator, X)
    unreadable = np.full_like(X, np.inf if entry.missing else np.nan)
    for wrong in (X[:, :2], unreadable, X[0]):
        with pytest.raises(ValueError):
            answers(estimator, wrong)
    assert_same_bits(before, bits(estimator, X))


@pytest.mark.parametrize(**entries())
def test_set_params_equals_construction(entry):
    X = overlapping()
    arguments = entry.build().get_params()
    moved = (
        type(entry.prototype)().fit(**entry.data(X)).set_params(**arguments).fit(**entry.data(X))
    )
    built = type(entry.prototype)(**arguments).fit(**entry.data(X))
    assert_same_bits(bits(built, X), bits(moved, X))


@pytest.mark.parametrize(**entries())
def test_fit_leaves_the_parameters(entry):
    X = overlapping()
    estimator = entry.build(**entry.start(X))
    before = {name: id(value) for name, value in estimator.get_params().items()}
    estimator.fit(**entry.data(X))
    assert {name: id(value) for name, value in estimator.get_params().items()} == before


@pytest.mark.parametrize(**entries())
def test_clone_is_unfitted_and_fits_to_the_same_bits(entry):
    X = overlapping()
    fitted = entry.build().fit(**entry.data(X))
    twin = clone(fitted)
    assert not fitted_state(twin)
    assert_same_bits(bits(fitted, X), bits(twin.fit(**entry.data(X)), X))


@pytest.mark.parametrize(
    **entries(lambda entry: hasattr(entry.prototype, "fit_predict") and entry.consistent)
)
def test_fit_predict_equals_fit_then_predict(entry):
    X = overlapping()
    np.testing.assert_array_equal(entry.build().fit_predict(X), entry.build().fit(X).predict(X))


IN_A_NEW_PROCESS = """
import pickle, sys
import warnings
warnings.simplefilter("error")
from sklearn.exceptions import ConvergenceWarning
warnings.simplefilter("ignore", ConvergenceWarning)
from sklearn.base import BaseEstimator, clone
from tests.laws.test_lifecycle import bits

with open(sys.argv[1], "rb") as file:
    X, estimators = pickle.load(file)
said = {
    name: (bits(estimator, X), bits(clone(estimator).fit(**data), X), pickle.dumps(estimator))
    for name, (estimator, data) in estimators.items()
}
with open(sys.argv[2], "wb") as file:
    pickle.dump(said, file)
"""


@pytest.mark.parametrize("protocol", [4, 5])
def test_pickle_and_clone_survive_a_new_process(protocol, tmp_path):
    X = overlapping()
    fitted = {
        entry.name: (entry.build().fit(**entry.data(X)), entry.data(X)) for entry in CATALOGUE
    }
    (tmp_path / "in").write_bytes(pickle.dumps((X, fitted), protocol))
    run(IN_A_NEW_PROCESS, tmp_path / "in", tmp_path / "out")
    answers = pickle.loads((tmp_path / "out").read_bytes())
    for name, (loaded, refitted, returned) in answers.items():
        here = bits(fitted[name][0], X)
        assert_same_bits(here, loaded)
        assert_same_bits(here, refitted)
        assert_same_bits(here, bits(pickle.loads(returned), X))


@pytest.mark.parametrize(**entries())
def test_pickle_holds_plain_data_only(entry):
    """Arrays, numbers and strings: nothing a safe loader would have to trust."""
    fitted = entry.build().fit(**entry.data(overlapping()))
    parts = [value for value in vars(fitted).values() if isinstance(value, BaseEstimator)]
    for estimator in (fitted, *parts):
        for name, value in vars(estimator).items():
            plain = (np.ndarray, np.generic, float, int, str, list, tuple, dict, type(None))
            assert isinstance(value, plain) or value in parts, f"{name} is a {type(value)}"


@pytest.mark.skipif(PACKAGE != "skgen", reason="skgen's own promise")
def test_pickle_of_another_version_is_named():
    fitted = CATALOGUE[0].build().fit(overlapping())
    state = {**fitted.__getstate__(), "_skgen_version": "0.0.1"}
    with pytest.warns(UserWarning, match=r"0\.0\.1"):
        clone(fitted).__setstate__(state)


@pytest.mark.parametrize(**entries(lambda entry: entry.partial_fit))
def test_partial_fit_continues_after_a_pickle(entry):
    X = overlapping()
    through = entry.build().partial_fit(**entry.piece(X[:100]))
    loaded = pickle.loads(pickle.dumps(through))
    assert_same_bits(
        entry.values(through.partial_fit(**entry.piece(X[100:]))),
        entry.values(loaded.partial_fit(**entry.piece(X[100:]))),
    )

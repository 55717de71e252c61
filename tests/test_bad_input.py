"""Hostile inputs end in a finite result or in an error that names the problem. Nothing else.

``TESTED_CASES=10000 pytest tests/test_bad_input.py`` runs a release's number of cases.
"""

import faulthandler
import os
import signal
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from tests import problems
from tests.catalogue import CATALOGUE, entries
from tests.children import run
from tests.hostile import SUPERVISED, hostile_case, names_the_problem
from tests.problems import fitted_state, overlapping

CASES = int(os.environ.get("TESTED_CASES", 300))
CHUNKS = 2
PATIENCE = 20.0

KINDS = {}
for _entry in CATALOGUE:
    KINDS.setdefault(type(_entry.prototype).__name__, []).append(_entry)


class Hang(BaseException):
    """The call took too long."""


@contextmanager
def patience(seconds):
    """Raise Hang after some seconds; end the process if that is not heard."""

    def give_up(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, give_up)
    faulthandler.dump_traceback_later(6 * seconds, exit=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def digest(value):
    if sparse.issparse(value):
        return tuple(digest(getattr(value, part, None)) for part in ("data", "indices", "indptr"))
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return value.tobytes(), value.shape
    return repr(value)


def answers(estimator, case):
    """Fit and ask everything there is to ask; (what, value) of each answer."""
    arguments = {"sample_weight": case.weight} if case.weighted else {}
    labels = (case.y,) if type(estimator).__name__ in SUPERVISED else ()
    estimator.fit(case.X, *labels, **arguments)
    yield from (("attribute " + name, value) for name, value in fitted_state(estimator).items())
    asked = case.X if case.asked is None else case.asked
    names = ("predict", "predict_proba", "transform", "score_samples", "score")
    if labels:
        names = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    for name in names:
        if hasattr(estimator, name):
            yield name, getattr(estimator, name)(asked)


# What is documented to be infinite or NaN: a certificate that was not computed, no margin.
# The same of rows that got no label, and of a machine that minimized nothing of ours.
UNKNOWN = {
    "attribute objective_gap_",
    "attribute gradient_norm_",
    "attribute margin_",
    "attribute confidence_",
    "attribute objective_",
}


# What may be minus infinity, the logarithm of 0.
LOGARITHMS = (
    "score_samples",
    "score",
    "attribute inertia_",
    "predict_log_proba",
    "attribute held_out_scores_",
)


def is_finite(what, value):
    array = np.asarray(value)
    if array.dtype.kind not in "fc" or what in UNKNOWN:
        return True
    if what.startswith("attribute cv_results_."):
        return True  # NaN where a fit failed; what the best one has is judged for itself
    if what in LOGARITHMS:
        # The log density of a row 1e160 away is below the smallest double.
        return not np.isnan(array).any() and not (array == np.inf).any()
    return bool(np.isfinite(array).all())


def judge(entry, case):
    """("good" | "vague" | "bad", why)."""
    before = [digest(case.X), digest(case.y), digest(case.weight), digest(case.asked)]
    start = time.perf_counter()
    outcome, why = "good", "finite"
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        try:
            with patience(PATIENCE):
                estimator = entry.build(**case.arguments)
                for what, value in answers(estimator, case):
                    if what == "attribute lower_bound_" and estimator.max_iter == 0:
                        continue  # -inf: no iteration, no bound, as in scikit-learn
                    if not is_finite(what, value):
                        outcome, why = "bad", f"{what} is not finite"
                        break
        except (ValueError, TypeError, NotFittedError) as error:
            why = f"{type(error).__name__}: {error}"
            if not isinstance(error, np.linalg.LinAlgError):
                outcome = "good" if names_the_problem(str(error), case.words) else "vague"
            else:
                outcome = "bad"
        except Hang:
            outcome, why = "bad", f"still running after {time.perf_counter() - start:.1f} s"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome, why = "bad", f"{type(error).__name__}: {error}"
    foreign = [str(w.message) for w in record if issubclass(w.category, RuntimeWarning)]
    said = (
        "Explicit initial center position",
        "algorithm='elkan' doesn't make sense",
        "init_size=",
    )
    foreign = [text for text in foreign if not text.startswith(said)]
    if why == "finite" and foreign:
        outcome, why = "bad", f"warns of its own arithmetic: {foreign[0]}"
    if [digest(case.X), digest(case.y), digest(case.weight), digest(case.asked)] != before:
        outcome, why = "bad", "changed its input"
    return outcome, why


def judge_all(kind, seeds):
    """Print a line before each case, and one for each that did not end well."""
    for seed in seeds:
        case = hostile_case(kind, seed)
        choice = KINDS[kind]
        entry = choice[np.random.default_rng(seed).integers(len(choice))]
        told = f"case {seed} of {entry.name}, {' '.join(', '.join(case.story).split())}"
        print(f"now {told}", flush=True)
        outcome, why = judge(entry, case)
        if outcome != "good":
            print(f"{outcome}: {told}: {why[:300]!r}", flush=True)


JUDGE = """
from tests.test_bad_input import CASES, CHUNKS, judge_all
judge_all(sys.argv[1], range(int(sys.argv[2]), CASES, CHUNKS))
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_hostile_input_gives_a_finite_result_or_a_clear_refusal(kind, chunk):
    """In a child process, which may crash without taking the other tests along."""
    child = run(JUDGE, kind, chunk, check=False, timeout=120 + CASES)
    lines = child.stdout.splitlines()
    trouble = [line for line in lines if not line.startswith("now ")]
    if child.returncode:
        last = next((line for line in reversed(lines) if line.startswith("now ")), "start")
        trouble.append(f"bad: the process died with {child.returncode} in {last}: {child.stderr}")
    assert len([line for line in lines if line.startswith("now ")]) >= CASES // CHUNKS or trouble
    assert not trouble, "\n".join(["", *trouble])


def test_judge_condemns_what_it_should():
    """A judge that never says bad would prove nothing."""

    class Careless:
        def __init__(self, act):
            self.act = act

        def build(self, **_):
            return self

        def fit(self, X):
            return self.act(self, X)

    def answer(self, X):
        self.center_ = np.array([np.nan])

    def crash(self, X):
        raise np.linalg.LinAlgError("singular")

    def mumble(self, X):
        raise ValueError("something went wrong")

    def spoil(self, X):
        X[0] = 0

    def loop(self, X):
        raise Hang

    case = hostile_case("KMeans", 1)
    case.X, case.weighted, case.words = np.ones((3, 2)), False, {"NaN"}
    for act, verdict in (
        (answer, "bad"),
        (crash, "bad"),
        (mumble, "vague"),
        (loop, "bad"),
        (spoil, "bad"),
    ):
        assert judge(Careless(act), case)[0] == verdict, act


X = overlapping(n=30)

SINGLE = {
    "X of NaN": ({"X": np.full((9, 2), np.nan)}, "NaN"),
    "X with infinity": ({"X": np.array([[1.0], [np.inf]] * 5)}, "infinity"),
    "X without rows": ({"X": X[:0]}, "0 sample"),
    "X without columns": ({"X": X[:, :0]}, "0 feature"),
    "X of one dimension": ({"X": X[:, 0]}, "2D|1D"),
    "X of text": ({"X": np.full((9, 2), "a")}, "string|numeric|float"),
    "X complex": ({"X": X + 1j}, "[Cc]omplex"),
    "X too short": ({"X": X[:3]}, "n_samples"),
    "weight negative": ({"sample_weight": -np.ones(30)}, "sample_weight|[Nn]egative"),
    "weight NaN": ({"sample_weight": np.full(30, np.nan)}, "sample_weight"),
    "weight infinite": ({"sample_weight": np.full(30, np.inf)}, "sample_weight"),
    "weight zero": ({"sample_weight": np.zeros(30)}, "[Ss]ample.weight"),
    "weight short": ({"sample_weight": np.ones(29)}, "sample_weight"),
    "weight of two dimensions": ({"sample_weight": np.ones((30, 2))}, "[Ss]ample.weight"),
    "weight overflowing": ({"sample_weight": np.full(30, 1e308)}, "sample_weight"),
}


LABELS = {
    "y missing": ({"y": None}, "requires y"),
    "y of one class": ({"y": np.ones(30)}, "class"),
    "y of NaN": ({"y": np.full(30, np.nan)}, "y contains NaN|y labels none"),
    "y with infinity": ({"y": np.r_[np.inf, np.ones(29)]}, "y contains infinity"),
    "y continuous": ({"y": np.linspace(0, 1, 30)}, "[Uu]nknown label type|continuous"),
    "y of mixed kinds": ({"y": np.array([1, "a"] * 15, dtype=object)}, "label|y "),
    "y of two dimensions": ({"y": np.ones((30, 2))}, r"y should be a 1d array"),
    "y short": ({"y": np.arange(29) % 2}, r"inconsistent.*30.*29"),
    "y empty": ({"y": np.array([])}, r"inconsistent.*30.*0|y"),
    "y a word": ({"y": "yes"}, "[Ss]ingleton|y "),
}
# Refused by classifiers alone, and by those alone that know no several labels per row and take no
# single class.
OF_CLASSIFIERS = {"y continuous", "y of mixed kinds"}
OF_STRICT_CLASSIFIERS = {"y of one class", "y of two dimensions"}
SINGLE_OF_SUPERVISED = {name: case for name, case in SINGLE.items() if name != "X too short"}


@pytest.mark.parametrize(**entries(lambda entry: entry.n_groups > 1))
@pytest.mark.parametrize("what", SINGLE)
def test_refusal_names_the_argument(entry, what):
    given, pattern = SINGLE[what]
    if "sample_weight" in given and not entry.weighted:
        pytest.skip("takes no weights")
    with pytest.raises((ValueError, TypeError), match=pattern):
        entry.build().fit(**{"X": X, **given})


@pytest.mark.parametrize(**entries(lambda entry: entry.supervised))
@pytest.mark.parametrize("what", SINGLE_OF_SUPERVISED | LABELS)
def test_refusal_of_a_classifier_names_the_argument(entry, what):
    given, pattern = (SINGLE_OF_SUPERVISED | LABELS)[what]
    if what in OF_CLASSIFIERS and not entry.classifies:
        pytest.skip("no classifier")
    if what in OF_STRICT_CLASSIFIERS and not (entry.classifies and entry.moves):
        pytest.skip("takes such labels")
    y = entry.data(X)["y"][: len(given.get("X", X))]
    with pytest.raises((ValueError, TypeError), match=pattern):
        entry.build().fit(**{"X": X, "y": y, **given})


@pytest.mark.parametrize(**entries())
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_predict_refuses_another_number_of_columns(entry):
    fitted = entry.build().fit(**entry.data(X))
    with pytest.raises(ValueError, match=r"2 features.*3 features"):
        problems.answers(fitted, X[:, :2])


@pytest.mark.parametrize(**entries())
def test_unfitted_estimators_say_so(entry):
    methods = ("predict", "transform", "predict_proba", "predict_log_proba", "score_samples")
    for method in (*methods, "decision_function"):
        if hasattr(entry.prototype, method):
            with pytest.raises(NotFittedError, match=type(entry.prototype).__name__):
                getattr(entry.build(), method)(X)
    if not hasattr(entry.prototype, "score"):
        return
    with pytest.raises(NotFittedError, match=type(entry.prototype).__name__):
        entry.build().score(*entry.data(X).values())


@pytest.mark.parametrize(**entries(lambda entry: entry.name.startswith("GaussianMixture-")))
def test_degenerate_component_is_named_with_a_remedy(entry):
    flat = np.repeat(np.arange(4.0), 5)[:, None] * np.ones(3)
    with pytest.raises(ValueError, match="component") as caught:
        entry.build(reg_covar=0.0, random_state=1, n_init=1).fit(flat)
    assert "reg_covar" in str(caught.value)
    assert not isinstance(caught.value, np.linalg.LinAlgError)


@pytest.mark.parametrize(**entries())
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_constant_and_duplicated_rows_give_a_finite_model(entry):
    constant = np.full((30, 3), 1.0 if entry.moderate else 1e6)
    for rows in (np.zeros((30, 3)), constant, np.repeat(X[:2], 15, axis=0)):
        fitted = entry.build().fit(**entry.data(rows, like=X))
        for name, value in entry.values(fitted).items():
            assert np.isfinite(value).all(), name
        answer = fitted.decision_function if entry.classifies else None
        found = problems.answers(fitted, rows) if answer is None else answer(rows)
        assert np.isfinite(found).all()

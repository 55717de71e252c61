"""The door: the one module that knows scikit-learn.

Every estimator enters its data here, once: `admit` validates X and the weights and returns
`Rows`. What scikit-learn offers in private modules (parameter constraints, the fit context) and
only in newer versions (callbacks) is wrapped here, so that a change there is a change of one file.
"""

import logging
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from math import isfinite
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    DensityMixin,
    MultiOutputMixin,
    OutlierMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_params,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_is_fitted,
    check_memory,
    column_or_1d,
    validate_data,
)

from skgen import __version__
from skgen.labels import encode_labels, find_missing
from skgen.rows import Rows, cells_per_row, one_blas_thread, thread_count

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.8

    class CallbackSupportMixin:
        """Stands where scikit-learn has no callbacks yet."""


__all__ = [
    "CallbackSupportMixin",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "ClusterMixin",
    "ConvergenceWarning",
    "DensityMixin",
    "Estimator",
    "FitTask",
    "HasMethods",
    "Hidden",
    "Interval",
    "MultiOutputMixin",
    "NotFittedError",
    "Options",
    "OutlierMixin",
    "RealNotInt",
    "RegressorMixin",
    "StrOptions",
    "TransformerMixin",
    "admit",
    "admit_labeled",
    "admit_new",
    "admit_partly_labeled",
    "admit_targets",
    "announce",
    "as_numbers",
    "available_if",
    "check_array",
    "check_consistent_length",
    "check_is_fitted",
    "check_memory",
    "check_partial_labels",
    "check_random_state",
    "check_weight",
    "class_factors",
    "clone",
    "collected_warnings",
    "fit_context",
    "metrics",
    "one_blas_thread",
    "random_streams",
    "require_finite",
    "require_metric",
    "split_folds",
    "split_stratified",
    "thread_count",
    "type_of_target",
    "validate_params",
    "warn_convergence",
]

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
# Sums of smaller weights have inverses that overflow.
SMALLEST_WEIGHT = 1e-290

logger = logging.getLogger("skgen")
logger.addHandler(logging.NullHandler())


class Estimator(CallbackSupportMixin, BaseEstimator):
    """What all skgen estimators share: tags, links of their HTML page, a version in pickles."""

    _doc_link_module = "skgen"
    _doc_link_template = "https://skgen.readthedocs.io/en/stable/api/{estimator_module}.html"

    def _doc_link_url_param_generator(self):
        module = ".".join(type(self).__module__.split(".")[:2])
        return {"estimator_module": module, "estimator_name": type(self).__name__}

    def __getstate__(self):
        return {**super().__getstate__(), "_skgen_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        written = state.pop("_skgen_version", __version__)
        if written != __version__:
            warnings.warn(
                f"{type(self).__name__} was pickled by skgen {written} and is loaded by skgen"
                f" {__version__}; refit it if results look wrong",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags and setattr(
            tags.transformer_tags, "preserves_dtype", ["float64", "float32"]
        )
        return tags


def fit_context(method):
    """Validate the parameters, then run `method`; callbacks are torn down whatever happens."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def admit(
    estimator,
    X,
    sample_weight=None,
    *,
    reset,
    n_threads=1,
    row_work=None,
    accept_sparse=False,
    min_rows=1,
    check_finite=True,
    labels=None,
):
    """Validate X and its weights once and return them as `Rows`.

    C-ordered float32 and float64 arrays, memory maps included, are not copied. With
    ``check_finite=False`` the caller looks for NaN and infinities while it reads the rows anyway
    and calls `require_finite`. `row_work` gives the operations spent on a row of d cells, of CSR
    those that are stored. ``labels=()`` says that the caller sees to y.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn words them, naming X or sample_weight.
    """
    X = _validated(estimator, X, None, reset, accept_sparse, min_rows, check_finite, labels)
    weight = None if sample_weight is None else check_weight(sample_weight, X)
    work = 0.0 if row_work is None else row_work(cells_per_row(X))
    return Rows(X, weight, n_threads=n_threads, row_work=work)


def admit_labeled(
    estimator,
    X,
    y,
    sample_weight=None,
    *,
    reset=True,
    classes=None,
    class_weight=None,
    n_threads=1,
    row_work=None,
    accept_sparse=False,
    check_finite=True,
):
    """Validate X, its labels and weights once; return `Rows` and the sorted classes.

    ``rows.target`` holds the class number of every row (int32), ``rows.weight`` the product of
    sample and class weights. Given `classes` (sorted) must contain all labels of y. `row_work`
    and `check_finite` as in `admit`.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn words them, naming X, y, sample_weight or class_weight.
    """
    X, y = _validated(estimator, X, y, reset, accept_sparse, 1, check_finite)
    # Integers and booleans are classes whatever they are; looking at them takes a sort.
    if y.dtype.kind not in "iub":
        check_classification_targets(y)
    found, codes = encode_labels(y)
    if classes is not None:
        codes = _codes_among(classes, found, codes)
        found = classes
    weight = None if sample_weight is None else check_weight(sample_weight, X)
    if class_weight is not None:
        per_class = class_factors(class_weight, found, y, weight)
        weight = per_class[codes] if weight is None else weight * per_class[codes]
        weight = check_weight(weight, X)
    work = 0.0 if row_work is None else row_work(X.shape[1])
    return Rows(X, weight, codes, n_threads=n_threads, row_work=work), found


def admit_targets(
    estimator,
    X,
    y,
    sample_weight=None,
    *,
    reset=True,
    n_threads=1,
    accept_sparse=False,
    allow_nan=False,
):
    """Validate X, numbers to predict and weights once; return `Rows` and the number of y's axes.

    ``rows.target`` is (n, m), in the dtype of X; m = 1 for y of shape (n,). With `allow_nan` NaN
    in y marks what is not known.

    Raises
    ------
    ValueError, TypeError
        Naming X, y or sample_weight.
    """
    if y is None:
        # scikit-learn's message for a missing y.
        _validated(estimator, X, None, True, False, 1, False)
    X = _validated(estimator, X, None, reset, accept_sparse, 1, True, labels=())
    target, n_axes = as_numbers(y, X.dtype, allow_nan)
    check_consistent_length(X, target)
    weight = None if sample_weight is None else check_weight(sample_weight, X)
    return Rows(X, weight, target, n_threads=n_threads), n_axes


def as_numbers(y, dtype, allow_nan=False):
    """y as a finite array (n, m) of `dtype`, and the number of axes that it had."""
    try:
        y = check_array(
            y,
            accept_sparse="csr",
            ensure_2d=False,
            dtype="numeric",
            ensure_all_finite="allow-nan" if allow_nan else True,
            input_name="y",
        )
    except ValueError as error:
        if "convert" not in str(error):
            raise
        raise ValueError(f"y must hold numbers: {error}") from error
    if sparse.issparse(y):
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    with np.errstate(over="ignore"):
        target = np.ascontiguousarray(y.reshape(len(y), -1), dtype=dtype)
    if np.isinf(target).any():
        raise ValueError(
            f"Input y contains values beyond the range of {np.dtype(dtype).name}; scale y, or"
            f" give X"
            " as float64"
        )
    return target, y.ndim


def admit_partly_labeled(
    estimator,
    X,
    y,
    sample_weight=None,
    *,
    reset=True,
    classes=None,
    n_threads=1,
    row_work=None,
    check_finite=True,
    accept_sparse=False,
    signed=True,
):
    """Validate X, labels of some of its rows, and weights; return `Rows`, classes and codes.

    Codes (n,) int32 are class numbers, -1 where a row has no label (see `check_partial_labels`).
    `row_work(d, n_classes)` gives the operations spent on a row; the rest as in `admit_labeled`.

    Raises
    ------
    ValueError, TypeError
        Naming X, y, sample_weight or classes.
    """
    if y is None:
        # scikit-learn's message for a missing y.
        _validated(estimator, X, None, True, accept_sparse, 1, False)
    X = _validated(estimator, X, None, reset, accept_sparse, 1, check_finite, labels=())
    labels, unlabeled = check_partial_labels(y, classes, signed)
    check_consistent_length(X, labels)
    if unlabeled.all() and classes is None:
        raise ValueError(
            f"y labels none of its {len(labels)} rows; at least one row of every class needs a"
            " label (-1, NaN, None and pandas.NA mark rows without one)"
        )
    found, known = encode_labels(labels[~unlabeled])
    if classes is not None:
        known = _codes_among(classes, found, known)
        found = classes
    codes = np.full(len(labels), -1, dtype=np.int32)
    codes[~unlabeled] = known
    weight = None if sample_weight is None else check_weight(sample_weight, X)
    work = 0.0 if row_work is None else row_work(X.shape[1], len(found))
    return Rows(X, weight, n_threads=n_threads, row_work=work), found, codes


def check_partial_labels(y, classes=None, signed=True):
    """Labels of some rows as an array (n,), and the mask of the rows that have none.

    Rows without a label are -1 among integers, NaN among floats, and None, NaN, pandas.NA or the
    integer -1 among objects and strings. Integers that are stored as objects are integers. Where
    `classes` hold -1 it is a class, and so it is, with a warning, where all integers are -1 or 1,
    unless not `signed`.
    """
    if not isinstance(getattr(y, "dtype", np.dtype(object)), np.dtype):
        # Columns with a dtype of their own, whose integers would become floats; where one is
        # missing, to_list alone keeps them.
        y = np.asarray(y.to_list() if hasattr(y, "to_list") else y, dtype=object)
    y = column_or_1d(y, warn=True)
    unlabeled = find_missing(y)
    if y.dtype.kind == "O" and not unlabeled.all():
        known = y[~unlabeled]
        texts = np.fromiter((isinstance(label, str) for label in known), bool, len(known))
        if texts.any() and not texts.all():
            marks = np.fromiter((is_minus_one(label) for label in known), bool, len(known))
            if not (texts | marks).all():
                raise ValueError(
                    f"y mixes strings with {type(known[~(texts | marks)][0]).__name__} labels; all"
                    " classes must be of one type (None, NaN, pandas.NA and -1 mark rows without a"
                    " label)"
                )
            unlabeled[~unlabeled] = marks
        elif not texts.any():
            known = np.asarray(known.tolist())
            y = np.zeros(len(y), dtype=known.dtype)
            y[~unlabeled] = known
    if y.dtype.kind == "i" and not (signed and minus_one_is_a_class(y[~unlabeled], classes)):
        unlabeled = unlabeled | (y == -1)
    # Integers and booleans are classes whatever they are; looking at them takes a sort.
    if y.dtype.kind not in "iub" and not unlabeled.all():
        if y.dtype.kind == "f" and np.isinf(y).any():
            raise ValueError("Input y contains infinity; classes must be finite, NaN is no label")
        check_classification_targets(y[~unlabeled])
    return y, unlabeled


def is_minus_one(label):
    return isinstance(label, Integral) and not isinstance(label, bool) and label == -1


def minus_one_is_a_class(labels, classes):
    """Whether -1 is a class of integer labels: of `classes`, or the other one beside 1."""
    if classes is not None:
        return classes.dtype.kind == "i" and -1 in classes
    others = labels[labels != -1]
    if len(others) in (0, len(labels)) or (others != 1).any():
        return False
    warnings.warn(
        "y holds -1 and 1 only, which are taken for two classes; among other classes -1 marks rows"
        " without a label (None and NaN always do)",
        UserWarning,
        stacklevel=8,
    )
    return True


def class_factors(class_weight, classes, y, weight=None):
    """The factor of each class, float64: finite, none negative, not all zero.

    A class without weight gets 0 from "balanced".
    """
    with np.errstate(divide="ignore"):
        factors = compute_class_weight(class_weight, classes=classes, y=y, sample_weight=weight)
    factors = np.asarray(factors, dtype=np.float64)
    if isinstance(class_weight, str):
        factors[np.isinf(factors)] = 0.0
    if not (np.isfinite(factors).all() and (factors >= 0.0).all() and factors.any()):
        raise ValueError(
            f"class_weight={class_weight!r} gives the classes {classes.tolist()[:10]} the factors"
            f" {factors.tolist()[:10]}; they must be finite, none negative and not all zero"
        )
    return factors


def _codes_among(classes, found, codes):
    """The codes with respect to `classes`, which must contain all `found`."""
    unknown = np.setdiff1d(found, classes)
    if len(unknown):
        raise ValueError(
            f"`y` has classes not in `classes`: y holds {unknown[:5].tolist()}, classes are"
            f" {np.asarray(classes)[:10].tolist()}"
        )
    return np.searchsorted(classes, found).astype(np.int32)[codes]


def split_stratified(labels, share, random_state):
    """Positions of the rows to train on and of a `share` to hold out, drawn class by class."""
    # Fifty milliseconds that only early stopping needs.
    from sklearn.model_selection import StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit(test_size=share, random_state=random_state)
    return next(splitter.split(np.zeros((len(labels), 1)), labels))


def metrics():
    """scikit-learn's module of distances between rows; 30 ms that few fits need."""
    from sklearn.metrics import pairwise

    return pairwise


def require_metric(name):
    """Raise where scikit-learn has no metric of that name."""
    known = set(metrics()._VALID_METRICS)
    if name not in known:
        raise ValueError(
            f"metric={name!r} must be a function of two rows, 'precomputed', or one of"
            f" {sorted(known)}"
        )


def split_folds(cv, X, y, random_state):
    """Pairs of positions to train on and to hold out, as scikit-learn reads `cv`.

    A number of folds deals shuffled rows: data sorted by group would otherwise lose a group.
    """
    # As above.
    from sklearn.model_selection import KFold, check_cv

    if cv is None or isinstance(cv, Integral):
        splitter = KFold(5 if cv is None else cv, shuffle=True, random_state=random_state)
    else:
        splitter = check_cv(cv, y)
    return splitter.split(X, y)


def admit_new(estimator, X, accept_sparse=False):
    """Rows to predict on, validated: an array (as it is where nothing is wrong) or CSR."""
    if (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in FLOATS
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and len(X)
        and X.flags.c_contiguous
        and not hasattr(estimator, "feature_names_in_")
    ):
        # A sum is finite only if all its terms are; otherwise the full check decides.
        with np.errstate(all="ignore"):
            total = np.add.reduce(X, axis=None)
        if isfinite(total):
            return X
    check_is_fitted(estimator)
    return _validated(estimator, X, None, False, accept_sparse, 1, True)


def _validated(estimator, X, y, reset, accept_sparse, min_rows, check_finite, labels=None):
    """X, or X and y where y is not None or required, through scikit-learn's validation.

    With ``labels=()`` X alone, whatever the estimator requires.
    """
    is_sparse = sparse.issparse(X)
    if is_sparse:
        require_sound(X)
    if labels is None:
        labels = () if y is None and not (reset and is_supervised(estimator)) else (y,)
    checked = validate_data(
        estimator,
        X,
        *labels,
        reset=reset,
        accept_sparse="csr" if accept_sparse else False,
        dtype=[np.float64, np.float32],
        order="C",
        ensure_all_finite=check_finite or is_sparse,
        ensure_min_samples=min_rows,
    )
    X, *labels = checked if labels else (checked,)
    if is_sparse and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return (X, *labels) if labels else X


def is_supervised(estimator):
    """Whether `fit` needs y."""
    return estimator.__sklearn_tags__().target_tags.required


def check_weight(sample_weight, X):
    """The weights as float64 (n,): finite, none negative, not all zero."""
    if hasattr(sample_weight, "__len__") and len(sample_weight) == 0:
        raise ValueError(f"sample_weight is empty, but X has {X.shape[0]} rows; give one each")
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    with np.errstate(over="ignore"):
        if not np.isfinite(weight.sum()):
            raise ValueError(
                f"sample_weight sums to infinity (largest weight {weight.max():g}); divide the"
                " weights by a constant"
            )
    if weight.max() < SMALLEST_WEIGHT:
        raise ValueError(
            f"sample_weight is too small to divide by (largest weight {weight.max():g}); multiply"
            " the weights by a constant"
        )
    return np.ascontiguousarray(weight)


def require_sound(X):
    """Raise where the index arrays of a CSR or CSC matrix X point outside of it."""
    if X.format not in ("csr", "csc"):
        return
    n_major, n_minor = X.shape if X.format == "csr" else X.shape[::-1]
    pointers, indices = X.indptr, X.indices
    sound = (
        len(pointers) == n_major + 1
        and pointers[0] == 0
        and pointers[-1] <= min(len(indices), len(X.data))
        and (np.diff(pointers) >= 0).all()
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < n_minor))
    )
    if not sound:
        raise ValueError(
            f"X is a broken {X.format.upper()} matrix: its indptr or indices point outside its"
            f" shape {X.shape} or its {len(X.data)} stored values; rebuild it"
        )


def require_finite(estimator, X, finite=False, allow_nan=False):
    """Raise scikit-learn's message for NaN or infinity in X unless `finite`."""
    if not finite:
        assert_all_finite(
            X.data if sparse.issparse(X) else X,
            allow_nan=allow_nan,
            estimator_name=type(estimator).__name__,
            input_name="X",
        )


def random_streams(random_state, n_starts):
    """A RandomState per start, so that starts may run in any order.

    The first is `random_state` itself: more starts contain fewer.
    """
    streams = [check_random_state(random_state)]
    if n_starts > 1:
        seeds = deepcopy(streams[0]).randint(np.iinfo(np.int32).max, size=n_starts - 1)
        streams += [np.random.RandomState(seed) for seed in seeds]
    return streams


# Where `warn_convergence` puts its messages, None for Python's warnings. One per thread, which
# the filters of `warnings` are not.
_collected = ContextVar("_collected", default=None)


@contextmanager
def collected_warnings():
    """The list of messages that `warn_convergence` gets in this thread, in place of warnings."""
    messages = []
    token = _collected.set(messages)
    try:
        yield messages
    finally:
        _collected.reset(token)


def warn_convergence(message, stacklevel=4):
    """Issue a ConvergenceWarning from the caller of `fit`, so many calls up."""
    messages = _collected.get()
    if messages is None:
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel)
    else:
        messages.append(message)


def frames_inside():
    """The `stacklevel` with which the caller's warning points at the code that called skgen."""
    frame, level = sys._getframe(1), 1
    inside = ("skgen.", "sklearn.")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(inside):
        frame, level = frame.f_back, level + 1
    return level


class StandardOutput(logging.Handler):
    """Prints to whatever sys.stdout is at the time, as `verbose` users expect."""

    def emit(self, record):
        sys.stdout.write(self.format(record) + "\n")


def announce(message, *arguments):
    """Log progress that `verbose` asked for; shown on stdout unless logging is set up."""
    handlers = [h for h in logger.handlers if not isinstance(h, logging.NullHandler)]
    if not handlers and not logging.getLogger().handlers:
        logger.addHandler(StandardOutput())
        handlers = [logger.handlers[-1]]
    if logger.level == logging.NOTSET and logging.getLogger().level > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.info(message, *arguments)


class FitTask:
    """One fit as scikit-learn's callbacks see it: restarts, and in them iterations.

    Costs nothing when the estimator has no callbacks and is not inside a meta-estimator that
    has some.
    """

    def __init__(
        self,
        estimator,
        X,
        y=None,
        sample_weight=None,
        *,
        n_restarts=1,
        max_iter=None,
        sequential=True,
    ):
        self.estimator = estimator
        self.data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        if sample_weight is None:
            self.data["metadata"] = None
        self.n_restarts, self.max_iter, self.sequential = n_restarts, max_iter, sequential
        self.watched = hasattr(estimator, "_init_callback_context") and (
            hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx")
        )
        self.context = None
        if self.watched:
            self.context = estimator._init_callback_context(
                max_subtasks=n_restarts if n_restarts > 1 else max_iter,
                sequential_subtasks=sequential or n_restarts == 1,
            )
            self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    @contextmanager
    def restart(self, number=0):
        """Run `number`: yields an object with begin() and end(attributes) per iteration."""
        if not self.watched:
            yield UNWATCHED
            return
        if self.n_restarts == 1:
            yield RunTask(self, self.context)
            return
        context = self.context.subcontext(
            task_name="restart",
            task_id=None if self.sequential else number,
            max_subtasks=self.max_iter,
        )
        context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        run = RunTask(self, context)
        yield run
        context.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=run.attributes
        )

    @contextmanager
    def fit_of(self, estimator, number):
        """Fit number `number` of those that make up this one, of another estimator."""
        if not self.watched:
            yield
            return
        context = self.context.subcontext(
            task_name="candidate", task_id=None if self.sequential else number
        )
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
            yield
        context.call_on_fit_task_end(estimator=self.estimator, **self.data)

    def end(self):
        """Tell the callbacks that the estimator is fitted."""
        if self.watched:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes={}
            )


class RunTask:
    """The iterations of one run."""

    def __init__(self, task, context):
        self.task, self.context, self.current = task, context, None
        self.attributes = None

    def begin(self):
        self.current = self.context.subcontext(task_name="iteration")
        self.current.call_on_fit_task_begin(
            estimator=self.task.estimator,
            **self.task.data,
            reconstruction_attributes=self.attributes,
        )

    def leave_empty(self, count):
        """Begin and end `count` tasks in which nothing happens."""
        for _ in range(count):
            self.begin()
            self.current.call_on_fit_task_end(estimator=self.task.estimator, **self.task.data)

    def end(self, attributes):
        """Whether a callback asks to stop; `attributes` returns the fitted attributes so far."""
        self.attributes = attributes
        return self.current.call_on_fit_task_end(
            estimator=self.task.estimator,
            **self.task.data,
            reconstruction_attributes=attributes,
        )


class UnwatchedRun:
    """A run nobody watches."""

    def begin(self):
        """Nothing to tell."""

    def leave_empty(self, count):
        """Nothing to tell."""

    def end(self, attributes):
        return False


UNWATCHED = UnwatchedRun()

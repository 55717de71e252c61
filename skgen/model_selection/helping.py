"""Whether rows without a label make a classifier better, judged on labeled rows held out."""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from skgen.base import check_partial_labels
from skgen.model_selection.scoring import labeled_scorer
from skgen.model_selection.splits import PartiallyLabeledStratifiedKFold

# No probability is judged as less.
LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class UnlabeledDataResult:
    """What `is_unlabeled_data_helping` found.

    Attributes
    ----------
    gain : float
        Mean gain in score by the rows without a label; above 0 they help.
    interval : tuple of float
        Where the mean gain lies with probability `confidence`, by Student's t over the splits.
    with_unlabeled, without_unlabeled : ndarray of shape (n_splits,)
        Scores of either fit on the test set of each split.
    helps : bool or None
        Whether the interval lies above (True) or below (False) 0; None where it does neither.
    """

    gain: float
    interval: tuple
    with_unlabeled: np.ndarray = field(repr=False)
    without_unlabeled: np.ndarray = field(repr=False)
    scoring: str = "negative log loss"
    confidence: float = 0.95

    @property
    def helps(self):
        low, high = self.interval
        return True if low > 0.0 else False if high < 0.0 else None

    def __str__(self):
        answer = {True: "help", False: "hurt", None: "make no clear difference"}[self.helps]
        low, high = self.interval
        return (
            f"unlabeled rows {answer}: mean gain in {self.scoring} {self.gain:+.4g}"
            f" ({self.confidence:.0%} interval {low:+.4g} to {high:+.4g},"
            f" {len(self.with_unlabeled)} splits)"
        )


def is_unlabeled_data_helping(
    estimator, X, y, *, sample_weight=None, cv=None, scoring=None, confidence=0.95
):
    """Compare fits with and without the rows that have no label, on the same held-out labels.

    Parameters
    ----------
    estimator : classifier that accepts rows without a label
    X : array, data frame or sparse matrix of shape (n, d)
    y : array-like of shape (n,)
        A row without label is -1 among integers, NaN among floats, None, NaN or pandas.NA among
        objects and strings.
    sample_weight : array of shape (n,), default=None
        Goes to fits and scores.
    cv : splitter of `skgen.model_selection`, int or None, default=None
        An int is the number of stratified folds, shuffled by seed 0; None means 5, or as many as
        the smallest class has labels.
    scoring : str, callable or None, default=None
        None means minus the log loss of `predict_proba`, of which no probability is judged as less
        than 1e-15; else a scorer, larger is better.
    confidence : float in (0, 1), default=0.95

    Returns
    -------
    result : UnlabeledDataResult

    Raises
    ------
    ValueError
        If y labels all or none of its rows, or a class has a single label.

    Notes
    -----
    Training sets of different splits overlap, so that the interval is somewhat too short
    (Bengio and Grandvalet 2004).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.mixture import GaussianMixtureClassifier
    >>> from skgen.model_selection import hide_labels, is_unlabeled_data_helping
    >>> X, y = load_iris(return_X_y=True)
    >>> y = hide_labels(y, per_class=6, random_state=0)
    >>> result = is_unlabeled_data_helping(GaussianMixtureClassifier(covariance_type="diag"), X, y)
    >>> len(result.with_unlabeled)
    5
    """
    labels, unlabeled = check_partial_labels(y)
    if unlabeled.all() or not unlabeled.any():
        raise ValueError(
            f"y must label some of its {len(labels)} rows, not"
            f" {'none' if unlabeled.all() else 'all'}"
        )
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence!r} must lie between 0 and 1")
    cv = _folds(cv, labels[~unlabeled])
    score = _minus_log_loss if scoring is None else labeled_scorer(scoring)
    weights = {} if sample_weight is None else {"sample_weight": np.asarray(sample_weight)}
    y = np.asarray(y) if not hasattr(y, "iloc") else y
    scores = []
    for training, test in cv.split(X, y):
        alone = training[~unlabeled[training]]
        both = [
            _fit_and_score(estimator, X, y, weights, rows, test, score)
            for rows in (training, alone)
        ]
        scores.append(both)
    richer, poorer = np.array(scores).T
    gain, interval = _interval(richer - poorer, confidence)
    name = "negative log loss" if scoring is None else str(scoring)
    return UnlabeledDataResult(gain, interval, richer, poorer, name, confidence)


def _folds(cv, labels):
    if cv is not None and not isinstance(cv, int):
        return cv
    fewest = int(np.unique(labels, return_counts=True)[1].min())
    if fewest < 2:
        raise ValueError(
            "every class needs at least 2 labels, one to learn from and one to judge by; the"
            f" smallest class of y has {fewest}"
        )
    n_splits = min(5, fewest) if cv is None else cv
    return PartiallyLabeledStratifiedKFold(n_splits, shuffle=True, random_state=0)


def _fit_and_score(estimator, X, y, weights, rows, test, score):
    part = _check_method_params(X, weights, indices=rows)
    model = clone(estimator).fit(_safe_indexing(X, rows), _safe_indexing(y, rows), **part)
    part = _check_method_params(X, weights, indices=test)
    return score(model, _safe_indexing(X, test), _safe_indexing(y, test), **part)


def _minus_log_loss(model, X, y, sample_weight=None):
    share = np.asarray(model.predict_proba(X))
    labels, _ = check_partial_labels(y, np.asarray(model.classes_))
    column = np.searchsorted(model.classes_, labels)
    column = np.minimum(column, len(model.classes_) - 1)
    right = np.where(model.classes_[column] == labels, share[np.arange(len(labels)), column], 0.0)
    return float(np.average(np.log(np.maximum(right, LEAST_PROBABILITY)), weights=sample_weight))


def _interval(gains, confidence):
    """Mean and its interval by Student's t."""
    mean = float(gains.mean())
    if len(gains) < 2:
        return mean, (-np.inf, np.inf)
    half = student.ppf(0.5 + 0.5 * confidence, len(gains) - 1) * gains.std(ddof=1)
    half /= np.sqrt(len(gains))
    return mean, (float(mean - half), float(mean + half))

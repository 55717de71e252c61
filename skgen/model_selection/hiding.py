"""Labels taken away, for experiments."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skgen.base import check_partial_labels
from skgen.labels import encode_labels


def hide_labels(y, share=None, *, per_class=None, random_state=None):
    """A copy of y without some of its labels.

    Parameters
    ----------
    y : array-like of shape (n,)
        Rows that have no label count as hidden already.
    share : float in [0, 1], default=None
        Hide this share of the labels, drawn class by class in proportion; every class keeps one.
    per_class : int, default=None
        Keep so many labels of every class, in place of `share`.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    y : ndarray or pandas.Series of shape (n,)
        Hidden labels are -1 among integers, NaN among floats, None among strings and objects
        (pandas.NA in a Series with a dtype of pandas).

    Raises
    ------
    ValueError
        If not one of `share` and `per_class` is given, or a class has fewer labels.

    Examples
    --------
    >>> from skgen.model_selection import hide_labels
    >>> hide_labels([0, 0, 0, 1, 1, 1], per_class=1, random_state=0).tolist()
    [-1, -1, 0, -1, -1, 1]
    """
    if (share is None) == (per_class is None):
        raise ValueError(f"give one of share and per_class, got {share=} and {per_class=}")
    if share is not None and not (isinstance(share, Real) and 0.0 <= share <= 1.0):
        raise ValueError(f"share={share!r} must be a number from 0 to 1")
    if per_class is not None and not (isinstance(per_class, Integral) and per_class >= 1):
        raise ValueError(f"per_class={per_class!r} must be an integer of at least 1")
    labels, unlabeled = check_partial_labels(y)
    known = np.flatnonzero(~unlabeled)
    classes, codes = encode_labels(labels[known])
    if classes.dtype.kind == "i" and -1 in classes:
        raise ValueError("y has the class -1, the mark of hidden labels; name the class otherwise")
    random_state = check_random_state(random_state)
    kept = []
    for number, name in enumerate(classes):
        rows = random_state.permutation(known[codes == number])
        count = per_class if share is None else max(1, round((1.0 - share) * len(rows)))
        if count > len(rows):
            raise ValueError(
                f"per_class={per_class} labels of class {name!r} are wanted, y has {len(rows)}"
            )
        kept.append(rows[:count])
    hidden = np.ones(len(labels), dtype=bool)
    hidden[np.concatenate(kept)] = False
    return without(y, labels, hidden)


def without(y, labels, hidden):
    """y as a copy, marked where `hidden`."""
    if hasattr(y, "iloc"):
        y = y.copy()
        own = not isinstance(y.dtype, np.dtype)
        kind = "O" if own else y.dtype.kind
        mark = {"i": -1, "f": np.nan}.get(kind)
        if own:
            integer = str(y.dtype).lower().startswith("int")
            mark = -1 if integer else _missing_of(y)
        y[hidden] = mark
        return y
    kind = labels.dtype.kind
    if kind not in "if":
        labels = labels.astype(np.int64) if kind in "u" else labels.astype(object)
        kind = "i" if kind == "u" else "O"
    else:
        labels = labels.copy()
    labels[hidden] = {"i": -1, "f": np.nan}.get(kind)
    return labels


def _missing_of(y):
    return y.dtype.na_value

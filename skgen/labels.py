"""Labels become class numbers: the sorted classes and, for every row, which of them.

The answer is that of ``numpy.unique(y, return_inverse=True)``, which sorts; few classes are found
faster by comparing, integers in a small range by counting.
"""

import numpy as np

# How many labels are looked at to guess what classes there are.
FIRST_LABELS = 1000
# Up to so many classes one comparison each is faster than a table.
COMPARED_CLASSES = 4
# Entries of a table over a range of integers, at most.
LABEL_TABLE = 2**16


def encode_labels(y):
    """The sorted classes of y (n,) and the number of each label among them, int32."""
    return compared_labels(y) or counted_labels(y) or sorted_labels(y)


def compared_labels(y):
    """The same by one comparison per class, None where there are more than a few."""
    if y.dtype.kind not in "biufSU":
        return None
    classes = np.unique(y[:FIRST_LABELS])
    while 0 < len(classes) <= COMPARED_CLASSES:
        codes = np.zeros(len(y), dtype=np.int32)
        known = y == classes[0]
        for number in range(1, len(classes)):
            hit = y == classes[number]
            np.logical_or(known, hit, out=known)
            codes += hit if number == 1 else np.multiply(hit, number, dtype=np.int32)
        if known.all():
            return classes, codes
        more = np.unique(np.concatenate([classes, y[~known][:FIRST_LABELS]]))
        if len(more) == len(classes):
            # A label that does not equal itself.
            return None
        classes = more
    return None


def counted_labels(y):
    """The same by a table over the range of integers, None where that is too wide."""
    if y.dtype.kind not in "iu" or len(y) == 0:
        return None
    low, high = y.min(), y.max()
    span = int(high) - int(low) + 1
    if span > LABEL_TABLE:
        return None
    # Unsigned differences are exact; signed ones of narrow types would wrap.
    wide = y if y.dtype.kind == "u" else y.astype(np.int64, copy=False)
    offsets = (wide - low).astype(np.intp)
    numbers = np.flatnonzero(np.bincount(offsets, minlength=span))
    table = np.zeros(span, dtype=np.int32)
    table[numbers] = np.arange(len(numbers), dtype=np.int32)
    return numbers.astype(y.dtype) + low, table.take(offsets)


def sorted_labels(y):
    classes, codes = np.unique(y, return_inverse=True)
    return classes, codes.astype(np.int32)


def find_missing(y):
    """Mask (n,) of what is no label: NaN among floats, and None, NaN or pandas.NA among objects."""
    if y.dtype.kind == "f":
        return np.isnan(y)
    if y.dtype.kind == "O":
        return np.fromiter((is_missing(label) for label in y), bool, len(y))
    return np.zeros(len(y), dtype=bool)


def marked(labels, missing):
    """The labels with the mark of no label where `missing`: -1, NaN or, among others, None."""
    if not missing.any():
        return labels
    labels = labels.astype(labels.dtype if labels.dtype.kind in "if" else object)
    labels[missing] = {"i": -1, "f": np.nan}.get(labels.dtype.kind)
    return labels


def is_missing(label):
    """Whether an object stands for no label; pandas.NA is known by its name alone."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, float | np.floating) and label != label

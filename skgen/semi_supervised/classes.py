"""Classes of partly labeled rows: that there are two, and what shares they should have."""

import numpy as np


def require_two(estimator, classes):
    """Raise unless labeled rows are of two classes at least."""
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs labeled rows of at least 2 classes, got one class:"
            f" {classes[0]!r}"
        )


def wanted_shares(given, classes, codes, weight=None):
    """`class_shares` as shares (n_classes,); None means those of the labeled rows, by weight."""
    if given is None:
        known = codes >= 0
        weight = None if weight is None else weight[known]
        shares = np.bincount(codes[known], weight, minlength=len(classes))
        return shares / shares.sum()
    shares = np.asarray(given, dtype=np.float64)
    if shares.shape != (len(classes),) or not (shares >= 0.0).all() or not shares.sum() > 0.0:
        raise ValueError(
            f"class_shares={given!r} must be {len(classes)} numbers of at least 0, not all 0: one"
            f" for each of the classes {classes.tolist()[:10]}"
        )
    return shares / shares.sum()

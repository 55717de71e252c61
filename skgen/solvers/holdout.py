"""Rows set aside for validation, drawn class by class in proportion."""

import numpy as np


def hold_out(target, fraction, random_state):
    """Split row numbers into training and validation, both sorted.

    Every class gives its share, rounded so that the total is right; the classes that lose most by
    rounding down come first. The last row of a class is never taken.

    Parameters
    ----------
    target : int array of shape (n,)
        Class numbers 0, ..., K - 1.
    fraction : float
        Share of the rows to hold out, in (0, 1).
    random_state : RandomState

    Returns
    -------
    training, validation : int arrays

    Raises
    ------
    ValueError
        Where no row can be held out, or none would be left.
    """
    n = len(target)
    counts = np.bincount(target)
    wanted = max(1, round(fraction * n))
    exact = wanted * counts / n
    shares = np.minimum(np.floor(exact).astype(np.intp), np.maximum(counts - 1, 0))
    while shares.sum() < wanted and (open_classes := shares < counts - 1).any():
        shares[np.where(open_classes, exact - shares, -np.inf).argmax()] += 1
    if shares.sum() == 0:
        raise ValueError(
            f"validation_fraction={fraction} of {n} rows leaves nothing to validate on or to train"
            " on; give X_val and y_val, or more rows"
        )
    order = random_state.permutation(n)
    held = np.zeros(n, dtype=bool)
    for number in np.flatnonzero(shares):
        held[order[target[order] == number][: shares[number]]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)

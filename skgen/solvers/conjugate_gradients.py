"""Conjugate gradients for several right-hand sides of one positive definite matrix.

    A X = B,    residual R = B - A X,    directions P conjugate by A

Every column goes its own way, but all share the products with A, which cost most. The
preconditioner is the diagonal of A. Hestenes and Stiefel (1952); Saad (2003), algorithm 9.1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinearSolution:
    """X (n, k), the largest residual as a share of its right-hand side, and how it ended."""

    X: np.ndarray
    residual: float
    n_iter: int
    converged: bool


def conjugate_gradients(apply, diagonal, B, tol, max_iter, start=None):
    """Solve A X = B.

    Parameters
    ----------
    apply : callable
        P (n, k) float64 -> A P (n, k).
    diagonal : ndarray of shape (n,)
        Of A, positive.
    B : ndarray of shape (n, k)
    tol : float
        Largest residual of a column in the norm of the inverse diagonal, as a share of the norm of
        its right-hand side.
    max_iter : int
        Products with A.
    start : ndarray of shape (n, k), or None for zeros

    Returns
    -------
    LinearSolution
    """
    X = np.zeros_like(B, dtype=np.float64) if start is None else np.array(start, dtype=np.float64)
    R = np.array(B, dtype=np.float64)
    if start is not None:
        R -= apply(X)
    inverse = 1.0 / diagonal[:, None]
    goal = tol**2 * column_sums(B * inverse, B)
    Z = inverse * R
    square = column_sums(R, Z)
    P = Z.copy()
    n_iter = 0
    while n_iter < max_iter and (square > goal).any():
        n_iter += 1
        AP = apply(P)
        bend = column_sums(P, AP)
        # A column at its solution has no direction left.
        step = np.divide(square, bend, out=np.zeros_like(square), where=bend > 0.0)
        X += step * P
        R -= step * AP
        np.multiply(inverse, R, out=Z)
        before, square = square, column_sums(R, Z)
        P *= np.divide(square, before, out=np.zeros_like(square), where=before > 0.0)
        P += Z
    size = column_sums(B * inverse, B)
    share = np.divide(square, size, out=np.zeros_like(square), where=size > 0.0)
    return LinearSolution(
        X, float(np.sqrt(share.max(initial=0.0))), n_iter, bool((square <= goal).all())
    )


def column_sums(A, B):
    """sum_i A_ij B_ij, the same however many threads there are."""
    return np.einsum("ij,ij->j", A, B)

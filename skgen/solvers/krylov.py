"""Leading eigenvectors of a large symmetric matrix that is known by its products with vectors.

Block Lanczos with complete orthogonalization and thick restarts (Golub and Underwood 1977;
Stathopoulos and Saad 1998): the basis grows by the residuals of the leading Ritz vectors, which
span what the next block Krylov vectors would, and is cut back to the leading Ritz vectors when it
has become too large.
"""

from dataclasses import dataclass

import numpy as np

# Blocks of vectors in the basis before it is cut back.
MOST_BLOCKS = 12
# Where the residuals no longer shrink by this factor in PATIENCE steps, rounding is reached, ...
SHRINKS = 0.5
PATIENCE = 4
# ... unless they are still larger than this multiple of the tolerance.
STALLED = 100.0
# A direction of which orthogonalization leaves a smaller share (squared) is no new one.
NOTHING_NEW = 1e-14


@dataclass(frozen=True)
class EigenSolution:
    """values (k,) descending, vectors (d, k), residuals (k,) |A v - value v|, and how it ended."""

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    n_iter: int
    converged: bool


def leading_eigenvectors(apply, start, k, tol, max_iter, watch=None):
    """The `k` largest eigenvalues of a positive semidefinite matrix and their vectors.

    Parameters
    ----------
    apply : callable
        Q (d, m) float64 -> A Q (d, m).
    start : ndarray of shape (d, b), b >= k
        Random vectors.
    k : int
    tol : float
        Largest residual, as a share of the largest eigenvalue.
    max_iter : int
        Products with a block.
    watch : callable of (iteration, residual), or None
        Returns whether to stop.

    Returns
    -------
    EigenSolution
    """
    d, b = start.shape
    limit = min(d, max(MOST_BLOCKS * b, k + 2 * b))
    basis = orthonormal(start, np.zeros((d, 0)))
    products = np.zeros((d, 0))
    history, converged = [], False
    for n_iter in range(1, max_iter + 1):
        new = basis[:, products.shape[1] :]
        products = np.column_stack([products, apply(new)])
        projected = basis.T @ products
        values, rotation = np.linalg.eigh(0.5 * (projected + projected.T))
        values, rotation = values[::-1], rotation[:, ::-1]
        leading = rotation[:, :b]
        residual = products @ leading - (basis @ leading) * values[:b]
        sizes = np.sqrt(np.einsum("ij,ij->j", residual, residual))
        largest = float(sizes[:k].max(initial=0.0))
        history.append(largest)
        goal = tol * max(float(values[0]), 0.0)
        complete = basis.shape[1] == d
        converged = complete or largest <= goal or stalled(history, goal)
        stop = watch is not None and watch(n_iter, largest)
        if converged or stop:
            break
        if basis.shape[1] + b > limit:
            kept = rotation[:, : k + b // 2 if k + b // 2 < limit - b else k]
            basis, products = basis @ kept, products @ kept
        added = orthonormal(residual, basis)
        if not added.shape[1]:
            converged = True  # an invariant subspace
            break
        basis = np.column_stack([basis, added[:, : d - basis.shape[1]]])
    vectors = basis @ rotation[: basis.shape[1], :k] if converged or stop else basis[:, :k]
    return EigenSolution(values[:k], vectors, sizes[:k], n_iter, converged)


def stalled(history, goal):
    """Whether residuals near the goal no longer shrink: rounding of the products is reached."""
    if len(history) <= PATIENCE or history[-1] > STALLED * goal:
        return False
    return min(history[-PATIENCE:]) > SHRINKS * min(history[:-PATIENCE])


def orthonormal(vectors, basis):
    """An orthonormal basis of what `vectors` add to the span of `basis`."""
    for _ in range(2):
        norms = np.sqrt(np.einsum("ij,ij->j", vectors, vectors))
        vectors = vectors[:, norms > 0.0] / norms[norms > 0.0]
        vectors -= basis @ (basis.T @ vectors)
        # An eigenbasis of the Gram matrix leaves out dependent directions; what it lacks in
        # orthogonality the second time adds. Turned back, so that rounding turns nothing.
        sizes, rotation = np.linalg.eigh(vectors.T @ vectors)
        new = sizes > NOTHING_NEW
        scaled = rotation[:, new] / np.sqrt(sizes[new])
        vectors = vectors @ (scaled @ rotation.T if new.all() else scaled)
    return vectors

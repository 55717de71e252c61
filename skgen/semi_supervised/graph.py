"""Graphs of rows: who is near whom, as a symmetric matrix of affinities.

    rbf                     W_ij = exp(-gamma |x_i - x_j|^2), all pairs
    knn                     1 where i is among the k nearest of j or j among those of i
    radius                  1 where |x_i - x_j| <= radius
    self_tuning             exp(-|x_i - x_j|^2 / (s_i s_j)) along the edges of knn, s_i the distance
                            of the k-th neighbor of i
    precomputed             W is given
    precomputed_distances   exp(-gamma d_ij^2) along the edges of a sparse matrix of distances

A row is no neighbor of its own. Graphs of neighbors are sparse: they take memory in proportion to
their edges. Zelnik-Manor and Perona (2004) for self_tuning.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.neighbors import NearestNeighbors

from skgen.memory import require

GIVEN = ("precomputed", "precomputed_distances")
OF_NEIGHBORS = ("knn", "radius", "self_tuning")
KERNELS = ("rbf", *OF_NEIGHBORS, *GIVEN)
# Affinities may differ from their transposes by this share of the largest.
SYMMETRIC = 1e-6


class Graph:
    """How affinities come about; `build` for the rows of a fit, `to` for new ones.

    Parameters
    ----------
    kernel : one of KERNELS, or callable of (X, Y) -> affinities (n, m)
    gamma, n_neighbors, radius, n_jobs : as in `LabelPropagation`
    """

    def __init__(self, kernel, gamma, n_neighbors, radius, n_jobs):
        self.kernel, self.gamma, self.radius = kernel, gamma, radius
        self.n_neighbors, self.n_jobs = n_neighbors, n_jobs

    def build(self, X):
        """Affinities (n, n), those of rows to copies of themselves (n,), and what `to` needs.

        Affinities are a symmetric array or CSR with zeros on the diagonal.
        """
        ones = np.ones(X.shape[0])
        require_moderate(X)
        if isinstance(self.kernel, str) and self.kernel in GIVEN and X.shape[0] != X.shape[1]:
            raise ValueError(f"a precomputed graph must be square, got X of shape {X.shape}")
        if self.kernel == "rbf":
            n = X.shape[0]
            require(
                8 * n * n,
                f"affinities of all pairs of {n} rows",
                "kernel='knn' or 'self_tuning' keeps those of near rows only",
            )
            W = rbf_kernel(X, gamma=self.gamma).astype(np.float64, copy=False)
            np.fill_diagonal(W, 0.0)
            return W, ones, {}
        if isinstance(self.kernel, str) and self.kernel in OF_NEIGHBORS:
            W, kept = self.of_neighbors(X)
            return W, ones, kept
        if self.kernel == "precomputed_distances":
            return without_loops(symmetric(self.from_distances(X), np.maximum)), ones, {}
        W = X if self.kernel == "precomputed" else self.kernel(X, X)
        W = symmetric(require_affinities(W))
        return without_loops(W), W.diagonal().copy(), {}

    def of_neighbors(self, X):
        search = self.search(X)
        if self.kernel == "radius":
            return search.radius_neighbors_graph(mode="connectivity").tocsr(), {}
        # scikit-learn counts a row among its own neighbors.
        k = min(self.n_neighbors - 1, X.shape[0] - 1)
        if k < 1:
            return sparse.csr_matrix((X.shape[0],) * 2), {"widths": np.ones(X.shape[0])}
        if self.kernel == "knn":
            W = search.kneighbors_graph(n_neighbors=k, mode="connectivity")
            return symmetric(W.tocsr(), np.maximum), {}
        D = search.kneighbors_graph(n_neighbors=k, mode="distance").tocsr()
        widths = farthest(D)
        return symmetric(tuned(D, widths, widths), np.maximum), {"widths": widths}

    def search(self, X):
        return NearestNeighbors(radius=self.radius, n_jobs=self.n_jobs).fit(X)

    def from_distances(self, D):
        W = D.tocsr().astype(np.float64) if sparse.issparse(D) else np.array(D, dtype=np.float64)
        values = W.data if sparse.issparse(W) else W
        if values.size and values.min() < 0.0:
            raise ValueError(f"X must hold distances of at least 0, got {values.min():g}")
        np.exp(-self.gamma * values * values, out=values)
        return W

    def to(self, X, known, kept):
        """Affinities (m, n) of new rows X to the rows `known` of the fit."""
        require_moderate(X)
        if callable(self.kernel):
            return np.transpose(self.kernel(known, X))
        if self.kernel in GIVEN:
            W = self.from_distances(X) if self.kernel == "precomputed_distances" else X
            return require_affinities(W)
        if self.kernel == "rbf":
            D = euclidean_distances(X, known, squared=True)
            # Only ratios within a row count: so far away from all the nearest still count.
            D -= D.min(axis=1, keepdims=True)
            return np.exp(-self.gamma * D)
        search = self.search(known)
        if self.kernel == "radius":
            return search.radius_neighbors_graph(X, mode="connectivity")
        k = min(self.n_neighbors, known.shape[0])
        if self.kernel == "knn":
            return search.kneighbors_graph(X, n_neighbors=k, mode="connectivity")
        D = search.kneighbors_graph(X, n_neighbors=k, mode="distance").tocsr()
        return tuned(D, farthest(D), kept["widths"])


def require_moderate(X):
    """Raise where squares of differences between rows would overflow, or sums of affinities."""
    values = X.data if sparse.issparse(X) else X
    if not values.size:
        return
    largest = max(float(values.max()), -float(values.min()))
    limit = np.sqrt(float(np.finfo(values.dtype).max) / (8.0 * X.shape[1]))
    if largest > limit:
        raise ValueError(
            f"X holds values of size {largest:.3g}; distances between rows need them below"
            f" {limit:.2g}. Scale the columns of X"
        )


def farthest(D):
    """The largest distance in every row of CSR with equally many; 1 where it is 0."""
    widths = D.data.reshape(D.shape[0], -1).max(axis=1)
    widths[widths == 0.0] = 1.0
    return widths


def tuned(D, widths, others):
    """exp(-d_ij^2 / (s_i s_j)) of CSR distances."""
    rows = np.repeat(np.arange(D.shape[0]), np.diff(D.indptr))
    W = D.copy()
    with np.errstate(under="ignore"):
        W.data = np.exp(-(D.data / widths[rows]) * (D.data / others[D.indices]))
    return W


def require_affinities(W):
    """W, whose entries are none negative."""
    W = W.tocsr().astype(np.float64) if sparse.issparse(W) else np.asarray(W, dtype=np.float64)
    values = W.data if sparse.issparse(W) else W
    if values.size and values.min() < 0.0:
        raise ValueError(f"X must hold affinities of at least 0, got {values.min():g}")
    return W


def symmetric(W, merge=None):
    """The same affinities both ways: the mean of both, or what `merge` makes of them."""
    if W.shape[0] != W.shape[1]:
        raise ValueError(f"a precomputed graph must be square, got X of shape {W.shape}")
    if sparse.issparse(W):
        other = W.T.tocsr()
        return W.maximum(other).tocsr() if merge is np.maximum else (0.5 * (W + other)).tocsr()
    if merge is not None:
        return merge(W, W.T)
    far = np.abs(W - W.T).max(initial=0.0)
    return W if far <= SYMMETRIC * np.abs(W).max(initial=0.0) else 0.5 * (W + W.T)


def without_loops(W):
    """W with zeros on its diagonal; a copy."""
    if sparse.issparse(W):
        W = W.tocsr(copy=True)
        rows = np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))
        W.data[rows == W.indices] = 0.0
        W.eliminate_zeros()
        return W
    W = np.array(W)
    np.fill_diagonal(W, 0.0)
    return W


def degrees(W):
    """Sums of the rows, float64 (n,)."""
    return np.asarray(W.sum(axis=1), dtype=np.float64).ravel()


def reached(W, labeled):
    """Which rows an edge path joins to a labeled row, a mask (n,)."""
    n = W.shape[0]
    if not sparse.issparse(W) and np.count_nonzero(W) == n * (n - 1):
        return np.ones(n, dtype=bool)
    _, part = connected_components(sparse.csr_matrix(W), directed=False)
    return np.isin(part, part[labeled])

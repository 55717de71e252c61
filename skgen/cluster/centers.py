"""What `KMeans` and `MiniBatchKMeans` share: centers, and what is done with them.

label(x) = argmin_k |x - c_k|^2,      inertia = sum of weight * |x - c_label(x)|^2
"""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skgen.base import (
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    Estimator,
    Interval,
    StrOptions,
    TransformerMixin,
    admit,
    check_array,
    check_is_fitted,
    require_finite,
    thread_count,
)
from skgen.cluster import lloyd as dense_lloyd
from skgen.cluster import sparse_lloyd
from skgen.rows import Rows
from skgen.seeding import kmeans_plus_plus, random_rows
from skgen.statistics import column_moments

INT32_MAX = np.iinfo(np.int32).max


class CentersEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Estimator):
    """Base of the estimators whose model is a set of centers."""

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit and return the cluster of every row.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        labels : int32 ndarray of shape (n,)
        """
        return self.fit(X, sample_weight=sample_weight).labels_

    def predict(self, X):
        """Number of the nearest center of every row; of equally near ones the lowest.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        labels : int32 ndarray of shape (n,)
        """
        check_is_fitted(self)
        rows = self._admit(X, reset=False)
        return assign(rows, self.cluster_centers_)[0]

    def fit_transform(self, X, y=None, sample_weight=None):
        """Fit and return the distances of every row to the centers; see `transform`.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        distances : ndarray of shape (n, n_clusters)
        """
        return self.fit(X, sample_weight=sample_weight)._transform(X)

    def transform(self, X):
        """Euclidean distance of every row to every center.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        distances : ndarray of shape (n, n_clusters), float32 for float32 X
        """
        check_is_fitted(self)
        return self._transform(X)

    def _transform(self, X):
        rows = self._admit(X, reset=False)
        out = np.empty((rows.n_rows, len(self.cluster_centers_)), dtype=rows.dtype)
        engine(rows).transform(rows, self.cluster_centers_, out)
        if not np.isfinite(out.max()):
            raise ValueError(
                f"distances from X to the centers overflow {rows.dtype}; scale X down as in fit"
            )
        return out

    def score(self, X, y=None, sample_weight=None):
        """Minus the inertia of X.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        rows = self._admit(X, sample_weight, reset=False)
        return -assign(rows, self.cluster_centers_)[1]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "cluster_centers_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _n_features_out(self):
        return self.cluster_centers_.shape[0]

    def _admit(self, X, sample_weight=None, *, reset):
        rows = admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(getattr(self, "n_jobs", None)),
            row_work=lambda n_features: 2.0 * self.n_clusters * n_features,
            accept_sparse=True,
            check_finite=not reset,
        )
        if sparse.issparse(rows.X):
            rows.X = with_small_indices(rows.X)
        return rows

    def _check_rows(self, rows):
        """Moments of the columns; an error for rows that k-means cannot work with."""
        with np.errstate(over="ignore", invalid="ignore"):
            moments = column_moments(rows)
        require_finite(self, rows.X, moments.finite)
        if not moments.finite:
            raise ValueError(
                "the squares of X, or their sum, overflow float64; divide X by a constant"
            )
        if rows.n_rows < self.n_clusters:
            raise ValueError(f"n_samples={rows.n_rows} should be >= n_clusters={self.n_clusters}.")
        return moments

    def _check_init(self, rows, default_n_init):
        """`init` with an array checked and copied, and the number of starts."""
        init, n_init = self.init, self.n_init
        if isinstance(init, str) or callable(init):
            if n_init == "auto":
                n_init = 1 if init == "k-means++" else default_n_init
            return init, n_init
        init = self._check_centers(init, rows)
        if n_init not in ("auto", 1):
            warnings.warn(
                "Explicit initial center position passed: performing only one init in"
                f" {type(self).__name__} instead of n_init={n_init}.",
                RuntimeWarning,
                stacklevel=4,
            )
        return init, 1

    def _check_centers(self, centers, rows):
        """Centers that the user gave or that `init` returned, copied in the rows' dtype."""
        try:
            centers = check_array(centers, dtype=rows.dtype, order="C", copy=True)
        except ValueError as error:
            raise ValueError(f"init is no array of initial centers: {error}") from error
        if centers.shape[0] != self.n_clusters:
            raise ValueError(
                f"The shape of the initial centers {centers.shape} does not match the number of"
                f" clusters {self.n_clusters}."
            )
        if centers.shape[1] != rows.n_features:
            raise ValueError(
                f"The shape of the initial centers {centers.shape} does not match the number of"
                f" features of the data {rows.n_features}."
            )
        return centers

    def _initial_centers(self, init, rows, random_state, order=None):
        """Centers of one start, of the rows' dtype."""
        if isinstance(init, np.ndarray):
            return init.copy()
        if callable(init):
            centers = init(rows.X, self.n_clusters, random_state=random_state)
            return self._check_centers(centers, rows)
        draw = kmeans_plus_plus if init == "k-means++" else random_rows
        return draw(rows, int(self.n_clusters), random_state, order=order)[0]


def with_small_indices(X):
    """CSR with int32 indices where they suffice: half the traffic, and one way to round sums."""
    if X.indices.dtype == X.indptr.dtype == np.int32 or max(X.nnz, *X.shape) > INT32_MAX:
        return X
    indices, indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return type(X)((X.data, indices, indptr), shape=X.shape)


def engine(rows):
    """The module with the loop and the kernels for these rows."""
    return sparse_lloyd if sparse.issparse(rows.X) else dense_lloyd


def assign(rows, centers):
    """Labels of the nearest centers, and the inertia."""
    labels = np.empty(rows.n_rows, dtype=np.int32)
    inertia = engine(rows).assign(rows, centers, labels)
    return labels, inertia


class CenterSums:
    """Per cluster: total weight and the weighted sum of x - center; a statistic."""

    __slots__ = ("sums", "weights")

    def __init__(self, weights, sums):
        self.weights, self.sums = weights, sums

    def merge(self, other):
        self.weights += other.weights
        self.sums += other.sums
        return self


def center_sums(rows, centers, labels):
    """`CenterSums` of the rows about float64 `centers`."""
    return rows.sum(_center_sums, (centers, labels))


def _center_sums(block, params):
    centers, labels = params
    labels = labels[block.span]
    weights = np.bincount(labels, block.weight, minlength=len(centers))
    members = sparse.csr_array(
        (block.weight, (labels, np.arange(len(block)))), shape=(len(centers), len(block))
    )
    if sparse.issparse(block.X):
        sums = (members @ block.X.astype(np.float64)).toarray() - weights[:, None] * centers
    else:
        sums = members @ (block.X - centers[labels])
    return CenterSums(weights, sums)


def move_centers(centers, weights, batch):
    """Centers and weights after a batch has joined the rows that made them what they are."""
    total = weights + batch.weights
    joined = batch.weights > 0.0
    moved = centers.copy()
    moved[joined] += batch.sums[joined] / total[joined, None]
    return moved, total


def sub_rows(rows, indices):
    """Some rows, each with weight one."""
    return Rows(rows.take(indices), n_threads=rows.n_threads)

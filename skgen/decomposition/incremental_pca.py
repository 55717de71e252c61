"""Principal components of rows that come in batches, in memory that does not grow with d squared.

    R'R <- S V' V S + sum w (x - m)(x - m)' + correction,        R = U S V', k rows of S V' are kept

R is stacked from what was kept, the batch about its own mean, and one row for the distance of the
two means; its singular value decomposition is cut to k components. Ross, Lim, Lin and Yang (2008).
"""

from dataclasses import astuple, dataclass
from numbers import Integral

import numpy as np
from scipy import linalg, sparse

from skgen.base import (
    FitTask,
    Interval,
    admit,
    fit_context,
    one_blas_thread,
    require_finite,
    thread_count,
)
from skgen.decomposition.pca import count_rows
from skgen.decomposition.projection import PrincipalComponents
from skgen.decomposition.spectrum import cleared, reduced
from skgen.rows import Rows
from skgen.statistics import ColumnMoments, column_moments


@dataclass(frozen=True)
class Kept:
    """What is remembered of all rows so far: moments of the columns, S (k,) and V' (k, d)."""

    moments: ColumnMoments
    sizes: np.ndarray
    components: np.ndarray
    n_rows: int

    @classmethod
    def restored(cls, stored):
        """What an estimator has stored as plain arrays and numbers; None for None."""
        if stored is None:
            return None
        return cls(**{**stored, "moments": ColumnMoments(*stored["moments"])})


class IncrementalPCA(PrincipalComponents):
    """Principal component analysis of batches of rows.

    Keeps k components and k numbers more per column, where ``PCA.partial_fit`` keeps d^2: variance
    that a batch has outside the components found so far is lost, so the result is that of `PCA` to
    an approximation that improves with `n_components` and the size of the batches. Parameters,
    attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    n_components : int, default=None
        None keeps as many as the first batch has rows, or columns if there are fewer.
    whiten : bool, default=False
        Divide coordinates by their standard deviations.
    copy : bool, default=True
        Accepted for compatibility; X is never modified.
    batch_size : int, default=None
        Rows that `fit` takes at a time; None for 5 d.
    n_jobs : int, default=None
        Threads of `transform`; None uses all cores. The result does not depend on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, d)
        Orthonormal, by decreasing variance, the largest loading of each positive.
    explained_variance_ : ndarray of shape (n_components,)
        Variance along each (divisor: sum of weights - 1).
    explained_variance_ratio_ : ndarray of shape (n_components,)
    singular_values_ : ndarray of shape (n_components,)
    mean_ : ndarray of shape (d,)
    var_ : ndarray of shape (d,)
        Variance of every column (divisor: sum of weights).
    noise_variance_ : float
        Mean variance of the min(n, d) - `n_components_` components left out.
    n_components_ : int
    n_samples_seen_ : int
    batch_size_ : int
        After `fit`.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    A weight counts rows: weight 2 means the same as the row twice in its batch, 0 as no row.

    References
    ----------
    Ross, Lim, Lin and Yang (2008), "Incremental learning for robust visual tracking", International
    Journal of Computer Vision 77.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.decomposition import IncrementalPCA
    >>> X = np.array([[-2.0, -1.0], [-1.0, -2.0], [1.0, 2.0], [2.0, 1.0]])
    >>> IncrementalPCA(n_components=1, batch_size=2).fit(X).singular_values_.round(3)
    array([4.243])
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "whiten": ["boolean"],
        "copy": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_jobs": [None, Integral],
    }

    def __init__(self, n_components=None, *, whiten=False, copy=True, batch_size=None, n_jobs=None):
        self.n_components = n_components
        self.whiten = whiten
        self.copy = copy
        self.batch_size = batch_size
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Find the components of the rows of X, `batch_size` rows at a time.

        Parameters
        ----------
        X : array or CSR of shape (n, d), n > 0
            A memory map is read a batch at a time; of CSR a batch at a time is written out.
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : IncrementalPCA

        Raises
        ------
        ValueError
            Also where `n_components` exceeds the columns, or the rows of the first batch.
        """
        rows = self._admit(X, sample_weight, reset=True)
        size = 5 * rows.n_features if self.batch_size is None else int(self.batch_size)
        batches = list(batches_of(rows, size, self.n_components or 0))
        task = FitTask(self, X, y, sample_weight, max_iter=len(batches))
        kept = None
        with task.restart() as run, one_blas_thread(rows):
            for batch in batches:
                run.begin()
                kept = self._absorb(kept, batch())
                if run.end(lambda: {}):
                    break
        self._set_fitted(kept, rows.dtype)
        self.batch_size_ = size
        task.end()
        return self

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None, check_input=True):
        """Add one batch of rows to those that came before, to those of `fit` too.

        Parameters
        ----------
        X : array or CSR of shape (n, d), n > 0
        y : ignored
        sample_weight : array of shape (n,), default=None
        check_input : bool, default=True
            Accepted for compatibility; X is always checked.

        Returns
        -------
        self : IncrementalPCA

        Raises
        ------
        ValueError
            Also where `n_components` exceeds the columns, the rows of the first batch, or has been
            changed.
        """
        kept = Kept.restored(getattr(self, "_kept", None))
        dtype = None if kept is None else self.components_.dtype
        rows = self._admit(X, sample_weight, reset=kept is None)
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        with task.restart() as run, one_blas_thread(rows):
            run.begin()
            self._set_fitted(self._absorb(kept, rows), rows.dtype if dtype is None else dtype)
            run.end(lambda: {})
        task.end()
        return self

    def _admit(self, X, sample_weight, *, reset):
        return admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            accept_sparse=True,
            check_finite=False,
        )

    def _absorb(self, kept, rows):
        """What is kept of the rows before and these, which are of positive weight."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._merged(kept, rows, self._check_count(kept, rows))

    def _merged(self, kept, rows, k):
        moments = column_moments(rows)
        if not moments.finite:
            require_finite(self, rows.X)
            raise ValueError(
                "X has values too large: the sum of their squares overflows float64; divide X by a"
                " constant, or remove its outliers"
            )
        root, n_rows = centered_rows(rows, moments.mean), count_rows(rows)
        if kept is not None:
            before = kept.moments
            share = before.weight * moments.weight / (before.weight + moments.weight)
            distance = np.sqrt(share) * (before.mean - moments.mean)
            root = np.vstack([kept.sizes[:, None] * kept.components, root, distance])
            before = ColumnMoments(before.weight, before.mean.copy(), before.square.copy())
            moments, n_rows = before.merge(moments), n_rows + kept.n_rows
        _, sizes, components = linalg.svd(reduced(root), full_matrices=False, check_finite=False)
        share = (max(n_rows, rows.n_features) * np.finfo(np.float64).eps) ** 2
        rank = min(n_rows, rows.n_features)
        spectrum = cleared(moments, components, sizes**2, moments.square, share, k, rank)
        return Kept(moments, np.sqrt(spectrum.squares), spectrum.components, n_rows)

    def _check_count(self, kept, rows):
        """The number of components to keep."""
        n, d, k = count_rows(rows), rows.n_features, self.n_components
        if k is not None and k > d:
            raise ValueError(
                f"n_components={k} invalid for n_features={d}, need more rows than columns for"
                " IncrementalPCA processing"
            )
        if kept is None:
            if k is not None and k > n:
                raise ValueError(
                    f"n_components={k} must be less or equal to the batch number of samples {n} for"
                    " the first partial_fit call."
                )
            return min(n, d) if k is None else int(k)
        if k is not None and k != len(kept.components):
            raise ValueError(
                f"n_components={k} was {len(kept.components)} in the calls of partial_fit before;"
                " to change it, fit a clone"
            )
        return len(kept.components)

    def _set_fitted(self, kept, dtype):
        """Write the fitted attributes."""
        moments, k = kept.moments, len(kept.components)
        total = float(moments.square.sum())
        if not np.isfinite(total):
            raise ValueError(
                "X has values too large, or sample_weight has: the sum of squares overflows; divide"
                " X or the weights by a constant"
            )
        noise = max(kept.n_rows, moments.mean.size) * np.finfo(np.float64).eps
        squares = kept.sizes**2
        divisor = moments.weight - 1.0
        rest = min(kept.n_rows, moments.mean.size) - k
        left = total - squares.sum()
        left = left if left > total * noise else 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            attributes = {
                "components_": kept.components,
                "explained_variance_": squares / divisor if divisor > 0.0 else 0.0 * squares,
                "explained_variance_ratio_": squares / total if total > 0.0 else 0.0 * squares,
                "singular_values_": np.sqrt(squares),
                "mean_": moments.mean,
                "var_": moments.variance,
                "noise_variance_": np.array(
                    left / divisor / rest if rest > 0 and divisor > 0.0 else 0.0
                ),
            }
            attributes = {name: value.astype(dtype) for name, value in attributes.items()}
        for name, value in attributes.items():
            if not np.isfinite(value).all():
                raise ValueError(
                    f"X has values too large: {name} overflows {np.dtype(dtype)}; divide X by a"
                    " constant, or remove its outliers"
                )
        for name, value in attributes.items():
            setattr(self, name, value)
        self.noise_variance_ = attributes["noise_variance_"][()]
        self.n_components_, self.n_samples_seen_ = k, kept.n_rows
        self._kept = {**vars(kept), "moments": astuple(moments)}


def batches_of(rows, size, fewest):
    """Functions that return `Rows` of positive weight, `size` at a time.

    What is left over is a batch of its own, unless it is fewer than `fewest`: then it joins the
    last.
    """
    present = None
    if rows.weight is not None and not rows.weight.all():
        present = np.flatnonzero(rows.weight)
    n = rows.n_rows if present is None else len(present)
    buffer = [None]
    start = 0
    while start < n:
        stop = start + size
        if n - stop < max(fewest, 1):
            stop = n
        yield Batch(rows, start, stop, present, buffer)
        start = stop


@dataclass(frozen=True)
class Batch:
    """Rows start to stop, of those that are `present`; read when it is called."""

    rows: Rows
    start: int
    stop: int
    present: object
    buffer: list

    def __call__(self):
        if self.present is None:
            return self.rows.part(self.start, self.stop, self.buffer)
        chosen = self.present[self.start : self.stop]
        return Rows(self.rows.take(chosen), self.rows.weight[chosen], n_threads=self.rows.n_threads)


def centered_rows(rows, mean):
    """Rows about the mean, times the roots of their weights, float64."""
    X = rows.X.toarray() if sparse.issparse(rows.X) else rows.X
    root = X - mean
    if rows.weight is not None:
        root *= np.sqrt(rows.weight)[:, None]
    return root

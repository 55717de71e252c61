"""Statistics that merge: the law is statistic(A + B) = statistic(A).merge(statistic(B)).

    mean = sum w x / sum w        square = sum w (x - mean)^2

Second moments always have an origin near the data: raw ones lose (mean / deviation)^2 digits.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen import kernels
from skgen.rows import Block

# A difference that keeps this share of its terms keeps ten digits.
FULL_DIGITS = 1e-6


@dataclass(slots=True)
class ColumnMoments:
    """Total weight, column means and centered squares; merged as in Chan et al. (1983)."""

    weight: float
    mean: np.ndarray
    square: np.ndarray

    def merge(self, other):
        if other.weight == 0.0:
            return self
        if self.weight == 0.0:
            return other
        total = self.weight + other.weight
        share = other.weight / total
        with np.errstate(over="ignore", invalid="ignore"):
            shift = other.mean - self.mean
            self.square += other.square + (self.weight * share) * shift**2
            self.mean += share * shift
        self.weight = total
        return self

    @property
    def finite(self):
        """Whether every column is finite, and so are the sums of squares."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(self.square).all())

    @property
    def variance(self):
        """Weighted variance per column (divisor: the total weight)."""
        return self.square / self.weight


@dataclass(slots=True)
class ObservedMoments:
    """Weights, means and centered squares of the cells that are not NaN, all (d,)."""

    weight: np.ndarray
    mean: np.ndarray
    square: np.ndarray

    def merge(self, other):
        total = self.weight + other.weight
        share = np.divide(other.weight, total, out=np.zeros_like(total), where=total > 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            shift = np.where(self.weight > 0.0, other.mean - self.mean, other.mean)
            mean = np.where(self.weight > 0.0, self.mean + share * shift, other.mean)
            self.square += other.square + np.where(share > 0.0, self.weight * share * shift**2, 0.0)
            self.mean = np.where(share > 0.0, mean, self.mean)
        self.weight = total
        return self

    @property
    def variance(self):
        """Weighted variance per column, 0 where nothing was observed."""
        return np.divide(
            self.square, self.weight, out=np.zeros_like(self.square), where=self.weight > 0.0
        )


def observed_moments(rows):
    """`ObservedMoments` of all rows; X is an array in which NaN marks a missing cell."""
    return rows.sum(_observed_moments)


def _observed_moments(block, _):
    observed = ~np.isnan(block.X)
    values = np.where(observed, block.X, 0.0).astype(np.float64, copy=False)
    weight = block.weight @ observed
    safe = np.where(weight > 0.0, weight, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        # Twice about the mean: the first may have lost digits.
        origin = values.sum(axis=0) / np.maximum(observed.sum(axis=0), 1)
        deviation = np.where(observed, values - origin, 0.0)
        step = (block.weight @ deviation) / safe
        deviation = np.where(observed, deviation - step, 0.0)
        square = block.weight @ deviation**2
    return ObservedMoments(weight, np.where(weight > 0.0, origin + step, 0.0), square)


def column_moments(rows):
    """`ColumnMoments` of all rows."""
    if sparse.issparse(rows.X):
        moments = _plain_column_moments(rows)
        if moments is not None:
            return moments
    return rows.sum(_column_moments)


@dataclass(slots=True)
class ColumnSums:
    """Total weight; sums of w x and w x^2 per column, (d, 2)."""

    weight: float
    sums: np.ndarray

    def merge(self, other):
        self.weight += other.weight
        self.sums += other.sums
        return self


def _plain_column_moments(rows):
    """From squares about zero, in one reading; None where they lose digits or overflow.

    Zeros that are not stored make zero a good origin for most columns of CSR.
    """
    total = rows.sum(_column_sums)
    if total.weight == 0.0 or not np.isfinite(total.sums).all():
        return None
    mean, second = total.sums[:, 0] / total.weight, total.sums[:, 1]
    square = second - total.weight * mean**2
    if (square < FULL_DIGITS * second).any():
        return None
    return ColumnMoments(total.weight, mean, square)


def _column_sums(block, _):
    total = ColumnSums(float(block.weight.sum()), np.zeros((block.X.shape[1], 2)))
    X = block.X
    kernels.sparse_linear.add_column_sums(X.data, X.indices, X.indptr, block.weight, total.sums)
    return total


def _column_moments(block, _):
    n_features = block.X.shape[1]
    mean, square = np.empty(n_features), np.empty(n_features)
    if sparse.issparse(block.X):
        return _sparse_column_moments(block)
    weight = kernels.moments.column_moments(block.X, block.weight, mean, square)
    return ColumnMoments(weight, mean, square)


def _sparse_column_moments(block):
    weight = float(block.weight.sum())
    X = block.X.astype(np.float64, copy=False)
    if weight == 0.0:
        return ColumnMoments(0.0, np.zeros(X.shape[1]), np.zeros(X.shape[1]))
    row_weight = np.repeat(block.weight, np.diff(X.indptr))
    n_features = X.shape[1]
    present = np.bincount(X.indices, row_weight, n_features)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.bincount(X.indices, row_weight * X.data, n_features) / weight
        # The zeros that are not stored deviate from the mean too.
        deviation = X.data - mean[X.indices]
        square = np.bincount(X.indices, row_weight * deviation**2, n_features)
        return ColumnMoments(weight, mean, square + (weight - present) * mean**2)


@dataclass(slots=True)
class ScatterMoments:
    """Total weight, mean (d,) and centered scatter matrix (d, d); merged as in Chan et al. (1983).

    scatter = sum w (x - mean)(x - mean)'
    """

    weight: float
    mean: np.ndarray
    scatter: np.ndarray

    def merge(self, other):
        total = self.weight + other.weight
        if other.weight == 0.0:
            return self
        if self.weight == 0.0:
            return other
        share = other.weight / total
        shift = other.mean - self.mean
        self.scatter += other.scatter
        self.scatter += np.multiply.outer((self.weight * share) * shift, shift)
        self.mean = self.mean + share * shift
        self.weight = total
        return self


def scatter_moments(rows):
    """`ScatterMoments` of all rows in one reading; NaN or infinity makes the scatter non-finite."""
    if sparse.issparse(rows.X):
        return _sparse_scatter(rows)
    origin, scale = near_rows(rows)
    origin = origin.astype(type_of_sums(rows))
    moments, kept = _scatter_about(rows, origin, scale)
    if kept < FULL_DIGITS and np.isfinite(moments.mean).all():
        # The rows that were looked at are no picture of the others.
        origin = moments.mean.astype(rows.dtype).astype(origin.dtype)
        moments, _ = _scatter_about(rows, origin, scale)
    return moments


# Cells that tell where data lie, and the fewest and most rows of them.
LOOKED_AT = 2**18
FEWEST_LOOKED_AT, MOST_LOOKED_AT = 64, 1000
# Powers of two that have a square, and an inverse.
MOST_EXPONENT = {np.dtype(np.float32): 120, np.dtype(np.float64): 500}
# Products that cost some 10 ms in float64.
MOST_EXACT_WORK = 1e9
# More columns than this are left to a BLAS: sums as large leave the cache.
MOST_COLUMNS_OF_TILES = 1500


def type_of_sums(rows):
    """The dtype in which products of up to some hundred rows are summed.

    float32 rows are copied to float64, a block at a time, where that takes no time to speak of.
    """
    work = float(rows.n_rows) * rows.n_features**2
    return (
        np.dtype(np.float64) if work <= MOST_EXACT_WORK or sparse.issparse(rows.X) else rows.dtype
    )


def near_rows(rows):
    """A point near the rows (d,), of their dtype, and a power of two that makes them about one."""
    most = int(np.clip(LOOKED_AT // max(rows.n_features, 1), FEWEST_LOOKED_AT, MOST_LOOKED_AT))
    sample = rows.sample(most)
    X, weight = sample.X, sample.weight
    if weight is not None and not weight.any():
        chosen = np.flatnonzero(rows.weight)[:most]
        X, weight = rows.X[chosen], rows.weight[chosen]
    if weight is not None:
        X = X[weight > 0.0]
    with np.errstate(over="ignore", invalid="ignore"):
        origin = X.mean(axis=0, dtype=np.float64).astype(rows.dtype)
        # Zero where a quarter of the cells is, which kernels.scatter leaves out: the mean is no
        # farther than two deviations from it. Exactly the value of a column that has only one.
        origin[4 * np.count_nonzero(X, axis=0) <= 3 * len(X)] = 0.0
        origin = np.where((X[0] == X).all(axis=0), X[0], origin)
        largest = float(np.abs(X - origin).max(initial=0.0))
    return np.ascontiguousarray(origin), inverse_size(largest, rows.dtype)


def inverse_size(size, dtype):
    """A power of two that makes numbers of this size about one; 1 for 0, NaN and infinity."""
    if not 0.0 < size < np.inf:
        return 1.0
    most = MOST_EXPONENT[np.dtype(dtype)]
    return float(2.0 ** np.clip(-np.ceil(np.log2(size)), -most, most))


@dataclass(slots=True)
class BlockSums:
    """An array of sums."""

    sums: np.ndarray

    def merge(self, other):
        self.sums += other.sums
        return self


@dataclass(slots=True)
class Sums:
    """A weight and an array of sums."""

    weight: float
    sums: np.ndarray

    def merge(self, other):
        self.weight += other.weight
        self.sums += other.sums
        return self


def _scatter_about(rows, origin, scale):
    """`ScatterMoments` from sums about `origin`, and the least share of a variance that is left."""
    d = rows.n_features
    total = rows.sum(outer_sums, (origin, scale))
    with np.errstate(over="ignore", invalid="ignore"):
        return centered(total.weight, total.sums[d, :d], total.sums[:d, :d], origin, scale)


def centered(weight, first, second, origin, scale=1.0):
    """`ScatterMoments` from the weight, sums and lower triangle of products about `origin`.

    Also the least share of a column's squares about `origin` that remain about the mean.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        shift = first / weight
        squares = np.diagonal(second).copy()
        scatter = np.tril(second)
        scatter += np.tril(scatter, -1).T
        scatter -= np.multiply.outer(first, shift)
        left = np.diagonal(scatter)
        kept = float(np.min(left[squares > 0.0] / squares[squares > 0.0], initial=1.0))
        scatter /= scale * scale
        return ScatterMoments(weight, origin.astype(np.float64) + shift / scale, scatter), kept


def outer_sums(block, params):
    """Sums of scale (x - origin) and its products, as kernels.scatter.add_outer lays them out."""
    origin, scale = params
    d = block.X.shape[1]
    if block.X.dtype != origin.dtype:
        block = Block(block.X.astype(origin.dtype), block.weight, block.target, block.start)
    total = Sums(0.0, np.zeros((d + 1, kernels.scatter.width(d, block.X.itemsize))))
    if d <= MOST_COLUMNS_OF_TILES:
        total.weight = kernels.scatter.add_outer(block.X, block.weight, origin, scale, total.sums)
        return total
    root = np.sqrt(block.weight).astype(block.X.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        z = (block.X - origin) * (root * block.X.dtype.type(scale))[:, None]
        z = z[block.weight > 0.0]
        total.sums[:d, :d] = z.T @ z
        total.sums[d, :d] = root[block.weight > 0.0] @ z.astype(np.float64)
    total.weight = float(block.weight.sum())
    return total


def _sparse_scatter(rows):
    """As `scatter_moments`, about zero; about a stored value where a column has no other zeros."""
    X, d = rows.X, rows.n_features
    stored = np.bincount(X.indices, minlength=d)
    origin = np.zeros(d)
    if (stored == rows.n_rows).any():
        mean = column_moments(rows).mean
        origin[stored == rows.n_rows] = mean[stored == rows.n_rows]
    total = rows.sum(_sparse_outer_sums, origin)
    moments, _ = centered(total.weight, total.sums[d], total.sums[:d], origin)
    return moments


def _sparse_outer_sums(block, origin):
    X, d = block.X, block.X.shape[1]
    if not X.has_sorted_indices:
        X = X.sorted_indices()
    total = Sums(0.0, np.zeros((d + 1, d)))
    total.weight = kernels.sparse.add_products(
        X.data, X.indices, X.indptr, block.weight, origin, total.sums[:d], total.sums[d]
    )
    return total


def near_column_moments(rows):
    """`ColumnMoments` of dense rows in one reading, sums of up to 128 rows in their dtype."""
    if sparse.issparse(rows.X):
        return column_moments(rows)
    origin, _ = near_rows(rows)
    d = rows.n_features
    for _ in range(2):
        total = rows.sum(_near_column_sums, origin)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            first, second = total.sums[:, :d]
            square = second - first**2 / total.weight
            mean = origin + first / total.weight
            lost = (square < FULL_DIGITS * second).any()
        if not lost or not np.isfinite(mean).all():
            break
        origin = mean.astype(rows.dtype)
    return ColumnMoments(total.weight, mean, np.maximum(square, 0.0))


def _near_column_sums(block, origin):
    total = Sums(0.0, np.zeros((2, kernels.scatter.width(block.X.shape[1], block.X.itemsize))))
    total.weight = kernels.scatter.add_columns(block.X, block.weight, origin, total.sums)
    return total

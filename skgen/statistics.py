"""Statistics that merge: the law is statistic(A + B) = statistic(A).merge(statistic(B)).

    mean = sum w x / sum w        square = sum w (x - mean)^2

Second moments always have an origin near the data: raw ones lose (mean / deviation)^2 digits.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen import kernels

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

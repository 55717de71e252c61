"""A linear objective seen row by row and column by column, for solvers that move single weights.

    scores Z = X W' + b (n, K)      residuals R = dL / dZ (n, K)      gradient of W: R'X

W' and b lie under each other as V (d + 1, K), the intercept last; without an intercept V is W'.
The columns of X are kept a second time, as float32: they serve quadratic models only, which the
residuals of X itself correct. A dense X with many zeros is read as CSR, its columns as they are;
one with few keeps the origin of the objective.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen import kernels
from skgen.rows import Rows

# Of a dense X with more zeros only the others are kept.
SHARE_OF_ZEROS = 0.5


@dataclass(slots=True)
class Total:
    """Numbers that are added up."""

    value: object

    def merge(self, other):
        self.value += other.value
        return self


@dataclass(slots=True)
class LossAndGradient:
    """A loss and its gradient by the weights, summed over rows."""

    loss: float
    value: np.ndarray

    def merge(self, other):
        self.loss += other.loss
        self.value += other.value
        return self


@dataclass(frozen=True, slots=True)
class Columns:
    """A matrix by columns: values and row numbers, those of column j from starts[j] on."""

    values: np.ndarray
    row_numbers: np.ndarray
    starts: np.ndarray

    def squares(self, weight):
        """The weighted sum of squares of every column."""
        weighted = np.square(self.values, dtype=np.float64) * weight[self.row_numbers]
        sums = np.concatenate([[0.0], np.cumsum(weighted)])
        return np.diff(sums[self.starts])


@dataclass(frozen=True, slots=True)
class RowValues:
    """The loss at some scores (a sum), residuals, and what a quadratic model needs of each row."""

    loss: float
    residual: np.ndarray
    state: np.ndarray


class RowView:
    """Scores, residuals, gradients and columns of a `LinearObjective` with log or softmax loss.

    Parameters
    ----------
    objective : LinearObjective
    rows : Rows
    """

    def __init__(self, objective, rows):
        self.objective, self.rows, self.origin = objective, rows, objective.origin
        # Moves the intercepts in and out.
        self.moved_by = None
        if not sparse.issparse(rows.X):
            zeros = rows.sum(count_zeros).value
            if zeros > SHARE_OF_ZEROS * rows.X.size:
                self.rows = Rows(
                    sparse.csr_array(rows.X), rows.weight, rows.target, n_threads=rows.n_threads
                )
                self.origin, self.moved_by = None, objective.origin
        self.n_outputs, self.n_features = objective.layout.shapes["coef"]
        self.weight_sum = rows.weight_sum
        self.l1, self.l2 = self.strengths("l1"), self.strengths("l2")

    def strengths(self, name):
        return self.stacked(getattr(self.objective.penalty, name)) * self.weight_sum

    def stacked(self, w):
        """Flat numbers as (d + 1, K); a new array."""
        views = self.objective.layout.views(w)
        parts = [views["coef"].T]
        if self.objective.fit_intercept:
            parts.append(views["intercept"][None])
        return np.ascontiguousarray(np.concatenate(parts))

    def unstacked(self, V):
        """The inverse of `stacked`."""
        parts = {"coef": V[: self.n_features].T}
        if self.objective.fit_intercept:
            parts["intercept"] = V[-1]
        return self.objective.layout.pack(**parts)

    def matrix(self, w):
        """V of flat parameters."""
        V = self.stacked(w)
        if self.moved_by is not None:
            V[-1] -= np.asarray(self.moved_by, dtype=np.float64) @ V[:-1]
        return V

    def flat(self, V):
        """The inverse of `matrix`."""
        if self.moved_by is not None:
            V = V.copy()
            V[-1] += np.asarray(self.moved_by, dtype=np.float64) @ V[:-1]
        return self.unstacked(V)

    def scores(self, V):
        """Z (n, K)."""
        coef = V[: self.n_features]
        intercept = V[-1] if self.objective.fit_intercept else np.zeros(self.n_outputs)
        given = (self.origin, np.ascontiguousarray(coef), np.ascontiguousarray(intercept))
        return self.rows.map(scores_of, given, np.empty((self.rows.n_rows, self.n_outputs)))

    def visit(self, V):
        """Scores at V, `RowValues` there, and the gradient of the loss.

        All in one pass over CSR rows of two classes. Otherwise the gradient is None, also with a
        free intercept, because that moves before the gradient is needed.
        """
        if self.n_outputs > 1 or self.free_intercept or not sparse.issparse(self.rows.X):
            raw = self.scores(V)
            return raw, self.evaluate(raw), None
        intercept = float(V[-1, 0]) if self.objective.fit_intercept else 0.0
        raw = np.empty((self.rows.n_rows, 1))
        coef = np.ascontiguousarray(V[: self.n_features, 0])
        residual, state = self.row_arrays(raw)
        params = (coef, intercept, raw, residual, state)
        total = self.rows.sum(visit_block, params)
        gradient = self.with_intercept(total.value, residual)
        return raw, RowValues(total.loss, residual, state), gradient

    def row_arrays(self, raw):
        """Room for residuals and states."""
        n, k = raw.shape
        return np.empty((n, k)), np.empty((n, 2 if k == 1 else 2 * k + 1), dtype=np.float32)

    def evaluate(self, raw):
        """`RowValues` at scores `raw`."""
        residual, state = self.row_arrays(raw)
        loss = self.rows.sum(row_values, (raw, residual, state)).value
        return RowValues(loss, residual, state)

    def gradient(self, residual):
        """The gradient of the loss by V."""
        total = self.rows.sum(gradient_of, (self.origin, residual)).value
        return self.with_intercept(total, residual)

    def with_intercept(self, total, residual):
        """The gradient by V, given that by the weights."""
        if not self.objective.fit_intercept:
            return total
        return np.concatenate([total, residual.sum(axis=0)[None]])

    @property
    def free_intercept(self):
        """Whether there is an intercept without penalty."""
        return self.objective.fit_intercept and not (self.l1[-1].any() or self.l2[-1].any())

    def intercept_curvature(self, by_row):
        """The Hessian of the loss by the intercepts, (K, K)."""
        state, k = by_row.state, self.n_outputs
        if k == 1:
            return np.array([[state[:, 1].sum(dtype=np.float64)]])
        share = state[:, k : 2 * k].astype(np.float64)
        weighted = share * state[:, 2 * k :]
        return np.diag(weighted.sum(axis=0)) - weighted.T @ share

    def column_means(self):
        """Weighted means of the columns that scores are formed of, (d,)."""
        if self.origin is not None:
            return np.zeros(self.n_features)
        ones = np.ones((self.rows.n_rows, 1)) if self.rows.weight is None else self.rows.weight
        total = self.rows.sum(gradient_of, (None, np.reshape(ones, (-1, 1)))).value
        return total[:, 0] / self.weight_sum

    def curve(self, by_row, V):
        """The Hessian of the loss times V."""
        coef = np.ascontiguousarray(V[: self.n_features])
        intercept = V[-1].copy() if self.objective.fit_intercept else np.zeros(self.n_outputs)
        total = self.rows.sum(curve_of, (self.origin, coef, intercept, by_row.state)).value
        return total if self.objective.fit_intercept else total[:-1]

    def columns(self):
        """`Columns` of X minus the origin, and of ones for an intercept."""
        rows, d, origin = self.rows, self.n_features, self.origin
        counts = np.zeros((rows.n_blocks, d), dtype=np.int32)
        rows.sum(count_entries, (rows.block_rows, origin, counts))
        n_ones = rows.n_rows if self.objective.fit_intercept else 0
        starts = np.zeros(d + 1 + bool(n_ones), dtype=np.int64)
        starts[1 : d + 1] = np.cumsum(counts.sum(axis=0, dtype=np.int64))
        values = np.empty(starts[d] + n_ones, dtype=np.float32)
        row_numbers = np.empty(len(values), dtype=np.int32)
        places = starts[:d] + np.cumsum(counts, axis=0, dtype=np.int64) - counts
        rows.sum(scatter_entries, (rows.block_rows, origin, places, values, row_numbers))
        if n_ones:
            starts[-1] = len(values)
            values[starts[d] :] = 1.0
            row_numbers[starts[d] :] = np.arange(n_ones)
        return Columns(values, row_numbers, starts)


def scores_of(block, params):
    origin, coef, intercept = params
    X = block.X
    if not sparse.issparse(X):
        return centered(X, origin) @ coef + intercept
    raw = np.empty((len(block), coef.shape[1]))
    kernels.sparse_linear.write_scores(X.data, X.indices, X.indptr, coef, intercept, raw)
    return raw


def row_values(block, params):
    raw, residual, state = (array[block.span] for array in params)
    kernel = (
        kernels.coordinate.logistic_rows if raw.shape[1] == 1 else kernels.coordinate.softmax_rows
    )
    return Total(kernel(raw, block.target, block.weight, residual, state))


def visit_block(block, params):
    coef, intercept, *arrays = params
    X, total = block.X, np.zeros((len(coef), 1))
    loss = kernels.coordinate.logistic_pass(
        X.data, X.indices, X.indptr, block.target, block.weight, coef,
        *(array[block.span] for array in arrays), total, intercept,
    )  # fmt: skip
    return LossAndGradient(loss, total)


def gradient_of(block, params):
    origin, residual = params
    return Total(gradient_of_block(block, origin, residual[block.span]))


def gradient_of_block(block, origin, residual):
    """(X - origin)' residual, (d, K)."""
    X = block.X
    if sparse.issparse(X):
        total = np.zeros((X.shape[1], residual.shape[1]))
        kernels.coordinate.add_rows(X.data, X.indices, X.indptr, residual, total)
        return total
    return centered(X, origin).T @ residual


def centered(X, origin):
    """Dense rows minus the origin, float64."""
    X = X.astype(np.float64, copy=False)
    return X if origin is None else X - origin


def curve_of(block, params):
    """X' M (X V) of one block, the intercepts' last, (d + 1, K)."""
    origin, coef, intercept, state = params
    raw, state, k = scores_of(block, (origin, coef, intercept)), state[block.span], coef.shape[1]
    if k == 1:
        bent = state[:, 1:] * raw
    else:
        share = state[:, k : 2 * k]
        bent = share * (raw - (share * raw).sum(axis=1, keepdims=True)) * state[:, 2 * k :]
    total = np.empty((coef.shape[0] + 1, k))
    total[:-1] = gradient_of_block(block, origin, bent)
    total[-1] = bent.sum(axis=0)
    return Total(total)


def count_zeros(block, params):
    return Total(block.X.size - np.count_nonzero(block.X))


def entries(block, origin):
    """The block as CSR."""
    if sparse.issparse(block.X):
        return block.X
    X = centered(block.X, origin)
    n, d = X.shape
    indices = np.tile(np.arange(d, dtype=np.int32), n)
    indptr = np.arange(0, n * d + 1, d, dtype=np.int32)
    return sparse.csr_array((X.ravel(), indices, indptr), shape=X.shape)


def count_entries(block, params):
    block_rows, origin, counts = params
    kernels.coordinate.count_columns(
        entries(block, origin).indices, counts[block.start // block_rows]
    )
    return Total(0)


def scatter_entries(block, params):
    block_rows, origin, places, values, row_numbers = params
    X = entries(block, origin)
    kernels.coordinate.scatter_columns(
        X.data,
        X.indices,
        X.indptr,
        places[block.start // block_rows],
        values,
        row_numbers,
        block.start,
    )
    return Total(0)

"""Penalized mean loss of linear scores.

    J(w) = (1 / S) sum_i s_i loss(W (x_i - origin) + b, y_i) + penalty(w),     S = sum_i s_i

with w = [W.ravel(), b]. One read of the data gives value and gradient, and where asked the
Hessian. An origin near the data keeps digits when columns lie far from zero; it only moves b.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen.parameters import Layout

# Preconditioners leave out rows with less curvature than this share of the mean.
NEGLIGIBLE_CURVATURE = 0.3


@dataclass(slots=True)
class LossSum:
    """Weighted loss, its gradient (K, d + 1), and its Hessian (K (d + 1))^2 or None.

    The last column of each class belongs to the intercept.
    """

    value: float
    gradient: np.ndarray
    hessian: np.ndarray | None = None

    def merge(self, other):
        self.value += other.value
        self.gradient += other.gradient
        if self.hessian is not None:
            self.hessian += other.hessian
        return self


@dataclass(frozen=True, slots=True)
class LinearParams:
    """What a block needs: W (K, d) and b (K,), the loss, the origin, the order of derivatives."""

    coef: np.ndarray
    intercept: np.ndarray
    loss: object
    origin: np.ndarray | None
    with_hessian: bool = False


class LinearObjective:
    """Value, gradient and Hessian of J at flat parameters.

    Parameters
    ----------
    loss : a loss of `skgen.losses`
    n_outputs, n_features : int
    fit_intercept : bool
    penalty : ElasticNet
    origin : ndarray of shape (d,), or None for zero
    spread : ndarray of shape (d,), or None for ones
        Standard deviations of the columns, for judging gradients.
    basis : ndarray of shape (d', d), or None
        Orthonormal columns, where features are coordinates in them: gradients are judged by the d'
        features behind.
    """

    def __init__(
        self, loss, n_outputs, n_features, fit_intercept, penalty, origin=None, spread=None,
        basis=None,
    ):  # fmt: skip
        self.loss, self.penalty, self.origin = loss, penalty, origin
        self.fit_intercept = fit_intercept
        shapes = {"coef": (n_outputs, n_features)}
        if fit_intercept:
            shapes["intercept"] = (n_outputs,)
        self.layout = Layout(**shapes)
        self.n_parameters = self.layout.size
        spread = np.ones(n_features) if spread is None else np.maximum(spread, 1.0)
        units = {"coef": spread, "intercept": 1.0}
        self.basis = basis
        self.unit = self.layout.pack(**{name: units[name] for name in shapes})

    @property
    def l1(self):
        """Strength of the absolute penalty per coordinate."""
        return self.penalty.l1

    def parts(self, w):
        """W and b of `w`."""
        views = self.layout.views(w)
        return views["coef"], views.get("intercept", np.zeros(len(views["coef"])))

    def gradient_norm(self, gradient):
        """The largest slope, per unit of a column or per its standard deviation if that is more.

        Where columns are large, rounding alone moves plain slopes by more than any tolerance.
        """
        if self.basis is not None:
            coef, intercept = self.parts(gradient)
            return float(max(np.abs(coef @ self.basis.T).max(), np.abs(intercept).max()))
        return float((np.abs(gradient) / self.unit).max())

    def raw(self, block, coef, intercept):
        """Scores of a block in float64, (b, K)."""
        return centered(block, self.origin) @ coef.T + intercept

    def value_and_gradient(self, w, rows):
        """The smooth part of J and its gradient (p,)."""
        total = self._sum(w, rows, False)
        value, gradient = self._mean(total, rows)
        squared, slope = self.penalty.squared(w)
        return value + squared, gradient + slope

    def mean_loss(self, w, rows):
        """The mean loss without the penalty."""
        return self._sum(w, rows, False).value / rows.weight_sum

    def value_gradient_hessian(self, w, rows):
        """The smooth part of J, its gradient (p,) and Hessian (p, p)."""
        total = self._sum(w, rows, True)
        value, gradient = self._mean(total, rows)
        squared, slope = self.penalty.squared(w)
        hessian = self._ordered(total.hessian / rows.weight_sum)
        hessian[np.diag_indices_from(hessian)] += self.penalty.l2
        return value + squared, gradient + slope, hessian

    def class_diagonal(self, w, rows, columns=None):
        """Means of h x_j^2 and h x_j by class, h the curvature of the loss, x_d = 1: (K, d + 1).

        The first is the diagonal of the Hessian without the penalty. Where all weights are zero, h
        is the same in all rows and `columns`, the ColumnMoments, spare the reading of them.
        """
        coef, intercept = self.parts(w)
        if columns is not None and not coef.any():
            return self._constant_diagonal(intercept, columns)
        params = LinearParams(coef, intercept, self.loss, self.origin)
        total = rows.sum(add_diagonal, params)
        return total.diagonal / rows.weight_sum, total.cross / rows.weight_sum

    def _constant_diagonal(self, intercept, columns):
        share = self.loss.predict(intercept[None])[0]
        curvature = (share * (1.0 - share))[-len(intercept) :, None]
        mean = columns.mean if self.origin is None else columns.mean - self.origin
        second = np.append(columns.variance + mean**2, 1.0)
        return curvature * second, curvature * np.append(mean, 1.0)

    def class_curvature(self, w, rows):
        """Yields for every class its own block (q, q) of the Hessian, q = d + 1 with an intercept.

        Blocks between classes are not formed. For two classes the one block is the Hessian.
        """
        coef, intercept = self.parts(w)
        k = len(coef)
        q = coef.shape[1] + self.fit_intercept
        params = LinearParams(coef, intercept, self.loss, self.origin)
        curvature = rows.map(row_curvature, params, np.empty((rows.n_rows, k), dtype=rows.dtype))
        squared = self.layout.views(self.penalty.l2)
        # Without weights a class has the same curvature in every row: one matrix serves all.
        same = not coef.any()
        total = None
        for number in range(k):
            if not (same and number):
                total = rows.sum(add_gram, (curvature[:, number], self.origin)).gram[:q, :q]
                first = curvature[:, number].sum(dtype=np.float64)
            share = curvature[:, number].sum(dtype=np.float64) / first if same else 1.0
            block = total * (share / rows.weight_sum)
            strengths = [part[number].ravel() for part in squared.values()]
            block[np.diag_indices(q)] += np.concatenate(strengths)
            yield block

    def _sum(self, w, rows, with_hessian):
        coef, intercept = self.parts(w)
        params = LinearParams(coef, intercept, self.loss, self.origin, with_hessian)
        return rows.sum(add_rows, params)

    def _mean(self, total, rows):
        scale = 1.0 / rows.weight_sum
        d = total.gradient.shape[1] - 1
        if self.fit_intercept:
            gradient = self.layout.pack(coef=total.gradient[:, :d], intercept=total.gradient[:, d])
        else:
            gradient = total.gradient[:, :d].ravel()
        return total.value * scale, gradient * scale

    def _ordered(self, hessian):
        """From (class, feature or intercept) pairs to the order of w."""
        k, d = self.layout.shapes["coef"]
        index = np.arange(k * (d + 1)).reshape(k, d + 1)
        order = index[:, :d].ravel()
        if self.fit_intercept:
            order = np.concatenate([order, index[:, d]])
        return hessian[np.ix_(order, order)]


@dataclass(slots=True)
class GramSum:
    """Weighted sum of z z' with z = (x - origin, 1)."""

    gram: np.ndarray

    def merge(self, other):
        self.gram += other.gram
        return self


@dataclass(slots=True)
class DiagonalSum:
    """Sums of h x_j^2 and h x_j by class, the intercept last, (K, d + 1)."""

    diagonal: np.ndarray
    cross: np.ndarray

    def merge(self, other):
        self.diagonal += other.diagonal
        self.cross += other.cross
        return self


def add_diagonal(block, params):
    """`DiagonalSum` of one block."""
    k, d = params.coef.shape
    total = DiagonalSum(np.zeros((k, d + 1)), np.zeros((k, d + 1)))
    if sparse.issparse(block.X) and hasattr(params.loss, "add_sparse_diagonal"):
        gradient = np.zeros((k, d + 1))
        params.loss.add_sparse_diagonal(
            block, params.coef, params.intercept, gradient, total.diagonal, total.cross
        )
        return total
    curvature = row_curvature(block, params).astype(np.float64)
    Z = centered(block, params.origin)
    total.diagonal[:, :-1] = (Z.power(2) if sparse.issparse(Z) else Z * Z).T.dot(curvature).T
    total.cross[:, :-1] = Z.T.dot(curvature).T
    total.diagonal[:, -1] = total.cross[:, -1] = curvature.sum(axis=0)
    return total


def row_curvature(block, params):
    """Weighted second derivative of the loss by the score of each class, (b, K)."""
    Z = block.X if params.origin is None else block.X - params.origin
    raw = Z @ params.coef.T.astype(Z.dtype) + params.intercept.astype(Z.dtype)
    share = params.loss.predict(raw)
    if len(params.coef) == 1:
        share = share[:, 1:]
    return block.weight[:, None] * share * (1.0 - share)


def add_gram(block, params):
    """`GramSum` of one block; rows whose curvature is a small part of the mean are left out."""
    curvature, origin = params
    curvature = curvature[block.span]
    chosen = np.flatnonzero(curvature > NEGLIGIBLE_CURVATURE * curvature.mean())
    curvature = curvature[chosen]
    Z = block.X[chosen]
    if origin is not None:
        Z -= origin
    root = np.sqrt(curvature)[:, None]
    scaled = np.empty((len(root), Z.shape[1] + 1), dtype=Z.dtype)
    np.multiply(Z, root, out=scaled[:, :-1])
    scaled[:, -1:] = root
    return GramSum((scaled.T @ scaled).astype(np.float64))


def add_rows(block, params):
    """`LossSum` of one block."""
    k, d = params.coef.shape
    gradient = np.zeros((k, d + 1))
    hessian = np.zeros((k * (d + 1),) * 2) if params.with_hessian else None
    given = params.coef, params.intercept, gradient
    if sparse.issparse(block.X) and hessian is None and hasattr(params.loss, "add_sparse"):
        value = params.loss.add_sparse(block, *given)
    elif not sparse.issparse(block.X) and hasattr(params.loss, "add_dense"):
        origin = np.zeros(d, block.X.dtype) if params.origin is None else params.origin
        value = params.loss.add_dense(block, origin, *given, hessian)
    else:
        value = add_in_numpy(block, params, gradient, hessian)
    return LossSum(value, gradient, hessian)


def centered(block, origin):
    """The rows of the block as float64, minus the origin."""
    if sparse.issparse(block.X) or origin is None:
        return block.X.astype(np.float64, copy=False)
    return block.X.astype(np.float64) - origin


def add_in_numpy(block, params, gradient, hessian):
    """What the compiled passes do, for any loss; CSR stays CSR."""
    Z = centered(block, params.origin)
    raw = Z @ params.coef.T + params.intercept
    value, slope = params.loss.value_and_gradient(raw, block.target, block.weight)
    gradient[:, :-1] += (Z.T @ slope).T
    gradient[:, -1] += slope.sum(axis=0)
    if hessian is not None:
        curvature = params.loss.curvature(raw, block.weight)
        k, p = gradient.shape
        for a in range(k):
            for b in range(k):
                part = hessian[a * p : (a + 1) * p, b * p : (b + 1) * p]
                add_bordered_gram(Z, curvature[:, a, b], part)
    return value


def add_bordered_gram(Z, weight, gram):
    """gram += sum weight (z, 1)(z, 1)', of an array or CSR."""
    if sparse.issparse(Z):
        scaled = Z.multiply(weight[:, None]).tocsr()
        gram[:-1, :-1] += (scaled.T @ Z).toarray()
    else:
        gram[:-1, :-1] += (Z * weight[:, None]).T @ Z
    border = Z.T @ weight
    gram[:-1, -1] += border
    gram[-1, :-1] += border
    gram[-1, -1] += weight.sum()

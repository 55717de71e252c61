"""A linear Gaussian model of few latent variables: probabilistic PCA (Tipping and Bishop 1999).

    z ~ N(0, I_q),    x | z ~ N(W z + mean, s I_d),    x ~ N(mean, W W' + s I)

With o the observed cells of a row and y = x_o - mean_o,

    M = I + W_o' W_o / s,   E z = M^-1 W_o' y / s,   Cov z = M^-1,
    -2 log p(x_o) = |o| log(2 pi s) + log |M| + |y - W_o E z|^2 / s + |E z|^2.

The M-step regresses every column on (z, 1). Rows are not grouped by what they miss: with m the
indicator of observed cells, M - I is a product of m and the d products w_j w_j' / s, and so are the
sums that the regressions need. Matrices (q, q) are kept as lower triangles, row after row.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from skgen import kernels

LOG_TWO_PI = np.log(2.0 * np.pi)
# The noise is at least this share of the mean variance of the columns.
NOISE_FLOOR = 1e-10
# Numbers of latent products that are held at a time: they stay in the second-level cache.
LATENT_NUMBERS = 2**16


@dataclass(frozen=True)
class LatentLinear:
    """mean (d,), loadings W (d, q) and the noise variance s."""

    mean: np.ndarray
    loadings: np.ndarray
    noise: float

    def principal(self):
        """The same distribution with orthogonal loadings, the longest first."""
        left, sizes, _ = linalg.svd(self.loadings, full_matrices=False, check_finite=False)
        signs = np.where(left[np.abs(left).argmax(axis=0), np.arange(len(sizes))] < 0.0, -1.0, 1.0)
        return replace(self, loadings=left * (signs * sizes))

    @property
    def gram(self):
        """W' W / s + I (q, q)."""
        q = self.loadings.shape[1]
        return self.loadings.T @ self.loadings / self.noise + np.eye(q)


@dataclass
class LatentMoments:
    """Expected sums over rows, about an origin (d,) that is subtracted from x.

    weight is sum w of rows, log_norm sum w log p(x). Over the rows in which a column is observed:
    cells (d,): sum w, latent (d, q (q + 1) / 2): sum w E z z', first (d, q): sum w E z,
    cross (d, q): sum w y E z, shift (d,): sum w y, square (d,): sum w y^2.
    """

    weight: float
    log_norm: float
    cells: np.ndarray
    latent: np.ndarray
    first: np.ndarray
    cross: np.ndarray
    shift: np.ndarray
    square: np.ndarray
    origin: np.ndarray

    NAMES = ("cells", "latent", "first", "cross", "shift", "square")

    def merge(self, other):
        self.weight += other.weight
        self.log_norm += other.log_norm
        for name in self.NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def scaled(self, factor):
        """The moments of rows of so many times the weight."""
        values = {name: getattr(self, name) * factor for name in self.NAMES}
        return LatentMoments(
            self.weight * factor, self.log_norm * factor, **values, origin=self.origin
        )

    def about(self, origin):
        """The same moments about another origin."""
        step = origin - self.origin
        return replace(
            self,
            cross=self.cross - step[:, None] * self.first,
            shift=self.shift - step * self.cells,
            square=self.square - 2.0 * step * self.shift + step**2 * self.cells,
            origin=origin,
        )


@dataclass(frozen=True)
class Prepared:
    """What the E-step needs of a `LatentLinear`, computed once per iteration."""

    model: LatentLinear
    # w_j w_j' / s, (d, q (q + 1) / 2).
    products: np.ndarray
    # Places of the diagonal in a lower triangle.
    diagonal: np.ndarray

    @classmethod
    def of(cls, model):
        rows, columns = np.tril_indices(model.loadings.shape[1])
        scaled = model.loadings / np.sqrt(model.noise)
        products = np.ascontiguousarray(scaled[:, rows] * scaled[:, columns])
        return cls(model, products, np.flatnonzero(rows == columns))


@dataclass
class Posterior:
    """Of b rows: y and its mask (d, b), mean (q, b) and covariance (q (q + 1) / 2, b) of z, and the
    log density (b,)."""

    y: np.ndarray
    mask: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    log_density: np.ndarray


def posterior(X, prepared):
    """`Posterior` of rows X (b, d), in which NaN marks a missing cell."""
    model = prepared.model
    mask = ~np.isnan(X.T)
    y = np.where(mask, X.T - model.mean[:, None], 0.0)
    cells = mask.astype(np.float64)
    covariance = prepared.products.T @ cells
    covariance[prepared.diagonal] += 1.0
    mean = model.loadings.T @ y
    mean /= model.noise
    log_determinant = np.empty(len(X))
    kernels.posterior.posterior(covariance, mean, log_determinant)
    residual = y - model.loadings @ mean
    residual *= cells
    distance = np.einsum("ij,ij->j", residual, residual) / model.noise
    distance += np.einsum("ij,ij->j", mean, mean)
    counts = cells.sum(axis=0)
    constant = counts * (LOG_TWO_PI + np.log(model.noise)) + log_determinant
    return Posterior(y, cells, mean, covariance, -0.5 * (constant + distance))


def pieces(n, q):
    """Slices of n rows whose latent products stay in the cache."""
    step = max(8, LATENT_NUMBERS // max(q * (q + 1) // 2, 1) // 8 * 8)
    return (slice(start, start + step) for start in range(0, n, step))


def e_step(block, prepared):
    """`LatentMoments` of a block with missing cells, about the mean of the model."""
    model = prepared.model
    d, q = model.loadings.shape
    rows, columns = np.tril_indices(q)
    triangle = len(rows)
    log_norm = 0.0
    by_mask, by_value = np.zeros((d, triangle + q + 1)), np.zeros((d, q + 1))
    square = np.zeros(d)
    for piece in pieces(len(block), q):
        weight = block.weight[piece]
        found = posterior(block.X[piece], prepared)
        features = np.empty((triangle + q + 1, len(weight)))
        features[:triangle] = found.covariance
        features[:triangle] += found.mean[rows] * found.mean[columns]
        features[triangle:-1] = found.mean
        features[-1] = 1.0
        features *= weight
        by_mask += found.mask @ features.T
        by_value += found.y @ features[triangle:].T
        square += np.square(found.y) @ weight
        present = weight > 0.0
        log_norm += float(found.log_density[present] @ weight[present])
    return LatentMoments(
        float(block.weight.sum()), log_norm, by_mask[:, -1], by_mask[:, :triangle],
        by_mask[:, triangle:-1], by_value[:, :-1], by_value[:, -1], square, model.mean,
    )  # fmt: skip


def moments_of_scatter(scatter, prepared):
    """The same of complete rows, from their `ScatterMoments`: no row is looked at."""
    model, weight = prepared.model, scatter.weight
    W, s = model.loadings, model.noise
    d, q = W.shape
    factor = linalg.cho_factor(model.gram, lower=True, check_finite=False)
    gain = linalg.cho_solve(factor, W.T / s, check_finite=False).T
    covariance = linalg.cho_solve(factor, np.eye(q), check_finite=False)
    step = scatter.mean - model.mean
    second = scatter.scatter + weight * np.multiply.outer(step, step)
    cross = second @ gain
    latent = gain.T @ cross
    rest = np.trace(second) - 2.0 * np.sum(W * cross) + np.sum((W @ latent) * W)
    log_determinant = 2.0 * np.log(np.diagonal(factor[0])).sum()
    log_norm = -0.5 * (
        weight * (d * (LOG_TWO_PI + np.log(s)) + log_determinant) + rest / s + np.trace(latent)
    )
    rows, columns = np.tril_indices(q)
    return LatentMoments(
        weight,
        float(log_norm),
        np.full(d, weight),
        np.broadcast_to((latent + weight * covariance)[rows, columns], (d, len(rows))),
        np.broadcast_to(weight * (step @ gain), (d, q)),
        cross,
        weight * step,
        np.diagonal(second),
        model.mean,
    )


def complete_log_density(X, model):
    """log p(x) (b,) of complete rows X (b, d)."""
    d = X.shape[1]
    factor = linalg.cho_factor(model.gram, lower=True, check_finite=False)
    y = X - model.mean
    z = linalg.cho_solve(factor, (y @ model.loadings).T / model.noise, check_finite=False).T
    residual = y - z @ model.loadings.T
    log_determinant = 2.0 * np.log(np.diagonal(factor[0])).sum()
    return -0.5 * (
        d * (LOG_TWO_PI + np.log(model.noise))
        + log_determinant
        + np.einsum("ij,ij->i", residual, residual) / model.noise
        + np.einsum("ij,ij->i", z, z)
    )


def design_of(moments):
    """Expected products of (z, 1) per column (d, q + 1, q + 1), and those with y (d, q + 1)."""
    d, q = moments.cross.shape
    rows, columns = np.tril_indices(q)
    design = np.empty((d, q + 1, q + 1))
    design[:, rows, columns] = moments.latent
    design[:, columns, rows] = moments.latent
    design[:, :q, q] = moments.first
    design[:, q, :q] = moments.first
    design[:, q, q] = moments.cells
    return design, np.column_stack([moments.cross, moments.shift])


class ProbabilisticPCAModel:
    """The model as `skgen.solvers.em.em` takes it; the objective is per unit of weight.

    Parameters
    ----------
    e_step : callable of (block, prepared)
        `e_step`, or `moments_of_scatter` for complete rows.
    floor : float
        Least noise variance.
    precision : float
        Of the normal prior of every loading; 0 for none.
    scale : ndarray of shape (d,)
        Deviations of the columns.
    """

    def __init__(self, e_step, floor, precision, scale):
        self.e_step, self.floor, self.precision, self.scale = e_step, floor, precision, scale

    def prepare(self, params):
        return Prepared.of(params)

    def regularizer(self, params):
        """Log density of the prior of the loadings."""
        if not self.precision:
            return 0.0
        count = params.loadings.size
        return 0.5 * (
            count * (np.log(self.precision) - LOG_TWO_PI)
            - self.precision * float(np.sum(params.loadings**2))
        )

    def value(self, params, moments):
        return (moments.log_norm + self.regularizer(params)) / moments.weight

    merit = value

    def m_step(self, params, moments):
        """Regressions of the columns on (z, 1), then the noise that they leave.

        With a prior the loadings are best for the old noise, and the noise for the new loadings.
        """
        design, target = design_of(moments)
        q = params.loadings.shape[1]
        ridge = design.copy()
        index = np.arange(q)
        ridge[:, index, index] += self.precision * params.noise
        # A column of which nothing was observed in these rows stays as it is.
        seen = moments.cells > 0.0
        ridge[~seen] = np.eye(q + 1)
        try:
            found = np.linalg.solve(ridge, target[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError as error:
            raise ValueError("the regressions of the columns are singular") from error
        found[~seen] = np.column_stack([params.loadings, 0.0 * params.mean])[~seen]
        loadings, mean = found[:, :q], moments.origin + found[:, q]
        mean = np.where(seen, mean, params.mean)
        rest = self._rest(moments, design, target, found)
        noise = max(rest / max(moments.cells.sum(), 1e-300), self.floor)
        return LatentLinear(mean, np.ascontiguousarray(loadings), float(noise))

    @staticmethod
    def _rest(moments, design, target, found):
        """Expected sum of squares that (z, 1) do not explain."""
        fitted = np.einsum("ji,jik,jk->", found, design, found, optimize=True)
        return float(moments.square.sum() - 2.0 * np.sum(found * target) + fitted)

    def expected(self, params, moments):
        """Expected log p(x | z), and the prior: what the M-step climbs."""
        design, target = design_of(moments)
        found = np.column_stack([params.loadings, params.mean - moments.origin])
        rest = self._rest(moments, design, target, found)
        cells = float(moments.cells.sum())
        likelihood = -0.5 * (cells * (LOG_TWO_PI + np.log(params.noise)) + rest / params.noise)
        return likelihood + self.regularizer(params)

    def gain(self, moments, old, new):
        return (self.expected(new, moments) - self.expected(old, moments)) / moments.weight

    def pack(self, params):
        scale = self.scale[:, None]
        return np.concatenate(
            [
                (params.loadings / scale).ravel(),
                params.mean / self.scale,
                [np.log(params.noise)],
            ]
        )

    def unpack(self, vector, like):
        d, q = like.loadings.shape
        loadings = vector[: d * q].reshape(d, q) * self.scale[:, None]
        mean = vector[d * q : -1] * self.scale
        with np.errstate(over="ignore"):
            noise = float(np.exp(vector[-1]))
        if not (np.isfinite(vector).all() and np.isfinite(noise)):
            raise ValueError("no finite parameters")
        return LatentLinear(mean, loadings, max(noise, self.floor))


class OneSum:
    """Complete rows as em() takes them: their scatter is all that there is to add up."""

    dtype = np.dtype(np.float64)

    def __init__(self, scatter):
        self.scatter = scatter

    def sum(self, f, params):
        return f(self.scatter, params)


def closed_form(mean, components, variances, total, floor):
    """The maximum of the likelihood, from the q leading eigenvalues of the covariance.

    Its divisor is the weight. Tipping and Bishop (1999), equations 7 and 8: the noise is the mean
    of the others, W = U (L - s)^(1/2).
    """
    d, q = components.shape[1], len(components)
    noise = max((total - float(variances.sum())) / (d - q), floor)
    lengths = np.sqrt(np.maximum(variances - noise, 0.0))
    return LatentLinear(mean, np.ascontiguousarray(components.T * lengths), noise)

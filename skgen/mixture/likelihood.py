"""The maximum likelihood EM step of a Gaussian mixture.

    value = sum_i w_i log sum_k pi_k N(x_i; mu_k, S_k) / sum_i w_i

A covariance floor `reg_covar` is added to every diagonal by the M-step, as scikit-learn does. That
alone is not the maximum of anything, so a floor that matters makes the likelihood fall. It is
the exact M-step of the penalized model log pi_k N(x; mu_k, S_k) - floor tr(S_k^-1) / 2, in which
each row is blurred by that variance; `penalized` makes the E-step consistent with it, and EM
monotone again.
"""

from dataclasses import dataclass, replace

import numpy as np

from skgen import kernels
from skgen.distributions.gaussian import (
    TINY_COUNT,
    GaussianParams,
    MixtureMoments,
    Scatter,
    log_weights,
)

# Log densities below this have lost the digits that tell components of one covariance apart.
FAR = {4: -1e3, 8: -1e6}


@dataclass(frozen=True)
class Prepared:
    """A mixture in the kernels' layout; `origin` holds the means as rounded there."""

    structure: type
    packed: np.ndarray
    origin: np.ndarray
    factors: np.ndarray
    log_weight: np.ndarray

    def far_responsibilities(self, X):
        """Responsibilities (n, k) of rows whose squared distances swamp what they differ by.

        With one covariance for all the squares of x cancel exactly: what remains is linear in x.
        With several, the squared distances of rows so far away that they overflow differ by
        more than the exponential function can tell, and can be compared at any scale.
        """
        X = np.asarray(X, dtype=np.float64)
        if self.structure.name == "tied":
            means = (self.origin - self.origin[0]) @ self.factors
            with np.errstate(over="ignore", invalid="ignore"):
                rows = (X - self.origin[0]) @ self.factors
                score = rows @ means.T - 0.5 * (means**2).sum(axis=1) + self.log_weight
                score -= score.max(axis=1, keepdims=True)
                result = np.exp(score)
                result /= result.sum(axis=1, keepdims=True)
            if np.isfinite(result).all():
                return result
        return np.eye(len(self.origin))[self.nearest_in_the_limit(X)]

    def nearest_in_the_limit(self, X):
        """Component of the least squared distance, computed at a scale that cannot overflow."""
        scale = np.abs(X).max(axis=1, keepdims=True)
        X, factors = X / scale, self.factors / np.abs(self.factors).max()
        distance = np.empty((len(X), len(self.origin)))
        for k, mean in enumerate(self.origin):
            factor = factors if self.structure.name == "tied" else factors[k]
            z = X - mean / scale
            distance[:, k] = ((z @ factor if np.ndim(factor) == 2 else z * factor) ** 2).sum(axis=1)
        distance[:, np.isneginf(self.log_weight)] = np.inf
        return distance.argmin(axis=1)


@dataclass(frozen=True)
class Likelihood:
    """The EM model; see `skgen.solvers.em` for the contract.

    Attributes
    ----------
    structure : class of `skgen.distributions.gaussian.STRUCTURES`
    dtype : of X
    floor : float
        Variance added to every diagonal.
    penalized : bool
        Whether the E-step knows of the floor.
    scatter : Scatter or None
        Of all rows, for the tied structure.
    """

    structure: type
    dtype: np.dtype
    floor: float = 0.0
    penalized: bool = False
    scatter: Scatter | None = None

    def prepare(self, params):
        weights = log_weights(self.structure, params)
        if self.penalized:
            weights = weights - self.penalty(params)
        return prepare(self.structure, params.means, params.factors, weights, self.dtype)

    def with_floor(self, floor):
        """The same model with another floor."""
        return replace(self, floor=floor)

    def with_penalty(self, penalized):
        """The same model, its E-step aware of the floor or not."""
        return replace(self, penalized=penalized)

    def penalty(self, params):
        """floor tr(S_k^-1) / 2 per component."""
        d = params.means.shape[1]
        return 0.5 * self.floor * self.structure.trace_of_precisions(params.factors, d)

    @staticmethod
    def e_step(block, prepared):
        return e_step(block, prepared)

    @staticmethod
    def value(params, moments):
        value = moments.log_norm / moments.weight
        if not np.isfinite(value):
            raise ValueError(
                "the log likelihood of X overflows: a row of positive weight lies too far from all"
                " components; remove outliers of X, or divide it by a constant"
            )
        return value

    def m_step(self, params, moments):
        return maximize(self.structure, moments, self.floor, self.scatter)


def maximize(structure, moments, floor, scatter):
    """The parameters that maximize the expected log likelihood that `moments` stand for."""
    step = moments.shift / (moments.count + TINY_COUNT)[:, None]
    covariances = structure.estimate(moments, step, floor, scatter)
    return GaussianParams(
        moments.count / moments.count.sum(),
        moments.origin + step,
        covariances,
        structure.factor(covariances, moments.count),
    )


def prepare(structure, means, factors, weights, dtype):
    """Pack a mixture for the kernels; `weights` are `log_weights`."""
    means = np.ascontiguousarray(means, dtype=np.float64)
    factors = np.ascontiguousarray(factors, dtype=np.float64)
    # The tied structure may give one number for all components.
    weights = np.ascontiguousarray(np.broadcast_to(weights, len(means)), dtype=np.float64)
    packed = structure.pack(means, factors, weights, dtype)
    origin = means.astype(dtype).astype(np.float64)
    return Prepared(structure, packed, origin, factors, weights)


def e_step(block, prepared):
    """`MixtureMoments` of one block."""
    k, d = prepared.origin.shape
    count, shift = np.zeros(k), np.zeros((k, d))
    scatter = prepared.structure.empty_scatter(k, d)
    log_norm = prepared.structure.accumulate(
        block.X, block.weight, prepared.packed, count, shift, scatter
    )
    return MixtureMoments(
        float(block.weight.sum()), log_norm, count, shift, scatter, prepared.origin
    )


def log_norms(rows, prepared):
    """log p(x) of every row (n,), float64; a density that underflows is the smallest number."""
    out = rows.map(_log_norms, prepared, np.empty(rows.n_rows))
    return np.maximum(out, -np.finfo(np.float64).max, out=out)


def _log_norms(block, prepared):
    out = np.empty(len(block))
    kernels.gaussian.log_norm(block.X, prepared.packed, out)
    return out


def labels(rows, prepared):
    """The most probable component of every row (n,)."""
    return rows.map(_labels, prepared, np.empty(rows.n_rows, dtype=np.int64))


def _labels(block, prepared):
    out = np.empty(len(block), dtype=np.int64)
    kernels.gaussian.assign(block.X, prepared.packed, out)
    far = far_rows(_log_norms(block, prepared), block, prepared)
    if far.any():
        out[far] = prepared.far_responsibilities(block.X[far]).argmax(axis=1)
    return out


def far_rows(log_norm, block, prepared):
    """Which rows need `far_responsibilities`."""
    if prepared.structure.name != "tied":
        return ~np.isfinite(log_norm)
    return ~(log_norm > FAR[block.X.dtype.itemsize] + prepared.log_weight.max())


def responsibilities(rows, prepared):
    """p(component | x) of every row (n, k) in the dtype of X."""
    out = np.empty((rows.n_rows, len(prepared.origin)), dtype=rows.dtype)
    return rows.map(_responsibilities, prepared, out)


def _responsibilities(block, prepared):
    out = np.empty((len(block), len(prepared.origin)), dtype=block.X.dtype)
    log_norm = np.empty(len(block))
    kernels.gaussian.responsibilities(block.X, prepared.packed, out, log_norm)
    far = far_rows(log_norm, block, prepared)
    if far.any():
        out[far] = prepared.far_responsibilities(block.X[far])
    return out


EVALUATIONS = {
    "log_norm": log_norms,
    "label": labels,
    "responsibilities": responsibilities,
}


def total_scatter(rows, origin):
    """`Scatter` of all rows about `origin`."""
    return rows.sum(_total_scatter, origin)


def _total_scatter(block, origin):
    d = len(origin)
    first, second = np.zeros(d), np.zeros((d, d))
    weight = kernels.gaussian.scatter(block.X, block.weight, origin, first, second)
    return Scatter(weight, first, second, origin)

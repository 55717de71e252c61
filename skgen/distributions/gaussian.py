"""Gaussian components with four covariance structures, estimated from moments.

    log pi_k + log N(x; mu_k, S_k) = log_weight_k - |(x - mu_k) P_k|^2 / 2,   P_k P_k' = S_k^-1

with P_k upper triangular and log_weight_k = log pi_k + log |P_k| - d/2 log(2 pi). An E-step adds
up counts N_k = sum w r, shifts sum w r (x - mu_k) and, for all but the tied structure, scatters
sum w r (x - mu_k)(x - mu_k)', all about the *current* means: nothing cancels however far the data
lie from the origin, and the M-step is mu += shift / N, S = scatter / N - (shift / N)(shift / N)'.

A structure is one class; `STRUCTURES` is its only registration. Bishop (2006), section 9.2.
"""

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from scipy.linalg import lapack

from skgen import kernels

LOG_TWO_PI = float(np.log(2.0 * np.pi))
# Keeps the division by the count of an empty component finite; too small to matter elsewhere,
# however small the weights are.
TINY_COUNT = np.finfo(np.float64).tiny


class DegenerateComponent(ValueError):
    """A component's covariance is not positive definite; `component` is None when shared."""

    def __init__(self, component, count, why):
        super().__init__(component, count, why)
        self.component, self.count, self.why = component, count, why

    def __str__(self):
        if self.component is None:
            return f"the covariance shared by all components {self.why}"
        return f"component {self.component} (weight of its rows: {self.count:.6g}) {self.why}"


@dataclass(frozen=True)
class GaussianParams:
    """A mixture's parameters, float64: weights (k,), means (k, d), covariances and factors."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray

    def __len__(self):
        return len(self.weights)


@dataclass
class MixtureMoments:
    """What one E-step adds up over the rows.

    Attributes
    ----------
    weight, log_norm : float
        sum w and sum w log p(x).
    count : (k,), shift : (k, d), scatter : per structure
        Moments about `origin`. The scatter of the tied structure is one sum over the components, or
        None where the total scatter of the rows stands in for it.
    origin : (k, d)
        The means as the kernel saw them (rounded to X's dtype); not merged.
    pooled : bool
        Whether the scatter is one sum over the components.
    """

    weight: float
    log_norm: float
    count: np.ndarray
    shift: np.ndarray
    scatter: np.ndarray | None
    origin: np.ndarray
    pooled: bool = False

    def merge(self, other):
        self.weight += other.weight
        self.log_norm += other.log_norm
        self.count += other.count
        self.shift += other.shift
        if self.scatter is not None:
            self.scatter += other.scatter
        return self

    def reordered(self, order):
        """The same moments of the components in another order; None leaves them."""
        if order is None:
            return self
        scatter = self.scatter
        if scatter is not None and not self.pooled:
            scatter = scatter[order]
        return replace(
            self,
            count=self.count[order],
            shift=self.shift[order],
            scatter=scatter,
            origin=self.origin[order],
        )

    def about(self, origin, structure):
        """The same moments about another origin, exactly."""
        step = self.origin - origin
        if not step.any():
            return self
        shift = self.shift + self.count[:, None] * step
        scatter = self.scatter
        if scatter is not None:
            scatter = scatter + structure.translation(self.count, self.shift, step)
        return replace(self, shift=shift, scatter=scatter, origin=origin)

    def scaled(self, factor):
        """The moments of rows of `factor` times the weight."""
        return replace(
            self,
            weight=factor * self.weight,
            log_norm=factor * self.log_norm,
            count=factor * self.count,
            shift=factor * self.shift,
            scatter=None if self.scatter is None else factor * self.scatter,
        )


@dataclass
class Scatter:
    """sum w, sum w (x - o) and sum w (x - o)(x - o)' about a fixed origin o."""

    weight: float
    first: np.ndarray
    second: np.ndarray
    origin: np.ndarray

    def merge(self, other):
        self.weight += other.weight
        self.first += other.first
        self.second += other.second
        return self


class Full:
    """One covariance matrix (d, d) per component."""

    name = "full"
    # Whether features may be correlated within a component.
    correlated = True

    @staticmethod
    def shape(k, d):
        return (k, d, d)

    @staticmethod
    def n_parameters(k, d):
        return k * d * (d + 1) // 2

    @staticmethod
    def determined(counts, d):
        """Whether that many rows per component (k,) may have covariances of full rank."""
        return counts.min() > d

    @staticmethod
    def estimate(moments, step, floor, scatter):
        """Covariances from moments about means that now move by `step`."""
        count = moments.count + TINY_COUNT
        covariances = moments.scatter / count[:, None, None]
        covariances -= step[:, :, None] * step[:, None, :]
        diagonal = np.arange(step.shape[1])
        covariances[:, diagonal, diagonal] += floor
        return covariances

    @staticmethod
    def factor(covariances, count):
        """Upper triangular P_k with P_k P_k' the inverse of covariance k."""
        factors = np.empty_like(covariances)
        for k, covariance in enumerate(covariances):
            factors[k] = precision_factor(covariance, k, count)
        return factors

    @staticmethod
    def factor_of_precisions(precisions):
        return np.stack([factor_of_precision(precision) for precision in precisions])

    @staticmethod
    def precisions(factors):
        return factors @ factors.transpose(0, 2, 1)

    @staticmethod
    def covariances_of(factors):
        return np.stack([inverse_gram(factor) for factor in factors])

    @staticmethod
    def log_determinant(factors, d):
        return np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)

    @staticmethod
    def trace_of_precisions(factors, d):
        return (factors**2).sum(axis=(1, 2))

    @staticmethod
    def pack_factors(factors, scale):
        """Unconstrained and without units: log P_jj scale_j, and P_ij / P_jj, i < j, likewise."""
        diagonal = np.diagonal(factors, axis1=-2, axis2=-1)
        i, j = np.triu_indices(len(scale), 1)
        slopes = factors[..., i, j] / diagonal[..., j] * (scale[i] / scale[j])
        return np.concatenate([np.log(diagonal * scale).ravel(), slopes.ravel()])

    @staticmethod
    def unpack_factors(flat, k, d, scale):
        return unpack_triangles(flat, (k,), d, scale)

    @staticmethod
    def squared_lengths(deviations, factors):
        """|deviation_k P_k|^2 per component."""
        return (np.einsum("ki,kij->kj", deviations, factors) ** 2).sum(axis=1)

    @staticmethod
    def total_square(scatter, factors):
        """sum_k tr(P_k' scatter_k P_k)."""
        return float((factors * (scatter @ factors)).sum())

    @staticmethod
    def translation(count, shift, step):
        """What a scatter gains when its origin moves by -step."""
        cross = shift[:, :, None] * step[:, None, :]
        return cross + cross.transpose(0, 2, 1) + count[:, None, None] * _outer(step)

    @staticmethod
    def marginal(covariances, columns):
        """Covariances of these columns."""
        return covariances[:, columns[:, None], columns]

    @staticmethod
    def draw(random_state, covariances, k, size):
        """Rows of N(0, covariance k), by the same draws as scikit-learn's."""
        return random_state.multivariate_normal(np.zeros(size[1]), covariances[k], size[0])

    @staticmethod
    def empty_scatter(k, d):
        return np.zeros((k, d, d))

    @staticmethod
    def pack(means, factors, log_weight, dtype):
        """The model in the layout of the kernels."""
        return kernels.gaussian.pack_full(means, factors, log_weight, dtype)

    @staticmethod
    def accumulate(X, weight, packed, count, shift, scatter):
        """Add a block's moments; return sum w log p(x)."""
        return kernels.gaussian.e_step_full(X, weight, packed, count, shift, scatter)

    @staticmethod
    def accumulate_given(X, weight, memberships, origin, count, shift, scatter):
        """Add a block's moments about `origin` under given memberships."""
        kernels.gaussian.moments_full(X, weight, memberships, origin, count, shift, scatter)

    @staticmethod
    def empty_pooled_scatter(k, d):
        """A scatter to add up to where the total scatter of the rows cannot stand in."""
        return np.zeros((k, d, d))

    @staticmethod
    def pack_completion(means, factors, log_weight):
        """The model in the layout of the kernels of incomplete rows."""
        return kernels.missing.pack_full(means, factors, log_weight)

    @staticmethod
    def accumulate_incomplete(X, weight, order, code, masks, model, count, shift, scatter):
        """Add the expected moments of rows with missing cells; return sum w log p(x)."""
        return kernels.missing.e_step_full(
            X, weight, order, code, masks, model, count, shift, scatter
        )

    @staticmethod
    def accumulate_incomplete_given(
        X, weight, order, code, masks, model, memberships, count, shift, scatter
    ):
        """The same under given memberships."""
        kernels.missing.moments_full(
            X, weight, order, code, masks, model, memberships, count, shift, scatter
        )


class Tied(Full):
    """One covariance matrix (d, d) for all components.

    Its M-step needs the scatter of all rows, which no iteration changes, and the counts and means:
    sum_k sum_i r (x - mu_k)(x - mu_k)' = scatter about the mean - sum_k N_k m_k m_k'.
    """

    name = "tied"

    @staticmethod
    def shape(k, d):
        return (d, d)

    @staticmethod
    def n_parameters(k, d):
        return d * (d + 1) // 2

    @staticmethod
    def determined(counts, d):
        return counts.sum() - len(counts) >= d

    @staticmethod
    def estimate(moments, step, floor, scatter):
        total = moments.count.sum() + TINY_COUNT
        if moments.scatter is not None:
            covariance = (moments.scatter - (moments.count * step.T) @ step) / total
            covariance.flat[:: len(covariance) + 1] += floor
            return covariance
        means = moments.origin + step - scatter.origin
        # About the scatter's own mean both terms are as small as they can be.
        center = scatter.first / scatter.weight
        means = means - center
        within = scatter.second - scatter.weight * np.outer(center, center)
        covariance = (within - (moments.count * means.T) @ means) / total
        covariance.flat[:: len(covariance) + 1] += floor
        return covariance

    @staticmethod
    def factor(covariances, count):
        return precision_factor(covariances, None, count)

    @staticmethod
    def factor_of_precisions(precisions):
        return factor_of_precision(precisions)

    @staticmethod
    def precisions(factors):
        return factors @ factors.T

    @staticmethod
    def covariances_of(factors):
        return inverse_gram(factors)

    @staticmethod
    def log_determinant(factors, d):
        return np.log(np.diagonal(factors)).sum()

    @staticmethod
    def trace_of_precisions(factors, d):
        return (factors**2).sum()

    @staticmethod
    def unpack_factors(flat, k, d, scale):
        return unpack_triangles(flat, (), d, scale)

    @staticmethod
    def squared_lengths(deviations, factors):
        return ((deviations @ factors) ** 2).sum(axis=1)

    @staticmethod
    def translation(count, shift, step):
        cross = shift.T @ step
        return cross + cross.T + (count * step.T) @ step

    @staticmethod
    def marginal(covariances, columns):
        return covariances[columns[:, None], columns]

    @staticmethod
    def draw(random_state, covariances, k, size):
        return random_state.multivariate_normal(np.zeros(size[1]), covariances, size[0])

    @staticmethod
    def empty_scatter(k, d):
        return None

    @staticmethod
    def pack(means, factors, log_weight, dtype):
        return kernels.gaussian.pack_tied(means, factors, log_weight, dtype)

    @staticmethod
    def accumulate(X, weight, packed, count, shift, scatter):
        return kernels.gaussian.e_step_tied(X, weight, packed, count, shift)

    @staticmethod
    def accumulate_given(X, weight, memberships, origin, count, shift, scatter):
        kernels.gaussian.moments_tied(X, weight, memberships, origin, count, shift)

    @staticmethod
    def empty_pooled_scatter(k, d):
        return np.zeros((d, d))

    @staticmethod
    def pack_completion(means, factors, log_weight):
        factors = np.ascontiguousarray(np.broadcast_to(factors, (len(means), *factors.shape)))
        return kernels.missing.pack_full(means, factors, log_weight)

    @staticmethod
    def accumulate_incomplete(X, weight, order, code, masks, model, count, shift, scatter):
        return kernels.missing.e_step_tied(
            X, weight, order, code, masks, model, count, shift, scatter
        )

    @staticmethod
    def accumulate_incomplete_given(
        X, weight, order, code, masks, model, memberships, count, shift, scatter
    ):
        kernels.missing.moments_tied(
            X, weight, order, code, masks, model, memberships, count, shift, scatter
        )


class Diagonal:
    """One variance per component and feature."""

    name = "diag"
    correlated = False

    @staticmethod
    def shape(k, d):
        return (k, d)

    @staticmethod
    def n_parameters(k, d):
        return k * d

    @staticmethod
    def determined(counts, d):
        return counts.min() > 1

    @staticmethod
    def estimate(moments, step, floor, scatter):
        count = moments.count + TINY_COUNT
        # Rounding may leave a variance that is zero a hair below it.
        return np.maximum(moments.scatter / count[:, None] - step**2, 0.0) + floor

    @staticmethod
    def factor(covariances, count):
        return inverse_deviation(covariances, count)

    @staticmethod
    def factor_of_precisions(precisions):
        return np.sqrt(precisions)

    @staticmethod
    def precisions(factors):
        return factors**2

    @staticmethod
    def covariances_of(factors):
        return 1.0 / factors**2

    @staticmethod
    def log_determinant(factors, d):
        return np.log(factors).sum(axis=1)

    @staticmethod
    def trace_of_precisions(factors, d):
        return (factors**2).sum(axis=1)

    @staticmethod
    def pack_factors(factors, scale):
        return np.log(factors * scale).ravel()

    @staticmethod
    def unpack_factors(flat, k, d, scale):
        return np.exp(flat.reshape(k, d)) / scale

    @staticmethod
    def squared_lengths(deviations, factors):
        return ((deviations * factors) ** 2).sum(axis=1)

    @staticmethod
    def total_square(scatter, factors):
        return float((scatter * factors**2).sum())

    @staticmethod
    def translation(count, shift, step):
        return 2.0 * shift * step + count[:, None] * step**2

    @staticmethod
    def marginal(covariances, columns):
        return covariances[:, columns]

    @staticmethod
    def draw(random_state, covariances, k, size):
        return random_state.standard_normal(size) * np.sqrt(covariances[k])

    @staticmethod
    def empty_scatter(k, d):
        return np.zeros((k, d))

    @staticmethod
    def pack(means, factors, log_weight, dtype):
        return kernels.gaussian.pack_diagonal(means, factors, log_weight, dtype)

    @staticmethod
    def accumulate(X, weight, packed, count, shift, scatter):
        return kernels.gaussian.e_step_diagonal(X, weight, packed, count, shift, scatter)

    @staticmethod
    def accumulate_given(X, weight, memberships, origin, count, shift, scatter):
        kernels.gaussian.moments_diagonal(X, weight, memberships, origin, count, shift, scatter)

    @staticmethod
    def empty_pooled_scatter(k, d):
        return np.zeros((k, d))

    @staticmethod
    def pack_completion(means, factors, log_weight):
        return kernels.missing.pack_diagonal(means, factors, log_weight)

    @staticmethod
    def accumulate_incomplete(X, weight, order, code, masks, model, count, shift, scatter):
        return kernels.missing.e_step_diagonal(
            X, weight, order, code, masks, model, count, shift, scatter
        )

    @staticmethod
    def accumulate_incomplete_given(
        X, weight, order, code, masks, model, memberships, count, shift, scatter
    ):
        kernels.missing.moments_diagonal(
            X, weight, order, code, masks, model, memberships, count, shift, scatter
        )


class Spherical(Diagonal):
    """One variance per component."""

    name = "spherical"

    @staticmethod
    def shape(k, d):
        return (k,)

    @staticmethod
    def n_parameters(k, d):
        return k

    @staticmethod
    def estimate(moments, step, floor, scatter):
        return Diagonal.estimate(moments, step, floor, scatter).mean(axis=1)

    @staticmethod
    def log_determinant(factors, d):
        return d * np.log(factors)

    @staticmethod
    def trace_of_precisions(factors, d):
        return d * factors**2

    @staticmethod
    def pack_factors(factors, scale):
        # One deviation for all features: that of the rows about their mean.
        return np.log(factors * np.sqrt(np.mean(scale**2)))

    @staticmethod
    def unpack_factors(flat, k, d, scale):
        return np.exp(flat) / np.sqrt(np.mean(scale**2))

    @staticmethod
    def squared_lengths(deviations, factors):
        return (deviations**2).sum(axis=1) * factors**2

    @staticmethod
    def total_square(scatter, factors):
        return float(scatter.sum(axis=1) @ factors**2)

    @staticmethod
    def marginal(covariances, columns):
        return covariances

    @staticmethod
    def pack(means, factors, log_weight, dtype):
        return kernels.gaussian.pack_spherical(means, factors, log_weight, dtype)

    @staticmethod
    def pack_completion(means, factors, log_weight):
        factors = np.repeat(factors[:, None], means.shape[1], axis=1)
        return kernels.missing.pack_diagonal(means, factors, log_weight)

    @staticmethod
    def accumulate(X, weight, packed, count, shift, scatter):
        return kernels.gaussian.e_step_spherical(X, weight, packed, count, shift, scatter)


STRUCTURES = {structure.name: structure for structure in (Full, Tied, Diagonal, Spherical)}


def expected_log_joint(structure, moments, means, factors, log_weight, scatter=None):
    """sum_i sum_k w r (log_weight_k - |(x - mean_k) P_k|^2 / 2) for the rows that `moments` sum up.

    Exact for any means. `scatter` is of all rows, where the tied structure keeps none.
    """
    if moments.scatter is None:
        within = pooled_scatter(scatter, moments.count, moments.shift, moments.origin)
        moments = replace(moments, scatter=within, pooled=True)
    moments = moments.about(means, structure)
    log_weight = np.broadcast_to(log_weight, len(moments.count))
    present = moments.count > 0.0
    total = float(moments.count[present] @ log_weight[present])
    return total - 0.5 * structure.total_square(moments.scatter, factors)


def _outer(vectors):
    return vectors[:, :, None] * vectors[:, None, :]


def pooled_scatter(scatter, count, shift, origin):
    """sum_k sum_i w r (x - mu_k)(x - mu_k)' from the `Scatter` of the rows and moments about mu."""
    gap = origin - scatter.origin
    cross = shift.T @ gap
    return scatter.second - cross - cross.T - (count * gap.T) @ gap


def precision_factor(covariance, component, count):
    """Upper triangular P with P P' = covariance^-1; DegenerateComponent if there is none."""
    lower, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if not failed:
        inverse, failed = lapack.dtrtri(lower, lower=1, overwrite_c=1)
    # A NaN or an infinity anywhere reaches the sum.
    if failed or not isfinite(inverse.sum()):
        rows = None if component is None else float(count[component])
        raise DegenerateComponent(component, rows, why_degenerate(covariance))
    return np.ascontiguousarray(inverse.T)


def inverse_deviation(variances, count):
    """1 / sqrt(variance); DegenerateComponent where a variance is not positive."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        factors = 1.0 / np.sqrt(variances)
    good = np.isfinite(factors) & (factors > 0.0)
    if not good.all():
        component = int(np.argwhere(~good)[0, 0])
        raise DegenerateComponent(
            component, float(count[component]), "has a variance of zero or one that overflows"
        )
    return factors


def factor_of_precision(precision):
    """Upper triangular P with P P' = precision."""
    # Cholesky of the matrix with rows and columns reversed is lower; reversed back it is upper.
    return np.ascontiguousarray(np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1])


def inverse_gram(factor):
    """(P P')^-1 for an upper triangular P."""
    inverse, _ = lapack.dtrtri(np.asfortranarray(factor), lower=0)
    return inverse.T @ inverse


def unpack_triangles(flat, shape, d, scale):
    """Upper triangular matrices (*shape, d, d) from what `Full.pack_factors` made of them."""
    n_diagonal = int(np.prod(shape, dtype=int)) * d
    diagonal = np.exp(flat[:n_diagonal].reshape(*shape, d)) / scale
    i, j = np.triu_indices(d, 1)
    factors = np.zeros((*shape, d, d))
    slopes = flat[n_diagonal:].reshape(*shape, len(i)) * (scale[j] / scale[i])
    factors[..., i, j] = slopes * diagonal[..., j]
    factors[..., np.arange(d), np.arange(d)] = diagonal
    return factors


def why_degenerate(covariance):
    """What is wrong with a covariance that has no Cholesky factor."""
    if not np.isfinite(covariance).all():
        return "has a covariance that overflows"
    variances = np.diagonal(covariance)
    flat = np.flatnonzero(variances <= 0.0)
    if len(flat):
        return f"has no spread in feature {flat[0]}"
    return "lies in a subspace: some features are linear combinations of others within it"


def log_weights(structure, params):
    """log pi_k + log |P_k| - d/2 log(2 pi), -inf for a weight of zero."""
    d = params.means.shape[1]
    with np.errstate(divide="ignore"):
        return (
            np.log(params.weights)
            + structure.log_determinant(params.factors, d)
            - 0.5 * d * LOG_TWO_PI
        )

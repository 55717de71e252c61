"""Conjugate priors of a Gaussian mixture: what they add to moments, densities, divergences.

    pi ~ Dirichlet(a, ..., a)        mu_k | S_k ~ N(m, S_k / kappa)        S_k ~ inverse
    Wishart(nu, Psi)

Every structure is a set of Wishart distributions of the precisions: one of dimension d per
component ("full") or for all ("tied"), one of dimension 1 per component and feature ("diag", a
gamma distribution of shape nu/2 and rate Psi/2) or per component ("spherical", to which a row adds
d degrees of freedom). `PRECISIONS` is the table. The mode gives maximum a posteriori EM, the
posterior gives mean field.

Fraley and Raftery (2007), Journal of Classification 24; Bishop (2006), section 10.2 and appendix B;
Blei and Jordan (2006), Bayesian Analysis 1, for stick-breaking weights.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, digamma, gammaln

from skgen.distributions.gaussian import (
    LOG_TWO_PI,
    STRUCTURES,
    TINY_COUNT,
    GaussianParams,
    MixtureMoments,
)

LOG_TWO = float(np.log(2.0))
LOG_PI = float(np.log(np.pi))
# A weight of zero counts as this in the density of a Dirichlet prior.
SMALLEST_WEIGHT = float(np.nextafter(0.0, 1.0))
# Rows of a smaller share of the degrees of freedom are lost to rounding.
NEGLIGIBLE = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class GaussianPrior:
    """Of means and covariances.

    Attributes
    ----------
    mean_precision : float
        kappa; 0 for a flat prior of the means.
    mean : (d,)
    degrees_of_freedom : float
        nu
    covariance : (d, d), (d,) or float
        Psi
    """

    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    covariance: np.ndarray

    def log_normalizer(self, precisions):
        """Of the precisions' distributions, computed once; not finite where there is none."""
        known = self.__dict__.get("_log_normalizer")
        if known is None:
            log_det = precisions.log_det_scale(self.covariance)
            m = precisions.dimension(len(self.mean))
            known = log_normalizer(self.degrees_of_freedom, log_det, m)
            self.__dict__["_log_normalizer"] = known
        return known

    def over(self, precisions, columns):
        """The prior of these columns alone."""
        dropped = len(self.mean) - len(columns)
        return GaussianPrior(
            self.mean_precision,
            self.mean[columns],
            precisions.marginal_degrees(self.degrees_of_freedom, dropped),
            precisions.select(self.covariance, columns),
        )


def no_prior(structure, d):
    """A `GaussianPrior` that adds nothing to moments."""
    precisions = PRECISIONS[structure.name]
    return GaussianPrior(0.0, np.zeros(d), -precisions.dimension(d) - 1.0, np.zeros(()))


@dataclass(frozen=True)
class PosteriorParams:
    """The mean-field posterior of a mixture, float64.

    Attributes
    ----------
    weights, means, covariances, factors
        Posterior means as `GaussianParams` has them; the covariances are inverses of the mean
        precisions.
    concentration : (k,), or (2, k) for stick-breaking weights
    mean_precision : (k,)
    degrees_of_freedom : (k,), a scalar for tied
    count : (k,)
        Expected number of rows.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    factors: np.ndarray
    concentration: np.ndarray
    mean_precision: np.ndarray
    degrees_of_freedom: np.ndarray
    count: np.ndarray

    def __len__(self):
        return len(self.weights)


class FullPrecisions:
    """A Wishart distribution of dimension d per component."""

    @staticmethod
    def dimension(d):
        return d

    @staticmethod
    def degrees(count, d):
        """Degrees of freedom that `count` rows per component add."""
        return count

    @staticmethod
    def marginal_degrees(degrees, dropped):
        """Degrees of freedom once that many features are integrated out."""
        return degrees - dropped

    @staticmethod
    def select(scale, columns):
        return scale[..., columns[:, None], columns]

    @staticmethod
    def spread(values):
        """Degrees of freedom or counts, to divide a scale by."""
        return np.asarray(values)[..., None, None]

    @staticmethod
    def aligned(degrees):
        """Degrees of freedom as they broadcast against the Wishart distributions."""
        return np.asarray(degrees, dtype=np.float64)

    @staticmethod
    def outer(weight, deviation):
        """weight deviation deviation' per component."""
        return weight[:, None, None] * deviation[:, :, None] * deviation[:, None, :]

    @staticmethod
    def isotropic(amount, d):
        """A scale with `amount` on its diagonal."""
        return np.asarray(amount)[..., None, None] * np.eye(d)

    @staticmethod
    def scatter(scale, d):
        """A scatter as structures add it up, from a scale without prior."""
        return scale

    @staticmethod
    def log_det(factors, d):
        """log |precision| per Wishart distribution."""
        return 2.0 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1)

    @staticmethod
    def trace(scale, factors):
        """tr(scale precision) per Wishart distribution."""
        return (factors * (scale @ factors)).sum(axis=(-2, -1))

    @staticmethod
    def per_component(values, d):
        """Sum over the Wishart distributions of a component."""
        return values

    @staticmethod
    def log_det_scale(scale):
        """log |scale| of a prior, -inf where it is singular."""
        sign, value = np.linalg.slogdet(scale)
        return value if sign > 0 else -np.inf


class TiedPrecisions(FullPrecisions):
    """One Wishart distribution of dimension d for all components."""

    @staticmethod
    def degrees(count, d):
        return count.sum()

    @staticmethod
    def outer(weight, deviation):
        return (weight * deviation.T) @ deviation


class DiagonalPrecisions:
    """A gamma distribution per component and feature."""

    @staticmethod
    def dimension(d):
        return 1

    @staticmethod
    def degrees(count, d):
        return count

    @staticmethod
    def marginal_degrees(degrees, dropped):
        return degrees

    @staticmethod
    def select(scale, columns):
        return scale[..., columns]

    @staticmethod
    def spread(values):
        return np.asarray(values)[..., None]

    @staticmethod
    def aligned(degrees):
        return np.asarray(degrees, dtype=np.float64)[:, None]

    @staticmethod
    def outer(weight, deviation):
        return weight[:, None] * deviation**2

    @staticmethod
    def isotropic(amount, d):
        return amount[:, None]

    @staticmethod
    def scatter(scale, d):
        return np.maximum(scale, 0.0)

    @staticmethod
    def log_det(factors, d):
        return 2.0 * np.log(factors)

    @staticmethod
    def trace(scale, factors):
        return scale * factors**2

    @staticmethod
    def per_component(values, d):
        return values.sum(axis=1)

    @staticmethod
    def log_det_scale(scale):
        with np.errstate(divide="ignore"):
            return np.log(scale)


class SphericalPrecisions(DiagonalPrecisions):
    """A gamma distribution per component, shared by its features."""

    @staticmethod
    def degrees(count, d):
        return d * count

    @staticmethod
    def select(scale, columns):
        return scale

    @staticmethod
    def spread(values):
        return np.asarray(values)

    @staticmethod
    def aligned(degrees):
        return np.asarray(degrees, dtype=np.float64)

    @staticmethod
    def outer(weight, deviation):
        return weight * (deviation**2).sum(axis=1)

    @staticmethod
    def isotropic(amount, d):
        return amount

    @staticmethod
    def scatter(scale, d):
        # Only the sum over the features counts.
        return np.repeat(np.maximum(scale, 0.0)[:, None] / d, d, axis=1)

    @staticmethod
    def per_component(values, d):
        return d * values


PRECISIONS = {
    "full": FullPrecisions,
    "tied": TiedPrecisions,
    "diag": DiagonalPrecisions,
    "spherical": SphericalPrecisions,
}
assert PRECISIONS.keys() == STRUCTURES.keys()


def shrunk_means(moments, prior):
    """Posterior means (k, d), row means minus the prior's, and kappa N / (kappa + N)."""
    step = moments.shift / (moments.count + TINY_COUNT)[:, None]
    row_means = moments.origin + step
    weight = moments.count + prior.mean_precision + TINY_COUNT
    deviation = row_means - prior.mean
    # Rows that are absent leave the prior mean exactly.
    means = row_means - (prior.mean_precision / weight)[:, None] * deviation
    return means, step, deviation, prior.mean_precision * moments.count / weight


def mode(structure, prior, concentration, moments, floor, scatter):
    """Parameters that maximize the expected log likelihood plus the log prior.

    `floor` is added to every covariance of the rows. A component whose rows weigh less than
    1 - concentration gets weight zero (Figueiredo and Jain 2002).
    """
    precisions = PRECISIONS[structure.name]
    d = moments.origin.shape[1]
    means, step, deviation, between = shrunk_means(moments, prior)
    of_rows = structure.estimate(moments, step, floor, scatter)
    rows = precisions.degrees(moments.count, d)
    degrees = mode_degrees(structure, prior, moments.count, d)
    total = precisions.spread(degrees + TINY_COUNT)
    own = precisions.spread(degrees - rows)
    # (Psi + between + rows of_rows) / (rows + own), in a form that a flat prior leaves alone.
    added = prior.covariance + precisions.outer(between, deviation) - own * of_rows
    covariances = of_rows + added / total
    weights = np.maximum(moments.count + (concentration - 1.0), 0.0)
    if not weights.any():
        weights[moments.count.argmax()] = 1.0
    factors = structure.factor(covariances, moments.count)
    return GaussianParams(weights / weights.sum(), means, covariances, factors)


def moments_behind(structure, prior, means, covariances, degrees, count, floor):
    """The rows' moments that led to these means and covariances, about the rows' means.

    `degrees` is what the scale was divided by. Inverts `mode` and `posterior`.
    """
    precisions = PRECISIONS[structure.name]
    d, pooled = means.shape[1], structure.name == "tied"
    # Of fewer rows nothing but the prior's rounding is left.
    present = count > NEGLIGIBLE * np.asarray(degrees)
    share = np.divide(prior.mean_precision, count, out=np.zeros(len(count)), where=present)
    row_means = means + share[:, None] * (means - prior.mean)
    between = prior.mean_precision * count / (prior.mean_precision + count + TINY_COUNT)
    scale = covariances * precisions.spread(degrees) - prior.covariance
    scale = scale - precisions.outer(between, row_means - prior.mean)
    scale = scale - precisions.isotropic(floor * precisions.degrees(count, d), d)
    if not pooled:
        scale = np.where(precisions.spread(present), scale, 0.0)
    return MixtureMoments(
        float(count.sum()),
        0.0,
        count,
        np.zeros_like(means),
        precisions.scatter(scale, d),
        row_means,
        pooled,
    )


def mode_degrees(structure, prior, count, d):
    """What `mode` divides a scale by."""
    precisions = PRECISIONS[structure.name]
    own = prior.degrees_of_freedom + precisions.dimension(d) + 1.0
    if prior.mean_precision > 0.0:
        own = own + precisions.degrees(np.ones(len(count)), d)
    return own + precisions.degrees(count, d)


def log_prior(structure, prior, concentration, params):
    """log density of the parameters; a prior that has no normalizer contributes its kernel."""
    precisions = PRECISIONS[structure.name]
    k, d = params.means.shape
    total = log_dirichlet(concentration, params.weights)
    log_det = precisions.log_det(params.factors, d)
    if prior.mean_precision > 0.0:
        distance = structure.squared_lengths(params.means - prior.mean, params.factors)
        per_mean = np.broadcast_to(precisions.per_component(log_det, d), k)
        total += 0.5 * float(
            (per_mean + d * np.log(prior.mean_precision / (2.0 * np.pi))).sum()
            - prior.mean_precision * distance.sum()
        )
    m, nu = precisions.dimension(d), prior.degrees_of_freedom
    densities = 0.5 * (nu + m + 1.0) * log_det
    densities = densities - 0.5 * precisions.trace(prior.covariance, params.factors)
    normalizer = prior.log_normalizer(precisions)
    total += float((densities - np.where(np.isfinite(normalizer), normalizer, 0.0)).sum())
    return total


def log_dirichlet(concentration, weights):
    """log density of weights under Dirichlet(concentration, ..., concentration)."""
    k, total = len(weights), 0.0
    if concentration != 1.0:
        logs = np.log(np.maximum(weights, SMALLEST_WEIGHT))
        total = (concentration - 1.0) * float(logs.sum())
    return total + float(gammaln(k * concentration) - k * gammaln(concentration))


def log_normalizer(degrees, log_det_scale, m):
    """Of Wishart distributions of dimension m; NaN or infinite where there is none."""
    degrees = np.asarray(degrees, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        gamma = gammaln(0.5 * (degrees[..., None] - np.arange(m))).sum(axis=-1)
        value = 0.5 * degrees * (m * LOG_TWO - log_det_scale) + gamma
    return np.where(degrees > m - 1.0, value + 0.25 * m * (m - 1) * LOG_PI, np.nan)


class DirichletWeights:
    """pi ~ Dirichlet(a, ..., a)."""

    def __init__(self, concentration):
        self.prior = float(concentration)

    def posterior(self, count):
        return self.prior + count

    def order(self, count):
        """None: the order of components means nothing."""
        return None

    @staticmethod
    def mean(concentration):
        return concentration / concentration.sum()

    @staticmethod
    def expected_log(concentration):
        return digamma(concentration) - digamma(concentration.sum())

    def divergence(self, concentration):
        """KL(posterior, prior)."""
        a, k = self.prior, len(concentration)
        value = gammaln(concentration.sum()) - gammaln(concentration).sum()
        value -= gammaln(k * a) - k * gammaln(a)
        return float(value + (concentration - a) @ self.expected_log(concentration))


class StickBreakingWeights:
    """pi_k = v_k prod_{j<k} (1 - v_j), v_k ~ Beta(1, g), truncated: the last v is one."""

    def __init__(self, concentration):
        self.prior = float(concentration)

    def posterior(self, count):
        behind = np.append(np.cumsum(count[:0:-1])[::-1], 0.0)
        concentration = np.stack([1.0 + count, self.prior + behind])
        concentration[1, -1] = 0.0
        return concentration

    def order(self, count):
        """The order of the largest bound: decreasing size (Kurihara, Welling and Teh 2007).

        The last stick is whole whatever its component's size. Where g > 1 a larger component may
        have to take that place.
        """
        order = np.argsort(-count, kind="stable")
        if self.prior <= 1.0:
            return order
        candidates = [
            np.append(np.delete(order, place), order[place]) for place in range(len(order))
        ]
        evidence = [self.log_evidence(count[candidate]) for candidate in candidates]
        # From behind: the smallest component stays last among equals.
        return candidates[len(order) - 1 - int(np.argmax(evidence[::-1]))]

    def log_evidence(self, count):
        """What the bound gains by sizes in this order, up to a constant."""
        a, b = self.posterior(count)[:, :-1]
        return float(betaln(a, b).sum())

    @staticmethod
    def mean(concentration):
        stick, rest = concentration / concentration.sum(axis=0)
        return stick * np.append(1.0, np.cumprod(rest[:-1]))

    @staticmethod
    def expected_logs(concentration):
        """E log v_k and E log (1 - v_k) of all but the last stick."""
        return digamma(concentration[:, :-1]) - digamma(concentration[:, :-1].sum(axis=0))

    @classmethod
    def expected_log(cls, concentration):
        stick, rest = cls.expected_logs(concentration)
        return np.append(stick, 0.0) + np.append(0.0, np.cumsum(rest))

    def divergence(self, concentration):
        """KL(posterior, prior)."""
        a, b = concentration[:, :-1]
        stick, rest = self.expected_logs(concentration)
        terms = betaln(1.0, self.prior) - betaln(a, b) + (a - 1.0) * stick + (b - self.prior) * rest
        return float(terms.sum())


WEIGHT_PRIORS = {
    "dirichlet_distribution": DirichletWeights,
    "dirichlet_process": StickBreakingWeights,
}


def posterior(structure, prior, weight_prior, moments, floor, scatter):
    """The optimal `PosteriorParams` given the rows' moments (Bishop 2006, 10.58 to 10.63)."""
    moments = moments.reordered(weight_prior.order(moments.count))
    precisions = PRECISIONS[structure.name]
    d = moments.origin.shape[1]
    means, step, deviation, between = shrunk_means(moments, prior)
    rows = precisions.degrees(moments.count, d)
    scale = prior.covariance + precisions.outer(between, deviation)
    scale = scale + precisions.spread(rows) * structure.estimate(moments, step, floor, scatter)
    degrees = prior.degrees_of_freedom + rows
    covariances = scale / precisions.spread(degrees)
    concentration = weight_prior.posterior(moments.count)
    return PosteriorParams(
        weight_prior.mean(concentration),
        means,
        covariances,
        structure.factor(covariances, moments.count),
        concentration,
        prior.mean_precision + moments.count,
        np.asarray(degrees, dtype=np.float64),
        moments.count,
    )


def expected_log_weights(structure, weight_prior, params):
    """What takes the place of log pi_k + log |P_k| - d/2 log 2 pi: expectations of each (10.46)."""
    d = params.means.shape[1]
    return (
        weight_prior.expected_log(params.concentration)
        + 0.5 * expected_log_det(structure, params)
        - 0.5 * d * LOG_TWO_PI
        - 0.5 * d / params.mean_precision
    )


def expected_log_det(structure, params):
    """E log |precision| per component."""
    precisions = PRECISIONS[structure.name]
    d = params.means.shape[1]
    return precisions.per_component(_expected_log_dets(precisions, params, d), d)


def _expected_log_dets(precisions, params, d):
    """E log |precision| per Wishart distribution (Bishop 2006, B.81)."""
    m = precisions.dimension(d)
    degrees = precisions.aligned(params.degrees_of_freedom)
    gap = digamma(0.5 * (degrees[..., None] - np.arange(m))).sum(axis=-1)
    gap = gap + m * (LOG_TWO - np.log(degrees))
    return precisions.log_det(params.factors, d) + gap


def divergence(structure, prior, weight_prior, params):
    """KL(posterior, prior) of all parameters: what the bound subtracts."""
    precisions = PRECISIONS[structure.name]
    d = params.means.shape[1]
    m = precisions.dimension(d)
    total = weight_prior.divergence(params.concentration)
    ratio = prior.mean_precision / params.mean_precision
    distance = structure.squared_lengths(params.means - prior.mean, params.factors)
    total += 0.5 * float(
        (d * (ratio - 1.0 - np.log(ratio)) + prior.mean_precision * distance).sum()
    )
    degrees = precisions.aligned(params.degrees_of_freedom)
    log_det_scale = m * np.log(degrees) - precisions.log_det(params.factors, d)
    terms = (
        prior.log_normalizer(precisions)
        - log_normalizer(degrees, log_det_scale, m)
        + 0.5 * (degrees - prior.degrees_of_freedom) * _expected_log_dets(precisions, params, d)
        - 0.5 * (m * degrees - precisions.trace(prior.covariance, params.factors))
    )
    return total + float(np.sum(terms))

"""Three inferences of one mixture: what the M-step does, what the E-step and the objective see.

    maximum likelihood    value = sum log p(x; theta)
    maximum a posteriori  value = sum log p(x; theta) + log p(theta)
    mean field            value = sum log sum_k exp(E log p(x, k)) - KL(q(theta), p(theta))

The last is the complete evidence lower bound; with one component it is the log evidence. It holds
all constants, so it compares priors and numbers of components. The log posterior does too, but it
is a density of the parameters: numbers of components are compared in the units of X.
"""

from dataclasses import dataclass

import numpy as np

from skgen.distributions import conjugate
from skgen.distributions.gaussian import TINY_COUNT, GaussianParams, log_weights


@dataclass(frozen=True)
class MaximumLikelihood:
    """The parameters that make the rows most probable."""

    # Whether the objective is divided by the weight of the rows.
    per_row = True

    @staticmethod
    def log_weights(structure, params):
        return log_weights(structure, params)

    @staticmethod
    def regularizer(structure, params):
        return 0.0

    @staticmethod
    def update(structure, moments, floor, scatter):
        """The parameters that maximize the expected log likelihood that `moments` stand for."""
        step = moments.shift / (moments.count + TINY_COUNT)[:, None]
        covariances = structure.estimate(moments, step, floor, scatter)
        return GaussianParams(
            moments.count / moments.count.sum(),
            moments.origin + step,
            covariances,
            structure.factor(covariances, moments.count),
        )

    def counts(self, params, weight):
        """Rows per component (k,) from which `update` makes these parameters, of `weight` rows."""
        return weight * params.weights

    def moments(self, structure, params, weight, floor):
        """Moments of rows of that weight from which `update` makes these parameters."""
        return self.moments_of(structure, params, self.counts(params, weight), floor)

    def moments_of(self, structure, params, count, floor):
        """The same for known rows per component."""
        d = params.means.shape[1]
        return conjugate.moments_behind(
            structure,
            conjugate.no_prior(structure, d),
            params.means,
            params.covariances,
            conjugate.PRECISIONS[structure.name].degrees(count, d),
            count,
            floor,
        )

    @staticmethod
    def order(count):
        """The order that `update` brings components into, None for the one they have."""
        return None

    @staticmethod
    def shares(params):
        """The components' shares of the rows, which accelerated runs vary freely."""
        return params.weights

    def rebuild(self, structure, like, shares, means, factors):
        """Parameters of these shares, means and precision factors."""
        return GaussianParams(shares, means, structure.covariances_of(factors), factors)


@dataclass(frozen=True)
class MaximumPosterior(MaximumLikelihood):
    """The parameters of largest posterior density."""

    prior: conjugate.GaussianPrior
    concentration: float

    def regularizer(self, structure, params):
        return conjugate.log_prior(structure, self.prior, self.concentration, params)

    def update(self, structure, moments, floor, scatter):
        return conjugate.mode(structure, self.prior, self.concentration, moments, floor, scatter)

    def counts(self, params, weight):
        alive, extra = params.weights > 0.0, self.concentration - 1.0
        count = params.weights * (weight + extra * alive.sum()) - extra * alive
        return np.maximum(count, 0.0)

    def moments_of(self, structure, params, count, floor):
        degrees = conjugate.mode_degrees(structure, self.prior, count, params.means.shape[1])
        return conjugate.moments_behind(
            structure, self.prior, params.means, params.covariances, degrees, count, floor
        )


@dataclass(frozen=True)
class MeanField:
    """The factorized posterior nearest to the true one."""

    per_row = False

    prior: conjugate.GaussianPrior
    weight_prior: object

    def log_weights(self, structure, params):
        return conjugate.expected_log_weights(structure, self.weight_prior, params)

    def regularizer(self, structure, params):
        return -conjugate.divergence(structure, self.prior, self.weight_prior, params)

    def update(self, structure, moments, floor, scatter):
        return conjugate.posterior(
            structure, self.prior, self.weight_prior, moments, floor, scatter
        )

    def moments(self, structure, params, weight, floor):
        return conjugate.moments_behind(
            structure,
            self.prior,
            params.means,
            params.covariances,
            params.degrees_of_freedom,
            params.count,
            floor,
        )

    def order(self, count):
        return self.weight_prior.order(count)

    @staticmethod
    def shares(params):
        return params.count / params.count.sum()

    def rebuild(self, structure, like, shares, means, factors):
        """The posterior that this many rows per component, these means and precisions stand for."""
        count = like.count.sum() * shares
        rows = conjugate.PRECISIONS[structure.name].degrees(count, means.shape[1])
        concentration = self.weight_prior.posterior(count)
        return conjugate.PosteriorParams(
            self.weight_prior.mean(concentration),
            means,
            structure.covariances_of(factors),
            factors,
            concentration,
            self.prior.mean_precision + count,
            np.asarray(self.prior.degrees_of_freedom + rows),
            count,
        )

    def without(self, structure, params, keep):
        """The posterior of the components `keep` (a mask) alone."""
        shares = params.count[keep] / params.count[keep].sum()
        factors = params.factors if structure.name == "tied" else params.factors[keep]
        return self.rebuild(structure, params, shares, params.means[keep], factors)

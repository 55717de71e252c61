"""The posterior predictive of a mean-field mixture: Student's t distributions.

    p(x | X) = sum_k E[pi_k] t(x; degrees t_k, location m_k, scale (b_k + 1) / (b_k t_k) Psi_k)

t_k = nu_k + 1 - d for Wishart distributions of dimension d; for "diag" a product over the features
with t_k = nu_k, for "spherical" a d-variate distribution with t_k = nu_k. Exact for the factorized
posterior. Bishop (2006), 10.81 to 10.83.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from skgen import kernels
from skgen.distributions import missing
from skgen.distributions.conjugate import PRECISIONS
from skgen.distributions.gaussian import STRUCTURES
from skgen.mixture.conditioning import (
    conditional_components,
    marginal,
    normalized,
)
from skgen.mixture.model import block_responsibilities, log_sums


def student_degrees(structure, params):
    """t_k (k,)."""
    degrees = np.broadcast_to(params.degrees_of_freedom, len(params.means))
    m = PRECISIONS[structure.name].dimension(params.means.shape[1])
    return degrees + 1.0 - m


def log_densities(rows, structure, params, prepared):
    """log p(x) of every row (n,); cells that are missing are integrated out."""
    out = rows.map(_log_densities, (structure, params, prepared), np.empty(rows.n_rows))
    return np.maximum(out, -np.finfo(np.float64).max, out=out)


def _log_densities(block, arguments):
    return log_sums(log_joint(block, *arguments))[0]


def log_joint(block, structure, params, prepared):
    """log E[pi_k] t(x_o; k) of the rows of a block (b, k)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if structure.name == "diag":
            joint = product_log_joint(np.asarray(block.X, dtype=np.float64), params)
        else:
            joint = student_log_joint(structure, params, *distances(block, prepared))
        return np.log(params.weights) + joint


@dataclass(frozen=True)
class StudentImputation:
    """p(component | x_o) under the predictive, and the spread of t distributions given x_o.

    Given x_o, x_u has t + |o| degrees of freedom and a scale that grows with the distance of x_o
    (t and scale as for "diag" do not change: its features are independent within a component).
    """

    structure: type
    params: object
    prepared: object

    def memberships(self, block):
        joint = log_joint(block, self.structure, self.params, self.prepared)
        with np.errstate(over="ignore"):
            shares = np.exp(log_sums(joint)[1])
        far = ~np.isfinite(shares).all(axis=1) | ~(shares.sum(axis=1) > 0.5)
        shares[far] = block_responsibilities(block, self.prepared)[far]
        return shares

    def spread(self, rows, component, random_state):
        params, t = self.params, student_degrees(self.structure, self.params)
        degrees = np.broadcast_to(params.degrees_of_freedom, len(t))
        b = params.mean_precision
        scale = (degrees * (b + 1.0) / b)[component]
        if self.structure.name == "diag":
            chi = random_state.chisquare(t[component, None], size=rows.X.shape)
            return np.sqrt(scale[:, None] / chi)
        distance, observed = np.empty((rows.n_rows, len(t))), np.empty((rows.n_rows, 1))
        rows.map(_marginal_distances, self.prepared, distance)
        rows.map(_observed_cells, self.prepared, observed)
        distance = np.take_along_axis(distance, component[:, None], axis=1)[:, 0]
        with np.errstate(over="ignore"):
            grown = 1.0 + distance * (b / (b + 1.0) / degrees)[component]
        chi = random_state.chisquare(t[component] + observed[:, 0])
        return np.sqrt(scale * np.minimum(grown, np.finfo(np.float64).max / 1e10) / chi)[:, None]


def _marginal_distances(block, prepared):
    return missing.marginal_distances(block, prepared.completion)[0]


def _observed_cells(block, prepared):
    return missing.n_observed(block, prepared.completion)[:, None]


def distances(block, prepared):
    """Squared distances under the mean precisions, half their log determinants, observed cells."""
    k, d = prepared.origin.shape
    if prepared.completion is not None:
        distance, log_scale = missing.marginal_distances(block, prepared.completion)
        return distance, log_scale, missing.n_observed(block, prepared.completion)[:, None]
    joint = np.empty((len(block), k), dtype=block.X.dtype)
    kernels.gaussian.log_joint(block.X, prepared.packed, joint)
    log_scale = prepared.structure.log_determinant(prepared.factors, d)
    return -2.0 * joint.astype(np.float64), log_scale, d


def student_log_joint(structure, params, distance, log_scale, observed):
    """log t(x; k) (b, k) from distances under precisions E[L_k] = nu_k Psi_k^-1."""
    t = student_degrees(structure, params)
    degrees = np.broadcast_to(params.degrees_of_freedom, len(t))
    shrink = params.mean_precision / (params.mean_precision + 1.0)
    return (
        gammaln(0.5 * (t + observed))
        - gammaln(0.5 * t)
        + 0.5 * observed * np.log(shrink / (np.pi * degrees))
        + log_scale
        - 0.5 * (t + observed) * np.log1p(distance * (shrink / degrees))
    )


def product_log_joint(X, params):
    """The same for products of one t distribution per observed feature."""
    joint = np.empty((len(X), len(params.means)))
    for k, (mean, factor) in enumerate(zip(params.means, params.factors, strict=True)):
        nu, b = params.degrees_of_freedom[k], params.mean_precision[k]
        shrink = b / (b + 1.0) / nu
        constant = gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) + 0.5 * np.log(shrink / np.pi)
        z = (X - mean) * factor
        terms = constant + np.log(factor) - 0.5 * (nu + 1.0) * np.log1p(shrink * z**2)
        joint[:, k] = np.where(np.isnan(X), 0.0, terms).sum(axis=1)
    return joint


def draw(random_state, structure, params, k, count):
    """`count` rows of component k."""
    d = params.means.shape[1]
    t = float(student_degrees(structure, params)[k])
    b, nu = params.mean_precision[k], np.broadcast_to(params.degrees_of_freedom, len(params))[k]
    noise = structure.draw(random_state, params.covariances, k, (count, d))
    size = (count, d) if structure.name == "diag" else (count, 1)
    spread = (b + 1.0) / b * nu / random_state.chisquare(t, size=size)
    return params.means[k] + noise * np.sqrt(spread)


def conditional(structure, params, known, others, values):
    """Structure and parameters whose predictive is that of the other columns given values.

    Conditioning a t distribution scales it by (t + distance) / (t + known); one matrix for all
    components becomes one for each.
    """
    t = student_degrees(structure, params)
    degrees = np.broadcast_to(params.degrees_of_freedom, len(t))
    of_known = marginal(structure, params, known)
    shrink = params.mean_precision / (params.mean_precision + 1.0)
    if structure.name == "diag":
        part = replace(params, means=of_known.means, factors=of_known.factors)
        logs = product_log_joint(values[None], part)[0]
        grown, new_degrees = np.ones(len(t)), degrees
    else:
        distance = structure.squared_lengths(values - of_known.means, of_known.factors)
        log_scale = structure.log_determinant(of_known.factors, len(known))
        logs = student_log_joint(structure, params, distance, log_scale, len(known))
        grown = 1.0 + distance * shrink / degrees
        new_degrees = degrees + (len(known) if structure.name == "spherical" else 0)
    weights = normalized(np.log(params.weights) + logs, values)
    means, factors = conditional_components(structure, params, known, others, values)
    covariances = structure.covariances_of(factors)
    if structure.name == "tied":
        structure = STRUCTURES["full"]
        covariances = np.repeat(covariances[None], len(t), axis=0)
    growth = PRECISIONS[structure.name].spread(grown * degrees / new_degrees)
    covariances = np.ascontiguousarray(covariances * growth)
    concentration = reweighted(params.concentration, weights)
    return structure, replace(
        params,
        weights=weights,
        means=means,
        covariances=covariances,
        factors=structure.factor(covariances, weights),
        concentration=concentration,
        degrees_of_freedom=new_degrees.copy(),
    )


def reweighted(concentration, weights):
    """Concentrations of the same sums whose mean weights are `weights`."""
    if concentration.ndim == 1:
        return concentration.sum() * weights
    left = np.cumsum(weights[::-1])[::-1]
    stick = np.divide(weights, left, out=np.ones_like(weights), where=left > 0.0)
    total = concentration.sum(axis=0)
    return np.stack([total * stick, total * (1.0 - stick)])

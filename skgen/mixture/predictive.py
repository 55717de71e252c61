"""The posterior predictive of a mean-field mixture: Student's t distributions.

    p(x | X) = sum_k E[pi_k] t(x; degrees t_k, location m_k, scale (b_k + 1) / (b_k t_k) Psi_k)

t_k = nu_k + 1 - d for Wishart distributions of dimension d; for "diag" a product over the features
with t_k = nu_k, for "spherical" a d-variate distribution with t_k = nu_k. Exact for the factorized
posterior. Bishop (2006), 10.81 to 10.83.
"""

from dataclasses import replace

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
from skgen.mixture.model import log_sums


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
    structure, params, prepared = arguments
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if structure.name == "diag":
            joint = product_log_joint(np.asarray(block.X, dtype=np.float64), params)
        else:
            joint = student_log_joint(structure, params, *distances(block, prepared))
        joint = np.log(params.weights) + joint
    return log_sums(joint)[0]


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

"""Mixtures of fewer columns: marginal, conditional, and the completion of rows.

    p(x_u | x_o) = sum_k p(k | x_o) N(x_u; m_u - L_uu^-1 L_uo (x_o - m_o), L_uu^-1)

with L_k the precision matrix of component k. Bishop (2006), section 2.3.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skgen.base import check_array
from skgen.distributions import conjugate, missing
from skgen.distributions.gaussian import (
    GaussianParams,
    factor_of_precision,
    log_weights,
)
from skgen.mixture.model import block_responsibilities


def resolve_columns(estimator, columns, name):
    """Positions (int array) of columns given by position, name or mask."""
    d = estimator.n_features_in_
    given = np.atleast_1d(np.asarray(columns))
    if given.ndim != 1 or len(given) == 0:
        raise ValueError(f"{name}={columns!r} must be a list of columns with at least one entry")
    if given.dtype.kind in "UO":
        known = list(getattr(estimator, "feature_names_in_", ()))
        absent = [column for column in given if column not in known]
        if absent:
            raise ValueError(
                f"{name}: {str(absent[0])!r} is no column of X; columns are {known[:20]}"
            )
        given = np.array([known.index(column) for column in given])
    elif given.dtype.kind == "b":
        if len(given) != d:
            raise ValueError(f"{name} is a mask of length {len(given)}, but X has {d} columns")
        given = np.flatnonzero(given)
        if len(given) == 0:
            raise ValueError(f"{name} is a mask that selects no column")
    elif given.dtype.kind not in "iu":
        raise TypeError(f"{name}={columns!r} must hold integers, names or booleans")
    if given.min() < -d or given.max() >= d:
        raise ValueError(f"{name}={columns!r} must lie between 0 and {d - 1}: X has {d} columns")
    given = given % d
    if len(np.unique(given)) < len(given):
        raise ValueError(f"{name}={columns!r} names a column twice")
    return given


def check_values(values, columns):
    """Finite values (len(columns),), float64."""
    values = check_array(
        np.atleast_1d(np.asarray(values)), dtype=np.float64, ensure_2d=False, input_name="values"
    )
    if values.shape != (len(columns),):
        raise ValueError(
            f"values must have the shape ({len(columns)},), one per column, but has {values.shape}"
        )
    return values


def marginal(structure, params, columns):
    """Parameters of these columns."""
    covariances = np.ascontiguousarray(structure.marginal(params.covariances, columns))
    return GaussianParams(
        params.weights,
        np.ascontiguousarray(params.means[:, columns]),
        covariances,
        structure.factor(covariances, params.weights),
    )


def marginal_posterior(structure, params, columns):
    """The posterior of these columns' parameters, exact for inverse Wishart distributions."""
    precisions = conjugate.PRECISIONS[structure.name]
    dropped = params.means.shape[1] - len(columns)
    degrees = precisions.marginal_degrees(params.degrees_of_freedom, dropped)
    ratio = precisions.spread(params.degrees_of_freedom / degrees)
    plain = marginal(structure, params, columns)
    covariances = np.ascontiguousarray(plain.covariances * ratio)
    return replace(
        params,
        means=plain.means,
        covariances=covariances,
        factors=structure.factor(covariances, params.weights),
        degrees_of_freedom=degrees,
    )


def conditional(structure, params, known, others, values):
    """Parameters of the other columns given values of some."""
    means, factors = conditional_components(structure, params, known, others, values)
    of_known = marginal(structure, params, known)
    constants = log_weights(structure, of_known)
    distance = structure.squared_lengths(values - of_known.means, of_known.factors)
    weights = normalized(constants - 0.5 * distance, values)
    return GaussianParams(weights, means, structure.covariances_of(factors), factors)


def normalized(logs, values):
    """Probabilities from their logarithms up to a constant."""
    top = logs.max()
    if not np.isfinite(top):
        raise ValueError(
            f"values={values.tolist()} lie too far from every component to condition on"
        )
    weights = np.exp(logs - top)
    return weights / weights.sum()


def conditional_components(structure, params, known, others, values):
    """Means (k, u) and precision factors of the components of the other columns given values."""
    if structure.name in ("diag", "spherical"):
        factors = params.factors if structure.name == "spherical" else params.factors[:, others]
        return np.ascontiguousarray(params.means[:, others]), np.ascontiguousarray(factors)
    shared = structure.name == "tied"
    means, factors = [], []
    for k, mean in enumerate(params.means):
        factor = params.factors if shared else params.factors[k]
        of_others = factor[others] @ factor[others].T
        cross = factor[others] @ (factor[known].T @ (values - mean[known]))
        means.append(mean[others] - cho_solve(cho_factor(of_others, lower=True), cross))
        factors.append(factor_of_precision(of_others))
    return np.stack(means), factors[0] if shared else np.stack(factors)


@dataclass(frozen=True)
class Imputation:
    """p(component | x_o), and how far draws spread about conditional means."""

    structure: type
    prepared: object

    def memberships(self, block):
        """p(component | x_o) of the rows of a block (b, k), float64."""
        return block_responsibilities(block, self.prepared).astype(np.float64)

    def spread(self, rows, component, random_state):
        """A factor of the normal noise of every row, of every cell, or of all."""
        return 1.0


def conditional_means(rows, imputation):
    """Rows whose missing cells hold their conditional means."""
    return rows.map(_conditional_means, imputation, np.empty_like(rows.X, subok=False))


def _conditional_means(block, imputation):
    return missing.complete(block, imputation.prepared.completion, imputation.memberships(block))


def conditional_draws(rows, imputation, random_state):
    """Rows whose missing cells are drawn given the observed ones.

    A draw e of the whole row of a component becomes one given x_o by adding the difference that the
    observed cells make to the conditional mean (Matheron's rule).
    """
    prepared = imputation.prepared
    k, d = prepared.origin.shape
    memberships = rows.map(_memberships, imputation, np.empty((rows.n_rows, k)))
    cumulative = np.cumsum(memberships, axis=1)
    draws = random_state.uniform(size=(rows.n_rows, 1)) * cumulative[:, -1:]
    component = np.minimum((cumulative < draws).sum(axis=1), k - 1)
    noise = random_state.standard_normal((rows.n_rows, d))
    for number in range(k):
        members = component == number
        noise[members] = spread_noise(prepared, number, noise[members])
    means = prepared.completion.means[component]
    holes = np.isnan(rows.X)
    simulated = np.where(holes, np.nan, means + noise)
    chosen = np.eye(k)[component]
    of_rows = complete_all(rows, rows.X, prepared, chosen)
    of_noise = complete_all(rows, simulated, prepared, chosen)
    noise = (means + noise - of_noise) * imputation.spread(rows, component, random_state)
    return np.where(holes, of_rows + noise, rows.X).astype(rows.dtype)


def _memberships(block, imputation):
    return imputation.memberships(block)


def spread_noise(prepared, number, noise):
    """Standard normal rows, made rows of N(0, S_k): noise P_k^-1."""
    name = prepared.structure.name
    factor = prepared.factors if name == "tied" else prepared.factors[number]
    if np.ndim(factor) == 2:
        return np.linalg.solve(factor.T, noise.T).T
    return noise / factor


def complete_all(rows, X, prepared, memberships):
    """Rows X, which have the holes of `rows`, with their conditional means."""
    X = np.ascontiguousarray(X, dtype=np.float64)
    return rows.with_values(X).map(_complete_chosen, (prepared, memberships), np.empty_like(X))


def _complete_chosen(block, params):
    prepared, memberships = params
    return missing.complete(block, prepared.completion, memberships[block.span])

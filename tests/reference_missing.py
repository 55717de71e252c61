"""NumPy twins of the kernels for missing cells, from the covariance of the observed features."""

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp


def covariance(P):
    """(P P')^-1 for an upper triangular P."""
    root = solve_triangular(P, np.eye(len(P)))
    return root.T @ root


def condition(x, missing, mean, S):
    """Distance and log scale of the observed part, deviation and covariance of the whole row."""
    o, u = np.flatnonzero(~missing), np.flatnonzero(missing)
    z, spread = np.zeros(len(x)), np.zeros_like(S)
    z[o] = x[o] - mean[o]
    C = np.linalg.cholesky(S[np.ix_(o, o)])
    white, cross = np.linalg.solve(C, z[o]), np.linalg.solve(C, S[np.ix_(o, u)])
    z[u] = cross.T @ white
    spread[np.ix_(u, u)] = S[np.ix_(u, u)] - cross.T @ cross
    return white @ white, -np.log(np.diag(C)).sum(), z, spread


def conditions(X, missing, means, precision_factors):
    """`condition` for every row and component: arrays [n, k], [n, k], [n, k, d], [n, k, d, d]."""
    covariances = [covariance(P) for P in precision_factors]
    rows = [
        [condition(x, gone, m, S) for m, S in zip(means, covariances, strict=True)]
        for x, gone in zip(np.asarray(X, dtype=np.float64), missing, strict=True)
    ]
    return [np.array([[cell[i] for cell in row] for row in rows]) for i in range(4)]


def log_joint(distance, log_scale, missing, log_weight, precision_factors):
    """log p(x_o, k); log_weight holds log|P_k| - d/2 log 2 pi."""
    log_det = np.log(np.abs(np.einsum("kii->ki", precision_factors))).sum(axis=1)
    free = missing.sum(axis=1)[:, None] * 0.5 * np.log(2 * np.pi)
    return log_weight - log_det + free + log_scale - distance / 2


def log_norm(joint):
    return logsumexp(joint, axis=1)


def responsibilities(joint):
    return np.exp(joint - log_norm(joint)[:, None])


def moments(weight, R, z, spread):
    """Counts [k], first [k, d] and second [k, d, d] expected moments about the means."""
    k, d = z.shape[1:]
    counts, first, second = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    for w, r, deviations, spreads in zip(weight, R, z, spread, strict=True):
        for c in range(k):
            share = w * r[c]
            counts[c] += share
            first[c] += share * deviations[c]
            second[c] += share * (np.outer(deviations[c], deviations[c]) + spreads[c])
    return counts, first, second


def complete(X, missing, R, means, z):
    """X with the conditional means, averaged over the components, in its missing cells."""
    filled = np.einsum("nk,nkd->nd", R, means + z)
    return np.where(missing, filled, np.asarray(X, dtype=np.float64))

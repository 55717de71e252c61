"""NumPy twins of the Gaussian kernels, in float64, one expression per formula."""

import numpy as np
from scipy.special import logsumexp


def log_joint(X, means, precision_factors, log_weight):
    """log_weight_k - |(x - mean_k) P_k|^2 / 2, precision_factors [k, d, d]."""
    X = np.asarray(X, dtype=np.float64)
    columns = []
    with np.errstate(all="ignore"):
        for mean, P, constant in zip(means, precision_factors, log_weight, strict=True):
            y = (X - mean) @ P
            columns.append(constant - 0.5 * np.einsum("ij,ij->i", y, y))
    return np.stack(columns, axis=1)


def log_norm(joint):
    return logsumexp(joint, axis=1)


def responsibilities(joint):
    return np.exp(joint - log_norm(joint)[:, None])


def moments(X, weight, R, origin):
    """Counts [k], first [k, d] and second [k, d, d] moments about origin [k, d]."""
    X = np.asarray(X, dtype=np.float64)
    R = weight[:, None] * np.asarray(R, dtype=np.float64)
    first, second = [], []
    for r, center in zip(R.T, origin, strict=True):
        z = X - center
        first.append(r @ z)
        second.append((r[:, None] * z).T @ z)
    return R.sum(axis=0), np.array(first), np.array(second)


def scatter(X, weight, origin):
    z = np.asarray(X, dtype=np.float64) - origin
    return weight.sum(), weight @ z, (weight[:, None] * z).T @ z

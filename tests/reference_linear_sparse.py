"""What the CSR kernels of linear models compute, written in NumPy on dense arrays."""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax


def with_ones(X):
    return np.column_stack([np.asarray(X, dtype=np.float64), np.ones(len(X))])


def logistic(X, weight, target, coef, intercept):
    """Value, gradient (d + 1), Hessian diagonal (d + 1) and its cross terms (d + 1)."""
    Z = with_ones(X)
    z = Z @ np.append(coef, intercept)
    value = -weight @ log_expit(np.where(target == 1, z, -z))
    residual = weight * np.where(target == 1, -expit(-z), expit(z))
    curvature = weight * expit(z) * expit(-z)
    return value, Z.T @ residual, (Z**2).T @ curvature, Z.T @ curvature


def softmax_sums(X, weight, target, turned, intercept):
    """The same for K classes; arrays (d + 1, K)."""
    Z = with_ones(X)
    raw = Z @ np.vstack([turned, intercept])
    rows = np.arange(len(X))
    value = -weight @ log_softmax(raw, axis=1)[rows, target]
    share = softmax(raw, axis=1)
    residual = share.copy()
    residual[rows, target] -= 1.0
    curvature = weight[:, None] * share * (1.0 - share)
    return value, Z.T @ (weight[:, None] * residual), (Z**2).T @ curvature, Z.T @ curvature

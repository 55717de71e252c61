"""NumPy twins of the linear kernels, in float64, one expression per formula."""

import numpy as np


def scores(X, origin, coef, intercept):
    """raw (b, K) of coef (K, d) and intercept (K,)."""
    z = np.asarray(X, np.float64) - np.asarray(origin, np.float64)
    return z @ coef.T + intercept


def with_ones(X, origin):
    """(z, 1), the rows that derivatives are sums of."""
    z = np.asarray(X, np.float64) - np.asarray(origin, np.float64)
    return np.column_stack([z, np.ones(len(z))])


def sigmoid(raw):
    e = np.exp(-np.abs(raw))
    return np.where(raw > 0, 1, e) / (1 + e)


def logistic(X, origin, weight, target, coef, intercept):
    """Value, gradient (d + 1,), Hessian (d + 1, d + 1) and the curvature of each row."""
    raw = scores(X, origin, coef[None], np.array([intercept]))[:, 0]
    sign = 2.0 * target - 1
    margin = sign * raw
    losses = np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin)))
    residual = -sign * weight * sigmoid(-margin)
    curvature = weight * sigmoid(raw) * sigmoid(-raw)
    Z = with_ones(X, origin)
    return weight @ losses, Z.T @ residual, (Z.T * curvature) @ Z, curvature


def others(raw):
    """sum over the other classes of exp(raw_other - raw_k), so that p_k = 1 / (1 + others)."""
    difference = raw[:, None, :] - raw[:, :, None]
    with np.errstate(over="ignore"):
        powers = np.exp(difference)
    return powers.sum(axis=2) - np.diagonal(powers, axis1=1, axis2=2)


def softmax(raw):
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def log_softmax(raw):
    """The largest probability without the rounding of 1 + rest."""
    top = raw.argmax(axis=1)[:, None]
    shifted = raw - np.take_along_axis(raw, top, axis=1)
    powers = np.exp(shifted)
    np.put_along_axis(powers, top, 0, axis=1)
    return shifted - np.log1p(powers.sum(axis=1, keepdims=True))


def softmax_loss(X, origin, weight, coef, intercept, target):
    """Value and gradient (K, d + 1)."""
    raw = scores(X, origin, coef, intercept)
    rows = np.arange(len(raw))
    residual = softmax(raw)
    residual[rows, target] -= 1
    value = -weight @ log_softmax(raw)[rows, target]
    return value, (weight[:, None] * residual).T @ with_ones(X, origin)


def softmax_hessian(X, origin, weight, coef, intercept):
    """(K (d + 1), K (d + 1)), index k (d + 1) + j."""
    raw = scores(X, origin, coef, intercept)
    p, rest, Z = softmax(raw), others(raw), with_ones(X, origin)
    doubt = 1 / (1 + 1 / np.maximum(rest, 1e-300))
    classes, size = p.shape[1], Z.shape[1]
    hessian = np.empty((classes, size, classes, size))
    for k in range(classes):
        for m in range(classes):
            second = weight * p[:, k] * (doubt[:, k] if k == m else -p[:, m])
            hessian[k, :, m, :] = (Z.T * second) @ Z
    return hessian.reshape(classes * size, classes * size)

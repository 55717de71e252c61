"""NumPy twins of the coordinate descent kernels, written for clarity, in float64."""

import numpy as np


def soft_threshold(x, strength):
    return np.sign(x) * max(abs(x) - strength, 0.0)


def sweep_gram(hessian, l1, order, u, slope, sweeps, tolerance):
    """New u, new slope, last largest move."""
    u, slope, largest = u.copy(), slope.copy(), 0.0
    for _ in range(sweeps):
        largest = 0.0
        for j in order:
            curvature = hessian[j, j]
            if curvature <= 0.0:
                continue
            new = soft_threshold(curvature * u[j] - slope[j], l1[j]) / curvature
            slope += (new - u[j]) * hessian[j]
            largest = max(largest, abs(new - u[j]) * np.sqrt(curvature))
            u[j] = new
        if largest <= tolerance:
            break
    return u, slope, largest


def model_value(hessian, l1, w, gradient, u):
    step = u - w
    return gradient @ step + 0.5 * step @ hessian @ step + l1 @ np.abs(u)

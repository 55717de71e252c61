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


def sweep_columns(X, h, gradient, l1, l2, w, order, u, step_scores, level, share):
    """One class: new u, and the columns that stay; `step_scores` is X (u - w), `level` see below.

    With an intercept at its optimum -share * level, where level = sum of residuals and h X (u - w).
    """
    u, scores, stays = u.copy(), step_scores.copy(), []
    cross = X.T @ h
    bend = (X * X).T @ h - share * cross**2 + l2
    for j in order:
        slope = gradient[j] + l2[j] * (u[j] - w[j]) + X[:, j] @ (h * scores)
        slope -= share * cross[j] * level
        if u[j] == 0.0 and abs(slope) <= l1[j]:
            continue
        stays.append(j)
        change = soft_threshold(bend[j] * u[j] - slope, l1[j]) / bend[j] - u[j]
        u[j] += change
        scores += change * X[:, j]
        level += change * cross[j]
    return u, stays, level


def softmax_model_value(X, share, weight, gradient, l1, l2, w, u):
    """The quadratic model of a softmax loss with its penalties, at u."""
    step = u - w
    scores = X @ step
    bent = weight[:, None] * share * (scores - (share * scores).sum(axis=1, keepdims=True))
    smooth = (gradient * step).sum() + 0.5 * (scores * bent).sum() + 0.5 * (l2 * step**2).sum()
    return smooth + (l1 * np.abs(u)).sum()

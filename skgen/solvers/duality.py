"""How far a point is from the optimum of a smooth loss plus an elastic net.

    J(w) = L(w) + sum_j [ l2_j w_j^2 / 2 + l1_j |w_j| ],     L the mean of convex losses f >= 0

With g = L'(w), the residuals of the rows times a in [0, 1] are dual feasible as far as L goes, and
f*(a r) <= a f*(r) because f*(0) = -min f <= 0, hence without another look at the data

    J(w*) >= a (L(w) - w'g) - sum_j (a |g_j| - l1_j)_+^2 / (2 l2_j)          for every such a,

where a |g_j| <= l1_j is required of coordinates with l2_j = 0. The best a gives the bound. It is
zero at the optimum and never negative. Ndiaye, Fercoq, Gramfort and Salmon (2017) for the scaled
residuals; the convexity in `a` replaces their evaluation of f*.
"""

import numpy as np

# Halvings of the interval that holds the best scale.
BISECTIONS = 40


def minimal_subgradient(gradient, w, l1):
    """The shortest subgradient of J, given the gradient of its smooth part."""
    return np.where(
        w != 0.0,
        gradient + l1 * np.sign(w),
        np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0.0),
    )


def lower_bound(loss, slope, w, l1, l2):
    """A number that J exceeds everywhere; `loss` and `slope` are L and its gradient at `w`.

    Coordinates without penalty have to be at their optimum: their slope is taken for zero.
    """
    penalized = (l1 > 0.0) | (l2 > 0.0)
    steep, l1, l2 = np.abs(slope[penalized]), l1[penalized], l2[penalized]
    height = loss - float(slope[penalized] @ w[penalized])
    hard = l2 == 0.0
    violated = hard & (steep > l1)
    high = float((l1[violated] / steep[violated]).min()) if violated.any() else 1.0
    soft = ~hard & (high * steep > l1)
    steep, l1, l2 = steep[soft], l1[soft], l2[soft]

    def rise(scale):
        return height - float((steep * np.maximum(scale * steep - l1, 0.0) / l2).sum())

    scale = high
    if rise(high) < 0.0:
        low = 0.0
        for _ in range(BISECTIONS):
            scale = 0.5 * (low + high)
            low, high = (scale, high) if rise(scale) > 0.0 else (low, scale)
    return scale * height - 0.5 * float((np.maximum(scale * steep - l1, 0.0) ** 2 / l2).sum())

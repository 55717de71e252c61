"""One step upward where no formula gives the top: the M-step of generalized EM.

    vector + t d,    d = P gradient,    t = step, step / 2, step / 4, ...

The first t is taken at which the value has risen by a share of what the slope promises (Armijo
1966). EM with an M-step that only raises the expected complete log likelihood, instead of
maximizing it, raises its objective by at least as much (Dempster, Laird and Rubin 1977).

A rise has to show in floating-point numbers. Near a limit that takes a value of the size of its
changes: a mean over the rows, constants left out, is better than their sum with an offset.
"""

import math

import numpy as np

# Share of the rise along the slope that a step must reach. A quadratic rises by half of it on the
# way to its top along the line, which Newton's method goes to.
SUFFICIENT_RISE = 0.25
MOST_TRIALS = 100
# Doubled as long as the value rises in a straight line.
LONGEST_STEP = 1e20
ROUNDING = np.finfo(np.float64).eps


def ascend(value_and_gradient, vector, step=1.0, precondition=None):
    """A vector where the value is higher, or `vector` itself; never one where it is lower.

    Parameters
    ----------
    value_and_gradient : callable of an ndarray of shape (p,)
        Returns the value, a number, and its gradient, of shape (p,). A trial at which the value is
        NaN or infinite, or which raises ValueError, is rejected.
    vector : ndarray of shape (p,)
    step : float
        The multiple of the direction to try first.
    precondition : callable of the gradient (p,), or None
        Returns the direction (p,); None for the gradient itself. With the inverse of minus the
        Hessian this is Newton's step. The gradient takes the place of a direction that does not
        lead upward.

    Returns
    -------
    vector : ndarray of shape (p,)
        `vector` itself where no trial raises the value beyond rounding, or where the value or the
        slope at `vector` is not finite.
    step : float
        What to try first at the next call: twice the step if it was taken at once, else the one
        taken. Newton's method is better served by 1 every time.

    Raises
    ------
    ValueError
        If `step` is not positive and finite, or from `value_and_gradient` at `vector`.
    """
    if not 0.0 < step < math.inf:
        raise ValueError(f"step must be positive and finite, got {step}")
    value, gradient = value_and_gradient(vector)
    direction, slope = uphill(gradient, precondition)
    if not (math.isfinite(value) and 0.0 < slope < math.inf):
        return vector, step
    length = step
    for _ in range(MOST_TRIALS):
        if not length * slope > ROUNDING * abs(value):
            break
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            trial = vector + length * direction
            reached = value_at(value_and_gradient, trial)
        if value + SUFFICIENT_RISE * length * slope <= reached < math.inf:
            return trial, min(2.0 * length, LONGEST_STEP) if length == step else length
        length *= 0.5
    return vector, step


def uphill(gradient, precondition):
    """The direction and the slope along it."""
    with np.errstate(over="ignore", invalid="ignore"):
        if precondition is not None:
            direction = precondition(gradient)
            slope = float(gradient @ direction)
            if 0.0 < slope < math.inf:
                return direction, slope
        return gradient, float(gradient @ gradient)


def value_at(value_and_gradient, vector):
    """The value, NaN where there is none."""
    try:
        return float(value_and_gradient(vector)[0])
    except ValueError:
        return math.nan

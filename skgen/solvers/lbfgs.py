"""Limited-memory BFGS: curvature from the last few steps, started from a preconditioner.

    w <- w + t d,     d = -H g,     H from pairs (s, y) of changes of w and of the gradient g

The product H g takes two loops over the pairs (Nocedal and Wright 2006, algorithm 7.4) around
``precondition(g)``, an approximation of (Hessian)^-1 g; without one, around the usual multiple of
g. The step t obeys the strong Wolfe conditions, found by cubic interpolation (algorithms 3.5 and
3.6). Close to the optimum the value is all rounding while the gradient still tells: there the
approximate Wolfe conditions of Hager and Zhang (2005, equation 4.1) replace sufficient decrease.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import daxpy

from skgen.solvers.solution import Solution

SUFFICIENT_DECREASE = 1e-4
# A step is long enough, and short enough, when the slope along it has fallen to this share.
CURVATURE = 0.9
# Evaluations along one direction.
MOST_TRIALS = 30
# So many steps in a row may change value and gradient by nothing but rounding.
MOST_IN_VAIN = 40
ROUNDING = 4.0 * np.finfo(np.float64).eps
# What is left to fall may be so many times what the metric says.
MOST_FLATTERING = 100.0
# A pair of changes whose curvature is a smaller share of their lengths is rounding.
LEAST_CURVATURE = 1e-14


def lbfgs(objective, w, rows, monitor, *, memory=10, precondition=None, renew=None, max_steps=None):
    """Minimize from `w`; ``objective.value_and_gradient(w, rows)`` is called for every trial.

    Parameters
    ----------
    objective : object with value_and_gradient and gradient_norm
    w : ndarray of shape (p,)
    rows : Rows
    monitor : DescentMonitor
    memory : int
        Steps that are remembered; 2 (memory) vectors of p numbers.
    precondition : callable of g (p,), or None
        A symmetric positive definite approximation of the inverse Hessian, times g.
    renew : callable of w with a method due(n_iter, gap, goal, left), or None
        A new `precondition` for there, asked for after iterations that are `due`.
    max_steps : int, or None
        Return after so many iterations, whatever the monitor says.

    Returns
    -------
    Solution
    """
    here = evaluate(objective, w, rows)
    noise = 8.0 * np.finfo(rows.dtype).eps
    pairs = Pairs(memory, precondition, renew is not None)
    direction, falls = pairs.descend(here.gradient), Falls(here.value)
    first, last = len(monitor.history), monitor.max_iter
    if max_steps is not None:
        last = min(last, first + max_steps)
    while len(monitor.history) < last:
        monitor.begin()
        there = search(objective, rows, here, direction, noise, pairs.first_step(here.gradient))
        if there is None and pairs.count:
            pairs.forget()
            direction = pairs.descend(here.gradient)
            there = search(objective, rows, here, direction, noise, pairs.first_step(here.gradient))
        if there is not None:
            pairs.add(there.w - here.w, there.gradient - here.gradient)
            falls.add(there)
            here = there
            direction = pairs.descend(here.gradient)
        # The metric may be flattering, but not without bounds.
        gap = -0.5 * float(here.gradient @ direction)
        gap = max(gap, min(falls.ahead(), MOST_FLATTERING * gap))
        gradient_norm = objective.gradient_norm(here.gradient)
        if monitor.end(here.value, here.w, gradient_norm, gap):
            break
        if there is None or falls.in_vain == MOST_IN_VAIN:
            monitor.settle(
                f"no step lowers the objective beyond rounding; gradient norm {gradient_norm:.2g}",
                gap <= max(noise, 1e-3 * monitor.tol) * max(abs(here.value), 1e-6),
            )
            break
        n_iter = len(monitor.history)
        goal = monitor.goal(here.value)
        left = last - n_iter
        if renew is not None and left and renew.due(n_iter - first, gap, goal, left):
            pairs.precondition = renew(here.w)
            direction = pairs.descend(here.gradient)
    return Solution(
        here.w, here.value, len(monitor.history), monitor.converged, monitor.reason, monitor.history
    )


@dataclass(frozen=True, slots=True)
class Point:
    """Parameters with the value and the gradient there."""

    w: np.ndarray
    value: float
    gradient: np.ndarray


def evaluate(objective, w, rows):
    return Point(w, *objective.value_and_gradient(w, rows))


class Pairs:
    """Changes of parameters and gradient over the last steps: an approximate inverse Hessian."""

    def __init__(self, memory, precondition, follows):
        self.steps, self.changes, self.curvatures = [], [], []
        self.memory, self.precondition = memory, precondition
        # Where curvature drifts, the preconditioner is scaled halfway to what the newest pair says.
        self.follows, self.scale = follows, 1.0

    @property
    def count(self):
        return len(self.steps)

    def forget(self):
        self.steps.clear()
        self.changes.clear()
        self.curvatures.clear()
        self.scale = 1.0

    def add(self, step, change):
        """Remember a pair, unless its curvature is not positive."""
        curvature = float(step @ change)
        size = float(np.linalg.norm(step)) * float(np.linalg.norm(change))
        if not curvature > LEAST_CURVATURE * size:
            return
        if self.count == self.memory:
            del self.steps[0], self.changes[0], self.curvatures[0]
        self.steps.append(step)
        self.changes.append(change)
        self.curvatures.append(curvature)
        if self.precondition is None:
            self.scale = curvature / float(change @ change)
        elif self.follows:
            known = float(change @ self.precondition(change))
            self.scale = float(np.sqrt(curvature / known))

    def descend(self, gradient):
        """-H gradient."""
        direction = -gradient
        shares = [0.0] * self.count
        for i in reversed(range(self.count)):
            shares[i] = float(self.steps[i] @ direction) / self.curvatures[i]
            direction = daxpy(self.changes[i], direction, a=-shares[i])
        if self.precondition is not None:
            direction = self.precondition(direction)
        if self.scale != 1.0:
            direction *= self.scale
        for i in range(self.count):
            share = float(self.changes[i] @ direction) / self.curvatures[i]
            direction = daxpy(self.steps[i], direction, a=shares[i] - share)
        return direction

    def first_step(self, gradient):
        """The length to try first: 1, or a step of at most length 1 where no scale is known."""
        if self.count or self.precondition is not None:
            return 1.0
        length = float(np.linalg.norm(gradient))
        return min(1.0, 1.0 / length) if length > 0.0 else 1.0


class Falls:
    """How the value fell so far, and for how long only by rounding."""

    def __init__(self, value):
        self.values = [value]
        self.lowest_norm = np.inf
        self.in_vain = 0

    def add(self, point):
        norm = float(np.abs(point.gradient).max())
        fall = self.values[-1] - point.value
        progress = fall > ROUNDING * abs(point.value) or norm < 0.9 * self.lowest_norm
        self.in_vain = 0 if progress else self.in_vain + 1
        self.lowest_norm = min(norm, self.lowest_norm)
        self.values.append(point.value)

    def ahead(self):
        """What is still to fall if the falls go on shrinking at the same ratio, at most 9 / 10."""
        # Falls of single steps say little where many small ones are needed.
        width = min(max(len(self.values) // 8, 1), 5)
        if len(self.values) <= 2 * width:
            return 0.0
        first, middle, last = self.values[-1 - 2 * width], self.values[-1 - width], self.values[-1]
        before, recent = first - middle, max(middle - last, 0.0)
        ratio = min(recent / before, 0.9) if before > 0.0 else 0.0
        return recent * ratio / (1.0 - ratio)


@dataclass(frozen=True, slots=True)
class Trial:
    """A step length, the value and the slope along the direction there."""

    length: float
    value: float
    slope: float


def search(objective, rows, start, direction, noise, length):
    """The `Point` a good step along `direction` leads to, None if there is no such step."""
    low = first = Trial(0.0, start.value, float(start.gradient @ direction))
    if not first.slope < 0.0:
        return None
    noise *= max(abs(first.value), 1e-30)
    high, fallback = None, None
    for _ in range(MOST_TRIALS):
        point = evaluate(objective, start.w + length * direction, rows)
        trial = Trial(length, point.value, float(point.gradient @ direction))
        if not falls_enough(first, trial, noise):
            high = trial
        elif abs(trial.slope) <= -CURVATURE * first.slope:
            return point
        else:
            fallback = point
            if trial.slope < 0.0:
                low = trial
            else:
                high = trial
        length = between(low, high) if high is not None else beyond(first, low)
        if high is not None and not abs(high.length - low.length) > 1e-12 * high.length:
            break
    # Curvature was not to be had, but the value is lower.
    return fallback


def falls_enough(first, trial, noise):
    """Armijo's condition or, where the values differ by rounding, Hager and Zhang's."""
    if not np.isfinite(trial.value + trial.slope):
        return False
    if trial.value <= first.value + SUFFICIENT_DECREASE * trial.length * first.slope:
        return True
    return abs(trial.value - first.value) <= noise and trial.slope <= -0.8 * first.slope


def between(low, high):
    """The minimizer of the cubic through both ends, kept off them; `low` is the shorter step."""
    width = high.length - low.length
    if not np.isfinite(high.value + high.slope):
        return low.length + 0.1 * width
    with np.errstate(all="ignore"):
        chord = 3.0 * (low.value - high.value) / width + low.slope + high.slope
        root = np.sqrt(chord * chord - low.slope * high.slope)
        share = 1.0 - (high.slope + root - chord) / (high.slope - low.slope + 2.0 * root)
    if not np.isfinite(share):
        share = 0.5
    return low.length + float(np.clip(share, 0.1, 0.9)) * width


def beyond(first, low):
    """A longer step: where the slope would vanish if it went on rising, 2 to 10 times as long."""
    rise = (low.slope - first.slope) / low.length
    length = low.length - low.slope / rise if rise > 0.0 else np.inf
    return float(np.clip(length, 2.0 * low.length, 10.0 * low.length))

"""Proximal Newton for a smooth convex loss plus an elastic net, with the Hessian at hand.

    D = argmin  g'D + D'HD / 2 + sum_j l1_j |w_j + D_j|        w <- w + t D,  t = 1, 1/2, ...

Coordinate descent finds which coordinates are zero, and a Cholesky factor of the others solves
the model to the last digit however badly it is conditioned; the two alternate until the model is
solved as well as the outer step deserves. The step is shortened until J falls enough (Armijo),
so near the optimum, where the zeros no longer change, this is Newton's method.

A run is stopped on the duality gap, or on half the squared Newton decrement where that is less and
full steps converge quadratically. Friedman, Hastie and Tibshirani (2010); Lee, Sun and Saunders
(2014).
"""

from functools import cached_property

import numpy as np

from skgen import kernels
from skgen.solvers.duality import lower_bound, minimal_subgradient
from skgen.solvers.monitor import GAP_SHARE, SMALL_LOSS
from skgen.solvers.newton import SHORTEST_STEP, SUFFICIENT_DECREASE, Factor, shrink
from skgen.solvers.solution import Solution

# Sweeps before a factor: a sweep costs p^2 where a factor costs p^3 / 3.
SWEEPS = 64
# Alternations of sweeps and factors for one model, at most.
MODEL_ROUNDS = 60
# A model is solved to this share of its first violation, or better near the optimum.
FORCING = 1e-2


def proximal_newton(objective, w, rows, monitor):
    """Minimize from `w`; return a `Solution`.

    ``objective.value_gradient_hessian(w, rows)`` and ``objective.value_and_gradient(w, rows)``
    are those of the smooth part, ``objective.penalty`` holds the strengths `l1` and `l2`, and
    ``objective.gradient_norm(subgradient)`` measures what is left.
    """
    here = Point(objective, w, *objective.value_gradient_hessian(w, rows))
    noise = 8.0 * np.finfo(rows.dtype).eps
    first = max(here.violation, np.finfo(float).tiny)
    full, quadratic = True, False
    while len(monitor.history) < monitor.max_iter:
        monitor.begin()
        share = min(FORCING, here.violation / first)
        target = solve_model(here, share * here.violation)
        reached, full = search(objective, here, target, rows, noise, full)
        if reached is not None:
            quadratic = full and here.same_zeros(reached) and reached.norm <= 0.1 * here.norm
            here = reached
        gap = here.gap
        if quadratic and here.norm <= monitor.tol:
            gap = min(gap, here.newton_gap)
        if monitor.end(here.value, here.w, here.norm, gap):
            break
        if reached is None:
            monitor.settle(
                f"no step lowers the objective beyond rounding; gradient norm {here.norm:.2g}",
                min(gap, here.newton_gap)
                <= max(noise, GAP_SHARE * monitor.tol) * max(abs(here.value), SMALL_LOSS),
            )
            break
    history = monitor.history
    return Solution(here.w, here.value, len(history), monitor.converged, monitor.reason, history)


def search(objective, here, target, rows, noise, full):
    """The `Point` that the step to `target` leads to (None: no progress), and if it was full.

    `full` says whether the last step was; then the Hessian is worth having with the first trial.
    """
    step = target - here.w
    penalty = objective.penalty
    slope = float(here.gradient @ step) + penalty.absolute(target) - penalty.absolute(here.w)
    length = 1.0
    while length >= SHORTEST_STEP:
        trial = here.w + length * step if length < 1.0 else target
        evaluate = objective.value_gradient_hessian if full else objective.value_and_gradient
        there = Point(objective, trial, *evaluate(trial, rows))
        enough = there.value <= here.value + SUFFICIENT_DECREASE * length * min(slope, 0.0)
        if (enough and slope < 0.0) or here.is_rounding(there, noise):
            if there.hessian is None:
                there = Point(objective, trial, *objective.value_gradient_hessian(trial, rows))
            return there, length == 1.0
        full = False
        length *= shrink(here.value, slope, length, there.value)
    return None, False


class Point:
    """Parameters with what is known of J there; `smooth` is J without its absolute penalty."""

    def __init__(self, objective, w, smooth, gradient, hessian=None):
        penalty = objective.penalty
        self.penalty, self.w, self.smooth = penalty, w, smooth
        self.gradient, self.hessian = gradient, hessian
        self.value = smooth + penalty.absolute(w)
        self.subgradient = minimal_subgradient(gradient, w, penalty.l1)
        self.norm = objective.gradient_norm(self.subgradient)

    @cached_property
    def scale(self):
        """1 / sqrt(H_jj), zero where there is no curvature."""
        curvature = np.diag(self.hessian)
        return np.where(curvature > 0.0, np.where(curvature > 0.0, curvature, 1.0) ** -0.5, 0.0)

    @property
    def violation(self):
        """The largest entry of the subgradient, in units that no scale of a column changes."""
        return float(np.abs(self.subgradient * self.scale).max())

    def same_zeros(self, other):
        return np.array_equal(np.sign(self.w), np.sign(other.w))

    def is_rounding(self, other, noise):
        """Whether values are equal up to rounding while the subgradient shrinks."""
        equal = abs(other.value - self.value) <= noise * max(abs(self.value), 1e-30)
        return equal and other.norm < 0.9 * self.norm

    @property
    def gap(self):
        """The value minus a lower bound of the optimum.

        Coordinates without penalty are first taken to their optimum, by the quadratic model.
        """
        l1, l2 = self.penalty.l1, self.penalty.l2
        squared, slope_of_squared = self.penalty.squared(self.w)
        loss, slope = self.smooth - squared, self.gradient - slope_of_squared
        free = np.flatnonzero((l1 == 0.0) & (l2 == 0.0))
        if len(free):
            step = -Factor(self.hessian[np.ix_(free, free)]).solve(slope[free])
            loss += 0.5 * float(slope[free] @ step)
            slope = slope + self.hessian[:, free] @ step
        return max(self.value - lower_bound(loss, slope, self.w, l1, l2), 0.0)

    @property
    def newton_gap(self):
        """Half the squared Newton decrement among the coordinates that are not held at zero.

        Of second order in the subgradient, where `gap` is of first order: rounding of a gradient
        leaves a gap that no further step could close.
        """
        moving = np.flatnonzero((self.w != 0.0) | (self.subgradient != 0.0))
        if len(moving) == 0:
            return 0.0
        slope = self.subgradient[moving]
        return 0.5 * float(slope @ Factor(self.hessian[np.ix_(moving, moving)]).solve(slope))


def solve_model(here, tolerance):
    """Minimize the quadratic model with its absolute penalty; the parameters it leads to.

    Nothing here raises the model, so the step is a direction of descent however soon it ends.
    """
    hessian, l1, scale = here.hessian, here.penalty.l1, here.scale
    u, slope = here.w.copy(), here.gradient.copy()
    order = np.arange(len(u), dtype=np.int32)
    for _ in range(MODEL_ROUNDS):
        kernels.coordinate.sweep_gram(hessian, l1, order, u, slope, SWEEPS, tolerance)
        violation = minimal_subgradient(slope, u, l1) * scale
        if np.abs(violation).max() <= tolerance:
            break
        moving = np.flatnonzero((u != 0.0) | (l1 == 0.0))
        if len(moving) == 0:
            continue
        among = hessian[np.ix_(moving, moving)]
        step = -Factor(among).solve(slope[moving] + l1[moving] * np.sign(u[moving]))
        u[moving] = lowest_on_line(u[moving], step, slope[moving], among, l1[moving])
        slope = here.gradient + hessian @ (u - here.w)
    return u


def lowest_on_line(u, step, slope, hessian, l1):
    """The minimum of the model among u + t step for t in [0, 1]; coordinates that cross zero
    exactly there become zero.

    The derivative by t is piecewise linear and rises by 2 l1_j |step_j| where u_j + t step_j
    changes sign.
    """
    crossing = (u != 0.0) & (l1 > 0.0) & (u * step < 0.0)
    times = np.full(len(u), np.inf)
    times[crossing] = -u[crossing] / step[crossing]
    first = np.argsort(times, kind="stable")
    first = first[times[first] < 1.0]
    signs = np.where(u != 0.0, np.sign(u), np.sign(step))
    start = float(slope @ step) + float((l1 * signs) @ step)
    bend = float(step @ (hessian @ step))
    for j in first:
        if start + times[j] * bend >= 0.0:
            break
        start += 2.0 * l1[j] * abs(step[j])
        if start + times[j] * bend >= 0.0:
            moved = u + times[j] * step
            moved[times == times[j]] = 0.0
            return moved
    length = min(1.0, -start / bend) if bend > 0.0 else 0.0
    return u + max(length, 0.0) * step

"""Newton's method with a Cholesky factor and backtracking.

    w <- w - t (H + eps diag H)^-1 g        t = 1, 1/2, ... until J falls enough (Armijo)

Half the squared Newton decrement, g' H^-1 g / 2, estimates how far J lies above its optimum.
The Hessian is scaled to a unit diagonal first, so columns of any scale do no harm. Where it is
singular (the scores of all classes may shift together) a small eps picks the shortest step.
Boyd and Vandenberghe (2004), section 9.5.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, get_lapack_funcs

from skgen.solvers.solution import Solution

# Shares of the diagonal that are added until the Cholesky factorization succeeds.
DAMPING = (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3, 1.0)
SUFFICIENT_DECREASE = 1e-4
# The last step squares the gap: asking for a far smaller one costs one step.
GAP_SHARE = 1e-6
SHORTEST_STEP = 2.0**-30


def newton(objective, w, rows, monitor):
    """Minimize from `w`; ``objective.value_gradient_hessian(w, rows)`` is called once a step."""
    monitor.gap_share = GAP_SHARE
    value, gradient, hessian = objective.value_gradient_hessian(w, rows)
    factor = Factor(hessian)
    # What rounding may do to the value.
    noise = 8.0 * np.finfo(rows.dtype).eps
    while len(monitor.history) < monitor.max_iter:
        monitor.begin()
        step = -factor.solve(gradient)
        slope = float(gradient @ step)
        length, accepted = 1.0, False
        while length >= SHORTEST_STEP:
            trial = w + length * step
            new = objective.value_gradient_hessian(trial, rows)
            allowed = value + SUFFICIENT_DECREASE * length * slope
            fell = new[0] <= allowed and new[0] < value
            if fell or is_rounding(value, new[0], noise, gradient, new[1]):
                accepted = True
                break
            length *= shrink(value, slope, length, new[0])
        if accepted:
            w, (value, gradient, hessian) = trial, new
            factor = Factor(hessian)
        gap = 0.5 * float(gradient @ factor.solve(gradient))
        stop = monitor.end(value, w, objective.gradient_norm(gradient), gap)
        if stop:
            break
        if not accepted:
            monitor.settle(
                "no step lowers the objective beyond rounding; gradient norm"
                f" {objective.gradient_norm(gradient):.2g}",
                gap <= max(noise, 1e-3 * monitor.tol) * max(abs(value), 1e-6),
            )
            break
    return Solution(
        w, value, len(monitor.history), monitor.converged, monitor.reason, monitor.history
    )


def is_rounding(value, new_value, noise, gradient, new_gradient):
    """Whether values are equal up to rounding while the gradient shrinks."""
    return (
        abs(new_value - value) <= noise * max(abs(value), 1e-30)
        and np.abs(new_gradient).max() < 0.9 * np.abs(gradient).max()
    )


def shrink(value, slope, length, new_value):
    """The factor to the minimum of the parabola through what is known, within [0.1, 0.5]."""
    if not np.isfinite(new_value):
        return 0.1
    bend = new_value - value - length * slope
    return float(np.clip(-0.5 * length * slope / bend, 0.1, 0.5)) if bend > 0.0 else 0.5


class Factor:
    """A Cholesky factor of a positive semidefinite matrix, scaled and damped as far as needed.

    In float32 it is half the work and memory, which is enough for a preconditioner.
    """

    def __init__(self, matrix, dtype=np.float64):
        if not (np.diag(matrix) >= 0.0).all():
            raise ValueError("the Hessian has a negative direction or is not finite")
        diagonal = np.sqrt(np.diag(matrix))
        # A coordinate without curvature does not move.
        self.scale = np.where(diagonal > 0.0, 1.0 / np.where(diagonal > 0.0, diagonal, 1.0), 0.0)
        scaled = (matrix * self.scale[:, None] * self.scale).astype(dtype, copy=False)
        index = np.diag_indices_from(scaled)
        least = 5.0 * np.finfo(dtype).eps * len(scaled)
        for damping in DAMPING:
            if 0.0 < damping < least:
                continue
            scaled[index] = 1.0 + damping
            try:
                self.factor = cho_factor(scaled, lower=True, check_finite=False)
            except LinAlgError:
                continue
            # A pivot of rounding size means a singular matrix that got through by luck.
            if np.diag(self.factor[0]).min() ** 2 > least:
                return
        raise ValueError("the Hessian has a negative direction or is not finite")

    def solve(self, gradient):
        """matrix^-1 gradient."""
        right = (self.scale * gradient).astype(self.factor[0].dtype, copy=False)
        return self.scale * cho_solve(self.factor, right, check_finite=False)

    def inverse(self):
        """matrix^-1 as an array: a product with it takes a fraction of the time of `solve`."""
        lower = self.factor[0]
        (potri,) = get_lapack_funcs(("potri",), (lower,))
        inverse, _ = potri(lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        scale = self.scale.astype(inverse.dtype)
        return scale[:, None] * inverse * scale

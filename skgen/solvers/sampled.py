"""Large dense problems: the Hessian of a sample preconditions gradients of all rows.

    1. solve the problem on a sample of m rows, unless the start is near;
    2. H = Hessian of the sample there;
    3. L-BFGS on all rows from there, started at H^-1 instead of a multiple of the identity.

A sample of m rows knows the Hessian of p parameters to about sqrt(p / m), so every pass over all
rows divides the error by about sqrt(m / p), where Newton's method would pay n p^2 for it. Byrd,
Chin, Neveitt and Nocedal (2011); Erdogdu and Montanari (2015).
"""

from math import log

import numpy as np

from skgen.solvers.lbfgs import lbfgs
from skgen.solvers.newton import Factor

# A sample is this share of the rows ...
SAMPLE_SHARE = 16
# ... but at least so many per column, and
ROWS_PER_COLUMN = 8
# so many in all.
SMALLEST_SAMPLE = 4096
# A start is near where the mean loss is at most this share of that without its weights.
NEAR = 0.5
# A preconditioner ages as the curvature changes on the way. Of the rows of a class, about this
# share has curvature to speak of, which makes it cheaper.
CHOSEN_ROWS = 0.3
# The rate of convergence is taken over so many iterations.
WATCHED = 6
# Gaps below this are rounding, whatever tolerance is asked for.
ROUNDING = 1e-16
# After so many iterations the problem counts as a hard one.
SLOW = 60


def sample_size(n_rows, n_columns):
    """Rows of the sample; all rows where sampling does not pay."""
    wanted = max(n_rows // SAMPLE_SHARE, ROWS_PER_COLUMN * n_columns, SMALLEST_SAMPLE)
    return wanted if 2 * wanted <= n_rows else n_rows


def sampled(objective, w, rows, monitor, solve_sample, finish=None):
    """Minimize from `w`.

    ``solve_sample(objective, w, rows)`` returns better parameters for a sample, and
    ``finish(objective, w, rows, monitor)``, where given, takes over when convergence is slow.
    """
    size = sample_size(rows.n_rows, rows.n_features)
    samples = size < rows.n_rows
    part = rows.sample(size) if samples else rows
    if samples and monitor.max_iter > 0 and not is_near(objective, w, part):
        w = solve_sample(objective, w, part)
    # Passes over all rows that a preconditioner costs.
    price = CHOSEN_ROWS * rows.n_features / 2 * size / rows.n_rows
    renew = WhenSlow(lambda w: Preconditioner(objective, w, part).solve, price)
    slow = None if finish is None else SLOW
    solution = lbfgs(
        objective, w, rows, monitor, precondition=renew(w), renew=renew, max_steps=slow
    )
    if monitor.ended or finish is None:
        return solution
    return finish(objective, solution.params, rows, monitor)


def is_near(objective, w, rows):
    """Whether the weights of a start explain the rows already, so that a sample adds little."""
    nothing = w.copy()
    objective.layout.views(nothing)["coef"][...] = 0.0
    return objective.mean_loss(w, rows) <= NEAR * objective.mean_loss(nothing, rows)


class WhenSlow:
    """A preconditioner that is dear: made anew where that costs less than going on without.

    `price` is its cost in iterations.
    """

    def __init__(self, make, price):
        self.make, self.price = make, price
        self.gaps = []

    def __call__(self, w):
        self.gaps.clear()
        return self.make(w)

    def due(self, n_iter, gap, goal, left):
        """Whether the rest takes too long at the present rate.

        That is longer than the `left` iterations; or so long that saving half of it pays for a
        preconditioner, once the present one has paid for itself.
        """
        # Estimated gaps jump up and down; the smallest so far do not. With tol=0 none is small
        # enough, and one of zero has no logarithm.
        smallest = min([max(gap, ROUNDING), *self.gaps[-1:]])
        self.gaps.append(smallest)
        goal = max(goal, ROUNDING)
        if len(self.gaps) <= WATCHED or smallest <= goal:
            return False
        rate = log(self.gaps[-1 - WATCHED] / smallest) / WATCHED
        rest = log(smallest / goal) / max(rate, 1e-9)
        return rest > left or (len(self.gaps) > self.price and rest > 2.0 * self.price)


class Preconditioner:
    """Inverses of blocks of the Hessian, one per class, (K, q, q)."""

    def __init__(self, objective, w, rows):
        self.layout = objective.layout
        blocks = objective.class_curvature(w, rows)
        self.inverses = np.stack([Factor(block, rows.dtype).inverse() for block in blocks])

    def by_class(self, w):
        """Parameters as (K, q): weights, then the intercept where there is one."""
        views = self.layout.views(w)
        parts = [views["coef"]]
        if "intercept" in views:
            parts.append(views["intercept"][:, None])
        return np.hstack(parts)

    def solve(self, gradient):
        """About H^-1 gradient."""
        slopes = self.by_class(gradient).astype(self.inverses.dtype, copy=False)
        steps = np.matmul(self.inverses, slopes[:, :, None])[:, :, 0]
        d = self.layout.shapes["coef"][1]
        parts = {"coef": steps[:, :d]}
        if steps.shape[1] > d:
            parts["intercept"] = steps[:, d]
        return self.layout.pack(**parts)

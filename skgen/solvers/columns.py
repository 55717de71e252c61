"""Proximal Newton by columns: coordinate descent that keeps the scores of a step up to date.

    D = argmin  G'D + D'X'MXD / 2 + penalty(V + D)        V <- V + t D,  t = 1, 1/2, ...

The Hessian X'MX is never formed: moving one weight changes the scores X D of the rows where its
column is not zero. A model is swept while the sweeps still gain, over the columns that are not
at rest, and rebuilt at the parameters it led to. A run is stopped on the duality gap or on an
estimate, whichever is less: no certificate (see `GapEstimate`). `view` is a
`skgen.residuals.RowView`. Yuan, Ho and Lin (2012).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skgen import kernels
from skgen.solvers.duality import lower_bound, minimal_subgradient
from skgen.solvers.monitor import GAP_SHARE, SMALL_LOSS
from skgen.solvers.newton import SHORTEST_STEP, SUFFICIENT_DECREASE, shrink
from skgen.solvers.solution import Solution

# A model is left when a sweep gains less than this share of what all its sweeps gained.
WORTHWHILE = 0.2
SWEEPS = 20
# Columns that are swept one after another as they lie in memory, where there are many runs.
RUN = 8
MANY_RUNS = 64
# Newton steps that bring a free intercept to its optimum, and how near.
INTERCEPT_STEPS = 4
BALANCED = 1e-13
# How often a sweep over several classes moves the intercepts, which belong to all rows.
INTERCEPT_MOVES = 8
# Where J falls by less than this share of the fall before, columns are too much alike for single
# moves: the weights that are not zero then move together, ...
SLOW = 0.3
# ... by so many conjugate gradients, or until this share of the slope is left.
CONJUGATE_STEPS = 30
SLOPE_LEFT = 0.1
# Iterations without a smaller subgradient after which rounding is blamed.
PATIENCE = 4
# What the estimated gap is multiplied by.
CAUTION = 5.0


def column_newton(view, w, monitor, limit=np.inf):
    """Minimize from flat parameters `w`; return a `Solution`.

    With a finite `limit` another solver goes on where this one has not converged after so many
    iterations or cannot for rounding; `monitor` has not ended then.
    """
    model = ColumnModel(view)
    here = Place.at(view, view.matrix(w))
    gaps = GapEstimate(here.value)
    noise = 8.0 * np.finfo(np.float64).eps
    least, waited = np.inf, 0
    scale = 1.0 / view.weight_sum
    while len(monitor.history) < min(monitor.max_iter, limit):
        monitor.begin()
        target = model.solve(here)
        reached = search(view, here, target, noise)
        here = here if reached is None else reached
        if gaps.is_slow(here.value):
            finer = newton_cg(view, here, model)
            reached, here = (reached, here) if finer is None else (finer, finer)
        subgradient = minimal_subgradient(here.gradient, here.V, view.l1)
        norm = view.objective.gradient_norm(view.unstacked(subgradient)) * scale
        gap = gaps.update(view, here, subgradient, model.curvature) * scale
        w, value = view.flat(here.V), here.value * scale
        if monitor.end(value, w, norm, gap):
            break
        least, waited = (norm, 0) if norm < 0.9 * least else (least, waited + 1)
        stuck = waited >= PATIENCE and gap <= noise * max(value, SMALL_LOSS)
        if reached is None or stuck:
            converged = gap <= max(noise, GAP_SHARE * monitor.tol) * max(value, SMALL_LOSS)
            if converged or limit == np.inf:
                monitor.settle(
                    f"no step lowers the objective beyond rounding; gradient norm {norm:.2g}",
                    converged,
                )
            break
    history = monitor.history
    return Solution(
        view.flat(here.V), here.value * scale, len(history), monitor.converged, monitor.reason,
        history,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Parameters V (d + 1, K), their scores, the loss by rows, smooth gradient and J, times S."""

    V: np.ndarray
    raw: np.ndarray
    by_row: object
    gradient: np.ndarray
    value: float

    @classmethod
    def at(cls, view, V, raw=None, by_row=None, gradient=None):
        """The place `V`; what else is given is known already, `gradient` as that of the loss."""
        if raw is None:
            raw, by_row, gradient = view.visit(V)
        if gradient is None:
            V, raw, by_row = balance_intercept(view, V, raw, by_row)
            gradient = view.gradient(by_row.residual)
        value = by_row.loss + penalty(view, V)
        return cls(V, raw, by_row, gradient + view.l2 * V, value)


def penalty(view, V):
    return float((0.5 * view.l2 * V * V + view.l1 * np.abs(V)).sum())


def balance_intercept(view, V, raw, by_row):
    """Newton's method for a free intercept alone: the residuals of a dual point sum to zero."""
    if not view.free_intercept:
        return V, raw, by_row
    for _ in range(INTERCEPT_STEPS):
        total = by_row.residual.sum(axis=0)
        if np.abs(total).max() <= BALANCED * view.weight_sum:
            break
        step = -np.linalg.lstsq(view.intercept_curvature(by_row), total)[0]
        moved = view.evaluate(raw + step)
        if np.abs(moved.residual.sum(axis=0)).max() >= np.abs(total).max():
            break
        V = V.copy()
        V[-1] += step
        raw, by_row = raw + step, moved
    return V, raw, by_row


def search(view, here, target, noise):
    """The `Place` that the step to `target` leads to, None where there is no progress."""
    step = target - here.V
    slope = float((here.gradient * step).sum() + (view.l1 * (abs(target) - abs(here.V))).sum())
    if slope >= 0.0:
        return None
    raw, by_row, gradient = view.visit(target)
    raw_step, V = raw - here.raw, target
    length = 1.0
    while True:
        value = by_row.loss + penalty(view, V)
        if value <= here.value + SUFFICIENT_DECREASE * length * slope + noise * abs(here.value):
            return Place.at(view, V, raw, by_row, gradient)
        length *= shrink(here.value, slope, length, value)
        if length < SHORTEST_STEP:
            return None
        V, gradient = here.V + length * step, None
        raw = here.raw + length * raw_step
        by_row = view.evaluate(raw)


def newton_cg(view, here, model):
    """A Newton step among the weights that are not zero, within their signs; None: no progress.

    The equations are solved by conjugate gradients, the columns taken about their means. Weights
    that would change sign become zero.
    """
    slope = minimal_subgradient(here.gradient, here.V, view.l1)
    moving = (here.V != 0.0) | ((view.l1 == 0.0) & (model.curvature > 0.0))
    means = model.means if view.free_intercept else None
    bend = np.where(moving, np.maximum(model.curvature, 0.0) + view.l2, 0.0)
    moving &= bend > 0.0

    def hessian(step):
        product = view.curve(here.by_row, uncentered(step, means))
        if means is not None:
            product[:-1] -= np.outer(means, product[-1])
        return np.where(moving, product + view.l2 * step, 0.0)

    start = slope.copy()
    if means is not None:
        start[:-1] -= np.outer(means, start[-1])
    inverse = np.where(moving, 1.0 / np.where(moving, bend, 1.0), 0.0)
    step = uncentered(conjugate_gradients(hessian, -np.where(moving, start, 0.0), inverse), means)
    length = 1.0
    while length >= SHORTEST_STEP:
        V = here.V + length * step
        V[(view.l1 > 0.0) & (np.sign(V) != np.sign(here.V))] = 0.0
        fall = float((slope * (V - here.V)).sum())
        raw = view.scores(V)
        by_row = view.evaluate(raw)
        if fall < 0.0 and by_row.loss + penalty(view, V) <= here.value + 1e-4 * fall:
            return Place.at(view, V, raw, by_row)
        length *= 0.25
        if length < 1e-3:
            return None
    return None


def uncentered(step, means):
    """The step of columns as they are that equals `step` of columns minus their means."""
    if means is None:
        return step
    step = step.copy()
    step[-1] -= means @ step[:-1]
    return step


def conjugate_gradients(product, target, inverse):
    """Solve product(x) = target roughly; `inverse` is that of the diagonal, zero where x stays."""
    x, residual = np.zeros_like(target), target
    z = inverse * residual
    direction, size = z, float((residual * z).sum())
    enough = SLOPE_LEFT**2 * size
    for _ in range(CONJUGATE_STEPS):
        image = product(direction)
        bend = float((direction * image).sum())
        if bend <= 0.0:
            break
        length = size / bend
        x = x + length * direction
        residual = residual - length * image
        z = inverse * residual
        before, size = size, float((residual * z).sum())
        if size <= enough:
            break
        direction = z + (size / before) * direction
    return x


class ColumnModel:
    """The columns of X and the quadratic models that are made of them."""

    def __init__(self, view):
        self.view = view
        self.columns = view.columns()
        self.random = np.random.default_rng(0)
        self.curvature = None

    @cached_property
    def means(self):
        """Means of the columns."""
        return self.view.column_means()

    def solve(self, here):
        """The parameters that a few sweeps lead to."""
        view = self.view
        w, gradient = here.V, here.gradient
        moving = (w != 0.0) | (np.abs(gradient) > view.l1)
        order = np.flatnonzero(moving.any(axis=1)).astype(np.int32)
        order = self.shuffled(order)
        u, state = w.copy(), here.by_row.state.copy()
        self.curvature = np.full(w.shape, -1.0)
        start = self.start_one if view.n_outputs == 1 else self.start_several
        sweep = start(gradient, w, u, state, order)
        gained = 0.0
        for _ in range(SWEEPS):
            decrease = sweep()
            gained += decrease
            if decrease <= WORTHWHILE * gained:
                break
        return u

    def shuffled(self, order):
        """`order` in another order: short runs of neighbors, which lie together in memory.

        The same order in every model moves what all columns share into the same few first ones.
        """
        run = max(1, min(RUN, len(order) // MANY_RUNS))
        firsts = np.arange(0, len(order), run)
        self.random.shuffle(firsts)
        places = (firsts[:, None] + np.arange(run)).ravel()
        return order[places[places < len(order)]]

    def start_one(self, gradient, w, u, state, order):
        """A function that sweeps and returns the decrease; one class."""
        view, columns = self.view, self.columns
        count, share, sums = len(order), 0.0, np.zeros(2)
        if view.free_intercept:
            order = order[order < view.n_features]
            total = state[:, 1].sum(dtype=np.float64)
            count, share = len(order), 1.0 / total if total > 0.0 else 0.0
            sums[0] = gradient[-1, 0]
        cross = np.zeros(len(w))
        flat = [x[:, 0] for x in (gradient, view.l1, view.l2, w, self.curvature, u)]

        def sweep():
            nonlocal count
            count = kernels.coordinate.sweep_columns(
                columns.values, columns.row_numbers, columns.starts, *flat[:4], order, flat[4],
                cross, flat[5], state, sums, count, share,
            )  # fmt: skip
            if share:
                u[-1] = w[-1] - share * sums[0]
                self.curvature[-1] = 1.0 / share
            return sums[1]

        return sweep

    def start_several(self, gradient, w, u, state, order):
        """As `start_one`, for several classes."""
        view, columns = self.view, self.columns
        if view.objective.fit_intercept:
            order = with_repeats(order[order < view.n_features], view.n_features)
        count, scratch, decrease = len(order), np.empty((2, view.n_outputs)), np.zeros(1)

        def sweep():
            nonlocal count
            count = kernels.coordinate.sweep_column_blocks(
                columns.values, columns.row_numbers, columns.starts, gradient, view.l1, view.l2, w,
                order, self.curvature, u, state, scratch, decrease, count,
            )  # fmt: skip
            return float(decrease[0])

        return sweep


def with_repeats(order, number):
    """`order` with `number` after every eighth part of it."""
    parts = np.array_split(order, INTERCEPT_MOVES)
    return np.concatenate([np.append(part, number) for part in parts]).astype(np.int32)


class GapEstimate:
    """How far J lies above its optimum: a bound, or an estimate where that is smaller.

    The bound scales all residuals until the steepest column fits, so one rare column decides; far
    from rounding it is of first order in slopes where the distance is of second. The estimate is
    the larger of two: what single coordinates would gain, v_j^2 / (2 H_jj), and what is left if J
    keeps falling at its rate.
    """

    def __init__(self, value):
        self.values = [value]

    def update(self, view, here, subgradient, curvature):
        loss_gradient = here.gradient - view.l2 * here.V
        flat = (x.ravel() for x in (loss_gradient, here.V, view.l1, view.l2))
        bound = here.value - lower_bound(here.by_row.loss, *flat)
        self.values.append(here.value)
        known = curvature > 0.0
        if not known.any():
            return max(bound, 0.0)
        bend = np.where(known, curvature, curvature[known].min()) + view.l2
        alone = 0.5 * float((subgradient**2 / bend).sum())
        return max(min(bound, CAUTION * max(alone, self.tail())), 0.0)

    def is_slow(self, value):
        """Whether `value` shows that J falls slowly."""
        if len(self.values) < 2:
            return False
        return self.values[-1] - value > SLOW * (self.values[-2] - self.values[-1])

    def tail(self):
        """The sum of the geometric series that the latest decreases begin."""
        falls = -np.diff(self.values[-4:])
        if len(falls) < 3:
            return np.inf
        rates = falls[1:] / np.maximum(falls[:-1], np.finfo(float).tiny)
        rate = max(float(rates.max()), 0.0)
        return (
            max(falls[-1], 0.0) * rate / (1.0 - rate) if rate < 1.0 else max(falls[-1], 0.0) * 100
        )

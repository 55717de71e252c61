"""The softmax objective estimated from some of the rows.

    J_B(w) = (1 / |B|) sum_{i in B} (s_i / mean s) loss((W x_i + b) / T, y_i) + penalty(W)

Weights are divided by their mean over all rows, not over the batch, so that the expected gradient
is that of the whole objective. Rows of weight zero are never drawn.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen import kernels
from skgen.losses import SoftmaxLoss
from skgen.objectives import LinearObjective
from skgen.parameters import Layout
from skgen.penalties import ElasticNet
from skgen.rows import BLOCK_ELEMENTS, Rows
from skgen.seeding import entries
from skgen.solvers.sgd import advance
from skgen.solvers.update_rules import compiled_form

# Larger batches, in numbers, are summed in blocks and by threads.
LARGE_BATCH = BLOCK_ELEMENTS
# Operations between two looks at signals, some 50 ms.
WORK_AT_ONCE = 5e8


class SoftmaxBatches:
    """A problem for `skgen.solvers.sgd.sgd`.

    Parameters
    ----------
    rows : Rows, with class numbers as target
    n_classes : int
    fit_intercept : bool
    l2, l1 : float
        Strengths at every weight; intercepts are free.
    temperature : float
    compiled : bool
        Whether updates run in the kernel; the reference in NumPy agrees to rounding.
    """

    def __init__(self, rows, n_classes, fit_intercept, l2, l1, temperature, compiled=True):
        self.rows, self.temperature, self.loss = rows, temperature, SoftmaxLoss()
        self.n_classes, self.fit_intercept, self.compiled = n_classes, fit_intercept, compiled
        shapes = {"coef": (n_classes, rows.n_features)}
        if fit_intercept:
            shapes["intercept"] = (n_classes,)
        self.layout = Layout(**shapes)
        strengths = {"coef": 1.0, "intercept": 0.0}
        self.penalized = self.layout.pack(**{name: strengths[name] for name in shapes})
        self.penalty = ElasticNet(l2 * self.penalized, l1 * self.penalized)
        self.proximal = None if l1 == 0.0 else self.shrink
        self.used = None
        if rows.weight is not None and not rows.weight.all():
            self.used = np.flatnonzero(rows.weight)
        self.n_rows = rows.n_rows if self.used is None else len(self.used)
        self.weight_scale = 1.0
        if rows.weight is not None:
            self.weight_scale = self.n_rows / rows.weight_sum

    def parts(self, w):
        """W (K, d) and b (K,) of `w`."""
        views = self.layout.views(w)
        coef = views["coef"]
        return coef, views["intercept"] if self.fit_intercept else np.zeros(len(coef))

    def value_and_gradient(self, w, index):
        """The objective estimated from rows `index`, and the gradient of its smooth part."""
        whole = len(index) == self.n_rows
        if self.used is not None:
            index = self.used[index]
        if whole or len(index) * self.rows.n_features > LARGE_BATCH:
            value, gradient = self._in_blocks(w, index, whole)
        else:
            value, gradient = self._at_once(w, index)
        squared, slope = self.penalty.squared(w)
        gradient += slope
        return value + squared + self.penalty.absolute(w), gradient

    def _at_once(self, w, index):
        """Mean weighted loss of rows `index`."""
        X = self.rows.X[index].astype(np.float64, copy=False)
        weight = np.ones(len(index))
        if self.rows.weight is not None:
            weight = self.rows.weight[index] * self.weight_scale
        coef, intercept = self.parts(w)
        raw = (X @ coef.T + intercept) / self.temperature
        value, slope = self.loss.value_and_gradient(raw, self.rows.target[index], weight)
        slope /= len(index) * self.temperature
        parts = {"coef": (X.T @ slope).T}
        if self.fit_intercept:
            parts["intercept"] = slope.sum(axis=0)
        return value / len(index), self.layout.pack(**parts)

    def _in_blocks(self, w, index, whole):
        """The same by the reduction over rows: no copy of all rows, and by threads."""
        rows = self.rows if whole else some_rows(self.rows, index)
        value, gradient = self._objective(None).value_and_gradient(w / self.temperature, rows)
        share = 1.0
        if rows.weight is not None:
            share = rows.weight_sum * self.weight_scale / len(index)
        return value * share, gradient * (share / self.temperature)

    def _objective(self, penalty):
        """The mean loss over rows, of w / temperature."""
        if penalty is None:
            nothing = np.zeros(self.layout.size)
            penalty = ElasticNet(nothing, nothing)
        return LinearObjective(
            self.loss, self.n_classes, self.rows.n_features, self.fit_intercept, penalty
        )

    def shrink(self, w, step):
        """Move every weight towards zero by `step` times its absolute strength."""
        threshold = step * self.penalty.l1
        w -= np.clip(w, -threshold, threshold)

    def advance(self, training, rule, rates, order, batch_size, clip_norm):
        """Take one epoch's updates, see `skgen.solvers.sgd.advance`."""
        large = batch_size * self.rows.n_features > LARGE_BATCH or batch_size >= self.n_rows
        if large or not self.compiled:
            return advance(self, training, rule, rates, order, batch_size, clip_norm)
        n_updates = len(rates)
        if self.used is not None:
            order = self.used[order]
        order = order.astype(np.intp, copy=False)
        epoch = CompiledEpoch(self, rule, batch_size, clip_norm)
        work = 4.0 * batch_size * self.rows.n_features * self.n_classes + 20.0 * self.layout.size
        step, total = max(1, int(WORK_AT_ONCE // work)), 0.0
        for start in range(0, n_updates, step):
            stop = min(start + step, n_updates)
            rows = order[start * batch_size : stop * batch_size]
            total += epoch.take(training, rates[start:stop], rows)
            training.n_updates += stop - start
        return total / self.n_rows

    def gradient_norm(self, w):
        """The largest slope of the whole objective by w / temperature.

        Where the penalty has a kink, the smallest of its slopes there counts.
        """
        T = self.temperature
        scaled = ElasticNet(self.penalty.l2 * T * T, self.penalty.l1 * T)
        objective = self._objective(scaled)
        _, gradient = objective.value_and_gradient(w / T, self.rows)
        at_kink = gradient - np.clip(gradient, -scaled.l1, scaled.l1)
        slope = np.where(w == 0.0, at_kink, gradient + scaled.l1 * np.sign(w))
        return objective.gradient_norm(slope)


class CompiledEpoch:
    """The kernel with its buffers and all that stays the same during an epoch."""

    def __init__(self, problem, rule, batch_size, clip_norm):
        rows, p, k = problem.rows, problem.layout.size, problem.n_classes
        d, nothing = rows.n_features, np.empty(0)
        code, numbers, decay = compiled_form(rule, p)
        l2, l1 = problem.penalty.l2, problem.penalty.l1
        penalty = l2 if l2.any() else nothing, l1 if l1.any() else nothing
        weight = nothing if rows.weight is None else rows.weight
        self.numbers = numbers, *penalty, decay
        self.buffers = np.empty(p), np.empty(batch_size * k)
        longest = 0.0 if clip_norm is None else clip_norm
        self.settings = code, batch_size
        self.scales = problem.temperature, problem.weight_scale, longest
        self.target, self.weight = rows.target, weight
        self.X, self.sizes, self.kernel = entries(rows.X), (), kernels.minibatch.train_dense
        if sparse.issparse(rows.X):
            self.sizes, self.kernel = (k, d), kernels.minibatch.train_sparse
            return
        width = kernels.minibatch.padded_width(rows.X)
        self.buffers += (
            np.empty(batch_size * k, rows.dtype),
            np.zeros((batch_size, width), rows.dtype),
            np.zeros((k, width), rows.dtype),
        )

    def take(self, training, rates, order):
        """Take an update per rate; the sum over rows of the objectives that they met."""
        code, batch_size = self.settings
        return self.kernel(
            *self.X,
            self.target,
            self.weight,
            order,
            rates,
            *self.numbers,
            training.w,
            training.memory,
            *self.buffers,
            code,
            batch_size,
            training.n_updates,
            *self.scales,
            *self.sizes,
        )


def some_rows(rows, index):
    """A copy of rows `index`."""
    weight = None if rows.weight is None else rows.weight[index]
    return Rows(rows.take(index), weight, rows.target[index], n_threads=rows.n_threads)


@dataclass(slots=True)
class Hits:
    """Weight of the rows that were given their own class."""

    weight: float

    def merge(self, other):
        self.weight += other.weight
        return self


def accuracy(rows, coef, intercept):
    """Weighted share of the rows whose class has the largest score."""
    return rows.sum(_hits, (coef, intercept)).weight / rows.weight_sum


def _hits(block, params):
    coef, intercept = params
    raw = block.X @ coef.T
    if sparse.issparse(raw):
        raw = raw.toarray()
    best = (raw + intercept).argmax(axis=1)
    return Hits(float(block.weight @ (best == block.target)))

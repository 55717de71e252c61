"""The softmax objective estimated from some of the rows.

    J_B(w) = (1 / |B|) sum_{i in B} (s_i / mean s) loss((W x_i + b) / T, y_i) + penalty(W)

Weights are divided by their mean over all rows, not over the batch, so that the expected gradient
is that of the whole objective. Rows of weight zero are never drawn.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen.losses import SoftmaxLoss
from skgen.objectives import LinearObjective
from skgen.parameters import Layout
from skgen.penalties import ElasticNet
from skgen.rows import Rows


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
    """

    advance = None

    def __init__(self, rows, n_classes, fit_intercept, l2, l1, temperature):
        self.rows, self.temperature, self.loss = rows, temperature, SoftmaxLoss()
        shapes = {"coef": (n_classes, rows.n_features)}
        if fit_intercept:
            shapes["intercept"] = (n_classes,)
        self.fit_intercept, self.layout = fit_intercept, Layout(**shapes)
        self.penalized = self.layout.pack(**({"coef": 1.0, "intercept": 0.0}))
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
        if self.used is not None:
            index = self.used[index]
        X = self.rows.X[index].astype(np.float64, copy=False)
        weight = np.ones(len(index))
        if self.rows.weight is not None:
            weight = self.rows.weight[index] * self.weight_scale
        coef, intercept = self.parts(w)
        raw = (X @ coef.T + intercept) / self.temperature
        value, slope = self.loss.value_and_gradient(raw, self.rows.target[index], weight)
        slope /= len(index) * self.temperature
        squared, gradient = self.penalty.squared(w)
        views = self.layout.views(gradient)
        views["coef"] += (X.T @ slope).T
        if self.fit_intercept:
            views["intercept"] += slope.sum(axis=0)
        return value / len(index) + squared + self.penalty.absolute(w), gradient

    def shrink(self, w, step):
        """Move every weight towards zero by `step` times its absolute strength."""
        threshold = step * self.penalty.l1
        w -= np.clip(w, -threshold, threshold)

    def gradient_norm(self, w):
        """The largest slope of the whole objective by w / temperature.

        Where the penalty has a kink, the smallest of its slopes there counts.
        """
        T, k = self.temperature, self.layout.shapes["coef"][0]
        scaled = ElasticNet(self.penalty.l2 * T * T, self.penalty.l1 * T)
        objective = LinearObjective(self.loss, k, self.rows.n_features, self.fit_intercept, scaled)
        _, gradient = objective.value_and_gradient(w / T, self.rows)
        at_kink = gradient - np.clip(gradient, -scaled.l1, scaled.l1)
        slope = np.where(w == 0.0, at_kink, gradient + scaled.l1 * np.sign(w))
        return objective.gradient_norm(slope)


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

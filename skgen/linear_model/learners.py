"""The state of a perceptron between visits: vectors, averages, counts, and a pocket.

    f_k(x) = scale_k <vector_k, x> + intercept_k

Everything is float64 and continues from call to call, so that rows may come in parts. The pocket
(Gallant 1990, with ratchet) holds the weights of fewest weighted errors so far.
"""

from copy import deepcopy
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from scipy import sparse

from skgen.kernels import perceptron as kernels

COLUMN = {name: number for number, name in enumerate(kernels.STATE)}


class Learners:
    """K learners over d features that start at given weights.

    Parameters
    ----------
    coef : ndarray of shape (K, d)
    intercept : ndarray of shape (K,)
    rule : Rule
    averaged : bool
    """

    def __init__(self, coef, intercept, rule, averaged):
        n_learners = len(coef)
        self.multiclass = rule.multiclass
        self.vector = np.array(coef, dtype=np.float64, order="C")
        self.sums = np.zeros(self.vector.shape if averaged else (0, 0))
        self.paid = np.zeros(self.vector.shape if rule.penalty == 2 else (0, 0))
        self.state = np.zeros((n_learners, len(COLUMN)))
        self.state[:, COLUMN["intercept"]] = intercept
        self.state[:, COLUMN["scale"]] = self.state[:, COLUMN["time"]] = 1.0
        self.pocket = None

    def __len__(self):
        return len(self.vector)

    def record(self):
        """All of it as plain data, to be kept by the estimator."""
        pocket = None if self.pocket is None else vars(self.pocket)
        names = ("multiclass", "vector", "sums", "paid", "state")
        return {name: getattr(self, name) for name in names} | {"pocket": pocket}

    @classmethod
    def restored(cls, record):
        """Learners that continue from a copy of a record."""
        learners = cls.__new__(cls)
        for name, value in deepcopy(record).items():
            setattr(learners, name, value)
        if learners.pocket is not None:
            learners.pocket = Pocket(**learners.pocket)
        return learners

    def fits(self, rule, averaged):
        """Whether the state is what `rule` needs."""
        same = self.multiclass == rule.multiclass and len(self) == rule.positive.size
        return (
            same
            and bool(self.sums.size) == averaged
            and bool(self.paid.size) == (rule.penalty == 2)
        )

    @property
    def units(self):
        """Numbers of the learners that are counted one by one: one for the multiclass rule."""
        return np.arange(1 if self.multiclass else len(self), dtype=np.int32)

    def members(self, unit):
        """Rows of `vector` that learner `unit` consists of."""
        return slice(None) if self.multiclass else slice(unit, unit + 1)

    def read(self, name):
        """A column of the state, one item per unit."""
        column = self.state[:, COLUMN[name]]
        return column[:1] if self.multiclass else column

    def write(self, name, value):
        self.read(name)[:] = value

    def visit(self, course, matrix, rule, group, begin, end, pocket):
        """Walk on from `begin`; returns the position reached, at most `end`."""
        kernel = kernels.walk_dense if len(matrix) == 1 else kernels.walk_csr
        active = np.arange(len(self), dtype=np.int32) if rule.multiclass else group
        reached = kernel(
            *matrix, course.rows.target, course.weight, course.share, course.order, active,
            rule.positive, rule.gain, rule.numbers, self.vector, self.sums, self.paid, self.state,
            begin, end, rule.fit_intercept, rule.penalty, rule.multiclass, pocket is not None,
        )  # fmt: skip
        if reached < end:
            pocket(int(group[0]))
            # From here the run has to be longer still.
            self.state[group, COLUMN["longest"]] = self.state[group, COLUMN["run"]]
        return reached

    def begin_epoch(self):
        """Counts start at zero, and norms lose what rounding has added to them."""
        for name in ("loss", "penalty", "mistakes"):
            self.write(name, 0.0)
        coef = self.read("scale")[:, None] * self.vector
        square, absolute = (coef * coef).sum(axis=1), np.abs(coef).sum(axis=1)
        if self.multiclass:
            square, absolute = square.sum(keepdims=True), absolute.sum(keepdims=True)
        self.write("square", square)
        self.write("absolute", absolute)

    def working(self, unit=None):
        """The weights as they are now: (K, d) and (K,), or those of one unit."""
        part = slice(None) if unit is None else self.members(unit)
        one = slice(0, 1) if self.multiclass else part
        coef = self.state[one, COLUMN["scale"]][:, None] * self.vector[part]
        if self.paid.size:
            # What columns owe that have been zero in the last rows.
            due = self.state[one, COLUMN["due"]][:, None] + np.sign(coef) * self.paid[part]
            coef = np.sign(coef) * np.maximum(np.abs(coef) - np.maximum(due, 0.0), 0.0)
        return coef, self.state[part, COLUMN["intercept"]].copy()

    def averaged(self):
        """The means of the weights over the visits that are averaged."""
        visits = self.read("visits")
        coef = (self.read("area")[:, None] * self.vector - self.sums) / visits[:, None]
        sums = self.state[:, COLUMN["intercept_sum"]]
        return coef, self.state[:, COLUMN["intercept"]] - sums / visits

    def result(self):
        """The weights to publish: of the pocket, averaged, or as they are now."""
        if self.pocket is not None:
            return self.pocket.coef.copy(), self.pocket.intercept.copy()
        if self.sums.size and self.read("visits").all():
            return self.averaged()
        return self.working()

    def digest(self, unit):
        """16 bytes that differ where the weights of a unit differ."""
        coef, intercept = self.working(unit)
        # Zeros are equal whatever their sign.
        return blake2b(
            (coef + 0.0).tobytes() + (intercept + 0.0).tobytes(), digest_size=16
        ).digest()

    def finite(self):
        """Whether no decision value and no weight has overflowed."""
        known = not self.read("overflows").any() and np.isfinite(self.state).all()
        return known and bool(np.isfinite(self.vector).all() and np.isfinite(self.sums).all())


@dataclass
class Pocket:
    """Best weights so far and the weight of their errors, per unit."""

    coef: np.ndarray
    intercept: np.ndarray
    errors: np.ndarray

    def consider(self, learners, unit, count):
        """Keep the present weights of a unit if they make fewer errors.

        ``count(unit, coef, intercept, limit)`` may stop counting at `limit`.
        """
        coef, intercept = learners.working(unit)
        errors = count(unit, coef, intercept, self.errors[unit])
        if errors < self.errors[unit]:
            part = learners.members(unit)
            self.coef[part], self.intercept[part] = coef, intercept
            self.errors[unit] = errors


@dataclass(frozen=True)
class Judge:
    """Counts the weight of the rows that weights of a unit get wrong.

    `weight` (n,) float64 or None is by row and `rule` tells classes and signs apart.
    """

    rows: object
    weight: np.ndarray
    rule: object

    def __call__(self, unit, coef, intercept, limit=np.inf):
        errors = 0.0
        for block in self.rows.blocks():
            wrong, classes = self.wrong(block, unit, coef, intercept)
            gain = self.rule.gain[classes] if self.rule.multiclass else self.rule.gain[unit]
            side = 1 if self.rule.multiclass else (classes == self.rule.positive[unit]).astype(int)
            gain = gain[:, 1] if self.rule.multiclass else gain[side]
            if self.weight is not None:
                gain = gain * self.weight[block.span]
            errors += float(gain[wrong].sum())
            if errors >= limit:
                break
        return errors

    def wrong(self, block, unit, coef, intercept):
        """Which rows of a block are predicted wrongly, and the classes of all."""
        raw = scores(block.X, coef, intercept)
        if self.rule.multiclass:
            return raw.argmax(axis=1) != block.target, block.target
        return (raw[:, 0] > 0) != (block.target == self.rule.positive[unit]), block.target

    def accuracy(self, unit, coef, intercept):
        """The weighted share of rows that a unit gets right, class weights left out."""
        right = total = 0.0
        for block in self.rows.blocks():
            wrong, _ = self.wrong(block, unit, coef, intercept)
            weight = np.ones(len(block)) if self.weight is None else self.weight[block.span]
            right += float(weight[~wrong].sum())
            total += float(weight.sum())
        return right / total


def scores(X, coef, intercept):
    """X coef' + intercept in float64; infinite where that overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        if sparse.issparse(X):
            return np.asarray(X @ np.ascontiguousarray(coef.T)) + intercept
        return X.astype(np.float64, copy=False) @ coef.T + intercept


@dataclass(frozen=True)
class Least:
    """The smallest of some numbers."""

    value: float

    def merge(self, other):
        return self if self.value <= other.value else other


def geometric_margin(rows, coef, intercept, rule):
    """Least distance of a row of positive weight to a boundary; NaN if a row is on a wrong side."""
    if rule.multiclass:
        gaps = coef[:, None] - coef[None]
        length = np.sqrt((gaps * gaps).sum(axis=-1))
    else:
        length = np.sqrt((coef * coef).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        least = rows.sum(_least_distance, (coef, intercept, rule, length)).value
    return least if 0 < least < np.inf else float("nan")


def _least_distance(block, params):
    coef, intercept, rule, length = params
    raw = scores(block.X, coef, intercept)
    counted = block.weight > 0
    if rule.multiclass:
        own = np.take_along_axis(raw, block.target[:, None].astype(np.intp), axis=1)
        distance = (own - raw) / length[block.target]
        distance[np.arange(len(block)), block.target] = np.inf
    else:
        sign = np.where(block.target[:, None] == rule.positive, 1.0, -1.0)
        distance = sign * raw / length
    return Least(float(distance[counted].min(initial=np.inf)))

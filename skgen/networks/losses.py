"""Losses of a network's raw outputs.

    Categorical  log sum_k e^raw_k - raw_y
    Binary       sum_m (log(1 + e^raw_m) - y_m raw_m)
    Squared      sum_m r_m^2 / 2,  r = raw - y
    Absolute     sum_m |r_m|
    Huber        sum_m (r_m^2 / 2 up to delta, then delta (|r_m| - delta / 2))
    Quantile     sum_m (q max(-r_m, 0) + (1 - q) max(r_m, 0))
    Poisson      sum_m (e^raw_m - y_m raw_m + y_m log y_m - y_m)
    Gaussian     sum_m (log 2 pi + v_m + (y_m - mean_m)^2 e^-v_m) / 2,    raw = (means, v)

A loss is any object with

- ``n_outputs(n_targets)``: how many raw outputs the network needs for a target of so many columns
  (for classes: so many classes),
- ``value_and_gradient(raw, target, weight)``: the sum over rows of weight times loss, a float, and
  its gradient by raw, in the dtype of raw,
- ``predict(raw)``: what the network answers.

`target` is a float array (n, m); a class is its number in one column. A negative class and a NaN
mean that nothing is known, and cost nothing; Categorical(number) and Binary(number) charge `number`
times the entropy of their answer for them (Grandvalet and Bengio 2005). `code` and `number` are how
the kernel knows a loss; one without a `code` is summed in NumPy. Bishop (2006), section 5.2; Huber
(1964); Koenker and Bassett (1978); Nix and Weigend (1994).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log, pi

import numpy as np
from scipy.special import expit, xlogy

from skgen import kernels


def total(values, weight):
    """sum_i weight_i sum_m values_im in float64."""
    return float(weight @ values.sum(axis=1, dtype=np.float64))


@dataclass(frozen=True)
class Categorical:
    """Negative log-likelihood of one of several classes."""

    number: float = 0.0
    code = 0
    activation = "softmax"

    def n_outputs(self, n_targets):
        return n_targets

    def value_and_gradient(self, raw, target, weight):
        number = target[:, 0].astype(np.intp)
        known = number >= 0
        rows, number = np.arange(len(raw)), np.where(known, number, 0)
        lowered = raw - raw.max(axis=1, keepdims=True)
        share = np.exp(lowered)
        sums = share.sum(axis=1, keepdims=True)
        share /= sums
        loss = np.log(sums[:, 0], dtype=np.float64) - lowered[rows, number]
        slope = share.copy()
        slope[rows, number] -= 1.0
        if self.number:
            logs = lowered - np.log(sums)
            entropy = -(share * logs).sum(axis=1, keepdims=True)
            loss = np.where(known, loss, self.number * entropy[:, 0])
            slope = np.where(known[:, None], slope, -self.number * share * (logs + entropy))
        else:
            weight = np.where(known, weight, 0.0)
        return float(weight @ loss), (slope * weight[:, None]).astype(raw.dtype)

    def predict(self, raw):
        share = np.array(raw, order="C")
        kernels.linear.softmax_rows(share)
        return share


class ByCell:
    """A loss that is a sum over the columns of the target, in which NaN costs nothing."""

    number = 0.0
    activation = "identity"

    def n_outputs(self, n_targets):
        return n_targets

    def value_and_gradient(self, raw, target, weight):
        known = ~np.isnan(target)
        value, slope = self.cells(raw, np.where(known, target, target.dtype.type(0.0)))
        slope = np.where(known, slope, raw.dtype.type(0.0)) * weight[:, None].astype(raw.dtype)
        return total(np.where(known, value, 0.0), weight), slope

    def rows(self, raw, target):
        """The loss of every row, float64."""
        return self.cells(raw, target)[0].sum(axis=1, dtype=np.float64)

    def predict(self, raw):
        return raw


@dataclass(frozen=True)
class Binary(ByCell):
    """Cross-entropy of labels that are on or off, or of chances in [0, 1], one output each."""

    number: float = 0.0
    code = 1
    activation = "logistic"

    def value_and_gradient(self, raw, target, weight):
        value, slope = super().value_and_gradient(raw, target, weight)
        if not self.number:
            return value, slope
        unknown, size = np.isnan(target), np.abs(raw)
        entropy = np.where(unknown, np.log1p(np.exp(-size)) + size * expit(-size), 0.0)
        flat = np.where(unknown, -raw * expit(raw) * expit(-raw), 0.0)
        slope += (self.number * flat * weight[:, None]).astype(raw.dtype)
        return value + self.number * total(entropy, weight), slope

    def cells(self, raw, target):
        beyond = np.where(raw > 0.0, (1.0 - target) * raw, -target * raw)
        return np.log1p(np.exp(-np.abs(raw))) + beyond, expit(raw) - target

    def predict(self, raw):
        return expit(raw)


class Squared(ByCell):
    """Half the squared error."""

    code = 2

    def cells(self, raw, target):
        error = raw - target
        return 0.5 * error * error, error


class Absolute(ByCell):
    """The absolute error; the network learns a median."""

    code = 3

    def cells(self, raw, target):
        error = raw - target
        return np.abs(error), np.sign(error)


@dataclass(frozen=True)
class Huber(ByCell):
    """Half the squared error up to `number`, linear beyond."""

    number: float = 1.0
    code = 4

    def cells(self, raw, target):
        error = raw - target
        slope = np.clip(error, -self.number, self.number)
        return slope * (error - 0.5 * slope), slope


@dataclass(frozen=True)
class Quantile(ByCell):
    """The pinball loss; the network learns the quantile `number`."""

    number: float = 0.5
    code = 5

    def cells(self, raw, target):
        error = raw - target
        slope = np.where(error > 0.0, 1.0 - self.number, np.where(error < 0.0, -self.number, 0.0))
        slope = slope.astype(raw.dtype)
        return slope * error, slope


class Poisson(ByCell):
    """Half the Poisson deviance; raw is the logarithm of the mean."""

    code = 6
    activation = "exp"

    def cells(self, raw, target):
        mean = np.exp(raw)
        return mean - target * raw + xlogy(target, target) - target, mean - target

    def predict(self, raw):
        # Means beyond the largest float are that float.
        return np.exp(np.minimum(raw, np.log(np.finfo(raw.dtype).max)))


class Gaussian(ByCell):
    """Negative log-likelihood of a normal distribution whose mean and log variance are learned."""

    code = 7

    def n_outputs(self, n_targets):
        return 2 * n_targets

    def value_and_gradient(self, raw, target, weight):
        known = ~np.isnan(target)
        mean, log_variance = np.split(raw, 2, axis=1)
        error = mean - np.where(known, target, target.dtype.type(0.0))
        precision = np.exp(-log_variance)
        scaled = error * precision
        value = 0.5 * (log(2.0 * pi) + log_variance + error * scaled)
        slopes = scaled, 0.5 - 0.5 * error * scaled
        share = (known * weight[:, None]).astype(raw.dtype)
        slope = np.concatenate([share * part for part in slopes], axis=1)
        return total(np.where(known, value, 0.0), weight), slope

    def predict(self, raw):
        return raw[:, : raw.shape[1] // 2]


# The kernel knows a loss by its place.
LOSSES = (Categorical, Binary, Squared, Absolute, Huber, Quantile, Poisson, Gaussian)


@dataclass(frozen=True)
class Head:
    """Part of a network's outputs with a loss of its own.

    Raw columns `outputs` and target columns `targets` are slices; `weight` multiplies the loss.
    """

    loss: object
    outputs: slice
    targets: slice
    weight: float = 1.0


@dataclass(frozen=True)
class Tasks:
    """Several losses of one network, weighted and added (Caruana 1997)."""

    heads: tuple

    def value_and_gradient(self, raw, target, weight):
        value, slope = 0.0, np.zeros_like(raw)
        for head in self.heads:
            one, part = head.loss.value_and_gradient(
                raw[:, head.outputs], target[:, head.targets], weight
            )
            value += head.weight * one
            slope[:, head.outputs] = head.weight * part
        return value, slope

    def predict(self, raw):
        return [head.loss.predict(raw[:, head.outputs]) for head in self.heads]


def describe(loss):
    """A loss of this module as a tuple of plain values, which `loss_of` reads; None for others."""
    if isinstance(loss, Tasks):
        return tuple(
            (
                *describe(head.loss),
                head.outputs.start,
                head.outputs.stop,
                head.targets.start,
                head.targets.stop,
                head.weight,
            )
            for head in loss.heads
        )
    return (loss.code, loss.number) if type(loss) in LOSSES else None


@lru_cache
def loss_of(description):
    """The loss that `describe` has described."""
    if not isinstance(description[0], tuple):
        code, number = description
        kind = LOSSES[code]
        return kind(number) if kind in (Categorical, Binary, Huber, Quantile) else kind()
    heads = []
    for code, number, *places, weight in description:
        outputs, targets = slice(*places[:2]), slice(*places[2:])
        heads.append(Head(loss_of((code, number)), outputs, targets, weight))
    return Tasks(tuple(heads))


def tasks_of(losses, n_targets, weights):
    """`Tasks` of losses over neighboring columns.

    `n_targets` gives the columns of each target, of a categorical one the classes.
    """
    heads, output, target = [], 0, 0
    for loss, number, weight in zip(losses, n_targets, weights, strict=True):
        wide = loss.n_outputs(number)
        columns = 1 if isinstance(loss, Categorical) else number
        heads.append(
            Head(loss, slice(output, output + wide), slice(target, target + columns), weight)
        )
        output, target = output + wide, target + columns
    return Tasks(tuple(heads))

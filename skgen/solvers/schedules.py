"""Learning rates of update t (from 0) in epoch s (from 0).

    constant    e
    invscaling  e / (t + 1)^power_t
    inverse     e / (1 + decay_rate t)
    step        e step_factor^floor(s / step_size)
    cosine      e (1 + cos(pi (s mod max_iter) / max_iter)) / 2,   s counting parts of epochs
    adaptive    e until `n_iter_no_change` epochs brought nothing, then e / 5, e / 25, ...

A schedule is a frozen dataclass whose fields are called as the estimators' parameters;
``rates(epoch, first, count)`` gives the rates of the `count` updates of an epoch at once. The
cosine begins anew after `max_iter` epochs. Robbins and Monro (1951); Loshchilov and Hutter (2017).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Constant:
    """The same rate at every update."""

    learning_rate_init: float
    # Whether the rate is lowered when training has come to rest.
    adaptive = False

    def rates(self, epoch, first, count):
        return np.full(count, self.learning_rate_init)


@dataclass(frozen=True)
class Adaptive(Constant):
    """The same rate, until training rests: the loop then multiplies it by `factor`."""

    adaptive = True
    factor = 0.2
    smallest = 1e-6


@dataclass(frozen=True)
class InverseScaling(Constant):
    """A power of the number of updates."""

    power_t: float

    def rates(self, epoch, first, count):
        return self.learning_rate_init / np.arange(first + 1.0, first + count + 1.0) ** self.power_t


@dataclass(frozen=True)
class SampleScaling(InverseScaling):
    """A power of the number of rows seen before the epoch, as scikit-learn's networks have it."""

    n_rows: int

    def rates(self, epoch, first, count):
        rate = self.learning_rate_init / (epoch * self.n_rows + 1.0) ** self.power_t
        return np.full(count, rate)


@dataclass(frozen=True)
class InverseTime(Constant):
    """One over a line: what convergence proofs of strongly convex problems ask for."""

    decay_rate: float

    def rates(self, epoch, first, count):
        return self.learning_rate_init / (
            1.0 + self.decay_rate * np.arange(float(first), first + count)
        )


@dataclass(frozen=True)
class StepDecay(Constant):
    """A stair of epochs."""

    step_size: int
    step_factor: float

    def rates(self, epoch, first, count):
        rate = self.learning_rate_init * self.step_factor ** (epoch // self.step_size)
        return np.full(count, rate)


@dataclass(frozen=True)
class Cosine(Constant):
    """Half a cosine over `max_iter` epochs."""

    max_iter: int

    def rates(self, epoch, first, count):
        done = (epoch % self.max_iter + np.arange(count) / count) / self.max_iter
        return self.learning_rate_init * (0.5 + 0.5 * np.cos(np.pi * done))


SCHEDULES = {
    "constant": Constant,
    "invscaling": InverseScaling,
    "inverse": InverseTime,
    "step": StepDecay,
    "cosine": Cosine,
    "adaptive": Adaptive,
}

"""Update rules of gradient descent: what a step makes of a gradient g at learning rate e.

    sgd       w -= e g
    momentum  v = m v - e g                                  w += v
    nesterov  v = m v - e g                                  w += m v - e g
    adagrad   G += g^2                                       w -= e g / (sqrt(G) + eps)
    rmsprop   S = rho S + (1 - rho) g^2                      w -= e g / (sqrt(S) + eps)
    adam      M = b1 M + (1 - b1) g,  V = b2 V + (1 - b2) g^2
              w -= e M / (1 - b1^t) / (sqrt(V / (1 - b2^t)) + eps)
              (biased_epsilon: eps / sqrt(1 - b2^t) in the place of eps)
    adamw     w *= 1 - e decay, then as adam

All memories start at zero, t counts updates from one. Nesterov's rule is written for the point
that the gradient is taken at, u = w + m v of the textbook form (Sutskever et al. 2013); with a
constant rate both visit the same points.

A rule is a frozen dataclass whose fields are called as the estimators' parameters. Its memory is
an array that ``begin`` makes and the caller keeps, so a run is continued, copied and pickled as
plain numbers. ``step`` changes w and memory in place and returns how far a gradient of one that
stays moves a coordinate per step: what a proximal map after the step has to be scaled by, so that
its fixed points are the minima of loss plus penalty.

References: Polyak (1964); Sutskever, Martens, Dahl and Hinton (2013); Duchi, Hazan and Singer
(2011); Tieleman and Hinton (2012); Kingma and Ba (2015); Loshchilov and Hutter (2019).
"""

from dataclasses import MISSING, dataclass, field, fields
from math import sqrt

import numpy as np


class Rule:
    """Memory of `n_memories` numbers per parameter."""

    n_memories = 1

    def begin(self, p):
        """The memory before the first step."""
        return np.zeros((self.n_memories, p))


class VelocityRule(Rule):
    """Memory of a velocity per parameter, and one of a parameter whose gradient is always -1.

    That last number follows the rate through any schedule; rate / (1 - momentum), its limit under
    a constant rate, is too little for the proximal map while the rate falls.
    """

    def begin(self, p):
        return np.zeros((1, p + 1))


@dataclass(frozen=True)
class GradientDescent(Rule):
    """w -= rate * gradient."""

    n_memories = 0

    def step(self, w, gradient, memory, rate, t):
        w -= rate * gradient
        return rate


@dataclass(frozen=True)
class Momentum(VelocityRule):
    """Heavy ball: the velocity forgets by the factor `momentum`, in [0, 1)."""

    momentum: float

    def step(self, w, gradient, memory, rate, t):
        velocity = memory[0, :-1]
        memory *= self.momentum
        velocity -= rate * gradient
        memory[0, -1] += rate
        w += velocity
        return memory[0, -1]


@dataclass(frozen=True)
class Nesterov(VelocityRule):
    """Heavy ball with the gradient taken where the velocity leads to."""

    momentum: float

    def step(self, w, gradient, memory, rate, t):
        velocity, move = memory[0, :-1], rate * gradient
        memory *= self.momentum
        velocity -= move
        memory[0, -1] += rate
        w += self.momentum * velocity
        w -= move
        return self.momentum * memory[0, -1] + rate


@dataclass(frozen=True)
class Adagrad(Rule):
    """A rate per coordinate that falls with the squared gradients it has seen."""

    epsilon: float

    def step(self, w, gradient, memory, rate, t):
        memory[0] += gradient * gradient
        scale = rate / (np.sqrt(memory[0]) + self.epsilon)
        w -= scale * gradient
        return scale


@dataclass(frozen=True)
class RMSProp(Rule):
    """A rate per coordinate over the root of a running mean of squared gradients."""

    rho: float
    epsilon: float

    def step(self, w, gradient, memory, rate, t):
        memory[0] *= self.rho
        memory[0] += (1.0 - self.rho) * gradient * gradient
        scale = rate / (np.sqrt(memory[0]) + self.epsilon)
        w -= scale * gradient
        return scale


@dataclass(frozen=True)
class Adam(Rule):
    """Running means of gradient and squared gradient, both corrected for their start at zero.

    With `biased_epsilon`, epsilon is added before the correction, as in the fast form of the paper
    and in scikit-learn.
    """

    beta_1: float
    beta_2: float
    epsilon: float
    biased_epsilon: bool = field(default=False, kw_only=True)
    n_memories = 2

    def step(self, w, gradient, memory, rate, t):
        mean, square = memory
        mean *= self.beta_1
        mean += (1.0 - self.beta_1) * gradient
        square *= self.beta_2
        square += (1.0 - self.beta_2) * gradient * gradient
        grown = 1.0 - self.beta_2**t
        epsilon = self.epsilon / sqrt(grown) if self.biased_epsilon else self.epsilon
        scale = rate / (np.sqrt(square / grown) + epsilon)
        w -= scale * (mean / (1.0 - self.beta_1**t))
        return scale


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam after a decay that knows nothing of the gradient's scale.

    `weight_decay` is a number or an array (p,), zero at coordinates that are not penalized.
    """

    weight_decay: float | np.ndarray

    def step(self, w, gradient, memory, rate, t):
        w *= 1.0 - rate * self.weight_decay
        return super().step(w, gradient, memory, rate, t)


RULES = {
    "sgd": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}


def named(table, name, options):
    """``table[name]`` built from those of `options` that it has fields for."""
    kind = table[name]
    given = [item.name for item in fields(kind) if item.name in options or item.default is MISSING]
    return kind(**{name: options[name] for name in given})


def compiled_form(rule, p):
    """What kernels know a rule by: its place in the table, its numbers, its decay (p,) if any."""
    code = list(RULES.values()).index(type(rule))
    options = {item.name: getattr(rule, item.name) for item in fields(rule)}
    decay = options.pop("weight_decay", None)
    decay = np.empty(0) if decay is None else np.ascontiguousarray(np.broadcast_to(decay, p))
    return code, np.array(list(options.values()), dtype=np.float64), decay.astype(np.float64)

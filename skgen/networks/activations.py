"""Activations of hidden units: a = h(z), elementwise but for maxout.

    identity    z                            elu       z > 0 ? z : number (e^z - 1)
    logistic    1 / (1 + e^-z)               gelu      z Phi(z)
    tanh        tanh z                       softplus  log(1 + e^z)
    relu        max(z, 0)                    prelu     z > 0 ? z : slope z, slope learned
    leaky_relu  z > 0 ? z : number z         maxout    the largest of several z

An activation is a frozen value. ``forward(z, slope)`` returns a and a closure ``backward``
that turns the objective's gradient by a into those by z and by slope (None where there is none);
it may overwrite z.
The kernel knows it by its `code`. `spread` is the factor of the initial standard deviation 1 /
sqrt(n_in) that keeps the size of signals (He et al. 2015), None where Glorot's limits do (Glorot
and Bengio 2010). Where h has a kink the derivative is that from the left.

References: Maas, Hannun and Ng (2013); He et al. (2015); Goodfellow et al. (2013); Clevert,
Unterthiner and Hochreiter (2016); Hendrycks and Gimpel (2016); Dugas et al. (2001).
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from scipy.special import erf, expit


class Identity:
    """a = z."""

    code = 0
    spread = None
    pieces = 1
    number = 0.0
    learns_slope = False

    def forward(self, z, slope=None):
        return z, lambda delta: (delta, None)


class Logistic(Identity):
    """Values in (0, 1)."""

    code = 1

    def forward(self, z, slope=None):
        a = expit(z)
        return a, lambda delta: (delta * a * (1.0 - a), None)


class Tanh(Identity):
    """Values in (-1, 1)."""

    code = 2

    def forward(self, z, slope=None):
        a = np.tanh(z)
        return a, lambda delta: (delta * (1.0 - a * a), None)


class Relu(Identity):
    """The positive part."""

    code = 3
    spread = sqrt(2.0)

    def forward(self, z, slope=None):
        a = np.maximum(z, 0.0, out=z)
        return a, lambda delta: (np.where(a > 0.0, delta, 0.0), None)


@dataclass(frozen=True)
class LeakyRelu(Identity):
    """The positive part and a small share, `number`, of the negative one."""

    code = 4
    number: float = 0.01

    @property
    def spread(self):
        return sqrt(2.0 / (1.0 + self.number**2))

    def forward(self, z, slope=None):
        steepness = np.where(z > 0.0, z.dtype.type(1.0), z.dtype.type(self.number))
        return steepness * z, lambda delta: (steepness * delta, None)


@dataclass(frozen=True)
class Elu(Identity):
    """The positive part, and a saturating exponential below zero that ends at -`number`."""

    code = 5
    number: float = 1.0
    spread = sqrt(2.0)

    def forward(self, z, slope=None):
        below = self.number * np.expm1(np.minimum(z, 0.0))
        steepness = np.where(z > 0.0, z.dtype.type(1.0), below + z.dtype.type(self.number))
        return np.where(z > 0.0, z, below), lambda delta: (steepness * delta, None)


class Gelu(Identity):
    """z times the standard normal distribution function of z."""

    code = 6
    spread = sqrt(2.0)

    def forward(self, z, slope=None):
        below = 0.5 + 0.5 * erf(z * sqrt(0.5))
        steepness = below + z * np.exp(-0.5 * z * z) * (1.0 / sqrt(2.0 * pi))
        return z * below, lambda delta: (steepness * delta, None)


class Softplus(Identity):
    """A positive part without a kink."""

    code = 7

    def forward(self, z, slope=None):
        return np.logaddexp(z, z.dtype.type(0.0)), lambda delta: (expit(z) * delta, None)


@dataclass(frozen=True)
class Prelu(Identity):
    """As leaky_relu, with a share per unit that is learned; `number` is its start."""

    code = 8
    number: float = 0.25
    learns_slope = True

    @property
    def spread(self):
        return sqrt(2.0 / (1.0 + self.number**2))

    def forward(self, z, slope=None):
        def backward(delta):
            by_slope = np.einsum("ij,ij->j", delta, np.minimum(z, 0.0))
            return np.where(z > 0.0, delta, slope * delta), by_slope

        return np.where(z > 0.0, z, slope * z), backward


@dataclass(frozen=True)
class Maxout(Identity):
    """The largest of `pieces` linear functions per unit; of equal ones the first."""

    code = 9
    pieces: int = 2
    spread = sqrt(2.0)

    def forward(self, z, slope=None):
        parts = z.reshape(len(z), -1, self.pieces)
        first = parts.argmax(axis=2)[:, :, None]

        def backward(delta):
            back = np.zeros_like(parts)
            np.put_along_axis(back, first, delta[:, :, None], axis=2)
            return back.reshape(z.shape), None

        return np.take_along_axis(parts, first, axis=2)[:, :, 0], backward


ACTIVATIONS = {
    "identity": Identity,
    "logistic": Logistic,
    "tanh": Tanh,
    "relu": Relu,
    "leaky_relu": LeakyRelu,
    "elu": Elu,
    "gelu": Gelu,
    "softplus": Softplus,
    "prelu": Prelu,
    "maxout": Maxout,
}

"""A multilayer perceptron over one flat vector w: the reference for the compiled training.

    z = a W (+ b),   with batch norm  z = scale (z - m) / sqrt(v + eps) + b,     a' = dropout(h(z))

    J_B(w) = (1 / S) [ sum_{i in B} s_i loss(raw_i, y_i) + l2 / 2 |W|^2 + l1 |W|_1 ]

s are the rows' weights and S their sum over the batch B; m and v are mean and variance over the
batch while training, and their running means, which lie in w too, afterwards. Intercepts, slopes
and scales are not penalized. Rumelhart, Hinton and Williams (1986); Ioffe and Szegedy (2015);
Srivastava et al. (2014).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt

import numpy as np
from scipy import sparse

from skgen.networks.activations import ACTIVATIONS, Identity
from skgen.networks.draws import dropout_mask
from skgen.parameters import Layout

VARIANCE_FLOOR = 1e-5
# What the running mean and variance keep of themselves at every update.
KEPT = 0.9


@dataclass(frozen=True)
class Layer:
    """n_in -> n_units, with an activation, batch norm and the share of units that drop out.

    `turned` is the number of an earlier layer whose weights, transposed, are this layer's too.
    """

    n_in: int
    n_units: int
    activation: object = field(default_factory=Identity)
    batch_norm: bool = False
    dropout: float = 0.0
    turned: int | None = None

    @property
    def n_sums(self):
        """Linear functions of the input."""
        return self.n_units * self.activation.pieces

    def shapes(self):
        """Name -> shape of the layer's parameters, in their order."""
        shapes = {} if self.turned is not None else {"coef": (self.n_in, self.n_sums)}
        shapes["intercept"] = (self.n_sums,)
        if self.activation.learns_slope:
            shapes["slope"] = (self.n_units,)
        if self.batch_norm:
            shapes |= dict.fromkeys(("scale", "mean", "variance"), (self.n_sums,))
        return shapes


def describe(layers):
    """Layers as a tuple of plain values, which `layers_of` reads."""
    return tuple(
        (
            layer.n_in,
            layer.n_units,
            layer.activation.code,
            layer.activation.pieces,
            layer.batch_norm,
            layer.dropout,
            layer.turned,
        )
        for layer in layers
    )


@lru_cache
def layers_of(description):
    """The layers that `describe` has described."""
    kinds, layers = list(ACTIVATIONS.values()), []
    for n_in, n_units, code, pieces, *rest in description:
        kind = kinds[code]
        layers.append(Layer(n_in, n_units, kind(pieces) if pieces > 1 else kind(), *rest))
    return tuple(layers)


@dataclass(frozen=True)
class Noise:
    """The random numbers of one update: dropout is drawn from them."""

    seed: int
    update: int


class Network:
    """Layers, a loss of the last one's outputs, and penalties.

    Parameters
    ----------
    layers : sequence of Layer
    loss : see `skgen.networks.losses`
    l2, l1 : float
        Strengths of the penalties.
    max_norm : float or None
        Longest vector of weights into a hidden unit.
    """

    def __init__(self, layers, loss, l2=0.0, l1=0.0, max_norm=None):
        self.layers, self.loss = tuple(layers), loss
        self.l2, self.l1, self.max_norm = l2, l1, max_norm
        shapes = {
            f"{name}_{number}": shape
            for number, layer in enumerate(self.layers)
            for name, shape in layer.shapes().items()
        }
        self.layout = Layout(**shapes)
        self.penalized = np.zeros(self.layout.size)
        for part in self.parts(self.penalized):
            part["coef"][...] = 1.0

    @property
    def has_batch_norm(self):
        """Whether any layer norms its batches."""
        return any(layer.batch_norm for layer in self.layers)

    @property
    def drops(self):
        """Whether any unit may drop out."""
        return any(layer.dropout > 0.0 for layer in self.layers)

    def without_penalty(self):
        """The same layers and loss."""
        return Network(self.layers, self.loss)

    def parts(self, w):
        """A dict of views of `w` per layer."""
        views = self.layout.views(w)
        parts = []
        for number, layer in enumerate(self.layers):
            part = {name: views[f"{name}_{number}"] for name in layer.shapes()}
            if layer.turned is not None:
                part["coef"] = parts[layer.turned]["coef"].T
            parts.append(part)
        return parts

    def own_weights(self, *vectors):
        """The weights of every layer that are not another's too, as views of each vector."""
        for number, layer in enumerate(self.layers):
            if layer.turned is None:
                place, shape = self.layout.slices[f"coef_{number}"], layer.shapes()["coef"]
                yield [w[place].reshape(shape) for w in vectors]

    def pack(self, parts, dtype):
        """The flat vector of what `parts` returns."""
        w = np.empty(self.layout.size, dtype)
        for layer, views, part in zip(self.layers, self.parts(w), parts, strict=True):
            for name in layer.shapes():
                views[name][...] = part[name]
        return w

    def value_and_gradient(self, w, X, target, weight, noise=None, seen=None):
        """J_B and the gradient of its smooth part.

        Parameters
        ----------
        w : ndarray (p,)
        X : ndarray or CSR (b, d), of the dtype of w
        target : ndarray (b, m)
        weight : float64 ndarray (b,)
        noise : Noise or None
            None lets no unit drop out.
        seen : list or None
            Gets (mean, variance) of the batch per layer with batch norm.
        """
        mass = float(weight.sum())
        a, backwards = X, []
        for number, (layer, part) in enumerate(zip(self.layers, self.parts(w), strict=True)):
            mask = None
            if noise is not None and layer.dropout > 0.0:
                shape = (X.shape[0], layer.n_units)
                mask = dropout_mask(noise.seed, noise.update, number, shape, layer.dropout, w.dtype)
            a, backward = forward(layer, part, a, weight / mass, mask, seen)
            backwards.append(backward)
        value, delta = self.loss.value_and_gradient(a, target, weight)
        delta = delta / w.dtype.type(mass)
        gradient = np.zeros_like(w)
        parts = self.parts(gradient)
        for number in reversed(range(len(self.layers))):
            delta = backwards[number](delta, parts[number], number > 0)
        penalty, slope = self.penalty(w)
        gradient += slope / w.dtype.type(mass)
        return (value + penalty) / mass, gradient

    def penalty(self, w):
        """All of the penalty, and the gradient of its squared part."""
        slope = np.zeros_like(w)
        value = 0.0
        for coef, out in self.own_weights(w, slope):
            if self.l2:
                out[...] = self.l2 * coef
                value += 0.5 * self.l2 * float(np.square(coef, dtype=np.float64).sum())
            if self.l1:
                value += self.l1 * float(np.abs(coef).sum(dtype=np.float64))
        return value, slope

    def remember(self, w, seen, weight):
        """Move the running means and variances in `w` towards those of a batch."""
        mass, batch = float(weight.sum()), iter(seen)
        share = mass - mass / len(weight)
        for layer, part in zip(self.layers, self.parts(w), strict=True):
            if layer.batch_norm:
                mean, variance = next(batch)
                # A single row has no variance.
                if share > 0.0:
                    part["mean"][...] = KEPT * part["mean"] + (1.0 - KEPT) * mean
                    spread = variance * (mass / share)
                    part["variance"][...] = KEPT * part["variance"] + (1.0 - KEPT) * spread

    def bound(self, w):
        """Shorten the weights into each hidden unit to `max_norm`, in place."""
        if self.max_norm is None:
            return
        for (coef,) in list(self.own_weights(w))[: len(self.layers) - 1]:
            length = np.sqrt(np.einsum("ij,ij->j", coef, coef))
            coef *= np.minimum(1.0, self.max_norm / np.maximum(length, self.max_norm))

    def shrink(self, w, step, mass):
        """Move weights towards zero by `step` times l1 / mass."""
        threshold = (step * (self.l1 / mass) * self.penalized).astype(w.dtype)
        w -= np.clip(w, -threshold, threshold)


def forward(layer, part, a, share, mask, seen):
    """Outputs of a layer in training, and a closure from their gradient to that by its inputs.

    `share` (b,) are the rows' weights over their sum. The closure writes the gradient by the
    parameters into the views it is given.
    """
    z = sums(a, part["coef"])
    if layer.batch_norm:
        z, unnorm = normed(z, part, share.astype(z.dtype), seen)
    else:
        z += part["intercept"]
        unnorm = None
    out, undo = layer.activation.forward(z, part.get("slope"))
    if mask is not None:
        out = out * mask

    def backward(delta, gradient, inwards):
        if mask is not None:
            delta = delta * mask
        delta, by_slope = undo(delta)
        if by_slope is not None:
            gradient["slope"][...] = by_slope
        gradient["intercept"][...] = delta.sum(axis=0)
        if unnorm is not None:
            delta = unnorm(delta, gradient)
        # Layers that share weights add up.
        gradient["coef"][...] += a.T @ delta
        return delta @ part["coef"].T if inwards else None

    return out, backward


def sums(a, coef):
    """a @ coef as a new array, for dense and CSR a."""
    return np.asarray(a @ coef) if sparse.issparse(a) else a @ coef


def normed(z, part, share, seen):
    """Batch norm of z, and a closure for the way back."""
    mean = share @ z
    z = z - mean
    variance = share @ (z * z)
    inverse = 1.0 / np.sqrt(variance + VARIANCE_FLOOR)
    z *= inverse
    if seen is not None:
        seen.append((mean, variance))

    def backward(delta, gradient):
        by_scale = np.einsum("ij,ij->j", delta, z)
        gradient["scale"][...] = by_scale
        back = delta - share[:, None] * (delta.sum(axis=0) + z * by_scale)
        return back * (part["scale"] * inverse)

    return z * part["scale"] + part["intercept"], backward


def linear(layer, part, a):
    """What enters the activation of a layer after training."""
    z = sums(a, part["coef"])
    if layer.batch_norm:
        scale = part["scale"] / np.sqrt(part["variance"] + VARIANCE_FLOOR)
        z = (z - part["mean"]) * scale
    z += part["intercept"]
    return z


def activate(layer, part, a):
    """Outputs of a layer after training."""
    return layer.activation.forward(linear(layer, part, a), part.get("slope"))[0]


def hidden(layers, parts, X, depth):
    """Outputs of the first `depth` layers, a list."""
    outputs, a = [], X
    for layer, part in zip(layers[:depth], parts[:depth], strict=True):
        a = activate(layer, part, a)
        outputs.append(a)
    return outputs


def raw_outputs(layers, parts, X):
    """Outputs of the last layer."""
    a = X
    for layer, part in zip(layers, parts, strict=True):
        a = activate(layer, part, a)
    return a


def draw(layer, random_state, initializer, dtype, factor=6.0):
    """First parameters of a layer.

    "glorot" draws weights and intercepts uniformly within sqrt(factor / (n_in + n_units)); "he"
    draws weights from N(0, spread^2 / n_in), intercepts are 0; "auto" takes "he" where the
    activation says a spread.
    """
    if initializer == "auto":
        initializer = "glorot" if layer.activation.spread is None else "he"
    shapes = layer.shapes()
    if initializer == "glorot":
        limit = sqrt(factor / (layer.n_in + layer.n_units))
        part = {
            name: random_state.uniform(-limit, limit, shapes[name])
            for name in ("coef", "intercept")
            if name in shapes
        }
    else:
        spread = 1.0 if layer.activation.spread is None else layer.activation.spread
        part = {"intercept": np.zeros(shapes["intercept"])}
        if "coef" in shapes:
            part["coef"] = random_state.normal(0.0, spread / sqrt(layer.n_in), shapes["coef"])
    if "slope" in shapes:
        part["slope"] = np.full(shapes["slope"], layer.activation.number)
    if layer.batch_norm:
        part["intercept"] = np.zeros(shapes["intercept"])
        ones = np.ones(shapes["scale"])
        part |= {"scale": ones, "mean": np.zeros(shapes["mean"]), "variance": ones}
    return {name: value.astype(dtype) for name, value in part.items()}

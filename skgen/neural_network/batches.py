"""The training problem of a network: its objective estimated from some of the rows.

Updates run in a kernel where it knows the network's loss, else in NumPy; the two agree to rounding.
Rows of weight zero are never drawn.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skgen import kernels
from skgen.networks.activations import ACTIVATIONS
from skgen.networks.losses import LOSSES, Head, Tasks
from skgen.networks.network import Noise
from skgen.rows import submit
from skgen.solvers.sgd import clip
from skgen.solvers.update_rules import compiled_form

# Operations between two looks at signals, some 50 ms.
WORK_AT_ONCE = 1.5e10
# Of the kernel's tables.
MOST_LAYERS = 64
# Rows that are looked at, the largest share of cells other than zero that is worth lists of them,
# and the most cells of a batch that lists are made of.
SEEN_ROWS, LISTED_SHARE, LISTED_CELLS = 1000, 0.4, 2**24


class NetworkBatches:
    """A problem for `skgen.solvers.sgd.sgd`.

    Parameters
    ----------
    rows : Rows, with a float array (n, m) as target
    network : skgen.networks.network.Network
    seed : int
        Of the units that drop out.
    compiled : bool
        Whether updates run in the kernel where they can.
    """

    proximal = None

    def __init__(self, rows, network, seed=0, compiled=True):
        self.rows, self.network, self.seed = rows, network, seed
        self.compiled = compiled and kernel_knows(network) and not sparse.issparse(rows.target)
        self.used = None
        if rows.weight is not None and not rows.weight.all():
            self.used = np.flatnonzero(rows.weight)
        self.n_rows = rows.n_rows if self.used is None else len(self.used)
        self.mass = rows.weight_sum
        # What enters the network.
        self.X = rows.X
        self.team = None

    def value_and_gradient(self, w, index):
        """The objective at `w` estimated from rows `index`, no unit left out; its gradient."""
        X, target, weight = self.batch(index)
        return self.network.value_and_gradient(w, X, target, weight)

    def batch(self, index):
        """X, target and weight of rows, counted among those of positive weight."""
        index = index if self.used is None else self.used[index]
        X, target = self.X[index], self.rows.target[index]
        target = dense(target)
        weight = np.ones(len(index)) if self.rows.weight is None else self.rows.weight[index]
        return X, target, weight

    def advance(self, training, rule, rates, order, batch_size, clip_norm):
        """Take one epoch's updates, see `skgen.solvers.sgd.advance`."""
        self.renew(training.n_epochs)
        step = self.in_numpy
        if self.compiled:
            if self.team is None:
                self.team = Team(self, rule, batch_size, clip_norm, training.w.dtype)
            step = self.in_kernel
        return step(training, rule, rates, order, batch_size, clip_norm) / self.mass

    def renew(self, epoch):
        """Called before an epoch; what enters the network may change."""

    def in_kernel(self, training, rule, rates, order, batch_size, clip_norm):
        """Stretches of updates, between which signals are heard."""
        if self.used is not None:
            order = self.used[order]
        order = order.astype(np.intp, copy=False)
        work = 6.0 * batch_size * self.team.products + 30.0 * len(training.w)
        stretch, total = max(1, int(WORK_AT_ONCE // work)), 0.0
        for start in range(0, len(rates), stretch):
            stop = min(start + stretch, len(rates))
            rows = order[start * batch_size : stop * batch_size]
            ends = start == 0, stop == len(rates)
            total += self.team.train(training, self.X, rates[start:stop], rows, ends)
            training.n_updates += stop - start
        return total

    def in_numpy(self, training, rule, rates, order, batch_size, clip_norm):
        """The same, an update at a time."""
        network, w, total = self.network, training.w, 0.0
        for number, rate in enumerate(rates.tolist()):
            X, target, weight = self.batch(order[number * batch_size : (number + 1) * batch_size])
            noise, seen = Noise(self.seed, training.n_updates), []
            value, gradient = network.value_and_gradient(w, X, target, weight, noise, seen)
            mass = float(weight.sum())
            if clip_norm is not None:
                clip(gradient, clip_norm)
            training.n_updates += 1
            step = rule.step(w, gradient, training.memory, rate, training.n_updates)
            if network.l1:
                network.shrink(w, step, mass)
            network.bound(w)
            network.remember(w, seen, weight)
            total += value * mass
        return total


class Team:
    """The kernel with its buffers and all that stays the same during training."""

    def __init__(self, problem, rule, batch_size, clip_norm, dtype):
        network, self.rows = problem.network, problem.rows
        code, numbers, _ = compiled_form(rule, network.layout.size)
        decay = getattr(rule, "weight_decay", 0.0)
        self.products = sum(layer.n_in * layer.n_sums for layer in network.layers)
        if sparse.issparse(self.rows.X):
            first = network.layers[0]
            stored = self.rows.X.nnz / max(self.rows.n_rows, 1)
            self.products -= (first.n_in - stored) * first.n_sums
        self.target = np.ascontiguousarray(self.rows.target)
        self.weight = np.empty(0) if self.rows.weight is None else self.rows.weight
        layers, activation_numbers, dropout = layer_table(network)
        heads, head_numbers = head_table(network.loss, network.layers[-1].n_units)
        self.kernel = kernels.network.Team(
            layers,
            activation_numbers,
            dropout,
            heads,
            head_numbers,
            code,
            numbers,
            batch_size,
            dtype == np.float32,
            network.l2,
            network.l1,
            float(np.max(decay)),
            clip_norm or 0.0,
            network.max_norm or 0.0,
            problem.seed,
            self.rows.n_threads,
            worth_lists(problem.X, batch_size),
        )

    def train(self, training, X, rates, order, ends):
        """Take an update per rate; the sum of the objectives met times the batches' weights.

        `ends` says whether this is the first and the last stretch of an epoch: in between,
        parameters are in the kernel's order only.
        """
        return self.kernel.train(
            entries(X),
            self.target,
            self.weight,
            order,
            np.ascontiguousarray(rates, dtype=np.float64),
            training.w,
            training.memory,
            training.n_updates,
            submit,
            *ends,
        )


def worth_lists(X, batch_size):
    """Whether so many cells are zero that the first layer had better go through the others only.

    The sums and their order are the same either way: what is left out are products with zero.
    """
    if sparse.issparse(X) or batch_size * X.shape[1] > LISTED_CELLS:
        return False
    seen = X[:: -(-X.shape[0] // SEEN_ROWS)]
    return np.count_nonzero(seen) <= LISTED_SHARE * seen.size


def kernel_knows(network):
    """Whether the kernel can train the network."""
    if len(network.layers) > MOST_LAYERS or any(
        layer.turned is not None for layer in network.layers
    ):
        return False
    losses = [network.loss]
    if isinstance(network.loss, Tasks):
        losses = [head.loss for head in network.loss.heads]
    # A class derived from one of them computes something else.
    known = ACTIVATIONS.values()
    return all(type(loss) in LOSSES for loss in losses) and all(
        type(layer.activation) in known for layer in network.layers
    )


def layer_table(network):
    """Sizes, kinds and places in w of the layers, as the kernel reads them."""
    slices, table, numbers = network.layout.slices, [], []
    for number, layer in enumerate(network.layers):
        names = ("coef", "intercept", "slope", "scale", "mean", "variance")
        places = [slices.get(f"{name}_{number}", slice(-1, 0)).start for name in names]
        activation = layer.activation
        table.append(
            [
                layer.n_in,
                layer.n_units,
                activation.pieces,
                activation.code,
                layer.batch_norm,
                *places,
            ]
        )
        numbers.append(activation.number)
    dropout = np.array([layer.dropout for layer in network.layers])
    return np.array(table, dtype=np.int64), np.array(numbers, dtype=np.float64), dropout


def head_table(loss, n_outputs):
    """The parts of the outputs and their losses, as the kernel reads them."""
    whole = Head(loss, slice(0, n_outputs), slice(0, None))
    heads = loss.heads if isinstance(loss, Tasks) else (whole,)
    table = [
        [
            head.loss.code,
            head.outputs.start,
            head.outputs.stop - head.outputs.start,
            head.targets.start,
        ]
        for head in heads
    ]
    numbers = [[head.weight, head.loss.number] for head in heads]
    return np.array(table, dtype=np.int64), np.array(numbers, dtype=np.float64)


def entries(X):
    """The arrays that hold X: itself, or what CSR stores."""
    return (X.data, X.indices, X.indptr) if sparse.issparse(X) else (X,)


def dense(X):
    """X as an array."""
    return X.toarray() if sparse.issparse(X) else X


@dataclass(slots=True)
class Slope:
    """A sum of losses and its gradient."""

    value: float
    gradient: np.ndarray

    def merge(self, other):
        self.value += other.value
        self.gradient += other.gradient
        return self


def whole_objective(network, rows, w):
    """J over all rows and the gradient of its smooth part, in float64, block by block."""
    unpenalized = network.without_penalty()
    total = rows.sum(_slope, (unpenalized, w))
    penalty, slope = network.penalty(w)
    mass = rows.weight_sum
    return (total.value + penalty) / mass, (total.gradient + slope) / mass


def _slope(block, params):
    network, w = params
    mass = float(block.weight.sum())
    if mass == 0.0:
        return Slope(0.0, np.zeros_like(w))
    X = block.X.astype(w.dtype, copy=False)
    target = dense(block.target).astype(w.dtype, copy=False)
    value, gradient = network.value_and_gradient(w, X, target, block.weight)
    return Slope(value * mass, gradient * mass)

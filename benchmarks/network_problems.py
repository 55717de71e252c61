"""Workloads of networks: epochs of Adam over the same batches from the same weights.

Rectified linear units, no penalty; softmax and log-loss for classes (one logistic output for two),
half the squared error for numbers. Adam adds epsilon before its correction of squared gradients, as
scikit-learn does; a contender that adds it after is given epsilon / sqrt(1 - beta_2^t) at update t,
which is the same update.

The judge computes the mean loss over the training rows in float64. Rounding is amplified by
training: a relative 1e-7 grows a thousandfold and more within an epoch, so a library in float32
differs from itself with another number of threads. Hence the first updates, where this has not yet
happened, are compared with plain NumPy in float64, and who differs there does not take part.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from benchmarks.data import gaussian_classes, mnist, mnist_labels

RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-8
# Updates after which contenders are compared with the reference, and how far rounding brings them.
FIRST_UPDATES = 20
FIRST_TOLERANCE = {"float32": 2e-6, "float64": 1e-12}
JUDGED_AT_ONCE = 10_000
# Rows that make an estimator ready to be given weights.
FEW_ROWS = 1000


@dataclass
class NetworkProblem:
    """Epochs of minibatches; judged by the mean training loss of the last weights."""

    X: np.ndarray
    y: np.ndarray
    coefs: list
    intercepts: list
    batch_size: int
    n_iter: int
    # What contenders keep from one fit to the next, such as compiled code.
    cache: dict = field(default_factory=dict)
    deviations: dict = field(default_factory=dict)
    to_convergence = False
    higher_is_better = False
    # The table shows the seconds of one epoch.
    per_iteration = True
    objective_name = (
        "mean loss of the training rows under the last weights, in float64 by the same code for all"
    )

    @classmethod
    def from_rows(cls, X, y, hidden, batch_size, n_epochs):
        """Rows in a random order, and weights as scikit-learn draws them."""
        generator = np.random.default_rng(0)
        order = generator.permutation(len(X))
        X, y = X[order], y[order]
        n_outputs = 1
        if y.dtype.kind == "i" and y.max() > 1:
            n_outputs = int(y.max()) + 1
        sizes = [X.shape[1], *hidden, n_outputs]
        coefs, intercepts = [], []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt(6.0 / (n_in + n_out))
            coefs.append(generator.uniform(-bound, bound, size=(n_in, n_out)).astype(X.dtype))
            intercepts.append(generator.uniform(-bound, bound, size=n_out).astype(X.dtype))
        return cls(X, y, coefs, intercepts, min(batch_size, len(X)), n_epochs)

    @property
    def kind(self):
        """What the outputs are: "numbers", "two classes" or "classes"."""
        if self.y.dtype.kind == "f":
            return "numbers"
        return "classes" if self.coefs[-1].shape[1] > 1 else "two classes"

    @property
    def hidden(self):
        return tuple(coef.shape[1] for coef in self.coefs[:-1])

    @property
    def family(self):
        return "MLPRegressor" if self.kind == "numbers" else "MLPClassifier"

    @cached_property
    def target(self):
        """What the linked outputs should be, (n, outputs), in the type of X."""
        if self.kind == "classes":
            return (self.y[:, np.newaxis] == np.arange(self.coefs[-1].shape[1])).astype(
                self.X.dtype
            )
        return self.y[:, np.newaxis].astype(self.X.dtype)

    @cached_property
    def beginning(self):
        """The first updates, the last of a batch as short as an epoch's last; shares the cache."""
        last = len(self.X) % self.batch_size or self.batch_size
        rows = slice(0, (FIRST_UPDATES - 1) * self.batch_size + last)
        start = self.coefs, self.intercepts, self.batch_size, 1
        return Beginning(self.X[rows], self.y[rows], *start, self.cache)

    def judge(self, answer):
        coefs, intercepts = answer
        total = 0.0
        for start in range(0, len(self.X), JUDGED_AT_ONCE):
            rows = slice(start, start + JUDGED_AT_ONCE)
            raw = layers(coefs, intercepts, self.X[rows])[-1]
            total += losses(self.kind, raw, self.target[rows]).sum()
        return total / len(self.X)

    def notes(self):
        compared = self.beginning.deviations
        lines = [
            f"seconds of one epoch: those of a whole fit of {self.n_iter}, checks of X included,"
            f" divided by {self.n_iter}; torch's time to compile is not counted"
        ]
        if compared:
            worst = max(compared, key=compared.get)
            lines.append(
                f"loss after {FIRST_UPDATES} updates: all within {compared[worst]:.1e} relative"
                f" ({worst}) of NumPy's in float64"
            )
        return lines


@dataclass
class Beginning(NetworkProblem):
    """The first updates of an epoch, which contenders do alike to rounding."""

    @cached_property
    def expected(self):
        """The loss that plain NumPy reaches in float64."""
        return self.judge(train_plainly(self))

    def compare(self, name, answer):
        """Raise ValueError unless the loss is the expected one."""
        deviation = abs(self.judge(answer) - self.expected) / self.expected
        self.deviations[name] = deviation
        if not deviation <= FIRST_TOLERANCE[self.X.dtype.name]:
            raise ValueError(f"after {FIRST_UPDATES} updates the loss is off by {deviation:.1e}")


def layers(coefs, intercepts, X):
    """The input and the outputs of all layers, the last one raw, in float64."""
    outputs = [X.astype(np.float64)]
    for number, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        a = outputs[-1] @ np.asarray(coef, dtype=np.float64) + intercept
        outputs.append(a if number == len(coefs) - 1 else np.maximum(a, 0.0))
    return outputs


def losses(kind, raw, target):
    """The loss of every row."""
    if kind == "numbers":
        return 0.5 * (raw - target)[:, 0] ** 2
    if kind == "two classes":
        return -log_expit(np.where(target == 1, raw, -raw))[:, 0]
    return -(target * log_softmax(raw, axis=1)).sum(axis=1)


def linked(kind, raw):
    """What the loss compares with the target."""
    if kind == "numbers":
        return raw
    return expit(raw) if kind == "two classes" else softmax(raw, axis=1)


def train_plainly(problem):
    """Weights after the problem's epochs, by the textbook in float64."""
    coefs = [coef.astype(np.float64) for coef in problem.coefs]
    intercepts = [intercept.astype(np.float64) for intercept in problem.intercepts]
    parameters = [*coefs, *intercepts]
    means = [np.zeros_like(parameter) for parameter in parameters]
    squares = [np.zeros_like(parameter) for parameter in parameters]
    starts = list(range(0, len(problem.X), problem.batch_size)) * problem.n_iter
    for t, start in enumerate(starts, 1):
        rows = slice(start, start + problem.batch_size)
        gradient = back_propagate(problem, coefs, intercepts, rows)
        for w, g, m, v in zip(parameters, gradient, means, squares, strict=True):
            m += (1.0 - BETA_1) * (g - m)
            v += (1.0 - BETA_2) * (g * g - v)
            step = RATE * np.sqrt(1.0 - BETA_2**t) / (1.0 - BETA_1**t)
            w -= step * m / (np.sqrt(v) + EPSILON)
    return coefs, intercepts


def back_propagate(problem, coefs, intercepts, rows):
    """Gradients of a batch's mean loss by coefs and intercepts."""
    outputs = layers(coefs, intercepts, problem.X[rows])
    delta = linked(problem.kind, outputs[-1]) - problem.target[rows]
    delta /= len(delta)
    of_coefs, of_intercepts = [], []
    for number in reversed(range(len(coefs))):
        of_coefs.insert(0, outputs[number].T @ delta)
        of_intercepts.insert(0, delta.sum(axis=0))
        delta = (delta @ coefs[number].T) * (outputs[number] > 0)
    return [*of_coefs, *of_intercepts]


def digits(hidden, batch_size, n_epochs=4):
    """MNIST, pixels between 0 and 1."""

    def problem(dtype, share):
        n_rows = 60_000 // share
        X, y = mnist(n_rows, np.dtype(dtype).type), mnist_labels(n_rows)
        return NetworkProblem.from_rows(X, y, hidden, batch_size, n_epochs)

    return problem


def table(batch_size=32, n_epochs=10, numbers=False):
    """Ten thousand rows of twenty columns: two classes, or a smooth function with noise."""

    def problem(dtype, share):
        X, y = gaussian_classes(10_000 // share, 20, 6, np.dtype(dtype).type)
        if numbers:
            generator = np.random.default_rng(1)
            wave = np.sin(X @ generator.normal(size=(20, 4)) / 3.0).sum(axis=1)
            y = (wave + 0.1 * generator.normal(size=len(X))).astype(X.dtype)
        else:
            y = (y % 2).astype(np.int64)
        return NetworkProblem.from_rows(X, y, (64, 64), batch_size, n_epochs)

    return problem

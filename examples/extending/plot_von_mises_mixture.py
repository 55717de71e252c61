"""Generalized EM: an M-step without a formula, as one step upward, on times of the day.

Times lie on a circle, and so does von Mises' distribution. Its concentration solves an equation in
Bessel functions, so its M-step has no closed form. EM's objective never falls if the M-step only
raises the expected log likelihood: one step along the gradient with backtracking, or one of
Newton's method. Newton's single step soon is as good as the maximum; the gradient needs no second
derivatives, and more passes over the rows. Where two peaks overlap all are slow, and extrapolation
saves most of the passes.
"""

import argparse
from dataclasses import astuple, dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import i0e, i1e, logsumexp, softmax

from skgen.rows import Rows
from skgen.solvers.ascent import ascend
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor

# Peaks of a day: share, hour, concentration.
PEAKS = ((0.35, 8.0, 12.0), (0.4, 17.5, 4.0), (0.25, 22.0, 1.0))
N_ROWS = 2000


@dataclass(frozen=True)
class Params:
    """Weights (k,), concentrations times mean directions (k, 2), the step to try next."""

    weights: np.ndarray
    natural: np.ndarray
    step: float = 1.0


@dataclass(frozen=True)
class Sums:
    """Of w log p(x), of w, and per component of w r (k,) and w r x (k, 2)."""

    log_likelihood: float
    weight: float
    count: np.ndarray
    resultant: np.ndarray

    def merge(self, other):
        return Sums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class VonMisesMixture:
    """p(x) = sum_k weight_k exp(natural_k . x) / (2 pi I0(|natural_k|)), |x| = 1."""

    def prepare(self, params):
        constant = np.log(params.weights / (2.0 * np.pi)) - log_bessel(params.natural)
        return constant, params.natural

    def e_step(self, block, prepared):
        constant, natural = prepared
        joint = block.X @ natural.T + constant
        log_norm = logsumexp(joint, axis=1)
        r = block.weight[:, None] * np.exp(joint - log_norm[:, None])
        return Sums(block.weight @ log_norm, block.weight.sum(), r.sum(axis=0), r.T @ block.X)

    def value(self, params, sums):
        return sums.log_likelihood / sums.weight

    def expected(self, vector, sums):
        """What the M-step climbs, as far as it depends on `vector`, and its gradient."""
        natural = vector.reshape(-1, 2)
        value = (sums.resultant * natural).sum() - sums.count @ log_bessel(natural)
        slope = sums.resultant - (sums.count * pull(natural))[:, None] * natural
        return value / sums.weight, slope.ravel() / sums.weight

    def m_step(self, params, sums):
        vector, step = ascend(
            lambda vector: self.expected(vector, sums), params.natural.ravel(), params.step
        )
        return Params(sums.count / sums.weight, vector.reshape(-1, 2), step)

    def pack(self, params):
        return np.concatenate([np.log(params.weights), params.natural.ravel()])

    def unpack(self, vector, like):
        k = len(like.weights)
        weights = softmax(vector[:k])
        if not weights.min() > 0.0:
            raise ValueError("a weight underflows")
        return Params(weights, vector[k:].reshape(k, 2), like.step)

    merit = value

    def gain(self, sums, old, new):
        """By how much the expected complete log likelihood rises: the least that `value` does."""
        before, after = (self.expected(params.natural.ravel(), sums)[0] for params in (old, new))
        return sums.count @ np.log(new.weights / old.weights) / sums.weight + after - before


class NewtonMixture(VonMisesMixture):
    """The same; an M-step is up to `n_steps` of Newton's method."""

    def __init__(self, n_steps=1):
        self.n_steps = n_steps

    def m_step(self, params, sums):
        vector = params.natural.ravel()
        for _ in range(self.n_steps):
            before = vector
            vector, _ = ascend(
                lambda vector: self.expected(vector, sums),
                vector,
                precondition=lambda gradient, at=vector: self.newton_direction(gradient, at, sums),
            )
            if vector is before:
                break
        return Params(sums.count / sums.weight, vector.reshape(-1, 2))

    def newton_direction(self, gradient, vector, sums):
        """The inverse of minus the Hessian, 2 by 2 for every component, times `gradient`."""
        natural, gradient = vector.reshape(-1, 2), gradient.reshape(-1, 2)
        across = pull(natural)
        square = np.sum(natural**2, axis=1)
        along = 1.0 - across - across**2 * square
        radial = np.sum(natural * gradient, axis=1) / np.maximum(square, 1e-18)
        direction = gradient / across[:, None]
        direction += (radial * (1.0 / along - 1.0 / across))[:, None] * natural
        return (direction * (sums.weight / sums.count)[:, None]).ravel()


def log_bessel(natural):
    """log I0 of the concentrations."""
    concentration = np.linalg.norm(natural, axis=1)
    return np.log(i0e(concentration)) + concentration


def pull(natural):
    """I1 / I0 of the concentrations, divided by them."""
    concentration = np.maximum(np.linalg.norm(natural, axis=1), 1e-9)
    return i1e(concentration) / i0e(concentration) / concentration


def circle(hours):
    """Points (n, 2) of a clock with 24 hours."""
    angle = 2.0 * np.pi * np.asarray(hours) / 24.0
    return np.column_stack([np.cos(angle), np.sin(angle)])


def times(n_rows=N_ROWS, seed=0):
    """Hours of the day."""
    generator = np.random.default_rng(seed)
    shares, hours, concentrations = np.array(PEAKS).T
    peak = generator.choice(len(PEAKS), size=n_rows, p=shares)
    angle = generator.vonmises(hours[peak] * np.pi / 12.0, concentrations[peak])
    return angle * 12.0 / np.pi % 24.0


def start(k=3):
    """Equal weights, directions spread over the day."""
    return Params(np.full(k, 1.0 / k), circle(24.0 * np.arange(k) / k))


def main(output):
    hours = times()
    rows = Rows(circle(hours))
    settings = {
        "one step of the gradient": (VonMisesMixture(), None),
        "one step of Newton": (NewtonMixture(), None),
        "the maximum": (NewtonMixture(50), None),
        "one step of Newton, extrapolated": (NewtonMixture(), "squarem"),
    }
    runs = {
        name: em(model, start(), rows, Monitor(5000, 1e-13), acceleration)
        for name, (model, acceleration) in settings.items()
    }
    best = max(run.value for run in runs.values())
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.hist(hours, bins=np.arange(0, 24.25, 0.5), density=True, color="tab:blue", alpha=0.3)
    grid = np.linspace(0.0, 24.0, 400)
    params = runs["the maximum"].params
    constant, natural = VonMisesMixture().prepare(params)
    densities = np.exp(circle(grid) @ natural.T + constant) * 2.0 * np.pi / 24.0
    left.plot(grid, densities, color="tab:gray", linewidth=1)
    left.plot(grid, densities.sum(axis=1), color="black")
    left.set(xlabel="hour of the day", xticks=range(0, 25, 6), yticks=[])
    left.set_title("the mixture and its components")
    for (name, run), line in zip(runs.items(), ("-", "--", ":", "-."), strict=True):
        gap = np.maximum(best - np.array(run.history), 1e-14)
        right.plot(np.arange(1, len(gap) + 1), gap, line, label=name)
        print(f"{name}: {run.value:.6f} after {run.n_iter} passes; {run.reason}")
    right.set(xscale="log", yscale="log", ylim=(1e-11, None), xlabel="passes over the rows")
    right.set_title("left to gain per row, by M-step")
    right.legend(frameon=False, loc="lower left")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

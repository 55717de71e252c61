"""A model that skgen does not have, fitted by its EM: a mixture of Bernoulli cells, on digits.

Every component has a probability of ink per pixel; given the component, pixels are independent.
The components are found without the labels. Probabilities are kept off 0 and 1, so that no image
is impossible; clipped shares maximize the expected log likelihood between the bounds, so EM stays
monotone.
"""

import argparse
from dataclasses import astuple, dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import logit, logsumexp
from sklearn.datasets import load_digits

from skgen.rows import Rows, one_blas_thread
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor

LEAST = 1e-3


@dataclass(frozen=True)
class Params:
    """Weights (k,), probabilities of a one (k, d)."""

    weights: np.ndarray
    means: np.ndarray


@dataclass(frozen=True)
class Sums:
    """Of w log p(x), of w, and per component of w r (k,) and w r x (k, d)."""

    log_likelihood: float
    weight: float
    count: np.ndarray
    ones: np.ndarray

    def merge(self, other):
        return Sums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class BernoulliMixture:
    """p(x) = sum_k weight_k prod_j mean_kj^x_j (1 - mean_kj)^(1 - x_j), x binary."""

    def prepare(self, params):
        return np.log(params.weights) + np.log1p(-params.means).sum(axis=1), logit(params.means)

    def e_step(self, block, prepared):
        constant, slope = prepared
        joint = block.X @ slope.T + constant
        log_norm = logsumexp(joint, axis=1)
        r = block.weight[:, None] * np.exp(joint - log_norm[:, None])
        return Sums(block.weight @ log_norm, block.weight.sum(), r.sum(axis=0), r.T @ block.X)

    def value(self, params, sums):
        return sums.log_likelihood / sums.weight

    def m_step(self, params, sums):
        count = np.maximum(sums.count, np.finfo(np.float64).tiny)
        return Params(count / count.sum(), (sums.ones / count[:, None]).clip(LEAST, 1.0 - LEAST))


def fit(X, n_components, weight=None, seed=0, n_threads=1, **stopping):
    """The `Solution` from a random start; `stopping` is max_iter and tol."""
    rows = Rows(X, weight, n_threads=n_threads)
    drawn = np.random.default_rng(seed).choice(len(X), n_components, replace=False)
    start = Params(np.full(n_components, 1.0 / n_components), 0.25 + 0.5 * rows.take(drawn))
    with one_blas_thread(rows):
        return em(BernoulliMixture(), start, rows, Monitor(**stopping))


def main(output):
    X = (load_digits().data > 7.0).astype(np.float64)
    best = max((fit(X, 10, seed=seed) for seed in range(20)), key=lambda run: run.value)
    print(f"log likelihood per image {best.value:.3f}; {best.reason}, {best.n_iter} iterations")
    figure, axes = plt.subplots(2, 5, figsize=(8, 3.8), layout="constrained")
    for k, component in enumerate(np.argsort(-best.params.weights)):
        axes.flat[k].imshow(best.params.means[component].reshape(8, 8), "gray_r", vmin=0, vmax=1)
        axes.flat[k].set(title=f"weight {best.params.weights[component]:.2f}", xticks=[], yticks=[])
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

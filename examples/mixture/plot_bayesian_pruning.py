"""More components than needed: mean field empties those that do not pay; its bound counts.

Rows of five clouds, fitted with twelve components. Left: the components that the fit starts from,
and those that keep rows. Middle: their weights after every iteration. Right: the evidence lower
bound over the number of components, for several concentrations of the prior of the weights. It
holds all constants, so it compares fits of different size and prior. A small concentration expects
empty components and pays next to nothing for them; a large one expects equal weights and pays for
each.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from skgen.inspection import MixtureDisplay
from skgen.mixture import BayesianGaussianMixture

N_COMPONENTS = 12
N_ITERATIONS = 30
SIZES = np.arange(1, N_COMPONENTS + 1)
PRIORS = {
    "sticks, g = 1": ("dirichlet_process", 1.0),
    "Dirichlet, a = 0.001": ("dirichlet_distribution", 0.001),
    "Dirichlet, a = 1": ("dirichlet_distribution", 1.0),
    "Dirichlet, a = 10": ("dirichlet_distribution", 10.0),
}


def clouds(n_rows=600, seed=3):
    """Rows of five clouds of unequal size and shape."""
    generator = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [5.0, 1.0], [2.5, 5.5], [-4.0, 4.0], [7.0, 6.0]])
    shapes = np.array(
        [
            [[1.0, 0.0], [0.6, 0.5]],
            [[0.6, 0.0], [-0.5, 1.0]],
            [[1.4, 0.0], [0.2, 0.4]],
            [[0.7, 0.0], [0.0, 0.7]],
            [[0.5, 0.0], [0.4, 0.9]],
        ]
    )
    cloud = generator.choice(5, size=n_rows, p=(0.3, 0.25, 0.2, 0.15, 0.1))
    noise = generator.normal(size=(n_rows, 2))
    return means[cloud] + np.einsum("ni,nij->nj", noise, shapes[cloud])


def follow(X):
    """The fit before its first iteration, after its last, and all weights between.

    One batch that comes again and again is one iteration of the full fit each time.
    """
    mixture, start = (
        BayesianGaussianMixture(n_components=N_COMPONENTS, max_iter=0, random_state=0)
        for _ in range(2)
    )
    start.fit(X)
    weights = [mixture.partial_fit(X, batch="all").weights_ for _ in range(N_ITERATIONS)]
    return start, mixture, np.array([start.weights_, *weights])


def bounds(X, kind, concentration):
    """The largest bound of three starts, for every number of components."""
    fits = (
        BayesianGaussianMixture(
            n_components=size,
            weight_concentration_prior_type=kind,
            weight_concentration_prior=concentration,
            n_init=3,
            max_iter=500,
            random_state=0,
        ).fit(X)
        for size in SIZES
    )
    return np.array([mixture.lower_bound_ for mixture in fits])


def main(output):
    X = clouds()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    start, mixture, weights = follow(X)
    kept = mixture.weights_ > 0.01
    left.scatter(*X.T, s=4, color="tab:blue", alpha=0.4)
    # Lighter components are fainter: those that lost their rows do not show.
    for fit, color, width in ((start, "tab:orange", 1), (mixture, "black", 1.8)):
        style = {"edgecolor": color, "facecolor": "none", "linewidth": width}
        MixtureDisplay.from_estimator(fit, levels=0.9, ax=left, ellipse_kwargs=style)
    left.plot([], [], color="tab:orange", label=f"{N_COMPONENTS} at the start")
    left.plot([], [], color="black", label=f"{kept.sum()} that keep rows")
    left.legend(frameon=False, loc="upper left", fontsize=9)
    left.set_axis_off()
    left.set_title("nine tenths of each component")
    print(
        f"{N_COMPONENTS} components, {kept.sum()} keep rows:"
        f" weights {', '.join(f'{weight:.3f}' for weight in mixture.weights_[kept])};"
        f" the others hold {mixture.weights_[~kept].sum():.1e} together"
    )

    for number, trace in enumerate(weights.T):
        middle.plot(trace, color="black" if kept[number] else "tab:orange", linewidth=1.5)
    middle.set(yscale="log", xlabel="iteration", title="weights, largest to smallest")

    top = -np.inf
    for name, prior in PRIORS.items():
        values = bounds(X, *prior)
        right.plot(SIZES, values, marker="o", markersize=4, label=name)
        top = max(top, values.max())
        best = SIZES[values.argmax()]
        print(
            f"{name:21} largest bound {values.max():.1f} at {best} components,"
            f" {values[-1]:.1f} at {SIZES[-1]}"
        )
    right.set(ylim=(top - 130, top + 8), xlabel="components", xticks=SIZES)
    right.set_title("evidence lower bound, nats")
    right.legend(frameon=False, fontsize=9)
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

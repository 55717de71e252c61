"""What the first centers decide: Lloyd's iterations from random rows and from greedy k-means++.

Thirty clouds that do not overlap. From random rows, two centers often start in one cloud while
another cloud has none, and no iteration moves a center across the gap: the objective levels out
far above the best value. Greedy k-means++ draws rows far from the centers it has, so it starts
lower than most random starts end.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from skgen.cluster import KMeans

N_CLOUDS = 30
N_STARTS = 25
INITIALIZATIONS = {"random": "tab:orange", "k-means++": "tab:blue"}


def clouds(seed=0):
    """A jittered grid of 5 x 6 clouds."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(5)), axis=-1).reshape(-1, 2)
    means = 10.0 * grid + generator.normal(scale=0.8, size=grid.shape)
    return np.concatenate([mean + generator.normal(size=(200, 2)) for mean in means])


def main(output):
    X = clouds()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 4), width_ratios=[1.15, 1], layout="constrained"
    )
    fits = {}
    for init, color in INITIALIZATIONS.items():
        fits[init] = [
            KMeans(N_CLOUDS, init=init, n_init=1, random_state=seed).fit(X)
            for seed in range(N_STARTS)
        ]
        for kmeans in fits[init]:
            trace = np.array(kmeans.objective_history_) / len(X)
            right.plot(np.arange(1, len(trace) + 1), trace, color=color, alpha=0.5)
        right.plot([], [], color=color, label=init)
    best = min(kmeans.inertia_ for runs in fits.values() for kmeans in runs)
    for init, runs in fits.items():
        inertias = np.array([kmeans.inertia_ for kmeans in runs])
        hits = np.count_nonzero(inertias < 1.01 * best)
        print(
            f"{init:10} {hits} of {N_STARTS} starts reach the best inertia,"
            f" median {np.median(inertias) / best:.2f} times the best"
        )
    right.set(xscale="log", yscale="log", xlabel="iteration")
    right.set_title(f"inertia per row, {N_STARTS} starts each")
    right.legend(frameon=False)

    typical = sorted(fits["random"], key=lambda kmeans: kmeans.inertia_)[N_STARTS // 2]
    left.scatter(*X.T, s=2, c=typical.labels_ % 20, cmap="tab20", alpha=0.5)
    left.scatter(*typical.cluster_centers_.T, marker="+", s=70, color="black")
    left.set_title("the median random start: clouds halved, clouds merged")
    left.set_axis_off()
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

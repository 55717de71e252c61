"""Four covariance structures on the same rows, and which one held-out rows prefer.

Three clouds of unequal shape: two long ones that cross, one round. "spherical" and "tied" must
cover the long clouds with shapes that do not fit, "diag" cannot tilt, "full" follows them. The
likelihood of rows that the fit has not seen says so without looking at the picture.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from skgen.inspection import MixtureDisplay
from skgen.mixture import GaussianMixture

STRUCTURES = ("spherical", "diag", "tied", "full")


def clouds(n_rows, seed):
    """Rows of three clouds; about two fifths each belong to the crossing ones."""
    generator = np.random.default_rng(seed)
    cloud = generator.choice(3, size=n_rows, p=(0.4, 0.4, 0.2))
    noise = generator.normal(size=(n_rows, 2))
    means = np.array([[0.0, 0.0], [0.0, 0.0], [4.0, -3.5]])
    shapes = np.array([[[3.0, 2.5], [0.0, 0.5]], [[2.5, -2.4], [0.0, 0.5]], [[0.8, 0], [0, 0.8]]])
    return means[cloud] + np.einsum("ni,nij->nj", noise, shapes[cloud])


def main(output):
    X, X_new = clouds(1500, seed=0), clouds(1500, seed=1)
    figure, all_axes = plt.subplots(
        1, 4, figsize=(12, 3.4), sharex=True, sharey=True, layout="constrained"
    )
    for axes, structure in zip(all_axes, STRUCTURES, strict=True):
        mixture = GaussianMixture(
            3, covariance_type=structure, n_init=5, random_state=0, tol=1e-5, max_iter=500
        ).fit(X)
        MixtureDisplay.from_estimator(
            mixture,
            X,
            levels=0.9,
            ax=axes,
            scatter_kwargs={"s": 3, "alpha": 0.5},
            ellipse_kwargs={"edgecolor": "black", "facecolor": "none", "alpha": 1.0},
        )
        axes.label_outer()
        score = mixture.score(X_new)
        axes.set_title(f"{structure}: {score:.3f}")
        print(f"{structure:10} held-out log-likelihood {score:.3f}, BIC {mixture.bic(X):.0f}")
    figure.suptitle("held-out log-likelihood per row, ellipses hold nine tenths of a component")
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

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
from matplotlib.colors import to_rgb

from skgen.mixture import GaussianMixture

STRUCTURES = ("spherical", "diag", "tied", "full")
COLORS = ("tab:blue", "tab:orange", "tab:green")


def clouds(n_rows, seed):
    """Rows of three clouds; about two fifths each belong to the crossing ones."""
    generator = np.random.default_rng(seed)
    cloud = generator.choice(3, size=n_rows, p=(0.4, 0.4, 0.2))
    noise = generator.normal(size=(n_rows, 2))
    means = np.array([[0.0, 0.0], [0.0, 0.0], [4.0, -3.5]])
    shapes = np.array([[[3.0, 2.5], [0.0, 0.5]], [[2.5, -2.4], [0.0, 0.5]], [[0.8, 0], [0, 0.8]]])
    return means[cloud] + np.einsum("ni,nij->nj", noise, shapes[cloud])


def covariance_matrices(mixture):
    """The covariances of every structure as (k, 2, 2)."""
    k = mixture.n_components
    return {
        "full": lambda c: c,
        "tied": lambda c: np.stack([c] * k),
        "diag": lambda c: np.stack([np.diag(variances) for variances in c]),
        "spherical": lambda c: np.stack([variance * np.eye(2) for variance in c]),
    }[mixture.covariance_type](mixture.covariances_)


def ellipse(mean, covariance, radius=2.0):
    """Points at `radius` standard deviations."""
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    return mean + circle @ np.linalg.cholesky(covariance).T


def main(output):
    X, X_new = clouds(1500, seed=0), clouds(1500, seed=1)
    figure, all_axes = plt.subplots(
        1, 4, figsize=(12, 3.4), sharex=True, sharey=True, layout="constrained"
    )
    for axes, structure in zip(all_axes, STRUCTURES, strict=True):
        mixture = GaussianMixture(
            3, covariance_type=structure, n_init=5, random_state=0, tol=1e-5, max_iter=500
        ).fit(X)
        color = mixture.predict_proba(X) @ np.array([to_rgb(name) for name in COLORS])
        axes.scatter(*X.T, s=3, c=color.clip(0, 1), alpha=0.5)
        matrices = covariance_matrices(mixture)
        for mean, covariance in zip(mixture.means_, matrices, strict=True):
            axes.plot(*ellipse(mean, covariance).T, color="black", linewidth=1.5)
        score = mixture.score(X_new)
        axes.set_title(f"{structure}: {score:.3f}")
        print(f"{structure:10} held-out log-likelihood {score:.3f}, BIC {mixture.bic(X):.0f}")
    figure.suptitle("held-out log-likelihood per row, ellipses at two standard deviations")
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

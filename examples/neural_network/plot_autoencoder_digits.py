"""What an autoencoder makes of handwritten digits: codes, reconstructions, outliers.

Two numbers per digit: a network with hidden layers keeps more of it than the best plane, which
principal components find. A network that has seen all digits but the eights restores eights badly,
so its scores tell them, more clearly than the error of as many principal components does.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score, roc_curve

from skgen.base import ConvergenceWarning
from skgen.decomposition import PCA
from skgen.neural_network import Autoencoder

UNSEEN = 8


def encoder(n_components, sizes, epochs):
    """An autoencoder whose rate falls to zero, so that it comes to rest."""
    return Autoencoder(
        n_components,
        hidden_layer_sizes=sizes,
        activation="elu",
        learning_rate="cosine",
        learning_rate_init=0.003,
        max_iter=epochs,
        n_iter_no_change=epochs,
        tol=0.0,
        batch_size=64,
        random_state=0,
    )


def draw_codes(axes, X, y, network, plane):
    """The digits in the plane, and what is left of a few."""
    for ax, codes, name in (
        (axes[0], plane.transform(X), "two principal components"),
        (axes[1], network.transform(X), "code of an autoencoder"),
    ):
        points = ax.scatter(*codes.T, c=y, s=5, cmap="tab10", vmin=-0.5, vmax=9.5)
        ax.set(title=name, xticks=[], yticks=[])
    axes[1].figure.colorbar(points, ax=axes[1], ticks=range(10))


def draw_restored(ax, X, y, network, plane):
    """Some digits, as they were and as two numbers restore them."""
    shown = X[[np.flatnonzero(y == digit)[3] for digit in range(10)]]
    rows = [
        shown,
        plane.inverse_transform(plane.transform(shown)),
        network.inverse_transform(network.transform(shown)),
    ]
    # White lines between the images.
    images = np.pad(np.stack(rows).reshape(3, 10, 8, 8), ((0, 0), (0, 0), (0, 1), (0, 1)))
    ax.imshow(images.swapaxes(1, 2).reshape(27, 90), cmap="gray_r", vmin=0, vmax=1)
    ax.set_yticks([3.5, 12.5, 21.5], ["digit", "components", "autoencoder"])
    ax.set(xticks=[], title="restored from two numbers")


def draw_outliers(ax, X, y):
    """How well scores tell a digit that was never seen."""
    seen = X[y != UNSEEN]
    network = encoder(8, (64,), 60).fit(seen)
    plane = PCA(8).fit(seen)
    error = ((X - plane.inverse_transform(plane.transform(X))) ** 2).sum(axis=1)
    for score, name in ((-network.score_samples(X), "autoencoder"), (error, "components")):
        area = roc_auc_score(y == UNSEEN, score)
        wrong, right, _ = roc_curve(y == UNSEEN, score)
        ax.plot(wrong, right, label=f"{name}, area {area:.2f}")
        print(f"{name}: area under the curve {area:.3f}")
    ax.plot([0, 1], [0, 1], color="gray", lw=0.8)
    ax.set(
        xlabel="share of the other digits above the threshold",
        ylabel=f"share of the {UNSEEN}s above it",
        title=f"outliers: {UNSEEN}s, never seen by the fit",
    )
    ax.legend(frameon=False, loc="lower right")


def main(output):
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    network = encoder(2, (128, 32), 80).fit(X)
    plane = PCA(2).fit(X)
    lost = [
        ((X - model.inverse_transform(model.transform(X))) ** 2).mean()
        for model in (plane, network)
    ]
    print(f"mean squared error of components {lost[0]:.4f}, of the autoencoder {lost[1]:.4f}")
    figure, axes = plt.subplots(2, 2, figsize=(10, 8), layout="constrained")
    draw_codes(axes[0], X, y, network, plane)
    draw_restored(axes[1, 0], X, y, network, plane)
    draw_outliers(axes[1, 1], X, y)
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    # All epochs that were asked for are wanted.
    warnings.simplefilter("ignore", ConvergenceWarning)
    main(arguments.output)

"""Which weights of a perceptron to keep: the last, their mean, or the best in the pocket.

Two clouds overlap, so no line separates them. Every row on the wrong side throws the last weights
off, and where training happens to end is chance. The mean over all visits and the weights with the
fewest errors so far do not depend on the last few rows. Far apart, the same clouds are learned: the
mistakes end after a few epochs, and the fit stops with the pass that has none.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from skgen.base import ConvergenceWarning
from skgen.linear_model import Perceptron

N_ROWS = 400
N_EPOCHS = 30
KEPT = {
    "last": ({}, "tab:orange"),
    "averaged": ({"average": True}, "tab:blue"),
    "pocket": ({"pocket": True}, "tab:green"),
}


def clouds(distance, n=N_ROWS, seed=0):
    """Two long clouds side by side."""
    generator = np.random.default_rng(seed)
    y = np.repeat([0, 1], n // 2)
    X = generator.normal(size=(n, 2)) * [0.6, 2.0]
    X[:, 0] += np.where(y == 1, distance / 2, -distance / 2) + 0.3 * X[:, 1]
    return X, y


def line(model, heights):
    """Where the decision value is zero, at given heights."""
    (a, b), (c,) = model.coef_[0], model.intercept_
    return -(b * heights + c) / a


def main(output):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    X, y = clouds(1.8)
    new_X, new_y = clouds(1.8, n=20 * N_ROWS, seed=1)
    left.scatter(*X.T, c=y, s=8, cmap="coolwarm", alpha=0.6)
    heights = np.array([-7.0, 7.0])
    for kept, (arguments, color) in KEPT.items():
        fits = [
            Perceptron(max_iter=N_EPOCHS, tol=None, random_state=seed, **arguments).fit(X, y)
            for seed in range(8)
        ]
        for model in fits:
            left.plot(line(model, heights), heights, color=color, alpha=0.6)
        left.plot([], [], color=color, label=kept)
        scores = [model.score(new_X, new_y) for model in fits]
        print(f"{kept:8} accuracy on new rows {min(scores):.3f} to {max(scores):.3f}")
    left.set(xlim=(-4, 4), ylim=heights, title="eight seeds each: where the line ends up")
    left.legend(frameon=False)

    for distance, color in ((1.8, "black"), (4.1, "tab:purple")):
        model = Perceptron(max_iter=N_EPOCHS, tol=None).fit(*clouds(distance))
        epochs = np.arange(1, model.n_iter_ + 1)
        label = "learned" if model.converged_ else "overlapping"
        right.plot(epochs, model.mistake_history_[:, 0], "o-", ms=3, color=color, label=label)
        print(f"{label}: {model.stop_reason_}, margin {model.margin_:.3g}")
    right.set(xlabel="epoch", title="mistakes per epoch")
    right.set_yscale("symlog", linthresh=1)
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    # Overlapping clouds are not learned; the fits say so, and that is the point here.
    warnings.simplefilter("ignore", ConvergenceWarning)
    main(arguments.output)

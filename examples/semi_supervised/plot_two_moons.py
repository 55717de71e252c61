"""Two half moons of which one row each has a label.

A supervised machine sees two rows and draws a straight line between them. Methods that look at all
rows follow the moons: a boundary that keeps away from rows, and labels that spread to near rows. A
network that wants to be sure of every row gets stuck: it moves the line it begins with to where
there are few rows, and that is not where the moons part.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skgen.neural_network import MLPClassifier
from skgen.semi_supervised import (
    EntropyRegularizedClassifier,
    LabelSpreading,
    TransductiveSVC,
)

MODELS = {
    "supervised": TransductiveSVC(gamma=3.0, C=10.0, C_unlabeled=0.0),
    "TransductiveSVC": TransductiveSVC(gamma=3.0, C=10.0, random_state=0),
    "LabelSpreading": LabelSpreading("self_tuning", alpha=0.99, max_iter=1000),
    "EntropyRegularized(MLP)": EntropyRegularizedClassifier(
        MLPClassifier((50,), "tanh", solver="lbfgs", alpha=0.01, max_iter=2000, random_state=0),
        entropy_weight=0.2,
        n_stages=5,
        balance_weight=1.0,
    ),
}


def main(output):
    X, y = make_moons(120, noise=0.05, random_state=0)
    hidden = np.full(len(y), -1)
    # The rows in the middle of each moon.
    for label, top in ((0, X[:, 1]), (1, -X[:, 1])):
        hidden[np.flatnonzero(y == label)[np.argmax(top[y == label])]] = label
    across, up = np.meshgrid(np.linspace(-1.4, 2.4, 200), np.linspace(-1.0, 1.5, 150))
    grid = np.column_stack([across.ravel(), up.ravel()])
    figure, places = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for place, (name, model) in zip(places.ravel(), MODELS.items(), strict=True):
        with warnings.catch_warnings():
            # Stages on the way need not converge.
            warnings.simplefilter("ignore")
            model.fit(X, hidden)
        right = (model.transduction_ == y).mean()
        shade = model.predict(grid).reshape(across.shape)
        place.contourf(across, up, shade, levels=[-0.5, 0.5, 1.5], cmap="coolwarm", alpha=0.25)
        place.scatter(*X.T, c=model.transduction_, cmap="coolwarm", s=14)
        place.scatter(
            *X[hidden >= 0].T,
            c=hidden[hidden >= 0],
            cmap="coolwarm",
            s=120,
            marker="*",
            edgecolors="black",
        )
        place.set_title(f"{name}: {right:.0%} right")
        place.set(xticks=[], yticks=[])
        print(f"{name}: {right:.3f} of all rows")
    figure.savefig(output, dpi=110)
    plt.close(figure)
    print(f"Picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("two_moons.png"))
    main(parser.parse_args().output)

"""Handwritten digits as a mean and a few eigenimages: what five components keep, and thirty.

A component is a direction in the space of 64 pixels, hence an image: red pixels grow darker and
blue ones lighter along it. The components come from three quarters of the digits; the digits
that are rebuilt are others.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skgen.decomposition import PCA
from skgen.inspection import ComponentsDisplay, ReconstructionDisplay, ScreeDisplay

FEW, MANY = 5, 30


def main(output):
    X, y = load_digits(return_X_y=True)
    X_train, X_test, _, y_test = train_test_split(X, y, random_state=0)
    one_of_each = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
    models = {k: PCA(k).fit(X_train) for k in (2, FEW, 10, 20, MANY, 64)}
    for k, pca in models.items():
        rebuilt = pca.inverse_transform(pca.transform(X_test))
        error = np.sqrt(np.mean((rebuilt - X_test) ** 2))
        print(
            f"{k:2} components hold {pca.explained_variance_ratio_.sum():6.1%} of the variance;"
            f" new digits rebuilt to {error:.2f} of 16 gray levels"
        )

    figure = plt.figure(figsize=(11, 6.2), layout="constrained")
    axes = figure.subplot_mosaic([["images", "scree"], ["few", "many"]], height_ratios=[1.9, 1])
    shares = models[64].explained_variance_ratio_[:15]
    ComponentsDisplay.from_estimator(
        models[64],
        which=range(15),
        titles=[f"{number}: {share:.1%}" for number, share in enumerate(shares, start=1)],
        ax=axes["images"],
    )
    axes["images"].set_title("eigenimages and their share of the variance")
    ScreeDisplay.from_estimator(models[64], ax=axes["scree"])
    axes["scree"].set_title("all 64 components")
    for name, k in (("few", FEW), ("many", MANY)):
        ReconstructionDisplay.from_estimator(models[k], X_test[one_of_each], ax=axes[name])
        axes[name].set_title(f"new digits from {k} components")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

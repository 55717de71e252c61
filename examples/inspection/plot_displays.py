"""What displays show of a fit: components, densities, objectives, and the choice among sizes.

Irises by the length and width of their petals and sepals, in centimeters. Ten flowers of each
species come with its name, the others without: the classifier fills these names in. A search over
numbers of components, structures and inferences knows no names at all.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from skgen.inspection import CriterionDisplay, MixtureDisplay, ObjectiveHistoryDisplay
from skgen.mixture import GaussianMixtureClassifier, GaussianMixtureSearch

COLUMNS = ("sepal width", "petal length", "petal width")
N_LABELED = 10
STRUCTURES = ("full", "tied", "diag")


def partly_named(species):
    """Species of the first flowers of each; None for the others."""
    names = np.full(len(species), None, dtype=object)
    for name in np.unique(species):
        named = np.flatnonzero(species == name)[:N_LABELED]
        names[named] = name
    return names


def main(output):
    iris = load_iris()
    X, columns = iris.data, [name.removesuffix(" (cm)") for name in iris.feature_names]
    sepal_width, petal_length, petal_width = map(columns.index, COLUMNS)
    species = iris.target_names[iris.target]
    names = partly_named(species)
    classifiers = [
        GaussianMixtureClassifier(covariance_type=structure, max_iter=500).fit(X, names)
        for structure in STRUCTURES
    ]
    for structure, classifier in zip(STRUCTURES, classifiers, strict=True):
        unnamed = np.array([name is None for name in names])
        right = np.mean((classifier.transduction_ == species)[unnamed])
        print(f"{structure:5} {right:.3f} of the names filled in right; {classifier.stop_reason_}")
    search = GaussianMixtureSearch(
        range(1, 7), inference=("ml", "map"), max_iter=500, random_state=0
    ).fit(X)
    print(f"search: BIC {search.best_score_:.1f} of {search.best_params_}")

    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    by_class = {"mixture": classifiers[1], "X": X}
    MixtureDisplay.from_estimator(**by_class, columns=(petal_length, petal_width), ax=axes[0, 0])
    axes[0, 0].set(xlabel=COLUMNS[1], ylabel=COLUMNS[2])
    axes[0, 0].set_title("half and 95 % of each class, tied covariances")
    MixtureDisplay.from_estimator(**by_class, columns=sepal_width, ax=axes[0, 1])
    axes[0, 1].set(xlabel=COLUMNS[0], title="one column: densities")
    ObjectiveHistoryDisplay.from_estimator(*classifiers, names=STRUCTURES, ax=axes[1, 0])
    axes[1, 0].set_title("objective of three covariance structures")
    CriterionDisplay.from_estimator(search, ax=axes[1, 1])
    axes[1, 1].set_title("a search")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

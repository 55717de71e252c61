"""Eruptions of the geyser Old Faithful: how many Gaussians, of which shape, and which cells follow.

272 eruptions, how long each lasted and how long it was waited for the next (Azzalini and Bowman
1990). Left: what BIC chooses, three components with one covariance, because the long eruptions are
not quite Gaussian. Middle: BIC of all candidates. Right: ICL charges for components that overlap
and chooses the two groups that the eye sees. From the mixture follows what to expect after an
eruption of known length.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from skgen.inspection import CriterionDisplay, MixtureDisplay
from skgen.mixture import GaussianMixtureSearch

DATA = Path(__file__).with_name("faithful.csv")
ERUPTIONS = (2.0, 3.0, 4.5)


def main(output):
    X = np.loadtxt(DATA, delimiter=";", skiprows=1)
    search = GaussianMixtureSearch(
        range(1, 7),
        covariance_type=("full", "tied", "diag"),
        init_params="k-means++",
        n_init=10,
        max_iter=500,
        random_state=0,
    ).fit(X)
    print("the best of each criterion:")
    for criterion in ("bic", "icl"):
        values = search.cv_results_[criterion]
        best = int(np.nanargmin(values))
        k, structure = (
            search.cv_results_[f"param_{name}"][best]
            for name in ("n_components", "covariance_type")
        )
        print(f"  {criterion.upper()} {values[best]:.1f}: {k} components, {structure}")
    print("minutes until the next eruption, by the mixture that BIC chose:")
    for minutes in ERUPTIONS:
        waiting = search.best_estimator_.conditional([0], [minutes])
        mean = waiting.weights_ @ waiting.means_[:, 0]
        draws = waiting.set_params(random_state=0).sample(10_000)[0]
        low, high = np.quantile(draws, [0.05, 0.95])
        print(f"  after {minutes} minutes: {mean:.0f}, nine of ten times {low:.0f} to {high:.0f}")

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    MixtureDisplay.from_estimator(search, X, ax=left)
    left.set(xlabel="minutes of eruption", ylabel="minutes until the next")
    left.set_title("chosen by BIC: half and 95 % of each component", fontsize=11)
    for axes, criterion in ((middle, "bic"), (right, "icl")):
        CriterionDisplay.from_estimator(search, criterion=criterion, ax=axes)
        axes.set_ylim(2300, 2500)
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

"""Ten labeled digits of each kind, and what the others add although nobody says what they show.

Left: accuracy on the rows without label over `unlabeled_weight`; at 0 they are left out, at 1 each
counts as much as a labeled row. One covariance for all classes has 2080 free parameters, twenty for
every labeled row; the others help to estimate it. Balls are the wrong shape for digits: the more
unlabeled rows count, the more EM looks for balls instead of digits, and accuracy falls. Two balls
per class are closer to the truth. Right: the class means of the first model.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import t
from sklearn.datasets import load_digits

from skgen.mixture import GaussianMixtureClassifier

LABELS_PER_CLASS = 10
N_DRAWS = 10
WEIGHTS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
MODELS = {
    "tied": GaussianMixtureClassifier(covariance_type="tied", random_state=0),
    "spherical, two per class": GaussianMixtureClassifier(
        2, covariance_type="spherical", random_state=0
    ),
    "spherical": GaussianMixtureClassifier(covariance_type="spherical", random_state=0),
}
COLORS = ("tab:blue", "tab:green", "tab:orange")


def with_few_labels(y, seed):
    """y, all but ten random rows of each class -1."""
    generator = np.random.default_rng(seed)
    known = np.full(len(y), -1)
    for digit in range(10):
        rows = generator.choice(np.flatnonzero(y == digit), LABELS_PER_CLASS, replace=False)
        known[rows] = digit
    return known


def accuracies(model, X, y):
    """On the rows without label, (draws, weights)."""
    reached = np.empty((N_DRAWS, len(WEIGHTS)))
    for seed in range(N_DRAWS):
        known = with_few_labels(y, seed)
        for place, weight in enumerate(WEIGHTS):
            model.set_params(unlabeled_weight=weight).fit(X, known)
            reached[seed, place] = (model.transduction_ == y)[known == -1].mean()
    return reached


def interval(values):
    """Mean and half the width of Student's 95 % interval, per column."""
    half = t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return values.mean(axis=0), half


def draw_accuracies(axes, X, y):
    print(f"unlabeled rows read correctly, %; {N_DRAWS} draws of ten labels per class")
    print(
        "unlabeled_weight".ljust(26)
        + "".join(f"{weight:7g}" for weight in WEIGHTS)
        + "    gain at 1"
    )
    places = np.arange(len(WEIGHTS))
    for (name, model), color in zip(MODELS.items(), COLORS, strict=True):
        reached = 100 * accuracies(model, X, y)
        mean, half = interval(reached)
        gain, gain_half = interval(reached[:, -1] - reached[:, 0])
        axes.plot(places, mean, color=color, marker="o", markersize=4, label=name)
        axes.fill_between(places, mean - half, mean + half, color=color, alpha=0.15, linewidth=0)
        cells = "".join(f"{value:7.1f}" for value in mean)
        print(f"{name:26}{cells}  {gain:+5.1f} ± {gain_half:.1f}")
    axes.set_xticks(places, [f"{weight:g}" for weight in WEIGHTS])
    axes.set(xlabel="unlabeled_weight", ylabel="unlabeled rows read correctly, %")
    axes.set_title(f"mean of {N_DRAWS} draws, 95 % interval", fontsize=11)
    axes.legend(frameon=False)


def draw_means(axes, X, y):
    """Three rows of images: means of ten rows, those with unlabeled rows, those of all labels."""
    known = with_few_labels(y, 0)
    model = MODELS["tied"]
    rows = {
        "ten labeled\nrows each": model.set_params(unlabeled_weight=0.0).fit(X, known).means_,
        "and the\nunlabeled": model.set_params(unlabeled_weight=1.0).fit(X, known).means_,
        "all labels\ngiven": model.fit(X, y).means_,
    }
    exact = rows["all labels\ngiven"]
    for row, (name, means) in zip(axes, rows.items(), strict=True):
        if means is not exact:
            off = np.sqrt(np.mean((means - exact) ** 2))
            print(f"class means, {' '.join(name.split())}: off by {off:.2f} gray levels of 16")
        row[0].text(-1.5, 3.5, name, ha="right", va="center", fontsize=10)
        for panel, mean in zip(row, means, strict=True):
            panel.imshow(mean.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            panel.set_axis_off()


def main(output):
    X, y = load_digits(return_X_y=True)
    figure = plt.figure(figsize=(12, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.45])
    draw_accuracies(left.subplots(), X, y)
    draw_means(right.subplots(3, 10), X, y)
    right.suptitle("class means, one covariance for all", fontsize=11)
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

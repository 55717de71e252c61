"""Missing pixels restored by probabilistic PCA, which learns from digits with holes.

No digit of the training rows is complete: every pixel is missing with probability 0.3. EM sums
over what the missing cells may have been, so nothing is filled in to fit, and `impute` gives the
mean of a missing cell given all that is seen of its row. Damage of another kind than in training
is restored by the same model: the lower half of every digit.

With many components the likelihood begins to fit noise, and a prior on the loadings prevents
that. Beside stand the means of the columns, components of rows whose holes were filled with
these means, and a mixture of ten Gaussians: digits come in ten kinds, and no plane holds them all.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skgen.decomposition import PCA, ProbabilisticPCA
from skgen.inspection import ReconstructionDisplay
from skgen.mixture import GaussianMixture

SHARE = 0.3
SIZES = (1, 2, 3, 5, 8, 12, 16, 20, 25, 30)
# In 1 / (gray levels)^2.
PRECISION = 100.0


def error(restored, complete, holes):
    """Root mean square error over missing cells."""
    return np.sqrt(np.mean(np.square(restored - complete)[holes]))


def fill_by_pca(pca, X, means):
    """Holes filled with column means, then by what the components make of that."""
    filled = np.where(np.isnan(X), means, X)
    rebuilt = pca.inverse_transform(pca.transform(filled))
    return np.where(np.isnan(X), rebuilt, X)


def main(output):
    X, y = load_digits(return_X_y=True)
    X_train, X_test, _, y_test = train_test_split(X, y, random_state=0)
    generator = np.random.default_rng(0)
    damaged = np.where(generator.random(X_train.shape) < SHARE, np.nan, X_train)
    specks = np.where(generator.random(X_test.shape) < SHARE, np.nan, X_test)
    halves = X_test.copy()
    halves[:, 32:] = np.nan
    means = np.nanmean(damaged, axis=0)
    filled = np.where(np.isnan(damaged), means, damaged)

    holes = np.isnan(specks)
    errors = {"probabilistic PCA": [], "with a prior": [], "PCA, holes filled with means": []}
    models = {}
    for k in SIZES:
        begin = time.perf_counter()
        likeliest = ProbabilisticPCA(k).fit(damaged)
        seconds = time.perf_counter() - begin
        models[k] = ProbabilisticPCA(k, component_precision_prior=PRECISION).fit(damaged)
        restored = [model.impute(specks) for model in (likeliest, models[k])]
        restored.append(fill_by_pca(PCA(k).fit(filled), specks, means))
        for values, rows in zip(errors.values(), restored, strict=True):
            values.append(error(rows, X_test, holes))
        print(
            f"{k:2} components: error {errors['probabilistic PCA'][-1]:.2f} of 16 gray levels,"
            f" with a prior {errors['with a prior'][-1]:.2f}; {likeliest.n_iter_} iterations in"
            f" {seconds:.2f} s: {likeliest.stop_reason_}"
        )
    best = SIZES[int(np.argmin(errors["with a prior"]))]
    mixture = GaussianMixture(10, reg_covar=1.0, random_state=0).fit(damaged)
    others = {
        "column means": error(np.where(holes, means, specks), X_test, holes),
        "mixture of 10 Gaussians": error(mixture.impute(specks), X_test, holes),
    }
    for name, value in others.items():
        print(f"{name}: error {value:.2f}")

    figure = plt.figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplot_mosaic([["specks", "curve"], ["halves", "curve"]], width_ratios=[1.3, 1])
    one_of_each = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
    for name, rows in (("specks", specks), ("halves", halves)):
        ReconstructionDisplay.from_estimator(
            models[best], rows[one_of_each], complete=X_test[one_of_each], ax=axes[name]
        )
    axes["specks"].set_title(f"new digits, {best} components: {SHARE:.0%} of the pixels missing")
    axes["halves"].set_title("the same model: lower half missing")
    for name, values in errors.items():
        axes["curve"].plot(SIZES, values, marker="o", markersize=3, label=name)
    for (name, value), dash in zip(others.items(), ("--", ":"), strict=True):
        axes["curve"].axhline(value, color="0.4", linestyle=dash, label=name)
    axes["curve"].set(xlabel="components", ylabel="error of missing pixels, in gray levels of 16")
    axes["curve"].set_ylim(bottom=0.0)
    axes["curve"].legend(frameon=False, loc="lower left")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

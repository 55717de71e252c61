"""Handwritten digits with missing cells: fitted to what is left, or to what was filled in.

Cells are removed at random. The usual way fills them with the column's mean and fits the result as
if it had been observed; its mixture then restores the cells too. A fit with NaN integrates the
missing cells out instead. Both restore a cell by its conditional mean given the rest of the row;
the fit with NaN also knows how sure it is, so it can draw the cell.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skgen.mixture import GaussianMixture

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
PRINTED, SHOWN = 0.2, 0.5
COLUMN_MEANS, FILLED, WITH_NAN = "column means", "fit after filling", "fit with NaN"
COLORS = {COLUMN_MEANS: "tab:gray", FILLED: "tab:orange", WITH_NAN: "tab:blue"}


def with_holes(X, share, seed=0):
    """X, a share of its cells NaN."""
    holes = np.random.default_rng(seed).random(X.shape) < share
    return np.where(holes, np.nan, X)


def fitted(X):
    """Ten components; the floor of one gray level is for pixels that are always white."""
    return GaussianMixture(10, reg_covar=1.0, max_iter=200, random_state=0).fit(X)


def restore(X):
    """What each way makes of rows with NaN, and the two mixtures."""
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    mixtures = {FILLED: fitted(filled), WITH_NAN: fitted(X)}
    restored = {COLUMN_MEANS: filled}
    return restored | {name: mixture.impute(X) for name, mixture in mixtures.items()}, mixtures


def error(restored, X, holes):
    """Root mean square over the cells that were removed, in gray levels of 16."""
    return np.sqrt(np.mean((restored - X)[holes] ** 2))


def typical(X, members):
    """The row nearest to the mean of the members."""
    distances = ((X - X[members].mean(axis=0)) ** 2).sum(axis=1)
    return np.where(members, distances, np.inf).argmin()


def main(output):
    X, y = load_digits(return_X_y=True)
    X, X_new, y, _ = train_test_split(X, y, test_size=0.25, random_state=0)
    whole = fitted(X).score(X_new)
    errors = {name: [] for name in COLORS}
    scores = {name: [] for name in (FILLED, WITH_NAN)}
    for share in SHARES:
        X_holes = with_holes(X, share)
        holes = np.isnan(X_holes)
        restored, mixtures = restore(X_holes)
        for name, images in restored.items():
            errors[name].append(error(images, X, holes))
        for name, mixture in mixtures.items():
            scores[name].append(mixture.score(X_new))
        if share == PRINTED:
            print(f"{share:.0%} of the cells missing; error of the restored ones in gray levels:")
            for name in COLORS:
                print(f"  {name:18} {errors[name][-1]:.2f}")
            drawn = mixtures[WITH_NAN].impute(X_holes, random_state=0)
            print(
                "  standard deviation of all restored cells, in truth"
                f" {X[holes].std():.2f}, conditional means {restored[WITH_NAN][holes].std():.2f},"
                f" draws {drawn[holes].std():.2f}"
            )
            print("log-likelihood per new digit without missing cells:")
            print(f"  {'nothing missing':18} {whole:.2f}")
            for name in scores:
                print(f"  {name:18} {scores[name][-1]:.2f}")
        if share == SHOWN:
            drawn = mixtures[WITH_NAN].impute(X_holes, random_state=0)
            shown = {"digits": X, "what is left": X_holes} | restored | {"a draw of it": drawn}
    draw(shown, y, errors, scores, whole, output)
    print(f"picture: {output}")


def draw(shown, y, errors, scores, whole, output):
    figure, axes = plt.subplot_mosaic(
        [["images", "error"], ["images", "score"]],
        figsize=(12, 5),
        width_ratios=[1.5, 1],
        layout="constrained",
    )
    examples = [typical(shown["digits"], y == digit) for digit in range(10)]
    palette = plt.get_cmap("gray_r").with_extremes(bad="#f6c9a0")
    images = axes["images"]
    for line, (name, X) in enumerate(shown.items()):
        for column, row in enumerate(X[examples]):
            left, top = 9 * column, 9 * line
            images.imshow(
                row.reshape(8, 8),
                cmap=palette,
                vmin=0,
                vmax=16,
                extent=(left, left + 8, top + 8, top),
                interpolation="nearest",
            )
        images.text(-1.5, 9 * line + 4, name, ha="right", va="center", fontsize=10)
    images.set(xlim=(-1, 90), ylim=(9 * len(shown), -1))
    images.set_axis_off()
    images.set_title(f"{SHOWN:.0%} of the cells missing", fontsize=11)
    percent = 100 * np.array(SHARES)
    for name, values in errors.items():
        axes["error"].plot(percent, values, marker="o", color=COLORS[name], label=name)
    axes["error"].set_title("error of the restored cells, gray levels of 16", fontsize=11)
    axes["error"].set(ylim=(0, 4.8), xticks=percent)
    axes["error"].legend(frameon=False, loc="lower center", ncols=3, fontsize=9)
    axes["score"].axhline(whole, color="black", linewidth=1, linestyle=":")
    axes["score"].text(
        percent[-1], whole - 0.4, "nothing missing", ha="right", va="top", fontsize=9
    )
    for name, values in scores.items():
        axes["score"].plot(percent, values, marker="o", color=COLORS[name])
    axes["score"].set_title("log-likelihood per new, complete digit", fontsize=11)
    axes["score"].set(xlabel="% of the cells missing", xticks=percent)
    figure.savefig(output, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

"""Logistic regression: what penalties do, how fast the optimum is reached, what probabilities mean.

Top: probabilities on two columns, of which the vertical one says nothing. Unpenalized weights give
it some weight by chance, a squared penalty shortens all weights, an absolute one makes that weight
zero. Bottom left: a table whose columns differ in size by a factor of a hundred thousand, as it
comes. Bottom right: predicted probabilities of new rows against the share of rows
that do belong to the class; with few rows and no penalty, predictions are too sure of themselves.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnRegression

from skgen.linear_model import LogisticRegression

PENALTIES = {
    "no penalty": {"C": np.inf},
    "squared, C=0.03": {"C": 0.03},
    "absolute, C=0.1": {"C": 0.1, "l1_ratio": 1.0},
}
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
ROUNDING = 1e-15
# Where scikit-learn's solvers are stopped.
LENGTHS = {"newton-cholesky": range(1, 9), "lbfgs": (1, 3, 10, 30, 100, 1000)}


def draw_boundaries(all_axes):
    """Rows of two classes and levels of probability, one penalty per axes."""
    generator = np.random.default_rng(5)
    X = generator.normal(size=(80, 2)) * [1.5, 1.0]
    y = (generator.random(80) < expit(1.2 * X[:, 0] + 0.5)).astype(int)
    across, up = np.meshgrid(np.linspace(-4, 4, 160), np.linspace(-3, 3, 120))
    grid = np.column_stack([across.ravel(), up.ravel()])
    for axes, (name, penalty) in zip(all_axes, PENALTIES.items(), strict=True):
        model = LogisticRegression(solver="auto", tol=1e-9, **penalty).fit(X, y)
        P = model.predict_proba(grid)[:, 1].reshape(across.shape)
        axes.imshow(
            P, origin="lower", extent=(-4, 4, -3, 3), cmap="RdBu_r", vmin=-0.3, vmax=1.3,
            aspect="auto", interpolation="bilinear",
        )  # fmt: skip
        widths = [2.0 if level == 0.5 else 0.8 for level in LEVELS]
        lines = axes.contour(across, up, P, levels=LEVELS, colors="black", linewidths=widths)
        axes.clabel(lines, fmt="%g", fontsize=8)
        axes.scatter(*X.T, c=y, cmap="RdBu_r", vmin=-0.1, vmax=1.1, s=14, edgecolor="white", lw=0.5)
        weights = ", ".join(f"{weight:.2f}" for weight in model.coef_[0])
        axes.set(xticks=[], yticks=[], title=f"{name}: weights {weights}")
        mean, share = model.predict_proba(X)[:, 1].mean(), y.mean()
        print(
            f"{name:16} weights {weights}; mean probability {mean:.4f},"
            f" {abs(mean - share):.0e} from the share of the class"
        )


def objective(model, X, y):
    """Mean loss plus penalty, at C=1."""
    logs = model.predict_log_proba(X)
    return 0.5 * np.square(model.coef_).sum() / len(y) - logs[np.arange(len(y)), y].mean()


def draw_convergence(axes):
    """The objective above its optimum after every iteration, columns as they are."""
    X, y = load_breast_cancer(return_X_y=True)
    best = objective(LogisticRegression(tol=1e-10).fit(X, y), X, y)
    model = LogisticRegression().fit(X, y)
    # Rounding may leave one of two equal optima below the other.
    excess = np.maximum(np.array(model.objective_history_) / best - 1.0, ROUNDING)
    print(f"columns of unequal size: skgen {model.stop_reason_};")
    print(f"  {excess[-1]:.1e} above the optimum after {len(excess)} iterations")
    axes.plot(np.arange(1, len(excess) + 1), excess, "o-", ms=4, label="skgen, default")
    for solver, marker in (("newton-cholesky", "^"), ("lbfgs", "s")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            peers = [
                SklearnRegression(solver=solver, max_iter=length, tol=1e-8).fit(X, y)
                for length in LENGTHS[solver]
            ]
        reached = [peer.n_iter_[0] for peer in peers]
        gaps = [max(objective(peer, X, y) / best - 1.0, ROUNDING) for peer in peers]
        axes.plot(reached, gaps, marker + "-", ms=4, label=f"scikit-learn, {solver}")
        print(f"  scikit-learn {solver}: {gaps[-1]:.1e} above it after {reached[-1]}")
    axes.axhline(1e-6, color="gray", linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log",
        yscale="log",
        ylim=(1e-16, None),
        xlabel="iteration",
        ylabel="objective / optimum - 1",
    )
    axes.set_title("breast cancer, raw columns")
    axes.legend(frameon=False)


def draw_calibration(axes):
    """Shares of a class among new rows, by predicted probability."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=20) / np.sqrt(20)

    def sample(n):
        X = generator.normal(size=(n, 20))
        return X, (generator.random(n) < expit(1.5 * X @ weights - 0.5)).astype(int)

    X, y = sample(200)
    new_X, new_y = sample(50000)
    edges = np.linspace(0, 1, 11)
    axes.plot([0, 1], [0, 1], color="gray", linewidth=0.8, linestyle=":")
    for name, C, color in (("no penalty", np.inf, "tab:red"), ("C=0.1", 0.1, "tab:blue")):
        model = LogisticRegression(C=C).fit(X, y)
        P = model.predict_proba(new_X)[:, 1]
        group = np.digitize(P, edges[1:-1])
        counts = np.bincount(group, minlength=10)
        mean = np.bincount(group, P, minlength=10)[counts > 0] / counts[counts > 0]
        share = np.bincount(group, new_y, minlength=10)[counts > 0] / counts[counts > 0]
        error = (counts[counts > 0] * np.abs(mean - share)).sum() / counts.sum()
        label = f"{name}: error {error:.3f}"
        axes.plot(mean, share, "o-", ms=4, color=color, label=label)
        print(f"calibration on new rows, {label}")
    axes.set(xlabel="predicted probability", ylabel="share of the class", aspect="equal")
    axes.set_title("200 rows, 20 columns: new rows")
    axes.legend(frameon=False)


def print_inference(columns=("mean radius", "mean texture", "mean smoothness", "mean symmetry")):
    """Weights of four columns with their uncertainty."""
    data = load_breast_cancer()
    X, y = data.data[:, [list(data.feature_names).index(name) for name in columns]], data.target
    inference = LogisticRegression(C=np.inf).fit(X, y).inference(X, y)
    low, high = inference.interval(0.95)
    print("95 % intervals of the weights, unpenalized:")
    for j, name in enumerate(columns):
        print(
            f"  {name:15} {inference.coef[0, j]:8.2f}, {low[0, j]:7.2f} to {high[0, j]:6.2f},"
            f" z {inference.coef_z[0, j]:5.1f}, p {inference.coef_p_value[0, j]:.0e}"
        )


def main(output):
    figure = plt.figure(figsize=(12, 7), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.25])
    draw_boundaries(top.subplots(1, 3))
    left, right = bottom.subplots(1, 2, width_ratios=[1.6, 1])
    draw_convergence(left)
    draw_calibration(right)
    print_inference()
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

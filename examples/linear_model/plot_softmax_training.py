"""What minibatch training is made of: update rules, learning rates, and the temperature.

Left: the objective after every epoch, less its optimum, for each update rule with half a cosine as
learning rate. Middle: one rule with every schedule; a constant rate levels out at the noise of its
batches. Right: where three classes meet, at three temperatures: the lower, the sharper.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skgen.linear_model import SoftmaxRegression

RULES = {
    "sgd": 0.1,
    "momentum": 0.02,
    "nesterov": 0.02,
    "adagrad": 0.1,
    "rmsprop": 0.01,
    "adam": 0.02,
}
SCHEDULES = ("constant", "invscaling", "inverse", "step", "cosine")
EPOCHS = 40
C = 0.01


def objective(model, X, y):
    """Mean loss over all rows plus penalty."""
    logs = model.predict_log_proba(X)
    penalty = 0.5 * (model.coef_**2).sum() / (C * len(y))
    return penalty - logs[np.arange(len(y)), y].mean()


def trace(X, y, optimum, **options):
    """The objective less its optimum after every epoch."""
    model = SoftmaxRegression(C=C, batch_size=50, max_iter=EPOCHS, random_state=0, **options)
    epochs = (model.partial_fit(X, y, classes=range(10)) for _ in range(EPOCHS))
    return np.array([objective(model, X, y) - optimum for model in epochs])


def draw_temperatures(axes):
    """Class probabilities in the plane as colors, at three temperatures side by side."""
    generator = np.random.default_rng(0)
    centers = np.array([[0.0, 1.2], [-1.1, -0.7], [1.1, -0.7]])
    y = np.arange(240) % 3
    X = centers[y] + 0.9 * generator.normal(size=(240, 2))
    grid = np.stack(np.meshgrid(np.linspace(-3, 3, 120), np.linspace(-3, 3, 120)), axis=-1)
    model = SoftmaxRegression().fit(X, y)
    colors = np.array([[0.12, 0.47, 0.71], [1.0, 0.5, 0.05], [0.17, 0.63, 0.17]])
    for number, temperature in enumerate((3.0, 1.0, 0.1)):
        model.temperature = temperature
        P = model.predict_proba(grid.reshape(-1, 2)).reshape(120, 120, 3)
        part = axes.inset_axes([0.0, (2 - number) / 3, 1.0, 0.31])
        part.imshow(P @ colors, origin="lower", extent=(-3, 3, -3, 3), aspect="auto")
        part.scatter(*X.T, c=colors[y], edgecolor="white", s=12, linewidth=0.4)
        part.set(xticks=[], yticks=[], ylabel=f"T = {temperature:g}", xlim=(-3, 3), ylim=(-3, 3))
    axes.set_axis_off()
    axes.set_title("probabilities by temperature")


def main(output):
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    optimum = SoftmaxRegression(C=C, tol=1e-8).fit(X, y).objective_history_[-1]
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(13, 4), width_ratios=[1, 1, 0.7], layout="constrained"
    )
    for rule, rate in RULES.items():
        excess = trace(X, y, optimum, solver=rule, learning_rate="cosine", learning_rate_init=rate)
        left.plot(np.arange(1, EPOCHS + 1), excess, label=f"{rule}, {rate:g}")
        print(f"{rule:9} at {rate:<5g} ends {excess[-1]:.1e} above the optimum")
    left.set_title("update rules, cosine rate")
    for schedule in SCHEDULES:
        excess = trace(
            X,
            y,
            optimum,
            solver="momentum",
            learning_rate=schedule,
            learning_rate_init=0.05,
        )
        middle.plot(np.arange(1, EPOCHS + 1), excess, label=schedule)
        print(f"momentum, {schedule:10} ends {excess[-1]:.1e} above the optimum")
    middle.set_title("schedules, momentum at 0.05")
    for axes in (left, middle):
        axes.set(yscale="log", xlabel="epoch", ylabel="objective less optimum")
        axes.legend(frameon=False, fontsize="small")
    draw_temperatures(right)
    figure.savefig(output, dpi=80)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

"""What three hidden units can draw, and a network that says how far it may be off.

Left: four functions of one variable, each from fifty points, by a network with three hidden units
of tanh. The dashed lines are the units' outputs; the curve is a weighted sum of them (Bishop 2006,
figure 5.3). Right: the Gaussian loss fits a mean and a variance; the band is two standard
deviations to both sides.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from skgen.neural_network import MLPRegressor

FUNCTIONS = {
    "$x^2$": np.square,
    "$\\sin \\pi x$": lambda x: np.sin(np.pi * x),
    "$|x|$": np.abs,
    "step": lambda x: (x > 0.0).astype(float),
}
N_STARTS = 6


def fit_function(X, y):
    """The best of several starts."""
    fits = [
        MLPRegressor(
            hidden_layer_sizes=(3,),
            activation="tanh",
            solver="lbfgs",
            alpha=0.0,
            tol=1e-5,
            max_iter=5000,
            random_state=seed,
        ).fit(X, y)
        for seed in range(N_STARTS)
    ]
    return min(fits, key=lambda network: network.loss_)


def noisy_rows(n=600, seed=0):
    """A wave whose noise grows from left to right."""
    generator = np.random.default_rng(seed)
    X = generator.uniform(-1.0, 1.0, size=(n, 1))
    return X, np.sin(4.0 * X[:, 0]) + deviation(X[:, 0]) * generator.normal(size=n)


def deviation(x):
    return 0.05 + 0.25 * (1.0 + x)


def draw_band(axes):
    """Mean and twice the deviation, learned and true."""
    X, y = noisy_rows()
    network = MLPRegressor(
        loss="gaussian",
        hidden_layer_sizes=(10,),
        activation="tanh",
        solver="lbfgs",
        alpha=1.0,
        tol=1e-3,
        max_iter=2000,
        random_state=0,
    ).fit(X, y)
    grid = np.linspace(-1.0, 1.0, 200)
    mean, spread = network.predict(grid[:, None], return_std=True)
    axes.scatter(X[:, 0], y, s=6, color="0.6", label="rows")
    axes.plot(grid, mean, color="tab:blue", label="mean")
    axes.fill_between(
        grid,
        mean - 2.0 * spread,
        mean + 2.0 * spread,
        color="tab:blue",
        alpha=0.2,
        label="$\\pm$ 2 deviations",
    )
    truth = {"color": "black", "linestyle": ":", "linewidth": 1.0}
    for sign in (-2.0, 2.0):
        label = {"label": "true $\\pm$ 2 deviations"} if sign > 0.0 else {}
        axes.plot(grid, np.sin(4.0 * grid) + sign * deviation(grid), **truth, **label)
    axes.set(title="Gaussian loss: mean and deviation", xlabel="x")
    axes.legend(frameon=False, loc="upper left")
    new_X, new_y = noisy_rows(n=20_000, seed=1)
    mean, spread = network.predict(new_X, return_std=True)
    held = np.mean(np.abs(new_y - mean) <= 2.0 * spread)
    print(f"the band of 2 deviations holds {held:.1%} of new rows; of a normal law it is 95.4%")


def main(output):
    figure = plt.figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.2, 1])
    X = np.linspace(-1.0, 1.0, 50)[:, None]
    grid = np.linspace(-1.0, 1.0, 300)[:, None]
    for axes, (name, function) in zip(left.subplots(2, 2).flat, FUNCTIONS.items(), strict=True):
        y = function(X[:, 0])
        network = fit_function(X, y)
        axes.plot(grid, network.transform(grid), "--", color="0.6", linewidth=1.0)
        axes.scatter(X[:, 0], y, s=8, color="tab:blue")
        axes.plot(grid, network.predict(grid), color="tab:red")
        axes.set(title=name, ylim=(-1.2, 1.2), xticks=[-1, 0, 1])
        error = np.sqrt(np.mean((network.predict(X) - y) ** 2))
        print(f"{name:12} root mean square error {error:.4f}; {network.stop_reason_}")
    draw_band(right.subplots())
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

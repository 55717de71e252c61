"""EM where components overlap, and what extrapolation saves.

The more components overlap, the less the rows say about which one they come from, and the shorter
are EM's steps. SQUAREM and Anderson's method guess from the last steps where many more would lead,
look there, and stay if it is better than what EM would have had. One pass over the rows is one
iteration in all three. While components empty themselves there is little to extrapolate.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skgen.inspection import MixtureDisplay
from skgen.mixture import BayesianGaussianMixture, GaussianMixture

ACCELERATIONS = {None: "tab:gray", "squarem": "tab:orange", "anderson": "tab:blue"}
N_ROWS = 3000
PASSES = 2000
SOLVED = 1e-8


def clouds(seed=0):
    """Rows of three components about two deviations apart."""
    generator = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    deviations = np.array([1.0, 1.0, 0.7])
    cloud = generator.choice(3, size=N_ROWS, p=(0.5, 0.25, 0.25))
    return means[cloud] + deviations[cloud, None] * generator.normal(size=(N_ROWS, 2))


def fits(estimator, X):
    """One fit per acceleration, to where rounding leaves nothing to gain."""
    with warnings.catch_warnings():
        # EM alone may need more passes than it gets.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {
            name: clone(estimator).set_params(acceleration=name, tol=0.0, max_iter=PASSES).fit(X)
            for name in ACCELERATIONS
        }


def draw(axes, histories, unit):
    """What is left to gain per row, before every pass."""
    best = max(max(history) for history in histories.values())
    for name, history in histories.items():
        left = (best - np.array(history)) / unit
        passes = np.arange(1, len(left) + 1)
        label = name or "EM alone"
        axes.plot(passes, left.clip(1e-13), color=ACCELERATIONS[name], label=label)
        reached = passes[left <= SOLVED]
        when = f"after {reached[0]}" if len(reached) else f"not within {PASSES}"
        print(f"  {label:9} within {SOLVED:g} of the optimum {when} passes")
    axes.set(xscale="log", yscale="log", ylim=(1e-11, None), xlabel="passes over the rows")
    axes.legend(frameon=False)


def main(output):
    X = clouds()
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(13, 4), width_ratios=[0.8, 1, 1], layout="constrained"
    )
    print("maximum likelihood, objective per row:")
    likelihood = fits(GaussianMixture(3, random_state=0), X)
    draw(middle, {name: fit.objective_history_ for name, fit in likelihood.items()}, 1.0)
    middle.set_title("maximum likelihood, left to gain per row")
    print("mean field, bound per row:")
    bounds = fits(BayesianGaussianMixture(n_components=6, random_state=0), X)
    draw(right, {name: fit.objective_history_ for name, fit in bounds.items()}, len(X))
    right.set_title("mean field with six components, left to gain per row")

    mixture = likelihood["anderson"]
    MixtureDisplay.from_estimator(
        mixture,
        X,
        levels=0.9,
        ax=left,
        scatter_kwargs={"s": 2, "color": "tab:blue", "alpha": 0.3},
        ellipse_kwargs={"edgecolor": "black", "facecolor": "none", "alpha": 1.0},
    )
    left.set_axis_off()
    left.set_title("nine tenths of each component")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

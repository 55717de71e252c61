"""Answers to other questions help where few rows are labeled.

Of a thousand handwritten digits only a few have their name. Of all it is known whether the digit is
even, and of four fifths how many loops it has. One network answers all three questions from the
same hidden layer; what is not known costs nothing. Another one learns the names alone, from the
rows that have one.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skgen.base import ConvergenceWarning
from skgen.inspection import ActivationsDisplay
from skgen.neural_network import MLPClassifier, MLPMultiTask

LOOPS = np.array([1, 0, 0, 0, 0, 0, 1, 0, 2, 1])
TASKS = ("log_loss", "log_loss", "squared_error")
NAMED = (1, 2, 5, 10, 20)
N_SEEDS = 4
TRAINING = {
    "hidden_layer_sizes": (60,),
    "learning_rate_init": 0.005,
    "alpha": 0.01,
    "batch_size": 50,
    "max_iter": 60,
    "n_iter_no_change": 60,
}


def some_of_each(y, count, generator):
    """Positions of so many rows of each digit."""
    return np.concatenate(
        [generator.permutation(np.flatnonzero(y == digit))[:count] for digit in range(10)]
    )


def answers(y, named, generator):
    """Digit, even or odd, and loops; NaN where not known."""
    Y = np.column_stack([np.full(len(y), np.nan), y % 2 == 0, LOOPS[y]])
    Y[named, 0] = y[named]
    Y[generator.random(len(y)) < 0.2, 2] = np.nan
    return Y


def main(output):
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X / 16, y, train_size=1000, stratify=y, random_state=0)
    right = {"names alone": [], "three questions": []}
    for count in NAMED:
        alone, together = [], []
        for seed in range(N_SEEDS):
            generator = np.random.default_rng(seed)
            named = some_of_each(y, count, generator)
            single = MLPClassifier(random_state=seed, **TRAINING | {"batch_size": "auto"})
            alone.append(single.fit(X[named], y[named]).score(X_new, y_new))
            several = MLPMultiTask(tasks=TASKS, random_state=seed, **TRAINING)
            several.fit(X, answers(y, named, generator))
            together.append(np.mean(several.predict(X_new)[:, 0] == y_new))
        for name, scores in zip(right, (alone, together), strict=True):
            right[name].append(scores)
            print(f"{count:2} named of each digit, {name:15} {np.mean(scores):.3f} read right")

    figure, (left, middle) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, scores in right.items():
        scores = np.array(scores)
        left.plot(NAMED, scores.mean(axis=1), "o-", label=name)
        left.fill_between(NAMED, scores.min(axis=1), scores.max(axis=1), alpha=0.2)
    left.set(
        xscale="log",
        xlabel="named rows of each digit",
        ylabel="share of new digits read right",
        title=f"mean and range of {N_SEEDS} seeds",
    )
    left.set_xticks(NAMED, NAMED)
    left.minorticks_off()
    left.legend(frameon=False, loc="lower right")
    ActivationsDisplay.from_estimator(several, X_new, y_new, sort_units=True, ax=middle)
    middle.set_title("the hidden layer that three questions share, by digit")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()
    # Every network gets the same number of epochs, whether it rests by then or not.
    warnings.simplefilter("ignore", ConvergenceWarning)
    main(arguments.output)

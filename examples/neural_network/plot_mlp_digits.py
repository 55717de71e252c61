"""A network reads handwritten digits: how it trains, what its hidden units look for, what they say.

Three hundred digits teach networks of one hidden layer; the other digits are watched meanwhile.
Above: the training loss goes towards zero, the loss of the other digits turns and rises; where half
of the hidden units drop out at every update it ends lower. Below: the strongest units as images of
their incoming weights. Where next to nothing is penalized, these still are the random numbers that
training began with; a penalty fades what is of no use, as the weights of pixels that are always
blank, and leaves strokes. Last, the outputs of these units by digit.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skgen.inspection import ActivationsDisplay, FiltersDisplay, TrainingDisplay
from skgen.neural_network import MLPClassifier

N_TRAINING = 300
EPOCHS = 120
NETWORKS = {
    "no dropout": {},
    "dropout of one half": {"dropout": 0.5},
    "and alpha = 0.3": {"dropout": 0.5, "alpha": 0.3},
}


def fit(X, y, X_val, y_val, **options):
    return MLPClassifier(
        (100,),
        learning_rate_init=0.003,
        batch_size=32,
        max_iter=EPOCHS,
        random_state=0,
        **options,
    ).fit(X, y, X_val=X_val, y_val=y_val)


def report(name, network):
    losses, scores = network.validation_loss_curve_, network.validation_scores_
    print(
        f"{name:20} training loss ends at {network.loss_curve_[-1]:.3f}; loss of other digits"
        f" {min(losses):.3f} at best, {losses[-1]:.3f} at the end; {max(scores):.1%} of them read"
        f" right in epoch {1 + scores.index(max(scores))}"
    )


def main(output):
    X, y = load_digits(return_X_y=True)
    X, X_val, y, y_val = train_test_split(
        X / 16, y, train_size=N_TRAINING, stratify=y, random_state=0
    )
    networks = {name: fit(X, y, X_val, y_val, **options) for name, options in NETWORKS.items()}
    for name, network in networks.items():
        report(name, network)
    _, dropped, penalized = networks.values()

    figure = plt.figure(figsize=(13, 7.6), layout="constrained")
    above, below = figure.subfigures(2, 1)
    curves, images = above.subplots(1, 2), below.subplots(1, 3)
    for part, name in zip(curves, NETWORKS, strict=False):
        training = TrainingDisplay.from_estimator(networks[name], ax=part)
        part.set(title=name, ylim=(0.0, 0.8))
        training.score_ax_.set_ylim(0.7, 1.0)
    for part, name, network in zip(
        images, ("hardly a penalty", "alpha = 0.3"), (dropped, penalized), strict=False
    ):
        FiltersDisplay.from_estimator(network, which=25, n_columns=5, ax=part)
        part.set_title(f"strong units, {name}")
    ActivationsDisplay.from_estimator(penalized, X_val, y_val, sort_units=True, ax=images[2])
    images[2].set_title("hidden units by digit, alpha = 0.3")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

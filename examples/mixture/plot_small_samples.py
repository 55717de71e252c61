"""Few rows: held-out likelihood of maximum likelihood, maximum a posteriori and mean field.

Rows of three clouds in four dimensions. With few of them, components of maximum likelihood
collapse onto the rows they have, and new rows are all but impossible. The prior of maximum a
posteriori keeps covariances away from zero; the mode is still a narrow guess, and narrower the
more degrees of freedom the prior has. Mean field averages over what the rows leave open: its
predictive density has the tails of Student's t. With many rows all agree.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgen.mixture import BayesianGaussianMixture, GaussianMixture, MAPGaussianMixture

N_COMPONENTS, N_FEATURES = 3, 4
SIZES = (12, 20, 30, 50, 80, 150, 300, 1000)
N_SAMPLES = 10
N_NEW = 2000
SETTINGS = {"n_components": N_COMPONENTS, "n_init": 2, "max_iter": 300, "random_state": 0}
ESTIMATORS = {
    "maximum likelihood": GaussianMixture(**SETTINGS),
    "maximum a posteriori": MAPGaussianMixture(**SETTINGS),
    "the same, nu = 0": MAPGaussianMixture(degrees_of_freedom_prior=0.0, **SETTINGS),
    "mean field": BayesianGaussianMixture(**SETTINGS),
}
COLORS = ("tab:orange", "tab:green", "tab:olive", "tab:blue")


def truth():
    """Three components that overlap little."""
    generator = np.random.default_rng(1)
    mixture = GaussianMixture(
        N_COMPONENTS,
        weights_init=[0.5, 0.3, 0.2],
        means_init=generator.normal(scale=2.5, size=(N_COMPONENTS, N_FEATURES)),
        precisions_init=[precision(generator) for _ in range(N_COMPONENTS)],
        max_iter=0,
    )
    # Without an iteration a fit returns the parameters it starts from, whatever the rows are.
    return mixture.fit(generator.normal(size=(100, N_FEATURES)))


def precision(generator):
    """Inverse of a random covariance with variances about one."""
    directions = np.linalg.qr(generator.normal(size=(N_FEATURES, N_FEATURES)))[0]
    return directions / np.geomspace(0.2, 2.0, N_FEATURES) @ directions.T


def main(output):
    mixture = truth().set_params(random_state=0)
    X_new, _ = mixture.sample(N_NEW)
    best = mixture.score(X_new)
    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    print(f"log-likelihood per new row less that of the truth, {best:.3f}; median of {N_SAMPLES}:")
    print("rows".rjust(6) + "".join(name.rjust(22) for name in ESTIMATORS))
    losses = {name: np.empty((len(SIZES), N_SAMPLES)) for name in ESTIMATORS}
    for i, size in enumerate(SIZES):
        for number in range(N_SAMPLES):
            X, _ = mixture.set_params(random_state=100 * size + number).sample(size)
            for name, estimator in ESTIMATORS.items():
                with warnings.catch_warnings():
                    # A collapsed component ends a fit early; its score says what that costs.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    losses[name][i, number] = best - estimator.fit(X).score(X_new)
        medians = (f"{-np.median(values[i]):22.3f}" for values in losses.values())
        print(f"{size:6}" + "".join(medians))
    for (name, values), color in zip(losses.items(), COLORS, strict=True):
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=1)
        axes.plot(SIZES, middle, color=color, marker="o", markersize=4, label=name)
        axes.fill_between(SIZES, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", ylim=(0.02, 100), xlabel="rows of the sample")
    axes.set_xticks(SIZES, SIZES)
    axes.minorticks_off()
    axes.set_title(
        "log-likelihood per new row that is lost against the truth: median, 10 % to 90 %",
        fontsize=11,
    )
    axes.legend(frameon=False)
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

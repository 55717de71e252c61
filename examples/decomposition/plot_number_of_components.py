"""How many components: a share of the variance, parallel analysis, evidence, held-out likelihood.

Above, rows made of eight hidden factors in thirty columns, so that the answer is known: "mle"
compares the evidence of every number, and "held_out" the likelihood of rows that were left out.
Parallel analysis looks where the variances sink into what columns without correlation would show;
as these have the variance of the factors too, it may miss the weakest ones. A share of the
variance knows nothing of noise and takes many more. Below, chemical measurements of
wines, in units of each column's deviation, where no number is true and the methods may differ.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skgen.decomposition import PCA
from skgen.inspection import ScreeDisplay

N_FACTORS = 8
WAYS = (0.9, "mle", "parallel_analysis", "held_out")


def hidden_factors(n_rows=400, n_columns=30, seed=0):
    """Rows that eight factors of decreasing size make, and as much noise in every column."""
    generator = np.random.default_rng(seed)
    sizes = np.linspace(2.0, 0.8, N_FACTORS)
    directions = np.linalg.qr(generator.normal(size=(n_columns, N_FACTORS)))[0].T
    factors = generator.normal(size=(n_rows, N_FACTORS)) * sizes
    return factors @ directions + 0.6 * generator.normal(size=(n_rows, n_columns))


def main(output):
    data = {
        f"{N_FACTORS} factors and noise": hidden_factors(),
        "wines": StandardScaler().fit_transform(load_wine().data),
    }
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    for (name, X), (left, right) in zip(data.items(), axes, strict=True):
        fits = {way: PCA(way, random_state=0).fit(X) for way in WAYS}
        chosen = {way: pca.n_components_ for way, pca in fits.items()}
        print(f"{name}: " + ", ".join(f"{way} {number}" for way, number in chosen.items()))
        ScreeDisplay.from_estimator(
            PCA().fit(X), noise_thresholds=fits["parallel_analysis"].noise_thresholds_, ax=left
        )
        left.set_title(f"{name}: parallel analysis keeps {chosen['parallel_analysis']}")
        scores = fits["held_out"].held_out_scores_
        right.plot(np.arange(len(scores)), scores, marker="o", markersize=3)
        right.axvline(chosen["held_out"], color="0.4", linestyle="--")
        right.set(xlabel="components", ylabel="held-out log likelihood per row")
        right.set_title(f"{name}: held-out likelihood is best with {chosen['held_out']}")
    figure.savefig(output, dpi=80)
    plt.close(figure)
    print(f"picture: {output}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".png"))
    main(parser.parse_args().output)

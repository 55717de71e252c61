"""How many sweeps over named and unnamed blocks come near the limit of full-batch EM.

Both start from the fit of the first block: EM goes on from it with all rows, a stream with one
block after another, in the same order in every sweep.
"""

import warnings
from importlib import import_module

import numpy as np

from benchmarks.data import letters

BLOCKS = 20
SWEEPS = 40
NEAR = 0.005
SHOWN = (1, 5, 20)
CASES = [
    (name, structure, k)
    for name in ("GaussianMixture", "MAPGaussianMixture", "BayesianGaussianMixture")
    for structure, k in (("full", 5), ("diag", 10), ("full", 26))
]


def measure_streams(rounds, small):
    """A row per model and kind of stream: relative gaps of the mean log density, sweeps."""
    X = letters()
    X = X[np.random.default_rng(0).permutation(len(X))][: 2000 if small else None]
    rows = []
    for name, structure, k in CASES:
        estimator = getattr(import_module("skgen.mixture"), name)
        options = {"n_components": k, "covariance_type": structure, "random_state": 0}
        blocks = np.array_split(X, BLOCKS)
        limit = full_batch(estimator, options, blocks[0], X)
        for named in (True, False):
            gaps = sweep(estimator(**options), blocks, X, named, limit, 3 if small else SWEEPS)
            near = [number for number, gap in enumerate(gaps, 1) if gap <= NEAR]
            rows.append(
                [
                    f"{name}, {structure}, k={k}, {'named' if named else 'unnamed'}",
                    f"{limit:.4f}",
                    *(f"{100 * gaps[n - 1]:+.2f} %" if n <= len(gaps) else "" for n in SHOWN),
                    str(near[0]) if near else f"more than {len(gaps)}",
                ]
            )
    return rows


def full_batch(estimator, options, first, X):
    """Mean log density of all rows at the limit of EM from the fit of the first block."""
    mixture = estimator(**options, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(first)
        mixture.set_params(max_iter=2000, tol=1e-4).fit(X)
    return mixture.score(X)


def sweep(mixture, blocks, X, named, limit, sweeps):
    """The gap, as a share of the limit, after every sweep; negative where the stream is better."""
    gaps = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(sweeps):
            for number, block in enumerate(blocks):
                mixture.partial_fit(block, batch=number if named else None)
            gaps.append((limit - mixture.score(X)) / abs(limit))
    return gaps

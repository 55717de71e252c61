"""How often a fit ends at the best likelihood known, from each start.

Clusters are parallel and elongated in some cases, and of sizes or shapes of their own in others,
so that what a start assumes shows. Every seed draws data and starts; the best is that of all starts
and of EM from the true parameters.
"""

import warnings

import numpy as np

STARTS = (
    "kmeans",
    "k-means++",
    "random",
    "random_from_data",
    "whitened-k-means++",
    "agglomerative",
)
SEEDS = 20
# Nats per row.
REACHED = 1e-3


def parallel(n_rows, d, k, ratio, gap):
    """Clusters `ratio` times longer along one direction, `gap` or more deviations apart."""

    def draw(generator):
        axes = np.ones(d)
        axes[0] = ratio
        means = np.zeros((k, d))
        means[:, -1] = gap * np.arange(k)
        if d > 2:
            means[:, 1:] = apart(generator, k, d - 1, gap)
        group = generator.integers(k, size=n_rows)
        Q = np.linalg.qr(generator.normal(size=(d, d)))[0]
        X = (means[group] + axes * generator.normal(size=(n_rows, d))) @ Q
        return X, means @ Q, np.tile(Q.T @ np.diag(axes**-2.0) @ Q, (k, 1, 1)), np.full(k, 1 / k)

    return draw


def apart(generator, k, d, gap):
    """k random points, no two closer than `gap`."""
    while True:
        points = generator.normal(scale=gap, size=(k, d))
        distance = np.linalg.norm(points[:, None] - points, axis=2)
        if distance[np.triu_indices(k, 1)].min() > gap:
            return points


def unequal(n_rows, shares, ratio, gap):
    """Parallel clusters in the plane, of sizes that differ."""

    def draw(generator):
        k = len(shares)
        means = np.column_stack([np.zeros(k), gap * np.arange(k)])
        group = generator.choice(k, size=n_rows, p=shares)
        X = means[group] + generator.normal(size=(n_rows, 2)) * [ratio, 1.0]
        return X, means, np.tile(np.diag([ratio**-2.0, 1.0]), (k, 1, 1)), np.array(shares)

    return draw


def own_shapes(n_rows, d, k, spread):
    """Every cluster has a random shape of its own."""

    def draw(generator):
        means = apart(generator, k, d, spread)
        shapes = generator.normal(size=(k, d, d)) + 0.3 * np.eye(d)
        group = generator.integers(k, size=n_rows)
        X = means[group] + np.einsum(
            "ni,nij->nj", generator.normal(size=(n_rows, d)), shapes[group]
        )
        covariances = shapes.transpose(0, 2, 1) @ shapes
        return X, means, np.linalg.inv(covariances), np.full(k, 1 / k)

    return draw


CASES = {
    "600x2, 3 parallel, ratio 10": parallel(600, 2, 3, 10.0, 6.0),
    "600x2, 3 parallel, ratio 30": parallel(600, 2, 3, 30.0, 6.0),
    "1000x2, 5 parallel, ratio 20": parallel(1000, 2, 5, 20.0, 6.0),
    "800x4, 4 parallel, ratio 20": parallel(800, 4, 4, 20.0, 4.0),
    "1000x8, 5 parallel, ratio 30": parallel(1000, 8, 5, 30.0, 3.0),
    "900x2, 3 parallel of 70, 20, 10 %": unequal(900, (0.7, 0.2, 0.1), 20.0, 6.0),
    "900x4, 4 of own shapes": own_shapes(900, 4, 4, 3.0),
    "900x4, 4 round": parallel(900, 4, 4, 1.0, 3.0),
}


def count_best(rounds, small):
    """A row per case: of `SEEDS` fits from each start, how many reach the best likelihood."""
    rows = []
    for title, draw in CASES.items():
        reached = np.zeros(len(STARTS), dtype=int)
        n_seeds = 2 if small else SEEDS
        for seed in range(n_seeds):
            X, *truth = draw(np.random.default_rng(seed))
            scores = np.array([score(X, truth, seed, start) for start in STARTS])
            best = max(scores.max(), score(X, truth, seed))
            reached += scores > best - REACHED
        rows.append([title, *(f"{count} of {n_seeds}" for count in reached)])
    return rows


def score(X, truth, seed, start=None):
    """Mean log likelihood where EM ends, from a start or from the truth."""
    from skgen.mixture import GaussianMixture

    means, precisions, weights = truth
    options = {"init_params": start}
    if start is None:
        options = {"means_init": means, "precisions_init": precisions, "weights_init": weights}
    mixture = GaussianMixture(len(means), tol=1e-6, max_iter=1000, random_state=seed, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture.fit(X).score(X)

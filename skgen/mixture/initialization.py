"""Where EM starts: a partition of the rows, or arrays, turned into parameters."""

from dataclasses import dataclass

import numpy as np

from skgen.cluster import KMeans
from skgen.distributions.gaussian import GaussianParams, MixtureMoments
from skgen.mixture.likelihood import maximize
from skgen.seeding import kmeans_plus_plus, random_rows


@dataclass(frozen=True)
class Partition:
    """Hard labels (n,), or a seed for random soft memberships, of k components."""

    k: int
    labels: np.ndarray | None = None
    seed: int | None = None

    def memberships(self, block):
        """Responsibilities (b, k) of a block, in the dtype of X."""
        if self.labels is None:
            return random_memberships(self.seed, block.start, len(block), self.k, block.X.dtype)
        result = np.zeros((len(block), self.k), dtype=block.X.dtype)
        result[np.arange(len(block)), self.labels[block.span]] = 1.0
        return result


def random_memberships(seed, start, n_rows, k, dtype):
    """Uniform draws, normalized per row and keyed by the global row number."""
    width = -(-k // 4) * 4  # Philox makes four numbers at a time
    stream = np.random.Generator(np.random.Philox(key=seed).advance(start * width // 4))
    draws = stream.random((n_rows, width))[:, :k]
    return (draws / draws.sum(axis=1, keepdims=True)).astype(dtype)


def partition_rows(rows, method, k, random_state, n_jobs, means=None):
    """The `Partition` that `method` makes of the rows; given `means` decide alone."""
    if means is not None:
        return Partition(k, labels=nearest(rows, means))
    if method == "random":
        return Partition(k, seed=int(random_state.randint(2**31 - 1)))
    if method == "kmeans":
        kmeans = KMeans(n_clusters=k, n_init=1, random_state=random_state, n_jobs=n_jobs)
        return Partition(k, labels=kmeans.fit(rows.X, sample_weight=rows.weight).labels_)
    draw = kmeans_plus_plus if method == "k-means++" else random_rows
    centers = draw(rows, k, random_state)[0]
    return Partition(k, labels=nearest(rows, centers))


def nearest(rows, centers):
    """Index of the nearest center of every row."""
    from skgen.cluster.lloyd import assign

    labels = np.empty(rows.n_rows, dtype=np.int32)
    assign(rows, np.ascontiguousarray(centers, dtype=np.float64), labels)
    return labels


def partition_params(rows, partition, model, center):
    """Parameters that maximize the likelihood under the partition's memberships.

    Two passes: one for the means, one for the scatters about them.
    """
    center = np.tile(center, (partition.k, 1))
    moments = membership_moments(rows, partition, model.structure, center)
    occupied = moments.count > 0.0
    means = center.copy()
    means[occupied] += moments.shift[occupied] / moments.count[occupied, None]
    moments = membership_moments(rows, partition, model.structure, means)
    return maximize(model.structure, moments, model.floor, model.scatter)


def membership_moments(rows, partition, structure, origin):
    """`MixtureMoments` about `origin` (k, d) with memberships instead of an E-step."""
    origin = np.ascontiguousarray(origin.astype(rows.dtype).astype(np.float64))
    return rows.sum(_membership_moments, (partition, structure, origin))


def _membership_moments(block, params):
    partition, structure, origin = params
    k, d = origin.shape
    count, shift = np.zeros(k), np.zeros((k, d))
    scatter = structure.empty_scatter(k, d)
    structure.accumulate_given(
        block.X, block.weight, partition.memberships(block), origin, count, shift, scatter
    )
    return MixtureMoments(float(block.weight.sum()), 0.0, count, shift, scatter, origin)


def given_params(structure, weights, means, precisions):
    """Parameters from arrays."""
    factors = structure.factor_of_precisions(precisions)
    return GaussianParams(weights, means, structure.covariances_of(factors), factors)


def replace_given(structure, params, weights, means, precisions):
    """`params` with the arrays that are not None in place of its own."""
    factors, covariances = params.factors, params.covariances
    if precisions is not None:
        factors = structure.factor_of_precisions(precisions)
        covariances = structure.covariances_of(factors)
    return GaussianParams(
        params.weights if weights is None else weights,
        params.means if means is None else means,
        covariances,
        factors,
    )

"""Where EM starts: a partition of the rows, or arrays, turned into parameters."""

from dataclasses import dataclass

import numpy as np

from skgen.cluster import KMeans
from skgen.distributions.gaussian import STRUCTURES, GaussianParams, MixtureMoments
from skgen.mixture.likelihood import labels, maximize, prepare
from skgen.seeding import kmeans_plus_plus, random_rows


@dataclass(frozen=True)
class Partition:
    """Hard labels (n,), or random soft memberships, of k components."""

    k: int
    labels: np.ndarray | None = None
    soft: object = None

    def memberships(self, block):
        """Responsibilities (b, k) of a block, in the dtype of X."""
        if self.labels is None:
            return self.soft.memberships(block)
        result = np.zeros((len(block), self.k), dtype=block.X.dtype)
        result[np.arange(len(block)), self.labels[block.span]] = 1.0
        return result


@dataclass(frozen=True)
class RandomMemberships:
    """Uniform memberships that depend on a row's content and a seed, not on its place.

    membership of k = frac(z . a_k + c_k), normalized,        z = (x - mean) / deviation

    with random waves a_k so short that near rows differ. Equal rows are equal, so weight 2 means
    the row twice; shifted and scaled data are the same.
    """

    mean: np.ndarray
    scale: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, columns, k, random_state):
        deviation = np.sqrt(columns.variance)
        scale = 1.0 / np.where(deviation > 0.0, deviation, np.inf)
        waves = random_state.uniform(50.0, 500.0, size=(len(scale), k))
        return cls(columns.mean, scale, waves, random_state.uniform(size=k))

    def memberships(self, block):
        with np.errstate(over="ignore", invalid="ignore"):
            z = (block.X - self.mean) * self.scale
            draws = (z @ self.waves + self.phases) % 1.0
        # A row of weight 0 may lie where the product overflows.
        draws[~np.isfinite(draws)] = 0.5
        draws += np.finfo(np.float32).eps
        return (draws / draws.sum(axis=1, keepdims=True)).astype(block.X.dtype)


def partition_rows(rows, columns, method, k, random_state, means=None):
    """The `Partition` that `method` makes of the rows; given `means` decide alone."""
    if means is not None:
        return Partition(k, labels=nearest(rows, means))
    if method == "random":
        return Partition(k, soft=RandomMemberships.draw(columns, k, random_state))
    if method == "kmeans":
        kmeans = KMeans(n_clusters=k, n_init=1, random_state=random_state, n_jobs=rows.n_threads)
        return Partition(k, labels=kmeans.fit(rows.X, sample_weight=rows.weight).labels_)
    draw = kmeans_plus_plus if method == "k-means++" else random_rows
    centers = draw(rows, k, random_state)[0]
    return Partition(k, labels=nearest(rows, centers))


def nearest(rows, centers):
    """Index of the nearest center of every row: the component of a mixture of equal balls."""
    k = len(centers)
    return labels(rows, prepare(STRUCTURES["spherical"], centers, np.ones(k), 0.0, rows.dtype))


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

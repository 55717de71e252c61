"""Where EM starts: a partition of the rows, or arrays, turned into parameters.

Rows with missing cells are partitioned as one Gaussian, fitted by EM, completes them; the moments
of the parts then take its conditional means and covariances, so that no part looks tighter than it
is.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from skgen.base import UNWATCHED
from skgen.cluster import KMeans
from skgen.distributions import missing
from skgen.distributions.gaussian import (
    STRUCTURES,
    GaussianParams,
    MixtureMoments,
    log_weights,
)
from skgen.mixture.agglomerative import agglomerate
from skgen.mixture.inference import MaximumLikelihood
from skgen.mixture.model import MixtureModel, labels, prepare, total_scatter
from skgen.mixture.whitening import representatives, round_clusters
from skgen.rows import Rows
from skgen.seeding import kmeans_plus_plus, random_rows
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor

# Floor, iterations and tolerance of EM for the one Gaussian: where it completes rows to start from
# it only has to be near, where it is a prior's scale it should not show how it was found.
ABOUT = 1e-6, 20, 1e-3
EXACTLY = 0.0, 200, 1e-6
# Rows, and rows per column, that show a Gaussian well enough to start from.
ENOUGH_ROWS, ENOUGH_PER_COLUMN = 2500, 50
# A floor under its covariance, as a share of the mean variance.
TYPICAL_FLOOR = 1e-6
# Partitions of the rows that a start may be estimated from, by the name that `init_params` has.
DRAWN = ("kmeans", "k-means++", "random", "random_from_data", "whitened-k-means++")
METHODS = (*DRAWN, "agglomerative")
# Leaves of the tree of "agglomerative", and the number of columns up to which there are that many;
# beyond, so many that leaves times columns stay the same. Measured: a tree takes up to some 5 s.
MOST_LEAVES, COLUMNS_OF_MOST = 2000, 8


@dataclass
class TrainingRows:
    """What a fit knows of its rows before it starts.

    Attributes
    ----------
    rows : Rows
        With the patterns of missing cells as target, where there are any.
    columns : ColumnMoments or ObservedMoments
    patterns : skgen.distributions.missing.Patterns or None
    drawn : dict or None
        Partitions by what they were drawn from, where several fits start from the same.
    rounded, merged : dict
        What `round_seeds` and `merged_clusters` have found, by the number of clusters.
    """

    rows: Rows
    columns: object
    patterns: missing.Patterns | None = None
    drawn: dict | None = None
    rounded: dict = field(default_factory=dict, repr=False)
    merged: dict = field(default_factory=dict, repr=False)

    @cached_property
    def scatter(self):
        """`Scatter` of all rows about the column means; no cell may be missing."""
        return total_scatter(self.rows, self.columns.mean)

    @property
    def enough(self):
        """Rows that show a Gaussian well enough to start from."""
        return max(ENOUGH_ROWS, ENOUGH_PER_COLUMN * self.rows.n_features)

    @property
    def many(self):
        """Whether a sample of the rows tells where to start."""
        return self.rows.n_rows > 2 * self.enough

    @cached_property
    def typical(self):
        """Parameters of one full Gaussian for the rows, missing cells or not, about."""
        rows, patterns = self.rows, self.patterns
        if self.many:
            rows, patterns = missing.find_patterns(rows.sample(self.enough))
        try:
            return self._one_gaussian(rows, patterns, *ABOUT)
        except ValueError:
            params = self.typical_of_columns
            square = np.eye(rows.n_features)
            return replace(
                params,
                covariances=params.covariances[:, :, None] * square,
                factors=params.factors[:, :, None] * square,
            )

    def _one_gaussian(self, rows, patterns, floor, max_iter, tol, start=None):
        """Parameters of one Gaussian by EM, `floor` times the mean variance on its diagonal."""
        mean, variance = self.columns.mean[None], self.columns.variance[None]
        typical = float(variance.mean()) or 1.0
        deviation = np.sqrt(variance + TYPICAL_FLOOR * typical)
        if start is None:
            start = GaussianParams(
                np.ones(1),
                mean,
                deviation[:, :, None] ** 2 * np.eye(mean.size),
                np.eye(mean.size) / deviation[:, :, None],
            )
        model = MixtureModel(
            STRUCTURES["full"],
            rows.dtype,
            MaximumLikelihood(),
            floor * typical,
            patterns=patterns,
            scale=deviation[0],
        )
        monitor = Monitor(max_iter, tol, UNWATCHED, lambda params: {})
        solution = em(model, start, rows, monitor, "squarem")
        if solution.failure is not None:
            raise solution.failure
        return solution.params

    @cached_property
    def typical_of_columns(self):
        """The same without correlations, of the diagonal structure."""
        mean, variance = self.columns.mean[None], self.columns.variance[None]
        variance = variance + (TYPICAL_FLOOR * float(variance.mean()) or 1.0)
        return GaussianParams(np.ones(1), mean, variance, 1.0 / np.sqrt(variance))

    def completion(self, structure, k):
        """The one Gaussian, k times, as `structure` needs it to complete rows."""
        kind, params = STRUCTURES["diag"], self.typical_of_columns
        if structure.correlated:
            kind, params = STRUCTURES["full"], self.typical
        means = np.repeat(params.means, k, axis=0)
        factors = np.repeat(params.factors, k, axis=0)
        return missing.prepare_completion(kind, self.patterns, means, factors, np.zeros(k))

    @cached_property
    def seeds(self):
        """The rows for clustering: missing cells are completed."""
        if self.patterns is None:
            return self.rows
        completion = self.completion(STRUCTURES["full"], 1)
        filled = self.rows.map(_filled, completion, np.empty_like(self.rows.X, subok=False))
        return Rows(filled, self.rows.weight, n_threads=self.rows.n_threads)

    def round_seeds(self, k):
        """The seeds where k clusters of one elongated shape are round, and their `RowOrder`."""
        if k not in self.rounded:
            scatter = total_scatter(self.seeds, self.columns.mean)
            self.rounded[k] = round_clusters(self.seeds, scatter, k)
        return self.rounded[k]

    def prepare(self, method, k):
        """Compute once what all starts by `method` need."""
        self.seeds  # noqa: B018
        if method == "whitened-k-means++":
            self.round_seeds(k)
        if method == "agglomerative":
            self.merged_clusters(k)

    def merged_clusters(self, k):
        """Labels of the rows by agglomerative clustering."""
        if k not in self.merged:
            self.merged[k] = merged_clusters(*self.round_seeds(k), k)
        return self.merged[k]

    def with_threads(self, n_threads):
        """The same, its rows summed over by another number of threads."""
        other = replace(self, rows=self.rows.with_threads(n_threads), rounded={}, merged={})
        for name in ("scatter", "typical", "seeds"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        if "seeds" in other.__dict__:
            other.__dict__["seeds"] = other.seeds.with_threads(n_threads)
        for k, (rows, order) in self.rounded.items():
            other.rounded[k] = rows.with_threads(n_threads), order
        other.merged.update(self.merged)
        return other

    def partition(self, method, k, random_state, means=None):
        """`partition_rows`; what `drawn` holds is not drawn again."""
        if self.drawn is None:
            return partition_rows(self, method, k, random_state, means)
        state = random_state.get_state()
        given = None if means is None else means.tobytes()
        key = method, k, state[1].tobytes(), state[2:], given
        if key not in self.drawn:
            partition = partition_rows(self, method, k, random_state, means)
            self.drawn[key] = partition, random_state.get_state()
        # The draws that follow are those of a fit of its own.
        partition, after = self.drawn[key]
        random_state.set_state(after)
        return partition

    def covariance(self):
        """Of all rows (d, d), with divisor sum w - 1 where that is positive."""
        weight = self.rows.weight_sum
        if self.patterns is None:
            center = self.scatter.first / self.scatter.weight
            square = self.scatter.second - self.scatter.weight * np.outer(center, center)
        else:
            try:
                start = self.typical if self.many else None
                params = self._one_gaussian(self.rows, self.patterns, *EXACTLY, start)
                square = weight * params.covariances[0]
            except ValueError:
                square = np.diag(self.variances() * degrees_of_spread(weight))
        return square / degrees_of_spread(weight)

    def variances(self):
        """Of the columns (d,), with the same divisor."""
        weight = np.broadcast_to(
            self.rows.weight_sum if self.patterns is None else self.columns.weight,
            self.columns.square.shape,
        )
        return self.columns.square / degrees_of_spread(weight)


def degrees_of_spread(weight):
    """sum w - 1, but no less than half of sum w."""
    return np.maximum(weight - 1.0, 0.5 * weight)


def _filled(block, completion):
    return missing.complete(block, completion, np.ones((len(block), 1)))


@dataclass(frozen=True)
class Partition:
    """Hard labels (n,), or random soft memberships, of k components."""

    k: int
    labels: np.ndarray | None = None
    soft: object = None

    def memberships(self, block, completion=None):
        """Responsibilities (b, k) of a block, in the dtype of X."""
        if self.labels is None:
            X = block.X
            if completion is not None:
                X = missing.complete(block, completion, np.eye(1, self.k).repeat(len(block), 0))
            return self.soft.memberships(X)
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

    def memberships(self, X):
        with np.errstate(over="ignore", invalid="ignore"):
            z = (X - self.mean) * self.scale
            draws = (z @ self.waves + self.phases) % 1.0
        # A row of weight 0 may lie where the product overflows.
        draws[~np.isfinite(draws)] = 0.5
        draws += np.finfo(np.float32).eps
        return (draws / draws.sum(axis=1, keepdims=True)).astype(X.dtype)


def partition_rows(training, method, k, random_state, means=None):
    """The `Partition` that `method` makes of the rows; given `means` decide alone."""
    rows, columns = training.seeds, training.columns
    if means is not None:
        return Partition(k, labels=nearest(rows, means))
    if method == "random":
        return Partition(k, soft=RandomMemberships.draw(columns, k, random_state))
    if method == "kmeans":
        kmeans = KMeans(n_clusters=k, n_init=1, random_state=random_state, n_jobs=rows.n_threads)
        return Partition(k, labels=kmeans.fit(rows.X, sample_weight=rows.weight).labels_)
    if method == "whitened-k-means++":
        return Partition(k, labels=whitened_clusters(training, k, random_state))
    if method == "agglomerative":
        return Partition(k, labels=training.merged_clusters(k))
    draw = kmeans_plus_plus if method == "k-means++" else random_rows
    centers = draw(rows, k, random_state)[0]
    return Partition(k, labels=nearest(rows, centers))


def whitened_clusters(training, k, random_state):
    """Labels by k-means where clusters of one elongated shape are round."""
    rows, order = training.round_seeds(k)
    centers = kmeans_plus_plus(rows, k, random_state, order=order)[0]
    kmeans = KMeans(n_clusters=k, init=centers, n_init=1, n_jobs=rows.n_threads)
    return kmeans.fit(rows.X, sample_weight=rows.weight).labels_


def merged_clusters(rows, order, k):
    """Labels by agglomerative clustering of distinct rows, where all of them may be leaves.

    Else of rows drawn evenly along an order that their content decides; the mixture of their
    clusters labels the rows.
    """
    most = min(MOST_LEAVES, MOST_LEAVES * COLUMNS_OF_MOST // rows.n_features)
    drawn, weight, key = representatives(order, max(most, k))
    points = rows.take(drawn).astype(np.float64)
    leaf_labels = agglomerate(points, weight, k)
    if len(drawn) == order.n_distinct:
        # Rows of weight 0 need not be among the leaves, and belong nowhere.
        place = np.searchsorted(key, order.key)
        return leaf_labels[np.minimum(place, len(key) - 1)]
    params = mixture_of_clusters(points, weight, leaf_labels, k)
    full = STRUCTURES["full"]
    return labels(
        rows, prepare(full, params.means, params.factors, log_weights(full, params), rows.dtype)
    )


def mixture_of_clusters(points, weight, labels, k):
    """A Gaussian per cluster of weighted points, with one leaf's worth of a unit ball in each."""
    full = STRUCTURES["full"]
    count = np.bincount(labels, weight, k)
    means = np.empty((k, points.shape[1]))
    covariances = np.empty((k, *2 * points.shape[1:]))
    for number in range(k):
        z, w = points[labels == number], weight[labels == number]
        means[number] = w @ z / count[number]
        z = z - means[number]
        ball = weight.mean() * np.eye(z.shape[1])
        covariances[number] = ((w * z.T) @ z + ball) / (count[number] + weight.mean())
    return GaussianParams(count / count.sum(), means, covariances, full.factor(covariances, count))


def nearest(rows, centers):
    """Index of the nearest center of every row: the component of a mixture of equal balls."""
    k = len(centers)
    return labels(rows, prepare(STRUCTURES["spherical"], centers, np.ones(k), 0.0, rows.dtype))


def partition_params(training, partition, model):
    """Parameters that the inference finds best under the partition's memberships."""
    return model.m_step(None, partition_moments(training, partition, model.structure))


def partition_moments(training, partition, structure):
    """`MixtureMoments` under the partition's memberships, about the means of its parts.

    Two passes: one for the means, one for the scatters about them. With missing cells one pass,
    about the mean of all rows.
    """
    rows = training.rows
    if training.patterns is not None:
        completion = training.completion(structure, partition.k)
        return rows.sum(_incomplete_moments, (partition, structure, completion))
    center = np.tile(training.columns.mean, (partition.k, 1))
    # The tied structure keeps no second moments.
    moments = membership_moments(rows, partition, STRUCTURES["tied"], center)
    occupied = moments.count > 0.0
    means = center.copy()
    means[occupied] += moments.shift[occupied] / moments.count[occupied, None]
    return membership_moments(rows, partition, structure, means)


def _incomplete_moments(block, params):
    partition, structure, completion = params
    memberships = partition.memberships(block, completion).astype(np.float64)
    completion = replace(completion, structure=structure)
    return missing.e_step(block, completion, None, memberships)


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

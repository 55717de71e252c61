"""First centers drawn from the rows: greedy k-means++ and plain random rows.

    P(row) = weight * D(row)^2 / sum,      D = distance to the nearest center drawn so far

Draws see the rows as a weighted multiset. They run along an order made from the content of the
rows alone, so the sequence of the rows, a row repeated instead of weighted, rows of weight zero
and the number of threads do not matter. The order follows the projection of the rows on their
own third moment,

    key(x) = (x - mean) . a,      a = sum of weight * |x - mean|^2 (x - mean),

because that keeps it when the data are shifted, scaled, rotated or have their columns permuted;
a hash of the rows would order them too but would draw other rows in each of these cases, and for
float32. Rows with equal keys are ordered by a fixed random projection, which replaces `a` where
the data are symmetric.

References: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding" (2007);
Grunau et al., "A nearly tight analysis of greedy k-means++" (2023).
"""

from dataclasses import dataclass
from functools import cached_property
from math import frexp, isfinite, isqrt, log

import numpy as np
from scipy import sparse

from skgen import kernels

# Up to here one cumulative sum over all rows is cheaper than buckets.
ROWS_WITHOUT_BUCKETS = 4096
MOST_BUCKETS = 4096
# Draws among distinct rows before their weights are listed.
ROUNDS_OF_DRAWS = 8
# A third moment this small against its bound is rounding.
NEGLIGIBLE_SKEWNESS = 1e-7
SMALLEST = float(np.finfo(np.float64).smallest_normal)
# Masses are carried from step to step until this share of the last full count is left: what
# rounding leaves of a mass that should be zero stays below 1e-12 of the others.
RECOUNT = 1e-3
# Rounding of the distances that the triangle inequality is applied to.
BOUND_MARGIN = {np.dtype(np.float32): 1 - 1e-4, np.dtype(np.float64): 1 - 1e-10}


@dataclass(frozen=True)
class RowOrder:
    """Rows of positive weight in an order that their content alone decides.

    `key` has an item per row, `order` and `weight` (None for ones) one per place in the order.
    Times `scale`, a power of two and nearly always one, squares of differences stay within the
    rows' dtype.
    """

    order: np.ndarray
    key: np.ndarray
    weight: np.ndarray
    scale: float

    @cached_property
    def first(self):
        """Where along the order a row differs from the one before."""
        key = self.key[self.order]
        return np.flatnonzero(np.append(True, key[1:] != key[:-1]))

    @property
    def n_distinct(self):
        """Number of different rows of positive weight."""
        return self.first.size

    def draw(self, uniform):
        """Row numbers drawn by weight, from numbers in [0, 1)."""
        if self.weight is None:
            n = self.order.size
            return self.order[np.minimum((uniform * n).astype(np.intp), n - 1)]
        cumulative = np.cumsum(self.weight)
        return self.order[position(cumulative, uniform * cumulative[-1])]

    def masses(self):
        """Weights along the order."""
        return np.ones(self.order.size) if self.weight is None else self.weight


def kmeans_plus_plus(rows, n_clusters, random_state, n_local_trials=None, order=None):
    """Draw `n_clusters` rows by greedy k-means++.

    Parameters
    ----------
    rows : Rows
    n_clusters : int
    random_state : numpy.random.RandomState
    n_local_trials : int, default=2 + int(log(n_clusters))
        Candidates per step; the one that leaves the least potential is kept.
    order : RowOrder, default=order_rows(rows)
        Worth passing when several seedings are drawn from the same rows.

    Returns
    -------
    centers : ndarray of shape (n_clusters, n_features), of the rows' dtype
    indices : ndarray of shape (n_clusters,)
        Row numbers. When there are fewer distinct rows than clusters, some repeat.
    """
    if n_local_trials is None:
        n_local_trials = 2 + int(log(n_clusters))
    if order is None:
        order = order_rows(rows)
    search = Search(rows, order)
    indices = np.empty(n_clusters, dtype=np.intp)
    centers = np.empty((n_clusters, rows.n_features), dtype=rows.dtype)
    for number in range(n_clusters):
        if number > 0 and search.potential > 0.0:
            candidates = search.draw(random_state.uniform(size=n_local_trials))
            points = dense_rows(rows, candidates)
            best = search.best(points, centers[:number])
        else:
            # At the start, and once every row is a center, any row will do.
            candidates = order.draw(random_state.uniform(size=1))
            points, best = dense_rows(rows, candidates), 0
        indices[number], centers[number] = candidates[best], points[best]
        search.accept(points[best], number)
    return centers, indices


def random_rows(rows, n, random_state, order=None):
    """Draw `n` distinct rows, each with probability proportional to its weight.

    Equal rows count as one row with the sum of their weights. When there are fewer than `n`
    distinct rows, the rest are repeats.

    Returns
    -------
    points : ndarray of shape (n, n_features), of the rows' dtype
    indices : ndarray of shape (n,)
    """
    if order is None:
        order = order_rows(rows)
    indices = np.empty(0, dtype=np.intp)
    for _ in range(ROUNDS_OF_DRAWS):
        # A row drawn again is thrown away: the same as drawing among the rows that are left.
        more = order.draw(random_state.uniform(size=n - indices.size))
        indices = np.append(indices, more)
        _, new = np.unique(order.key[indices], return_index=True)
        indices = indices[np.sort(new)]
        if indices.size == n:
            return dense_rows(rows, indices), indices
    return few_distinct_rows(rows, n, random_state, order, indices)


def few_distinct_rows(rows, n, random_state, order, indices):
    """`random_rows`, where most draws repeat: weights of distinct rows are looked at one by one."""
    first = order.first
    mass = np.add.reduceat(order.masses(), first)
    key = order.key[order.order[first]]
    drawn = np.searchsorted(key, order.key[indices])
    left = mass.copy()
    left[drawn] = 0.0
    while drawn.size < n:
        if drawn.size % first.size == 0:
            left = mass.copy()
        cumulative = np.cumsum(left)
        draws = position(cumulative, random_state.uniform(size=n - drawn.size) * cumulative[-1])
        _, new = np.unique(draws, return_index=True)
        new = draws[np.sort(new)]
        left[new] = 0.0
        drawn = np.append(drawn, new)
    indices = order.order[first[drawn]]
    return dense_rows(rows, indices), indices


class Search:
    """Squared distance of every row to its nearest center so far, and the mass that it leaves."""

    def __init__(self, rows, order):
        self.rows, self.order = rows, order
        self.is_sparse = sparse.issparse(rows.X)
        self.scale = rows.dtype.type(order.scale)
        self.distance = np.full(rows.n_rows, np.inf, dtype=rows.dtype)
        self.nearest = np.zeros(rows.n_rows, dtype=np.int32)
        self.improved = np.ones(rows.n_rows, dtype=np.uint8)
        self.accepted_bits = 1
        self.bucket = np.zeros(rows.n_rows, dtype=np.uint16)
        n_drawable = order.order.size
        self.bucket_rows = n_drawable
        if n_drawable > ROWS_WITHOUT_BUCKETS:
            self.bucket_rows = max(isqrt(n_drawable), -(-n_drawable // MOST_BUCKETS))
            self.bucket[order.order] = np.arange(n_drawable) // self.bucket_rows
        self.n_buckets = -(-n_drawable // self.bucket_rows)
        self.mass = None
        self.potential, self.counted = 0.0, np.inf

    def draw(self, uniform):
        """Row numbers drawn by weight times squared distance, from numbers in [0, 1)."""
        if self.n_buckets == 1:
            cumulative = np.cumsum(self.ordered_mass(slice(None)))
            return self.order.order[position(cumulative, uniform * cumulative[-1])]
        cumulative = np.cumsum(self.mass)
        target = uniform * cumulative[-1]
        bucket = position(cumulative, target)
        rest = target - (cumulative[bucket] - self.mass[bucket])
        found = np.empty(uniform.size, dtype=np.intp)
        for i, start in enumerate(bucket * self.bucket_rows):
            inside = np.cumsum(self.ordered_mass(slice(start, start + self.bucket_rows)))
            found[i] = start + position(inside, rest[i])
        return self.order.order[found]

    def ordered_mass(self, span):
        """Weight times squared distance of the rows at `span` of the order."""
        distance = self.distance[self.order.order[span]]
        return distance if self.order.weight is None else self.order.weight[span] * distance

    def best(self, points, centers):
        """Which of `points` leaves the least potential as the next center."""
        best, most, improved = 0, -1.0, None
        step = kernels.seeding.MOST_CANDIDATES_AT_ONCE
        for start in range(0, len(points), step):
            some = points[start : start + step] * self.scale
            self.improved = np.empty(self.rows.n_rows, dtype=np.uint8)
            params = self, self.operand(some), self.reach(some, centers * self.scale)
            gain = self.rows.sum(_try_candidates, params).value
            winner = int(gain.argmax())
            if gain[winner] > most:
                best, most, improved = start + winner, gain[winner], self.improved
                self.accepted_bits = 1 << winner
        self.improved = improved
        return best

    def reach(self, points, centers):
        """For each center, the squared distance within which its rows need no look at `points`.

        A row closer to its center than half the gap between center and point stays.
        """
        difference = centers[:, None] - points
        gap = np.einsum("jlf,jlf->jl", difference, difference).min(axis=1)
        return gap * gap.dtype.type(0.25 * BOUND_MARGIN[gap.dtype])

    def accept(self, center, number):
        """Make `center` center `number`."""
        params = self, self.operand(center[None] * self.scale), number
        change = self.rows.sum(_accept_center, params).value
        if number > 0:
            self.mass = np.maximum(self.mass + change, 0.0)
            self.potential = float(self.mass.sum())
        if self.potential < RECOUNT * self.counted:
            self.mass = self.rows.sum(_count_masses, self).value
            self.potential = self.counted = float(self.mass.sum())
        if not np.isfinite(self.potential):
            raise ValueError(
                "squared distances between rows of X, times sample_weight, overflow; divide"
                " sample_weight by a constant"
            )

    def entries(self, X):
        """X, scaled, as the kernels take it."""
        return entries(X if self.scale == 1 else X * self.scale)

    def operand(self, points):
        """Points as the kernels take them: CSR kernels need their squared norms too."""
        if not self.is_sparse:
            return (points,)
        squares = np.empty(len(points))
        kernels.sparse.add_squares(points, squares)
        return points, squares


@dataclass(slots=True)
class Total:
    """An array that adds up."""

    value: np.ndarray

    def merge(self, other):
        self.value += other.value
        return self


def _try_candidates(block, params):
    search, operand, reach = params
    gain = np.empty(len(operand[0]))
    kernel = kernels.sparse if search.is_sparse else kernels.seeding
    kernel.try_candidates(
        *search.entries(block.X),
        block.weight,
        *operand,
        search.distance[block.span],
        search.nearest[block.span],
        reach,
        search.improved[block.span],
        gain,
    )
    return Total(gain)


def _accept_center(block, params):
    search, operand, number = params
    change = np.zeros(search.n_buckets)
    kernel = kernels.sparse if search.is_sparse else kernels.seeding
    kernel.accept_center(
        *search.entries(block.X),
        block.weight,
        *operand,
        number,
        search.accepted_bits,
        search.improved[block.span],
        search.bucket[block.span],
        search.distance[block.span],
        search.nearest[block.span],
        change,
    )
    return Total(change)


def _count_masses(block, search):
    mass = np.zeros(search.n_buckets)
    kernels.seeding.add_masses(
        block.weight, search.distance[block.span], search.bucket[block.span], mass
    )
    return Total(mass)


def order_rows(rows, remember=False):
    """The `RowOrder` of `rows`: four passes over them and one sort.

    To `remember` two numbers per row, for the while, saves one pass.
    """
    mean, scale = center_and_scale(rows)
    # Where squares overflow, as in rows of 1e300, no skewness is found and none is needed.
    with np.errstate(over="ignore", invalid="ignore"):
        *skew, bound = rows.sum(_skewness, (mean, scale)).value
    # Quadratic phases: as good as random numbers here, and without a generator's state.
    directions = np.cos(np.sqrt([[2.0], [3.0]]) * np.arange(1.0, rows.n_features + 1.0) ** 2)
    length = np.abs(skew).max()
    if length > NEGLIGIBLE_SKEWNESS * bound:
        directions[0] = skew / length
    known = np.empty((2, rows.n_rows)) if remember else None
    plane = mean, scale, directions, known
    bounds = rows.sum(_bounds_of_projections, plane).value
    key = rows.map(_keys, (plane, bounds), np.empty(rows.n_rows, dtype=np.uint64))
    order = np.argsort(key)
    if rows.weight is None:
        return RowOrder(order, key, None, safe_scale(scale, rows.dtype))
    weight = rows.weight[order]
    if not weight.all():
        order, weight = order[weight > 0.0], weight[weight > 0.0]
    return RowOrder(order, key, weight, safe_scale(scale, rows.dtype))


def safe_scale(inverse, dtype):
    """A power of two to multiply data by whose squared deviations need it, else one."""
    exponent = frexp(inverse)[1]
    limit = np.finfo(dtype).maxexp
    return 1.0 if abs(exponent) < limit // 4 else 2.0 ** min(max(exponent, 2 - limit), limit - 2)


def center_and_scale(rows):
    """The weighted mean and the inverse of the largest deviation from a nearby point."""
    # Sums about a row keep the digits that sums about zero lose far from the origin.
    origin = np.zeros(rows.n_features)
    if not sparse.issparse(rows.X):
        origin += rows.X[0]
    deviations = rows.sum(_deviations, origin)
    if not (isfinite(deviations.largest) and np.isfinite(deviations.total).all()):
        raise ValueError("sums of differences between rows of X overflow; divide X by a constant")
    scale = 1.0 / max(deviations.largest, SMALLEST) if deviations.largest > 0.0 else 1.0
    return origin + deviations.total / rows.weight_sum, scale


@dataclass(slots=True)
class Deviations:
    """Weighted sum of deviations from a point, and the largest of them."""

    total: np.ndarray
    largest: float

    def merge(self, other):
        self.total += other.total
        self.largest = max(self.largest, other.largest)
        return self


@dataclass(slots=True)
class Bounds:
    """Least and largest values of two projections."""

    value: np.ndarray

    def merge(self, other):
        self.value[::2] = np.minimum(self.value[::2], other.value[::2])
        self.value[1::2] = np.maximum(self.value[1::2], other.value[1::2])
        return self


def _deviations(block, origin):
    total = np.zeros(len(origin))
    if sparse.issparse(block.X):
        largest = kernels.sparse.add_entries(*entries(block.X), block.weight, total)
    else:
        scratch = np.empty_like(total)
        largest = kernels.seeding.add_deviations(block.X, block.weight, origin, total, scratch)
    return Deviations(total, largest)


def _skewness(block, params):
    mean, scale = params
    if not sparse.issparse(block.X):
        total, scratch = np.zeros(len(mean) + 1), np.empty_like(mean)
        total[-1] = kernels.seeding.add_skewness(block.X, block.weight, mean, scale, total, scratch)
        return Total(total)
    skew, sums = np.zeros(len(mean)), np.zeros(2)
    kernels.sparse.add_skewness(
        *entries(block.X), block.weight, mean, float(mean @ mean), scale, skew, sums
    )
    return Total(np.append(skew - mean * (scale * sums[1]), sums[0]))


def _projections(block, plane):
    mean, scale, directions, known = plane
    first, second = np.empty((2, len(block))) if known is None else known[:, block.span]
    if sparse.issparse(block.X):
        kernels.sparse.project(*entries(block.X), scale, *directions, first, second)
    else:
        kernels.seeding.project(block.X, mean, scale, *directions, first, second)
    return first, second


def _bounds_of_projections(block, plane):
    bounds = np.array([np.inf, -np.inf, np.inf, -np.inf])
    kernels.seeding.find_range(*_projections(block, plane), block.weight, bounds)
    return Bounds(bounds)


def _keys(block, params):
    plane, bounds = params
    known = plane[-1]
    # Projected again where two numbers per row would be most of the memory.
    projections = _projections(block, plane) if known is None else known[:, block.span]
    key = np.empty(len(block), dtype=np.uint64)
    kernels.seeding.combine_keys(*projections, bounds, key)
    return key


def entries(X):
    """X as kernels take it: itself, or the three arrays of CSR."""
    return (X.data, X.indices, X.indptr) if sparse.issparse(X) else (X,)


def dense_rows(rows, indices):
    """Rows `indices` as an array."""
    points = rows.take(indices)
    return points.toarray() if sparse.issparse(points) else points


def position(cumulative, target):
    """Index of the item whose share of the running sum contains `target`."""
    # Rounding may put a target past the end; the last item with a share takes it.
    last = np.searchsorted(cumulative, cumulative[-1])
    return np.minimum(np.searchsorted(cumulative, target, side="right"), last)

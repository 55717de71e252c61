"""Lloyd's iteration for dense rows, with exact acceleration.

    label(x) = argmax_k <x, c_k> - |c_k|^2 / 2        c_k = sum w x / sum w over label(x) = k

Rows and centers are taken about an origin near the data, so that float32 keeps its digits far
from zero, and times a power of two, so that squares neither overflow nor vanish. The sums of the
clusters are kept in float64 across iterations and only rows whose label changed are moved.

Bounds on distances (Hamerly 2010 with one group of centers, Ding et al. 2015 with several) leave
out scores that certainly lose; they are wide enough for rounding, so labels are those of scoring
every pair, bit for bit, and centers are too.

Where most numbers are zero and zero is not far from the data, the origin is zero and features with
x = 0 are left out of the scores, which are the same numbers without them.
"""

from dataclasses import dataclass, field

import numpy as np

from skgen import kernels

# Up to this many features rows lie in the lanes of vectors, above it centers do.
POINTS_FEATURES = 32
# Sums are added up afresh this often, because rounding of the moves piles up ...
REFRESH_EVERY = 50
# ... and when a cluster has shrunk to this share of its size.
REFRESH_SHRUNK = 1e-3
# Measured: with this many features bounds pay from the second iteration on; with fewer only when
# few rows still change. They must leave out at least the rest of USEFUL_SHARE of the scores.
BOUNDS_FEATURES = 128
SETTLED_SHARE = 0.01
USEFUL_SHARE = 0.6
# Where zeros are skipped, memory sets the pace and bounds cost next to nothing.
USEFUL_SHARE_SKIPPING = 0.95
# Scores of a row that take fewer multiplications than this take less time than its bounds.
BOUNDS_WORK = 4096
USELESS_ITERATIONS = 3
MOST_GROUPS = 8
# Zeros are skipped when they are more than this share of the numbers, and when squared norms about
# zero are at most so many times those about the mean.
SPARSE_SHARE = 0.5
NEAR_ZERO = 4.0
# Where zeros are skipped, a group holds at least this many vectors of centers: reading the nonzeros
# costs as much as several scores.
SKIP_GROUP = 3
NO_IDS = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class LloydResult:
    """Where Lloyd's iteration ended.

    Attributes
    ----------
    centers : ndarray of shape (k, d), dtype of the rows
    labels : int32 ndarray of shape (n,)
        Nearest centers, as `assign` finds them for `centers`.
    inertia : float
        Weighted sum of squared distances to the nearest centers, from differences in float64.
    n_iter : int
    converged : bool
    reason : str
        Why the iteration stopped.
    history : list of float
        Inertia of each iteration's labels, for the centers they were found with.
    """

    centers: np.ndarray
    labels: np.ndarray
    inertia: float
    n_iter: int
    converged: bool
    reason: str
    history: list = field(repr=False)


def lloyd(rows, centers, *, max_iter, tol_absolute, algorithm="auto", monitor=None):
    """Alternate nearest centers and means from `centers` on.

    Parameters
    ----------
    rows : skgen.rows.Rows, dense
    centers : array of shape (k, d)
    max_iter : int
    tol_absolute : float
        Stop when the centers' squared movements add up to no more.
    algorithm : {"auto", "lloyd", "elkan"}
        "lloyd" scores every pair, "elkan" uses bounds from the second iteration on, "auto" chooses.
        The result does not depend on it.
    monitor : callable of (iteration, inertia, centers), or None
        Called after each iteration with the centers it moved to; a true return value stops.

    Returns
    -------
    LloydResult
    """
    centers = np.ascontiguousarray(centers, dtype=rows.dtype)
    frame, square = Frame.around(rows, centers)
    labels = np.full(rows.n_rows, -1, dtype=np.int32)
    clusters = Clusters(frame.inward(centers))
    search = Search(rows, frame, clusters, labels, algorithm)
    unscale = 1.0 / frame.scale
    converged, relocated, history = False, False, []
    reason = f"max_iter={max_iter} reached"
    for iteration in range(1, max_iter + 1):
        fresh = clusters.stale(iteration)
        moves = search.run(fresh)
        empty = clusters.add(moves, fresh)
        taken = relocate(rows, search, clusters, empty) if empty.size else empty
        part, shift, largest = clusters.update()
        search.follow(moves, largest, taken)
        history.append(max(0.0, square + part) * unscale * unscale)
        stop = monitor is not None and monitor(iteration, history[-1], clusters.outward(frame))
        if moves.changed == 0 and not relocated:
            converged, reason = True, "labels unchanged"
        elif shift * unscale * unscale <= tol_absolute:
            converged, reason = True, f"centers moved by no more than {tol_absolute:g} (squared)"
        elif stop:
            reason = "stopped by callback"
        relocated = taken.size > 0
        if converged or stop:
            break
    final = clusters.outward(frame)
    inertia = assign(rows, final, labels)
    return LloydResult(final, labels, inertia, iteration, converged, reason, history)


def assign(rows, centers, labels_out, distances_out=None):
    """Write each row's nearest center, and its Euclidean distance, and return the inertia.

    Ties go to the lowest number. The labels of a row do not depend on the other rows.
    """
    centers = np.ascontiguousarray(centers, dtype=rows.dtype)
    frame = Frame.of_centers(centers)
    moved = frame.inward(centers)
    layout = layout_for(moved)
    layout.prepare(moved)
    scaled = centers * rows.dtype.type(frame.scale)
    call = Assignment(frame, scaled, layout, labels_out, distances_out)
    inertia = rows.sum(_assign_block, call).value / frame.scale / frame.scale
    if not np.isfinite(inertia):
        raise ValueError(
            "The sum of squared distances from X to the centers exceeds the largest float64; "
            "scale X down."
        )
    return inertia


def transform(rows, centers, out):
    """Write the Euclidean distance of every row to every center to `out` (n, k)."""
    centers = np.ascontiguousarray(centers, dtype=rows.dtype)
    scale = Frame.of_centers(centers).scale
    scaled = centers * rows.dtype.type(scale)
    return rows.map(_distances_block, (scaled, np.zeros_like(scaled[0]), scale), out)


@dataclass(frozen=True, slots=True)
class Frame:
    """Coordinates (x - origin) * scale; `scale` is a power of two, so only x - origin rounds."""

    origin: np.ndarray
    scale: float
    shift: np.ndarray
    skip: bool = False  # Whether the origin is zero and rows are mostly zeros.

    @classmethod
    def at(cls, origin, largest, skip=False):
        """The frame at `origin` for numbers up to `largest` in size."""
        scale = power_of_two(largest, origin.dtype)
        return cls(origin, scale, (origin * origin.dtype.type(scale)), skip)

    @classmethod
    def around(cls, rows, centers):
        """The frame at the weighted mean of the rows, and their weighted squared norm in it."""
        near = np.ascontiguousarray(rows.take([0])[0])
        largest_center = float(np.abs(centers).max())
        found = rows.sum(_survey_block, (near, 1.0))
        scale = power_of_two(max(found.largest, largest_center), rows.dtype)
        if not np.isfinite(found.squares).all():
            found = rows.sum(_survey_block, (near, scale))
            to_frame = 1.0
        else:
            to_frame = scale
        weight = rows.weight_sum
        mean = found.sums / weight if weight > 0 else found.sums
        origin = (near + mean * (to_frame / scale)).astype(rows.dtype)
        skip = mostly_zeros(rows) and found.near_zero(near * (scale / to_frame), mean, weight)
        if skip:
            origin = np.zeros_like(near)
        frame = cls.at(origin, max(found.largest, largest_center), skip)
        # sum w |x - o|^2 from the moments about the first row.
        by = (origin * frame.scale - near * frame.scale).astype(np.float64)
        sums, squares = found.sums * to_frame, found.squares * to_frame * to_frame
        return frame, float((squares - 2 * by * sums + weight * by * by).sum())

    @classmethod
    def of_centers(cls, centers):
        """A frame that depends on the centers alone."""
        scale = power_of_two(float(np.abs(centers).max()), centers.dtype)
        scaled = centers.astype(np.float64) * scale
        mean = scaled.mean(axis=0)
        origin = (mean / scale).astype(centers.dtype)
        skip = centers.shape[1] > POINTS_FEATURES and bool(
            (scaled**2).sum() <= NEAR_ZERO * ((scaled - mean) ** 2).sum()
        )
        if skip:
            origin = np.zeros_like(origin)
        return cls.at(origin, float(np.abs(centers).max()), skip)

    def inward(self, centers):
        by = self.shift.dtype.type(self.scale)
        return np.ascontiguousarray(centers * by - self.shift)

    def outward(self, centers):
        """float64 coordinates of the frame as numbers of the data's dtype."""
        return (self.origin + centers / self.scale).astype(self.origin.dtype)


def mostly_zeros(rows):
    """Whether leaving out zeros would save work."""
    if rows.n_features <= POINTS_FEATURES:
        return False
    zeros = rows.sum(_zeros_block).value
    return zeros > SPARSE_SHARE * rows.n_rows * rows.n_features


def power_of_two(largest, dtype):
    """A power of two that brings `largest` near one and is itself a normal number of `dtype`."""
    if not 0.0 < largest < np.inf:
        return 1.0
    limit = -np.finfo(dtype).minexp - 2
    return float(2.0 ** min(max(-np.frexp(largest)[1], -limit), limit))


class Clusters:
    """Sums, weights and numbers of members of the clusters, and the centers they give."""

    def __init__(self, centers):
        k, d = centers.shape
        self.centers = centers
        self.sums = np.zeros((k, d))
        self.weights = np.zeros(k)
        self.members = np.zeros(k, dtype=np.int64)
        self.most_members = np.zeros(k, dtype=np.int64)
        self.drift = np.zeros(k, dtype=centers.dtype)
        self.slack = (d + 10) * 2.3e-16 + 2 * float(np.finfo(centers.dtype).eps)
        self.refreshed = 0
        self._update = specialized("update", centers.dtype)

    def stale(self, iteration):
        """Whether the sums must be added up afresh; a function of counts alone."""
        shrunk = (self.members < REFRESH_SHRUNK * self.most_members).any()
        if iteration == 1 or iteration - self.refreshed >= REFRESH_EVERY or shrunk:
            self.refreshed = iteration
            return True
        return False

    def add(self, moves, fresh):
        """Take a block statistic in; the clusters without members, as indices."""
        if fresh:
            self.sums, self.weights, self.members = moves.sums, moves.weights, moves.members
            self.most_members = self.members.copy()
        elif moves.changed:
            self.sums += moves.sums
            self.weights += moves.weights
            self.members += moves.members
            np.maximum(self.most_members, self.members, out=self.most_members)
        return np.flatnonzero(self.members == 0)

    def update(self):
        return self._update(
            self.sums, self.weights, self.members, self.centers, self.drift, self.slack
        )

    def outward(self, frame):
        """The centers in the data's coordinates, rounded once."""
        centers = self.centers.astype(np.float64)
        full = self.members > 0
        centers[full] = self.sums[full] / self.weights[full, None]
        return frame.outward(centers)


class Moves:
    """What rows that changed their label move between clusters; a statistic."""

    __slots__ = ("changed", "members", "scored", "sums", "touched", "weights")

    def __init__(self, k, d):
        self.sums = np.zeros((k, d))
        self.weights = np.zeros(k)
        self.members = np.zeros(k, dtype=np.int64)
        self.touched = np.zeros(k, dtype=np.uint8)
        self.changed = 0
        self.scored = 0

    def merge(self, other):
        self.changed += other.changed
        self.scored += other.scored
        touched = np.flatnonzero(other.touched)
        if 2 * touched.size > other.touched.size:
            self.sums += other.sums
            self.weights += other.weights
            self.members += other.members
        elif touched.size:
            self.sums[touched] += other.sums[touched]
            self.weights[touched] += other.weights[touched]
            self.members[touched] += other.members[touched]
        self.touched |= other.touched
        return self


class Search:
    """Finds the nearest centers of all rows, iteration after iteration."""

    def __init__(self, rows, frame, clusters, labels, algorithm):
        self.rows, self.frame, self.clusters, self.labels = rows, frame, clusters, labels
        self.k, self.d = clusters.centers.shape
        self.algorithm = algorithm
        self.layout = layout_for(clusters.centers)
        self.bounds = None
        self.fresh = True
        self.useless = 0
        self.useful = USEFUL_SHARE_SKIPPING if frame.skip else USEFUL_SHARE
        # Bounds start once at most this share of the rows changes its label.
        if self.k <= 2 or self.k * self.d < BOUNDS_WORK:
            self.settled = -1.0
        else:
            self.settled = 1.0 if self.d >= BOUNDS_FEATURES else SETTLED_SHARE

    def run(self, fresh):
        self.fresh = fresh
        self.layout.prepare(self.clusters.centers)
        if self.bounds is None:
            return self.rows.sum(_step_block, self)
        self.bounds.prepare(self.clusters)
        return self.rows.sum(_bounded_block, self)

    def follow(self, moves, largest, relocated):
        """After an update: carry the bounds along, start them, or give them up."""
        if self.bounds is not None:
            self.bounds.move(self.clusters, largest)
            self.bounds.upper[relocated] = np.inf
            self.weigh(moves)
        elif self.algorithm == "elkan" or (
            self.algorithm == "auto" and moves.changed <= self.settled * self.rows.n_rows
        ):
            self.bounds = Bounds(self.rows, self.clusters, largest, self.frame.skip)
            self.layout = self.bounds.layout

    def weigh(self, moves):
        """Give the bounds up while they leave out too little, until far fewer rows change.

        The rule sees counts alone, so it does not depend on time or threads.
        """
        if self.algorithm != "auto":
            return
        useless = moves.scored > self.useful * self.rows.n_rows * self.k
        self.useless = self.useless + 1 if useless else 0
        if self.useless > USELESS_ITERATIONS:
            self.bounds, self.useless = None, 0
            self.settled = 0.25 * moves.changed / self.rows.n_rows
            self.layout = layout_for(self.clusters.centers)


def layout_for(centers):
    k, d = centers.shape
    return (
        PointsLayout(k, d, centers.dtype)
        if d <= POINTS_FEATURES
        else PanelsLayout(k, d, centers.dtype)
    )


class PointsLayout:
    """Centers packed for rows in lanes."""

    def __init__(self, k, d, dtype):
        self.packed = np.empty(kernels.kmeans.points_size(k, d), dtype)
        self._pack = specialized("pack_points", dtype)
        self._step = specialized("step_points", dtype)
        self._nearest = specialized("nearest", dtype)

    def prepare(self, centers):
        self._pack(centers, self.packed)

    def step(self, block, frame, labels, moves, fresh):
        moves.changed = self._step(
            block.X, block.weight, frame.shift, self.packed, labels, moves.sums, moves.weights,
            moves.members, moves.touched, frame.scale, fresh,
        )  # fmt: skip

    def nearest(self, block, frame, labels, k):
        self._nearest(block.X, frame.shift, self.packed, NO_IDS, labels, k, frame.scale)


class PanelsLayout:
    """Centers packed in lanes, group after group of `sizes` vectors."""

    def __init__(self, k, d, dtype, groups=None):
        lanes = kernels.kmeans.lanes(dtype.itemsize)
        groups = [np.arange(k)] if groups is None else groups
        vectors = [-(-len(group) // lanes) for group in groups]
        self.starts = np.concatenate([[0], np.cumsum(vectors)]).astype(np.intp)
        self.ids = np.full(self.starts[-1] * lanes, -1, dtype=np.int32)
        self.group_of = np.empty(k, dtype=np.int32)
        for g, group in enumerate(groups):
            first = self.starts[g] * lanes
            # Ascending, so that of equal scores in a lane the lowest number stays.
            self.ids[first : first + len(group)] = np.sort(group)
            self.group_of[group] = g
        self.packed = np.empty(self.ids.size * (1 + d), dtype)
        self.minus = np.empty(k, dtype)
        self._pack = specialized("pack_panels", dtype)
        self._step = specialized("step_panels", dtype)
        self._nearest = specialized("nearest", dtype)
        self._zeros = specialized("count_zeros", dtype)

    def prepare(self, centers):
        self._pack(centers, self.ids, self.packed, self.minus)

    def step(self, block, frame, labels, moves, fresh):
        moves.changed = self._step(
            block.X, block.weight, frame.shift, self.packed, self.ids, labels, moves.sums,
            moves.weights, moves.members, moves.touched, frame.scale, fresh, frame.skip,
        )  # fmt: skip

    def nearest(self, block, frame, labels, k):
        # The label of a row is the same either way, so each block may choose for itself.
        skip = frame.skip and self._zeros(block.X) > SPARSE_SHARE * block.X.size
        self._nearest(block.X, frame.shift, self.packed, self.ids, labels, k, frame.scale, skip)


class Bounds:
    """Upper and lower bounds on the distances of all rows; see kmeans_of.h for their margin."""

    def __init__(self, rows, clusters, largest, skip):
        self.k, self.d = clusters.centers.shape
        dtype = clusters.centers.dtype
        lanes = kernels.kmeans.lanes(dtype.itemsize)
        most = min(MOST_GROUPS, max(1, self.k // (SKIP_GROUP * lanes))) if skip else MOST_GROUPS
        groups = similar_groups(clusters.centers, most, lanes)
        self.layout = PanelsLayout(self.k, self.d, dtype, groups)
        n_groups = len(groups)
        self.upper = np.full(rows.n_rows, np.inf, dtype)
        self.lower = np.zeros((rows.n_rows, n_groups), dtype)
        self.norms = np.empty(rows.n_rows, dtype)
        # 4 (d + 16) eps: twice (a + b)^2 <= 2 (a^2 + b^2), times 4 (d + 16) units of rounding.
        self.margin = 4.0 * (self.d + 16) * float(np.finfo(dtype).eps)
        self.most = np.zeros(n_groups, dtype)
        self.next_most = np.zeros(n_groups, dtype)
        self.mover = np.full(n_groups, -1, dtype=np.int32)
        self.gap = np.zeros(self.k, dtype)
        self.drift = np.zeros(self.k, dtype)
        self.largest = largest * (1 + 1e-6)
        self.with_gap = 20 * self.k <= rows.n_rows
        self._step = specialized("step_bounds", dtype)

    def move(self, clusters, largest):
        """Take note of an update of the centers."""
        self.largest = largest * (1 + 1e-6)
        self.drift[:] = clusters.drift
        for g in range(len(self.most)):
            members = np.flatnonzero(self.layout.group_of == g)
            drift = self.drift[members]
            first = int(drift.argmax())
            self.mover[g] = members[first]
            self.most[g] = drift[first]
            drift[first] = 0
            self.next_most[g] = drift.max()

    def prepare(self, clusters):
        """Bound the distance of each center to the others from below."""
        if not self.with_gap:
            return
        centers, dtype = clusters.centers, clusters.centers.dtype
        k, d = centers.shape
        lower = np.zeros((k, len(self.most)), dtype)
        moves = Moves(1, 1)
        self._step(
            centers, np.zeros(k), np.zeros(d, dtype), centers, self.layout.minus,
            self.layout.packed, self.layout.ids, self.layout.starts, self.layout.group_of,
            self.drift, self.most, self.next_most, self.mover, np.zeros(k, dtype),
            np.full(k, np.inf, dtype), lower,
            np.empty(k, dtype), np.arange(k, dtype=np.int32), moves.sums, moves.weights,
            moves.members, moves.touched, 1.0, self.margin, self.largest, False,
        )  # fmt: skip
        self.gap[:] = lower.min(axis=1)

    def step(self, block, frame, centers, labels, moves, fresh):
        span, layout = block.span, self.layout
        moves.changed, moves.scored = self._step(
            block.X, block.weight, frame.shift, centers, layout.minus, layout.packed, layout.ids,
            layout.starts, layout.group_of, self.drift, self.most, self.next_most, self.mover,
            self.gap, self.upper[span], self.lower[span], self.norms[span], labels, moves.sums,
            moves.weights, moves.members, moves.touched, frame.scale, self.margin, self.largest,
            fresh, frame.skip,
        )  # fmt: skip


def similar_groups(centers, n_groups, lanes):
    """Split the centers into groups of neighbors, of whole vectors but for the last."""
    n_vectors = -(-len(centers) // lanes)
    n_groups = min(n_groups, n_vectors)
    edges = np.linspace(0, n_vectors, n_groups + 1).round().astype(int)

    def split(ids, first, last):
        if last - first == 1:
            return [ids]
        middle = (first + last) // 2
        points = centers[ids]
        axis = int(points.var(axis=0).argmax())
        ids = ids[np.argsort(points[:, axis], kind="stable")]
        cut = (edges[middle] - edges[first]) * lanes
        return split(ids[:cut], first, middle) + split(ids[cut:], middle, last)

    return split(np.arange(len(centers)), 0, n_groups)


def relocate(rows, search, clusters, empty):
    """Give each empty cluster the row farthest from its center.

    Rows are taken in order of distance, then of number; a row equal to one already taken, without
    weight, at its center, or alone in its cluster is passed over. Returns the rows taken.
    """
    count = 4 * empty.size + 16
    while True:
        far = rows.sum(_farthest_block, (search, count))
        X = rows.take(far.indices)
        taken, donors, seen = [], clusters.members.copy(), set()
        for position, index in enumerate(far.indices):
            donor, content = search.labels[index], X[position].tobytes()
            if len(taken) < empty.size and donors[donor] > 1 and content not in seen:
                seen.add(content)
                donors[donor] -= 1
                taken.append(position)
        if len(taken) == empty.size or far.indices.size < count:
            break
        count *= 4
    frame = search.frame
    for cluster, position in zip(empty, taken, strict=False):
        index = far.indices[position]
        weight = 1.0 if rows.weight is None else rows.weight[index]
        donor = search.labels[index]
        x = X[position].astype(np.float64) * frame.scale - frame.shift
        clusters.sums[donor] -= weight * x
        clusters.weights[donor] -= weight
        clusters.members[donor] -= 1
        clusters.sums[cluster] = weight * x
        clusters.weights[cluster] = weight
        clusters.members[cluster] = 1
        search.labels[index] = cluster
    return far.indices[taken]


@dataclass(slots=True)
class Farthest:
    """The `count` largest squared distances and the numbers of their rows, in order."""

    distances: np.ndarray
    indices: np.ndarray
    count: int

    def merge(self, other):
        distances = np.concatenate([self.distances, other.distances])
        indices = np.concatenate([self.indices, other.indices])
        return Farthest.of(distances, indices, self.count)

    @classmethod
    def of(cls, distances, indices, count):
        order = np.lexsort((indices, -distances))[:count]
        return cls(distances[order], indices[order], count)


def _farthest_block(block, params):
    search, count = params
    distances, labels = np.empty(len(block)), search.labels[block.span]
    specialized("squared_distances", block.X.dtype)(
        block.X, search.frame.shift, search.clusters.centers, labels, distances, search.frame.scale
    )
    candidates = np.flatnonzero((distances > 0) & (block.weight > 0))
    return Farthest.of(distances[candidates], candidates + block.start, count)


@dataclass(slots=True)
class Assignment:
    frame: Frame
    centers: np.ndarray
    layout: object
    labels: np.ndarray
    distances: object


@dataclass(slots=True)
class Total:
    """A sum of one number."""

    value: float

    def merge(self, other):
        self.value += other.value
        return self


@dataclass(slots=True)
class Survey:
    """Column sums about a point, and the largest absolute value."""

    sums: np.ndarray
    squares: np.ndarray
    largest: float

    def near_zero(self, near, mean, weight):
        """Whether squared norms about zero are not much more than about the mean.

        `near` and `mean` - `near` are in the units of the sums.
        """
        spread = self.squares.sum() - weight * (mean**2).sum()
        norms = spread + weight * ((near + mean) ** 2).sum()
        return bool(norms <= NEAR_ZERO * spread)

    def merge(self, other):
        self.sums += other.sums
        self.squares += other.squares
        self.largest = max(self.largest, other.largest)
        return self


def specialized(name, dtype):
    """The kernel `name` for `dtype`; choosing it once saves the choice at every call."""
    return getattr(kernels.kmeans, name)["float" if dtype.itemsize == 4 else "double"]


def _survey_block(block, params):
    near, scale = params
    sums, squares = np.zeros(block.X.shape[1]), np.zeros(block.X.shape[1])
    survey = specialized("survey", block.X.dtype)
    return Survey(sums, squares, survey(block.X, block.weight, near, sums, squares, scale))


def _zeros_block(block, _):
    return Total(specialized("count_zeros", block.X.dtype)(block.X))


def _step_block(block, search):
    moves = Moves(search.k, search.d)
    search.layout.step(block, search.frame, search.labels[block.span], moves, search.fresh)
    return moves


def _bounded_block(block, search):
    moves = Moves(search.k, search.d)
    labels = search.labels[block.span]
    search.bounds.step(block, search.frame, search.clusters.centers, labels, moves, search.fresh)
    return moves


def _assign_block(block, call):
    frame, labels = call.frame, call.labels[block.span]
    call.layout.nearest(block, frame, labels, len(call.centers))
    distances = np.empty(len(block))
    specialized("squared_distances", block.X.dtype)(
        block.X, np.zeros_like(frame.shift), call.centers, labels, distances, frame.scale
    )
    inertia = float((block.weight * distances).sum())
    if call.distances is not None:
        call.distances[block.span] = np.sqrt(distances) / frame.scale
    return Total(inertia)


def _distances_block(block, params):
    scaled, shift, scale = params
    out = np.empty((len(block), len(scaled)), block.X.dtype)
    specialized("distances_to_all", block.X.dtype)(block.X, shift, scaled, out, scale)
    return out

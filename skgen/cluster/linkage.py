"""Trees of clusters: which engine builds which, and what it costs.

    single               minimum spanning tree of the rows (Prim 1957)
    ward                 nearest-neighbor chain on the centers of clusters (Muellner 2011)
    average, complete    the same, the distances of centers being bounds: members are looked at only
                         where they may be nearest; once few clusters are left, their distances
                         are computed at once, and the chain goes on from these
    centroid, median     the two nearest centers, again and again
    any but Euclidean    nearest-neighbor chain on the condensed matrix of distances

The first four need no matrix of distances between rows, which is why they are faster, and why a
hundred thousand rows fit into memory.
"""

from concurrent.futures import wait
from dataclasses import dataclass

import numpy as np

from skgen import kernels, memory
from skgen.rows import submit

RULES = ("ward", "average", "complete", "single", "centroid", "median")
# Rules whose clusters are known by their centers.
OF_CENTERS = ("ward", "centroid", "median")
# Operations of a slice: some 50 ms.
BUDGET = 1e8
# Columns beyond which distances to centers take longer than looking them up in a matrix.
MANY_COLUMNS = 64
# Clusters, as a share of the rows, at which their distances are computed all at once.
FEW_CLUSTERS = 0.25
# Operations on members, as a multiple of those on centers, at which bounds do not pay.
DEAR = 3.0


@dataclass(frozen=True)
class Merges:
    """Ids (m - 1, 2) and heights (m - 1,) of clusters of m leaves that were merged."""

    pairs: np.ndarray
    heights: np.ndarray

    def tree(self, monotone):
        """A linkage matrix (m - 1, 4) as SciPy's: nodes, height and number of leaves.

        Merges are in the order of their heights, unless those may fall.
        """
        n = len(self.pairs) + 1
        order = np.arange(n - 1)
        if monotone:
            order = np.argsort(self.heights, kind="stable")
        tree = np.empty((n - 1, 4))
        tree[:, 2] = self.heights[order]
        parent, node, size = (np.empty(n, dtype=np.int32) for _ in range(3))
        kernels.linkage.label_merges(self.pairs, order, parent, node, size, tree)
        return tree


def merge_rows(X, weight, rule, n_threads=1):
    """`Merges` of rows X (n, d) under Euclidean distances, weights (n,) float64."""
    n, d = X.shape
    X = np.ascontiguousarray(X, dtype=np.float64)
    work = Work(X, weight, rule)
    if rule == "single":
        return work.spanning_tree()
    if rule in ("centroid", "median"):
        return work.nearest_centers()
    if d <= MANY_COLUMNS or not fits(n, X.itemsize):
        return work.chain(n_threads)
    distances = euclidean_distances(X, rule == "ward", n_threads)
    return merge_distances(distances, weight, rule, squared=rule == "ward")


class Work:
    """The state of one merging of rows: arrays that kernels change."""

    def __init__(self, X, weight, rule):
        self.rule, self.code = rule, RULES.index(rule)
        self.rows, self.row_weight = X, weight
        n = len(X)
        self.points = columns_of(X)
        self.ids = np.arange(n, dtype=np.int32)
        self.weight = weight.copy()
        self.state = np.zeros(6, dtype=np.int64)
        self.state[0] = n
        self.distance = np.empty(self.points.shape[1])
        self.x = np.empty(X.shape[1])
        self.pairs = np.empty((n - 1, 2), dtype=np.int32)
        self.heights = np.empty(n - 1)

    @property
    def merged(self):
        return Merges(self.pairs, self.heights)

    def run(self, step):
        """Call step() until it says that it is done."""
        while not step():
            pass
        if self.state[1] < 0:
            raise ValueError(
                "distances between rows of X overflow float64; divide X by a constant, or remove"
                " its outliers"
            )

    def spanning_tree(self):
        """Edges of the minimum spanning tree."""
        n = len(self.rows)
        nearest, neighbor = np.full(n, np.inf), np.zeros(n, dtype=np.int32)
        # The first row is in the tree, the last takes its column.
        self.x[:] = self.rows[0]
        self.points[:, 0] = self.points[:, n - 1]
        self.ids[0] = n - 1
        self.state[0] = n - 1
        self.run(
            lambda: kernels.linkage.spanning_tree(
                self.points, self.ids, nearest, neighbor, self.state, self.distance, self.x,
                self.pairs, self.heights, BUDGET,
            )
        )  # fmt: skip
        return Merges(self.pairs, np.sqrt(self.heights))

    def nearest_centers(self):
        """Merges of nearest centers."""
        n = len(self.rows)
        nearest, neighbor = np.full(n, np.inf), np.full(n, -1, dtype=np.int32)
        self.run(
            lambda: kernels.linkage.merge_nearest_centers(
                self.code, self.points, self.weight, self.ids, nearest, neighbor, self.state,
                self.distance, self.x, self.pairs, self.heights, BUDGET,
            )
        )  # fmt: skip
        return self.merged

    def chain(self, n_threads):
        """Nearest-neighbor chain on centers, and on distances once few clusters are left."""
        n = len(self.rows)
        self.places = np.arange(n, dtype=np.int32)
        self.heads, self.tails = np.arange(n, dtype=np.int32), np.arange(n, dtype=np.int32)
        self.following = np.full(n, -1, dtype=np.int32)
        counts, chain = np.ones(n, dtype=np.int32), np.empty(n, dtype=np.int32)
        links, spread = np.empty(n), np.zeros(n)
        of_members = self.rule != "ward"
        enough = self.enough_clusters() if of_members else 1

        def step():
            done = kernels.linkage.chain_of_centers(
                self.code, self.points, spread, self.weight, self.ids, self.rows, self.row_weight,
                self.places, self.heads, self.tails, self.following, counts, chain, links,
                self.state, self.distance, self.x, self.pairs, self.heights, enough, BUDGET,
            )  # fmt: skip
            scanned, evaluated = self.state[4:]
            return done or (evaluated > DEAR * scanned and of_members and self.can_finish())

        self.run(step)
        if self.state[0] > 1:
            self.finish(n_threads)
        return self.merged

    def enough_clusters(self):
        """So few clusters that their distances fit into memory, and cost less than the rest."""
        enough = max(int(FEW_CLUSTERS * len(self.rows)), 1)
        while enough > 1 and not fits(enough, 8):
            enough //= 2
        return enough

    def can_finish(self):
        return fits(int(self.state[0]), 8)

    def finish(self, n_threads):
        """Merge the clusters that are left by the matrix of their distances."""
        m = int(self.state[0])
        active = np.sort(self.ids[:m])
        members = [self.members(cluster) for cluster in active]
        starts = np.append(0, np.cumsum([len(each) for each in members])).astype(np.int64)
        order = np.concatenate(members)
        cluster = np.repeat(np.arange(m, dtype=np.int32), np.diff(starts))
        points, weights = columns_of(self.rows[order]), self.row_weight[order]
        totals = np.add.reduceat(weights, starts[:-1])
        condensed = new_condensed(m, np.float64)

        def fill(begin, end, distance, x):
            kernels.linkage.add_cluster_distances(
                self.code, points, weights, cluster, starts, begin, end, distance, x, condensed
            )

        share_out(fill, m, points, len(order) ** 2 / 2 * (len(points) + 4), n_threads)
        if self.rule == "complete":
            np.sqrt(condensed, out=condensed)
        else:
            for a in range(m - 1):
                offset = a * m - a * (a + 1) // 2
                condensed[offset : offset + m - a - 1] /= totals[a] * totals[a + 1 :]
        rest = merge_distances(condensed, totals, self.rule)
        done = int(self.state[2])
        self.pairs[done:] = active[rest.pairs]
        self.heights[done:] = rest.heights

    def members(self, cluster):
        """Row numbers of a cluster, ascending."""
        found, row = [], self.heads[cluster]
        while row >= 0:
            found.append(row)
            row = self.following[row]
        return np.sort(np.array(found))


def columns_of(X):
    """Rows as columns (d, n and some more), for kernels that take many at a time."""
    points = np.zeros((X.shape[1], len(X) + kernels.linkage.lanes()))
    points[:, : len(X)] = X.T
    return points


def share_out(fill, m, points, work, n_threads):
    """Call fill(begin, end, distance, x) over all of range(m), by several threads.

    Parts are short enough for Ctrl-C to be heard.
    """
    n_parts = int(min(max(1.0, work / BUDGET, 8 * (n_threads > 1)), m))
    # The first have more later ones to go to.
    bounds = m - np.round(m * np.sqrt(np.linspace(1.0, 0.0, n_parts + 1))).astype(int)
    parts = iter(list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)))

    def loop():
        distance, x = np.empty(points.shape[1]), np.empty(len(points))
        for begin, end in parts:
            fill(begin, end, distance, x)

    helpers = submit(loop, min(n_threads, n_parts) - 1) if min(n_threads, n_parts) > 1 else []
    try:
        loop()
    finally:
        wait([helper for helper in helpers if not helper.cancel()])
    for helper in helpers:
        if not helper.cancelled():
            helper.result()


def merge_distances(condensed, weight, rule, squared=False):
    """`Merges` by a condensed matrix of distances (squares for "ward"), which is used up."""
    n = len(weight)
    state = np.zeros(6, dtype=np.int64)
    state[0] = n
    weight = np.array(weight, dtype=np.float64)
    ids, chain = np.arange(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    pairs, heights = np.empty((n - 1, 2), dtype=np.int32), np.empty(n - 1)
    if squared and (weight != 1.0).any():
        # Two points of weights v and w are 2 v w / (v + w) apart for every unit of square.
        for a in range(n - 1):
            offset = a * n - a * (a + 1) // 2
            other = weight[a + 1 :]
            condensed[offset : offset + n - a - 1] *= 2.0 * weight[a] * other / (weight[a] + other)
    while not kernels.linkage.chain_of_distances(
        RULES.index(rule), condensed, weight, ids, chain, state, pairs, heights, BUDGET
    ):
        pass
    if state[1] < 0:
        raise ValueError("a distance is not finite; look for overflow, or for NaN from the metric")
    return Merges(pairs, np.sqrt(heights) if squared else heights)


def euclidean_distances(X, squared, n_threads=1, dtype=np.float64):
    """Condensed Euclidean distances of rows, or their squares."""
    points, n = columns_of(X), len(X)
    condensed = new_condensed(n, dtype)

    def fill(begin, end, distance, x):
        kernels.linkage.fill_distances(points, n, begin, end, squared, distance, x, condensed)

    share_out(fill, n, points, n**2 / 2 * (len(points) + 4), n_threads)
    return condensed


def new_condensed(n, dtype):
    """An empty condensed matrix; an `InsufficientMemory` where it does not fit."""
    require_room(n, np.dtype(dtype).itemsize)
    return np.empty(n * (n - 1) // 2, dtype=dtype)


def require_room(n, itemsize):
    """Raise where distances of n rows do not fit into memory."""
    memory.require(
        bytes_of(n, itemsize),
        f"the distances between {n} rows",
        "use fewer rows, float32, or a linkage and metric that need no matrix (metric='euclidean'"
        " with linkage='single', 'ward', 'centroid' or 'median', or with 64 columns or fewer)",
    )


def fits(n, itemsize):
    """Whether distances of n rows fit into memory."""
    return memory.fits(bytes_of(n, itemsize))


def bytes_of(n, itemsize):
    return n * (n - 1) // 2 * itemsize

"""Model-based agglomerative clustering: always merge the pair that costs the likelihood least.

    minimize sum_k n_k log(|W_k / n_k| + (tr W_k + 1) / n_k),      W_k = scatter about the mean of k

The determinant alone is the classification likelihood of Gaussians of any shape (Banfield and
Raftery 1993). It is zero where a cluster has no more rows than features; there the trace tells
small clusters apart (Fraley 1998, model VVV of mclust's hc). The 1 is mclust's alpha in units of
the variance within clusters, so rows come in coordinates in which that is about one.

Every leaf starts as a cluster. After a merge only the costs of the new cluster are computed, all at
once. For m leaves: O(m^2 d^3) operations and m^2 costs of 8 bytes.
"""

import numpy as np

# Variance, in units of that within clusters, that a determinant takes for none.
FLAT = 1e-9


def agglomerate(points, weight, k):
    """Labels (m,) of k clusters of the points (m, d); weight 2 is the point twice.

    Clusters are numbered by their first point. Fewer than k points are clusters of their own.
    """
    clusters = Clusters(points.T.astype(np.float64), weight / weight.mean())
    while clusters.size > k:
        clusters.merge_nearest()
    _, first, labels = np.unique(clusters.slot, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[labels]


class Clusters:
    """Clusters in the first `size` slots of every array, and what every merge would cost.

    Attributes
    ----------
    weight, leaves, trace, term : (m,)
        n_k, the number of leaves, tr W_k, and the cluster's part of the criterion.
    mean : (d, m), scatter : (d, d, m)
    cost : (m, m)
        Of merging two; `nearest` and `least` (m,) are the least of every row.
    slot : (m,)
        Of every leaf.
    """

    def __init__(self, mean, weight):
        d, m = mean.shape
        self.size, self.slot = m, np.arange(m)
        self.weight, self.mean = weight, mean
        self.leaves, self.trace = np.ones(m), np.zeros(m)
        self.scatter = np.zeros((d, d, m))
        self.term = -weight * np.log(weight)
        self.cost = np.empty((m, m))
        for i in range(m):
            self.cost[i] = self.costs(i)
        self.nearest = self.cost.argmin(axis=1)
        self.least = self.cost[np.arange(m), self.nearest]

    def costs(self, i):
        """What merging cluster i with each of the others costs (size,), inf for itself."""
        now, d = slice(self.size), len(self.mean)
        weight = self.weight[now] + self.weight[i]
        gap = self.mean[:, now] - self.mean[:, i, None]
        pull = self.weight[now] * (self.weight[i] / weight)
        trace = self.trace[now] + self.trace[i] + pull * (gap**2).sum(axis=0)
        term = np.log((trace + 1.0) / weight)
        regular = np.flatnonzero(self.leaves[now] + self.leaves[i] > d)
        if len(regular):
            gap = gap[:, regular]
            scatter = self.scatter[:, :, regular] + self.scatter[:, :, i, None]
            scatter += (pull[regular] * gap)[:, None] * gap
            determinant = log_determinants(scatter) - d * np.log(weight[regular])
            term[regular] = np.logaddexp(term[regular], determinant)
        result = weight * term - self.term[now] - self.term[i]
        result[i] = np.inf
        return result

    def merge_nearest(self):
        """Make one cluster of the two that it costs least."""
        first = int(self.least[: self.size].argmin())
        i, j = sorted((first, int(self.nearest[first])))
        self._unite(i, j)
        stale = (self.nearest == i) | (self.nearest == j)
        self.size -= 1
        self._move(self.size, j, stale)
        now = slice(self.size)
        costs = self.costs(i)
        self.cost[i, now] = self.cost[now, i] = costs
        stale[i] = True
        nearer = np.flatnonzero((costs < self.least[now]) & ~stale[now])
        self.nearest[nearer], self.least[nearer] = i, costs[nearer]
        stale = np.flatnonzero(stale[now])
        rows = self.cost[stale, now]
        self.nearest[stale] = rows.argmin(axis=1)
        self.least[stale] = rows.min(axis=1)

    def _unite(self, i, j):
        """Put what i and j are together into slot i."""
        weight = self.weight[i] + self.weight[j]
        gap = self.mean[:, j] - self.mean[:, i]
        outer = (self.weight[i] * self.weight[j] / weight) * np.outer(gap, gap)
        self.scatter[:, :, i] += self.scatter[:, :, j] + outer
        self.trace[i] += self.trace[j] + np.trace(outer)
        self.mean[:, i] += (self.weight[j] / weight) * gap
        self.term[i] += self.term[j] + self.cost[i, j]
        self.leaves[i] += self.leaves[j]
        self.weight[i] = weight
        self.slot[self.slot == j] = i

    def _move(self, old, new, stale):
        """Fill slot `new` from slot `old`, the last one."""
        if old == new:
            return
        for array in (self.weight, self.leaves, self.trace, self.term, self.mean, self.scatter):
            array[..., new] = array[..., old]
        self.cost[new], self.cost[:, new] = self.cost[old], self.cost[:, old]
        self.cost[new, new] = np.inf
        for array in (self.nearest, self.least, stale):
            array[new] = array[old]
        self.nearest[self.nearest == old] = new
        self.slot[self.slot == old] = new


def log_determinants(matrices):
    """Of symmetric matrices (d, d, m), which are overwritten; a pivot below `FLAT` counts as that.

    Elimination of all at once: for small d far faster than one LAPACK call per matrix.
    """
    result = np.zeros(matrices.shape[2])
    for j in range(len(matrices)):
        pivot = np.maximum(matrices[j, j], FLAT)
        result += np.log(pivot)
        rest = matrices[j + 1 :, j]
        share = np.where(pivot > FLAT, rest / pivot, 0.0)
        matrices[j + 1 :, j + 1 :] -= rest[:, None] * share
    return result

"""Agglomerative clustering along the edges of a graph: only neighbors are merged.

The lightest edge is taken from a heap, its two clusters become one, and edges to the same neighbor
become one by the linkage's rule (Lance and Williams 1967, over the edges that there are). A cluster
may be merged at a lesser height than its parts were, where the graph kept its parts apart.
"""

from heapq import heapify, heappop, heappush

import numpy as np
from scipy.sparse.csgraph import connected_components

from skgen.cluster.linkage import OF_CENTERS


def merge_connected(graph, edge_lengths, X, weight, rule, n_clusters=1):
    """A linkage matrix of merges in the order they are made, until `n_clusters` are left.

    `graph` (n, n) is symmetric CSR and connected; edge_lengths(i, j) gives distances of rows.
    """
    n = graph.shape[0]
    edges = graph.tocoo()
    upper = edges.row < edges.col
    first, second = edges.row[upper], edges.col[upper]
    neighbors = [{} for _ in range(2 * n - 1)]
    clusters = Centers(X, weight, rule) if rule in OF_CENTERS else Lengths(weight, rule)
    lengths = clusters.lengths(first, second, edge_lengths)
    if not np.isfinite(lengths).all():
        raise ValueError("a distance is not finite; look for overflow, or for NaN from the metric")
    heap = []
    for a, b, length in zip(first.tolist(), second.tolist(), lengths.tolist(), strict=True):
        neighbors[a][b] = neighbors[b][a] = length
        heap.append((length, a, b))
    heapify(heap)
    tree = np.zeros((n - n_clusters, 4))
    size = [1] * n
    for i in range(n - n_clusters):
        # Edges of clusters that are no more, or that have changed, are left behind in the heap.
        while True:
            length, a, b = heappop(heap)
            if neighbors[a] is not None and neighbors[a].get(b) == length:
                break
        node = n + i
        near_a, near_b = neighbors[a], neighbors[b]
        neighbors[a] = neighbors[b] = None
        del near_a[b], near_b[a]
        clusters.merge(a, b, node)
        size.append(size[a] + size[b])
        tree[i] = min(a, b), max(a, b), length, size[node]
        for other in sorted(near_a.keys() | near_b.keys()):
            one = clusters.length(node, other, near_a.get(other), near_b.get(other), a, b)
            near = neighbors[other]
            near.pop(a, None)
            near.pop(b, None)
            near[node] = neighbors[node][other] = one
            heappush(heap, (one, other, node))
    return tree


class Lengths:
    """Clusters that are known by the lengths of their edges: average, complete and single."""

    def __init__(self, weight, rule):
        self.weight, self.rule = weight.tolist(), rule

    def lengths(self, first, second, edge_lengths):
        return edge_lengths(first, second)

    def merge(self, a, b, node):
        self.weight.append(self.weight[a] + self.weight[b])

    def length(self, node, other, to_a, to_b, a, b):
        """Of the edge from a and b united; None stands for no edge."""
        if to_a is None or to_b is None:
            return to_b if to_a is None else to_a
        if self.rule == "single":
            return min(to_a, to_b)
        if self.rule == "complete":
            return max(to_a, to_b)
        share = self.weight[a] / self.weight[node]
        return share * to_a + (1.0 - share) * to_b


class Centers:
    """Clusters that are known by their centers: ward, centroid and median."""

    def __init__(self, X, weight, rule):
        n = len(X)
        self.centers = np.empty((2 * n - 1, X.shape[1]))
        self.centers[:n] = X
        self.weight = np.append(weight, np.zeros(n - 1))
        self.rule = rule

    def lengths(self, first, second, edge_lengths):
        square = ((self.centers[first] - self.centers[second]) ** 2).sum(axis=1)
        if self.rule == "ward":
            v, w = self.weight[first], self.weight[second]
            square *= 2.0 * v * w / (v + w)
        return np.sqrt(square)

    def merge(self, a, b, node):
        v, w = self.weight[a], self.weight[b]
        share = 0.5 if self.rule == "median" else v / (v + w)
        self.centers[node] = self.centers[b] + share * (self.centers[a] - self.centers[b])
        self.weight[node] = v + w

    def length(self, node, other, to_a, to_b, a, b):
        difference = self.centers[node] - self.centers[other]
        square = difference @ difference
        if self.rule == "ward":
            v, w = self.weight[node], self.weight[other]
            square *= 2.0 * v * w / (v + w)
        return float(np.sqrt(square))


def completed_graph(graph, distances):
    """The graph with an edge between the nearest rows of each two of its components.

    `distances(i, j)` gives the matrix of distances of rows i and rows j. Returns the number of
    components too.
    """
    count, component = connected_components(graph, directed=False)
    if count == 1:
        return graph, 1
    members = [np.flatnonzero(component == c) for c in range(count)]
    graph = graph.tolil()
    for c in range(count):
        for other in range(c):
            block = distances(members[c], members[other])
            i, j = np.unravel_index(np.argmin(block), block.shape)
            a, b = members[c][i], members[other][j]
            graph[a, b] = graph[b, a] = 1.0
    return graph.tocsr(), count

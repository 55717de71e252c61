"""Dendrograms: cutting a tree of merges, and how true it is to the distances.

A tree is a linkage matrix (n - 1, 4) as SciPy's: row i merges the nodes in columns 0 and 1, of
which those below n are leaves, to node n + i, at the height in column 2; column 3 counts leaves.
"""

from heapq import heappush, heappushpop

import numpy as np
from scipy import sparse


def cut_by_number(tree, n_clusters):
    """Labels (n,) after undoing the last merges until there are `n_clusters`.

    Clusters are numbered as scikit-learn does: by the place of their nodes in the heap from which
    the largest is split.
    """
    n = len(tree) + 1
    children = tree[:, :2].astype(np.intp)
    keys = node_keys(tree, n_clusters)
    heap = [(-keys[-1], -(2 * n - 2))]
    for _ in range(n_clusters - 1):
        left, right = children[-heap[0][1] - n]
        heappush(heap, (-keys[left], -left))
        heappushpop(heap, (-keys[right], -right))
    return labels_of_nodes(children, [-node for _, node in heap])


def node_keys(tree, n_clusters):
    """Numbers (2 n - 1,) by which nodes are ordered: their own, unless rows are equal.

    Equal rows are one row of more weight, so their node has the number of the first, unless there
    are so many clusters that equal rows come into several.
    """
    n, joined = len(tree) + 1, int(np.count_nonzero(tree[:, 2] == 0.0))
    keys = np.arange(2 * n - 1)
    if joined and n_clusters <= n - joined and not tree[:joined, 2].any():
        for i, (left, right) in enumerate(tree[:joined, :2].astype(np.intp)):
            keys[n + i] = min(keys[left], keys[right])
    return keys.tolist()


def cut_by_height(tree, threshold):
    """Labels (n,) after undoing merges of which one, or one within, is as high as `threshold`."""
    kept = highest_within(tree) < threshold
    n_clusters = len(tree) + 1 - int(np.count_nonzero(kept))
    if kept[: kept.sum()].all():
        return cut_by_number(tree, n_clusters)
    n = len(tree) + 1
    children = tree[:, :2].astype(np.intp)
    below = np.zeros(2 * n - 1, dtype=bool)
    below[children[kept].ravel()] = True
    roots = np.flatnonzero(~below & np.append(np.ones(n, dtype=bool), kept))
    return labels_of_nodes(children, roots[::-1])


def highest_within(tree):
    """The largest height of every merge and those within it; heights may fall."""
    heights = tree[:, 2]
    if (np.diff(heights) >= 0.0).all():
        return heights
    n = len(tree) + 1
    highest = np.append(np.full(n, -np.inf), heights)
    for i, (left, right) in enumerate(tree[:, :2].astype(np.intp)):
        highest[n + i] = max(highest[n + i], highest[left], highest[right])
    return highest[n:]


def labels_of_nodes(children, nodes):
    """Label i for the leaves below nodes[i]."""
    n = len(children) + 1
    label = np.full(2 * n - 1, -1, dtype=np.intp)
    label[np.asarray(nodes, dtype=np.intp)] = np.arange(len(nodes))
    for i in range(n - 2, -1, -1):
        if label[n + i] >= 0:
            label[children[i]] = label[n + i]
    return label[:n]


def leaf_order(tree):
    """Leaves from left to right in the drawing in which no lines cross."""
    n = len(tree) + 1
    children = tree[:, :2].astype(np.intp)
    order, stack = [], [2 * n - 2]
    while stack:
        node = stack.pop()
        if node < n:
            order.append(node)
        else:
            left, right = children[node - n]
            stack += [right, left]
    return np.array(order, dtype=np.intp)


def cophenetic_correlation(tree, weight, distances_to_later):
    """Correlation of distances and cophenetic distances (Sokal and Rohlf 1962) over all pairs.

    A pair counts as often as its rows: by the product of their weights. `distances_to_later(i,
    order)` gives distances of leaf order[i] to leaves order[i + 1:].
    """
    order = leaf_order(tree)
    n = len(order)
    place = np.empty(n, dtype=np.intp)
    place[order] = np.arange(n)
    # Leaves of a node stand side by side; between neighbors stands the merge that joins them.
    gap, heights = joining_merges(tree, place), tree[:, 2]
    weight = weight[order]
    sums = np.zeros(6)
    for i in range(n - 1):
        joined = heights[np.maximum.accumulate(gap[i:])]
        found = distances_to_later(i, order)
        pair = weight[i] * weight[i + 1 :]
        sums += (
            pair.sum(), pair @ found, pair @ joined, pair @ found**2, pair @ joined**2,
            pair @ (found * joined),
        )  # fmt: skip
    total, first, second, squares, other, product = sums
    variance = squares - first**2 / total, other - second**2 / total
    if not (variance[0] > 1e-12 * squares and variance[1] > 1e-12 * other):
        raise ValueError(
            "the cophenetic correlation is not defined: all distances, or all heights at which rows"
            " are joined, are equal"
        )
    covariance = product - first * second / total
    return float(np.clip(covariance / np.sqrt(variance[0] * variance[1]), -1.0, 1.0))


def joining_merges(tree, place):
    """For each two neighboring leaves (n - 1,) the number of the merge that joins them."""
    n = len(tree) + 1
    last = np.append(place, np.zeros(n - 1, dtype=np.intp))
    gap = np.empty(n - 1, dtype=np.intp)
    for i, (left, right) in enumerate(tree[:, :2].astype(np.intp)):
        # The left part ends where the right begins.
        gap[last[left]] = i
        last[n + i] = last[right]
    return gap


def adjacency(connectivity, n):
    """A symmetric CSR matrix (n, n) of ones without a diagonal, from a graph of connections."""
    graph = sparse.csr_array(connectivity)
    if graph.shape != (n, n):
        raise ValueError(
            f"Wrong shape for connectivity matrix: {graph.shape} when X is of {n} samples"
        )
    graph = (abs(graph) + abs(graph.T)).tocoo()
    chosen = (graph.row != graph.col) & (graph.data != 0)
    ones = np.ones(int(chosen.sum()))
    return sparse.csr_array((ones, (graph.row[chosen], graph.col[chosen])), shape=(n, n))

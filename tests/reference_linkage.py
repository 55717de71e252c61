"""Agglomerative clustering from its definition, with loops: linkages are computed from members."""

import numpy as np


def distance(rule, a, b):
    """Distance of two clusters, each (members (m, d), weights (m,), center (d,))."""
    if rule in ("centroid", "median", "ward"):
        length = np.linalg.norm(a[2] - b[2])
        v, w = a[1].sum(), b[1].sum()
        return np.sqrt(2.0 * v * w / (v + w)) * length if rule == "ward" else length
    pairs = np.linalg.norm(a[0][:, None] - b[0][None], axis=2)
    if rule == "single":
        return pairs.min()
    if rule == "complete":
        return pairs.max()
    return (a[1][:, None] * b[1] * pairs).sum() / (a[1].sum() * b[1].sum())


def united(rule, a, b):
    members, weights = np.vstack([a[0], b[0]]), np.append(a[1], b[1])
    if rule == "median":
        return members, weights, 0.5 * (a[2] + b[2])
    return members, weights, np.average(members, axis=0, weights=weights)


def tree(X, rule, weight=None):
    """A linkage matrix; the nearest two of all clusters are looked for in every step."""
    n = len(X)
    weight = np.ones(n) if weight is None else weight
    clusters = {i: (X[i : i + 1], weight[i : i + 1], X[i]) for i in range(n)}
    merges = []
    for step in range(n - 1):
        names = sorted(clusters)
        least = min(
            (distance(rule, clusters[i], clusters[j]), i, j)
            for k, i in enumerate(names)
            for j in names[k + 1 :]
        )
        height, i, j = least
        new = united(rule, clusters.pop(i), clusters.pop(j))
        clusters[n + step] = new
        merges.append([i, j, height, len(new[1])])
    return np.array(merges)

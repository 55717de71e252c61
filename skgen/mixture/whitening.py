"""Coordinates in which clusters of one elongated shape are round.

First the covariance of all rows becomes the identity. Then, again and again, that of the
differences between the closest pairs of rows: most of these lie in one cluster, so it is the shape
of clusters that is taken out, without knowing them (Art, Gnanadesikan and Kettenring 1982). Where
clusters lie beside one another, it is the long axes, not the gaps, that shrink.

An invertible linear map of the rows changes these coordinates by a rotation only.
"""

import numpy as np

from skgen.rows import Rows
from skgen.seeding import order_rows

# Rows whose pairs are looked at, and the share of their pairs that is close, times the number of
# clusters: of equal clusters, half of the pairs within them. Measured from 0.1 to 1.2 (gmm-starts).
PAIRED_ROWS, CLOSE_SHARE = 500, 0.5
MOST_ROUNDS = 10
# Directions with a smaller share of variance than this, times the number of columns, are rounding.
NEGLIGIBLE = {4: 1e-6, 8: 1e-13}
# A row of weight 0 may lie anywhere.
FARTHEST = 1e9


def round_clusters(rows, scatter, k):
    """`rows` where k clusters of one elongated shape are round, and their `RowOrder`.

    No more rows than an affine map can send anywhere have no shape but that of their own
    coordinates: they are scaled only. Directions without variance are left out, but for one.
    """
    center = scatter.first / scatter.weight
    covariance = scatter.second / scatter.weight - np.outer(center, center)
    center = scatter.origin + center
    negligible = NEGLIGIBLE[rows.dtype.itemsize] * rows.n_features
    white = transformed(rows, center, inverse_root(covariance, negligible))
    order = order_rows(white)
    if order.n_distinct <= white.n_features + 1:
        deviation = np.sqrt(np.trace(covariance) / rows.n_features) or 1.0
        scaled = transformed(rows, center, np.eye(rows.n_features) / deviation)
        return scaled, order_rows(scaled)
    drawn, weight, _ = representatives(order, PAIRED_ROWS)
    factor = shape_of_clusters(white.take(drawn).astype(np.float64), weight, k)
    round_rows = transformed(white, np.zeros(len(factor)), factor)
    return round_rows, order_rows(round_rows)


def inverse_root(covariance, negligible=0.0):
    """T (d, r) with T' covariance T = 1, r the rank of the correlations."""
    deviation = np.sqrt(np.diagonal(covariance))
    inverse = 1.0 / np.where(deviation > 0.0, deviation, np.inf)
    values, vectors = np.linalg.eigh(covariance * inverse[:, None] * inverse)
    kept = values > negligible
    if not kept.any():
        return np.zeros((len(covariance), 1))
    return inverse[:, None] * (vectors[:, kept] / np.sqrt(values[kept]))


def transformed(rows, center, factor):
    """(x - center) factor for every row, as `Rows`."""
    out = np.empty((rows.n_rows, factor.shape[1]), dtype=rows.dtype)
    rows.map(_transformed, (center, factor), out)
    return Rows(out, rows.weight, n_threads=rows.n_threads)


def _transformed(block, params):
    center, factor = params
    with np.errstate(over="ignore", invalid="ignore"):
        z = (block.X - center) @ factor
    return np.clip(np.nan_to_num(z, nan=0.0), -FARTHEST, FARTHEST)


def representatives(order, most):
    """At most `most` distinct rows, even along their order: indices, weights and keys."""
    drawn = order.order[order.first]
    weight = np.add.reduceat(order.masses(), order.first)
    if len(drawn) > most:
        drawn = order.draw((np.arange(most) + 0.5) / most)
        _, first, weight = np.unique(order.key[drawn], return_index=True, return_counts=True)
        drawn = drawn[first]
    return drawn, weight.astype(np.float64), order.key[drawn]


def shape_of_clusters(points, weight, k):
    """T (d, d) such that the points times T have close pairs whose differences are white.

    The rows, and thus their pairs, are weighted; equal rows are no pair.
    """
    factor = np.eye(points.shape[1])
    if len(points) < 2:
        return factor
    i, j = np.triu_indices(len(points), 1)
    mass = weight[i] * weight[j]
    before = None
    for _ in range(MOST_ROUNDS):
        z = points @ factor
        square = (z**2).sum(axis=1)
        distance = (square[:, None] + square - 2.0 * (z @ z.T))[i, j]
        near = np.argsort(distance, kind="stable")
        total = np.cumsum(mass[near])
        near = np.sort(near[: 1 + np.searchsorted(total, CLOSE_SHARE / k * total[-1])])
        if before is not None and np.array_equal(near, before):
            break
        before = near
        # sum of w (x_i - x_j)(x_i - x_j)' = X' (diag(A 1) - A) X, A the weights of the pairs.
        pairs = np.zeros((len(points), len(points)))
        pairs[i[near], j[near]] = pairs[j[near], i[near]] = mass[near] / mass[near].sum()
        within = points.T @ (pairs.sum(axis=1)[:, None] * points - pairs @ points)
        # As many pairs, or rows, as columns show half of a shape; the other half stays round.
        d = len(within)
        share = d / (d + min(len(near), len(points)))
        mean = np.trace(within) / d
        within *= 1.0 - share
        within.flat[:: d + 1] += share * mean
        factor = inverse_root(within)
    return factor

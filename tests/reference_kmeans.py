"""NumPy twins of the k-means kernels, written for clarity, in float64."""

import numpy as np


def nearest(X, centers):
    """Index of the nearest center of each row; ties go to the lowest index."""
    distances = ((X[:, None, :].astype(float) - centers[None].astype(float)) ** 2).sum(axis=2)
    return distances.argmin(axis=1).astype(np.int32)


def distances(X, centers):
    return np.sqrt(((X[:, None, :].astype(float) - centers[None].astype(float)) ** 2).sum(axis=2))


def tally(X, weight, labels, k):
    """Weighted sums, weights and numbers of members; rows of weight 0 are absent."""
    member = (labels[:, None] == np.arange(k)) & (weight > 0)[:, None]
    weighted = member * weight[:, None]
    return weighted.T @ X.astype(float), weighted.sum(axis=0), member.sum(axis=0)


def lloyd(X, centers, weight, max_iter):
    """Labels and centers after at most max_iter iterations; no cluster may become empty."""
    labels = np.full(len(X), -1)
    for _ in range(max_iter):
        old, labels = labels, nearest(X, centers)
        sums, weights, _ = tally(X, weight, labels, len(centers))
        centers = sums / weights[:, None]
        if np.array_equal(old, labels):
            break
    return nearest(X, centers), centers

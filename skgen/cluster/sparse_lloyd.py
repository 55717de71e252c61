"""Lloyd's iteration for CSR rows: the loop of `lloyd`, with kernels that read stored entries.

Scores <x, c> - |c|^2 / 2 are formed in float64 about zero: an origin would fill the rows.
"""

from dataclasses import dataclass

import numpy as np

from skgen import kernels
from skgen.cluster.lloyd import Clusters, Farthest, Frame, LloydResult, Moves, Total


def lloyd(rows, centers, *, max_iter, tol_absolute, algorithm="auto", monitor=None):
    """As `skgen.cluster.lloyd.lloyd`; every pair is scored, whatever the `algorithm`."""
    centers = np.ascontiguousarray(centers, dtype=rows.dtype)
    frame = Frame.at(np.zeros(rows.n_features, dtype=rows.dtype), 0.0)
    square = rows.sum(_square_block).value
    labels = np.full(rows.n_rows, -1, dtype=np.int32)
    clusters = Clusters(centers)
    converged, relocated, history = False, False, []
    reason = f"max_iter={max_iter} reached"
    for iteration in range(1, max_iter + 1):
        fresh = clusters.stale(iteration)
        moves = rows.sum(_step_block, Step(Scores(clusters.centers), labels, fresh))
        empty = clusters.add(moves, fresh)
        taken = relocate(rows, clusters, labels, empty) if empty.size else 0
        part, shift, _ = clusters.update()
        history.append(max(0.0, square + part))
        stop = monitor is not None and monitor(iteration, history[-1], clusters.outward(frame))
        if moves.changed == 0 and not relocated:
            converged, reason = True, "labels unchanged"
        elif shift <= tol_absolute:
            converged, reason = True, f"centers moved by no more than {tol_absolute:g} (squared)"
        elif stop:
            reason = "stopped by callback"
        relocated = taken > 0
        if converged or stop:
            break
    final = clusters.outward(frame)
    inertia = assign(rows, final, labels)
    return LloydResult(final, labels, inertia, iteration, converged, reason, history)


def assign(rows, centers, labels_out, distances_out=None):
    """As `skgen.cluster.lloyd.assign`."""
    scores = Scores(np.ascontiguousarray(centers, dtype=rows.dtype))
    return rows.sum(_assign_block, (scores, labels_out, distances_out)).value


def transform(rows, centers, out):
    """As `skgen.cluster.lloyd.transform`."""
    scores = Scores(np.ascontiguousarray(centers, dtype=rows.dtype))
    return rows.map(_distances_block, scores, out)


def relocate(rows, clusters, labels, empty):
    """Give each empty cluster the row farthest from its center; returns how many were given.

    As `skgen.cluster.lloyd.relocate`.
    """
    count, scores = 4 * empty.size + 16, Scores(clusters.centers)
    while True:
        far = rows.sum(_farthest_block, (scores, labels, count))
        X = rows.take(far.indices).toarray()
        taken, donors, seen = [], clusters.members.copy(), set()
        for position, index in enumerate(far.indices):
            donor, content = labels[index], X[position].tobytes()
            if len(taken) < empty.size and donors[donor] > 1 and content not in seen:
                seen.add(content)
                donors[donor] -= 1
                taken.append(position)
        if len(taken) == empty.size or far.indices.size < count:
            break
        count *= 4
    for cluster, position in zip(empty, taken, strict=False):
        index = far.indices[position]
        weight = 1.0 if rows.weight is None else rows.weight[index]
        moved = weight * X[position].astype(np.float64)
        for number, sign in ((labels[index], -1), (cluster, 1)):
            clusters.sums[number] += sign * moved
            clusters.weights[number] += sign * weight
            clusters.members[number] += sign
        labels[index] = cluster
    return len(taken)


class Scores:
    """Centers as the kernels take them."""

    def __init__(self, centers):
        self.centers = centers
        self.squares = np.empty(len(centers))
        kernels.sparse.add_squares(centers, self.squares)
        self.turned = np.ascontiguousarray(centers.T, dtype=np.float64)
        self.minus = -0.5 * self.squares


@dataclass(slots=True)
class Step:
    """One iteration as its blocks see it."""

    scores: Scores
    labels: np.ndarray
    fresh: bool


def entries(X):
    return X.data, X.indices, X.indptr


def _square_block(block, _):
    squares = block.X.data.astype(np.float64) ** 2
    return Total(float(np.repeat(block.weight, np.diff(block.X.indptr)) @ squares))


def _step_block(block, step):
    scores = step.scores
    moves = Moves(*scores.centers.shape)
    moves.changed = kernels.sparse.step(
        *entries(block.X), block.weight, scores.turned, scores.minus,
        np.empty(len(scores.minus)), step.labels[block.span], moves.sums, moves.weights,
        moves.members, moves.touched, step.fresh,
    )  # fmt: skip
    return moves


def _squared_distances(block, scores, labels):
    distances = np.empty(len(block))
    kernels.sparse.squared_distances(
        *entries(block.X), scores.centers, scores.squares, labels, distances
    )
    return distances


def _assign_block(block, params):
    scores, labels, distances = params
    labels = labels[block.span]
    kernels.sparse.nearest(
        *entries(block.X), scores.turned, scores.minus, np.empty(len(scores.minus)), labels
    )
    squared = _squared_distances(block, scores, labels)
    if distances is not None:
        distances[block.span] = np.sqrt(squared)
    return Total(float(block.weight @ squared))


def _farthest_block(block, params):
    scores, labels, count = params
    distances = _squared_distances(block, scores, labels[block.span])
    candidates = np.flatnonzero((distances > 0) & (block.weight > 0))
    return Farthest.of(distances[candidates], candidates + block.start, count)


def _distances_block(block, scores):
    out = np.empty((len(block), len(scores.squares)), block.X.dtype)
    kernels.sparse.distances_to_all(*entries(block.X), scores.centers, scores.squares, out)
    return out

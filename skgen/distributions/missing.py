"""Rows with missing cells (NaN), grouped by which of their cells are observed.

    log p(x_o, k) = log pi_k + log N(x_o; m_o, S_oo)

Ghahramani and Jordan (1994). The work per pattern is shared by all its rows in a block. It uses the
precision's block of the missing cells, which is small where few are missing; see kernels/missing.h.
"""

from dataclasses import dataclass, replace

import numpy as np

from skgen import kernels
from skgen.distributions.gaussian import (
    LOG_TWO_PI,
    MixtureMoments,
    Scatter,
    pooled_scatter,
)

# Patterns of up to this many columns are numbers, which sort faster than bytes do.
NUMBERED = 62


@dataclass(frozen=True)
class Patterns:
    """masks [p, d] uint8: 1 where a cell is missing; complete rows come first, if any."""

    masks: np.ndarray

    @property
    def first_incomplete(self):
        """Number of the first pattern with a missing cell."""
        return 0 if self.masks[0].any() else 1


def holds_nan(X):
    """Whether a cell of X is NaN; X is looked at in pieces."""
    step = max(1, 2**20 // max(X.shape[1], 1))
    return any(np.isnan(X[start : start + step]).any() for start in range(0, len(X), step))


def find_patterns(rows):
    """`rows` with the order and the pattern of each row of a block as target, and the `Patterns`.

    The target is (n, 2) int32: the rows of a block in order of their patterns, and these patterns.
    """
    d = rows.n_features
    if d <= NUMBERED:
        keys = rows.map(_pattern_numbers, None, np.empty(rows.n_rows, dtype=np.int64))
        found, codes = np.unique(keys, return_inverse=True)
        masks = (found[:, None] >> np.arange(d - 1, -1, -1)) & 1
    else:
        packed = rows.map(_pattern_bytes, None, np.empty((rows.n_rows, -(-d // 8)), np.uint8))
        keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
        found, codes = np.unique(keys, return_inverse=True)
        masks = np.unpackbits(found.view(np.uint8).reshape(len(found), -1), axis=1)[:, :d]
    # Like patterns follow one another: the kernels' loops over missing cells stay predictable.
    masks = np.ascontiguousarray(masks, dtype=np.uint8)
    order = np.argsort(masks.sum(axis=1), kind="stable")
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    codes = number[codes.reshape(-1)]
    target = np.empty((rows.n_rows, 2), dtype=np.int32)
    coded = rows.with_target(codes)
    coded.map(_sorted_codes, None, target)
    return rows.with_target(target), Patterns(masks[order])


def weigh_observed(rows):
    """`rows` with weight 0 where no cell is observed: such a row says nothing.

    A posterior would otherwise count it as a row of some component.
    """
    empty = rows.map(_empty, None, np.empty(rows.n_rows, dtype=bool))
    if not empty.any():
        return rows
    weight = np.ones(rows.n_rows) if rows.weight is None else rows.weight.copy()
    weight[empty] = 0.0
    return rows.with_weight(weight)


def _empty(block, _):
    return np.isnan(block.X).all(axis=1)


def _pattern_numbers(block, _):
    d = block.X.shape[1]
    return np.isnan(block.X) @ (1 << np.arange(d - 1, -1, -1, dtype=np.int64))


def _pattern_bytes(block, _):
    return np.packbits(np.isnan(block.X), axis=1)


def _sorted_codes(block, _):
    order = np.argsort(block.target, kind="stable")
    return np.column_stack([order, block.target[order]]).astype(np.int32)


@dataclass(frozen=True)
class Completion:
    """A mixture as the kernels of incomplete rows take it."""

    structure: type
    model: np.ndarray
    patterns: Patterns
    means: np.ndarray
    log_weight: np.ndarray
    log_det: np.ndarray


def prepare_completion(structure, patterns, means, factors, log_weight):
    """Pack a mixture; `log_weight` as `gaussian.log_weights` gives it."""
    k, d = means.shape
    log_det = np.broadcast_to(structure.log_determinant(factors, d), k)
    model = structure.pack_completion(means, factors, log_weight)
    return Completion(structure, model, patterns, means, log_weight, np.ascontiguousarray(log_det))


def sorted_rows(block):
    """The order and the patterns of a block's rows."""
    return np.ascontiguousarray(block.target[:, 0]), np.ascontiguousarray(block.target[:, 1])


def e_step(block, completion, complete_step, memberships=None):
    """`MixtureMoments` of a block in which cells are missing, about the means.

    Complete rows go through `complete_step(X, weight)`, which returns their moments about the means
    as rounded to X's dtype, unless `memberships` (b, k) take the place of the posterior.
    """
    structure, (k, d) = completion.structure, completion.means.shape
    order, code = sorted_rows(block)
    first = 0
    if memberships is None and completion.patterns.first_incomplete:
        first = int(np.searchsorted(code, 1))
    count, shift, scatter = np.zeros(k), np.zeros((k, d)), structure.empty_pooled_scatter(k, d)
    arguments = (block.X, block.weight, order[first:], code[first:], completion.patterns.masks)
    if memberships is None:
        log_norm = structure.accumulate_incomplete(
            *arguments, completion.model, count, shift, scatter
        )
    else:
        log_norm = 0.0
        structure.accumulate_incomplete_given(
            *arguments, completion.model, memberships, count, shift, scatter
        )
    moments = MixtureMoments(
        float(block.weight.sum()),
        log_norm,
        count,
        shift,
        scatter,
        completion.means,
        structure.name == "tied",
    )
    if first:
        complete = np.sort(order[:first])
        X, weight = block.X[complete], block.weight[complete]
        moments = moments.merge(
            pooled(complete_step(X, weight), X, weight).about(moments.origin, structure)
        )
        moments.weight = float(block.weight.sum())
    return moments


def pooled(moments, X, weight):
    """`moments` of rows X with a scatter of their own, for the structure that keeps none."""
    if moments.scatter is not None:
        return moments
    d = X.shape[1]
    center = moments.origin.mean(axis=0)
    first, second = np.zeros(d), np.zeros((d, d))
    total = kernels.gaussian.scatter(X, weight, center, first, second)
    return with_own_scatter(moments, Scatter(total, first, second, center))


def with_own_scatter(moments, scatter):
    """Tied moments with the pooled scatter that the total `Scatter` of their rows implies."""
    within = pooled_scatter(scatter, moments.count, moments.shift, moments.origin)
    return replace(moments, scatter=within, pooled=True)


def marginal_distances(block, completion):
    """Squared distances (b, k) of the observed parts, and log |S_oo| / -2 likewise."""
    shape = len(block), len(completion.means)
    distance, log_scale = np.empty(shape), np.empty(shape)
    order, code = sorted_rows(block)
    kernels.missing.distances(
        block.X, order, code, completion.patterns.masks, completion.model, distance, log_scale
    )
    return distance, log_scale


def n_observed(block, completion):
    """Observed cells of every row (b,)."""
    order, code = sorted_rows(block)
    result = np.empty(len(block))
    result[order] = (completion.patterns.masks == 0).sum(axis=1)[code]
    return result


def log_joint(block, completion):
    """log p(x_o, k) (b, k)."""
    distance, log_scale = marginal_distances(block, completion)
    d = completion.means.shape[1]
    constant = completion.log_weight - completion.log_det + 0.5 * d * LOG_TWO_PI
    observed = n_observed(block, completion)[:, None]
    with np.errstate(invalid="ignore"):
        return constant + log_scale - 0.5 * observed * LOG_TWO_PI - 0.5 * distance


def complete(block, completion, memberships):
    """Rows with conditional means, weighted by memberships (b, k), in their missing cells."""
    out = np.empty_like(block.X)
    order, code = sorted_rows(block)
    kernels.missing.complete(
        block.X, order, code, completion.patterns.masks, completion.model, memberships, out
    )
    return out

"""Mixtures whose components belong to classes, for rows of which some are labeled.

    p(x, c) = sum_{k of class c} pi_k N(x; mu_k, S_k)
    value = sum_{labeled} w log p(x, y) + lambda sum_{unlabeled} w log p(x) + regularizer

A row labeled c is a row of the mixture of the components of c alone, so the E-step of a block is
that of its unlabeled rows under all components plus that of the rows of each class under its own;
lambda is a factor of the weights. Nigam, McCallum, Thrun and Mitchell (2000), section 5; Zhu
(2005), section 3.1, with the means pooled: (sum_l x + lambda sum_u r x) / (N_l + lambda sum_u r).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from skgen.distributions.conjugate import log_dirichlet
from skgen.distributions.gaussian import GaussianParams, MixtureMoments
from skgen.mixture.inference import MaximumLikelihood
from skgen.mixture.initialization import Partition, TrainingRows, partition_rows
from skgen.mixture.model import (
    MixtureModel,
    Prepared,
    block_labels,
    block_log_norms,
    block_responsibilities,
    e_step,
    far_rows,
    log_sums,
    prepare,
)
from skgen.rows import Block, Rows
from skgen.statistics import column_moments

UNLABELED = -1
# Log odds that differ by less decide nothing.
BLUR = 1e-6


@dataclass(frozen=True)
class LabeledPrepared:
    """The mixture of all components and those of the classes, in the kernels' layout.

    `starts` [C + 1] are the components at which the classes begin, and their number.
    """

    whole: Prepared
    classes: tuple
    starts: np.ndarray


@dataclass(frozen=True)
class LabeledModel(MixtureModel):
    """The EM model; targets of the rows end in the class of each, -1 for none."""

    starts: np.ndarray | None = None
    classes: np.ndarray | None = None

    def prepare(self, params):
        weights, tied = self.log_weights(params), self.structure.name == "tied"
        parts = []
        for start, stop in pairwise(self.starts):
            factors = params.factors if tied else params.factors[start:stop]
            parts.append(
                prepare(
                    self.structure,
                    params.means[start:stop],
                    factors,
                    weights[start:stop],
                    self.dtype,
                    self.patterns,
                )
            )
        return LabeledPrepared(super().prepare(params), tuple(parts), self.starts)

    @staticmethod
    def e_step(block, prepared):
        return labeled_e_step(block, prepared)


def labeled_e_step(block, prepared):
    """`MixtureMoments` of all components from one block."""
    total = None
    for label, part in by_label(block):
        start, model = 0, prepared.whole
        if label != UNLABELED:
            start, model = prepared.starts[label], prepared.classes[label]
        moments = placed(e_step(part, model), start, prepared.whole)
        total = moments if total is None else total.merge(moments)
    return total


def placed(moments, start, whole):
    """Moments of the components from `start` on among those of the `whole` mixture."""
    k, stop = len(whole.origin), start + len(moments.count)
    if stop - start == k:
        return moments

    def spread(values):
        result = np.zeros((k, *values.shape[1:]))
        result[start:stop] = values
        return result

    scatter = moments.scatter
    return MixtureMoments(
        moments.weight,
        moments.log_norm,
        spread(moments.count),
        spread(moments.shift),
        scatter if scatter is None or moments.pooled else spread(scatter),
        whole.origin if whole.completion is None else whole.completion.means,
        moments.pooled,
    )


def with_labels(rows, codes):
    """`rows` whose targets end in the class of each row."""
    if rows.target is None:
        return rows.with_target(codes)
    return rows.with_target(np.column_stack([rows.target, codes]).astype(np.int32))


def by_label(block):
    """The labels in a block, ascending, and the rows of each as a block of their own."""
    target = block.target
    label = target if target.ndim == 1 else target[:, 2]
    if (label == label[0]).all():
        yield int(label[0]), block
        return
    order = np.argsort(label, kind="stable")
    X, weight, label = block.X[order], block.weight[order], label[order]
    bounds = [0, *(np.flatnonzero(np.diff(label)) + 1), len(label)]
    patterns = None
    if target.ndim == 2:
        # Where the rows, in the order of their patterns, have gone.
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        patterns = place[target[:, 0]], target[:, 1]
    for start, stop in pairwise(bounds):
        part = None
        if patterns is not None:
            place, code = patterns
            inside = (place >= start) & (place < stop)
            part = np.column_stack([place[inside] - start, code[inside]]).astype(np.int32)
        yield int(label[start]), Block(X[start:stop], weight[start:stop], part, block.start)


@dataclass(frozen=True)
class CountedParams(GaussianParams):
    """Parameters whose weights do not tell how many rows (k,) the components had."""

    count: np.ndarray


@dataclass(frozen=True)
class GivenShares(MaximumLikelihood):
    """An inference under which the weights of every class add up to a given share."""

    inference: MaximumLikelihood
    shares_of_classes: np.ndarray
    starts: np.ndarray

    def regularizer(self, structure, params):
        """That of all components, the weights of each class having a prior of their own."""
        value = self.inference.regularizer(structure, params)
        concentration = getattr(self.inference, "concentration", None)
        if concentration is None:
            return value
        value -= log_dirichlet(concentration, params.weights)
        groups = np.split(params.weights, self.starts[1:-1])
        for weights, share in zip(groups, self.shares_of_classes, strict=True):
            value += log_dirichlet(concentration, weights / share)
        return value

    def update(self, structure, moments, floor, scatter):
        params = self.inference.update(structure, moments, floor, scatter)
        weights = self._rescaled(params.weights)
        return CountedParams(**vars(params) | {"weights": weights}, count=moments.count)

    def counts(self, params, weight):
        return self.inference.counts(params, weight)

    def moments_of(self, structure, params, count, floor):
        return self.inference.moments_of(structure, params, count, floor)

    def rebuild(self, structure, like, shares, means, factors):
        return super().rebuild(structure, like, self._rescaled(shares), means, factors)

    def _rescaled(self, weights):
        of_classes = np.add.reduceat(weights, self.starts[:-1])
        factors = self.shares_of_classes / of_classes
        return weights * np.repeat(factors, np.diff(self.starts))


@dataclass
class LabeledRows(TrainingRows):
    """What a fit knows of rows of which some are labeled.

    Attributes
    ----------
    codes : (n,) int32
        Class of each row, -1 for none.
    classes : (C,)
        What the classes are called.
    starts : (C + 1,)
        Components at which the classes begin.
    left_out : (X, mask) or None
        Unlabeled rows that the fit does not use, and which of all rows are labeled.
    """

    codes: np.ndarray | None = None
    classes: np.ndarray | None = None
    starts: np.ndarray | None = None
    left_out: tuple | None = None

    @property
    def k(self):
        """Number of components."""
        return int(self.starts[-1])

    @cached_property
    def all_labeled(self):
        """Whether every row has a label."""
        return bool((self.codes >= 0).all())

    @property
    def decided(self):
        """Whether the labels say all that an E-step could."""
        return self.all_labeled and self.patterns is None and self.k == len(self.classes)

    @cached_property
    def labeled(self):
        """The same, unlabeled rows without weight."""
        if self.all_labeled:
            return self
        weight = np.ones(len(self.codes)) if self.rows.weight is None else self.rows.weight
        rows = self.rows.with_weight(np.where(self.codes >= 0, weight, 0.0))
        return TrainingRows(rows, self.columns, self.patterns)

    def labeled_partition(self, method, random_state):
        """A `Partition` of the labeled rows: those of a class into its components."""
        labels = self.starts[np.maximum(self.codes, 0)]
        divided = np.flatnonzero(np.diff(self.starts) > 1)
        seed = random_state.randint(np.iinfo(np.int32).max) if len(divided) else None
        for c in divided:
            # Each class from the same draws: what the others hold changes nothing.
            stream = np.random.RandomState(seed)
            labels[self.codes == c] += self.parts_of_class(c, method, stream)
        return Partition(self.k, labels=labels)

    def parts_of_class(self, c, method, random_state):
        """The component, from 0 on, of every row of a class."""
        k, seeds = int(self.starts[c + 1] - self.starts[c]), self.seeds
        chosen = np.flatnonzero(self.codes == c)
        weight = None if seeds.weight is None else seeds.weight[chosen]
        rows = Rows(seeds.X[chosen], weight, n_threads=seeds.n_threads)
        different = different_rows(rows, k)
        if different is not None:
            return different
        partition = partition_rows(
            TrainingRows(rows, column_moments(rows)), method, k, random_state
        )
        if partition.labels is None:
            return partition.soft.memberships(rows.X).argmax(axis=1)
        return partition.labels

    def scarce(self, structure):
        """Whether the labeled rows are too few to know all covariances from."""
        codes = self.codes if self.rows.weight is None else self.codes[self.rows.weight > 0.0]
        counts = np.bincount(codes[codes >= 0], minlength=len(self.classes))
        parts = np.diff(self.starts)
        counts = np.repeat(counts // parts, parts)
        return not structure.determined(counts, self.rows.n_features)


@dataclass(frozen=True)
class LinearScores:
    """log p(c | x) = x . slopes_c + offset_c + a function of x: one covariance for all classes."""

    slopes: np.ndarray
    offsets: np.ndarray
    prepared: LabeledPrepared

    @classmethod
    def of(cls, params, prepared, dtype):
        """Scores of classes of one component each; None where X's dtype would blur them."""
        slopes, offsets = linear_scores(params)
        blur = np.abs(params.means).max(axis=0) @ np.abs(slopes.T)
        if not np.finfo(dtype).eps * blur.max() < BLUR:
            return None
        return cls(np.ascontiguousarray(slopes.T.astype(dtype)), offsets.astype(dtype), prepared)


def linear_scores(params):
    """Slopes (C, d) and offsets (C,) of log p(c | x) up to a function of x."""
    whitened = params.means @ params.factors
    with np.errstate(divide="ignore"):
        offsets = np.log(params.weights) - 0.5 * (whitened**2).sum(axis=1)
    return whitened @ params.factors.T, offsets


def linear_labels(block, scores):
    """The most probable class of the rows of a block (b,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        raw = block.X @ scores.slopes
        raw += scores.offsets
        finite = np.isfinite(raw.sum())
    return raw.argmax(axis=1) if finite else block_labels(block, scores.prepared.whole)


def different_rows(rows, k):
    """Numbers (n,) of the different rows where those of positive weight are k at most, else None.

    Each is a component then, and the others stay empty.
    """
    known = np.ones(rows.n_rows, bool) if rows.weight is None else rows.weight > 0.0
    X = rows.X[known]
    # Most often the first few tell.
    if len(np.unique(X[: 10 * k], axis=0)) > k:
        return None
    found, numbers = np.unique(X, axis=0, return_inverse=True)
    if len(found) > k:
        return None
    result = np.zeros(rows.n_rows, dtype=np.int64)
    result[known] = numbers.reshape(-1)
    return result


def class_probabilities(block, prepared):
    """p(c | x) of the rows of a block (b, C), float64."""
    if block.X.dtype != np.float64:
        # Responsibilities would be rounded to X's dtype.
        return np.exp(class_log_probabilities(block, prepared))
    responsibilities = block_responsibilities(block, prepared.whole)
    if len(prepared.classes) == responsibilities.shape[1]:
        return responsibilities
    return np.add.reduceat(responsibilities, prepared.starts[:-1], axis=1)


def class_log_joint(block, prepared):
    """log p(x, c) of the rows of a block (b, C), float64; -inf where it underflows."""
    return np.column_stack([block_log_norms(block, part) for part in prepared.classes])


def class_log_probabilities(block, prepared):
    """log p(c | x) of the rows of a block (b, C), float64, also where p underflows."""
    log_norm, joint = log_sums(class_log_joint(block, prepared))
    far = far_rows(log_norm, block, prepared.whole)
    if far.any():
        X = block.X[far]
        if prepared.whole.completion is not None:
            X = prepared.whole.without_holes(X)
        logs = prepared.whole.far_log_responsibilities(X)
        groups = np.split(logs, prepared.starts[1:-1], axis=1)
        joint[far] = np.column_stack([log_sums(group)[0] for group in groups])
    return joint

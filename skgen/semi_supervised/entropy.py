"""Losses of rows some of which have no label: cross-entropy where there is one, entropy elsewhere.

    H_i = -sum_k p_ik log p_ik,    dH_i / draw_ik = -p_ik (log p_ik + H_i)

for probabilities p = softmax(raw), or p = (1 - s, s), s = 1 / (1 + e^-raw), for two classes with
one raw score. A mean over rows may be kept near given shares, by the divergence

    KL = sum_k q_k log(q_k / m_k),   m = mean of p over the rows without a label

whose gradient by p_ik is -q_k / (U m_k): a row needs only the vector `pull` of these, with U the
weight of those rows. Grandvalet and Bengio (2005), equation 3; Krause, Perona and Gomes (2010).
"""

from copy import copy
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, log_softmax

# Shares of classes are taken for no less, in the divergence.
LEAST_SHARE = 1e-12


def entropies(raw):
    """Entropy of every row (n,) and its gradient by raw (n, K), K = 1 for two classes."""
    if raw.shape[1] == 1:
        z = raw[:, 0]
        share, other = expit(z), expit(-z)
        entropy = -(share * log_expit(z) + other * log_expit(-z))
        return entropy, (-z * share * other)[:, None]
    logs = log_softmax(raw, axis=1)
    share = np.exp(logs)
    entropy = -(share * logs).sum(axis=1)
    return entropy, -share * (logs + entropy[:, None])


def shares_of(raw):
    """Probabilities of the classes, (n, K) or (n, 2)."""
    if raw.shape[1] == 1:
        return np.column_stack([expit(-raw[:, 0]), expit(raw[:, 0])])
    return np.exp(log_softmax(raw, axis=1))


def pulled(raw, pull):
    """Gradient of sum_k pull_k p_ik by raw; `pull` is one of all rows (K,) or of each (n, K)."""
    share = shares_of(raw)
    if raw.shape[1] == 1:
        return (share[:, 0] * share[:, 1] * (pull[..., 1] - pull[..., 0]))[:, None]
    return share * (pull - (share * pull).sum(axis=1, keepdims=True))


def divergence(wanted, mean):
    """KL of the mean shares from the wanted ones, and its gradient by the mean."""
    mean = np.maximum(mean, LEAST_SHARE)
    positive = wanted > 0.0
    ratio = np.where(positive, wanted, 1.0) / np.where(positive, mean, 1.0)
    return float(wanted @ np.log(ratio)), -wanted / mean


@dataclass(frozen=True)
class PartlyLabeled:
    """A loss of linear scores for targets of which -1 means unknown.

    Parameters
    ----------
    supervised : a loss of `skgen.losses`
        Of the rows with a label.
    entropy_weight : float
        What the entropy of another row costs.
    pull : ndarray of shape (n_classes,), or None
        A gradient by the probabilities of such rows; the value it belongs to is not added.
    """

    supervised: object
    entropy_weight: float
    pull: np.ndarray | None = None

    def n_outputs(self, n_classes):
        return self.supervised.n_outputs(n_classes)

    def value_and_gradient(self, raw, target, weight):
        known = target >= 0
        open_rows = np.flatnonzero(~known)
        labeled = np.where(known, weight, 0.0)
        value, slope = self.supervised.value_and_gradient(raw, np.where(known, target, 0), labeled)
        if len(open_rows):
            raw, weight = raw[open_rows], weight[open_rows]
            entropy, steep = entropies(raw)
            value += self.entropy_weight * float(weight @ entropy)
            steep *= self.entropy_weight
            if self.pull is not None:
                steep += pulled(raw, self.pull)
            slope[open_rows] += weight[:, None] * steep
        return value, slope

    def predict(self, raw):
        return self.supervised.predict(raw)


class OnlyEntropy:
    """The entropy of rows without a label."""

    def value_and_gradient(self, raw, target, weight):
        entropy, slope = entropies(raw)
        weight = np.where(target < 0, weight, 0.0)
        return float(weight @ entropy), weight[:, None] * slope


@dataclass(frozen=True)
class BalancedEntropy:
    """A network's loss with the divergence, estimated from the rows of each batch.

    Parameters
    ----------
    plain : Categorical or Binary of `skgen.networks.losses`
        With the weight of the entropy.
    balance_weight : float
    wanted : tuple of float
        Shares of the classes.
    """

    plain: object
    balance_weight: float
    wanted: tuple

    def n_outputs(self, n_targets):
        return self.plain.n_outputs(n_targets)

    def value_and_gradient(self, raw, target, weight):
        value, slope = self.plain.value_and_gradient(raw, target, weight)
        unknown = np.flatnonzero(np.isnan(target[:, 0]) | (target[:, 0] < 0))
        mass = float(weight[unknown].sum())
        if mass > 0.0:
            raw, weight = raw[unknown].astype(np.float64), weight[unknown]
            distance, steep = divergence(np.array(self.wanted), weight @ shares_of(raw) / mass)
            value += self.balance_weight * mass * distance
            part = self.balance_weight * weight[:, None] * pulled(raw, steep)
            slope[unknown] += part.astype(slope.dtype)
        return value, slope

    def predict(self, raw):
        return self.plain.predict(raw)


@dataclass(slots=True)
class ShareSum:
    """Weighted sums of the probabilities of rows without a label, and of their weights."""

    shares: np.ndarray
    weight: float

    def merge(self, other):
        self.shares += other.shares
        self.weight += other.weight
        return self


def open_shares(block, params):
    """`ShareSum` of one block; `params` are the objective, W and b."""
    objective, coef, intercept = params
    unknown = block.target < 0
    weight = np.where(unknown, block.weight, 0.0)
    return ShareSum(weight @ shares_of(objective.raw(block, coef, intercept)), float(weight.sum()))


class PartlyLabeledObjective:
    """Mean of `PartlyLabeled` over all rows, plus the divergence and the penalty.

    For `skgen.solvers.lbfgs`; `linear` is the LinearObjective of the supervised loss.
    """

    def __init__(self, linear, entropy_weight, balance_weight=0.0, wanted=None):
        self.linear = linear
        self.entropy_weight, self.balance_weight = entropy_weight, balance_weight
        self.wanted = wanted
        # Parameters evaluated since they were last asked for, and the divergence there.
        self.evaluated = []

    def value_and_gradient(self, w, rows):
        pull, extra = None, 0.0
        if self.balance_weight:
            total = rows.sum(open_shares, (self.linear, *self.linear.parts(w)))
            distance, pull = divergence(self.wanted, total.shares / total.weight)
            pull = self.balance_weight * pull
            extra = self.balance_weight * distance * total.weight / rows.weight_sum
        part = copy(self.linear)
        part.loss = PartlyLabeled(self.linear.loss, self.entropy_weight, pull)
        value, gradient = part.value_and_gradient(w, rows)
        self.evaluated.append((w, extra))
        return value + extra, gradient

    def mean_entropy(self, w, value, rows, labeled, loss):
        """Mean entropy of the rows without a label at `w`, from what is known there.

        `value` is the objective and `loss` the mean loss of the rows `labeled`.
        """
        open_weight = rows.weight_sum - labeled.weight_sum
        if not self.entropy_weight:
            part = copy(self.linear)
            part.loss = OnlyEntropy()
            return part.mean_loss(w, rows) * rows.weight_sum / open_weight
        extra = next((extra for seen, extra in self.evaluated if seen is w), 0.0)
        self.evaluated.clear()
        value -= extra + self.linear.penalty.squared(w)[0]
        total = value * rows.weight_sum - loss * labeled.weight_sum
        return total / (self.entropy_weight * open_weight)

    def gradient_norm(self, gradient):
        return self.linear.gradient_norm(gradient)

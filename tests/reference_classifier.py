"""Generative classifiers in plain NumPy and SciPy: semi-supervised EM, one loop per sum.

    maximize  sum_labeled w log p(x, y) + lambda sum_unlabeled w log p(x) + log p(theta)
    p(x, y) = sum_{k of class y} pi_k N(x; mu_k, S_k)

A label leaves a row the components of its class and no others; the M-step pools what all rows then
say, an unlabeled one lambda times as loud. Missing cells are completed as in `reference_mixture`.
Nigam, McCallum, Thrun and Mitchell (2000); Zhu (2005).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from tests import reference_mixture
from tests.reference_mixture import (
    Completed,
    Prior,
    dense,
    flat_prior,
    log_dirichlet,
    log_prior,
)

UNLABELED = -1


@dataclass(frozen=True)
class Task:
    """What is fitted: rows, class numbers (-1 unlabeled), weights, and the model's choices.

    `prior` is `flat_prior` unless `map`; `priors` are given class probabilities.
    """

    X: np.ndarray
    codes: np.ndarray
    components_class: np.ndarray
    prior: Prior
    map: bool = False
    unlabeled_weight: float = 1.0
    priors: np.ndarray = None
    weight: np.ndarray = None

    @property
    def row_weight(self):
        """w of labeled rows, lambda w of the others."""
        weight = np.ones(len(self.X)) if self.weight is None else np.array(self.weight, dtype=float)
        for i, code in enumerate(self.codes):
            if code == UNLABELED:
                weight[i] *= self.unlabeled_weight
        return weight


def likelihood_task(structure, X, codes, components_class, **choices):
    """A task of maximum likelihood."""
    flat = flat_prior(structure, X.shape[1])
    return Task(X, np.asarray(codes), np.asarray(components_class), flat, **choices)


def complete(task, weights, means, covariances):
    """What the E-step knows of every row; components that its label rules out have log joint -inf.

    So `log_norm` is log p(x, y) of a labeled row and log p(x) of another.
    """
    completed = reference_mixture.e_step(task.X, task.prior.structure, weights, means, covariances)
    joint = completed.joint.copy()
    for i, code in enumerate(task.codes):
        for k, owner in enumerate(task.components_class):
            if code not in (UNLABELED, owner):
                joint[i, k] = -np.inf
    return Completed(joint, completed.filled, completed.spread)


def objective(task, weights, means, covariances):
    """The number that EM must not decrease."""
    value = task.row_weight @ complete(task, weights, means, covariances).log_norm
    if not task.map:
        return value
    value += log_prior(task.prior, weights, means, covariances)
    if task.priors is not None:
        # What is free are the shares within each class: a Dirichlet distribution for each.
        a = task.prior.concentration
        value -= log_dirichlet(weights, a)
        for c, share in enumerate(task.priors):
            value += log_dirichlet(weights[task.components_class == c] / share, a)
    return value


def maximize(task, completed):
    """Weights, means and covariances of the M-step."""
    moments = reference_mixture.expected_moments(completed, task.row_weight)
    weights, means, covariances = reference_mixture.maximize(task.prior, *moments)
    if task.priors is not None:
        weights = weights.copy()
        for c, share in enumerate(task.priors):
            own = task.components_class == c
            weights[own] *= share / weights[own].sum()
    return weights, means, covariances


def iteration(task, weights, means, covariances):
    """Better parameters."""
    return maximize(task, complete(task, weights, means, covariances))


def supervised(task):
    """The fit of the labeled rows alone, for one component per class and no missing cell."""
    labeled = task.codes != UNLABELED
    weight = None if task.weight is None else task.weight[labeled]
    alone = replace(task, X=task.X[labeled], codes=task.codes[labeled], weight=weight)
    n, (K, d) = labeled.sum(), (len(task.components_class), task.X.shape[1])
    joint = np.full((n, K), -np.inf)
    for i, code in enumerate(alone.codes):
        joint[i, code] = 0.0
    filled = np.broadcast_to(alone.X[:, None], (n, K, d))
    return maximize(alone, Completed(joint, filled, np.zeros((n, K, d, d))))


def em(task, params, n_iter):
    """Parameters after so many iterations."""
    for _ in range(n_iter):
        params = iteration(task, *params)
    return params


def log_joint(X, structure, components_class, weights, means, covariances):
    """log p(x, y) of every row and class, over the observed cells."""
    joint = reference_mixture.e_step(X, structure, weights, means, covariances).joint
    classes = range(max(components_class) + 1)
    own = [np.asarray(components_class) == c for c in classes]
    return np.stack([logsumexp(joint[:, mask], axis=1) for mask in own], axis=1)


def linear_coefficients(means, covariance, priors):
    """Slopes S^-1 mu_c and intercepts ln pi_c - mu_c' S^-1 mu_c / 2 of the tied model."""
    coef = np.array([np.linalg.solve(covariance, mean) for mean in means])
    return coef, np.log(priors) - 0.5 * np.array([m @ b for m, b in zip(means, coef, strict=True)])


def pooled_step(task, responsibilities):
    """The M-step for one component per class as it is printed, with the mean pooled.

    pi = (N_c + lambda sum_u r) / (N_l + lambda N_u)
    mu = (sum_l x + lambda sum_u r x) / (N_c + lambda sum_u r)

    `responsibilities` [n, K] of the unlabeled rows; labeled ones count whole in their class.
    """
    X, codes, lam = task.X, task.codes, task.unlabeled_weight
    (n, d), K = X.shape, len(task.components_class)
    share, means, scatter = np.zeros(K), np.zeros((K, d)), np.zeros((K, d, d))
    total = sum(1.0 if code != UNLABELED else lam for code in codes)
    for c in range(K):
        r = np.array(
            [
                lam * responsibilities[i, c] if codes[i] == UNLABELED else float(codes[i] == c)
                for i in range(n)
            ]
        )
        share[c] = r.sum()
        means[c] = sum(r[i] * X[i] for i in range(n)) / share[c]
        for i in range(n):
            gap = X[i] - means[c]
            scatter[c] += r[i] * np.outer(gap, gap)
    structure = task.prior.structure
    if structure == "tied":
        covariances = scatter.sum(axis=0) / total
    else:
        covariances = scatter / share[:, None, None]
        if structure != "full":
            covariances = np.array([np.diag(matrix) for matrix in covariances])
        if structure == "spherical":
            covariances = covariances.mean(axis=1)
    return share / total, means, covariances


def covariance_matrices(classifier):
    """One covariance matrix per component of a fitted classifier."""
    return dense(classifier.covariance_type, classifier.covariances_, *classifier.means_.shape)

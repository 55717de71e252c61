"""Workloads of linear classifiers: reach a relative gap to the optimum, or do some epochs.

    J(w) = sum_i loss(x_i . w + b, y_i) / n + |w|_2^2 / (2 C n)      or  ... + |w|_1 / (C n)

The judge computes J in float64. How far its optimum may lie below the one it compares with is
bounded too: a squared penalty makes J strongly convex, J(w) - J* <= |gradient|^2 C n / 2, and an
absolute one has the gap to the dual value at the scaled residuals.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp, xlogy

# The relative gap that every contender has to reach.
GOAL = 1e-6
# The optimum itself is known this well, or the notes say otherwise.
CERTAINTY = 1e-8
JUDGED_AT_ONCE = 20_000


@dataclass
class GapProblem:
    """Minimize J to a relative gap; judged by the gap reached."""

    X: object
    y: np.ndarray
    C: float = 1.0
    l1: bool = False
    fit_intercept: bool = True
    goal: float = GOAL
    n_iter = 1
    to_convergence = True
    higher_is_better = False
    objective_name = "relative gap to the optimum, in float64 by the same code for all"

    @cached_property
    def n_outputs(self):
        n_classes = int(self.y.max()) + 1
        return 1 if n_classes == 2 else n_classes

    @property
    def strength(self):
        return 1.0 / (self.C * self.X.shape[0])

    @cached_property
    def rows_and_ones(self):
        """X with a column of ones, for peers without an intercept or with a strange one.

        Its weight is penalized, which moves the optimum by far less than the goal. Such copies
        are made outside the clock.
        """
        if not self.fit_intercept:
            return self.X
        return np.column_stack([self.X, np.ones(len(self.X), dtype=self.X.dtype)])

    @cached_property
    def columns(self):
        """X by columns, as peers that walk them want it."""
        return self.X.tocsc() if sparse.issparse(self.X) else np.asfortranarray(self.X)

    @cached_property
    def columns_and_ones(self):
        if not self.fit_intercept:
            return self.columns
        return np.asfortranarray(self.rows_and_ones)

    def split(self, w):
        """coef and intercept of weights for `rows_and_ones`."""
        if self.fit_intercept:
            return w[:-1], w[-1:]
        return w, np.zeros(1)

    def judge(self, answer):
        coef, intercept = (np.asarray(part, dtype=np.float64) for part in answer)
        value = self.value_and_gradient(self.pack(coef, intercept))[0]
        optimum = self.optimum[0]
        return (value - optimum) / optimum

    def notes(self):
        """How well the optimum is known."""
        value, bound = self.optimum
        return [f"optimum {value:.12g}, certainly within {bound / value:.2g} relative"]

    def pack(self, coef, intercept):
        w = np.zeros((self.n_outputs, self.X.shape[1] + 1))
        w[:, :-1] = coef.reshape(self.n_outputs, -1)
        w[:, -1] = intercept if self.fit_intercept else 0.0
        return w.ravel()

    def value_and_gradient(self, w):
        """J and the gradient of its smooth part."""
        w = w.reshape(self.n_outputs, -1)
        coef, n_rows = w[:, :-1], self.X.shape[0]
        gradient, value = np.zeros_like(w), 0.0
        for start in range(0, n_rows, JUDGED_AT_ONCE):
            X = self.X[start : start + JUDGED_AT_ONCE].astype(np.float64, copy=False)
            raw = np.asarray(X @ coef.T) + w[:, -1]
            losses, residual = loss_and_residual(raw, self.y[start : start + JUDGED_AT_ONCE])
            value += losses.sum() / n_rows
            gradient[:, :-1] += (X.T @ residual).T / n_rows
            gradient[:, -1] += residual.sum(axis=0) / n_rows
        if self.l1:
            value += self.strength * np.abs(coef).sum()
        else:
            value += 0.5 * self.strength * np.vdot(coef, coef)
            gradient[:, :-1] += self.strength * coef
        if not self.fit_intercept:
            gradient[:, -1] = 0.0
        return value, gradient.ravel()

    @cached_property
    def optimum(self):
        """The least J found and how far it may lie above the infimum."""
        if self.l1:
            return self.absolute_optimum()
        w = self.pack(*accurate_fit(self))
        value, gradient = self.value_and_gradient(w)
        for _ in range(3):
            bound = gradient @ gradient / (2.0 * self.strength)
            if bound <= CERTAINTY * value:
                break
            options = {"maxiter": 1000, "ftol": 0.0, "gtol": 0.0, "maxcor": 50}
            w = minimize(self.value_and_gradient, w, jac=True, method="L-BFGS-B", options=options).x
            value, gradient = self.value_and_gradient(w)
        return value, bound

    def absolute_optimum(self):
        """The best of accurate fits and the gap to the dual value that its residuals give."""
        w = self.pack(*accurate_fit(self))
        value, gradient = self.value_and_gradient(w)
        # Residuals shrunk until no column's slope exceeds the penalty are dual feasible.
        shrink = min(1.0, self.strength / np.abs(gradient[:-1]).max())
        raw = np.asarray(self.X @ w[:-1])
        share = shrink * np.where(self.y == 1, expit(-raw), expit(raw))
        dual = -(xlogy(share, share) + xlogy(1.0 - share, 1.0 - share)).mean()
        return value, value - dual


def loss_and_residual(raw, y):
    """The loss of every row and its gradient by the scores."""
    if raw.shape[1] == 1:
        raw = raw[:, 0]
        losses = -log_expit(np.where(y == 1, raw, -raw))
        return losses, (expit(raw) - y)[:, np.newaxis]
    rows = np.arange(len(raw))
    total = logsumexp(raw, axis=1)
    residual = np.exp(raw - total[:, np.newaxis])
    residual[rows, y] -= 1.0
    return total - raw[rows, y], residual


def accurate_fit(problem):
    """coef and intercept near the optimum: by skgen, or without it by scikit-learn."""
    X = problem.X.astype(np.float64)
    try:
        from skgen.linear_model import LogisticRegression
    except ImportError:
        from sklearn.linear_model import LogisticRegression
    solver = "liblinear" if problem.l1 and LogisticRegression.__module__[0] == "s" else "lbfgs"
    if LogisticRegression.__module__.startswith("skgen"):
        solver = "auto"
    model = LogisticRegression(
        C=problem.C,
        l1_ratio=float(problem.l1),
        fit_intercept=problem.fit_intercept,
        solver=solver,
        tol=1e-9,
        max_iter=2000,
    )
    model.fit(X, problem.y)
    return model.coef_, model.intercept_


@dataclass
class EpochProblem:
    """Some epochs of a perceptron; judged by the share of rows classified.

    In the same order all must end with the same weights. Orders that differ, on labels with
    noise, end with last weights that differ widely.
    """

    X: object
    y: np.ndarray
    n_iter: int
    to_convergence = True
    higher_is_better = True
    shuffle: bool = True
    objective_name = "mean over the rounds of the training accuracy of the last weights"

    def judge(self, answer):
        coef, intercept = answer
        scores = self.X @ coef.ravel().astype(self.X.dtype) + intercept[0]
        return float(((scores > 0) == (self.y == 1)).mean())

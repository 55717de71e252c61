"""A support vector machine that also chooses the labels of rows without one, for two classes.

    min over w, y_u   |w|^2 / 2 + sum_l C_l max(0, 1 - y_l f_l) + sum_u C_u max(0, 1 - y_u f_u)
    f(x) = w'(phi(x) - m) + b,      m the mean of phi over the rows without a label, b = 2 r - 1

The best label of a row is the sign of f, which makes its loss the hat max(0, 1 - |f|). Features
are centered at m, so that b is the mean of f over those rows: fixed, it keeps a share r of them
positive and the trivial answer away (Chapelle and Zien 2005). For given labels this is a quadratic
program in a box without equality,

    min  a'K_yy a / 2 - sum_i a_i (1 - y_i b),    0 <= a_i <= C_i,    w = sum_i a_i y_i (phi_i - m)

Labels and w are improved in turns while C_u rises, from several starts, then single labels are
flipped (Joachims 1999; Collobert, Sinz, Weston and Bottou 2006). Few rows without a label are
settled for good, by branch and bound (Chapelle, Sindhwani and Keerthi 2006).
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

# C_u takes these shares of its value, one after the other.
STAGES = 2.0 ** np.arange(-8, 1)
# Turns of labels and weights at one C_u.
MOST_TURNS = 100
# Labels whose flip is tried: those of the rows nearest to the boundary.
TRIED_FLIPS = 30
# Quadratic programs go on to slopes of this share of the gap that is allowed.
SLOPE = 1e-2
# A better objective is lower by this share.
BETTER = 1e-9
# Free variables of the quadratic program are solved for exactly up to so many.
POLISHED = 1500
POLISHING = 200
# Eigenvalues of a smaller share are zero; a step longer than any box.
FLAT, LONG = 1e-12, 1e12


class KernelSpace:
    """Features known by their products K (n, n), centered at the mean with weights `mean` (n,)."""

    def __init__(self, K, mean):
        self.columns = K @ mean
        self.square = float(mean @ self.columns)
        self.K = K - self.columns[:, None] - self.columns + self.square

    def scores(self, coef):
        """w'(phi_i - m) of all rows for w = sum coef_i (phi_i - m)."""
        return self.K @ coef

    def at_mean(self, coef):
        """w'm."""
        return float(coef @ self.columns - coef.sum() * self.square)

    def gram(self, rows):
        return self.K[np.ix_(rows, rows)]


class LinearSpace:
    """Features that are the columns of X (n, d), an array or CSR, centered without a copy."""

    def __init__(self, X, mean):
        self.X, self.m = X, np.asarray(X.T @ mean).ravel()

    def weights(self, coef):
        return np.asarray(self.X.T @ coef).ravel() - coef.sum() * self.m

    def at_mean(self, coef):
        return float(self.weights(coef) @ self.m)

    def scores(self, coef):
        w = self.weights(coef)
        return np.asarray(self.X @ w).ravel() - self.m @ w

    def gram(self, rows):
        part = self.X[rows]
        product = part @ part.T
        product = product.toarray() if sparse.issparse(product) else product
        across = np.asarray(part @ self.m).ravel()
        return product - across[:, None] - across + self.m @ self.m


@dataclass(frozen=True)
class Machine:
    """Box variables a (n,), scores f (n,), labels y (n,), the objective and a bound below it."""

    a: np.ndarray
    f: np.ndarray
    y: np.ndarray
    objective: float
    lower: float


class TransductiveProblem:
    """The problem of two classes.

    Parameters
    ----------
    space : KernelSpace or LinearSpace
    y : float ndarray of shape (n,)
        1 and -1, and 0 for a row without a label.
    C : ndarray of shape (n,)
        Cost of each row.
    b : float
        The mean of f over the rows without a label.
    tol : float
        Largest gap between the objective of a quadratic program and its dual, as a share.
    max_iter : int
        Of the quadratic program.
    """

    def __init__(self, space, y, C, b, tol, max_iter):
        self.space, self.given, self.C, self.b = space, y, C, b
        self.tol, self.max_iter = tol, max_iter
        self.free = np.flatnonzero(y == 0.0)
        self.unsolved = 0

    def solve(self, y, factor=1.0, a=None, rows=None):
        """The machine for labels `y`; costs of rows without a given one times `factor`.

        `rows` are those that take part, all by default; `a` is where to begin.
        """
        C = self.C.copy()
        C[self.free] *= factor
        rows = np.arange(len(y)) if rows is None else rows
        y_in, upper = y[rows], C[rows]
        target = 1.0 - y_in * self.b
        start = np.zeros(len(rows)) if a is None else np.clip(a[rows], 0.0, upper)
        full = np.zeros(len(y))

        def gradient_of(part):
            full[rows] = part * y_in
            return y_in * self.space.scores(full)[rows] - target

        def value_and_gradient(part):
            gradient = gradient_of(part)
            return 0.5 * float(part @ (gradient - target)), gradient

        found = minimize(
            value_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([np.zeros(len(rows)), upper]),
            options={
                "maxiter": self.max_iter,
                "gtol": SLOPE * self.tol,
                "ftol": 0.0,
                "maxfun": 10**9,
            },
        )
        part = np.clip(found.x, 0.0, upper)
        part = self.polish(part, upper, y_in, rows, gradient_of)
        a = np.zeros(len(y))
        a[rows] = part
        f = self.space.scores(a * y) + self.b
        square = float(part @ (gradient_of(part) + target))
        loss = upper @ np.maximum(0.0, 1.0 - y_in * f[rows])
        machine = Machine(a, f, y, 0.5 * square + float(loss), float(target @ part) - 0.5 * square)
        self.unsolved += machine.objective - machine.lower > self.tol * max(machine.objective, 1e-9)
        return machine

    def polish(self, part, upper, y, rows, gradient_of):
        """An active set method: Newton steps of the free variables, up to the first bound."""
        for _ in range(POLISHING):
            slope, gradient = self.slope(part, upper, gradient_of)
            low, high = part <= 0.0, part >= upper
            free = ~(low | high) | (low & (gradient < 0.0)) | (high & (gradient > 0.0))
            if slope <= SLOPE * self.tol or not 0 < free.sum() <= POLISHED:
                break
            free = np.flatnonzero(free)
            while len(free):
                sign = y[free]
                Q = self.space.gram(rows[free]) * np.outer(sign, sign)
                step = descent(Q, gradient[free])
                # A variable at a bound that would leave the box stays.
                out = (low[free] & (step < 0.0)) | (high[free] & (step > 0.0))
                if not out.any():
                    break
                free = free[~out]
            if not len(free):
                break
            with np.errstate(divide="ignore", invalid="ignore"):
                room = np.where(step > 0.0, upper[free] - part[free], part[free]) / np.abs(step)
            room = np.where(step == 0.0, np.inf, room)
            length = min(float(room.min()), 1.0 if np.isfinite(step).all() else 0.0)
            part = part.copy()
            part[free] = np.clip(part[free] + length * step, 0.0, upper[free])
            # What has met its bound lies on it, whatever rounding says.
            met = free[room <= length]
            part[met] = np.where(part[met] > 0.5 * upper[met], upper[met], 0.0)
        return part

    @staticmethod
    def slope(part, upper, gradient_of):
        """The largest entry of the projected gradient, and the gradient."""
        gradient = gradient_of(part)
        down = np.where(part > 0.0, gradient, np.minimum(gradient, 0.0))
        projected = np.where(part < upper, down, np.maximum(down, 0.0))
        return float(np.abs(projected).max(initial=0.0)), gradient

    def chosen(self, f):
        """The labels that suit the scores."""
        y = self.given.copy()
        y[self.free] = np.where(f[self.free] >= 0.0, 1.0, -1.0)
        return y

    def settle(self, f, stages, history):
        """Labels and weights in turns while the cost of the labels rises; a local minimum."""
        machine, y = None, self.chosen(f)
        for factor in stages:
            for _ in range(MOST_TURNS):
                a = None if machine is None else machine.a
                machine = self.solve(y, factor, a)
                y = self.chosen(machine.f)
                if np.array_equal(y, machine.y):
                    break
            history.append(machine.objective)
        return self.flip(machine, history)

    def flip(self, machine, history):
        """Try the other label of the rows nearest to the boundary, while that is better."""
        improved = True
        while improved:
            improved = False
            near = self.free[np.argsort(np.abs(machine.f[self.free]), kind="stable")]
            for row in near[:TRIED_FLIPS]:
                if abs(machine.f[row]) >= 1.0:
                    break
                y = machine.y.copy()
                y[row] = -y[row]
                trial = self.solve(y, 1.0, machine.a)
                for _ in range(MOST_TURNS):
                    y = self.chosen(trial.f)
                    if np.array_equal(y, trial.y):
                        break
                    trial = self.solve(y, 1.0, trial.a)
                if trial.objective < machine.objective * (1.0 - BETTER):
                    machine, improved = trial, True
                    history.append(machine.objective)
                    break
        return machine

    def bound(self, best):
        """Branch and bound from a machine to beat; the global minimum.

        A node gives labels to some rows; without the others the objective can only be lower.
        """
        known = np.flatnonzero(self.given != 0.0)

        def visit(y, open_rows, best):
            rows = np.sort(np.concatenate([known, self.free[y[self.free] != 0.0]]))
            machine = self.solve(y, 1.0, rows=rows)
            if machine.lower >= best.objective * (1.0 - BETTER):
                return best
            if not len(open_rows):
                return machine if machine.objective < best.objective else best
            # The row whose label is most certain first, by its likelier label.
            number = int(np.argmax(np.abs(machine.f[open_rows])))
            row, rest = open_rows[number], np.delete(open_rows, number)
            sign = 1.0 if machine.f[row] >= 0.0 else -1.0
            for label in (sign, -sign):
                y = y.copy()
                y[row] = label
                best = visit(y, rest, best)
            return best

        return visit(self.given.copy(), self.free, best)


def descent(Q, gradient):
    """The Newton step, or where the gradient leaves the range of Q a long step along the rest."""
    values, vectors = np.linalg.eigh(Q)
    inside = values > FLAT * max(float(values[-1]), 0.0)
    along = vectors.T @ gradient
    rest = vectors[:, ~inside] @ along[~inside]
    if np.abs(rest).max(initial=0.0) > FLAT * max(1.0, np.abs(gradient).max()):
        # There the objective falls without an end: up to a bound.
        return -rest * (LONG / np.abs(rest).max())
    return -(vectors[:, inside] @ (along[inside] / values[inside]))


def settle_best(problem, starts, n_init, exact_rows, random_state):
    """The best machine of several starts, and the objectives on the way to each.

    `starts` are (scores, stages); more starts are the first scores with noise.
    """
    best, histories = None, []
    first, stages = starts[0]
    for number in range(n_init):
        if number < len(starts):
            f, own = starts[number]
        else:
            noise = random_state.normal(size=len(first))
            f, own = first + (1.0 + np.abs(first).max()) * noise, stages
        history = []
        machine = problem.settle(f, own, history)
        histories.append(history)
        if best is None or machine.objective < best.objective:
            best = machine
    if len(problem.free) <= exact_rows:
        best = problem.bound(best)
    return best, histories

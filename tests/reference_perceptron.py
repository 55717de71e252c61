"""NumPy twin of the perceptron kernels: every visit spelled out, no scale and no tricks."""

import numpy as np


class Twin:
    """K weight vectors that visit rows one after the other.

    Parameters as the kernels take them; `average` is the number of the first visit averaged.
    """

    def __init__(self, coef, intercept, *, positive, gain, eta=1.0, l2=0.0, l1=0.0, average=np.inf,
                 fit_intercept=True, multiclass=False, penalty=0):  # fmt: skip
        self.coef = np.array(coef, dtype=float)
        self.intercept = np.array(intercept, dtype=float)
        self.positive, self.gain, self.eta, self.average = positive, gain, eta, average
        self.l2, self.l1, self.penalty = l2, l1, penalty
        self.fit_intercept, self.multiclass = fit_intercept, multiclass
        n_units = 1 if multiclass else len(self.coef)
        self.paid = np.zeros_like(self.coef)
        self.due = np.zeros(n_units)
        self.time = np.ones(n_units)
        self.coef_sum, self.intercept_sum = np.zeros_like(self.coef), np.zeros_like(self.intercept)
        self.visits = np.zeros(n_units)
        self.loss, self.charge = np.zeros(n_units), np.zeros(n_units)
        self.mistakes = np.zeros(n_units, dtype=int)

    def walk(self, X, target, order, weight=None, share=None):
        for i in order:
            x, y = X[i].astype(float), target[i]
            w = 1.0 if weight is None else weight[i]
            s = 1.0 if share is None else share[i]
            if self.multiclass:
                self.visit_classes(x, y, w, s)
            else:
                for k in range(len(self.coef)):
                    self.visit(k, x, y == self.positive[k], w, s)

    def visit(self, k, x, is_positive, weight, share):
        sign = 1 if is_positive else -1
        z = sign * (self.coef[k] @ x + self.intercept[k])
        self.shrink([k], k, share)
        if not z > 0:
            self.loss[k] -= share * z
            step = self.eta * self.gain[k][int(is_positive)] * weight
            self.move(k, sign * step, x)
            self.mistakes[k] += step > 0
        self.finish([k], k, x)

    def visit_classes(self, x, y, weight, share):
        scores = self.coef @ x + self.intercept
        others = np.where(np.arange(len(scores)) == y, -np.inf, scores)
        rival = int(others.argmax())
        z = scores[y] - scores[rival]
        everyone = range(len(scores))
        self.shrink(everyone, 0, share)
        if not z > 0:
            self.loss[0] -= share * z
            step = self.eta * self.gain[y][1] * weight
            self.move(y, step, x)
            self.move(rival, -step, x)
            self.mistakes[0] += step > 0
        self.finish(everyone, 0, x)

    def move(self, k, step, x):
        self.coef[k] += step * x
        if self.fit_intercept:
            self.intercept[k] += step

    def shrink(self, members, unit, share):
        if self.penalty:
            coef = self.coef[list(members)]
            self.charge[unit] += share * (
                0.5 * self.l2 * (coef**2).sum() + self.l1 * np.abs(coef).sum()
            )
            for k in members:
                self.coef[k] *= max(0.0, 1 - self.eta * self.l2)

    def finish(self, members, unit, x):
        if self.penalty == 2:
            self.due[unit] += self.eta * self.l1
            for k in members:
                for j in np.flatnonzero(x):
                    self.truncate(k, j, self.due[unit])
        if self.time[unit] >= self.average:
            self.visits[unit] += 1
            for k in members:
                self.coef_sum[k] += self.coef[k]
                self.intercept_sum[k] += self.intercept[k]
        self.time[unit] += 1

    def truncate(self, k, j, due):
        """Tsuruoka, Tsujii and Ananiadou (2009), figure 2."""
        before = self.coef[k, j]
        if before > 0:
            self.coef[k, j] = max(0.0, before - (due + self.paid[k, j]))
        elif before < 0:
            self.coef[k, j] = min(0.0, before + (due - self.paid[k, j]))
        self.paid[k, j] += self.coef[k, j] - before

    def averaged(self):
        visits = self.visits if not self.multiclass else self.visits[:1]
        return self.coef_sum / visits[:, None], self.intercept_sum / visits


def best_wrong_margin(X, target, coef, intercept):
    """Least (own score - other score) / distance of the weights over rows and other classes."""
    scores = X.astype(float) @ coef.T + intercept
    least = np.inf
    for row, y in zip(scores, target, strict=True):
        for k in range(len(coef)):
            if k != y:
                least = min(least, (row[y] - row[k]) / np.linalg.norm(coef[y] - coef[k]))
    return least

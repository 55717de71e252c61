"""Wide sparse problems: the diagonal of the Hessian about the mean row preconditions gradients.

    H ~ T' diag(h_j, h_0) T,     T (w, b) = (w, b + m'w),     m = weighted mean row

L-BFGS starts from this H. Words of a text differ in frequency by a factor of thousands and so do
the curvatures of their weights; divided out, what is left is close to a multiple of the identity,
but for the intercept: it moves with every common word. About the mean row it moves alone, and the
mean need not be subtracted from the data, which stay sparse. On a text of 2e5 rows and 5e4 words
L-BFGS takes 6 iterations to a relative gap of 1e-6, and 11 with the plain diagonal.

Conjugate gradients inside Newton's method (Lin, Weng and Keerthi 2008) need twice as many
readings of the data with the same preconditioner, and dual coordinate descent (Yu, Huang and Lin
2011) some twelve that cannot share their work between threads.
"""

import numpy as np

from skgen.solvers.lbfgs import lbfgs

# A curvature smaller than this share of its terms is rounding.
LEAST_SHARE = 1e-9
# Iterations until the curvature has changed enough to be worth a reading.
FIRST_RENEWAL = 8


def diagonal(objective, w, rows, monitor, columns=None):
    """Minimize from `w`; `columns` (ColumnMoments) spares a reading where all weights are zero.

    ``objective.class_diagonal(w, rows, columns)`` returns the diagonal and its cross terms.
    """
    renew = Doubling(
        lambda w: CenteredDiagonal(objective, *objective.class_diagonal(w, rows, columns)).solve
    )
    return lbfgs(objective, w, rows, monitor, precondition=renew(w), renew=renew)


class Doubling:
    """A preconditioner that is cheap: made anew after 8, 16, 32, ... iterations."""

    def __init__(self, make):
        self.make, self.next = make, FIRST_RENEWAL

    def __call__(self, w):
        return self.make(w)

    def due(self, n_iter, gap, goal, left):
        """Whether it is time."""
        if n_iter < self.next:
            return False
        self.next *= 2
        return True


class CenteredDiagonal:
    """T' diag(h_j, h_0) T per class.

    Parameters
    ----------
    objective : object with layout and penalty
    diagonal, cross : ndarray of shape (K, d + 1)
        Means over the rows of h x_j^2 and of h x_j, where h is the curvature of the loss; the last
        x_j is 1.
    """

    def __init__(self, objective, diagonal, cross):
        self.layout = objective.layout
        strength = self.layout.views(objective.penalty.l2)
        within = diagonal[:, :-1] + strength["coef"]
        least = LEAST_SHARE * within
        self.mean = self.level = None
        if "intercept" in strength:
            self.level = inverse(diagonal[:, -1] + strength["intercept"])
            self.mean = cross[:, :-1] * self.level[:, None]
            within -= self.mean * cross[:, :-1]
        self.within = inverse(np.maximum(within, least))

    def solve(self, gradient):
        """About H^-1 gradient."""
        parts = self.layout.views(gradient)
        if self.mean is None:
            return (parts["coef"] * self.within).ravel()
        slope = parts["intercept"]
        coef = (parts["coef"] - self.mean * slope[:, None]) * self.within
        intercept = slope * self.level - np.einsum("kj,kj->k", self.mean, coef)
        return self.layout.pack(coef=coef, intercept=intercept)


def inverse(curvature):
    """1 / curvature; what has none does not move."""
    positive = curvature > 0.0
    return np.where(positive, 1.0 / np.where(positive, curvature, 1.0), 0.0)

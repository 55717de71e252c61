"""One fit of a linear classifier: from rows to the optimum of its penalized mean loss.

Columns are centered (where the intercept is free, which then only moves), huge or tiny ones are
scaled by powers of two, the shape decides on the solver, and the optimum is reported in units of
X again. Two facts are looked at that gradients do not show: classes that a plane separates have
no optimum without a penalty, and scores of all classes may shift together.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import qr

from skgen.base import UNWATCHED
from skgen.losses import LogLoss, SoftmaxLoss
from skgen.objectives import LinearObjective
from skgen.penalties import ElasticNet
from skgen.residuals import RowView
from skgen.rows import Rows
from skgen.solvers.columns import column_newton
from skgen.solvers.diagonal import diagonal
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.newton import Factor, newton
from skgen.solvers.proximal import proximal_newton
from skgen.solvers.sampled import sample_size, sampled
from skgen.statistics import column_moments

# Squares of numbers between these have room for sums and products.
MODERATE = {4: (1e-12, 1e12), 8: (1e-60, 1e60)}
# A penalty stronger than this per unit of a column leaves nothing of its weight.
STRONGEST = 1e200
# Up to so many numbers (4 MB), zeros included, float32 becomes float64 and CSR an array.
SMALL_DATA = 2**19
# Arrays of up to so many numbers are factored where they have more columns than rows.
FLAT_SIZE = 2**26
# Full Hessians are formed up to so many parameters ...
HESSIAN_PARAMETERS = 4000
# ... and so many multiplications a pass.
HESSIAN_WORK = 2e8
# The same for proximal Newton, which otherwise goes by columns.
PROXIMAL_PARAMETERS = 1500
PROXIMAL_WORK = 4e10
# CSR of more columns goes by columns even then, and by the Hessian after so many iterations.
PROXIMAL_SPARSE_COLUMNS = 100
COLUMN_ITERATIONS = 30
# Preconditioners by blocks of the Hessian are factored up to so many multiplications.
FACTOR_WORK = 6e10
# The Hessian of a sample is formed up to so many multiplications a step.
SAMPLE_HESSIAN_WORK = 4e9
# How far the problem of a sample is solved: to its own accuracy.
SAMPLE_ITERATIONS = 50
SAMPLE_TOL = 0.03
# Without a penalty, separation is looked for once the mean loss is below this.
SUSPICIOUS_LOSS = 0.05
SEPARATED = "the classes are separable and nothing is penalized"
NO_OPTIMUM = (
    "A plane separates the classes (rows may lie on it) and C=inf penalizes nothing, so the"
    " likelihood has no maximum: the length of coef_ means nothing. Choose a finite C."
)
# A margin is positive if it is by this share of the largest score.
CLEAR_MARGIN = 1e-9
# A row whose margin moves by less than this share of the most is on the separating plane.
ON_THE_PLANE = 1e-6
# A step that moves no margin by more than this goes nowhere.
GROWTH = 0.1


@dataclass(frozen=True)
class LinearProblem:
    """What is minimized: loss, strengths per squared and absolute weight, the intercept's."""

    loss: object
    n_outputs: int
    fit_intercept: bool
    l2: float
    l1: float
    intercept_l2: float = 0.0
    intercept_l1: float = 0.0

    @property
    def free_intercept(self):
        return self.fit_intercept and self.intercept_l2 == self.intercept_l1 == 0.0

    @property
    def unpenalized(self):
        return self.l2 == self.l1 == 0.0


def penalty_strength(C, weight):
    """1 / (C weight), finite however small C is; 0 for infinite C."""
    return 1.0 / max(C * weight, 1.0 / STRONGEST)


def loss_of(n_classes):
    """The log loss of two classes, the softmax loss of more."""
    return LogLoss() if n_classes == 2 else SoftmaxLoss()


class LinearFit:
    """A problem in internal units: builds the objective and translates parameters.

    Parameters
    ----------
    problem : LinearProblem
    rows : Rows, with class numbers as target
    columns : ColumnMoments
    """

    def __init__(self, problem, rows, columns):
        self.problem = problem
        rows = accurate_rows(rows)
        self.scale = column_scale(rows, columns)
        if self.scale is not None:
            rows = scaled_rows(rows, self.scale)
            # Of numbers up to 1: no overflow.
            columns = column_moments(rows)
        centers = problem.free_intercept and not sparse.issparse(rows.X)
        self.origin = columns.mean.astype(rows.dtype) if centers else None
        spread = np.sqrt(columns.square / columns.weight)
        origin, self.basis = self.origin, None
        if self.is_flat(rows):
            rows, self.basis = row_space(rows, self.origin)
            origin = spread = None
        d, k = rows.n_features, problem.n_outputs
        self.rows, self.columns = interruptible(rows, k * (d + 1)), columns
        inverse = np.ones(d) if self.scale is None else 1.0 / self.scale
        shapes = {"coef": (k, d)} | ({"intercept": (k,)} if problem.fit_intercept else {})
        penalty = penalty_of(problem, shapes, inverse)
        self.objective = LinearObjective(
            problem.loss, k, d, problem.fit_intercept, penalty, origin, spread, self.basis
        )

    def is_flat(self, rows):
        """Whether the weights had better be written in a basis of the rows.

        A squared penalty alone leaves no weight outside of the space that the rows span.
        """
        return (
            not sparse.issparse(rows.X)
            and self.scale is None
            and self.problem.l1 == 0.0
            and rows.n_features > rows.n_rows
            and rows.X.size <= FLAT_SIZE
        )

    def start(self, coef=None, intercept=None):
        """Internal parameters of given ones; without any, zero weights and the log shares."""
        layout, k = self.objective.layout, self.problem.n_outputs
        if coef is None:
            start = np.zeros(layout.size)
            if self.problem.free_intercept:
                layout.views(start)["intercept"][...] = log_shares(self.rows, k)
            return start
        coef = np.asarray(coef, dtype=np.float64)
        inner = coef if self.scale is None else coef * self.scale
        parts = {"coef": inner if self.basis is None else inner @ self.basis}
        if self.problem.fit_intercept:
            moved = 0.0 if self.origin is None else inner @ self.origin.astype(np.float64)
            parts["intercept"] = np.asarray(intercept, dtype=np.float64) + moved
        return layout.pack(**parts)

    def parameters(self, w, dtype=np.float64):
        """coef (K, d) and intercept (K,) in units of X."""
        coef, intercept = (np.array(part) for part in self.objective.parts(w))
        softmax = isinstance(self.problem.loss, SoftmaxLoss)
        if softmax and self.problem.unpenalized:
            # Of all weights that give the same probabilities, those that sum to zero; a penalty
            # has chosen already.
            coef -= coef.mean(axis=0)
        if self.basis is not None:
            coef = coef @ self.basis.T
        scale = 1.0 if self.scale is None else self.scale
        limit = np.finfo(dtype).max
        with np.errstate(over="ignore"):
            coef = np.clip(coef / scale, -limit, limit).astype(dtype)
        if self.origin is not None:
            # Of the rounded weights, so that scores near the origin keep their digits.
            intercept -= (coef.astype(np.float64) * scale) @ self.origin.astype(np.float64)
        if softmax and self.problem.free_intercept:
            intercept -= intercept.mean()
        return coef, np.clip(intercept, -limit, limit).astype(dtype)

    def solve(self, w, monitor):
        """Minimize; the `Solution`. Without a penalty, separated classes end the run."""
        if self.problem.unpenalized:
            monitor.halt = self.halt_when_separated
        if not self.objective.penalty.smooth:
            return self.solve_absolute(w, monitor)
        if not self.forms_hessian() and (sparse.issparse(self.rows.X) or self.is_wide()):
            return diagonal(self.objective, w, self.rows, monitor, self.columns)
        if self.forms_hessian():
            return newton(self.objective, w, self.rows, monitor)
        finish = newton if self.objective.n_parameters <= HESSIAN_PARAMETERS else None
        return sampled(self.objective, w, self.rows, monitor, self.solve_sample, finish)

    def solve_absolute(self, w, monitor):
        """Minimize where weights have an absolute penalty."""
        p, rows = self.objective.n_parameters, self.rows
        forms_hessian = p <= PROXIMAL_PARAMETERS and rows.n_rows * p**2 <= PROXIMAL_WORK
        if sparse.issparse(rows.X) and rows.n_features > PROXIMAL_SPARSE_COLUMNS:
            limit = COLUMN_ITERATIONS if forms_hessian else np.inf
            solution = column_newton(RowView(self.objective, rows), w, monitor, limit)
            if monitor.ended or not forms_hessian:
                return solution
            w = solution.params
        elif not forms_hessian:
            return column_newton(RowView(self.objective, rows), w, monitor)
        return proximal_newton(self.objective, w, rows, monitor)

    def is_wide(self):
        """Whether factors of one block of the Hessian per class are too much work."""
        k, d = self.objective.layout.shapes["coef"]
        return k * d**3 > FACTOR_WORK

    def forms_hessian(self):
        """Whether Newton's method on all rows is the cheapest way."""
        p, d = self.objective.n_parameters, self.rows.n_features
        few_rows = sample_size(self.rows.n_rows, d) == self.rows.n_rows
        return p <= HESSIAN_PARAMETERS and few_rows and self.rows.n_rows * p**2 <= HESSIAN_WORK

    def solve_sample(self, objective, w, rows):
        """Parameters near the optimum of a sample."""
        monitor = DescentMonitor(SAMPLE_ITERATIONS, SAMPLE_TOL, UNWATCHED, None)
        if objective.n_parameters**2 * rows.n_rows <= SAMPLE_HESSIAN_WORK:
            return newton(objective, w, rows, monitor).params
        return sampled(objective, w, rows, monitor, self.solve_sample).params

    def halt_when_separated(self, value, w):
        """A reason to stop where `w` already separates the classes, else None."""
        if value < SUSPICIOUS_LOSS and self.separates(w):
            return SEPARATED
        return None

    def separates(self, w):
        """Whether the scores at `w` put every row on the side of its class."""
        margins = self.rows.sum(smallest_margin, (self.objective, w))
        return margins.smallest > CLEAR_MARGIN * margins.largest

    def has_no_optimum(self, w):
        """Whether weights can grow for ever without any row getting worse.

        Where the classes are separated but for rows on the plane itself, the step that Newton's
        method would take next points along it: no margin falls in that direction.
        """
        if self.separates(w):
            return True
        if self.objective.n_parameters > HESSIAN_PARAMETERS:
            return False
        _, gradient, hessian = self.objective.value_gradient_hessian(w, self.rows)
        step = -Factor(hessian).solve(gradient)
        margins = self.rows.sum(smallest_margin, (self.objective, step))
        # Near an optimum the step is rounding; on the way to infinity margins grow by about 1.
        return margins.largest > GROWTH and margins.smallest >= -ON_THE_PLANE * margins.largest


def accurate_rows(rows):
    """The rows as a float64 array where that costs a few megabytes; others stay as they are.

    Sums over many rows average the rounding of single ones away.
    """
    small = rows.n_rows * rows.n_features <= SMALL_DATA
    if sparse.issparse(rows.X) and small:
        X = rows.X.toarray().astype(np.float64, copy=False)
    elif rows.dtype == np.float32 and small:
        X = rows.X.astype(np.float64)
    else:
        return rows
    return Rows(X, rows.weight, rows.target, n_threads=rows.n_threads)


def interruptible(rows, n_parameters):
    """The rows in blocks that take milliseconds even where each gives a full Hessian."""
    if n_parameters > HESSIAN_PARAMETERS:
        return rows
    work = float(n_parameters) ** 2
    return Rows(rows.X, rows.weight, rows.target, n_threads=rows.n_threads, row_work=work)


def row_space(rows, origin):
    """The rows in coordinates of an orthonormal basis of their span, and the basis (d, n)."""
    X = rows.X.astype(np.float64) if origin is None else rows.X.astype(np.float64) - origin
    basis, triangle = qr(X.T, mode="economic", overwrite_a=True, check_finite=False)
    inner = np.ascontiguousarray(triangle.T)
    return Rows(inner, rows.weight, rows.target, n_threads=rows.n_threads), basis


def penalty_of(problem, shapes, inverse_scale):
    """Strengths in the order of the parameters; a column in other units weighs otherwise."""
    k = shapes["coef"][0]
    with np.errstate(over="ignore"):
        l2 = [np.tile(np.minimum(problem.l2 * inverse_scale * inverse_scale, STRONGEST), k)]
        l1 = [np.tile(np.minimum(problem.l1 * inverse_scale, STRONGEST), k)]
    if "intercept" in shapes:
        l2.append(np.full(k, problem.intercept_l2))
        l1.append(np.full(k, problem.intercept_l1))
    return ElasticNet(np.concatenate(l2), np.concatenate(l1))


def log_shares(rows, n_outputs):
    """Scores of the classes from their shares of the total weight; the best constant scores."""
    n_classes = max(n_outputs, 2)
    shares = np.bincount(rows.target, rows.weight, minlength=n_classes)
    logs = np.log(np.maximum(shares / shares.sum(), 1e-10))
    return logs[1:] - logs[0] if n_outputs == 1 else logs - logs.mean()


def column_scale(rows, columns):
    """Powers of two that bring every column to about 1, or None where none needs it."""
    low, high = MODERATE[rows.dtype.itemsize]
    with np.errstate(all="ignore"):
        size = np.sqrt(columns.square / columns.weight + columns.mean**2)
        moderate = (size < high) & (size > low)
    if moderate.all():
        return None
    if sparse.issparse(rows.X):
        largest = abs(rows.X).max(axis=0).toarray().ravel().astype(np.float64)
    else:
        largest = np.maximum(rows.X.max(axis=0), -rows.X.min(axis=0)).astype(np.float64)
    # A column of zeros needs none either.
    if (moderate | (largest == 0.0)).all():
        return None
    exponent = np.ceil(np.log2(np.where(largest > 0.0, largest, 1.0)))
    return np.ldexp(1.0, np.clip(exponent, -1000, 1000).astype(np.int64))


def scaled_rows(rows, scale):
    """A copy of the rows with every column divided by its scale."""
    if sparse.issparse(rows.X):
        X = rows.X.copy()
        X.data = (X.data / scale[X.indices]).astype(X.dtype)
    else:
        X = (rows.X / scale).astype(rows.dtype)
    return Rows(X, rows.weight, rows.target, n_threads=rows.n_threads)


@dataclass(slots=True)
class Margins:
    """The smallest margin (score of the true class minus the best other), the largest by size."""

    smallest: float
    largest: float

    def merge(self, other):
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        return self


def smallest_margin(block, params):
    objective, w = params
    coef, intercept = objective.parts(w)
    raw = objective.raw(block, coef, intercept)
    raw = raw[block.weight > 0]
    target = block.target[block.weight > 0]
    if len(raw) == 0:
        return Margins(np.inf, 0.0)
    if raw.shape[1] == 1:
        margin = np.where(target == 1, raw[:, 0], -raw[:, 0])
    else:
        rows = np.arange(len(raw))
        true = raw[rows, target]
        raw = raw.copy()
        raw[rows, target] = -np.inf
        margin = true - raw.max(axis=1)
        raw[rows, target] = true
    return Margins(float(margin.min()), float(np.abs(margin).max()))

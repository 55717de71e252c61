"""Passes over the rows that plain and accelerated EM need to the same objective.

Counts, not seconds: every call of the reduction counts, rejected steps of an accelerator too.
"""

import warnings

import numpy as np

from benchmarks.data import overlapping
from benchmarks.problems import MixtureProblem

METHODS = ("EM", "squarem", "anderson")
RELATIVE_GAP = 1e-8
MANY = 20_000
# Plain EM has reached its limit when the last tenth of its iterations gained less than this share
# of the gap that is asked for.
SETTLED = 0.01


def count_passes(rounds, small):
    """One row per data set: passes of each method, or where it ended instead."""
    share = 4 if small else 1
    data = {
        "1200x2, three one deviation apart": (triangle(1200 // share), 3),
        "3000x2, five overlapping": (five(3000 // share), 5),
        "20kx2, five overlapping less": (overlapping(20_000 // share, 2, 5, np.float64), 5),
    }
    return [
        [f"{title}, {structure}", *compare(MixtureProblem.from_rows(X, structure, k, MANY))]
        for title, (X, k) in data.items()
        for structure in ("full", "tied", "diag", "spherical")
    ]


def triangle(n_rows):
    """Three components at the corners of a triangle with sides of one deviation."""
    generator = np.random.default_rng(0)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.87]])
    return corners[np.arange(n_rows) % 3] + generator.normal(size=(n_rows, 2))


def five(n_rows):
    """Five components of one shape, their means with 1.5 times its deviation."""
    generator = np.random.default_rng(0)
    centers = generator.normal(scale=1.5, size=(5, 2))
    return centers[generator.integers(5, size=n_rows)] + generator.normal(size=(n_rows, 2))


def compare(problem):
    """A cell for each method, and the limit of plain EM."""
    history, _ = fit(problem, None, MANY)
    limit = max(history)
    gained = limit - history[int(0.9 * len(history)) - 1]
    if gained > SETTLED * RELATIVE_GAP * abs(limit):
        return [*(len(METHODS) * ["EM has no limit yet"]), f"{limit:.9g}"]
    goal = limit - RELATIVE_GAP * abs(limit)
    cells = [passes_to(problem, None if method == "EM" else method, goal) for method in METHODS]
    return [*cells, f"{limit:.9g}"]


def passes_to(problem, method, goal):
    """Passes until the objective of the history first reaches the goal."""
    history, _ = fit(problem, method, MANY)
    reached = np.flatnonzero(np.asarray(history) >= goal)
    if not len(reached):
        return f"ends at {max(history):.9g}"
    _, passes = fit(problem, method, int(reached[0]) + 1)
    # Without iterations one pass computes the objective; what comes before it is no EM.
    _, before = fit(problem, method, 0)
    return str(passes - before + 1)


def fit(problem, method, n_iter):
    """The objective of every iteration, and how often the rows were read."""
    from skgen.mixture import GaussianMixture
    from skgen.rows import Rows

    passes = 0
    add_up = Rows.sum

    def counted(self, *arguments, **options):
        nonlocal passes
        passes += 1
        return add_up(self, *arguments, **options)

    options = {} if method is None else {"acceleration": method}
    model = GaussianMixture(
        len(problem.weights),
        covariance_type=problem.structure,
        tol=0.0,
        reg_covar=0.0,
        max_iter=n_iter,
        weights_init=problem.weights,
        means_init=problem.means,
        precisions_init=problem.precisions,
        **options,
    )
    Rows.sum = counted
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(problem.X)
    finally:
        Rows.sum = add_up
    return model.objective_history_, passes

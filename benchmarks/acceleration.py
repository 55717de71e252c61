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
    share = 10 if small else 1
    data = {
        "20kx2, k=5": (overlapping(20_000 // share, 2, 5, np.float64), 5),
        "30kx2, k=3, one sigma apart": (one_sigma_apart(30_000 // share), 3),
        "20kx8, k=16": (overlapping(20_000 // share, 8, 16, np.float64, seed=3), 16),
    }
    return [
        [title, *compare(MixtureProblem.from_rows(X, "full", k, MANY))]
        for title, (X, k) in data.items()
    ]


def one_sigma_apart(n_rows):
    generator = np.random.default_rng(0)
    group = generator.integers(3, size=n_rows)
    return generator.normal(size=(n_rows, 2)) + np.column_stack([group, np.zeros(n_rows)])


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


def require_effect(problem, method):
    """Raise where the option changes nothing: equal counts would look like a result."""
    if method is not None and fit(problem, method, 12)[0] == fit(problem, None, 12)[0]:
        raise RuntimeError(f"acceleration={method!r} takes the same steps as plain EM")


def passes_to(problem, method, goal):
    """Passes until the objective of the history first reaches the goal."""
    try:
        require_effect(problem, method)
    except RuntimeError as ineffective:
        return f"failed: {ineffective}"
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

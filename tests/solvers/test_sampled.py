"""Samples of large dense problems: when they are solved first, and how."""

import numpy as np
import pytest

from skgen.base import UNWATCHED
from skgen.linear_model import SoftmaxRegression
from skgen.linear_model.fitting import LinearFit
from skgen.rows import Rows
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.newton import newton
from skgen.solvers.sampled import sampled
from skgen.statistics import column_moments


@pytest.fixture(scope="module")
def fit():
    """The fit of four classes to 20000 rows, of which a sample of 4096 is asked for."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(20000, 30))
    target = (X @ generator.normal(size=(30, 4))).argmax(axis=1).astype(np.int32)
    rows = Rows(X, None, target)
    base = SoftmaxRegression(C=1e-3)
    return LinearFit(base._problem(4, rows.weight_sum), rows, column_moments(rows))


def test_a_start_that_explains_the_rows_is_not_left_for_a_sample(fit):
    # Every fourth row.
    asked = []

    def solve_sample(objective, w, part):
        asked.append(part.n_rows)
        return fit.solve_sample(objective, w, part)

    def solve(w):
        monitor = DescentMonitor(200, 1e-8, UNWATCHED, None)
        return sampled(fit.objective, w, fit.rows, monitor, solve_sample)

    cold = solve(fit.start())
    assert asked == [5000]
    warm = solve(cold.params + 0.01)
    assert asked == [5000]
    # Weights that mislead are no start.
    misled = solve(-cold.params)
    assert asked == [5000, 5000]
    # Weights and intercepts without what moves all scores of a row together.
    expected = fit.parameters(cold.params)
    for other in (warm, misled):
        for part, same in zip(fit.parameters(other.params), expected, strict=True):
            np.testing.assert_allclose(part, same, atol=1e-4)


def test_a_large_sample_is_solved_by_a_sample_of_its_own(fit, monkeypatch):
    monkeypatch.setattr("skgen.linear_model.fitting.SAMPLE_HESSIAN_WORK", 0.0)
    start = fit.start()
    found = fit.solve_sample(fit.objective, start, fit.rows)
    monitor = DescentMonitor(200, 1e-10, UNWATCHED, None)
    optimum = newton(fit.objective, start, fit.rows, monitor).value
    # To SAMPLE_TOL of the fall.
    before, after = (fit.objective.value_and_gradient(w, fit.rows)[0] for w in (start, found))
    assert after - optimum < 0.03 * (before - optimum)

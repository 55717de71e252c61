"""A step upward: higher or nowhere, whatever the function does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgen.solvers.ascent import LONGEST_STEP, MOST_TRIALS, ascend

HESSIAN = np.array([[-4.0, 1.0], [1.0, -1.0]])
TOP = np.array([1.0, -2.0])


def quadratic(x):
    return 0.5 * (x - TOP) @ HESSIAN @ (x - TOP), HESSIAN @ (x - TOP)


def counted(function):
    """`function`, and the list of vectors it was called with."""
    seen = []

    def call(x):
        seen.append(x)
        return function(x)

    return call, seen


def test_steps_climb_to_the_top():
    x, step, values = np.zeros(2), 1.0, [quadratic(np.zeros(2))[0]]
    for _ in range(200):
        x, step = ascend(quadratic, x, step)
        values.append(quadratic(x)[0])
    assert (np.diff(values) >= 0.0).all()
    # The value is flat to rounding within the root of that.
    np.testing.assert_allclose(x, TOP, atol=1e-7)


def test_newton_direction_leads_to_the_top_of_a_quadratic_at_once():
    function, seen = counted(quadratic)
    x, _ = ascend(function, np.zeros(2), precondition=lambda g: -np.linalg.solve(HESSIAN, g))
    np.testing.assert_allclose(x, TOP, rtol=1e-14)
    assert len(seen) == 2


def test_step_is_halved_until_the_value_rises_enough_and_remembered():
    def parabola(x):
        return -float(x @ x), -2.0 * x

    # t promises 4 t and gives 4 t - 4 t^2: a quarter of it up to t = 3 / 4.
    x, step = ascend(parabola, np.ones(1), 8.0)
    assert step == 0.5 and x[0] == 0.0
    x, step = ascend(parabola, np.ones(1), 0.125)
    assert step == 0.25 and x[0] == 0.75


@pytest.mark.parametrize("wall", [np.nan, np.inf, -np.inf, ValueError])
def test_trials_beyond_a_wall_are_rejected(wall):
    def walled(x):
        if x[0] >= 1.0:
            if wall is ValueError:
                raise ValueError("no parameters there")
            return wall, np.full(1, np.nan)
        return x[0], np.ones(1)

    x, step = ascend(walled, np.zeros(1), 1e6)
    assert 0.5 <= x[0] < 1.0 and step == x[0]


def test_trials_may_overflow_without_a_warning():
    def steep(x):
        return x[0] - np.exp(x[0]), 1.0 - np.exp(x)

    x, _ = ascend(steep, np.full(1, -5.0), 1e5)
    assert steep(x)[0] > steep(np.full(1, -5.0))[0]


@pytest.mark.parametrize(
    ("value", "gradient"),
    [(np.nan, 1.0), (-np.inf, 1.0), (0.0, np.nan), (0.0, np.inf), (0.0, 0.0)],
)
def test_vector_stays_where_nothing_tells_the_way(value, gradient):
    x = np.zeros(3)
    function, seen = counted(lambda x: (value, np.full(3, gradient)))
    there, step = ascend(function, x, 0.25)
    assert there is x and step == 0.25 and len(seen) == 1


@pytest.mark.parametrize(("step", "n_trials"), [(4.0, 0), (1024.0, 6)])
def test_top_is_recognized_by_rounding(step, n_trials):
    """The slope promises 8e-6 t, which 1e12 does not show below t = 28."""
    function, seen = counted(lambda x: (1e12 - float(x @ x), -2.0 * x))
    x = np.full(2, 1e-3)
    there, kept = ascend(function, x, step)
    assert there is x and kept == step and len(seen) == 1 + n_trials


def test_gradient_of_the_wrong_sign_leads_nowhere():
    function, seen = counted(lambda x: (-float(x @ x), 2.0 * x))
    x = np.ones(2)
    there, _ = ascend(function, x)
    assert there is x and len(seen) <= MOST_TRIALS + 1


@pytest.mark.parametrize("bad", [np.nan, -1.0, 0.0, np.inf])
def test_direction_that_is_not_upward_gives_way_to_the_gradient(bad):
    given_way, _ = ascend(quadratic, np.zeros(2), precondition=lambda g: bad * g)
    plain, _ = ascend(quadratic, np.zeros(2))
    np.testing.assert_array_equal(given_way, plain)


def test_straight_line_does_not_make_the_step_overflow():
    x, step = np.zeros(1), 1.0
    for _ in range(80):
        x, step = ascend(lambda x: (x[0], np.ones(1)), x, step)
    assert step == LONGEST_STEP and np.isfinite(x).all()


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_step_must_be_positive_and_finite(step):
    with pytest.raises(ValueError, match="step must be positive and finite"):
        ascend(quadratic, np.zeros(2), step)


def test_error_at_the_vector_itself_is_raised():
    def broken(x):
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        ascend(broken, np.zeros(2))


@settings(max_examples=300, deadline=None)
@given(
    coefficients=st.lists(st.floats(-10.0, 10.0), min_size=4, max_size=4),
    start=st.floats(-3.0, 3.0),
    step=st.floats(1e-8, 1e8),
)
def test_value_never_falls(coefficients, start, step):
    """A polynomial of degree 4 plus a wave: hills, valleys and saddles."""
    polynomial = [-1.0, *coefficients]

    def value(x):
        return np.polyval(polynomial, x[0]) + np.sin(5.0 * x[0])

    def function(x):
        gradient = np.polyval(np.polyder(polynomial), x[0]) + 5.0 * np.cos(5.0 * x[0])
        return value(x), np.array([gradient])

    x = np.array([start])
    for _ in range(5):
        there, step = ascend(function, x, step)
        assert value(there) >= value(x) and 0.0 < step < np.inf
        x = there

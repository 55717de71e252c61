"""Accelerated EM: the limit of plain EM in fewer passes, and a history that tells the truth."""

import numpy as np
import pytest

from skgen.distributions.gaussian import STRUCTURES
from skgen.mixture import GaussianMixture
from skgen.rows import Rows
from skgen.solvers import acceleration
from skgen.solvers.em import em, land
from skgen.solvers.monitor import Monitor
from tests.problems import assert_same_bits, fitted_state, overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

METHODS = ("squarem", "anderson")
# The objective is a mean over rows: limits agree to what EM leaves undone at tol=1e-13.
SAME_LIMIT = 1e-8


class Counted:
    """A statistic of nothing."""

    def merge(self, other):
        return self


class Ascent:
    """EM whose step is one of gradient ascent: F(x) = x + gradient(x), curvature at most 1.

    Then gradient . step - |step|^2 / 2 bounds the gain of every step from below.
    """

    def __init__(self, value, gradient):
        self.function, self.gradient = value, gradient
        self.values = []

    def prepare(self, params):
        return params

    @staticmethod
    def e_step(block, prepared):
        return Counted()

    def value(self, params, statistic):
        self.values.append(self.function(params))
        return self.values[-1]

    merit = value

    def m_step(self, params, statistic):
        return params + self.gradient(params)

    def pack(self, params):
        return params

    def unpack(self, vector, like):
        return vector

    def gain(self, statistic, old, new):
        step = new - old
        return float(self.gradient(old) @ step - 0.5 * step @ step)


class Run:
    """Counts the iterations that callbacks see; asks to stop after `limit` of them."""

    def __init__(self, limit=None):
        self.begun, self.ended, self.seen, self.limit = 0, 0, [], limit

    def begin(self):
        self.begun += 1

    def end(self, attributes):
        self.ended += 1
        self.seen.append(attributes())
        return self.ended == self.limit


def solve(model, start, method, tol=1e-13, max_iter=20000, limit=None):
    run = Run(limit)
    monitor = Monitor(max_iter, tol, run, lambda params: params)
    rows = Rows(np.zeros((4, 1)))
    solution = em(model, np.asarray(start, dtype=np.float64), rows, monitor, method)
    assert solution.n_iter == len(solution.history) == run.ended
    assert np.diff(solution.history).min(initial=0.0) >= -1e-14
    return solution, run


def slow_map(factors):
    """A quadratic whose errors EM shrinks by `factors`, in rotated coordinates."""
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(len(factors),) * 2))[0]
    hessian = rotation @ np.diag(1.0 - np.asarray(factors)) @ rotation.T
    limit = np.arange(len(factors), dtype=np.float64)
    model = Ascent(
        lambda x: -0.5 * float((x - limit) @ hessian @ (x - limit)),
        lambda x: -hessian @ (x - limit),
    )
    return model, limit


@pytest.mark.parametrize(("method", "share"), [("squarem", 0.5), ("anderson", 0.1)])
def test_slow_linear_map_ends_at_its_known_limit(method, share):
    model, limit = slow_map([0.2, 0.6, 0.9, 0.99, 0.999])
    start = limit + 10.0
    plain, _ = solve(model, start, None)
    fast, _ = solve(model, start, method)
    assert fast.converged
    assert fast.n_iter <= share * plain.n_iter
    # Plain EM stops where a step gains tol: (1 - c)^2 e^2 = tol at the factor c = 0.999.
    assert np.abs(fast.params - limit).max() < 2.0 * np.sqrt(1e-13) / 1e-3
    assert fast.value >= plain.value - 1e-10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_saddle_is_left_on_the_side_that_em_leaves_it(method, side):
    """Solving r(x) = 0 would end at the saddle (0, 0), or cross it."""
    model = Ascent(
        lambda x: float(0.005 * x[0] ** 2 - 0.0025 * x[0] ** 4 - 0.01 * x[1] ** 2),
        lambda x: np.array([0.01 * x[0] - 0.01 * x[0] ** 3, -0.02 * x[1]]),
    )
    start = [1e-3 * side, 3.0]
    plain, _ = solve(model, start, None)
    fast, _ = solve(model, start, method)
    np.testing.assert_allclose(plain.params, [side, 0.0], atol=1e-4)
    np.testing.assert_allclose(fast.params, [side, 0.0], atol=1e-4)


class Wild(acceleration.Extrapolation):
    """Leaps to bad places after every plain step."""

    def record(self, x, r, plain):
        self.place = x

    def forget(self):
        pass

    def leap(self):
        return self.place - 100.0

    def shrink(self):
        self.wait = self.pause = 0


@pytest.fixture
def wild(monkeypatch):
    monkeypatch.setitem(acceleration.ACCELERATIONS, "wild", Wild)
    monkeypatch.setattr(acceleration.Approach, "update", lambda self, gain, plain: True)


def test_rejected_passes_count_and_do_not_end_the_run(wild):
    model, limit = slow_map([0.5, 0.8])
    plain, _ = solve(model, limit + 1.0, None)
    fast, run = solve(model, limit + 1.0, "wild")
    assert run.begun == run.ended == fast.n_iter
    assert fast.converged and fast.value == plain.value
    # Every other pass was rejected, but for the last ones, where no leap can gain.
    np.testing.assert_array_equal(np.unique(fast.history), np.unique(plain.history))
    assert 1.5 * plain.n_iter < fast.n_iter < 2 * plain.n_iter
    assert (np.diff(fast.history) == 0.0).sum() == fast.n_iter - plain.n_iter
    np.testing.assert_array_equal(fast.params, plain.params)


@pytest.mark.parametrize("limit", [2, 3])
def test_callbacks_stop_at_plain_and_rejected_passes(wild, limit):
    """The result is always the step from the best place, as callbacks saw it."""
    model, start = slow_map([0.5, 0.8])
    solution, run = solve(model, start + 1.0, "wild", limit=limit)
    assert solution.n_iter == limit and solution.reason == "stopped by a callback"
    np.testing.assert_array_equal(solution.params, run.seen[-1])
    passes = {2: 1, 3: 2}[limit]
    plain, _ = solve(model, start + 1.0, None, max_iter=passes)
    np.testing.assert_array_equal(solution.params, plain.params)


@pytest.mark.parametrize("broken", ["unpack", "m_step", "value"])
def test_leap_to_what_is_no_model_is_a_rejection(wild, broken):
    model, limit = slow_map([0.5, 0.8])
    plain, _ = solve(model, limit + 1.0, None)
    whole = getattr(model, broken)

    def fragile(params, other):
        if params.min() < -50.0:
            raise ValueError("a component is degenerate")
        return whole(params, other)

    setattr(model, broken, fragile)
    fast, _ = solve(model, limit + 1.0, "wild")
    assert fast.failure is None and fast.converged and fast.value == plain.value


def random_problem(seed):
    rng = np.random.default_rng(seed)
    n, d, k = int(rng.integers(100, 400)), int(rng.integers(1, 5)), int(rng.integers(2, 5))
    return 10.0 ** rng.uniform(-1, 1) * overlapping(n, d, k, seed), k


@pytest.mark.parametrize("floor", [0.0, 1e-6])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("seed", range(12))
def test_history_never_falls_and_the_limit_is_not_worse(seed, structure, floor):
    X, k = random_problem(seed)
    arguments = {
        "covariance_type": structure,
        "tol": 1e-12,
        "max_iter": 1500,
        "reg_covar": floor,
        "random_state": seed,
        "n_jobs": 1,
    }
    plain = GaussianMixture(k, **arguments).fit(X)
    for method in METHODS:
        fast = GaussianMixture(k, acceleration=method, **arguments).fit(X)
        history = np.asarray(fast.objective_history_)
        assert len(history) == fast.n_iter_
        assert (np.diff(history) >= -1e-10 * np.maximum(np.abs(history[1:]), 1e-3)).all()
        if plain.converged_:
            worst = plain.lower_bound_ - SAME_LIMIT * abs(plain.lower_bound_)
            assert fast.converged_ and fast.lower_bound_ >= worst
            # Little is left to gain where plain EM is fast, and little may be lost.
            assert passes_to(history, worst) <= 1.1 * passes_to(plain.objective_history_, worst) + 2


def passes_to(history, value):
    return int(np.argmax(np.asarray(history) >= value)) + 1


def three_close(seed=0):
    """Three components one deviation apart in the plane."""
    rng = np.random.default_rng(seed)
    corners = ([0.0, 0.0], [1.0, 0.0], [0.5, 0.87])
    return np.concatenate([rng.normal(size=(400, 2)) + corner for corner in corners])


def five_overlapping(seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=1.5, size=(5, 2))
    return centers[rng.integers(5, size=3000)] + rng.normal(size=(3000, 2))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("X", "k", "structure"),
    [
        (three_close(), 3, "full"),
        (three_close(), 3, "tied"),
        (three_close(), 3, "diag"),
        (five_overlapping(), 5, "spherical"),
        (five_overlapping(), 5, "diag"),
        (five_overlapping(), 5, "full"),
    ],
    ids=[
        "three-full",
        "three-tied",
        "three-diag",
        "five-spherical",
        "five-diag",
        "five-full",
    ],
)
def test_heavy_overlap_takes_at_most_half_the_passes(X, k, structure, method):
    arguments = {
        "covariance_type": structure,
        "tol": 1e-12,
        "max_iter": 20000,
        "random_state": 0,
        "n_jobs": 1,
    }
    plain = GaussianMixture(k, **arguments).fit(X)
    fast = GaussianMixture(k, acceleration=method, **arguments).fit(X)
    goal = plain.lower_bound_ - SAME_LIMIT * abs(plain.lower_bound_)
    assert fast.converged_ and fast.lower_bound_ >= goal
    assert passes_to(fast.objective_history_, goal) <= 0.5 * passes_to(
        plain.objective_history_, goal
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_no_acceleration_is_the_plain_loop(structure):
    X = overlapping()
    model = {}

    class Watched(GaussianMixture):
        def _run(self, task, likelihood, training, *rest):
            model.update(likelihood=likelihood, rows=training.rows)
            return super()._run(task, likelihood, training, *rest)

    arguments = {"covariance_type": structure, "random_state": 0, "tol": 0.0}
    start = Watched(4, max_iter=0, **arguments).fit(X)
    mixture = GaussianMixture(4, max_iter=25, **arguments).fit(X)
    likelihood, rows, params = model["likelihood"], model["rows"], start._fitted_params()
    for value in mixture.objective_history_:
        statistic = rows.sum(likelihood.e_step, likelihood.prepare(params))
        assert likelihood.value(params, statistic) == value
        params = likelihood.m_step(params, statistic)
    assert params.means.tobytes() == mixture.means_.tobytes()
    assert params.factors.tobytes() == mixture.precisions_cholesky_.tobytes()


def start_at(means, variances, structure):
    """Arguments that start a fit at these means and one diagonal covariance."""
    k, precisions = len(means), 1.0 / np.asarray(variances)
    given = {
        "full": lambda: np.stack([np.diag(precisions)] * k),
        "tied": lambda: np.diag(precisions),
        "diag": lambda: np.stack([precisions] * k),
        "spherical": lambda: np.full(k, precisions[0]),
    }[structure]()
    return {
        "weights_init": np.full(k, 1 / k),
        "means_init": means,
        "precisions_init": given,
        "covariance_type": structure,
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_units_and_origin_do_not_matter(structure, method):
    X = overlapping(n=300, d=2, k=3)
    powers = np.array([8.0, 8.0]) if structure == "spherical" else np.array([8.0, 0.25])
    arguments = {
        "acceleration": method,
        "tol": 1e-10,
        "max_iter": 2000,
        "reg_covar": 0.0,
        "n_jobs": 1,
    }
    means, ones = X[[0, 100, 200]], np.ones(2)
    fitted, scaled, moved = (
        GaussianMixture(3, **start_at(*start, structure), **arguments).fit(data)
        for data, start in (
            (X, (means, ones)),
            (X * powers, (means * powers, powers**2)),
            (X + 64.0, (means + 64.0, ones)),
        )
    )
    # Values are rounded otherwise, which may move the end by an iteration or a leap.
    for other, shift in ((scaled, np.log(powers).sum()), (moved, 0.0)):
        assert fitted.converged_ and other.converged_
        assert other.lower_bound_ + shift == pytest.approx(fitted.lower_bound_, abs=1e-8)
        assert abs(other.n_iter_ - fitted.n_iter_) <= 4 + 0.1 * fitted.n_iter_


@pytest.mark.parametrize("method", METHODS)
def test_threads_do_not_change_a_bit(method):
    X = np.concatenate([three_close(seed) for seed in range(8)])
    arguments = {"acceleration": method, "tol": 1e-9, "max_iter": 300, "random_state": 0}
    one = GaussianMixture(3, n_jobs=1, **arguments).fit(X)
    two = GaussianMixture(3, n_jobs=2, **arguments).fit(X)
    assert_same_bits(fitted_state(one), fitted_state(two))


@pytest.mark.parametrize("method", METHODS)
def test_default_tolerance_does_not_stop_on_a_leap(method):
    """The last change in the history is that of a plain step, below tol."""
    fitted = GaussianMixture(3, acceleration=method, tol=1e-8, max_iter=5000, random_state=0)
    history = fitted.fit(three_close()).objective_history_
    assert fitted.converged_
    assert 0.0 < history[-1] - history[-2] < 1e-8


@pytest.mark.parametrize("method", METHODS)
def test_component_without_rows_is_left_alone(method):
    X = overlapping(n=300, d=2, k=3)
    start = start_at(np.concatenate([X[[0, 100, 200]], [[7.0, 7.0]]]), np.ones(2), "full")
    start["weights_init"] = [0.3, 0.3, 0.4, 0.0]
    fitted = GaussianMixture(4, acceleration=method, tol=1e-10, max_iter=2000, **start).fit(X)
    assert fitted.converged_ and fitted.weights_[3] == 0.0
    np.testing.assert_allclose(fitted.means_[3], [7.0, 7.0], rtol=1e-6)


def test_gains_of_a_start_at_a_saddle_are_not_the_end():
    """Tiny steady gains from the first iteration on say nothing about a limit."""
    approach = acceleration.Approach()
    assert not any(approach.update(1e-11 * 0.996**i, True) for i in range(200))


def test_growing_gains_close_the_gate():
    approach = acceleration.Approach()
    assert [approach.update(0.5**i, True) for i in range(12)][-1]
    assert not approach.update(1.0, True)
    assert not approach.update(0.9, True)


def test_power_sum_is_the_sum_of_powers():
    matrix = np.random.default_rng(0).normal(size=(3, 3)) / 3.0
    powers = [np.linalg.matrix_power(matrix, i) for i in range(8)]
    np.testing.assert_allclose(acceleration.power_sum(matrix, 5.0), sum(powers), rtol=1e-12)


@pytest.mark.parametrize(
    ("least_merit", "least_value", "good"),
    [(0.0, 4.0, True), (0.0, 4.1, False), (3.1, 0.0, False)],
)
def test_leap_must_reach_both_the_merit_and_the_objective(least_merit, least_value, good):
    class Model:
        """Objective 4 and merit 3, wherever it is."""

        def unpack(self, vector, like):
            return vector

        def prepare(self, params):
            return params

        def e_step(self, block, prepared):
            return 0.0

        def value(self, params, statistic):
            return 4.0

        def merit(self, params, statistic):
            return 3.0

        def m_step(self, params, statistic):
            return params

        def gain(self, statistic, old, new):
            return 0.0

    rows = Rows(np.zeros((3, 1)))
    landed = land(Model(), np.zeros(1), None, rows, least_merit, least_value)
    assert (landed is not None) == good

"""The training loop on least squares, where optimum and step limits are known."""

import numpy as np
import pytest

from skgen.solvers.holdout import hold_out
from skgen.solvers.schedules import Adaptive, Constant, Cosine, InverseScaling, InverseTime
from skgen.solvers.sgd import EpochMonitor, Training, clip, sgd
from skgen.solvers.update_rules import RULES, Adam, GradientDescent, Momentum, named

OPTIONS = {
    "momentum": 0.9,
    "epsilon": 1e-8,
    "rho": 0.99,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "weight_decay": 0.0,
}


class LeastSquares:
    """mean_i weight_i (x_i'w - y_i)^2 / 2 + l1 |w|; remembers the batches it was asked for."""

    advance = None

    def __init__(self, n=60, d=3, seed=0, l1=0.0, noise=0.5):
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(n, d)) * np.linspace(1.0, 2.0, d)
        self.y = self.X @ np.arange(1.0, d + 1) + noise * rng.normal(size=n)
        self.n_rows, self.l1, self.asked = n, l1, []
        self.proximal = self.shrink if l1 else None

    def value_and_gradient(self, w, index):
        self.asked.append(index)
        X, residual = self.X[index], self.X[index] @ w - self.y[index]
        value = 0.5 * residual @ residual / len(index) + self.l1 * np.abs(w).sum()
        return value, X.T @ residual / len(index)

    def shrink(self, w, step):
        w[:] = np.sign(w) * np.maximum(np.abs(w) - step * self.l1, 0.0)

    @property
    def optimum(self):
        return np.linalg.lstsq(self.X, self.y, rcond=None)[0]

    @property
    def smoothness(self):
        return np.linalg.eigvalsh(self.X.T @ self.X / self.n_rows)[-1]

    def value(self, w):
        return self.value_and_gradient(w, np.arange(self.n_rows))[0]


class Watcher:
    """Counts epochs; asks to stop after so many."""

    def __init__(self, stop_after=None):
        self.began, self.ended, self.stop_after = 0, 0, stop_after

    def begin(self):
        self.began += 1

    def end(self, attributes):
        self.ended += 1
        self.seen = attributes()
        return self.ended == self.stop_after


def train(problem, rule, schedule, *, epochs=50, batch=None, tol=-np.inf, patience=10, **options):
    """A `Solution` and the `Training` it ended in."""
    run = options.pop("run", None) or Watcher()
    training = options.pop("training", None)
    if training is None:
        training = Training.begin(np.zeros(problem.X.shape[1]), rule)
    monitor = EpochMonitor(epochs, tol, patience, run, lambda w: {"w": w.copy()})
    batch = problem.n_rows if batch is None else batch
    return sgd(problem, training, monitor, rule, schedule, batch, **options), training, monitor


@pytest.mark.parametrize(("n", "batch"), [(60, 60), (60, 7), (60, 1), (61, 30), (5, 100)])
def test_epoch_takes_ceil_n_over_b_updates_and_meets_every_row_once(n, batch):
    problem = LeastSquares(n)
    _, training, _ = train(
        problem,
        GradientDescent(),
        Constant(1e-3),
        epochs=3,
        batch=batch,
        random_state=np.random.RandomState(0),
    )
    updates = -(-n // batch)
    assert training.n_updates == 3 * updates and training.n_epochs == 3
    asked = problem.asked[1:]  # the first call looks at the loss before training
    assert len(asked) == 3 * updates
    for epoch in range(3):
        rows = np.concatenate(asked[epoch * updates : (epoch + 1) * updates])
        np.testing.assert_array_equal(np.sort(rows), np.arange(n))
        assert all(len(part) <= batch for part in asked)


def test_rows_are_shuffled_anew_every_epoch_unless_told_not_to():
    problem = LeastSquares()
    options = {"epochs": 2, "batch": 60 // 2}
    train(problem, GradientDescent(), Constant(1e-3), **options)
    np.testing.assert_array_equal(np.concatenate(problem.asked[1:3]), np.arange(60))
    problem.asked.clear()
    rng = np.random.RandomState(1)
    train(problem, GradientDescent(), Constant(1e-3), random_state=rng, **options)
    first, second = np.concatenate(problem.asked[1:3]), np.concatenate(problem.asked[3:])
    assert (first != np.arange(60)).any() and (first != second).any()


def test_full_batch_descent_is_monotone_below_one_over_l_and_diverges_above_two():
    problem = LeastSquares()
    limit = 1.0 / problem.smoothness
    history = train(problem, GradientDescent(), Constant(0.99 * limit))[0].history
    assert (np.diff(history) <= 1e-15 * history[0]).all()  # rounding at the optimum
    slow = train(problem, GradientDescent(), Constant(2.05 * limit))[0].history
    assert slow[-1] > 10 * slow[0]
    with pytest.raises(ValueError, match=r"diverged in epoch \d+.*lower learning_rate_init"):
        train(problem, GradientDescent(), Constant(2.05 * limit), epochs=10_000)


def test_momentum_widens_the_stable_rates_as_theory_says():
    """Heavy ball is stable on a quadratic for rates below 2 (1 + m) / L."""
    problem = LeastSquares()
    limit = 2.0 * 1.5 / problem.smoothness
    # Below: contracts; above: grows without bound.
    below = train(problem, Momentum(0.5), Constant(0.98 * limit), epochs=2000)[0]
    np.testing.assert_allclose(below.params, problem.optimum, rtol=1e-8)
    with pytest.raises(ValueError, match="learning_rate_init"):
        train(problem, Momentum(0.5), Constant(1.02 * limit), epochs=2000)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_reaches_the_optimum_by_minibatches(name):
    """A rate that falls to zero takes the noise of the batches out."""
    problem = LeastSquares()
    rate = {"adagrad": 1.0, "sgd": 0.05, "momentum": 0.005, "nesterov": 0.005}.get(name, 0.05)
    solution, _, _ = train(
        problem,
        named(RULES, name, OPTIONS),
        Cosine(rate, 400),
        epochs=400,
        batch=10,
        random_state=np.random.RandomState(0),
    )
    best = problem.value(problem.optimum)
    assert problem.value(solution.params) - best < 1e-5 * (problem.value(np.zeros(3)) - best)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_meets_the_lasso_conditions(name):
    """The proximal step's fixed point: |gradient_j| <= l1 at zeros, = l1 elsewhere."""
    problem = LeastSquares(d=4, l1=4.0)
    problem.y -= 3.0 * problem.X[:, 2]
    rate = {"adagrad": 0.5, "sgd": 0.1, "momentum": 0.01, "nesterov": 0.01}.get(name, 0.02)
    solution, _, _ = train(problem, named(RULES, name, OPTIONS), Cosine(rate, 3000), epochs=3000)
    w = solution.params
    _, gradient = problem.value_and_gradient(w, np.arange(problem.n_rows))
    assert 1 <= (w == 0).sum() < 4
    assert np.abs(gradient[w == 0]).max() <= problem.l1 + 1e-6
    np.testing.assert_allclose(gradient[w != 0], -problem.l1 * np.sign(w[w != 0]), atol=1e-3)


def test_inverse_time_rate_on_one_coordinate_is_the_running_mean():
    """Rate 1 / (t + 1) on |w - y|^2 / 2 averages the y it has seen."""
    problem = LeastSquares(n=40, d=1)
    problem.X[:] = 1.0
    solution, _, _ = train(problem, GradientDescent(), InverseTime(1.0, 1.0), epochs=1, batch=1)
    np.testing.assert_allclose(solution.params, [problem.y.mean()], rtol=1e-12)


def test_value_is_the_mean_over_rows_of_the_losses_met():
    problem = LeastSquares(n=10)
    solution, _, _ = train(problem, GradientDescent(), Constant(1e-3), epochs=1, batch=4)
    w, total = np.zeros(3), 0.0
    for index in (np.arange(4), np.arange(4, 8), np.arange(8, 10)):
        value, gradient = problem.value_and_gradient(w, index)
        total += value * len(index)
        w = w - 1e-3 * gradient
    np.testing.assert_allclose(solution.value, total / 10)
    np.testing.assert_allclose(solution.params, w)


def test_clipping_shortens_long_gradients_only():
    gradient = np.array([3.0, 4.0])
    clip(gradient, 10.0)
    np.testing.assert_array_equal(gradient, [3.0, 4.0])
    clip(gradient, 1.0)
    np.testing.assert_allclose(gradient, [0.6, 0.8])
    problem = LeastSquares()
    solution, _, _ = train(problem, GradientDescent(), Constant(0.1), epochs=1, clip_norm=0.5)
    np.testing.assert_allclose(np.linalg.norm(solution.params), 0.05)


def test_clipping_holds_a_rate_that_would_diverge():
    problem = LeastSquares()
    rate = Constant(3.0 / problem.smoothness)
    with pytest.raises(ValueError, match="set clip_norm"):
        train(problem, GradientDescent(), rate, epochs=2000)
    assert np.isfinite(train(problem, GradientDescent(), rate, epochs=2000, clip_norm=1.0)[0].value)


def test_training_stops_when_the_loss_rests():
    problem = LeastSquares()
    rule, rate = GradientDescent(), Constant(0.5 / problem.smoothness)
    solution, _, monitor = train(problem, rule, rate, epochs=5000, tol=1e-6, patience=4)
    assert solution.converged and solution.n_iter < 5000
    assert solution.reason == "training loss did not improve by tol=1e-06 for 4 epochs"
    best = np.minimum.accumulate(solution.history)
    gain = best[:-1] - solution.history[1:]
    assert (gain[-4:] < 1e-6).all() and gain[-5] >= 1e-6
    assert monitor.scores == []


def test_training_out_of_epochs_has_not_converged():
    problem = LeastSquares()
    solution, _, _ = train(problem, GradientDescent(), Constant(1e-3), epochs=4, tol=1e-9)
    assert not solution.converged and solution.n_iter == 4
    assert solution.reason == "max_iter=4 epochs reached"


def test_callback_is_told_every_epoch_and_may_stop():
    run, problem = Watcher(stop_after=3), LeastSquares()
    solution, training, _ = train(problem, GradientDescent(), Constant(1e-3), run=run, batch=10)
    assert (run.began, run.ended, solution.n_iter) == (3, 3, 3)
    assert solution.reason == "stopped by a callback" and not solution.converged
    np.testing.assert_array_equal(run.seen["w"], training.w)


def test_best_validation_score_is_restored_with_its_memory():
    problem, rule = LeastSquares(), Adam(0.9, 0.999, 1e-8)
    scores = iter([0.1, 0.5, 0.4, 0.9, 0.8, 0.2, 0.3])
    solution, training, monitor = train(
        problem, rule, Constant(0.1), patience=3, tol=0.0, validate=lambda w: next(scores)
    )
    assert solution.n_iter == 7 and solution.converged
    assert monitor.scores == [0.1, 0.5, 0.4, 0.9, 0.8, 0.2, 0.3]
    assert solution.reason.startswith("validation score did not improve")
    expected, until_best, _ = train(problem, rule, Constant(0.1), epochs=4)
    np.testing.assert_array_equal(solution.params, expected.params)
    np.testing.assert_array_equal(training.memory, until_best.memory)
    assert training.n_updates == training.n_epochs == 4
    # Scores are no measure for the losses of training that goes on.
    assert training.best == np.inf and training.n_stale == 0


def test_adaptive_rate_falls_when_training_rests_and_ends_it_at_last():
    problem = LeastSquares()
    solution, training, _ = train(
        problem,
        GradientDescent(),
        Adaptive(0.3),
        epochs=10_000,
        batch=6,
        tol=1e-10,
        patience=3,
        random_state=np.random.RandomState(0),
    )
    assert solution.converged and solution.n_iter < 10_000
    assert 0.3 * training.rate_factor < Adaptive.smallest
    # The noise of a constant rate stays; with the falling one the optimum is found.
    steady, _, _ = train(
        problem,
        GradientDescent(),
        Constant(0.3),
        epochs=solution.n_iter,
        batch=6,
        random_state=np.random.RandomState(0),
    )
    excess = problem.value(solution.params) - problem.value(problem.optimum)
    assert excess < 0.1 * (problem.value(steady.params) - problem.value(problem.optimum))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("schedule", [Constant(0.01), InverseScaling(0.01, 0.5), Cosine(0.01, 6)])
def test_two_runs_continue_to_the_bits_of_one(name, schedule):
    problem, rule = LeastSquares(), named(RULES, name, OPTIONS)
    options = {"batch": 7}
    whole, _, _ = train(
        problem, rule, schedule, epochs=6, random_state=np.random.RandomState(3), **options
    )
    rng = np.random.RandomState(3)
    _, training, _ = train(problem, rule, schedule, epochs=2, random_state=rng, **options)
    rest, _, _ = train(
        problem,
        rule,
        schedule,
        epochs=4,
        random_state=rng,
        training=training.copy(),
        **options,
    )
    np.testing.assert_array_equal(rest.params, whole.params)
    assert rest.history == whole.history[2:]


def test_copy_shares_no_memory():
    training = Training.begin(np.zeros(3), Adam(0.9, 0.999, 1e-8))
    other = training.copy()
    other.w += 1.0
    other.memory += 1.0
    assert not training.w.any() and not training.memory.any()


def test_not_a_number_stops_training():
    problem = LeastSquares()
    problem.y[3] = np.nan
    with pytest.raises(ValueError, match="learning_rate_init"):
        train(problem, GradientDescent(), Constant(1e-3), batch=5)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_held_out_rows_keep_the_shares_of_the_classes(fraction):
    target = np.repeat([0, 1, 2], [100, 37, 11])
    training, validation = hold_out(target, fraction, np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort(np.append(training, validation)), np.arange(148))
    assert len(validation) == round(fraction * 148)
    shares = np.bincount(target[validation], minlength=3)
    assert (np.abs(shares - fraction * np.array([100, 37, 11])) <= 1.0).all()


def test_a_single_row_of_a_class_stays_in_training():
    target = np.array([0, 1, 1, 1, 1, 1])
    for seed in range(20):
        training, validation = hold_out(target, 0.5, np.random.RandomState(seed))
        assert 0 in training and len(validation) == 3


def test_every_row_is_held_out_about_as_often():
    target = np.repeat([0, 1], 10)
    counts = np.zeros(20)
    for seed in range(2000):
        counts[hold_out(target, 0.2, np.random.RandomState(seed))[1]] += 1
    # Binomial(2000, 0.2): sd 18; six of them.
    assert np.abs(counts - 400).max() < 6 * 18


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_rows_to_hold_out_are_refused(n):
    with pytest.raises(ValueError, match="validation_fraction"):
        hold_out(np.arange(n), 0.5, np.random.RandomState(0))

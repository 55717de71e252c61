"""Update rules and schedules: steps worked out by hand, and known answers of torch.optim."""

import pickle

import numpy as np
import pytest

from skgen.solvers.schedules import SCHEDULES, Adaptive, Cosine, InverseScaling, StepDecay
from skgen.solvers.update_rules import (
    RULES,
    Adagrad,
    Adam,
    AdamW,
    GradientDescent,
    Momentum,
    Nesterov,
    RMSProp,
    named,
)

CURVATURE = np.array([1.0, 10.0])
START = np.array([1.0, -2.0])
OPTIONS = {
    "momentum": 0.9,
    "epsilon": 1e-8,
    "rho": 0.99,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "weight_decay": 0.1,
}
# After five steps of rate 0.05 on sum_j CURVATURE_j w_j^2 / 2 from START: torch 2.13.0,
# torch.optim.SGD (plain, momentum=0.9, nesterov=True), Adagrad(eps=1e-8), RMSprop(alpha=0.99,
# eps=1e-8), Adam and AdamW(weight_decay=0.1) with default betas, all in float64.
TORCH = {
    "sgd": [0.7737809375, -0.0625],
    "momentum": [0.4171559375, 1.0436],
    "nesterov": [0.315942305065625, 0.022274375],
    "adagrad": [0.843380800165768, -1.84083583865933],
    "rmsprop": [0.0491550708409281, -0.677689158087818],
    "adam": [0.751477892594467, -1.75063376460669],
    "adamw": [0.729393818062009, -1.70376146073249],
}


def walk(rule, n_steps=5, rate=0.05, slope=lambda w: CURVATURE * w, start=START):
    """The points that a rule visits."""
    w, memory, points = start.copy(), rule.begin(len(start)), []
    for t in range(1, n_steps + 1):
        rule.step(w, slope(w), memory, rate, t)
        points.append(w.copy())
    return np.array(points)


@pytest.mark.parametrize("name", RULES)
def test_rule_gives_torchs_known_answer(name):
    assert set(TORCH) == set(RULES)
    last = walk(named(RULES, name, OPTIONS))[-1]
    np.testing.assert_allclose(last, TORCH[name], rtol=1e-13)


def test_gradient_descent_on_a_quadratic_is_a_power():
    points = walk(GradientDescent(), n_steps=7)
    powers = (1.0 - 0.05 * CURVATURE) ** np.arange(1, 8)[:, None]
    np.testing.assert_allclose(points, START * powers, rtol=1e-14)


def test_momentum_on_a_quadratic_is_a_linear_recurrence():
    """w_{t+1} = (1 + m - e a) w_t - m w_{t-1}: roots of its characteristic polynomial."""
    points = walk(Momentum(0.5), n_steps=9)
    for curvature, start, visited in zip(CURVATURE, START, points.T, strict=True):
        roots = np.roots([1.0, -(1.5 - 0.05 * curvature), 0.5])
        first = (1.0 - 0.05 * curvature) * start
        share = np.linalg.solve(np.array([[1, 1], roots]), [start, first])
        expected = [(share * roots**t).sum().real for t in range(1, 10)]
        np.testing.assert_allclose(visited, expected, rtol=1e-10, atol=1e-14)


def test_nesterov_visits_the_look_ahead_points_of_the_textbook_form():
    position, velocity, expected = START.copy(), np.zeros(2), []
    for _ in range(6):
        velocity = 0.8 * velocity - 0.05 * CURVATURE * (position + 0.8 * velocity)
        position = position + velocity
        expected.append(position + 0.8 * velocity)
    np.testing.assert_allclose(walk(Nesterov(0.8), n_steps=6), expected, rtol=1e-13)


def constant(w):
    return np.array([0.3, -4.0])


def test_adagrad_under_a_constant_gradient_moves_by_the_harmonic_root_series():
    points = walk(Adagrad(0.0), slope=constant, n_steps=6)
    moved = 0.05 * np.cumsum(1.0 / np.sqrt(np.arange(1, 7)))
    np.testing.assert_allclose(points - START, -np.sign(constant(0)) * moved[:, None], rtol=1e-12)


def test_rmsprop_starts_its_mean_of_squares_at_zero():
    points = walk(RMSProp(0.9, 0.0), slope=constant, n_steps=6)
    moved = 0.05 * np.cumsum(1.0 / np.sqrt(1.0 - 0.9 ** np.arange(1, 7)))
    np.testing.assert_allclose(points - START, -np.sign(constant(0)) * moved[:, None], rtol=1e-12)


def test_adam_under_a_constant_gradient_moves_by_the_rate():
    """Both corrections undo the start at zero exactly, whatever the gradient's scale."""
    points = walk(Adam(0.9, 0.999, 0.0), slope=constant, n_steps=6)
    moved = 0.05 * np.arange(1, 7)
    np.testing.assert_allclose(points - START, -np.sign(constant(0)) * moved[:, None], rtol=1e-10)


def test_adamw_decays_where_told_and_nowhere_else():
    rule = AdamW(0.9, 0.999, 1e-8, np.array([0.0, 0.5]))
    still = walk(rule, slope=np.zeros_like, n_steps=4)
    np.testing.assert_array_equal(still[:, 0], 1.0)
    np.testing.assert_allclose(still[:, 1], -2.0 * (1.0 - 0.05 * 0.5) ** np.arange(1, 5))


@pytest.mark.parametrize("name", RULES)
def test_step_returns_what_a_lasting_gradient_moves(name):
    """The ratio a proximal map needs, read off the last step of a falling rate."""
    rule = named(RULES, name, {**OPTIONS, "weight_decay": 0.0})
    w, memory = np.zeros(2), rule.begin(2)
    for t in range(1, 41):
        before = w.copy()
        step = rule.step(w, constant(w), memory, 0.05 / t, t)
    np.testing.assert_allclose(w - before, -step * constant(w), rtol=1e-10)


@pytest.mark.parametrize("name", RULES)
def test_interrupted_walk_goes_on_to_the_same_bits(name):
    rule = named(RULES, name, OPTIONS)
    w, memory = START.copy(), rule.begin(2)
    for t in range(1, 4):
        rule.step(w, CURVATURE * w, memory, 0.05, t)
    rule, w, memory = pickle.loads(pickle.dumps((rule, w, memory)))
    for t in range(4, 6):
        rule.step(w, CURVATURE * w, memory, 0.05, t)
    np.testing.assert_array_equal(w, walk(named(RULES, name, OPTIONS))[-1])


@pytest.mark.parametrize("name", RULES)
def test_step_leaves_the_gradient_alone(name):
    rule, gradient = named(RULES, name, OPTIONS), np.array([1.0, -3.0])
    rule.step(START.copy(), gradient, rule.begin(2), 0.1, 1)
    np.testing.assert_array_equal(gradient, [1.0, -3.0])


SCHEDULE_OPTIONS = {
    "learning_rate_init": 0.4,
    "power_t": 0.5,
    "decay_rate": 0.1,
    "step_size": 3,
    "step_factor": 0.1,
    "max_iter": 8,
}


def test_schedules_follow_their_formulas():
    def rate(name, epoch, first):
        return named(SCHEDULES, name, SCHEDULE_OPTIONS).rates(epoch, first, 4)

    t = 8.0 + np.arange(4)
    np.testing.assert_array_equal(rate("constant", 2, 8), 0.4)
    np.testing.assert_array_equal(rate("adaptive", 2, 8), 0.4)
    np.testing.assert_allclose(rate("invscaling", 2, 8), 0.4 / np.sqrt(t + 1))
    np.testing.assert_allclose(rate("inverse", 2, 8), 0.4 / (1 + 0.1 * t))
    np.testing.assert_allclose(rate("cosine", 2, 8), 0.2 * (1 + np.cos(np.pi * t / 32)))


def test_step_decay_is_a_stair_of_epochs():
    rates = [StepDecay(1.0, 3, 0.1).rates(epoch, 0, 1)[0] for epoch in range(7)]
    np.testing.assert_allclose(rates, [1, 1, 1, 0.1, 0.1, 0.1, 0.01])


def test_cosine_falls_to_nearly_nothing_and_begins_anew():
    cosine = Cosine(1.0, 5)
    rates = np.concatenate([cosine.rates(epoch, 10 * epoch, 10) for epoch in range(10)])
    assert rates[0] == 1.0
    assert (np.diff(rates[:50]) < 0).all()
    assert 0.0 < rates[49] < 0.002
    np.testing.assert_array_equal(rates[50:], rates[:50])


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_of_an_epoch_do_not_depend_on_how_they_are_asked_for(name):
    schedule = named(SCHEDULES, name, SCHEDULE_OPTIONS)
    whole = schedule.rates(0, 0, 6)
    assert whole.shape == (6,) and (whole > 0).all()
    if name != "cosine":  # which counts parts of epochs
        halves = np.concatenate([schedule.rates(0, 0, 3), schedule.rates(0, 3, 3)])
        np.testing.assert_array_equal(whole, halves)


def test_robbins_and_monro_hold_for_the_inverse_rate_only():
    """The sum of squares converges at power 1 and does not at power 1/2."""
    t = np.array([10**4, 10**6])
    inverse = [(InverseScaling(1.0, 1.0).rates(0, 0, n) ** 2).sum() for n in t]
    root = [(InverseScaling(1.0, 0.5).rates(0, 0, n) ** 2).sum() for n in t]
    assert inverse[1] - inverse[0] < 1e-3
    assert root[1] - root[0] > 4.0


def test_only_adaptive_says_so():
    assert [name for name, kind in SCHEDULES.items() if kind.adaptive] == ["adaptive"]
    assert 0 < Adaptive(0.1).factor < 1

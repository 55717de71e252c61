"""Generalized EM: an M-step that only improves, with the objective and the limit of EM."""

from dataclasses import astuple, dataclass, replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp, softmax
from scipy.stats import vonmises

from skgen import rows as rows_module
from skgen.mixture import GaussianMixture
from skgen.rows import Rows
from skgen.solvers.ascent import ascend
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor
from tests.own_models import example

circular = example("plot_von_mises_mixture")
VonMisesMixture, NewtonMixture = circular.VonMisesMixture, circular.NewtonMixture
# Objectives are means of some hundred terms about 1: exact to less than this.
ROUNDING = 1e-13
SAME_LIMIT = 1e-6


class ShrinkingStep(VonMisesMixture):
    """A step that is never longer than the one before."""

    def m_step(self, params, sums):
        better = super().m_step(params, sums)
        return replace(better, step=min(better.step, params.step))


M_STEPS = {
    "gradient": VonMisesMixture(),
    "shrinking": ShrinkingStep(),
    "newton": NewtonMixture(),
    "partial": NewtonMixture(3),
}
m_steps = pytest.mark.parametrize("model", M_STEPS.values(), ids=M_STEPS)


def times(n=400, weighted=True):
    """`Rows` of two peaks on the circle that overlap little, and their angles."""
    generator = np.random.default_rng(0)
    angle = generator.vonmises(np.repeat([0.5, 3.0], [n // 2, n - n // 2]), 4.0)
    weight = generator.uniform(0.5, 2.0, n) if weighted else None
    return Rows(np.column_stack([np.cos(angle), np.sin(angle)]), weight), angle


def best_by_scipy(log_density, weight, start):
    """The parameters of the highest mean log density, by descent with differences."""

    def loss(vector):
        return -np.average(log_density(vector), weights=weight)

    found = minimize(loss, start, method="BFGS", jac="3-point", options={"gtol": 1e-9})
    # SciPy reports a loss of precision where rounding leaves it nothing to gain.
    assert np.abs(found.jac).max() < 1e-7
    return found.x, -found.fun


@m_steps
@pytest.mark.parametrize("seed", range(4))
def test_objective_never_falls(model, seed):
    """Starts of all kinds: concentrations from nearly 0 to 30, and far too long steps."""
    rows, _ = times()
    generator = np.random.default_rng(seed)
    natural = generator.normal(size=(3, 2)) * np.array([[1e-6], [1.0], [30.0]])
    start = circular.Params(np.full(3, 1.0 / 3.0), natural, 10.0 ** generator.uniform(-3, 6))
    run = em(model, start, rows, Monitor(300, 1e-12))
    assert np.diff(run.history).min() >= -ROUNDING
    assert run.history[-1] > run.history[0] + 0.1


@m_steps
def test_limit_is_the_optimum_that_scipy_finds(model):
    rows, angle = times()
    # Rounding hides gains below 1e-16, and with them errors of some 1e-8.
    run = em(model, circular.start(2), rows, Monitor(1500, 0.0))
    peaks, concentrations = np.array([0.4, 2.9]), np.log([3.0, 3.0])

    def log_density(vector):
        terms = vonmises.logpdf(angle[:, None], np.exp(vector[4:]), loc=vector[2:4])
        return logsumexp(terms + log_softmax(vector[:2]), axis=1)

    best, value = best_by_scipy(
        log_density, rows.weight, np.concatenate([np.zeros(2), peaks, concentrations])
    )
    order = np.argsort(np.arctan2(*run.params.natural.T[::-1]))
    natural = run.params.natural[order]
    assert run.value == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(run.params.weights[order], softmax(best[:2]), atol=SAME_LIMIT)
    directions = np.arctan2(natural[:, 1], natural[:, 0])
    np.testing.assert_allclose(directions, best[2:4], atol=SAME_LIMIT)
    concentrations = np.linalg.norm(natural, axis=1)
    np.testing.assert_allclose(concentrations, np.exp(best[4:]), rtol=SAME_LIMIT)


def test_one_newton_step_takes_hardly_more_passes_than_the_maximum():
    rows, _ = times()
    start = circular.start(2)
    single, several, whole = (
        em(NewtonMixture(n_steps), start, rows, Monitor(2000, 1e-10)) for n_steps in (1, 2, 50)
    )
    assert single.converged and several.converged and whole.converged
    assert single.value == pytest.approx(whole.value, abs=1e-8)
    assert several.n_iter <= single.n_iter <= 1.2 * whole.n_iter + 2


class Overshooting(VonMisesMixture):
    """Follows the gradient without looking where it leads."""

    def m_step(self, params, sums):
        vector = params.natural.ravel()
        _, gradient = self.expected(vector, sums)
        natural = (vector + params.step * gradient).reshape(-1, 2)
        return circular.Params(sums.count / sums.weight, natural, params.step)


def test_step_that_overshoots_is_taken_back_and_ends_the_run():
    rows, _ = times()
    start = replace(circular.start(2), step=60.0)
    run = em(Overshooting(), start, rows, Monitor(500, 1e-12))
    assert "the M-step lowered the objective" in run.reason and run.failure is None
    assert run.n_iter == len(run.history) < 500
    assert np.diff(run.history).min(initial=0.0) >= -ROUNDING
    # The result has the last objective; the M-step from there is the one that was taken back.
    model = VonMisesMixture()

    def objective(params):
        return model.value(params, rows.sum(model.e_step, model.prepare(params)))

    assert objective(run.params) == run.value == run.history[-1]
    sums = rows.sum(model.e_step, model.prepare(run.params))
    assert objective(Overshooting().m_step(run.params, sums)) < run.value - 1e-6
    careful = em(VonMisesMixture(), start, rows, Monitor(500, 1e-12))
    assert careful.converged and careful.value > run.value


@lru_cache
def slow_run(name, method):
    """Where two of the peaks overlap, EM is slow."""
    rows = Rows(circular.circle(circular.times(300, seed=1)))
    start = replace(circular.start(), step=32.0)
    return em(M_STEPS[name], start, rows, Monitor(5000, 1e-12), method)


@pytest.mark.parametrize("method", ["squarem", "anderson"])
@pytest.mark.parametrize("name", M_STEPS)
def test_acceleration_reaches_the_same_limit(name, method):
    """A step that has settled is what leaps can be made of; any other does no harm."""
    plain, fast = slow_run(name, None), slow_run(name, method)
    assert plain.converged and fast.converged and plain.n_iter > 300
    assert np.diff(fast.history).min() >= -ROUNDING
    assert fast.value >= plain.value - 1e-10
    order, other = (np.argsort(run.params.natural[:, 0]) for run in (plain, fast))
    # tol leaves plain EM some 1e-4 to go along the valley.
    np.testing.assert_allclose(
        plain.params.natural[order], fast.params.natural[other], rtol=1e-3, atol=1e-3
    )
    if name != "gradient":
        assert fast.n_iter <= 0.5 * plain.n_iter
    else:
        assert fast.n_iter <= plain.n_iter + 2


@m_steps
def test_gain_bounds_what_the_objective_gains(model):
    rows, _ = times()
    params = circular.start(3)
    for _ in range(20):
        sums = rows.sum(model.e_step, model.prepare(params))
        better = model.m_step(params, sums)
        after = model.value(better, rows.sum(model.e_step, model.prepare(better)))
        gain = model.gain(sums, params, better)
        assert -ROUNDING <= gain <= after - model.value(params, sums) + ROUNDING
        again = model.unpack(model.pack(params), params)
        np.testing.assert_allclose(again.natural, params.natural, rtol=1e-14)
        np.testing.assert_allclose(again.weights, params.weights, rtol=1e-14)
        assert again.step == params.step
        params = better


@pytest.mark.parametrize("method", [None, "squarem"])
@m_steps
def test_threads_do_not_change_a_bit(model, method, monkeypatch):
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 100)
    rows, _ = times()
    assert rows.n_blocks == 8
    runs = [
        em(model, circular.start(2), rows.with_threads(n), Monitor(40, 0.0), method) for n in (1, 3)
    ]
    assert runs[0].history == runs[1].history
    assert runs[0].params.natural.tobytes() == runs[1].params.natural.tobytes()


@dataclass(frozen=True)
class DiagonalSums:
    log_likelihood: float
    weight: float
    count: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def merge(self, other):
        return DiagonalSums(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Diagonal:
    weights: np.ndarray
    means: np.ndarray
    log_deviations: np.ndarray
    step: float = 1.0


class GaussianByGradient:
    """A mixture of Gaussians with diagonal covariances whose M-step follows the gradient."""

    def prepare(self, params):
        return params

    def e_step(self, block, params):
        X = block.X[:, None]
        joint = -0.5 * ((X - params.means) * np.exp(-params.log_deviations)) ** 2
        joint = (joint - params.log_deviations - 0.5 * np.log(2.0 * np.pi)).sum(axis=2)
        joint += np.log(params.weights)
        log_norm = logsumexp(joint, axis=1)
        r = block.weight[:, None] * np.exp(joint - log_norm[:, None])
        return DiagonalSums(
            block.weight @ log_norm,
            block.weight.sum(),
            r.sum(axis=0),
            r.T @ block.X,
            r.T @ block.X**2,
        )

    def value(self, params, sums):
        return sums.log_likelihood / sums.weight

    def m_step(self, params, sums):
        count, shape = sums.count[:, None], (2, *params.means.shape)

        def expected(vector):
            means, log_deviations = vector.reshape(shape)
            precision = np.exp(-2.0 * log_deviations)
            square = sums.second - 2.0 * means * sums.first + count * means**2
            value = -(count * log_deviations).sum() - 0.5 * (square * precision).sum()
            slopes = (sums.first - count * means) * precision, square * precision - count
            return value / sums.weight, np.ravel(slopes) / sums.weight

        vector = np.ravel([params.means, params.log_deviations])
        vector, step = ascend(expected, vector, params.step)
        return Diagonal(sums.count / sums.weight, *vector.reshape(shape), step)


def test_gaussian_mixture_by_gradient_ends_where_closed_form_em_ends():
    generator = np.random.default_rng(0)
    X = np.concatenate(
        [generator.normal(size=(150, 2)), generator.normal([3.0, 2.0], [0.7, 1.5], size=(100, 2))]
    )
    weight, means = generator.uniform(0.5, 2.0, len(X)), np.array([[-1.0, 0.0], [4.0, 3.0]])
    exact = GaussianMixture(
        2,
        covariance_type="diag",
        reg_covar=0.0,
        tol=1e-15,
        max_iter=5000,
        weights_init=np.full(2, 0.5),
        means_init=means,
        precisions_init=np.ones((2, 2)),
    ).fit(X, sample_weight=weight)
    start = Diagonal(np.full(2, 0.5), means, np.zeros((2, 2)))
    run = em(GaussianByGradient(), start, Rows(X, weight), Monitor(2000, 0.0))
    assert np.diff(run.history).min() >= -ROUNDING
    assert run.history[0] == pytest.approx(exact.objective_history_[0], abs=ROUNDING)
    assert run.value == pytest.approx(exact.objective_history_[-1], abs=1e-11)
    np.testing.assert_allclose(run.params.weights, exact.weights_, atol=SAME_LIMIT)
    np.testing.assert_allclose(run.params.means, exact.means_, atol=SAME_LIMIT)
    deviations = np.sqrt(exact.covariances_)
    np.testing.assert_allclose(np.exp(run.params.log_deviations), deviations, atol=SAME_LIMIT)


@dataclass(frozen=True)
class Regressions:
    weights: np.ndarray
    coefficients: np.ndarray
    step: float = 1.0


@dataclass(frozen=True)
class Total:
    """Of numbers and arrays, whatever they are."""

    terms: tuple

    def merge(self, other):
        return Total(tuple(a + b for a, b in zip(self.terms, other.terms, strict=True)))


class LogisticRegressions:
    """A mixture of logistic regressions; target = successes among `n_trials`.

    Its expected log likelihood is no function of a few sums: a trial of the M-step is a pass.
    """

    n_trials = 20

    def __init__(self, rows):
        self.rows = rows

    def log_joint(self, block, weights, coefficients):
        scores = block.X @ coefficients.T
        terms = block.target[:, None] * scores - self.n_trials * np.logaddexp(0.0, scores)
        return terms + np.log(weights)

    def responsibilities(self, block, params):
        return softmax(self.log_joint(block, params.weights, params.coefficients), axis=1)

    def prepare(self, params):
        return params

    def e_step(self, block, params):
        log_norm = logsumexp(self.log_joint(block, params.weights, params.coefficients), axis=1)
        count = block.weight @ self.responsibilities(block, params)
        return Total((block.weight @ log_norm, count))

    def value(self, params, total):
        return total.terms[0] / self.rows.weight_sum

    def m_step(self, params, total):
        weights = total.terms[1] / self.rows.weight_sum
        shape = params.coefficients.shape

        def of_block(block, vector):
            coefficients = vector.reshape(shape)
            r = block.weight[:, None] * self.responsibilities(block, params)
            value = (r * self.log_joint(block, weights, coefficients)).sum()
            residual = block.target[:, None] - self.n_trials * expit(block.X @ coefficients.T)
            return Total((value, (r * residual).T @ block.X))

        def expected(vector):
            value, gradient = self.rows.sum(of_block, vector).terms
            return value / self.rows.weight_sum, gradient.ravel() / self.rows.weight_sum

        vector, step = ascend(expected, params.coefficients.ravel(), params.step)
        return Regressions(weights, vector.reshape(shape), step)


def test_m_step_of_passes_over_the_rows_ends_at_the_optimum():
    generator = np.random.default_rng(0)
    n, truth = 300, np.array([[1.0, 1.5], [-1.0, 0.5]])
    X = np.column_stack([np.ones(n), generator.normal(size=n)])
    scores = (X * truth[generator.integers(2, size=n)]).sum(axis=1)
    target = generator.binomial(LogisticRegressions.n_trials, expit(scores)).astype(np.float64)
    weight = generator.uniform(0.5, 2.0, n)
    rows = Rows(X, weight, target)
    model = LogisticRegressions(rows)
    start = Regressions(np.full(2, 0.5), np.array([[0.5, 0.0], [-0.5, 0.0]]))
    run = em(model, start, rows, Monitor(1000, 0.0))
    assert np.diff(run.history).min() >= -10.0 * ROUNDING

    def log_density(vector):
        weights, coefficients = softmax(vector[:2]), vector[2:].reshape(2, 2)
        return logsumexp(model.log_joint(rows.block(0), weights, coefficients), axis=1)

    best, value = best_by_scipy(
        log_density, weight, np.concatenate([np.zeros(2), start.coefficients.ravel()])
    )
    assert run.value == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(run.params.weights, softmax(best[:2]), atol=SAME_LIMIT)
    np.testing.assert_allclose(run.params.coefficients.ravel(), best[2:], atol=SAME_LIMIT)


def test_regressions_take_other_blocks_and_threads(monkeypatch):
    generator = np.random.default_rng(1)
    X = np.column_stack([np.ones(300), generator.normal(size=300)])
    target = generator.integers(LogisticRegressions.n_trials + 1, size=300).astype(np.float64)
    start = Regressions(np.full(2, 0.5), np.array([[0.5, 0.0], [-0.5, 0.0]]))

    def run(n_threads):
        rows = Rows(X, None, target, n_threads=n_threads)
        return em(LogisticRegressions(rows), start, rows, Monitor(10, 0.0))

    whole = run(1)
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 100)
    one, three = run(1), run(3)
    assert one.history == three.history
    np.testing.assert_allclose(one.history, whole.history, rtol=1e-12)

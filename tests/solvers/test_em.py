"""EM for a model from outside: the Bernoulli mixture that the guide shows."""

import ast
import io
import re
import tokenize
from itertools import product

import numpy as np
import pytest

from skgen import rows as rows_module
from skgen.rows import Rows
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor
from tests.own_models import EXTENDING, example

EXAMPLE = EXTENDING / "plot_bernoulli_mixture.py"
GUIDE = EXTENDING.parents[1] / "doc" / "extending.md"
bernoulli = example("plot_bernoulli_mixture")


def binary_rows(n=300, d=6, seed=0):
    """Rows of two kinds."""
    generator = np.random.default_rng(seed)
    shares = generator.uniform(0.1, 0.9, size=(2, d))[generator.integers(2, size=n)]
    return (generator.random((n, d)) < shares).astype(np.float64)


def start_of(X, k, seed=0):
    """Where the example's `fit` starts."""
    drawn = np.random.default_rng(seed).choice(len(X), k, replace=False)
    return np.full(k, 1.0 / k), 0.25 + 0.5 * X[drawn]


def probability(x, weights, means):
    """p(x) and the joint probabilities, as they are defined."""
    joint = [
        weight * np.prod([p if cell else 1.0 - p for cell, p in zip(x, mean, strict=True)])
        for weight, mean in zip(weights, means, strict=True)
    ]
    return sum(joint), np.array(joint)


def naive_em(X, sample_weight, weights, means, n_iter):
    """The objective of every iteration, row by row."""
    history = []
    for _ in range(n_iter):
        total, count, ones = 0.0, np.zeros(len(weights)), np.zeros_like(means)
        for x, w in zip(X, sample_weight, strict=True):
            density, joint = probability(x, weights, means)
            total += w * np.log(density)
            count += w * joint / density
            ones += np.outer(w * joint / density, x)
        history.append(total / sample_weight.sum())
        weights = count / count.sum()
        means = np.clip(ones / count[:, None], bernoulli.LEAST, 1.0 - bernoulli.LEAST)
    return history, weights, means


def test_run_is_that_of_naive_em():
    X = binary_rows()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    run = bernoulli.fit(X, 3, weight, max_iter=30, tol=0.0)
    history, weights, means = naive_em(X, weight, *start_of(X, 3), 30)
    np.testing.assert_allclose(run.history, history, rtol=1e-12)
    np.testing.assert_allclose(run.params.weights, weights, rtol=1e-9)
    np.testing.assert_allclose(run.params.means, means, rtol=1e-9)
    assert run.value == run.history[-1] and run.n_iter == 30 and not run.converged


def test_log_likelihood_is_that_of_a_distribution():
    """Over all rows there can be, probabilities add up to one; each is what it is defined as."""
    params = bernoulli.fit(binary_rows(), 3).params
    model = bernoulli.BernoulliMixture()
    total = 0.0
    for x in product([0.0, 1.0], repeat=params.means.shape[1]):
        rows = Rows(np.array([x]))
        value = model.value(params, rows.sum(model.e_step, model.prepare(params)))
        expected, _ = probability(x, params.weights, params.means)
        assert np.exp(value) == pytest.approx(expected, rel=1e-12)
        total += np.exp(value)
    assert total == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_objective_never_falls_where_probabilities_meet_their_bounds(seed):
    X = binary_rows(n=60, d=20, seed=seed)
    X[:, :3], X[:, 3:6] = 0.0, 1.0
    run = bernoulli.fit(X, 6, seed=seed, max_iter=500, tol=1e-12)
    assert (run.params.means == bernoulli.LEAST).sum() >= 3
    assert run.converged and run.reason.startswith("objective changed by less than")
    # A sum of 60 terms about 10 is exact to some 1e-14 of it.
    assert np.diff(run.history).min() >= -1e-13


def test_weight_2_is_the_row_twice():
    X = binary_rows()
    weight = np.where(np.arange(len(X)) % 3 == 0, 2.0, 1.0)
    once = bernoulli.fit(X, 3, weight, max_iter=20, tol=0.0)
    # At the end, so that the start is drawn from the same rows.
    model, start = bernoulli.BernoulliMixture(), bernoulli.Params(*start_of(X, 3))
    twice = em(model, start, Rows(np.concatenate([X, X[::3]])), Monitor(20, 0.0))
    np.testing.assert_allclose(once.history, twice.history, rtol=1e-12)
    np.testing.assert_allclose(once.params.means, twice.params.means, rtol=1e-9)


def test_threads_do_not_change_a_bit_nor_blocks_more_than_rounding(monkeypatch):
    X = binary_rows(n=4000)
    whole = bernoulli.fit(X, 4, max_iter=20, tol=0.0)
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 1000)
    assert Rows(X).n_blocks == 25
    runs = [bernoulli.fit(X, 4, n_threads=n, max_iter=20, tol=0.0) for n in (1, 2, 3)]
    for run in runs:
        assert run.history == runs[0].history
        assert run.params.means.tobytes() == runs[0].params.means.tobytes()
    np.testing.assert_allclose(runs[0].history, whole.history, rtol=1e-12)
    assert whole.history != runs[0].history


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.bool_])
def test_rows_of_other_types(dtype):
    """Zero and one are exact in all of them."""
    X = binary_rows()
    model, start = bernoulli.BernoulliMixture(), bernoulli.Params(*start_of(X, 3))
    run = em(model, start, Rows(X.astype(dtype)), Monitor(20, 0.0))
    expected = em(model, start, Rows(X), Monitor(20, 0.0))
    np.testing.assert_allclose(run.history, expected.history, rtol=1e-12)


def test_monitor_need_not_be_given():
    X = binary_rows()
    model, start = bernoulli.BernoulliMixture(), bernoulli.Params(*start_of(X, 3))
    run = em(model, start, Rows(X))
    told = em(model, start, Rows(X), Monitor(100, 1e-3))
    assert run.converged and run.history == told.history
    assert (Monitor().max_iter, Monitor().tol) == (100, 1e-3)
    # A run of its own each time, not one that goes on.
    assert em(model, start, Rows(X)).history == run.history


def test_whoever_watches_may_do_without_attributes():
    class Watch:
        def __init__(self):
            self.n_begun, self.seen = 0, []

        def begin(self):
            self.n_begun += 1

        def end(self, attributes):
            self.seen.append(attributes())
            return self.n_begun == 3

    X, watch = binary_rows(), Watch()
    model, start = bernoulli.BernoulliMixture(), bernoulli.Params(*start_of(X, 3))
    run = em(model, start, Rows(X), Monitor(tol=0.0, run=watch))
    assert run.reason == "stopped by a callback" and watch.seen == [{}, {}, {}]


class Falling(bernoulli.BernoulliMixture):
    """From the fifth M-step on the objective is `value_then`."""

    def __init__(self, value_then):
        self.value_then, self.n_steps = value_then, 0

    def m_step(self, params, sums):
        self.n_steps += 1
        return super().m_step(params, sums)

    def value(self, params, sums):
        return super().value(params, sums) if self.n_steps < 5 else self.value_then


@pytest.mark.parametrize(
    ("value_then", "reason", "converged"),
    [(-np.inf, "lowered the objective", True), (np.nan, "objective NaN", False)],
)
def test_step_to_a_bad_place_is_taken_back(value_then, reason, converged):
    X = binary_rows()
    start = bernoulli.Params(*start_of(X, 3))
    run = em(Falling(value_then), start, Rows(X), Monitor(tol=0.0))
    four = em(bernoulli.BernoulliMixture(), start, Rows(X), Monitor(4, 0.0))
    assert run.n_iter == len(run.history) == 5 and run.converged is converged
    assert run.history[:4] == four.history and reason in run.reason
    assert run.params.means.tobytes() == four.params.means.tobytes()


def test_an_acceleration_that_there_is_not_is_named():
    with pytest.raises(ValueError, match=r"acceleration='aitken' must be one of .*squarem"):
        em(bernoulli.BernoulliMixture(), None, Rows(binary_rows()), acceleration="aitken")


@pytest.mark.parametrize("max_iter", [0, 100])
def test_nan_at_the_start_is_an_error(max_iter):
    X = binary_rows()
    start = bernoulli.Params(np.full(2, 0.5), np.full((2, X.shape[1]), np.nan))
    with pytest.raises(ValueError, match="the objective is NaN at the start"):
        em(bernoulli.BernoulliMixture(), start, Rows(X), Monitor(max_iter))


def code_lines(source):
    """Lines with code: no comments, docstrings or blanks."""
    lines, skipped = set(), {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    skipped |= {tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_example_has_under_60_lines_of_code():
    assert code_lines('"""Text."""\n# Why.\n\na = [\n    1,\n]\n') == 3
    assert 40 < code_lines(EXAMPLE.read_text()) < 60


def test_guide_shows_the_examples_themselves():
    """Sphinx reads what it shows from the files that are tested here."""
    guide, paths = GUIDE.read_text(), set()
    for path, options in re.findall(r"```\{literalinclude\} (\S+)\n(.*?)```", guide, re.DOTALL):
        file = (GUIDE.parent / path).resolve()
        paths.add(file)
        for marker in re.findall(r':(?:start|end)-at: "(.+)"', options):
            assert marker in file.read_text()
    assert paths == set(EXTENDING.glob("*.py"))
    assert "class BernoulliMixture" not in guide

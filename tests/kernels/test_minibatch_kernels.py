"""Compiled minibatch updates against the loop in NumPy, under every SIMD level at hand."""

import numpy as np
import pytest
from scipy import sparse

from skgen import kernels
from skgen.linear_model.softmax_batches import SoftmaxBatches
from skgen.rows import Rows
from skgen.solvers.sgd import Training
from skgen.solvers.update_rules import RULES, named

OPTIONS = {
    "momentum": 0.9,
    "epsilon": 1e-8,
    "rho": 0.9,
    "beta_1": 0.9,
    "beta_2": 0.999,
}
# Rounding of X's type, over a few dozen updates.
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-11}
# (rows, features, classes): every remainder of the tiles.
SHAPES = [(23, 1, 2), (40, 5, 3), (61, 16, 4), (50, 33, 5), (37, 17, 7), (30, 130, 10), (9, 40, 9)]


@pytest.fixture(params=kernels.available_levels())
def level(request, monkeypatch):
    monkeypatch.setattr(kernels, "minibatch", kernels.load("minibatch", request.param))


def trained(n, d, k, *, rule="sgd", batch_size=8, dtype=np.float64, compiled=True, **options):
    """Parameters, memory and mean value after two epochs from random parameters."""
    rng = np.random.default_rng(n + d)
    X = rng.normal(size=(n, d)).astype(dtype)
    X[rng.uniform(size=(n, d)) < 0.3] = 0.0
    X = options.pop("make", np.asarray)(X)
    weight = rng.integers(0, 3, n).astype(float) if options.pop("weighted", False) else None
    target = rng.integers(0, k, n).astype(np.int32)
    clip_norm = options.pop("clip_norm", None)
    settings = {"fit_intercept": True, "l2": 0.1, "l1": 0.0, "temperature": 1.0} | options
    problem = SoftmaxBatches(Rows(X, weight, target), k, compiled=compiled, **settings)
    decay = 0.1 * problem.penalized
    rule = named(RULES, rule, OPTIONS | {"weight_decay": decay})
    training = Training.begin(0.1 * rng.normal(size=problem.layout.size), rule)
    values = []
    for epoch in range(2):
        order = np.random.default_rng(epoch).permutation(problem.n_rows)
        rates = np.linspace(0.05, 0.01, -(-problem.n_rows // batch_size))
        values.append(problem.advance(training, rule, rates, order, batch_size, clip_norm))
    return training, np.array(values)


def assert_agree(tolerance, *arguments, **options):
    ours, values = trained(*arguments, **options)
    twin, expected = trained(*arguments, compiled=False, **options)
    np.testing.assert_allclose(values, expected, rtol=tolerance)
    np.testing.assert_allclose(ours.w, twin.w, atol=tolerance * np.abs(twin.w).max())
    np.testing.assert_allclose(ours.memory, twin.memory, atol=tolerance)
    assert ours.n_updates == twin.n_updates > 2


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("shape", SHAPES)
def test_updates_agree_for_every_shape(level, shape, make, dtype):
    assert_agree(TOLERANCE[dtype], *shape, make=make, dtype=dtype)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("l1", [0.0, 0.05])
@pytest.mark.parametrize("rule", RULES)
def test_updates_agree_for_every_rule(level, rule, l1, make):
    assert_agree(1e-9, 60, 13, 4, rule=rule, l1=l1, make=make)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "options",
    [
        {"weighted": True},
        {"fit_intercept": False},
        {"temperature": 0.3},
        {"temperature": 20.0},
        {"l2": 0.0},
        {"clip_norm": 0.2},
        {"batch_size": 1},
        {"batch_size": 59},
    ],
    ids=str,
)
def test_updates_agree_for_every_setting(level, options, make):
    assert_agree(1e-10, 60, 13, 4, rule="nesterov", make=make, **options)


def test_a_long_batch_of_float32_keeps_its_digits(level):
    """Sums of many rows join in double: the error does not grow with the batch."""
    assert_agree(3e-5, 5000, 20, 3, batch_size=2500, dtype=np.float32)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_epochs_cut_into_pieces_give_the_same_bits(level, make, monkeypatch):
    whole, values = trained(60, 13, 4, rule="adam", make=make)
    monkeypatch.setattr("skgen.linear_model.softmax_batches.WORK_AT_ONCE", 1.0)
    pieces, others = trained(60, 13, 4, rule="adam", make=make)
    np.testing.assert_array_equal(pieces.w, whole.w)
    np.testing.assert_array_equal(pieces.memory, whole.memory)
    np.testing.assert_allclose(others, values, rtol=1e-14)


def test_rows_may_be_empty(level):
    assert_agree(1e-12, 20, 3, 2, make=lambda X: sparse.csr_array(np.zeros_like(X)))

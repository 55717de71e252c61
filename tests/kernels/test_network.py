"""Compiled training of networks against the same training in NumPy."""

import time
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from skgen import kernels
from skgen.networks.activations import ACTIVATIONS
from skgen.networks.losses import (
    Absolute,
    Binary,
    Categorical,
    Gaussian,
    Huber,
    Poisson,
    Quantile,
    Squared,
    tasks_of,
)
from skgen.networks.network import Layer, Network, draw
from skgen.neural_network import batches
from skgen.neural_network.batches import NetworkBatches
from skgen.rows import Rows
from skgen.solvers.sgd import Training
from skgen.solvers.update_rules import RULES, named

LOSSES = {
    "categorical": Categorical(),
    "entropy": Categorical(0.7),
    "binary": Binary(),
    "entropy of two": Binary(0.3),
    "squared": Squared(),
    "absolute": Absolute(),
    "huber": Huber(0.7),
    "quantile": Quantile(0.3),
    "poisson": Poisson(),
    "gaussian": Gaussian(),
    "tasks": tasks_of((Categorical(), Squared(), Binary()), (3, 1, 1), (1.0, 0.5, 2.0)),
}
OPTIONS = {
    "momentum": 0.8,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-6,
    "rho": 0.8,
    "biased_epsilon": True,
}


def targets(loss, rng, n):
    if loss in ("categorical", "entropy"):
        return rng.integers(-1, 3, (n, 1)).astype(float)
    if loss in ("binary", "entropy of two"):
        y = rng.integers(0, 2, (n, 3)).astype(float)
        y[::3, 1] = np.nan
        return y
    if loss == "tasks":
        parts = rng.integers(0, 3, n), rng.normal(size=n), rng.integers(0, 2, n)
        return np.column_stack(parts).astype(float)
    y = rng.poisson(2.0, (n, 3)) if loss == "poisson" else rng.normal(size=(n, 3))
    y = y.astype(float)
    y[0, 1] = np.nan
    return y


class Case:
    """A network, rows and one stretch of training."""

    def __init__(
        self, activation="relu", loss="categorical", rule="adam", sizes=(5, 37, 18), **more
    ):
        rng = np.random.default_rng(more.pop("seed", 0))
        self.n, self.batch, self.epochs = more.pop("n", 45), more.pop("batch", 11), 3
        self.dtype = np.dtype(more.pop("dtype", np.float64))
        self.rule, self.clip = rule, more.pop("clip", None)
        self.decay = more.pop("decay", 0.1)
        X = rng.normal(size=(self.n, sizes[0]))
        if more.pop("zeros", False):
            X *= rng.random(X.shape) < 0.2
            # Columns of nothing else, one of them of the zero that has a sign.
            X[:, 1], X[:, 2] = 0.0, -0.0
        if more.pop("sparse", False):
            X *= rng.random(X.shape) < 0.4
            X = sparse.csr_matrix(X.astype(self.dtype))
        else:
            X = X.astype(self.dtype)
        weight = rng.uniform(0.5, 2.0, self.n) if more.pop("weighted", False) else None
        if weight is not None:
            weight[::7] = 0.0
        target = targets(loss, rng, self.n).astype(self.dtype)
        self.rows = Rows(X, weight, target, n_threads=more.pop("n_threads", 1))
        kind = ACTIVATIONS[activation]
        kind = kind(more.pop("pieces", 3)) if activation == "maxout" else kind()
        norm, dropout = more.pop("batch_norm", False), more.pop("dropout", 0.0)
        layers = [Layer(a, b, kind, norm, dropout) for a, b in pairwise(sizes)]
        n_out = 5 if loss == "tasks" else LOSSES[loss].n_outputs(3)
        self.network = Network([*layers, Layer(sizes[-1], n_out)], LOSSES[loss], **more)
        state = np.random.RandomState(1)
        parts = [draw(layer, state, "auto", self.dtype) for layer in self.network.layers]
        self.w = self.network.pack(parts, self.dtype)
        self.orders = [np.random.RandomState(i).permutation(self.n) for i in range(self.epochs)]

    def train(self, compiled, n_threads=None, rate=0.01):
        """Parameters, memory and the values of the epochs."""
        rows = self.rows if n_threads is None else self.rows.with_threads(n_threads)
        problem = NetworkBatches(rows, self.network, 123456789012, compiled)
        rule = named(
            RULES, self.rule, OPTIONS | {"weight_decay": self.decay * self.network.penalized}
        )
        training, values = Training.begin(self.w, rule), []
        for order in self.orders:
            order = order[order < problem.n_rows]
            count = -(-len(order) // self.batch)
            with np.errstate(all="ignore"):
                values.append(
                    problem.advance(
                        training, rule, np.full(count, rate), order, self.batch, self.clip
                    )
                )
        return training, values


def check(case):
    (ours, values), (twin, expected) = case.train(True), case.train(False)
    single = case.dtype == np.float32
    # Rounding is carried along for some ten updates.
    scale = 2e-4 if single else 1e-10
    np.testing.assert_allclose(values, expected, rtol=scale, atol=scale)
    largest = max(1.0, np.abs(twin.w).max())
    np.testing.assert_allclose(ours.w, twin.w, rtol=0, atol=scale * largest)
    largest = np.abs(twin.memory).max(axis=1, keepdims=True, initial=1e-9)
    np.testing.assert_allclose(ours.memory / largest, twin.memory / largest, atol=10 * scale)
    assert ours.n_updates == twin.n_updates
    assert ours.w.dtype == case.dtype


def require_close(one, two):
    """The same sums in the same order; the compiler may join products and sums elsewhere."""
    (training, values), (other, expected) = one, two
    scale = 2e-5 if training.w.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(values, expected, rtol=scale)
    largest = max(1.0, np.abs(other.w).max())
    np.testing.assert_allclose(training.w, other.w, rtol=0, atol=scale * largest)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_train_as_in_numpy(activation, dtype):
    check(Case(activation, dtype=dtype))
    check(Case(activation, dtype=dtype, batch_norm=True, weighted=True))
    check(Case(activation, dtype=dtype, dropout=0.4, weighted=True, l2=0.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_train_as_in_numpy(loss, dtype):
    check(Case("tanh", loss, dtype=dtype))
    check(Case("tanh", loss, dtype=dtype, weighted=True, sizes=(5,)))


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_rules_train_as_in_numpy(rule, dtype, clip):
    check(Case("tanh", rule=rule, dtype=dtype, clip=clip, l2=0.3, l1=0.2))
    check(Case("prelu", rule=rule, dtype=dtype, clip=clip, batch_norm=True, max_norm=0.8))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "maxout"])
def test_sparse_rows_train_as_dense_ones(activation, dtype):
    options = {"dtype": dtype, "l2": 0.2, "sizes": (9, 37, 18), "weighted": True}
    for clip in (None, 0.2):
        case = Case(activation, sparse=True, clip=clip, **options)
        check(case)
        dense = Case(activation, sparse=True, clip=clip, **options)
        dense.rows = Rows(case.rows.X.toarray(), case.rows.weight, case.rows.target)
        require_close(case.train(True), dense.train(True))


@pytest.mark.parametrize("options", [{}, {"clip": 0.1}, {"max_norm": 0.5, "batch_norm": True}])
def test_threads_do_not_change_a_bit(options):
    case = Case(sizes=(40, 130, 70, 33), n=600, batch=128, l2=0.1, dropout=0.2, **options)
    first, value = case.train(True, 1)
    for n_threads in (2, 3, 4):
        for _ in range(5):
            again, other = case.train(True, n_threads)
            np.testing.assert_array_equal(again.w, first.w)
            np.testing.assert_array_equal(again.memory, first.memory)
            assert other == value


@pytest.mark.parametrize("sizes", [(1, 1), (3,), (70, 5, 1, 66), (17, 16, 32, 48), (2, 200)])
def test_all_sizes_fit_their_panels(sizes):
    for dtype in ("float32", "float64"):
        check(Case("relu", sizes=sizes, dtype=dtype, l2=0.1))
        check(Case("maxout", sizes=sizes, dtype=dtype, batch=7, n=20, pieces=2))


@pytest.mark.parametrize("rule", ["adam", "momentum"])
def test_stretches_do_not_change_a_bit(rule, monkeypatch):
    case = Case("prelu", rule=rule, n=200, batch_norm=True, dropout=0.2)
    whole, values = case.train(True)
    monkeypatch.setattr(batches, "WORK_AT_ONCE", 1e5)
    parts, other = case.train(True)
    np.testing.assert_array_equal(parts.w, whole.w)
    np.testing.assert_array_equal(parts.memory, whole.memory)
    np.testing.assert_allclose(other, values, rtol=1e-14)


def test_helpers_that_never_come_are_not_waited_for(monkeypatch):
    case = Case(sizes=(40, 130, 70), n=600, batch=128)
    expected, _ = case.train(True, 1)

    class Never:
        def cancel(self):
            return True

    monkeypatch.setattr(batches, "submit", lambda task, n: [Never() for _ in range(n)])
    found, _ = case.train(True, 2)
    np.testing.assert_array_equal(found.w, expected.w)


def test_helpers_of_training_that_never_begins_are_sent_away(monkeypatch):
    case, futures = Case(sizes=(40, 130, 70), n=600, batch=128), []

    def interrupted(task, n):
        futures.extend(submit(task, n))
        time.sleep(0.05)
        raise KeyboardInterrupt

    submit = batches.submit
    monkeypatch.setattr(batches, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        case.train(True, 3)
    for future in futures:
        assert future.result(timeout=10) is None


def test_training_that_runs_away_ends():
    for activation in ACTIVATIONS:
        case = Case(activation, "squared", rule="sgd")
        _, values = case.train(True, rate=1e30)
        assert not np.isfinite(values).all(), activation


@pytest.mark.parametrize("level", kernels.available_levels())
def test_levels_agree(level, monkeypatch):
    monkeypatch.setattr(kernels, "network", kernels.load("network", level), raising=False)
    for dtype in ("float32", "float64"):
        check(Case("tanh", dtype=dtype, batch_norm=True, dropout=0.2, l2=0.1))
        check(Case("maxout", dtype=dtype, clip=0.5, rule="momentum"))
        check(Case("relu", "gaussian", dtype=dtype, sparse=True, l1=0.1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_in", [3, 40, 250, 800])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sizes": (70,)},
        {"sizes": ()},
        {"sizes": (5,), "activation": "maxout", "pieces": 3},
        {"sizes": (49,), "batch_norm": True, "weighted": True, "l2": 0.3, "l1": 0.1},
        {"clip": 0.1, "max_norm": 0.5, "dropout": 0.2},
    ],
    ids=["deep", "wide", "linear", "maxout", "penalties", "clipped"],
)
def test_zeros_of_rows_are_left_out(n_in, dtype, options, monkeypatch):
    sizes = (n_in, *options.get("sizes", (37, 18)))
    case = Case(**options | {"sizes": sizes}, zeros=True, dtype=dtype, n=33, batch=8)
    assert batches.worth_lists(case.rows.X, 8)
    listed = case.train(True)
    check(case)
    for n_threads in (2, 3):
        training, values = case.train(True, n_threads)
        assert values == listed[1]
        np.testing.assert_array_equal(training.w, listed[0].w)
        np.testing.assert_array_equal(training.memory, listed[0].memory)
    monkeypatch.setattr(batches, "LISTED_SHARE", -1.0)
    assert not batches.worth_lists(case.rows.X, 8)
    require_close(listed, case.train(True))


def test_few_zeros_make_no_lists():
    X = np.ones((100, 10))
    assert not batches.worth_lists(X, 20)
    assert not batches.worth_lists(sparse.csr_matrix(np.eye(10)), 5)
    X[:, :7] = 0.0
    assert batches.worth_lists(X, 20)
    assert not batches.worth_lists(X, batches.LISTED_CELLS)

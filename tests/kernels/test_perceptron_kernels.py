"""Perceptron kernels agree with visits spelled out in NumPy, at every SIMD level."""

import numpy as np
import pytest
from scipy import sparse

from skgen.kernels import available_levels, load
from tests.reference_perceptron import Twin

# Below, at and above multiples of every vector length.
WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 50, 67]
FREE, SHRINKING, TRUNCATING = 0, 1, 2
STORAGES = ["dense", "narrow", "wide"]


@pytest.fixture(params=available_levels())
def kernels(request):
    return load("perceptron", request.param)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


def matrix(X, storage):
    if storage == "dense":
        return (X,)
    X = sparse.csr_array(X)
    integer = np.int32 if storage == "narrow" else np.int64
    return X.data, X.indices.astype(integer), X.indptr.astype(integer)


def problem(n, d, n_classes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    target = (X @ rng.normal(size=(d, n_classes)) + rng.normal(size=(n, n_classes))).argmax(axis=1)
    order = np.concatenate([rng.permutation(n) for _ in range(3)]).astype(np.int32)
    return X.astype(dtype), target.astype(np.int32), order, rng


class Walker:
    """The arrays that the kernels continue."""

    def __init__(self, kernels, coef, intercept, *, positive, gain, eta=1.0, l2=0.0, l1=0.0,
                 average=np.inf, fit_intercept=True, multiclass=False, penalty=FREE):  # fmt: skip
        self.kernels = kernels
        self.column = {name: number for number, name in enumerate(kernels.STATE)}
        self.vector = np.array(coef, dtype=float)
        self.state = np.zeros((len(coef), len(self.column)))
        self.state[:, self.column["intercept"]] = intercept
        self.state[:, self.column["scale"]] = self.state[:, self.column["time"]] = 1.0
        coef = np.asarray(coef, dtype=float)
        self.sums = np.zeros(coef.shape if np.isfinite(average) else (0, 0))
        self.paid = np.zeros(coef.shape if penalty == TRUNCATING else (0, 0))
        # As a penalized fit begins: the norms of the start.
        square, absolute = (coef**2).sum(axis=1), np.abs(coef).sum(axis=1)
        if multiclass:
            square, absolute = square.sum(), absolute.sum()
        self.state[:, self.column["square"]] = square
        self.state[:, self.column["absolute"]] = absolute
        self.rule = np.array([eta, max(0.0, 1 - eta * l2), eta * l1, 0.5 * l2, l1, average])
        self.positive, self.gain = np.array(positive, dtype=np.int32), np.array(gain, dtype=float)
        self.flags = fit_intercept, penalty, multiclass

    def walk(
        self, entries, target, order, weight=None, share=None, begin=0, end=None, pocket=False
    ):
        kernel = self.kernels.walk_dense if len(entries) == 1 else self.kernels.walk_csr
        none = np.empty(0)
        return kernel(
            *entries, target, none if weight is None else weight, none if share is None else share,
            order, np.arange(len(self.vector), dtype=np.int32), self.positive, self.gain, self.rule,
            self.vector, self.sums, self.paid, self.state,
            begin, len(order) if end is None else end, *self.flags, pocket,
        )  # fmt: skip

    def read(self, name):
        column = self.state[:, self.column[name]]
        return column[:1] if self.flags[2] else column

    @property
    def coef(self):
        return self.read("scale")[:, None] * self.vector

    @property
    def intercept(self):
        return self.state[:, self.column["intercept"]]

    def averaged(self):
        visits = self.read("visits")
        coef = (self.read("area")[:, None] * self.vector - self.sums) / visits[:, None]
        sums = self.state[:, self.column["intercept_sum"]]
        return coef, self.intercept - sums / visits


def assert_alike(walker, twin):
    tolerance = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_array_equal(walker.read("mistakes"), twin.mistakes)
    np.testing.assert_allclose(walker.coef, twin.coef, **tolerance)
    np.testing.assert_allclose(walker.intercept, twin.intercept, **tolerance)
    np.testing.assert_allclose(walker.read("loss"), twin.loss, **tolerance)
    np.testing.assert_allclose(walker.read("penalty"), twin.charge, **tolerance)
    np.testing.assert_allclose(walker.read("time"), twin.time)
    if np.isfinite(twin.average):
        for ours, theirs in zip(walker.averaged(), twin.averaged(), strict=True):
            np.testing.assert_allclose(ours, theirs, **tolerance)


PENALTIES = {
    "free": {},
    "l2": {"l2": 1e-2, "penalty": SHRINKING},
    "l1": {"l1": 1e-2, "penalty": TRUNCATING},
    "elastic": {"l2": 1e-2, "l1": 1e-2, "penalty": TRUNCATING},
}


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("storage", STORAGES)
def test_two_classes_every_width(kernels, dtype, storage, d):
    X, target, order, rng = problem(40, d, 2, dtype)
    facts = {"positive": [1], "gain": [[1.5, 0.5]], "eta": 0.7, "average": 1}
    start = rng.normal(size=(1, d)), rng.normal(size=1)
    walker, twin = Walker(kernels, *start, **facts), Twin(*start, **facts)
    walker.walk(matrix(X, storage), target, order)
    twin.walk(X, target, order)
    assert walker.read("mistakes")[0] > 0
    assert_alike(walker, twin)


@pytest.mark.parametrize("average", [np.inf, 1, 30], ids=["last", "averaged", "averaged-late"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("multiclass", [False, True], ids=["rest", "multiclass"])
def test_four_classes(kernels, dtype, storage, penalty, average, multiclass):
    X, target, order, rng = problem(60, 11, 4, dtype, seed=1)
    facts = PENALTIES[penalty] | {
        "positive": range(4),
        "gain": rng.uniform(0.5, 2, size=(4, 2)),
        "average": average,
        "multiclass": multiclass,
    }
    weight, share = rng.uniform(0.5, 2, size=(2, len(X)))
    start = np.zeros((4, 11)), np.zeros(4)
    walker, twin = Walker(kernels, *start, **facts), Twin(*start, **facts)
    walker.walk(matrix(X, storage), target, order, weight, share)
    twin.walk(X, target, order, weight, share)
    assert walker.read("mistakes").min() > 0
    assert_alike(walker, twin)


@pytest.mark.parametrize("multiclass", [False, True], ids=["rest", "multiclass"])
def test_strong_shrinkage_folds_the_scale(kernels, multiclass):
    """Halved at every visit, the scale would leave the range of float64 after 1074 of them."""
    X, target, order, _ = problem(60, 5, 3, np.float64, seed=2)
    order = np.tile(order, 10)
    facts = {"positive": range(3), "gain": np.ones((3, 2)), "l2": 0.5, "penalty": SHRINKING,
             "average": 1, "multiclass": multiclass}  # fmt: skip
    start = np.zeros((3, 5)), np.zeros(3)
    walker, twin = Walker(kernels, *start, **facts), Twin(*start, **facts)
    walker.walk(matrix(X, "dense"), target, order)
    twin.walk(X, target, order)
    assert_alike(walker, twin)


def test_shrinkage_to_nothing_starts_again_from_zero(kernels):
    X, target, order, _ = problem(30, 4, 2, np.float64)
    facts = {"positive": [1], "gain": [[1.0, 1.0]], "l2": 3.0, "penalty": SHRINKING}
    start = np.zeros((1, 4)), np.zeros(1)
    walker, twin = Walker(kernels, *start, **facts), Twin(*start, **facts)
    walker.walk(matrix(X, "dense"), target, order)
    twin.walk(X, target, order)
    assert_alike(walker, twin)


def test_no_intercept_stays_where_it_was(kernels):
    X, target, order, _ = problem(30, 4, 2, np.float64)
    facts = {"positive": [1], "gain": [[1.0, 1.0]], "fit_intercept": False}
    walker = Walker(kernels, np.zeros((1, 4)), [0.25], **facts)
    walker.walk(matrix(X, "dense"), target, order)
    assert walker.intercept[0] == 0.25
    assert walker.read("mistakes")[0] > 0


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("storage", STORAGES)
def test_a_walk_in_parts_has_the_bits_of_one(kernels, storage, penalty):
    X, target, order, _ = problem(50, 9, 3, np.float64, seed=3)
    facts = PENALTIES[penalty] | {"positive": range(3), "gain": np.ones((3, 2)), "average": 1}
    whole, parts = (Walker(kernels, np.zeros((3, 9)), np.zeros(3), **facts) for _ in range(2))
    whole.walk(matrix(X, storage), target, order)
    for begin in range(0, len(order), 7):
        parts.walk(matrix(X, storage), target, order, begin=begin, end=min(begin + 7, len(order)))
    for name in ("vector", "sums", "paid", "state"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_pocket_stops_before_the_mistake_that_ends_the_longest_run(kernels):
    X, target, order, _ = problem(200, 6, 2, np.float64, seed=4)
    facts = {"positive": [1], "gain": [[1.0, 1.0]]}
    start = np.zeros((1, 6)), np.zeros(1)
    free, halting = Walker(kernels, *start, **facts), Walker(kernels, *start, **facts)
    free.walk(matrix(X, "dense"), target, order)
    records, position = [], 0
    while position < len(order):
        position = halting.walk(matrix(X, "dense"), target, order, begin=position, pocket=True)
        if position < len(order):
            row = order[position]
            score = halting.vector[0] @ X[row] + halting.intercept[0]
            assert (score > 0) != (target[row] == 1)
            records.append(halting.read("run")[0])
            halting.read("longest")[:] = records[-1]
    assert len(records) >= 3
    assert np.all(np.diff(records) > 0)
    np.testing.assert_array_equal(free.vector, halting.vector)


def test_overflow_is_counted(kernels, dtype):
    X = np.full((3, 2), np.finfo(dtype).max, dtype=dtype)
    X[1] *= -1
    facts = {"positive": [1], "gain": [[1.0, 1.0]], "eta": 1e300}
    walker = Walker(kernels, np.zeros((1, 2)), [0.0], **facts)
    with np.errstate(all="ignore"):
        walker.walk((X,), np.array([1, 1, 0], np.int32), np.arange(3, dtype=np.int32))
    assert walker.read("overflows")[0] > 0 or not np.isfinite(walker.vector).all()


@pytest.mark.parametrize("storage", STORAGES)
def test_rows_are_compared_number_by_number(kernels, dtype, storage):
    rng = np.random.default_rng(1)
    X = rng.integers(0, 2, size=(60, 3)).astype(dtype)
    target = rng.integers(0, 2, size=60).astype(np.int32)
    left, right = (pair.ravel().astype(np.int64) for pair in np.indices((60, 60)))
    equal = np.empty(left.size, dtype=np.uint8)
    compare = kernels.compare_dense if storage == "dense" else kernels.compare_csr
    compare(*matrix(X, storage), target, left, right, equal)
    expected = (X[left] == X[right]).all(axis=1) & (target[left] == target[right])
    assert expected.any() and not expected.all()
    np.testing.assert_array_equal(equal, expected)


def test_stored_zeros_do_not_make_rows_different(kernels):
    data = np.array([1.0, 0.0, 1.0])
    indices, pointers = np.array([0, 2, 0], np.int32), np.array([0, 2, 3], np.int32)
    target, equal = np.zeros(2, np.int32), np.empty(1, np.uint8)
    one, other = np.zeros(1, np.int64), np.ones(1, np.int64)
    kernels.compare_csr(data, indices, pointers, target, one, other, equal)
    assert equal[0] == 1


@pytest.mark.parametrize("storage", STORAGES)
def test_gather_is_indexing(kernels, dtype, storage):
    X, target, order, _ = problem(50, 9, 2, dtype)
    entries = matrix(X, storage)
    if storage == "dense":
        out = np.zeros((len(order), 9), dtype=dtype)
        for begin, end in ((0, 70), (70, len(order))):
            kernels.gather_dense(X, target, order, out, begin, end)
        np.testing.assert_array_equal(out, X[order])
        return
    _, indices, pointers = entries
    new = np.append(0, np.cumsum(np.diff(pointers)[order])).astype(pointers.dtype)
    values, columns = np.empty(new[-1], dtype), np.empty(new[-1], indices.dtype)
    kernels.gather_csr(*entries, target, order, values, columns, new, 0, len(order))
    out = sparse.csr_array((values, columns, new), shape=(len(order), 9))
    np.testing.assert_array_equal(out.toarray(), X[order])


def test_shuffles_are_uniform_permutations(kernels):
    """24 orders of 4 items: chi-squared with 23 degrees of freedom, 1e-6 quantile 71.5."""
    generator, counts = np.array([7], dtype=np.uint64), {}
    order = np.arange(4, dtype=np.int32)
    for _ in range(24000):
        kernels.shuffle(generator, order)
        counts[tuple(order)] = counts.get(tuple(order), 0) + 1
    assert len(counts) == 24
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 71.5


def test_shuffles_are_the_same_at_every_level():
    orders = []
    for level in available_levels():
        generator, order = np.array([3], dtype=np.uint64), np.arange(1000, dtype=np.int32)
        load("perceptron", level).shuffle(generator, order)
        orders.append(order)
    assert all(np.array_equal(order, orders[0]) for order in orders)
    np.testing.assert_array_equal(np.sort(orders[0]), np.arange(1000))

"""Seeding: what is drawn depends on the weighted multiset of rows and on nothing else."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import kmeans_plusplus as peer_kmeans_plusplus
from sklearn.datasets import load_iris

from skgen.rows import Rows
from skgen.seeding import kmeans_plus_plus, order_rows, random_rows

DRAWS = [kmeans_plus_plus, random_rows]
SEEDS = range(20)


def blobs(n=400, d=5, k=6, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, d)) * 6
    # Exponential noise: a third moment, as real data have.
    X = centers[rng.integers(0, k, size=n)] + rng.exponential(size=(n, d))
    return X.astype(dtype)


def drawn(draw, X, weight=None, k=7, **rows):
    return np.array([draw(Rows(X, weight, **rows), k, rng(seed))[0] for seed in SEEDS])


def rng(seed):
    return np.random.RandomState(seed)


def potential(X, centers):
    return ((X[:, None] - centers) ** 2).sum(axis=-1).min(axis=1).sum()


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("n", [400, 9000])
def test_order_of_rows_does_not_matter(draw, n):
    X = blobs(n)
    shuffled = X[rng(1).permutation(n)]
    np.testing.assert_array_equal(drawn(draw, X), drawn(draw, shuffled))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("n", [300, 6000])
def test_weight_means_repetition(draw, n):
    X = blobs(n)
    weight = rng(0).randint(0, 5, size=n)
    repeated = np.repeat(X, weight, axis=0)
    repeated = repeated[rng(1).permutation(len(repeated))]
    np.testing.assert_array_equal(drawn(draw, X, weight.astype(float)), drawn(draw, repeated))


@pytest.mark.parametrize("draw", DRAWS)
def test_weights_count_relative_to_each_other(draw):
    X, weight = blobs(), rng(0).uniform(size=400)
    np.testing.assert_array_equal(drawn(draw, X, weight), drawn(draw, X, 1e-6 * weight))


@pytest.mark.parametrize("draw", DRAWS)
def test_rows_without_weight_are_never_drawn(draw):
    X, weight = blobs(), np.ones(400)
    weight[::2] = 0.0
    X[::2] += 1e6
    assert (drawn(draw, X, weight) < 1e5).all()


@pytest.mark.parametrize("draw", DRAWS)
def test_threads_do_not_matter(draw):
    X = blobs(50_000)
    np.testing.assert_array_equal(drawn(draw, X), drawn(draw, X, n_threads=3))


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X + 1e8,
        lambda X: X * 1e-8,
        lambda X: X * 1e8,
        lambda X: X * 1e-170,
        lambda X: X * 1e150,
        lambda X: X[:, ::-1],
        lambda X: X @ np.linalg.qr(rng(0).normal(size=(5, 5)))[0],
        lambda X: X.astype(np.float32),
        lambda X: X.astype(np.float32) * np.float32(1e-30),
        lambda X: X.astype(np.float32) * np.float32(1e30),
        sparse.csr_array,
        sparse.csr_matrix,
    ],
    ids=[
        "shifted", "small", "large", "tiny", "huge", "columns", "rotated", "float32",
        "tiny-float32", "huge-float32", "csr_array", "csr_matrix",
    ],
)  # fmt: skip
def test_same_rows_are_drawn_from_changed_data(draw, change):
    X = blobs()
    changed = change(X)
    if not sparse.issparse(changed):
        changed = np.ascontiguousarray(changed)
    for seed in SEEDS:
        before = draw(Rows(X), 7, rng(seed))[1]
        after = draw(Rows(changed), 7, rng(seed))[1]
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array], ids=["dense", "csr"])
def test_too_few_distinct_rows_give_every_row_and_repeats(draw, convert):
    X = np.repeat([[0.0, 1.0], [5.0, 0.0], [2.0, 2.0]], 4, axis=0)
    for seed in SEEDS:
        centers, indices = draw(Rows(convert(X)), 6, rng(seed))
        assert len(np.unique(centers, axis=0)) == 3
        np.testing.assert_array_equal(centers, X[indices])
        assert len(np.unique(centers[:3], axis=0)) == 3


def test_symmetric_data_are_ordered_too():
    X = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    for permutation in ([0, 1, 2, 3], [3, 1, 0, 2]):
        order = order_rows(Rows(np.ascontiguousarray(X[permutation])))
        ordered = X[permutation][order.order]
        assert order.n_distinct == 4
        np.testing.assert_array_equal(ordered, X[order_rows(Rows(X)).order])


def test_first_center_is_drawn_by_weight():
    X, weight = np.arange(4.0)[:, None], np.array([1.0, 2.0, 3.0, 4.0])
    stream, rows = rng(0), Rows(X, weight)
    counts = np.zeros(4)
    for _ in range(4000):
        counts[kmeans_plus_plus(rows, 1, stream)[1]] += 1
    # Five standard errors of a binomial count.
    assert (np.abs(counts - 400 * weight) < 5 * np.sqrt(4000 * 0.25)).all()


def test_next_center_is_drawn_by_weight_times_squared_distance():
    X, weight = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([1e9, 4.0, 1.0, 1.0])
    stream, rows = rng(0), Rows(X, weight)
    counts = np.zeros(4)
    for _ in range(4000):
        counts[kmeans_plus_plus(rows, 2, stream, n_local_trials=1)[1][1]] += 1
    expected = 4000 * np.array([0.0, 4.0, 4.0, 9.0]) / 17
    assert counts[0] == 0
    assert (np.abs(counts - expected) < 5 * np.sqrt(1000)).all()


def test_random_rows_are_distinct_and_drawn_by_weight():
    X, weight = np.array([[0.0], [1.0], [1.0], [2.0]]), np.array([1.0, 2.0, 3.0, 4.0])
    stream, rows = rng(0), Rows(X, weight)
    firsts = np.zeros(3)
    for _ in range(4000):
        centers = random_rows(rows, 3, stream)[0].ravel()
        assert sorted(centers) == [0.0, 1.0, 2.0]
        firsts[int(centers[0])] += 1
    assert (np.abs(firsts - [400, 2000, 1600]) < 5 * np.sqrt(1000)).all()


@pytest.mark.parametrize("k", [3, 10])
def test_potential_is_that_of_the_peer(k):
    X = load_iris().data
    rows = Rows(X)
    ours = [potential(X, kmeans_plus_plus(rows, k, rng(seed))[0]) for seed in range(300)]
    theirs = [potential(X, peer_kmeans_plusplus(X, k, random_state=seed)[0]) for seed in range(300)]
    error = np.sqrt((np.var(ours) + np.var(theirs)) / 300)
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error


def test_more_trials_leave_less_and_may_exceed_one_pass():
    X = blobs(2000, k=30)
    rows = Rows(X)
    one, many = (
        np.mean([potential(X, kmeans_plus_plus(rows, 20, rng(s), trials)[0]) for s in SEEDS])
        for trials in (1, 19)
    )
    assert many < one


def test_every_accepted_center_lowers_the_distances_it_should():
    """Bounds, masks and carried masses never cost potential: compare with plain NumPy."""
    from skgen.seeding import Search

    for dtype, d in ((np.float32, 3), (np.float32, 40), (np.float64, 7), (np.float32, 90)):
        X = blobs(6000, d=d, k=9, dtype=dtype)
        rows = Rows(X)
        search = Search(rows, order_rows(rows))
        chosen = []
        for number in range(25):
            candidates = rng(number).randint(6000, size=5)
            best = search.best(X[candidates], X[chosen]) if number else 0
            chosen.append(candidates[best])
            search.accept(X[candidates[best]], number)
            squared = ((X[:, None].astype(float) - X[chosen]) ** 2).sum(axis=-1).min(axis=1)
            np.testing.assert_allclose(search.distance, squared, rtol=1e-4, atol=1e-5)
            assert search.potential == pytest.approx(squared.sum(), rel=1e-5)


def test_overflowing_rows_are_refused():
    X = np.array([[1e308], [-1e308], [1e308]])
    with pytest.raises(ValueError, match="divide X by a constant"):
        kmeans_plus_plus(Rows(X), 2, rng(0))

"""KMeans: known answers, parity from the same start, and what its own methods promise."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans as PeerKMeans
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import scale

from skgen.cluster import KMeans, k_means, kmeans_plusplus

CONTAINERS = [np.asarray, sparse.csr_array, sparse.csr_matrix]
CONTAINER_NAMES = ["dense", "csr_array", "csr_matrix"]
ALGORITHMS = ["lloyd", "elkan", "auto"]
# Sums of squares in float64 about a mean rounded to X's dtype.
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-5}


def blobs(n=300, d=4, k=5, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, d)) * 5
    return (centers[rng.integers(0, k, size=n)] + rng.normal(size=(n, d))).astype(dtype)


def inertia_of(X, centers, weight=None):
    squared = ((X[:, None].astype(np.float64) - centers) ** 2).sum(axis=-1)
    return np.average(squared.min(axis=1), weights=weight) * (
        len(X) if weight is None else np.sum(weight)
    )


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "load, k, known",
    [
        (lambda: load_iris().data, 3, 78.851441),
        (lambda: load_iris().data, 5, 46.446182),
        (lambda: scale(load_wine().data), 3, 1277.928489),
    ],
    ids=["iris-3", "iris-5", "wine-3"],
)
def test_best_known_inertia_is_found(load, k, known, dtype, container):
    X = container(load().astype(dtype))
    model = KMeans(k, n_init=25, random_state=0, tol=0).fit(X)
    assert model.inertia_ == pytest.approx(known, rel=1e-6)


def test_digits_are_clustered_as_well_as_known():
    assert KMeans(10, n_init=10, random_state=0).fit(load_digits().data).inertia_ <= 1.1652e6


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("max_iter", [1, 3, 300])
def test_same_start_gives_the_peers_clusters(container, algorithm, dtype, weighted, max_iter):
    X = blobs(dtype=dtype)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(X)) if weighted else None
    arguments = {"n_clusters": 5, "init": X[:5], "n_init": 1, "max_iter": max_iter, "tol": 1e-6}
    ours = KMeans(**arguments, algorithm=algorithm).fit(container(X), sample_weight=weight)
    peer = PeerKMeans(**arguments).fit(X, sample_weight=weight)
    assert ours.n_iter_ == peer.n_iter_
    np.testing.assert_array_equal(ours.labels_, peer.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, peer.cluster_centers_, rtol=1e-6, atol=1e-6)
    assert ours.inertia_ == pytest.approx(peer.inertia_, rel=1e-6)
    assert ours.cluster_centers_.dtype == dtype
    assert ours.labels_.dtype == np.int32


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(2000, 2, 20), (3000, 40, 60), (900, 100, 11)])
def test_all_algorithms_give_the_same_labels(shape, dtype):
    n, d, k = shape
    X = blobs(n, d, k, dtype=dtype)
    models = [KMeans(k, random_state=0, algorithm=name, tol=0).fit(X) for name in ALGORITHMS]
    for model in models[1:]:
        np.testing.assert_array_equal(model.labels_, models[0].labels_)
        np.testing.assert_array_equal(model.cluster_centers_, models[0].cluster_centers_)


def test_labels_are_those_of_the_nearest_center():
    X = blobs(500)
    model = KMeans(7, random_state=0, max_iter=2).fit(X)
    squared = ((X[:, None] - model.cluster_centers_) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(model.labels_, squared.argmin(axis=1))
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_allclose(model.transform(X), np.sqrt(squared), rtol=1e-12)
    assert model.inertia_ == pytest.approx(squared.min(axis=1).sum(), rel=1e-12)
    assert model.score(X) == pytest.approx(-model.inertia_, rel=1e-12)
    weight = np.arange(500.0)
    assert model.score(X, sample_weight=weight) == pytest.approx(
        -weight @ squared.min(axis=1), rel=1e-12
    )


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
def test_objective_never_rises_and_ends_at_the_inertia(container):
    X = blobs(800, k=9)
    model = KMeans(9, init="random", n_init=1, random_state=3, tol=0).fit(container(X))
    history = np.array(model.objective_history_)
    assert len(history) == model.n_iter_ > 3
    assert (np.diff(history) <= 1e-10 * history[:-1]).all()
    assert history[-1] == pytest.approx(model.inertia_, rel=1e-9)
    assert model.converged_ and model.stop_reason_ == "labels unchanged"


def test_stop_reason_names_what_ended_the_fit():
    X = blobs()
    early = KMeans(5, init="random", n_init=1, max_iter=1, random_state=0).fit(X)
    assert not early.converged_ and "max_iter=1" in early.stop_reason_
    rough = KMeans(5, init="random", n_init=1, tol=0.5, random_state=0).fit(X)
    assert rough.converged_ and "moved by no more" in rough.stop_reason_


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_restarts_keep_the_best_whatever_runs_at_a_time(init):
    X = blobs(k=8)
    singles = [KMeans(8, init=init, n_init=n, random_state=0).fit(X).inertia_ for n in (1, 4, 12)]
    assert singles == sorted(singles, reverse=True)
    serial = KMeans(8, init=init, n_init=6, random_state=0).fit(X)
    parallel = KMeans(8, init=init, n_init=6, random_state=0, n_jobs=3).fit(X)
    np.testing.assert_array_equal(serial.labels_, parallel.labels_)
    np.testing.assert_array_equal(serial.cluster_centers_, parallel.cluster_centers_)
    assert serial.objective_history_ == parallel.objective_history_


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_empty_cluster_moves_to_the_farthest_row(container, algorithm):
    X = container(np.array([[0.0], [1.0], [2.0], [50.0], [60.0]]))
    model = KMeans(3, init=np.array([[1.0], [55.0], [1e4]]), n_init=1, algorithm=algorithm).fit(X)
    assert len(np.unique(model.labels_)) == 3
    assert model.inertia_ == pytest.approx(2.0)


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_fewer_distinct_rows_than_clusters_warn(container, init):
    X = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]], 5, axis=0)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(3\).*n_clusters \(4\)"):
        model = KMeans(4, init=init, n_init=1, random_state=0).fit(container(X))
    assert model.inertia_ == 0.0
    assert np.isfinite(model.cluster_centers_).all()
    assert len(np.unique(model.labels_)) == 3


@pytest.mark.parametrize(
    "X",
    [
        np.array([[3.0, 4.0]]),
        np.array([[3.0]]),
        np.ones((7, 3)),
        np.column_stack([np.arange(9.0), np.ones(9)]),
        np.arange(10.0)[:, None],
    ],
    ids=["one-row", "one-number", "constant", "constant-column", "one-feature"],
)
@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
def test_small_and_degenerate_data_are_clustered(X, container):
    model = KMeans(1, random_state=0).fit(container(X))
    np.testing.assert_allclose(model.cluster_centers_[0], X.mean(axis=0), rtol=1e-12)
    assert model.inertia_ == pytest.approx(((X - X.mean(axis=0)) ** 2).sum(), abs=1e-12)
    k = len(np.unique(X, axis=0))
    model = KMeans(k, random_state=0).fit(container(X))
    assert model.inertia_ == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "factor, shift", [(1.0, 1e8), (1e-8, 0.0), (1e8, 0.0), (1e-150, 0.0), (1e120, 0.0)]
)
def test_shifted_and_scaled_data_give_the_same_partition(factor, shift):
    X = blobs(d=3)
    plain = KMeans(5, n_init=3, random_state=0).fit(X)
    moved = KMeans(5, n_init=3, random_state=0).fit(X * factor + shift)
    assert adjusted_rand_score(plain.labels_, moved.labels_) == 1.0
    np.testing.assert_allclose(
        moved.cluster_centers_, plain.cluster_centers_ * factor + shift, rtol=1e-9
    )
    # Numbers near 1e8 are themselves rounded to 1e-8.
    assert moved.inertia_ == pytest.approx(plain.inertia_ * factor**2, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-30, 1e-8, 1e8, 1e30])
def test_scaled_float32_data_give_the_same_partition(factor):
    X = blobs(d=3, dtype=np.float32)
    plain = KMeans(5, n_init=3, random_state=0).fit(X)
    moved = KMeans(5, n_init=3, random_state=0).fit(X * np.float32(factor))
    assert adjusted_rand_score(plain.labels_, moved.labels_) == 1.0
    assert moved.inertia_ == pytest.approx(plain.inertia_ * factor**2, rel=1e-5)


def test_float32_inertia_is_accurate_far_from_the_origin():
    X = (blobs(5000) + 1e4).astype(np.float32)
    model = KMeans(5, random_state=0).fit(X)
    assert model.inertia_ == pytest.approx(inertia_of(X, model.cluster_centers_), rel=1e-9)
    double = KMeans(5, random_state=0).fit(X.astype(np.float64))
    assert model.inertia_ == pytest.approx(double.inertia_, rel=1e-4)


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
def test_overflowing_data_are_refused_by_name(container):
    X = container(np.array([[1e200, 1.0], [-1e200, 2.0], [3e199, 5.0]]))
    with pytest.raises(ValueError, match=r"X.*divide X by a constant"):
        KMeans(2, random_state=0).fit(X)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
def test_partial_fit_keeps_the_mean_of_all_rows_given_to_a_cluster(container, weighted):
    X = blobs(240)
    weight = np.random.default_rng(2).integers(0, 3, 240).astype(float) if weighted else None
    model = KMeans(5, init=X[:5], n_init=1)
    sums, weights, centers = np.zeros((5, 4)), np.zeros(5), X[:5]
    for part in (slice(0, 100), slice(100, 110), slice(110, 240)):
        w = np.ones(240)[part] if weight is None else weight[part]
        labels = ((X[part][:, None] - centers) ** 2).sum(axis=-1).argmin(axis=1)
        np.add.at(sums, labels, w[:, None] * X[part])
        np.add.at(weights, labels, w)
        centers = np.where(weights[:, None] > 0, sums / np.maximum(weights, 1)[:, None], centers)
        model.partial_fit(container(X[part]), sample_weight=None if weight is None else w)
        np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-10)
        np.testing.assert_array_equal(model.labels_, model.predict(X[part]))
    assert model.n_iter_ == 3
    assert len(model.objective_history_) == 3


def test_partial_fit_continues_a_fit_and_survives_pickling():
    X = blobs(300)
    model = KMeans(5, random_state=0, tol=0).fit(X[:200])
    expected = np.empty((5, 4))
    labels = np.concatenate([model.labels_, model.predict(X[200:])])
    for j in range(5):
        expected[j] = X[labels == j].mean(axis=0)
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[200:])
    np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-10)


def test_partial_fit_does_not_depend_on_the_order_of_rows():
    X = blobs(200)
    shuffled = X[np.random.default_rng(0).permutation(200)]
    one = KMeans(5, random_state=0).partial_fit(X)
    other = KMeans(5, random_state=0).partial_fit(shuffled)
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, rtol=1e-12)


def test_pickled_model_predicts_the_same():
    X = blobs()
    model = KMeans(5, random_state=0).fit(X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    np.testing.assert_array_equal(copy.transform(X), model.transform(X))


def test_elkan_with_one_cluster_warns():
    with pytest.warns(RuntimeWarning, match="algorithm='elkan' doesn't make sense"):
        KMeans(1, algorithm="elkan").fit(blobs())


def test_explicit_centers_allow_one_start():
    X = blobs()
    with pytest.warns(RuntimeWarning, match="performing only one init"):
        KMeans(3, init=X[:3], n_init=5).fit(X)


def test_warnings_point_at_the_caller():
    X = np.repeat([[0.0], [1.0]], 3, axis=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        KMeans(3, random_state=0).fit(X)
        KMeans(1, algorithm="elkan").fit(X)
        KMeans(2, init=X[1:3], n_init=2).fit(X)
    assert [warning.filename for warning in caught] == [__file__] * 3


def test_callable_init_gets_rows_number_and_stream():
    X = blobs()
    seen = []

    def init(rows, n_clusters, random_state):
        seen.append((rows.shape, n_clusters, random_state.randint(10)))
        return rows[:n_clusters]

    KMeans(3, init=init, n_init=2, random_state=0).fit(X)
    assert [s[:2] for s in seen] == [((300, 4), 3)] * 2


def test_init_array_and_rows_are_not_modified():
    X, start = blobs(), blobs()[:5].copy()
    kept = X.copy()
    KMeans(5, init=start, n_init=1, copy_x=False).fit(X)
    np.testing.assert_array_equal(X, kept)
    np.testing.assert_array_equal(start, kept[:5])


def test_functions_give_what_the_class_gives():
    X = blobs()
    model = KMeans(5, random_state=0).fit(X)
    centers, labels, inertia, n_iter = k_means(X, 5, random_state=0, return_n_iter=True)
    np.testing.assert_array_equal(centers, model.cluster_centers_)
    np.testing.assert_array_equal(labels, model.labels_)
    assert (inertia, n_iter) == (model.inertia_, model.n_iter_)
    assert len(k_means(X, 5, random_state=0)) == 3
    centers, indices = kmeans_plusplus(X, 5, random_state=0)
    np.testing.assert_array_equal(centers, X[indices])
    with pytest.raises(ValueError, match="length of x_squared_norms"):
        kmeans_plusplus(X, 5, x_squared_norms=np.ones(3))
    with pytest.raises(ValueError, match="should be >= n_clusters"):
        kmeans_plusplus(X[:3], 5)


def test_sparse_rows_with_many_columns_are_clustered_like_dense_ones():
    X = sparse.random_array((400, 3000), density=0.01, rng=np.random.default_rng(0), format="csr")
    start = X[:6].toarray()
    ours = KMeans(6, init=start, n_init=1, tol=0).fit(X)
    dense = KMeans(6, init=start, n_init=1, tol=0).fit(X.toarray())
    np.testing.assert_array_equal(ours.labels_, dense.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, dense.cluster_centers_, atol=1e-12)
    np.testing.assert_allclose(ours.transform(X), dense.transform(X.toarray()), rtol=1e-10)


def test_sparse_rows_may_be_empty():
    X = sparse.csr_array(np.array([[0.0, 0.0], [0.0, 0.0], [5.0, 0.0], [0.0, 7.0]]))
    model = KMeans(3, random_state=0).fit(X)
    assert model.inertia_ == 0.0
    with pytest.warns(ConvergenceWarning):
        model = KMeans(2, random_state=0).fit(sparse.csr_array((3, 4)))
    np.testing.assert_array_equal(model.cluster_centers_, np.zeros((2, 4)))


@pytest.mark.parametrize("container", CONTAINERS, ids=CONTAINER_NAMES)
def test_distances_that_overflow_are_refused(container):
    model = KMeans(2, random_state=0).fit(blobs())
    with pytest.raises(ValueError, match="distances from X to the centers overflow"):
        model.transform(container(np.full((2, 4), 1e200)))


@pytest.mark.parametrize("init", [np.nan, np.zeros(4), [[np.nan] * 4] * 2, np.zeros((2, 4, 1))])
def test_refused_start_is_named(init):
    with pytest.raises(ValueError, match="init is no array of initial centers"):
        KMeans(2, init=lambda X, k, random_state: init).fit(blobs())

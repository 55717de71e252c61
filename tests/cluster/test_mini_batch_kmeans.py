"""MiniBatchKMeans: its laws, and parity with scikit-learn in what is found."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans as PeerMiniBatchKMeans
from sklearn.datasets import load_digits

from skgen.cluster import KMeans, MiniBatchKMeans


def blobs(n=1000, d=4, k=5, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, d)) * 8
    return (centers[rng.integers(0, k, size=n)] + rng.exponential(size=(n, d))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_separated_clusters_are_found(container, dtype):
    X = blobs(dtype=dtype)
    best = KMeans(5, n_init=5, random_state=0).fit(X).inertia_
    model = MiniBatchKMeans(5, batch_size=100, n_init=3, random_state=0).fit(container(X))
    assert model.inertia_ < 1.05 * best
    assert model.cluster_centers_.dtype == dtype
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    assert model.inertia_ == pytest.approx(-model.score(X), rel=1e-6)


def test_inertia_on_digits_is_that_of_the_peer():
    X = load_digits().data
    arguments = {"n_clusters": 10, "batch_size": 256, "n_init": 3}
    ours, theirs = (
        np.array([C(**arguments, random_state=s).fit(X).inertia_ for s in range(10)])
        for C in (MiniBatchKMeans, PeerMiniBatchKMeans)
    )
    error = np.sqrt((ours.var() + theirs.var()) / 10)
    assert ours.mean() < theirs.mean() + 4 * error


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("batch_size", [16, 50, 5000])
def test_weight_means_repetition_and_order_does_not_matter(init, batch_size):
    X = blobs(200)
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 5, size=200)
    repeated = np.repeat(X, weight, axis=0)
    repeated = repeated[rng.permutation(len(repeated))]
    arguments = {"n_clusters": 5, "init": init, "batch_size": batch_size, "random_state": 0}
    one = MiniBatchKMeans(**arguments).fit(X, sample_weight=weight)
    other = MiniBatchKMeans(**arguments).fit(repeated)
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, rtol=1e-9)
    assert one.n_steps_ == other.n_steps_
    assert one.inertia_ == pytest.approx(other.inertia_, rel=1e-9)


def test_partial_fit_moves_centers_to_running_means():
    X = blobs(300)
    model = MiniBatchKMeans(5, init=X[:5], n_init=1, reassignment_ratio=0.0)
    sums, weights, centers = np.zeros((5, 4)), np.zeros(5), X[:5]
    for start in range(0, 300, 60):
        part = X[start : start + 60]
        labels = ((part[:, None] - centers) ** 2).sum(axis=-1).argmin(axis=1)
        np.add.at(sums, labels, part)
        np.add.at(weights, labels, 1.0)
        centers = np.where(weights[:, None] > 0, sums / np.maximum(weights, 1)[:, None], centers)
        model.partial_fit(part)
        np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-10)
    assert model.n_steps_ == 5
    assert len(model.objective_history_) == 5


def test_partial_fit_continues_a_fit():
    X = blobs()
    model = MiniBatchKMeans(5, random_state=0).fit(X)
    steps, before = model.n_steps_, model.cluster_centers_.copy()
    model.partial_fit(X[:50])
    assert model.n_steps_ == steps + 1
    # What 50 rows can move clusters of hundreds of rows.
    assert 0 < np.abs(model.cluster_centers_ - before).max() < 0.5


def test_stopping_rules_are_named():
    X = blobs(k=3)
    lack = MiniBatchKMeans(3, batch_size=50, random_state=0).fit(X)
    assert lack.converged_ and lack.stop_reason_ == "lack of improvement in inertia"
    small = MiniBatchKMeans(
        3, batch_size=50, tol=1e-2, max_no_improvement=None, random_state=0
    ).fit(X)
    assert small.converged_ and small.stop_reason_ == "small centers change"
    limit = MiniBatchKMeans(
        3, batch_size=50, max_iter=2, max_no_improvement=None, random_state=0
    ).fit(X)
    assert not limit.converged_ and "max_iter=2" in limit.stop_reason_
    assert limit.n_steps_ == 40 == len(limit.objective_history_)
    assert limit.n_iter_ == 2


def test_small_clusters_are_moved_to_rows():
    X = np.concatenate([np.zeros((500, 2)), blobs(100, d=2)])
    model = MiniBatchKMeans(8, batch_size=50, init="random", random_state=0).fit(X)
    assert (np.abs(model.cluster_centers_).sum(axis=1) > 0).sum() >= 5


def test_labels_are_left_out_on_request():
    X = blobs()
    model = MiniBatchKMeans(5, compute_labels=False, random_state=0).fit(X)
    assert not hasattr(model, "labels_")
    assert model.inertia_ == pytest.approx(-model.score(X), rel=0.3)


def test_init_size_below_the_number_of_clusters_warns():
    with pytest.warns(RuntimeWarning, match="init_size=3 should be larger than n_clusters=5"):
        MiniBatchKMeans(5, init_size=3).fit(blobs())


@pytest.mark.parametrize("X", [np.array([[3.0, 4.0]]), np.ones((9, 2))], ids=["one", "constant"])
def test_degenerate_data_are_clustered(X):
    model = MiniBatchKMeans(1, random_state=0).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, X[:1])
    assert model.inertia_ == 0.0


def test_threads_do_not_matter():
    X = blobs(40_000)
    one = MiniBatchKMeans(5, batch_size=5000, random_state=0, n_jobs=1).fit(X)
    two = MiniBatchKMeans(5, batch_size=5000, random_state=0, n_jobs=2).fit(X)
    np.testing.assert_array_equal(one.cluster_centers_, two.cluster_centers_)
    assert one.inertia_ == two.inertia_

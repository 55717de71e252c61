"""AgglomerativeClustering: what is its own; laws and conformance stand elsewhere."""

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import AgglomerativeClustering as Peer
from sklearn.datasets import load_digits, load_iris
from sklearn.feature_extraction.image import grid_to_graph
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from skgen import memory
from skgen.cluster import AgglomerativeClustering, InsufficientMemory
from tests.problems import overlapping, same_partition, separated

LINKAGES = ("ward", "average", "complete", "single", "centroid", "median")
SHARED = LINKAGES[:4]


def digits():
    """No two distances are equal."""
    X = load_digits().data[:400]
    return X + np.random.default_rng(0).uniform(0, 1e-3, size=X.shape)


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("data", [digits, overlapping, lambda: overlapping(500, 30)])
def test_tree_is_that_of_scipy(linkage, data):
    X = data()
    expected = hierarchy.linkage(X, linkage)
    fitted = AgglomerativeClustering(linkage=linkage).fit(X)
    np.testing.assert_array_equal(fitted.linkage_[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    np.testing.assert_allclose(fitted.distances_, expected[:, 2], rtol=1e-10)
    assert hierarchy.is_valid_linkage(fitted.linkage_)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_heights_of_ties_are_those_of_scipy(linkage):
    """Iris has many equal distances: trees may differ, sums of heights hardly."""
    X = load_iris().data
    found = AgglomerativeClustering(linkage=linkage).fit(X).distances_
    expected = hierarchy.linkage(X, linkage)[:, 2]
    if linkage in ("single", "ward"):
        np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-6, atol=1e-6)
    assert abs(found.sum() / expected.sum() - 1.0) < 0.03


@pytest.mark.parametrize("linkage", SHARED)
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine", "precomputed"])
def test_attributes_are_those_of_scikit_learn(linkage, metric):
    X = digits()
    if linkage == "ward" and metric != "euclidean":
        pytest.skip("ward is for Euclidean distances")
    if metric == "precomputed":
        X = squareform(pdist(X, "chebyshev"))
    options = {"n_clusters": 7, "linkage": linkage, "metric": metric}
    peer = Peer(**options, compute_distances=True).fit(X)
    fitted = AgglomerativeClustering(**options).fit(X)
    np.testing.assert_allclose(fitted.distances_, peer.distances_, rtol=1e-10, atol=1e-14)
    assert same_partition(fitted.labels_, peer.labels_)
    assert fitted.n_leaves_ == peer.n_leaves_
    assert fitted.n_connected_components_ == peer.n_connected_components_
    if linkage != "single":
        # scikit-learn writes the parts of a merge in another order there.
        np.testing.assert_array_equal(fitted.children_, peer.children_)
        np.testing.assert_array_equal(fitted.labels_, peer.labels_)


@pytest.mark.parametrize("linkage", SHARED)
def test_threshold_cuts_as_scikit_learn_does(linkage):
    X = digits()
    heights = AgglomerativeClustering(linkage=linkage).fit(X).distances_
    for threshold in (0.0, heights[-30], heights[-3] + 1e-9, 2 * heights[-1]):
        options = {"n_clusters": None, "distance_threshold": threshold, "linkage": linkage}
        peer, fitted = Peer(**options).fit(X), AgglomerativeClustering(**options).fit(X)
        assert fitted.n_clusters_ == peer.n_clusters_
        assert same_partition(fitted.labels_, peer.labels_)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_cut_equals_a_fit_with_these_arguments(linkage):
    X = overlapping()
    fitted = AgglomerativeClustering(3, linkage=linkage).fit(X)
    before = fitted.labels_.copy()
    for k in (1, 2, 9, len(X)):
        expected = AgglomerativeClustering(k, linkage=linkage).fit(X).labels_
        np.testing.assert_array_equal(fitted.cut(k), expected)
        assert len(np.unique(expected)) == k
    height = float(np.median(fitted.distances_))
    other = AgglomerativeClustering(None, distance_threshold=height, linkage=linkage).fit(X)
    np.testing.assert_array_equal(fitted.cut(distance_threshold=height), other.labels_)
    np.testing.assert_array_equal(fitted.labels_, before)


@pytest.mark.parametrize("linkage", ["centroid", "median"])
def test_threshold_with_falling_heights_is_that_of_scipy(linkage):
    X = overlapping(120, 2)
    fitted = AgglomerativeClustering(linkage=linkage).fit(X)
    assert (np.diff(fitted.distances_) < 0).any()
    for threshold in np.quantile(fitted.distances_, [0.5, 0.9, 0.97]) + 1e-9:
        expected = hierarchy.fcluster(fitted.linkage_, threshold, "distance")
        assert same_partition(fitted.cut(distance_threshold=threshold), expected)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_cophenetic_correlation_is_that_of_scipy(linkage):
    X = overlapping(150, 3)
    fitted = AgglomerativeClustering(linkage=linkage).fit(X)
    expected = hierarchy.cophenet(fitted.linkage_, pdist(X))[0]
    assert abs(fitted.cophenetic_correlation() - expected) < 1e-10


def test_cophenetic_correlation_counts_copies():
    X = overlapping(60, 3)
    weight = np.random.default_rng(0).integers(1, 4, size=60)
    by_weight = AgglomerativeClustering(linkage="average").fit(X, sample_weight=weight)
    # Copies of one row add pairs of distance zero joined at height zero.
    copies = np.repeat(X, weight, axis=0)
    tree = AgglomerativeClustering(linkage="average").fit(copies)
    heights = hierarchy.cophenet(tree.linkage_)
    distances = pdist(copies)
    apart = distances > 0
    expected = np.corrcoef(distances[apart], heights[apart])[0, 1]
    assert abs(by_weight.cophenetic_correlation() - expected) < 1e-10


def test_cophenetic_correlation_of_given_distances_is_told_them():
    X = overlapping(60, 3)
    distances = squareform(pdist(X))
    weight = np.random.default_rng(0).integers(0, 3, size=60)
    options = {"linkage": "complete"}
    by_rows = AgglomerativeClustering(**options).fit(X, sample_weight=weight)
    given = AgglomerativeClustering(metric="precomputed", **options)
    given.fit(distances, sample_weight=weight)
    with pytest.raises(ValueError, match="distances given to fit"):
        given.cophenetic_correlation()
    expected = by_rows.cophenetic_correlation()
    assert abs(given.cophenetic_correlation(distances) - expected) < 1e-10


def test_the_model_does_not_change_with_the_caller_s_array():
    X, Z = overlapping(60, 3), overlapping(20, 3, seed=1)
    for metric in ("euclidean", "manhattan"):
        given = X.copy()
        fitted = AgglomerativeClustering(3, metric=metric, linkage="single").fit(given)
        before = fitted.predict(Z)
        given[:] = 0.0
        np.testing.assert_array_equal(fitted.predict(Z), before)


def test_cophenetic_correlation_of_equal_distances_is_refused():
    with pytest.raises(ValueError, match="not defined"):
        AgglomerativeClustering().fit(np.eye(5)).cophenetic_correlation()


@pytest.mark.parametrize("linkage", LINKAGES)
def test_predict_follows_the_rule_of_the_linkage(linkage):
    X, Z = overlapping(100, 3), overlapping(40, 3, seed=5)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=100)
    fitted = AgglomerativeClustering(5, linkage=linkage).fit(X, sample_weight=weight)
    scores = np.empty((40, 5))
    for c in range(5):
        members, w = X[fitted.labels_ == c], weight[fitted.labels_ == c]
        pairs = np.linalg.norm(Z[:, None] - members, axis=2)
        center = np.average(members, axis=0, weights=w)
        to_center = np.linalg.norm(Z - center, axis=1)
        scores[:, c] = {
            "single": pairs.min(axis=1),
            "complete": pairs.max(axis=1),
            "average": pairs @ w / w.sum(),
            "centroid": to_center,
            "ward": w.sum() / (1 + w.sum()) * to_center**2,
            "median": np.linalg.norm(Z - middle(X, fitted, c), axis=1),
        }[linkage]
    np.testing.assert_array_equal(fitted.predict(Z), scores.argmin(axis=1))


def middle(X, fitted, c):
    """The median center of a cluster, from the tree."""
    centers, members = list(X), [{i} for i in range(len(X))]
    for left, right in fitted.children_:
        centers.append(0.5 * (centers[left] + centers[right]))
        members.append(members[left] | members[right])
    return centers[members.index(set(np.flatnonzero(fitted.labels_ == c).tolist()))]


@pytest.mark.parametrize("metric", ["manhattan", "cosine"])
@pytest.mark.parametrize("linkage", SHARED[1:])
def test_predict_knows_the_metric(metric, linkage):
    X, Z = overlapping(80, 3) + 5, overlapping(20, 3, seed=2) + 5
    by_name = AgglomerativeClustering(4, metric=metric, linkage=linkage).fit(X)
    names = {"manhattan": "cityblock", "cosine": "cosine"}
    everything = squareform(pdist(np.vstack([X, Z]), names[metric]))
    by_distances = AgglomerativeClustering(4, metric="precomputed", linkage=linkage)
    by_distances.fit(everything[:80, :80])
    np.testing.assert_array_equal(by_name.labels_, by_distances.labels_)
    np.testing.assert_array_equal(by_name.predict(Z), by_distances.predict(everything[80:, :80]))


@pytest.mark.parametrize("linkage", LINKAGES)
def test_weight_two_is_the_row_twice(linkage):
    X = overlapping(120, 3)
    weight = np.random.default_rng(0).integers(0, 4, size=120)
    copies = np.repeat(X, weight, axis=0)
    by_weight = AgglomerativeClustering(6, linkage=linkage).fit(X, sample_weight=weight)
    by_copies = AgglomerativeClustering(6, linkage=linkage).fit(copies)
    np.testing.assert_array_equal(np.repeat(by_weight.labels_, weight), by_copies.labels_)
    merged = by_copies.distances_[by_copies.distances_ > 0]
    np.testing.assert_allclose(by_weight.distances_, merged, rtol=1e-10)
    assert by_weight.n_leaves_ == (weight > 0).sum()
    np.testing.assert_array_equal(by_weight.leaves_, np.flatnonzero(weight))
    absent = weight == 0
    np.testing.assert_array_equal(by_weight.labels_[absent], by_weight.predict(X[absent]))


@pytest.mark.parametrize("linkage", SHARED)
def test_connected_trees_are_those_of_scikit_learn(linkage):
    X = overlapping(200, 3)
    graph = kneighbors_graph(X, 6, include_self=False)
    options = {"n_clusters": 4, "linkage": linkage, "connectivity": graph}
    peer = Peer(**options, compute_distances=True).fit(X)
    fitted = AgglomerativeClustering(**options).fit(X)
    np.testing.assert_allclose(np.sort(fitted.distances_), np.sort(peer.distances_), rtol=1e-10)
    assert same_partition(fitted.labels_, peer.labels_)
    by_function = AgglomerativeClustering(
        4, linkage=linkage, connectivity=lambda X: kneighbors_graph(X, 6, include_self=False)
    ).fit(X)
    np.testing.assert_array_equal(by_function.labels_, fitted.labels_)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_complete_graph_constrains_nothing(linkage):
    X = overlapping(60, 3)
    free = AgglomerativeClustering(5, linkage=linkage).fit(X)
    bound = AgglomerativeClustering(5, linkage=linkage, connectivity=np.ones((60, 60))).fit(X)
    np.testing.assert_allclose(np.sort(bound.distances_), np.sort(free.distances_), rtol=1e-10)
    assert same_partition(free.labels_, bound.labels_)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_connected_clusters_are_connected(linkage):
    from scipy.sparse.csgraph import connected_components

    graph = grid_to_graph(12, 12)
    X = np.random.default_rng(0).normal(size=(144, 2))
    labels = AgglomerativeClustering(9, linkage=linkage, connectivity=graph).fit(X).labels_
    for c in range(9):
        inside = np.flatnonzero(labels == c)
        assert connected_components(graph.tocsr()[inside][:, inside])[0] == 1


def test_threshold_applies_to_connected_trees():
    """scikit-learn #23550: with a sparse graph the threshold was not heard."""
    X = separated()
    graph = kneighbors_graph(X, 8, include_self=False)
    options = {"n_clusters": None, "distance_threshold": 60.0, "connectivity": graph}
    with pytest.warns(UserWarning, match="connected components"):
        fitted = AgglomerativeClustering(**options).fit(X)
    assert fitted.n_clusters_ == 4 and fitted.n_connected_components_ == 4


def test_tree_that_ends_early_has_the_clusters_of_the_whole():
    X = overlapping(300, 2)
    graph = kneighbors_graph(X, 8, include_self=False)
    early = AgglomerativeClustering(150, connectivity=graph, compute_full_tree=False).fit(X)
    whole = AgglomerativeClustering(150, connectivity=graph, compute_full_tree=True).fit(X)
    assert len(early.linkage_) == 150 and len(whole.linkage_) == 299
    assert same_partition(early.labels_, whole.labels_)
    assert same_partition(early.cut(200), whole.cut(200))
    with pytest.raises(ValueError, match="n_clusters=2"):
        early.cut(2)
    with pytest.raises(ValueError, match="compute_full_tree"):
        early.cut(distance_threshold=1.0)


def test_memory_is_asked_for_before_it_is_taken(monkeypatch):
    X = overlapping(1000, 100)
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    with pytest.raises(InsufficientMemory, match=r"1000 rows need 3996000 bytes") as caught:
        AgglomerativeClustering(metric="cosine", linkage="average").fit(X)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, MemoryError)
    # Distances to centers need none.
    AgglomerativeClustering().fit(X)
    AgglomerativeClustering(linkage="single").fit(X)


def test_half_the_memory_in_float32(monkeypatch):
    X = overlapping(1000, 3).astype(np.float32)
    monkeypatch.setattr(memory, "available", lambda: 1_000_000)
    with pytest.raises(InsufficientMemory, match=r"1998000 bytes"):
        AgglomerativeClustering(metric="cosine", linkage="average").fit(X)


def test_far_from_the_origin_the_tree_is_the_same():
    X = np.round(overlapping() * 2**20) / 2**20
    for linkage in LINKAGES:
        near = AgglomerativeClustering(linkage=linkage).fit(X)
        far = AgglomerativeClustering(linkage=linkage).fit(X + 2.0**27)
        np.testing.assert_allclose(far.distances_, near.distances_, rtol=1e-6)
        np.testing.assert_array_equal(far.labels_, near.labels_)


def test_trees_are_cached(tmp_path):
    X = overlapping(100)
    first = AgglomerativeClustering(3, memory=str(tmp_path)).fit(X)
    assert list(tmp_path.rglob("output.pkl"))
    again = AgglomerativeClustering(4, memory=str(tmp_path)).fit(X)
    np.testing.assert_array_equal(again.linkage_, first.linkage_)
    assert again.n_clusters_ == 4


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"n_clusters": None}, "Exactly one of n_clusters"),
        ({"distance_threshold": 1.0}, "Exactly one of n_clusters"),
        (
            {"n_clusters": None, "distance_threshold": 1.0, "compute_full_tree": False},
            "compute_full_tree must be True",
        ),
        ({"metric": "cosine"}, "Ward can only work with euclidean"),
        ({"metric": "cosine", "linkage": "median"}, "Median can only work with euclidean"),
        ({"n_clusters": 1000}, "Cannot extract more clusters than samples"),
        ({"metric": "precomputed", "linkage": "average"}, "should be square"),
        ({"connectivity": np.ones((3, 3))}, r"Wrong shape for connectivity matrix: \(3, 3\)"),
        ({"metric": lambda a, b: np.nan, "linkage": "average"}, "not finite"),
    ],
)
def test_refusals_name_the_argument(arguments, pattern):
    with pytest.raises(ValueError, match=pattern):
        AgglomerativeClustering(**arguments).fit(overlapping(50))


@pytest.mark.parametrize(
    ("arguments", "error", "pattern"),
    [
        ({}, ValueError, "exactly one"),
        ({"n_clusters": 2, "distance_threshold": 1.0}, ValueError, "exactly one"),
        ({"n_clusters": 0}, ValueError, "n_clusters=0"),
        ({"n_clusters": 51}, ValueError, "n_clusters=51"),
        ({"n_clusters": 2.0}, TypeError, "n_clusters=2.0"),
        ({"distance_threshold": -1.0}, ValueError, "distance_threshold=-1.0"),
        ({"distance_threshold": np.nan}, ValueError, "distance_threshold=nan"),
    ],
)
def test_cuts_that_cannot_be_made_are_refused(arguments, error, pattern):
    fitted = AgglomerativeClustering().fit(overlapping(50))
    with pytest.raises(error, match=pattern):
        fitted.cut(**arguments)


def test_clusters_of_separate_groups_are_found_by_all():
    X = separated()
    for linkage in LINKAGES:
        found = AgglomerativeClustering(4, linkage=linkage).fit_predict(X)
        assert adjusted_rand_score(found, np.arange(len(X)) % 4) == 1.0

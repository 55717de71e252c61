"""Dendrograms: SciPy's coordinates, the clusters of the fit in colors, any depth."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram, fcluster, linkage
from sklearn.cluster import AgglomerativeClustering as SklearnTree
from sklearn.cluster import FeatureAgglomeration
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from skgen.cluster import AgglomerativeClustering, KMeans
from skgen.inspection import DendrogramDisplay
from skgen.inspection.dendrogram_display import MIXED_COLOR, cut_into, tree_coordinates

LINKAGES = ("ward", "complete", "average", "single", "centroid", "median")


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def axes():
    """Axes that pyplot does not know."""
    return Figure().subplots()


def rows(n_rows=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, 3))


def fitted(kind=SklearnTree, X=None, **arguments):
    arguments = {"n_clusters": 4, "compute_distances": True, "compute_full_tree": True} | arguments
    return kind(**arguments).fit(rows() if X is None else X)


def ordered(brackets):
    return brackets[np.lexsort(brackets.reshape(len(brackets), -1).T)]


@pytest.mark.parametrize("method", LINKAGES)
@pytest.mark.parametrize("max_leaves", [None, 2, 3, 20, 59, 60, 1000])
def test_coordinates_are_those_of_scipy(method, max_leaves):
    Z = linkage(rows(), method)
    if max_leaves is None:
        theirs = dendrogram(Z, no_plot=True)
    else:
        theirs = dendrogram(Z, truncate_mode="lastp", p=min(max_leaves, 60), no_plot=True)
    along, heights, leaves = tree_coordinates(Z, max_leaves)
    # SciPy puts leaves at 5, 15, 25, ...
    expected = np.stack([(np.array(theirs["icoord"]) - 5.0) / 10.0, theirs["dcoord"]], axis=-1)
    np.testing.assert_array_equal(ordered(np.stack([along, heights], axis=-1)), ordered(expected))
    np.testing.assert_array_equal(leaves, theirs["leaves"])
    display = DendrogramDisplay(linkage=Z).plot(axes(), max_leaves=max_leaves)
    texts = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert texts == theirs["ivl"]


def corners(display):
    return np.array(display.links_.get_segments())


@pytest.mark.parametrize("orientation", ["top", "bottom", "left", "right"])
def test_orientation_says_where_the_root_is(orientation):
    figure = Figure()
    ax = figure.subplots()
    clustering = fitted()
    display = DendrogramDisplay.from_estimator(clustering, orientation=orientation, ax=ax)
    root = display.links_.get_paths()[-1].vertices[1:3].mean(axis=0)
    position = ax.transLimits.transform(root)  # 0 to 1, from left to right and bottom to top
    leaves = [
        ax.transLimits.transform(corner)
        for path in display.links_.get_paths()
        for corner in path.vertices
        if 0.0 in corner
    ]
    direction = {"top": (1, 1), "bottom": (1, -1), "left": (0, -1), "right": (0, 1)}[orientation]
    axis, sign = direction
    assert all(sign * (position[axis] - leaf[axis]) > 0.5 for leaf in leaves)
    assert ((position > 0) & (position < 1)).all()
    ticks = ax.get_xticklabels() if axis == 1 else ax.get_yticklabels()
    assert len(ticks) == 60
    opposite = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}[orientation]
    side = ax.xaxis if axis == 1 else ax.yaxis
    assert side.get_ticks_position() == opposite
    figure.canvas.draw()


@pytest.mark.parametrize("kind", [AgglomerativeClustering, SklearnTree])
@pytest.mark.parametrize("n_clusters", [1, 2, 4, 9])
def test_brackets_have_the_colors_of_the_clusters_of_the_fit(n_clusters, kind):
    clustering = fitted(kind, n_clusters=n_clusters)
    display = DendrogramDisplay.from_estimator(clustering, ax=axes())
    colors = display.links_.get_colors()
    members = [{row} for row in range(60)]
    for (one, other), color in zip(clustering.children_, colors, strict=True):
        members.append(members[one] | members[other])
        found = np.unique(clustering.labels_[list(members[-1])])
        expected = to_rgb(f"C{found[0]}" if len(found) == 1 else MIXED_COLOR)
        np.testing.assert_allclose(color[:3], expected)
    if n_clusters > 1:
        below = clustering.distances_[: 60 - n_clusters].max()
        above = clustering.distances_[60 - n_clusters :].min()
        assert below < display.cut_.get_ydata()[0] < above
    else:
        assert display.cut_ is None


@pytest.mark.parametrize("method", LINKAGES)
def test_cut_into_any_number_is_that_of_the_estimator_and_of_scipy(method):
    clustering = fitted(AgglomerativeClustering, linkage=method)
    Z = clustering.linkage_
    for n_clusters in (2, 5, 30, 60):
        display = DendrogramDisplay.from_estimator(clustering, n_clusters=n_clusters, ax=axes())
        np.testing.assert_array_equal(display.labels, clustering.cut(n_clusters))
        assert len(np.unique(display.labels)) == n_clusters
        assert adjusted_rand_score(display.labels, cut_into(Z, n_clusters)) == 1.0
        if method not in ("centroid", "median"):
            theirs = fcluster(Z, n_clusters, "maxclust")
            assert adjusted_rand_score(display.labels, theirs) == 1.0


def test_clusters_of_a_tree_that_cannot_cut_itself_are_numbered_from_left_to_right():
    display = DendrogramDisplay.from_estimator(fitted(), n_clusters=7, ax=axes())
    order = display.labels[display.leaves_]
    np.testing.assert_array_equal(np.unique(order), np.arange(7))
    assert (np.diff(order) >= 0).all()


@pytest.mark.parametrize("kind", [AgglomerativeClustering, SklearnTree])
def test_threshold_cuts_as_in_a_fit(kind):
    X = rows()
    for threshold in (0.5, 2.0, 100.0):
        refitted = kind(n_clusters=None, distance_threshold=threshold).fit(X)
        display = DendrogramDisplay.from_estimator(
            fitted(kind), distance_threshold=threshold, ax=axes()
        )
        assert adjusted_rand_score(display.labels, refitted.labels_) == 1.0
        assert display.cut_.get_ydata()[0] == threshold


def test_rows_without_weight_are_no_leaves():
    X, weight = rows(), np.ones(60)
    weight[[0, 7, 30]] = 0.0
    clustering = AgglomerativeClustering(4).fit(X, sample_weight=weight)
    names = [f"row {number}" for number in range(60)]
    display = DendrogramDisplay.from_estimator(clustering, leaf_names=names, ax=axes())
    np.testing.assert_array_equal(display.labels, clustering.labels_[weight > 0])
    left_to_right = clustering.leaves_[display.leaves_]
    texts = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert texts == [f"row {number}" for number in left_to_right]
    numbered = DendrogramDisplay.from_estimator(clustering, ax=axes())
    texts = [text.get_text() for text in numbered.ax_.get_xticklabels()]
    assert texts == [str(number) for number in left_to_right]
    known = np.arange(60) // 20
    by_class = DendrogramDisplay.from_estimator(clustering, labels=known, ax=axes())
    np.testing.assert_array_equal(by_class.labels, known[weight > 0])


def test_tied_merges_have_no_line_between_them():
    X = np.repeat(np.arange(4.0), 2)[:, None]
    clustering = fitted(X=X, n_clusters=3, linkage="single")
    assert DendrogramDisplay.from_estimator(clustering, ax=axes()).cut_ is None
    four = DendrogramDisplay.from_estimator(clustering, n_clusters=4, ax=axes())
    assert four.cut_.get_ydata()[0] == 0.5


def test_colors_by_known_classes():
    iris = load_iris()
    clustering = fitted(X=iris.data, n_clusters=3)
    display = DendrogramDisplay.from_estimator(
        clustering, labels=iris.target, colors=["red", "lime", "blue"], ax=axes()
    )
    colors = display.links_.get_colors()[:, :3]
    pure = {tuple(color) for color in colors} - {to_rgb(MIXED_COLOR)}
    assert pure == {to_rgb("red"), to_rgb("lime"), to_rgb("blue")}
    assert display.cut_ is None


def test_labels_may_be_any_int():
    clustering = fitted(n_clusters=3)
    numbers = np.array([40, -7, 900])[clustering.labels_]
    display = DendrogramDisplay.from_estimator(
        clustering, labels=numbers, colors=["red", "lime", "blue"], ax=axes()
    )
    # By increasing label: -7, 40, 900.
    plain = DendrogramDisplay.from_estimator(clustering, colors=["lime", "red", "blue"], ax=axes())
    np.testing.assert_array_equal(display.links_.get_colors(), plain.links_.get_colors())


@pytest.mark.parametrize("key", ["color", "edgecolor", "ec"])
def test_given_style_is_applied(key):
    style = {"lw": 3, key: "black"}
    display = DendrogramDisplay.from_estimator(fitted(), link_kwargs=style, ax=axes())
    assert (display.links_.get_colors()[:, :3] == 0).all()
    assert (np.array(display.links_.get_linewidths()) == 3).all()


def test_names_are_those_given_and_many_are_left_out():
    names = [f"row {number}" for number in range(60)]
    named = DendrogramDisplay.from_estimator(fitted(), leaf_names=names, ax=axes())
    texts = [text.get_text() for text in named.ax_.get_xticklabels()]
    assert texts == [names[leaf] for leaf in named.leaves_]
    many = DendrogramDisplay.from_estimator(fitted(X=rows(61)), ax=axes())
    assert len(many.ax_.get_xticks()) == 0
    names.append("last")
    all_named = DendrogramDisplay.from_estimator(fitted(X=rows(61)), leaf_names=names, ax=axes())
    assert len(all_named.ax_.get_xticks()) == 61


def test_a_chain_of_any_length_is_drawn():
    """SciPy's drawing recurses once per merge and fails beyond a thousand."""
    n_rows = 5000
    Z = np.array(
        [[0 if row == 1 else n_rows + row - 2, row, row, row + 1] for row in range(1, n_rows)],
        float,
    )
    display = DendrogramDisplay(linkage=Z).plot(axes())
    assert len(display.links_.get_segments()) == n_rows - 1
    along, heights, leaves = tree_coordinates(Z)
    np.testing.assert_array_equal(leaves, np.arange(n_rows))
    # Every bracket from the middle of the last one to the next row.
    np.testing.assert_array_equal(along[1:, 0], along[:-1, 1:3].mean(axis=1))
    np.testing.assert_array_equal(along[:, 3], np.arange(1, n_rows))
    np.testing.assert_array_equal(heights[:, 1], np.arange(1, n_rows))


def test_trees_of_columns_and_of_graphs_are_drawn():
    X = load_iris().data
    columns = FeatureAgglomeration(2, compute_distances=True, compute_full_tree=True).fit(X)
    display = DendrogramDisplay.from_estimator(columns, leaf_names=list("abcd"), ax=axes())
    assert len(display.leaves_) == 4
    graph = kneighbors_graph(X, 50)  # of one piece
    structured = fitted(X=X, connectivity=graph, n_clusters=5)
    display = DendrogramDisplay.from_estimator(structured, ax=axes())
    assert len(display.links_.get_segments()) == len(X) - 1


def test_two_rows_are_one_bracket():
    display = DendrogramDisplay.from_estimator(fitted(X=rows(2), n_clusters=1), ax=axes())
    np.testing.assert_array_equal(display.links_.get_segments()[0][:, 0], [0, 0, 1, 1])


BAD_ARGUMENTS = {
    "clusters_many": ({"n_clusters": 61}, ValueError, "n_clusters=61.*between 1 and 60"),
    "clusters_none": ({"n_clusters": 0}, ValueError, "n_clusters=0.*between 1 and 60"),
    "clusters_float": ({"n_clusters": 2.0}, TypeError, "n_clusters=2.0"),
    "threshold_nan": ({"distance_threshold": np.nan}, ValueError, "distance_threshold=nan"),
    "threshold_word": ({"distance_threshold": "low"}, TypeError, "distance_threshold='low'"),
    "both": ({"n_clusters": 2, "distance_threshold": 1.0}, ValueError, "give one of them"),
    "labels_few": ({"labels": [0, 1]}, ValueError, r"labels must be 60.*\(2,\)"),
    "labels_float": ({"labels": np.zeros(60)}, TypeError, "labels must be int.*float64"),
    "leaves_one": ({"max_leaves": 1}, ValueError, "max_leaves=1.*at least 2"),
    "leaves_float": ({"max_leaves": 10.0}, TypeError, "max_leaves=10.0"),
    "orientation": ({"orientation": "up"}, ValueError, "orientation='up'.*'top'"),
    "names_few": ({"leaf_names": ["a"]}, ValueError, "leaf_names must be 60.*are 1"),
    "names_word": ({"leaf_names": "a"}, TypeError, "leaf_names='a'"),
    "colors": ({"colors": ["red"]}, ValueError, "colors=.*or 4"),
    "links": ({"link_kwargs": {"wide": 1}}, TypeError, "link_kwargs.*'wide'"),
    "ax": ({"ax": 3}, TypeError, "ax=3.*Axes"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_argument_is_named(case):
    arguments, error, message = BAD_ARGUMENTS[case]
    with pytest.raises(error, match=message):
        DendrogramDisplay.from_estimator(fitted(), **arguments)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("clustering", "error", "message"),
    [
        (SklearnTree(), NotFittedError, "AgglomerativeClustering instance is not fitted"),
        (AgglomerativeClustering(), NotFittedError, "Clustering instance is not fitted"),
        (KMeans(2, random_state=0).fit(rows()), TypeError, "clustering must be.*a KMeans"),
        (SklearnTree().fit(rows()), ValueError, "without distances_.*compute_distances=True"),
        (
            AgglomerativeClustering(1).fit(rows(3), sample_weight=[1, 0, 0]),
            ValueError,
            "clustering is a AgglomerativeClustering of a single leaf",
        ),
        (
            fitted(
                connectivity=kneighbors_graph(rows(), 20), n_clusters=20, compute_full_tree=False
            ),
            ValueError,
            "stopped after 40 merges of 60 rows.*compute_full_tree=True",
        ),
    ],
)
def test_what_is_no_whole_tree_is_named(clustering, error, message):
    with pytest.raises(error, match=message):
        DendrogramDisplay.from_estimator(clustering)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda Z: Z[:, :3], "linkage must have 4 columns"),
        (lambda Z: Z[::-1], "linkage must merge rows or earlier merges"),
        (lambda Z: Z[[0] * len(Z)], "linkage must merge no node twice"),
        (lambda Z: Z * np.nan, "linkage contains NaN"),
        (lambda Z: Z[:0], "linkage must have a merge"),
    ],
)
def test_what_is_no_linkage_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        DendrogramDisplay(linkage=change(linkage(rows()))).plot()
    assert plt.get_fignums() == []

"""The tree of an agglomerative clustering.

Every merge is a bracket at the height where it happened. Leaves stand at 0, 1, 2, ... so that no
brackets cross; a merge stands in the middle of what it merged. Children have smaller numbers than
their parents, so one walk up the numbers and one down lay the tree out, however deep it is.
"""

from numbers import Integral, Real

import numpy as np

from skgen.base import check_array
from skgen.inspection.axes import (
    best_of,
    check_colors,
    check_fitted,
    check_style,
    described,
    open_axes,
    require_matplotlib,
)

TREES = "a fitted AgglomerativeClustering, or another estimator with children_"
ORIENTATIONS = ("top", "bottom", "left", "right")
MIXED_COLOR = "0.6"
# Leaves that have room for a name each.
MOST_NAMES = 60


class DendrogramDisplay:
    """A tree of merges, colored by clusters.

    Made by `from_estimator`; of a linkage of SciPy, by `plot`. A bracket has the color of the
    cluster that all its leaves are in, and is gray where they are in several. The dashed line is
    the cut that makes these clusters.

    Parameters
    ----------
    linkage : array of shape (n - 1, 4)
        As `scipy.cluster.hierarchy.linkage` returns it: the two nodes of every merge, its height
        and the number of its leaves.
    labels : int array of shape (n,), default=None
        Cluster of every leaf, which decides colors; None means one cluster. A label has the same
        color as in a scatter plot by ``f"C{label}"``, if there are ten labels or fewer.
    cut_height : float, default=None
        Where the dashed line is.
    leaf_rows : int array of shape (n,), default=None
        Number of the row that is each leaf; None means leaf i is row i.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    links_ : matplotlib LineCollection
        One bracket per merge that is drawn, in the order of the merges.
    cut_ : matplotlib Line2D or None
    leaves_ : int array of shape (number of leaves drawn,)
        Their nodes: below n a leaf of the tree, otherwise what merge number node - n made.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.cluster import AgglomerativeClustering
    >>> from skgen.inspection import DendrogramDisplay
    >>> clustering = AgglomerativeClustering(3).fit(load_iris().data)
    >>> display = DendrogramDisplay.from_estimator(clustering, max_leaves=12)
    >>> len(display.leaves_)
    12
    """

    def __init__(self, *, linkage, labels=None, cut_height=None, leaf_rows=None):
        self.linkage = linkage
        self.labels = labels
        self.cut_height = cut_height
        self.leaf_rows = leaf_rows

    @classmethod
    def from_estimator(
        cls,
        clustering,
        *,
        n_clusters=None,
        distance_threshold=None,
        labels=None,
        max_leaves=None,
        orientation="top",
        leaf_names=None,
        colors=None,
        ax=None,
        link_kwargs=None,
    ):
        """Draw the tree of a fitted clustering.

        Parameters
        ----------
        clustering : fitted estimator
            An AgglomerativeClustering, or FeatureAgglomeration, with its whole tree and
            `distances_`; scikit-learn's has these with ``compute_distances=True`` and
            ``compute_full_tree=True``. Of a search, the best estimator.
        n_clusters : int, default=None
            Color this many clusters, without another fit.
        distance_threshold : float, default=None
            Color the clusters whose merges are below this height. None for both means the clusters
            of the fit, `labels_`.
        labels : int array of shape (n,), default=None
            Other labels of the rows, such as known classes, to color by.
        max_leaves, orientation, leaf_names, colors, link_kwargs
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : DendrogramDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted or has no whole tree.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        tree = best_of(clustering, "clustering")
        linkage, leaf_rows = fitted_tree(tree)
        asked = [n_clusters is not None, distance_threshold is not None, labels is not None]
        if sum(asked) > 1:
            raise ValueError(
                "n_clusters, distance_threshold and labels each decide colors; give one of them"
            )
        height = None
        if n_clusters is not None:
            check_n_clusters(n_clusters, len(leaf_rows))
            labels = cut_of(tree, linkage, n_clusters=n_clusters)
            height = gap_above(linkage, n_clusters)
        elif distance_threshold is not None:
            height = check_threshold(distance_threshold)
            labels = cut_of(tree, linkage, distance_threshold=height)
        elif labels is None:
            labels = tree.labels_
            height = gap_above(linkage, tree.n_clusters_)
        labels = check_labels(labels, len(tree.labels_))[leaf_rows]
        if leaf_names is not None:
            names = check_leaf_names(leaf_names, len(tree.labels_))
            leaf_names = [names[row] for row in leaf_rows]
        return cls(linkage=linkage, labels=labels, cut_height=height, leaf_rows=leaf_rows).plot(
            ax,
            max_leaves=max_leaves,
            orientation=orientation,
            leaf_names=leaf_names,
            colors=colors,
            link_kwargs=link_kwargs,
        )

    def plot(
        self,
        ax=None,
        *,
        max_leaves=None,
        orientation="top",
        leaf_names=None,
        colors=None,
        link_kwargs=None,
    ):
        """Draw the tree.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        max_leaves : int, default=None
            Draw the last ``max_leaves - 1`` merges only. A leaf that stands for several rows has
            their number in parentheses.
        orientation : {"top", "bottom", "left", "right"}, default="top"
            Where the root is.
        leaf_names : sequence of n str, default=None
            Names of the rows; None means their numbers. Where there are more than 60 leaves, only
            names that are given are shown.
        colors : color or sequence of colors, default=None
            One for all clusters, or one each, by increasing label.
        link_kwargs : dict, default=None
            Properties of the brackets (a LineCollection).

        Returns
        -------
        self : DendrogramDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        from matplotlib.collections import LineCollection

        linkage = check_linkage(self.linkage)
        n_rows = len(linkage) + 1
        labels = check_labels(self.labels, n_rows)
        known = np.unique(labels)
        palette = check_colors(colors, len(known))
        if max_leaves is not None:
            max_leaves = check_max_leaves(max_leaves)
        if orientation not in ORIENTATIONS:
            raise ValueError(f"orientation={orientation!r} must be one of {ORIENTATIONS}")
        numbers = np.arange(n_rows) if self.leaf_rows is None else self.leaf_rows
        names = check_leaf_names(numbers if leaf_names is None else leaf_names, n_rows)
        style = check_style("link_kwargs", link_kwargs, LineCollection)

        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        along, heights, self.leaves_ = tree_coordinates(linkage, max_leaves)
        shown = link_labels(linkage, np.searchsorted(known, labels))[n_rows - 1 - len(along) :]
        brackets = np.stack([along, heights], axis=-1)
        if orientation in ("left", "right"):
            brackets = brackets[..., ::-1]
        tones = [MIXED_COLOR if label < 0 else tuple(palette[label]) for label in shown]
        defaults = {"color": tones, "linewidth": 1.2}
        self.links_ = self.ax_.add_collection(LineCollection(brackets, **defaults | style))
        self._set_axes(orientation, heights)
        self._name_leaves(orientation, names, n_rows, leaf_names is not None)
        return self

    def _set_axes(self, orientation, heights):
        """Limits and labels of the axes, and the line of the cut."""
        ax, upright = self.ax_, orientation in ("top", "bottom")
        limits = (min(0.0, heights.min()), 1.05 * heights.max() or 1.0)
        if orientation in ("bottom", "left"):
            limits = limits[::-1]
        ends = (-0.8, len(self.leaves_) - 0.2)
        self.cut_ = None
        if self.cut_height is not None:
            line = ax.axhline if upright else ax.axvline
            self.cut_ = line(self.cut_height, color="0.3", linestyle="--", linewidth=0.8)
        if upright:
            ax.set(xlim=ends, ylim=limits, ylabel="distance")
        else:
            ax.set(ylim=ends, xlim=limits, xlabel="distance")

    def _name_leaves(self, orientation, names, n_rows, named):
        axis = self.ax_.xaxis if orientation in ("top", "bottom") else self.ax_.yaxis
        axis.set_ticks_position(
            {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}[orientation]
        )
        axis.set_tick_params(length=0)
        if len(self.leaves_) > MOST_NAMES and not named:
            axis.set_ticks([])
            return
        sizes = leaf_counts(self.linkage)
        texts = [
            names[node] if node < n_rows else f"({sizes[node - n_rows]})" for node in self.leaves_
        ]
        turned = orientation in ("top", "bottom") and sum(map(len, texts)) > 50
        axis.set_ticks(np.arange(len(texts)), texts, rotation=90 if turned else 0, fontsize="small")


def fitted_tree(clustering):
    """The linkage of a fitted estimator, and the row that is each leaf."""
    check_fitted(clustering, "clustering", "children_", TREES)
    kind = described(clustering)
    if not hasattr(clustering, "distances_"):
        raise ValueError(
            f"clustering is {kind} without distances_; fit it with compute_distances=True"
        )
    n_leaves = clustering.n_leaves_
    if n_leaves < 2:
        raise ValueError(f"clustering is {kind} of a single leaf; there must be a merge to draw")
    if len(clustering.children_) < n_leaves - 1:
        raise ValueError(
            f"clustering is {kind} that stopped after {len(clustering.children_)} merges of"
            f" {n_leaves} rows; fit it with compute_full_tree=True"
        )
    children = np.asarray(clustering.children_, dtype=np.float64)
    heights = np.asarray(clustering.distances_, dtype=np.float64)
    linkage = np.column_stack([children, heights, leaf_counts(children)])
    # Rows without weight are no leaves.
    return linkage, getattr(clustering, "leaves_", np.arange(n_leaves))


def cut_of(clustering, linkage, n_clusters=None, distance_threshold=None):
    """Labels of the rows for another cut of the tree of a fitted estimator."""
    if hasattr(clustering, "cut"):
        return clustering.cut(n_clusters=n_clusters, distance_threshold=distance_threshold)
    if n_clusters is None:
        n_clusters = 1 + np.count_nonzero(linkage[:, 2] >= distance_threshold)
    return cut_into(linkage, n_clusters)


def tree_coordinates(linkage, max_leaves=None):
    """The corners of the brackets that are drawn, and the nodes that are leaves.

    Returns
    -------
    along, heights : ndarray of shape (m, 4)
        Of each bracket, from the foot of its first child to that of its second, in the order of
        the merges; m = min(n, max_leaves) - 1.
    leaves : ndarray of shape (m + 1,)
        From left to right.
    """
    n_rows = len(linkage) + 1
    first = 0 if max_leaves is None else max(n_rows - max_leaves, 0)
    children = linkage[:, :2].astype(np.intp).tolist()
    n_nodes = 2 * n_rows - 1
    widths = [1] * n_nodes
    for merge in range(first, n_rows - 1):
        one, other = children[merge]
        widths[n_rows + merge] = widths[one] + widths[other]
    starts = [0] * n_nodes
    is_leaf = np.zeros(n_nodes, dtype=bool)
    for merge in range(n_rows - 2, first - 1, -1):
        one, other = children[merge]
        starts[one] = starts[n_rows + merge]
        starts[other] = starts[one] + widths[one]
        for child in (one, other):
            is_leaf[child] = child < n_rows + first
    places = np.array(starts, dtype=np.float64)
    tops = np.append(np.zeros(n_rows + first), linkage[first:, 2])
    for merge in range(first, n_rows - 1):
        one, other = children[merge]
        places[n_rows + merge] = 0.5 * (places[one] + places[other])
    one, other = np.array(children[first:]).T
    along = np.column_stack([places[one], places[one], places[other], places[other]])
    bars = linkage[first:, 2]
    heights = np.column_stack([tops[one], bars, bars, tops[other]])
    leaves = np.flatnonzero(is_leaf)
    return along, heights, leaves[np.argsort(places[leaves])]


def link_labels(linkage, labels):
    """The label that all leaves of a merge have, or -1 where they have several."""
    n_rows = len(labels)
    of_node = labels.tolist() + [-1] * (n_rows - 1)
    for merge, (one, other) in enumerate(linkage[:, :2].astype(np.intp).tolist()):
        if of_node[one] == of_node[other]:
            of_node[n_rows + merge] = of_node[one]
    return np.array(of_node[n_rows:], dtype=np.intp)


def leaf_counts(children):
    """The number of leaves below every merge."""
    n_rows = len(children) + 1
    counts = [1] * n_rows
    for one, other in np.asarray(children)[:, :2].astype(np.intp).tolist():
        counts.append(counts[one] + counts[other])
    return counts[n_rows:]


def cut_into(linkage, n_clusters):
    """Labels of so many clusters, from left to right."""
    n_rows = len(linkage) + 1
    kept = n_rows - n_clusters
    of_node = [-1] * (2 * n_rows - 1)
    stack = [2 * n_rows - 2]
    children = linkage[:, :2].astype(np.intp).tolist()
    number = 0
    while stack:
        node = stack.pop()
        if node >= n_rows + kept:
            stack += children[node - n_rows][::-1]
        else:
            of_node[node] = number
            number += 1
    for merge in range(kept - 1, -1, -1):
        for child in children[merge]:
            of_node[child] = of_node[n_rows + merge]
    return np.array(of_node[:n_rows])


def gap_above(linkage, n_clusters):
    """The height midway between the merges that make so many clusters and the others.

    None where equal or inverted heights leave no room, or all merges are made.
    """
    kept = len(linkage) + 1 - n_clusters
    below, above = linkage[:kept, 2].max(initial=0.0), linkage[kept:, 2].min(initial=np.inf)
    return float(0.5 * (below + above)) if below < above < np.inf else None


def check_linkage(linkage):
    """A linkage, float64, whose merges name nodes that are there and not merged yet."""
    linkage = check_array(
        linkage, dtype=np.float64, ensure_min_samples=0, ensure_min_features=0, input_name="linkage"
    )
    if not len(linkage):
        raise ValueError("linkage must have a merge, but has none")
    n_rows = len(linkage) + 1
    children = linkage[:, :2]
    made = n_rows + np.arange(n_rows - 1)
    if linkage.shape[1] != 4:
        raise ValueError(f"linkage must have 4 columns as SciPy's, but has {linkage.shape[1]}")
    if (children < 0).any() or (children >= made[:, None]).any() or (children % 1).any():
        raise ValueError("linkage must merge rows or earlier merges, by their numbers")
    if len(np.unique(children)) < children.size:
        raise ValueError("linkage must merge no node twice")
    return linkage


def check_labels(labels, n_rows):
    """One int per row."""
    if labels is None:
        return np.zeros(n_rows, dtype=np.intp)
    labels = np.asarray(labels)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"labels must be {n_rows}, one per row of the tree, but have shape {labels.shape}"
        )
    if labels.dtype.kind not in "iub":
        raise TypeError(f"labels must be int, but are {labels.dtype}")
    return labels


def check_n_clusters(n_clusters, n_rows):
    """An int between 1 and the number of rows."""
    if not isinstance(n_clusters, Integral) or isinstance(n_clusters, bool):
        raise TypeError(f"n_clusters={n_clusters!r} must be an int or None")
    if not 1 <= n_clusters <= n_rows:
        raise ValueError(
            f"n_clusters={n_clusters!r} must be between 1 and {n_rows}, the rows of the tree"
        )
    return int(n_clusters)


def check_threshold(threshold):
    """A finite height."""
    if not isinstance(threshold, Real) or isinstance(threshold, bool):
        raise TypeError(f"distance_threshold={threshold!r} must be a number or None")
    if not np.isfinite(threshold):
        raise ValueError(f"distance_threshold={threshold!r} must be finite")
    return float(threshold)


def check_max_leaves(max_leaves):
    """An int of at least 2."""
    if not isinstance(max_leaves, Integral) or isinstance(max_leaves, bool):
        raise TypeError(f"max_leaves={max_leaves!r} must be an int or None")
    if max_leaves < 2:
        raise ValueError(f"max_leaves={max_leaves!r} must be at least 2")
    return int(max_leaves)


def check_leaf_names(names, n_rows):
    """A list of one str per row."""
    if isinstance(names, str) or not hasattr(names, "__len__"):
        raise TypeError(f"leaf_names={names!r} must be a sequence of str, one per row")
    if len(names) != n_rows:
        raise ValueError(f"leaf_names must be {n_rows}, one per row, but are {len(names)}")
    return [str(name) for name in names]

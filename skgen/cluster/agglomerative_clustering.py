"""Agglomerative clustering: rows are clusters of one; the two nearest are merged, again and again.

Distance of two clusters of sizes v and w, with centers a and b:

    ward      sqrt(2 v w / (v + w)) |a - b|          centroid  |a - b|, the centers being means
    average   mean distance of members               median    |a - b|, the centers being midpoints
    complete  largest distance of members            single    least distance of members

Ward (1963); Sneath and Sokal (1973).
"""

import warnings
from numbers import Integral, Real

import numpy as np

from skgen import kernels
from skgen.base import (
    ClusterMixin,
    Estimator,
    FitTask,
    HasMethods,
    Interval,
    StrOptions,
    admit,
    check_array,
    check_is_fitted,
    check_memory,
    fit_context,
    metrics,
    one_blas_thread,
    require_finite,
    require_metric,
    thread_count,
)
from skgen.cluster import tree as dendrogram
from skgen.cluster.connected import completed_graph, merge_connected
from skgen.cluster.linkage import (
    OF_CENTERS,
    RULES,
    columns_of,
    merge_distances,
    merge_rows,
    new_condensed,
)
from skgen.statistics import column_moments

EUCLIDEAN = ("euclidean", "l2")
# Linkages whose heights may fall from a merge to the next.
FALLING = ("centroid", "median")
EARLY_END = "the tree ends before a single cluster; fit with compute_full_tree=True"
# Numbers of distances to training rows that `predict` holds at a time.
PREDICTED = 2**22


class AgglomerativeClustering(ClusterMixin, Estimator):
    """Agglomerative clustering.

    Parameters and attributes that scikit-learn's class has mean the same here; the whole tree is
    always built unless a graph of connections makes an early end worth while.

    Parameters
    ----------
    n_clusters : int or None, default=2
        Clusters to cut the tree into; None with `distance_threshold`.
    metric : str or callable, default="euclidean"
        Any of scikit-learn's, a function of two rows, or "precomputed": X is then a square matrix
        of distances, of which the upper triangle is read. "ward", "centroid" and "median" take
        "euclidean" (or "l2") only.
    memory : str, joblib.Memory or None, default=None
        Where trees are kept for later fits to the same rows.
    connectivity : array or sparse matrix of shape (n, n), callable or None, default=None
        Graph of the rows that may be merged directly, or a function of X that makes it. Its
        components are joined by an edge between their nearest rows, with a warning.
    compute_full_tree : "auto" or bool, default="auto"
        Whether to go on to a single cluster where `connectivity` is given; "auto" ends at
        `n_clusters` where they are many.
    linkage : {"ward", "average", "complete", "single", "centroid", "median"}, default="ward"
    distance_threshold : float or None, default=None
        Merges at this height or above are undone; None with `n_clusters`.
    compute_distances : bool, default=False
        Accepted for compatibility; `distances_` is always there.
    n_jobs : int, default=None
        Threads of "average" and "complete"; None uses all cores. The result does not depend on it.

    Attributes
    ----------
    labels_ : ndarray of shape (n,)
        Cluster of every row; for rows of weight 0 that which `predict` gives.
    n_clusters_ : int
    linkage_ : ndarray of shape (n_leaves - 1, 4)
        The tree as SciPy writes it: nodes, height, number of leaves. Merges are in the order of
        their heights; for "centroid", "median" and with `connectivity` in that they were made in.
    children_ : ndarray of shape (n_leaves - 1, 2)
        Nodes that were merged: the first columns of `linkage_`.
    distances_ : ndarray of shape (n_leaves - 1,)
        Heights.
    n_leaves_ : int
        Rows of positive weight.
    leaves_ : ndarray of shape (n_leaves,)
        Their numbers: leaf i of the tree is row leaves_[i].
    n_connected_components_ : int
        Of `connectivity`; 1 without.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    A row of weight w is w rows in one place. For `predict` and `cophenetic_correlation` the rows
    are kept.

    With Euclidean distances and up to 64 columns no matrix of the distances between rows is needed,
    for "single", "centroid" and "median" never; "average" and "complete" hold the distances of up
    to n / 4 clusters, or of as many as fit. Otherwise it takes n (n - 1) / 2 numbers, and
    `InsufficientMemory` is raised before it is begun where they do not fit.

    References
    ----------
    Ward (1963), "Hierarchical grouping to optimize an objective function", JASA 58.
    Lance and Williams (1967), "A general theory of classificatory sorting strategies", Computer
    Journal 9.
    Muellner (2011), "Modern hierarchical, agglomerative clustering algorithms", arXiv:1109.2378.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.cluster import AgglomerativeClustering
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [10.0, 2.0], [10.0, 4.0]])
    >>> model = AgglomerativeClustering().fit(X)
    >>> model.labels_, model.distances_.round(3)
    (array([1, 1, 0, 0]), array([ 2.   ,  2.   , 12.728]))
    """

    _parameter_constraints = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "metric": [str, callable],
        "memory": [str, HasMethods("cache"), None],
        "connectivity": ["array-like", "sparse matrix", callable, None],
        "compute_full_tree": [StrOptions({"auto"}), "boolean"],
        "linkage": [StrOptions(set(RULES))],
        "distance_threshold": [Interval(Real, 0, None, closed="left"), None],
        "compute_distances": ["boolean"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_clusters=2,
        *,
        metric="euclidean",
        memory=None,
        connectivity=None,
        compute_full_tree="auto",
        linkage="ward",
        distance_threshold=None,
        compute_distances=False,
        n_jobs=None,
    ):
        self.n_clusters = n_clusters
        self.metric = metric
        self.memory = memory
        self.connectivity = connectivity
        self.compute_full_tree = compute_full_tree
        self.linkage = linkage
        self.distance_threshold = distance_threshold
        self.compute_distances = compute_distances
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Build the tree of the rows of X and cut it.

        Parameters
        ----------
        X : array of shape (n, d), n > 1, or (n, n) with ``metric="precomputed"``
        y : ignored
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : AgglomerativeClustering

        Raises
        ------
        InsufficientMemory
            A ValueError and a MemoryError: where distances do not fit into memory.
        ValueError
            Also where arguments contradict each other, or a distance is not finite.
        """
        self._check_arguments()
        rows = admit(
            self, X, sample_weight, reset=True, n_threads=thread_count(self.n_jobs), min_rows=2
        )
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        with task.restart() as run, one_blas_thread(rows):
            run.begin()
            self._fit(rows)
            run.end(lambda: {})
        task.end()
        return self

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit and return the cluster of every row; see `fit`.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return self.fit(X, sample_weight=sample_weight).labels_

    def predict(self, X):
        """Number of the cluster that the linkage's own rule finds nearest to each new row.

        "single" takes the cluster of the nearest member, "complete" that whose farthest member is
        nearest, "average" that of the least mean distance, "ward" that whose sum of squares a row
        of weight one would increase least, "centroid" and "median" that of the nearest center.
        Training rows may get another label than in `labels_`, which merges after theirs decided.

        Parameters
        ----------
        X : array of shape (m, d), or distances (m, n) to the training rows with
            ``metric="precomputed"``

        Returns
        -------
        labels : ndarray of shape (m,)
        """
        check_is_fitted(self)
        rows = admit(self, X, reset=False)
        return self._nearest(rows.X)

    def cut(self, n_clusters=None, distance_threshold=None):
        """Labels of the training rows for another cut of the same tree; changes nothing.

        Parameters
        ----------
        n_clusters : int, default=None
            Undo the last merges until there are so many.
        distance_threshold : float, default=None
            Undo as many of the last merges as are as high; for "centroid" and "median" those of
            which one, or one within, is as high. Exactly one argument is to be given.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        check_is_fitted(self)
        if (n_clusters is None) == (distance_threshold is None):
            raise ValueError(
                f"n_clusters={n_clusters!r} and distance_threshold={distance_threshold!r}: exactly"
                " one of them must be given"
            )
        if distance_threshold is not None:
            if not isinstance(distance_threshold, Real) or not distance_threshold >= 0.0:
                raise ValueError(
                    f"distance_threshold={distance_threshold!r} must be a number that is not"
                    " negative"
                )
        elif isinstance(n_clusters, bool) or not isinstance(n_clusters, Integral):
            raise TypeError(f"n_clusters={n_clusters!r} must be an int")
        return self._spread(self._cut(n_clusters, distance_threshold))

    def cophenetic_correlation(self, X=None):
        """Correlation of the distances of rows with the heights at which they are joined.

        Parameters
        ----------
        X : array of shape (n, n), default=None
            With ``metric="precomputed"`` the distances that `fit` was given, which it does not
            keep.

        Returns
        -------
        correlation : float in [-1, 1]
            Near 1 where the tree tells the distances (Sokal and Rohlf 1962).

        Raises
        ------
        ValueError
            Where all distances, or all heights, are equal, or the whole tree was not built, or the
            distances are missing.
        """
        check_is_fitted(self)
        if len(self.linkage_) < self.n_leaves_ - 1:
            raise ValueError(EARLY_END)
        rows, weight = self._rows, self._weight
        if self.metric == "precomputed":
            if X is None:
                raise ValueError(
                    "X=None must be the distances given to fit, where metric='precomputed': they"
                    " are not kept"
                )
            rows = admit(self, X, reset=False).X[np.ix_(self.leaves_, self.leaves_)]
        if self.metric in EUCLIDEAN:
            points = columns_of(rows)

            def later(i, order):
                # In the order of the leaves once and for all.
                if i == 0:
                    points[:, : len(order)] = rows[order].T
                return np.sqrt(((points[:, i + 1 : len(order)] - points[:, i, None]) ** 2).sum(0))
        else:

            def later(i, order):
                return self._distances(rows[order[i : i + 1]], order[i + 1 :])[0]

        return dendrogram.cophenetic_correlation(self.linkage_, weight, later)

    def _check_arguments(self):
        """Raise where arguments contradict each other."""
        if not callable(self.metric) and self.metric not in (*EUCLIDEAN, "precomputed"):
            require_metric(self.metric)
        if (self.n_clusters is None) == (self.distance_threshold is None):
            raise ValueError(
                "Exactly one of n_clusters and distance_threshold has to be set, and the other"
                f" needs to be None; n_clusters={self.n_clusters!r},"
                f" distance_threshold={self.distance_threshold!r}."
            )
        if self.distance_threshold is not None and not self.compute_full_tree:
            raise ValueError("compute_full_tree must be True if distance_threshold is set.")
        if self.linkage in OF_CENTERS and self.metric not in EUCLIDEAN:
            raise ValueError(
                f"{self.metric} was provided as metric. {self.linkage.capitalize()} can only work"
                " with euclidean distances (i.e. 'euclidean' and 'l2')."
            )

    def _fit(self, rows):
        X, n = rows.X, rows.n_rows
        if self.metric == "precomputed" and X.shape[0] != X.shape[1]:
            raise ValueError(f"Distance matrix should be square, got matrix of shape {X.shape}")
        weight = np.ones(n) if rows.weight is None else rows.weight
        leaves = np.flatnonzero(weight > 0.0)
        if len(leaves) < n:
            X = X[leaves]
            X = X[:, leaves] if self.metric == "precomputed" else X
        if self.n_clusters is not None and self.n_clusters > len(leaves):
            raise ValueError(
                f"Cannot extract more clusters than samples: {self.n_clusters} clusters were given"
                f" for a tree with {len(leaves)} leaves (n_samples of positive weight)."
            )
        weight = weight[leaves]
        if self.metric in EUCLIDEAN:
            X = self._centered(rows, X, weight)
        # Whatever becomes of the caller's array; distances given are not kept.
        self._rows = None
        if self.metric != "precomputed":
            self._rows = X.copy() if X is rows.X else X
        self._weight = weight
        graph, n_components = None, 1
        if self.connectivity is not None:
            graph, n_components = self._graph(rows.X, X, leaves)
        tree = np.zeros((0, 4))
        if len(leaves) > 1:
            build = check_memory(self.memory).cache(build_tree, ignore=["n_threads"])
            fewest = self._fewest(graph, len(leaves))
            tree = build(X, weight, self.linkage, self.metric, graph, fewest, rows.n_threads)
        # All at once: a fit that is interrupted leaves nothing.
        self.leaves_, self.n_leaves_ = leaves, len(leaves)
        self.n_connected_components_ = n_components
        self.linkage_ = tree
        self.children_ = tree[:, :2].astype(np.intp)
        self.distances_ = tree[:, 2].copy()
        labels = self._cut(self.n_clusters, self.distance_threshold)
        self.n_clusters_ = int(labels.max()) + 1
        self._leaf_labels = labels
        self._set_centers()
        self.labels_ = self._spread(labels, rows.X)

    def _centered(self, rows, X, weight):
        """Rows about their mean, float64: an offset costs no digits."""
        with np.errstate(over="ignore", invalid="ignore"):
            moments = column_moments(rows)
        require_finite(self, rows.X, moments.finite)
        largest = float(np.abs(moments.mean).max(initial=0.0))
        self._mean = moments.mean if np.isfinite(largest) else np.zeros(rows.n_features)
        with np.errstate(over="ignore", invalid="ignore"):
            X = X - self._mean
            if not np.isfinite(np.sqrt(len(X) * (X**2).sum(axis=1).max(initial=0.0))):
                raise ValueError(
                    "X has values too large: squares of distances overflow float64; divide X by a"
                    " constant, or remove its outliers"
                )
        return X

    def _graph(self, X, of_leaves, leaves):
        """The graph of connections of the leaves, connected, and how many parts it had."""
        graph = self.connectivity(X) if callable(self.connectivity) else self.connectivity
        graph = check_array(graph, accept_sparse=["csr", "coo", "lil"], input_name="connectivity")
        graph = dendrogram.adjacency(graph, len(X))[leaves][:, leaves]
        graph, count = completed_graph(graph, lambda i, j: self._distances(of_leaves[i], j))
        if count > 1:
            warnings.warn(
                "the number of connected components of the connectivity matrix is"
                f" {count} > 1. Completing it to avoid stopping the tree"
                " early.",
                UserWarning,
                stacklevel=5,
            )
        return graph, count

    def _fewest(self, graph, n_leaves):
        """How many clusters the tree of so many leaves ends with."""
        full = self.compute_full_tree
        if graph is None or self.n_clusters is None or full is True:
            return 1
        if full == "auto":
            full = self.n_clusters < max(100, 0.02 * n_leaves)
        return 1 if full else int(self.n_clusters)

    def _cut(self, n_clusters, distance_threshold):
        """Labels of the leaves."""
        tree, n = self.linkage_, self.n_leaves_
        if len(tree) < n - 1:
            # The tree ended early: what is left is as if joined at the end, infinitely high.
            tree = closed_tree(tree, n)
        if distance_threshold is not None:
            if len(self.linkage_) < n - 1:
                raise ValueError(EARLY_END)
            if self.linkage in FALLING:
                return dendrogram.cut_by_height(tree, distance_threshold)
            # As scikit-learn does where connections make heights fall.
            n_clusters = 1 + int(np.count_nonzero(tree[:, 2] >= distance_threshold))
            return dendrogram.cut_by_number(tree, n_clusters)
        fewest = n - len(self.linkage_)
        if not fewest <= n_clusters <= n:
            raise ValueError(
                f"n_clusters={n_clusters} must be between {fewest} and {n}, the leaves of the tree"
            )
        return dendrogram.cut_by_number(tree, int(n_clusters))

    def _spread(self, labels, X=None):
        """Labels of all training rows from those of the leaves."""
        if len(self.leaves_) == self._n_rows_of(X):
            return labels
        full = self.labels_.copy() if X is None else np.empty(len(X), dtype=np.intp)
        full[self.leaves_] = labels
        absent = np.ones(len(full), dtype=bool)
        absent[self.leaves_] = False
        if X is not None:
            self._absent = X[absent]
        absent_rows = self._absent
        kept = self._leaf_labels, self._centers, self._center_weight
        self._leaf_labels = labels
        self._set_centers()
        full[absent] = self._nearest(absent_rows)
        if X is None:
            self._leaf_labels, self._centers, self._center_weight = kept
        return full

    def _n_rows_of(self, X):
        return len(self.labels_) if X is None else len(X)

    def _set_centers(self):
        """Centers and weights of the clusters, for rules that go by them."""
        self._centers = self._center_weight = None
        if self.linkage not in OF_CENTERS:
            return
        labels, k = self._leaf_labels, int(self._leaf_labels.max()) + 1
        self._center_weight = np.bincount(labels, self._weight, k)
        if self.linkage == "median":
            self._centers = midpoints(self._rows, self.linkage_, labels, k)
            return
        self._centers = np.zeros((k, self._rows.shape[1]))
        np.add.at(self._centers, labels, self._weight[:, None] * self._rows)
        self._centers /= self._center_weight[:, None]

    def _distances(self, X, places):
        """Distances of rows to the leaves at `places`; X is as in `_rows`."""
        if self.metric == "precomputed":
            return X[:, places]
        return metrics().pairwise_distances(X, self._rows[places], metric=self.metric)

    def _nearest(self, X):
        """The cluster of each row by the linkage's rule."""
        if self.metric == "precomputed":
            X = X[:, self.leaves_] if len(self.leaves_) < X.shape[1] else X
        elif self.metric in EUCLIDEAN:
            X = X - self._mean
        step = max(1, PREDICTED // max(self.n_leaves_, X.shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            labels = [self._nearest_of(X[i : i + step]) for i in range(0, len(X), step)]
        return np.concatenate(labels) if labels else np.zeros(0, dtype=np.intp)

    def _nearest_of(self, X):
        if self._centers is not None:
            found = ((X[:, None, :] - self._centers) ** 2).sum(axis=2)
            if self.linkage == "ward":
                found *= self._center_weight / (1.0 + self._center_weight)
            return nearest_column(found)
        labels = self._leaf_labels
        k = int(labels.max()) + 1
        out = np.full((len(X), k), np.inf if self.linkage == "single" else 0.0)
        if self.metric in EUCLIDEAN:
            points = columns_of(self._rows)
            kernels.linkage.farthest_or_mean(
                RULES.index(self.linkage), points, self._weight, labels.astype(np.int32),
                np.ascontiguousarray(X, dtype=np.float64), np.empty(points.shape[1]), out,
            )  # fmt: skip
        else:
            found = self._distances(X, np.arange(self.n_leaves_))
            for cluster in range(k):
                members = found[:, labels == cluster]
                if self.linkage == "single":
                    out[:, cluster] = members.min(axis=1)
                elif self.linkage == "complete":
                    out[:, cluster] = members.max(axis=1)
                else:
                    out[:, cluster] = members @ self._weight[labels == cluster]
        if self.linkage == "average":
            out /= np.bincount(labels, self._weight, k)
        return nearest_column(out)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "labels_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags


def nearest_column(distances):
    """Of every row the column of the least distance; ValueError where they overflow."""
    if not np.isfinite(distances).all():
        raise ValueError(
            "distances from X to the clusters overflow float64: X has values too large; divide X by"
            " a constant, as in fit"
        )
    return distances.argmin(axis=1)


def build_tree(X, weight, rule, metric, graph, n_clusters, n_threads):
    """The linkage matrix of rows X (n, d), or of distances X (n, n)."""
    if graph is not None:

        def edge_lengths(i, j):
            if metric == "precomputed":
                return np.asarray(X[i, j], dtype=np.float64)
            return metrics().paired_distances(X[i], X[j], metric=metric).astype(np.float64)

        return merge_connected(graph, edge_lengths, X, weight, rule, n_clusters)
    if metric in EUCLIDEAN:
        merges = merge_rows(X, weight, rule, n_threads)
    else:
        merges = merge_distances(condensed_distances(X, metric), weight, rule)
    return merges.tree(monotone=rule not in FALLING)


def condensed_distances(X, metric):
    """Distances of each row to all later ones, in X's dtype."""
    n = len(X)
    condensed = new_condensed(n, X.dtype)
    if metric == "precomputed":
        chunks = [X]
    else:
        # Some metrics learn from all rows, so they are handed over together.
        chunks = metrics().pairwise_distances_chunked(X, metric=metric, working_memory=64)
    start = 0
    for chunk in chunks:
        for row in chunk:
            offset = start * n - start * (start + 1) // 2
            condensed[offset : offset + n - start - 1] = row[start + 1 :]
            start += 1
    if not np.isfinite(condensed.sum(dtype=np.float64)) and not np.isfinite(condensed).all():
        raise ValueError(
            f"metric={metric!r} gives distances that are not finite; divide X by a constant, or use"
            " a metric that is defined for all of its rows"
        )
    return condensed


def closed_tree(tree, n):
    """A tree that ended early, with merges of what is left."""
    below = np.zeros(2 * n - 1, dtype=bool)
    below[tree[:, :2].astype(int).ravel()] = True
    roots = np.flatnonzero(~below[: n + len(tree)]).tolist()
    rest = []
    while len(roots) > 1:
        rest.append([roots.pop(0), roots.pop(0), np.inf, 0.0])
        roots.append(n + len(tree) + len(rest) - 1)
    return np.vstack([tree, rest])


def midpoints(X, tree, labels, k):
    """Centers of clusters, each midway between those of its parts."""
    n = len(X)
    centers = np.vstack([X, np.empty((len(tree), X.shape[1]))])
    label = np.append(labels, np.full(len(tree), -1))
    found = np.empty((k, X.shape[1]))
    for c, leaf in zip(*np.unique(labels, return_index=True), strict=True):
        found[c] = X[leaf]
    for i, (left, right) in enumerate(tree[:, :2].astype(np.intp)):
        centers[n + i] = 0.5 * (centers[left] + centers[right])
        if label[left] == label[right] != -1:
            label[n + i] = label[left]
            found[label[left]] = centers[n + i]
    return found

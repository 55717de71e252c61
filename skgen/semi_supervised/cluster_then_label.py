"""Clusters first, labels second: every cluster gets the labels of its labeled rows."""

import warnings
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags

from skgen.base import (
    Estimator,
    HasMethods,
    Interval,
    StrOptions,
    admit_new,
    admit_partly_labeled,
    available_if,
    check_is_fitted,
    fit_context,
    frames_inside,
)
from skgen.cluster import KMeans
from skgen.labels import marked

# Where no clusterer is given.
N_CLUSTERS = 10


def knows_new_rows(self):
    """Whether the clusterer can say to which cluster a new row belongs."""
    clusterer = getattr(self, "estimator_", self._base())
    if not hasattr(clusterer, "predict"):
        raise AttributeError(
            f"{type(clusterer).__name__} has no predict: it clusters the rows of its fit only, see"
            " transduction_"
        )
    return True


class ClusterThenLabel(MetaEstimatorMixin, ClassifierMixin, Estimator):
    """Any clusterer or mixture as a classifier, by the labeled rows in each cluster.

    The probability of class c is ``sum_k p(k | x) p(c | k)``, where p(c | k) is the share of the
    class among the labeled rows of cluster k, by weight, and p(k | x) the answer of the clusterer:
    the `predict_proba` of a mixture, else 1 for the cluster of the row.

    Parameters
    ----------
    estimator : clusterer or mixture, default=None
        With `predict_proba`, `labels_` or `predict`; None means ``KMeans(10, random_state=0)``, of
        fewer rows as many clusters as rows.
    unlabeled_clusters : {"prior", "unlabeled"}, default="prior"
        What becomes of rows in clusters without a label: the class shares of all labeled rows, with
        a warning; or no label in `transduction_`.
    smoothing : float, default=0.0
        Rows of each class, in the shares of all labeled rows, that are added to every cluster.

    Attributes
    ----------
    estimator_ : clusterer
    classes_ : ndarray of shape (n_classes,)
    cluster_distributions_ : ndarray of shape (n_clusters, n_classes)
        p(c | k); zeros for a cluster without a label where these stay unlabeled.
    cluster_weights_ : ndarray of shape (n_clusters,)
        Weight of the labeled rows of every cluster.
    transduction_ : ndarray of shape (n,)
        Labels of all rows, by their clusters; given ones stay.
    confidence_ : ndarray of shape (n,)
        The largest probability of each row; NaN without a label.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.cluster import KMeans
    >>> from skgen.semi_supervised import ClusterThenLabel
    >>> X = np.array([[0.0], [0.1], [0.2], [5.0], [5.1]])
    >>> y = np.array([0, -1, -1, -1, 1])
    >>> ClusterThenLabel(KMeans(2, random_state=0)).fit(X, y).transduction_.tolist()
    [0, 0, 0, 1, 1]
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), None],
        "unlabeled_clusters": [StrOptions({"prior", "unlabeled"})],
        "smoothing": [Interval(Real, 0.0, None, closed="left")],
    }

    def __init__(self, estimator=None, *, unlabeled_clusters="prior", smoothing=0.0):
        self.estimator = estimator
        self.unlabeled_clusters = unlabeled_clusters
        self.smoothing = smoothing

    @fit_context
    def fit(self, X, y, sample_weight=None):
        """Cluster all rows, then count labels.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, d)
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN,
            pandas.NA or -1 among objects and strings. Integers that are all -1 or 1 are two
            classes.
        sample_weight : array of shape (n,), default=None
            Goes to the clusterer, and weighs labels.

        Returns
        -------
        self : object
        """
        rows, classes, codes = admit_partly_labeled(
            self, X, y, sample_weight, accept_sparse=self._takes_sparse()
        )
        weight = np.ones(rows.n_rows) if rows.weight is None else rows.weight.astype(np.float64)
        known = codes >= 0
        counted = known & (weight > 0.0)
        if not counted.any():
            raise ValueError("sample_weight leaves no row that y labels; give one a weight above 0")
        clusterer = clone(self._base())
        if self.estimator is None:
            clusterer.set_params(n_clusters=min(N_CLUSTERS, rows.n_rows))
        given = {} if rows.weight is None else {"sample_weight": weight}
        shares = self._cluster(clusterer, rows.X, given)
        Y = np.zeros((rows.n_rows, len(classes)))
        Y[counted, codes[counted]] = weight[counted]
        prior = Y.sum(axis=0) / Y.sum()
        counts = shares.T @ Y
        mass = counts.sum(axis=1)
        smoothed = counts + self.smoothing * prior
        whole = smoothed.sum(axis=1)
        empty = whole == 0.0
        smoothed[~empty] /= whole[~empty][:, None]
        smoothed[empty] = prior if self.unlabeled_clusters == "prior" else 0.0
        self.estimator_, self.classes_ = clusterer, classes
        self.cluster_distributions_, self.cluster_weights_ = smoothed, mass
        self._prior = prior
        self._label(shares @ smoothed, codes)
        self._warn(shares, empty, codes)
        return self

    def _cluster(self, clusterer, X, given):
        """Fit; p(k | x) of all rows, (n, n_clusters)."""
        if hasattr(clusterer, "predict_proba"):
            return np.asarray(clusterer.fit(X, **given).predict_proba(X), dtype=np.float64)
        clusterer.fit(X, **given)
        found = clusterer.labels_ if hasattr(clusterer, "labels_") else clusterer.predict(X)
        return one_hot(np.asarray(found))

    def _label(self, share, codes):
        self.confidence_ = share.max(axis=1)
        silent = self.confidence_ == 0.0
        self.confidence_[silent] = np.nan
        labels = marked(self.classes_[share.argmax(axis=1)], silent)
        known = codes >= 0
        labels[known] = self.classes_[codes[known]]
        self.transduction_ = labels

    def _warn(self, shares, empty, codes):
        if not empty.any():
            return
        lost = int((shares[:, empty].sum(axis=1) > 0.5).sum())
        fate = "get the class shares of all labeled rows"
        if self.unlabeled_clusters == "unlabeled":
            fate = "are left without a label"
        warnings.warn(
            f"{int(empty.sum())} of {len(empty)} clusters have no labeled row; their {lost} rows"
            f" {fate}. Fewer clusters or more labels would reach them",
            UserWarning,
            stacklevel=frames_inside(),
        )

    def _takes_sparse(self):
        return get_tags(self._base()).input_tags.sparse

    def _base(self):
        return KMeans(N_CLUSTERS, random_state=0) if self.estimator is None else self.estimator

    @available_if(knows_new_rows)
    def predict(self, X):
        """The most probable class of new rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (m, d)

        Returns
        -------
        y : ndarray of shape (m,)
        """
        number = self.predict_proba(X).argmax(axis=1)
        return self.classes_[number]

    @available_if(knows_new_rows)
    def predict_proba(self, X):
        """Class shares of the clusters that new rows belong to.

        Parameters
        ----------
        X : array or sparse matrix of shape (m, d)

        Returns
        -------
        share : ndarray of shape (m, n_classes)
            The class shares of all labeled rows for a cluster without a label.
        """
        check_is_fitted(self, "cluster_distributions_")
        X = admit_new(self, X, accept_sparse=self._takes_sparse())
        if hasattr(self.estimator_, "predict_proba"):
            shares = np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        else:
            shares = one_hot(
                np.asarray(self.estimator_.predict(X)), len(self.cluster_distributions_)
            )
        share = shares @ self.cluster_distributions_
        mass = share.sum(axis=1)
        share[mass > 0.0] /= mass[mass > 0.0][:, None]
        share[mass == 0.0] = self._prior
        return share

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._takes_sparse()
        return tags


def one_hot(numbers, n_clusters=None):
    """Membership (n, n_clusters) of cluster numbers; of noise, numbered -1, in none."""
    n_clusters = int(numbers.max(initial=0)) + 1 if n_clusters is None else n_clusters
    members = np.zeros((len(numbers), n_clusters))
    inside = (numbers >= 0) & (numbers < n_clusters)
    members[np.flatnonzero(inside), numbers[inside]] = 1.0
    return members

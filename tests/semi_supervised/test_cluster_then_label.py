"""Clusters that get the labels of their labeled rows."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgen.cluster import AgglomerativeClustering, KMeans
from skgen.mixture import GaussianMixture
from skgen.semi_supervised import ClusterThenLabel


@parametrize_with_checks(
    [ClusterThenLabel(), ClusterThenLabel(GaussianMixture(3, random_state=0, reg_covar=1e-3))]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


X_LINE = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [5.3]])


def test_majority_by_weight():
    y = np.array([0, 0, 1, 1, -1, -1, 0])
    model = ClusterThenLabel(KMeans(2, random_state=0)).fit(X_LINE, y)
    near = int(model.estimator_.predict([[0.0]])[0])
    np.testing.assert_allclose(model.cluster_distributions_[near], [2 / 3, 1 / 3])
    np.testing.assert_array_equal(model.transduction_, [0, 0, 1, 1, 0, 0, 0])
    np.testing.assert_allclose(model.confidence_, [2 / 3] * 3 + [0.5] * 4)
    weight = np.array([1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 1.0])
    heavy = ClusterThenLabel(KMeans(2, random_state=0)).fit(X_LINE, y, sample_weight=weight)
    assert heavy.predict([[0.05], [5.0]]).tolist() == [1, 1]
    smooth = ClusterThenLabel(KMeans(2, random_state=0), smoothing=5.0).fit(X_LINE, y)
    prior = np.array([0.6, 0.4])
    near = int(smooth.estimator_.predict([[0.0]])[0])
    np.testing.assert_allclose(
        smooth.cluster_distributions_[near], (np.array([2, 1]) + 5 * prior) / 8
    )


def test_clusters_without_a_label():
    y = np.array(["a", None, None, None, None, None, None], dtype=object)
    with pytest.warns(UserWarning, match="1 of 2 clusters have no labeled row; their 4 rows"):
        model = ClusterThenLabel(KMeans(2, random_state=0)).fit(X_LINE, y)
    assert model.transduction_.tolist() == ["a"] * 7
    with pytest.warns(UserWarning, match="left without a label"):
        model = ClusterThenLabel(KMeans(2, random_state=0), unlabeled_clusters="unlabeled").fit(
            X_LINE, y
        )
    assert model.transduction_.tolist() == ["a"] * 3 + [None] * 4
    assert np.isnan(model.confidence_[3:]).all()
    np.testing.assert_array_equal(model.predict_proba([[5.0]]), [[1.0]])


def test_mixtures_vote_softly():
    y = np.array([0, -1, -1, -1, -1, -1, 1])
    mixture = GaussianMixture(2, random_state=0, reg_covar=1.0)
    model = ClusterThenLabel(mixture).fit(X_LINE, y)
    member = model.estimator_.predict_proba(X_LINE)
    counts = member[[0, 6]].T
    expected = member @ (counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(X_LINE), expected)


def test_clusterers_tell_of_their_rows():
    y = np.array([0, -1, -1, -1, -1, -1, 1])
    model = ClusterThenLabel(AgglomerativeClustering(2)).fit(X_LINE, y)
    np.testing.assert_array_equal(model.transduction_, [0, 0, 0, 1, 1, 1, 1])
    far = np.vstack([X_LINE, [[100.0]]])
    noisy = ClusterThenLabel(DBSCAN(eps=0.5, min_samples=2)).fit(far, np.append(y, -1))
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        noisy.predict(X_LINE)
    assert np.isnan(noisy.confidence_[-1])
    assert noisy.transduction_[-1] == -1


def test_digits_and_pickles():
    X, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    hidden = np.full(len(y), -1)
    for label in range(10):
        hidden[generator.choice(np.flatnonzero(y == label), 10, replace=False)] = label
    model = ClusterThenLabel(KMeans(30, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, hidden)
    assert model.score(X, y) > 0.8
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="leaves no row that y labels"):
        model.fit(X, hidden, sample_weight=(hidden < 0).astype(float))

"""Starts of mixtures: invariance, known answers, elongated clusters, replaced starts."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skgen.mixture import (
    BayesianGaussianMixture,
    GaussianMixture,
    MAPGaussianMixture,
    initialization,
)
from skgen.mixture.agglomerative import agglomerate, log_determinants
from skgen.mixture.fitting import MOST_REPLACEMENTS
from skgen.mixture.initialization import TrainingRows, partition_rows
from skgen.rows import Rows
from skgen.statistics import column_moments
from tests.problems import old_faithful, overlapping, same_partition

NEW = ("whitened-k-means++", "agglomerative")


def parallel_clusters(n_rows=600, k=4, ratio=20.0, gap=6.0, seed=0):
    """Rows and labels of clusters `gap` deviations apart and `ratio` times longer across."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(k, size=n_rows)
    X = generator.normal(size=(n_rows, 2)) * [ratio, 1.0] + np.outer(labels, [0.0, gap])
    return X @ np.array([[0.8, 0.6], [-0.6, 0.8]]), labels


def labels_of(X, method, k, seed=0, weight=None):
    """The partition that a start is estimated from."""
    rows = Rows(np.ascontiguousarray(X), weight)
    training = TrainingRows(rows, column_moments(rows))
    return partition_rows(training, method, k, np.random.RandomState(seed)).labels


# Invariance ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", NEW)
def test_linear_maps_do_not_change_the_partition(method, weighted):
    for seed in range(5):
        generator = np.random.default_rng(seed)
        X = overlapping(n=300, d=4, k=3, seed=seed)
        weight = generator.uniform(0.5, 2.0, size=300) if weighted else None
        A = generator.normal(size=(4, 4)) * np.geomspace(1e-3, 1e3, 4)
        moved = X @ A + 10.0 * generator.normal(size=4)
        np.testing.assert_array_equal(
            labels_of(moved, method, 3, seed, weight), labels_of(X, method, 3, seed, weight)
        )


def test_partition_by_kmeans_does_change():
    """What the test above would miss if it compared nothing."""
    X, _ = parallel_clusters()
    stretched = X * [1.0, 30.0]
    assert not same_partition(labels_of(stretched, "kmeans", 4), labels_of(X, "kmeans", 4))


@pytest.mark.parametrize("method", NEW)
def test_columns_without_information_are_harmless(method):
    X, _ = parallel_clusters()
    plain = labels_of(X, method, 4)
    more = np.column_stack([X, np.ones(len(X)), X[:, 0] - X[:, 1]])
    assert same_partition(labels_of(more, method, 4), plain)


@pytest.mark.parametrize("method", NEW)
def test_missing_cells_are_completed_first(method):
    X, labels = parallel_clusters(n_rows=400, gap=12.0)
    X[::9, 0] = np.nan
    mixture = GaussianMixture(4, init_params=method, random_state=0, max_iter=200).fit(X)
    complete = ~np.isnan(X).any(axis=1)
    assert same_partition(mixture.predict(X)[complete], labels[complete])


# The tree -----------------------------------------------------------------------------------


def slow_agglomerate(points, weight, k):
    """The partition by definition: every pair is tried in every step."""

    def term(members):
        w = weight[members] / weight.mean()
        z = points[members] - w @ points[members] / w.sum()
        W, d = (w * z.T) @ z, points.shape[1]
        determinant = np.linalg.det(W / w.sum()) if len(members) > d else 0.0
        return w.sum() * np.log(determinant + (np.trace(W) + 1.0) / w.sum())

    clusters = [[i] for i in range(len(points))]
    while len(clusters) > k:
        costs = {
            (i, j): term(clusters[i] + clusters[j]) - term(clusters[i]) - term(clusters[j])
            for i in range(len(clusters))
            for j in range(i)
        }
        i, j = min(costs, key=costs.get)
        clusters[j] += clusters.pop(i)
    labels = np.empty(len(points), dtype=int)
    for number, members in enumerate(sorted(clusters, key=min)):
        labels[members] = number
    return labels


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_tree_is_that_of_the_definition(d, seed):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(26, d)) + 4.0 * generator.integers(3, size=(26, 1))
    weight = generator.integers(1, 4, size=26).astype(float)
    for k in (8, 3, 1):
        np.testing.assert_array_equal(
            agglomerate(points, weight, k), slow_agglomerate(points, weight, k)
        )


def test_fewer_points_than_clusters_stay_alone():
    np.testing.assert_array_equal(agglomerate(np.eye(3), np.ones(3), 5), [0, 1, 2])


def test_determinants_of_a_batch():
    A = np.random.default_rng(0).normal(size=(40, 5, 5))
    A = A @ A.transpose(0, 2, 1)
    found = log_determinants(np.ascontiguousarray(A.transpose(1, 2, 0)))
    np.testing.assert_allclose(found, np.linalg.slogdet(A)[1], rtol=1e-9)


def test_determinant_of_a_singular_matrix_is_small_and_finite():
    A = np.ones((3, 3, 1))
    assert -50.0 < log_determinants(A)[0] < -30.0


@pytest.mark.parametrize(
    ("data", "k", "figure"),
    [("iris", 2, -214.3547), ("iris", 3, -180.186), ("geyser", 2, -1130.264)],
)
def test_tree_leads_to_the_published_likelihood(data, k, figure):
    """mclust, model VVV, which starts from such a tree: Scrucca et al. (2016)."""
    X = load_iris().data if data == "iris" else old_faithful()
    arguments = {"tol": 1e-9, "max_iter": 3000, "reg_covar": 0.0}
    mixture = GaussianMixture(k, init_params="agglomerative", **arguments).fit(X)
    assert mixture.score(X) * len(X) == pytest.approx(figure, abs=0.001)


def test_rows_beyond_the_leaves_get_the_label_of_the_mixture(monkeypatch):
    X, labels = parallel_clusters(n_rows=1500)
    whole = labels_of(X, "agglomerative", 4)
    monkeypatch.setattr(initialization, "MOST_LEAVES", 300)
    sampled = labels_of(X, "agglomerative", 4)
    for found in (whole, sampled):
        table = np.histogram2d(found, labels, bins=(4, 4))[0]
        # Neighbors at six deviations overlap by 0.3 %.
        assert table.max(axis=0).sum() > 0.99 * len(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(labels_of(X[order], "agglomerative", 4), sampled[order])
    twice = labels_of(np.repeat(X, 2, axis=0), "agglomerative", 4)
    np.testing.assert_array_equal(twice[::2], sampled)


# Elongated clusters -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GaussianMixture, MAPGaussianMixture, BayesianGaussianMixture])
def test_new_starts_find_parallel_clusters_that_kmeans_cuts(kind):
    X, labels = parallel_clusters(n_rows=800, k=5, ratio=30.0)

    def share(method):
        fits = [
            kind(n_components=5, init_params=method, random_state=seed, max_iter=200).fit(X)
            for seed in range(3)
        ]
        return np.mean([purity(fit.predict(X), labels) > 0.99 for fit in fits])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert [share(method) for method in NEW] == [1.0, 1.0]
        assert share("kmeans") < 0.5


def purity(found, labels):
    """Share of the rows that are in the majority of their cluster, clusters being true ones."""
    table = np.histogram2d(found, labels, bins=(5, 5), range=((0, 5), (0, 5)))[0]
    return table.max(axis=0).sum() / len(labels)


# Starts -------------------------------------------------------------------------------------


class Watched(GaussianMixture):
    """Keeps the runs that the best was chosen from."""

    def _sound(self, results, model):
        Watched.values = [run.value for run in results]
        return super()._sound(results, model)


@pytest.mark.parametrize("method", ["random_from_data", "whitened-k-means++"])
def test_start_of_the_largest_final_objective_is_kept(method):
    X = overlapping(n=400, d=3, k=6)
    arguments = {"n_init": 8, "random_state": 0, "max_iter": 500}
    mixture = Watched(7, init_params=method, **arguments).fit(X)
    assert len(set(np.round(Watched.values, 6))) > 1
    assert mixture.lower_bound_ == pytest.approx(max(Watched.values), rel=1e-9)
    assert mixture.n_degenerate_starts_ == 0


def with_outlier():
    X = np.random.default_rng(0).normal(size=(20, 2))
    return np.r_[X, [[8.0, 8.0]]]


def test_degenerate_start_is_replaced_and_counted():
    """Two random rows: where one of them is the outlier, it is alone."""
    counts = []
    for seed in range(12):
        mixture = GaussianMixture(
            2,
            reg_covar=0.0,
            init_params="random_from_data",
            random_state=seed,
            max_iter=500,
        )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", ConvergenceWarning)
                mixture.fit(with_outlier())
        except (ValueError, ConvergenceWarning):
            continue
        counts.append(mixture.n_degenerate_starts_)
        assert np.isfinite(mixture.score(with_outlier()))
    assert max(counts) > 0
    assert max(counts) <= MOST_REPLACEMENTS
    assert min(counts) == 0


def test_replacements_do_not_depend_on_the_number_of_jobs():
    arguments = {"n_init": 6, "reg_covar": 0.0, "init_params": "random_from_data"}
    fits = []
    for n_jobs in (None, 1, 2, 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture = GaussianMixture(2, random_state=0, n_jobs=n_jobs, **arguments)
            fits.append(mixture.fit(with_outlier()))
    assert fits[0].n_degenerate_starts_ > 0
    for fit in fits[1:]:
        assert fit.n_degenerate_starts_ == fits[0].n_degenerate_starts_
        np.testing.assert_array_equal(fit.means_, fits[0].means_)
        np.testing.assert_array_equal(fit.covariances_, fits[0].covariances_)


def test_given_means_that_degenerate_are_replaced_by_kmeans_and_said():
    X = overlapping(n=200, d=2, k=2)
    arguments = {"reg_covar": 0.0, "random_state": 0, "max_iter": 500}
    far = [X.mean(axis=0), X.mean(axis=0) + 1000.0]
    mixture = GaussianMixture(2, means_init=far, **arguments)
    with pytest.warns(ConvergenceWarning, match="start with the given means degenerated") as caught:
        mixture.fit(X)
    assert caught[0].filename == __file__
    assert mixture.n_degenerate_starts_ == 1
    plain = GaussianMixture(2, **arguments).fit(X)
    np.testing.assert_array_equal(mixture.means_, plain.means_)


def test_tree_that_degenerates_is_replaced_by_kmeans(monkeypatch):
    X = overlapping(n=200, d=2, k=2)
    arguments = {"reg_covar": 0.0, "random_state": 0, "max_iter": 500}
    plain = GaussianMixture(2, **arguments).fit(X)
    monkeypatch.setattr(
        initialization, "merged_clusters", lambda rows, order, k: np.arange(len(rows.X)) // 199
    )
    mixture = GaussianMixture(2, init_params="agglomerative", **arguments).fit(X)
    assert mixture.n_degenerate_starts_ == 1
    np.testing.assert_array_equal(mixture.means_, plain.means_)


def test_start_with_an_empty_component_is_replaced(monkeypatch):
    X = overlapping(n=200, d=2, k=2)
    plain = GaussianMixture(3, random_state=0, max_iter=500).fit(X)
    monkeypatch.setattr(
        initialization, "merged_clusters", lambda rows, order, k: np.arange(len(rows.X)) % 2
    )
    mixture = GaussianMixture(3, init_params="agglomerative", random_state=0, max_iter=500).fit(X)
    assert mixture.n_degenerate_starts_ == 1
    np.testing.assert_array_equal(mixture.means_, plain.means_)


@pytest.mark.parametrize("method", initialization.METHODS)
def test_rows_that_are_all_the_same_end_at_once(method):
    X = np.full((40, 3), 2.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = GaussianMixture(3, init_params=method, random_state=0).fit(X)
        assert np.isfinite(mixture.score(X))
        if method != "random":
            assert mixture.n_degenerate_starts_ == 1 + MOST_REPLACEMENTS
        with pytest.raises(ValueError, match=r"component \d"):
            GaussianMixture(3, init_params=method, random_state=0, reg_covar=0.0).fit(X)


def test_continued_fit_replaces_nothing():
    X = overlapping()
    mixture = GaussianMixture(3, warm_start=True, random_state=0, max_iter=500).fit(X).fit(X)
    assert mixture.n_degenerate_starts_ == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_iter": 1, "tol": 0.0}, "did not converge"),
        (
            {"reg_covar": 0.0, "n_init": 10, "init_params": "random_from_data"},
            "starts were dropped",
        ),
    ],
)
def test_warnings_point_at_the_caller_of_fit(arguments, message):
    mixture = GaussianMixture(2, random_state=0, **arguments)
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        mixture.fit(with_outlier())
    assert {warning.filename for warning in caught} == {__file__}

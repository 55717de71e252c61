"""GaussianMixtureSearch: every cell is the fit of its own, starts are shared, the best is kept."""

import pickle
import time
import warnings
from itertools import product

import numpy as np
import pytest
from sklearn import mixture as peers
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold

from skgen.mixture import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureSearch,
    MAPGaussianMixture,
    gaussian_mixture_search,
    initialization,
)
from tests.problems import assert_same_bits, fitted_state, holes, outputs, overlapping

FAMILY = {
    "ml": GaussianMixture,
    "map": MAPGaussianMixture,
    "mean_field": BayesianGaussianMixture,
}
STRUCTURES = ("full", "tied", "diag", "spherical")
EVERYTHING = {"inference": tuple(FAMILY), "max_iter": 20, "random_state": 3}

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def alone(params, **arguments):
    """The unfitted estimator of a cell, without the search."""
    params = dict(params)
    return FAMILY[params.pop("inference")](**params, **{"reg_covar": 1e-6} | arguments)


def data(kind):
    X, weight = overlapping(n=150), None
    if kind == "weights":
        weight = np.random.default_rng(0).gamma(1.0, size=len(X))
    if kind in ("holes", "empty rows"):
        X = holes(X)
    if kind == "empty rows":
        X[3:6] = np.nan
    if kind == "float32":
        X = X.astype(np.float32)
    return X, weight


@quiet
@pytest.mark.parametrize("kind", ["plain", "weights", "holes", "empty rows", "float32"])
@pytest.mark.parametrize("init_params", ["kmeans", "random", "whitened-k-means++", "agglomerative"])
def test_cells_equal_fits_of_their_own(kind, init_params):
    """To the last bit, restarts included."""
    X, weight = data(kind)
    arguments = {"n_init": 2, "init_params": init_params, "random_state": 3, "max_iter": 20}
    search = GaussianMixtureSearch((1, 2, 4), inference=tuple(FAMILY), **arguments)
    results = search.fit(X, sample_weight=weight).cv_results_
    assert len(results["params"]) == 3 * 4 * 3 and not any(results["error"])
    for place, params in enumerate(results["params"]):
        fitted = alone(params, **arguments).fit(X, sample_weight=weight)
        for name in ("bic", "icl", "aic"):
            assert results[name][place] == getattr(fitted, name)(X, weight), (name, params)
        assert results["n_iter"][place] == fitted.n_iter_
        assert results["converged"][place] == fitted.converged_
        if place == search.best_index_:
            expected = fitted_state(fitted.set_params(random_state=3))
            assert_same_bits(expected, fitted_state(search.best_estimator_))
            assert_same_bits(outputs(fitted, X), outputs(search, X))


@quiet
@pytest.mark.parametrize("criterion", ["bic", "icl", "aic", "held_out"])
def test_best_is_the_best_of_the_criterion(criterion):
    X = overlapping()
    search = GaussianMixtureSearch((1, 2, 3), criterion=criterion, cv=3, **EVERYTHING).fit(X)
    results = search.cv_results_
    values = results[criterion]
    best = values.max() if criterion == "held_out" else values.min()
    assert search.best_score_ == values[search.best_index_] == best
    assert search.best_params_ == results["params"][search.best_index_]
    assert results["rank_test_score"][search.best_index_] == 1
    assert sorted(results["rank_test_score"]) == list(np.sort(results["rank_test_score"]))
    better = values > values[0] if criterion == "held_out" else values < values[0]
    assert (results["rank_test_score"][better] < results["rank_test_score"][0]).all()
    grid = list(product((1, 2, 3), STRUCTURES, FAMILY))
    names = ("n_components", "covariance_type", "inference")
    assert results["params"] == [dict(zip(names, cell, strict=True)) for cell in grid]
    for name in names:
        assert results[f"param_{name}"].tolist() == [p[name] for p in results["params"]]
    assert {len(column) for column in results.values()} == {len(grid)}
    if criterion != "held_out":
        assert search.best_score_ == getattr(search, criterion)(X)


@pytest.fixture
def kmeans_fits(monkeypatch):
    """The list of numbers of clusters that mixtures asked k-means for."""
    asked = []

    class Counted(initialization.KMeans):
        def fit(self, X, y=None, sample_weight=None):
            asked.append(self.n_clusters)
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(initialization, "KMeans", Counted)
    return asked


@quiet
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("kind", ["plain", "holes"])
def test_starts_are_drawn_once_for_all_structures_and_inferences(kmeans_fits, n_jobs, kind):
    X, _ = data(kind)
    GaussianMixtureSearch((2, 3, 5), n_init=3, n_jobs=n_jobs, **EVERYTHING).fit(X)
    assert sorted(kmeans_fits) == sorted(3 * [2, 3, 5])
    # That the count would show it: the same without the search.
    del kmeans_fits[:]
    for kind_ in STRUCTURES:
        GaussianMixture(2, covariance_type=kind_, n_init=3, random_state=3).fit(X)
    assert kmeans_fits == 12 * [2]


@quiet
def test_starts_are_drawn_once_per_fold_and_for_the_last_fit(kmeans_fits):
    search = GaussianMixtureSearch((2, 3), criterion="held_out", cv=4, **EVERYTHING)
    search.fit(overlapping())
    assert sorted(kmeans_fits) == sorted(4 * [2, 3] + [search.best_params_["n_components"]])


@quiet
def test_search_takes_less_processor_time_than_its_fits_alone():
    X = overlapping(n=20_000, d=4, k=8)
    arguments = {"max_iter": 2, "random_state": 0, "n_jobs": 1}
    ratios = []
    for _ in range(3):
        start = time.process_time()
        search = GaussianMixtureSearch((8,), **arguments).fit(X)
        middle = time.process_time()
        for params in search.cv_results_["params"]:
            fitted = alone(params, **arguments).fit(X)
            assert fitted.bic(X) == search.cv_results_["bic"][where(search, params)]
        ratios.append((middle - start) / (time.process_time() - middle))
    assert min(ratios) < 0.8, ratios


def where(search, params):
    return search.cv_results_["params"].index(params)


@pytest.mark.parametrize("seed", range(3))
def test_iris_has_the_two_full_components_that_mclust_finds(seed):
    """mclust's BIC of VVV, 2 components, is -574.0178, the largest of VVV, EEE, VVI and VII."""
    X = load_iris().data
    search = GaussianMixtureSearch(random_state=seed).fit(X)
    best = {"n_components": 2, "covariance_type": "full", "inference": "ml"}
    assert search.best_params_ == best
    # mclust prints four decimals, and stops on another tolerance.
    np.testing.assert_allclose(search.best_score_, 574.0178, rtol=0, atol=1e-3)
    for kind, k in product(STRUCTURES, (1, 2, 3, 4)):
        theirs = peers.GaussianMixture(k, covariance_type=kind, n_init=2, random_state=0).fit(X)
        cell = {"n_components": k, "covariance_type": kind, "inference": "ml"}
        ours = search.cv_results_["bic"][where(search, cell)]
        if k == 1 or cell == best:
            np.testing.assert_allclose(ours, theirs.bic(X), rtol=0, atol=1e-3)
        else:
            assert theirs.bic(X) > search.best_score_ + 1.0


def test_iris_by_a_posterior_needs_no_loose_tolerance():
    """Run to its limits, maximum likelihood finds a component of eight on equal petal widths."""
    arguments = {"tol": 1e-8, "max_iter": 1000, "random_state": 0}
    X = load_iris().data
    posterior = GaussianMixtureSearch(inference="map", **arguments).fit(X)
    assert posterior.best_params_["n_components"] == 2
    likelihood = GaussianMixtureSearch(**arguments).fit(X)
    assert likelihood.covariances_.min() < 2e-6 < 1e-3 < posterior.covariances_[:, 0, 0].min()


def simulated(kind, n=1500):
    """Three overlapping components in three columns whose covariances have that structure."""
    rng = np.random.default_rng(0)
    factors = {
        "full": rng.normal(size=(3, 3, 3)) + np.eye(3),
        "tied": np.repeat(rng.normal(size=(1, 3, 3)) + np.eye(3), 3, axis=0),
        "diag": np.array([np.diag(row) for row in rng.uniform(0.4, 2.5, size=(3, 3))]),
        "spherical": np.array([scale * np.eye(3) for scale in (0.5, 1.0, 2.0)]),
    }[kind]
    group = rng.choice(3, size=n, p=[0.2, 0.3, 0.5])
    centers = 5.0 * np.eye(3)
    return centers[group] + np.einsum("nij,nj->ni", factors[group], rng.normal(size=(n, 3)))


@quiet
@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("criterion", ["bic", "held_out"])
def test_number_and_structure_of_simulated_rows_are_found(kind, criterion):
    search = GaussianMixtureSearch(
        range(1, 6), criterion=criterion, n_init=2, max_iter=300, tol=1e-5, random_state=0
    ).fit(simulated(kind))
    if criterion == "bic":
        assert search.best_params_["covariance_type"] == kind
        assert search.best_params_["n_components"] == 3
    else:
        # Held-out rows hardly punish a component too many: the truth is within one error of the
        # difference to the best.
        results = search.cv_results_
        true = where(search, {"n_components": 3, "covariance_type": kind, "inference": "ml"})
        splits = np.array([results[f"split{i}_held_out"] for i in range(5)])
        lead = splits[:, search.best_index_] - splits[:, true]
        assert lead.mean() <= 2 * lead.std(ddof=1) / np.sqrt(5) + 1e-12
        assert results["rank_test_score"][true] <= 4


def test_estimator_params_go_to_all_that_have_them():
    X = overlapping()
    more = {"acceleration": "squarem", "mean_precision_prior": 2.5, "prune_threshold": 0.01}
    seen = []

    class Spy(GaussianMixtureSearch):
        def _attempt(self, task, number, mixture, seen_, judge):
            seen.append(mixture.get_params())
            return super()._attempt(task, number, mixture, seen_, judge)

    Spy((2,), covariance_type="full", estimator_params=more, **EVERYTHING).fit(X)
    likelihood, posterior, field = seen
    assert likelihood["acceleration"] == posterior["acceleration"] == "squarem"
    assert "mean_precision_prior" not in likelihood
    assert posterior["mean_precision_prior"] == field["mean_precision_prior"] == 2.5
    assert field["prune_threshold"] == 0.01 and "prune_threshold" not in posterior


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"tol": 1e-6}, "'tol', which is the search's own"),
        ({"n_jobs": 2}, "'n_jobs', which is the search's own"),
        ({"prune_threshold": 0.1}, "'prune_threshold', which no mixture of inference"),
        ({"acceleration": "fast"}, "estimator_params for.*'acceleration'"),
        ({"means_init": np.zeros((7, 7))}, "All 4 fits.*estimator_params for.*means_init"),
    ],
)
def test_unusable_estimator_params_are_named(more, said):
    with pytest.raises(ValueError, match=said):
        GaussianMixtureSearch((2,), estimator_params=more).fit(overlapping())


@pytest.mark.parametrize("kind", STRUCTURES)
@pytest.mark.parametrize("splits", [KFold(5), 3])
def test_held_out_score_equals_that_of_a_grid_search_from_the_same_start(kind, splits):
    """scikit-learn's mixture in its GridSearchCV; a number of folds is that of shuffled rows."""
    X = overlapping(n=300, k=3)
    rng = np.random.default_rng(0)
    means = X[rng.choice(300, 3, replace=False)]
    precisions = {
        "full": np.repeat(np.eye(3)[None], 3, axis=0),
        "tied": np.eye(3),
        "diag": np.ones((3, 3)),
        "spherical": np.ones(3),
    }[kind]
    start = {"means_init": means, "weights_init": np.full(3, 1 / 3), "precisions_init": precisions}
    search = GaussianMixtureSearch(
        3, covariance_type=kind, criterion="held_out", cv=splits, estimator_params=start,
        max_iter=200, random_state=4,
    ).fit(X)  # fmt: skip
    theirs = GridSearchCV(
        peers.GaussianMixture(3, max_iter=200, **start),
        {"covariance_type": [kind]},
        cv=KFold(3, shuffle=True, random_state=4) if splits == 3 else splits,
    ).fit(X)
    np.testing.assert_allclose(search.best_score_, theirs.best_score_, rtol=1e-9)
    for name, value in theirs.cv_results_.items():
        if name.startswith("split") or name == "std_test_score":
            ours = search.cv_results_[name.replace("test_score", "held_out")]
            np.testing.assert_allclose(ours, value, rtol=1e-7)
    np.testing.assert_allclose(search.score(X), theirs.score(X), rtol=1e-9)


@quiet
def test_held_out_weighs_rows_and_takes_missing_cells():
    X, weight = holes(overlapping()), np.random.default_rng(1).gamma(1.0, size=240)
    weight[:30] = 0.0
    folds = list(KFold(4).split(X))
    search = GaussianMixtureSearch((2,), criterion="held_out", cv=folds, **EVERYTHING)
    results = search.fit(X, sample_weight=weight).cv_results_
    for place, params in enumerate(results["params"]):
        total = 0.0
        for train, test in folds:
            fitted = alone(params, max_iter=20, random_state=3)
            fitted.fit(X[train], sample_weight=weight[train])
            total += weight[test] @ fitted.score_samples(X[test])
        np.testing.assert_allclose(results["held_out"][place], total / weight.sum(), rtol=1e-10)
    by_hand = alone(search.best_params_, max_iter=20, random_state=3).fit(X, sample_weight=weight)
    assert_same_bits(outputs(by_hand, X), outputs(search, X))


def test_number_of_folds_deals_sorted_rows():
    """The species of iris stand one after the other: plain folds leave a third of them out."""
    X = load_iris().data
    arguments = {"covariance_type": "full", "criterion": "held_out", "random_state": 0}
    plain = GaussianMixtureSearch((3,), cv=KFold(3), **arguments).fit(X)
    dealt = GaussianMixtureSearch((3,), cv=3, **arguments).fit(X)
    assert plain.best_score_ < -5.0 and dealt.best_score_ > -2.5


@pytest.mark.parametrize(
    ("cv", "said"),
    [
        ([], "no folds"),
        ([([0, 1, 2], [])], "fold"),
        ([(np.arange(9), [240])], "positions among 240"),
        ([(np.ones(3, dtype=bool), [1])], "fold"),
        ([(np.arange(0.0, 9.0), [1])], "fold"),
        (1, "n_splits"),
    ],
)
def test_folds_that_are_none_are_refused(cv, said):
    with pytest.raises(ValueError, match=said):
        GaussianMixtureSearch((1,), criterion="held_out", cv=cv).fit(overlapping())


def test_folds_without_weight_are_named():
    X, weight = overlapping(), np.ones(240)
    weight[:120] = 0.0
    empty, sound = np.arange(120), np.arange(120, 240)
    search = GaussianMixtureSearch((1,), criterion="held_out")
    with pytest.raises(ValueError, match="fold 0 no weight to train on"):
        search.set_params(cv=[(empty, sound)]).fit(X, sample_weight=weight)
    with pytest.raises(ValueError, match="no weight to hold out"):
        search.set_params(cv=[(sound, empty)]).fit(X, sample_weight=weight)


@quiet
@pytest.mark.parametrize("criterion", ["icl", "held_out"])
@pytest.mark.parametrize("kind", ["plain", "holes"])
def test_number_of_jobs_changes_no_bit(criterion, kind, monkeypatch):
    from skgen import rows

    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 300)
    X, _ = data(kind)
    fits = [
        GaussianMixtureSearch(
            (1, 2, 3), criterion=criterion, cv=2, n_init=2, n_jobs=n_jobs, **EVERYTHING
        ).fit(X)
        for n_jobs in (1, 2, None, 5)
    ]
    for other in fits[1:]:
        assert_same_bits(fitted_state(fits[0]), fitted_state(other))
        assert_same_bits(outputs(fits[0], X), outputs(other, X))


def test_failed_cells_are_recorded_and_rank_last():
    flat = np.repeat(np.arange(4.0), 5)[:, None] * np.ones(3)
    search = GaussianMixtureSearch(
        (1, 30), covariance_type=("full", "spherical"), reg_covar=0.0, random_state=0
    )
    with pytest.warns(ConvergenceWarning) as said:
        search.fit(flat)
    assert len(said) == 1 and said[0].filename == __file__
    assert "3 of 4 fits of the search failed" in str(said[0].message)
    results = search.cv_results_
    assert results["rank_test_score"].tolist() == [2, 1, 2, 2]
    assert np.isnan(results["bic"]).tolist() == [True, False, True, True]
    assert "singular" in results["error"][0] or "covariance" in results["error"][0]
    assert results["error"][1] == "" and "n_samples" in results["error"][2]
    assert search.best_params_["covariance_type"] == "spherical"


def test_all_failed_is_an_error_that_tells_the_first():
    flat = np.repeat(np.arange(4.0), 5)[:, None] * np.ones(3)
    search = GaussianMixtureSearch((1, 2), covariance_type=("full", "tied"), reg_covar=0.0)
    with pytest.raises(ValueError, match=r"All 4 fits .*'n_components': 1.*covariance") as caught:
        search.fit(flat)
    assert not isinstance(caught.value, np.linalg.LinAlgError)
    with pytest.raises(NotFittedError):
        search.predict(flat)
    assert not fitted_state(search).keys() - {"n_features_in_"}


def test_only_the_best_warns_that_it_did_not_converge():
    X = overlapping(n=600, k=5)
    grid = {"n_components": (1, 5), "covariance_type": "spherical", "tol": 0.0, "max_iter": 2}
    search = GaussianMixtureSearch(random_state=0, **grid)
    with pytest.warns(ConvergenceWarning, match="did not converge") as said:
        search.fit(X)
    assert len(said) == 1 and said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = GaussianMixtureSearch((1, 2), tol=1e-3, max_iter=2, random_state=0)
        one.set_params(covariance_type="tied").fit(np.random.default_rng(0).normal(size=(500, 3)))
    assert one.cv_results_["converged"].tolist() == [True, False]


def test_equals_are_ranked_by_their_number_of_parameters():
    rank = gaussian_mixture_search.ranks
    nan = float("nan")
    assert rank([3.0, 1.0, 1.0, nan, 2.0], [1, 9, 5, 1, 1], 0.0).tolist() == [4, 2, 1, 5, 3]
    assert rank([1.0, 1.0 + 1e-14, 1.0 - 1e-14], [2, 1, 2], 1e-12).tolist() == [2, 1, 2]
    assert rank([float("inf"), -1e308, nan, nan], [1, 1, 1, 1], 1e-12).tolist() == [2, 1, 3, 3]


@quiet
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_structures_that_are_one_tie(dtype):
    """With one column "full", "diag" and "spherical" are the same mixture, to rounding."""
    search = GaussianMixtureSearch((1, 3), random_state=0).fit(overlapping(d=1, dtype=dtype))
    ranks = search.cv_results_["rank_test_score"].reshape(2, 4)
    assert len(set(ranks[0])) == 1
    full, tied, diag, spherical = ranks[1]
    assert full == diag == spherical != tied


def test_tie_in_a_fit_goes_to_fewer_parameters(monkeypatch):
    monkeypatch.setattr(gaussian_mixture_search, "criteria", lambda mixture, seen: {"bic": 1.0})
    search = GaussianMixtureSearch((3, 2), random_state=0).fit(overlapping())
    assert search.best_params_["n_components"] == 2
    assert search.best_params_["covariance_type"] == "spherical"


@quiet
def test_clone_pickle_and_refit():
    X = overlapping()
    search = GaussianMixtureSearch((2, 3), criterion="held_out", cv=3, **EVERYTHING).fit(X)
    assert clone(search).get_params() == search.get_params()
    loaded = pickle.loads(pickle.dumps(search))
    for other in (loaded, clone(search).fit(X), search.fit(X)):
        assert_same_bits(fitted_state(loaded), fitted_state(other))
        assert_same_bits(outputs(loaded, X), outputs(other, X))


def test_without_refit_only_the_choice_is_kept(kmeans_fits):
    X = overlapping()
    for criterion in ("bic", "held_out"):
        search = GaussianMixtureSearch((2,), criterion=criterion, cv=3, refit=False).fit(X)
        assert search.best_params_["n_components"] == 2
        assert not hasattr(search, "best_estimator_") and not hasattr(search, "weights_")
        with pytest.raises(AttributeError, match="refit=False"):
            search.predict(X)
    assert len(kmeans_fits) == 1 + 3


def test_unfitted_search_has_no_attributes():
    search = GaussianMixtureSearch()
    assert not hasattr(search, "means_")
    with pytest.raises(NotFittedError, match="GaussianMixtureSearch"):
        search.sample()


@quiet
def test_search_inside_of_a_grid_search():
    X = overlapping()
    outer = GridSearchCV(
        GaussianMixtureSearch((1, 2, 3), random_state=0, max_iter=20),
        {"criterion": ["bic", "icl"], "n_components": [2, (1, 2)]},
        cv=3,
    ).fit(X)
    assert outer.best_estimator_.best_params_["n_components"] in (1, 2)
    assert np.isfinite(outer.cv_results_["mean_test_score"]).all()


@quiet
def test_answers_are_those_of_the_best():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(holes(overlapping()), columns=list("abc"))
    search = GaussianMixtureSearch((2, 3), random_state=0).fit(X)
    best = search.best_estimator_
    np.testing.assert_array_equal(search.impute(X), best.impute(X))
    np.testing.assert_array_equal(search.marginal(["c", "a"]).means_, search.means_[:, [2, 0]])
    assert search.conditional(["b"], [0.0]).means_.shape == (len(best.means_), 2)
    assert search.icl(X, hard=True) == best.icl(X, hard=True)
    assert search.sample(5)[0].tolist() == best.sample(5)[0].tolist()
    for name in ("weights_", "covariances_", "objective_history_", "stop_reason_", "n_iter_"):
        assert getattr(search, name) is getattr(best, name) or name == "n_iter_"
    assert list(search.get_feature_names_out()) == [
        f"gaussianmixturesearch{i}" for i in range(len(best.weights_))
    ]
    assert best.get_params() == alone(search.best_params_, random_state=0).get_params()
    with pytest.raises(ValueError, match="feature names"):
        search.predict(X[["c", "b", "a"]])


@quiet
def test_random_state_instances_are_used_once():
    """One draw, from which all cells start; two searches of one instance differ."""
    X = overlapping()
    state = np.random.RandomState(5)
    search = GaussianMixtureSearch((4,), covariance_type="full", random_state=state).fit(X)
    twin = np.random.RandomState(5)
    seed = twin.randint(np.iinfo(np.int32).max)
    assert state.randint(1000) == twin.randint(1000)
    by_hand = GaussianMixture(4, random_state=seed).fit(X)
    np.testing.assert_array_equal(by_hand.means_, search.means_)


def test_one_value_is_a_grid_of_one():
    X = overlapping()
    one = GaussianMixtureSearch(3, covariance_type="diag", inference="map", random_state=0).fit(X)
    assert one.cv_results_["params"] == [
        {"n_components": 3, "covariance_type": "diag", "inference": "map"}
    ]
    twice = GaussianMixtureSearch((3, 3), covariance_type=["diag"] * 2, inference=["map"])
    assert twice.fit(X).cv_results_["params"] == one.cv_results_["params"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_components": ()}, "n_components is empty"),
        ({"n_components": (2, 0)}, "n_components must be"),
        ({"n_components": (2, 1.5)}, "n_components must be"),
        ({"covariance_type": ("full", "round")}, "covariance_type must be among.*round"),
        ({"inference": ["exact"]}, "inference must be among.*mean_field"),
    ],
)
def test_unusable_grids_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        GaussianMixtureSearch(**arguments).fit(overlapping())


def test_callbacks_reach_the_iterations_of_the_cells():
    pytest.importorskip("sklearn.callback")
    from tests.test_callbacks import Propagated

    X = overlapping()
    for n_jobs, criterion, fits in ((1, "bic", 4), (2, "bic", 4), (1, "held_out", 13)):
        recorder = Propagated()
        search = GaussianMixtureSearch(
            (1, 2), covariance_type=("diag", "tied"), criterion=criterion, cv=3, n_jobs=n_jobs,
            random_state=0,
        )  # fmt: skip
        plain = clone(search).fit(X)
        search.set_callbacks(recorder).fit(X)
        assert recorder.count("begin") == recorder.count("end")
        assert recorder.count("begin", "fit") == 1 + fits
        assert recorder.count("end", "iteration") >= plain.cv_results_["n_iter"].sum()
        assert_same_bits(fitted_state(plain), fitted_state(search))
        assert not [name for name in vars(search.best_estimator_) if "callback" in name]


def test_verbose_logs_one_line_per_cell(caplog):
    with caplog.at_level("INFO", logger="skgen"):
        GaussianMixtureSearch((1, 2), covariance_type="full", verbose=1).fit(overlapping())
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("GaussianMixture, 1 components, full: bic ")

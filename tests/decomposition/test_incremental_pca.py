"""IncrementalPCA: its algorithm written plainly, PCA where nothing is lost, any batches."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgen.decomposition import PCA, IncrementalPCA
from tests import reference_pca as reference
from tests.problems import assert_same_bits, fitted_state

dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])
containers = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])


def rows_of(n, d, sizes=None, *, seed=0, shift=0.0):
    """Normal rows whose variances along random directions are about `sizes` squared."""
    rng = np.random.default_rng(seed)
    sizes = 0.8 ** np.arange(min(n, d)) if sizes is None else np.asarray(sizes)
    directions = np.linalg.qr(rng.normal(size=(d, len(sizes))))[0].T
    return (rng.normal(size=(n, len(sizes))) * sizes) @ directions + shift


def cut(X, size):
    """Pieces of so many rows; what is left over is a piece of its own."""
    return [X[start : start + size] for start in range(0, len(X), size)]


def assert_incremental(estimator, pieces, k, weights=None, *, close=1e-10):
    mean, components, sizes = reference.incremental(pieces, k, weights)
    total = sum(map(len, pieces)) if weights is None else sum(w.sum() for w in weights)
    np.testing.assert_allclose(estimator.mean_, mean, rtol=close, atol=close)
    np.testing.assert_allclose(estimator.singular_values_, sizes, rtol=close)
    np.testing.assert_allclose(estimator.components_, components, atol=100 * close)
    np.testing.assert_allclose(estimator.explained_variance_, sizes**2 / (total - 1), rtol=close)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("size", [12, 25, 40, 119, 120, 500])
@containers
def test_fit_is_the_algorithm_of_ross(container, size, k):
    X = rows_of(120, 15, shift=3.0)
    estimator = IncrementalPCA(k, batch_size=size).fit(container(X))
    pieces = cut(X, size)
    if len(pieces) > 1 and len(pieces[-1]) < k:
        # Too few rows to be a batch.
        pieces[-2:] = [np.vstack(pieces[-2:])]
    assert_incremental(estimator, pieces, k)
    assert estimator.n_samples_seen_ == 120 and estimator.batch_size_ == size
    assert estimator.n_components_ == k


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("sizes", [[60, 59, 1], [5, 1, 1, 1, 112], [40, 40, 40], [120]], ids=str)
def test_partial_fit_takes_batches_of_any_size(sizes, container):
    X = rows_of(120, 15, shift=-2.0)
    pieces = np.split(X, np.cumsum(sizes)[:-1])
    estimator = IncrementalPCA(4)
    for piece in pieces:
        estimator.partial_fit(container(piece))
    assert_incremental(estimator, pieces, 4)
    assert estimator.n_samples_seen_ == 120


@dtypes
@pytest.mark.parametrize("size", [20, 33, 100])
def test_all_components_are_those_of_pca(size, dtype):
    """Nothing is lost where as many components are kept as there are columns."""
    X = rows_of(200, 12, shift=10.0).astype(dtype)
    estimator = IncrementalPCA(batch_size=size).fit(X)
    _, components, variances = reference.principal_components(X)
    close = 1e-11 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(estimator.explained_variance_, variances, rtol=close)
    np.testing.assert_allclose(estimator.components_, components, atol=100 * close)
    np.testing.assert_allclose(estimator.explained_variance_ratio_.sum(), 1, rtol=close)
    assert estimator.noise_variance_ == 0
    assert estimator.components_.dtype == estimator.transform(X).dtype == dtype


def test_rows_of_low_rank_lose_nothing():
    X = rows_of(200, 40, [3.0, 2.0, 1.0], shift=7.0)
    estimator = IncrementalPCA(4, batch_size=21).fit(X)
    pca = PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(estimator.explained_variance_[:3], pca.explained_variance_)
    np.testing.assert_allclose(estimator.components_[:3], pca.components_, atol=1e-12)
    assert estimator.explained_variance_[3] <= 1e-25


@pytest.mark.parametrize("load", [load_iris, load_digits])
def test_leading_components_are_nearly_those_of_pca(load):
    X = load().data
    k = 3
    estimator = IncrementalPCA(min(20, X.shape[1]), batch_size=100).fit(X)
    pca = PCA(k).fit(X)
    cosines = np.abs(np.sum(estimator.components_[:k] * pca.components_, axis=1))
    assert cosines.min() > 0.999
    np.testing.assert_allclose(
        estimator.explained_variance_[:k], pca.explained_variance_, rtol=0.01
    )
    # What is lost is lost from the variances.
    assert (estimator.explained_variance_[:k] <= pca.explained_variance_ * (1 + 1e-12)).all()


@containers
def test_a_weight_is_a_number_of_copies_in_a_batch(container):
    X = rows_of(100, 10)
    weight = np.random.default_rng(0).integers(1, 4, size=100)
    one, other = IncrementalPCA(3), IncrementalPCA(3)
    for start in range(0, 100, 30):
        part = slice(start, start + 30)
        one.partial_fit(container(X[part]), sample_weight=weight[part])
        other.partial_fit(container(np.repeat(X[part], weight[part], axis=0)))
    for name in ("mean_", "var_", "singular_values_", "explained_variance_", "noise_variance_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10)
    np.testing.assert_allclose(one.components_, other.components_, atol=1e-10)
    assert one.n_samples_seen_ == other.n_samples_seen_ == weight.sum()


@pytest.mark.parametrize("scale", [1.0, 0.25, 7.5])
def test_weights_of_any_size_agree_with_the_plain_algorithm(scale):
    X = rows_of(90, 10)
    weight = scale * np.random.default_rng(1).uniform(0.2, 2.0, size=90)
    estimator = IncrementalPCA(4, batch_size=30).fit(X, sample_weight=weight)
    assert_incremental(estimator, cut(X, 30), 4, cut(weight, 30))


def test_rows_without_weight_are_absent():
    X = rows_of(90, 10)
    weight = np.ones(90)
    weight[::4] = 0.0
    absurd = X.copy()
    absurd[::4] = 1e100
    one = IncrementalPCA(3, batch_size=25).fit(absurd, sample_weight=weight)
    other = IncrementalPCA(3, batch_size=25).fit(X[weight > 0])
    np.testing.assert_allclose(one.components_, other.components_, atol=1e-12)
    np.testing.assert_allclose(one.explained_variance_, other.explained_variance_, rtol=1e-12)
    assert one.n_samples_seen_ == other.n_samples_seen_ == 67


@dtypes
@containers
def test_moments_of_columns_are_those_of_all_rows(container, dtype):
    X = rows_of(130, 6, shift=50.0).astype(dtype)
    estimator = IncrementalPCA(2, batch_size=30).fit(container(X))
    exact = X.astype(np.float64)
    close = 1e-12 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(estimator.mean_, exact.mean(axis=0), rtol=close)
    np.testing.assert_allclose(estimator.var_, exact.var(axis=0), rtol=1e3 * close)
    total = exact.var(axis=0, ddof=1).sum()
    kept = estimator.explained_variance_.sum()
    np.testing.assert_allclose(estimator.explained_variance_ratio_.sum(), kept / total, rtol=close)
    assert estimator.noise_variance_ == pytest.approx((total - kept) / 4, rel=100 * close)


@pytest.mark.parametrize(("dtype", "shift"), [(np.float64, 1e8), (np.float32, 1e4)])
def test_an_offset_costs_few_digits(dtype, shift):
    X = rows_of(150, 8, shift=shift).astype(dtype)
    estimator = IncrementalPCA(batch_size=40).fit(X)
    _, _, variances = reference.principal_components(X)
    # Means of batches are rounded to 1.5e-8 out there.
    close = 1e-7 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(estimator.explained_variance_, variances, rtol=close)


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150])
def test_tiny_and_huge_numbers_keep_their_digits(scale):
    X = rows_of(100, 8)
    estimator = IncrementalPCA(3, batch_size=30).fit(X * scale)
    plain = IncrementalPCA(3, batch_size=30).fit(X)
    np.testing.assert_allclose(
        estimator.explained_variance_ / scale, plain.explained_variance_ * scale, rtol=1e-10
    )
    np.testing.assert_allclose(estimator.components_, plain.components_, atol=1e-10)


def test_memory_maps_are_read_a_batch_at_a_time(tmp_path):
    X = rows_of(200, 12)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    one = IncrementalPCA(3, batch_size=30).fit(X)
    other = IncrementalPCA(3, batch_size=30).fit(mapped)
    assert_same_bits(fitted_state(one), fitted_state(other))
    np.testing.assert_array_equal(one.transform(X), other.transform(mapped))


def test_partial_fit_goes_on_where_fit_ended():
    X = rows_of(120, 10)
    whole = IncrementalPCA(4, batch_size=30).fit(X)
    parts = IncrementalPCA(4, batch_size=30).fit(X[:60])
    parts = pickle.loads(pickle.dumps(parts))
    parts.partial_fit(X[60:90]).partial_fit(X[90:])
    assert_same_bits(fitted_state(whole), fitted_state(parts))
    assert clone(parts).fit(X[:60]).n_samples_seen_ == 60
    assert parts.fit(X[:60]).n_samples_seen_ == 60


def test_a_batch_that_is_refused_leaves_the_fit_as_it_was():
    X = rows_of(60, 5)
    estimator = IncrementalPCA(2).partial_fit(X)
    before = fitted_state(estimator)
    for bad, message in (
        (np.full((3, 5), np.nan), "NaN"),
        (np.full((3, 5), 1e300), "X has values too large"),
        (X[:, :4], "4 features"),
    ):
        with pytest.raises(ValueError, match=message):
            estimator.partial_fit(bad)
    assert_same_bits(before, fitted_state(estimator))
    other = IncrementalPCA(2).partial_fit(X).partial_fit(X[:7])
    assert_same_bits(fitted_state(other), fitted_state(estimator.partial_fit(X[:7])))


@pytest.mark.parametrize("rows_first", [1, 3, 40])
def test_without_a_number_the_first_batch_decides_it(rows_first):
    X = rows_of(100, 6)
    estimator = IncrementalPCA().partial_fit(X[:rows_first])
    assert estimator.n_components_ == min(rows_first, 6)
    assert estimator.partial_fit(X[rows_first:]).n_components_ == min(rows_first, 6)


def test_whitened_coordinates_have_unit_covariance():
    X = rows_of(300, 8)
    estimator = IncrementalPCA(whiten=True, batch_size=50).fit(X)
    Z = estimator.transform(X)
    np.testing.assert_allclose(np.cov(Z.T), np.eye(8), atol=1e-9)
    np.testing.assert_allclose(estimator.inverse_transform(Z), X, atol=1e-12)


@dtypes
def test_whitening_of_rank_deficient_rows_is_bounded(dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(-9, 10, size=(100, 3)) @ rng.integers(-3, 4, size=(3, 20)) + 40
    X = X.astype(dtype)
    estimator = IncrementalPCA(6, whiten=True, batch_size=30).fit(X)
    Z = estimator.transform(X)
    assert np.abs(Z).max() <= np.sqrt(100)
    np.testing.assert_allclose(Z[:, :3].std(axis=0, ddof=1), 1, rtol=1e-4)
    assert (Z[:, 3:] == 0).all() and (estimator.explained_variance_[3:] == 0).all()
    assert np.isfinite(estimator.get_precision()).all()
    assert np.isfinite(estimator.score_samples(X)).all()


def test_constant_rows_have_no_variance():
    estimator = IncrementalPCA(2, batch_size=10).fit(np.full((30, 4), 3.0))
    assert (estimator.explained_variance_ == 0).all() and estimator.noise_variance_ == 0
    assert (estimator.explained_variance_ratio_ == 0).all()
    np.testing.assert_allclose(
        estimator.components_ @ estimator.components_.T, np.eye(2), atol=1e-14
    )
    assert (estimator.transform(np.full((1, 4), 3.0)) == 0).all()


def test_components_are_orthonormal_after_many_batches():
    X = rows_of(3000, 30, shift=5.0)
    estimator = IncrementalPCA(5, batch_size=7).fit(X)
    V = estimator.components_
    np.testing.assert_allclose(V @ V.T, np.eye(5), atol=1e-13)
    assert (V.max(axis=1) == np.abs(V).max(axis=1)).all()


def test_score_is_the_density_of_the_covariance():
    from scipy.stats import multivariate_normal

    X = rows_of(200, 8)
    estimator = IncrementalPCA(3, batch_size=50).fit(X)
    covariance = estimator.get_covariance()
    expected = multivariate_normal(estimator.mean_, covariance).logpdf(X)
    np.testing.assert_allclose(estimator.score_samples(X), expected, rtol=1e-9)
    np.testing.assert_allclose(estimator.get_precision() @ covariance, np.eye(8), atol=1e-9)


@pytest.mark.parametrize(
    "grid",
    [
        {"n_components": [1, 3, None]},
        {"batch_size": [10, 37, None]},
        {"whiten": [True, False], "copy": [True, False], "n_jobs": [None, 1, 2]},
    ],
    ids=lambda grid: "-".join(grid),
)
def test_a_grid_search_may_try_every_parameter(grid):
    X = rows_of(120, 6)
    search = GridSearchCV(IncrementalPCA(2), grid, cv=3, error_score="raise").fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_give_named_frames(library):
    module = pytest.importorskip(library)
    X = rows_of(60, 3)
    frame = module.DataFrame(dict(zip(["width", "height", "depth"], X.T, strict=True)))
    estimator = IncrementalPCA(2, batch_size=20).set_output(transform=library)
    Z = estimator.fit_transform(frame)
    assert list(Z.columns) == ["incrementalpca0", "incrementalpca1"]
    assert list(estimator.feature_names_in_) == ["width", "height", "depth"]
    pipeline = make_pipeline(IncrementalPCA(2, batch_size=20), PCA(1)).fit(X)
    assert pipeline.transform(X).shape == (60, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 6}, "n_components=6 invalid for n_features=5"),
        ({"n_components": 4, "batch_size": 3}, "n_components=4 must be less or equal to the batch"),
        ({"n_components": 0}, "The 'n_components' parameter of IncrementalPCA"),
        ({"n_components": 0.5}, "The 'n_components' parameter of IncrementalPCA"),
        ({"batch_size": 0}, "The 'batch_size' parameter of IncrementalPCA"),
        ({"whiten": "yes"}, "The 'whiten' parameter of IncrementalPCA"),
    ],
    ids=str,
)
def test_arguments_that_do_not_suit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        IncrementalPCA(**arguments).fit(rows_of(50, 5))


def test_n_components_stays_what_it_was():
    estimator = IncrementalPCA(2).partial_fit(rows_of(30, 5))
    estimator.set_params(n_components=3)
    with pytest.raises(ValueError, match="n_components=3 was 2 in the calls of partial_fit before"):
        estimator.partial_fit(rows_of(30, 5))


def test_rows_are_never_changed():
    for container in (np.array, sparse.csr_array):
        given, copy = container(rows_of(50, 6)), container(rows_of(50, 6))
        IncrementalPCA(2, copy=False, batch_size=20).fit(given).partial_fit(given)
        np.testing.assert_array_equal(reference.dense(given), reference.dense(copy))

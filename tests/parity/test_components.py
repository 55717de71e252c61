"""PCA and IncrementalPCA say what scikit-learn's say, on the data sets that come with it."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets, decomposition

from skgen.decomposition import PCA, IncrementalPCA

LOADERS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
    "linnerud": datasets.load_linnerud,
}
names = pytest.mark.parametrize("name", LOADERS)
ATTRIBUTES = (
    "mean_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "noise_variance_",
    "n_components_",
)


def standardized(name):
    """Columns of deviation 1, so that no variance is the rounding of another."""
    X = LOADERS[name]().data
    deviation = X.std(axis=0)
    return (X - X.mean(axis=0))[:, deviation > 0] / deviation[deviation > 0]


def assert_same_model(ours, theirs, X, *, close=1e-10):
    for name in ATTRIBUTES:
        expected = getattr(theirs, name)
        np.testing.assert_allclose(
            getattr(ours, name), expected, rtol=close, atol=close, err_msg=name
        )
    # A component turns by as much as rounding is of the gap to its neighbors.
    values = np.append(theirs.explained_variance_, theirs.noise_variance_)
    gaps = np.minimum(-np.diff(values), -np.diff(values, prepend=np.inf)[:-1])
    turned = np.abs(ours.components_ - theirs.components_).max(axis=1)
    assert (turned <= close * np.maximum(values[0] / gaps, 1)).all()
    for method in ("get_covariance", "get_precision"):
        expected = getattr(theirs, method)()
        atol = 1e3 * close * np.abs(expected).max()
        np.testing.assert_allclose(getattr(ours, method)(), expected, atol=atol, err_msg=method)
    np.testing.assert_allclose(
        ours.score_samples(X), theirs.score_samples(X), rtol=1e3 * close, atol=1e3 * close
    )
    assert ours.score(X) == pytest.approx(theirs.score(X), rel=1e3 * close)
    Z = theirs.transform(X)
    near = turned.max() * np.abs(X - theirs.mean_).sum(axis=1).max() + close * np.abs(Z).max()
    np.testing.assert_allclose(ours.transform(X), Z, atol=near)
    np.testing.assert_allclose(ours.inverse_transform(Z), theirs.inverse_transform(Z), atol=near)


@names
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("solver", ["full", "covariance_eigh", "arpack"])
def test_pca_is_that_of_scikit_learn(name, solver, k):
    X = standardized(name)
    if solver == "arpack" and k == X.shape[1]:
        k = None  # one less than all, for both
    ours = PCA(k, svd_solver=solver, random_state=0).fit(X)
    theirs = decomposition.PCA(k, svd_solver=solver, random_state=0).fit(X)
    assert_same_model(ours, theirs, X)


@names
@pytest.mark.parametrize("n_components", [None, 0.5, 0.9, 0.99, "mle"])
def test_the_number_of_components_is_that_of_scikit_learn(name, n_components):
    X = LOADERS[name]().data
    ours = PCA(n_components).fit(X)
    theirs = decomposition.PCA(n_components).fit(X)
    assert ours.n_components_ == theirs.n_components_
    assert ours.n_samples_ == theirs.n_samples_
    unit = theirs.explained_variance_[0]
    np.testing.assert_allclose(
        ours.explained_variance_, theirs.explained_variance_, atol=1e-13 * unit
    )
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, abs=1e-13 * unit)


@names
def test_whitened_coordinates_are_those_of_scikit_learn(name):
    X = standardized(name)
    ours = PCA(2, whiten=True).fit(X)
    theirs = decomposition.PCA(2, whiten=True).fit(X)
    Z = theirs.transform(X)
    np.testing.assert_allclose(ours.transform(X), Z, atol=1e-9)
    np.testing.assert_allclose(ours.inverse_transform(Z), theirs.inverse_transform(Z), atol=1e-9)


@names
def test_float32_rows_give_the_float64_answer_to_float32_digits(name):
    X = standardized(name)
    ours = PCA(2).fit(X.astype(np.float32))
    theirs = decomposition.PCA(2).fit(X)
    assert ours.components_.dtype == np.float32
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-4)


@pytest.mark.parametrize("solver", ["covariance_eigh", "arpack"])
def test_sparse_rows_give_the_answer_of_scikit_learn(solver):
    X = sparse.random_array((300, 40), density=0.1, rng=np.random.default_rng(0), format="csr")
    ours = PCA(5, svd_solver=solver, random_state=0).fit(X)
    theirs = decomposition.PCA(5, svd_solver=solver, random_state=0).fit(X)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-8)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-8)


def assert_same_increments(ours, theirs, X):
    """Their noise forgets what the batches before the last left out; the variances are the same."""
    for name in (*ATTRIBUTES, "var_", "n_samples_seen_"):
        if name != "noise_variance_":
            np.testing.assert_allclose(
                getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-12, err_msg=name
            )
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-8)
    Z = theirs.transform(X)
    np.testing.assert_allclose(ours.transform(X), Z, atol=1e-7)
    np.testing.assert_allclose(ours.inverse_transform(Z), theirs.inverse_transform(Z), atol=1e-7)


@names
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("batch_size", [25, 60, None])
def test_incremental_pca_is_that_of_scikit_learn(name, batch_size, k):
    X = standardized(name)
    batch_size = min(batch_size or 5 * X.shape[1], len(X))
    ours = IncrementalPCA(k, batch_size=batch_size).fit(X)
    theirs = decomposition.IncrementalPCA(k, batch_size=batch_size).fit(X)
    assert_same_increments(ours, theirs, X)
    assert ours.batch_size_ == theirs.batch_size_
    total, d = X.var(axis=0, ddof=1).sum(), X.shape[1]
    if k < d:
        left = (total - ours.explained_variance_.sum()) / (d - k)
        assert ours.noise_variance_ == pytest.approx(left, rel=1e-9)


@names
def test_one_batch_is_all_that_scikit_learn_says(name):
    X = standardized(name)
    ours = IncrementalPCA(2, batch_size=len(X)).fit(X)
    theirs = decomposition.IncrementalPCA(2, batch_size=len(X)).fit(X)
    assert_same_increments(ours, theirs, X)
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-9)
    for method in ("get_covariance", "get_precision"):
        np.testing.assert_allclose(
            getattr(ours, method)(), getattr(theirs, method)(), atol=1e-7, err_msg=method
        )


@names
def test_partial_fit_is_that_of_scikit_learn(name):
    X = standardized(name)
    ours, theirs = IncrementalPCA(2), decomposition.IncrementalPCA(2)
    for batch in np.array_split(X, 3):
        ours.partial_fit(batch)
        theirs.partial_fit(batch)
        assert_same_increments(ours, theirs, X)

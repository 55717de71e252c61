"""PCA: every solver against a float64 singular value decomposition, and what it promises beyond."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_wine, make_low_rank_matrix
from sklearn.decomposition import PCA as PeerPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold

from skgen import rows
from skgen.decomposition import PCA
from skgen.decomposition.spectrum import choose_solver
from skgen.solvers import krylov
from tests import reference_pca as reference
from tests.problems import assert_same_bits, fitted_state, overlapping, rotation

COMPLETE = ("full", "covariance_eigh", "gram")
TRUNCATED = ("block_lanczos", "arpack", "randomized")
# Truncated solvers at the accuracy of the others.
ACCURATE = {"tol": 1e-14, "iterated_power": 30}
SHAPES = [(300, 12), (60, 60), (15, 80), (600, 45)]

solvers = pytest.mark.parametrize("solver", [*COMPLETE, *TRUNCATED])
dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])
containers = pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])


def rows_of(n, d, sizes=None, *, seed=0, shift=0.0):
    """Normal rows whose variances along random directions are about `sizes` squared."""
    rng = np.random.default_rng(seed)
    sizes = 0.8 ** np.arange(min(n, d)) if sizes is None else np.asarray(sizes)
    directions = np.linalg.qr(rng.normal(size=(d, len(sizes))))[0].T
    return (rng.normal(size=(n, len(sizes))) * sizes) @ directions + shift


def fitted(X, solver, k=4, **arguments):
    return PCA(k, svd_solver=solver, random_state=0, **ACCURATE | arguments).fit(X)


def assert_principal(pca, X, weight=None, *, most=30.0):
    """Errors as LAPACK's tests measure them: in units of the largest value, dimension and eps."""
    mean, _, variances = reference.principal_components(X, weight)
    z = reference.centered(X, weight)[1]
    freedom = len(z) - 1 if weight is None else weight.sum() - 1
    covariance = z.T @ z / freedom
    n, d = z.shape
    eps = np.finfo(pca.components_.dtype).eps
    V = pca.components_.astype(np.float64)
    values = pca.explained_variance_.astype(np.float64)
    k, largest = len(V), variances[0]
    assert np.abs(V @ V.T - np.eye(k)).max() <= most * d * eps
    assert np.linalg.norm(covariance @ V.T - V.T * values, 2) <= most * largest * max(n, d) * eps
    assert np.abs(values - variances[:k]).max() <= most * largest * np.sqrt(max(n, d)) * eps
    assert np.abs(pca.mean_ - mean).max() <= 8 * eps * np.abs(reference.dense(X)).max()
    assert (np.diff(values) <= 0).all()
    total = np.trace(covariance)
    np.testing.assert_allclose(pca.explained_variance_ratio_, values / total, rtol=1e3 * eps)
    sizes = np.sqrt(values * freedom)
    np.testing.assert_allclose(pca.singular_values_, sizes, rtol=1e3 * eps)
    left = variances[k:].mean() if len(variances) > k else 0.0
    assert pca.noise_variance_ == pytest.approx(left, abs=most * largest * n * eps)


# Each solver


@solvers
@dtypes
@containers
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_solver_finds_the_singular_value_decomposition(shape, container, dtype, solver):
    X = rows_of(*shape).astype(dtype)
    pca = fitted(container(X), solver)
    assert_principal(pca, X)
    assert pca.svd_solver_ == solver
    assert pca.components_.dtype == pca.mean_.dtype == dtype
    assert pca.n_samples_ == shape[0] and pca.n_components_ == 4


@solvers
@dtypes
@containers
def test_every_solver_takes_weights(container, dtype, solver):
    X = rows_of(200, 20).astype(dtype)
    weight = np.random.default_rng(1).integers(0, 4, size=200) * 0.75
    pca = PCA(4, svd_solver=solver, random_state=0, **ACCURATE)
    pca.fit(container(X), sample_weight=weight)
    assert_principal(pca, X, weight)


@solvers
@containers
def test_every_solver_leaves_out_zeros_of_sparse_rows(container, solver):
    rng = np.random.default_rng(2)
    X = np.where(rng.random((400, 60)) < 0.05, rng.normal(size=(400, 60)), 0.0)
    X[:, 7] = 0.0
    X[:, :5] *= 4.0
    assert_principal(fitted(container(X), solver), X)


@solvers
@pytest.mark.parametrize(("dtype", "shift"), [(np.float64, 1e8), (np.float32, 1e4)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_offset_costs_no_digits(shape, dtype, shift, solver):
    """Against the decomposition in float64 of the very same, rounded numbers."""
    X = rows_of(*shape, shift=shift).astype(dtype)
    assert_principal(fitted(X, solver), X)


@solvers
@pytest.mark.parametrize(("dtype", "shift"), [(np.float64, 1e8), (np.float32, 1e4)])
def test_an_offset_of_full_sparse_columns_costs_few_digits(dtype, shift, solver):
    X = rows_of(300, 12)
    X[:, 3] *= np.random.default_rng(0).random(300) < 0.2
    X[:, :3] += shift
    X[:, 5] -= shift
    X = X.astype(dtype)
    _, _, variances = reference.principal_components(X)
    found = fitted(sparse.csr_array(X), solver).explained_variance_
    np.testing.assert_allclose(found, variances[:4], rtol=1e-8 if dtype == np.float64 else 1e-5)


@solvers
@containers
@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150])
def test_tiny_and_huge_numbers_keep_their_digits(scale, container, solver):
    X = rows_of(100, 20)
    pca = fitted(container(X * scale), solver)
    plain = fitted(container(X), solver)
    np.testing.assert_allclose(pca.explained_variance_ / scale, plain.explained_variance_ * scale)
    np.testing.assert_allclose(pca.components_, plain.components_, atol=1e-11)
    np.testing.assert_allclose(pca.explained_variance_ratio_, plain.explained_variance_ratio_)


@solvers
@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_tiny_and_huge_float32_numbers_keep_their_digits(scale, solver):
    X = rows_of(100, 20)
    pca = fitted((X * scale).astype(np.float32), solver)
    plain = fitted(X.astype(np.float32), solver)
    moved = pca.explained_variance_.astype(np.float64) / scale**2
    np.testing.assert_allclose(moved, plain.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(pca.components_, plain.components_, atol=1e-5)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("shape", [(200, 8), (8, 200)])
def test_full_has_twice_the_digits_of_small_components(shape, container):
    """Deviations fall to 1e-10 of the largest; their squares would be rounding of the first."""
    sizes = 10.0 ** -np.arange(0.0, 12.0, 2.0)
    X = rows_of(*shape, sizes)
    _, _, variances = reference.principal_components(X)
    if container is sparse.csr_array and shape[0] < shape[1]:
        pytest.skip("'full' takes CSR of few rows by their inner products")
    found = PCA(svd_solver="full").fit(container(X)).explained_variance_[:6]
    deviations, expected = np.sqrt(found), np.sqrt(variances[:6])
    assert (np.abs(deviations - expected) <= 1e-14 * expected[0]).all()


@solvers
@dtypes
def test_equal_variances_are_found_as_a_subspace(dtype, solver):
    """Which basis of it is nothing that the data say."""
    U = np.linalg.qr(np.random.default_rng(0).normal(size=(100, 12)))[0]
    U = np.linalg.qr(U - U.mean(axis=0))[0]
    V = rotation(12)
    X = U * np.repeat([4.0, 2.0, 0.1], [3, 2, 7])
    pca = fitted((X @ V).astype(dtype), solver, k=5)
    eps = np.finfo(dtype).eps
    for group in (slice(0, 3), slice(3, 5)):
        W = pca.components_[group].astype(np.float64)
        projection = V[group].T @ V[group]
        np.testing.assert_allclose(W.T @ W, projection, atol=300 * eps)
    expected = np.repeat([16.0, 4.0], [3, 2]) / 99
    np.testing.assert_allclose(pca.explained_variance_, expected, rtol=100 * eps)


def of_rank_three(n, d, shift=0.0):
    """Small whole numbers, so that the rank is exact in both types."""
    rng = np.random.default_rng(0)
    return rng.integers(-9, 10, size=(n, 3)) @ rng.integers(-3, 4, size=(3, d)) + shift


@solvers
@dtypes
@containers
@pytest.mark.parametrize("shape", [(60, 30), (30, 60)])
def test_rank_deficient_rows_have_components_without_variance(shape, container, dtype, solver):
    X = of_rank_three(*shape).astype(dtype)
    pca = fitted(container(X), solver, k=6)
    assert_principal(pca, X)
    assert (pca.explained_variance_[3:] == 0).all() and (pca.singular_values_[3:] == 0).all()
    assert pca.noise_variance_ == 0


@solvers
@dtypes
def test_small_components_beside_large_ones_are_found(dtype, solver):
    """Deviations of 1, 0.1, ... 1e-4: each solver at the digits that its sums leave."""
    if dtype == np.float32:
        sizes, close = 10.0 ** -np.arange(3.0), 1e-3
    else:
        sizes, close = 10.0 ** -np.arange(5.0), 1e-7
    X = rows_of(400, 30, sizes).astype(dtype)
    _, components, variances = reference.principal_components(X)
    pca = fitted(X, solver, k=len(sizes))
    np.testing.assert_allclose(pca.explained_variance_, variances[: len(sizes)], rtol=close)
    np.testing.assert_allclose(pca.components_, components[: len(sizes)], atol=close)


@pytest.mark.parametrize("solver", [*COMPLETE, "block_lanczos", "randomized"])
@pytest.mark.parametrize("value", [0.0, 5.0, 1e8, -1e-200])
@containers
def test_constant_rows_have_no_variance(container, value, solver):
    X = np.full((20, 6), value)
    pca = fitted(container(X), solver, k=3)
    assert (pca.explained_variance_ == 0).all() and (pca.explained_variance_ratio_ == 0).all()
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(3), atol=1e-12)
    # Sums of sparse columns round.
    np.testing.assert_allclose(pca.mean_, X[0], rtol=1e-15)
    np.testing.assert_allclose(pca.transform(container(X)), 0, atol=1e-15 * abs(value))
    assert np.isfinite(pca.score(X))


@solvers
def test_constant_columns_take_no_part(solver):
    X = rows_of(100, 10)
    wide = np.insert(X, [0, 3, 10], [7.0, -1e8, 0.0], axis=1)
    pca, plain = fitted(wide, solver), fitted(X, solver)
    varying = np.delete(np.arange(13), [0, 4, 12])
    np.testing.assert_allclose(pca.components_[:, varying], plain.components_, atol=1e-11)
    np.testing.assert_allclose(pca.components_[:, [0, 4, 12]], 0, atol=1e-13)
    np.testing.assert_allclose(pca.explained_variance_, plain.explained_variance_, rtol=1e-12)


@pytest.mark.parametrize("solver", [*COMPLETE, "block_lanczos", "randomized"])
@dtypes
def test_one_column_is_its_own_component(dtype, solver):
    X = (np.random.default_rng(0).normal(size=(50, 1)) * 3 - 7).astype(dtype)
    pca = fitted(X, solver, k=1)
    assert pca.components_ == 1 and pca.explained_variance_ratio_ == pytest.approx(1)
    assert pca.explained_variance_[0] == pytest.approx(X.astype(float).var(ddof=1), rel=1e-6)


@pytest.mark.parametrize("solver", COMPLETE)
@pytest.mark.parametrize("shape", [(3, 1), (2, 5), (3, 3), (4, 3), (3, 4)])
def test_the_smallest_shapes(shape, solver):
    X = rows_of(*shape, seed=3)
    pca = PCA(svd_solver=solver).fit(X)
    assert pca.n_components_ == min(shape)
    _, components, variances = reference.principal_components(X)
    np.testing.assert_allclose(pca.explained_variance_, variances, atol=1e-14)
    rank = min(shape[0] - 1, shape[1])
    np.testing.assert_allclose(pca.components_[:rank], components[:rank], atol=1e-13)


@solvers
def test_signs_depend_on_the_component_alone(solver):
    X = rows_of(100, 15)
    pca = fitted(X, solver)
    assert (pca.components_.max(axis=1) == np.abs(pca.components_).max(axis=1)).all()
    for same in (X[::-1], -X, X + 5.0, 2.0 * X):
        np.testing.assert_allclose(fitted(same, solver).components_, pca.components_, atol=1e-10)
    order = np.random.default_rng(0).permutation(15)
    permuted = fitted(X[:, order], solver).components_
    np.testing.assert_allclose(permuted, pca.components_[:, order], atol=1e-10)


def test_of_equally_large_loadings_the_first_is_positive():
    x = np.random.default_rng(0).normal(size=(80, 1))
    for columns in ([x, -x], [-x, x]):
        X = np.hstack([*columns, 0.01 * np.sin(np.arange(80))[:, None]])
        first = PCA(1).fit(X).components_[0]
        assert first[0] > 0 > first[1]


@dtypes
@pytest.mark.parametrize("solver", ["auto", *COMPLETE, *TRUNCATED])
def test_memory_maps_are_read_as_arrays_are(tmp_path, solver, dtype):
    X = rows_of(300, 20).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    one, other = (fitted(data, solver) for data in (X, mapped))
    assert_same_bits(fitted_state(one), fitted_state(other))
    assert type(other.components_) is type(other.mean_) is np.ndarray
    np.testing.assert_array_equal(one.transform(X), other.transform(mapped))


@solvers
@dtypes
@pytest.mark.parametrize("rows_in_block", [1, 7, 64])
def test_blocks_do_not_show(monkeypatch, rows_in_block, dtype, solver):
    X = rows_of(130, 20).astype(dtype)
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 20 * rows_in_block)
    assert_principal(fitted(X, solver), X)
    assert_principal(fitted(sparse.csr_array(X), solver), X)


@solvers
@dtypes
def test_threads_do_not_change_a_bit(monkeypatch, dtype, solver):
    X = rows_of(700, 120).astype(dtype)
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS", 120 * 100)
    one, two = (fitted(X, solver, n_jobs=n_jobs) for n_jobs in (1, 3))
    assert_same_bits(fitted_state(one), fitted_state(two))


# Which solver


@pytest.mark.parametrize(
    ("shape", "n_components", "is_sparse", "solver"),
    [
        ((1_000_000, 50), 10, False, "covariance_eigh"),
        ((1_000_000, 50), None, False, "covariance_eigh"),
        ((60_000, 784), 50, False, "covariance_eigh"),
        ((5000, 5000), 20, False, "block_lanczos"),
        ((5000, 5000), None, False, "full"),
        ((200, 100), None, False, "full"),
        ((50, 20_000), None, False, "gram"),
    ],
)
def test_auto_chooses_by_the_shape(shape, n_components, is_sparse, solver):
    assert choose_solver(*shape, n_components, is_sparse) == solver


@pytest.mark.parametrize("n_components", [None, 1, 5, 40])
@pytest.mark.parametrize("shape", [(40, 600), (600, 40), (300, 300), (40, 1500)])
@containers
def test_auto_is_exact_whatever_the_shape(shape, container, n_components):
    X = rows_of(*shape, 0.9 ** np.arange(40))
    pca = PCA(n_components, random_state=0).fit(container(X))
    _, _, variances = reference.principal_components(X)
    k = pca.n_components_
    assert k == (min(shape) if n_components is None else n_components)
    # Values of a truncated solver err by the square of its tolerance.
    error = np.abs(pca.explained_variance_ - variances[:k]).max()
    assert error <= 1e-13 * variances[0]


@dtypes
@pytest.mark.parametrize("solver", ["block_lanczos", "arpack"])
def test_truncated_solvers_reach_their_tolerance(solver, dtype):
    X = rows_of(400, 400, 0.97 ** np.arange(400)).astype(dtype)
    z = reference.centered(X)[1]
    covariance = z.T @ z / 399
    tol = 1e-10 if dtype == np.float64 else 1e-6
    pca = PCA(10, svd_solver=solver, random_state=0).fit(X)
    V = pca.components_.astype(np.float64)
    residual = np.linalg.norm(covariance @ V.T - V.T * pca.explained_variance_, axis=0)
    assert residual.max() <= 3 * tol * pca.explained_variance_[0]


def test_a_looser_tolerance_takes_fewer_products(monkeypatch):
    X = rows_of(500, 500, 0.99 ** np.arange(500))
    counts = []
    for tol in (1e-1, 1e-4, 1e-12):
        products = []
        original = krylov.leading_eigenvectors

        def counted(apply, *arguments, original=original, products=products):
            return original(lambda Q: products.append(0) or apply(Q), *arguments)

        monkeypatch.setattr("skgen.decomposition.spectrum.leading_eigenvectors", counted)
        PCA(5, svd_solver="block_lanczos", tol=tol, random_state=0).fit(X)
        monkeypatch.undo()
        counts.append(len(products))
    assert counts[0] < counts[1] < counts[2]


def test_a_truncated_solver_that_falls_short_warns(monkeypatch):
    X = np.random.default_rng(0).normal(size=(500, 300))
    monkeypatch.setattr("skgen.decomposition.spectrum.MOST_PRODUCTS", 2)
    with pytest.warns(ConvergenceWarning, match="did not reach its tolerance in 2 products"):
        pca = PCA(3, svd_solver="block_lanczos", random_state=0).fit(X)
    V = pca.components_
    np.testing.assert_allclose(V @ V.T, np.eye(3), atol=1e-12)


def test_randomized_gains_from_every_power_and_oversample():
    """Halko et al. (2011): the error falls with the ratio of singular values to 2 q + 1."""
    X = rows_of(300, 200, 1.0 / np.arange(1.0, 201.0))
    best = PCA(10, svd_solver="full").fit(X).explained_variance_.sum()

    def lost(**arguments):
        lost = [
            1 - PCA(10, svd_solver="randomized", random_state=seed, **arguments)
            .fit(X).explained_variance_.sum() / best
            for seed in range(5)
        ]  # fmt: skip
        assert min(lost) > -1e-12
        return np.mean(lost)

    powers = [lost(iterated_power=power) for power in (0, 1, 3)]
    assert powers[0] > 3 * powers[1] > 9 * powers[2] > 0
    few, many = (lost(iterated_power=1, n_oversamples=count) for count in (1, 40))
    assert few > 2 * many
    for normalizer in ("QR", "LU", "none"):
        assert lost(iterated_power=3, power_iteration_normalizer=normalizer) < 3 * powers[2]


# partial_fit


def batches(X, sizes):
    ends = np.cumsum(sizes)
    assert ends[-1] == len(X)
    return np.split(X, ends[:-1])


SIZES = {
    "equal": [30] * 4,
    "last of one row": [60, 59, 1],
    "first of one row": [1, 119],
    "one by one": [1] * 120,
    "all": [120],
    "unequal": [2, 3, 50, 7, 58],
}


@dtypes
@pytest.mark.parametrize("n_components", [None, 3, 0.8, "mle"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_partial_fit_equals_fit(sizes, n_components, dtype):
    X = rows_of(120, 10, shift=20.0).astype(dtype)
    pca = PCA(n_components)
    for batch in batches(X, sizes):
        pca.partial_fit(batch)
    whole = PCA(n_components, svd_solver="covariance_eigh").fit(X)
    assert pca.n_components_ == whole.n_components_
    assert pca.n_samples_ == 120
    close = 1e-12 if dtype == np.float64 else 1e-5
    for name in ("mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_"):
        np.testing.assert_allclose(getattr(pca, name), getattr(whole, name), rtol=close)
    np.testing.assert_allclose(pca.components_, whole.components_, atol=10 * close)
    assert pca.noise_variance_ == pytest.approx(whole.noise_variance_, rel=1e-4, abs=1e-15)
    assert pca.components_.dtype == dtype
    if n_components is None:
        assert_principal(pca, X)


@containers
def test_partial_fit_takes_weights_and_sparse_rows(container):
    X = rows_of(120, 10)
    weight = np.random.default_rng(0).integers(0, 3, size=120).astype(float)
    pca = PCA(4)
    for start in range(0, 120, 50):
        part = slice(start, start + 50)
        pca.partial_fit(container(X[part]), sample_weight=weight[part])
    assert_principal(pca, X, weight)


def test_partial_fit_of_fewer_rows_than_columns_or_components():
    X = rows_of(40, 60)
    pca = PCA(5)
    for count, batch in enumerate(batches(X, [2, 1, 1, 1, 1, 34]), start=1):
        pca.partial_fit(batch)
        assert pca.n_components_ == min(5, count + 1)
    assert_principal(pca, X)


def test_partial_fit_far_from_the_origin():
    X = rows_of(120, 10, shift=1e8)
    pca = PCA()
    for batch in batches(X, SIZES["unequal"]):
        pca.partial_fit(batch)
    # Means of batches are rounded to 1.5e-8 out there.
    _, _, variances = reference.principal_components(X)
    np.testing.assert_allclose(pca.explained_variance_, variances, rtol=1e-7)


@pytest.mark.parametrize("choice", ["parallel_analysis", "held_out"])
def test_partial_fit_makes_the_same_choice_as_fit(choice):
    X = factors(300, 12, 3)
    pca = PCA(choice, random_state=0)
    for batch in batches(X, [100, 150, 50]):
        pca.partial_fit(batch)
    whole = PCA(choice, random_state=0, svd_solver="covariance_eigh").fit(X)
    assert pca.n_components_ == whole.n_components_ == 3
    name = {"parallel_analysis": "noise_thresholds_", "held_out": "held_out_scores_"}[choice]
    np.testing.assert_allclose(getattr(pca, name), getattr(whole, name), rtol=1e-9)


def test_partial_fit_of_one_row_has_no_variance():
    pca = PCA(2).partial_fit(np.array([[1.0, 2.0, 3.0]]))
    assert (pca.explained_variance_ == 0).all() and pca.noise_variance_ == 0
    np.testing.assert_array_equal(pca.mean_, [1, 2, 3])


def test_partial_fit_after_fit_begins_anew_with_a_warning():
    X = rows_of(60, 5)
    pca = PCA(2).fit(X)
    with pytest.warns(UserWarning, match="begins anew"):
        pca.partial_fit(X[:30])
    assert pca.n_samples_ == 30
    np.testing.assert_allclose(pca.mean_, X[:30].mean(axis=0))
    assert pca.fit(X).n_samples_ == 60


def test_a_batch_that_is_refused_leaves_the_fit_as_it_was():
    X = rows_of(60, 5)
    pca = PCA(2).partial_fit(X)
    before = fitted_state(pca)
    bad = X.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        pca.partial_fit(bad)
    with pytest.raises(ValueError, match="4 features"):
        pca.partial_fit(X[:, :4])
    assert_same_bits(before, fitted_state(pca))
    other = PCA(2).partial_fit(X).partial_fit(X[:7])
    assert_same_bits(fitted_state(other), fitted_state(pca.partial_fit(X[:7])))


# Coordinates


@solvers
@containers
def test_coordinates_are_uncorrelated_and_vary_as_said(container, solver):
    """algorithms: W W' = I, the covariance of z is diagonal, and its diagonal the variances."""
    X = rows_of(200, 20, shift=3.0)
    pca = fitted(container(X), solver)
    Z = pca.transform(container(X))
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(
        np.cov(Z.T), np.diag(pca.explained_variance_), atol=1e-11 * pca.explained_variance_[0]
    )
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("k", [1, 5, 12])
def test_the_error_of_restored_rows_is_the_variance_left_out(k, whiten):
    """Maximal variance and minimal error have the same answer."""
    X = rows_of(150, 12, shift=-5.0)
    pca = PCA(k, whiten=whiten).fit(X)
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum() / 149
    left = PCA().fit(X).explained_variance_[k:].sum()
    assert error == pytest.approx(left, rel=1e-9, abs=1e-25)
    rng = np.random.default_rng(0)
    for _ in range(5):
        W = np.linalg.qr(rng.normal(size=(12, k)))[0]
        z = X - X.mean(axis=0)
        assert ((z - z @ W @ W.T) ** 2).sum() / 149 >= error - 1e-12


@dtypes
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("shape", [(100, 12), (20, 50), (5000, 30)])
def test_all_components_restore_the_rows(shape, whiten, dtype):
    X = rows_of(*shape, 0.95 ** np.arange(min(shape)), shift=1.0).astype(dtype)
    pca = PCA(whiten=whiten).fit(X)
    Z = pca.transform(X)
    assert Z.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(pca.inverse_transform(Z), X, atol=200 * eps)


@dtypes
def test_large_and_small_transforms_agree(dtype):
    """Blocks of a kernel for many rows, NumPy for few."""
    X = rows_of(6000, 30, shift=10.0).astype(dtype)
    pca = PCA(7).fit(X)
    whole = pca.transform(X)
    parts = np.vstack([pca.transform(X[i : i + 50]) for i in range(0, 6000, 50)])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(whole, parts, atol=200 * eps)
    np.testing.assert_allclose(
        whole, reference.project(X, pca.mean_, pca.components_.T), atol=200 * eps
    )
    np.testing.assert_allclose(pca.transform(np.asfortranarray(X)), whole, atol=200 * eps)
    np.testing.assert_allclose(pca.transform(sparse.csr_array(X)), whole, atol=2000 * eps)


@dtypes
@solvers
def test_whitened_coordinates_have_unit_covariance(solver, dtype):
    X = rows_of(300, 10).astype(dtype)
    Z = fitted(X, solver, whiten=True).transform(X)
    np.testing.assert_allclose(np.cov(Z.T), np.eye(4), atol=2000 * np.finfo(dtype).eps)


@solvers
@dtypes
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_whitening_of_rank_deficient_rows_is_bounded(shift, dtype, solver):
    """Rounding is not made a coordinate of 1e5, as it was (scikit-learn #29534)."""
    X = of_rank_three(100, 20, shift).astype(dtype)
    pca = fitted(X, solver, k=6, whiten=True)
    Z = pca.transform(X)
    # No coordinate of n rows of unit variance is larger than the root of n.
    assert np.abs(Z).max() <= np.sqrt(100)
    np.testing.assert_allclose(Z[:, 3:], 0, atol=0)
    np.testing.assert_allclose(Z[:, :3].std(axis=0, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(
        pca.inverse_transform(Z), X, atol=1e3 * np.finfo(dtype).eps * (shift + 9)
    )


def test_float32_rows_are_whitened_as_their_float64_copies_are():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(500, 8)) * 10.0 ** -np.arange(8) + 100.0).astype(np.float32)
    small = PCA(5, whiten=True).fit(X)
    exact = PCA(5, whiten=True).fit(X.astype(np.float64))
    np.testing.assert_allclose(small.explained_variance_, exact.explained_variance_, rtol=1e-3)


# The model of the rows


@pytest.mark.parametrize("k", [0, 1, 4, 12])
@dtypes
def test_score_is_the_density_of_the_covariance(k, dtype):
    from scipy.stats import multivariate_normal

    X = rows_of(200, 12, shift=2.0).astype(dtype)
    pca = PCA(k, svd_solver="full").fit(X)
    covariance = pca.get_covariance().astype(np.float64)
    expected = multivariate_normal(pca.mean_, covariance).logpdf(X.astype(np.float64))
    close = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(pca.score_samples(X), expected, rtol=close, atol=close)
    assert pca.score(X) == pytest.approx(expected.mean(), rel=close)
    np.testing.assert_allclose(pca.get_precision() @ covariance, np.eye(12), atol=1e3 * close)
    weight = np.random.default_rng(0).uniform(size=200)
    assert pca.score(X, sample_weight=weight) == pytest.approx(
        np.average(expected, weights=weight), rel=close
    )


def test_sparse_rows_have_the_same_score(monkeypatch):
    X = rows_of(200, 12)
    pca = PCA(3).fit(X)
    monkeypatch.setattr("skgen.decomposition.projection.DENSE_ELEMENTS", 12 * 30)
    np.testing.assert_allclose(pca.score_samples(sparse.csr_array(X)), pca.score_samples(X))


def test_covariance_of_all_components_is_that_of_the_rows():
    X = rows_of(200, 12)
    np.testing.assert_allclose(PCA().fit(X).get_covariance(), np.cov(X.T), atol=1e-14)


@solvers
@dtypes
@pytest.mark.parametrize("k", [1, 3, 5])
def test_rank_deficient_rows_have_a_precision_and_a_score(k, dtype, solver):
    """scikit-learn raises LinAlgError, or gives NaN (scikit-learn #33205)."""
    X = of_rank_three(30, 50).astype(dtype)
    pca = fitted(X, solver, k=k)
    precision, scores = pca.get_precision(), pca.score_samples(X)
    assert np.isfinite(precision).all() and np.isfinite(scores).all()
    values = np.linalg.eigvalsh(0.5 * (precision + precision.T).astype(np.float64))
    assert values[-1] > 0 and values[0] >= -1e-6 * values[-1]
    # The restored rows are likelier than rows elsewhere.
    assert pca.score(X) > pca.score(X + np.random.default_rng(0).normal(size=X.shape))


def test_scores_of_rows_far_away_are_minus_infinity_not_nan():
    pca = PCA(2).fit(rows_of(50, 5))
    scores = pca.score_samples(np.full((2, 5), 1e200))
    assert (scores == -np.inf).all()


# How many components


def factors(n, d, rank, *, noise=1.0, seed=0):
    """Rows of a factor model: `rank` directions of deviation 3 and noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank)) * 3.0 @ rotation(d, seed)[:rank] + noise * rng.normal(
        size=(n, d)
    )


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.99, 0.999999])
@pytest.mark.parametrize("load", [load_digits, load_wine])
def test_a_share_of_the_variance_takes_the_fewest_components(load, share):
    X = load().data
    pca = PCA(share).fit(X)
    ratios = PCA().fit(X).explained_variance_ratio_
    k = pca.n_components_
    assert ratios[:k].sum() > share >= ratios[: k - 1].sum()
    assert k == PeerPCA(share, svd_solver="full").fit(X).n_components_


@pytest.mark.parametrize("seed", range(8))
def test_mle_makes_the_choice_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    n, d, rank = int(rng.integers(40, 400)), int(rng.integers(3, 30)), int(rng.integers(1, 6))
    X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) + 0.3 * rng.normal(size=(n, d))
    pca, peer = PCA("mle").fit(X), PeerPCA("mle").fit(X)
    assert pca.n_components_ == peer.n_components_
    assert pca.noise_variance_ == pytest.approx(peer.noise_variance_, rel=1e-9)


@pytest.mark.parametrize("load", [load_digits, load_wine])
def test_mle_on_data_makes_the_choice_of_scikit_learn(load):
    X = load().data
    assert PCA("mle").fit(X).n_components_ == PeerPCA("mle").fit(X).n_components_


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("choice", ["mle", "parallel_analysis", "held_out"])
@pytest.mark.parametrize("seed", range(3))
def test_the_rank_of_a_factor_model_is_found(seed, choice, rank):
    X = factors(500, 15, rank, seed=seed)
    assert PCA(choice, random_state=seed).fit(X).n_components_ == rank


@pytest.mark.parametrize("choice", ["parallel_analysis", "held_out"])
@pytest.mark.parametrize("shape", [(60, 200), (80, 80)])
def test_the_rank_of_few_rows_is_found(shape, choice):
    X = factors(*shape, 2)
    pca = PCA(choice, random_state=0).fit(X)
    assert pca.n_components_ == 2
    assert PCA(choice, random_state=0, svd_solver="gram").fit(X).n_components_ == 2


def test_parallel_analysis_finds_nothing_in_noise():
    """Noise exceeds its own 95 % quantile in one of twenty data sets, by chance."""
    found = []
    for seed in range(20):
        X = np.random.default_rng(seed).normal(size=(300, 10)) * np.arange(1, 11)
        try:
            with pytest.warns(ConvergenceWarning, match="no component with more variance"):
                found.append(PCA("parallel_analysis", random_state=seed).fit(X).n_components_ - 1)
        except pytest.fail.Exception:
            found.append(1)
    # P(more than 6 of 20 at 5 %) is 3e-5.
    assert sum(found) <= 6


def test_noise_thresholds_are_eigenvalues_of_independent_columns():
    X = factors(300, 10, 2)
    pca = PCA("parallel_analysis", random_state=0).fit(X)
    rng = np.random.default_rng(1)
    spectra = []
    for _ in range(400):
        noise = rng.normal(size=X.shape) * X.std(axis=0, ddof=1)
        spectra.append(np.linalg.eigvalsh(np.cov(noise.T))[::-1])
    expected = np.quantile(spectra, 0.95, axis=0)
    # 50 draws know a quantile to about a third of a standard deviation.
    np.testing.assert_allclose(pca.noise_thresholds_, expected, atol=np.std(spectra, axis=0).max())
    assert (pca.explained_variance_ > pca.noise_thresholds_[:2]).all()


@pytest.mark.parametrize("cv", [KFold(4), KFold(3, shuffle=True, random_state=1)])
@pytest.mark.parametrize("shape", [(90, 7), (60, 20)])
def test_held_out_scores_equal_a_plain_loop_over_folds(shape, cv):
    X = factors(*shape, 2)
    pca = PCA("held_out", cv=cv).fit(X)
    most = len(pca.held_out_scores_) - 1
    expected = reference.held_out_scores(X, list(cv.split(X)), most)
    np.testing.assert_allclose(pca.held_out_scores_, expected, rtol=1e-9)
    assert pca.n_components_ == 1 + np.argmax(expected[1:])


def test_held_out_scores_of_a_number_of_folds_are_near_those_of_other_folds():
    X = factors(400, 8, 3)
    dealt = PCA("held_out", cv=5, random_state=0).fit(X).held_out_scores_
    cut = PCA("held_out", cv=KFold(5)).fit(X).held_out_scores_
    np.testing.assert_allclose(dealt, cut, atol=0.1)
    assert np.abs(dealt - cut).max() > 0


def test_held_out_folds_keep_copies_of_a_row_together():
    """A copy in training would make every rank look good."""
    X = factors(60, 8, 2)
    once = PCA("held_out", random_state=0).fit(X)
    twice = PCA("held_out", random_state=0).fit(np.vstack([X, X[::-1]]))
    np.testing.assert_allclose(twice.held_out_scores_, once.held_out_scores_, rtol=1e-9)
    weighted = PCA("held_out", random_state=0).fit(X, sample_weight=np.full(60, 2.0))
    np.testing.assert_allclose(weighted.held_out_scores_, once.held_out_scores_, rtol=1e-9)


def test_held_out_scores_are_those_of_cross_validation():
    """Of fitted PCAs with the folds' own divisor."""
    X = factors(200, 6, 2)
    cv = KFold(4)
    pca = PCA("held_out", cv=cv).fit(X)
    for rank in (1, 2, 4):
        scores = [PCA(rank).fit(X[a]).score(X[b]) for a, b in cv.split(X)]
        # The divisor is n there, n - 1 in PCA: a relative 1/150 of the variances.
        assert pca.held_out_scores_[rank] == pytest.approx(np.mean(scores), abs=1e-2)


# Searches and frames


@pytest.mark.parametrize(
    "grid",
    [
        {"n_components": [1, 2, 4, 0.9, None, "mle", "parallel_analysis", "held_out"]},
        {"svd_solver": ["auto", *COMPLETE, *TRUNCATED]},
        {"whiten": [True, False], "copy": [True, False]},
        {"tol": [0.0, 1e-3], "svd_solver": ["arpack", "block_lanczos"]},
        {
            "iterated_power": ["auto", 0, 3],
            "n_oversamples": [1, 10],
            "power_iteration_normalizer": ["auto", "QR", "LU", "none"],
            "svd_solver": ["randomized"],
        },
        {"cv": [2, 5], "n_components": ["held_out"]},
        {"random_state": [0, 1], "n_jobs": [None, 1, 2]},
    ],
    ids=lambda grid: "-".join(grid),
)
def test_a_grid_search_may_try_every_parameter(grid):
    X = factors(150, 8, 2)
    search = GridSearchCV(PCA(2, random_state=0), grid, cv=3, error_score="raise").fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.n_components_ >= 1


def test_the_likelihood_picks_the_true_rank_in_a_search():
    X = factors(600, 10, 3)
    search = GridSearchCV(PCA(), {"n_components": list(range(1, 9))}).fit(X)
    assert search.best_params_ == {"n_components": 3}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_give_named_frames(library):
    module = pytest.importorskip(library)
    X = overlapping()
    frame = module.DataFrame({"width": X[:, 0], "height": X[:, 1], "depth": X[:, 2]})
    pca = PCA(2).set_output(transform=library)
    Z = pca.fit_transform(frame)
    assert list(Z.columns) == list(pca.get_feature_names_out()) == ["pca0", "pca1"]
    assert list(pca.feature_names_in_) == ["width", "height", "depth"]
    np.testing.assert_allclose(Z.to_numpy(), PCA(2).fit_transform(X), atol=1e-13)
    with pytest.raises(ValueError, match="feature names"):
        pca.transform(frame[["height", "width", "depth"]])


# Refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 7}, r"n_components=7 must be between 0 and min\(n_samples,"),
        ({"n_components": 0, "svd_solver": "arpack"}, "n_components=0 must be between 1"),
        ({"n_components": 0, "svd_solver": "block_lanczos"}, "n_components=0 must be between 1"),
        ({"n_components": 6, "svd_solver": "arpack"}, "must be strictly less than"),
        ({"n_components": 0.5, "svd_solver": "arpack"}, "cannot be a share with svd_solver"),
        ({"n_components": "mle", "svd_solver": "randomized"}, "cannot be a string"),
        ({"n_components": "held_out", "svd_solver": "block_lanczos"}, "cannot be a string"),
        ({"n_components": -1}, "The 'n_components' parameter of PCA"),
        ({"n_components": 1.5}, "The 'n_components' parameter of PCA"),
        ({"n_components": "all"}, "The 'n_components' parameter of PCA"),
        ({"svd_solver": "lanczos"}, "The 'svd_solver' parameter of PCA"),
        ({"tol": -1e-3}, "The 'tol' parameter of PCA"),
        ({"cv": 1, "n_components": "held_out"}, "The 'cv' parameter of PCA"),
        ({"iterated_power": -1}, "The 'iterated_power' parameter of PCA"),
        ({"n_oversamples": 0}, "The 'n_oversamples' parameter of PCA"),
        ({"power_iteration_normalizer": "SVD"}, "The 'power_iteration_normalizer' parameter"),
    ],
    ids=str,
)
def test_arguments_that_do_not_suit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PCA(**arguments).fit(rows_of(50, 6))


def test_mle_of_fewer_rows_than_columns_is_refused():
    with pytest.raises(ValueError, match="only supported if n_samples >= n_features"):
        PCA("mle").fit(rows_of(5, 6))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@solvers
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity"), (1e300, "X has values too")],
)
def test_numbers_that_do_not_fit_are_refused(value, message, solver, container):
    X = rows_of(60, 8)
    X[17, 3] = value
    with pytest.raises(ValueError, match=message):
        fitted(container(X), solver)


@pytest.mark.parametrize("total", [1.0, 0.5])
def test_weights_of_less_than_two_rows_are_refused(total):
    for n in (16, 20):
        with pytest.raises(ValueError, match="sample_weight sums to"):
            PCA(2).fit(rows_of(n, 4), sample_weight=np.full(n, total / n))


def test_one_row_is_refused():
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        PCA().fit(np.ones((1, 3)))


def test_partial_fit_of_held_out_takes_a_number_of_folds():
    with pytest.raises(ValueError, match="must be an int"):
        PCA("held_out", cv=KFold(3)).partial_fit(rows_of(30, 4))


def test_inverse_transform_wants_as_many_columns_as_components():
    pca = PCA(2).fit(rows_of(30, 4))
    with pytest.raises(ValueError, match="X has 3 columns, but PCA has 2 components"):
        pca.inverse_transform(np.ones((5, 3)))


def test_a_gram_matrix_that_does_not_fit_is_refused_before_it_is_made():
    X = np.broadcast_to(np.zeros(1), (10**7, 1))
    with pytest.raises((ValueError, MemoryError), match="inner products of 10000000 rows"):
        PCA(1, svd_solver="gram").fit(X)


def test_rows_are_never_changed():
    X = rows_of(50, 6)
    for container in (np.array, sparse.csr_array):
        given, copy = container(X), container(X)
        for solver in (*COMPLETE, *TRUNCATED):
            PCA(2, copy=False, svd_solver=solver, random_state=0, whiten=True).fit_transform(given)
        np.testing.assert_array_equal(reference.dense(given), reference.dense(copy))


def test_low_rank_and_noise_as_in_the_literature():
    """The spectrum that scikit-learn draws for its own tests of randomized solvers."""
    X = make_low_rank_matrix(500, 300, effective_rank=10, tail_strength=0.2, random_state=0)
    _, components, variances = reference.principal_components(X)
    for solver in (*COMPLETE, *TRUNCATED):
        pca = fitted(X, solver, k=8)
        np.testing.assert_allclose(pca.explained_variance_, variances[:8], rtol=1e-10)
        np.testing.assert_allclose(pca.components_, components[:8], atol=1e-7)


@pytest.mark.parametrize("load", [load_digits, load_wine])
def test_a_share_that_is_a_sum_of_ratios_is_exceeded_by_the_next_component(load):
    """To the bit: the sum of the first k ratios is not more than itself."""
    X = load().data
    sums = PCA().fit(X).explained_variance_ratio_.cumsum()
    for k in (1, 2, 5, 12):
        assert PCA(float(sums[k - 1])).fit(X).n_components_ == k + 1


@solvers
def test_squares_that_only_overflow_together_are_refused(solver):
    X = rows_of(40, 4)
    X[0] = 1e154
    with pytest.raises(ValueError, match="X has values too large"):
        fitted(X, solver, k=1)


@solvers
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_without_weight_never_make_results_that_are_not_finite(value, solver):
    """Whether the others vary or not: refused, or left out."""
    for X in (rows_of(20, 4), np.ones((20, 4))):
        X[3, 1] = value
        weight = np.ones(20)
        weight[3] = 0.0
        try:
            pca = PCA(2, svd_solver=solver, random_state=0).fit(X, sample_weight=weight)
        except ValueError as error:
            assert "NaN" in str(error) or "infinity" in str(error)
        else:
            assert all(np.isfinite(v).all() for v in vars(pca).values() if hasattr(v, "dtype"))

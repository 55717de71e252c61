"""The same numbers give the same model, however they are stored; and they stay untouched."""

import copy

import numpy as np
import pytest
from scipy import sparse

from tests.catalogue import entries
from tests.problems import (
    assert_same_answers,
    assert_same_bits,
    outputs,
    overlapping,
    separated,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def strided(X):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan, dtype=X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def reversed_memory(X):
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def misaligned(X):
    raw = np.empty(X.nbytes + 1, np.uint8)
    twin = raw[1:].view(X.dtype).reshape(X.shape)
    twin[...] = X
    return twin


def swapped(X):
    return X.astype(X.dtype.newbyteorder())


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": reversed_memory,
    "read-only": read_only,
    "misaligned": misaligned,
    "other byte order": swapped,
}


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layout_does_not_show_in_the_bits(entry, layout, dtype):
    if layout == "other byte order":
        dtype = np.float64  # such a float32 is read as float64, as scikit-learn does
    X = overlapping(dtype=dtype)
    stored = LAYOUTS[layout](X)
    np.testing.assert_array_equal(stored, X)
    fitted = entry.build().fit(**entry.data(X))
    other = entry.build().fit(**entry.data(stored, like=X))
    assert_same_bits(entry.values(fitted), entry.values(other))
    assert_same_bits(outputs(fitted, X), outputs(fitted, stored))


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_map_gives_the_same_bits(entry, mode, tmp_path):
    X = overlapping()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    fitted, other = entry.build().fit(**entry.data(X)), entry.build().fit(**entry.data(mapped))
    assert_same_bits(entry.values(fitted), entry.values(other))
    assert_same_bits(outputs(fitted, X), outputs(fitted, mapped))
    for value in vars(other).values():
        assert not isinstance(value, np.memmap)
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)


@pytest.mark.parametrize(**entries())
def test_lists_and_frames_equal_arrays(entry):
    pandas = pytest.importorskip("pandas")
    X = overlapping()
    fitted = entry.build().fit(**entry.data(X))
    for stored in (X.tolist(), pandas.DataFrame(X, columns=list("abc"))):
        other = entry.build().fit(**entry.data(stored))
        assert_same_bits(entry.values(fitted), entry.values(other))


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.bool_])
def test_integers_equal_their_floats(entry, dtype):
    X = (np.round(10 * overlapping()) % 60).astype(dtype)
    fitted = entry.build().fit(**entry.data(X.astype(np.float64), like=overlapping()))
    other = entry.build().fit(**entry.data(X, like=overlapping()))
    assert_same_bits(entry.values(fitted), entry.values(other))


@pytest.mark.parametrize(**entries())
def test_float32_agrees_with_float64(entry):
    X = separated()
    fitted = entry.started(X).fit(**entry.data(X))
    single = X.astype(np.float32)
    other = entry.started(single).fit(**entry.data(single, like=X))
    for name, value in entry.values(fitted).items():
        # X itself is rounded by 6e-8 relative; the gate is 1e-4.
        scale = np.abs(value).max()
        np.testing.assert_allclose(
            entry.values(other)[name], value, rtol=1e-4, atol=1e-4 * scale, err_msg=name
        )
    assert_same_answers(fitted, X, other, single, atol=1e-4)


@pytest.mark.parametrize(**entries(lambda entry: entry.calibrated or not entry.supervised))
def test_float32_far_from_the_origin_keeps_the_spread(entry):
    """Raw second moments lose every digit here: mean over sd is 1e4."""
    X = (separated() + 30_000).astype(np.float32)
    double = X.astype(np.float64)
    fitted = entry.started(double).fit(**entry.data(double, like=separated()))
    other = entry.started(X).fit(**entry.data(X, like=separated()))
    for name in set(entry.parameters) & {"inertia_", "covariances_", "get_covariance"}:
        value = entry.values(fitted)[name]
        np.testing.assert_allclose(
            entry.values(other)[name], value, rtol=1e-4, atol=1e-4 * np.abs(value).max()
        )
    if entry.supervised:
        # Coefficients in float32, times 30 000: three roundings of 2e-3, and their sum's.
        proba = fitted.predict_proba(double)
        close = 1e-2 * np.abs(entry.values(fitted)["coef_"]).max()
        np.testing.assert_allclose(other.predict_proba(X), proba, rtol=0, atol=close)
    else:
        assert_same_answers(fitted, double, other, X, atol=1e-2)


@pytest.mark.parametrize(**entries())
def test_float32_is_kept(entry):
    X = overlapping(dtype=np.float32)
    fitted = entry.build().fit(**entry.data(X))
    for name, value in entry.values(fitted).items():
        if value.ndim:
            assert value.dtype == (np.float64 if name in entry.double else np.float32), name
    if entry.transforms:
        assert fitted.transform(X).dtype == np.float32


SPARSE = {
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
    "lil_array": sparse.lil_array,
}


def sparse_problem(dtype=np.float64):
    X = overlapping(d=6)
    return np.where(X > 0.3, X, 0.0).astype(dtype)


@pytest.mark.parametrize(**entries(lambda entry: entry.sparse))
@pytest.mark.parametrize("container", SPARSE)
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_equals_dense(entry, container, weighted):
    X = sparse_problem()
    weight = np.random.default_rng(0).uniform(size=len(X)) if weighted else None
    stored = SPARSE[container](X)
    fitted = entry.build().fit(**entry.data(X), sample_weight=weight)
    other = entry.build().fit(**entry.data(stored), sample_weight=weight)
    # 12 digits a pass; up to 30 passes. Linear models take another way to their optimum, which
    # they know to about the slope they stop at.
    close = 1e-7 if entry.supervised and entry.direction else 1e-10
    for name, value in entry.values(fitted).items():
        np.testing.assert_allclose(
            entry.values(other)[name], value, rtol=close, atol=close, err_msg=name
        )
    for name, value in outputs(fitted, X).items():
        np.testing.assert_allclose(
            outputs(fitted, stored)[name], value, rtol=1e-12, atol=1e-12, err_msg=name
        )


@pytest.mark.parametrize(**entries(lambda entry: entry.sparse))
def test_sparse_float32_equals_dense_float32(entry):
    X = sparse_problem(np.float32)
    fitted = entry.started(X).fit(**entry.data(X))
    other = entry.started(X).fit(**entry.data(sparse.csr_array(X)))
    for name, value in entry.values(fitted).items():
        np.testing.assert_allclose(
            entry.values(other)[name], value, rtol=1e-5, atol=1e-5, err_msg=name
        )


def with_duplicates(X):
    """CSR whose every entry is stored in two halves, with unsorted columns."""
    X = sparse.csr_array(X)
    X.sort_indices()
    rows = np.split(np.arange(X.nnz), X.indptr[1:-1])
    twice = np.concatenate([np.concatenate([row[::-1], row]) for row in rows])
    return sparse.csr_array((X.data[twice] / 2, X.indices[twice], 2 * X.indptr), shape=X.shape)


@pytest.mark.parametrize(**entries(lambda entry: entry.sparse))
def test_sparse_duplicates_are_summed_and_left_as_they_were(entry):
    X = sparse_problem()
    tangled = with_duplicates(X)
    before = copy.deepcopy((tangled.data, tangled.indices, tangled.indptr))
    fitted = entry.build().fit(**entry.data(sparse.csr_array(X)))
    other = entry.build().fit(**entry.data(tangled))
    assert_same_bits(entry.values(fitted), entry.values(other))
    assert_same_bits(outputs(fitted, sparse.csr_array(X)), outputs(fitted, tangled))
    for array, original in zip(
        (tangled.data, tangled.indices, tangled.indptr), before, strict=True
    ):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize(**entries(lambda entry: entry.sparse))
def test_sparse_int64_indices_equal_int32(entry):
    X = sparse.csr_array(sparse_problem())
    wide = X.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    fitted = entry.build().fit(**entry.data(X))
    try:
        other = entry.build().fit(**entry.data(wide))
    except ValueError as error:
        assert "int" in str(error)  # a refusal that says what is wrong is fine
    else:
        for name, value in entry.values(fitted).items():
            np.testing.assert_allclose(entry.values(other)[name], value, rtol=1e-12, err_msg=name)


def digest(value):
    if sparse.issparse(value):
        return tuple(digest(getattr(value, part)) for part in ("data", "indices", "indptr"))
    return value.tobytes(), value.dtype, value.flags.writeable


@pytest.mark.filterwarnings("ignore:partial_fit begins anew:UserWarning")
@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("kind", ["C", "F", "float32", "csr"])
def test_inputs_are_never_modified(entry, kind):
    if kind == "csr" and not entry.sparse:
        pytest.skip("dense only")
    X = overlapping(dtype=np.float32 if kind == "float32" else np.float64) + 5
    X = {"F": np.asfortranarray, "csr": sparse.csr_array}.get(kind, lambda X: X)(X)
    dense = X.toarray() if kind == "csr" else X
    start = entry.start(np.ascontiguousarray(dense))
    given = [X, *(value for value in start.values() if isinstance(value, np.ndarray))]
    arguments = {}
    if entry.weighted:
        arguments["sample_weight"] = np.random.default_rng(0).uniform(size=X.shape[0])
        given.append(arguments["sample_weight"])
    data, piece = entry.data(X), entry.piece(X)
    given += [data["y"]] if entry.supervised else []
    before = [digest(value) for value in given]
    for estimator in (entry.build(), entry.build(**start)):
        estimator.fit(**data, **arguments)
        outputs(estimator, X)
        if entry.partial_fit:
            estimator.partial_fit(**piece | data, **arguments)
    assert [digest(value) for value in given] == before


@pytest.mark.parametrize(**entries())
def test_fitted_arrays_do_not_share_memory_with_inputs(entry):
    X = separated()
    start = entry.start(X)
    fitted = entry.build(**start).fit(**entry.data(X))
    for value in entry.values(fitted).values():
        for given in (X, *(v for v in start.values() if isinstance(v, np.ndarray))):
            assert not np.shares_memory(value, given)

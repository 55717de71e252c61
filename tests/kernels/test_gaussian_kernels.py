"""Every Gaussian kernel agrees with its NumPy twin at every SIMD level."""

import numpy as np
import pytest

from skgen.kernels import available_levels, load
from tests import reference_gaussian as reference

STRUCTURES = ("full", "tied", "diagonal", "spherical")
SHAPES = [
    (1, 1, 1),
    (1, 3, 2),
    (2, 33, 1),
    (7, 2, 5),
    (150, 4, 3),
    (65, 5, 4),
    (129, 6, 7),
    (300, 8, 16),
    (531, 16, 9),
    (257, 17, 3),
    (700, 33, 40),
    (1100, 1, 40),
    (2000, 3, 13),
    (90, 50, 20),
    (40, 101, 2),
]
# Sums of float32 products inside a chunk, means of a few hundred rows.
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}


@pytest.fixture(params=available_levels())
def kernels(request):
    return load("gaussian", request.param)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


class Mixture:
    """A random mixture with overlapping components and rows drawn from it."""

    def __init__(self, n, d, k, structure, dtype, seed=0, shift=0.0):
        rng = np.random.default_rng(seed)
        self.structure, self.dtype = structure, dtype
        self.means = rng.normal(size=(k, d)) * 1.5 + shift
        if structure == "full":
            self.given = np.triu(rng.normal(size=(k, d, d)) * 0.3 / np.sqrt(d)) + np.eye(d)
            self.factors = self.given
        elif structure == "tied":
            self.given = np.triu(rng.normal(size=(d, d)) * 0.3 / np.sqrt(d)) + np.eye(d)
            self.factors = np.broadcast_to(self.given, (k, d, d))
        elif structure == "diagonal":
            self.given = rng.uniform(0.5, 2, size=(k, d))
            self.factors = self.given[:, :, None] * np.eye(d)
        else:
            self.given = rng.uniform(0.5, 2, size=k)
            self.factors = self.given[:, None, None] * np.eye(d)
        self.log_weight = np.log(rng.dirichlet(np.full(k, 5.0)))
        self.log_weight += np.log(np.abs(np.linalg.det(self.factors)))
        label = rng.integers(k, size=n)
        X = self.means[label] + rng.normal(size=(n, d))
        self.X = np.ascontiguousarray(X, dtype=dtype)
        self.weight = rng.uniform(0.2, 3, size=n)
        self.weight[rng.random(n) < 0.1] = 0

    def pack(self, kernels):
        pack = getattr(kernels, f"pack_{self.structure}")
        return pack(self.means, self.given, self.log_weight, self.dtype)

    def log_joint(self):
        return reference.log_joint(self.X, self.means, self.factors, self.log_weight)

    def origin(self):
        return self.means.astype(self.dtype).astype(np.float64)


def second_shape(structure, k, d):
    return {"full": (k, d, d), "tied": None}.get(structure, (k, d))


def empty_moments(structure, k, d):
    shape = second_shape(structure, k, d)
    return [np.zeros(k), np.zeros((k, d))] + ([] if shape is None else [np.zeros(shape)])


def e_step(kernels, mixture):
    out = empty_moments(mixture.structure, *mixture.means.shape)
    step = getattr(kernels, f"e_step_{mixture.structure}")
    return step(mixture.X, mixture.weight, mixture.pack(kernels), *out), out


def expected_moments(structure, X, weight, R, origin):
    counts, first, second = reference.moments(X, weight, R, origin)
    if structure == "tied":
        return [counts, first]
    if structure == "full":
        return [counts, first, second]
    return [counts, first, np.einsum("kii->ki", second)]


def assert_close(got, expected, tolerance, terms):
    """Sums differ by rounding of their terms' absolute sum, not of their own value."""
    assert got.shape == expected.shape
    assert np.isfinite(got).all()
    assert np.abs(got - expected).max() <= tolerance * terms


def assert_moments_close(got, mixture, R, tolerance):
    expected = expected_moments(mixture.structure, mixture.X, mixture.weight, R, mixture.origin())
    terms = mixture.weight.sum()
    spread = np.abs(mixture.X - mixture.origin().mean(axis=0)).max() if terms else 1.0
    for power, (g, e) in enumerate(zip(got, expected, strict=True)):
        assert_close(g, e, tolerance, max(terms, 1e-300) * spread**power)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_e_step_agrees_with_numpy(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape))
    got, out = e_step(kernels, mixture)
    joint = mixture.log_joint()
    norms = reference.log_norm(joint)
    tolerance = TOLERANCE[dtype]
    assert (
        abs(got - mixture.weight @ norms) <= tolerance * (mixture.weight @ np.abs(norms)) + 1e-300
    )
    assert_moments_close(out, mixture, reference.responsibilities(joint), tolerance)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_functions_agree_with_numpy(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape) + 1)
    n, k = len(mixture.X), len(mixture.means)
    model, expected = mixture.pack(kernels), mixture.log_joint()
    joint, R = np.empty((n, k), dtype), np.empty((n, k), dtype)
    norm, norm_again = np.empty(n), np.empty(n)
    label = np.empty(n, dtype=np.int64)
    kernels.log_joint(mixture.X, model, joint)
    kernels.responsibilities(mixture.X, model, R, norm)
    kernels.log_norm(mixture.X, model, norm_again)
    kernels.assign(mixture.X, model, label)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(joint, expected, rtol=tolerance, atol=tolerance)
    norms = reference.log_norm(expected)
    np.testing.assert_allclose(norm, norms, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(norm, norm_again)
    # An error of the logarithm is a relative error of the responsibility.
    slack = tolerance * (1 + np.abs(expected).max())
    np.testing.assert_allclose(R, reference.responsibilities(expected), rtol=slack, atol=tolerance)
    np.testing.assert_array_equal(label, joint.argmax(axis=1))


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_moments_of_given_responsibilities_agree_with_numpy(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape) + 2)
    n, d, k = shape
    R = np.random.default_rng(0).dirichlet(np.full(k, 0.2), size=n).astype(dtype)
    R[R < 1e-3] = 0
    out = empty_moments(structure, k, d)
    name = "diagonal" if structure == "spherical" else structure
    step = getattr(kernels, f"moments_{name}")
    step(mixture.X, mixture.weight, R, mixture.means, *out)
    assert_moments_close(out, mixture, R, TOLERANCE[dtype])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_scatter_is_float64_for_any_input(kernels, dtype, shape):
    n, d, _ = shape
    mixture = Mixture(*shape, "full", dtype, seed=sum(shape) + 3, shift=100.0)
    origin = np.full(d, 100.1)
    first, second = np.zeros(d), np.zeros((d, d))
    total = kernels.scatter(mixture.X, mixture.weight, origin, first, second)
    expected = reference.scatter(mixture.X, mixture.weight, origin)
    spread = np.abs(mixture.X - origin).max()
    assert_close(np.array(total), np.array(expected[0]), 1e-13, n)
    assert_close(first, expected[1], 1e-13, n * 3 * spread)
    assert_close(second, expected[2], 1e-13, n * 3 * spread**2)
    np.testing.assert_array_equal(second, second.T)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_outputs_are_added_to(kernels, structure):
    mixture = Mixture(100, 5, 3, structure, np.float64)
    _, once = e_step(kernels, mixture)
    twice = [a.copy() for a in once]
    getattr(kernels, f"e_step_{structure}")(
        mixture.X, mixture.weight, mixture.pack(kernels), *twice
    )
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_array_equal(2 * a, b)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("d", [2, 9])
def test_weight_zero_is_an_absent_row_even_if_infinite(kernels, dtype, structure, d):
    mixture = Mixture(300, d, 4, structure, dtype, seed=4)
    kept = mixture.weight > 0
    mixture.X[~kept] = np.inf
    mixture.X[np.flatnonzero(~kept)[::2]] = np.nan
    value, moments = e_step(kernels, mixture)
    mixture.X, mixture.weight = np.ascontiguousarray(mixture.X[kept]), mixture.weight[kept]
    expected_value, expected = e_step(kernels, mixture)
    # The same terms meet in another order.
    assert value == pytest.approx(expected_value, rel=1e2 * float(np.finfo(dtype).eps))
    for got, wanted in zip(moments, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e3 * float(np.finfo(dtype).eps) * 300)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("d", [2, 9])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_impossible_row_spoils_the_sum_but_not_the_moments(kernels, dtype, structure, d, bad):
    mixture = Mixture(100, d, 3, structure, dtype, seed=5)
    mixture.weight[:] = 1
    mixture.X[17, d // 2] = bad
    value, moments = e_step(kernels, mixture)
    assert value == -np.inf
    R = np.empty((100, 3), dtype)
    norm = np.empty(100)
    kernels.responsibilities(mixture.X, mixture.pack(kernels), R, norm)
    assert norm[17] == -np.inf
    assert np.isfinite(norm[np.arange(100) != 17]).all()
    mixture.weight[17] = 0
    mixture.X[17] = 0
    _, expected = e_step(kernels, mixture)
    for got, wanted in zip(moments, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("d", [2, 9])
def test_far_rows_are_normalized(kernels, dtype, structure, d):
    mixture = Mixture(200, d, 4, structure, dtype, seed=6)
    mixture.X[:] = mixture.X * 1e5 + 1e6
    joint = mixture.log_joint()
    assert joint.max() < -1e9
    R, norm = np.empty((200, 4), dtype), np.empty(200)
    kernels.responsibilities(mixture.X, mixture.pack(kernels), R, norm)
    np.testing.assert_allclose(R.sum(axis=1), 1, rtol=10 * float(np.finfo(dtype).eps))
    # float32 data of this size carry the rounding of x - mean.
    np.testing.assert_allclose(norm, reference.log_norm(joint), rtol=TOLERANCE[dtype])
    _, moments = e_step(kernels, mixture)
    assert moments[0].sum() == pytest.approx(
        mixture.weight.sum(), rel=20 * float(np.finfo(dtype).eps)
    )


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("d", [2, 9])
def test_clusters_far_from_zero_lose_nothing(kernels, dtype, structure, d):
    mixture = Mixture(400, d, 5, structure, dtype, seed=7, shift=1e4)
    value, moments = e_step(kernels, mixture)
    joint = mixture.log_joint()
    tolerance = 10 * TOLERANCE[dtype]
    assert value == pytest.approx(mixture.weight @ reference.log_norm(joint), rel=tolerance)
    assert_moments_close(moments, mixture, reference.responsibilities(joint), tolerance)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("d", [3, 12])
def test_component_of_weight_zero_gets_nothing(kernels, dtype, structure, d):
    mixture = Mixture(200, d, 4, structure, dtype, seed=8)
    mixture.log_weight[2] = -np.inf
    value, moments = e_step(kernels, mixture)
    assert np.isfinite(value)
    for m in moments:
        assert not m[2].any()
        assert m[[0, 1, 3]].any()


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("d", [3, 12])
@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_tiny_and_huge_weights_keep_their_ratios(kernels, dtype, structure, d, scale):
    mixture = Mixture(200, d, 3, structure, dtype, seed=9)
    value, expected = e_step(kernels, mixture)
    mixture.weight *= scale
    scaled_value, scaled = e_step(kernels, mixture)
    # The unit of weights is a power of two, so their mantissas change in the last bits.
    tolerance = 10 * float(np.finfo(dtype).eps)
    assert scaled_value / scale == pytest.approx(value, rel=tolerance)
    for got, wanted in zip(scaled, expected, strict=True):
        np.testing.assert_allclose(
            got / scale, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max()
        )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_all_weights_zero_gives_zeros(kernels, dtype, structure):
    mixture = Mixture(50, 6, 3, structure, dtype)
    mixture.weight[:] = 0
    value, moments = e_step(kernels, mixture)
    assert value == 0
    assert not any(m.any() for m in moments)


def test_no_rows_change_nothing(kernels, dtype):
    mixture = Mixture(0, 6, 3, "full", dtype)
    value, moments = e_step(kernels, mixture)
    assert value == 0
    assert not any(m.any() for m in moments)
    assert (
        kernels.scatter(mixture.X, mixture.weight, np.zeros(6), np.zeros(6), np.zeros((6, 6))) == 0
    )


SCREENED_SHAPES = [(1500, 9, 12), (2111, 16, 5), (1024, 33, 40), (513, 50, 20), (4500, 12, 4)]


def separated(shape, structure, spread, shift=0.0, size=1.0):
    """A float64 mixture large enough to be screened, its components `spread` apart."""
    mixture = Mixture(*shape, structure, np.float64, seed=sum(shape))
    label = np.random.default_rng(sum(shape)).integers(shape[2], size=shape[0])
    far = (spread - 1) * mixture.means
    mixture.X = np.ascontiguousarray(size * (mixture.X + far[label]) + shift)
    mixture.means = size * (mixture.means + far) + shift
    mixture.given = mixture.given / size
    mixture.factors = mixture.factors / size
    return mixture


def assert_equals_small_blocks(kernels, mixture, tolerance=1e-13):
    """Blocks of a few hundred rows are evaluated without a screen."""
    value, got = e_step(kernels, mixture)
    X, weight = mixture.X, mixture.weight
    expected_value, expected = 0.0, None
    for start in range(0, len(X), 300):
        mixture.X, mixture.weight = X[start : start + 300], weight[start : start + 300]
        part, out = e_step(kernels, mixture)
        expected_value += part
        expected = out if expected is None else [a + b for a, b in zip(expected, out, strict=True)]
    mixture.X, mixture.weight = X, weight
    np.testing.assert_allclose(value, expected_value, rtol=tolerance)
    for a, b in zip(got, expected, strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.mark.parametrize("structure", ["full", "diagonal", "spherical"])
@pytest.mark.parametrize("shape", SCREENED_SHAPES, ids=str)
@pytest.mark.parametrize("spread", [0.3, 1, 3, 30])
def test_large_blocks_equal_small_ones(kernels, structure, shape, spread):
    mixture = separated(shape, structure, spread)
    assert_equals_small_blocks(kernels, mixture)


@pytest.mark.parametrize("structure", ["full", "diagonal", "spherical"])
@pytest.mark.parametrize("size", [1e-150, 1e-40, 1e-25, 1e25, 1e39, 1e140])
def test_large_blocks_outside_the_range_of_float32(kernels, structure, size):
    assert_equals_small_blocks(kernels, separated((1200, 10, 8), structure, 3, size=size), 1e-12)


@pytest.mark.parametrize("structure", ["full", "diagonal", "spherical"])
def test_large_blocks_far_from_zero(kernels, structure):
    assert_equals_small_blocks(kernels, separated((1200, 16, 8), structure, 3, shift=1e9))


@pytest.mark.parametrize("structure", ["full", "diagonal", "spherical"])
@pytest.mark.parametrize("outlier", [1e6, 1e25, 1e60, np.inf, np.nan])
def test_large_blocks_with_outliers(kernels, structure, outlier):
    mixture = separated((1300, 12, 10), structure, 3)
    mixture.X[mixture.weight == 0] = outlier
    mixture.weight[700] = 0
    mixture.log_weight[3] = -np.inf
    assert_equals_small_blocks(kernels, mixture)
    mixture.X[700, 5] = outlier
    mixture.weight[700] = 1e-5
    value, moments = e_step(kernels, mixture)
    assert value < -1e6
    if not np.isfinite(outlier):
        assert value == -np.inf
    assert all(np.isfinite(m).all() for m in moments)
    assert not any(m[3].any() for m in moments)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_results_repeat_bit_for_bit(kernels, dtype, structure):
    mixture = Mixture(1000, 9, 11, structure, dtype)
    value, moments = e_step(kernels, mixture)
    X, weight = mixture.X, mixture.weight
    # Other addresses, same numbers.
    mixture.X = np.frombuffer(b"\0" * X.itemsize + X.tobytes(), dtype, offset=X.itemsize).reshape(
        X.shape
    )
    mixture.weight = weight.copy()
    again, moments_again = e_step(kernels, mixture)
    assert value == again
    for a, b in zip(moments, moments_again, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(X, mixture.X)


def test_responsibilities_are_dropped_under_1e_20_alone(kernels, dtype):
    # Two unit components: at x the log odds are 10 x.
    means = np.array([[-5.0] * 1, [5.0]])
    for x, kept in [(4.5, True), (4.7, False)]:
        out = empty_moments("spherical", 2, 1)
        model = kernels.pack_spherical(means, np.ones(2), np.zeros(2), dtype)
        kernels.e_step_spherical(np.array([[x]], dtype), np.ones(1), model, *out)
        assert (out[0][0] > 0) == kept
        if kept:
            assert out[0][0] == pytest.approx(np.exp(-10 * x), rel=1e3 * float(np.finfo(dtype).eps))


def test_wrong_shapes_are_refused(kernels):
    mixture = Mixture(20, 3, 2, "full", np.float64)
    model, out = mixture.pack(kernels), empty_moments("full", 2, 3)
    with pytest.raises(ValueError, match="not packed"):
        kernels.e_step_diagonal(mixture.X, mixture.weight, model, out[0], out[1], out[1])
    with pytest.raises(ValueError, match="shapes"):
        kernels.e_step_full(mixture.X, mixture.weight[:-1], model, *out)
    with pytest.raises(ValueError, match="shapes"):
        kernels.e_step_full(mixture.X, mixture.weight, model, *empty_moments("full", 3, 3))
    with pytest.raises(ValueError, match="shapes"):
        kernels.log_joint(mixture.X, model, np.empty((20, 3)))

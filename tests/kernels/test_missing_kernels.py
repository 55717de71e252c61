"""Every kernel for missing cells agrees with its NumPy twin at every SIMD level."""

import numpy as np
import pytest

from skgen.kernels import available_levels, load
from tests import reference_missing as reference

STRUCTURES = ("full", "tied", "diagonal")
# Rows, features, components.
SHAPES = [
    (1, 1, 1),
    (2, 5, 1),
    (9, 2, 5),
    (150, 4, 3),
    (65, 5, 4),
    (129, 7, 8),
    (61, 8, 17),
    (53, 16, 9),
    (40, 23, 3),
    (30, 33, 12),
    (25, 40, 5),
]
# Both sides solve systems with condition numbers of some hundreds.
TOLERANCE = 1e-12


@pytest.fixture(params=available_levels())
def kernels(request):
    return load("missing", request.param)


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


def list_patterns(missing):
    """order, code and masks of the rows."""
    masks, code = np.unique(missing, axis=0, return_inverse=True)
    code = code.ravel()
    order = np.argsort(code, kind="stable")
    return order.astype(np.int32), code[order].astype(np.int32), masks.astype(np.uint8)


class Mixture:
    """A random mixture with overlapping components and rows with missing cells drawn from it."""

    def __init__(self, n, d, k, structure="full", dtype=np.float64, seed=0, missing=0.3):
        rng = np.random.default_rng(seed)
        self.structure = structure
        self.means = rng.normal(size=(k, d)) * 1.5
        if structure == "diagonal":
            self.given = rng.uniform(0.5, 2, size=(k, d))
            self.factors = self.given[:, :, None] * np.eye(d)
        else:
            shape = (k, d, d) if structure == "full" else (1, d, d)
            self.given = np.triu(rng.normal(size=shape) * 0.3 / np.sqrt(d)) + np.eye(d)
            self.given = np.array(np.broadcast_to(self.given, (k, d, d)), order="C")
            self.factors = self.given
        self.log_weight = np.log(rng.dirichlet(np.full(k, 5.0)))
        self.log_weight += np.log(np.abs(np.linalg.det(self.factors))) - d / 2 * np.log(2 * np.pi)
        self.complete = np.ascontiguousarray(
            self.means[rng.integers(k, size=n)] + rng.normal(size=(n, d)), dtype=dtype
        )
        gone = rng.random((n, d)) < missing
        # Some rows have no cell missing, some all of them, some share a pattern.
        gone[2::7] = False
        gone[4::9] = True
        gone[6::5] = gone[:1]
        self.hide(gone)
        self.weight = rng.uniform(0.2, 3, size=n)
        self.weight[rng.random(n) < 0.1] = 0

    def hide(self, missing):
        self.missing = np.array(np.broadcast_to(missing, self.complete.shape))
        self.X = np.where(self.missing, self.complete.dtype.type(np.nan), self.complete)

    def pack(self, kernels):
        pack = kernels.pack_diagonal if self.structure == "diagonal" else kernels.pack_full
        return pack(self.means, self.given, self.log_weight)

    def rows(self):
        """distance, log_scale, z and spread of the reference."""
        return reference.conditions(self.X, self.missing, self.means, self.factors)

    def log_joint(self, distance, log_scale):
        return reference.log_joint(distance, log_scale, self.missing, self.log_weight, self.factors)

    def take(self, rows):
        """The same mixture with these rows only."""
        part = object.__new__(Mixture)
        part.__dict__.update(self.__dict__)
        for name in ("X", "complete", "missing", "weight"):
            setattr(part, name, np.ascontiguousarray(getattr(self, name)[rows]))
        return part


def empty_moments(structure, k, d):
    shape = {"full": (k, d, d), "tied": (d, d), "diagonal": (k, d)}[structure]
    return [np.zeros(k), np.zeros((k, d)), np.zeros(shape)]


def e_step(kernels, mixture, patterns=None):
    out = empty_moments(mixture.structure, *mixture.means.shape)
    step = getattr(kernels, f"e_step_{mixture.structure}")
    patterns = patterns or list_patterns(mixture.missing)
    return step(mixture.X, mixture.weight, *patterns, mixture.pack(kernels), *out), out


def given_moments(kernels, mixture, R):
    out = empty_moments(mixture.structure, *mixture.means.shape)
    step = getattr(kernels, f"moments_{mixture.structure}")
    patterns = list_patterns(mixture.missing)
    assert step(mixture.X, mixture.weight, *patterns, mixture.pack(kernels), R, *out) is None
    return out


def measure(kernels, mixture):
    shape = len(mixture.X), len(mixture.means)
    distance, log_scale = np.full(shape, np.nan), np.full(shape, np.nan)
    patterns = list_patterns(mixture.missing)
    kernels.distances(mixture.X, *patterns, mixture.pack(kernels), distance, log_scale)
    return distance, log_scale


def expected_moments(mixture, R, z, spread):
    counts, first, second = reference.moments(mixture.weight, R, z, spread)
    if mixture.structure == "tied":
        second = second.sum(axis=0)
    if mixture.structure == "diagonal":
        second = np.einsum("kii->ki", second)
    return counts, first, second


def assert_close(got, expected, tolerance, scale):
    """Sums differ by rounding of their terms' absolute sum, not of their own value."""
    assert got.shape == expected.shape
    assert np.isfinite(got).all()
    assert np.abs(got - expected).max(initial=0) <= tolerance * scale


def assert_moments_close(got, expected, mixture, z, tolerance=TOLERANCE):
    total = max(mixture.weight.sum(), 1e-300)
    spread = 1 + np.abs(z).max()
    for power, (g, e) in enumerate(zip(got, expected, strict=True)):
        assert_close(g, e, tolerance, total * spread**power)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_e_step_agrees_with_the_marginal_densities(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape))
    distance, log_scale, z, spread = mixture.rows()
    joint = mixture.log_joint(distance, log_scale)
    norms = reference.log_norm(joint)
    value, out = e_step(kernels, mixture)
    assert value == pytest.approx(mixture.weight @ norms, rel=TOLERANCE, abs=1e-10)
    expected = expected_moments(mixture, reference.responsibilities(joint), z, spread)
    assert_moments_close(out, expected, mixture, z)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_given_responsibilities_agree_with_numpy(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape) + 1)
    R = np.random.default_rng(0).dirichlet(np.full(shape[2], 0.2), size=shape[0])
    R[R < 1e-3] = 0
    _, _, z, spread = mixture.rows()
    got = given_moments(kernels, mixture, R)
    assert_moments_close(got, expected_moments(mixture, R, z, spread), mixture, z)


@pytest.mark.parametrize("structure", ["full", "diagonal"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_distances_and_scales_agree_with_numpy(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape) + 2)
    expected_distance, expected_scale, _, _ = mixture.rows()
    distance, log_scale = measure(kernels, mixture)
    np.testing.assert_allclose(distance, expected_distance, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(log_scale, expected_scale, rtol=TOLERANCE, atol=TOLERANCE * shape[1])


@pytest.mark.parametrize("structure", ["full", "diagonal"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_completed_rows_agree_with_numpy(kernels, dtype, structure, shape):
    mixture = Mixture(*shape, structure, dtype, seed=sum(shape) + 3)
    R = np.random.default_rng(0).dirichlet(np.full(shape[2], 0.5), size=shape[0])
    _, _, z, _ = mixture.rows()
    out = np.full_like(mixture.X, np.nan)
    kernels.complete(mixture.X, *list_patterns(mixture.missing), mixture.pack(kernels), R, out)
    expected = reference.complete(mixture.X, mixture.missing, R, mixture.means, z)
    np.testing.assert_array_equal(out[~mixture.missing], mixture.X[~mixture.missing])
    np.testing.assert_allclose(out, expected, rtol=1e-6 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("d", range(1, 41))
def test_every_number_of_features(kernels, d):
    mixture = Mixture(24, d, 3, seed=d, missing=0.4)
    expected_distance, expected_scale, z, spread = mixture.rows()
    distance, log_scale = measure(kernels, mixture)
    np.testing.assert_allclose(distance, expected_distance, rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(log_scale, expected_scale, rtol=TOLERANCE, atol=TOLERANCE * d)
    R = reference.responsibilities(mixture.log_joint(expected_distance, expected_scale))
    _, out = e_step(kernels, mixture)
    assert_moments_close(out, expected_moments(mixture, R, z, spread), mixture, z)


@pytest.mark.parametrize("k", range(1, 18))
def test_every_number_of_components(kernels, k):
    mixture = Mixture(40, 6, k, seed=k)
    distance, log_scale, z, spread = mixture.rows()
    joint = mixture.log_joint(distance, log_scale)
    value, out = e_step(kernels, mixture)
    assert value == pytest.approx(mixture.weight @ reference.log_norm(joint), rel=TOLERANCE)
    expected = expected_moments(mixture, reference.responsibilities(joint), z, spread)
    assert_moments_close(out, expected, mixture, z)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("every", [True, False])
def test_rows_alike(kernels, dtype, structure, every):
    """All cells missing: nothing but the prior; none: plain moments."""
    mixture = Mixture(45, 9, 4, structure, dtype, seed=2, missing=0)
    mixture.hide(every)
    _, log_scale, z, spread = mixture.rows()
    distance, got_scale = measure(kernels, mixture)
    if every:
        np.testing.assert_array_equal(distance, 0)
    np.testing.assert_allclose(got_scale, log_scale, atol=TOLERANCE)
    value, out = e_step(kernels, mixture)
    if every:
        prior = np.exp(mixture.log_joint(0, log_scale)[0])
        assert value == pytest.approx(mixture.weight.sum() * np.log(prior.sum()), abs=1e-11)
        np.testing.assert_array_equal(out[1], 0)
        np.testing.assert_allclose(out[0], mixture.weight.sum() * prior / prior.sum(), rtol=1e-12)
    R = reference.responsibilities(mixture.log_joint(distance, got_scale))
    assert_moments_close(out, expected_moments(mixture, R, z, spread), mixture, z)


@pytest.mark.parametrize("structure", ["full", "diagonal"])
def test_complete_rows_agree_with_the_gaussian_kernels(kernels, dtype, structure):
    mixture = Mixture(200, 12, 6, structure, dtype, seed=3, missing=0)
    mixture.hide(False)
    level = kernels.__name__.rpartition("_")[2]
    gaussian = load("gaussian", level)
    pack = getattr(gaussian, f"pack_{structure}")
    model = pack(mixture.means, mixture.given, mixture.log_weight, np.float64)
    expected = empty_moments(structure, *mixture.means.shape)
    X = mixture.X.astype(np.float64)
    expected_value = getattr(gaussian, f"e_step_{structure}")(X, mixture.weight, model, *expected)
    value, out = e_step(kernels, mixture)
    assert value == pytest.approx(expected_value, rel=1e-13)
    for got, wanted in zip(out, expected, strict=True):
        assert np.abs(got - wanted).max() <= 1e-13 * np.abs(wanted).max()


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("junk", [np.inf, -np.inf, 1e300])
def test_missing_cells_may_hold_anything(kernels, structure, junk):
    mixture = Mixture(60, 7, 5, structure, seed=4)
    value, moments = e_step(kernels, mixture)
    distance = measure(kernels, mixture)
    mixture.X[mixture.missing] = junk
    again, moments_again = e_step(kernels, mixture)
    assert value == again
    found = [*moments_again, *measure(kernels, mixture)]
    for a, b in zip([*moments, *distance], found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_outputs_are_added_to(kernels, structure):
    mixture = Mixture(60, 5, 3, structure)
    _, once = e_step(kernels, mixture)
    twice = [a.copy() for a in once]
    getattr(kernels, f"e_step_{structure}")(
        mixture.X, mixture.weight, *list_patterns(mixture.missing), mixture.pack(kernels), *twice
    )
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_allclose(2 * a, b, rtol=1e-15, atol=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_two_blocks_add_up_to_one(kernels, structure):
    mixture = Mixture(101, 9, 5, structure, seed=5)
    value, whole = e_step(kernels, mixture)
    value_1, part_1 = e_step(kernels, mixture.take(slice(0, 43)))
    value_2, part_2 = e_step(kernels, mixture.take(slice(43, None)))
    assert value == pytest.approx(value_1 + value_2, rel=1e-13)
    for a, b, c in zip(whole, part_1, part_2, strict=True):
        np.testing.assert_allclose(a, b + c, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_order_of_patterns_changes_rounding_only(kernels, structure):
    mixture = Mixture(80, 8, 4, structure, seed=6, missing=0.5)
    order, code, masks = list_patterns(mixture.missing)
    value, moments = e_step(kernels, mixture)
    # Another numbering of the patterns, and the rows of each pattern backwards.
    back = np.ascontiguousarray(order[::-1]), len(masks) - 1 - code[::-1], masks[::-1].copy()
    value_back, moments_back = e_step(kernels, mixture, back)
    assert value == pytest.approx(value_back, rel=1e-13)
    for a, b in zip(moments, moments_back, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_a_pattern_may_be_listed_twice(kernels):
    """Patterns that fill the memory for factors, each in a row of its own."""
    mixture = Mixture(90, 40, 9, seed=7, missing=0.9)
    mixture.hide(np.random.default_rng(7).random((90, 40)) < 0.9)
    order = np.arange(90, dtype=np.int32)
    value, moments = e_step(kernels, mixture, (order, order, mixture.missing.astype(np.uint8)))
    expected_value, expected = e_step(kernels, mixture)
    assert value == pytest.approx(expected_value, rel=1e-13)
    for a, b in zip(moments, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_weight_zero_is_an_absent_row_even_if_infinite(kernels, dtype, structure):
    mixture = Mixture(80, 6, 4, structure, dtype, seed=8)
    kept = mixture.weight > 0
    mixture.X[~kept] = np.inf
    value, moments = e_step(kernels, mixture)
    order, code, masks = list_patterns(mixture.missing)
    listed = kept[order]
    expected_value, expected = e_step(kernels, mixture, (order[listed], code[listed], masks))
    assert value == expected_value
    for got, wanted in zip(moments, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_impossible_row_spoils_the_sum_but_not_the_moments(kernels, dtype, structure, bad):
    mixture = Mixture(60, 6, 4, structure, dtype, seed=9)
    mixture.weight[:] = 1
    mixture.missing[17] = np.arange(6) > 2
    mixture.hide(mixture.missing)
    mixture.X[17, 1] = bad
    value, moments = e_step(kernels, mixture)
    assert value == -np.inf
    mixture.weight[17] = 0
    value, expected = e_step(kernels, mixture)
    assert np.isfinite(value)
    for got, wanted in zip(moments, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_far_rows_are_normalized(kernels, dtype, structure):
    mixture = Mixture(60, 6, 4, structure, dtype, seed=10)
    mixture.complete = (mixture.complete * 1e5 + 1e6).astype(dtype)
    mixture.hide(mixture.missing)
    distance, log_scale, _, _ = mixture.rows()
    joint = mixture.log_joint(distance, log_scale)
    value, moments = e_step(kernels, mixture)
    assert value == pytest.approx(mixture.weight @ reference.log_norm(joint), rel=1e-12)
    assert moments[0].sum() == pytest.approx(mixture.weight.sum(), rel=1e-13)
    assert all(np.isfinite(m).all() for m in moments)


@pytest.mark.parametrize("structure", ["full", "diagonal"])
@pytest.mark.parametrize("k", [4, 9])
def test_component_of_weight_zero_gets_nothing(kernels, structure, k):
    mixture = Mixture(80, 7, k, structure, seed=11)
    mixture.log_weight[2] = -np.inf
    value, moments = e_step(kernels, mixture)
    others = np.arange(k) != 2
    mixture.means, mixture.log_weight = mixture.means[others], mixture.log_weight[others]
    mixture.given = np.ascontiguousarray(mixture.given[others])
    expected_value, expected = e_step(kernels, mixture)
    assert value == pytest.approx(expected_value, rel=1e-13)
    for got, wanted in zip(moments, expected, strict=True):
        assert not got[2].any()
        np.testing.assert_allclose(got[others], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_removed_component_may_hold_anything(kernels, bad):
    mixture = Mixture(80, 7, 5, seed=12)
    mixture.log_weight[1] = -np.inf
    value, moments = e_step(kernels, mixture)
    mixture.given[1] = bad
    mixture.means[1] = bad
    again, moments_again = e_step(kernels, mixture)
    assert value == again
    for a, b in zip(moments, moments_again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("deviation", [1e-3, 1e-6, 1e-8])
def test_ill_conditioned_covariances_lose_no_digits(kernels, deviation):
    """x_1 = x_0 + deviation * e: an error of the completed cell enters the distance squared."""
    P = np.array([[1.0, -1 / deviation], [0.0, 1 / deviation]])
    total = 1 + deviation**2
    model = kernels.pack_full(
        np.zeros((1, 2)), P[None], np.array([-np.log(2 * np.pi)]) - np.log(deviation)
    )
    X = np.array([[0.7, np.nan], [np.nan, -1.3]])
    patterns = np.array([0, 1], np.int32), np.array([0, 1], np.int32), np.uint8([[0, 1], [1, 0]])
    distance, log_scale, out = np.empty((2, 1)), np.empty((2, 1)), np.empty((2, 2))
    kernels.distances(X, *patterns, model, distance, log_scale)
    kernels.complete(X, *patterns, model, np.ones((2, 1)), out)
    np.testing.assert_allclose(distance[:, 0], [0.49, 1.69 / total], rtol=1e-14)
    np.testing.assert_allclose(log_scale[:, 0], [0, -0.5 * np.log(total)], atol=1e-14)
    np.testing.assert_allclose(out, [[0.7, 0.7], [-1.3 / total, -1.3]], rtol=1e-14)
    moments = empty_moments("full", 1, 2)
    value = kernels.e_step_full(X, np.ones(2), *patterns, model, *moments)
    expected = -0.245 - 0.845 / total - 0.5 * np.log(total) - np.log(2 * np.pi)
    assert value == pytest.approx(expected, rel=1e-14)
    z = out[1]
    second = 0.49 + np.outer(z, z) + np.diag([deviation**2 / total, deviation**2])
    np.testing.assert_allclose(moments[2][0], second, rtol=1e-14)


@pytest.mark.parametrize("tiny", [1e-7, 1e-9, 1e-12, 1e-100])
@pytest.mark.parametrize("d", [3, 12, 30])
def test_a_precision_singular_within_rounding_stays_finite(kernels, tiny, d):
    """Columns of P that all but vanish: Lambda_uu has no Cholesky factor in float64."""
    mixture = Mixture(60, d, 3, seed=14)
    mixture.given[1, :, d // 3 : d - 1] *= tiny
    value, moments = e_step(kernels, mixture)
    distance, log_scale = measure(kernels, mixture)
    assert np.isfinite(value)
    assert all(np.isfinite(a).all() for a in [*moments, distance, log_scale])
    for second in moments[2]:
        np.testing.assert_array_equal(second, second.T)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_tiny_and_huge_weights_keep_their_ratios(kernels, structure, scale):
    mixture = Mixture(60, 6, 3, structure, seed=15)
    value, expected = e_step(kernels, mixture)
    mixture.weight *= scale
    scaled_value, scaled = e_step(kernels, mixture)
    assert scaled_value / scale == pytest.approx(value, rel=1e-13)
    for got, wanted in zip(scaled, expected, strict=True):
        np.testing.assert_allclose(got / scale, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_all_weights_zero_gives_zeros(kernels, dtype, structure):
    mixture = Mixture(50, 6, 3, structure, dtype)
    mixture.weight[:] = 0
    value, moments = e_step(kernels, mixture)
    assert value == 0
    assert not any(m.any() for m in moments)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_no_rows_change_nothing(kernels, dtype, structure):
    mixture = Mixture(1, 6, 3, structure, dtype).take(slice(0, 0))
    value, moments = e_step(kernels, mixture)
    assert value == 0
    assert not any(m.any() for m in moments)
    assert not any(m.any() for m in given_moments(kernels, mixture, np.empty((0, 3))))
    measure(kernels, mixture)
    patterns = list_patterns(mixture.missing)
    kernels.complete(mixture.X, *patterns, mixture.pack(kernels), np.empty((0, 3)), mixture.X)


def test_rows_not_listed_count_for_nothing(kernels):
    mixture = Mixture(40, 5, 3, seed=16)
    kept = np.arange(40) % 3 > 0
    order, code, masks = list_patterns(mixture.missing)
    listed = kept[order]
    value, moments = e_step(kernels, mixture, (order[listed], code[listed], masks))
    mixture.weight[~kept] = 0
    expected_value, expected = e_step(kernels, mixture)
    assert value == expected_value
    for a, b in zip(moments, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_responsibilities_are_dropped_under_1e_20_alone(kernels):
    # Two unit components: at x the log odds are 10 x; the second feature misses.
    means = np.array([[-5.0, 0.0], [5.0, 0.0]])
    one = np.zeros(1, dtype=np.int32)
    mask = np.array([[0, 1]], dtype=np.uint8)
    for x, kept in [(4.5, True), (4.7, False)]:
        out = empty_moments("diagonal", 2, 2)
        model = kernels.pack_diagonal(means, np.ones((2, 2)), np.zeros(2))
        X = np.array([[x, np.nan]])
        kernels.e_step_diagonal(X, np.ones(1), one, one, mask, model, *out)
        assert (out[0][0] > 0) == kept
        if kept:
            assert out[0][0] == pytest.approx(np.exp(-10 * x), rel=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_results_repeat_bit_for_bit(kernels, dtype, structure):
    mixture = Mixture(90, 9, 11, structure, dtype)
    value, moments = e_step(kernels, mixture)
    X = mixture.X
    # Other addresses, same numbers.
    mixture.X = np.frombuffer(b"\0" * X.itemsize + X.tobytes(), dtype, offset=X.itemsize)
    mixture.X = mixture.X.reshape(X.shape)
    again, moments_again = e_step(kernels, mixture)
    assert value == again
    for a, b in zip(moments, moments_again, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(X, mixture.X)


def test_wrong_shapes_are_refused(kernels):
    mixture = Mixture(20, 3, 2)
    X, weight, model = mixture.X, mixture.weight, mixture.pack(kernels)
    order, code, masks = list_patterns(mixture.missing)
    out = empty_moments("full", 2, 3)
    R = np.ones((20, 2))
    with pytest.raises(ValueError, match="not packed"):
        kernels.e_step_diagonal(X, weight, order, code, masks, model, out[0], out[1], out[1])
    with pytest.raises(ValueError, match="shapes"):
        kernels.e_step_full(X, weight[:-1], order, code, masks, model, *out)
    with pytest.raises(ValueError, match="shapes"):
        kernels.e_step_full(X, weight, order, code, masks, model, *empty_moments("full", 3, 3))
    with pytest.raises(ValueError, match="second moments"):
        kernels.e_step_full(X, weight, order, code, masks, model, *out[:2], out[2][:1])
    with pytest.raises(ValueError, match="second moments"):
        kernels.e_step_tied(X, weight, order, code, masks, model, *out[:2], np.zeros((3, 2)))
    with pytest.raises(ValueError, match="shapes"):
        kernels.e_step_full(X, weight, order, code, masks, model[:-1].copy(), *out)
    with pytest.raises(ValueError, match="order"):
        kernels.e_step_full(X, weight, order[:-1], code, masks, model, *out)
    with pytest.raises(ValueError, match="order"):
        kernels.e_step_full(X, weight, order + 1, code, masks, model, *out)
    with pytest.raises(ValueError, match="order"):
        kernels.e_step_full(X, weight, order, code + 1, masks, model, *out)
    with pytest.raises(ValueError, match="masks"):
        kernels.e_step_full(X, weight, order, code, masks[:, :2].copy(), model, *out)
    with pytest.raises(ValueError, match="responsibilities"):
        kernels.moments_full(X, weight, order, code, masks, model, R[:, :1].copy(), *out)
    with pytest.raises(ValueError, match="shapes"):
        kernels.distances(X, order, code, masks, model, R, np.empty((20, 3)))
    with pytest.raises(ValueError, match="shapes"):
        kernels.complete(X, order, code, masks, model, R, np.empty((20, 2)))
    with pytest.raises(ValueError, match="shapes"):
        kernels.pack_full(mixture.means, mixture.given[:, :2].copy(), mixture.log_weight)
    with pytest.raises(ValueError, match="shapes"):
        kernels.pack_diagonal(mixture.means, np.ones((2, 3)), mixture.log_weight[:1])


def test_a_model_of_another_level_is_refused():
    levels = available_levels()
    mixture = Mixture(20, 3, 2)
    model = mixture.pack(load("missing", levels[0]))
    for level in levels[1:]:
        with pytest.raises(ValueError, match="not packed"):
            load("missing", level).distances(
                mixture.X,
                *list_patterns(mixture.missing),
                model,
                np.empty((20, 2)),
                np.empty((20, 2)),
            )

"""The k-means kernels against their NumPy twins, under every SIMD level this processor runs."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from skgen import kernels
from skgen.cluster import lloyd as engine
from skgen.cluster.lloyd import assign, lloyd, transform
from skgen.rows import Rows
from tests import reference_kmeans as reference

LEVELS = kernels.available_levels()
DTYPES = [np.float32, np.float64]
SHAPES = [
    (1, 1, 1), (3, 1, 7), (7, 2, 3), (130, 2, 20), (65, 3, 6), (64, 4, 13), (200, 5, 8), (97, 8, 5),
    (150, 13, 33), (129, 16, 64), (90, 17, 11), (50, 31, 40), (77, 33, 1), (100, 40, 100),
    (61, 50, 17), (25, 64, 31), (40, 130, 70),
]  # fmt: skip


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch):
    module = kernels.load("kmeans", request.param)
    monkeypatch.setattr(kernels, "kmeans", module)
    return module


def whole_numbers(n, d, k, dtype, seed=0):
    """Rows and centers of small integers: every score is exact, and there are many ties."""
    random = np.random.default_rng(seed)
    X = random.integers(-4, 5, (n, d)).astype(dtype)
    return X, random.integers(-4, 5, (k, d)).astype(dtype)


def overlapping(n, d, k, dtype, seed=0, separation=4.0):
    random = np.random.default_rng(seed)
    centers = random.standard_normal((k, d)) * separation / np.sqrt(2 * d)
    return (centers[random.integers(0, k, n)] + random.standard_normal((n, d))).astype(dtype)


def step(module, layout, X, centers, labels, weight, fresh=False, scale=1.0):
    """Run one step kernel; returns its statistic."""
    k, d = centers.shape
    packed_for = {"points": engine.PointsLayout, "panels": engine.PanelsLayout}[layout]
    packed = packed_for(k, d, centers.dtype)
    packed.prepare(centers)
    moves = engine.Moves(k, d)
    frame = engine.Frame(np.zeros(d, X.dtype), scale, np.zeros(d, X.dtype))
    packed.step(engine_block(X, weight), frame, labels, moves, fresh)
    return moves


def engine_block(X, weight):
    return Rows(X, weight).block(0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["points", "panels"])
def test_step_finds_lowest_nearest_center_and_moves_rows(level, layout, shape, dtype):
    n, d, k = shape
    X, centers = whole_numbers(n, d, k, dtype)
    weight = np.random.default_rng(1).integers(0, 3, n).astype(float)
    labels = np.full(n, -1, dtype=np.int32)
    moves = step(level, layout, X, centers, labels, weight)
    expected = reference.nearest(X, centers)
    np.testing.assert_array_equal(labels, expected)
    sums, weights, members = reference.tally(X, weight, expected, k)
    np.testing.assert_array_equal(moves.sums, sums)
    np.testing.assert_array_equal(moves.weights, weights)
    np.testing.assert_array_equal(moves.members, members)
    np.testing.assert_array_equal(moves.touched, members > 0)
    assert moves.changed == (weight > 0).sum()

    # From other labels: the difference of the tallies; afresh: all of the new one.
    for fresh in (False, True):
        before = np.random.default_rng(2).integers(0, k, n).astype(np.int32)
        labels = before.copy()
        moves = step(level, layout, X, centers, labels, weight, fresh)
        old = (0, 0, 0) if fresh else reference.tally(X, weight, before, k)
        np.testing.assert_array_equal(labels, expected)
        np.testing.assert_array_equal(moves.sums, sums - old[0])
        np.testing.assert_array_equal(moves.weights, weights - old[1])
        np.testing.assert_array_equal(moves.members, members - old[2])
        assert moves.changed == ((before != expected) & (weight > 0)).sum()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_layouts_agree_bit_for_bit(level, shape, dtype):
    n, d, k = shape
    X = overlapping(n, d, k, dtype)
    centers = np.random.default_rng(3).standard_normal((k, d)).astype(dtype)
    centers[k // 2] = centers[0]
    found = []
    for layout in ("points", "panels"):
        labels = np.full(n, -1, dtype=np.int32)
        moves = step(level, layout, X, centers, labels, np.ones(n))
        found.append((labels, moves.sums))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    # The score rounds, so the label may be any center within its rounding of the nearest.
    distances = reference.distances(X, centers)
    chosen = distances[np.arange(n), found[0][0]]
    room = 8 * (d + 8) * np.finfo(dtype).eps * ((X**2).sum(1) + (centers**2).sum(1).max())
    assert (chosen**2 - distances.min(axis=1) ** 2 <= room).all()


def mostly_zeros(n, d, dtype, seed=0):
    """Rows of which a quarter is not zero, some all zero, some zeros with a sign."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, d)) * (random.random((n, d)) < random.random(d) / 2)
    X[:: n // 7 + 1] = 0
    X[random.random((n, d)) < 0.02] = -0.0
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [(1, 33, 1), (47, 40, 9), (130, 64, 33), (77, 100, 150), (49, 801, 100), (20, 5000, 70)],
)
def test_skipping_zeros_changes_no_bit(level, shape, dtype):
    n, d, k = shape
    X = mostly_zeros(n, d, dtype)
    centers = (0.3 * np.random.default_rng(3).standard_normal((k, d))).astype(dtype)
    centers[k // 2] = centers[0]
    weight = np.random.default_rng(1).random(n)
    layout = engine.PanelsLayout(k, d, X.dtype)
    layout.prepare(centers)
    found = []
    for skip in (False, True):
        frame = engine.Frame(np.zeros(d, dtype), 0.5, np.zeros(d, dtype), skip)
        labels, moves = np.full(n, -1, dtype=np.int32), engine.Moves(k, d)
        layout.step(engine_block(X, weight), frame, labels, moves, False)
        again = np.empty_like(labels)
        layout.nearest(engine_block(X, weight), frame, again, k)
        np.testing.assert_array_equal(again, labels)
        found.append((labels, moves.sums, moves.members, moves.changed))
    for dense, skipping in zip(*found, strict=True):
        np.testing.assert_array_equal(dense, skipping)
    # Else the test would say little.
    assert k < 30 or len(np.unique(found[0][0])) > 5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_groups", [1, 2, 8])
def test_bounds_and_skipping_never_change_labels_or_centers(level, n_groups, dtype, monkeypatch):
    monkeypatch.setattr(engine, "MOST_GROUPS", n_groups)
    monkeypatch.setattr(engine, "SKIP_GROUP", 1)
    X = mostly_zeros(700, 90, dtype)
    weight = np.random.default_rng(4).integers(0, 3, len(X)).astype(float)
    start = mostly_zeros(60, 90, dtype, seed=1)
    frame, _ = engine.Frame.around(Rows(X, weight), start)
    assert frame.skip and not frame.origin.any()
    results = [
        lloyd(Rows(X, weight), start, max_iter=40, tol_absolute=0.0, algorithm=algorithm)
        for algorithm in ("lloyd", "elkan", "auto")
    ]
    # The same about the origin zero with every feature scored.
    around = engine.Frame.around

    def dense_frame(rows, centers):
        frame, square = around(rows, centers)
        return engine.Frame(frame.origin, frame.scale, frame.shift), square

    monkeypatch.setattr(engine.Frame, "around", dense_frame)
    results.append(lloyd(Rows(X, weight), start, max_iter=40, tol_absolute=0.0, algorithm="lloyd"))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].labels, other.labels)
        np.testing.assert_array_equal(results[0].centers, other.centers)
        assert results[0].n_iter == other.n_iter > 3
        assert results[0].history == other.history


def test_zeros_are_not_skipped_far_from_zero_or_where_they_are_few():
    X = mostly_zeros(300, 50, np.float64)
    assert engine.Frame.around(Rows(X), X[:5])[0].skip
    assert engine.Frame.around(Rows(X * 2.0**600), X[:5] * 2.0**600)[0].skip
    far = X.copy()
    far[:, 0] = 1e4
    assert not engine.Frame.around(Rows(far), far[:5])[0].skip
    assert not engine.Frame.around(Rows(far * 2.0**600), far[:5] * 2.0**600)[0].skip
    assert not engine.Frame.of_centers(far[:5]).skip
    assert not engine.Frame.around(Rows(overlapping(300, 50, 5, np.float64)), X[:5])[0].skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_groups", [1, 3, 8])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(400, 2, 9), (500, 6, 50), (300, 40, 70), (300, 130, 33)])
def test_bounds_never_change_labels_or_centers(level, shape, n_groups, ties, dtype, monkeypatch):
    monkeypatch.setattr(engine, "MOST_GROUPS", n_groups)
    n, d, k = shape
    X = whole_numbers(n, d, k, dtype)[0] if ties else overlapping(n, d, k, dtype)
    weight = np.random.default_rng(4).integers(0, 3, n).astype(float)
    start = X[:k].copy()
    results = [
        lloyd(Rows(X, weight), start, max_iter=40, tol_absolute=0.0, algorithm=algorithm)
        for algorithm in ("lloyd", "elkan", "auto")
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].labels, other.labels)
        np.testing.assert_array_equal(results[0].centers, other.centers)
        assert results[0].n_iter == other.n_iter
        assert results[0].history == other.history


def test_bounds_leave_out_scores():
    X = overlapping(3000, 20, 40, np.float64, separation=12.0)
    rows, scored = Rows(X), []
    run = engine.Search.run

    def counting(search, fresh):
        moves = run(search, fresh)
        scored.append(moves.scored)
        return moves

    engine.Search.run = counting
    try:
        lloyd(rows, X[:40].copy(), max_iter=30, tol_absolute=0.0, algorithm="elkan")
    finally:
        engine.Search.run = run
    assert scored[1] >= 3000 * 40
    assert scored[-1] < 0.2 * 3000 * 40


@pytest.mark.parametrize("dtype", DTYPES)
def test_update_moves_centers_to_means(level, dtype):
    random = np.random.default_rng(0)
    k, d = 7, 5
    X = random.standard_normal((50, d)).astype(dtype)
    weight = random.random(50)
    labels = random.integers(0, k, 50)
    sums, weights, members = reference.tally(X, weight, labels, k)
    old = random.standard_normal((k, d)).astype(dtype)
    new, drift = old.copy(), np.empty(k, dtype)
    part, shift, largest = engine.specialized("update", new.dtype)(
        sums, weights, members.astype(np.int64), new, drift, 1e-6
    )
    means = sums / weights[:, None]
    np.testing.assert_allclose(new, means, rtol=4 * np.finfo(dtype).eps)
    moved = np.sqrt(((new.astype(float) - old) ** 2).sum(axis=1))
    assert (drift >= moved).all()
    np.testing.assert_allclose(drift, moved, rtol=1e-5)
    np.testing.assert_allclose(shift, (moved**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(largest, (new.astype(float) ** 2).sum(axis=1).max(), rtol=1e-12)
    inertia = (weight * ((X - old[labels].astype(float)) ** 2).sum(axis=1)).sum()
    total = (weight[:, None] * X.astype(float) ** 2).sum()
    np.testing.assert_allclose(total + part, inertia, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_survey_sums_about_a_point(level, dtype):
    random = np.random.default_rng(0)
    X, weight = random.standard_normal((33, 3)).astype(dtype), random.random(33)
    near, sums, squares = X[0].copy(), np.zeros(3), np.zeros(3)
    largest = engine.specialized("survey", X.dtype)(X, weight, near, sums, squares, 0.5)
    moved = (X.astype(float) - near) * 0.5
    np.testing.assert_allclose(sums, weight @ moved, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(squares, weight @ moved**2, rtol=1e-12)
    assert largest == np.abs(X).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_assign_and_transform_match_direct_distances(level, shape, dtype):
    n, d, k = shape
    X = overlapping(n, d, k, dtype) + dtype(100)
    centers = overlapping(k, d, k, dtype, 1) + dtype(100)
    labels, distances = np.empty(n, np.int32), np.empty(n)
    inertia = assign(Rows(X), centers, labels, distances)
    expected = reference.distances(X, centers)
    np.testing.assert_allclose(distances, expected[np.arange(n), labels], rtol=1e-12)
    np.testing.assert_allclose(inertia, (distances**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e4 * np.finfo(dtype).eps)
    out = transform(Rows(X), centers, np.empty((n, k), dtype))
    np.testing.assert_allclose(out, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 3, 4), (400, 40, 6)])
def test_lloyd_matches_numpy_and_weights_are_repetitions(level, shape, dtype):
    n, d, k = shape
    X = overlapping(n, d, k, dtype)
    weight = np.random.default_rng(0).integers(0, 4, n).astype(float)
    start = X[weight > 0][:k].copy()
    result = lloyd(Rows(X, weight), start, max_iter=300, tol_absolute=0.0)
    labels, centers = reference.lloyd(X, start, weight, 300)
    assert result.reason == "labels unchanged" and result.converged
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_allclose(result.centers, centers, rtol=0, atol=20 * np.finfo(dtype).eps)
    assert (np.diff(result.history) <= 1e-12 * result.history[0]).all()
    np.testing.assert_allclose(result.history[-1], result.inertia, rtol=1e-6)
    repeated = np.repeat(X, weight.astype(int), axis=0)
    other = lloyd(Rows(repeated), start, max_iter=300, tol_absolute=0.0)
    # Sums of some hundred terms in another order, moved in and out over the iterations.
    np.testing.assert_allclose(other.centers, result.centers, rtol=0, atol=20 * np.finfo(dtype).eps)
    assert other.n_iter == result.n_iter


@pytest.mark.parametrize("tol", [0.0, 1e-3])
@pytest.mark.parametrize("max_iter", [1, 5, 100])
def test_lloyd_iterates_as_scikit_learn(tol, max_iter):
    X = overlapping(2000, 6, 8, np.float64)
    start = X[:8].copy()
    ours = lloyd(
        Rows(X), start, max_iter=max_iter, tol_absolute=tol * float(np.var(X, axis=0).mean())
    )
    with np.errstate(all="ignore"):
        theirs = KMeans(8, init=start, n_init=1, tol=tol, max_iter=max_iter).fit(X)
    assert ours.n_iter == theirs.n_iter_
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, rtol=1e-10)
    np.testing.assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-12)
    again = np.empty(len(X), np.int32)
    assign(Rows(X), ours.centers, again)
    np.testing.assert_array_equal(again, ours.labels)


@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_result_does_not_depend_on_threads(algorithm, dtype):
    X = overlapping(40000, 10, 12, dtype)
    weight = np.random.default_rng(0).random(len(X))
    first, *others = [
        lloyd(
            Rows(X, weight, n_threads=n), X[:12].copy(), max_iter=8, tol_absolute=0.0,
            algorithm=algorithm,
        )
        for n in (1, 2, 5)
    ]  # fmt: skip
    for other in others:
        assert first.centers.tobytes() == other.centers.tobytes()
        assert first.labels.tobytes() == other.labels.tobytes()
        assert first.inertia == other.inertia and first.history == other.history


@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
def test_empty_clusters_move_to_the_farthest_rows(algorithm):
    X = overlapping(500, 3, 4, np.float64, separation=8.0)
    start = np.concatenate([X[:4], np.full((3, 3), 1e3) + np.arange(3)[:, None]])
    ours = lloyd(Rows(X), start, max_iter=100, tol_absolute=0.0, algorithm=algorithm)
    theirs = KMeans(7, init=start, n_init=1, tol=0, max_iter=100).fit(X)
    assert len(np.unique(ours.labels)) == 7
    np.testing.assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-10)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)


def test_fewer_distinct_rows_than_centers_end_with_inertia_zero():
    X = np.repeat([[0.0, 1.0], [2.0, 3.0]], 5, axis=0)
    start = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0], [9.0, 9.0]])
    result = lloyd(Rows(X), start, max_iter=10, tol_absolute=0.0)
    assert result.inertia == 0.0 and np.isfinite(result.centers).all()


@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
@pytest.mark.parametrize("exponent", [-120, 120])
def test_scale_by_a_power_of_two_changes_nothing(exponent, algorithm):
    dtype = np.float32
    X = overlapping(500, 5, 6, dtype)
    plain = lloyd(Rows(X), X[:6].copy(), max_iter=50, tol_absolute=0.0, algorithm=algorithm)
    by = dtype(2.0**exponent)
    scaled = lloyd(Rows(X * by), X[:6] * by, max_iter=50, tol_absolute=0.0, algorithm=algorithm)
    np.testing.assert_array_equal(plain.labels, scaled.labels)
    np.testing.assert_array_equal(plain.centers * by, scaled.centers)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_far_from_zero_keep_their_partition(dtype):
    X = overlapping(600, 5, 4, np.float64, separation=8.0)
    # Multiples of 2^-7 stay exact after the shift.
    X = np.round(X * 128) / 128
    shift = 2.0**14 if dtype is np.float32 else 2.0**40
    plain = lloyd(Rows(X.astype(dtype)), X[:4].astype(dtype), max_iter=50, tol_absolute=0.0)
    moved = (X + shift).astype(dtype)
    far = lloyd(Rows(moved), moved[:4].copy(), max_iter=50, tol_absolute=0.0)
    np.testing.assert_array_equal(plain.labels, far.labels)
    ulp = np.spacing(dtype(shift))
    np.testing.assert_allclose(far.centers - dtype(shift), plain.centers, rtol=0, atol=ulp)
    np.testing.assert_allclose(far.inertia, plain.inertia, rtol=1e-5)


def test_squares_beyond_the_largest_number_give_labels_or_an_error():
    X = overlapping(100, 3, 3, np.float64, separation=20.0)
    plain = lloyd(Rows(X), X[:3].copy(), max_iter=50, tol_absolute=0.0)
    labels = np.empty(100, np.int32)
    by = 2.0**600
    with pytest.raises(ValueError, match="largest float64; scale X down"):
        assign(Rows(X * by), plain.centers * by, labels)
    np.testing.assert_array_equal(labels, plain.labels)
    with pytest.raises(ValueError, match="largest float64; scale X down"):
        lloyd(Rows(X * by), X[:3] * by, max_iter=50, tol_absolute=0.0)


def test_rows_far_beyond_the_centers_get_a_label():
    X = np.array([[1e30, 0], [-1e30, 0], [0, 1e30]], np.float32)
    centers = np.array([[1e-10, 0], [-1e-10, 0], [0, 1e-10]], np.float32)
    labels = np.empty(3, np.int32)
    assign(Rows(X), centers, labels)
    assert ((labels >= 0) & (labels < 3)).all()


def test_monitor_sees_each_iteration_and_may_stop():
    X = overlapping(500, 3, 5, np.float64)
    seen = []

    def monitor(iteration, inertia, centers):
        seen.append((iteration, inertia, centers))
        return iteration == 3

    result = lloyd(Rows(X), X[:5].copy(), max_iter=50, tol_absolute=0.0, monitor=monitor)
    assert result.reason == "stopped by callback" and not result.converged
    assert [i for i, _, _ in seen] == [1, 2, 3] and result.n_iter == 3
    assert [v for _, v, _ in seen] == result.history
    np.testing.assert_array_equal(seen[-1][2], result.centers)


def test_long_runs_do_not_drift(monkeypatch):
    X = overlapping(3000, 4, 30, np.float64, separation=1.0) + 100
    weight = np.random.default_rng(0).random(3000)
    start = X[:30].copy()
    monkeypatch.setattr(engine, "REFRESH_EVERY", 10**6)
    drifting = lloyd(Rows(X, weight), start, max_iter=200, tol_absolute=0.0)
    monkeypatch.setattr(engine, "REFRESH_EVERY", 1)
    exact = lloyd(Rows(X, weight), start, max_iter=200, tol_absolute=0.0)
    assert drifting.n_iter > 30
    np.testing.assert_allclose(drifting.centers, exact.centers, rtol=1e-11)

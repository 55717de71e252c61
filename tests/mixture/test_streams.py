"""partial_fit: stepwise EM of unnamed blocks, exact memoized EM of named batches."""

import pickle

import numpy as np
import pytest

from skgen.mixture import BayesianGaussianMixture, GaussianMixture, MAPGaussianMixture
from tests import reference_mixture as reference
from tests.problems import assert_same_bits, fitted_state, holes, overlapping, separated
from tests.reference_mixture import STRUCTURES, Posterior, dense, flat_prior, some_prior

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

every_structure = pytest.mark.parametrize("structure", STRUCTURES)
CLASSES = (GaussianMixture, MAPGaussianMixture, BayesianGaussianMixture)
every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
PARAMETERS = ("weights_", "means_", "covariances_")


def build(kind, k, structure="full", **arguments):
    arguments = {"random_state": 0, "reg_covar": 0.0} | arguments
    return kind(n_components=k, covariance_type=structure, **arguments)


def params_of(fitted):
    return tuple(getattr(fitted, name) for name in PARAMETERS)


def some_weights(n, seed=0):
    return np.random.default_rng(seed).uniform(0.3, 2.5, size=n)


def raw(count, center, scatter):
    """Moments about the origin, which add up."""
    outer = center[:, :, None] * center[:, None, :]
    return count, count[:, None] * center, scatter + count[:, None, None] * outer


def centered(count, first, second):
    """Moments about the means again."""
    center = first / count[:, None]
    return count, center, second - count[:, None, None] * center[:, :, None] * center[:, None, :]


def share(statistic, total):
    return tuple(part / total for part in statistic)


def mix(old, new, step):
    return tuple((1.0 - step) * a + step * b for a, b in zip(old, new, strict=True))


def statistic_of(fitted):
    """The per-row statistic that maximum likelihood parameters stand for."""
    weights, means, covariances = params_of(fitted)
    matrices = dense(fitted.covariance_type, covariances, *means.shape)
    return raw(weights, means, weights[:, None, None] * matrices)


# Stepwise EM --------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@every_structure
def test_unnamed_blocks_move_the_statistic_by_the_step(structure, weighted, missing):
    """s <- (1 - g) s + g s_block,  g = (t + offset)^-decay: Cappe and Moulines (2009)."""
    mixture = build(GaussianMixture, 2, structure, learning_decay=0.6, learning_offset=3.0)
    prior = flat_prior(structure, 2)
    for t in range(5):
        X = overlapping(n=60, d=2, k=2)[::-1] if t == 0 else overlapping(n=40, d=2, k=2, seed=t)
        X = holes(X, seed=t) if missing else X
        weight = some_weights(len(X), t) if weighted else None
        if t:
            ones = np.ones(len(X)) if weight is None else weight
            known = reference.e_step(X, structure, *params_of(mixture))
            block = raw(*reference.expected_moments(known, ones))
            statistic = mix(statistic_of(mixture), share(block, ones.sum()), (t + 3.0) ** -0.6)
            expected = reference.maximize(prior, *centered(*statistic))
        mixture.partial_fit(X, sample_weight=weight)
        if t:
            for name, value in zip(PARAMETERS, expected, strict=True):
                np.testing.assert_allclose(
                    getattr(mixture, name), value, rtol=1e-8, atol=1e-8, err_msg=name
                )


def mean_field_statistic(q, rows):
    """The per-row statistic that a posterior of so many rows stands for."""
    k, d = q.shape
    prior = q.prior
    count = q.precision - prior.precision
    first = q.precision[:, None] * q.means - prior.precision * prior.mean
    prior_scale = dense(
        "full" if q.structure in ("full", "tied") else q.structure, [prior.scale] * k, k, d
    )
    pull = prior.precision * np.outer(prior.mean, prior.mean)
    outer = q.means[:, :, None] * q.means[:, None, :]
    second = q.scales - prior_scale - pull + q.precision[:, None, None] * outer
    return share((count, first, second), rows)


def two_groups(n, share_of_first, seed):
    """Rows of two groups that overlap a little."""
    rng = np.random.default_rng(seed)
    first = np.arange(n) < round(share_of_first * n)
    return np.where(first[:, None], [0.0, 0.0], [3.0, 2.0]) + rng.normal(size=(n, 2))


@pytest.mark.parametrize("total", [None, 5000])
@pytest.mark.parametrize("sticks", [False, True])
@pytest.mark.parametrize("structure", ["full", "diag"])
def test_unnamed_blocks_move_the_posterior_by_the_step(structure, sticks, total):
    """Stochastic variational inference, Hoffman et al. (2013), with the rows of the stream."""
    prior = some_prior(structure, 2, sticks=sticks)
    mixture = build(
        BayesianGaussianMixture,
        2,
        structure,
        learning_decay=0.7,
        learning_offset=2.0,
        total_samples=total,
        **{k: v for k, v in prior.mean_field_arguments.items() if k != "covariance_type"},
    )
    seen = 0
    for t in range(5):
        # The groups change places in size, and with them, under sticks, the components.
        X = two_groups(50 + 10 * t, 0.6 if t == 0 else 0.1 + 0.2 * t, seed=t)
        if t:
            q = Posterior.of(mixture, prior)
            known = reference.mean_field_e_step(X, q)
            block = raw(*reference.expected_moments(known, np.ones(len(X))))
            old = mean_field_statistic(q, total or seen)
            statistic = mix(old, share(block, len(X)), (t + 2.0) ** -0.7)
            scaled = [part * (total or seen + len(X)) for part in statistic]
            expected = reference.mean_field_m_step(prior, *centered(*scaled))
        mixture.partial_fit(X)
        seen += len(X)
        if t:
            found = Posterior.of(mixture, prior)
            for name in ("concentration", "precision", "means", "freedom", "scale"):
                np.testing.assert_allclose(
                    getattr(found, name),
                    getattr(expected, name),
                    rtol=1e-8,
                    atol=1e-8,
                    err_msg=name,
                )


@pytest.mark.parametrize("total", [None, 5000])
def test_unnamed_blocks_move_the_map_estimate_by_the_step(total):
    prior = some_prior("full", 2, concentration=1.0)
    mixture = build(
        MAPGaussianMixture,
        2,
        learning_decay=0.7,
        learning_offset=2.0,
        total_samples=total,
        **{k: v for k, v in prior.arguments.items() if k != "covariance_type"},
    )
    seen = 0
    for t in range(4):
        X = overlapping(n=50 + 10 * t, d=2, k=2, seed=t)
        if t:
            rows, d = total or seen, 2
            weights, means, covariances = params_of(mixture)
            # The M-step backwards, for a = 1: counts, then sums, then scatters.
            count = rows * weights
            kappa = prior.precision
            first = (count + kappa)[:, None] * means - kappa * prior.mean
            inner = (prior.freedom + count + d + 2)[:, None, None] * covariances - prior.scale
            outer = means[:, :, None] * means[:, None, :]
            second = inner + (count + kappa)[:, None, None] * outer
            second = second - kappa * np.outer(prior.mean, prior.mean)
            known = reference.e_step(X, "full", *params_of(mixture))
            block = raw(*reference.expected_moments(known, np.ones(len(X))))
            statistic = mix(
                share((count, first, second), rows), share(block, len(X)), (t + 2.0) ** -0.7
            )
            scaled = [part * (total or seen + len(X)) for part in statistic]
            expected = reference.maximize(prior, *centered(*scaled))
        mixture.partial_fit(X)
        seen += len(X)
        if t:
            for name, value in zip(PARAMETERS, expected, strict=True):
                np.testing.assert_allclose(
                    getattr(mixture, name), value, rtol=1e-8, atol=1e-8, err_msg=name
                )


@every_class
@every_structure
def test_one_pass_over_a_stream_reaches_the_objective_of_the_whole(kind, structure):
    """Liang and Klein (2009): within 0.5 % after one pass over 40 blocks."""
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0, 0], [5, 0, 0], [0, 5, 0], [0, 0, 5]])
    X = centers[rng.choice(4, size=12_000, p=[0.4, 0.3, 0.2, 0.1])]
    X = X + rng.normal(size=X.shape) * [1.0, 0.7, 1.3]
    whole = build(kind, 4, structure, n_init=2).fit(X)
    stream = build(kind, 4, structure)
    for block in np.split(X, 40):
        stream.partial_fit(block)
    goal = whole.score(X)
    assert stream.score(X) > goal - 0.005 * abs(goal)


# Memoized EM --------------------------------------------------------------------------------


def evidence_of(batches, memberships, params, structure):
    """sum w r (ln pi N - ln r) over batches: the free energy of Neal and Hinton (1998)."""
    total = 0.0
    for X, r in zip(batches, memberships, strict=True):
        joint = reference.e_step(X, structure, *params).joint
        safe = np.maximum(r, 1e-300)
        total += np.where(r > 0, r * (joint - np.log(safe)), 0.0).sum()
    return total


@every_structure
def test_named_batches_replace_their_own_statistic(structure):
    """Incremental EM, and its bound: Neal and Hinton (1998), against the naive one."""
    X = overlapping(n=90, d=2, k=2)
    batches = [X[:40], X[40:60], X[60:]]
    prior = flat_prior(structure, 2)
    mixture = build(GaussianMixture, 2, structure).partial_fit(batches[0], batch=0)
    statistics = {0: tuple(40 * part for part in statistic_of(mixture))}
    memberships = {}
    for number in (1, 2, 0, 1, 2, 0, 2):
        params = params_of(mixture)
        known = reference.e_step(batches[number], structure, *params)
        memberships[number] = known.responsibilities
        rows = np.ones(len(batches[number]))
        statistics[number] = raw(*reference.expected_moments(known, rows))
        total = [sum(parts) for parts in zip(*statistics.values(), strict=True)]
        expected = reference.maximize(prior, *centered(*total))
        mixture.partial_fit(batches[number], batch=number)
        for name, value in zip(PARAMETERS, expected, strict=True):
            np.testing.assert_allclose(
                getattr(mixture, name), value, rtol=1e-8, atol=1e-8, err_msg=name
            )
        if len(memberships) == 3:
            arguments = batches, [memberships[i] for i in range(3)]
            # Before and after the M-step; both are bounds.
            bounds = [evidence_of(*arguments, p, structure) / 90 for p in (params, expected)]
            gaps = np.abs(np.array(bounds) - mixture.lower_bound_)
            assert gaps.min() < 1e-9, (mixture.lower_bound_, bounds)
            assert mixture.lower_bound_ <= mixture.score(X) + 1e-9


@pytest.mark.parametrize("sticks", [False, True])
@pytest.mark.parametrize("structure", ["full", "diag"])
def test_named_batches_keep_their_components_when_these_change_places(structure, sticks):
    """Under sticks components are kept in order of size: what is known of batches moves along."""
    prior = some_prior(structure, 2, sticks=sticks)
    batches = [two_groups(40, 0.7, 0), two_groups(60, 0.1, 1), two_groups(30, 0.5, 2)]
    arguments = {k: v for k, v in prior.mean_field_arguments.items() if k != "covariance_type"}
    mixture = build(BayesianGaussianMixture, 2, structure, **arguments)
    mixture.partial_fit(batches[0], batch=0)
    statistics = {0: [40 * part for part in mean_field_statistic(Posterior.of(mixture, prior), 40)]}
    memberships, changes = {}, 0
    for number in (1, 2, 0, 1, 2, 0):
        q = Posterior.of(mixture, prior)
        known = reference.mean_field_e_step(batches[number], q)
        rows = np.ones(len(batches[number]))
        statistics[number] = raw(*reference.expected_moments(known, rows))
        memberships[number] = known.responsibilities
        total = [sum(parts) for parts in zip(*statistics.values(), strict=True)]
        expected = reference.mean_field_m_step(prior, *centered(*total))
        if sticks:
            order = np.argsort(-total[0], kind="stable")
            changes += (order != np.arange(2)).any()
            statistics = {b: [part[order] for part in s] for b, s in statistics.items()}
            memberships = {b: r[:, order] for b, r in memberships.items()}
        mixture.partial_fit(batches[number], batch=number)
        found = Posterior.of(mixture, prior)
        for name in ("concentration", "precision", "means", "freedom", "scale"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-8, err_msg=name
            )
        if len(memberships) == 3:
            # The bound at these memberships: what the best ones exceed by a divergence.
            value = reference.bound(np.concatenate(batches), expected)
            for b, r in memberships.items():
                best = reference.mean_field_e_step(batches[b], expected).responsibilities
                value -= (r * np.log(np.maximum(r, 1e-300) / np.maximum(best, 1e-300))).sum()
            assert mixture.lower_bound_ == pytest.approx(value, rel=1e-9)
    assert changes or not sticks


@every_class
@every_structure
def test_bound_never_falls_over_revisits(kind, structure):
    X = overlapping(n=120, d=3, k=3)
    batches = dict(zip("abcd", np.split(X, [40, 65, 80]), strict=True))
    mixture = build(kind, 3, structure)
    bounds = []
    for sweep in range(8):
        for name, batch in batches.items():
            mixture.partial_fit(batch, batch=name)
            if sweep:
                bounds.append(mixture.lower_bound_)
    assert np.isfinite(bounds).all()
    assert np.diff(bounds).min() >= -1e-10 * np.abs(bounds).max()


@pytest.mark.parametrize("seed", [25, 27])
def test_bound_never_falls_where_a_component_collapses(seed):
    """Onto one row, so that the default floor is all of its variance from then on."""
    X = overlapping(n=60, d=4, k=2, seed=seed)
    mixture = GaussianMixture(4, covariance_type="diag", random_state=0)
    bounds = []
    for sweep in range(15):
        for number, batch in enumerate(np.split(X, [30, 45])):
            mixture.partial_fit(batch, batch=number)
            if sweep:
                bounds.append(mixture.lower_bound_)
    assert np.diff(bounds).min() >= -1e-10 * np.abs(bounds).max()


@pytest.mark.parametrize("missing", [False, True])
@every_class
@every_structure
def test_named_batches_end_where_the_whole_does(kind, structure, missing):
    X = separated(n=90, d=2, k=3) / 6.0
    X = holes(X, share=0.05) if missing else X
    order = np.random.default_rng(0).permutation(90)
    prior = some_prior(structure, 2)
    arguments = {
        GaussianMixture: {},
        MAPGaussianMixture: prior.arguments,
        BayesianGaussianMixture: prior.mean_field_arguments,
    }[kind]
    arguments = {"structure": structure} | arguments
    arguments.pop("covariance_type", None)
    whole = build(kind, 3, tol=1e-12, max_iter=2000, n_init=3, **arguments).fit(X)
    mixture = build(kind, 3, **arguments)
    batches = np.array_split(X[order], 3)
    for _ in range(40 if missing else 15):
        for number, batch in enumerate(batches):
            mixture.partial_fit(batch, batch=number)
    assert mixture.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-8)
    for name in ("weights_", "means_"):
        found, expected = (np.sort(getattr(m, name), axis=0) for m in (mixture, whole))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    if kind is BayesianGaussianMixture:
        # A posterior does not count rows without any cell.
        weight = 1.0 - np.isnan(X).all(axis=1)
        exact = reference.bound(X, Posterior.of(mixture, prior), weight)
        assert mixture.lower_bound_ == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("sticks", [False, True])
@every_structure
def test_bound_of_one_component_in_batches_is_the_log_evidence(structure, sticks):
    """Of all rows seen, after every batch: there is no membership to wait for."""
    X, prior = overlapping(n=60, d=3), some_prior(structure, 3, sticks=sticks)
    mixture = build(
        BayesianGaussianMixture,
        1,
        structure,
        **{k: v for k, v in prior.mean_field_arguments.items() if k != "covariance_type"},
    )
    for number, stop in enumerate((20, 45, 60)):
        start = (0, 20, 45)[number]
        mixture.partial_fit(X[start:stop], batch=str(number))
    mixture.partial_fit(X[:20], batch="0")
    assert mixture.lower_bound_ == pytest.approx(reference.log_evidence(X, prior), rel=1e-9)


# Both ---------------------------------------------------------------------------------------


def bits(estimator):
    return {
        name: value
        for name, value in fitted_state(estimator).items()
        if isinstance(value, np.ndarray | float | int | list)
    }


@pytest.mark.parametrize("named", [False, True])
@every_class
@every_structure
def test_pickle_in_the_middle_continues_bit_for_bit(kind, structure, named):
    blocks = np.split(holes(overlapping(n=160, d=3, k=3), share=0.05), 4)
    through = build(kind, 3, structure)
    for t, block in enumerate(blocks[:2]):
        through.partial_fit(block, batch=t if named else None)
    loaded = pickle.loads(pickle.dumps(through))
    for mixture in (through, loaded):
        for t in (2, 0, 3):
            mixture.partial_fit(blocks[t], batch=t if named else None)
    assert_same_bits(bits(through), bits(loaded))


@every_class
def test_names_and_unnamed_blocks_do_not_mix(kind):
    first, second = np.split(overlapping(n=80, d=2, k=2), 2)
    named = build(kind, 2).partial_fit(first, batch="first")
    before = bits(named)
    with pytest.raises(ValueError, match="batch"):
        named.partial_fit(second)
    assert_same_bits(before, bits(named))
    unnamed = build(kind, 2).partial_fit(first)
    with pytest.raises(ValueError, match="batch"):
        unnamed.partial_fit(second, batch=1)
    # Numbers and strings are both names, and not the same ones.
    both = build(kind, 2).partial_fit(first, batch=1).partial_fit(second, batch="1")
    assert both.score(np.r_[first, second]) > -np.inf


@pytest.mark.parametrize("named", [False, True])
@every_class
@every_structure
def test_weight_is_repetition(kind, structure, named):
    rng = np.random.default_rng(0)
    by_weight, by_copies = build(kind, 2, structure), build(kind, 2, structure)
    for t in range(4):
        X = overlapping(n=60, d=2, k=2, seed=t % 2)
        weight = rng.integers(0, 4, size=60)
        batch = t % 2 if named else None
        by_weight.partial_fit(X, sample_weight=weight, batch=batch)
        by_copies.partial_fit(np.repeat(X, weight, axis=0), batch=batch)
    for name in PARAMETERS:
        np.testing.assert_allclose(
            getattr(by_weight, name), getattr(by_copies, name), rtol=1e-8, atol=1e-8, err_msg=name
        )


@every_class
def test_fit_forgets_the_stream(kind):
    X = overlapping(n=80, d=2, k=2)
    mixture = build(kind, 2).partial_fit(100 * X[:40], batch="old").fit(X)
    fresh = build(kind, 2).fit(X)
    assert_same_bits(
        {name: getattr(mixture, name) for name in PARAMETERS},
        {name: getattr(fresh, name) for name in PARAMETERS},
    )


@every_class
def test_blocks_of_other_columns_are_refused(kind):
    mixture = build(kind, 2).partial_fit(overlapping(n=40, d=2, k=2))
    with pytest.raises(ValueError, match="2 features"):
        mixture.partial_fit(overlapping(n=40, d=3, k=2))


@pytest.mark.parametrize("named", [False, True])
@every_class
def test_float32_blocks_stay_float32(kind, named):
    mixture = build(kind, 2)
    for t in range(3):
        X = overlapping(n=60, d=2, k=2, seed=t).astype(np.float32)
        mixture.partial_fit(X, batch=t if named else None)
    assert mixture.means_.dtype == np.float32
    double = build(kind, 2)
    for t in range(3):
        X = overlapping(n=60, d=2, k=2, seed=t).astype(np.float32).astype(np.float64)
        double.partial_fit(X, batch=t if named else None)
    np.testing.assert_allclose(mixture.means_, double.means_, rtol=1e-3, atol=1e-3)


@every_class
@every_structure
def test_rows_of_a_fit_are_the_first_block(kind, structure):
    """What is known of them is read back from the parameters."""
    X = overlapping(n=300, d=3, k=3)
    arguments = {"max_iter": 200, "tol": 1e-9 if kind is not BayesianGaussianMixture else 1e-6}
    fitted = build(kind, 3, structure, **arguments).fit(X[:200])
    streamed = build(kind, 3, structure, **arguments).partial_fit(X[:200])
    for mixture in (fitted, streamed):
        mixture.partial_fit(X[200:])
    # The stream has made one more step before.
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(
            getattr(fitted, name), getattr(streamed, name), rtol=1e-3, atol=1e-3, err_msg=name
        )
    with pytest.raises(ValueError, match="batch"):
        build(kind, 3, structure).fit(X).partial_fit(X, batch="a")


@every_class
@every_structure
@pytest.mark.parametrize("floor", [0.0, 1e-3])
def test_moments_of_a_fit_are_read_back_exactly(kind, structure, floor):
    X = overlapping(n=300, d=3, k=3)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=300)
    fitted = build(kind, 3, structure, reg_covar=floor).fit(X, sample_weight=weight)
    model = fitted._streamed_model(fitted._fitted_rows, np.dtype(np.float64), None)
    before = fitted._fitted_params()
    moments = model.inference.moments(model.structure, before, weight.sum(), model.floor)
    after = model.m_step(before, moments)
    for name in ("weights", "means", "covariances", "factors"):
        np.testing.assert_allclose(
            getattr(after, name), getattr(before, name), rtol=1e-9, atol=1e-9, err_msg=name
        )


@every_structure
def test_components_without_rows_survive_a_fit_that_goes_on(structure):
    """Their covariances are the prior's alone; what rounding leaves of it is no row."""
    for seed in range(10):
        X = overlapping(n=100, d=3, k=3, seed=seed)
        start = {"weights_init": [1.0, 0.0, 0.0], "means_init": X[:3], "max_iter": 5}
        mixture = build(MAPGaussianMixture, 3, structure, **start).fit(X)
        before = mixture.covariances_[1:].copy()
        mixture.partial_fit(X)
        assert mixture.weights_.tolist() == [1.0, 0.0, 0.0]
        if structure != "tied":
            np.testing.assert_allclose(mixture.covariances_[1:], before, rtol=1e-9)


@every_class
@pytest.mark.parametrize(
    "other",
    [{"covariance_type": "tied"}, {"covariance_type": "diag"}, {"n_components": 2}],
    ids=str,
)
def test_a_fit_of_another_model_is_not_continued(kind, other):
    """The parameter is named, even where shapes agree: k = d."""
    X = overlapping(n=90, d=3, k=3)
    (name,) = other
    streamed = build(kind, 3, "full").partial_fit(X).set_params(**other)
    fitted = build(kind, 3, "full").fit(X).set_params(**other)
    warm = build(kind, 3, "full", warm_start=True).fit(X).set_params(**other)
    for continued in (streamed.partial_fit, fitted.partial_fit, warm.fit):
        with pytest.raises(ValueError, match=f"{name}.*clone"):
            continued(X)
    with pytest.raises(ValueError, match=r"features in X: 2 .* 3;"):
        build(kind, 3, warm_start=True).fit(X).fit(X[:, :2])
    diagonal = build(kind, 3, "diag").partial_fit(X).set_params(covariance_type="tied")
    with pytest.raises(ValueError, match=r"covariance_type: 'tied' .* 'diag'"):
        diagonal.partial_fit(X)


@every_structure
def test_rows_without_cells_do_not_count_in_what_goes_on(structure):
    X = overlapping(n=90, d=3, k=3)
    empty = np.full((60, 3), np.nan)
    fits = [
        build(BayesianGaussianMixture, 3, structure).fit(np.vstack(rows))
        for rows in ([X, X[:1] * np.nan], [X, empty])
    ]
    for fitted in fits:
        fitted.partial_fit(X)
    np.testing.assert_allclose(fits[0].degrees_of_freedom_, fits[1].degrees_of_freedom_)


@every_class
def test_block_without_any_cell_keeps_the_stream_alive(kind):
    X = overlapping(n=80, d=3, k=2)
    mixture = build(kind, 2).partial_fit(X)
    mixture.partial_fit(np.full((4, 3), np.nan)).partial_fit(X)
    assert np.isfinite(mixture.score(X))

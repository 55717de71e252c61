"""Networks in NumPy: gradients, batch norm, dropout and penalties against other computations."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
import scipy.stats
from scipy import sparse
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)

from skgen.networks.activations import ACTIVATIONS, Identity, Maxout
from skgen.networks.draws import dropout_mask
from skgen.networks.losses import (
    Absolute,
    Binary,
    Categorical,
    Gaussian,
    Huber,
    Poisson,
    Quantile,
    Squared,
    tasks_of,
)
from skgen.networks.network import Layer, Network, Noise, draw, hidden, raw_outputs

LOSSES = {
    "categorical": Categorical(),
    "binary": Binary(),
    "squared": Squared(),
    "absolute": Absolute(),
    "huber": Huber(0.7),
    "quantile": Quantile(0.3),
    "poisson": Poisson(),
    "gaussian": Gaussian(),
    "tasks": tasks_of((Categorical(), Squared(), Binary()), (3, 1, 1), (1.0, 0.5, 2.0)),
}


def outputs(loss):
    return 5 if loss == "tasks" else LOSSES[loss].n_outputs(3)


def targets(loss, rng, n):
    if loss == "categorical":
        return rng.integers(-1, 3, (n, 1)).astype(float)
    if loss == "binary":
        return rng.integers(0, 2, (n, 3)).astype(float)
    if loss == "tasks":
        parts = rng.integers(0, 3, n), rng.normal(size=n), rng.integers(0, 2, n)
        return np.column_stack(parts).astype(float)
    y = rng.poisson(2.0, (n, 3)) if loss == "poisson" else rng.normal(size=(n, 3))
    y = y.astype(float)
    y[0, 1] = np.nan
    return y


def network(
    activation="tanh", loss="squared", batch_norm=False, dropout=0.0, sizes=(4, 6, 5), **more
):
    kind = ACTIVATIONS[activation]()
    layers = [Layer(a, b, kind, batch_norm, dropout) for a, b in pairwise(sizes)]
    return Network([*layers, Layer(sizes[-1], outputs(loss))], LOSSES[loss], **more)


def start(net, seed=0, dtype=np.float64):
    """Random parameters in which nothing is zero."""
    rng = np.random.default_rng(seed)
    w = rng.normal(scale=0.4, size=net.layout.size).astype(dtype)
    for part in net.parts(w):
        if "variance" in part:
            part["variance"][...] = 1.0 + rng.random(part["variance"].shape)
    return w


def trained(net):
    """Where in w the parameters lie that have gradients."""
    marks = np.ones(net.layout.size, dtype=bool)
    for part in net.parts(marks):
        for name in {"mean", "variance"} & set(part):
            part[name][...] = False
    return marks


def differences(f, w, step=1e-5):
    slope = np.empty_like(w)
    for j in range(len(w)):
        ahead, behind = w.copy(), w.copy()
        ahead[j] += step
        behind[j] -= step
        slope[j] = (f(ahead) - f(behind)) / (2 * step)
    return slope


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_the_differences(activation, loss, batch_norm):
    rng = np.random.default_rng(3)
    net = network(activation, loss, batch_norm, dropout=0.3, l2=0.3)
    X, weight = rng.normal(size=(9, 4)), rng.uniform(0.5, 2.0, 9)
    target, w, noise = targets(loss, rng, 9), start(net, 1), Noise(5, 2)
    value, gradient = net.value_and_gradient(w, X, target, weight, noise)
    expected = differences(lambda v: net.value_and_gradient(v, X, target, weight, noise)[0], w)
    assert np.isfinite(value)
    moving = trained(net)
    # Central differences err by the square of their step and by rounding over it.
    np.testing.assert_allclose(gradient[moving], expected[moving], rtol=1e-6, atol=2e-8)
    assert not gradient[~moving].any()


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.4), (0.4, 0.0), (0.4, 0.4)])
def test_penalties_are_of_weights_alone(l1, l2):
    rng = np.random.default_rng(0)
    net = network("prelu", batch_norm=True, l1=l1, l2=l2)
    bare = net.without_penalty()
    X, weight, target = rng.normal(size=(7, 4)), np.full(7, 2.0), targets("squared", rng, 7)
    w = start(net)
    value, gradient = net.value_and_gradient(w, X, target, weight)
    plain, slope = bare.value_and_gradient(w, X, target, weight)
    coefs = [part["coef"] for part in net.parts(w)]
    expected = sum(l1 * np.abs(c).sum() + 0.5 * l2 * (c * c).sum() for c in coefs) / 14.0
    assert value - plain == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient - slope, net.penalized * w * l2 / 14.0, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "prelu", "maxout"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_weight_two_is_the_row_twice(activation, batch_norm):
    rng = np.random.default_rng(1)
    net = network(activation, "categorical", batch_norm, l2=0.1)
    X, target, w = rng.normal(size=(6, 4)), targets("categorical", rng, 6), start(net)
    times = np.array([1, 2, 3, 1, 1, 2])
    once = net.value_and_gradient(w, X, target, times.astype(float), seen=(seen := []))
    again = np.repeat(np.arange(6), times)
    twice = net.value_and_gradient(
        w, X[again], target[again], np.ones(len(again)), seen=(copies := [])
    )
    np.testing.assert_allclose(once[0], twice[0], rtol=1e-13)
    np.testing.assert_allclose(once[1], twice[1], atol=1e-13)
    for one, two in zip(seen, copies, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-13)


def test_single_precision_agrees_and_stays_single():
    rng = np.random.default_rng(2)
    for activation, loss in product(ACTIVATIONS, LOSSES):
        net = network(activation, loss, True, 0.2, l2=0.1, l1=0.1)
        X, target, w = rng.normal(size=(8, 4)), targets(loss, rng, 8), start(net)
        value, gradient = net.value_and_gradient(w, X, target, np.ones(8), Noise(1, 0))
        w32, X32, target32 = (part.astype(np.float32) for part in (w, X, target))
        value32, gradient32 = net.value_and_gradient(w32, X32, target32, np.ones(8), Noise(1, 0))
        assert gradient32.dtype == np.float32
        assert isinstance(value32, float)
        np.testing.assert_allclose(value32, value, rtol=1e-5)
        largest = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(gradient32, gradient, rtol=2e-3, atol=2e-5 * largest)


def test_sparse_rows_give_what_dense_ones_do():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(8, 4)) * (rng.random((8, 4)) < 0.5)
    net = network("relu", "categorical", l2=0.1)
    target, w = targets("categorical", rng, 8), start(net)
    dense = net.value_and_gradient(w, X, target, np.ones(8))
    compressed = net.value_and_gradient(w, sparse.csr_matrix(X), target, np.ones(8))
    assert compressed[0] == pytest.approx(dense[0], rel=1e-13)
    np.testing.assert_allclose(compressed[1], dense[1], atol=1e-14)


def test_loss_values_are_those_of_the_metrics():
    rng = np.random.default_rng(5)
    raw, weight = rng.normal(size=(20, 3)), rng.uniform(0.5, 2.0, 20)
    y = rng.normal(size=(20, 3))
    counts = rng.poisson(3.0, (20, 3)).astype(float)
    number = rng.integers(0, 3, 20)
    options = {"sample_weight": weight, "multioutput": np.ones(3) / 3}
    share = weight.sum()

    def value(loss, target, raw=raw):
        return loss.value_and_gradient(raw, target, weight)[0] / share

    assert value(Squared(), y) == pytest.approx(1.5 * mean_squared_error(y, raw, **options))
    assert value(Absolute(), y) == pytest.approx(3 * mean_absolute_error(y, raw, **options))
    pinball = mean_pinball_loss(y, raw, alpha=0.3, **options)
    assert value(Quantile(0.3), y) == pytest.approx(3 * pinball)
    assert value(Categorical(), number[:, None].astype(float)) == pytest.approx(
        log_loss(number, Categorical().predict(raw), sample_weight=weight)
    )
    deviance = [
        mean_poisson_deviance(counts[:, j], np.exp(raw[:, j]), sample_weight=weight)
        for j in range(3)
    ]
    assert value(Poisson(), counts) == pytest.approx(sum(deviance) / 2)
    wide = np.concatenate([raw, rng.normal(size=(20, 3))], axis=1)
    density = scipy.stats.norm.logpdf(y, wide[:, :3], np.exp(wide[:, 3:] / 2))
    assert value(Gaussian(), y, wide) == pytest.approx(-(weight @ density).sum() / share)
    error = raw - y
    big = np.abs(error) > 0.7
    by_hand = np.where(big, 0.7 * (np.abs(error) - 0.35), 0.5 * error**2)
    assert value(Huber(0.7), y) == pytest.approx((weight @ by_hand).sum() / share)


def test_unknown_targets_cost_nothing():
    rng = np.random.default_rng(6)
    raw, weight = rng.normal(size=(4, 3)), np.ones(4)
    for loss in (Squared(), Absolute(), Huber(), Quantile(), Poisson(), Binary()):
        value, slope = loss.value_and_gradient(raw, np.full((4, 3), np.nan), weight)
        assert value == 0.0
        assert not slope.any()
    value, slope = Categorical().value_and_gradient(raw, np.full((4, 1), -1.0), weight)
    assert value == 0.0
    assert not slope.any()


def test_extreme_outputs_cost_what_they_should():
    raw = np.array([[1e4, -1e4]])
    assert Categorical().value_and_gradient(raw, np.array([[1.0]]), np.ones(1))[0] == 2e4
    value, slope = Binary().value_and_gradient(raw, np.array([[0.0, 1.0]]), np.ones(1))
    assert value == 2e4
    np.testing.assert_array_equal(slope, [[1.0, -1.0]])


def test_dropout_is_the_mean_over_sub_networks_on_a_linear_layer():
    share, n_units = 0.25, 4
    layers = Layer(3, n_units, Identity(), dropout=share), Layer(n_units, 1)
    net, rng = Network(layers, Squared()), np.random.default_rng(7)
    w, x = rng.normal(size=net.layout.size), rng.normal(size=(1, 3))
    first, last = net.parts(w)
    units = x @ first["coef"] + first["intercept"]
    mean = 0.0
    for kept in product([0.0, 1.0], repeat=n_units):
        chance = np.prod([1 - share if one else share for one in kept])
        mean += chance * ((units * kept / (1 - share)) @ last["coef"] + last["intercept"])
    np.testing.assert_allclose(raw_outputs(net.layers, net.parts(w), x), mean, rtol=1e-12)


def test_masks_drop_their_share_and_depend_on_place_alone():
    mask = dropout_mask(9, 4, 1, (2000, 50), 0.3, np.float64)
    # Six standard deviations of a binomial share.
    assert abs((mask == 0).mean() - 0.3) < 6 * np.sqrt(0.21 / mask.size)
    assert set(np.unique(mask)) == {0.0, 1 / 0.7}
    np.testing.assert_array_equal(dropout_mask(9, 4, 1, (10, 50), 0.3, np.float64), mask[:10])
    others = [
        dropout_mask(*key, (2000, 50), 0.3, np.float64) for key in ((8, 4, 1), (9, 5, 1), (9, 4, 2))
    ]
    for other in others:
        assert abs(np.corrcoef(mask.ravel(), other.ravel())[0, 1]) < 6 / np.sqrt(mask.size)


def test_batch_norm_norms_and_remembers():
    rng = np.random.default_rng(8)
    net = network("identity", batch_norm=True, sizes=(4, 6))
    w = draw_all(net)
    X = rng.normal(2.0, 3.0, size=(500, 4))
    weight = np.ones(500)
    for _ in range(200):
        seen = []
        net.value_and_gradient(w, X, targets("squared", rng, 500), weight, seen=seen)
        net.remember(w, seen, weight)
    z = X @ net.parts(w)[0]["coef"]
    # 0.9^200 of the start is left.
    np.testing.assert_allclose(net.parts(w)[0]["mean"], z.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(net.parts(w)[0]["variance"], z.var(axis=0, ddof=1), rtol=1e-7)
    out = hidden(net.layers, net.parts(w), X, 1)[0]
    np.testing.assert_allclose(out.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(out.std(axis=0), 1.0, rtol=2e-3)


def draw_all(net, seed=0, initializer="auto"):
    state = np.random.RandomState(seed)
    return net.pack(
        [draw(layer, state, initializer, np.float64) for layer in net.layers], np.float64
    )


def test_first_weights_keep_the_size_of_signals():
    rng = np.random.default_rng(9)
    X = rng.normal(size=(400, 300))
    for activation in ("relu", "leaky_relu", "prelu"):
        net = network(activation, sizes=(300, 300, 300, 300))
        last = hidden(net.layers, net.parts(draw_all(net)), X, 3)[-1]
        # The mean square is kept on average over weights.
        assert 0.5 < np.mean(last**2) / np.mean(np.maximum(X, 0) ** 2) < 2.0, activation
    net = network("tanh", sizes=(300, 200))
    first = net.parts(draw_all(net))[0]
    assert np.abs(first["coef"]).max() <= np.sqrt(6 / 500)
    np.testing.assert_allclose(first["coef"].std(), np.sqrt(2 / 500), rtol=0.02)


def test_max_norm_bounds_hidden_units_alone():
    net = network("relu", max_norm=0.5)
    w = start(net)
    before = w.copy()
    net.bound(w)
    for part, old in zip(net.parts(w)[:-1], net.parts(before), strict=False):
        length = np.linalg.norm(part["coef"], axis=0)
        np.testing.assert_allclose(length, np.minimum(np.linalg.norm(old["coef"], axis=0), 0.5))
        np.testing.assert_array_equal(part["intercept"], old["intercept"])
    np.testing.assert_array_equal(net.parts(w)[-1]["coef"], net.parts(before)[-1]["coef"])


def test_maxout_of_two_mirrored_pieces_is_the_absolute_value():
    layer = Layer(1, 1, Maxout(2))
    part = {"coef": np.array([[1.0, -1.0]]), "intercept": np.zeros(2)}
    X = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_array_equal(hidden((layer,), (part,), X, 1)[0], np.abs(X))
    assert replace(layer, n_units=3).n_sums == 6

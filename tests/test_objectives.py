"""Objectives of linear models: derivatives, dense and sparse, compiled and in NumPy."""

import numpy as np
import pytest
from scipy import sparse

from skgen.losses import LogLoss, SoftmaxLoss
from skgen.objectives import LinearObjective, add_in_numpy, add_rows
from skgen.parameters import Layout
from skgen.penalties import ElasticNet
from skgen.rows import Rows

LOSSES = {"two": (LogLoss(), 2), "four": (SoftmaxLoss(), 4)}
both = pytest.mark.parametrize("name", LOSSES)
with_and_without = pytest.mark.parametrize("fit_intercept", [True, False])


def problem(name, fit_intercept=True, n=83, d=5, seed=0, with_origin=True):
    """A random objective, parameters and rows."""
    loss, n_classes = LOSSES[name]
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 3.0
    target = rng.integers(n_classes, size=n).astype(np.int32)
    rows = Rows(X, rng.uniform(0.1, 2.0, n), target)
    k = loss.n_outputs(n_classes)
    size = k * (d + fit_intercept)
    penalty = ElasticNet(rng.uniform(0.0, 1.0, size), np.zeros(size))
    origin = X.mean(axis=0) if with_origin else None
    objective = LinearObjective(loss, k, d, fit_intercept, penalty, origin)
    return objective, rng.normal(size=size), rows


@both
@with_and_without
def test_gradient_equals_central_differences(name, fit_intercept):
    objective, w, rows = problem(name, fit_intercept)
    _, gradient = objective.value_and_gradient(w, rows)
    for j, step in enumerate(1e-5 * np.eye(len(w))):
        above, _ = objective.value_and_gradient(w + step, rows)
        below, _ = objective.value_and_gradient(w - step, rows)
        # Third derivatives are of order 10 here, rounding of order 1e-11.
        assert gradient[j] == pytest.approx((above - below) / 2e-5, rel=1e-7, abs=1e-8)


@both
@with_and_without
def test_hessian_equals_central_differences_of_the_gradient(name, fit_intercept):
    objective, w, rows = problem(name, fit_intercept)
    value, gradient, hessian = objective.value_gradient_hessian(w, rows)
    again, slope = objective.value_and_gradient(w, rows)
    assert value == pytest.approx(again, rel=1e-13)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(hessian, hessian.T)
    for j, step in enumerate(1e-5 * np.eye(len(w))):
        _, above = objective.value_and_gradient(w + step, rows)
        _, below = objective.value_and_gradient(w - step, rows)
        np.testing.assert_allclose(hessian[j], (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


@both
def test_sparse_rows_give_what_dense_rows_give(name):
    objective, w, rows = problem(name, with_origin=False)
    X = np.where(np.random.default_rng(1).random(rows.X.shape) < 0.5, rows.X, 0.0)
    dense = Rows(X, rows.weight, rows.target)
    csr = Rows(sparse.csr_array(X), rows.weight, rows.target)
    for one, other in zip(
        objective.value_gradient_hessian(w, dense),
        objective.value_gradient_hessian(w, csr),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    for one, other in zip(
        objective.class_diagonal(w, dense), objective.class_diagonal(w, csr), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@both
def test_compiled_passes_agree_with_numpy(name):
    objective, w, rows = problem(name)
    coef, intercept = objective.parts(w)

    class Params:
        loss, origin, with_hessian = objective.loss, objective.origin, True

    Params.coef, Params.intercept = coef, intercept
    compiled = add_rows(rows.block(0), Params)
    gradient, hessian = np.zeros_like(compiled.gradient), np.zeros_like(compiled.hessian)
    value = add_in_numpy(rows.block(0), Params, gradient, hessian)
    assert compiled.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(compiled.gradient, gradient, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(compiled.hessian, hessian, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", LOSSES)
@with_and_without
def test_class_blocks_are_those_of_the_hessian(name, fit_intercept, monkeypatch):
    """Leaving out rows of little curvature is switched off; then blocks are exact."""
    monkeypatch.setattr("skgen.objectives.NEGLIGIBLE_CURVATURE", 0.0)
    objective, w, rows = problem(name, fit_intercept)
    _, _, hessian = objective.value_gradient_hessian(w, rows)
    k, d = objective.layout.shapes["coef"]
    for number, block in enumerate(objective.class_curvature(w, rows)):
        index = np.arange(number * d, (number + 1) * d)
        if fit_intercept:
            index = np.append(index, k * d + number)
        np.testing.assert_allclose(block, hessian[np.ix_(index, index)], rtol=1e-10, atol=1e-12)


def test_one_matrix_serves_all_classes_at_zero_weights(monkeypatch):
    monkeypatch.setattr("skgen.objectives.NEGLIGIBLE_CURVATURE", 0.0)
    objective, w, rows = problem("four")
    start = np.zeros_like(w)
    objective.layout.views(start)["intercept"][...] = [0.3, -1.0, 0.2, 0.5]
    _, _, hessian = objective.value_gradient_hessian(start, rows)
    for number, block in enumerate(objective.class_curvature(start, rows)):
        index = np.append(np.arange(number * 5, (number + 1) * 5), 20 + number)
        np.testing.assert_allclose(block, hessian[np.ix_(index, index)], rtol=1e-10)


@both
def test_losses_without_kernels_are_summed_in_numpy(name):
    """A loss needs no more than value, gradient, curvature and predict."""
    objective, w, rows = problem(name)
    loss = objective.loss

    class Plain:
        value_and_gradient, curvature, predict = (
            loss.value_and_gradient,
            loss.curvature,
            loss.predict,
        )

    expected = objective.value_gradient_hessian(w, rows)
    objective.loss = Plain()
    for one, other in zip(expected, objective.value_gradient_hessian(w, rows), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@both
def test_blocks_of_any_size_and_threads_agree(name):
    objective, w, rows = problem(name, n=40_000)
    assert rows.n_blocks > 2
    value, gradient = objective.value_and_gradient(w, rows)
    again, same = objective.value_and_gradient(w, rows.with_threads(4))
    assert value == again
    np.testing.assert_array_equal(gradient, same)
    rows.block_rows, rows.n_blocks = 777, -(-40_000 // 777)
    other, slope = objective.value_and_gradient(w, rows)
    assert other == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slope, gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_scores_give_probabilities(name):
    loss, _ = LOSSES[name]
    k = loss.n_outputs(4)
    raw = np.array([[1e300], [-1e300], [0.0], [800.0], [-40.0]]) * np.linspace(1.0, -1.0, k)
    share, logs = loss.predict(raw), loss.predict_log(raw)
    np.testing.assert_allclose(share.sum(axis=1), 1.0, rtol=1e-15)
    assert not np.isnan(logs).any()
    np.testing.assert_allclose(np.exp(logs), share, rtol=1e-12)


def test_layout_views_share_memory_and_survive_packing():
    layout = Layout(coef=(2, 3), intercept=(2,))
    w = np.arange(8.0)
    views = layout.views(w)
    views["intercept"][...] = -1.0
    np.testing.assert_array_equal(w, [0, 1, 2, 3, 4, 5, -1, -1])
    np.testing.assert_array_equal(layout.pack(**views), w)
    assert layout.pack(coef=0.5, intercept=[1, 2]).tolist() == [0.5] * 6 + [1.0, 2.0]

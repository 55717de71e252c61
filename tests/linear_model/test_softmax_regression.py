"""SoftmaxRegression: laws of temperature and weights, minibatch training, continuing, refusing."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as PeerLogisticRegression
from sklearn.preprocessing import StandardScaler

from skgen.linear_model import LogisticRegression, SoftmaxRegression
from skgen.linear_model.softmax_batches import SoftmaxBatches
from skgen.rows import Rows
from skgen.solvers.update_rules import RULES
from tests.test_callbacks import Observer, Recorder

IRIS = load_iris(return_X_y=True)
LOADERS = {"iris": load_iris, "wine": load_wine, "cancer": load_breast_cancer}


def scaled(name):
    X, y = LOADERS[name](return_X_y=True)
    return StandardScaler().fit_transform(X), y


def noisy(n=300, d=4, k=3, seed=0, dtype=np.float64):
    """Classes that overlap, drawn from a softmax of linear scores."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(dtype)
    raw = X @ rng.normal(size=(d, k)) * 1.5
    y = (raw + rng.gumbel(size=(n, k))).argmax(axis=1)
    return X, y


def quiet(model, *data, **options):
    """Fit, whether it converges or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **options)


def objective(model, X, y, coef, intercept, weight=None):
    """Mean loss plus penalty, written out."""
    weight = np.ones(len(X)) if weight is None else weight
    P = softmax((X @ coef.T + intercept) / model.temperature, axis=1)
    codes = np.searchsorted(np.unique(y), y)
    loss = -weight @ np.log(P[np.arange(len(X)), codes])
    penalty = (1 - model.l1_ratio) * 0.5 * (coef**2).sum() + model.l1_ratio * np.abs(coef).sum()
    return (loss + penalty / model.C) / weight.sum()


# The optimum


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_full_batch_is_scikit_learns_multinomial_model(name):
    X, y = scaled(name)
    ours = SoftmaxRegression(tol=1e-9).fit(X, y)
    peer = PeerLogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    assert ours.converged_ and ours.gradient_norm_ < 1e-9


@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
def test_two_class_softmax_at_a_strength_is_the_sigmoid_model_at_half(strength):
    X, y = scaled("cancer")
    soft = SoftmaxRegression(C=1 / strength, tol=1e-10).fit(X, y)
    sigmoid = LogisticRegression(C=2 / strength, tol=1e-10).fit(X, y)
    assert soft.coef_.shape == (2, X.shape[1])
    np.testing.assert_allclose(soft.coef_[1] - soft.coef_[0], sigmoid.coef_[0], atol=1e-8)
    np.testing.assert_allclose(soft.coef_.sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(soft.decision_function(X), sigmoid.decision_function(X), atol=1e-7)
    np.testing.assert_allclose(soft.predict_proba(X), sigmoid.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("beta", [0.2, 3.0, 25.0])
def test_base_to_the_beta_is_the_ordinary_fit_at_strength_over_beta_squared(beta):
    X, y = noisy()
    sharp = SoftmaxRegression(temperature=1 / beta, C=0.5, tol=1e-10).fit(X, y)
    plain = SoftmaxRegression(C=0.5 * beta**2, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(sharp.coef_ * beta, plain.coef_, atol=1e-7)
    np.testing.assert_allclose(sharp.predict_proba(X), plain.predict_proba(X), atol=1e-8)
    np.testing.assert_allclose(
        sharp.objective_history_[-1], objective(sharp, X, y, sharp.coef_, sharp.intercept_)
    )


def test_longer_weights_sharpen_probabilities_and_keep_decisions():
    X, y = noisy()
    model = SoftmaxRegression().fit(X, y)
    labels, proba = model.predict(X), model.predict_proba(X)
    model.coef_, model.intercept_ = 10 * model.coef_, 10 * model.intercept_
    np.testing.assert_array_equal(model.predict(X), labels)
    assert (model.predict_proba(X).max(axis=1) >= proba.max(axis=1)).all()


def perceptron(X, y, W, epochs):
    """The multiclass perceptron from W: add to the truth, subtract from a wrong winner."""
    W = W.copy()
    for _ in range(epochs):
        for x, label in zip(X, y, strict=True):
            winner = int((W @ x).argmax())
            if winner != label:
                W[label] += x
                W[winner] -= x
    return W


def test_softmax_steps_at_low_temperature_are_perceptron_steps():
    """One row at a time; a start where no scores tie, since softmax shares a tie out."""
    X, y = noisy(n=80)
    coef = np.random.default_rng(1).normal(size=(3, 4)) * 1e-3
    model = SoftmaxRegression(
        solver="sgd",
        temperature=1e-9,
        learning_rate_init=1e-9,
        batch_size=1,
        shuffle=False,
        C=np.inf,
        fit_intercept=False,
        max_iter=5,
        tol=0.0,
        warm_start=True,
    )
    model.coef_, model.intercept_ = coef, np.zeros(3)
    quiet(model, X, y)
    np.testing.assert_allclose(model.coef_, perceptron(X, y, coef, 5), atol=1e-9)
    assert np.abs(model.coef_ - coef).max() > 1.0


def test_scores_five_six_and_minus_two_give_known_probabilities():
    model = SoftmaxRegression().fit(np.eye(3), [0, 1, 2])
    model.coef_, model.intercept_ = np.zeros((3, 3)), np.array([5.0, 6.0, -2.0])
    np.testing.assert_allclose(
        model.predict_proba(np.zeros((1, 3)))[0], [0.2689, 0.7309, 0.0002], atol=5e-5
    )


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_probabilities_stay_finite_and_sum_to_one(temperature, size):
    model = SoftmaxRegression(temperature=temperature).fit(*IRIS)
    X = IRIS[0] * size
    P, logs = model.predict_proba(X), model.predict_log_proba(X)
    assert np.isfinite(P).all() and np.isfinite(logs).all()
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-14)
    assert np.isfinite(model.decision_function(X)).all()


def test_mean_probability_is_the_class_share():
    X, y = noisy()
    P = SoftmaxRegression(C=0.3, temperature=0.7, tol=1e-10).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(P.mean(axis=0), np.bincount(y) / len(y), atol=1e-9)


# Minibatches


def problem(X, y, weight=None, **options):
    settings = {"fit_intercept": True, "l2": 0.1, "l1": 0.0, "temperature": 1.0} | options
    rows = Rows(X, weight, y.astype(np.int32))
    return SoftmaxBatches(rows, y.max() + 1, **settings)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_gradient_is_that_of_finite_differences(make, fit_intercept):
    X, y = noisy(n=50)
    rng = np.random.default_rng(1)
    batches = problem(
        make(X), y, rng.uniform(0.5, 2, 50), temperature=0.6, fit_intercept=fit_intercept
    )
    w, index = rng.normal(size=batches.layout.size), np.array([3, 8, 41, 17, 20])
    _, gradient = batches.value_and_gradient(w, index)
    for j in range(len(w)):
        step = np.zeros(len(w))
        step[j] = 1e-6
        up, _ = batches.value_and_gradient(w + step, index)
        down, _ = batches.value_and_gradient(w - step, index)
        np.testing.assert_allclose(gradient[j], (up - down) / 2e-6, rtol=1e-6, atol=1e-8)


def test_batch_gradients_average_to_the_whole_weighted_gradient():
    X, y = noisy(n=60)
    batches = problem(X, y, np.random.default_rng(1).uniform(0, 3, 60))
    w = np.random.default_rng(2).normal(size=batches.layout.size)
    parts = [batches.value_and_gradient(w, np.arange(i, i + 10)) for i in range(0, 60, 10)]
    value, gradient = batches.value_and_gradient(w, np.arange(60))
    np.testing.assert_allclose(np.mean([v for v, _ in parts]), value)
    np.testing.assert_allclose(np.mean([g for _, g in parts], axis=0), gradient)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_large_batches_are_summed_in_blocks_to_the_same(make, monkeypatch):
    X, y = noisy(n=60)
    batches = problem(make(X), y, np.random.default_rng(1).uniform(0, 3, 60), temperature=0.6)
    w, index = np.random.default_rng(2).normal(size=batches.layout.size), np.arange(7, 40)
    value, gradient = batches.value_and_gradient(w, index)
    monkeypatch.setattr("skgen.linear_model.softmax_batches.LARGE_BATCH", 0)
    other_value, other_gradient = batches.value_and_gradient(w, index)
    np.testing.assert_allclose(other_value, value, rtol=1e-12)
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-12)


def test_batch_objective_over_all_rows_is_the_objective():
    X, y = noisy()
    weight = np.random.default_rng(1).uniform(0, 3, len(X))
    model = quiet(
        SoftmaxRegression(solver="sgd", C=0.02, l1_ratio=0.3, temperature=2.0, max_iter=1),
        X,
        y,
        sample_weight=weight,
    )
    batches = model._batches(Rows(X, weight, y.astype(np.int32)), 3)
    w = batches.layout.pack(coef=model.coef_, intercept=model.intercept_)
    value, _ = batches.value_and_gradient(w, np.arange(len(X)))
    np.testing.assert_allclose(value, objective(model, X, y, model.coef_, model.intercept_, weight))


RATES = {"sgd": 0.5, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.5}


@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
@pytest.mark.parametrize("name", RULES)
def test_every_rule_reaches_the_optimum(name, l1_ratio):
    """A falling rate takes the noise of the batches out; 1e-4 of what there was to gain is left."""
    X, y = noisy()
    model = SoftmaxRegression(
        solver=name,
        C=0.05,
        l1_ratio=l1_ratio,
        learning_rate="cosine",
        learning_rate_init=RATES.get(name, 0.05),
        batch_size=30,
        max_iter=150,
        tol=0.0,
        n_iter_no_change=150,
        weight_decay=0.0,
        random_state=0,
    )
    quiet(model, X, y)
    best = SoftmaxRegression(C=0.05, l1_ratio=l1_ratio, tol=1e-8)
    if l1_ratio:
        best = PeerLogisticRegression(
            C=0.05, l1_ratio=l1_ratio, solver="saga", tol=1e-10, max_iter=10_000
        )
    best.fit(X, y)
    reached, least, zero = (
        objective(model, X, y, *parts)
        for parts in (
            (model.coef_, model.intercept_),
            (best.coef_, best.intercept_),
            (np.zeros((3, 4)), np.zeros(3)),
        )
    )
    assert reached - least < (1e-3 if l1_ratio else 1e-4) * (zero - least)
    if l1_ratio:
        # Noise of the batches keeps some weights off zero, but puts none there wrongly.
        zeros = model.coef_ == 0
        assert zeros.sum() >= 2 and (best.coef_[zeros] == 0).all()
        assert np.abs(model.coef_[best.coef_ == 0]).max() < 0.02


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(300, 64, 5), (300, 300, 1), (300, 1, 300)])
def test_updates_per_epoch_are_n_over_batch_rounded_up(n, batch_size, steps):
    X, y = noisy(n)
    model = quiet(SoftmaxRegression(solver="sgd", batch_size=batch_size, max_iter=3), X, y)
    assert model.n_steps_ == 3 * steps and model.n_iter_ == 3
    assert quiet(SoftmaxRegression(solver="sgd", max_iter=3), X, y).n_steps_ == 3 * 2


def test_first_steps_are_those_worked_out_by_hand():
    X, y = noisy(n=8)
    model = SoftmaxRegression(
        solver="momentum",
        momentum=0.5,
        learning_rate="inverse",
        decay_rate=1.0,
        learning_rate_init=0.3,
        batch_size=4,
        shuffle=False,
        max_iter=1,
        C=0.25,
    )
    quiet(model, X, y)
    W, b, velocity = np.zeros((3, 4)), np.zeros(3), np.zeros((3, 5))
    for t in range(2):
        part = slice(4 * t, 4 * t + 4)
        residual = softmax(X[part] @ W.T + b, axis=1) - np.eye(3)[y[part]]
        gradient = np.column_stack([residual.T @ X[part] / 4 + W / (0.25 * 8), residual.sum(0) / 4])
        velocity = 0.5 * velocity - 0.3 / (1 + t) * gradient
        W, b = W + velocity[:, :4], b + velocity[:, 4]
    np.testing.assert_allclose(model.coef_, W, rtol=1e-13)
    np.testing.assert_allclose(model.intercept_, b, rtol=1e-12, atol=1e-16)


def test_decay_of_adamw_leaves_intercepts_alone():
    """So strong a decay that weights vanish at each step; intercepts learn the class shares."""
    X, y = noisy(k=2)
    y = (np.arange(300) < 60).astype(int)
    model = SoftmaxRegression(
        solver="adamw",
        learning_rate_init=0.01,
        weight_decay=100.0,
        C=np.inf,
        batch_size=300,
        max_iter=500,
        tol=0.0,
        n_iter_no_change=500,
    )
    quiet(model, X, y)
    assert np.abs(model.coef_).max() < 0.02
    np.testing.assert_allclose(model.intercept_[1] - model.intercept_[0], np.log(0.25), atol=0.05)


@pytest.mark.parametrize("batch_size", [300, 25])
def test_rows_of_weight_zero_are_absent(batch_size):
    X, y = noisy()
    weight = np.random.default_rng(1).integers(0, 2, 300)
    options = {"solver": "adam", "batch_size": batch_size, "max_iter": 5, "random_state": 0}
    with_zeros = quiet(SoftmaxRegression(**options), X, y, sample_weight=weight)
    without = quiet(SoftmaxRegression(**options), X[weight > 0], y[weight > 0])
    np.testing.assert_allclose(with_zeros.coef_, without.coef_, rtol=1e-12)
    assert with_zeros.n_steps_ == without.n_steps_


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_weight_is_repetition_with_full_batches(solver):
    X, y = noisy()
    weight = np.random.default_rng(1).integers(1, 4, 300)
    options = {"solver": solver, "batch_size": 10_000, "tol": 1e-9, "max_iter": 30}
    weighted = quiet(SoftmaxRegression(**options), X, y, sample_weight=weight)
    repeated = quiet(SoftmaxRegression(**options), np.repeat(X, weight, 0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_class_weight_is_sample_weight(solver):
    X, y = noisy()
    options = {"solver": solver, "batch_size": 40, "max_iter": 20, "random_state": 0}
    per_class = {0: 0.5, 1: 2.0, 2: 1.25}
    by_class = quiet(SoftmaxRegression(class_weight=per_class, **options), X, y)
    by_row = quiet(SoftmaxRegression(**options), X, y, sample_weight=np.array([0.5, 2.0, 1.25])[y])
    np.testing.assert_allclose(by_class.coef_, by_row.coef_, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["auto", "nesterov", "adam"])
def test_sparse_rows_give_the_dense_fit(solver, dtype):
    X, y = noisy(dtype=dtype)
    X[np.abs(X) < 0.5] = 0.0
    model = SoftmaxRegression(solver=solver, batch_size=40, max_iter=20, random_state=0)
    dense = quiet(clone(model), X, y)
    csr = quiet(clone(model), sparse.csr_array(X), y)
    tolerance = 1e-9 if dtype == np.float64 else 2e-4
    assert dense.coef_.dtype == csr.coef_.dtype == dtype
    np.testing.assert_allclose(csr.coef_, dense.coef_, atol=tolerance)
    np.testing.assert_allclose(
        csr.predict_proba(sparse.csr_array(X)), dense.predict_proba(X), atol=10 * tolerance
    )


@pytest.mark.parametrize("solver", ["auto", "sgd", "adam"])
def test_number_of_threads_does_not_change_a_bit(solver):
    X, y = noisy(n=9000, d=40)
    options = {"solver": solver, "max_iter": 3, "random_state": 0}
    one, two = (quiet(SoftmaxRegression(n_jobs=n, **options), X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    assert one.objective_history_ == two.objective_history_


def test_labels_may_be_strings():
    X, y = IRIS
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = quiet(SoftmaxRegression(solver="adam", random_state=0), X, names)
    assert set(model.predict(X)) <= set(names)
    assert model.score(X, names) > 0.9


# Continuing


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "cosine", "adaptive"])
def test_partial_fits_give_the_bits_of_one_fit(name, schedule):
    X, y = noisy()
    model = SoftmaxRegression(
        solver=name,
        learning_rate=schedule,
        batch_size=32,
        max_iter=6,
        random_state=0,
        tol=0.05,
        n_iter_no_change=2 if schedule == "adaptive" else 7,
    )
    whole = quiet(clone(model), X, y)
    parts = clone(model)
    for _ in range(6):
        parts.partial_fit(X, y, classes=[0, 1, 2])
        parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_array_equal(parts.coef_, whole.coef_)
    np.testing.assert_array_equal(parts.intercept_, whole.intercept_)
    assert parts.objective_history_ == whole.objective_history_
    assert parts.n_iter_ == whole.n_iter_ == 6 and parts.n_steps_ == whole.n_steps_
    if schedule == "adaptive":
        assert whole._training["rate_factor"] < 1.0


def test_partial_fit_goes_on_where_fit_stopped():
    X, y = noisy()
    options = {"solver": "adam", "batch_size": 32, "random_state": 0}
    whole = quiet(SoftmaxRegression(max_iter=5, **options), X, y)
    parts = quiet(SoftmaxRegression(max_iter=4, **options), X, y).partial_fit(X, y)
    np.testing.assert_array_equal(parts.coef_, whole.coef_)


def test_partial_fit_after_full_passes_starts_at_the_optimum():
    X, y = noisy()
    model = SoftmaxRegression(tol=1e-10, learning_rate_init=1e-5).fit(X, y)
    coef = model.coef_.copy()
    model.partial_fit(X, y)
    assert 0 < np.abs(model.coef_ - coef).max() <= 2.1e-5  # two updates of Adam


def test_partial_fit_takes_batches_of_one_class():
    X, y = noisy()
    order = np.argsort(y, kind="stable")
    model = SoftmaxRegression(solver="sgd", learning_rate_init=0.1, batch_size=10)
    for _ in range(30):
        for label in range(3):
            model.partial_fit(X[y == label], y[y == label], classes=[0, 1, 2])
    assert np.isfinite(model.coef_).all()
    assert model.predict_proba(X[order]).shape == (300, 3)
    assert model.score(X, y) > 0.5


def test_failed_partial_fit_leaves_the_model_as_it_was():
    X, y = noisy()
    model = SoftmaxRegression(solver="sgd", random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    coef, history = model.coef_.copy(), list(model.objective_history_)
    twin = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match="learning_rate_init"):
        model.partial_fit(1e12 * X, y)
    np.testing.assert_array_equal(model.coef_, coef)
    assert model.objective_history_ == history
    np.testing.assert_array_equal(model._training["w"], twin._training["w"])
    assert model._training["n_updates"] == twin._training["n_updates"]


def test_warm_start_begins_at_the_last_weights():
    X, y = noisy()
    for solver in ("auto", "momentum"):
        model = SoftmaxRegression(solver=solver, warm_start=True, random_state=0, temperature=0.5)
        quiet(model, X, y)
        first = model.objective_history_
        quiet(model, X, y)
        assert model.objective_history_[0] < first[0] or len(model.objective_history_) < len(first)
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X[:, :2], y)


# Early stopping


def test_early_stopping_restores_the_best_epoch():
    X, y = noisy(n=400, k=4)
    model = SoftmaxRegression(
        solver="sgd",
        learning_rate_init=20.0,
        batch_size=5,
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=6,
        random_state=0,
    )
    quiet(model, X, y)
    scores = model.validation_scores_
    best = int(np.argmax(scores))
    assert best < len(scores) - 1  # a noisy rate: the last epoch is not the best
    assert model.best_validation_score_ == scores[best] > scores[-1]
    again = clone(model).set_params(max_iter=best + 1)
    quiet(again, X, y)
    np.testing.assert_array_equal(model.coef_, again.coef_)
    assert model.stop_reason_.startswith("validation score")
    assert model.n_iter_ == len(scores) and model.n_steps_ == (best + 1) * 60


def test_given_validation_rows_are_the_judge():
    X, y = noisy(n=400)
    model = SoftmaxRegression(solver="adam", learning_rate_init=0.3, batch_size=20, random_state=0)
    quiet(model, X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    np.testing.assert_allclose(model.score(X[300:], y[300:]), model.best_validation_score_)
    assert len(model.validation_scores_) == model.n_iter_
    plain = quiet(clone(model), X[:300], y[:300])
    assert plain.validation_scores_ is None and plain.best_validation_score_ is None
    assert plain.loss_curve_[:5] == model.loss_curve_[:5]  # all rows train


def test_held_out_rows_do_not_train():
    X, y = noisy(n=400)
    model = SoftmaxRegression(solver="sgd", early_stopping=True, max_iter=1, batch_size=1)
    assert quiet(model, X, y).n_steps_ == 360


def test_training_goes_on_from_the_best_epoch():
    """An adaptive rate is not lowered because losses are no scores."""
    X, y = noisy(n=400)
    model = SoftmaxRegression(
        solver="adam",
        learning_rate="adaptive",
        early_stopping=True,
        n_iter_no_change=2,
        max_iter=30,
        random_state=0,
        C=0.01,
    )
    quiet(model, X, y)
    factor, steps = model._training["rate_factor"], model.n_steps_
    for _ in range(3):
        model.partial_fit(X, y)
    assert model._training["rate_factor"] == factor
    assert model.n_steps_ == steps + 3 * 2


@pytest.mark.parametrize("solver", ["auto", "momentum"])
def test_callbacks_see_every_iteration_and_may_stop(solver):
    pytest.importorskip("sklearn.callback")
    X, y = noisy()
    recorder = Recorder(stop_after=2)
    model = SoftmaxRegression(solver=solver, tol=0.0, random_state=0).set_callbacks(recorder)
    model.fit(X, y)
    assert model.n_iter_ == 2 and model.stop_reason_ == "stopped by a callback"
    assert recorder.count("begin", "iteration") == recorder.count("end", "iteration") == 2
    observer = Observer()
    quiet(clone(model).set_params(max_iter=2).set_callbacks(observer), X, y)
    first, second = observer.fitted
    assert first.predict(X).shape == (300,)
    assert (first.coef_ != second.coef_).any()


# Honesty


@pytest.mark.parametrize("name", RULES)
def test_divergence_is_an_error_that_names_the_rate(name):
    X, y = noisy()
    model = SoftmaxRegression(solver=name, learning_rate_init=1e9, C=0.01, batch_size=10)
    with pytest.raises(ValueError, match="learning_rate_init"):
        quiet(model, X, y)
    assert not hasattr(model, "coef_")


def test_loss_above_its_start_is_not_called_converged():
    X, y = noisy()
    model = SoftmaxRegression(solver="sgd", learning_rate_init=300.0, batch_size=10)
    with pytest.warns(ConvergenceWarning, match="learning_rate_init=300 is too large"):
        model.fit(X, y)
    assert not model.converged_ and np.isfinite(model.coef_).all()


def test_clipping_saves_a_rate_that_diverges():
    X, y = noisy()
    options = {"solver": "sgd", "learning_rate_init": 100.0, "C": 0.01, "max_iter": 40}
    with pytest.raises(ValueError, match="clip_norm"):
        quiet(SoftmaxRegression(**options), X, y)
    model = quiet(SoftmaxRegression(clip_norm=1e-3, **options), X, y)
    assert model.score(X, y) > 0.5


def test_unfinished_training_warns_with_the_reason():
    X, y = noisy()
    for solver in ("auto", "adam"):
        model = SoftmaxRegression(solver=solver, max_iter=1, tol=1e-12)
        with pytest.warns(ConvergenceWarning, match="max_iter=1 .*gradient norm"):
            model.fit(X, y)
        assert not model.converged_


def test_gradient_norm_is_that_of_the_returned_weights():
    X, y = noisy()
    model = quiet(SoftmaxRegression(solver="adam", max_iter=3, C=0.1, random_state=0), X, y)
    P = softmax(X @ model.coef_.T + model.intercept_, axis=1) - np.eye(3)[y]
    gradient = P.T @ X / 300 + model.coef_ / (0.1 * 300)
    expected = max(np.abs(gradient).max(), np.abs(P.mean(axis=0)).max())
    np.testing.assert_allclose(model.gradient_norm_, expected, rtol=1e-10)


def test_separable_classes_without_penalty_are_said_to_be():
    X = np.array([[0.0], [1.0], [10.0], [11.0]])
    with pytest.warns(ConvergenceWarning, match="separate"):
        model = SoftmaxRegression(C=np.inf).fit(X, [0, 0, 1, 1])
    assert not model.converged_ and np.isfinite(model.coef_).all()
    assert model.score(X, [0, 0, 1, 1]) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"solver": "lbfgs"}, "solver"),
        ({"learning_rate": "optimal"}, "learning_rate"),
        ({"learning_rate_init": 0.0}, "learning_rate_init"),
        ({"batch_size": 0}, "batch_size"),
        ({"momentum": 1.0}, "momentum"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"C": 0.0}, "'C'"),
        ({"early_stopping": True}, "early_stopping"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(**options).fit(*IRIS)


def test_wrong_calls_are_named():
    X, y = IRIS
    model = SoftmaxRegression(solver="adam")
    with pytest.raises(ValueError, match="only one class"):
        model.fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="X_val and y_val"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="features"):
        model.fit(X, y, X_val=X[:, :2], y_val=y)
    with pytest.raises(ValueError, match="classes not in"):
        model.fit(X, y, X_val=X, y_val=y + 1)
    with pytest.raises(ValueError, match="classes must be passed"):
        SoftmaxRegression().partial_fit(X, y)
    with pytest.raises(ValueError, match="not the same as on last call"):
        SoftmaxRegression().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="balanced"):
        SoftmaxRegression(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="auto"):
        SoftmaxRegression().fit(X, y, X_val=X, y_val=y)


def test_input_is_not_changed():
    X, y = noisy()
    weight = np.random.default_rng(0).uniform(size=300)
    copies = X.copy(), y.copy(), weight.copy()
    for array in (X, y, weight):
        array.flags.writeable = False
    for solver in ("auto", "adam"):
        quiet(SoftmaxRegression(solver=solver, max_iter=2), X, y, sample_weight=weight)
    for array, copy in zip((X, y, weight), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_verbose_logs_every_epoch(caplog):
    X, y = noisy()
    with caplog.at_level("INFO", "skgen"):
        quiet(SoftmaxRegression(solver="adam", early_stopping=True, max_iter=2, verbose=1), X, y)
    assert [record.getMessage()[:7] for record in caplog.records] == ["Epoch 1", "Epoch 2"]
    assert "validation score" in caplog.text

"""Multilayer perceptrons: what they can learn, how training goes on, and what they tell."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline

from skgen.linear_model import LogisticRegression
from skgen.networks.losses import Squared
from skgen.networks.network import Network
from skgen.neural_network import MLPClassifier, MLPMultiTask, MLPRegressor
from tests.problems import assert_same_bits, fitted_state

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SHAPES = {
    "square": lambda x: x**2,
    "sine": lambda x: np.sin(np.pi * x),
    "absolute value": np.abs,
    "step": lambda x: (x > 0.0).astype(float),
}


def blobs(n=120, d=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return rng.normal(size=(n, d)) + 1.5 * np.eye(k, d)[y], y


def line(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.0, 1.0, size=(n, 2))
    return X, X[:, 0] - 0.5 * X[:, 1] ** 2


def test_exclusive_or_is_learned():
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float), np.array([0, 1, 1, 0])
    for solver, options in (
        ("lbfgs", {}),
        ("adam", {"learning_rate_init": 0.05, "max_iter": 2000}),
    ):
        network = MLPClassifier((8,), activation="tanh", solver=solver, random_state=0, **options)
        np.testing.assert_array_equal(network.fit(X, y).predict(X), y)


@pytest.mark.parametrize("shape", SHAPES)
def test_three_hidden_units_fit_a_function_of_one_variable(shape):
    X = np.linspace(-1.0, 1.0, 50)[:, None]
    y = SHAPES[shape](X[:, 0])
    errors = []
    for seed in range(5):
        network = MLPRegressor(
            hidden_layer_sizes=(3,),
            activation="tanh",
            solver="lbfgs",
            alpha=0.0,
            tol=1e-8,
            max_iter=5000,
            random_state=seed,
        ).fit(X, y)
        errors.append(np.sqrt(np.mean((network.predict(X) - y) ** 2)))
    # Bishop (2006), figure 5.3 draws these four; some starts end in poor minima.
    assert min(errors) < 0.03


def test_early_stopping_restores_the_best_weights():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    network = MLPClassifier(
        (30,), max_iter=200, learning_rate_init=0.02, n_iter_no_change=5, random_state=0
    ).set_params(early_stopping=True, tol=0.0)
    network.fit(X[:600], y[:600], X_val=X[600:1200], y_val=y[600:1200])
    scores = network.validation_scores_
    assert len(scores) == network.n_iter_ == len(network.validation_loss_curve_)
    assert network.best_validation_score_ == max(scores)
    assert network.score(X[600:1200], y[600:1200]) == max(scores)
    assert network.best_loss_ is None
    assert "validation score" in network.stop_reason_
    # Training stopped so many epochs after the best one.
    assert network.n_iter_ - 1 - int(np.argmax(scores)) >= 5


def test_rows_to_watch_are_watched_without_stopping():
    X, y = blobs()
    watched = MLPClassifier((5,), max_iter=12, random_state=0).fit(X, y, X_val=X, y_val=y)
    plain = MLPClassifier((5,), max_iter=12, random_state=0).fit(X, y)
    assert len(watched.validation_loss_curve_) == 12
    assert watched.validation_scores_[-1] <= max(watched.validation_scores_)
    np.testing.assert_array_equal(watched.loss_curve_, plain.loss_curve_)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "batch_norm": True}, {"solver": "sgd"}])
def test_partial_fit_gives_the_bits_of_fit(options):
    X, y = blobs()
    arguments = {"hidden_layer_sizes": (7,), "random_state": 5, "batch_size": 32} | options
    whole = MLPClassifier(max_iter=6, n_iter_no_change=10**6, **arguments).fit(X, y)
    parts = MLPClassifier(**arguments)
    for _ in range(6):
        parts = pickle.loads(pickle.dumps(parts)).partial_fit(X, y, classes=[0, 1, 2])
    names = ("coefs_", "intercepts_", "loss_curve_", "t_")
    for name in names:
        for one, other in zip(
            np.atleast_1d(np.array(getattr(parts, name), dtype=object)),
            np.atleast_1d(np.array(getattr(whole, name), dtype=object)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_training_goes_on_with_rows_of_another_type_and_other_rules():
    X, y = blobs()
    network = MLPClassifier((7,), batch_size=32, random_state=0)
    network.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X.astype(np.float32), y)
    assert network.coefs_[0].dtype == np.float32
    twin = MLPClassifier((7,), batch_size=32, random_state=0)
    twin.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    np.testing.assert_allclose(network.coefs_[0], twin.coefs_[0], atol=1e-5)
    for changes in ({"solver": "sgd"}, {"momentum": 0.0}, {"solver": "adamw"}):
        twin.set_params(**changes).partial_fit(X, y)
        assert np.isfinite(twin.loss_)


class Checkpoint:
    """Keeps what the fit was after so many epochs, then stops it."""

    def __init__(self, epochs):
        self.epochs, self.kept = epochs, None

    def setup(self, estimator, context):
        """Nothing to do."""

    def teardown(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_begin(self, estimator, context, **data):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "iteration" or context.task_id != self.epochs - 1:
            return False
        self.kept = pickle.dumps(fitted_estimator)
        return True


def test_a_checkpoint_of_a_callback_is_resumed_to_the_same_bits():
    pytest.importorskip("sklearn.callback")
    X, y = blobs()
    network = MLPClassifier((7,), max_iter=9, batch_size=32, dropout=0.2, random_state=1)
    whole = clone(network).fit(X, y)
    checkpoint = Checkpoint(4)
    stopped = clone(network).set_callbacks(checkpoint)
    stopped.fit(X, y)
    assert (stopped.n_iter_, stopped.stop_reason_) == (4, "stopped by a callback")
    resumed = pickle.loads(checkpoint.kept)
    for _ in range(5):
        resumed.partial_fit(X, y)
    for one, other in zip(resumed.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.loss_curve_ == whole.loss_curve_


def test_warm_start_with_other_sizes_is_refused():
    X, y = blobs()
    network = MLPClassifier((5,), max_iter=2, warm_start=True, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"coefs_ of shapes .* warm_start"):
        network.set_params(hidden_layer_sizes=(6,)).fit(X, y)


def test_class_weight_is_a_weight_of_rows():
    X, y = blobs()
    by_class = MLPClassifier((5,), max_iter=5, random_state=0, class_weight={0: 2.0, 2: 0.5})
    by_row = MLPClassifier((5,), max_iter=5, random_state=0)
    weight = np.choose(y, [2.0, 1.0, 0.5])
    assert_same_bits(
        {"loss": by_class.fit(X, y).loss_},
        {"loss": by_row.fit(X, y, sample_weight=weight).loss_},
    )


class OwnSquared:
    """Half the squared error, as a user may write it."""

    def n_outputs(self, n_targets):
        return n_targets

    def value_and_gradient(self, raw, target, weight):
        error = raw - target
        value = 0.5 * float(weight @ (error**2).sum(axis=1))
        return value, error * weight[:, None].astype(raw.dtype)

    def predict(self, raw):
        return raw


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_of_the_user_trains_as_the_same_one_here(solver):
    X, y = line()
    arguments = {"hidden_layer_sizes": (6,), "solver": solver, "max_iter": 8, "random_state": 0}
    own = MLPRegressor(loss=OwnSquared(), **arguments).fit(X, y)
    known = MLPRegressor(**arguments).fit(X, y)
    np.testing.assert_allclose(own.loss_curve_, known.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(own.predict(X), known.predict(X), rtol=1e-7)


class Tenfold(Squared):
    """A loss made of one that the kernel knows."""

    def cells(self, raw, target):
        value, slope = super().cells(raw, target)
        return 10.0 * value, 10.0 * slope


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_derived_from_a_known_one_is_not_taken_for_it(solver):
    X, y = line()
    arguments = {"hidden_layer_sizes": (6,), "solver": solver, "alpha": 0.0, "random_state": 0}
    own = MLPRegressor(loss=Tenfold(), max_iter=1, **arguments).fit(X, y)
    known = MLPRegressor(max_iter=1, **arguments).fit(X, y)
    assert own.loss_curve_[0] > 5.0 * known.loss_curve_[0]


def test_gaussian_loss_finds_mean_and_deviation():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, size=(2000, 1))
    deviation = 0.1 + 0.4 * (X[:, 0] > 0)
    y = 2.0 * X[:, 0] + deviation * rng.normal(size=2000)
    network = MLPRegressor(
        loss="gaussian", hidden_layer_sizes=(10,), activation="tanh", solver="lbfgs", random_state=0
    ).fit(X, y)
    grid = np.array([[-0.8], [-0.5], [0.5], [0.8]])
    mean, found = network.predict(grid, return_std=True)
    # A thousand rows on each side give a deviation to 1 / sqrt(2000) of itself.
    np.testing.assert_allclose(found, [0.1, 0.1, 0.5, 0.5], rtol=0.15)
    np.testing.assert_allclose(mean, 2.0 * grid[:, 0], atol=0.1)
    with pytest.raises(ValueError, match="loss='gaussian'"):
        MLPRegressor(max_iter=1).fit(X, y).predict(X, return_std=True)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_quantile_loss_leaves_its_share_below(share):
    rng = np.random.default_rng(1)
    X = rng.uniform(-1.0, 1.0, size=(1000, 1))
    y = X[:, 0] + rng.exponential(size=1000)
    network = MLPRegressor(
        loss="quantile", quantile=share, hidden_layer_sizes=(8,), learning_rate="cosine",
        learning_rate_init=0.02, max_iter=100, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert np.mean(y <= network.predict(X)) == pytest.approx(share, abs=0.03)


def test_huber_and_absolute_losses_bear_outliers():
    X, y = line(200)
    spoiled = np.where(np.arange(200) % 20 == 0, 100.0, y)
    arguments = {"hidden_layer_sizes": (20,), "max_iter": 400, "learning_rate_init": 0.01}
    errors = {
        loss: np.abs(
            MLPRegressor(loss=loss, random_state=0, **arguments).fit(X, spoiled).predict(X) - y
        ).mean()
        for loss in ("squared_error", "huber", "absolute_error")
    }
    assert max(errors["huber"], errors["absolute_error"]) < 0.2 * errors["squared_error"]


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_training_that_runs_away_names_the_rate_and_the_scale(solver):
    X, y = line()
    network = MLPRegressor(solver=solver, learning_rate_init=1e6, random_state=0)
    with pytest.raises(ValueError, match=r"scale the columns of X") as caught:
        network.fit(1e200 * X, y)
    assert solver == "lbfgs" or "learning_rate_init" in str(caught.value)
    assert not hasattr(network, "coefs_")


def test_a_fit_that_did_not_rest_says_so():
    X, y = blobs()
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        network = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
    assert not network.converged_
    assert network.stop_reason_ == "max_iter=3 epochs reached"
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        MLPClassifier(solver="lbfgs", max_iter=3, random_state=0).fit(X, y)


def test_gradient_norms_and_dead_units_are_what_they_say():
    X, y = line(50)
    network = MLPRegressor(hidden_layer_sizes=(6, 5), max_iter=4, random_state=0, alpha=0.1)
    network.fit(X, y)
    reference = Network(network._layers, Squared(), l2=0.1)
    w = reference.pack(network._parts(), np.float64)
    _, gradient = reference.value_and_gradient(w, X, y[:, None], np.ones(50))
    expected = [
        np.sqrt((part["coef"] ** 2).sum() + (part["intercept"] ** 2).sum())
        for part in reference.parts(gradient)
    ]
    np.testing.assert_allclose(network.gradient_norms_, expected, rtol=1e-9)
    dead = [float((network.transform(X, layer) == 0.0).all(axis=0).mean()) for layer in (0, 1)]
    assert network.dead_units_ == dead
    network.intercepts_[0][:] = -100.0
    network.set_params(warm_start=True, solver="sgd", learning_rate_init=1e-9)
    assert network.fit(X, y).dead_units_[0] == 1.0


def test_hidden_layers_are_features_with_names():
    X, y = load_iris(return_X_y=True, as_frame=True)
    network = MLPClassifier((6, 4), max_iter=300, learning_rate_init=0.02, random_state=0)
    features = network.set_output(transform="pandas").fit(X, y).transform(X)
    assert list(features.columns) == [f"mlpclassifier{i}" for i in range(4)]
    network.set_output(transform="default")
    first, last = network.transform(X, layer=0), network.transform(X)
    assert (first.shape, last.shape) == ((150, 6), (150, 4))
    np.testing.assert_array_equal(last, network.transform(X, 1))
    by_hand = np.maximum(first @ network.coefs_[1] + network.intercepts_[1], 0.0)
    np.testing.assert_allclose(last, by_hand, rtol=1e-12)
    assert make_pipeline(network, LogisticRegression()).fit(X, y).score(X, y) > 0.9
    with pytest.raises(ValueError, match=r"layer=2 .* 2 hidden layers"):
        network.transform(X, 2)


def test_several_labels_per_row():
    X, y = blobs(200)
    Y = np.column_stack([y == 0, y > 0, X[:, 0] > 0]).astype(int)
    network = MLPClassifier((20,), max_iter=100, learning_rate_init=0.01, random_state=0)
    network.fit(X, Y)
    assert network.predict(X).shape == network.predict_proba(X).shape == (200, 3)
    np.testing.assert_array_equal(network.predict(X), network.predict_proba(X) > 0.5)
    assert network.score(X, Y) > 0.8
    alike = MLPClassifier((20,), max_iter=100, learning_rate_init=0.01, random_state=0)
    alike.fit(X, sparse.csr_matrix(Y))
    np.testing.assert_array_equal(alike.coefs_[0], network.coefs_[0])
    with pytest.raises(ValueError, match="class_weight"):
        MLPClassifier(class_weight="balanced").fit(X, Y)


def test_one_class_is_always_predicted():
    X, _ = blobs(20)
    network = MLPClassifier((3,), max_iter=3, random_state=0).fit(X, np.full(20, "only"))
    assert set(network.predict(X)) == {"only"}
    np.testing.assert_array_equal(network.predict_proba(X), np.ones((20, 1)))


def test_tasks_of_one_column_are_the_single_estimators():
    X, y = blobs()
    arguments = {"hidden_layer_sizes": (6,), "max_iter": 10, "random_state": 0}
    alone = MLPClassifier(**arguments).fit(X, y)
    task = MLPMultiTask(**arguments).fit(X, y[:, None])
    np.testing.assert_array_equal(task.coefs_[0], alone.coefs_[0])
    np.testing.assert_array_equal(task.predict(X)[:, 0], alone.predict(X))
    np.testing.assert_array_equal(task.predict_probabilities(X)[0], alone.predict_proba(X))
    X, y = line()
    alone = MLPRegressor(**arguments).fit(X, y)
    task = MLPMultiTask(**arguments).fit(X, y[:, None])
    np.testing.assert_array_equal(task.coefs_[0], alone.coefs_[0])
    assert task.score(X, y[:, None]) == pytest.approx(alone.score(X, y), rel=1e-12)


def test_answers_that_are_not_known_cost_nothing():
    X, y = blobs()
    arguments = {"hidden_layer_sizes": (6,), "solver": "lbfgs", "max_iter": 8, "random_state": 0}
    known = np.arange(120) % 3 > 0
    partly = MLPMultiTask(**arguments, alpha=0.0).fit(X, np.where(known, y, -1)[:, None])
    least = MLPMultiTask(**arguments, alpha=0.0).fit(X[known], y[known][:, None])
    # Both minimize the same sum, divided by 120 and by 80.
    assert partly.loss_ * 120 == pytest.approx(least.loss_ * 80, rel=0.2)
    missing = np.column_stack([y.astype(object), X[:, 0].astype(object)])
    missing[::4, 0], missing[::5, 1] = None, np.nan
    network = MLPMultiTask(**arguments | {"max_iter": 200}).fit(X, missing)
    assert network.tasks_ == ["log_loss", "squared_error"]
    assert network.predict(X).shape == (120, 2)
    assert network.score(X, missing) > 0.8
    seen = [accuracy_score(y[::4], network.predict(X)[::4, 0].astype(int))]
    seen.append(r2_score(X[::5, 0], network.predict(X)[::5, 1].astype(float)))
    assert min(seen) > 0.6


def test_task_weights_multiply_losses():
    X, y = blobs()
    Y = np.column_stack([y, X[:, 0]])
    arguments = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0, "alpha": 0.0}
    tasks = ["log_loss", "squared_error"]
    one = MLPMultiTask(**arguments, tasks=tasks, task_weights=[1.0, 0.0]).fit(X, Y)
    alone = MLPClassifier(**arguments, solver="sgd")
    assert one.classes_[1] is None
    half = MLPMultiTask(**arguments, tasks=tasks, task_weights=[0.5, 0.5], solver="sgd").fit(X, Y)
    both = MLPMultiTask(**arguments, tasks=tasks, solver="sgd").fit(X, Y)
    assert 2.0 * half.loss_curve_[0] == pytest.approx(both.loss_curve_[0], rel=0.05)
    assert alone.fit(X, y).loss_curve_[0] != both.loss_curve_[0]
    with pytest.raises(ValueError, match="task_weights"):
        MLPMultiTask(task_weights=[1.0]).fit(X, Y)


def test_penalties_make_weights_short_or_zero():
    X, y = line()
    X = np.column_stack([X, np.random.default_rng(0).normal(size=(80, 5))])
    arguments = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 300}
    for solver in ("lbfgs", "adam", "sgd"):
        loose = MLPRegressor(solver=solver, alpha=1e-6, **arguments).fit(X, y)
        tight = MLPRegressor(solver=solver, alpha=3.0, **arguments).fit(X, y)
        sparse_ = MLPRegressor(solver=solver, alpha=3.0, l1_ratio=1.0, **arguments).fit(X, y)
        sizes = [sum((part**2).sum() for part in fit.coefs_) for fit in (loose, tight)]
        assert sizes[1] < (0.5 if solver == "lbfgs" else 0.9) * sizes[0], solver
        assert np.mean(sparse_.coefs_[0] == 0.0) > 0.2, solver
        assert np.mean(tight.coefs_[0] == 0.0) < 0.1, solver


def test_refit_forgets_what_another_activation_had():
    X, y = blobs()
    network = MLPClassifier((4,), "prelu", batch_norm=True, max_iter=2, random_state=0).fit(X, y)
    assert network.slopes_[0].shape == network.scales_[0].shape == (4,)
    network.set_params(activation="relu", batch_norm=False).fit(X, y)
    assert not {"slopes_", "scales_", "running_means_"} & set(fitted_state(network))


REFUSED = {
    "dropout of one": ({"dropout": 1.0}, "dropout"),
    "dropout for two layers": ({"dropout": [0.1, 0.2]}, r"dropout=\[0.1, 0.2\].*1 hidden"),
    "sizes of zero": ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0"),
    "sizes of floats": ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes must be integers"),
    "batch norm of one row": ({"batch_norm": True, "batch_size": 1}, "batch_norm=True.*2 rows"),
    "dropout with lbfgs": ({"solver": "lbfgs", "dropout": 0.5}, "lbfgs.*dropout"),
    "batch norm with lbfgs": ({"solver": "lbfgs", "batch_norm": True}, "lbfgs.*batch_norm"),
    "an unknown solver": ({"solver": "best"}, "solver"),
    "an unknown activation": ({"activation": "step"}, "activation"),
    "an object that is no loss": ({"loss": object()}, "loss"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_name_what_was_given(what):
    arguments, message = REFUSED[what]
    X, y = blobs(30)
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**{"hidden_layer_sizes": (4,)} | arguments).fit(X, y)


def test_rows_to_watch_must_fit():
    X, y = blobs(30)
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        MLPClassifier().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="3 features"):
        MLPClassifier().fit(X, y, X_val=X[:, :3], y_val=y)
    with pytest.raises(ValueError, match=r"7"):
        MLPClassifier().fit(X, y, X_val=X, y_val=np.full(30, 7))
    with pytest.raises(ValueError, match=r"lbfgs.*X_val"):
        MLPClassifier(solver="lbfgs").fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="validation set is too small"):
        MLPRegressor(early_stopping=True, validation_fraction=0.01).fit(X, y)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "gaussian"])
def test_rows_held_out_judge_by_the_loss_that_is_learned(loss):
    X, y = line()
    network = MLPRegressor(
        loss, (10,), early_stopping=True, max_iter=30, tol=0.0, quantile=0.9, random_state=0
    ).fit(X, y)
    scores, losses = network.validation_scores_, network.validation_loss_curve_
    np.testing.assert_array_equal(scores, -np.array(losses))
    assert network.best_validation_score_ == -min(losses)


def test_an_adaptive_rate_falls_without_an_end():
    X, y = line()
    options = {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 1.0}
    network = MLPRegressor(hidden_layer_sizes=(5,), random_state=0, max_iter=12, **options)
    for _ in range(12):
        network.partial_fit(X, y)
    # Three calls without an improvement of tol, the first call apart, lower the rate.
    assert network._kept["training"]["rate_factor"] == pytest.approx(0.2**3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network.fit(X, y, X_val=X, y_val=y)
    assert network.n_iter_ == 12
    # Nor where no rate is left to fall.
    network.set_params(learning_rate="constant").fit(X, y, X_val=X, y_val=y)
    assert network.n_iter_ == 12


def test_warnings_point_at_the_code_that_called():
    X, y = line()
    for network in (
        MLPRegressor(max_iter=2, batch_size=1000),
        MLPRegressor(solver="lbfgs", max_iter=2, tol=0.0),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            network.fit(X, y)
        assert caught
        assert {warning.filename for warning in caught} == {__file__}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPRegressor(batch_size=1000).partial_fit(X, y)
    assert [warning.filename for warning in caught] == [__file__]


def test_transform_without_hidden_layers_is_refused():
    X, y = line()
    network = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs").fit(X, y)
    with pytest.raises(ValueError, match="needs a network with hidden layers"):
        network.transform(X)

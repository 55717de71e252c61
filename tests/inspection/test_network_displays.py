"""Pictures of networks show their training, their weights and their outputs, and nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnNetwork

from skgen.cluster import KMeans
from skgen.decomposition import PCA
from skgen.inspection import ActivationsDisplay, FiltersDisplay, TrainingDisplay
from skgen.linear_model import Perceptron, SoftmaxRegression
from skgen.neural_network import Autoencoder, MLPClassifier, MLPMultiTask, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16.0, Y[:400]
HELD_OUT = {"X_val": X[300:], "y_val": Y[300:]}


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def axes():
    """Axes that pyplot does not know."""
    return Figure().subplots()


def fitted(sizes=(9,), kind=MLPClassifier, **options):
    arguments = {"max_iter": 12, "learning_rate_init": 0.01, "random_state": 0} | options
    return kind(hidden_layer_sizes=sizes, **arguments).fit(X[:300], Y[:300])


def watched(**options):
    network = MLPClassifier((9,), max_iter=15, learning_rate_init=0.2, random_state=0, **options)
    return network.fit(X[:300], Y[:300], **HELD_OUT)


def tiles(display, width, side=8):
    """The images of a mosaic as rows, from what matplotlib holds."""
    whole = np.ma.filled(np.ma.asarray(display.image_.get_array(), dtype=float), np.nan)
    places = [divmod(number, width) for number in range(len(display.rows))]
    step = side + 1
    return np.array(
        [
            whole[line * step : line * step + side, place * step : place * step + side].ravel()
            for line, place in places
        ]
    )


def test_training_has_a_point_per_epoch_and_marks_the_one_that_was_kept():
    network = watched()
    display = TrainingDisplay.from_estimator(network, ax=axes())
    drawn = {
        "loss_curve_": display.training_,
        "validation_loss_curve_": display.validation_,
        "validation_scores_": display.scores_,
    }
    for name, line in drawn.items():
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 16))
        np.testing.assert_array_equal(line.get_ydata(), getattr(network, name))
    assert display.best_epoch_ < 15
    assert set(display.best_.get_xdata()) == {display.best_epoch_}
    # The weights that the fit returned are those of the marked epoch.
    kept = network.score(HELD_OUT["X_val"], HELD_OUT["y_val"])
    assert display.scores_.get_ydata()[display.best_epoch_ - 1] == kept
    again = clone(network).set_params(max_iter=display.best_epoch_)
    again.fit(X[:300], Y[:300], **HELD_OUT)
    np.testing.assert_array_equal(again.coefs_[0], network.coefs_[0])
    assert display.scores_.axes is display.score_ax_ is not display.ax_
    assert display.score_ax_.get_legend() is not None and display.ax_.get_legend() is None


def test_training_without_rows_held_out_is_one_line():
    display = TrainingDisplay.from_estimator(fitted(), line_kwargs={"c": "red"}, ax=axes())
    assert display.figure_.axes == [display.ax_]
    assert display.ax_.get_lines()[:] == [display.training_]
    nothing = display.validation_, display.scores_, display.best_, display.best_epoch_
    assert nothing == (None,) * 4
    assert display.ax_.get_legend() is None
    assert display.training_.get_color() == "red"
    assert display.ax_.get_xlabel() == "epoch"


def test_training_without_scores_marks_the_best_epoch_still():
    network = watched()
    display = TrainingDisplay.from_estimator(network, scores=False, ax=axes())
    assert display.figure_.axes == [display.ax_]
    assert display.scores_ is display.score_ax_ is None
    assert display.best_epoch_ == int(np.argmax(network.validation_scores_)) + 1
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    epoch = f"best score: epoch {display.best_epoch_}"
    assert labels == ["training loss", "validation loss", epoch]


def test_validation_after_a_warm_start_is_of_the_last_epochs():
    network = fitted(warm_start=True)
    network.fit(X[:300], Y[:300], **HELD_OUT)
    display = TrainingDisplay.from_estimator(network, ax=axes())
    np.testing.assert_array_equal(display.training_.get_xdata(), np.arange(1, 25))
    for line in (display.validation_, display.scores_):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(13, 25))
    assert display.best_epoch_ == 13 + int(np.argmax(network.validation_scores_))


def test_training_of_other_estimators():
    arguments = {"early_stopping": True, "max_iter": 8, "random_state": 0}
    theirs = SklearnNetwork((5,), **arguments).fit(X, Y)
    softmax = SoftmaxRegression(solver="adam", **arguments).fit(X, Y)
    for network in (theirs, softmax):
        display = TrainingDisplay.from_estimator(network, ax=axes())
        np.testing.assert_array_equal(display.training_.get_ydata(), network.loss_curve_)
        np.testing.assert_array_equal(display.scores_.get_ydata(), network.validation_scores_)
        assert display.validation_ is None
    for kind in (MLPRegressor, Autoencoder):
        display = TrainingDisplay.from_estimator(fitted((4,), kind), ax=axes())
        assert len(display.training_.get_xdata()) == 12
    whole = fitted(solver="lbfgs")
    display = TrainingDisplay.from_estimator(whole, ax=axes())
    np.testing.assert_array_equal(display.training_.get_ydata(), whole.loss_curve_)
    assert display.ax_.get_xlabel() == "iteration"


def test_scores_that_say_nothing_are_not_the_best():
    display = TrainingDisplay(
        loss_curve=[3.0, 2.0, 1.0], validation_scores=[np.nan, 0.5, 0.7]
    ).plot(axes())
    assert display.best_epoch_ == 3


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor, Autoencoder, SklearnNetwork])
def test_filters_are_the_incoming_weights(kind):
    network = fitted((6,), kind)
    display = FiltersDisplay.from_estimator(network, n_columns=4, ax=axes())
    np.testing.assert_array_equal(tiles(display, 4), network.coefs_[0].T)
    np.testing.assert_array_equal(display.units_, np.arange(6))
    assert display.ax_.get_title() == ""
    some = FiltersDisplay.from_estimator(network, which=[4, -1], n_columns=2, ax=axes())
    np.testing.assert_array_equal(tiles(some, 2), network.coefs_[0].T[[4, 5]])
    np.testing.assert_array_equal(some.units_, [4, 5])


def test_filters_of_networks_without_hidden_layer_and_of_perceptrons_are_those_of_classes():
    linear = fitted(())
    display = FiltersDisplay.from_estimator(linear, ax=axes())
    np.testing.assert_array_equal(display.rows, linear.coefs_[0].T)
    perceptron = Perceptron().fit(X, Y)
    display = FiltersDisplay.from_estimator(perceptron, n_columns=5, ax=axes())
    np.testing.assert_array_equal(tiles(display, 5), perceptron.coef_)


def test_which_units_are_strongest_does_not_depend_on_how_a_strength_is_shared():
    network = fitted((12,))
    chosen = FiltersDisplay.from_estimator(network, which=5, ax=axes()).units_
    product = np.linalg.norm(network.coefs_[0], axis=0) * np.linalg.norm(network.coefs_[1], axis=1)
    np.testing.assert_array_equal(chosen, np.argsort(-product)[:5])
    # Powers of two change no relu network but for the sizes of its weights.
    before, factor = network.predict_proba(X), 2.0 ** np.arange(-6, 6)
    network.coefs_[0] *= factor
    network.intercepts_[0] *= factor
    network.coefs_[1] /= factor[:, None]
    np.testing.assert_array_equal(network.predict_proba(X), before)
    again = FiltersDisplay.from_estimator(network, which=5, ax=axes()).units_
    np.testing.assert_array_equal(again, chosen)


def test_strength_under_batch_norm_is_that_of_the_scale():
    network = fitted((12,), batch_norm=True)
    chosen = FiltersDisplay.from_estimator(network, which=4, ax=axes()).units_
    strength = np.abs(network.scales_[0]) * np.linalg.norm(network.coefs_[1], axis=1)
    np.testing.assert_array_equal(chosen, np.argsort(-strength)[:4])


def test_every_piece_of_a_maxout_unit_has_an_image():
    network = fitted((5,), activation="maxout", pieces=3)
    display = FiltersDisplay.from_estimator(network, ax=axes())
    assert display.rows.shape == (15, 64)
    strongest = FiltersDisplay.from_estimator(network, which=15, ax=axes()).units_
    lengths = np.linalg.norm(network.coefs_[0], axis=0)
    onward = np.repeat(np.linalg.norm(network.coefs_[1], axis=1), 3)
    np.testing.assert_array_equal(strongest, np.argsort(-lengths * onward))


@pytest.mark.parametrize("layer", [None, 0, 1, -2])
def test_activations_are_those_of_the_layer_by_class(layer):
    network = fitted((9, 4))
    display = ActivationsDisplay.from_estimator(network, X, Y, layer=layer, ax=axes())
    expected = network.transform(X, -1 if layer is None else layer)
    drawn = np.asarray(display.image_.get_array())
    np.testing.assert_array_equal(drawn, expected[display.rows_])
    np.testing.assert_array_equal(display.units_, np.arange(expected.shape[1]))
    # Rows of one class keep their order.
    np.testing.assert_array_equal(display.rows_, sorted(range(400), key=lambda row: Y[row]))
    assert display.image_.get_clim() == (0.0, expected.max())
    assert display.ax_.get_xlabel() == "unit"


def test_lines_part_the_classes_and_names_stand_in_their_middle():
    values = np.arange(12.0).reshape(6, 2)
    labels = np.array(["b", "a", "b", "c", "b", "a"])
    display = ActivationsDisplay(activations=values, labels=labels).plot(axes())
    np.testing.assert_array_equal(display.rows_, [1, 5, 0, 2, 4, 3])
    assert [line.get_ydata()[0] for line in display.lines_] == [1.5, 4.5]
    assert display.ax_.get_yticks().tolist() == [0.5, 3.0, 5.0]
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["a", "b", "c"]
    bare = ActivationsDisplay(activations=values).plot(axes(), colorbar=False)
    np.testing.assert_array_equal(np.asarray(bare.image_.get_array()), values)
    assert bare.lines_ == [] and bare.colorbar_ is None
    assert bare.ax_.get_ylabel() == "row"


def test_sorted_units_stand_with_the_class_that_moves_them_most():
    network = fitted((30,))
    plain = ActivationsDisplay.from_estimator(network, X, Y, ax=axes())
    display = ActivationsDisplay.from_estimator(network, X, Y, sort_units=True, ax=axes())
    drawn = np.asarray(display.image_.get_array())
    np.testing.assert_array_equal(drawn, np.asarray(plain.image_.get_array())[:, display.units_])
    assert sorted(display.units_) == list(range(30))
    classes = Y[display.rows_]
    favorite = np.argmax([drawn[classes == digit].mean(axis=0) for digit in range(10)], axis=0)
    assert (np.diff(favorite) >= 0).all()


def test_numbers_order_rows_without_names():
    regression = MLPRegressor(hidden_layer_sizes=(5,), activation="tanh", random_state=0)
    y = X @ np.linspace(-1.0, 1.0, 64)
    display = ActivationsDisplay.from_estimator(regression.fit(X, y), X, y, ax=axes())
    assert (np.diff(y[display.rows_]) >= 0).all()
    assert display.lines_ == [] and len(display.ax_.get_yticks()) == 0
    lowest, highest = display.image_.get_clim()
    assert -lowest == highest == np.abs(regression.transform(X)).max()


def test_codes_frames_sparse_rows_and_searches_are_drawn():
    pytest.importorskip("pandas")
    encoder = fitted((9,), Autoencoder, n_components=3)
    display = ActivationsDisplay.from_estimator(encoder, csr_array(X), ax=axes())
    np.testing.assert_allclose(np.asarray(display.image_.get_array()), encoder.transform(X))
    network = fitted().set_output(transform="pandas")
    display = ActivationsDisplay.from_estimator(network, X[:7], ax=axes())
    np.testing.assert_array_equal(np.asarray(display.image_.get_array()), network.transform(X[:7]))
    small = MLPClassifier((4,), max_iter=2, random_state=0)
    search = GridSearchCV(small, {"alpha": [0.0, 1.0]}, cv=2).fit(X, Y)
    best = search.best_estimator_
    images = FiltersDisplay.from_estimator(search, ax=axes())
    np.testing.assert_array_equal(images.rows, best.coefs_[0].T)
    outputs = ActivationsDisplay.from_estimator(search, X, ax=axes())
    np.testing.assert_array_equal(outputs.activations, best.transform(X))
    curves = TrainingDisplay.from_estimator(search, ax=axes())
    np.testing.assert_array_equal(curves.loss_curve, best.loss_curve_)
    tasks = MLPMultiTask((4,), max_iter=2, random_state=0).fit(X, np.column_stack([Y, X[:, 20]]))
    np.testing.assert_array_equal(
        ActivationsDisplay.from_estimator(tasks, X, ax=axes()).activations, tasks.transform(X)
    )


NETWORK = MLPClassifier((9,), early_stopping=True, random_state=0).fit(X, Y)
BAD_ARGUMENTS = {
    "training_line": (TrainingDisplay, {"line_kwargs": {"w": 1}}, TypeError, "line_kwargs.*'w'"),
    "training_ax": (TrainingDisplay, {"ax": 3}, TypeError, "ax=3.*Axes"),
    "which_zero": (FiltersDisplay, {"which": 0}, ValueError, "which=0 must be 1 to 9"),
    "which_many": (FiltersDisplay, {"which": 10}, ValueError, "which=10 must be 1 to 9"),
    "which_bool": (FiltersDisplay, {"which": True}, TypeError, "which=True"),
    "which_far": (FiltersDisplay, {"which": [9]}, ValueError, r"which=\[9\].*0 and 8"),
    "shape": (FiltersDisplay, {"image_shape": (8, 9)}, ValueError, r"image_shape=\(8, 9\).*64"),
    "filters_columns": (FiltersDisplay, {"n_columns": 0}, ValueError, "n_columns=0"),
    "filters_scale": (FiltersDisplay, {"scale": "own"}, ValueError, "scale='own'"),
    "filters_titles": (FiltersDisplay, {"titles": ["a"]}, ValueError, "titles must be 9"),
    "filters_ax": (FiltersDisplay, {"ax": 3}, TypeError, "ax=3.*Axes"),
    "layer": (ActivationsDisplay, {"layer": 1}, ValueError, "layer=1.*1 hidden layers"),
    "y_short": (ActivationsDisplay, {"y": Y[:3]}, ValueError, r"y must be 400.*\(3,\)"),
    "y_mixed": (
        ActivationsDisplay, {"y": np.array([None, "a"] * 200, object)}, TypeError, "y must hold"
    ),
    "sort_units": (ActivationsDisplay, {"sort_units": True}, ValueError, "sort_units=True needs y"),
    "sort_numbers": (
        ActivationsDisplay, {"sort_units": True, "y": X.sum(axis=1)}, ValueError, "sort_units=True"
    ),
    "activations_cmap": (ActivationsDisplay, {"cmap": "gaudy"}, ValueError, "cmap='gaudy'"),
    "activations_ax": (ActivationsDisplay, {"ax": 3}, TypeError, "ax=3.*Axes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_argument_is_named(case):
    display, arguments, error, message = BAD_ARGUMENTS[case]
    rows = (X,) if display is ActivationsDisplay else ()
    with pytest.raises(error, match=message):
        display.from_estimator(NETWORK, *rows, **arguments)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("display", "estimator", "error", "message"),
    [
        (TrainingDisplay, MLPClassifier(), NotFittedError, "MLPClassifier instance is not fitted"),
        (TrainingDisplay, PCA(2).fit(X), TypeError, "network must be.*loss_curve_.*a PCA"),
        (TrainingDisplay, MLPClassifier, TypeError, "network must be.*the class MLPClassifier"),
        (FiltersDisplay, MLPClassifier(), NotFittedError, "MLPClassifier instance is not fitted"),
        (FiltersDisplay, KMeans(2).fit(X), TypeError, "network must have coefs_ or.*a KMeans"),
        (FiltersDisplay, 3, TypeError, "network must be a fitted network.*a int"),
        (ActivationsDisplay, MLPClassifier(), NotFittedError, "is not fitted"),
        (ActivationsDisplay, NETWORK.coefs_, TypeError, "network must be a fitted.*a list"),
        (ActivationsDisplay, Perceptron().fit(X, Y), TypeError, "have transform.*a Perceptron"),
    ],
)
def test_what_cannot_be_drawn_is_named(display, estimator, error, message):
    rows = (X,) if display is ActivationsDisplay else ()
    with pytest.raises(error, match=message):
        display.from_estimator(estimator, *rows)
    assert plt.get_fignums() == []


def test_layer_of_an_estimator_without_layers_is_named():
    with pytest.raises(TypeError, match=r"layer=0 must be None: network is a PCA"):
        ActivationsDisplay.from_estimator(PCA(2).fit(X), X, layer=0)


@pytest.mark.parametrize("name", ["validation_loss_curve", "validation_scores"])
@pytest.mark.parametrize("length", [0, 3])
def test_more_epochs_watched_than_trained_are_named(name, length):
    display = TrainingDisplay(loss_curve=[2.0, 1.0], **{name: [0.5] * length})
    with pytest.raises(ValueError, match=f"{name} must have 1 to 2 epochs.*has {length}"):
        display.plot()
    assert plt.get_fignums() == []

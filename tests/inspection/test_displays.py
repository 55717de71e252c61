"""Pictures show what was fitted: geometry, weights, colors; and leave everything else alone."""

import sys
from copy import deepcopy
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.integrate import trapezoid
from sklearn.cluster import AgglomerativeClustering as SklearnTree
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture as SklearnMixture

from skgen.cluster import KMeans
from skgen.decomposition import PCA
from skgen.inspection import (
    ActivationsDisplay,
    ComponentsDisplay,
    CriterionDisplay,
    DendrogramDisplay,
    FiltersDisplay,
    MixtureDisplay,
    ObjectiveHistoryDisplay,
    ReconstructionDisplay,
    ScreeDisplay,
    TrainingDisplay,
)
from skgen.mixture import (
    BayesianGaussianMixture,
    GaussianMixture,
    GaussianMixtureClassifier,
    GaussianMixtureSearch,
    MAPGaussianMixture,
)
from skgen.neural_network import MLPClassifier

STRUCTURES = ("full", "tied", "diag", "spherical")
CLASSES = (GaussianMixture, MAPGaussianMixture, BayesianGaussianMixture)


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def clouds(n_rows=600, seed=0):
    """Rows of three unequal, tilted clouds in four columns."""
    generator = np.random.default_rng(seed)
    cloud = generator.choice(3, size=n_rows, p=(0.6, 0.3, 0.1))
    means = np.array([[0, 0, 0, 0], [9, 3, 0, 5], [0, 9, 9, 1]], dtype=float)
    shapes = generator.normal(size=(3, 4, 4)) + np.eye(4)
    return means[cloud] + np.einsum("ni,nij->nj", generator.normal(size=(n_rows, 4)), shapes[cloud])


X = clouds()
COLUMN_NAMES = ["height", "width", "depth", "age"]


def fitted(kind=GaussianMixture, structure="full", X=X, **arguments):
    return kind(
        n_components=3, covariance_type=structure, max_iter=500, random_state=0, **arguments
    ).fit(X)


def axes():
    """Axes that pyplot does not know."""
    return Figure().subplots()


def held(ellipse, points):
    """Which points lie inside, judged by the outline that matplotlib draws."""
    outline = ellipse.get_patch_transform().transform_path(ellipse.get_path())
    return outline.contains_points(points)


class Classifier:
    """What a display asks of a generative classifier: components 1 and 2 are one class."""

    def __init__(self, mixture):
        self.mixture_ = mixture
        self.components_class_ = np.array([0, 1, 1])
        self.classes_ = np.array(["circle", "square"])

    def predict_proba(self, X):
        return self.mixture_.predict_proba(X) @ np.eye(2)[self.components_class_]


def search_of(criterion="bic", best=3, **columns):
    """What a display asks of a search over two structures and three sizes."""
    results = {
        "param_n_components": np.ma.array([1, 1, 3, 3, 2, 2], dtype=object),
        "param_covariance_type": np.ma.array(["full", "diag"] * 3, dtype=object),
        "param_inference": np.ma.array(["ml"] * 6, dtype=object),
        "bic": np.array([60.0, 50.0, 40.0, 10.0, np.nan, 30.0]),
        "held_out": np.array([-6.0, -5.0, -1.0, -4.0, np.nan, -3.0]),
    } | columns
    return SimpleNamespace(
        criterion=criterion,
        cv_results_=results,
        best_index_=best,
        best_score_=results[criterion][best],
    )


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("kind", CLASSES)
def test_ellipse_holds_its_share_of_a_component(kind, structure):
    mixture = fitted(kind, structure)
    columns, levels = [3, 1], (0.3, 0.9)
    display = MixtureDisplay.from_estimator(mixture, columns=columns, levels=levels, ax=axes())
    part = mixture.marginal(columns)
    draws = np.random.default_rng(1).normal(size=(20_000, 2))
    for k in range(3):
        covariance = {
            "full": lambda c, k=k: c[k],
            "tied": lambda c: c,
            "diag": lambda c, k=k: np.diag(c[k]),
            "spherical": lambda c, k=k: c[k] * np.eye(2),
        }[structure](part.covariances_)
        rows = part.means_[k] + draws @ np.linalg.cholesky(covariance).T
        for ellipse, level in zip(display.ellipses_[k], levels, strict=True):
            # Five standard deviations of a share of 20 000 draws.
            tolerance = 5 * np.sqrt(level * (1 - level) / len(rows))
            assert abs(held(ellipse, rows).mean() - level) < tolerance


def test_half_of_the_rows_of_a_mixture_lie_in_its_ellipses():
    """One component, so rows of the mixture are rows of the ellipse."""
    mixture = GaussianMixture(1, random_state=0).fit(X)
    display = MixtureDisplay.from_estimator(mixture, levels=0.5, columns=(0, 2), ax=axes())
    drawn, _ = mixture.sample(20_000)
    # Five standard deviations.
    assert abs(held(display.ellipses_[0, 0], drawn[:, [0, 2]]).mean() - 0.5) < 0.018


def test_axes_of_an_ellipse_are_the_eigenvectors():
    mixture = fitted()
    display = MixtureDisplay.from_estimator(mixture, columns=(1, 2), levels=0.8, ax=axes())
    radius = np.sqrt(-2 * np.log(0.2))
    for k, ellipse in enumerate(display.ellipses_[:, 0]):
        covariance = mixture.covariances_[k][1:3, 1:3]
        angle = np.radians(ellipse.angle)
        long = np.array([np.cos(angle), np.sin(angle)])
        short = np.array([-np.sin(angle), np.cos(angle)])
        for direction, length in ((long, ellipse.width), (short, ellipse.height)):
            variance = (length / 2 / radius) ** 2
            # Rounding of eigenvalues.
            np.testing.assert_allclose(covariance @ direction, variance * direction, rtol=1e-9)
        assert ellipse.width > ellipse.height
        np.testing.assert_array_equal(ellipse.center, mixture.means_[k, 1:3])


def test_opacity_is_the_root_of_the_weight():
    mixture = fitted()
    display = MixtureDisplay.from_estimator(mixture, levels=(0.5, 0.9), ax=axes())
    expected = np.sqrt(mixture.weights_ / mixture.weights_.max())
    assert expected.min() < 0.7
    for level in range(2):
        edges = np.array([ellipse.get_edgecolor()[3] for ellipse in display.ellipses_[:, level]])
        faces = np.array([ellipse.get_facecolor()[3] for ellipse in display.ellipses_[:, level]])
        np.testing.assert_allclose(edges, expected)
        np.testing.assert_allclose(faces / faces.max(), expected)


def test_opacity_applies_to_given_colors_but_not_to_given_alpha():
    mixture = fitted()
    expected = np.sqrt(mixture.weights_ / mixture.weights_.max())
    show = MixtureDisplay.from_estimator
    outlined = show(mixture, ax=axes(), ellipse_kwargs={"ec": "black", "facecolor": "none"})
    solid = show(mixture, ax=axes(), ellipse_kwargs={"alpha": 0.25})
    for k in range(3):
        np.testing.assert_allclose(outlined.ellipses_[k, 0].get_edgecolor(), (0, 0, 0, expected[k]))
        assert outlined.ellipses_[k, 0].get_facecolor()[3] == 0.0
        assert solid.ellipses_[k, 0].get_edgecolor()[3] == 0.25


def test_empty_components_do_not_decide_the_limits():
    display = MixtureDisplay(
        weights=np.array([1.0 - 1e-6, 1e-6]),
        means=np.array([[0.0, 0.0], [1e3, 0.0]]),
        covariances=np.stack([np.eye(2)] * 2),
        column_names=["a", "b"],
    ).plot(axes())
    assert display.ax_.get_xlim()[1] < 5.0
    assert display.ellipses_.shape == (2, 2)


def test_rows_are_drawn_in_the_colors_of_their_components():
    mixture = fitted()
    colors = ["red", "lime", "blue"]
    display = MixtureDisplay.from_estimator(mixture, X, columns=(0, 3), colors=colors, ax=axes())
    np.testing.assert_array_equal(display.points_.get_offsets(), X[:, [0, 3]])
    # Primary colors: a mean of colors weighted by responsibilities is these.
    np.testing.assert_allclose(
        display.points_.get_facecolors()[:, :3], mixture.predict_proba(X), atol=1e-12
    )
    for k, color in enumerate(colors):
        assert display.ellipses_[k, 0].get_edgecolor()[:3] == to_rgb(color)


def test_colors_differ_between_components():
    for k in (2, 10, 15, 40):
        display = MixtureDisplay(
            weights=np.full(k, 1 / k),
            means=np.zeros((k, 2)),
            covariances=np.stack([np.eye(2)] * k),
            column_names=["a", "b"],
        ).plot(axes())
        assert len({ellipse.get_edgecolor()[:3] for ellipse in display.ellipses_[:, 0]}) == k


def test_classifier_is_colored_by_class_and_has_a_legend():
    classifier = Classifier(fitted())
    display = MixtureDisplay.from_estimator(classifier, X, colors=["red", "blue"], ax=axes())
    edges = [ellipse.get_edgecolor()[:3] for ellipse in display.ellipses_[:, 0]]
    assert edges == [to_rgb("red"), to_rgb("blue"), to_rgb("blue")]
    shares = display.points_.get_facecolors()[:, [0, 2]]
    np.testing.assert_allclose(shares, classifier.predict_proba(X), atol=1e-12)
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["circle", "square"]
    assert [patch.get_facecolor()[:3] for patch in legend.get_patches()] == edges[:2]


@pytest.mark.parametrize("inference", ["ml", "map"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_partly_labeled_classifier_is_drawn(structure, inference):
    y = np.where(X[:, 1] > 5, "high", "low").astype(object)
    y[::3] = None
    classifier = GaussianMixtureClassifier(
        [1, 2], covariance_type=structure, inference=inference, random_state=0, max_iter=500
    ).fit(X, y)
    display = MixtureDisplay.from_estimator(classifier, X, columns=(1, 2), ax=axes())
    colors = [ellipse.get_edgecolor()[:3] for ellipse in display.ellipses_[:, 0]]
    assert colors[0] != colors[1] == colors[2]
    np.testing.assert_array_equal(display.means, classifier.means_[:, [1, 2]])
    np.testing.assert_array_equal(display.memberships, classifier.predict_proba(X))
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["high", "low"]
    history = ObjectiveHistoryDisplay.from_estimator(classifier, ax=axes())
    np.testing.assert_array_equal(history.lines_[0].get_ydata(), classifier.objective_history_)


def test_search_shows_its_best_estimator():
    mixture = fitted()
    search = SimpleNamespace(best_estimator_=mixture, best_index_=0)
    ours = MixtureDisplay.from_estimator(search, X, ax=axes())
    theirs = MixtureDisplay.from_estimator(mixture, X, ax=axes())
    np.testing.assert_array_equal(ours.means, theirs.means)
    np.testing.assert_array_equal(ours.memberships, theirs.memberships)
    history = ObjectiveHistoryDisplay.from_estimator(search, ax=axes())
    np.testing.assert_array_equal(history.lines_[0].get_ydata(), mixture.objective_history_)
    del search.best_estimator_
    with pytest.raises(NotFittedError, match=r"mixture .* refit=True"):
        MixtureDisplay.from_estimator(search)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_by_name_and_by_position_are_the_same(library):
    frame = pytest.importorskip(library).DataFrame(dict(zip(COLUMN_NAMES, X.T, strict=True)))
    mixture = fitted(X=frame)
    by_name = MixtureDisplay.from_estimator(mixture, frame, columns=["age", "width"], ax=axes())
    by_position = MixtureDisplay.from_estimator(mixture, frame, columns=(-1, 1), ax=axes())
    for display in (by_name, by_position):
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("age", "width")
        np.testing.assert_array_equal(display.points, X[:, [3, 1]])
        np.testing.assert_array_equal(display.means, mixture.means_[:, [3, 1]])
    classifier = Classifier(fitted())  # whose mixture has seen no names
    classifier.feature_names_in_ = mixture.feature_names_in_
    named = MixtureDisplay.from_estimator(classifier, columns=("age", "width"), ax=axes())
    np.testing.assert_array_equal(named.means, classifier.mixture_.means_[:, [3, 1]])


def test_rows_with_missing_cells_are_colored_by_what_they_have():
    X_holes = X.copy()
    X_holes[::3, 2] = np.nan
    X_holes[::5, 0] = np.nan
    mixture = fitted(X=X_holes)
    figure = Figure()
    display = MixtureDisplay.from_estimator(mixture, X_holes, columns=(0, 1), ax=figure.subplots())
    offsets = display.points_.get_offsets()
    assert np.ma.getmaskarray(offsets).any(axis=1).sum() == np.isnan(X_holes[:, 0]).sum()
    np.testing.assert_array_equal(display.memberships, mixture.predict_proba(X_holes))
    figure.canvas.draw()


@pytest.mark.parametrize("structure", STRUCTURES)
def test_one_column_is_drawn_as_densities(structure):
    mixture = fitted(structure=structure)
    display = MixtureDisplay.from_estimator(mixture, X, columns=2, ax=axes())
    grid, total = display.density_.get_data()
    part = mixture.marginal([2])
    # Rounding.
    np.testing.assert_allclose(total, np.exp(part.score_samples(grid[:, None])), rtol=1e-9)
    for line, weight in zip(display.lines_, mixture.weights_, strict=True):
        # Four standard deviations leave out 6e-5; the rule of a fine grid adds less.
        assert abs(trapezoid(line.get_ydata(), grid) / weight - 1) < 1e-3
    assert display.ellipses_.shape == (0, 2)
    assert display.histogram_ is not None and display.points_ is None


def test_mixture_of_one_column_needs_no_columns():
    mixture = fitted(X=X[:, :1])
    display = MixtureDisplay.from_estimator(mixture, X[:, :1], ax=axes())
    assert display.ax_.get_xlabel() == "column 0"
    assert len(display.lines_) == 3
    with pytest.raises(ValueError, match=r"columns=\[0, 1\].*between 0 and 0"):
        MixtureDisplay.from_estimator(mixture, columns=[0, 1])


def test_narrow_components_are_resolved():
    display = MixtureDisplay(
        weights=np.array([0.5, 0.5]),
        means=np.array([[0.0], [1e6]]),
        covariances=np.array([[[1e-8]], [[1e10]]]),
        column_names=["a"],
    ).plot(axes())
    grid, density = display.lines_[0].get_data()
    assert density.max() == pytest.approx(0.5 / np.sqrt(2e-8 * np.pi))
    assert trapezoid(density, grid) == pytest.approx(0.5, abs=1e-3)


def test_float32_mixture_is_drawn():
    mixture = fitted(X=X.astype(np.float32))
    display = MixtureDisplay.from_estimator(mixture, X.astype(np.float32), ax=axes())
    assert display.covariances.dtype == display.points.dtype == np.float64


def test_history_has_a_point_per_iteration():
    mixtures = [fitted(), fitted(BayesianGaussianMixture), fitted(tol=1e-9)]
    display = ObjectiveHistoryDisplay.from_estimator(*mixtures, ax=axes())
    for line, mixture in zip(display.lines_, mixtures, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), mixture.objective_history_)
        np.testing.assert_array_equal(
            line.get_xdata(), np.arange(1, len(mixture.objective_history_) + 1)
        )
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["GaussianMixture 1", "BayesianGaussianMixture", "GaussianMixture 2"]


def test_history_takes_names_and_any_iterative_estimator():
    kmeans = KMeans(3, n_init=1, random_state=0).fit(X)
    display = ObjectiveHistoryDisplay.from_estimator(
        kmeans, names=["Lloyd"], ax=axes(), line_kwargs={"c": "red", "lw": 3}
    )
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_ydata(), kmeans.objective_history_)
    assert (line.get_label(), line.get_color(), line.get_linewidth()) == ("Lloyd", "red", 3)
    assert display.ax_.get_legend() is None


def test_criterion_has_a_line_per_structure_and_marks_the_best():
    display = CriterionDisplay.from_estimator(search_of(), ax=axes())
    full, diag = display.lines_
    assert (full.get_label(), diag.get_label()) == ("full", "diag")
    for line, values in ((full, [60.0, np.nan, 40.0]), (diag, [50.0, 30.0, 10.0])):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert full.get_color() != diag.get_color()
    assert display.best_.get_xydata().tolist() == [[3.0, 10.0]]
    assert display.best_.get_label() == "best: diag, 3 components"
    assert display.ax_.get_ylabel() == "BIC, lower is better"


def test_criterion_other_than_that_of_the_search_marks_its_own_best():
    display = CriterionDisplay.from_estimator(search_of(), criterion="held_out", ax=axes())
    assert display.best_.get_xydata().tolist() == [[3.0, -1.0]]
    assert "higher is better" in display.ax_.get_ylabel()


def test_criterion_changed_since_the_fit_marks_its_own_best():
    iris = load_iris().data
    search = GaussianMixtureSearch((1, 2, 3), covariance_type="full", random_state=0).fit(iris)
    search.set_params(criterion="aic")
    display = CriterionDisplay.from_estimator(search)
    best = int(search.cv_results_["aic"].argmin())
    assert best != search.best_index_
    assert display.best_index == best


def test_criterion_tells_inferences_apart():
    inferences = np.array(["ml", "ml", "map", "ml", "map", "mean_field"])
    display = CriterionDisplay.from_estimator(search_of(param_inference=inferences), ax=axes())
    looks = {(line.get_color(), line.get_linestyle()) for line in display.lines_}
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["full, ml", "diag, ml", "full, map", "diag, mean_field"]
    assert len(looks) == 4
    keys = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert keys == ["full", "diag", "ml", "map", "mean_field", "best: diag, ml, 3 components"]
    for line, (structure, inference) in zip(
        display.lines_, ((0, 2), (1, 2), (0, 3), (1, 4)), strict=True
    ):
        handles = display.ax_.get_legend().legend_handles
        assert handles[structure].get_color() == line.get_color()
        assert handles[inference].get_linestyle() == line.get_linestyle()


@pytest.mark.parametrize("criterion", ["bic", "held_out"])
def test_fitted_search_is_drawn(criterion):
    search = GaussianMixtureSearch(
        (1, 2, 3),
        covariance_type=("full", "diag"),
        inference=("ml", "map"),
        criterion=criterion,
        max_iter=500,
        random_state=0,
    ).fit(X)
    display = CriterionDisplay.from_estimator(search, ax=axes())
    assert [line.get_xdata().tolist() for line in display.lines_] == [[1, 2, 3]] * 4
    drawn = np.concatenate([line.get_ydata() for line in display.lines_])
    np.testing.assert_array_equal(np.sort(drawn), np.sort(search.cv_results_[criterion]))
    best = [[search.best_params_["n_components"], search.best_score_]]
    assert display.best_.get_xydata().tolist() == best
    shown = MixtureDisplay.from_estimator(search, X, ax=axes())
    np.testing.assert_array_equal(shown.means, search.best_estimator_.means_[:, :2])
    with pytest.raises(NotFittedError, match="GaussianMixtureSearch instance is not fitted"):
        CriterionDisplay.from_estimator(GaussianMixtureSearch())


KINDS = (
    "mixture",
    "densities",
    "history",
    "criterion",
    "scree",
    "components",
    "dendrogram",
    "reconstruction",
    "training",
    "filters",
    "activations",
)


def displays(X):
    """A call of each kind, and the estimators, rows and styles that it must not change."""
    mixture, search, pca = fitted(), search_of(), PCA(2).fit(X)
    tree = SklearnTree(3, compute_distances=True, compute_full_tree=True).fit(X)
    style, names = {"lw": 3}, [str(row) for row in range(len(X))]
    y = (X[:, 0] > 5.0).astype(int)
    network = MLPClassifier((6,), early_stopping=True, tol=0.01, random_state=0).fit(X, y)
    return {
        "mixture": lambda **ax: MixtureDisplay.from_estimator(
            mixture, X, columns=[1, 2], ellipse_kwargs=style, **ax
        ),
        "densities": lambda **ax: MixtureDisplay.from_estimator(
            mixture, X, columns=0, line_kwargs=style, **ax
        ),
        "history": lambda **ax: ObjectiveHistoryDisplay.from_estimator(
            mixture, line_kwargs=style, **ax
        ),
        "criterion": lambda **ax: CriterionDisplay.from_estimator(search, line_kwargs=style, **ax),
        "scree": lambda **ax: ScreeDisplay.from_estimator(pca, line_kwargs=style, **ax),
        "components": lambda **ax: ComponentsDisplay.from_estimator(
            pca, scale="each", titles=["a", "b"], **ax
        ),
        "dendrogram": lambda **ax: DendrogramDisplay.from_estimator(
            tree, max_leaves=9, leaf_names=names, link_kwargs=style, **ax
        ),
        "reconstruction": lambda **ax: ReconstructionDisplay.from_estimator(pca, X[:5], **ax),
        "training": lambda **ax: TrainingDisplay.from_estimator(network, line_kwargs=style, **ax),
        "filters": lambda **ax: FiltersDisplay.from_estimator(network, which=3, **ax),
        "activations": lambda **ax: ActivationsDisplay.from_estimator(network, X, y, **ax),
    }, ((mixture, pca, tree, network), search, style)


@pytest.mark.parametrize("name", KINDS)
def test_display_changes_neither_input_nor_global_state(name, monkeypatch):
    rows = X.copy()
    rows.flags.writeable = False
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("a display shows its figure"))
    calls, (estimators, search, style) = displays(rows)
    states = [
        {key: deepcopy(value) for key, value in vars(estimator).items() if key.endswith("_")}
        for estimator in estimators
    ]
    before = dict(matplotlib.rcParams), matplotlib.get_backend(), plt.get_fignums()
    display = calls[name](ax=axes())
    assert (dict(matplotlib.rcParams), matplotlib.get_backend(), plt.get_fignums()) == before
    for estimator, state in zip(estimators, states, strict=True):
        for key, value in state.items():
            np.testing.assert_equal(getattr(estimator, key), value)
    assert style == {"lw": 3} and search.cv_results_["bic"][0] == 60.0
    display.figure_.canvas.draw()


@pytest.mark.parametrize("name", KINDS)
def test_display_opens_axes_or_takes_them_and_plots_again(name):
    calls, _ = displays(X)
    display = calls[name]()
    assert plt.get_fignums() == [display.figure_.number]
    assert display.ax_.figure is display.figure_
    mine = axes()
    first = display.ax_
    assert display.plot(ax=mine) is display
    assert display.ax_ is mine is not first
    assert len(mine.get_lines()) == len(first.get_lines())
    assert len(mine.patches) == len(first.patches)
    assert len(mine.images) == len(first.images)
    assert len(mine.collections) == len(first.collections)


@pytest.mark.parametrize("name", KINDS)
def test_missing_matplotlib_is_named_with_the_extra(name, monkeypatch):
    calls, _ = displays(X)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"from_estimator needs matplotlib.*skgen\[plot\]"):
        calls[name]()


BAD_ARGUMENTS = {
    "columns_far": ({"columns": (0, 4)}, ValueError, r"columns=\(0, 4\).*between 0 and 3"),
    "columns_three": ({"columns": (0, 1, 2)}, ValueError, r"columns=.*one or two.*are 3"),
    "columns_none": ({"columns": ()}, ValueError, r"columns=\(\).*one or two.*are 0"),
    "columns_twice": ({"columns": (1, -3)}, ValueError, r"columns=\(1, -3\).*twice"),
    "columns_float": ({"columns": (0.0, 1)}, TypeError, r"columns=\(0.0, 1\).*positions"),
    "columns_mask": ({"columns": [True, False]}, TypeError, r"columns=.*positions"),
    "columns_unnamed": ({"columns": ["a", "b"]}, ValueError, r"columns=.*'a'.*no column names"),
    "columns_value": ({"columns": 0.5}, TypeError, r"columns=0.5"),
    "level_one": ({"levels": (0.5, 1.0)}, ValueError, r"levels=\(0.5, 1.0\).*between 0 and 1"),
    "level_zero": ({"levels": 0}, ValueError, r"levels=0.*between 0 and 1"),
    "level_nan": ({"levels": [np.nan]}, ValueError, r"levels=\[nan\].*between 0 and 1"),
    "levels_none": ({"levels": []}, ValueError, r"levels=\[\].*one or more"),
    "level_word": ({"levels": "most"}, TypeError, r"levels='most'.*numbers"),
    "colors_few": ({"colors": ["red"]}, ValueError, r"colors=\['red'\].*or 3.*are 1"),
    "color_word": ({"colors": "loud"}, ValueError, r"colors='loud'"),
    "color_number": ({"colors": 3}, ValueError, r"colors=3"),
    "color_one_bad": ({"colors": ["red", "r", 7]}, ValueError, r"colors=.*7 is no color"),
    "ax": ({"ax": 3}, TypeError, r"ax=3.*Axes.*int"),
    "ellipse_kwargs": ({"ellipse_kwargs": "red"}, TypeError, r"ellipse_kwargs='red'.*dict"),
    "ellipse_key": ({"ellipse_kwargs": {"wide": 1}}, TypeError, r"ellipse_kwargs=.*'wide'"),
    "ellipse_both": ({"ellipse_kwargs": {"ec": 1, "edgecolor": 2}}, TypeError, "ellipse_kwargs="),
    "scatter_key": ({"scatter_kwargs": {"sizee": 1}}, TypeError, r"scatter_kwargs=.*'sizee'"),
    "line_key": ({"line_kwargs": {"wide": 1}}, TypeError, r"line_kwargs=.*'wide'"),
    "X_columns": ({"X": X[:, :2]}, ValueError, "X has 2 features.*4 features"),
    "X_vector": ({"X": X[:, 0]}, ValueError, "2D array"),
    "X_infinite": ({"X": np.full((2, 4), np.inf)}, ValueError, "X contains infinity"),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_argument_of_a_mixture_display_is_named(case):
    arguments, error, message = BAD_ARGUMENTS[case]
    with pytest.raises(error, match=message):
        MixtureDisplay.from_estimator(fitted(), **arguments)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (GaussianMixture(), NotFittedError, "GaussianMixture instance is not fitted"),
        (KMeans(2, random_state=0).fit(X), TypeError, "mixture must be a fitted.*is a KMeans"),
        (SklearnMixture(2).fit(X), TypeError, "mixture must be a fitted.*is a GaussianMixture"),
        ("mixture", TypeError, "mixture must be a fitted.*is a str"),
        (GaussianMixture, TypeError, "mixture must be a fitted.*is the class GaussianMixture"),
    ],
)
def test_what_is_no_fitted_mixture_is_named(estimator, error, message):
    with pytest.raises(error, match=message):
        MixtureDisplay.from_estimator(estimator)


@pytest.mark.parametrize(
    ("estimators", "arguments", "error", "message"),
    [
        ([], {}, ValueError, "estimators.*at least one"),
        ([GaussianMixture()], {}, NotFittedError, "GaussianMixture instance is not fitted"),
        ([fitted(), 3], {}, TypeError, r"estimators\[1\] must be.*is a int"),
        (
            [SklearnKMeans(2, random_state=0).fit(X)],
            {},
            TypeError,
            r"estimators\[0\] must be.*objective_history_.*is a KMeans",
        ),
        (
            [fitted(BayesianGaussianMixture).as_gaussian_mixture()],
            {},
            ValueError,
            r"estimators\[0\].*objective_history_ is empty",
        ),
        ([fitted()], {"names": "name"}, TypeError, "names='name'.*list"),
        ([fitted()], {"names": ["a", "b"]}, ValueError, r"names=\['a', 'b'\] must be 1"),
        ([fitted()], {"line_kwargs": {"wide": 1}}, TypeError, "line_kwargs=.*'wide'"),
        ([fitted()], {"ax": "left"}, TypeError, "ax='left'.*Axes"),
    ],
)
def test_bad_argument_of_a_history_display_is_named(estimators, arguments, error, message):
    with pytest.raises(error, match=message):
        ObjectiveHistoryDisplay.from_estimator(*estimators, **arguments)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("search", "arguments", "error", "message"),
    [
        (fitted(), {}, TypeError, "search must be a fitted GaussianMixtureSearch.*GaussianMixture"),
        (GaussianMixture(), {}, NotFittedError, "is not fitted"),
        (SimpleNamespace(cv_results_={"params": []}), {}, TypeError, "search.*param_n_components"),
        (search_of(), {"criterion": "mdl"}, ValueError, "criterion='mdl' must be one of.*'bic'"),
        (search_of(), {"criterion": "icl"}, ValueError, "criterion='icl' is not in.*'held_out'"),
        (search_of(), {"line_kwargs": 3}, TypeError, "line_kwargs=3.*dict"),
        (search_of(), {"ax": 3}, TypeError, "ax=3.*Axes"),
    ],
)
def test_bad_argument_of_a_criterion_display_is_named(search, arguments, error, message):
    with pytest.raises(error, match=message):
        CriterionDisplay.from_estimator(search, **arguments)
    assert plt.get_fignums() == []

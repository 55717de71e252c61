"""Scree plots and images show the numbers of the fit, all of them and nothing else."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.sparse import csr_array
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgen.cluster import KMeans
from skgen.decomposition import PCA, IncrementalPCA, ProbabilisticPCA
from skgen.inspection import ComponentsDisplay, ReconstructionDisplay, ScreeDisplay
from skgen.linear_model import LogisticRegression
from skgen.mixture import GaussianMixture

X = load_digits().data[:500]
CENTERED = X - X.mean(axis=0)


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


def axes():
    """Axes that pyplot does not know."""
    return Figure().subplots()


def with_holes(seed=0):
    generator = np.random.default_rng(seed)
    return np.where(generator.random(X.shape) < 0.3, np.nan, X)


def tiles(image, high, wide, width, n_images):
    """The images of a mosaic, from what matplotlib holds."""
    whole = np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)
    gap = (whole.shape[1] - width * wide) // max(width - 1, 1)
    found = []
    for number in range(n_images):
        line, place = divmod(number, width)
        top, left = line * (high + gap), place * (wide + gap)
        found.append(whole[top : top + high, left : left + wide])
    return np.array(found)


@pytest.mark.parametrize("kind", [PCA, IncrementalPCA, SklearnPCA, TruncatedSVD])
def test_scree_has_the_variances_and_their_cumulative_share(kind):
    pca = kind(12).fit(X)
    display = ScreeDisplay.from_estimator(pca, ax=axes())
    number, variance = display.line_.get_data()
    np.testing.assert_array_equal(number, np.arange(1, 13))
    np.testing.assert_array_equal(variance, pca.explained_variance_)
    total = CENTERED.var(axis=0).sum()
    shares = [(CENTERED @ pca.components_[:k].T).var(axis=0).sum() / total for k in range(1, 13)]
    # Rounding for exact solvers; the others found something near the leading subspace.
    tolerance = 1e-10 if kind in (PCA, SklearnPCA) else 0.01
    np.testing.assert_allclose(display.cumulative_.get_ydata(), shares, atol=tolerance)
    assert display.cumulative_.axes is display.cumulative_ax_ is not display.ax_
    assert display.cumulative_ax_.figure is display.figure_
    assert display.cumulative_ax_.get_ylim()[0] == display.ax_.get_ylim()[0] == 0.0


def test_scree_of_probabilistic_components():
    model = ProbabilisticPCA(5).fit(with_holes())
    display = ScreeDisplay.from_estimator(model, ax=axes())
    np.testing.assert_array_equal(display.line_.get_ydata(), model.explained_variance_)
    np.testing.assert_allclose(
        display.cumulative_.get_ydata(), np.cumsum(model.explained_variance_ratio_)
    )


def test_scree_draws_what_noise_reaches():
    chosen = PCA("parallel_analysis", random_state=0).fit(X)
    own = ScreeDisplay.from_estimator(chosen, ax=axes())
    np.testing.assert_array_equal(own.thresholds_.get_ydata(), chosen.noise_thresholds_)
    assert len(own.line_.get_ydata()) == chosen.n_components_ < len(chosen.noise_thresholds_)
    over_all = ScreeDisplay.from_estimator(
        PCA().fit(X), noise_thresholds=chosen.noise_thresholds_, ax=axes()
    )
    above = over_all.line_.get_ydata() > over_all.thresholds_.get_ydata()
    assert np.flatnonzero(~above)[0] == chosen.n_components_
    assert over_all.ax_.get_xlim() == own.ax_.get_xlim() == (0.5, 64.5)
    texts = [text.get_text() for text in over_all.cumulative_ax_.get_legend().get_texts()]
    assert texts == ["variance", "variance that noise reaches", "cumulative share"]
    without = ScreeDisplay.from_estimator(chosen, noise_thresholds=None, ax=axes())
    assert without.thresholds_ is None


def test_scree_without_cumulative_share_has_one_pair_of_axes():
    pca = PCA(3).fit(X)
    display = ScreeDisplay.from_estimator(
        pca, cumulative=False, line_kwargs={"c": "red", "label": "digits"}, ax=axes()
    )
    assert display.figure_.axes == [display.ax_]
    assert display.cumulative_ is display.cumulative_ax_ is None
    assert (display.line_.get_color(), display.line_.get_label()) == ("red", "digits")
    assert display.ax_.get_legend() is None


def test_search_over_components_shows_its_best_estimator():
    search = GridSearchCV(PCA(), {"n_components": [2, 5]}).fit(X)
    best = search.best_estimator_
    scree = ScreeDisplay.from_estimator(search, ax=axes())
    np.testing.assert_array_equal(scree.line_.get_ydata(), best.explained_variance_)
    images = ComponentsDisplay.from_estimator(search, ax=axes())
    np.testing.assert_array_equal(images.rows, best.components_)
    restored = ReconstructionDisplay.from_estimator(search, X[:3], ax=axes())
    expected = best.inverse_transform(best.transform(X[:3]))
    np.testing.assert_array_equal(restored.reconstructions, expected)


@pytest.mark.parametrize("kind", [PCA, SklearnPCA])
def test_images_are_the_components(kind):
    pca = kind(6).fit(X)
    display = ComponentsDisplay.from_estimator(pca, n_columns=4, ax=axes())
    drawn = tiles(display.image_, 8, 8, 4, 6)
    np.testing.assert_array_equal(drawn, pca.components_.reshape(6, 8, 8))
    # Nothing but images: the gaps and the end of the last line are empty.
    cells = np.ma.count(np.ma.masked_invalid(display.image_.get_array()))
    assert cells == pca.components_.size


def test_colors_of_components_are_symmetric_around_white():
    pca = PCA(6).fit(X)
    display = ComponentsDisplay.from_estimator(pca, ax=axes())
    lowest, highest = display.image_.get_clim()
    assert -lowest == highest == np.abs(pca.components_).max()
    assert min(display.image_.cmap(display.image_.norm(0.0))) > 0.95
    assert display.colorbar_ is not None


@pytest.mark.parametrize("estimator", [KMeans(4, random_state=0), NMF(4, max_iter=2000)])
def test_values_without_sign_are_black_on_white(estimator):
    estimator.fit(X)
    display = ComponentsDisplay.from_estimator(estimator, ax=axes())
    rows = getattr(estimator, "cluster_centers_", getattr(estimator, "components_", None))
    assert display.image_.get_clim() == (0.0, rows.max())
    assert display.image_.cmap.name == "gray_r"


def test_rounding_below_zero_is_no_sign():
    rows = np.abs(np.random.default_rng(0).normal(size=(3, 16)))
    rows[0, 0] = -1e-7
    assert ComponentsDisplay(rows=rows).plot(axes()).image_.get_clim()[0] == 0.0
    rows[0, 0] = -0.01
    assert ComponentsDisplay(rows=rows).plot(axes()).image_.get_clim()[0] < 0.0


def test_scale_of_each_image_fills_the_color_map():
    rows = np.array([[1e-3, -1e-4, 0.0, 0.0], [0.0, 5.0, -1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    display = ComponentsDisplay(rows=rows).plot(axes(), scale="each", n_columns=3)
    drawn = tiles(display.image_, 2, 2, 3, 3).reshape(3, 4)
    np.testing.assert_allclose(drawn[:2], [[1.0, -0.1, 0.0, 0.0], [0.0, 1.0, -0.2, 0.0]])
    np.testing.assert_array_equal(drawn[2], np.zeros(4))
    assert display.image_.get_clim() == (-1.0, 1.0)
    assert display.colorbar_ is None


def test_attribute_is_found_or_named():
    kmeans = SklearnKMeans(3, random_state=0).fit(X)
    mixture = GaussianMixture(2, covariance_type="diag", reg_covar=1.0, random_state=0).fit(X)
    regression = LogisticRegression(C=0.01).fit(X, load_digits().target[:500])
    found = {"cluster_centers_": kmeans, "means_": mixture, "coef_": regression}
    for attribute, estimator in found.items():
        display = ComponentsDisplay.from_estimator(estimator, ax=axes())
        np.testing.assert_array_equal(display.rows, getattr(estimator, attribute))
    display = ComponentsDisplay.from_estimator(mixture, attribute="covariances_", ax=axes())
    np.testing.assert_array_equal(display.rows, mixture.covariances_)
    pca = PCA(5).fit(X)
    mean = ComponentsDisplay.from_estimator(pca, attribute="mean_", ax=axes())
    np.testing.assert_array_equal(mean.rows, [pca.mean_])


def test_some_rows_are_chosen_and_have_titles_above_them():
    pca = PCA(10).fit(X)
    figure = Figure()
    display = ComponentsDisplay.from_estimator(
        pca,
        which=[7, 2, -1],
        titles=["eighth", "third", "last"],
        n_columns=2,
        text_kwargs={"color": "red"},
        ax=figure.subplots(),
    )
    np.testing.assert_array_equal(display.rows, pca.components_[[7, 2, 9]])
    assert [text.get_text() for text in display.titles_] == ["eighth", "third", "last"]
    assert display.titles_[0].get_color() == "red"
    whole = np.ma.filled(display.image_.get_array(), np.nan)
    for text, row in zip(display.titles_, display.rows, strict=True):
        left, bottom = text.get_position()
        top = round(bottom + 0.7)
        corner = round(left + 0.5)
        image = whole[top : top + 8, corner : corner + 8]
        np.testing.assert_array_equal(image, row.reshape(8, 8))
        assert np.isnan(whole[top - 2 : top, corner : corner + 8]).all()
    figure.canvas.draw()


def test_pixels_of_three_colors():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(4, 5 * 6 * 3))
    display = ComponentsDisplay(rows=rows, image_shape=(5, 6, 3)).plot(axes(), n_columns=2)
    drawn = tiles(display.image_, 5, 6, 2, 4)
    limit = np.abs(rows).max()
    np.testing.assert_allclose(drawn[..., :3], 0.5 + rows.reshape(4, 5, 6, 3) / (2 * limit))
    assert (drawn[..., 3] == 1.0).all()
    assert display.image_.get_array()[..., 3].min() == 0.0
    positive = ComponentsDisplay(rows=np.abs(rows), image_shape=(5, 6, 3)).plot(axes(), n_columns=2)
    drawn = tiles(positive.image_, 5, 6, 2, 4)
    np.testing.assert_allclose(drawn[..., :3], np.abs(rows).reshape(4, 5, 6, 3) / limit)


def test_grid_has_full_lines_where_it_can():
    for n_images, width in ((1, 1), (2, 2), (4, 2), (10, 5), (12, 4), (16, 4), (20, 5), (13, 5)):
        display = ComponentsDisplay(rows=np.eye(n_images, 16)).plot(axes())
        wide = display.image_.get_array().shape[1]
        assert wide == width * 4 + width - 1


@pytest.mark.parametrize("kind", [PCA, SklearnPCA])
def test_reconstruction_is_beside_its_row(kind):
    pca = kind(15).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X[:6], ax=axes())
    expected = pca.inverse_transform(pca.transform(X[:6]))
    above, below = np.split(tiles(display.image_, 8, 8, 6, 12), 2)
    np.testing.assert_array_equal(above, X[:6].reshape(6, 8, 8))
    np.testing.assert_array_equal(below, expected.reshape(6, 8, 8))
    differences = tiles(display.differences_, 8, 8, 6, 18)
    assert np.isnan(differences[:12]).all()
    np.testing.assert_array_equal(differences[12:], (expected - X[:6]).reshape(6, 8, 8))
    lowest, highest = display.differences_.get_clim()
    assert -lowest == highest == np.abs(expected - X[:6]).max()
    np.testing.assert_allclose(
        display.errors_, np.sqrt(np.mean((expected - X[:6]) ** 2, axis=1)), rtol=1e-12
    )
    error = np.sqrt(np.mean((expected - X[:6]) ** 2))
    assert display.ax_.get_xlabel() == f"root mean square difference: {error:.3g}"
    assert display.holes_ is None
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["rows", "reconstructions", "difference"]


@pytest.mark.parametrize(("n_rows", "width"), [(1, 1), (10, 10), (11, 6), (20, 10), (21, 7)])
def test_lines_have_ten_rows_at_most_and_about_as_many_each(n_rows, width):
    display = ReconstructionDisplay.from_estimator(PCA(3).fit(X), X[:n_rows], ax=axes())
    assert display.image_.get_array().shape[1] == 9 * width - 1


def test_many_rows_are_drawn_in_several_lines():
    pca = PCA(15).fit(X)
    display = ReconstructionDisplay.from_estimator(pca, X[:7], n_columns=4, ax=axes())
    expected = pca.inverse_transform(pca.transform(X[:7]))
    drawn = tiles(display.image_, 8, 8, 4, 24).reshape(6, 4, 64)
    np.testing.assert_array_equal(drawn[0], X[:4])
    np.testing.assert_array_equal(drawn[1], expected[:4])
    np.testing.assert_array_equal(drawn[3, :3], X[4:7])
    np.testing.assert_array_equal(drawn[4, :3], expected[4:])
    assert np.isnan(drawn[[2, 5]]).all() and np.isnan(drawn[:, 3][3:]).all()
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["rows", "reconstructions", "difference"] * 2


@pytest.mark.parametrize(
    "model", [GaussianMixture(3, reg_covar=1.0, random_state=0), ProbabilisticPCA(5)]
)
def test_missing_cells_are_shown_and_restored(model):
    holes = with_holes()
    model.fit(holes)
    display = ReconstructionDisplay.from_estimator(model, holes[:5], complete=X[:5], ax=axes())
    expected = model.impute(holes[:5])
    parts = tiles(display.image_, 8, 8, 5, 20).reshape(4, 5, 64)
    for part, values in zip(parts, (holes[:5], expected, X[:5]), strict=False):
        np.testing.assert_array_equal(part, values)
    marked = tiles(display.holes_, 8, 8, 5, 20).reshape(4, 5, 64)
    np.testing.assert_array_equal(np.isnan(marked[0]), ~np.isnan(holes[:5]))
    assert np.isnan(marked[1:]).all()
    missing = np.isnan(holes[:5])
    squares = np.where(missing, (expected - X[:5]) ** 2, 0.0)
    np.testing.assert_allclose(display.errors_, np.sqrt(squares.sum(axis=1) / missing.sum(axis=1)))
    error = np.sqrt(squares.sum() / missing.sum())
    assert display.ax_.get_xlabel().endswith(f"over missing cells: {error:.3g}")
    unknown = ReconstructionDisplay.from_estimator(model, holes[:5], ax=axes())
    assert unknown.errors_ is unknown.differences_ is None
    assert unknown.ax_.get_xlabel() == ""
    names = [text.get_text() for text in unknown.ax_.get_yticklabels()]
    assert names == ["given", "restored"]


def test_complete_rows_go_through_the_latent_variables():
    model = ProbabilisticPCA(5).fit(with_holes())
    display = ReconstructionDisplay.from_estimator(model, X[:4], ax=axes())
    expected = model.transform(X[:4]) @ model.components_ + model.mean_
    np.testing.assert_array_equal(display.reconstructions, expected)


def test_row_without_missing_cells_among_others_has_no_error():
    holes = with_holes()
    holes[1] = X[1]
    mixture = GaussianMixture(2, reg_covar=1.0, random_state=0).fit(holes)
    display = ReconstructionDisplay.from_estimator(mixture, holes[:3], complete=X[:3], ax=axes())
    assert np.isnan(display.errors_).tolist() == [False, True, False]


def test_pipelines_frames_and_sparse_rows_are_reconstructed():
    pandas = pytest.importorskip("pandas")
    pipeline = make_pipeline(StandardScaler(), SklearnPCA(10)).fit(X)
    expected = pipeline.inverse_transform(pipeline.transform(X[:4]))
    display = ReconstructionDisplay.from_estimator(pipeline, X[:4], ax=axes())
    np.testing.assert_array_equal(display.reconstructions, expected)
    frame = pandas.DataFrame(X, columns=[f"pixel {number}" for number in range(64)])
    pca = PCA(10).set_output(transform="pandas").fit(frame)
    display = ReconstructionDisplay.from_estimator(pca, frame[:4], ax=axes())
    plain = PCA(10).fit(X)
    expected = plain.inverse_transform(plain.transform(X[:4]))
    np.testing.assert_allclose(display.reconstructions, expected, atol=1e-10)
    display = ReconstructionDisplay.from_estimator(plain, csr_array(X[:4]), ax=axes())
    np.testing.assert_array_equal(display.rows, X[:4])
    np.testing.assert_allclose(display.reconstructions, expected, atol=1e-10)


def test_errors_are_of_missing_cells_only():
    given = np.array([[1.0, np.nan, 3.0, np.nan]])
    display = ReconstructionDisplay(
        rows=given,
        reconstructions=np.array([[1.0, 1.0, 3.0, 1.0]]),
        complete=np.array([[9.0, 4.0, 3.0, 5.0]]),
    ).plot(axes())
    np.testing.assert_allclose(display.errors_, [np.sqrt((3.0**2 + 4.0**2) / 2)])


def test_missing_pixels_of_three_colors_are_marked():
    generator = np.random.default_rng(0)
    rows = generator.random((3, 4 * 4 * 3))
    holes = rows.copy().reshape(3, 16, 3)
    holes[:, :5] = np.nan
    display = ReconstructionDisplay(
        rows=holes.reshape(3, -1), reconstructions=rows, complete=rows, image_shape=(4, 4, 3)
    ).plot(axes())
    marked = tiles(display.holes_, 4, 4, 3, 3).reshape(3, 16)
    np.testing.assert_array_equal(~np.isnan(marked), np.isnan(holes[:, :, 0]))
    assert (display.errors_ == 0.0).all()


PCA_OF_SIX = PCA(6).fit(X)
BAD_ARGUMENTS = {
    "thresholds_word": (ScreeDisplay, {"noise_thresholds": "all"}, ValueError, "'all'.*'auto'"),
    "thresholds_matrix": (
        ScreeDisplay, {"noise_thresholds": np.eye(2)}, ValueError, r"noise_thresholds.*\(2, 2\)"
    ),
    "thresholds_nan": (
        ScreeDisplay, {"noise_thresholds": [np.nan]}, ValueError, "noise_thresholds contains NaN"
    ),
    "scree_line": (ScreeDisplay, {"line_kwargs": {"wide": 1}}, TypeError, "line_kwargs.*'wide'"),
    "scree_ax": (ScreeDisplay, {"ax": 3}, TypeError, "ax=3.*Axes"),
    "shape_cells": (
        ComponentsDisplay, {"image_shape": (8, 9)}, ValueError, r"\(8, 9\) has 72 cells.*64"
    ),
    "shape_int": (ComponentsDisplay, {"image_shape": 8}, TypeError, r"image_shape=8.*\(height"),
    "shape_float": (ComponentsDisplay, {"image_shape": (8.0, 8)}, TypeError, "image_shape="),
    "shape_word": (ComponentsDisplay, {"image_shape": "ab"}, TypeError, "image_shape='ab'"),
    "shape_four": (
        ComponentsDisplay, {"image_shape": (4, 4, 4)}, ValueError, "image_shape=.*red, green"
    ),
    "shape_negative": (ComponentsDisplay, {"image_shape": (-8, -8)}, ValueError, "image_shape="),
    "which_int": (ComponentsDisplay, {"which": 3}, TypeError, r"which=3.*range\(4\)"),
    "which_far": (ComponentsDisplay, {"which": [6]}, ValueError, r"which=\[6\].*0 and 5.*6 rows"),
    "which_none": (ComponentsDisplay, {"which": []}, ValueError, r"which=\[\]"),
    "which_mask": (ComponentsDisplay, {"which": [True] * 6}, TypeError, "which=.*positions"),
    "attribute_no": (
        ComponentsDisplay, {"attribute": "weights_"}, TypeError, "must have weights_.*a PCA"
    ),
    "attribute_int": (ComponentsDisplay, {"attribute": 3}, TypeError, "attribute=3"),
    "columns_zero": (ComponentsDisplay, {"n_columns": 0}, ValueError, "n_columns=0"),
    "columns_float": (ComponentsDisplay, {"n_columns": 2.0}, TypeError, "n_columns=2.0"),
    "scale": (ComponentsDisplay, {"scale": "own"}, ValueError, "scale='own'.*'each'"),
    "titles_few": (ComponentsDisplay, {"titles": ["a"]}, ValueError, "titles must be 6.*are 1"),
    "titles_word": (ComponentsDisplay, {"titles": "abcdef"}, TypeError, "titles='abcdef'"),
    "cmap_word": (ComponentsDisplay, {"cmap": "gaudy"}, ValueError, "cmap='gaudy'"),
    "cmap_int": (ComponentsDisplay, {"cmap": 3}, TypeError, "cmap=3"),
    "text": (ComponentsDisplay, {"text_kwargs": {"wide": 1}}, TypeError, "text_kwargs.*'wide'"),
    "components_ax": (ComponentsDisplay, {"ax": 3}, TypeError, "ax=3.*Axes"),
    "complete": (
        ReconstructionDisplay, {"complete": X[:2]}, ValueError, r"complete.*\(3, 64\).*\(2, 64\)"
    ),
    "reconstruction_shape": (
        ReconstructionDisplay, {"image_shape": (8, 9)}, ValueError, r"image_shape=\(8, 9\)"
    ),
    "reconstruction_columns": (
        ReconstructionDisplay, {"n_columns": -1}, ValueError, "n_columns=-1"
    ),
    "reconstruction_ax": (ReconstructionDisplay, {"ax": 3}, TypeError, "ax=3.*Axes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_argument_is_named(case):
    display, arguments, error, message = BAD_ARGUMENTS[case]
    rows = (X[:3],) if display is ReconstructionDisplay else ()
    with pytest.raises(error, match=message):
        display.from_estimator(PCA_OF_SIX, *rows, **arguments)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("display", "estimator", "error", "message"),
    [
        (ScreeDisplay, PCA(), NotFittedError, "PCA instance is not fitted"),
        (ScreeDisplay, KMeans(2).fit(X), TypeError, "pca must be.*explained_variance_.*a KMeans"),
        (ScreeDisplay, PCA(0).fit(X), ValueError, "pca is a PCA of no component"),
        (ScreeDisplay, "pca", TypeError, "pca must be.*a str"),
        (ComponentsDisplay, PCA(), NotFittedError, "PCA instance is not fitted"),
        (ComponentsDisplay, PCA, TypeError, "estimator must be.*the class PCA"),
        (ComponentsDisplay, StandardScaler().fit(X), TypeError, "components_ or.*StandardScaler"),
        (ReconstructionDisplay, PCA(), NotFittedError, "PCA instance is not fitted"),
        (ReconstructionDisplay, 3, TypeError, "estimator must be.*a int"),
        (ReconstructionDisplay, KMeans(2).fit(X), TypeError, "inverse_transform.*a KMeans"),
    ],
)
def test_what_cannot_be_drawn_is_named(display, estimator, error, message):
    rows = (X[:3],) if display is ReconstructionDisplay else ()
    with pytest.raises(error, match=message):
        display.from_estimator(estimator, *rows)
    assert plt.get_fignums() == []


def test_missing_cells_need_an_estimator_that_fills_them():
    with pytest.raises(TypeError, match=r"must have impute, because X has missing cells.*a PCA"):
        ReconstructionDisplay.from_estimator(PCA_OF_SIX, with_holes()[:3])
    with pytest.raises(ValueError, match="X contains infinity"):
        ReconstructionDisplay.from_estimator(PCA_OF_SIX, np.full((2, 64), np.inf))


def test_rows_that_are_no_squares_need_a_shape():
    pca = PCA(3).fit(X[:, :60])
    with pytest.raises(ValueError, match=r"image_shape=None.*60 columns are no square"):
        ComponentsDisplay.from_estimator(pca)
    assert plt.get_fignums() == []
    display = ComponentsDisplay.from_estimator(pca, image_shape=(6, 10), n_columns=3, ax=axes())
    np.testing.assert_array_equal(
        tiles(display.image_, 6, 10, 3, 3), pca.components_.reshape(3, 6, 10)
    )

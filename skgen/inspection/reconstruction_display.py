"""Rows beside what a model makes of them again."""

import numpy as np
from scipy import sparse

from skgen.base import check_array, check_is_fitted
from skgen.inspection.axes import best_of, described, open_axes, require_matplotlib
from skgen.inspection.mosaic import (
    check_color_map,
    check_grid_width,
    check_image_shape,
    color_limits,
    even_width,
    in_colors,
    tile,
)

MISSING_COLOR = "tab:orange"


class ReconstructionDisplay:
    """Rows as images, their reconstructions below them, and the differences.

    Made by `from_estimator`. Missing cells are orange.

    Parameters
    ----------
    rows : array of shape (m, height * width), or (m, height * width * 3)
        With NaN for missing cells.
    reconstructions : array of the same shape
    complete : array of the same shape, default=None
        What the rows are without missing cells.
    image_shape : (height, width) or (height, width, 3), default=None
        Of C-ordered pixels, with red, green and blue; None means square images.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        Rows and reconstructions, with gaps between them.
    differences_ : matplotlib AxesImage or None
        Reconstruction minus row; not where missing cells have no truth to compare with.
    holes_ : matplotlib AxesImage or None
        Missing cells.
    errors_ : ndarray of shape (m,) or None
        Root mean square difference of every row: over its missing cells where there are some
        (NaN for a row without any), otherwise over all cells.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skgen.decomposition import PCA
    >>> from skgen.inspection import ReconstructionDisplay
    >>> X = load_digits().data
    >>> display = ReconstructionDisplay.from_estimator(PCA(20).fit(X), X[:8])
    >>> display.errors_.shape
    (8,)
    """

    def __init__(self, *, rows, reconstructions, complete=None, image_shape=None):
        self.rows = rows
        self.reconstructions = reconstructions
        self.complete = complete
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls, estimator, X, *, complete=None, image_shape=None, n_columns=None, cmap=None, ax=None
    ):
        """Draw rows and what a fitted estimator makes of them.

        Parameters
        ----------
        estimator : fitted estimator
            With ``inverse_transform(transform(X))``, as of PCA or of a pipeline; where X has
            missing cells, with ``impute(X)``, as of `ProbabilisticPCA` or a mixture. Of a search,
            the best estimator.
        X : array of shape (m, d)
            The rows to draw, about ten.
        complete : array of shape (m, d), default=None
            The same rows without missing cells, where they are known.
        image_shape : (height, width) or (height, width, 3), default=None
            None means square images.
        n_columns, cmap
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        estimator = best_of(estimator, "estimator")
        if not hasattr(estimator, "fit") or isinstance(estimator, type):
            raise TypeError(f"estimator must be a fitted estimator, but is {described(estimator)}")
        check_is_fitted(estimator)
        rows = check_array(
            X.toarray() if sparse.issparse(X) else X,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            input_name="X",
        )
        if complete is not None:
            complete = check_array(complete, dtype=np.float64, input_name="complete")
        return cls(
            rows=rows,
            reconstructions=reconstruct(estimator, X, np.isnan(rows).any()),
            complete=complete,
            image_shape=image_shape,
        ).plot(ax, n_columns=n_columns, cmap=cmap)

    def plot(self, ax=None, *, n_columns=None, cmap=None):
        """Draw the rows, the reconstructions and the differences, a line of images of each.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        n_columns : int, default=None
            Images in a line.
        cmap : str or matplotlib Colormap, default=None
            None means "RdBu_r" where a value of the rows is negative, otherwise "gray_r".
            Differences are in "RdBu_r", symmetric around 0, up to the largest difference.

        Returns
        -------
        self : ReconstructionDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        missing = np.isnan(self.rows)
        truth = self.rows if self.complete is None else self.complete
        for name in ("reconstructions", "complete"):
            given = getattr(self, name)
            if given is not None and np.shape(given) != self.rows.shape:
                raise ValueError(
                    f"{name} must have the shape of the rows, {self.rows.shape}, but has"
                    f" {np.shape(given)}"
                )
        shape = check_image_shape(self.image_shape, self.rows.shape[1])
        width = check_grid_width(n_columns, even_width(len(self.rows), 10), len(self.rows))
        limits = color_limits(truth)
        colors = check_color_map(cmap, signed=limits[0] < 0.0)
        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        lines = [("rows", self.rows), ("reconstructions", self.reconstructions)]
        if missing.any():
            lines = [("given", self.rows), ("restored", self.reconstructions)]
            if self.complete is not None:
                lines.append(("complete", self.complete))
        difference = None
        self.errors_ = None
        if not np.isnan(truth).any():
            difference = self.reconstructions - truth
            lines.append(("difference", np.full_like(truth, np.nan)))
            self.errors_ = row_errors(difference, missing)
        self._draw(lines, difference, missing, shape, width, limits, colors)
        return self

    def _draw(self, lines, difference, missing, shape, width, limits, colors):
        """Lines of images, the parts of one row below each other."""
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        def mosaic(parts):
            return tile(interleaved(parts, width).reshape(-1, *shape), width)

        parts = [values for _, values in lines]
        whole, corners = mosaic(parts)
        nothing = [np.full(parts[0].shape, np.nan) for _ in lines]
        as_colors = len(shape) == 3
        self.image_ = self.ax_.imshow(
            in_colors(whole, limits) if as_colors else whole,
            cmap=colors,
            vmin=limits[0],
            vmax=limits[1],
        )
        self.differences_ = self.holes_ = None
        if difference is not None:
            largest = color_limits(difference)[1]
            whole, _ = mosaic([*nothing[:-1], difference])
            self.differences_ = self.ax_.imshow(
                in_colors(whole, (-largest, largest)) if as_colors else whole,
                cmap=colormaps["RdBu_r"],
                vmin=-largest,
                vmax=largest,
            )
        if missing.any():
            whole, _ = mosaic([np.where(missing, 1.0, np.nan), *nothing[1:]])
            if as_colors:
                whole = np.where(np.isnan(whole).all(axis=-1), np.nan, 1.0)
            self.holes_ = self.ax_.imshow(whole, cmap=ListedColormap([MISSING_COLOR]))
        self.ax_.set_xticks([])
        tops = np.unique(corners[:, 0])
        names = [name for name, _ in lines] * (len(tops) // len(lines))
        self.ax_.set_yticks(tops + 0.5 * (shape[0] - 1), names)
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        if self.errors_ is not None:
            cells = missing if missing.any() else np.ones_like(missing)
            error = np.sqrt(np.mean(np.square(difference[cells])))
            among = " over missing cells" if missing.any() else ""
            self.ax_.set_xlabel(f"root mean square difference{among}: {error:.3g}")


def reconstruct(estimator, X, has_missing):
    """What an estimator makes of rows, float64."""
    if has_missing:
        needed = "impute"
        made = estimator.impute(X) if hasattr(estimator, "impute") else None
    else:
        needed = "transform and inverse_transform"
        able = hasattr(estimator, "transform") and hasattr(estimator, "inverse_transform")
        made = estimator.inverse_transform(estimator.transform(X)) if able else None
    if made is None:
        why = "because X has missing cells" if has_missing else "because X has no missing cells"
        raise TypeError(f"estimator must have {needed}, {why}, but is {described(estimator)}")
    return np.array(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def row_errors(difference, missing):
    """Root mean square of every row, over missing cells where there are some at all."""
    squares = np.square(difference)
    if not missing.any():
        return np.sqrt(squares.mean(axis=1))
    counts = missing.sum(axis=1)
    sums = np.where(missing, squares, 0.0).sum(axis=1)
    return np.sqrt(np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0))


def interleaved(parts, width):
    """Rows of several arrays in the order in which a grid of this width shows them.

    A line of rows of the first array, below it the same rows of the second, and so on; what is
    left of the last lines is NaN.
    """
    n_rows, d = parts[0].shape
    lines = -(-n_rows // width)
    padded = np.full((len(parts), lines * width, d), np.nan)
    padded[:, :n_rows] = parts
    return padded.reshape(len(parts), lines, width, d).swapaxes(0, 1).reshape(-1, d)

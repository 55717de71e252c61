"""Components, centers or means as images."""

import numpy as np

from skgen.base import check_array, check_is_fitted
from skgen.inspection.axes import (
    best_of,
    check_style,
    described,
    open_axes,
    require_matplotlib,
)
from skgen.inspection.mosaic import (
    check_color_map,
    check_grid_width,
    check_image_shape,
    color_limits,
    grid_width,
    in_colors,
    tile,
)

# In the order in which they are looked for.
ATTRIBUTES = ("components_", "cluster_centers_", "means_", "coef_")
SCALES = ("shared", "each")


class ComponentsDisplay:
    """Rows of a fitted attribute as images, side by side.

    Made by `from_estimator`; made of any rows, as of ``pca.inverse_transform(mixture.means_)``, by
    `plot`. Where a value is negative, colors are symmetric around 0, which is white.

    Parameters
    ----------
    rows : array of shape (m, height * width), or (m, height * width * 3)
    image_shape : (height, width) or (height, width, 3), default=None
        Of C-ordered pixels, with red, green and blue; None means square images.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        All images, with gaps between them.
    titles_ : list of matplotlib Text
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skgen.decomposition import PCA
    >>> from skgen.inspection import ComponentsDisplay
    >>> pca = PCA(10).fit(load_digits().data)
    >>> ComponentsDisplay.from_estimator(pca, image_shape=(8, 8)).rows.shape
    (10, 64)
    """

    def __init__(self, *, rows, image_shape=None):
        self.rows = rows
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        image_shape=None,
        which=None,
        attribute=None,
        n_columns=None,
        scale="shared",
        titles=None,
        cmap=None,
        colorbar=True,
        ax=None,
        text_kwargs=None,
    ):
        """Draw what a fitted estimator found.

        Parameters
        ----------
        estimator : fitted estimator
            Of any package; of a search, the best estimator.
        image_shape : (height, width) or (height, width, 3), default=None
            None means square images.
        which : sequence of int, default=None
            Positions of the rows to draw, as ``range(16)``; None means all.
        attribute : str, default=None
            Name of the fitted attribute; None means the first of `components_`,
            `cluster_centers_`, `means_` and `coef_`.
        n_columns, scale, titles, cmap, colorbar, text_kwargs
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : ComponentsDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        rows = fitted_rows(best_of(estimator, "estimator"), attribute)
        return cls(rows=rows[check_which(which, len(rows))], image_shape=image_shape).plot(
            ax,
            n_columns=n_columns,
            scale=scale,
            titles=titles,
            cmap=cmap,
            colorbar=colorbar,
            text_kwargs=text_kwargs,
        )

    def plot(
        self,
        ax=None,
        *,
        n_columns=None,
        scale="shared",
        titles=None,
        cmap=None,
        colorbar=True,
        text_kwargs=None,
    ):
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        n_columns : int, default=None
            Images in a line.
        scale : {"shared", "each"}, default="shared"
            "shared" gives a value the same color in all images; "each" lets every image reach the
            ends of the color map, so that faint ones show their pattern.
        titles : sequence of m str, default=None
            Above the images.
        cmap : str or matplotlib Colormap, default=None
            None means "RdBu_r" where a value is negative, otherwise "gray_r". Images of three
            colors have no color map: 0 is gray where a value is negative, otherwise black.
        colorbar : bool, default=True
            Say which color is which value, if all images share them.
        text_kwargs : dict, default=None
            Properties of the titles.

        Returns
        -------
        self : ComponentsDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        from matplotlib.text import Text

        rows = check_array(self.rows, dtype=np.float64, input_name="rows")
        shape = check_image_shape(self.image_shape, rows.shape[1])
        width = check_grid_width(n_columns, grid_width(len(rows)), len(rows))
        if scale not in SCALES:
            raise ValueError(f"scale={scale!r} must be one of {SCALES}")
        titles = check_titles(titles, len(rows))
        limits = color_limits(rows)
        colors = check_color_map(cmap, signed=limits[0] < 0.0)
        style = {"fontsize": "x-small", "ha": "left", "va": "bottom"}
        style |= check_style("text_kwargs", text_kwargs, Text)

        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        if scale == "each":
            largest = np.abs(rows).max(axis=1, keepdims=True)
            rows = rows / np.where(largest > 0.0, largest, 1.0)
            limits = -1.0 if limits[0] < 0.0 else 0.0, 1.0
        images = rows.reshape(-1, *shape)
        if titles:
            images = with_room_above(images)
        whole, corners = tile(images, width)
        if len(shape) == 3:
            whole = in_colors(whole, limits)
        self.image_ = self.ax_.imshow(whole, cmap=colors, vmin=limits[0], vmax=limits[1])
        self.ax_.set_axis_off()
        head = images.shape[1] - shape[0]
        self.titles_ = [
            self.ax_.text(left - 0.5, top + head - 0.7, title, **style)
            for (top, left), title in zip(corners, titles, strict=False)
        ]
        self.colorbar_ = None
        if colorbar and scale == "shared" and len(shape) == 2:
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.8)
        return self


def fitted_rows(estimator, attribute):
    """The rows of a fitted attribute, float64."""
    if attribute is not None and not isinstance(attribute, str):
        raise TypeError(f"attribute={attribute!r} must be a str or None")
    if not hasattr(estimator, "fit") or isinstance(estimator, type):
        raise TypeError(f"estimator must be a fitted estimator, but is {described(estimator)}")
    check_is_fitted(estimator)
    names = ATTRIBUTES if attribute is None else (attribute,)
    for name in names:
        rows = getattr(estimator, name, None)
        if rows is not None:
            return check_array(
                np.atleast_2d(rows), dtype=np.float64, input_name=f"{name} of estimator"
            )
    raise TypeError(
        f"estimator must have {' or '.join(names)}, but is {described(estimator)}; give attribute,"
        " the name of a fitted attribute, or make the display of rows"
    )


def check_which(which, n_rows):
    """Positions of rows, as an index."""
    if which is None:
        return slice(None)
    if isinstance(which, str) or not hasattr(which, "__len__"):
        raise TypeError(f"which={which!r} must be a sequence of positions, such as range(4)")
    positions = np.asarray(which)
    if not len(positions):
        raise ValueError(f"which={which!r} must have a position")
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise TypeError(f"which={which!r} must hold positions (int)")
    if positions.min() < -n_rows or positions.max() >= n_rows:
        raise ValueError(
            f"which={which!r} must lie between 0 and {n_rows - 1}: there are {n_rows} rows"
        )
    return positions


def check_titles(titles, n_images):
    """A list of one str per image, or of none."""
    if titles is None:
        return []
    if isinstance(titles, str) or not hasattr(titles, "__len__"):
        raise TypeError(f"titles={titles!r} must be a sequence of str, one per image")
    if len(titles) != n_images:
        raise ValueError(
            f"titles must be {n_images}, one per image, but are {len(titles)}: {titles!r}"
        )
    return [str(title) for title in titles]


def with_room_above(images):
    """The same with room for a line of text."""
    room = -(-images.shape[1] // 3)
    return np.concatenate([np.full_like(images[:, :1], np.nan)] * room + [images], axis=1)

"""Outputs of a hidden layer, rows by units."""

from inspect import signature

import numpy as np

from skgen.base import check_array, check_is_fitted
from skgen.inspection.axes import best_of, described, open_axes, require_matplotlib
from skgen.inspection.mosaic import check_color_map, color_limits

# More different labels than this are numbers: rows are ordered by them and not named.
MOST_CLASSES = 20


class ActivationsDisplay:
    """Outputs of the units of a hidden layer for rows, as a heat map of rows by units.

    Made by `from_estimator`. Rows are ordered by class, with lines between the classes; rows of
    one class keep their order. Where a value is negative, colors are symmetric around 0, which is
    white.

    Parameters
    ----------
    activations : array of shape (n, units)
    labels : array of shape (n,), default=None
        Classes, or numbers to order rows by where there are more than 20 different ones.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
    rows_, units_ : ndarrays of shape (n,) and (units,)
        Positions of the rows from top to bottom and of the units from left to right.
    lines_ : list of matplotlib Line2D
        Between classes.
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.inspection import ActivationsDisplay
    >>> from skgen.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8,), early_stopping=True, random_state=0).fit(X, y)
    >>> ActivationsDisplay.from_estimator(network, X, y).image_.get_array().shape
    (150, 8)
    """

    def __init__(self, *, activations, labels=None):
        self.activations = activations
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, network, X, y=None, *, layer=None, sort_units=False, cmap=None, colorbar=True, ax=None
    ):
        """Draw what a hidden layer of a fitted network makes of rows.

        Parameters
        ----------
        network : fitted estimator
            With `transform`; of a search, the best estimator.
        X : array or CSR of shape (n, d)
            Some hundred rows.
        y : array of shape (n,), default=None
            Classes to order the rows by, or numbers.
        layer : int, default=None
            As in ``network.transform(X, layer)``; None means what ``network.transform(X)`` gives:
            the last hidden layer, of an autoencoder the code.
        sort_units, cmap, colorbar
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : ActivationsDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        network = best_of(network, "network")
        if not hasattr(network, "fit") or isinstance(network, type):
            raise TypeError(f"network must be a fitted network, but is {described(network)}")
        check_is_fitted(network)
        if not hasattr(network, "transform"):
            raise TypeError(f"network must have transform, but is {described(network)}")
        options = {} if layer is None else {"layer": layer}
        if options and "layer" not in signature(network.transform).parameters:
            raise TypeError(
                f"layer={layer!r} must be None: network is {described(network)}, whose transform"
                " knows no layer"
            )
        return cls(activations=network.transform(X, **options), labels=y).plot(
            ax, sort_units=sort_units, cmap=cmap, colorbar=colorbar
        )

    def plot(self, ax=None, *, sort_units=False, cmap=None, colorbar=True):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        sort_units : bool, default=False
            Order units by the class in which their mean output is largest, so that units of a
            class stand together; needs labels.
        cmap : str or matplotlib Colormap, default=None
            None means "RdBu_r" where a value is negative, otherwise "gray_r".
        colorbar : bool, default=True
            Say which color is which value.

        Returns
        -------
        self : ActivationsDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        values = check_array(self.activations, dtype=np.float64, input_name="activations")
        classes, number = check_labels(self.labels, len(values))
        if sort_units and (self.labels is None or len(classes) > MOST_CLASSES):
            raise ValueError(
                f"sort_units=True needs y, classes of the rows, at most {MOST_CLASSES} of them"
            )
        limits = color_limits(values)
        colors = check_color_map(cmap, signed=limits[0] < 0.0)
        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        self.rows_ = np.argsort(number, kind="stable")
        self.units_ = np.arange(values.shape[1])
        if sort_units:
            means = [values[number == place].mean(axis=0) for place in range(len(classes))]
            self.units_ = np.argsort(np.argmax(means, axis=0), kind="stable")
        self.image_ = self.ax_.imshow(
            values[np.ix_(self.rows_, self.units_)],
            cmap=colors,
            vmin=limits[0],
            vmax=limits[1],
            aspect="auto",
        )
        self._draw_classes(classes, number, sort_units)
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label="output")
        return self

    def _draw_classes(self, classes, number, sort_units):
        """Names of the classes and lines between them."""
        from matplotlib.ticker import MaxNLocator

        ordered = "unit, ordered by class" if sort_units else "unit"
        self.ax_.set(xlabel=ordered, ylabel="row")
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        if sort_units:
            self.ax_.set_xticks([])
        self.lines_ = []
        if self.labels is None:
            return
        self.ax_.set_yticks([])
        self.ax_.set_ylabel("rows, ordered by y")
        if len(classes) > MOST_CLASSES:
            return
        self.ax_.set_ylabel("class")
        ends = np.cumsum(np.bincount(number))
        middles = 0.5 * (ends + np.concatenate([[0], ends[:-1]])) - 0.5
        self.ax_.set_yticks(middles, [str(name) for name in classes])
        self.ax_.tick_params(axis="y", length=0)
        self.lines_ = [self.ax_.axhline(end - 0.5, color="0.3", lw=0.6) for end in ends[:-1]]


def check_labels(labels, n_rows):
    """Different labels in order, and the number of that of every row; zeros without labels."""
    if labels is None:
        return [], np.zeros(n_rows, dtype=np.intp)
    labels = np.asarray(labels)
    if labels.shape != (n_rows,):
        raise ValueError(f"y must be {n_rows}, one per row, but has shape {labels.shape}")
    try:
        return np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"y must hold labels of one kind: {error}") from error

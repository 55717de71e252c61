"""What hidden units look for: their incoming weights as images."""

from numbers import Integral

import numpy as np

from skgen.base import check_is_fitted
from skgen.inspection.axes import best_of, described, require_matplotlib
from skgen.inspection.components_display import ComponentsDisplay, check_which, fitted_rows


class FiltersDisplay(ComponentsDisplay):
    """Weights from the columns of X into each unit of the first layer, as images side by side.

    Made by `from_estimator`; drawn as by `ComponentsDisplay`. Red pixels raise what enters a unit,
    blue ones lower it.

    Parameters
    ----------
    rows : array of shape (m, height * width), or (m, height * width * 3)
        The incoming weights of m units.
    image_shape : (height, width) or (height, width, 3), default=None
        Of C-ordered pixels, with red, green and blue; None means square images.

    Attributes
    ----------
    units_ : ndarray of shape (m,)
        Numbers of the units drawn, where made by `from_estimator`.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        All images, with gaps between them.
    titles_ : list of matplotlib Text
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skgen.inspection import FiltersDisplay
    >>> from skgen.neural_network import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> network = MLPClassifier((30,), learning_rate_init=0.01, random_state=0).fit(X / 16, y)
    >>> FiltersDisplay.from_estimator(network, which=12, image_shape=(8, 8)).rows.shape
    (12, 64)
    """

    @classmethod
    def from_estimator(
        cls,
        network,
        *,
        image_shape=None,
        which=None,
        n_columns=None,
        scale="shared",
        titles=None,
        cmap=None,
        colorbar=True,
        ax=None,
        text_kwargs=None,
    ):
        """Draw the first layer of a fitted network.

        Parameters
        ----------
        network : fitted estimator
            With `coefs_`, as networks have, also scikit-learn's; or with `coef_`, as a perceptron,
            whose units are its classes. Of a search, the best estimator.
        image_shape : (height, width) or (height, width, 3), default=None
            None means square images.
        which : int or sequence of int, default=None
            Numbers of units; an int n means the n strongest ones, strongest first: those with the
            largest product of the lengths of incoming and outgoing weights (with batch norm, of its
            scale and the length of outgoing weights). None means all, in their order. Linear
            functions of maxout units count as units.
        n_columns, scale, titles, cmap, colorbar, text_kwargs
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : FiltersDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        network = best_of(network, "network")
        rows = incoming(network)
        if isinstance(which, Integral) and not isinstance(which, bool):
            units = strongest(network, rows, which)
        else:
            units = np.arange(len(rows))[check_which(which, len(rows))]
        display = cls(rows=rows[units], image_shape=image_shape)
        display.units_ = units
        return display.plot(
            ax,
            n_columns=n_columns,
            scale=scale,
            titles=titles,
            cmap=cmap,
            colorbar=colorbar,
            text_kwargs=text_kwargs,
        )


def incoming(network):
    """Weights into the units of the first layer (units, d), float64."""
    if not hasattr(network, "fit") or isinstance(network, type):
        raise TypeError(f"network must be a fitted network, but is {described(network)}")
    check_is_fitted(network)
    if hasattr(network, "coefs_"):
        return np.array(network.coefs_[0].T, dtype=np.float64, order="C")
    if not hasattr(network, "coef_"):
        raise TypeError(f"network must have coefs_ or coef_, but is {described(network)}")
    return fitted_rows(network, "coef_")


def strongest(network, rows, count):
    """Numbers of the units that pass on most."""
    if not 1 <= count <= len(rows):
        raise ValueError(f"which={count!r} must be 1 to {len(rows)}, the number of units")
    strength = np.linalg.norm(rows, axis=1)
    coefs = getattr(network, "coefs_", ())
    if len(coefs) > 1:
        if getattr(network, "scales_", None) is not None:
            strength = np.abs(network.scales_[0])
        onward = np.linalg.norm(coefs[1], axis=1)
        strength = strength * np.repeat(onward, len(rows) // len(onward))
    return np.argsort(-strength, kind="stable")[:count]

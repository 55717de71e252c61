"""What all displays ask of matplotlib, which is loaded here and only when it is needed."""

import numpy as np

from skgen.base import NotFittedError, check_is_fitted


def require_matplotlib(caller):
    """Raise where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib; install it with `pip install 'skgen[plot]'`"
        ) from error


def open_axes(ax, caller):
    """`ax`, or the axes of a new figure where it is None."""
    require_matplotlib(caller)
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots()[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax={ax!r} must be matplotlib Axes or None, but is a {kind(ax)}")
    return ax


def check_style(name, given, artist, others=()):
    """A new dict of the given properties of an artist class, each under its one full name."""
    from matplotlib.cbook import normalize_kwargs

    if given is None:
        return {}
    if not isinstance(given, dict):
        raise TypeError(f"{name}={given!r} must be a dict or None, but is a {kind(given)}")
    try:
        style = normalize_kwargs(given, artist)
    except TypeError as error:
        raise TypeError(f"{name}={given!r}: {error}") from error
    for key in style:
        if key not in others and not hasattr(artist, f"set_{key}"):
            raise TypeError(f"{name}={given!r}: {key!r} is no property of a {artist.__name__}")
    return style


def check_colors(colors, n_groups):
    """Red, green and blue of every group (n_groups, 3)."""
    from matplotlib import colormaps
    from matplotlib.colors import is_color_like, to_rgb

    if colors is None:
        if n_groups <= 10:
            return np.array(colormaps["tab10"].colors[:n_groups])
        if n_groups <= 20:
            return np.array(colormaps["tab20"].colors[:n_groups])
        return colormaps["turbo"](np.linspace(0.05, 0.95, n_groups))[:, :3]
    if is_color_like(colors):
        return np.array([to_rgb(colors)] * n_groups)
    if isinstance(colors, str) or not hasattr(colors, "__len__"):
        raise ValueError(f"colors={colors!r} is no color and no sequence of colors")
    if len(colors) != n_groups:
        raise ValueError(
            f"colors={colors!r} must be one color or {n_groups}, one each, but are {len(colors)}"
        )
    for color in colors:
        if not is_color_like(color):
            raise ValueError(f"colors={colors!r}: {color!r} is no color")
    return np.array([to_rgb(color) for color in colors])


def check_fitted(estimator, name, attribute, allowed):
    """Raise where an estimator is not fitted, or is none that has `attribute`."""
    if hasattr(estimator, attribute):
        return
    if hasattr(estimator, "fit") and not isinstance(estimator, type):
        check_is_fitted(estimator)
    raise TypeError(f"{name} must be {allowed}, but is {described(estimator)}")


def best_of(estimator, name):
    """The best estimator of a search, or the estimator itself."""
    if hasattr(estimator, "best_estimator_"):
        return estimator.best_estimator_
    if hasattr(estimator, "best_index_"):
        raise NotFittedError(
            f"{name} is a {kind(estimator)} without best_estimator_; fit it with refit=True"
        )
    return estimator


def described(value):
    """A value of a message: a class by its name, anything else by its kind."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {kind(value)}"


def kind(value):
    """The name of the class of a value."""
    return type(value).__name__

"""The objective of iterative fits after every iteration."""

import numpy as np

from skgen.inspection.axes import (
    best_of,
    check_fitted,
    check_style,
    described,
    open_axes,
    require_matplotlib,
)

FITS = "fitted estimators with objective_history_"


class ObjectiveHistoryDisplay:
    """`objective_history_` of one or more fits over the iterations.

    Made by `from_estimator`. Objectives of different estimators may have different units and
    directions; each class says what its objective is.

    Parameters
    ----------
    histories : list of arrays
        Objective that each iteration of a fit started from.
    names : list of str
        One per history.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One per fit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.inspection import ObjectiveHistoryDisplay
    >>> from skgen.mixture import GaussianMixture
    >>> X = load_iris().data
    >>> fits = [GaussianMixture(k, random_state=0).fit(X) for k in (2, 3)]
    >>> display = ObjectiveHistoryDisplay.from_estimator(*fits, names=["two", "three"])
    >>> len(display.lines_)
    2
    """

    def __init__(self, *, histories, names):
        self.histories = histories
        self.names = names

    @classmethod
    def from_estimator(cls, *estimators, names=None, ax=None, line_kwargs=None):
        """Draw the objectives of fitted estimators.

        Parameters
        ----------
        *estimators : fitted estimators
            With `objective_history_`; of a search, the best estimator.
        names : list of str, default=None
            Names for the legend; None means the classes, numbered where one occurs twice.
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kwargs : dict, default=None
            As in `plot`.

        Returns
        -------
        display : ObjectiveHistoryDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where an estimator is not fitted or made no iteration.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        if not estimators:
            raise ValueError("estimators: give at least one fitted estimator, but there is none")
        histories, found = [], []
        for number, estimator in enumerate(estimators):
            name = f"estimators[{number}]"
            best = best_of(estimator, name)
            check_fitted(best, name, "objective_history_", FITS)
            history = np.array(best.objective_history_, dtype=np.float64)
            if not len(history):
                raise ValueError(
                    f"{name} is {described(best)} whose objective_history_ is empty; it must hold"
                    " an iteration"
                )
            histories.append(history)
            found.append(type(best).__name__)
        names = numbered(found) if names is None else check_names(names, len(estimators))
        return cls(histories=histories, names=names).plot(ax, line_kwargs=line_kwargs)

    def plot(self, ax=None, *, line_kwargs=None):
        """Draw the histories.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kwargs : dict, default=None
            Properties of all lines.

        Returns
        -------
        self : ObjectiveHistoryDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        style = check_style("line_kwargs", line_kwargs, Line2D)
        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        self.lines_ = []
        for name, history in zip(self.names, self.histories, strict=True):
            # One iteration is no line, and a few are better counted.
            defaults = {"marker": "o", "markersize": 3} if len(history) <= 30 else {}
            iterations = np.arange(1, len(history) + 1)
            self.lines_ += self.ax_.plot(iterations, history, **{"label": name} | defaults | style)
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.set(xlabel="iteration", ylabel="objective")
        if len(self.lines_) > 1:
            self.ax_.legend(frameon=False)
        return self


def numbered(names):
    """Names, with a number where one occurs more than once."""
    return [
        f"{name} {names[: position + 1].count(name)}" if names.count(name) > 1 else name
        for position, name in enumerate(names)
    ]


def check_names(names, n_estimators):
    """A list of one str per estimator."""
    if isinstance(names, str) or not hasattr(names, "__len__"):
        raise TypeError(f"names={names!r} must be a list of str, one per estimator")
    if len(names) != n_estimators:
        raise ValueError(f"names={names!r} must be {n_estimators}, one per estimator")
    return [str(name) for name in names]

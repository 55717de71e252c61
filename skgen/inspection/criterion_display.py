"""What a search for the number of components found: a criterion over the size of the mixture."""

import numpy as np

from skgen.inspection.axes import check_fitted, check_style, open_axes, require_matplotlib

# Name -> label of the axis, and whether the largest value is the best.
CRITERIA = {
    "bic": ("BIC, lower is better", False),
    "icl": ("ICL, lower is better", False),
    "aic": ("AIC, lower is better", False),
    "held_out": ("held-out log density per row, higher is better", True),
}
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")


class CriterionDisplay:
    """A criterion over the number of components, a line per covariance structure and inference.

    Made by `from_estimator`. A structure has a color, an inference a dash and a marker. The best
    cell has a ring. A cell without a value, because its fit failed, is a gap.

    Parameters
    ----------
    n_components : array of shape (m,)
        Of every cell of the search.
    covariance_types, inferences : array of shape (m,), of str
    values : array of shape (m,)
        The criterion; NaN where a fit failed.
    criterion : {"bic", "icl", "aic", "held_out"}
    best_index : int
        The cell that is marked.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One per structure and inference, in the order of the cells.
    best_ : matplotlib Line2D
        The ring.
    """

    def __init__(
        self, *, n_components, covariance_types, inferences, values, criterion, best_index
    ):
        self.n_components = n_components
        self.covariance_types = covariance_types
        self.inferences = inferences
        self.values = values
        self.criterion = criterion
        self.best_index = best_index

    @classmethod
    def from_estimator(cls, search, *, criterion=None, ax=None, line_kwargs=None):
        """Draw what a fitted search has in `cv_results_`.

        Parameters
        ----------
        search : fitted GaussianMixtureSearch
        criterion : {"bic", "icl", "aic", "held_out"}, default=None
            None means the criterion of the search. Of another one, if `cv_results_` has it, the
            best value is marked.
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kwargs : dict, default=None
            As in `plot`.

        Returns
        -------
        display : CriterionDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the search is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_fitted(search, "search", "cv_results_", "a fitted GaussianMixtureSearch")
        results = search.cv_results_
        check_results(results)
        chosen = search.criterion if criterion is None else criterion
        values = check_criterion(chosen, results)
        # The parameter may have been changed since the fit; the score says what decided it.
        if values[search.best_index_] == search.best_score_:
            best = int(search.best_index_)
        elif np.isnan(values).all():
            raise ValueError(f"criterion={chosen!r} has no value: every fit failed")
        else:
            best = int(np.nanargmax(values) if CRITERIA[chosen][1] else np.nanargmin(values))
        return cls(
            n_components=np.array(results["param_n_components"], dtype=np.int64),
            covariance_types=np.array(results["param_covariance_type"], dtype=str),
            inferences=np.array(results["param_inference"], dtype=str),
            values=values,
            criterion=chosen,
            best_index=best,
        ).plot(ax, line_kwargs=line_kwargs)

    def plot(self, ax=None, *, line_kwargs=None):
        """Draw the lines and mark the best cell.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kwargs : dict, default=None
            Properties of all lines.

        Returns
        -------
        self : CriterionDisplay

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
        structures, inferences = (distinct(names) for names in self._kinds)
        looks = {name: {"color": f"C{number}"} for number, name in enumerate(structures)}
        for number, name in enumerate(inferences):
            dash, marker = DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)]
            looks[name] = {"linestyle": dash, "marker": marker, "markersize": 4}
        self.lines_ = []
        for structure, inference in distinct(zip(*self._kinds, strict=True)):
            mine = (self.covariance_types == structure) & (self.inferences == inference)
            cells = np.flatnonzero(mine)
            cells = cells[np.argsort(self.n_components[cells], kind="stable")]
            self.lines_ += self.ax_.plot(
                self.n_components[cells],
                self.values[cells],
                **{"label": self._name(structure, inference)}
                | looks[structure]
                | looks[inference]
                | style,
            )
        self._mark_best()
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.set(xlabel="components", ylabel=CRITERIA[self.criterion][0])
        keys = self.lines_
        if len(structures) > 1 and len(inferences) > 1:
            # One entry per color and one per dash: a search may have a dozen lines.
            keys = [
                Line2D([], [], **{"color": "0.4"} | looks[name] | style | {"label": name})
                for name in (*structures, *inferences)
            ]
        self.ax_.legend(handles=[*keys, self.best_], frameon=False)
        return self

    @property
    def _kinds(self):
        return self.covariance_types, self.inferences

    def _mark_best(self):
        best = self.best_index
        size = self.n_components[best]
        name = self._name(self.covariance_types[best], self.inferences[best])
        (self.best_,) = self.ax_.plot(
            [size],
            [self.values[best]],
            color="black",
            linestyle="none",
            marker="o",
            markersize=12,
            markerfacecolor="none",
            markeredgewidth=1.5,
            label=f"best: {name}, {size} component{'s' if size > 1 else ''}",
        )

    def _name(self, covariance_type, inference):
        """Of a line; the inference only where there are several."""
        several = len(set(self.inferences)) > 1
        return f"{covariance_type}, {inference}" if several else str(covariance_type)


def distinct(values):
    """The different values in the order in which they come first."""
    return list(dict.fromkeys(values))


def check_results(results):
    """Raise where a search went over something else."""
    for key in ("param_n_components", "param_covariance_type", "param_inference"):
        if key not in results:
            raise TypeError(
                f"search must be a fitted GaussianMixtureSearch, but its cv_results_ has no {key!r}"
            )


def check_criterion(criterion, results):
    """The values of a criterion, float64, NaN where there is none."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion={criterion!r} must be one of {sorted(CRITERIA)}, or None")
    if criterion not in results:
        known = sorted(CRITERIA.keys() & results.keys())
        raise ValueError(
            f"criterion={criterion!r} is not in cv_results_ of search, which has {known}"
        )
    return np.ma.filled(np.ma.asarray(results[criterion], dtype=np.float64), np.nan)

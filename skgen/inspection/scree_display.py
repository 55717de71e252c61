"""How much variance each principal component holds, and how many components hold enough."""

import numpy as np

from skgen.base import check_array
from skgen.inspection.axes import (
    best_of,
    check_fitted,
    check_style,
    described,
    open_axes,
    require_matplotlib,
)

ANALYSES = "a fitted estimator with explained_variance_ and explained_variance_ratio_"


class ScreeDisplay:
    """Explained variance of every component, and the share that the first ones hold together.

    Made by `from_estimator`. Variances have the left axis, the cumulative share the right one. A
    dashed line has the variances that noise reaches: components above it are more than noise.

    Parameters
    ----------
    explained_variance : array of shape (k,)
    explained_variance_ratio : array of shape (k,)
        As shares of the variance of all columns.
    noise_thresholds : array of shape (m,), default=None
        Variance that noise reaches in each component; m need not be k.

    Attributes
    ----------
    ax_ : matplotlib Axes
    cumulative_ax_ : matplotlib Axes or None
        The right axis.
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        Variances.
    cumulative_ : matplotlib Line2D or None
    thresholds_ : matplotlib Line2D or None

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.decomposition import PCA
    >>> from skgen.inspection import ScreeDisplay
    >>> display = ScreeDisplay.from_estimator(PCA().fit(load_iris().data))
    >>> display.cumulative_.get_ydata().round(3)
    array([0.925, 0.978, 0.995, 1.   ])
    """

    def __init__(self, *, explained_variance, explained_variance_ratio, noise_thresholds=None):
        self.explained_variance = explained_variance
        self.explained_variance_ratio = explained_variance_ratio
        self.noise_thresholds = noise_thresholds

    @classmethod
    def from_estimator(
        cls, pca, *, noise_thresholds="auto", cumulative=True, ax=None, line_kwargs=None
    ):
        """Draw the variances of a fitted estimator.

        Parameters
        ----------
        pca : fitted estimator
            With `explained_variance_` and `explained_variance_ratio_`, of scikit-learn as well; of
            a search, the best estimator.
        noise_thresholds : "auto", array of shape (m,) or None, default="auto"
            "auto" means `noise_thresholds_` where the estimator has it, as after
            ``PCA(n_components="parallel_analysis")``. Given to a fit that keeps all components,
            those of another one show where the variances sink into noise.
        cumulative : bool, default=True
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kwargs : dict, default=None
            As in `plot`.

        Returns
        -------
        display : ScreeDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        estimator = best_of(pca, "pca")
        for attribute in ("explained_variance_", "explained_variance_ratio_"):
            check_fitted(estimator, "pca", attribute, ANALYSES)
        variances = np.array(estimator.explained_variance_, dtype=np.float64)
        if not len(variances):
            raise ValueError(f"pca is {described(estimator)} of no component; it must have one")
        if isinstance(noise_thresholds, str):
            if noise_thresholds != "auto":
                raise ValueError(
                    f"noise_thresholds={noise_thresholds!r} must be 'auto', an array or None"
                )
            noise_thresholds = getattr(estimator, "noise_thresholds_", None)
        if noise_thresholds is not None:
            noise_thresholds = check_array(
                noise_thresholds, dtype=np.float64, ensure_2d=False, input_name="noise_thresholds"
            )
            if noise_thresholds.ndim != 1:
                raise ValueError(
                    "noise_thresholds must be one variance per component, but has shape"
                    f" {noise_thresholds.shape}"
                )
        return cls(
            explained_variance=variances,
            explained_variance_ratio=np.array(
                estimator.explained_variance_ratio_, dtype=np.float64
            ),
            noise_thresholds=noise_thresholds,
        ).plot(ax, cumulative=cumulative, line_kwargs=line_kwargs)

    def plot(self, ax=None, *, cumulative=True, line_kwargs=None):
        """Draw the variances.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        cumulative : bool, default=True
            Draw the cumulative share, over a second axis on the right.
        line_kwargs : dict, default=None
            Properties of the line of the variances.

        Returns
        -------
        self : ScreeDisplay

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
        self.cumulative_ax_ = self.cumulative_ = self.thresholds_ = None
        count = len(self.explained_variance)
        number = np.arange(1, count + 1)
        # A few are better counted.
        defaults = {"color": "C0", "label": "variance"} | marks(count)
        (self.line_,) = self.ax_.plot(number, self.explained_variance, **defaults | style)
        handles = [self.line_]
        if self.noise_thresholds is not None:
            (self.thresholds_,) = self.ax_.plot(
                np.arange(1, len(self.noise_thresholds) + 1),
                self.noise_thresholds,
                color="0.4",
                linestyle="--",
                label="variance that noise reaches",
            )
            handles.append(self.thresholds_)
        last = count if self.noise_thresholds is None else max(count, len(self.noise_thresholds))
        self.ax_.set(xlabel="component", ylabel="explained variance", xlim=(0.5, last + 0.5))
        self.ax_.set_ylim(bottom=0.0)
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        top = self.ax_
        if cumulative:
            top = self.cumulative_ax_ = self.ax_.twinx()
            (self.cumulative_,) = top.plot(
                number,
                np.cumsum(self.explained_variance_ratio),
                color="C1",
                label="cumulative share",
                **marks(count),
            )
            top.set(ylabel="cumulative share of the variance", ylim=(0.0, 1.05))
            handles.append(self.cumulative_)
        if len(handles) > 1:
            # Of the upper axes, so that no line runs across it.
            top.legend(handles=handles, frameon=False, loc="center right")
        return self


def marks(count):
    """Properties of a line over so many components."""
    return {"marker": "o", "markersize": 3} if count <= 30 else {}

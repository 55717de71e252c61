"""Mixtures seen in two columns, as ellipses, or in one, as densities.

    (x - m_k)' S_k^-1 (x - m_k) = -2 log(1 - p)

is the ellipse that holds the share p of component k: its left side has the chi-square distribution
of two degrees of freedom, whose quantiles have this closed form.
"""

from inspect import signature
from numbers import Integral

import numpy as np

from skgen.base import check_array
from skgen.inspection.axes import (
    best_of,
    check_colors,
    check_fitted,
    check_style,
    open_axes,
    require_matplotlib,
)

# Of the largest weight. What is lighter can hardly be seen and must not decide the limits.
FAINT = 1e-3
MIXTURES = "a fitted mixture, classifier or search of skgen.mixture"


class MixtureDisplay:
    """Components of a mixture in two of its columns, or in one.

    Made by `from_estimator`. In two columns a component is an ellipse per level, in one column a
    curve: its weight times its density. The opacity of a component is the square root of its
    weight over the largest one, so that empty components vanish. A row has the mean of the
    colors of the components, or classes, weighted by their probabilities given the whole row.

    Parameters
    ----------
    weights : array of shape (k,)
    means : array of shape (k, c)
        In the columns to draw, c = 1 or 2.
    covariances : array of shape (k, c, c)
    column_names : sequence of c str
        Labels of the axes.
    points : array of shape (n, c), default=None
        Rows; one with NaN is not drawn.
    memberships : array of shape (n, g), default=None
        Probabilities that color the points: of components, or of classes where there are some.
    components_class : array of shape (k,), default=None
        Number of the class of each component; classes decide colors then.
    classes : array of shape (g,), default=None

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    ellipses_ : ndarray of shape (k, number of levels)
        Each a matplotlib Ellipse; no rows where one column is drawn.
    points_ : matplotlib PathCollection or None
    lines_ : list of matplotlib Line2D
        The components where one column is drawn, otherwise empty.
    density_ : matplotlib Line2D or None
        Their sum.
    histogram_ : matplotlib artist or None
        The rows where one column is drawn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.inspection import MixtureDisplay
    >>> from skgen.mixture import GaussianMixture
    >>> X = load_iris().data
    >>> mixture = GaussianMixture(3, random_state=0).fit(X)
    >>> display = MixtureDisplay.from_estimator(mixture, X, columns=(2, 3))
    >>> display.ellipses_.shape
    (3, 2)
    """

    def __init__(
        self,
        *,
        weights,
        means,
        covariances,
        column_names,
        points=None,
        memberships=None,
        components_class=None,
        classes=None,
    ):
        self.weights = weights
        self.means = means
        self.covariances = covariances
        self.column_names = column_names
        self.points = points
        self.memberships = memberships
        self.components_class = components_class
        self.classes = classes

    @classmethod
    def from_estimator(
        cls,
        mixture,
        X=None,
        *,
        columns=(0, 1),
        levels=(0.5, 0.95),
        colors=None,
        ax=None,
        ellipse_kwargs=None,
        scatter_kwargs=None,
        line_kwargs=None,
    ):
        """Draw a fitted mixture, and rows.

        Parameters
        ----------
        mixture : fitted estimator
            A mixture of any covariance structure and inference; a classifier, which is colored by
            class; or a search, whose best estimator is drawn. Ellipses are those of
            ``mixture.marginal(columns).covariances_``; the predictive density of
            `BayesianGaussianMixture` is wider where a component has few rows.
        X : array of shape (n, d), default=None
            Rows to draw, with all columns of the fit.
        columns : one or two of int or str, default=(0, 1)
            Columns to draw, by position or name. The default is the only column where the mixture
            has one.
        levels, colors, ellipse_kwargs, scatter_kwargs, line_kwargs
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        display : MixtureDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        estimator = best_of(mixture, "mixture")
        has_classes = hasattr(estimator, "components_class_")
        check_fitted(estimator, "mixture", "mixture_" if has_classes else "means_", MIXTURES)
        whole = estimator.mixture_ if has_classes else estimator
        check_fitted(whole, "mixture", "marginal", MIXTURES)
        chosen, names = resolve_columns(columns, estimator, whole.means_.shape[1])
        part = whole.marginal(chosen)
        points = memberships = None
        if X is not None:
            memberships = estimator.predict_proba(X)
            points = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")[:, chosen]
        display = cls(
            weights=np.array(part.weights_, dtype=np.float64),
            means=np.array(part.means_, dtype=np.float64),
            covariances=covariance_matrices(part),
            column_names=names,
            points=points,
            memberships=memberships,
            components_class=np.array(estimator.components_class_) if has_classes else None,
            classes=np.array(estimator.classes_) if has_classes else None,
        )
        return display.plot(
            ax,
            levels=levels,
            colors=colors,
            ellipse_kwargs=ellipse_kwargs,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
        )

    def plot(
        self,
        ax=None,
        *,
        levels=(0.5, 0.95),
        colors=None,
        ellipse_kwargs=None,
        scatter_kwargs=None,
        line_kwargs=None,
    ):
        """Draw the components, and the rows below them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        levels : float or sequence of float, default=(0.5, 0.95)
            Share of a component that each of its ellipses holds, between 0 and 1.
        colors : color or sequence of colors, default=None
            One for all, or one per component, or one per class where components have one.
        ellipse_kwargs : dict, default=None
            Properties of the ellipses. The opacity of a component is applied to `edgecolor` and
            `facecolor` too, unless there is an `alpha`.
        scatter_kwargs : dict, default=None
            Arguments of ``ax.scatter`` for the rows.
        line_kwargs : dict, default=None
            Properties of the curves where one column is drawn.

        Returns
        -------
        self : MixtureDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        from matplotlib.axes import Axes
        from matplotlib.collections import PathCollection
        from matplotlib.lines import Line2D
        from matplotlib.patches import Ellipse

        levels = check_levels(levels)
        group = self.components_class
        n_groups = len(self.weights) if group is None else len(self.classes)
        palette = check_colors(colors, n_groups)
        of_component = palette if group is None else palette[group]
        of_ellipses = check_style("ellipse_kwargs", ellipse_kwargs, Ellipse)
        arguments = signature(Axes.scatter).parameters
        of_points = check_style("scatter_kwargs", scatter_kwargs, PathCollection, arguments)
        of_lines = check_style("line_kwargs", line_kwargs, Line2D)

        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        self.ellipses_ = np.empty((0, len(levels)), dtype=object)
        self.points_ = self.density_ = self.histogram_ = None
        self.lines_ = []
        if len(self.column_names) == 1:
            self._plot_densities(of_component, of_lines)
        else:
            self._plot_points(palette, of_points)
            self._plot_ellipses(levels, of_component, of_ellipses)
            self.ax_.set_ylabel(self.column_names[1])
        self.ax_.set_xlabel(self.column_names[0])
        if group is not None:
            self._name_classes(palette)
        return self

    @property
    def _opacities(self):
        return np.sqrt(self.weights / self.weights.max())

    def _plot_points(self, palette, style):
        if self.points is None:
            return
        defaults = {"s": 10, "alpha": 0.6, "linewidth": 0}
        if not {"c", "color", "facecolor"} & style.keys():
            defaults["c"] = (self.memberships @ palette).clip(0.0, 1.0)
        self.points_ = self.ax_.scatter(*self.points.T, **defaults | style)

    def _plot_ellipses(self, levels, colors, style):
        self.ellipses_ = np.empty((len(self.weights), len(levels)), dtype=object)
        faint = self.weights < FAINT * self.weights.max()
        for k, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            looks = component_style(colors[k], self._opacities[k], style)
            for number, level in enumerate(levels):
                ellipse = covariance_ellipse(mean, covariance, level, looks)
                self.ellipses_[k, number] = ellipse
                if faint[k]:
                    self.ax_.add_artist(ellipse)
                else:
                    self.ax_.add_patch(ellipse)
        self.ax_.autoscale_view()

    def _plot_densities(self, colors, style):
        deviations = np.sqrt(self.covariances[:, 0, 0])
        means = self.means[:, 0]
        seen = () if self.points is None else self.points[~np.isnan(self.points)]
        if len(seen):
            bins = int(np.sqrt(len(seen)).clip(10, 100))
            _, _, (self.histogram_,) = self.ax_.hist(
                seen, bins=bins, density=True, histtype="stepfilled", color="0.88"
            )
        heavy = self.weights >= FAINT * self.weights.max()
        grid = density_grid(means[heavy], deviations[heavy])
        curves = self.weights[:, None] * normal_density(grid, means, deviations)
        for curve, color, opacity in zip(curves, colors, self._opacities, strict=True):
            looks = {"color": color, "alpha": opacity} | style
            self.lines_ += self.ax_.plot(grid, curve, **looks)
        (self.density_,) = self.ax_.plot(
            grid, curves.sum(axis=0), color="black", linewidth=1, linestyle="--", label="mixture"
        )
        self.ax_.set_ylabel("density")

    def _name_classes(self, palette):
        from matplotlib.patches import Patch

        handles = [
            Patch(color=color, label=str(name))
            for color, name in zip(palette, self.classes, strict=True)
        ]
        self.ax_.legend(handles=handles, title="class")


def resolve_columns(columns, estimator, n_features):
    """Positions (list of int) of one or two columns, and their names."""
    if n_features == 1 and isinstance(columns, tuple) and columns == (0, 1):
        columns = (0,)
    known = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    given = [columns] if isinstance(columns, (str, Integral)) else columns
    try:
        given = list(given)
    except TypeError:
        raise TypeError(f"columns={columns!r} must be one or two positions or names") from None
    if len(given) not in (1, 2):
        raise ValueError(f"columns={columns!r} must be one or two columns, but are {len(given)}")
    chosen = []
    for column in given:
        if isinstance(column, str):
            if column not in known:
                among = f"columns are {known[:20]}" if known else "X had no column names"
                raise ValueError(f"columns={columns!r}: {column!r} is no column of X; {among}")
            column = known.index(column)
        elif not isinstance(column, Integral) or isinstance(column, (bool, np.bool_)):
            raise TypeError(f"columns={columns!r} must hold positions (int) or names (str)")
        if not -n_features <= column < n_features:
            raise ValueError(
                f"columns={columns!r} must lie between 0 and {n_features - 1}: X has"
                f" {n_features} columns"
            )
        chosen.append(int(column) % n_features)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"columns={columns!r} names a column twice")
    return chosen, [known[column] if known else f"column {column}" for column in chosen]


def covariance_matrices(mixture):
    """The covariances of every structure as (k, d, d), float64."""
    covariances = np.array(mixture.covariances_, dtype=np.float64)
    k, d = mixture.means_.shape
    if mixture.covariance_type == "tied":
        return np.repeat(covariances[None], k, axis=0)
    if mixture.covariance_type == "full":
        return covariances
    return covariances.reshape(k, -1, 1) * np.eye(d)


def check_levels(levels):
    """Shares as floats (number of levels,)."""
    values = np.atleast_1d(np.asarray(levels))
    if values.dtype.kind not in "fiu":
        raise TypeError(f"levels={levels!r} must be numbers between 0 and 1")
    if values.ndim != 1 or not len(values) or not ((values > 0.0) & (values < 1.0)).all():
        raise ValueError(
            f"levels={levels!r} must be one or more numbers between 0 and 1, both excluded"
        )
    return values.astype(np.float64)


def component_style(color, opacity, given):
    """Properties of the ellipses of a component: the given ones, its color and its opacity."""
    from matplotlib.colors import to_rgba

    # "color" would undo the two others.
    style = {"linewidth": 1.5} | {key: value for key, value in given.items() if key != "color"}
    edge = style.get("edgecolor", given.get("color", color))
    face = style.get("facecolor", given.get("color", color))
    if "alpha" not in given:
        edge = to_rgba(edge, opacity)
        face = to_rgba(face, opacity if "facecolor" in given else 0.12 * opacity)
    return style | {"edgecolor": edge, "facecolor": face}


def covariance_ellipse(mean, covariance, level, style):
    """The ellipse that holds the share `level` of a normal distribution."""
    from matplotlib.patches import Ellipse

    variances, directions = np.linalg.eigh(covariance)
    minor, major = 2.0 * np.sqrt(-2.0 * np.log1p(-level) * variances.clip(0.0))
    angle = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
    return Ellipse(mean, major, minor, angle=angle, **style)


def density_grid(means, deviations):
    """Points that resolve every component, however narrow it is, out to four deviations."""
    first, last = (means - 4.0 * deviations).min(), (means + 4.0 * deviations).max()
    # From 9 deviations on a density is nothing, also as a line to a point that is far away.
    reach = np.append(np.linspace(-4.0, 4.0, 161), [-9.0, -7.0, -5.5, 5.5, 7.0, 9.0])
    parts = means[:, None] + deviations[:, None] * reach
    grid = np.unique(np.append(parts, np.linspace(first, last, 400)))
    return grid[(grid >= first) & (grid <= last)]


def normal_density(grid, means, deviations):
    """N(x; m_k, s_k^2) of every component at the points of a grid (k, len(grid))."""
    z = (grid - means[:, None]) / deviations[:, None]
    return np.exp(-0.5 * z**2) / (np.sqrt(2.0 * np.pi) * deviations[:, None])

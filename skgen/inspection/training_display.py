"""Loss and score of a network after every epoch of training."""

import numpy as np

from skgen.inspection.axes import (
    best_of,
    check_fitted,
    check_style,
    described,
    open_axes,
    require_matplotlib,
)
from skgen.inspection.scree_display import marks

FITS = "a fitted estimator with loss_curve_"
# Solvers that take all rows at every step.
WHOLE = ("auto", "lbfgs")


class TrainingDisplay:
    """Training loss, and loss and score of the rows held out, over the epochs.

    Made by `from_estimator`. Losses have the left axis, scores the right one. A dashed line stands
    at the epoch of the best score, whose weights were kept; of equal scores at the first.

    The training loss has the penalty in it and is averaged over the batches of an epoch as they
    were met, with units dropped out; the validation loss has neither.

    Parameters
    ----------
    loss_curve : array of shape (m,)
    validation_loss_curve, validation_scores : array of shape (v,), default=None
        Of the last v epochs, v <= m: after `warm_start` the earlier ones have none.
    step : str, default="epoch"
        Name of what the curves have a point for.

    Attributes
    ----------
    ax_ : matplotlib Axes
    score_ax_ : matplotlib Axes or None
        The right axis.
    figure_ : matplotlib Figure
    training_ : matplotlib Line2D
    validation_, scores_ : matplotlib Line2D or None
    best_ : matplotlib Line2D or None
    best_epoch_ : int or None
        Counted from 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgen.inspection import TrainingDisplay
    >>> from skgen.neural_network import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8,), early_stopping=True, random_state=0).fit(X, y)
    >>> display = TrainingDisplay.from_estimator(network)
    >>> len(display.training_.get_xdata()) == network.n_iter_
    True
    """

    def __init__(
        self, *, loss_curve, validation_loss_curve=None, validation_scores=None, step="epoch"
    ):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores
        self.step = step

    @classmethod
    def from_estimator(cls, network, *, scores=True, ax=None, line_kwargs=None):
        """Draw the training of a fitted network.

        Parameters
        ----------
        network : fitted estimator
            With `loss_curve_`, and `validation_loss_curve_` and `validation_scores_` where rows
            were held out: networks, `SoftmaxRegression`, scikit-learn's networks as well. Of a
            search, the best estimator.
        scores : bool, default=True
            As in `plot`.
        ax : matplotlib Axes, default=None
            None makes a new figure.
        line_kwargs : dict, default=None
            As in `plot`.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument, also where the estimator is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        network = best_of(network, "network")
        check_fitted(network, "network", "loss_curve_", FITS)
        if not len(network.loss_curve_):
            raise ValueError(
                f"network is {described(network)} whose loss_curve_ is empty; it must hold an epoch"
            )
        return cls(
            loss_curve=curve(network, "loss_curve_"),
            validation_loss_curve=curve(network, "validation_loss_curve_"),
            validation_scores=curve(network, "validation_scores_"),
            step="iteration" if getattr(network, "solver", None) in WHOLE else "epoch",
        ).plot(ax, scores=scores, line_kwargs=line_kwargs)

    def plot(self, ax=None, *, scores=True, line_kwargs=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        scores : bool, default=True
            Draw the scores, where there are some, over a second axis on the right.
        line_kwargs : dict, default=None
            Properties of all curves.

        Returns
        -------
        self : TrainingDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        TypeError, ValueError
            Naming the argument.
        """
        caller = f"{type(self).__name__}.plot"
        require_matplotlib(caller)
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        style = check_style("line_kwargs", line_kwargs, Line2D)
        for name in ("validation_loss_curve", "validation_scores"):
            given = getattr(self, name)
            if given is not None and not 0 < len(given) <= len(self.loss_curve):
                raise ValueError(
                    f"{name} must have 1 to {len(self.loss_curve)} epochs, as loss_curve, but has"
                    f" {len(given)}"
                )
        self.ax_ = open_axes(ax, caller)
        self.figure_ = self.ax_.figure
        self.score_ax_ = self.validation_ = self.scores_ = self.best_ = self.best_epoch_ = None

        def draw(axes, values, name, color):
            last = len(self.loss_curve)
            epochs = np.arange(last - len(values) + 1, last + 1)
            look = {"color": color, "label": name} | marks(len(values)) | style
            return axes.plot(epochs, values, **look)[0]

        self.training_ = draw(self.ax_, self.loss_curve, "training loss", "C0")
        handles = [self.training_]
        if self.validation_loss_curve is not None:
            self.validation_ = draw(self.ax_, self.validation_loss_curve, "validation loss", "C1")
            handles.append(self.validation_)
        self.ax_.set(xlabel=self.step, ylabel="loss")
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
        top = self.ax_
        if self.validation_scores is not None:
            before = len(self.loss_curve) - len(self.validation_scores)
            # A score may be NaN where no row held out says anything.
            worth = np.nan_to_num(self.validation_scores, nan=-np.inf)
            self.best_epoch_ = before + 1 + int(np.argmax(worth))
            if scores:
                top = self.score_ax_ = self.ax_.twinx()
                self.scores_ = draw(top, self.validation_scores, "validation score", "C2")
                top.set_ylabel("score")
                handles.append(self.scores_)
            self.best_ = top.axvline(
                self.best_epoch_,
                color="0.4",
                linestyle="--",
                linewidth=1.0,
                label=f"best score: {self.step} {self.best_epoch_}",
            )
            handles.append(self.best_)
        if len(handles) > 1:
            # Of the upper axes, so that no line runs across it but that of the best epoch.
            top.legend(handles=handles, loc="center right", framealpha=0.8, edgecolor="none")
        return self


def curve(network, name):
    """A fitted curve, float64, or None."""
    values = getattr(network, name, None)
    return None if values is None else np.array(values, dtype=np.float64)

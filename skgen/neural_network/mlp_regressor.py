"""A multilayer perceptron for numbers: means, medians, quantiles, rates or distributions."""

from numbers import Real

import numpy as np

from skgen.base import (
    Interval,
    MultiOutputMixin,
    RegressorMixin,
    StrOptions,
    admit_targets,
    thread_count,
)
from skgen.networks.losses import Absolute, Gaussian, Huber, Poisson, Quantile, Squared
from skgen.networks.network import Layer, Network
from skgen.neural_network.training import LOSS_METHODS, SIZES, NetworkEstimator, mean_loss

LOSSES = {
    "squared_error": lambda estimator: Squared(),
    "absolute_error": lambda estimator: Absolute(),
    "huber": lambda estimator: Huber(estimator.huber_delta),
    "quantile": lambda estimator: Quantile(estimator.quantile),
    "poisson": lambda estimator: Poisson(),
    "gaussian": lambda estimator: Gaussian(),
}
LOSSES_OF_MEANS = ("squared_error", "poisson")


class MLPRegressor(MultiOutputMixin, RegressorMixin, NetworkEstimator):
    r"""Multilayer perceptron for one or several numbers per row.

    Minimizes the weighted mean over rows of the loss, added up over the columns of y, plus
    ``alpha * ((1 - l1_ratio) / 2 * |W|^2 + l1_ratio * |W|_1)`` divided by the weight of the rows.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber", "quantile", "gaussian"} or \
            object, default="squared_error"
        Half the squared error; half the Poisson deviance of a mean e^raw; formulas of the others
        in `skgen.networks.losses`. "gaussian" learns a variance too, see `predict`. An object is a
        loss as that module describes; it is asked for its ``n_outputs`` of the number of columns
        of y. Updates then run in NumPy.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of the hidden layers.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu", "prelu", "elu", "gelu", \
            "softplus", "maxout"}, default="relu"
        Of hidden units; formulas in `skgen.networks.activations`.
    solver : {"lbfgs", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"}, \
            default="adam"
        "lbfgs" takes all rows at every step; the others are update rules for minibatches, formulas
        in `skgen.solvers.update_rules`. "sgd" with `momentum` > 0 is "nesterov" or "momentum".
    alpha : float, default=0.0001
        Strength of the penalty; it is divided by the weight of the batch, intercepts are free.
    batch_size : int or "auto", default="auto"
        Rows of a minibatch; "auto" is min(200, n).
    learning_rate : {"constant", "invscaling", "adaptive", "inverse", "step", "cosine"}, \
            default="constant"
        How the rate e falls with the updates t and epochs s, both from 0: e;
        ``e / (s n + 1)^power_t``; e divided by 5 whenever `n_iter_no_change` epochs brought no
        improvement; ``e / (1 + decay_rate t)``; ``e step_factor^floor(s / step_size)``; half a
        cosine over `max_iter` epochs.
    learning_rate_init : float, default=0.001
        The rate e.
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs; iterations of "lbfgs".
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new random order.
    random_state : int, RandomState or None, default=None
        First weights, rows held out, order of rows, units that drop out.
    tol : float, default=1e-4
        The least improvement of the training loss (or validation score) that counts; of "lbfgs"
        the largest slope at which to stop.
    verbose : bool or int, default=False
        Log every epoch (logger "skgen").
    warm_start : bool, default=False
        Start from the last weights; memories of update rules start anew.
    momentum : float in [0, 1], default=0.9
    nesterovs_momentum : bool, default=True
        Of "sgd".
    early_stopping : bool, default=False
        Hold out rows, stop when their score rests, and restore the weights that were best.
    validation_fraction : float, default=0.1
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Forgetting of "adam" and "adamw".
    epsilon : float, default=1e-8
        Added to roots of squared gradients.
    n_iter_no_change : int, default=10
        Training ends after more than so many epochs in a row without improvement by `tol`.
    max_fun : int, default=15000
        Evaluations of the objective by "lbfgs".
    l1_ratio : float in [0, 1], default=0.0
        Share of the absolute penalty; update rules apply it as a proximal map after each step.
    dropout : float or sequence of float in [0, 1), default=0.0
        Share of the units of each hidden layer that are left out of an update; the others are
        scaled up, and predictions use all.
    batch_norm : bool, default=False
        Give what enters the hidden units mean 0 and variance 1 over each batch, then a learned
        scale and shift; predictions use running means and variances.
    max_norm : float or None, default=None
        Longest vector of weights into a hidden unit, kept by projection after each step.
    pieces : int, default=2
        Linear functions per unit of "maxout".
    initializer : {"auto", "glorot", "he"}, default="auto"
        Weights uniform in +- sqrt(6 / (n_in + n_out)), as scikit-learn draws them, or normal of
        variance 2 / n_in; "auto" is "he" for relu and its kin.
    rho : float in [0, 1), default=0.9
        Forgetting of "rmsprop".
    weight_decay : float, default=0.01
        Of "adamw": weights shrink by ``1 - rate * weight_decay`` before each step, besides `alpha`.
    decay_rate : float, default=0.01
    step_size : int, default=10
        Epochs.
    step_factor : float, default=0.1
    clip_norm : float or None, default=None
        Gradients longer than this Euclidean norm are shortened to it.
    huber_delta : float, default=1.0
        Where "huber" turns from squares to absolute values, in units of y.
    quantile : float in (0, 1), default=0.5
        What "quantile" learns.
    n_jobs : int or None, default=None
        Threads, None for all cores; the result does not depend on it.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (units of layer l, units of layer l + 1)
        For "maxout" (units, pieces * units), the pieces of a unit side by side.
    intercepts_ : list of ndarray of shape (units of layer l + 1,)
    slopes_ : list of ndarray, one per hidden layer
        Of "prelu".
    scales_, running_means_, running_variances_ : lists of ndarray, one per hidden layer
        Of `batch_norm`.
    loss_ : float
        The objective of the last epoch, averaged over its batches as they were met.
    best_loss_ : float or None
        The least of `loss_curve_`; None where rows were held out.
    loss_curve_, objective_history_ : list of float
        The objective of every epoch.
    validation_loss_curve_, validation_scores_ : list of float or None
        Mean loss without penalty and score of the rows held out, after every epoch. The score is
        R^2 for "squared_error" and "poisson", and the negative of the mean loss for all others.
    best_validation_score_ : float or None
    gradient_norms_ : list of float
        Euclidean norm of the objective's gradient by each layer, on (a sample of) the rows.
    dead_units_ : list of float
        Share of each hidden layer's units whose output changes with its input on none of these
        rows.
    n_iter_ : int
    t_ : int
        Rows that training has seen, with repetition.
    converged_ : bool
    stop_reason_ : str
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)
        Where X had column names.

    Raises
    ------
    ValueError, TypeError
        If X, y, weights or parameters are not what they should be, or training diverges.

    References
    ----------
    Rumelhart, Hinton and Williams, Learning representations by back-
    propagating errors, Nature 323, 1986. Glorot and Bengio, AISTATS 2010. He et al., ICCV 2015.
    Srivastava et al., Dropout, JMLR 15, 2014. Ioffe and Szegedy, Batch normalization, ICML 2015.
    Kingma and Ba, Adam, ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.neural_network import MLPRegressor
    >>> X = np.linspace(-2.0, 2.0, 50)[:, None]
    >>> network = MLPRegressor("squared_error", (8,), "tanh", solver="lbfgs", random_state=0)
    >>> bool(network.fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99)
    True
    """

    _parameter_constraints = NetworkEstimator._parameter_constraints | {
        "hidden_layer_sizes": SIZES,
        "loss": [StrOptions(set(LOSSES)), LOSS_METHODS],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        l1_ratio=0.0,
        dropout=0.0,
        batch_norm=False,
        max_norm=None,
        pieces=2,
        initializer="auto",
        rho=0.9,
        weight_decay=0.01,
        decay_rate=0.01,
        step_size=10,
        step_factor=0.1,
        clip_norm=None,
        huber_delta=1.0,
        quantile=0.5,
        n_jobs=None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.l1_ratio = l1_ratio
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.max_norm = max_norm
        self.pieces = pieces
        self.initializer = initializer
        self.rho = rho
        self.weight_decay = weight_decay
        self.decay_rate = decay_rate
        self.step_size = step_size
        self.step_factor = step_factor
        self.clip_norm = clip_norm
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.n_jobs = n_jobs

    def _admit(self, X, y, sample_weight, reset):
        rows, n_axes = admit_targets(
            self,
            X,
            y,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            accept_sparse=True,
        )
        self._require_counts(rows.target, "y")
        if not reset and rows.target.shape[1] != self._n_targets:
            raise ValueError(
                f"y has {rows.target.shape[1]} columns, but training goes on from a fit with"
                f" {self._n_targets}; set warm_start=False or clone the estimator"
            )
        return rows, n_axes

    def _require_counts(self, target, name):
        if self.loss == "poisson" and (target < 0.0).any():
            raise ValueError(f"loss='poisson' needs {name} of at least 0, got {target.min():g}")

    def _admit_held_out(self, X_val, y_val, fit):
        rows, _ = admit_targets(
            self, X_val, y_val, reset=False, n_threads=fit.rows.n_threads, accept_sparse=True
        )
        self._require_counts(rows.target, "y_val")
        if rows.target.shape[1] != fit.rows.target.shape[1]:
            raise ValueError(
                f"y_val has {rows.target.shape[1]} columns, y has {fit.rows.target.shape[1]}"
            )
        return rows

    def _network(self, rows, known):
        loss = LOSSES[self.loss](self) if isinstance(self.loss, str) else self.loss
        layers = self._hidden_layers(rows.n_features, self.hidden_layer_sizes)
        n_in = layers[-1].n_units if layers else rows.n_features
        last = Layer(n_in, loss.n_outputs(rows.target.shape[1]))
        return Network([*layers, last], loss, **self._penalties())

    def _answers(self, fit, parts):
        n_targets = fit.rows.target.shape[1]
        return {"_n_axes": fit.known, "_n_targets": n_targets}

    def _score(self, fit, raw, rows):
        # R^2 says nothing of a quantile or a variance.
        if not (isinstance(self.loss, str) and self.loss in LOSSES_OF_MEANS):
            return -mean_loss(fit.network.loss, raw, rows)
        return determination(rows.target, fit.network.loss.predict(raw), rows.weight)

    def predict(self, X, return_std=False):
        """Predicted numbers.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        return_std : bool, default=False
            With ``loss="gaussian"`` also return standard deviations.

        Returns
        -------
        y : ndarray of shape (n,) or (n, m)
            As y was; the mean for "squared_error", "poisson" and "gaussian", the median for
            "absolute_error", the quantile for "quantile".
        deviations : ndarray of the shape of y
            Where `return_std` is set.
        """
        raw = self._outputs(X)
        predicted = self._shaped(self._loss.predict(raw))
        if not return_std:
            return predicted
        if not isinstance(self._loss, Gaussian):
            raise ValueError(f"return_std=True needs loss='gaussian', got loss={self.loss!r}")
        return predicted, self._shaped(np.exp(0.5 * raw[:, raw.shape[1] // 2 :]))

    def _shaped(self, values):
        return values[:, 0] if self._n_axes == 1 and values.ndim == 2 else values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags


def determination(target, predicted, weight):
    """R^2, averaged over the columns; of a constant column 1 where it is met and 0 elsewhere."""
    target, predicted = target.astype(np.float64), np.asarray(predicted, dtype=np.float64)
    mean = np.average(target, axis=0, weights=weight)
    left = np.average((target - predicted) ** 2, axis=0, weights=weight)
    spread = np.average((target - mean) ** 2, axis=0, weights=weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(spread > 0.0, 1.0 - left / spread, np.where(left > 0.0, 0.0, 1.0))
    return float(score.mean())

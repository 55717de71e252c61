"""A multilayer perceptron that classifies.

    a_0 = x,  a_l = h(a_{l-1} W_l + b_l),  raw = a_{L-1} W_L + b_L

    P(k | x) = softmax(raw)_k,  or 1 / (1 + e^-raw) for two classes and for each of several labels

Two classes share one output, as in scikit-learn. Bishop (2006), chapter 5.
"""

import numpy as np

from skgen.base import (
    ClassifierMixin,
    StrOptions,
    admit_labeled,
    admit_targets,
    available_if,
    fit_context,
    thread_count,
    type_of_target,
)
from skgen.networks.losses import Binary, Categorical
from skgen.networks.network import Layer, Network
from skgen.neural_network.training import LOSS_METHODS, SIZES, NetworkEstimator, trains_by_batches
from skgen.solvers.holdout import hold_out


class Labels:
    """How y is read: `kind` is "binary", "multiclass" or "multilabel-indicator"."""

    def __init__(self, kind, classes):
        self.kind, self.classes = kind, classes

    @property
    def loss(self):
        return Categorical() if self.kind == "multiclass" else Binary()

    @property
    def n_outputs(self):
        return 1 if self.kind == "binary" else len(self.classes)


class MLPClassifier(ClassifierMixin, NetworkEstimator):
    r"""Multilayer perceptron for classes, also several labels per row.

    Minimizes the weighted mean over rows of the negative log-likelihood of their classes, plus
    ``alpha * ((1 - l1_ratio) / 2 * |W|^2 + l1_ratio * |W|_1)`` divided by the weight of the rows.

    Parameters
    ----------
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
    class_weight : dict {class: weight}, "balanced" or None, default=None
        Multiplies the weights of the rows; not for several labels per row.
    loss : "log_loss" or object, default="log_loss"
        An object is a loss as `skgen.networks.losses` describes; it is asked for its ``n_outputs``
        of the number of classes, gets class numbers (n, 1) or, for several labels per row, zeros
        and ones (n, m), and its ``predict`` gives probabilities. Updates then run in NumPy.
    n_jobs : int or None, default=None
        Threads, None for all cores; the result does not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        For several labels per row their numbers.
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
        Mean loss without penalty and score of the rows held out, after every epoch.
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
    >>> from skgen.neural_network import MLPClassifier
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    >>> network = MLPClassifier((4,), activation="tanh", solver="lbfgs", random_state=1)
    >>> network.fit(X, y).predict(X).tolist()
    [0, 1, 1, 0]
    """

    _parameter_constraints = NetworkEstimator._parameter_constraints | {
        "hidden_layer_sizes": SIZES,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "loss": [StrOptions({"log_loss"}), LOSS_METHODS],
    }

    def __init__(
        self,
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
        class_weight=None,
        loss="log_loss",
        n_jobs=None,
    ):
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
        self.class_weight = class_weight
        self.loss = loss
        self.n_jobs = n_jobs

    @available_if(trains_by_batches)
    @fit_context
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch over these rows, from where training stands.

        The memory of the update rule, the schedule and the random numbers go on: calls with the
        same rows give the bits of as many epochs of `fit` without early stopping.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,), or (n, m) for several labels per row
        classes : array of shape (K,), default=None
            All classes there will be; needed at the first call, but for several labels per row.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : MLPClassifier
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once; give partial_fit a dict of"
                " weights,"
                " computed from the whole data"
            )
        several = is_indicator(y)
        if hasattr(self, "classes_"):
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"`classes={np.asarray(classes).tolist()}` is not the same as on last call to"
                    f" partial_fit, was: {self.classes_.tolist()}"
                )
            classes = self.classes_
        elif classes is None and not several:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        elif classes is not None:
            classes = np.unique(classes)
        return self._partial_fit(X, y, sample_weight, classes=classes)

    def _admit(self, X, y, sample_weight, reset, classes=None):
        n_threads = thread_count(self.n_jobs)
        if y is not None and is_indicator(y):
            if self.class_weight is not None:
                raise ValueError(
                    f"class_weight={self.class_weight!r} is for one class per row, y has several"
                    f" labels"
                    " per row; use sample_weight"
                )
            rows, _ = admit_targets(
                self, X, y, sample_weight, reset=reset, n_threads=n_threads, accept_sparse=True
            )
            labels = Labels("multilabel-indicator", np.arange(rows.target.shape[1]))
            self._require_same(labels, reset)
            return rows, labels
        goes_on = not reset and classes is None
        rows, found = admit_labeled(
            self,
            X,
            y,
            sample_weight,
            reset=reset,
            classes=classes,
            class_weight=self.class_weight,
            n_threads=n_threads,
            accept_sparse=True,
        )
        if goes_on and not np.array_equal(found, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call"
                f" to fit. Previously got {self.classes_}, `y` has {found}"
            )
        labels = Labels("binary" if len(found) <= 2 else "multiclass", found)
        self._require_same(labels, reset)
        return rows.with_target(rows.target[:, None].astype(rows.dtype)), labels

    def _require_same(self, labels, reset):
        if reset or (labels.kind == self._kind and len(labels.classes) == len(self.classes_)):
            return
        raise ValueError(
            f"y is {labels.kind} with {len(labels.classes)} classes, but training goes on from a"
            f" fit that"
            f" was {self._kind} with {len(self.classes_)}; set warm_start=False or clone the"
            f" estimator"
        )

    def _admit_held_out(self, X_val, y_val, fit):
        kind, classes = fit.known.kind, fit.known.classes
        options = {"reset": False, "n_threads": fit.rows.n_threads, "accept_sparse": True}
        if kind == "multilabel-indicator":
            rows, _ = admit_targets(self, X_val, y_val, **options)
        else:
            rows, _ = admit_labeled(self, X_val, y_val, classes=classes, **options)
            rows = rows.with_target(rows.target[:, None].astype(rows.dtype))
        if rows.target.shape[1] != fit.rows.target.shape[1]:
            raise ValueError(
                f"y_val has {rows.target.shape[1]} labels per row, y has {fit.rows.target.shape[1]}"
            )
        return rows

    def _network(self, rows, known):
        loss, n_outputs = known.loss, known.n_outputs
        if self.loss != "log_loss":
            loss = self.loss
            n_outputs = loss.n_outputs(len(known.classes))
        layers = self._hidden_layers(rows.n_features, self.hidden_layer_sizes)
        n_in = layers[-1].n_units if layers else rows.n_features
        return Network([*layers, Layer(n_in, n_outputs)], loss, **self._penalties())

    def _answers(self, fit, parts):
        return {"classes_": fit.known.classes, "_kind": fit.known.kind}

    def _split(self, target, fit):
        if fit.known.kind == "multilabel-indicator":
            return super()._split(target, fit)
        return hold_out(target[:, 0].astype(np.intp), self.validation_fraction, fit.random_state)

    def _score(self, fit, raw, rows):
        decided = decide(fit.network.loss.predict(raw), fit.known.kind)
        right = (decided == rows.target).all(axis=1)
        return float(np.average(right, weights=rows.weight))

    def predict(self, X):
        """The most probable class of every row, or which of its labels are more likely than not.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        labels : ndarray of shape (n,), or int (n, m) zeros and ones for several labels per row
        """
        decided = decide(self._probabilities(X), self._kind)
        if self._kind == "multilabel-indicator":
            return decided.astype(int)
        # A single class has an output too.
        return self.classes_.take(decided[:, 0].astype(np.intp), mode="clip")

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        probabilities : ndarray of shape (n, K)
            For several labels per row those of each label, which need not sum to 1.
        """
        share = self._probabilities(X)
        if len(self.classes_) == 1:
            return np.ones((len(share), 1), dtype=share.dtype)
        if self._kind == "binary" and share.shape[1] == 1:
            return np.concatenate([1.0 - share, share], axis=1)
        return share

    def decision_function(self, X):
        """Outputs of the network before they become probabilities.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        scores : ndarray of shape (n,) for two classes, else (n, K)
            Logits: of ``classes_[1]``, of each class up to a constant per row, or of each label.
        """
        raw = self._outputs(X)
        return raw[:, 0] if self._kind == "binary" and raw.shape[1] == 1 else raw

    def predict_log_proba(self, X):
        """Logarithms of the probabilities.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        logs : ndarray of shape (n, K)
        """
        raw = self._outputs(X)
        if self.loss != "log_loss" or len(self.classes_) == 1:
            with np.errstate(divide="ignore"):
                return np.log(self.predict_proba(X))
        if self._kind == "multiclass":
            lowered = raw - raw.max(axis=1, keepdims=True)
            return lowered - np.log(np.exp(lowered).sum(axis=1, keepdims=True))
        zero = raw.dtype.type(0.0)
        on = -np.logaddexp(-raw, zero)
        return (
            np.concatenate([-np.logaddexp(raw, zero), on], axis=1) if self._kind == "binary" else on
        )

    def _probabilities(self, X):
        raw = self._outputs(X)
        return self._loss.predict(raw)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def is_indicator(y):
    """Whether y says of several labels which each row has."""
    shape = getattr(y, "shape", None)
    if shape is None:
        shape = np.shape(np.asarray(y, dtype=object)) if isinstance(y, list | tuple) else ()
    return len(shape) == 2 and shape[1] > 1 and type_of_target(y) == "multilabel-indicator"


def decide(share, kind):
    """Class numbers (n, 1), or zeros and ones (n, m), from probabilities."""
    if kind == "multiclass" or (kind == "binary" and share.shape[1] == 2):
        return share.argmax(axis=1)[:, None]
    return share > 0.5

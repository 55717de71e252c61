"""A network that encodes rows in few numbers and decodes them again.

    code = enc(x + noise),   minimize  (1 / S) [ sum_i s_i loss(dec(code_i), x_i) + penalty(W) ]

With identity activations and squared errors the minimum is that of principal components: the
decoder spans their space (Baldi and Hornik 1989). Corrupted input teaches the network where rows
lie (Vincent et al. 2008); rows that it restores badly are outliers.
"""

from math import ceil
from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skgen import kernels
from skgen.base import (
    Interval,
    OutlierMixin,
    StrOptions,
    admit,
    available_if,
    check_array,
    check_is_fitted,
    fit_context,
    thread_count,
)
from skgen.networks.activations import ACTIVATIONS
from skgen.networks.draws import BITS, key
from skgen.networks.losses import Binary, Squared
from skgen.networks.network import Layer, Network
from skgen.neural_network.batches import NetworkBatches, dense, entries
from skgen.neural_network.training import (
    SIZES,
    NetworkEstimator,
    outputs,
    trains_by_batches,
)
from skgen.rows import BLOCK_ELEMENTS, BLOCK_WORK, Rows
from skgen.solvers.update_rules import RULES

# Scores that differ by a smaller share of themselves are those of equal rows.
EQUAL = {4: 1e-7, 8: 1e-9}
LOSSES = {"squared_error": Squared, "cross_entropy": Binary}


class Autoencoder(OutlierMixin, NetworkEstimator):
    r"""Autoencoder: a code of few numbers for every row, and back.

    Minimizes the weighted mean over rows of the loss of their reconstruction, added up over
    columns, plus ``alpha * ((1 - l1_ratio) / 2 * |W|^2 + l1_ratio * |W|_1)`` divided by the weight
    of the rows.

    Parameters
    ----------
    n_components : int, default=2
        Numbers of the code.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of the layers before the code; the layers after it mirror them. ``()`` for none.
    code_activation : str, default="identity"
        Of the code, one of those of `activation`; not "maxout".
    loss : {"squared_error", "cross_entropy"}, default="squared_error"
        Half the squared error; or cross-entropy, for X in [0, 1] and reconstructions in (0, 1).
    tied : bool, default=False
        Whether the weights after the code are those before it, transposed. Updates then run in
        NumPy.
    noise : {"gaussian", "masking"} or None, default=None
        What is done to the rows that enter, anew in every epoch: normal numbers of standard
        deviation `noise_level` are added, or a share `noise_level` of the cells is set to 0. Not
        for ``solver="lbfgs"``.
    noise_level : float, default=0.1
        In units of X, or in [0, 1) for "masking".
    contamination : float in (0, 0.5], default=0.1
        Share of the training rows that `predict` takes for outliers.
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
    n_jobs : int or None, default=None
        Threads, None for all cores; the result does not depend on it.

    Attributes
    ----------
    offset_ : float
        The score below which a row is an outlier.
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
        If X, weights or parameters are not what they should be, or training diverges.

    See Also
    --------
    skgen.decomposition.PCA : the best linear code.

    References
    ----------
    Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, Science 313,
    2006. Vincent et al., Extracting and composing robust features with denoising autoencoders, ICML
    2008. Baldi and Hornik, Neural Networks 2, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.neural_network import Autoencoder
    >>> X = np.outer(np.linspace(-1, 1, 50), [1.0, 2.0, -1.0])
    >>> encoder = Autoencoder(1, hidden_layer_sizes=(), solver="lbfgs", alpha=0.0, random_state=0)
    >>> bool(np.allclose(encoder.fit(X).inverse_transform(encoder.transform(X)), X, atol=1e-3))
    True
    """

    _parameter_constraints = NetworkEstimator._parameter_constraints | {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": SIZES,
        "code_activation": [StrOptions(set(ACTIVATIONS) - {"maxout", "prelu"})],
        "loss": [StrOptions(set(LOSSES))],
        "tied": ["boolean"],
        "noise": [StrOptions({"gaussian", "masking"}), None],
        "noise_level": [Interval(Real, 0, None, closed="left")],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
    }

    def __init__(
        self,
        n_components=2,
        *,
        hidden_layer_sizes=(100,),
        activation="relu",
        code_activation="identity",
        loss="squared_error",
        tied=False,
        noise=None,
        noise_level=0.1,
        contamination=0.1,
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
        n_jobs=None,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.loss = loss
        self.tied = tied
        self.noise = noise
        self.noise_level = noise_level
        self.contamination = contamination
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
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None, X_val=None):
        """Train from the beginning, or with `warm_start` from the last weights.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None
            Rows of weight 0 count as absent.
        X_val : as X, default=None
            Rows to watch and to stop early by, in place of a share of X; not for
            ``solver="lbfgs"``.

        Returns
        -------
        self : Autoencoder
        """
        return self._fit(X, None, sample_weight, X_val, None)

    @available_if(trains_by_batches)
    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch over these rows, from where training stands.

        The memory of the update rule, the schedule and the random numbers go on: calls with the
        same rows give the bits of as many epochs of `fit` without early stopping. `offset_` is
        that of the rows of the last call.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : Autoencoder
        """
        return self._partial_fit(X, None, sample_weight)

    def transform(self, X):
        """The codes of rows.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        codes : ndarray of shape (n, n_components)
        """
        check_is_fitted(self, "coefs_")
        return self._outputs(X, len(self._layers) // 2)

    def inverse_transform(self, X):
        """The rows that codes stand for.

        Parameters
        ----------
        X : array of shape (n, n_components)
            Codes.

        Returns
        -------
        rows : ndarray of shape (n, d)
            In (0, 1) for ``loss="cross_entropy"``.
        """
        check_is_fitted(self, "coefs_")
        codes = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        depth = len(self._layers) // 2
        if codes.shape[1] != self._layers[depth].n_in:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but codes have {self._layers[depth].n_in}"
            )
        raw = outputs(self._layers[depth:], self._parts()[depth:], codes, self.n_jobs)
        return self._loss.predict(raw)

    def score_samples(self, X):
        """Minus the loss of the reconstruction of every row.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        scores : float64 ndarray of shape (n,)
        """
        check_is_fitted(self, "coefs_")
        rows = admit(self, X, reset=False, accept_sparse=True, n_threads=thread_count(self.n_jobs))
        if self.loss == "cross_entropy":
            require_chances(rows.X, "X")
        return row_scores(rows, self._layers, self._parts(), self._loss)

    def decision_function(self, X):
        """Scores above `offset_`: negative for outliers.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        decisions : float64 ndarray of shape (n,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """1 for rows like those of the fit, -1 for outliers.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        signs : int ndarray of shape (n,)
        """
        return np.where(self.decision_function(X) < 0.0, -1, 1)

    def score(self, X, y=None):
        """The mean of `score_samples`.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored

        Returns
        -------
        score : float
        """
        with np.errstate(over="ignore"):
            return float(self.score_samples(X).mean())

    @property
    def _n_features_out(self):
        return self._layers[len(self._layers) // 2].n_in

    def _admit(self, X, y, sample_weight, reset):
        rows = admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            accept_sparse=True,
        )
        if self.loss == "cross_entropy":
            require_chances(rows.X, "X")
        if self.noise == "gaussian" and sparse.issparse(rows.X):
            raise ValueError(
                "noise='gaussian' would fill the empty cells of a sparse X; use noise='masking'"
            )
        return in_dense_blocks(rows.with_target(rows.X)), None

    def _admit_held_out(self, X_val, y_val, fit):
        rows = admit(self, X_val, reset=False, n_threads=fit.rows.n_threads, accept_sparse=True)
        if self.loss == "cross_entropy":
            require_chances(rows.X, "X_val")
        return rows.with_target(rows.X)

    def _require_both(self, X_val, y_val):
        """There is no y to go with X_val."""

    def _network(self, rows, known):
        if self.tied and self.activation == "maxout":
            raise ValueError(
                "tied=True needs as many sums as units; activation='maxout' has several per unit"
            )
        if self.noise is not None and self.solver == "lbfgs":
            raise ValueError(
                f"noise={self.noise!r} is drawn anew in every epoch, which solver='lbfgs' does not"
                f" know; choose one of {', '.join(RULES)}, or noise=None"
            )
        if self.noise == "masking" and self.noise_level >= 1.0:
            raise ValueError(
                f"noise_level={self.noise_level!r} must be in [0, 1) for noise='masking'"
            )
        d, sizes = rows.n_features, self._sizes(self.hidden_layer_sizes)
        hidden = self._hidden_layers(d, [*sizes, *sizes[::-1]])
        before, after = hidden[: len(sizes)], [layer.n_units for layer in hidden[len(sizes) :]]
        n_in = sizes[-1] if sizes else d
        self._sizes(self.n_components, "n_components")
        layers = [*before, Layer(n_in, self.n_components, ACTIVATIONS[self.code_activation]())]
        n_in = self.n_components
        for layer, n_units in zip(hidden[len(sizes) :], after, strict=True):
            layers.append(Layer(n_in, n_units, layer.activation, layer.batch_norm, layer.dropout))
            n_in = n_units
        layers.append(Layer(n_in, d))
        if self.tied:
            layers = tie(layers)
        return Network(layers, LOSSES[self.loss](), **self._penalties())

    def _shares(self, n_hidden):
        """The shares before the code; those after it mirror them."""
        shares = super()._shares(n_hidden // 2)
        return [*shares, *shares[::-1]]

    def _problem(self, rows, network, seed):
        if self.noise is None:
            return NetworkBatches(rows, network, seed)
        return CorruptedBatches(rows, network, seed, self.noise, self.noise_level)

    def _answers(self, fit, parts):
        scores = row_scores(fit.rows, fit.network.layers, parts, fit.network.loss)
        equal = EQUAL[fit.rows.dtype.itemsize]
        return {"offset_": quantile(scores, fit.rows.weight, self.contamination, equal)}

    def _watch(self, fit, w, held_out):
        network = fit.network
        scores = row_scores(held_out, network.layers, network.parts(w), network.loss)
        score = float(np.average(scores, weights=held_out.weight))
        return -score, score


class CorruptedBatches(NetworkBatches):
    """Batches whose rows are corrupted anew in every epoch; targets stay as they are.

    The noise of an epoch depends on `seed` and its number alone.
    """

    def __init__(self, rows, network, seed, noise, level):
        super().__init__(rows, network, seed)
        self.noise, self.level = noise, level

    def renew(self, epoch):
        X = self.X = self.rows.X.copy()
        if self.noise == "masking":
            self.mask(X, int(key(self.seed, epoch, -1)[0]), ceil(self.level * 2**BITS))
            return
        rng = np.random.default_rng([self.seed, epoch])
        used = slice(None) if self.used is None else self.used
        X[used] += self.level * rng.standard_normal((self.n_rows, X.shape[1]), dtype=X.dtype)

    def mask(self, X, key, threshold):
        """Set cells of X to zero; which depends on their places alone, stored or not."""
        numbers = np.arange(self.rows.n_rows)
        if self.used is not None:
            # Rows of weight zero count as absent.
            numbers[:] = -1
            numbers[self.used] = np.arange(self.n_rows)
        if sparse.issparse(X):
            kernels.network.mask_stored(*entries(X), numbers, X.shape[1], key, threshold)
        else:
            kernels.network.mask_cells(X, numbers, key, threshold)


def quantile(scores, weight, share, equal):
    """A score that about a share of the rows, by weight, lies below.

    It lies halfway between two rows, so that rounding moves none across.
    """
    weight = np.ones(len(scores)) if weight is None else weight
    scores, weight = scores[weight > 0.0], weight[weight > 0.0]
    order = np.argsort(scores, kind="stable")
    scores, below = scores[order], np.cumsum(weight[order])
    first = scores[min(np.searchsorted(below, share * below[-1], side="right"), len(scores) - 1)]
    lower = scores[scores < first - equal * abs(first)]
    return float(0.5 * (lower[-1] + first)) if len(lower) else float(first)


def tie(layers):
    """The same layers, the later half with the weights of the earlier, transposed."""
    last = len(layers) - 1
    tied = [
        Layer(one.n_in, one.n_units, one.activation, one.batch_norm, one.dropout, last - number)
        for number, one in enumerate(layers)
        if number > last // 2
    ]
    return [*layers[: len(layers) - len(tied)], *tied]


def require_chances(X, name):
    """Raise where X has cells outside of [0, 1]."""
    values = X.data if sparse.issparse(X) else X
    if values.size and (values.min() < 0.0 or values.max() > 1.0):
        raise ValueError(
            f"loss='cross_entropy' needs {name} in [0, 1], got values from {values.min():g} to"
            f" {values.max():g}; scale {name} (MinMaxScaler) or use loss='squared_error'"
        )


def in_dense_blocks(rows):
    """The same rows, in blocks that are small as arrays too: so they are targets."""
    if not sparse.issparse(rows.X):
        return rows
    work = rows.n_features * (BLOCK_WORK / BLOCK_ELEMENTS)
    return Rows(rows.X, rows.weight, rows.target, n_threads=rows.n_threads, row_work=work)


def row_scores(rows, layers, parts, loss):
    """Minus the loss of every row."""
    params = layers, parts, loss
    return in_dense_blocks(rows).map(_scores, params, np.empty(rows.n_rows))


def _scores(block, params):
    layers, parts, loss = params
    with np.errstate(over="ignore", invalid="ignore"):
        losses = loss.rows(outputs(layers, parts, block.X, 1), dense(block.X))
    # What overflows is infinitely far.
    return -np.where(np.isnan(losses), np.inf, losses)

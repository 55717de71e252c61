"""One multilayer perceptron with several answers: classes and numbers that share hidden layers.

    minimize  (1 / S) [ sum_i s_i sum_t weight_t loss_t(raw_it, y_it) + penalty(W) ]

The outputs of task t are a slice of the last layer's; an answer that is not known (NaN, None, or -1
among integer classes) costs nothing. Caruana (1997).
"""

from numbers import Real

import numpy as np

from skgen.base import (
    StrOptions,
    admit,
    check_consistent_length,
    check_partial_labels,
    thread_count,
)
from skgen.labels import encode_labels, find_missing
from skgen.networks.losses import (
    Absolute,
    Binary,
    Categorical,
    Gaussian,
    Huber,
    Poisson,
    Quantile,
    Squared,
    tasks_of,
)
from skgen.networks.network import Layer, Network
from skgen.neural_network.mlp_regressor import determination
from skgen.neural_network.training import SIZES, NetworkEstimator

NUMBERS = {
    "squared_error": Squared(),
    "absolute_error": Absolute(),
    "huber": Huber(),
    "quantile": Quantile(),
    "poisson": Poisson(),
    "gaussian": Gaussian(),
}


class MLPMultiTask(NetworkEstimator):
    r"""Multilayer perceptron for several columns of mixed kinds: classes and numbers.

    Minimizes the weighted mean over rows of the sum of the tasks' losses, each times its weight,
    plus ``alpha * ((1 - l1_ratio) / 2 * |W|^2 + l1_ratio * |W|_1)`` divided by the weight of the
    rows.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of the hidden layers, which all tasks share.
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
    tasks : "auto" or sequence of str, default="auto"
        The loss of every column of y: "log_loss" for classes; "squared_error", "absolute_error",
        "huber", "quantile", "poisson" or "gaussian" for numbers, with the defaults of
        `MLPRegressor`. "auto" takes "squared_error" for columns of floats that are not all whole,
        else "log_loss".
    task_weights : sequence of float or None, default=None
        Multiplies the losses; None for ones.
    n_jobs : int or None, default=None
        Threads, None for all cores; the result does not depend on it.

    Attributes
    ----------
    tasks_ : list of str
        The loss of every column.
    classes_ : list of ndarray or None
        The classes of every column, None for numbers.
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

    See Also
    --------
    MLPClassifier, MLPRegressor

    References
    ----------
    Caruana, Multitask learning, Machine Learning 28, 1997. Rumelhart, Hinton
    and Williams, Learning representations by back-propagating errors, Nature 323, 1986. Glorot and
    Bengio, AISTATS 2010. He et al., ICCV 2015. Srivastava et al., Dropout, JMLR 15, 2014. Ioffe
    and Szegedy, Batch normalization, ICML 2015. Kingma and Ba, Adam, ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.neural_network import MLPMultiTask
    >>> X = np.linspace(-1.0, 1.0, 40)[:, None]
    >>> y = np.column_stack([X[:, 0] > 0, 0.5 * X[:, 0]])
    >>> tasks = ["log_loss", "squared_error"]
    >>> network = MLPMultiTask((8,), solver="lbfgs", tasks=tasks, tol=0.01, random_state=0)
    >>> network.fit(X, y).predict([[0.6]]).round(1).tolist()
    [[1.0, 0.3]]
    """

    _parameter_constraints = NetworkEstimator._parameter_constraints | {
        "hidden_layer_sizes": SIZES,
        "tasks": ["array-like", StrOptions({"auto"})],
        "task_weights": ["array-like", None],
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
        tasks="auto",
        task_weights=None,
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
        self.tasks = tasks
        self.task_weights = task_weights
        self.n_jobs = n_jobs

    def _admit(self, X, y, sample_weight, reset):
        columns = columns_of(y)
        rows = admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            accept_sparse=True,
            labels=(),
        )
        check_consistent_length(rows.X, columns[0])
        names = self._names(columns) if reset else self.tasks_
        if len(names) != len(columns):
            raise ValueError(
                f"y has {len(columns)} columns, but there are {len(names)} tasks: {names}"
            )
        known = [None] * len(columns) if reset else self.classes_
        answers = [
            Answer.read(column, name, number, classes, rows.dtype)
            for number, (column, name, classes) in enumerate(
                zip(columns, names, known, strict=True)
            )
        ]
        return with_codes(rows, answers), answers

    def _names(self, columns):
        """The loss of every column."""
        if isinstance(self.tasks, str):
            return [kind_of(column) for column in columns]
        names = list(self.tasks)
        unknown = [name for name in names if name not in {"log_loss", *NUMBERS}]
        if unknown:
            raise ValueError(
                f"tasks names {unknown}; each must be 'log_loss' or one of {list(NUMBERS)}"
            )
        return names

    def _weights(self, n_tasks):
        if self.task_weights is None:
            return [1.0] * n_tasks
        weights = np.asarray(self.task_weights, dtype=object).ravel().tolist()
        sound = all(isinstance(weight, Real) and 0 <= weight < np.inf for weight in weights)
        if len(weights) != n_tasks or not sound:
            raise ValueError(
                f"task_weights={self.task_weights!r} must be {n_tasks} finite numbers of at"
                f" least 0, one"
                " for each column of y"
            )
        return [float(weight) for weight in weights]

    def _admit_held_out(self, X_val, y_val, fit):
        columns = columns_of(y_val)
        if len(columns) != len(fit.known):
            raise ValueError(f"y_val has {len(columns)} columns, y has {len(fit.known)}")
        rows = admit(self, X_val, reset=False, n_threads=fit.rows.n_threads, accept_sparse=True)
        check_consistent_length(rows.X, columns[0])
        answers = [
            Answer.read(column, answer.name, number, answer.classes, rows.dtype)
            for number, (column, answer) in enumerate(zip(columns, fit.known, strict=True))
        ]
        return with_codes(rows, answers)

    def _network(self, rows, known):
        sizes = [answer.size for answer in known]
        loss = tasks_of([answer.loss for answer in known], sizes, self._weights(len(known)))
        layers = self._hidden_layers(rows.n_features, self.hidden_layer_sizes)
        n_in = layers[-1].n_units if layers else rows.n_features
        return Network(
            [*layers, Layer(n_in, loss.heads[-1].outputs.stop)], loss, **self._penalties()
        )

    def _answers(self, fit, parts):
        return {
            "classes_": [answer.classes for answer in fit.known],
            "tasks_": [answer.name for answer in fit.known],
        }

    def _score(self, fit, raw, rows):
        return task_score(fit.known, fit.network.loss.predict(raw), rows.target, rows.weight)

    def predict(self, X):
        """The answers of all tasks.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        y : ndarray of shape (n, tasks)
            Floats; objects where some classes are no numbers.
        """
        columns = [
            values[:, 0] if classes is None else classes.take(decided(values), mode="clip")
            for values, classes in zip(self._predictions(X), self.classes_, strict=True)
        ]
        numbers = all(column.dtype.kind in "fiub" for column in columns)
        out = np.empty((len(columns[0]), len(columns)), dtype=np.float64 if numbers else object)
        for number, column in enumerate(columns):
            out[:, number] = column
        return out

    def predict_probabilities(self, X):
        """Probabilities of the classes of every task.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        probabilities : list of ndarray of shape (n, K), or None where a task predicts numbers
        """
        answers = []
        for values, classes in zip(self._predictions(X), self.classes_, strict=True):
            if classes is None:
                answers.append(None)
            elif values.shape[1] == 1:
                answers.append(np.concatenate([1.0 - values, values], axis=1))
            else:
                answers.append(values)
        return answers

    def score(self, X, y, sample_weight=None):
        """The mean over tasks of accuracy or R^2, over the rows whose answer is known.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n, tasks)
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float
        """
        predictions = self._predictions(X)
        columns = columns_of(y)
        if len(columns) != len(self.tasks_):
            raise ValueError(
                f"y has {len(columns)} columns, but there are {len(self.tasks_)} tasks"
            )
        answers = [
            Answer.read(column, name, number, self.classes_[number], np.dtype(np.float64), new=True)
            for number, (column, name) in enumerate(zip(columns, self.tasks_, strict=True))
        ]
        target = np.column_stack([answer.codes for answer in answers])
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        check_consistent_length(predictions[0], target, weight)
        return task_score(answers, predictions, target, weight)

    def _predictions(self, X):
        raw = self._outputs(X)
        return self._loss.predict(raw)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


class Answer:
    """One column of y: its loss, its classes if any, and codes (n,), NaN or -1 where unknown."""

    def __init__(self, name, classes, codes):
        self.name, self.classes, self.codes = name, classes, codes

    @property
    def size(self):
        """Outputs that the loss is asked for."""
        return 1 if self.classes is None or len(self.classes) <= 2 else len(self.classes)

    @property
    def loss(self):
        if self.classes is None:
            return NUMBERS[self.name]
        return Binary() if self.size == 1 else Categorical()

    @classmethod
    def read(cls, column, name, number, classes, dtype, new=False):
        """Codes of a column, with `new` -2 for classes that were not there before.

        Otherwise these are refused.
        """
        if name != "log_loss":
            missing = find_missing(column)
            return cls(name, None, numbers_of(column, missing, name, number, dtype))
        try:
            column, missing = check_partial_labels(column, classes)
        except ValueError as error:
            raise ValueError(f"column {number} of y holds no classes: {error}") from error
        if missing.all():
            raise ValueError(f"y labels none of its rows in column {number}; a task needs some")
        found, codes = encode_labels(column[~missing])
        classes = found if classes is None else classes
        place = np.minimum(np.searchsorted(classes, found), len(classes) - 1)
        strange = classes[place] != found
        if strange.any() and not new:
            raise ValueError(
                f"column {number} of y has classes {found[strange].tolist()[:5]} that were not"
                f" there"
                f" before: {classes.tolist()[:10]}"
            )
        out = np.full(len(column), -1.0 if len(classes) > 2 else np.nan, dtype=dtype)
        out[~missing] = np.where(strange, -2, place)[codes]
        return cls(name, classes, out)


def with_codes(rows, answers):
    """Rows whose target holds the codes of all answers."""
    return rows.with_target(np.column_stack([answer.codes for answer in answers]))


def numbers_of(column, missing, name, number, dtype):
    """A column of numbers, NaN where unknown."""
    values = np.full(len(column), np.nan, dtype=dtype)
    try:
        with np.errstate(over="ignore"):
            values[~missing] = column[~missing].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"column {number} of y must be numbers for loss {name!r}: {error}"
        ) from None
    if np.isinf(values).any():
        raise ValueError(f"column {number} of y contains infinity or a value too large for {dtype}")
    if np.isnan(values).all():
        raise ValueError(f"column {number} of y has no number; a task needs some")
    if name == "poisson" and (values < 0.0).any():
        raise ValueError(f"column {number} of y must be at least 0 for loss 'poisson'")
    return values


def columns_of(y):
    """The columns of y as arrays with dtypes of their own."""
    if y is None:
        raise ValueError("MLPMultiTask requires y to be passed, but the target y is None")
    if hasattr(y, "columns") and hasattr(y, "__getitem__"):
        columns = [np.asarray(y[name]) for name in y.columns]
    else:
        values = np.asarray(y)
        if values.dtype.kind in "US":
            # Rows of mixed kinds became strings.
            values = np.asarray(y, dtype=object)
        if values.ndim == 1:
            values = values[:, None]
        if values.ndim != 2 or values.shape[1] == 0:
            raise ValueError(f"y must have shape (n, tasks), got {values.shape}")
        columns = list(values.T)
    return [plain(np.ascontiguousarray(column)) for column in columns]


def plain(column):
    """A column of objects as numbers where it holds nothing else."""
    if column.dtype.kind == "f" and np.isinf(column).any():
        raise ValueError("Input y contains infinity; NaN marks what is not known")
    if column.dtype.kind == "c":
        raise ValueError("Complex data not supported: y must hold classes or real numbers")
    if column.dtype.kind != "O" or find_missing(column).any():
        return column
    known = np.asarray(column.tolist())
    return known if known.dtype.kind in "iufb" else column


def kind_of(column):
    """What "auto" takes a column for."""
    known = column[~find_missing(column)]
    if column.dtype.kind == "O":
        known = np.asarray(known.tolist())
    numbers = known.dtype.kind == "f" and (known != np.floor(known)).any()
    return "squared_error" if numbers else "log_loss"


def decided(values):
    """Class numbers (n,) of probabilities."""
    return (values[:, 0] > 0.5).astype(np.intp) if values.shape[1] == 1 else values.argmax(axis=1)


def task_score(answers, predictions, target, weight):
    """The mean over tasks of accuracy or R^2; tasks without a known row are left out."""
    scores = []
    for answer, values, column in zip(answers, predictions, target.T, strict=True):
        known = ~np.isnan(column)
        if answer.classes is not None:
            known &= column != -1
        if not known.any():
            continue
        share = None if weight is None else weight[known]
        if answer.classes is None:
            scores.append(determination(column[known, None], values[known, :1], share))
        else:
            right = decided(values[known]) == column[known]
            scores.append(float(np.average(right, weights=share)))
    return float(np.mean(scores)) if scores else float("nan")

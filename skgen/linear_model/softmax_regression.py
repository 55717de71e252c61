"""Softmax regression: one weight vector per class, trained by full passes or minibatches.

    P(k | x) = exp(raw_k / T) / sum_j exp(raw_j / T),        raw = W x + b

    minimize  C sum_i s_i (-log P(y_i | x_i)) + (1 - l1_ratio) |W|_2^2 / 2 + l1_ratio |W|_1

The temperature T is the base e^(1/T) of the exponential. Writing W = T U turns the problem into
the one with T = 1 and strengths T^2 (squared) and T (absolute), so a low temperature is a weak
penalty followed by short weights; as T goes to 0, T times the loss goes to max_k raw_k - raw_y,
the loss of the multiclass perceptron. Bishop (2006), section 4.3.4.
"""

from numbers import Integral, Real

import numpy as np
from numpy.random import RandomState

from skgen.base import (
    UNWATCHED,
    Estimator,
    FitTask,
    Interval,
    StrOptions,
    admit_labeled,
    admit_new,
    announce,
    check_is_fitted,
    check_random_state,
    fit_context,
    one_blas_thread,
    require_finite,
    thread_count,
    warn_convergence,
)
from skgen.linear_model.decision import LinearClassifier, linear_scores
from skgen.linear_model.fitting import (
    NO_OPTIMUM,
    SEPARATED,
    LinearFit,
    LinearProblem,
    penalty_strength,
)
from skgen.linear_model.softmax_batches import SoftmaxBatches, accuracy, some_rows
from skgen.losses import SoftmaxLoss
from skgen.solvers.holdout import hold_out
from skgen.solvers.monitor import DescentMonitor
from skgen.solvers.schedules import SCHEDULES
from skgen.solvers.sgd import EpochMonitor, Training, sgd
from skgen.solvers.update_rules import RULES, named
from skgen.statistics import column_moments

AUTO_BATCH = 200
# What partial_fit trains with where the solver is no update rule.
DEFAULT_RULE = "adam"


class SoftmaxRegression(LinearClassifier, Estimator):
    """Multinomial logistic regression with one weight vector per class, also for two.

    Minimizes ``C sum_i s_i loss_i + (1 - l1_ratio) |W|^2 / 2 + l1_ratio |W|_1``, where
    ``loss_i`` is minus the log of the probability ``softmax(raw_i / temperature)`` of the true
    class.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty; ``np.inf`` for none.
    l1_ratio : float, default=0.0
        Share of the absolute penalty, in [0, 1]. Minibatch solvers apply it as a proximal map
        after each step; noise of the batches may leave fewer zeros than the optimum has.
    temperature : float in [1e-9, 1e9], default=1.0
        Divides the scores before the softmax: below 1 sharpens decisions. A fit at temperature T
        gives T times the weights of a fit at 1 with ``C / T^2`` (for the squared penalty).
    fit_intercept : bool, default=True
        Intercepts are never penalized.
    class_weight : dict {class: weight}, "balanced" or None, default=None
    solver : {"auto", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"}
        "auto" finds the optimum by full passes, as `LogisticRegression`; the others are update
        rules for minibatches, see `skgen.solvers.update_rules` for their formulas.
    tol : float, default=1e-4
        With "auto" the largest slope at which to stop, else the least improvement of the mean
        training loss (or validation score) that counts.
    max_iter : int, default=100
        Iterations over all rows; epochs.
    learning_rate : {"constant", "invscaling", "inverse", "step", "cosine", "adaptive"}
        How the rate e falls with the updates t and epochs s, both from 0: e;
        ``e / (t + 1)^power_t``; ``e / (1 + decay_rate t)``;
        ``e step_factor^floor(s / step_size)``; half a cosine over `max_iter` epochs; e divided
        by 5 whenever `n_iter_no_change` epochs brought no improvement, down to 1e-6.
    learning_rate_init : float, default=0.01
        The rate e.
    power_t : float, default=0.5
    decay_rate : float, default=0.01
    step_size : int, default=10
        Epochs.
    step_factor : float, default=0.1
    batch_size : int or "auto", default="auto"
        Rows of a minibatch; "auto" is min(200, n).
    shuffle : bool, default=True
        Whether every epoch takes the rows in a new random order.
    momentum : float, default=0.9
        Of "momentum" and "nesterov", in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Forgetting of "adam" and "adamw".
    rho : float, default=0.9
        Forgetting of "rmsprop".
    epsilon : float, default=1e-8
        Added to roots of squared gradients.
    weight_decay : float, default=0.01
        Of "adamw": weights shrink by ``1 - rate * weight_decay`` before each step, besides the
        penalty that `C` says.
    clip_norm : float or None, default=None
        Gradients longer than this Euclidean norm are shortened to it.
    early_stopping : bool, default=False
        Hold out rows, stop when their accuracy rests, and restore the weights that were best.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=10
        Epochs without improvement by `tol` after which minibatch training stops.
    warm_start : bool, default=False
        Start from the last weights; memories of update rules start anew.
    random_state : int, RandomState or None, default=None
        Order of rows and choice of the held-out ones.
    verbose : int, default=0
        Log every iteration (logger "skgen").
    n_jobs : int, default=None
        Threads, None for all cores; the result does not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    coef_ : ndarray of shape (K, d)
    intercept_ : ndarray of shape (K,)
    n_iter_ : int
        Iterations or epochs.
    n_steps_ : int or None
        Minibatch updates behind the weights.
    objective_history_, loss_curve_ : list of float
        Mean loss plus penalty / (C sum_i s_i). "auto": after every iteration, never rising;
        minibatches: mean over the batches of each epoch, at the weights each of them met.
    validation_scores_ : list of float, or None
        Accuracy on held-out rows after every epoch.
    best_validation_score_ : float, or None
    gradient_norm_ : float, or None after partial_fit
        Largest slope of the objective over all training rows by ``coef_ / temperature`` and
        intercepts, per unit of a column or per its standard deviation where that is more and the
        solver is "auto".
    converged_ : bool
    stop_reason_ : str
    n_features_in_, feature_names_in_

    Raises
    ------
    ValueError
        If X, y or weights are not what they should be, y has one class, or training diverges (the
        message names `learning_rate_init`).

    Notes
    -----
    Minibatch rules see columns as they are: scale them to about one first. "auto" does not need
    that. A weight of 2 counts as the row twice exactly with "auto" or where a batch holds all
    rows; in smaller batches such a row has twice the gradient of others, which is the same in
    the mean. Rows of weight 0 count as absent.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning, 2006, section 4.3.4. Bottou, Curtis and
    Nocedal, Optimization methods for large-scale machine learning, SIAM Review 60, 2018.

    Examples
    --------
    >>> from skgen.linear_model import SoftmaxRegression
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 0, 1, 1, 2, 2]
    >>> SoftmaxRegression(C=100).fit(X, y).predict([[-1.0], [2.5], [9.0]]).tolist()
    [0, 1, 2]
    """

    _parameter_constraints = {
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "temperature": [Interval(Real, 1e-9, 1e9, closed="both")],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [StrOptions({"auto", *RULES})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "decay_rate": [Interval(Real, 0, None, closed="left")],
        "step_size": [Interval(Integral, 1, None, closed="left")],
        "step_factor": [Interval(Real, 0, 1, closed="right")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        *,
        C=1.0,
        l1_ratio=0.0,
        temperature=1.0,
        fit_intercept=True,
        class_weight=None,
        solver="auto",
        tol=1e-4,
        max_iter=100,
        learning_rate="constant",
        learning_rate_init=0.01,
        power_t=0.5,
        decay_rate=0.01,
        step_size=10,
        step_factor=0.1,
        batch_size="auto",
        shuffle=True,
        momentum=0.9,
        beta_1=0.9,
        beta_2=0.999,
        rho=0.9,
        epsilon=1e-8,
        weight_decay=0.01,
        clip_norm=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        random_state=None,
        verbose=0,
        n_jobs=None,
    ):
        self.C = C
        self.l1_ratio = l1_ratio
        self.temperature = temperature
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.decay_rate = decay_rate
        self.step_size = step_size
        self.step_factor = step_factor
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.momentum = momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.rho = rho
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Train from the beginning, or with `warm_start` from the last weights.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,)
            At least two classes.
        sample_weight : array of shape (n,), default=None
        X_val, y_val : as X and y, default=None
            Rows to stop early by, in place of a share of X; minibatch solvers only.

        Returns
        -------
        self : SoftmaxRegression
        """
        rows, classes = self._admit(X, y, sample_weight)
        if len(classes) < 2:
            raise ValueError(
                "SoftmaxRegression needs samples of at least 2 classes in the data, but the data"
                f" contains only one class: {classes[0]!r}"
            )
        start = self._last_parameters((len(classes), rows.n_features))
        task = FitTask(self, X, y, sample_weight, max_iter=self.max_iter)
        with one_blas_thread(rows), task.restart() as run:
            if self.solver == "auto":
                self._refuse_validation(X_val, y_val)
                self._fit_by_passes(rows, classes, start, run)
            else:
                random_state = check_random_state(self.random_state)
                rows, held_out = self._hold_out(rows, classes, X_val, y_val, random_state)
                self._fit_by_batches(rows, held_out, classes, start, random_state, run)
        task.end()
        return self

    @fit_context
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch over these rows, from where training stands.

        Memories of the update rule, schedule and random numbers go on: calls with the same rows
        give the bits of as many epochs of `fit` (without early stopping). ``solver="auto"``
        trains by Adam here. The penalty has the strength 1 / (C * weight of these rows): for data
        that come in m parts, multiply `C` by m.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,)
        classes : array of shape (K,), default=None
            All classes there will be; needed at the first call.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : SoftmaxRegression
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once; give partial_fit a dict of"
                " weights, computed from the whole data"
            )
        known = self._known_classes(classes)
        first = not hasattr(self, "classes_")
        rows, _ = self._admit(X, y, sample_weight, classes=known, reset=first)
        name = DEFAULT_RULE if self.solver == "auto" else self.solver
        with one_blas_thread(rows):
            problem = self._batches(rows, len(known))
            rule = self._rule(name, problem)
            if getattr(self, "_trained_by", None) == name:
                training, random_state = Training(**self._training).copy(), RandomState()
                random_state.set_state(self._random_state)
            else:
                training = Training.begin(self._packed(problem), rule)
                random_state = check_random_state(self.random_state)
            monitor = EpochMonitor(
                1, self.tol, self.n_iter_no_change, UNWATCHED, None, self._report()
            )
            self._train(problem, training, monitor, rule, random_state)
        self._set_trained(problem, training, known, random_state, name, rows.dtype)
        history = [] if first else self.objective_history_
        history.extend(monitor.history)
        self._set_story(history, training.n_epochs, False, "partial_fit takes one epoch a call")
        self.gradient_norm_ = None
        return self

    def _admit(self, X, y, sample_weight, **options):
        rows, classes = admit_labeled(
            self,
            X,
            y,
            sample_weight,
            class_weight=self.class_weight,
            n_threads=thread_count(self.n_jobs),
            accept_sparse=True,
            **options,
        )
        return rows, classes

    def _known_classes(self, classes):
        """The sorted classes of this and later calls of partial_fit."""
        if classes is None:
            if not hasattr(self, "classes_"):
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return self.classes_
        classes = np.unique(classes)
        if hasattr(self, "classes_") and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"`classes={classes.tolist()}` is not the same as on last call to partial_fit,"
                f" was: {self.classes_.tolist()}"
            )
        if len(classes) < 2:
            raise ValueError(f"classes must name at least 2 classes, got {classes.tolist()}")
        return classes

    def _refuse_validation(self, X_val, y_val):
        if self.early_stopping or X_val is not None or y_val is not None:
            raise ValueError(
                "solver='auto' goes to the optimum and cannot stop early; early_stopping, X_val"
                f" and y_val need one of {', '.join(RULES)}"
            )

    def _hold_out(self, rows, classes, X_val, y_val, random_state):
        """Training rows, and rows to stop early by or None."""
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together; give both or neither")
        if X_val is not None:
            held_out, _ = admit_labeled(
                self,
                X_val,
                y_val,
                reset=False,
                classes=classes,
                n_threads=rows.n_threads,
                accept_sparse=True,
            )
            return rows, held_out
        if not self.early_stopping:
            return rows, None
        used = np.arange(rows.n_rows) if rows.weight is None else np.flatnonzero(rows.weight)
        training, validation = hold_out(rows.target[used], self.validation_fraction, random_state)
        return some_rows(rows, used[training]), some_rows(rows, used[validation])

    def _fit_by_passes(self, rows, classes, start, run):
        """The optimum, by the solver that suits the shape."""
        T = self.temperature
        columns = column_moments(rows)
        require_finite(self, rows.X, columns.finite)
        problem = self._problem(len(classes), rows.weight_sum)
        fit = LinearFit(problem, rows, columns)

        def fitted(w):
            return parameters(*fit.parameters(T * w, rows.dtype), classes, rows.dtype)

        report = report_iteration if self.verbose else None
        monitor = DescentMonitor(self.max_iter, self.tol, run, fitted, report)
        inner = () if start is None else (start[0] / T, start[1] / T)
        solution = fit.solve(fit.start(*inner), monitor)
        separable = problem.unpenalized and fit.has_no_optimum(solution.params)
        self._set(fitted(solution.params))
        self._forget_training()
        self.gradient_norm_ = monitor.gradient_norms[-1] if monitor.gradient_norms else np.inf
        self._set_story(
            solution.history, solution.n_iter, solution.converged and not separable, solution.reason
        )
        if separable:
            self.stop_reason_ = SEPARATED
            warn_convergence(NO_OPTIMUM)
        else:
            self._warn_unconverged("Increase max_iter or tol.")

    def _problem(self, n_classes, weight):
        """What is minimized, over scores divided by the temperature."""
        T, strength = self.temperature, penalty_strength(self.C, weight)
        return LinearProblem(
            SoftmaxLoss(),
            n_classes,
            self.fit_intercept,
            l2=strength * (1.0 - self.l1_ratio) * T * T,
            l1=strength * self.l1_ratio * T,
        )

    def _fit_by_batches(self, rows, held_out, classes, start, random_state, run):
        """`max_iter` epochs of minibatches, or fewer."""
        problem = self._batches(rows, len(classes))
        rule = self._rule(self.solver, problem)
        training = Training.begin(self._packed(problem, start or (0.0, 0.0)), rule)
        monitor = EpochMonitor(
            self.max_iter,
            self.tol,
            self.n_iter_no_change,
            run,
            lambda w: parameters(*problem.parts(w), classes, rows.dtype),
            self._report(),
        )
        validate = None
        if held_out is not None:

            def validate(w):
                return accuracy(held_out, *problem.parts(w))

        solution = self._train(problem, training, monitor, rule, random_state, validate)
        self._set_trained(problem, training, classes, random_state, self.solver, rows.dtype)
        self._set_story(solution.history, solution.n_iter, solution.converged, solution.reason)
        self.gradient_norm_ = problem.gradient_norm(training.w)
        if held_out is not None:
            self.validation_scores_ = monitor.scores
            self.best_validation_score_ = max(monitor.scores)
        if held_out is None and solution.value > training.start:
            self.converged_ = False
            warn_convergence(
                f"The training loss ended at {solution.value:g}, above the {training.start:g} it"
                f" began with: learning_rate_init={self.learning_rate_init:g} is too large for"
                " these columns. Lower it, scale X or set clip_norm."
            )
        else:
            self._warn_unconverged("Increase max_iter or tol, or let the learning rate fall.")

    def _batches(self, rows, n_classes):
        strength = penalty_strength(self.C, rows.weight_sum)
        return SoftmaxBatches(
            rows,
            n_classes,
            self.fit_intercept,
            strength * (1.0 - self.l1_ratio),
            strength * self.l1_ratio,
            self.temperature,
        )

    def _rule(self, name, problem):
        decay = self.weight_decay * problem.penalized
        return named(RULES, name, vars(self) | {"weight_decay": decay})

    def _packed(self, problem, parts=None):
        """Flat parameters of `parts`, or of the last fit, or zeros."""
        if parts is None:
            parts = (0.0, 0.0)
            if hasattr(self, "coef_"):
                self.densify()
                parts = self.coef_, self.intercept_
        return problem.layout.pack(coef=parts[0], intercept=parts[1])

    def _train(self, problem, training, monitor, rule, random_state, validate=None):
        schedule = named(SCHEDULES, self.learning_rate, vars(self))
        batch = AUTO_BATCH if self.batch_size == "auto" else self.batch_size
        return sgd(
            problem,
            training,
            monitor,
            rule,
            schedule,
            min(batch, problem.n_rows),
            random_state if self.shuffle else None,
            self.clip_norm,
            validate,
        )

    def _report(self):
        return report_epoch if self.verbose else None

    def _set(self, attributes):
        for name, value in attributes.items():
            setattr(self, name, value)

    def _set_trained(self, problem, training, classes, random_state, name, dtype):
        """The parameters, and what a later partial_fit continues."""
        self._set(parameters(*problem.parts(training.w), classes, dtype))
        # Plain arrays and numbers, which any pickle may hold.
        self._training, self._random_state = vars(training), random_state.get_state()
        self._trained_by = name
        self.n_steps_ = training.n_updates

    def _forget_training(self):
        self._training = self._random_state = self._trained_by = self.n_steps_ = None

    def _set_story(self, history, n_iter, converged, reason):
        self.objective_history_ = self.loss_curve_ = history
        self.n_iter_, self.converged_, self.stop_reason_ = n_iter, bool(converged), reason
        self.validation_scores_ = self.best_validation_score_ = None

    def _warn_unconverged(self, advice):
        if not self.converged_ and "callback" not in self.stop_reason_:
            warn_convergence(
                f"solver={self.solver!r} failed to converge in {self.n_iter_} iterations:"
                f" {self.stop_reason_}; gradient norm {self.gradient_norm_:.2g}. {advice}"
            )

    def decision_function(self, X):
        """Scores of the classes, before the temperature.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        scores : ndarray of shape (n,) for two classes, else (n, K)
            For two classes the score of ``classes_[1]`` minus that of ``classes_[0]``.

        Raises
        ------
        ValueError
            If X does not have the features of the fit, or is not finite.
        """
        scores = super().decision_function(X)
        if scores.shape[1] > 2:
            return scores
        return lowered(scores, scores[:, :1])[:, 1]

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        probabilities : ndarray of shape (n, K)
            Rows sum to 1 however large the scores are.
        """
        return SoftmaxLoss().predict(self._exponents(X))

    def predict_log_proba(self, X):
        """Logarithms of the probabilities, exact where these underflow.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        logs : ndarray of shape (n, K)
        """
        return SoftmaxLoss().predict_log(self._exponents(X))

    def _exponents(self, X):
        """Scores over the temperature, the largest of each row zero."""
        check_is_fitted(self, "coef_")
        scores = linear_scores(admit_new(self, X, accept_sparse=True), self.coef_, self.intercept_)
        return lowered(scores, scores.max(axis=1, keepdims=True), self.temperature)


def lowered(scores, level, temperature=1.0):
    """(scores - level) / temperature within the range of floats."""
    limit = np.finfo(scores.dtype).max / 4
    with np.errstate(over="ignore"):
        return np.clip((scores - level) / scores.dtype.type(temperature), -limit, limit)


def parameters(coef, intercept, classes, dtype):
    """The fitted attributes that predictions read."""
    limit = np.finfo(dtype).max
    return {
        "classes_": classes,
        "coef_": np.clip(coef, -limit, limit).astype(dtype),
        "intercept_": np.clip(intercept, -limit, limit).astype(dtype),
    }


def report_iteration(iteration, value, gradient_norm):
    """What `verbose` shows of a full pass."""
    announce("Iteration %d, objective %.10g, gradient norm %.3g", iteration, value, gradient_norm)


def report_epoch(epoch, value, score):
    """What `verbose` shows of an epoch."""
    shown = "" if score is None else f", validation score {score:.6g}"
    announce("Epoch %d, loss %.10g%s", epoch, value, shown)

"""The perceptron: weights move towards every row that they get wrong, and not otherwise.

    where y (<w, x> + b) <= 0:    w += eta0 y x,    b += eta0 y        (y = +-1)

Rosenblatt (1958); Novikoff (1962) for the bound on mistakes; Freund and Schapire (1999) for
averages; Gallant (1990) for the pocket; Crammer and Singer (2003) for more than two classes.
"""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skgen.base import (
    Estimator,
    FitTask,
    Interval,
    StrOptions,
    admit_labeled,
    announce,
    check_random_state,
    class_factors,
    fit_context,
    one_blas_thread,
    split_stratified,
    thread_count,
    warn_convergence,
)
from skgen.linear_model.decision import LinearClassifier
from skgen.linear_model.epochs import Limits, Run, Training
from skgen.linear_model.learners import Judge, Learners, geometric_margin
from skgen.linear_model.visits import Rule, hold_out, plan
from skgen.rows import Rows

PENALTIES = {None: 0, "l2": 1, "l1": 2, "elasticnet": 2}


class Perceptron(LinearClassifier, Estimator):
    """Perceptron classifier.

    Parameters, attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    penalty : {"l2", "l1", "elasticnet"} or None, default=None
    alpha : float, default=0.0001
        Strength of the penalty.
    l1_ratio : float, default=0.15
        Share of the L1 part of "elasticnet".
    fit_intercept : bool, default=True
    max_iter : int, default=1000
        Epochs of `fit` at most.
    tol : float or None, default=1e-3
        Training ends when the mean loss of an epoch is not below the best one by `tol` for
        `n_iter_no_change` epochs. None: it ends after a pass without a mistake, when weights
        come back that were there before, or after `max_iter` epochs.
    shuffle : bool, default=True
        Whether rows come in a new order in every epoch. They are then a weighted multiset: the
        order of X does not matter, and weight 2 is the same as the row twice. False keeps the
        order of X, with scikit-learn's weights after every epoch.
    verbose : int, default=0
        1 logs every epoch to logger "skgen".
    eta0 : float, default=1.0
        Length of the steps.
    n_jobs : int, default=None
        Threads for one-vs-rest; None uses all cores available. The result does not depend on it.
    random_state : int, RandomState or None, default=0
        Shuffles the rows and draws the validation rows.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the rows and watch their accuracy instead of the loss.
    validation_fraction : float, default=0.1
    n_iter_no_change : int, default=5
    class_weight : dict, "balanced" or None, default=None
        Factors of the steps at rows of a class.
    warm_start : bool, default=False
        Start from the weights of the previous fit.
    average : bool or int, default=False
        Keep the mean of the weights over all visits to rows, or from that visit on.
    multi_class : {"ovr", "multinomial"}, default="ovr"
        One problem per class against the rest, or one for all: a mistake adds to the weights of
        the true class and subtracts from those of the best wrong one. Two classes are one
        problem either way.
    pocket : bool, default=False
        Keep the weights of the fewest weighted training errors (with `early_stopping`: of
        the rows held out). Not with `average`.

    Attributes
    ----------
    coef_ : ndarray of shape (1, d) for two classes, else (K, d), of X's dtype
    intercept_ : ndarray of shape (1,) or (K,), of X's dtype
    classes_ : ndarray of shape (K,)
    n_iter_ : int
        Epochs of the problem that took most.
    t_ : float
        ``1 + n_iter_ * n``, as scikit-learn counts.
    n_mistakes_ : int
        Mistakes in all epochs and problems.
    mistake_history_ : int64 ndarray of shape (epochs, 1), or (epochs, K) for one-vs-rest
        Mistakes per epoch and problem; -1 for a problem that had ended.
    objective_history_ : list of float
        Mean loss, and penalty, met in each epoch, summed over the problems.
    converged_ : bool
        Whether the last pass of every problem went without a mistake.
    stop_reason_ : str
    margin_ : float
        Least distance of a training row to a decision boundary where the weights separate all
        classes, else NaN.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    On CSR the intercept moves as it does on arrays; scikit-learn moves it a hundredth as far.

    References
    ----------
    Freund and Schapire (1999), "Large margin classification using the perceptron algorithm",
    Machine Learning 37.

    Examples
    --------
    >>> from skgen.linear_model import Perceptron
    >>> model = Perceptron(tol=None).fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1])
    >>> model.predict([[1, 1], [0, 1]]), model.stop_reason_
    (array([1, 0]), 'a pass over all rows without a mistake')
    """

    _parameter_constraints = {
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "verbose": ["verbose"],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "average": [Interval(Integral, 0, None, closed="neither"), "boolean"],
        "multi_class": [StrOptions({"ovr", "multinomial"})],
        "pocket": ["boolean"],
    }

    def __init__(
        self,
        *,
        penalty=None,
        alpha=0.0001,
        l1_ratio=0.15,
        fit_intercept=True,
        max_iter=1000,
        tol=1e-3,
        shuffle=True,
        verbose=0,
        eta0=1.0,
        n_jobs=None,
        random_state=0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        class_weight=None,
        warm_start=False,
        average=False,
        multi_class="ovr",
        pocket=False,
    ):
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.eta0 = eta0
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.multi_class = multi_class
        self.pocket = pocket

    @fit_context
    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        """Learn to tell the classes of the rows of X apart.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
            float32 stays float32; a C-ordered float array is not copied.
        y : array of shape (n,)
            Labels of any kind, of two classes or more.
        coef_init : array of the shape of ``coef_``, default=zeros
        intercept_init : array of the shape of ``intercept_``, default=zeros
        sample_weight : array of shape (n,), default=None
            Factors of the steps, times the class weights.

        Returns
        -------
        self : Perceptron

        Raises
        ------
        ValueError
            If there is one class only, a start has another shape, or numbers overflow.
        """
        rows, classes = self._admit(X, y, sample_weight, reset=True)
        rule = self._rule(rows, classes)
        coef, intercept = self._start(rule, rows.n_features, classes, coef_init, intercept_init)
        learners = Learners(coef, intercept, rule, bool(self.average))
        with one_blas_thread(rows):
            training = self._training(rows, rule)
            task = FitTask(self, X, y, sample_weight, max_iter=self.max_iter)
            with task.restart() as run:
                watch = Watch(run, classes, rows.dtype, self.verbose)
                story = Run(training, learners).train(watch)
            self._publish(learners, classes, rows.dtype)
            margin = self._margin(rows, rule, story)
        self.t_ = 1.0 + story.n_iter * rows.n_rows
        self._tell(story, margin)
        self._warn(story)
        task.end()
        return self

    @fit_context
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """One pass over more rows; rows in parts give what one pass over all gives.

        With ``shuffle=True`` that holds for the order that each part is shuffled into. A pocket
        is judged by the rows of the call. `mistake_history_` and `objective_history_` grow by
        one entry per call.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,)
        classes : array of shape (K,)
            All classes there will be; needed in the first call.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : Perceptron

        Raises
        ------
        ValueError
            As `fit`, or if y holds a label that is not in `classes`.
        """
        first = not hasattr(self, "classes_")
        classes = self._partial_classes(classes, first)
        rows, classes = self._admit(X, y, sample_weight, reset=first, classes=classes)
        rule = self._rule(rows, classes)
        learners = self._continued(rule, rows.n_features, classes)
        with one_blas_thread(rows):
            training = self._training(rows, rule, max_iter=1, tol=None)
            story = Run(training, learners).train(Watch(None, classes, rows.dtype, self.verbose))
            self._publish(learners, classes, rows.dtype)
        self.t_ = getattr(self, "t_", 1.0) + rows.n_rows
        self._tell(story, float("nan"), partial=True, first=first)
        return self

    def _admit(self, X, y, sample_weight, reset, classes=None):
        if self.pocket and self.average:
            raise ValueError(
                "pocket=True keeps the best weights and average the mean of all; set one of them"
            )
        rows, classes = admit_labeled(
            self, X, y, sample_weight,
            reset=reset, classes=classes, n_threads=thread_count(self.n_jobs), accept_sparse=True,
        )  # fmt: skip
        if len(classes) < 2:
            raise ValueError(
                "The number of classes has to be greater than one; got"
                f" {len(classes)} class in y: {classes.tolist()}"
            )
        return rows, classes

    def _partial_classes(self, classes, first):
        """The sorted classes of a partial fit."""
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use"
                " 'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y)."
                " In place of y you can use a large enough sample of the full training set target"
                " to properly estimate the class frequency distributions. Pass the resulting"
                " weights as the class_weight parameter."
            )
        if classes is None:
            if first:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return self.classes_
        classes = np.unique(classes)
        if not first and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"`classes={classes.tolist()!r}` is not the same as on last call to partial_fit,"
                f" was: {self.classes_.tolist()!r}"
            )
        return classes

    def _by_class(self, rows, classes):
        """Factors of the classes."""
        if self.class_weight is None:
            return np.ones(len(classes))
        balanced = self.class_weight == "balanced" and self.shuffle
        return class_factors(
            self.class_weight, classes, classes[rows.target], rows.weight if balanced else None
        )

    def _plan(self, rows, rule):
        """The course over the rows; of two classes the weights count as those of their rows."""
        weighs = self.class_weight is not None and len(rule.gain) == 1
        return plan(rows, self.shuffle, rule.gain[0] if weighs else None)

    def _rule(self, rows, classes):
        """What a visit does."""
        n_classes = len(classes)
        by_class = self._by_class(rows, classes)
        multiclass = self.multi_class == "multinomial" and n_classes > 2
        if n_classes == 2:
            gain, positive = by_class[None], [1]
        else:
            gain = np.column_stack([by_class if multiclass else np.ones(n_classes), by_class])
            positive = range(n_classes)
        l1_ratio = {"l2": 0.0, "l1": 1.0}.get(self.penalty, self.l1_ratio)
        alpha = 0.0 if self.penalty is None else self.alpha
        l2, l1 = (1.0 - l1_ratio) * alpha, l1_ratio * alpha
        shrink = max(0.0, 1.0 - l2 * self.eta0)
        numbers = [self.eta0, shrink, l1 * self.eta0, 0.5 * l2, l1, float(self.average)]
        return Rule(
            np.array(numbers), PENALTIES[self.penalty], self.fit_intercept, multiclass,
            np.array(positive, dtype=np.int32), np.ascontiguousarray(gain),
        )  # fmt: skip

    def _training(self, rows, rule, **limits):
        """The course over the rows, and those held out."""
        stream = check_random_state(self.random_state)
        course, validation, generator = self._plan(rows, rule), None, None
        if self.shuffle:
            generator = stream.randint(2**63, size=1, dtype=np.uint64)
        if self.early_stopping:
            course, validation = self._hold_out(course, rule, generator, stream)
        limits = {"max_iter": self.max_iter, "tol": self.tol} | limits
        limits = Limits(patience=self.n_iter_no_change, **limits)
        if self.shuffle:
            course.begin(generator, limits.max_iter)
        return Training(rows, course, rule, limits, generator, validation, self.pocket)

    def _hold_out(self, course, rule, generator, stream):
        """The course without a share of its rows, and a judge by that share."""
        if course.order.size < 2:
            raise ValueError("early_stopping needs two rows or more, to train on and to hold out")
        if generator is not None:
            kept, held = hold_out(course, self.validation_fraction, generator)
        else:
            seed = self.random_state if isinstance(self.random_state, Integral) else stream
            labels = course.rows.target[course.order]
            kept, held = map(np.sort, split_stratified(labels, self.validation_fraction, seed))
        numbers = course.order[held]
        weight = course.weight[numbers] if course.weight.size else None
        if weight is not None and not weight.any():
            raise ValueError(
                "The sample weights for validation set are all zero, consider using a different"
                " random state."
            )
        rows = Rows(course.rows.take(numbers), weight, course.rows.target[numbers])
        return course.along(kept), Judge(rows, weight, rule)

    def _start(self, rule, n_features, classes, coef_init, intercept_init):
        """The weights to start from, checked: (K, d) and (K,)."""
        if self.warm_start and hasattr(self, "coef_"):
            coef_init = self._dense_coef() if coef_init is None else coef_init
            intercept_init = self.intercept_ if intercept_init is None else intercept_init
        n_learners = rule.positive.size
        coef, intercept = np.zeros((n_learners, n_features)), np.zeros(n_learners)
        if coef_init is not None:
            given = np.asarray(coef_init, dtype=np.float64)
            if (given.ravel() if n_learners == 1 else given).shape != coef.shape[n_learners == 1 :]:
                name = "coef_init" if n_learners == 1 else "``coef_``"
                raise ValueError(
                    f"Provided {name} does not match dataset. It has shape {given.shape}, the"
                    f" data ask for {coef.shape}"
                )
            coef[:] = given.reshape(coef.shape)
        if intercept_init is not None:
            given = np.asarray(intercept_init, dtype=np.float64)
            if given.shape != intercept.shape and not (n_learners == 1 and given.shape == ()):
                raise ValueError(
                    "Provided intercept_init does not match dataset. It has shape"
                    f" {given.shape}, the data ask for {intercept.shape}"
                )
            intercept[:] = given
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            raise ValueError("coef_init and intercept_init must be finite")
        return coef, intercept

    def _continued(self, rule, n_features, classes):
        """The learners as the last call left them, or from ``coef_`` if that was changed."""
        if not hasattr(self, "coef_"):
            start = np.zeros((rule.positive.size, n_features)), np.zeros(rule.positive.size)
            return Learners(*start, rule, bool(self.average))
        coef = self._dense_coef()
        kept = Learners.restored(self._memory)
        result, intercept = kept.result()
        if (
            np.array_equal(result.astype(coef.dtype), coef)
            and np.array_equal(intercept.astype(coef.dtype), self.intercept_)
            and kept.fits(rule, bool(self.average))
        ):
            return kept
        return Learners(coef, self.intercept_, rule, bool(self.average))

    def _dense_coef(self):
        return self.coef_.toarray() if sparse.issparse(self.coef_) else self.coef_

    def _publish(self, learners, classes, dtype):
        coef, intercept = published(learners, dtype)
        self._memory, self.classes_ = learners.record(), classes
        self.coef_, self.intercept_ = coef, intercept

    def _margin(self, rows, rule, story):
        """The margin of the weights that are kept, where they may separate the classes."""
        if not story.clean.all():
            return float("nan")
        coef, intercept = self.coef_.astype(np.float64), self.intercept_.astype(np.float64)
        return geometric_margin(rows, coef, intercept, rule)

    def _tell(self, story, margin, partial=False, first=True):
        mistakes = np.array(story.mistakes, dtype=np.int64).reshape(story.n_iter, -1)
        history = list(story.objective)
        if partial and not first:
            mistakes = np.concatenate([self.mistake_history_, mistakes])
            history = [*self.objective_history_, *history]
        self.n_iter_ = story.n_iter
        self.mistake_history_ = mistakes
        self.n_mistakes_ = int(np.maximum(mistakes, 0).sum())
        self.objective_history_ = history
        self.converged_ = False if partial else bool(story.clean.all())
        self.stop_reason_ = "rows of a partial_fit used up" if partial else story.reason
        self.margin_ = margin

    def _warn(self, story):
        if story.clean.all() or story.callback:
            return
        if story.repeats:
            warn_convergence(
                f"The classes cannot be separated: {story.reason}. pocket=True keeps the weights"
                " of fewest errors, average=True their mean; LogisticRegression has an optimum."
            )
        elif story.n_iter == self.max_iter and "max_iter" in story.reason:
            if self.tol is None and self.penalty is not None:
                return
            warn_convergence(
                "Maximum number of iteration reached before convergence. Consider increasing"
                f" max_iter to improve the fit: {story.mistakes[-1].sum()} mistakes in epoch"
                f" {story.n_iter}."
            )


def published(learners, dtype):
    """coef (K, d) and intercept (K,) of X's dtype, finite."""
    coef, intercept = learners.result()
    with np.errstate(over="ignore"):
        coef, intercept = coef.astype(dtype), intercept.astype(dtype)
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError(
            f"weights overflow {np.dtype(dtype).name}; divide X, sample_weight, class_weight or"
            " eta0 by a constant"
        )
    return coef, intercept


class Watch:
    """What callbacks and `verbose` see of the epochs."""

    def __init__(self, run, classes, dtype, verbose):
        self.run, self.classes, self.dtype, self.verbose = run, classes, dtype, verbose

    def begin(self):
        """Call before each epoch."""
        if self.run is not None:
            self.run.begin()

    def end(self, learners, story):
        """Report an epoch; whether a callback asks to stop."""
        if self.verbose:
            announce(
                "Epoch %d: %d mistakes, mean loss and penalty %.6g.",
                story.n_iter, np.maximum(story.mistakes[-1], 0).sum(), story.objective[-1],
            )  # fmt: skip
        return self.run is not None and self.run.end(lambda: self.attributes(learners))

    def attributes(self, learners):
        coef, intercept = published(learners, self.dtype)
        return {"coef_": coef, "intercept_": intercept, "classes_": self.classes}

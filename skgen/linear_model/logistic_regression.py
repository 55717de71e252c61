"""Logistic regression: class probabilities from linear scores.

    minimize  C sum_i s_i loss(w . x_i + b, y_i) + (1 - l1_ratio) |w|_2^2 / 2 + l1_ratio |w|_1

The loss is log(1 + exp(-score)) for two classes and the multinomial log-likelihood for more.
Whatever `solver` is called, the shape of the data decides how that optimum is reached; the name
decides what is minimized (liblinear penalizes its intercept) and what is refused, as in
scikit-learn. McCullagh and Nelder (1989), chapters 4 and 5.
"""

import warnings
from numbers import Integral, Real

import numpy as np

from skgen.base import (
    Estimator,
    FitTask,
    Hidden,
    Interval,
    StrOptions,
    admit_labeled,
    admit_new,
    announce,
    check_is_fitted,
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
    loss_of,
    penalty_strength,
)
from skgen.linear_model.inference import infer
from skgen.solvers.monitor import DescentMonitor
from skgen.statistics import column_moments

SOLVERS = ("auto", "lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
# How each name says that it did not converge.
UNCONVERGED = {
    "liblinear": "Liblinear failed to converge, increase the number of iterations.",
    "newton-cholesky": "Newton solver did not converge after {n_iter} iterations.",
    "sag": "The max_iter was reached which means the coef_ did not converge.",
    "saga": "The max_iter was reached which means the coef_ did not converge.",
}
UNCONVERGED_OTHERWISE = (
    "{solver} failed to converge after {n_iter} iteration(s). Increase the number of iterations."
)


class LogisticRegression(LinearClassifier, Estimator):
    """Logistic regression with squared, absolute, mixed or no penalty.

    Minimizes ``C sum_i s_i loss_i + (1 - l1_ratio) |w|^2 / 2 + l1_ratio |w|_1``.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet"} or None
        Deprecated as in scikit-learn; say it with `l1_ratio` and `C`.
    C : float, default=1.0
        Inverse strength of the penalty; ``np.inf`` for none.
    l1_ratio : float, default=0.0
        Share of the absolute penalty, in [0, 1].
    dual : bool, default=False
        Accepted with ``solver="liblinear"`` and a squared penalty; the optimum is the same.
    tol : float, default=1e-4
        The largest slope of the mean loss at which to stop; the objective is then within
        ``1e-3 tol`` of its own size of the optimum, by estimate.
    fit_intercept : bool, default=True
    intercept_scaling : float, default=1
        With ``solver="liblinear"`` the intercept is penalized, divided by this.
    class_weight : dict {class: weight}, "balanced" or None, default=None
        "balanced" gives all classes the same total weight.
    random_state : int, RandomState or None, default=None
        Accepted for compatibility; changes nothing.
    solver : {"lbfgs", "auto", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"}
        What is minimized and refused, as in scikit-learn. How is decided by the shape: Newton's
        method, L-BFGS preconditioned by the Hessian of a sample or by its diagonal, or proximal
        Newton where weights have an absolute penalty. "auto" refuses no penalty.
    max_iter : int, default=100
        Iterations over all rows.
    verbose : int, default=0
        Log every iteration (logger "skgen").
    warm_start : bool, default=False
        Start from the last solution.
    n_jobs : int, default=None
        Threads, None for all cores; the result does not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    coef_ : ndarray of shape (1, d) for two classes, else (K, d)
    intercept_ : ndarray of shape (1,) or (K,)
    n_iter_ : ndarray of shape (1,)
    objective_history_ : list of float
        Mean loss plus penalty / (C sum_i s_i) after every iteration; never rises.
    gradient_norm_ : float
        Largest slope of that at the end, per unit of a column or per its standard deviation where
        that is more (with an absolute penalty, of the smallest subgradient).
    objective_gap_ : float
        Estimated distance of the objective from its minimum: half the squared Newton decrement
        (L-BFGS: in its own metric, or more where the last falls promise more), or with an
        absolute penalty the duality gap or a second-order estimate where that is smaller.
    converged_ : bool
    separable_ : bool
        Whether a plane separates the classes and nothing is penalized: there is no optimum then,
        and `coef_` is a separating direction of finite length.
    stop_reason_ : str
    n_features_in_, feature_names_in_

    Raises
    ------
    ValueError
        If X, y or weights are not what they should be, y has one class, or `solver` refuses the
        penalty.

    References
    ----------
    McCullagh and Nelder, Generalized Linear Models, 1989. Yuan, Ho and Lin, An improved GLMNET
    for L1-regularized logistic regression, JMLR 13, 2012.

    Examples
    --------
    >>> from skgen.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> model.predict([[-1.0], [4.0]]).tolist()
    [0, 1]
    """

    _parameter_constraints = {
        "penalty": [
            StrOptions({"l1", "l2", "elasticnet"}),
            None,
            Hidden(StrOptions({"deprecated"})),
        ],
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "dual": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "intercept_scaling": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "solver": [StrOptions(set(SOLVERS))],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        penalty="deprecated",
        *,
        C=1.0,
        l1_ratio=0.0,
        dual=False,
        tol=1e-4,
        fit_intercept=True,
        intercept_scaling=1,
        class_weight=None,
        random_state=None,
        solver="lbfgs",
        max_iter=100,
        verbose=0,
        warm_start=False,
        n_jobs=None,
    ):
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self.solver != "liblinear"
        return tags

    @fit_context
    def fit(self, X, y, sample_weight=None):
        """Find the optimum.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,)
            At least two classes.
        sample_weight : array of shape (n,), default=None
            A weight of 2 counts as the row twice.

        Returns
        -------
        self : LogisticRegression
        """
        C, l1_ratio = self._checked_penalty()
        rows, classes = self._admit(X, y, sample_weight)
        self._check_classes(classes)
        with one_blas_thread(rows):
            columns = column_moments(rows)
            require_finite(self, rows.X, columns.finite)
            problem = self._problem(C, l1_ratio, len(classes), rows.weight_sum)
            dtype = np.dtype(np.float64) if self.solver == "liblinear" else rows.dtype
            fit = LinearFit(problem, rows, columns)
            # scikit-learn's L-BFGS leaves one task empty; who counts tasks may rely on it.
            extra = self.solver == "lbfgs"
            task = FitTask(self, X, y, sample_weight, max_iter=max(self.max_iter, 1) + extra)
            with task.restart() as run:
                monitor = DescentMonitor(
                    self.max_iter,
                    self.tol,
                    run,
                    lambda w: fitted_parameters(fit, w, dtype) | {"classes_": classes},
                    report if self.verbose else None,
                )
                solution = fit.solve(self._start(fit), monitor)
                run.leave_empty(extra + (not monitor.history))
            separable = problem.unpenalized and fit.has_no_optimum(solution.params)
        self._set_fitted(fit, classes, solution, monitor, separable, dtype)
        task.end()
        return self

    def _checked_penalty(self):
        """C and l1_ratio that are meant; errors and warnings as scikit-learn has them."""
        penalty, l1_ratio = self.penalty, self.l1_ratio
        if penalty == "deprecated":
            if l1_ratio is None:
                warnings.warn(
                    "'l1_ratio=None' was deprecated in version 1.8 and will trigger an error in"
                    " 1.10. Use 0<=l1_ratio<=1 instead.",
                    FutureWarning,
                    stacklevel=4,
                )
            penalty = {0: "l2", None: "l2", 1: "l1"}.get(l1_ratio, "elasticnet")
            if np.isinf(self.C):
                penalty = None
        else:
            warnings.warn(
                "'penalty' was deprecated in version 1.8 and will be removed in 1.10. To avoid"
                " this warning, leave it out: l1_ratio=0 says 'l2', l1_ratio=1 says 'l1', numbers"
                " between say 'elasticnet', and C=np.inf says None.",
                FutureWarning,
                stacklevel=4,
            )
        check_solver(self.solver, penalty, self.dual)
        self._warn_of_contradictions(penalty)
        if penalty == "elasticnet" and l1_ratio is None:
            raise ValueError("l1_ratio must be specified when penalty is elasticnet.")
        C = np.inf if penalty is None else float(self.C)
        return C, {"l1": 1.0, "elasticnet": l1_ratio}.get(penalty, 0.0)

    def _warn_of_contradictions(self, penalty):
        l1_ratio = self.l1_ratio
        if penalty != "elasticnet" and l1_ratio is not None and 0 < l1_ratio < 1:
            warnings.warn(
                "l1_ratio parameter is only used when penalty is 'elasticnet'. Got"
                f" (penalty={penalty})",
                stacklevel=5,
            )
        if (self.penalty == "l2" and l1_ratio != 0) or (self.penalty == "l1" and l1_ratio != 1):
            warnings.warn(
                f"Inconsistent values: penalty={self.penalty} with l1_ratio={l1_ratio}. penalty"
                " is deprecated. Please use l1_ratio only.",
                stacklevel=5,
            )
        if self.penalty is None and self.C != 1.0:
            warnings.warn(
                "Setting penalty=None will ignore the C and l1_ratio parameters", stacklevel=5
            )

    def _admit(self, X, y, sample_weight, **options):
        return admit_labeled(
            self,
            X,
            y,
            sample_weight,
            class_weight=self.class_weight,
            n_threads=thread_count(self.n_jobs),
            accept_sparse=True,
            check_finite=False,
            **options,
        )

    def _check_classes(self, classes):
        if len(classes) < 2:
            raise ValueError(
                "This solver needs samples of at least 2 classes in the data, but the data"
                f" contains only one class: {classes[0]!r}"
            )
        if self.solver == "liblinear" and len(classes) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass:"
                f" y has {len(classes)} classes. The 'liblinear' solver does not support"
                " multiclass classification (n_classes >= 3). Use another solver, or wrap the"
                " estimator in a OneVsRestClassifier."
            )

    def _problem(self, C, l1_ratio, n_classes, weight):
        loss = loss_of(n_classes)
        strength = penalty_strength(C, weight)
        intercept = 0.0
        if self.solver == "liblinear":
            intercept = strength / float(self.intercept_scaling)
        return LinearProblem(
            loss,
            loss.n_outputs(n_classes),
            self.fit_intercept,
            l2=strength * (1.0 - l1_ratio),
            l1=strength * l1_ratio,
            intercept_l2=intercept / float(self.intercept_scaling) * (1.0 - l1_ratio),
            intercept_l1=intercept * l1_ratio,
        )

    def _start(self, fit):
        """Parameters of the last fit with `warm_start`, where they fit."""
        last = self._last_parameters((fit.problem.n_outputs, self.n_features_in_))
        if last is not None:
            return fit.start(*last)
        return fit.start() if self.max_iter > 0 else np.zeros(fit.objective.n_parameters)

    def _set_fitted(self, fit, classes, solution, monitor, separable, dtype):
        self.classes_ = classes
        for name, value in fitted_parameters(fit, solution.params, dtype).items():
            setattr(self, name, value)
        self.n_iter_ = np.array([solution.n_iter], dtype=np.int32)
        self.objective_history_ = list(solution.history)
        self.gradient_norm_ = monitor.gradient_norms[-1] if monitor.gradient_norms else np.inf
        self.objective_gap_ = monitor.gap
        self.separable_ = bool(separable)
        self.converged_ = solution.converged and not separable
        self.stop_reason_ = solution.reason
        if separable:
            self.stop_reason_ = SEPARATED
            warn_convergence(NO_OPTIMUM)
        elif not solution.converged and "callback" not in solution.reason:
            text = UNCONVERGED.get(self.solver, UNCONVERGED_OTHERWISE)
            warn_convergence(
                text.format(solver=self.solver, n_iter=solution.n_iter)
                + f" It stopped because {solution.reason}; gradient norm"
                f" {self.gradient_norm_:.2g}, estimated gap {monitor.gap:.2g}, tol={self.tol:g}."
                " Increase max_iter or tol."
            )

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
        return self._probabilities(X, "predict")

    def predict_log_proba(self, X):
        """Logarithms of the probabilities, exact where these underflow.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        logs : ndarray of shape (n, K)
        """
        return self._probabilities(X, "predict_log")

    def _probabilities(self, X, method):
        check_is_fitted(self, "coef_")
        scores = linear_scores(admit_new(self, X, accept_sparse=True), self.coef_, self.intercept_)
        return getattr(loss_of(len(self.classes_)), method)(scores)

    def inference(self, X, y, sample_weight=None, *, reference=None):
        """Standard errors, z statistics and p values from the observed information.

        Parameters
        ----------
        X, y, sample_weight
            The data of the fit.
        reference : label, default=None
            With more than two classes: report contrasts to this class, as econometric packages
            do. None reports the weights themselves, which sum to zero over the classes.

        Returns
        -------
        Inference
            See `skgen.linear_model.Inference`.

        Raises
        ------
        ValueError
            If the estimates are no regular maximum likelihood estimates: an absolute penalty,
            separable classes, or a fit that did not converge.
        """
        check_is_fitted(self, "coef_")
        return infer(self, X, y, sample_weight, reference)


def check_solver(solver, penalty, dual):
    """Refuse what scikit-learn's solver of that name refuses."""
    if solver != "liblinear" and dual:
        raise ValueError(f"Solver {solver} supports only dual=False, got dual={dual}")
    if solver == "auto":
        return
    if solver not in ("liblinear", "saga") and penalty not in ("l2", None):
        raise ValueError(
            f"Solver {solver} supports only 'l2' or None penalties, got {penalty} penalty;"
            " 'auto' and 'saga' support all."
        )
    if penalty == "elasticnet" and solver != "saga":
        raise ValueError(
            f"Only 'saga' solver supports elasticnet penalty, got solver={solver}."
            " ('auto' does too.)"
        )
    if solver == "liblinear" and penalty is None:
        raise ValueError(
            "C=np.inf as well as penalty=None is not supported for the liblinear solver"
        )
    if solver == "liblinear" and penalty == "l1" and dual:
        raise ValueError(
            "Unsupported set of arguments: dual=True goes with a squared penalty only, got"
            " l1_ratio=1"
        )


def fitted_parameters(fit, w, dtype):
    """The fitted coef_ and intercept_ for internal parameters."""
    coef, intercept = fit.parameters(w, dtype)
    return {"coef_": coef, "intercept_": intercept}


def report(iteration, value, gradient_norm):
    """What `verbose` shows of an iteration."""
    announce("Iteration %d, objective %.10g, gradient norm %.3g", iteration, value, gradient_norm)

"""Maximum likelihood Gaussian mixtures by expectation maximization.

    p(x) = sum_k pi_k N(x; mu_k, S_k)

One fused pass over the rows per iteration adds up what the next parameters need; no array of
rows by components exists. Dempster, Laird and Rubin (1977); Bishop (2006), section 9.2.
"""

from numbers import Integral, Real

import joblib
import numpy as np

from skgen.base import (
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    Estimator,
    FitTask,
    Interval,
    StrOptions,
    TransformerMixin,
    admit,
    announce,
    check_array,
    check_is_fitted,
    check_random_state,
    fit_context,
    one_blas_thread,
    random_streams,
    require_finite,
    thread_count,
    warn_convergence,
)
from skgen.distributions.gaussian import (
    STRUCTURES,
    DegenerateComponent,
    GaussianParams,
    log_weights,
)
from skgen.mixture.initialization import (
    given_params,
    partition_params,
    partition_rows,
    replace_given,
)
from skgen.mixture.likelihood import EVALUATIONS, Likelihood, prepare, total_scatter
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor
from skgen.solvers.solution import Solution
from skgen.statistics import column_moments

# A floor below this share of a component's variances changes the likelihood less than EM's
# usual tolerance does; above it the E-step takes the floor into account.
MATERIAL_FLOOR = 1e-2


class GaussianMixture(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, Estimator):
    """Gaussian mixture fitted by maximum likelihood.

    Parameters, attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance matrix per component, one for all, one variance per component and
        feature, or one variance per component.
    tol : float, default=1e-3
        EM stops when the mean log likelihood per row changes by less.
    reg_covar : float, default=1e-6
        Variance added to the diagonal of every covariance. Where it exceeds 1 % of the mean
        variance of X's columns and that variance is below 1, it is taken as a share of that
        variance, so that data in small units are not drowned in it.
    max_iter : int, default=100
        Iterations of EM; 0 returns the initial parameters.
    n_init : int, default=1
        Number of starts; the one with the largest final objective is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        The partition that the initial parameters are estimated from: k-means clusters, rows
        nearest to k-means++ centers, random soft memberships, rows nearest to k random rows.
    weights_init : array of shape (k,), default=None
    means_init : array of shape (k, d), default=None
        Given means also decide the initial partition, in place of `init_params`.
    precisions_init : array of the structure's shape, default=None
    random_state : int, RandomState or None, default=None
    warm_start : bool, default=False
        Continue from the last fit's parameters.
    verbose : int, default=0
        1 logs every `verbose_interval` iterations, 2 logs the objective too, to logger "skgen".
    verbose_interval : int, default=10
    n_jobs : int, default=None
        Threads. None uses all cores available to the process. An explicit number above 1 also
        runs that many starts at a time. The result does not depend on it.

    Attributes
    ----------
    weights_ : ndarray of shape (k,)
    means_ : ndarray of shape (k, d)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shapes (k, d, d) for "full", (d, d) for "tied", (k, d) for "diag", (k,) for "spherical".
    converged_ : bool
        Whether the best start met `tol`.
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log likelihood per row that the last iteration started from.
    lower_bounds_, objective_history_ : list of float
        The same for every iteration; it never falls by more than rounding.
    stop_reason_ : str
        Why EM ended.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Raises
    ------
    ValueError
        Where X, weights or parameters are unusable, or every start ends in a component whose
        covariance is singular; the message names the component and the remedy.

    References
    ----------
    Dempster, Laird and Rubin (1977), "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.mixture import GaussianMixture
    >>> X = np.array([[1.0], [1.2], [0.8], [9.0], [9.5], [8.5]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(mixture.means_.ravel())
    array([1., 9.])
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"kmeans", "random", "random_from_data", "k-means++"})],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Estimate the parameters from the rows of X.

        Parameters
        ----------
        X : array of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : GaussianMixture
        """
        self._fit(X, y, sample_weight)
        return self

    @fit_context
    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit and return the most probable component of every row; see `fit`.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        rows = self._fit(X, y, sample_weight)
        return self._evaluate(rows, "label")

    def _fit(self, X, y, sample_weight):
        structure = STRUCTURES[self.covariance_type]
        rows = self._admit(X, sample_weight, reset=True, min_rows=2)
        if rows.n_rows < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components},"
                f" n_samples = {rows.n_rows}"
            )
        with one_blas_thread(rows):
            columns = column_moments(rows)
            require_finite(self, rows.X, columns.finite)
            require_moderate(columns, rows)
            given = self._check_given(structure, rows.n_features)
            model = self._model(structure, rows, columns)
            continued = self.warm_start and hasattr(self, "converged_")
            n_init = 1 if continued else self.n_init
            task = FitTask(
                self,
                X,
                y,
                sample_weight,
                n_restarts=n_init,
                max_iter=self.max_iter,
                sequential=not self._parallel(n_init),
            )
            solutions = self._runs(task, model, rows, columns, given, continued, n_init)
            best = max(solutions, key=lambda solution: solution.value)
        self._set_fitted(structure, rows.dtype, best)
        if not best.converged and self.max_iter > 0 and "callback" not in best.reason:
            warn_convergence(
                "Best performing initialization did not converge. Try different init parameters,"
                " or increase max_iter, tol, or check for degenerate data. It stopped because"
                f" {best.reason}; the last change of the objective was"
                f" {last_change(best.history):.3g}, tol={self.tol:g}."
            )
        task.end()
        return rows

    def _admit(self, X, sample_weight=None, *, reset, min_rows=1):
        power = 2 if self.covariance_type == "full" else 1
        return admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            row_work=lambda d: 2.0 * self.n_components * float(d) ** power,
            min_rows=min_rows,
            check_finite=not reset,
        )

    def _model(self, structure, rows, columns):
        """The EM model, its floor in units of X."""
        variance = float(columns.variance.mean())
        floor = float(self.reg_covar)
        if not floor < 1e-3 * float(np.finfo(rows.dtype).max):
            raise ValueError(
                f"reg_covar={floor:g} is too large a variance for X in {rows.dtype}; choose a"
                " share of the variance of X, such as 1e-6"
            )
        if floor > MATERIAL_FLOOR * variance and 0.0 < variance < 1.0:
            floor *= variance
        scatter = total_scatter(rows, columns.mean) if structure.name == "tied" else None
        return Likelihood(structure, rows.dtype, floor, scatter=scatter)

    def _parallel(self, n_init):
        """How many starts run at a time."""
        return min(n_init, thread_count(self.n_jobs)) if self.n_jobs is not None else 1

    def _runs(self, task, model, rows, columns, given, continued, n_init):
        """Solutions of all starts that did not degenerate; an error if none is left."""
        streams = random_streams(self.random_state, n_init)
        at_a_time = self._parallel(n_init)
        if at_a_time > 1:
            rows = rows.with_threads(max(1, rows.n_threads // at_a_time))
            results = joblib.Parallel(at_a_time, prefer="threads")(
                joblib.delayed(self._run)(task, model, rows, columns, given, False, i, stream)
                for i, stream in enumerate(streams)
            )
        else:
            results = [
                self._run(task, model, rows, columns, given, continued, i, stream)
                for i, stream in enumerate(streams)
            ]
        return self._sound(results)

    def _sound(self, results):
        """The solutions that did not degenerate; else those that at least began."""
        sound = [run for run in results if isinstance(run, Solution) and run.failure is None]
        begun = [run for run in results if isinstance(run, Solution)]
        failures = [run.failure if isinstance(run, Solution) else run for run in results]
        failures = [failure for failure in failures if failure is not None]
        if not begun:
            raise ValueError(
                "Fitting the mixture model failed because some components have ill-defined"
                " empirical covariance (for instance caused by singleton or collapsed samples)."
                " Try to decrease the number of components, increase reg_covar, or scale the"
                f" input data. Here {failures[0]}; n_components={self.n_components},"
                f" covariance_type={self.covariance_type!r}, reg_covar={self.reg_covar:g}."
            ) from failures[0]
        if sound and failures:
            warn_convergence(
                f"{len(failures)} of {len(results)} starts were dropped because a covariance"
                f" became singular: {failures[0]}. Increase reg_covar or decrease n_components."
            )
        return sound or begun

    def _run(self, task, model, rows, columns, given, continued, number, random_state):
        """One start: a Solution, or the DegenerateComponent that ended it."""
        report = self._report(number)
        try:
            start = -np.inf
            if continued:
                params, start = self._fitted_params(), self.lower_bound_
            else:
                params = self._initial_params(model, rows, columns, given, random_state)
            model = penalize_material_floor(model, params)
            with task.restart(number) as run:
                monitor = Monitor(
                    self.max_iter, self.tol, run, self._attributes_of(model), report, start
                )
                solution = em(model, params, rows, monitor)
        except DegenerateComponent as degenerate:
            return degenerate
        if self.verbose:
            announce(
                "Initialization %s.%s",
                "converged" if solution.converged else "did not converge",
                f" lower bound {solution.value:.5f}." if self.verbose > 1 else "",
            )
        return solution

    def _report(self, number):
        """What `verbose` prints after an iteration, None for nothing."""
        if not self.verbose:
            return None
        announce("Initialization %d", number)

        def report(iteration, value, change):
            if iteration % self.verbose_interval == 0:
                detail = f"\t ll {value:.5f}\t ll change {change:.5f}" if self.verbose > 1 else ""
                announce("  Iteration %d%s", iteration, detail)

        return report

    def _initial_params(self, model, rows, columns, given, random_state):
        weights, means, precisions = given
        if all(array is not None for array in given):
            return given_params(model.structure, *given)
        k = int(self.n_components)
        partition = partition_rows(rows, columns, self.init_params, k, random_state, means)
        if precisions is not None:
            # The partition's own covariances are not needed, so they may be singular.
            params = partition_params(
                rows, partition, model.with_floor(max(1.0, columns.variance.max())), columns.mean
            )
        else:
            params = partition_params(rows, partition, model, columns.mean)
        return replace_given(model.structure, params, weights, means, precisions)

    def _check_given(self, structure, d):
        """The arrays of `*_init` as float64, checked; None where not given."""
        k = self.n_components
        weights, means, precisions = self.weights_init, self.means_init, self.precisions_init
        if weights is not None:
            weights = check_weights(weights, k)
        if means is not None:
            means = check_given(means, (k, d), "means")
        if precisions is not None:
            precisions = check_precisions(precisions, structure, k, d)
        return weights, means, precisions

    def _attributes_of(self, model):
        """A function from parameters to the fitted attributes that callbacks may need."""
        return lambda params: fitted_attributes(model.structure, model.dtype, params)

    def _set_fitted(self, structure, dtype, solution):
        for name, value in fitted_attributes(structure, dtype, solution.params).items():
            setattr(self, name, value)
        self.converged_ = solution.converged
        self.n_iter_ = solution.n_iter
        self.lower_bound_ = solution.value
        self.lower_bounds_ = list(solution.history)
        self.objective_history_ = list(solution.history)
        self.stop_reason_ = solution.reason

    def _fitted_params(self):
        """The fitted attributes as float64 parameters."""
        return GaussianParams(
            np.asarray(self.weights_, dtype=np.float64),
            np.asarray(self.means_, dtype=np.float64),
            np.asarray(self.covariances_, dtype=np.float64),
            np.asarray(self.precisions_cholesky_, dtype=np.float64),
        )

    def _evaluate(self, rows, what):
        """One of `EVALUATIONS` for every row."""
        structure = STRUCTURES[self.covariance_type]
        means = np.asarray(self.means_, dtype=np.float64)
        factors = np.asarray(self.precisions_cholesky_, dtype=np.float64)
        params = GaussianParams(np.asarray(self.weights_, dtype=np.float64), means, None, factors)
        prepared = prepare(structure, means, factors, log_weights(structure, params), rows.dtype)
        return EVALUATIONS[what](rows, prepared)

    def _rows(self, X, sample_weight=None):
        check_is_fitted(self, "means_")
        return self._admit(X, sample_weight, reset=False)

    def predict(self, X):
        """The most probable component of every row.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return self._evaluate(self._rows(X), "label")

    def predict_proba(self, X):
        """Responsibilities: the probability of each component given the row.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        responsibilities : ndarray of shape (n, k)
            Rows sum to 1, however far they are from all components.
        """
        return self._evaluate(self._rows(X), "responsibilities")

    def transform(self, X):
        """Responsibilities as features; the same as `predict_proba`.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        responsibilities : ndarray of shape (n, k)
        """
        return self.predict_proba(X)

    def score_samples(self, X):
        """Log density of every row, in nats.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_density : ndarray of shape (n,)
        """
        return self._evaluate(self._rows(X), "log_norm")

    def score(self, X, y=None, sample_weight=None):
        """Mean log density of the rows, in nats.

        Parameters
        ----------
        X : array of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float
        """
        total, weight = self._log_likelihood(X, sample_weight)
        return total / weight

    def bic(self, X, sample_weight=None):
        """Bayesian information criterion, -2 log L + p log n; lower is better.

        Parameters
        ----------
        X : array of shape (n, d)
        sample_weight : array of shape (n,), default=None
            n is the sum of the weights.

        Returns
        -------
        bic : float
        """
        total, weight = self._log_likelihood(X, sample_weight)
        return -2.0 * total + self._n_parameters() * float(np.log(weight))

    def aic(self, X, sample_weight=None):
        """Akaike information criterion, -2 log L + 2 p; lower is better.

        Parameters
        ----------
        X : array of shape (n, d)
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        aic : float
        """
        total, _ = self._log_likelihood(X, sample_weight)
        return -2.0 * total + 2.0 * self._n_parameters()

    def _log_likelihood(self, X, sample_weight):
        """sum w log p(x) and sum w."""
        rows = self._rows(X, sample_weight)
        log_norm = self._evaluate(rows, "log_norm")
        with np.errstate(over="ignore"):
            total = log_norm.sum() if rows.weight is None else rows.weight @ log_norm
        return max(float(total), -np.finfo(np.float64).max), rows.weight_sum

    def _n_parameters(self):
        """Free parameters p of the model."""
        k, d = self.means_.shape
        return STRUCTURES[self.covariance_type].n_parameters(k, d) + k * d + k - 1

    def sample(self, n_samples=1):
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, d), float64
            Grouped by component.
        labels : ndarray of shape (n_samples,)
            The component of each row.
        """
        check_is_fitted(self, "means_")
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one"
                " sample."
            )
        structure = STRUCTURES[self.covariance_type]
        random_state = check_random_state(self.random_state)
        weights = np.asarray(self.weights_, dtype=np.float64)
        counts = random_state.multinomial(n_samples, weights / weights.sum())
        means = np.asarray(self.means_, dtype=np.float64)
        covariances = np.asarray(self.covariances_, dtype=np.float64)
        X = np.vstack(
            [
                means[k] + structure.draw(random_state, covariances, k, (count, means.shape[1]))
                for k, count in enumerate(counts)
            ]
        )
        return X, np.repeat(np.arange(len(counts)), counts)

    @property
    def _n_features_out(self):
        return len(self.weights_)


def penalize_material_floor(model, params):
    """`model`, aware of its floor where that is a material share of the variances."""
    material = float(np.max(model.penalty(params))) > MATERIAL_FLOOR * params.means.shape[1]
    return model.with_penalty(material)


def fitted_attributes(structure, dtype, params):
    """Public attributes of parameters, in the dtype of X."""
    factors = params.factors.astype(dtype)
    return {
        "weights_": params.weights.astype(dtype),
        "means_": params.means.astype(dtype),
        "covariances_": params.covariances.astype(dtype),
        "precisions_cholesky_": factors,
        "precisions_": structure.precisions(params.factors).astype(dtype),
    }


def last_change(history):
    return history[-1] - history[-2] if len(history) > 1 else np.inf


def require_moderate(columns, rows):
    """Raise where squares of X's deviations, or their inverses, may overflow its dtype."""
    limit = 1e-3 * float(np.finfo(rows.dtype).max)
    variance = columns.variance
    largest = float(variance.max(initial=0.0))
    if not largest * rows.n_rows * rows.n_features < limit:
        column = int(np.nan_to_num(columns.square, nan=np.inf).argmax())
        raise ValueError(
            f"X has values too large to square in {rows.dtype}: column {column} has a variance of"
            f" {variance[column]:.3g}; divide X by a constant, or remove its outliers"
        )
    if 0.0 < largest < 1.0 / limit:
        raise ValueError(
            f"X has too little spread for {rows.dtype}: the largest variance of a column is"
            f" {largest:.3g} and has no finite inverse; multiply X by a constant"
        )


def check_given(array, shape, name):
    """`array` as float64, of that shape."""
    array = check_array(
        array,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name=name,
    )
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    return array


def check_weights(weights, k):
    single = getattr(weights, "dtype", None) == np.float32
    weights = check_given(weights, (k,), "weights")
    if weights.min() < 0.0 or weights.max() > 1.0:
        # scikit-learn swaps the two words, and code out there matches its text.
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value"
            f" {weights.min():.5f}, min value {weights.max():.5f} (the smallest and the largest)"
        )
    if abs(1.0 - weights.sum()) > (1e-6 if single else 1e-8):
        raise ValueError(
            "The parameter 'weights' should be normalized, but got sum(weights) ="
            f" {weights.sum():.5f}"
        )
    return weights


def check_precisions(precisions, structure, k, d):
    name = f"{structure.name} precision"
    precisions = check_given(precisions, structure.shape(k, d), name)
    if structure.name in ("diag", "spherical"):
        if (precisions <= 0.0).any():
            raise ValueError(f"'{name}' should be positive")
        return precisions
    symmetric = np.allclose(precisions, np.swapaxes(precisions, -1, -2))
    if not symmetric or not (np.linalg.eigvalsh(precisions) > 0.0).all():
        raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return precisions

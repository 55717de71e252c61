"""How a Gaussian mixture is fitted: starts, runs of EM, the best of them.

    X, weights -> Rows -> TrainingRows -> MixtureModel -> starts -> em -> best Solution

An estimator adds its inference (`_inference`), its fitted attributes and where it starts.
"""

from numbers import Integral, Real

import joblib
import numpy as np

from skgen.base import (
    Estimator,
    FitTask,
    Interval,
    StrOptions,
    admit,
    announce,
    one_blas_thread,
    random_streams,
    require_finite,
    thread_count,
    warn_convergence,
)
from skgen.distributions.gaussian import STRUCTURES, DegenerateComponent
from skgen.distributions.missing import find_patterns, holds_nan, weigh_observed
from skgen.mixture.initialization import (
    DRAWN,
    METHODS,
    TrainingRows,
    given_params,
    partition_params,
    replace_given,
)
from skgen.mixture.model import MixtureModel
from skgen.solvers.acceleration import ACCELERATIONS
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor
from skgen.solvers.solution import Solution
from skgen.statistics import column_moments, observed_moments

# A floor below this share of a component's variances changes the likelihood less than EM's
# usual tolerance does; above it the E-step takes the floor into account.
MATERIAL_FLOOR = 1e-2
# Objectives of two starts that differ by a smaller share are equal.
TIE = 1e-10
# How often a start that degenerates is replaced by another.
MOST_REPLACEMENTS = 3


class MixtureFit(Estimator):
    """What fits the parameters of a Gaussian mixture by EM."""

    # Rows that a fit needs.
    _fewest_rows = 2
    # Whether a row without any observed cell is a row: EM's limit is the same with it.
    _counts_empty_rows = True

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(STRUCTURES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS))],
        "acceleration": [StrOptions(set(ACCELERATIONS)), None],
        "learning_decay": [Interval(Real, 0.5, 1.0, closed="right")],
        "learning_offset": [Interval(Real, 1.0, None, closed="left")],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
    }

    def _fit(self, X, y, sample_weight):
        """Fit; returns the `TrainingRows` and the model."""
        rows = self._admit(X, sample_weight, reset=True, min_rows=self._fewest_rows)
        with one_blas_thread(rows):
            training = self._training(rows)
        return training, self._fit_training(training, X, y, sample_weight)

    def _fit_training(self, training, X, y, sample_weight):
        """Fit to rows that were looked at; returns the model. Callbacks are shown X, y, weights."""
        structure, rows = STRUCTURES[self.covariance_type], training.rows
        self._require_rows(rows)
        continued = getattr(self, "warm_start", False) and hasattr(self, "converged_")
        if continued:
            self._require_same_model(rows.n_features)
        with one_blas_thread(rows):
            given = self._check_given(structure, rows.n_features)
            model = self._model(structure, training)
            n_init = 1 if continued else self._n_starts(training)
            task = FitTask(
                self,
                X,
                y,
                sample_weight,
                n_restarts=n_init,
                max_iter=self.max_iter,
                sequential=not self._parallel(n_init),
            )
            degenerate = []
            solutions = self._runs(task, model, training, given, continued, n_init, degenerate)
            best = first_best(solutions)
        self._set_fitted(model, best, rows.weight_sum)
        self.n_degenerate_starts_ = len(degenerate)
        if not best.converged and self.max_iter > 0 and "callback" not in best.reason:
            warn_convergence(
                "Best performing initialization did not converge. Try different init parameters,"
                " or increase max_iter, tol, or check for degenerate data. It stopped because"
                f" {best.reason}; the last change of the objective was"
                f" {last_change(best.history):.3g}, tol={self.tol:g}.",
                stacklevel=6,
            )
        task.end()
        return model

    def _n_starts(self, training):
        """How many starts to make."""
        return self.n_init

    def _require_rows(self, rows):
        """Raise where there are fewer rows than components."""
        if rows.n_rows < self.n_components:
            raise ValueError(
                f"Expected n_samples >= n_components but got n_components = {self.n_components},"
                f" n_samples = {rows.n_rows}"
            )

    def _require_same_model(self, n_features):
        """Raise where the parameters that a fit is to continue from are not of this model."""
        k, d = self.means_.shape
        structure = getattr(self, "_structure", self.covariance_type)
        pruned = getattr(self, "prune_threshold", None) is not None and k < self.n_components
        for name, value, fitted, same in (
            ("covariance_type", self.covariance_type, structure, structure == self.covariance_type),
            ("n_components", self.n_components, k, pruned or k == self.n_components),
            ("features in X", n_features, d, n_features == d),
        ):
            if not same:
                raise ValueError(
                    f"{name}: {value!r} was given, but the parameters to continue from have"
                    f" {fitted!r}; fit a clone of the estimator instead"
                )

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
            check_finite=False,
        )

    def _training(self, rows, begun=False):
        """Look at the cells of X once: moments of the columns, patterns of missing cells.

        A column may be missing from rows that continue what has `begun`.
        """
        columns, patterns = column_moments(rows), None
        if not columns.finite:
            require_finite(self, rows.X, allow_nan=True)
            if holds_nan(rows.X):
                columns = observed_moments(rows)
                if not begun:
                    require_observed(self, columns)
                if not self._counts_empty_rows:
                    rows = weigh_observed(rows)
                    if not (begun or rows.weight_sum > 0.0):
                        raise ValueError("Input X contains NaN only, rows of weight 0 aside")
                rows, patterns = find_patterns(rows)
        require_moderate(columns, rows)
        return TrainingRows(rows, columns, patterns)

    def _model(self, structure, training):
        """The EM model, its floor in units of X."""
        rows, variance = training.rows, float(training.columns.variance.mean())
        floor = float(self.reg_covar)
        if not floor < 1e-3 * float(np.finfo(rows.dtype).max):
            raise ValueError(
                f"reg_covar={floor:g} is too large a variance for X in {rows.dtype}; choose a"
                " share of the variance of X, such as 1e-6"
            )
        if floor > MATERIAL_FLOOR * variance and 0.0 < variance < 1.0:
            floor *= variance
        complete_and_tied = structure.name == "tied" and training.patterns is None
        deviations = np.sqrt(training.columns.variance)
        return MixtureModel(
            structure,
            rows.dtype,
            self._inference(structure, training),
            floor,
            scatter=training.scatter if complete_and_tied else None,
            patterns=training.patterns,
            scale=np.where(deviations > 0.0, deviations, 1.0),
        )

    def _setting(self, model):
        """The parameters that a message on singular components names."""
        return (
            f"n_components={self.n_components}, covariance_type={self.covariance_type!r},"
            f" reg_covar={self.reg_covar:g}"
        )

    def _parallel(self, n_init):
        """How many starts run at a time."""
        return min(n_init, thread_count(self.n_jobs)) if self.n_jobs is not None else 1

    def _runs(self, task, model, training, given, continued, n_init, degenerate=None):
        """Solutions of all starts that did not degenerate; an error if none is left.

        What ended starts that degenerated is added to the list `degenerate`.
        """
        degenerate = [] if degenerate is None else degenerate
        streams = random_streams(self.random_state, n_init)
        at_a_time = self._parallel(n_init)
        if at_a_time > 1:
            # Computed once, before threads ask for them.
            self._prepare(training)
            rows = training.rows
            training = training.with_threads(max(1, rows.n_threads // at_a_time))
            results = joblib.Parallel(at_a_time, prefer="threads")(
                joblib.delayed(self._run)(
                    task, model, training, given, False, i, stream, degenerate
                )
                for i, stream in enumerate(streams)
            )
        else:
            results = [
                self._run(task, model, training, given, continued, i, stream, degenerate)
                for i, stream in enumerate(streams)
            ]
        sound = self._sound(results, model)
        if degenerate and given[1] is not None and sound[0].failure is None:
            warn_convergence(
                f"the start with the given means degenerated: {degenerate[0]}; k-means clusters"
                " took its place",
                stacklevel=7,
            )
        return sound

    def _prepare(self, training):
        """Compute what all starts share."""
        training.prepare(self.init_params, int(self.n_components))

    def _sound(self, results, model):
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
                f" input data. Here {failures[0]}; {self._setting(model)}."
            ) from failures[0]
        if sound and failures:
            warn_convergence(
                f"{len(failures)} of {len(results)} starts were dropped because a covariance"
                f" became singular: {failures[0]}. Increase reg_covar or decrease n_components.",
                stacklevel=8,
            )
        return sound or begun

    def _run(self, task, model, training, given, continued, number, random_state, degenerate=None):
        """One start: a Solution, or the DegenerateComponent that ended it.

        A start that degenerates is replaced by the next of its random stream. Where replacements
        degenerate too, what became of the first is returned.
        """
        degenerate = [] if degenerate is None else degenerate
        report = self._report(number)
        with task.restart(number) as run:
            if continued:
                params = self._fitted_params()
                return self._ascend(model, training, params, run, report, self.lower_bound_)
            first, params = None, None
            for attempt in range(1 + MOST_REPLACEMENTS):
                begin = self._replacement if attempt else self._initial_params
                try:
                    params = begin(model, training, given, random_state)
                    if params is None:
                        break
                    if given[0] is None and given[1] is None:
                        require_occupied(model, params)
                    outcome = self._ascend(model, training, params, run, report)
                    failure = outcome.failure
                except EmptyComponent as empty:
                    outcome, failure = params, empty
                except DegenerateComponent as error:
                    outcome = failure = error
                if not isinstance(failure, DegenerateComponent):
                    return outcome
                degenerate.append(failure)
                first = outcome if first is None else first
            if isinstance(first, Solution | DegenerateComponent):
                return first
            # Components without rows are better than no fit.
            return self._ascend(model, training, first, run, report)

    def _ascend(self, model, training, params, run, report, value=-np.inf):
        """The Solution that EM finds from `params`, whose objective is `value` if that is known."""
        model = penalize_material_floor(model, params)
        monitor = Monitor(self.max_iter, self.tol, run, self._attributes_of(model), report, value)
        solution = em(model, params, training.rows, monitor, self.acceleration)
        solution = self._refined(solution, model, training, run, report)
        if self.verbose:
            announce(
                "Initialization %s.%s",
                "converged" if solution.converged else "did not converge",
                f" lower bound {solution.value:.5f}." if self.verbose > 1 else "",
            )
        return solution

    def _refined(self, solution, model, training, run, report):
        """What an estimator makes of a run that has ended."""
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

    def _check_given(self, structure, d):
        """Weights, means and precisions to start from, None where not given."""
        return None, None, None

    def _initial_params(self, model, training, given, random_state):
        """Where EM starts from."""
        return self._params_by(self.init_params, model, training, given, random_state)

    def _replacement(self, model, training, given, random_state):
        """Where EM starts from in the place of a start that degenerated, None for nowhere.

        Starts that would be the same again are replaced by k-means clusters.
        """
        method = self.init_params if self.init_params in DRAWN else "kmeans"
        if given[1] is not None:
            method, given = "kmeans", (None, None, None)
        return self._params_by(method, model, training, given, random_state)

    def _params_by(self, method, model, training, given, random_state):
        weights, means, precisions = given
        if all(array is not None for array in given):
            return given_params(model.structure, *given)
        partition = training.partition(method, int(self.n_components), random_state, means)
        if precisions is not None:
            # The partition's own covariances are not needed, so they may be singular.
            model = model.with_floor(max(1.0, training.columns.variance.max()))
        params = partition_params(training, partition, model)
        if all(array is None for array in given):
            return params
        return replace_given(model.structure, params, weights, means, precisions)

    def _attributes_of(self, model):
        """A function from parameters to the fitted attributes that callbacks may need."""
        return lambda params: self._attributes(model, params)

    def _attributes(self, model, params):
        """Public attributes of parameters, in the dtype of X."""
        return fitted_attributes(model.structure, model.dtype, params)

    def _set_parameters(self, model, params):
        for name, value in self._attributes(model, params).items():
            setattr(self, name, value)
        self._structure = model.structure.name

    def _set_fitted(self, model, solution, weight):
        self._set_parameters(model, solution.params)
        self.converged_ = solution.converged
        self.n_iter_ = solution.n_iter
        self.lower_bound_ = solution.value
        self.lower_bounds_ = list(solution.history)
        self.objective_history_ = self._objectives(solution.history, weight)
        self.stop_reason_ = solution.reason
        self._fitted_rows = {"weight": weight, "floor": model.floor, "scale": model.scale}
        self.__dict__.pop("_stream", None)

    def _objectives(self, history, weight):
        """What `objective_history_` makes of the values that EM compares."""
        return list(history)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class EmptyComponent(DegenerateComponent):
    """A start leaves a component without rows, to which EM would never give any."""


def require_occupied(model, params):
    """Raise where a component has no rows to start from."""
    # Below 1 the prior of the weights may want it so.
    if getattr(model.inference, "concentration", 1.0) >= 1.0:
        empty = np.flatnonzero(model.inference.shares(params) == 0.0)
        if len(empty):
            raise EmptyComponent(int(empty[0]), 0.0, "has no rows to start from")


def penalize_material_floor(model, params):
    """`model`, aware of its floor where that is a material share of the variances."""
    material = float(np.max(model.penalty(params))) > MATERIAL_FLOOR * params.means.shape[1]
    return model.with_penalty(material)


def fitted_attributes(structure, dtype, params):
    """Public attributes of parameters, in the dtype of X."""
    attributes = {
        "weights_": params.weights,
        "means_": params.means,
        "covariances_": params.covariances,
        "precisions_cholesky_": params.factors,
    }
    with np.errstate(over="ignore", invalid="ignore"):
        attributes["precisions_"] = structure.precisions(params.factors)
    return in_dtype(attributes, dtype)


def in_dtype(attributes, dtype):
    """Arrays in the dtype of X; ValueError where one does not fit into it."""
    with np.errstate(over="ignore", invalid="ignore"):
        attributes = {name: value.astype(dtype) for name, value in attributes.items()}
    for name, value in attributes.items():
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} does not fit into {np.dtype(dtype)}: a covariance is too small; look for"
                " extreme sample_weight, or multiply X by a constant"
            )
    return attributes


def first_best(solutions):
    """The first of the solutions of largest value; rounding does not decide among equals."""
    best = solutions[0]
    for solution in solutions[1:]:
        if solution.value > best.value + TIE * max(1.0, abs(best.value)):
            best = solution
    return best


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
            f" {largest:.3g} and has no finite inverse; multiply X by a constant, unless it is"
            " sample_weight that leaves one row only"
        )


def require_observed(estimator, columns):
    """Raise where a column has no observed cell in a row of positive weight."""
    empty = np.flatnonzero(columns.weight <= 0.0)
    if len(empty):
        names = getattr(estimator, "feature_names_in_", None)
        name = "" if names is None else f" ({names[empty[0]]!r})"
        raise ValueError(
            f"Input X contains NaN in every row of column {empty[0]}{name}, rows of weight 0 aside;"
            " nothing can be learned about it; remove the column"
        )

"""Choosing a Gaussian mixture: numbers of components, structures and inferences side by side.

    X, weights -> Rows -> TrainingRows -> partitions -> cells of the grid -> the best of them

The rows are looked at once and partitioned once per number of components and restart; all cells
with that number of components start from the same partitions.
"""

from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from functools import lru_cache, wraps
from itertools import product
from math import nan
from numbers import Integral, Real
from time import perf_counter

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
    check_is_fitted,
    check_random_state,
    collected_warnings,
    fit_context,
    one_blas_thread,
    random_streams,
    split_folds,
    thread_count,
    warn_convergence,
)
from skgen.distributions.gaussian import STRUCTURES
from skgen.mixture.answers import MixtureAnswers
from skgen.mixture.bayesian_gaussian_mixture import BayesianGaussianMixture
from skgen.mixture.fitting import MixtureFit
from skgen.mixture.gaussian_mixture import GaussianMixture
from skgen.mixture.map_gaussian_mixture import MAPGaussianMixture
from skgen.mixture.trials import (
    Cell,
    HeldOut,
    Outcome,
    Seen,
    Trial,
    criteria,
    effort,
    fit_ready,
    held_out_values,
    no_values,
    part,
    ranks,
    side_by_side,
)

INFERENCES = {
    "ml": GaussianMixture,
    "map": MAPGaussianMixture,
    "mean_field": BayesianGaussianMixture,
}
# By name, and whether more is better.
CRITERIA = {"bic": False, "icl": False, "aic": False, "held_out": True}
# Criteria that differ by a smaller share are equal (by bytes per number).
TIES = {4: 1e-6, 8: 1e-10}
# What the search itself tells its mixtures.
OWN = {"n_components", "covariance_type", "random_state", "n_jobs", "verbose", "warm_start"}
SHARED = ("tol", "reg_covar", "max_iter", "n_init", "init_params")
FITTED = ("cv_results_", "best_estimator_", "best_params_", "best_index_", "best_score_")


def of_the_best(name):
    """The method `name` of the best estimator."""

    @wraps(getattr(MixtureAnswers, name))
    def method(self, *args, **kwargs):
        return getattr(self._best(), name)(*args, **kwargs)

    return method


def attribute_of_the_best(name):
    """The fitted attribute `name` of the best estimator."""
    return property(lambda self: getattr(self._best(), name))


class GaussianMixtureSearch(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, Estimator
):
    """Gaussian mixture whose number of components, structure and inference are chosen.

    Every combination of `n_components`, `covariance_type` and `inference` is fitted, and the best
    by `criterion` is kept. The search then answers as that mixture does.

    Parameters
    ----------
    n_components : int or sequence of int, default=(1, 2, ..., 9)
    covariance_type : str or sequence of str, default=("full", "tied", "diag", "spherical")
    inference : str or sequence of str, default=("ml",)
        "ml" is `GaussianMixture`, "map" `MAPGaussianMixture` and "mean_field"
        `BayesianGaussianMixture`.
    criterion : {"bic", "icl", "aic", "held_out"}, default="bic"
        The information criteria are those of all rows, lower is better; "held_out" is the mean log
        density of rows that a fit has not seen, higher is better. Among equals the mixture with
        fewer parameters is best.
    cv : int, splitter, iterable or None, default=5
        Folds of "held_out". A number of folds deals shuffled rows; None means 5. Splitters and
        pairs of positions as in scikit-learn.
    estimator_params : dict, default=None
        More constructor arguments, such as "acceleration" or "mean_precision_prior", for all
        mixtures that have them.
    n_init : int, default=1
        Starts of every mixture.
    init_params : str, default="kmeans"
        As in `GaussianMixture`. Partitions are made once per number of components and start, and
        shared by all structures and inferences.
    tol, reg_covar, max_iter : default=1e-3, 1e-6, 100
        As in `GaussianMixture`.
    refit : bool, default=True
        Whether to keep the best mixture. After "held_out" it is fitted to all rows once more.
    random_state : int, RandomState or None, default=None
        All mixtures start as they would with the same integer.
    n_jobs : int, default=None
        Threads. None uses all cores available to the process for one mixture at a time. An
        explicit number above 1 fits that many mixtures at a time. The result does not depend on
        it.
    verbose : int, default=0
        1 logs every mixture, to logger "skgen".

    Attributes
    ----------
    cv_results_ : dict of arrays
        One place per combination: "param_n_components", "param_covariance_type",
        "param_inference" and "params"; "bic", "icl" and "aic", or "held_out", "std_held_out" and
        "split0_held_out" to the last fold; "rank_test_score" (1 is best), "n_parameters",
        "fit_time" in seconds of EM, "converged", "n_iter" (the largest of the folds), and "error",
        the message of a fit that failed. Failed fits rank last, their criteria are NaN.
    best_index_ : int
        Place of the best.
    best_params_ : dict
    best_score_ : float
        Its criterion.
    best_estimator_ : fitted estimator
        Not with ``refit=False``.
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : ndarray
    converged_, n_iter_, n_degenerate_starts_, stop_reason_
    lower_bound_, lower_bounds_, objective_history_
        Those of `best_estimator_`.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Raises
    ------
    ValueError
        Where X, weights or parameters are unusable, or every fit fails; the message tells why the
        first did.

    References
    ----------
    Fraley and Raftery (2002), "Model-based clustering, discriminant analysis, and density
    estimation", Journal of the American Statistical Association 97.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.mixture import GaussianMixtureSearch
    >>> generator = np.random.default_rng(0)
    >>> X = generator.normal(size=(300, 2)) + 6 * generator.integers(3, size=(300, 1))
    >>> search = GaussianMixtureSearch((1, 2, 3, 4), random_state=0).fit(X)
    >>> search.best_params_["n_components"]
    3
    """

    _parameter_constraints = {
        "n_components": ["array-like", Interval(Integral, 1, None, closed="left")],
        "covariance_type": ["array-like", StrOptions(set(STRUCTURES))],
        "inference": ["array-like", StrOptions(set(INFERENCES))],
        "criterion": [StrOptions(set(CRITERIA))],
        "cv": ["cv_object"],
        "estimator_params": [dict, None],
        "refit": ["boolean"],
        "tol": [Interval(Real, 0.0, None, closed="left")],
    } | {
        name: MixtureFit._parameter_constraints[name]
        for name in (*SHARED, "random_state", "n_jobs", "verbose")
    }

    def __init__(
        self,
        n_components=tuple(range(1, 10)),
        *,
        covariance_type=("full", "tied", "diag", "spherical"),
        inference=("ml",),
        criterion="bic",
        cv=5,
        estimator_params=None,
        n_init=1,
        init_params="kmeans",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        refit=True,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.inference = inference
        self.criterion = criterion
        self.cv = cv
        self.estimator_params = estimator_params
        self.n_init = n_init
        self.init_params = init_params
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.refit = refit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Fit every combination to the rows of X and keep the best.

        Parameters
        ----------
        X : array of shape (n, d)
            NaN marks a missing cell, which is integrated out.
        y : ignored
            But shown to `cv`, where that is a splitter.
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : estimator
        """
        for name in FITTED:
            self.__dict__.pop(name, None)
        cells = self._cells()
        rows = self._admit(X, sample_weight, cells)
        seed = integer_of(self.random_state)
        self._check_params(cells, seed)
        with one_blas_thread(rows):
            if self.criterion == "held_out":
                task, outcomes = self._cross_validate(cells, rows, seed, X, y, sample_weight)
            else:
                task = self._task(len(cells), X, y, sample_weight)
                mixtures = [self._mixture(cell, seed) for cell in cells]
                seen = Seen.of(mixtures, rows)
                outcomes = [
                    self._outcome(cell, [trial], trial.values)
                    for cell, trial in zip(
                        cells, self._try(task, 0, mixtures, seen, criteria), strict=True
                    )
                ]
            results = self._results(cells, outcomes, TIES[rows.dtype.itemsize])
            best = int(results["rank_test_score"].argmin())
            self._require_success(cells, outcomes)
            trial = outcomes[best].trial
            if self.refit and self.criterion == "held_out":
                mixtures = [self._mixture(cells[best], seed)]
                seen = Seen.of(mixtures, rows)
                (trial,) = self._try(task, task.n_restarts - 1, mixtures, seen, no_values)
                if trial.error:
                    raise ValueError(
                        f"The best mixture by held-out rows, {asdict(cells[best])}, cannot be"
                        f" fitted to all rows: {trial.error}"
                    )
        self.cv_results_ = results
        self.best_index_, self.best_params_ = best, results["params"][best]
        self.best_score_ = float(results[self.criterion][best])
        if self.refit:
            trial.mixture.set_params(random_state=self.random_state, n_jobs=self.n_jobs)
            self.best_estimator_ = trial.mixture
            for message in trial.said:
                warn_convergence(message)
        task.end()
        return self

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit and return the most probable component of every row; see `fit`.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return self.fit(X, y, sample_weight).predict(X)

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

    predict = of_the_best("predict")
    predict_proba = of_the_best("predict_proba")
    score_samples = of_the_best("score_samples")
    score = of_the_best("score")
    bic = of_the_best("bic")
    aic = of_the_best("aic")
    icl = of_the_best("icl")
    sample = of_the_best("sample")
    impute = of_the_best("impute")
    marginal = of_the_best("marginal")
    conditional = of_the_best("conditional")

    weights_ = attribute_of_the_best("weights_")
    means_ = attribute_of_the_best("means_")
    covariances_ = attribute_of_the_best("covariances_")
    precisions_ = attribute_of_the_best("precisions_")
    precisions_cholesky_ = attribute_of_the_best("precisions_cholesky_")
    converged_ = attribute_of_the_best("converged_")
    n_iter_ = attribute_of_the_best("n_iter_")
    lower_bound_ = attribute_of_the_best("lower_bound_")
    lower_bounds_ = attribute_of_the_best("lower_bounds_")
    objective_history_ = attribute_of_the_best("objective_history_")
    stop_reason_ = attribute_of_the_best("stop_reason_")
    n_degenerate_starts_ = attribute_of_the_best("n_degenerate_starts_")
    _n_features_out = attribute_of_the_best("_n_features_out")

    def _best(self):
        """The mixture that answers."""
        check_is_fitted(self, "cv_results_")
        if not hasattr(self, "best_estimator_"):
            raise AttributeError(
                f"{type(self).__name__} kept no mixture because of refit=False; fit one with"
                " best_params_, or search with refit=True"
            )
        return self.best_estimator_

    def _cells(self):
        """The combinations, none twice."""
        numbers = values_of(self.n_components, Integral)
        if not all(isinstance(k, Integral) and k >= 1 for k in numbers):
            raise ValueError(
                "n_components must be an int or ints of at least 1, but"
                f" {self.n_components!r} was given"
            )
        known = {"covariance_type": STRUCTURES, "inference": INFERENCES}
        named = {name: values_of(getattr(self, name), str) for name in known}
        for name, values in named.items():
            if not all(isinstance(value, str) and value in known[name] for value in values):
                raise ValueError(
                    f"{name} must be among {sorted(known[name])}, but"
                    f" {getattr(self, name)!r} was given"
                )
        for name, values in (("n_components", numbers), *named.items()):
            if not values:
                raise ValueError(f"{name} is empty; give at least one value")
        grid = product(map(int, numbers), *named.values())
        return list(dict.fromkeys(Cell(k, str(kind), str(how)) for k, kind, how in grid))

    def _admit(self, X, sample_weight, cells):
        """Rows, cut as the largest cell needs it."""
        return admit(
            self,
            X,
            sample_weight,
            reset=True,
            n_threads=thread_count(self.n_jobs),
            row_work=lambda d: 2.0 * float(d) * max(effort(cell, d) for cell in cells),
            min_rows=max(INFERENCES[cell.inference]._fewest_rows for cell in cells),
            check_finite=False,
        )

    def _mixture(self, cell, seed):
        """The unfitted estimator of a cell."""
        own = {name: getattr(self, name) for name in SHARED}
        more = self.estimator_params or {}
        known = arguments_of(cell.inference)
        mixture = INFERENCES[cell.inference](
            n_components=cell.n_components,
            covariance_type=cell.covariance_type,
            random_state=seed,
            **own,
            **{name: deepcopy(value) for name, value in more.items() if name in known},
        )
        mixture.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            mixture.feature_names_in_ = self.feature_names_in_
        return mixture

    def _check_params(self, cells, seed):
        """Raise unless `estimator_params` are valid, and some mixture's but not the search's."""
        more = self.estimator_params or {}
        first = {cell.inference: cell for cell in cells}
        for name in more:
            if name in OWN or name in SHARED:
                raise ValueError(
                    f"estimator_params has {name!r}, which is the search's own; give it to"
                    f" {type(self).__name__}, or leave it out"
                )
            if not any(name in arguments_of(inference) for inference in first):
                raise ValueError(
                    f"estimator_params has {name!r}, which no mixture of inference"
                    f" {self.inference!r} takes"
                )
        for cell in first.values():
            try:
                self._mixture(cell, seed)._validate_params()
            except ValueError as error:
                raise ValueError(f"estimator_params for {sorted(more)}: {error}") from error

    def _task(self, n_fits, X, y, sample_weight):
        return FitTask(
            self,
            X,
            y,
            sample_weight,
            n_restarts=n_fits,
            sequential=self._at_a_time(n_fits) == 1,
        )

    def _at_a_time(self, n_fits):
        """How many fits run at a time."""
        return min(n_fits, thread_count(self.n_jobs)) if self.n_jobs is not None else 1

    def _try(self, task, first, mixtures, seen, judge):
        """A `Trial` of each mixture; they are numbers `first` and so on of the task."""
        at_a_time = self._at_a_time(len(mixtures))
        n_threads = max(1, seen.rows.n_threads // at_a_time)
        seen.prepare(mixtures)
        seen = seen.with_threads(n_threads)
        starts = self._share_starts(mixtures, seen, at_a_time)

        def attempt(number):
            trial = self._attempt(task, first + number, mixtures[number], seen, judge)
            trial.said = starts.get(trial.mixture.n_components, []) + trial.said
            return trial

        # The longest first, so that none of them is left to the end.
        d = seen.rows.n_features
        order = sorted(range(len(mixtures)), key=lambda i: -effort(mixtures[i], d))
        if at_a_time == 1:
            order = range(len(mixtures))
        trials = side_by_side(attempt, order, at_a_time)
        return [trial for _, trial in sorted(zip(order, trials, strict=True))]

    def _share_starts(self, mixtures, seen, at_a_time):
        """Draw the partitions of all numbers of components; what was said, by number."""
        drawn, said = {}, {}
        for mixture in mixtures:
            k, training = mixture.n_components, seen.trainings[mixture._counts_empty_rows]
            given = getattr(mixture, "means_init", None) is not None
            if not given and k <= training.rows.n_rows:
                drawn.setdefault((k, id(training.drawn)), (mixture, training))

        def draw(start):
            mixture, training = start
            k = mixture.n_components
            # The fit will say what is wrong.
            with collected_warnings() as messages, suppress(ValueError):
                for stream in random_streams(mixture.random_state, self.n_init):
                    training.partition(mixture.init_params, k, stream)
            # As large as X, for every k.
            training.rounded.pop(k, None)
            return k, messages

        starts = sorted(drawn.values(), key=lambda start: -start[0].n_components)
        for k, messages in side_by_side(draw, starts, at_a_time):
            said.setdefault(k, messages)
        return said

    def _attempt(self, task, number, mixture, seen, judge):
        """Fit one mixture."""
        trial = Trial(mixture)
        with collected_warnings() as trial.said, task.fit_of(mixture, number):
            started = perf_counter()
            try:
                fit_ready(mixture, seen.trainings[mixture._counts_empty_rows])
                trial.seconds = perf_counter() - started
                trial.values = judge(mixture, seen)
            except ValueError as error:
                trial.seconds = perf_counter() - started
                trial.error = str(error)
        if self.verbose:
            value = trial.values.get(self.criterion)
            announce(
                "%s, %d components, %s: %s in %.3f s",
                type(mixture).__name__,
                mixture.n_components,
                mixture.covariance_type,
                trial.error or ("fitted" if value is None else f"{self.criterion} {value:.6g}"),
                trial.seconds,
            )
        return trial

    def _cross_validate(self, cells, rows, seed, X, y, sample_weight):
        """The task, with room for a last fit, and the outcomes by held-out rows."""
        folds = self._folds(rows, seed, y)
        # What is wrong with all rows is said of all rows.
        self._mixture(cells[0], seed)._training(rows)
        task = self._task(len(cells) * len(folds) + bool(self.refit), X, y, sample_weight)
        trials, weights = [], []
        for number, (train, test) in enumerate(folds):
            mixtures = [self._mixture(cell, seed) for cell in cells]
            known, new = part(rows, train), part(rows, test)
            if not known.weight_sum > 0.0:
                raise ValueError(f"sample_weight leaves fold {number} no weight to train on")
            seen = Seen.of(mixtures, known)
            judge = HeldOut.of(new)
            trials.append(self._try(task, number * len(cells), mixtures, seen, judge))
            weights.append(new.weight_sum)
        if not sum(weights) > 0.0:
            raise ValueError(f"sample_weight leaves cv={self.cv!r} no weight to hold out")
        share = np.asarray(weights) / sum(weights)
        return task, [
            self._outcome(cell, fits, held_out_values(fits, share))
            for cell, fits in zip(cells, zip(*trials, strict=True), strict=True)
        ]

    def _folds(self, rows, seed, y):
        """Pairs of positions to train on and to hold out."""
        folds, n = [], rows.n_rows
        for pair in split_folds(self.cv, rows.X, y, seed):
            train, test = (np.atleast_1d(positions) for positions in pair)
            for positions in (train, test):
                sound = positions.ndim == 1 and len(positions)
                if positions.dtype == bool:
                    sound = sound and len(positions) == n and positions.any()
                else:
                    sound = sound and positions.dtype.kind in "iu" and (abs(positions) < n).all()
                if not sound:
                    raise ValueError(
                        f"cv={self.cv!r} gives a fold whose rows to train on or to hold out are"
                        f" not positions among {n} rows, or none"
                    )
            folds.append((train, test))
        if not folds:
            raise ValueError(f"cv={self.cv!r} gives no folds")
        return folds

    def _outcome(self, cell, trials, values):
        """The `Outcome` of a cell."""
        error = next((trial.error for trial in trials if trial.error), "")
        fitted = [trial.mixture for trial in trials if not error]
        n_parameters = cell.n_parameters(self.n_features_in_)
        if len(fitted) == 1:
            n_parameters = fitted[0]._n_parameters()
        return Outcome(
            {} if error else values,
            sum(trial.seconds for trial in trials),
            bool(fitted) and all(mixture.converged_ for mixture in fitted),
            max((mixture.n_iter_ for mixture in fitted), default=0),
            n_parameters,
            error,
            trials[0],
        )

    def _results(self, cells, outcomes, tie):
        """`cv_results_`."""
        params = [asdict(cell) for cell in cells]
        results = {f"param_{name}": np.array([p[name] for p in params]) for name in params[0]}
        results["params"] = params
        names = dict.fromkeys(name for outcome in outcomes for name in outcome.values)
        for name in dict.fromkeys((self.criterion, *names)):
            results[name] = np.array([outcome.values.get(name, nan) for outcome in outcomes])
        sign = -1.0 if CRITERIA[self.criterion] else 1.0
        n_parameters = [outcome.n_parameters for outcome in outcomes]
        costs = [sign * float(value) for value in results[self.criterion]]
        results["rank_test_score"] = ranks(costs, n_parameters, tie)
        results["n_parameters"] = np.array(n_parameters)
        results["fit_time"] = np.array([outcome.seconds for outcome in outcomes])
        results["converged"] = np.array([outcome.converged for outcome in outcomes])
        results["n_iter"] = np.array([outcome.n_iter for outcome in outcomes])
        results["error"] = np.array([outcome.error for outcome in outcomes])
        return results

    def _require_success(self, cells, outcomes):
        """Warn of fits that failed; raise where all did."""
        failed = [(cell, o.error) for cell, o in zip(cells, outcomes, strict=True) if o.error]
        if not failed:
            return
        cell, error = failed[0]
        more = self.estimator_params
        given = f" with estimator_params for {sorted(more)}" if more else ""
        first = f"{asdict(cell)}{given}: {error}"
        if len(failed) == len(cells):
            raise ValueError(f"All {len(cells)} fits of the search failed; the first, {first}")
        warn_convergence(
            f"{len(failed)} of {len(cells)} fits of the search failed and rank last; the first,"
            f" {first}",
            stacklevel=5,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


@lru_cache
def arguments_of(inference):
    """Names of the constructor arguments."""
    return frozenset(INFERENCES[inference]._get_param_names())


def values_of(given, kind):
    """One value or several, as a list."""
    return [given] if isinstance(given, kind) else list(np.atleast_1d(given).tolist())


def integer_of(random_state):
    """An integer that as many fits as there are may start from."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))

"""Probabilistic PCA: principal components as a density, fitted where cells are missing too.

    x ~ N(mean, W W' + s I),      W (d, q)

Tipping and Bishop (1999); Ilin and Raiko (2010) for missing values. The mathematics is in
`skgen.distributions.latent_linear`.
"""

import warnings
from dataclasses import astuple, replace
from numbers import Integral, Real

import numpy as np
from scipy import linalg

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
    check_weight,
    fit_context,
    one_blas_thread,
    require_finite,
    thread_count,
    warn_convergence,
)
from skgen.decomposition.pca import count_rows
from skgen.decomposition.spectrum import SolverOptions, choose_solver, find_spectrum, of_moments
from skgen.distributions import latent_linear as latent
from skgen.distributions.missing import holds_nan
from skgen.rows import Block
from skgen.solvers.acceleration import ACCELERATIONS
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor
from skgen.statistics import (
    ScatterMoments,
    centered,
    column_moments,
    near_rows,
    observed_moments,
    outer_sums,
    scatter_moments,
)

# Columns up to which complete rows are fitted by their scatter matrix.
MOST_COLUMNS = 3000


class ProbabilisticPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, Estimator):
    """Probabilistic principal component analysis.

    Parameters
    ----------
    n_components : int, default=None
        Latent variables q, fewer than columns; None for min(n, d) - 1.
    solver : {"auto", "closed_form", "em"}, default="auto"
        "auto" takes the closed form where no cell is missing and there is no prior.
    component_precision_prior : float, default=None
        Precision of a normal prior of mean 0 on every entry of W, in 1 / (units of X)^2; the fit is
        then the maximum of the posterior. None is maximum likelihood. A strong prior leaves
        components of length 0.
    tol : float, default=1e-4
        EM has converged when the objective per unit of weight changes by less, in nats.
    max_iter : int, default=500
    acceleration : {"squarem", "anderson"} or None, default="squarem"
        Extrapolates EM, which is slow where there is little noise; None for plain EM.
    learning_decay, learning_offset : float, default=0.7, 2.0
        Step sizes (t + learning_offset) ^ -learning_decay of `partial_fit` with missing cells.
    warm_start : bool, default=False
        Begin EM with what the last fit found.
    random_state : int, RandomState or None, default=None
        For `sample` and the start of truncated eigensolvers.
    verbose : int, default=0
    verbose_interval : int, default=10
    n_jobs : int, default=None
        Threads; None uses all cores. The result does not depend on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, d)
        The columns of W: orthogonal, longest first, the largest loading of each positive.
    mean_ : ndarray of shape (d,)
    noise_variance_ : float
        s, at least 1e-10 of the mean variance of the columns.
    explained_variance_ : ndarray of shape (n_components,)
        Variance along each component, ``|w|^2 + s`` (divisor: sum of weights).
    explained_variance_ratio_ : ndarray of shape (n_components,)
        As shares of the variance of the model.
    n_components_ : int
    lower_bound_ : float
        Log likelihood, plus log prior, per unit of weight.
    objective_history_ : list of float
        The same, of every iteration; it never falls.
    n_iter_, converged_, stop_reason_ : int, bool, str
        How EM ended; 1 and True for the closed form.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    A missing cell is integrated out; that is right where cells are missing at random (Rubin 1976).
    A row without any observed cell says nothing. With all cells observed and no prior, directions
    and variances are those of `PCA`, with the sum of weights as divisor.

    References
    ----------
    Tipping and Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    Ilin and Raiko (2010), "Practical approaches to principal component analysis in the presence of
    missing values", JMLR 11.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.decomposition import ProbabilisticPCA
    >>> X = np.array([[1.0, 2.0], [2.0, 4.1], [3.0, np.nan], [4.0, 7.9]])
    >>> ProbabilisticPCA(1).fit(X).impute(X)[2].round(1)
    array([3., 6.])
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "solver": [StrOptions({"auto", "closed_form", "em"})],
        "component_precision_prior": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "acceleration": [StrOptions(set(ACCELERATIONS)), None],
        "learning_decay": [Interval(Real, 0.5, 1.0, closed="right")],
        "learning_offset": [Interval(Real, 1.0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_components=None,
        *,
        solver="auto",
        component_precision_prior=None,
        tol=1e-4,
        max_iter=500,
        acceleration="squarem",
        learning_decay=0.7,
        learning_offset=2.0,
        warm_start=False,
        random_state=None,
        verbose=0,
        verbose_interval=10,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.solver = solver
        self.component_precision_prior = component_precision_prior
        self.tol = tol
        self.max_iter = max_iter
        self.acceleration = acceleration
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Estimate W, the mean and the noise from the rows of X.

        Parameters
        ----------
        X : array of shape (n, d), n > 1, d > 1
            NaN marks a missing cell.
        y : ignored
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : ProbabilisticPCA

        Raises
        ------
        ValueError
            Also where a column has no observed cell, `n_components` is not smaller than the number
            of columns, or the closed form is asked for and does not exist.
        """
        self._fit(X, y, sample_weight)
        return self

    @fit_context
    def fit_transform(self, X, y=None, sample_weight=None):
        """Fit, and return the posterior means of the rows; see `fit` and `transform`.

        Returns
        -------
        Z : ndarray of shape (n, n_components)
        """
        rows = self._fit(X, y, sample_weight)
        return self._latent(rows, False)

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Add rows to those of earlier calls.

        While no cell is missing the result is that of `fit` on all rows so far, whatever the
        batches: their mean and scatter matrix (d, d) are kept and merged exactly. From the first
        batch with a missing cell on every call is a step of stepwise EM (Cappe and Moulines 2009):
        expected moments per row become (1 - g) times the old plus g times those of X, g = (t +
        learning_offset) ^ -learning_decay after t calls. `fit` keeps nothing to go on from: the
        first call after it begins anew, with a warning.

        Parameters
        ----------
        X : array of shape (n, d)
            The first call needs two rows, and observed cells in every column.
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : ProbabilisticPCA
        """
        stream = getattr(self, "_stream", None)
        if stream is None:
            if hasattr(self, "components_"):
                warnings.warn(
                    "partial_fit begins anew: fit keeps nothing that rows could be added to",
                    UserWarning,
                    stacklevel=3,
                )
            self._fit(X, y, sample_weight, keep=True)
            return self
        rows = self._admit(X, sample_weight, reset=False, min_rows=1)
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        with task.restart() as run, one_blas_thread(rows):
            run.begin()
            _, incomplete = self._look(rows, begun=True)
            self._continue(restored(stream), rows, incomplete)
            run.end(lambda: {})
        task.end()
        return self

    def transform(self, X, return_covariance=False):
        """Posterior means of the latent variables.

        Parameters
        ----------
        X : array of shape (n, d)
            NaN marks a missing cell.
        return_covariance : bool, default=False

        Returns
        -------
        Z : ndarray of shape (n, n_components), float32 for float32 X
            E z, which is nearer to 0 the more noise there is and the more cells are missing.
        covariance : ndarray of shape (n, n_components, n_components), float64
            Of every row's latent variables, with ``return_covariance=True``.
        """
        check_is_fitted(self)
        return self._latent(self._admit_new(X), return_covariance)

    def inverse_transform(self, X):
        """Means of rows that have these latent variables: Z W' + mean.

        Parameters
        ----------
        X : array of shape (n, n_components)

        Returns
        -------
        X_original : ndarray of shape (n, d)
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if X.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} has {self.n_components_}"
                " components"
            )
        return X @ self.components_ + self.mean_

    def impute(self, X):
        """Rows with the conditional mean, given their observed cells, in the place of missing ones.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        X_complete : ndarray of shape (n, d), of X's dtype
        """
        check_is_fitted(self)
        rows = self._admit_new(X)
        with one_blas_thread(rows):
            return rows.map(_impute, self._prepared(), np.empty(rows.X.shape, rows.dtype))

    def score_samples(self, X):
        """Log density of rows, of their observed cells where cells are missing.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_density : ndarray of shape (n,), in nats
        """
        check_is_fitted(self)
        rows = self._admit_new(X)
        with one_blas_thread(rows):
            return rows.map(_log_density, self._prepared(), np.empty(rows.n_rows))

    def score(self, X, y=None, sample_weight=None):
        """Mean log density of rows, weighted.

        Parameters
        ----------
        X : array of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float, in nats per row
        """
        log_density = self.score_samples(X)
        weight = None
        if sample_weight is not None:
            weight = check_weight(sample_weight, log_density[:, None])
        with np.errstate(over="ignore"):
            return float(np.average(log_density, weights=weight))

    def sample(self, n_samples=1):
        """Rows drawn from the model.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, d)
        """
        check_is_fitted(self)
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} must be an int of at least 1")
        stream = check_random_state(self.random_state)
        q, d = self.components_.shape
        z = stream.normal(size=(n_samples, q))
        noise = np.sqrt(self.noise_variance_) * stream.normal(size=(n_samples, d))
        return (z @ self.components_ + self.mean_ + noise).astype(self.components_.dtype)

    def get_covariance(self):
        """The covariance matrix of the model, W W' + s I.

        Returns
        -------
        covariance : ndarray of shape (d, d)
        """
        check_is_fitted(self)
        covariance = self.components_.T @ self.components_
        covariance.flat[:: len(covariance) + 1] += self.noise_variance_
        return covariance

    def get_precision(self):
        """The inverse of the covariance matrix.

        Returns
        -------
        precision : ndarray of shape (d, d)
        """
        check_is_fitted(self)
        model = self._model_params()
        inner = linalg.solve(model.gram, model.loadings.T, assume_a="pos", check_finite=False)
        precision = -(model.loadings / model.noise) @ (inner / model.noise)
        precision.flat[:: len(precision) + 1] += 1.0 / model.noise
        return precision.astype(self.components_.dtype)

    def _admit(self, X, sample_weight, *, reset, min_rows):
        q = self.n_components or 1
        return admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            row_work=lambda d: 4.0 * d * min(q, d) ** 2,
            min_rows=min_rows,
            check_finite=False,
        )

    def _admit_new(self, X):
        rows = self._admit(X, None, reset=False, min_rows=1)
        require_finite(self, rows.X, allow_nan=True)
        return rows

    def _fit(self, X, y, sample_weight, keep=False):
        """Fit; returns the rows. What `partial_fit` goes on from is kept if asked."""
        rows = self._admit(X, sample_weight, reset=True, min_rows=2)
        q = self._check_count(rows)
        task = FitTask(self, X, y, sample_weight, max_iter=self.max_iter)
        with task.restart() as run, one_blas_thread(rows):
            columns, incomplete = self._look(rows)
            variance = float(columns.variance.mean())
            self._require_moderate(columns, rows)
            floor = latent.NOISE_FLOOR * variance if variance > 0.0 else np.finfo(rows.dtype).tiny
            deviations = np.sqrt(columns.variance)
            scale = np.where(deviations > 0.0, deviations, 1.0)
            precision = float(self.component_precision_prior or 0.0)
            iterate = incomplete or precision > 0.0 or self.solver == "em"
            if self.solver == "closed_form" and iterate:
                raise ValueError(
                    "solver='closed_form' needs rows without missing cells and"
                    " component_precision_prior=None; use solver='em' or 'auto'"
                )
            scatter = None
            if not incomplete and (iterate or keep or rows.n_features <= MOST_COLUMNS):
                scatter = scatter_moments(rows)
            start = self._start(rows, columns, scatter, incomplete, q, floor)
            step = latent.e_step if incomplete else latent.moments_of_scatter
            model = latent.ProbabilisticPCAModel(step, floor, precision, scale)
            source = rows if incomplete else latent.OneSum(scatter)
            if iterate:
                solution = self._ascend(model, self._warm(start), source, run, rows.dtype)
                params, history = solution.params, list(solution.history)
                self.n_iter_, self.converged_ = solution.n_iter, solution.converged
                self.stop_reason_ = solution.reason
            else:
                run.begin()
                params = start
                history = [self._value(params, rows, scatter)]
                self.n_iter_, self.converged_ = 1, True
                self.stop_reason_ = "closed form"
                if self.verbose:
                    announce("Closed form, objective %.5f", history[0])
                run.end(lambda: {})
            self._set_parameters(params, rows.dtype)
            self.objective_history_, self.lower_bound_ = history, history[-1]
            self.__dict__.pop("_stream", None)
            if keep:
                stream = {"steps": 1, "floor": floor, "scale": scale, "params": params}
                if incomplete:
                    moments = rows.sum(latent.e_step, model.prepare(params))
                    stream["moments"] = moments.scaled(1.0 / moments.weight)
                    stream["seen"] = moments.weight
                else:
                    stream["scatter"] = scatter
                self._stream = stored(stream)
        if iterate and not self.converged_ and "callback" not in self.stop_reason_:
            change = history[-1] - history[-2] if len(history) > 1 else np.inf
            warn_convergence(
                f"EM did not converge: {self.stop_reason_}. The last change of the objective was"
                f" {change:.3g}, tol={self.tol:g}. Increase max_iter or tol; where few cells are"
                " observed, fewer n_components or a component_precision_prior help."
            )
        task.end()
        return rows

    def _check_count(self, rows):
        """The number of latent variables."""
        d = rows.n_features
        if d < 2:
            raise ValueError(
                f"n_features={d}: there is no direction left for the noise; probabilistic PCA needs"
                " at least 2 columns"
            )
        if self.n_components is None:
            return max(min(count_rows(rows), d) - 1, 1)
        if self.n_components >= d:
            raise ValueError(
                f"n_components={self.n_components} must be smaller than n_features={d}, for some"
                " direction must be left for the noise"
            )
        return int(self.n_components)

    def _look(self, rows, begun=False):
        """Moments of the columns, and whether a cell is missing."""
        columns = column_moments(rows)
        if columns.finite:
            return columns, False
        require_finite(self, rows.X, allow_nan=True)
        if not holds_nan(rows.X):
            return columns, False
        columns = observed_moments(rows)
        empty = np.flatnonzero(columns.weight <= 0.0)
        if len(empty) and not begun:
            names = getattr(self, "feature_names_in_", None)
            name = "" if names is None else f" ({names[empty[0]]!r})"
            raise ValueError(
                f"Input X contains NaN in every row of column {empty[0]}{name}, rows of weight 0"
                " aside; nothing can be learned about it; remove the column"
            )
        return columns, True

    @staticmethod
    def _require_moderate(columns, rows):
        limit = 1e-3 * float(np.finfo(rows.dtype).max)
        largest = float(np.max(columns.variance, initial=0.0))
        if not largest * rows.n_features < limit:
            raise ValueError(
                f"X has values too large to square in {rows.dtype}: a column has a variance of"
                f" {largest:.3g}; divide X by a constant, or remove its outliers"
            )
        if 0.0 < largest < 1.0 / limit:
            raise ValueError(
                f"X has too little spread for {rows.dtype}: the largest variance of a column is"
                f" {largest:.3g}; multiply X by a constant"
            )

    def _start(self, rows, columns, scatter, incomplete, q, floor):
        """The closed form; for missing cells, of rows with the means of the columns in them."""
        n, d = rows.n_rows, rows.n_features
        rank = max(min(n - 1, d), 1)
        if incomplete:
            scatter = _imputed_scatter(rows, columns.mean)
        if scatter is not None:
            spectrum = of_moments(scatter, q, rank)
        else:
            options = SolverOptions(check_random_state(self.random_state))
            count = min(q, n, d)
            solver = choose_solver(n, d, count, False)
            spectrum = find_spectrum(rows, solver, count, options, lambda *results: None)
        params = latent.closed_form(
            spectrum.mean,
            spectrum.components,
            spectrum.squares / spectrum.weight,
            spectrum.total / spectrum.weight,
            floor,
        )
        if incomplete:
            # Loadings of zero would be a saddle.
            least = 1e-3 * np.sqrt(max(float(columns.variance.mean()), floor))
            lengths = np.sqrt((params.loadings**2).sum(axis=0))
            directions = spectrum.components.T[:, : params.loadings.shape[1]]
            params = replace(params, loadings=directions * np.maximum(lengths, least))
        return params

    def _warm(self, start):
        """What the last fit found, where that is asked for and fits."""
        if not (self.warm_start and hasattr(self, "components_")):
            return start
        if self.components_.T.shape != start.loadings.shape:
            return start
        return self._model_params()

    def _value(self, params, rows, scatter):
        """The log likelihood per unit of weight."""
        if scatter is not None:
            prepared = latent.Prepared.of(params)
            return latent.moments_of_scatter(scatter, prepared).log_norm / scatter.weight
        found = rows.map(_log_density, (latent.Prepared.of(params)), np.empty(rows.n_rows))
        return float(np.average(found, weights=rows.weight))

    def _ascend(self, model, start, source, run, dtype):
        report = None
        if self.verbose:
            announce("EM, at most %d iterations", self.max_iter)

            def report(iteration, value, change):
                if iteration % self.verbose_interval == 0:
                    announce(
                        "  Iteration %d\t objective %.5f\t change %.5f", iteration, value, change
                    )

        monitor = Monitor(
            self.max_iter, self.tol, run, lambda params: self._attributes(params, dtype), report
        )
        return em(model, start, source, monitor, self.acceleration)

    def _continue(self, stream, rows, incomplete):
        """Add rows to a stream and update the fitted attributes."""
        precision = float(self.component_precision_prior or 0.0)
        dtype, steps = self.components_.dtype, stream["steps"]
        params = stream["params"]
        if "scatter" in stream and not incomplete:
            moments = scatter_moments(rows)
            if not (np.isfinite(moments.scatter).all() and np.isfinite(moments.mean).all()):
                require_finite(self, rows.X)
                raise ValueError(
                    f"X has values too large to square in {rows.dtype}; divide X by a constant"
                )
            before = stream["scatter"]
            total = ScatterMoments(before.weight, before.mean, before.scatter.copy()).merge(moments)
            stream["scatter"] = total
            variances = np.diagonal(total.scatter) / total.weight
            mean_variance = float(variances.mean())
            if mean_variance > 0.0:
                stream["floor"] = latent.NOISE_FLOOR * mean_variance
            q = self.n_components_
            spectrum = of_moments(total, q, len(total.mean))
            params = latent.closed_form(
                spectrum.mean, spectrum.components, spectrum.squares / total.weight,
                spectrum.total / total.weight, stream["floor"],
            )  # fmt: skip
            model = latent.ProbabilisticPCAModel(
                latent.moments_of_scatter, stream["floor"], precision, stream["scale"]
            )
            if precision > 0.0 or self.solver == "em":
                solution = em(model, params, latent.OneSum(total), Monitor(self.max_iter, self.tol))
                params = solution.params
            value = model.value(
                params, latent.moments_of_scatter(total, latent.Prepared.of(params))
            )
        else:
            model = latent.ProbabilisticPCAModel(
                latent.e_step, stream["floor"], precision, stream["scale"]
            )
            prepared = model.prepare(params)
            if "scatter" in stream:
                # The first missing cell: what came before becomes one block.
                kept = latent.moments_of_scatter(stream.pop("scatter"), prepared)
                stream["moments"] = kept.scaled(1.0 / kept.weight)
                stream["seen"] = kept.weight
            moments = rows.sum(latent.e_step, prepared)
            if not moments.weight > 0.0:
                return
            seen = stream.get("seen", 0.0) + moments.weight
            rate = (steps + self.learning_offset) ** -self.learning_decay
            per_row = stream["moments"].about(params.mean).scaled(1.0 - rate)
            per_row = per_row.merge(moments.scaled(rate / moments.weight))
            stream["moments"], stream["seen"] = per_row, seen
            value = moments.log_norm / moments.weight + model.regularizer(params) / seen
            params = model.m_step(params, per_row.scaled(seen))
        stream["steps"], stream["params"] = steps + 1, params
        self._set_parameters(params, dtype)
        self._stream = stored(stream)
        self.n_iter_, self.converged_ = stream["steps"], False
        self.stop_reason_ = f"{stream['steps']} calls of partial_fit so far"
        self.objective_history_ = [*self.objective_history_, float(value)]
        self.lower_bound_ = float(value)

    def _attributes(self, params, dtype):
        """Public attributes of parameters, in the dtype of X."""
        principal = params.principal()
        lengths = (principal.loadings**2).sum(axis=0)
        total = float(lengths.sum()) + len(params.mean) * params.noise
        variances = lengths + params.noise
        attributes = {
            "components_": principal.loadings.T,
            "mean_": params.mean,
            "explained_variance_": variances,
            "explained_variance_ratio_": variances / total,
        }
        with np.errstate(over="ignore"):
            attributes = {
                name: np.ascontiguousarray(value, dtype=dtype) for name, value in attributes.items()
            }
        for name, value in attributes.items():
            if not np.isfinite(value).all():
                raise ValueError(f"{name} does not fit into {dtype}; divide X by a constant")
        count = params.loadings.shape[1]
        return attributes | {"noise_variance_": float(params.noise), "n_components_": count}

    def _set_parameters(self, params, dtype):
        for name, value in self._attributes(params, dtype).items():
            setattr(self, name, value)

    def _model_params(self):
        return latent.LatentLinear(
            self.mean_.astype(np.float64),
            self.components_.T.astype(np.float64),
            float(self.noise_variance_),
        )

    def _prepared(self):
        return latent.Prepared.of(self._model_params())

    def _latent(self, rows, return_covariance):
        q = self.n_components_
        prepared = self._prepared()
        dtype = np.result_type(rows.dtype, self.components_.dtype)
        with one_blas_thread(rows):
            if not return_covariance:
                return rows.map(_latent_means, prepared, np.empty((rows.n_rows, q), dtype))
            both = rows.map(_latent_moments, prepared, np.empty((rows.n_rows, q + q * q)))
        covariance = both[:, q:].reshape(rows.n_rows, q, q)
        return both[:, :q].astype(dtype), np.ascontiguousarray(covariance)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "components_")

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


# What a stream holds besides numbers and arrays.
PARTS = {
    "params": latent.LatentLinear,
    "moments": latent.LatentMoments,
    "scatter": ScatterMoments,
}


def stored(stream):
    """A stream as plain arrays and numbers, which are pickled with the estimator."""
    return {name: astuple(x) if name in PARTS else x for name, x in stream.items()}


def restored(stream):
    """The stream that `stored` took apart."""
    return {name: PARTS[name](*x) if name in PARTS else x for name, x in stream.items()}


def _imputed_scatter(rows, mean):
    """`ScatterMoments` of the rows with the means of columns in the place of missing cells."""
    _, scale = near_rows(rows)
    origin = np.ascontiguousarray(mean, dtype=rows.dtype)
    total = rows.sum(_imputed_sums, (origin, scale))
    d = rows.n_features
    return centered(total.weight, total.sums[d, :d], total.sums[:d, :d], origin, scale)[0]


def _imputed_sums(block, params):
    origin, _ = params
    X = np.where(np.isnan(block.X), origin, block.X)
    return outer_sums(Block(X, block.weight, block.target, block.start), params)


def _incomplete(X):
    return np.isnan(np.add.reduce(X, axis=None))


def _log_density(block, prepared):
    q = prepared.model.loadings.shape[1]
    # Set for every thread. Too far away for squares: the density is 0.
    with np.errstate(over="ignore", invalid="ignore"):
        if not _incomplete(block.X):
            found = latent.complete_log_density(block.X, prepared.model)
        else:
            found = np.concatenate(
                [
                    latent.posterior(block.X[piece], prepared).log_density
                    for piece in latent.pieces(len(block), q)
                ]
            )
    found[np.isnan(found)] = -np.inf
    return found


def _latent_means(block, prepared):
    model = prepared.model
    if not _incomplete(block.X):
        gain = linalg.solve(
            model.gram, model.loadings.T / model.noise, assume_a="pos", check_finite=False
        )
        return (block.X - model.mean) @ gain.T
    q = model.loadings.shape[1]
    found = [
        latent.posterior(block.X[piece], prepared).mean.T for piece in latent.pieces(len(block), q)
    ]
    return np.concatenate(found)


def _latent_moments(block, prepared):
    """Means and covariances (b, q + q^2)."""
    q = prepared.model.loadings.shape[1]
    rows, columns = np.tril_indices(q)
    out = np.empty((len(block), q + q * q))
    for piece in latent.pieces(len(block), q):
        found = latent.posterior(block.X[piece], prepared)
        out[piece, :q] = found.mean.T
        out[piece, q + rows * q + columns] = found.covariance.T
        out[piece, q + columns * q + rows] = found.covariance.T
    return out


def _impute(block, prepared):
    missing = np.isnan(block.X)
    if not missing.any():
        return block.X
    model = prepared.model
    z = _latent_means(block, prepared)
    filled = block.X.copy()
    fitted = z @ model.loadings.T + model.mean
    filled[missing] = fitted[missing]
    return filled

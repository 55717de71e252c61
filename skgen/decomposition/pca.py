"""Principal component analysis: the directions along which rows vary most.

    maximize over orthonormal V (k, d):  sum over rows of weight * |V (x - mean)|^2

Pearson (1901); Hotelling (1933).
"""

from numbers import Integral, Real

import numpy as np

from skgen.base import (
    FitTask,
    Interval,
    StrOptions,
    admit,
    check_random_state,
    fit_context,
    one_blas_thread,
    require_finite,
    thread_count,
    warn_convergence,
)
from skgen.decomposition import dimension
from skgen.decomposition.projection import PrincipalComponents
from skgen.decomposition.spectrum import (
    COMPLETE,
    TRUNCATED,
    SolverOptions,
    choose_solver,
    find_spectrum,
    of_moments,
)
from skgen.rows import Rows
from skgen.statistics import scatter_moments

# Columns beyond which the products of a row are not one piece of work.
MOST_WORK = 2000
CHOICES = ("mle", "parallel_analysis", "held_out")


class PCA(PrincipalComponents):
    """Principal component analysis.

    Parameters, attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    n_components : int, float in (0, 1), None or str, default=None
        Number of components; the fewest that hold more than this share of the variance; all
        min(n, d); or how to choose the number: "mle" by the evidence of the probabilistic model
        (Minka 2000), "parallel_analysis" those with more variance than columns without correlation
        would show in 95 % of data sets (Horn 1965), "held_out" by the likelihood of held-out rows.
    copy : bool, default=True
        Accepted for compatibility; X is never modified.
    whiten : bool, default=False
        Divide coordinates by their standard deviations.
    svd_solver : {"auto", "full", "covariance_eigh", "gram", "block_lanczos", "arpack", \
"randomized"}, default="auto"
        "auto" chooses by the shape, and an exact solver wherever one is in reach. "full" has twice
        the digits of the others for components with little variance. "gram" is for few rows of many
        columns. "block_lanczos" and "arpack" find few components to the accuracy `tol`,
        "randomized" as well as a fixed number of products does. All take CSR without writing out
        its zeros, "full" a block of rows at a time.
    tol : float, default=0.0
        Residuals at which "block_lanczos" and "arpack" end, as a share of the largest variance;
        0.0 for 1e-10 (1e-6 for float32), for "arpack" the rounding unit.
    iterated_power : int or "auto", default="auto"
        Power iterations of "randomized"; "auto" is 7 for few components, else 4.
    n_oversamples : int, default=10
        Vectors that "randomized" carries beyond `n_components`.
    power_iteration_normalizer : {"auto", "QR", "LU", "none"}, default="auto"
    random_state : int, RandomState or None, default=None
        Start of the truncated solvers; draws of "parallel_analysis"; folds of "held_out".
    cv : int, default=5
        Folds of "held_out". Equal rows share a fold.
    n_jobs : int, default=None
        Threads; None uses all cores. The result does not depend on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, d)
        Orthonormal, by decreasing variance, the largest loading of each positive.
    explained_variance_ : ndarray of shape (n_components_,)
        Variance along each (divisor: sum of weights - 1); 0 where rounding alone may have made it.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        As shares of the variance of all columns.
    singular_values_ : ndarray of shape (n_components_,)
        Of the centered rows times the roots of their weights.
    mean_ : ndarray of shape (d,)
    n_components_ : int
    n_samples_ : int
    noise_variance_ : float
        Mean variance of the min(n, d) - n_components_ components left out.
    svd_solver_ : str
        The solver that was used.
    noise_thresholds_ : ndarray
        With ``n_components="parallel_analysis"``: variances that noise reaches, per component.
    held_out_scores_ : ndarray
        With ``n_components="held_out"``: mean held-out log likelihood of 0, 1, ... components.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    A weight counts rows: weight 2 means the same as the row twice, 0 as no row.

    References
    ----------
    Tipping and Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    Minka (2000), "Automatic choice of dimensionality for PCA", NIPS.
    Horn (1965), "A rationale and test for the number of factors in factor analysis",
    Psychometrika 30.
    Halko, Martinsson and Tropp (2011), "Finding structure with randomness", SIAM Review 53.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.decomposition import PCA
    >>> X = np.array([[-2.0, -1.0], [-1.0, -2.0], [1.0, 2.0], [2.0, 1.0]])
    >>> PCA(n_components=1).fit(X).explained_variance_ratio_.round(3)
    array([0.9])
    """

    _parameter_constraints = {
        "n_components": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
            StrOptions(set(CHOICES)),
            None,
        ],
        "copy": ["boolean"],
        "whiten": ["boolean"],
        "svd_solver": [StrOptions({"auto", *COMPLETE, *TRUNCATED})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "iterated_power": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "n_oversamples": [Interval(Integral, 1, None, closed="left")],
        "power_iteration_normalizer": [StrOptions({"auto", "QR", "LU", "none"})],
        "random_state": ["random_state"],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        n_components=None,
        *,
        copy=True,
        whiten=False,
        svd_solver="auto",
        tol=0.0,
        iterated_power="auto",
        n_oversamples=10,
        power_iteration_normalizer="auto",
        random_state=None,
        cv=5,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state
        self.cv = cv
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Find the components of the rows of X.

        Parameters
        ----------
        X : array or CSR of shape (n, d), n > 1
            float32 stays float32; a C-ordered float array is not copied, a memory map is read a
            block at a time.
        y : ignored
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : PCA

        Raises
        ------
        ValueError
            Also where `n_components` does not suit the shape of X or the solver, or weights sum to
            no more than one row.
        """
        self._fit(X, y, sample_weight)
        return self

    @fit_context
    def fit_transform(self, X, y=None, sample_weight=None):
        """Fit, and return the coordinates of the rows; see `fit` and `transform`.

        Returns
        -------
        Z : ndarray of shape (n, n_components_)
        """
        rows = self._fit(X, y, sample_weight)
        return self._project(rows.X)

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Add rows: the result is that of `fit` on all rows so far, whatever the batches.

        Kept are the mean and the scatter matrix (d, d) of the rows, float64; they are merged
        exactly. The components are those of "covariance_eigh". Until there are `n_components` rows
        there are as many components as rows; until weights sum to more than one, no variances.

        Parameters
        ----------
        X : array or CSR of shape (n, d), n > 0
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : PCA
        """
        before = getattr(self, "_moments", None)
        self._check_streamed(before)
        rows = self._admit(X, sample_weight, reset=before is None, min_rows=1)
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        with task.restart() as run, one_blas_thread(rows):
            run.begin()
            moments, n_rows = scatter_moments(rows), rows.n_rows
            self._require_finite(rows, moments.scatter, moments.mean)
            if before is not None:
                moments, n_rows = dimension.merged([before, moments]), n_rows + self.n_samples_
            shape, dtype = (n_rows, rows.n_features), rows.dtype
            if before is not None:
                dtype = self.components_.dtype
            self._fit_svd_solver = "covariance_eigh"
            spectrum = of_moments(moments, rank=max(min(n_rows - 1, rows.n_features), 0))
            count = self.n_components
            if isinstance(count, Integral):
                self._check_count(count, (max(n_rows, count), rows.n_features))
            elif count is not None:
                count = self._chosen_count(spectrum, rows, shape)
            count = min(*shape) if count is None else min(count, *shape)
            self._set_fitted(spectrum, count, shape, dtype)
            self._moments = moments
            run.end(lambda: {})
        task.end()
        return self

    @property
    def svd_solver_(self):
        """The solver that was used."""
        return self._fit_svd_solver

    def _check_streamed(self, before):
        """Raise where batches cannot be added up."""
        if self.svd_solver not in ("auto", "covariance_eigh"):
            raise ValueError(
                f"partial_fit keeps a covariance matrix; svd_solver={self.svd_solver!r} must be"
                " 'auto' or 'covariance_eigh'"
            )
        if self.n_components == "held_out":
            raise ValueError(
                "partial_fit keeps no rows to hold out; n_components='held_out' must be a number,"
                " a share, 'mle' or 'parallel_analysis'"
            )
        if before is None and hasattr(self, "components_"):
            raise ValueError(
                "partial_fit cannot add rows to what fit found, because fit keeps no scatter matrix;"
                " give all rows to partial_fit of a clone"
            )

    def _fit(self, X, y, sample_weight):
        """Fit; returns the rows."""
        rows = self._admit(X, sample_weight, reset=True, min_rows=2)
        if not rows.weight_sum > 1.0:
            raise ValueError(
                f"sample_weight sums to {rows.weight_sum:.3g}, but variances of fewer than two rows"
                " are not defined: a weight is a number of rows; multiply the weights by a constant"
            )
        shape = rows.X.shape
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        with task.restart() as run, one_blas_thread(rows):
            run.begin()
            count = self._requested_count(shape)
            solver = self._solver(rows, count)
            self._fit_svd_solver = solver
            options = SolverOptions(
                check_random_state(self.random_state),
                self.tol,
                self.n_oversamples,
                self.iterated_power,
                self.power_iteration_normalizer,
            )
            with np.errstate(over="ignore", invalid="ignore"):
                spectrum = find_spectrum(rows, solver, count, options)
            self._require_finite(rows, spectrum.squares, spectrum.mean, spectrum.column_squares)
            if count is None:
                count = self._chosen_count(spectrum, rows, shape)
            self._set_fitted(spectrum, count, shape, rows.dtype)
            run.end(lambda: {})
        if not spectrum.converged:
            warn_convergence(
                f"svd_solver={solver!r} did not reach its tolerance in {spectrum.n_iter} products:"
                f" the largest residual is {spectrum.residual:.2g} of the largest variance. Other"
                " components have nearly the same variance as the last; change n_components,"
                " increase tol, or choose svd_solver='covariance_eigh'."
            )
        self.__dict__.pop("_moments", None)
        task.end()
        return rows

    def _admit(self, X, sample_weight, *, reset, min_rows):
        return admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            row_work=lambda d: float(min(d, MOST_WORK)) ** 2,
            accept_sparse=True,
            min_rows=min_rows,
            check_finite=False,
        )

    def _require_finite(self, rows, *results):
        """Raise where X holds NaN or infinity, or its variances overflow its dtype."""
        largest = float(np.finfo(rows.dtype).max)
        with np.errstate(invalid="ignore"):
            if all((np.abs(result) < largest).all() for result in results):
                return
        require_finite(self, rows.X)
        raise ValueError(
            f"X has values too large: the sum of their squares overflows {rows.dtype}; divide X by"
            " a constant, or remove its outliers"
        )

    def _requested_count(self, shape):
        """The number of components where it is known before the fit, else None."""
        if self.n_components is None:
            # scikit-learn's default where ARPACK cannot find all.
            return min(shape) - 1 if self.svd_solver == "arpack" else min(shape)
        return int(self.n_components) if isinstance(self.n_components, Integral) else None

    def _solver(self, rows, count):
        """The name of the solver, which must suit the number of components."""
        shape, solver = rows.X.shape, self.svd_solver
        if self.n_components == "mle" and shape[0] < shape[1]:
            raise ValueError("n_components='mle' is only supported if n_samples >= n_features")
        if solver == "auto":
            if count is not None:
                self._check_count(count, shape)
            asked = None if self.n_components is None else count
            solver = choose_solver(*shape, asked, not isinstance(rows.X, np.ndarray))
        if count is None and solver in TRUNCATED:
            kind = "a string" if isinstance(self.n_components, str) else "a share"
            raise ValueError(
                f"n_components={self.n_components!r} cannot be {kind} with svd_solver={solver!r}"
            )
        if count is not None:
            self._check_count(count, shape, solver)
        return solver

    def _check_count(self, count, shape, solver=None):
        least = int(solver in TRUNCATED)
        solver = self.svd_solver if solver is None else solver
        if not least <= count <= min(shape):
            raise ValueError(
                f"n_components={count} must be between {least} and min(n_samples,"
                f" n_features)={min(shape)} with svd_solver={solver!r}"
            )
        if solver == "arpack" and count == min(shape):
            raise ValueError(
                f"n_components={count} must be strictly less than min(n_samples,"
                f" n_features)={min(shape)} with svd_solver={solver!r}"
            )

    def _chosen_count(self, spectrum, rows, shape):
        """The number of components that `n_components` chooses by the spectrum."""
        squares, weight = spectrum.squares, spectrum.weight
        if self.n_components == "mle":
            return dimension.likeliest_rank(squares / (weight - 1.0), weight)
        stream = check_random_state(self.random_state)
        if self.n_components == "parallel_analysis":
            count, noise = dimension.rank_above_noise(
                squares, spectrum.column_squares, weight, stream
            )
            self.noise_thresholds_ = (noise / (weight - 1.0)).astype(rows.dtype)
            return self._at_least_one(count)
        if self.n_components == "held_out":
            return self._held_out_count(spectrum, rows, stream)
        return dimension.fraction_rank(squares, spectrum.total, self.n_components)

    def _at_least_one(self, count):
        if count == 0:
            warn_convergence(
                f"n_components={self.n_components!r} found no component with more variance than"
                " noise has; one is kept"
            )
        return max(count, 1)

    def _held_out_count(self, spectrum, rows, stream):
        fold = dimension.deal_folds(rows, self.cv, stream)
        d = rows.n_features
        if d > rows.n_rows:
            # Nothing varies outside the span of the rows.
            kept = spectrum.squares > 0.0
            z = (rows.X @ spectrum.components[kept].T) - spectrum.mean @ spectrum.components[kept].T
            rows = Rows(np.ascontiguousarray(z), rows.weight, n_threads=rows.n_threads)
        folds = dimension.fold_moments(rows, fold, self.cv)
        most = min(rows.n_features, d, min(int((fold != i).sum()) for i in range(self.cv)) - 1)
        count, self.held_out_scores_ = dimension.best_held_out_rank(folds, max(most, 1), d)
        return count

    def _set_fitted(self, spectrum, count, shape, dtype):
        """Write the fitted attributes."""
        divisor = max(spectrum.weight - 1.0, 0.0)
        squares = spectrum.squares
        kept = squares[:count]
        total = spectrum.total
        variances = kept / divisor if divisor > 0.0 else np.zeros(count)
        rest = min(shape) - count
        if len(squares) >= min(shape):
            left = squares[count : min(shape)].sum()
        else:
            left = total - kept.sum()
            left = left if left > total * max(shape) * np.finfo(np.float64).eps else 0.0
        self.components_ = np.ascontiguousarray(spectrum.components[:count], dtype=dtype)
        self.explained_variance_ = variances.astype(dtype)
        self.explained_variance_ratio_ = (kept / total if total > 0.0 else 0.0 * kept).astype(dtype)
        self.singular_values_ = np.sqrt(kept).astype(dtype)
        self.mean_ = spectrum.mean.astype(dtype)
        self.noise_variance_ = dtype.type(left / divisor / rest if rest and divisor > 0.0 else 0.0)
        self.n_components_ = int(count)
        self.n_samples_ = int(shape[0])

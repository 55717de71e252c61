"""Principal component analysis: the directions along which rows vary most.

    maximize over orthonormal V (k, d):  sum over rows of weight * |V (x - mean)|^2

Pearson (1901); Hotelling (1933).
"""

import warnings
from dataclasses import astuple
from numbers import Integral, Real

import numpy as np

from skgen.base import (
    FitTask,
    Interval,
    RealNotInt,
    StrOptions,
    admit,
    check_random_state,
    fit_context,
    one_blas_thread,
    require_finite,
    split_folds,
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
from skgen.statistics import ScatterMoments, scatter_moments, type_of_sums

# Columns beyond which the products of a row are not one piece of work.
MOST_WORK = 2000
# More than the rounding of a sum of weights that is 1.
ONE_ROW = 1.0 + 1e-9
# Rows that weights can stand for: numbers beyond are no counts.
MOST_COUNTED = 2**53
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
    cv : int, splitter or iterable, default=5
        Folds of "held_out". A number deals rows by their values: equal rows share a fold.
    n_jobs : int, default=None
        Threads; None uses all cores. The result does not depend on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, d)
        Orthonormal, by decreasing variance, the largest loading of each positive.
    explained_variance_ : ndarray of shape (n_components,)
        Variance along each (divisor: sum of weights - 1); 0 where rounding alone may have made it.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        As shares of the variance of all columns.
    singular_values_ : ndarray of shape (n_components,)
        Of the centered rows times the roots of their weights.
    mean_ : ndarray of shape (d,)
    n_components_ : int
    n_samples_ : int
    noise_variance_ : float
        Mean variance of the min(n, d) - `n_components_` components left out.
    spectrum_ : ndarray
        Variances of all components that the solver found, those beyond `n_components_` too: all
        min(n, d) where it had to know them.
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
            Interval(RealNotInt, 0, 1, closed="neither"),
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
        "cv": [Interval(Integral, 2, None, closed="left"), "cv_object"],
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
        Z : ndarray of shape (n, n_components)
        """
        rows = self._fit(X, y, sample_weight)
        return self._project(rows.X)

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Add rows: the result is that of `fit` on all rows so far, whatever the batches.

        Kept are the mean and the scatter matrix (d, d) of the rows, float64 (of every fold, for
        "held_out"); they are merged exactly. The solver is "covariance_eigh" whatever `svd_solver`
        says. Until there are `n_components` rows there are as many components as rows; until
        weights sum to more than one, no variances. `fit` keeps no scatter matrix: the first call
        after it begins anew, with a warning.

        Parameters
        ----------
        X : array or CSR of shape (n, d), n > 0
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : PCA
        """
        before = getattr(self, "_folds", None)
        if before is None and hasattr(self, "components_"):
            warnings.warn(
                "partial_fit begins anew: fit keeps no scatter matrix that rows could be added to",
                UserWarning,
                stacklevel=3,
            )
        held_out = self.n_components == "held_out"
        if held_out and not isinstance(self.cv, Integral):
            raise ValueError(
                f"partial_fit deals rows to a number of folds; cv={self.cv!r} must be an int"
            )
        rows = self._admit(X, sample_weight, reset=before is None, min_rows=1)
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        with task.restart() as run, one_blas_thread(rows):
            run.begin()
            folds = self._fold_moments(rows) if held_out else [scatter_moments(rows)]
            for fold in folds:
                self._require_finite(rows, fold.mean, fold.scatter)
            n_rows, dtype = count_rows(rows), rows.dtype
            if before is not None:
                before = [ScatterMoments(*fold) for fold in before]
                folds = [dimension.merged(pair) for pair in zip(before, folds, strict=True)]
                n_rows, dtype = n_rows + self._n_rows, self.components_.dtype
            moments = dimension.merged(folds)
            self._fit_svd_solver = "covariance_eigh"
            d = rows.n_features
            everything = min(n_rows, d)
            if isinstance(self.n_components, Integral):
                self._check_count(int(self.n_components), (max(n_rows, int(self.n_components)), d))
            spectrum = of_moments(
                moments, everything, max(min(n_rows - 1, d), 0), type_of_sums(rows)
            )
            count = self._count_of(spectrum, rows, folds)
            self._set_fitted(spectrum, min(count, everything), everything, dtype)
            self.n_samples_ = rows.n_rows + (0 if before is None else self.n_samples_)
            self._folds, self._n_rows = [astuple(fold) for fold in folds], n_rows
            run.end(lambda: {})
        task.end()
        return self

    @property
    def svd_solver_(self):
        """The solver that was used."""
        return self._fit_svd_solver

    def _fit(self, X, y, sample_weight):
        """Fit; returns the rows."""
        rows = self._admit(X, sample_weight, reset=True, min_rows=2)
        if not rows.weight_sum > ONE_ROW:
            raise ValueError(
                f"sample_weight sums to {rows.weight_sum:.3g}, but variances of fewer than two rows"
                " are not defined: a weight is a number of rows; multiply the weights by a constant"
            )
        shape = count_rows(rows), rows.n_features
        task = FitTask(self, X, y, sample_weight, max_iter=1)
        side = rows.n_rows if self.svd_solver == "gram" else 0
        with task.restart() as run, one_blas_thread(rows, side):
            run.begin()
            count = self._requested_count(shape)
            solver = self._solver(shape, count, not isinstance(rows.X, np.ndarray))
            self._fit_svd_solver = solver
            options = SolverOptions(
                check_random_state(self.random_state),
                self.tol,
                self.n_oversamples,
                self.iterated_power,
                self.power_iteration_normalizer,
            )
            spectrum = find_spectrum(
                rows, solver, min(shape) if count is None else count, options,
                lambda *results: self._require_finite(rows, *results),
            )  # fmt: skip
            if count is None:
                count = self._count_of(spectrum, rows)
            self._set_fitted(spectrum, count, min(shape), rows.dtype)
            self.n_samples_ = rows.n_rows
            run.end(lambda: {})
        if not spectrum.converged:
            warn_convergence(
                f"svd_solver={solver!r} did not reach its tolerance in {spectrum.n_iter} products:"
                f" the largest residual is {spectrum.residual:.2g} of the largest variance. Other"
                " components have nearly the same variance as the last; change n_components,"
                " increase tol, or choose svd_solver='covariance_eigh'."
            )
        self.__dict__.pop("_folds", None)
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

    def _solver(self, shape, count, is_sparse):
        """The name of the solver, which must suit the number of components."""
        solver = self.svd_solver
        if self.n_components == "mle" and shape[0] < shape[1]:
            raise ValueError("n_components='mle' is only supported if n_samples >= n_features")
        if solver == "auto":
            if count is not None:
                self._check_count(count, shape)
            asked = None if self.n_components is None else count
            solver = choose_solver(*shape, asked, is_sparse)
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
        # What "auto" would choose for all components.
        solver = "full" if solver is None else solver
        if not least <= count <= min(shape):
            raise ValueError(
                f"n_components={count} must be between {least} and min(n_samples,"
                f" n_features)={min(shape)} with svd_solver={solver!r} (n_samples={shape[0]},"
                f" n_features={shape[1]})"
            )
        if solver == "arpack" and count == min(shape):
            raise ValueError(
                f"n_components={count} must be strictly less than min(n_samples,"
                f" n_features)={min(shape)} with svd_solver={solver!r} (n_samples={shape[0]},"
                f" n_features={shape[1]})"
            )

    def _count_of(self, spectrum, rows, folds=None):
        """The number of components, where it takes the whole spectrum to know it."""
        squares, weight = spectrum.squares, spectrum.weight
        if self.n_components is None:
            return len(squares)
        if isinstance(self.n_components, Integral):
            return int(self.n_components)
        if self.n_components == "mle":
            return dimension.likeliest_rank(squares, weight)
        if self.n_components == "parallel_analysis":
            stream = check_random_state(self.random_state)
            count, noise = dimension.rank_above_noise(
                squares, spectrum.column_squares, weight, stream
            )
            divisor = max(weight - 1.0, np.finfo(float).tiny)
            self.noise_thresholds_ = (noise / divisor).astype(rows.dtype)
            if count == 0:
                warn_convergence(
                    "n_components='parallel_analysis' found no component with more variance than"
                    " noise has; one is kept"
                )
            return max(count, 1)
        if self.n_components == "held_out":
            return self._held_out_count(spectrum, rows, folds)
        return dimension.fraction_rank(squares, spectrum.total, self.n_components)

    def _held_out_count(self, spectrum, rows, folds):
        d, most = rows.n_features, len(spectrum.squares)
        if folds is None and d > rows.n_rows:
            # Nothing varies outside the span of the rows.
            kept = spectrum.components[spectrum.squares > 0.0]
            z = np.ascontiguousarray(rows.X @ kept.T - spectrum.mean @ kept.T)
            values = Rows(z, rows.weight, n_threads=rows.n_threads)
        else:
            values = rows
        if folds is None and not isinstance(self.cv, Integral):
            pairs = []
            for places in split_folds(self.cv, rows.X, None, self.random_state):
                pairs.append([scatter_moments(part_of(values, chosen)) for chosen in places])
        else:
            folds = self._fold_moments(rows, values) if folds is None else folds
            pairs = list(dimension.each_held_out(folds))
        smallest = min((training.weight for training, _ in pairs), default=2.0)
        # With d components the model is that with d - 1.
        most = max(min(most, values.n_features, d - 1, int(smallest) - 1), 1)
        count, self.held_out_scores_ = dimension.best_held_out_rank(pairs, most, d)
        return count

    def _fold_moments(self, rows, values=None):
        """`ScatterMoments` of every fold of the rows, or of other `values` in their place."""
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        if isinstance(self.random_state, np.random.RandomState):
            # One seed for all calls, or copies would change their fold.
            seed = self.__dict__.setdefault("_fold_seed", seed)
        fold = dimension.deal_folds(rows, int(self.cv), seed)
        return dimension.fold_moments(rows if values is None else values, fold, int(self.cv))

    def _set_fitted(self, spectrum, count, everything, dtype):
        """Write the fitted attributes: `count` of `everything` components there are."""
        divisor = max(spectrum.weight - 1.0, 0.0)
        kept, total, rest = spectrum.squares[:count], spectrum.total, everything - count
        if len(spectrum.squares) >= everything:
            left = spectrum.squares[count:].sum()
        else:
            left = total - kept.sum()
            noise = len(spectrum.mean) * np.finfo(np.float64).eps
            noise = max(noise, 16.0 * float(np.finfo(dtype).eps))
            left = left if left > total * noise else 0.0
        variances = kept / divisor if divisor > 0.0 else np.zeros(count)
        noise = left / divisor / rest if rest and divisor > 0.0 else 0.0
        everything_found = spectrum.squares / divisor if divisor > 0.0 else 0.0 * spectrum.squares
        self.spectrum_ = everything_found.astype(dtype)
        self.components_ = np.ascontiguousarray(spectrum.components[:count], dtype=dtype)
        self.explained_variance_ = variances.astype(dtype)
        self.explained_variance_ratio_ = (kept / total if total > 0.0 else 0.0 * kept).astype(dtype)
        self.singular_values_ = np.sqrt(kept).astype(dtype)
        self.mean_ = spectrum.mean.astype(dtype)
        self.noise_variance_ = dtype.type(noise)
        self.n_components_ = int(count)


def count_rows(rows):
    """Rows that the weights stand for, or rows of positive weight where these are more."""
    if rows.weight is None:
        return rows.n_rows
    return max(int(np.count_nonzero(rows.weight)), int(min(rows.weight_sum, MOST_COUNTED)))


def part_of(rows, places):
    """Some rows, in any order."""
    weight = None if rows.weight is None else rows.weight[places]
    return Rows(rows.take(places), weight, n_threads=rows.n_threads)

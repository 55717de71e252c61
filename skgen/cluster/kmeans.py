"""k-means: the partition with the least sum of squared distances to the cluster means.

    minimize sum over rows of weight * min_k |x - c_k|^2

Lloyd's iteration alternates nearest centers and means; bounds on distances leave out what cannot
change. Lloyd (1982); Arthur and Vassilvitskii (2007) for the start.
"""

import warnings

import joblib
import numpy as np

from skgen.base import (
    FitTask,
    StrOptions,
    announce,
    check_random_state,
    fit_context,
    one_blas_thread,
    random_streams,
    thread_count,
    warn_convergence,
)
from skgen.cluster.centers import (
    CentersEstimator,
    CenterSums,
    assign,
    center_sums,
    engine,
    move_centers,
)
from skgen.seeding import kmeans_plus_plus, order_rows

# A restart must win by more than rounding, so that the choice does not depend on it.
CLEARLY_LESS = 1 - 1e-9


class KMeans(CentersEstimator):
    """k-means clustering.

    Parameters, attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    n_clusters : int, default=8
    init : {"k-means++", "random"}, array of shape (n_clusters, d) or callable, default="k-means++"
        Greedy k-means++, distinct rows drawn by weight, given centers, or a function of
        (X, n_clusters, random_state) that returns centers.
    n_init : "auto" or int, default="auto"
        Number of starts, of which the one with the least inertia is kept. "auto" means 1 for
        "k-means++" and for given centers, else 10.
    max_iter : int, default=300
        Iterations of one start.
    tol : float, default=1e-4
        A start has converged when the squared movements of the centers add up to no more than
        `tol` times the mean variance of the columns, or when no label changes.
    verbose : int, default=0
        1 logs every iteration to logger "skgen".
    random_state : int, RandomState or None, default=None
    copy_x : bool, default=True
        Accepted for compatibility; X is never modified.
    algorithm : {"lloyd", "elkan", "auto"}, default="lloyd"
        How nearest centers are found; all give the same labels.
    n_jobs : int, default=None
        Threads. None uses all cores available to the process. An explicit number above 1 also
        runs that many starts at a time. The result does not depend on it.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, d), of X's dtype
    labels_ : int32 ndarray of shape (n,)
        Nearest center of every row.
    inertia_ : float
        Sum of weight * squared distance to the nearest center.
    n_iter_ : int
        Iterations of the best start.
    objective_history_ : list of float
        Inertia of the labels found in each iteration; it never rises by more than rounding.
    converged_ : bool
        Whether the best start met `tol` or no label changed any more.
    stop_reason_ : str
        Why the best start ended.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    Rows are a weighted multiset: weight 2 means the same as the row twice, weight 0 as no row,
    and the order of the rows does not matter. An empty cluster is moved to the row farthest from
    its center.

    References
    ----------
    Lloyd (1982), "Least squares quantization in PCM", IEEE Transactions on Information Theory 28.
    Arthur and Vassilvitskii (2007), "k-means++: the advantages of careful seeding", SODA.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.cluster import KMeans
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [10.0, 2.0], [10.0, 4.0]])
    >>> KMeans(n_clusters=2, random_state=0).fit(X).inertia_
    4.0
    """

    _parameter_constraints = {
        **CentersEstimator._parameter_constraints,
        "copy_x": ["boolean"],
        "algorithm": [StrOptions({"lloyd", "elkan", "auto"})],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        init="k-means++",
        n_init="auto",
        max_iter=300,
        tol=1e-4,
        verbose=0,
        random_state=None,
        copy_x=True,
        algorithm="lloyd",
        n_jobs=None,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Find the clusters of the rows of X.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
            float32 stays float32; a C-ordered float array is not copied.
        y : ignored
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : KMeans
        """
        rows = self._admit(X, sample_weight, reset=True)
        with one_blas_thread(rows):
            tolerance = self.tol * float(self._check_rows(rows).variance.mean())
            init, self._n_init = self._check_init(rows, default_n_init=10)
            algorithm = self._check_algorithm()
            task = FitTask(
                self, X, y, sample_weight,
                n_restarts=self._n_init, max_iter=self.max_iter, sequential=not self._parallel,
            )  # fmt: skip
            best = self._best_run(task, rows, init, algorithm, tolerance)
        distinct = self._set_fitted(rows, best)
        if distinct < self.n_clusters:
            warn_convergence(
                f"Number of distinct clusters ({distinct}) found smaller than n_clusters"
                f" ({self.n_clusters}). Possibly due to duplicate points in X."
            )
        task.end()
        return self

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Add rows to the clusters: centers become the means of all rows they were given so far.

        Kept per cluster are the total weight and the mean of the rows assigned to it. Each call
        assigns the new rows to the centers as they are, once, and then adds them. Earlier rows
        stay where they were assigned, so the result depends on how the data are split into
        calls, but not on the order of the rows within a call. A first call on an unfitted
        estimator draws the centers from its rows by `init`; after `fit` the clusters it found
        are continued. `labels_` and `inertia_` are those of the new rows for the moved centers,
        `n_iter_` counts on.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : KMeans
        """
        started = hasattr(self, "cluster_centers_")
        rows = self._admit(X, sample_weight, reset=not started)
        with one_blas_thread(rows):
            if started:
                means, weights = self._means, self._cluster_weights
                history = list(self.objective_history_)
            else:
                self._check_rows(rows)
                init, self._n_init = self._check_init(rows, default_n_init=10)
                (stream,) = random_streams(self.random_state, 1)
                means = self._initial_centers(init, rows, stream)
                means, weights = means.astype(np.float64), np.zeros(self.n_clusters)
                history = []
            labels, inertia = assign(rows, means)
            history.append(inertia)
            means, weights = move_centers(means, weights, center_sums(rows, means, labels))
            centers = means.astype(self.cluster_centers_.dtype if started else rows.dtype)
            labels, inertia = assign(rows, centers)
        self.cluster_centers_, self.labels_, self.inertia_ = centers, labels, inertia
        self._means, self._cluster_weights = means, weights
        self.n_iter_ = self.n_iter_ + 1 if started else 1
        self.objective_history_ = history
        self.converged_, self.stop_reason_ = False, "rows of a partial_fit used up"
        return self

    @property
    def _parallel(self):
        """Whether restarts run at the same time."""
        return self.n_jobs is not None and thread_count(self.n_jobs) > 1

    def _check_algorithm(self):
        """The name that the engine knows; "lloyd" leaves it the choice, labels being equal."""
        if self.algorithm == "elkan" and self.n_clusters == 1:
            warnings.warn(
                "algorithm='elkan' doesn't make sense for a single cluster. Using 'lloyd' instead.",
                RuntimeWarning,
                stacklevel=4,
            )
            return "lloyd"
        return "auto" if self.algorithm == "lloyd" else self.algorithm

    def _best_run(self, task, rows, init, algorithm, tolerance):
        drawn = isinstance(init, str)
        order = order_rows(rows) if drawn else None
        streams = random_streams(self.random_state, self._n_init)
        at_a_time = min(thread_count(self.n_jobs), self._n_init) if self._parallel else 1
        if at_a_time > 1:
            rows = rows.with_threads(max(1, rows.n_threads // at_a_time))
            runs = joblib.Parallel(at_a_time, prefer="threads")(
                joblib.delayed(self._run)(
                    task, rows, init, order, algorithm, tolerance, number, stream
                )
                for number, stream in enumerate(streams)
            )
        else:
            # One after the other, so that the memory of only two is needed at a time.
            runs = (
                self._run(task, rows, init, order, algorithm, tolerance, number, stream)
                for number, stream in enumerate(streams)
            )
        best = None
        for run in runs:
            if best is None or run.inertia < CLEARLY_LESS * best.inertia:
                best = run
        return best

    def _run(self, task, rows, init, order, algorithm, tolerance, number, random_state):
        """One start, from its centers to the `LloydResult`."""
        centers = self._initial_centers(init, rows, random_state, order)
        if self.verbose:
            announce("Initialization complete")
        with task.restart(number) as run:
            watch = None
            if self.verbose or task.watched:
                watch = Watch(run, centers, self.verbose, tolerance)
            result = engine(rows).lloyd(
                rows, centers, max_iter=self.max_iter, tol_absolute=tolerance,
                algorithm=algorithm, monitor=watch and watch.next,
            )  # fmt: skip
        if self.verbose:
            watch.conclude(result)
        return result

    def _set_fitted(self, rows, result):
        """Write the fitted attributes; returns the number of clusters that have rows."""
        weights = cluster_weights(rows, result.labels, len(result.centers))
        self.cluster_centers_ = result.centers
        self.labels_ = result.labels
        self.inertia_ = result.inertia
        self.n_iter_ = result.n_iter
        self.objective_history_ = list(result.history)
        self.converged_ = result.converged
        self.stop_reason_ = result.reason
        self._means = result.centers.astype(np.float64)
        self._cluster_weights = weights.astype(np.float64)
        return int(np.count_nonzero(weights))


def cluster_weights(rows, labels, n_clusters):
    """Total weight of the rows of every label."""
    return rows.sum(_cluster_weights, (labels, n_clusters)).weights


def _cluster_weights(block, params):
    labels, n_clusters = params
    counts = np.bincount(labels[block.span], block.weight, minlength=n_clusters)
    return CenterSums(counts, np.zeros((0, 0)))


class Watch:
    """What callbacks and `verbose` see of one start."""

    def __init__(self, run, centers, verbose, tolerance):
        self.run, self.centers = run, centers
        self.verbose, self.tolerance = verbose, tolerance

    def next(self, iteration, inertia, centers):
        """Report an iteration; whether a callback asks to stop."""
        if self.verbose:
            announce("Iteration %d, inertia %.6g.", iteration, inertia)
            self.shift = float(((centers.astype(np.float64) - self.centers) ** 2).sum())
            self.centers = centers
        self.run.begin()
        return self.run.end(lambda: {"cluster_centers_": centers})

    def conclude(self, result):
        """Report how the start ended."""
        if result.reason == "labels unchanged":
            announce("Converged at iteration %d: strict convergence.", result.n_iter)
        elif result.converged:
            announce(
                "Converged at iteration %d: center shift %.6g within tolerance %.6g.",
                result.n_iter,
                self.shift,
                self.tolerance,
            )


def k_means(
    X, n_clusters, *, sample_weight=None, init="k-means++", n_init="auto", max_iter=300,
    verbose=False, tol=1e-4, random_state=None, copy_x=True, algorithm="lloyd",
    return_n_iter=False, n_jobs=None,
):  # fmt: skip
    """Cluster the rows of X; a function for `KMeans`, whose parameters it takes.

    Returns
    -------
    centers : ndarray of shape (n_clusters, d)
    labels : int32 ndarray of shape (n,)
    inertia : float
    n_iter : int
        With ``return_n_iter=True``.
    """
    model = KMeans(
        n_clusters, init=init, n_init=n_init, max_iter=max_iter, verbose=verbose, tol=tol,
        random_state=random_state, copy_x=copy_x, algorithm=algorithm, n_jobs=n_jobs,
    ).fit(X, sample_weight=sample_weight)  # fmt: skip
    found = model.cluster_centers_, model.labels_, model.inertia_
    return (*found, model.n_iter_) if return_n_iter else found


def kmeans_plusplus(
    X, n_clusters, *, sample_weight=None, x_squared_norms=None, random_state=None,
    n_local_trials=None, n_jobs=None,
):  # fmt: skip
    """Draw centers from the rows of X by greedy k-means++.

    Parameters
    ----------
    X : array or CSR of shape (n, d)
    n_clusters : int
    sample_weight : array of shape (n,), default=None
    x_squared_norms : array of shape (n,), default=None
        Accepted for compatibility; not needed.
    random_state : int, RandomState or None, default=None
    n_local_trials : int, default=2 + int(log(n_clusters))
        Candidates per center; the one that leaves the least potential is kept.
    n_jobs : int, default=None
        Threads; the result does not depend on it.

    Returns
    -------
    centers : ndarray of shape (n_clusters, d)
    indices : ndarray of shape (n_clusters,)
        Row numbers of the centers.

    Examples
    --------
    >>> from skgen.cluster import kmeans_plusplus
    >>> centers, indices = kmeans_plusplus([[0.0], [0.0], [9.0]], 2, random_state=0)
    >>> sorted(centers.ravel().tolist())
    [0.0, 9.0]
    """
    model = KMeans(n_clusters, n_jobs=n_jobs)
    model._validate_params()
    rows = model._admit(X, sample_weight, reset=True)
    model._check_rows(rows)
    if x_squared_norms is not None and np.shape(x_squared_norms) != (rows.n_rows,):
        raise ValueError(
            f"The length of x_squared_norms {np.shape(x_squared_norms)} should be equal to the"
            f" length of n_samples {rows.n_rows}."
        )
    with one_blas_thread(rows):
        return kmeans_plus_plus(rows, n_clusters, check_random_state(random_state), n_local_trials)

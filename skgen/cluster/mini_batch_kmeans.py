"""k-means from small batches of rows: centers are means of the batch rows they were given.

    c_k += sum over the batch's rows of cluster k of w (x - c_k) / (weight of cluster k so far)

Sculley, "Web-scale k-means clustering" (2010).
"""

import warnings
from math import ceil
from numbers import Integral, Real

import numpy as np

from skgen.base import (
    FitTask,
    Interval,
    announce,
    check_random_state,
    fit_context,
    one_blas_thread,
)
from skgen.cluster.centers import (
    CentersEstimator,
    assign,
    center_sums,
    move_centers,
    sub_rows,
)
from skgen.seeding import order_rows, position, random_rows

# What a later partial_fit continues.
KEPT = ("means", "weights", "since_reassignment", "number", "history")


class MiniBatchKMeans(CentersEstimator):
    """k-means clustering from mini-batches.

    Parameters, attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    n_clusters : int, default=8
    init : {"k-means++", "random"}, array of shape (n_clusters, d) or callable, default="k-means++"
        As in `KMeans`; drawn from `init_size` rows.
    max_iter : int, default=100
        Steps are limited to so many times the distinct rows, divided by `batch_size`.
    batch_size : int, default=1024
        Rows of a step, drawn with replacement and probability proportional to weight.
    verbose : int, default=0
        1 logs every step to logger "skgen".
    compute_labels : bool, default=True
        Whether to label the training rows after the last step.
    random_state : int, RandomState or None, default=None
    tol : float, default=0.0
        Stop when the squared movements of the centers in a step add up to no more than `tol`
        times the mean variance of the columns; 0 switches this off.
    max_no_improvement : int or None, default=10
        Stop after so many steps in a row without a new minimum of the smoothed inertia.
    init_size : int, default=None
        Rows that the start is drawn from and judged by: 3 * batch_size, or 3 * n_clusters where
        that is fewer than n_clusters.
    n_init : "auto" or int, default="auto"
        Starts, of which the one with the least inertia on `init_size` rows is kept. "auto" means
        1 for "k-means++" and for given centers, else 3.
    reassignment_ratio : float, default=0.01
        Clusters with less than this share of the largest cluster's weight are moved to rows of
        the batch from time to time.
    n_jobs : int, default=None
        Threads. None uses all cores available to the process. The result does not depend on it.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, d), of X's dtype
    labels_ : int32 ndarray of shape (n,)
        Nearest center of every row, with ``compute_labels=True``.
    inertia_ : float
        Sum of weight * squared distance to the nearest center; an estimate from the batches
        with ``compute_labels=False``.
    n_iter_ : int
        How many times as many rows as X has were drawn, rounded up.
    n_steps_ : int
        Batches.
    objective_history_ : list of float
        Inertia per row of each batch, smoothed as the stopping rule sees it.
    converged_ : bool
        Whether `tol` or `max_no_improvement` ended the fit.
    stop_reason_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Notes
    -----
    Rows are a weighted multiset: weight 2 means the same as the row twice, weight 0 as no row,
    and the order of the rows does not matter.

    References
    ----------
    Sculley (2010), "Web-scale k-means clustering", WWW.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.cluster import MiniBatchKMeans
    >>> X = np.array([[1.0, 2.0], [1.0, 4.0], [10.0, 2.0], [10.0, 4.0]])
    >>> MiniBatchKMeans(n_clusters=2, random_state=0).fit(X).predict(X).tolist() in (
    ...     [0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    _parameter_constraints = {
        **CentersEstimator._parameter_constraints,
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "compute_labels": ["boolean"],
        "max_no_improvement": [Interval(Integral, 0, None, closed="left"), None],
        "init_size": [Interval(Integral, 1, None, closed="left"), None],
        "reassignment_ratio": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        init="k-means++",
        max_iter=100,
        batch_size=1024,
        verbose=0,
        compute_labels=True,
        random_state=None,
        tol=0.0,
        max_no_improvement=10,
        init_size=None,
        n_init="auto",
        reassignment_ratio=0.01,
        n_jobs=None,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.compute_labels = compute_labels
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio
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
        self : MiniBatchKMeans
        """
        rows = self._admit(X, sample_weight, reset=True)
        with one_blas_thread(rows):
            tolerance = self.tol * float(self._check_rows(rows).variance.mean())
            init, self._n_init = self._check_init(rows, default_n_init=3)
            random_state = check_random_state(self.random_state)
            order = order_rows(rows)
            n_distinct = order.n_distinct
            self._set_sizes(n_distinct)
            task = FitTask(self, X, y, sample_weight)
            centers = self._best_start(init, rows, order, random_state)
            steps = Steps(self, centers, random_state, n_distinct, tolerance)
            n_steps = max(1, self.max_iter * n_distinct // self._batch_size)
            with task.restart() as run:
                self._take_steps(steps, rows, order, n_steps, run)
            self._set_fitted(steps)
            self.n_iter_ = ceil(self.n_steps_ * self._batch_size / n_distinct)
            if self.compute_labels:
                self.labels_, self.inertia_ = assign(rows, self.cluster_centers_)
            else:
                self.inertia_ = steps.smoothed * rows.weight_sum
        task.end()
        return self

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None):
        """Take one step with the rows of X as the batch.

        A first call on an unfitted estimator draws the centers from these rows by `init`.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : MiniBatchKMeans
        """
        started = hasattr(self, "cluster_centers_")
        rows = self._admit(X, sample_weight, reset=not started)
        with one_blas_thread(rows):
            if started:
                steps = Steps(self, self.cluster_centers_, np.random.RandomState(), 1, 0.0)
                steps.resume(self._state)
            else:
                self._check_rows(rows)
                init, self._n_init = self._check_init(rows, default_n_init=3)
                random_state = check_random_state(self.random_state)
                order = order_rows(rows)
                self._set_sizes(order.n_distinct)
                centers = self._draw_start(init, rows, order, random_state)
                steps = Steps(self, centers, random_state, order.n_distinct, 0.0)
            inertia = steps.take(rows)
            steps.history.append(inertia / rows.weight_sum)
            self._set_fitted(steps)
            self.n_iter_ = self.n_steps_
            if self.compute_labels:
                self.labels_, self.inertia_ = assign(rows, self.cluster_centers_)
            else:
                self.inertia_ = inertia
        return self

    def _set_sizes(self, n_distinct):
        """Rows per batch and per start, at most as many as there are different rows."""
        self._batch_size = min(self.batch_size, n_distinct)
        size = self.init_size
        if size is None:
            size = 3 * self._batch_size
            if size < self.n_clusters:
                size = 3 * self.n_clusters
        elif size < self.n_clusters:
            warnings.warn(
                f"init_size={size} should be larger than n_clusters={self.n_clusters}. Setting"
                " it to min(3*n_clusters, n_samples)",
                RuntimeWarning,
                stacklevel=4,
            )
            size = 3 * self.n_clusters
        self._init_size = min(size, n_distinct)

    def _best_start(self, init, rows, order, random_state):
        """Of `n_init` starts the centers with the least inertia on rows drawn for that."""
        if self._n_init == 1:
            return self._draw_start(init, rows, order, random_state)
        judges = sub_rows(rows, order.draw(random_state.uniform(size=self._init_size)))
        best, least = None, np.inf
        for number in range(1, self._n_init + 1):
            centers = self._draw_start(init, rows, order, random_state)
            inertia = assign(judges, centers)[1]
            if self.verbose:
                announce("Inertia for init %d/%d: %s", number, self._n_init, inertia)
            if inertia < least:
                best, least = centers, inertia
        return best

    def _draw_start(self, init, rows, order, random_state):
        if isinstance(init, np.ndarray) or self._init_size >= order.n_distinct:
            return self._initial_centers(init, rows, random_state, order)
        some = sub_rows(rows, order.draw(random_state.uniform(size=self._init_size)))
        return self._initial_centers(init, some, random_state)

    def _take_steps(self, steps, rows, order, n_steps, run):
        cumulative = np.cumsum(order.masses())
        for number in range(1, n_steps + 1):
            draws = steps.random_state.uniform(size=self._batch_size) * cumulative[-1]
            batch = sub_rows(rows, order.order[position(cumulative, draws)])
            inertia = steps.take(batch) / self._batch_size
            done = steps.judge(inertia, number, n_steps)
            run.begin()
            stop = run.end(lambda: {"cluster_centers_": steps.centers})
            if stop and not done:
                steps.reason = "stopped by callback"
            if done or stop:
                return
        steps.reason = f"max_iter={self.max_iter} reached"

    def _set_fitted(self, steps):
        self.cluster_centers_ = steps.centers
        self.n_steps_ = steps.number
        self.objective_history_ = list(steps.history)
        self.converged_ = steps.converged
        self.stop_reason_ = steps.reason
        self._state = steps.state()


class Steps:
    """The steps of one fit: centers, the weight behind each, and when to stop."""

    def __init__(self, estimator, centers, random_state, n_distinct, tolerance):
        self.random_state = random_state
        self.verbose = estimator.verbose
        self.batch_size = estimator._batch_size
        self.ratio = estimator.reassignment_ratio
        self.patience = estimator.max_no_improvement
        self.tolerance = tolerance
        self.share = min(1.0, 2.0 * self.batch_size / (n_distinct + 1))
        self.dtype = centers.dtype
        self.means = centers.astype(np.float64)
        self.weights = np.zeros(len(centers))
        self.since_reassignment = 0
        self.number = 0
        self.shift = 0.0
        self.smoothed, self.least, self.no_improvement = None, np.inf, 0
        self.history = []
        self.converged, self.reason = False, "rows of a partial_fit used up"

    def state(self):
        """What `resume` needs, as plain data."""
        stream = self.random_state.get_state()
        return {name: getattr(self, name) for name in KEPT} | {"stream": stream}

    def resume(self, state):
        """Go on from where `state` was taken."""
        for name in KEPT:
            setattr(self, name, state[name])
        self.random_state.set_state(state["stream"])
        self.history = list(self.history)

    @property
    def centers(self):
        return self.means.astype(self.dtype)

    def take(self, rows):
        """Move the centers by one batch; its inertia for the centers before."""
        labels, inertia = assign(rows, self.centers)
        before = self.means
        batch = center_sums(rows, before, labels)
        self.means, self.weights = move_centers(before, self.weights, batch)
        if self.reassignment_is_due():
            self.reassign(rows)
        self.shift = float(((self.means - before) ** 2).sum())
        self.number += 1
        return inertia

    def reassignment_is_due(self):
        """After each ten rows per cluster, and always while a cluster is empty."""
        self.since_reassignment += self.batch_size
        if (self.weights == 0.0).any() or self.since_reassignment >= 10 * len(self.means):
            self.since_reassignment = 0
            return self.ratio > 0.0
        return False

    def reassign(self, rows):
        """Move clusters of little weight to different rows of the batch."""
        small = np.flatnonzero(self.weights < self.ratio * self.weights.max())
        # At most half of the batch becomes centers; the smallest clusters go first.
        small = small[np.argsort(self.weights[small], kind="stable")][: rows.n_rows // 2]
        if small.size == 0:
            return
        if self.verbose:
            announce("[MiniBatchKMeans] Reassigning %d cluster centers.", small.size)
        self.means[np.sort(small)] = random_rows(rows, small.size, self.random_state)[0]
        # The weight of a small cluster that stays: no instant reassignment, and fast moves.
        rest = np.delete(self.weights, small)
        self.weights[small] = rest.min() if rest.size else 0.0

    def judge(self, inertia, number, n_steps):
        """Take a step's inertia per row in; whether to stop."""
        self.history.append(inertia)
        if number == 1:
            # The first batch tells about the start.
            if self.verbose:
                announce("Minibatch step 1/%d: mean batch inertia: %s", n_steps, inertia)
            return False
        if self.smoothed is None:
            self.smoothed = inertia
        else:
            self.smoothed += self.share * (inertia - self.smoothed)
        self.history[-1] = self.smoothed
        if self.verbose:
            announce(
                "Minibatch step %d/%d: mean batch inertia: %s, ewa inertia: %s",
                number, n_steps, inertia, self.smoothed,
            )  # fmt: skip
        if self.smoothed < self.least:
            self.least, self.no_improvement = self.smoothed, 0
        else:
            self.no_improvement += 1
        if self.tolerance > 0.0 and self.shift <= self.tolerance:
            self.converged, why = True, "small centers change"
        elif self.patience is not None and self.no_improvement >= self.patience:
            self.converged, why = True, "lack of improvement in inertia"
        if self.converged:
            self.reason = why
            if self.verbose:
                announce("Converged (%s) at step %d/%d", why, number, n_steps)
        return self.converged

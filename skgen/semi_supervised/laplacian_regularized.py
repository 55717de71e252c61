"""A linear classifier whose answers are smooth on a graph of rows, and which knows new rows too.

    J = sum_labeled cross-entropy + penalty + graph_weight / 2 sum_ij s_i s_j W_ij |p_i - p_j|^2

with p the probabilities of the classes. The graph term is graph_weight tr(P'L P), L = D - W; its
gradient 2 graph_weight L P goes through the softmax (Belkin, Niyogi and Sindhwani 2006, with
probabilities in place of scores). The way begins at the optimum of the labeled rows.
"""

from copy import copy
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import laplacian

from skgen.base import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    frames_inside,
    one_blas_thread,
    warn_convergence,
)
from skgen.linear_model.fitting import LinearFit
from skgen.objectives import LossSum, centered
from skgen.rows import Rows
from skgen.semi_supervised.around import (
    OneMoreTerm,
    Watched,
    fit_labeled,
    linear_problem,
    weighted_classes,
)
from skgen.semi_supervised.entropy import pulled, shares_of
from skgen.semi_supervised.fallback import with_fallback
from skgen.semi_supervised.graph import GIVEN, KERNELS, Graph
from skgen.semi_supervised.label_propagation import scaled
from skgen.solvers.lbfgs import lbfgs
from skgen.statistics import column_moments


class LaplacianRegularizedClassifier(OneMoreTerm):
    """Logistic or softmax regression with a penalty on differences between near rows.

    Parameters
    ----------
    estimator : LogisticRegression or SoftmaxRegression, default=None
        Says what is fitted; None means ``LogisticRegression()``. Needs ``l1_ratio=0``.
    graph_weight : float, default=0.1
        Cost of a squared difference of probabilities along an edge of affinity 1; 0 is the fit of
        the labeled rows.
    kernel : {"rbf", "knn", "radius", "self_tuning"} or callable, default="rbf"
        The graph, see `LabelPropagation`.
    gamma : float, default=20
    n_neighbors : int, default=7
    radius : float, default=1.0
    n_jobs : int or None, default=None
        For the search of neighbors.
    fallback : bool, default=False
        Judge the fit on labels held out first (stratified folds), and leave rows without a label
        out where they lower the score; costs ten fits more.

    Attributes
    ----------
    estimator_ : classifier
        Fitted; its parameters are those of the minimum.
    supervised_estimator_ : classifier
        Fitted to the labeled rows alone.
    classes_ : ndarray of shape (n_classes,)
    transduction_ : ndarray of shape (n,)
        The label of every row, predicted where y has none.
    objective_history_ : list of float
        The objective per unit of weight of the labeled rows, after every iteration.
    supervised_losses_, roughnesses_ : list of float
        Mean cross-entropy of the labeled rows and the sum over edges, at the same times.
    n_iter_ : int
    converged_ : bool
    stop_reason_ : str
    fell_back_, unlabeled_gain_ : bool, float
        With `fallback`: whether the rows without a label were left out, and the mean gain in score
        by them.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be.

    References
    ----------
    Belkin, Niyogi and Sindhwani, Manifold regularization, JMLR 7, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.semi_supervised import LaplacianRegularizedClassifier
    >>> X = np.array([[-2.0], [-1.5], [-1.2], [1.0], [1.2], [1.6], [2.0]])
    >>> y = np.array([0, -1, -1, -1, -1, -1, 1])
    >>> model = LaplacianRegularizedClassifier(gamma=2.0).fit(X, y)
    >>> model.transduction_.tolist()
    [0, 0, 0, 1, 1, 1, 1]
    """

    _parameter_constraints = {
        "fallback": ["boolean"],
        "estimator": [HasMethods(["fit"]), None],
        "graph_weight": [Interval(Real, 0.0, None, closed="left")],
        "kernel": [StrOptions(set(KERNELS) - set(GIVEN)), callable],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 0, None, closed="neither")],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        estimator=None,
        *,
        graph_weight=0.1,
        kernel="rbf",
        gamma=20,
        n_neighbors=7,
        radius=1.0,
        n_jobs=None,
        fallback=False,
    ):
        self.estimator = estimator
        self.graph_weight = graph_weight
        self.kernel = kernel
        self.gamma = gamma
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.n_jobs = n_jobs
        self.fallback = fallback

    @fit_context
    @with_fallback
    def fit(self, X, y, sample_weight=None):
        """Fit the labeled rows, then all rows on the graph.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN,
            pandas.NA or -1 among objects and strings. Integers that are all -1 or 1 are two
            classes.
        sample_weight : array of shape (n,), default=None
            Factors of the cross-entropy; those of both ends multiply an edge.

        Returns
        -------
        self : object
        """
        base, rows, classes, codes = self._admit(X, y, sample_weight)
        supervised = fit_labeled(base, rows, classes, codes)
        with one_blas_thread(rows):
            estimator = self._descend(base, supervised, rows, classes, codes)
        self._keep(estimator, supervised, rows, classes, codes)
        if not self.converged_:
            warn_convergence(
                f"{type(base).__name__} with graph_weight={self.graph_weight:g} did not converge:"
                f" {self.stop_reason_}. Increase estimator.max_iter (now {base.max_iter}) or"
                " estimator.tol",
                stacklevel=frames_inside() + 1,
            )
        return self

    def _descend(self, base, supervised, rows, classes, codes):
        own = np.ones(rows.n_rows) if rows.weight is None else rows.weight.astype(np.float64)
        graph = Graph(self.kernel, self.gamma, self.n_neighbors, self.radius, self.n_jobs)
        W, _, _ = graph.build(rows.X)
        L = laplacian(scaled(W, own, own))
        L = L.tocsr() if sparse.issparse(L) else L
        weight = weighted_classes(base, rows, classes, codes)
        weight = np.ones(rows.n_rows) if weight is None else weight
        labeled_weight = float(weight[codes >= 0].sum())
        rows = Rows(rows.X, weight, codes, n_threads=rows.n_threads)
        T = getattr(base, "temperature", 1.0)
        problem = linear_problem(base, len(classes), labeled_weight)
        fit = LinearFit(problem, rows, column_moments(rows))
        objective = GraphObjective(fit.objective, L, self.graph_weight, labeled_weight)
        losses, roughnesses = [], []

        def tell(value, w):
            loss, rough = objective.terms_at(w, fit.rows)
            losses.append(loss)
            roughnesses.append(rough)

        start = fit.start(supervised.coef_ / T, supervised.intercept_ / T)
        monitor = Watched(base.max_iter, base.tol, tell)
        solution = lbfgs(objective, start, fit.rows, monitor)
        estimator, dtype = copy(supervised), supervised.coef_.dtype
        estimator.coef_, estimator.intercept_ = fit.parameters(T * solution.params, dtype)
        self.objective_history_ = list(solution.history)
        self.supervised_losses_, self.roughnesses_ = losses, roughnesses
        self.n_iter_ = max(solution.n_iter, 1)
        self.converged_, self.stop_reason_ = bool(solution.converged), solution.reason
        return estimator


@dataclass(frozen=True)
class GraphObjective:
    """Cross-entropy of labeled rows and roughness on the graph, per unit of labeled weight.

    For `skgen.solvers.lbfgs`; `linear` is the LinearObjective of the supervised loss and L the
    Laplacian (n, n).
    """

    linear: object
    L: object
    graph_weight: float
    labeled_weight: float

    def value_and_gradient(self, w, rows):
        coef, intercept = self.linear.parts(w)
        raw = self.raw(coef, intercept, rows)
        loss, slope = self.cross_entropy(raw, rows)
        share = shares_of(raw)
        pull = self.L @ share
        rough = float((share * pull).sum())
        slope += pulled(raw, 2.0 * self.graph_weight * pull)
        total = rows.sum(add_slopes, (slope, self.linear.origin))
        squared, part = self.linear.penalty.squared(w)
        value = (loss + self.graph_weight * rough) / self.labeled_weight + squared
        gradient = self.linear.layout.pack(**self.split(total.gradient / self.labeled_weight))
        return value, gradient + part

    def terms_at(self, w, rows):
        """Mean cross-entropy and roughness."""
        raw = self.raw(*self.linear.parts(w), rows)
        share = shares_of(raw)
        rough = float((share * (self.L @ share)).sum())
        return self.cross_entropy(raw, rows)[0] / self.labeled_weight, rough

    def raw(self, coef, intercept, rows):
        out = np.empty((rows.n_rows, len(coef)))
        return rows.map(block_scores, (self.linear, coef, intercept), out)

    def cross_entropy(self, raw, rows):
        """Sum over the labeled rows, and slopes of all."""
        known = rows.target >= 0
        weight = np.where(known, rows.weight, 0.0)
        return self.linear.loss.value_and_gradient(raw, np.where(known, rows.target, 0), weight)

    def split(self, gradient):
        parts = {"coef": gradient[:, :-1]}
        return parts | ({"intercept": gradient[:, -1]} if self.linear.fit_intercept else {})

    def gradient_norm(self, gradient):
        return self.linear.gradient_norm(gradient)


def block_scores(block, params):
    linear, coef, intercept = params
    return linear.raw(block, coef, intercept)


def add_slopes(block, params):
    """`LossSum` whose gradient is that of given slopes by scores."""
    slope, origin = params
    slope = slope[block.span]
    Z = centered(block, origin)
    product = Z.T @ slope
    product = product.toarray() if sparse.issparse(product) else product
    return LossSum(0.0, np.column_stack([product.T, slope.sum(axis=0)]))

"""Transductive support vector machines for any number of classes."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.neighbors import kneighbors_graph
from sklearn.svm import SVC

from skgen.base import (
    Estimator,
    Interval,
    StrOptions,
    admit_new,
    admit_partly_labeled,
    announce,
    check_is_fitted,
    check_random_state,
    class_factors,
    fit_context,
    frames_inside,
    one_blas_thread,
    warn_convergence,
)
from skgen.memory import require
from skgen.semi_supervised.classes import require_two, wanted_shares
from skgen.semi_supervised.fallback import Fallback, with_fallback
from skgen.semi_supervised.graph import farthest, require_moderate, symmetric, tuned
from skgen.semi_supervised.label_propagation import LabelPropagation
from skgen.semi_supervised.transductive import (
    STAGES,
    KernelSpace,
    LinearSpace,
    TransductiveProblem,
    settle_best,
)

# Neighbors in the graph that one start comes from, and the most rows it is searched for among with
# a linear kernel, which has no distances of all pairs.
NEAR_ROWS, MOST_SEARCHED = 8, 20_000
# Of the supervised machine.
SUPERVISED_TOL, SUPERVISED_ITERATIONS = 1e-10, 100_000


class TransductiveSVC(Fallback, ClassifierMixin, Estimator):
    r"""Support vector classifier that keeps its boundary away from rows without a label too.

    Minimizes ``|w|^2 / 2 + C sum_l hinge(y_l f_l) + C_unlabeled sum_u hat(f_u)`` with
    ``hat(f) = max(0, 1 - |f|)`` under the constraint that the mean of f over the rows without a
    label is ``2 r - 1``, where r is the share of the class: each class against the others.

    Parameters
    ----------
    kernel : {"linear", "rbf", "poly", "precomputed"} or callable, default="rbf"
        "linear" goes through products with X, which may be sparse; others form the n x n kernel.
        "precomputed": X holds kernel values.
    C : float, default=1.0
        Cost of a labeled row.
    C_unlabeled : float, default=1.0
        Cost of a row without a label; 0 is the supervised machine, scikit-learn's
        :class:`sklearn.svm.SVC`, without the constraint.
    gamma : {"scale", "auto"} or float, default="scale"
    degree : int, default=3
    coef0 : float, default=0.0
        Of the kernels, as in scikit-learn's SVC.
    class_shares : array-like of shape (n_classes,), default=None
        Shares of the sorted classes among the rows without a label; None means those of the labeled
        rows.
    n_init : int, default=3
        Starts: from the supervised machine with rising cost; from labels that spread over the graph
        of near rows (8 neighbors, in the distances of the kernel; not for a linear kernel with more
        than 20000 rows); others from noise.
    exact_rows : int, default=12
        Up to so many rows without a label the global minimum is found, by branch and bound.
    class_weight : dict, "balanced" or None, default=None
        Factors of the cost of labeled rows.
    tol : float, default=1e-4
        Largest gap between the objective of a quadratic program and its dual, as a share.
    max_iter : int, default=10000
        Iterations of one quadratic program.
    random_state : int, RandomState or None, default=None
        For starts after the first.
    verbose : bool, default=False
    fallback : bool, default=False
        Judge the fit on labels held out first (stratified folds), and leave rows without a label
        out where they lower the score; costs ten fits more.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    transduction_ : ndarray of shape (n,)
        Labels of all rows; given ones stay.
    coef_ : ndarray of shape (1 or n_classes, d)
        Weights of the columns; "linear" only.
    dual_coef_ : ndarray of shape (1 or n_classes, n_support)
        ``f(x) = sum_i dual_coef_i k(x_i, x) + intercept``; of other kernels.
    support_ : int ndarray of shape (n_support,)
        Rows with a coefficient: all without a label are among them, as features are centered there.
    support_vectors_ : ndarray or CSR of shape (n_support, d)
    intercept_ : ndarray of shape (1 or n_classes,)
    objective_ : ndarray of shape (1 or n_classes,)
        Of the best start; NaN for the supervised machine.
    objective_history_ : list of float
        Sum over the classes of the objective of the first start after each stage of
        `C_unlabeled`; these rise with it.
    n_iter_ : int
        Stages and flips of all starts.
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
        If an argument is not what it should be, or the kernel does not fit into memory.

    References
    ----------
    Joachims, Transductive inference for text classification, ICML 1999. Chapelle and Zien,
    Semi-supervised classification by low density separation, AISTATS 2005. Collobert, Sinz, Weston
    and Bottou, Large scale transductive SVMs, JMLR 7, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.semi_supervised import TransductiveSVC
    >>> X = np.array([[-2.0], [-1.8], [-1.5], [0.5], [1.9], [2.0], [2.2]])
    >>> y = np.array([0, -1, -1, 1, -1, -1, -1])
    >>> TransductiveSVC("linear", class_shares=[0.4, 0.6]).fit(X, y).transduction_.tolist()
    [0, 0, 0, 1, 1, 1, 1]
    """

    _parameter_constraints = {
        "fallback": ["boolean"],
        "kernel": [StrOptions({"linear", "rbf", "poly", "precomputed"}), callable],
        "C": [Interval(Real, 0.0, None, closed="neither")],
        "C_unlabeled": [Interval(Real, 0.0, None, closed="left")],
        "gamma": [StrOptions({"scale", "auto"}), Interval(Real, 0.0, None, closed="left")],
        "degree": [Interval(Integral, 0, None, closed="left")],
        "coef0": [Interval(Real, None, None, closed="neither")],
        "class_shares": ["array-like", None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "exact_rows": [Interval(Integral, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "tol": [Interval(Real, 0.0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        C=1.0,
        C_unlabeled=1.0,
        gamma="scale",
        degree=3,
        coef0=0.0,
        class_shares=None,
        n_init=3,
        exact_rows=12,
        class_weight=None,
        tol=1e-4,
        max_iter=10000,
        random_state=None,
        verbose=False,
        fallback=False,
    ):
        self.kernel = kernel
        self.C = C
        self.C_unlabeled = C_unlabeled
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_shares = class_shares
        self.n_init = n_init
        self.exact_rows = exact_rows
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose
        self.fallback = fallback

    @fit_context
    @with_fallback
    def fit(self, X, y, sample_weight=None):
        """Find labels and a boundary together.

        Parameters
        ----------
        X : array or CSR of shape (n, d), or kernel values of shape (n, n)
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN,
            pandas.NA or -1 among objects and strings. Integers that are all -1 or 1 are two
            classes.
        sample_weight : array of shape (n,), default=None
            Factors of the costs.

        Returns
        -------
        self : object
        """
        rows, classes, codes = admit_partly_labeled(self, X, y, sample_weight, accept_sparse=True)
        require_two(self, classes)
        X, known = rows.X, codes >= 0
        if self.kernel == "precomputed" and X.shape[0] != X.shape[1]:
            raise ValueError(f"a precomputed kernel must be square, got X of shape {X.shape}")
        require_moderate(X)
        weight = np.ones(len(codes)) if rows.weight is None else rows.weight.astype(np.float64)
        shares = wanted_shares(self.class_shares, classes, codes, weight)
        cost = self._costs(classes, codes, weight, known)
        self._gamma = self._scale(X, weight)
        with one_blas_thread(rows):
            supervised = self._supervised(X, classes, codes, cost, known)
            self.classes_ = classes
            if known.all() or self.C_unlabeled == 0.0 or not cost[~known].any():
                self._keep_supervised(supervised, X, known & (cost > 0.0))
            else:
                self._settle(X, classes, codes, cost, shares, supervised, weight)
        self.transduction_ = (
            classes[codes] if known.all() else np.where(known, classes[codes], self.predict(X))
        )
        return self

    def _costs(self, classes, codes, weight, known):
        cost = weight * np.where(known, self.C, self.C_unlabeled)
        if self.class_weight is not None:
            factors = class_factors(
                self.class_weight, classes, classes[codes[known]], weight[known]
            )
            cost[known] *= factors[codes[known]]
        return cost

    def _scale(self, X, weight):
        """gamma as a number, as scikit-learn has it; a weight stands for so many rows."""
        if not isinstance(self.gamma, str):
            return float(self.gamma)
        if self.gamma == "auto" or self.kernel == "precomputed":
            return 1.0 / X.shape[1]
        mass = float(weight.sum()) * X.shape[1]
        mean = float(weight @ np.asarray(X.sum(axis=1)).ravel()) / mass
        if sparse.issparse(X):
            square = float(weight @ np.asarray(X.multiply(X).sum(axis=1)).ravel()) / mass
            variance = square - mean**2
        else:
            variance = float(weight @ np.square(X - mean).sum(axis=1)) / mass
        return 1.0 / (X.shape[1] * variance) if variance > 0.0 else 1.0

    def _products(self, X, Y=None):
        """Kernel values (n, m) of rows with others, float64."""
        if self.kernel == "precomputed":
            return X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=np.float64)
        if callable(self.kernel):
            return np.asarray(self.kernel(X, X if Y is None else Y), dtype=np.float64)
        options = {"gamma": self._gamma}
        if self.kernel == "poly":
            options |= {"degree": self.degree, "coef0": self.coef0}
        K = pairwise_kernels(X, Y, metric=self.kernel, **options)
        return np.asarray(K, dtype=np.float64)

    def _supervised(self, X, classes, codes, cost, known):
        """scikit-learn's machine for each class, on the labeled rows that count."""
        used = known & (cost > 0.0)
        part = X[used][:, used] if self.kernel == "precomputed" else X[used]
        machines = []
        for number in self._positive(classes):
            labels = np.where(codes[used] == number, 1, -1)
            if (labels == labels[0]).all():
                raise ValueError(
                    f"sample_weight or class_weight leaves no labeled row of class"
                    f" {classes[number]!r}, or of the others"
                )
            machines.append(self._machine(part, labels, cost[used]))
        return machines

    def _machine(self, X, labels, cost):
        """One machine: to the last digits where that is soon done, else to `tol`."""
        for tol, max_iter in ((SUPERVISED_TOL, SUPERVISED_ITERATIONS), (self.tol, -1)):
            machine = SVC(
                kernel=self.kernel,
                gamma=self._gamma,
                degree=self.degree,
                coef0=self.coef0,
                tol=tol,
                max_iter=max_iter,
            )
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    machine.fit(X, labels, sample_weight=cost)
                except ValueError as error:
                    if max_iter > 0:
                        continue
                    raise ValueError(
                        "the supervised machine of the labeled rows is not finite; scale the"
                        f" columns of X to about one ({error})"
                    ) from None
            if not any(issubclass(one.category, ConvergenceWarning) for one in told):
                break
        return machine

    def _positive(self, classes):
        """Numbers of the classes that stand against the others."""
        return [1] if len(classes) == 2 else range(len(classes))

    def _keep_supervised(self, machines, X, used):
        used = np.flatnonzero(used)
        self.intercept_ = np.concatenate([machine.intercept_ for machine in machines])
        if self.kernel == "linear":
            rows = [machine.coef_ for machine in machines]
            self.coef_ = np.vstack([r.toarray() if sparse.issparse(r) else r for r in rows])
        else:
            dual = np.zeros((len(machines), X.shape[0]))
            for machine, row in zip(machines, dual, strict=True):
                coef = machine.dual_coef_
                coef = coef.toarray() if sparse.issparse(coef) else coef
                row[used[machine.support_]] = coef[0]
            self._keep_dual(dual, X)
        self.objective_ = np.full(len(machines), np.nan)
        self.objective_history_, self.n_iter_, self.converged_ = [], 1, True
        self.stop_reason_ = "supervised: no row without a label counts"

    def _keep_dual(self, dual, X):
        self.support_ = np.flatnonzero(dual.any(axis=0))
        self.dual_coef_ = dual[:, self.support_]
        if self.kernel == "precomputed":
            self.support_vectors_ = np.empty((0, X.shape[1]))
        else:
            self.support_vectors_ = X[self.support_]

    def _settle(self, X, classes, codes, cost, shares, supervised, weight):
        n, known = X.shape[0], codes >= 0
        mean = np.where(known, 0.0, weight)
        mean /= mean.sum()
        if self.kernel == "linear":
            space = LinearSpace(X.astype(np.float64), mean)
        else:
            require(
                3 * 8 * n * n, f"kernel values of {n} rows", "use kernel='linear' or fewer rows"
            )
            space = KernelSpace(self._products(X), mean)
        near = self._spread(X, space, codes) if self.n_init > 1 else None
        random_state = check_random_state(self.random_state)
        duals, intercepts, objectives, histories, unsolved = [], [], [], [], 0
        for machine, number in zip(supervised, self._positive(classes), strict=True):
            y = np.where(known, np.where(codes == number, 1.0, -1.0), 0.0)
            b = 2.0 * shares[number] - 1.0
            problem = TransductiveProblem(space, y, cost, b, self.tol, self.max_iter)
            start = machine.decision_function(
                X[:, known & (cost > 0.0)] if self.kernel == "precomputed" else X
            )
            starts = [(start, STAGES)]
            if near is not None:
                starts.append((leaning(near[:, number], shares[number], ~known), STAGES[-1:]))
            best, history = settle_best(problem, starts, self.n_init, self.exact_rows, random_state)
            beta = best.a * best.y
            duals.append(beta - beta.sum() * mean)
            intercepts.append(b - space.at_mean(beta))
            objectives.append(best.objective)
            histories.append(history)
            unsolved += problem.unsolved
            if self.verbose:
                announce("Class %r: objective %.8g", classes[number], best.objective)
        # f of the centered features, told by those that are not.
        self.intercept_ = np.array(intercepts)
        if self.kernel == "linear":
            self.coef_ = np.array([np.asarray(X.T @ dual).ravel() for dual in duals])
        else:
            self._keep_dual(np.array(duals), X)
        self.objective_ = np.array(objectives)
        stages = zip(*(history[0] for history in histories), strict=False)
        self.objective_history_ = [float(sum(stage)) for stage in stages]
        self.n_iter_ = sum(len(part) for history in histories for part in history)
        self.converged_ = unsolved == 0
        self.stop_reason_ = "no label changes, nor is a single flip better"
        if unsolved:
            self.stop_reason_ = f"{unsolved} quadratic programs reached max_iter={self.max_iter}"
            warn_convergence(
                f"TransductiveSVC: {self.stop_reason_} before their gap was below"
                f" tol={self.tol:g}. Increase max_iter or tol, or scale the columns of X",
                stacklevel=frames_inside() + 1,
            )

    def _spread(self, X, space, codes):
        """Label distributions by the graph of rows near in the kernel's distances, or None."""
        n = X.shape[0]
        k = min(NEAR_ROWS, n - 1)
        if self.kernel != "linear":
            square = np.diag(space.K)
            distance = np.maximum(square[:, None] + square - 2.0 * space.K, 0.0)
            np.fill_diagonal(distance, np.inf)
            near = np.argpartition(distance, k - 1, axis=1)[:, :k]
            D = np.sqrt(np.take_along_axis(distance, near, axis=1))
            D = sparse.csr_matrix((D.ravel(), near.ravel(), np.arange(0, n * k + 1, k)), (n, n))
        elif n <= MOST_SEARCHED:
            D = kneighbors_graph(X, k, mode="distance")
        else:
            return None
        widths = farthest(D)
        W = symmetric(tuned(D, widths, widths), np.maximum)
        with warnings.catch_warnings():
            # Rows that no label reaches stay undecided: it is only a start.
            warnings.simplefilter("ignore")
            model = LabelPropagation("precomputed", class_mass_normalization=True).fit(W, codes)
        return model.label_distributions_

    def decision_function(self, X):
        """Scores: of two classes that of the second, else of each class against the others.

        Parameters
        ----------
        X : array or CSR of shape (m, d), or kernel values of shape (m, n)

        Returns
        -------
        score : ndarray of shape (m,) or (m, n_classes)
        """
        check_is_fitted(self, "intercept_")
        X = admit_new(self, X, accept_sparse=True)
        require_moderate(X)
        if self.kernel == "linear":
            score = np.asarray(X @ self.coef_.T)
        elif self.kernel == "precomputed":
            score = self._products(X)[:, self.support_] @ self.dual_coef_.T
        else:
            score = self._products(X, self.support_vectors_) @ self.dual_coef_.T
        score = score + self.intercept_
        return score[:, 0] if len(self.classes_) == 2 else score

    def predict(self, X):
        """The class with the largest score.

        Parameters
        ----------
        X : array or CSR of shape (m, d), or kernel values of shape (m, n)

        Returns
        -------
        y : ndarray of shape (m,)
        """
        score = self.decision_function(X)
        if score.ndim == 1:
            return self.classes_[(score > 0.0).astype(np.intp)]
        return self.classes_[score.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags


def leaning(share, positive, free):
    """Scores that call a share `positive` of the free rows positive: the likeliest ones."""
    cut = np.quantile(share[free], 1.0 - positive) if free.any() else 0.5
    return share - cut

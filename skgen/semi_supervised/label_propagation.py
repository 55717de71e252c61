"""Labels that spread over a graph of rows.

    propagation   f_u = (D - W)_uu^-1 W_ul y_l        rows with a label keep it; the others get the
                                                      mean of their neighbors (harmonic)
    spreading     F = (1 - alpha) (I - alpha S)^-1 Y  S = D^-1/2 W D^-1/2; all rows may change

Both are linear systems with one positive definite sparse matrix, solved as such, not by passing
labels on until nothing seems to change. A weight s_i stands for so many copies of a row, which
share its neighbors and are neighbors of each other: edges weigh s_i s_j W_ij. Zhu, Ghahramani and
Lafferty (2003); Zhou, Bousquet, Lal, Weston and Schoelkopf (2004).
"""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.linalg import splu
from sklearn.base import ClassifierMixin

from skgen.base import (
    Estimator,
    Interval,
    StrOptions,
    admit_new,
    admit_partly_labeled,
    check_is_fitted,
    fit_context,
    frames_inside,
    one_blas_thread,
    warn_convergence,
)
from skgen.labels import marked
from skgen.semi_supervised.graph import GIVEN, KERNELS, Graph, degrees, reached
from skgen.solvers.conjugate_gradients import LinearSolution, conjugate_gradients

# Dense systems of so many unknowns are factored.
FACTORED_UNKNOWNS = 2000
# Of the largest weight.
LEAST_WEIGHT = 1e-100
# Rounding of a residual.
LEAST_RESIDUAL = 1e-14
# Residuals go down to this share of `tol`, which scikit-learn compares with the changes of a pass.
SHARE_OF_TOL = 1e-3


class GraphClassifier(ClassifierMixin, Estimator):
    """What `LabelPropagation` and `LabelSpreading` share."""

    _parameter_constraints = {
        "kernel": [StrOptions(set(KERNELS)), callable],
        "gamma": [Interval(Real, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 0, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [None, Integral],
        "radius": [Interval(Real, 0, None, closed="neither")],
        "solver": [StrOptions({"auto", "direct", "cg"})],
        "unreached": [StrOptions({"prior", "unlabeled"})],
        "class_mass_normalization": ["boolean"],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma=20,
        n_neighbors=7,
        max_iter=1000,
        tol=1e-3,
        n_jobs=None,
        radius=1.0,
        solver="auto",
        unreached="prior",
        class_mass_normalization=False,
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.n_neighbors = n_neighbors
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.radius = radius
        self.solver = solver
        self.unreached = unreached
        self.class_mass_normalization = class_mass_normalization

    @fit_context
    def fit(self, X, y, sample_weight=None):
        """Build the graph and solve for the labels of all rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, d), or (n, n)
            Rows; affinities or distances where the kernel is precomputed.
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN,
            pandas.NA or -1 among objects and strings.
        sample_weight : array of shape (n,), default=None
            Weight 2 means the row and a copy of it, 0 no row: its own label is then told by the
            others alone.

        Returns
        -------
        self : object
        """
        rows, classes, codes = admit_partly_labeled(
            self, X, y, sample_weight, accept_sparse=True, signed=False
        )
        weight = np.ones(rows.n_rows) if rows.weight is None else rows.weight.astype(np.float64)
        present = weight > 0.0
        labeled = present & (codes >= 0)
        if not labeled.any():
            raise ValueError("sample_weight leaves no row that y labels; give one a weight above 0")
        graph = self._graph()
        with one_blas_thread(rows):
            W, loops, kept = graph.build(rows.X)
            Y = np.zeros((rows.n_rows, len(classes)))
            Y[labeled, codes[labeled]] = 1.0
            parts = Parts(W, loops, weight, Y, labeled, present)
            solution = self._solve(parts)
        F = solution.X
        prior = weight[labeled] @ Y[labeled] / weight[labeled].sum()
        open_rows = ~labeled
        if self.class_mass_normalization:
            F[open_rows] = by_class_mass(F[open_rows], weight[open_rows], prior)
        lost = self._settle(F, parts, prior)
        self.X_, self.classes_ = rows.X, classes
        self.label_distributions_ = F
        self.transduction_ = marked(classes[F.argmax(axis=1)], ~F.any(axis=1))
        self.n_iter_ = max(solution.n_iter, 1)
        self.converged_, self.residual_ = solution.converged, solution.residual
        self.n_unreached_ = int(lost.sum())
        self._prior, self._kept = prior, kept
        self._weight = None if rows.weight is None else weight
        self._warn(lost)
        return self

    def _graph(self):
        return Graph(self.kernel, self.gamma, self.n_neighbors, self.radius, self.n_jobs)

    def _solve_system(self, A, B):
        """`LinearSolution` of A X = B, for A an array or CSR."""
        dense = not sparse.issparse(A)
        direct = self.solver == "direct"
        direct |= self.solver == "auto" and dense and A.shape[0] <= FACTORED_UNKNOWNS
        if direct and A.shape[0]:
            X = factored(A, B)
            if X is not None:
                return LinearSolution(X, LEAST_RESIDUAL, 1, True)
        tol = max(SHARE_OF_TOL * self.tol, LEAST_RESIDUAL)
        return conjugate_gradients(lambda P: A @ P, A.diagonal(), B, tol, self.max_iter)

    def _settle(self, F, parts, prior):
        """Make distributions of F, in place; the mask of rows that no label reaches."""
        # Affinities at the edge of what floats can hold may leave no number.
        F[~np.isfinite(F).all(axis=1)] = 0.0
        np.maximum(F, 0.0, out=F)
        mass, lost = F.sum(axis=1), ~parts.joined
        F[~lost] /= np.maximum(mass[~lost], np.finfo(np.float64).tiny)[:, None]
        silent = ~lost & (mass == 0.0)
        F[silent] = prior
        F[lost] = prior if self.unreached == "prior" else 0.0
        return lost

    def _warn(self, lost):
        if lost.any():
            fate = {
                "prior": "they get the class shares of the labeled rows, which say nothing of them"
                " (unreached='unlabeled' leaves them without a label)",
                "unlabeled": "they are left without a label",
            }[self.unreached]
            warnings.warn(
                f"{int(lost.sum())} of {len(lost)} rows are joined to no labeled row by the graph;"
                f" {fate}. More neighbors, a smaller gamma or labels there would reach them",
                UserWarning,
                stacklevel=frames_inside(),
            )
        if not self.converged_:
            warn_convergence(
                f"{type(self).__name__}: conjugate gradients stopped at max_iter={self.max_iter}"
                f" with a residual of {self.residual_:.2g}, above"
                f" {SHARE_OF_TOL:g} tol={SHARE_OF_TOL * self.tol:g}. Increase max_iter or tol, or"
                " set solver='direct'",
                stacklevel=frames_inside() + 1,
            )

    def predict(self, X):
        """The most probable class of new rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (m, d), or (m, n)

        Returns
        -------
        y : ndarray of shape (m,)
        """
        number = self.predict_proba(X).argmax(axis=1)
        return self.classes_[number]

    def predict_proba(self, X):
        """Means of the label distributions of the neighbors, weighted by affinity.

        Delalleau, Bengio and Le Roux (2005), equation 6. A row without neighbors gets the class
        shares of the labeled rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (m, d), or (m, n)
            Affinities or distances to the rows of the fit where the kernel is precomputed.

        Returns
        -------
        share : ndarray of shape (m, n_classes)
        """
        check_is_fitted(self, "label_distributions_")
        X = admit_new(self, X, accept_sparse=True)
        W = self._graph().to(X, self.X_, self._kept)
        F = self.label_distributions_
        if self._weight is not None:
            F = F * self._weight[:, None]
        share = np.asarray(W @ F)
        mass = share.sum(axis=1)
        share[mass > 0.0] /= mass[mass > 0.0][:, None]
        share[mass == 0.0] = self._prior
        return share

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = isinstance(self.kernel, str) and self.kernel in GIVEN
        return tags


class LabelPropagation(GraphClassifier):
    """Labels by the harmonic function on a graph: labeled rows keep their label.

    Parameters
    ----------
    kernel : {"rbf", "knn", "radius", "self_tuning", "precomputed", "precomputed_distances"} or \
            callable, default="rbf"
        The graph. "rbf" joins all pairs, the others near ones only. "knn": 1 for rows of which one
        is among the `n_neighbors` nearest of the other (itself counted, as scikit-learn does);
        "radius": 1 within `radius`; "self_tuning": ``exp(-d^2 / (s_i s_j))`` along the edges of
        "knn", where s is the distance of the farthest neighbor. "precomputed": X holds affinities;
        "precomputed_distances": distances of near rows, as
        :class:`sklearn.neighbors.KNeighborsTransformer` makes them, which become
        ``exp(-gamma d^2)``. A callable takes two sets of rows and returns affinities. Affinities
        that are not symmetric are averaged with their transpose, distances count where either has
        them.
    gamma : float, default=20
        Of "rbf" and "precomputed_distances".
    n_neighbors : int, default=7
    max_iter : int, default=1000
        Most products of conjugate gradients.
    tol : float, default=1e-3
        Conjugate gradients end at a relative residual of a thousandth of it.
    n_jobs : int or None, default=None
        For the search of neighbors.
    radius : float, default=1.0
    solver : {"auto", "direct", "cg"}, default="auto"
        "direct" factors the system (a dense one by Cholesky, a sparse one by LU), "cg" needs memory
        in proportion to the edges; "auto" factors up to 2000 dense unknowns.
    unreached : {"prior", "unlabeled"}, default="prior"
        What becomes of rows that the graph joins to no labeled row: the class shares of the labeled
        rows with a warning, or no label.
    class_mass_normalization : bool, default=False
        Scale the classes so that the rows without a label belong to them in the shares of the
        labeled rows (Zhu, Ghahramani and Lafferty 2003, section 4).

    Attributes
    ----------
    X_ : ndarray or CSR of shape (n, d)
    classes_ : ndarray of shape (n_classes,)
    label_distributions_ : ndarray of shape (n, n_classes)
        Zeros for a row that is left without a label.
    transduction_ : ndarray of shape (n,)
        Labels of all rows; -1, NaN or None where a row is left without one.
    n_iter_ : int
    converged_ : bool
    residual_ : float
        Relative residual of the linear system.
    n_unreached_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be, or all pairs do not fit into memory.

    References
    ----------
    Zhu, Ghahramani and Lafferty, Semi-supervised learning using Gaussian fields and harmonic
    functions, ICML 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.semi_supervised import LabelPropagation
    >>> X = np.array([[0.0], [0.2], [0.4], [1.0], [1.2]])
    >>> LabelPropagation(gamma=5.0).fit(X, [0, -1, -1, -1, 1]).transduction_.tolist()
    [0, 0, 0, 1, 1]
    """

    def _solve(self, parts):
        """Harmonic values of the rows without a label that labels reach."""
        F = parts.Y.copy()
        unknown = np.flatnonzero(parts.joined & parts.present & ~parts.labeled)
        known = np.flatnonzero(parts.labeled)
        # Only ratios count; products of tiny weights would be none.
        s = np.maximum(parts.weight / parts.weight.max(), LEAST_WEIGHT)
        across = scaled(parts.W[unknown][:, known], s[unknown], s[known])
        inner = scaled(parts.W[unknown][:, unknown], s[unknown], s[unknown])
        D = degrees(inner) + degrees(across)
        solution = self._solve_system(shifted(inner, D, -1.0), across @ parts.Y[known])
        F[unknown] = solution.X
        self._follow(F, parts)
        return LinearSolution(F, solution.residual, solution.n_iter, solution.converged)

    def _follow(self, F, parts):
        """Rows of weight zero get the mean of their neighbors."""
        absent = np.flatnonzero(~parts.present)
        if len(absent):
            W = parts.W[absent]
            F[absent] = W @ (parts.weight[:, None] * F)


class LabelSpreading(GraphClassifier):
    """Labels by local and global consistency: smooth on the graph, and near to those given.

    Parameters
    ----------
    kernel : {"rbf", "knn", "radius", "self_tuning", "precomputed", "precomputed_distances"} or \
            callable, default="rbf"
        The graph, see `LabelPropagation`.
    gamma : float, default=20
    n_neighbors : int, default=7
    alpha : float in (0, 1), default=0.2
        How much a row takes from its neighbors; the rest it keeps of its own label.
    max_iter : int, default=30
        Most products of conjugate gradients.
    tol : float, default=1e-3
        Conjugate gradients end at a relative residual of a thousandth of it.
    n_jobs : int or None, default=None
    radius : float, default=1.0
    solver : {"auto", "direct", "cg"}, default="auto"
    unreached : {"prior", "unlabeled"}, default="prior"
    class_mass_normalization : bool, default=False
        All as for `LabelPropagation`.

    Attributes
    ----------
    X_ : ndarray or CSR of shape (n, d)
    classes_ : ndarray of shape (n_classes,)
    label_distributions_ : ndarray of shape (n, n_classes)
        Zeros for a row that is left without a label.
    transduction_ : ndarray of shape (n,)
        Labels of all rows; that of a labeled row may have changed.
    n_iter_ : int
    converged_ : bool
    residual_ : float
        Relative residual of the linear system.
    n_unreached_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be, or all pairs do not fit into memory.

    References
    ----------
    Zhou, Bousquet, Lal, Weston and Schoelkopf, Learning with local and global consistency, NIPS
    2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.semi_supervised import LabelSpreading
    >>> X = np.array([[0.0], [0.2], [0.4], [1.0], [1.2]])
    >>> LabelSpreading(gamma=5.0).fit(X, [0, -1, -1, -1, 1]).transduction_.tolist()
    [0, 0, 0, 1, 1]
    """

    _parameter_constraints = GraphClassifier._parameter_constraints | {
        "alpha": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma=20,
        n_neighbors=7,
        alpha=0.2,
        max_iter=30,
        tol=1e-3,
        n_jobs=None,
        radius=1.0,
        solver="auto",
        unreached="prior",
        class_mass_normalization=False,
    ):
        super().__init__(
            kernel,
            gamma=gamma,
            n_neighbors=n_neighbors,
            max_iter=max_iter,
            tol=tol,
            n_jobs=n_jobs,
            radius=radius,
            solver=solver,
            unreached=unreached,
            class_mass_normalization=class_mass_normalization,
        )
        self.alpha = alpha

    def _solve(self, parts):
        """F by one linear system, in the unknowns sqrt(s) F, for which it is symmetric."""
        s = parts.weight
        root = np.sqrt(s)
        copies = np.maximum(s - 1.0, 0.0) * parts.loops
        # What a row sees: its neighbors with their weights, and its own copies.
        D = np.asarray(parts.W @ s, dtype=np.float64).ravel() + copies
        D[D == 0.0] = 1.0
        inverse = 1.0 / np.sqrt(D)
        S = scaled(parts.W, root * inverse, root * inverse)
        A = shifted(S, 1.0 - self.alpha * copies / D, -self.alpha)
        solution = self._solve_system(A, (1.0 - self.alpha) * root[:, None] * parts.Y)
        F = np.divide(
            solution.X, root[:, None], out=np.zeros_like(parts.Y), where=root[:, None] > 0
        )
        absent = np.flatnonzero(~parts.present)
        if len(absent):
            seen = scaled(parts.W[absent], inverse[absent], s * inverse)
            F[absent] = self.alpha * (seen @ F)
        return LinearSolution(F, solution.residual, solution.n_iter, solution.converged)


def factored(A, B):
    """The solution of A X = B, or None where rounding leaves A no longer positive definite."""
    try:
        if sparse.issparse(A):
            X = splu(A.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(B)
        else:
            X = cho_solve(cho_factor(A, lower=True, check_finite=False), B, check_finite=False)
    except (LinAlgError, RuntimeError):
        return None
    return X if np.isfinite(X).all() else None


class Parts:
    """What a system is made of: affinities, weights, labels."""

    def __init__(self, W, loops, weight, Y, labeled, present):
        self.W, self.loops, self.weight, self.Y = W, loops, weight, Y
        self.labeled, self.present = labeled, present
        self.joined = self._joined()

    def _joined(self):
        """Which rows a path of present rows joins to a labeled one, a mask (n,)."""
        if self.present.all():
            return reached(self.W, np.flatnonzero(self.labeled))
        rows = np.flatnonzero(self.present)
        joined = np.zeros(len(self.present), dtype=bool)
        inner = self.W[rows][:, rows]
        joined[rows] = reached(inner, np.flatnonzero(self.labeled[rows]))
        absent = np.flatnonzero(~self.present)
        joined[absent] = np.asarray(self.W[absent] @ joined.astype(np.float64)).ravel() > 0.0
        return joined


def scaled(W, left, right):
    """diag(left) W diag(right), of an array or CSR, as a new one."""
    if not sparse.issparse(W):
        return left[:, None] * W * right
    W = W.tocsr(copy=True)
    rows = np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))
    W.data *= left[rows] * right[W.indices]
    return W


def shifted(W, diagonal, factor):
    """diag(diagonal) + factor W, overwriting an array W."""
    if sparse.issparse(W):
        return (sparse.diags(np.broadcast_to(diagonal, W.shape[0])) + factor * W).tocsr()
    W *= factor
    W[np.diag_indices_from(W)] += diagonal
    return W


def by_class_mass(F, weight, prior):
    """Scale the classes of F so that their weighted masses have the shares `prior`."""
    mass = weight @ np.maximum(F, 0.0)
    return F * np.divide(prior, mass, out=np.zeros_like(mass), where=mass > 0.0)

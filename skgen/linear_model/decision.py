"""From linear scores to labels, the same for all linear classifiers.

raw = X coef' + intercept        label = the class of the largest score (two classes: its sign)
"""

import numpy as np
from scipy import sparse

from skgen.base import ClassifierMixin, admit_new, check_is_fitted


class LinearClassifier(ClassifierMixin):
    """Scores and labels of a fitted linear classifier."""

    def decision_function(self, X):
        """Signed scores of the classes.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        scores : ndarray of shape (n,) for two classes, else (n, K)
            For two classes the score of ``classes_[1]``. Scores beyond the largest float are that
            float.

        Raises
        ------
        ValueError
            If X does not have the features of the fit, or is not finite.
        """
        check_is_fitted(self, "coef_")
        scores = linear_scores(admit_new(self, X, accept_sparse=True), self.coef_, self.intercept_)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X):
        """The most probable class of every row.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        scores = self.decision_function(X)
        best = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_.take(best)

    def sparsify(self):
        """Store ``coef_`` as CSR, which is smaller when most of it is zero.

        Returns
        -------
        self : fitted estimator
        """
        check_is_fitted(self, "coef_")
        self.coef_ = sparse.csr_matrix(self.coef_)
        return self

    def densify(self):
        """Store ``coef_`` as an array again.

        Returns
        -------
        self : fitted estimator
        """
        check_is_fitted(self, "coef_")
        if sparse.issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
        return self

    def _last_parameters(self, shape):
        """coef_ and intercept_ to continue from with `warm_start`, None without."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        self.densify()
        if self.coef_.shape != shape:
            raise ValueError(
                f"warm_start=True continues from coef_ of shape {self.coef_.shape}, but X and y"
                f" ask for {shape}; refit with warm_start=False"
            )
        return self.coef_.astype(np.float64), self.intercept_.astype(np.float64)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def linear_scores(X, coef, intercept):
    """X coef' + intercept as an array (n, K); finite for any finite X."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores = X @ coef.T
        if sparse.issparse(scores):
            scores = scores.toarray()
        scores = scores + intercept
        if np.isfinite(scores.sum()):
            return scores
    return scores_of_huge(X, coef, intercept, scores)


def scores_of_huge(X, coef, intercept, scores):
    """The scores again, in units of the largest entry of each row where they overflowed."""
    bad = ~np.isfinite(scores).all(axis=1)
    if not bad.any():
        return scores
    X = X[bad].toarray() if sparse.issparse(X) else X[bad]
    X = X.astype(np.float64)
    coef = coef.toarray() if sparse.issparse(coef) else coef
    unit = np.abs(X).max(axis=1, keepdims=True)
    limit = np.finfo(scores.dtype).max
    size = max(float(np.abs(coef).max()), 1.0)
    small = (X / unit) @ (coef.astype(np.float64) / size).T + intercept / unit / size
    with np.errstate(over="ignore"):
        scores[bad] = np.clip(small * unit * size, -limit, limit)
    return scores

"""What classifiers share whose objective is that of another classifier with one more term.

fit the labeled rows -> go on from there with all rows -> answer as the inner classifier does
"""

import numpy as np
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone

from skgen.base import (
    UNWATCHED,
    Estimator,
    admit_new,
    admit_partly_labeled,
    available_if,
    check_is_fitted,
    class_factors,
    thread_count,
)
from skgen.linear_model import LogisticRegression, SoftmaxRegression
from skgen.semi_supervised.classes import require_two
from skgen.semi_supervised.fallback import Fallback
from skgen.solvers.monitor import DescentMonitor


def has(method):
    """Whether the inner classifier, fitted or not, has a method."""

    def check(self):
        getattr(getattr(self, "estimator_", self._base()), method)
        return True

    return check


class OneMoreTerm(Fallback, MetaEstimatorMixin, ClassifierMixin, Estimator):
    """An estimator around `estimator`, whose classes are among `_inner`."""

    _inner = (LogisticRegression, SoftmaxRegression)

    def _base(self):
        return LogisticRegression() if self.estimator is None else self.estimator

    def _admit(self, X, y, sample_weight):
        """The inner classifier; `Rows`, classes and codes, -1 where there is no label."""
        base = self._base()
        if not isinstance(base, self._inner):
            names = ", ".join(kind.__name__ for kind in self._inner[:-1])
            raise TypeError(
                f"estimator must be a {names} or {self._inner[-1].__name__} of skgen, whose"
                f" objective gets another term; got {type(base).__name__}"
            )
        if is_linear(base) and base.l1_ratio:
            raise ValueError(
                f"estimator.l1_ratio={base.l1_ratio!r} must be 0: the new term needs a smooth"
                " penalty"
            )
        rows, classes, codes = admit_partly_labeled(
            self, X, y, sample_weight, n_threads=thread_count(base.n_jobs), accept_sparse=True
        )
        require_two(self, classes)
        return base, rows, classes, codes

    def _keep(self, estimator, supervised, rows, classes, codes):
        """Write the attributes that answers are read from."""
        self.classes_ = classes
        self.estimator_, self.supervised_estimator_ = estimator, supervised
        # All rows at once: picking those without a label would copy most of X.
        self.transduction_ = np.where(codes >= 0, classes[codes], estimator.predict(rows.X))

    def predict(self, X):
        """The most probable class of every row.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        y : ndarray of shape (n,)
        """
        return self._ask("predict", X)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        share : ndarray of shape (n, n_classes)
        """
        return self._ask("predict_proba", X)

    def predict_log_proba(self, X):
        """Logarithms of the probabilities.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        log_share : ndarray of shape (n, n_classes)
        """
        return self._ask("predict_log_proba", X)

    @available_if(has("decision_function"))
    def decision_function(self, X):
        """Scores of the classes; of two classes, the score of the second.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        score : ndarray of shape (n,) or (n, n_classes)
        """
        return self._ask("decision_function", X)

    def _ask(self, method, X):
        check_is_fitted(self, "estimator_")
        return getattr(self.estimator_, method)(admit_new(self, X, accept_sparse=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Watched(DescentMonitor):
    """Also calls `tell` with the objective and the parameters of every iteration."""

    def __init__(self, max_iter, tol, tell):
        super().__init__(max_iter, tol, UNWATCHED, lambda w: {})
        self.tell = tell

    def end(self, value, params, gradient_norm, gap):
        over = super().end(value, params, gradient_norm, gap)
        self.tell(value, params)
        return over


def is_linear(base):
    return isinstance(base, LogisticRegression | SoftmaxRegression)


def fit_labeled(base, rows, classes, codes):
    """A clone of `base`, fitted to the rows that have a label."""
    known = np.flatnonzero(codes >= 0)
    weight = None if rows.weight is None else rows.weight[known]
    return clone(base).fit(rows.take(known), classes[codes[known]], sample_weight=weight)


def linear_problem(base, n_classes, weight):
    """What a logistic or softmax regression minimizes over rows of so much weight."""
    if isinstance(base, SoftmaxRegression):
        return base._problem(n_classes, weight)
    return base._problem(*base._checked_penalty(), n_classes, weight)


def weighted_classes(base, rows, classes, codes):
    """Weights of all rows, with the class weights of `base` where there is a label."""
    if base.class_weight is None:
        return rows.weight
    weight = np.ones(rows.n_rows) if rows.weight is None else np.array(rows.weight, dtype=float)
    known = codes >= 0
    factors = class_factors(base.class_weight, classes, classes[codes[known]], weight[known])
    weight[known] *= factors[codes[known]]
    return weight

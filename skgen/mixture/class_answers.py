"""What a fitted generative classifier answers: classes, their probabilities, densities, samples.

    log p(c | x) = log p(x, c) - log sum_b p(x, b)

`mixture_` is the mixture of all classes, which answers what does not ask for classes.
"""

import numpy as np

from skgen.base import (
    ClassifierMixin,
    admit,
    check_consistent_length,
    check_is_fitted,
    check_partial_labels,
    check_weight,
    one_blas_thread,
    thread_count,
)
from skgen.distributions.gaussian import STRUCTURES
from skgen.mixture.answers import params_of, rows_to_answer_for
from skgen.mixture.gaussian_mixture import GaussianMixture
from skgen.mixture.inference import MaximumLikelihood
from skgen.mixture.labeled import (
    LabeledModel,
    LinearScores,
    class_log_joint,
    class_log_probabilities,
    class_probabilities,
    linear_labels,
)
from skgen.mixture.map_gaussian_mixture import MAPGaussianMixture
from skgen.mixture.model import EVALUATIONS


class ClassAnswers(ClassifierMixin):
    """Methods of a fitted classifier; `self` has the fitted attributes and parameters."""

    def _fitted_params(self):
        return params_of(self)

    def _admit(self, X, sample_weight=None, *, reset):
        return admit(
            self,
            X,
            sample_weight,
            reset=reset,
            n_threads=thread_count(self.n_jobs),
            check_finite=False,
        )

    def _prepared(self, rows, patterns):
        """The fitted mixture in the kernels' layout."""
        starts = np.searchsorted(self.components_class_, np.arange(len(self.classes_) + 1))
        model = LabeledModel(
            STRUCTURES[self.covariance_type],
            rows.dtype,
            MaximumLikelihood(),
            patterns=patterns,
            starts=starts,
        )
        return model.prepare(self._fitted_params())

    def _codes(self, rows, patterns):
        """The number of the most probable class of every row."""
        if len(self.classes_) < len(self.weights_):
            return self._map(class_probabilities, rows, patterns).argmax(axis=1)
        prepared, scores = self._prepared(rows, patterns), None
        if self.covariance_type == "tied" and patterns is None:
            scores = LinearScores.of(self._fitted_params(), prepared, rows.dtype)
        if scores is None:
            return EVALUATIONS["label"](rows, prepared.whole)
        with one_blas_thread(rows):
            return rows.map(linear_labels, scores, np.empty(rows.n_rows, dtype=np.int64))

    def _map(self, function, rows, patterns):
        """A number per row and class, float64."""
        out = np.empty((rows.n_rows, len(self.classes_)))
        return rows.map(function, self._prepared(rows, patterns), out)

    def predict(self, X):
        """The most probable class of every row.

        Parameters
        ----------
        X : array of shape (n, d)
            NaN as in `fit`.

        Returns
        -------
        y : ndarray of shape (n,)
        """
        codes = self._codes(*rows_to_answer_for(self, X))
        return self.classes_[codes]

    def predict_proba(self, X):
        """Probabilities of the classes given the row, exact however far the row is from all.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes), float64
        """
        return self._map(class_probabilities, *rows_to_answer_for(self, X))

    def predict_log_proba(self, X):
        """Log probabilities of the classes, also where the probability itself underflows.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_probabilities : ndarray of shape (n, n_classes), float64
        """
        return self._map(class_log_probabilities, *rows_to_answer_for(self, X))

    def predict_joint_log_proba(self, X):
        """Log joint densities log p(x, class), in nats; -inf where even they underflow.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_densities : ndarray of shape (n, n_classes), float64
        """
        return self._map(class_log_joint, *rows_to_answer_for(self, X))

    def decision_function(self, X):
        """Log probability of every class; with two classes the log odds of the second.

        Discriminant analysis leaves out what all classes have in common; differences between
        classes are the same.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        scores : ndarray of shape (n, n_classes) or (n,), float64
        """
        logs = self.predict_log_proba(X)
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            scores = logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs
        return np.clip(scores, -largest, largest)

    def score(self, X, y, sample_weight=None):
        """Accuracy on the rows that have a label.

        Parameters
        ----------
        X : array of shape (n, d)
        y : array-like of shape (n,)
            Rows without label, marked as in `fit`, do not count.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float
        """
        predicted = self.predict(X)
        labels, unlabeled = check_partial_labels(y, self.classes_)
        check_consistent_length(predicted, labels)
        known = ~unlabeled
        weight = np.ones(len(labels))
        if sample_weight is not None:
            weight = check_weight(sample_weight, predicted[:, None])
        if not weight[known].any():
            raise ValueError("y has no labeled row of positive weight to score")
        if is_text(labels[known]) != is_text(self.classes_):
            raise ValueError(
                f"y holds labels such as {labels[known].tolist()[:3]}, but the classes are"
                f" {self.classes_.tolist()[:10]}; they must be of one type"
            )
        return float(np.average(predicted[known] == labels[known], weights=weight[known]))

    def score_samples(self, X):
        """Log density log p(x) of every row, classes summed over, in nats.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_density : ndarray of shape (n,)
        """
        rows, patterns = rows_to_answer_for(self, X)
        return EVALUATIONS["log_norm"](rows, self._prepared(rows, patterns).whole)

    def sample(self, n_samples=1):
        """Draw rows and their classes.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, d), float64
            Grouped by component.
        y : ndarray of shape (n_samples,)
        """
        X, components = self.mixture_.sample(n_samples)
        return X, self.classes_[self.components_class_[components]]

    def impute(self, X, *, random_state=None):
        """Fill the missing cells of X from the cells that are observed in the same row.

        Parameters
        ----------
        X : array of shape (n, d)
        random_state : int, RandomState or None, default=None
            None fills in conditional means, anything else draws.

        Returns
        -------
        X : ndarray of shape (n, d)
        """
        return self.mixture_.impute(X, random_state=random_state)

    @property
    def mixture_(self):
        """The mixture of all components: `GaussianMixture` or `MAPGaussianMixture`, fitted."""
        check_is_fitted(self, "means_")
        kind = GaussianMixture if self.inference == "ml" else MAPGaussianMixture
        mixture = kind(len(self.weights_), covariance_type=self.covariance_type)
        shared = mixture.get_params().keys() & self.get_params().keys()
        mixture.set_params(**{name: getattr(self, name) for name in shared})
        foreign = ("classes_", "priors_", "components_class_", "transduction_")
        for name, value in vars(self).items():
            if name.endswith("_") and name not in (*foreign, "coef_", "intercept_"):
                setattr(mixture, name, value)
        # Its partial_fit continues from these rows.
        mixture._fitted_rows = self._fitted_rows
        if kind is MAPGaussianMixture:
            mixture.annihilated_ = np.flatnonzero(self.weights_ == 0.0)
        return mixture


def is_text(labels):
    """Whether labels, at least one, are strings."""
    return isinstance(labels[0], str)

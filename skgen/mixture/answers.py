"""What a fitted mixture answers: components, densities, criteria, samples, fewer columns.

An estimator of the family says what its E-step's constants are, what its density is and how it
draws; the rest follows.
"""

from math import isfinite

import numpy as np

from skgen.base import (
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    TransformerMixin,
    check_is_fitted,
    check_random_state,
    clone,
    require_finite,
)
from skgen.distributions.gaussian import STRUCTURES, GaussianParams, log_weights
from skgen.distributions.missing import find_patterns, holds_nan
from skgen.mixture import conditioning
from skgen.mixture.model import EVALUATIONS, MixtureModel, prepare


class MixtureAnswers(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin):
    """Methods of a fitted mixture; `self` has the fitted attributes and `_admit`."""

    def _fitted_params(self):
        return params_of(self)

    def _posterior_log_weights(self, structure):
        """The constants of the E-step that `predict` and `predict_proba` share with the fit."""
        return log_weights(structure, self._fitted_params())

    def _evaluate(self, rows, what, patterns=None):
        """One of `EVALUATIONS` for every row, under the E-step of the fit."""
        structure = STRUCTURES[self.covariance_type]
        constants = self._posterior_log_weights(structure)
        return EVALUATIONS[what](rows, self._prepared(structure, constants, rows.dtype, patterns))

    def _prepared(self, structure, constants, dtype, patterns):
        means = np.asarray(self.means_, dtype=np.float64)
        factors = np.asarray(self.precisions_cholesky_, dtype=np.float64)
        return prepare(structure, means, factors, constants, dtype, patterns)

    def _rows(self, X, sample_weight=None):
        """Rows to answer for, and the patterns of their missing cells or None."""
        return rows_to_answer_for(self, X, sample_weight)

    def _answer(self, X, what):
        rows, patterns = self._rows(X)
        return self._evaluate(rows, what, patterns)

    def predict(self, X):
        """The most probable component of every row.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        return self._answer(X, "label")

    def predict_proba(self, X):
        """Responsibilities: the probability of each component given the row.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        responsibilities : ndarray of shape (n, k)
            Rows sum to 1, however far they are from all components.
        """
        return self._answer(X, "responsibilities")

    def transform(self, X):
        """Responsibilities as features; the same as `predict_proba`.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        responsibilities : ndarray of shape (n, k)
        """
        return self.predict_proba(X)

    def score_samples(self, X):
        """Log density of every row, in nats.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_density : ndarray of shape (n,)
        """
        rows, patterns = self._rows(X)
        return self._log_densities(rows, patterns)

    def score(self, X, y=None, sample_weight=None):
        """Mean log density of the rows, in nats.

        Parameters
        ----------
        X : array of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float
        """
        rows, patterns = self._rows(X, sample_weight)
        return weighted_sum(rows, self._log_densities(rows, patterns)) / rows.weight_sum

    def bic(self, X, sample_weight=None):
        """Bayesian information criterion, -2 log L + p log n; lower is better.

        Parameters
        ----------
        X : array of shape (n, d)
        sample_weight : array of shape (n,), default=None
            n is the sum of the weights.

        Returns
        -------
        bic : float
        """
        return self._criterion(X, sample_weight, lambda weight: float(np.log(weight)))

    def aic(self, X, sample_weight=None):
        """Akaike information criterion, -2 log L + 2 p; lower is better.

        Parameters
        ----------
        X : array of shape (n, d)
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        aic : float
        """
        return self._criterion(X, sample_weight, lambda weight: 2.0)

    def icl(self, X, sample_weight=None, *, hard=False):
        """Integrated completed likelihood, BIC + 2 entropy of responsibilities; lower is better.

        Parameters
        ----------
        X : array of shape (n, d)
        sample_weight : array of shape (n,), default=None
        hard : bool, default=False
            Take BIC - 2 sum log max_k r, as mclust does.

        Returns
        -------
        icl : float

        References
        ----------
        Biernacki, Celeux and Govaert (2000), IEEE Transactions on Pattern Analysis and Machine
        Intelligence 22.
        """
        rows, patterns = self._rows(X, sample_weight)
        constants = log_weights(STRUCTURES[self.covariance_type], self._point_estimate())
        prepared = self._prepared(STRUCTURES[self.covariance_type], constants, rows.dtype, patterns)
        if hard:
            entropy = -weighted_sum(rows, EVALUATIONS["log_certainty"](rows, prepared))
        else:
            entropy = weighted_sum(rows, EVALUATIONS["entropy"](rows, prepared))
        return self.bic(X, sample_weight) + 2.0 * entropy

    def _log_densities(self, rows, patterns):
        """log p(x) of every row, as `score_samples` returns it."""
        return self._evaluate(rows, "log_norm", patterns)

    def _point_estimate(self):
        """The parameters whose likelihood the information criteria use."""
        return self._fitted_params()

    def _criterion(self, X, sample_weight, price):
        """-2 log likelihood + price(weight of the rows) per free parameter."""
        rows, patterns = self._rows(X, sample_weight)
        structure = STRUCTURES[self.covariance_type]
        constants = log_weights(structure, self._point_estimate())
        prepared = self._prepared(structure, constants, rows.dtype, patterns)
        total = weighted_sum(rows, EVALUATIONS["log_norm"](rows, prepared))
        return -2.0 * total + self._n_parameters() * price(rows.weight_sum)

    def _n_parameters(self, absent=0):
        """Free parameters p of the model, `absent` components aside."""
        k, d = self.means_.shape
        k -= absent
        return STRUCTURES[self.covariance_type].n_parameters(k, d) + k * d + k - 1

    def sample(self, n_samples=1):
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, d), float64
            Grouped by component.
        labels : ndarray of shape (n_samples,)
            The component of each row.
        """
        check_is_fitted(self, "means_")
        if n_samples < 1:
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at least one"
                " sample."
            )
        random_state = check_random_state(self.random_state)
        weights = np.asarray(self.weights_, dtype=np.float64)
        counts = random_state.multinomial(n_samples, weights / weights.sum())
        X = np.vstack([self._draw(random_state, k, count) for k, count in enumerate(counts)])
        return X, np.repeat(np.arange(len(counts)), counts)

    def _draw(self, random_state, k, count):
        """`count` rows of component k."""
        structure = STRUCTURES[self.covariance_type]
        means = np.asarray(self.means_, dtype=np.float64)
        covariances = np.asarray(self.covariances_, dtype=np.float64)
        noise = structure.draw(random_state, covariances, k, (count, means.shape[1]))
        return means[k] + noise

    def impute(self, X, *, random_state=None):
        """Fill the missing cells of X from the cells that are observed in the same row.

        Parameters
        ----------
        X : array of shape (n, d)
            NaN marks a missing cell.
        random_state : int, RandomState or None, default=None
            None fills in conditional means, sum_k p(k | x_o) E[x_u | x_o, k]; anything else draws
            a component and then the cells from their conditional distribution, that of the
            density that `score_samples` returns.

        Returns
        -------
        X : ndarray of shape (n, d)
            A copy in the dtype of X; observed cells are unchanged.

        References
        ----------
        Ghahramani and Jordan (1994), "Supervised learning from incomplete data via an EM approach".
        """
        rows, patterns = self._rows(X)
        if patterns is None:
            return np.array(rows.X)
        structure = STRUCTURES[self.covariance_type]
        constants = self._posterior_log_weights(structure)
        prepared = self._prepared(structure, constants, rows.dtype, patterns)
        imputation = self._imputation(structure, prepared)
        if random_state is None:
            return conditioning.conditional_means(rows, imputation)
        return conditioning.conditional_draws(rows, imputation, check_random_state(random_state))

    def _imputation(self, structure, prepared):
        """How missing cells are completed and drawn."""
        return conditioning.Imputation(structure, prepared)

    def marginal(self, columns):
        """The fitted mixture of some columns alone.

        Parameters
        ----------
        columns : list of int or str, or boolean mask of shape (d,)
            Columns to keep, in this order; names where X had them.

        Returns
        -------
        mixture : fitted estimator of the same class
        """
        check_is_fitted(self, "means_")
        kept = conditioning.resolve_columns(self, columns, "columns")
        return self._over(kept, *self._marginal(kept))

    def conditional(self, columns, values):
        """The fitted mixture of the other columns, given what some columns are.

        Parameters
        ----------
        columns : list of int or str, or boolean mask of shape (d,)
            Columns that are known, but not all.
        values : array of shape (len(columns),)

        Returns
        -------
        mixture : fitted estimator of the same class
            Over the other columns, in their order.
        """
        check_is_fitted(self, "means_")
        known = conditioning.resolve_columns(self, columns, "columns")
        values = conditioning.check_values(values, known)
        others = np.setdiff1d(np.arange(self.n_features_in_), known)
        if len(others) == 0:
            raise ValueError(
                f"columns={columns!r} are all {self.n_features_in_} columns; leave at least one out"
            )
        return self._over(others, *self._conditional(known, others, values))

    def _marginal(self, kept):
        """Structure and parameters of these columns."""
        structure = STRUCTURES[self.covariance_type]
        return structure, conditioning.marginal(structure, self._fitted_params(), kept)

    def _conditional(self, known, others, values):
        """Structure and parameters of the other columns given values."""
        structure = STRUCTURES[self.covariance_type]
        params = self._fitted_params()
        return structure, conditioning.conditional(structure, params, known, others, values)

    def _over(self, columns, structure, params):
        """A fitted copy of other parameters over these columns."""
        other = clone(self).set_params(covariance_type=structure.name)
        for name in self._per_feature:
            other.set_params(**{name: None})
        model = MixtureModel(structure, self.means_.dtype, self._fitted_inference(columns))
        other._set_parameters(model, params)
        other.n_features_in_ = len(columns)
        if hasattr(self, "feature_names_in_"):
            other.feature_names_in_ = self.feature_names_in_[columns]
        for name in (
            "converged_",
            "n_iter_",
            "lower_bound_",
            "lower_bounds_",
            "objective_history_",
            "stop_reason_",
        ):
            setattr(other, name, getattr(self, name))
        return other

    @property
    def _n_features_out(self):
        return len(self.weights_)


def params_of(estimator):
    """The fitted attributes as float64 parameters."""
    return GaussianParams(
        np.asarray(estimator.weights_, dtype=np.float64),
        np.asarray(estimator.means_, dtype=np.float64),
        np.asarray(estimator.covariances_, dtype=np.float64),
        np.asarray(estimator.precisions_cholesky_, dtype=np.float64),
    )


def rows_to_answer_for(estimator, X, sample_weight=None):
    """Validated rows of a fitted estimator, and the patterns of their missing cells or None."""
    check_is_fitted(estimator, "means_")
    return look_through(estimator, estimator._admit(X, sample_weight, reset=False))


def look_through(estimator, rows):
    """Rows that hold no infinity, and the patterns of their missing cells or None."""
    patterns = None
    # A sum is finite only if all its terms are; otherwise the full check decides.
    with np.errstate(all="ignore"):
        total = np.add.reduce(rows.X, axis=None)
    if not isfinite(total):
        require_finite(estimator, rows.X, allow_nan=True)
        if holds_nan(rows.X):
            rows, patterns = find_patterns(rows)
    return rows, patterns


def weighted_sum(rows, values):
    """sum w values; minus infinity becomes the smallest number."""
    with np.errstate(over="ignore"):
        total = values.sum() if rows.weight is None else rows.weight @ values
    return max(float(total), -np.finfo(np.float64).max)

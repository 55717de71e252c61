"""What principal components answer: coordinates, rows from coordinates, covariance, density.

    z = (x - mean) V',     x' = z V + mean,     covariance = V' diag(l - v) V + v I

V (k, d) are the components, l their variances and v the mean variance of what they leave out: the
density is that of probabilistic PCA (Tipping and Bishop 1999).
"""

import numpy as np
from scipy import sparse

from skgen import kernels
from skgen.base import (
    ClassNamePrefixFeaturesOutMixin,
    Estimator,
    TransformerMixin,
    admit_new,
    check_array,
    check_is_fitted,
    check_weight,
    one_blas_thread,
    thread_count,
)
from skgen.rows import Block, Rows

LOG_TWO_PI = np.log(2.0 * np.pi)
# Numbers up to which one product by NumPy is faster than dealing out blocks.
SMALL = 2**16
# Numbers of sparse rows that are written out at a time.
DENSE_ELEMENTS = 2**20


class PrincipalComponents(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """Base of the estimators whose model is a mean and orthonormal components."""

    def transform(self, X):
        """Coordinates of rows along the components.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        Z : ndarray of shape (n, n_components), float32 for float32 X
            Divided by their standard deviations if `whiten`; 0 for components without variance.
        """
        check_is_fitted(self)
        return self._project(admit_new(self, X, accept_sparse=True))

    def _project(self, X):
        with np.errstate(over="ignore", invalid="ignore"):
            Z = self._coordinates(X)
            finite = np.isfinite(np.add.reduce(Z, axis=None)) or np.isfinite(Z).all()
        if not finite:
            raise ValueError(
                f"coordinates of X overflow {Z.dtype}: X has values too large; divide X by a"
                " constant, as in fit"
            )
        return Z

    def _coordinates(self, X):
        components = self.components_
        if self.whiten:
            components = components * inverse_deviations(self.explained_variance_)[:, None]
        dtype = np.result_type(X.dtype, components.dtype)
        if sparse.issparse(X):
            return np.asarray(X @ components.T - self.mean_ @ components.T, dtype=dtype)
        mean = self.mean_
        if X.size <= SMALL or not X.flags.c_contiguous or X.dtype != components.dtype:
            return (X - mean) @ components.T
        rows = Rows(X, n_threads=thread_count(getattr(self, "n_jobs", None)))
        out = np.empty((len(X), len(components)), dtype=dtype)
        width = kernels.scatter.width(len(components), dtype.itemsize)
        Q = np.zeros((X.shape[1], width), dtype=dtype)
        Q[:, : len(components)] = components.T
        return rows.map(_coordinates, (Q, np.ascontiguousarray(mean), len(components)), out)

    def inverse_transform(self, X):
        """Rows of the data's space that have these coordinates.

        Parameters
        ----------
        X : array of shape (n, n_components)

        Returns
        -------
        X_original : ndarray of shape (n, d)
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if X.shape[1] != len(self.components_):
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} has"
                f" {len(self.components_)} components"
            )
        components = self.components_
        if self.whiten:
            components = components * np.sqrt(self.explained_variance_)[:, None]
        return X @ components + self.mean_

    def get_covariance(self):
        """The covariance matrix of the probabilistic model.

        Returns
        -------
        covariance : ndarray of shape (d, d)
        """
        check_is_fitted(self)
        variances, noise = self._model_variances()
        components = self.components_
        covariance = (components.T * (variances - noise)) @ components
        covariance.flat[:: len(covariance) + 1] += noise
        return covariance

    def get_precision(self):
        """The inverse of the covariance matrix of the probabilistic model.

        Variances below what rounding makes of the largest (of rank-deficient data) count as that
        much, so that there is an inverse.

        Returns
        -------
        precision : ndarray of shape (d, d)
        """
        check_is_fitted(self)
        variances, noise = self._floored_variances()
        components = self.components_.astype(np.float64)
        precision = (components.T * (1.0 / variances - 1.0 / noise)) @ components
        precision.flat[:: len(precision) + 1] += 1.0 / noise
        return precision.astype(self.components_.dtype)

    def score_samples(self, X):
        """Log density of rows under the probabilistic model, with variances as in `get_precision`.

        Parameters
        ----------
        X : array or CSR of shape (n, d)

        Returns
        -------
        log_density : ndarray of shape (n,), in nats
        """
        check_is_fitted(self)
        X = admit_new(self, X, accept_sparse=True)
        rows = Rows(X, n_threads=thread_count(getattr(self, "n_jobs", None)))
        variances, noise = self._floored_variances()
        k, d = self.components_.shape
        constant = d * LOG_TWO_PI + np.log(variances).sum() + (d - k) * np.log(noise)
        components = self.components_.astype(np.float64)
        mean = self.mean_.astype(np.float64)
        params = components, mean, variances, noise, constant
        with one_blas_thread(rows), np.errstate(over="ignore", invalid="ignore"):
            out = rows.map(_log_density, params, np.empty(rows.n_rows))
            # Too far away for squares: the density is 0.
            out[np.isnan(out)] = -np.inf
            return out.astype(np.result_type(X.dtype, self.components_.dtype))

    def score(self, X, y=None, sample_weight=None):
        """Mean log density of rows, weighted.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : ignored
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        score : float, in nats per row
        """
        log_density = self.score_samples(X)
        weight = (
            None if sample_weight is None else check_weight(sample_weight, log_density[:, None])
        )
        with np.errstate(over="ignore"):
            return float(np.average(log_density.astype(np.float64), weights=weight))

    def _model_variances(self):
        """Variances (k,) along the components, and that of all other directions."""
        noise = self.noise_variance_
        return np.maximum(self.explained_variance_, noise), noise

    def _floored_variances(self):
        variances, noise = self._model_variances()
        variances = np.asarray(variances, dtype=np.float64)
        eps = float(np.finfo(self.components_.dtype).eps)
        largest = max(variances.max(initial=0.0), float(noise))
        floor = max(eps * max(self.components_.shape) * largest, np.finfo(np.float64).tiny)
        return np.maximum(variances, floor), max(float(noise), floor)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "components_")

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def inverse_deviations(variances):
    """1 / sqrt(variance), 0 where there is none."""
    deviations = np.sqrt(variances)
    return np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0.0)


def _coordinates(block, params):
    Q, mean, k = params
    out = np.empty((len(block), k), dtype=block.X.dtype)
    kernels.scatter.project(block.X, mean, Q, out)
    return out


def _log_density(block, params):
    components, mean, variances, noise, constant = params
    if sparse.issparse(block.X):
        # Written out a few rows at a time.
        step = max(1, DENSE_ELEMENTS // block.X.shape[1])
        parts = [
            _log_density(Block(block.X[i : i + step].toarray(), None, None, 0), params)
            for i in range(0, len(block), step)
        ]
        return np.concatenate(parts)
    # Set for every thread.
    with np.errstate(over="ignore", invalid="ignore"):
        z = block.X - mean
        along = z @ components.T
        rest = z - along @ components
        return -0.5 * (
            constant
            + (along**2 / variances).sum(axis=1)
            + np.einsum("ij,ij->i", rest, rest) / noise
        )

"""What a workload asks: data, the common start, and the judge of every contender's answer.

The judge is the same for all: it takes the parameters that a contender ended with and computes
the objective in float64 itself, so no contender's own bookkeeping is trusted.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

JUDGED_ROWS = 100_000


@dataclass
class KMeansProblem:
    """Lloyd iterations from given centers; judged by inertia."""

    X: np.ndarray
    centers: np.ndarray
    n_iter: int
    to_convergence: bool = False
    objective_name = "inertia of the final centers, in float64 by the same code for all"
    higher_is_better = False

    @classmethod
    def from_rows(cls, X, n_clusters, n_iter, to_convergence=False):
        """Start from distinct random rows."""
        generator = np.random.default_rng(1)
        rows = X[generator.choice(len(X), n_clusters, replace=False)]
        return cls(X, rows, n_iter, to_convergence)

    def judge(self, centers):
        return potential(self.X, centers)


@dataclass
class SeedingProblem:
    """Choice of first centers, another seed each round; judged by the potential left."""

    X: np.ndarray
    n_clusters: int
    n_iter: int = 1
    to_convergence = False
    objective_name = "mean potential over the rounds, each with another seed"
    higher_is_better = False

    def judge(self, centers):
        return potential(self.X, centers)


@dataclass
class MixtureProblem:
    """EM iterations from given parameters; judged by the mean log-likelihood."""

    X: np.ndarray
    structure: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    n_iter: int
    # A floor is added by some and not by others; without one all have the same optimum.
    reg_covar: float = 0.0
    to_convergence = False
    objective_name = (
        "mean log-likelihood of the final parameters, in float64 by the same code for all"
    )
    higher_is_better = True

    @classmethod
    def from_rows(cls, X, structure, n_components, n_iter):
        """Equal weights, means by k-means++ on some rows, the covariance of all rows.

        From plain random rows a component may end with fewer rows than features.
        """
        from sklearn.cluster import kmeans_plusplus

        rows, _ = kmeans_plusplus(np.asarray(X[:20_000]), n_components, random_state=0)
        covariance = np.cov(X, rowvar=False, dtype=np.float64)
        start = {
            "full": np.stack([covariance] * n_components),
            "tied": covariance,
            "diag": np.stack([covariance.diagonal()] * n_components),
            "spherical": np.full(n_components, covariance.diagonal().mean()),
        }[structure]
        weights = np.full(n_components, 1.0 / n_components)
        return cls(X, structure, weights, rows.astype(np.float64), start, n_iter)

    @property
    def precisions(self):
        """Inverse of the first covariances, as `precisions_init` takes it."""
        if self.structure in ("full", "tied"):
            return np.linalg.inv(self.covariances)
        return 1.0 / self.covariances

    @cached_property
    def posterior(self):
        """Fitted attributes of a full-covariance mean field that has seen n / k rows each."""
        n, d = self.X.shape
        k = len(self.weights)
        counts = np.full(k, n / k)
        return {
            "weights_": self.weights.copy(),
            "weight_concentration_": 1.0 / k + counts,
            "mean_precision_prior_": 1.0,
            "mean_precision_": 1.0 + counts,
            "means_": self.means.copy(),
            "degrees_of_freedom_": d + counts,
            "covariances_": self.covariances.copy(),
            "precisions_": self.precisions,
            # Upper factors P with P P' the precision, as scikit-learn stores them.
            "precisions_cholesky_": np.stack(
                [np.linalg.inv(np.linalg.cholesky(S)).T for S in self.covariances]
            ),
            "converged_": False,
            "lower_bound_": -np.inf,
            "n_features_in_": d,
        }

    def judge(self, parameters):
        """Mean log-likelihood of the first rows, by scikit-learn's formula."""
        from sklearn.mixture import GaussianMixture
        from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

        weights, means, covariances = (np.asarray(p, dtype=np.float64) for p in parameters)
        model = GaussianMixture(len(weights), covariance_type=self.structure)
        model.weights_, model.means_, model.covariances_ = weights, means, covariances
        model.precisions_cholesky_ = _compute_precision_cholesky(covariances, self.structure)
        return model.score(self.X[:JUDGED_ROWS].astype(np.float64))


@dataclass
class MissingProblem(MixtureProblem):
    """EM iterations on rows with missing cells (NaN); judged by the exact marginal likelihood."""

    objective_name = (
        "mean log-likelihood of the observed cells under the final parameters, in float64 by the"
        " same code for all"
    )

    @classmethod
    def from_rows(cls, X, structure, n_components, n_iter):
        """Equal weights, means by k-means++ on filled rows, the variances of observed cells."""
        from sklearn.cluster import kmeans_plusplus

        filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
        means, _ = kmeans_plusplus(filled[:20_000], n_components, random_state=0)
        variances = np.nanvar(X, axis=0, dtype=np.float64)
        start = np.diag(variances) if structure == "full" else variances
        weights = np.full(n_components, 1.0 / n_components)
        covariances = np.stack([start] * n_components)
        return cls(X, structure, weights, means.astype(np.float64), covariances, n_iter)

    def judge(self, parameters):
        parameters = [np.asarray(p, dtype=np.float64) for p in parameters]
        return observed_log_density(self.X[:JUDGED_ROWS], *parameters).mean()


@dataclass
class SearchProblem:
    """A mixture to be chosen from a grid, k-means starts and all; judged by BIC."""

    X: np.ndarray
    n_components: list
    criterion: str
    cv: object = None
    n_iter: int = 100
    # The default tolerance of everybody, and never more iterations than the default.
    to_convergence = True
    objective_name = "BIC of the mixture chosen, in float64 by the same code for all"
    higher_is_better = False

    def judge(self, answer):
        """BIC by scikit-learn's formula."""
        from sklearn.mixture import GaussianMixture

        structure, *parameters = answer
        start = MixtureProblem(self.X, structure, *map(np.asarray, parameters), n_iter=0)
        model = GaussianMixture(len(start.weights), covariance_type=structure)
        model.weights_, model.means_, model.covariances_ = parameters
        score = start.judge(parameters)
        return -2.0 * score * len(self.X) + model._n_parameters() * np.log(len(self.X))


@dataclass
class CallProblem:
    """A call too short to be timed once; judged by what `answer` makes of its result."""

    family: str
    X: np.ndarray
    repeats: int
    objective_name: str
    n_iter: int = 1
    y: np.ndarray | None = None
    to_convergence = False
    higher_is_better = True

    def judge(self, answer):
        return float(answer)


@dataclass
class ClassifierProblem:
    """A fit of one Gaussian per class to labeled rows; judged by how sure it is of the labels.

    Unlike the likelihood that a fit maximizes, this changes in proportion to an error of the
    parameters, so agreement to many digits means the same parameters.
    """

    X: np.ndarray
    y: np.ndarray
    structure: str
    n_iter: int = 1
    to_convergence = False
    objective_name = (
        "mean log probability of the labels under the final parameters, in float64 by the same"
        " code for all"
    )
    higher_is_better = True

    def judge(self, parameters):
        """`parameters` returns priors, means and covariances, in the time of the judge."""
        priors, means, covariances = (np.asarray(p, dtype=np.float64) for p in parameters())
        X = self.X[:JUDGED_ROWS].astype(np.float64)
        joint = np.empty((len(X), len(priors)))
        for c, (prior, mean) in enumerate(zip(priors, means, strict=True)):
            covariance = covariances if self.structure == "tied" else covariances[c]
            if self.structure == "diag":
                covariance = np.diag(covariance)
            factor = np.linalg.cholesky(covariance)
            white = np.linalg.solve(factor, (X - mean).T)
            log_det = np.log(np.diagonal(factor)).sum()
            joint[:, c] = np.log(prior) - log_det - 0.5 * np.einsum("ij,ij->j", white, white)
        of_labels = joint[np.arange(len(X)), self.y[:JUDGED_ROWS]]
        return float((of_labels - np.logaddexp.reduce(joint, axis=1)).mean())


@dataclass
class PredictionProblem:
    """Classes of all rows by a model fitted outside the clock; judged by the labels hit."""

    X: np.ndarray
    y: np.ndarray
    structure: str
    n_iter: int = 1
    to_convergence = False
    objective_name = "share of the rows whose label is predicted"
    higher_is_better = True

    def judge(self, predicted):
        return float((predicted == self.y).mean())


def observed_log_density(X, weights, means, covariances):
    """Log density of the observed cells of each row, in float64, some rows at a time.

    Rows and columns of missing cells are replaced by those of the identity, which leaves the
    determinant and the quadratic form of the observed block.
    """
    d = X.shape[1]
    if covariances.ndim == 2:
        covariances = np.stack([np.diag(variances) for variances in covariances])
    result = np.empty(len(X))
    for start in range(0, len(X), 4096):
        rows = X[start : start + 4096].astype(np.float64)
        seen = ~np.isnan(rows)
        patterns, place = np.unique(seen, axis=0, return_inverse=True)
        block = patterns[:, :, np.newaxis] & patterns[:, np.newaxis, :]
        constant = seen.sum(axis=1) * np.log(2.0 * np.pi)
        joint = np.empty((len(rows), len(weights)))
        for k, (weight, mean, covariance) in enumerate(
            zip(weights, means, covariances, strict=True)
        ):
            factors = np.linalg.cholesky(np.where(block, covariance, np.eye(d)))
            log_det = 2.0 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
            off = np.where(seen, rows - mean, 0.0)
            white = np.linalg.solve(factors[place.ravel()], off[:, :, np.newaxis])[:, :, 0]
            distance = np.einsum("ij,ij->i", white, white)
            joint[:, k] = np.log(weight) - 0.5 * (constant + log_det[place.ravel()] + distance)
        result[start : start + 4096] = np.logaddexp.reduce(joint, axis=1)
    return result


def potential(X, centers):
    """Sum of squared distances to the nearest center, in float64, a few rows at a time."""
    centers = np.asarray(centers, dtype=np.float64)
    squares = np.einsum("ij,ij->i", centers, centers)
    total = 0.0
    for start in range(0, len(X), 8192):
        rows = X[start : start + 8192].astype(np.float64)
        scores = rows @ centers.T
        scores *= -2.0
        scores += squares
        total += scores.min(axis=1).sum() + np.einsum("ij,ij->", rows, rows)
    return total


@dataclass
class ComponentsProblem:
    """The leading principal components; judged by the variance along them."""

    X: object
    n_components: int
    n_iter: int = 1
    to_convergence = False
    objective_name = (
        "share of the variance of 1e5 rows along the components, in float64, by one judge"
    )
    higher_is_better = True

    def judge(self, answer):
        components = np.linalg.qr(np.asarray(answer[0], dtype=np.float64).T)[0]
        X = self.X[:JUDGED_ROWS]
        X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
        X = X - X.mean(axis=0)
        return float(((X @ components) ** 2).sum() / (X**2).sum())


@dataclass
class RestorationProblem:
    """Rows of a factor model with missing cells; judged by how well these are restored."""

    X: np.ndarray
    complete: np.ndarray
    n_components: int
    n_iter: int = 1
    to_convergence = True
    objective_name = "root mean square error of the restored cells; everybody at his own tolerance"
    higher_is_better = False

    @classmethod
    def from_shape(cls, n_rows, n_features, n_components, share):
        generator = np.random.default_rng(0)
        complete = generator.normal(size=(n_rows, n_components)) @ generator.normal(
            size=(n_components, n_features)
        ) + generator.normal(size=(n_rows, n_features))
        X = complete.copy()
        X[generator.uniform(size=X.shape) < share] = np.nan
        return cls(X, complete, n_components)

    def judge(self, restored):
        missing = np.isnan(self.X)
        return float(np.sqrt(np.mean((restored - self.complete)[missing] ** 2)))


@dataclass
class LinkageProblem:
    """A tree of rows; judged by the sum of its heights."""

    X: np.ndarray
    rule: str
    n_iter: int = 1
    to_convergence = False
    objective_name = "sum of the heights of all merges"
    higher_is_better = False

    def judge(self, heights):
        return float(np.sum(heights))

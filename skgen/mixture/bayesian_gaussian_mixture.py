"""Mean-field variational inference of Gaussian mixtures.

    log p(X) >= sum_i w_i log sum_k exp(E log pi_k + E log N(x_i; mu_k, S_k)) - KL(q, p)

The E-step is that of maximum likelihood with expectations in place of parameters, the M-step a
conjugate update. Attias (1999); Bishop (2006), section 10.2; Blei and Jordan (2006).
"""

from dataclasses import replace
from numbers import Real

import numpy as np

from skgen.base import Interval, StrOptions, check_is_fitted
from skgen.distributions.conjugate import (
    WEIGHT_PRIORS,
    GaussianPrior,
    PosteriorParams,
    expected_log_weights,
)
from skgen.distributions.gaussian import STRUCTURES, GaussianParams
from skgen.mixture import conditioning, given, predictive
from skgen.mixture.family import MixtureEstimator
from skgen.mixture.fitting import fitted_attributes
from skgen.mixture.gaussian_mixture import GaussianMixture
from skgen.mixture.inference import MeanField
from skgen.solvers.em import em
from skgen.solvers.monitor import Monitor


class BayesianGaussianMixture(MixtureEstimator):
    """Gaussian mixture with a mean-field posterior of its parameters.

    Parameters, attributes and methods that scikit-learn's class has mean the same here;
    doc/parity.md lists the exceptions. The priors are those of `MAPGaussianMixture`, or
    stick-breaking weights: pi_k = v_k prod_{j<k} (1 - v_j), v_k ~ Beta(1, g), g =
    `weight_concentration_prior`, with the last v equal to one.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k, at most: those that are not needed keep weights near zero.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
    tol : float, default=1e-3
        EM stops when the bound changes by less, in nats.
    reg_covar : float, default=1e-6
        Variance added to every covariance of the rows, as in `GaussianMixture`.
    max_iter : int, default=100
    n_init : int, default=1
        Number of starts; the one with the largest bound is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "whitened-k-means++", \
"agglomerative"}, default="kmeans"
        As in `GaussianMixture`.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}, \
default="dirichlet_process"
        With the first, components are kept in the order of the largest bound: of decreasing size,
        but that for g > 1 the last may be larger.
    weight_concentration_prior : float, default=None
        g or a > 0; small values leave fewer components. None means 1 / k.
    mean_precision_prior : float, default=None
        kappa > 0. None means 1.
    mean_prior : array of shape (d,), default=None
        None means the means of the columns.
    degrees_of_freedom_prior : float, default=None
        nu > d - 1. None means d.
    covariance_prior : array of shape (d, d), (d,) for "diag", float for "spherical", default=None
        Psi. None means the covariance of X, its diagonal, or the mean of its diagonal; made
        positive definite as in `MAPGaussianMixture`.
    random_state : int, RandomState or None, default=None
    warm_start : bool, default=False
    verbose, verbose_interval : int, default=0, 10
    prune_threshold : float, default=None
        Once converged, components whose weight is below are removed and the others fitted on, if
        the bound does not lose by it; the fitted attributes then have fewer components. None keeps
        all.
    acceleration : {"squarem", "anderson"} or None, default=None
        Leap to where many steps of EM lead, once a run is near its limit; a leap that gains less
        than the next step would is not taken. Worth it where components overlap and EM needs
        hundreds of iterations; "anderson" needs fewer. Rarely a run ends in another limit than
        EM's, better or worse.
    learning_decay, learning_offset : float, default=0.6, 2.0
        Step size (t + offset) ^ -decay of `partial_fit` after t blocks.
    total_samples : float, default=None
        Rows of the whole stream, which `partial_fit` weighs against the prior; None means the rows
        seen.
    n_jobs : int, default=None

    Attributes
    ----------
    weights_ : ndarray of shape (k,)
        Posterior means of the weights.
    means_ : ndarray of shape (k, d)
        Posterior means of the means.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        `precisions_` are posterior means of the precisions, `covariances_` their inverses.
    weight_concentration_ : ndarray of shape (k,), or tuple of two
        Parameters of the Dirichlet distribution; of the sticks' beta distributions, where 0 stands
        for the last stick that is one.
    mean_precision_ : ndarray of shape (k,)
    degrees_of_freedom_ : ndarray of shape (k,), a number for "tied"
        A row adds one ("spherical": d).
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_ : ndarray of shape (d,)
    covariance_prior_ : ndarray or float
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        The evidence lower bound with all constants, in nats, that the last iteration started from:
        it compares priors and numbers of components. With one component it is the log evidence.
    lower_bounds_, objective_history_ : list of float
        The same for every iteration; it never falls by more than rounding.
    stop_reason_ : str
    n_degenerate_starts_ : int
        Starts that `fit` replaced or dropped because a component was empty or singular.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Raises
    ------
    ValueError
        Where X, weights or priors are unusable; the message names what.

    References
    ----------
    Bishop (2006), "Pattern recognition and machine learning", section 10.2. Blei and Jordan
    (2006), "Variational inference for Dirichlet process mixtures", Bayesian Analysis 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.mixture import BayesianGaussianMixture
    >>> X = np.array([[1.0], [1.2], [0.8], [9.0], [9.5], [8.5]])
    >>> mixture = BayesianGaussianMixture(
    ...     n_components=2, mean_precision_prior=0.01, covariance_prior=[[0.1]], random_state=0
    ... ).fit(X)
    >>> mixture.means_.round(1).ravel().tolist()
    [9.0, 1.0]
    """

    _parameter_constraints = MixtureEstimator._parameter_constraints | {
        "weight_concentration_prior_type": [StrOptions(set(WEIGHT_PRIORS))],
        "weight_concentration_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, 0.0, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="neither")],
        "prune_threshold": [None, Interval(Real, 0.0, 1.0, closed="neither")],
        "total_samples": [None, Interval(Real, 0.0, None, closed="neither")],
    }
    # A posterior would count it, as a row of some component.
    _counts_empty_rows = False
    _per_feature = ("mean_prior", "covariance_prior")

    def __init__(
        self,
        *,
        n_components=1,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=None,
        mean_precision_prior=None,
        mean_prior=None,
        degrees_of_freedom_prior=None,
        covariance_prior=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        prune_threshold=None,
        acceleration=None,
        learning_decay=0.6,
        learning_offset=2.0,
        total_samples=None,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.prune_threshold = prune_threshold
        self.acceleration = acceleration
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.total_samples = total_samples
        self.n_jobs = n_jobs

    def _inference(self, structure, training):
        rows = ("mean_precision_prior", "weight_concentration_prior", "degrees_of_freedom_prior")
        given.require_countable(self, rows)
        d = training.rows.n_features
        nu = self.degrees_of_freedom_prior
        if nu is not None and not nu > d - 1.0:
            raise ValueError(
                f"The parameter 'degrees_of_freedom_prior' should be greater than {d - 1}, but got"
                f" {nu:.3f}."
            )
        prior = given.check_prior(self, structure, default_prior(self, structure, training))
        given.require_proper(prior, structure)
        concentration = self.weight_concentration_prior
        if concentration is None:
            concentration = 1.0 / self.n_components
        return MeanField(prior, self._weight_prior(concentration))

    def _weight_prior(self, concentration):
        return WEIGHT_PRIORS[self.weight_concentration_prior_type](concentration)

    def _fitted_inference(self, columns=None):
        prior = given.fitted_prior(self, columns)
        return MeanField(prior, self._weight_prior(self.weight_concentration_prior_))

    def _attributes(self, model, params):
        # Numbers of rows stay float64: sums of weights may exceed what float32 holds.
        concentration, degrees = params.concentration, params.degrees_of_freedom
        priors = given.prior_attributes(
            model.inference.prior, model.inference.weight_prior.prior, model.dtype
        )
        return (
            fitted_attributes(model.structure, model.dtype, params)
            | priors
            | {
                "weight_concentration_": (
                    tuple(concentration) if concentration.ndim == 2 else concentration
                ),
                "mean_precision_": params.mean_precision,
                "degrees_of_freedom_": degrees if degrees.ndim else float(degrees),
            }
        )

    def _fitted_params(self):
        double = {"dtype": np.float64}
        precision = np.asarray(self.mean_precision_, **double)
        return PosteriorParams(
            np.asarray(self.weights_, **double),
            np.asarray(self.means_, **double),
            np.asarray(self.covariances_, **double),
            np.asarray(self.precisions_cholesky_, **double),
            np.asarray(self.weight_concentration_, **double),
            precision,
            np.asarray(self.degrees_of_freedom_, **double),
            np.maximum(precision - self.mean_precision_prior_, 0.0),
        )

    def _refined(self, solution, model, training, run, report):
        """The run without components that are not needed, where the bound allows."""
        if self.prune_threshold is None or not solution.converged:
            return solution
        keep = solution.params.weights >= self.prune_threshold
        if keep.all() or not keep.any():
            return solution
        params = model.inference.without(model.structure, solution.params, keep)
        monitor = Monitor(self.max_iter, self.tol, run, self._attributes_of(model), report)
        pruned = em(model, params, training.rows, monitor, self.acceleration)
        if pruned.failure is not None or pruned.value < solution.value:
            return solution
        reason = f"{pruned.reason}; {int((~keep).sum())} components below prune_threshold removed"
        return replace(pruned, reason=reason)

    def _posterior_log_weights(self, structure):
        weight_prior = self._weight_prior(self.weight_concentration_prior_)
        return expected_log_weights(structure, weight_prior, self._fitted_params())

    def _point_estimate(self):
        params = self._fitted_params()
        return GaussianParams(params.weights, params.means, params.covariances, params.factors)

    def _log_densities(self, rows, patterns):
        structure = STRUCTURES[self.covariance_type]
        prepared = self._prepared(structure, np.zeros(len(self.weights_)), rows.dtype, patterns)
        return predictive.log_densities(rows, structure, self._fitted_params(), prepared)

    def score_samples(self, X):
        """Log posterior predictive density of every row, in nats; it integrates to one.

        A mixture of Student's t distributions with weights `weights_` (for "diag" of products of
        d).

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        log_density : ndarray of shape (n,)
        """
        return super().score_samples(X)

    def plug_in_score_samples(self, X):
        """log sum_k exp(E log pi_k + E log N(x; mu_k, S_k)) of every row.

        scikit-learn's `score_samples`: what the bound adds up over the rows. It is no density, it
        integrates to less than one.

        Parameters
        ----------
        X : array of shape (n, d)

        Returns
        -------
        values : ndarray of shape (n,)
        """
        return self._answer(X, "log_norm")

    def as_gaussian_mixture(self):
        """The `GaussianMixture` at the posterior means of weights, means and precisions.

        Its `lower_bound_` is unknown (-inf).

        Returns
        -------
        mixture : fitted GaussianMixture
        """
        check_is_fitted(self, "means_")
        names = GaussianMixture().get_params().keys() & self.get_params().keys()
        given_here = {name: value for name, value in self.get_params().items() if name in names}
        mixture = GaussianMixture(**given_here | {"n_components": len(self.weights_)})
        for name, value in vars(self).items():
            if name.endswith("_") and not name.startswith("_") and name not in OF_POSTERIORS:
                setattr(mixture, name, value)
        # A bound of the evidence is no likelihood.
        mixture.lower_bound_ = -np.inf
        mixture.lower_bounds_, mixture.objective_history_ = [], []
        return mixture

    def _imputation(self, structure, prepared):
        return predictive.StudentImputation(structure, self._fitted_params(), prepared)

    def _draw(self, random_state, k, count):
        structure = STRUCTURES[self.covariance_type]
        return predictive.draw(random_state, structure, self._fitted_params(), k, count)

    def _marginal(self, kept):
        structure = STRUCTURES[self.covariance_type]
        return structure, conditioning.marginal_posterior(structure, self._fitted_params(), kept)

    def _conditional(self, known, others, values):
        return predictive.conditional(
            STRUCTURES[self.covariance_type], self._fitted_params(), known, others, values
        )

    def _setting(self, model):
        scale = np.array2string(np.asarray(model.inference.prior.covariance), threshold=9)
        return f"{super()._setting(model)}, covariance_prior_={scale}"


OF_POSTERIORS = {
    "weight_concentration_",
    "mean_precision_",
    "degrees_of_freedom_",
    "weight_concentration_prior_",
    "mean_precision_prior_",
    "degrees_of_freedom_prior_",
    "mean_prior_",
    "covariance_prior_",
}


def default_prior(estimator, structure, training):
    """scikit-learn's choices, positive definite."""
    mean = training.columns.mean
    covariance = None
    if estimator.covariance_prior is None:
        if structure.name in ("full", "tied"):
            covariance = given.positive_scale(training.covariance(), True)
        elif structure.name == "diag":
            covariance = given.positive_scale(training.variances(), False)
        else:
            variance = float(training.variances().mean())
            covariance = np.asarray(variance if variance > 0.0 else 1.0)
    return GaussianPrior(1.0, mean, float(len(mean)), covariance)

"""Maximum a posteriori Gaussian mixtures.

    maximize sum_i w_i log p(x_i; theta) + log p(theta)

with conjugate priors, so that the M-step stays closed and the objective bounded: a component on
one point keeps a positive-definite covariance. Fraley and Raftery (2007); Gauvain and Lee (1994).
"""

from numbers import Real

import numpy as np

from skgen.base import Interval
from skgen.distributions.conjugate import GaussianPrior
from skgen.mixture import given
from skgen.mixture.family import MixtureEstimator
from skgen.mixture.inference import MaximumPosterior

# Fraley and Raftery's default precision of the means.
MEAN_PRECISION = 0.01


class MAPGaussianMixture(MixtureEstimator):
    """Gaussian mixture fitted by maximum a posteriori EM.

    The priors are

    - weights ~ Dirichlet(a, ..., a), a = `weight_concentration_prior`,
    - mean_k given S_k ~ N(m, S_k / kappa), m = `mean_prior`, kappa = `mean_precision_prior`,
    - S_k ~ inverse Wishart(nu, Psi) for "full" and "tied", nu = `degrees_of_freedom_prior`,
      Psi = `covariance_prior`; for "diag" every variance, for "spherical" the variance of a
      component ~ inverse gamma(nu / 2, Psi / 2).

    Defaults are those of Fraley and Raftery (2007), as mclust has them. With a = 1, kappa = 0, Psi
    = 0 and nu = -(d + 1) ("full", "tied") or -2 ("diag", "spherical") all priors are flat, and the
    fit is that of `GaussianMixture`.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
    tol : float, default=1e-3
        EM stops when the log posterior per row changes by less.
    reg_covar : float, default=0.0
        Variance added to the diagonal of every covariance; the prior makes it unnecessary.
    max_iter : int, default=100
    n_init : int, default=1
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "whitened-k-means++", \
"agglomerative"}, default="kmeans"
        As in `GaussianMixture`.
    weight_concentration_prior : float, default=1.0
        a > 0. Below 1 a component whose rows weigh less than 1 - a is annihilated: its weight
        becomes zero, and its other parameters the mode of their prior.
    mean_precision_prior : float, default=None
        kappa >= 0, the number of rows that the prior mean counts for. None means 0.01.
    mean_prior : array of shape (d,), default=None
        None means the means of the columns.
    degrees_of_freedom_prior : float, default=None
        nu. None means d + 2.
    covariance_prior : array of shape (d, d), (d,) for "diag", float for "spherical", default=None
        Psi; 0 stands for zeros of that shape. None means the covariance of X (for "diag" and
        "spherical" the mean variance of its columns) over k^(2/d). Where that is singular its
        diagonal takes its place, and a column without spread gets the mean variance of the others,
        or 1.
    weights_init, means_init, precisions_init : array, default=None
        As in `GaussianMixture`.
    random_state : int, RandomState or None, default=None
    warm_start : bool, default=False
    verbose, verbose_interval : int, default=0, 10
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
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : ndarray
        As in `GaussianMixture`.
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_ : ndarray of shape (d,)
    covariance_prior_ : ndarray or float
        The priors that were used.
    annihilated_ : ndarray of int
        Components of weight zero; `aic`, `bic` and `icl` do not count their parameters.
    converged_ : bool
    n_iter_ : int
    objective_history_ : list of float
        Log posterior with all constants that the iterations started from; it never falls by more
        than rounding. A prior without a normalizer counts without it, a weight of zero as the
        smallest positive number.
    lower_bound_, lower_bounds_ : float, list of float
        The same per unit of row weight, as in `GaussianMixture`.
    stop_reason_ : str
    n_degenerate_starts_ : int
        Starts that `fit` replaced or dropped because a component was empty or singular.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Raises
    ------
    ValueError
        Where X, weights, starts or priors are unusable; the message names what.

    References
    ----------
    Fraley and Raftery (2007), "Bayesian regularization for normal mixture estimation and
    model-based clustering", Journal of Classification 24.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.mixture import MAPGaussianMixture
    >>> X = np.array([[1.0], [1.2], [0.8], [9.0]])
    >>> mixture = MAPGaussianMixture(n_components=2, random_state=0).fit(X)
    >>> bool((mixture.covariances_ > 0.1).all())
    True
    """

    _parameter_constraints = MixtureEstimator._parameter_constraints | {
        "weight_concentration_prior": [Interval(Real, 0.0, None, closed="neither")],
        "mean_precision_prior": [None, Interval(Real, 0.0, None, closed="left")],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, Interval(Real, None, None, closed="neither")],
        "covariance_prior": [None, "array-like", Interval(Real, 0.0, None, closed="left")],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "total_samples": [None, Interval(Real, 0.0, None, closed="neither")],
    }
    _fewest_rows = 1
    _per_feature = ("means_init", "precisions_init", "mean_prior", "covariance_prior")

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=0.0,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weight_concentration_prior=1.0,
        mean_precision_prior=None,
        mean_prior=None,
        degrees_of_freedom_prior=None,
        covariance_prior=None,
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
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
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.acceleration = acceleration
        self.learning_decay = learning_decay
        self.learning_offset = learning_offset
        self.total_samples = total_samples
        self.n_jobs = n_jobs

    def _inference(self, structure, training):
        rows = ("mean_precision_prior", "weight_concentration_prior")
        given.require_countable(self, rows, none=True)
        prior = given.check_prior(
            self, structure, default_prior(self, structure, training, self.n_components)
        )
        given.require_mode(prior, structure)
        return MaximumPosterior(prior, float(self.weight_concentration_prior))

    def _fitted_inference(self, columns=None):
        prior = given.fitted_prior(self, columns)
        return MaximumPosterior(prior, self.weight_concentration_prior_)

    def _check_given(self, structure, d):
        return given.check_starts(self, structure, d)

    def _attributes(self, model, params):
        inference = model.inference
        priors = given.prior_attributes(inference.prior, inference.concentration, model.dtype)
        annihilated = np.flatnonzero(params.weights == 0.0)
        return super()._attributes(model, params) | priors | {"annihilated_": annihilated}

    def _over(self, columns, structure, params):
        other = super()._over(columns, structure, params)
        # A weight may also vanish because a component explains the values given so badly.
        other.annihilated_ = self.annihilated_.copy()
        return other

    def _n_parameters(self):
        return super()._n_parameters(absent=len(self.annihilated_))

    def _objectives(self, history, weight):
        return [weight * value for value in history]

    def _set_fitted(self, model, solution, weight):
        super()._set_fitted(model, solution, weight)
        if len(self.annihilated_):
            self.stop_reason_ += (
                f"; components {self.annihilated_.tolist()} were annihilated (weight zero):"
                f" their rows weighed less than 1 - weight_concentration_prior"
                f" = {1.0 - self.weight_concentration_prior_:g}"
            )

    def _setting(self, model):
        scale = np.array2string(np.asarray(model.inference.prior.covariance), threshold=9)
        return f"{super()._setting(model)}, covariance_prior_={scale}"


def default_prior(estimator, structure, training, k):
    """Fraley and Raftery's (2007) choices for k components."""
    mean = training.columns.mean
    d = len(mean)
    covariance = None
    if estimator.covariance_prior is None:
        share = float(k) ** (2.0 / d)
        if structure.name in ("full", "tied"):
            covariance = given.positive_scale(training.covariance(), True) / share
        else:
            variance = float(training.variances().mean())
            covariance = np.asarray((variance if variance > 0.0 else 1.0) / share)
            if structure.name == "diag":
                covariance = np.full(d, covariance)
    return GaussianPrior(MEAN_PRECISION, mean, d + 2.0, covariance)

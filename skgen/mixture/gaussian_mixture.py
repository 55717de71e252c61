"""Maximum likelihood Gaussian mixtures by expectation maximization.

    p(x) = sum_k pi_k N(x; mu_k, S_k)

One fused pass over the rows per iteration adds up what the next parameters need; no array of
rows by components exists. Dempster, Laird and Rubin (1977); Bishop (2006), section 9.2.
"""

from skgen.mixture import given
from skgen.mixture.family import MixtureEstimator
from skgen.mixture.inference import MaximumLikelihood


class GaussianMixture(MixtureEstimator):
    """Gaussian mixture fitted by maximum likelihood.

    Parameters, attributes and methods that scikit-learn's class has mean the same here.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        One covariance matrix per component, one for all, one variance per component and
        feature, or one variance per component.
    tol : float, default=1e-3
        EM stops when the mean log likelihood per row changes by less.
    reg_covar : float, default=1e-6
        Variance added to the diagonal of every covariance. Where it exceeds 1 % of the mean
        variance of X's columns and that variance is below 1, it is taken as a share of that
        variance, so that data in small units are not drowned in it.
    max_iter : int, default=100
        Iterations of EM; 0 returns the initial parameters.
    n_init : int, default=1
        Number of starts; the one with the largest final objective is kept. A start that leaves a
        component empty or singular is replaced, three times at most.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "whitened-k-means++", \
"agglomerative"}, default="kmeans"
        The partition that the initial parameters are estimated from: k-means clusters, rows
        nearest to k-means++ centers, random soft memberships, rows nearest to k random rows,
        k-means clusters in coordinates that make elongated clusters round, which no linear map
        of X changes, or clusters merged where the likelihood loses least. The last draws nothing,
        so one start is enough; its tree has at most 2000 leaves, fewer above 8 features.
    weights_init : array of shape (k,), default=None
    means_init : array of shape (k, d), default=None
        Given means also decide the initial partition, in place of `init_params`.
    precisions_init : array of the structure's shape, default=None
    random_state : int, RandomState or None, default=None
    warm_start : bool, default=False
        Continue from the last fit's parameters.
    verbose : int, default=0
        1 logs every `verbose_interval` iterations, 2 logs the objective too, to logger "skgen".
    verbose_interval : int, default=10
    acceleration : {"squarem", "anderson"} or None, default=None
        Leap to where many steps of EM lead, once a run is near its limit; a leap that gains less
        than the next step would is not taken. Worth it where components overlap and EM needs
        hundreds of iterations; "anderson" needs fewer. Rarely a run ends in another limit than
        EM's, better or worse.
    learning_decay, learning_offset : float, default=0.6, 2.0
        Step size (t + offset) ^ -decay of `partial_fit` after t blocks; decay in (0.5, 1], offset
        >= 1.
    n_jobs : int, default=None
        Threads. None uses all cores available to the process. An explicit number above 1 also
        runs that many starts at a time. The result does not depend on it.

    Attributes
    ----------
    weights_ : ndarray of shape (k,)
    means_ : ndarray of shape (k, d)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shapes (k, d, d) for "full", (d, d) for "tied", (k, d) for "diag", (k,) for "spherical".
    converged_ : bool
        Whether the best start met `tol`.
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log likelihood per row that the last iteration started from.
    lower_bounds_, objective_history_ : list of float
        The same for every iteration; it never falls by more than rounding.
    stop_reason_ : str
        Why EM ended.
    n_degenerate_starts_ : int
        Starts that `fit` replaced or dropped because a component was empty or singular.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has column names.

    Raises
    ------
    ValueError
        Where X, weights or parameters are unusable, or every start ends in a component whose
        covariance is singular; the message names the component and the remedy.

    References
    ----------
    Dempster, Laird and Rubin (1977), "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.mixture import GaussianMixture
    >>> X = np.array([[1.0], [1.2], [0.8], [9.0], [9.5], [8.5]])
    >>> mixture = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(mixture.means_.ravel())
    array([1., 9.])
    """

    _parameter_constraints = MixtureEstimator._parameter_constraints | {
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
    }
    _per_feature = ("means_init", "precisions_init")

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
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
        n_jobs=None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
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
        self.n_jobs = n_jobs

    def _inference(self, structure, training):
        return MaximumLikelihood()

    def _check_given(self, structure, d):
        return given.check_starts(self, structure, d)

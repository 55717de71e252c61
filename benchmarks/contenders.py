"""Who competes, and how each is called at its best.

A contender's `fit(problem, n_iter, seed)` does the whole work and returns the answer that the
problem judges and the number of iterations done. Peers are optional: a contender whose module
cannot be imported is left out of the race, and the table says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from math import log

import numpy as np


@dataclass(frozen=True)
class Contender:
    """A library with the function that runs it."""

    name: str
    modules: tuple[str, ...]
    fit: Callable
    dtypes: tuple[str, ...] = ("float32", "float64")
    # Maximizes something else than the first contender, so only the seconds are compared.
    other_model: bool = False

    def missing(self):
        """Why this contender cannot take part, or None."""
        try:
            for module in self.modules:
                import_module(module)
        except ImportError as error:
            return str(error).splitlines()[0]
        return None


def fit_kmeans(module, algorithm):
    """scikit-learn's interface, with which skgen and scikit-learn-intelex come too."""

    def fit(problem, n_iter, seed):
        estimator = import_module(module).KMeans
        model = estimator(
            len(problem.centers),
            init=problem.centers,
            n_init=1,
            max_iter=n_iter,
            tol=0.0,
            algorithm=algorithm,
        )
        model.fit(problem.X)
        return model.cluster_centers_, model.n_iter_

    return fit


def fit_daal_kmeans(problem, n_iter, seed):
    import daal4py

    result = daal4py.kmeans(
        len(problem.centers),
        maxIterations=n_iter,
        accuracyThreshold=0.0,
        assignFlag=False,
        fptype=daal_type(problem.X),
    ).compute(problem.X, problem.centers)
    return result.centroids, int(np.ravel(result.nIterations)[0])


def fit_faiss_kmeans(problem, n_iter, seed):
    import faiss

    model = faiss.Kmeans(
        problem.X.shape[1],
        len(problem.centers),
        niter=n_iter,
        min_points_per_centroid=1,
        max_points_per_centroid=len(problem.X),
    )
    model.train(problem.X, init_centroids=problem.centers)
    return model.centroids, n_iter


KMEANS = (
    Contender("skgen", ("skgen.cluster",), fit_kmeans("skgen.cluster", "auto")),
    Contender("scikit-learn lloyd", ("sklearn.cluster",), fit_kmeans("sklearn.cluster", "lloyd")),
    Contender("scikit-learn elkan", ("sklearn.cluster",), fit_kmeans("sklearn.cluster", "elkan")),
    Contender(
        "scikit-learn-intelex", ("sklearnex.cluster",), fit_kmeans("sklearnex.cluster", "lloyd")
    ),
    Contender("daal4py", ("daal4py",), fit_daal_kmeans),
    Contender("faiss", ("faiss",), fit_faiss_kmeans, dtypes=("float32",)),
)


def seed_skgen(problem, n_iter, seed):
    from skgen.rows import Rows, thread_count
    from skgen.seeding import kmeans_plus_plus

    rows = Rows(problem.X, n_threads=thread_count())
    centers, _ = kmeans_plus_plus(rows, problem.n_clusters, np.random.RandomState(seed))
    return centers, 1


def seed_sklearn(problem, n_iter, seed):
    from sklearn.cluster import kmeans_plusplus

    centers, _ = kmeans_plusplus(problem.X, problem.n_clusters, random_state=seed)
    return centers, 1


def seed_daal(n_trials):
    """oneDAL's k-means++ with `n_trials(k)` candidates per center."""

    def seed_with_daal(problem, n_iter, seed):
        import daal4py

        k = problem.n_clusters
        result = daal4py.kmeans_init(
            k,
            method="plusPlusDense",
            nTrials=n_trials(k),
            fptype=daal_type(problem.X),
            engine=daal4py.engines_mt19937(seed=seed + 1),
        ).compute(problem.X)
        return result.centroids, 1

    return seed_with_daal


SEEDING = (
    Contender("skgen", ("skgen.seeding",), seed_skgen),
    Contender("scikit-learn", ("sklearn.cluster",), seed_sklearn),
    Contender("daal4py, greedy", ("daal4py",), seed_daal(lambda k: 2 + int(log(k)))),
    Contender("daal4py, one trial", ("daal4py",), seed_daal(lambda k: 1)),
)


def fit_mixture(module, family="GaussianMixture", **options):
    """scikit-learn's interface, which skgen has too."""

    def fit(problem, n_iter, seed):
        estimator = getattr(import_module(module), family)
        model = estimator(
            len(problem.weights),
            covariance_type=problem.structure,
            tol=0.0,
            reg_covar=problem.reg_covar,
            max_iter=n_iter,
            weights_init=problem.weights,
            means_init=problem.means,
            precisions_init=problem.precisions,
            **options,
        )
        model.fit(problem.X)
        return (model.weights_, model.means_, model.covariances_), model.n_iter_

    return fit


def fit_daal_mixture(problem, n_iter, seed):
    import daal4py

    full = problem.structure == "full"
    covariances = problem.covariances.astype(problem.X.dtype)
    result = daal4py.em_gmm(
        nComponents=len(problem.weights),
        maxIterations=n_iter,
        accuracyThreshold=0.0,
        covarianceStorage="full" if full else "diagonal",
        fptype=daal_type(problem.X),
    ).compute(
        problem.X,
        problem.weights[np.newaxis].astype(problem.X.dtype),
        problem.means.astype(problem.X.dtype),
        list(covariances if full else covariances[:, np.newaxis]),
    )
    covariances = np.asarray(result.covariances)
    answer = (result.weights[0], result.means, covariances if full else covariances[:, 0])
    return answer, int(np.ravel(result.nIterations)[0])


MIXTURE = (
    Contender("skgen", ("skgen.mixture",), fit_mixture("skgen.mixture")),
    Contender("scikit-learn", ("sklearn.mixture",), fit_mixture("sklearn.mixture")),
    Contender("daal4py", ("daal4py",), fit_daal_mixture),
)
# oneDAL has neither tied nor spherical covariances.
MIXTURE_WITHOUT_DAAL = MIXTURE[:2]
LIKELIHOOD = Contender(
    "skgen GaussianMixture",
    ("skgen.mixture",),
    fit_mixture("skgen.mixture"),
    other_model=True,
)
MAP = (
    Contender(
        "skgen MAPGaussianMixture",
        ("skgen.mixture",),
        fit_mixture("skgen.mixture", "MAPGaussianMixture"),
    ),
    LIKELIHOOD,
)


def fit_bayesian(module):
    """Mean field from a given posterior: there is no means_init, so a warm start continues it.

    The Dirichlet prior, because truncated sticks are not the same model in both packages.
    """

    def fit(problem, n_iter, seed):
        model = import_module(module).BayesianGaussianMixture(
            n_components=len(problem.weights),
            covariance_type=problem.structure,
            weight_concentration_prior_type="dirichlet_distribution",
            tol=0.0,
            reg_covar=problem.reg_covar,
            max_iter=n_iter,
            warm_start=True,
        )
        for name, value in problem.posterior.items():
            setattr(model, name, value)
        model.fit(problem.X)
        return (model.weights_, model.means_, model.covariances_), model.n_iter_

    return fit


BAYESIAN = (
    Contender("skgen BayesianGaussianMixture", ("skgen.mixture",), fit_bayesian("skgen.mixture")),
    LIKELIHOOD,
    Contender(
        "scikit-learn BayesianGaussianMixture",
        ("sklearn.mixture",),
        fit_bayesian("sklearn.mixture"),
    ),
)


def fit_small(module, family):
    """A whole fit on few rows with the defaults, seeding included."""

    def fit(problem, n_iter, seed):
        model = getattr(import_module(module), family)(3, random_state=seed).fit(problem.X)
        return model.score(problem.X), model.n_iter_

    return fit


def call_on_one_row(module, family, method):
    """A method of a fitted model on one row; the model is fitted outside the clock."""
    fitted = {}

    def call(problem, n_iter, seed):
        if module not in fitted:
            estimator = getattr(import_module(module), family)
            fitted[module] = estimator(8, random_state=0).fit(problem.X)
        answer = getattr(fitted[module], method)(problem.X[:1])
        return np.ravel(answer).shape[0], 1

    return call


def pair(make, family, *arguments):
    """skgen and scikit-learn with the estimator `family`."""
    package = "cluster" if family == "KMeans" else "mixture"
    return tuple(
        Contender(
            name,
            (f"{module}.{package}",),
            make(f"{module}.{package}", family, *arguments),
        )
        for name, module in (("skgen", "skgen"), ("scikit-learn", "sklearn"))
    )


def daal_type(X):
    """The name daal4py has for the floating type of X."""
    return "float" if X.dtype == np.float32 else "double"

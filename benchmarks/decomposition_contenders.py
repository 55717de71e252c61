"""Who finds principal components, and how each is called at its best.

Solvers of scikit-learn that are not for the shape of a race are left out. scikit-learn-intelex has
the solver by covariance only.
"""

from importlib import import_module

import numpy as np

from benchmarks.contenders import Contender


def fit_pca(module, **options):
    def fit(problem, n_iter, seed):
        estimator = import_module(module).PCA
        model = estimator(problem.n_components, random_state=seed, **options).fit(problem.X)
        return (model.components_, model.explained_variance_), 1

    return fit


def fit_incremental(module):
    def fit(problem, n_iter, seed):
        estimator = import_module(module).IncrementalPCA
        model = estimator(problem.n_components, batch_size=1000).fit(problem.X)
        return (model.components_, model.explained_variance_), 1

    return fit


SKGEN = Contender("skgen", ("skgen.decomposition",), fit_pca("skgen.decomposition"))
COVARIANCE = Contender(
    "scikit-learn covariance_eigh",
    ("sklearn.decomposition",),
    fit_pca("sklearn.decomposition", svd_solver="covariance_eigh"),
)
INTELEX = Contender(
    "scikit-learn-intelex",
    ("sklearnex.decomposition",),
    fit_pca("sklearnex.decomposition", svd_solver="covariance_eigh"),
)
ARPACK = Contender(
    "scikit-learn arpack",
    ("sklearn.decomposition",),
    fit_pca("sklearn.decomposition", svd_solver="arpack"),
)
RANDOMIZED = Contender(
    "scikit-learn randomized",
    ("sklearn.decomposition",),
    fit_pca("sklearn.decomposition", svd_solver="randomized"),
)
TALL = (SKGEN, COVARIANCE, INTELEX)
IMAGES = (SKGEN, COVARIANCE, INTELEX, RANDOMIZED)
SQUARE = (SKGEN, ARPACK, RANDOMIZED)
SPARSE = (SKGEN, COVARIANCE, ARPACK)
INCREMENTAL = (
    Contender("skgen", ("skgen.decomposition",), fit_incremental("skgen.decomposition")),
    Contender("scikit-learn", ("sklearn.decomposition",), fit_incremental("sklearn.decomposition")),
)


def restore_skgen(problem, n_iter, seed):
    from skgen.decomposition import ProbabilisticPCA

    model = ProbabilisticPCA(problem.n_components).fit(problem.X)
    return model.impute(problem.X), model.n_iter_


def restore_statsmodels(problem, n_iter, seed):
    from statsmodels.multivariate.pca import PCA

    model = PCA(
        problem.X, ncomp=problem.n_components, standardize=False, missing="fill-em"
    )  # its data are the only way to the filled cells
    return model._adjusted_data, n_iter


def restore_pyppca(problem, n_iter, seed):
    import pyppca

    np.random.seed(seed)  # noqa: NPY002 - the only seed it has
    return pyppca.ppca(problem.X.copy(), problem.n_components, False)[4], n_iter


def restore_ppca(problem, n_iter, seed):
    from ppca import PPCA

    np.random.seed(seed)  # noqa: NPY002
    model = PPCA()
    model.fit(problem.X.copy(), d=problem.n_components)
    return model.data * model.stds + model.means, n_iter


RESTORE = (
    Contender("skgen", ("skgen.decomposition",), restore_skgen),
    Contender(
        "statsmodels", ("statsmodels.multivariate.pca",), restore_statsmodels, other_model=True
    ),
    Contender("pyppca", ("pyppca",), restore_pyppca, other_model=True),
    Contender("ppca", ("ppca",), restore_ppca, other_model=True),
)


def link_skgen(problem, n_iter, seed):
    from skgen.cluster import AgglomerativeClustering

    return AgglomerativeClustering(5, linkage=problem.rule).fit(problem.X).distances_, 1


def link_scikit_learn(problem, n_iter, seed):
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(5, linkage=problem.rule, compute_distances=True)
    return model.fit(problem.X).distances_, 1


def link_scipy(problem, n_iter, seed):
    from scipy.cluster.hierarchy import linkage

    return linkage(problem.X, problem.rule)[:, 2], 1


def link_fastcluster(problem, n_iter, seed):
    import fastcluster

    return fastcluster.linkage(problem.X, problem.rule)[:, 2], 1


LINKAGE = (
    Contender("skgen", ("skgen.cluster",), link_skgen),
    Contender("scipy", ("scipy.cluster.hierarchy",), link_scipy),
    Contender("fastcluster", ("fastcluster",), link_fastcluster),
    Contender("scikit-learn", ("sklearn.cluster",), link_scikit_learn),
)

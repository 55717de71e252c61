"""Who chooses among mixtures, and how each is called at its best.

scikit-learn has no search by a criterion of all rows. What its users write is a loop, or
GridSearchCV with a scorer; a careful user makes the k-means partition of a number of components
once and starts all structures from it.
"""

from importlib import import_module

import numpy as np

from benchmarks.contenders import Contender

STRUCTURES = ("full", "tied", "diag", "spherical")


def answer(mixture, iterations):
    """What the judge asks for: structure and parameters of the mixture chosen."""
    parameters = mixture.weights_, mixture.means_, mixture.covariances_
    return (mixture.covariance_type, *parameters), iterations


def search_skgen(**options):
    def fit(problem, n_iter, seed):
        from skgen.mixture import GaussianMixtureSearch

        search = GaussianMixtureSearch(
            problem.n_components,
            criterion=problem.criterion,
            cv=problem.cv,
            max_iter=n_iter,
            random_state=seed,
            **options,
        ).fit(problem.X)
        return answer(search.best_estimator_, int(search.cv_results_["n_iter"].sum()))

    return fit


def loop_over(module):
    """Every mixture by itself; the smallest `bic`."""

    def fit(problem, n_iter, seed):
        estimator = import_module(module).GaussianMixture
        mixtures = [
            estimator(k, covariance_type=kind, max_iter=n_iter, random_state=seed).fit(problem.X)
            for k in problem.n_components
            for kind in STRUCTURES
        ]
        iterations = sum(mixture.n_iter_ for mixture in mixtures)
        return answer(min(mixtures, key=lambda mixture: mixture.bic(problem.X)), iterations)

    return fit


def loop_with_shared_starts(problem, n_iter, seed):
    """scikit-learn's mixtures, told where to start by one k-means per number of components."""
    from sklearn.cluster import KMeans
    from sklearn.mixture import GaussianMixture

    mixtures = []
    for k in problem.n_components:
        labels = KMeans(k, n_init=1, random_state=seed).fit(problem.X).labels_
        for kind in STRUCTURES:
            mixture = GaussianMixture(
                k,
                covariance_type=kind,
                max_iter=n_iter,
                # The cheapest, for it is replaced.
                init_params="random_from_data",
                random_state=seed,
                **start_of(problem.X, labels, k, kind),
            )
            mixtures.append(mixture.fit(problem.X))
    iterations = sum(mixture.n_iter_ for mixture in mixtures)
    return answer(min(mixtures, key=lambda mixture: mixture.bic(problem.X)), iterations)


def start_of(X, labels, k, kind):
    """Weights, means and precisions of the parts."""
    parts = [X[labels == number] for number in range(k)]
    weights = np.array([len(part) / len(X) for part in parts])
    scatters = np.stack([np.atleast_2d(np.cov(part, rowvar=False, bias=True)) for part in parts])
    scatters += 1e-6 * np.eye(X.shape[1])
    variances = np.stack([scatter.diagonal() for scatter in scatters])
    precisions = {
        "full": lambda: np.linalg.inv(scatters),
        "tied": lambda: np.linalg.inv(np.einsum("k,kij->ij", weights, scatters)),
        "diag": lambda: 1.0 / variances,
        "spherical": lambda: 1.0 / variances.mean(axis=1),
    }[kind]()
    means = np.stack([part.mean(axis=0) for part in parts])
    return {"weights_init": weights, "means_init": means, "precisions_init": precisions}


def grid_search(problem, n_iter, seed):
    """scikit-learn's GridSearchCV on all cores."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV

    held_out = problem.criterion == "held_out"
    everything = np.arange(len(problem.X))
    search = GridSearchCV(
        GaussianMixture(max_iter=n_iter, random_state=seed),
        {"n_components": problem.n_components, "covariance_type": STRUCTURES},
        scoring=None if held_out else negative_bic,
        cv=problem.cv if held_out else [(everything, everything)],
        n_jobs=-1,
    ).fit(problem.X)
    # It does not tell the iterations of its fits.
    return answer(search.best_estimator_, search.best_estimator_.n_iter_)


def negative_bic(mixture, X):
    return -mixture.bic(X)


SEARCH = (
    Contender("skgen GaussianMixtureSearch", ("skgen.mixture",), search_skgen()),
    Contender(
        "skgen GaussianMixtureSearch, n_jobs=-1", ("skgen.mixture",), search_skgen(n_jobs=-1)
    ),
    Contender("skgen, loop", ("skgen.mixture",), loop_over("skgen.mixture")),
    Contender("scikit-learn, loop", ("sklearn.mixture",), loop_over("sklearn.mixture")),
    Contender("scikit-learn, loop, shared starts", ("sklearn.mixture",), loop_with_shared_starts),
    Contender("scikit-learn, GridSearchCV, n_jobs=-1", ("sklearn.mixture",), grid_search),
)
HELD_OUT = (SEARCH[0], SEARCH[1], SEARCH[-1])

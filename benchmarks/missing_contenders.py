"""Mixtures that take missing cells, and how each is called from the same start.

Not all do the same iteration. astroML does EM. pygmmis takes covariances about the means before
the update, so it needs more iterations to the same limit. stepmix and pomegranate average over
observed cells alone, which for diagonal covariances is EM with less missing and needs fewer.
"""

from pathlib import Path

import numpy as np

from benchmarks.contenders import Contender, fit_mixture

# Variance of a missing cell where the peer knows measurement errors only.
HUGE = 1e10


def fit_stepmix(problem, n_iter, seed):
    from stepmix import StepMix

    model = StepMix(
        len(problem.weights),
        measurement="gaussian_diag_nan",
        abs_tol=0.0,
        rel_tol=0.0,
        max_iter=n_iter,
        verbose=0,
        progress_bar=0,
    )

    def start(X, random_state):
        model.weights_ = problem.weights.copy()
        model._initialize_parameters_measurement(X, random_state, init_emission=False)
        model._mm.set_parameters(
            {"means": problem.means.copy(), "covariances": problem.covariances.copy()}
        )

    # There is no public way to give the first parameters.
    model._initialize_parameters = start
    model.fit(problem.X)
    fitted = model.get_parameters()
    measured = fitted["measurement"]
    return (fitted["weights"], measured["means"], measured["covariances"]), model.n_iter_


def fit_pomegranate(problem, n_iter, seed):
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    components = [
        Normal(torch.tensor(mean), torch.tensor(variances), covariance_type="diag")
        for mean, variances in zip(problem.means, problem.covariances, strict=True)
    ]
    model = GeneralMixtureModel(
        components, priors=torch.tensor(problem.weights), tol=-np.inf, max_iter=n_iter
    )
    seen = torch.tensor(~np.isnan(problem.X))
    model.fit(torch.masked.MaskedTensor(torch.tensor(np.nan_to_num(problem.X)), mask=seen))
    means = np.stack([component.means.numpy() for component in components])
    variances = np.stack([component.covs.numpy() for component in components])
    return (model.priors.numpy(), means, variances), n_iter


def fit_pygmmis(problem, n_iter, seed):
    import pygmmis

    model = pygmmis.GMM(K=len(problem.weights), D=problem.X.shape[1])
    model.amp[:] = problem.weights
    model.mean[:] = problem.means
    model.covar[:] = problem.covariances
    pygmmis.fit(model, problem.X, init_method="none", tol=0.0, maxiter=n_iter)
    return (model.amp, model.mean, model.covar), n_iter


def fit_astroml(problem, n_iter, seed):
    from astroML.density_estimation import XDGMM

    n, d = problem.X.shape
    # Its E-step forms rows by components by d cubed, some of it twice.
    require_memory(1.3 * 8.0 * n * len(problem.weights) * d**3)
    hole = np.isnan(problem.X)
    X, errors = np.where(hole, 0.0, problem.X), np.zeros((n, d, d))
    errors[:, np.arange(d), np.arange(d)] = np.where(hole, HUGE, 0.0)
    model = XDGMM(len(problem.weights))
    model.alpha, model.mu, model.V = problem.weights, problem.means, problem.covariances
    for _ in range(n_iter):
        # `fit` cannot start from given parameters; this is the body of its loop.
        model._EMstep(X, errors)
        model.logL(X, errors)
    return (model.alpha, model.mu, model.V), n_iter


def require_memory(needed):
    """Raise before an allocation would push other processes out; nothing where unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return
    free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    if needed > free:
        raise MemoryError(f"needs about {needed / 2**30:.0f} GiB, {free / 2**30:.0f} are free")


SKGEN = Contender("skgen", ("skgen.mixture",), fit_mixture("skgen.mixture"))
FULL = (
    SKGEN,
    Contender("pygmmis", ("pygmmis",), fit_pygmmis, dtypes=("float64",)),
    Contender("astroML", ("astroML.density_estimation",), fit_astroml, dtypes=("float64",)),
)
# pomegranate's matrix product takes no masked tensor, stepmix has no full covariance for them.
DIAGONAL = (
    SKGEN,
    Contender("stepmix", ("stepmix",), fit_stepmix, dtypes=("float64",)),
    Contender("pomegranate", ("torch", "pomegranate.gmm"), fit_pomegranate, dtypes=("float64",)),
)

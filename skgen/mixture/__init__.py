"""Gaussian mixtures by one EM core: maximum likelihood, maximum a posteriori, mean field."""

from skgen.mixture.bayesian_gaussian_mixture import BayesianGaussianMixture
from skgen.mixture.gaussian_mixture import GaussianMixture
from skgen.mixture.gaussian_mixture_classifier import GaussianMixtureClassifier
from skgen.mixture.gaussian_mixture_search import GaussianMixtureSearch
from skgen.mixture.map_gaussian_mixture import MAPGaussianMixture

__all__ = [
    "BayesianGaussianMixture",
    "GaussianMixture",
    "GaussianMixtureClassifier",
    "GaussianMixtureSearch",
    "MAPGaussianMixture",
]

"""Gaussian mixtures by one EM core."""

from skgen.mixture.gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture"]

"""Multilayer perceptrons that classify, predict numbers or several of both, and encode."""

from skgen.neural_network.autoencoder import Autoencoder
from skgen.neural_network.mlp_classifier import MLPClassifier
from skgen.neural_network.mlp_multi_task import MLPMultiTask
from skgen.neural_network.mlp_regressor import MLPRegressor

__all__ = ["Autoencoder", "MLPClassifier", "MLPMultiTask", "MLPRegressor"]

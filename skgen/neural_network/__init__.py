"""Multilayer perceptrons that classify, predict numbers, or several of both at once."""

from skgen.neural_network.mlp_classifier import MLPClassifier
from skgen.neural_network.mlp_multi_task import MLPMultiTask
from skgen.neural_network.mlp_regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPMultiTask", "MLPRegressor"]

"""Multilayer perceptrons that classify, predict numbers or several of both, and encode."""

from importlib import import_module

from skgen.neural_network.mlp_classifier import MLPClassifier
from skgen.neural_network.mlp_regressor import MLPRegressor

__all__ = ["Autoencoder", "MLPClassifier", "MLPMultiTask", "MLPRegressor"]

# What scikit-learn's package has no match for is loaded when it is first used.
_LATER = {"Autoencoder": "autoencoder", "MLPMultiTask": "mlp_multi_task"}


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return globals()[name]


def __dir__():
    return sorted({*globals(), *_LATER})

"""scikit-learn-compatible estimators built on one reduction over the rows."""

from importlib import import_module

__version__ = "0.1.0"

_SUBPACKAGES = (
    "cluster",
    "decomposition",
    "inspection",
    "kernels",
    "linear_model",
    "mixture",
    "model_selection",
    "neural_network",
    "semi_supervised",
)
__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name):
    if name in _SUBPACKAGES:
        return import_module(f"skgen.{name}")
    raise AttributeError(f"module 'skgen' has no attribute {name!r}")


def __dir__():
    return __all__

"""Classifiers that learn from rows with and without labels."""

from importlib import import_module

# Loaded when first used: they work with estimators of many packages.
_MODULES = {
    "ClusterThenLabel": "cluster_then_label",
    "EntropyRegularizedClassifier": "entropy_regularized",
    "LabelPropagation": "label_propagation",
    "LabelSpreading": "label_propagation",
    "LaplacianRegularizedClassifier": "laplacian_regularized",
    "SelfTrainingClassifier": "self_training",
    "TransductiveSVC": "transductive_svc",
}
__all__ = [
    "ClusterThenLabel",
    "EntropyRegularizedClassifier",
    "LabelPropagation",
    "LabelSpreading",
    "LaplacianRegularizedClassifier",
    "SelfTrainingClassifier",
    "TransductiveSVC",
]


def __getattr__(name):
    if name in _MODULES:
        return getattr(import_module(f"skgen.semi_supervised.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'skgen.semi_supervised' has no attribute {name!r}")


def __dir__():
    return __all__

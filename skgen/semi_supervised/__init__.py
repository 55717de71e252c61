"""Classifiers that learn from rows with and without labels."""

from skgen.semi_supervised.self_training import SelfTrainingClassifier

__all__ = [
    "SelfTrainingClassifier",
]

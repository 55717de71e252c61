"""Classifiers that learn from rows with and without labels."""

from skgen.semi_supervised.cluster_then_label import ClusterThenLabel
from skgen.semi_supervised.entropy_regularized import EntropyRegularizedClassifier
from skgen.semi_supervised.label_propagation import LabelPropagation, LabelSpreading
from skgen.semi_supervised.laplacian_regularized import LaplacianRegularizedClassifier
from skgen.semi_supervised.self_training import SelfTrainingClassifier
from skgen.semi_supervised.transductive_svc import TransductiveSVC

__all__ = [
    "ClusterThenLabel",
    "EntropyRegularizedClassifier",
    "LabelPropagation",
    "LabelSpreading",
    "LaplacianRegularizedClassifier",
    "SelfTrainingClassifier",
    "TransductiveSVC",
]

"""Splits, scores and experiments for data of which some rows have no label."""

from skgen.model_selection.helping import UnlabeledDataResult, is_unlabeled_data_helping
from skgen.model_selection.hiding import hide_labels
from skgen.model_selection.scoring import labeled_scorer
from skgen.model_selection.splits import (
    PartiallyLabeledKFold,
    PartiallyLabeledShuffleSplit,
    PartiallyLabeledStratifiedKFold,
    PartiallyLabeledStratifiedShuffleSplit,
)

__all__ = [
    "PartiallyLabeledKFold",
    "PartiallyLabeledShuffleSplit",
    "PartiallyLabeledStratifiedKFold",
    "PartiallyLabeledStratifiedShuffleSplit",
    "UnlabeledDataResult",
    "hide_labels",
    "is_unlabeled_data_helping",
    "labeled_scorer",
]

"""Pictures of fitted estimators, by scikit-learn's Display convention.

matplotlib is loaded when something is drawn, not before.
"""

from skgen.inspection.activations_display import ActivationsDisplay
from skgen.inspection.components_display import ComponentsDisplay
from skgen.inspection.criterion_display import CriterionDisplay
from skgen.inspection.dendrogram_display import DendrogramDisplay
from skgen.inspection.filters_display import FiltersDisplay
from skgen.inspection.mixture_display import MixtureDisplay
from skgen.inspection.objective_history_display import ObjectiveHistoryDisplay
from skgen.inspection.reconstruction_display import ReconstructionDisplay
from skgen.inspection.scree_display import ScreeDisplay
from skgen.inspection.training_display import TrainingDisplay

__all__ = [
    "ActivationsDisplay",
    "ComponentsDisplay",
    "CriterionDisplay",
    "DendrogramDisplay",
    "FiltersDisplay",
    "MixtureDisplay",
    "ObjectiveHistoryDisplay",
    "ReconstructionDisplay",
    "ScreeDisplay",
    "TrainingDisplay",
]

"""Pictures of fitted estimators, by scikit-learn's Display convention.

matplotlib is loaded when something is drawn, not before.
"""

from skgen.inspection.criterion_display import CriterionDisplay
from skgen.inspection.mixture_display import MixtureDisplay
from skgen.inspection.objective_history_display import ObjectiveHistoryDisplay

__all__ = ["CriterionDisplay", "MixtureDisplay", "ObjectiveHistoryDisplay"]

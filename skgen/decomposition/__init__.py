"""Principal components: what of the rows few directions say."""

from skgen.decomposition.incremental_pca import IncrementalPCA
from skgen.decomposition.pca import PCA
from skgen.decomposition.probabilistic_pca import ProbabilisticPCA

__all__ = ["PCA", "IncrementalPCA", "ProbabilisticPCA"]

"""Principal components: what of the rows few directions say."""

from skgen.decomposition.incremental_pca import IncrementalPCA
from skgen.decomposition.pca import PCA

__all__ = ["PCA", "IncrementalPCA"]

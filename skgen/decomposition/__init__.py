"""Principal components: what of the rows few directions say."""

from skgen.decomposition.pca import PCA

__all__ = ["PCA"]

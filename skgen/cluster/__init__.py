"""k-means clustering."""

from skgen.cluster.kmeans import KMeans, k_means, kmeans_plusplus
from skgen.cluster.mini_batch_kmeans import MiniBatchKMeans

__all__ = ["KMeans", "MiniBatchKMeans", "k_means", "kmeans_plusplus"]

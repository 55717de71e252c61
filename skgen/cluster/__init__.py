"""Clusters by centers, and trees of clusters."""

from skgen.cluster.agglomerative_clustering import AgglomerativeClustering
from skgen.cluster.kmeans import KMeans, k_means, kmeans_plusplus
from skgen.cluster.linkage import InsufficientMemory
from skgen.cluster.mini_batch_kmeans import MiniBatchKMeans

__all__ = [
    "AgglomerativeClustering",
    "InsufficientMemory",
    "KMeans",
    "MiniBatchKMeans",
    "k_means",
    "kmeans_plusplus",
]

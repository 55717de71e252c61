"""Clusters by centers, and trees of clusters."""

from skgen.cluster.agglomerative_clustering import AgglomerativeClustering
from skgen.cluster.kmeans import KMeans, k_means, kmeans_plusplus
from skgen.cluster.mini_batch_kmeans import MiniBatchKMeans
from skgen.memory import InsufficientMemory

__all__ = [
    "AgglomerativeClustering",
    "InsufficientMemory",
    "KMeans",
    "MiniBatchKMeans",
    "k_means",
    "kmeans_plusplus",
]

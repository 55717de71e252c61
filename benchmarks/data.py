"""Data of the workloads: overlapping synthetic clouds with fixed seeds, and MNIST."""

from functools import cache
from pathlib import Path

import numpy as np

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


class DataMissing(Exception):
    """Says which file a workload needs and does not find."""


def overlapping(n_rows, n_features, n_groups, dtype, seed=0):
    """Rows of a Gaussian mixture whose components overlap, with unequal weights and shapes."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.full(n_groups, 5.0))
    means = generator.normal(scale=1.5, size=(n_groups, n_features))
    scale = 1.0 / np.sqrt(n_features)
    shapes = generator.normal(scale=scale, size=(n_groups, n_features, n_features))
    shapes += 0.5 * np.eye(n_features)
    X = np.empty((n_rows, n_features), dtype=dtype)
    group = generator.choice(n_groups, size=n_rows, p=weights)
    for number in range(n_groups):
        members = np.flatnonzero(group == number)
        noise = generator.normal(size=(members.size, n_features))
        X[members] = means[number] + noise @ shapes[number]
    return X


@cache
def mnist_pixels():
    """The 60000 training images of MNIST as bytes, (60000, 784)."""
    path = SHARED / "mnist.npz"
    if not path.exists():
        raise DataMissing(f"needs mnist.npz in {Path('..', 'shared', 'data')}")
    with np.load(path) as archive:
        return archive["X_train"].reshape(-1, 784)


def mnist(n_rows, dtype):
    """The first `n_rows` images, pixels between 0 and 1."""
    return np.ascontiguousarray(mnist_pixels()[:n_rows], dtype=dtype) / dtype(255)


def mnist_components(n_rows, dtype, n_components=50):
    """The first principal components of the first `n_rows` images."""
    from sklearn.decomposition import PCA

    pca = PCA(n_components, svd_solver="covariance_eigh")
    return np.ascontiguousarray(pca.fit_transform(mnist(n_rows, np.float64)), dtype=dtype)

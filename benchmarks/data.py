"""Data of the workloads: synthetic rows with fixed seeds, MNIST, and text messages."""

from functools import cache
from pathlib import Path

import numpy as np
from scipy import sparse

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


def gaussian_classes(n_rows, n_features, n_classes, dtype, seed=0):
    """Rows of one Gaussian per class, well conditioned and much alike, and the classes."""
    generator = np.random.default_rng(seed)
    priors = generator.dirichlet(np.full(n_classes, 5.0))
    means = generator.normal(size=(n_classes, n_features)) * 2.0 / np.sqrt(n_features)
    common = np.linalg.qr(generator.normal(size=(n_features, n_features)))[0]
    common *= np.geomspace(0.5, 2.0, n_features)
    own = generator.normal(size=(n_classes, n_features, n_features)) * 0.1 / n_features
    y = generator.choice(n_classes, size=n_rows, p=priors)
    X = np.empty((n_rows, n_features), dtype=dtype)
    for c in range(n_classes):
        members = np.flatnonzero(y == c)
        noise = generator.normal(size=(members.size, n_features))
        X[members] = means[c] + noise @ (common + own[c])
    return X, y


def with_holes(X, share, seed=1):
    """A copy of X with that share of cells NaN, completely at random; no row loses all."""
    generator = np.random.default_rng(seed)
    hole = generator.random(X.shape) < share
    hole[hole.all(axis=1), 0] = False
    return np.where(hole, X.dtype.type(np.nan), X)


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


def mnist_test(dtype):
    """The 10000 test images, pixels between 0 and 1, and their digits."""
    mnist_pixels()
    with np.load(SHARED / "mnist.npz") as archive:
        X = archive["X_test"].reshape(-1, 784).astype(dtype) / dtype(255)
        return X, archive["y_test"].astype(np.int64)


def mnist_components(n_rows, dtype, n_components=50):
    """The first principal components of the first `n_rows` images."""
    from sklearn.decomposition import PCA

    pca = PCA(n_components, svd_solver="covariance_eigh")
    return np.ascontiguousarray(pca.fit_transform(mnist(n_rows, np.float64)), dtype=dtype)


def letters():
    """The letter recognition data: 20000 rows of 16 integers between 0 and 15."""
    path = SHARED / "letter-recognition.data"
    if not path.exists():
        raise DataMissing(f"needs letter-recognition.data in {Path('..', 'shared', 'data')}")
    return np.loadtxt(path, delimiter=",", usecols=range(1, 17), skiprows=1)


def labeled(n_rows, n_features, dtype, seed=0):
    """Correlated columns of unequal spread and center, and labels drawn from a logistic model."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(n_features, n_features)) / np.sqrt(n_features)
    mixing += np.diag(generator.uniform(0.5, 2.0, size=n_features))
    center = generator.normal(size=n_features)
    X = generator.normal(size=(n_rows, n_features)) @ mixing + center
    weights = generator.normal(size=n_features) / np.sqrt(n_features)
    scores = (X - center) @ weights + 0.5
    y = generator.random(n_rows) < 1.0 / (1.0 + np.exp(-scores))
    return X.astype(dtype, copy=False), y.astype(np.int64)


def mnist_labels(n_rows):
    """The digits that the first images show."""
    mnist_pixels()
    with np.load(SHARED / "mnist.npz") as archive:
        return archive["y_train"][:n_rows].astype(np.int64)


def text(n_rows, n_columns, dtype, seed=0):
    """Documents of some sixty words from Zipf's law, as tf-idf in CSR; noisy labels."""
    generator = np.random.default_rng(seed)
    lengths = np.maximum(generator.poisson(generator.gamma(4.0, 16.0, size=n_rows)), 1)
    frequency = 1.0 / (np.arange(n_columns) + 10.0) ** 1.05
    # Words are numbered in no order of frequency.
    name = generator.permutation(n_columns)
    words = generator.choice(n_columns, size=lengths.sum(), p=frequency / frequency.sum())
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    ones = np.ones(len(words), dtype=dtype)
    X = sparse.csr_matrix((ones, name[words].astype(np.int32), pointers), (n_rows, n_columns))
    X.sum_duplicates()
    documents = np.bincount(X.indices, minlength=n_columns)
    idf = np.log((1.0 + n_rows) / (1.0 + documents)) + 1.0
    X.data *= idf[X.indices].astype(dtype)
    norm = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(norm, np.diff(X.indptr)).astype(dtype)
    weights = generator.normal(size=n_columns) * (generator.random(n_columns) < 0.3)
    scores = 8.0 * np.asarray(X @ weights).ravel()
    y = generator.random(n_rows) < 1.0 / (1.0 + np.exp(-scores))
    X.indptr = X.indptr.astype(np.int32)
    return X, y.astype(np.int64)


def messages(dtype):
    """The SMS spam collection as tf-idf of words and pairs of words; 1 is spam."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    path = SHARED / "sms_spam.tsv"
    if not path.exists():
        raise DataMissing(f"needs sms_spam.tsv in {Path('..', 'shared', 'data')}")
    lines = path.read_text(encoding="utf-8").splitlines()
    labels, texts = zip(*(line.split("\t", 1) for line in lines if "\t" in line), strict=True)
    X = TfidfVectorizer(ngram_range=(1, 2), dtype=np.dtype(dtype).type).fit_transform(texts)
    X.sort_indices()
    return X, (np.array(labels) == "spam").astype(np.int64)

"""How true principal components are, against a singular value decomposition in float64."""

import numpy as np

from benchmarks import decomposition_contenders
from benchmarks.data import mnist
from benchmarks.problems import ComponentsProblem


def decaying(n_rows, n_features, dtype):
    """A hundred directions of decaying size, and noise of deviation 1."""
    generator = np.random.default_rng(0)
    sizes = 100.0 * 0.95 ** np.arange(100)
    directions = np.linalg.qr(generator.normal(size=(n_features, 100)))[0].T
    X = (generator.normal(size=(n_rows, 100)) * sizes) @ directions
    return (X + generator.normal(size=(n_rows, n_features))).astype(dtype)


def measure_accuracy(rounds, small):
    """Largest angle between the subspaces, and largest relative error of a variance."""
    share = 10 if small else 1
    rows = []
    for name, make, k, peers in (
        ("5000x5000", lambda t: decaying(5000 // share, 5000 // share, t), 20, "SQUARE"),
        ("mnist", lambda t: mnist(60_000 // share, t), 50, "IMAGES"),
    ):
        truth = None
        for dtype in (np.float64, np.float32):
            X = make(dtype)
            if truth is None:
                truth = decompose(X, k)
            for contender in getattr(decomposition_contenders, peers):
                problem = ComponentsProblem(X, k)
                if contender.missing():
                    rows.append([contender.name, name, np.dtype(dtype).name, "not installed", ""])
                    continue
                answer = contender.fit(problem, 1, 0)[0]
                rows.append([contender.name, name, np.dtype(dtype).name, *errors(*answer, truth)])
    return rows


def decompose(X, k):
    """The k leading components and variances, by the covariance matrix in float64."""
    z = X - X.mean(axis=0)
    if len(z) > 2 * z.shape[1]:
        z = np.linalg.qr(z, mode="r")
    _, sizes, components = np.linalg.svd(z, full_matrices=False)
    return components[:k], sizes[:k] ** 2 / (len(X) - 1)


def errors(components, variances, truth):
    components = np.linalg.qr(np.asarray(components, dtype=np.float64).T)[0]
    outside = components - truth[0].T @ (truth[0] @ components)
    angle = np.linalg.norm(outside, 2)
    relative = np.abs(np.asarray(variances, dtype=np.float64) / truth[1] - 1.0).max()
    return f"{angle:.1e}", f"{relative:.1e}"

"""NumPy twins of the scatter kernels and of both PCA fits, written for clarity, in float64."""

import numpy as np
from scipy import sparse


def dense(X):
    return np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)


def deviations(X, origin):
    return dense(X) - dense(origin)


def outer_sums(X, weight, origin, scale):
    """Sum w, sum w z and sum w z z' of z = scale (x - origin)."""
    z = scale * deviations(X, origin)
    present = weight > 0
    z, w = z[present], weight[present]
    return w.sum(), w @ z, (z.T * w) @ z


def apply_scatter(X, weight, origin, Q):
    """Sum w z (z' Q)."""
    z = deviations(X, origin)[weight > 0]
    return (z.T * weight[weight > 0]) @ (z @ dense(Q))


def project(X, origin, Q):
    return deviations(X, origin) @ dense(Q)


def centered(X, weight=None):
    """Mean and root(w) (x - mean) of the rows of positive weight.

    Differences from a row come first, so that an offset costs no digits.
    """
    X = dense(X)
    weight = np.ones(len(X)) if weight is None else np.asarray(weight, dtype=np.float64)
    X, weight = X[weight > 0], weight[weight > 0]
    z = X - X[0]
    shift = weight @ z / weight.sum()
    return X[0] + shift, np.sqrt(weight)[:, None] * (z - shift)


def with_signs(components):
    """Each row with its largest entry positive; of equal ones the first decides."""
    sizes = np.abs(components)
    decisive = (sizes >= (1 - 1e-5) * sizes.max(axis=1, keepdims=True)).argmax(axis=1)
    return components * np.sign(components[np.arange(len(components)), decisive])[:, None]


def principal_components(X, weight=None):
    """mean (d,), components (min(n, d), d) and variances, by a singular value decomposition."""
    mean, z = centered(X, weight)
    freedom = len(z) - 1 if weight is None else np.sum(weight) - 1
    _, sizes, components = np.linalg.svd(z, full_matrices=False)
    return mean, with_signs(components), sizes**2 / freedom


def incremental(batches, k, weights=None):
    """mean, components (k, d) and singular values after batches of rows, as Ross et al. (2008)."""
    weights = [np.ones(len(X)) for X in batches] if weights is None else weights
    total, mean, sizes, components = 0.0, None, None, None
    for X, weight in zip(batches, weights, strict=True):
        new_mean, root = centered(X, weight)
        added = weight.sum()
        if total > 0:
            bridge = np.sqrt(total * added / (total + added)) * (mean - new_mean)
            root = np.vstack([sizes[:, None] * components, root, bridge])
            new_mean = (total * mean + added * new_mean) / (total + added)
        total, mean = total + added, new_mean
        _, sizes, components = np.linalg.svd(root, full_matrices=False)
        sizes, components = sizes[:k], components[:k]
    return mean, with_signs(components), sizes


def held_out_scores(X, folds, most):
    """Mean held-out log density of ranks 0 to `most`, by a plain loop over folds and ranks."""
    total, count = np.zeros(most + 1), 0
    d = X.shape[1]
    for train, test in folds:
        mean, z = centered(X[train])
        values, vectors = np.linalg.eigh(z.T @ z / len(z))
        values, vectors = values[::-1], vectors[:, ::-1]
        y = X[test] - mean
        for rank in range(most + 1):
            noise = values[rank:].mean()
            kept = vectors[:, :rank]
            covariance = (kept * (values[:rank] - noise)) @ kept.T + noise * np.eye(d)
            _, log_determinant = np.linalg.slogdet(covariance)
            distance = np.einsum("ij,ij->i", y @ np.linalg.inv(covariance), y)
            total[rank] += -0.5 * (d * np.log(2 * np.pi) + log_determinant + distance).sum()
        count += len(test)
    return total / count

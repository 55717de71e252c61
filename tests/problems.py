"""Random data sets with a seed, and small tools for comparing fits."""

from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import get_tags


def overlapping(n=240, d=3, k=4, seed=0, dtype=np.float64):
    """Groups that overlap, of unequal size and spread: many local optima, so order matters."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=2.0, size=(k, d))
    group = rng.choice(k, size=n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    spread = rng.uniform(0.4, 1.2, size=(k, d))
    return (centers[group] + spread[group] * rng.normal(size=(n, d))).astype(dtype)


def separated(n=240, d=3, k=4, seed=0, dtype=np.float64):
    """Groups of sd about 1 at distance 30: every sensible start finds the same partition.

    Values lie on a grid of 2**-20, so that adding 2**27 to them is exact.
    """
    rng = np.random.default_rng(seed)
    corners = np.array(np.unravel_index(np.arange(k), (2,) * d)).T
    group = np.arange(n) % k
    spread = rng.uniform(0.7, 1.3, size=(k, d))
    X = 30.0 * corners[group] + spread[group] * rng.normal(size=(n, d))
    return (np.round(X * 2**20) / 2**20).astype(dtype)


def holes(X, share=0.25, seed=0):
    """A copy of X with that share of its cells missing at random."""
    X = X.copy()
    X[np.random.default_rng(seed).uniform(size=X.shape) < share] = np.nan
    return X


def old_faithful():
    """272 eruptions and waiting times in minutes (Azzalini and Bowman 1990)."""
    path = Path(__file__).parent / "data" / "faithful.csv"
    return np.loadtxt(path, delimiter=";", skiprows=1)


def labels(X, k=2):
    """Class 0 to k-1 of every row, from its values alone: what they say and some noise.

    No plane separates the classes. Rows that hold no numbers take turns.
    """
    X = np.asarray(X.toarray() if sparse.issparse(X) else X, dtype=np.float64)
    turn = np.arange(len(X)) % k
    if X.ndim != 2 or X.shape[1] == 0:
        return turn
    with np.errstate(all="ignore"):
        signal = np.arctan(X[:, 0] - 0.5 * X[:, -1]) / np.pi
        # Good to 1e-5 in float32, so that rounding X moves no label.
        noise = np.sin(17.0 * X @ np.cos(np.arange(X.shape[1])))
        place = (0.5 + 0.25 * signal + 0.35 * noise) * k
    return np.where(np.isfinite(place), np.clip(np.nan_to_num(place), 0, k - 1), turn).astype(int)


def rotation(d, seed=0):
    """A random rotation of d dimensions."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def answers(estimator, X):
    """What an estimator is asked for: labels, or coordinates."""
    return estimator.predict(X) if hasattr(estimator, "predict") else estimator.transform(X)


def assert_same_answers(estimator, X, other, Z, atol=1e-7):
    """Labels are the same, coordinates but for rounding; clusters of a tree by other numbers."""
    found, expected = answers(other, Z), answers(estimator, X)
    if hasattr(estimator, "linkage_"):
        assert same_partition(found, expected)
    elif hasattr(estimator, "predict") and expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol * np.abs(expected).max())


def same_partition(labels, others):
    """Whether two labelings group the rows alike, whatever the groups are called."""
    return adjusted_rand_score(labels, others) == 1.0


def fitted_state(estimator):
    """The fitted attributes of an estimator, by name, but for what a clock said.

    Fitted estimators and dictionaries among them are taken apart.
    """
    state = {}
    for name, value in vars(estimator).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        if isinstance(value, BaseEstimator):
            value = fitted_state(value)
        if isinstance(value, dict):
            for part, content in value.items():
                if part != "fit_time":
                    state[f"{name}.{part}"] = repr(content) if part == "params" else content
        elif isinstance(value, list) and any(isinstance(item, np.ndarray) for item in value):
            state |= {f"{name}.{number}": item for number, item in enumerate(value)}
        else:
            state[name] = value
    return state


def assert_same_bits(state, other):
    """Two dictionaries of attributes or outputs agree to the last bit."""
    assert state.keys() == other.keys()
    for name, value in state.items():
        array, twin = np.asarray(value), np.asarray(other[name])
        assert array.dtype == twin.dtype, f"{name}: {array.dtype} against {twin.dtype}"
        assert array.shape == twin.shape, f"{name}: {array.shape} against {twin.shape}"
        assert array.tobytes() == twin.tobytes(), f"{name} differs in its bits"


def outputs(estimator, X):
    """What the estimator says about X, by method."""
    names = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    names += ["score_samples", "transform"]
    if not get_tags(estimator).target_tags.required:
        names.append("score")
    return {name: getattr(estimator, name)(X) for name in names if hasattr(estimator, name)}

"""Every estimator in small configurations, with what the law tests need to know about it.

A new estimator is one call of `add` per configuration worth testing. To see that the laws can
fail, run them on scikit-learn's classes of the same names: ``TESTED_PACKAGE=sklearn pytest``.
"""

import os
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
from sklearn.base import clone

PACKAGE = os.environ.get("TESTED_PACKAGE", "skgen")
cluster = import_module(f"{PACKAGE}.cluster")
mixture = import_module(f"{PACKAGE}.mixture")


# How a fitted attribute moves when the data move: x -> a * x @ Q + c.
def location(value, a, Q, c):
    return a * value @ Q + c


def squared(value, a, Q, c):
    return a**2 * value


def matrix(value, a, Q, c):
    return a**2 * (Q.T @ value @ Q)


def per_column(value, a, Q, c):
    return a**2 * value @ Q**2  # only for a Q that permutes columns


def unmoved(value, a, Q, c):
    return value


@dataclass(frozen=True)
class Entry:
    """One configuration: how to build it and which laws apply."""

    name: str
    prototype: object
    # Fitted attribute -> how it moves with the data.
    parameters: dict
    # X -> constructor arguments of a start that moves with X, so that no drawing is involved.
    start: object
    # Factor a -> constructor arguments that have the unit of the data.
    units: object = field(default=lambda a: {})
    # +1 or -1: where objective_history_ goes; 0: noisy.
    direction: int = 0
    weighted: bool = True
    sparse: bool = False
    partial_fit: bool = False
    transforms: bool = True
    density: bool = False
    rotates: bool = True
    # Attributes indexed by group, that a relabeling permutes.
    grouped: tuple = ()

    @property
    def n_groups(self):
        """Clusters or components."""
        arguments = self.prototype.get_params()
        return arguments.get("n_clusters") or arguments.get("n_components")

    def build(self, **changes):
        """An unfitted estimator of this configuration."""
        return clone(self.prototype).set_params(**changes)

    def started(self, X, **changes):
        """An unfitted estimator with a start that moves with X."""
        return self.build(**self.start(X), **changes)

    def values(self, estimator):
        """The model parameters of a fitted estimator."""
        return {name: np.asarray(getattr(estimator, name)) for name in self.parameters}


CATALOGUE = []


def add(name, prototype, **facts):
    CATALOGUE.append(Entry(name, prototype, **facts))


def first_rows(X, k):
    return np.array(X[:k], dtype=X.dtype)


def center_start(k):
    return lambda X: {"init": first_rows(X, k), "n_init": 1}


def gaussian_start(covariance_type, k):
    """Weights, means and precisions from the first rows and the covariance of all."""

    def start(X):
        X = np.asarray(X)
        covariance = np.atleast_2d(np.cov((X - X.mean(axis=0)).T.astype(np.float64)))
        precision = np.linalg.inv(covariance)
        variances = np.diag(covariance)
        precisions = {
            "full": np.tile(precision, (k, 1, 1)),
            "tied": precision,
            "diag": np.tile(1 / variances, (k, 1)),
            "spherical": np.full(k, 1 / variances.mean()),
        }[covariance_type]
        return {
            "means_init": first_rows(X, k),
            "weights_init": np.full(k, 1 / k),
            "precisions_init": precisions.astype(X.dtype),
            "n_init": 1,
        }

    return start


N_GROUPS = 4

_centers = {"cluster_centers_": location, "inertia_": squared}


def add_kmeans(name, **arguments):
    arguments = {"n_clusters": N_GROUPS, "random_state": 0, "n_init": 2} | arguments
    add(
        f"KMeans-{name}",
        cluster.KMeans(**arguments),
        parameters=_centers,
        start=center_start(arguments["n_clusters"]),
        direction=-1,
        sparse=True,
        partial_fit=PACKAGE == "skgen",
        grouped=("cluster_centers_",),
    )


add_kmeans("lloyd", algorithm="lloyd")
add_kmeans("elkan", algorithm="elkan")
if PACKAGE == "skgen":
    add_kmeans("auto", algorithm="auto")
add_kmeans("random", init="random", n_init=3)
add_kmeans("one-cluster", n_clusters=1)


def add_minibatch(name, **arguments):
    arguments = {
        "n_clusters": N_GROUPS,
        "random_state": 0,
        "n_init": 2,
        "batch_size": 64,
        "max_iter": 20,
    } | arguments
    add(
        f"MiniBatchKMeans-{name}",
        cluster.MiniBatchKMeans(**arguments),
        parameters=_centers,
        start=center_start(arguments["n_clusters"]),
        sparse=True,
        partial_fit=True,
        grouped=("cluster_centers_",),
    )


add_minibatch("default")
add_minibatch("random", init="random", reassignment_ratio=0.0)

_covariance_moves = {"full": matrix, "tied": matrix, "diag": per_column, "spherical": squared}


def add_gaussian_mixture(name, covariance_type="full", **arguments):
    arguments = {"n_components": N_GROUPS, "random_state": 0, "max_iter": 30} | arguments
    add(
        f"GaussianMixture-{name}",
        mixture.GaussianMixture(covariance_type=covariance_type, **arguments),
        parameters={
            "weights_": unmoved,
            "means_": location,
            "covariances_": _covariance_moves[covariance_type],
        },
        start=gaussian_start(covariance_type, N_GROUPS),
        units=lambda a: {"reg_covar": 1e-6 * a**2},
        direction=1,
        weighted=PACKAGE == "skgen",
        density=True,
        # Random memberships are keyed by the columns, and start at a saddle.
        rotates=covariance_type != "diag" and arguments.get("init_params") != "random",
        grouped=("weights_", "means_") + (("covariances_",) if covariance_type != "tied" else ()),
    )


for _type in ("full", "tied", "diag", "spherical"):
    add_gaussian_mixture(_type, _type)
add_gaussian_mixture("kmeans++", init_params="k-means++", n_init=2)
add_gaussian_mixture("random", init_params="random")
add_gaussian_mixture("random_from_data", init_params="random_from_data", covariance_type="diag")


def entries(select=lambda entry: True):
    """Arguments for ``pytest.mark.parametrize``: the selected entries, named."""
    chosen = [entry for entry in CATALOGUE if select(entry)]
    return {
        "argnames": "entry",
        "argvalues": chosen,
        "ids": [entry.name for entry in chosen],
    }

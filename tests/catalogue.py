"""Every estimator in small configurations, with what the law tests need to know about it.

A new estimator is one call of `add` per configuration worth testing. To see that the laws can
fail, run them on scikit-learn's classes of the same names: ``TESTED_PACKAGE=sklearn pytest``.
"""

import os
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
from sklearn.base import clone

from tests.problems import labels

PACKAGE = os.environ.get("TESTED_PACKAGE", "skgen")
cluster = import_module(f"{PACKAGE}.cluster")
decomposition = import_module(f"{PACKAGE}.decomposition")
linear_model = import_module(f"{PACKAGE}.linear_model")
mixture = import_module(f"{PACKAGE}.mixture")
neural_network = import_module(f"{PACKAGE}.neural_network")


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


def slope(value, a, Q, c):
    return value @ Q / a


@dataclass(frozen=True)
class Entry:
    """One configuration: how to build it and which laws apply."""

    name: str
    prototype: object
    # Fitted attribute -> how it moves with the data.
    parameters: dict
    # X -> constructor arguments of a start that moves with X, so that no drawing is involved.
    start: object = field(default=lambda X: {})
    # Factor a -> constructor arguments that have the unit of the data.
    units: object = field(default=lambda a: {})
    # Factor a -> constructor arguments that have the (inverse) unit of the weights.
    weight_units: object = field(default=lambda a: {})
    # Whether a prior is weighed against the rows: then the unit of the weights means something, and
    # the objective is not the score.
    prior: bool = False
    # Whether NaN marks a missing cell.
    missing: bool = False
    # X -> y for estimators that need one; a row of X decides its label alone.
    target: object = None
    # Whether the scores of a classifier are X @ coef_.T + intercept_.
    linear: bool = True
    # Whether a weight is exactly a number of copies, and whether the order of rows is nothing.
    repeats: bool = True
    permutes: bool = True
    # Whether columns must be about one in size, as they must be for minibatches.
    moderate: bool = False
    # Fitted attributes that are float64 for float32 rows too, as scikit-learn's are.
    double: tuple = ()
    # Whether the fit is an optimum with a free intercept, so that probabilities average to shares.
    calibrated: bool = False
    # Whether all of scikit-learn's checks apply: some need an intercept, some an optimum where the
    # classes are separable, some classes of few rows.
    checked: bool = True
    # Whether tests that start a process per configuration take this one.
    processes: bool = True
    # Callback tasks that close a fit without an iteration in them, as scikit-learn's lbfgs has.
    empty_tasks: int = 0
    # Constructor arguments whose values a grid search may try.
    grid: dict = field(default_factory=dict)
    # +1 or -1: where objective_history_ goes; 0: noisy.
    direction: int = 0
    weighted: bool = True
    sparse: bool = False
    partial_fit: bool = False
    transforms: bool = True
    density: bool = False
    rotates: bool = True
    # Whether there is a start that moves with the data.
    moves: bool = True
    # Attributes indexed by group, that a relabeling permutes.
    grouped: tuple = ()
    # Whether rows belong to groups; otherwise they get coordinates.
    groups: bool = True
    # Whether groups are numbered by more than the order of rows, and training rows get the labels
    # that `predict` gives them.
    named: bool = True
    consistent: bool = True
    # The least number of columns.
    fewest_columns: int = 1
    # Whether the time grows with the square of the rows.
    quadratic: bool = False

    @property
    def n_groups(self):
        """Clusters or components; 0 where y says what they are."""
        arguments = self.prototype.get_params()
        if not self.groups:
            return 0
        numbers = arguments.get("n_clusters") or arguments.get("n_components") or 0
        # A search has several.
        return max(numbers) if isinstance(numbers, tuple) else numbers

    @property
    def fits_intercept(self):
        """Whether the estimator has an intercept."""
        return self.prototype.get_params().get("fit_intercept", False)

    @property
    def supervised(self):
        """Whether `fit` needs y."""
        return self.target is not None

    @property
    def classifies(self):
        """Whether y holds one class per row."""
        return self.classes is not None

    @property
    def partly_labeled(self):
        """Whether the target leaves rows without a label."""
        return isinstance(self.target, PartlyLabels)

    def build(self, **changes):
        """An unfitted estimator of this configuration."""
        return clone(self.prototype).set_params(**changes)

    def accepts(self, **arguments):
        """Those of the constructor arguments that this class has."""
        known = self.prototype.get_params()
        return {name: value for name, value in arguments.items() if name in known}

    def single(self, **changes):
        """An unfitted estimator that runs from one start; unknown changes are left out."""
        return self.build(**self.accepts(n_init=1, **changes))

    def data(self, X, like=None):
        """What `fit` is given: X and, where needed, the labels of the rows of `like` or X."""
        return {"X": X} | ({"y": self.target(X if like is None else like)} if self.target else {})

    def piece(self, X):
        """What `partial_fit` is given."""
        arguments = self.data(X)
        return arguments | ({} if self.classes is None else {"classes": self.classes})

    @property
    def classes(self):
        """The labels that `target` gives, None where it gives numbers."""
        return getattr(self.target, "classes", None)

    def started(self, X, **changes):
        """An unfitted estimator with a start that moves with X."""
        return self.build(**self.start(X), **changes)

    def values(self, estimator):
        """The model parameters of a fitted estimator."""
        found = {name: getattr(estimator, name) for name in self.parameters}
        return {name: np.asarray(x() if callable(x) else x) for name, x in found.items()}


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
        grid={"n_clusters": [2, 3]},
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
        grid={"n_clusters": [2, 3]},
    )


add_minibatch("default")
add_minibatch("random", init="random", reassignment_ratio=0.0)

_covariance_moves = {"full": matrix, "tied": matrix, "diag": per_column, "spherical": squared}


def add_gaussian_mixture(name, covariance_type="full", **arguments):
    arguments = {"n_components": N_GROUPS, "random_state": 0, "max_iter": 30} | arguments
    add(
        f"GaussianMixture-{name}",
        mixture.GaussianMixture(covariance_type=covariance_type, **arguments),
        parameters=_mixture_parameters(covariance_type),
        start=gaussian_start(covariance_type, N_GROUPS),
        units=lambda a: {"reg_covar": 1e-6 * a**2},
        direction=1,
        weighted=PACKAGE == "skgen",
        density=True,
        missing=PACKAGE == "skgen",
        partial_fit=PACKAGE == "skgen",
        # Random memberships are keyed by the columns, and start at a saddle.
        rotates=covariance_type != "diag" and arguments.get("init_params") != "random",
        grouped=("weights_", "means_") + (("covariances_",) if covariance_type != "tied" else ()),
        grid={"n_components": [2, 3]},
        processes=name in ("full", "tied", "agglomerative"),
    )


def add_map_mixture(name, covariance_type="full", **arguments):
    arguments = {"n_components": N_GROUPS, "random_state": 0, "max_iter": 30} | arguments
    add(
        f"MAPGaussianMixture-{name}",
        mixture.MAPGaussianMixture(covariance_type=covariance_type, **arguments),
        parameters=_mixture_parameters(covariance_type),
        start=gaussian_start(covariance_type, N_GROUPS),
        direction=1,
        prior=True,
        density=True,
        missing=True,
        partial_fit=True,
        # The default prior of "diag" has one variance for all columns.
        rotates=covariance_type != "diag",
        grouped=("weights_", "means_") + (("covariances_",) if covariance_type != "tied" else ()),
        grid={"mean_precision_prior": [0.01, 1.0], "degrees_of_freedom_prior": [6.0, 12.0]},
        processes=name == "full",
    )


def add_bayesian_mixture(name, covariance_type="full", **arguments):
    arguments = {"n_components": N_GROUPS, "random_state": 0, "max_iter": 30} | arguments
    add(
        f"BayesianGaussianMixture-{name}",
        mixture.BayesianGaussianMixture(covariance_type=covariance_type, **arguments),
        parameters=_mixture_parameters(covariance_type),
        units=lambda a: {"reg_covar": 1e-6 * a**2},
        direction=1,
        weighted=PACKAGE == "skgen",
        prior=True,
        density=PACKAGE == "skgen",
        missing=PACKAGE == "skgen",
        partial_fit=PACKAGE == "skgen",
        rotates=covariance_type != "diag",
        grid={"weight_concentration_prior": [0.01, 10.0]},
        processes=name in ("full", "tied"),
    )


def _mixture_parameters(covariance_type):
    return {
        "weights_": unmoved,
        "means_": location,
        "covariances_": _covariance_moves[covariance_type],
    }


def add_mixture_search(name, **arguments):
    """Grids whose structures all rotate, or do not; every number of components has to fit."""
    arguments = {"n_components": (N_GROUPS,), "random_state": 0, "max_iter": 30} | arguments
    drawn = arguments.get("criterion") == "held_out"
    add(
        f"MixtureSearch-{name}",
        mixture.GaussianMixtureSearch(**arguments),
        parameters={"weights_": unmoved, "means_": location, "best_index_": unmoved},
        start=lambda X: {
            "n_components": N_GROUPS,
            "inference": "ml",
            "estimator_params": {"means_init": first_rows(X, N_GROUPS)},
        },
        units=lambda a: {"reg_covar": 1e-6 * a**2},
        # The criteria weigh parameters against rows.
        prior=True,
        density=True,
        missing=True,
        # Folds are dealt by place.
        repeats=not drawn,
        permutes=not drawn,
        weighted=not drawn,
        checked=not drawn,
        rotates="diag" not in arguments["covariance_type"],
        grid={"criterion": ["bic", "icl"]},
        processes=name == "bic",
    )


for _type in ("full", "tied", "diag", "spherical"):
    add_gaussian_mixture(_type, _type)
add_gaussian_mixture("kmeans++", init_params="k-means++", n_init=2)
add_gaussian_mixture("random", init_params="random")
add_gaussian_mixture("random_from_data", init_params="random_from_data", covariance_type="diag")
for _type in ("full", "tied", "diag", "spherical"):
    add_bayesian_mixture(_type, _type)
add_bayesian_mixture(
    "dirichlet", weight_concentration_prior_type="dirichlet_distribution", n_init=2
)
if PACKAGE == "skgen":
    for _type in ("full", "tied", "diag", "spherical"):
        add_map_mixture(_type, _type)
    add_gaussian_mixture("whitened-k-means++", init_params="whitened-k-means++", n_init=2)
    add_gaussian_mixture("agglomerative", init_params="agglomerative")
    add_map_mixture("sparse-weights", weight_concentration_prior=0.5, init_params="k-means++")
    add_mixture_search(
        "bic", n_components=(N_GROUPS, 5), covariance_type=("full", "spherical"), n_init=2
    )
    add_mixture_search(
        "icl",
        covariance_type=("full", "tied"),
        inference=("ml", "map", "mean_field"),
        criterion="icl",
        init_params="k-means++",
    )
    add_mixture_search(
        "held_out",
        covariance_type=("full", "diag"),
        inference=("ml", "map"),
        criterion="held_out",
        cv=3,
    )


@dataclass(frozen=True)
class Labels:
    """Classes 0 to k-1 from the values of each row."""

    k: int

    def __call__(self, X):
        return labels(X, self.k)

    @property
    def classes(self):
        return np.arange(self.k)


@dataclass(frozen=True)
class PartlyLabels(Labels):
    """The same, a third of the rows left without a label; their values say which."""

    def __call__(self, X):
        X = np.asarray(X, dtype=np.float64)
        return np.where(labels(1.0 - 1.7 * X, 3) == 2, -1, labels(X, self.k))


@dataclass(frozen=True)
class Numbers:
    """One or several numbers from the values of each row, whole ones if they are counts."""

    columns: int = 1
    counts: bool = False

    def __call__(self, X):
        y = np.column_stack([labels(X, 5 + column) for column in range(self.columns)])
        y = y if self.counts else y / 4.0 + 0.1 * np.arange(self.columns)
        return y[:, 0] if self.columns == 1 else y


@dataclass(frozen=True)
class Mixed:
    """A class and a number from the values of each row."""

    def __call__(self, X):
        return np.column_stack([labels(X, 3), labels(X, 5) / 4.0])


def add_generative_classifier(name, covariance_type="full", target=None, **arguments):
    arguments = {"random_state": 0, "max_iter": 30} | arguments
    target = Labels(3) if target is None else target
    # Labels of all rows say all that there is to know where a class has one component.
    iterates = isinstance(target, PartlyLabels) or "n_components_per_class" in arguments
    add(
        f"GaussianMixtureClassifier-{name}",
        mixture.GaussianMixtureClassifier(covariance_type=covariance_type, **arguments),
        parameters=_mixture_parameters(covariance_type),
        target=target,
        units=lambda a: {"reg_covar": 1e-6 * a**2},
        linear=name == "tied",
        direction=int(iterates),
        prior=arguments.get("inference") == "map",
        missing=True,
        partial_fit=True,
        transforms=False,
        grid={"unlabeled_weight": [0.1, 1.0], "reg_covar": [1e-6, 1e-1]},
        processes=name in ("full", "partly-full"),
    )


_principal = {
    "mean_": location,
    "get_covariance": matrix,
    "explained_variance_": squared,
    "explained_variance_ratio_": unmoved,
}


def add_pca(name, kind="PCA", **arguments):
    """Variances are divided by the sum of weights less one, so the unit of weights matters."""
    add(
        f"{kind}-{name}",
        getattr(decomposition, kind)(**arguments),
        parameters=_principal,
        prior=True,
        weighted=PACKAGE == "skgen",
        sparse=True,
        partial_fit=PACKAGE == "skgen" or kind == "IncrementalPCA",
        groups=False,
        fewest_columns=2,
        grid={"whiten": [False, True]},
        processes=name == "default",
        # Inner products of rows take memory as distances do.
        quadratic=name == "gram",
        # What a batch has outside the components so far is lost.
        repeats=name != "batches",
        permutes=name != "batches",
        # Folds are dealt by the values of rows.
        start=lambda X: {"held_out": {"n_components": 2}, "batches": {"batch_size": 10**6}}.get(
            name, {}
        ),
    )


def add_probabilistic_pca(name, **arguments):
    arguments = {"n_components": 1, "random_state": 0} | arguments
    prior = "component_precision_prior" in arguments
    add(
        f"ProbabilisticPCA-{name}",
        decomposition.ProbabilisticPCA(**arguments),
        parameters=_principal,
        units=lambda a: {"component_precision_prior": 2.0 / a**2} if prior else {},
        prior=prior,
        missing=True,
        direction=int(name != "default"),
        partial_fit=True,
        groups=False,
        fewest_columns=2,
        grid={"n_components": [1, 2]},
        processes=name in ("default", "em"),
    )


def add_agglomerative(linkage, **arguments):
    add(
        f"AgglomerativeClustering-{linkage}",
        cluster.AgglomerativeClustering(N_GROUPS, linkage=linkage, **arguments),
        parameters={"n_clusters_": unmoved},
        # A new row has weight one.
        prior=linkage == "ward",
        weighted=PACKAGE == "skgen",
        transforms=False,
        named=False,
        consistent=linkage == "single",
        quadratic=True,
        grid={"n_clusters": [2, 3]},
        processes=linkage in ("ward", "average"),
    )


_linear = {"coef_": slope, "intercept_": unmoved}


def add_logistic(name, classes=2, **arguments):
    """Tight tolerance: what the laws compare are optima, not the last digits of a path."""
    arguments = {"tol": 1e-10} | arguments
    C = arguments.get("C", 1.0)
    add(
        f"LogisticRegression-{name}",
        linear_model.LogisticRegression(**arguments),
        parameters=_linear,
        target=Labels(classes),
        weight_units=lambda a: {"C": C / a},
        double=("coef_", "intercept_") if "liblinear" in name else (),
        calibrated=arguments.get("fit_intercept", True) and "liblinear" not in name,
        checked=np.isfinite(C) and arguments.get("fit_intercept", True),
        processes=name in ("default", "multinomial", "elasticnet"),
        direction=-1 if PACKAGE == "skgen" else 0,
        sparse=True,
        transforms=False,
        grid={"C": [0.1, 1.0]},
        empty_tasks=int(arguments.get("solver", "lbfgs") == "lbfgs"),
    )


add_logistic("default")
add_logistic("multinomial", classes=3)
add_logistic("newton-cholesky", classes=3, solver="newton-cholesky", C=0.1)
add_logistic("none", C=np.inf)
add_logistic("none-multinomial", classes=3, C=np.inf, solver="newton-cg")
add_logistic("l1", l1_ratio=1.0, solver="saga", C=0.1)
add_logistic("elasticnet", classes=3, l1_ratio=0.3, solver="saga", C=0.1)
add_logistic("liblinear", solver="liblinear")
add_logistic("liblinear-l1", solver="liblinear", l1_ratio=1.0, C=0.3)
add_logistic("balanced", classes=3, class_weight="balanced")
add_logistic("no-intercept", classes=3, fit_intercept=False)
if PACKAGE == "skgen":
    add_logistic("auto", classes=3, solver="auto", l1_ratio=0.5)


def add_softmax(name, classes=3, **arguments):
    batches = arguments.get("solver", "auto") != "auto"
    whole = not batches or arguments["batch_size"] == 10**6
    if not batches:
        arguments = {"tol": 1e-10} | arguments
    add(
        f"SoftmaxRegression-{name}",
        linear_model.SoftmaxRegression(random_state=0, **arguments),
        parameters=_linear,
        target=Labels(classes),
        weight_units=lambda a: {"C": arguments.get("C", 1.0) / a},
        direction=0 if batches else -1,
        sparse=True,
        partial_fit=True,
        transforms=False,
        grid={"C": [0.1, 1.0]},
        calibrated=not batches,
        moderate=batches,
        repeats=whole,
        permutes=whole,
        processes=name in ("two", "adam"),
    )


def add_perceptron(name, classes=2, **arguments):
    add(
        f"Perceptron-{name}",
        linear_model.Perceptron(random_state=0, **arguments),
        parameters=_linear,
        target=Labels(classes),
        # Shuffling is keyed by the bytes of the rows.
        start=lambda X: {"shuffle": False},
        weight_units=lambda a: {"eta0": 1.0 / a, "alpha": 1e-4 * a},
        double=("intercept_",) if PACKAGE == "sklearn" else (),
        sparse=True,
        partial_fit=True,
        transforms=False,
        grid={"eta0": [0.1, 1.0]},
        repeats=PACKAGE == "skgen",
        permutes=PACKAGE == "skgen",
        processes=name == "default",
    )


def add_network(kind, name, target=None, **arguments):
    """Few epochs: what rounding differs by grows with them, as nothing holds a path together."""
    arguments = {"hidden_layer_sizes": (7, 5), "random_state": 0, "max_iter": 8} | arguments
    whole = arguments.get("solver") == "lbfgs"
    add(
        f"{kind}-{name}",
        getattr(neural_network, kind)(**arguments),
        parameters={"loss_": unmoved},
        target=target,
        linear=False,
        moderate=True,
        repeats=whole,
        permutes=whole,
        rotates=False,
        # The penalty is weighed against the rows.
        prior=True,
        weight_units=lambda a: {"alpha": arguments.get("alpha", 1e-4) * a},
        weighted=PACKAGE == "skgen",
        sparse=True,
        partial_fit=not whole and not arguments.get("early_stopping", False),
        transforms=PACKAGE == "skgen",
        groups=False,
        moves=False,
        checked=name == "checked",
        grid={"alpha": [1e-3, 1.0]},
        processes=name == "default",
    )


add_perceptron("default")
add_perceptron("three", classes=3)
add_network("MLPClassifier", "lbfgs", Labels(2), solver="lbfgs")
add_network("MLPClassifier", "default", Labels(3))
add_network("MLPClassifier", "checked", Labels(2), max_iter=100, learning_rate_init=0.05)
add_network("MLPRegressor", "checked", Numbers(), max_iter=100, learning_rate_init=0.05)
add_network("MLPRegressor", "lbfgs", Numbers(), solver="lbfgs", activation="tanh")
add_network("MLPRegressor", "default", Numbers(2), solver="sgd", activation="logistic")
add_perceptron("elasticnet", penalty="elasticnet", tol=None, max_iter=20)
# Many more rows than columns: "covariance_eigh" is the default.
add_pca("default")
add_pca("full", svd_solver="full")
add_pca("arpack", n_components=1, svd_solver="arpack", random_state=0)
add_pca("randomized", n_components=1, svd_solver="randomized", random_state=0, iterated_power=40)
add_pca("whiten", n_components=2, whiten=True)
add_pca("mle", n_components="mle")
add_pca("default", "IncrementalPCA")
add_pca("batches", "IncrementalPCA", n_components=2, batch_size=60)
for _linkage in ("ward", "average", "complete", "single"):
    add_agglomerative(_linkage)
if PACKAGE == "skgen":
    add_pca("gram", svd_solver="gram")
    add_pca("block_lanczos", n_components=1, svd_solver="block_lanczos", tol=1e-13, random_state=0)
    add_pca("parallel_analysis", n_components="parallel_analysis", random_state=0)
    add_pca("held_out", n_components="held_out", random_state=0)
    add_agglomerative("centroid")
    add_agglomerative("median")
    add_probabilistic_pca("default")
    add_probabilistic_pca("em", solver="em", tol=1e-9, acceleration=None)
    add_probabilistic_pca("prior", component_precision_prior=2.0, tol=1e-9)
    add_network(
        "MLPClassifier",
        "regularized",
        Labels(2),
        activation="prelu",
        solver="nesterov",
        learning_rate_init=0.01,
        batch_norm=True,
        dropout=0.2,
        max_norm=2.0,
        clip_norm=1.0,
        l1_ratio=0.5,
    )
    add_network("MLPClassifier", "maxout", Labels(3), activation="maxout", early_stopping=True)
    add_network("MLPRegressor", "poisson", Numbers(counts=True), loss="poisson", solver="adamw")
    add_network("MLPMultiTask", "default", Mixed(), solver="rmsprop")
    add_network("MLPMultiTask", "lbfgs", Mixed(), solver="lbfgs", activation="softplus")
    add_network("Autoencoder", "default", noise="masking")
    add_network("Autoencoder", "checked", hidden_layer_sizes=(10,), max_iter=20)
    add_network("MLPMultiTask", "checked", Mixed(), hidden_layer_sizes=(10,), max_iter=20)
    add_network("Autoencoder", "tied", tied=True, solver="lbfgs")
    add_generative_classifier("full")
    add_generative_classifier("tied", "tied", Labels(2))
    add_generative_classifier("diag", "diag")
    add_generative_classifier("spherical", "spherical")
    add_generative_classifier("components", "diag", Labels(2), n_components_per_class=2)
    for _type in ("full", "tied", "diag", "spherical"):
        add_generative_classifier(f"partly-{_type}", _type, PartlyLabels(3))
    add_generative_classifier(
        "partly-map", "full", PartlyLabels(2), inference="map", n_components_per_class=2
    )
    add_softmax("three")
    add_softmax("two", classes=2, temperature=0.5)
    add_softmax("l1", l1_ratio=1.0, C=0.1)
    add_softmax("adam", solver="adam", batch_size=50, max_iter=20)
    add_softmax("nesterov", solver="nesterov", batch_size=10**6, max_iter=20)
    add_perceptron("averaged", classes=3, average=True)
    add_perceptron("multinomial", classes=3, multi_class="multinomial")
    add_perceptron("pocket", classes=3, pocket=True, multi_class="multinomial")


def entries(select=lambda entry: True):
    """Arguments for ``pytest.mark.parametrize``: the selected entries, named."""
    chosen = [entry for entry in CATALOGUE if select(entry)]
    return {
        "argnames": "entry",
        "argvalues": chosen,
        "ids": [entry.name for entry in chosen],
    }

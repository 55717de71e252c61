"""Seeded hostile inputs: what careless or malicious callers hand to an estimator.

Every ingredient is a function of a random generator and of a case under construction; it spoils
one thing and records the words of which one at least must stand in the message of a refusal.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from skgen import semi_supervised
from skgen.networks.activations import ACTIVATIONS
from skgen.neural_network.mlp_regressor import LOSSES
from skgen.solvers.schedules import SCHEDULES
from skgen.solvers.update_rules import RULES

N_GROUPS = 4


@dataclass
class Case:
    """What is handed over, and what a refusal may complain about."""

    X: object
    y: object = None
    weight: object = None
    weighted: bool = False
    asked: object = None
    arguments: dict = field(default_factory=dict)
    words: set = field(default_factory=set)
    story: list = field(default_factory=list)


def ordinary(rng):
    n, d = int(rng.integers(12, 60)), int(rng.integers(1, 6))
    X = rng.normal(size=(n, d)) + 4 * rng.integers(0, 3, size=(n, 1))
    return X.astype(rng.choice(["float64", "float32"]))


# Shapes of X.


def no_rows(rng, case):
    case.X = case.X[:0]
    case.words |= {"sample"}


def no_columns(rng, case):
    case.X = case.X[:, :0]
    case.words |= {"feature"}


def one_row(rng, case):
    case.X = case.X[:1]
    case.words |= {"n_samples", "sample"}


def two_rows(rng, case):
    case.X = case.X[:2]
    case.words |= {"n_samples", "n_components"}


def fewer_rows_than_groups(rng, case):
    case.X = case.X[: N_GROUPS - 1]
    case.words |= {"n_samples", "n_components", "n_clusters"}


def exactly_one_row_per_group(rng, case):
    case.X = case.X[:N_GROUPS]
    case.words |= {"covariance"}


def vector(rng, case):
    case.X = case.X[:, 0]
    case.words |= {"2D", "dimension"}


def cube(rng, case):
    case.X = case.X[:, :, None]
    case.words |= {"dim"}


def scalar(rng, case):
    case.X = 3.0
    case.words |= {"2D", "scalar"}


def nothing(rng, case):
    case.X = None
    case.words |= {"X", "None", "NoneType", "2D"}


def ragged(rng, case):
    case.X = [[1.0, 2.0], [3.0], [4.0, 5.0]] * 4
    case.words |= {"inhomogeneous", "sequence"}


def transposed_wide(rng, case):
    case.X = np.ascontiguousarray(rng.normal(size=(6, 200)))
    case.words |= {"covariance"}


# Types of X.


def as_type(*dtypes):
    def change(rng, case):
        dtype = dtypes[rng.integers(len(dtypes))]
        with np.errstate(all="ignore"):
            case.X = np.asarray(case.X).astype(dtype)
        case.story.append(dtype)
        case.words |= {"covariance"}

    return change


integers = as_type("int8", "uint8", "int32", "int64", "bool", "float16", "longdouble", "object")


def strings(rng, case):
    case.X = case.X.astype(rng.choice(["str", "object"])).astype("U8")
    case.X[0, 0] = "seven"
    case.words |= {"convert", "numeric", "string", "seven"}


def strings_in_objects(rng, case):
    case.X = case.X.astype(object)
    case.X[-1, -1] = rng.choice(["seven", ""])
    case.words |= {"convert", "numeric", "string", "float"}


def odd_objects(rng, case):
    case.X = case.X.astype(object)
    case.X[0, 0] = [{}, None, object(), [1, 2], 1 + 2j][rng.integers(5)]
    case.words |= {"float", "NaN", "omplex", "argument", "sequence", "number"}


def complex_numbers(rng, case):
    case.X = case.X + 1j
    case.words |= {"omplex"}


def dates(rng, case):
    case.X = (1e3 * case.X).astype("datetime64[s]")
    case.words |= {"datetime", "dtype", "DType", "convert", "numeric"}


def records(rng, case):
    case.X = np.zeros(20, dtype=[("a", float), ("b", float)])
    case.words |= {"2D", "dtype", "void", "cast"}


def frame_with_text(rng, case):
    import pandas

    case.X = pandas.DataFrame({"a": np.arange(20.0), "b": ["x", "y"] * 10})
    case.words |= {"convert", "numeric", "string"}


def frame_with_missing(rng, case):
    import pandas

    case.X = pandas.DataFrame({"a": pandas.array([1, None] * 10, "Int64"), "b": np.arange(20.0)})
    case.words |= {"NaN", "NAType"}


# Values of X.


def put(value, *words):
    def spoil(rng, case):
        X = np.array(case.X)
        for _ in range(int(rng.integers(1, 4))):
            X[rng.integers(X.shape[0]), rng.integers(X.shape[1])] = (
                value
                if X.dtype == np.float64 or not np.isfinite(value)
                else np.float32(min(value, 3e38))
            )
        case.X = X
        case.words |= set(words)

    spoil.__name__ = f"put {value:g}"
    return spoil


def times(factor):
    def spoil(rng, case):
        case.X = np.asarray(case.X, dtype=np.float64) * factor
        case.words |= {"X", "covariance"}

    spoil.__name__ = f"times {factor:g}"
    return spoil


def plus(offset):
    def spoil(rng, case):
        case.X = np.asarray(case.X, dtype=np.float64) + offset
        case.words |= {"X", "covariance"}

    spoil.__name__ = f"plus {offset:g}"
    return spoil


def constant(rng, case):
    case.X = np.full_like(case.X, rng.choice([0.0, 1.0, -7.5, 1e6]))
    case.words |= {"covariance"}


def constant_column(rng, case):
    case.X[:, rng.integers(case.X.shape[1])] = rng.choice([0.0, 3.0, 1e5])
    case.words |= {"covariance"}


def duplicates(rng, case):
    case.X = case.X[rng.integers(0, int(rng.integers(1, 6)), size=len(case.X))]
    case.words |= {"covariance"}


def repeated_column(rng, case):
    case.X = np.repeat(case.X, 3, axis=1)
    case.words |= {"covariance"}


def unequal_units(rng, case):
    case.X = case.X.astype(np.float64) * 10.0 ** rng.uniform(-100, 100, size=case.X.shape[1])
    case.words |= {"X", "covariance"}


# Weights.


def weights(change, *words):
    def spoil(rng, case):
        n = len(case.X) if not sparse.issparse(case.X) else case.X.shape[0]
        case.weight = change(rng, rng.uniform(0.1, 2.0, size=n))
        case.weighted = True
        case.words |= {"sample_weight", "ample weight", *words}

    return spoil


def set_first(value):
    def change(rng, weight):
        weight[rng.integers(len(weight))] = value
        return weight

    return change


def only_some(count):
    def change(rng, weight):
        weight[count:] = 0.0
        return weight

    return change


WEIGHTS = {
    "negative weight": weights(set_first(-1.0)),
    "NaN weight": weights(set_first(np.nan), "NaN"),
    "infinite weight": weights(set_first(np.inf), "infinity"),
    "weight 1e300": weights(set_first(1e300), "covariance"),
    "weight 1e-300": weights(set_first(1e-300), "covariance"),
    "all weights zero": weights(lambda rng, w: 0 * w),
    "all weights negative": weights(lambda rng, w: -w),
    "all weights denormal": weights(lambda rng, w: np.full_like(w, 5e-324), "covariance"),
    "all weights 1e308": weights(lambda rng, w: np.full_like(w, 1e308)),
    "one positive weight": weights(only_some(1), "covariance", "n_components", "n_clusters"),
    "two positive weights": weights(only_some(2), "covariance", "n_components", "n_clusters"),
    "short weights": weights(lambda rng, w: w[:-1]),
    "long weights": weights(lambda rng, w: np.append(w, 1.0)),
    "no weights": weights(lambda rng, w: w[:0]),
    "column of weights": weights(lambda rng, w: w[:, None]),
    "text weights": weights(lambda rng, w: w.astype(str), "convert", "numeric", "string"),
    "word as weight": weights(lambda rng, w: "heavy", "heavy", "convert", "scalar"),
    "complex weights": weights(lambda rng, w: w + 1j, "omplex"),
    "one number as weight": weights(lambda rng, w: 2.5),
    "list of weights": weights(lambda rng, w: w.tolist(), "covariance"),
    "integer weights": weights(lambda rng, w: np.ceil(w).astype(int), "covariance"),
}


# Labels of the rows, for estimators that learn them.


def label(change, *words):
    def spoil(rng, case):
        case.y = change(rng, np.array(case.y))
        case.words |= {"y", "abel", "class", *words}

    return spoil


def replace_first(value, dtype):
    def change(rng, y):
        y = y.astype(dtype)
        y[rng.integers(len(y))] = value
        return y

    return change


LABELS = {
    "NaN label": label(replace_first(np.nan, float), "NaN"),
    "infinite label": label(replace_first(np.inf, float), "infinity"),
    "missing label": label(replace_first(None, object), "None"),
    "half without labels": label(lambda rng, y: np.where(rng.uniform(size=len(y)) < 0.5, -1, y)),
    "half None": label(
        lambda rng, y: np.where(rng.uniform(size=len(y)) < 0.5, None, y.astype(object)), "None"
    ),
    "all None": label(lambda rng, y: np.full(len(y), None), "None"),
    "one class": label(lambda rng, y: np.full_like(y, rng.integers(-1, 2))),
    "a class of one row": label(replace_first(7, int)),
    "as many classes as rows": label(lambda rng, y: np.arange(len(y))),
    "text labels": label(lambda rng, y: np.array(["no", "yes", "?"])[y]),
    "text in objects": label(lambda rng, y: np.array(["no", "yes", "?"], dtype=object)[y]),
    "empty text": label(lambda rng, y: np.array(["", " ", "  "])[y]),
    "mixed labels": label(replace_first("seven", object), "type", "uniformly"),
    "labels of bytes": label(lambda rng, y: np.array([b"no", b"yes", b"?"])[y], "bytes"),
    "continuous labels": label(lambda rng, y: y + rng.uniform(size=len(y)), "continuous"),
    "whole floats": label(lambda rng, y: y.astype(float)),
    "booleans": label(lambda rng, y: y > 0),
    "huge integers": label(lambda rng, y: y * 2**61 - 2**62),
    "unsigned integers": label(lambda rng, y: np.uint64(2**64 - 1) - y.astype(np.uint64)),
    "negative labels": label(lambda rng, y: -y.astype(np.int8)),
    "integers in objects": label(lambda rng, y: y.astype(object)),
    "labels beyond 64 bits": label(lambda rng, y: np.array([int(v) * 2**70 for v in y], object)),
    "objects as labels": label(lambda rng, y: np.array([object() for _ in y]), "object"),
    "lists as labels": label(lambda rng, y: [[int(v)] * (1 + v) for v in y], "inhomogeneous"),
    "complex labels": label(lambda rng, y: y + 1j, "omplex"),
    "dates as labels": label(lambda rng, y: y.astype("datetime64[D]"), "datetime", "dtype"),
    "short labels": label(lambda rng, y: y[:-1], "inconsistent"),
    "long labels": label(lambda rng, y: np.append(y, 1), "inconsistent"),
    "no labels": label(lambda rng, y: y[:0], "inconsistent", "0 sample"),
    "column of labels": label(lambda rng, y: y[:, None]),
    "table of labels": label(lambda rng, y: np.column_stack([y, y]), "multi"),
    "cube of labels": label(lambda rng, y: y[:, None, None], "dim", "shape"),
    "indicator labels": label(lambda rng, y: np.eye(3, dtype=int)[y], "multi"),
    "sparse labels": label(lambda rng, y: sparse.csr_array(y[:, None]), "parse"),
    "one number as labels": label(lambda rng, y: 1, "ingleton"),
    "one word as labels": label(lambda rng, y: "yes", "ingleton"),
    "no y at all": label(lambda rng, y: None),
    "dictionary of labels": label(lambda rng, y: dict(enumerate(y.tolist())), "dict"),
    "list of labels": label(lambda rng, y: y.tolist()),
    "float32 labels": label(lambda rng, y: y.astype(np.float32)),
}


# Sparse X.


def as_sparse(rng, case):
    name = rng.choice(["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
    kind = rng.choice(["array", "matrix"])
    case.X = getattr(sparse, f"{name}_{kind}")(case.X.astype(np.float64))
    case.story.append(f"{name}_{kind}")
    case.words |= {"parse"}


def sparse_with(value, *words):
    def spoil(rng, case):
        X = sparse.csr_array(case.X.astype(np.float64))
        X.data[rng.integers(X.nnz)] = value
        case.X = X
        case.words |= {"parse", *words}

    spoil.__name__ = f"sparse with {value}"
    return spoil


def empty_sparse(rng, case):
    case.X = sparse.csr_array(case.X.shape)
    case.words |= {"parse"}


def stored_zeros(rng, case):
    X = sparse.csr_array(case.X.astype(np.float64))
    X.data[rng.uniform(size=X.nnz) < 0.5] = 0.0
    case.X = X
    case.words |= {"parse"}


def broken_sparse(rng, case):
    X = sparse.csr_array(case.X.astype(np.float64))
    X.indices[rng.integers(X.nnz)] = [10**6, -1][rng.integers(2)]
    case.X = X
    case.words |= {"parse", "index", "indices"}


def sparse_without_rows(rng, case):
    case.X = sparse.csr_array((0, 3))
    case.words |= {"parse", "sample"}


# What is asked of the fitted estimator.


def ask(change, *words):
    def spoil(rng, case):
        X = case.X
        if not isinstance(X, np.ndarray) or X.ndim != 2 or X.shape[1] == 0:
            X = ordinary(rng)
            case.words |= {"feature"}
        if X.dtype.kind == "f":
            with np.errstate(all="ignore"):
                case.asked = change(rng, X)
            case.words |= set(words)

    return spoil


ASKED = {
    "ask one column more": ask(lambda rng, X: np.column_stack([X, X[:, :1]]), "feature"),
    "ask no columns": ask(lambda rng, X: X[:, :0], "feature"),
    "ask no rows": ask(lambda rng, X: X[:0], "sample"),
    "ask one row": ask(lambda rng, X: X[:1]),
    "ask a vector": ask(lambda rng, X: X[:, 0], "2D", "dimension"),
    "ask NaN": ask(lambda rng, X: X * np.nan, "NaN"),
    "ask infinity": ask(lambda rng, X: X * np.inf, "NaN", "infinity"),
    "ask 1e300": ask(lambda rng, X: 1e300 * np.sign(X.astype(float) + 0.1), "X"),
    "ask 1e155": ask(lambda rng, X: 1e155 * np.sign(X.astype(float) + 0.1), "X"),
    "ask 1e20": ask(lambda rng, X: 1e20 * X.astype(float), "X"),
    "ask text": ask(
        lambda rng, X: X.astype("U6").astype(object) + "x", "convert", "string", "float"
    ),
    "ask float32": ask(lambda rng, X: X.astype(np.float32)),
    "ask integers": ask(
        lambda rng, X: np.nan_to_num(X, posinf=9, neginf=9).clip(-99, 99).astype(int)
    ),
    "ask None": ask(lambda rng, X: None, "X", "None", "2D"),
}


def argument(name, *values):
    def spoil(rng, case):
        value = values[rng.integers(len(values))]
        case.arguments[name] = value
        case.words |= {name}
        case.story.append(f"{name}={value!r}"[:60])

    spoil.__name__ = f"argument {name}"
    return spoil


NUMBERS = (-1, 0, 1.5, "three", None, np.nan, np.inf, [2], 10**30)
_kmeans_arguments = [
    argument("n_clusters", *NUMBERS, 10**6, True),
    argument("max_iter", *NUMBERS),
    argument("tol", -1.0, np.nan, np.inf, "low", None, 0.0, 1e300),
    argument("n_init", -1, 0, 2.5, "often", None),
    argument(
        "init", "best", 3, None, np.zeros((2, 2)), np.zeros(4), np.full((4, 3), np.nan), [[1]]
    ),
    argument("init", lambda X, k, random_state: np.zeros((1, 1)), lambda X, k, random_state: None),
    argument("random_state", "seed", -1, 1.5, 10**12),
    argument("verbose", -1, "loud", None),
]
ARGUMENTS = {
    "KMeans": [
        *_kmeans_arguments,
        argument("algorithm", "fast", None, 3),
        argument("copy_x", "yes", None, 2),
    ],
    "MiniBatchKMeans": [
        *_kmeans_arguments,
        argument("batch_size", *NUMBERS, 10**6),
        argument("init_size", -1, 0, 1, 2.5, "all", 10**6),
        argument("max_no_improvement", -1, 0, 1.5, "none", None),
        argument("reassignment_ratio", -1.0, np.nan, np.inf, "half", None, 1e300),
    ],
    "GaussianMixture": [
        argument("n_components", *NUMBERS, 10**6, True),
        argument("covariance_type", "round", None, 3, ["full"]),
        argument("tol", -1.0, np.nan, np.inf, "low", None, 0.0, 1e300),
        argument("reg_covar", -1e-6, np.nan, np.inf, "some", None, 0.0, 1e10, 1e300),
        argument("max_iter", *NUMBERS),
        argument("n_init", *NUMBERS[:-1]),
        argument("init_params", "best", None, 3),
        argument(
            "weights_init", np.ones(4), [0.5, 0.5], "even", np.array([2, -1, 0, 0.0]), [np.nan] * 4
        ),
        argument(
            "means_init", np.zeros((4, 99)), 3.0, "here", np.full((4, 2), np.inf), np.zeros((0, 0))
        ),
        argument(
            "precisions_init",
            np.zeros((4, 2)),
            -np.eye(2),
            "tight",
            np.full((4, 2, 2), np.nan),
            0.0,
        ),
        argument("random_state", "seed", -1, 1.5, 10**12),
        argument("warm_start", "yes", None, 2),
    ],
}
_prior_arguments = [
    argument("mean_precision_prior", -1.0, np.nan, np.inf, "weak", 0.0, 1e300, 1e-300, 5.0),
    argument("mean_prior", 3.0, "here", np.full(99, 0.0), [np.nan], [[1.0]], np.zeros((0,))),
    argument("degrees_of_freedom_prior", -9.0, 0.0, np.nan, np.inf, "many", 1e300, 50.0, 1e-3),
    argument("covariance_prior", -1.0, 0.0, np.nan, "wide", -np.eye(2), np.zeros(3), 1e300, 2.0),
    argument("weight_concentration_prior", -1.0, 0.0, np.nan, np.inf, "few", 1e300, 1e-300, 0.2),
    argument("acceleration", "squarem", "anderson", "fast", 3),
]
ARGUMENTS["GaussianMixture"].append(_prior_arguments[-1])
ARGUMENTS["MAPGaussianMixture"] = ARGUMENTS["GaussianMixture"] + _prior_arguments
ARGUMENTS["BayesianGaussianMixture"] = _prior_arguments + [
    argument("weight_concentration_prior_type", "dirichlet", None, "dirichlet_distribution"),
    argument("prune_threshold", 0.1, 0.0, 1.0, np.nan, "small"),
    *[spoil for spoil in ARGUMENTS["GaussianMixture"] if not spoil.__name__.endswith("s_init")],
]
ARGUMENTS["GaussianMixtureSearch"] = [
    argument(
        "n_components", *NUMBERS, 10**6, True, (), (2, 0), (1, "two"), [[1, 2]], {3}, (1, 2, 2)
    ),
    argument("covariance_type", "round", None, 3, (), ("full", "round"), [["full"]], "tied"),
    argument("inference", "exact", None, 3, (), ("ml", None), "mean_field", ("map", "ml")),
    argument("criterion", "wic", None, 3, "aic", "held_out"),
    argument("cv", -1, 0, 1, 1.5, "all", 10**6, [], [([0], [])], [([0, 1, 2], [10**6])], None),
    argument(
        "estimator_params",
        3,
        "all",
        {"nothing": 1},
        {"tol": 1.0},
        {"acceleration": "fast"},
        {"means_init": np.zeros((4, 99))},
        {"means_init": np.full((4, 2), np.nan)},
        {"mean_precision_prior": 1.0},
        {1: 2},
    ),
    argument("refit", "yes", None, 2),
    argument("verbose", -1, "loud", None),
    *[
        spoil
        for spoil in ARGUMENTS["GaussianMixture"]
        if spoil.__name__.split()[1]
        in ("tol", "reg_covar", "max_iter", "n_init", "init_params", "random_state")
    ],
]
ARGUMENTS["PCA"] = [
    argument("n_components", *NUMBERS, 10**6, True, "most", "mle", "held_out", 0.5, 1.0, np.nan),
    argument(
        "svd_solver", "fast", None, 3, "full", "gram", "arpack", "block_lanczos", "randomized"
    ),
    argument("tol", -1.0, np.nan, np.inf, "low", None, 1e300),
    argument("iterated_power", -1, 1.5, "many", None, 0),
    argument("n_oversamples", *NUMBERS),
    argument("power_iteration_normalizer", "SVD", None, 3, "QR", "LU", "none"),
    argument("cv", -1, 0, 1, 1.5, "all", 10**6),
    argument("whiten", "yes", None, 2, True),
    argument("random_state", "seed", -1, 1.5, 10**12),
]
ARGUMENTS["IncrementalPCA"] = [
    argument("n_components", *NUMBERS, 10**6, True, "mle", 0.5),
    argument("batch_size", *NUMBERS, 10**6),
    argument("whiten", "yes", None, 2, True),
]
ARGUMENTS["ProbabilisticPCA"] = [
    argument("n_components", *NUMBERS, 10**6, True, "mle", 0.5),
    argument("solver", "fast", None, 3, "closed_form", "em"),
    argument("component_precision_prior", -1.0, 0.0, np.nan, np.inf, "weak", 1e300, 1e-300, 5.0),
    argument("tol", -1.0, np.nan, np.inf, "low", None, 0.0, 1e300),
    argument("max_iter", *NUMBERS[:-1]),
    argument("acceleration", "squarem", "anderson", "fast", 3),
    argument("warm_start", "yes", None, 2),
]
ARGUMENTS["AgglomerativeClustering"] = [
    argument("n_clusters", *NUMBERS, 10**6, True),
    argument("linkage", "far", None, 3, "single", "median"),
    argument("metric", "far", None, 3, "cosine", "precomputed", "manhattan"),
    argument("distance_threshold", -1.0, np.nan, np.inf, "far", 0.0, 1.0),
    argument("compute_full_tree", "yes", None, False),
    argument("connectivity", np.eye(3), "all", 3.0, np.full((4, 4), np.nan)),
]
_linear_arguments = [
    argument("fit_intercept", "yes", None, 2),
    argument(
        "class_weight",
        "even",
        3,
        {},
        {0: 0.0, 1: 0.0},
        {0: -1.0},
        {0: np.nan},
        {1: np.inf},
        {1: 1e300},
        {0: 1e-320},
        {"a": 2.0},
        {0: "heavy"},
        [1, 2],
        "balanced",
    ),
    argument("random_state", "seed", -1, 1.5, 10**12),
    argument("verbose", -1, "loud", None),
    argument("warm_start", "yes", None, 2),
    argument("n_jobs", "all", 1.5, 0, -1),
    argument("max_iter", *NUMBERS),
    argument("tol", -1.0, np.nan, np.inf, "low", None, 0.0, 1e300),
]
_strengths = [
    argument("C", -1.0, 0.0, 0, np.nan, np.inf, "strong", None, 1e300, 1e-300, 5e-324, 1e-30, [1]),
    argument("l1_ratio", -0.5, 1.5, np.nan, "half", 0, 1, 0.5, [0.5]),
]
ARGUMENTS |= {
    "LogisticRegression": [
        *_linear_arguments,
        *_strengths,
        argument("solver", "best", None, 3, "lbfgs", "saga", "auto", "liblinear"),
        argument("dual", True, "yes", None),
        argument("intercept_scaling", -1.0, 0.0, np.nan, np.inf, "big", 1e300, 1e-300),
        argument("penalty", "l3", "none", 3, True),
    ],
    "SoftmaxRegression": [
        *_linear_arguments,
        *_strengths,
        argument("solver", "best", None, 3, "adam", "sgd", "auto", "adagrad"),
        argument("temperature", -1.0, 0.0, np.nan, np.inf, "hot", 1e300, 1e-300, 1e-3),
        argument("learning_rate", "fast", None, 0.1, "cosine", "step"),
        argument("learning_rate_init", -1.0, 0.0, np.nan, np.inf, "slow", 1e300, 1e-300),
        argument("batch_size", *NUMBERS, "all", 1),
        argument("momentum", -0.1, 1.0, np.nan, "big"),
        argument("clip_norm", -1.0, 0.0, np.nan, np.inf, "short", 1e-300),
        argument("early_stopping", True, "yes", None),
        argument("validation_fraction", 0.0, 1.0, np.nan, "some", 1e-9, 0.999999),
        argument("n_iter_no_change", *NUMBERS),
    ],
    "GaussianMixtureClassifier": [
        *_prior_arguments,
        *[
            spoil
            for spoil in ARGUMENTS["GaussianMixture"]
            if not spoil.__name__.endswith(("n_components", "s_init", "warm_start", "acceleration"))
        ],
        argument("n_components_per_class", *NUMBERS, 10**6, True, [1, 2], [1, 0, 2], ["a"], [[1]]),
        argument("inference", "map", "mean_field", None, 3),
        argument(
            "priors",
            [0.5, 0.5],
            [0.2, 0.3, 0.5],
            [1.0, 0.0],
            [2.0, -1.0],
            [np.nan] * 2,
            "even",
            1.0,
        ),
        argument("unlabeled_weight", -1.0, 0.0, np.nan, np.inf, "half", None, 1e300, 1e-300, 2.0),
        argument("n_jobs", "all", 1.5, 0, -1),
        argument("verbose", -1, "loud", None),
    ],
    "Perceptron": [
        *_linear_arguments,
        argument("penalty", "l3", "l1", "l2", "elasticnet", 3, True),
        argument("alpha", -1.0, np.nan, np.inf, "strong", None, 1e300, 1e-300, 1.0),
        argument("l1_ratio", -0.5, 1.5, np.nan, "half", 0, 1, [0.5]),
        argument("eta0", -1.0, 0.0, np.nan, np.inf, "long", None, 1e300, 1e-300),
        argument("early_stopping", True, "yes", None),
        argument("validation_fraction", 0.0, 1.0, np.nan, "some", 1e-9, 0.999999),
        argument("n_iter_no_change", *NUMBERS),
        argument("average", -1, 0, 1.5, "yes", 10**6, 3),
        argument("multi_class", "all", None, 3, "multinomial"),
        argument("pocket", True, "yes", None, 2),
        argument("shuffle", False, "yes", None),
    ],
}
_network_arguments = [
    argument("hidden_layer_sizes", *NUMBERS, (), (3, 0), (2, "a"), [4, 3], (2.5,), "wide"),
    argument("activation", "step", None, 3, *ACTIVATIONS),
    argument("solver", "best", None, 3, *RULES, "lbfgs"),
    argument("alpha", -1.0, np.nan, np.inf, "strong", None, 1e300, 1e-300, 0.0),
    argument("l1_ratio", -0.5, 1.5, np.nan, "half", 0, 1, [0.5]),
    argument("batch_size", *NUMBERS, "all", 1),
    argument("learning_rate", "fast", None, 0.1, *SCHEDULES),
    argument("learning_rate_init", -1.0, 0.0, np.nan, np.inf, "slow", 1e300, 1e-300, 10.0),
    argument("max_iter", *NUMBERS[:-1]),
    argument("tol", -1.0, np.nan, np.inf, "low", None, 0.0, 1e300),
    argument("momentum", -0.1, 1.5, np.nan, "big"),
    argument("early_stopping", True, "yes", None),
    argument("validation_fraction", 0.0, 1.0, np.nan, "some", 1e-9, 0.999999),
    argument("n_iter_no_change", *NUMBERS, np.inf),
    argument("dropout", -0.1, 1.0, np.nan, "half", None, 0.999, [0.1], [0.1, 0.2], [0.1, "a"]),
    argument("batch_norm", True, "yes", None),
    argument("max_norm", -1.0, 0.0, np.nan, np.inf, "long", 1e-300),
    argument("clip_norm", -1.0, 0.0, np.nan, np.inf, "short", 1e-300),
    argument("pieces", *NUMBERS[:-1], 1, 2),
    argument("initializer", "zeros", None, 3, "he", "glorot"),
    argument("random_state", "seed", -1, 1.5, 10**12),
    argument("verbose", -1, "loud", None),
    argument("warm_start", "yes", None, 2),
    argument("shuffle", False, "yes", None),
    argument("n_jobs", "all", 1.5, 0, -1),
]
ARGUMENTS |= {
    "MLPClassifier": [
        *_network_arguments,
        *[spoil for spoil in _linear_arguments if spoil.__name__.endswith("class_weight")],
        argument("loss", "squared_error", None, 3, object()),
    ],
    "MLPRegressor": [
        *_network_arguments,
        argument("loss", "log_loss", None, 3, object(), *LOSSES),
        argument("huber_delta", -1.0, 0.0, np.nan, "big", 1e-300),
        argument("quantile", -0.1, 0.0, 1.0, np.nan, "half", 0.9),
    ],
    "MLPMultiTask": [
        *_network_arguments,
        argument("tasks", "all", None, 3, ["log_loss"], ["cubic"], ["log_loss"] * 5, []),
        argument("task_weights", "even", 3, [1.0], [-1.0], [np.nan], ["a"], [1.0] * 4),
    ],
    "Autoencoder": [
        *_network_arguments,
        argument("n_components", *NUMBERS, 50),
        argument("code_activation", "step", None, 3, "tanh", "relu"),
        argument("loss", "log_loss", None, 3, "cross_entropy"),
        argument("tied", True, "yes", None),
        argument("noise", "salt", 3, True, "masking", "gaussian"),
        argument("noise_level", -1.0, np.nan, np.inf, "loud", 1e300),
        argument("contamination", -0.1, 0.0, 0.6, np.nan, "auto", 0.5),
    ],
}
NETWORKS = {"MLPClassifier", "MLPRegressor", "MLPMultiTask", "Autoencoder"}
_graph_arguments = [
    argument("kernel", "knn", "radius", "self_tuning", "precomputed", "linear", None, 3),
    argument("gamma", *NUMBERS),
    argument("n_neighbors", *NUMBERS, 10**6),
    argument("radius", *NUMBERS),
]
_solver_arguments = [
    argument("max_iter", *NUMBERS),
    argument("tol", *NUMBERS),
    argument("solver", "cg", "direct", "lu", None),
    argument("unreached", "unlabeled", "zero", None),
    argument("class_mass_normalization", True, "yes", None),
]
ARGUMENTS |= {
    "SelfTrainingClassifier": [
        argument("threshold", *NUMBERS),
        argument("criterion", "k_best", "balanced", "best", None),
        argument("k_best", *NUMBERS, 10**9),
        argument("max_iter", *NUMBERS),
        argument("soft_labels", True, "yes"),
        argument("relabel", True, 3),
        argument("unlabeled_weight", *NUMBERS),
        argument("calibration", "sigmoid", "isotonic", "platt", True),
        argument("estimator", None, 3, "logistic"),
    ],
    "EntropyRegularizedClassifier": [
        argument("entropy_weight", *NUMBERS),
        argument("n_stages", *NUMBERS),
        argument("balance_weight", *NUMBERS),
        argument("class_shares", [0.5, 0.5], [1.0], [-1.0, 2.0], "equal", [0.2, 0.3, 0.5]),
        argument("estimator", None, 3, "logistic"),
    ],
    "LabelPropagation": _graph_arguments + _solver_arguments,
    "LabelSpreading": [*_graph_arguments, *_solver_arguments, argument("alpha", *NUMBERS)],
    "LaplacianRegularizedClassifier": [
        *_graph_arguments,
        argument("graph_weight", *NUMBERS),
        argument("estimator", None, 3, "logistic"),
    ],
    "TransductiveSVC": [
        argument("kernel", "linear", "poly", "precomputed", "sigmoid", None, 3),
        argument("C", *NUMBERS),
        argument("C_unlabeled", *NUMBERS),
        argument("gamma", *NUMBERS, "auto", "wide"),
        argument("degree", *NUMBERS),
        argument("coef0", *NUMBERS),
        argument("class_shares", [0.5, 0.5], [1.0], [-1.0, 2.0], "equal", [0.2, 0.3, 0.5]),
        argument("n_init", *NUMBERS),
        argument("exact_rows", 0, 3, -1, 2.5, "all"),
        argument("class_weight", "balanced", "equal", {0: 2.0}, 3),
        argument("tol", *NUMBERS),
        argument("max_iter", *NUMBERS),
    ],
    "ClusterThenLabel": [
        argument("unlabeled_clusters", "unlabeled", "zero", None),
        argument("smoothing", *NUMBERS),
        argument("estimator", None, 3, "kmeans"),
    ],
}
SEMI_SUPERVISED = set(semi_supervised.__all__)
SUPERVISED = SEMI_SUPERVISED | {
    "GaussianMixtureClassifier",
    "MLPClassifier",
    "MLPMultiTask",
    "MLPRegressor",
    "LogisticRegression",
    "SoftmaxRegression",
    "Perceptron",
}
# Messages of *_init speak of what the array is.
OF_SHAPES = {"PCA", "IncrementalPCA", "ProbabilisticPCA", "AgglomerativeClustering"}
INIT_WORDS = {"weights", "means", "precision", "positive", "init"}

SHAPES = [
    no_rows,
    no_columns,
    one_row,
    two_rows,
    fewer_rows_than_groups,
    exactly_one_row_per_group,
    vector,
    cube,
    scalar,
    nothing,
    ragged,
    transposed_wide,
]
TYPES = [
    integers,
    strings,
    strings_in_objects,
    odd_objects,
    complex_numbers,
    dates,
    records,
    frame_with_text,
    frame_with_missing,
]
VALUES = [
    put(np.nan, "NaN"),
    put(np.inf, "infinity"),
    put(-np.inf, "infinity"),
    put(1e300, "X"),
    put(1e200, "X", "covariance"),
    put(1e154, "X", "covariance"),
    put(1e100, "X", "covariance"),
    put(1e20, "X", "covariance"),
    put(1e-300, "covariance"),
    put(5e-324, "covariance"),
    times(1e300),
    times(1e160),
    times(1e150),
    times(1e100),
    times(1e-100),
    times(1e-160),
    times(1e-300),
    times(5e-324),
    times(1e30),
    times(1e-30),
    plus(1e8),
    plus(1e15),
    plus(1e17),
    plus(1e300),
    plus(-1e100),
    constant,
    constant_column,
    duplicates,
    repeated_column,
    unequal_units,
]
SPARSE = [
    as_sparse,
    sparse_with(np.nan, "NaN"),
    sparse_with(np.inf, "infinity"),
    sparse_with(1e300, "X"),
    empty_sparse,
    stored_zeros,
    broken_sparse,
    sparse_without_rows,
]


def hostile_case(kind, seed):
    """Case `seed` for class `kind`: one spoiled thing, or a spoiled X and something more."""
    rng = np.random.default_rng([seed, len(kind)])
    X = ordinary(rng)
    case = Case(X=X)
    supervised = kind in SUPERVISED
    if supervised:
        # Solvers refuse three classes or penalties, or diverge on columns far from one; classes may
        # have fewer rows than components.
        case.words |= {"liblinear", "penalty", "learning_rate_init", "n_components_per_class"}
    if kind in NETWORKS:
        # Training diverges on columns far from one; the names of some arguments bring others along.
        case.words |= {"learning_rate_init", "lbfgs", "validation_fraction", "batch_norm"}
        case.words |= {"hidden layers", "scale the columns of X", "sparse X"}
    if kind in OF_SHAPES:
        # Some configurations need more rows or columns than there are.
        case.words |= {"n_components", "n_features", "n_samples", "square"}
    of_X = [SHAPES, TYPES, VALUES, VALUES, SPARSE][rng.integers(5)]
    extras = [list(WEIGHTS.items()), list(ASKED.items()), ARGUMENTS[kind]]
    extras += [list(LABELS.items())] if supervised else []
    extra = extras[rng.integers(len(extras))]
    what = rng.integers(3)
    if what != 1:
        spoil = of_X[rng.integers(len(of_X))]
        spoil(rng, case)
        case.story.insert(0, getattr(spoil, "__name__", str(spoil)))
    if what != 0:
        spoil = extra[rng.integers(len(extra))]
        name, spoil = spoil if isinstance(spoil, tuple) else (spoil.__name__, spoil)
        rows = case.X.shape[0] if getattr(case.X, "ndim", 0) or sparse.issparse(case.X) else None
        if supervised:
            case.y = rng.integers(0, 2 + rng.integers(2), size=rows or len(X))
        per_row = name in WEIGHTS or name in LABELS
        if not (per_row and (rows is None or rows < 1 or isinstance(case.X, list))):
            spoil(rng, case)
            case.story.append(name)
    if supervised and case.y is None and "no y at all" not in case.story:
        rows = case.X.shape[0] if getattr(case.X, "ndim", 0) or sparse.issparse(case.X) else 12
        case.y = rng.integers(0, 2 + rng.integers(2), size=rows)
    if supervised and (not hasattr(case.y, "__len__") or len(set(map(str, case.y))) < 2):
        case.words |= {"class"}
    if any(name.endswith("_init") and name != "n_init" for name in case.arguments):
        case.words |= INIT_WORDS
    return case


def names_the_problem(message, words):
    """Whether a refusal says what is wrong."""
    return any(
        re.search(rf"\b{word}\b" if word == "X" else re.escape(word), message) for word in words
    )

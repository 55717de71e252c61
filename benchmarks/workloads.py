"""The table of workloads: data, start, length and contenders of each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from benchmarks import (
    acceleration,
    accuracy,
    classifier_contenders,
    contenders,
    decomposition_contenders,
    fresh,
    linear_contenders,
    linkage_memory,
    missing_contenders,
    network_accuracy,
    network_contenders,
    network_load,
    network_memory,
    network_problems,
    search_contenders,
    starts,
    streams,
    unlabeled,
    unlabeled_methods,
)
from benchmarks.contenders import Contender
from benchmarks.data import (
    gaussian_classes,
    labeled,
    messages,
    mnist,
    mnist_components,
    mnist_labels,
    overlapping,
    text,
    with_holes,
)
from benchmarks.linear_problems import EpochProblem, GapProblem
from benchmarks.problems import (
    CallProblem,
    ClassifierProblem,
    ComponentsProblem,
    KMeansProblem,
    LinkageProblem,
    MissingProblem,
    MixtureProblem,
    PredictionProblem,
    RestorationProblem,
    SearchProblem,
    SeedingProblem,
)

# How much of the rows --small keeps.
SMALL = 10
# Relative differences of objectives that rounding explains. A float32 contender may send a row
# that lies between two centers the other way, and the iterations after that differ a little.
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}
# Seedings are random: potentials agree on average over the rounds.
SEEDING_TOLERANCE = 0.03
# Until convergence, one row sent the other way may lead to another local optimum.
CONVERGENCE_TOLERANCE = 0.005
# Training amplifies rounding, see network_problems, the more the more updates there are.
NETWORK_TOLERANCE = {"float64": 1e-6, "float32": 0.05}
MANY_UPDATES = 0.2
# What classifiers are judged by is not flat at the optimum: this means the same parameters.
CLASSIFIER_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Workload:
    """One race; `problem(dtype, share)` builds it with 1/share of the rows."""

    name: str
    title: str
    problem: Callable
    contenders: tuple
    dtype: str = "float32"
    rounds: int = 5
    tolerance: float | None = None

    def objective_tolerance(self, dtype):
        return self.tolerance or TOLERANCE[dtype]


@dataclass(frozen=True)
class FreshWorkload:
    """A measurement that needs a new process per turn; `measure(rounds, small)` returns rows."""

    name: str
    title: str
    measure: Callable
    rounds: int = 5
    columns: tuple = ()


def clouds(n_rows, n_features, n_groups):
    """Overlapping synthetic rows."""
    return lambda dtype, share: overlapping(
        n_rows // share, n_features, n_groups, np.dtype(dtype).type
    )


def digits(dtype, share):
    """The training images of MNIST."""
    return mnist(60_000 // share, np.dtype(dtype).type)


def digit_components(dtype, share):
    """Fifty principal components of MNIST."""
    return mnist_components(60_000 // share, np.dtype(dtype).type)


def kmeans(name, data, k, n_iter=20, to_convergence=False, **options):
    def problem(dtype, share):
        return KMeansProblem.from_rows(data(dtype, share), k, n_iter, to_convergence)

    length = "to convergence" if to_convergence else f"{n_iter} iterations"
    title = f"KMeans, {name.removeprefix('kmeans-').removesuffix('-converge')}, k={k}, {length}"
    return Workload(name, title, problem, contenders.KMEANS, **options)


def seeding(name, data, k):
    def problem(dtype, share):
        return SeedingProblem(data(dtype, share), k)

    return Workload(
        name,
        f"Greedy k-means++ seeding, {name.removeprefix('kmeans-seeding-')}, k={k}",
        problem,
        contenders.SEEDING,
        tolerance=SEEDING_TOLERANCE,
    )


def mixture(name, data, structure, k, n_iter=20):
    def problem(dtype, share):
        return MixtureProblem.from_rows(data(dtype, share), structure, k, n_iter)

    title = (
        f"GaussianMixture, {structure}, {name.removeprefix(f'gmm-{structure}-')}, k={k},"
        f" {n_iter} iterations"
    )
    peers = contenders.MIXTURE
    if structure in ("tied", "spherical"):
        peers = contenders.MIXTURE_WITHOUT_DAAL
    return Workload(name, title, problem, peers, dtype="float64")


def components(name, data, k, peers, dtype):
    def problem(dtype, share):
        return ComponentsProblem(data(dtype, share), k)

    title = f"PCA, {name.removeprefix('pca-')}, {k} components, {dtype}"
    return Workload(name, title, problem, peers, dtype=dtype, tolerance=1e-4)


def in_both_types(name, data, k, peers):
    """The race in float32, and in float64 under a name of its own."""
    return (
        components(name, data, k, peers, "float32"),
        components(f"{name}-float64", data, k, peers, "float64"),
    )


def correlated(n_rows, n_features):
    """Rows of a random covariance matrix, two units from the origin."""

    def data(dtype, share):
        generator = np.random.default_rng(0)
        mixing = generator.normal(size=(n_features, n_features))
        X = generator.normal(size=(n_rows // share, n_features)) @ mixing + 2.0
        return X.astype(dtype)

    return data


def sparse_factors(n_rows, n_features):
    """CSR rows of twenty factors, 99 cells of 100 left out."""

    def data(dtype, share):
        generator = np.random.default_rng(0)
        n = n_rows // share
        stored = sparse.random_array((n, n_features), density=0.01, rng=generator, format="csr")
        rows = np.repeat(np.arange(n), np.diff(stored.indptr))
        left, right = generator.normal(size=(n, 20)), generator.normal(size=(n_features, 20))
        stored.data = np.einsum("ij,ij->i", left[rows], right[stored.indices]) + stored.data
        return stored.astype(dtype)

    return data


def linkage(rule):
    def problem(dtype, share):
        return LinkageProblem(clouds(20_000, 10, 20)("float64", share), rule)

    return Workload(
        f"agglomerative-{rule}-20000x10",
        f"AgglomerativeClustering, {rule}, 20000x10",
        problem,
        decomposition_contenders.LINKAGE,
        dtype="float64",
        rounds=3,
        tolerance=1e-9,
    )


def full_inference(prefix, family, peers):
    """`family` beside maximum likelihood at the sizes of the full-covariance mixtures."""
    sizes = (
        ("1e6x8", clouds(1_000_000, 8, 16), 16),
        ("200kx32", clouds(200_000, 32, 32), 32),
        ("mnist-pca", digit_components, 20),
        ("1e5x2", clouds(100_000, 2, 5), 5),
    )

    def workload(size, data, k):
        def problem(dtype, share):
            return MixtureProblem.from_rows(data(dtype, share), "full", k, 20)

        title = f"{family}, full, {size}, k={k}, 20 iterations"
        return Workload(f"{prefix}-full-{size}", title, problem, peers, dtype="float64")

    return tuple(workload(*size) for size in sizes)


def missing(name, n_rows, structure, peers):
    def problem(dtype, share):
        X = overlapping(n_rows // share, 20, 5, np.dtype(dtype).type)
        return MissingProblem.from_rows(with_holes(X, 0.2), structure, 5, 20)

    size = name.rpartition("-")[2]
    title = f"GaussianMixture, {structure}, {size}, 20 % of the cells missing, k=5, 20 iterations"
    return Workload(name, title, problem, peers, dtype="float64")


def classifiers(name, n_rows, n_features):
    """Fits and predictions of the classifier with one Gaussian for each of ten classes."""
    families = (("lda", "tied"), ("qda", "full"), ("naive-bayes", "diag"))
    actions = (
        ("", "fit", ClassifierProblem, classifier_contenders.fitting, CLASSIFIER_TOLERANCE),
        ("-predict", "predict", PredictionProblem, classifier_contenders.predicting, None),
    )

    def workload(family, structure, suffix, method, kind, action, tolerance):
        def problem(dtype, share):
            rows = gaussian_classes(n_rows // share, n_features, 10, np.dtype(dtype).type)
            return kind(*rows, structure)

        return Workload(
            f"gmc-{family}-{name}{suffix}",
            f"GaussianMixtureClassifier.{method}, {structure}, {name}, 10 classes, all labeled",
            problem,
            classifier_contenders.contenders(structure, action),
            dtype="float64",
            tolerance=tolerance,
        )

    return tuple(workload(*family, *action) for family in families for action in actions)


def search(name, title, n_rows, criterion, peers):
    def problem(dtype, share):
        from sklearn.model_selection import KFold

        X = overlapping(n_rows // share, 6, 5, np.dtype(dtype).type)
        folds = list(KFold(5, shuffle=True, random_state=0).split(X))
        return SearchProblem(X, list(range(1, 10)), criterion, folds)

    title = f"Choosing among 36 mixtures by {title}, {n_rows}x6, 1 to 9 components, to convergence"
    return Workload(
        name,
        title,
        problem,
        peers,
        dtype="float64",
        rounds=3,
        tolerance=CONVERGENCE_TOLERANCE,
    )


def iris(dtype, share):
    from sklearn.datasets import load_iris

    return load_iris().data.astype(dtype)


def tiny(name, family):
    def problem(dtype, share):
        return CallProblem(
            family, iris(dtype, share), repeats=20, objective_name="score(X), mean of the rounds"
        )

    return Workload(
        name,
        f"{family}(3) on iris (150x4), whole fit with defaults, another seed each round",
        problem,
        contenders.pair(contenders.fit_small, family),
        dtype="float64",
        rounds=9,
        tolerance=0.1,
    )


def one_row(name, family, method):
    def problem(dtype, share):
        X = overlapping(10_000 // share + 200, 16, 8, np.dtype(dtype).type)
        return CallProblem(family, X, repeats=500, objective_name="number of outputs")

    return Workload(
        name,
        f"{family}(8).{method} on one row of 16 features",
        problem,
        contenders.pair(contenders.call_on_one_row, family, method),
        dtype="float64",
        rounds=9,
    )


def noisy(n_rows, n_features):
    """Synthetic dense rows and noisy labels of two classes."""
    return lambda dtype, share: labeled(n_rows // share, n_features, np.dtype(dtype).type)


def labeled_digits(dtype, share):
    return mnist(60_000 // share, np.dtype(dtype).type), mnist_labels(60_000 // share)


def documents(dtype, share):
    return text(200_000 // share, 50_000 // share, np.dtype(dtype).type)


def spam(dtype, share):
    return messages(dtype)


def gap(name, title, data, peers, dtype="float64", **options):
    """Classifiers run to the same relative gap."""

    def problem(dtype, share):
        return GapProblem(*data(dtype, share), **options)

    C = options.get("C", 1.0)
    title = f"{title}, C={C:g}, to a relative gap of 1e-6"
    return Workload(name, title, problem, peers, dtype=dtype)


def perceptron(name, title, data, n_epochs=10, shuffle=True):
    def problem(dtype, share):
        return EpochProblem(*data(dtype, share), n_epochs, shuffle)

    order = "in random order" if shuffle else "in the order given"

    return Workload(
        name,
        f"Perceptron, {title}, {n_epochs} epochs {order}",
        problem,
        linear_contenders.pair(linear_contenders.fit_perceptron),
        dtype="float64",
        tolerance=0.3 if shuffle else 0.02,
    )


def tiny_linear(family):
    def problem(dtype, share):
        from sklearn.datasets import load_iris

        X, y = load_iris(return_X_y=True)
        name = "score(X, y)"
        return CallProblem(family, X.astype(dtype), repeats=20, objective_name=name, y=y)

    return Workload(
        f"tiny-{family.lower()}",
        f"{family}() on iris (150x4), whole fit with defaults",
        problem,
        linear_contenders.pair(linear_contenders.fit_defaults, family),
        dtype="float64",
        rounds=9,
        tolerance=0.3 if family == "Perceptron" else 0.02,
    )


def one_linear_row(family, method, n_classes):
    def problem(dtype, share):
        X = overlapping(2000, 30, n_classes, np.dtype(dtype).type)
        y = np.arange(2000) % n_classes
        name = "number of outputs"
        return CallProblem(family, X, repeats=500, objective_name=name, y=y)

    return Workload(
        f"predict-one-row-{family.lower()}-{method.replace('_', '-')}-{n_classes}",
        f"{family}.{method} on one row of 30 features, {n_classes} classes",
        problem,
        linear_contenders.pair(linear_contenders.call_on_one_row, family, method),
        dtype="float64",
        rounds=9,
    )


def network(name, title, problem, dtype="float32", tolerance=None):
    """Epochs of Adam from the same weights over the same batches."""
    return Workload(
        name,
        f"{title}, seconds per epoch of Adam",
        problem,
        network_contenders.NETWORKS,
        dtype=dtype,
        tolerance=tolerance or NETWORK_TOLERANCE[dtype],
    )


def digits_network(suffix, hidden, batch_size, **options):
    sizes = "-".join(map(str, (784, *hidden, 10)))
    return network(
        f"mlp-mnist-{suffix}",
        f"MLPClassifier, {sizes}, 60000 rows of MNIST, batch {batch_size}",
        network_problems.digits(hidden, batch_size),
        **options,
    )


def tiny_network():
    def problem(dtype, share):
        from sklearn.datasets import load_iris

        X, y = load_iris(return_X_y=True)
        return CallProblem("", X.astype(dtype), repeats=1, objective_name="score(X, y)", y=y)

    return Workload(
        "tiny-mlpclassifier",
        "MLPClassifier() on iris (150x4), whole fit with defaults",
        problem,
        linear_contenders.pair(
            linear_contenders.fit_defaults, "MLPClassifier", package="neural_network"
        ),
        dtype="float64",
        rounds=9,
        tolerance=0.1,
    )


def one_network_row(family, method, n_classes):
    """The default network: one hidden layer of 100."""
    n_outputs = n_classes if n_classes > 2 else 1

    def problem(dtype, share):
        X = overlapping(2000, 30, n_classes or 5, np.dtype(dtype).type)
        y = np.arange(2000) % n_classes if n_classes else X[:, 0].copy()
        return CallProblem(family, X, repeats=500, objective_name="number of outputs", y=y)

    suffix = f"-{n_classes}" if n_classes else ""
    of_classes = f", {n_classes} classes" if n_classes else ""
    return Workload(
        f"predict-one-row-{family.lower()}-{method.replace('_', '-')}{suffix}",
        f"{family}.{method} on one row of 30 features{of_classes}",
        problem,
        (
            *linear_contenders.pair(
                linear_contenders.call_on_one_row, family, method, package="neural_network"
            ),
            Contender(
                "torch eager",
                ("torch",),
                network_contenders.torch_on_one_row(method, n_outputs),
                other_model=True,
            ),
        ),
        dtype="float64",
        rounds=9,
    )


CATALOGUE = (
    kmeans("kmeans-1e6x16", clouds(1_000_000, 16, 64), 64),
    kmeans("kmeans-200kx64", clouds(200_000, 64, 256), 256),
    kmeans("kmeans-mnist", digits, 100),
    kmeans(
        "kmeans-mnist-converge",
        digits,
        100,
        n_iter=300,
        to_convergence=True,
        rounds=2,
        tolerance=CONVERGENCE_TOLERANCE,
    ),
    kmeans("kmeans-1e6x2", clouds(1_000_000, 2, 20), 20),
    kmeans("kmeans-1e5x50", clouds(100_000, 50, 200), 1000),
    seeding("kmeans-seeding-mnist", digits, 100),
    seeding("kmeans-seeding-1e6x16", clouds(1_000_000, 16, 64), 64),
    mixture("gmm-full-1e6x8", clouds(1_000_000, 8, 16), "full", 16),
    mixture("gmm-full-200kx32", clouds(200_000, 32, 32), "full", 32),
    mixture("gmm-full-mnist-pca", digit_components, "full", 20),
    mixture("gmm-full-1e5x2", clouds(100_000, 2, 5), "full", 5),
    mixture("gmm-diag-200kx32", clouds(200_000, 32, 32), "diag", 32),
    mixture("gmm-tied-200kx32", clouds(200_000, 32, 32), "tied", 32),
    mixture("gmm-spherical-200kx32", clouds(200_000, 32, 32), "spherical", 32),
    *full_inference("map", "MAPGaussianMixture", contenders.MAP),
    *full_inference("bayes", "BayesianGaussianMixture", contenders.BAYESIAN),
    missing("gmm-missing-1e4x20", 10_000, "full", missing_contenders.FULL),
    missing("gmm-missing-1e5x20", 100_000, "full", missing_contenders.FULL),
    missing("gmm-missing-diag-1e5x20", 100_000, "diag", missing_contenders.DIAGONAL),
    search("gmm-search", "BIC", 20_000, "bic", search_contenders.SEARCH),
    search(
        "gmm-search-held-out",
        "held-out likelihood in 5 folds",
        10_000,
        "held_out",
        search_contenders.HELD_OUT,
    ),
    FreshWorkload(
        "gmm-streams",
        "Streams of 20 blocks against full-batch EM, letter recognition",
        streams.measure_streams,
        rounds=1,
        columns=(
            "stream",
            "EM's limit",
            *(f"gap after {n}" for n in streams.SHOWN),
            "sweeps to 0.5 %",
        ),
    ),
    FreshWorkload(
        "gmm-acceleration",
        "GaussianMixture, passes over the rows to within 1e-8 relative of EM's limit",
        acceleration.count_passes,
        rounds=1,
        columns=("rows", *acceleration.METHODS, "EM's limit"),
    ),
    *classifiers("1e6x30", 1_000_000, 30),
    *classifiers("1e5x100", 100_000, 100),
    FreshWorkload(
        "ssl-digits",
        "GaussianMixtureClassifier, ten labels per class on digits against the supervised fit",
        unlabeled.measure_gains,
        rounds=20,
        columns=(
            "setting",
            "unlabeled_weight=0",
            *(f"unlabeled_weight={weight:g}" for weight in unlabeled.WEIGHTS),
            "draws that gain at 1",
        ),
    ),
    FreshWorkload(
        "ssl-methods",
        "Ten labels per class: accuracy on the unlabeled rows, method by method",
        unlabeled_methods.measure_methods,
        rounds=20,
        columns=("rows", "method", "draws", "supervised", "all rows", "gain", "gains", "verdict"),
    ),
    FreshWorkload(
        "ssl-costs",
        "Semi-supervised fits, seconds against those of a peer or of supervised fits",
        unlabeled_methods.measure_costs,
        rounds=2,
        columns=("fit", "skgen", "compared", "ratio", "with what"),
    ),
    FreshWorkload(
        "gmm-starts",
        "GaussianMixture, fits that end at the best likelihood known, by init_params",
        starts.count_best,
        rounds=1,
        columns=("rows", *starts.STARTS),
    ),
    *in_both_types("pca-1e6x50", correlated(1_000_000, 50), 10, decomposition_contenders.TALL),
    *in_both_types("pca-mnist", digits, 50, decomposition_contenders.IMAGES),
    *in_both_types(
        "pca-5000x5000",
        lambda dtype, share: accuracy.decaying(5000 // share, 5000 // share, dtype),
        20,
        decomposition_contenders.SQUARE,
    ),
    components(
        "pca-sparse-1e5x2000",
        sparse_factors(100_000, 2000),
        20,
        decomposition_contenders.SPARSE,
        "float64",
    ),
    components(
        "pca-incremental-1e5x50",
        correlated(100_000, 50),
        10,
        decomposition_contenders.INCREMENTAL,
        "float64",
    ),
    FreshWorkload(
        "pca-accuracy",
        "PCA, errors against a singular value decomposition in float64",
        accuracy.measure_accuracy,
        rounds=1,
        columns=("solver", "data", "dtype", "angle of subspaces", "error of variances"),
    ),
    Workload(
        "ppca-missing-1e5x50",
        "ProbabilisticPCA, 1e5x50, 20 % of the cells missing, 10 components",
        lambda dtype, share: RestorationProblem.from_shape(100_000 // share, 50, 10, 0.2),
        decomposition_contenders.RESTORE,
        dtype="float64",
        rounds=3,
        tolerance=0.1,
    ),
    *(linkage(rule) for rule in linkage_memory.RULES),
    FreshWorkload(
        "agglomerative-memory",
        "AgglomerativeClustering, megabytes that a tree of 20000x10 adds at its peak",
        linkage_memory.measure,
        rounds=1,
        columns=("package", "linkage", "MB"),
    ),
    tiny("tiny-kmeans", "KMeans"),
    tiny("tiny-mixture", "GaussianMixture"),
    one_row("predict-one-row-kmeans", "KMeans", "predict"),
    one_row("predict-one-row-mixture", "GaussianMixture", "predict_proba"),
    gap(
        "logistic-1e6x30",
        "LogisticRegression, dense 1e6x30, two classes",
        noisy(1_000_000, 30),
        linear_contenders.BINARY,
    ),
    gap(
        "logistic-1e5x500",
        "LogisticRegression, dense 1e5x500, two classes",
        noisy(100_000, 500),
        linear_contenders.BINARY,
    ),
    gap(
        "logistic-softmax-mnist",
        "LogisticRegression, MNIST 60000x784, ten classes",
        labeled_digits,
        linear_contenders.MULTINOMIAL,
        dtype="float32",
        C=0.01,
    ),
    gap(
        "logistic-text-l2",
        "LogisticRegression, squared penalty, CSR 200kx50k, no intercept",
        documents,
        linear_contenders.TEXT,
        fit_intercept=False,
    ),
    gap(
        "logistic-text-l1",
        "LogisticRegression, absolute penalty, CSR 200kx50k, no intercept",
        documents,
        linear_contenders.TEXT_ABSOLUTE,
        fit_intercept=False,
        l1=True,
    ),
    gap(
        "logistic-sms-l2",
        "LogisticRegression, squared penalty, SMS messages, no intercept",
        spam,
        linear_contenders.TEXT,
        fit_intercept=False,
        C=10.0,
    ),
    gap(
        "logistic-sms-l1",
        "LogisticRegression, absolute penalty, SMS messages, no intercept",
        spam,
        linear_contenders.TEXT_ABSOLUTE,
        fit_intercept=False,
        l1=True,
        C=10.0,
    ),
    perceptron("perceptron-dense", "dense 1e6x50", noisy(1_000_000, 50)),
    perceptron("perceptron-text", "CSR 200kx50k", documents),
    perceptron("perceptron-dense-in-order", "dense 1e6x50", noisy(1_000_000, 50), shuffle=False),
    perceptron("perceptron-text-in-order", "CSR 200kx50k", documents, shuffle=False),
    perceptron("perceptron-sms", "SMS messages", spam, n_epochs=50),
    tiny_linear("LogisticRegression"),
    tiny_linear("Perceptron"),
    one_linear_row("LogisticRegression", "predict", 2),
    one_linear_row("LogisticRegression", "predict", 10),
    one_linear_row("LogisticRegression", "predict_proba", 2),
    one_linear_row("LogisticRegression", "predict_proba", 10),
    one_linear_row("Perceptron", "predict", 2),
    digits_network("b32", (128,), 32, tolerance=MANY_UPDATES),
    digits_network("b128", (128,), 128),
    digits_network("b512", (128,), 512),
    digits_network("large", (512, 256), 128),
    digits_network("b128-float64", (128,), 128, dtype="float64"),
    network(
        "mlp-tabular",
        "MLPClassifier, 20-64-64-1, 10000 rows of two classes, batch 32",
        network_problems.table(),
    ),
    network(
        "mlp-tabular-regression",
        "MLPRegressor, 20-64-64-1, 10000 rows, batch 32",
        network_problems.table(numbers=True),
    ),
    FreshWorkload(
        "mlp-foreign-load",
        "MLPClassifier, one epoch beside a process that keeps one core busy, float32",
        network_load.measure_load,
        rounds=3,
        columns=network_load.COLUMNS,
    ),
    FreshWorkload(
        "mlp-memory",
        "MLPClassifier, 32-width-10, megabytes that training adds at its peak, float32",
        network_memory.measure_memory,
        rounds=1,
        columns=network_memory.COLUMNS,
    ),
    FreshWorkload(
        "mlp-accuracy",
        "MLPClassifier, 784-256-128-10, accuracy on the test images of MNIST after 30 epochs",
        network_accuracy.measure_accuracy,
        rounds=3,
        columns=network_accuracy.COLUMNS,
    ),
    tiny_network(),
    one_network_row("MLPClassifier", "predict", 2),
    one_network_row("MLPClassifier", "predict", 10),
    one_network_row("MLPClassifier", "predict_proba", 10),
    one_network_row("MLPRegressor", "predict", 0),
    FreshWorkload(
        "import-time",
        "Import in a new process",
        fresh.measure_imports,
        rounds=9,
        columns=("import", "median ms", "peak MB"),
    ),
    FreshWorkload(
        "memory",
        "Peak memory that a fit adds to its data, 3 iterations",
        fresh.measure_memory,
        rounds=1,
        columns=("fit", "data MB", "extra MB", "of scikit-learn's"),
    ),
)


def find(name):
    """The workloads called `name` or starting with it; all of them for 'all'."""
    exact = [workload for workload in CATALOGUE if workload.name == name]
    if exact:
        return exact
    return [
        workload for workload in CATALOGUE if name == "all" or workload.name.startswith(f"{name}-")
    ]

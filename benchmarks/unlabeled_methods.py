"""What rows without a label add, method by method, and what the methods cost.

Accuracies in per cent on the unlabeled rows of the fit: ten random labels per class, the supervised
baseline is the same model on the labeled rows alone.
"""

import time
import warnings

import numpy as np

from benchmarks.data import mnist, mnist_labels
from benchmarks.unlabeled import interval

LABELS_PER_CLASS = 10
MNIST_ROWS, MNIST_COMPONENTS = 5000, 50
SELF_TRAINED_ROWS = 60_000


def measure_methods(rounds, small):
    """A row per data set and method."""
    rows = []
    for title, load in (("digits, 64 pixels", digits), ("MNIST, 50 components", images)):
        X, y = load(small)
        for name, (make, baseline, most) in methods().items():
            if name.startswith("Transductive") and len(X) > 2000:
                continue
            n_draws = min(3 if small else rounds, most)
            scores = np.array([accuracies(X, y, make, baseline, seed) for seed in range(n_draws)])
            gains = 100 * (scores[:, 1] - scores[:, 0])
            rows.append(
                [
                    title,
                    name,
                    str(n_draws),
                    f"{100 * scores[:, 0].mean():.1f}",
                    f"{100 * scores[:, 1].mean():.1f}",
                    interval(gains),
                    f"{(gains > 0).sum()} of {n_draws}",
                    verdict(gains),
                ]
            )
    return rows


def verdict(gains):
    """Whether a 95 % interval of the mean gain leaves 0 out."""
    from scipy.stats import t

    half = t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
    if abs(gains.mean()) <= half:
        return "no clear difference"
    return "helps" if gains.mean() > 0 else "hurts"


def digits(small):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def images(small):
    """Principal components of images, scaled together."""
    from skgen.decomposition import PCA

    n = 1000 if small else MNIST_ROWS
    X = PCA(MNIST_COMPONENTS).fit_transform(mnist(n, np.float64))
    return X / X.std(), mnist_labels(n)


def methods():
    """Name -> (classifier, its supervised baseline, most draws)."""
    from skgen.cluster import KMeans
    from skgen.linear_model import SoftmaxRegression
    from skgen.mixture import GaussianMixtureClassifier
    from skgen.neural_network import MLPClassifier
    from skgen.semi_supervised import (
        ClusterThenLabel,
        EntropyRegularizedClassifier,
        LabelPropagation,
        LabelSpreading,
        LaplacianRegularizedClassifier,
        SelfTrainingClassifier,
        TransductiveSVC,
    )

    linear = SoftmaxRegression(C=1.0, max_iter=300)
    network = MLPClassifier((100,), max_iter=100, random_state=0)
    machine = {"kernel": "linear", "n_init": 1}
    return {
        "SelfTraining(softmax), threshold .95": (
            SelfTrainingClassifier(linear, threshold=0.95),
            linear,
            99,
        ),
        "SelfTraining(softmax), balanced, 100 a round": (
            SelfTrainingClassifier(linear, criterion="balanced", k_best=100),
            linear,
            99,
        ),
        "EntropyRegularized(softmax), weight .1": (
            EntropyRegularizedClassifier(linear, entropy_weight=0.1),
            linear,
            99,
        ),
        "EntropyRegularized(softmax), weight .1, balance 1": (
            EntropyRegularizedClassifier(linear, entropy_weight=0.1, balance_weight=1.0),
            linear,
            99,
        ),
        "EntropyRegularized(MLP), weight .1": (
            EntropyRegularizedClassifier(network, entropy_weight=0.1, n_stages=2),
            network,
            99,
        ),
        "LabelPropagation, self-tuning": (LabelPropagation("self_tuning"), linear, 99),
        "LabelSpreading, self-tuning, alpha .9": (
            LabelSpreading("self_tuning", alpha=0.9, max_iter=200),
            linear,
            99,
        ),
        "LaplacianRegularized(softmax C=10), knn, weight .03": (
            LaplacianRegularizedClassifier(
                SoftmaxRegression(C=10.0, max_iter=300), kernel="knn", graph_weight=0.03
            ),
            SoftmaxRegression(C=10.0, max_iter=300),
            99,
        ),
        "GaussianMixtureClassifier(tied), weight 1": (
            GaussianMixtureClassifier(covariance_type="tied", reg_covar=1e-3),
            GaussianMixtureClassifier(covariance_type="tied", reg_covar=1e-3),
            99,
        ),
        "ClusterThenLabel(KMeans(50))": (
            ClusterThenLabel(KMeans(50, random_state=0)),
            linear,
            99,
        ),
        "TransductiveSVC(linear)": (
            TransductiveSVC(C_unlabeled=0.1, **machine),
            TransductiveSVC(C_unlabeled=0.0, **machine),
            3,
        ),
    }


def accuracies(X, y, make, baseline, seed):
    """Of the baseline and of the classifier, on the rows without a label."""
    from sklearn.base import clone

    from skgen.model_selection import hide_labels

    hidden = hide_labels(y, per_class=LABELS_PER_CLASS, random_state=seed)
    rest = hidden < 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = clone(baseline).fit(X[~rest], y[~rest])
        model = clone(make).fit(X, hidden)
        found = model.transduction_[rest]
        if hasattr(model, "predict"):
            found = np.where(found == -1, model.predict(X[rest]), found)
    return (alone.predict(X[rest]) == y[rest]).mean(), (found == y[rest]).mean()


def measure_costs(rounds, small):
    """Seconds of skgen and of what it is compared with, alternately; medians and their ratio."""
    share = 20 if small else 1
    return [
        *self_training(rounds, share),
        *entropy(rounds, share),
        *spreading(share),
    ]


def alternate(rounds, one, two):
    """Seconds of both, (rounds, 2)."""
    times = np.empty((rounds, 2))
    for number in range(rounds):
        for place, call in enumerate((one, two)):
            start = time.perf_counter()
            call()
            times[number, place] = time.perf_counter() - start
    return times


def row(title, times, note):
    ours, theirs = np.median(times, axis=0)
    if np.isnan(theirs):
        return [title, f"{ours:.2f} s", "-", "-", note]
    return [title, f"{ours:.2f} s", f"{theirs:.2f} s", f"{theirs / ours:.2f}", note]


def self_training(rounds, share):
    """A logistic regression from 1000 labels of MNIST."""
    from sklearn.linear_model import LogisticRegression as Peer
    from sklearn.semi_supervised import SelfTrainingClassifier as PeerTraining

    from skgen.linear_model import LogisticRegression
    from skgen.model_selection import hide_labels
    from skgen.semi_supervised import SelfTrainingClassifier

    n = SELF_TRAINED_ROWS // share
    X, y = mnist(n, np.float64), mnist_labels(n)
    hidden = hide_labels(y, per_class=100 // min(share, 5), random_state=0)
    options = {"threshold": 0.95, "max_iter": 5}
    models = (
        SelfTrainingClassifier(LogisticRegression(C=0.1, max_iter=1000), **options),
        PeerTraining(Peer(C=0.1, max_iter=1000), **options),
    )
    agree = []

    def fit(model):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            agree.append(model.fit(X, hidden).transduction_)

    times = alternate(rounds, *(lambda model=model: fit(model) for model in models))
    same = (agree[0] == agree[1]).mean()
    return [
        row(
            f"SelfTraining(LogisticRegression), MNIST {len(X)} rows, 1000 labels",
            times,
            f"scikit-learn; {100 * same:.2f} % of the labels are the same",
        )
    ]


def entropy(rounds, share):
    """Two supervised fits on all rows against one with entropy."""
    from skgen.linear_model import LogisticRegression
    from skgen.model_selection import hide_labels
    from skgen.semi_supervised import EntropyRegularizedClassifier

    X, y = mnist(60_000 // share, np.float64), mnist_labels(60_000 // share)
    hidden = hide_labels(y, per_class=100 // min(share, 5), random_state=0)
    base = LogisticRegression(C=0.01, max_iter=1000)
    model = EntropyRegularizedClassifier(base, entropy_weight=0.1, n_stages=2)

    def twice():
        base.fit(X, y)
        base.fit(X, y)

    def once():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, hidden)

    times = alternate(rounds, once, twice)
    return [
        row(
            f"EntropyRegularized(LogisticRegression), MNIST {len(X)} rows",
            times,
            "two supervised fits on all rows",
        )
    ]


def spreading(share):
    """Label spreading over a graph of neighbors of all of MNIST."""
    import tracemalloc

    from sklearn.semi_supervised import LabelSpreading as Peer

    from skgen.decomposition import PCA
    from skgen.model_selection import hide_labels
    from skgen.semi_supervised import LabelSpreading

    n, few = 60_000 // share, 10_000 // share
    X, y = PCA(50).fit_transform(mnist(n, np.float32)), mnist_labels(n)
    hidden = hide_labels(y, per_class=10, random_state=0)
    rows = []
    for count in (few, n):
        model = LabelSpreading("knn", alpha=0.9, max_iter=300)
        tracemalloc.start()
        start = time.perf_counter()
        known = hidden[:count].copy()
        model.fit(X[:count], known)
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rest = known < 0
        right = (model.transduction_ == y[:count])[rest].mean()
        note = f"peak {peak / 1e6:.0f} MB, {100 * right:.1f} % right"
        if count == few:
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Peer(gamma=0.02, alpha=0.9, max_iter=300).fit(X[:count], known)
            theirs = time.perf_counter() - start
            note += f"; scikit-learn rbf, matrices of {8 * count**2 / 1e9:.1f} GB each"
        else:
            theirs = float("nan")
            note += f"; scikit-learn's rbf would need {8 * count**2 / 1e9:.0f} GB for one matrix"
        rows.append(
            row(f"LabelSpreading, knn, MNIST {count} rows", np.array([[seconds, theirs]]), note)
        )
    return rows

"""How well a network reads the test images of MNIST, 784-256-128-10."""

import time
import warnings

import numpy as np

from benchmarks.data import mnist, mnist_labels, mnist_test

HIDDEN, BATCH_SIZE, N_EPOCHS = (256, 128), 128, 30
COLUMNS = ("contender", "settings", "test accuracy, %", "least", "seconds")
COMMON = {"batch_size": BATCH_SIZE, "max_iter": N_EPOCHS, "n_iter_no_change": N_EPOCHS}
# The best of a grid on 10000 training images held out.
SETTINGS = {
    "skgen": {"dropout": (0.2, 0.2), "learning_rate": "cosine", "learning_rate_init": 2e-3},
    "sklearn": {"alpha": 0.1, "learning_rate_init": 1e-3},
}


def measure_accuracy(rounds, small):
    """Mean and least accuracy over seeds, and the median seconds of a fit."""
    share = 10 if small else 1
    X, y = mnist(60_000 // share, np.float32), mnist_labels(60_000 // share)
    X_test, y_test = mnist_test(np.float32)
    rows = []
    for package, settings in SETTINGS.items():
        title = ", ".join(f"{name}={value}" for name, value in settings.items())
        try:
            scores, seconds = train(package, settings, rounds, X, y, X_test, y_test)
        except ImportError as error:
            rows.append([package, str(error), "", "", ""])
            continue
        mean, least = 100.0 * np.mean(scores), 100.0 * np.min(scores)
        rows.append([package, title, f"{mean:.2f}", f"{least:.2f}", f"{np.median(seconds):.1f}"])
    return rows


def train(package, settings, n_seeds, X, y, X_test, y_test):
    """Scores on the test rows and seconds, for each seed."""
    from importlib import import_module

    estimator = import_module(f"{package}.neural_network").MLPClassifier
    scores, seconds = [], []
    for seed in range(n_seeds):
        model = estimator(HIDDEN, random_state=seed, **COMMON, **settings)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        seconds.append(time.perf_counter() - start)
        scores.append(float((model.predict(X_test) == y_test).mean()))
    return scores, seconds

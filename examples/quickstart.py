"""skgen in one go: choose a mixture of handwritten digits, draw and mend digits, and read them.

Run it with `python examples/quickstart.py`. It uses the digits that come with scikit-learn, takes
well under a minute on two cores and prints where it leaves its picture.
"""

import argparse
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.pipeline import Pipeline

import skgen
from skgen.decomposition import PCA
from skgen.linear_model import LogisticRegression, SoftmaxRegression
from skgen.mixture import GaussianMixture

GRID = {
    "mixture__n_components": [5, 10, 20, 40],
    "mixture__covariance_type": ["full", "tied", "diag", "spherical"],
}
LOAD_AND_SCORE = """
import pickle, sys
import numpy as np
folder = sys.argv[1]
with open(folder + "/model.pickle", "rb") as file:
    model = pickle.load(file)
np.save(folder + "/scores.npy", model.score_samples(np.load(folder + "/rows.npy")))
"""


def main(output):
    print(f"skgen {skgen.__version__}, kernels for {skgen.kernels.simd}")
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    search = choose(X_train)
    best = search.best_estimator_
    settings = ", ".join(
        f"{name.removeprefix('mixture__')}={value}" for name, value in search.best_params_.items()
    )
    print(f"winner of {len(search.cv_results_['params'])} candidates: {settings}")
    print(f"  {story(best['mixture'])}")
    compare_with_scikit_learn(best, X_train, X_test)
    check_pickle(best, X_test)
    mend(X_train, X_test)
    classifier = classify(X_train, X_test, y_train, y_test)
    draw(search, classifier, output)
    print(f"picture: {output}")


def choose(X):
    """Cross-validate the held-out log-likelihood over components and covariance structure."""
    pipeline = Pipeline(
        [
            ("pca", PCA(n_components=20, random_state=0)),
            ("mixture", GaussianMixture(reg_covar=0.01, random_state=0)),
        ]
    )
    search = GridSearchCV(
        pipeline, GRID, cv=KFold(5, shuffle=True, random_state=0), error_score="raise"
    )
    show_progress(search)
    start = time.perf_counter()
    search.fit(X)
    fits = len(search.cv_results_["params"]) * search.n_splits_ + 1
    print(f"{fits} fits in {time.perf_counter() - start:.1f} s")
    return search


def show_progress(search):
    """A progress bar where scikit-learn has callbacks and rich is installed, lines elsewhere."""
    try:
        import rich  # noqa: F401
        from sklearn.callback import ProgressBar
    except ImportError:
        search.set_params(verbose=2)
    else:
        search.set_callbacks(ProgressBar(max_propagation_depth=0))


def story(mixture):
    """How the fit ended."""
    first, last = mixture.objective_history_[0], mixture.objective_history_[-1]
    return (
        f"stopped after {mixture.n_iter_} iterations: {mixture.stop_reason_};"
        f" log-likelihood per digit from {first:.3f} to {last:.3f}"
    )


def compare_with_scikit_learn(best, X_train, X_test):
    """Held-out log-likelihood of the same settings in scikit-learn, from the same start."""
    Z_train, Z_test = best["pca"].transform(X_train), best["pca"].transform(X_test)
    # Without an iteration a fit returns the parameters it starts from.
    start = clone(best["mixture"]).set_params(max_iter=0).fit(Z_train)
    settings = {
        "n_components": best["mixture"].n_components,
        "covariance_type": best["mixture"].covariance_type,
        "reg_covar": best["mixture"].reg_covar,
        "weights_init": start.weights_,
        "means_init": start.means_,
        "precisions_init": start.precisions_,
    }
    print("held-out log-likelihood per digit, from the same start:")
    for name, estimator in (("skgen", GaussianMixture), ("scikit-learn", SklearnMixture)):
        begin = time.perf_counter()
        mixture = estimator(**settings).fit(Z_train)
        milliseconds = 1e3 * (time.perf_counter() - begin)
        print(
            f"  {name:12} {mixture.score(Z_test):.9f}"
            f" after {mixture.n_iter_} iterations in {milliseconds:.1f} ms"
        )


def check_pickle(model, X):
    """The model, loaded by a new process, gives the same scores to the last bit."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.pickle").write_bytes(pickle.dumps(model))
        np.save(Path(folder, "rows.npy"), X)
        # -P: import the installed package, not a checkout in the current folder.
        subprocess.run([sys.executable, "-P", "-c", LOAD_AND_SCORE, folder], check=True)
        scores = np.load(Path(folder, "scores.npy"))
    if not np.array_equal(scores, model.score_samples(X)):
        raise SystemExit("the scores changed on the way through pickle")
    print(f"pickled and loaded in a new process: {len(X)} scores identical")


def mend(X_train, X_test, share=0.2):
    """Restore missing cells of new digits by a mixture of others that have such cells too."""
    generator = np.random.default_rng(0)
    damaged, new = (
        np.where(generator.random(X.shape) < share, np.nan, X) for X in (X_train, X_test)
    )
    begin = time.perf_counter()
    mended = GaussianMixture(10, reg_covar=1.0, random_state=0).fit(damaged).impute(new)
    milliseconds = 1e3 * (time.perf_counter() - begin)
    holes = np.isnan(new)
    means = np.where(holes, np.nanmean(damaged, axis=0), new)
    errors = (np.sqrt(np.mean((X - X_test)[holes] ** 2)) for X in (mended, means))
    print(
        "{:.0%} of all cells missing: those of new digits restored to {:.1f} gray levels of 16,"
        " column means {:.1f}, in {:.0f} ms".format(share, *errors, milliseconds)
    )


def classify(X_train, X_test, y_train, y_test):
    """Read the digits: to the optimum as scikit-learn's class, and by minibatches."""
    print("reading digits by linear scores, C=0.01:")
    for name, estimator in (("scikit-learn", SklearnRegression), ("skgen", LogisticRegression)):
        begin = time.perf_counter()
        with warnings.catch_warnings():
            # Said below by the number of iterations and the objective.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = estimator(C=0.01).fit(X_train, y_train)
        milliseconds = 1e3 * (time.perf_counter() - begin)
        print(
            f"  {name:12} objective {objective(model, X_train, y_train):.6f}"
            f" after {model.n_iter_[0]} iterations in {milliseconds:.1f} ms;"
            f" {model.score(X_test, y_test):.3f} of new digits right"
        )
    print(f"  skgen stopped: {model.stop_reason_}")
    batches = SoftmaxRegression(
        C=0.01, solver="nesterov", learning_rate="cosine", learning_rate_init=0.002,
        batch_size=50, early_stopping=True, random_state=0,
    ).fit(X_train / 4, y_train)  # fmt: skip
    print(
        f"  minibatches, columns divided by 4: {batches.score(X_test / 4, y_test):.3f} right after"
        f" {batches.n_iter_} epochs; {batches.stop_reason_}"
    )
    return model


def objective(model, X, y):
    """Mean loss plus penalty: what both packages minimize."""
    logs = model.predict_log_proba(X)
    penalty = 0.5 * np.square(model.coef_).sum() / (model.C * len(y))
    return penalty - logs[np.arange(len(y)), y].mean()


def draw(search, classifier, output):
    """Means and new digits of the winner, the scores that made it win, weights that read digits."""
    best = search.best_estimator_
    figure, (left, right, far_right) = plt.subplots(
        1, 3, figsize=(11, 4), width_ratios=[1.05, 1, 0.5], layout="constrained"
    )
    left.imshow(family_portrait(best["pca"], best["mixture"]), cmap="gray_r", vmin=0, vmax=16)
    left.axvline(8.9, color="tab:orange", linewidth=1.5)
    left.set_title("component means | new digits drawn from each", fontsize=10)
    left.set_axis_off()

    scores = search.cv_results_["mean_test_score"]
    parameters = search.cv_results_["params"]
    sizes = GRID["mixture__n_components"]
    for structure in GRID["mixture__covariance_type"]:
        chosen = [i for i, p in enumerate(parameters) if p["mixture__covariance_type"] == structure]
        right.plot(sizes, scores[chosen], marker="o", label=structure)
    right.set_xscale("log", base=2)
    right.set_xticks(sizes, sizes)
    right.set_xlabel("components")
    right.set_title("held-out log-likelihood per digit", fontsize=10)
    right.legend(frameon=False)
    cells = np.full((10, 9, 9), np.nan)
    cells[:, :8, :8] = classifier.coef_.reshape(10, 8, 8)
    weights = np.vstack([np.hstack(cells[i : i + 2]) for i in range(0, 10, 2)])
    limit = np.abs(classifier.coef_).max()
    far_right.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
    far_right.set_title("weights for 0 to 9", fontsize=10)
    far_right.set_axis_off()
    figure.savefig(output, dpi=80)
    plt.close(figure)


def family_portrait(pca, mixture, n_rows=10, n_drawn=12):
    """One line of images per component: its mean, then digits drawn from it."""
    order = np.argsort(-mixture.weights_)[:n_rows]
    drawn, component = mixture.sample(200 * len(mixture.weights_))
    lines = []
    for number in order:
        points = [mixture.means_[number], *drawn[component == number][:n_drawn]]
        images = pca.inverse_transform(np.array(points)).reshape(-1, 8, 8)
        cells = np.zeros((n_drawn + 1, 9, 9))
        cells[: len(images), 1:, 1:] = images
        lines.append(np.hstack(cells))
    return np.vstack(lines)


if __name__ == "__main__":
    warnings.simplefilter("once", ConvergenceWarning)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).resolve().with_name("quickstart.png")
    )
    main(parser.parse_args().output)

"""Digits with ten labels per class: what the unlabeled rows add to the generative classifier.

Accuracies, not seconds. A draw holds a third of the rows out and labels ten random rows per class
of the others; the supervised fit is the same classifier with `unlabeled_weight=0`.
"""

import warnings

import numpy as np

LABELS_PER_CLASS = 10
WEIGHTS = (0.03, 0.1, 0.3, 1.0)
# Features: the 64 pixels, or that many principal components of all rows that are not held out.
CASES = (
    ("tied", None, {}),
    ("tied", None, {"reg_covar": 1.0}),
    ("tied", None, {"n_components_per_class": 2}),
    ("tied", 30, {}),
    ("full", None, {}),
    ("full", None, {"reg_covar": 1.0}),
    ("full", 20, {}),
    ("full", 30, {}),
    ("full, MAP", 30, {"inference": "map"}),
    ("full, MAP", 30, {"inference": "map", "degrees_of_freedom_prior": -31}),
    ("diag", None, {}),
    ("diag", 30, {}),
    ("spherical", None, {}),
    ("spherical", None, {"n_components_per_class": 2}),
)


def measure_gains(rounds, small):
    """A row per setting: accuracies in per cent, gains in points with their 95 % intervals."""
    return [measure_case(*case, 3 if small else rounds) for case in CASES]


def measure_case(title, n_components, options, n_draws):
    """Setting, supervised accuracies, and what each weight of the unlabeled rows adds to them."""
    options = options | {"covariance_type": title.partition(",")[0]}
    gains = np.empty((n_draws, len(WEIGHTS), 2))
    supervised = np.empty((n_draws, 2))
    for seed in range(n_draws):
        digits = draw(seed, n_components)
        supervised[seed] = accuracies(digits, unlabeled_weight=0.0, **options)
        for place, weight in enumerate(WEIGHTS):
            reached = accuracies(digits, unlabeled_weight=weight, **options)
            gains[seed, place] = reached - supervised[seed]
    features = "64 pixels" if n_components is None else f"{n_components} components"
    extra = "".join(f", {name}={value:g}" for name, value in options.items() if is_number(value))
    return [
        f"{title}{extra}, {features}",
        " / ".join(f"{100 * value:.1f}" for value in supervised.mean(axis=0)),
        *(
            " / ".join(interval(100 * gains[:, place, of]) for of in (0, 1))
            for place in range(len(WEIGHTS))
        ),
        f"{(gains[:, -1, 0] > 0).sum()} of {n_draws}",
    ]


def is_number(value):
    return not isinstance(value, str)


def draw(seed, n_components):
    """Training rows, their labels with and without -1, held-out rows and labels."""
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.model_selection import train_test_split

    X, X_new, y, y_new = train_test_split(
        *load_digits(return_X_y=True), test_size=1 / 3, random_state=seed
    )
    if n_components is not None:
        pca = PCA(n_components, svd_solver="covariance_eigh").fit(X)
        X, X_new = pca.transform(X), pca.transform(X_new)
    generator = np.random.default_rng(seed)
    known = np.full(len(y), -1)
    for digit in range(10):
        rows = generator.choice(np.flatnonzero(y == digit), LABELS_PER_CLASS, replace=False)
        known[rows] = digit
    return X, y, known, X_new, y_new


def accuracies(digits, **options):
    """On the unlabeled rows of the fit, and on those that it has not seen."""
    from skgen.mixture import GaussianMixtureClassifier

    X, y, known, X_new, y_new = digits
    model = GaussianMixtureClassifier(random_state=0, **options)
    with warnings.catch_warnings():
        # Singular covariances end a fit early; its accuracy says what that costs.
        warnings.simplefilter("ignore")
        model.fit(X, known)
    unlabeled = known == -1
    return np.array(
        [(model.transduction_ == y)[unlabeled].mean(), (model.predict(X_new) == y_new).mean()]
    )


def interval(differences):
    """Mean and half the width of Student's 95 % interval."""
    from scipy.stats import t

    n = len(differences)
    half = t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    return f"{differences.mean():+.1f} ± {half:.1f}"

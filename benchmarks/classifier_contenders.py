"""Generative classifiers, fully labeled: the same maximum-likelihood parameters from all.

scikit-learn's naive Bayes is told not to add to variances, as skgen's classifier is.
"""

import numpy as np

from benchmarks.contenders import Contender


def skgen(structure):
    from skgen.mixture import GaussianMixtureClassifier

    return GaussianMixtureClassifier(covariance_type=structure, reg_covar=0.0)


def linear():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="lsqr")


def quadratic(solver):
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    return QuadraticDiscriminantAnalysis(solver=solver)


def naive():
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(var_smoothing=0.0)


def parameters(model):
    """Priors, means and maximum-likelihood covariances of any of these models."""
    if hasattr(model, "theta_"):
        return model.class_prior_, model.theta_, model.var_
    if not hasattr(model, "rotations_"):
        name = "covariance_" if hasattr(model, "covariance_") else "covariances_"
        return model.priors_, model.means_, getattr(model, name)
    covariances = [
        (rotation * scaling) @ rotation.T
        for rotation, scaling in zip(model.rotations_, model.scalings_, strict=True)
    ]
    return model.priors_, model.means_, np.stack(covariances)


def fitting(make, *arguments):
    def fit(problem, n_iter, seed):
        model = make(*arguments).fit(problem.X, problem.y)
        return (lambda: parameters(model)), 1

    return fit


def predicting(make, *arguments):
    fitted = []

    def predict(problem, n_iter, seed):
        if not fitted:
            fitted.append(make(*arguments).fit(problem.X, problem.y))
        return fitted[0].predict(problem.X), 1

    return predict


PEERS = {
    "tied": (("scikit-learn LDA, lsqr", "sklearn.discriminant_analysis", linear),),
    "full": (
        ("scikit-learn QDA, svd", "sklearn.discriminant_analysis", quadratic, "svd"),
        ("scikit-learn QDA, eigen", "sklearn.discriminant_analysis", quadratic, "eigen"),
    ),
    "diag": (("scikit-learn GaussianNB", "sklearn.naive_bayes", naive),),
}


def contenders(structure, action):
    """All that fit this structure, as `action` runs them (`fitting` or `predicting`)."""
    everybody = (("skgen", "skgen.mixture", skgen, structure), *PEERS[structure])
    return tuple(
        Contender(name, (module,), action(make, *arguments))
        for name, module, make, *arguments in everybody
    )

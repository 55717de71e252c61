"""Standard errors of maximum likelihood estimates.

    covariance = (sum_i s_i d2 loss_i / dw2  +  penalty'')^-1        z = w / standard error

The observed information at the estimate; with a squared penalty, its curvature is added, which
gives the normal approximation of a Bayesian posterior (Laplace) rather than sampling errors.
McCullagh and Nelder (1989), section 4.4; for several classes Agresti (2013), section 8.1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import pinvh
from scipy.special import ndtr, ndtri

from skgen.linear_model.fitting import loss_of
from skgen.objectives import LinearObjective
from skgen.penalties import ElasticNet
from skgen.rows import one_blas_thread
from skgen.statistics import column_moments

# Eigenvalues of the scaled information below this share of the largest are directions that the
# data say nothing about.
SINGULAR = 1e-12


@dataclass(frozen=True)
class Inference:
    """Estimates with what the data say about their uncertainty.

    Attributes
    ----------
    coef, coef_standard_error, coef_z, coef_p_value : ndarray of shape (m, d)
        m = 1 for two classes, K, or K - 1 contrasts to a reference class.
    intercept, intercept_standard_error, intercept_z, intercept_p_value : ndarray of shape (m,)
        Standard errors are NaN where no intercept was fitted.
    covariance : ndarray of shape (m (d + 1), m (d + 1)), or m d without intercept
        In the order coef.ravel(), intercept.
    classes : ndarray of shape (m,)
        The class of every row of `coef`.
    log_likelihood : float
    """

    coef: np.ndarray
    intercept: np.ndarray
    coef_standard_error: np.ndarray
    intercept_standard_error: np.ndarray
    covariance: np.ndarray
    classes: np.ndarray
    log_likelihood: float

    @property
    def coef_z(self):
        return self.coef / self.coef_standard_error

    @property
    def intercept_z(self):
        return self.intercept / self.intercept_standard_error

    @property
    def coef_p_value(self):
        """Two-sided, from the normal distribution."""
        return 2.0 * ndtr(-np.abs(self.coef_z))

    @property
    def intercept_p_value(self):
        """Two-sided, from the normal distribution."""
        return 2.0 * ndtr(-np.abs(self.intercept_z))

    def interval(self, level=0.95):
        """Lower and upper ends of the confidence intervals of `coef`, (m, d) each."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level!r}")
        half = ndtri(0.5 + 0.5 * level) * self.coef_standard_error
        return self.coef - half, self.coef + half


def infer(model, X, y, sample_weight, reference):
    """`Inference` for a fitted logistic regression and the data of its fit."""
    refuse_irregular(model)
    rows, classes = model._admit(X, y, sample_weight, reset=False, classes=model.classes_)
    penalty_C = np.inf if model.penalty is None else float(model.C)
    with one_blas_thread(rows):
        columns = column_moments(rows)
        information, objective, log_likelihood = observed_information(
            model, rows, columns, 1.0 / penalty_C
        )
    covariance = inverse_on_range(information)
    covariance = moved_origin(objective, covariance)
    coef = np.asarray(model.coef_, dtype=np.float64)
    intercept = np.asarray(model.intercept_, dtype=np.float64)
    labels = classes[1:] if len(coef) == 1 else classes
    if reference is not None:
        coef, intercept, covariance, labels = contrasts(
            objective, coef, intercept, covariance, classes, reference
        )
    k, d = coef.shape
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    no_errors = np.full(k, np.nan)
    return Inference(
        coef,
        intercept,
        errors[: k * d].reshape(k, d),
        errors[k * d :] if objective.fit_intercept else no_errors,
        covariance,
        labels,
        log_likelihood,
    )


def refuse_irregular(model):
    """Raise where the estimates have no normal approximation."""
    penalty = model.penalty if model.penalty != "deprecated" else None
    if (model.penalty == "deprecated" and model.l1_ratio) or penalty in ("l1", "elasticnet"):
        raise ValueError(
            "standard errors need a likelihood with curvature at the estimate; with an absolute"
            f" penalty (l1_ratio={model.l1_ratio}) the estimates are not normal. Refit the"
            " selected columns with l1_ratio=0"
        )
    if model.separable_:
        raise ValueError(
            "the classes are separable and nothing was penalized: the maximum likelihood estimate"
            " does not exist, so neither do standard errors. Refit with a finite C"
        )
    if not model.converged_:
        raise ValueError(
            f"the fit did not converge ({model.stop_reason_}), so its curvature says nothing"
            " about the estimate; refit with a larger max_iter"
        )


def observed_information(model, rows, columns, strength):
    """The Hessian of the negative log posterior about centered columns; its objective; log L."""
    coef = np.asarray(model.coef_, dtype=np.float64)
    intercept = np.asarray(model.intercept_, dtype=np.float64)
    loss = loss_of(len(model.classes_))
    k, d = coef.shape
    size = k * d + (k if model.fit_intercept else 0)
    l2 = np.zeros(size)
    l2[: k * d] = strength / rows.weight_sum
    if model.solver == "liblinear":
        l2[k * d :] = strength / rows.weight_sum / float(model.intercept_scaling) ** 2
    centers = model.fit_intercept and not hasattr(rows.X, "indptr")
    origin = columns.mean.astype(rows.dtype) if centers else None
    objective = LinearObjective(
        loss, k, d, model.fit_intercept, ElasticNet(l2, np.zeros(size)), origin
    )
    parts = {"coef": coef}
    if model.fit_intercept:
        moved = 0.0 if origin is None else coef @ origin.astype(np.float64)
        parts["intercept"] = intercept + moved
    w = objective.layout.pack(**parts)
    value, _, hessian = objective.value_gradient_hessian(w, rows)
    value -= objective.penalty.squared(w)[0]
    return hessian * rows.weight_sum, objective, -value * rows.weight_sum


def inverse_on_range(information):
    """The inverse, or the pseudo-inverse where scores of all classes may shift together."""
    scale = np.sqrt(np.diag(information))
    scale = np.where(scale > 0.0, scale, 1.0)
    scaled = information / scale[:, None] / scale
    values = np.linalg.eigvalsh(scaled)
    if values[0] > SINGULAR * values[-1]:
        return np.linalg.inv(scaled) / scale[:, None] / scale
    return pinvh(information, rtol=SINGULAR)


def moved_origin(objective, covariance):
    """The covariance of weights and intercepts of raw columns from that of centered ones."""
    if objective.origin is None:
        return covariance
    k, d = objective.layout.shapes["coef"]
    move = np.eye(len(covariance))
    for output in range(k):
        move[k * d + output, output * d : (output + 1) * d] = -objective.origin.astype(np.float64)
    return move @ covariance @ move.T


def contrasts(objective, coef, intercept, covariance, classes, reference):
    """Differences to the reference class, and their covariance."""
    if len(coef) == 1:
        raise ValueError(
            "reference is for more than two classes; with two, coef_ is the contrast of"
            " classes_[1] to classes_[0]"
        )
    (where,) = np.nonzero(classes == reference)
    if len(where) != 1:
        raise ValueError(f"reference={reference!r} is none of the classes {classes.tolist()}")
    k = len(coef)
    others = np.delete(np.arange(k), where[0])
    pick = np.zeros((k - 1, k))
    pick[np.arange(k - 1), others] = 1.0
    pick[:, where[0]] = -1.0
    d = coef.shape[1]
    change = np.kron(pick, np.eye(d))
    if objective.fit_intercept:
        full = np.zeros((change.shape[0] + k - 1, change.shape[1] + k))
        full[: change.shape[0], : change.shape[1]] = change
        full[change.shape[0] :, change.shape[1] :] = pick
        change = full
    return pick @ coef, pick @ intercept, change @ covariance @ change.T, classes[others]

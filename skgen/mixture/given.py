"""Arrays that a caller gives, as starts or as priors: checked, as float64."""

import numpy as np

from skgen.base import check_array
from skgen.distributions.conjugate import PRECISIONS, GaussianPrior

# A correlation matrix whose smallest eigenvalue is below this counts as singular.
SINGULAR = 1e-12
# What a prior may count for, in rows.
FEWEST_ROWS, MOST_ROWS = 1e-30, 1e15


def check_starts(estimator, structure, d):
    """The arrays weights_init, means_init and precisions_init; None where not given."""
    k = estimator.n_components
    weights, means, precisions = (
        estimator.weights_init,
        estimator.means_init,
        estimator.precisions_init,
    )
    if weights is not None:
        weights = check_weights(weights, k)
    if means is not None:
        means = check_given(means, (k, d), "means")
    if precisions is not None:
        precisions = check_precisions(precisions, structure, k, d)
    return weights, means, precisions


def check_given(array, shape, name):
    """`array` as float64, of that shape."""
    try:
        array = check_array(
            array,
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    except (ValueError, TypeError) as error:
        if name in str(error):
            raise
        raise ValueError(
            f"The parameter '{name}' should be an array of numbers: {error}"
        ) from error
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}"
        )
    return array


def check_weights(weights, k):
    single = getattr(weights, "dtype", None) == np.float32
    weights = check_given(weights, (k,), "weights")
    if weights.min() < 0.0 or weights.max() > 1.0:
        # scikit-learn swaps the two words, and code out there matches its text.
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got max value"
            f" {weights.min():.5f}, min value {weights.max():.5f} (the smallest and the largest)"
        )
    if abs(1.0 - weights.sum()) > (1e-6 if single else 1e-8):
        raise ValueError(
            "The parameter 'weights' should be normalized, but got sum(weights) ="
            f" {weights.sum():.5f}"
        )
    return weights


def check_precisions(precisions, structure, k, d):
    name = f"{structure.name} precision"
    precisions = check_given(precisions, structure.shape(k, d), name)
    if structure.name in ("diag", "spherical"):
        if (precisions <= 0.0).any():
            raise ValueError(f"'{name}' should be positive")
        return precisions
    symmetric = np.allclose(precisions, np.swapaxes(precisions, -1, -2))
    if not symmetric or not (np.linalg.eigvalsh(precisions) > 0.0).all():
        raise ValueError(f"'{name}' should be symmetric, positive-definite")
    return precisions


def check_prior(estimator, structure, defaults):
    """The `GaussianPrior` of an estimator's parameters; `defaults` is what None stands for."""
    d = len(defaults.mean)
    mean = estimator.mean_prior
    mean = defaults.mean if mean is None else check_given(mean, (d,), "mean_prior")
    kappa = estimator.mean_precision_prior
    kappa = defaults.mean_precision if kappa is None else float(kappa)
    nu = estimator.degrees_of_freedom_prior
    nu = defaults.degrees_of_freedom if nu is None else float(nu)
    covariance = estimator.covariance_prior
    if covariance is None:
        covariance = defaults.covariance
    else:
        covariance = check_covariance_prior(covariance, structure, d)
    return GaussianPrior(kappa, mean, nu, covariance)


def require_countable(estimator, names, none=False):
    """Raise where a prior counts as so many or few rows that sums with real rows are lost."""
    for name in names:
        value = getattr(estimator, name)
        if value is None or (none and value == 0.0):
            continue
        if not FEWEST_ROWS <= value <= MOST_ROWS:
            raise ValueError(
                f"{name}={value:g} is out of the range that can be weighed against rows,"
                f" {FEWEST_ROWS:g} to {MOST_ROWS:g}"
            )


def check_covariance_prior(covariance, structure, d):
    """A prior scale of the structure's shape; zero is allowed here, negative is not."""
    shape = {"full": (d, d), "tied": (d, d), "diag": (d,), "spherical": ()}[structure.name]
    name = f"{structure.name} covariance_prior"
    if np.ndim(covariance) == 0 and float(covariance) == 0.0:
        return np.zeros(shape)
    covariance = check_given(covariance, shape, name)
    if len(shape) < 2:
        if (covariance < 0.0).any():
            raise ValueError(
                f"'{name}' should be positive, but its smallest value is {covariance.min():g}"
            )
        return covariance
    if not np.allclose(covariance, covariance.T):
        raise ValueError(f"'{name}' should be symmetric, positive-definite")
    lowest = float(np.linalg.eigvalsh(covariance)[0])
    if lowest < -1e-12 * float(np.abs(covariance).max()):
        raise ValueError(
            f"'{name}' should be symmetric, positive-definite, but has the eigenvalue {lowest:g}"
        )
    return covariance


def require_mode(prior, structure):
    """Raise where the prior takes more than one row's degrees of freedom from a component."""
    lowest = -(PRECISIONS[structure.name].dimension(len(prior.mean)) + 1.0)
    if prior.degrees_of_freedom > MOST_ROWS:
        raise ValueError(
            f"degrees_of_freedom_prior={prior.degrees_of_freedom:g} must be at most {MOST_ROWS:g};"
            " no number of rows could be weighed against it"
        )
    if prior.degrees_of_freedom < lowest:
        raise ValueError(
            f"degrees_of_freedom_prior={prior.degrees_of_freedom:g} must be at least {lowest:g}"
            f" for covariance_type={structure.name!r} and {len(prior.mean)} features; that is flat"
        )


def prior_attributes(prior, concentration, dtype):
    """Fitted attributes that say which prior was used."""
    covariance = np.asarray(prior.covariance)
    return {
        "weight_concentration_prior_": float(concentration),
        "mean_precision_prior_": float(prior.mean_precision),
        "mean_prior_": prior.mean.astype(dtype),
        "degrees_of_freedom_prior_": float(prior.degrees_of_freedom),
        "covariance_prior_": covariance.astype(dtype) if covariance.ndim else float(covariance),
    }


def fitted_prior(estimator, columns=None):
    """The `GaussianPrior` that `prior_attributes` wrote down, or that of these columns."""
    prior = GaussianPrior(
        estimator.mean_precision_prior_,
        np.asarray(estimator.mean_prior_, dtype=np.float64),
        estimator.degrees_of_freedom_prior_,
        np.asarray(estimator.covariance_prior_, dtype=np.float64),
    )
    if columns is None:
        return prior
    return prior.over(PRECISIONS[estimator.covariance_type], columns)


def require_proper(prior, structure):
    """Raise where the prior has no normalizer, without which there is no evidence to bound."""
    log_det = PRECISIONS[structure.name].log_det_scale(prior.covariance)
    if not np.isfinite(log_det).all():
        raise ValueError(
            f"'{structure.name} covariance_prior' should be symmetric, positive-definite"
            if np.ndim(prior.covariance) == 2
            else f"'{structure.name} covariance_prior' should be positive"
        )


def positive_scale(covariance, structure_is_matrix):
    """A default prior scale made positive definite.

    A singular matrix is replaced by its diagonal; a column without spread gets the mean variance
    of the others, or one where no column has any.
    """
    variances = np.diagonal(covariance) if structure_is_matrix else np.asarray(covariance)
    spread = variances > 0.0
    typical = float(variances[spread].mean()) if spread.any() else 1.0
    safe = np.where(spread, variances, typical)
    if not structure_is_matrix:
        return safe
    deviations = np.sqrt(safe)
    unit = covariance / deviations[:, None] / deviations
    if spread.all() and np.isfinite(unit).all() and np.linalg.eigvalsh(unit)[0] > SINGULAR:
        return covariance
    return np.diag(safe)

"""Gaussian mixtures in plain NumPy and SciPy, in float64, one loop per sum of a formula.

Maximum likelihood, MAP and mean field with row weights w_i and cells that are NaN. A missing cell
is a latent variable: where row i belongs to component k,

    x_m | x_o ~ N(mu_m + S_mo S_oo^-1 (x_o - mu_o),  S_mm - S_mo S_oo^-1 S_om).

Bishop (2006), sections 9.2 and 10.2; Fraley and Raftery (2007); Ghahramani and Jordan (1994);
Gelman et al., Bayesian Data Analysis, chapter 3.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import betaln, digamma, gammaln, logsumexp, multigammaln

STRUCTURES = ("full", "tied", "diag", "spherical")
LOG_TWO_PI = np.log(2.0 * np.pi)
# What a weight of zero counts as in the logarithm of the prior.
SMALLEST = np.nextafter(0.0, 1.0)


@dataclass(frozen=True)
class Prior:
    """Parameters of the prior, `scale` in the structure's shape: (d, d), (d,) or a number.

    `concentration` is a of Dirichlet(a, ..., a), or g of the sticks v_k ~ Beta(1, g).
    """

    structure: str
    concentration: float
    precision: float
    mean: np.ndarray
    freedom: float
    scale: object
    sticks: bool = False

    @property
    def arguments(self):
        """Constructor arguments that both Bayesian classes know."""
        return {
            "covariance_type": self.structure,
            "weight_concentration_prior": self.concentration,
            "mean_precision_prior": self.precision,
            "mean_prior": self.mean,
            "degrees_of_freedom_prior": self.freedom,
            "covariance_prior": self.scale,
        }

    @property
    def mean_field_arguments(self):
        """The same, and which prior the weights have."""
        kind = "dirichlet_process" if self.sticks else "dirichlet_distribution"
        return self.arguments | {"weight_concentration_prior_type": kind}


def some_prior(structure, d, *, concentration=None, sticks=False, precision=0.3, seed=0):
    """A proper prior without symmetry that a mistake could hide behind."""
    if concentration is None:
        concentration = 0.7 if sticks else 1.5
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    matrix = root @ root.T / d + np.eye(d)
    scale = {"diag": np.diag(matrix).copy(), "spherical": float(np.trace(matrix))}
    return Prior(
        structure,
        concentration,
        precision,
        rng.normal(size=d),
        d + 1.5,
        scale.get(structure, matrix),
        sticks,
    )


def flat_prior(structure, d):
    """The prior whose MAP estimate is the maximum of the likelihood."""
    matrix = structure in ("full", "tied")
    scale = {"diag": np.zeros(d), "spherical": 0.0}.get(structure, np.zeros((d, d)))
    return Prior(structure, 1.0, 0.0, np.zeros(d), -(d + 1.0) if matrix else -2.0, scale)


def default_map_prior(X, structure, k):
    """Fraley and Raftery (2007), section 3: what their software takes by default."""
    d = X.shape[1]
    covariance = np.atleast_2d(np.cov(X.T, ddof=1)) / k ** (2.0 / d)
    share = np.trace(covariance) / d
    scale = {"diag": np.full(d, share), "spherical": share}.get(structure, covariance)
    return Prior(structure, 1.0, 0.01, X.mean(axis=0), d + 2.0, scale)


def default_mean_field_prior(X, structure, k, sticks=True):
    """What scikit-learn's BayesianGaussianMixture takes by default."""
    covariance = np.atleast_2d(np.cov(X.T, ddof=1))
    variances = np.diag(covariance).copy()
    scale = {"diag": variances, "spherical": variances.mean()}.get(structure, covariance)
    return Prior(structure, 1.0 / k, 1.0, X.mean(axis=0), float(X.shape[1]), scale, sticks)


def dense(structure, values, k, d):
    """Covariances (or scales) of any structure as k matrices."""
    if structure == "full":
        return np.asarray(values, dtype=np.float64)
    if structure == "tied":
        return np.stack([np.asarray(values, dtype=np.float64)] * k)
    if structure == "diag":
        return np.stack([np.diag(row) for row in np.asarray(values, dtype=np.float64)])
    return np.stack([value * np.eye(d) for value in np.asarray(values, dtype=np.float64)])


def of_structure(structure, matrices, shares=None):
    """k matrices in the structure's shape; tied: their sum, spherical: their traces."""
    if structure == "full":
        return matrices
    if structure == "tied":
        return matrices.sum(axis=0)
    diagonals = np.array([np.diag(matrix) for matrix in matrices])
    return diagonals if structure == "diag" else diagonals.sum(axis=1)


# Exact evidence of one Gaussian -------------------------------------------------------------


def weighted_moments(X, weight):
    """Sum of weights, mean, scatter about the mean."""
    count = weight.sum()
    mean = weight @ X / count
    return count, mean, (weight[:, None] * (X - mean)).T @ (X - mean)


def log_evidence(X, prior, weight=None):
    """log of the integral of prod_i N(x_i; mu, S)^w_i over the prior of mu and S."""
    X = np.asarray(X, dtype=np.float64)
    n, d = X.shape
    n, mean, scatter = weighted_moments(X, np.ones(n) if weight is None else weight)
    precision = prior.precision + n
    gap = mean - prior.mean
    scatter = scatter + prior.precision * n / precision * np.outer(gap, gap)
    means = 0.5 * d * np.log(prior.precision / precision)
    nu = prior.freedom
    if prior.structure in ("full", "tied"):
        return (
            means
            - 0.5 * n * d * np.log(np.pi)
            + multigammaln(0.5 * (nu + n), d)
            - multigammaln(0.5 * nu, d)
            + 0.5 * nu * np.linalg.slogdet(prior.scale)[1]
            - 0.5 * (nu + n) * np.linalg.slogdet(prior.scale + scatter)[1]
        )
    if prior.structure == "diag":
        first, last, more = prior.scale, prior.scale + np.diag(scatter), n
    else:
        first, last, more = np.array([prior.scale]), prior.scale + np.trace(scatter), n * d
    terms = (
        gammaln(0.5 * (nu + more))
        - gammaln(0.5 * nu)
        + 0.5 * nu * np.log(0.5 * first)
        - 0.5 * (nu + more) * np.log(0.5 * last)
    )
    return means - 0.5 * n * d * LOG_TWO_PI + terms.sum()


# Densities of the prior ---------------------------------------------------------------------


def log_inverse_wishart(S, nu, scale):
    """With its constant where the density is proper, else the kernel."""
    d = len(S)
    value = -0.5 * (nu + d + 1) * np.linalg.slogdet(S)[1]
    value -= 0.5 * np.trace(np.linalg.solve(S, scale))
    sign, log_determinant = np.linalg.slogdet(scale)
    if nu > d - 1 and sign > 0:
        value += 0.5 * nu * (log_determinant - d * np.log(2.0)) - multigammaln(0.5 * nu, d)
    return value


def log_inverse_gamma(variance, nu, scale):
    """Inverse gamma(nu / 2, scale / 2), with its constant where it is proper."""
    value = -(0.5 * nu + 1.0) * np.log(variance) - 0.5 * scale / variance
    if nu > 0 and scale > 0:
        value += 0.5 * nu * np.log(0.5 * scale) - gammaln(0.5 * nu)
    return value


def log_dirichlet(weights, a):
    """Dirichlet(a, ..., a) with its constant; a weight of zero is the smallest number."""
    k = len(weights)
    value = (a - 1.0) * np.log(np.maximum(weights, SMALLEST)).sum()
    return value + gammaln(k * a) - k * gammaln(a) if a > 0 else value


def log_prior(prior, weights, means, covariances):
    """Density over (pi, mu, S) that MAP adds to the log likelihood."""
    k, d = means.shape
    value = log_dirichlet(weights, prior.concentration)
    for mean, S in zip(means, dense(prior.structure, covariances, k, d), strict=True):
        if prior.precision > 0:
            value += stats.multivariate_normal(prior.mean, S / prior.precision).logpdf(mean)
    if prior.structure == "full":
        value += sum(log_inverse_wishart(S, prior.freedom, prior.scale) for S in covariances)
    elif prior.structure == "tied":
        value += log_inverse_wishart(covariances, prior.freedom, prior.scale)
    elif prior.structure == "diag":
        for variances in covariances:
            for variance, scale in zip(variances, prior.scale, strict=True):
                value += log_inverse_gamma(variance, prior.freedom, scale)
    else:
        value += sum(log_inverse_gamma(v, prior.freedom, prior.scale) for v in covariances)
    return value


# One iteration of EM ------------------------------------------------------------------------


@dataclass(frozen=True)
class Completed:
    """What the E-step knows of row i under component k.

    joint [n, k], filled [n, k, d] with conditional means, spread [n, k, d, d] the conditional
    covariance of the missing cells, zero elsewhere.
    """

    joint: np.ndarray
    filled: np.ndarray
    spread: np.ndarray

    @property
    def log_norm(self):
        return logsumexp(self.joint, axis=1)

    @property
    def responsibilities(self):
        return np.exp(self.joint - self.log_norm[:, None])


def log_gaussian(x, mean, S):
    """log N(x; mean, S); the density of nothing is 1."""
    if len(x) == 0:
        return 0.0
    gap = x - mean
    return -0.5 * (len(x) * LOG_TWO_PI + np.linalg.slogdet(S)[1] + gap @ np.linalg.solve(S, gap))


def complete(X, log_weights, means, covariances):
    """`Completed` for k dense covariances; `log_weights` [k] are added to log N(x_o)."""
    X = np.asarray(X, dtype=np.float64)
    (n, d), k = X.shape, len(means)
    joint = np.empty((n, k))
    filled, spread = np.empty((n, k, d)), np.zeros((n, k, d, d))
    for i, x in enumerate(X):
        m = np.isnan(x)
        o = ~m
        for j in range(k):
            S = covariances[j]
            S_oo, S_mo = S[np.ix_(o, o)], S[np.ix_(m, o)]
            joint[i, j] = log_weights[j] + log_gaussian(x[o], means[j][o], S_oo)
            regression = np.linalg.solve(S_oo, S_mo.T).T
            filled[i, j, o] = x[o]
            filled[i, j, m] = means[j][m] + regression @ (x[o] - means[j][o])
            spread[i, j][np.ix_(m, m)] = S[np.ix_(m, m)] - regression @ S_mo.T
    return Completed(joint, filled, spread)


def expected_moments(completed, weight):
    """Counts [k], means [k, d] and scatters [k, d, d] about them."""
    R = weight[:, None] * completed.responsibilities
    n, k, d = completed.filled.shape
    count, center, scatter = R.sum(axis=0), np.zeros((k, d)), np.zeros((k, d, d))
    for j in range(k):
        if count[j] > 0:
            center[j] = R[:, j] @ completed.filled[:, j] / count[j]
        for i in range(n):
            gap = completed.filled[i, j] - center[j]
            scatter[j] += R[i, j] * (np.outer(gap, gap) + completed.spread[i, j])
    return count, center, scatter


def e_step(X, structure, weights, means, covariances):
    """Of a mixture of known parameters."""
    k, d = means.shape
    with np.errstate(divide="ignore"):
        return complete(X, np.log(weights), means, dense(structure, covariances, k, d))


def pulled_to_the_prior(prior, count, center, scatter):
    """Precisions, means and scatters of the components with the prior's mean taken in."""
    precision = prior.precision + count
    with np.errstate(invalid="ignore"):
        means = (prior.precision * prior.mean + count[:, None] * center) / precision[:, None]
    total = scatter.copy()
    for j, gap in enumerate(center - prior.mean):
        if precision[j] > 0:
            total[j] += prior.precision * count[j] / precision[j] * np.outer(gap, gap)
    return precision, means, total


def maximize(prior, count, center, scatter):
    """Weights, means and covariances of the M-step; `flat_prior` gives maximum likelihood."""
    k, d = center.shape
    _, means, total = pulled_to_the_prior(prior, count, center, scatter)
    weights = np.maximum(count + prior.concentration - 1.0, 0.0)
    seen = prior.precision > 0
    total = of_structure(prior.structure, total)
    nu = prior.freedom
    if prior.structure == "full":
        covariances = (prior.scale + total) / (nu + count + d + 1 + seen)[:, None, None]
    elif prior.structure == "tied":
        covariances = (prior.scale + total) / (nu + count.sum() + d + 1 + k * seen)
    elif prior.structure == "diag":
        covariances = (prior.scale + total) / (nu + count + 2 + seen)[:, None]
    else:
        covariances = (prior.scale + total) / (nu + (count + seen) * d + 2)
    return weights / weights.sum(), means, covariances


def em_iteration(X, prior, weights, means, covariances, weight=None):
    """(log posterior at these parameters, better parameters)."""
    weight = np.ones(len(X)) if weight is None else weight
    completed = e_step(X, prior.structure, weights, means, covariances)
    value = weight @ completed.log_norm + log_prior(prior, weights, means, covariances)
    return value, maximize(prior, *expected_moments(completed, weight))


# Mean field ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Posterior:
    """q(pi) q(mu, Lambda): weights Dirichlet [k] or sticks ([k], [k]); see `Prior` for the rest."""

    prior: Prior
    concentration: object
    precision: np.ndarray
    means: np.ndarray
    freedom: object
    scale: np.ndarray

    @classmethod
    def of(cls, fitted, prior):
        """From the fitted attributes that scikit-learn's class has too."""
        freedom = np.asarray(fitted.degrees_of_freedom_, dtype=np.float64)
        covariances = np.asarray(fitted.covariances_, dtype=np.float64)
        shape = freedom.shape + (1,) * (covariances.ndim - freedom.ndim)
        concentration = fitted.weight_concentration_
        if prior.sticks:
            concentration = tuple(np.asarray(part, dtype=np.float64) for part in concentration)
        return cls(
            prior,
            concentration,
            np.asarray(fitted.mean_precision_, dtype=np.float64),
            np.asarray(fitted.means_, dtype=np.float64),
            freedom,
            covariances * freedom.reshape(shape),
        )

    @property
    def structure(self):
        return self.prior.structure

    @property
    def shape(self):
        return self.means.shape

    @property
    def weights(self):
        """Posterior means of pi."""
        if not self.prior.sticks:
            return self.concentration / self.concentration.sum()
        a, b = self.concentration
        stick = a / (a + b)
        return stick * np.cumprod(np.append(1.0, 1.0 - stick[:-1]))

    @property
    def scales(self):
        """Psi as k matrices."""
        return dense(self.structure, self.scale, *self.shape)

    @property
    def freedoms(self):
        return np.broadcast_to(self.freedom, len(self.means))

    @property
    def expected_covariances(self):
        """(E Lambda_k)^-1 as k matrices: `covariances_`."""
        return self.scales / self.freedoms[:, None, None]

    @property
    def expected_log_determinant(self):
        """E ln |Lambda_k|: Bishop (10.65); sums of E ln of gamma variables where diagonal."""
        d = self.shape[1]
        values = []
        for nu, Psi in zip(self.freedoms, self.scales, strict=True):
            if self.structure in ("full", "tied"):
                parts = digamma(0.5 * (nu - np.arange(d))) + np.log(2.0)
                values.append(parts.sum() - np.linalg.slogdet(Psi)[1])
            else:
                values.append((digamma(0.5 * nu) - np.log(0.5 * np.diag(Psi))).sum())
        return np.array(values)

    @property
    def expected_log_sticks(self):
        """E ln v_k and E ln (1 - v_k); the last stick is whole."""
        a, b = (part[:-1] for part in self.concentration)
        total = digamma(a + b)
        return digamma(a) - total, digamma(b) - total

    @property
    def expected_log_weights(self):
        """E ln pi_k."""
        if not self.prior.sticks:
            return digamma(self.concentration) - digamma(self.concentration.sum())
        taken, left = self.expected_log_sticks
        return np.append(taken, 0.0) + np.append(0.0, np.cumsum(left))


def mean_field_e_step(X, q):
    """ln rho, missing cells integrated out, and what is known of the cells.

    The expectation of ln N(x; mu, Lambda^-1) is ln N(x; m, (E Lambda)^-1) and a constant, so the
    missing cells are Gaussian with the covariance (E Lambda)^-1.
    """
    d = q.shape[1]
    S = q.expected_covariances
    log_determinant = np.linalg.slogdet(S)[1]
    constant = 0.5 * (q.expected_log_determinant + log_determinant - d / q.precision)
    return complete(X, q.expected_log_weights + constant, q.means, S)


def log_stick_evidence(count, g):
    """log of the integral of prod_k pi_k^N_k over the sticks, in this order: what order decides."""
    rest = np.append(np.cumsum(count[:0:-1])[::-1], 0.0)
    return (betaln(1.0 + count, g + rest) - betaln(1.0, g))[:-1].sum()


def mean_field_m_step(prior, count, center, scatter, reg_covar=0.0):
    """The posterior; under sticks the components come in order of size.

    That is the best order where g is at most 1; above, the last component, whose stick is whole,
    should be another one (`log_stick_evidence`).
    """
    if prior.sticks:
        order = np.argsort(-count, kind="stable")
        count, center, scatter = count[order], center[order], scatter[order]
    d = center.shape[1]
    precision, means, total = pulled_to_the_prior(prior, count, center, scatter)
    total = total + reg_covar * count[:, None, None] * np.eye(d)
    n = count.sum()
    freedom = {"tied": prior.freedom + n, "spherical": prior.freedom + d * count}
    if prior.sticks:
        rest = np.append(np.cumsum(count[:0:-1])[::-1], 0.0)
        concentration = (1.0 + count, prior.concentration + rest)
        concentration[1][-1] = 0.0
    else:
        concentration = prior.concentration + count
    return Posterior(
        prior,
        concentration,
        precision,
        means,
        freedom.get(prior.structure, prior.freedom + count),
        prior.scale + of_structure(prior.structure, total),
    )


def log_wishart_constant(nu, Psi):
    """ln B(Psi^-1, nu): Bishop (B.79)."""
    d = len(Psi)
    half = 0.5 * nu
    return half * np.linalg.slogdet(Psi)[1] - half * d * np.log(2.0) - multigammaln(half, d)


def expected_log_wishart(nu, Psi, log_determinant, precision):
    """E ln W(Lambda; Psi^-1, nu) given E ln |Lambda| and E Lambda."""
    d = len(Psi)
    return (
        log_wishart_constant(nu, Psi)
        + 0.5 * (nu - d - 1) * log_determinant
        - 0.5 * np.trace(Psi @ precision)
    )


def expected_log_gamma(nu, scale, log_value, value):
    """E ln Gamma(lambda; nu / 2, rate scale / 2) given E ln lambda and E lambda."""
    half = 0.5 * nu
    return half * np.log(0.5 * scale) - gammaln(half) + (half - 1) * log_value - 0.5 * scale * value


def expected_log_precisions(q, nu, scale, first):
    """E ln of the density with (nu, scale) over the precisions; `first`: of how many blocks."""
    k, d = q.shape
    nu, total = np.broadcast_to(nu, k), 0.0
    for j in range(first):
        own, Psi = q.freedoms[j], q.scales[j]
        mean = np.linalg.inv(q.expected_covariances[j])
        if q.structure in ("full", "tied"):
            log_determinant = q.expected_log_determinant[j]
            total += expected_log_wishart(nu[j], scale[j], log_determinant, mean)
        else:
            features = range(d) if q.structure == "diag" else range(1)
            for f in features:
                log_value = digamma(0.5 * own) - np.log(0.5 * Psi[f, f])
                total += expected_log_gamma(nu[j], scale[j][f, f], log_value, mean[f, f])
    return total


def bound(X, q, weight=None):
    """E ln p - E ln q, term by term, under the q(Z) and q(x_m | Z) that are best for q.

    Bishop (10.70) to (10.77), with the missing cells as latent variables.
    """
    X = np.asarray(X, dtype=np.float64)
    (k, d), prior = q.shape, q.prior
    weight = np.ones(len(X)) if weight is None else weight
    completed = mean_field_e_step(X, q)
    R = completed.responsibilities
    log_weights, log_determinant = q.expected_log_weights, q.expected_log_determinant
    precisions = np.linalg.inv(q.expected_covariances)

    rows = memberships = entropy_of_memberships = entropy_of_cells = 0.0
    for i, x in enumerate(X):
        m = np.isnan(x)
        for j in range(k):
            r = weight[i] * R[i, j]
            if r == 0.0:
                continue
            gap = completed.filled[i, j] - q.means[j]
            # The cells' covariance from the side of the precision.
            cells = np.linalg.inv(precisions[j][np.ix_(m, m)])
            distance = gap @ precisions[j] @ gap + np.trace(precisions[j][np.ix_(m, m)] @ cells)
            rows += 0.5 * r * (log_determinant[j] - d / q.precision[j] - distance - d * LOG_TWO_PI)
            memberships += r * log_weights[j]
            entropy_of_memberships -= r * np.log(R[i, j])
            entropy_of_cells += 0.5 * r * (m.sum() * (1 + LOG_TWO_PI) + np.linalg.slogdet(cells)[1])

    means = own_means = 0.0
    for j in range(k):
        gap = q.means[j] - prior.mean
        means += 0.5 * (d * np.log(prior.precision / (2 * np.pi)) + log_determinant[j])
        means -= 0.5 * prior.precision * (d / q.precision[j] + gap @ precisions[j] @ gap)
        own_means += 0.5 * (d * np.log(q.precision[j] / (2 * np.pi)) + log_determinant[j] - d)

    blocks = 1 if q.structure == "tied" else k
    first = dense(
        "full" if q.structure in ("full", "tied") else q.structure, [prior.scale] * k, k, d
    )
    covariances = expected_log_precisions(q, prior.freedom, first, blocks)
    own_covariances = expected_log_precisions(q, q.freedom, q.scales, blocks)

    if prior.sticks:
        taken, left = q.expected_log_sticks
        a, b = (part[:-1] for part in q.concentration)
        g = prior.concentration
        weights = (np.log(g) + (g - 1) * left).sum()
        own_weights = ((a - 1) * taken + (b - 1) * left - betaln(a, b)).sum()
    else:
        a, a0 = q.concentration, np.full(k, prior.concentration)
        weights = gammaln(a0.sum()) - gammaln(a0).sum() + ((a0 - 1) * log_weights).sum()
        own_weights = gammaln(a.sum()) - gammaln(a).sum() + ((a - 1) * log_weights).sum()
    return (
        rows
        + memberships
        + (weights - own_weights)
        + (means - own_means)
        + (covariances - own_covariances)
        + entropy_of_memberships
        + entropy_of_cells
    )


def mean_field_iteration(X, q, weight=None):
    """(bound at q, better q)."""
    weight = np.ones(len(X)) if weight is None else weight
    moments = expected_moments(mean_field_e_step(X, q), weight)
    return bound(X, q, weight), mean_field_m_step(q.prior, *moments)


def hard_start(X, labels, k, prior, weight=None):
    """The posterior of a partition; missing cells at their columns' means."""
    X = np.asarray(X, dtype=np.float64)
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    weight = np.ones(len(X)) if weight is None else weight
    with np.errstate(divide="ignore"):
        joint = np.log(np.eye(k)[labels])
    shape = (len(X), k, X.shape[1])
    completed = Completed(
        joint, np.broadcast_to(filled[:, None], shape), np.zeros((*shape, X.shape[1]))
    )
    return expected_moments(completed, weight)


# Posterior predictive -----------------------------------------------------------------------


def predictive_components(q):
    """Of each component: a function from rows (n, d) without NaN to log densities.

    Student's t: of nu + 1 - d degrees for a Wishart, one variable per feature for independent
    gammas, one spherical variable for a shared one.
    """
    (k, d), components = q.shape, []
    for j in range(k):
        nu, Psi, mean = q.freedoms[j], q.scales[j], q.means[j]
        spread = (1.0 + q.precision[j]) / q.precision[j]
        if q.structure == "diag":
            scale = np.sqrt(spread * np.diag(Psi) / nu)
            components.append(
                lambda X, nu=nu, mean=mean, scale=scale: stats.t.logpdf(X, nu, mean, scale).sum(
                    axis=1
                )
            )
            continue
        freedom = nu + 1 - d if q.structure in ("full", "tied") else nu
        t = stats.multivariate_t(mean, spread * Psi / freedom, freedom)
        components.append(lambda X, t=t: np.atleast_1d(t.logpdf(X)))
    return components


def predictive(X, q):
    """log of the posterior predictive density of rows without NaN."""
    X = np.asarray(X, dtype=np.float64)
    logs = np.stack([component(X) for component in predictive_components(q)], axis=1)
    with np.errstate(divide="ignore"):
        return logsumexp(logs + np.log(q.weights), axis=1)

"""A Gaussian mixture as the EM driver sees it: one E-step for three inferences.

    value = sum_i w_i log sum_k exp(log_weight_k - |(x_i - m_k) P_k|^2 / 2) + regularizer

What log_weight, P and the regularizer are is the inference's business (`skgen.mixture.inference`):
parameters and zero or the log prior, or expectations under a posterior and minus its divergence
from the prior. Cells that are NaN are integrated out (`skgen.distributions.missing`).

A covariance floor `reg_covar` is added to every diagonal by the M-step, as scikit-learn does. That
alone is not the maximum of anything, so a floor that matters makes the likelihood fall. It is
the exact M-step of the penalized model log pi_k N(x; mu_k, S_k) - floor tr(S_k^-1) / 2, in which
each row is blurred by that variance; `penalized` makes the E-step consistent with it, and EM
monotone again.
"""

from dataclasses import dataclass, replace

import numpy as np

from skgen import kernels
from skgen.distributions import missing
from skgen.distributions.gaussian import MixtureMoments, Scatter, expected_log_joint

# Log densities below this have lost the digits that tell components of one covariance apart.
FAR = {4: -1e3, 8: -1e6}


@dataclass(frozen=True)
class Prepared:
    """A mixture in the kernels' layout; `origin` holds the means as rounded there."""

    structure: type
    packed: np.ndarray
    origin: np.ndarray
    factors: np.ndarray
    log_weight: np.ndarray
    completion: object = None

    def far_log_responsibilities(self, X):
        """Log responsibilities (n, k) of rows whose squared distances swamp their differences.

        With one covariance for all the squares of x cancel exactly: what remains is linear in x.
        With several, the squared distances of rows so far away that they overflow differ by
        more than the exponential function can tell, and can be compared at any scale.
        """
        X = np.asarray(X, dtype=np.float64)
        if self.structure.name == "tied":
            means = (self.origin - self.origin[0]) @ self.factors
            with np.errstate(over="ignore", invalid="ignore"):
                rows = (X - self.origin[0]) @ self.factors
                score = rows @ means.T - 0.5 * (means**2).sum(axis=1) + self.log_weight
                score -= score.max(axis=1, keepdims=True)
                score -= np.log(np.exp(score).sum(axis=1, keepdims=True))
            if not np.isnan(score).any():
                return score
        nearest = np.eye(len(self.origin), dtype=bool)[self.nearest_in_the_limit(X)]
        return np.where(nearest, 0.0, -np.inf)

    def without_holes(self, X):
        """Rows so far away that they overflow, missing cells at the mean of the components.

        From there the missing cells say nothing that the exponential function could tell.
        """
        weight = np.exp(self.log_weight - self.log_weight.max())
        return np.where(np.isnan(X), (weight / weight.sum()) @ self.origin, X)

    def nearest_in_the_limit(self, X):
        """Component of the least squared distance, computed at a scale that cannot overflow."""
        scale = np.abs(X).max(axis=1, keepdims=True)
        scale = np.where(scale > 0.0, scale, 1.0)
        X, factors = X / scale, self.factors / np.abs(self.factors).max()
        distance = np.empty((len(X), len(self.origin)))
        for k, mean in enumerate(self.origin):
            factor = factors if self.structure.name == "tied" else factors[k]
            z = X - mean / scale
            distance[:, k] = ((z @ factor if np.ndim(factor) == 2 else z * factor) ** 2).sum(axis=1)
        distance[:, np.isneginf(self.log_weight)] = np.inf
        return distance.argmin(axis=1)


@dataclass(frozen=True)
class MixtureModel:
    """The EM model; see `skgen.solvers.em` for the contract.

    Attributes
    ----------
    structure : class of `skgen.distributions.gaussian.STRUCTURES`
    dtype : of X
    inference : object of `skgen.mixture.inference`
    floor : float
        Variance added to every diagonal.
    penalized : bool
        Whether the E-step knows of the floor.
    scatter : Scatter or None
        Of all rows, for the tied structure where no cell is missing.
    patterns : skgen.distributions.missing.Patterns or None
        Of the missing cells.
    scale : (d,)
        Deviations of the columns of X, the units of packed parameters.
    """

    structure: type
    dtype: np.dtype
    inference: object
    floor: float = 0.0
    penalized: bool = False
    scatter: Scatter | None = None
    patterns: missing.Patterns | None = None
    scale: np.ndarray | None = None

    def prepare(self, params):
        return prepare(
            self.structure,
            params.means,
            params.factors,
            self.log_weights(params),
            self.dtype,
            self.patterns,
        )

    def log_weights(self, params):
        """The E-step's constant of every component."""
        weights = self.inference.log_weights(self.structure, params)
        return weights - self.penalty(params) if self.penalized else weights

    def with_floor(self, floor):
        """The same model with another floor."""
        return replace(self, floor=floor)

    def with_penalty(self, penalized):
        """The same model, its E-step aware of the floor or not."""
        return replace(self, penalized=penalized)

    def penalty(self, params):
        """floor tr(S_k^-1) / 2 per component."""
        if self.floor == 0.0:
            return np.zeros(len(params.means))
        d = params.means.shape[1]
        return 0.5 * self.floor * self.structure.trace_of_precisions(params.factors, d)

    @staticmethod
    def e_step(block, prepared):
        return e_step(block, prepared)

    def value(self, params, moments):
        total = moments.log_norm + self.regularizer(params)
        if not np.isfinite(total):
            raise ValueError(
                "the log likelihood of X overflows: a row of positive weight lies too far from all"
                " components; remove outliers of X or rows of extreme sample_weight, or divide X"
                " by a constant"
            )
        return self.in_units(total, moments.weight)

    def regularizer(self, params):
        """What the inference adds to the log norms of the rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.inference.regularizer(self.structure, params)

    def in_units(self, total, weight):
        """A total as the objective states it."""
        return total / weight if self.inference.per_row else total

    def m_step(self, params, moments):
        return self.inference.update(self.structure, moments, self.floor, self.scatter)

    def pack(self, params):
        """log shares, means in `scale`, and the factors as their structure packs them."""
        shares = np.log(np.maximum(self.inference.shares(params), np.finfo(np.float64).tiny))
        means = params.means / self.scale
        factors = self.structure.pack_factors(params.factors, self.scale)
        return np.concatenate([shares, means.ravel(), factors])

    def unpack(self, vector, like):
        """Parameters from `pack`; components of `like` without rows stay as they are."""
        k, d = like.means.shape
        with np.errstate(over="ignore", invalid="ignore"):
            shares = np.exp(vector[:k] - vector[:k].max())
            shares /= shares.sum()
            means = vector[k : k + k * d].reshape(k, d) * self.scale
            factors = self.structure.unpack_factors(vector[k + k * d :], k, d, self.scale)
        absent = self.inference.shares(like) == 0.0
        if absent.any():
            shares[absent], means[absent] = 0.0, like.means[absent]
            if self.structure.name != "tied":
                factors[absent] = like.factors[absent]
        with np.errstate(invalid="ignore", divide="ignore"):
            sizes = self.structure.log_determinant(factors, d)
        if not (
            np.isfinite(vector).all() and np.isfinite(factors).all() and np.isfinite(sizes).all()
        ):
            raise ValueError("the vector is no mixture: a number overflows")
        return self.inference.rebuild(self.structure, like, shares, means, factors)

    def merit(self, params, moments):
        """What the M-step climbs: the value, less what the floor costs that the E-step ignores."""
        value = self.value(params, moments)
        if self.penalized or self.floor == 0.0:
            return value
        penalty = np.broadcast_to(self.penalty(params), moments.count.shape)
        return value - self.in_units(float(moments.count @ penalty), moments.weight)

    def gain(self, moments, old, new):
        """A lower bound of merit(new) - merit(old) from the moments of the E-step at `old`."""
        before, after = (self._expected_merit(moments, params) for params in (old, new))
        return self.in_units(after - before, moments.weight)

    def _expected_merit(self, moments, params):
        weights = self.inference.log_weights(self.structure, params) - self.penalty(params)
        return self.regularizer(params) + expected_log_joint(
            self.structure, moments, params.means, params.factors, weights, self.scatter
        )


def prepare(structure, means, factors, weights, dtype, patterns=None):
    """Pack a mixture for the kernels; `weights` are log weights."""
    means = np.ascontiguousarray(means, dtype=np.float64)
    factors = np.ascontiguousarray(factors, dtype=np.float64)
    # The tied structure may give one number for all components.
    weights = np.ascontiguousarray(np.broadcast_to(weights, len(means)), dtype=np.float64)
    packed = structure.pack(means, factors, weights, dtype)
    origin = means.astype(dtype).astype(np.float64)
    completion = None
    if patterns is not None:
        completion = missing.prepare_completion(structure, patterns, means, factors, weights)
    return Prepared(structure, packed, origin, factors, weights, completion)


def e_step(block, prepared):
    """`MixtureMoments` of one block."""
    if prepared.completion is not None:
        return missing.e_step(
            block, prepared.completion, lambda X, weight: complete_e_step(X, weight, prepared)
        )
    return complete_e_step(block.X, block.weight, prepared)


def complete_e_step(X, weight, prepared):
    """`MixtureMoments` of rows in which no cell is missing."""
    k, d = prepared.origin.shape
    count, shift = np.zeros(k), np.zeros((k, d))
    scatter = prepared.structure.empty_scatter(k, d)
    log_norm = prepared.structure.accumulate(X, weight, prepared.packed, count, shift, scatter)
    return MixtureMoments(float(weight.sum()), log_norm, count, shift, scatter, prepared.origin)


def log_norms(rows, prepared):
    """log p(x) of every row (n,), float64; a density that underflows is the smallest number."""
    out = rows.map(block_log_norms, prepared, np.empty(rows.n_rows))
    return np.maximum(out, -np.finfo(np.float64).max, out=out)


def block_log_norms(block, prepared):
    """Of the rows of one block (b,); a density that underflows is minus infinity."""
    if prepared.completion is not None:
        return log_sums(missing.log_joint(block, prepared.completion))[0]
    out = np.empty(len(block))
    kernels.gaussian.log_norm(block.X, prepared.packed, out)
    return out


def log_sums(joint):
    """log sum_k exp(joint) of every row, and joint minus it; no NaN where all is -inf."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        top = joint.max(axis=1)
        # NaN: an infinite distance from an infinite one.
        top = np.where(np.isfinite(top), top, 0.0)
        total = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
    total = np.where(np.isnan(total), -np.inf, total)
    return total, joint - np.where(np.isfinite(total), total, 0.0)[:, None]


def labels(rows, prepared):
    """The most probable component of every row (n,)."""
    return rows.map(block_labels, prepared, np.empty(rows.n_rows, dtype=np.int64))


def block_labels(block, prepared):
    """Of the rows of one block (b,)."""
    if prepared.completion is not None:
        return block_responsibilities(block, prepared).argmax(axis=1)
    out = np.empty(len(block), dtype=np.int64)
    kernels.gaussian.assign(block.X, prepared.packed, out)
    far = far_rows(block_log_norms(block, prepared), block, prepared)
    if far.any():
        out[far] = prepared.far_log_responsibilities(block.X[far]).argmax(axis=1)
    return out


def far_rows(log_norm, block, prepared):
    """Which rows need `far_log_responsibilities`."""
    if prepared.structure.name != "tied":
        return ~np.isfinite(log_norm)
    return ~(log_norm > FAR[block.X.dtype.itemsize] + prepared.log_weight.max())


def responsibilities(rows, prepared):
    """p(component | x) of every row (n, k) in the dtype of X."""
    out = np.empty((rows.n_rows, len(prepared.origin)), dtype=rows.dtype)
    return rows.map(block_responsibilities, prepared, out)


def block_responsibilities(block, prepared):
    """Of the rows of one block (b, k), in the dtype of X."""
    out = np.empty((len(block), len(prepared.origin)), dtype=block.X.dtype)
    log_norm = np.empty(len(block))
    if prepared.completion is not None:
        log_norm, joint = log_sums(missing.log_joint(block, prepared.completion))
        out[...] = np.exp(joint)
    else:
        kernels.gaussian.responsibilities(block.X, prepared.packed, out, log_norm)
    far = far_rows(log_norm, block, prepared)
    if far.any():
        X = block.X[far]
        if prepared.completion is not None:
            X = prepared.without_holes(X)
        out[far] = np.exp(prepared.far_log_responsibilities(X))
    return out


def entropies(rows, prepared):
    """-sum_k r log r of every row, in nats."""
    return rows.map(_entropies, prepared, np.empty(rows.n_rows))


def _entropies(block, prepared):
    r = block_responsibilities(block, prepared).astype(np.float64)
    return -(r * np.log(np.maximum(r, np.finfo(np.float64).tiny))).sum(axis=1)


def log_certainties(rows, prepared):
    """log max_k r of every row."""
    return rows.map(_log_certainties, prepared, np.empty(rows.n_rows))


def _log_certainties(block, prepared):
    return np.log(block_responsibilities(block, prepared).max(axis=1).astype(np.float64))


EVALUATIONS = {
    "log_norm": log_norms,
    "label": labels,
    "responsibilities": responsibilities,
    "entropy": entropies,
    "log_certainty": log_certainties,
}


def total_scatter(rows, origin):
    """`Scatter` of all rows about `origin`."""
    return rows.sum(_total_scatter, origin)


def _total_scatter(block, origin):
    d = len(origin)
    first, second = np.zeros(d), np.zeros((d, d))
    weight = kernels.gaussian.scatter(block.X, block.weight, origin, first, second)
    return Scatter(weight, first, second, origin)

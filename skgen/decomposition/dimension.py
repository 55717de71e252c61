"""How many components: three answers from spectra alone.

- `likeliest_rank`: the largest evidence of a probabilistic PCA (Minka 2000),
- `rank_above_noise`: components with more variance than uncorrelated columns have (Horn 1965),
- `best_held_out_rank`: the largest likelihood of rows that were held out.

The last needs one reading of the rows: of every fold the scatter matrix is kept, and the held-out
likelihood of all ranks follows from it,

    -2 log p / w = d log 2 pi + sum_{i<=q} (log l_i + s_i / l_i) + (d - q) log v_q
                   + (t - sum_{i<=q} s_i) / v_q,

where l_i are the eigenvalues of the training rows, v_q the mean of those after q, s_i the variance
of the held-out rows along eigenvector i about the training mean, and t its sum over all directions.
"""

import numpy as np
from scipy import linalg, sparse
from scipy.special import gammaln

from skgen.statistics import BlockSums, ScatterMoments

# Spectra of noise that are drawn, and the quantile of theirs that a component must exceed.
N_SPECTRA = 50
NOISE_QUANTILE = 0.95
LOG_TWO_PI = np.log(2.0 * np.pi)


def fraction_rank(squares, total, fraction):
    """The fewest components that hold more than a fraction of the variance."""
    # Sums of shares, so that a sum of explained_variance_ratio_ is met to the bit.
    shares = np.cumsum(squares / total) if total > 0.0 else np.ones(len(squares))
    return min(int(np.searchsorted(shares, fraction, side="right")) + 1, len(squares))


def likeliest_rank(variances, weight):
    """The rank in [1, d - 1] of largest evidence, of d variances (descending) of so many rows.

    Minka (2000), "Automatic choice of dimensionality for PCA", equation 30.
    """
    d = len(variances)
    evidence = np.full(d, -np.inf)
    # Eigenvalues in units of the largest: ratios are what decides.
    spectrum = variances / variances[0] if variances[0] > 0.0 else variances
    for q in range(1, d):
        if spectrum[q - 1] >= 1e-15:
            evidence[q] = log_evidence(spectrum, q, weight)
    return max(int(np.argmax(evidence)), min(1, d))


def log_evidence(spectrum, q, weight):
    """Laplace's approximation of the log evidence of rank q."""
    d = len(spectrum)
    noise = max(spectrum[q:].sum() / (d - q), 1e-15)
    i = np.arange(1, q + 1)
    volume = -q * np.log(2.0) + np.sum(
        gammaln((d - i + 1) / 2.0) - np.log(np.pi) * (d - i + 1) / 2.0
    )
    parameters = d * q - q * (q + 1) / 2.0
    floored = np.append(spectrum[:q], np.full(d - q, noise))
    rows, columns = np.triu_indices(d, 1)
    kept = rows < q
    rows, columns = rows[kept], columns[kept]
    gaps = np.maximum(spectrum[rows] - spectrum[columns], np.finfo(float).tiny)
    inverse_gaps = np.maximum(1.0 / floored[columns] - 1.0 / floored[rows], np.finfo(float).tiny)
    curvature = np.sum(np.log(gaps) + np.log(inverse_gaps) + np.log(weight))
    return (
        volume
        - weight / 2.0 * np.log(spectrum[:q]).sum()
        - weight / 2.0 * (d - q) * np.log(noise)
        + (parameters + q) / 2.0 * LOG_TWO_PI
        - curvature / 2.0
        - q / 2.0 * np.log(weight)
    )


def noise_spectra(column_squares, weight, count, random_state):
    """Quantile of eigenvalues (count,) that independent columns with these squares would have.

    Scatter matrices of normal rows are drawn as such where there are more rows than columns
    (Bartlett 1933), so the cost does not depend on the rows.
    """
    # In a fixed order, so that the order of the columns does not matter.
    deviations = np.sort(np.sqrt(column_squares / (weight - 1.0)))[::-1]
    freedom, d = weight - 1.0, len(deviations)
    spectra = np.empty((N_SPECTRA, count))
    for draw in range(N_SPECTRA):
        if freedom >= d:
            factor = np.tril(random_state.normal(size=(d, d)), -1)
            factor[np.diag_indices(d)] = np.sqrt(random_state.chisquare(freedom - np.arange(d)))
            factor *= deviations[:, None]
            matrix = factor @ factor.T
        else:
            rows = random_state.normal(size=(max(round(freedom), 1), d)) * deviations
            matrix = rows @ rows.T
        values = linalg.eigvalsh(matrix, check_finite=False)[::-1][:count]
        spectra[draw] = np.append(values, np.zeros(count - len(values)))
    return np.quantile(spectra, NOISE_QUANTILE, axis=0)


def rank_above_noise(squares, column_squares, weight, random_state):
    """How many leading components exceed those of noise, and the latter's squares."""
    noise = noise_spectra(column_squares, weight, len(squares), random_state)
    below = np.flatnonzero(squares <= noise)
    return (int(below[0]) if len(below) else len(squares)), noise


def best_held_out_rank(pairs, most, n_columns):
    """The rank in [1, most] of largest held-out log likelihood per row, and that of every rank.

    `pairs` are the `ScatterMoments` of training and of held-out rows; columns that they leave out
    of `n_columns` are constant.
    """
    likelihood, weight = np.zeros(most + 1), 0.0
    for training, held_out in pairs:
        if held_out.weight > 0.0 and training.weight > 0.0:
            likelihood += held_out_likelihoods(training, held_out, most, n_columns)
            weight += held_out.weight
    likelihood /= max(weight, np.finfo(float).tiny)
    return int(np.argmax(likelihood[1:])) + 1, likelihood


def each_held_out(folds):
    """Pairs of `ScatterMoments`: those of all folds but one, and of that one."""
    for number, held_out in enumerate(folds):
        others = [fold for other, fold in enumerate(folds) if other != number]
        yield merged(others), held_out


def merged(moments):
    """One of several `ScatterMoments`, which stay as they are."""
    total = None
    for part in moments:
        copy = ScatterMoments(part.weight, part.mean.copy(), part.scatter.copy())
        total = copy if total is None else total.merge(copy)
    return total


def held_out_likelihoods(training, held_out, most, n_columns):
    """Log likelihoods of the held-out rows for every rank up to `most`, from the training rows."""
    with np.errstate(over="ignore"):
        return _held_out_likelihoods(training, held_out, most, n_columns)


def _held_out_likelihoods(training, held_out, most, n_columns):
    values, vectors = linalg.eigh(training.scatter / training.weight, check_finite=False)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    shift = held_out.mean - training.mean
    second = held_out.scatter / held_out.weight + np.multiply.outer(shift, shift)
    along = np.einsum("ji,jk,ki->i", vectors, second, vectors, optimize=True)
    d = n_columns
    q = np.arange(most + 1)
    before = np.append(0.0, np.cumsum(values[:most]))
    noise = (values.sum() - before) / np.maximum(d - q, 1)
    # Where training rows leave no noise there is no density of other rows.
    floor = max(np.finfo(float).eps * d * values[0], np.finfo(float).tiny)
    degenerate = (noise <= floor) & (q < d) & (q > 0)
    noise = np.maximum(noise, floor)
    kept = np.maximum(values[:most], floor)
    explained = np.append(0.0, np.cumsum(np.log(kept) + along[:most] / kept))
    rest = np.maximum(along.sum() - np.append(0.0, np.cumsum(along[:most])), 0.0)
    total = (
        d * LOG_TWO_PI + explained + np.where(q < d, (d - q) * np.log(noise) + rest / noise, 0.0)
    )
    return np.where(degenerate, -np.inf, -0.5 * held_out.weight * total)


def deal_folds(rows, n_folds, seed):
    """The fold (n,) of every row, from its values alone: copies share one, wherever they stand."""
    factors = np.random.default_rng(seed).integers(2**63, size=rows.n_features, dtype=np.uint64)
    hashed = rows.map(_hashed, 2 * factors + 1, np.empty(rows.n_rows, dtype=np.uint64))
    return (hashed % np.uint64(n_folds)).astype(np.int32)


def _hashed(block, factors):
    X = block.X
    if sparse.issparse(X):
        # Zeros add nothing, whether they are stored or not.
        bits = (X.data.astype(np.float64) + 0.0).view(np.uint64) * factors[X.indices]
        total = np.append(np.uint64(0), np.cumsum(bits, dtype=np.uint64))
        value = total[X.indptr[1:]] - total[X.indptr[:-1]]
    else:
        bits = (X.astype(np.float64) + 0.0).view(np.uint64)
        value = (bits * factors).sum(axis=1, dtype=np.uint64)
    # The finalizer of splitmix64 (Steele, Lea and Flood 2014).
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    return value ^ (value >> np.uint64(31))


def fold_moments(rows, fold_of_row, n_folds):
    """`ScatterMoments` of the rows of every fold, in one reading."""
    X = rows.X
    center = rows.sum(_mean_sums).sums
    center = center[1:] / center[0]
    d = X.shape[1]
    total = rows.sum(_fold_sums, (fold_of_row, n_folds, center)).sums
    folds = []
    for first, second in zip(total[:, d], total[:, :d], strict=True):
        weight = first[d]
        mean = first[:d] / weight if weight > 0.0 else first[:d]
        scatter = second[:, :d] - weight * np.multiply.outer(mean, mean)
        folds.append(ScatterMoments(float(weight), center + mean, scatter))
    return folds


def _mean_sums(block, _):
    return BlockSums(np.append(block.weight.sum(), block.weight @ block.X))


def _fold_sums(block, params):
    """[fold, d + 1, d + 1]: products of (x - center, 1)."""
    fold_of_row, n_folds, center = params
    fold = fold_of_row[block.span]
    d = block.X.shape[1]
    out = np.zeros((n_folds, d + 1, d + 1))
    for number in range(n_folds):
        chosen = np.flatnonzero((fold == number) & (block.weight > 0.0))
        X = block.X[chosen]
        z = np.ones((len(chosen), d + 1))
        z[:, :d] = (X.toarray() if sparse.issparse(X) else X) - center
        out[number] = z.T @ (z * block.weight[chosen, None])
    return BlockSums(out)

"""Principal components of rows, by the solver that suits their shape.

    S = sum w (x - mean)(x - mean)' = sum_i squares_i v_i v_i'

- *covariance_eigh*: S (d, d) in one reading, then its eigenvectors,
- *full*: R with R'R = S by orthogonal transformations of blocks, then its singular values: twice
  the digits of small components, because nothing is squared,
- *gram*: the inner products (n, n) of few rows of many columns,
- *block_lanczos*: the leading components to the accuracy asked for, from products S Q,
- *randomized*: products S Q of a fixed number, not to any accuracy (Halko et al. 2011),
- *arpack*: products with one vector at a time (Lehoucq et al. 1998, through SciPy).

S is never formed about anything but the rows' own mean, so an offset costs no digits. Eigenvalues
that rounding alone may have made are 0.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from skgen import kernels, memory
from skgen.rows import Rows
from skgen.solvers.krylov import leading_eigenvectors, orthonormal
from skgen.statistics import (
    BlockSums,
    column_moments,
    inverse_size,
    near_column_moments,
    scatter_moments,
    type_of_sums,
)

# Solvers that find all components, and those that find few of many.
COMPLETE = ("covariance_eigh", "full", "gram")
TRUNCATED = ("arpack", "block_lanczos", "randomized")

# Up to so many columns eigenvectors of the covariance matrix cost next to nothing.
FEW_COLUMNS = 1000
# So many times more rows than columns (or columns than rows) make a shape tall (or wide).
TALL = 10
SMALL_SHAPE = 500
# A larger share of all components is found faster all at once.
FEW_COMPONENTS = 0.1
MOST_COMPONENTS = 0.8
# Squares of a matrix this large take too long, or do not fit.
MOST_SQUARE = 8000
# Vectors that block Lanczos carries beyond those that are asked for.
SPARE_VECTORS = 4
MOST_PRODUCTS = 300
# Residuals, as a share of the largest eigenvalue, at which vectors are as good as sums allow.
RESIDUAL = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-6}
# A LAPACK that looks for some eigenvectors only is faster up to this share of them.
SUBSET = 0.25
# A mean so many times the variance, both squared, costs digits of products.
FAR = 10.0
# Not one that users draw their rows from.
COMPLETION_SEED = 74_207_281
# Columns of which inner products are taken at a time.
PANEL = 512
# Stored cells whose product with a vector takes longer than the calls of SciPy for it.
MANY_CELLS = 2**17
# Numbers of a sparse block that are written out at a time.
DENSE_ELEMENTS = 2**20


@dataclass(frozen=True)
class Spectrum:
    """What is known of S.

    mean (d,), components (k, d) orthonormal, squares (k,) eigenvalues of S in descending order,
    column_squares (d,) its diagonal, weight the sum of weights; whether the solver converged.
    All float64.
    """

    mean: np.ndarray
    components: np.ndarray
    squares: np.ndarray
    column_squares: np.ndarray
    weight: float
    n_iter: int = 1
    converged: bool = True
    residual: float = 0.0

    @property
    def total(self):
        """Sum of all eigenvalues of S, those that are not among `squares` included."""
        with np.errstate(over="ignore"):
            return float(self.column_squares.sum())

    def scaled(self, factor):
        """The spectrum of rows that are `factor` times as large."""
        with np.errstate(over="ignore"):
            return replace(
                self,
                mean=self.mean * factor,
                squares=self.squares * factor**2,
                column_squares=self.column_squares * factor**2,
            )


def choose_solver(n, d, n_components, is_sparse):
    """The name of the solver for n rows of d columns, of which `n_components` are asked for.

    `n_components` is a number, or None where all of them are to be found first.
    """
    smaller = min(n, d)
    few = n_components is not None and 1 <= n_components < FEW_COMPONENTS * smaller
    tall, wide = n >= TALL * d, d >= TALL * n
    if tall and (d <= FEW_COLUMNS or (not few and d <= MOST_SQUARE)):
        return "covariance_eigh"
    if max(n, d) <= SMALL_SHAPE and not is_sparse:
        return "full"
    if wide and n <= FEW_COLUMNS:
        return "gram"
    if few and n >= d <= FEW_COLUMNS:
        return "covariance_eigh"
    if few:
        return "arpack" if is_sparse else "block_lanczos"
    some = n_components is not None and 1 <= n_components < MOST_COMPONENTS * smaller
    if smaller <= MOST_SQUARE and (some or is_sparse):
        return "covariance_eigh" if d <= n else "gram"
    return "randomized" if some else "full"


def find_spectrum(rows, solver, k, options, check):
    """The `Spectrum` of rows, k components.

    `options` are the `SolverOptions` of truncated solvers; ``check(*arrays)`` raises where results
    of a reading of the rows are not finite.
    """
    factor = 1.0
    if solver == "covariance_eigh":
        scatter = scatter_moments(rows)
        check(scatter.mean, scatter.scatter)
        if ordinary(float(np.diagonal(scatter.scatter).max(initial=0.0)) / scatter.weight):
            return of_moments(scatter, k, rank_bound(rows), type_of_sums(rows))
    if sparse.issparse(rows.X):
        origin = origin_of_full_columns(rows)
        if origin.any():
            shifted = find_spectrum(shifted_columns(rows, origin), solver, k, options, check)
            return replace(shifted, mean=shifted.mean + origin)
    # Singular values see what float32 sums leave of the mean.
    precise = solver == "full" and rows.dtype == np.float32
    moments = column_moments(rows) if precise else near_column_moments(rows)
    check(moments.mean, moments.square)
    if not ordinary(float(moments.square.max(initial=0.0)) / moments.weight, rows.dtype):
        # Squares would underflow or overflow; a power of two changes no digit.
        moments = column_moments(rows)
        check(moments.mean, moments.square)
        factor = size_of(rows, moments.mean)
        rows = rows.with_values(rows.X * rows.dtype.type(factor))
        moments = column_moments(rows)
    if solver == "covariance_eigh":
        spectrum = of_moments(scatter_moments(rows), k, rank_bound(rows), type_of_sums(rows))
    elif solver == "full" and not (sparse.issparse(rows.X) and rows.n_rows < rows.n_features):
        spectrum = of_root(rows, moments, k)
    elif solver in COMPLETE:
        spectrum = of_inner_products(rows, moments, k)
    else:
        spectrum = of_products(rows, moments, k, solver, options)
    spectrum = spectrum.scaled(1.0 / factor)
    check(spectrum.squares, np.array(spectrum.total))
    return spectrum


def origin_of_full_columns(rows):
    """Means of the columns without a zero that are far from zero, 0 for all other columns.

    Products would lose their digits there; elsewhere zeros are a part of the variance.
    """
    stored = np.bincount(rows.X.indices, minlength=rows.n_features)
    full = stored == rows.n_rows
    if not full.any():
        return np.zeros(rows.n_features)
    with np.errstate(over="ignore", invalid="ignore"):
        moments = column_moments(rows)
    if not moments.finite:
        return np.zeros(rows.n_features)
    far = full & (moments.mean**2 > FAR * moments.variance)
    # Of X's dtype, so that the differences are exact.
    return np.where(far, moments.mean, 0.0).astype(rows.dtype).astype(np.float64)


def shifted_columns(rows, origin):
    """Rows with `origin` subtracted from their columns, which are full where it is not 0."""
    X = rows.X.copy()
    X.data = X.data - origin.astype(rows.dtype)[X.indices]
    return rows.with_values(X)


def ordinary(variance, dtype=np.float64):
    """Whether sums of squares of this size keep their digits."""
    limit = 1e-2 * float(np.finfo(dtype).max) ** 0.5
    return 1.0 / limit < variance < limit


def size_of(rows, mean):
    """A power of two that makes deviations from the mean about one."""
    largest = rows.sum(_largest, mean).value
    return inverse_size(largest, rows.dtype)


@dataclass(slots=True)
class Largest:
    """The largest of numbers."""

    value: float

    def merge(self, other):
        return self if self.value >= other.value else other


def _largest(block, mean):
    X = block.X[block.weight > 0.0]
    if sparse.issparse(X):
        return Largest(max(np.abs(X.data).max(initial=0.0), np.abs(mean).max(initial=0.0)))
    return Largest(float(np.abs(X - mean).max(initial=0.0)))


def rank_bound(rows):
    """The largest rank that S can have: rows of positive weight less one, or the columns."""
    n = rows.n_rows if rows.weight is None else int(np.count_nonzero(rows.weight))
    return max(min(n - 1, rows.n_features), 0)


# The scatter matrix itself


def of_moments(moments, k, rank, dtype=np.float64):
    """The `Spectrum`, k components, of `ScatterMoments` of a rank at most, summed in this dtype."""
    squares, vectors = eigenvectors_of_varying(moments.scatter, k)
    share = max(len(moments.mean) * np.finfo(np.float64).eps, np.finfo(dtype).eps)
    diagonal = np.maximum(np.diagonal(moments.scatter), 0.0)
    return cleared(moments, vectors.T, squares, diagonal, share, k, rank)


def cleared(moments, components, squares, column_squares, share, k, rank):
    """The `Spectrum` without what rounding alone may have made.

    Eigenvalues that are no larger than `share` of the largest, or beyond the `rank` that there can
    be, are 0. Directions without variance are completed to k in a way that depends on the others
    alone.
    """
    squares = np.maximum(squares, 0.0)
    found = int(np.count_nonzero(squares > share * squares.max(initial=0.0)))
    found = min(found, k, rank)
    components = fixed_signs(components[:found])
    if found < k:
        components = np.vstack([components, fixed_signs(completion(components, k - found))])
    return Spectrum(
        moments.mean,
        components,
        np.append(squares[:found], np.zeros(k - found)),
        column_squares,
        moments.weight,
    )


def completion(components, count):
    """Orthonormal directions (count, d) beside orthonormal components (m, d), m + count <= d."""
    generator = np.random.default_rng(COMPLETION_SEED)
    found = components
    while len(found) < len(components) + count:
        # Once, unless what is drawn lies in the span of the components.
        missing = len(components) + count - len(found)
        start = generator.normal(size=(components.shape[1], missing))
        found = np.vstack([found, orthonormal(start, found.T).T])
    return found[len(components) :]


def eigenvectors_of_varying(scatter, k=None):
    """As `eigenvectors`; columns that do not vary, the margins of images say, cost nothing."""
    varying = np.flatnonzero(np.diagonal(scatter) > 0.0)
    count = len(scatter) if k is None else k
    if len(varying) == len(scatter) or count > len(varying):
        return eigenvectors(scatter, k)
    squares, some = eigenvectors(np.ascontiguousarray(scatter[np.ix_(varying, varying)]), k)
    vectors = np.zeros((len(scatter), count))
    vectors[varying] = some
    return squares, vectors


def eigenvectors(matrix, k=None):
    """The k largest eigenvalues, descending, and the vectors (m, k) of a symmetric matrix."""
    m = len(matrix)
    if m == 0 or k == 0:
        return np.zeros(0 if k is None else k), np.zeros((m, 0))
    if k is None or k >= SUBSET * m:
        values, vectors = linalg.eigh(matrix, driver="evd", check_finite=False)
    else:
        values, vectors = linalg.eigh(
            matrix, subset_by_index=(m - k, m - 1), driver="evr", check_finite=False
        )
    values, vectors = values[::-1], vectors[:, ::-1]
    return (values, vectors) if k is None else (values[:k], vectors[:, :k])


def fixed_signs(components):
    """Components (k, d), each with its largest loading positive.

    Of loadings that are equally large but for rounding the first decides.
    """
    components = np.ascontiguousarray(components)
    if components.size:
        sizes = np.abs(components)
        decisive = (sizes >= (1.0 - 1e-5) * sizes.max(axis=1, keepdims=True)).argmax(axis=1)
        negative = components[np.arange(len(components)), decisive] < 0.0
        components[negative] *= -1.0
    return components


# Its root


def of_root(rows, moments, k):
    """From singular values of the centered rows."""
    root = rows.sum(_root, moments.mean).rows
    _, sizes, components = linalg.svd(root, full_matrices=False, check_finite=False)
    share = (max(rows.n_rows, rows.n_features) * np.finfo(np.float64).eps) ** 2
    return cleared(moments, components, sizes**2, moments.square, share, k, rank_bound(rows))


@dataclass(slots=True)
class Root:
    """Rows whose scatter about zero is that of all rows so far: at most d of them."""

    rows: np.ndarray

    def merge(self, other):
        return Root(reduced(np.vstack([self.rows, other.rows])))


def reduced(rows):
    """At most as many rows as columns, with the same inner products of columns."""
    if len(rows) <= rows.shape[1]:
        return rows
    return linalg.qr(rows, mode="r", check_finite=False)[0][: rows.shape[1]]


def _root(block, mean):
    present = np.flatnonzero(block.weight > 0.0)
    d = block.X.shape[1]
    step = max(DENSE_ELEMENTS // max(d, 1), d, 1) if sparse.issparse(block.X) else len(block)
    root = np.zeros((0, d))
    for start in range(0, len(present), step):
        chosen = present[start : start + step]
        X = block.X if len(chosen) == len(block) else block.X[chosen]
        X = X.toarray() if sparse.issparse(X) else X
        z = (X - mean) * np.sqrt(block.weight[chosen])[:, None]
        root = reduced(np.vstack([root, z]) if len(root) else z)
    return Root(root)


# Inner products of rows


def of_inner_products(rows, moments, k):
    """From the inner products of the centered rows: for few rows of many columns."""
    rows = present_rows(rows)
    n, d = rows.n_rows, rows.n_features
    memory.require(
        2 * n * n * 8,
        f"inner products of {n} rows",
        "choose another svd_solver; 'gram' is for few rows of many columns",
    )
    weight = np.ones(n) if rows.weight is None else rows.weight
    root = np.sqrt(weight)
    gram = rows.map(_inner_products, (rows.X, moments.mean), np.empty((n, n)))
    if sparse.issparse(rows.X):
        offset = rows.map(_times, moments.mean[:, None], np.empty((n, 1)))[:, 0]
        gram -= offset[:, None] + offset - float(moments.mean @ moments.mean)
    gram *= root[:, None] * root
    squares, left = eigenvectors(0.5 * (gram + gram.T), min(n, k))
    share = max(n, 2) * np.finfo(np.float64).eps
    found = int(np.count_nonzero(squares > share * squares.max(initial=0.0)))
    found = min(found, rank_bound(rows))
    left = left[:, :found] * root[:, None]
    right = rows.sum(_returned, (left, moments.mean)).sums
    # Rounding of the small ones is cleared by one more look at the rows.
    basis = orthonormal(right, np.zeros((d, 0)))
    return rotated(rows, moments, basis, k)


def present_rows(rows):
    """Those of positive weight."""
    if rows.weight is None or rows.weight.all():
        return rows
    chosen = np.flatnonzero(rows.weight)
    work = float(len(chosen) * rows.n_features)
    return Rows(rows.take(chosen), rows.weight[chosen], n_threads=rows.n_threads, row_work=work)


def _inner_products(block, params):
    X, mean = params
    if sparse.issparse(X):
        return (block.X.astype(np.float64) @ X.T.astype(np.float64)).toarray()
    # A panel of columns at a time, in float64: squares of float32 would lose half of its digits.
    out = np.zeros((len(block), len(X)))
    for start in range(0, X.shape[1], PANEL):
        panel = slice(start, start + PANEL)
        out += (block.X[:, panel] - mean[panel]) @ (X[:, panel] - mean[panel]).T
    return out


def _returned(block, params):
    left, mean = params
    left = left[block.span]
    if sparse.issparse(block.X):
        return BlockSums(block.X.T @ left - np.multiply.outer(mean, left.sum(axis=0)))
    return BlockSums((block.X - mean).T @ left)


def _times(block, Q):
    return block.X @ Q


# Products with vectors


@dataclass(frozen=True)
class SolverOptions:
    """What truncated solvers take: the parameters of `PCA` of the same names."""

    random_state: object
    tol: float = 0.0
    n_oversamples: int = 10
    iterated_power: object = "auto"
    power_iteration_normalizer: str = "auto"
    watch: object = None


def of_products(rows, moments, k, solver, options):
    """The k leading components, from products of S with vectors."""
    if not moments.square.any():
        return rotated(rows, moments, np.zeros((rows.n_features, 0)), k)
    product = Product(rows, moments)
    found = {"block_lanczos": lanczos, "randomized": randomized, "arpack": arpack}[solver](
        product, rows, k, options
    )
    basis, n_iter, converged, residual = found
    spectrum = rotated(rows, moments, basis, k)
    return replace(spectrum, n_iter=n_iter, converged=converged, residual=residual)


class Product:
    """Q -> S Q in one reading of the rows."""

    def __init__(self, rows, moments):
        self.rows = rows.in_blocks_of(MANY_CELLS) if sparse.issparse(rows.X) else rows
        self.mean = moments.mean
        self.origin = np.ascontiguousarray(moments.mean, dtype=rows.dtype)

    def __call__(self, Q):
        m = Q.shape[1]
        if sparse.issparse(self.rows.X):
            return self.rows.sum(_sparse_product, (Q, self.mean)).sums
        return self.rows.sum(_product, (padded(Q, self.rows.dtype), self.origin)).sums[:, :m]


def padded(Q, dtype):
    """Q (d, m) as kernels.scatter takes it."""
    wide = np.zeros((len(Q), kernels.scatter.width(Q.shape[1], np.dtype(dtype).itemsize)), dtype)
    wide[:, : Q.shape[1]] = Q
    return wide


def _product(block, params):
    Q, origin = params
    out = np.zeros(Q.shape)
    kernels.scatter.apply(block.X, block.weight, origin, Q, out)
    return BlockSums(out)


def _sparse_product(block, params):
    Q, mean = params
    Y = (block.X @ Q - mean @ Q) * block.weight[:, None]
    return BlockSums(block.X.T @ Y - np.multiply.outer(mean, Y.sum(axis=0)))


def lanczos(product, rows, k, options):
    """Basis, products made, whether it converged, and the largest residual."""
    d = rows.n_features
    block = min(k + SPARE_VECTORS, d)
    start = options.random_state.normal(size=(d, block))
    # Products have the dtype's digits.
    tol = max(options.tol, 4.0 * float(np.finfo(rows.dtype).eps))
    tol = tol if options.tol > 0.0 else RESIDUAL[rows.dtype]
    solution = leading_eigenvectors(product, start, k, tol, MOST_PRODUCTS, options.watch)
    largest = max(float(solution.values[0]), np.finfo(float).tiny) if k else 1.0
    residual = float(solution.residuals.max(initial=0.0)) / largest
    return solution.vectors, solution.n_iter, solution.converged, residual


def randomized(product, rows, k, options):
    """Halko, Martinsson and Tropp (2011), algorithm 4.4, on the side of the columns."""
    d, smaller = rows.n_features, min(rows.n_rows, rows.n_features)
    Q = options.random_state.normal(size=(d, min(k + options.n_oversamples, d)))
    power = options.iterated_power
    if power == "auto":
        power = 7 if k < FEW_COMPONENTS * smaller else 4
    normalizer = options.power_iteration_normalizer
    if normalizer == "auto":
        normalizer = "none" if power <= 2 else "LU"
    for _ in range(power):
        Q = product(Q)
        if normalizer == "QR":
            Q = linalg.qr(Q, mode="economic", check_finite=False)[0]
        elif normalizer == "LU":
            Q = linalg.lu(Q, permute_l=True, check_finite=False)[0]
        else:
            # A common factor keeps powers in range and changes no direction.
            Q /= max(float(np.abs(Q).max(initial=0.0)), np.finfo(float).tiny)
    # Powers have made the vectors nearly parallel, of which a Gram matrix would lose the rest.
    basis = linalg.qr(product(Q), mode="economic", check_finite=False)[0]
    return basis, power + 1, True, 0.0


def arpack(product, rows, k, options):
    """Implicitly restarted Lanczos, one vector at a time."""
    d, count = rows.n_features, 0

    def multiply(v):
        nonlocal count
        count += 1
        return product(v.reshape(-1, 1))

    operator = LinearOperator((d, d), matvec=multiply, dtype=np.float64)
    start = options.random_state.uniform(-1.0, 1.0, size=d)
    # Products with float32 rows have float32's digits.
    tol = max(options.tol, float(np.finfo(rows.dtype).eps))
    if k >= d:
        return np.eye(d), 0, True, 0.0
    try:
        _, vectors = eigsh(operator, k, which="LA", v0=start, tol=tol)
    except ArpackNoConvergence as error:
        found = error.eigenvectors
        rest = options.random_state.normal(size=(d, k - found.shape[1]))
        return np.column_stack([found, orthonormal(rest, found)]), count, False, np.inf
    return vectors, count, True, tol


def rotated(rows, moments, basis, k):
    """The `Spectrum`, k components, within the span of an orthonormal basis (d, m).

    The variances have the digits of the rows.
    """
    m = basis.shape[1]
    if sparse.issparse(rows.X):
        inner = rows.sum(_sparse_projected, (basis, moments.mean)).sums
    else:
        origin = np.ascontiguousarray(moments.mean, dtype=rows.dtype)
        inner = rows.sum(_projected, (padded(basis, rows.dtype), m, origin)).sums
    squares, rotation = eigenvectors(0.5 * (inner + inner.T))
    share = max(rows.n_rows, rows.n_features) * np.finfo(np.float64).eps
    # Coordinates have the dtype's digits.
    share = max(share, 16.0 * rows.n_features * float(np.finfo(rows.dtype).eps) ** 2)
    components = (basis @ rotation).T
    return cleared(moments, components, squares, moments.square, share, k, rank_bound(rows))


def _projected(block, params):
    Q, m, origin = params
    z = np.empty((len(block), m), block.X.dtype)
    kernels.scatter.project(block.X, origin, Q, z)
    return inner_products_of(z, block.weight)


def _sparse_projected(block, params):
    Q, mean = params
    return inner_products_of(block.X @ Q - mean @ Q, block.weight)


def inner_products_of(z, weight):
    z = z.astype(np.float64, copy=False)
    z = z[weight > 0.0] if (weight == 0.0).any() else z
    return BlockSums(z.T @ (z * weight[weight > 0.0][:, None]))

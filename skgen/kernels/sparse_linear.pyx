"""Linear models on one block of CSR rows: losses with gradients, Hessian diagonals, column sums.

    logistic   sum_i s_i log(1 + exp(-(2 y_i - 1) z_i)),             z_i = <x_i, w> + b
    softmax    sum_i s_i (log sum_k exp(z_ik) - z_{i y_i}),          z_ik = <x_i, w_k> + b_k

Both passes over a row's entries (score, then gradient) come one after the other for a few rows, so the
second reads the cache. With several classes the weights lie as (d, K), so an entry of X meets its K
weights in one place. All sums are float64; outputs are added to, their last row or number belongs to
the intercept. Losses keep full precision in both tails: log1p of the share of the other classes.

A Hessian diagonal comes with its cross terms with the intercept: sums of h x_j^2 and h x_j, where h
is the second derivative by the score.
"""

from libc.math cimport exp, fabs, log1p
from libc.stdint cimport int32_t, int64_t

ctypedef fused floating:
    float
    double

ctypedef fused integral:
    int32_t
    int64_t

cdef enum:
    # Rows between the two passes: about as many entries as L1 holds in texts.
    ROWS = 8


cdef inline double dot(
    const floating *data, const integral *indices, integral begin, integral end, const double *w,
) noexcept nogil:
    """Four partial sums, because one is a chain of additions."""
    cdef double a = 0.0, b = 0.0, c = 0.0, e = 0.0
    cdef integral p = begin
    while p + 4 <= end:
        a += data[p] * w[indices[p]]
        b += data[p + 1] * w[indices[p + 1]]
        c += data[p + 2] * w[indices[p + 2]]
        e += data[p + 3] * w[indices[p + 3]]
        p += 4
    while p < end:
        a += data[p] * w[indices[p]]
        p += 1
    return (a + b) + (c + e)


cdef inline void scatter(
    const floating *data, const integral *indices, integral begin, integral end, double scale,
    double *total,
) noexcept nogil:
    cdef integral p
    for p in range(begin, end):
        total[indices[p]] += scale * <double>data[p]


cdef inline void scatter_squares(
    const floating *data, const integral *indices, integral begin, integral end, double scale,
    double *squares, double *cross,
) noexcept nogil:
    cdef integral p
    cdef double x, y
    for p in range(begin, end):
        x = data[p]
        y = scale * x
        cross[indices[p]] += y
        squares[indices[p]] += y * x


cdef inline double logistic(
    double z, int32_t target, double weight, double *residual, double *curvature,
) noexcept nogil:
    """The weighted loss of score z and its first two derivatives."""
    cdef double margin = z if target == 1 else -z
    cdef double e = exp(-fabs(margin)), inverse = 1.0 / (1.0 + e)
    cdef double miss = (1.0 if margin < 0.0 else e) * inverse
    residual[0] = -weight * miss if target == 1 else weight * miss
    curvature[0] = weight * e * inverse * inverse
    return weight * (log1p(e) + (-margin if margin < 0.0 else 0.0))


def add_logistic(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const int32_t[::1] target, const double[::1] coef, double intercept,
    double[::1] gradient,  # in, out: (d + 1)
):
    """Add the gradient; return the loss."""
    cdef Py_ssize_t i, first, last, n = weight.shape[0], d = gradient.shape[0] - 1
    cdef double value = 0.0, curvature
    cdef double residual[ROWS]
    with nogil:
        first = 0
        while first < n:
            last = min(first + ROWS, n)
            for i in range(first, last):
                residual[i - first] = intercept + dot(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], &coef[0])
            for i in range(first, last):
                value += logistic(
                    residual[i - first], target[i], weight[i], &residual[i - first], &curvature)
                gradient[d] += residual[i - first]
            for i in range(first, last):
                scatter(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], residual[i - first],
                    &gradient[0])
            first = last
    return value


def add_logistic_diagonal(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const int32_t[::1] target, const double[::1] coef, double intercept,
    double[::1] gradient,  # in, out: (d + 1)
    double[::1] diagonal,  # in, out: (d + 1)
    double[::1] cross,  # in, out: (d + 1)
):
    """As add_logistic, and the diagonal of the Hessian with its cross terms."""
    cdef Py_ssize_t i, d = gradient.shape[0] - 1
    cdef integral begin, end
    cdef double value = 0.0, z, residual, curvature
    with nogil:
        for i in range(weight.shape[0]):
            begin, end = indptr[i], indptr[i + 1]
            z = intercept + dot(&data[0], &indices[0], begin, end, &coef[0])
            value += logistic(z, target[i], weight[i], &residual, &curvature)
            gradient[d] += residual
            diagonal[d] += curvature
            cross[d] += curvature
            scatter(&data[0], &indices[0], begin, end, residual, &gradient[0])
            scatter_squares(
                &data[0], &indices[0], begin, end, curvature, &diagonal[0], &cross[0])
    return value


def add_column_sums(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight,
    double[:, ::1] sums,  # in, out: (d, 2)
):
    """Add weight * x and weight * x^2 of every column."""
    cdef Py_ssize_t i
    cdef integral p
    cdef double x, y
    cdef double *total
    with nogil:
        for i in range(weight.shape[0]):
            for p in range(indptr[i], indptr[i + 1]):
                total = &sums[indices[p], 0]
                x = data[p]
                y = weight[i] * x
                total[0] += y
                total[1] += y * x


cdef inline void scores(
    const floating *data, const integral *indices, integral begin, integral end,
    const double *turned, const double *intercept, double *score, Py_ssize_t k,
) noexcept nogil:
    cdef Py_ssize_t j
    cdef integral p
    cdef double x
    cdef const double *row
    for j in range(k):
        score[j] = intercept[j]
    for p in range(begin, end):
        x = data[p]
        row = turned + <Py_ssize_t>indices[p] * k
        for j in range(k):
            score[j] += x * row[j]


cdef inline double softmax(
    double *score, Py_ssize_t k, int32_t target, double weight, double *curvature,
) noexcept nogil:
    """The weighted loss; scores become its gradient, `curvature` its second derivatives."""
    cdef Py_ssize_t j, winner = 0
    cdef double top, rest = 0.0, value, others, e, inverse
    for j in range(1, k):
        if score[j] > score[winner]:
            winner = j
    top = score[winner]
    value = top - score[target]
    for j in range(k):
        e = exp(score[j] - top)
        score[j] = e
        if j != winner:
            rest += e
    inverse = 1.0 / (1.0 + rest)
    for j in range(k):
        e = score[j]
        # 1 + rest - e would lose the digits of a small rest.
        others = rest if j == winner else 1.0 + rest - e
        score[j] = weight * inverse * (-others if j == target else e)
        if curvature != NULL:
            curvature[j] = weight * e * others * inverse * inverse
    return weight * (value + log1p(rest))


cdef inline void scatter_rows(
    const floating *data, const integral *indices, integral begin, integral end,
    const double *scale, double *total, Py_ssize_t k, bint squared,
) noexcept nogil:
    cdef Py_ssize_t j
    cdef integral p
    cdef double x
    cdef double *row
    for p in range(begin, end):
        x = data[p]
        if squared:
            x *= <double>data[p]
        row = total + <Py_ssize_t>indices[p] * k
        for j in range(k):
            row[j] += x * scale[j]


def add_softmax(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const int32_t[::1] target, const double[:, ::1] turned,
    const double[::1] intercept, double[::1] score,
    double[:, ::1] gradient,  # in, out: (d + 1, K)
):
    """Add the gradient; return the loss. `turned` is (d, K), `score` scratch for K numbers."""
    cdef Py_ssize_t i, j, k = intercept.shape[0], d = gradient.shape[0] - 1
    cdef integral begin, end
    cdef double value = 0.0
    with nogil:
        for i in range(weight.shape[0]):
            begin, end = indptr[i], indptr[i + 1]
            scores(
                &data[0], &indices[0], begin, end, &turned[0, 0], &intercept[0], &score[0], k)
            value += softmax(&score[0], k, target[i], weight[i], NULL)
            for j in range(k):
                gradient[d, j] += score[j]
            scatter_rows(
                &data[0], &indices[0], begin, end, &score[0], &gradient[0, 0], k, False)
    return value


def add_softmax_diagonal(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const int32_t[::1] target, const double[:, ::1] turned,
    const double[::1] intercept, double[::1] score,
    double[:, ::1] gradient,  # in, out: (d + 1, K)
    double[:, ::1] diagonal,  # in, out: (d + 1, K)
    double[:, ::1] cross,  # in, out: (d + 1, K)
):
    """As add_softmax, and the diagonal of the Hessian with its cross terms; `score` holds 2 K."""
    cdef Py_ssize_t i, j, k = intercept.shape[0], d = gradient.shape[0] - 1
    cdef integral begin, end
    cdef double value = 0.0
    cdef double *curvature = &score[k]
    with nogil:
        for i in range(weight.shape[0]):
            begin, end = indptr[i], indptr[i + 1]
            scores(
                &data[0], &indices[0], begin, end, &turned[0, 0], &intercept[0], &score[0], k)
            value += softmax(&score[0], k, target[i], weight[i], curvature)
            for j in range(k):
                gradient[d, j] += score[j]
                diagonal[d, j] += curvature[j]
                cross[d, j] += curvature[j]
            scatter_rows(
                &data[0], &indices[0], begin, end, &score[0], &gradient[0, 0], k, False)
            scatter_rows(&data[0], &indices[0], begin, end, curvature, &diagonal[0, 0], k, True)
            scatter_rows(&data[0], &indices[0], begin, end, curvature, &cross[0, 0], k, False)
    return value


def write_scores(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[:, ::1] turned, const double[::1] intercept,
    double[:, ::1] raw,  # out: (b, K)
):
    """X turned + intercept."""
    cdef Py_ssize_t i, k = intercept.shape[0]
    with nogil:
        for i in range(raw.shape[0]):
            if k == 1:
                raw[i, 0] = intercept[0] + dot(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], &turned[0, 0])
            else:
                scores(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], &turned[0, 0],
                    &intercept[0], &raw[i, 0], k)

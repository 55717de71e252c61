"""Coordinate descent on quadratic models with an absolute penalty.

    minimize  g'D + D'HD / 2 + sum_j l1_j |u_j|,     u = w + D

One coordinate at a time has a closed form: the unpenalized minimum, pulled toward zero by l1_j / H_jj.
Friedman, Hastie and Tibshirani (2010).
"""

from libc.math cimport exp, fabs, log1p, sqrt
from libc.stdint cimport int32_t, int64_t

ctypedef fused floating:
    float
    double

ctypedef fused integral:
    int32_t
    int64_t

cdef enum:
    # Rows between the two looks at their entries.
    ROWS = 8


cdef inline double minimizer(double u, double slope, double curvature, double strength) noexcept nogil:
    """Of slope (x - u) + curvature (x - u)^2 / 2 + strength |x|."""
    cdef double middle = curvature * u - slope
    if middle > strength:
        return (middle - strength) / curvature
    if middle < -strength:
        return (middle + strength) / curvature
    return 0.0


def sweep_gram(
    const double[:, ::1] hessian,
    const double[::1] l1,
    const int32_t[::1] order,
    double[::1] u,  # in, out
    double[::1] slope,  # in, out, gradient g + H (u - w) of the smooth part of the model
    Py_ssize_t sweeps,
    double tolerance,
):
    """Descend over the coordinates `order`, at most `sweeps` times; returns the last largest move.

    Moves are measured in units of 1 / sqrt(H_jj), and the descent ends when none exceeds `tolerance`.
    Coordinates without curvature stay.
    """
    cdef Py_ssize_t p = slope.shape[0], i, j, k
    cdef double change, curvature, largest = 0.0
    with nogil:
        for _ in range(sweeps):
            largest = 0.0
            for i in range(order.shape[0]):
                j = order[i]
                curvature = hessian[j, j]
                if curvature <= 0.0:
                    continue
                change = minimizer(u[j], slope[j], curvature, l1[j]) - u[j]
                if change == 0.0:
                    continue
                u[j] += change
                for k in range(p):
                    slope[k] += change * hessian[j, k]
                largest = max(largest, fabs(change) * sqrt(curvature))
            if largest <= tolerance:
                break
    return largest


def count_columns(
    const integral[::1] indices,
    int32_t[::1] counts,  # in, out: (d)
):
    """Add up how often each column occurs."""
    cdef Py_ssize_t p
    with nogil:
        for p in range(indices.shape[0]):
            counts[indices[p]] += 1


def scatter_columns(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    int64_t[::1] places,  # in, out: (d), where the next entry of each column goes
    float[::1] values,  # out
    int32_t[::1] row_numbers,  # out
    Py_ssize_t first_row,
):
    """Write the entries of a block of CSR rows to their columns."""
    cdef Py_ssize_t i
    cdef integral p
    cdef int64_t place
    with nogil:
        for i in range(indptr.shape[0] - 1):
            for p in range(indptr[i], indptr[i + 1]):
                place = places[indices[p]]
                places[indices[p]] = place + 1
                values[place] = <float>data[p]
                row_numbers[place] = <int32_t>(first_row + i)


def add_rows(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[:, ::1] scale,
    double[:, ::1] total,  # in, out: (d, K)
):
    """Add X' scale for a block of CSR rows."""
    cdef Py_ssize_t i, j, k = scale.shape[1]
    cdef integral p
    cdef double x
    with nogil:
        if k == 1:
            for i in range(scale.shape[0]):
                for p in range(indptr[i], indptr[i + 1]):
                    total[indices[p], 0] += scale[i, 0] * <double>data[p]
        else:
            for i in range(scale.shape[0]):
                for p in range(indptr[i], indptr[i + 1]):
                    x = data[p]
                    for j in range(k):
                        total[indices[p], j] += x * scale[i, j]


cdef inline double logistic(
    double z, int32_t target, double weight, double *residual, float *state,
) noexcept nogil:
    """The weighted loss of score z, its first derivative, and as state zero and the second."""
    cdef double margin = z if target == 1 else -z
    cdef double e = exp(-fabs(margin)), inverse = 1.0 / (1.0 + e)
    cdef double miss = (1.0 if margin < 0.0 else e) * inverse
    residual[0] = -weight * miss if target == 1 else weight * miss
    state[0] = 0.0
    state[1] = <float>(weight * e * inverse * inverse)
    return weight * (log1p(e) + (-margin if margin < 0.0 else 0.0))


def logistic_rows(
    const double[:, ::1] raw, const int32_t[::1] target, const double[::1] weight,
    double[:, ::1] residual,  # out: (b, 1)
    float[:, ::1] state,  # out: (b, 2), zero and the curvature h
):
    """First and second derivatives of the logistic loss by the scores; returns the loss."""
    cdef Py_ssize_t i
    cdef double value = 0.0
    with nogil:
        for i in range(weight.shape[0]):
            value += logistic(raw[i, 0], target[i], weight[i], &residual[i, 0], &state[i, 0])
    return value


def logistic_pass(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const int32_t[::1] target, const double[::1] weight, const double[::1] coef,
    double[:, ::1] raw,  # out: (b, 1)
    double[:, ::1] residual,  # out: (b, 1)
    float[:, ::1] state,  # out: (b, 2)
    double[:, ::1] total,  # in, out: (d, 1), plus X' residual
    double intercept,
):
    """Scores of CSR rows, what logistic_rows makes of them, and the gradient; returns the loss.

    A few rows are read twice, the second time from the cache.
    """
    cdef Py_ssize_t i, first = 0, last, n = weight.shape[0]
    cdef integral p
    cdef double value = 0.0
    with nogil:
        while first < n:
            last = min(first + ROWS, n)
            for i in range(first, last):
                raw[i, 0] = intercept + score(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], &coef[0])
            for i in range(first, last):
                value += logistic(raw[i, 0], target[i], weight[i], &residual[i, 0], &state[i, 0])
            for i in range(first, last):
                for p in range(indptr[i], indptr[i + 1]):
                    total[indices[p], 0] += residual[i, 0] * <double>data[p]
            first = last
    return value


cdef inline double score(
    const floating *data, const integral *indices, integral begin, integral end, const double *w,
) noexcept nogil:
    """Of one row, in four sums, because one is a chain of additions."""
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


def softmax_rows(
    const double[:, ::1] raw, const int32_t[::1] target, const double[::1] weight,
    double[:, ::1] residual,  # out: (b, K)
    float[:, ::1] state,  # out: (b, 2 K + 1), zeros, shares of the classes, the weight
):
    """As logistic_rows, for the softmax loss."""
    cdef Py_ssize_t i, j, k = raw.shape[1], winner
    cdef double value = 0.0, top, rest, inverse
    with nogil:
        for i in range(weight.shape[0]):
            winner = 0
            for j in range(1, k):
                if raw[i, j] > raw[i, winner]:
                    winner = j
            top = raw[i, winner]
            rest = 0.0
            for j in range(k):
                residual[i, j] = exp(raw[i, j] - top)
                if j != winner:
                    rest += residual[i, j]
            inverse = 1.0 / (1.0 + rest)
            value += weight[i] * (top - raw[i, target[i]] + log1p(rest))
            for j in range(k):
                state[i, j] = 0.0
                state[i, k + j] = <float>(residual[i, j] * inverse)
                if j != target[i]:
                    residual[i, j] *= weight[i] * inverse
                elif j == winner:
                    residual[i, j] = -weight[i] * rest * inverse
                else:
                    residual[i, j] = -weight[i] * (1.0 + rest - residual[i, j]) * inverse
            state[i, 2 * k] = <float>weight[i]
    return value


def sweep_columns(
    const float[::1] values, const int32_t[::1] row_numbers, const int64_t[::1] starts,
    const double[::1] gradient, const double[::1] l1, const double[::1] l2, const double[::1] w,
    int32_t[::1] order,  # in, out
    double[::1] curvature,  # in, out; negative: not known yet
    double[::1] cross,  # in, out; known as curvature is
    double[::1] u,  # in, out
    float[:, ::1] state,  # in, out: (n, 2), h_i (X (u - w))_i and h_i
    double[::1] sums,  # in, out: (2), sum of residuals and states; out: decrease of the model
    Py_ssize_t count,
    double share,
):
    """Descend once over the columns order[:count] of a matrix stored by columns; one class.

    The curvature of the loss by the score of row i is h_i, so the Hessian is X' diag(h) X + diag(l2),
    and its cross terms with an intercept are X'h. With `share` = 1 / sum h an intercept is always at
    its optimum, -share * sums[0], whatever the weights are; with 0 there is none.
    Columns that are zero and stay so leave `order`, whose first ones are those that remain; returns
    how many. The state is float32: it holds a correction whose own first digits are all that the next
    model needs.
    """
    cdef Py_ssize_t i, j, p, begin, end, kept = 0
    cdef double slope, bend, change, gained = 0.0
    cdef float step
    with nogil:
        for i in range(count):
            j = order[i]
            begin, end = starts[j], starts[j + 1]
            if curvature[j] < 0.0:
                slope = bends(
                    &values[0], &row_numbers[0], begin, end, &state[0, 0], &curvature[j], &cross[j])
                curvature[j] = max(curvature[j] - share * cross[j] * cross[j], 1e-12 * curvature[j])
            else:
                slope = product(&values[0], &row_numbers[0], begin, end, &state[0, 0])
            slope += gradient[j] + l2[j] * (u[j] - w[j]) - share * cross[j] * sums[0]
            bend = curvature[j] + l2[j]
            if u[j] == 0.0 and fabs(slope) <= l1[j]:
                continue
            order[kept] = <int32_t>j
            kept += 1
            if bend <= 0.0:
                continue
            change = minimizer(u[j], slope, bend, l1[j]) - u[j]
            if change == 0.0:
                continue
            u[j] += change
            sums[0] += change * cross[j]
            gained += 0.5 * bend * change * change
            step = <float>change
            for p in range(begin, end):
                state[row_numbers[p], 0] += step * state[row_numbers[p], 1] * values[p]
    sums[1] = gained
    return kept


cdef inline double bends(
    const float *values, const int32_t *row_numbers, Py_ssize_t begin, Py_ssize_t end,
    const float *state, double *curvature, double *cross,
) noexcept nogil:
    """Of one column x: (x * x)'h and x'h; returns x'state[:, 0]. Each in two sums."""
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0, e = 0.0, f = 0.0, x
    cdef const float *row
    cdef Py_ssize_t p = begin
    while p + 2 <= end:
        row = state + 2 * <Py_ssize_t>row_numbers[p]
        x = <double>values[p] * row[1]
        a += x * values[p]
        b += x
        c += <double>values[p] * row[0]
        row = state + 2 * <Py_ssize_t>row_numbers[p + 1]
        x = <double>values[p + 1] * row[1]
        d += x * values[p + 1]
        e += x
        f += <double>values[p + 1] * row[0]
        p += 2
    if p < end:
        row = state + 2 * <Py_ssize_t>row_numbers[p]
        x = <double>values[p] * row[1]
        a += x * values[p]
        b += x
        c += <double>values[p] * row[0]
    curvature[0] = a + d
    cross[0] = b + e
    return c + f


cdef inline double product(
    const float *values, const int32_t *row_numbers, Py_ssize_t begin, Py_ssize_t end,
    const float *state,
) noexcept nogil:
    """x'state[:, 0], in four sums, because one is a chain of additions."""
    cdef double a = 0.0, b = 0.0, c = 0.0, e = 0.0
    cdef Py_ssize_t p = begin
    while p + 4 <= end:
        a += <double>values[p] * state[2 * <Py_ssize_t>row_numbers[p]]
        b += <double>values[p + 1] * state[2 * <Py_ssize_t>row_numbers[p + 1]]
        c += <double>values[p + 2] * state[2 * <Py_ssize_t>row_numbers[p + 2]]
        e += <double>values[p + 3] * state[2 * <Py_ssize_t>row_numbers[p + 3]]
        p += 4
    while p < end:
        a += <double>values[p] * state[2 * <Py_ssize_t>row_numbers[p]]
        p += 1
    return (a + b) + (c + e)


def sweep_column_blocks(
    const float[::1] values, const int32_t[::1] row_numbers, const int64_t[::1] starts,
    const double[:, ::1] gradient, const double[:, ::1] l1, const double[:, ::1] l2,
    const double[:, ::1] w,
    int32_t[::1] order,  # in, out
    double[:, ::1] curvature,  # in, out; negative: not known yet
    double[:, ::1] u,  # in, out
    float[:, ::1] state,  # in, out: (n, 2 K + 1), M_i (X (u - w))_i, shares p_i, weight s_i
    double[:, ::1] scratch,  # (2, K)
    double[::1] decrease,  # out: (1), what this sweep takes from the model, at least
    Py_ssize_t count,
):
    """As sweep_columns for the softmax loss; the K weights of a column move together.

    The curvature by the scores of row i is M_i = s_i (diag p - p p'). Its rows sum to 2 s_i p (1 - p)
    in absolute value, so twice its diagonal exceeds it and every move lowers the model.
    """
    cdef Py_ssize_t i, j, c, k = u.shape[1], kept = 0
    cdef double change, bend, gained = 0.0
    cdef bint resting, moves
    cdef double *sums = &scratch[0, 0]
    cdef double *step = &scratch[1, 0]
    with nogil:
        for i in range(count):
            j = order[i]
            gather_block(
                &values[0], &row_numbers[0], starts[j], starts[j + 1], &state[0, 0], k, sums,
                &curvature[j, 0])
            resting, moves = True, False
            for c in range(k):
                sums[c] += gradient[j, c] + l2[j, c] * (u[j, c] - w[j, c])
                if u[j, c] != 0.0 or fabs(sums[c]) > l1[j, c]:
                    resting = False
            if resting:
                continue
            order[kept] = <int32_t>j
            kept += 1
            for c in range(k):
                bend = curvature[j, c] + l2[j, c]
                step[c] = 0.0
                if bend > 0.0:
                    change = minimizer(u[j, c], sums[c], bend, l1[j, c]) - u[j, c]
                    u[j, c] += change
                    gained += 0.5 * bend * change * change
                    step[c] = change
                    moves = moves or change != 0.0
            if moves:
                scatter_block(
                    &values[0], &row_numbers[0], starts[j], starts[j + 1], &state[0, 0], k, step)
    decrease[0] = gained
    return kept


cdef inline void gather_block(
    const float *values, const int32_t *row_numbers, Py_ssize_t begin, Py_ssize_t end,
    const float *state, Py_ssize_t k, double *sums, double *curvature,
) noexcept nogil:
    cdef Py_ssize_t p, c
    cdef const float *row
    cdef double x, square
    cdef bint unknown = curvature[0] < 0.0
    for c in range(k):
        sums[c] = 0.0
        if unknown:
            curvature[c] = 0.0
    for p in range(begin, end):
        row = state + (2 * k + 1) * <Py_ssize_t>row_numbers[p]
        x = values[p]
        for c in range(k):
            sums[c] += x * row[c]
        if unknown:
            square = 2.0 * x * x * row[2 * k]
            for c in range(k):
                curvature[c] += square * row[k + c] * (1.0 - row[k + c])


cdef inline void scatter_block(
    const float *values, const int32_t *row_numbers, Py_ssize_t begin, Py_ssize_t end,
    float *state, Py_ssize_t k, const double *step,
) noexcept nogil:
    cdef Py_ssize_t p, c
    cdef float *row
    cdef float x, mean
    for p in range(begin, end):
        row = state + (2 * k + 1) * <Py_ssize_t>row_numbers[p]
        mean = 0.0
        for c in range(k):
            mean += row[k + c] * <float>step[c]
        x = values[p] * row[2 * k]
        for c in range(k):
            row[c] += x * row[k + c] * (<float>step[c] - mean)

"""Minibatch training of softmax regression: many updates without a return to Python.

w = [W.ravel(), b] with W (k, d); b is there if w has k (d + 1) numbers. `order` holds the row numbers
of the batches one after the other, `rates` a rate per batch. The twin is
skgen.linear_model.softmax_batches with skgen.solvers.update_rules.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

ctypedef fused floating:
    float
    double

ctypedef fused integral:
    int32_t
    int64_t

cdef extern from "minibatch.h" nogil:
    ctypedef struct stepper:
        int rule
        const double *numbers
        const double *l1
        const double *decay
        Py_ssize_t p
    void add_scores_float(
        const float *, const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *)
    void add_scores_double(
        const double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *)
    void add_gradient_float(
        const float *, const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *)
    void add_gradient_double(
        const double *, const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t, double *)
    Py_ssize_t padded_float(Py_ssize_t)
    Py_ssize_t padded_double(Py_ssize_t)
    double softmax_slopes(double *, Py_ssize_t, int, double, double)
    double dot(const double *, const double *, Py_ssize_t)
    void clip_gradient(double *, Py_ssize_t, double)
    void take_step(const stepper *, double *, const double *, double *, double, double)


def padded_width(const floating[:, ::1] X):
    """Numbers that a row of X takes in a buffer."""
    return padded_float(X.shape[1]) if floating is float else padded_double(X.shape[1])


cdef stepper stepper_of(
    int rule, const double[::1] numbers, const double[::1] l1, const double[::1] decay, Py_ssize_t p,
) noexcept nogil:
    cdef stepper s
    s.rule, s.p = rule, p
    s.numbers = &numbers[0] if numbers.shape[0] else NULL
    s.l1 = &l1[0] if l1.shape[0] else NULL
    s.decay = &decay[0] if decay.shape[0] else NULL
    return s


cdef double finish_step(
    const stepper *s, const double[::1] l2, double[::1] w, double[:, ::1] memory,
    double[::1] gradient, double longest, double rate, double t,
) noexcept nogil:
    """Add the squared penalty's slope, clip, step; return the penalty before the step."""
    cdef Py_ssize_t j
    cdef double penalty = 0.0
    if l2.shape[0]:
        for j in range(s.p):
            gradient[j] += l2[j] * w[j]
            penalty += 0.5 * l2[j] * w[j] * w[j]
    if s.l1 != NULL:
        for j in range(s.p):
            penalty += s.l1[j] * (w[j] if w[j] > 0.0 else -w[j])
    clip_gradient(&gradient[0], s.p, longest)
    take_step(s, &w[0], &gradient[0], &memory[0, 0] if memory.shape[0] else NULL, rate, t)
    return penalty


cdef double slopes_of_batch(
    const int32_t[::1] target, const double[::1] weight, const Py_ssize_t *rows, Py_ssize_t size,
    double inverse_T, double weight_scale, Py_ssize_t k, double[::1] raw, double *slope_of_intercept,
) noexcept nogil:
    """Turn raw (size, k) into slopes by the batch's mean loss; return the loss."""
    cdef Py_ssize_t i, c
    cdef double loss = 0.0, share
    for i in range(size):
        share = weight_scale / size
        if weight.shape[0]:
            share *= weight[rows[i]]
        loss += share * softmax_slopes(
            &raw[i * k], k, target[rows[i]], inverse_T, share * inverse_T)
        if slope_of_intercept != NULL:
            for c in range(k):
                slope_of_intercept[c] += raw[i * k + c]
    return loss


cdef void fill_scores(
    const double[::1] w, Py_ssize_t size, Py_ssize_t k, Py_ssize_t d, double[::1] raw,
) noexcept nogil:
    """raw[i, c] = b_c."""
    cdef Py_ssize_t i, c
    cdef bint has_intercept = w.shape[0] > k * d
    for i in range(size):
        for c in range(k):
            raw[i * k + c] = w[k * d + c] if has_intercept else 0.0


def train_dense(
    const floating[:, ::1] X, const int32_t[::1] target, const double[::1] weight,
    const Py_ssize_t[::1] order, const double[::1] rates, const double[::1] numbers,
    const double[::1] l2, const double[::1] l1, const double[::1] decay,
    double[::1] w,  # in, out
    double[:, ::1] memory,  # in, out
    double[::1] gradient,  # out
    double[::1] raw,  # out
    floating[::1] slopes,  # out
    floating[:, ::1] batch,  # out
    floating[:, ::1] packed,  # out
    int rule, Py_ssize_t batch_size, Py_ssize_t n_updates, double temperature, double weight_scale,
    double longest,
):
    """Take an update per batch; return the sum over rows of the objectives they met.

    `batch` (batch_size, padded_width) and `packed` (k, padded_width) hold zeros behind column d.
    """
    cdef Py_ssize_t k = packed.shape[0], d = X.shape[1], width = packed.shape[1]
    cdef Py_ssize_t number, size, i, j
    cdef double total = 0.0, value
    cdef const Py_ssize_t *rows
    cdef double *of_intercept
    cdef stepper s = stepper_of(rule, numbers, l1, decay, w.shape[0])
    with nogil:
        of_intercept = &gradient[k * d] if w.shape[0] > k * d else NULL
        for number in range(rates.shape[0]):
            rows = &order[number * batch_size]
            size = min(batch_size, order.shape[0] - number * batch_size)
            for i in range(size):
                memcpy(&batch[i, 0], &X[rows[i], 0], d * sizeof(floating))
            for i in range(k):
                for j in range(d):
                    packed[i, j] = <floating>w[i * d + j]
            fill_scores(w, size, k, d, raw)
            memset(&gradient[0], 0, s.p * sizeof(double))
            if floating is float:
                add_scores_float(&batch[0, 0], &packed[0, 0], size, width, k, &raw[0])
            else:
                add_scores_double(&batch[0, 0], &packed[0, 0], size, width, k, &raw[0])
            value = slopes_of_batch(
                target, weight, rows, size, 1.0 / temperature, weight_scale, k, raw, of_intercept)
            for i in range(size * k):
                slopes[i] = <floating>raw[i]
            if floating is float:
                add_gradient_float(&batch[0, 0], &slopes[0], size, width, k, d, &gradient[0])
            else:
                add_gradient_double(&batch[0, 0], &slopes[0], size, width, k, d, &gradient[0])
            value += finish_step(
                &s, l2, w, memory, gradient, longest, rates[number], n_updates + number + 1)
            total += value * size
    return total


cdef void add_sparse_scores(
    const floating *data, const integral *indices, integral begin, integral end,
    const double *w, Py_ssize_t k, Py_ssize_t d, double *raw,
) noexcept nogil:
    cdef integral p
    cdef Py_ssize_t c
    for p in range(begin, end):
        for c in range(k):
            raw[c] += <double>data[p] * w[c * d + indices[p]]


cdef void add_sparse_gradient(
    const floating *data, const integral *indices, integral begin, integral end,
    const double *slope, Py_ssize_t k, Py_ssize_t d, double *gradient,
) noexcept nogil:
    cdef integral p
    cdef Py_ssize_t c
    for p in range(begin, end):
        for c in range(k):
            gradient[c * d + indices[p]] += <double>data[p] * slope[c]


def train_sparse(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const int32_t[::1] target, const double[::1] weight, const Py_ssize_t[::1] order,
    const double[::1] rates, const double[::1] numbers, const double[::1] l2, const double[::1] l1,
    const double[::1] decay,
    double[::1] w,  # in, out
    double[:, ::1] memory,  # in, out
    double[::1] gradient,  # out
    double[::1] raw,  # out
    int rule, Py_ssize_t batch_size, Py_ssize_t n_updates, double temperature, double weight_scale,
    double longest, Py_ssize_t k, Py_ssize_t d,
):
    """As train_dense, in double."""
    cdef Py_ssize_t number, size, i
    cdef double total = 0.0, value
    cdef const Py_ssize_t *rows
    cdef const floating *values = &data[0] if data.shape[0] else NULL
    cdef const integral *columns = &indices[0] if indices.shape[0] else NULL
    cdef double *of_intercept
    cdef stepper s = stepper_of(rule, numbers, l1, decay, w.shape[0])
    with nogil:
        of_intercept = &gradient[k * d] if w.shape[0] > k * d else NULL
        for number in range(rates.shape[0]):
            rows = &order[number * batch_size]
            size = min(batch_size, order.shape[0] - number * batch_size)
            fill_scores(w, size, k, d, raw)
            memset(&gradient[0], 0, s.p * sizeof(double))
            for i in range(size):
                add_sparse_scores(
                    values, columns, indptr[rows[i]], indptr[rows[i] + 1], &w[0], k, d, &raw[i * k])
            value = slopes_of_batch(
                target, weight, rows, size, 1.0 / temperature, weight_scale, k, raw, of_intercept)
            for i in range(size):
                add_sparse_gradient(
                    values, columns, indptr[rows[i]], indptr[rows[i] + 1], &raw[i * k], k, d,
                    &gradient[0])
            value += finish_step(
                &s, l2, w, memory, gradient, longest, rates[number], n_updates + number + 1)
            total += value * size
    return total

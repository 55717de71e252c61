"""Losses of a linear model on one block of rows: value, gradient, Hessian, probabilities.

With z = x - origin, raw_k = <z, coef_k> + intercept_k and weights s, `add_*` add to their outputs

    value (returned)  sum s loss(raw, target)
    gradient (K, d+1) sum s dloss/draw_k (z, 1): the intercept last
    hessian           sum s d2loss/(draw_k draw_l) (z, 1)(z, 1)', index k (d + 1) + j

of the log losses log(1 + exp(-+raw)) (target 1 or 0) and log sum_k exp(raw_k) - raw_target.
Coefficients are float64 and rounded to the type of X inside; scores are products in that type, the
loss is float64, sums are float64 across a few hundred rows. Of a Hessian only entries on and below
the diagonal count, entries above it hold anything until `mirror` copies them. linear.h says how.
A value that is not finite says that scores were not. McCullagh and Nelder, Generalized Linear Models,
2nd edition, 1989, chapters 4 and 5.
"""

from libc.stdint cimport int32_t

ctypedef fused floating:
    float
    double

cdef extern from "linear.h" nogil:
    double logistic_pass_float(
        const float *, Py_ssize_t, Py_ssize_t, const float *, const double *, double,
        const double *, const int32_t *, double *, double *, double *, int *)
    double logistic_pass_double(
        const double *, Py_ssize_t, Py_ssize_t, const double *, const double *, double,
        const double *, const int32_t *, double *, double *, double *, int *)
    double softmax_pass_float(
        const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const float *, const double *,
        const double *, const double *, const int32_t *, double *, double *, int *)
    double softmax_pass_double(
        const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, const double *,
        const double *, const double *, const int32_t *, double *, double *, int *)
    int softmax_rows_float(float *, Py_ssize_t, Py_ssize_t, int)
    int softmax_rows_double(double *, Py_ssize_t, Py_ssize_t, int)
    void sigmoid_pairs_float(const float *, Py_ssize_t, int, float *)
    void sigmoid_pairs_double(const double *, Py_ssize_t, int, double *)


def add_logistic(
    const floating[:, ::1] X,
    const floating[::1] origin,
    const double[::1] weight,
    const int32_t[::1] target,
    const double[::1] coef,
    double[::1] gradient,  # out, (d + 1), added to
    double intercept,
    double[::1] curvature=None,  # out, (b), written
):
    """Value and gradient of the log loss of two classes; `curvature` receives s p (1 - p)."""
    cdef int failed
    cdef double value
    cdef double *second = NULL if curvature is None else &curvature[0]
    with nogil:
        if floating is float:
            value = logistic_pass_float(
                &X[0, 0], X.shape[0], X.shape[1], &origin[0], &coef[0], intercept, &weight[0],
                &target[0], &gradient[0], second, NULL, &failed)
        else:
            value = logistic_pass_double(
                &X[0, 0], X.shape[0], X.shape[1], &origin[0], &coef[0], intercept, &weight[0],
                &target[0], &gradient[0], second, NULL, &failed)
    if failed:
        raise MemoryError
    return value


def add_logistic_hessian(
    const floating[:, ::1] X,
    const floating[::1] origin,
    const double[::1] weight,
    const int32_t[::1] target,
    const double[::1] coef,
    double[::1] gradient,  # out, (d + 1), added to
    double[:, ::1] hessian,  # out, (d + 1, d + 1), lower triangle added to
    double intercept,
):
    """Value, gradient and Hessian of the log loss of two classes."""
    cdef int failed
    cdef double value
    with nogil:
        if floating is float:
            value = logistic_pass_float(
                &X[0, 0], X.shape[0], X.shape[1], &origin[0], &coef[0], intercept, &weight[0],
                &target[0], &gradient[0], NULL, &hessian[0, 0], &failed)
        else:
            value = logistic_pass_double(
                &X[0, 0], X.shape[0], X.shape[1], &origin[0], &coef[0], intercept, &weight[0],
                &target[0], &gradient[0], NULL, &hessian[0, 0], &failed)
    if failed:
        raise MemoryError
    return value


def add_softmax(
    const floating[:, ::1] X,
    const floating[::1] origin,
    const double[::1] weight,
    const int32_t[::1] target,
    const double[:, ::1] coef,
    const double[::1] intercept,
    double[:, ::1] gradient,  # out, (K, d + 1), added to
):
    """Value and gradient of the log loss of K classes."""
    cdef int failed
    cdef double value
    with nogil:
        if floating is float:
            value = softmax_pass_float(
                &X[0, 0], X.shape[0], X.shape[1], coef.shape[0], &origin[0], &coef[0, 0],
                &intercept[0], &weight[0], &target[0], &gradient[0, 0], NULL, &failed)
        else:
            value = softmax_pass_double(
                &X[0, 0], X.shape[0], X.shape[1], coef.shape[0], &origin[0], &coef[0, 0],
                &intercept[0], &weight[0], &target[0], &gradient[0, 0], NULL, &failed)
    if failed:
        raise MemoryError
    return value


def add_softmax_hessian(
    const floating[:, ::1] X,
    const floating[::1] origin,
    const double[::1] weight,
    const int32_t[::1] target,
    const double[:, ::1] coef,
    const double[::1] intercept,
    double[:, ::1] gradient,  # out, (K, d + 1), added to
    double[:, ::1] hessian,  # out, (K (d + 1), K (d + 1)), lower triangle added to
):
    """Value, gradient and Hessian of the log loss of K classes, for small K (d + 1)."""
    cdef int failed
    cdef double value
    with nogil:
        if floating is float:
            value = softmax_pass_float(
                &X[0, 0], X.shape[0], X.shape[1], coef.shape[0], &origin[0], &coef[0, 0],
                &intercept[0], &weight[0], &target[0], &gradient[0, 0], &hessian[0, 0], &failed)
        else:
            value = softmax_pass_double(
                &X[0, 0], X.shape[0], X.shape[1], coef.shape[0], &origin[0], &coef[0, 0],
                &intercept[0], &weight[0], &target[0], &gradient[0, 0], &hessian[0, 0], &failed)
    if failed:
        raise MemoryError
    return value


def mirror(double[:, ::1] hessian):  # in and out
    """Copy the lower triangle onto the upper one."""
    cdef Py_ssize_t size = hessian.shape[0], i, j, row, column
    with nogil:
        for row in range(0, size, 32):
            for column in range(0, row + 1, 32):
                for i in range(row, min(row + 32, size)):
                    for j in range(column, min(column + 32, i)):
                        hessian[j, i] = hessian[i, j]


def softmax_rows(floating[:, ::1] raw):  # in and out
    """Each row of scores becomes its probabilities."""
    cdef int done
    with nogil:
        if floating is float:
            done = softmax_rows_float(&raw[0, 0], raw.shape[0], raw.shape[1], 0)
        else:
            done = softmax_rows_double(&raw[0, 0], raw.shape[0], raw.shape[1], 0)
    if not done:
        raise MemoryError


def log_softmax_rows(floating[:, ::1] raw):  # in and out
    """Each row of scores becomes the logarithms of its probabilities."""
    cdef int done
    with nogil:
        if floating is float:
            done = softmax_rows_float(&raw[0, 0], raw.shape[0], raw.shape[1], 1)
        else:
            done = softmax_rows_double(&raw[0, 0], raw.shape[0], raw.shape[1], 1)
    if not done:
        raise MemoryError


def sigmoid_pairs(
    const floating[::1] raw,
    floating[:, ::1] probability,  # out, (b, 2)
):
    """Probabilities of the two classes, 1 / (1 + exp(raw)) and 1 / (1 + exp(-raw))."""
    with nogil:
        if floating is float:
            sigmoid_pairs_float(&raw[0], raw.shape[0], 0, &probability[0, 0])
        else:
            sigmoid_pairs_double(&raw[0], raw.shape[0], 0, &probability[0, 0])


def log_sigmoid_pairs(
    const floating[::1] raw,
    floating[:, ::1] log_probability,  # out, (b, 2)
):
    """Logarithms of the probabilities of the two classes."""
    with nogil:
        if floating is float:
            sigmoid_pairs_float(&raw[0], raw.shape[0], 1, &log_probability[0, 0])
        else:
            sigmoid_pairs_double(&raw[0], raw.shape[0], 1, &log_probability[0, 0])

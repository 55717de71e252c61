"""Gaussian mixtures on one block of rows with missing cells; see missing.h for how.

With P_k P_k' the inverse covariance of component k, o the observed features of a row and z its
deviation from mean_k, completed by the conditional mean where a cell misses,

    log p(x_o, k) = log_weight_k + |u|/2 log(2 pi) - log|Lambda_uu|/2 - |P_k' z|^2 / 2
    log_weight_k = log(weight of k) + log det P_k - d/2 log(2 pi),  Lambda_k = P_k P_k'.

A `pack_*` function turns means and precisions into the model array, which all other functions
take; it is read by the module that packed it only. A log weight of -inf removes its component, and
so does anything in it that is not finite. Everything is computed in float64.

All functions take the rows in the order of their patterns: `order` [m] lists rows of X, `code` [m]
is the pattern of each, nondecreasing, and `masks` [p, d] is nonzero where a feature misses. Rows
that are not listed count for nothing; weights, responsibilities and outputs belong to the rows of
X. Missing cells of X may hold anything. Any order of patterns will do; sorted by their number of
missing cells they run faster, because branches are predicted then.

Moments are about the means as given. Rows of weight 0 count for nothing. A component's
responsibility for a row is taken as 0 where its density is under 1e-20 of the row's largest, and
so is a given responsibility under 1e-20. A row whose densities are all 0 or NaN has responsibility
0 everywhere and makes the sum of log norms -inf. Results depend on the block alone.
"""

import numpy as np

from libc.stdint cimport int32_t, uint8_t

ctypedef fused floating:
    float
    double

cdef extern from "missing.h" nogil:
    enum:
        FULL, DIAGONAL, HEADER
    ctypedef struct Rows:
        const void* X
        int in_float
        const int32_t* order
        const int32_t* code
        Py_ssize_t n
        const uint8_t* masks
        const double* model
    int model_lanes()
    Py_ssize_t model_size(int, Py_ssize_t, Py_ssize_t)
    void pack_model(int, Py_ssize_t, Py_ssize_t, const double*, const double*, const double*,
                    double*)
    int add_moments(const Rows*, const double*, const double*, int, double*, double*, double*,
                    double*)
    int measure(const Rows*, double*, double*)
    int fill(const Rows*, const double*, void*)


cdef object pack(int structure, const double[:, ::1] means, const double* precisions,
                 const double[::1] log_weight):
    """The model on a cache line."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1], size = model_size(structure, k, d)
    cdef double[::1] model
    memory = np.empty(size + 8)
    start = -memory.ctypes.data // 8 % 8
    aligned = memory[start : start + size]
    model = aligned
    with nogil:
        pack_model(structure, k, d, &means[0, 0], precisions, &log_weight[0], &model[0])
    return aligned


def pack_full(const double[:, ::1] means, const double[:, :, ::1] precision_factor,
              const double[::1] log_weight):
    """Model with a full covariance per component; P [k, d, d] upper triangular."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1]
    if not (k > 0 and d > 0 and log_weight.shape[0] == k == precision_factor.shape[0]
            and precision_factor.shape[1] == d == precision_factor.shape[2]):
        raise ValueError("the shapes of means, precision_factor and log_weight do not agree")
    return pack(FULL, means, &precision_factor[0, 0, 0], log_weight)


def pack_diagonal(const double[:, ::1] means, const double[:, ::1] inverse_deviation,
                  const double[::1] log_weight):
    """Model with a diagonal covariance per component; inverse standard deviations [k, d]."""
    cdef Py_ssize_t k = means.shape[0], d = means.shape[1]
    if not (k > 0 and d > 0 and log_weight.shape[0] == k == inverse_deviation.shape[0]
            and inverse_deviation.shape[1] == d):
        raise ValueError("the shapes of means, inverse_deviation and log_weight do not agree")
    return pack(DIAGONAL, means, &inverse_deviation[0, 0], log_weight)


cdef int check_model(const double[::1] model, int structure, Py_ssize_t k,
                     Py_ssize_t d) except -1:
    """A wrong shape would write outside the arrays; structure -1 is any."""
    if (model.shape[0] <= HEADER or (structure >= 0 and <int>model[0] != structure)
            or <int>model[3] != model_lanes()):
        raise ValueError("the model was not packed for this function")
    if not (<Py_ssize_t>model[1] == k and <Py_ssize_t>model[2] == d
            and model.shape[0] == model_size(<int>model[0], k, d)):
        raise ValueError("the shapes of X, model and outputs do not agree")
    return 0


cdef int check_rows(Py_ssize_t b, Py_ssize_t d, const int32_t[::1] order, const int32_t[::1] code,
                    const uint8_t[:, ::1] masks) except -1:
    cdef Py_ssize_t i, p = masks.shape[0]
    cdef bint inside = order.shape[0] == code.shape[0] and masks.shape[1] == d
    for i in range(order.shape[0] if inside else 0):
        inside &= 0 <= order[i] < b and 0 <= code[i] < p
    if not inside:
        raise ValueError("order, code and masks do not agree with the shape of X")
    return 0


cdef Rows list_rows(const floating[:, ::1] X, const int32_t[::1] order,
                    const int32_t[::1] code, const uint8_t[:, ::1] masks,
                    const double[::1] model) noexcept:
    """Only for a block with rows."""
    cdef Rows rows
    rows.X = &X[0, 0]
    rows.in_float = floating is float
    rows.order = &order[0]
    rows.code = &code[0]
    rows.n = order.shape[0]
    rows.masks = &masks[0, 0]
    rows.model = &model[0]
    return rows


cdef double run_moments(const floating[:, ::1] X, const double[::1] weight,
                        const int32_t[::1] order, const int32_t[::1] code,
                        const uint8_t[:, ::1] masks, const double[::1] model,
                        const double* responsibilities, int structure, bint tied,
                        double[::1] nk, double[:, ::1] first, double* second) except? -1.0:
    """Sums under the given responsibilities, or the model's own for NULL."""
    cdef Py_ssize_t k = nk.shape[0], d = X.shape[1]
    cdef double log_norm = 0
    cdef Rows rows
    cdef int done
    check_model(model, structure, k, d)
    check_rows(X.shape[0], d, order, code, masks)
    if weight.shape[0] != X.shape[0] or first.shape[0] != k or first.shape[1] != d:
        raise ValueError("the shapes of X, weight and the moments do not agree")
    if order.shape[0] == 0:
        return 0.0
    rows = list_rows(X, order, code, masks, model)
    with nogil:
        done = add_moments(&rows, &weight[0], responsibilities, tied, &nk[0], &first[0, 0], second,
                           &log_norm)
    if not done:
        raise MemoryError
    return log_norm


cdef int check_second(bint agrees) except -1:
    if not agrees:
        raise ValueError("the shapes of the second moments and X do not agree")
    return 0


cdef int check_given(const double[:, ::1] responsibilities, Py_ssize_t b,
                     Py_ssize_t k) except -1:
    if responsibilities.shape[0] != b or responsibilities.shape[1] != k:
        raise ValueError("responsibilities must have the shape (b, k)")
    return 0


def e_step_full(const floating[:, ::1] X, const double[::1] weight, const int32_t[::1] order,
                const int32_t[::1] code, const uint8_t[:, ::1] masks, const double[::1] model,
                double[::1] nk, double[:, ::1] first, double[:, :, ::1] second):
    """Return sum_i weight_i log p(x_i); add moments to nk [k], first [k, d], second [k, d, d]."""
    check_second(second.shape[0] == nk.shape[0] and second.shape[1] == X.shape[1]
                 and second.shape[2] == X.shape[1])
    return run_moments(X, weight, order, code, masks, model, NULL, FULL, False, nk, first,
                       &second[0, 0, 0])


def e_step_tied(const floating[:, ::1] X, const double[::1] weight, const int32_t[::1] order,
                const int32_t[::1] code, const uint8_t[:, ::1] masks, const double[::1] model,
                double[::1] nk, double[:, ::1] first, double[:, ::1] second):
    """As e_step_full, with second moments summed over the components, second [d, d]."""
    check_second(second.shape[0] == X.shape[1] and second.shape[1] == X.shape[1])
    return run_moments(X, weight, order, code, masks, model, NULL, FULL, True, nk, first,
                       &second[0, 0])


def e_step_diagonal(const floating[:, ::1] X, const double[::1] weight,
                    const int32_t[::1] order, const int32_t[::1] code,
                    const uint8_t[:, ::1] masks, const double[::1] model, double[::1] nk,
                    double[:, ::1] first, double[:, ::1] second):
    """Return sum_i weight_i log p(x_i); add moments to nk [k], first [k, d], second [k, d]."""
    check_second(second.shape[0] == nk.shape[0] and second.shape[1] == X.shape[1])
    return run_moments(X, weight, order, code, masks, model, NULL, DIAGONAL, False, nk, first,
                       &second[0, 0])


def moments_full(const floating[:, ::1] X, const double[::1] weight, const int32_t[::1] order,
                 const int32_t[::1] code, const uint8_t[:, ::1] masks, const double[::1] model,
                 const double[:, ::1] responsibilities, double[::1] nk,
                 double[:, ::1] first, double[:, :, ::1] second):
    """Add the moments of given responsibilities [b, k], as e_step_full does."""
    check_second(second.shape[0] == nk.shape[0] and second.shape[1] == X.shape[1]
                 and second.shape[2] == X.shape[1])
    check_given(responsibilities, X.shape[0], nk.shape[0])
    run_moments(X, weight, order, code, masks, model, &responsibilities[0, 0], FULL, False, nk,
                first, &second[0, 0, 0])


def moments_tied(const floating[:, ::1] X, const double[::1] weight, const int32_t[::1] order,
                 const int32_t[::1] code, const uint8_t[:, ::1] masks, const double[::1] model,
                 const double[:, ::1] responsibilities, double[::1] nk,
                 double[:, ::1] first, double[:, ::1] second):
    """The same with second moments summed over the components, second [d, d]."""
    check_second(second.shape[0] == X.shape[1] and second.shape[1] == X.shape[1])
    check_given(responsibilities, X.shape[0], nk.shape[0])
    run_moments(X, weight, order, code, masks, model, &responsibilities[0, 0], FULL, True, nk,
                first, &second[0, 0])


def moments_diagonal(const floating[:, ::1] X, const double[::1] weight,
                     const int32_t[::1] order, const int32_t[::1] code,
                     const uint8_t[:, ::1] masks, const double[::1] model,
                     const double[:, ::1] responsibilities, double[::1] nk,
                     double[:, ::1] first, double[:, ::1] second):
    """The same with second moments per feature [k, d] (diagonal and spherical)."""
    check_second(second.shape[0] == nk.shape[0] and second.shape[1] == X.shape[1])
    check_given(responsibilities, X.shape[0], nk.shape[0])
    run_moments(X, weight, order, code, masks, model, &responsibilities[0, 0], DIAGONAL, False, nk,
                first, &second[0, 0])


def distances(const floating[:, ::1] X, const int32_t[::1] order, const int32_t[::1] code,
              const uint8_t[:, ::1] masks, const double[::1] model, double[:, ::1] distance,
              double[:, ::1] log_scale):
    """distance [b, k] = squared Mahalanobis distance of the observed part, log_scale [b, k] =
    minus half the log determinant of its covariance."""
    cdef Py_ssize_t k = distance.shape[1]
    cdef Rows rows
    cdef int done
    check_model(model, -1, k, X.shape[1])
    check_rows(X.shape[0], X.shape[1], order, code, masks)
    if not (distance.shape[0] == X.shape[0] == log_scale.shape[0] and log_scale.shape[1] == k):
        raise ValueError("the shapes of X, distance and log_scale do not agree")
    if order.shape[0] == 0:
        return
    rows = list_rows(X, order, code, masks, model)
    with nogil:
        done = measure(&rows, &distance[0, 0], &log_scale[0, 0])
    if not done:
        raise MemoryError


def complete(const floating[:, ::1] X, const int32_t[::1] order, const int32_t[::1] code,
             const uint8_t[:, ::1] masks, const double[::1] model,
             const double[:, ::1] responsibilities, floating[:, ::1] out):
    """out [b, d] = X where observed, else the conditional mean under the responsibilities."""
    cdef Py_ssize_t k = responsibilities.shape[1]
    cdef Rows rows
    cdef int done
    check_model(model, -1, k, X.shape[1])
    check_rows(X.shape[0], X.shape[1], order, code, masks)
    if not (responsibilities.shape[0] == X.shape[0] == out.shape[0]
            and out.shape[1] == X.shape[1]):
        raise ValueError("the shapes of X, responsibilities and out do not agree")
    if order.shape[0] == 0:
        return
    rows = list_rows(X, order, code, masks, model)
    with nogil:
        done = fill(&rows, &responsibilities[0, 0], &out[0, 0])
    if not done:
        raise MemoryError

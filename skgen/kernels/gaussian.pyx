"""Gaussian mixtures on one block of rows, in one pass; see gaussian.h for how.

With P_k P_k' the inverse covariance of component k,

    log p(x, k) = log_weight_k - |(x - mean_k) P_k|^2 / 2
    log_weight_k = log(weight of k) + log det P_k - d/2 log(2 pi).

A `pack_*` function turns means and precisions (float64) into the model array, of the dtype
of X, which all other functions take. A log weight of -inf removes its component.

The moments that a step adds up are about the means *rounded to the dtype of X*. A component's
responsibility for a row is taken as 0 where its density is under 1e-20 of the row's largest.
Rows of weight 0 count for nothing. A row whose densities are all 0 or NaN has responsibility 0
everywhere and makes the sum of log norms -inf. Responsibilities under 1e-20 that are given count
as 0 too. Results depend on the block alone.
"""

import numpy as np

from libc.stdint cimport int64_t

ctypedef fused floating:
    float
    double

cdef extern from "gaussian.h" nogil:
    enum:
        FULL, TIED, DIAGONAL, SPHERICAL
        WRITE_LOG_JOINT, WRITE_RESPONSIBILITIES, WRITE_NOTHING
        HEADER, PAD
    void pack_triangle_float(const double*, Py_ssize_t, int, float*)
    void pack_triangle_double(const double*, Py_ssize_t, int, double*)
    void pack_low_float(const double*, const double*, Py_ssize_t, float*)
    void pack_low_double(const double*, const double*, Py_ssize_t, double*)
    int e_step_float(const float*, const double*, Py_ssize_t, const float*, double*, double*,
                     double*, double*)
    int e_step_double(const double*, const double*, Py_ssize_t, const double*, double*, double*,
                      double*, double*)
    int weighted_moments_float(const float*, const double*, Py_ssize_t, const float*,
                               const float*, double*, double*, double*)
    int weighted_moments_double(const double*, const double*, Py_ssize_t, const double*,
                                const double*, double*, double*, double*)
    int evaluate_float(const float*, Py_ssize_t, const float*, int, float*, double*, int64_t*)
    int evaluate_double(const double*, Py_ssize_t, const double*, int, double*, double*, int64_t*)
    int scatter_float(const float*, const double*, Py_ssize_t, Py_ssize_t, const double*,
                      double*, double*, double*)
    int scatter_double(const double*, const double*, Py_ssize_t, Py_ssize_t, const double*,
                       double*, double*, double*)


cdef Py_ssize_t padded(Py_ssize_t n):
    return (n + PAD - 1) // PAD * PAD


cdef object empty_model(int structure, Py_ssize_t k, Py_ssize_t d, dtype):
    """Header, constants, means, remainders of the means, then what the structure adds."""
    cdef Py_ssize_t triangle = d * (d + 1) // 2, extra
    if structure == FULL:
        extra = k * triangle
    elif structure == TIED:
        extra = padded(triangle) + padded(d) + k * padded(d)
    elif structure == DIAGONAL:
        extra = k * padded(d)
    else:
        extra = k
    return np.zeros(HEADER + padded(k) + 2 * k * padded(d) + extra, dtype=dtype)


cdef int fill_common(int structure, const double[:, ::1] means, const double[::1] log_weight,
                     floating[::1] model) except -1:
    cdef Py_ssize_t c, i, k = means.shape[0], d = means.shape[1], at = HEADER + padded(k)
    model[0] = structure
    model[1] = <floating>k
    model[2] = <floating>d
    for c in range(k):
        model[HEADER + c] = <floating>log_weight[c]
        for i in range(d):
            model[at + c * padded(d) + i] = <floating>means[c, i]
    return 0


def pack_full(const double[:, ::1] means, const double[:, :, ::1] precision_factor,
              const double[::1] log_weight, dtype):
    """Model with a full covariance per component; P [k, d, d] upper triangular."""
    model = empty_model(FULL, means.shape[0], means.shape[1], dtype)
    if precision_factor.shape[0] != means.shape[0] or precision_factor.shape[1] != means.shape[1]:
        raise ValueError("precision_factor must have the shape (k, d, d) of means (k, d)")
    if model.dtype == np.float32:
        fill_full[float](means, precision_factor, log_weight, model)
    else:
        fill_full[double](means, precision_factor, log_weight, model)
    return model


cdef int fill_full(const double[:, ::1] means, const double[:, :, ::1] precision_factor,
                   const double[::1] log_weight, floating[::1] model) except -1:
    cdef Py_ssize_t c, k = means.shape[0], d = means.shape[1], width = padded(d)
    cdef Py_ssize_t low = HEADER + padded(k) + k * width
    cdef Py_ssize_t scale = low + k * width
    cdef const double* P
    fill_common(FULL, means, log_weight, model)
    for c in range(k):
        P = &precision_factor[c, 0, 0]
        if floating is float:
            pack_low_float(&means[c, 0], P, d, &model[low + c * width])
            pack_triangle_float(P, d, 0, &model[scale + c * (d * (d + 1) // 2)])
        else:
            pack_low_double(&means[c, 0], P, d, &model[low + c * width])
            pack_triangle_double(P, d, 0, &model[scale + c * (d * (d + 1) // 2)])
    return 0


def pack_tied(const double[:, ::1] means, const double[:, ::1] precision_factor,
              const double[::1] log_weight, dtype):
    """Model with one covariance; P [d, d] upper triangular.

    Rows are whitened once about the mean of the heaviest component: in float32 the error grows with
    the distance between the means in standard deviations.
    """
    model = empty_model(TIED, means.shape[0], means.shape[1], dtype)
    center = np.array(means[int(np.argmax(log_weight))], dtype=np.float64)
    whitened = (np.asarray(means) - center) @ np.asarray(precision_factor) * np.sqrt(0.5)
    if model.dtype == np.float32:
        fill_tied[float](means, precision_factor, log_weight, center, whitened, model)
    else:
        fill_tied[double](means, precision_factor, log_weight, center, whitened, model)
    return model


cdef int fill_tied(const double[:, ::1] means, const double[:, ::1] precision_factor,
                   const double[::1] log_weight, const double[::1] center,
                   const double[:, ::1] whitened, floating[::1] model) except -1:
    cdef Py_ssize_t c, i, k = means.shape[0], d = means.shape[1], width = padded(d)
    cdef Py_ssize_t low = HEADER + padded(k) + k * width
    cdef Py_ssize_t scale = low + k * width
    cdef Py_ssize_t origin = scale + padded(d * (d + 1) // 2)
    fill_common(TIED, means, log_weight, model)
    if floating is float:
        pack_low_float(&center[0], &precision_factor[0, 0], d, &model[low])
        pack_triangle_float(&precision_factor[0, 0], d, 1, &model[scale])
    else:
        pack_low_double(&center[0], &precision_factor[0, 0], d, &model[low])
        pack_triangle_double(&precision_factor[0, 0], d, 1, &model[scale])
    for i in range(d):
        model[origin + i] = <floating>center[i]
    for c in range(k):
        for i in range(d):
            model[origin + width + c * width + i] = <floating>whitened[c, i]
    return 0


def pack_diagonal(const double[:, ::1] means, const double[:, ::1] inverse_deviation,
                  const double[::1] log_weight, dtype):
    """Model with a diagonal covariance per component; inverse standard deviations [k, d]."""
    model = empty_model(DIAGONAL, means.shape[0], means.shape[1], dtype)
    if model.dtype == np.float32:
        fill_diagonal[float](means, inverse_deviation, log_weight, model)
    else:
        fill_diagonal[double](means, inverse_deviation, log_weight, model)
    return model


cdef int fill_diagonal(const double[:, ::1] means, const double[:, ::1] inverse_deviation,
                       const double[::1] log_weight, floating[::1] model) except -1:
    cdef Py_ssize_t c, i, k = means.shape[0], d = means.shape[1], width = padded(d)
    cdef Py_ssize_t low = HEADER + padded(k) + k * width
    cdef Py_ssize_t scale = low + k * width
    cdef double inverse
    fill_common(DIAGONAL, means, log_weight, model)
    for c in range(k):
        for i in range(d):
            inverse = inverse_deviation[c, i] * 0.70710678118654752440
            model[scale + c * width + i] = <floating>inverse
            model[low + c * width + i] = <floating>(
                -(means[c, i] - <double><floating>means[c, i]) * inverse)
    return 0


def pack_spherical(const double[:, ::1] means, const double[::1] inverse_deviation,
                   const double[::1] log_weight, dtype):
    """Model with one variance per component; inverse standard deviations [k]."""
    model = empty_model(SPHERICAL, means.shape[0], means.shape[1], dtype)
    if model.dtype == np.float32:
        fill_spherical[float](means, inverse_deviation, log_weight, model)
    else:
        fill_spherical[double](means, inverse_deviation, log_weight, model)
    return model


cdef int fill_spherical(const double[:, ::1] means, const double[::1] inverse_deviation,
                        const double[::1] log_weight, floating[::1] model) except -1:
    cdef Py_ssize_t c, i, k = means.shape[0], d = means.shape[1], width = padded(d)
    cdef Py_ssize_t low = HEADER + padded(k) + k * width
    cdef Py_ssize_t scale = low + k * width
    fill_common(SPHERICAL, means, log_weight, model)
    for c in range(k):
        model[scale + c] = <floating>(0.5 * inverse_deviation[c] * inverse_deviation[c])
        for i in range(d):
            model[low + c * width + i] = <floating>(
                <double><floating>means[c, i] - means[c, i])
    return 0


cdef int check(const floating[:, ::1] X, Py_ssize_t n_weights, const floating[::1] model,
               Py_ssize_t k, Py_ssize_t d, int structure) except -1:
    """A wrong shape would write outside the arrays."""
    if model.shape[0] <= HEADER or (structure >= 0 and <int>model[0] != structure):
        raise ValueError("the model was not packed for this function")
    if not (<Py_ssize_t>model[1] == k and <Py_ssize_t>model[2] == d == X.shape[1]
            and n_weights == X.shape[0]):
        raise ValueError("the shapes of X, weight, model and outputs do not agree")
    return 0


cdef double run_e_step(const floating[:, ::1] X, const double[::1] weight,
                       const floating[::1] model, double* nk, double* first, double* second)\
        except? -1.0:
    cdef double log_norm = 0
    cdef int done = 1
    if X.shape[0] == 0:
        return 0.0
    with nogil:
        if floating is float:
            done = e_step_float(&X[0, 0], &weight[0], X.shape[0], &model[0], nk, first, second,
                                &log_norm)
        else:
            done = e_step_double(&X[0, 0], &weight[0], X.shape[0], &model[0], nk, first, second,
                                 &log_norm)
    if not done:
        raise MemoryError
    return log_norm


def e_step_full(const floating[:, ::1] X, const double[::1] weight, const floating[::1] model,
                double[::1] nk, double[:, ::1] first, double[:, :, ::1] second):
    """Return sum_i weight_i log p(x_i); add moments to nk [k], first [k, d], second [k, d, d]."""
    check(X, weight.shape[0], model, nk.shape[0], first.shape[1], FULL)
    check_moments(nk.shape[0], X.shape[1], first, second.shape[0],
                  second.shape[1] * second.shape[2],
                  X.shape[1] * X.shape[1])
    return run_e_step(X, weight, model, &nk[0], &first[0, 0], &second[0, 0, 0])


def e_step_tied(const floating[:, ::1] X, const double[::1] weight, const floating[::1] model,
                double[::1] nk, double[:, ::1] first):
    """Return sum_i weight_i log p(x_i); add the moments to nk [k] and first [k, d]."""
    check(X, weight.shape[0], model, nk.shape[0], first.shape[1], TIED)
    check_moments(nk.shape[0], X.shape[1], first, nk.shape[0], 0, 0)
    return run_e_step(X, weight, model, &nk[0], &first[0, 0], NULL)


def e_step_diagonal(const floating[:, ::1] X, const double[::1] weight,
                    const floating[::1] model, double[::1] nk, double[:, ::1] first,
                    double[:, ::1] second):
    """Return sum_i weight_i log p(x_i); add the moments to nk [k], first [k, d], second [k, d]."""
    check(X, weight.shape[0], model, nk.shape[0], first.shape[1], DIAGONAL)
    check_moments(nk.shape[0], X.shape[1], first, second.shape[0], second.shape[1], X.shape[1])
    return run_e_step(X, weight, model, &nk[0], &first[0, 0], &second[0, 0])


def e_step_spherical(const floating[:, ::1] X, const double[::1] weight,
                     const floating[::1] model, double[::1] nk, double[:, ::1] first,
                     double[:, ::1] second):
    """As e_step_diagonal, for a spherical model."""
    check(X, weight.shape[0], model, nk.shape[0], first.shape[1], SPHERICAL)
    check_moments(nk.shape[0], X.shape[1], first, second.shape[0], second.shape[1], X.shape[1])
    return run_e_step(X, weight, model, &nk[0], &first[0, 0], &second[0, 0])


cdef int check_moments(Py_ssize_t k, Py_ssize_t d, double[:, ::1] first, Py_ssize_t k_second,
                       Py_ssize_t size, Py_ssize_t wanted) except -1:
    if first.shape[0] != k or first.shape[1] != d or k_second != k or size != wanted:
        raise ValueError("the shapes of the moments do not agree with the model")
    return 0


cdef int run_given(const floating[:, ::1] X, const double[::1] weight,
                   const floating[:, ::1] responsibilities, const floating[::1] model,
                   double* nk, double* first, double* second) except -1:
    cdef int done = 1
    if X.shape[0] == 0:
        return 0
    with nogil:
        if floating is float:
            done = weighted_moments_float(&X[0, 0], &weight[0], X.shape[0],
                                          &responsibilities[0, 0], &model[0], nk, first, second)
        else:
            done = weighted_moments_double(&X[0, 0], &weight[0], X.shape[0],
                                           &responsibilities[0, 0], &model[0], nk, first, second)
    if not done:
        raise MemoryError
    return 0


cdef int given(const floating[:, ::1] X, const double[::1] weight,
               const floating[:, ::1] responsibilities, const double[:, ::1] origin, int structure,
               double[::1] nk, double[:, ::1] first, double* second) except -1:
    """Moments for given responsibilities, about `origin` rounded to the dtype of X."""
    cdef floating[::1] model = empty_model(
        structure, origin.shape[0], origin.shape[1], np.float32 if floating is float else np.float64
    )
    cdef const double[::1] no_weight = np.zeros(origin.shape[0])
    fill_common[floating](structure, origin, no_weight, model)
    check(X, weight.shape[0], model, nk.shape[0], first.shape[1], structure)
    if responsibilities.shape[0] != X.shape[0] or responsibilities.shape[1] != nk.shape[0]:
        raise ValueError("responsibilities must have the shape (n, k)")
    return run_given(X, weight, responsibilities, model, &nk[0], &first[0, 0], second)


def moments_full(const floating[:, ::1] X, const double[::1] weight,
                 const floating[:, ::1] responsibilities, const double[:, ::1] origin,
                 double[::1] nk, double[:, ::1] first, double[:, :, ::1] second):
    """Add the moments of given responsibilities [n, k] about origin [k, d], as e_step_full does."""
    check_moments(nk.shape[0], X.shape[1], first, second.shape[0],
                  second.shape[1] * second.shape[2],
                  X.shape[1] * X.shape[1])
    given(X, weight, responsibilities, origin, FULL, nk, first, &second[0, 0, 0])


def moments_tied(const floating[:, ::1] X, const double[::1] weight,
                 const floating[:, ::1] responsibilities, const double[:, ::1] origin,
                 double[::1] nk, double[:, ::1] first):
    """The same without second moments."""
    check_moments(nk.shape[0], X.shape[1], first, nk.shape[0], 0, 0)
    given(X, weight, responsibilities, origin, TIED, nk, first, NULL)


def moments_diagonal(const floating[:, ::1] X, const double[::1] weight,
                     const floating[:, ::1] responsibilities, const double[:, ::1] origin,
                     double[::1] nk, double[:, ::1] first, double[:, ::1] second):
    """The same with second moments per feature [k, d] (diagonal and spherical)."""
    check_moments(nk.shape[0], X.shape[1], first, second.shape[0], second.shape[1], X.shape[1])
    given(X, weight, responsibilities, origin, DIAGONAL, nk, first, &second[0, 0])


cdef int run_evaluate(const floating[:, ::1] X, const floating[::1] model, int written,
                      floating* out, double* log_norm, int64_t* label) except -1:
    cdef int done = 1
    if X.shape[0] == 0:
        return 0
    with nogil:
        if floating is float:
            done = evaluate_float(&X[0, 0], X.shape[0], &model[0], written, out, log_norm, label)
        else:
            done = evaluate_double(&X[0, 0], X.shape[0], &model[0], written, out, log_norm, label)
    if not done:
        raise MemoryError
    return 0


def log_joint(const floating[:, ::1] X, const floating[::1] model, floating[:, ::1] out):
    """out [n, k] = log p(x, component), for a model of any structure."""
    check(X, out.shape[0], model, out.shape[1], X.shape[1], -1)
    if X.shape[0]:
        run_evaluate(X, model, WRITE_LOG_JOINT, &out[0, 0], NULL, NULL)


def responsibilities(const floating[:, ::1] X, const floating[::1] model, floating[:, ::1] out,
                     double[::1] log_norm):
    """out [n, k] = p(component | x), none taken as 0; log_norm [n] = log p(x)."""
    check(X, out.shape[0], model, out.shape[1], X.shape[1], -1)
    check(X, log_norm.shape[0], model, out.shape[1], X.shape[1], -1)
    if X.shape[0]:
        run_evaluate(X, model, WRITE_RESPONSIBILITIES, &out[0, 0], &log_norm[0], NULL)


def log_norm(const floating[:, ::1] X, const floating[::1] model, double[::1] out):
    """out [n] = log p(x)."""
    check(X, out.shape[0], model, <Py_ssize_t>model[1], X.shape[1], -1)
    if X.shape[0]:
        run_evaluate(X, model, WRITE_NOTHING, NULL, &out[0], NULL)


def assign(const floating[:, ::1] X, const floating[::1] model, int64_t[::1] label):
    """label [n] = the component of largest joint density, the first of equals."""
    check(X, label.shape[0], model, <Py_ssize_t>model[1], X.shape[1], -1)
    if X.shape[0]:
        run_evaluate(X, model, WRITE_NOTHING, NULL, NULL, &label[0])


def scatter(const floating[:, ::1] X, const double[::1] weight, const double[::1] origin,
            double[::1] first, double[:, ::1] second):
    """Return sum_i w_i; add sum w (x - origin) to first [d], sum w (x - origin)(x - origin)' to
    second [d, d], all in float64."""
    cdef double total = 0
    cdef int done = 1
    cdef Py_ssize_t d = X.shape[1]
    if not (weight.shape[0] == X.shape[0] and origin.shape[0] == d == first.shape[0]
            and second.shape[0] == d == second.shape[1]):
        raise ValueError("the shapes of X, weight, origin and outputs do not agree")
    if X.shape[0] == 0:
        return 0.0
    with nogil:
        if floating is float:
            done = scatter_float(&X[0, 0], &weight[0], X.shape[0], d, &origin[0], &total,
                                 &first[0], &second[0, 0])
        else:
            done = scatter_double(&X[0, 0], &weight[0], X.shape[0], d, &origin[0], &total,
                                  &first[0], &second[0, 0])
    if not done:
        raise MemoryError
    return total

"""Scatter matrices of one block of rows about an origin, and their products with vectors.

    add_columns    sum w z and sum w z^2 by column
    add_outer      sum w z z' and sum w z        z = scale (x - origin)
    apply          sum w z (z' Q)                z = x - origin
    project        z' Q

`origin` is of X's dtype: the difference of like numbers is exact, so an offset costs no digits. Rows
of weight 0 count for nothing. Results depend on the block alone.
"""

ctypedef fused floating:
    float
    double

cdef extern from "scatter.h" nogil:
    Py_ssize_t padded_width(Py_ssize_t, Py_ssize_t)
    int add_outer_float(const float*, const double*, Py_ssize_t, Py_ssize_t, const float*, double,
                        double*, double*, Py_ssize_t)
    int add_outer_double(const double*, const double*, Py_ssize_t, Py_ssize_t, const double*,
                         double, double*, double*, Py_ssize_t)
    int add_columns_float(const float*, const double*, Py_ssize_t, Py_ssize_t, const float*,
                          double*, double*, Py_ssize_t)
    int add_columns_double(const double*, const double*, Py_ssize_t, Py_ssize_t, const double*,
                           double*, double*, Py_ssize_t)
    int apply_scatter_float(const float*, const double*, Py_ssize_t, Py_ssize_t, const float*,
                            const float*, Py_ssize_t, double*, double*)
    int apply_scatter_double(const double*, const double*, Py_ssize_t, Py_ssize_t, const double*,
                             const double*, Py_ssize_t, double*, double*)
    int project_rows_float(const float*, Py_ssize_t, Py_ssize_t, const float*, const float*,
                           Py_ssize_t, Py_ssize_t, float*)
    int project_rows_double(const double*, Py_ssize_t, Py_ssize_t, const double*, const double*,
                            Py_ssize_t, Py_ssize_t, double*)


def width(Py_ssize_t n, Py_ssize_t itemsize):
    """Columns that n columns of numbers of so many bytes are padded to."""
    return padded_width(n, itemsize)


def add_columns(const floating[:, ::1] X, const double[::1] weight, const floating[::1] origin,
                double[:, ::1] sums):  # in, out
    """Return sum w; add sum w z and sum w z^2 to the two rows of sums [2, width(d)]."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    cdef double total = 0.0
    cdef int done = 1
    if not (weight.shape[0] == n and origin.shape[0] == d and sums.shape[0] == 2
            and sums.shape[1] == padded_width(d, sizeof(floating))):
        raise ValueError("the shapes of X, weight, origin and sums do not agree")
    if n == 0 or d == 0:
        return 0.0
    with nogil:
        if floating is float:
            done = add_columns_float(&X[0, 0], &weight[0], n, d, &origin[0], &total, &sums[0, 0],
                                     sums.shape[1])
        else:
            done = add_columns_double(&X[0, 0], &weight[0], n, d, &origin[0], &total, &sums[0, 0],
                                      sums.shape[1])
    if not done:
        raise MemoryError
    return total


def add_outer(const floating[:, ::1] X, const double[::1] weight, const floating[::1] origin,
              double scale,
              double[:, ::1] sums):  # in, out
    """Return sum w; add to sums [d + 1, width(d)] the products sum w z z' (the lower triangle of
    the first d rows is complete) and sum w z (the last row)."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    cdef double total = 0.0
    cdef int done = 1
    if not (weight.shape[0] == n and origin.shape[0] == d and sums.shape[0] == d + 1
            and sums.shape[1] == padded_width(d, sizeof(floating))):
        raise ValueError("the shapes of X, weight, origin and sums do not agree")
    if n == 0 or d == 0:
        return 0.0
    with nogil:
        if floating is float:
            done = add_outer_float(&X[0, 0], &weight[0], n, d, &origin[0], scale, &total,
                                   &sums[0, 0], sums.shape[1])
        else:
            done = add_outer_double(&X[0, 0], &weight[0], n, d, &origin[0], scale, &total,
                                    &sums[0, 0], sums.shape[1])
    if not done:
        raise MemoryError
    return total


def apply(const floating[:, ::1] X, const double[::1] weight, const floating[::1] origin,
          const floating[:, ::1] Q,
          double[:, ::1] out):  # in, out
    """Add sum w z (z' Q) to out [d, width(k)]; Q [d, width(k)] has columns of zeros at its end."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], k = Q.shape[1]
    cdef double total = 0.0
    cdef int done = 1
    if not (weight.shape[0] == n and origin.shape[0] == d == Q.shape[0] == out.shape[0]
            and out.shape[1] == k == padded_width(k, sizeof(floating))):
        raise ValueError("the shapes of X, weight, origin, Q and out do not agree")
    if n == 0 or d == 0 or k == 0:
        return
    with nogil:
        if floating is float:
            done = apply_scatter_float(&X[0, 0], &weight[0], n, d, &origin[0], &Q[0, 0], k,
                                       &total, &out[0, 0])
        else:
            done = apply_scatter_double(&X[0, 0], &weight[0], n, d, &origin[0], &Q[0, 0], k,
                                        &total, &out[0, 0])
    if not done:
        raise MemoryError


def project(const floating[:, ::1] X, const floating[::1] origin, const floating[:, ::1] Q,
            floating[:, ::1] out):  # out
    """out [n, k] = z' Q for the first k columns of Q [d, width(k)]."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], k = out.shape[1]
    cdef int done = 1
    if not (out.shape[0] == n and origin.shape[0] == d == Q.shape[0]
            and Q.shape[1] == padded_width(k, sizeof(floating))):
        raise ValueError("the shapes of X, origin, Q and out do not agree")
    if n == 0 or k == 0 or d == 0:
        return
    with nogil:
        if floating is float:
            done = project_rows_float(&X[0, 0], n, d, &origin[0], &Q[0, 0], Q.shape[1], k,
                                      &out[0, 0])
        else:
            done = project_rows_double(&X[0, 0], n, d, &origin[0], &Q[0, 0], Q.shape[1], k,
                                       &out[0, 0])
    if not done:
        raise MemoryError

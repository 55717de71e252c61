"""Weighted column means and centered squares of one block of rows.

Sums are taken over chunks of rows about one row of the chunk and merged exactly (Chan, Golub
and LeVeque 1983), so neither an offset nor a far outlier costs digits, and a constant column has
a square of exactly zero.
"""

from libc.stdlib cimport free, malloc

ctypedef fused floating:
    float
    double

cdef enum:
    CHUNK = 256


cdef void add_chunk(const floating* X, const double* weight, Py_ssize_t b, Py_ssize_t d,
                    double* total, double* mean, double* square,
                    double* first, double* second) noexcept nogil:
    """Merge rows X[:b] into (total, mean, square); first and second are scratch of length d."""
    cdef Py_ssize_t i, j
    cdef double chunk = 0.0, w, z, share, shift
    cdef const floating* row
    cdef const floating* origin = X
    for i in range(b):
        if weight[i] > 0.0:
            origin = X + i * d
            break
    for j in range(d):
        first[j] = 0.0
        second[j] = 0.0
    for i in range(b):
        w = weight[i]
        chunk += w
        row = X + i * d
        for j in range(d):
            z = <double>row[j] - <double>origin[j]
            first[j] += w * z
            second[j] += w * z * z
    if chunk == 0.0:
        return
    share = chunk / (total[0] + chunk)
    for j in range(d):
        z = first[j] / chunk
        second[j] -= first[j] * z
        if second[j] < 0.0:
            second[j] = 0.0
        shift = z + (<double>origin[j] - mean[j])
        mean[j] += share * shift
        square[j] += second[j] + total[0] * share * shift * shift
    total[0] += chunk


def column_moments(const floating[:, ::1] X, const double[::1] weight,
                   double[::1] mean, double[::1] square):
    """Fill mean (d,) and square (d,) = sum w (x - mean)^2.

    Returns the total weight; a NaN or infinity in any row leaves a non-finite mean or square.
    Raises MemoryError.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], start, b
    cdef double total = 0.0
    cdef double* scratch
    for start in range(d):
        mean[start] = 0.0
        square[start] = 0.0
    if n == 0 or d == 0:
        return 0.0
    scratch = <double*>malloc(2 * d * sizeof(double))
    if scratch == NULL:
        raise MemoryError(f"column_moments needs {2 * d * sizeof(double)} bytes")
    with nogil:
        mean[0] = 0.0
        start = 0
        while start < n:
            b = min(<Py_ssize_t>CHUNK, n - start)
            add_chunk(&X[start, 0], &weight[start], b, d, &total, &mean[0], &square[0],
                      scratch, scratch + d)
            start += b
        free(scratch)
    return total

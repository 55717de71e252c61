"""Seeding on one block of rows: distances to candidate centers, and keys that order rows."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

ctypedef fused floating:
    float
    double

cdef extern from "seeding.h" nogil:
    const int MOST_CANDIDATES
    void try_candidates_float(
        const float *X, const double *weight, Py_ssize_t n, Py_ssize_t d,
        const float *candidates, int count, const float *distance, const int32_t *nearest,
        const float *threshold, uint8_t *improved, double *gain)
    void try_candidates_double(
        const double *X, const double *weight, Py_ssize_t n, Py_ssize_t d,
        const double *candidates, int count, const double *distance, const int32_t *nearest,
        const double *threshold, uint8_t *improved, double *gain)
    void accept_center_float(
        const float *X, const double *weight, Py_ssize_t n, Py_ssize_t d, const float *center,
        int32_t label, int bits, const uint8_t *improved, float *distance, int32_t *nearest,
        const uint16_t *bucket, double *change)
    void accept_center_double(
        const double *X, const double *weight, Py_ssize_t n, Py_ssize_t d, const double *center,
        int32_t label, int bits, const uint8_t *improved, double *distance, int32_t *nearest,
        const uint16_t *bucket, double *change)
    double add_deviations_float(
        const float *X, const double *weight, Py_ssize_t n, Py_ssize_t d, const double *origin,
        double *total, double *largest)
    double add_deviations_double(
        const double *X, const double *weight, Py_ssize_t n, Py_ssize_t d, const double *origin,
        double *total, double *largest)
    double add_skewness_float(
        const float *X, const double *weight, Py_ssize_t n, Py_ssize_t d, const double *mean,
        double scale, double *skew, double *z)
    double add_skewness_double(
        const double *X, const double *weight, Py_ssize_t n, Py_ssize_t d, const double *mean,
        double scale, double *skew, double *z)
    void project_float(
        const float *X, Py_ssize_t n, Py_ssize_t d, const double *mean, double scale,
        const double *direction, const double *other, double *first, double *second)
    void project_double(
        const double *X, Py_ssize_t n, Py_ssize_t d, const double *mean, double scale,
        const double *direction, const double *other, double *first, double *second)

MOST_CANDIDATES_AT_ONCE = MOST_CANDIDATES


def try_candidates(
    const floating[:, ::1] X, const double[::1] weight, const floating[:, ::1] candidates,
    const floating[::1] distance, const int32_t[::1] nearest, const floating[::1] threshold,
    uint8_t[::1] improved,  # out
    double[::1] gain,  # out
):
    """gain[c] = sum of weight * max(distance - squared distance to candidate c, 0).

    Bit c of improved[i] tells whether candidate c (at most 8 of them) is closer to row i than
    distance[i]; rows within threshold[nearest[i]] are not looked at.
    """
    with nogil:
        if floating is float:
            try_candidates_float(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &candidates[0, 0],
                <int>candidates.shape[0], &distance[0], &nearest[0], &threshold[0],
                &improved[0], &gain[0])
        else:
            try_candidates_double(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &candidates[0, 0],
                <int>candidates.shape[0], &distance[0], &nearest[0], &threshold[0],
                &improved[0], &gain[0])


def accept_center(
    const floating[:, ::1] X, const double[::1] weight, const floating[:, ::1] center,
    int32_t label, int bits, const uint8_t[::1] improved, const uint16_t[::1] bucket,
    floating[::1] distance,  # in, out
    int32_t[::1] nearest,  # in, out
    double[::1] change,  # in, out
):
    """Move rows that `improved` marks with a bit of `bits` to `center` if it is closer.

    The change of weight * distance is added to `change`, at the row's bucket.
    """
    with nogil:
        if floating is float:
            accept_center_float(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &center[0, 0], label, bits,
                &improved[0], &distance[0], &nearest[0], &bucket[0], &change[0])
        else:
            accept_center_double(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &center[0, 0], label, bits,
                &improved[0], &distance[0], &nearest[0], &bucket[0], &change[0])


def add_deviations(
    const floating[:, ::1] X, const double[::1] weight, const double[::1] origin,
    double[::1] total,  # in, out
    double[::1] scratch,
):
    """Add weight * (x - origin) to `total`; return the largest |x - origin|."""
    cdef double largest
    with nogil:
        if floating is float:
            largest = add_deviations_float(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &origin[0], &total[0],
                &scratch[0])
        else:
            largest = add_deviations_double(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &origin[0], &total[0],
                &scratch[0])
    return largest


def add_skewness(
    const floating[:, ::1] X, const double[::1] weight, const double[::1] mean, double scale,
    double[::1] skew,  # in, out
    double[::1] scratch,
):
    """Add weight * |z|^2 z, z = (x - mean) * scale, to `skew`; return sum weight * |z|^3."""
    cdef double cubes
    with nogil:
        if floating is float:
            cubes = add_skewness_float(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &mean[0], scale, &skew[0],
                &scratch[0])
        else:
            cubes = add_skewness_double(
                &X[0, 0], &weight[0], X.shape[0], X.shape[1], &mean[0], scale, &skew[0],
                &scratch[0])
    return cubes


def project(
    const floating[:, ::1] X, const double[::1] mean, double scale,
    const double[::1] direction, const double[::1] other,
    double[::1] first,  # out
    double[::1] second,  # out
):
    """Dot products of (x - mean) * scale with two directions."""
    with nogil:
        if floating is float:
            project_float(
                &X[0, 0], X.shape[0], X.shape[1], &mean[0], scale, &direction[0], &other[0],
                &first[0], &second[0])
        else:
            project_double(
                &X[0, 0], X.shape[0], X.shape[1], &mean[0], scale, &direction[0], &other[0],
                &first[0], &second[0])


def add_masses(
    const double[::1] weight, const floating[::1] distance, const uint16_t[::1] bucket,
    double[::1] mass,  # in, out
):
    """Add weight * distance of every row to the mass of its bucket."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(weight.shape[0]):
            mass[bucket[i]] += weight[i] * <double>distance[i]


def find_range(
    const double[::1] first, const double[::1] second, const double[::1] weight,
    double[::1] bounds,  # in, out: least first, most first, least second, most second
):
    """Widen `bounds` to the values of the rows of positive weight."""
    cdef Py_ssize_t i
    cdef double a = bounds[0], b = bounds[1], c = bounds[2], d = bounds[3]
    with nogil:
        for i in range(first.shape[0]):
            if weight[i] > 0:
                a = min(a, first[i])
                b = max(b, first[i])
                c = min(c, second[i])
                d = max(d, second[i])
    bounds[0], bounds[1], bounds[2], bounds[3] = a, b, c, d


cdef inline uint32_t level(double value, double least, double factor) noexcept nogil:
    # Rows of weight zero may lie outside the range.
    return <uint32_t>min(max((value - least) * factor, 0.0), 4294967295.0)


def combine_keys(
    const double[::1] first, const double[::1] second, const double[::1] bounds,
    uint64_t[::1] key,  # out
):
    """Both values in 32 bits of their range, the first before the second."""
    cdef double width = bounds[1] - bounds[0], other = bounds[3] - bounds[2]
    cdef double factor = 4294967295.0 / width if width > 0 else 0.0
    cdef double other_factor = 4294967295.0 / other if other > 0 else 0.0
    cdef double least = bounds[0], other_least = bounds[2]
    cdef Py_ssize_t i
    with nogil:
        for i in range(first.shape[0]):
            key[i] = (
                <uint64_t>level(first[i], least, factor) << 32
            ) | level(second[i], other_least, other_factor)

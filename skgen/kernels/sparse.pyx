"""CSR rows: what seeding and k-means do with one block of them.

Squared distances to a dense center y are formed as

    sum over stored entries of (x - y)^2  +  (|y|^2 - sum over stored entries of y^2)

in float64: as accurate as differences where rows are full. A second part of less than 1e-13 |y|^2
is taken for rounding, so equal rows are at distance zero whatever order sums are formed in.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.math cimport fabs, sqrt

ctypedef fused floating:
    float
    double

ctypedef fused integral:
    int32_t
    int64_t


cdef inline double squared_distance(
    const floating *data, const integral *indices, integral begin, integral end,
    const floating *center, double square,
) noexcept nogil:
    """`square` is |center|^2."""
    cdef double inside = 0.0, covered = 0.0, difference, y, outside
    cdef integral p
    for p in range(begin, end):
        y = center[indices[p]]
        difference = <double>data[p] - y
        inside += difference * difference
        covered += y * y
    outside = square - covered
    return inside + outside if outside > 1e-13 * square else inside


def add_squares(
    const floating[:, ::1] centers,
    double[::1] squares,  # out
):
    """squares[j] = |center j|^2."""
    cdef Py_ssize_t j, f
    cdef double total, y
    with nogil:
        for j in range(centers.shape[0]):
            total = 0.0
            for f in range(centers.shape[1]):
                y = centers[j, f]
                total += y * y
            squares[j] = total


def try_candidates(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const floating[:, ::1] candidates, const double[::1] squares,
    const floating[::1] distance, const int32_t[::1] nearest, const floating[::1] threshold,
    uint8_t[::1] improved,  # out
    double[::1] gain,  # out
):
    """As seeding.try_candidates."""
    cdef Py_ssize_t i, c, count = candidates.shape[0]
    cdef double saved
    cdef floating found
    with nogil:
        for c in range(count):
            gain[c] = 0.0
        for i in range(weight.shape[0]):
            improved[i] = 0
            if distance[i] <= threshold[nearest[i]]:
                continue
            for c in range(count):
                found = <floating>squared_distance(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], &candidates[c, 0],
                    squares[c])
                if found < distance[i]:
                    saved = distance[i] - found
                    gain[c] += weight[i] * saved
                    improved[i] |= 1 << c


def accept_center(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const floating[:, ::1] center, const double[::1] square,
    int32_t label, int bits, const uint8_t[::1] improved, const uint16_t[::1] bucket,
    floating[::1] distance,  # in, out
    int32_t[::1] nearest,  # in, out
    double[::1] change,  # in, out
):
    """As seeding.accept_center."""
    cdef Py_ssize_t i
    cdef floating found
    with nogil:
        for i in range(weight.shape[0]):
            if not improved[i] & bits:
                continue
            found = <floating>squared_distance(
                &data[0], &indices[0], indptr[i], indptr[i + 1], &center[0, 0], square[0])
            if found < distance[i]:
                change[bucket[i]] -= weight[i] * <double>(distance[i] - found)
                distance[i] = found
                nearest[i] = label


def add_entries(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight,
    double[::1] total,  # in, out
):
    """Add weight * x to `total`; return the largest |x|."""
    cdef Py_ssize_t i
    cdef integral p
    cdef double largest = 0.0, x
    with nogil:
        for i in range(weight.shape[0]):
            if weight[i] > 0:
                for p in range(indptr[i], indptr[i + 1]):
                    x = data[p]
                    total[indices[p]] += weight[i] * x
                    largest = max(largest, fabs(x))
    return largest


def add_skewness(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const double[::1] mean, double mean_square, double scale,
    double[::1] skew,  # in, out
    double[::1] sums,  # in, out: sum of weight |z|^3, sum of weight |z|^2
):
    """Add the stored part of weight * |z|^2 z, z = (x - mean) * scale, to `skew`.

    What is left is -mean * scale * sums[1], the same for all rows.
    """
    cdef Py_ssize_t i
    cdef integral p
    cdef double square, difference, factor, m, cubes = 0.0, squares = 0.0
    with nogil:
        for i in range(weight.shape[0]):
            square = mean_square
            for p in range(indptr[i], indptr[i + 1]):
                m = mean[indices[p]]
                difference = data[p] - m
                square += difference * difference - m * m
            square = max(square, 0.0) * scale * scale
            factor = weight[i] * square
            cubes += factor * sqrt(square)
            squares += factor
            for p in range(indptr[i], indptr[i + 1]):
                skew[indices[p]] += factor * scale * data[p]
    sums[0] += cubes
    sums[1] += squares


def project(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    double scale, const double[::1] direction, const double[::1] other,
    double[::1] first,  # out
    double[::1] second,  # out
):
    """Dot products of x * scale with two directions."""
    cdef Py_ssize_t i
    cdef integral p
    cdef double a, b, x
    with nogil:
        for i in range(first.shape[0]):
            a = 0.0
            b = 0.0
            for p in range(indptr[i], indptr[i + 1]):
                x = data[p] * scale
                a += x * direction[indices[p]]
                b += x * other[indices[p]]
            first[i] = a
            second[i] = b


cdef inline int32_t best_center(
    const floating *data, const integral *indices, integral begin, integral end,
    const double *turned, const double *minus, double *score, Py_ssize_t k,
) noexcept nogil:
    """The largest <x, c_j> + minus_j; ties go to the lowest number. `turned` is (d, k)."""
    cdef Py_ssize_t j
    cdef int32_t best = 0
    cdef integral p
    cdef double x
    cdef const double *row
    for j in range(k):
        score[j] = minus[j]
    for p in range(begin, end):
        x = data[p]
        row = turned + <Py_ssize_t>indices[p] * k
        for j in range(k):
            score[j] += x * row[j]
    for j in range(1, k):
        if score[j] > score[best]:
            best = <int32_t>j
    return best


cdef inline void move_row(
    const floating *data, const integral *indices, integral begin, integral end, double weight,
    double *total,
) noexcept nogil:
    cdef integral p
    for p in range(begin, end):
        total[indices[p]] += weight * <double>data[p]


def nearest(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[:, ::1] turned, const double[::1] minus, double[::1] score,
    int32_t[::1] labels,  # out
):
    """Nearest center of each row. `turned` is the transpose of the centers, minus -|c|^2 / 2."""
    cdef Py_ssize_t i, k = minus.shape[0]
    with nogil:
        for i in range(labels.shape[0]):
            labels[i] = best_center(
                &data[0], &indices[0], indptr[i], indptr[i + 1], &turned[0, 0], &minus[0],
                &score[0], k)


def step(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const double[:, ::1] turned, const double[::1] minus,
    double[::1] score,
    int32_t[::1] labels,  # in, out
    double[:, ::1] sums,  # in, out
    double[::1] weights,  # in, out
    int64_t[::1] members,  # in, out
    uint8_t[::1] touched,  # in, out
    bint fresh,
):
    """Label the rows by their nearest center and add up what moves between the clusters.

    With `fresh` every row is added to its cluster. Returns how many labels changed.
    """
    cdef Py_ssize_t i, k = minus.shape[0]
    cdef int64_t changed = 0
    cdef int32_t before, now
    cdef integral begin, end
    with nogil:
        for i in range(labels.shape[0]):
            begin, end = indptr[i], indptr[i + 1]
            before = labels[i]
            now = best_center(
                &data[0], &indices[0], begin, end, &turned[0, 0], &minus[0], &score[0], k)
            labels[i] = now
            if not weight[i] > 0:
                continue
            changed += before != now
            if fresh or before != now:
                move_row(&data[0], &indices[0], begin, end, weight[i], &sums[now, 0])
                weights[now] += weight[i]
                members[now] += 1
                touched[now] = 1
            if not fresh and before != now and before >= 0:
                move_row(&data[0], &indices[0], begin, end, -weight[i], &sums[before, 0])
                weights[before] -= weight[i]
                members[before] -= 1
                touched[before] = 1
    return changed


def squared_distances(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const floating[:, ::1] centers, const double[::1] squares, const int32_t[::1] labels,
    double[::1] distances,  # out
):
    """Squared distance of each row to the center of its label."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(labels.shape[0]):
            distances[i] = squared_distance(
                &data[0], &indices[0], indptr[i], indptr[i + 1], &centers[labels[i], 0],
                squares[labels[i]])


def distances_to_all(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const floating[:, ::1] centers, const double[::1] squares,
    floating[:, ::1] distances,  # out
):
    """Euclidean distance of each row to each center."""
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(distances.shape[0]):
            for j in range(distances.shape[1]):
                distances[i, j] = <floating>sqrt(squared_distance(
                    &data[0], &indices[0], indptr[i], indptr[i + 1], &centers[j, 0],
                    squares[j]))


def add_products(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const double[::1] weight, const double[::1] origin,
    double[:, ::1] products,  # in, out
    double[::1] first,  # in, out
):
    """Add the lower triangle of sum w z z', and sum w z, over stored entries; z = x - origin.

    `origin` is for columns of which every row stores an entry, and zero elsewhere. Indices are
    sorted. Returns the sum of w.
    """
    cdef Py_ssize_t i
    cdef integral p, q
    cdef double total = 0.0, wz
    cdef double *row
    with nogil:
        for i in range(weight.shape[0]):
            if not weight[i] > 0:
                continue
            total += weight[i]
            for p in range(indptr[i], indptr[i + 1]):
                wz = weight[i] * (data[p] - origin[indices[p]])
                first[indices[p]] += wz
                row = &products[indices[p], 0]
                for q in range(indptr[i], p + 1):
                    row[indices[q]] += wz * (data[q] - origin[indices[q]])
    return total

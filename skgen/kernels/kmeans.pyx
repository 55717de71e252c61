"""k-means on one block of rows: nearest centers, moves between clusters, direct distances.

Rows and centers are taken about an origin and times a power of two: `shift` is origin * scale and
`centers` (k, d) are already moved. kmeans.h says what a score is and why labels do not depend on the
kernel. `step_*` write new labels, add what the rows that changed move between the clusters to `sums`,
`weights` and `members`, and return how many rows of positive weight changed; with `fresh` every row is
added as if it were new.
"""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t

ctypedef fused floating:
    float
    double

cdef extern from "kmeans.h" nogil:
    enum:
        POINT_WIDTH
        FLOAT_LANES
        DOUBLE_LANES
    ctypedef struct tally:
        double *sums
        double *weights
        int64_t *members
        uint8_t *touched
    ctypedef struct bounds_float:
        float *upper
        float *lower
        float *norms
        Py_ssize_t groups
        const Py_ssize_t *starts
        const int32_t *group_of
        const float *drift
        const float *most
        const float *next
        const int32_t *mover
        const float *gap
        float margin
        float largest
    ctypedef struct bounds_double:
        double *upper
        double *lower
        double *norms
        Py_ssize_t groups
        const Py_ssize_t *starts
        const int32_t *group_of
        const double *drift
        const double *most
        const double *next
        const int32_t *mover
        const double *gap
        double margin
        double largest
    void half_norms_float(const float *, Py_ssize_t, Py_ssize_t, float *)
    void half_norms_double(const double *, Py_ssize_t, Py_ssize_t, double *)
    void pack_points_float(const float *, Py_ssize_t, Py_ssize_t, float *)
    void pack_points_double(const double *, Py_ssize_t, Py_ssize_t, double *)
    void pack_panels_float(const float *, Py_ssize_t, const int32_t *, Py_ssize_t, float *)
    void pack_panels_double(const double *, Py_ssize_t, const int32_t *, Py_ssize_t, double *)
    int64_t step_points_float(
        const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const float *, float, const float *,
        const double *, int, int32_t *, tally)
    int64_t step_points_double(
        const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, const double *, double, const double *,
        const double *, int, int32_t *, tally)
    int64_t step_panels_float(
        const float *, Py_ssize_t, Py_ssize_t, const float *, float, const float *, const int32_t *,
        Py_ssize_t, const double *, int, int32_t *, tally)
    int64_t step_panels_double(
        const double *, Py_ssize_t, Py_ssize_t, const double *, double, const double *, const int32_t *,
        Py_ssize_t, const double *, int, int32_t *, tally)
    int64_t step_skipping_float(
        const float *, Py_ssize_t, Py_ssize_t, const float *, float, const float *, const int32_t *,
        Py_ssize_t, const double *, int, int32_t *, tally)
    int64_t count_zeros_float(const float *, Py_ssize_t)
    int64_t step_bounds_float(
        const float *, Py_ssize_t, Py_ssize_t, const float *, const float *, const float *, float,
        const float *, const int32_t *, bounds_float, const double *, int, int,
        int32_t *, tally, int64_t *)
    int64_t step_skipping_double(
        const double *, Py_ssize_t, Py_ssize_t, const double *, double, const double *, const int32_t *,
        Py_ssize_t, const double *, int, int32_t *, tally)
    int64_t count_zeros_double(const double *, Py_ssize_t)
    int64_t step_bounds_double(
        const double *, Py_ssize_t, Py_ssize_t, const double *, const double *, const double *,
        double,
        const double *, const int32_t *, bounds_double, const double *, int, int,
        int32_t *, tally, int64_t *)
    double squared_distance_float(
        const float *, const float *, Py_ssize_t, const float *, double)
    double squared_distance_double(
        const double *, const double *, Py_ssize_t, const double *, double)


def lanes(int itemsize):
    """Numbers of `itemsize` bytes in one vector."""
    return FLOAT_LANES if itemsize == 4 else DOUBLE_LANES


def points_size(Py_ssize_t k, Py_ssize_t d):
    """Numbers in the packed centers that `step_points` reads."""
    return (k + POINT_WIDTH - 1) // POINT_WIDTH * POINT_WIDTH * (1 + d)


def pack_points(const floating[:, ::1] centers, floating[::1] packed):
    """Lay the centers out for `step_points`."""
    with nogil:
        if floating is float:
            pack_points_float(&centers[0, 0], centers.shape[0], centers.shape[1], &packed[0])
        else:
            pack_points_double(&centers[0, 0], centers.shape[0], centers.shape[1], &packed[0])


def pack_panels(
    const floating[:, ::1] centers,
    const int32_t[::1] ids,
    floating[::1] packed,  # out, (ids.size, 1 + d)
    floating[::1] minus,  # out, (k)
):
    """Lay the centers `ids` (-1: an empty lane) out for `step_panels` and `step_bounds`.

    `minus` receives -|c|^2 / 2 of each center.
    """
    cdef Py_ssize_t k = centers.shape[0], d = centers.shape[1]
    with nogil:
        if floating is float:
            pack_panels_float(&centers[0, 0], d, &ids[0], ids.shape[0] // FLOAT_LANES, &packed[0])
            half_norms_float(&centers[0, 0], k, d, &minus[0])
        else:
            pack_panels_double(&centers[0, 0], d, &ids[0], ids.shape[0] // DOUBLE_LANES, &packed[0])
            half_norms_double(&centers[0, 0], k, d, &minus[0])


def step_points(
    const floating[:, ::1] X,
    const double[::1] weight,
    const floating[::1] shift,
    const floating[::1] packed,
    int32_t[::1] labels,  # in and out
    double[:, ::1] sums,  # out, added to
    double[::1] weights,  # out, added to
    int64_t[::1] members,  # out, added to
    uint8_t[::1] touched,  # out
    double scale,
    bint fresh,
):
    """One iteration for rows with few features, all centers scored, rows in lanes."""
    cdef tally into = tally(&sums[0, 0], &weights[0], &members[0], &touched[0])
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], k = sums.shape[0]
    cdef int64_t changed
    with nogil:
        if floating is float:
            changed = step_points_float(
                &X[0, 0], n, d, k, &shift[0], <float> scale, &packed[0], &weight[0], fresh,
                &labels[0], into)
        else:
            changed = step_points_double(
                &X[0, 0], n, d, k, &shift[0], scale, &packed[0], &weight[0], fresh,
                &labels[0], into)
    if changed < 0:
        raise MemoryError
    return changed


def step_panels(
    const floating[:, ::1] X,
    const double[::1] weight,
    const floating[::1] shift,
    const floating[::1] packed,
    const int32_t[::1] ids,
    int32_t[::1] labels,  # in and out
    double[:, ::1] sums,  # out, added to
    double[::1] weights,  # out, added to
    int64_t[::1] members,  # out, added to
    uint8_t[::1] touched,  # out
    double scale,
    bint fresh,
    bint skip=False,
):
    """One iteration for rows with many features, all centers scored, centers in lanes.

    `skip` leaves out features with x = 0, as it may about the origin zero.
    """
    cdef tally into = tally(&sums[0, 0], &weights[0], &members[0], &touched[0])
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    cdef int64_t changed
    with nogil:
        if floating is float:
            changed = (step_skipping_float if skip else step_panels_float)(
                &X[0, 0], n, d, &shift[0], <float> scale, &packed[0], &ids[0],
                ids.shape[0] // FLOAT_LANES, &weight[0], fresh, &labels[0], into)
        else:
            changed = (step_skipping_double if skip else step_panels_double)(
                &X[0, 0], n, d, &shift[0], scale, &packed[0], &ids[0],
                ids.shape[0] // DOUBLE_LANES, &weight[0], fresh, &labels[0], into)
    if changed < 0:
        raise MemoryError
    return changed


def step_bounds(
    const floating[:, ::1] X,
    const double[::1] weight,
    const floating[::1] shift,
    const floating[:, ::1] centers,
    const floating[::1] minus,
    const floating[::1] packed,
    const int32_t[::1] ids,
    const Py_ssize_t[::1] starts,
    const int32_t[::1] group_of,
    const floating[::1] drift,
    const floating[::1] most,
    const floating[::1] next_most,
    const int32_t[::1] mover,
    const floating[::1] gap,
    floating[::1] upper,  # in and out
    floating[:, ::1] lower,  # in and out
    floating[::1] norms,  # in and out
    int32_t[::1] labels,  # in and out
    double[:, ::1] sums,  # out, added to
    double[::1] weights,  # out, added to
    int64_t[::1] members,  # out, added to
    uint8_t[::1] touched,  # out
    double scale,
    double margin,
    double largest,
    bint fresh,
    bint skip=False,
):
    """One iteration that scores only the groups of centers the bounds leave in doubt.

    Groups are ranges `starts` of vectors of centers. Returns also the number of scores computed.
    """
    cdef tally into = tally(&sums[0, 0], &weights[0], &members[0], &touched[0])
    cdef bounds_float narrow
    cdef bounds_double wide
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], groups = lower.shape[1]
    cdef int64_t changed, scored = 0
    with nogil:
        if floating is float:
            narrow = bounds_float(
                &upper[0], &lower[0, 0], &norms[0], groups, &starts[0], &group_of[0], &drift[0],
                &most[0], &next_most[0], &mover[0], &gap[0], <float> margin, <float> largest)
            changed = step_bounds_float(
                &X[0, 0], n, d, &centers[0, 0], &minus[0], &shift[0], <float> scale, &packed[0],
                &ids[0], narrow, &weight[0], fresh, skip, &labels[0], into, &scored)
        else:
            wide = bounds_double(
                &upper[0], &lower[0, 0], &norms[0], groups, &starts[0], &group_of[0], &drift[0],
                &most[0], &next_most[0], &mover[0], &gap[0], margin, largest)
            changed = step_bounds_double(
                &X[0, 0], n, d, &centers[0, 0], &minus[0], &shift[0], scale, &packed[0],
                &ids[0], wide, &weight[0], fresh, skip, &labels[0], into, &scored)
    if changed < 0:
        raise MemoryError
    return changed, scored


def update(
    double[:, ::1] sums,
    double[::1] weights,
    const int64_t[::1] members,
    floating[:, ::1] centers,  # in and out
    floating[::1] drift,  # out, an upper bound
    double slack,
):
    """Move the centers to the means of their members.

    Returns sum_k W_k |c_k|^2 - 2 <c_k, S_k> for the centers before the move, the total squared
    movement, and the largest squared norm of the centers after it. A cluster without members gets
    exact zeros and the center of the heaviest cluster. `slack` is a relative bound on the rounding
    of a norm.
    """
    cdef Py_ssize_t k = sums.shape[0], d = sums.shape[1], j, t, heaviest = 0, source
    cdef double inertia = 0, total = 0, largest = 0, own, moved, norm, product, old
    cdef floating new
    with nogil:
        for j in range(k):
            if members[j] == 0:
                weights[j] = 0
                for t in range(d):
                    sums[j, t] = 0
            if weights[j] > weights[heaviest]:
                heaviest = j
        for j in range(k):
            own = moved = norm = product = 0
            source = j if members[j] > 0 else heaviest
            for t in range(d):
                old = centers[j, t]
                own += old * old
                product += old * sums[j, t]
                new = <floating> (sums[source, t] / weights[source])
                moved += (new - old) * (new - old)
                norm += <double> new * new
                centers[j, t] = new
            inertia += weights[j] * own - 2 * product
            total += moved
            drift[j] = <floating> (sqrt(moved) * (1 + slack))
            if norm > largest:
                largest = norm
    return inertia, total, largest


def survey(
    const floating[:, ::1] X,
    const double[::1] weight,
    const floating[::1] near,
    double[::1] sums,  # out, added to
    double[::1] squares,  # out, added to
    double scale,
):
    """Weighted column sums of (x - near) * scale and of its square; returns the largest |x|."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], i, t
    cdef floating largest = 0, size
    cdef double w, value
    with nogil:
        for i in range(n):
            w = weight[i]
            for t in range(d):
                size = X[i, t] if X[i, t] > 0 else -X[i, t]
                largest = size if size > largest else largest
                value = X[i, t] * scale - near[t] * scale
                sums[t] += w * value
                squares[t] += w * (value * value)
    return largest


def count_zeros(const floating[:, ::1] X):
    """How many numbers are zero."""
    cdef int64_t zeros
    with nogil:
        if floating is float:
            zeros = count_zeros_float(&X[0, 0], X.shape[0] * X.shape[1])
        else:
            zeros = count_zeros_double(&X[0, 0], X.shape[0] * X.shape[1])
    return zeros


def squared_distances(
    const floating[:, ::1] X,
    const floating[::1] shift,
    const floating[:, ::1] centers,
    const int32_t[::1] labels,
    double[::1] distances,  # out
    double scale,
):
    """Squared distance, in moved coordinates, of each row to its center, from differences."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], i
    with nogil:
        for i in range(n):
            if floating is float:
                distances[i] = squared_distance_float(
                    &X[i, 0], &centers[labels[i], 0], d, &shift[0], scale)
            else:
                distances[i] = squared_distance_double(
                    &X[i, 0], &centers[labels[i], 0], d, &shift[0], scale)


def distances_to_all(
    const floating[:, ::1] X,
    const floating[::1] shift,
    const floating[:, ::1] centers,
    floating[:, ::1] distances,  # out, (n, k)
    double scale,
):
    """Euclidean distance of each row to each center, from differences."""
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], k = centers.shape[0], i, j
    cdef double inverse = 1 / scale
    with nogil:
        for i in range(n):
            for j in range(k):
                if floating is float:
                    distances[i, j] = <float> (inverse * sqrt(
                        squared_distance_float(&X[i, 0], &centers[j, 0], d, &shift[0], scale)))
                else:
                    distances[i, j] = inverse * sqrt(
                        squared_distance_double(&X[i, 0], &centers[j, 0], d, &shift[0], scale))


def nearest(
    const floating[:, ::1] X,
    const floating[::1] shift,
    const floating[::1] packed,
    const int32_t[::1] ids,
    int32_t[::1] labels,  # out
    Py_ssize_t k,
    double scale,
    bint skip=False,
):
    """Nearest center of each row; no `ids`: `packed` is laid out for rows in lanes.

    `skip` is as in `step_panels`.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    cdef tally nothing = tally(NULL, NULL, NULL, NULL)
    cdef const int32_t *lane_ids = &ids[0] if ids.shape[0] else NULL
    cdef int64_t done
    with nogil:
        if floating is float:
            if lane_ids == NULL:
                done = step_points_float(
                    &X[0, 0], n, d, k, &shift[0], <float> scale, &packed[0], NULL, 0,
                    &labels[0], nothing)
            else:
                done = (step_skipping_float if skip else step_panels_float)(
                    &X[0, 0], n, d, &shift[0], <float> scale, &packed[0], lane_ids,
                    ids.shape[0] // FLOAT_LANES, NULL, 0, &labels[0], nothing)
        else:
            if lane_ids == NULL:
                done = step_points_double(
                    &X[0, 0], n, d, k, &shift[0], scale, &packed[0], NULL, 0,
                    &labels[0], nothing)
            else:
                done = (step_skipping_double if skip else step_panels_double)(
                    &X[0, 0], n, d, &shift[0], scale, &packed[0], lane_ids,
                    ids.shape[0] // DOUBLE_LANES, NULL, 0, &labels[0], nothing)
    if done < 0:
        raise MemoryError

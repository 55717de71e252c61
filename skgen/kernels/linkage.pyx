"""Agglomerative clustering: nearest-neighbor chains, spanning trees, and what they work on.

A tree of n leaves is handed on as n - 1 merges: two ids and a height each. A cluster has the larger
of the ids of its two parts. Points are columns of an array [d, stride] with room for
``lanes()`` columns after the last; clusters that are still active stand in its first columns.

Long loops run in slices: a function returns after about `budget` operations and goes on from
`state` when it is called again, so that a signal is heard. Everything is deterministic, ties go
to the cluster before in a chain, else to the lowest id.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t

ctypedef fused floating:
    float
    double

cdef extern from "linkage.h" nogil:
    Py_ssize_t scan_lanes()
    void scan_points "scan"(const double*, Py_ssize_t, Py_ssize_t, Py_ssize_t, Py_ssize_t,
                            const double*, double*)
    Py_ssize_t nearest_place(const double*, const int32_t*, Py_ssize_t)
    double squared_distance(const double*, const double*, Py_ssize_t)

# Rules, as skgen.cluster.linkage numbers them.
cdef enum:
    WARD, AVERAGE, COMPLETE, SINGLE, CENTROID, MEDIAN
# Places in `state`.
cdef enum:
    ACTIVE, CHAINED, MERGED, LOWEST, SCANNED, EVALUATED

# A bound that rounding made too large must not exclude the nearest.
cdef double SLACK = 1.0 - 1e-10


def lanes():
    """Columns that must follow the last point."""
    return scan_lanes()


cdef inline void move_column(double *points, Py_ssize_t stride, Py_ssize_t d, Py_ssize_t source,
                             Py_ssize_t target) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(d):
        points[j * stride + target] = points[j * stride + source]


cdef inline void join_centers(double *points, Py_ssize_t stride, Py_ssize_t d, Py_ssize_t p,
                              Py_ssize_t q, double wp, double wq) noexcept nogil:
    """Column q becomes the mean of columns p and q."""
    cdef Py_ssize_t j
    cdef double share = wp / (wp + wq)
    for j in range(d):
        points[j * stride + q] += share * (points[j * stride + p] - points[j * stride + q])


cdef double member_distance(const double *rows, Py_ssize_t d, const double *row_weight,
                            const int32_t *following, int32_t a, int32_t b, double weights,
                            int rule) noexcept nogil:
    """Mean, or largest, distance of the members of two clusters; lists begin at a and b."""
    cdef int32_t p = a, q
    cdef double total = 0.0, one, square
    while p >= 0:
        q = b
        one = 0.0
        while q >= 0:
            square = squared_distance(rows + p * d, rows + q * d, d)
            if rule == COMPLETE:
                if square > total:
                    total = square
            else:
                one += row_weight[q] * sqrt(square)
            q = following[q]
        if rule == AVERAGE:
            total += row_weight[p] * one
        p = following[p]
    return sqrt(total) if rule == COMPLETE else total / weights


def chain_of_centers(
    int rule,
    double[:, ::1] points, double[::1] spread, double[::1] weight, int32_t[::1] ids,  # in, out
    const double[:, ::1] rows, const double[::1] row_weight,
    int32_t[::1] places, int32_t[::1] heads, int32_t[::1] tails, int32_t[::1] following,  # in, out
    int32_t[::1] counts,  # in, out
    int32_t[::1] chain, double[::1] links,  # in, out
    int64_t[::1] state,  # in, out
    double[::1] distance, double[::1] x,  # scratch
    int32_t[:, ::1] pairs, double[::1] heights,  # out
    Py_ssize_t fewest, double budget,
):
    """Nearest-neighbor chain on centers, until `fewest` clusters are left or the budget is spent.

    WARD needs centers and weights alone: height^2 = 2 w_a w_b / (w_a + w_b) |c_a - c_b|^2. AVERAGE
    and COMPLETE use |c_a - c_b|, and the root of |c_a - c_b|^2 + spread_a + spread_b, which no mean
    and no largest distance is less than, to leave out clusters whose members need not be looked
    at. Returns whether the work is done.
    """
    cdef Py_ssize_t d = points.shape[0], stride = points.shape[1], m, length, p, q, i, best
    cdef double spent = 0.0, w, found, least, wa, wb, square
    cdef int32_t top, previous, low, high, other
    cdef bint first
    with nogil:
        while state[ACTIVE] > fewest and spent < budget:
            m, length = state[ACTIVE], state[CHAINED]
            if length == 0:
                while places[state[LOWEST]] < 0:
                    state[LOWEST] += 1
                chain[0], length = <int32_t>state[LOWEST], 1
            top = chain[length - 1]
            previous = chain[length - 2] if length > 1 else -1
            p = places[top]
            w = weight[p]
            for i in range(d):
                x[i] = points[i, p]
            scan_points(&points[0, 0], stride, 0, m, d, &x[0], &distance[0])
            spent += m * (d + 4)
            state[SCANNED] += m * d
            if rule == WARD:
                for i in range(m):
                    distance[i] *= 2.0 * w * weight[i] / (w + weight[i])
                distance[p] = INFINITY
                best = nearest_place(&distance[0], &ids[0], m)
                found = distance[best] if best >= 0 else INFINITY
                if previous >= 0 and distance[places[previous]] <= found:
                    best = places[previous]
                    found = distance[best]
                found = sqrt(found)
            else:
                if rule == COMPLETE:
                    for i in range(m):
                        distance[i] += spread[i] + spread[p]
                distance[p] = INFINITY
                best, found = -1, INFINITY
                if previous >= 0:
                    best, found = places[previous], links[length - 1]
                    distance[best] = INFINITY
                # The nearest center first: what it leaves out need not be looked at.
                i = nearest_place(&distance[0], &ids[0], m)
                first = i >= 0
                while i < m:
                    if i >= 0 and distance[i] * SLACK <= found * found:
                        least = member_distance(
                            &rows[0, 0], d, &row_weight[0], &following[0], heads[top],
                            heads[ids[i]], w * weight[i], rule)
                        square = <double>counts[top] * counts[ids[i]] * d
                        state[EVALUATED] += <int64_t>square
                        spent += square
                        distance[i] = INFINITY
                        if least < found or (least == found and best >= 0
                                             and ids[best] != previous and ids[i] < ids[best]):
                            best, found = i, least
                    i = 0 if first else i + 1
                    first = False
                spent += m
            if best < 0:
                state[CHAINED] = -1
                break
            if ids[best] != previous:
                chain[length], links[length] = ids[best], found
                state[CHAINED] = length + 1
                continue
            # Nearest neighbors of each other: merged, and the chain goes on from what was before.
            state[CHAINED] = length - 2
            low, high = min(top, previous), max(top, previous)
            i = state[MERGED]
            pairs[i, 0], pairs[i, 1], heights[i] = low, high, found
            state[MERGED] = i + 1
            p, q = places[low], places[high]
            wa, wb = weight[p], weight[q]
            if rule == COMPLETE:
                square = 0.0
                for i in range(d):
                    square += (points[i, p] - points[i, q]) ** 2
                spread[q] = ((wa * spread[p] + wb * spread[q]) / (wa + wb)
                             + wa * wb / (wa + wb) ** 2 * square)
            join_centers(&points[0, 0], stride, d, p, q, wa, wb)
            weight[q] = wa + wb
            following[tails[low]] = heads[high]
            heads[high] = heads[low]
            counts[high] += counts[low]
            places[low] = -1
            m -= 1
            state[ACTIVE] = m
            if p != m:
                other = ids[m]
                move_column(&points[0, 0], stride, d, m, p)
                weight[p], spread[p], ids[p] = weight[m], spread[m], other
                places[other] = <int32_t>p
    return state[ACTIVE] <= fewest or state[CHAINED] < 0


def spanning_tree(
    double[:, ::1] points, int32_t[::1] ids,  # in, out
    double[::1] nearest, int32_t[::1] neighbor,  # in, out
    int64_t[::1] state,  # in, out
    double[::1] distance, double[::1] x,  # scratch, in, out
    int32_t[:, ::1] pairs, double[::1] squares,  # out
    double budget,
):
    """Prim's minimum spanning tree of points, from the last to be taken out, x with id state[LOWEST].

    Squared lengths of its edges. Returns whether the work is done.
    """
    cdef Py_ssize_t d = points.shape[0], stride = points.shape[1], m, i, best
    cdef double spent = 0.0
    cdef int32_t last
    with nogil:
        while state[ACTIVE] > 0 and spent < budget:
            m, last = state[ACTIVE], <int32_t>state[LOWEST]
            scan_points(&points[0, 0], stride, 0, m, d, &x[0], &distance[0])
            spent += m * (d + 4)
            for i in range(m):
                if distance[i] < nearest[i]:
                    nearest[i] = distance[i]
                    neighbor[i] = last
            best = nearest_place(&nearest[0], &ids[0], m)
            if best < 0:
                state[CHAINED] = -1
                break
            i = state[MERGED]
            pairs[i, 0], pairs[i, 1], squares[i] = neighbor[best], ids[best], nearest[best]
            state[MERGED] = i + 1
            state[LOWEST] = ids[best]
            for i in range(d):
                x[i] = points[i, best]
            m -= 1
            state[ACTIVE] = m
            if best != m:
                move_column(&points[0, 0], stride, d, m, best)
                ids[best], nearest[best], neighbor[best] = ids[m], nearest[m], neighbor[m]
    return state[ACTIVE] <= 0 or state[CHAINED] < 0


def merge_nearest_centers(
    int rule,
    double[:, ::1] points, double[::1] weight, int32_t[::1] ids,  # in, out
    double[::1] nearest, int32_t[::1] neighbor,  # in, out: id of the nearest, -1 if unknown
    int64_t[::1] state,  # in, out
    double[::1] distance, double[::1] x,  # scratch
    int32_t[:, ::1] pairs, double[::1] heights,  # out
    double budget,
):
    """Merge the two nearest centers, again and again: CENTROID and MEDIAN.

    Their distances may fall, so chains of nearest neighbors do not apply; every cluster remembers
    its nearest neighbor instead. Returns whether the work is done.
    """
    cdef Py_ssize_t d = points.shape[0], stride = points.shape[1], m, i, j, p, q
    cdef double spent = 0.0, wa, wb
    cdef int32_t low, high
    with nogil:
        while state[ACTIVE] > 1 and spent < budget:
            m = state[ACTIVE]
            for i in range(m):
                if neighbor[i] >= 0:
                    continue
                for j in range(d):
                    x[j] = points[j, i]
                scan_points(&points[0, 0], stride, 0, m, d, &x[0], &distance[0])
                spent += m * (d + 4)
                distance[i] = INFINITY
                p = nearest_place(&distance[0], &ids[0], m)
                if p < 0:
                    state[CHAINED] = -1
                    break
                nearest[i], neighbor[i] = distance[p], ids[p]
                if spent >= budget:
                    break
            if state[CHAINED] < 0 or spent >= budget:
                break
            p = nearest_place(&nearest[0], &ids[0], m)
            spent += 2 * m
            q = -1
            for i in range(m):
                if ids[i] == neighbor[p]:
                    q = i
                    break
            if ids[p] > ids[q]:
                p, q = q, p
            low, high = ids[p], ids[q]
            i = state[MERGED]
            pairs[i, 0], pairs[i, 1] = low, high
            heights[i] = sqrt(min(nearest[p], nearest[q]))
            state[MERGED] = i + 1
            wa, wb = weight[p], weight[q]
            if rule == MEDIAN:
                join_centers(&points[0, 0], stride, d, p, q, 1.0, 1.0)
            else:
                join_centers(&points[0, 0], stride, d, p, q, wa, wb)
            weight[q] = wa + wb
            m -= 1
            state[ACTIVE] = m
            for j in range(d):
                x[j] = points[j, q]
            if p != m:
                move_column(&points[0, 0], stride, d, m, p)
                weight[p], ids[p] = weight[m], ids[m]
                nearest[p], neighbor[p] = nearest[m], neighbor[m]
                if q == m:
                    q = p
            scan_points(&points[0, 0], stride, 0, m, d, &x[0], &distance[0])
            spent += m * (d + 4)
            neighbor[q] = -1
            distance[q] = INFINITY
            i = nearest_place(&distance[0], &ids[0], m)
            if i >= 0:
                nearest[q], neighbor[q] = distance[i], ids[i]
            elif m > 1:
                state[CHAINED] = -1
                break
            for i in range(m):
                if i == q:
                    continue
                if neighbor[i] == low or neighbor[i] == high:
                    # Still the nearest if it came nearer.
                    neighbor[i] = -1 if distance[i] > nearest[i] else high
                    if neighbor[i] >= 0:
                        nearest[i] = distance[i]
                elif distance[i] < nearest[i]:
                    nearest[i], neighbor[i] = distance[i], high
    return state[ACTIVE] <= 1 or state[CHAINED] < 0


def add_cluster_distances(
    int rule,
    const double[:, ::1] points, const double[::1] row_weight, const int32_t[::1] cluster,
    const int64_t[::1] starts, Py_ssize_t begin, Py_ssize_t end,
    double[::1] distance, double[::1] x,  # scratch
    double[::1] condensed,  # out
):
    """Distances of clusters begin to end to all later ones, from those of their members.

    Points are sorted by their cluster, whose first is starts[c]; condensed is [m (m - 1) / 2].
    AVERAGE adds up w_p w_q |x_p - x_q|, COMPLETE keeps the largest |x_p - x_q|^2.
    """
    cdef Py_ssize_t d = points.shape[0], stride = points.shape[1], m = starts.shape[0] - 1
    cdef Py_ssize_t n = cluster.shape[0], a, p, q, first, offset
    with nogil:
        for a in range(begin, end):
            # Cluster b stands at offset + b.
            offset = a * m - a * (a + 1) // 2 - a - 1
            first = starts[a + 1]
            for q in range(a + 1, m):
                condensed[offset + q] = 0.0
            for p in range(starts[a], first):
                for q in range(d):
                    x[q] = points[q, p]
                scan_points(&points[0, 0], stride, first, n, d, &x[0], &distance[0])
                if rule == COMPLETE:
                    for q in range(first, n):
                        if distance[q] > condensed[offset + cluster[q]]:
                            condensed[offset + cluster[q]] = distance[q]
                else:
                    for q in range(first, n):
                        distance[q] = row_weight[p] * row_weight[q] * sqrt(distance[q])
                    for q in range(first, n):
                        condensed[offset + cluster[q]] += distance[q]


cdef inline Py_ssize_t place_of(Py_ssize_t n, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Where the distance of i and j stands in a condensed matrix."""
    if i > j:
        i, j = j, i
    return i * n - i * (i + 1) // 2 + j - i - 1


cdef inline double united(int rule, double da, double db, double dab, double wa, double wb,
                          double wk) noexcept nogil:
    """Distance of a cluster to the union of a and b (Lance and Williams 1967); squares for WARD."""
    if rule == SINGLE:
        return min(da, db)
    if rule == COMPLETE:
        return max(da, db)
    if rule == AVERAGE:
        return (wa * da + wb * db) / (wa + wb)
    return ((wa + wk) * da + (wb + wk) * db - wk * dab) / (wa + wb + wk)


def chain_of_distances(
    int rule,
    floating[::1] condensed, double[::1] weight,  # in, out
    int32_t[::1] ids, int32_t[::1] chain,  # in, out
    int64_t[::1] state,  # in, out
    int32_t[:, ::1] pairs, double[::1] heights,  # out
    double budget,
):
    """Nearest-neighbor chain on a condensed matrix: WARD (squares), AVERAGE, COMPLETE or SINGLE.

    `ids` lists the active clusters in ascending order. Returns whether the work is done.
    """
    cdef Py_ssize_t n = weight.shape[0], m, i, k, length
    cdef double spent = 0.0, found, one, wa, wb
    cdef int32_t top, previous, nearest, low, high
    cdef double dab
    with nogil:
        while state[ACTIVE] > 1 and spent < budget:
            m, length = state[ACTIVE], state[CHAINED]
            if length == 0:
                chain[0], length = ids[0], 1
            top = chain[length - 1]
            previous = chain[length - 2] if length > 1 else -1
            nearest, found = previous, INFINITY
            if previous >= 0:
                found = condensed[place_of(n, top, previous)]
            for k in range(m):
                i = ids[k]
                if i == top:
                    continue
                one = condensed[place_of(n, top, i)]
                if one < found:
                    found, nearest = one, <int32_t>i
            spent += 8.0 * m
            if nearest < 0 or not found < INFINITY:
                state[CHAINED] = -1
                break
            if nearest != previous:
                chain[length] = nearest
                state[CHAINED] = length + 1
                continue
            state[CHAINED] = length - 2
            low, high = min(top, nearest), max(top, nearest)
            i = state[MERGED]
            pairs[i, 0], pairs[i, 1], heights[i] = low, high, found
            state[MERGED] = i + 1
            wa, wb, dab = weight[low], weight[high], found
            length = 0
            for k in range(m):
                i = ids[k]
                if i == low:
                    continue
                ids[length] = <int32_t>i
                length += 1
                if i == high:
                    continue
                condensed[place_of(n, high, i)] = <floating>united(
                    rule, condensed[place_of(n, low, i)], condensed[place_of(n, high, i)], dab,
                    wa, wb, weight[i])
            spent += 16.0 * m
            weight[high] = wa + wb
            state[ACTIVE] = m - 1
    return state[ACTIVE] <= 1 or state[CHAINED] < 0


def fill_distances(
    const double[:, ::1] points, Py_ssize_t n, Py_ssize_t begin, Py_ssize_t end, bint squared,
    double[::1] distance, double[::1] x,  # scratch
    floating[::1] condensed,  # out
):
    """Euclidean distances of points begin to end to all later ones, or their squares."""
    cdef Py_ssize_t d = points.shape[0], stride = points.shape[1], i, j, offset
    with nogil:
        for i in range(begin, end):
            for j in range(d):
                x[j] = points[j, i]
            scan_points(&points[0, 0], stride, i + 1, n, d, &x[0], &distance[0])
            offset = i * n - i * (i + 1) // 2 - i - 1
            for j in range(i + 1, n):
                condensed[offset + j] = <floating>(distance[j] if squared else sqrt(distance[j]))


def label_merges(
    const int32_t[:, ::1] pairs, const int64_t[::1] order,
    int32_t[::1] parent, int32_t[::1] node, int32_t[::1] size,  # scratch
    double[:, ::1] tree,  # out: columns 0, 1 and 3
):
    """Write merges of ids, taken in `order`, as nodes: leaves are 0 to n - 1, merge i makes n + i."""
    cdef Py_ssize_t n = pairs.shape[0] + 1, i
    cdef int32_t a, b, root
    with nogil:
        for i in range(n):
            parent[i] = <int32_t>i
            node[i] = <int32_t>i
            size[i] = 1
        for i in range(n - 1):
            a = find_root(&parent[0], pairs[order[i], 0])
            b = find_root(&parent[0], pairs[order[i], 1])
            tree[i, 0] = min(node[a], node[b])
            tree[i, 1] = max(node[a], node[b])
            root = a if size[a] >= size[b] else b
            parent[a] = root
            parent[b] = root
            size[root] = size[a] + size[b]
            tree[i, 3] = size[root]
            node[root] = <int32_t>(n + i)


cdef inline int32_t find_root(int32_t *parent, int32_t i) noexcept nogil:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def farthest_or_mean(
    int rule,
    const double[:, ::1] points, const double[::1] row_weight, const int32_t[::1] cluster,
    const double[:, ::1] rows,
    double[::1] distance,  # scratch
    double[:, ::1] out,  # in, out
):
    """Rule's distance of new rows to clusters of points: least, largest or sum of w |x - p|.

    `out` begins with infinity for SINGLE, else with zero; SINGLE and COMPLETE are squares.
    """
    cdef Py_ssize_t d = points.shape[0], stride = points.shape[1], n = cluster.shape[0], i, q
    with nogil:
        for i in range(rows.shape[0]):
            scan_points(&points[0, 0], stride, 0, n, d, &rows[i, 0], &distance[0])
            if rule == SINGLE:
                for q in range(n):
                    if distance[q] < out[i, cluster[q]]:
                        out[i, cluster[q]] = distance[q]
            elif rule == COMPLETE:
                for q in range(n):
                    if distance[q] > out[i, cluster[q]]:
                        out[i, cluster[q]] = distance[q]
            else:
                for q in range(n):
                    out[i, cluster[q]] += row_weight[q] * sqrt(distance[q])

/* Squared distances of one point to many, which lie in vector lanes. */
#ifndef SKGEN_LINKAGE_H
#define SKGEN_LINKAGE_H

#define REAL_IS_DOUBLE
#include "vector_of.h"
#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 8")
#else
#  define UNROLL
#endif
#define SCAN_VECTORS 4

/* Points that room must be left for after the last. */
static ptrdiff_t scan_lanes(void) { return SCAN_VECTORS * LANES; }

/* out[i] = sum_j (points[j][i] - x[j])^2, start <= i < end; writes up to scan_lanes() more. Points are
 * columns, `stride` numbers to a row. */
static void scan(const double *points, ptrdiff_t stride, ptrdiff_t start, ptrdiff_t end, ptrdiff_t d,
                 const double *x, double *out) {
    for (ptrdiff_t i = start; i < end; i += SCAN_VECTORS * LANES) {
        VEC sum[SCAN_VECTORS];
        UNROLL for (int v = 0; v < SCAN_VECTORS; v++) sum[v] = T(splat)(0);
        for (ptrdiff_t j = 0; j < d; j++) {
            const VEC center = T(splat)(x[j]);
            const double *row = points + j * stride + i;
            UNROLL for (int v = 0; v < SCAN_VECTORS; v++) {
                const VEC z = T(load)(row + v * LANES) - center;
                sum[v] += z * z;
            }
        }
        UNROLL for (int v = 0; v < SCAN_VECTORS; v++) T(store)(out + i + v * LANES, sum[v]);
    }
}

/* Place of the least of m numbers, of equal ones that of the lowest id; -1 if all are infinite. */
static ptrdiff_t nearest_place(const double *distance, const int32_t *ids, ptrdiff_t m) {
    VEC least[SCAN_VECTORS];
    const ptrdiff_t step = SCAN_VECTORS * LANES, whole = m / step * step;
    UNROLL for (int v = 0; v < SCAN_VECTORS; v++) least[v] = T(splat)(INFINITY);
    for (ptrdiff_t i = 0; i < whole; i += step)
        UNROLL for (int v = 0; v < SCAN_VECTORS; v++) {
            const VEC one = T(load)(distance + i + v * LANES);
            least[v] = T(choose)(T(above)(least[v], one), one, least[v]);
        }
    double lanes[SCAN_VECTORS * LANES], smallest = INFINITY;
    UNROLL for (int v = 0; v < SCAN_VECTORS; v++) T(store)(lanes + v * LANES, least[v]);
    for (int i = 0; i < SCAN_VECTORS * LANES; i++)
        if (lanes[i] < smallest) smallest = lanes[i];
    for (ptrdiff_t i = whole; i < m; i++)
        if (distance[i] < smallest) smallest = distance[i];
    if (smallest == INFINITY) return -1;
    ptrdiff_t best = -1;
    for (ptrdiff_t i = 0; i < m; i++)
        if (distance[i] == smallest && (best < 0 || ids[i] < ids[best])) best = i;
    return best;
}

/* Squared distance of two points of length d. */
static double squared_distance(const double *a, const double *b, ptrdiff_t d) {
    double sum = 0;
    for (ptrdiff_t j = 0; j < d; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

#endif

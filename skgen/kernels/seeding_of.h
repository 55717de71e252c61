/* Distances to a handful of candidate centers, and what row order needs, for one type; see
 * vector.h. Distances are sums of squared differences: they are exact zeros for equal rows and
 * lose nothing far from the origin, and reading X costs more than the extra subtraction. */
#include "vector_of.h"

#ifndef SEEDING_SIZES
#define SEEDING_SIZES
/* Candidates tried in one pass: one bit each in a byte, one register each for their sums. */
#define MOST_CANDIDATES 8
/* Rows whose bounds are checked before any of them is read. */
#define CHUNK 256
#define PARTS 8
#define FOR_EACH_COUNT(call)                                                                      \
    switch (count) {                                                                              \
    case 1: call(1); break;                                                                       \
    case 2: call(2); break;                                                                       \
    case 3: call(3); break;                                                                       \
    case 4: call(4); break;                                                                       \
    case 5: call(5); break;                                                                       \
    case 6: call(6); break;                                                                       \
    case 7: call(7); break;                                                                       \
    default: call(8);                                                                             \
    }
#endif

/* Squared distances of one row to `count` candidates, in registers along the features; d is at
 * least LANES. The last register overlaps the one before it, `fresh` marks its new lanes. */
INLINE void T(row_distances)(const REAL *x, ptrdiff_t d, const REAL *candidates, const int count,
                             IVEC fresh, REAL *out) {
    VEC sums[MOST_CANDIDATES];
    for (int c = 0; c < count; c++) sums[c] = T(splat)(0);
    ptrdiff_t f = 0;
    for (; f + LANES <= d; f += LANES) {
        VEC v = T(load)(x + f);
        for (int c = 0; c < count; c++) {
            VEC difference = v - T(load)(candidates + c * d + f);
            sums[c] += difference * difference;
        }
    }
    if (f < d) {
        VEC v = T(load)(x + d - LANES);
        for (int c = 0; c < count; c++) {
            VEC difference = v - T(load)(candidates + c * d + d - LANES);
            difference = T(choose)(fresh, difference, T(splat)(0));
            sums[c] += difference * difference;
        }
    }
    for (int c = 0; c < count; c++) out[c] = T(sum_lanes)(sums[c]);
}

INLINE IVEC T(fresh_lanes)(ptrdiff_t d) {
    INT fresh[LANES];
    for (int i = 0; i < LANES; i++) fresh[i] = i >= LANES - (int)(d % LANES) ? -1 : 0;
    return T(load_int)(fresh);
}

INLINE REAL T(short_distance)(const REAL *x, const REAL *y, ptrdiff_t d) {
    REAL sums[4] = {0, 0, 0, 0};
    ptrdiff_t f = 0;
    for (; f + 4 <= d; f += 4)
        for (int i = 0; i < 4; i++) {
            REAL difference = x[f + i] - y[f + i];
            sums[i] += difference * difference;
        }
    for (; f < d; f++) {
        REAL difference = x[f] - y[f];
        sums[0] += difference * difference;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* Long rows: one row at a time. */
INLINE void T(try_long_rows)(const REAL *X, const double *weight, ptrdiff_t d,
                             const REAL *candidates, const int count, const REAL *distance,
                             const int32_t *active, int n_active, uint8_t *improved,
                             double *gain) {
    const IVEC fresh = T(fresh_lanes)(d);
    for (int a = 0; a < n_active; a++) {
        const ptrdiff_t i = active[a];
        REAL found[MOST_CANDIDATES];
        T(row_distances)(X + i * d, d, candidates, count, fresh, found);
        int bits = 0;
        for (int c = 0; c < count; c++) {
            REAL saved = distance[i] - found[c];
            saved = saved > 0 ? saved : 0;
            gain[c] += weight[i] * (double)saved;
            bits |= (saved > 0) << c;
        }
        improved[i] = (uint8_t)bits;
    }
}

/* Short rows: LANES rows at a time, one in each lane; `panel` holds 2 * LANES * LANES. */
INLINE void T(try_short_rows)(const REAL *X, const double *weight, ptrdiff_t d,
                              const REAL *candidates, const int count, const REAL *distance,
                              const int32_t *active, int n_active, uint8_t *improved,
                              double *gain) {
    REAL panel[2 * LANES * LANES];
    double lane_gain[MOST_CANDIDATES][LANES];
    for (int c = 0; c < count; c++)
        for (int i = 0; i < LANES; i++) lane_gain[c][i] = 0;
    for (int a = 0; a < n_active; a += LANES) {
        const int filled = n_active - a < LANES ? n_active - a : LANES;
        double lane_weight[LANES];
        REAL closest[LANES], saved[LANES];
        INT bits[LANES];
        for (int i = 0; i < LANES; i++) {
            const ptrdiff_t row = active[a + (i < filled ? i : filled - 1)];
            const REAL *x = X + row * d;
            for (ptrdiff_t f = 0; f < d; f++) panel[f * LANES + i] = x[f];
            lane_weight[i] = i < filled ? weight[row] : 0;
            closest[i] = distance[row];
        }
        VEC sums[MOST_CANDIDATES];
        for (int c = 0; c < count; c++) sums[c] = T(splat)(0);
        for (ptrdiff_t f = 0; f < d; f++) {
            VEC v = T(load)(panel + f * LANES);
            for (int c = 0; c < count; c++) {
                VEC difference = v - T(splat)(candidates[c * d + f]);
                sums[c] += difference * difference;
            }
        }
        const VEC before = T(load)(closest), zero = T(splat)(0);
        IVEC better = T(splat_int)(0);
        for (int c = 0; c < count; c++) {
            VEC less = before - sums[c];
            better |= T(above)(less, zero) & T(splat_int)((INT)1 << c);
            T(store)(saved, T(larger)(less, zero));
            for (int i = 0; i < LANES; i++) lane_gain[c][i] += lane_weight[i] * (double)saved[i];
        }
        T(store_int)(bits, better);
        for (int i = 0; i < filled; i++) improved[active[a + i]] = (uint8_t)bits[i];
    }
    for (int c = 0; c < count; c++)
        for (int i = 0; i < LANES; i++) gain[c] += lane_gain[c][i];
}

/* For each candidate the sum of weight * (how much closer it is than the nearest center so far),
 * and for each row a byte with a bit for each candidate that is closer. threshold[j] is a quarter
 * of the least squared distance from center j to a candidate: by the triangle inequality no
 * candidate is closer to a row of center j that lies within it. */
static void T(try_candidates)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                              const REAL *candidates, int count, const REAL *distance,
                              const int32_t *nearest, const REAL *threshold, uint8_t *improved,
                              double *gain) {
    int32_t active[CHUNK + 1];
    for (int c = 0; c < count; c++) gain[c] = 0;
    for (ptrdiff_t start = 0; start < n; start += CHUNK) {
        const int length = (int)(n - start < CHUNK ? n - start : CHUNK);
        int n_active = 0;
        for (int i = 0; i < length; i++) {
            improved[start + i] = 0;
            active[n_active] = i;
            n_active += distance[start + i] > threshold[nearest[start + i]];
        }
        if (!n_active) continue;
#define TRY_LONG(fixed)                                                                           \
    T(try_long_rows)(X + start * d, weight + start, d, candidates, fixed, distance + start,       \
                     active, n_active, improved + start, gain)
#define TRY_SHORT(fixed)                                                                          \
    T(try_short_rows)(X + start * d, weight + start, d, candidates, fixed, distance + start,      \
                      active, n_active, improved + start, gain)
        if (d >= 2 * LANES) { FOR_EACH_COUNT(TRY_LONG) }
        else { FOR_EACH_COUNT(TRY_SHORT) }
#undef TRY_LONG
#undef TRY_SHORT
    }
}

/* Make `center` number `label`: rows with a bit of `bits` set move to it if it is closer. Adds
 * weight * distance of every row to the mass of the row's bucket. */
static void T(accept_center)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                             const REAL *center, int32_t label, int bits,
                             const uint8_t *improved, REAL *distance, int32_t *nearest,
                             const uint16_t *bucket, double *mass) {
    const IVEC fresh = T(fresh_lanes)(d);
    for (ptrdiff_t i = 0; i < n; i++) {
        if (improved[i] & bits) {
            REAL found;
            if (d >= 2 * LANES) T(row_distances)(X + i * d, d, center, 1, fresh, &found);
            else found = T(short_distance)(X + i * d, center, d);
            if (found < distance[i]) {
                distance[i] = found;
                nearest[i] = label;
            }
        }
        mass[bucket[i]] += weight[i] * (double)distance[i];
    }
}

/* Adds weight * (x - origin) to `sum`; returns the largest |x - origin| of a weighted row. */
static double T(add_deviations)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                                const double *origin, double *sum, double *largest) {
    double most = 0;
    for (ptrdiff_t f = 0; f < d; f++) largest[f] = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const double w = weight[i];
        if (!(w > 0)) continue;
        const REAL *x = X + i * d;
        for (ptrdiff_t f = 0; f < d; f++) {
            const double deviation = (double)x[f] - origin[f], size = fabs(deviation);
            sum[f] += w * deviation;
            largest[f] = size > largest[f] ? size : largest[f];
        }
    }
    for (ptrdiff_t f = 0; f < d; f++) most = largest[f] > most ? largest[f] : most;
    return most;
}

/* With z = (x - mean) * scale: adds weight * |z|^2 z to `skew`; returns the sum of weight |z|^3,
 * the most that |skew| can be. `z` is scratch of length d. */
static double T(add_skewness)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                              const double *mean, double scale, double *skew, double *z) {
    double cubes = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        const REAL *x = X + i * d;
        double parts[PARTS] = {0}, square = 0;
        ptrdiff_t f = 0;
        for (; f + PARTS <= d; f += PARTS)
            for (int p = 0; p < PARTS; p++) {
                const double v = ((double)x[f + p] - mean[f + p]) * scale;
                z[f + p] = v;
                parts[p] += v * v;
            }
        for (; f < d; f++) {
            z[f] = ((double)x[f] - mean[f]) * scale;
            square += z[f] * z[f];
        }
        for (int p = 0; p < PARTS; p++) square += parts[p];
        const double factor = weight[i] * square;
        cubes += factor * sqrt(square);
        for (f = 0; f < d; f++) skew[f] += factor * z[f];
    }
    return cubes;
}

/* first and second: the dot products of (x - mean) * scale with two directions. */
static void T(project)(const REAL *X, ptrdiff_t n, ptrdiff_t d, const double *mean, double scale,
                       const double *direction, const double *other, double *first,
                       double *second) {
    for (ptrdiff_t i = 0; i < n; i++) {
        const REAL *x = X + i * d;
        double a[PARTS] = {0}, b[PARTS] = {0}, sum_a = 0, sum_b = 0;
        ptrdiff_t f = 0;
        for (; f + PARTS <= d; f += PARTS)
            for (int p = 0; p < PARTS; p++) {
                const double v = ((double)x[f + p] - mean[f + p]) * scale;
                a[p] += v * direction[f + p];
                b[p] += v * other[f + p];
            }
        for (; f < d; f++) {
            const double v = ((double)x[f] - mean[f]) * scale;
            sum_a += v * direction[f];
            sum_b += v * other[f];
        }
        for (int p = 0; p < PARTS; p++) {
            sum_a += a[p];
            sum_b += b[p];
        }
        first[i] = sum_a;
        second[i] = sum_b;
    }
}

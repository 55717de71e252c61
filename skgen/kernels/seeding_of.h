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
#define MOSTLY 0.6
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

/* Rows up to this many registers long are turned so that each row has a lane. */
#define SHORT_REGISTERS 3

/* The sums of the lanes of LANES registers, one in each lane; v is overwritten. */
INLINE VEC T(sum_each)(VEC *v) {
#ifndef SKGEN_ONE_LANE
    for (int n = LANES / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            v[i] = T(even_lanes)(v[2 * i], v[2 * i + 1]) + T(odd_lanes)(v[2 * i], v[2 * i + 1]);
#endif
    return v[0];
}

/* Turn LANES registers: lane i of register j becomes lane j of register i. */
INLINE void T(transpose)(VEC *v) {
#ifndef SKGEN_ONE_LANE
    VEC turned[LANES];
    for (int stage = 1; stage < LANES; stage *= 2) {
        for (int i = 0; i < LANES / 2; i++) {
            turned[2 * i] = T(interleave_low)(v[i], v[i + LANES / 2]);
            turned[2 * i + 1] = T(interleave_high)(v[i], v[i + LANES / 2]);
        }
        for (int i = 0; i < LANES; i++) v[i] = turned[i];
    }
#else
    (void)v;
#endif
}

/* Sums of squared differences of one row of at least LANES features, still spread over lanes.
 * The last register overlaps the one before it; `fresh` marks its new lanes. */
INLINE void T(spread_distances)(const REAL *x, ptrdiff_t d, const REAL *candidates,
                                const int count, IVEC fresh, VEC *sums) {
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
}

INLINE IVEC T(fresh_lanes)(ptrdiff_t d) {
    INT fresh[LANES];
    for (int i = 0; i < LANES; i++) fresh[i] = i >= LANES - (int)(d % LANES) ? -1 : 0;
    return T(load_int)(fresh);
}

/* Squared distances of LANES long rows to the candidates. */
INLINE void T(long_distances)(const REAL *const *x, ptrdiff_t d, const REAL *candidates,
                              const int count, IVEC fresh, VEC *found) {
    VEC spread[MOST_CANDIDATES][LANES], sums[MOST_CANDIDATES];
    for (int i = 0; i < LANES; i++) {
        T(spread_distances)(x[i], d, candidates, count, fresh, sums);
        for (int c = 0; c < count; c++) spread[c][i] = sums[c];
    }
    for (int c = 0; c < count; c++) found[c] = T(sum_each)(spread[c]);
}

/* The same for short rows; memory from `end` on must not be read. */
INLINE void T(short_distances)(const REAL *const *x, const REAL *end, ptrdiff_t d,
                               const REAL *candidates, const int count, VEC *found) {
    for (int c = 0; c < count; c++) found[c] = T(splat)(0);
    for (ptrdiff_t first = 0; first < d; first += LANES) {
        const ptrdiff_t last = first + LANES < d ? first + LANES : d;
        const ptrdiff_t from = last < LANES ? 0 : last - LANES;
        VEC turned[LANES];
        for (int i = 0; i < LANES; i++) {
            if (x[i] + from + LANES <= end) turned[i] = T(load)(x[i] + from);
            else {
                REAL copy[LANES] = {0};
                for (ptrdiff_t f = from; f < last; f++) copy[f - from] = x[i][f];
                turned[i] = T(load)(copy);
            }
        }
        T(transpose)(turned);
        for (ptrdiff_t f = first; f < last; f++) {
            const VEC v = turned[f - from];
            for (int c = 0; c < count; c++) {
                VEC difference = v - T(splat)(candidates[c * d + f]);
                found[c] += difference * difference;
            }
        }
    }
}

INLINE void T(distances)(const REAL *const *x, const REAL *end, ptrdiff_t d,
                         const REAL *candidates, const int count, IVEC fresh, VEC *found) {
    if (d > SHORT_REGISTERS * LANES)
        T(long_distances)(x, d, candidates, count, fresh, found);
    else
        T(short_distances)(x, end, d, candidates, count, found);
}

/* Try the candidates on the active rows of a chunk, LANES rows at a time. */
INLINE void T(try_rows)(const REAL *X, const REAL *end, const double *weight, ptrdiff_t d,
                        const REAL *candidates, const int count, const REAL *distance,
                        const int32_t *active, int n_active, uint8_t *improved, double *gain) {
    const IVEC fresh = T(fresh_lanes)(d);
    const VEC zero = T(splat)(0);
    double lane_gain[MOST_CANDIDATES][LANES];
    for (int c = 0; c < count; c++)
        for (int i = 0; i < LANES; i++) lane_gain[c][i] = 0;
    for (int a = 0; a < n_active; a += LANES) {
        const int filled = n_active - a < LANES ? n_active - a : LANES;
        const REAL *x[LANES];
        double weights[LANES];
        REAL closest[LANES], saved[LANES];
        INT bits[LANES];
        const double *lane_weight = weights;
        VEC before;
        if (filled == LANES && active[a + LANES - 1] - active[a] == LANES - 1) {
            /* Neighbors, as nearly all are before bounds take hold: no need to collect. */
            const ptrdiff_t row = active[a];
            for (int i = 0; i < LANES; i++) x[i] = X + (row + i) * d;
            lane_weight = weight + row;
            before = T(load)(distance + row);
        } else {
            for (int i = 0; i < LANES; i++) {
                const ptrdiff_t row = active[a + (i < filled ? i : 0)];
                x[i] = X + row * d;
                weights[i] = i < filled ? weight[row] : 0;
                closest[i] = distance[row];
            }
            before = T(load)(closest);
        }
        VEC found[MOST_CANDIDATES];
        T(distances)(x, end, d, candidates, count, fresh, found);
        IVEC better = T(splat_int)(0);
        for (int c = 0; c < count; c++) {
            VEC less = before - found[c];
            const IVEC closer = T(above)(less, zero);
            better |= closer & T(splat_int)((INT)1 << c);
            /* As a mask: compilers take `larger` apart into a branch per lane here. */
            T(store)(saved, T(choose)(closer, less, zero));
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
        if (n_active > length * MOSTLY) {
            /* Neighbors are read so much faster that a few idle rows do not matter. */
            n_active = length;
            for (int i = 0; i < length; i++) active[i] = i;
        }
#define TRY(fixed)                                                                                \
    T(try_rows)(X + start * d, X + n * d, weight + start, d, candidates, fixed,                   \
                distance + start, active, n_active, improved + start, gain)
        FOR_EACH_COUNT(TRY)
#undef TRY
    }
}

/* Make `center` number `label`: rows with a bit of `bits` set move to it if it is closer. Adds
 * the change of weight * distance to the mass of the row's bucket. */
static void T(accept_center)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                             const REAL *center, int32_t label, int bits,
                             const uint8_t *improved, REAL *distance, int32_t *nearest,
                             const uint16_t *bucket, double *change) {
    const IVEC fresh = T(fresh_lanes)(d);
    int32_t marked[CHUNK + 1];
    for (ptrdiff_t start = 0; start < n; start += CHUNK) {
        const int length = (int)(n - start < CHUNK ? n - start : CHUNK);
        int n_marked = 0;
        for (int i = 0; i < length; i++) {
            marked[n_marked] = i;
            n_marked += (improved[start + i] & bits) != 0;
        }
        for (int a = 0; a < n_marked; a += LANES) {
            const int filled = n_marked - a < LANES ? n_marked - a : LANES;
            const REAL *x[LANES];
            REAL squared[LANES];
            VEC found;
            for (int i = 0; i < LANES; i++)
                x[i] = X + (start + marked[a + (i < filled ? i : 0)]) * d;
            T(distances)(x, X + n * d, d, center, 1, fresh, &found);
            T(store)(squared, found);
            for (int i = 0; i < filled; i++) {
                const ptrdiff_t row = start + marked[a + i];
                const REAL before = distance[row];
                if (!(squared[i] < before)) continue;
                distance[row] = squared[i];
                nearest[row] = label;
                change[bucket[row]] -= weight[row] * (double)(before - squared[i]);
            }
        }
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

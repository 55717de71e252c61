/* Gaussian mixtures on one block of rows with missing cells: exact marginalization.
 *
 * Component k has the mean m_k and Lambda_k = P_k P_k'. With o the seen and u the missing features
 * of a row, z_o = x_o - m_o and z_u = -Lambda_uu^-1 Lambda_uo z_o, its mean given z_o,
 *
 *     log p(x_o, k) = log_weight_k + |u|/2 log(2 pi) - log|Lambda_uu|/2 - |P_k' z|^2 / 2,
 *
 * because z_u minimizes the whole square. An error of z_u enters the distance squared only.
 * Lambda_uu is small where few cells miss; that is why the covariance of o is never formed.
 *
 * - Components lie in vector lanes, so rows of any pattern take the same path. Lambda_uu = L D L'
 *   is factored once per pattern and vector of components.
 * - Completed rows, whatever their patterns, are collected to a batch: P' z of a batch runs down
 *   the triangle in a register tile that reads P once.
 * - A responsibility below 1e-20 times the largest of its row counts as zero. The rows left to a
 *   component are packed as sqrt(w r) z and their outer products summed with features in lanes.
 *   Where most components of a vector have a share they stay in lanes instead. What the missing
 *   cells add, w r Lambda_uu^-1, is summed once per pattern with components in lanes.
 *
 * Rows in lanes were rejected: where cells miss at random almost every row has its own pattern. */
#ifndef SKGEN_MISSING_H
#define SKGEN_MISSING_H

#include <float.h>
#include <stdlib.h>

#define REAL_IS_DOUBLE
#include "vector_of.h"
#include "elementary_of.h"
#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 8")
#  define UNROLL_MORE _Pragma("GCC unroll 32")
#  define PREFETCH(p) __builtin_prefetch(p)
#else
#  define UNROLL
#  define UNROLL_MORE
#  define PREFETCH(p) ((void)(p))
#endif
#include "outer_of.h"

enum { FULL, DIAGONAL };
enum { EXPECT, USE_GIVEN, WRITE_DISTANCES, WRITE_COMPLETED };

#define HEADER 8 /* structure, k, d, LANES; whole cache lines so that what follows stays aligned */
#define BATCH 8  /* rows; a multiple of LANES */
#define TILE_OUTPUTS 2
#if defined(VECTOR_BYTES) && VECTOR_BYTES == 64
#  define TILE_ROWS 8
#else
#  define TILE_ROWS 4
#endif
#define FEW_MISSING 6  /* patterns whose Lambda_uu stays in registers */
#define ROWS_AT_ONCE 4 /* rows of Lambda that share one pass over z; at most FEW_MISSING */
#define ROWS_STAGED 16
#define MOST_SHARES_STAGED 0.6 /* of a batch; where the two ways took the same time */
#define ROWS_AHEAD 8    /* the order of patterns is no order in memory */
#define MOST_BYTES_AHEAD 512
#define LEAST_POOL 16384
#define PIVOTS_PER_LOG 16 /* a pivot is at least DBL_EPSILON of its diagonal: no underflow */
#define NEGLIGIBLE_LOG (-46.051701859880914) /* log(1e-20) */
#define LOG_TWO_PI 1.8378770664093454836
#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#define TRIANGLE(d) ((ptrdiff_t)((size_t)(d) * ((size_t)(d) + 1) / 2)) /* a shift */

/* ---- The model: one flat array ---- */

typedef struct {
    int structure;
    ptrdiff_t k, d, blocks, columns; /* blocks of LANES components; d to whole tiles */
    ptrdiff_t size;                  /* of a block */
    const double *first;
} Model;

/* The parts of one block of components; every entry is a vector. */
typedef struct {
    const double *constant;     /* log weight + log|P| - d/2 log 2 pi */
    const double *log_det;      /* log|P| */
    const double *mean;         /* [d] */
    const double *log_diagonal; /* [d] log of the diagonal of Lambda */
    const double *variance;     /* [d] 1 / the diagonal of Lambda */
    const double *scale;        /* full: P in tile order; diagonal: [d] inverse deviations */
    const double *Lambda;       /* full: [d][d] */
} Lanes;

static ptrdiff_t tiled_size(ptrdiff_t columns) {
    ptrdiff_t size = 0;
    for (ptrdiff_t j = 0; j < columns; j += TILE_OUTPUTS) size += (j + TILE_OUTPUTS) * TILE_OUTPUTS;
    return size;
}

static Model shape_model(int structure, ptrdiff_t k, ptrdiff_t d) {
    Model m = {structure, k, d, (k + LANES - 1) / LANES, ROUND_UP(d, TILE_OUTPUTS), 0, NULL};
    m.size = (2 + 3 * d + (structure == FULL ? tiled_size(m.columns) + d * d : d)) * LANES;
    return m;
}

static ptrdiff_t model_size(int structure, ptrdiff_t k, ptrdiff_t d) {
    const Model m = shape_model(structure, k, d);
    return HEADER + m.blocks * m.size;
}

static int model_lanes(void) { return LANES; }

static Model open_model(const double *model) {
    Model m = shape_model((int)model[0], (ptrdiff_t)model[1], (ptrdiff_t)model[2]);
    m.first = model + HEADER;
    return m;
}

static Lanes block_of(const Model *m, ptrdiff_t block) {
    Lanes l;
    l.constant = m->first + block * m->size;
    l.log_det = l.constant + LANES;
    l.mean = l.log_det + LANES;
    l.log_diagonal = l.mean + m->d * LANES;
    l.variance = l.log_diagonal + m->d * LANES;
    l.scale = l.variance + m->d * LANES;
    l.Lambda = l.scale + tiled_size(m->columns) * LANES;
    return l;
}

/* P is [d][d] upper triangular, or [d] inverse deviations. */
static double precision(int structure, const double *P, ptrdiff_t d, ptrdiff_t i, ptrdiff_t j) {
    double sum = 0;
    if (structure == DIAGONAL) return P[i] * P[i];
    for (ptrdiff_t t = i > j ? i : j; t < d; t++) sum += P[i * d + t] * P[j * d + t];
    return sum;
}

/* A component of which something is not finite is removed, as its densities would be NaN. */
static int is_usable(int structure, const double *mean, const double *P, ptrdiff_t d) {
    int usable = 1;
    for (ptrdiff_t i = 0; i < d; i++) {
        const double diagonal = precision(structure, P, d, i, i);
        usable &= isfinite(mean[i]) && isnormal(diagonal) && isnormal(1 / diagonal);
        usable &= fabs(structure == FULL ? P[i * d + i] : P[i]) > 0;
    }
    return usable;
}

static void pack_scale(const Model *m, const double *P, double *scale) {
    const ptrdiff_t d = m->d;
    if (m->structure == DIAGONAL) {
        for (ptrdiff_t i = 0; i < d; i++) scale[i * LANES] = P[i];
        return;
    }
    for (ptrdiff_t first = 0; first < m->columns; first += TILE_OUTPUTS)
        for (ptrdiff_t i = 0; i < first + TILE_OUTPUTS; i++)
            for (ptrdiff_t j = first; j < first + TILE_OUTPUTS; j++, scale += LANES)
                *scale = i <= j && j < d ? P[i * d + j] : 0;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = 0; j < d; j++, scale += LANES) *scale = precision(FULL, P, d, i, j);
}

/* Lanes that hold no component: Lambda is the identity, P and the density are 0. */
static void pack_empty(const Model *m, double *block) {
    for (ptrdiff_t i = 0; i < m->size / LANES; i++) block[i * LANES] = 0;
    block[0] = -INFINITY;
    for (ptrdiff_t i = 0; i < m->d; i++) {
        block[(2 + 2 * m->d + i) * LANES] = 1;
        if (m->structure == FULL)
            block[m->size - (m->d * m->d - i * (m->d + 1)) * LANES] = 1;
    }
}

/* means [k][d]; P [k][d][d] upper triangular or [k][d] inverse deviations; log_weight [k]. */
static void pack_model(int structure, ptrdiff_t k, ptrdiff_t d, const double *means,
                       const double *P, const double *log_weight, double *model) {
    const Model m = shape_model(structure, k, d);
    const ptrdiff_t header[] = {structure, k, d, LANES};
    for (int i = 0; i < 4; i++) model[i] = (double)header[i];
    for (ptrdiff_t c = 0; c < m.blocks * LANES; c++) {
        double *block = model + HEADER + c / LANES * m.size + c % LANES, log_det = 0;
        const double *mean = means + c * d, *factor = P + c * (structure == FULL ? d * d : d);
        if (c >= k || !is_usable(structure, mean, factor, d)) {
            pack_empty(&m, block);
            continue;
        }
        for (ptrdiff_t i = 0; i < d; i++) {
            const double diagonal = precision(structure, factor, d, i, i);
            log_det += log(fabs(structure == FULL ? factor[i * d + i] : factor[i]));
            block[(2 + i) * LANES] = mean[i];
            block[(2 + d + i) * LANES] = log(diagonal);
            block[(2 + 2 * d + i) * LANES] = 1 / diagonal;
        }
        block[0] = log_weight[c];
        block[LANES] = log_det;
        pack_scale(&m, factor, block + (2 + 3 * d) * LANES);
    }
}

/* ---- A block of rows ---- */

typedef struct {
    int32_t code;
    int missing;
    int *list, *seen; /* [d + 1] the missing features, the others; both ascending */
    double *half_log; /* [blocks] log|Lambda_uu| / 2 */
    double *total;    /* [blocks] sum of w r over the rows whose Lambda_uu^-1 is not summed yet */
    VEC *factor;      /* [blocks][triangle of missing] L^-1, and D^-1 on its diagonal */
} Pattern;

typedef struct {
    Model m;
    int purpose, in_float;
    const void *X;
    const uint8_t *masks;
    const double *weight, *responsibilities; /* of the rows of X */
    void *out;                               /* distances or completed rows */
    double *log_scale;
    int rows, patterns;
    ptrdiff_t row[BATCH];
    double row_weight[BATCH];
    int owner[BATCH]; /* the pattern of a row */
    Pattern pattern[BATCH];
    double *pool; /* the factors of the patterns, one after the other */
    ptrdiff_t pool_size, pool_used;
    ptrdiff_t stride; /* of a completed row; an odd number of vectors, to spread over sets of L1 */
    double *x, *work; /* [d]; [d] vectors */
    double *z;        /* [blocks][BATCH][stride] */
    double *share;    /* [BATCH][blocks] log joint density, then w r */
    double *norm;     /* one vector */
    double *counts;   /* [blocks] */
    double *inverses; /* full: [blocks][triangle of d]; diagonal: [blocks][d] w r where missing */
    double *lanes;    /* [blocks][2][d] first and, diagonal, second moments */
    double *weighted; /* [BATCH][stride] w r z */
    ptrdiff_t stage_stride, outer_width;
    double *stage; /* full: [k][ROWS_STAGED][stage_stride] sqrt(w r) z, sqrt(w r) */
    double *outer; /* full: [k][d + 1][outer_width] */
    int *staged;   /* [k] */
    int *lists;
    void *memory;
} Work;

/* Returns 0 when memory is short. */
static int open_work(Work *s, const double *model, int purpose) {
    s->m = open_model(model);
    s->purpose = purpose;
    const ptrdiff_t k = s->m.k, d = s->m.d, n = s->m.blocks * LANES;
    const int full = s->m.structure == FULL;
    const int sums = purpose == EXPECT || purpose == USE_GIVEN;
    s->rows = s->patterns = 0;
    s->pool_used = 0;
    s->pool_size = full ? n * TRIANGLE(d) : 0;
    if (full && s->pool_size < LEAST_POOL) s->pool_size = LEAST_POOL;
    s->stride = (s->m.columns | 1) * LANES;
    s->stage_stride = ROUND_UP(d + 1, LANES);
    s->outer_width = ROUND_UP(d, LANES);
    double *half_logs, *totals;
    double **slots[] = {&s->pool, &s->x, &s->work, &half_logs, &totals, &s->z, &s->share, &s->norm,
                        &s->counts, &s->inverses, &s->lanes, &s->weighted, &s->stage, &s->outer};
    const ptrdiff_t sizes[] = {s->pool_size,
                               d,
                               d * LANES,
                               BATCH * n,
                               BATCH * n,
                               s->m.blocks * BATCH * s->stride,
                               BATCH * n,
                               LANES,
                               n,
                               sums ? n * (full ? TRIANGLE(d) : d) : 0,
                               sums ? 2 * n * d : 0,
                               sums && full ? BATCH * s->stride : 0,
                               sums && full ? k * ROWS_STAGED * s->stage_stride : 0,
                               sums && full ? k * (d + 1) * s->outer_width : 0};
    size_t doubles = 8, integers = (size_t)(2 * BATCH * (d + 1) + k);
    for (int i = 0; i < 14; i++) doubles += ROUND_UP((size_t)sizes[i], 8);
    s->memory = malloc(doubles * sizeof(double) + integers * sizeof(int));
    if (!s->memory) return 0;
    double *at = (double *)(((uintptr_t)s->memory + 63) & ~(uintptr_t)63);
    s->lists = (int *)((double *)s->memory + doubles);
    s->staged = s->lists + 2 * BATCH * (d + 1);
    for (int i = 0; i < 14; i++) {
        *slots[i] = at;
        at += ROUND_UP(sizes[i], 8);
    }
    memset(s->x, 0, (size_t)(at - s->x) * sizeof(double));
    memset(s->staged, 0, (size_t)k * sizeof(int));
    for (int i = 0; i < BATCH; i++) {
        s->pattern[i].list = s->lists + 2 * i * (d + 1);
        s->pattern[i].seen = s->pattern[i].list + d + 1;
        s->pattern[i].half_log = half_logs + i * n;
        s->pattern[i].total = totals + i * n;
    }
    return 1;
}

/* ---- One pattern ---- */

/* A [triangle of n] = L^-1, and D^-1 on its diagonal, of Lambda_uu = L D L'; returns
 * log|Lambda_uu| / 2. A pivot that is rounding is replaced by a bound of it, and the column below,
 * rounding too, by 0: divided by such pivots it would grow from column to column. */
INLINE VEC factor(const Lanes *l, ptrdiff_t d, const int *u, const int n, VEC *A) {
    VEC product = T(splat)(1), log_det = T(splat)(0);
    const VEC rounding = T(splat)((double)d * DBL_EPSILON);
    UNROLL for (int i = 0; i < n; i++)
        UNROLL for (int t = 0; t <= i; t++)
            A[TRIANGLE(i) + t] = T(load)(l->Lambda + (u[i] * d + u[t]) * LANES);
    UNROLL for (int j = 0; j < n; j++) {
        const VEC diagonal = T(load)(l->Lambda + u[j] * (d + 1) * LANES);
        const VEC left = A[TRIANGLE(j) + j], least = diagonal * rounding;
        const IVEC sound = T(above)(left, least);
        const VEC pivot = T(choose)(sound, left, least), inverse = T(splat)(1) / pivot;
        const VEC below = T(choose)(sound, inverse, T(splat)(0));
        product *= pivot * T(load)(l->variance + u[j] * LANES);
        log_det += T(load)(l->log_diagonal + u[j] * LANES);
        if (j % PIVOTS_PER_LOG == PIVOTS_PER_LOG - 1 || j == n - 1) {
            log_det += T(log)(product);
            product = T(splat)(1);
        }
        /* From below, because rows above still need their entry before it is divided. */
        UNROLL for (int i = n - 1; i > j; i--) {
            const VEC ratio = A[TRIANGLE(i) + j] * below;
            UNROLL for (int t = j + 1; t <= i; t++)
                A[TRIANGLE(i) + t] -= ratio * A[TRIANGLE(t) + j];
            A[TRIANGLE(i) + j] = ratio;
        }
        A[TRIANGLE(j) + j] = inverse;
    }
    UNROLL for (int i = 1; i < n; i++)
        UNROLL for (int j = 0; j < i; j++) {
            VEC sum = A[TRIANGLE(i) + j];
            UNROLL for (int t = j + 1; t < i; t++) sum += A[TRIANGLE(i) + t] * A[TRIANGLE(t) + j];
            A[TRIANGLE(i) + j] = -sum;
        }
    return log_det * T(splat)(0.5);
}

/* The same in registers. */
INLINE VEC factor_few(const Lanes *l, ptrdiff_t d, const int *u, const int n, VEC *out) {
    VEC A[TRIANGLE(FEW_MISSING)];
    const VEC half_log = factor(l, d, u, n, A);
    UNROLL_MORE for (int i = 0; i < TRIANGLE(n); i++) out[i] = A[i];
    return half_log;
}

static VEC factor_block(const Lanes *l, ptrdiff_t d, const int *u, int n, VEC *out) {
    switch (n) {
    case 0: return T(splat)(0);
    case 1: return factor_few(l, d, u, 1, out);
    case 2: return factor_few(l, d, u, 2, out);
    case 3: return factor_few(l, d, u, 3, out);
    case 4: return factor_few(l, d, u, 4, out);
    case 5: return factor_few(l, d, u, 5, out);
    case 6: return factor_few(l, d, u, 6, out);
    }
    return factor(l, d, u, n, out);
}

static void open_pattern(Work *s, int32_t code) {
    Pattern *p = &s->pattern[s->patterns++];
    const uint8_t *mask = s->masks + code * s->m.d;
    int missing = 0, seen = 0;
    for (int j = 0; j < s->m.d; j++) {
        p->list[missing] = p->seen[seen] = j;
        missing += mask[j] != 0;
        seen += mask[j] == 0;
    }
    p->code = code;
    p->missing = missing;
    p->factor = (VEC *)(s->pool + s->pool_used);
    memset(p->total, 0, (size_t)(s->m.blocks * LANES) * sizeof(double));
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        const Lanes l = block_of(&s->m, b);
        VEC half_log = T(splat)(0);
        if (s->m.structure == FULL) {
            half_log = factor_block(&l, s->m.d, p->list, p->missing,
                                    p->factor + b * TRIANGLE(p->missing));
        } else {
            for (int i = 0; i < p->missing; i++)
                half_log += T(load)(l.log_diagonal + p->list[i] * LANES) * T(splat)(0.5);
        }
        T(store)(p->half_log + b * LANES, half_log);
    }
    if (s->m.structure == FULL) s->pool_used += s->m.blocks * TRIANGLE(p->missing) * LANES;
}

/* sums += total Lambda_uu^-1 on u, u; Lambda_uu^-1 = M' D^-1 M with M = L^-1 */
INLINE void sum_inverse(const VEC *M, const int *u, const int n, VEC total, double *sums) {
    const IVEC counts = T(above)(total, T(splat)(0));
    UNROLL for (int i = 0; i < n; i++) {
        double *row = sums + TRIANGLE(u[i]) * LANES;
        UNROLL for (int j = 0; j <= i; j++) {
            VEC sum = M[TRIANGLE(i) + i];
            if (j < i) sum *= M[TRIANGLE(i) + j];
            UNROLL for (int t = i + 1; t < n; t++)
                sum += M[TRIANGLE(t) + i] * M[TRIANGLE(t) + t] * M[TRIANGLE(t) + j];
            T(add_to_double)(row + u[j] * LANES, T(choose)(counts, total * sum, T(splat)(0)));
        }
    }
}

/* The sums get what the missing cells of the pattern's rows add: their variance given the rest. */
static void sum_inverses(Work *s, Pattern *p) {
    const int n = p->missing, full = s->m.structure == FULL, *u = p->list;
    const ptrdiff_t size = full ? TRIANGLE(s->m.d) : s->m.d;
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        const VEC total = T(load)(p->total + b * LANES), *M = p->factor + b * TRIANGLE(n);
        double *sums = s->inverses + b * size * LANES;
        if (!(T(sum_lanes)(total) > 0)) continue;
        for (int i = 0; i < n && !full; i++) T(add_to_double)(sums + u[i] * LANES, total);
        if (!full) continue;
        switch (n) {
        case 0: break;
        case 1: sum_inverse(M, u, 1, total, sums); break;
        case 2: sum_inverse(M, u, 2, total, sums); break;
        case 3: sum_inverse(M, u, 3, total, sums); break;
        case 4: sum_inverse(M, u, 4, total, sums); break;
        case 5: sum_inverse(M, u, 5, total, sums); break;
        case 6: sum_inverse(M, u, 6, total, sums); break;
        default: sum_inverse(M, u, n, total, sums);
        }
    }
    memset(p->total, 0, (size_t)(s->m.blocks * LANES) * sizeof(double));
}

/* ---- One row ---- */

/* Missing cells hold anything and are zeroed after the copy: a choice per cell is mispredicted. */
static void read_row(const Work *s, ptrdiff_t row, const Pattern *p) {
    const ptrdiff_t d = s->m.d;
    if (s->in_float) {
        const float *x = (const float *)s->X + row * d;
        for (ptrdiff_t j = 0; j < d; j++) s->x[j] = (double)x[j];
    } else {
        memcpy(s->x, (const double *)s->X + row * d, (size_t)d * sizeof(double));
    }
    for (int i = 0; i < p->missing; i++) s->x[p->list[i]] = 0;
}

/* out[i] = Lambda[u_i] z over the seen features */
INLINE void project(const double *Lambda, ptrdiff_t d, const int *u, const int *seen, int n_seen,
                    const double *z, const int n, VEC *out) {
    VEC sum[FEW_MISSING];
    const double *row[FEW_MISSING];
    UNROLL for (int i = 0; i < n; i++) {
        sum[i] = T(splat)(0);
        row[i] = Lambda + u[i] * d * LANES;
    }
    for (int a = 0; a < n_seen; a++) {
        const ptrdiff_t at = seen[a] * LANES;
        const VEC value = T(load)(z + at);
        UNROLL for (int i = 0; i < n; i++) sum[i] += T(load)(row[i] + at) * value;
    }
    UNROLL for (int i = 0; i < n; i++) out[i] = sum[i];
}

/* w -> M' D^-1 M w, and z_u = -w */
INLINE void solve(const VEC *M, const int *u, const int n, VEC *w, double *z) {
    UNROLL for (int i = n - 1; i >= 0; i--)
        UNROLL for (int t = 0; t < i; t++) w[i] += M[TRIANGLE(i) + t] * w[t];
    UNROLL for (int i = 0; i < n; i++) w[i] *= M[TRIANGLE(i) + i];
    UNROLL for (int i = 0; i < n; i++) {
        UNROLL for (int t = i + 1; t < n; t++) w[i] += M[TRIANGLE(t) + i] * w[t];
        T(store)(z + u[i] * LANES, -w[i]);
    }
}

INLINE void complete_few(const Lanes *l, ptrdiff_t d, const int *u, const int *seen, const int n,
                         const VEC *M, double *z) {
    VEC w[FEW_MISSING];
    project(l->Lambda, d, u, seen, (int)d - n, z, n, w);
    solve(M, u, n, w, z);
}

/* z_u = -Lambda_uu^-1 Lambda_uo z_o; w [missing] is scratch */
static void complete_block(const Lanes *l, ptrdiff_t d, const Pattern *p, const VEC *M, double *z,
                           VEC *w) {
    const int *u = p->list, *seen = p->seen, n = p->missing;
    switch (n) {
    case 0: return;
    case 1: complete_few(l, d, u, seen, 1, M, z); return;
    case 2: complete_few(l, d, u, seen, 2, M, z); return;
    case 3: complete_few(l, d, u, seen, 3, M, z); return;
    case 4: complete_few(l, d, u, seen, 4, M, z); return;
    case 5: complete_few(l, d, u, seen, 5, M, z); return;
    case 6: complete_few(l, d, u, seen, 6, M, z); return;
    }
    int at = 0;
    for (; at + ROWS_AT_ONCE <= n; at += ROWS_AT_ONCE)
        project(l->Lambda, d, u + at, seen, (int)d - n, z, ROWS_AT_ONCE, w + at);
    for (; at < n; at++) project(l->Lambda, d, u + at, seen, (int)d - n, z, 1, w + at);
    solve(M, u, n, w, z);
}

/* Completes one row into the batch. */
static void add_row(Work *s, ptrdiff_t row, double weight) {
    const int at = s->rows++;
    const ptrdiff_t d = s->m.d;
    const Pattern *p = &s->pattern[s->patterns - 1];
    read_row(s, row, p);
    s->row[at] = row;
    s->row_weight[at] = weight;
    s->owner[at] = s->patterns - 1;
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        const Lanes l = block_of(&s->m, b);
        double *z = s->z + (b * BATCH + at) * s->stride;
        for (ptrdiff_t j = 0; j < d; j++)
            T(store)(z + j * LANES, T(splat)(s->x[j]) - T(load)(l.mean + j * LANES));
        if (s->m.structure == FULL)
            complete_block(&l, d, p, p->factor + b * TRIANGLE(p->missing), z, (VEC *)s->work);
        else
            for (int i = 0; i < p->missing; i++)
                T(store)(z + p->list[i] * LANES, T(splat)(0));
        const VEC free_cells = T(splat)(0.5 * LOG_TWO_PI * p->missing);
        T(store)(s->share + (at * s->m.blocks + b) * LANES,
                 T(load)(l.constant) + free_cells - T(load)(p->half_log + b * LANES));
    }
}

/* ---- A batch of completed rows ---- */

/* q += the squares of TILE_OUTPUTS columns of P' z; returns the end of the tile of P. */
INLINE const double *whiten_tile(const double *P, const double *z, ptrdiff_t stride, ptrdiff_t end,
                                 VEC q[TILE_ROWS]) {
    VEC y[TILE_OUTPUTS][TILE_ROWS];
    UNROLL for (int j = 0; j < TILE_OUTPUTS; j++)
        UNROLL for (int r = 0; r < TILE_ROWS; r++) y[j][r] = T(splat)(0);
    for (ptrdiff_t i = 0; i < end; i++, P += TILE_OUTPUTS * LANES, z += LANES) {
        VEC p[TILE_OUTPUTS];
        UNROLL for (int j = 0; j < TILE_OUTPUTS; j++) p[j] = T(load)(P + j * LANES);
        UNROLL for (int r = 0; r < TILE_ROWS; r++) {
            const VEC value = T(load)(z + r * stride);
            UNROLL for (int j = 0; j < TILE_OUTPUTS; j++) y[j][r] += p[j] * value;
        }
    }
    UNROLL for (int j = 0; j < TILE_OUTPUTS; j++)
        UNROLL for (int r = 0; r < TILE_ROWS; r++) q[r] += y[j][r] * y[j][r];
    return P;
}

/* q[BATCH] = the squared distances of the batch to one block of components. */
static void square_distances(const Work *s, ptrdiff_t block, double *q) {
    const Lanes l = block_of(&s->m, block);
    for (int at = 0; at < BATCH; at += TILE_ROWS) {
        const double *z = s->z + (block * BATCH + at) * s->stride, *P = l.scale;
        VEC sum[TILE_ROWS];
        UNROLL for (int r = 0; r < TILE_ROWS; r++) sum[r] = T(splat)(0);
        for (ptrdiff_t j = 0; j < s->m.columns && s->m.structure == FULL; j += TILE_OUTPUTS)
            P = whiten_tile(P, z, s->stride, j + TILE_OUTPUTS, sum);
        for (ptrdiff_t j = 0; j < s->m.d && s->m.structure == DIAGONAL; j++) {
            const VEC inverse = T(load)(P + j * LANES);
            UNROLL for (int r = 0; r < TILE_ROWS; r++) {
                const VEC y = T(load)(z + r * s->stride + j * LANES) * inverse;
                sum[r] += y * y;
            }
        }
        UNROLL for (int r = 0; r < TILE_ROWS; r++) T(store)(q + (at + r) * LANES, sum[r]);
    }
}

static void subtract_distances(Work *s) {
    double q[BATCH * LANES];
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        square_distances(s, b, q);
        for (int r = 0; r < s->rows; r++) {
            double *at = s->share + (r * s->m.blocks + b) * LANES;
            T(store)(at, T(load)(at) - T(splat)(0.5) * T(load)(q + r * LANES));
        }
    }
}

/* Log joint densities -> w r, in place; the weighted log norms are summed. */
static void normalize(Work *s) {
    double best[BATCH], sum[BATCH], weight[BATCH];
    for (int r = 0; r < BATCH; r++) {
        double *row = s->share + r * s->m.blocks * LANES;
        VEC most = T(splat)(-INFINITY), total = T(splat)(0);
        best[r] = weight[r] = 0;
        sum[r] = 1;
        if (r >= s->rows) continue;
        weight[r] = s->row_weight[r];
        /* NaN is never the larger one. */
        for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
            const VEC joint = T(load)(row + b * LANES);
            most = T(choose)(T(above)(joint, most), joint, most);
        }
        best[r] = T(largest_lane)(most);
        const int possible = best[r] > -INFINITY;
        const VEC shift = T(splat)(possible ? best[r] : 0);
        for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
            const VEC e = T(exp_above)(T(load)(row + b * LANES) - shift, NEGLIGIBLE_LOG);
            T(store)(row + b * LANES, e);
            total += e;
        }
        if (possible) sum[r] = T(sum_lanes)(total);
        const VEC scale = T(splat)(weight[r] / sum[r]);
        for (ptrdiff_t b = 0; b < s->m.blocks; b++)
            T(store)(row + b * LANES, T(load)(row + b * LANES) * scale);
    }
    for (int r = 0; r < BATCH; r += LANES) {
        const VEC norm = T(load)(best + r) + T(log)(T(load)(sum + r));
        T(add_to_double)(s->norm, T(load)(weight + r) * norm);
    }
}

/* The given responsibilities -> w r. */
static void read_shares(Work *s) {
    const ptrdiff_t k = s->m.k, width = s->m.blocks * LANES;
    for (int r = 0; r < s->rows; r++) {
        const double *given = s->responsibilities + s->row[r] * k;
        for (ptrdiff_t c = 0; c < k; c++)
            s->share[r * width + c] = given[c] > 1e-20 ? s->row_weight[r] * given[c] : 0;
        for (ptrdiff_t c = k; c < width; c++) s->share[r * width + c] = 0;
    }
}

static void sum_counts(Work *s) {
    for (int r = 0; r < s->rows; r++)
        for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
            const VEC share = T(load)(s->share + (r * s->m.blocks + b) * LANES);
            T(add_to_double)(s->counts + b * LANES, share);
            T(add_to_double)(s->pattern[s->owner[r]].total + b * LANES, share);
        }
}

static void flush_stage(Work *s, ptrdiff_t c) {
    const ptrdiff_t d = s->m.d;
    T(outer_products)(s->stage + c * ROWS_STAGED * s->stage_stride, s->staged[c], s->stage_stride,
                      d + 1, s->outer_width / LANES, s->outer + c * (d + 1) * s->outer_width,
                      s->outer_width);
    s->staged[c] = 0;
}

/* Packs the rows of the batch for the components of a block that they have a share of. */
static void stage_rows(Work *s, ptrdiff_t block) {
    const ptrdiff_t d = s->m.d, first = block * LANES;
    const ptrdiff_t end = first + LANES < s->m.k ? first + LANES : s->m.k;
    for (int r = 0; r < s->rows; r++)
        for (ptrdiff_t c = first; c < end; c++) {
            const double share = s->share[r * s->m.blocks * LANES + c];
            if (!(share > 0)) continue;
            const double *z = s->z + (block * BATCH + r) * s->stride + c - first;
            const double root = sqrt(share);
            double *u = s->stage + (c * ROWS_STAGED + s->staged[c]) * s->stage_stride;
            for (ptrdiff_t j = 0; j < d; j++) u[j] = root * z[j * LANES];
            u[d] = root;
            if (++s->staged[c] == ROWS_STAGED) flush_stage(s, c);
        }
}

/* `rows` x `columns` of the sum over the batch of left right', components in lanes. */
INLINE void product_tile(const double *left, const double *right, ptrdiff_t stride, const int rows,
                         const int columns, double *out, ptrdiff_t width) {
    VEC sum[2][4];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < columns; j++) sum[i][j] = T(splat)(0);
    for (int r = 0; r < BATCH; r++, left += stride, right += stride) {
        VEC value[4];
        UNROLL for (int j = 0; j < columns; j++) value[j] = T(load)(right + j * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            const VEC factor = T(load)(left + i * LANES);
            UNROLL for (int j = 0; j < columns; j++) sum[i][j] += factor * value[j];
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < columns; j++)
            T(add_to_double)(out + (i * width + j) * LANES, sum[i][j]);
}

INLINE void product_rows(const double *left, const double *z, ptrdiff_t stride, const int rows,
                         ptrdiff_t columns, double *out, ptrdiff_t width) {
    ptrdiff_t j = 0;
    for (; j + 4 <= columns; j += 4)
        product_tile(left, z + j * LANES, stride, rows, 4, out + j * LANES, width);
    switch (columns - j) {
    case 1: product_tile(left, z + j * LANES, stride, rows, 1, out + j * LANES, width); break;
    case 2: product_tile(left, z + j * LANES, stride, rows, 2, out + j * LANES, width); break;
    case 3: product_tile(left, z + j * LANES, stride, rows, 3, out + j * LANES, width); break;
    }
}

/* The moments of a block most of whose components have a share: they stay in lanes. */
static void sum_products(Work *s, ptrdiff_t block) {
    const ptrdiff_t d = s->m.d, stride = s->stride;
    double *z = s->z + block * BATCH * stride, *first = s->lanes + 2 * block * d * LANES;
    double *out = s->inverses + block * TRIANGLE(d) * LANES;
    const VEC zero = T(splat)(0);
    for (int r = 0; r < BATCH; r++) {
        const double *at = s->share + (r * s->m.blocks + block) * LANES;
        const VEC share = r < s->rows ? T(load)(at) : zero;
        const IVEC counts = T(above)(share, zero);
        for (ptrdiff_t j = r * stride; j < r * stride + d * LANES; j += LANES) {
            /* A row without a share may be infinite: 0 times it is NaN. */
            const VEC value = T(choose)(counts, T(load)(z + j), zero), weighted = share * value;
            T(store)(z + j, value);
            T(store)(s->weighted + j, weighted);
            T(add_to_double)(first + (j - r * stride), weighted);
        }
    }
    ptrdiff_t i = 0;
    for (; i + 2 <= d; out += (2 * i + 3) * LANES, i += 2) {
        const double *left = s->weighted + i * LANES;
        product_rows(left, z, stride, 2, i + 1, out, i + 1);
        product_tile(left + LANES, z + (i + 1) * LANES, stride, 1, 1, out + 2 * (i + 1) * LANES, 0);
    }
    if (i < d) product_rows(s->weighted + i * LANES, z, stride, 1, i + 1, out, 0);
}

static void sum_outer_products(Work *s) {
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        ptrdiff_t shares = 0;
        for (int r = 0; r < s->rows; r++)
            for (int i = 0; i < LANES; i++)
                shares += s->share[(r * s->m.blocks + b) * LANES + i] > 0;
        if (shares > MOST_SHARES_STAGED * BATCH * LANES) sum_products(s, b);
        else if (shares) stage_rows(s, b);
    }
}

/* First and second moments per feature, components in lanes. */
static void sum_squares(Work *s) {
    const ptrdiff_t d = s->m.d;
    const VEC zero = T(splat)(0);
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        const double *z = s->z + b * BATCH * s->stride;
        double *first = s->lanes + 2 * b * d * LANES, *second = first + d * LANES;
        VEC share[BATCH];
        for (int r = 0; r < BATCH; r++)
            share[r] = r < s->rows ? T(load)(s->share + (r * s->m.blocks + b) * LANES) : zero;
        for (ptrdiff_t j = 0; j < d; j++) {
            VEC sum = zero, square = zero;
            UNROLL for (int r = 0; r < BATCH; r++) {
                /* A row without a share may be infinite: 0 times it is NaN. */
                const VEC value = T(choose)(T(above)(share[r], zero),
                                            T(load)(z + r * s->stride + j * LANES), zero);
                const VEC weighted = share[r] * value;
                sum += weighted;
                square += weighted * value;
            }
            T(add_to_double)(first + j * LANES, sum);
            T(add_to_double)(second + j * LANES, square);
        }
    }
}

static void write_distances(const Work *s) {
    const ptrdiff_t k = s->m.k;
    double q[BATCH * LANES];
    for (ptrdiff_t b = 0; b < s->m.blocks; b++) {
        const Lanes l = block_of(&s->m, b);
        square_distances(s, b, q);
        for (int r = 0; r < s->rows; r++) {
            const double *half_log = s->pattern[s->owner[r]].half_log + b * LANES;
            for (ptrdiff_t c = b * LANES; c < k && c < (b + 1) * LANES; c++) {
                const ptrdiff_t at = s->row[r] * k + c, lane = c - b * LANES;
                ((double *)s->out)[at] = q[r * LANES + lane];
                s->log_scale[at] = l.log_det[lane] - half_log[lane];
            }
        }
    }
}

static void write_completed(const Work *s) {
    const ptrdiff_t k = s->m.k, d = s->m.d;
    const size_t bytes = (size_t)d * (s->in_float ? sizeof(float) : sizeof(double));
    for (int r = 0; r < s->rows; r++) {
        const Pattern *p = &s->pattern[s->owner[r]];
        const ptrdiff_t row = s->row[r];
        const double *share = s->responsibilities + row * k;
        const ptrdiff_t start = row * (ptrdiff_t)bytes;
        memcpy((char *)s->out + start, (const char *)s->X + start, bytes);
        for (int i = 0; i < p->missing; i++) {
            const ptrdiff_t j = p->list[i];
            double sum = 0;
            for (ptrdiff_t c = 0; c < k; c++) {
                const Lanes l = block_of(&s->m, c / LANES);
                const ptrdiff_t at = j * LANES + c % LANES;
                const double z = s->z[(c / LANES * BATCH + r) * s->stride + at];
                if (share[c] != 0) sum += share[c] * (l.mean[at] + z);
            }
            if (s->in_float) ((float *)s->out)[row * d + j] = (float)sum;
            else ((double *)s->out)[row * d + j] = sum;
        }
    }
}

/* ---- All rows ---- */

/* Uses the rows of the batch and empties it; keeps the last pattern if more of its rows follow. */
static void finish_batch(Work *s, int keep) {
    const int sums = s->purpose == EXPECT || s->purpose == USE_GIVEN;
    if (s->purpose == EXPECT) {
        subtract_distances(s);
        normalize(s);
    } else if (s->purpose == USE_GIVEN) {
        read_shares(s);
    } else if (s->purpose == WRITE_DISTANCES) {
        write_distances(s);
    } else {
        write_completed(s);
    }
    if (sums) {
        sum_counts(s);
        if (s->m.structure == FULL) sum_outer_products(s);
        else sum_squares(s);
        for (int i = 0; i < s->patterns - keep; i++) sum_inverses(s, &s->pattern[i]);
    }
    s->rows = 0;
    s->pool_used = 0;
    if (keep) {
        const Pattern last = s->pattern[s->patterns - 1];
        s->pattern[s->patterns - 1] = s->pattern[0];
        s->pattern[0] = last;
        if (s->m.structure == FULL) {
            s->pool_used = s->m.blocks * TRIANGLE(last.missing) * LANES;
            memmove(s->pool, last.factor, (size_t)s->pool_used * sizeof(double));
            s->pattern[0].factor = (VEC *)s->pool;
        }
    }
    s->patterns = keep;
}

/* Whether the factors of a pattern fit into what is left of the pool. */
static int has_room(const Work *s, int32_t code) {
    const uint8_t *mask = s->masks + code * s->m.d;
    const ptrdiff_t width = s->m.blocks * LANES, left = s->pool_size - s->pool_used;
    ptrdiff_t missing = 0;
    if (s->m.structure != FULL || width * TRIANGLE(s->m.d) <= left) return 1;
    for (ptrdiff_t j = 0; j < s->m.d; j++) missing += mask[j] != 0;
    return width * TRIANGLE(missing) <= left;
}

static void fetch_row(const Work *s, ptrdiff_t row) {
    const ptrdiff_t bytes = s->m.d * (ptrdiff_t)(s->in_float ? sizeof(float) : sizeof(double));
    const char *x = (const char *)s->X + row * bytes;
    for (ptrdiff_t at = 0; at < bytes + 63 && at < MOST_BYTES_AHEAD; at += 64)
        PREFETCH(x + (at < bytes ? at : bytes - 1));
    if (s->weight) PREFETCH(s->weight + row);
}

static void visit_rows(Work *s, const int32_t *order, const int32_t *code, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) {
        if (i + ROWS_AHEAD < n) fetch_row(s, order[i + ROWS_AHEAD]);
        const double weight = s->weight ? s->weight[order[i]] : 1;
        if (!(weight > 0)) continue;
        const int known = s->patterns > 0 && s->pattern[s->patterns - 1].code == code[i];
        if (s->rows == BATCH || (!known && !has_room(s, code[i]))) finish_batch(s, known);
        if (!known) open_pattern(s, code[i]);
        add_row(s, order[i], weight);
    }
    finish_batch(s, 0);
}

static double total_of_lanes(const double *p) {
    double sum = 0;
    for (int i = 0; i < LANES; i++) sum += p[i];
    return sum;
}

/* Adds the sums to nk [k], first [k][d] and second [k][d][d], or [d][d] if tied, or [k][d]. */
static void close_sums(Work *s, int tied, double *nk, double *first, double *second) {
    const ptrdiff_t d = s->m.d, width = s->outer_width;
    for (ptrdiff_t c = 0; c < s->m.k; c++) {
        const ptrdiff_t block = c / LANES, lane = c % LANES;
        const double *in_lanes = s->lanes + 2 * block * d * LANES + lane;
        nk[c] += s->counts[c];
        if (s->m.structure == DIAGONAL) {
            const Lanes l = block_of(&s->m, block);
            const double *missed = s->inverses + block * d * LANES + lane;
            for (ptrdiff_t j = 0; j < d; j++) {
                first[c * d + j] += in_lanes[j * LANES];
                second[c * d + j] += in_lanes[(d + j) * LANES] +
                                     missed[j * LANES] * l.variance[j * LANES + lane];
            }
            continue;
        }
        flush_stage(s, c);
        const double *outer = s->outer + c * (d + 1) * width;
        const double *inverses = s->inverses + block * TRIANGLE(d) * LANES + lane;
        double *out = second + (tied ? 0 : c * d * d);
        for (ptrdiff_t i = 0; i < d; i++) {
            first[c * d + i] += outer[d * width + i] + in_lanes[i * LANES];
            for (ptrdiff_t j = 0; j <= i; j++) {
                const double value = outer[i * width + j] + inverses[(TRIANGLE(i) + j) * LANES];
                out[i * d + j] += value;
                if (j < i) out[j * d + i] += value;
            }
        }
    }
}

/* ---- The kernels: each returns 0 when memory is short ---- */

typedef struct {
    const void *X;
    int in_float;
    const int32_t *order, *code;
    ptrdiff_t n; /* rows listed */
    const uint8_t *masks;
    const double *model;
} Rows;

static int open_rows(Work *s, const Rows *rows, int purpose) {
    if (!open_work(s, rows->model, purpose)) return 0;
    s->X = rows->X;
    s->in_float = rows->in_float;
    s->masks = rows->masks;
    s->weight = s->responsibilities = NULL;
    s->out = s->log_scale = NULL;
    return 1;
}

/* Moments under responsibilities [b][k], or under the model's own where NULL; then *log_norm is
 * sum_i w_i log p(x_i). */
static int add_moments(const Rows *rows, const double *weight, const double *responsibilities,
                       int tied, double *nk, double *first, double *second, double *log_norm) {
    Work s;
    if (!open_rows(&s, rows, responsibilities ? USE_GIVEN : EXPECT)) return 0;
    s.weight = weight;
    s.responsibilities = responsibilities;
    visit_rows(&s, rows->order, rows->code, rows->n);
    close_sums(&s, tied, nk, first, second);
    *log_norm = total_of_lanes(s.norm);
    free(s.memory);
    return 1;
}

/* distance [b][k] = |P' z|^2, log_scale [b][k] = log|P| - log|Lambda_uu| / 2 */
static int measure(const Rows *rows, double *distance, double *log_scale) {
    Work s;
    if (!open_rows(&s, rows, WRITE_DISTANCES)) return 0;
    s.out = distance;
    s.log_scale = log_scale;
    visit_rows(&s, rows->order, rows->code, rows->n);
    free(s.memory);
    return 1;
}

/* out [b][d] = x, or sum_k r_k (m_k + z_k) where it is missing. */
static int fill(const Rows *rows, const double *responsibilities, void *out) {
    Work s;
    if (!open_rows(&s, rows, WRITE_COMPLETED)) return 0;
    s.responsibilities = responsibilities;
    s.out = out;
    visit_rows(&s, rows->order, rows->code, rows->n);
    free(s.memory);
    return 1;
}

#endif

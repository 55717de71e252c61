/* The Gaussian kernels for one type; see gaussian.h. No include guard: included once per type. */
#include "vector_of.h"
#include "elementary_of.h"
#include "outer_of.h"

#undef GROUP
#define GROUP (GROUP_VECTORS * LANES)
#undef NEGLIGIBLE_LOG
#define NEGLIGIBLE_LOG ((REAL)-46.051701859880914) /* log(1e-20) */

/* ---- The model: one flat array, filled by the pack functions of gaussian.pyx ---- */

typedef struct {
    int structure;
    ptrdiff_t k, d, width; /* width = d rounded up to PAD */
    const REAL *constant;  /* [k] log weight + log determinant of P - d/2 log 2 pi */
    const REAL *means;     /* [k][width], rounded to REAL */
    const REAL *low;       /* [k][width], what the rounding of the means adds, see pack_* */
    const REAL *scale;     /* [k][triangle] P in tile order | [k][width] | [k] | P of tied */
    const REAL *center;    /* tied: [width], the origin of the whitened space */
    const REAL *whitened;  /* tied: [k][width] means in the whitened space */
} T(Model);

static T(Model) T(open_model)(const REAL *model) {
    T(Model) m;
    m.structure = (int)model[0];
    m.k = (ptrdiff_t)model[1];
    m.d = (ptrdiff_t)model[2];
    m.width = ROUND_UP(m.d, PAD);
    m.constant = model + HEADER;
    m.means = m.constant + ROUND_UP(m.k, PAD);
    m.low = m.means + m.k * m.width;
    m.scale = m.low + m.k * m.width;
    m.center = m.scale + ROUND_UP(TRIANGLE(m.d), PAD);
    m.whitened = m.center + m.width;
    return m;
}

/* P (upper triangle, [d][d]) in the order in which the tiles read it, times sqrt(1/2).
 * The first tile takes d % TILE_OUTPUTS columns, where the rows are shortest. Few features are
 * one tile, unless `in_tiles`. */
static void T(pack_triangle)(const double *P, ptrdiff_t d, int in_tiles, REAL *out) {
    const double half = 0.70710678118654752440;
    ptrdiff_t outputs = d % TILE_OUTPUTS ? d % TILE_OUTPUTS : TILE_OUTPUTS;
    if (d <= FEW_FEATURES && !in_tiles) outputs = d;
    for (ptrdiff_t j = 0; j < d; j += outputs, outputs = TILE_OUTPUTS)
        for (ptrdiff_t i = 0; i < j + outputs; i++)
            for (ptrdiff_t c = i > j ? i : j; c < j + outputs; c++)
                *out++ = (REAL)(half * P[i * d + c]);
}

/* out = -(remainder of mean after rounding) P / sqrt(2) */
static void T(pack_low)(const double *mean, const double *P, ptrdiff_t d, REAL *out) {
    const double half = 0.70710678118654752440;
    for (ptrdiff_t j = 0; j < d; j++) {
        double sum = 0;
        for (ptrdiff_t i = 0; i <= j; i++)
            sum -= (mean[i] - (double)(REAL)mean[i]) * (half * P[i * d + j]);
        out[j] = (REAL)sum;
    }
}

/* ---- Rows into lanes ---- */

/* rows[i][j] <-> rows[j][i]: halves, quarters, ... of pairs of rows change places. */
#ifdef HAVE_SHUFFLE
INLINE void T(transpose_square)(VEC rows[LANES]) {
#  define LIST(...) __VA_ARGS__
#  define SWAP(h, low, high)                                                    \
      UNROLL for (int i = 0; i < LANES; i++)                                    \
          if (!(i & h)) {                                                       \
              VEC a = rows[i], b = rows[i + h];                                 \
              rows[i] = __builtin_shufflevector(a, b, LIST low);                \
              rows[i + h] = __builtin_shufflevector(a, b, LIST high);           \
          }
#  if defined(REAL_IS_DOUBLE) && VECTOR_BYTES == 64
    SWAP(4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
    SWAP(2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
    SWAP(1, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
#  elif defined(REAL_IS_DOUBLE) && VECTOR_BYTES == 32
    SWAP(2, (0, 1, 4, 5), (2, 3, 6, 7))
    SWAP(1, (0, 4, 2, 6), (1, 5, 3, 7))
#  elif defined(REAL_IS_DOUBLE) && VECTOR_BYTES == 16
    SWAP(1, (0, 2), (1, 3))
#  elif defined(REAL_IS_FLOAT) && VECTOR_BYTES == 64
    SWAP(8, (0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
         (8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
    SWAP(4, (0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
         (4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    SWAP(2, (0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
         (2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    SWAP(1, (0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
         (1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#  elif defined(REAL_IS_FLOAT) && VECTOR_BYTES == 32
    SWAP(4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
    SWAP(2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
    SWAP(1, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
#  elif defined(REAL_IS_FLOAT) && VECTOR_BYTES == 16
    SWAP(2, (0, 1, 4, 5), (2, 3, 6, 7))
    SWAP(1, (0, 4, 2, 6), (1, 5, 3, 7))
#  endif
#  undef SWAP
#  undef LIST
}
#endif

/* The next rows, fetched a few lines at a time while the components pass over these: the
 * processor's own prefetch is too late for bursts of one group. */
typedef struct {
    const char *at;
    ptrdiff_t bytes, step; /* step bytes per component */
} T(Ahead);

static T(Ahead) T(look_ahead)(const REAL *X, ptrdiff_t rows, ptrdiff_t d, ptrdiff_t k) {
    T(Ahead) next = {(const char *)X, 0, 0};
    if (rows > GROUP) {
        next.at = (const char *)(X + GROUP * d);
        next.bytes = (rows < 2 * GROUP ? rows - GROUP : GROUP) * d * (ptrdiff_t)sizeof(REAL);
        next.step = ROUND_UP(next.bytes / k + 1, 64);
    }
    return next;
}

INLINE void T(fetch)(T(Ahead) *next, int components) {
    for (ptrdiff_t at = 0; at < components * next->step && next->bytes > 0; at += 64) {
        PREFETCH(next->at);
        next->at += 64;
        next->bytes -= 64;
    }
}

/* out[i][r] = X[r][i] for r < rows, 0 for rows <= r < GROUP */
static void T(transpose)(const REAL *X, ptrdiff_t rows, ptrdiff_t d, REAL *out) {
    if (rows > GROUP) rows = GROUP;
    if (rows < GROUP) memset(out, 0, (size_t)(d * GROUP) * sizeof(REAL));
    ptrdiff_t r = 0;
    for (; r + LANES <= rows; r += LANES, X += LANES * d, out += LANES) {
        ptrdiff_t i = 0;
#ifdef HAVE_SHUFFLE
        for (; i + LANES <= d; i += LANES) {
            VEC square[LANES];
            UNROLL for (int j = 0; j < LANES; j++) square[j] = T(load)(X + j * d + i);
            T(transpose_square)(square);
            UNROLL for (int j = 0; j < LANES; j++) T(store)(out + (i + j) * GROUP, square[j]);
        }
#endif
        for (; i < d; i++) T(store)(out + i * GROUP, T(load_stride)(X + i, d));
    }
    for (; r < rows; r++, X += d, out++)
        for (ptrdiff_t i = 0; i < d; i++) out[i * GROUP] = X[i];
}

/* ---- Squared distances: q = half the squared length of (x - mean) P ---- */

/* y[j][v] = ((x - mean) P)_(first + j) + low_(first + j) for `outputs` columns; returns P's end. */
INLINE const REAL *T(whiten_tile)(const REAL *x, const REAL *mean, const REAL *low, const REAL *P,
                                  ptrdiff_t first, const int outputs,
                                  VEC y[TILE_OUTPUTS][GROUP_VECTORS]) {
    UNROLL for (int j = 0; j < outputs; j++)
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) y[j][v] = T(splat)(low[first + j]);
    for (ptrdiff_t i = 0; i < first; i++) {
        VEC z[GROUP_VECTORS];
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++)
            z[v] = T(load)(x + i * GROUP + v * LANES) - T(splat)(mean[i]);
        UNROLL for (int j = 0; j < outputs; j++)
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) y[j][v] += T(splat)(P[j]) * z[v];
        P += outputs;
    }
    UNROLL for (int i = 0; i < outputs; i++) {
        VEC z[GROUP_VECTORS];
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++)
            z[v] = T(load)(x + (first + i) * GROUP + v * LANES) - T(splat)(mean[first + i]);
        UNROLL for (int j = i; j < outputs; j++)
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) y[j][v] += T(splat)(P[j - i]) * z[v];
        P += outputs - i;
    }
    return P;
}

INLINE const REAL *T(distance_tile)(const REAL *x, const REAL *mean, const REAL *low,
                                    const REAL *P, ptrdiff_t first, const int outputs,
                                    VEC q[GROUP_VECTORS]) {
    VEC y[TILE_OUTPUTS][GROUP_VECTORS];
    P = T(whiten_tile)(x, mean, low, P, first, outputs, y);
    UNROLL for (int j = 0; j < outputs; j++)
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) q[v] += y[j][v] * y[j][v];
    return P;
}

INLINE const REAL *T(store_tile)(const REAL *x, const REAL *mean, const REAL *low, const REAL *P,
                                 ptrdiff_t first, const int outputs, REAL *out) {
    VEC y[TILE_OUTPUTS][GROUP_VECTORS];
    P = T(whiten_tile)(x, mean, low, P, first, outputs, y);
    UNROLL for (int j = 0; j < outputs; j++)
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++)
            T(store)(out + (first + j) * GROUP + v * LANES, y[j][v]);
    return P;
}

/* Over the columns before `end`, which is d or where a tile ends. */
static void T(distance_full)(const REAL *x, const REAL *mean, const REAL *low, const REAL *P,
                             ptrdiff_t d, ptrdiff_t end, VEC q[GROUP_VECTORS]) {
    const ptrdiff_t rest = d % TILE_OUTPUTS;
    switch (rest) {
    case 1: P = T(distance_tile)(x, mean, low, P, 0, 1, q); break;
    case 2: P = T(distance_tile)(x, mean, low, P, 0, 2, q); break;
    case 3: P = T(distance_tile)(x, mean, low, P, 0, 3, q); break;
    case 4: P = T(distance_tile)(x, mean, low, P, 0, 4, q); break;
    case 5: P = T(distance_tile)(x, mean, low, P, 0, 5, q); break;
    }
    for (ptrdiff_t first = rest; first < end; first += TILE_OUTPUTS)
        P = T(distance_tile)(x, mean, low, P, first, TILE_OUTPUTS, q);
}

/* All components of a full model of D <= FEW_FEATURES features: the triangle in one piece, for
 * PAIR vectors of rows at a time. */
INLINE void T(few_log_joint)(const T(Model) *m, const REAL *x, const int D, REAL *joint,
                             ptrdiff_t stride, VEC best[GROUP_VECTORS]) {
    const REAL *P = m->scale;
    for (ptrdiff_t c = 0; c < m->k; c++) {
        const REAL *mean = m->means + c * m->width, *low = m->low + c * m->width;
        const VEC constant = T(splat)(m->constant[c]);
        UNROLL for (int at = 0; at < GROUP_VECTORS; at += PAIR) {
            VEC y[FEW_FEATURES][PAIR], q[PAIR];
            const REAL *p = P;
            UNROLL for (int i = 0; i < D; i++) {
                VEC z[PAIR];
                UNROLL for (int v = 0; v < PAIR; v++)
                    z[v] = T(load)(x + i * GROUP + (at + v) * LANES) - T(splat)(mean[i]);
                UNROLL for (int j = i; j < D; j++, p++)
                    UNROLL for (int v = 0; v < PAIR; v++) {
                        if (i > 0) y[j][v] += T(splat)(*p) * z[v];
                        else if (sizeof(REAL) == 4) y[j][v] = T(splat)(*p) * z[v] + T(splat)(low[j]);
                        else y[j][v] = T(splat)(*p) * z[v];
                    }
            }
            UNROLL for (int v = 0; v < PAIR; v++) q[v] = constant;
            UNROLL for (int j = 0; j < D; j++)
                UNROLL for (int v = 0; v < PAIR; v++) q[v] -= y[j][v] * y[j][v];
            UNROLL for (int v = 0; v < PAIR; v++) {
                T(store)(joint + c * stride + (at + v) * LANES, q[v]);
                best[at + v] = T(larger)(q[v], best[at + v]);
            }
        }
        P += TRIANGLE(D);
    }
}

/* out[d][GROUP] = (x - center) P / sqrt(2) */
static void T(whiten)(const T(Model) *m, const REAL *x, REAL *out) {
    const REAL *P = m->scale, *low = m->low;
    const ptrdiff_t rest = m->d % TILE_OUTPUTS;
    switch (rest) {
    case 1: P = T(store_tile)(x, m->center, low, P, 0, 1, out); break;
    case 2: P = T(store_tile)(x, m->center, low, P, 0, 2, out); break;
    case 3: P = T(store_tile)(x, m->center, low, P, 0, 3, out); break;
    case 4: P = T(store_tile)(x, m->center, low, P, 0, 4, out); break;
    case 5: P = T(store_tile)(x, m->center, low, P, 0, 5, out); break;
    }
    for (ptrdiff_t first = rest; first < m->d; first += TILE_OUTPUTS)
        P = T(store_tile)(x, m->center, low, P, first, TILE_OUTPUTS, out);
}

/* `count` components of a diagonal model; means, scale and low are those of the first one. */
INLINE void T(distance_diagonal)(const REAL *x, ptrdiff_t d, const REAL *means, const REAL *scale,
                                 const REAL *low, ptrdiff_t width, const int count,
                                 VEC q[COMPONENTS_AT_ONCE][GROUP_VECTORS]) {
    for (ptrdiff_t i = 0; i < d; i++) {
        VEC point[GROUP_VECTORS];
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++)
            point[v] = T(load)(x + i * GROUP + v * LANES);
        UNROLL for (int c = 0; c < count; c++) {
            VEC mean = T(splat)(means[c * width + i]), inverse = T(splat)(scale[c * width + i]);
#ifdef REAL_IS_FLOAT
            VEC shift = T(splat)(low[c * width + i]);
#else
            (void)low;
#endif
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
                VEC y = (point[v] - mean) * inverse;
#ifdef REAL_IS_FLOAT
                y = (point[v] - mean) * inverse + shift;
#endif
                q[c][v] += y * y;
            }
        }
    }
}

/* The same without a scale per feature. */
INLINE void T(distance_spherical)(const REAL *x, ptrdiff_t d, const REAL *means, const REAL *low,
                                  ptrdiff_t width, const int count, const int with_low,
                                  VEC q[COMPONENTS_AT_ONCE][GROUP_VECTORS]) {
    for (ptrdiff_t i = 0; i < d; i++) {
        VEC point[GROUP_VECTORS];
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++)
            point[v] = T(load)(x + i * GROUP + v * LANES);
        UNROLL for (int c = 0; c < count; c++) {
            VEC mean = T(splat)(means[c * width + i]);
            VEC shift = T(splat)(with_low ? low[c * width + i] : (REAL)0);
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
                VEC y = point[v] - mean;
                if (with_low) y += shift;
                q[c][v] += y * y;
            }
        }
    }
}

/* ---- Log joint densities of one group ---- */

INLINE void T(simple_log_joint)(const T(Model) *m, const REAL *x, ptrdiff_t component,
                                const int count, REAL *joint, ptrdiff_t stride,
                                VEC best[GROUP_VECTORS]) {
    VEC q[COMPONENTS_AT_ONCE][GROUP_VECTORS];
    const REAL *means = m->means + component * m->width, *low = m->low + component * m->width;
    UNROLL for (int c = 0; c < count; c++)
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) q[c][v] = T(splat)((REAL)0);
    if (m->structure == DIAGONAL)
        T(distance_diagonal)(x, m->d, means, m->scale + component * m->width, low, m->width,
                             count, q);
    else if (m->structure == TIED)
        T(distance_spherical)(x, m->d, m->whitened + component * m->width, low, m->width, count, 0,
                              q);
    else
        T(distance_spherical)(x, m->d, means, low, m->width, count, sizeof(REAL) == 4, q);
    UNROLL for (int c = 0; c < count; c++) {
        VEC scale = T(splat)(m->structure == SPHERICAL ? m->scale[component + c] : (REAL)1);
        VEC constant = T(splat)(m->constant[component + c]);
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
            VEC value = constant - scale * q[c][v];
            T(store)(joint + (component + c) * stride + v * LANES, value);
            best[v] = T(larger)(value, best[v]);
        }
    }
}

/* joint[k][stride], GROUP values each; best = the largest over components, -inf when all are NaN.
 * work[d][GROUP] is scratch. */
static void T(log_joint)(const T(Model) *m, const REAL *x, REAL *work, REAL *joint,
                         ptrdiff_t stride, VEC best[GROUP_VECTORS], T(Ahead) next) {
    for (int v = 0; v < GROUP_VECTORS; v++) best[v] = T(splat)((REAL)-INFINITY);
    if (m->structure == FULL) {
        if (m->d <= FEW_FEATURES) T(fetch)(&next, (int)m->k);
        switch (m->d) {
        case 1: T(few_log_joint)(m, x, 1, joint, stride, best); return;
        case 2: T(few_log_joint)(m, x, 2, joint, stride, best); return;
        case 3: T(few_log_joint)(m, x, 3, joint, stride, best); return;
        case 4: T(few_log_joint)(m, x, 4, joint, stride, best); return;
        case 5: T(few_log_joint)(m, x, 5, joint, stride, best); return;
        case 6: T(few_log_joint)(m, x, 6, joint, stride, best); return;
        case 7: T(few_log_joint)(m, x, 7, joint, stride, best); return;
        case 8: T(few_log_joint)(m, x, 8, joint, stride, best); return;
        }
        for (ptrdiff_t c = 0; c < m->k; c++) {
            VEC q[GROUP_VECTORS], constant = T(splat)(m->constant[c]);
            T(fetch)(&next, 1);
            for (int v = 0; v < GROUP_VECTORS; v++) q[v] = T(splat)((REAL)0);
            T(distance_full)(x, m->means + c * m->width, m->low + c * m->width,
                             m->scale + c * TRIANGLE(m->d), m->d, m->d, q);
            for (int v = 0; v < GROUP_VECTORS; v++) {
                VEC value = constant - q[v];
                T(store)(joint + c * stride + v * LANES, value);
                best[v] = T(larger)(value, best[v]);
            }
        }
        return;
    }
    if (m->structure == TIED) {
        T(whiten)(m, x, work);
        x = work;
    }
    ptrdiff_t c = 0;
    for (; c + COMPONENTS_AT_ONCE <= m->k; c += COMPONENTS_AT_ONCE) {
        T(fetch)(&next, COMPONENTS_AT_ONCE);
        T(simple_log_joint)(m, x, c, COMPONENTS_AT_ONCE, joint, stride, best);
    }
    switch (m->k - c) {
    case 1: T(simple_log_joint)(m, x, c, 1, joint, stride, best); break;
    case 2: T(simple_log_joint)(m, x, c, 2, joint, stride, best); break;
    case 3: T(simple_log_joint)(m, x, c, 3, joint, stride, best); break;
    }
}

/* joint -> exp(joint - best) in place, one vector of rows; returns the row sums.
 * A row whose densities are all 0 or NaN gives zeros. */
INLINE VEC T(exp_joint)(REAL *joint, ptrdiff_t k, ptrdiff_t stride, VEC best, REAL cut) {
    VEC shift = T(choose)(T(above)(best, T(splat)((REAL)-INFINITY)), best, T(splat)((REAL)0));
    VEC sum = T(splat)((REAL)0);
    for (ptrdiff_t c = 0; c < k; c++) {
        VEC e = T(exp_above)(T(load)(joint + c * stride) - shift, cut);
        T(store)(joint + c * stride, e);
        sum += e;
    }
    return sum;
}

/* ---- Moments ---- */

/* Where a block's rows can be read in whole vectors: the last rows from a padded copy. */
typedef struct {
    const REAL *X, *tail;
    ptrdiff_t d, first_in_tail;
} T(Points);

INLINE const REAL *T(row)(const T(Points) *p, ptrdiff_t i) {
    return i < p->first_in_tail ? p->X + i * p->d : p->tail + (i - p->first_in_tail) * p->d;
}

typedef struct {
    int structure, by_lanes;
    ptrdiff_t n, k, d, chunk, stride, vectors; /* vectors = d in vectors, rounded up */
    ptrdiff_t stage_stride, entries, outer_width;
    T(Points) points;
    IVEC last_mask;      /* the lanes of the last vector of a row that are features */
    REAL *x, *work;      /* [groups][d][GROUP]; [d][GROUP] */
    REAL *share, *rest;  /* [k][stride] responsibilities; [chunk] weight / row sum */
    int *list;           /* [chunk] rows of a component */
    REAL *stage;         /* [rows][stage_stride] sqrt(r) (x - mean), sqrt(r) */
    double *lanes;       /* few features: [k][entries][LANES] */
    double *counts;      /* [k][LANES] */
    double *outer;       /* full: [k][d + 1][outer_width]; else [k][2][outer_width] */
    void *memory;
} T(Sums);

/* Few features: everything in lanes. Entries: weight, first [D], second ([D] or lower triangle).
 * One sweep over the chunk sums what features from..to-1 take part in with those before them. */
INLINE void T(lane_sweep)(T(Sums) *s, ptrdiff_t component, const REAL *mean, const int D,
                          const int structure, const int from, const int to) {
    const int triangle = structure == FULL, squares = structure == DIAGONAL;
    VEC count = T(splat)((REAL)0), first[MOST_AT_ONCE], second[MOST_AT_ONCE][FEW_FEATURES];
    UNROLL for (int i = 0; i < to - from; i++) {
        first[i] = T(splat)((REAL)0);
        UNROLL for (int j = 0; j <= from + i; j++) second[i][j] = T(splat)((REAL)0);
    }
    const REAL *share = s->share + component * s->stride;
    const REAL *x = s->x - LANES;
    for (ptrdiff_t at = 0; at < s->chunk; at += LANES) {
        x += at > 0 && at % GROUP == 0 ? (D - 1) * GROUP + LANES : LANES;
        VEC r = T(load)(share + at) * T(load)(s->rest + at), t[MOST_AT_ONCE];
        count += r;
        UNROLL for (int i = from; i < to; i++) {
            VEC z = T(load)(x + i * GROUP) - T(splat)(mean[i]);
            t[i - from] = r * z;
            first[i - from] += t[i - from];
            if (squares) second[i - from][0] += t[i - from] * z;
        }
        UNROLL for (int j = 0; j < to && triangle; j++) {
            VEC z = T(load)(x + j * GROUP) - T(splat)(mean[j]);
            UNROLL for (int i = j > from ? j : from; i < to; i++)
                second[i - from][j] += t[i - from] * z;
        }
    }
    double *out = s->lanes + component * s->entries * LANES;
    if (from == 0) T(add_to_double)(out, count);
    UNROLL for (int i = from; i < to; i++) {
        T(add_to_double)(out + (1 + i) * LANES, first[i - from]);
        if (squares) T(add_to_double)(out + (1 + D + i) * LANES, second[i - from][0]);
        UNROLL for (int j = 0; j <= i && triangle; j++)
            T(add_to_double)(out + (1 + D + TRIANGLE(i) + j) * LANES, second[i - from][j]);
    }
}

INLINE void T(lane_sweeps)(T(Sums) *s, ptrdiff_t component, const REAL *mean, const int D,
                           const int structure) {
    T(lane_sweep)(s, component, mean, D, structure, 0, D < MOST_AT_ONCE ? D : MOST_AT_ONCE);
    if (D > MOST_AT_ONCE) T(lane_sweep)(s, component, mean, D, structure, MOST_AT_ONCE, D);
}

INLINE void T(lane_moments)(T(Sums) *s, ptrdiff_t component, const REAL *mean, const int D) {
    if (s->structure == FULL) T(lane_sweeps)(s, component, mean, D, FULL);
    else if (s->structure == TIED) T(lane_sweeps)(s, component, mean, D, TIED);
    else T(lane_sweeps)(s, component, mean, D, DIAGONAL);
}

/* The rows of a chunk that have a share of one component. */
typedef struct {
    const int *row;
    const REAL *share;
    ptrdiff_t n;
} T(Members);

/* Collects the members of the component from the dense shares, in place; adds up the shares. */
static T(Members) T(list_rows)(T(Sums) *s, ptrdiff_t component) {
    REAL *share = s->share + component * s->stride;
    VEC count = T(splat)((REAL)0);
    ptrdiff_t n = 0;
    for (ptrdiff_t at = 0; at < s->chunk; at += LANES) {
        VEC r = T(load)(share + at) * T(load)(s->rest + at);
        count += r;
        T(store)(share + at, r);
    }
    for (ptrdiff_t i = 0; i < s->chunk; i++) {
        INT bits; /* shares are at least 0, and integers compare faster */
        memcpy(&bits, share + i, sizeof bits);
        s->list[n] = (int)i;
        memcpy(share + n, &bits, sizeof bits);
        n += bits != 0;
    }
    T(add_to_double)(s->counts + component * LANES, count);
    T(Members) members = {s->list, share, n};
    return members;
}

static void T(full_moments)(T(Sums) *s, ptrdiff_t start, ptrdiff_t component, const REAL *mean,
                            T(Members) members) {
    const ptrdiff_t n = members.n, last = (s->vectors - 1) * LANES;
    double *outer = s->outer + component * (s->d + 1) * s->outer_width;
    const IVEC mask = s->last_mask;
    for (ptrdiff_t a = 0; a < n;) {
        REAL *u = s->stage;
        const ptrdiff_t staged = n - a < MOST_ROWS_STAGED ? n - a : MOST_ROWS_STAGED;
        for (const ptrdiff_t end = a + staged; a < end; a++, u += s->stage_stride) {
            const REAL *row = T(row)(&s->points, start + members.row[a]);
            const REAL root = (REAL)sqrt(members.share[a]);
            const VEC roots = T(splat)(root);
            for (ptrdiff_t v = 0; v < last; v += LANES)
                T(store)(u + v, (T(load)(row + v) - T(load)(mean + v)) * roots);
            T(store)(u + last,
                     T(choose)(mask, (T(load)(row + last) - T(load)(mean + last)) * roots,
                               T(splat)((REAL)0)));
            u[s->d] = root;
        }
        T(outer_products)(s->stage, staged, s->stage_stride, s->d + 1, s->vectors, outer,
                          s->outer_width);
    }
}

INLINE void T(simple_moments_tile)(T(Sums) *s, ptrdiff_t start, T(Members) members,
                                   ptrdiff_t first, const int vectors, const int with_second,
                                   const REAL *mean, double *out) {
    VEC sum[4], square[4]; /* lanes behind the last feature hold anything and are not read */
    UNROLL for (int v = 0; v < vectors; v++) sum[v] = square[v] = T(splat)((REAL)0);
    for (ptrdiff_t a = 0; a < members.n; a++) {
        const REAL *row = T(row)(&s->points, start + members.row[a]);
        VEC r = T(splat)(members.share[a]);
        UNROLL for (int v = 0; v < vectors; v++) {
            VEC z = T(load)(row + (first + v) * LANES) - T(load)(mean + (first + v) * LANES);
            VEC t = r * z;
            sum[v] += t;
            if (with_second) square[v] += t * z;
        }
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        T(add_to_double)(out + (first + v) * LANES, sum[v]);
        if (with_second) T(add_to_double)(out + s->outer_width + (first + v) * LANES, square[v]);
    }
}

INLINE void T(simple_moments_of)(T(Sums) *s, ptrdiff_t start, ptrdiff_t component,
                                 const REAL *mean, const int with_second, T(Members) members) {
    double *out = s->outer + component * 2 * s->outer_width;
    ptrdiff_t v = 0;
    for (; v + 4 <= s->vectors; v += 4)
        T(simple_moments_tile)(s, start, members, v, 4, with_second, mean, out);
    switch (s->vectors - v) {
    case 1: T(simple_moments_tile)(s, start, members, v, 1, with_second, mean, out); break;
    case 2: T(simple_moments_tile)(s, start, members, v, 2, with_second, mean, out); break;
    case 3: T(simple_moments_tile)(s, start, members, v, 3, with_second, mean, out); break;
    }
}

/* Rows without a share may be infinite: 0 times them is NaN. */
static void T(hide_absent)(T(Sums) *s) {
    for (ptrdiff_t i = 0; i < s->chunk; i++) {
        if (s->rest[i] > 0) continue;
        REAL *x = s->x + i / GROUP * (s->d * GROUP) + i % GROUP;
        for (ptrdiff_t j = 0; j < s->d; j++) x[j * GROUP] = 0;
    }
}

static void T(member_moments)(T(Sums) *s, ptrdiff_t start, ptrdiff_t component, const REAL *mean,
                              T(Members) members) {
    if (s->structure == FULL) T(full_moments)(s, start, component, mean, members);
    else if (s->structure == TIED) T(simple_moments_of)(s, start, component, mean, 0, members);
    else T(simple_moments_of)(s, start, component, mean, 1, members);
}

/* Adds the moments of the chunk that begins at row `start` about `means`. */
static void T(chunk_moments)(T(Sums) *s, ptrdiff_t start, const REAL *means, ptrdiff_t width) {
    for (ptrdiff_t c = 0; c < s->k; c++) {
        const REAL *mean = means + c * width;
        if (s->by_lanes) {
            switch (s->d) {
            case 1: T(lane_moments)(s, c, mean, 1); break;
            case 2: T(lane_moments)(s, c, mean, 2); break;
            case 3: T(lane_moments)(s, c, mean, 3); break;
            case 4: T(lane_moments)(s, c, mean, 4); break;
            case 5: T(lane_moments)(s, c, mean, 5); break;
            case 6: T(lane_moments)(s, c, mean, 6); break;
            case 7: T(lane_moments)(s, c, mean, 7); break;
            case 8: T(lane_moments)(s, c, mean, 8); break;
            }
        } else {
            T(member_moments)(s, start, c, mean, T(list_rows)(s, c));
        }
    }
}

/* ---- Scratch memory of one call ---- */

/* Returns 0 when memory is short. k = 0: no moments. */
static int T(open_sums)(T(Sums) *s, int structure, const REAL *X, ptrdiff_t n, ptrdiff_t k,
                        ptrdiff_t d) {
    const ptrdiff_t line = 64;
    s->structure = structure;
    s->n = n;
    s->k = k;
    s->d = d;
    s->by_lanes = d <= FEW_FEATURES;
    s->vectors = (d + LANES - 1) / LANES;
    /* Shares of a chunk fill about 128 KiB. */
    s->chunk = ROUND_UP(n, GROUP);
    ptrdiff_t largest = ROUND_UP(131072 / (ptrdiff_t)sizeof(REAL) / k, GROUP);
    if (largest > 512) largest = ROUND_UP(512, GROUP);
    if (s->by_lanes && largest > 2048 / d) largest = ROUND_UP(2048 / d, GROUP); /* 16 KiB of x */
    if (largest < GROUP) largest = GROUP;
    if (s->chunk > largest) s->chunk = largest;
    /* Not a power of two, or the components of a row would fall on one set of L1. */
    s->stride = s->chunk + GROUP;
    const ptrdiff_t groups = s->by_lanes ? s->chunk / GROUP : 1;
    const int stages = structure == FULL && !s->by_lanes;
    s->stage_stride = ROUND_UP(d + 1, LANES);
    s->entries = 1 + d + (structure == FULL ? TRIANGLE(d) : d);
    s->outer_width = ROUND_UP(d, LANES);
    const ptrdiff_t in_tail = n < LANES ? n : LANES;
    const ptrdiff_t tail = ROUND_UP(in_tail * d + LANES, line);
    const ptrdiff_t reals[] = {groups * d * GROUP,
                               d * GROUP,
                               k * s->stride,
                               s->chunk,
                               stages ? MOST_ROWS_STAGED * s->stage_stride : 0,
                               s->by_lanes ? 0 : tail};
    const ptrdiff_t doubles[] = {s->by_lanes ? k * s->entries * LANES : 0,
                                 s->by_lanes ? 0 : k * LANES,
                                 s->by_lanes ? 0 : k * (stages ? d + 1 : 2) * s->outer_width};
    size_t bytes = (size_t)line;
    for (int i = 0; i < 6; i++) bytes += ROUND_UP((size_t)reals[i] * sizeof(REAL), (size_t)line);
    size_t zeroed = 0;
    for (int i = 0; i < 3; i++) zeroed += ROUND_UP((size_t)doubles[i] * 8, (size_t)line);
    bytes += zeroed + (size_t)(s->chunk + 1) * sizeof(int);
    s->memory = malloc(bytes);
    if (!s->memory) return 0;
    char *at = (char *)(((uintptr_t)s->memory + 63) & ~(uintptr_t)63);
    REAL **real_slots[] = {&s->x, &s->work, &s->share, &s->rest, &s->stage, NULL};
    REAL *copied = NULL;
    memset(at, 0, zeroed);
    double **double_slots[] = {&s->lanes, &s->counts, &s->outer};
    for (int i = 0; i < 3; i++) {
        *double_slots[i] = (double *)at;
        at += ROUND_UP((size_t)doubles[i] * 8, (size_t)line);
    }
    for (int i = 0; i < 6; i++) {
        if (real_slots[i]) *real_slots[i] = (REAL *)at;
        else copied = (REAL *)at;
        at += ROUND_UP((size_t)reals[i] * sizeof(REAL), (size_t)line);
    }
    s->list = (int *)at;
    s->points.X = X;
    s->points.d = d;
    s->points.first_in_tail = n - in_tail;
    s->points.tail = copied;
    if (!s->by_lanes) {
        memset(copied, 0, (size_t)tail * sizeof(REAL));
        memcpy(copied, X + (n - in_tail) * d, (size_t)(in_tail * d) * sizeof(REAL));
        INT mask[LANES];
        for (int i = 0; i < LANES; i++) mask[i] = (s->vectors - 1) * LANES + i < d ? -1 : 0;
        s->last_mask = T(load_int)(mask);
    }
    return 1;
}

static double T(total_of_lanes)(const double *p) {
    double sum = 0;
    for (int i = 0; i < LANES; i++) sum += p[i];
    return sum;
}

/* Adds `unit` times the sums to nk [k], first [k][d], second [k][d][d] or [k][d]; frees. */
static void T(close_sums)(T(Sums) *s, double unit, double *nk, double *first, double *second) {
    const ptrdiff_t d = s->d;
    for (ptrdiff_t c = 0; c < s->k; c++) {
        const int squares = s->structure == DIAGONAL || s->structure == SPHERICAL;
        if (s->by_lanes) {
            const double *in = s->lanes + c * s->entries * LANES;
            nk[c] += unit * T(total_of_lanes)(in);
            for (ptrdiff_t i = 0; i < d; i++)
                first[c * d + i] += unit * T(total_of_lanes)(in + (1 + i) * LANES);
            in += (1 + d) * LANES;
            for (ptrdiff_t i = 0; i < d && squares; i++, in += LANES)
                second[c * d + i] += unit * T(total_of_lanes)(in);
            for (ptrdiff_t i = 0; i < d && s->structure == FULL; i++)
                for (ptrdiff_t j = 0; j <= i; j++, in += LANES) {
                    const double value = unit * T(total_of_lanes)(in);
                    second[(c * d + i) * d + j] += value;
                    if (j < i) second[(c * d + j) * d + i] += value;
                }
            continue;
        }
        nk[c] += unit * T(total_of_lanes)(s->counts + c * LANES);
        if (s->structure == FULL) {
            const double *in = s->outer + c * (d + 1) * s->outer_width;
            for (ptrdiff_t i = 0; i < d; i++)
                for (ptrdiff_t j = 0; j <= i; j++) {
                    const double value = unit * in[i * s->outer_width + j];
                    second[(c * d + i) * d + j] += value;
                    if (j < i) second[(c * d + j) * d + i] += value;
                }
            for (ptrdiff_t i = 0; i < d; i++) first[c * d + i] += unit * in[d * s->outer_width + i];
            continue;
        }
        const double *in = s->outer + c * 2 * s->outer_width;
        for (ptrdiff_t i = 0; i < d; i++) {
            first[c * d + i] += unit * in[i];
            if (squares) second[c * d + i] += unit * in[s->outer_width + i];
        }
    }
    free(s->memory);
}

#ifdef REAL_IS_DOUBLE
/* A power of two near the largest weight: float32 shares keep their range for any weights. */
static double weight_unit(const double *weight, ptrdiff_t n) {
    VEC most = T(splat)(0);
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) most = T(larger)(T(load)(weight + i), most);
    double largest = T(largest_lane)(most);
    for (; i < n; i++) largest = weight[i] > largest ? weight[i] : largest;
    int exponent = 0;
    frexp(largest, &exponent);
    return largest > 0 ? ldexp(1.0, exponent - 1) : 1.0;
}
#endif

/* out[GROUP] = the weights of `rows` rows in units, 0 behind them. */
static void T(scale_weights)(const double *weight, ptrdiff_t rows, double per_unit, REAL *out) {
    if (rows >= GROUP) {
        for (int i = 0; i < GROUP; i++) out[i] = (REAL)(weight[i] * per_unit);
        return;
    }
    for (int i = 0; i < GROUP; i++) out[i] = i < rows ? (REAL)(weight[i] * per_unit) : (REAL)0;
}

#include "gaussian_screen.h"

/* ---- The kernels ---- */

/* One expectation step. Moments are about the model's means rounded to REAL; nk, first and second
 * are added to. *log_norm = sum_i weight_i log p(x_i). Returns 0 when memory is short. */
static int T(e_step)(const REAL *X, const double *weight, ptrdiff_t n, const REAL *model,
                     double *nk, double *first, double *second, double *log_norm) {
    const T(Model) m = T(open_model)(model);
    T(Sums) s;
    *log_norm = 0;
    if (n == 0) return 1;
    if (!T(open_sums)(&s, m.structure, X, n, m.k, m.d)) return 0;
    const double unit = weight_unit(weight, n), per_unit = 1 / unit;
    double norm_lanes[LANES];
    for (int i = 0; i < LANES; i++) norm_lanes[i] = 0;
#ifdef REAL_IS_DOUBLE
    ptrdiff_t start = screened_e_step(&m, X, weight, n, per_unit, &s, norm_lanes);
#else
    ptrdiff_t start = 0;
#endif
    for (; start < n; start += s.chunk) {
        if (s.chunk > n - start) s.chunk = ROUND_UP(n - start, GROUP);
        const VEC zero = T(splat)((REAL)0);
        VEC least = T(splat)((REAL)1);
        for (ptrdiff_t at = 0; at < s.chunk; at += GROUP) {
            const ptrdiff_t rows = n - start - at;
            REAL *x = s.by_lanes ? s.x + at / GROUP * (m.d * GROUP) : s.x;
            VEC best[GROUP_VECTORS];
            T(transpose)(X + (rows > 0 ? start + at : 0) * m.d, rows, m.d, x);
            T(scale_weights)(weight + (rows > 0 ? start + at : 0), rows, per_unit, s.rest + at);
            T(log_joint)(&m, x, s.work, s.share + at, s.stride, best,
                         T(look_ahead)(X + (start + at) * m.d, rows, m.d, m.k));
            VEC sum[GROUP_VECTORS];
            for (int v = 0; v < GROUP_VECTORS; v++)
                sum[v] = T(exp_joint)(s.share + at + v * LANES, m.k, s.stride, best[v],
                                      NEGLIGIBLE_LOG);
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
                VEC w = T(load)(s.rest + at + v * LANES), norm = best[v] + T(log)(sum[v]);
                VEC rest = T(choose)(T(above)(sum[v], zero), w / sum[v], zero);
                T(store)(s.rest + at + v * LANES, rest);
                least = T(choose)(T(above)(least, rest), rest, least);
                T(add_to_double)(norm_lanes, T(choose)(T(above)(w, zero), w * norm, zero));
            }
        }
        if (s.by_lanes && !(T(largest_lane)(zero - least) < 0)) T(hide_absent)(&s);
        T(chunk_moments)(&s, start, m.means, m.width);
    }
    *log_norm = unit * T(total_of_lanes)(norm_lanes);
    T(close_sums)(&s, unit, nk, first, second);
    return 1;
}

/* Moments about `means` [k][width] when responsibilities [n][k] are given. */
static int T(weighted_moments)(const REAL *X, const double *weight, ptrdiff_t n,
                               const REAL *responsibilities, const REAL *model, double *nk,
                               double *first, double *second) {
    const T(Model) m = T(open_model)(model);
    T(Sums) s;
    if (n == 0) return 1;
    if (!T(open_sums)(&s, m.structure, X, n, m.k, m.d)) return 0;
    const double unit = weight_unit(weight, n), per_unit = 1 / unit;
    for (ptrdiff_t start = 0; start < n; start += s.chunk) {
        if (s.chunk > n - start) s.chunk = ROUND_UP(n - start, GROUP);
        const ptrdiff_t rows = n - start < s.chunk ? n - start : s.chunk;
        for (ptrdiff_t at = 0; at < s.chunk && s.by_lanes; at += GROUP)
            T(transpose)(X + (at < rows ? start + at : 0) * m.d, rows - at, m.d,
                         s.x + at / GROUP * (m.d * GROUP));
        for (ptrdiff_t i = 0; i < s.chunk; i++) {
            s.rest[i] = i < rows ? (REAL)(weight[start + i] * per_unit) : (REAL)0;
            for (ptrdiff_t c = 0; c < m.k; c++) {
                const REAL r = i < rows ? responsibilities[(start + i) * m.k + c] : (REAL)0;
                s.share[c * s.stride + i] = r > (REAL)1e-20 ? r : (REAL)0;
            }
        }
        if (s.by_lanes) T(hide_absent)(&s);
        T(chunk_moments)(&s, start, m.means, m.width);
    }
    T(close_sums)(&s, unit, nk, first, second);
    return 1;
}

/* What the rows are under the model: out [n][k] (log joint density or responsibilities, or
 * nothing), log_norm [n] and label [n] where not NULL. */
static int T(evaluate)(const REAL *X, ptrdiff_t n, const REAL *model, int written, REAL *out,
                       double *log_norm, int64_t *label) {
    const T(Model) m = T(open_model)(model);
    const ptrdiff_t reals = GROUP * (2 * m.d + m.k);
    if (n == 0) return 1;
    REAL *memory = malloc(((size_t)reals) * sizeof(REAL) + 64);
    if (!memory) return 0;
    REAL *x = (REAL *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    REAL *work = x + GROUP * m.d, *joint = work + GROUP * m.d;
    for (ptrdiff_t start = 0; start < n; start += GROUP) {
        const int rows = n - start < GROUP ? (int)(n - start) : GROUP;
        VEC best[GROUP_VECTORS];
        REAL norm[GROUP], scale[GROUP];
        T(transpose)(X + start * m.d, rows, m.d, x);
        T(log_joint)(&m, x, work, joint, GROUP, best,
                     T(look_ahead)(X + start * m.d, n - start, m.d, m.k));
        for (int r = 0; r < rows && label; r++) {
            ptrdiff_t largest = 0;
            for (ptrdiff_t c = 1; c < m.k; c++)
                if (joint[c * GROUP + r] > joint[largest * GROUP + r]) largest = c;
            label[start + r] = largest;
        }
        for (int r = 0; r < rows && written == WRITE_LOG_JOINT; r++)
            for (ptrdiff_t c = 0; c < m.k; c++) out[(start + r) * m.k + c] = joint[c * GROUP + r];
        if (!log_norm && written != WRITE_RESPONSIBILITIES) continue;
        for (int v = 0; v < GROUP_VECTORS; v++) {
            VEC sum = T(exp_joint)(joint + v * LANES, m.k, GROUP, best[v], SMALLEST_EXP);
            T(store)(scale + v * LANES, T(splat)((REAL)1) / sum);
            T(store)(norm + v * LANES, best[v] + T(log)(sum));
        }
        for (int r = 0; r < rows && log_norm; r++) log_norm[start + r] = norm[r];
        for (int r = 0; r < rows && written == WRITE_RESPONSIBILITIES; r++)
            for (ptrdiff_t c = 0; c < m.k; c++)
                out[(start + r) * m.k + c] = joint[c * GROUP + r] * scale[r];
    }
    free(memory);
    return 1;
}

#undef SMALLEST_EXP

/* Weighted products of rows about an origin, summed in float64 whatever X is: total [1], first [d]
 * and second [d][d] are added to. Returns 0 when memory is short. */
static int T(scatter)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                      const double *origin, double *total, double *first, double *second) {
    const ptrdiff_t lanes = (ptrdiff_t)(sizeof(double_vector) / sizeof(double));
    const ptrdiff_t vectors = (d + lanes - 1) / lanes, width = vectors * lanes;
    const ptrdiff_t stride = ROUND_UP(d + 1, lanes);
    const size_t bytes = (size_t)((d + 1) * width + MOST_ROWS_STAGED * stride) * sizeof(double);
    if (n == 0) return 1;
    double *memory = malloc(bytes + 64);
    if (!memory) return 0;
    double *sums = (double *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    double *stage = sums + (d + 1) * width, sum = 0;
    memset(sums, 0, bytes);
    for (ptrdiff_t start = 0; start < n; start += MOST_ROWS_STAGED) {
        const ptrdiff_t rows = n - start < MOST_ROWS_STAGED ? n - start : MOST_ROWS_STAGED;
        ptrdiff_t staged = 0;
        for (ptrdiff_t r = 0; r < rows; r++) {
            const REAL *row = X + (start + r) * d;
            double *u = stage + staged * stride;
            const double w = weight[start + r];
            if (!(w > 0)) continue;
            const double root = sqrt(w);
            for (ptrdiff_t i = 0; i < d; i++) u[i] = root * ((double)row[i] - origin[i]);
            u[d] = root;
            sum += w;
            staged++;
        }
        outer_products_double(stage, staged, stride, d + 1, vectors, sums, width);
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        for (ptrdiff_t j = 0; j <= i; j++) {
            second[i * d + j] += sums[i * width + j];
            if (j < i) second[j * d + i] += sums[i * width + j];
        }
        first[i] += sums[d * width + i];
    }
    *total += sum;
    free(memory);
    return 1;
}

/* The linear kernels for one type; see linear.h. No include guard: included once per type. */
#include "vector_of.h"
#undef SMALLEST_EXP
#include "elementary_of.h"

#undef LEFT
#undef PANEL_VECTORS
#undef PANEL
#if defined(VECTOR_BYTES) && VECTOR_BYTES == 64
#  define LEFT 8
#else
#  define LEFT 4
#endif
/* LEFT divides a panel. */
#define PANEL_VECTORS (LANES == 2 ? 2 : LANES == 1 ? 4 : 3)
#define PANEL (PANEL_VECTORS * LANES)

#ifdef REAL_IS_DOUBLE
/* ---- losses: rows in lanes, in double for both types ------------------------------------------ */

INLINE double_vector same(double_vector a, double_vector b, double_vector yes, double_vector no) {
#  ifdef SKGEN_ONE_LANE
    return a == b ? yes : no;
#  else
    return T(choose)(a == b, yes, no);
#  endif
}

/* log(1 + x) for x >= 0 and inverse = 1 / (1 + x), exact for tiny x. */
INLINE VEC log_of_one_plus(VEC x, VEC inverse) {
    const VEC one = T(splat)(1.0), u = one + x;
    return T(log)(u) - ((u - one) - x) * inverse;
}

/* sum of s log(1 + exp(-margin)), margin = raw for class 1 and -raw for class 0.
 * residual and curvature: the first and second derivative by raw, times s.
 * Arrays have CHUNK numbers; rows that are not there have weight 0 and raw 0. */
static double logistic_loss(const double *raw, const double *target, const double *weight,
                            double *residual, double *curvature) {
    const VEC zero = T(splat)(0.0), one = T(splat)(1.0);
    VEC value = zero;
    for (int at = 0; at < CHUNK; at += LANES) {
        const VEC s = T(load)(weight + at), x = T(load)(raw + at);
        const VEC sign = T(load)(target + at) * T(splat)(2.0) - one, margin = sign * x;
        const IVEC right = T(above)(margin, zero);
        const VEC e = T(exp_above)(T(choose)(right, -margin, margin), -708.0);
        const VEC inverse = one / (one + e);
        /* NaN is not right, and stays. */
        value += s * (T(choose)(right, zero, -margin) + log_of_one_plus(e, inverse));
        const VEC miss = inverse * T(choose)(right, e, one);
        T(store)(residual + at, -sign * s * miss);
        T(store)(curvature + at, s * e * (inverse * inverse));
    }
    return T(sum_lanes)(value);
}

/* What a vector of rows shares out: exp(raw_k - top), top = raw of class `winner`; `rest` sums the
 * other classes, so that 1 + rest is the whole and no digit of a small rest is lost. */
typedef struct {
    VEC top, winner, rest, inverse;
} Shares;

/* power[k][stride] may be raw itself; the winner's power is 1. */
INLINE Shares share_out(const double *raw, ptrdiff_t classes, ptrdiff_t stride, double *power) {
    const VEC zero = T(splat)(0.0), one = T(splat)(1.0);
    Shares out = {T(load)(raw), zero, zero, one};
    for (ptrdiff_t k = 1; k < classes; k++) {
        const VEC x = T(load)(raw + k * stride);
        const IVEC better = T(above)(x, out.top);
        out.top = T(choose)(better, x, out.top);
        out.winner = T(choose)(better, T(splat)((double)k), out.winner);
    }
    for (ptrdiff_t k = 0; k < classes; k++) {
        const VEC e = T(exp_above)(T(load)(raw + k * stride) - out.top, -708.0);
        const VEC number = T(splat)((double)k);
        out.rest += same(out.winner, number, zero, e);
        T(store)(power + k * stride, same(out.winner, number, one, e));
    }
    out.inverse = one / (one + out.rest);
    return out;
}

/* sum of s (log sum_k exp(raw_k) - raw_target); raw, residual and probability are [k][CHUNK].
 * `probability` (NULL: not wanted) and `doubt` receive p and 1 - p, both to full precision. */
static double softmax_loss(double *raw, ptrdiff_t classes, const double *target,
                           const double *weight, double *residual, double *probability,
                           double *doubt) {
    const VEC zero = T(splat)(0.0), one = T(splat)(1.0);
    VEC value = zero;
    for (int at = 0; at < CHUNK; at += LANES) {
        const VEC s = T(load)(weight + at), wanted = T(load)(target + at);
        VEC wanted_raw = zero, poison = zero;
        for (ptrdiff_t k = 0; k < classes; k++) {
            const VEC x = T(load)(raw + k * CHUNK + at);
            wanted_raw = same(wanted, T(splat)((double)k), x, wanted_raw);
            poison += x * zero; /* NaN if any score is no number */
        }
        const Shares all = share_out(raw + at, classes, CHUNK, raw + at);
        value += s * ((all.top - wanted_raw) + log_of_one_plus(all.rest, all.inverse)) + poison;
        const VEC scale = s * all.inverse, whole = one + all.rest;
        for (ptrdiff_t k = 0; k < classes; k++) {
            const VEC e = T(load)(raw + k * CHUNK + at), number = T(splat)((double)k);
            const VEC others = same(all.winner, number, all.rest, whole - e);
            T(store)(residual + k * CHUNK + at, scale * same(wanted, number, -others, e));
            if (!probability) continue;
            T(store)(probability + k * CHUNK + at, e * all.inverse);
            T(store)(doubt + k * CHUNK + at, others * all.inverse);
        }
    }
    return T(sum_lanes)(value);
}
#endif

/* ---- a pass over a block ----------------------------------------------------------------------- */

typedef struct {
    const REAL *X;
    const double *weight;
    const int32_t *target;
    ptrdiff_t n, d, classes;
    ptrdiff_t full, width; /* whole vectors of a row; numbers in vectors that hold d + 1 */
    ptrdiff_t first_in_tail;
    int few; /* rows are short: the next chunk is fetched while this one is worked on */
    double unit, per_unit; /* a power of two near the largest weight, and its inverse */
    IVEC mask;             /* the lanes of the vector after the whole ones that are features */
    VEC one;               /* 1 in the lane of that vector that follows the features */
    const double *intercept;
    REAL *origin;          /* [width], zeros behind the features */
    REAL *coef;            /* per group of classes [full + 1][classes of the group][LANES] */
    REAL *tail;            /* the last rows, where reading on is allowed */
    REAL *lanes;           /* [CLASSES_AT_ONCE][LANES][LANES] */
    REAL *scaled;          /* [classes][CHUNK] residuals / unit */
    double *raw, *residual, *curvature, *target_chunk, *weight_chunk; /* [classes][CHUNK], [CHUNK] */
    double *probability, *doubt; /* [classes][CHUNK] */
    double *sums;          /* [classes][width] gradient / unit */
    const REAL *rows[CHUNK];
    REAL *packed, *left;   /* [panels][depth][PANEL] */
    ptrdiff_t depth, filled, panels;
    void *memory;
} T(Pass);

INLINE char *T(place)(char **at, size_t bytes) {
    char *here = *at;
    *at += ROUND_UP(bytes, 64);
    return here;
}

/* Scratch of a pass at `at`; returns the end. `panels` = 0: no Hessian; `pairs`: the left panels. */
static char *T(lay_out)(T(Pass) *p, char *at, int pairs) {
    const size_t real = sizeof(REAL), chunk = CHUNK * sizeof(double);
    const size_t panel = (size_t)(p->panels * p->depth * PANEL);
    p->origin = (REAL *)T(place)(&at, p->width * real);
    p->coef = (REAL *)T(place)(&at, p->classes * p->width * real);
    p->tail = (REAL *)T(place)(&at, (LANES * p->d + LANES) * real);
    p->lanes = (REAL *)T(place)(&at, CLASSES_AT_ONCE * LANES * LANES * real);
    p->scaled = (REAL *)T(place)(&at, p->classes * CHUNK * real);
    p->raw = (double *)T(place)(&at, p->classes * chunk);
    p->residual = (double *)T(place)(&at, p->classes * chunk);
    p->curvature = (double *)T(place)(&at, chunk);
    p->target_chunk = (double *)T(place)(&at, chunk);
    p->weight_chunk = (double *)T(place)(&at, chunk);
    p->probability = (double *)T(place)(&at, pairs ? p->classes * chunk : 0);
    p->doubt = (double *)T(place)(&at, pairs ? p->classes * chunk : 0);
    p->sums = (double *)T(place)(&at, p->classes * p->width * sizeof(double));
    p->packed = (REAL *)T(place)(&at, panel * real);
    p->left = pairs ? (REAL *)T(place)(&at, panel * real) : p->packed;
    return at;
}

static double T(unit_of)(const double *weight, ptrdiff_t n) {
    int exponent;
    double largest = 0;
    if (sizeof(REAL) == 8 || !weight) return 1;
    for (ptrdiff_t i = 0; i < n; i++) largest = weight[i] > largest ? weight[i] : largest;
    if (!(largest > 0 && largest < HUGE_VAL)) return 1;
    frexp(largest, &exponent);
    return ldexp(1.0, exponent < -1000 ? -1000 : exponent > 1000 ? 1000 : exponent);
}

enum { T(GRADIENT), T(TRIANGLE_TOO), T(PAIRS_TOO) };

/* In the order in which the tiles read them. */
static void T(pack_coef)(T(Pass) *p, const double *coef) {
    const ptrdiff_t groups = (p->classes + CLASSES_AT_ONCE - 1) / CLASSES_AT_ONCE;
    for (ptrdiff_t g = 0; g < groups; g++) {
        const ptrdiff_t first = p->classes * g / groups, end = p->classes * (g + 1) / groups;
        for (ptrdiff_t k = first; k < end; k++)
            for (ptrdiff_t j = 0; j < p->d; j++)
                p->coef[first * p->width + (j / LANES * (end - first) + k - first) * LANES + j % LANES] =
                    (REAL)coef[k * p->d + j];
    }
}

/* 0 without memory. */
static int T(open_pass)(T(Pass) *p, const REAL *X, ptrdiff_t n, ptrdiff_t d, ptrdiff_t classes,
                        const REAL *origin, const double *coef, const double *intercept,
                        const double *weight, const int32_t *target, int wanted) {
    REAL mask_lanes[LANES], one[LANES];
    memset(p, 0, sizeof *p);
    p->X = X, p->n = n, p->d = d, p->classes = classes;
    p->weight = weight, p->target = target, p->intercept = intercept;
    p->full = d / LANES;
    p->width = (p->full + 1) * LANES;
    for (int i = 0; i < LANES; i++) {
        mask_lanes[i] = (REAL)(p->full * LANES + i < d);
        one[i] = (REAL)(p->full * LANES + i == d);
    }
    p->mask = T(above)(T(load)(mask_lanes), T(splat)((REAL)0));
    p->one = T(load)(one);
    p->few = p->width * (ptrdiff_t)sizeof(REAL) <= FEW_BYTES;
    p->unit = T(unit_of)(weight, n);
    p->per_unit = 1 / p->unit;
    if (wanted != T(GRADIENT)) {
        ptrdiff_t fit = PACKED_BYTES / (p->width * (ptrdiff_t)sizeof(REAL)) / CHUNK * CHUNK;
        if (p->few) fit = CHUNK;
        p->depth = fit > MOST_DEPTH ? MOST_DEPTH : fit < CHUNK ? CHUNK : fit;
        if (p->depth > ROUND_UP(n, CHUNK)) p->depth = ROUND_UP(n, CHUNK);
        p->panels = (p->width + PANEL - 1) / PANEL;
        if (wanted == T(PAIRS_TOO)) p->depth = CHUNK;
    }
    const size_t bytes = (size_t)(T(lay_out)(p, NULL, wanted == T(PAIRS_TOO)) - (char *)NULL);
    p->memory = allocate(bytes);
    if (!p->memory) return 0;
    T(lay_out)(p, p->memory, wanted == T(PAIRS_TOO));
    memcpy(p->origin, origin, d * sizeof(REAL));
    T(pack_coef)(p, coef);
    p->first_in_tail = n > LANES ? n - LANES : 0;
    memcpy(p->tail, X + p->first_in_tail * d, (n - p->first_in_tail) * d * sizeof(REAL));
    return 1;
}

/* Row i; rows behind the last are the last. */
INLINE const REAL *T(row)(const T(Pass) *p, ptrdiff_t i) {
    if (i >= p->n) i = p->n - 1;
    return i < p->first_in_tail ? p->X + i * p->d : p->tail + (i - p->first_in_tail) * p->d;
}

/* ---- raw scores -------------------------------------------------------------------------------- */

/* lanes[k][row][LANES]: <z, coef_k> over features from .. to before its lanes are summed. */
INLINE void T(score_tile)(const T(Pass) *p, const REAL *const x[], const REAL *coef, ptrdiff_t from,
                          ptrdiff_t to, const int rows, const int classes, const int long_rows,
                          REAL *lanes) {
    VEC sum[CLASSES_AT_ONCE][MOST_SIDE_BY_SIDE], z[MOST_SIDE_BY_SIDE];
    const ptrdiff_t end = to > p->full * LANES ? p->full * LANES : to;
    UNROLL for (int k = 0; k < classes; k++)
        UNROLL for (int r = 0; r < rows; r++) {
            sum[k][r] = T(splat)((REAL)0);
            if (from) sum[k][r] = T(load)(lanes + (k * LANES + r) * LANES);
        }
    for (ptrdiff_t j = from; j < end; j += LANES) {
        const VEC origin = T(load)(p->origin + j);
        UNROLL for (int r = 0; r < rows; r++) {
            if (long_rows) PREFETCH(x[r] + rows * p->d + j);
            z[r] = T(load)(x[r] + j) - origin;
        }
        UNROLL for (int k = 0; k < classes; k++) {
            VEC w = T(load)(coef + j * classes + k * LANES);
            KEEP(w);
            UNROLL for (int r = 0; r < rows; r++) sum[k][r] += z[r] * w;
        }
    }
    if (end < to) {
        const VEC origin = T(load)(p->origin + end), zero = T(splat)((REAL)0);
        UNROLL for (int r = 0; r < rows; r++)
            z[r] = T(choose)(p->mask, T(load)(x[r] + end) - origin, zero);
        UNROLL for (int k = 0; k < classes; k++) {
            const VEC w = T(load)(coef + end * classes + k * LANES);
            UNROLL for (int r = 0; r < rows; r++) sum[k][r] += z[r] * w;
        }
    }
    UNROLL for (int k = 0; k < classes; k++)
        UNROLL for (int r = 0; r < rows; r++)
            T(store)(lanes + (k * LANES + r) * LANES, sum[k][r]);
}

/* raw[i] = intercept + the sum of the LANES numbers at lanes[i], for LANES rows. */
INLINE void T(sum_rows)(const REAL *lanes, double intercept, double *raw) {
#ifdef SKGEN_ONE_LANE
    raw[0] = (double)lanes[0] + intercept;
#else
    VEC v[LANES];
    REAL out[LANES];
    UNROLL for (int i = 0; i < LANES; i++) v[i] = T(load)(lanes + i * LANES);
    /* Row i and row i + half share a vector, their lanes alternating: log2 rounds later each has
     * one lane, and it is the lane of its number. */
    UNROLL for (int half = LANES / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++)
            v[i] = T(interleave_low)(v[i], v[i + half]) + T(interleave_high)(v[i], v[i + half]);
    T(store)(out, v[0]);
    for (int i = 0; i < LANES; i++) raw[i] = (double)out[i] + intercept;
#endif
}

INLINE void T(score_classes)(const T(Pass) *p, ptrdiff_t row, ptrdiff_t first, const int classes) {
    const int rows = SIDE_BY_SIDE(classes) < LANES ? SIDE_BY_SIDE(classes) : LANES;
    const REAL *coef = p->coef + first * p->width;
    for (ptrdiff_t from = 0; from < p->d; from += SCORE_VECTORS * LANES) {
        const ptrdiff_t to = from + SCORE_VECTORS * LANES < p->d ? from + SCORE_VECTORS * LANES : p->d;
        for (int r = 0; r < LANES; r += rows) {
            const REAL *const *x = p->rows + row + r;
            REAL *lanes = p->lanes + r * LANES;
            if (p->few) T(score_tile)(p, x, coef, from, to, rows, classes, 0, lanes);
            else T(score_tile)(p, x, coef, from, to, rows, classes, 1, lanes);
        }
    }
    for (int k = 0; k < classes; k++)
        T(sum_rows)(p->lanes + k * LANES * LANES, p->intercept[first + k],
                    p->raw + (first + k) * CHUNK + row);
}

/* Scores of the chunk into p->raw; 0 behind the last row. */
static void T(score_chunk)(const T(Pass) *p, ptrdiff_t rows) {
    const ptrdiff_t groups = (p->classes + CLASSES_AT_ONCE - 1) / CLASSES_AT_ONCE;
    for (ptrdiff_t row = 0; row < rows; row += LANES)
        for (ptrdiff_t g = 0; g < groups; g++) {
            const ptrdiff_t first = p->classes * g / groups;
            EACH_COUNT(p->classes * (g + 1) / groups - first, T(score_classes), p, row, first)
        }
    for (ptrdiff_t k = 0; k < p->classes && rows < CHUNK; k++)
        for (ptrdiff_t r = rows; r < CHUNK; r++) p->raw[k * CHUNK + r] = 0;
}

/* Rows, weights and targets of the chunk; no weight behind the last row. */
static void T(stage_chunk)(T(Pass) *p, ptrdiff_t start, ptrdiff_t rows) {
    for (ptrdiff_t r = 0; r < rows; r++) p->weight_chunk[r] = p->weight[start + r];
    for (ptrdiff_t r = 0; r < CHUNK; r++) p->rows[r] = T(row)(p, start + r);
    if (p->target)
        for (ptrdiff_t r = 0; r < rows; r++) p->target_chunk[r] = p->target[start + r];
    for (ptrdiff_t r = rows; r < CHUNK; r++) p->weight_chunk[r] = p->target_chunk[r] = 0;
}

/* ---- gradient ---------------------------------------------------------------------------------- */

INLINE VEC T(centered)(const T(Pass) *p, const REAL *x, ptrdiff_t vector, VEC origin, const int last) {
    const VEC z = T(load)(x + vector * LANES) - origin;
    return last ? T(choose)(p->mask, z, p->one) : z;
}

/* out[i][j] += unit * sums[i][j]; a plain loop, so that the compiler converts whole vectors. */
static NEVER_INLINE void T(add_tile)(const REAL *sums, ptrdiff_t width, double unit,
                                     ptrdiff_t rows, ptrdiff_t columns, double *out,
                                     ptrdiff_t stride) {
    for (ptrdiff_t i = 0; i < rows; i++, sums += width, out += stride)
        for (ptrdiff_t j = 0; j < columns; j++) out[j] += unit * sums[j];
}

/* sums[k][..] += scaled residuals times z for `vectors` vectors from number `first` on. */
INLINE void T(gradient_tile)(const T(Pass) *p, ptrdiff_t rows, ptrdiff_t class, ptrdiff_t first,
                             const int classes, const int vectors, const int last) {
    VEC sum[CLASSES_AT_ONCE][MOST_SIDE_BY_SIDE];
    VEC origin[MOST_SIDE_BY_SIDE], z[MOST_SIDE_BY_SIDE];
    const REAL *scaled = p->scaled + class * CHUNK;
    /* The next chunk, or the tile to come: the processor does not foresee strides of long rows. */
    const ptrdiff_t ahead = first * LANES + (p->few ? CHUNK * p->d : vectors * LANES);
    UNROLL for (int v = 0; v < vectors; v++) origin[v] = T(load)(p->origin + (first + v) * LANES);
    UNROLL for (int k = 0; k < classes; k++)
        UNROLL for (int v = 0; v < vectors; v++) sum[k][v] = T(splat)((REAL)0);
    for (ptrdiff_t r = 0; r < rows; r++) {
        const REAL *x = p->rows[r];
        UNROLL for (int v = 0; v < vectors; v++) {
            PREFETCH(x + ahead + v * LANES);
            z[v] = T(centered)(p, x, first + v, origin[v], last && v == vectors - 1);
        }
        UNROLL for (int k = 0; k < classes; k++) {
            const VEC s = T(splat)(scaled[k * CHUNK + r]);
            UNROLL for (int v = 0; v < vectors; v++) sum[k][v] += s * z[v];
        }
    }
    REAL sums[CLASSES_AT_ONCE * MOST_SIDE_BY_SIDE * LANES];
    UNROLL for (int k = 0; k < classes; k++)
        UNROLL for (int v = 0; v < vectors; v++)
            T(store)(sums + (k * vectors + v) * LANES, sum[k][v]);
    T(add_tile)(sums, vectors * LANES, 1.0, classes, vectors * LANES,
                p->sums + class * p->width + first * LANES, p->width);
}

/* The vectors from `first` on that one tile takes, or those that are left. */
INLINE void T(gradient_classes)(const T(Pass) *p, ptrdiff_t rows, ptrdiff_t class, ptrdiff_t first,
                                const int classes) {
    const int vectors = SIDE_BY_SIDE(classes);
    if (first + vectors <= p->full) {
        T(gradient_tile)(p, rows, class, first, classes, vectors, 0);
        return;
    }
    const ptrdiff_t left = p->full - first;
    if (vectors == 8 && left >= 4) {
        T(gradient_tile)(p, rows, class, first, classes, 4, 0);
        first += 4;
    }
    if (vectors >= 4 && left % 4 >= 2) {
        T(gradient_tile)(p, rows, class, first, classes, 2, 0);
        first += 2;
    }
    if (vectors >= 2 && left % 2) T(gradient_tile)(p, rows, class, first, classes, 2, 1);
    else if (p->full * LANES < p->d) T(gradient_tile)(p, rows, class, first, classes, 1, 1);
}

/* residual -> scaled -> sums, without the intercepts. */
static void T(add_gradient)(const T(Pass) *p, ptrdiff_t rows) {
    const ptrdiff_t groups = (p->classes + CLASSES_AT_ONCE - 1) / CLASSES_AT_ONCE;
    for (ptrdiff_t i = 0; i < p->classes * CHUNK; i++)
        p->scaled[i] = (REAL)(p->residual[i] * p->per_unit);
    for (ptrdiff_t g = 0; g < groups; g++) {
        const ptrdiff_t first = p->classes * g / groups, count = p->classes * (g + 1) / groups - first;
        for (ptrdiff_t v = 0; v * LANES < p->d; v += SIDE_BY_SIDE(count))
            EACH_COUNT(count, T(gradient_classes), p, rows, first, v)
    }
}

/* The intercepts' gradients, exactly as the loss made them. */
static void T(add_intercepts)(const T(Pass) *p, double *gradient) {
    for (ptrdiff_t k = 0; k < p->classes; k++) {
        double_vector sum = splat_double(0.0);
        for (ptrdiff_t r = 0; r < CHUNK; r += (ptrdiff_t)(sizeof sum / sizeof(double)))
            sum += load_double(p->residual + k * CHUNK + r);
        gradient[k * (p->d + 1) + p->d] += sum_lanes_double(sum);
    }
}

static void T(close_pass)(const T(Pass) *p, double *gradient) {
    for (ptrdiff_t k = 0; k < p->classes; k++)
        for (ptrdiff_t j = 0; j < p->d; j++)
            gradient[k * (p->d + 1) + j] += p->unit * p->sums[k * p->width + j];
    free(p->memory);
}

/* ---- Hessian ----------------------------------------------------------------------------------- */

/* packed rows from `at` on = root * (z, 1, 0 ..); also adds scaled * z to the sums. */
INLINE void T(pack_panel)(const T(Pass) *p, ptrdiff_t rows, ptrdiff_t at, const REAL *root,
                          ptrdiff_t panel, const int vectors, const int last) {
    VEC sum[4], origin[4];
    REAL *out = p->packed + (panel * p->depth + at) * PANEL;
    const ptrdiff_t first = panel * PANEL_VECTORS;
    UNROLL for (int v = 0; v < vectors; v++) {
        origin[v] = T(load)(p->origin + (first + v) * LANES);
        sum[v] = T(splat)((REAL)0);
    }
    for (ptrdiff_t r = 0; r < rows; r++, out += PANEL) {
        const REAL *x = p->rows[r];
        const VEC by = T(splat)(root[r]), s = T(splat)(p->scaled[r]);
        UNROLL for (int v = 0; v < vectors; v++) {
            const VEC z = T(centered)(p, x, first + v, origin[v], last && v == vectors - 1);
            sum[v] += s * z;
            T(store)(out + v * LANES, by * z);
        }
    }
    REAL sums[4 * LANES];
    UNROLL for (int v = 0; v < vectors; v++) T(store)(sums + v * LANES, sum[v]);
    T(add_tile)(sums, 0, 1.0, 1, vectors * LANES, p->sums + first * LANES, 0);
}

static void T(pack_chunk)(const T(Pass) *p, ptrdiff_t rows, ptrdiff_t at, const REAL *root) {
    ptrdiff_t panel = 0;
    for (; panel + 1 < p->panels; panel++)
        T(pack_panel)(p, rows, at, root, panel, PANEL_VECTORS, 0);
    switch (p->full + 1 - panel * PANEL_VECTORS) {
    case 1: T(pack_panel)(p, rows, at, root, panel, 1, 1); break;
    case 2: T(pack_panel)(p, rows, at, root, panel, 2, 1); break;
    case 3: T(pack_panel)(p, rows, at, root, panel, 3, 1); break;
    case 4: T(pack_panel)(p, rows, at, root, panel, 4, 1); break;
    }
}

/* sums[LEFT][PANEL] = sum over rows of left_i right. Alone in its function, so that the compiler
 * has no other use for a register. A line `by` bytes from the last is fetched per row. */
#define OUTER_TILE(vectors)                                                                     \
    static NEVER_INLINE void T(JOIN(outer_tile, vectors))(const REAL *left, const REAL *right,  \
                                                          ptrdiff_t rows, REAL *sums,           \
                                                          const char *next, ptrdiff_t by) {     \
        VEC sum[LEFT][vectors], b[vectors];                                                     \
        UNROLL for (int i = 0; i < LEFT; i++)                                                   \
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = T(splat)((REAL)0);             \
        UNROLL_4 for (ptrdiff_t r = 0; r < rows; r++, left += PANEL, right += PANEL, next += by) { \
            PREFETCH(next);                                                                     \
            UNROLL for (int v = 0; v < vectors; v++) b[v] = T(load)(right + v * LANES);         \
            UNROLL for (int i = 0; i < LEFT; i++) {                                             \
                const VEC a = T(splat)(left[i]);                                                \
                UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += a * b[v];                 \
            }                                                                                   \
        }                                                                                       \
        UNROLL for (int i = 0; i < LEFT; i++)                                                   \
            UNROLL for (int v = 0; v < vectors; v++)                                            \
                T(store)(sums + i * PANEL + v * LANES, sum[i][v]);                              \
    }
OUTER_TILE(1)
OUTER_TILE(2)
OUTER_TILE(3)
OUTER_TILE(4)
#undef OUTER_TILE

/* The lower triangle (and a little more) of the sum over rows of left right', both in panels.
 * Meanwhile `rows` rows of `row_bytes` bytes at `next` are fetched, a line of each per tile. */
static void T(add_triangle)(const REAL *left, const REAL *right, ptrdiff_t rows, ptrdiff_t depth,
                            double unit, ptrdiff_t size, double *out, ptrdiff_t stride,
                            const REAL *next, ptrdiff_t row_bytes) {
    REAL sums[LEFT * PANEL];
    const char *ahead = (const char *)next, *ahead_end = ahead + row_bytes;
    /* A panel stays in L1 while the features to the left of its rows pass by. */
    for (ptrdiff_t column = 0; column < size; column += PANEL) {
        const REAL *b = right + column / PANEL * depth * PANEL;
        for (ptrdiff_t row = column; row < size; row += LEFT) {
            const REAL *a = left + row / PANEL * depth * PANEL + row % PANEL;
            const ptrdiff_t end = row + LEFT < size ? row + LEFT : size;
            ptrdiff_t vectors = (end - column + LANES - 1) / LANES;
            if (vectors > PANEL_VECTORS) vectors = PANEL_VECTORS;
            const ptrdiff_t columns = column + vectors * LANES < size ? vectors * LANES : size - column;
            for (ptrdiff_t i = row; i < end; i++)
                for (ptrdiff_t j = 0; j < columns; j += 64 / (ptrdiff_t)sizeof(double))
                    PREFETCH(out + i * stride + column + j);
            switch (vectors) {
            case 1: T(outer_tile_1)(a, b, rows, sums, ahead, row_bytes); break;
            case 2: T(outer_tile_2)(a, b, rows, sums, ahead, row_bytes); break;
            case 3: T(outer_tile_3)(a, b, rows, sums, ahead, row_bytes); break;
            case 4: T(outer_tile_4)(a, b, rows, sums, ahead, row_bytes); break;
            }
            ahead += 64;
            if (ahead >= ahead_end) ahead = (const char *)left, row_bytes = 0;
            T(add_tile)(sums, PANEL, unit, end - row, columns, out + row * stride + column, stride);
        }
    }
}

/* ---- the passes -------------------------------------------------------------------------------- */

/* Returns the value, NaN without memory is told apart by *failed. */
static double T(logistic_pass)(const REAL *X, ptrdiff_t n, ptrdiff_t d, const REAL *origin,
                               const double *coef, double intercept, const double *weight,
                               const int32_t *target, double *gradient, double *curvature,
                               double *hessian, int *failed) {
    T(Pass) p;
    REAL root[CHUNK];
    double value = 0;
    *failed = !T(open_pass)(&p, X, n, d, 1, origin, coef, &intercept, weight, target,
                            hessian ? T(TRIANGLE_TOO) : T(GRADIENT));
    if (*failed) return 0;
    for (ptrdiff_t start = 0; start < n; start += CHUNK) {
        const ptrdiff_t rows = n - start < CHUNK ? n - start : CHUNK;
        T(stage_chunk)(&p, start, rows);
        T(score_chunk)(&p, rows);
        value += logistic_loss(p.raw, p.target_chunk, p.weight_chunk, p.residual, p.curvature);
        T(add_intercepts)(&p, gradient);
        if (curvature) memcpy(curvature + start, p.curvature, rows * sizeof(double));
        if (!hessian) {
            T(add_gradient)(&p, rows);
            continue;
        }
        for (ptrdiff_t r = 0; r < CHUNK; r++) {
            p.scaled[r] = (REAL)(p.residual[r] * p.per_unit);
            root[r] = (REAL)sqrt(p.curvature[r] * p.per_unit);
        }
        T(pack_chunk)(&p, rows, p.filled, root);
        p.filled += rows;
        if (p.filled + CHUNK > p.depth || start + CHUNK >= n) {
            T(add_triangle)(p.packed, p.packed, p.filled, p.depth, p.unit, d + 1, hessian, d + 1,
                            X + (start + CHUNK) * d, p.few ? d * (ptrdiff_t)sizeof(REAL) : 0);
            p.filled = 0;
        }
    }
    T(close_pass)(&p, gradient);
    return value;
}

/* pairs[k (k + 1) / 2 + l] (d + 1, d + 1), lower triangles, += s p_k (delta_kl - p_l) z z'. */
static void T(add_pairs)(const T(Pass) *p, ptrdiff_t rows, double *pairs) {
    const ptrdiff_t size = p->d + 1;
    for (ptrdiff_t k = 0; k < p->classes; k++)
        for (ptrdiff_t l = 0; l <= k; l++, pairs += size * size) {
            REAL by[CHUNK];
            for (ptrdiff_t r = 0; r < CHUNK; r++) {
                const double other = k == l ? p->doubt[k * CHUNK + r] : -p->probability[l * CHUNK + r];
                const double s = p->weight_chunk[r] * p->per_unit;
                by[r] = (REAL)(s * p->probability[k * CHUNK + r] * other);
            }
            for (ptrdiff_t panel = 0; panel < p->panels; panel++) {
                const REAL *from = p->packed + panel * p->depth * PANEL;
                REAL *to = p->left + panel * p->depth * PANEL;
                for (ptrdiff_t r = 0; r < rows; r++)
                    for (int j = 0; j < PANEL; j++) to[r * PANEL + j] = by[r] * from[r * PANEL + j];
            }
            T(add_triangle)(p->left, p->packed, rows, p->depth, p->unit, size, pairs, size, p->packed, 0);
        }
}

/* Lower triangle of the whole from the lower triangles of its blocks, which are symmetric. */
static void T(unfold_pairs)(const double *pairs, ptrdiff_t classes, ptrdiff_t size, double *hessian) {
    for (ptrdiff_t k = 0; k < classes; k++)
        for (ptrdiff_t l = 0; l <= k; l++, pairs += size * size)
            for (ptrdiff_t i = 0; i < size; i++)
                for (ptrdiff_t j = 0; j < (k == l ? i + 1 : size); j++)
                    hessian[(k * size + i) * classes * size + l * size + j] +=
                        j <= i ? pairs[i * size + j] : pairs[j * size + i];
}

static double T(softmax_pass)(const REAL *X, ptrdiff_t n, ptrdiff_t d, ptrdiff_t classes,
                              const REAL *origin, const double *coef, const double *intercept,
                              const double *weight, const int32_t *target, double *gradient,
                              double *hessian, int *failed) {
    T(Pass) p;
    REAL ones[CHUNK];
    double value = 0, *pairs = NULL;
    *failed = !T(open_pass)(&p, X, n, d, classes, origin, coef, intercept, weight, target,
                            hessian ? T(PAIRS_TOO) : T(GRADIENT));
    if (*failed) return 0;
    if (hessian) {
        pairs = allocate((size_t)(TRIANGLE(classes) * (d + 1) * (d + 1)) * sizeof(double));
        for (int r = 0; r < CHUNK; r++) ones[r] = 1;
        *failed = !pairs;
    }
    for (ptrdiff_t start = 0; start < n && !*failed; start += CHUNK) {
        const ptrdiff_t rows = n - start < CHUNK ? n - start : CHUNK;
        T(stage_chunk)(&p, start, rows);
        T(score_chunk)(&p, rows);
        value += softmax_loss(p.raw, classes, p.target_chunk, p.weight_chunk, p.residual,
                              hessian ? p.probability : NULL, p.doubt);
        T(add_intercepts)(&p, gradient);
        T(add_gradient)(&p, rows);
        if (!hessian) continue;
        memset(p.scaled, 0, CHUNK * sizeof(REAL));
        T(pack_chunk)(&p, rows, 0, ones);
        T(add_pairs)(&p, rows, pairs);
    }
    if (pairs) T(unfold_pairs)(pairs, classes, d + 1, hessian);
    free(pairs);
    T(close_pass)(&p, gradient);
    return value;
}

/* ---- probabilities ----------------------------------------------------------------------------- */

/* Each row of raw (n, classes) becomes its softmax, or the logarithm of it. 0 without memory. */
static int T(softmax_rows)(REAL *raw, ptrdiff_t n, ptrdiff_t classes, int logarithm) {
    enum { WIDE = (int)(sizeof(double_vector) / sizeof(double)) };
    double *chunk = allocate((size_t)(2 * classes * WIDE) * sizeof(double));
    if (!chunk) return 0;
    double *power = chunk + classes * WIDE, log_whole[WIDE], inverse[WIDE], top[WIDE];
    for (ptrdiff_t start = 0; start < n; start += WIDE, raw += WIDE * classes) {
        const ptrdiff_t rows = n - start < WIDE ? n - start : WIDE;
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t k = 0; k < classes; k++) chunk[k * WIDE + r] = raw[r * classes + k];
        const Shares all = share_out(chunk, classes, WIDE, power);
        store_double(inverse, all.inverse);
        store_double(top, all.top);
        store_double(log_whole, log_of_one_plus(all.rest, all.inverse));
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t k = 0; k < classes; k++)
                raw[r * classes + k] =
                    (REAL)(logarithm ? (chunk[k * WIDE + r] - top[r]) - log_whole[r]
                                     : power[k * WIDE + r] * inverse[r]);
    }
    free(chunk);
    return 1;
}

/* out (n, 2): the sigmoid of -raw and of raw, or their logarithms. */
static void T(sigmoid_pairs)(const REAL *raw, ptrdiff_t n, int logarithm, REAL *out) {
    enum { WIDE = (int)(sizeof(double_vector) / sizeof(double)) };
    const double_vector zero = splat_double(0.0), one = splat_double(1.0);
    double x[WIDE] = {0}, low[WIDE], high[WIDE];
    for (ptrdiff_t start = 0; start < n; start += WIDE) {
        const ptrdiff_t rows = n - start < WIDE ? n - start : WIDE;
        for (ptrdiff_t r = 0; r < rows; r++) x[r] = raw[start + r];
        const double_vector value = load_double(x), minus = zero - value;
        const int64_vector positive = above_double(value, zero);
        const double_vector size = choose_double(positive, value, minus);
        const double_vector e = exp_above_double(zero - size, -708.0), inverse = one / (one + e);
        const double_vector rest = log_of_one_plus(e, inverse);
        /* The likelier class first. */
        double_vector more = inverse, less = e * inverse;
        if (logarithm) more = zero - rest, less = zero - (size + rest);
        store_double(low, choose_double(positive, less, more));
        store_double(high, choose_double(positive, more, less));
        for (ptrdiff_t r = 0; r < rows; r++) {
            out[2 * (start + r)] = (REAL)low[r];
            out[2 * (start + r) + 1] = (REAL)high[r];
        }
    }
}

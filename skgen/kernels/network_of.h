/* Minibatch training of multilayer perceptrons for one type; see network.h.
 *
 * Weights lie in panels of two vectors of columns (one for the last, if it is half empty), so that
 * every product is the same register tile:  TILE_ROWS numbers, each times a row of a panel. */
#include "vector_of.h"

#undef SMALLEST_EXP
#include "elementary_of.h"

#undef PANEL
#undef BUFFER
#define PANEL (2 * LANES)
#define BUFFER(name, place) ((REAL *)team->name + (place))

INLINE VEC T(absolute)(VEC a) { return T(larger)(a, -a); }

/* What a step of the rule needs besides gradients. */
typedef struct {
    REAL rate, inertia, pace, keep, add, keep_square, add_square, grow, grow_squares, epsilon;
    REAL l2, l1, decay, factor;
    ptrdiff_t n_rows, update;
    double mass;
    const double *shares;
    const void **rows; /* of X, where it is dense */
} T(scene);

INLINE int T(vectors_of)(const net_layer *layer, ptrdiff_t panel) {
    return layer->width - panel * PANEL >= PANEL ? 2 : 1;
}

/* Where a panel begins in a matrix of `n` rows; `piece` counts whole sets of panels. */
INLINE ptrdiff_t T(panel_at)(const net_layer *layer, ptrdiff_t n, ptrdiff_t piece, ptrdiff_t panel) {
    return n * (piece * layer->width + panel * PANEL);
}

/* ---- products ---- */

/* out[r][:] = sum_k left[r][k] right[k][:] */
INLINE void T(dot_tile)(const REAL *const *left, ptrdiff_t n, const REAL *right, const int rows,
                        const int vectors, REAL *out, ptrdiff_t stride) {
    VEC sum[TILE_ROWS][2];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = T(splat)((REAL)0);
    const REAL *x[TILE_ROWS];
    UNROLL for (int r = 0; r < rows; r++) x[r] = left[r];
    for (ptrdiff_t k = 0; k < n; k++, right += vectors * LANES) {
        VEC b[2];
        UNROLL for (int v = 0; v < vectors; v++) b[v] = T(load)(right + v * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            const VEC a = T(splat)(x[r][k]);
            UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += a * b[v];
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) T(store)(out + r * stride + v * LANES, sum[r][v]);
}

/* out[r][:] = sum_b left[b][r] right[b][:], rows of `right` a stride apart */
INLINE void T(outer_tile)(const REAL *const *left, ptrdiff_t n, ptrdiff_t first, const REAL *right,
                          ptrdiff_t stride, const int rows, const int vectors, REAL *out) {
    VEC sum[TILE_ROWS][2];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = T(splat)((REAL)0);
    for (ptrdiff_t i = 0; i < n; i++, right += stride) {
        const REAL *x = left[i] + first;
        VEC b[2];
        UNROLL for (int v = 0; v < vectors; v++) b[v] = T(load)(right + v * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            const VEC a = T(splat)(x[r]);
            UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += a * b[v];
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            T(store)(out + (r * vectors + v) * LANES, sum[r][v]);
}

/* Tiles of as many rows as there are left: TILE_ROWS, 4, 2 or 1. */
#undef BY_TILES
#define BY_TILES(n_rows, TILE)                                                \
    for (ptrdiff_t row = 0; row < (n_rows);) {                                \
        const ptrdiff_t left_over = (n_rows)-row;                             \
        if (left_over >= TILE_ROWS) { TILE(TILE_ROWS); row += TILE_ROWS; }    \
        else if (left_over >= 4) { TILE(4); row += 4; }                       \
        else if (left_over >= 2) { TILE(2); row += 2; }                       \
        else { TILE(1); row += 1; }                                           \
    }

/* out (n_rows, a panel) = rows (n_rows, n) @ panel (n, :) */
static void T(dot_rows)(const REAL *const *left, ptrdiff_t n_rows, ptrdiff_t n, const REAL *panel,
                        int vectors, REAL *out, ptrdiff_t stride) {
#define TWO(rows) T(dot_tile)(left + row, n, panel, rows, 2, out + row * stride, stride)
#define ONE(rows) T(dot_tile)(left + row, n, panel, rows, 1, out + row * stride, stride)
    if (vectors == 2) { BY_TILES(n_rows, TWO) }
    else { BY_TILES(n_rows, ONE) }
#undef TWO
#undef ONE
}

/* The same where the rows are CSR. */
static void T(sparse_rows)(const net_job *job, ptrdiff_t start, ptrdiff_t n_rows, const REAL *panel,
                           int vectors, REAL *out, ptrdiff_t stride) {
    const REAL *values = (const REAL *)job->data;
    for (ptrdiff_t i = 0; i < n_rows; i++, out += stride) {
        VEC low = T(splat)((REAL)0), high = low;
        const ptrdiff_t row = job->order[start + i];
        const ptrdiff_t end = job->long_indices ? (ptrdiff_t)((const int64_t *)job->indptr)[row + 1]
                                                : ((const int32_t *)job->indptr)[row + 1];
        ptrdiff_t e = job->long_indices ? (ptrdiff_t)((const int64_t *)job->indptr)[row]
                                        : ((const int32_t *)job->indptr)[row];
        for (; e < end; e++) {
            const ptrdiff_t k = job->long_indices ? (ptrdiff_t)((const int64_t *)job->indices)[e]
                                                  : ((const int32_t *)job->indices)[e];
            const REAL *w = panel + k * vectors * LANES;
            const VEC x = T(splat)(values[e]);
            low += x * T(load)(w);
            if (vectors == 2) high += x * T(load)(w + LANES);
        }
        T(store)(out, low);
        if (vectors == 2) T(store)(out + LANES, high);
    }
}

/* gradient (n_features, a panel) += rows' * slopes (n_rows, a panel) */
static void T(sparse_outer)(const net_job *job, ptrdiff_t start, ptrdiff_t n_rows, const REAL *slopes,
                            ptrdiff_t stride, int vectors, REAL *gradient) {
    const REAL *values = (const REAL *)job->data;
    for (ptrdiff_t i = 0; i < n_rows; i++, slopes += stride) {
        const VEC low = T(load)(slopes), high = vectors == 2 ? T(load)(slopes + LANES) : low;
        const ptrdiff_t row = job->order[start + i];
        const ptrdiff_t end = job->long_indices ? (ptrdiff_t)((const int64_t *)job->indptr)[row + 1]
                                                : ((const int32_t *)job->indptr)[row + 1];
        ptrdiff_t e = job->long_indices ? (ptrdiff_t)((const int64_t *)job->indptr)[row]
                                        : ((const int32_t *)job->indptr)[row];
        for (; e < end; e++) {
            const ptrdiff_t k = job->long_indices ? (ptrdiff_t)((const int64_t *)job->indices)[e]
                                                  : ((const int32_t *)job->indices)[e];
            REAL *g = gradient + k * vectors * LANES;
            const VEC x = T(splat)(values[e]);
            T(store)(g, T(load)(g) + x * low);
            if (vectors == 2) T(store)(g + LANES, T(load)(g + LANES) + x * high);
        }
    }
}

/* ---- rows most of whose cells are zero ---- */

/* Columns whose weights into two panels stay in the first cache; a multiple of LANES. */
#undef BLOCK_COLUMNS
#define BLOCK_COLUMNS (24576 / (4 * LANES * (ptrdiff_t)sizeof(REAL)))

/* A cell that is not zero, and its column, or its row in the batch. */
typedef struct {
    REAL value;
    uint32_t place;
} T(cell);

typedef struct {
    const T(cell) *cells;
    ptrdiff_t n;
} T(list);

/* The cells of row i in a block of columns. */
INLINE T(list) T(list_of_row)(const net_team *team, ptrdiff_t i, ptrdiff_t block) {
    const uint32_t *starts = team->row_starts + i * (team->n_blocks + 1) + block;
    const T(list) list = {(const T(cell) *)team->row_cells + i * team->n_columns + starts[0],
                          (ptrdiff_t)(starts[1] - starts[0])};
    return list;
}

INLINE T(list) T(list_of_column)(const net_team *team, ptrdiff_t k) {
    const ptrdiff_t start = k * team->column_length;
    const T(list) list = {(const T(cell) *)team->column_cells + start,
                          (ptrdiff_t)team->column_ends[k] - start};
    return list;
}

/* Fetch part `number` of `n` of rows begin..end of the order. They lie anywhere in memory, and waiting
 * for them would take longer than listing their cells. */
INLINE void T(fetch)(const net_job *job, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t number,
                     ptrdiff_t n) {
    const ptrdiff_t line = 64 / (ptrdiff_t)sizeof(REAL), d = job->n_features;
    const ptrdiff_t lines = (d + line - 1) / line, total = (end - begin) * lines;
    ptrdiff_t from = total * number / n;
    const ptrdiff_t to = total * (number + 1) / n;
    while (from < to) {
        const ptrdiff_t i = from / lines, k = from - i * lines;
        const ptrdiff_t stop = smaller_of(lines, k + to - from);
        const REAL *x = (const REAL *)job->X + job->order[begin + i] * d;
        for (ptrdiff_t l = k; l < stop; l++) PREFETCH(x + l * line);
        from += stop - k;
    }
}

#ifdef COMPRESSES
/* Write the values that `here` marks, and their places, from `cells` on: a whole vector of cells, of
 * which those beyond the marked ones mean nothing. */
#  ifdef REAL_IS_FLOAT
INLINE void T(write_cells)(T(cell) *cells, __m512 x, __mmask16 here, __m512i place) {
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    const __m512 values = _mm512_maskz_compress_ps(here, x);
    const __m512 places = _mm512_castsi512_ps(_mm512_maskz_compress_epi32(here, place));
    _mm512_storeu_ps(cells, _mm512_permutex2var_ps(values, low, places));
    _mm512_storeu_ps(cells + 8, _mm512_permutex2var_ps(values, high, places));
}
#  else
INLINE void T(write_cells)(T(cell) *cells, __m512d x, __mmask8 here, __m512i place) {
    const __m512i low = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    const __m512i high = _mm512_add_epi64(low, _mm512_set1_epi64(4));
    const __m512d values = _mm512_maskz_compress_pd(here, x);
    const __m512d places = _mm512_castsi512_pd(_mm512_maskz_compress_epi64(here, place));
    _mm512_storeu_pd(cells, _mm512_permutex2var_pd(values, low, places));
    _mm512_storeu_pd(cells + 4, _mm512_permutex2var_pd(values, high, places));
}
#  endif
#endif

/* List the cells of row i of the batch that are not zero, and where blocks of columns begin. */
static void T(list_row)(const net_team *team, const REAL *x, ptrdiff_t i) {
    T(cell) *cells = (T(cell) *)team->row_cells + i * team->n_columns;
    uint32_t *starts = team->row_starts + i * (team->n_blocks + 1), n = 0;
    for (ptrdiff_t block = 0, k = 0; block < team->n_blocks; block++) {
        const ptrdiff_t end = smaller_of(k + BLOCK_COLUMNS, team->n_columns);
        starts[block] = n;
#ifdef COMPRESSES
        /* What is written ends before the list would, if every cell so far were in it. */
#  ifdef REAL_IS_FLOAT
        const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        for (; k + 16 <= end; k += 16) {
            const __m512 part = _mm512_loadu_ps(x + k);
            const __mmask16 here = _mm512_cmp_ps_mask(part, _mm512_setzero_ps(), _CMP_NEQ_UQ);
            const __m512i column = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)k));
            T(write_cells)(cells + n, part, here, column);
            n += (uint32_t)__builtin_popcount(here);
        }
#  else
        const __m512i lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
        for (; k + 8 <= end; k += 8) {
            const __m512d part = _mm512_loadu_pd(x + k);
            const __mmask8 here = _mm512_cmp_pd_mask(part, _mm512_setzero_pd(), _CMP_NEQ_UQ);
            const __m512i column = _mm512_add_epi64(lanes, _mm512_set1_epi64((long long)k));
            T(write_cells)(cells + n, part, here, column);
            n += (uint32_t)__builtin_popcount(here);
        }
#  endif
#endif
        for (; k < end; k++) {
            cells[n].value = x[k];
            cells[n].place = (uint32_t)k;
            n += x[k] != 0;
        }
    }
    starts[team->n_blocks] = n;
}

/* The lists of the columns of a block, from those of the rows. */
static void T(list_columns)(const net_team *team, ptrdiff_t n_rows, ptrdiff_t block) {
    T(cell) *restrict by_column = (T(cell) *)team->column_cells;
    uint32_t *restrict ends = team->column_ends;
    const ptrdiff_t begin = block * BLOCK_COLUMNS;
    const ptrdiff_t end = smaller_of(begin + BLOCK_COLUMNS, team->n_columns);
    for (ptrdiff_t k = begin; k < end; k++) ends[k] = (uint32_t)(k * team->column_length);
    for (ptrdiff_t i = 0; i < n_rows; i++) {
        const T(list) list = T(list_of_row)(team, i, block);
        const T(cell) *restrict cells = list.cells;
        for (ptrdiff_t e = 0; e < list.n; e++) {
            const T(cell) cell = {cells[e].value, (uint32_t)i};
            by_column[ends[cells[e].place]++] = cell;
        }
    }
}

/* Some vectors of each row of a matrix: `low` of them begin at A, rows a stride apart, and `high`
 * more, of another panel, at B. */
typedef struct {
    const REAL *A, *B;
    ptrdiff_t a_row, b_row;
} T(two_panels);

/* sum[:] += value M[place][:] for a cell */
INLINE void T(add_cell)(const T(cell) *cell, T(two_panels) M, const int low, const int high, VEC *sum) {
    const ptrdiff_t k = (ptrdiff_t)cell->place;
    const VEC x = T(splat)(cell->value);
    UNROLL for (int v = 0; v < low; v++) sum[v] += x * T(load)(M.A + k * M.a_row + v * LANES);
    UNROLL for (int v = 0; v < high; v++) sum[low + v] += x * T(load)(M.B + k * M.b_row + v * LANES);
}

/* Add the cells of two lists. Two at once: there are twice as many sums that do not wait for each
 * other. */
INLINE void T(add_lists)(T(list) one, T(list) two, T(two_panels) M, const int low, const int high,
                         VEC *first, VEC *second) {
    VEC a[4], b[4];
    UNROLL for (int v = 0; v < low + high; v++) {
        a[v] = first[v];
        b[v] = second[v];
    }
    const ptrdiff_t both = smaller_of(one.n, two.n);
    for (ptrdiff_t e = 0; e < both; e++) {
        T(add_cell)(one.cells + e, M, low, high, a);
        T(add_cell)(two.cells + e, M, low, high, b);
    }
    for (ptrdiff_t e = both; e < one.n; e++) T(add_cell)(one.cells + e, M, low, high, a);
    for (ptrdiff_t e = both; e < two.n; e++) T(add_cell)(two.cells + e, M, low, high, b);
    UNROLL for (int v = 0; v < low + high; v++) {
        first[v] = a[v];
        second[v] = b[v];
    }
}

/* Sums of rows first..last for two neighbouring panels of `low` and `high` vectors. */
INLINE void T(listed_rows)(const net_team *team, ptrdiff_t first, ptrdiff_t last, T(two_panels) W,
                           const int low, const int high, REAL *out, ptrdiff_t stride) {
    const T(list) none = {NULL, 0};
    const int n = low + high;
    for (ptrdiff_t block = 0; block < team->n_blocks; block++)
        for (ptrdiff_t i = first; i < last; i += 2) {
            const int rows = i + 1 < last ? 2 : 1;
            REAL *one = out + (i - first) * stride, *two = rows == 2 ? one + stride : one;
            VEC a[4], b[4];
            UNROLL for (int v = 0; v < n; v++) {
                a[v] = block ? T(load)(one + v * LANES) : T(splat)((REAL)0);
                b[v] = block ? T(load)(two + v * LANES) : T(splat)((REAL)0);
            }
            T(add_lists)(T(list_of_row)(team, i, block),
                         rows == 2 ? T(list_of_row)(team, i + 1, block) : none, W, low, high, a, b);
            /* The second first: where there is one row, it is the same place. */
            UNROLL for (int v = 0; v < n; v++) {
                T(store)(two + v * LANES, b[v]);
                T(store)(one + v * LANES, a[v]);
            }
        }
}

/* ---- activations ---- */

INLINE VEC T(sigmoid)(VEC z) {
    const VEC one = T(splat)((REAL)1), limit = T(splat)(-(SMALLEST_EXP) - 1);
    const VEC e = T(exp_above)(-T(smaller)(T(absolute)(z), limit), SMALLEST_EXP);
    const VEC small = e / (one + e);
    return T(choose)(T(above)(z, T(splat)((REAL)0)), one - small, small);
}

/* Cephes' approximations near zero, where 1 - 2 / (e^2z + 1) loses digits. */
INLINE VEC T(hyperbolic_tangent)(VEC z) {
    const VEC one = T(splat)((REAL)1), size = T(absolute)(z), square = z * z;
#ifdef REAL_IS_FLOAT
    VEC p = T(splat)(-5.70498872745e-3f) * square + T(splat)(2.06390887954e-2f);
    p = p * square + T(splat)(-5.37397155531e-2f);
    p = p * square + T(splat)(1.33314422036e-1f);
    p = p * square + T(splat)(-3.33332819422e-1f);
#else
    VEC p = T(splat)(-9.64399179425052238628e-1) * square + T(splat)(-9.92877231001918586564e1);
    p = p * square + T(splat)(-1.61468768441708447952e3);
    VEC q = square + T(splat)(1.12811678491632931402e2);
    q = q * square + T(splat)(2.23548839060100448583e3);
    q = q * square + T(splat)(4.84406305325125486048e3);
    p = p / q;
#endif
    const VEC near = z + z * square * p;
    const VEC e = T(exp_above)(T(splat)((REAL)-2) * T(smaller)(size, T(splat)((REAL)40)), SMALLEST_EXP);
    const VEC far = (one - e) / (one + e);
    const VEC signed_far = T(choose)(T(above)(z, T(splat)((REAL)0)), far, -far);
    return T(choose)(T(above)(T(splat)((REAL)0.625), size), near, signed_far);
}

/* e^z - 1 for z <= 0 */
INLINE VEC T(exp_minus_one)(VEC z) {
    VEC p = T(splat)((REAL)(1.0 / 40320));
    p = p * z + T(splat)((REAL)(1.0 / 5040));
    p = p * z + T(splat)((REAL)(1.0 / 720));
    p = p * z + T(splat)((REAL)(1.0 / 120));
    p = p * z + T(splat)((REAL)(1.0 / 24));
    p = p * z + T(splat)((REAL)(1.0 / 6));
    p = p * z + T(splat)((REAL)0.5);
    const VEC near = z + z * z * p, far = T(exp_above)(z, SMALLEST_EXP) - T(splat)((REAL)1);
    return T(choose)(T(above)(z, T(splat)((REAL)-0.05)), near, far);
}

/* a = h(z) and h'(z) of one vector; NaN stays NaN where z is. */
INLINE VEC T(activation)(const int kind, VEC z, REAL number, VEC share, VEC *slope) {
    const VEC zero = T(splat)((REAL)0), one = T(splat)((REAL)1);
    const IVEC positive = T(above)(z, zero);
    VEC a;
    switch (kind) {
    case LOGISTIC:
        a = T(sigmoid)(z);
        *slope = a * (one - a);
        return a + zero * z;
    case TANH:
        a = T(hyperbolic_tangent)(z);
        *slope = one - a * a;
        return a + zero * z;
    case RELU:
        *slope = T(choose)(positive, one, zero);
        return T(larger)(zero, z);
    case LEAKY_RELU:
        *slope = T(choose)(positive, one, T(splat)(number));
        return *slope * z;
    case PRELU:
        *slope = T(choose)(positive, one, share);
        return *slope * z;
    case ELU:
        a = T(splat)(number) * T(exp_minus_one)(T(smaller)(z, zero));
        *slope = T(choose)(positive, one, a + T(splat)(number));
        return T(choose)(positive, z, a);
    default:
        *slope = one;
        return z;
    }
}

/* Activations without a vector form. */
INLINE REAL T(plain_activation)(int kind, REAL z, REAL *slope) {
    const double x = z;
    if (kind == GELU) {
        const double below = 0.5 * erfc(-x * 0.70710678118654752440);
        *slope = (REAL)(below + x * exp(-0.5 * x * x) * 0.39894228040143267794);
        return (REAL)(x * below);
    }
    /* softplus */
    const double e = exp(-fabs(x));
    *slope = (REAL)((x > 0 ? 1.0 : e) / (1.0 + e));
    return (REAL)((x > 0 ? x : 0.0) + log1p(e));
}

/* 0 or `keep` for the units of a panel in row i. */
INLINE void T(draw_mask)(const net_layer *layer, uint64_t key, ptrdiff_t i, ptrdiff_t unit, int n,
                         REAL *mask) {
    const uint64_t start = key + GOLDEN * (uint64_t)(i * layer->n_units + unit + 1);
    const REAL keep = (REAL)layer->keep;
    for (int j = 0; j < n; j++)
        mask[j] = mix(start + GOLDEN * (uint64_t)j) >> 40 >= layer->threshold ? keep : (REAL)0;
}

/* Mean and variance over the batch taken out of a column panel of sums; their inverse deviations and
 * what is left are kept for the way back. */
static void T(norm_panel)(const net_team *team, const net_layer *layer, const T(scene) *s,
                          ptrdiff_t column, int vectors) {
    const double correction = s->mass - s->mass / (double)s->n_rows;
    for (int v = 0; v < vectors; v++, column += LANES) {
        REAL *z = BUFFER(work, layer->z + column), *normed = BUFFER(work, layer->normed + column);
        VEC mean = T(splat)((REAL)0), variance = mean;
        for (ptrdiff_t i = 0; i < s->n_rows; i++)
            mean += T(splat)((REAL)s->shares[i]) * T(load)(z + i * layer->row);
        for (ptrdiff_t i = 0; i < s->n_rows; i++) {
            const VEC left = T(load)(z + i * layer->row) - mean;
            T(store)(normed + i * layer->row, left);
            variance += T(splat)((REAL)s->shares[i]) * left * left;
        }
        const VEC inverse = T(splat)((REAL)1) / T(root)(variance + T(splat)((REAL)VARIANCE_FLOOR));
        T(store)(BUFFER(work, layer->inverse + column), inverse);
        const VEC scale = T(load)(BUFFER(params, layer->at[SCALE] + column));
        for (ptrdiff_t i = 0; i < s->n_rows; i++) {
            const VEC unit = T(load)(normed + i * layer->row) * inverse;
            T(store)(normed + i * layer->row, unit);
            T(store)(z + i * layer->row, unit * scale);
        }
        if (correction > 0.0) {
            REAL *running = BUFFER(params, layer->at[MEAN] + column);
            const VEC kept = T(splat)((REAL)KEPT), share = T(splat)((REAL)(1.0 - KEPT));
            T(store)(running, kept * T(load)(running) + share * mean);
            running = BUFFER(params, layer->at[VARIANCE] + column);
            const VEC spread = variance * T(splat)((REAL)(s->mass / correction));
            T(store)(running, kept * T(load)(running) + share * spread);
        }
    }
}

INLINE void T(activate_rows)(const net_team *team, const net_layer *layer, const T(scene) *s,
                             uint64_t key, ptrdiff_t column, int vectors, const int kind) {
    const REAL number = (REAL)layer->number;
    VEC intercept[2], share[2];
    for (int v = 0; v < vectors; v++) {
        intercept[v] = T(load)(BUFFER(params, layer->at[INTERCEPT] + column + v * LANES));
        share[v] = T(splat)((REAL)0);
        if (kind == PRELU) share[v] = T(load)(BUFFER(params, layer->at[SLOPE] + column + v * LANES));
    }
    REAL mask[PANEL];
    const int drops = layer->drops;
    const ptrdiff_t row = layer->row, unit_row = layer->unit_row, n_rows = s->n_rows;
    const REAL *z = BUFFER(work, layer->z + column);
    REAL *out = BUFFER(work, layer->a + column), *slopes_out = BUFFER(work, layer->slope + column);
    for (ptrdiff_t i = 0; i < n_rows; i++, z += row, out += unit_row, slopes_out += unit_row) {
        const ptrdiff_t place = i * unit_row + column;
        if (drops) T(draw_mask)(layer, key, i, column, vectors * LANES, mask);
        for (int v = 0; v < vectors; v++) {
            const VEC sum = T(load)(z + v * LANES) + intercept[v];
            VEC slope, a, kept = T(splat)((REAL)1);
            if (kind == GELU || kind == SOFTPLUS) {
                REAL values[LANES], slopes[LANES];
                T(store)(values, sum);
                for (int j = 0; j < LANES; j++)
                    values[j] = T(plain_activation)(kind, values[j], slopes + j);
                a = T(load)(values);
                slope = T(load)(slopes);
            } else {
                a = T(activation)(kind, sum, number, share[v], &slope);
            }
            if (drops) kept = T(load)(mask + v * LANES);
            if (kind == PRELU)
                T(store)(BUFFER(work, layer->extra + place + v * LANES),
                         T(smaller)(sum, T(splat)((REAL)0)) * kept);
            T(store)(out + v * LANES, a * kept);
            T(store)(slopes_out + v * LANES, slope * kept);
        }
    }
}

/* The largest piece of each unit; its number is kept. */
static void T(largest_rows)(const net_team *team, const net_layer *layer, const T(scene) *s, uint64_t key,
                            ptrdiff_t column, int vectors) {
    REAL mask[PANEL];
    for (ptrdiff_t i = 0; i < s->n_rows; i++) {
        const REAL *z = BUFFER(work, layer->z + i * layer->row + column);
        const ptrdiff_t place = i * layer->unit_row + column;
        if (layer->drops) T(draw_mask)(layer, key, i, column, vectors * LANES, mask);
        for (int v = 0; v < vectors; v++) {
            VEC best = T(splat)((REAL)0), winner = best, kept = T(splat)((REAL)1);
            for (ptrdiff_t j = 0; j < layer->pieces; j++) {
                const ptrdiff_t at = j * layer->width + v * LANES;
                const VEC sum = T(load)(z + at)
                              + T(load)(BUFFER(params, layer->at[INTERCEPT] + column + at));
                if (j == 0) {
                    best = sum;
                    continue;
                }
                const IVEC more = T(above)(sum, best);
                best = T(choose)(more, sum, best);
                winner = T(choose)(more, T(splat)((REAL)j), winner);
            }
            if (layer->drops) kept = T(load)(mask + v * LANES);
            T(store)(BUFFER(work, layer->a + place + v * LANES), best * kept);
            T(store)(BUFFER(work, layer->slope + place + v * LANES), winner);
            T(store)(BUFFER(work, layer->extra + place + v * LANES), kept);
        }
    }
}

/* Sums of panels begin..end of the first layer, two at a time. */
static void T(listed_panels)(const net_team *team, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first,
                             ptrdiff_t last) {
    const net_layer *layer = team->layers;
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++) {
        const REAL *weights = BUFFER(params, layer->at[COEF]);
        for (ptrdiff_t panel = begin; panel < end; panel += 2) {
            REAL *z = BUFFER(work, layer->z + piece * layer->width + panel * PANEL)
                    + first * layer->row;
            const int low = T(vectors_of)(layer, panel);
            const int high = panel + 1 < end ? T(vectors_of)(layer, panel + 1) : 0;
            const REAL *A = weights + T(panel_at)(layer, layer->n_in, piece, panel);
            const T(two_panels) W = {A, A + layer->n_in * low * LANES, low * LANES, high * LANES};
            switch (10 * low + high) {
#define CASE(low, high)                                                               \
    case 10 * (low) + (high):                                                         \
        T(listed_rows)(team, first, last, W, low, high, z, layer->row);               \
        break
            CASE(2, 2);
            CASE(2, 1);
            CASE(2, 0);
            CASE(1, 0);
#undef CASE
            }
        }
    }
}

/* Sums of a panel of units, then their outputs. */
static void T(forward_panel)(const net_team *team, const net_job *job, ptrdiff_t start, int number,
                             ptrdiff_t panel, const T(scene) *s) {
    const net_layer *layer = team->layers + number;
    const int vectors = T(vectors_of)(layer, panel);
    const ptrdiff_t column = panel * PANEL;
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++) {
        const ptrdiff_t at = piece * layer->width + column;
        const REAL *W = BUFFER(params, layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel));
        REAL *z = BUFFER(work, layer->z + at);
        if (number == 0 && job->sparse)
            T(sparse_rows)(job, start, s->n_rows, W, vectors, z, layer->row);
        else if (number || !team->lists) {
            const void **rows = number ? team->rows + 2 * (number - 1) * team->batch_size : s->rows;
            T(dot_rows)((const REAL *const *)rows, s->n_rows, layer->n_in, W, vectors, z, layer->row);
        }
        if (layer->batch_norm) T(norm_panel)(team, layer, s, at, vectors);
    }
    const uint64_t key = mix(mix(team->seed + GOLDEN * (uint64_t)(s->update + 1))
                             + GOLDEN * (uint64_t)(number + 1));
    switch (layer->activation) {
#define CASE(kind) case kind: T(activate_rows)(team, layer, s, key, column, vectors, kind); break
    CASE(IDENTITY);
    CASE(LOGISTIC);
    CASE(TANH);
    CASE(RELU);
    CASE(LEAKY_RELU);
    CASE(ELU);
    CASE(GELU);
    CASE(SOFTPLUS);
    CASE(PRELU);
#undef CASE
    default: T(largest_rows)(team, layer, s, key, column, vectors);
    }
}

/* ---- losses ---- */

/* Of one of several classes; slopes by raw, not yet weighted. */
static double T(categorical)(const REAL *raw, ptrdiff_t n, ptrdiff_t own, REAL *slope) {
    REAL highest = raw[0], sum = 0, sound = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        highest = raw[k] > highest ? raw[k] : highest;
        sound += raw[k] * (REAL)0;
    }
    for (ptrdiff_t k = 0; k < n; k += LANES) {
        REAL part[LANES];
        const int count = (int)smaller_of(LANES, n - k);
        for (int j = 0; j < LANES; j++) part[j] = j < count ? raw[k + j] - highest : (REAL)-INFINITY;
        T(store)(part, T(exp_above)(T(load)(part), SMALLEST_EXP));
        for (int j = 0; j < count; j++) {
            slope[k + j] = part[j];
            sum += part[j];
        }
    }
    const double loss = log((double)sum) + (double)highest - (double)raw[own] + (double)sound;
    const REAL inverse = (REAL)1 / sum;
    for (ptrdiff_t k = 0; k < n; k++) slope[k] *= inverse;
    slope[own] -= (REAL)1;
    return loss;
}

/* Entropy of the shares of the classes; slopes by raw, not yet weighted. */
static double T(entropy)(const REAL *raw, ptrdiff_t n, REAL *slope) {
    double highest = raw[0], sum = 0.0, entropy = 0.0;
    for (ptrdiff_t k = 1; k < n; k++) highest = raw[k] > highest ? raw[k] : highest;
    for (ptrdiff_t k = 0; k < n; k++) sum += exp((double)raw[k] - highest);
    const double log_sum = log(sum);
    for (ptrdiff_t k = 0; k < n; k++) {
        const double log_share = (double)raw[k] - highest - log_sum;
        entropy -= exp(log_share) * log_share;
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        const double log_share = (double)raw[k] - highest - log_sum;
        slope[k] = (REAL)(-exp(log_share) * (log_share + entropy));
    }
    return entropy;
}

/* The same of two classes. */
static double T(entropy_of_two)(double raw, double *slope) {
    const double size = fabs(raw), e = exp(-size), other = e / (1.0 + e);
    *slope = -raw * other * (1.0 - other);
    return log1p(e) + size * other;
}

/* Of one number, and its slope. */
static double T(cell_loss)(int kind, double number, double raw, double y, double *slope) {
    const double error = raw - y;
    switch (kind) {
    case BINARY: {
        const double e = exp(-fabs(raw));
        *slope = (raw > 0 ? 1.0 : e) / (1.0 + e) - y;
        return log1p(e) + (raw > 0 ? (1.0 - y) * raw : -y * raw);
    }
    case SQUARED: *slope = error; return 0.5 * error * error;
    case ABSOLUTE: *slope = error > 0 ? 1.0 : error < 0 ? -1.0 : 0.0 * error; return fabs(error);
    case HUBER: {
        const double cut = error > number ? number : error < -number ? -number : error;
        *slope = cut;
        return cut * (error - 0.5 * cut);
    }
    case QUANTILE:
        *slope = error > 0 ? 1.0 - number : error < 0 ? -number : 0.0 * error;
        return *slope * error;
    default: { /* POISSON */
        const double mean = exp(raw);
        *slope = mean - y;
        return mean - y * raw + (y > 0 ? y * log(y) : 0.0) - y;
    }
    }
}

static double T(head_loss)(const net_head *head, const REAL *raw, const REAL *target, REAL *slope,
                           double share) {
    double loss = 0.0;
    raw += head->start;
    slope += head->start;
    target += head->target;
    if (head->kind == CATEGORICAL) {
        const int known = target[0] >= 0;
        if (known) loss = T(categorical)(raw, head->n_raw, (ptrdiff_t)target[0], slope);
        else if (head->number > 0.0) {
            loss = head->number * T(entropy)(raw, head->n_raw, slope);
            share *= head->number;
        } else share = 0.0;
        for (ptrdiff_t k = 0; k < head->n_raw; k++)
            slope[k] = share == 0.0 ? (REAL)0 : slope[k] * (REAL)share;
        return loss;
    }
    const ptrdiff_t n = head->kind == GAUSSIAN ? head->n_raw / 2 : head->n_raw;
    for (ptrdiff_t k = 0; k < n; k++) {
        const double y = target[k];
        double by_raw = 0.0, by_variance = 0.0;
        if (y == y && head->kind == GAUSSIAN) {
            const double v = raw[n + k], error = raw[k] - y, scaled = error * exp(-v);
            by_raw = scaled;
            by_variance = 0.5 - 0.5 * error * scaled;
            loss += 0.5 * (1.8378770664093454836 + v + error * scaled);
        } else if (y == y) {
            loss += T(cell_loss)(head->kind, head->number, raw[k], y, &by_raw);
        } else if (head->kind == BINARY && head->number > 0.0) {
            loss += head->number * T(entropy_of_two)(raw[k], &by_raw);
            by_raw *= head->number;
        }
        slope[k] = (REAL)(by_raw * share);
        if (head->kind == GAUSSIAN) slope[n + k] = (REAL)(by_variance * share);
    }
    return loss;
}

/* Raw outputs, losses and slopes of some rows of the batch. */
static void T(finish_rows)(const net_team *team, const net_job *job, ptrdiff_t start, ptrdiff_t first,
                           ptrdiff_t last, const T(scene) *s) {
    const int number = team->n_layers - 1;
    const net_layer *layer = team->layers + number;
    const int listed = number == 0 && team->lists;
    if (listed) T(listed_panels)(team, 0, layer->panels, first, last);
    for (ptrdiff_t panel = 0; panel < layer->panels && !listed; panel++) {
        const int vectors = T(vectors_of)(layer, panel);
        const REAL *W = BUFFER(params, layer->at[COEF] + T(panel_at)(layer, layer->n_in, 0, panel));
        REAL *z = BUFFER(work, layer->z + first * layer->row + panel * PANEL);
        if (number == 0 && job->sparse)
            T(sparse_rows)(job, start + first, last - first, W, vectors, z, layer->row);
        else {
            const void **rows = number ? team->rows + 2 * (number - 1) * team->batch_size : s->rows;
            T(dot_rows)((const REAL *const *)rows + first, last - first, layer->n_in, W, vectors, z,
                        layer->row);
        }
    }
    const REAL *intercept = BUFFER(params, layer->at[INTERCEPT]);
    for (ptrdiff_t i = first; i < last; i++) {
        REAL *raw = BUFFER(work, layer->z + i * layer->row);
        REAL *slope = BUFFER(work, layer->delta + i * layer->row);
        for (ptrdiff_t k = 0; k < layer->n_units; k++) raw[k] += intercept[k];
        const ptrdiff_t row = job->order[start + i];
        const REAL *target = (const REAL *)job->target + row * team->n_targets;
        double loss = 0.0;
        for (int h = 0; h < team->n_heads; h++) {
            const net_head *head = team->heads + h;
            loss += head->weight
                  * T(head_loss)(head, raw, target, slope, head->weight * s->shares[i]);
        }
        team->losses[i] = loss * s->shares[i] * s->mass;
    }
}

/* ---- steps ---- */

INLINE void T(step_by)(const net_team *team, const T(scene) *s, ptrdiff_t at, const REAL *gradient,
                       ptrdiff_t n, const int penalized, const int rule) {
    REAL *restrict w = BUFFER(params, at), *restrict first = BUFFER(memory, at);
    REAL *restrict second = first + team->padded;
    const VEC rate = T(splat)(s->rate), epsilon = T(splat)(s->epsilon), factor = T(splat)(s->factor);
    const VEC l2 = T(splat)(s->l2), inertia = T(splat)(s->inertia);
    const VEC keep = T(splat)(s->keep), add = T(splat)(s->add);
    const VEC keep_square = T(splat)(s->keep_square), add_square = T(splat)(s->add_square);
    const VEC grow = T(splat)(s->grow), grow_squares = T(splat)(s->grow_squares);
    const VEC left = T(splat)((REAL)1 - s->rate * s->decay), l1 = T(splat)(s->l1);
    const int absolute = penalized && s->l1 > 0;
    for (ptrdiff_t i = 0; i < n * LANES; i += LANES) {
        VEC x = T(load)(w + i), g = T(load)(gradient + i) * factor, scale = rate;
        if (penalized) g += l2 * x;
        if (rule == RULE_SGD) {
            x -= rate * g;
        } else if (rule == RULE_MOMENTUM || rule == RULE_NESTEROV) {
            const VEC velocity = inertia * T(load)(first + i) - rate * g;
            T(store)(first + i, velocity);
            if (rule == RULE_MOMENTUM) x += velocity;
            else x += inertia * velocity - rate * g;
            scale = T(splat)(s->pace);
        } else if (rule == RULE_ADAGRAD || rule == RULE_RMSPROP) {
            const VEC square = keep_square * T(load)(first + i) + add_square * g * g;
            T(store)(first + i, square);
            scale = rate / (T(root)(square) + epsilon);
            x -= scale * g;
        } else {
            if (rule == RULE_ADAMW && penalized) x *= left;
            const VEC mean = keep * T(load)(first + i) + add * g;
            const VEC square = keep_square * T(load)(second + i) + add_square * g * g;
            T(store)(first + i, mean);
            T(store)(second + i, square);
            scale = rate / (T(root)(square * grow_squares) + epsilon);
            x -= scale * (mean * grow);
        }
        if (absolute) {
            const VEC threshold = scale * l1;
            x -= T(larger)(-threshold, T(smaller)(x, threshold));
        }
        T(store)(w + i, x);
    }
}

static void T(take_step)(const net_team *team, const T(scene) *s, ptrdiff_t at, const REAL *gradient,
                         ptrdiff_t n, int penalized) {
#define CASE(rule)                                                                \
    case rule:                                                                    \
        if (penalized) T(step_by)(team, s, at, gradient, n, 1, rule);             \
        else T(step_by)(team, s, at, gradient, n, 0, rule);                       \
        break
    switch (team->rule) {
    CASE(RULE_SGD);
    CASE(RULE_MOMENTUM);
    CASE(RULE_NESTEROV);
    CASE(RULE_ADAGRAD);
    CASE(RULE_RMSPROP);
    CASE(RULE_ADAM);
    CASE(RULE_ADAMW);
    }
#undef CASE
}

/* A finished piece of the gradient: step at once, or keep it until the norm of all is known.
 * `part` gets the penalty and the sum of squares. */
static void T(use_gradient)(const net_team *team, const T(scene) *s, ptrdiff_t at, const REAL *gradient,
                            ptrdiff_t n, int penalized, double *part) {
    if (penalized && (team->l2 > 0.0 || team->l1 > 0.0)) {
        VEC squares = T(splat)((REAL)0), sizes = squares;
        const REAL *w = BUFFER(params, at);
        for (ptrdiff_t i = 0; i < n * LANES; i += LANES) {
            const VEC x = T(load)(w + i);
            squares += x * x;
            sizes += T(absolute)(x);
        }
        part[0] += 0.5 * team->l2 * (double)T(sum_lanes)(squares) + team->l1 * (double)T(sum_lanes)(sizes);
    }
    if (team->longest == 0.0) {
        T(take_step)(team, s, at, gradient, n, penalized);
        return;
    }
    const VEC l2 = T(splat)(penalized ? s->l2 : (REAL)0);
    VEC squares = T(splat)((REAL)0);
    REAL *kept = BUFFER(gradient, at);
    const REAL *w = BUFFER(params, at);
    for (ptrdiff_t i = 0; i < n * LANES; i += LANES) {
        const VEC g = T(load)(gradient + i) + l2 * T(load)(w + i);
        squares += g * g;
        T(store)(kept + i, g);
    }
    part[1] += (double)T(sum_lanes)(squares);
}

/* Parameters of one panel of units that are no weights. */
static void T(update_vectors)(const net_team *team, const T(scene) *s, int number, ptrdiff_t panel) {
    const net_layer *layer = team->layers + number;
    const int vectors = T(vectors_of)(layer, panel);
    double *part = team->parts + 2 * (layer->first_part + layer->n_parts + panel);
    part[0] = part[1] = 0.0;
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t column = piece * layer->width + panel * PANEL + v * LANES;
            REAL sums[LANES];
            VEC sum = T(splat)((REAL)0);
            /* With batch norm the gradients by sums have been through it; those before lie in z. */
            const REAL *from = BUFFER(work, (layer->batch_norm ? layer->z : layer->delta) + column);
            const ptrdiff_t stride = layer->row;
            for (ptrdiff_t i = 0; i < s->n_rows; i++) sum += T(load)(from + i * stride);
            T(store)(sums, sum);
            T(use_gradient)(team, s, layer->at[INTERCEPT] + column, sums, 1, 0, part);
            if (layer->batch_norm) {
                sum = T(splat)((REAL)0);
                for (ptrdiff_t i = 0; i < s->n_rows; i++)
                    sum += T(load)(BUFFER(work, layer->z + i * layer->row + column))
                         * T(load)(BUFFER(work, layer->normed + i * layer->row + column));
                T(store)(sums, sum);
                T(use_gradient)(team, s, layer->at[SCALE] + column, sums, 1, 0, part);
            }
        }
    if (layer->activation == PRELU && number < team->n_layers - 1)
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t column = panel * PANEL + v * LANES;
            REAL sums[LANES];
            VEC sum = T(splat)((REAL)0);
            for (ptrdiff_t i = 0; i < s->n_rows; i++)
                sum += T(load)(BUFFER(work, layer->extra + i * layer->unit_row + column));
            T(store)(sums, sum);
            T(use_gradient)(team, s, layer->at[SLOPE] + column, sums, 1, 0, part);
        }
}

/* Gradients by the sums of a panel of hidden units, from those by their outputs, which lie in z. */
static void T(backward_panel)(const net_team *team, const net_layer *layer, ptrdiff_t panel,
                              const T(scene) *s) {
    const int vectors = T(vectors_of)(layer, panel);
    const ptrdiff_t column = panel * PANEL;
    if (layer->activation != MAXOUT && layer->activation != PRELU) {
        const ptrdiff_t row = layer->row, unit_row = layer->unit_row;
        const REAL *z = BUFFER(work, layer->z + column), *slope = BUFFER(work, layer->slope + column);
        REAL *delta = BUFFER(work, layer->delta + column);
        for (ptrdiff_t i = 0; i < s->n_rows; i++, z += row, slope += unit_row, delta += row)
            for (int v = 0; v < vectors; v++)
                T(store)(delta + v * LANES, T(load)(z + v * LANES) * T(load)(slope + v * LANES));
    } else for (ptrdiff_t i = 0; i < s->n_rows; i++)
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t place = i * layer->unit_row + column + v * LANES;
            REAL *z = BUFFER(work, layer->z + i * layer->row + column + v * LANES);
            REAL *delta = BUFFER(work, layer->delta + i * layer->row + column + v * LANES);
            const VEC by_output = T(load)(z), slope = T(load)(BUFFER(work, layer->slope + place));
            if (layer->activation == MAXOUT) {
                const VEC given = by_output * T(load)(BUFFER(work, layer->extra + place));
                for (ptrdiff_t j = 0; j < layer->pieces; j++) {
                    const VEC away = T(absolute)(slope - T(splat)((REAL)j));
                    const IVEC own = T(above)(T(splat)((REAL)0.5), away);
                    T(store)(delta + j * layer->width, T(choose)(own, given, T(splat)((REAL)0)));
                }
                continue;
            }
            if (layer->activation == PRELU) {
                REAL *extra = BUFFER(work, layer->extra + place);
                T(store)(extra, by_output * T(load)(extra));
            }
            T(store)(delta, by_output * slope);
        }
    if (!layer->batch_norm) return;
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t at = piece * layer->width + column + v * LANES;
            VEC sum = T(splat)((REAL)0), product = sum;
            for (ptrdiff_t i = 0; i < s->n_rows; i++) {
                const VEC delta = T(load)(BUFFER(work, layer->delta + i * layer->row + at));
                T(store)(BUFFER(work, layer->z + i * layer->row + at), delta);
                sum += delta;
                product += delta * T(load)(BUFFER(work, layer->normed + i * layer->row + at));
            }
            const VEC scale = T(load)(BUFFER(params, layer->at[SCALE] + at))
                            * T(load)(BUFFER(work, layer->inverse + at));
            for (ptrdiff_t i = 0; i < s->n_rows; i++) {
                REAL *delta = BUFFER(work, layer->delta + i * layer->row + at);
                const VEC normed = T(load)(BUFFER(work, layer->normed + i * layer->row + at));
                const VEC share = T(splat)((REAL)s->shares[i]);
                T(store)(delta, scale * (T(load)(delta) - share * (sum + normed * product)));
            }
        }
}

/* Weights into a panel of the first layer. */
static void T(update_columns)(const net_team *team, const net_job *job, ptrdiff_t start,
                              const T(scene) *s, ptrdiff_t panel) {
    const net_layer *layer = team->layers;
    const int vectors = T(vectors_of)(layer, panel);
    double *part = team->parts + 2 * (layer->first_part + panel);
    part[0] = part[1] = 0.0;
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++) {
        const ptrdiff_t at = layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel);
        const REAL *delta = BUFFER(work, layer->delta + piece * layer->width + panel * PANEL);
        if (job->sparse) {
            REAL *gradient = BUFFER(gradient, at);
            memset(gradient, 0, (size_t)(layer->n_in * vectors * LANES) * sizeof(REAL));
            T(sparse_outer)(job, start, s->n_rows, delta, layer->row, vectors, gradient);
            T(use_gradient)(team, s, at, gradient, layer->n_in * vectors, 1, part);
            continue;
        }
        const REAL *const *rows = (const REAL *const *)s->rows;
        REAL tile[TILE_ROWS * PANEL];
#define TWO(n)                                                                            \
    T(outer_tile)(rows, s->n_rows, row, delta, layer->row, n, 2, tile);                  \
    T(use_gradient)(team, s, at + row * 2 * LANES, tile, (n) * 2, 1, part)
#define ONE(n)                                                                            \
    T(outer_tile)(rows, s->n_rows, row, delta, layer->row, n, 1, tile);                  \
    T(use_gradient)(team, s, at + row * LANES, tile, n, 1, part)
        if (vectors == 2) { BY_TILES(layer->n_in, TWO) }
        else { BY_TILES(layer->n_in, ONE) }
#undef TWO
#undef ONE
    }
}

/* The same from lists, for one panel or two neighbouring ones; meanwhile rows begin..end of the
 * order, which are listed next, are fetched. */
INLINE void T(update_listed)(const net_team *team, const net_job *job, const T(scene) *s,
                             ptrdiff_t panel, const int low, const int high, ptrdiff_t begin,
                             ptrdiff_t end) {
    const net_layer *layer = team->layers;
    double *part = team->parts + 2 * (layer->first_part + panel);
    part[0] = part[1] = 0.0;
    if (high) part[2] = part[3] = 0.0;
    const T(list) none = {NULL, 0};
    REAL tile[2][TILE_ROWS * PANEL];
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++) {
        const ptrdiff_t at = layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel);
        const ptrdiff_t next = at + layer->n_in * low * LANES;
        const REAL *delta = BUFFER(work, layer->delta + piece * layer->width + panel * PANEL);
        const T(two_panels) slopes = {delta, NULL, layer->row, 0};
        for (ptrdiff_t k = 0, n; k < layer->n_in; k += n) {
            const ptrdiff_t left = layer->n_in - k;
            n = left >= TILE_ROWS ? TILE_ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
            if (piece == 0 && n == TILE_ROWS)
                T(fetch)(job, begin, end, k / TILE_ROWS, layer->n_in / TILE_ROWS);
            for (ptrdiff_t r = 0; r < n; r += 2) {
                VEC sums[2][4];
                UNROLL for (int v = 0; v < 4; v++) sums[0][v] = sums[1][v] = T(splat)((REAL)0);
                T(add_lists)(T(list_of_column)(team, k + r),
                             n > 1 ? T(list_of_column)(team, k + r + 1) : none, slopes, low + high, 0,
                             sums[0], sums[1]);
                for (int second = 0; second < (n > 1 ? 2 : 1); second++) {
                    UNROLL for (int v = 0; v < low; v++)
                        T(store)(tile[0] + ((r + second) * low + v) * LANES, sums[second][v]);
                    UNROLL for (int v = 0; v < high; v++)
                        T(store)(tile[1] + ((r + second) * high + v) * LANES, sums[second][low + v]);
                }
            }
            T(use_gradient)(team, s, at + k * low * LANES, tile[0], n * low, 1, part);
            if (high) T(use_gradient)(team, s, next + k * high * LANES, tile[1], n * high, 1, part + 2);
        }
    }
}

static void T(update_listed_panels)(const net_team *team, const net_job *job, const T(scene) *s,
                                    ptrdiff_t first, ptrdiff_t last, ptrdiff_t begin,
                                    ptrdiff_t end) {
    const net_layer *layer = team->layers;
    for (ptrdiff_t panel = first; panel < last; panel += 2, begin = end)
        switch (10 * T(vectors_of)(layer, panel)
                + (panel + 1 < last ? T(vectors_of)(layer, panel + 1) : 0)) {
        case 22: T(update_listed)(team, job, s, panel, 2, 2, begin, end); break;
        case 21: T(update_listed)(team, job, s, panel, 2, 1, begin, end); break;
        case 20: T(update_listed)(team, job, s, panel, 2, 0, begin, end); break;
        default: T(update_listed)(team, job, s, panel, 1, 0, begin, end); break;
        }
}

/* Write rows of a panel of weights, just changed, into the turned copy. */
INLINE void T(turn_rows)(const net_team *team, const net_layer *layer, const net_layer *before,
                         ptrdiff_t piece, ptrdiff_t panel, ptrdiff_t row, ptrdiff_t n) {
    const int vectors = T(vectors_of)(layer, panel);
    const ptrdiff_t from_panel = row / PANEL;
    const int wide = T(vectors_of)(before, from_panel) * LANES;
    REAL *turned = BUFFER(turned, layer->turned + layer->n_turned * from_panel * PANEL
                                      + (row - from_panel * PANEL));
    const REAL *w = BUFFER(params, layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel)
                                       + row * vectors * LANES);
    const ptrdiff_t first = piece * layer->width + panel * PANEL;
    const ptrdiff_t count = smaller_of(vectors * LANES, layer->n_turned - first);
    for (ptrdiff_t c = 0; c < count; c++)
        for (ptrdiff_t r = 0; r < n; r++)
            turned[(first + c) * wide + r] = w[r * vectors * LANES + c];
}

/* Weights that leave a panel of units of the layer before. */
static void T(update_rows)(const net_team *team, const T(scene) *s, int number, ptrdiff_t from_panel) {
    const net_layer *layer = team->layers + number, *before = layer - 1;
    const REAL *const *rows = (const REAL *const *)team->rows + 2 * (number - 1) * team->batch_size;
    const ptrdiff_t first = from_panel * PANEL, last = smaller_of(first + PANEL, layer->n_in);
    double *part = team->parts + 2 * (layer->first_part + from_panel);
    part[0] = part[1] = 0.0;
    REAL tile[TILE_ROWS * PANEL];
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
        for (ptrdiff_t panel = 0; panel < layer->panels; panel++) {
            const int vectors = T(vectors_of)(layer, panel);
            const ptrdiff_t at = layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel);
            const REAL *delta = BUFFER(work, layer->delta + piece * layer->width + panel * PANEL);
#define STEP(n, wide)                                                                      \
    T(outer_tile)(rows, s->n_rows, first + row, delta, layer->row, n, wide, tile);        \
    T(use_gradient)(team, s, at + (first + row) * (wide) * LANES, tile, (n) * (wide), 1, part); \
    if (team->longest == 0.0) T(turn_rows)(team, layer, before, piece, panel, first + row, n)
#define TWO(n) STEP(n, 2)
#define ONE(n) STEP(n, 1)
            if (vectors == 2) { BY_TILES(last - first, TWO) }
            else { BY_TILES(last - first, ONE) }
#undef TWO
#undef ONE
#undef STEP
        }
}

/* Steps along the kept gradient, shortened. */
static void T(step_clipped)(const net_team *team, const T(scene) *s, int number, ptrdiff_t begin,
                            ptrdiff_t end, ptrdiff_t from_begin, ptrdiff_t from_end) {
    const net_layer *layer = team->layers + number;
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
        for (ptrdiff_t panel = begin; panel < end; panel++) {
            const ptrdiff_t at = piece * layer->width + panel * PANEL;
            const int vectors = T(vectors_of)(layer, panel);
            for (int name = INTERCEPT; name <= SCALE; name++)
                if (layer->at[name] >= 0 && (name != SLOPE || piece == 0))
                    T(take_step)(team, s, layer->at[name] + at, BUFFER(gradient, layer->at[name] + at),
                                 vectors, 0);
            if (number == 0) {
                const ptrdiff_t place = layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel);
                T(take_step)(team, s, place, BUFFER(gradient, place), layer->n_in * vectors, 1);
            }
        }
    if (number == 0) return;
    for (ptrdiff_t from = from_begin; from < from_end; from++) {
        const ptrdiff_t first = from * PANEL, n = smaller_of(PANEL, layer->n_in - first);
        for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
            for (ptrdiff_t panel = 0; panel < layer->panels; panel++) {
                const int vectors = T(vectors_of)(layer, panel);
                const ptrdiff_t place = layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel)
                                      + first * vectors * LANES;
                T(take_step)(team, s, place, BUFFER(gradient, place), n * vectors, 1);
                T(turn_rows)(team, layer, layer - 1, piece, panel, first, n);
            }
    }
}

/* Shorten the weights into each unit of a panel to max_norm. */
static void T(bound_panel)(const net_team *team, int number, ptrdiff_t panel) {
    const net_layer *layer = team->layers + number;
    const int vectors = T(vectors_of)(layer, panel);
    const VEC most = T(splat)((REAL)team->max_norm);
    for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
        for (int v = 0; v < vectors; v++) {
            REAL *w = BUFFER(params, layer->at[COEF] + T(panel_at)(layer, layer->n_in, piece, panel)
                                         + v * LANES);
            VEC squares = T(splat)((REAL)0);
            for (ptrdiff_t k = 0; k < layer->n_in; k++) {
                const VEC x = T(load)(w + k * vectors * LANES);
                squares += x * x;
            }
            const VEC length = T(root)(squares);
            const VEC factor = most / T(larger)(most, length);
            for (ptrdiff_t k = 0; k < layer->n_in; k++)
                T(store)(w + k * vectors * LANES, T(load)(w + k * vectors * LANES) * factor);
            if (number == 0) continue;
            const net_layer *before = layer - 1;
            REAL factors[LANES];
            T(store)(factors, factor);
            for (int c = 0; c < LANES; c++) {
                const ptrdiff_t o = piece * layer->width + panel * PANEL + v * LANES + c;
                if (o >= layer->n_turned) break;
                for (ptrdiff_t from = 0; from < before->panels; from++) {
                    const int wide = T(vectors_of)(before, from) * LANES;
                    REAL *turned = BUFFER(turned, layer->turned + layer->n_turned * from * PANEL + o * wide);
                    for (int r = 0; r < wide; r++) turned[r] *= factors[c];
                }
            }
        }
}

/* ---- the flat vector ---- */

/* Copy a row of numbers between the order of w, pieces of a unit side by side, and a panel. */
INLINE void T(copy_units)(REAL *flat, REAL *padded, ptrdiff_t n, ptrdiff_t pieces, int pack) {
    if (pack)
        for (ptrdiff_t u = 0; u < n; u++) padded[u] = flat[u * pieces];
    else
        for (ptrdiff_t u = 0; u < n; u++) flat[u * pieces] = padded[u];
}

/* Copy everything between the flat order and panels. */
static void T(copy)(const net_team *team, REAL *flat, REAL *padded, int pack) {
    for (int number = 0; number < team->n_layers; number++) {
        const net_layer *layer = team->layers + number;
        const ptrdiff_t columns = layer->n_units * layer->pieces;
        for (ptrdiff_t piece = 0; piece < layer->pieces; piece++) {
            for (ptrdiff_t k = 0; k < layer->n_in; k++)
                for (ptrdiff_t panel = 0; panel < layer->panels; panel++) {
                    const ptrdiff_t u = panel * PANEL, n = smaller_of(PANEL, layer->n_units - u);
                    const int wide = T(vectors_of)(layer, panel) * LANES;
                    REAL *a = flat + layer->place[COEF] + k * columns + u * layer->pieces + piece;
                    REAL *b = padded + layer->at[COEF]
                            + T(panel_at)(layer, layer->n_in, piece, panel) + k * wide;
                    T(copy_units)(a, b, n, layer->pieces, pack);
                }
            for (int name = INTERCEPT; name <= VARIANCE; name++) {
                if (layer->at[name] < 0 || (name == SLOPE && piece > 0)) continue;
                REAL *a = flat + layer->place[name] + (name == SLOPE ? 0 : piece);
                REAL *b = padded + layer->at[name] + piece * layer->width;
                T(copy_units)(a, b, layer->n_units, name == SLOPE ? 1 : layer->pieces, pack);
            }
        }
    }
}

static void T(pack)(net_team *team, REAL *w, REAL *memory, ptrdiff_t p, ptrdiff_t width) {
    T(copy)(team, w, (REAL *)team->params, 1);
    for (ptrdiff_t m = 0; m < team->n_memories; m++)
        T(copy)(team, memory + m * width, (REAL *)team->memory + m * team->padded, 1);
    team->pace = team->has_pace ? (double)memory[p] : 0.0;
    for (int number = 1; number < team->n_layers; number++) {
        const net_layer *layer = team->layers + number;
        for (ptrdiff_t row = 0; row < layer->n_in; row++)
            for (ptrdiff_t piece = 0; piece < layer->pieces; piece++)
                for (ptrdiff_t panel = 0; panel < layer->panels; panel++)
                    T(turn_rows)(team, layer, layer - 1, piece, panel, row, 1);
    }
}

static void T(unpack)(net_team *team, REAL *w, REAL *memory, ptrdiff_t p, ptrdiff_t width) {
    T(copy)(team, w, (REAL *)team->params, 0);
    for (ptrdiff_t m = 0; m < team->n_memories; m++)
        T(copy)(team, memory + m * width, (REAL *)team->memory + m * team->padded, 0);
    if (team->has_pace) memory[p] = (REAL)team->pace;
}

/* ---- training ---- */

static void T(set_scene)(const net_team *team, T(scene) *s, double rate, double pace, ptrdiff_t update) {
    const double *numbers = team->numbers;
    memset(s, 0, sizeof *s);
    s->rate = (REAL)rate;
    s->update = update;
    s->factor = (REAL)1;
    s->keep_square = s->add_square = (REAL)1;
    switch (team->rule) {
    case RULE_MOMENTUM: s->inertia = (REAL)numbers[0]; s->pace = (REAL)pace; break;
    case RULE_NESTEROV:
        s->inertia = (REAL)numbers[0];
        s->pace = (REAL)(numbers[0] * pace + rate);
        break;
    case RULE_ADAGRAD: s->epsilon = (REAL)numbers[0]; break;
    case RULE_RMSPROP:
        s->keep_square = (REAL)numbers[0];
        s->add_square = (REAL)(1.0 - numbers[0]);
        s->epsilon = (REAL)numbers[1];
        break;
    case RULE_ADAM:
    case RULE_ADAMW: {
        const double t = (double)(update + 1), squares = 1.0 / (1.0 - pow(numbers[1], t));
        s->keep = (REAL)numbers[0];
        s->add = (REAL)(1.0 - numbers[0]);
        s->keep_square = (REAL)numbers[1];
        s->add_square = (REAL)(1.0 - numbers[1]);
        s->grow = (REAL)(1.0 / (1.0 - pow(numbers[0], t)));
        s->grow_squares = (REAL)squares;
        s->epsilon = (REAL)(numbers[2] * (numbers[3] != 0.0 ? sqrt(squares) : 1.0));
        s->decay = (REAL)team->decay;
        break;
    }
    default: break;
    }
}

/* All steps of a job, as thread `rank`. */
static void T(train)(net_team *team, net_job *job, int rank, const void **x_rows, double *shares) {
    const int n = job->n_threads, last = team->n_layers - 1;
    double pace = team->pace, total = 0.0;
    const double began = rank == 0 ? seconds() : 0.0;
    const ptrdiff_t first_panels = team->layers[0].panels;
    ptrdiff_t start = 0;
#define SHARE(count, i) ((count) * (i) / n)
#define OWN(layer) ptrdiff_t panel = SHARE((layer)->panels, rank); panel < SHARE((layer)->panels, rank + 1); panel++
    for (ptrdiff_t step = 0; step < job->n_steps; step++) {
        const ptrdiff_t rows = smaller_of(team->batch_size, job->n_rows - start);
        if (team->has_pace) pace = team->numbers[0] * pace + job->rates[step];
        T(scene) s;
        T(set_scene)(team, &s, job->rates[step], pace, job->n_updates + step);
        s.n_rows = rows;
        s.rows = x_rows;
        s.shares = shares;
        for (ptrdiff_t i = 0; i < rows; i++) {
            const ptrdiff_t row = job->order[start + i];
            if (!job->sparse) x_rows[i] = (const REAL *)job->X + row * job->n_features;
            shares[i] = job->weight ? job->weight[row] : 1.0;
            s.mass += shares[i];
        }
        for (ptrdiff_t i = 0; i < rows; i++) shares[i] /= s.mass;
        s.l2 = (REAL)(team->l2 / s.mass);
        s.l1 = (REAL)(team->l1 / s.mass);

        if (team->lists) {
            for (ptrdiff_t i = SHARE(rows, rank); i < SHARE(rows, rank + 1); i++)
                T(list_row)(team, x_rows[i], i);
            wait_for_all(job, rank);
            for (ptrdiff_t i = SHARE(team->n_blocks, rank); i < SHARE(team->n_blocks, rank + 1); i++)
                T(list_columns)(team, rows, i);
            if (last)
                T(listed_panels)(team, SHARE(first_panels, rank), SHARE(first_panels, rank + 1), 0, rows);
        }
        for (int number = 0; number < last; number++) {
            for (OWN(team->layers + number)) T(forward_panel)(team, job, start, number, panel, &s);
            wait_for_all(job, rank);
        }
        T(finish_rows)(team, job, start, SHARE(rows, rank), SHARE(rows, rank + 1), &s);
        wait_for_all(job, rank);
        if (rank == 0)
            for (ptrdiff_t i = 0; i < rows; i++) total += team->losses[i];

        for (OWN(team->layers + last)) T(update_vectors)(team, &s, last, panel);
        for (int number = last; number > 0; number--) {
            const net_layer *layer = team->layers + number, *before = layer - 1;
            const void **slopes = team->rows + (2 * number + 1) * team->batch_size;
            for (OWN(before)) {
                const REAL *turned = BUFFER(turned, layer->turned + layer->n_turned * panel * PANEL);
                T(dot_rows)((const REAL *const *)slopes, rows, layer->n_turned, turned,
                            T(vectors_of)(before, panel), BUFFER(work, before->z + panel * PANEL),
                            before->row);
                T(backward_panel)(team, before, panel, &s);
                T(update_vectors)(team, &s, number - 1, panel);
                T(update_rows)(team, &s, number, panel);
            }
            if (number > 1) wait_for_all(job, rank);
        }
        if (team->lists) {
            const ptrdiff_t next = start + rows;
            const ptrdiff_t later = smaller_of(team->batch_size, job->n_rows - next);
            T(update_listed_panels)(team, job, &s, SHARE(first_panels, rank),
                                    SHARE(first_panels, rank + 1), next + SHARE(later, rank),
                                    next + SHARE(later, rank + 1));
        } else
            for (OWN(team->layers)) T(update_columns)(team, job, start, &s, panel);
        wait_for_all(job, rank);

        double squares = 0.0;
        for (int number = 0; number <= last; number++) {
            const net_layer *layer = team->layers + number;
            const double *part = team->parts + 2 * layer->first_part;
            for (ptrdiff_t i = 0; i < layer->n_parts + layer->panels; i++) {
                if (rank == 0) total += part[2 * i];
                squares += part[2 * i + 1];
            }
        }
        if (team->longest > 0.0) {
            const double length = sqrt(squares);
            s.factor = (REAL)(length > team->longest ? team->longest / length : 1.0);
            if (!(length == length)) s.factor = (REAL)NAN;
            s.l2 = 0;
            for (int number = 0; number <= last; number++) {
                const ptrdiff_t panels = team->layers[number].panels;
                const ptrdiff_t from = number ? team->layers[number - 1].panels : 0;
                T(step_clipped)(team, &s, number, SHARE(panels, rank), SHARE(panels, rank + 1),
                                SHARE(from, rank), SHARE(from, rank + 1));
            }
            wait_for_all(job, rank);
        }
        if (team->max_norm > 0.0) {
            for (int number = 0; number < last; number++)
                for (OWN(team->layers + number)) T(bound_panel)(team, number, panel);
            wait_for_all(job, rank);
        }
        start += rows;
    }
#undef OWN
#undef SHARE
    if (rank == 0) {
        job->total = total;
        job->elapsed = seconds() - began;
        team->pace = pace;
    }
    wait_for_all(job, rank);
}

/* Rows an odd number of cache lines apart, which do not fight for the same few sets of a cache. */
INLINE ptrdiff_t T(spread_rows)(ptrdiff_t width) {
    const ptrdiff_t line = 64 / sizeof(REAL);
    return (width + line - 1) / line % 2 ? width : width + line;
}

/* The layout for this width of vector; the numbers needed of each buffer. */
static void T(lay_out)(net_team *team, ptrdiff_t *padded, ptrdiff_t *turned, ptrdiff_t *work,
                       ptrdiff_t *parts) {
    const ptrdiff_t b = team->batch_size;
    team->n_columns = team->layers[0].n_in;
    team->n_blocks = (team->n_columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    *padded = *turned = *work = *parts = 0;
    for (int number = 0; number < team->n_layers; number++) {
        net_layer *layer = team->layers + number;
        layer->width = (layer->n_units + LANES - 1) / LANES * LANES;
        layer->sums = layer->width * layer->pieces;
        layer->row = T(spread_rows)(layer->sums);
        layer->unit_row = T(spread_rows)(layer->width);
        layer->panels = (layer->width + PANEL - 1) / PANEL;
        layer->n_turned = layer->pieces == 1 ? layer->n_units : layer->sums;
        for (int name = 0; name < 6; name++) {
            layer->at[name] = -1;
            if (layer->place[name] < 0) continue;
            layer->at[name] = *padded;
            *padded += name == COEF ? layer->n_in * layer->sums : name == SLOPE ? layer->width : layer->sums;
        }
        layer->turned = *turned;
        if (number) *turned += layer->n_turned * team->layers[number - 1].width;
        ptrdiff_t *place[7] = {&layer->a, &layer->slope, &layer->z, &layer->delta,
                               &layer->normed, &layer->extra, &layer->inverse};
        const int extra = layer->activation == PRELU || layer->activation == MAXOUT;
        const ptrdiff_t size[7] = {b * layer->unit_row, b * layer->unit_row, b * layer->row, b * layer->row,
                                   layer->batch_norm ? b * layer->row : 0,
                                   extra ? b * layer->unit_row : 0, layer->batch_norm ? layer->sums : 0};
        for (int i = 0; i < 7; i++) {
            *place[i] = *work;
            *work += size[i];
        }
        layer->first_part = *parts;
        layer->n_parts = number ? team->layers[number - 1].panels : layer->panels;
        *parts += layer->n_parts + layer->panels;
    }
}

static void T(point_rows)(net_team *team) {
    for (int number = 0; number < team->n_layers; number++) {
        const net_layer *layer = team->layers + number;
        const void **rows = team->rows + 2 * number * team->batch_size;
        for (ptrdiff_t i = 0; i < team->batch_size; i++) {
            rows[i] = BUFFER(work, layer->a + i * layer->unit_row);
            rows[team->batch_size + i] = BUFFER(work, layer->delta + i * layer->row);
        }
    }
}

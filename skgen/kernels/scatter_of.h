/* Products of staged rows for one type; see scatter.h. */
#include "vector_of.h"
#undef OUTER_VECTORS
#if defined(SKGEN_ONE_LANE) || VECTOR_BYTES == 64
#  define OUTER_VECTORS 4
#else
#  define OUTER_VECTORS 2
#endif
#undef ROWS_SUMMED
#ifdef REAL_IS_FLOAT
#  define ROWS_SUMMED 256 /* of float, before the sum is added in double */
#else
#  define ROWS_SUMMED MOST_ROWS
#endif

/* u = factor * (x - origin), all of length d. */
INLINE void T(stage_row)(const REAL *x, const REAL *origin, ptrdiff_t d, REAL factor, REAL *u) {
    if (d < LANES) {
        for (ptrdiff_t j = 0; j < d; j++) u[j] = factor * (x[j] - origin[j]);
        return;
    }
    const VEC times = T(splat)(factor);
    for (ptrdiff_t j = 0; j + LANES <= d; j += LANES)
        T(store)(u + j, times * (T(load)(x + j) - T(load)(origin + j)));
    /* The last vector overlaps the one before it. */
    const ptrdiff_t last = d - LANES;
    T(store)(u + last, times * (T(load)(x + last) - T(load)(origin + last)));
}

/* Rows root(w) * scale * (x - origin) of positive weight, and root(w) as a last column if asked.
 * Returns how many; adds their weights to *total. */
static ptrdiff_t T(stage_rows)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                               const REAL *origin, REAL scale, int with_root, ptrdiff_t stride,
                               REAL *stage, double *total) {
    ptrdiff_t staged = 0;
    double sum = 0;
    for (ptrdiff_t r = 0; r < n; r++) {
        REAL *u = stage + staged * stride;
        /* The rows of the next stage arrive while the tiles of this one are at work. */
        for (ptrdiff_t j = 0; j < d; j += 64 / (ptrdiff_t)sizeof(REAL))
            PREFETCH(X + (r + n) * d + j);
        if (!(weight[r] > 0)) continue;
        const REAL root = weight[r] == 1 ? (REAL)1 : (REAL)sqrt(weight[r]);
        T(stage_row)(X + r * d, origin, d, root * scale, u);
        if (with_root) u[d] = root;
        sum += weight[r];
        staged++;
    }
    *total += sum;
    return staged;
}

/* out += `rows` x `vectors` of sum u_a u_a' over rows start to end of a stage, or of `list`. */
INLINE void T(add_tile)(const REAL *stage, const int16_t *list, const int listed, ptrdiff_t start,
                        ptrdiff_t end, ptrdiff_t stride, ptrdiff_t row, ptrdiff_t column,
                        const int rows, const int vectors, double *out, ptrdiff_t width) {
    VEC sum[OUTER_ROWS][OUTER_VECTORS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = T(splat)((REAL)0);
    for (ptrdiff_t a = start; a < end; a++) {
        const REAL *u = stage + (listed ? list[a] : a) * stride;
        VEC right[OUTER_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) right[v] = T(load)(u + column + v * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            const VEC left = T(splat)(u[row + i]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            T(add_to_double)(out + i * width + v * LANES, sum[i][v]);
}

INLINE void T(outer_tile)(const REAL *stage, const int16_t *list, const int listed, ptrdiff_t n,
                          ptrdiff_t stride, ptrdiff_t row, ptrdiff_t column, const int rows,
                          const int vectors, double *out, ptrdiff_t width) {
    out += row * width + column;
    if (n <= ROWS_SUMMED) {
        T(add_tile)(stage, list, listed, 0, n, stride, row, column, rows, vectors, out, width);
        return;
    }
    double total[OUTER_ROWS * OUTER_VECTORS * LANES] = {0};
    const ptrdiff_t length = vectors * LANES;
    for (ptrdiff_t start = 0; start < n; start += ROWS_SUMMED)
        T(add_tile)(stage, list, listed, start, n - start < ROWS_SUMMED ? n : start + ROWS_SUMMED,
                    stride, row, column, rows, vectors, total, length);
    for (int i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < length; j++) out[i * width + j] += total[i * length + j];
}

/* Lists the rows of which one of `columns` numbers from `column` on is not 0. */
static ptrdiff_t T(list_rows)(const REAL *stage, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t column,
                              ptrdiff_t columns, int16_t *list) {
    ptrdiff_t listed = 0;
    for (ptrdiff_t a = 0; a < n; a++) {
        const REAL *u = stage + a * stride + column;
        int some = 0;
        for (ptrdiff_t i = 0; i < columns; i++) some |= u[i] != 0;
        list[listed] = (int16_t)a;
        listed += some;
    }
    return listed;
}

/* The tile of a group of columns, of as many rows of the product as there are columns. */
static void T(outer_group)(const REAL *stage, const int16_t *list, ptrdiff_t listed, ptrdiff_t n,
                           ptrdiff_t stride, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t column,
                           ptrdiff_t vectors, double *out, ptrdiff_t width) {
#define TILE(row, rows, column, vectors)                                                           \
    do {                                                                                           \
        if (some) T(outer_tile)(stage, list, 1, listed, stride, row, column, rows, vectors, out, width); \
        else T(outer_tile)(stage, NULL, 0, n, stride, row, column, rows, vectors, out, width);     \
    } while (0)
    const int some = list && listed <= MOST_LISTED * n;
    if (some && listed == 0) return;
    if (rows < OUTER_ROWS) {
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t v = 0; v < vectors; v++) TILE(row + i, 1, column + v * LANES, 1);
        return;
    }
    switch (vectors) {
    case 1: TILE(row, OUTER_ROWS, column, 1); break;
    case 2: TILE(row, OUTER_ROWS, column, 2); break;
#if OUTER_VECTORS == 4
    case 3: TILE(row, OUTER_ROWS, column, 3); break;
    case 4: TILE(row, OUTER_ROWS, column, 4); break;
#endif
    }
#undef TILE
}

/* out[i][j] += sum_a u_a[i] u_a[j], i < size, for all j <= i (and some j > i), j < vectors * LANES.
 * A panel of columns at a time stays in the cache. With `lists`, room for MOST_ROWS numbers per group
 * of columns, rows that add nothing are left out; returns the share of rows that were left in. */
static double T(outer_products)(const REAL *stage, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t size,
                                ptrdiff_t vectors, double *out, ptrdiff_t width, int16_t *lists) {
    const ptrdiff_t groups = ROUND_UP(size, OUTER_ROWS) / OUTER_ROWS;
    ptrdiff_t used = 0;
    for (ptrdiff_t panel = 0; panel < vectors; panel += OUTER_VECTORS) {
        for (ptrdiff_t group = panel * LANES / OUTER_ROWS; group < groups; group++) {
            const ptrdiff_t row = group * OUTER_ROWS;
            const ptrdiff_t rows = size - row < OUTER_ROWS ? size - row : OUTER_ROWS;
            ptrdiff_t reach = (row + rows - 1) / LANES + 1 - panel;
            if (reach > vectors - panel) reach = vectors - panel;
            if (reach > OUTER_VECTORS) reach = OUTER_VECTORS;
            int16_t *list = lists ? lists + group * (MOST_ROWS + 1) : NULL;
            if (lists && panel == 0) {
                list[MOST_ROWS] = (int16_t)T(list_rows)(stage, n, stride, row, rows, list);
                used += list[MOST_ROWS];
            }
            T(outer_group)(stage, list, lists ? list[MOST_ROWS] : n, n, stride, row, rows,
                           panel * LANES, reach, out, width);
        }
    }
    return n && lists ? (double)used / (double)(n * groups) : 1;
}

/* Adds the lower triangle of sum u u', u = (root(w) scale (x - origin), root(w)), to
 * sums [d + 1][width]. Returns 0 when memory is short. */
static int T(add_outer)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                        const REAL *origin, double scale, double *total, double *sums,
                        ptrdiff_t width) {
    const ptrdiff_t stride = ROUND_UP(d + 1, LANES), vectors = ROUND_UP(d, LANES) / LANES;
    /* Sums that leave the second-level cache must not be read for every few rows. */
    const ptrdiff_t most = d > MOST_COLUMNS_IN_CACHE ? MOST_ROWS : FEW_ROWS;
    ptrdiff_t rows = OUTER_BYTES / (ptrdiff_t)sizeof(REAL) / stride;
    if (rows > most) rows = most;
    if (rows < FEWEST_ROWS) rows = FEWEST_ROWS;
    const size_t groups = (size_t)(ROUND_UP(d + 1, OUTER_ROWS) / OUTER_ROWS);
    const size_t bytes = (size_t)(rows * stride) * sizeof(REAL);
    void *memory;
    REAL *stage = open_stage(bytes + groups * (MOST_ROWS + 1) * sizeof(int16_t), &memory);
    if (!stage) return 0;
    int16_t *lists = d >= OUTER_ROWS ? (int16_t *)((char *)stage + bytes) : NULL;
    for (ptrdiff_t start = 0; start < n; start += rows) {
        const ptrdiff_t left = n - start < rows ? n - start : rows;
        const ptrdiff_t staged = T(stage_rows)(X + start * d, weight + start, left, d, origin,
                                               (REAL)scale, 1, stride, stage, total);
        /* What the first rows are like the others are taken to be. */
        if (T(outer_products)(stage, staged, stride, d + 1, vectors, sums, width, lists) >
            MOST_LISTED)
            lists = NULL;
    }
    free(memory);
    return 1;
}

/* out[r] = s_r Q for `rows` rows s_r of length d and `vectors` vectors of the columns of Q. */
INLINE void T(project_tile)(const REAL *s, ptrdiff_t stride, ptrdiff_t d, const REAL *Q,
                            ptrdiff_t width, const int rows, const int vectors, REAL *out) {
    VEC sum[PROJECT_ROWS][PROJECT_VECTORS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = T(splat)((REAL)0);
    for (ptrdiff_t j = 0; j < d; j++, Q += width) {
        VEC right[PROJECT_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) right[v] = T(load)(Q + v * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            const VEC left = T(splat)(s[i * stride + j]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) T(store)(out + i * width + v * LANES, sum[i][v]);
}

/* Z[j] += sum_r s_r[j] y_r for `columns` columns j of the n rows s_r. */
INLINE void T(return_tile)(const REAL *s, ptrdiff_t stride, ptrdiff_t n, const REAL *y,
                           ptrdiff_t width, const int columns, const int vectors, REAL *Z) {
    VEC sum[PROJECT_ROWS][PROJECT_VECTORS];
    UNROLL for (int j = 0; j < columns; j++)
        UNROLL for (int v = 0; v < vectors; v++) sum[j][v] = T(load)(Z + j * width + v * LANES);
    for (ptrdiff_t r = 0; r < n; r++, s += stride, y += width) {
        VEC right[PROJECT_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) right[v] = T(load)(y + v * LANES);
        UNROLL for (int j = 0; j < columns; j++) {
            const VEC left = T(splat)(s[j]);
            UNROLL for (int v = 0; v < vectors; v++) sum[j][v] += left * right[v];
        }
    }
    UNROLL for (int j = 0; j < columns; j++)
        UNROLL for (int v = 0; v < vectors; v++) T(store)(Z + j * width + v * LANES, sum[j][v]);
}

INLINE void T(project_panel)(const REAL *s, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t d,
                             const REAL *Q, ptrdiff_t width, const int rows, const int vectors,
                             REAL *out) {
    ptrdiff_t r = 0;
    for (; r + rows <= n; r += rows)
        T(project_tile)(s + r * stride, stride, d, Q, width, rows, vectors, out + r * width);
    for (; r < n; r++)
        T(project_tile)(s + r * stride, stride, d, Q, width, 1, vectors, out + r * width);
}

INLINE void T(return_panel)(const REAL *s, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t d,
                            const REAL *y, ptrdiff_t width, const int columns, const int vectors,
                            REAL *Z) {
    ptrdiff_t j = 0;
    for (; j + columns <= d; j += columns)
        T(return_tile)(s + j, stride, n, y, width, columns, vectors, Z + j * width);
    for (; j < d; j++) T(return_tile)(s + j, stride, n, y, width, 1, vectors, Z + j * width);
}

/* out [n][width] = S Q; width is whole vectors. */
static void T(project_stage)(const REAL *s, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t d,
                             const REAL *Q, ptrdiff_t width, REAL *out) {
    ptrdiff_t c = 0;
    for (; c + PROJECT_VECTORS * LANES <= width; c += PROJECT_VECTORS * LANES)
        T(project_panel)(s, stride, n, d, Q + c, width, ROWS_OF(PROJECT_VECTORS), PROJECT_VECTORS,
                         out + c);
    switch ((width - c) / LANES) {
    case 1: T(project_panel)(s, stride, n, d, Q + c, width, ROWS_OF(1), 1, out + c); break;
    case 2: T(project_panel)(s, stride, n, d, Q + c, width, ROWS_OF(2), 2, out + c); break;
    case 3: T(project_panel)(s, stride, n, d, Q + c, width, ROWS_OF(3), 3, out + c); break;
    }
}

/* Z [d][width] += S' Y */
static void T(return_stage)(const REAL *s, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t d,
                            const REAL *y, ptrdiff_t width, REAL *Z) {
    ptrdiff_t c = 0;
    for (; c + PROJECT_VECTORS * LANES <= width; c += PROJECT_VECTORS * LANES)
        T(return_panel)(s, stride, n, d, y + c, width, ROWS_OF(PROJECT_VECTORS), PROJECT_VECTORS,
                        Z + c);
    switch ((width - c) / LANES) {
    case 1: T(return_panel)(s, stride, n, d, y + c, width, ROWS_OF(1), 1, Z + c); break;
    case 2: T(return_panel)(s, stride, n, d, y + c, width, ROWS_OF(2), 2, Z + c); break;
    case 3: T(return_panel)(s, stride, n, d, y + c, width, ROWS_OF(3), 3, Z + c); break;
    }
}

/* Rows of a stage of both products: a multiple of every tile's rows. */
static ptrdiff_t T(product_rows)(ptrdiff_t stride) {
    const ptrdiff_t rows = STAGE_BYTES / (ptrdiff_t)sizeof(REAL) / stride / TILE_ROWS * TILE_ROWS;
    return rows < TILE_ROWS ? TILE_ROWS : rows > MOST_PRODUCT_ROWS ? MOST_PRODUCT_ROWS : rows;
}

/* Adds sum w (x - origin) ((x - origin)' Q) to out [d][width], in float64. */
static int T(apply_scatter)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                            const REAL *origin, const REAL *Q, ptrdiff_t width, double *total,
                            double *out) {
    const ptrdiff_t stride = ROUND_UP(d, LANES), rows = T(product_rows)(stride);
    const ptrdiff_t chunk = rows > ROWS_OF_PRODUCTS ? rows : ROWS_OF_PRODUCTS / rows * rows;
    void *memory;
    REAL *stage = open_stage((size_t)(rows * (stride + width) + d * width) * sizeof(REAL), &memory);
    if (!stage) return 0;
    REAL *y = stage + rows * stride, *Z = y + rows * width;
    for (ptrdiff_t begin = 0; begin < n; begin += chunk) {
        const ptrdiff_t end = n - begin < chunk ? n : begin + chunk;
        memset(Z, 0, (size_t)(d * width) * sizeof(REAL));
        for (ptrdiff_t start = begin; start < end; start += rows) {
            const ptrdiff_t left = end - start < rows ? end - start : rows;
            const ptrdiff_t staged = T(stage_rows)(X + start * d, weight + start, left, d, origin,
                                                   (REAL)1, 0, stride, stage, total);
            T(project_stage)(stage, stride, staged, d, Q, width, y);
            T(return_stage)(stage, stride, staged, d, y, width, Z);
        }
        for (ptrdiff_t i = 0; i < d * width; i += LANES) T(add_to_double)(out + i, T(load)(Z + i));
    }
    free(memory);
    return 1;
}

/* out [n][k] = (x - origin)' Q, of which the first k columns are wanted. */
static int T(project_rows)(const REAL *X, ptrdiff_t n, ptrdiff_t d, const REAL *origin,
                           const REAL *Q, ptrdiff_t width, ptrdiff_t k, REAL *out) {
    const ptrdiff_t stride = ROUND_UP(d, LANES), rows = T(product_rows)(stride);
    void *memory;
    REAL *stage = open_stage((size_t)(rows * (stride + width)) * sizeof(REAL), &memory);
    if (!stage) return 0;
    REAL *y = stage + rows * stride;
    for (ptrdiff_t start = 0; start < n; start += rows) {
        const ptrdiff_t left = n - start < rows ? n - start : rows;
        for (ptrdiff_t r = 0; r < left; r++)
            T(stage_row)(X + (start + r) * d, origin, d, (REAL)1, stage + r * stride);
        T(project_stage)(stage, stride, left, d, Q, width, y);
        for (ptrdiff_t r = 0; r < left; r++)
            memcpy(out + (start + r) * k, y + r * width, (size_t)k * sizeof(REAL));
    }
    free(memory);
    return 1;
}

/* sums[0][j] += sum w z_j and sums[1][j] += sum w z_j^2, z = x - origin; width numbers a row. */
static int T(add_columns)(const REAL *X, const double *weight, ptrdiff_t n, ptrdiff_t d,
                          const REAL *origin, double *total, double *sums, ptrdiff_t width) {
    const ptrdiff_t stride = ROUND_UP(d, LANES);
    void *memory;
    REAL *first = open_stage((size_t)(3 * stride) * sizeof(REAL), &memory);
    if (!first) return 0;
    REAL *second = first + stride, *z = second + stride;
    double sum = 0;
    for (ptrdiff_t start = 0; start < n; start += ROWS_OF_PRODUCTS) {
        const ptrdiff_t end = n - start < ROWS_OF_PRODUCTS ? n : start + ROWS_OF_PRODUCTS;
        memset(first, 0, (size_t)(2 * stride) * sizeof(REAL));
        for (ptrdiff_t r = start; r < end; r++) {
            if (!(weight[r] > 0)) continue;
            const VEC w = T(splat)((REAL)weight[r]);
            sum += weight[r];
            T(stage_row)(X + r * d, origin, d, (REAL)1, z);
            for (ptrdiff_t j = 0; j < stride; j += LANES) {
                const VEC u = T(load)(z + j), wu = w * u;
                T(store)(first + j, T(load)(first + j) + wu);
                T(store)(second + j, T(load)(second + j) + wu * u);
            }
        }
        for (ptrdiff_t j = 0; j < stride; j += LANES) {
            T(add_to_double)(sums + j, T(load)(first + j));
            T(add_to_double)(sums + width + j, T(load)(second + j));
        }
    }
    *total += sum;
    free(memory);
    return 1;
}

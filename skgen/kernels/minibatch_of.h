/* Rows and weights lie in buffers whose width is a multiple of the vector, filled up with zeros. */
#include "vector_of.h"

/* raw[i, c] += <x_i, w_c> for a tile of 1 or 2 rows and 1 to 4 classes. */
INLINE void T(score_tile)(
    const REAL *x, const REAL *w, ptrdiff_t width, ptrdiff_t k, double *raw, int n_rows, int n_classes) {
    VEC sum[2][4];
    for (int i = 0; i < n_rows; i++)
        for (int c = 0; c < n_classes; c++) sum[i][c] = T(splat)(0);
    for (ptrdiff_t j = 0; j < width; j += LANES)
        for (int c = 0; c < n_classes; c++) {
            const VEC v = T(load)(w + c * width + j);
            for (int i = 0; i < n_rows; i++) sum[i][c] += T(load)(x + i * width + j) * v;
        }
    for (int i = 0; i < n_rows; i++)
        for (int c = 0; c < n_classes; c++) raw[i * k + c] += T(sum_lanes)(sum[i][c]);
}

INLINE void T(score_classes)(
    const REAL *x, const REAL *w, ptrdiff_t width, ptrdiff_t k, double *raw, int n_rows) {
    ptrdiff_t c = 0;
    for (; c + 4 <= k; c += 4) T(score_tile)(x, w + c * width, width, k, raw + c, n_rows, 4);
    if (k - c == 3) T(score_tile)(x, w + c * width, width, k, raw + c, n_rows, 3);
    if (k - c == 2) T(score_tile)(x, w + c * width, width, k, raw + c, n_rows, 2);
    if (k - c == 1) T(score_tile)(x, w + c * width, width, k, raw + c, n_rows, 1);
}

/* Add the scores of n rows to raw (n, k). */
static void T(add_scores)(
    const REAL *x, const REAL *w, ptrdiff_t n, ptrdiff_t width, ptrdiff_t k, double *raw) {
    ptrdiff_t i = 0;
    for (; i + 2 <= n; i += 2) T(score_classes)(x + i * width, w, width, k, raw + i * k, 2);
    if (i < n) T(score_classes)(x + i * width, w, width, k, raw + i * k, 1);
}

/* sum_i slope[i, c] x_i for a tile of 1 to 4 classes and two vectors of features (one at the end). */
INLINE void T(gradient_tile)(
    const REAL *x, const REAL *slope, ptrdiff_t n, ptrdiff_t width, ptrdiff_t k, ptrdiff_t d,
    ptrdiff_t j, double *gradient, int n_classes, int n_vectors) {
    for (ptrdiff_t start = 0; start < n; start += FEW_ROWS) {
        const ptrdiff_t stop = start + FEW_ROWS < n ? start + FEW_ROWS : n;
        VEC sum[4][2];
        for (int c = 0; c < n_classes; c++)
            for (int v = 0; v < n_vectors; v++) sum[c][v] = T(splat)(0);
        for (ptrdiff_t i = start; i < stop; i++)
            for (int v = 0; v < n_vectors; v++) {
                const VEC value = T(load)(x + i * width + j + v * LANES);
                for (int c = 0; c < n_classes; c++) sum[c][v] += T(splat)(slope[i * k + c]) * value;
            }
        for (int c = 0; c < n_classes; c++)
            for (int v = 0; v < n_vectors; v++) {
                REAL part[LANES];
                T(store)(part, sum[c][v]);
                for (ptrdiff_t f = j + v * LANES, i = 0; i < LANES && f + i < d; i++)
                    gradient[c * d + f + i] += part[i];
            }
    }
}

INLINE void T(gradient_features)(
    const REAL *x, const REAL *slope, ptrdiff_t n, ptrdiff_t width, ptrdiff_t k, ptrdiff_t d,
    double *gradient, int n_classes) {
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= width; j += 2 * LANES)
        T(gradient_tile)(x, slope, n, width, k, d, j, gradient, n_classes, 2);
    if (j < width) T(gradient_tile)(x, slope, n, width, k, d, j, gradient, n_classes, 1);
}

/* Add the slopes' outer products with n rows to gradient (k, d). */
static void T(add_gradient)(
    const REAL *x, const REAL *slope, ptrdiff_t n, ptrdiff_t width, ptrdiff_t k, ptrdiff_t d,
    double *gradient) {
    ptrdiff_t c = 0;
    for (; c + 4 <= k; c += 4)
        T(gradient_features)(x, slope + c, n, width, k, d, gradient + c * d, 4);
    if (k - c == 3) T(gradient_features)(x, slope + c, n, width, k, d, gradient + c * d, 3);
    if (k - c == 2) T(gradient_features)(x, slope + c, n, width, k, d, gradient + c * d, 2);
    if (k - c == 1) T(gradient_features)(x, slope + c, n, width, k, d, gradient + c * d, 1);
}

static ptrdiff_t T(padded)(ptrdiff_t d) { return (d + LANES - 1) / LANES * LANES; }

/* Sums of outer products in a register tile, for one type; include after vector_of.h, once per type.
 * UNROLL is defined by the family. */

#undef OUTER_VECTORS
#if defined(SKGEN_ONE_LANE) || VECTOR_BYTES == 64
#  define OUTER_VECTORS 4
#else
#  define OUTER_VECTORS 2
#endif
#undef OUTER_ROWS
#define OUTER_ROWS 6

/* `rows` x `vectors` of sum_a u_a u_a' at out, u of length `n`. */
INLINE void T(outer_tile)(const REAL *u, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t row,
                          ptrdiff_t column, const int rows, const int vectors, double *out,
                          ptrdiff_t width) {
    VEC sum[OUTER_ROWS][OUTER_VECTORS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) sum[i][v] = T(splat)((REAL)0);
    for (ptrdiff_t a = 0; a < n; a++, u += stride) {
        VEC right[OUTER_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) right[v] = T(load)(u + column + v * LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            VEC left = T(splat)(u[row + i]);
            UNROLL for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
        }
    }
    out += row * width + column;
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            T(add_to_double)(out + i * width + v * LANES, sum[i][v]);
}

INLINE void T(outer_rows)(const REAL *u, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t row,
                          const int rows, ptrdiff_t vectors, double *out, ptrdiff_t width) {
    ptrdiff_t v = 0;
    for (; v + OUTER_VECTORS <= vectors; v += OUTER_VECTORS)
        T(outer_tile)(u, n, stride, row, v * LANES, rows, OUTER_VECTORS, out, width);
    switch (vectors - v) {
    case 1: T(outer_tile)(u, n, stride, row, v * LANES, rows, 1, out, width); break;
#if OUTER_VECTORS == 4
    case 2: T(outer_tile)(u, n, stride, row, v * LANES, rows, 2, out, width); break;
    case 3: T(outer_tile)(u, n, stride, row, v * LANES, rows, 3, out, width); break;
#endif
    }
}

/* out[i][j] += sum_a u_a[i] u_a[j], i < size, for all j <= i (and some j > i), j < 'vectors'. */
static void T(outer_products)(const REAL *u, ptrdiff_t n, ptrdiff_t stride, ptrdiff_t size,
                              ptrdiff_t vectors, double *out, ptrdiff_t width) {
    ptrdiff_t row = 0;
#define REACH(last) ((last) / LANES + 1 < vectors ? (last) / LANES + 1 : vectors)
    for (; row + OUTER_ROWS <= size; row += OUTER_ROWS)
        T(outer_rows)(u, n, stride, row, OUTER_ROWS, REACH(row + OUTER_ROWS - 1), out, width);
    const ptrdiff_t reach = REACH(size - 1);
#undef REACH
    switch (size - row) {
    case 1: T(outer_rows)(u, n, stride, row, 1, reach, out, width); break;
    case 2: T(outer_rows)(u, n, stride, row, 2, reach, out, width); break;
    case 3: T(outer_rows)(u, n, stride, row, 3, reach, out, width); break;
    case 4: T(outer_rows)(u, n, stride, row, 4, reach, out, width); break;
    case 5: T(outer_rows)(u, n, stride, row, 5, reach, out, width); break;
    }
}

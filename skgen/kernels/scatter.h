/* Products of rows about an origin: their scatter matrix, and the scatter matrix times vectors.
 *
 * Rows are staged in the second-level cache, about the origin and times the root of their weight,
 * and read by register tiles from there; X is read once. Sums of at most MOST_ROWS rows are kept in
 * X's type, larger ones in float64.
 *
 * A BLAS was rejected: for matrices this thin it reaches a third of what the tiles do, and it would
 * need the staged rows in memory. */
#ifndef SKGEN_SCATTER_H
#define SKGEN_SCATTER_H

#include <stdlib.h>
#include "vector.h"
#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 24")
#else
#  define UNROLL
#endif

#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#define STAGE_BYTES (384 * 1024)
#define MOST_ROWS 128
#define FEWEST_ROWS 16
#define MOST_PRODUCT_ROWS 96
#define PROJECT_VECTORS 4
/* Accumulators of a tile fill three quarters of the registers. */
#if defined(SKGEN_ONE_LANE) || VECTOR_BYTES == 64
#  define TILE_ROWS 24
#  define ROWS_OF(vectors) ((vectors) == 1 ? 12 : 24 / (vectors))
#else
#  define TILE_ROWS 12
#  define ROWS_OF(vectors) ((vectors) == 1 ? 6 : 12 / (vectors))
#endif
#define PROJECT_ROWS 12

/* `bytes` on a cache line, to be freed through *memory. */
static void *open_stage(size_t bytes, void **memory) {
    *memory = malloc(bytes + 64);
    if (!*memory) return NULL;
    void *stage = (void *)(((uintptr_t)*memory + 63) & ~(uintptr_t)63);
    memset(stage, 0, bytes);
    return stage;
}

#define REAL_IS_FLOAT
#include "scatter_of.h"
#undef REAL_IS_FLOAT
#define REAL_IS_DOUBLE
#include "scatter_of.h"
#undef REAL_IS_DOUBLE

/* Numbers in a row of sums, or columns in a row of products: whole vectors of either type. */
static ptrdiff_t padded_width(ptrdiff_t n) {
#ifdef SKGEN_ONE_LANE
    return n;
#else
    return ROUND_UP(n, (ptrdiff_t)(VECTOR_BYTES / sizeof(float)));
#endif
}

#endif

/* Products of rows about an origin: their scatter matrix, and the scatter matrix times vectors.
 *
 * Rows are staged in the second-level cache, about the origin and times the root of their weight,
 * and read by register tiles from there; X is read once. Sums of at most MOST_ROWS rows are kept in
 * X's type, larger ones in float64.
 *
 * Rows that are at the origin in all columns of a tile's group are left out of it: images, counts
 * and indicators are zero in most cells, and zero is their origin.
 *
 * A BLAS was rejected: for matrices this thin it reaches a third of what the tiles do, and it would
 * need the staged rows in memory. */
#ifndef SKGEN_SCATTER_H
#define SKGEN_SCATTER_H

#include <stdlib.h>
#include "vector.h"
#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 24")
#  define PREFETCH(p) __builtin_prefetch(p)
#else
#  define UNROLL
#  define PREFETCH(p) ((void)(p))
#endif

#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#define OUTER_ROWS 6
#define OUTER_BYTES (1536 * 1024)
#define STAGE_BYTES (384 * 1024)
#define MOST_ROWS 512
#define ROWS_OF_PRODUCTS 128 /* whose sums stay in X's type */
#define FEW_ROWS 256
#define FEWEST_ROWS 16
#define MOST_COLUMNS_IN_CACHE 256
#define MOST_PRODUCT_ROWS 96
/* Where more rows than this share have a number other than 0 in a group of columns, all are used. */
#define MOST_LISTED 0.75
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

/* Numbers in a row of sums or of products: whole vectors of numbers of `bytes`. */
static ptrdiff_t padded_width(ptrdiff_t n, ptrdiff_t bytes) {
#ifdef SKGEN_ONE_LANE
    (void)bytes;
    return n;
#else
    return ROUND_UP(n, VECTOR_BYTES / bytes);
#endif
}

#endif

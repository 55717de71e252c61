/* Inner loops of k-means on one block of rows; kmeans_of.h holds them once per type.
 *
 * A row x is nearest to the center c with the largest score
 *
 *     s(x, c) = <x, c> - |c|^2 / 2,
 *
 * where x and c are taken about an origin near the data and multiplied by a power of two (exact), so
 * that the score neither cancels nor overflows. Every kernel adds up a score in the same order: start
 * at -|c|^2/2, then one multiply-add per feature. The score of a pair is therefore the same number in
 * every kernel, in any tile, with any width of vector, and labels cannot depend on the kernel. */
#ifndef SKGEN_KMEANS_H
#define SKGEN_KMEANS_H

#include "vector.h"
#include <float.h>
#include <stdlib.h>

/* Register tiles: 24 sums of 32 registers with AVX-512, 12 of 16 otherwise. */
#if defined(VECTOR_BYTES) && VECTOR_BYTES == 64
#  define POINT_VECTORS 4
#  define PANEL_ROWS 12
#else
#  define POINT_VECTORS 2
#  define PANEL_ROWS 6
#endif
#define POINT_CENTERS 6
/* Features of a row that lie together in a packed tile of rows. */
#define CHUNK 16
/* Rows handled together by the bounded kernel: at most this many, and about this many numbers. */
#define STRIP_ROWS 512
#define STRIP_NUMBERS 131072
/* Rows of mostly zeros: rows handled together, vectors of centers whose sums stay in registers, and how
 * much of the nearest cache their centers may fill. */
#define SKIP_ROWS 48
#define SKIP_VECTORS 8
#define SKIP_BYTES 24576

#if defined(__GNUC__)
#  define UNROLL _Pragma("GCC unroll 16")
#else
#  define UNROLL
#endif

/* What a block adds to the clusters: sums (k, d) of weight * (x - origin) * scale, weights and numbers
 * of members (k), and which clusters it touched. NULL sums: labels only. */
typedef struct {
    double *sums, *weights;
    int64_t *members;
    uint8_t *touched;
} tally;

#define REAL_IS_FLOAT
#include "kmeans_of.h"
#undef REAL_IS_FLOAT
#define REAL_IS_DOUBLE
#include "kmeans_of.h"
#undef REAL_IS_DOUBLE

enum {
    POINT_WIDTH = POINT_CENTERS,
#ifdef SKGEN_ONE_LANE
    FLOAT_LANES = 1, DOUBLE_LANES = 1
#else
    FLOAT_LANES = VECTOR_BYTES / 4, DOUBLE_LANES = VECTOR_BYTES / 8
#endif
};

#endif

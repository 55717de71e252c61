/* Losses of a linear model on one block of rows; linear_of.h holds the loops once per type.
 *
 * With z = x - origin and raw_k = <z, coef_k> + intercept_k a pass adds up
 *
 *     value     sum_i s_i loss(raw_i, y_i)
 *     gradient  sum_i r_ik (z_i, 1)                r = s d loss / d raw
 *     Hessian   sum_i c_ikl (z_i, 1) (z_i, 1)'     c = s d^2 loss / d raw_k d raw_l
 *
 * in one reading of X. A chunk of CHUNK rows stays in the nearest caches through three stages:
 *
 * - raw scores: a register tile of rows x classes, features in lanes, so that no lane is wasted
 *   on a number of classes that is no multiple of the vector; lanes are summed at the end of a row.
 * - the loss, rows in lanes, always in float64: its share is small, weights may have any scale, and
 *   the value is what line searches compare. The stage knows nothing of X: a new loss is one
 *   function of raw, target and weight.
 * - gradient: a register tile of classes x features, summed over the rows of the chunk.
 *
 * For the Hessian the rows times sqrt(c), with the 1 of the intercept behind them, are packed in
 * panels of PANEL_VECTORS vectors; the lower triangle of the sum of their outer products is made of
 * register tiles of LEFT features x PANEL_VECTORS vectors.
 *
 * float32 rows are summed in float32 within at most MOST_DEPTH rows and in float64 across; to keep
 * any scale of weights, residuals are divided by a power of two near the largest weight. */
#ifndef SKGEN_LINEAR_H
#define SKGEN_LINEAR_H

#include <stdlib.h>
#include "vector.h"

#define CHUNK 64       /* rows of a chunk, a multiple of any number of lanes */
#define MOST_DEPTH 256 /* packed rows of one sum of outer products, a multiple of CHUNK */
#define PACKED_BYTES 1048576
#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#define TRIANGLE(n) ((n) * ((n) + 1) / 2)

/* Sums of a register tile: at most 24 of 32 registers with AVX-512, 12 of 16 otherwise. */
#if defined(VECTOR_BYTES) && VECTOR_BYTES == 64
#  define ROWS_AT_ONCE 4
#  define CLASSES_AT_ONCE 6
#  define GRADIENT_VECTORS 4
#elif defined(SKGEN_ONE_LANE)
#  define ROWS_AT_ONCE 1
#  define CLASSES_AT_ONCE 6
#  define GRADIENT_VECTORS 2
#else
#  define ROWS_AT_ONCE 2
#  define CLASSES_AT_ONCE 5
#  define GRADIENT_VECTORS 2
#endif

#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 16")
#  define PREFETCH(p) __builtin_prefetch(p)
#else
#  define UNROLL
#  define PREFETCH(p) ((void)(p))
#endif

static void *allocate(size_t bytes) {
#if defined(__GNUC__) && !defined(_WIN32)
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes + 64)) return NULL;
#else
    void *p = malloc(bytes + 64);
    if (!p) return NULL;
#endif
    memset(p, 0, bytes + 64);
    return p;
}

/* Double first: losses are computed in double for both types. */
#define REAL_IS_DOUBLE
#include "linear_of.h"
#undef REAL_IS_DOUBLE
#define REAL_IS_FLOAT
#include "linear_of.h"
#undef REAL_IS_FLOAT

#endif

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
#define SCORE_VECTORS 32 /* vectors of coefficients that stay in L1 while rows pass by */
#define PACKED_BYTES 1048576
#define FEW_BYTES 512  /* of a packed row; of rows so short a chunk is packed at a time */
#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#define TRIANGLE(n) ((n) * ((n) + 1) / 2)

/* Sums of a register tile: at most 24 of 32 registers with AVX-512, 10 of 16 otherwise. Many classes
 * share a row, or few classes share several. */
#if defined(VECTOR_BYTES) && VECTOR_BYTES == 64
#  define CLASSES_AT_ONCE 12
#  define SIDE_BY_SIDE(classes) ((classes) == 1 ? 8 : (classes) <= 6 ? 4 : 2)
#  define MOST_SIDE_BY_SIDE 8
#elif defined(SKGEN_ONE_LANE)
#  define CLASSES_AT_ONCE 5
#  define SIDE_BY_SIDE(classes) 1
#  define MOST_SIDE_BY_SIDE 1
#else
#  define CLASSES_AT_ONCE 5
#  define SIDE_BY_SIDE(classes) 2
#  define MOST_SIDE_BY_SIDE 2
#endif

#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 16")
/* Counting a loop takes turns from the multiply-adds of its tile. */
#  define UNROLL_4 _Pragma("GCC unroll 4")
#  define PREFETCH(p) __builtin_prefetch(p)
#  define NEVER_INLINE __attribute__((noinline))
#else
#  define UNROLL
#  define UNROLL_4
#  define NEVER_INLINE
#  define PREFETCH(p) ((void)(p))
#endif

/* The compiler loads a vector once and not at every use. */
#if defined(__GNUC__) && !defined(SKGEN_PLAIN) && defined(__x86_64__)
#  define KEEP(vector) __asm__("" : "+v"(vector))
#else
#  define KEEP(vector) ((void)0)
#endif

/* f(.., classes) for each number of classes a tile may have, which the compiler must know. */
#define EACH_COUNT(count, f, ...)                                             \
    switch (count) {                                                          \
    case 1: f(__VA_ARGS__, 1); break;                                         \
    case 2: f(__VA_ARGS__, 2); break;                                         \
    case 3: f(__VA_ARGS__, 3); break;                                         \
    case 4: f(__VA_ARGS__, 4); break;                                         \
    case 5: f(__VA_ARGS__, 5); break;                                         \
    MORE_COUNTS(f, __VA_ARGS__)                                               \
    }
#if CLASSES_AT_ONCE == 12
#  define MORE_COUNTS(f, ...)                                                 \
    case 6: f(__VA_ARGS__, 6); break;                                         \
    case 7: f(__VA_ARGS__, 7); break;                                         \
    case 8: f(__VA_ARGS__, 8); break;                                         \
    case 9: f(__VA_ARGS__, 9); break;                                         \
    case 10: f(__VA_ARGS__, 10); break;                                       \
    case 11: f(__VA_ARGS__, 11); break;                                       \
    case 12: f(__VA_ARGS__, 12); break;
#else
#  define MORE_COUNTS(f, ...)
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

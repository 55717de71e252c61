/* Gaussian mixtures on one block of rows: log joint density, responsibilities, moments.
 *
 * The work is the density: with y = (x - mean) P per row and component it costs d (d + 1) / 2
 * multiply-adds, the moments only cost something for the few components that share a row.
 *
 * - Points lie in vector lanes. A group of GROUP rows is transposed once into x[d][GROUP], which
 *   stays in L1 while all components pass over it. A register tile of TILE_OUTPUTS x GROUP_VECTORS
 *   values of y runs down the triangle of P without touching its zeros.
 * - Log joint densities are kept for a chunk of rows, [k][chunk], and become responsibilities in
 *   place; no array of n x k exists.
 * - A responsibility below 1e-20 times the largest of its row counts as zero. The
 *   rows left to a component are packed as sqrt(r) (x - mean), and their outer products are summed
 *   in a register tile, features in lanes. For few features points stay in lanes there too.
 * - float32 input is summed in float32 inside a chunk and in float64 across chunks.
 *   The mean is split into a float32 number and a remainder, which enters y as a constant, so
 *   clusters far from zero lose nothing.
 *
 * Expanding the square into products of features with a matrix product was rejected: it cancels
 * for tight clusters away from the center. */
#ifndef SKGEN_GAUSSIAN_H
#define SKGEN_GAUSSIAN_H

#include <stdlib.h>
#include "vector.h"

enum { FULL, TIED, DIAGONAL, SPHERICAL };
enum { WRITE_LOG_JOINT, WRITE_RESPONSIBILITIES, WRITE_NOTHING };

#define HEADER 16 /* structure, k, d; whole cache lines so that what follows stays aligned */
#define PAD 16    /* rows of a model's matrices are padded to this, whatever the SIMD level */
#define FEW_FEATURES 8
#define MOST_AT_ONCE 5 /* features whose moments with all before them fit into registers */
#define MOST_ROWS_STAGED 48
#define ROUND_UP(n, m) (((n) + (m) - 1) / (m) * (m))
#define TRIANGLE(d) ((d) * ((d) + 1) / 2)

#if defined(SKGEN_ONE_LANE) || VECTOR_BYTES == 64
#  define GROUP_VECTORS 4
#else
#  define GROUP_VECTORS 2
#endif
#define TILE_OUTPUTS 6
#define COMPONENTS_AT_ONCE 4
#define PAIR 2
#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  define UNROLL _Pragma("GCC unroll 16")
#  define PREFETCH(p) __builtin_prefetch(p)
#else
#  define UNROLL
#  define PREFETCH(p) ((void)(p))
#endif
#if defined(__has_builtin) && !defined(SKGEN_ONE_LANE)
#  if __has_builtin(__builtin_shufflevector)
#    define HAVE_SHUFFLE
#  endif
#endif

#define FEWEST_ROWS_SCREENED 512
#define FEATURES_AT_ONCE 8 /* a step of a screen that has no triangle */
#define SCREEN_CUT 46.06   /* a little more than -log(1e-20) */

/* A float32 copy of a float64 model that bounds log joint densities from above. */
typedef struct {
    int structure;
    ptrdiff_t k, d, width, end; /* features before `end` count */
    const double *center;       /* [d] */
    float *zeros;               /* [width] */
    float *constant;            /* [k] rounded up */
    float *error, *mean_error;  /* [k] see screen_component */
    float *means;               /* [k][width] full: mean - center; else that times scale */
    float *scale;               /* full: [k][triangle] in tile order; else [k][width] */
} Screen;

static ptrdiff_t screen_group(void);
static void screen_rows_float(const Screen *s, const double *X, ptrdiff_t stride, ptrdiff_t rows,
                              float *work, float *upper, ptrdiff_t upper_stride, int *leader);
static ptrdiff_t list_survivors_float(const float *upper, const float *threshold, ptrdiff_t rows,
                                      int *list);

/* Double first: scatter of float sums in double. */
#define REAL_IS_DOUBLE
#include "gaussian_of.h"
#undef REAL_IS_DOUBLE
#define REAL_IS_FLOAT
#include "gaussian_of.h"
#undef REAL_IS_FLOAT

#endif

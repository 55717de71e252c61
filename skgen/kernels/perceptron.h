/* Visits of a perceptron to shuffled rows; perceptron_of.h holds them once per type.
 *
 * A learner is one linear function f(x) = scale * <vector, x> + intercept in float64. A visit to a row
 * with sign y = +-1 counts a mistake where not y f(x) > 0 and then moves the function:
 *
 *     scale  *= shrink                               L2 shrinks every weight at every visit
 *     vector += eta * weight * y * x / scale         only after a mistake
 *     truncation where x is not zero                 L1, by the penalty accumulated so far
 *
 * Averages need no work at rows without mistakes (Collins 2002; Bottou 2012): with a(t) the sum of the
 * scales up to visit t and u = sum of a(t - 1) * change of the vector at visit t,
 *
 *     sum over visits of scale * vector = a * vector - u.
 *
 * The accumulated L1 penalty is that of Tsuruoka, Tsujii and Ananiadou (2009). */
#ifndef SKGEN_PERCEPTRON_H
#define SKGEN_PERCEPTRON_H

#include "vector.h"
#include <float.h>

/* How rows lie in memory. */
enum { DENSE, CSR_NARROW, CSR_WIDE };
/* What a visit does besides correcting mistakes. */
enum { FREE, SHRINKING, TRUNCATING };

/* Below this the scale is multiplied into the vector: averages are differences of numbers that its
 * inverse makes larger, and lose as many digits. */
#define SMALLEST_SCALE 1e-4
/* Bytes of rows that are fetched before their turn: rows in random order, 1e6 x 50, take 57 ns each
 * with so many and 78 ns with a third. */
#define BYTES_AHEAD 12288
/* Rows, where they are of unequal length. */
#define ROWS_AHEAD 20

/* What is known of one learner besides its vector; all of it continues from call to call. */
typedef struct {
    double intercept, scale;
    /* Averages: a, number of visits, and u of the intercept. */
    double area, visits, intercept_sum;
    /* Visits so far plus one; L1 penalty due so far. */
    double time, due;
    /* Squared and absolute norms of scale * vector as of the last update. */
    double square, absolute;
    /* Share-weighted sums over the visits: loss, and penalty before the visit. */
    double loss, penalty;
    /* Mistakes; values f(x) that were not finite. */
    double mistakes, overflows;
    /* Visits since the last mistake, and the most there have been between two. */
    double run, longest;
} learner;

enum { LEARNER_SIZE = sizeof(learner) / sizeof(double) };

/* Everything one call works on. weight and share may be NULL for ones. gain (n_learners, 2) multiplies
 * the step at rows of negative and of positive sign; for the multiclass rule the second is the class's. */
typedef struct {
    const void *data, *indices, *indptr;
    ptrdiff_t d;
    int storage;
    const int32_t *order, *target;
    const double *weight, *share;
    ptrdiff_t begin, end;
    const int32_t *active;
    ptrdiff_t n_active;
    const int32_t *positive;
    const double *gain;
    double *vector, *sums, *paid;
    learner *state;
    double eta, shrink, pull, ridge, lasso, average;
    int fit_intercept, penalty, pocket;
} lesson;

/* Into the second cache: 5 % faster than into the first, which has too few requests under way. */
#if defined(__GNUC__)
#  define FETCH(p) __builtin_prefetch(p, 0, 2)
#else
#  define FETCH(p) ((void)(p))
#endif

INLINE uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Every order equally likely but for 2^-33 n (Fisher and Yates); multiplying replaces the division. */
static void shuffle_order(int32_t *order, ptrdiff_t n, uint64_t *state) {
    for (ptrdiff_t i = n - 1; i > 0; i--) {
        ptrdiff_t j = (ptrdiff_t)(((next_random(state) >> 32) * (uint64_t)(i + 1)) >> 32);
        int32_t moved = order[i];
        order[i] = order[j];
        order[j] = moved;
    }
}

INLINE ptrdiff_t entry(const void *index, ptrdiff_t j, const int storage) {
    if (storage == DENSE) return j;
    return storage == CSR_NARROW ? (ptrdiff_t)((const int32_t *)index)[j]
                                 : (ptrdiff_t)((const int64_t *)index)[j];
}

/* Multiply the scale into the vector, and into the average what it has counted so far. */
static void fold(learner *one, double *vector, double *sums, ptrdiff_t d) {
    for (ptrdiff_t j = 0; sums && j < d; j++) sums[j] -= one->area * vector[j];
    for (ptrdiff_t j = 0; j < d; j++) vector[j] *= one->scale;
    one->area = 0;
    one->scale = 1;
}

/* What L1 leaves of a weight w = scale * v: |w| less the penalty due, which w has paid in part. Without
 * branches, because signs are unpredictable. */
INLINE double truncated(double v, double scale, double inverse, double due, double *paid) {
    double open = due + (v < 0 ? -*paid : *paid);
    double left = fabs(v) - (open > 0 ? open : 0) * inverse;
    left = copysign(left > 0 ? left : 0, v) + 0.0;
    *paid += scale * (left - v);
    return left;
}

#define REAL_IS_FLOAT
#include "perceptron_of.h"
#undef REAL_IS_FLOAT
#define REAL_IS_DOUBLE
#include "perceptron_of.h"
#undef REAL_IS_DOUBLE

#endif

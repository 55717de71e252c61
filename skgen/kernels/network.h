/* Minibatch training of multilayer perceptrons: what does not depend on the type of the numbers.
 *
 * Threads share a step by columns: units of a layer belong to one thread, which computes their sums
 * for all rows of the batch, and the weights that enter (first layer) or leave them (other layers).
 * Every number is a sum in one fixed order, whoever adds it up, so results do not depend on how many
 * threads there are. */
#ifndef SKGEN_NETWORK_H
#define SKGEN_NETWORK_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "vector.h"

#if defined(__x86_64__) || defined(__i386__)
#  define RELAX() __builtin_ia32_pause()
#else
#  define RELAX() ((void)0)
#endif
#if defined(_WIN32)
#  include <windows.h>
#  define YIELD() SwitchToThread()
INLINE double seconds(void) { return 1e-3 * (double)GetTickCount64(); }
#else
#  include <sched.h>
#  include <time.h>
#  define YIELD() sched_yield()
INLINE double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
#endif

enum { IDENTITY, LOGISTIC, TANH, RELU, LEAKY_RELU, ELU, GELU, SOFTPLUS, PRELU, MAXOUT };
enum { CATEGORICAL, BINARY, SQUARED, ABSOLUTE, HUBER, QUANTILE, POISSON, GAUSSIAN };
enum { RULE_SGD, RULE_MOMENTUM, RULE_NESTEROV, RULE_ADAGRAD, RULE_RMSPROP, RULE_ADAM, RULE_ADAMW };

/* Looks at a barrier before the processor is given to others. */
#define SPINS 4000
#define VARIANCE_FLOOR 1e-5
#define KEPT 0.9
#define MAX_LAYERS 64
#define MAX_THREADS 64

typedef struct {
    ptrdiff_t n_in, n_units, pieces;
    int activation, batch_norm, drops;
    double number, keep; /* keep: 1 / (1 - share that drops out) */
    uint64_t threshold;
    /* Places in w: coef, intercept, slope, scale, mean, variance; -1 where there is none. */
    ptrdiff_t place[6];
    /* Units rounded up to whole vectors, sums of all pieces, panels of units. */
    ptrdiff_t width, sums, panels;
    /* From row to row of the buffers of sums and of units. */
    ptrdiff_t row, unit_row;
    /* Places in the padded parameters, in the order above, and in the turned weights. */
    ptrdiff_t at[6], turned, n_turned;
    /* Buffers of b rows: outputs, their slopes, sums (later gradients by outputs), gradients by
     * sums, normed sums, something more of prelu and maxout; and inverse deviations. */
    ptrdiff_t a, slope, z, delta, normed, extra, inverse;
    ptrdiff_t first_part, n_parts; /* places in `parts` */
} net_layer;

enum { COEF, INTERCEPT, SLOPE, SCALE, MEAN, VARIANCE };

typedef struct {
    int kind;
    ptrdiff_t start, n_raw, target;
    double weight, number;
} net_head;

typedef struct {
    int n_layers, n_heads, rule;
    net_layer layers[MAX_LAYERS];
    net_head *heads;
    double numbers[4];
    double l2, l1, decay, longest, max_norm;
    uint64_t seed;
    ptrdiff_t batch_size, padded, n_memories, n_targets;
    int has_pace;
    /* Buffers, of the type that is trained in. */
    void *params, *memory, *turned, *work, *gradient;
    const void **rows;   /* a pointer per row of the batch and layer */
    double *losses;      /* by row */
    double *parts;       /* sums over pieces of the weights: penalties, squares of the gradient */
    double *shares;      /* weights of the rows over their sum */
    double pace;
    /* Where most cells of X are zero: those of the batch that are not, in lists by row, n_columns
     * apart, in which blocks of columns begin at `starts`, and in lists by column, column_length
     * apart, which end at `ends`. */
    int lists;
    ptrdiff_t n_columns, n_blocks, column_length;
    void *row_cells, *column_cells;
    uint32_t *row_starts, *column_ends;
} net_team;

/* One stretch of updates. */
typedef struct {
    const void *X, *target;
    const double *weight;
    const void *data;       /* CSR: values, columns and starts of the rows */
    const void *indices, *indptr;
    int long_indices, sparse;
    ptrdiff_t n_features;
    const ptrdiff_t *order;
    ptrdiff_t n_rows, n_steps;
    const double *rates;
    ptrdiff_t n_updates;
    double total;
    int n_threads;
    /* Barrier, and the list that helpers sign. */
    int arrived, phase, joined, closed;
    /* Seconds in all, and those each thread has waited beyond spinning. */
    double elapsed, waited[MAX_THREADS];
} net_job;

/* Wait until all threads of the job are here. */
INLINE void wait_for_all(net_job *job, int rank) {
    if (job->n_threads == 1) return;
    const int phase = __atomic_load_n(&job->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&job->arrived, 1, __ATOMIC_ACQ_REL) == job->n_threads) {
        __atomic_store_n(&job->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&job->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spin = 0; spin < SPINS; spin++) {
        if (__atomic_load_n(&job->phase, __ATOMIC_ACQUIRE) != phase) return;
        RELAX();
    }
    const double start = seconds();
    while (__atomic_load_n(&job->phase, __ATOMIC_ACQUIRE) == phase) YIELD();
    job->waited[rank] += seconds() - start;
}

#define ABANDONED 2

/* Send away whoever has signed: there will be no training. */
static void abandon(net_job *job) {
    __atomic_store_n(&job->joined, -1, __ATOMIC_RELEASE);
    __atomic_store_n(&job->closed, ABANDONED, __ATOMIC_RELEASE);
}

/* A helper's number in the job, or -1 where it came too late. */
static int sign_up(net_job *job) {
    int seen = __atomic_load_n(&job->joined, __ATOMIC_ACQUIRE);
    while (seen > 0)
        if (__atomic_compare_exchange_n(&job->joined, &seen, seen + 1, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            int closed = 0;
            for (int spin = 0; !closed; spin++) {
                if (spin < SPINS) RELAX();
                else YIELD();
                closed = __atomic_load_n(&job->closed, __ATOMIC_ACQUIRE);
            }
            return closed == ABANDONED ? -1 : seen;
        }
    return -1;
}

/* Close the list, on which at most `wanted` names stand, after half a millisecond: a thread that
 * sleeps needs a tenth of that to come, on a virtual machine all of it. */
static void close_list(net_job *job, int wanted) {
    const double start = seconds();
    while (__atomic_load_n(&job->joined, __ATOMIC_ACQUIRE) < wanted && seconds() - start < 5e-4)
        RELAX();
    /* From now on the list is negative: nobody signs any more. */
    int seen = __atomic_load_n(&job->joined, __ATOMIC_ACQUIRE);
    while (!__atomic_compare_exchange_n(&job->joined, &seen, -seen, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
    }
    job->n_threads = seen;
    __atomic_store_n(&job->closed, 1, __ATOMIC_RELEASE);
}

INLINE uint64_t mix(uint64_t z) {
    z ^= z >> 30;
    z *= 0xBF58476D1CE4E5B9u;
    z ^= z >> 27;
    z *= 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}
#define GOLDEN 0x9E3779B97F4A7C15u

INLINE ptrdiff_t smaller_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

#if defined(__GNUC__)
#  define UNROLL _Pragma("GCC unroll 16")
#  define PREFETCH(place) __builtin_prefetch(place)
#else
#  define UNROLL
#  define PREFETCH(place) ((void)(place))
#endif

/* Rows of a register tile of two vectors. */
#if defined(__AVX512F__) && defined(__AVX512VL__)
#  include <immintrin.h>
#  define COMPRESSES
#endif

#if !defined(VECTOR_BYTES) || VECTOR_BYTES == 64
#  define TILE_ROWS 8
#else
#  define TILE_ROWS 6
#endif

#define REAL_IS_FLOAT
#include "network_of.h"
#undef REAL_IS_FLOAT
#define REAL_IS_DOUBLE
#include "network_of.h"
#undef REAL_IS_DOUBLE

#endif

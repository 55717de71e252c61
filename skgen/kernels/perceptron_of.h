/* The perceptron for one type of X; see perceptron.h. Weights are double whatever X is. */
#include "vector_of.h"

#undef WIDE_LANES
#ifdef SKGEN_ONE_LANE
#  define WIDE_LANES 1
INLINE double T(widened)(const REAL *x) { return *x; }
#else
#  define WIDE_LANES ((int)(VECTOR_BYTES / sizeof(double)))
#  ifdef REAL_IS_DOUBLE
INLINE double_vector T(widened)(const REAL *x) { return *(const double_loose *)x; }
#  else
typedef float half_vector
    __attribute__((vector_size(VECTOR_BYTES / 2), aligned(4), may_alias));
INLINE double_vector T(widened)(const REAL *x) {
    return __builtin_convertvector(*(const half_vector *)x, double_vector);
}
#  endif
#endif

typedef struct {
    const REAL *x;
    const void *index;
    ptrdiff_t m;
} T(row);

INLINE T(row) T(row_at)(const lesson *p, ptrdiff_t i, const int storage) {
    T(row) row;
    if (storage == DENSE) {
        row.x = (const REAL *)p->data + i * p->d;
        row.index = NULL;
        row.m = p->d;
        return row;
    }
    ptrdiff_t first = entry(p->indptr, i, storage), last = entry(p->indptr, i + 1, storage);
    row.x = (const REAL *)p->data + first;
    row.index = (const char *)p->indices + first * (storage == CSR_NARROW ? 4 : 8);
    row.m = last - first;
    return row;
}

/* Ask the memory for a row, its target and its weights. */
INLINE void T(fetch_row)(const lesson *p, ptrdiff_t i, const int storage) {
    T(row) row = T(row_at)(p, i, storage);
    ptrdiff_t size = row.m * (ptrdiff_t)sizeof(REAL);
    if (size > BYTES_AHEAD) size = BYTES_AHEAD;
    for (ptrdiff_t at = 0; at < size; at += 64) FETCH((const char *)row.x + at);
    FETCH((const char *)row.x + size - 1);
    if (storage != DENSE) {
        size = row.m * (storage == CSR_NARROW ? 4 : 8);
        if (size > BYTES_AHEAD) size = BYTES_AHEAD;
        for (ptrdiff_t at = 0; at < size; at += 64) FETCH((const char *)row.index + at);
        FETCH((const char *)row.index + size - 1);
    }
    FETCH(p->target + i);
    if (p->weight) FETCH(p->weight + i);
    if (p->share) FETCH(p->share + i);
}

#ifndef SKGEN_ONE_LANE
/* All ones in the lanes that a vector ending at d has not seen yet. */
INLINE int64_vector T(rest)(ptrdiff_t d) {
    int64_vector mask;
    for (int i = 0; i < WIDE_LANES; i++) mask[i] = i >= WIDE_LANES - d % WIDE_LANES ? -1 : 0;
    return mask;
}
#endif

INLINE double T(dot_dense)(const REAL *x, const double *v, ptrdiff_t d) {
    ptrdiff_t j = 0;
    double total = 0;
#ifndef SKGEN_ONE_LANE
    if (d >= WIDE_LANES) {
        double_vector a = {0}, b = {0}, c = {0}, e = {0};
        for (; j + 4 * WIDE_LANES <= d; j += 4 * WIDE_LANES) {
            a += T(widened)(x + j) * *(const double_loose *)(v + j);
            b += T(widened)(x + j + WIDE_LANES) * *(const double_loose *)(v + j + WIDE_LANES);
            c += T(widened)(x + j + 2 * WIDE_LANES) * *(const double_loose *)(v + j + 2 * WIDE_LANES);
            e += T(widened)(x + j + 3 * WIDE_LANES) * *(const double_loose *)(v + j + 3 * WIDE_LANES);
        }
        for (; j + WIDE_LANES <= d; j += WIDE_LANES)
            a += T(widened)(x + j) * *(const double_loose *)(v + j);
        if (j < d) {
            int64_vector last = (int64_vector)T(widened)(x + d - WIDE_LANES) & T(rest)(d);
            b += (double_vector)last * *(const double_loose *)(v + d - WIDE_LANES);
        }
        a = (a + b) + (c + e);
        double lane[WIDE_LANES];
        *(double_loose *)lane = a;
        for (int half = WIDE_LANES / 2; half > 0; half /= 2)
            for (int i = 0; i < half; i++) lane[i] += lane[i + half];
        return lane[0];
    }
#endif
    for (; j < d; j++) total += (double)x[j] * v[j];
    return total;
}

INLINE double T(dot)(T(row) row, const double *v, const int storage) {
    if (storage == DENSE) return T(dot_dense)(row.x, v, row.m);
    double a = 0, b = 0, c = 0, e = 0;
    ptrdiff_t j = 0;
    for (; j + 4 <= row.m; j += 4) {
        a += (double)row.x[j] * v[entry(row.index, j, storage)];
        b += (double)row.x[j + 1] * v[entry(row.index, j + 1, storage)];
        c += (double)row.x[j + 2] * v[entry(row.index, j + 2, storage)];
        e += (double)row.x[j + 3] * v[entry(row.index, j + 3, storage)];
    }
    for (; j < row.m; j++) a += (double)row.x[j] * v[entry(row.index, j, storage)];
    return (a + b) + (c + e);
}

/* What the vector gained in squared and absolute norm. */
INLINE void T(add_norms)(learner *one, double square, double absolute) {
    one->square += square * one->scale * one->scale;
    one->absolute += absolute * one->scale;
    if (one->square < 0) one->square = 0;
    if (one->absolute < 0) one->absolute = 0;
}

/* v += step * x, and the norms along with it where a penalty needs them. */
INLINE void T(add_row)(T(row) row, double step, double *v, learner *one, const int storage,
                       const int penalty) {
    if (penalty == FREE) {
        for (ptrdiff_t j = 0; j < row.m; j++) v[entry(row.index, j, storage)] += step * row.x[j];
        return;
    }
    double square = 0, absolute = 0;
    for (ptrdiff_t j = 0; j < row.m; j++) {
        double *at = v + entry(row.index, j, storage), before = *at;
        *at += step * row.x[j];
        square += *at * *at - before * before;
        absolute += fabs(*at) - fabs(before);
    }
    T(add_norms)(one, square, absolute);
}

INLINE void T(add_to_sums)(T(row) row, double step, double *sums, const int storage) {
    for (ptrdiff_t j = 0; j < row.m; j++) sums[entry(row.index, j, storage)] += step * row.x[j];
}

/* One step of learner k along the row. */
INLINE void T(move)(const lesson *p, ptrdiff_t k, T(row) row, double step, learner *shared,
                    const int storage, const int penalty) {
    double *v = p->vector + k * p->d;
    learner *one = p->state + k;
    T(add_row)(row, step / shared->scale, v, shared, storage, penalty);
    if (p->sums && shared->area > 0)
        T(add_to_sums)(row, step / shared->scale * shared->area, p->sums + k * p->d, storage);
    if (p->fit_intercept) {
        one->intercept += step;
        one->intercept_sum += step * shared->visits;
    }
}

INLINE void T(truncate)(const lesson *p, ptrdiff_t k, T(row) row, learner *shared,
                        const int storage) {
    double *v = p->vector + k * p->d, *paid = p->paid + k * p->d;
    double square = 0, absolute = 0, inverse = 1 / shared->scale;
    for (ptrdiff_t j = 0; j < row.m; j++) {
        if (row.x[j] == 0) continue;
        ptrdiff_t at = entry(row.index, j, storage);
        double left = truncated(v[at], shared->scale, inverse, shared->due, paid + at);
        if (p->sums) p->sums[k * p->d + at] += shared->area * (left - v[at]);
        square += left * left - v[at] * v[at];
        absolute += fabs(left) - fabs(v[at]);
        v[at] = left;
    }
    T(add_norms)(shared, square, absolute);
}

/* The penalty's share of a visit before mistakes are corrected. */
INLINE void T(shrink)(const lesson *p, learner *one, ptrdiff_t k, ptrdiff_t count, double share) {
    one->penalty += share * (p->ridge * one->square + p->lasso * one->absolute);
    one->scale *= p->shrink;
    one->square *= p->shrink * p->shrink;
    one->absolute *= p->shrink;
    if (one->scale >= SMALLEST_SCALE) return;
    double area = one->area, scale = one->scale;
    for (ptrdiff_t c = k; c < k + count; c++) {
        one->area = area;
        one->scale = scale;
        fold(one, p->vector + c * p->d, p->sums ? p->sums + c * p->d : NULL, p->d);
    }
}

/* Time passes: averages count the function as it is now. */
INLINE void T(pass)(const lesson *p, learner *one) {
    if (p->sums && one->time >= p->average) {
        one->area += one->scale;
        one->visits += 1;
    }
    one->time += 1;
}

/* Learner k at row i; whether it stands before a mistake that ends its longest run (pocket). */
INLINE int T(visit)(const lesson *p, ptrdiff_t k, ptrdiff_t i, T(row) row, const int storage,
                    const int penalty) {
    learner *one = p->state + k;
    int sign = p->target[i] == p->positive[k];
    double f = one->scale * T(dot)(row, p->vector + k * p->d, storage) + one->intercept;
    double z = sign ? f : -f, share = p->share ? p->share[i] : 1.0;
    double step = p->eta * p->gain[2 * k + sign] * (p->weight ? p->weight[i] : 1.0);
    int right = z > 0, moves = !right && step > 0;
    if (p->pocket && moves && one->run > one->longest) return 1;
    /* A row of weight zero costs the objective, as it stands in the file, but is no mistake. */
    one->overflows += !(fabs(f) <= DBL_MAX);
    if (penalty != FREE) T(shrink)(p, one, k, 1, share);
    if (!right) one->loss -= share * z;
    if (moves) {
        one->mistakes += 1;
        one->run = 0;
        T(move)(p, k, row, sign ? step : -step, one, storage, penalty);
    } else {
        one->run += 1;
    }
    if (penalty == TRUNCATING) {
        one->due += p->pull;
        T(truncate)(p, k, row, one, storage);
    }
    T(pass)(p, one);
    return 0;
}

/* All classes at row i: the true one gains what the best wrong one loses. State 0 is shared. */
INLINE int T(visit_classes)(const lesson *p, ptrdiff_t i, T(row) row, const int storage,
                            const int penalty) {
    learner *shared = p->state;
    ptrdiff_t truth = p->target[i], rival = truth == 0 ? 1 : 0;
    double own = 0, best = -HUGE_VAL, share = p->share ? p->share[i] : 1.0;
    for (ptrdiff_t k = 0; k < p->n_active; k++) {
        double f = shared->scale * T(dot)(row, p->vector + k * p->d, storage)
                   + p->state[k].intercept;
        shared->overflows += !(fabs(f) <= DBL_MAX);
        if (k == truth) {
            own = f;
        } else if (f > best) {
            best = f;
            rival = k;
        }
    }
    double step = p->eta * p->gain[2 * truth + 1] * (p->weight ? p->weight[i] : 1.0);
    int right = own > best, moves = !right && step > 0;
    if (p->pocket && moves && shared->run > shared->longest) return 1;
    if (penalty != FREE) T(shrink)(p, shared, 0, p->n_active, share);
    if (!right) shared->loss += share * (best - own);
    if (moves) {
        shared->mistakes += 1;
        shared->run = 0;
        T(move)(p, truth, row, step, shared, storage, penalty);
        T(move)(p, rival, row, -step, shared, storage, penalty);
    } else {
        shared->run += 1;
    }
    if (penalty == TRUNCATING) {
        shared->due += p->pull;
        for (ptrdiff_t k = 0; k < p->n_active; k++) T(truncate)(p, k, row, shared, storage);
    }
    T(pass)(p, shared);
    return 0;
}

/* Rows order[begin..end) in turn; returns where it stopped. */
INLINE ptrdiff_t T(walk)(const lesson *p, const int storage, const int penalty,
                         const int multiclass) {
    ptrdiff_t width = p->d * (ptrdiff_t)sizeof(REAL);
    ptrdiff_t ahead = storage == DENSE ? 1 + BYTES_AHEAD / width : ROWS_AHEAD;
    for (ptrdiff_t t = p->begin; t < p->end; t++) {
        ptrdiff_t i = p->order[t];
        if (t + ahead < p->end) T(fetch_row)(p, p->order[t + ahead], storage);
        if (storage != DENSE && t + 2 * ahead < p->end) {
            ptrdiff_t later = p->order[t + 2 * ahead];
            FETCH((const char *)p->indptr + later * (storage == CSR_NARROW ? 4 : 8));
        }
        T(row) row = T(row_at)(p, i, storage);
        if (multiclass) {
            if (T(visit_classes)(p, i, row, storage, penalty)) return t;
        } else {
            for (ptrdiff_t a = 0; a < p->n_active; a++)
                if (T(visit)(p, p->active[a], i, row, storage, penalty)) return t;
        }
    }
    return p->end;
}

#define WALK(storage)                                                                        \
    (p->penalty == FREE        ? T(walk)(p, storage, FREE, multiclass)                       \
     : p->penalty == SHRINKING ? T(walk)(p, storage, SHRINKING, multiclass)                  \
                               : T(walk)(p, storage, TRUNCATING, multiclass))

INLINE ptrdiff_t T(walk_any)(const lesson *p, const int multiclass) {
    if (p->storage == DENSE) return WALK(DENSE);
    if (p->storage == CSR_NARROW) return WALK(CSR_NARROW);
    return WALK(CSR_WIDE);
}
#undef WALK

static ptrdiff_t T(walk_learners)(const lesson *p) { return T(walk_any)(p, 0); }
static ptrdiff_t T(walk_classes)(const lesson *p) { return T(walk_any)(p, 1); }

/* Whether rows a and b hold the same numbers, stored zeros left out. */
INLINE int T(same)(T(row) a, T(row) b, const int storage) {
    ptrdiff_t i = 0, j = 0;
    for (;;) {
        while (i < a.m && a.x[i] == 0) i++;
        while (j < b.m && b.x[j] == 0) j++;
        if (i == a.m || j == b.m) return i == a.m && j == b.m;
        if (a.x[i] != b.x[j] || entry(a.index, i, storage) != entry(b.index, j, storage)) return 0;
        i++;
        j++;
    }
}

static int T(same_rows)(const lesson *p, ptrdiff_t a, ptrdiff_t b) {
    if (p->target[a] != p->target[b]) return 0;
    if (p->storage == DENSE)
        return T(same)(T(row_at)(p, a, DENSE), T(row_at)(p, b, DENSE), DENSE);
    if (p->storage == CSR_NARROW)
        return T(same)(T(row_at)(p, a, CSR_NARROW), T(row_at)(p, b, CSR_NARROW), CSR_NARROW);
    return T(same)(T(row_at)(p, a, CSR_WIDE), T(row_at)(p, b, CSR_WIDE), CSR_WIDE);
}

/* Copy row order[t] of a matrix to place t of another; CSR pointers of the copy are there already. */
static void T(gather)(const lesson *p, ptrdiff_t begin, ptrdiff_t end, REAL *data, void *indices,
                      const void *indptr) {
    const int storage = p->storage, width = storage == CSR_NARROW ? 4 : 8;
    ptrdiff_t ahead = ROWS_AHEAD;
    for (ptrdiff_t t = begin; t < end; t++) {
        if (t + ahead < end) T(fetch_row)(p, p->order[t + ahead], storage);
        T(row) row = T(row_at)(p, p->order[t], storage);
        ptrdiff_t at = storage == DENSE ? t * p->d : entry(indptr, t, storage);
        memcpy(data + at, row.x, row.m * sizeof(REAL));
        if (storage != DENSE) memcpy((char *)indices + at * width, row.index, row.m * width);
    }
}

/* Small symmetric systems, one per row, with rows in vector lanes.
 *
 * Every number of a system is a vector of that number of LANES rows, so factoring, solving and inverting
 * them takes no shuffles and no branches, whatever their size. */
#ifndef SKGEN_POSTERIOR_H
#define SKGEN_POSTERIOR_H

#include <stdlib.h>

#define REAL_IS_DOUBLE
#include "vector_of.h"

#define TRIANGLE(i) ((i) * ((i) + 1) / 2)
/* A pivot is at least 1, and no more than the largest double to the power 1 / 8. */
#define PIVOTS_PER_LOG 4

/* L L' = M in place, [i (i + 1) / 2 + j]; the diagonal of L is inverted. Adds log |M| of every lane. */
static void factor(VEC *m, ptrdiff_t q, double *log_determinant) {
    VEC product = T(splat)(1);
    double lanes[LANES];
    for (ptrdiff_t i = 0; i < q; i++) {
        VEC *row = m + TRIANGLE(i);
        for (ptrdiff_t j = 0; j < i; j++) {
            const VEC *other = m + TRIANGLE(j);
            VEC sum = row[j];
            for (ptrdiff_t k = 0; k < j; k++) sum -= row[k] * other[k];
            row[j] = sum * other[j];
        }
        VEC pivot = row[i];
        for (ptrdiff_t k = 0; k < i; k++) pivot -= row[k] * row[k];
        product *= pivot;
        T(store)(lanes, pivot);
        for (int l = 0; l < LANES; l++) lanes[l] = 1 / sqrt(lanes[l]);
        row[i] = T(load)(lanes);
        if (i % PIVOTS_PER_LOG == PIVOTS_PER_LOG - 1 || i == q - 1) {
            T(store)(lanes, product);
            for (int l = 0; l < LANES; l++) log_determinant[l] += log(lanes[l]);
            product = T(splat)(1);
        }
    }
}

/* b = M^-1 b from the factor. */
static void solve(const VEC *l, ptrdiff_t q, VEC *b) {
    for (ptrdiff_t i = 0; i < q; i++) {
        VEC sum = b[i];
        for (ptrdiff_t k = 0; k < i; k++) sum -= l[TRIANGLE(i) + k] * b[k];
        b[i] = sum * l[TRIANGLE(i) + i];
    }
    for (ptrdiff_t i = q - 1; i >= 0; i--) {
        VEC sum = b[i];
        for (ptrdiff_t k = i + 1; k < q; k++) sum -= l[TRIANGLE(k) + i] * b[k];
        b[i] = sum * l[TRIANGLE(i) + i];
    }
}

/* M^-1 in the place of the factor. */
static void invert(VEC *l, ptrdiff_t q) {
    /* L^-1, column by column from the end. */
    for (ptrdiff_t j = 0; j < q; j++)
        for (ptrdiff_t i = j + 1; i < q; i++) {
            VEC sum = l[TRIANGLE(i) + j] * l[TRIANGLE(j) + j];
            for (ptrdiff_t k = j + 1; k < i; k++) sum += l[TRIANGLE(i) + k] * l[TRIANGLE(k) + j];
            l[TRIANGLE(i) + j] = -sum * l[TRIANGLE(i) + i];
        }
    /* (L^-1)' L^-1, of which row i needs rows from i on. */
    for (ptrdiff_t i = 0; i < q; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            VEC sum = T(splat)(0);
            for (ptrdiff_t k = i; k < q; k++) sum += l[TRIANGLE(k) + i] * l[TRIANGLE(k) + j];
            l[TRIANGLE(i) + j] = sum;
        }
}

/* matrices [q (q + 1) / 2][n] become inverses, vectors [q][n] solutions; log_determinant [n]. Returns 0
 * when memory is short. */
static int posterior(double *matrices, double *vectors, ptrdiff_t n, ptrdiff_t q,
                     double *log_determinant) {
    const ptrdiff_t size = TRIANGLE(q);
    void *memory = malloc((size_t)((size + q) * LANES) * sizeof(double) + 64);
    if (!memory) return 0;
    VEC *m = (VEC *)(((uintptr_t)memory + 63) & ~(uintptr_t)63), *b = m + size;
    for (ptrdiff_t start = 0; start < n; start += LANES) {
        const int rows = n - start < LANES ? (int)(n - start) : LANES;
        double lanes[LANES], logs[LANES];
        for (int l = 0; l < LANES; l++) lanes[l] = logs[l] = 0;
        for (ptrdiff_t i = 0; i < size + q; i++) {
            const double *from = i < size ? matrices + i * n : vectors + (i - size) * n;
            if (rows == LANES) {
                m[i] = T(load)(from + start);
                continue;
            }
            for (int l = 0; l < rows; l++) lanes[l] = from[start + l];
            m[i] = T(load)(lanes);
        }
        if (rows < LANES) /* lanes without a row hold the identity */
            for (ptrdiff_t i = 0; i < q; i++) {
                T(store)(lanes, m[TRIANGLE(i) + i]);
                for (int l = rows; l < LANES; l++) lanes[l] = 1;
                m[TRIANGLE(i) + i] = T(load)(lanes);
            }
        factor(m, q, logs);
        solve(m, q, b);
        invert(m, q);
        for (ptrdiff_t i = 0; i < size + q; i++) {
            double *to = i < size ? matrices + i * n : vectors + (i - size) * n;
            if (rows == LANES) {
                T(store)(to + start, m[i]);
                continue;
            }
            T(store)(lanes, m[i]);
            for (int l = 0; l < rows; l++) to[start + l] = lanes[l];
        }
        for (int l = 0; l < rows; l++) log_determinant[start + l] = logs[l];
    }
    free(memory);
    return 1;
}

#endif

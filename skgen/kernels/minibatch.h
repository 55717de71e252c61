/* Scores and gradients of a minibatch of a linear model; minibatch_of.h holds them once per type. */
#ifndef SKGEN_MINIBATCH_H
#define SKGEN_MINIBATCH_H

#include "update_rules.h"

/* Rows whose gradients are added up in the type of X before they join the sum in double. */
#define FEW_ROWS 256

#define REAL_IS_FLOAT
#include "minibatch_of.h"
#undef REAL_IS_FLOAT
#define REAL_IS_DOUBLE
#include "minibatch_of.h"
#undef REAL_IS_DOUBLE

/* Turn the scores of a row into the slopes of its loss, times `scale`; return the loss. */
static double softmax_slopes(double *raw, ptrdiff_t k, int target, double inverse_T, double scale) {
    double largest = raw[0], total = 0.0;
    for (ptrdiff_t c = 1; c < k; c++) largest = raw[c] > largest ? raw[c] : largest;
    const double own = (raw[target] - largest) * inverse_T;
    for (ptrdiff_t c = 0; c < k; c++) total += raw[c] = exp((raw[c] - largest) * inverse_T);
    for (ptrdiff_t c = 0; c < k; c++) raw[c] *= scale / total;
    raw[target] -= scale;
    return log(total) - own;
}

#endif

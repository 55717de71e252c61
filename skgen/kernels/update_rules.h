/* One step of an update rule; skgen/solvers/update_rules.py has the formulas.
 *
 * Each step ends with the proximal map of l1 |w| scaled by how far a lasting gradient of one moves the
 * coordinate. `memory` is what the rule's begin() makes, `t` counts updates from one. */
#ifndef SKGEN_UPDATE_RULES_H
#define SKGEN_UPDATE_RULES_H

#include "vector.h"

enum { RULE_SGD, RULE_MOMENTUM, RULE_NESTEROV, RULE_ADAGRAD, RULE_RMSPROP, RULE_ADAM, RULE_ADAMW };

typedef struct {
    int rule;
    const double *numbers; /* the rule's fields in order */
    const double *l1;      /* (p), or NULL for none */
    const double *decay;   /* (p) for RULE_ADAMW */
    ptrdiff_t p;
} stepper;

/* w - clip(w, -threshold, threshold) */
INLINE double shrunk(double w, double threshold) {
    return w > threshold ? w - threshold : w < -threshold ? w + threshold : 0.0;
}

INLINE void shrink_all(const stepper *s, double *restrict w, double step) {
    if (s->l1)
        for (ptrdiff_t j = 0; j < s->p; j++) w[j] = shrunk(w[j], step * s->l1[j]);
}

INLINE void velocity_step(
    const stepper *s, double *restrict w, const double *restrict g, double *restrict velocity,
    double rate, int look_ahead) {
    const double m = s->numbers[0];
    for (ptrdiff_t j = 0; j < s->p; j++) {
        const double v = m * velocity[j] - rate * g[j];
        velocity[j] = v;
        w[j] += look_ahead ? m * v - rate * g[j] : v;
    }
    const double pace = velocity[s->p] = m * velocity[s->p] + rate;
    shrink_all(s, w, look_ahead ? m * pace + rate : pace);
}

/* Adagrad with keep = add = 1, RMSProp with keep = rho, add = 1 - rho. */
INLINE void root_step(
    const stepper *s, double *restrict w, const double *restrict g, double *restrict square,
    double rate, double keep, double add, double epsilon) {
    for (ptrdiff_t j = 0; j < s->p; j++) {
        square[j] = keep * square[j] + add * g[j] * g[j];
        const double scale = rate / (sqrt(square[j]) + epsilon);
        w[j] -= scale * g[j];
        if (s->l1) w[j] = shrunk(w[j], scale * s->l1[j]);
    }
}

INLINE void adam_step(
    const stepper *s, double *restrict w, const double *restrict g, double *restrict mean,
    double *restrict square, double rate, double t) {
    const double b1 = s->numbers[0], b2 = s->numbers[1];
    /* Divisions are most of a step. */
    const double grow = 1.0 / (1.0 - pow(b1, t)), grow_squares = 1.0 / (1.0 - pow(b2, t));
    /* The fourth number says whether epsilon is added before that correction. */
    const double epsilon = s->numbers[2] * (s->numbers[3] != 0.0 ? sqrt(grow_squares) : 1.0);
    if (s->rule == RULE_ADAMW)
        for (ptrdiff_t j = 0; j < s->p; j++) w[j] *= 1.0 - rate * s->decay[j];
    for (ptrdiff_t j = 0; j < s->p; j++) {
        mean[j] = b1 * mean[j] + (1.0 - b1) * g[j];
        square[j] = b2 * square[j] + (1.0 - b2) * g[j] * g[j];
        const double scale = rate / (sqrt(square[j] * grow_squares) + epsilon);
        w[j] -= scale * (mean[j] * grow);
        if (s->l1) w[j] = shrunk(w[j], scale * s->l1[j]);
    }
}

static void take_step(
    const stepper *s, double *restrict w, const double *restrict g, double *restrict memory,
    double rate, double t) {
    switch (s->rule) {
    case RULE_SGD:
        for (ptrdiff_t j = 0; j < s->p; j++) w[j] -= rate * g[j];
        shrink_all(s, w, rate);
        break;
    case RULE_MOMENTUM: velocity_step(s, w, g, memory, rate, 0); break;
    case RULE_NESTEROV: velocity_step(s, w, g, memory, rate, 1); break;
    case RULE_ADAGRAD: root_step(s, w, g, memory, rate, 1.0, 1.0, s->numbers[0]); break;
    case RULE_RMSPROP:
        root_step(s, w, g, memory, rate, s->numbers[0], 1.0 - s->numbers[0], s->numbers[1]);
        break;
    default: adam_step(s, w, g, memory, memory + s->p, rate, t);
    }
}

/* The sum of a[j] b[j] in eight running sums, in an order that no compiler changes. */
static double dot(const double *a, const double *b, ptrdiff_t p) {
    double part[8] = {0};
    ptrdiff_t j = 0;
    for (; j + 8 <= p; j += 8)
        for (int i = 0; i < 8; i++) part[i] += a[j + i] * b[j + i];
    for (; j < p; j++) part[j % 8] += a[j] * b[j];
    for (int half = 4; half > 0; half /= 2)
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    return part[0];
}

/* Shorten g to Euclidean norm `longest`, 0 for any length. */
static void clip_gradient(double *g, ptrdiff_t p, double longest) {
    const double length = longest > 0.0 ? sqrt(dot(g, g, p)) : 0.0;
    if (length > longest)
        for (ptrdiff_t j = 0; j < p; j++) g[j] *= longest / length;
}

#endif

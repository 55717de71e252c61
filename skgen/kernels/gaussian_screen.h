/* The float32 screen of the float64 expectation step; included by gaussian_of.h for each type.
 *
 * Most components of a row are far too unlikely to matter. Half the squared length q of
 * y = (x - mean) P is summed in float32, over the first features only where that is enough, and
 * its rounding error bounded: with e >= |error of y|, |y| >= sqrt(q) - e, hence
 *
 *     |y|^2 >= q - 2 e sqrt(q) >= q - e (q / 16 + 16).
 *
 * The component of the largest bound of each row is evaluated in float64, and what may lie above
 * 1e-20 of it is evaluated after. Everything else would have been taken as 0 anyway. A comparison
 * with NaN or with an overflown bound keeps the component. */

#ifdef REAL_IS_FLOAT

static ptrdiff_t screen_group(void) { return GROUP; }

/* work = [GROUP][d] rows, then x[d][GROUP] = rows - center; far[v] = the sum of |x - center|. */
static float *screen_points(const Screen *s, const double *X, ptrdiff_t stride, ptrdiff_t rows,
                            float *work, VEC far[GROUP_VECTORS]) {
    const ptrdiff_t d = s->end;
    float *x = work + ROUND_UP(GROUP * d, PAD);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t i = 0; i < d; i++) work[r * d + i] = (float)(X[r * stride + i] - s->center[i]);
    T(transpose)(work, rows, d, x);
    UNROLL for (int v = 0; v < GROUP_VECTORS; v++) far[v] = T(splat)(0);
    for (ptrdiff_t i = 0; i < d; i++)
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
            const VEC z = T(load)(x + i * GROUP + v * LANES);
            far[v] += T(larger)(z, T(splat)(0) - z);
        }
    return x;
}

/* q[c][v] for `count` components with a scale per feature. */
INLINE void screen_diagonal(const Screen *s, const float *x, ptrdiff_t component, const int count,
                            VEC q[COMPONENTS_AT_ONCE][GROUP_VECTORS]) {
    const float *means = s->means + component * s->width, *scale = s->scale + component * s->width;
    for (ptrdiff_t i = 0; i < s->end; i++) {
        VEC point[GROUP_VECTORS];
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++)
            point[v] = T(load)(x + i * GROUP + v * LANES);
        UNROLL for (int c = 0; c < count; c++)
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
                const VEC y = point[v] * T(splat)(scale[c * s->width + i])
                              - T(splat)(means[c * s->width + i]);
                q[c][v] += y * y;
            }
    }
}

INLINE void screen_components(const Screen *s, const float *x, const VEC far[GROUP_VECTORS],
                              ptrdiff_t component, const int count, float *upper,
                              ptrdiff_t upper_stride, VEC best[GROUP_VECTORS],
                              VEC leader[GROUP_VECTORS]) {
    VEC q[COMPONENTS_AT_ONCE][GROUP_VECTORS];
    const VEC keep = T(splat)(1 - (float)(s->d + 16) * 1.1920929e-7f), infinity = T(splat)(INFINITY);
    UNROLL for (int c = 0; c < count; c++)
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) q[c][v] = T(splat)(0);
    if (s->structure == FULL)
        T(distance_full)(x, s->means + component * s->width, s->zeros,
                         s->scale + component * TRIANGLE(s->d), s->d, s->end, q[0]);
    else
        screen_diagonal(s, x, component, count, q);
    UNROLL for (int c = 0; c < count; c++) {
        const VEC constant = T(splat)(s->constant[component + c]);
        const VEC error = T(splat)(s->error[component + c]);
        const VEC mean_error = T(splat)(s->mean_error[component + c]);
        const VEC index = T(splat)((float)(component + c));
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
            const VEC e = error * far[v] + mean_error;
            VEC bound = constant - q[c][v] * (keep - e * T(splat)(0.0626f)) + e * T(splat)(17.0f);
            bound = T(choose)(T(above)(q[c][v], T(splat)(1e30f)), infinity, bound);
            T(store)(upper + (component + c) * upper_stride + v * LANES, bound);
            const IVEC ahead = T(above)(bound, best[v]);
            best[v] = T(choose)(ahead, bound, best[v]);
            leader[v] = T(choose)(ahead, index, leader[v]);
        }
    }
}

/* upper[k][upper_stride]: bounds of GROUP rows; leader [GROUP]: the component of the largest. */
static void screen_rows_float(const Screen *s, const double *X, ptrdiff_t stride, ptrdiff_t rows,
                              float *work, float *upper, ptrdiff_t upper_stride, int *leader) {
    VEC far[GROUP_VECTORS], best[GROUP_VECTORS], index[GROUP_VECTORS];
    if (rows > GROUP) rows = GROUP;
    const float *x = screen_points(s, X, stride, rows, work, far);
    for (int v = 0; v < GROUP_VECTORS; v++) {
        best[v] = T(splat)(-INFINITY);
        index[v] = T(splat)(0);
    }
    ptrdiff_t c = 0;
    for (; s->structure != FULL && c + COMPONENTS_AT_ONCE <= s->k; c += COMPONENTS_AT_ONCE)
        screen_components(s, x, far, c, COMPONENTS_AT_ONCE, upper, upper_stride, best, index);
    for (; c < s->k; c++) screen_components(s, x, far, c, 1, upper, upper_stride, best, index);
    float indices[GROUP];
    for (int v = 0; v < GROUP_VECTORS; v++) T(store)(indices + v * LANES, index[v]);
    for (int r = 0; r < rows; r++) leader[r] = (int)indices[r];
}

/* The rows whose bound is not below their threshold. */
static ptrdiff_t list_survivors_float(const float *upper, const float *threshold, ptrdiff_t rows,
                                      int *list) {
    ptrdiff_t n = 0;
    for (ptrdiff_t at = 0; at < rows; at += LANES) {
        const ptrdiff_t end = at + LANES < rows ? at + LANES : rows;
        if (end == at + LANES) {
            uint64_t words[(LANES * 4 + 7) / 8] = {0}, all = ~(uint64_t)0;
            const IVEC below = T(above)(T(load)(threshold + at), T(load)(upper + at));
            memcpy(words, &below, sizeof below);
            if (LANES == 1) words[0] |= (uint64_t)0xffffffff << 32;
            UNROLL for (int i = 0; i < (LANES * 4 + 7) / 8; i++) all &= words[i];
            if (all == ~(uint64_t)0) continue;
        }
        for (ptrdiff_t i = at; i < end; i++) {
            list[n] = (int)i;
            n += !(upper[i] < threshold[i]);
        }
    }
    return n;
}

#else

/* What one row and component cost in the units of a plain float64 evaluation, as measured. */
static double screen_cost(const T(Model) *m, ptrdiff_t end, double survivors) {
    const double d = (double)m->d, e = (double)end;
    if (m->structure == FULL)
        return 0.5 * e * (e + 1) / (d * (d + 1)) + 6 / (d * d) * 8 + survivors * (1.1 + 8 / d);
    return (m->structure == DIAGONAL ? 0.45 : 0.65) * e / d + 4 / d + 3 * survivors;
}

/* A component in float32. With u = 2^-24 the error of y = (x - mean) P is at most
 *     (d + 4) u |P| (|x - center| + |mean - center|)
 * for full and 4 u max(scale) (...) for others; twice that leaves room for the rounding of the
 * bound itself. The sum of absolute values stands in for lengths: it cannot underflow. */
static void screen_component(const T(Model) *m, Screen *s, ptrdiff_t c, const double *center) {
    const ptrdiff_t d = m->d, width = m->width;
    const double *mean = m->means + c * width;
    double far = 0, size = 0;
    s->constant[c] = (float)(m->constant[c] + 1e-6 * fabs(m->constant[c]));
    if (m->structure == FULL) {
        const double *P = m->scale + c * TRIANGLE(d);
        float *out = s->scale + c * TRIANGLE(d);
        for (ptrdiff_t i = 0; i < TRIANGLE(d); i++) {
            out[i] = (float)P[i];
            size += P[i] * P[i];
        }
        size = sqrt(size) * (double)(d + 8);
    }
    for (ptrdiff_t i = 0; i < d; i++) {
        const double z = mean[i] - center[i];
        double inverse = 1;
        if (m->structure == DIAGONAL) inverse = m->scale[c * width + i];
        if (m->structure == SPHERICAL) inverse = sqrt(m->scale[c]);
        s->means[c * width + i] = (float)(z * inverse);
        if (m->structure != FULL) {
            s->scale[c * width + i] = (float)inverse;
            size = 8 * inverse > size || inverse != inverse ? 8 * inverse : size;
        }
        far += fabs(z);
    }
    s->error[c] = (float)(1.2e-7 * size);
    s->mean_error[c] = (float)(1.2e-7 * size * far);
}

/* Scratch of a screened step. */
typedef struct {
    Screen screen;
    ptrdiff_t chunk, stride;
    double *center, *value, *best, *sum; /* value [k][chunk] log joint densities, then shares */
    float *work, *upper, *threshold;
    int *leader, *list;                  /* list [k][stride] members of the components */
    ptrdiff_t *count;
    void *memory;
} Screening;

static int open_screening(Screening *g, const T(Model) *m) {
    const ptrdiff_t k = m->k, d = m->d, group = screen_group(), width = m->width;
    ptrdiff_t chunk = 65536 / k < 65536 / d ? 65536 / k : 65536 / d;
    chunk = ROUND_UP(chunk > 2048 ? 2048 : chunk < 512 ? 512 : chunk, group);
    g->chunk = chunk;
    g->stride = chunk + group;
    const ptrdiff_t of_scale = m->structure == FULL ? k * TRIANGLE(d) : k * width;
    const ptrdiff_t bytes[] = {8 * width, 8 * k * chunk, 8 * chunk, 8 * chunk,
                               4 * (2 * group * d + 2 * PAD), 4 * k * g->stride, 4 * g->stride,
                               4 * g->stride, 4 * k * g->stride, (ptrdiff_t)sizeof(ptrdiff_t) * k,
                               4 * width, 4 * k, 4 * k, 4 * k, 4 * k * width, 4 * of_scale};
    void **slots[] = {(void **)&g->center, (void **)&g->value, (void **)&g->best,
                      (void **)&g->sum, (void **)&g->work, (void **)&g->upper,
                      (void **)&g->threshold, (void **)&g->leader, (void **)&g->list,
                      (void **)&g->count, (void **)&g->screen.zeros,
                      (void **)&g->screen.constant, (void **)&g->screen.error,
                      (void **)&g->screen.mean_error, (void **)&g->screen.means,
                      (void **)&g->screen.scale};
    const int parts = (int)(sizeof bytes / sizeof *bytes);
    size_t total = 64;
    for (int i = 0; i < parts; i++) total += ROUND_UP((size_t)bytes[i], (size_t)64);
    g->memory = malloc(total);
    if (!g->memory) return 0;
    char *at = (char *)(((uintptr_t)g->memory + 63) & ~(uintptr_t)63);
    for (int i = 0; i < parts; i++) {
        *slots[i] = at;
        at += ROUND_UP((size_t)bytes[i], (size_t)64);
    }
    Screen *s = &g->screen;
    s->structure = m->structure;
    s->k = k;
    s->d = s->end = d;
    s->width = width;
    s->center = g->center;
    memset(s->zeros, 0, (size_t)(4 * width));
    memset(g->center, 0, (size_t)(8 * width));
    for (ptrdiff_t c = 0; c < k; c++)
        for (ptrdiff_t i = 0; i < d; i++) g->center[i] += m->means[c * width + i] / (double)k;
    for (ptrdiff_t c = 0; c < k; c++) screen_component(m, s, c, g->center);
    return 1;
}

/* How many features to look at: that of the lowest cost on a sample, 0 where no screen pays. */
static ptrdiff_t plan_screen(Screening *g, const T(Model) *m, const double *X, ptrdiff_t n) {
    const ptrdiff_t d = m->d, k = m->k, group = screen_group(), apart = n / group;
    const ptrdiff_t step = m->structure == FULL ? TILE_OUTPUTS : FEATURES_AT_ONCE;
    ptrdiff_t chosen = 0;
    double least = 0.92;
    for (ptrdiff_t end = d; end > 0; end -= step) {
        g->screen.end = end;
        screen_rows_float(&g->screen, X, apart * d, group, g->work, g->upper, g->stride,
                          g->leader);
        ptrdiff_t survivors = 0;
        for (ptrdiff_t r = 0; r < group; r++) {
            if (end == d) {
                const float most = g->upper[g->leader[r] * g->stride + r];
                g->threshold[r] = most - (float)SCREEN_CUT;
            }
            for (ptrdiff_t c = 0; c < k; c++)
                survivors += !(g->upper[c * g->stride + r] < g->threshold[r]);
        }
        const double share = (double)survivors / (double)(k * group);
        const double cost = screen_cost(m, end, share);
        if (cost < least) {
            least = cost;
            chosen = end;
        }
        /* Fewer features leave more survivors. */
        if (screen_cost(m, 0, share) >= least) break;
    }
    g->screen.end = chosen;
    return chosen;
}

/* value[a] = the log joint density of row list[a]; a triangle wants rows in lanes. */
static void listed_full(const T(Model) *m, T(Sums) *s, ptrdiff_t start, ptrdiff_t component,
                        const int *list, ptrdiff_t n, double *value, double *gathered) {
    const ptrdiff_t d = m->d, width = m->width;
    const double *mean = m->means + component * width, *low = m->low + component * width;
    for (ptrdiff_t at = 0; at < n; at += GROUP) {
        const ptrdiff_t rows = n - at < GROUP ? n - at : GROUP;
        VEC q[GROUP_VECTORS];
        double out[GROUP];
        for (ptrdiff_t r = 0; r < rows; r++)
            memcpy(gathered + r * d, s->points.X + (start + list[at + r]) * d, (size_t)d * 8);
        T(transpose)(gathered, rows, d, s->x);
        for (int v = 0; v < GROUP_VECTORS; v++) q[v] = T(splat)(0);
        T(distance_full)(s->x, mean, low, m->scale + component * TRIANGLE(d), d, d, q);
        for (int v = 0; v < GROUP_VECTORS; v++)
            T(store)(out + v * LANES, T(splat)(m->constant[component]) - q[v]);
        memcpy(value + at, out, (size_t)rows * 8);
    }
}

/* The same with features in lanes, no row has to be moved. */
INLINE void listed_simple(const T(Model) *m, const T(Sums) *s, ptrdiff_t start,
                          ptrdiff_t component, const int *list, ptrdiff_t n, double *value,
                          const int scaled) {
    const ptrdiff_t width = m->width, last = (s->vectors - 1) * LANES;
    const double *mean = m->means + component * width;
    const double *scale = m->scale + (scaled ? component * width : component);
    for (ptrdiff_t a = 0; a < n; a++) {
        const double *row = T(row)(&s->points, start + list[a]);
        VEC q = T(splat)(0);
        for (ptrdiff_t i = 0; i <= last; i += LANES) {
            VEC y = T(load)(row + i) - T(load)(mean + i);
            if (scaled) y = y * T(load)(scale + i);
            if (i == last) y = T(choose)(s->last_mask, y, T(splat)(0));
            q += y * y;
        }
        value[a] = m->constant[component] - (scaled ? 1 : *scale) * T(sum_lanes)(q);
    }
}

static void listed_log_joint(const T(Model) *m, T(Sums) *s, ptrdiff_t start, ptrdiff_t component,
                             const int *list, ptrdiff_t n, double *value, double *gathered) {
    if (m->structure == FULL)
        listed_full(m, s, start, component, list, n, value, gathered);
    else if (m->structure == DIAGONAL)
        listed_simple(m, s, start, component, list, n, value, 1);
    else
        listed_simple(m, s, start, component, list, n, value, 0);
}

/* The members of every component of one chunk, with their log joint densities. */
static void list_members(Screening *g, const T(Model) *m, T(Sums) *s, const double *X,
                         ptrdiff_t start, ptrdiff_t rows, double *gathered) {
    const ptrdiff_t k = m->k, group = screen_group();
    for (ptrdiff_t at = 0; at < rows; at += group)
        screen_rows_float(&g->screen, X + (start + at) * m->d, m->d, rows - at, g->work,
                          g->upper + at, g->stride, g->leader + at);
    for (ptrdiff_t c = 0; c < k; c++) g->count[c] = 0;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const ptrdiff_t c = g->leader[r];
        g->list[c * g->stride + g->count[c]++] = (int)r;
        g->upper[c * g->stride + r] = -INFINITY;
    }
    for (ptrdiff_t c = 0; c < k; c++) {
        const int *list = g->list + c * g->stride;
        double *value = g->value + c * g->chunk;
        listed_log_joint(m, s, start, c, list, g->count[c], value, gathered);
        for (ptrdiff_t a = 0; a < g->count[c]; a++)
            g->best[list[a]] = value[a] > -INFINITY ? value[a] : -INFINITY;
    }
    /* -FLT_MAX where nothing can be dropped: the leader at -inf is below even that. */
    const double lowest = -3.4028234663852886e38;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const double cut = g->best[r] - SCREEN_CUT - 1e-6 * fabs(g->best[r]);
        g->threshold[r] = (float)(cut > lowest ? cut : lowest);
    }
    for (ptrdiff_t c = 0; c < k; c++) {
        int *list = g->list + c * g->stride;
        double *value = g->value + c * g->chunk;
        const ptrdiff_t first = g->count[c];
        const ptrdiff_t n = list_survivors_float(g->upper + c * g->stride, g->threshold, rows,
                                                 list + first);
        listed_log_joint(m, s, start, c, list + first, n, value + first, gathered);
        g->count[c] = first + n;
        for (ptrdiff_t a = first; a < first + n; a++) {
            const double best = g->best[list[a]];
            g->best[list[a]] = value[a] > best ? value[a] : best;
        }
    }
}

/* Log joint densities -> densities relative to the row's largest; g->sum = their row sums. */
static void exp_members(Screening *g, ptrdiff_t k, ptrdiff_t rows) {
    for (ptrdiff_t r = 0; r < rows; r++) g->sum[r] = 0;
    for (ptrdiff_t c = 0; c < k; c++) {
        const int *list = g->list + c * g->stride;
        double *value = g->value + c * g->chunk;
        const ptrdiff_t n = g->count[c];
        for (ptrdiff_t a = 0; a < n; a += LANES) {
            double x[LANES];
            const int lanes = n - a < LANES ? (int)(n - a) : LANES;
            for (int i = 0; i < LANES; i++) {
                const double best = i < lanes ? g->best[list[a + i]] : 0;
                x[i] = i < lanes ? value[a + i] - (best > -INFINITY ? best : 0) : -INFINITY;
            }
            T(store)(x, T(exp_above)(T(load)(x), NEGLIGIBLE_LOG));
            for (int i = 0; i < lanes; i++) {
                value[a + i] = x[i];
                g->sum[list[a + i]] += x[i];
            }
        }
    }
}

/* g->sum -> weight / g->sum; adds the weighted log norms. */
static void norm_rows(Screening *g, const double *weight, ptrdiff_t rows, double per_unit,
                      double *norm_lanes) {
    const VEC zero = T(splat)(0);
    for (ptrdiff_t at = 0; at < rows; at += LANES) {
        double w[LANES];
        for (int i = 0; i < LANES; i++) w[i] = at + i < rows ? weight[at + i] * per_unit : 0;
        const VEC sum = T(load)(g->sum + at), units = T(load)(w);
        const VEC norm = T(load)(g->best + at) + T(log)(sum);
        T(store)(g->sum + at, T(choose)(T(above)(sum, zero), units / sum, zero));
        T(add_to_double)(norm_lanes, T(choose)(T(above)(units, zero), units * norm, zero));
    }
}

/* The rows of [0, n) that were done, 0 when a screen does not pay or memory is short. */
static ptrdiff_t screened_e_step(const T(Model) *m, const double *X, const double *weight,
                                 ptrdiff_t n, double per_unit, T(Sums) *s, double *norm_lanes) {
    Screening g;
    if (s->by_lanes || n < FEWEST_ROWS_SCREENED || m->k < 4 || m->structure == TIED) return 0;
    if (!open_screening(&g, m)) return 0;
    double *gathered = plan_screen(&g, m, X, n) ? malloc((size_t)(GROUP * m->d) * 8) : NULL;
    if (!gathered) {
        free(g.memory);
        return 0;
    }
    for (ptrdiff_t start = 0; start < n; start += g.chunk) {
        const ptrdiff_t rows = n - start < g.chunk ? n - start : g.chunk;
        list_members(&g, m, s, X, start, rows, gathered);
        exp_members(&g, m->k, rows);
        norm_rows(&g, weight + start, rows, per_unit, norm_lanes);
        for (ptrdiff_t c = 0; c < m->k; c++) {
            int *list = g.list + c * g.stride;
            double *share = g.value + c * g.chunk, count = 0;
            ptrdiff_t members = 0;
            for (ptrdiff_t a = 0; a < g.count[c]; a++) {
                const double r = share[a] * g.sum[list[a]];
                share[members] = r;
                list[members] = list[a];
                count += r;
                members += r > 0;
            }
            s->counts[c * LANES] += count;
            const T(Members) of_component = {list, share, members};
            T(member_moments)(s, start, c, m->means + c * m->width, of_component);
        }
    }
    free(gathered);
    free(g.memory);
    return n;
}

#endif

/* k-means for one type; see kmeans.h. Names: n rows, d features, k centers; `shift` is the origin times
 * `scale`; `centers` are (k, d) about the origin and scaled; `minus` holds -|c|^2 / 2. */
#include "vector_of.h"

#undef TILE
#undef EPSILON
#undef LOG_LANES
#define TILE (POINT_VECTORS * LANES)
#if defined(REAL_IS_FLOAT)
#  define EPSILON FLT_EPSILON
#else
#  define EPSILON DBL_EPSILON
#endif
#define LOG_LANES (LANES == 16 ? 4 : LANES == 8 ? 3 : LANES == 4 ? 2 : LANES == 2 ? 1 : 0)

/* Numbers about the origin. */
INLINE REAL T(moved)(REAL x, REAL shift, REAL scale) { return x * scale - shift; }
INLINE VEC T(moved_vector)(VEC x, VEC shift, VEC scale) { return x * scale - shift; }

static REAL *T(allocate)(size_t count) {
#if defined(__GNUC__) && !defined(_WIN32)
    void *p = NULL;
    return posix_memalign(&p, 64, (count + 64) * sizeof(REAL)) ? NULL : p;
#else
    return malloc((count + 64) * sizeof(REAL));
#endif
}

/* -|c|^2 / 2 of each center. */
static void T(half_norms)(const REAL *centers, ptrdiff_t k, ptrdiff_t d, REAL *minus) {
    for (ptrdiff_t j = 0; j < k; j++) {
        double sum = 0;
        for (ptrdiff_t t = 0; t < d; t++) sum += (double)centers[j * d + t] * centers[j * d + t];
        minus[j] = (REAL)(-0.5 * sum);
    }
}

/* ---- points in lanes: few features ----------------------------------------------------------- */

/* (groups, 1 + d, POINT_CENTERS): first the half norms, then one line per feature. */
static void T(pack_points)(const REAL *centers, ptrdiff_t k, ptrdiff_t d, REAL *packed) {
    for (ptrdiff_t first = 0; first < k; first += POINT_CENTERS) {
        for (ptrdiff_t c = 0; c < POINT_CENTERS; c++) {
            ptrdiff_t j = first + c;
            if (j < k) T(half_norms)(centers + j * d, 1, d, packed + c);
            else packed[c] = -(REAL)HUGE_VAL;
            for (ptrdiff_t t = 0; t < d; t++)
                packed[(1 + t) * POINT_CENTERS + c] = j < k ? centers[j * d + t] : 0;
        }
        packed += (1 + d) * POINT_CENTERS;
    }
}

/* Columns [from, from + LANES) of LANES rows to out[t * TILE + row], unmoved. */
INLINE void T(transpose)(const REAL *x, ptrdiff_t d, ptrdiff_t from, ptrdiff_t count, REAL *out) {
#ifdef SKGEN_ONE_LANE
    (void)d; (void)count;
    out[from * TILE] = x[from];
#else
    VEC a[LANES], b[LANES];
    UNROLL for (int i = 0; i < LANES; i++) a[i] = T(load)(x + i * d + from);
    UNROLL for (int round = 0; round < LOG_LANES; round++) {
        UNROLL for (int i = 0; i < LANES / 2; i++) {
            b[2 * i] = T(interleave_low)(a[i], a[i + LANES / 2]);
            b[2 * i + 1] = T(interleave_high)(a[i], a[i + LANES / 2]);
        }
        UNROLL for (int i = 0; i < LANES; i++) a[i] = b[i];
    }
    UNROLL for (int i = 0; i < LANES; i++)
        if (i < count) T(store)(out + (from + i) * TILE, a[i]);
#endif
}

/* LANES rows to columns; LANES numbers after the last row must be readable. */
INLINE void T(columns)(const REAL *x, ptrdiff_t d, REAL *out) {
    if (d == 1) {
        T(store)(out, T(load)(x));
#ifndef SKGEN_ONE_LANE
    } else if (d == 2) {
        VEC a = T(load)(x), b = T(load)(x + LANES);
        T(store)(out, T(even_lanes)(a, b));
        T(store)(out + TILE, T(odd_lanes)(a, b));
    } else if (d == 3 && LANES > 2) {
        for (ptrdiff_t i = 0; i < LANES; i++)
            for (ptrdiff_t t = 0; t < 3; t++) out[t * TILE + i] = x[i * 3 + t];
    } else if (d < LANES) {
        T(transpose)(x, d, 0, d, out);
#endif
    } else {
        ptrdiff_t from = 0;
        for (; from + LANES <= d; from += LANES) T(transpose)(x, d, from, LANES, out);
        if (from < d) T(transpose)(x, d, d - LANES, LANES, out);
    }
}

/* TILE rows to columns about the origin; `left` rows remain in the array, which ends there. */
INLINE void T(pack_columns)(const REAL *x, ptrdiff_t left, ptrdiff_t d, const REAL *shift, REAL scale,
                            REAL *edge, REAL *out) {
    if (left * d < TILE * d + LANES) {
        ptrdiff_t rows = left < TILE ? left : TILE;
        memcpy(edge, x, rows * d * sizeof(REAL));
        for (ptrdiff_t i = rows * d; i < TILE * d + LANES; i++) edge[i] = 0;
        x = edge;
    }
    for (int v = 0; v < POINT_VECTORS; v++) T(columns)(x + v * LANES * d, d, out + v * LANES);
    VEC by = T(splat)(scale);
    for (ptrdiff_t t = 0; t < d; t++) {
        VEC s = T(splat)(shift[t]);
        UNROLL for (int v = 0; v < POINT_VECTORS; v++) {
            REAL *p = out + t * TILE + v * LANES;
            T(store)(p, T(moved_vector)(T(load)(p), s, by));
        }
    }
}

/* Scores of a tile of rows with `width` centers; keep the best and its number in best and label.
 *
 * The comparisons are a plain loop over the stored scores: gcc makes blends of it, while the same lines
 * on vectors in registers become three logical operations or even scalar code. */
INLINE void T(score_points)(const REAL *x, const REAL *group, ptrdiff_t d, INT first, const int width,
                            REAL *best, INT *label) {
    VEC s[POINT_CENTERS][POINT_VECTORS];
    REAL score[POINT_CENTERS][TILE];
    UNROLL for (int c = 0; c < width; c++)
        UNROLL for (int v = 0; v < POINT_VECTORS; v++) s[c][v] = T(splat)(group[c]);
    for (ptrdiff_t t = 0; t < d; t++) {
        VEC y[POINT_VECTORS];
        group += POINT_CENTERS;
        UNROLL for (int v = 0; v < POINT_VECTORS; v++) y[v] = T(load)(x + t * TILE + v * LANES);
        UNROLL for (int c = 0; c < width; c++) {
            VEC center = T(splat)(group[c]);
            UNROLL for (int v = 0; v < POINT_VECTORS; v++) s[c][v] = s[c][v] + y[v] * center;
        }
    }
    UNROLL for (int c = 0; c < width; c++)
        UNROLL for (int v = 0; v < POINT_VECTORS; v++) T(store)(&score[c][v * LANES], s[c][v]);
    for (int i = 0; i < TILE; i++) {
        REAL top = best[i];
        INT id = label[i];
        /* Strictly above: of equals the lowest number stays. */
        UNROLL for (int c = 0; c < width; c++) {
            int better = score[c][i] > top;
            top = better ? score[c][i] : top;
            id = better ? first + c : id;
        }
        best[i] = top;
        label[i] = id;
    }
}

INLINE void T(nearest_points)(const REAL *x, const REAL *packed, ptrdiff_t k, ptrdiff_t d, int32_t *labels) {
    REAL best[TILE];
    INT label[TILE];
    ptrdiff_t first = 0;
    for (int i = 0; i < TILE; i++) {
        best[i] = -(REAL)HUGE_VAL;
        label[i] = 0;
    }
    for (; first + POINT_CENTERS <= k; first += POINT_CENTERS) {
        T(score_points)(x, packed, d, (INT)first, POINT_CENTERS, best, label);
        packed += (1 + d) * POINT_CENTERS;
    }
    switch (k - first) {
    case 1: T(score_points)(x, packed, d, (INT)first, 1, best, label); break;
    case 2: T(score_points)(x, packed, d, (INT)first, 2, best, label); break;
    case 3: T(score_points)(x, packed, d, (INT)first, 3, best, label); break;
    case 4: T(score_points)(x, packed, d, (INT)first, 4, best, label); break;
    case 5: T(score_points)(x, packed, d, (INT)first, 5, best, label); break;
    }
    for (int i = 0; i < TILE; i++) labels[i] = (int32_t)label[i];
}

/* ---- the statistic --------------------------------------------------------------------------- */

INLINE void T(add_row)(const REAL *x, ptrdiff_t d, const REAL *shift, REAL scale, double weight, int sign,
                       int32_t label, tally into) {
    double *sum = into.sums + label * d, w = weight * sign;
    for (ptrdiff_t t = 0; t < d; t++) sum[t] += w * ((double)x[t] * scale - shift[t]);
    into.weights[label] += w;
    into.members[label] += sign;
    into.touched[label] = 1;
}

/* Write `count` new labels and move the rows that changed; with `fresh` add every row anew. */
INLINE int64_t T(settle)(const REAL *x, ptrdiff_t count, ptrdiff_t d, const REAL *shift, REAL scale,
                         const double *weight, int fresh, const int32_t *found, int32_t *labels,
                         tally into) {
    int64_t changed = 0;
    for (ptrdiff_t first = 0; first < count; first += 16) {
        ptrdiff_t last = count - first < 16 ? count : first + 16;
        int32_t different = 0;
        /* Most groups of 16 have nothing to move, and a loop of fixed length becomes one comparison. */
        if (last - first == 16)
            for (int i = 0; i < 16; i++) different |= found[first + i] ^ labels[first + i];
        else
            for (ptrdiff_t i = first; i < last; i++) different |= found[i] ^ labels[i];
        if (!different && !fresh) continue;
        for (ptrdiff_t i = first; i < last; i++) {
            int32_t old = labels[i], new = found[i];
            if (old == new && !fresh) continue;
            labels[i] = new;
            if (!into.sums || !(weight[i] > 0)) continue;
            changed += old != new;
            if (old >= 0 && !fresh) T(add_row)(x + i * d, d, shift, scale, weight[i], -1, old, into);
            T(add_row)(x + i * d, d, shift, scale, weight[i], 1, new, into);
        }
    }
    return changed;
}

/* ---- every row against every center ---------------------------------------------------------- */

/* The number of rows with weight that changed their label, or -1 without memory. */
static int64_t T(step_points)(const REAL *X, ptrdiff_t n, ptrdiff_t d, ptrdiff_t k, const REAL *shift,
                              REAL scale, const REAL *packed, const double *weight, int fresh,
                              int32_t *labels, tally into) {
    REAL *x = T(allocate)(2 * TILE * d + LANES), *edge = x + TILE * d;
    int32_t found[TILE];
    int64_t changed = 0;
    if (!x) return -1;
    for (ptrdiff_t i = 0; i < n; i += TILE) {
        T(pack_columns)(X + i * d, n - i, d, shift, scale, edge, x);
        T(nearest_points)(x, packed, k, d, found);
        changed += T(settle)(X + i * d, n - i < TILE ? n - i : TILE, d, shift, scale, weight + i, fresh,
                             found, labels + i, into);
    }
    free(x);
    return changed;
}

/* ---- centers in lanes: many features --------------------------------------------------------- */

/* (vectors, 1 + d, LANES) of the centers named by `ids` (negative: none), half norms first. */
static void T(pack_panels)(const REAL *centers, ptrdiff_t d, const int32_t *ids, ptrdiff_t vectors,
                           REAL *packed) {
    for (ptrdiff_t v = 0; v < vectors; v++) {
        for (ptrdiff_t l = 0; l < LANES; l++) {
            int32_t j = ids[v * LANES + l];
            if (j >= 0) T(half_norms)(centers + j * d, 1, d, packed + l);
            else packed[l] = -(REAL)HUGE_VAL;
            for (ptrdiff_t t = 0; t < d; t++) packed[(1 + t) * LANES + l] = j >= 0 ? centers[j * d + t] : 0;
        }
        packed += (1 + d) * LANES;
    }
}

/* Numbers of a packed tile of PANEL_ROWS rows. */
INLINE ptrdiff_t T(tile_size)(ptrdiff_t d) { return (d + CHUNK - 1) / CHUNK * CHUNK * PANEL_ROWS; }

INLINE void T(pack_row)(const REAL *x, ptrdiff_t d, const REAL *shift, REAL scale, REAL *out) {
    ptrdiff_t from = 0;
    for (; from + CHUNK <= d; from += CHUNK) {
        for (int t = 0; t < CHUNK; t++) out[t] = T(moved)(x[from + t], shift[from + t], scale);
        out += PANEL_ROWS * CHUNK;
    }
    for (ptrdiff_t t = from; t < d; t++) out[t - from] = T(moved)(x[t], shift[t], scale);
}

/* Per row of a tile and lane: the best score, the vector of centers it came from, the second best. */
typedef struct {
    REAL best[PANEL_ROWS * LANES], second[PANEL_ROWS * LANES];
    INT vector[PANEL_ROWS * LANES];
} T(contest);

INLINE void T(start_contest)(T(contest) *c) {
    for (int i = 0; i < PANEL_ROWS * LANES; i++) {
        c->best[i] = c->second[i] = -(REAL)HUGE_VAL;
        c->vector[i] = 0;
    }
}

/* Score a tile of rows against `width` vectors of centers from number `vector` on; `two` keeps the
 * second best as well. The comparisons are a plain loop for the reason given at score_points. */
INLINE void T(score_panel)(const REAL *rows, ptrdiff_t d, const REAL *packed, INT vector, const int width,
                           const int two, T(contest) *c) {
    VEC s[PANEL_ROWS][2];
    REAL score[2][PANEL_ROWS * LANES];
    const ptrdiff_t next = (1 + d) * LANES;
    UNROLL for (int w = 0; w < width; w++) {
        VEC start = T(load)(packed + w * next);
        UNROLL for (int r = 0; r < PANEL_ROWS; r++) s[r][w] = start;
    }
    for (ptrdiff_t from = 0; from < d; from += CHUNK) {
        ptrdiff_t count = d - from < CHUNK ? d - from : CHUNK;
        for (ptrdiff_t t = 0; t < count; t++) {
            VEC center[2];
            packed += LANES;
            UNROLL for (int w = 0; w < width; w++) center[w] = T(load)(packed + w * next);
            UNROLL for (int r = 0; r < PANEL_ROWS; r++) {
                VEC x = T(splat)(rows[r * CHUNK + t]);
                UNROLL for (int w = 0; w < width; w++) s[r][w] = s[r][w] + x * center[w];
            }
        }
        rows += PANEL_ROWS * CHUNK;
    }
    UNROLL for (int w = 0; w < width; w++)
        UNROLL for (int r = 0; r < PANEL_ROWS; r++) T(store)(&score[w][r * LANES], s[r][w]);
    for (int i = 0; i < PANEL_ROWS * LANES; i++) {
        REAL top = c->best[i], runner = c->second[i];
        INT from = c->vector[i];
        UNROLL for (int w = 0; w < width; w++) {
            REAL value = score[w][i];
            int better = value > top;
            if (two) {
                REAL loser = better ? top : value;
                runner = loser > runner ? loser : runner;
            }
            top = better ? value : top;
            from = better ? vector + w : from;
        }
        c->best[i] = top;
        c->vector[i] = from;
        if (two) c->second[i] = runner;
    }
}

/* One tile against vectors [first, last) of centers. */
INLINE void T(score_panels)(const REAL *rows, ptrdiff_t d, const REAL *packed, ptrdiff_t first,
                            ptrdiff_t last, const int two, T(contest) *c) {
    const ptrdiff_t size = (1 + d) * LANES;
    ptrdiff_t v = first;
    T(start_contest)(c);
    for (; v + 2 <= last; v += 2) T(score_panel)(rows, d, packed + v * size, (INT)v, 2, two, c);
    if (v < last) T(score_panel)(rows, d, packed + v * size, (INT)v, 1, two, c);
}

/* The winner of row r among the lanes (of equals the lowest number), its score, and the best of the
 * others: a second of some lane or the first of another lane. */
INLINE int32_t T(winner)(const T(contest) *c, ptrdiff_t r, const int32_t *ids, const int two, REAL *first,
                         REAL *second) {
    const REAL *best = c->best + r * LANES;
    REAL top = best[0], runner = -(REAL)HUGE_VAL;
    int32_t id = INT32_MAX;
    int lane = 0;
    for (int l = 1; l < LANES; l++) top = best[l] > top ? best[l] : top;
    for (int l = 0; l < LANES; l++)
        if (best[l] == top) {
            int32_t other = ids[c->vector[r * LANES + l] * LANES + l];
            if (other >= 0 && other < id) {
                id = other;
                lane = l;
            }
        }
    if (two) {
        for (int l = 0; l < LANES; l++) {
            REAL other = l == lane ? c->second[r * LANES + l] : best[l];
            runner = other > runner ? other : runner;
        }
        *second = runner;
    }
    *first = top;
    return id;
}

static ptrdiff_t T(strip_rows)(ptrdiff_t n, ptrdiff_t d) {
    ptrdiff_t rows = STRIP_NUMBERS / d;
    if (rows > STRIP_ROWS) rows = STRIP_ROWS;
    if (rows > n) rows = n;
    return (rows + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS;
}

static int64_t T(step_panels)(const REAL *X, ptrdiff_t n, ptrdiff_t d, const REAL *shift, REAL scale,
                              const REAL *packed, const int32_t *ids, ptrdiff_t vectors,
                              const double *weight, int fresh, int32_t *labels, tally into) {
    REAL *rows = T(allocate)(T(tile_size)(d));
    int64_t changed = 0;
    if (!rows) return -1;
    for (ptrdiff_t i = 0; i < n; i += PANEL_ROWS) {
        ptrdiff_t count = n - i < PANEL_ROWS ? n - i : PANEL_ROWS;
        int32_t found[PANEL_ROWS];
        T(contest) contest;
        REAL value;
        for (ptrdiff_t r = 0; r < PANEL_ROWS; r++) {
            ptrdiff_t row = r < count ? i + r : n - 1;
            T(pack_row)(X + row * d, d, shift, scale, rows + r * CHUNK);
        }
        T(score_panels)(rows, d, packed, 0, vectors, 0, &contest);
        for (ptrdiff_t r = 0; r < PANEL_ROWS; r++)
            found[r] = T(winner)(&contest, r, ids, 0, &value, NULL);
        changed += T(settle)(X + i * d, count, d, shift, scale, weight + i, fresh, found, labels + i, into);
    }
    free(rows);
    return changed;
}

/* ---- rows of mostly zeros -------------------------------------------------------------------- */

/* About the origin zero a feature with x = 0 adds nothing to a score, so leaving it out gives the same
 * number. The features left of each row, in order; each row ends with a feature beyond all others. */
typedef struct {
    int32_t *feature;
    REAL *value;
    ptrdiff_t *start, *at;              /* (rows) where each row begins, and how far it was read */
    VEC *scores;                        /* (SKIP_ROWS, SKIP_VECTORS) */
} T(nonzeros);

static int64_t T(count_zeros)(const REAL *X, ptrdiff_t size) {
    int64_t total = 0;
    for (ptrdiff_t i = 0; i < size; i += 4096) {
        ptrdiff_t last = size - i < 4096 ? size : i + 4096;
        INT zeros = 0;
        for (ptrdiff_t t = i; t < last; t++) zeros += X[t] == 0;
        total += zeros;
    }
    return total;
}

INLINE int T(nonzeros_allocate)(T(nonzeros) *z, ptrdiff_t rows, ptrdiff_t d) {
    ptrdiff_t size = rows * (d + 1) + 64;
    z->feature = malloc(sizeof(int32_t) * size);
    z->value = malloc(sizeof(REAL) * size);
    z->start = malloc(sizeof(ptrdiff_t) * 2 * rows);
    z->scores = (VEC *)T(allocate)(SKIP_ROWS * SKIP_VECTORS * LANES);
    if (!z->feature || !z->value || !z->start || !z->scores) return 0;
    z->at = z->start + rows;
    return 1;
}

INLINE void T(nonzeros_free)(T(nonzeros) *z) {
    free(z->feature);
    free(z->value);
    free(z->start);
    free(z->scores);
}

#define LINE ((ptrdiff_t)(64 / sizeof(REAL)))
/* Append row r; returns the end. Without branches on the values, which nobody could predict: first the
 * lines of memory that hold a nonzero, then the nonzeros in them. `lines` has room for d / LINE. Bits
 * are compared because gcc compares numbers slowly here; minus zero counts as a nonzero. */
INLINE ptrdiff_t T(keep_nonzeros)(const REAL *x, ptrdiff_t d, REAL scale, ptrdiff_t r, ptrdiff_t end,
                                  int32_t *lines, T(nonzeros) z) {
    ptrdiff_t n_lines = 0, full = d / LINE * LINE, first = end;
    int32_t *feature = z.feature;
    z.start[r] = end;
    for (ptrdiff_t t = 0; t < full; t += LINE) {
        uint64_t words[8], any = 0;
        memcpy(words, x + t, 64);
        UNROLL for (int i = 0; i < 8; i++) any |= words[i];
        lines[n_lines] = (int32_t)t;
        n_lines += any != 0;
    }
    for (ptrdiff_t l = 0; l < n_lines; l++) {
        ptrdiff_t t = lines[l];
        UNROLL for (int i = 0; i < LINE; i++) {
            INT one;
            memcpy(&one, x + t + i, sizeof one);
            feature[end] = (int32_t)(t + i);
            end += one != 0;
        }
    }
    for (ptrdiff_t t = full; t < d; t++) {
        feature[end] = (int32_t)t;
        end += x[t] != 0;
    }
    for (ptrdiff_t i = first; i < end; i++) z.value[i] = x[feature[i]] * scale;
    feature[end] = INT32_MAX;
    return end + 1;
}
#undef LINE

/* Scores of `count` rows with `width` vectors of centers, for so many features at a time that their
 * centers stay in the nearest cache. */
INLINE void T(skip_panel)(const int32_t *rows, ptrdiff_t count, ptrdiff_t d, const REAL *packed,
                          const int width, T(nonzeros) z) {
    const ptrdiff_t next = (1 + d) * LANES, step = SKIP_BYTES / (width * (ptrdiff_t)sizeof(VEC));
    for (ptrdiff_t r = 0; r < count; r++) {
        z.at[rows[r]] = z.start[rows[r]];
        UNROLL for (int w = 0; w < width; w++) z.scores[r * SKIP_VECTORS + w] = T(load)(packed + w * next);
    }
    packed += LANES;
    for (ptrdiff_t limit = step; limit < d + step; limit += step)
        for (ptrdiff_t r = 0; r < count; r++) {
            ptrdiff_t i = z.at[rows[r]];
            VEC s[SKIP_VECTORS], *scores = z.scores + r * SKIP_VECTORS;
            if (z.feature[i] >= limit) continue;
            UNROLL for (int w = 0; w < width; w++) s[w] = scores[w];
            do {
                VEC x = T(splat)(z.value[i]);
                const REAL *center = packed + (ptrdiff_t)z.feature[i] * LANES;
                UNROLL for (int w = 0; w < width; w++) s[w] = s[w] + x * T(load)(center + w * next);
                i++;
            } while (z.feature[i] < limit);
            z.at[rows[r]] = i;
            UNROLL for (int w = 0; w < width; w++) scores[w] = s[w];
        }
}

/* Contests of `count` <= SKIP_ROWS rows, PANEL_ROWS each, over vectors [first, last) of centers. */
static void T(skip_panels)(const int32_t *rows, ptrdiff_t count, ptrdiff_t d, const REAL *packed,
                           ptrdiff_t first, ptrdiff_t last, const int two, T(nonzeros) z,
                           T(contest) *contests) {
    ptrdiff_t passes = (last - first + SKIP_VECTORS - 1) / SKIP_VECTORS;
    for (ptrdiff_t i = 0; i < count; i += PANEL_ROWS) T(start_contest)(contests + i / PANEL_ROWS);
    for (ptrdiff_t p = 0; p < passes; p++) {
        ptrdiff_t from = first + (last - first) * p / passes, to = first + (last - first) * (p + 1) / passes;
        const REAL *centers = packed + from * (1 + d) * LANES;
        switch (to - from) {
        case 1: T(skip_panel)(rows, count, d, centers, 1, z); break;
        case 2: T(skip_panel)(rows, count, d, centers, 2, z); break;
        case 3: T(skip_panel)(rows, count, d, centers, 3, z); break;
        case 4: T(skip_panel)(rows, count, d, centers, 4, z); break;
        case 5: T(skip_panel)(rows, count, d, centers, 5, z); break;
        case 6: T(skip_panel)(rows, count, d, centers, 6, z); break;
        case 7: T(skip_panel)(rows, count, d, centers, 7, z); break;
        case 8: T(skip_panel)(rows, count, d, centers, 8, z); break;
        }
        for (ptrdiff_t r = 0; r < count; r++) {
            T(contest) *c = contests + r / PANEL_ROWS;
            REAL *best = c->best + r % PANEL_ROWS * LANES, *second = c->second + r % PANEL_ROWS * LANES;
            INT *vector = c->vector + r % PANEL_ROWS * LANES;
            for (ptrdiff_t w = 0; w < to - from; w++) {
                const REAL *scores = (const REAL *)(z.scores + r * SKIP_VECTORS + w);
                for (int l = 0; l < LANES; l++) {
                    REAL value = scores[l], top = best[l];
                    int better = value > top;
                    REAL loser = better ? top : value;
                    if (two) second[l] = loser > second[l] ? loser : second[l];
                    best[l] = better ? value : top;
                    vector[l] = better ? (INT)(from + w) : vector[l];
                }
            }
        }
    }
}

/* step_panels for rows of mostly zeros about the origin zero: the same labels and sums. */
static int64_t T(step_skipping)(const REAL *X, ptrdiff_t n, ptrdiff_t d, const REAL *shift, REAL scale,
                                const REAL *packed, const int32_t *ids, ptrdiff_t vectors,
                                const double *weight, int fresh, int32_t *labels, tally into) {
    ptrdiff_t size = SKIP_ROWS < n ? SKIP_ROWS : n;
    int32_t *lines = malloc(sizeof(int32_t) * (d + 1)), rows[SKIP_ROWS], found[SKIP_ROWS];
    T(contest) *contests = malloc(sizeof(T(contest)) * (SKIP_ROWS / PANEL_ROWS));
    T(nonzeros) z = {0};
    int64_t changed = -1;
    if (!T(nonzeros_allocate)(&z, size, d) || !lines || !contests) goto done;
    changed = 0;
    for (int32_t r = 0; r < SKIP_ROWS; r++) rows[r] = r;
    for (ptrdiff_t i = 0; i < n; i += size) {
        ptrdiff_t count = n - i < size ? n - i : size, end = 0;
        REAL value;
        for (ptrdiff_t r = 0; r < count; r++)
            end = T(keep_nonzeros)(X + (i + r) * d, d, scale, r, end, lines, z);
        T(skip_panels)(rows, count, d, packed, 0, vectors, 0, z, contests);
        for (ptrdiff_t r = 0; r < count; r++)
            found[r] = T(winner)(contests + r / PANEL_ROWS, r % PANEL_ROWS, ids, 0, &value, NULL);
        changed += T(settle)(X + i * d, count, d, shift, scale, weight + i, fresh, found, labels + i, into);
    }
done:
    T(nonzeros_free)(&z);
    free(lines);
    free(contests);
    return changed;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

/* Every row keeps an upper bound on the distance to its center and, for each group of centers, a lower
 * bound on the distance to the group's other centers. All bounds are moved outward by more than the
 * rounding of the scores, so a center is passed over only where its score is certainly the smaller one:
 * with e >= |computed - exact score|, when lower^2 - upper^2 > 4 e. `margin` * (|x|^2 + max |c|^2) is 4 e. */
typedef struct {
    REAL *upper, *lower, *norms;        /* (n), (n, groups), squared norms (n); upper = inf: nothing known */
    ptrdiff_t groups;
    const ptrdiff_t *starts;            /* (groups + 1) first vector of each group */
    const int32_t *group_of;            /* (k) */
    const REAL *drift;                  /* (k) how far each center moved */
    const REAL *most, *next;            /* (groups) largest drift in the group, and without that center */
    const int32_t *mover;               /* (groups) that center */
    const REAL *gap;                    /* (k) lower bound on the distance to the nearest other center */
    REAL margin, largest;               /* max |c|^2 */
} T(bounds);

#define OUTWARD (1 + 4 * EPSILON)
#define INWARD (1 - 4 * EPSILON)

INLINE REAL T(dot)(const REAL *x, const REAL *c, ptrdiff_t d, const REAL *shift, REAL scale) {
    VEC by = T(splat)(scale), s[4];
    ptrdiff_t t = 0;
    UNROLL for (int q = 0; q < 4; q++) s[q] = T(splat)(0);
    for (; t + 4 * LANES <= d; t += 4 * LANES)
        UNROLL for (int q = 0; q < 4; q++)
            s[q] = s[q] + T(moved_vector)(T(load)(x + t + q * LANES), T(load)(shift + t + q * LANES), by)
                          * T(load)(c + t + q * LANES);
    for (; t + LANES <= d; t += LANES)
        s[0] = s[0] + T(moved_vector)(T(load)(x + t), T(load)(shift + t), by) * T(load)(c + t);
    REAL sum = T(sum_lanes)((s[0] + s[1]) + (s[2] + s[3]));
    for (; t < d; t++) sum += T(moved)(x[t], shift[t], scale) * c[t];
    return sum;
}

INLINE REAL T(squared_norm)(const REAL *x, ptrdiff_t d, const REAL *shift, REAL scale) {
    VEC by = T(splat)(scale), s = T(splat)(0);
    ptrdiff_t t = 0;
    for (; t + LANES <= d; t += LANES) {
        VEC v = T(moved_vector)(T(load)(x + t), T(load)(shift + t), by);
        s = s + v * v;
    }
    REAL sum = T(sum_lanes)(s);
    for (; t < d; t++) {
        REAL v = T(moved)(x[t], shift[t], scale);
        sum += v * v;
    }
    return sum;
}

/* The score as the tiles compute it, bit for bit. */
static REAL T(exact_score)(const REAL *x, const REAL *c, REAL minus, ptrdiff_t d, const REAL *shift,
                           REAL scale) {
    REAL s = minus;
    for (ptrdiff_t t = 0; t < d; t++) s = s + T(moved)(x[t], shift[t], scale) * c[t];
    return s;
}

#ifdef REAL_IS_FLOAT
#  define ROOT sqrtf
#else
#  define ROOT sqrt
#endif
INLINE REAL T(upper_of)(REAL norm, REAL score, REAL slack) {
    REAL square = norm - 2 * score;
    return ROOT((square > 0 ? square : 0) + slack) * OUTWARD;
}
INLINE REAL T(lower_of)(REAL norm, REAL score, REAL slack) {
    REAL square = norm - 2 * score - slack;
    return square > 0 ? ROOT(square) * INWARD : 0;
}
#undef ROOT

/* Whether every center at `lower` or farther surely scores less than the one within `upper`. */
INLINE int T(passed_over)(REAL lower, REAL upper, REAL slack) {
    return lower > upper && lower * lower - upper * upper > slack;
}

/* Scratch of one strip. */
typedef struct {
    int32_t *list, *open, *top_id, *first_id;   /* (groups, rows), (rows), (rows), (groups, rows) */
    int32_t *found;
    REAL *first, *second, *own, *top;           /* (groups, rows) twice, (rows) twice */
    uint8_t *seen;                              /* (rows): 1 own group scored, 2 own score known */
    ptrdiff_t *counts;                          /* (groups) */
    REAL *rows;
    T(nonzeros) left;                           /* of rows of mostly zeros */
} T(strip);

/* Move the bounds of one row with the centers and list the groups that must be scored. */
INLINE void T(open_row)(const REAL *x, ptrdiff_t d, ptrdiff_t size, ptrdiff_t i, int32_t r, int32_t label,
                        const REAL *centers, const REAL *minus, const REAL *shift, REAL scale,
                        T(bounds) b, T(strip) s, ptrdiff_t *n_open) {
    REAL *lower = b.lower + i * b.groups, upper = b.upper[i];
    int known = upper < (REAL)HUGE_VAL;
    REAL slack = 0, reach = 0;
    if (known) {
        REAL least = (REAL)HUGE_VAL;
        slack = b.margin * (b.norms[i] + b.largest);
        upper = (upper + b.drift[label]) * OUTWARD;
        for (ptrdiff_t g = 0; g < b.groups; g++) {
            REAL low = lower[g] - (b.mover[g] == label ? b.next[g] : b.most[g]);
            low = low > 0 ? low * INWARD : 0;
            lower[g] = low;
            least = low < least ? low : least;
        }
        reach = (b.gap[label] - upper) * INWARD;
        least = reach > least ? reach : least;
        b.upper[i] = upper;
        if (T(passed_over)(least, upper, slack)) return;
        s.own[r] = minus[label] + T(dot)(x, centers + label * d, d, shift, scale);
        upper = T(upper_of)(b.norms[i], s.own[r], slack);
        b.upper[i] = upper;
        reach = (b.gap[label] - upper) * INWARD;
        s.seen[r] = 2;
    } else {
        b.norms[i] = T(squared_norm)(x, d, shift, scale);
        s.seen[r] = 0;
    }
    int any = 0;
    for (ptrdiff_t g = 0; g < b.groups; g++) {
        REAL low = lower[g] > reach ? lower[g] : reach;
        if (known && T(passed_over)(low, upper, slack)) continue;
        s.list[g * size + s.counts[g]++] = r;
        any = 1;
    }
    if (!any) return;
    s.open[(*n_open)++] = r;
    s.top[r] = -(REAL)HUGE_VAL;
    s.top_id[r] = INT32_MAX;
}

/* score_group for rows of mostly zeros. */
INLINE void T(skip_group)(ptrdiff_t d, ptrdiff_t size, ptrdiff_t g, const REAL *packed, const int32_t *ids,
                          T(bounds) b, T(strip) s) {
    T(contest) contests[SKIP_ROWS / PANEL_ROWS];
    for (ptrdiff_t q = 0; q < s.counts[g]; q += SKIP_ROWS) {
        ptrdiff_t count = s.counts[g] - q < SKIP_ROWS ? s.counts[g] - q : SKIP_ROWS;
        T(skip_panels)(s.list + g * size + q, count, d, packed, b.starts[g], b.starts[g + 1], 1, s.left,
                       contests);
        for (ptrdiff_t r = 0; r < count; r++) {
            ptrdiff_t at = g * size + q + r;
            s.first_id[at] = T(winner)(contests + r / PANEL_ROWS, r % PANEL_ROWS, ids, 1, s.first + at,
                                       s.second + at);
        }
    }
}

/* Score the listed rows of one group and keep their best and second best. */
INLINE void T(score_group)(const REAL *X, ptrdiff_t d, ptrdiff_t size, ptrdiff_t g, const REAL *packed,
                           const int32_t *ids, const REAL *shift, REAL scale, T(bounds) b, T(strip) s) {
    const int32_t *list = s.list + g * size;
    for (ptrdiff_t q = 0; q < s.counts[g]; q += PANEL_ROWS) {
        T(contest) contest;
        ptrdiff_t count = s.counts[g] - q < PANEL_ROWS ? s.counts[g] - q : PANEL_ROWS;
        for (ptrdiff_t r = 0; r < PANEL_ROWS; r++) {
            ptrdiff_t row = list[q + (r < count ? r : count - 1)];
            T(pack_row)(X + row * d, d, shift, scale, s.rows + r * CHUNK);
        }
        T(score_panels)(s.rows, d, packed, b.starts[g], b.starts[g + 1], 1, &contest);
        for (ptrdiff_t r = 0; r < count; r++) {
            ptrdiff_t at = g * size + q + r;
            s.first_id[at] = T(winner)(&contest, r, ids, 1, s.first + at, s.second + at);
        }
    }
}

/* Decide the label of an opened row and renew its bounds (those of scored groups follow later). */
INLINE void T(close_row)(const REAL *x, ptrdiff_t d, ptrdiff_t i, int32_t r, int32_t old,
                         const REAL *centers, const REAL *minus, const REAL *shift, REAL scale,
                         T(bounds) b, T(strip) s) {
    REAL slack = b.margin * (b.norms[i] + b.largest), norm = b.norms[i];
    int32_t new = s.top_id[r];
    if (s.seen[r] == 2) {
        /* Its own center was not in a scored group, and `own` is known up to rounding. */
        REAL own = s.own[r], top = s.top[r];
        if (top < own - slack) {
            new = old;
        } else if (top <= own + slack) {
            REAL exact = T(exact_score)(x, centers + old * d, minus[old], d, shift, scale);
            if (exact > top || (exact == top && old < new)) new = old;
        }
        if (new != old) {
            REAL low = T(lower_of)(norm, own, slack), *lower = b.lower + i * b.groups + b.group_of[old];
            if (low < *lower) *lower = low;
            b.upper[i] = T(upper_of)(norm, top, slack);
        }
    } else {
        b.upper[i] = T(upper_of)(norm, s.top[r], slack);
    }
    s.found[r] = new;
}

INLINE int T(strip_allocate)(T(strip) *s, ptrdiff_t size, ptrdiff_t groups, ptrdiff_t d) {
    memset(s, 0, sizeof *s);
    s->list = malloc(sizeof(int32_t) * size * (2 * groups + 3));
    s->first = T(allocate)(size * (2 * groups + 2) + T(tile_size)(d));
    s->seen = malloc(size);
    s->counts = malloc(sizeof(ptrdiff_t) * groups);
    if (!s->list || !s->first || !s->seen || !s->counts) return 0;
    s->first_id = s->list + size * groups;
    s->open = s->first_id + size * groups;
    s->top_id = s->open + size;
    s->found = s->top_id + size;
    s->rows = s->first;
    s->first = s->rows + T(tile_size)(d);
    s->second = s->first + size * groups;
    s->own = s->second + size * groups;
    s->top = s->own + size;
    return 1;
}

static int64_t T(step_bounds)(const REAL *X, ptrdiff_t n, ptrdiff_t d, const REAL *centers,
                              const REAL *minus, const REAL *shift, REAL scale, const REAL *packed,
                              const int32_t *ids, T(bounds) bounds, const double *weight, int fresh,
                              int skip, int32_t *labels, tally into, int64_t *scored) {
    ptrdiff_t size = T(strip_rows)(n, d);
    T(strip) s;
    int32_t *lines = NULL;
    int64_t changed = -1;
    *scored = 0;
    if (!T(strip_allocate)(&s, size, bounds.groups, d)) goto done;
    if (skip) {
        lines = malloc(sizeof(int32_t) * (d + 1));
        if (!lines || !T(nonzeros_allocate)(&s.left, size, d)) goto done;
    }
    changed = 0;
    for (ptrdiff_t i = 0; i < n; i += size) {
        ptrdiff_t count = n - i < size ? n - i : size, n_open = 0, end = 0;
        const REAL *x = X + i * d;
        T(bounds) b = bounds;
        b.upper += i;
        b.norms += i;
        b.lower += i * b.groups;
        for (ptrdiff_t g = 0; g < b.groups; g++) s.counts[g] = 0;
        for (ptrdiff_t r = 0; r < count; r++) {
            s.found[r] = labels[i + r];
            T(open_row)(x + r * d, d, size, r, (int32_t)r, labels[i + r], centers, minus, shift, scale, b,
                        s, &n_open);
        }
        if (!n_open && !fresh) continue;
        if (skip)
            for (ptrdiff_t q = 0; q < n_open; q++)
                end = T(keep_nonzeros)(x + s.open[q] * d, d, scale, s.open[q], end, lines, s.left);
        for (ptrdiff_t g = 0; g < b.groups; g++) {
            if (skip) T(skip_group)(d, size, g, packed, ids, b, s);
            else T(score_group)(x, d, size, g, packed, ids, shift, scale, b, s);
            *scored += s.counts[g] * (b.starts[g + 1] - b.starts[g]) * LANES;
            for (ptrdiff_t q = 0; q < s.counts[g]; q++) {
                ptrdiff_t at = g * size + q;
                int32_t r = s.list[at], id = s.first_id[at];
                if (labels[i + r] >= 0 && b.group_of[labels[i + r]] == g) s.seen[r] = 1;
                if (s.first[at] > s.top[r] || (s.first[at] == s.top[r] && id < s.top_id[r])) {
                    s.top[r] = s.first[at];
                    s.top_id[r] = id;
                }
            }
        }
        for (ptrdiff_t q = 0; q < n_open; q++) {
            int32_t r = s.open[q];
            T(close_row)(x + r * d, d, r, r, labels[i + r], centers, minus, shift, scale, b, s);
        }
        for (ptrdiff_t g = 0; g < b.groups; g++)
            for (ptrdiff_t q = 0; q < s.counts[g]; q++) {
                ptrdiff_t at = g * size + q;
                int32_t r = s.list[at];
                REAL score = s.first_id[at] == s.found[r] ? s.second[at] : s.first[at];
                REAL slack = b.margin * (b.norms[r] + b.largest);
                b.lower[r * b.groups + g] = T(lower_of)(b.norms[r], score, slack);
            }
        changed += T(settle)(x, count, d, shift, scale, weight + i, fresh, s.found, labels + i, into);
    }
done:
    free(s.list);
    free(s.rows ? s.rows : s.first);
    free(s.seen);
    free(s.counts);
    free(lines);
    T(nonzeros_free)(&s.left);
    return changed;
}
#undef OUTWARD
#undef INWARD

/* ---- direct distances ------------------------------------------------------------------------ */

/* |x * scale - shift - c|^2 from differences in double. */
INLINE double T(squared_distance)(const REAL *x, const REAL *c, ptrdiff_t d, const REAL *shift,
                                  double scale) {
    double s[8] = {0}, sum = 0;
    ptrdiff_t t = 0;
    for (; t + 8 <= d; t += 8)
        for (int l = 0; l < 8; l++) {
            double difference = (x[t + l] * scale - shift[t + l]) - c[t + l];
            s[l] += difference * difference;
        }
    for (; t < d; t++) {
        double difference = (x[t] * scale - shift[t]) - c[t];
        sum += difference * difference;
    }
    return sum + (((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])));
}

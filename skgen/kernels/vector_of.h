/* The vector operations for one type; see vector.h. No include guard: included once per type. */
#include "vector.h"
#undef REAL
#undef INT
#undef VEC
#undef IVEC
#undef LOOSE
#undef LOOSE_INT
#undef LANES
#undef T
#if defined(REAL_IS_FLOAT)
#  define REAL float
#  define INT int32_t
#  define VEC float_vector
#  define IVEC int32_vector
#  define LOOSE float_loose
#  define LOOSE_INT int32_loose
#  define T(name) JOIN(name, float)
#elif defined(REAL_IS_DOUBLE)
#  define REAL double
#  define INT int64_t
#  define VEC double_vector
#  define IVEC int64_vector
#  define LOOSE double_loose
#  define LOOSE_INT int64_loose
#  define T(name) JOIN(name, double)
#else
#  error "define REAL_IS_FLOAT or REAL_IS_DOUBLE"
#endif

#ifdef SKGEN_ONE_LANE
#  define LANES 1
#else
#  define LANES ((int)(VECTOR_BYTES / sizeof(REAL)))
#endif

/* load and store take any address; a kernel that knows better dereferences a VEC pointer. */
INLINE VEC T(load)(const REAL *p) { return *(const LOOSE *)p; }
INLINE void T(store)(REAL *p, VEC v) { *(LOOSE *)p = v; }
INLINE IVEC T(load_int)(const INT *p) { return *(const LOOSE_INT *)p; }
INLINE void T(store_int)(INT *p, IVEC v) { *(LOOSE_INT *)p = v; }

#ifdef SKGEN_ONE_LANE
INLINE VEC T(splat)(REAL x) { return x; }
INLINE IVEC T(splat_int)(INT x) { return x; }
INLINE IVEC T(above)(VEC a, VEC b) { return a > b ? -1 : 0; }
INLINE VEC T(choose)(IVEC mask, VEC a, VEC b) { return mask ? a : b; }
INLINE IVEC T(choose_int)(IVEC mask, IVEC a, IVEC b) { return mask ? a : b; }
INLINE VEC T(larger)(VEC a, VEC b) { return a > b ? a : b; }
INLINE VEC T(smaller)(VEC a, VEC b) { return a < b ? a : b; }
INLINE VEC T(root)(VEC a) { return (REAL)sqrt((double)a); }
INLINE REAL T(sum_lanes)(VEC v) { return v; }
INLINE REAL T(largest_lane)(VEC v) { return v; }
INLINE VEC T(from_bits)(IVEC i) { VEC v; memcpy(&v, &i, sizeof v); return v; }
INLINE IVEC T(bits)(VEC v) { IVEC i; memcpy(&i, &v, sizeof i); return i; }
INLINE REAL T(lane)(VEC v, int i) { (void)i; return v; }
INLINE IVEC T(shift_left)(IVEC i, int by) {
    return (INT)(sizeof(INT) == 8 ? (uint64_t)i << by : (uint64_t)((uint32_t)i << by));
}
INLINE IVEC T(shift_right)(IVEC i, int by) { return i >> by; }
INLINE void T(add_to_double)(double *p, VEC v) { *p += v; }
INLINE VEC T(load_stride)(const REAL *p, ptrdiff_t stride) { (void)stride; return *p; }
#else
INLINE VEC T(splat)(REAL x) { return x - (VEC){0}; }
INLINE IVEC T(splat_int)(INT x) { return x - (IVEC){0}; }
/* All ones where a > b. */
INLINE IVEC T(above)(VEC a, VEC b) { return a > b; }
/* The compiler turns this into one blend. */
INLINE VEC T(choose)(IVEC mask, VEC a, VEC b) {
    return (VEC)((mask & (IVEC)a) | (~mask & (IVEC)b));
}
INLINE IVEC T(choose_int)(IVEC mask, IVEC a, IVEC b) { return (mask & a) | (~mask & b); }
#  ifdef LANE_OPERATIONS
INLINE VEC T(larger)(VEC a, VEC b) { return T(max)(a, b); }
INLINE VEC T(smaller)(VEC a, VEC b) { return T(min)(a, b); }
INLINE VEC T(root)(VEC a) { return T(sqrt)(a); }
#  else
INLINE VEC T(larger)(VEC a, VEC b) { return T(choose)(T(above)(a, b), a, b); }
INLINE VEC T(smaller)(VEC a, VEC b) { return T(choose)(T(above)(b, a), a, b); }
INLINE VEC T(root)(VEC a) {
    VEC r;
    for (int i = 0; i < LANES; i++) r[i] = (REAL)sqrt((double)a[i]);
    return r;
}
#  endif
INLINE REAL T(sum_lanes)(VEC v) {
    REAL s[LANES];
    T(store)(s, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}
INLINE REAL T(largest_lane)(VEC v) {
    REAL s[LANES];
    T(store)(s, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) s[i] = s[i] > s[i + half] ? s[i] : s[i + half];
    return s[0];
}
INLINE VEC T(from_bits)(IVEC i) { return (VEC)i; }
INLINE IVEC T(bits)(VEC v) { return (IVEC)v; }
INLINE REAL T(lane)(VEC v, int i) { return v[i]; }
INLINE IVEC T(shift_left)(IVEC i, int by) { return i << by; }
/* The sign is kept. */
INLINE IVEC T(shift_right)(IVEC i, int by) { return i >> by; }
/* p[0], p[stride], ... */
INLINE VEC T(load_stride)(const REAL *p, ptrdiff_t stride) {
    VEC v;
    for (int i = 0; i < LANES; i++) v[i] = p[i * stride];
    return v;
}
/* p[0..LANES) += v */
INLINE void T(add_to_double)(double *p, VEC v) {
#  ifdef REAL_IS_DOUBLE
    T(store)(p, T(load)(p) + v);
#  else
    float s[LANES];
    T(store)(s, v);
    for (int i = 0; i < LANES; i++) p[i] += s[i];
#  endif
}
/* a0 b0 a1 b1 ... from the lower or the upper halves; every second lane of the pair a, b. */
#  if defined(__clang__)
#    define SHUFFLE(a, b, from)                                                   \
        VEC r;                                                                    \
        for (int i = 0; i < LANES; i++) {                                         \
            int j = (from);                                                       \
            r[i] = j < LANES ? a[j] : b[j - LANES];                               \
        }                                                                         \
        return r
#  else
#    define SHUFFLE(a, b, from)                                                   \
        IVEC order;                                                               \
        for (int i = 0; i < LANES; i++) order[i] = (from);                        \
        return __builtin_shuffle(a, b, order)
#  endif
INLINE VEC T(interleave_low)(VEC a, VEC b) { SHUFFLE(a, b, i / 2 + (i % 2) * LANES); }
INLINE VEC T(interleave_high)(VEC a, VEC b) { SHUFFLE(a, b, (LANES + i) / 2 + (i % 2) * LANES); }
INLINE VEC T(even_lanes)(VEC a, VEC b) { SHUFFLE(a, b, 2 * i); }
INLINE VEC T(odd_lanes)(VEC a, VEC b) { SHUFFLE(a, b, 2 * i + 1); }
#  undef SHUFFLE
#endif

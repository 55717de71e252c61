/* SIMD vectors of float and double without processor intrinsics.
 *
 * A vector fills one register of the level the file is compiled for: 16, 32 or 64 bytes. Where
 * the compiler has no vector extensions (or with -DSKGEN_PLAIN) a vector is one plain number and
 * LANES is 1, so every kernel runs everywhere from the same source.
 *
 * A header of kernels is written once for a type REAL, with names wrapped in T(), and included
 * twice by its family:
 *
 *     #define REAL_IS_FLOAT
 *     #include "kmeans_of.h"
 *     #undef REAL_IS_FLOAT
 *     #define REAL_IS_DOUBLE
 *     #include "kmeans_of.h"
 *
 * kmeans_of.h begins with #include "vector_of.h", which sets REAL, INT, VEC, IVEC, LANES and T()
 * (T(f) is f_float or f_double), and defines the vector operations for that type. */
#ifndef SKGEN_VECTOR_H
#define SKGEN_VECTOR_H

#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <math.h>

#if defined(__GNUC__) && !defined(SKGEN_PLAIN)
#  if defined(__AVX512F__)
#    define VECTOR_BYTES 64
#  elif defined(__AVX__)
#    define VECTOR_BYTES 32
#  else
#    define VECTOR_BYTES 16
#  endif
#  define VECTOR_OF(type) type __attribute__((vector_size(VECTOR_BYTES), may_alias))
#  define INLINE static inline __attribute__((always_inline))
typedef float float_vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef double double_vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef int32_t int32_vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef int64_t int64_vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
/* The same, at any address. */
typedef float float_loose __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double double_loose __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef int32_t int32_loose __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef int64_t int64_loose __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
#else
#  define SKGEN_ONE_LANE
#  define INLINE static inline
typedef float float_vector, float_loose;
typedef double double_vector, double_loose;
typedef int32_t int32_vector, int32_loose;
typedef int64_t int64_vector, int64_loose;
#endif

/* Largest, smallest and root of the lanes are one instruction, which compilers do not always find in a
 * loop over lanes. As in C, a > b ? a : b is b where one of them is NaN. */
#if defined(__GNUC__) && !defined(SKGEN_PLAIN) && defined(__x86_64__)
#  include <immintrin.h>
#  define LANE_OPERATIONS
#  if VECTOR_BYTES == 64
#    define LANES_OF(operation, suffix) _mm512_##operation##_##suffix
typedef __m512 float_lanes;
typedef __m512d double_lanes;
#  elif VECTOR_BYTES == 32
#    define LANES_OF(operation, suffix) _mm256_##operation##_##suffix
typedef __m256 float_lanes;
typedef __m256d double_lanes;
#  else
#    define LANES_OF(operation, suffix) _mm_##operation##_##suffix
typedef __m128 float_lanes;
typedef __m128d double_lanes;
#  endif
INLINE float_vector max_float(float_vector a, float_vector b) {
    return (float_vector)LANES_OF(max, ps)((float_lanes)a, (float_lanes)b);
}
INLINE double_vector max_double(double_vector a, double_vector b) {
    return (double_vector)LANES_OF(max, pd)((double_lanes)a, (double_lanes)b);
}
INLINE float_vector min_float(float_vector a, float_vector b) {
    return (float_vector)LANES_OF(min, ps)((float_lanes)a, (float_lanes)b);
}
INLINE double_vector min_double(double_vector a, double_vector b) {
    return (double_vector)LANES_OF(min, pd)((double_lanes)a, (double_lanes)b);
}
INLINE float_vector sqrt_float(float_vector a) {
    return (float_vector)LANES_OF(sqrt, ps)((float_lanes)a);
}
INLINE double_vector sqrt_double(double_vector a) {
    return (double_vector)LANES_OF(sqrt, pd)((double_lanes)a);
}
#endif

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)

#endif

/* exp and log of vectors for one type; include after vector_of.h, once per type.
 *
 * Polynomials were fitted by Chebyshev interpolation on the reduced interval. Largest errors seen
 * in 4 million draws, in units in the last place: exp 1.1, log 0.9, in both types. */

#ifdef REAL_IS_DOUBLE
#  define MAGIC 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer in the low bits */
#  define FRACTION_BITS 52
#  define LOG2_HIGH 0.6931471803691238 /* the low bits are zero, so n * LOG2_HIGH is exact */
#  define LOG2_LOW 1.9082149292705877e-10
#  define SQRT_HALF 0.7071067811865476
#  define SMALLEST_EXP (-708.0)
#else
#  define MAGIC 12582912.0f /* 1.5 * 2^23 */
#  define FRACTION_BITS 23
#  define LOG2_HIGH 0.693145751953125f
#  define LOG2_LOW 1.4286068203094173e-06f
#  define SQRT_HALF 0.70710678f
#  define SMALLEST_EXP (-87.0f)
#endif

/* exp(x) for x < 700 (85 in float); exactly 0 where x <= cut or x is NaN. cut >= SMALLEST_EXP. */
INLINE VEC T(exp_above)(VEC x, REAL cut) {
    VEC t = x * T(splat)((REAL)1.4426950408889634) + T(splat)(MAGIC);
    VEC n = t - T(splat)(MAGIC);
    VEC r = x - n * T(splat)(LOG2_HIGH) - n * T(splat)(LOG2_LOW);
    /* Pairs of terms (Estrin), because a chain of ten multiply-adds fills the scheduler. */
    const VEC r2 = r * r, r4 = r2 * r2;
#ifdef REAL_IS_DOUBLE
    VEC p0 = T(splat)(0.16666666666666669) * r + T(splat)(0.5000000000000001);
    VEC p1 = T(splat)(0.008333333333330039) * r + T(splat)(0.041666666666623824);
    VEC p2 = T(splat)(0.00019841269863171557) * r + T(splat)(0.0013888888917367081);
    VEC p3 = T(splat)(2.7557268276905696e-06) * r + T(splat)(2.4801521057868204e-05);
    VEC p4 = T(splat)(2.5100472505694996e-08) * r + T(splat)(2.7620201591031547e-07);
    VEC p = (p4 * r4 + (p3 * r2 + p2)) * r4 + (p1 * r2 + p0);
#else
    VEC p0 = T(splat)(0.16666576266288757f) * r + T(splat)(0.5f);
    VEC p1 = T(splat)(0.00836323294788599f) * r + T(splat)(0.04166655242443085f);
    VEC p = T(splat)(0.0013926250394433737f) * r4 + (p1 * r2 + p0);
#endif
    p = r2 * p + r + T(splat)((REAL)1);
    VEC scaled = T(from_bits)(T(bits)(p) + T(shift_left)(T(bits)(t), FRACTION_BITS));
    return T(choose)(T(above)(x, T(splat)(cut)), scaled, T(splat)((REAL)0));
}

/* log(x) for 0 and finite normal positive x; -inf at 0. */
INLINE VEC T(log)(VEC x) {
    const VEC magic = T(splat)(MAGIC), sqrt_half = T(splat)(SQRT_HALF);
    IVEC exponent = T(shift_right)(T(bits)(x) - T(bits)(sqrt_half), FRACTION_BITS);
    VEC e = T(from_bits)(T(bits)(magic) + exponent) - magic;
    VEC f = T(from_bits)(T(bits)(x) - T(shift_left)(exponent, FRACTION_BITS)) - T(splat)((REAL)1);
    VEC s = f / (f + T(splat)((REAL)2)), z = s * s;
#ifdef REAL_IS_DOUBLE
    const VEC z2 = z * z;
    VEC q0 = T(splat)(0.3999999999989889) * z + T(splat)(0.666666666666667);
    VEC q1 = T(splat)(0.22222211089379496) * z + T(splat)(0.28571428626253836);
    VEC q2 = T(splat)(0.15331611722055008) * z + T(splat)(0.1818289243253687);
    VEC q = ((T(splat)(0.14617807153417325) * z2 + q2) * z2 + q1) * z2 + q0;
#else
    VEC q = T(splat)(0.29580986499786377f);
    q = q * z + T(splat)(0.3998875916004181f);
    q = q * z + T(splat)(0.6666668653488159f);
#endif
    /* log(1 + f) = f - s (f - z q): the rounding of the correction is a small part of f. */
    VEC y = e * T(splat)(LOG2_HIGH) + (f - (s * (f - z * q) - e * T(splat)(LOG2_LOW)));
    return T(choose)(T(above)(x, T(splat)((REAL)0)), y, T(splat)((REAL)-INFINITY));
}

#undef MAGIC
#undef FRACTION_BITS
#undef LOG2_HIGH
#undef LOG2_LOW
#undef SQRT_HALF

"""What the processor can run. Compiled for the baseline alone, so it is safe to import."""

cdef extern from *:
    """
    #if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    static int skgen_has_avx2(void) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
            && __builtin_cpu_supports("bmi2");
    }
    static int skgen_has_avx512(void) {
        return skgen_has_avx2() && __builtin_cpu_supports("avx512f")
            && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512bw");
    }
    #else
    static int skgen_has_avx2(void) { return 0; }
    static int skgen_has_avx512(void) { return 0; }
    #endif
    """
    int skgen_has_avx2() nogil
    int skgen_has_avx512() nogil


def runnable_levels():
    """Names of the SIMD levels this processor runs, slowest first."""
    levels = ["baseline"]
    if skgen_has_avx2():
        levels.append("avx2")
    if skgen_has_avx512():
        levels.append("avx512")
    return tuple(levels)

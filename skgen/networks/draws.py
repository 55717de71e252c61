"""Which units drop out: random bits that depend on nothing but where they are used.

    mix(z): z ^= z >> 30; z *= M1; z ^= z >> 27; z *= M2; z ^= z >> 31            (mod 2^64)
    key = mix(mix(seed + G (t + 1)) + G (l + 1))
    bits of (i, j) = mix(key + G (i n + j + 1)) >> 40

for update t, layer l, row i of the batch and unit j of n: so masks do not depend on who draws them
first, and training is continued to the same bits. Steele, Lea and Flood (2014), SplitMix64.
"""

from math import ceil

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1
BITS = 24


def mix(z):
    """The finalizer of SplitMix64, of a uint64 array."""
    z = z ^ (z >> np.uint64(30))
    z = z * np.uint64(0xBF58476D1CE4E5B9)
    z = z ^ (z >> np.uint64(27))
    z = z * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def key(seed, update, layer):
    """The stream of one layer at one update."""
    start = np.array([(seed + GOLDEN * (update + 1)) & MASK], dtype=np.uint64)
    step = np.array([(GOLDEN * (layer + 1)) & MASK], dtype=np.uint64)
    return mix(mix(start) + step)


def dropout_mask(seed, update, layer, shape, share, dtype):
    """An array of zeros (a `share` of it, in the mean) and 1 / (1 - share)."""
    counter = np.arange(1, shape[0] * shape[1] + 1, dtype=np.uint64)
    bits = mix(key(seed, update, layer) + np.uint64(GOLDEN) * counter) >> np.uint64(64 - BITS)
    kept = bits >= np.uint64(ceil(share * 2**BITS))
    return (kept * (1.0 / (1.0 - share))).astype(dtype).reshape(shape)

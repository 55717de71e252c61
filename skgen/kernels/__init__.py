"""Compiled inner loops, in the best SIMD level the processor has.

``skgen.kernels.simd`` names the level in use; the environment variable ``SKGEN_SIMD``
(``baseline``, ``avx2`` or ``avx512``), read at import, forces another.
"""

import os
from importlib import import_module
from importlib.util import find_spec

LEVELS = ("baseline", "avx2", "avx512")
FAMILIES = (
    "moments",
    "posterior",
    "scatter",
    "seeding",
    "sparse",
    "kmeans",
    "gaussian",
    "missing",
    "linear",
    "linkage",
    "sparse_linear",
    "perceptron",
    "coordinate",
    "minibatch",
    "network",
)


def available_levels():
    """SIMD levels that this build contains and this processor runs, slowest first."""
    from skgen.kernels.processor import runnable_levels

    return tuple(level for level in runnable_levels() if find_spec(f"skgen.kernels.kmeans_{level}"))


def load(family, level):
    """The module of kernel `family` compiled for `level`."""
    return import_module(f"skgen.kernels.{family}_{level}")


def _choose_level():
    available = available_levels()
    if not available:
        raise ImportError(
            "skgen's compiled kernels are missing; install the package with `pip install .`"
            " (an editable install needs `pip install -e .` after every change of a kernel)"
        )
    forced = os.environ.get("SKGEN_SIMD")
    if not forced:
        return available[-1]
    if forced not in LEVELS:
        raise ImportError(f"SKGEN_SIMD={forced!r} is not one of {', '.join(LEVELS)}")
    if forced not in available:
        raise ImportError(
            f"SKGEN_SIMD={forced} cannot be used here: this processor and this build offer"
            f" {', '.join(available)}"
        )
    return forced


simd = _choose_level()


def __getattr__(name):
    """Load a family when it is first used; a linear model needs no kernel of mixtures."""
    if name not in FAMILIES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = load(name, simd)
    return globals()[name]

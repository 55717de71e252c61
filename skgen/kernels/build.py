"""Compile every kernel once per SIMD level, from one C file.

`pyproject.toml` lists one extension per family (``skgen.kernels.kmeans``). On x86-64
Linux and macOS each becomes ``kmeans_baseline``, ``kmeans_avx2`` and ``kmeans_avx512``;
elsewhere
the baseline alone. `skgen.kernels` picks one at import.
"""

import platform
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools.command.build_ext import build_ext

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
}
# No flag that lets the compiler reorder sums: results must not depend on its mood.
OPTIMIZE = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
LEVELS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma", "-mbmi2"],
    "avx512": [
        "-mavx512f",
        "-mavx512vl",
        "-mavx512dq",
        "-mavx512bw",
        "-mfma",
        "-mbmi2",
        "-mprefer-vector-width=512",
    ],
}
# Extensions that must run before the processor is known.
UNLEVELLED = {"processor"}
# Free-threaded interpreters have no stable ABI yet.
LIMITED_API = not sysconfig.get_config_var("Py_GIL_DISABLED")


class BuildKernels(build_ext):
    def finalize_options(self):
        listed = self.distribution.ext_modules
        if not any(hasattr(ext, "level") for ext in listed):
            self.distribution.ext_modules = [
                at_level(ext, level) for ext in listed for level in levels_of(ext)
            ]
        super().finalize_options()

    def build_extensions(self):
        gcc_like = self.compiler.compiler_type in ("unix", "mingw32")
        translated = {}
        for ext in self.extensions:
            (source,) = ext.sources
            if source not in translated:
                translated[source] = self.translate(ext.family, source)
            # One copy per level, because compilers name objects after their source.
            folder = Path(self.build_temp) / ext.level
            folder.mkdir(parents=True, exist_ok=True)
            copy = folder / f"{Path(source).stem}.c"
            if not copy.exists() or copy.read_bytes() != translated[source]:
                copy.write_bytes(translated[source])
            ext.sources = [str(copy)]
            if gcc_like:
                ext.extra_compile_args = OPTIMIZE + LEVELS[ext.level]
        super().build_extensions()

    def translate(self, name, source):
        """Cython's C for `source`, as bytes."""
        (module,) = cythonize(
            [Extension(name, [source])],
            build_dir=self.build_temp,
            compiler_directives=DIRECTIVES,
            force=bool(self.force),
        )
        return Path(module.sources[0]).read_bytes()


def levels_of(ext):
    """The SIMD levels `ext` is compiled for on this platform."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    several = x86 and sys.platform != "win32" and stem(ext) not in UNLEVELLED
    return LEVELS if several else ["baseline"]


def at_level(ext, level):
    """`ext` under its name at `level`; the C init function is renamed to match."""
    package, name = ext.name.rpartition(".")[0], stem(ext)
    macros = [("Py_LIMITED_API", "0x030b0000")] if LIMITED_API else []
    if name not in UNLEVELLED:
        macros.append((f"PyInit_{name}", f"PyInit_{name}_{level}"))
        name = f"{name}_{level}"
    levelled = Extension(
        f"{package}.{name}",
        list(ext.sources),
        include_dirs=[str(Path(ext.sources[0]).parent)],
        define_macros=macros,
        depends=list(ext.depends),
        py_limited_api=LIMITED_API,
    )
    levelled.family, levelled.level = ext.name, level
    return levelled


def stem(ext):
    return ext.name.rpartition(".")[2]

"""The environment a fair comparison needs, and the description that goes with every result.

This module is imported before NumPy: the BLAS kernels are chosen when NumPy is loaded.
"""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RELAUNCHED = "SKGEN_BENCHMARKS_RELAUNCHED"
MISLEADING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
PACKAGES = (
    "skgen",
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-learn-intelex",
    "faiss-cpu",
    "snapml",
    "skglm",
    "torch",
    "stepmix",
    "pomegranate",
    "pygmmis",
    "astroML",
)


def relaunch_with_fair_blas(arguments):
    """Start this program anew without variables that force a BLAS on slower kernels.

    The OpenBLAS inside faiss is too old to know recent processors and takes AVX2 or even SSE2
    kernels. Naming SkylakeX gives it the AVX-512 kernels that NumPy's and SciPy's own OpenBLAS
    choose anyway on the same processor.
    """
    if RELAUNCHED in os.environ:
        return
    for name in MISLEADING:
        os.environ.pop(name, None)
    if "avx512vl" in processor_flags():
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"
    if "--busy" in arguments:
        os.environ["OMP_NUM_THREADS"] = "1"
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ[RELAUNCHED] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *arguments])


def processor_flags():
    """Instruction sets named by the Linux kernel; empty elsewhere."""
    return cpuinfo("flags").split()


def cpuinfo(field):
    """The first value of `field` in /proc/cpuinfo, or an empty string."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(field)]
    return values[0] if values else ""


def usable_cores():
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def describe():
    """Lines that say what a result was measured with; call it after the peers are imported."""
    lines = [
        f"{cpuinfo('model name') or platform.processor() or platform.machine()},"
        f" {usable_cores()} cores, {platform.system()}, Python {platform.python_version()}",
        ", ".join(filter(None, map(package_version, PACKAGES))),
    ]
    try:
        from skgen.kernels import simd

        lines.append(f"skgen kernels: {simd}")
    except ImportError as error:
        lines.append(f"skgen kernels: none ({error})")
    return lines + blas_kernels()


def package_version(package):
    """Name and version of an installed package, None when it is absent."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None


def blas_kernels():
    """One line per BLAS in the process, as threadpoolctl sees it."""
    from threadpoolctl import threadpool_info

    lines = []
    for library in threadpool_info():
        if library["user_api"] == "blas":
            owner = Path(library["filepath"]).parent.name.removesuffix(".libs")
            lines.append(
                f"BLAS of {owner}: {library['internal_api']} {library['version']},"
                f" {library.get('architecture', 'unknown')} kernels,"
                f" {library['num_threads']} threads"
            )
    return sorted(lines)

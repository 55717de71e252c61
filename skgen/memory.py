"""How much memory there is, asked before it is taken.

Linux promises memory that it does not have, and ends the process later; what is known to be too
much is refused before.
"""

import os

# An array may take this share of the memory that is available.
MOST = 0.9
UNKNOWN = 2**62
# Limit and use of a container, in the two versions of control groups.
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


class InsufficientMemory(ValueError, MemoryError):
    """Something does not fit into memory; the message names the bytes it needs."""


def require(needed, what, remedy):
    """Raise `InsufficientMemory` where `needed` bytes for `what` are not there."""
    if not fits(needed):
        raise InsufficientMemory(
            f"{what} need {needed} bytes ({needed / 2**30:.1f} GiB), but {available()} bytes of"
            f" memory are available; {remedy}"
        )


def fits(needed):
    """Whether so many bytes can be taken."""
    return needed <= MOST * available()


def available():
    """Bytes that the process can still take, as far as the system tells."""
    found = physical()
    for limit, used in GROUPS:
        try:
            with open(limit) as file, open(used) as current:
                text = file.read().strip()
                if text.isdigit():
                    found = min(found, max(int(text) - int(current.read()), 0))
        except OSError:
            continue
    return found


def physical():
    """Bytes of the machine that nobody uses."""
    found = UNKNOWN
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        found = UNKNOWN  # no such file: another system
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        found = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return found

"""Python processes of their own, for tests of imports, signals, forks and pickles."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def command(script, *arguments):
    """The command line that runs `script` with `arguments`; tests.* are looked up last."""
    script = f"import sys\nsys.path.append({str(ROOT)!r})\n{script}"
    return [sys.executable, "-X", "faulthandler", "-c", script, *map(str, arguments)]


def run(script, *arguments, timeout=120, check=True, **changes):
    """Run a script to its end; what it printed, and an error with its stderr if it failed."""
    done = subprocess.run(
        command(script, *arguments),
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if check:
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr}"
    return done

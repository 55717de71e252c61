"""Tests import the skgen that is installed, wherever they are started from."""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])

# `python -m pytest` puts the checkout first on the path, where skgen has no compiled kernels
# unless it was installed with -e. Looked at last, the checkout still serves tests.* and an
# editable install.
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != ROOT] + [ROOT]
# The same for Python processes that tests start.
os.environ["PYTHONSAFEPATH"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

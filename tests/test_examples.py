"""Every example with a picture runs from anywhere, with what `skgen[plot]` brings, and draws it."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*/plot_*.py"))
# The tests' own extra has pandas and polars, the examples' has not.
WITHOUT_FRAMES = """
import runpy, sys

class NoFrames:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pandas", "polars"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoFrames())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
PNG = b"\x89PNG\r\n\x1a\n"


def test_there_are_examples():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_draws_its_picture(script, tmp_path):
    picture = tmp_path / "picture.png"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_FRAMES, script, "--output", picture],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(PNG)
    assert str(picture) in done.stdout

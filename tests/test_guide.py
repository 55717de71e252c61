"""Every block of Python in the guide runs by itself, without a warning."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "doc").glob("*.md")))
    for number, block in enumerate(BLOCK.findall(page.read_text()))
]


def test_there_are_blocks():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs(block):
    try:
        exec(compile(block, "<guide>", "exec"), {"__name__": "__main__"})
    finally:
        plt.close("all")

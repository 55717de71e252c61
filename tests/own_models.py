"""The models of `examples/extending`, which the tests of EM and the guide share."""

import importlib.util
from pathlib import Path

EXTENDING = Path(__file__).resolve().parents[1] / "examples" / "extending"


def example(name):
    """The module behind an example."""
    specification = importlib.util.spec_from_file_location(name, EXTENDING / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module

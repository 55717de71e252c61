"""The rules of the house, read from the sources."""

import ast
from pathlib import Path

import pytest

import skgen

PACKAGE = Path(skgen.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in SOURCES]

# Module or package of skgen -> what of skgen it may import (besides itself).
VALUES = {"statistics", "distributions", "losses", "penalties", "networks", "seeding"}
LAYERS = {
    "kernels": set(),
    "rows": set(),
    "labels": set(),
    "memory": set(),
    "parameters": set(),
    **{name: {"kernels", "rows", "parameters"} for name in VALUES},
    "objectives": VALUES | {"kernels", "rows", "parameters"},
    "residuals": VALUES | {"kernels", "rows", "parameters"},
    "solvers": {"kernels", "rows", "parameters"},
    "base": {"labels", "rows", "parameters"},
}
PACKAGES = (
    "cluster",
    "decomposition",
    "inspection",
    "linear_model",
    "mixture",
    "model_selection",
    "neural_network",
    "semi_supervised",
)
FOUNDATION = set(LAYERS) | {"callbacks"}
ESTIMATORS = {
    "mixture": FOUNDATION | {"cluster"},
    "semi_supervised": FOUNDATION
    | {"cluster", "linear_model", "mixture", "model_selection", "neural_network"},
    "model_selection": {"base", "labels", "rows"},
    "callbacks": {"base", "rows"},
    "inspection": {"base", "rows"},
}

# Packages that work with any estimator, graph search or splitter of scikit-learn.
OF_ANY_ESTIMATOR = ("model_selection", "semi_supervised")
# Where the objective of another package gets one more term.
REACHED = {
    "semi_supervised": {
        "linear_model.fitting",
        "neural_network.mlp_classifier",
        "neural_network.training",
    }
}


def layer(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path):
    """Every (dotted module, line) that a source imports, relative ones made absolute."""
    here = ("skgen", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module, node.lineno
            if module == "skgen" or module in {f"skgen.{name}" for name in LAYERS}:
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_module_imports_only_what_lies_below_it(path):
    mine = layer(path)
    if mine == "":
        allowed = set()
    elif mine in LAYERS:
        allowed = LAYERS[mine]
    else:
        allowed = ESTIMATORS.get(mine, FOUNDATION)
    for module, line in imports(path):
        parts = module.split(".")
        if parts[0] != "skgen" or len(parts) == 1 or parts[1] in ("__version__", mine):
            continue
        assert parts[1] in allowed, f"{path}:{line} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_base_alone_imports_scikit_learn(path):
    if path == PACKAGE / "base.py" or layer(path) in OF_ANY_ESTIMATOR:
        return
    for module, line in imports(path):
        assert module.split(".")[0] != "sklearn", f"{path}:{line} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_estimator_packages_import_public_names_of_one_another(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            package = parts[1] if parts[0] == "skgen" and len(parts) > 1 else None
            if package in PACKAGES and package != layer(path):
                public = len(parts) == 2 or ".".join(parts[1:]) in REACHED.get(layer(path), ())
                assert public, f"{path}:{node.lineno} reaches into {node.module}"
                assert not any(alias.name.startswith("_") for alias in node.names)


def test_rules_are_not_vacuous():
    """The reader sees the imports there are."""
    assert "sklearn.base" in {module for module, _ in imports(PACKAGE / "base.py")}
    assert "skgen.kernels" in {module for module, _ in imports(PACKAGE / "statistics.py")}
    assert len(SOURCES) >= 5


def test_no_file_is_a_drawer():
    drawers = ("util", "common", "helper", "manager", "misc")
    for path in PACKAGE.rglob("*"):
        if path.suffix in {".py", ".pyx", ".h", ".pxd"}:
            assert not any(word in path.stem.lower() for word in drawers), path
            assert path.stem == "__init__" or not path.stem.startswith("_"), path
            assert "base" not in path.stem or path == PACKAGE / "base.py", path


DANGEROUS = {"eval", "exec", "compile", "__import__"}
DANGEROUS_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "subprocess", "ctypes"}


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_nothing_executes_data(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else None
            assert name not in DANGEROUS, f"{path}:{node.lineno} calls {name}"
            dotted = ast.unparse(node.func)
            assert dotted not in {"os.system", "os.popen", "pickle.load", "pickle.loads"}, dotted
            for keyword in node.keywords:
                assert not (
                    keyword.arg in ("allow_pickle", "shell")
                    and getattr(keyword.value, "value", None) is True
                ), f"{path}:{node.lineno} sets {keyword.arg}=True"
    if path.name != "build.py":
        for module, line in imports(path):
            assert module.split(".")[0] not in DANGEROUS_MODULES, f"{path}:{line} {module}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_module_says_what_it_is_and_nothing_is_half_done(path):
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    for word in ("TODO", "FIXME", "XXX", "NotImplemented"):
        assert word not in text, f"{path} contains {word}"
    assert "print(" not in text, f"{path} prints; use the logger"


def test_public_names_have_documentation():
    for package in PACKAGES:
        module = getattr(skgen, package)
        # As ruff sorts: names in capitals first.
        assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
        for name in module.__all__:
            public = getattr(module, name)
            assert public.__doc__, name
            for attribute, value in vars(public).items():
                if not attribute.startswith("_") and callable(value):
                    assert value.__doc__, f"{name}.{attribute} has no docstring"

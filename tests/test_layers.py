"""The layers of the design: a file imports only from layers on its left."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, run_cold

LAYERS = (
    (
        *("tags", "text", "config", "instantiation", "saved_config", "trust"),
        *("device", "explanation", "files", "free_text", "memory", "messages", "paths", "process"),
        *("schemes", "sweeps"),
    ),
    ("data", "modules", "evaluation"),
    ("models",),
    ("training", "inference"),
    ("reports",),
    ("serving",),
    ("command_line",),
    ("commands",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PACKAGE = ROOT / "nerlab"
COPYABLE = PACKAGE / "modules" / "linear_chain"
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 1 and path.parent == COPYABLE:
            yield "nerlab.modules.linear_chain"  # the folder is copied as a whole
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides what it names"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name: str) -> str:
    """``nerlab.data.batch.Batch`` to ``data``; empty for what is not of nerlab."""
    names = name.split(".")
    return names[1] if names[0] == "nerlab" and len(names) > 1 else ""


def files_with(wanted: str) -> list[str]:
    """The files of the package and the scripts that import a module of this name."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in [*FILES, *ROOT.glob("*.py")]
        if any(name == wanted or name.startswith(wanted + ".") for name in imports(path))
    ]


def layer(path: Path) -> str:
    """The name in ``RANK`` under which a file of the package imports."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_from_its_left_alone(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        return  # the face of the package shows what inference offers
    own = layer(path)
    for name in imports(path):
        other = part(name)
        if other and other != own:
            assert RANK[other] < RANK[own] or RANK[other] == RANK[own] == 0, name


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {layer(path) for path in FILES}
    assert parts - {"__init__"} <= RANK.keys()


@pytest.mark.parametrize("path", sorted((PACKAGE / "modules").rglob("*.py")), ids=lambda p: p.name)
def test_modules_need_torch_and_the_standard_library_alone(path: Path) -> None:
    for name in imports(path):
        known = {"torch", *sys.stdlib_module_names}
        assert name.startswith("nerlab.modules.") or name.split(".")[0] in known, name


def test_one_file_imports_wandb() -> None:
    assert files_with("wandb") == ["nerlab/training/wandb_tracker.py"]


def test_one_file_makes_what_the_configuration_names() -> None:
    assert files_with("hydra.utils") == []
    assert files_with("importlib.import_module") == ["nerlab/__main__.py", "nerlab/trust.py"]
    found = files_with("pkgutil.resolve_name")
    assert found == ["nerlab/instantiation.py", "nerlab/trust.py"]  # which checks and calls nothing


def test_the_scripts_are_thin() -> None:
    for name in ("train.py", "evaluate.py", "predict.py", "nerlab/__main__.py"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 70


def test_importing_nerlab_loads_nothing_that_prediction_does_not_need(tmp_path: Path) -> None:
    heavy = ["wandb", "seqeval", "sklearn", "scipy", "pandas", "matplotlib", "rich", "pytest"]
    code = f"import nerlab, sys; print([name for name in {heavy} if name in sys.modules])"
    assert run_cold(["-c", code], tmp_path) == (0, "[]\n", "")


def test_what_downloads_is_imported_when_something_is_fetched(tmp_path: Path) -> None:
    assert files_with("pooch") == ["nerlab/data/download.py"]
    code = "import nerlab.data.load, sys; print({'pooch', 'requests'} & sys.modules.keys())"
    assert run_cold(["-c", code], tmp_path) == (0, "set()\n", "")


def test_no_import_needs_what_linux_alone_has() -> None:
    alone = re.compile(
        r"\b(\w*affinity|epoll|eventfd|memfd_create|prlimit|pidfd_open|splice)\b|/proc"
    )
    for path in (path for path in FILES if alone.search(path.read_text(encoding="utf-8"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        later = {id(node) for function in functions for node in ast.walk(function)}
        now = (ast.dump(node) for node in ast.walk(tree) if id(node) not in later)
        parts = [part for part in now if "body=" not in part]  # others hold functions too
        assert not [part for part in parts if alone.search(part)], path

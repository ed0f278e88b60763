"""The floors of the house: a room imports only what lies on a lower floor, and the three wings never import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The first prefix that fits names the floor. Rooms on one floor may import each other only within one wing (one prefix).
FLOORS = [
    ("daemon.__main__", 7),
    ("daemon.cli", 6),
    ("daemon.commands", 5),
    ("daemon.assembly", 4),
    ("daemon.learning", 2),
    ("daemon.monitoring", 2),
    ("daemon.storage", 2),
    ("daemon.serving", 3),
    ("daemon.config", 1),
    ("daemon.settings", 1),
    ("daemon.errors", 1),
    ("daemon.state", 1),
    ("daemon.failpoints", 1),
    ("daemon.compiled", 1),
    ("streams", 0),
]
# The loop and its parts: one wing on the third floor.
LOOP = 3


def room(module: str) -> tuple[str, int]:
    """The wing that a module belongs to, and its floor."""
    for prefix, floor in FLOORS:
        if module == prefix or module.startswith(prefix + "."):
            # The first floor is one wing: settings, errors and states may know each other.
            return ("first floor" if floor == 1 else prefix), floor
    return "loop", LOOP


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("daemon", "streams"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("name", "path"), [pytest.param(*m, id=m[0]) for m in modules()])
def test_a_module_imports_only_lower_floors(name: str, path: Path) -> None:
    wing, floor = room(name)
    against = [
        target
        for target in imports(path)
        if target.split(".")[0] in ("daemon", "streams")
        and target not in ("daemon", "daemon.__version__")
        and not (room(target)[1] < floor or room(target)[0] == wing)
    ]
    assert against == []


def test_the_test_above_can_fail() -> None:
    assert room("daemon.trainer") == ("loop", 3)
    assert room("daemon.serving.app")[0] != room("daemon.trainer")[0]
    assert room("daemon.learning.models.mixture") == ("daemon.learning", 2)
    assert room("streams.kafka")[1] < room("daemon.config")[1]


def test_streams_knows_nothing_of_torch() -> None:
    for name, path in modules():
        if name.startswith("streams"):
            assert not [i for i in imports(path) if i.split(".")[0] in ("torch", "transformers", "daemon")], name


@pytest.mark.parametrize("word", ["pickle", "torch.load(", "joblib", "dill", "shelve", "marshal"])
def test_nothing_is_pickled(word: str) -> None:
    code = {name: _code(path) for name, path in modules()}
    assert [name for name, text in code.items() if word in text] == []


def _code(path: Path) -> str:
    """The module without its docstrings and comments, which may say what is not done."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def test_help_needs_nothing_heavy() -> None:
    """`learnd --help` is quick because nothing that it imports is slow, here by walking what cli.py imports."""
    allowed = {"argparse", "importlib", "collections", "pathlib", "typing", "daemon", "__future__"}
    assert {target.split(".")[0] for target in imports(ROOT / "daemon" / "cli.py")} <= allowed

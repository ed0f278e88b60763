"""Finding what a contract must cover: the classes of a kind, wherever in their package they were added."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType


def classes_of(base: type, package: ModuleType) -> set[type]:
    """The subclasses of `base` in the modules of a package that can be built."""
    names = [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    found = {value for name in names for _, value in inspect.getmembers(importlib.import_module(name), inspect.isclass)}
    return {value for value in found if issubclass(value, base) and not inspect.isabstract(value)}


def has_example(kind: object) -> bool:
    """Whether the docstring shows one; `tests/test_doctests.py` runs it."""
    return ">>> " in (kind.__doc__ or "")

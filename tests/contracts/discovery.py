"""Finding what a contract must cover: the classes of a kind, wherever in a wing they were added."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

from daemon.learning.experts.base import Expert
from daemon.learning.models.base import Model


def classes_of(base: type, package: ModuleType) -> set[type]:
    """The subclasses of `base` in the modules of a package, and of the packages in it, that can be built."""
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    found = {value for name in names for _, value in inspect.getmembers(importlib.import_module(name), inspect.isclass)}
    return {value for value in found if issubclass(value, base) and not inspect.isabstract(value)}


def experts_of(model: Model) -> set[type[Expert]]:
    """The classes of a pool's experts, of those of the pool behind late labels; none for a model without a pool."""
    return {type(expert) for expert in getattr(getattr(model, "_pool", model), "_experts", ())}


def has_example(kind: object) -> bool:
    """Whether the docstring shows one; `tests/test_doctests.py` runs it."""
    return ">>> " in (kind.__doc__ or "")

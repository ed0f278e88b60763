"""Reading saved states: what is missing is named, instead of a bare KeyError from deep inside a resume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from daemon.errors import StateError
from daemon.state import State


def take(state: State, key: str, *, owner: str) -> Any:
    """The value under `key`; raises `StateError` that names the owner and the key where it is missing.

    >>> take({"examples": 3}, "examples", owner="metrics")
    3
    """
    try:
        return state[key]
    except KeyError:
        raise StateError(f"{owner}: the saved state has no {key!r}; it was written by another version or is damaged") from None


def take_list(state: State, key: str, *, owner: str) -> list[Any]:
    """The array under `key` (numpy, or a tensor of the CPU) as a list of plain Python numbers."""
    return list(np.asarray(take(state, key, owner=owner)).tolist())


def same_names(saved: Iterable[str], built: Iterable[str], *, owner: str) -> None:
    """Raise `StateError` where a saved state holds other parts than the object that is to take it."""
    saved, built = sorted(saved), sorted(built)
    if saved != built:
        raise StateError(f"{owner}: the saved state holds {saved}, the settings ask for {built}; restore the settings")

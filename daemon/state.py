"""What every `state_dict()` in learnd is made of.

A state is a dictionary with string keys whose values are arrays (numpy arrays or torch tensors), JSON values, or further
states. Arrays stand only as values of a dictionary, never inside a list. Nothing else is allowed, so that a state can be
written as safetensors and JSON and hashed in a canonical order; no pickle is ever needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

from daemon.errors import StateError

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
State: TypeAlias = dict[str, Any]


class Stateful(Protocol):
    """Anything that changes: what it returns, loaded into a fresh object, makes that object go on identically."""

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Raise `StateError`, with the remedy, where a state that was read whole does not fit: another version has other parts.

    >>> try:
    ...     with loading("checkpoint 7"):
    ...         {}["mixer"]
    ... except StateError as error:
    ...     str(error)[:77]
    "checkpoint 7 holds the state of another version of learnd (KeyError: 'mixer')"
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise StateError(
            f"{name} holds the state of another version of learnd ({type(error).__name__}: {error}); go on with the version "
            "that wrote it, or start with a fresh storage.folder"
        ) from error

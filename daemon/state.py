"""What every `state_dict()` in learnd is made of.

A state is a dictionary with string keys whose values are arrays (numpy arrays or torch tensors), JSON values, or further
states. Arrays stand only as values of a dictionary, never inside a list. Nothing else is allowed, so that a state can be
written as safetensors and JSON and hashed in a canonical order; no pickle is ever needed.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None
State: TypeAlias = dict[str, Any]


class Stateful(Protocol):
    """Anything that changes: what it returns, loaded into a fresh object, makes that object go on identically."""

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...

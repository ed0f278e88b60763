"""The contract of a replay policy: which past rows are kept, and which of them are seen again.

Rows are columns of equal length N. "target" (N,) is a class index or number, "weight" (N,) the loss weight; the other
columns are what the model needs to see a row again, such as "tokens" (N, T) and "length" (N,).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.state import State

Rows = Mapping[str, NDArray[Any]]


class Replay(ABC):
    """Keeps at most `capacity` rows. What is kept depends on the rows and their order, never on how they were cut."""

    capacity: int

    @abstractmethod
    def update(self, rows: Rows) -> None:
        """Consider rows for keeping, in their order."""

    @abstractmethod
    def sample(self, n: int, ordinal: int) -> Rows:
        """At most `n` kept rows for slow step `ordinal` (counted from 0), fewer where fewer are kept. Changes nothing.

        Returns {} where nothing is kept.
        """

    def prefer_recent(self) -> None:  # noqa: B027 - not every policy knows what is recent
        """After a drift: replay more of what came last, for as long as the policy sees fit."""

    @abstractmethod
    def __len__(self) -> int:
        """Rows kept."""

    @abstractmethod
    def state_bytes(self) -> int:
        """Memory of the rows kept."""

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None:
        """Take a state; raises `StateError` where it holds more rows than fit."""


def num_rows(rows: Rows) -> int:
    """N; 0 for {}.

    >>> num_rows({"target": np.zeros(3), "weight": np.ones(3)}), num_rows({})
    (3, 0)
    """
    return len(rows["target"]) if rows else 0


def take(rows: Rows, index: slice | NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """Some of the rows, copied.

    >>> take({"target": np.array([1.0, 2.0])}, slice(1, 2))
    {'target': array([2.])}
    """
    return {name: np.array(column[index]) for name, column in rows.items()}


def concatenate(first: Rows, second: Rows) -> dict[str, NDArray[Any]]:
    """Both, one after the other; no rows are {}, so that a state tells nothing of how none came to be.

    >>> concatenate({}, {"target": np.zeros(0)}), concatenate({}, {"target": np.ones(1)})
    ({}, {'target': array([1.])})
    """
    parts = [rows for rows in (first, second) if num_rows(rows)]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]} if parts else {}

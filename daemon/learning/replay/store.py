"""Rows in preallocated columns, addressed by slot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.replay.base import Rows, num_rows, take
from daemon.state import State


class Store:
    """Slots 0 … capacity - 1, filled from 0 on. Columns take shape and dtype from the first row written."""

    def __init__(self, *, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}; it must be at least 1 row (or choose no replay)")
        self.capacity = capacity
        self.size = 0
        self._columns: dict[str, NDArray[Any]] = {}

    def write(self, slot: int, rows: Rows, index: int) -> None:
        """Put row `index` of `rows` into a slot that is in use, or into the first free one."""
        if not self._columns:
            self._columns = {name: np.zeros((self.capacity, *column.shape[1:]), column.dtype) for name, column in rows.items()}
        for name, column in rows.items():
            self._columns[name][slot] = column[index]
        self.size = max(self.size, slot + 1)

    def read(self, slots: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        return take(self._columns, slots)

    def targets(self) -> NDArray[np.float64]:
        """(size,) targets of the slots in use."""
        return self._columns["target"][: self.size] if self._columns else np.zeros(0)

    def nbytes(self) -> int:
        return sum(column.nbytes for column in self._columns.values())

    def state_dict(self) -> State:
        return dict(take(self._columns, slice(0, self.size)))

    def load_state_dict(self, state: State) -> None:
        rows = {name: np.asarray(column) for name, column in state.items()}
        size = num_rows(rows)
        if size > self.capacity:
            raise StateError(f"the saved replay holds {size} rows, here {self.capacity} fit; resume with the saved capacity")
        self.size, self._columns = 0, {}
        for index in range(size):
            self.write(index, rows, index)

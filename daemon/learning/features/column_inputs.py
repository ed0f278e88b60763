"""Which inputs of the dense rows stand for which column of a table, given out as they are first needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.features.column_kernels import CHANGES, CODE, MISSING_MARK, NUM_SLOTS, SEASON, SLOT, column_without_inputs
from daemon.learning.features.inputs import Dense
from daemon.learning.features.table_kernels import MISSING, NUM_CHANGES, NUMBER
from daemon.state import State

# Categories of one column that get an input of their own; those after them share inputs by a code of random signs.
ONE_HOT = 16
CODE_WIDTH = 4


class ColumnInputs:
    """Gives inputs of `current` and `context` to columns: for a number, a missing mark, a category, and a code of categories.

    `slot_NS` holds where each of a column's inputs starts, -1 where it has none yet: its number in `current`, its missing mark,
    its number and changes in `context`, the code that its later categories share, its change from the last season in `context`.
    Inputs are never given back.

    Memory: 48 bytes a column, and 16 categories a column.
    """

    def __init__(self, *, current: Dense, context: Dense) -> None:
        self._current, self._context = current, context
        self._category_slot: dict[int, int] = {}
        self.slot_NS = np.full((0, NUM_SLOTS), -1, dtype=np.int64)
        self._num_categories_N = np.zeros(0, dtype=np.int64)
        self.mark_D: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        """Inputs of `current` that are no numbers: missing marks and categories, in the order in which they came."""

    def add_columns(self, num_new: int) -> None:
        self.slot_NS = np.concatenate([self.slot_NS, np.full((num_new, NUM_SLOTS), -1, dtype=np.int64)])
        self._num_categories_N = np.concatenate([self._num_categories_N, np.zeros(num_new, dtype=np.int64)])

    def learn(self, kind_N: NDArray[np.int64], category_N: NDArray[np.uint64], categorical: Sequence[int]) -> None:
        """Give out what the current row is the first to need; `categorical` are its columns with a category."""
        while (column := column_without_inputs(kind_N, self.slot_NS)) >= 0:
            self._widen(column, kind_N[column])
        for column in categorical:
            self._add_category(column, int(category_N[column]))

    def add_seasons(self) -> None:
        """Give each column that has changes one from the last season, where it has none yet."""
        columns = np.flatnonzero((self.slot_NS[:, CHANGES] >= 0) & (self.slot_NS[:, SEASON] < 0))
        self.slot_NS[columns, SEASON] = self._context.width + np.arange(len(columns))
        self._context.widen(self._context.width + len(columns))

    def encode_categories(self, category_N: NDArray[np.uint64], categorical: Sequence[int]) -> None:
        """Write the categories of the current row into `current`."""
        for column in categorical:
            category = int(category_N[column])
            slot = self._category_slot.get(category, -1)
            if slot >= 0:
                self._current.values_D[slot] = 1.0
            elif self.slot_NS[column, CODE] >= 0:
                for bit in range(CODE_WIDTH):
                    self._current.values_D[self.slot_NS[column, CODE] + bit] = 0.5 if category >> bit & 1 else -0.5

    def _widen(self, column: int, kind: int) -> None:
        start = self._current.width
        if kind == NUMBER:
            self.slot_NS[column, SLOT] = start
            self.slot_NS[column, CHANGES] = self._context.width
            self._current.widen(start + 2)
            self._context.widen(self._context.width + 1 + NUM_CHANGES)
        elif kind == MISSING:
            self.slot_NS[column, MISSING_MARK] = start
            self._mark(start + 1)

    def _add_category(self, column: int, category: int) -> None:
        if category in self._category_slot or self.slot_NS[column, CODE] >= 0:
            return
        start = self._current.width
        if self._num_categories_N[column] < ONE_HOT:
            self._category_slot[category] = start
            self._num_categories_N[column] += 1
            self._mark(start + 1)
        else:
            self.slot_NS[column, CODE] = start
            self._mark(start + CODE_WIDTH)

    def _mark(self, width: int) -> None:
        """Widen `current` by inputs that are no numbers."""
        self.mark_D = np.append(self.mark_D, np.arange(self._current.width, width))
        self._current.widen(width)

    def state_dict(self) -> State:
        return {
            "widths": [self._current.width, self._context.width],
            "slot_NS": self.slot_NS.copy(),
            "num_categories_N": self._num_categories_N.copy(),
            "categories": np.array(list(self._category_slot), dtype=np.uint64).view(np.int64),
            "category_slots": np.array(list(self._category_slot.values()), dtype=np.int64),
        }

    def load_state_dict(self, state: State) -> None:
        self.slot_NS = np.array(state["slot_NS"], dtype=np.int64)
        self._num_categories_N = np.array(state["num_categories_N"], dtype=np.int64)
        categories = np.array(state["categories"], dtype=np.int64).view(np.uint64)
        self._category_slot = dict(zip(categories.tolist(), state["category_slots"].tolist(), strict=True))
        self._current.values_D = np.zeros(state["widths"][0], dtype=np.float32)
        self._context.values_D = np.zeros(state["widths"][1], dtype=np.float32)
        slot_N = self.slot_NS[:, SLOT]
        numbers = slot_N[slot_N >= 0]
        self.mark_D = np.setdiff1d(np.arange(self._current.width), np.concatenate([numbers, numbers + 1]))

"""What is known of a table's columns: their names, running statistics and last values, and their season."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.features import table_kernels as kernels
from daemon.learning.features.hash_text import hash_text
from daemon.learning.features.season import season_of_numbers
from daemon.learning.features.table_row import TableRow
from daemon.state import State

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What grows with the number of columns and is learned; the sorted windows follow from the rings.
ARRAYS = ("stats_NS", "_ring_NW", "_sorted_NW", "_size_N", "_next_N")


class Columns:
    """N columns in the order in which they came. `learn` takes a row in; `measure` changes nothing.

    `stats_NS` is as in `table_kernels`; `key_N` hashes of the names; `index` where each name stands; `season` after how many
    rows the numbers come again, 0 where they do not or nobody asked.

    Memory: 16 bytes · `window` a column.
    """

    def __init__(self, *, window: int) -> None:
        self._window = window
        self.index: dict[str, int] = {}
        self.num_rows = 0
        self.season = 0
        self._allocate()

    def _allocate(self) -> None:
        """Arrays for the columns in `index`, of which none has been seen."""
        n = len(self.index)
        self.stats_NS: Floats = np.zeros((n, kernels.NUM_STATS))
        self._ring_NW: Floats = np.zeros((n, self._window))
        self._sorted_NW: Floats = np.zeros((n, self._window))
        self._size_N: Ints = np.zeros(n, dtype=np.int64)
        self._next_N: Ints = np.zeros(n, dtype=np.int64)
        self.key_N = np.array([hash_text(name) for name in self.index], dtype=np.uint64)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def num_changes(self) -> int:
        """How many changes a number has: one more where there is a season."""
        return kernels.WITH_SEASON if self.season else kernels.NUM_CHANGES

    def measure(self, row: TableRow) -> None:
        """Fill in a row's z-scores, ranks and changes, and which of its numbers are too far off."""
        kernels.measure_row(
            row.value_N, row.kind_N, self.stats_NS, self._sorted_NW, self._size_N,
            row.z_N, row.rank_N, row.change_NC, row.known_N, self.num_changes,
        )  # fmt: skip

    def summarize(self, row: TableRow, summary_D: NDArray[np.float32]) -> None:
        """Fill in the rank of each number, drawn to the middle where its column nearly always has it, and a category's hash as
        a number in [0, 1)."""
        kernels.summarize_row(row.value_N, row.kind_N, row.rank_N, self._sorted_NW, self._size_N, row.category_N, summary_D)

    def add(self, names: Sequence[str]) -> None:
        """Take in columns that come with the row that is learned next."""
        kept = {name: getattr(self, name) for name in ARRAYS}
        num_known = len(self.index)
        self.index |= {name: num_known + place for place, name in enumerate(names)}
        self._allocate()
        for name, array in kept.items():
            getattr(self, name)[:num_known] = array
        self.stats_NS[num_known:, kernels.ABSENT] = self.num_rows

    def learn(self, row: TableRow) -> None:
        self.num_rows += 1
        kernels.learn_row(
            row.value_N, row.kind_N, self.stats_NS, self._ring_NW, self._sorted_NW, self._size_N, self._next_N, self.season
        )

    def look_for_season(self) -> None:
        """In columns that had a number in every row that the window holds, or would hold."""
        size = min(self.num_rows, self._window)
        unbroken_N = np.flatnonzero(self.stats_NS[:, kernels.UNBROKEN] >= size)
        before, self.season = self.season, season_of_numbers(self._ring_NW, self._next_N, unbroken_N, size, self.season)
        if self.season != before:
            self.stats_NS[:, kernels.SEASON_ROWS] = 0.0
            self.stats_NS[:, kernels.SPREAD + kernels.NUM_CHANGES] = 0.0

    def state_dict(self) -> State:
        statistics = {name.strip("_"): getattr(self, name).copy() for name in ARRAYS if name != "_sorted_NW"}
        return statistics | {"names": list(self.index), "rows": self.num_rows, "season": self.season}

    def load_state_dict(self, state: State) -> None:
        if state["ring_NW"].shape[1] != self._window:
            raise StateError(f"the saved rank window has {state['ring_NW'].shape[1]} rows, this one {self._window}; set it so")
        self.index = {name: column for column, name in enumerate(state["names"])}
        self.num_rows, self.season = int(state["rows"]), int(state["season"])
        self._allocate()
        for name in ARRAYS:
            if name != "_sorted_NW":
                setattr(self, name, np.array(state[name.strip("_")]))
        for column, size in enumerate(self._size_N):
            self._sorted_NW[column, :size] = np.sort(self._ring_NW[column, :size])

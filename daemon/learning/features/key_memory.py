"""What the last targets were of rows that had the same value in a column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.state import State

# Two values of a column that meet in a slot push each other out.
SLOTS = 1 << 14
# A wild error counts for so many of the usual ones when columns are compared, over the last so many rows.
ERROR_LIMIT = 10.0
ERROR_ROWS = 100.0
STEP_ROWS = 16.0
LAST, BEFORE, SUM, COUNT = 0, 1, 2, 3


class KeyMemory:
    """Last target, the one before it, sum and count, by column and exact value, for at most `max_columns` columns.

    The *key* is the column whose last target, and the mean step from it lately, came closest to targets of late. Memory:
    640 KiB a column at most; a state holds the slots that are used.

    >>> memory = KeyMemory()
    >>> keys_N = np.array([7], dtype=np.uint64)
    >>> for target in (3.0, 5.0):
    ...     memory.learn(keys_N, target, bounded=target, fallback=0.0, usual_error=1.0)
    >>> memory.recall(keys_N).tolist()
    [5.0, 3.0, 8.0, 2.0]
    """

    def __init__(self, *, max_columns: int = 16) -> None:
        self._max_columns = max_columns
        self._clear(0)

    def _clear(self, num_columns: int) -> None:
        self._error_N = np.zeros(num_columns)
        self._step_N = np.zeros(num_columns)
        self._num_rows = 0
        self._tag_NS = np.zeros((num_columns, SLOTS), dtype=np.uint64)
        self._memory_NSM = np.zeros((num_columns, SLOTS, 4))

    def recall(self, keys_N: NDArray[np.uint64]) -> NDArray[np.float64] | None:
        """What is remembered of the key's value in a row, (last, before, sum, count), if anything."""
        return self._recall(int(self._error_N.argmin()), keys_N) if len(self._error_N) else None

    def _recall(self, column: int, keys_N: NDArray[np.uint64]) -> NDArray[np.float64] | None:
        if column >= len(keys_N) or not keys_N[column]:
            return None
        slot = int(keys_N[column]) % SLOTS
        known: bool = self._tag_NS[column, slot] == keys_N[column]
        return self._memory_NSM[column, slot] if known else None

    def learn(self, keys_N: NDArray[np.uint64], target: float, *, bounded: float, fallback: float, usual_error: float) -> None:
        """Take a row in.

        The sum takes `bounded`, the target drawn in where it is wild. `fallback` is what a value never seen is held to predict;
        a 0 in `keys_N` is no value.
        """
        self._fit(min(len(keys_N), self._max_columns), usual_error)
        self._num_rows += 1
        for column in range(len(self._error_N)):
            memory_M = self._recall(column, keys_N)
            guess = fallback if memory_M is None else memory_M[LAST]
            step = target - guess
            error = min(abs(step - self._step_N[column]), ERROR_LIMIT * usual_error)
            self._step_N[column] += (step - self._step_N[column]) / min(self._num_rows, STEP_ROWS)
            self._error_N[column] += (error - self._error_N[column]) / min(self._num_rows, ERROR_ROWS)
            if column < len(keys_N) and keys_N[column]:
                slot = int(keys_N[column]) % SLOTS
                self._tag_NS[column, slot] = keys_N[column]
                before, total, count = (target, 0.0, 0.0) if memory_M is None else memory_M[[LAST, SUM, COUNT]].tolist()
                self._memory_NSM[column, slot] = (target, before, total + bounded, count + 1.0)

    def _fit(self, num_columns: int, usual_error: float) -> None:
        """Room for columns that have come; they start as good as the fallback."""
        new = num_columns - len(self._error_N)
        if new > 0:
            self._error_N = np.append(self._error_N, np.full(new, usual_error))
            self._step_N = np.append(self._step_N, np.zeros(new))
            self._tag_NS = np.concatenate([self._tag_NS, np.zeros((new, SLOTS), dtype=np.uint64)])
            self._memory_NSM = np.concatenate([self._memory_NSM, np.zeros((new, SLOTS, 4))])

    def state_dict(self) -> State:
        used_NS = self._tag_NS != 0
        return {
            "num_rows": self._num_rows,
            "errors": self._error_N.copy(),
            "steps": self._step_N.copy(),
            "slots": np.flatnonzero(used_NS),
            "tags": self._tag_NS[used_NS].view(np.int64),
            "memory": self._memory_NSM[used_NS],
        }

    def load_state_dict(self, state: State) -> None:
        self._clear(len(state["errors"]))
        self._num_rows = int(state["num_rows"])
        self._error_N = np.array(state["errors"], dtype=np.float64)
        self._step_N = np.array(state["steps"], dtype=np.float64)
        self._tag_NS.reshape(-1)[state["slots"]] = np.array(state["tags"], dtype=np.int64).view(np.uint64)
        self._memory_NSM.reshape(-1, 4)[state["slots"]] = state["memory"]

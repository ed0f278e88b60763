"""The worst stretch of a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from daemon.monitoring.saved import take, take_list
from daemon.state import State


class WorstStretch:
    """The lowest accuracy over any `num_rows` rows in a row; None before there were so many.

    >>> worst = WorstStretch(num_rows=4)
    >>> worst.update_all([True, True, False, True, True])
    >>> worst.accuracy
    0.75
    """

    def __init__(self, *, num_rows: int) -> None:
        self._num_rows = num_rows
        self._recent: deque[bool] = deque(maxlen=num_rows)
        self._num_hits = 0
        self._fewest_hits: int | None = None

    def update_all(self, hits: Sequence[bool]) -> None:
        """Take rows in their order: whether each was right."""
        recent, num_rows = self._recent, self._num_rows
        for hit in hits:
            if len(recent) == num_rows:
                self._num_hits -= recent[0]
            recent.append(hit)
            self._num_hits += hit
            if len(recent) == num_rows and (self._fewest_hits is None or self._num_hits < self._fewest_hits):
                self._fewest_hits = self._num_hits

    @property
    def accuracy(self) -> float | None:
        return None if self._fewest_hits is None else self._fewest_hits / self._num_rows

    def state_dict(self) -> State:
        return {"recent": np.array(self._recent, dtype=np.bool_), "fewest_hits": self._fewest_hits}

    def load_state_dict(self, state: State) -> None:
        self._recent = deque(take_list(state, "recent", owner="worst stretch"), maxlen=self._num_rows)
        self._num_hits = sum(self._recent)
        self._fewest_hits = take(state, "fewest_hits", owner="worst stretch")

"""The worst stretch of a stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.saved import take
from daemon.state import State


class WorstStretch:
    """The lowest accuracy over any `num_rows` rows in a row; None before there were so many.

    >>> worst = WorstStretch(num_rows=4)
    >>> worst.update_all(np.array([True, True, False, True, True]))
    >>> worst.accuracy
    0.75
    """

    def __init__(self, *, num_rows: int) -> None:
        self._num_rows = num_rows
        self._recent = np.zeros(0, np.bool_)
        self._fewest_hits: int | None = None

    def update_all(self, hit_B: NDArray[np.bool_]) -> None:
        """Take rows in their order: whether each was right."""
        hit_N = np.concatenate([self._recent, hit_B])
        if len(hit_N) >= self._num_rows:
            total = np.concatenate([[0], hit_N.cumsum()])
            # The first stretch was looked at before, if there was one: a minimum does not mind.
            fewest = int((total[self._num_rows :] - total[: -self._num_rows]).min())
            self._fewest_hits = fewest if self._fewest_hits is None else min(fewest, self._fewest_hits)
        self._recent = hit_N[-self._num_rows :]

    @property
    def accuracy(self) -> float | None:
        return None if self._fewest_hits is None else self._fewest_hits / self._num_rows

    def state_dict(self) -> State:
        return {"recent": self._recent, "fewest_hits": self._fewest_hits}

    def load_state_dict(self, state: State) -> None:
        self._recent = np.array(take(state, "recent", owner="worst stretch"), np.bool_)
        self._fewest_hits = take(state, "fewest_hits", owner="worst stretch")

"""The labels that came before, as inputs: which were the last, how often each came lately, and when they come again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.inputs import Dense
from daemon.learning.features.season import WINDOW, is_due, season_of_labels
from daemon.state import State

Floats = NDArray[np.float64]

HALF_LIVES = (4.0, 32.0)
DECAY_H = 0.5 ** (1.0 / np.array(HALF_LIVES))
# Labels beyond these have no inputs, so that the width of a pool with many labels stays bounded.
MAX_LABELS = 32
INPUTS_PER_LABEL = 4


class LabelHistory:
    """Of each of the first 32 labels: is it the last, is it the one before, and its share at half-lives of 4 and 32 rows.

    `last_L` holds the last two labels, newest first, -1 where there was none; `share_CH` the shares. Where it is not
    `enabled`, it stays empty and adds no input.

    >>> history, context = LabelHistory(enabled=True), Dense()
    >>> for label in (0, 1):
    ...     history.learn(label, context)
    >>> history.last_L.tolist(), history.share_CH.round(3).tolist()
    ([1, 0], [[0.134, 0.021], [0.159, 0.021]])
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self.last_L = np.full(2, -1, dtype=np.int64)
        self.share_CH = np.zeros((0, len(HALF_LIVES)))
        self._start_C = np.zeros(0, dtype=np.int64)
        self._ring_W = np.zeros(WINDOW, dtype=np.int64)
        self._num_rows = 0
        self._season = 0

    @property
    def seasonal(self) -> int:
        """The label one season before the row that is learned next, -1 where labels have no season."""
        return int(self._ring_W[(self._num_rows - self._season) % WINDOW]) if self._season else -1

    def encode(self, context_D: NDArray[np.float32]) -> None:
        """Write the labels' inputs into those of the current row."""
        _encode(self.last_L, self.share_CH, self._start_C, context_D)

    def learn(self, label: int, context: Dense) -> None:
        """Take a label in; a new one gets inputs at the end of `context`."""
        if not self._enabled:
            return
        while len(self._start_C) <= min(label, MAX_LABELS - 1):
            self._start_C = np.append(self._start_C, context.width)
            self.share_CH = np.vstack([self.share_CH, np.zeros(len(HALF_LIVES))])
            context.widen(context.width + INPUTS_PER_LABEL)
        _learn(label, self.last_L, self.share_CH)
        self._ring_W[self._num_rows % WINDOW] = label
        self._num_rows += 1
        if is_due(self._num_rows):
            size = min(self._num_rows, WINDOW)
            self._season = season_of_labels(self._ring_W, size, self._num_rows % WINDOW, self._season)

    def state_dict(self) -> State:
        own = {"last": self.last_L.copy(), "shares": self.share_CH.copy(), "starts": self._start_C.copy()}
        return own | {"ring": self._ring_W.copy(), "rows": self._num_rows, "season": self._season}

    def load_state_dict(self, state: State) -> None:
        self.last_L = np.array(state["last"], dtype=np.int64)
        self.share_CH = np.array(state["shares"], dtype=np.float64)
        self._start_C = np.array(state["starts"], dtype=np.int64)
        self._ring_W = np.array(state["ring"], dtype=np.int64)
        self._num_rows, self._season = int(state["rows"]), int(state["season"])


@compiled
def _encode(last_L: NDArray[np.int64], share_CH: Floats, start_C: NDArray[np.int64], context_D: NDArray[np.float32]) -> None:
    for back in range(len(last_L)):
        if 0 <= last_L[back] < len(start_C):
            context_D[start_C[last_L[back]] + back] = 1.0
    for label in range(len(start_C)):
        for h in range(share_CH.shape[1]):
            context_D[start_C[label] + len(last_L) + h] = share_CH[label, h]


@compiled
def _learn(label: int, last_L: NDArray[np.int64], share_CH: Floats) -> None:
    last_L[1], last_L[0] = last_L[0], label
    for c in range(len(share_CH)):
        for h in range(len(DECAY_H)):
            share_CH[c, h] *= DECAY_H[h]
    if label < len(share_CH):
        for h in range(len(DECAY_H)):
            share_CH[label, h] += 1.0 - DECAY_H[h]

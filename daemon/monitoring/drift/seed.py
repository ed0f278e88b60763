"""SEED: blocks of rows, likely cuts kept and unlikely ones merged away."""

from __future__ import annotations

import math
from typing import Final

from daemon.errors import ConfigError
from daemon.monitoring.drift.base import Detector, checked_share
from daemon.monitoring.saved import take
from daemon.state import State

BLOCK_ROWS: Final = 32

# Blocks between two compressions. Neighbours whose means differ by less than i * 0.8 * 0.01 are merged, i counted from the
# newest pair: past i = 125 that is any pair, so that no more than about 200 blocks are ever kept.
COMPRESS_EVERY_BLOCKS: Final = 75
EPSILON: Final = 0.01
GROWTH: Final = 0.8


class Seed(Detector):
    """Alarm where the rows before and after some edge of a block differ in mean by more than Bernstein's bound at `delta`.

    The bound is loose, so that false alarms stay far below `delta`, and even a `delta` above 1 can be worth its alarms.
    Values lie in [0, 1]; tests are made every 32 rows, when a block is full. After an alarm the older rows are dropped.

    >>> detector = Seed(delta=0.05)
    >>> alarms = []
    >>> for row in range(2000):
    ...     detector.update(row % 10 == 0 if row < 1000 else row % 2 == 0)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1055, True)]

    Huang, Koh, Dobbie and Pears 2014, "Detecting volatility shift in data streams", with its linear growth of the merging
    threshold and its parameters.
    """

    def __init__(self, *, delta: float = 0.05) -> None:
        if not delta > 0:
            raise ConfigError(f"SEED: delta is {delta}; it must be above 0")
        self._log_delta = math.log(delta)
        # Full blocks, oldest first: rows, sum, sum of squares.
        self._blocks: list[tuple[int, float, float]] = []
        self._open: tuple[int, float, float] = (0, 0.0, 0.0)
        self._num_since_compression = 0
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        x = checked_share(x)
        self.drift_detected = False
        rows, total, squares = self._open
        self._open = (rows + 1, total + x, squares + x * x)
        if rows + 1 == BLOCK_ROWS:
            self._close_block()

    def _close_block(self) -> None:
        self._blocks.append(self._open)
        self._open = (0, 0.0, 0.0)
        self._find_cut()
        self._num_since_compression += 1
        if self._num_since_compression >= COMPRESS_EVERY_BLOCKS:
            self._num_since_compression = 0
            self._blocks = _compressed(self._blocks)

    def _find_cut(self) -> None:
        """Try every edge, the newest first, and drop what lies before the first that is a change."""
        num_rows = sum(block[0] for block in self._blocks)
        total = math.fsum(block[1] for block in self._blocks)
        variance = max(0.0, math.fsum(block[2] for block in self._blocks) / num_rows - (total / num_rows) ** 2)
        depth = max(0.0, math.log(2 * math.log(num_rows)) - self._log_delta)
        newer_rows, newer_total = 0, 0.0
        for index in range(len(self._blocks) - 1, 0, -1):
            newer_rows += self._blocks[index][0]
            newer_total += self._blocks[index][1]
            older_rows = num_rows - newer_rows
            per_row = 1 / older_rows + 1 / newer_rows
            difference = newer_total / newer_rows - (total - newer_total) / older_rows
            if abs(difference) > math.sqrt(2 * per_row * variance * depth) + 2 / 3 * depth * per_row:
                self.drift_detected, self.worse = True, difference > 0
                del self._blocks[:index]
                return

    def state_dict(self) -> State:
        return {
            "blocks": [list(block) for block in self._blocks],
            "open": list(self._open),
            "since_compression": self._num_since_compression,
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        self._blocks = [(rows, total, squares) for rows, total, squares in take(state, "blocks", owner="SEED")]
        rows, total, squares = take(state, "open", owner="SEED")
        self._open = (rows, total, squares)
        self._num_since_compression = take(state, "since_compression", owner="SEED")
        self.drift_detected = take(state, "drift_detected", owner="SEED")
        self.worse = take(state, "worse", owner="SEED")


def _compressed(blocks: list[tuple[int, float, float]]) -> list[tuple[int, float, float]]:
    """`blocks` with neighbours merged that are alike, the older the sooner.

    >>> _compressed([(32, 3.0, 3.0), (32, 3.0, 3.0), (32, 16.0, 16.0)])
    [(64, 6.0, 6.0), (32, 16.0, 16.0)]
    """
    kept = [blocks[-1]]
    threshold = 0.0
    for rows, total, squares in reversed(blocks[:-1]):
        threshold += EPSILON * GROWTH
        newer_rows, newer_total, newer_squares = kept[-1]
        if abs(newer_total / newer_rows - total / rows) < threshold:
            kept[-1] = (newer_rows + rows, newer_total + total, newer_squares + squares)
        else:
            kept.append((rows, total, squares))
    kept.reverse()
    return kept

"""Errors of any size, brought to shares that a detector can take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from daemon.monitoring.drift.base import Detector, checked_error
from daemon.monitoring.saved import take
from daemon.state import State

# Rows that a scale is taken from.
SCALE_ROWS: Final = 100

# Blocks of as many losses in which a scale is on probation: a learner that has just begun, or begun anew, becomes better fast.
PROBATION_BLOCKS: Final = 5

# A share of 1 is this many times the scale, or more: one wild row must not pass for a drift.
FULL_SCALE: Final = 3.0

# Of the rows that a scale is taken from, a loss counts for so many times what four in five of them stay under, at most.
USUAL: Final = 0.8
WILD: Final = 5.0

# So that sums stay finite.
LARGEST: Final = 1e100


class Relative(Detector):
    """Shows losses of any size to `detector` as shares: loss / (3 x scale), at most 1.

    The scale is the level of losses above 0, and is held fixed while the detector counts, so that a constant error looks
    constant. It is set from the first 100 rows, of which the detector sees none, and anew

    - from the 100 rows after an alarm of the detector, in whatever direction;
    - where the level of 100 rows with a loss is below half of it: the learner has become better, or the scale was taken from
      wild rows. With `both` that is so in the first 500 such rows only: later a fall is for the detector to tell.

    The detector then starts afresh, for what it saw was on another scale. `update` takes any number from 0 on.

    >>> from daemon.monitoring.drift.glr import LikelihoodRatio
    >>> detector = Relative(LikelihoodRatio(threshold=15.0))
    >>> alarms = []
    >>> for row in range(3000):
    ...     detector.update(1e9 if row == 50 else (3 if row < 1000 else 7) + row % 5)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1007, True)]
    """

    def __init__(self, detector: Detector, *, both: bool = False) -> None:
        self._detector = detector
        self._fresh = detector.state_dict()
        self._both = both
        self._full_scale: float | None = None  # None before the first 100 rows
        self._is_due = True  # that the next 100 rows set the scale, whatever their level
        self._num_blocks = 0  # since it was set
        self._num_rows = 0  # of the block
        self._losses: list[float] = []  # those of its rows that are above 0
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        x = min(checked_error(x), LARGEST)
        self._num_rows += 1
        if x > 0.0:
            self._losses.append(x)
        if len(self._losses) == SCALE_ROWS or (self._is_due and self._num_rows == SCALE_ROWS):
            self._close_block()
        self.drift_detected = False
        if self._full_scale is None:
            return
        self._detector.update(_share(x, self._full_scale))
        self.drift_detected = self._detector.drift_detected
        if self.drift_detected:
            self.worse = self._detector.worse
            self._is_due = True
            self._begin_block()  # most of its rows are from before the change

    def _begin_block(self) -> None:
        self._num_rows = 0
        self._losses.clear()

    def _close_block(self) -> None:
        full_scale = FULL_SCALE * level(self._losses)
        self._begin_block()
        self._num_blocks += 1
        if self._is_due or self._has_fallen(full_scale):
            self._full_scale, self._is_due, self._num_blocks = full_scale, False, 0
            self._detector.load_state_dict(self._fresh)

    def _has_fallen(self, full_scale: float) -> bool:
        assert self._full_scale is not None
        follows = not self._both or self._num_blocks <= PROBATION_BLOCKS
        return follows and full_scale < self._full_scale / 2

    def state_dict(self) -> State:
        return {
            "detector": self._detector.state_dict(),
            "full_scale": self._full_scale,
            "due": self._is_due,
            "blocks": self._num_blocks,
            "rows": self._num_rows,
            "losses": list(self._losses),
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        owner = "relative errors"
        self._detector.load_state_dict(take(state, "detector", owner=owner))
        self._full_scale = take(state, "full_scale", owner=owner)
        self._is_due = take(state, "due", owner=owner)
        self._num_blocks = take(state, "blocks", owner=owner)
        self._num_rows = take(state, "rows", owner=owner)
        self._losses = list(take(state, "losses", owner=owner))
        self.drift_detected = take(state, "drift_detected", owner=owner)
        self.worse = take(state, "worse", owner=owner)


def _share(loss: float, full_scale: float) -> float:
    """Where no row of the scale had a loss, any loss is the largest."""
    if loss >= full_scale:
        return 1.0 if loss else 0.0
    return loss / full_scale


def level(losses: Sequence[float]) -> float:
    """The mean, each loss counting for five times what four in five of them stay under, at most; 0 where there are none.

    >>> level([1.0, 2.0, 3.0]), level([1.0] * 99 + [1e9]), level([])
    (2.0, 1.04, 0.0)
    """
    if not losses:
        return 0.0
    most = WILD * sorted(losses)[int(USUAL * (len(losses) - 1))]
    return math.fsum(min(loss, most) for loss in losses) / len(losses)

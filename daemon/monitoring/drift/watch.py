"""A detector in the user's terms: one direction or both, and a pause after an alarm."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np

from daemon.errors import ConfigError
from daemon.monitoring.drift.base import Detector, Floats, checked
from daemon.monitoring.saved import take
from daemon.state import State

Direction: TypeAlias = Literal["worse", "both"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("worse", "both")


class Watch(Detector):
    """Passes on the alarms of `detector` that the user asked for.

    With direction "worse" a fall of the error raises no alarm; the detector takes it in all the same, as the level that a
    later rise is measured against. The `pause_rows` rows after an alarm are not shown to the detector at all: the model is
    still adapting then, and its errors would spoil the new level.

    >>> from daemon.monitoring.drift.adwin import Adwin
    >>> watch = Watch(Adwin(delta=0.002), direction="worse", pause_rows=500)
    >>> alarms = []
    >>> for row in range(4000):
    ...     watch.update(row % 2 == 0 if row < 1000 or 2000 <= row < 3000 else row % 10 == 0)
    ...     if watch.drift_detected:
    ...         alarms.append(row)
    >>> alarms
    [2047]
    """

    def __init__(self, detector: Detector, *, direction: Direction = "worse", pause_rows: int = 0) -> None:
        if direction not in DIRECTIONS:
            raise ConfigError(f"direction is {direction!r}; it must be 'worse' or 'both'")
        if pause_rows < 0:
            raise ConfigError(f"pause_rows is {pause_rows}; it must be 0 or more")
        self.detector = detector
        self._both = direction == "both"
        self._pause_rows = pause_rows
        self._num_paused = 0
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        self.advance(np.array([x], np.float64))

    def advance(self, x_N: Floats) -> int:
        num_taken = 0
        while num_taken < len(x_N):
            if self._num_paused:
                checked(x_N[num_taken])
                self.drift_detected = False
                self._num_paused -= 1
                num_taken += 1
                continue
            num_taken += self.detector.advance(x_N[num_taken:])
            self.drift_detected = self.detector.drift_detected and (self._both or self.detector.worse)
            if self.drift_detected:
                self.worse = self.detector.worse
                self._num_paused = self._pause_rows
                break
        return num_taken

    def state_dict(self) -> State:
        return {
            "detector": self.detector.state_dict(),
            "paused": self._num_paused,
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        self.detector.load_state_dict(take(state, "detector", owner="drift watch"))
        self._num_paused = take(state, "paused", owner="drift watch")
        self.drift_detected = take(state, "drift_detected", owner="drift watch")
        self.worse = take(state, "worse", owner="drift watch")

"""ADWIN: a window that is cut where its older and newer part differ in mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from river.drift.adwin import ADWIN

from daemon.monitoring.drift.base import Detector, Floats, checked
from daemon.monitoring.saved import take
from daemon.state import State


class Adwin(Detector):
    """River's ADWIN; a smaller `delta` means fewer false alarms and later true ones.

    Bifet and Gavaldà 2007, "Learning from time-changing data with adaptive windowing". The bound assumes values within
    [0, 1]. After an alarm the window starts anew.

    >>> detector = Adwin(delta=0.002)
    >>> alarms = []
    >>> for row in range(2000):
    ...     detector.update(row % 10 == 0 if row < 1000 else row % 2 == 0)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1055, True)]
    """

    def __init__(self, *, delta: float = 0.002) -> None:
        self._adwin = _window(delta)
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        self.advance(np.array([checked(x)]))

    def advance(self, x_N: Floats) -> int:
        if not np.isfinite(x_N).all():
            return super().advance(x_N)  # which takes those before it and refuses the one
        adwin = self._adwin
        # River itself starts a fresh window at the update after an alarm, so the mean before that is the old level.
        num_before, total_before = (0, 0.0) if adwin.drift_detected else (adwin.width, adwin.total)
        for num_taken, x in enumerate(x_N.tolist(), start=1):
            adwin.update(x)
            if adwin.drift_detected:
                self.drift_detected, self.worse = True, bool(adwin.estimation > total_before / num_before)
                return num_taken
            num_before, total_before = num_before + 1, total_before + x
        self.drift_detected = False
        return len(x_N)

    def state_dict(self) -> State:
        # The window lives in a Rust object whose only door is this pair of bytes in and out.
        return {
            "window": np.frombuffer(self._adwin._helper.__getstate__(), dtype=np.uint8).copy(),
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        window = np.asarray(take(state, "window", owner="ADWIN"), dtype=np.uint8)
        self.drift_detected = take(state, "drift_detected", owner="ADWIN")
        self.worse = take(state, "worse", owner="ADWIN")
        self._adwin = _window(self._adwin.delta)
        self._adwin._helper.__setstate__(window.tobytes())
        self._adwin._drift_detected = self.drift_detected


def _window(delta: float) -> Any:
    return ADWIN(delta=delta)  # type: ignore[no-untyped-call]  # River annotates only part of itself

"""STEPD: the errors of the last rows against those of all rows before them."""

from __future__ import annotations

import math
from collections import deque
from statistics import NormalDist
from typing import Final

from daemon.errors import ConfigError
from daemon.monitoring.drift.base import Detector, checked_binary
from daemon.monitoring.saved import take
from daemon.state import State

WINDOW_ROWS: Final = 30


class Stepd(Detector):
    """A test of equal proportions, with continuity correction, between the last 30 rows and all rows before since the alarm.

    Values are 0 and 1. `alpha` is the significance level of one test, `both` looks for a fall of the error as well (the
    paper looks for a rise alone). The test takes numbers of errors to be normal, which rare ones are not: of one error in a
    thousand rows, two among 30 would be beyond all chance. So an alarm needs Fisher's exact test to agree, at that level.

    >>> detector = Stepd(alpha=0.003)
    >>> alarms = []
    >>> for row in range(2000):
    ...     detector.update(row % 10 == 0 if row < 1000 else row % 2 == 0)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1014, True)]

    Nishida and Yamauchi 2007, "Detecting concept drift using statistical testing"; the exact test as de Lima Cabral and de
    Barros 2018, "Concept drift detection based on Fisher's exact test".
    """

    def __init__(self, *, alpha: float = 0.003, both: bool = False) -> None:
        if not 0 < alpha < 0.5:
            raise ConfigError(f"STEPD: alpha is {alpha}; it must be above 0 and below 0.5")
        self._alpha, self._needed = alpha, -NormalDist().inv_cdf(alpha)
        self._both = both
        self._recent: deque[float] = deque()
        self._num_older, self._older_errors, self._recent_errors = 0, 0.0, 0.0
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        x = checked_binary(x)
        if self.drift_detected:
            self._recent.clear()
            self._num_older, self._older_errors, self._recent_errors = 0, 0.0, 0.0
        self._recent.append(x)
        self._recent_errors += x
        if len(self._recent) > WINDOW_ROWS:
            oldest = self._recent.popleft()
            self._num_older += 1
            self._older_errors += oldest
            self._recent_errors -= oldest
        rise = self._rise() if self._num_older >= WINDOW_ROWS else 0.0
        is_large = rise > self._needed or (self._both and rise < -self._needed)
        self.drift_detected = is_large and self._chance(rise > 0) <= self._alpha
        if self.drift_detected:
            self.worse = rise > 0

    def _rise(self) -> float:
        """By how many standard deviations the error rose; below 0 where it fell."""
        per_row = 1 / self._num_older + 1 / WINDOW_ROWS
        pooled = (self._older_errors + self._recent_errors) / (self._num_older + WINDOW_ROWS)
        deviation = math.sqrt(pooled * (1 - pooled) * per_row)
        if deviation == 0.0:
            return 0.0
        difference = self._recent_errors / WINDOW_ROWS - self._older_errors / self._num_older
        return math.copysign(max(0.0, abs(difference) - 0.5 * per_row), difference) / deviation

    def _chance(self, rose: bool) -> float:
        """Of so many errors or more among the last rows (or so few or fewer), were all errors spread evenly over all rows."""
        num_rows, errors = self._num_older + WINDOW_ROWS, int(self._older_errors + self._recent_errors)
        recent = int(self._recent_errors)
        counts = range(recent, min(WINDOW_ROWS, errors) + 1) if rose else range(max(0, errors - self._num_older), recent + 1)
        every = _log_ways(num_rows, errors)
        return sum(math.exp(_log_ways(WINDOW_ROWS, k) + _log_ways(self._num_older, errors - k) - every) for k in counts)

    def state_dict(self) -> State:
        return {
            "recent": list(self._recent),
            "older_rows": self._num_older,
            "older_errors": self._older_errors,
            "recent_errors": self._recent_errors,
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        self._recent = deque(take(state, "recent", owner="STEPD"))
        self._num_older = take(state, "older_rows", owner="STEPD")
        self._older_errors = take(state, "older_errors", owner="STEPD")
        self._recent_errors = take(state, "recent_errors", owner="STEPD")
        self.drift_detected = take(state, "drift_detected", owner="STEPD")
        self.worse = take(state, "worse", owner="STEPD")


def _log_ways(rows: int, errors: int) -> float:
    """Logarithm of the number of ways in which so many errors lie among so many rows."""
    return math.lgamma(rows + 1) - math.lgamma(errors + 1) - math.lgamma(rows - errors + 1)

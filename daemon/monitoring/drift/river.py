"""River's detectors that can be held to a budget (budget.py), under the one contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from river.drift.binary.hddm_a import HDDMA
from river.drift.binary.hddm_w import HDDMW
from river.drift.page_hinkley import PageHinkley

from daemon.errors import ConfigError, StateError
from daemon.monitoring.drift import river_state
from daemon.monitoring.drift.base import Detector, checked
from daemon.monitoring.saved import take
from daemon.state import State

_KINDS: Final[Mapping[str, Callable[..., Any]]] = {
    "page_hinkley": PageHinkley,  # Page 1954
    "hddm_a": HDDMA,  # Frías-Blanco et al. 2014, Hoeffding's bound on averages
    "hddm_w": HDDMW,  # the same, McDiarmid's bound on weighted averages
}
KINDS: Final = tuple(_KINDS)

# These test a share of errors, so a value must be 0 or 1.
BINARY: Final = frozenset({"hddm_a", "hddm_w"})

# Rows whose mean says in which direction an alarm went.
_RECENT_ROWS: Final = 30


class RiverDetector(Detector):
    """One of River's detectors (`KINDS`), built with River's own parameters.

    They do not tell the direction of a change; here it is that of the last 30 values against all since the alarm before.

    >>> detector = RiverDetector(kind="hddm_w")
    >>> alarms = []
    >>> for row in range(2000):
    ...     detector.update(row % 10 == 0 if row < 1000 else row % 2 == 0)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1066, True)]
    """

    def __init__(self, *, kind: str, **parameters: float | int | str | bool) -> None:
        """Raises `ConfigError` for an unknown kind."""
        if kind not in _KINDS:
            raise ConfigError(f"detector {kind!r} is unknown; there are {', '.join(KINDS)}")
        self._kind = kind
        self._detector = _KINDS[kind](**parameters)
        self._recent: deque[float] = deque(maxlen=_RECENT_ROWS)
        self._sum = 0.0
        self._num_values = 0
        self.drift_detected = False
        self.worse = False

    def update(self, x: float) -> None:
        x = checked(x)
        if self._kind in BINARY and x not in (0.0, 1.0):
            raise ValueError(f"detector {self._kind!r} was given {x}; it takes 0 and 1 only, use adwin or page_hinkley")
        if self.drift_detected:
            self._recent.clear()
            self._sum, self._num_values = 0.0, 0
        self._recent.append(x)
        self._sum += x
        self._num_values += 1
        self._detector.update(x)
        self.drift_detected = bool(self._detector.drift_detected)
        if self.drift_detected:
            self.worse = sum(self._recent) / len(self._recent) > self._sum / self._num_values

    def state_dict(self) -> State:
        return {
            "kind": self._kind,
            "river": river_state.encode(self._detector),
            "recent": list(self._recent),
            "sum": self._sum,
            "values": self._num_values,
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        owner = f"detector {self._kind!r}"
        kind = take(state, "kind", owner=owner)
        if kind != self._kind:
            raise StateError(f"{owner}: the saved state is of {kind!r}; restore the settings")
        self._detector = river_state.decode(take(state, "river", owner=owner))
        self._recent = deque(take(state, "recent", owner=owner), maxlen=_RECENT_ROWS)
        self._sum = take(state, "sum", owner=owner)
        self._num_values = take(state, "values", owner=owner)
        self.drift_detected = take(state, "drift_detected", owner=owner)
        self.worse = take(state, "worse", owner=owner)

"""All drift detectors side by side, each shown with every row what is known then, and the alarms that they raised."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.alarm import INPUTS, Alarm
from daemon.monitoring.drift.base import Detector, Floats
from daemon.monitoring.drift.inputs import InputShift
from daemon.monitoring.saved import same_names, take
from daemon.state import JSON, State

# A report lists every alarm of a sane stream; a detector gone wild must not fill the memory.
MAX_ALARMS_KEPT: Final = 10_000


class Detectors:
    """Detectors of the error by name, and perhaps one of the inputs.

    Where labels are late, an error is known `label_delay` rows after its row, and counts as that later row's.

    >>> from daemon.monitoring.drift.glr import LikelihoodRatio
    >>> detectors = Detectors({"glr": LikelihoodRatio(threshold=15.0)})
    >>> detectors.observe(np.arange(200) % 10 == 0.0, None, start=0)
    []
    >>> detectors.observe(np.ones(50), None, start=200)
    [Alarm(example=206, detector='glr', direction='worse')]
    """

    def __init__(self, of_the_error: Mapping[str, Detector], *, inputs: InputShift | None = None, label_delay: int = 0) -> None:
        self._of_the_error, self._inputs, self._label_delay = dict(of_the_error), inputs, label_delay
        self._alarms: deque[Alarm] = deque(maxlen=MAX_ALARMS_KEPT)
        self._errors_on_their_way_N = np.empty(0)  # of the rows whose labels have not arrived

    @property
    def directions(self) -> dict[str, tuple[str, ...]]:
        """Each detector with the directions that an alarm of its may have."""
        return {**dict.fromkeys(self._of_the_error, ("worse", "better")), **({INPUTS: ("none",)} if self._inputs else {})}

    @property
    def num_alarms(self) -> int:
        """Alarms raised so far, of the newest 10,000."""
        return len(self._alarms)

    def observe(self, error_B: Floats, inputs_BD: NDArray[np.float32] | None, *, start: int) -> list[Alarm]:
        """Show every detector what is known with each row from `start` on; the alarms that it raised, in the order of rows."""
        known_N = np.concatenate([self._errors_on_their_way_N, error_B])
        num_arrived = max(0, len(known_N) - self._label_delay)
        arrived_N, self._errors_on_their_way_N = known_N[:num_arrived], known_N[num_arrived:]
        first = start + len(error_B) - num_arrived
        alarms = [alarm for name, detector in self._of_the_error.items() for alarm in _alarms(name, detector, arrived_N, first)]
        if self._inputs is not None and inputs_BD is not None:
            for row, inputs_D in enumerate(inputs_BD):
                self._inputs.update(inputs_D)
                if self._inputs.drift_detected:
                    alarms.append(Alarm(example=start + row, detector=INPUTS, direction="none"))
        alarms.sort(key=lambda alarm: alarm.example)
        self._alarms.extend(alarms)
        return alarms

    def report(self) -> list[dict[str, JSON]]:
        """The newest 10,000 alarms, oldest first."""
        return [asdict(alarm) for alarm in self._alarms]

    def state_dict(self) -> State:
        late = {"errors": self._errors_on_their_way_N.tolist()} if self._label_delay else {}
        return late | {
            "each": {name: detector.state_dict() for name, detector in self._of_the_error.items()},
            "inputs": {} if self._inputs is None else self._inputs.state_dict(),
            "alarms": [[alarm.example, alarm.detector, alarm.direction] for alarm in self._alarms],
        }

    def load_state_dict(self, state: State) -> None:
        each = take(state, "each", owner="detectors")
        same_names(each, self._of_the_error, owner="detectors")
        for name, detector in self._of_the_error.items():
            detector.load_state_dict(each[name])
        if self._inputs is not None:
            self._inputs.load_state_dict(take(state, "inputs", owner="detectors"))
        if self._label_delay:
            self._errors_on_their_way_N = np.array(take(state, "errors", owner="detectors"), np.float64)
        alarms = take(state, "alarms", owner="detectors")
        self._alarms = deque((Alarm(*alarm) for alarm in alarms), maxlen=MAX_ALARMS_KEPT)


def _alarms(name: str, detector: Detector, error_N: Floats, first: int) -> Iterator[Alarm]:
    """Show `detector` errors, the first of which is known with row `first`."""
    num_taken = 0
    while num_taken < len(error_N):
        num_taken += detector.advance(error_N[num_taken:])
        if detector.drift_detected:
            yield Alarm(example=first + num_taken - 1, detector=name, direction="worse" if detector.worse else "better")

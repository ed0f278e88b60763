"""What a detector raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

INPUTS: Final = "inputs"
"""The name under which the detector of the inputs raises alarms."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A detector's alarm at row `example`, counted from 0: "worse" where the error rose, "better" where it fell, "none" where
    the inputs changed, which alone do not tell. Where labels are late, it is the row with which the label arrived.

    >>> Alarm(example=7, detector="glr", direction="worse").worse, Alarm(example=9, detector=INPUTS, direction="none").worse
    (True, False)
    """

    example: int
    detector: str
    direction: Literal["worse", "better", "none"]

    @property
    def worse(self) -> bool:
        return self.direction == "worse"

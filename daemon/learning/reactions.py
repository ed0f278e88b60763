"""What a model may do when its error has drifted for the worse. Each can be switched off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from daemon.state import State

# For how many rows after an alarm a mixer hastens, and how many times as much of its weight it spreads then.
HASTE_ROWS: Final = 200
HASTE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reactions:
    """Which reactions are wanted: the slow part's rate warms up again, its replay prefers recent rows for a while, the mixer
    spreads more of its weight for a while, so that the experts that know the new concept are found sooner, and what the pool
    was before is kept beside it for a while, for a trouble that passes (see `anchor.py`).

    docs/drift.md has what each is worth. Re-warming makes good for a rate that has fallen; where it is constant it slows down
    the very steps that follow the drift."""

    rewarm: bool = False
    recent_replay: bool = False
    faster_mixer: bool = True
    anchor: bool = True


class Haste:
    """By what to multiply the share of weight that fixed share spreads: 1, and for 200 rows after `begin` 10.

    >>> haste = Haste()
    >>> haste.begin()
    >>> factors = [haste.next_factor() for _ in range(201)]
    >>> factors[0], factors[199], factors[200]
    (10.0, 10.0, 1.0)
    """

    def __init__(self) -> None:
        self._rows_left = 0

    def begin(self) -> None:
        """From the next row on."""
        self._rows_left = HASTE_ROWS

    @property
    def holds(self) -> bool:
        """Whether the next row that is learned is one of the 200."""
        return self._rows_left > 0

    def next_factor(self) -> float:
        """The factor for the next row that is learned."""
        if not self._rows_left:
            return 1.0
        self._rows_left -= 1
        return HASTE

    def state_dict(self) -> State:
        return {"rows_left": self._rows_left}

    def load_state_dict(self, state: State) -> None:
        self._rows_left = int(state["rows_left"])

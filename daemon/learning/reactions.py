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
    """The share of weight that fixed share spreads: `share`, and for 200 rows after `begin` ten times as much.

    >>> haste = Haste(share=0.001)
    >>> haste.begin()
    >>> shares = [haste.next_share() for _ in range(201)]
    >>> shares[0], shares[199], shares[200]
    (0.01, 0.01, 0.001)
    """

    def __init__(self, *, share: float) -> None:
        self._share, self._rows_left = share, 0

    def begin(self) -> None:
        """From the next row on."""
        self._rows_left = HASTE_ROWS

    @property
    def holds(self) -> bool:
        """Whether the next row that is learned is one of the 200."""
        return self._rows_left > 0

    def next_share(self) -> float:
        """The share for the next row that is learned."""
        if not self._rows_left:
            return self._share
        self._rows_left -= 1
        return HASTE * self._share

    def state_dict(self) -> State:
        return {"rows_left": self._rows_left}

    def load_state_dict(self, state: State) -> None:
        self._rows_left = int(state["rows_left"])

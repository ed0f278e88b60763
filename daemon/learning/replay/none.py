"""No replay, with the same methods."""

from __future__ import annotations

from daemon.learning.replay.base import Replay, Rows
from daemon.state import State


class NoReplay(Replay):
    """Keeps nothing.

    >>> NoReplay().sample(8, ordinal=0)
    {}
    """

    capacity = 0

    def update(self, rows: Rows) -> None:
        """Nothing is kept."""

    def sample(self, n: int, ordinal: int) -> Rows:
        return {}

    def __len__(self) -> int:
        return 0

    def state_bytes(self) -> int:
        return 0

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        """There is nothing to take."""

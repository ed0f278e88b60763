"""Whether the losses of the last few rows are far above what they were: a first suspicion, rows before any detector."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

from daemon.monitoring.saved import take
from daemon.state import State

# Numbers of last rows that are looked at. The shortest shows a burst at once, the longest one that the learner adapts to.
_RECENT_ROWS: Final = (4, 8, 16, 32, 64)
_LEVEL_ROWS: Final = 500
_FEWEST_LEVEL_ROWS: Final = 50
# Standard errors above the level. One row in some hundred looks like a surge by chance.
_FAR: Final = 3.5


class Surge:
    """Compares the mean loss of the last 4 to 64 rows with that of the 500 rows before them.

    Meant for a decision that loses nothing by waiting a moment, so it is far more easily alarmed than a drift detector.

    >>> surge = Surge()
    >>> surge.update([0.0, 1.0] * 10 + [0.0] * 180)
    >>> surge.rising()
    False
    >>> surge.update([1.0, 1.0, 1.0])
    >>> surge.rising()
    True
    """

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=_LEVEL_ROWS + _RECENT_ROWS[-1])

    def update(self, losses: Iterable[float]) -> None:
        """Take the losses of further rows: 0 or 1, or the absolute error; at most 1e100."""
        self._losses.extend(losses)

    def rising(self) -> bool:
        """Whether any of the looks is far above the level. False until there is a level."""
        losses = list(self._losses)
        return any(_is_far(losses[-num_rows:], losses[: len(losses) - num_rows]) for num_rows in _RECENT_ROWS)

    def level(self) -> tuple[float, float] | None:
        """Mean loss, and the variance of that mean, of the older half of the rows that are remembered: from before a change
        that a detector has just found, for detectors are late. None before the second row.

        >>> surge = Surge()
        >>> surge.update([0.0, 1.0, 1.0, 1.0])
        >>> surge.level()
        (0.5, 0.125)
        """
        older = list(self._losses)[: len(self._losses) // 2]
        if not older:
            return None
        mean = math.fsum(older) / len(older)
        return mean, math.fsum((loss - mean) ** 2 for loss in older) / len(older) ** 2

    def state_dict(self) -> State:
        return {"losses": list(self._losses)}

    def load_state_dict(self, state: State) -> None:
        self._losses = deque(take(state, "losses", owner="surge"), maxlen=self._losses.maxlen)


def _is_far(recent: list[float], before: list[float]) -> bool:
    before = before[-_LEVEL_ROWS:]
    if len(before) < _FEWEST_LEVEL_ROWS:
        return False
    num_before = len(before)
    largest = max(*before, *recent) or 1.0
    scaled = [loss / largest for loss in before]  # so that squares of huge losses stay finite
    mean = math.fsum(scaled) / num_before
    # A level without any spread, as of a learner that made no error yet, is only known to one in that many rows.
    variance = math.fsum((loss - mean) ** 2 for loss in scaled) / num_before + 1 / num_before
    excess = math.fsum(loss / largest for loss in recent) - len(recent) * mean
    # One row alone is no surge.
    return excess > max(1.5, _FAR * math.sqrt(len(recent) * variance))

"""When the records came to be that no answer has learned yet: what the freshness of answers is told from."""

from __future__ import annotations

from collections.abc import Sequence

# A snapshot tells when its newest rows came to be; so many of them are enough to tell how fresh answers are.
MAX_ARRIVALS = 256


class Arrivals:
    """An even sample of the times, in seconds since the epoch, of all records since the last snapshot: `MAX_ARRIVALS` at most.

    >>> arrivals = Arrivals()
    >>> arrivals.add([3.0, 2.0], step=1)
    >>> arrivals.add([4.0], step=2)
    >>> arrivals.sample()
    [2.0, 3.0, 4.0]
    >>> arrivals.published(step=1)
    >>> arrivals.sample()
    [4.0]
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, float]] = []  # (step, time)
        self._seen, self._every = 0, 1

    def add(self, times_s: Sequence[float], *, step: int) -> None:
        """Records that were learned in this step."""
        row = -self._seen % self._every
        while row < len(times_s):
            self._kept.append((step, times_s[row]))
            if len(self._kept) > MAX_ARRIVALS:
                self._kept = self._kept[::2]
                self._every *= 2
            row += self._every - (self._seen + row) % self._every
        self._seen += len(times_s)

    def sample(self) -> list[float]:
        """Oldest first."""
        return sorted(time_s for _, time_s in self._kept)

    def published(self, *, step: int) -> None:
        """A snapshot of what was learned up to this step stands: those records are in the answers."""
        self._kept = [(later, time_s) for later, time_s in self._kept if later > step]
        self._seen, self._every = len(self._kept), 1

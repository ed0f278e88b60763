"""Four facts about a trainer that must never be mixed up: live, ready, caught up, learning."""

from __future__ import annotations

import time
from collections.abc import Callable

from daemon.state import JSON


class Health:
    """Told by the loop, asked by probes on another thread.

    *live*: the loop moves. Never whether Kafka can be reached: a restart would not bring the broker back.
    *ready*: startup is over and no stop was asked for.
    *caught up*: the lag is at most `caught_up_records`.
    *learning*: steps happen while there is lag, and the ledger can be written.

    >>> now = 100.0
    >>> health = Health(caught_up_records=10, stuck_after_s=60.0, clock=lambda: now)
    >>> health.turned(lag_records=500)
    >>> now = 150.0
    >>> health.facts()
    {'live': True, 'ready': True, 'caught_up': False, 'learning': True}
    >>> now = 161.0
    >>> health.facts()
    {'live': False, 'ready': True, 'caught_up': False, 'learning': False}
    """

    def __init__(self, *, caught_up_records: int, stuck_after_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._caught_up_records, self._stuck_after_s, self._clock = caught_up_records, stuck_after_s, clock
        self._moved_s = self._learned_s = clock()
        self._lag_records = 0
        self._turns = self._stopping = self._paused = False
        self._reachable = True

    def moved(self) -> None:
        """The loop is alive, whatever it is at."""
        self._moved_s = self._clock()

    def stepped(self) -> None:
        """A step was carried out."""
        self._moved_s = self._learned_s = self._clock()

    def turned(self, *, lag_records: int) -> None:
        """The loop went round once; `lag_records` is the lag over all partitions."""
        self._moved_s = self._clock()
        if lag_records == 0 or not self._turns:
            # With nothing to learn there is nothing to miss: the wait for a step starts with the lag.
            self._learned_s = self._moved_s
        self._lag_records = lag_records
        self._turns = True

    def paused(self, paused: bool) -> None:
        """Learning waits because the ledger cannot be written, or goes on."""
        self._moved_s = self._clock()
        self._paused = paused

    def source(self, *, reachable: bool) -> None:
        """Whether the source answers. None of the four facts: it degrades the sum, and nothing here can mend it."""
        self._reachable = reachable

    def stopping(self) -> None:
        """A stop was asked for; what is under way is finished."""
        self._stopping = True

    def facts(self) -> dict[str, bool]:
        """The four facts as of now."""
        now = self._clock()
        return {
            "live": now - self._moved_s <= self._stuck_after_s,
            "ready": self._turns and not self._stopping,
            "caught_up": self._turns and self._lag_records <= self._caught_up_records,
            "learning": not self._paused and now - self._learned_s <= self._stuck_after_s,
        }

    def document(self) -> dict[str, JSON]:
        """The facts and their sum, for `/health`: "ok" where all four hold and the source answers, else "degraded"."""
        facts = self.facts()
        status = "ok" if all(facts.values()) and self._reachable else "degraded"
        return {"status": status, **facts, "source_reachable": self._reachable, "lag_records": self._lag_records}

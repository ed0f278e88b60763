"""Closing micro-batches: when is enough, and when is long enough."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from streams.record import Record
from streams.source import Source

# A turn of the loop must come around often enough to see a stop request and to keep what is due.
TURN_S = 0.2


class Gatherer(ABC):
    """Gathers the records of the next micro-batch from a source that is open."""

    def __init__(self, *, source: Source, batch_rows: int) -> None:
        self._source, self._batch_rows = source, batch_rows
        self._gathered: list[Record] = []

    @abstractmethod
    def next(self) -> list[Record]:
        """The records of a closed micro-batch, or none yet; returns after about `TURN_S` at the latest."""

    @abstractmethod
    def at_end(self) -> bool:
        """Whether nothing more will come."""

    def _close(self) -> list[Record]:
        closed, self._gathered = self._gathered, []
        return closed


class LiveGatherer(Gatherer):
    """In order of arrival; a micro-batch closes when it is full or its oldest record has waited `batch_wait_s`."""

    def __init__(
        self, *, source: Source, batch_rows: int, batch_wait_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(source=source, batch_rows=batch_rows)
        self._wait_s, self._clock = batch_wait_s, clock
        self._closes_at = 0.0

    def next(self) -> list[Record]:
        room = self._batch_rows - len(self._gathered)
        left_s = self._closes_at - self._clock() if self._gathered else TURN_S
        records = self._source.take_arrived(room, timeout_s=min(TURN_S, max(0.0, left_s)))
        if records and not self._gathered:
            self._closes_at = self._clock() + self._wait_s
        self._gathered += records
        full = len(self._gathered) >= self._batch_rows
        return self._close() if full or (self._gathered and self._clock() >= self._closes_at) else []

    def at_end(self) -> bool:
        return False


class LogGatherer(Gatherer):
    """Merged by (timestamp, partition) up to the ends that the log had at the start; every micro-batch but the last is full.

    So which records make up a micro-batch is a function of the log, whenever it is read.
    """

    def __init__(self, *, source: Source, batch_rows: int) -> None:
        super().__init__(source=source, batch_rows=batch_rows)
        self._ends = source.ends()

    def next(self) -> list[Record]:
        room = self._batch_rows - len(self._gathered)
        self._gathered += self._source.take_merged(room, ends=self._ends, timeout_s=TURN_S)
        return self._close() if len(self._gathered) >= self._batch_rows or self._exhausted() else []

    def at_end(self) -> bool:
        return not self._gathered and self._exhausted()

    def _exhausted(self) -> bool:
        return self._source.exhausted(self._ends)

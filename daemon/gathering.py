"""Closing micro-batches: when is enough, and when is long enough."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.record import Record, Run
from streams.source import Source

# A turn of the loop must come around often enough to see a stop request and to keep what is due.
TURN_S = 0.2


@dataclass(slots=True)
class MicroBatch:
    """What one step learns. `gaps`, left by retention and accepted by the operator, lie before all of `records`."""

    gaps: list[Run] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.gaps or self.records)


class Gatherer(ABC):
    """Gathers the records of the next micro-batch from a source that is open."""

    def __init__(self, *, source: Source, batch_rows: int) -> None:
        self._source, self._batch_rows = source, batch_rows
        self._open = MicroBatch()
        self._behind_gap: MicroBatch | None = None

    @abstractmethod
    def next(self) -> MicroBatch | None:
        """A closed micro-batch, or None yet; returns after about `TURN_S` at the latest."""

    @abstractmethod
    def at_end(self) -> bool:
        """Whether nothing more will come."""

    def _add(self, records: list[Record]) -> None:
        """Take in what the source just handed over; a gap before it closes the micro-batch: no run may span one."""
        gaps = list(self._source.skipped())
        if gaps and self._open.records:
            self._behind_gap = MicroBatch(gaps, records)
        else:
            self._open.gaps += gaps
            self._open.records += records

    def _room(self) -> int:
        return self._batch_rows - len(self._open.records)

    def _must_close(self) -> bool:
        return self._room() <= 0 or self._behind_gap is not None

    def _close(self) -> MicroBatch:
        closed, self._open, self._behind_gap = self._open, self._behind_gap or MicroBatch(), None
        return closed


class LiveGatherer(Gatherer):
    """In order of arrival; a micro-batch closes when it is full or its oldest record has waited `batch_wait_s`."""

    def __init__(
        self, *, source: Source, batch_rows: int, batch_wait_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(source=source, batch_rows=batch_rows)
        self._wait_s, self._clock = batch_wait_s, clock
        self._closes_at = 0.0

    def next(self) -> MicroBatch | None:
        if self._must_close():
            return self._close_and_wait()
        left_s = self._closes_at - self._clock() if self._open else TURN_S
        was_empty = not self._open
        self._add(self._source.take_arrived(self._room(), timeout_s=min(TURN_S, max(0.0, left_s))))
        if was_empty and self._open:
            self._closes_at = self._clock() + self._wait_s
        due = bool(self._open) and self._clock() >= self._closes_at
        return self._close_and_wait() if self._must_close() or due else None

    def at_end(self) -> bool:
        return False

    def _close_and_wait(self) -> MicroBatch:
        self._closes_at = self._clock() + self._wait_s
        return self._close()


class LogGatherer(Gatherer):
    """Merged by (timestamp, partition) up to the ends that the log had at the start; every micro-batch but the last is full.

    So which records make up a micro-batch is a function of the log, whenever it is read (and of its gaps, if it has any).
    """

    def __init__(self, *, source: Source, batch_rows: int) -> None:
        super().__init__(source=source, batch_rows=batch_rows)
        self._ends = source.ends()

    def next(self) -> MicroBatch | None:
        if not self._must_close():
            self._add(self._source.take_merged(self._room(), ends=self._ends, timeout_s=TURN_S))
        return self._close() if self._must_close() or (self._open and self._exhausted()) else None

    def at_end(self) -> bool:
        return not self._open and self._exhausted()

    def _exhausted(self) -> bool:
        return self._source.exhausted(self._ends)

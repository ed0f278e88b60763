"""Bounded buffers between a source's reading thread and the loop that takes records, in each of the three orders."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from streams.errors import GapError, PassedError, SourceError
from streams.lane import Lane
from streams.record import Record, Run

T = TypeVar("T")


class Buffers:
    """One bounded buffer a partition; the reading thread puts, the loop takes.

    The reading thread asks `full` before it reads more of a partition, and waits for the event `demand` (set when records were
    taken and a buffer is down to half, a run is waited for, or `close` was called) when there is nothing to do. A full buffer
    never blocks `put`: the capacity is what the reader aims at, and one delivery may pass it.

    >>> buffers = Buffers(topic="t", capacity=100)
    >>> buffers.add(0, position=5)
    >>> buffers.put(0, [Record("t", 0, 5, b"a"), Record("t", 0, 7, b"b")], read_to=9)
    >>> [record.offset for record in buffers.take_arrived(1, timeout_s=0)], buffers.positions(), buffers.exhausted({0: 9})
    ([5], {0: 6}, False)
    >>> [record.offset for record in buffers.take_run(Run(0, 6, 9), timeout_s=0)], buffers.positions()
    ([7], {0: 9})

    An error of the reading thread is raised to the taker once everything that was buffered before it has been taken.
    """

    def __init__(self, *, topic: str, capacity: int) -> None:
        self.topic, self.capacity = topic, capacity
        self.demand = threading.Event()
        self._changed = threading.Condition()
        self._lanes: dict[int, Lane] = {}
        self._num_deliveries = 0
        self._skipped: list[Run] = []
        self._error: SourceError | None = None
        self._closed = False

    # The reading thread's side.

    def add(self, partition: int, *, position: int) -> None:
        with self._changed:
            self._lanes[partition] = Lane(position=position, read_to=position, end=position)
            self._changed.notify_all()

    def put(self, partition: int, records: Iterable[Record], *, read_to: int) -> None:
        """Deliver records in offset order; everything below `read_to` that was not delivered does not exist."""
        with self._changed:
            lane = self._lanes[partition]
            self._num_deliveries += 1
            lane.queue.extend((self._num_deliveries, record) for record in records)
            lane.read_to = max(lane.read_to, read_to)
            lane.end = max(lane.end, lane.read_to)
            self._changed.notify_all()

    def skip(self, gap: Run) -> None:
        """Deliver the news that the records of `gap` are gone; the next delivery of its partition starts at its end."""
        with self._changed:
            lane = self._lanes[gap.partition]
            self._num_deliveries += 1
            lane.queue.append((self._num_deliveries, gap))
            lane.read_to = gap.end
            self._changed.notify_all()

    def set_end(self, partition: int, end: int) -> None:
        with self._changed:
            self._lanes[partition].end = end

    def full(self, partition: int) -> bool:
        with self._changed:
            lane = self._lanes[partition]
            return len(lane.queue) >= self.capacity and lane.read_to >= lane.wanted

    def read_to(self, partition: int) -> int:
        with self._changed:
            return self._lanes[partition].read_to

    def fail(self, error: SourceError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    # The loop's side.

    def positions(self) -> dict[int, int]:
        with self._changed:
            return {partition: lane.position for partition, lane in sorted(self._lanes.items())}

    def lag(self) -> dict[int, int]:
        with self._changed:
            return {partition: max(0, lane.end - lane.head()) for partition, lane in sorted(self._lanes.items())}

    def exhausted(self, ends: Mapping[int, int]) -> bool:
        with self._changed:
            return all(partition in self._lanes and self._lanes[partition].reached(end) for partition, end in ends.items())

    def skipped(self) -> Sequence[Run]:
        """The gaps that were passed since the last call; each comes before any record taken in the same call or after it."""
        with self._changed:
            gaps, self._skipped = self._skipped, []
            return gaps

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self.demand.set()
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def take_arrived(self, max_records: int, *, timeout_s: float) -> list[Record]:
        def attempt() -> list[Record] | None:
            for lane in self._lanes.values():
                self._skipped += lane.pass_gaps(below=lane.read_to)
            heads = [(lane.queue[0][0], partition) for partition, lane in self._lanes.items() if lane.queue]
            heapq.heapify(heads)
            taken: list[Record] = []
            while heads and len(taken) < max_records:
                partition = heapq.heappop(heads)[1]
                lane = self._lanes[partition]
                taken.append(lane.take_head())
                if lane.queue:
                    number, item = lane.queue[0]
                    if isinstance(item, Run):
                        break  # a gap lies between two calls, so that the caller can tell what came before it
                    heapq.heappush(heads, (number, partition))
            return taken or None

        return self._wait(attempt, timeout_s) or []

    def take_merged(self, max_records: int, *, ends: Mapping[int, int], timeout_s: float) -> list[Record]:
        def attempt() -> list[Record] | None:
            if any(partition not in self._lanes for partition in ends):
                return None
            heads: list[tuple[float, int]] = []
            for partition, end in ends.items():
                lane = self._lanes[partition]
                self._skipped += lane.pass_gaps(below=end)
                if lane.reached(end):
                    continue
                if not lane.queue:
                    return None
                heads.append((_timestamp(lane.queue[0][1]), partition))
            heapq.heapify(heads)
            taken: list[Record] = []
            while heads and len(taken) < max_records:
                partition = heads[0][1]
                lane = self._lanes[partition]
                taken.append(lane.take_head())
                following = lane.queue[0][1] if lane.queue else None
                if isinstance(following, Record) and following.offset < ends[partition]:
                    heapq.heapreplace(heads, (following.timestamp_s, partition))
                elif lane.reached(ends[partition]):
                    heapq.heappop(heads)
                else:
                    break
            # Nothing left below the ends is an answer too: no reason to wait out the time.
            return taken if taken or not heads else None

        return self._wait(attempt, timeout_s) or []

    def has_run(self, run: Run, *, timeout_s: float) -> bool:
        return self._wait(lambda: self._arrived(run) or None, timeout_s) or False

    def take_run(self, run: Run, *, timeout_s: float) -> list[Record] | None:
        def attempt() -> list[Record] | None:
            if not self._arrived(run):
                return None
            lane = self._lanes[run.partition]
            self._skipped += lane.pass_gaps(below=run.start)
            if lane.position > run.start:
                raise GapError(self.topic, run.partition, position=run.start, first=lane.position)
            if lane.queue and lane.head() < run.start and not isinstance(lane.queue[0][1], Run):
                raise SourceError(
                    f"{self.topic}[{run.partition}]: the run {run.start}..{run.end} was asked for, but record {lane.head()} "
                    "before it was never handed over; open the source at the position before the run"
                )
            taken: list[Record] = []
            while lane.queue and lane.head() < run.end:
                taken.append(lane.take_head())
            lane.position = run.end
            return taken

        return self._wait(attempt, timeout_s)

    def _arrived(self, run: Run) -> bool:
        """Whether nothing of `run` is missing here; else it is wanted from now on."""
        lane = self._lanes.get(run.partition)
        if lane is None:
            raise SourceError(f"{self.topic}[{run.partition}]: no such partition; the ledger belongs to another source")
        for gap in lane.gaps():
            if gap.start < run.end and gap.end > run.start:
                raise PassedError(self.topic, run.partition, position=max(run.start, gap.start), first=gap.end)
        if lane.read_to < run.end:
            lane.wanted = max(lane.wanted, run.end)
            self.demand.set()
            return False
        return True

    def _wait(self, attempt: Callable[[], T | None], timeout_s: float) -> T | None:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                result = attempt()
                if result is not None:
                    if any(2 * len(lane.queue) <= self.capacity for lane in self._lanes.values()):
                        self.demand.set()
                    return result
                if self._error is not None:
                    raise self._error
                if self._closed:
                    raise SourceError(f"{self.topic}: the source is closed; open a new one")
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    return None
                self._changed.wait(remaining_s)


def _timestamp(item: Record | Run) -> float:
    assert isinstance(item, Record)
    return item.timestamp_s

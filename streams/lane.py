"""What is buffered of one partition: records in the order of their offsets, and gaps where some are gone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streams.record import Record, Run


@dataclass(slots=True)
class Lane:
    """A queue of (number of the delivery, record), or (number, gap) for a Run that is gone.

    >>> lane = Lane(position=5, read_to=9, end=9)
    >>> lane.queue.extend([(1, Run(0, 5, 7)), (2, Record("t", 0, 8, b"a"))])
    >>> lane.pass_gaps(below=9), lane.take_head().offset, lane.position, lane.reached(9)
    ([Run(partition=0, start=5, end=7)], 8, 9, True)
    """

    position: int  # next to hand over
    read_to: int  # everything below was delivered here, or does not exist
    end: int  # the partition's end as last seen
    wanted: int = 0  # read up to here even when full: a planned run may be longer than the buffer
    queue: deque[tuple[int, Record | Run]] = field(default_factory=deque)

    def head(self) -> int:
        """Offset at which the queue starts; with nothing buffered, where reading goes on."""
        if not self.queue:
            return self.read_to
        item = self.queue[0][1]
        return item.start if isinstance(item, Run) else item.offset

    def reached(self, end: int) -> bool:
        """Whether nothing below `end` is left to hand over, or to come."""
        return self.read_to >= end and self.head() >= end

    def gaps(self) -> list[Run]:
        """Those in the queue."""
        return [item for _, item in self.queue if isinstance(item, Run)]

    def take_head(self) -> Record:
        """The record at the head, which is no gap."""
        record = self.queue.popleft()[1]
        assert isinstance(record, Record)
        self.position = record.offset + 1
        return record

    def pass_gaps(self, *, below: int) -> list[Run]:
        """Step over the gaps at the head that start below `below`; these."""
        passed: list[Run] = []
        while self.queue and isinstance(gap := self.queue[0][1], Run) and gap.start < below:
            self.queue.popleft()
            self.position = gap.end
            passed.append(gap)
        return passed

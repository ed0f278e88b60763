"""A recorded file first, then the stream: both in one order of positions, so in one ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from streams.errors import ReplacedError
from streams.record import Record, Run
from streams.source import Source

HISTORY: Final = -1
"""The partition that stands for the recorded file; partitions of topics are 0 or more."""


class HistoryFirst(Source):
    """Hands over all of `history`, which has one partition, then what `stream` reads from its own first position on.

    The file is read to the end that it has when it is opened; `GoneFile` stands for one that is learned and deleted.
    Commits and gaps are the stream's.
    """

    def __init__(self, *, history: Source, stream: Source) -> None:
        self._history, self._stream = history, stream
        self.topic = stream.topic
        self._end = 0
        self._is_over = False

    def open(self, positions: Mapping[int, int], *, identity: Mapping[str, object] | None = None) -> None:
        if positions and HISTORY not in positions:
            raise ReplacedError(
                f"{self.topic}: learning began without {self._history.topic}; leave it out, or start a new folder"
            )
        saved = dict(identity) if identity is not None else None
        history = saved.pop("history", None) if saved is not None else None
        self._history.open(
            {0: positions[HISTORY]} if positions else {}, identity=history if isinstance(history, Mapping) else None
        )
        self._stream.open({p: offset for p, offset in positions.items() if p != HISTORY}, identity=saved)
        self._end = self._history.ends()[0]

    def identity(self) -> dict[str, object]:
        # With the end, a restart knows whether all of the file was learned, and does without it then.
        return {**self._stream.identity(), "history": {**self._history.identity(), "end": self._end}}

    def positions(self) -> dict[int, int]:
        return {HISTORY: self._history.positions()[0], **self._stream.positions()}

    def take_arrived(self, max_records: int, *, timeout_s: float) -> list[Record]:
        if self._has_history():
            return _as_history(self._history.take_arrived(max_records, timeout_s=timeout_s))
        return self._stream.take_arrived(max_records, timeout_s=timeout_s)

    def take_merged(self, max_records: int, *, ends: Mapping[int, int], timeout_s: float) -> list[Record]:
        if self._has_history():
            return _as_history(self._history.take_merged(max_records, ends={0: self._end}, timeout_s=timeout_s))
        return self._stream.take_merged(max_records, ends=_of_stream(ends), timeout_s=timeout_s)

    def has_run(self, run: Run, *, timeout_s: float) -> bool:
        if run.partition != HISTORY:
            return self._stream.has_run(run, timeout_s=timeout_s)
        return self._history.has_run(replace(run, partition=0), timeout_s=timeout_s)

    def take_run(self, run: Run, *, timeout_s: float) -> list[Record] | None:
        if run.partition != HISTORY:
            return self._stream.take_run(run, timeout_s=timeout_s)
        records = self._history.take_run(replace(run, partition=0), timeout_s=timeout_s)
        return None if records is None else _as_history(records)

    def exhausted(self, ends: Mapping[int, int]) -> bool:
        return not self._has_history() and self._stream.exhausted(_of_stream(ends))

    def ends(self) -> dict[int, int]:
        return {HISTORY: self._end, **self._stream.ends()}

    def lag(self) -> dict[int, int]:
        return {HISTORY: self._history.lag()[0], **self._stream.lag()}

    def commit(self, positions: Mapping[int, int], *, then: Callable[[], None] = lambda: None) -> None:
        self._stream.commit(_of_stream(positions), then=then)

    def skipped(self) -> Sequence[Run]:
        return self._stream.skipped()

    @property
    def reachable(self) -> bool:
        return self._stream.reachable

    @property
    def rebuilds(self) -> int:
        return self._stream.rebuilds

    @property
    def commit_failures(self) -> int:
        return self._stream.commit_failures

    def close(self) -> None:
        self._history.close()
        self._stream.close()

    def _has_history(self) -> bool:
        # Once over it stays so: asked at every turn, and its buffers are of no more use.
        self._is_over = self._is_over or self._history.exhausted({0: self._end})
        return not self._is_over


def _of_stream(by_partition: Mapping[int, int]) -> dict[int, int]:
    return {partition: offset for partition, offset in by_partition.items() if partition != HISTORY}


def _as_history(records: Sequence[Record]) -> list[Record]:
    return [replace(record, partition=HISTORY) for record in records]

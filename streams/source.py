"""The contract of a source: where records come from, and in which order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from streams.record import Record, Run


class Source(ABC):
    """Reads the partitions of one topic on a thread of its own and hands records over in one of three orders.

    Offsets always mean *next to read*. A partition's buffer is bounded: when it is full, that partition is paused and the
    others go on. Every `take_*` returns within `timeout_s` (an empty list when nothing came) and raises `SourceError` when
    the reading thread met an error: after that nothing more is handed over, and the source must be closed.
    """

    topic: str

    @abstractmethod
    def open(self, positions: Mapping[int, int], *, identity: Mapping[str, object] | None = None) -> None:
        """Start to read.

        `positions` maps partition -> next offset; with no positions at all, partitions start by the source's own
        first-start policy ("earliest" or "latest"); beside others, a partition without one is new and starts at its
        beginning. `identity` is what `identity()` returned when the positions were saved; a source that is not the same one
        raises `ReplacedError`.
        """

    @abstractmethod
    def identity(self) -> dict[str, object]:
        """JSON that tells this topic or these files from others that were made anew under the same name."""

    @abstractmethod
    def positions(self) -> dict[int, int]:
        """Partition -> the offset after the last record handed over (or where reading started)."""

    @abstractmethod
    def take_arrived(self, max_records: int, *, timeout_s: float) -> list[Record]:
        """Up to `max_records` in order of arrival (live); each partition in offset order."""

    @abstractmethod
    def take_merged(self, max_records: int, *, ends: Mapping[int, int], timeout_s: float) -> list[Record]:
        """Up to `max_records` merged by (timestamp, partition), each partition in offset order up to its end.

        The next record is the earliest among the heads of all partitions that have not reached their end; while one of
        those has nothing buffered, nothing is handed over. So the order is a function of the log alone.
        """

    @abstractmethod
    def has_run(self, run: Run, *, timeout_s: float) -> bool:
        """Whether all records of `run` have arrived, so that `take_run` has them at once (else call again). Takes none.

        Raises `GapError` if some are gone: `PassedError` where the source goes on behind the gap.
        """

    @abstractmethod
    def take_run(self, run: Run, *, timeout_s: float) -> list[Record] | None:
        """All records of `run`, or None where they have not all arrived yet (call again). Raises as `has_run` does."""

    @abstractmethod
    def exhausted(self, ends: Mapping[int, int]) -> bool:
        """Whether every record below `ends` was handed over (holes at the end counted as read)."""

    @abstractmethod
    def ends(self) -> dict[int, int]:
        """Partition -> its end offset now (one after the last record)."""

    @abstractmethod
    def lag(self) -> dict[int, int]:
        """Partition -> number of offsets between its position and its end; cheap, as last seen by the reading thread."""

    @abstractmethod
    def commit(self, positions: Mapping[int, int], *, then: Callable[[], None] = lambda: None) -> None:
        """Tell lag tools how far the checkpoint reaches. Best effort: a failure is logged once and counted, never raised.

        `then` is called once they can see it, perhaps by another thread; never after a failure, nor where later positions
        replaced these.
        """

    @abstractmethod
    def skipped(self) -> Sequence[Run]:
        """Gaps that `on_gap = "skip"` passed over since the last call."""

    @property
    def reachable(self) -> bool:
        """Whether what is read from answers, as last seen by the reading thread; while it does not, reading just waits."""
        return True

    @property
    def rebuilds(self) -> int:
        """How often the connection was built anew because it stood still."""
        return 0

    @property
    def commit_failures(self) -> int:
        """How often `commit` failed."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Stop the thread and free the connection; safe to call twice."""

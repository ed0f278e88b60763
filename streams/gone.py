"""A recorded file that is not there any more, which does no harm once all of it was learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streams.errors import ReplacedError
from streams.record import Record, Run
from streams.source import Source


class GoneFile(Source):
    """Stands for a recorded file that is gone, in one partition at its end: nothing is left to hand over.

    It can be opened only where the saved positions lie at the end that the file had when learning began, `end` of its saved
    identity; else it raises `ReplacedError`.
    """

    def __init__(self, *, topic: str) -> None:
        self.topic = topic
        self._end = 0
        self._identity: dict[str, object] = {}

    def open(self, positions: Mapping[int, int], *, identity: Mapping[str, object] | None = None) -> None:
        self._identity, position = dict(identity or {}), positions.get(0, 0)
        end = self._identity.get("end")
        if not isinstance(end, int) or position < end:
            raise self._asked_for(position)
        self._end = position

    def identity(self) -> dict[str, object]:
        return self._identity

    def positions(self) -> dict[int, int]:
        return {0: self._end}

    def take_arrived(self, max_records: int, *, timeout_s: float) -> list[Record]:
        return []

    def take_merged(self, max_records: int, *, ends: Mapping[int, int], timeout_s: float) -> list[Record]:
        return []

    def has_run(self, run: Run, *, timeout_s: float) -> bool:
        raise self._asked_for(run.start)

    def take_run(self, run: Run, *, timeout_s: float) -> list[Record] | None:
        raise self._asked_for(run.start)

    def exhausted(self, ends: Mapping[int, int]) -> bool:
        return True

    def ends(self) -> dict[int, int]:
        return {0: self._end}

    def lag(self) -> dict[int, int]:
        return {0: 0}

    def commit(self, positions: Mapping[int, int], *, then: Callable[[], None] = lambda: None) -> None:
        then()

    def skipped(self) -> Sequence[Run]:
        return ()

    def close(self) -> None: ...

    def _asked_for(self, row: int) -> ReplacedError:
        return ReplacedError(
            f"{self.topic}: is gone, and from row {row} on (counted from 0) it is still to be learned, or to be learned again "
            "after the newest checkpoint that verifies; restore the file"
        )

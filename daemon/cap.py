"""A limit on how far the examples of one source may move the model in a minute: a burst of wrong labels has an author."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from daemon.state import State
from streams.errors import DecodeError
from streams.record import Example, Record

MINUTE_S = 60.0
# A flood of made-up sources must not fill the memory; those past it share what one source may.
MAX_SOURCES = 10_000


class SourceCap:
    """Lets each source teach examples of `weight_per_minute` in all; what is past that is scored and not learned.

    A source is the value of the slice `slice_name`; an example without one is not limited. Each source has a minute of its own,
    which its rows move on and never back (what comes late counts in it), so that wrong dates harm nobody but who sends them.
    The time of a row is its record's; only where that has none, as in recorded files, it is the event time. No clock is read:
    a redone step limits as before.

    >>> cap = SourceCap(slice_name="shop", weight_per_minute=1.5)
    >>> rows = [(Record("t", 0, i, b"", timestamp_s=t), Example(str(i), "", {}, "a", slices={"shop": shop})) for i, (shop, t)
    ...     in enumerate([("x", 1.0), ("x", 2.0), ("y", 3.0), ("x", 4.0), ("x", 61.0)])]
    >>> [row.weight for row in cap.limited(rows)]
    [1.0, 0.5, 1.0, 0.0, 1.0]
    """

    def __init__(self, *, slice_name: str, weight_per_minute: float) -> None:
        self._slice_name, self._most = slice_name, weight_per_minute
        self._used: dict[str, tuple[float, float]] = {}
        """Source -> its minute and the weight used in it; the source heard of last stands last."""
        self._shared = (0.0, 0.0)
        """The same for all sources that there is no room for."""

    def require_time(self, record: Record, example: Example) -> None:
        """Raises `DecodeError` for an example of a source that has no time at all: it belongs to no minute."""
        if self._slice_name in example.slices and _time_s(record, example) is None:
            raise DecodeError(
                "schema",
                "there is no time, neither the record's nor in the field that decoding.time names, and cap.slice limits by the "
                "minute; give each row a time",
            )

    def limited(self, decoded: Sequence[tuple[Record, Example]]) -> list[Example]:
        """The same examples, some of less weight. All of them passed `require_time`."""
        return [self._limit(record, example) for record, example in decoded]

    def _limit(self, record: Record, example: Example) -> Example:
        source, time_s = example.slices.get(self._slice_name), _time_s(record, example)
        if source is None:
            return example
        assert time_s is not None, "checked by require_time"
        minute = time_s // MINUTE_S
        if not self._has_room(source, minute):
            # Back and forth: what all of them share, none of them may freeze by a date far ahead.
            self._shared, weight = self._take(self._shared, example.weight, minute, anew=minute != self._shared[0])
        else:
            last = self._used.pop(source, (minute, 0.0))
            self._used[source], weight = self._take(last, example.weight, minute, anew=minute > last[0])
        return example if weight == example.weight else replace(example, weight=weight)

    def _has_room(self, source: str, minute: float) -> bool:
        """Whether `source` is known, or can be: then at the cost of the one not heard of for longest, if its minute is over."""
        if source in self._used or len(self._used) < MAX_SOURCES:
            return True
        oldest = next(iter(self._used))
        if self._used[oldest][0] == minute:
            return False
        del self._used[oldest]
        return True

    def _take(
        self, last: tuple[float, float], wanted: float, minute: float, *, anew: bool
    ) -> tuple[tuple[float, float], float]:
        """Minute and weight used in it after a row of weight `wanted`, and what is left of that weight."""
        minute, used = (minute, 0.0) if anew else last
        weight = min(wanted, max(0.0, self._most - used))
        return (minute, used + weight), weight

    def state_dict(self) -> State:
        return {
            "sources": [[source, minute, used] for source, (minute, used) in self._used.items()],
            "shared": list(self._shared),
        }

    def load_state_dict(self, state: State) -> None:
        self._used = {str(source): (float(minute), float(used)) for source, minute, used in state["sources"]}
        minute, used = state["shared"]
        self._shared = (float(minute), float(used))


class NoCap(SourceCap):
    """Lets everything pass."""

    def __init__(self) -> None:
        super().__init__(slice_name="", weight_per_minute=0.0)

    def require_time(self, record: Record, example: Example) -> None: ...

    def limited(self, decoded: Sequence[tuple[Record, Example]]) -> list[Example]:
        return [example for _, example in decoded]

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...


def _time_s(record: Record, example: Example) -> float | None:
    """The record's, which on a topic with LogAppendTime is the broker's, before the one that its author claims."""
    return record.timestamp_s or example.time_s

"""A limit on how far the examples of one source may move the model in a minute: a burst of wrong labels has an author."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daemon.state import State
from streams.record import Example

MINUTE_S = 60.0
# A flood of made-up sources must not fill the memory; those past it share what one source may.
MAX_SOURCES = 10_000
OTHERS = ""


class SourceCap:
    """Lets each source teach examples of `weight_per_minute` in all; what is past that is scored and not learned.

    A source is the value of the slice `slice_name`; an example without one is not limited. Minutes are those of the examples'
    event times, so that a redone step limits as before.

    >>> cap = SourceCap(slice_name="shop", weight_per_minute=1.5)
    >>> rows = [Example(str(i), "", {}, "a", slices={"shop": shop}, time_s=t) for i, (shop, t) in enumerate(
    ...     [("x", 1.0), ("x", 2.0), ("y", 3.0), ("x", 4.0), ("x", 61.0)])]
    >>> [row.weight for row in cap.limited(rows)]
    [1.0, 0.5, 1.0, 0.0, 1.0]
    """

    def __init__(self, *, slice_name: str, weight_per_minute: float) -> None:
        self._slice_name, self._most = slice_name, weight_per_minute
        self._minute = 0
        self._used: dict[str, float] = {}

    def limited(self, examples: Sequence[Example]) -> list[Example]:
        """The same examples, some of less weight."""
        return [self._limit(example) for example in examples]

    def _limit(self, example: Example) -> Example:
        source = example.slices.get(self._slice_name)
        if source is None:
            return example
        minute = int(example.time_s // MINUTE_S)
        if minute > self._minute:  # an example of an earlier minute, out of order, counts in this one
            self._minute, self._used = minute, {}
        if source not in self._used and len(self._used) >= MAX_SOURCES:
            source = OTHERS
        used = self._used.get(source, 0.0)
        weight = min(example.weight, max(0.0, self._most - used))
        self._used[source] = used + weight
        return example if weight == example.weight else replace(example, weight=weight)

    def state_dict(self) -> State:
        return {"minute": self._minute, "used": [[source, used] for source, used in self._used.items()]}

    def load_state_dict(self, state: State) -> None:
        self._minute = int(state["minute"])
        self._used = {str(source): float(used) for source, used in state["used"]}


class NoCap(SourceCap):
    """Lets everything pass."""

    def __init__(self) -> None:
        super().__init__(slice_name="", weight_per_minute=0.0)

    def limited(self, examples: Sequence[Example]) -> list[Example]:
        return list(examples)

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...

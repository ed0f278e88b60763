"""Records in, examples out: the values that travel through learnd."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

# Records and examples are made one by one for every row of a stream: a struct of msgspec's takes a tenth of a dataclass's time.


class Record(Struct, frozen=True, gc=False):
    """One raw record as its source delivered it.

    `offset` is the record's own; the position after it is `offset + 1`. `timestamp_s` is seconds since the epoch (the
    broker's or the file's idea of when the record came to be).
    """

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_s: float = 0.0


class Example(Struct, frozen=True, gc=False):
    """One labelled example.

    `features` maps a column to a number or a category (a string). `target` is a label (classification) or a number
    (regression). `weight` scales the update, 0 means "score but do not learn". `slices` names the groups that it is
    counted under. `time_s` is the event time in seconds since the epoch, None where there is none; `offset` is that of
    its record.
    """

    id: str
    text: str
    features: Mapping[str, float | str]
    target: str | float
    weight: float = 1.0
    slices: Mapping[str, str] = field(default_factory=dict)
    time_s: float | None = None
    offset: int = 0


class Run(Struct, frozen=True, gc=False):
    """Consecutive records of one partition: those with `start <= offset < end`. Offsets may have holes."""

    partition: int
    start: int
    end: int

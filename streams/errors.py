"""What the streams package raises. The text of each says topic, partition, offset, and the remedy.

StreamError
├── SourceError            the source cannot be opened or read
│   └── UnfitError         what is asked of the source cannot be had: a partition, or a file that is damaged
│       ├── GapError       records between the position and the first one still there are gone (retention)
│       │   └── PassedError    the same of a planned run, where the source goes on behind the gap
│       └── ReplacedError  the topic or file is not the one that the positions belong to
├── DecodeError            one record cannot become an example; it goes to the dead letters and the stream goes on
└── DeadLetterError        dead letters cannot be written
    └── ShareError         their share passed the threshold
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class StreamError(Exception):
    """Root of what the streams package raises on purpose.

    `lasts` says that to start again would only meet it again, until a person has acted.
    """

    lasts: ClassVar[bool] = False


class SourceError(StreamError):
    """The source cannot be opened or read."""


class UnfitError(SourceError):
    """The source is there, but what is asked of it cannot be had."""

    lasts = True


class GapError(UnfitError):
    """Records that were to be read are gone."""

    def __init__(self, topic: str, partition: int, *, position: int, first: int) -> None:
        self.topic, self.partition, self.position, self.first = topic, partition, position, first
        super().__init__(
            f"{topic}[{partition}]: position {position} is gone, the first record still there is {first} "
            f'({first - position} lost to retention); set source.on_gap = "skip" to go on from {first}, '
            "or restore the records"
        )


class PassedError(GapError):
    """Records of a planned run are gone, and the source was told to go on behind such gaps: it can still be read."""


class ReplacedError(UnfitError):
    """The topic or file is not the one that the positions belong to."""


class DecodeError(StreamError):
    """One record cannot become an example.

    `stage` is one of "encoding" (not UTF-8), "parse" (not a JSON object), "schema" (a field is missing or of the wrong
    type), "bounds" (not finite, too large), "label" (not in the fixed set, or too many labels), "tombstone" (no value).
    """

    def __init__(self, stage: str, reason: str) -> None:
        self.stage, self.reason = stage, reason
        super().__init__(f"{stage}: {reason}")


class DeadLetterError(StreamError):
    """Dead letters cannot be written."""


class ShareError(DeadLetterError):
    """The share of dead letters passed the threshold."""

    lasts = True


# Of names in a message.
_NAMES_SHOWN, _LONGEST_NAME = 10, 40


def listed(names: Sequence[str]) -> str:
    """Names for a message, as many and as much of each as one can read.

    >>> listed(["a", "b" * 50]), listed([str(n) for n in range(12)])
    ('a, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more')
    """
    shown = ", ".join(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..." for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")

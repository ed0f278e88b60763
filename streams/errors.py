"""What the streams package raises. The text of each says topic, partition, offset, and the remedy.

StreamError
├── SourceError        the source cannot be opened or read
│   ├── GapError       records between the position and the first one still there are gone (retention)
│   └── ReplacedError  the topic or file is not the one that the positions belong to
├── DecodeError        one record cannot become an example; it goes to the dead letters and the stream goes on
└── DeadLetterError    dead letters cannot be written, or their share passed the threshold
"""

from __future__ import annotations


class StreamError(Exception):
    """Root of what the streams package raises on purpose."""


class SourceError(StreamError):
    """The source cannot be opened or read."""


class GapError(SourceError):
    """Records that were to be read are gone."""

    def __init__(self, topic: str, partition: int, *, position: int, first: int) -> None:
        self.topic, self.partition, self.position, self.first = topic, partition, position, first
        super().__init__(
            f"{topic}[{partition}]: position {position} is gone, the first record still there is {first} "
            f'({first - position} lost to retention); set source.on_gap = "skip" to go on from {first}, '
            "or restore the records"
        )


class ReplacedError(SourceError):
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
    """Dead letters cannot be written, or their share passed the threshold."""

"""The contract of dead letters, and what a letter says."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from itertools import repeat

from streams.errors import DecodeError, ShareError
from streams.record import Record

logger = logging.getLogger(__name__)

# The share is taken over this many records, and not before so many were seen that one bad record is no verdict.
_SHARE_WINDOW = 1000
_SHARE_MINIMUM = 100
# What cannot be written now is kept for the next try, up to this many letters.
MAX_PENDING = 10_000
_MAX_REASON_CHARS = 1000
# Under the 1 MiB that a broker takes by default, with room for key and headers.
_MAX_PART_BYTES = 400_000


@dataclass(frozen=True, slots=True)
class Letter:
    """One record that could not become an example; value and key are cut at 400,000 bytes.

    `id` is "topic-partition-offset": a letter may be sent twice (a crash repeats what came after the last checkpoint), and a
    reader can tell by it.
    """

    record: Record
    stage: str
    reason: str

    @property
    def id(self) -> str:
        return f"{self.record.topic}-{self.record.partition}-{self.record.offset}"

    @property
    def value(self) -> bytes | None:
        return self.record.value and self.record.value[:_MAX_PART_BYTES]

    @property
    def key(self) -> bytes | None:
        return self.record.key and self.record.key[:_MAX_PART_BYTES]


class DeadLetters(ABC):
    """Takes what cannot be decoded, at least once, and stops learning when that becomes the rule.

    `max_share` bounds the share of dead letters among the last 1,000 records (never judged before 100); 1 means no bound.
    """

    def __init__(self, *, max_share: float) -> None:
        self._max_share = max_share
        self._recent: deque[bool] = deque(maxlen=_SHARE_WINDOW)
        self._num_dead = 0
        self._told: set[str] = set()  # stages of which a letter was told
        self.count = 0
        """Dead letters taken so far."""

    def send(self, record: Record, error: DecodeError) -> None:
        """Hand over one record and the reason.

        What cannot be written now waits for the next `send` or `flush`. Raises `DeadLetterError` when too much waits,
        `ShareError` when the share passes its bound.
        """
        self._write(Letter(record, error.stage, error.reason[:_MAX_REASON_CHARS]))
        self._note(dead=True)
        self.count += 1
        if error.stage not in self._told:
            self._told.add(error.stage)
            logger.warning(
                "%s[%s] offset %s became a dead letter (%s); further ones of stage %s are counted",
                record.topic, record.partition, record.offset, error, error.stage,
            )  # fmt: skip
        share = self._num_dead / len(self._recent)
        if len(self._recent) >= _SHARE_MINIMUM and share > self._max_share:
            raise ShareError(
                f"{self._num_dead} of the last {len(self._recent)} records ({share:.0%}) could not become examples, more than "
                f"the {self._max_share:.0%} allowed; the last is {record.topic}[{record.partition}] offset {record.offset} "
                f"({error}). Correct the producer or the field names, or raise dead_letters.max_share"
            )

    def passed(self, count: int = 1) -> None:
        """Note that `count` records did become examples."""
        if self._num_dead:
            for _ in range(count):
                self._note(dead=False)
        else:
            self._recent.extend(repeat(False, count))

    @abstractmethod
    def flush(self) -> None:
        """Make what was sent durable, which must come before a checkpoint; raises `DeadLetterError` where it cannot be.

        Nothing is lost by that: call again.
        """

    @abstractmethod
    def close(self) -> None:
        """Free what is held, without a flush; safe to call twice."""

    @abstractmethod
    def _write(self, letter: Letter) -> None:
        """Write or keep one letter; raises only when too much is kept."""

    def _note(self, *, dead: bool) -> None:
        if len(self._recent) == _SHARE_WINDOW:
            self._num_dead -= self._recent[0]
        self._recent.append(dead)
        self._num_dead += dead

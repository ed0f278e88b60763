"""Dead letters in a file of JSON lines."""

from __future__ import annotations

import base64
import errno
import logging
import os
from collections import deque
from pathlib import Path

import msgspec

from streams.deadletter.base import MAX_PENDING, DeadLetters, Letter
from streams.errors import DeadLetterError

logger = logging.getLogger(__name__)


class DeadLetterFile(DeadLetters):
    """Appends one JSON object a letter: id, topic, partition, offset, timestamp_s, stage, reason, key, value, headers.

    Bytes that are not UTF-8 stand as `{"base64": ...}`. A line is whole or not there: one that was cut off is taken back,
    and one that a crash cut off is closed by a newline.
    """

    def __init__(self, *, path: Path, max_share: float) -> None:
        super().__init__(max_share=max_share)
        self._path = path
        self._pending: deque[bytes] = deque()
        self._in_trouble = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab+", buffering=0)
            self._end_torn_line()
        except OSError as error:
            raise DeadLetterError(
                f"{path}: dead letters cannot be written ({error.strerror}); check the path and the rights"
            ) from error

    def flush(self) -> None:
        try:
            self._write_pending()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._trouble(error) from error

    def close(self) -> None:
        self._file.close()

    def _write(self, letter: Letter) -> None:
        self._pending.append(_line(letter))
        try:
            self._write_pending()
        except OSError as error:
            if len(self._pending) > MAX_PENDING:
                raise self._trouble(error) from error
            if not self._in_trouble:
                logger.warning("%s", self._trouble(error))
            self._in_trouble = True

    def _write_pending(self) -> None:
        while self._pending:
            size = os.fstat(self._file.fileno()).st_size
            written = self._file.write(self._pending[0])
            if written != len(self._pending[0]):
                self._file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._pending.popleft()
        self._in_trouble = False

    def _end_torn_line(self) -> None:
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")

    def _trouble(self, error: OSError) -> DeadLetterError:
        return DeadLetterError(
            f"{self._path}: {len(self._pending)} dead letters cannot be written ({error.strerror}); free space or correct "
            "the path"
        )


def _line(letter: Letter) -> bytes:
    record = letter.record
    row = {
        "id": letter.id,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_s": record.timestamp_s,
        "stage": letter.stage,
        "reason": letter.reason,
        "key": _readable(letter.key),
        "value": _readable(letter.value),
        "headers": [[name, _readable(value)] for name, value in record.headers],
    }
    return msgspec.json.encode(row) + b"\n"


def _readable(value: bytes | None) -> object:
    """
    >>> _readable(b"a"), _readable(b"\\xff")
    ('a', {'base64': '/w=='})
    """
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}

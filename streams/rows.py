"""The rows of one file, read in order from any row on."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO, cast

from streams.errors import ReplacedError, SourceError, UnfitError

_READ_SIZE = 1 << 20

Headers = tuple[tuple[str, bytes | None], ...]


class RowReader(ABC):
    """One file as numbered rows; the offset of a row is its number, counted from 0.

    `grows` says that the file is followed: more rows may come after the last.
    """

    path: Path
    grows: bool

    @abstractmethod
    def open(self, position: int) -> None:
        """Start at row `position`; raises `ReplacedError` where the file has fewer rows."""

    @abstractmethod
    def read(self, max_rows: int) -> tuple[list[tuple[int, bytes]], int]:
        """The next rows as (offset, value), and the offset to read next; nothing and the same offset at the end."""

    def headers(self, offset: int) -> Headers:
        """What a row of the last `read` carries beside its value."""
        return ()

    @abstractmethod
    def count(self) -> int:
        """How many rows the file has now."""

    def is_cut_short(self) -> bool:
        """Whether all that is left to read is a row without its end, which is not given while the file is followed."""
        return False

    @abstractmethod
    def first_row_hash(self) -> str:
        """SHA-256 of the first row (or header), "" while there is none: tells a file from another of the same name."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; safe to call twice."""


def open_binary(path: Path) -> BinaryIO:
    """Open a plain or gzipped file (told by its first bytes, not by its name) for reading bytes."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        return cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path and the permissions") from error


class LineReader(RowReader):
    """The lines of a plain or gzipped file. A blank line has an offset but is no row.

    A plain file that is followed gives only lines that end in a newline, since the rest may still be on its way; otherwise
    a last line without one counts.
    """

    def __init__(self, path: Path, *, follow: bool) -> None:
        self.path = path
        self.grows = follow
        self._file: BinaryIO | None = None
        self._offset = 0
        self._unfinished = b""
        self._is_at_end = False  # once and for all: what is appended to a file that is not followed is never read
        self._read_bytes = 0
        self._counting: BinaryIO | None = None  # a handle of its own: a file that is moved away can still be counted
        self._counted_lines = 0
        self._count_done = False

    def open(self, position: int) -> None:
        self._file = open_binary(self.path)
        self.grows = self.grows and not isinstance(self._file, gzip.GzipFile)
        self._offset, self._unfinished, self._read_bytes, self._is_at_end = 0, b"", 0, False
        while self._offset < position:
            if self._next_line() is None:
                raise ReplacedError(
                    f"{self.path}: reading is to go on at line {position} (counted from 0), but the file has only "
                    f"{self._offset}; it was truncated or replaced. Restore the file, or start a new folder"
                )

    def read(self, max_rows: int) -> tuple[list[tuple[int, bytes]], int]:
        rows: list[tuple[int, bytes]] = []
        while len(rows) < max_rows:
            line = self._next_line()
            if line is None:
                break
            if line.strip():
                rows.append((self._offset - 1, line.rstrip(b"\r\n")))
        if not rows and self.grows:
            self._check_same_file()
        return rows, self._offset

    def count(self) -> int:
        """Scans only what was not scanned before."""
        if self._count_done:
            return self._counted_lines
        if self._counting is None:
            self._counting = open_binary(self.path)
        last = b"\n"
        try:
            while chunk := self._counting.read(_READ_SIZE):
                self._counted_lines += chunk.count(b"\n")
                last = chunk[-1:]
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from error
        if not self.grows or isinstance(self._counting, gzip.GzipFile):
            self._counted_lines += last != b"\n"
            self._count_done = True
        return self._counted_lines

    def is_cut_short(self) -> bool:
        return self._file is not None and self.grows and self._next_line() is None and bool(self._unfinished.strip())

    def first_row_hash(self) -> str:
        with open_binary(self.path) as file:
            line = file.readline()
        if self.grows and not line.endswith(b"\n"):
            return ""
        return hashlib.sha256(line.rstrip(b"\r\n")).hexdigest() if line else ""

    def close(self) -> None:
        for file in (self._file, self._counting):
            if file is not None:
                file.close()
        self._file = self._counting = None

    def _next_line(self) -> bytes | None:
        assert self._file is not None
        if self._is_at_end:
            return None
        try:
            piece = self._file.readline()
        except (EOFError, OSError, zlib.error) as error:
            raise self._damaged(error) from error
        self._read_bytes += len(piece)
        line = self._unfinished + piece
        if not piece.endswith(b"\n") and (self.grows or not line):
            self._unfinished = line
            self._is_at_end = not self.grows
            return None
        self._unfinished = b""
        self._offset += 1
        return line.removeprefix(b"\xef\xbb\xbf") if self._offset == 1 else line

    def _damaged(self, error: Exception) -> UnfitError:
        return UnfitError(f"{self.path}: cannot be read on after line {self._offset} ({error}); restore the file")

    def _check_same_file(self) -> None:
        """At the end of a followed file: still the file that was opened, and no shorter than what was read of it."""
        assert isinstance(self._file, io.BufferedReader)
        try:
            now = self.path.stat()
        except OSError as error:
            raise ReplacedError(f"{self.path}: is gone while it is followed ({error.strerror}); restore it") from error
        if not _same_inode(self._file, now.st_dev, now.st_ino) or now.st_size < self._read_bytes:
            raise ReplacedError(
                f"{self.path}: was replaced or truncated after line {self._offset} was read; rows may be missing. Append "
                "to one file, or give the new file a name of its own in source.paths"
            )


def _same_inode(file: io.BufferedReader, device: int, inode: int) -> bool:
    opened = os.fstat(file.fileno())
    return (opened.st_dev, opened.st_ino) == (device, inode)

"""One segment file of the ledger, open for writing: preallocated, so that a line that fits cannot meet a full disk."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.errors import LedgerError, LedgerFull
from daemon.storage.durable import fsync_folder, is_out_of_space, remedy
from daemon.storage.entries import encode_header

_TEMPORARY = ".tmp-segment"


class Segment:
    """Lines are written at `end`; the bytes from there to `size` are zeros that already have their place on the disk."""

    def __init__(self, path: Path, *, end: int) -> None:
        self.path, self.end = path, end
        self._file = os.open(path, os.O_RDWR)
        self.size = os.fstat(self._file).st_size

    @classmethod
    def create(cls, folder: Path, *, first: int, previous: str, size: int) -> Segment:
        """A new segment that takes `size` bytes of lines, whole or not at all.

        Raises `LedgerFull` where there is no space for it; then nothing has changed.
        """
        path, temporary, header = folder / f"{first:012d}.jsonl", folder / _TEMPORARY, encode_header(first, previous=previous)
        try:
            file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            try:
                os.posix_fallocate(file, 0, len(header) + size)
                os.pwrite(file, header, 0)
                os.fsync(file)
            finally:
                os.close(file)
            temporary.rename(path)
            fsync_folder(folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _failure(path, error) from error
        return cls(path, end=len(header))

    def fits(self, line: bytes) -> bool:
        return self.end + len(line) <= self.size

    def write(self, line: bytes) -> None:
        """Append `line`, not yet fsynced. Raises `LedgerFull` or `LedgerError`; then the segment is as it was, and is full."""
        try:
            if (written := os.pwrite(self._file, line, self.end)) == len(line):
                self.end += written
                return
            failure: LedgerError | LedgerFull = LedgerFull(f"{self.path}: only {written} of {len(line)} bytes fit; free space")
        except OSError as error:
            failure = _failure(self.path, error)
        # Only on file systems that do not keep what they preallocated. Cutting needs no space, writing zeros might.
        os.ftruncate(self._file, self.end)
        self.size = self.end
        raise failure

    def clear_tail(self) -> int:
        """Put zeros where a torn line stands behind `end`, and make that durable. Returns how many bytes it had."""
        tail = os.pread(self._file, self.size - self.end, self.end).rstrip(b"\0")
        if tail:
            os.pwrite(self._file, bytes(len(tail)), self.end)
            os.fsync(self._file)
        return len(tail)

    def duplicate(self) -> int:
        """A file descriptor of the caller's own, to fsync while lines are appended and segments change."""
        return os.dup(self._file)

    def close(self, *, cut: bool = False) -> None:
        """`cut` gives back the preallocated bytes that were not used."""
        if cut:
            os.ftruncate(self._file, self.end)
        os.close(self._file)


def remove_unfinished(folder: Path) -> None:
    """Remove the new segment that a crash kept from being finished."""
    (folder / _TEMPORARY).unlink(missing_ok=True)


def _failure(path: Path, error: OSError) -> LedgerError | LedgerFull:
    kind = LedgerFull if is_out_of_space(error) else LedgerError
    return kind(f"{path}: cannot be written ({error}); {remedy(error)}")

"""SHA-256 of files, each computed once."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import IO, TypeAlias

Key: TypeAlias = tuple[int, int, int, int]

# A snapshot has a handful of files and a few are in use at a time; what falls out is only computed anew.
_MAX_FILES = 256
_CHUNK_BYTES = 1 << 20


class FileHashes:
    """Remembers the hash of a file by what it is (device, inode, size, time of change), not by its name.

    So a frozen encoder that many snapshots link to is read once. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._known: dict[Key, str] = {}
        self._lock = threading.Lock()

    def sha256(self, path: Path) -> str:
        """Hex digest of the bytes of `path`. Raises `OSError`."""
        with path.open("rb") as file:
            key = _key(file)
            if (known := self._known.get(key)) is not None:
                return known
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self._remember(key, found)
        return found

    def copy(self, source: Path, target: Path) -> str | None:
        """Copy `source` and fsync the copy; its hex digest, computed on the way and from then on known of both. None where the
        source changed meanwhile: by its size or time, or, where it was hashed before, by its bytes (whoever writes through a
        mapping may move neither). Raises `OSError`."""
        digest = hashlib.sha256()
        with source.open("rb") as read, target.open("xb") as written:
            before = _key(read)
            while chunk := read.read(_CHUNK_BYTES):
                digest.update(chunk)
                written.write(chunk)
            written.flush()
            os.fsync(written.fileno())
            found, copied = digest.hexdigest(), _key(written)
            if _key(read) != before or self._known.get(before, found) != found:
                return None
        for key in (before, copied):
            self._remember(key, found)
        return found

    def _remember(self, key: Key, digest: str) -> None:
        with self._lock:
            if len(self._known) >= _MAX_FILES:
                del self._known[next(iter(self._known))]
            self._known[key] = digest


def _key(file: IO[bytes]) -> Key:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

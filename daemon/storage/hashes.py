"""SHA-256 of files, each computed once."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

# A snapshot has a handful of files and a few are in use at a time; what falls out is only computed anew.
_MAX_FILES = 256


class FileHashes:
    """Remembers the hash of a file by what it is (device, inode, size, time of change), not by its name.

    So a frozen encoder that many snapshots link to is read once. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], str] = {}
        self._lock = threading.Lock()

    def sha256(self, path: Path) -> str:
        """Hex digest of the bytes of `path`. Raises `OSError`."""
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            if (known := self._known.get(key)) is not None:
                return known
            found = hashlib.file_digest(file, "sha256").hexdigest()
        with self._lock:
            if len(self._known) >= _MAX_FILES:
                del self._known[next(iter(self._known))]
            self._known[key] = found
        return found

"""One writer a data folder: a lock keeps a second one out, an epoch stops one that lost the folder without knowing."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from daemon.errors import WriterError
from daemon.storage.durable import make_folder, remedy, replace_file


class Writer:
    """Holds `folder` for this process until `close`, or until the process ends, however it ends.

    Each writer counts the file `epoch` up by one. A process that lost its lock unawares (a moved mount, a deleted lock file, a
    virtual machine that slept) finds another epoch there when it calls `check`, which it does before every durable step.

    Raises `WriterError` where another process holds the folder; its text names that process.
    """

    def __init__(self, folder: Path) -> None:
        self._epoch_path = folder / "epoch"
        try:
            make_folder(folder)
            self._lock = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WriterError(f"{folder}: cannot be written ({error}); {remedy(error)}") from error
        try:
            self.epoch = self._take(folder)
        except BaseException:
            os.close(self._lock)
            raise

    def check(self) -> None:
        """Raise `WriterError` if another writer took the folder over since. Takes microseconds."""
        found = self._read_epoch()
        if found != self.epoch:
            raise WriterError(
                f"{self._epoch_path}: epoch is {found}, this process (pid {os.getpid()}) writes epoch {self.epoch}: "
                "another writer took the folder over; nothing more is written here, stop this process"
            )

    def close(self) -> None:
        """Let the next writer in. Safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _take(self, folder: Path) -> int:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 200, 0).decode("utf-8", "replace").strip()
            raise WriterError(
                f"{folder}: is written by another process ({holder or 'it has just started'}); "
                "stop that one first, or name another folder"
            ) from None
        try:
            epoch = self._read_epoch() + 1
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            replace_file(self._epoch_path, b"%d\n" % epoch)
        except OSError as error:
            raise WriterError(f"{folder}: cannot be written ({error}); {remedy(error)}") from error
        return epoch

    def _read_epoch(self) -> int:
        """The epoch in the file, 0 where there is none."""
        try:
            descriptor = os.open(self._epoch_path, os.O_RDONLY)
        except FileNotFoundError:
            return 0
        try:
            text = os.read(descriptor, 32)
        finally:
            os.close(descriptor)
        if not text.strip().isdigit():
            raise WriterError(f"{self._epoch_path}: {text!r} is not a number; write the last epoch known there, plus one")
        return int(text)

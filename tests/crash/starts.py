"""Starts of `learnd` that can be watched, killed at any instant, and asked how they ended."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from daemon.storage.durable import TEMPORARY
from daemon.storage.ledger import Ledger
from tests.launching import Process, launcher

# No single run of these tests takes longer, however busy the machine.
LIMIT_S = 300.0


def begin(folder: Path, arguments: Sequence[str], *, failpoint: str = "") -> Start:
    """A process of `learnd ARGUMENTS`; `folder` is the storage folder that they name."""
    is_fresh = _first_entry(folder) is None
    return Start(launcher().start(arguments, LEARND_FAILPOINT=failpoint), folder=folder, is_fresh=is_fresh)


class Start:
    """One process of `learnd`."""

    def __init__(self, process: Process, *, folder: Path, is_fresh: bool) -> None:
        self._process, self._folder, self.is_fresh = process, folder, is_fresh
        self.err, self.ended = process.err, process.ended

    def kill(self, number: int = signal.SIGKILL) -> None:
        self._process.send_signal(number)

    def result(self) -> str | None:
        """The `state_sha256` that it printed (nothing where it was asked to stop), or None where it was killed."""
        try:
            status = self._process.wait(LIMIT_S)
        except TimeoutError:
            self.kill()
            raise
        if status == -signal.SIGKILL:
            return None
        assert status == 0, self.err.read_text()
        return self._process.out.read_text().removeprefix("state_sha256 ").strip()

    def wait_until_ready(self) -> None:
        """Until learning begins: a fresh ledger has its first entry, or the log tells where learning resumes."""
        deadline = time.monotonic() + LIMIT_S
        while not (_first_entry(self._folder) if self.is_fresh else b" resuming at row " in self.err.read_bytes()):
            assert time.monotonic() < deadline, self.err.read_text()
            if self.ended(within_s=0.002):
                return

    def kill_once_writing(self, kind: str, *, after_s: float) -> None:
        """Kill it `after_s` after it began to fill (or to drop) a folder of its "checkpoints" or "snapshots", if it ever does.

        That folder may be whole and renamed by then: see `torn`.
        """
        before = self.torn(kind)
        while not self.ended(within_s=0.0):
            if self.torn(kind) - before:
                self.ended(within_s=after_s)
                self.kill()
                return

    def torn(self, kind: str) -> set[tuple[str, int, int]]:
        """The folders of that kind that are half written or half dropped: names, inodes, times of change."""
        found = set()
        for path in (self._folder / kind).glob(TEMPORARY + "*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_dir():
                found.add((path.name, status.st_ino, status.st_mtime_ns))
        return found


def _first_entry(folder: Path) -> object | None:
    return next(Ledger(folder / "ledger").entries(0), None)

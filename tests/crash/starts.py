"""Starts of `learnd` that can be watched, killed at any instant, and asked how they ended."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from daemon.storage.durable import TEMPORARY
from daemon.storage.ledger import Ledger

REPOSITORY = Path(__file__).parents[2]

# No single run of these tests takes longer, however busy the machine.
LIMIT_S = 300.0


class Launcher:
    """Starts `learnd` by forks of one process (see `tests/crash/launcher.py`); outputs lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.launcher"],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, folder: Path, arguments: Sequence[str], *, failpoint: str = "") -> Start:
        """A process of `learnd ARGUMENTS`; `folder` is the storage folder that they name."""
        number = next(self._numbers)
        out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
        err.touch()
        is_fresh = _first_entry(folder) is None
        pid = self._ask({"start": list(arguments), "failpoint": failpoint, "out": str(out), "err": str(err)})
        return Start(self, pid, folder=folder, out=out, err=err, is_fresh=is_fresh)

    def reap(self, pid: int) -> int:
        """Exit status of a process that ended, negative where a signal ended it."""
        return self._ask({"reap": pid})

    def close(self) -> None:
        """Kills what still runs."""
        self._process.communicate(timeout=LIMIT_S)

    def _ask(self, order: dict[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Start:
    """One process of `learnd`."""

    def __init__(self, launcher: Launcher, pid: int, *, folder: Path, out: Path, err: Path, is_fresh: bool) -> None:
        self._launcher, self._pid, self._folder, self._is_fresh = launcher, pid, folder, is_fresh
        self._out, self.err = out, err
        self._pidfd = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)

    def ended(self, *, within_s: float) -> bool:
        return bool(self._poll.poll(within_s * 1000))

    def kill(self, number: int = signal.SIGKILL) -> None:
        signal.pidfd_send_signal(self._pidfd, number)

    def result(self) -> str | None:
        """The `state_sha256` that it printed (nothing where it was asked to stop), or None where it was killed."""
        if not self.ended(within_s=LIMIT_S):
            self.kill()
            raise AssertionError(f"did not end within {LIMIT_S} s: {self.err.read_text()}")
        status = self._launcher.reap(self._pid)
        os.close(self._pidfd)
        if status == -signal.SIGKILL:
            return None
        assert status == 0, self.err.read_text()
        return self._out.read_text().removeprefix("state_sha256 ").strip()

    def wait_until_ready(self) -> None:
        """Until learning begins: a fresh ledger has its first entry, or the log tells where learning resumes."""
        deadline = time.monotonic() + LIMIT_S
        while not (_first_entry(self._folder) if self._is_fresh else b" resuming at row " in self.err.read_bytes()):
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

"""Starts of `learnd` by forks of one process that has imported all of it (see `tests/launcher.py`).

What a start costs a user, several seconds of imports, is no part of what most tests ask; those that do start a process of their
own.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


class Process:
    """One `learnd`, as far as it goes like a `subprocess.Popen` whose outputs are files."""

    def __init__(self, launcher: Launcher, pid: int, *, out: Path, err: Path) -> None:
        self.pid, self.out, self.err = pid, out, err
        self.returncode: int | None = None
        self._launcher = launcher
        self._pidfd = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)

    def ended(self, *, within_s: float) -> bool:
        """Whether it has, or does within that time; it is still to be waited for then."""
        return self.returncode is not None or bool(self._poll.poll(within_s * 1000))

    def poll(self) -> int | None:
        return self.wait(0.0) if self.ended(within_s=0.0) else None

    def wait(self, timeout_s: float) -> int:
        """Its exit status, negative where a signal ended it; raises `TimeoutError`."""
        if self.returncode is None:
            if not self.ended(within_s=timeout_s):
                raise TimeoutError(f"did not end within {timeout_s} s: {self.err.read_text()}")
            self.returncode = self._launcher.reap(self.pid)
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Launcher:
    """Starts `learnd`, for as long as it is not closed; outputs lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.launcher"],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: Sequence[str], *, err: Path | None = None, **more: str) -> Process:
        """A process of `learnd ARGUMENTS`; its log goes to `err`, and `more` into its environment."""
        number = next(self._numbers)
        out, err = self._folder / f"{number}.out", err or self._folder / f"{number}.err"
        err.touch()
        order = {"start": list(arguments), "environment": environment(**more), "folder": str(Path.cwd())}
        pid = self._ask({**order, "out": str(out), "err": str(err)})
        return Process(self, pid, out=out, err=err)

    def run(self, arguments: Sequence[str], *, timeout_s: float, **more: str) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        process = self.start(arguments, **more)
        try:
            status = process.wait(timeout_s)
        except TimeoutError:
            process.kill()
            process.wait(timeout_s)
            raise
        out, err = (path.read_text(encoding="utf-8") for path in (process.out, process.err))
        return subprocess.CompletedProcess(list(arguments), status, out, err)

    def reap(self, pid: int) -> int:
        """Exit status of a process that ended, negative where a signal ended it."""
        return self._ask({"reap": pid})

    def close(self) -> None:
        """Kills what still runs."""
        self._process.communicate()

    def _ask(self, order: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


@cache
def launcher() -> Launcher:
    """One for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="learnd-launched-"))
    made = Launcher(folder)

    def close() -> None:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(close)
    return made

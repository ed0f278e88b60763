"""Keeps the trainer and the server running side by side; neither can stall the other.

A child that falls by what may pass is started again; one that to start again would not mend ends everything.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

# The exit status by which a child says that to start it again would only repeat its fall (daemon.__main__).
LASTS = 2
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
# A process that ran so long was healthy; its next fall is a new one.
HEALTHY_S = 60.0
TURN_S = 0.2


class Child:
    """One `learnd` process that is started again when it falls, later each time that it falls soon.

    `stderr` is a file descriptor that takes its log; by default that of this process.
    """

    def __init__(
        self,
        *,
        name: str,
        arguments: Sequence[str],
        stderr: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "daemon", *arguments]
        self._stderr, self._clock = stderr, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._start_at = 0.0
        self._backoff_s = FIRST_BACKOFF_S

    def tend(self) -> int | None:
        """Start it where it is due; its exit status where it fell by what lasts, which ends everything."""
        if self._process is None:
            if self._clock() >= self._start_at:
                self._process, self._started = self._start(), self._clock()
            return None
        status = self._process.poll()
        if status is None or status == LASTS:
            return status
        self._fell(status)
        return None

    def stop(self, *, now: bool) -> None:
        """Ask it to leave (SIGTERM), or with `now` make it leave (SIGKILL): nothing is lost by that."""
        if self._process is not None and self._process.poll() is None:
            (self._process.kill if now else self._process.terminate)()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> subprocess.Popen[bytes]:
        # Ctrl+C reaches every process of the terminal's group. A child has a group of its own, so that it hears of a stop once,
        # from us: a second signal would make it leave at once.
        return subprocess.Popen(self._command, stderr=self._stderr, process_group=0)  # noqa: S603 - our own program

    def _fell(self, status: int) -> None:
        if self._clock() - self._started >= HEALTHY_S:
            self._backoff_s = FIRST_BACKOFF_S
        logger.error("%s left with status %s; it is started again in %.0f s", self.name, status, self._backoff_s)
        self._process, self._start_at = None, self._clock() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)


class Supervisor:
    """Runs its children until `stop` is called; once more, and they are made to leave at once."""

    def __init__(self, children: Sequence[Child], *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._children, self._sleep = children, sleep
        self._stops = 0

    def stop(self) -> None:
        """Only sets a flag, so a signal handler may call it."""
        self._stops += 1

    def run(self) -> int:
        """Returns the exit status: 0 when asked to stop, else that of the child which to start again would not mend."""
        fallen: dict[str, int] = {}
        while not self._stops and not fallen:
            statuses = {child.name: child.tend() for child in self._children}
            fallen = {name: status for name, status in statuses.items() if status is not None}
            self._sleep(TURN_S)
        for child in self._children:
            child.stop(now=False)
        while any(child.running for child in self._children):
            if self._stops > 1:
                for child in self._children:
                    child.stop(now=True)
            self._sleep(TURN_S)
        for name in fallen:
            # Last of all, since what the others say as they leave comes between.
            logger.error("%s cannot go on, and to start it again would not mend it; its last word above says why", name)
        return max(fallen.values(), default=0)

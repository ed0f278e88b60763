"""Writes beside the loop: one at a time, on a thread of their own, each no more often than its cost allows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from daemon.errors import StorageError, WriterError

# Writing may take this part of the time that the loop is at work, so that freshness never eats learning, and this part of
# the time that it waits for records. A loop that waits for even a twentieth of the time earns most by waiting; one that never
# does has records waiting for it, and learning those is what makes its answers fresh.
BUSY_SHARE = 0.0075
IDLE_SHARE = 0.5


@dataclass(slots=True)
class Cadence:
    """When something that costs time is due again: `interval_s` after it began, and once the time since has earned its cost.

    `now` is a clock, `waited` the time that the loop has waited for records in all, both in seconds.

    >>> cadence = Cadence(interval_s=1.0)
    >>> cadence.done(began=10.0, ended=10.2, waited=7.0)
    >>> cadence.is_due(now=10.9, waited=7.7), cadence.is_due(now=11.0, waited=7.8)      # idle: .8 s earn .4
    (False, True)
    >>> cadence.is_due(now=11.0, waited=7.0), cadence.is_due(now=36.9, waited=7.0)      # at work: 26.7 s earn the .2
    (False, True)
    """

    interval_s: float
    due_at: float = 0.0
    _cost_s: float = 0.0
    _ended: float = 0.0
    _waited: float = 0.0

    def done(self, *, began: float, ended: float, waited: float) -> None:
        self.due_at = began + self.interval_s
        self._cost_s, self._ended, self._waited = ended - began, ended, waited

    def is_due(self, *, now: float, waited: float) -> bool:
        idle = waited - self._waited
        return now >= self.due_at and BUSY_SHARE * (now - self._ended - idle) + IDLE_SHARE * idle >= self._cost_s


@dataclass(frozen=True, slots=True)
class Write:
    """One write: `work` runs on the thread; the loop hears of its end by `then(result, seconds)` or `failed(error)`."""

    work: Callable[[], Any]
    then: Callable[[Any, float], None]
    failed: Callable[[StorageError], None]
    cadence: Cadence
    began: float


class BesideTheLoop:
    """The writing thread. An error that is no `StorageError` is a fault of ours and is raised in the loop, as is the
    `WriterError` of one who lost the folder: there is nothing left to do for it."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.waited_s = 0.0
        """How long the loop has waited for records; the loop says so."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="learnd-writer")
        self._running: tuple[Write, Future[tuple[Any, float]]] | None = None

    @property
    def is_writing(self) -> bool:
        return self._running is not None

    def start(self, write: Write) -> None:
        assert self._running is None, "one write at a time"
        self._running = write, self._thread.submit(lambda: (write.work(), self._clock()))

    def reap(self, *, wait: bool) -> None:
        """Tell the loop what became of the write under way, if it is through; with `wait`, wait for it."""
        if self._running is None or not (wait or self._running[1].done()):
            return
        (write, future), self._running = self._running, None
        try:
            result, ended = future.result()
        except WriterError:
            raise
        except StorageError as error:
            write.cadence.done(began=write.began, ended=self._clock(), waited=self.waited_s)
            write.failed(error)
        else:
            heard = self._clock()
            write.then(result, ended - write.began)
            # What follows from a write is part of what it costs.
            write.cadence.done(began=write.began, ended=ended + self._clock() - heard, waited=self.waited_s)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

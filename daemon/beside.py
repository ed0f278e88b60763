"""Writes beside the loop: one at a time, on a thread of their own, each no more often than its cost allows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from daemon.errors import StorageError

# Writing may take at most a sixth of the time, so that freshness never eats learning.
REST_PER_COST = 5.0


@dataclass(slots=True)
class Cadence:
    """When something that costs time is due again: `interval_s` after it began, and five times its cost after it ended.

    >>> cadence = Cadence(interval_s=1.0)
    >>> cadence.done(began=10.0, ended=10.1)
    >>> cadence.due_at
    11.0
    >>> cadence.done(began=20.0, ended=21.0)
    >>> cadence.due_at
    26.0
    """

    interval_s: float
    due_at: float = 0.0

    def done(self, *, began: float, ended: float) -> None:
        self.due_at = max(began + self.interval_s, ended + REST_PER_COST * (ended - began))


@dataclass(frozen=True, slots=True)
class Write:
    """One write: `work` runs on the thread; the loop hears of its end by `then(result, seconds)` or `failed(error)`."""

    work: Callable[[], Any]
    then: Callable[[Any, float], None]
    failed: Callable[[StorageError], None]
    cadence: Cadence
    began: float


class BesideTheLoop:
    """The writing thread. An error that is no `StorageError` is a fault of ours and is raised in the loop."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="learnd-writer")
        self._running: tuple[Write, Future[tuple[Any, float]]] | None = None

    @property
    def busy(self) -> bool:
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
        except StorageError as error:
            write.cadence.done(began=write.began, ended=self._clock())
            write.failed(error)
        else:
            write.cadence.done(began=write.began, ended=ended)
            write.then(result, ended - write.began)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

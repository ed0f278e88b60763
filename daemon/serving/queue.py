"""The queue before the model: bounded, batched without waiting, answered by one thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from daemon.serving.answerer import Answer, Input, answer_all
from daemon.serving.errors import OverloadedError
from daemon.serving.store import Served

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Item:
    served: Served
    inputs: Sequence[Input]
    future: Future[Sequence[Answer]] = field(default_factory=Future)


class Batcher:
    """Answers what waits, together: while one batch runs, requests gather, and those for one snapshot become the next batch.

    There is no added wait: a request that finds the thread idle is answered alone and at once. A request keeps the
    snapshot that it was admitted with. A future that is cancelled before its turn (a deadline passed) costs
    the model nothing.

    queue_rows: rows that may wait; a request that finds no room is refused.
    batch_rows: rows that are answered in one call; a larger request is a batch of its own.
    stuck_s: seconds in one call after which the server no longer counts as live.
    """

    def __init__(
        self, *, queue_rows: int, batch_rows: int, stuck_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue_rows, self._batch_rows, self._stuck_s, self._clock = queue_rows, batch_rows, stuck_s, clock
        self._items: deque[_Item] = deque()
        self._waiting_rows = 0
        self._closed = False
        self._busy_since: float | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="answer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, served: Served, inputs: Sequence[Input]) -> Future[Sequence[Answer]]:
        """Queue `inputs` for the snapshot `served`. Raises `OverloadedError` where there is no room."""
        item = _Item(served, inputs)
        with self._changed:
            if self._closed:
                raise OverloadedError("the server is stopping; ask another one")
            if self._waiting_rows + len(inputs) > self._queue_rows:
                raise OverloadedError(
                    f"{self._waiting_rows} of {self._queue_rows} rows wait already, {len(inputs)} more do not fit"
                )
            self._items.append(item)
            self._waiting_rows += len(inputs)
            self._changed.notify()
        return item.future

    @property
    def waiting_rows(self) -> int:
        return self._waiting_rows

    def is_live(self) -> bool:
        """Whether the thread is there and moves."""
        busy_since = self._busy_since
        return self._thread.is_alive() and (busy_since is None or self._clock() - busy_since < self._stuck_s)

    def close(self, *, wait_s: float) -> None:
        """Take nothing more, answer what waits, and give that `wait_s` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(wait_s)

    def _run(self) -> None:
        # A round is a call, so that nothing here holds an old snapshot while the thread waits for the next request.
        while self._round():
            pass

    def _round(self) -> bool:
        items = self._take()
        if not items:
            return False
        self._busy_since = self._clock()
        running = [item for item in items if item.future.set_running_or_notify_cancel()]
        if running:
            self._answer(running)
        self._busy_since = None
        return True

    def _take(self) -> list[_Item]:
        """The longest run of waiting requests that makes one batch; nothing once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            taken: list[_Item] = []
            num_rows = 0
            while self._items:
                item = self._items[0]
                if taken and (item.served is not taken[0].served or num_rows + len(item.inputs) > self._batch_rows):
                    break
                taken.append(self._items.popleft())
                num_rows += len(item.inputs)
            self._waiting_rows -= num_rows
            return taken

    def _answer(self, items: list[_Item]) -> None:
        try:
            answers = answer_all(items[0].served.answerer, [row for item in items for row in item.inputs])
        except Exception as error:
            # A model may raise anything, and whoever asked must hear of it.
            if len(items) == 1:
                items[0].future.set_exception(error)
                return
            _log.debug("a batch of %d requests failed; each is answered alone, to find the one at fault", len(items))
            for item in items:
                self._answer([item])
            return
        start = 0
        for item in items:
            item.future.set_result(answers[start : start + len(item.inputs)])
            start += len(item.inputs)

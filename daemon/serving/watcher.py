"""Follows the snapshot pointer: up when something was published, down when it was rolled back."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from daemon.errors import StorageError
from daemon.serving.store import Served, Store
from daemon.serving.telemetry import Telemetry
from daemon.storage.snapshots import Snapshots

_log = logging.getLogger(__name__)


class Watcher:
    """Loads what the pointer names on a thread of its own and swaps it in once it has answered.

    A snapshot that cannot be loaded is named in one warning and counted, and what is served stays; where nothing is served
    yet, the newest older one that loads is. It is tried again every `retry_s`, since a network share or a lack of memory
    passes; a torn file stays torn, and the next publish takes its place.

    poll_interval_s: seconds between looks at the pointer, which is as much as this adds to freshness.
    now: seconds since the epoch, which record timestamps are compared with.
    """

    def __init__(
        self,
        *,
        snapshots: Snapshots,
        store: Store,
        telemetry: Telemetry,
        poll_interval_s: float,
        retry_s: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._snapshots, self._store, self._telemetry = snapshots, store, telemetry
        self._poll_interval_s, self._retry_s, self._clock, self._now = poll_interval_s, retry_s, clock, now
        # The newest version whose records were counted as fresh, or that was there before this server was.
        self._newest: int | None = None
        self._failed: tuple[int, float] | None = None
        self._warned: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, wait_s: float) -> None:
        self._stopped.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        self.poll()
        while not self._stopped.wait(self._poll_interval_s):
            self.poll()

    def poll(self) -> None:
        """Look at the pointer once, and follow it where it moved."""
        try:
            self._follow(self._snapshots.current())
        except Exception as error:
            # Answers must go on, whatever became of the folder.
            self._warn_once(f"the snapshot folder cannot be read ({type(error).__name__}: {error}); what is served stays")

    def _follow(self, wanted: int | None) -> None:
        if self._newest is None:
            # What was published before this server came up is not news: its records waited for the server, not for learning.
            self._newest = wanted or 0
        current = self._store.current
        if wanted is None or (current is not None and current.version == wanted) or self._is_given_up(wanted):
            return
        served = self._load(wanted)
        if served is None:
            self._failed = (wanted, self._clock() + self._retry_s)
            served = self._load_older(wanted) if current is None else None
        if served is not None:
            self._swap(served)

    def _is_given_up(self, version: int) -> bool:
        return self._failed is not None and self._failed[0] == version and self._clock() < self._failed[1]

    def _load(self, version: int) -> Served | None:
        try:
            return self._store.load(version)
        except Exception as error:
            # A model may raise anything on bytes that it does not know, and answers must go on.
            self._telemetry.load_failures.inc()
            self._warn_once(f"snapshot {version} cannot be loaded and is passed over: {type(error).__name__}: {error}")
            return None

    def _load_older(self, version: int) -> Served | None:
        older = (candidate for candidate in reversed(self._store.versions()) if candidate < version)
        return next((served for served in map(self._load, older) if served is not None), None)

    def _swap(self, served: Served) -> None:
        self._store.current = served
        now_s = self._now()
        self._telemetry.swaps.inc()
        self._telemetry.version.set(served.version)
        self._telemetry.timestamp.set(served.published_s)
        self._warned.clear()
        _log.debug("snapshot %d (%s) answers now", served.version, served.digest)
        self._telemetry.observe_freshness(self._new_arrivals(served), now_s=now_s)

    def _new_arrivals(self, served: Served) -> list[float]:
        """Records that no snapshot which answered before had learned; none after a rollback."""
        newest, self._newest = self._newest or 0, max(self._newest or 0, served.version)
        if served.version <= newest:
            return []
        arrivals_s = list(served.arrivals_s)
        # What a snapshot learned that was replaced before it could answer is in the answers only now, and later for it.
        for version in self._store.versions():
            if newest < version < served.version:
                with contextlib.suppress(StorageError, OSError):  # dropped meanwhile, or torn
                    arrivals_s += self._snapshots.open(version).manifest["arrivals"]
        return arrivals_s

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s", text)

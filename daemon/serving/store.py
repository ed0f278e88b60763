"""The snapshots that answer: the current one, and a few older ones that clients asked for by version."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from daemon.errors import SnapshotError
from daemon.serving.answerer import Answerer, Input, Load, answer_all
from daemon.serving.errors import NotReadyError, OverloadedError, UnknownError
from daemon.serving.telemetry import Telemetry
from daemon.storage.snapshot import Snapshot
from daemon.storage.snapshots import Snapshots

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Served:
    """A snapshot in memory. Whoever answers from it holds it, and the last one to let go frees it.

    published_s: when it was published, in seconds since the epoch.
    arrivals_s: when the records came to be (a sample of them) that it is the first to have learned, in seconds since the epoch.
    """

    version: int
    digest: str
    answerer: Answerer
    published_s: float
    arrivals_s: Sequence[float]


class Store:
    """Holds what is served. Swapping is one reference, so a request sees the old snapshot or the new one and nothing between.

    num_older: how many snapshots that are not current are kept in memory for those who ask for them by version.
    """

    def __init__(self, *, snapshots: Snapshots, load: Load, telemetry: Telemetry, num_older: int) -> None:
        self._snapshots, self._load, self._telemetry, self._num_older = snapshots, load, telemetry, num_older
        self._older: OrderedDict[int, asyncio.Future[Served]] = OrderedDict()
        self.current: Served | None = None

    def load(self, version: int) -> Served:
        """Load, check and warm up a version, beside whatever is served. Any thread; raises what the snapshot deserves."""
        with self._telemetry.load_seconds.time():
            snapshot = self._snapshots.open(version)
            answerer = self._load(snapshot)
            # A real answer, alone and in a batch: the first client must neither pay for lazy set-up nor find a broken model.
            warm_up = Input(text="warm up" if "text" in answerer.reads else "")
            for num_rows in (1, 2):
                answer_all(answerer, [warm_up] * num_rows)
        published_s, arrivals_s = _times(snapshot)
        return Served(version, snapshot.digest, answerer, published_s, arrivals_s)

    def versions(self) -> list[int]:
        """Every version that may be asked for, ascending."""
        return sorted(self._snapshots.versions())

    def latest(self) -> Served:
        """What answers now. Raises `NotReadyError` where nothing does yet."""
        served = self.current
        if served is None:
            raise NotReadyError("no snapshot is loaded yet; the trainer publishes the first one once its gate agrees")
        return served

    async def get(self, version: int) -> Served:
        """The snapshot of that version, from memory or from disk.

        Raises `UnknownError` where there is none (or none that can be loaded) and `OverloadedError` where as many others as
        are kept in memory are being loaded already.
        """
        served = self.current  # read once: another thread swaps it
        if served is not None and served.version == version:
            return served
        if version not in self._older:
            self._start_loading(version)
        self._older.move_to_end(version)
        try:
            # Shielded: when this request gives up, the load goes on for those behind it.
            return await asyncio.shield(self._older[version])
        except SnapshotError as error:
            _log.warning("version %d, asked for by a client, cannot be loaded: %s", version, error)
            raise UnknownError(f"version {version} is damaged; the cause is in the server's log") from error

    def _start_loading(self, version: int) -> None:
        versions = self.versions()
        if version not in versions:
            raise UnknownError(f"there is no version {version}; there are {', '.join(map(str, versions)) or 'none'}")
        self._make_room()
        loading = asyncio.wrap_future(_on_thread(lambda: self.load(version)))
        self._older[version] = loading

        def forget_failure(loading: asyncio.Future[Served]) -> None:
            if (loading.cancelled() or loading.exception()) and self._older.get(version) is loading:
                del self._older[version]

        loading.add_done_callback(forget_failure)

    def _make_room(self) -> None:
        while len(self._older) >= self._num_older:
            oldest = next((version for version, loading in self._older.items() if loading.done()), None)
            if oldest is None:
                raise OverloadedError(
                    f"{len(self._older)} other versions are being loaded; ask again, or ask for the current one"
                )
            del self._older[oldest]


def _times(snapshot: Snapshot) -> tuple[float, Sequence[float]]:
    try:
        return snapshot.manifest["published_s"], snapshot.manifest["arrivals"]
    except KeyError as error:
        raise SnapshotError(f"{snapshot.path}: its manifest lacks {error}; publish it with a build that writes it") from error


def _on_thread(call: Callable[[], Served]) -> Future[Served]:
    """Run `call` on a thread that does not keep the process alive, as an executor's would."""
    future: Future[Served] = Future()

    def run() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call())
        except BaseException as error:
            # Whatever it is, it belongs to those who wait.
            future.set_exception(error)

    threading.Thread(target=run, name="load", daemon=True).start()
    return future

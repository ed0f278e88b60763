"""The serving process: listens, follows the snapshots, answers, and leaves in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator

import uvicorn

from daemon.errors import ServingError
from daemon.serving.answerer import Load
from daemon.serving.app import build_app
from daemon.serving.queue import Batcher
from daemon.serving.security import choose_access
from daemon.serving.service import Limits, Service
from daemon.serving.sockets import bind
from daemon.serving.store import Store
from daemon.serving.telemetry import Telemetry
from daemon.serving.watcher import Watcher
from daemon.storage.snapshots import Snapshots

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# What a thread that waits for nothing takes to leave, many times over; one inside a model's call may take any time.
_THREADS_S = 1.0


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are `Server`'s: uvicorn would raise them again at the end, and so turn a good exit into a death by signal."""
        yield


class Server:
    """Answers over HTTP from the snapshots in a folder.

    It listens from its construction on (`port` is then known), and answers once `run` was called. On SIGTERM or SIGINT it
    says unready, takes no new connection after `drain_s`, finishes what it admitted within `grace_s`, and leaves; on a
    second one it leaves at once.

    token: what clients must show, "" for none, which only a loopback `host` may do without.
    queue_rows, batch_rows: rows that may wait; rows answered in one call of the model.
    poll_interval_s, retry_s: seconds between looks at the snapshot pointer; until a snapshot that did not load is tried again.
    num_older: older versions kept in memory for those who ask for them.
    drain_s: seconds between unready and the last new connection: what a load balancer takes to notice.
    grace_s: seconds that admitted requests have to finish.
    stuck_s: seconds in one call of the model after which the server no longer counts as live.

    Raises `ServingError` for an address without a token that needs one, and where it cannot listen.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        token: str,
        model_name: str,
        snapshots: Snapshots,
        load: Load,
        telemetry: Telemetry,
        limits: Limits,
        queue_rows: int,
        batch_rows: int,
        poll_interval_s: float = 0.05,
        retry_s: float = 30.0,
        num_older: int = 2,
        drain_s: float = 0.0,
        grace_s: float = 20.0,
        stuck_s: float = 60.0,
    ) -> None:
        if queue_rows < limits.instances:
            raise ServingError(
                f"serving.max_queue is {queue_rows}, but one request may have {limits.instances} rows (serving.max_batch) and "
                "would never fit; raise the one or lower the other"
            )
        access = choose_access(host=host, token=token)
        self._host, self._drain_s = host, drain_s
        store = Store(snapshots=snapshots, load=load, telemetry=telemetry, num_older=num_older)
        self._watcher = Watcher(
            snapshots=snapshots, store=store, telemetry=telemetry, poll_interval_s=poll_interval_s, retry_s=retry_s
        )
        self._batcher = Batcher(queue_rows=queue_rows, batch_rows=batch_rows, stuck_s=stuck_s)
        self._service = Service(model_name=model_name, store=store, batcher=self._batcher, telemetry=telemetry, limits=limits)
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                build_app(service=self._service, access=access),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                # uvicorn waits with asyncio.wait_for, which takes fractions; only its annotation does not.
                timeout_graceful_shutdown=grace_s,  # type: ignore[arg-type] # uvicorn types it int
            )
        )
        self._num_stops = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._socket = bind(host, port)
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    def run(self) -> bool:
        """Answer until stopped; signals are heeded where this is the main thread.

        Returns False where it left at once, with requests unanswered.
        """
        self._watcher.start()
        self._batcher.start()
        _log.info("answering on %s", self.url)
        is_orderly = False
        try:
            with self._signals():
                asyncio.run(self._serve())
            is_orderly = True
        except asyncio.CancelledError:
            _log.warning("left at once; requests that were being answered got no answer")
        finally:
            self._socket.close()
            # All that was admitted is answered or given up by now, and neither thread keeps the process alive.
            self._watcher.stop(wait_s=_THREADS_S if is_orderly else 0)
            self._batcher.close(wait_s=_THREADS_S if is_orderly else 0)
        return is_orderly

    def stop(self) -> None:
        """Leave in good order; asked again, at once. From any thread or signal handler, so it takes no lock."""
        self._num_stops += 1
        self._service.stopping = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has left already
                self._loop.call_soon_threadsafe(self._leave)

    async def _serve(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        if self._num_stops:
            self._leave()
        await self._uvicorn.serve(sockets=[self._socket])

    def _leave(self) -> None:
        assert self._loop is not None
        assert self._main is not None
        if self._num_stops > 1:
            self._main.cancel()
        else:
            _log.info("stopping: unready, then no new connection after %g s; a second signal leaves at once", self._drain_s)
            self._loop.call_later(self._drain_s, setattr, self._uvicorn, "should_exit", True)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

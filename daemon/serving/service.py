"""What every route that answers needs: the limits, the snapshot that a request is pinned to, the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from daemon.serving.answerer import Answer, Input
from daemon.serving.errors import DeadlineError, EncodingError, OverloadedError, RequestError, TooLargeError
from daemon.serving.queue import Batcher
from daemon.serving.store import Served, Store
from daemon.serving.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost.

    body_bytes: of the body. instances: rows in one request. text_chars: characters of one text.
    deadline_s: seconds from a request's head to its answer.
    """

    body_bytes: int = 8 << 20
    instances: int = 1024
    text_chars: int = 1_000_000
    deadline_s: float = 10.0


class Service:
    """Admits a request, answers it, and knows whether the server is ready and live."""

    def __init__(self, *, model_name: str, store: Store, batcher: Batcher, telemetry: Telemetry, limits: Limits) -> None:
        self.model_name, self.store, self.limits, self.telemetry = model_name, store, limits, telemetry
        self._batcher = batcher
        self.stopping = False

    def is_ready(self) -> bool:
        """Whether a snapshot is loaded and the server means to stay. A swap changes neither."""
        return self.store.current is not None and not self.stopping

    def is_live(self) -> bool:
        return self._batcher.is_live()

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Bounds all that is done for a request, its slow arrival included. Raises `DeadlineError`."""
        try:
            async with asyncio.timeout(self.limits.deadline_s):
                yield
        except TimeoutError:
            raise DeadlineError(f"no answer within {self.limits.deadline_s:g} s; ask again with less, or later") from None

    async def body(self, request: Request) -> bytes:
        """The whole body. Raises `TooLargeError` and, for a compressed one, `EncodingError`."""
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise EncodingError(f"Content-Encoding {encoding} is not taken; send the body as it is")
        limit = self.limits.body_bytes
        chunks: list[bytes] = []
        num_bytes = 0
        async for chunk in request.stream():
            num_bytes += len(chunk)
            if num_bytes <= limit:
                chunks.append(chunk)
            # A client that is still sending does not listen, so a body a little over the limit is read to its end and dropped.
            elif num_bytes > 2 * limit:
                break
        if num_bytes > limit:
            raise TooLargeError(f"the body is larger than {limit} bytes; send fewer instances at a time")
        return b"".join(chunks)

    async def pin(self, version: int | None) -> Served:
        """The snapshot that this request is answered from, whatever is published meanwhile; None means the current one."""
        return self.store.latest() if version is None else await self.store.get(version)

    def check(self, inputs: Sequence[Input], served: Served) -> None:
        """Whether `served` can answer `inputs`. Raises `RequestError` with the row (counted from 0) where not."""
        if not inputs:
            raise RequestError("there are no instances to answer")
        if len(inputs) > self.limits.instances:
            raise TooLargeError(f"{len(inputs)} instances, at most {self.limits.instances} are taken; send them in parts")
        reads = served.answerer.reads
        for row, instance in enumerate(inputs):
            if len(instance.text) > self.limits.text_chars:
                raise TooLargeError(
                    f"instance {row}: the text has {len(instance.text)} characters, at most {self.limits.text_chars} are taken"
                )
            given = [name for name, value in (("text", instance.text), ("features", instance.features)) if value]
            unread = [name for name in given if name not in reads]
            if unread:
                raise RequestError(f"instance {row}: this model reads {' and '.join(reads)}, not {' and '.join(unread)}")

    async def answer(self, inputs: Sequence[Input], served: Served) -> Sequence[Answer]:
        """Check, queue and answer. Raises `OverloadedError` where the queue is full."""
        self.check(inputs, served)
        try:
            future = self._batcher.submit(served, inputs)
        except OverloadedError:
            self.telemetry.shed.inc()
            raise
        return await asyncio.wrap_future(future)


def snapshot_headers(served: Served) -> dict[str, str]:
    """The snapshot that produced an answer, for clients that do not read its body."""
    return {"X-Learnd-Snapshot-Version": str(served.version), "X-Learnd-Snapshot-Digest": served.digest}


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")

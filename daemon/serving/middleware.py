"""What every request passes on its way in, whatever its route: it is counted, then it must show its token."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.serving.security import Access
from daemon.serving.service import json_response
from daemon.serving.telemetry import Telemetry

_log = logging.getLogger(__name__)

# Orchestrators probe these without credentials; they say yes or no and nothing else.
OPEN_PATHS = frozenset({"/livez", "/readyz"})
# What nginx calls a request whose client left before the answer.
_CLIENT_LEFT = 499


class Observe:
    """Counts and times requests, and turns an error that nobody foresaw into an answer that gives nothing away."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app, self._telemetry, self._clock = app, telemetry, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start_s = self._clock()
        with self._telemetry.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, watch)
            except ClientDisconnect:
                status = _CLIENT_LEFT
            except asyncio.CancelledError:
                # Only a server that leaves cancels requests, and this is the end of one: there is nobody to raise it to.
                if not status:
                    text = "the server stopped before it had an answer; ask another one"
                    await json_response({"error": text}, status=503, headers={"Retry-After": "1"})(scope, receive, watch)
            except Exception:
                # The last place that can tell the client anything, whatever went wrong.
                error_id = uuid.uuid4().hex
                _log.exception("request to %s failed, error id %s", _route(scope), error_id)
                if not status:
                    text = f"the server failed to answer; its log has the cause under error id {error_id}"
                    await json_response({"error": text, "error_id": error_id}, status=500)(scope, receive, watch)
            finally:
                route = _route(scope)
                self._telemetry.requests.labels(route, str(status or _CLIENT_LEFT)).inc()
                self._telemetry.duration.labels(route).observe(self._clock() - start_s)


class Authenticate:
    """Refuses, by default, whatever `access` does not permit. Only the two probes are open."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        is_open = scope["type"] == "http" and scope["path"] in OPEN_PATHS
        if is_open or self._access.permits(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            text = "a token is needed: send the header Authorization: Bearer <token>"
            await json_response({"error": text}, status=401, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


def _route(scope: Scope) -> str:
    """The route's template, since paths hold versions, and clients invent paths."""
    route = scope.get("route")
    return getattr(route, "path", "none")

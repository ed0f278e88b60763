"""The trainer's own small HTTP server: /metrics, /livez, /readyz, /health."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from daemon.errors import ConfigError
from daemon.monitoring.health import Health

# A client that sends nothing for so long is let go.
_CLIENT_TIMEOUT_S: Final = 5.0


class TelemetryEndpoint:
    """Answers on a thread of its own, so that a stuck loop still says that it is stuck.

    /livez and /readyz answer 200 or 503; /health answers all four facts as JSON, always with 200.
    """

    def __init__(self, *, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        """Listens from now on; port 0 takes a free one. Raises `ConfigError` where the address cannot be had."""
        handler = type("Handler", (_Handler,), {"registry": registry, "health": health})
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            server = type("Server", (_Server,), {"address_family": family})
            self._server: _Server = server(address, handler)
        except OSError as error:
            raise ConfigError(
                f"telemetry cannot listen on {host}:{port}: {error.strerror or error}; "
                "set telemetry.host and telemetry.port, or port 0 for a free one"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    health: Health
    timeout = _CLIENT_TIMEOUT_S
    server_version = "learnd"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encoder(self.registry), content_type)
        elif path == "/health":
            self._answer_json(200, self.health.document())
        elif path in ("/livez", "/readyz"):
            fact = {"/livez": "live", "/readyz": "ready"}[path]
            holds = self.health.facts()[fact]
            self._answer_json(200 if holds else 503, {fact: holds})
        else:
            self._answer_json(404, {"error": "there are /metrics, /livez, /readyz and /health"})

    def _answer_json(self, status: int, document: dict[str, Any]) -> None:
        self._answer(status, json.dumps(document).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Probes come every few seconds; they are no news."""

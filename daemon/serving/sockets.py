"""Where the server listens: a socket that is bound before anything is loaded, so that a taken port is told at once."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any, TypeAlias

from daemon.errors import ServingError

AddressInfo: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

# Connections that the kernel holds while the server is busy; uvicorn's own default.
_BACKLOG = 2048


def resolve(host: str, *, port: int | None) -> Sequence[AddressInfo]:
    """The addresses that `host` stands for, as `socket.getaddrinfo` has them. Raises `ServingError` for an unknown name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServingError(
            f"{host}: no such address ({error.strerror}); name one of this machine's, such as 127.0.0.1"
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises `ServingError` where the port is taken or the address is not this machine's.
    """
    family, kind, protocol, _, address = resolve(host, port=port)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A port whose last connections still linger is free; one that somebody listens on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServingError(f"{host}:{port} is taken by another process; stop it, or choose another serving.port") from error
        if error.errno == errno.EACCES:
            raise ServingError(
                f"{host}:{port} needs rights that this process lacks; choose a serving.port above 1023"
            ) from error
        raise ServingError(f"{host}:{port} cannot be listened on ({error.strerror}); check serving.host") from error
    listener.setblocking(False)
    return listener


def free_port(host: str, *, preferred: int) -> int:
    """`preferred` where it is free on `host`, else some free port. Another process may still be quicker to take it."""
    try:
        listener = bind(host, preferred)
    except ServingError:
        listener = bind(host, 0)
    with listener:
        port: int = listener.getsockname()[1]
    return port

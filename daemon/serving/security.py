"""Who may ask: everybody on a loopback address, elsewhere those who hold the token."""

from __future__ import annotations

import hmac
import ipaddress
from pathlib import Path
from typing import Literal, Protocol

from daemon.errors import ServingError
from daemon.serving.sockets import resolve

TOKEN_VARIABLE = "LEARND_SERVING__TOKEN"  # noqa: S105 - the name of the variable, not its value
# 128 bits in base64 are 22 characters; anything under 16 is a password, which can be guessed.
_MIN_TOKEN_CHARS = 16


class Access(Protocol):
    """Decides by the Authorization header."""

    def permits(self, authorization: str) -> bool: ...


class Anyone:
    """For loopback addresses: whoever is on the machine."""

    def permits(self, authorization: str) -> bool:
        return True


class Bearer:
    """Those who send `Authorization: Bearer <token>`, compared in constant time.

    >>> access = Bearer("correct-horse-battery")
    >>> [access.permits(header) for header in ("Bearer correct-horse-battery", "Bearer wrong", "")]
    [True, False, False]
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def permits(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return hmac.compare_digest(token.strip().encode(), self._token) and scheme.lower() == "bearer"


def read_token(*, file: Path | Literal[""], given: str) -> str:
    """The token from `file`, or where that is "" the one `given` by the environment, or "" where neither is there.

    Raises `ServingError` for a file that cannot be read and for a token that is empty, short, or could not be sent in a header.
    """
    if file:
        try:
            token, source = Path(file).read_text(encoding="utf-8").strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise ServingError(f"{file}: the token cannot be read ({error}); check the path and the permissions") from error
    elif given:
        token, source = given.strip(), TOKEN_VARIABLE
    else:
        return ""
    if len(token) < _MIN_TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
        raise ServingError(
            f"{source}: a token has at least {_MIN_TOKEN_CHARS} characters, printable ASCII without spaces "
            f"(this one has {len(token)} characters); make one with: openssl rand -hex 32"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether every address that `host` stands for reaches this machine alone. Raises `ServingError` for an unknown name.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "0.0.0.0", "192.0.2.1", "")]
    [True, True, False, False, False]
    """
    if not host:
        return False
    addresses = {str(info[4][0]) for info in resolve(host, port=None)}
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)


def choose_access(*, host: str, token: str) -> Access:
    """Who may ask a server on `host`. Raises `ServingError` for an address that others can reach without a token."""
    if token:
        return Bearer(token)
    if is_loopback(host):
        return Anyone()
    raise ServingError(
        f"{host}: other machines can reach this address, so it needs a token: put one into a file (openssl rand -hex 32) "
        f"and name it in serving.token_file, or set {TOKEN_VARIABLE}, or listen on 127.0.0.1"
    )

"""Why a request is not answered. Each carries the HTTP status that says so; the text goes to the client as it stands.

ServingError
└── RequestError          400  the request itself is wrong; the text says where
    ├── UnknownError      404  no such route, model or version
    ├── TooLargeError     413  the body, the batch or a text is over its limit
    ├── EncodingError     415  the body is compressed
    ├── NotReadyError     503  no snapshot is loaded yet
    ├── OverloadedError   503  the queue is full; Retry-After says when to come back
    └── DeadlineError     504  there was no answer in time
"""

from __future__ import annotations

from typing import Final

from daemon.errors import ServingError

NOT_DECODABLE: Final = (ValueError, RecursionError)
"""What msgspec raises for a body that is no JSON of the right form, is not UTF-8, or is nested without end."""


class RequestError(ServingError):
    """The request is wrong. Texts must hold nothing but what the client sent and what it may know."""

    status = 400
    retry_after_s = 0


class UnknownError(RequestError):
    """There is no such route, model or version."""

    status = 404


class TooLargeError(RequestError):
    """The body, the batch or a text is over its limit."""

    status = 413


class EncodingError(RequestError):
    """The body is compressed, and a small body may unpack to a very large one."""

    status = 415


class NotReadyError(RequestError):
    """No snapshot is loaded yet."""

    status = 503
    retry_after_s = 1


class OverloadedError(RequestError):
    """The queue is full: better to say so at once than to answer everyone too late."""

    status = 503
    retry_after_s = 1


class DeadlineError(RequestError):
    """There was no answer in time."""

    status = 504

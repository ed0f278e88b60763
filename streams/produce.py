"""Send a recorded file to a Kafka topic."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from kafka.errors import KafkaError

from streams.errors import SourceError
from streams.kafka_client import KafkaCluster, KafkaSecurity
from streams.rows import LineReader

_CHUNK_ROWS = 500
# Records on their way at once; more would only fill memory when the brokers are slower than the file.
_MAX_IN_FLIGHT = 10_000
_FLUSH_TIMEOUT_S = 60.0


def produce(
    path: Path,
    *,
    topic: str,
    bootstrap_servers: str,
    security: KafkaSecurity | None = None,
    rate_per_s: float = 0.0,
    limit: int = 0,
    key_field: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send the lines of a JSON-lines file (plain or gzipped) in order; returns how many the brokers have taken.

    `rate_per_s` spaces them evenly (0: as fast as it goes), `limit` stops after so many (0: all). `key_field` names the JSON
    field that becomes the key, so that rows with one key stay in order in one partition; without it rows are spread. The
    topic must exist. Raises `SourceError` with the number of the line that could not be sent.
    """
    cluster = KafkaCluster(bootstrap_servers=bootstrap_servers, security=security or KafkaSecurity())
    cluster.topic(topic)
    producer = cluster.producer(acks="all", linger_ms=5)
    in_flight: deque[tuple[int, Any]] = deque()
    started, sent = clock(), 0
    try:
        for line, value in _lines(path):
            if limit and sent == limit:
                break
            if rate_per_s:
                sleep(max(0.0, started + sent / rate_per_s - clock()))
            try:
                future = producer.send(topic, value, key=_key(value, key_field))
            except KafkaError as error:
                while in_flight:  # the first line that was not sent is the one to name
                    _settle(in_flight, path, topic)
                raise _refused(path, line, topic, error) from error
            in_flight.append((line, future))
            sent += 1
            if len(in_flight) >= _MAX_IN_FLIGHT:
                _settle(in_flight, path, topic)
        while in_flight:
            _settle(in_flight, path, topic)
    finally:
        producer.close(timeout=0)
    return sent


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    reader = LineReader(path, follow=False)
    try:
        reader.open(0)
        while (chunk := reader.read(_CHUNK_ROWS))[0]:
            yield from chunk[0]
    finally:
        reader.close()


def _settle(in_flight: deque[tuple[int, Any]], path: Path, topic: str) -> None:
    """Wait for the oldest record on its way."""
    line, future = in_flight.popleft()
    try:
        future.get(timeout=_FLUSH_TIMEOUT_S)
    except KafkaError as error:
        raise _refused(path, line, topic, error) from error


def _refused(path: Path, line: int, topic: str, error: KafkaError) -> SourceError:
    return SourceError(
        f"{path}: line {line} (counted from 0) could not be sent to {topic} ({error}); all lines before it were. Look at the "
        "brokers and the size of the line"
    )


def _key(value: bytes, field: str) -> bytes | None:
    """The field as the key, as text; None where there is no such field.

    >>> _key(b'{"user": "u1", "n": 7}', "user"), _key(b'{"n": 7}', "n"), _key(b"[]", "user"), _key(b'{"a": 1}', "")
    (b'u1', b'7', None, None)
    """
    if not field:
        return None
    try:
        row = msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return None
    key = row.get(field) if isinstance(row, dict) else None
    if key is None:
        return None
    return key.encode() if isinstance(key, str) else msgspec.json.encode(key)

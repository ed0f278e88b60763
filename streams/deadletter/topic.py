"""Dead letters in a Kafka topic, as Kafka Connect writes them."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from streams.deadletter.base import MAX_PENDING, DeadLetters, Letter
from streams.errors import DeadLetterError, SourceError
from streams.kafka_client import KafkaCluster, KafkaSecurity

logger = logging.getLogger(__name__)

_FLUSH_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_MS = 5000
# How long one `send` may hold up the loop when the brokers do not answer.
_MAX_BLOCK_MS = 1000
# How many letters are kept in sight before those that have arrived are let go.
_SETTLE_AT = 500


class DeadLetterTopic(DeadLetters):
    """Sends each letter at once, and keeps it until the brokers have it.

    Key, value, headers and timestamp are the record's own; the reason stands in the headers `__connect.errors.*`, the id in
    `learnd.id`, and the size of a value that was cut in `learnd.value.bytes`. The topic must exist.
    """

    def __init__(self, *, topic: str, bootstrap_servers: str, max_share: float, security: KafkaSecurity | None = None) -> None:
        super().__init__(max_share=max_share)
        self._topic = topic
        self._cluster = KafkaCluster(bootstrap_servers=bootstrap_servers, security=security or KafkaSecurity())
        self._sent: deque[tuple[Letter, Any]] = deque()
        self._in_trouble = False
        try:
            self._cluster.topic(topic)
            self._producer = self._make_producer()
        except SourceError as error:
            raise DeadLetterError(f"dead letters cannot be written: {error}") from error

    def flush(self) -> None:
        failure = self._settle(_FLUSH_TIMEOUT_S)
        if self._sent:
            # A producer that met an error may be of no more use (it is after a message that was too large).
            failure = self._send_again() or failure
        if self._sent:
            raise self._trouble(failure)
        self._in_trouble = False

    def close(self) -> None:
        self._producer.close(timeout=0)

    def _write(self, letter: Letter) -> None:
        self._sent.append((letter, self._post(letter)))
        if len(self._sent) % _SETTLE_AT:
            return
        failure = self._settle(0)
        if len(self._sent) > MAX_PENDING:
            raise self._trouble(failure)

    def _post(self, letter: Letter) -> Any:
        """A future, or the error where the letter could not even be queued."""
        record = letter.record
        try:
            return self._producer.send(
                self._topic,
                key=letter.key,
                # The client sends no record that has neither key nor value.
                value=b"" if letter.value is None and letter.key is None else letter.value,
                headers=_headers(letter),
                timestamp_ms=round(record.timestamp_s * 1000) or None,
            )
        except KafkaError as error:
            if not self._in_trouble:
                logger.warning("%s", self._trouble(error))
            self._in_trouble = True
            return error

    def _settle(self, timeout_s: float) -> Exception | None:
        """Let go of the letters that have arrived; returns the last error of the others."""
        failure: Exception | None = None
        try:
            if timeout_s:
                self._producer.flush(timeout=timeout_s)
        except KafkaError as error:
            failure = error
        kept: deque[tuple[Letter, Any]] = deque()
        for letter, outcome in self._sent:
            if isinstance(outcome, KafkaError):
                failure = outcome
            elif outcome.succeeded():
                continue
            elif outcome.failed():
                failure = outcome.exception
            kept.append((letter, outcome))
        self._sent = kept
        return failure

    def _send_again(self) -> Exception | None:
        try:
            producer = self._make_producer()
        except SourceError as error:
            return error
        self._producer.close(timeout=0)
        self._producer = producer
        self._sent = deque((letter, self._post(letter)) for letter, _ in self._sent)
        return self._settle(_FLUSH_TIMEOUT_S)

    def _make_producer(self) -> KafkaProducer:
        return self._cluster.producer(timeout_ms=_CONNECT_TIMEOUT_MS, acks="all", max_block_ms=_MAX_BLOCK_MS)

    def _trouble(self, failure: Exception | None) -> DeadLetterError:
        return DeadLetterError(
            f"{len(self._sent)} dead letters cannot be written to topic {self._topic} ({failure or 'no answer in time'}); "
            "check the brokers and the rights on the topic"
        )


def _headers(letter: Letter) -> list[tuple[str, bytes]]:
    record = letter.record
    # A consumer may meet a header without a value, but none may be sent.
    headers = [(name, value or b"") for name, value in record.headers]
    said = {
        "__connect.errors.topic": record.topic,
        "__connect.errors.partition": record.partition,
        "__connect.errors.offset": record.offset,
        "__connect.errors.stage": letter.stage,
        "__connect.errors.class.name": "learnd",
        "__connect.errors.exception.class.name": "streams.errors.DecodeError",
        "__connect.errors.exception.message": letter.reason,
        "learnd.id": letter.id,
    }
    if record.value is not None and letter.value != record.value:
        said["learnd.value.bytes"] = len(record.value)
    return [*headers, *((name, str(value).encode()) for name, value in said.items())]

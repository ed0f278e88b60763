"""Connections to Kafka: how they are secured, and what went wrong when there is none."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, for_code
from kafka.net.compat import KafkaNetClient

from streams.errors import SourceError

BOOTSTRAP_TIMEOUT_MS = 10_000
# The default lets a client sleep 17 s more after the broker is back (30 s at most); with this it is back within 2.
_RECONNECT_BACKOFF_MAX_MS = 1000
_UNKNOWN_TOPIC, _TOPIC_DENIED = 3, 29
_HUNG_UP = re.compile("socket disconnected|Connection reset|Broken pipe|EOF occurred")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """How to reach a secured cluster. Passwords never show in a repr."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-256"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    check_hostname: bool = True

    def __post_init__(self) -> None:
        if self.protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError(f"{self.protocol} needs a user name and a password; give both, or another protocol")
        for file in (self.ca_file, self.certificate_file, self.key_file):
            if file and not Path(file).is_file():
                raise ValueError(f"{file}: no such file; correct the path of the certificate or key")

    def options(self) -> dict[str, Any]:
        """Settings for kafka-python's clients."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        if self.protocol.endswith("SSL"):
            options |= {
                "ssl_check_hostname": self.check_hostname,
                "ssl_cafile": self.ca_file or None,
                "ssl_certfile": self.certificate_file or None,
                "ssl_keyfile": self.key_file or None,
                "ssl_password": self.key_password or None,
            }
        return options


@dataclass(frozen=True, slots=True)
class Topic:
    """What the cluster says of a topic. `id` is "" where the brokers are older than topic ids (before 2.8)."""

    name: str
    id: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaCluster:
    """Makes clients of one cluster. Each method raises `SourceError` with the cause when the cluster cannot be reached."""

    bootstrap_servers: str
    security: KafkaSecurity

    def consumer(self, *, timeout_ms: int = BOOTSTRAP_TIMEOUT_MS, **options: Any) -> KafkaConsumer:
        with self._connecting(timeout_ms) as connecting:
            consumer = KafkaConsumer(**connecting, **options)
        _never_create_topics(consumer._cluster)
        return consumer

    def producer(self, *, timeout_ms: int = BOOTSTRAP_TIMEOUT_MS, **options: Any) -> KafkaProducer:
        with self._connecting(timeout_ms) as connecting:
            producer = KafkaProducer(**connecting, **options)
        _never_create_topics(producer._metadata)
        return producer

    def topic(self, name: str, *, timeout_ms: int = BOOTSTRAP_TIMEOUT_MS) -> Topic:
        """Ask for a topic without creating it; raises `SourceError` where it is missing or may not be seen."""
        with self._admin(timeout_ms) as admin:
            found = admin.describe_topics([name])[0]
        code = found["error_code"]
        if code == _UNKNOWN_TOPIC:
            raise MissingTopicError(
                f'there is no topic "{name}" on {self.bootstrap_servers}; create it (kafka-topics.sh --create), or correct '
                "the name"
            )
        if code == _TOPIC_DENIED:
            raise SourceError(
                f'topic "{name}" on {self.bootstrap_servers} may not be seen by {self.security.username or "this client"}; '
                "grant the rights DESCRIBE and READ (or WRITE) on it"
            )
        if code:
            raise UnreachableError(
                f'topic "{name}" on {self.bootstrap_servers}: {for_code(code).__name__}; look at the brokers'
            )
        partitions = sorted(partition["partition_index"] for partition in found["partitions"])
        return Topic(name, str(found["topic_id"] or ""), tuple(partitions))

    def timestamp_type(self, topic: str) -> str:
        """Whose the timestamps of new records are: "CreateTime" (the producers'), "LogAppendTime" (the brokers'), or "" where
        this user may not know (the right is DESCRIBE_CONFIGS)."""
        name = "message.timestamp.type"
        with self._admin(BOOTSTRAP_TIMEOUT_MS) as admin:
            found = admin.describe_configs([ConfigResource("topic", topic, [name])], config_filter="all")
        return str(found.get("topic", {}).get(topic, {}).get(name, {}).get("value", ""))

    @contextmanager
    def _admin(self, timeout_ms: int) -> Iterator[KafkaAdminClient]:
        with self._connecting(timeout_ms) as connecting:
            admin = KafkaAdminClient(**connecting, request_timeout_ms=timeout_ms)
            try:
                yield admin
            finally:
                admin.close()

    def _options(self, timeout_ms: int) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "bootstrap_timeout_ms": timeout_ms,
            "reconnect_backoff_max_ms": _RECONNECT_BACKOFF_MAX_MS,
            **self.security.options(),
        }

    @contextmanager
    def _connecting(self, timeout_ms: int) -> Iterator[dict[str, Any]]:
        """Options of a client to be made inside the block."""
        with _last_words() as heard, _closed_on_error() as kafka_client:
            try:
                yield {**self._options(timeout_ms), "kafka_client": kafka_client}
            except (KafkaError, OSError, ValueError) as error:
                cause = f" ({_cause(heard)})" if heard else ""
                if self.security.protocol.startswith("SASL") and _HUNG_UP.search(cause):
                    # Over TLS the client may lose the broker's answer when it hangs up right behind it.
                    cause += "; brokers that hang up on SASL most often do not know the user, the password or the mechanism"
                raise UnreachableError(
                    f"Kafka at {self.bootstrap_servers} cannot be reached by {self.security.protocol}: {error}{cause}; "
                    "check address, protocol, user and certificates, and that the broker runs"
                ) from error


class UnreachableError(SourceError):
    """The cluster does not answer, or not as this client asks; it may well do so later."""


class MissingTopicError(SourceError):
    """The topic does not exist."""


def _never_create_topics(cluster: Any) -> None:
    # The clients' own setting of this name has no effect in kafka-python 3.0: they pass it on to no metadata request.
    cluster.config["allow_auto_create_topics"] = False


@contextmanager
def _closed_on_error() -> Iterator[Callable[..., KafkaNetClient]]:
    """What makes the network part of a client; closed where the client cannot be made.

    A client whose constructor raises leaves behind a running thread, a selector and its sockets, and nobody can close it.
    """
    made: list[KafkaNetClient] = []

    def make(**options: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**options))
        return made[-1]

    try:
        yield make
    except BaseException:
        for each in made:
            each.close()
        raise


def _cause(heard: list[str]) -> str:
    """The last line that names an error; any other tells more than the lost connections around it."""
    errors = [text for text in heard if "Error" in text and "Unable to bootstrap" not in text]
    # The last try is cut short by the time limit, after the broker has long said what is wrong, or hung up on it.
    lost = ("KafkaConnectionError", "KafkaTimeoutError", "RequestTimedOutError", "NodeNotReadyError")
    telling = [text for text in errors if "CERTIFICATE" in text or not any(name in text for name in lost)]
    hung_up = [text for text in errors if _HUNG_UP.search(text)]
    return ((telling or hung_up or errors or heard)[-1]).strip()


@contextmanager
def _last_words() -> Iterator[list[str]]:
    """What kafka-python logs meanwhile: the cause of a failed connection stands nowhere else."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener = Listener(level=logging.WARNING)
    logger = logging.getLogger("kafka")
    logger.addHandler(listener)
    try:
        yield heard
    finally:
        logger.removeHandler(listener)

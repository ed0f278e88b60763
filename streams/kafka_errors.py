"""What a fault of Kafka's client means for the reading, with the remedy."""

from __future__ import annotations

from collections.abc import Mapping

from kafka.errors import (
    CorruptRecordError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)

from streams.errors import ReplacedError, SourceError
from streams.kafka_client import UnreachableError


def explained(error: KafkaError, *, topic: str, positions: Mapping[int, int]) -> SourceError:
    """The error to raise for `error`, which came while `topic` was read at `positions` (partition to offset)."""
    at = ", ".join(f"{p}: {o}" for p, o in positions.items())
    if isinstance(error, KafkaConnectionError | KafkaTimeoutError):
        return UnreachableError(f"{topic}: the brokers do not answer ({error}; positions {at}); look at them")
    if isinstance(error, LogTruncationError):
        return ReplacedError(
            f"{topic}: {error}; the topic was made anew or its log truncated. Restore the topic, or start a new folder"
        )
    if isinstance(error, TopicAuthorizationFailedError):
        return SourceError(f"{topic}: {error}; grant this client the right READ on the topic")
    if isinstance(error, UnsupportedCodecError):
        return SourceError(f"{topic}: {error} (positions {at}); install the codec: pip install kafka-python[lz4,snappy,zstd]")
    if isinstance(error, CorruptRecordError):
        return SourceError(
            f"{topic}: {error} (positions {at}); restore the record from a replica, or delete the records up to it "
            '(kafka-delete-records.sh) and set source.on_gap = "skip"'
        )
    return SourceError(f"{topic}: {error} (positions {at}); look at the brokers, then start again")

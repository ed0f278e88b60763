"""Where examples come from, how they are read, and where what cannot be read goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from daemon.settings.base import Float, NonNegativeInt, PositiveFloat, PositiveInt, Section, fixed, setting


class KafkaSettings(Section):
    """Records from one Kafka topic."""

    kind: Literal["kafka"] = fixed("kafka", "Where records come from.")
    topic: str = fixed(..., "Topic to learn from.")
    bootstrap_servers: str = setting("127.0.0.1:9092", "Brokers to ask first, host:port, comma-separated.")
    partitions: tuple[NonNegativeInt, ...] = fixed((), "Partitions to read; empty means all, new ones included.")
    group_id: str = setting("learnd", "Consumer group under which positions are committed, for lag tools only.")
    start: Literal["earliest", "latest"] = setting("earliest", "Where a partition starts that no checkpoint knows.")
    on_gap: Literal["stop", "skip"] = setting("stop", "What to do where retention removed records that were still to be read.")
    buffer_records: PositiveInt = setting(2_000, "Records held per partition before it is paused.")
    stall_timeout_s: PositiveFloat = setting(
        60.0, "Seconds without a record while there is lag, after which the consumer is rebuilt."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "How to talk to the brokers."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting("SCRAM-SHA-512", "SASL mechanism.")
    username: str = setting("", "SASL user.")
    password: SecretStr = setting(SecretStr(""), "SASL password; give it by environment or password_file, not in the file.")
    password_file: Path | Literal[""] = setting("", "File that holds the SASL password.")
    ca_file: Path | Literal[""] = setting("", "CA certificates (PEM) to trust instead of the system's.")
    certificate_file: Path | Literal[""] = setting("", "Client certificate (PEM).")
    key_file: Path | Literal[""] = setting("", "Client key (PEM).")


class FilesSettings(Section):
    """Records from JSON-lines files, one a partition."""

    kind: Literal["files"] = fixed("files", "Where records come from.")
    topic: str = fixed("files", "Name that stands for the topic in positions and dead letters.")
    paths: tuple[Path, ...] = fixed(..., "JSON-lines files, plain or .gz; the first is partition 0.")
    follow: bool = setting(True, "Go on reading as the files grow (plain files).")
    start: Literal["earliest", "latest"] = setting("earliest", "Where a file starts that no checkpoint knows.")
    buffer_records: PositiveInt = setting(2_000, "Records held per file before reading pauses.")


class DecodingSettings(Section):
    """Names of the fields of a JSON record."""

    text: str = fixed("text", "Field with the text.")
    features: str = fixed("features", "Field with an object of numeric and categorical features.")
    label: str = fixed(
        "label", "Field with the label (regression: the number); null, empty or blank is missing: a dead letter."
    )
    id: str = fixed("id", "Field with the example's id; absent: topic-partition-offset.")
    time: str = fixed("time", "Field with the event time, seconds since the epoch or ISO 8601; absent: the record's.")
    weight: str = fixed("weight", "Field with the example's weight, 0 to 1,000,000; absent: 1.")
    slices: dict[str, str] = fixed({}, "Slice name -> field whose value names the group an example is counted under.")
    max_value_bytes: PositiveInt = fixed(1_048_576, "Largest record value in bytes; a larger one becomes a dead letter.")


class DeadLetterSettings(Section):
    """Where records go that cannot be decoded."""

    kind: Literal["file", "topic"] = setting("file", "file: JSON lines in the storage folder. topic: a Kafka topic.")
    topic: str = setting("", "Dead-letter topic (kind topic); same brokers as the source.")
    max_share: Annotated[Float, Field(gt=0, le=1)] = setting(
        0.5, "Share of dead letters in the last 1,000 records at which learning stops."
    )

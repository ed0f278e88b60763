"""Sources, decoders and dead letters by their settings."""

from __future__ import annotations

from pathlib import Path

from daemon.config import secret
from daemon.errors import ConfigError
from daemon.settings import KafkaSettings, Settings
from streams.deadletter import DeadLetterFile, DeadLetters, DeadLetterTopic
from streams.decoding.base import Decoder
from streams.decoding.fields import Fields
from streams.decoding.json import JsonDecoder
from streams.files import FileSource
from streams.gone import GoneFile
from streams.history import HistoryFirst
from streams.kafka import KafkaSource
from streams.kafka_client import KafkaSecurity
from streams.source import Source
from streams.table import TableSource, lacks_times


def source(settings: Settings) -> Source:
    """What is learned: the stream, behind a recorded file where there is one."""
    warm_start = settings.training.warm_start
    if not warm_start:
        return _stream(settings)
    file = Path(warm_start)
    history = table(settings, file) if file.exists() else GoneFile(topic=file.name)
    return HistoryFirst(history=history, stream=_stream(settings))


def _stream(settings: Settings) -> Source:
    chosen = settings.source
    if isinstance(chosen, KafkaSettings):
        return KafkaSource(
            topic=chosen.topic,
            bootstrap_servers=chosen.bootstrap_servers,
            partitions=chosen.partitions,
            group_id=chosen.group_id,
            start=chosen.start,
            on_gap=chosen.on_gap,
            buffer_records=chosen.buffer_records,
            stall_timeout_s=chosen.stall_timeout_s,
            security=kafka_security(chosen),
        )
    if not chosen.paths:
        raise ConfigError("source.paths: names no file; name at least one")
    return FileSource(
        topic=chosen.topic,
        paths=chosen.paths,
        follow=chosen.follow,
        start=chosen.start,
        buffer_records=chosen.buffer_records,
        time_field=settings.decoding.time,
    )


def table(settings: Settings, file: Path) -> Source:
    """A recorded file from its first row on."""
    return TableSource(path=file, fields=fields(settings), slices=tuple(settings.decoding.slices.values()))


def require_times(settings: Settings, file: Path, *, is_lines: bool) -> None:
    """Raise `ConfigError` where the rows of `file` have none, and the cap on sources needs some."""
    if not settings.cap.slice:
        return
    slice_field = settings.decoding.slices[settings.cap.slice]
    if lacks_times(file, fields=fields(settings), slice_field=slice_field, is_lines=is_lines):
        raise ConfigError(
            f'cap.slice: none of the first rows of {file} with a "{slice_field}" has a time ("{settings.decoding.time}"), and '
            'the limit is by the minute; give each row a time, name its field in decoding.time, or set cap.slice = ""'
        )


def kafka_security(chosen: KafkaSettings) -> KafkaSecurity:
    try:
        return KafkaSecurity(
            protocol=chosen.security_protocol,
            mechanism=chosen.sasl_mechanism,
            username=chosen.username,
            password=secret(chosen.password, chosen.password_file),
            ca_file=str(chosen.ca_file),
            certificate_file=str(chosen.certificate_file),
            key_file=str(chosen.key_file),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def fields(settings: Settings) -> Fields:
    names = settings.decoding
    try:
        return Fields(
            text=names.text, features=names.features, label=names.label, id=names.id, time=names.time, weight=names.weight
        )
    except ValueError as error:
        raise ConfigError(f"decoding: {error}") from None


def decoder(settings: Settings) -> Decoder:
    return JsonDecoder(
        task=settings.task.kind,
        fields=fields(settings),
        slices=settings.decoding.slices,
        labels=settings.task.labels,
        max_value_bytes=settings.decoding.max_value_bytes,
    )


def dead_letters(settings: Settings) -> DeadLetters:
    chosen = settings.dead_letters
    if chosen.kind == "topic":
        assert isinstance(settings.source, KafkaSettings), "checked with the settings"
        return DeadLetterTopic(
            topic=chosen.topic,
            bootstrap_servers=settings.source.bootstrap_servers,
            security=kafka_security(settings.source),
            max_share=chosen.max_share,
        )
    return DeadLetterFile(path=settings.storage.folder / "dead-letters.jsonl", max_share=chosen.max_share)

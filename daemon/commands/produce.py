"""`learnd produce`: send the lines of a JSON-lines file to a Kafka topic."""

from __future__ import annotations

import argparse
import sys

from daemon.assembly.sources import kafka_security
from daemon.commands.common import settings_from
from daemon.errors import ConfigError
from daemon.settings import KafkaSettings
from streams.produce import produce


def run(arguments: argparse.Namespace) -> int:
    defaults = {"source": {"kind": "kafka", **({"topic": arguments.topic} if arguments.topic else {})}}
    settings = settings_from(arguments, defaults=defaults)
    if not isinstance(settings.source, KafkaSettings):
        raise ConfigError('source.kind: produce sends to Kafka; set source.kind = "kafka"')
    if not arguments.file.exists() or arguments.file.is_dir():
        raise ConfigError(f"{arguments.file}: no such file; name one of JSON lines, plain or .gz")
    count = produce(
        arguments.file,
        topic=arguments.topic or settings.source.topic,
        bootstrap_servers=settings.source.bootstrap_servers,
        security=kafka_security(settings.source),
        rate_per_s=arguments.rate or 0.0,
        limit=arguments.limit or 0,
    )
    sys.stdout.write(f"{count} records sent to {arguments.topic or settings.source.topic}\n")
    return 0

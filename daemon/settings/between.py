"""What no single setting can see: mistakes between them, each with its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from daemon.settings import KafkaSettings, Settings
from daemon.settings.operation import MonitoringSettings

# Those that take errors of 0 or 1 alone; a regression's are shares (daemon.monitoring.drift.calibration).
BINARY_DETECTORS = ("stepd", "hddm_w", "hddm_a")

# False alarms per 100,000 rows that each detector is calibrated for (daemon.monitoring.drift.calibration).
LEAST_BUDGET, LARGEST_BUDGET = 0.01, 10.0

# What Kafka takes for the address of a broker, and for a topic's name.
BROKER = re.compile(r"(\w+://)?([^\s:,\[\]]+|\[[0-9a-fA-F:.%]+\])(:\d{1,5})?")
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


def mistakes_between(settings: Settings) -> list[str]:
    """Every mistake that shows only where several settings, or the values of one, are seen together."""
    return [
        *_of_the_source(settings),
        *_of_the_model(settings),
        *_of_replay(settings),
        *_of_decoding(settings),
        *_of_the_rest(settings),
        *_of_the_input_detector(settings),
        *_of_the_task(settings),
        *_of_dead_letters(settings),
    ]


def _of_the_source(settings: Settings) -> Iterator[str]:
    chosen = settings.source
    if isinstance(chosen, KafkaSettings):
        if not TOPIC.fullmatch(chosen.topic):
            yield f'source.topic: no topic can be called "{chosen.topic}"; use 1 to 249 of A-Z a-z 0-9 . _ -'
        for server in chosen.bootstrap_servers.split(","):
            if not BROKER.fullmatch(server.strip()):
                yield f'source.bootstrap_servers: "{server}" is no address; write host:port, such as 127.0.0.1:9092'
        if len(set(chosen.partitions)) < len(chosen.partitions):
            yield "source.partitions: names a partition twice; name each once"
        if chosen.password.get_secret_value() and chosen.password_file:
            yield "source.password: stands beside source.password_file; give one of them"
    else:
        if len(set(chosen.paths)) < len(chosen.paths):
            yield "source.paths: names a file twice, which would be learned twice; name each once"
        if any("\0" in str(path) for path in chosen.paths):
            yield "source.paths: holds a zero character, which no path has; remove it"


def _of_decoding(settings: Settings) -> Iterator[str]:
    chosen = settings.decoding
    for name, field in chosen.slices.items():
        if field == chosen.features:
            yield f'decoding.slices.{name}: "{field}" holds all features; name one field of a single value'


def _of_dead_letters(settings: Settings) -> Iterator[str]:
    chosen = settings.dead_letters
    if chosen.kind != "topic":
        return
    if not chosen.topic:
        yield "dead_letters.topic: name the topic that dead letters go to"
    elif not TOPIC.fullmatch(chosen.topic):
        yield f'dead_letters.topic: no topic can be called "{chosen.topic}"; use 1 to 249 of A-Z a-z 0-9 . _ -'
    if settings.source.kind != "kafka":
        yield 'dead_letters.kind: "topic" needs the brokers of a Kafka source; use "file"'
    elif chosen.topic == settings.source.topic:
        yield "dead_letters.topic: is the topic that is learned from, so each dead letter would come back; name another"


def _of_the_task(settings: Settings) -> Iterator[str]:
    chosen = settings.task
    if len(set(chosen.labels)) < len(chosen.labels):
        yield "task.labels: names a label twice; name each once"
    if any(not label.strip() for label in chosen.labels):
        yield "task.labels: names an empty label, which counts as missing wherever it stands; remove it"
    if chosen.kind != "regression":
        return
    if chosen.class_weights:
        yield "task.class_weights: regression has no classes; remove them, and weigh examples by decoding.weight"
    if chosen.labels:
        yield 'task.labels: regression has no labels; remove them or use kind = "classification"'
    if binary := [name for name in settings.monitoring.detectors if name in BINARY_DETECTORS]:
        yield (
            f"monitoring.detectors: {', '.join(binary)} watch errors of 0 or 1, which a regression has not; leave them out, "
            'or use "glr", "adwin", "seed" or "page_hinkley"'
        )
    if settings.model.kind == "transformer" and settings.replay.kind == "balanced":
        yield 'replay.kind: "balanced" balances classes, a regression has none; use "reservoir" or "none"'


def _of_the_model(settings: Settings) -> Iterator[str]:
    chosen = settings.model
    if chosen.kind == "transformer":
        if chosen.encoder == "none":
            yield 'model.encoder: "none" leaves a transformer nothing to read; name a folder or hub id, or kind = "mixture"'
        if chosen.inputs != "text":
            yield f'model.inputs: a transformer reads text, not "{chosen.inputs}"; use kind = "mixture"'
    elif chosen.kind == "mixture":
        if chosen.training == "full":
            yield from _of_finetuning(settings)
    else:
        if chosen.training == "full":
            yield 'model.training: the linear model has no encoder; use kind = "transformer" to fine-tune one'
        if chosen.encoder not in ("auto", "none"):
            yield 'model.encoder: the linear model reads n-grams alone; leave "auto" or "none", or use kind = "mixture"'


def _of_finetuning(settings: Settings) -> Iterator[str]:
    """As one expert of the mixture."""
    if settings.model.encoder == "none":
        yield 'model.training: "full" needs an encoder to fine-tune; name one in model.encoder, or use training = "frozen"'
    if settings.model.inputs == "features":
        yield 'model.training: "full" fine-tunes on texts; use inputs = "text" or "both", or training = "frozen"'
    if settings.task.kind == "regression":
        yield (
            'model.training: the mixture fine-tunes for classification alone; use kind = "transformer" to fine-tune for a '
            'regression, or training = "frozen"'
        )


def _of_replay(settings: Settings) -> Iterator[str]:
    """Of the two parts of balanced replay neither may be empty."""
    chosen = settings.replay
    is_used = settings.model.kind == "transformer" or (settings.model.kind == "mixture" and settings.model.training == "full")
    if is_used and chosen.kind == "balanced" and not 0 < round(chosen.capacity * chosen.recent_share) < chosen.capacity:
        yield (
            f"replay.capacity: {chosen.capacity} rows cannot be parted by replay.recent_share = {chosen.recent_share:g}, which "
            'must leave at least one to either side; set it higher, or use replay.kind = "reservoir"'
        )


def _of_the_rest(settings: Settings) -> Iterator[str]:
    if settings.storage.folder == Path():
        yield 'storage.folder: names no folder; name one, such as "learnd-data"'
    if settings.cap.slice and settings.cap.slice not in settings.decoding.slices:
        known = ", ".join(settings.decoding.slices) or "none"
        yield f'cap.slice: there is no slice "{settings.cap.slice}" in decoding.slices (there are: {known}); add it there'
    if settings.monitoring.detectors:
        yield from _of_the_budget(settings.monitoring)
    if settings.serving.max_queue < settings.serving.max_batch:
        yield f"serving.max_queue: {settings.serving.max_queue} is below serving.max_batch; set it at least as high"
    if settings.serving.port == settings.telemetry.port != 0 and settings.serving.host == settings.telemetry.host:
        yield f"serving.port: {settings.serving.port} is telemetry.port, too; give each its own"


def _of_the_input_detector(settings: Settings) -> Iterator[str]:
    """It sees what a mixture read of a row: columns of a table, or the embedding of a text."""
    if not settings.monitoring.input_detector:
        return
    chosen = settings.model
    if chosen.kind != "mixture":
        yield (
            f'monitoring.input_detector: model.kind = "{chosen.kind}" shows it no inputs, so that it would never raise an '
            'alarm; set it to false, or use kind = "mixture"'
        )
    elif chosen.inputs == "text" and chosen.encoder == "none":
        yield (
            "monitoring.input_detector: texts without an encoder show it no inputs, so that it would never raise an alarm; set "
            "it to false, or name an encoder in model.encoder"
        )
    if not LEAST_BUDGET <= (budget := settings.monitoring.input_alarms_per_100k) <= LARGEST_BUDGET:
        yield (
            f"monitoring.input_alarms_per_100k: {budget:g} was not calibrated; choose from {LEAST_BUDGET:g} to "
            f"{LARGEST_BUDGET:g}"
        )


def _of_the_budget(monitoring: MonitoringSettings) -> Iterator[str]:
    num_detectors = len(monitoring.detectors)
    low, high = LEAST_BUDGET * num_detectors, LARGEST_BUDGET * num_detectors
    if not low <= monitoring.alarms_per_100k <= high:
        yield (
            f"monitoring.alarms_per_100k: {monitoring.alarms_per_100k:g} cannot be shared by {num_detectors} detectors; choose "
            f"from {low:g} to {high:g}, or name fewer"
        )

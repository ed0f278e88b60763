"""Every setting of learnd: one frozen class a section of `learnd.toml`, checked once at start.

Each field has a description with its unit; `docs/settings.md` is generated from them. What a field may do when learning
resumes from a checkpoint is part of its declaration: *free* fields may change, *journaled* ones may change and the change is
written to the ledger, *fixed* ones may not.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field

from daemon.settings.base import Section
from daemon.settings.learning import (
    CapSettings,
    FeaturesSettings,
    ModelSettings,
    OptimizerSettings,
    ReactionsSettings,
    ReplaySettings,
    ScheduleSettings,
    TaskSettings,
    TrainingSettings,
)
from daemon.settings.operation import GateSettings, MonitoringSettings, ServingSettings, StorageSettings, TelemetrySettings
from daemon.settings.sources import DeadLetterSettings, DecodingSettings, FilesSettings, KafkaSettings

__all__ = ["FilesSettings", "KafkaSettings", "Section", "Settings", "mistakes_between"]

SourceSettings = Annotated[KafkaSettings | FilesSettings, Field(discriminator="kind")]


class Settings(Section):
    """All of learnd.toml."""

    source: SourceSettings = Field(default=..., description="Where records come from.")
    decoding: DecodingSettings = DecodingSettings()
    task: TaskSettings = TaskSettings()
    model: ModelSettings = ModelSettings()
    features: FeaturesSettings = FeaturesSettings()
    training: TrainingSettings = TrainingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    replay: ReplaySettings = ReplaySettings()
    reactions: ReactionsSettings = ReactionsSettings()
    cap: CapSettings = CapSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    gate: GateSettings = GateSettings()
    storage: StorageSettings = StorageSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    serving: ServingSettings = ServingSettings()
    telemetry: TelemetrySettings = TelemetrySettings()


def mistakes_between(settings: Settings) -> list[str]:
    """What no single field can see; each with its remedy."""
    found = []
    if settings.model.kind == "transformer" and settings.model.encoder == "none":
        found.append('model.encoder: "none" leaves a transformer nothing to read; name a folder or hub id, or kind = "mixture"')
    if settings.model.kind == "transformer" and settings.model.inputs != "text":
        found.append(f'model.inputs: a transformer reads text, not "{settings.model.inputs}"; use kind = "mixture"')
    if settings.model.kind == "mixture" and settings.model.training == "full":
        found.append('model.training: the mixture reads a frozen encoder; use kind = "transformer" to fine-tune it')
    if settings.model.kind == "linear" and settings.model.training == "full":
        found.append('model.training: the linear model has no encoder; use kind = "transformer" to fine-tune one')
    if settings.model.kind == "linear" and settings.model.encoder not in ("auto", "none"):
        found.append(
            'model.encoder: the linear model reads n-grams and no encoder; leave "auto" or "none", or use kind = "mixture"'
        )
    if settings.model.kind == "transformer" and settings.task.kind == "regression" and settings.replay.kind == "balanced":
        found.append('replay.kind: "balanced" balances classes, a regression has none; use "reservoir" or "none"')
    if settings.storage.folder == Path():
        found.append('storage.folder: names no folder; name one, such as "learnd-data"')
    if settings.cap.slice and settings.cap.slice not in settings.decoding.slices:
        known = ", ".join(settings.decoding.slices) or "none"
        found.append(
            f'cap.slice: there is no slice "{settings.cap.slice}" in decoding.slices (there are: {known}); add it there'
        )
    if settings.task.kind == "regression" and settings.task.class_weights:
        found.append("task.class_weights: regression has no classes; remove them, and weigh examples by decoding.weight")
    if settings.monitoring.detectors:
        found += _budget_mistakes(settings.monitoring)
    if settings.serving.max_queue < settings.serving.max_batch:
        found.append(f"serving.max_queue: {settings.serving.max_queue} is below serving.max_batch; set it at least as high")
    if len(set(settings.task.labels)) < len(settings.task.labels):
        found.append("task.labels: names a label twice; name each once")
    if settings.task.kind == "regression" and settings.task.labels:
        found.append('task.labels: regression has no labels; remove them or use kind = "classification"')
    if settings.dead_letters.kind == "topic" and not settings.dead_letters.topic:
        found.append("dead_letters.topic: name the topic that dead letters go to")
    if settings.dead_letters.kind == "topic" and settings.source.kind != "kafka":
        found.append('dead_letters.kind: "topic" needs the brokers of a Kafka source; use "file"')
    return found


def _budget_mistakes(monitoring: MonitoringSettings) -> Iterable[str]:
    """Detectors are calibrated for 0.1 to 10 false alarms each."""
    num_detectors = len(monitoring.detectors)
    low, high = 0.1 * num_detectors, 10.0 * num_detectors
    if not low <= monitoring.alarms_per_100k <= high:
        yield (
            f"monitoring.alarms_per_100k: {monitoring.alarms_per_100k:g} cannot be shared by {num_detectors} detectors; choose "
            f"from {low:g} to {high:g}, or name fewer"
        )

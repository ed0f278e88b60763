"""Every setting of learnd: one frozen class a section of `learnd.toml`, checked once at start.

Each field has a description with its unit; `docs/settings.md` is generated from them. What a field may do when learning
resumes from a checkpoint is part of its declaration: *free* fields may change, *journaled* ones may change and the change is
written to the ledger, *fixed* ones may not.
"""

from __future__ import annotations

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

__all__ = ["FilesSettings", "KafkaSettings", "Section", "Settings"]

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

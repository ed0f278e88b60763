"""Every setting of learnd: one frozen class a section of `learnd.toml`, checked once at start.

Each field has a description with its unit; `docs/settings.md` is generated from them. What a field may do when learning
resumes from a checkpoint is part of its declaration: *free* fields may change, *journaled* ones may change and the change is
written to the ledger, *fixed* ones may not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)


def setting(default: Any, description: str, *, resume: Literal["free", "journaled", "fixed"] = "free") -> Any:
    """A field with its description and what may happen to it on resume."""
    return Field(default, description=description, json_schema_extra={"resume": resume})


def fixed(default: Any, description: str) -> Any:
    """A field that decides what is learned, so it may not change on resume."""
    return setting(default, description, resume="fixed")


class Section(BaseModel):
    """One section: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


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
    label: str = fixed("label", "Field with the label (regression: the number).")
    id: str = fixed("id", "Field with the example's id; absent: topic-partition-offset.")
    time: str = fixed("time", "Field with the event time, seconds since the epoch or ISO 8601; absent: the record's.")
    weight: str = fixed("weight", "Field with the example's weight; absent: 1.")
    slices: dict[str, str] = fixed({}, "Slice name -> field whose value names the group an example is counted under.")
    max_value_bytes: PositiveInt = fixed(1_048_576, "Largest record value in bytes; a larger one becomes a dead letter.")


class TaskSettings(Section):
    """What is learned."""

    kind: Literal["classification", "regression"] = fixed("classification", "What the label is: a class or a number.")
    labels: tuple[str, ...] = fixed((), "The fixed set of labels; empty means that labels grow as they come.")
    class_weights: dict[str, NonNegativeFloat] = fixed({}, "Label -> factor of its examples' weights; a label left out has 1.")
    max_labels: PositiveInt = fixed(1_000, "Labels at most; an example with one more becomes a dead letter.")


class ModelSettings(Section):
    """What learns."""

    kind: Literal["mixture", "transformer"] = fixed(
        "mixture", "mixture: the default, a pool of experts under a bounded mixer. transformer: one Hugging Face encoder."
    )
    inputs: Literal["text", "features", "both"] = fixed("text", "What of an example the model reads.")
    encoder: str = fixed(
        "auto", 'Hugging Face encoder, a folder or hub id; "auto": the packaged MiniLM; "none": n-grams alone (mixture).'
    )
    training: Literal["frozen", "full"] = fixed("frozen", "Whether the encoder is only read or fine-tuned (transformer).")
    max_tokens: PositiveInt = fixed(128, "Tokens of a text that the encoder reads.")


class FeaturesSettings(Section):
    """What the model reads besides a row's own features."""

    label_history: bool = fixed(True, "Whether the labels of earlier rows are among the inputs.")
    earlier_rows: bool = fixed(True, "Whether the features of earlier rows are among the inputs.")


class TrainingSettings(Section):
    """How the loop runs."""

    name: str = setting("learnd", "Name of the model in answers and in the Open Inference Protocol.")
    seed: NonNegativeInt = fixed(0, "Seed of every random draw.")
    warm_start: Path | Literal[""] = fixed("", "Recorded file to learn before the stream (JSON lines or CSV).")
    device: str = setting("auto", 'Device of the model: "auto", "cpu", "cuda" or "cuda:1".')
    threads: PositiveInt = setting(os.cpu_count() or 1, "CPU threads for arithmetic; another number may round otherwise.")
    batch_rows: PositiveInt = setting(64, "Records of a full micro-batch.")
    batch_wait_s: PositiveFloat = setting(0.1, "Seconds that the oldest record waits before a micro-batch closes unfilled.")


class CapSettings(Section):
    """A limit on how far the examples of one source may move the model in a minute; off unless `slice` names one."""

    slice: str = fixed("", "Slice (of decoding.slices) whose values are the sources; empty for no limit.")
    weight_per_minute: PositiveFloat = fixed(100.0, "Weight of the examples that one source may teach in a minute.")


class OptimizerSettings(Section):
    """Optimizer of the transformer."""

    kind: Literal["adamw", "adagrad"] = fixed("adamw", "Which optimizer.")
    learning_rate: PositiveFloat = setting(1e-4, "Base learning rate.", resume="journaled")
    weight_decay: NonNegativeFloat = fixed(0.01, "Decoupled weight decay (not on biases and norms).")
    clip_norm: PositiveFloat = fixed(1.0, "Largest global gradient norm.")


class ScheduleSettings(Section):
    """Learning-rate schedule of the transformer: linear warm-up, then the shape."""

    kind: Literal["constant", "cosine"] = fixed("constant", "What follows the warm-up.")
    warmup_steps: NonNegativeInt = fixed(20, "Steps of linear warm-up; 0 for none.")
    total_steps: PositiveInt = fixed(10_000, "Steps after which the cosine stays at its floor.")
    floor: Annotated[float, Field(ge=0, le=1)] = fixed(0.1, "Where the cosine ends, as a share of the base rate.")


class ReactionsSettings(Section):
    """What a drift alarm for the worse sets off."""

    rewarm: bool = fixed(True, "Warm the transformer's learning rate up again.")
    recent_replay: bool = fixed(True, "Let the transformer's replay prefer recent rows for a while (balanced).")
    faster_mixer: bool = fixed(True, "Let the mixer spread more of its weight for 200 rows.")


class ReplaySettings(Section):
    """Replay buffer of the transformer."""

    kind: Literal["none", "reservoir", "balanced"] = fixed("balanced", "Which rows are kept and drawn.")
    capacity: PositiveInt = fixed(4_096, "Rows kept.")
    recent_share: Annotated[float, Field(gt=0, lt=1)] = fixed(
        0.25, "Share of the rows drawn that come from the most recent (balanced)."
    )
    rows_per_step: PositiveInt = fixed(16, "New rows of one optimizer step.")
    replayed_per_step: NonNegativeInt = fixed(16, "Replayed rows of one optimizer step.")


class MonitoringSettings(Section):
    """What watches the learning."""

    window_rows: PositiveInt = fixed(1_000, "Rows of the recent window of every metric.")
    detectors: tuple[Literal["glr", "adwin", "seed", "stepd", "hddm_w", "page_hinkley"], ...] = fixed(
        ("glr", "adwin"), "Drift detectors on the error."
    )
    alarms_per_100k: Annotated[float, Field(gt=0)] = fixed(
        0.2, "False alarms in 100,000 stable rows that all detectors of the error together may raise."
    )
    direction: Literal["worse", "both"] = fixed("worse", "Changes of the error that raise an alarm.")
    pause_rows: NonNegativeInt = fixed(0, "Rows after an alarm in which a detector raises no other.")
    input_detector: bool = fixed(True, "Whether a change of the inputs raises an alarm, too; it is noted and sets nothing off.")
    max_slice_values: PositiveInt = fixed(50, "Values of a slice with figures of their own; the rest is counted as other.")


class GateSettings(Section):
    """What is learned answers only if it is not worse than what is served."""

    enabled: bool = setting(True, "Whether the gate decides; without it all finite weights are published.")
    max_held_rows: PositiveInt = setting(1_000, "Rows after a drift alarm for which publishing is held at most, and")
    max_held_s: PositiveFloat = setting(600.0, "seconds: when both have passed, a new concept is taken for true.")


class StorageSettings(Section):
    """Where durable things lie."""

    folder: Path = setting(Path("learnd-data"), "Folder of ledger, checkpoints and snapshots; one writer.")
    segment_bytes: PositiveInt = setting(16_777_216, "Size of a preallocated ledger segment in bytes.")
    checkpoint_interval_s: PositiveFloat = setting(60.0, "Seconds between checkpoints: roughly the work a crash repeats.")
    checkpoints_kept: PositiveInt = setting(3, "Checkpoints kept.")
    snapshot_interval_s: PositiveFloat = setting(
        0.5, "Seconds between snapshots; five times what the last one cost, if that is more."
    )
    snapshots_kept: PositiveInt = setting(5, "Snapshots kept besides pinned ones.")


class DeadLetterSettings(Section):
    """Where records go that cannot be decoded."""

    kind: Literal["file", "topic"] = setting("file", "file: JSON lines in the storage folder. topic: a Kafka topic.")
    topic: str = setting("", "Dead-letter topic (kind topic); same brokers as the source.")
    max_share: Annotated[float, Field(gt=0, le=1)] = setting(
        0.5, "Share of dead letters in the last 1,000 records at which learning stops."
    )


class ServingSettings(Section):
    """`learnd serve`."""

    host: str = setting("127.0.0.1", "Address to listen on; another than loopback needs a token.")
    port: Annotated[int, Field(ge=0, le=65535)] = setting(8080, "Port; 0 takes a free one.")
    token: SecretStr = setting(SecretStr(""), "Bearer token; give it by environment or token_file.")
    token_file: Path | Literal[""] = setting("", "File that holds the bearer token.")
    max_body_bytes: PositiveInt = setting(4_194_304, "Largest request body in bytes; more is 413.")
    max_batch: PositiveInt = setting(256, "Inputs of one request at most.")
    max_queue: PositiveInt = setting(1_024, "Requests that may wait; one more is 503 with Retry-After.")
    deadline_s: PositiveFloat = setting(10.0, "Seconds after which a request is given up with 504.")


class TelemetrySettings(Section):
    """The trainer's own port: /metrics, /livez, /readyz, /health."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = setting(9464, "Port; 0 takes a free one.")
    caught_up_records: NonNegativeInt = setting(1_000, "Lag in records below which the trainer counts as caught up.")
    stuck_after_s: PositiveFloat = setting(120.0, "Seconds without a turn of the loop after which the trainer is not live.")


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

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        mistakes = list(_mistakes(self))
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self


def _mistakes(settings: Settings) -> list[str]:
    """What no single field can see; each with its remedy."""
    found = []
    if settings.model.kind == "transformer" and settings.model.encoder == "none":
        found.append('model.encoder: "none" leaves a transformer nothing to read; name a folder or hub id, or kind = "mixture"')
    if settings.model.kind == "transformer" and settings.model.inputs != "text":
        found.append(f'model.inputs: a transformer reads text, not "{settings.model.inputs}"; use kind = "mixture"')
    if settings.model.kind == "mixture" and settings.model.training == "full":
        found.append('model.training: the mixture reads a frozen encoder; use kind = "transformer" to fine-tune it')
    if settings.model.kind == "transformer" and settings.task.kind == "regression" and settings.replay.kind == "balanced":
        found.append('replay.kind: "balanced" balances classes, a regression has none; use "reservoir" or "none"')
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

"""What is learned, by which model, and how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from daemon.settings.base import (
    Float,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    fixed,
    matching,
    setting,
)

UrlName = Annotated[str, matching(r"[A-Za-z0-9._-]+", "must be one or more of A-Z a-z 0-9 . _ -, as it stands in URLs")]
Device = Annotated[str, matching(r"auto|cpu|cuda(:\d+)?", 'must be "auto", "cpu", "cuda" or a numbered one such as "cuda:1"')]


# The product with an example's own weight, as large at most, leaves every expert and mixer finite.
ClassWeight = Annotated[NonNegativeFloat, Field(le=1e6)]


class TaskSettings(Section):
    """What is learned."""

    kind: Literal["classification", "regression"] = fixed("classification", "What the label is: a class or a number.")
    labels: tuple[str, ...] = fixed((), "The fixed set of labels; empty means that labels grow as they come.")
    class_weights: dict[str, ClassWeight] = fixed(
        {}, "Label -> factor of its examples' weights, 0 to 1,000,000; a label left out has 1."
    )
    max_labels: PositiveInt = fixed(1_000, "Labels at most; an example with one more becomes a dead letter.")


class ModelSettings(Section):
    """What learns."""

    kind: Literal["mixture", "linear", "transformer"] = fixed(
        "mixture",
        "mixture: the default, a pool of experts under a bounded mixer. linear: one hashed linear model, for high rates (no "
        "encoder). transformer: one Hugging Face encoder.",
    )
    inputs: Literal["text", "features", "both"] = fixed("text", "What of an example the model reads.")
    encoder: str = fixed(
        "auto", 'Hugging Face encoder, a folder or hub id; "auto": the packaged MiniLM; "none": n-grams alone (mixture).'
    )
    training: Literal["frozen", "full"] = fixed(
        "frozen",
        "frozen: the encoder is only read. full: it is fine-tuned; in the mixture (for classification) as one more expert, "
        "beside those that read it frozen.",
    )
    max_tokens: PositiveInt = fixed(128, "Tokens of a text that the encoder reads.")


class FeaturesSettings(Section):
    """What the model reads besides a row's own features."""

    label_history: bool = fixed(True, "Whether the labels of earlier rows are among the inputs.")
    earlier_rows: bool = fixed(True, "Whether the features of earlier rows, and their season, are among the inputs.")


class TrainingSettings(Section):
    """How the loop runs."""

    name: UrlName = setting("learnd", "Name of the model in answers and in the Open Inference Protocol.")
    seed: NonNegativeInt = fixed(0, "Seed of every random draw.")
    warm_start: Path | Literal[""] = fixed(
        "", "Recorded file to learn before the stream (JSON lines or CSV); it may go once a checkpoint has all of it."
    )
    device: Device = setting("auto", 'Device of the model: "auto", "cpu", "cuda" or "cuda:1".')
    threads: PositiveInt = setting(os.cpu_count() or 1, "CPU threads for arithmetic; another number may round otherwise.")
    batch_rows: PositiveInt = setting(64, "Records of a full micro-batch.")
    batch_wait_s: PositiveFloat = setting(0.1, "Seconds that the oldest record waits before a micro-batch closes unfilled.")


class CapSettings(Section):
    """A limit on how far the examples of one source may move the model in a minute; off unless `slice` names one.

    Minutes are told by the timestamps of the records, and each source has its own. On a topic with
    `message.timestamp.type=LogAppendTime` the timestamps are the broker's. With the default, `CreateTime`, they are the
    producers': wrong ones harm no other source, but one who dates each record a minute later is not limited. So it is with
    rows of files, which have no other time than the one that they claim (decoding.time).
    """

    slice: str = fixed(
        "", "Slice (of decoding.slices) whose values are the sources, which they must not make up; empty for no limit."
    )
    weight_per_minute: PositiveFloat = fixed(
        100.0, "Weight of the examples that one source may teach in a minute; what is past it is scored and not learned."
    )


class OptimizerSettings(Section):
    """Optimizer of the transformer; of the mixture's, too, which there is with model.training = "full"."""

    kind: Literal["adamw", "adagrad"] = fixed("adamw", "Which optimizer.")
    learning_rate: PositiveFloat = setting(1e-4, "Base learning rate.", resume="journaled")
    weight_decay: NonNegativeFloat = fixed(0.01, "Decoupled weight decay (not on biases and norms).")
    clip_norm: PositiveFloat = fixed(1.0, "Largest global gradient norm.")


class ScheduleSettings(Section):
    """Learning-rate schedule of the transformer: linear warm-up, then the shape."""

    kind: Literal["constant", "cosine"] = fixed("constant", "What follows the warm-up.")
    warmup_steps: NonNegativeInt = fixed(20, "Steps of linear warm-up; 0 for none.")
    total_steps: PositiveInt = fixed(10_000, "Steps after which the cosine stays at its floor.")
    floor: Annotated[Float, Field(ge=0, le=1)] = fixed(0.1, "Where the cosine ends, as a share of the base rate.")


class ReplaySettings(Section):
    """Replay buffer of the transformer."""

    kind: Literal["none", "reservoir", "balanced"] = fixed("balanced", "Which rows are kept and drawn.")
    capacity: PositiveInt = fixed(4_096, "Rows kept.")
    recent_share: Annotated[Float, Field(gt=0, lt=1)] = fixed(
        0.25, "Share of the rows drawn that come from the most recent (balanced)."
    )
    rows_per_step: PositiveInt = fixed(16, "New rows of one optimizer step.")
    replayed_per_step: NonNegativeInt = fixed(16, "Replayed rows of one optimizer step.")


class ReactionsSettings(Section):
    """What a drift alarm for the worse sets off."""

    rewarm: bool = fixed(False, "Warm the transformer's learning rate up again; of use where it falls (schedule.kind cosine).")
    recent_replay: bool = fixed(False, "Let the transformer's replay prefer recent rows for a while (balanced).")
    faster_mixer: bool = fixed(True, "Let the mixer spread more of its weight for 200 rows.")
    anchor: bool = fixed(True, "Keep what the mixture was before beside it for 2,000 rows, for a trouble that passes.")
    ledger_note: bool = setting(
        True,
        "Note every alarm in the ledger, whatever its direction. Without it /metrics counts alarms, but nobody can look up "
        "later which rows raised them.",
    )

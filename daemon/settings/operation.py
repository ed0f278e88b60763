"""What watches, keeps, serves and tells."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from daemon.settings.base import NonNegativeInt, Port, PositiveFloat, PositiveInt, Section, fixed, setting


class MonitoringSettings(Section):
    """What watches the learning."""

    window_rows: PositiveInt = fixed(1_000, "Rows of the recent window of every metric.")
    detectors: tuple[Literal["glr", "adwin", "seed", "stepd", "hddm_w", "hddm_a", "page_hinkley"], ...] = fixed(
        ("glr", "adwin"),
        "Drift detectors on the error; on that of a regression as a share of its level over 100 rows, from row 100 on.",
    )
    alarms_per_100k: PositiveFloat = fixed(
        0.02, "False alarms in 100,000 stable rows that all detectors of the error together may raise."
    )
    direction: Literal["worse", "both"] = fixed("worse", "Changes of the error that raise an alarm.")
    pause_rows: NonNegativeInt = fixed(
        0, "Rows after an alarm in which a detector looks at none; that of the inputs then takes 700 to begin anew."
    )
    input_detector: bool = fixed(
        False,
        "Whether a change of the inputs raises an alarm, too: noted, without effect, and false where rows hang together. For "
        "a mixture that reads columns or embeddings.",
    )
    input_alarms_per_100k: PositiveFloat = fixed(1.0, "False alarms in 100,000 stable and independent rows that it may raise.")
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
        0.5, "Least seconds between snapshots; writing them takes 0.75 % of a busy loop's time, half of an idle one's."
    )
    snapshots_kept: PositiveInt = setting(5, "Snapshots kept besides pinned ones.")


class ServingSettings(Section):
    """`learnd serve`."""

    host: str = setting("127.0.0.1", "Address to listen on; another than loopback needs a token.")
    port: Port = setting(8080, "Port; 0 takes a free one.")
    token: SecretStr = setting(SecretStr(""), "Bearer token; give it by environment or token_file.")
    token_file: Path | Literal[""] = setting("", "File that holds the bearer token.")
    max_body_bytes: PositiveInt = setting(4_194_304, "Largest request body in bytes; more is 413.")
    max_batch: PositiveInt = setting(256, "Inputs of one request at most.")
    max_queue: PositiveInt = setting(
        1_024, "Inputs (rows of requests) that may wait; a request that does not fit is 503 with Retry-After."
    )
    deadline_s: PositiveFloat = setting(10.0, "Seconds after which a request is given up with 504.")


class TelemetrySettings(Section):
    """The trainer's own port: /metrics, /livez, /readyz, /health."""

    host: str = setting("127.0.0.1", "Address to listen on.")
    port: Port = setting(9464, "Port; 0 takes a free one.")
    caught_up_records: NonNegativeInt = setting(1_000, "Lag in records below which the trainer counts as caught up.")
    stuck_after_s: PositiveFloat = setting(120.0, "Seconds without a turn of the loop after which the trainer is not live.")

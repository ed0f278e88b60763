"""What is kept, as Prometheus series: checkpoints, snapshots and the gate before them, the state and the disk under it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From the smallest folder on a fast disk to large models on a slow one.
_WRITE_BUCKETS_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class KeepingGauges:
    """How long checkpoints and snapshots take, when the newest came, and what kept others from coming."""

    def __init__(self, *, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._checkpoint_s = Histogram(
            "learnd_checkpoint_duration_seconds", "Time to write a checkpoint.", buckets=_WRITE_BUCKETS_S, registry=registry
        )
        self._checkpoint_at = Gauge(
            "learnd_last_checkpoint_timestamp_seconds", "When this process last checkpointed; 0 for never.", registry=registry
        )
        self._checkpoint_failures = Counter("learnd_checkpoint_failures", "Checkpoints that failed.", registry=registry)
        self._publish_s = Histogram(
            "learnd_publish_duration_seconds", "Time to write a snapshot.", buckets=_WRITE_BUCKETS_S, registry=registry
        )
        self._snapshot_version = Gauge("learnd_snapshot_version", "Version of the newest snapshot.", registry=registry)
        self._snapshot_at = Gauge(
            "learnd_last_snapshot_timestamp_seconds", "When this process last published; 0 for never.", registry=registry
        )
        self._gate = Counter("learnd_gate_decisions", "Decisions on publishing by outcome.", ["outcome"], registry=registry)
        self._state_bytes = Gauge(
            "learnd_state_bytes", "Memory of the state by part, at the newest checkpoint.", ["part"], registry=registry
        )

    def checkpoint(self, *, seconds: float, at_s: float) -> None:
        """A checkpoint took `seconds` and stands since `at_s`."""
        self._checkpoint_s.observe(seconds)
        self._checkpoint_at.set(at_s)

    def checkpoint_failed(self) -> None:
        """A checkpoint could not be written; learning goes on."""
        self._checkpoint_failures.inc()

    def published(self, *, version: int, seconds: float, at_s: float) -> None:
        """Snapshot `version` took `seconds` and can answer since `at_s`."""
        self.gate("published")
        self._publish_s.observe(seconds)
        self._snapshot_version.set(version)
        self._snapshot_at.set(at_s)

    def gate(self, outcome: str) -> None:
        """What became of a wish to publish: "published", "failed", or the reason for which the gate held it."""
        self._gate.labels(outcome).inc()

    def state_bytes(self, parts: Mapping[str, int]) -> None:
        """Memory of the state by part."""
        for part, size in parts.items():
            self._state_bytes.labels(part).set(size)

    def watch_disk(self, folder: Path) -> None:
        """Show from now on, at every scrape, how full the disk under `folder` is; NaN where that cannot be told."""
        for kind, field in (("free", "free"), ("size", "total")):
            gauge = Gauge(f"learnd_disk_{kind}_bytes", f"Disk under the storage folder: {kind}.", registry=self._registry)
            gauge.set_function(partial(_disk_bytes, folder, field))


def _disk_bytes(folder: Path, field: str) -> float:
    try:
        return float(getattr(shutil.disk_usage(folder), field))
    except OSError:
        return math.nan

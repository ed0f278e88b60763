"""What Prometheus scrapes from a trainer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

from daemon.monitoring.alarm import Alarm
from daemon.monitoring.evaluation import Evaluation
from daemon.monitoring.health import Health
from daemon.monitoring.keeping_gauges import KeepingGauges
from daemon.monitoring.score_gauges import ScoreGauges
from daemon.monitoring.source_gauges import SourceGauges

# Figures of a window cost about a millisecond to count, and a model's may wait for its device: brought up to date this often.
REFRESH_S: Final = 1.0

# Labels with a series of their own: more make scrapes large and dashboards unreadable.
MAX_LABELS: Final = 50

# Key of a model's stats -> series and what it is. Which of them a model has, it alone knows: a series begins with its figure.
MODEL_STATS: Final[Mapping[str, tuple[str, str]]] = {
    "loss": ("learnd_loss", "Training loss of the newest step."),
    "slow_loss": ("learnd_slow_loss", "The same of the transformer that is one expert of the mixture."),
    "learning_rate": ("learnd_learning_rate", "Learning rate of the newest step, for rows of weight 1."),
    "grad_norm": ("learnd_gradient_norm", "Norm of the gradient of the newest step."),
    "replay_rows": ("learnd_replay_rows", "Rows in the replay buffer."),
    "slow_steps": ("learnd_slow_steps", "Steps of the slow part since the start of the stream."),
}


class Telemetry:
    """The trainer's series, with one small method for each thing that can happen.

    >>> registry = CollectorRegistry()
    >>> telemetry = Telemetry(registry=registry, health=Health(caught_up_records=10, stuck_after_s=60.0), build={})
    >>> telemetry.dead_letter("decode")
    >>> registry.get_sample_value("learnd_records_total", {"outcome": "dead_letter"})
    1.0
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        health: Health,
        build: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`build` says what runs here: version, torch, python."""
        self.health = health
        self.paused = False
        """Whether learning waits because the ledger cannot be written."""
        self._clock, self._shown_s = clock, -math.inf
        self._evaluation: Evaluation | None = None
        self._ask_stats: Callable[[], Mapping[str, float]] = dict
        self._labels: Sequence[str] = ()
        self._nonfinite_steps = 0.0
        self._scores = ScoreGauges(registry=registry, max_labels=MAX_LABELS)
        self._source = SourceGauges(registry=registry, wall_clock=wall_clock)
        self.keeping = KeepingGauges(registry=registry)
        """What is shown of checkpoints, snapshots and the disk that they lie on."""
        self._make_flow(registry)
        self._make_learning(registry)
        self._make_pauses(registry)
        Info("learnd_build", "What runs here.", registry=registry).info(dict(build))
        Gauge("learnd_start_timestamp_seconds", "When this process began.", registry=registry).set(wall_clock())
        self.registry = registry

    def _make_flow(self, registry: CollectorRegistry) -> None:
        self._records = Counter("learnd_records", "Records by what became of them.", ["outcome"], registry=registry)
        for outcome in ("learned", "scored", "dead_letter", "tombstone", "late"):
            self._records.labels(outcome)
        self._capped = Counter(
            "learnd_capped_examples", "Examples that the cap on sources held back, in part or wholly.", registry=registry
        )
        self._dead_letters = Counter("learnd_dead_letters", "Dead letters by stage.", ["stage"], registry=registry)
        facts = Gauge("learnd_health", "live, ready, caught_up and learning: 1 where it holds.", ["fact"], registry=registry)
        for fact in self.health.facts():
            facts.labels(fact).set_function(partial(self._fact, fact))

    def _fact(self, fact: str) -> float:
        return float(self.health.facts()[fact])

    def _make_learning(self, registry: CollectorRegistry) -> None:
        self._steps = Counter("learnd_steps", "Steps carried out by this process.", registry=registry)
        self._nonfinite = Counter("learnd_nonfinite_steps", "Steps left out because they were not finite.", registry=registry)
        self._alarms = Counter(
            "learnd_drift_alarms",
            "Drift alarms by detector and direction (none: of the inputs).",
            ["detector", "direction"],
            registry=registry,
        )
        self._stats: dict[str, Gauge] = {}
        self._device = Gauge("learnd_device_memory_bytes", "Memory of the accelerator.", ["kind"], registry=registry)

    def _make_pauses(self, registry: CollectorRegistry) -> None:
        self._paused = Gauge(
            "learnd_ledger_paused", "1 while the ledger cannot be written and learning waits.", registry=registry
        )
        self._pauses = Counter(
            "learnd_ledger_pauses",
            "Times that learning had to wait because the ledger could not be written.",
            registry=registry,
        )

    def records(self, outcome: str, count: int = 1) -> None:
        """`count` records became `outcome`: learned, scored (alone: of weight 0, its own or what the cap left of it),
        dead_letter, tombstone or late."""
        self._records.labels(outcome).inc(count)

    def dead_letter(self, stage: str) -> None:
        """One record could not be used; `stage` says where that showed."""
        self.records("dead_letter")
        self._dead_letters.labels(stage).inc()

    def step(
        self,
        *,
        learned: int,
        stats: Callable[[], Mapping[str, float]],
        evaluation: Evaluation,
        labels: Sequence[str] = (),
        scored: int = 0,
        capped: int = 0,
    ) -> None:
        """A step taught `learned` rows and scored `scored` others alone; of `capped` rows the cap held back weight.

        `stats` asks for the model's, which may wait for a device, so it is not asked at every step; `labels` names the classes
        by index."""
        self.health.stepped()
        self._steps.inc()
        self.records("learned", learned)
        self.records("scored", scored)
        self._capped.inc(capped)
        self._ask_stats, self._evaluation, self._labels = stats, evaluation, labels
        self._show()

    def expect_alarms(self, directions: Mapping[str, Iterable[str]]) -> None:
        """Show these detectors, each in its directions, from now on: a rate misses the first alarm of a series that begins
        with it."""
        for detector, its in directions.items():
            for direction in its:
                self._alarms.labels(detector, direction)

    def alarms(self, alarms: Iterable[Alarm]) -> None:
        """Detectors raised these."""
        for alarm in alarms:
            self._alarms.labels(alarm.detector, alarm.direction).inc()

    def turn(
        self, *, lag: Mapping[int, int], positions: Mapping[int, int], newest_s: Mapping[int, float] | None = None
    ) -> None:
        """The loop went round once. By partition: lag in offsets, the offset to be read next, and the time of the newest
        record learned in seconds since the epoch."""
        self.health.turned(lag_records=sum(lag.values()))
        self._source.read(lag=lag, positions=positions, newest_s=newest_s or {})
        self._show()

    def _show(self) -> None:
        now = self._clock()
        if self._evaluation is not None and now - self._shown_s >= REFRESH_S:
            self._scores.show(self._evaluation, labels=self._labels)
            self._show_stats(self._ask_stats())
            self._shown_s = now

    def _show_stats(self, stats: Mapping[str, float]) -> None:
        for name in MODEL_STATS.keys() & stats.keys():
            if name not in self._stats:
                self._stats[name] = Gauge(*MODEL_STATS[name], registry=self.registry)
            self._stats[name].set(stats[name])
        nonfinite = stats.get("nonfinite_steps", 0.0)
        self._nonfinite.inc(max(0.0, nonfinite - self._nonfinite_steps))
        self._nonfinite_steps = nonfinite

    def skipped(self, num_records: int) -> None:
        """Retention left a gap of `num_records` offsets and it was passed over."""
        self._source.skipped(num_records)

    def source(self, *, reachable: bool, rebuilds: int, commit_failures: int) -> None:
        """Whether the source answers; how often, since it was opened, its connection was built anew, and a commit of positions
        failed."""
        self.health.source(reachable=reachable)
        self._source.answers(reachable=reachable, rebuilds=rebuilds, commit_failures=commit_failures)

    def ledger_paused(self, paused: bool) -> None:
        """Learning waits because the ledger cannot be written, or goes on."""
        self._pauses.inc(paused and not self.paused)
        self.paused = paused
        self.health.paused(paused)
        self._paused.set(paused)

    def watch_device(self, memory: Callable[[], tuple[int, int]]) -> None:
        """Show from now on, at every scrape, the accelerator's memory: `memory` gives used and total bytes."""
        for i, kind in enumerate(("used", "total")):
            self._device.labels(kind).set_function(partial(lambda i: float(memory()[i]), i))

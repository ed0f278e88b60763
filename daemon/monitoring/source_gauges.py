"""What the source tells, as Prometheus series: how far behind the loop is, and what went wrong on the way to the records."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge


class SourceGauges:
    """By partition the lag and the position; of the source whether it answers, and its faults since the process began."""

    def __init__(self, *, registry: CollectorRegistry, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._faults = (0, 0)
        self._lag_records = Gauge(
            "learnd_consumer_lag_records", "Offsets between the position and the end.", ["partition"], registry=registry
        )
        self._lag_seconds = Gauge(
            "learnd_consumer_lag_seconds",
            "Age of the newest record learned where there are later ones, else 0.",
            ["partition"],
            registry=registry,
        )
        self._positions = Gauge("learnd_position", "Offset to be read next.", ["partition"], registry=registry)
        self._reachable = Gauge("learnd_source_reachable", "1 while the source answers.", registry=registry)
        self._reachable.set(1)
        self._rebuilds = Counter(
            "learnd_source_rebuilds", "Times the connection to the source was built anew.", registry=registry
        )
        self._commit_failures = Counter(
            "learnd_commit_failures", "Commits of positions for lag tools that failed.", registry=registry
        )
        self._gaps = Counter("learnd_gaps_skipped", "Retention gaps passed over.", registry=registry)
        self._gap_records = Counter("learnd_gap_records_skipped", "Offsets lost in retention gaps.", registry=registry)

    def read(self, *, lag: Mapping[int, int], positions: Mapping[int, int], newest_s: Mapping[int, float]) -> None:
        """How far the loop is, as `Telemetry.turn` has it."""
        for partition, records in lag.items():
            self._lag_records.labels(partition).set(records)
            if records == 0:
                self._lag_seconds.labels(partition).set(0.0)
            elif partition in newest_s:
                self._lag_seconds.labels(partition).set(max(0.0, self._wall_clock() - newest_s[partition]))
        for partition, offset in positions.items():
            self._positions.labels(partition).set(offset)

    def answers(self, *, reachable: bool, rebuilds: int, commit_failures: int) -> None:
        """Whether it does, and its faults since it was opened."""
        self._reachable.set(reachable)
        self._rebuilds.inc(rebuilds - self._faults[0])
        self._commit_failures.inc(commit_failures - self._faults[1])
        self._faults = (rebuilds, commit_failures)

    def skipped(self, num_records: int) -> None:
        """A gap of `num_records` offsets was passed over."""
        self._gaps.inc()
        self._gap_records.inc(num_records)

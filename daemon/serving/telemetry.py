"""What `/metrics` shows of the server."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From "the next poll saw it" to "something is wrong": freshness of a text model on two cores is about a second.
_FRESHNESS_BUCKETS_S = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60)
# A linear model answers in a millisecond, a transformer on a busy CPU in seconds.
_DURATION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Telemetry:
    """The server's counters and gauges, in an injected registry. No label holds a key, an id or a version.

    >>> registry = CollectorRegistry()
    >>> Telemetry(registry=registry).observe_freshness([8.0, 9.0, 9.5], now_s=10.0)
    >>> registry.get_sample_value("learnd_freshness_median_seconds")
    1.0
    """

    def __init__(self, *, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "learnd_requests_total", "Requests by route and status.", ["route", "status"], registry=registry
        )
        self.duration = Histogram(
            "learnd_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            ["route"],
            buckets=_DURATION_BUCKETS_S,
            registry=registry,
        )
        self.in_flight = Gauge("learnd_requests_in_flight", "Requests being answered now.", registry=registry)
        self.shed = Counter("learnd_requests_shed_total", "Requests refused because the queue was full.", registry=registry)
        self.version = Gauge("learnd_served_snapshot_version", "Version of the snapshot that answers.", registry=registry)
        self.timestamp = Gauge(
            "learnd_served_snapshot_timestamp_seconds", "When the snapshot that answers was published.", registry=registry
        )
        self.swaps = Counter("learnd_snapshot_swaps_total", "Snapshots that began to answer.", registry=registry)
        self.load_failures = Counter(
            "learnd_snapshot_load_failures_total", "Snapshots that could not be loaded and were passed over.", registry=registry
        )
        self.load_seconds = Histogram(
            "learnd_snapshot_load_seconds", "Time to load, check and warm up a snapshot.", registry=registry
        )
        self.freshness = Histogram(
            "learnd_freshness_seconds",
            "Age of a learned record when the first snapshot that knows it began to answer.",
            buckets=_FRESHNESS_BUCKETS_S,
            registry=registry,
        )
        self.freshness_median = Gauge(
            "learnd_freshness_median_seconds", "Median of learnd_freshness_seconds over the last swap.", registry=registry
        )
        self.freshness_median.set(math.nan)

    def observe_freshness(self, arrivals_s: Sequence[float], *, now_s: float) -> None:
        """Count the records that came to be at `arrivals_s` (seconds since the epoch) as being in the answers since `now_s`."""
        # A producer's clock may run ahead of ours, and a histogram's sum must never fall.
        ages_s = [max(0.0, now_s - arrival_s) for arrival_s in arrivals_s]
        for age_s in ages_s:
            self.freshness.observe(age_s)
        if ages_s:
            self.freshness_median.set(statistics.median(ages_s))

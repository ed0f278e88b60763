"""Freshness is measured end to end, from outside and by learnd itself, over real Kafka and real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.freshness import measure
from tests.kafka_broker import LEAKS_SOCKETS, Cluster


@pytest.mark.kafka
@LEAKS_SOCKETS
def test_every_record_is_followed_from_the_producer_into_an_answer(kafka: Cluster, tmp_path: Path) -> None:
    # Every snapshot is kept: on a slow machine the server may be behind by several, whose records it counts all the same.
    settings = ["model.encoder=none", "storage.snapshots_kept=1000", "training.threads=1"]
    figures = measure(kafka, tmp_path, seconds=10, rate_per_s=10, partitions=2, settings=settings)
    assert figures["records"] == figures["records_answered"] == 100
    assert figures["learnd_freshness_seconds"]["count"] == 100
    assert figures["requests_failed"] == 0
    assert figures["snapshots_answered_from"] > 1
    # Both run from the record's birth; ours ends later, with the answer in the client's hands.
    assert figures["learnd_freshness_seconds"]["mean"] > 0
    assert 0 < figures["freshness_s"]["median"] <= figures["freshness_s"]["p90"] <= figures["freshness_s"]["p99"]

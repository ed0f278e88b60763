"""What the faults of a real broker need: settings, records sent, and what the ledger says of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaProducer

from tests.crash.topics import standing
from tests.kafka_broker import Cluster


def settings(kafka: Cluster, topic: str) -> list[str]:
    return ["source.kind=kafka", f"source.topic={topic}", f"source.bootstrap_servers='{kafka.bootstrap_servers}'"]


def produce(kafka: Cluster, topic: str, values: Sequence[bytes], *, partitions: int) -> None:
    """Value after value, round the partitions; returns when the broker has all of them."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    try:
        now_ms = round(time.time() * 1000)
        sent = [
            producer.send(topic, value, partition=number % partitions, timestamp_ms=now_ms, key=b"%d" % number)
            for number, value in enumerate(values)
        ]
        for each in sent:
            each.get(30)
    finally:
        producer.close()


def planned(folder: Path) -> Counter[tuple[int, int]]:
    """(partition, offset) -> how often the ledger plans it, but for plans that it made void."""
    counts: Counter[tuple[int, int]] = Counter()
    for entry in standing(folder):
        if entry.kind == "plan":
            counts.update((partition, offset) for partition, start, end in entry.body["runs"] for offset in range(start, end))
    return counts

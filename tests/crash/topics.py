"""Topics for the crash tests, and what the ledger of a run says about them."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from kafka import KafkaProducer

from daemon.storage.entries import Entry
from daemon.storage.ledger import Ledger
from tests.kafka_broker import Cluster


def kafka_settings(kafka: Cluster, topic: str) -> list[str]:
    return ["source.kind=kafka", f"source.topic={topic}", f"source.bootstrap_servers='{kafka.bootstrap_servers}'"]


def produce(kafka: Cluster, topic: str, lines: Sequence[str], *, partitions: int) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    # Times of one's own, so that partitions interleave in the merged order; of now, or retention takes the records.
    now_ms = round(time.time() * 1000)
    for number, line in enumerate(lines):
        producer.send(topic, line.encode(), partition=number % partitions, timestamp_ms=now_ms + number)
    producer.flush()
    producer.close()


class Trickle:
    """Produces lines to random partitions of a topic, a few at a time with pauses, over and over until the block ends."""

    def __init__(self, kafka: Cluster, topic: str, lines: Sequence[str], *, partitions: int, seed: int) -> None:
        self._producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
        self._topic, self._lines, self._draw = topic, itertools.cycle(lines), random.Random(seed)
        self.ends = dict.fromkeys(range(partitions), 0)
        """Partition -> records produced so far; final once the block has ended."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Trickle:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._producer.flush()
        self._producer.close()

    def _run(self) -> None:
        while not self._stopped.wait(self._draw.uniform(0.0, 0.2)):
            for line in itertools.islice(self._lines, self._draw.randint(1, 5)):
                partition = self._draw.randrange(len(self.ends))
                self._producer.send(self._topic, line.encode(), partition=partition)
                self.ends[partition] += 1


def committed(kafka: Cluster, topic: str, group: str) -> dict[int, int]:
    """Partition -> the offset that the brokers have for `group`."""
    with kafka.admin() as admin:
        found = admin.list_group_offsets(group)[group]
    return {tp.partition: offset.offset for tp, offset in found.items() if tp.topic == topic}


def standing(folder: Path) -> list[Entry]:
    """The entries of the ledger but those that a later one made void."""
    entries: list[Entry] = []
    for entry in Ledger(folder / "ledger").entries():
        if entry.kind == "voided":
            entries = [before for before in entries if before.n < entry.body["from"]]
        entries.append(entry)
    return entries


def covered(folder: Path) -> dict[int, list[tuple[int, int]]]:
    """Partition -> the ranges that the ledger names, in its order, plans and gaps alike."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for entry in standing(folder):
        if entry.kind == "plan":
            for partition, start, end in entry.body["runs"]:
                ranges.setdefault(partition, []).append((start, end))
        elif entry.kind == "skipped":
            ranges.setdefault(entry.body["partition"], []).append((entry.body["start"], entry.body["end"]))
    return ranges


def num_covered(folder: Path) -> int:
    """Records that the ledger names."""
    return sum(end - start for ranges in covered(folder).values() for start, end in ranges)


def assert_each_position_once(folder: Path, ends: dict[int, int]) -> None:
    for partition, ranges in covered(folder).items():
        assert ranges[0][0] == 0
        assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges)), ranges
        assert ranges[-1][1] == ends[partition]
    assert covered(folder).keys() == ends.keys()


def batch_sizes(folder: Path) -> list[int]:
    """Records of each planned micro-batch."""
    plans = (entry.body["runs"] for entry in standing(folder) if entry.kind == "plan")
    return [sum(end - start for _, start, end in plan) for plan in plans]

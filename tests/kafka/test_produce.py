"""`produce` sends a file to a real topic."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from streams.errors import SourceError
from streams.kafka import KafkaSource
from streams.produce import produce
from streams.record import Record
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]


def read(kafka: Cluster, topic: str, num: int) -> list[Record]:
    source = KafkaSource(topic=topic, bootstrap_servers=kafka.bootstrap_servers, buffer_records=1000)
    try:
        source.open({})
        records: list[Record] = []
        while len(records) < num:
            taken = source.take_arrived(1000, timeout_s=20)
            assert taken, f"only {len(records)} of {num} records came"
            records += taken
        assert source.ends() == source.positions()
        return records
    finally:
        source.close()


def test_lines_arrive_in_order(kafka: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"n": %d}\n\n' % n for n in range(1200)) + b'{"n": 1200}'))
    topic = kafka.new_topic()
    assert produce(path, topic=topic, bootstrap_servers=kafka.bootstrap_servers) == 1201
    assert [record.value for record in read(kafka, topic, 1201)] == [b'{"n": %d}' % n for n in range(1201)]


def test_limit_rate_and_key(kafka: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"u": "x", "n": 1}\n{"u": "y", "n": 2}\nno json\n{"u": "x", "n": 3}\n{"n": 4}\n')
    topic = kafka.new_topic(4)
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    sent = produce(
        path,
        topic=topic,
        bootstrap_servers=kafka.bootstrap_servers,
        rate_per_s=4,
        limit=4,
        key_field="u",
        clock=lambda: now[0],
        sleep=sleep,
    )
    assert sent == 4
    assert slept == [0.0, 0.25, 0.25, 0.25]
    records = read(kafka, topic, 4)
    of_x = [record for record in records if record.key == b"x"]
    assert [record.value for record in of_x] == [b'{"u": "x", "n": 1}', b'{"u": "x", "n": 3}']
    assert len({record.partition for record in of_x}) == 1
    assert sorted(record.key or b"" for record in records) == [b"", b"x", b"x", b"y"]


def test_line_that_the_broker_refuses_is_named(kafka: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n" + b"x" * 1_100_000 + b"\n{}\n")
    with pytest.raises(SourceError, match=r"a\.jsonl: line 1 \(counted from 0\) could not be sent"):
        produce(path, topic=kafka.new_topic(), bootstrap_servers=kafka.bootstrap_servers)


def test_missing_topic_is_not_made(kafka: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n")
    with pytest.raises(SourceError, match='there is no topic "nowhere"'):
        produce(path, topic="nowhere", bootstrap_servers=kafka.bootstrap_servers)

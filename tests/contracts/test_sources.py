"""The contract of a source, run over every source: files and a real Kafka."""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kafka import KafkaProducer

from streams.errors import GapError, ReplacedError, SourceError
from streams.files import FileSource
from streams.kafka import KafkaSource
from streams.record import Record, Run
from streams.source import Source
from tests.kafka_broker import Cluster


class Log(ABC):
    """A log with three partitions that a test writes and a source reads. A value tells where it stands: [partition, offset]."""

    num_partitions = 3

    def __init__(self) -> None:
        self._sizes = [0] * self.num_partitions
        self._opened: list[Source] = []

    def append(self, partition: int, *timestamps_s: float) -> None:
        values = []
        for timestamp_s in timestamps_s:
            values.append(json.dumps({"at": timestamp_s, "is": [partition, self._sizes[partition]]}).encode())
            self._sizes[partition] += 1
        self.write(partition, values, timestamps_s)

    @abstractmethod
    def write(self, partition: int, values: Sequence[bytes], timestamps_s: Sequence[float]) -> None: ...

    @abstractmethod
    def make(self, *, buffer_records: int = 1000, start: str = "earliest") -> Source: ...

    @abstractmethod
    def remake(self) -> None:
        """Delete the log and make another one under the same name."""

    def source(self, *, buffer_records: int = 1000, start: str = "earliest") -> Source:
        self._opened.append(self.make(buffer_records=buffer_records, start=start))
        return self._opened[-1]

    def close(self) -> None:
        for source in self._opened:
            source.close()


class FileLog(Log):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._paths = [folder / f"{name}.jsonl" for name in "abc"]
        for path in self._paths:
            path.touch()

    def write(self, partition: int, values: Sequence[bytes], timestamps_s: Sequence[float]) -> None:
        with self._paths[partition].open("ab") as file:
            file.writelines(value + b"\n" for value in values)

    def make(self, *, buffer_records: int = 1000, start: str = "earliest") -> Source:
        return FileSource(
            topic="log",
            paths=self._paths,
            follow=True,
            buffer_records=buffer_records,
            start=start,  # type: ignore[arg-type]
            time_field="at",
        )

    def remake(self) -> None:
        for path in self._paths:
            path.write_text('{"other": 1}\n' * 100)


class KafkaLog(Log):
    def __init__(self, kafka: Cluster) -> None:
        super().__init__()
        self._kafka = kafka
        self._topic = kafka.create_topic(f"contract-{uuid.uuid4().hex}", self.num_partitions)
        self._producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)

    def write(self, partition: int, values: Sequence[bytes], timestamps_s: Sequence[float]) -> None:
        for value, timestamp_s in zip(values, timestamps_s, strict=True):
            self._producer.send(self._topic, value, partition=partition, timestamp_ms=round(timestamp_s * 1000))
        self._producer.flush()

    def make(self, *, buffer_records: int = 1000, start: str = "earliest") -> Source:
        return KafkaSource(
            topic=self._topic,
            bootstrap_servers=self._kafka.bootstrap_servers,
            buffer_records=buffer_records,
            start=start,  # type: ignore[arg-type]
        )

    def remake(self) -> None:
        with self._kafka.admin() as admin:
            admin.delete_topics([self._topic])
        self._kafka.create_topic(self._topic, self.num_partitions)

    def close(self) -> None:
        super().close()
        self._producer.close()


@pytest.fixture(params=["files", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    made = FileLog(tmp_path) if request.param == "files" else KafkaLog(request.getfixturevalue("kafka"))
    yield made
    made.close()


def gather(num: int, take: Callable[[], list[Record]]) -> list[Record]:
    """Take until `num` records came; every take gives something within its time, so a lost record ends the test."""
    records: list[Record] = []
    while len(records) < num:
        taken = take()
        assert taken, f"only {len(records)} of {num} records came"
        records += taken
    return records


def where(records: Sequence[Record]) -> list[tuple[int, int]]:
    for record in records:
        assert json.loads(record.value or b"")["is"] == [record.partition, record.offset]
    return [(r.partition, r.offset) for r in records]


def test_arrived_gives_every_record_once_and_each_partition_in_order(log: Log) -> None:
    for partition in range(3):
        log.append(partition, *range(1, 701))
    source = log.source(buffer_records=100)
    source.open({})
    places = where(gather(2100, lambda: source.take_arrived(64, timeout_s=20)))
    for partition in range(3):
        assert [offset for p, offset in places if p == partition] == list(range(700))
    assert source.positions() == {0: 700, 1: 700, 2: 700}
    assert source.take_arrived(64, timeout_s=0) == []
    log.append(1, 1.0)
    assert where(gather(1, lambda: source.take_arrived(64, timeout_s=20))) == [(1, 700)]
    assert source.lag() == {0: 0, 1: 0, 2: 0}


def test_merged_is_a_function_of_the_log_and_stops_at_the_ends(log: Log) -> None:
    log.append(0, 1.0, 4.0, 2.0)
    log.append(1, 3.0, 3.0)
    log.append(2, 3.0, 9.0)
    source = log.source()
    source.open({})
    ends = source.ends()
    assert ends == {0: 3, 1: 2, 2: 2}
    log.append(0, 1.0)
    places = where(gather(7, lambda: source.take_merged(2, ends=ends, timeout_s=20)))
    assert places == [(0, 0), (1, 0), (1, 1), (2, 0), (0, 1), (0, 2), (2, 1)]
    assert source.exhausted(ends)
    assert source.take_merged(2, ends=ends, timeout_s=20) == []
    assert not source.exhausted(source.ends())


def test_record_carries_topic_timestamp_and_value(log: Log) -> None:
    log.append(2, 1234.5)
    source = log.source()
    source.open({})
    record = gather(1, lambda: source.take_arrived(1, timeout_s=20))[0]
    assert record == Record(source.topic, 2, 0, b'{"at": 1234.5, "is": [2, 0]}', timestamp_s=1234.5)


def test_positions_and_identity_let_another_go_on(log: Log) -> None:
    log.append(0, *range(10))
    first = log.source()
    first.open({})
    gather(4, lambda: first.take_arrived(4, timeout_s=20))
    positions, identity = first.positions(), json.loads(json.dumps(first.identity()))
    assert positions == {0: 4, 1: 0, 2: 0}
    second = log.source()
    second.open(positions, identity=identity)
    assert where(gather(6, lambda: second.take_arrived(100, timeout_s=20))) == [(0, offset) for offset in range(4, 10)]


def test_run_gives_exactly_the_records_planned(log: Log) -> None:
    log.append(0, *range(300))
    log.append(1, *range(5))
    source = log.source(buffer_records=10)
    source.open({0: 2, 1: 0, 2: 0})
    assert source.has_run(Run(0, 2, 280), timeout_s=20)
    assert source.positions() == {0: 2, 1: 0, 2: 0}
    run = source.take_run(Run(0, 2, 280), timeout_s=20)
    assert run is not None
    assert where(run) == [(0, offset) for offset in range(2, 280)]
    run = source.take_run(Run(1, 0, 3), timeout_s=20)
    assert run is not None
    assert where(run) == [(1, 0), (1, 1), (1, 2)]
    assert source.positions() == {0: 280, 1: 3, 2: 0}
    assert source.take_run(Run(2, 0, 1), timeout_s=0.01) is None
    with pytest.raises(GapError, match="position 0 is gone, the first record still there is 280"):
        source.take_run(Run(0, 0, 5), timeout_s=20)


def test_latest_counts_only_without_positions(log: Log) -> None:
    for partition in range(3):
        log.append(partition, 1.0, 2.0)
    source = log.source(start="latest")
    source.open({})
    assert source.positions() == {0: 2, 1: 2, 2: 2}
    source = log.source(start="latest")
    source.open({0: 1})
    assert source.positions() == {0: 1, 1: 0, 2: 0}


def test_log_made_anew_is_refused(log: Log) -> None:
    log.append(0, *range(5))
    source = log.source()
    source.open({})
    gather(5, lambda: source.take_arrived(5, timeout_s=20))
    positions, identity = source.positions(), source.identity()
    source.close()
    log.remake()
    other = log.source()
    with pytest.raises(ReplacedError, match=r"[Ss]tart a new folder"):
        other.open(positions, identity=identity)
    with pytest.raises(ReplacedError, match=r"[Ss]tart a new folder"):
        other.open({}, identity={"of": "another kind"})


def test_closed_source_wakes_and_refuses_takers(log: Log) -> None:
    source = log.source()
    source.open({})
    told: list[str] = []
    source.commit({0: 0}, then=lambda: told.append("committed"))
    assert told == ["committed"]  # at once, where there is no group
    source.close()
    source.close()
    with pytest.raises(SourceError, match="closed"):
        source.take_arrived(1, timeout_s=60)

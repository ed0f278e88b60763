"""What is particular to Kafka as a source, against a real broker: outages, gaps, holes, topics made anew, stuck clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition

import streams.topic_watch
from streams.errors import GapError, ReplacedError, SourceError
from streams.kafka import KafkaSource
from streams.kafka_client import KafkaCluster
from streams.record import Record, Run
from tests.crash.topics import committed
from tests.kafka_broker import LEAKS_SOCKETS, Broker, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]


@contextmanager
def producing(kafka: Cluster, **options: Any) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, **options)
    try:
        yield producer
    finally:
        producer.close()


def send(kafka: Cluster, topic: str, *values: int, partition: int = 0) -> None:
    with producing(kafka) as producer:
        for value in values:
            producer.send(topic, b"%d" % value, partition=partition)
        producer.flush()


@contextmanager
def opened(kafka: Cluster, topic: str, positions: dict[int, int] | None = None, **options: Any) -> Iterator[KafkaSource]:
    options = {"buffer_records": 1000, **options}
    source = KafkaSource(topic=topic, bootstrap_servers=kafka.bootstrap_servers, **options)
    try:
        source.open(positions or {})
        yield source
    finally:
        source.close()


def gather(source: KafkaSource, num: int, *, timeout_s: float = 30) -> list[Record]:
    records: list[Record] = []
    while len(records) < num:
        taken = source.take_arrived(100, timeout_s=timeout_s)
        assert taken, f"only {len(records)} of {num} records came"
        records += taken
    return records


def values(records: Sequence[Record]) -> list[int]:
    return [int(record.value or b"") for record in records]


def delete_below(kafka: Cluster, topic: str, offset: int) -> None:
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): offset})


def delete_topic(kafka: Cluster, topic: str) -> None:
    with kafka.admin() as admin:
        admin.delete_topics([topic])
        deadline = time.monotonic() + 20
        while admin.describe_topics([topic])[0]["error_code"] != 3:
            assert time.monotonic() < deadline, "the topic is still there"


def test_broker_killed_and_started_again_loses_and_doubles_nothing(own_broker: Broker) -> None:
    topic = own_broker.new_topic(3)
    for partition in range(3):
        send(own_broker, topic, *range(600), partition=partition)
    with opened(own_broker, topic, buffer_records=50) as source:
        records = gather(source, 300)
        own_broker.kill()
        records += source.take_arrived(10_000, timeout_s=0)
        own_broker.start()
        for partition in range(3):
            send(own_broker, topic, *range(600, 700), partition=partition)
        records += gather(source, 2100 - len(records))
        assert source.take_arrived(1, timeout_s=0) == []
    for partition in range(3):
        mine = [record for record in records if record.partition == partition]
        assert [record.offset for record in mine] == list(range(700))
        assert values(mine) == list(range(700))


def test_outage_is_logged_once_and_its_end_too(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_INTERVAL_S", 0.0)
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_TIMEOUT_MS", 300)
    caplog.set_level("INFO", logger="streams")
    topic = own_broker.new_topic()
    with opened(own_broker, topic) as source:
        own_broker.kill()
        deadline = time.monotonic() + 20
        while not any(record.name.startswith("streams") for record in caplog.records):
            assert source.take_arrived(1, timeout_s=0.05) == []
            assert time.monotonic() < deadline, "the outage was not noticed"
        own_broker.start()
        send(own_broker, topic, 7)
        assert values(gather(source, 1)) == [7]
    texts = [record.getMessage() for record in caplog.records if record.name.startswith("streams")]
    assert [("cannot be reached" in text, "reading goes on" in text) for text in texts] == [(True, True), (False, True)]


def test_retention_gap_stops_with_partition_position_and_first(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    send(kafka, topic, *range(20))
    delete_below(kafka, topic, 15)
    with opened(kafka, topic, {0: 5}) as source, pytest.raises(GapError) as caught:
        source.take_arrived(1, timeout_s=30)
    assert (caught.value.partition, caught.value.position, caught.value.first) == (0, 5, 15)
    assert f"{topic}[0]: position 5 is gone, the first record still there is 15" in str(caught.value)


def test_retention_gap_is_skipped_and_told_when_asked(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    send(kafka, topic, *range(20))
    delete_below(kafka, topic, 15)
    with opened(kafka, topic, {0: 5}, on_gap="skip") as source:
        assert values(gather(source, 5)) == [15, 16, 17, 18, 19]
        assert source.skipped() == [Run(0, 5, 15)]
        assert source.positions() == {0: 20}
    with opened(kafka, topic, {0: 5}, on_gap="skip") as source, pytest.raises(GapError):
        source.take_run(Run(0, 5, 17), timeout_s=30)


def test_first_start_begins_where_the_log_begins(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    send(kafka, topic, *range(20))
    delete_below(kafka, topic, 15)
    with opened(kafka, topic) as source:
        assert source.positions() == {0: 15}
        assert values(gather(source, 5)) == [15, 16, 17, 18, 19]


def test_position_beyond_the_end_is_another_log(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    send(kafka, topic, 1)
    with opened(kafka, topic, {0: 100}) as source, pytest.raises(ReplacedError, match=r"position 100 lies beyond the end 1"):
        source.take_arrived(1, timeout_s=30)


@pytest.mark.parametrize("num_new", [3, 30])
def test_topic_made_anew_while_it_is_read_stops_the_source(
    kafka: Cluster, monkeypatch: pytest.MonkeyPatch, num_new: int
) -> None:
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_INTERVAL_S", 0.2)
    topic = kafka.new_topic()
    send(kafka, topic, *range(10))
    with opened(kafka, topic) as source:
        assert values(gather(source, 10)) == list(range(10))
        with kafka.admin() as admin:
            admin.delete_topics([topic])
        kafka.create_topic(topic)
        send(kafka, topic, *range(100, 100 + num_new))
        # Made anew before the reader sees that it is gone, or after: it stops either way.
        with pytest.raises(SourceError, match=r"made anew|there is no topic"):
            source.take_arrived(1, timeout_s=30)


def test_deleted_topic_stops_the_source(kafka: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_INTERVAL_S", 0.2)
    topic = kafka.new_topic()
    with opened(kafka, topic) as source:
        delete_topic(kafka, topic)
        with pytest.raises(SourceError, match=f'there is no topic "{topic}"'):
            source.take_arrived(1, timeout_s=30)


def test_aborted_records_never_come_and_markers_count_as_read(kafka: Cluster) -> None:
    topic = kafka.new_topic(2)
    with producing(kafka, transactional_id=topic) as producer:
        producer.init_transactions()
        for value, commit in ((1, True), (2, False), (3, True), (4, False)):
            producer.begin_transaction()
            for partition in range(2):
                producer.send(topic, b"%d" % value, partition=partition)
            producer.flush()
            if commit:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    with opened(kafka, topic) as source:
        ends = source.ends()
        assert ends == {0: 8, 1: 8}
        records: list[Record] = []
        deadline = time.monotonic() + 30
        while not source.exhausted(ends):
            records += source.take_merged(100, ends=ends, timeout_s=0.2)
            assert time.monotonic() < deadline
        for partition in range(2):
            mine = [record for record in records if record.partition == partition]
            assert [(record.offset, record.value) for record in mine] == [(0, b"1"), (4, b"3")]
        assert source.positions() == {0: 5, 1: 5}
        assert source.lag() == {0: 0, 1: 0}
    with opened(kafka, topic, {0: 0, 1: 5}) as source:
        run = source.take_run(Run(0, 0, 8), timeout_s=30)
        assert run is not None
        assert values(run) == [1, 3]
        assert source.take_run(Run(1, 5, 8), timeout_s=30) == []


def test_open_transaction_holds_back_what_comes_after_it(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    with producing(kafka, transactional_id=topic) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"1", partition=0)
        producer.flush()
        send(kafka, topic, 2)
        with opened(kafka, topic) as source:
            assert source.ends() == {0: 0}
            producer.commit_transaction()
            assert values(gather(source, 2)) == [1, 2]


def test_stuck_consumer_is_built_anew(kafka: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    topic = kafka.new_topic(2)
    send(kafka, topic, 1)
    with opened(kafka, topic, stall_timeout_s=0.5) as source:
        assert values(gather(source, 1)) == [1]
        # As kafka-python issues 3106 and 3131 have it: polls go on, and nothing ever comes.
        polled = threading.Event()

        def poll(timeout_ms: int) -> dict[object, object]:
            polled.set()
            return {}

        assert source._reader is not None
        source._reader._consumer.poll = poll
        assert polled.wait(10)
        send(kafka, topic, 2, partition=1)
        assert values(gather(source, 1)) == [2]
        # More than once where the new consumer is slow to bring its first record.
        assert source.rebuilds >= 1
        send(kafka, topic, 3)
        assert values(gather(source, 1)) == [3]
        assert source.positions() == {0: 2, 1: 1}
    assert [record.getMessage() for record in caplog.records if "built anew" in record.getMessage()]


def test_quiet_topic_is_no_stall(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    with opened(kafka, topic, stall_timeout_s=0.1) as source:
        assert source.take_arrived(1, timeout_s=1.0) == []
        assert source.rebuilds == 0
        send(kafka, topic, 5)
        assert values(gather(source, 1)) == [5]


def test_partitions_that_are_added_are_read_from_their_beginning(kafka: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_INTERVAL_S", 0.2)
    topic = kafka.new_topic()
    send(kafka, topic, 1)
    with opened(kafka, topic, start="latest") as source, opened(kafka, topic, partitions=(0,)) as of_one:
        with kafka.admin() as admin:
            admin.create_partitions({topic: 2})
            admin.wait_for_topics([topic])
        send(kafka, topic, 2, partition=1)
        send(kafka, topic, 3)
        assert sorted(values(gather(source, 2))) == [2, 3]
        assert source.positions() == {0: 2, 1: 1}
        assert values(gather(of_one, 2)) == [1, 3]
        assert of_one.positions() == {0: 2}


def test_partition_that_is_not_there_is_refused(kafka: Cluster) -> None:
    topic = kafka.new_topic(2)
    with pytest.raises(SourceError, match=r"there is no partition 2 \(there are 2\)"), opened(kafka, topic, partitions=(0, 2)):
        pass
    with pytest.raises(SourceError, match="there is no partition 7"), opened(kafka, topic, {7: 0}):
        pass
    with pytest.raises(SourceError, match=r"source\.partitions does not name"), opened(kafka, topic, {1: 0}, partitions=(0,)):
        pass


def test_key_headers_and_no_value_arrive(kafka: Cluster) -> None:
    topic = kafka.new_topic()
    with producing(kafka) as producer:
        producer.send(topic, None, key=b"k", headers=[("a", b"1"), ("a", b"")], timestamp_ms=1500, partition=0).get(10)
    with opened(kafka, topic) as source:
        assert gather(source, 1) == [Record(topic, 0, 0, None, b"k", (("a", b"1"), ("a", b"")), 1.5)]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_are_read(kafka: Cluster, codec: str) -> None:
    topic = kafka.new_topic()
    with producing(kafka, compression_type=codec, linger_ms=50) as producer:
        for value in range(100):
            producer.send(topic, b"%d" % value, partition=0)
    with opened(kafka, topic) as source:
        assert values(gather(source, 100)) == list(range(100))


def test_committed_offsets_follow_for_lag_tools(kafka: Cluster) -> None:
    topic = kafka.new_topic(2)
    send(kafka, topic, *range(5))
    with opened(kafka, topic, group_id=f"group-of-{topic}") as source:
        gather(source, 5)
        source.commit({0: 3, 1: 0})
        known: list[dict[int, int]] = []
        source.commit({0: 5, 1: 0}, then=lambda: known.append(committed(kafka, topic, f"group-of-{topic}")))
    assert known == [{0: 5, 1: 0}]  # acknowledged before it was said
    assert source.commit_failures == 0


def test_missing_topic_is_named_and_not_made(kafka: Cluster) -> None:
    with pytest.raises(SourceError, match=r'there is no topic "nowhere" on '), opened(kafka, "nowhere"):
        pass
    with kafka.admin() as admin:
        assert "nowhere" not in admin.list_topics()


def test_broker_that_does_not_answer_is_told_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KafkaCluster.topic.__kwdefaults__, "timeout_ms", 300)
    with (
        pytest.raises(SourceError, match=r"Kafka at 127\.0\.0\.1:1 cannot be reached by PLAINTEXT: .*ECONNREFUSED"),
        opened(Cluster("127.0.0.1:1"), "t"),
    ):
        pass

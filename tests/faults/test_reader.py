"""What a long outage may not cost, and what a broker that goes away at the wrong moment may not stop."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

import streams.outage
import streams.topic_watch
from streams.kafka import KafkaSource
from streams.kafka_reader import KafkaReader
from streams.record import Record
from tests.faults import kafka as broker
from tests.kafka_broker import LEAKS_SOCKETS, Broker, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]


@contextmanager
def opened(kafka: Cluster, topic: str, positions: dict[int, int], **options: Any) -> Iterator[KafkaSource]:
    source = KafkaSource(topic=topic, bootstrap_servers=kafka.bootstrap_servers, buffer_records=100, **options)
    try:
        source.open(positions)
        yield source
    finally:
        source.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_INTERVAL_S", 0.0)
    monkeypatch.setattr(streams.topic_watch, "LOOK_UP_TIMEOUT_MS", 300)
    monkeypatch.setattr(streams.outage, "_COLLECT_INTERVAL_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_long_outage_keeps_no_thread_and_no_socket(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty look-ups that fail are two minutes of an outage as it is set in earnest."""
    topic = own_broker.new_topic()
    # The records that pytest keeps of a log, even of one that goes nowhere, hold the client's transports.
    caplog.set_level(logging.CRITICAL + 1, logger="kafka")
    looked_up = threading.Semaphore(0)
    look_up = KafkaReader._look_up

    def told(reader: KafkaReader) -> None:
        look_up(reader)
        looked_up.release()

    monkeypatch.setattr(KafkaReader, "_look_up", told)
    with opened(own_broker, topic, {}) as source:
        assert looked_up.acquire(timeout=20)
        gc.collect()
        own_broker.kill()
        gc.disable()  # what the interpreter collects by chance is not to be counted on
        try:
            before: tuple[int, int] | None = None
            for _ in range(20):
                assert looked_up.acquire(timeout=20)
                before = before or (threading.active_count(), open_files())
            assert not source.reachable
            # One client is being made anew at any time, and each holds a thread and five files.
            assert threading.active_count() <= before[0] + 1
            assert open_files() <= before[1] + 10
        finally:
            gc.enable()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_broker_that_goes_away_while_a_gap_is_looked_into_is_an_outage(
    kafka: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic = kafka.new_topic()
    broker.produce(kafka, topic, [b"%d" % number for number in range(20)], partitions=1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 15})
    ask = KafkaConsumer.beginning_offsets
    answers = iter([KafkaTimeoutError("no broker"), KafkaTimeoutError("no broker")])

    def lost_at_first(consumer: KafkaConsumer, *args: Any, **options: Any) -> Any:
        for error in answers:
            raise error
        return ask(consumer, *args, **options)

    monkeypatch.setattr(KafkaConsumer, "beginning_offsets", lost_at_first)
    with opened(kafka, topic, {0: 5}, on_gap="skip") as source:
        records: list[Record] = []
        while len(records) < 5:
            taken = source.take_arrived(100, timeout_s=30)
            assert taken, "nothing came after the outage"
            records += taken
        assert [record.offset for record in records] == [15, 16, 17, 18, 19]
    assert (
        sum("the brokers do not answer (KafkaTimeoutError: no broker" in record.getMessage() for record in caplog.records) == 1
    )

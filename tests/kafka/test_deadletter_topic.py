"""Dead letters in a real topic."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from streams.deadletter import DeadLetterTopic
from streams.errors import DeadLetterError, DecodeError
from streams.record import Record
from tests.kafka_broker import LEAKS_SOCKETS, Broker, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]


def read(kafka: Cluster, topic: str, num: int) -> list[Any]:
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 0)])
    records: list[Any] = []
    while len(records) < num:
        fetched = consumer.poll(timeout_ms=20_000)
        assert fetched, f"only {len(records)} of {num} letters came"
        records += fetched[TopicPartition(topic, 0)]
    consumer.close()
    return records


def letters_to(kafka: Cluster, topic: str) -> DeadLetterTopic:
    return DeadLetterTopic(topic=topic, bootstrap_servers=kafka.bootstrap_servers, max_share=1.0)


def test_letter_is_the_record_with_connects_headers(kafka: Cluster) -> None:
    topic = kafka.new_topic(hint="dead")
    letters = letters_to(kafka, topic)
    letters.send(
        Record("mail", 1, 7, b"\xffx", b"k", (("a", b"1"), ("b", None)), 1_700_000_000.5),
        DecodeError("encoding", "not UTF-8 at byte 0"),
    )
    letters.send(Record("mail", 1, 8, b"x" * 500_000), DecodeError("bounds", "too long"))
    letters.send(Record("mail", 1, 9, None, b"k"), DecodeError("tombstone", "the record has no value"))
    letters.send(Record("mail", 1, 10, None), DecodeError("tombstone", "the record has no value"))
    letters.flush()
    letters.close()
    first, second, third, fourth = read(kafka, topic, 4)
    assert (first.key, first.value, first.timestamp) == (b"k", b"\xffx", 1_700_000_000_500)
    assert list(first.headers) == [
        ("a", b"1"),
        ("b", b""),
        ("__connect.errors.topic", b"mail"),
        ("__connect.errors.partition", b"1"),
        ("__connect.errors.offset", b"7"),
        ("__connect.errors.stage", b"encoding"),
        ("__connect.errors.class.name", b"learnd"),
        ("__connect.errors.exception.class.name", b"streams.errors.DecodeError"),
        ("__connect.errors.exception.message", b"not UTF-8 at byte 0"),
        ("learnd.id", b"mail-1-7"),
    ]
    assert second.value == b"x" * 400_000
    assert dict(second.headers)["learnd.value.bytes"] == b"500000"
    assert (third.key, third.value) == (b"k", None)
    assert (fourth.key, fourth.value) == (None, b"")


def test_missing_topic_is_named_and_not_made(kafka: Cluster) -> None:
    with pytest.raises(DeadLetterError, match='there is no topic "nowhere-dead"'):
        letters_to(kafka, "nowhere-dead")
    with kafka.admin() as admin:
        assert "nowhere-dead" not in admin.list_topics()


def test_outage_keeps_letters_until_the_broker_is_back(own_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.deadletter.topic._FLUSH_TIMEOUT_S", 2.0)
    monkeypatch.setattr("streams.deadletter.topic._CONNECT_TIMEOUT_MS", 2000)
    topic = own_broker.new_topic(hint="dead")
    letters = letters_to(own_broker, topic)
    letters.send(Record("mail", 0, 0, b"a"), DecodeError("parse", "no"))
    letters.flush()
    own_broker.kill()
    letters.send(Record("mail", 0, 1, b"b"), DecodeError("parse", "no"))
    with pytest.raises(DeadLetterError, match=r"1 dead letters cannot be written to topic dead-"):
        letters.flush()
    own_broker.start()
    letters.send(Record("mail", 0, 2, b"c"), DecodeError("parse", "no"))
    letters.flush()
    letters.close()
    ids = {dict(record.headers)["learnd.id"] for record in read(own_broker, topic, 3)}
    assert ids == {b"mail-0-0", b"mail-0-1", b"mail-0-2"}

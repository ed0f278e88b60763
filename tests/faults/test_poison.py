"""One per cent of poison records of many kinds: each in the dead-letter topic as Kafka Connect writes it, the rest learned."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.crash import runs
from tests.faults import kafka as broker
from tests.faults.processes import learnd
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]

PARTITIONS = 3
MAX_VALUE_BYTES = 20_000
# The stage at which each is refused, and what the reason says.
POISON: dict[bytes, tuple[str, str]] = {
    b'{"text": "\xff\xfe", "label": "ham"}': ("encoding", "not UTF-8 at byte 10"),
    b'["an array", "ham"]': ("parse", "an array, not an object"),
    b'{"text": "cut': ("parse", "truncated"),
    b'{"text": "no label"}': ("schema", 'the label "label" is missing'),
    b'{"text": "a", "features": {"x": NaN}, "label": "ham"}': ("bounds", "NaN is not a finite number"),
    b'{"text": "a", "features": {"x": -Infinity}, "label": "ham"}': ("bounds", "-Infinity is not a finite number"),
    b'{"text": "a", "features": {"x": 1e999}, "label": "ham"}': ("bounds", "out of range"),
    b'{"text": "a", "label": "eggs"}': ("label", '"eggs" is none of the 2 labels allowed'),
    b'{"text": "%s", "label": "ham"}' % (b"x" * MAX_VALUE_BYTES): ("bounds", f"more than the {MAX_VALUE_BYTES} allowed"),
    b'{"text": "\\ud83d", "label": "ham"}': ("parse", "utf-16 surrogate pair"),
    b'{"text": "a", "label": "ham", "deep": %s}' % (b"[" * 5000 + b"]" * 5000): ("parse", "recursion depth"),
    b'{"text": {"a": 1}, "label": "ham"}': ("schema", "object"),
}


def test_poison_is_put_aside_and_the_rest_is_learned(kafka: Cluster, tmp_path: Path) -> None:
    good = runs.stream(tmp_path, num_rows=99 * len(POISON)).read_bytes().splitlines()
    values = [*good, *POISON]
    random.Random(7).shuffle(values)
    topic, dead, folder = kafka.new_topic(PARTITIONS), kafka.new_topic(hint="dead"), tmp_path / "data"
    broker.produce(kafka, topic, values, partitions=PARTITIONS)
    settings = [
        *runs.common(folder),
        *broker.settings(kafka, topic),
        *runs.text_settings(),
        "task.labels=['ham','spam']",
        f"decoding.max_value_bytes={MAX_VALUE_BYTES}",
        "dead_letters.kind=topic",
        f"dead_letters.topic={dead}",
    ]
    with learnd("train", settings, log_file=tmp_path / "log") as trainer:
        trainer.wait_until_learned(len(good))
        # The last of the figures that a dead letter moves.
        trainer.wait_for(lambda: trainer.metric("learnd_dead_letters_total") >= len(POISON), "dead letters")
        assert trainer.metric("learnd_records_total", outcome="learned") == len(good)
        assert trainer.metric("learnd_records_total", outcome="dead_letter") == len(POISON)
        for stage, count in Counter(stage for stage, _ in POISON.values()).items():
            assert trainer.metric("learnd_dead_letters_total", stage=stage) == count
        trainer.terminate()
    assert set(broker.planned(folder).values()) == {1}
    assert broker.planned(folder).total() == len(values)
    newest = sorted((folder / "checkpoints").glob("[0-9]*"))[-1]
    assert json.loads((newest / "manifest.json").read_bytes())["meta"]["rows"] == len(good)

    letters = {letter.value: letter for letter in read_all(kafka, dead, num=len(POISON))}
    assert letters.keys() == POISON.keys()
    for value, (stage, reason) in POISON.items():
        number = values.index(value)
        partition, offset = number % PARTITIONS, number // PARTITIONS
        headers = {name: content.decode() for name, content in letters[value].headers}
        assert reason in headers.pop("__connect.errors.exception.message")
        assert headers == {
            "__connect.errors.topic": topic,
            "__connect.errors.partition": str(partition),
            "__connect.errors.offset": str(offset),
            "__connect.errors.stage": stage,
            "__connect.errors.class.name": "learnd",
            "__connect.errors.exception.class.name": "streams.errors.DecodeError",
            "learnd.id": f"{topic}-{partition}-{offset}",
        }
        assert letters[value].key == b"%d" % number


def read_all(kafka: Cluster, topic: str, *, num: int) -> list[Any]:
    """Every record of a topic of one partition, of which there are `num`."""
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        assert consumer.end_offsets([partition])[partition] == num
        records: list[Any] = []
        while consumer.position(partition) < num:
            records += consumer.poll(timeout_ms=10_000).get(partition, [])
        return records
    finally:
        consumer.close()

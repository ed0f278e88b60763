"""The same promise over real Kafka: three partitions, killed and started again; a live run; a gap that retention left."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from kafka import KafkaProducer, TopicPartition

from daemon.storage.ledger import Ledger
from tests.crash import runs
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS, pytest.mark.timeout(900)]


def produce(kafka: Cluster, topic: str, lines: Sequence[str], *, partitions: int) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    # Times of one's own, so that partitions interleave in the merged order; of now, or retention takes the records.
    now_ms = round(time.time() * 1000)
    for number, line in enumerate(lines):
        producer.send(topic, line.encode(), partition=number % partitions, timestamp_ms=now_ms + number)
    producer.flush()
    producer.close()


def kafka_settings(kafka: Cluster, topic: str) -> list[str]:
    return ["source.kind=kafka", f"source.topic={topic}", f"source.bootstrap_servers='{kafka.bootstrap_servers}'"]


def covered(folder: Path) -> dict[int, list[tuple[int, int]]]:
    """Partition -> the ranges that the ledger names, in its order, plans and gaps alike."""
    ranges: dict[int, list[tuple[int, int]]] = {}
    for entry in Ledger(folder / "ledger").entries():
        if entry.kind == "plan":
            for partition, start, end in entry.body["runs"]:
                ranges.setdefault(partition, []).append((start, end))
        elif entry.kind == "skipped":
            ranges.setdefault(entry.body["partition"], []).append((entry.body["start"], entry.body["end"]))
    return ranges


def assert_each_position_once(folder: Path, ends: dict[int, int]) -> None:
    for partition, ranges in covered(folder).items():
        assert ranges[0][0] == 0
        assert all(before[1] == after[0] for before, after in itertools.pairwise(ranges)), ranges
        assert ranges[-1][1] == ends[partition]
    assert covered(folder).keys() == ends.keys()


@pytest.mark.parametrize("model", ["transformer", "text"])
def test_three_partitions_killed_thrice_cost_no_bit(kafka: Cluster, tmp_path: Path, model: str) -> None:
    num_rows = 162 if model == "transformer" else 900
    file = runs.stream(tmp_path, num_rows=num_rows)
    topic = kafka.new_topic(3)
    produce(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3)
    chosen = runs.transformer_settings(tmp_path, file) if model == "transformer" else runs.text_settings()
    settings = kafka_settings(kafka, topic) + chosen
    expected = runs.train(tmp_path / "untouched", settings)
    kills = ("plan.written:4", "commit.done:1", "step.done:2")
    assert [runs.train(tmp_path / "killed", settings, failpoint=kill) for kill in kills] == [None] * 3
    assert runs.train(tmp_path / "killed", settings) == expected
    assert_each_position_once(tmp_path / "killed", dict.fromkeys(range(3), num_rows // 3))


def test_a_live_run_killed_equals_the_replay_of_its_ledger(kafka: Cluster, tmp_path: Path) -> None:
    file = runs.stream(tmp_path, num_rows=300)
    lines = file.read_text(encoding="utf-8").splitlines()
    topic = kafka.new_topic(3)
    settings = kafka_settings(kafka, topic) + runs.text_settings()
    live = tmp_path / "live"
    for part in (lines[:90], lines[90:180], lines[180:]):
        process = start_live(live, settings)
        produce(kafka, topic, part, partitions=3)
        wait_for_plans(live, records=lines.index(part[0]) + len(part), process=process)
        process.kill()
        process.communicate()
    # Time closed these micro-batches: the ledger alone knows how.
    (tmp_path / "replay").mkdir()
    shutil.copytree(live / "ledger", tmp_path / "replay" / "ledger")
    assert not (tmp_path / "replay" / "checkpoints").exists()
    replayed = runs.train(tmp_path / "replay", settings)
    assert replayed is not None
    assert runs.train(live, settings) == replayed
    assert_each_position_once(live, dict.fromkeys(range(3), 100))


def test_a_gap_that_may_be_skipped_is_in_the_ledger_once(kafka: Cluster, tmp_path: Path) -> None:
    lines = runs.stream(tmp_path, num_rows=100).read_text(encoding="utf-8").splitlines()
    topic = kafka.new_topic(1)
    settings = [*kafka_settings(kafka, topic), *runs.text_settings()]
    produce(kafka, topic, lines[:30], partitions=1)
    assert runs.train(tmp_path / "data", settings) is not None
    produce(kafka, topic, lines[30:], partitions=1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 70})
    stopped = run_once(tmp_path / "data", settings)
    assert stopped.returncode == 1
    assert f"{topic}[0]: position 30 is gone, the first record still there is 70" in stopped.stderr
    skipping = [*settings, "source.on_gap=skip"]
    assert runs.train(tmp_path / "data", skipping, failpoint="plan.written:1") is None
    assert runs.train(tmp_path / "data", skipping) is not None
    assert (30, 70) in covered(tmp_path / "data")[0]
    assert_each_position_once(tmp_path / "data", {0: 100})


def command(folder: Path, settings: Sequence[str], *flags: str) -> list[str]:
    chosen = [part for setting in [*runs.common(folder), *settings] for part in ("--set", setting)]
    return [sys.executable, "-m", "daemon", "train", *flags, *chosen]


def run_once(folder: Path, settings: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, settings, "--until-end"), capture_output=True, text=True, check=False)


def start_live(folder: Path, settings: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(folder, settings), env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for_plans(folder: Path, *, records: int, process: subprocess.Popen[bytes]) -> None:
    """Until the ledger of a running trainer has planned so many records."""
    deadline = time.monotonic() + 120
    while True:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline, f"{json.dumps(covered(folder))}: fewer than {records}"
        if (folder / "ledger").exists():
            planned = sum(end - start for ranges in covered(folder).values() for start, end in ranges)
            if planned >= records:
                return
        signal.sigtimedwait([], 0.1)

"""The same promise over real Kafka: three partitions, killed and started again; a live run; a gap that retention left."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka import TopicPartition

from tests.crash import runs
from tests.crash.live import live_equals_replay
from tests.crash.starts import Launcher
from tests.crash.topics import assert_each_position_once, covered, kafka_settings, produce
from tests.crash.trial import Trial
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS, pytest.mark.timeout(600)]


@pytest.mark.parametrize("model", runs.MODELS)
def test_three_partitions_killed_thrice_cost_no_bit(kafka: Cluster, launcher: Launcher, tmp_path: Path, model: str) -> None:
    num_rows = runs.NUM_ROWS[model]
    file, topic = runs.stream(tmp_path, num_rows=num_rows), kafka.new_topic(3)
    produce(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3)
    trial = Trial(launcher, tmp_path, kafka_settings(kafka, topic) + runs.model_settings(model, tmp_path, file))
    trial.kill_at_random(num_kills=3, seed=1)
    assert trial.end() == trial.expected
    assert_each_position_once(trial.run, dict.fromkeys(range(3), num_rows // 3))
    runs.assert_reads_as_set(model, trial.run, file)


@pytest.mark.parametrize("model", runs.MODELS)
def test_a_live_run_killed_equals_the_replay_of_its_ledger(
    kafka: Cluster, launcher: Launcher, tmp_path: Path, model: str
) -> None:
    live_equals_replay(kafka, launcher, tmp_path, model, num_kills=3)


def test_a_gap_that_may_be_skipped_is_in_the_ledger_once(kafka: Cluster, launcher: Launcher, tmp_path: Path) -> None:
    lines = runs.stream(tmp_path, num_rows=100).read_text(encoding="utf-8").splitlines()
    topic, folder = kafka.new_topic(1), tmp_path / "data"
    settings = [*kafka_settings(kafka, topic), "model.encoder=none"]
    produce(kafka, topic, lines[:30], partitions=1)
    assert launcher.start(folder, runs.arguments(folder, settings)).result()
    produce(kafka, topic, lines[30:], partitions=1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 70})
    stopped = runs.run_once(folder, settings)
    assert stopped.returncode == 2
    assert f"{topic}[0]: position 30 is gone, the first record still there is 70" in stopped.stderr
    skipping = runs.arguments(folder, [*settings, "source.on_gap=skip"])
    assert launcher.start(folder, skipping, failpoint="plan.written:1").result() is None
    assert launcher.start(folder, skipping).result()
    assert (30, 70) in covered(folder)[0]
    assert_each_position_once(folder, {0: 100})

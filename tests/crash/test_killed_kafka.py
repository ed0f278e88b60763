"""The same promise over real Kafka: three partitions, killed and started again; a live run; a gap that retention left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from kafka import TopicPartition

from daemon.storage.checkpoints import Checkpoints
from tests.crash import runs
from tests.crash.live import live_equals_replay, replayed
from tests.crash.starts import begin
from tests.crash.topics import assert_each_position_once, committed, covered, kafka_settings, produce, standing
from tests.crash.trial import Trial
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS, pytest.mark.timeout(600)]


@pytest.mark.parametrize("model", runs.MODELS)
def test_three_partitions_killed_thrice_cost_no_bit(kafka: Cluster, tmp_path: Path, model: str) -> None:
    num_rows = runs.NUM_ROWS[model]
    file, topic = runs.stream(tmp_path, num_rows=num_rows), kafka.new_topic(3)
    produce(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3)
    trial = Trial(tmp_path, kafka_settings(kafka, topic) + runs.model_settings(model, tmp_path, file))
    trial.kill_at_random(num_kills=3, seed=1)
    assert trial.end() == trial.expected
    assert_each_position_once(trial.run, dict.fromkeys(range(3), num_rows // 3))
    runs.assert_reads_as_set(model, trial.run, file)


@pytest.mark.parametrize("model", runs.MODELS)
def test_a_live_run_killed_equals_the_replay_of_its_ledger(kafka: Cluster, tmp_path: Path, model: str) -> None:
    live_equals_replay(kafka, tmp_path, model, num_kills=3)


def test_a_gap_that_may_be_skipped_is_in_the_ledger_once(kafka: Cluster, tmp_path: Path) -> None:
    lines = runs.stream(tmp_path, num_rows=100).read_text(encoding="utf-8").splitlines()
    topic, folder = kafka.new_topic(1), tmp_path / "data"
    settings = [*kafka_settings(kafka, topic), "model.encoder=none"]
    produce(kafka, topic, lines[:30], partitions=1)
    assert begin(folder, runs.arguments(folder, settings)).result()
    produce(kafka, topic, lines[30:], partitions=1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 70})
    stopped = runs.run_once(folder, settings)
    assert stopped.returncode == 2
    assert f"{topic}[0]: position 30 is gone, the first record still there is 70" in stopped.stderr
    skipping = runs.arguments(folder, [*settings, "source.on_gap=skip"])
    assert begin(folder, skipping, failpoint="plan.written:1").result() is None
    assert begin(folder, skipping).result()
    assert (30, 70) in covered(folder)[0]
    assert_each_position_once(folder, {0: 100})


def test_plans_whose_records_are_gone_are_given_up_once(kafka: Cluster, tmp_path: Path) -> None:
    """Two plans can be redone; from the third on retention took what partition 1 gave. What partition 0 gave to it is left."""
    lines = runs.stream(tmp_path, num_rows=132).read_text(encoding="utf-8").splitlines()
    topic, folder = kafka.new_topic(2), tmp_path / "data"
    settings = [*kafka_settings(kafka, topic), "model.encoder=none", "storage.checkpoint_interval_s=1e9"]
    produce(kafka, topic, lines[:32], partitions=1)
    produce(kafka, topic, lines[32:], partitions=2)
    planning = runs.arguments(folder, settings)
    assert begin(folder, planning, failpoint="step.done:4").result() is None
    assert {partition: ranges[-1][1] for partition, ranges in covered(folder).items()} == {0: 48, 1: 16}
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 1): 20})
    stopped = runs.run_once(folder, settings)
    assert stopped.returncode == 2
    assert f"{topic}[1]: position 0 is gone, the first record still there is 20 (20 lost to retention); set " in stopped.stderr
    settings.append("source.on_gap=skip")
    skipping = runs.arguments(folder, settings)
    assert begin(folder, skipping, failpoint="plan.before:1").result() is None
    assert begin(folder, skipping, failpoint="step.done:3").result() is None
    sha256 = begin(folder, skipping).result()
    assert begin(folder, skipping).result() == sha256
    assert replayed(tmp_path / "replay", settings, ledger_of=folder) == sha256
    # Who never saw what is gone learns the same rows in the same order.
    assert begin(tmp_path / "late", runs.arguments(tmp_path / "late", settings)).result() == sha256
    assert_each_position_once(folder, {0: 82, 1: 50})
    assert covered(folder)[1][0] == (0, 20)
    voided = [entry.body for entry in standing(folder) if entry.kind == "voided"]
    assert voided == [{"from": voided[0]["from"], "partition": 1, "start": 0, "end": 20}]
    plans = [entry for entry in standing(folder) if entry.kind == "plan"]
    assert [plan.body["step"] for plan in plans] == list(range(1, 8))
    assert plans[1].n < voided[0]["from"] < plans[2].n
    checkpoint = Checkpoints(folder / "checkpoints").load_newest()
    assert checkpoint is not None
    assert checkpoint.state["progress"]["positions"] == {"0": 82, "1": 50}
    assert checkpoint.meta["rows"] == 112


def test_a_checkpoint_of_what_was_given_up_is_refused(kafka: Cluster, tmp_path: Path) -> None:
    """As from a copy of an older folder: it holds what the ledger says was never learned."""
    lines = runs.stream(tmp_path, num_rows=64).read_text(encoding="utf-8").splitlines()
    topic, folder = kafka.new_topic(1), tmp_path / "data"
    settings = [*kafka_settings(kafka, topic), "model.encoder=none", "source.on_gap=skip"]
    produce(kafka, topic, lines, partitions=1)
    assert begin(folder, runs.arguments(folder, settings)).result()
    (folder / "checkpoints").rename(tmp_path / "kept")
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 40})
    assert begin(folder, runs.arguments(folder, settings)).result()
    shutil.rmtree(folder / "checkpoints")
    (tmp_path / "kept").rename(folder / "checkpoints")
    refused = runs.run_once(folder, settings)
    assert refused.returncode == 2
    assert "gave up because their records were gone; remove it" in refused.stderr


def test_killed_at_either_side_of_the_commit(kafka: Cluster, tmp_path: Path) -> None:
    """Before it the brokers know nothing, after it just what the checkpoint says; neither costs a bit."""
    lines = runs.stream(tmp_path, num_rows=48).read_text(encoding="utf-8").splitlines()
    topic = kafka.new_topic(3)
    produce(kafka, topic, lines, partitions=3)
    settings = [*kafka_settings(kafka, topic), "model.encoder=none", "storage.checkpoint_interval_s=1e9"]
    # The first of all groups waits long for its coordinator, so it is not one that is looked at.
    expected = begin(tmp_path / "untouched", runs.arguments(tmp_path / "untouched", settings)).result()
    for point, known in (("commit.before", {}), ("commit.done", {0: 16, 1: 16, 2: 16})):
        folder, group = tmp_path / point, f"{topic}-{point}"
        arguments = runs.arguments(folder, [*settings, f"source.group_id={group}"])
        assert begin(folder, arguments, failpoint=point).result() is None
        checkpoint = Checkpoints(folder / "checkpoints").load_newest()
        assert checkpoint is not None
        assert checkpoint.state["progress"]["positions"] == {"0": 16, "1": 16, "2": 16}
        assert committed(kafka, topic, group) == known
        assert begin(folder, arguments).result() == expected
        assert committed(kafka, topic, group) == {0: 16, 1: 16, 2: 16}

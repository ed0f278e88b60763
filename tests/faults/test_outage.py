"""The broker is killed and started again under a live `learnd train`; retention takes records that it had still to read."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from kafka import TopicPartition

from daemon.storage.snapshots import Snapshots
from tests.crash import runs
from tests.faults import kafka as broker
from tests.faults.processes import LIMIT_S, learnd
from tests.kafka_broker import LEAKS_SOCKETS, Broker, Cluster

pytestmark = [pytest.mark.kafka, LEAKS_SOCKETS]

PARTITIONS = 3


def mails(folder: Path, *, num_rows: int) -> list[bytes]:
    return runs.stream(folder, num_rows=num_rows).read_bytes().splitlines()


def test_killed_broker_costs_no_record_and_no_liveness(own_broker: Broker, tmp_path: Path) -> None:
    values = mails(tmp_path, num_rows=600)
    topic, folder = own_broker.new_topic(PARTITIONS), tmp_path / "data"
    broker.produce(own_broker, topic, values[:450], partitions=PARTITIONS)
    # A buffer smaller than a partition, so that the broker goes while there is much to read.
    settings = [*runs.common(folder), *broker.settings(own_broker, topic), *runs.text_settings(), "source.buffer_records=32"]
    with learnd("train", settings, log_file=tmp_path / "log") as trainer:
        trainer.wait_until_learned(32)
        own_broker.kill()
        trainer.wait_for(lambda: not trainer.ask("/health")[1]["source_reachable"], "an outage that was noticed")
        assert trainer.ask("/health")[1]["status"] == "degraded"
        assert trainer.ask("/livez") == (200, {"live": True})
        assert trainer.ask("/readyz") == (200, {"ready": True})
        trainer.wait_for(lambda: trainer.metric("learnd_source_reachable") == 0, "its gauge")
        own_broker.start()
        broker.produce(own_broker, topic, values[450:], partitions=PARTITIONS)
        trainer.wait_until_learned(600)
        trainer.wait_for(lambda: trainer.ask("/health")[1]["status"] == "ok", "health after the outage")
        trainer.terminate()
    assert broker.planned(folder) == {(p, offset): 1 for p in range(PARTITIONS) for offset in range(600 // PARTITIONS)}
    assert trainer.log.count("reading goes on by itself when it answers") == 1
    assert trainer.log.count("the brokers answer again, reading goes on") == 1
    rows = json.loads((sorted((folder / "checkpoints").glob("[0-9]*"))[-1] / "manifest.json").read_bytes())["meta"]["rows"]
    assert rows == 600


def test_gap_that_may_be_skipped_is_counted(kafka: Cluster, tmp_path: Path) -> None:
    values = mails(tmp_path, num_rows=100)
    topic, folder = kafka.new_topic(), tmp_path / "data"
    broker.produce(kafka, topic, values[:30], partitions=1)
    settings = [*runs.common(folder), *broker.settings(kafka, topic), *runs.text_settings()]
    with learnd("train", settings, log_file=tmp_path / "first.log") as trainer:
        trainer.wait_until_learned(30)
        trainer.terminate()
    broker.produce(kafka, topic, values[30:], partitions=1)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 70})
    with learnd("train", [*settings, "source.on_gap=skip"], log_file=tmp_path / "skipping.log") as skipping:
        skipping.wait_until_learned(30)
        assert skipping.metric("learnd_gaps_skipped_total") == 1
        assert skipping.metric("learnd_gap_records_skipped_total") == 40
        # Set once a turn, after the counters of its step.
        skipping.wait_for(lambda: skipping.metric("learnd_position", partition="0") == 100, "the position behind the gap")
        skipping.terminate()
    assert broker.planned(folder) == {(0, offset): 1 for offset in [*range(30), *range(70, 100)]}
    assert f"{topic}[0]: records 30 to 69 are gone, skipped" in skipping.log


def test_plans_whose_records_are_gone_do_not_stop_a_reader_that_may_skip(
    kafka: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, folder = kafka.new_topic(), tmp_path / "data"
    broker.produce(kafka, topic, mails(tmp_path, num_rows=100), partitions=1)
    settings = [*runs.common(folder), *broker.settings(kafka, topic), *runs.text_settings(), "source.on_gap=skip"]
    settings.append("storage.checkpoint_interval_s=1e9")
    with monkeypatch.context() as environment:
        environment.setenv("LEARND_FAILPOINT", "step.done:6")
        with learnd("train", settings, log_file=tmp_path / "killed.log") as killed:
            assert killed.process.wait(LIMIT_S) == -signal.SIGKILL
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topic, 0): 90})
    with learnd("train", settings, log_file=tmp_path / "skipping.log") as skipping:
        skipping.wait_for(lambda: skipping.metric("learnd_position", partition="0") == 100, "the position behind the gap")
        assert skipping.metric("learnd_records_total", outcome="learned") == 10
        assert skipping.metric("learnd_gaps_skipped_total") == 1
        assert skipping.metric("learnd_gap_records_skipped_total") == 90
        # Fewer rows than what answered before the kill had learned.
        snapshots = Snapshots(folder / "snapshots", keep=5)
        skipping.wait_for(lambda: any(kept.manifest["rows"] == 10 for kept in snapshots.list()), "a snapshot")
        skipping.terminate()
    assert broker.planned(folder) == {(0, offset): 1 for offset in range(90, 100)}
    assert f"{topic}[0]: records 0 to 89 were planned, but retention took them" in skipping.log


def test_broker_that_goes_away_during_recovery_costs_no_liveness(
    own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, folder = own_broker.new_topic(), tmp_path / "data"
    broker.produce(own_broker, topic, mails(tmp_path, num_rows=320), partitions=1)
    settings = [*runs.common(folder), *broker.settings(own_broker, topic), *runs.text_settings(), "source.buffer_records=16"]
    settings += ["storage.checkpoint_interval_s=1e9", "telemetry.stuck_after_s=8"]
    with monkeypatch.context() as environment:
        environment.setenv("LEARND_FAILPOINT", "step.done:20")
        with learnd("train", settings, log_file=tmp_path / "killed.log") as killed:
            assert killed.process.wait(LIMIT_S) == -signal.SIGKILL
    with learnd("train", settings, log_file=tmp_path / "log") as trainer:
        # It stands still at the first plan, so that the broker goes before the last one was redone.
        trainer.wait_for(lambda: "resuming at row" in trainer.log, "recovery")
        trainer.process.send_signal(signal.SIGSTOP)
        own_broker.kill()
        trainer.process.send_signal(signal.SIGCONT)
        trainer.wait_for(lambda: not trainer.ask("/health")[1]["source_reachable"], "an outage that was noticed")
        assert trainer.ask("/readyz")[0] == 503  # recovery is not over, or this proves nothing
        signal.sigtimedwait([], 9.0)
        assert trainer.ask("/livez") == (200, {"live": True})
        assert trainer.ask("/health")[1]["status"] == "degraded"
        own_broker.start()
        trainer.wait_until_learned(320)
        trainer.wait_for(lambda: trainer.ask("/health")[1]["status"] == "ok", "health after the outage")
        trainer.terminate()
    assert broker.planned(folder) == {(0, offset): 1 for offset in range(320)}

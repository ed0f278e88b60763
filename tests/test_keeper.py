"""What is kept comes in an order in which a crash loses nothing, and only from the one that may write."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemon.assembly.training import Training, training
from daemon.config import every_setting
from daemon.errors import SnapshotError, WithheldError, WriterError
from daemon.gathering import Gatherer
from daemon.pipeline import Pipeline
from daemon.storage.checkpoints import Checkpoints
from daemon.storage.ledger import Ledger
from daemon.storage.snapshots import Snapshots
from streams.deadletter import DeadLetterFile
from streams.files import FileSource
from tests import learners

pytestmark = pytest.mark.usefixtures("torch_switches")

# So seldom that nothing is kept but what a test asks for.
NEVER = ("storage.checkpoint_interval_s=1e9", "storage.snapshot_interval_s=1e9")


@contextmanager
def started(folder: Path) -> Iterator[tuple[Training, Gatherer]]:
    """A trainer that has learned one micro-batch, in `folder`/data."""
    settings = learners.settings("table", folder, learners.stream("table", folder), *NEVER)
    with training(settings, until_end=True) as assembled:
        gatherer = assembled.trainer.startup()
        learn(assembled, gatherer)
        yield assembled, gatherer


def learn(assembled: Training, gatherer: Gatherer) -> None:
    batch = gatherer.next()
    assert batch is not None
    assembled.trainer.learn_planned(batch)


def publish(assembled: Training) -> None:
    """As what falls due, but now; it is written beside the test."""
    keeper = assembled.trainer._keeper
    keeper.publisher.publish(assembled.pipeline, keeper._beside)


def take_over(folder: Path) -> None:
    """As another writer does, to whom the lock did not tell of this one."""
    epoch = folder / "data" / "epoch"
    epoch.write_text(f"{int(epoch.read_text()) + 1}\n")


def test_each_thing_is_durable_before_another_relies_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan before its step. Dead letters and the ledger, then the checkpoint, then the broker hears of it; the ledger
    again, then the answers, and a note of them."""
    told: list[str] = []
    for owner, name in (
        (Ledger, "append"), (Pipeline, "learn"),
        (DeadLetterFile, "flush"), (Ledger, "sync"), (Checkpoints, "save"), (FileSource, "commit"), (Snapshots, "publish"),
    ):  # fmt: skip

        def telling(*args: object, _real: object = getattr(owner, name), _name: str = name, **options: object) -> object:
            result = _real(*args, **options)  # type: ignore[operator]
            told.append(_name)
            return result

        monkeypatch.setattr(owner, name, telling)
    with started(tmp_path) as (assembled, gatherer):
        told.clear()
        learn(assembled, gatherer)
        assembled.trainer._keeper.keep_everything(assembled.pipeline)
    assert told == ["append", "learn", "flush", "sync", "save", "commit", "sync", "publish", "append"]


@pytest.mark.parametrize("longer", ["checkpoint", "snapshot"])
def test_what_has_been_due_for_longer_is_kept_first(tmp_path: Path, longer: str) -> None:
    """Or where writing is dear a checkpoint, due again and again, would leave the answers at the snapshot before."""
    with started(tmp_path) as (assembled, _):
        keeper = assembled.trainer._keeper
        kept = {
            "checkpoint": Checkpoints(tmp_path / "data" / "checkpoints").load_newest,
            "snapshot": Snapshots(tmp_path / "data" / "snapshots").latest,
        }
        for name, cadence in (("checkpoint", keeper._cadence), ("snapshot", keeper.publisher.cadence)):
            cadence.due_at = 1.0 if name == longer else 2.0
        keeper.keep_what_is_due(assembled.pipeline)
        keeper._beside.reap(wait=True)
        assert [name for name, newest in kept.items() if newest() is not None] == [longer]
        keeper.keep_what_is_due(assembled.pipeline)
        keeper._beside.reap(wait=True)
        assert all(newest() is not None for newest in kept.values())


def test_only_the_positions_of_a_checkpoint_are_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed: list[object] = []
    monkeypatch.setattr(FileSource, "commit", lambda _, positions, then: committed.append(positions))
    with started(tmp_path) as (assembled, gatherer):
        assembled.trainer._keeper._start_checkpoint(assembled.pipeline)
        # Learned while the checkpoint is written, so no part of it.
        learn(assembled, gatherer)
        assembled.trainer._keeper._beside.reap(wait=True)
        checkpoint = Checkpoints(tmp_path / "data" / "checkpoints").load_newest()
    assert checkpoint is not None
    assert committed == [{0: 16}]
    assert checkpoint.state["progress"]["positions"] == {"0": 16}


@pytest.mark.parametrize("model", ["table", "text"])
def test_a_checkpoint_tells_the_memory_of_every_part_of_the_state(tmp_path: Path, model: str) -> None:
    settings = learners.settings(model, tmp_path, learners.stream(model, tmp_path), *NEVER, "monitoring.input_detector=true")
    with training(settings, until_end=True) as assembled:
        learn(assembled, assembled.trainer.startup())
        keeper, pipeline, registry = assembled.trainer._keeper, assembled.pipeline, assembled.trainer._telemetry.registry
        keeper.keep_everything(pipeline)
        first = parts(registry)
        keeper.keep_everything(pipeline)
        served = parts(registry).keys() - first.keys()
    state = pipeline.state_dict()
    watching = {"metrics", "baselines", "detectors", "gate", "labels", "progress"}
    assert not watching & pipeline.learner.model.state_bytes().keys()
    assert first.keys() == watching | pipeline.learner.model.state_bytes().keys()
    # Something of each is there, and the arrays are counted in full.
    assert min(first[part] for part in watching) > 0
    assert first["detectors"] > state["evaluation"]["detectors"]["inputs"]["window"].nbytes > 50_000
    assert first["gate"] >= state["guard"]["gate"]["candidate"].nbytes
    # A copy of the served weights is held from the first snapshot on.
    assert served == {"served"}


def parts(registry: CollectorRegistry) -> dict[str, float]:
    samples = (sample for family in registry.collect() for sample in family.samples if sample.name == "learnd_state_bytes")
    return {sample.labels["part"]: sample.value for sample in samples}


def test_a_checkpoint_holds_settings_and_epoch_of_its_writer_and_a_resume_tells_what_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside the state, not in it: what is learned does not depend on them."""
    caplog.set_level(logging.INFO, logger="daemon.recovery")
    file = learners.stream("table", tmp_path)
    metas, hashes = [], []
    for port in ("0", "0", "1"):
        settings = learners.settings(
            "table", tmp_path, file, *NEVER, f"serving.port={port}", "serving.token=correct-horse-battery"
        )
        with training(settings, until_end=True) as assembled:
            hashes.append(assembled.trainer.run())
        checkpoint = Checkpoints(tmp_path / "data" / "checkpoints").load_newest()
        assert checkpoint is not None
        assert checkpoint.meta["config"] == every_setting(settings)
        metas.append(checkpoint.meta)
    assert [meta["epoch"] for meta in metas] == [1, 2, 3]
    assert metas[0]["config_sha256"] == metas[1]["config_sha256"] != metas[2]["config_sha256"]
    assert len(set(hashes)) == 1
    told = [message for message in caplog.messages if "settings that were others" in message]
    assert told == ["settings that were others at checkpoint 000000000002: serving.port: 0 -> 1"]
    assert "correct-horse-battery" not in str(metas)


def test_drift_alarms_are_noted_in_the_ledger_unless_that_is_switched_off(tmp_path: Path) -> None:
    """Labels flip at row 600. Nothing that is learned depends on the note, so that the switch may be turned on resume."""
    file = tmp_path / "flip.jsonl"
    rows = [{"features": {"x": i % 4}, "label": "ab"[(i % 4 // 2 + i // 600) % 2]} for i in range(900)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    hashes, notes = [], []
    for data, *more in (("on",), ("off", "reactions.ledger_note=false"), ("off",)):
        settings = learners.settings("table", tmp_path, file, *NEVER, "model.kind=linear", *more, data=data)
        with training(settings, until_end=True) as assembled:
            hashes.append(assembled.trainer.run())
            alarms = assembled.pipeline.evaluation.report()["drift_alarms"]
        notes.append([entry.body for entry in Ledger(tmp_path / data / "ledger").entries() if entry.kind == "drift"])
    assert len(set(hashes)) == 1
    assert len(alarms) == 1
    assert 600 <= alarms[0]["example"] < 620
    assert notes == [[{"row": alarms[0]["example"], "detector": "glr", "direction": "worse"}], [], []]


def test_who_lost_the_folder_plans_nothing_more(tmp_path: Path) -> None:
    with started(tmp_path) as (assembled, gatherer):
        take_over(tmp_path)
        with pytest.raises(WriterError, match="another writer took the folder over"):
            learn(assembled, gatherer)
        assert assembled.pipeline.rows == 16
    kinds = [entry.kind for entry in Ledger(tmp_path / "data" / "ledger").entries()]
    assert kinds == ["opened", "plan"]


def test_who_lost_the_folder_ends_by_its_next_checkpoint(tmp_path: Path) -> None:
    """Not only by its next plan: a stream may be quiet for long."""
    with started(tmp_path) as (assembled, _):
        take_over(tmp_path)
        with pytest.raises(WriterError, match="another writer took the folder over"):
            assembled.trainer._keeper.keep_everything(assembled.pipeline)
    assert Checkpoints(tmp_path / "data" / "checkpoints").load_newest() is None


def test_who_lost_the_folder_ends_by_its_next_snapshot(tmp_path: Path) -> None:
    with started(tmp_path) as (assembled, _):
        take_over(tmp_path)
        publish(assembled)
        with pytest.raises(WriterError, match="another writer took the folder over"):
            assembled.trainer._keeper._beside.reap(wait=True)
    assert Snapshots(tmp_path / "data" / "snapshots").versions() == []


@pytest.mark.parametrize("error", [SnapshotError("no space"), WithheldError("an alarm came meanwhile")])
def test_rows_of_a_snapshot_that_failed_count_as_fresh_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: SnapshotError
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    snapshots = Snapshots(tmp_path / "data" / "snapshots")
    with started(tmp_path) as (assembled, gatherer):
        keeper = assembled.trainer._keeper
        with monkeypatch.context() as broken:
            broken.setattr(Snapshots, "publish", fails)
            publish(assembled)
            keeper._beside.reap(wait=True)
        learn(assembled, gatherer)
        publish(assembled)
        learn(assembled, gatherer)  # while it is written, so no part of it
        keeper._beside.reap(wait=True)
        assert len(snapshots.list()[-1].manifest["arrivals"]) == 32
        assert len(assembled.pipeline.arrivals.sample()) == 16


def test_dead_letters_are_in_no_answer_and_count_nothing_towards_freshness(tmp_path: Path) -> None:
    file = learners.stream("table", tmp_path)
    file.write_bytes(b"poison\n" + file.read_bytes())
    with training(learners.settings("table", tmp_path, file, *NEVER), until_end=True) as assembled:
        learn(assembled, assembled.trainer.startup())
        assert assembled.pipeline.dead_letters.count == 1
        assert len(assembled.pipeline.arrivals.sample()) == 15

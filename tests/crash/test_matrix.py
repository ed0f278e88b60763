"""The full matrix: every source, every model, every fail-point, twenty random moments, and kills in the middle of writing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import runs
from tests.crash.live import kill_live, replayed
from tests.crash.starts import Launcher
from tests.crash.topics import Trickle, assert_each_position_once, batch_sizes, kafka_settings, produce
from tests.crash.trial import Trial
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

Note = Callable[[str, object], None]
"""pytest's `record_property`."""

NUM_KILLS, NUM_TORN = 20, 5

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("model", runs.MODELS)
def test_files(launcher: Launcher, tmp_path: Path, model: str, record_property: Note) -> None:
    file = runs.stream(tmp_path, num_rows=runs.NUM_ROWS[model])
    kill_everywhere(launcher, tmp_path, runs.files(file) + runs.model_settings(model, tmp_path, file), record_property)


@pytest.mark.kafka
@LEAKS_SOCKETS
@pytest.mark.parametrize("model", runs.MODELS)
def test_three_partitions(kafka: Cluster, launcher: Launcher, tmp_path: Path, model: str, record_property: Note) -> None:
    num_rows = runs.NUM_ROWS[model]
    file, topic = runs.stream(tmp_path, num_rows=num_rows), kafka.new_topic(3)
    produce(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3)
    settings = kafka_settings(kafka, topic) + runs.model_settings(model, tmp_path, file)
    trial = kill_everywhere(launcher, tmp_path, settings, record_property)
    assert_each_position_once(trial.run, dict.fromkeys(range(3), num_rows // 3))


@pytest.mark.kafka
@LEAKS_SOCKETS
@pytest.mark.parametrize("model", ["ngrams", "transformer"])
def test_live(kafka: Cluster, launcher: Launcher, tmp_path: Path, model: str, record_property: Note) -> None:
    """Micro-batches that time closed, killed at random: the replay of the ledger into a fresh folder has the same bits."""
    file, topic = runs.stream(tmp_path, num_rows=399), kafka.new_topic(3)
    chosen = runs.model_settings(model, tmp_path, file)
    settings = [*kafka_settings(kafka, topic), *chosen, "training.batch_wait_s=0.05"]
    live = tmp_path / "live"
    trickle = Trickle(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3, seed=1)
    kill_live(launcher, live, settings, trickle, num_kills=NUM_KILLS, seed=1)
    assert_each_position_once(live, trickle.ends)
    assert len([size for size in batch_sizes(live) if size < 16]) > NUM_KILLS, "time closed these micro-batches"
    from_ledger = replayed(launcher, tmp_path / "replay", settings, ledger_of=live)
    assert launcher.start(live, runs.arguments(live, settings)).result() == from_ledger
    record_property("kills", NUM_KILLS)


def kill_everywhere(launcher: Launcher, folder: Path, settings: list[str], note: Note) -> Trial:
    """Each way of killing on a run of its own; all end like a process of its own that was never touched."""
    alone = runs.train(folder / "alone", settings)
    trial = Trial(launcher, folder, settings)
    assert trial.expected == alone
    trial.kill_at_each_failpoint()
    assert trial.end() == alone
    for number, kind in enumerate(("checkpoints", "snapshots")):
        trial.kill_while_writing(kind, num_kills=NUM_TORN, seed=number)
        assert trial.end() == alone
    trial.kill_at_random(num_kills=NUM_KILLS, seed=3)
    assert trial.end() == alone
    note("kills", trial.num_kills)
    return trial

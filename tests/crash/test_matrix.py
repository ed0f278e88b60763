"""The full matrix: every source, every model, every fail-point, twenty random moments, and kills in the middle of writing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import runs
from tests.crash.live import live_equals_replay
from tests.crash.topics import assert_each_position_once, kafka_settings, produce
from tests.crash.trial import Trial
from tests.kafka_broker import LEAKS_SOCKETS, Cluster

Note = Callable[[str, object], None]
"""pytest's `record_property`."""

NUM_KILLS, NUM_TORN = 20, 5

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("model", runs.ALL_MODELS)
def test_files(tmp_path: Path, model: str, record_property: Note) -> None:
    file = runs.stream(tmp_path, num_rows=runs.NUM_ROWS[model], model=model)
    settings = runs.files(file) + runs.model_settings(model, tmp_path, file)
    trial = kill_everywhere(tmp_path, settings, record_property)
    runs.assert_reads_as_set(model, trial.run, file)


@pytest.mark.kafka
@LEAKS_SOCKETS
@pytest.mark.parametrize("model", runs.ALL_MODELS)
def test_three_partitions(kafka: Cluster, tmp_path: Path, model: str, record_property: Note) -> None:
    num_rows = runs.NUM_ROWS[model]
    file, topic = runs.stream(tmp_path, num_rows=num_rows, model=model), kafka.new_topic(3)
    produce(kafka, topic, file.read_text(encoding="utf-8").splitlines(), partitions=3)
    settings = kafka_settings(kafka, topic) + runs.model_settings(model, tmp_path, file)
    trial = kill_everywhere(tmp_path, settings, record_property)
    assert_each_position_once(trial.run, dict.fromkeys(range(3), num_rows // 3))
    runs.assert_reads_as_set(model, trial.run, file)


@pytest.mark.kafka
@LEAKS_SOCKETS
@pytest.mark.parametrize("model", runs.ALL_MODELS)
def test_live(kafka: Cluster, tmp_path: Path, model: str, record_property: Note) -> None:
    """Micro-batches that time closed, killed at random: the replay of the ledger into a fresh folder has the same bits."""
    live_equals_replay(kafka, tmp_path, model, num_kills=NUM_KILLS)
    record_property("kills", NUM_KILLS)


def kill_everywhere(folder: Path, settings: list[str], note: Note) -> Trial:
    """Each way of killing on a run of its own; all end like a process of its own that was never touched."""
    alone = runs.train(folder / "alone", settings, alone=True)
    trial = Trial(folder, settings)
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

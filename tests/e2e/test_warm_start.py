"""History first: a recorded file, then the stream, in one ledger, exact through kills."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from daemon.plan import Plan
from daemon.storage.ledger import Ledger
from streams.history import HISTORY
from streams.record import Run
from tests.crash.runs import common, files, killed_at_random, train
from tests.e2e.learnd import learnd


@pytest.fixture
def recorded(tmp_path: Path) -> list[str]:
    """Settings that learn history.jsonl, 300 rows, before stream.jsonl, which has none yet."""
    (tmp_path / "history.jsonl").write_text(rows(0, 300), encoding="utf-8")
    (tmp_path / "stream.jsonl").write_text("", encoding="utf-8")
    history = f"training.warm_start='{tmp_path / 'history.jsonl'}'"
    return [*files(tmp_path / "stream.jsonl"), "model.inputs=features", history]


def test_a_file_that_was_learned_to_its_end_is_needed_no_more(tmp_path: Path, recorded: list[str]) -> None:
    folder, beside = tmp_path / "data", tmp_path / "beside"
    learned = train(folder, recorded)
    shutil.copytree(folder, beside)
    stream = tmp_path / "stream.jsonl"
    stream.write_text(rows(300, 500), encoding="utf-8")
    expected = train(beside, recorded)
    (tmp_path / "history.jsonl").unlink()
    assert train(folder, recorded) == expected != learned
    checked = learnd("check", "--live", settings=[f"storage.folder='{folder}'", "telemetry.port=0", *recorded])
    assert checked.returncode == 0, checked.stdout
    # Nor by a redo of the ledger behind the checkpoint that has all of it.
    shutil.rmtree(sorted(path for path in (folder / "checkpoints").iterdir() if path.is_dir())[-1])
    assert train(folder, recorded) == expected


def test_the_flag_is_the_setting(tmp_path: Path, recorded: list[str]) -> None:
    """Learned by one, a folder goes on by the other, which is refused where they are not the same."""
    stream, file = recorded[:-1], tmp_path / "history.jsonl"
    set_, flagged, cold = (tmp_path / name for name in ("set", "flagged", "cold"))
    (tmp_path / "stream.jsonl").write_text(rows(300, 400), encoding="utf-8")
    settings = [*common(flagged), *stream]
    done = learnd("train", "--until-end", "--warm-start", str(file), settings=settings)
    assert done.returncode == 0, done.stderr
    learned = done.stdout.split()[-1]
    assert learned == train(set_, recorded) != train(cold, stream)
    assert planned(flagged) == planned(set_)
    assert train(flagged, recorded) == learned
    other = learnd("train", "--until-end", "--warm-start", str(tmp_path / "stream.jsonl"), settings=settings)
    assert other.returncode == 2
    assert "training.warm_start: learned with" in other.stderr


def planned(folder: Path) -> list[Run]:
    """What was planned, in its order."""
    plans = [Plan.from_body(entry.body) for entry in Ledger(folder / "ledger").entries() if entry.kind == "plan"]
    return [run for plan in plans for run in plan.runs]


def test_a_file_that_is_not_learned_to_its_end_is_asked_for(tmp_path: Path, recorded: list[str]) -> None:
    train(tmp_path / "data", recorded)
    shutil.rmtree(tmp_path / "data" / "checkpoints")
    (tmp_path / "history.jsonl").unlink()
    settings = [f"storage.folder='{tmp_path / 'data'}'", "telemetry.port=0", *recorded]
    done = learnd("train", "--until-end", settings=settings)
    assert done.returncode == 2
    assert "history.jsonl: is gone, and from row 0 on (counted from 0) it is still to be learned" in done.stderr
    fresh = learnd("train", "--until-end", settings=[*settings, f"storage.folder='{tmp_path / 'fresh'}'"])
    assert fresh.returncode == 2
    assert "history.jsonl: no such file; check training.warm_start" in fresh.stderr


def rows(start: int, end: int) -> str:
    return "".join(json.dumps({"features": {"x": i % 7}, "label": "ab"[i % 7 // 4]}) + "\n" for i in range(start, end))


def test_a_file_is_learned_before_the_stream_and_kills_change_nothing(tmp_path: Path) -> None:
    history, stream = tmp_path / "history.jsonl", tmp_path / "stream.jsonl"
    history.write_text(rows(0, 300), encoding="utf-8")
    stream.write_text(rows(300, 500), encoding="utf-8")
    settings = [*files(stream), "model.inputs=features", f"training.warm_start='{history}'"]
    untouched = train(tmp_path / "untouched", settings)
    killed, num_killed = killed_at_random(tmp_path / "killed", settings, num_kills=2, seed=4)
    assert num_killed == 2
    assert killed == untouched
    runs = planned(tmp_path / "killed")
    partitions = [run.partition for run in runs]
    assert partitions == sorted(partitions)
    assert sum(run.end - run.start for run in runs if run.partition == HISTORY) == 300
    assert sum(run.end - run.start for run in runs if run.partition == 0) == 200
    assert train(tmp_path / "cold", settings[:-1]) != untouched

"""Checkpoints that a disk or a hand damaged: each is named and passed over, and what is learned in the end is the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daemon.storage.checkpoints import Checkpoints
from daemon.storage.snapshots import Snapshots
from tests.crash import runs
from tests.faults.processes import learnd


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One bit in the middle, where it is still JSON and still an array."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    ("learner.safetensors", truncated),
    ("learner.safetensors", flipped),
    ("progress.json", truncated),
    ("progress.json", flipped),
    ("manifest.json", truncated),
    ("manifest.json", flipped),
    ("manifest.json", empty),
    ("evaluation.safetensors", Path.unlink),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.stream(tmp_path_factory.mktemp("torn"), num_rows=400)


@pytest.fixture(scope="module")
def mail(file: Path) -> list[str]:
    return [*runs.files(file), *runs.text_settings(), f"storage.checkpoints_kept={2 * len(DAMAGES)}"]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, mail: list[str]) -> str:
    sha256 = runs.train(tmp_path_factory.mktemp("untouched"), mail)
    assert sha256 is not None
    return sha256


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, file: Path, mail: list[str]) -> Path:
    """A checkpoint and a snapshot of half the rows, from a run that ended, and behind them the checkpoint of one that was
    killed: two checkpoints however fast this machine learns and writes."""
    folder = tmp_path_factory.mktemp("killed")
    whole = file.read_bytes()
    half = whole.splitlines(keepends=True)[: 12 * runs.BATCH_ROWS]
    file.write_bytes(b"".join(half))
    assert runs.train(folder, [*mail, "storage.checkpoint_interval_s=1e9"]) is not None
    file.write_bytes(whole)
    assert runs.train(folder, mail, failpoint="commit.done:1") is None
    return folder


def checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((folder / "checkpoints").glob("[0-9]*"), reverse=True)


def test_every_kind_of_damage_is_named_and_the_one_before_is_used(
    tmp_path: Path, killed: Path, mail: list[str], untouched: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(killed, folder)
    newest, whole = checkpoints(folder)
    for number in range(3, len(DAMAGES) + 2):
        shutil.copytree(newest, newest.with_name(f"{number:012d}"))
    files = [checkpoint / name for checkpoint, (name, _) in zip(checkpoints(folder)[:-1], DAMAGES, strict=True)]
    for file, (_, damage) in zip(files, DAMAGES, strict=True):
        damage(file)
    # Nobody learns from this pointer, but the answers hang on it.
    answers = folder / "snapshots" / "LATEST"
    answers.write_bytes(b"")
    with learnd("train", [*runs.common(folder), *mail], "--until-end", log_file=tmp_path / "log") as resumed:
        assert resumed.end().split()[-1] == untouched
    warnings = [line for line in resumed.log.splitlines() if "is torn and passed over" in line]
    assert [str(file) in line and "WARNING" in line for file, line in zip(files, warnings, strict=True)] == [True] * len(files)
    rows = json.loads((whole / "manifest.json").read_bytes())["meta"]["rows"]
    assert 0 < rows < json.loads((killed / "checkpoints" / newest.name / "manifest.json").read_bytes())["meta"]["rows"]
    assert f"resuming at row {rows};" in resumed.log
    assert f"{answers}: cannot be read" in resumed.log
    assert int(answers.read_bytes()) == max(int(path.name) for path in answers.parent.glob("[0-9]*"))


def test_without_a_whole_checkpoint_all_is_learned_again_from_the_ledger(
    tmp_path: Path, killed: Path, mail: list[str], untouched: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(killed, folder)
    for checkpoint in checkpoints(folder):
        truncated(checkpoint / "manifest.json")
    # What is learned never hangs on this pointer, but who reads it should hear that it is damaged.
    pointer = folder / "checkpoints" / "LATEST"
    flipped(pointer)
    with learnd("train", [*runs.common(folder), *mail], "--until-end", log_file=tmp_path / "log") as resumed:
        assert resumed.end().split()[-1] == untouched
    assert "resuming at row 0;" in resumed.log
    assert f"{pointer}: names no checkpoint" in resumed.log
    assert pointer.read_text() == f"{checkpoints(folder)[0].name}\n"


def test_a_checkpoint_of_another_version_is_refused_with_the_remedy(tmp_path: Path, killed: Path, mail: list[str]) -> None:
    folder = tmp_path / "data"
    shutil.copytree(killed, folder)
    kept = Checkpoints(folder / "checkpoints", keep=100)
    newest = kept.load_newest()
    assert newest is not None
    del newest.state["learner"]["model"]["mixer"]
    kept.save(step=newest.step, state=newest.state, meta=newest.meta)
    with learnd("train", [*runs.common(folder), *mail], "--until-end", log_file=tmp_path / "log") as resumed:
        assert resumed.process.wait(120) == 2
    told = resumed.log.strip().splitlines()[-1]
    assert f"checkpoint {int(newest.name) + 1:012d} holds the state of another version of learnd (KeyError: 'mixer')" in told
    assert "or start with a fresh storage.folder" in told
    assert "Traceback" not in resumed.log


def test_torn_hold_publishes_and_drops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Which snapshot an operator held cannot be told any more, so none of them may go."""
    snapshots = Snapshots(tmp_path, keep=1)
    for step in range(3):
        (tmp_path / "HOLD").write_bytes(b"\xb3\n")
        snapshots.publish(weights={"w": np.zeros(2)}, companions={}, manifest={"step": step})
    assert snapshots.versions() == [1, 2, 3]
    assert snapshots.latest() == 3
    assert caplog.text.count("no old snapshot is dropped") == 3
    assert f"{tmp_path / 'HOLD'}: cannot be read" in caplog.text
    (tmp_path / "HOLD").unlink()
    snapshots.publish(weights={"w": np.zeros(2)}, companions={}, manifest={"step": 3})
    assert snapshots.versions() == [4]

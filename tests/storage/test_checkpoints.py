from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.errors import CheckpointError, StateError, WriterError
from daemon.state import State
from daemon.storage import checkpoints
from daemon.storage.checkpoints import Checkpoint, Checkpoints
from daemon.storage.folder import Writer
from daemon.storage.tensors import digest
from tests.storage.conftest import Calls
from tests.storage.disk import small_disk
from tests.storage.processes import run, run_killed


def state_at(step: int) -> State:
    return {
        "model": {"weights": np.full((4, 5), step, np.float32), "classes": ["ham", "spam"]},
        "replay": {"rows": np.arange(step), "generator": np.random.default_rng(step).bit_generator.state},
        "metrics": {"errors": step},
    }


def meta_at(step: int) -> dict[str, Any]:
    return {"positions": {"0": 10 * step}, "ledger": {"position": step, "chain": "ab"}}


def save(folder: Path, *steps: int, keep: int = 3) -> Checkpoints:
    saved = Checkpoints(folder, keep=keep)
    for step in steps:
        saved.save(step=step, state=state_at(step), meta=meta_at(step))
    return saved


def newest(folder: Path) -> Checkpoint:
    checkpoint = Checkpoints(folder).load_newest()
    assert checkpoint is not None
    assert digest(checkpoint.state) == digest(state_at(checkpoint.step))
    assert checkpoint.meta == meta_at(checkpoint.step)
    return checkpoint


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_none_before_the_first(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "checkpoints").load_newest() is None
    assert list(tmp_path.iterdir()) == []


def test_the_newest_comes_back_whole(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    assert newest(tmp_path).step == 2
    assert newest(tmp_path).name == "000000000002"
    assert (tmp_path / "LATEST").read_text() == "000000000002\n"
    assert names(tmp_path / "000000000002") == [
        "manifest.json",
        "metrics.json",
        "model.json",
        "model.safetensors",
        "replay.json",
        "replay.safetensors",
    ]


def test_each_step_is_on_the_disk_before_the_next(tmp_path: Path, calls: Calls) -> None:
    save(tmp_path, 1)
    temporary, final = tmp_path / ".tmp-000000000001", tmp_path / "000000000001"
    files = ["metrics.json", "model.safetensors", "model.json", "replay.safetensors", "replay.json", "manifest.json"]
    assert calls[:-3] == [
        *(("fsync", temporary / file) for file in files),
        ("fsync", temporary),
        ("rename", final),
        ("fsync", tmp_path),
    ]
    assert calls[-2:] == [("rename", tmp_path / "LATEST"), ("fsync", tmp_path)]


def test_the_newest_three_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4, 5)
    assert names(tmp_path) == ["000000000003", "000000000004", "000000000005", "LATEST"]
    # Saved twice at one step: after a start at which nothing new came.
    save(tmp_path, 5)
    assert names(tmp_path) == ["000000000004", "000000000005", "000000000006", "LATEST"]


def test_every_damage_to_every_file_is_named_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 1, 2)
    for path in sorted((tmp_path / "000000000002").iterdir()):
        good = path.read_bytes()
        flips = [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(0, len(good), 3)]
        for bad in (*flips, good[:-1], good[: len(good) // 2], b"", good + b" ", None):
            caplog.clear()
            path.unlink() if bad is None else path.write_bytes(bad)
            assert newest(tmp_path).step == 1
            assert [record.levelname for record in caplog.records] == ["WARNING"]
            assert "000000000002 is torn and passed over" in caplog.text
            assert path.name in caplog.text
        path.write_bytes(good)
    assert newest(tmp_path).step == 2


def test_a_torn_one_stays_until_a_newer_good_one_stands(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3)
    for number in (2, 3):
        (tmp_path / f"00000000000{number}" / "model.json").write_bytes(b"{")
    assert newest(tmp_path).step == 1
    assert names(tmp_path) == ["000000000001", "000000000002", "000000000003", "LATEST"]
    save(tmp_path, 4)
    assert names(tmp_path) == ["000000000001", "000000000004", "LATEST"]
    assert newest(tmp_path).step == 4


def test_none_where_all_are_torn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved = save(tmp_path, 1, 2)
    for number in (1, 2):
        (tmp_path / f"00000000000{number}" / "manifest.json").unlink()
    assert saved.load_newest() is None
    assert len(caplog.records) == 2
    saved.save(step=3, state=state_at(3), meta=meta_at(3))
    assert newest(tmp_path).name == "000000000003"


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)
    with monkeypatch.context() as later_build:
        later_build.setattr(checkpoints, "FORMAT", 9)
        save(tmp_path, 2)
    with pytest.raises(CheckpointError, match="format 9, this build reads 1; use the build that wrote it"):
        Checkpoints(tmp_path).load_newest()


@pytest.mark.parametrize(
    ("state", "meta", "text"),
    [
        ({"model": {"a": object()}}, {}, "a: object is neither"),
        ({"model": 3}, {}, "int is not a state"),
        ({"../model": {}}, {}, "component '../model'"),
        ({"manifest": {}}, {}, "component 'manifest'"),
        ({"model": {}}, {"loss": float("nan")}, "meta/loss: nan is not JSON"),
    ],
)
def test_what_cannot_be_stored_leaves_no_trace(tmp_path: Path, state: Any, meta: Any, text: str) -> None:
    save(tmp_path, 1)
    with pytest.raises(StateError, match=text):
        Checkpoints(tmp_path).save(step=2, state=state, meta=meta)
    assert names(tmp_path) == ["000000000001", "LATEST"]


SAVE = """
    import sys
    from pathlib import Path
    from daemon.storage.checkpoints import Checkpoints
    from tests.storage.test_checkpoints import meta_at, state_at
    for step in map(int, sys.argv[2:]):
        Checkpoints(Path(sys.argv[1])).save(step=step, state=state_at(step), meta=meta_at(step))
"""


@pytest.mark.parametrize(
    ("failpoint", "step"),
    [
        ("checkpoint.before", 1),
        ("checkpoint.files", 1),
        ("checkpoint.manifest", 1),
        ("checkpoint.renamed", 2),
        ("checkpoint.pointer", 2),
    ],
)
def test_killed_at_a_fail_point(tmp_path: Path, failpoint: str, step: int, caplog: pytest.LogCaptureFixture) -> None:
    run_killed(SAVE, tmp_path, 1, 2, failpoint=f"{failpoint}:2")
    assert newest(tmp_path).step == step
    assert not caplog.records
    save(tmp_path, 3)
    assert newest(tmp_path).step == 3
    expected = ["000000000001", "000000000002", *(["000000000003"] if step == 2 else []), "LATEST"]
    assert names(tmp_path) == expected


def test_the_bytes_on_disk_do_not_depend_on_the_process(tmp_path: Path) -> None:
    save(tmp_path / "here", 7)
    assert run(SAVE, tmp_path / "there", 7).returncode == 0
    for path in (tmp_path / "here" / "000000000001").iterdir():
        assert path.read_bytes() == (tmp_path / "there" / "000000000001" / path.name).read_bytes()


def test_a_crash_while_an_old_one_is_removed_leaves_no_torn_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "000000000001", tmp_path / ".tmp-000000000000")
    (tmp_path / ".tmp-000000000000" / "manifest.json").unlink()
    assert newest(tmp_path).step == 1
    assert not caplog.records
    save(tmp_path, 2)
    assert names(tmp_path) == ["000000000001", "000000000002", "LATEST"]


def test_a_zombie_makes_nothing_visible(tmp_path: Path) -> None:
    zombie = Writer(tmp_path)
    saved = Checkpoints(tmp_path / "checkpoints", check=zombie.check)
    saved.save(step=1, state=state_at(1), meta=meta_at(1))
    (tmp_path / "writer.lock").unlink()
    successor = Writer(tmp_path)
    with pytest.raises(WriterError, match="another writer took the folder over"):
        saved.save(step=2, state=state_at(2), meta=meta_at(2))
    assert names(tmp_path / "checkpoints") == ["000000000001", "LATEST"]
    zombie.close()
    successor.close()


def test_taken_over_while_writing_makes_nothing_visible(tmp_path: Path) -> None:
    calls = iter([None, WriterError("taken over")])

    def check() -> None:
        if error := next(calls):
            raise error

    with pytest.raises(WriterError, match="taken over"):
        Checkpoints(tmp_path, check=check).save(step=1, state=state_at(1), meta=meta_at(1))
    assert names(tmp_path) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", size="1m") as folder:
        yield folder


def test_a_full_disk_costs_that_checkpoint_only(disk: Path) -> None:
    folder = disk / "checkpoints"
    saved = save(folder, 1)
    large = {"model": {"weights": np.zeros(2 << 20, np.uint8)}}
    with pytest.raises(CheckpointError, match=r"checkpoint of step 2 failed .* free space or raise the quota"):
        saved.save(step=2, state=large, meta={})
    assert names(folder) == ["000000000001", "LATEST"]
    assert newest(folder).step == 1
    saved.save(step=3, state=state_at(3), meta=meta_at(3))
    assert newest(folder).step == 3

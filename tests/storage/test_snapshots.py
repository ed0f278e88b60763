from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.errors import SnapshotError, StateError, WriterError
from daemon.state import JSON, State
from daemon.storage import snapshot as snapshot_module
from daemon.storage import snapshots as snapshots_module
from daemon.storage.folder import Writer
from daemon.storage.snapshot import SnapshotInfo
from daemon.storage.snapshots import Snapshots
from daemon.storage.tensors import digest
from tests.storage.conftest import Calls
from tests.storage.disk import small_disk
from tests.storage.processes import run_killed


def weights_at(step: int) -> State:
    return {"head": {"w": np.full((3, 4), step, np.float32)}, "labels": ["ham", "spam"]}


def publish(
    folder: Path, *steps: int, keep: int = 3, companions: Mapping[str, Path | JSON] | None = None
) -> list[SnapshotInfo]:
    snapshots = Snapshots(folder, keep=keep)
    return [
        snapshots.publish(weights=weights_at(step), companions=companions or {}, manifest={"step": step, "rows": 64 * step})
        for step in steps
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_readable(folder: Path, version: int, *, step: int) -> None:
    opened = Snapshots(folder).open(version)
    assert digest(opened.read_weights()) == digest(weights_at(step))
    assert (opened.version, opened.manifest["step"]) == (version, step)


def test_nothing_before_the_first(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    assert (snapshots.latest(), snapshots.current(), snapshots.versions(), snapshots.list()) == (None, None, [], [])
    assert snapshots.pinned() == set()
    snapshots.release()
    snapshots.unpin(1)
    with pytest.raises(SnapshotError, match="snapshot 1 is not there"):
        snapshots.open(1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_published_can_be_read(tmp_path: Path) -> None:
    one, two = publish(tmp_path, 7, 8)
    snapshots = Snapshots(tmp_path)
    assert (one.version, two.version, snapshots.latest(), snapshots.current()) == (1, 2, 2, 2)
    assert snapshots.versions() == [1, 2]
    assert snapshots.list() == [one, two]
    opened = snapshots.open(2)
    assert (opened.version, opened.digest, opened.path, opened.manifest) == (2, two.digest, tmp_path / "2", two.manifest)
    assert digest(opened.read_weights()) == digest(weights_at(8))
    assert names(tmp_path / "2") == ["snapshot.json", "weights.json", "weights.safetensors"]
    written = json.loads((tmp_path / "2" / "snapshot.json").read_text())
    assert (written["version"], written["step"], written["rows"], written["digest"]) == (2, 8, 512, two.digest)


def test_each_step_is_on_the_disk_before_the_next(tmp_path: Path, calls: Calls) -> None:
    snapshots = tmp_path / "snapshots"
    (tmp_path / "encoder").write_bytes(b"frozen")
    publish(snapshots, 1, companions={"encoder/model.bin": tmp_path / "encoder", "config.json": {}})
    temporary = snapshots / ".tmp-1"
    files = ["weights.safetensors", "weights.json", "config.json", "encoder/model.bin", "snapshot.json"]
    assert calls[:-3] == [
        ("fsync", tmp_path),
        *(("fsync", temporary / file) for file in files),
        ("fsync", temporary),
        ("fsync", temporary / "encoder"),
        ("rename", snapshots / "1"),
        ("fsync", snapshots),
    ]
    assert calls[-2:] == [("rename", snapshots / "LATEST"), ("fsync", snapshots)]


def test_the_digest_is_of_files_and_manifest(tmp_path: Path) -> None:
    def published(name: str, step: int, companion: JSON, manifest: dict[str, JSON]) -> str:
        return (
            Snapshots(tmp_path / name)
            .publish(weights=weights_at(step), companions={"c.json": companion}, manifest=manifest)
            .digest
        )

    first = published("a", 1, 1, {"step": 1, "rows": 2})
    assert published("b", 1, 1, {"rows": 2, "step": 1}) == first
    # The version is not part of it: a snapshot that is rebuilt is the same one.
    assert published("a", 1, 1, {"step": 1, "rows": 2}) == first
    others = [published("c", 2, 1, {"step": 1, "rows": 2}), published("d", 1, 2, {"step": 1, "rows": 2})]
    others.append(published("e", 1, 1, {"step": 1, "rows": 3}))
    assert len({first, *others}) == 4


def test_plain_transformers_can_load_it(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = BertForSequenceClassification(config)
    info = Snapshots(tmp_path).publish(
        weights=model.state_dict(),
        weights_name="model",
        companions={"config.json": json.loads(config.to_json_string(use_diff=False))},
        manifest={},
    )
    loaded = AutoModelForSequenceClassification.from_pretrained(info.path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_an_unchanged_companion_is_one_file_in_all(tmp_path: Path) -> None:
    (tmp_path / "encoder").write_bytes(b"frozen" * 1000)
    # A fresh object each time, as after a restart.
    for step in (1, 2, 3):
        publish(tmp_path / "snapshots", step, companions={"encoder/model.bin": tmp_path / "encoder"})
    copies = [tmp_path / "snapshots" / str(version) / "encoder" / "model.bin" for version in (1, 2, 3)]
    assert {path.stat().st_ino for path in copies} == {copies[0].stat().st_ino}
    assert copies[0].stat().st_nlink == 3
    assert (tmp_path / "encoder").stat().st_nlink == 1


def test_old_ones_go_by_count(tmp_path: Path) -> None:
    publish(tmp_path, *range(1, 8))
    assert Snapshots(tmp_path).versions() == [5, 6, 7]
    assert names(tmp_path) == ["5", "6", "7", "LATEST"]


def test_pinned_ones_stay(tmp_path: Path) -> None:
    publish(tmp_path, 1, 2, 3)
    operator = Snapshots(tmp_path)
    operator.pin(2)
    publish(tmp_path, 4, 5, 6)
    assert operator.versions() == [2, 4, 5, 6]
    assert operator.pinned() == {2}
    assert_readable(tmp_path, 2, step=2)
    operator.unpin(2)
    publish(tmp_path, 7)
    assert operator.versions() == [5, 6, 7]
    with pytest.raises(SnapshotError, match="there is no snapshot 2; there are 5, 6, 7"):
        operator.pin(2)
    assert operator.pinned() == set()


def test_a_hold_is_served_while_publishing_goes_on(tmp_path: Path) -> None:
    publish(tmp_path, 1, 2, 3)
    operator, server = Snapshots(tmp_path), Snapshots(tmp_path)
    operator.hold(2)
    assert (server.current(), server.latest(), operator.pinned()) == (2, 3, set())
    publish(tmp_path, 4, 5, 6, 7)
    assert (server.current(), server.latest(), server.versions()) == (2, 7, [2, 5, 6, 7])
    assert_readable(tmp_path, 2, step=2)
    operator.pin(6)
    operator.hold(6)
    assert (server.current(), operator.pinned()) == (6, {6})
    with pytest.raises(SnapshotError, match="there is no snapshot 99"):
        operator.hold(99)
    assert server.current() == 6
    operator.release()
    assert server.current() == 7
    publish(tmp_path, 8)
    assert server.versions() == [6, 7, 8]


def test_pinned_just_before_it_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer has looked for pins and takes the snapshot away; the operator pins it in between."""
    publish(tmp_path, 1, 2, 3)
    trainer, looks = Snapshots(tmp_path, keep=1), iter([set(), {1}, set()])
    monkeypatch.setattr(trainer, "pinned", lambda: next(looks))
    trainer._drop_old()
    assert trainer.versions() == [1, 3]
    assert_readable(tmp_path, 1, step=1)


PUBLISH = """
    import sys
    from pathlib import Path
    from tests.storage.test_snapshots import publish
    publish(Path(sys.argv[1]), *map(int, sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("failpoint", "on_disk", "served", "following"),
    [
        ("publish.before", [1, 2], 2, 3),
        ("publish.files", [1, 2], 2, 3),
        ("publish.renamed", [1, 2, 3], 2, 4),
        ("publish.pointer", [1, 2, 3], 3, 4),
    ],
)
def test_killed_at_a_fail_point(tmp_path: Path, failpoint: str, on_disk: list[int], served: int, following: int) -> None:
    run_killed(PUBLISH, tmp_path, 1, 2, 3, failpoint=f"{failpoint}:3")
    snapshots = Snapshots(tmp_path)
    assert (snapshots.versions(), snapshots.current()) == (on_disk, served)
    assert_readable(tmp_path, served, step=served)
    (info,) = publish(tmp_path, 9, keep=9)
    # Never a number that somebody may have seen.
    assert info.version == following
    assert snapshots.current() == following
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


def test_the_number_of_a_lost_snapshot_is_not_used_again(tmp_path: Path) -> None:
    publish(tmp_path, 1, 2)
    shutil.rmtree(tmp_path / "2")
    (info,) = publish(tmp_path, 3)
    assert info.version == 3


def test_every_damage_is_found(tmp_path: Path) -> None:
    publish(tmp_path, 1, companions={"encoder.json": {"a": 1}})
    for path in sorted((tmp_path / "1").iterdir()):
        good = path.read_bytes()
        flips = [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(0, len(good), 5)]
        for bad in (*flips, good[:-1], b"", None):
            path.unlink() if bad is None else path.write_bytes(bad)
            with pytest.raises(SnapshotError, match=path.name):
                Snapshots(tmp_path).open(1)
        path.write_bytes(good)
    assert_readable(tmp_path, 1, step=1)


def test_damage_after_it_was_opened_is_found(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    opened = Snapshots(tmp_path).open(1)
    (tmp_path / "1" / "weights.json").write_text("{}")
    with pytest.raises(SnapshotError, match=r"weights.json: SHA-256"):
        opened.read_weights()


def test_one_damaged_snapshot_does_not_hide_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    publish(tmp_path, 1, 2)
    (tmp_path / "2" / "snapshot.json").write_text("{")
    assert [info.version for info in Snapshots(tmp_path).list()] == [1]
    assert "snapshot 2 is damaged" in caplog.text
    (info,) = publish(tmp_path, 3, companions={"c.json": 1})
    assert info.version == 3


def test_another_format_or_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, 1)
    (tmp_path / "1").rename(tmp_path / "4")
    with pytest.raises(SnapshotError, match="holds version 1; give the folder its name back"):
        Snapshots(tmp_path).open(4)
    with monkeypatch.context() as later_build:
        later_build.setattr(snapshot_module, "FORMAT", 9)
        later_build.setattr(snapshots_module, "FORMAT", 9)
        publish(tmp_path, 5)
    with pytest.raises(SnapshotError, match="format 9, this build reads 1; use the build that wrote it"):
        Snapshots(tmp_path).open(5)


def test_a_pointer_that_is_no_number_is_named(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    (tmp_path / "HOLD").write_text("one")
    with pytest.raises(SnapshotError, match="HOLD: cannot be read"):
        Snapshots(tmp_path).current()
    assert Snapshots(tmp_path).latest() == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"weights": {"a": object()}}, "a: object is neither"),
        ({"manifest": {"loss": float("inf")}}, "manifest/loss: inf is not JSON"),
        ({"manifest": {"version": 3}}, "'version' belongs to the snapshot itself"),
        ({"companions": {"snapshot.json": {}}}, r"'snapshot.json' belongs to the snapshot itself"),
        ({"companions": {"weights.safetensors": {}}}, r"'weights.safetensors' belongs to the snapshot itself"),
        ({"weights_name": "../w"}, "is not a plain file name"),
    ],
)
def test_what_cannot_be_published_leaves_no_trace(tmp_path: Path, arguments: dict[str, Any], text: str) -> None:
    publish(tmp_path, 1)
    with pytest.raises(StateError, match=text):
        Snapshots(tmp_path).publish(**{"weights": {}, "companions": {}, "manifest": {}, **arguments})
    assert names(tmp_path) == ["1", "LATEST"]


def test_a_companion_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"publishing failed .*missing\.bin"):
        publish(tmp_path, 1, companions={"encoder": tmp_path / "missing.bin"})
    assert names(tmp_path) == []


def test_a_zombie_publishes_nothing(tmp_path: Path) -> None:
    zombie = Writer(tmp_path)
    snapshots = Snapshots(tmp_path / "snapshots", check=zombie.check)
    snapshots.publish(weights=weights_at(1), companions={}, manifest={})
    (tmp_path / "writer.lock").unlink()
    successor = Writer(tmp_path)
    with pytest.raises(WriterError, match="another writer took the folder over"):
        snapshots.publish(weights=weights_at(2), companions={}, manifest={})
    assert names(tmp_path / "snapshots") == ["1", "LATEST"]
    zombie.close()
    successor.close()


@pytest.mark.parametrize("num_good", [1, 2])
def test_taken_over_while_publishing_moves_no_pointer(tmp_path: Path, num_good: int) -> None:
    publish(tmp_path, 1)
    calls = iter([None] * num_good + [WriterError("taken over")])

    def check() -> None:
        if error := next(calls):
            raise error

    with pytest.raises(WriterError, match="taken over"):
        Snapshots(tmp_path, check=check).publish(weights=weights_at(2), companions={}, manifest={})
    assert Snapshots(tmp_path).current() == 1


def test_readers_go_on_while_versions_are_dropped(tmp_path: Path) -> None:
    """Each reader sees whole snapshots in ascending order, or is told to ask again."""
    publish(tmp_path, 1, keep=1)
    done, failures, seen = threading.Event(), [], set()

    def read() -> None:
        snapshots, last = Snapshots(tmp_path), 0
        try:
            while not done.is_set():
                version = snapshots.current()
                assert version is not None
                assert version >= last
                last = version
                try:
                    opened = snapshots.open(version)
                    assert digest(opened.read_weights()) == digest(weights_at(opened.manifest["step"]))
                except SnapshotError:
                    continue
                seen.add(version)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    publish(tmp_path, *range(2, 60), keep=1)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(seen) > 1
    assert Snapshots(tmp_path).versions() == [59]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", size="1m") as folder:
        yield folder


def test_a_full_disk_costs_that_snapshot_only(disk: Path) -> None:
    snapshots = Snapshots(disk / "snapshots")
    snapshots.publish(weights=weights_at(1), companions={}, manifest={"step": 1})
    with pytest.raises(SnapshotError, match=r"publishing failed .* free space or raise the quota"):
        snapshots.publish(weights={"w": np.zeros(2 << 20, np.uint8)}, companions={}, manifest={"step": 2})
    assert names(disk / "snapshots") == ["1", "LATEST"]
    assert snapshots.current() == 1
    assert snapshots.publish(weights=weights_at(3), companions={}, manifest={"step": 3}).version == 2
    assert_readable(disk / "snapshots", 2, step=3)

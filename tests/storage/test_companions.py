from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.errors import SnapshotError, StateError
from daemon.state import JSON
from daemon.storage.companions import place_companions
from daemon.storage.hashes import FileHashes
from daemon.storage.snapshots import Snapshots


def place(folder: Path, companions: Mapping[str, Path | JSON], previous: Path, files: Mapping[str, str]) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return place_companions(folder, companions, previous=previous, previous_files=files, hashes=FileHashes())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "encoder.bin").write_bytes(b"frozen")
    return tmp_path / "encoder.bin"


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_unchanged_files_are_linked_and_changed_ones_are_not(tmp_path: Path, source: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    companions: dict[str, Path | JSON] = {"encoder/model.bin": source, "config.json": {"b": 1, "a": 2}, "labels.json": [1]}
    files = place(one, companions, tmp_path, {})
    assert sorted(files) == ["config.json", "encoder/model.bin", "labels.json"]
    assert (one / "config.json").read_text() == '{"a":2,"b":1}\n'
    assert inode(one / "encoder" / "model.bin") != inode(source)
    assert place(two, {**companions, "labels.json": [2]}, one, files) != files
    assert {name: inode(one / name) == inode(two / name) for name in files} == {
        "encoder/model.bin": True,
        "config.json": True,
        "labels.json": False,
    }


def test_an_edited_source_does_not_change_what_was_published(tmp_path: Path, source: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    files = place(one, {"model.bin": source}, tmp_path, {})
    source.write_bytes(b"thawed")
    place(two, {"model.bin": source}, one, files)
    assert (one / "model.bin").read_bytes() == b"frozen"
    assert (two / "model.bin").read_bytes() == b"thawed"


def test_damage_is_not_linked_on(tmp_path: Path, source: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    files = place(one, {"model.bin": source}, tmp_path, {})
    (one / "model.bin").write_bytes(b"frozem")
    assert place(two, {"model.bin": source}, one, files) == files
    assert (two / "model.bin").read_bytes() == b"frozen"


def test_copied_where_links_cannot_be_made(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    files = place(one, {"model.bin": source}, tmp_path, {})

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert place(two, {"model.bin": source}, one, files) == files
    assert inode(one / "model.bin") != inode(two / "model.bin")
    assert (two / "model.bin").read_bytes() == b"frozen"


def test_a_source_that_changes_while_it_is_copied_is_refused(tmp_path: Path, source: Path) -> None:
    hashes = FileHashes()
    os.utime(source, ns=(1, 1))
    hashes.sha256(source)
    source.write_bytes(b"thawed")
    os.utime(source, ns=(1, 1))
    (tmp_path / "one").mkdir()
    with pytest.raises(SnapshotError, match=r"encoder.bin: changed while it was copied"):
        place_companions(tmp_path / "one", {"m": source}, previous=tmp_path, previous_files={}, hashes=hashes)


def test_a_source_that_grows_while_it_is_copied_is_refused(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(_: int) -> None:
        source.write_bytes(b"frozen, and more")

    (tmp_path / "one").mkdir()
    monkeypatch.setattr(os, "fsync", grow)
    with pytest.raises(SnapshotError, match=r"encoder.bin: changed while it was copied"):
        place(tmp_path / "one", {"m": source}, tmp_path, {})


def test_bytes_that_change_unseen_since_they_were_expected_are_not_published(tmp_path: Path, source: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    snapshots.expect({"m": source, "labels.json": ["a"], "n": tmp_path / "away"})
    status = source.stat()
    source.write_bytes(b"thawed")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))  # as who writes through a mapping may leave it
    with pytest.raises(SnapshotError, match=r"encoder.bin: changed while it was copied"):
        snapshots.publish(weights={}, companions={"m": source}, manifest={})


def test_a_copy_is_not_read_again_to_be_hashed(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, (one, two) = FileHashes(), (tmp_path / "one", tmp_path / "two")
    one.mkdir()
    two.mkdir()
    files = place_companions(one, {"m": source}, previous=tmp_path, previous_files={}, hashes=hashes)
    assert files == {"m": hashlib.sha256(b"frozen").hexdigest()}
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert place_companions(two, {"m": source}, previous=one, previous_files=files, hashes=hashes) == files
    assert inode(one / "m") == inode(two / "m")


@pytest.mark.parametrize("name", ["/etc/passwd", "../weights", "a/../../b", "a//b", "./a", "."])
def test_names_outside_the_snapshot_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StateError, match="must be a plain relative path"):
        place(tmp_path / "one", {name: {}}, tmp_path, {})

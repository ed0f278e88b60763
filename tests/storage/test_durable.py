from __future__ import annotations

from pathlib import Path

import pytest

from daemon.storage import durable
from tests.storage.conftest import Calls


def test_a_replaced_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    durable.replace_file(tmp_path / "LATEST", b"1")
    durable.replace_file(tmp_path / "LATEST", b"22")
    assert [path.name for path in tmp_path.iterdir()] == ["LATEST"]
    assert (tmp_path / "LATEST").read_bytes() == b"22"


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "LATEST").mkdir()
    (tmp_path / "LATEST" / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        durable.replace_file(tmp_path / "LATEST", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["LATEST"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "one"
    with pytest.raises(IsADirectoryError), durable.temporary_folder(final) as folder:
        folder.write_bytes(b"")
    assert list(tmp_path.iterdir()) == []
    with durable.temporary_folder(final) as folder:
        (folder / "below").mkdir()
        durable.write_file(folder / "below" / "file", b"x" * 100_000)
        assert not final.exists()
        durable.publish_folder(folder, final)
    assert (final / "below" / "file").read_bytes() == b"x" * 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_published_folder_is_never_overwritten(tmp_path: Path) -> None:
    final = tmp_path / "one"
    final.mkdir()
    (final / "file").write_text("first")
    with pytest.raises(OSError, match="not empty"), durable.temporary_folder(final) as folder:
        durable.publish_folder(folder, final)
    assert (final / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_sweep_takes_temporary_folders_only(tmp_path: Path) -> None:
    for name in (".tmp-one", "two"):
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / ".tmp-HOLD-1").touch()
    durable.sweep(tmp_path)
    durable.sweep(tmp_path / "missing")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-HOLD-1", "two"]


def test_a_removed_folder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "one" / "below").mkdir(parents=True)
    durable.remove_folder(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_on_the_disk_with_all_above_it(tmp_path: Path, calls: Calls) -> None:
    durable.make_folder(tmp_path / "one" / "two")
    durable.make_folder(tmp_path / "one" / "two")
    assert calls == [("fsync", tmp_path), ("fsync", tmp_path / "one")]
    assert (tmp_path / "one" / "two").is_dir()

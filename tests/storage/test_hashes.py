from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from daemon.storage import hashes
from daemon.storage.hashes import FileHashes


def test_a_link_is_not_read_again_and_a_change_is(tmp_path: Path) -> None:
    known = FileHashes()
    (tmp_path / "one").write_bytes(b"one")
    os.utime(tmp_path / "one", ns=(1, 1))
    first = known.sha256(tmp_path / "one")
    assert first == hashlib.sha256(b"one").hexdigest()
    os.link(tmp_path / "one", tmp_path / "two")
    # Same inode, size and time: what a reader that looked would find is not what is remembered.
    (tmp_path / "one").write_bytes(b"ONE")
    os.utime(tmp_path / "one", ns=(1, 1))
    assert known.sha256(tmp_path / "two") == first
    os.utime(tmp_path / "one", ns=(2, 2))
    assert known.sha256(tmp_path / "two") == hashlib.sha256(b"ONE").hexdigest()


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_MAX_FILES", 3)
    known = FileHashes()
    for number in range(10):
        (tmp_path / str(number)).write_text(str(number))
        assert known.sha256(tmp_path / str(number)) == hashlib.sha256(str(number).encode()).hexdigest()
    assert len(known._known) == 3

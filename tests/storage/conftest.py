from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import pytest

Calls: TypeAlias = list[tuple[str, Path]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Every fsync (of which path) and rename (to which path) from here on, in order."""
    made: Calls = []
    fsync, rename = os.fsync, Path.rename

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        made.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink()))

    def recorded_rename(self: Path, target: Path) -> Path:
        renamed = rename(self, target)
        made.append(("rename", target))
        return renamed

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "rename", recorded_rename)
    return made

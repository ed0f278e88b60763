"""The files beside the weights of a snapshot, linked from the snapshot before where their bytes are the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from daemon.errors import SnapshotError, StateError
from daemon.state import JSON
from daemon.storage.canonical import canonical, checked
from daemon.storage.durable import is_out_of_space, write_file
from daemon.storage.hashes import FileHashes


def place_companions(
    folder: Path,
    companions: Mapping[str, Path | JSON],
    *,
    previous: Path,
    previous_files: Mapping[str, str],
    hashes: FileHashes,
) -> dict[str, str]:
    """Put every companion (relative name -> a file or a JSON document) into `folder`; returns name -> SHA-256.

    A file whose hash stands in `previous_files` is hard-linked from the folder `previous`. It is never linked from its source:
    whoever edits that in place would change snapshots that are published. Each is fsynced.
    """
    placed: dict[str, str] = {}
    for name in sorted(companions):
        companion, target = companions[name], folder / _relative(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        before = previous_files.get(name)
        if isinstance(companion, Path):
            if before is None or before != hashes.sha256(companion) or not _linked(previous / name, target, before, hashes):
                before = _copy(companion, target, hashes)
            placed[name] = before
            continue
        data = canonical(checked(companion, (name,))) + b"\n"
        wanted = hashlib.sha256(data).hexdigest()
        if before != wanted or not _linked(previous / name, target, wanted, hashes):
            write_file(target, data)
        placed[name] = wanted
    return placed


def _linked(source: Path, target: Path, wanted: str, hashes: FileHashes) -> bool:
    """Whether `target` is now a link to `source`; not where that is damaged or the file system has no such links."""
    try:
        if hashes.sha256(source) != wanted:
            return False
        os.link(source, target)
    except OSError as error:
        if is_out_of_space(error):
            raise
        return False
    return True


def _copy(source: Path, target: Path, hashes: FileHashes) -> str:
    if (digest := hashes.copy(source, target)) is None:
        raise SnapshotError(f"{source}: changed while it was copied; publish again when it is at rest")
    return digest


def _relative(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
        raise StateError(f"companion {name!r}: must be a plain relative path inside the snapshot")
    return path

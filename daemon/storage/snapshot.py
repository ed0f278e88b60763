"""One snapshot on disk, as readers in any process see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import SnapshotError, StateError
from daemon.state import State
from daemon.storage.canonical import unseal
from daemon.storage.tensors import read_state

FORMAT = 1
MANIFEST = "snapshot.json"


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a snapshot says of itself.

    `digest` hashes its files and what its publisher said about them. `manifest` is `snapshot.json`: what the publisher said and
    "version", "digest", "files" (name -> SHA-256), "weights" (their name) and "format".
    """

    version: int
    digest: str
    path: Path
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot(SnapshotInfo):
    """A snapshot whose files were all checked when it was opened."""

    def read_weights(self) -> State:
        """The weights, from bytes that are checked again as they are read.

        Raises `SnapshotError` where they are damaged or the snapshot was dropped meanwhile: then ask for the current one again.
        """
        try:
            return read_state(self.path, self.manifest["weights"], hashes=self.manifest["files"])
        except (OSError, StateError) as error:
            raise unreadable(self.path, error) from error


def read_info(path: Path) -> SnapshotInfo:
    """The snapshot in the folder `path`, its manifest checked and its other files not. Raises `SnapshotError`."""
    try:
        manifest = unseal((path / MANIFEST).read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise SnapshotError(f"{path / MANIFEST}: snapshot {path.name} is damaged ({error}); use another one") from error
    if manifest["format"] != FORMAT:
        raise SnapshotError(f"{path}: format {manifest['format']}, this build reads {FORMAT}; use the build that wrote it")
    if str(manifest["version"]) != path.name:
        raise SnapshotError(f"{path}: holds version {manifest['version']}; give the folder its name back")
    return SnapshotInfo(version=manifest["version"], digest=manifest["digest"], path=path, manifest=manifest)


def unreadable(path: Path, error: Exception) -> SnapshotError:
    """The error for a snapshot that is not there or is not as it was published."""
    if isinstance(error, FileNotFoundError):
        return SnapshotError(f"{path}: snapshot {path.name} is not there, or not whole ({error}); use the current one")
    return SnapshotError(f"{path}: snapshot {path.name} cannot be read ({error}); use another one")

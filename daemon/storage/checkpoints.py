"""Checkpoints: all that is needed to go on, each whole or not there at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.errors import CheckpointError, StateError
from daemon.failpoints import failpoint
from daemon.state import JSON, State
from daemon.storage import durable
from daemon.storage.canonical import checked, seal, unseal
from daemon.storage.tensors import read_state, write_state

logger = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it was saved: `state` maps a component to its state, `meta` is what stood beside it."""

    name: str
    step: int
    state: State
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints in `folder`, of which the `keep` newest that verify are kept.

    `check` is called before anything becomes visible and raises where another writer took over. One thread saves.

    A checkpoint is a folder `<number>` with one `.safetensors` and one `.json` file a component, where it has arrays and
    further values, and `manifest.json` with the SHA-256 of each. `LATEST` names the newest, for people and tools.
    """

    def __init__(self, folder: Path, *, keep: int = 3, check: Callable[[], None] = lambda: None) -> None:
        self._folder, self._keep, self._check = folder, keep, check
        self._verified: set[str] = set()

    def save(self, *, step: int, state: Mapping[str, State], meta: Mapping[str, JSON]) -> str:
        """Write a checkpoint and return its name; when it returns, a power cut cannot undo it.

        Raises `CheckpointError` where it cannot be written: the older ones are untouched, and the next call tries anew.
        """
        failpoint("checkpoint.before")
        self._check()
        try:
            durable.make_folder(self._folder)
            durable.sweep(self._folder)
            name = f"{max((int(path.name) for path in self._folders()), default=0) + 1:012d}"
            self._write(self._folder / name, step=step, state=state, meta=meta)
            failpoint("checkpoint.renamed")
            self._verified.add(name)
            self._check()
            durable.replace_file(self._folder / "LATEST", f"{name}\n".encode())
            failpoint("checkpoint.pointer")
        except OSError as error:
            raise CheckpointError(
                f"{self._folder}: checkpoint of step {step} failed ({error}); {durable.remedy(error)}"
            ) from error
        self._drop_old()
        return name

    def load_newest(self) -> Checkpoint | None:
        """The newest checkpoint that verifies, or None where none does: then the ledger tells how to learn it all again.

        A damaged one is named in a warning and passed over. Raises `CheckpointError` for another format.
        """
        self._check_pointer()
        for folder in reversed(self._folders()):
            try:
                loaded = self._read(folder)
            except (OSError, StateError) as error:
                logger.warning("checkpoint %s is torn and passed over: %s", folder, error)
                continue
            self._verified.add(folder.name)
            return loaded
        return None

    def _check_pointer(self) -> None:
        """Nothing here reads `LATEST`, but who does should hear that it is damaged; the next checkpoint writes it anew."""
        pointer = self._folder / "LATEST"
        try:
            named = pointer.read_bytes().decode("ascii", "replace").strip()
        except FileNotFoundError:
            return
        except OSError as error:
            named = str(error)
        if not any(folder.name == named for folder in self._folders()):
            logger.warning(
                "%s: names no checkpoint (%r) and is passed over; the next checkpoint writes it anew", pointer, named
            )

    def _write(self, final: Path, *, step: int, state: Mapping[str, State], meta: Mapping[str, JSON]) -> None:
        with durable.temporary_folder(final) as folder:
            files = {component: write_state(folder, _file_name(component), state[component]) for component in sorted(state)}
            failpoint("checkpoint.files")
            manifest = {"format": FORMAT, "step": step, "meta": checked(dict(meta), ("meta",)), "files": files}
            durable.write_file(folder / "manifest.json", seal(manifest))
            failpoint("checkpoint.manifest")
            self._check()
            durable.publish_folder(folder, final)

    def _read(self, folder: Path) -> Checkpoint:
        manifest = _read_manifest(folder / "manifest.json")
        state = {component: read_state(folder, component, hashes=hashes) for component, hashes in manifest["files"].items()}
        return Checkpoint(folder.name, manifest["step"], state, manifest["meta"])

    def _drop_old(self) -> None:
        """Keep the `keep` newest that verify; the damaged ones in between and everything older go."""
        kept = 0
        for folder in reversed(self._folders()):
            if kept < self._keep and self._verifies(folder):
                kept += 1
                continue
            try:
                durable.remove_folder(folder)
            except OSError as error:
                logger.warning("old checkpoint %s cannot be removed: %s", folder, error)

    def _verifies(self, folder: Path) -> bool:
        if folder.name not in self._verified:
            try:
                self._read(folder)
            except (OSError, StateError, CheckpointError):
                return False
            self._verified.add(folder.name)
        return True

    def _folders(self) -> list[Path]:
        """Oldest first."""
        return sorted(path for path in self._folder.glob("[0-9]*") if path.name.isdigit() and path.is_dir())


def _file_name(component: str) -> str:
    if not component.isidentifier() or component == "manifest":
        raise StateError(
            f'component {component!r}: must be an identifier other than "manifest", since files are named after it'
        )
    return component


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, byte for byte as written. Raises `StateError` where it is not, `CheckpointError` for another format."""
    try:
        manifest = unseal(path.read_bytes())
    except ValueError as error:
        raise StateError(f"{path}: {error}; the file is damaged") from error
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: format {manifest['format']}, this build reads {FORMAT}; use the build that wrote it, "
            "or move the folder away"
        )
    return manifest

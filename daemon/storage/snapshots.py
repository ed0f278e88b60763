"""Snapshots: all that is needed to answer, published whole under integer versions that are never used twice."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from daemon.errors import SnapshotError, StateError, WithheldError
from daemon.failpoints import failpoint
from daemon.state import JSON, State
from daemon.storage import durable
from daemon.storage.canonical import checked, seal, sha256_of
from daemon.storage.companions import place_companions
from daemon.storage.hashes import FileHashes
from daemon.storage.snapshot import FORMAT, MANIFEST, Snapshot, SnapshotInfo, read_info, unreadable
from daemon.storage.tensors import write_state

logger = logging.getLogger(__name__)

_RESERVED = ("digest", "files", "format", "version", "weights")


class Snapshots:
    """The snapshots in `folder`, one folder `<version>` each; the `keep` newest and those pinned or held are kept.

    `LATEST` names the newest; only the trainer writes it. `HOLD`, where there is one, names what is served instead, and `pins/`
    those that are never dropped; only operators write these two, so that neither side waits for the other.
    `check` is called before anything becomes visible and raises where another writer took over. Readers leave it out.
    """

    def __init__(self, folder: Path, *, keep: int = 5, check: Callable[[], None] = lambda: None) -> None:
        self._folder, self._keep, self._check = folder, keep, check
        self._hashes = FileHashes()

    def expect(self, companions: Mapping[str, Path | JSON]) -> None:
        """These files will be carried, as they are now: one whose bytes change unseen before it is copied is not published."""
        for companion in companions.values():
            if isinstance(companion, Path):
                with suppress(OSError):  # publishing says so
                    self._hashes.sha256(companion)

    def publish(
        self,
        *,
        weights: State,
        weights_name: str = "weights",
        companions: Mapping[str, Path | JSON],
        manifest: Mapping[str, JSON],
        stands: Callable[[], bool] = lambda: True,
    ) -> SnapshotInfo:
        """Write a snapshot and point to it; when it returns, readers see it and a power cut cannot undo it.

        `manifest` becomes part of `snapshot.json`. `stands` is asked once more when all is written and nothing is visible.
        Raises `WithheldError` where it says no, `SnapshotError` where it cannot be written: what was published before is
        untouched, and the next call tries anew.
        """
        failpoint("publish.before")
        self._check()
        with _as_snapshot_error(f"{self._folder}: publishing failed"):
            durable.make_folder(self._folder)
            durable.sweep(self._folder)
            version = self._next_version()
            info = self._write(version, weights, weights_name, companions, manifest, stands)
            failpoint("publish.renamed")
            self._check()
            self._point("LATEST", version)
            failpoint("publish.pointer")
        self._drop_old()
        return info

    def _next_version(self) -> int:
        try:
            latest = self.latest() or 0
        except SnapshotError as error:
            # What is damaged there is written anew with this very snapshot; to wait for a hand would leave the answers behind.
            logger.warning("%s, or let the next snapshot do so", error)
            latest = 0
        return max([*self.versions(), latest]) + 1

    def latest(self) -> int | None:
        """The version published last, None before the first."""
        return self._pointed("LATEST")

    def current(self) -> int | None:
        """The version to be served: the one held, else the latest. Takes microseconds."""
        held = self._pointed("HOLD")
        return self.latest() if held is None else held

    def versions(self) -> list[int]:
        """Those on disk, ascending."""
        return sorted(int(path.name) for path in self._folder.glob("[0-9]*") if path.name.isdigit())

    def list(self) -> list[SnapshotInfo]:
        """Those on disk, ascending, their files unchecked; one that cannot be read is named in a warning and left out."""
        infos = []
        for version in self.versions():
            try:
                infos.append(read_info(self._path(version)))
            except SnapshotError as error:
                logger.warning("%s", error)
        return infos

    def open(self, version: int) -> Snapshot:
        """A snapshot to answer from, every file of it checked (those that earlier ones link to only once).

        Raises `SnapshotError` where it is damaged or was dropped; then ask for `current` again.
        """
        info = read_info(self._path(version))
        for name, wanted in info.manifest["files"].items():
            try:
                found = self._hashes.sha256(info.path / name)
            except OSError as error:
                raise unreadable(info.path, error) from error
            if found != wanted:
                raise SnapshotError(f"{info.path / name}: SHA-256 is {found}, published was {wanted}; use another snapshot")
        return Snapshot(version=info.version, digest=info.digest, path=info.path, manifest=info.manifest)

    def pin(self, version: int) -> None:
        """Keep `version` until it is unpinned. Raises `SnapshotError` where it is not there."""
        with _as_snapshot_error(f"{self._folder}: snapshot {version} cannot be pinned"):
            if version in self.versions():
                durable.make_folder(self._pin(version).parent)
                durable.replace_file(self._pin(version), b"")
            # Looked at again after the pin stands: the trainer looks for pins after it took a snapshot away (`_drop`).
            if version not in self.versions():
                self.unpin(version)
                there = ", ".join(map(str, self.versions())) or "none"
                raise SnapshotError(f"{self._folder}: there is no snapshot {version}; there are {there}")

    def unpin(self, version: int) -> None:
        """Let `version` be dropped when its turn comes."""
        with _as_snapshot_error(f"{self._folder}: snapshot {version} cannot be unpinned"):
            self._pin(version).unlink(missing_ok=True)

    def pinned(self) -> set[int]:
        """The versions that are pinned."""
        return {int(path.name) for path in (self._folder / "pins").glob("[0-9]*") if path.name.isdigit()}

    def hold(self, version: int) -> None:
        """Roll back (or forward): serve `version` until `release`, whatever is published meanwhile. Learning is not touched."""
        was_pinned = version in self.pinned()
        self.pin(version)
        with _as_snapshot_error(f"{self._folder}: snapshot {version} cannot be held"):
            self._point("HOLD", version)
        if not was_pinned:
            self.unpin(version)

    def release(self) -> None:
        """Serve the latest again."""
        with _as_snapshot_error(f"{self._folder}: the hold cannot be released"):
            (self._folder / "HOLD").unlink(missing_ok=True)
            if self._folder.is_dir():
                durable.fsync_folder(self._folder)

    def _write(
        self,
        version: int,
        weights: State,
        weights_name: str,
        companions: Mapping[str, Path | JSON],
        manifest: Mapping[str, JSON],
        stands: Callable[[], bool],
    ) -> SnapshotInfo:
        """Write all files into a temporary folder and rename it."""
        final, said = self._path(version), {key: checked(value, ("manifest", key)) for key, value in manifest.items()}
        names = {MANIFEST, f"{weights_name}.safetensors", f"{weights_name}.json"}
        if taken := [*sorted(names & companions.keys()), *sorted(said.keys() & set(_RESERVED))]:
            raise StateError(f"snapshot: {', '.join(map(repr, taken))} belongs to the snapshot itself; choose another name")
        if PurePosixPath(weights_name).name != weights_name:
            raise StateError(f"snapshot: weights_name {weights_name!r} is not a plain file name")
        with durable.temporary_folder(final) as folder:
            files = write_state(folder, weights_name, weights) | self._companions(folder, companions)
            digest = sha256_of({"files": files, "manifest": said})
            document = {**said, "format": FORMAT, "version": version, "weights": weights_name, "files": files, "digest": digest}
            durable.write_file(folder / MANIFEST, seal(document))
            failpoint("publish.files")
            self._check()
            if not stands():
                raise WithheldError(f"snapshot {version} was withheld: an alarm came while it was written")
            durable.publish_folder(folder, final)
        return SnapshotInfo(version=version, digest=digest, path=final, manifest=document)

    def _companions(self, folder: Path, companions: Mapping[str, Path | JSON]) -> dict[str, str]:
        previous, files = self._folder, {}
        for version in self.versions()[-1:]:
            try:
                info = read_info(self._path(version))
                previous, files = info.path, info.manifest["files"]
            except SnapshotError as error:
                logger.warning("nothing is linked from the snapshot before: %s", error)
        return place_companions(folder, companions, previous=previous, previous_files=files, hashes=self._hashes)

    def _drop_old(self) -> None:
        try:
            versions, kept = self.versions(), self._kept()
        except SnapshotError as error:
            logger.warning("no old snapshot is dropped, since none may go that is held: %s", error)
            return
        for version in versions[: max(0, len(versions) - self._keep)]:
            if version not in kept:
                try:
                    self._drop(version)
                except OSError as error:
                    logger.warning("old snapshot %s cannot be dropped: %s", version, error)

    def _drop(self, version: int) -> None:
        path = self._path(version)
        doomed = path.with_name(f"{durable.TEMPORARY}{version}")
        path.rename(doomed)
        if version in self._kept():
            # Pinned or held between the look before and now.
            doomed.rename(path)
        else:
            shutil.rmtree(doomed)

    def _kept(self) -> set[int]:
        return self.pinned() | {version for version in (self.latest(), self.current()) if version is not None}

    def _path(self, version: int) -> Path:
        return self._folder / str(int(version))

    def _pin(self, version: int) -> Path:
        return self._folder / "pins" / str(int(version))

    def _point(self, name: str, version: int) -> None:
        durable.replace_file(self._folder / name, b"%d\n" % version)

    def _pointed(self, name: str) -> int | None:
        path = self._folder / name
        try:
            return int(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SnapshotError(f"{path}: cannot be read ({error}); write the number of a snapshot into it") from error


@contextmanager
def _as_snapshot_error(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SnapshotError(f"{what} ({error}); {durable.remedy(error)}") from error

"""`learnd snapshots`: list, show, pin and roll back what answers come from. Learning is never touched."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from daemon.commands.common import settings_without_source
from daemon.errors import ConfigError, SnapshotError
from daemon.storage.snapshots import Snapshots

# A pipe has no width of its own, and nothing may be folded for want of it.
PIPE_WIDTH = 120


def run(arguments: argparse.Namespace) -> int:
    storage = settings_without_source(arguments.config, arguments.overrides).storage
    if not storage.folder.is_dir():
        raise ConfigError(f"storage.folder: {storage.folder}: no such folder; name the one that the trainer writes")
    # As daemon.assembly.serving has it, but without torch, which pinning and holding do not wait for.
    snapshots = Snapshots(storage.folder / "snapshots", keep=storage.snapshots_kept)
    match arguments.action:
        case "list":
            _list(snapshots)
        case "show":
            _require(snapshots, arguments.version)
            manifest = snapshots.open(arguments.version).manifest
            # One time for each row learned: for measuring freshness, not for reading.
            shown = {name: value for name, value in manifest.items() if name != "arrivals"}
            sys.stdout.write(json.dumps(shown, indent=2) + "\n")
        case "pin":
            _require(snapshots, arguments.version)
            snapshots.pin(arguments.version)
            sys.stdout.write(f"snapshot {arguments.version} is kept until `learnd snapshots unpin {arguments.version}`\n")
        case "unpin":
            if arguments.version not in snapshots.pinned():
                pinned = ", ".join(map(str, sorted(snapshots.pinned()))) or "none"
                raise SnapshotError(f"snapshot {arguments.version} is not pinned; pinned are {pinned}")
            snapshots.unpin(arguments.version)
            sys.stdout.write(f"snapshot {arguments.version} is no longer pinned; it goes when its turn comes\n")
        case "rollback":
            _require(snapshots, arguments.version)
            snapshots.hold(arguments.version)
            sys.stdout.write(f"answers come from snapshot {arguments.version} until `learnd snapshots release`\n")
        case "release":
            snapshots.release()
            newest = snapshots.current()
            there = f"the newest snapshot, {newest}" if newest else "the newest snapshot, once there is one"
            sys.stdout.write(f"answers come from {there}\n")
    return 0


def _require(snapshots: Snapshots, version: int) -> None:
    """Raise `SnapshotError` that says which versions there are, where `version` is none of them."""
    versions = snapshots.versions()
    if version not in versions:
        there = ", ".join(map(str, versions)) or "none yet"
        raise SnapshotError(f"there is no snapshot {version}, or none any more; there are {there}")


def _list(snapshots: Snapshots) -> None:
    table = Table("version", "created", "step", "examples", "accuracy", "digest", "")
    current = snapshots.current()
    if not snapshots.versions():
        sys.stdout.write("there is no snapshot yet\n")
        return
    for info in snapshots.list():
        manifest = info.manifest
        created = datetime.fromtimestamp(manifest["published_s"], UTC).isoformat(sep=" ", timespec="seconds")
        accuracy = manifest["scores"].get("accuracy")
        table.add_row(
            str(info.version),
            created,
            str(manifest["step"]),
            str(manifest["rows"]),
            "" if accuracy is None else f"{accuracy:.4f}",
            info.digest[:12],
            " ".join(["served"] * (info.version == current) + ["pinned"] * (info.version in snapshots.pinned())),
        )
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)

"""`learnd snapshots`: list, show, pin and roll back what answers come from. Learning is never touched."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from daemon.commands.common import NO_SOURCE, settings_from
from daemon.storage.snapshots import Snapshots

# A pipe has no width of its own, and nothing may be folded for want of it.
PIPE_WIDTH = 120


def run(arguments: argparse.Namespace) -> int:
    storage = settings_from(arguments, defaults=NO_SOURCE).storage
    # As daemon.assembly.serving has it, but without torch, which pinning and holding do not wait for.
    snapshots = Snapshots(storage.folder / "snapshots", keep=storage.snapshots_kept)
    match arguments.action:
        case "list":
            _list(snapshots)
        case "show":
            manifest = snapshots.open(arguments.version).manifest
            # One time for each row learned: for measuring freshness, not for reading.
            shown = {name: value for name, value in manifest.items() if name != "arrivals"}
            sys.stdout.write(json.dumps(shown, indent=2) + "\n")
        case "pin":
            snapshots.pin(arguments.version)
        case "unpin":
            snapshots.unpin(arguments.version)
        case "rollback":
            snapshots.hold(arguments.version)
            sys.stdout.write(f"answers come from snapshot {arguments.version} until `learnd snapshots release`\n")
        case "release":
            snapshots.release()
            sys.stdout.write(f"answers come from the newest snapshot, {snapshots.current()}\n")
    return 0


def _list(snapshots: Snapshots) -> None:
    table = Table("version", "created", "step", "examples", "accuracy", "digest", "")
    current = snapshots.current()
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

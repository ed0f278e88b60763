"""`learnd check`: everything that is wrong, at once, with the remedy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from daemon.assembly import probes
from daemon.commands.common import settings_from
from daemon.errors import LearndError
from daemon.settings import Settings
from streams.errors import StreamError


def run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    if not arguments.live:
        sys.stdout.write("the settings are sound\n")
        return 0
    failures = 0
    for name, check in _checks(settings):
        try:
            found = check()
        except (LearndError, StreamError, OSError) as error:
            failures += 1
            sys.stdout.write(f"{name}: {error}\n")
        else:
            sys.stdout.write(f"{name}: {found}\n")
    return 1 if failures else 0


def _checks(settings: Settings) -> list[tuple[str, Callable[[], str]]]:
    """What `--live` reaches for; each returns what it found or raises with the remedy."""
    return [
        ("source", lambda: probes.source(settings)),
        ("encoder", lambda: probes.encoder(settings)),
        ("device", lambda: probes.device(settings)),
        ("storage", lambda: probes.storage(settings)),
    ]

"""`learnd serve`: answer over HTTP from the latest snapshot."""

from __future__ import annotations

import argparse

from daemon.assembly.serving import server
from daemon.commands.common import NO_SOURCE, settings_from


def run(arguments: argparse.Namespace) -> int:
    server(settings_from(arguments, defaults=NO_SOURCE)).run()
    return 0

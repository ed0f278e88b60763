"""`learnd serve`: answer over HTTP from the latest snapshot."""

from __future__ import annotations

import argparse

from daemon.commands.common import settings_without_source


def run(arguments: argparse.Namespace) -> int:
    settings = settings_without_source(arguments.config, arguments.overrides)
    # Seconds of imports: not before the settings are known to be sound.
    from daemon.assembly.serving import server

    server(settings).run()
    return 0

"""`learnd run`: the trainer and the server, side by side and supervised."""

from __future__ import annotations

import argparse

from daemon.commands.check import require_sound
from daemon.commands.common import settings_from, stopping_by_signal
from daemon.supervisor import Child, Supervisor


def run(arguments: argparse.Namespace) -> int:
    require_sound(settings_from(arguments))  # so that mistakes are told once, not by each process again and again
    flags = ["--config", str(arguments.config)] if arguments.config else []
    flags += [part for override in arguments.overrides for part in ("--set", override)]
    before = ["--verbose"] if arguments.verbose else []
    supervisor = Supervisor([Child(name=name, arguments=[*before, name, *flags]) for name in ("train", "serve")])
    with stopping_by_signal(supervisor.stop, at_once=lambda _: supervisor.stop()):
        return supervisor.run()

"""`learnd train`: learn from the stream until asked to stop, or with --until-end to the end that it has now."""

from __future__ import annotations

import argparse
import json
import sys

from daemon.assembly.training import training as assembled
from daemon.commands.common import settings_from, stopping_by_signal


def run(arguments: argparse.Namespace) -> int:
    if arguments.warm_start:
        arguments.overrides = [*arguments.overrides, f"training.warm_start={json.dumps(str(arguments.warm_start))}"]
    settings = settings_from(arguments)
    with assembled(settings, until_end=arguments.until_end) as training, stopping_by_signal(training.trainer.stop):
        sha256 = training.trainer.run()
    if arguments.until_end:
        sys.stdout.write(f"state_sha256 {sha256}\n")
    return 0

"""`learnd backtest`: the very loop over a recorded file, in order, from the first row, as fast as it goes."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from daemon.assembly import sources
from daemon.commands.common import settings_without_source
from daemon.errors import ConfigError
from daemon.settings import Settings
from streams.decoding.fields import Fields
from streams.table import inspect

# Fields that a terminal has no room for; the report has them.
LONG = ("baselines", "drift_alarms", "gate")


def run(arguments: argparse.Namespace) -> int:
    if arguments.report:
        _check_writable(arguments.report)
    with tempfile.TemporaryDirectory(prefix="learnd-backtest-") as folder:
        settings = _settings(arguments, Path(folder))
        sources.require_times(settings, arguments.file, is_lines=False)
        if arguments.evaluate:
            inspect(arguments.evaluate, fields=sources.fields(settings))  # before the run, not after it
        # Seconds of imports: not before it is known that there is something to run.
        from daemon.commands.backtested import backtested

        report = backtested(settings, arguments)
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({name: value for name, value in report.items() if name not in LONG}, indent=2) + "\n")
    return 0


def _check_writable(report: Path) -> None:
    """Before the run, not after it, and leaving no empty report. Raises `ConfigError` where it cannot be written."""
    is_new = not report.exists()
    try:
        report.open("a").close()
        if is_new:
            report.unlink()
    except OSError as error:
        raise ConfigError(f"--report {report}: cannot be written ({error.strerror}); name a path that can") from None


def _settings(arguments: argparse.Namespace, folder: Path) -> Settings:
    """What config and flags say; where they say nothing, the rows decide."""
    flags = [f"source.paths={json.dumps([str(arguments.file)])}", f"storage.folder={json.dumps(str(folder))}"]
    flags += [f"task.kind={arguments.task}"] if arguments.task else []
    flags += [f"decoding.label={json.dumps(arguments.label)}"] if arguments.label else []
    defaults: dict[str, Any] = {}
    if arguments.config is None:
        label = arguments.label or "label"
        kinds = inspect(arguments.file, fields=Fields(label=label))
        defaults["model"] = {"inputs": "both" if kinds.text and kinds.features else "text" if kinds.text else "features"}
    # Last of all: dead letters go nowhere, wherever the daemon sends them.
    arguments.overrides = ["source.kind=files", *flags, *arguments.overrides, "dead_letters.kind=file"]
    return settings_without_source(arguments.config, arguments.overrides, defaults=defaults)

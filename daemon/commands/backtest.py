"""`learnd backtest`: the very loop over a recorded file, in order, from the first row, as fast as it goes."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from daemon.assembly import sources
from daemon.assembly.training import Training, backtesting
from daemon.commands.common import settings_from, stopping_by_signal
from daemon.commands.train import warn_of_nothing_learned
from daemon.errors import ConfigError, UnfinishedError
from daemon.held_out import score_held_out
from daemon.progress import scores_table
from daemon.rehearsal import Rehearsal
from daemon.settings import Settings
from streams.decoding.fields import Fields
from streams.table import inspect


def run(arguments: argparse.Namespace) -> int:
    if arguments.report:
        _check_writable(arguments.report)
    with tempfile.TemporaryDirectory(prefix="learnd-backtest-") as folder:
        settings = _settings(arguments, Path(folder))
        if arguments.evaluate:
            inspect(arguments.evaluate, fields=sources.fields(settings))  # before the run, not after it
        assembled = backtesting(
            settings,
            file=arguments.file,
            predictions=arguments.predictions,
            label_delay=arguments.label_delay,
            gate_every=arguments.gate_every,
        )
        with assembled as training, stopping_by_signal(training.trainer.stop):
            began = time.perf_counter()
            is_at_end = training.trainer.loop(training.trainer.startup())
            sha256 = training.trainer.shutdown()
            seconds = time.perf_counter() - began
            if not is_at_end:
                raise UnfinishedError(f"stopped at row {training.pipeline.rows}, before the end of {arguments.file}: no report")
            if not training.pipeline.rows:
                warn_of_nothing_learned(training)
            report = _report(training, sha256=sha256, seconds=seconds)
            report |= _held_out(training, settings, arguments.evaluate) if arguments.evaluate else {}
            Console(stderr=True).print(scores_table(training.pipeline))
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({name: value for name, value in report.items() if name not in LONG}, indent=2) + "\n")
    return 0


def _check_writable(report: Path) -> None:
    """Before the run, not after it. Raises `ConfigError` where the report cannot be written."""
    try:
        report.open("a").close()
    except OSError as error:
        raise ConfigError(f"--report {report}: cannot be written ({error.strerror}); name a path that can") from None


# Fields that a terminal has no room for; the report has them.
LONG = ("baselines", "drift_alarms", "gate")


def _held_out(training: Training, settings: Settings, file: Path) -> dict[str, Any]:
    """The figures of a second file that nothing is learned from, by what was learned and by its answer without priors."""
    model = training.pipeline.learner.model
    model.finish()
    source = sources.table(settings, file)
    with closing(source):
        return score_held_out(
            source=source,
            decoder=sources.decoder(settings),
            learner=training.pipeline.learner,
            predicts={"evaluation": model.predict} | ({"balanced": model.predict_balanced} if model.num_classes else {}),
            batch_rows=settings.training.batch_rows,
        )


def _settings(arguments: argparse.Namespace, folder: Path) -> Settings:
    """What config and flags say; where they say nothing, the rows decide."""
    flags = [f"source.paths={json.dumps([str(arguments.file)])}", f"storage.folder={json.dumps(str(folder))}"]
    flags += [f"task.kind={arguments.task}"] if arguments.task else []
    flags += [f"decoding.label={json.dumps(arguments.label)}"] if arguments.label else []
    defaults: dict[str, Any] = {"source": {"kind": "files", "paths": []}}
    if arguments.config is None:
        label = arguments.label or "label"
        kinds = inspect(arguments.file, fields=Fields(label=label))
        defaults["model"] = {"inputs": "both" if kinds.text and kinds.features else "text" if kinds.text else "features"}
    # Last of all: dead letters go nowhere, wherever the daemon sends them.
    arguments.overrides = ["source.kind=files", *flags, *arguments.overrides, "dead_letters.kind=file"]
    return settings_from(arguments, defaults=defaults)


def _report(training: Training, *, sha256: str, seconds: float) -> dict[str, Any]:
    pipeline = training.pipeline
    return {
        **pipeline.evaluation.report(),
        "encoder": training.encoder,
        "examples_per_s": pipeline.rows / seconds,
        "steps": pipeline.step,
        "dead_letters": pipeline.dead_letters.count,
        "gate": pipeline.guard.decisions if isinstance(pipeline.guard, Rehearsal) else None,
        "evaluation": None,
        "balanced": None,
        "state_sha256": sha256,
    }

"""What `learnd backtest` runs, and the report of it."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from daemon.assembly import sources
from daemon.assembly.training import Training, backtesting
from daemon.commands.common import stopping_by_signal
from daemon.commands.train import warn_of_labels_that_never_came, warn_of_nothing_learned
from daemon.errors import UnfinishedError
from daemon.held_out import score_held_out
from daemon.progress import scores_table
from daemon.rehearsal import Rehearsal
from daemon.settings import Settings


def backtested(settings: Settings, arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of report.json. Raises `UnfinishedError` where the run was stopped before the end of the file."""
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
        warn_of_labels_that_never_came(training, settings)
        report = _report(training, sha256=sha256, seconds=seconds)
        report |= _held_out(training, settings, arguments.evaluate) if arguments.evaluate else {}
        Console(stderr=True).print(scores_table(training.pipeline))
    return report


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

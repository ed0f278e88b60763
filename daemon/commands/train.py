"""`learnd train`: learn from the stream until asked to stop, or with --until-end to the end that it has now."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import TYPE_CHECKING

from daemon.commands.check import require_sound
from daemon.commands.common import settings_from, stopping_by_signal
from daemon.errors import UnfinishedError

if TYPE_CHECKING:
    from daemon.assembly.training import Training
    from daemon.settings import Settings

logger = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> int:
    if arguments.warm_start:
        arguments.overrides = [*arguments.overrides, f"training.warm_start={json.dumps(str(arguments.warm_start))}"]
    settings = settings_from(arguments)
    require_sound(settings, but=("serving",))
    # Seconds of imports: not before the settings are known to be sound.
    from daemon.assembly.training import training as assembled

    with assembled(settings, until_end=arguments.until_end) as training, stopping_by_signal(training.trainer.stop):
        gatherer = training.trainer.startup()
        before = training.pipeline.rows
        is_at_end = training.trainer.loop(gatherer)
        sha256 = training.trainer.shutdown()
        if is_at_end and training.pipeline.rows == before:
            warn_of_nothing_learned(training)
        warn_of_labels_that_never_came(training, settings)
    if arguments.until_end:
        _require_done(training, is_at_end=is_at_end)
        sys.stdout.write(f"state_sha256 {sha256}\n")
    return 0


def _require_done(training: Training, *, is_at_end: bool) -> None:
    """The hash is of all that there was to learn, and it is kept. Raises `UnfinishedError` where that would not be true."""
    rows = training.pipeline.rows
    if not is_at_end:
        raise UnfinishedError(f"stopped at row {rows}, before the end of the source; start it again, and it goes on from there")
    if missing := training.trainer.missing_checkpoint:
        raise UnfinishedError(
            f"the source is learned to its end, row {rows}, but the last checkpoint is missing ({missing}). Nothing is lost: "
            "start it again, and the ledger redoes what came after the one before"
        )


def warn_of_nothing_learned(training: Training) -> None:
    """To learn nothing is no fault, since all may be learned already; but who expected otherwise must hear of it."""
    pipeline = training.pipeline
    if pipeline.dead_letters.count:
        reason = f"all {pipeline.dead_letters.count} records became dead letters; look at their reasons"
    elif pipeline.rows:
        reason = f"the source has no record behind the {pipeline.rows} rows learned earlier"
    else:
        reason = "the source has no record; check its name, and source.start"
    logger.warning("0 rows were learned: %s", reason)


def warn_of_labels_that_never_came(training: Training, settings: Settings) -> None:
    """A class weight weighs nothing where its label is spelled otherwise in the stream. One of 0 hides its label from all."""
    known = training.pipeline.learner.task.labels
    missing = [label for label, weight in settings.task.class_weights.items() if weight > 0.0 and label not in known]
    if missing and training.pipeline.rows:
        names = ", ".join(map(repr, missing))
        logger.warning("task.class_weights names labels that were never learned: %s; are they spelled as in the stream?", names)

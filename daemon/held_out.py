"""Scores what was learned on a second file, from which nothing is learned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daemon.gathering import TURN_S
from daemon.learning.batch import Batch
from daemon.learning.learner import Learner, Scored, inputs
from daemon.learning.tasks.base import Target
from daemon.monitoring.evaluation import FIGURES, Evaluation
from streams.decoding.base import Decoder
from streams.errors import DecodeError
from streams.record import Example, Record
from streams.source import Source

logger = logging.getLogger(__name__)

Predict = Callable[[Batch], NDArray[np.float64]]


def score_held_out(
    *, source: Source, decoder: Decoder, learner: Learner, predicts: Mapping[str, Predict], batch_rows: int
) -> dict[str, dict[str, Any]]:
    """The figures of report.json for each way to predict, over all rows of `source` that can be decoded.

    A label that the learner never met counts as an error, and as a class of its own. `dead_letters` counts the rows that cannot
    be decoded, of which the log tells the first.
    """
    evaluations = {name: Evaluation(task=learner.task.name, detectors={}, window_rows=1, collect_auc=True) for name in predicts}
    source.open({})
    ends, dead_letters, unmet = source.ends(), 0, dict[Target, int]()
    while not source.exhausted(ends):
        records = source.take_merged(batch_rows, ends=ends, timeout_s=TURN_S)
        examples = _decoded(records, decoder, tells=not dead_letters)
        dead_letters += len(records) - len(examples)
        if not examples:
            continue
        target_B = learner.task.look_up([example.target for example in examples])
        for row in np.flatnonzero(np.isnan(target_B)):
            target_B[row] = len(learner.task.labels) + unmet.setdefault(examples[row].target, len(unmet))
        for name, predict in predicts.items():
            scored = Scored(learner.task.labels, target_B, predict(inputs(examples)), np.zeros(len(examples)))
            evaluations[name].observe(scored)
    reports = {name: evaluation.report() for name, evaluation in evaluations.items()}
    figures = {name: {figure: report[figure] for figure in FIGURES} for name, report in reports.items()}
    return {name: {**each, "dead_letters": dead_letters} for name, each in figures.items()}


def _decoded(records: list[Record], decoder: Decoder, *, tells: bool) -> list[Example]:
    examples = []
    for record in records:
        try:
            examples.append(decoder.decode(record))
        except DecodeError as error:
            if tells:
                logger.warning("the first row that is not scored: %s", error)
                tells = False
    return examples

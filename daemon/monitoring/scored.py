"""Rows as the watching sees them: predicted, and not yet learned."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.metrics.tally import NO_ANSWER, UNKNOWN

Floats = NDArray[np.float64]


class ScoredRows(Protocol):
    """A micro-batch of B rows that were predicted and not yet learned.

    Classification: `target_B` holds class indices, NaN for a label that has none yet, and `output` probabilities (B, C); a
    row of zeros is no answer, and a target of C or more was not known. Regression: numbers, both (B,). `best_expert` is the
    output of the best single expert; `inputs_BD` the inputs for the watch on them; None where there are none.
    """

    @property
    def target_B(self) -> Floats: ...  # noqa: N802 - a shape suffix

    @property
    def output(self) -> Floats: ...

    @property
    def weight_B(self) -> Floats: ...  # noqa: N802 - a shape suffix

    @property
    def best_expert(self) -> Floats | None: ...

    @property
    def inputs_BD(self) -> NDArray[np.float32] | None: ...  # noqa: N802 - a shape suffix


Columns: TypeAlias = tuple[Floats, Floats, Floats]


def answers(target_B: Floats, output_BC: Floats) -> Columns:
    """Targets, answers, and probabilities of the targets, of the rows of a classifier."""
    num_rows, num_classes = output_BC.shape
    if num_classes == 0:
        answer_B, p_B = np.full(num_rows, NO_ANSWER), np.zeros(num_rows)
    else:
        best_B = output_BC.argmax(axis=1)
        # A NaN is the argmax wherever there is one, and fails this comparison like a row of zeros does.
        answer_B = np.where(output_BC.max(axis=1) > 0, best_B, NO_ANSWER)
        known_B = (target_B >= 0) & (target_B < num_classes)  # false for NaN and `UNKNOWN`
        target_index_B = np.where(known_B, target_B, 0).astype(np.intp)
        p_B = np.where(known_B, output_BC[np.arange(num_rows), target_index_B], 0.0)
    numbered_B = np.where(np.isnan(target_B), UNKNOWN, target_B)
    return numbered_B, answer_B.astype(np.float64), p_B


def values(target_B: Floats, output_B: Floats) -> Columns:
    """Targets, answers, and 0 for each, of the rows of a regressor."""
    return target_B, output_B, np.zeros(len(target_B))

"""Rows as the watching sees them: predicted, and not yet learned."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
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
    numbered_B, answer_B, p_B = (np.empty(len(target_B)) for _ in range(3))
    _answer(target_B, output_BC, numbered_B, answer_B, p_B)
    return numbered_B, answer_B, p_B


@compiled
def _answer(target_B: Floats, output_BC: Floats, numbered_B: Floats, answer_B: Floats, p_B: Floats) -> None:
    num_rows, num_classes = output_BC.shape
    for row in range(num_rows):
        target, best, highest = target_B[row], NO_ANSWER, 0.0
        numbered_B[row] = UNKNOWN if np.isnan(target) else target
        for k in range(num_classes):
            p = output_BC[row, k]
            if np.isnan(p):  # where one is no number, there is no answer
                best = NO_ANSWER
                break
            if p > highest:
                best, highest = k, p
        answer_B[row] = best
        p_B[row] = output_BC[row, int(target)] if 0.0 <= target < num_classes else 0.0  # not of NaN and `UNKNOWN`


def values(target_B: Floats, output_B: Floats) -> Columns:
    """Targets, answers, and 0 for each, of the rows of a regressor."""
    return target_B, output_B, np.zeros(len(target_B))

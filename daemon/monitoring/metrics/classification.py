"""Metrics of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from operator import ne
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from daemon.monitoring.metrics.base import Figures, Metrics
from daemon.monitoring.metrics.tally import Tally
from daemon.monitoring.metrics.worst import WorstStretch
from daemon.monitoring.saved import take
from daemon.state import State

WORST_ROWS: Final = 500
COUNTED_ROWS: Final = 512

Columns: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


class ClassificationMetrics(Metrics):
    """A `Tally` since the start, one over the last `window_rows` rows, and the worst 500 rows in a row.

    >>> metrics = ClassificationMetrics(window_rows=2, probabilistic=False)
    >>> [metrics.update(target, answer, 0.0) for target, answer in [(0, 1), (0, 0), (1, 1)]]
    [1.0, 0.0, 0.0]
    >>> metrics.since_start()["errors"], metrics.window()["errors"], metrics.since_start()["worst_500"]
    (1, 0, None)
    """

    def __init__(self, *, window_rows: int, probabilistic: bool) -> None:
        self._tally = Tally(probabilistic=probabilistic)
        self._worst = WorstStretch(num_rows=WORST_ROWS)
        self._window_rows = window_rows
        self._window = _columns([], [], [])
        # Rows that no figure was asked for yet: many are counted for the price of one.
        self._new: tuple[list[int], list[int], list[float]] = ([], [], [])

    @property
    def num_examples(self) -> int:  # type: ignore[override]  # read-only here, kept by the tally
        return self._tally.num_examples + len(self._new[0])

    def update_all(
        self, targets: Sequence[float], answers: Sequence[float], probabilities: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        target_B, answer_B = list(map(int, targets)), list(map(int, answers))
        self._new[0].extend(target_B)
        self._new[1].extend(answer_B)
        self._new[2].extend(probabilities)
        if len(self._new[0]) >= COUNTED_ROWS:
            self._count()
        losses = list(map(float, map(ne, target_B, answer_B)))
        return losses, losses

    def _count(self) -> None:
        """Bring the figures up to the last row."""
        if not self._new[0]:
            return
        new, self._new = _columns(*self._new), ([], [], [])
        self._tally.update_all(*new)
        self._worst.update_all(new[0] == new[1])
        self._window = tuple(  # type: ignore[assignment]  # three as before
            np.concatenate([kept, column])[-self._window_rows :] for kept, column in zip(self._window, new, strict=True)
        )

    def since_start(self) -> Figures:
        """examples, errors, accuracy, macro_f1, kappa, log_loss, worst_500."""
        self._count()
        return {**self._tally.figures(), "worst_500": self._worst.accuracy}

    def window(self) -> Figures:
        self._count()
        # Counted anew from the rows, so that adding and taking away can leave no rounding behind.
        recent = Tally(probabilistic=self._tally.probabilistic)
        recent.update_all(*self._window)
        return recent.figures()

    def target_counts(self) -> list[int]:
        self._count()
        return self._tally.target_counts()

    def state_dict(self) -> State:
        self._count()
        targets, answers, probabilities = self._window
        return {
            "tally": self._tally.state_dict(),
            "worst": self._worst.state_dict(),
            "window_targets": targets,
            "window_answers": answers,
            "window_probabilities": probabilities,
        }

    def load_state_dict(self, state: State) -> None:
        owner = "classification metrics"
        self._tally.load_state_dict(take(state, "tally", owner=owner))
        self._worst.load_state_dict(take(state, "worst", owner=owner))
        window = [take(state, f"window_{name}", owner=owner) for name in ("targets", "answers", "probabilities")]
        self._window, self._new = _columns(*window), ([], [], [])


def _columns(targets: ArrayLike, answers: ArrayLike, probabilities: ArrayLike) -> Columns:
    return np.array(targets, np.int64), np.array(answers, np.int64), np.array(probabilities, np.float64)

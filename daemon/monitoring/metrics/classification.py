"""Metrics of a classifier."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from operator import eq
from typing import Final

import numpy as np

from daemon.monitoring.metrics.base import Figures, Metrics
from daemon.monitoring.metrics.tally import Tally
from daemon.monitoring.metrics.worst import WorstStretch
from daemon.monitoring.saved import take, take_list
from daemon.state import State

WORST_ROWS: Final = 500


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
        self._window: deque[tuple[int, int, float]] = deque(maxlen=window_rows)
        self._worst = WorstStretch(num_rows=WORST_ROWS)

    @property
    def num_examples(self) -> int:  # type: ignore[override]  # read-only here, kept by the tally
        return self._tally.num_examples

    def update_all(
        self, targets: Sequence[float], answers: Sequence[float], probabilities: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        target_B, answer_B = list(map(int, targets)), list(map(int, answers))
        self._tally.update_all(target_B, answer_B, probabilities)
        self._window.extend(zip(target_B, answer_B, probabilities, strict=True))
        hits = list(map(eq, target_B, answer_B))
        self._worst.update_all(hits)
        losses = [0.0 if hit else 1.0 for hit in hits]
        return losses, losses

    def since_start(self) -> Figures:
        """examples, errors, accuracy, macro_f1, kappa, log_loss, worst_500."""
        return {**self._tally.figures(), "worst_500": self._worst.accuracy}

    def window(self) -> Figures:
        # Counted anew from the rows, so that adding and taking away can leave no rounding behind.
        recent = Tally(probabilistic=self._tally.probabilistic)
        if self._window:
            recent.update_all(*zip(*self._window, strict=True))
        return recent.figures()

    def target_counts(self) -> list[int]:
        return self._tally.target_counts()

    def state_dict(self) -> State:
        targets, answers, probabilities = zip(*self._window, strict=True) if self._window else ((), (), ())
        return {
            "tally": self._tally.state_dict(),
            "worst": self._worst.state_dict(),
            "window_targets": np.array(targets, dtype=np.int64),
            "window_answers": np.array(answers, dtype=np.int64),
            "window_probabilities": np.array(probabilities, dtype=np.float64),
        }

    def load_state_dict(self, state: State) -> None:
        owner = "classification metrics"
        self._tally.load_state_dict(take(state, "tally", owner=owner))
        self._worst.load_state_dict(take(state, "worst", owner=owner))
        columns = [take_list(state, f"window_{name}", owner=owner) for name in ("targets", "answers", "probabilities")]
        self._window = deque(zip(*columns, strict=True), maxlen=self._window.maxlen)

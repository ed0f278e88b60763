"""Metrics of a classifier."""

from __future__ import annotations

from typing import Final

import numpy as np

from daemon.monitoring.metrics.base import Figures, Floats, Metrics
from daemon.monitoring.metrics.tally import Tally
from daemon.monitoring.metrics.worst import WorstStretch
from daemon.monitoring.saved import take
from daemon.state import State

WORST_ROWS: Final = 500
COUNTED_ROWS: Final = 512


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
        self._window_3N = np.zeros((3, 0))
        # Rows that no figure was asked for yet: many are counted for the price of one.
        self._new: list[Floats] = []
        self._num_new = 0

    @property
    def num_examples(self) -> int:  # type: ignore[override]  # read-only here, kept by the tally
        return self._tally.num_examples + self._num_new

    def update_all(self, target_B: Floats, answer_B: Floats, p_B: Floats) -> Floats:
        self._new.append(np.array([target_B, answer_B, p_B]))
        self._num_new += len(target_B)
        if self._num_new >= COUNTED_ROWS:
            self._count()
        loss_B: Floats = (target_B != answer_B).astype(np.float64)
        return loss_B

    def _count(self) -> None:
        """Bring the figures up to the last row."""
        if self._new:
            new_3N, self._new, self._num_new = np.concatenate(self._new, axis=1), [], 0
            self._tally.update_all(*new_3N)
            self._worst.update_all(new_3N[0] == new_3N[1])
            self._window_3N = np.concatenate([self._window_3N, new_3N], axis=1)[:, -self._window_rows :]

    def since_start(self) -> Figures:
        """examples, errors, accuracy, macro_f1, kappa, log_loss, worst_500."""
        self._count()
        return {**self._tally.figures(), "worst_500": self._worst.accuracy}

    def window(self) -> Figures:
        self._count()
        # Counted anew from the rows, so that adding and taking away can leave no rounding behind.
        recent = Tally(probabilistic=self._tally.probabilistic)
        recent.update_all(*self._window_3N)
        return recent.figures()

    def target_counts(self) -> list[int]:
        self._count()
        return self._tally.target_counts()

    def state_dict(self) -> State:
        self._count()
        target_N, answer_N, p_N = self._window_3N
        return {
            "tally": self._tally.state_dict(),
            "worst": self._worst.state_dict(),
            "window_targets": target_N.astype(np.int64),
            "window_answers": answer_N.astype(np.int64),
            "window_probabilities": p_N.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        owner = "classification metrics"
        self._tally.load_state_dict(take(state, "tally", owner=owner))
        self._worst.load_state_dict(take(state, "worst", owner=owner))
        window = [take(state, f"window_{name}", owner=owner) for name in ("targets", "answers", "probabilities")]
        self._window_3N, self._new, self._num_new = np.array(window, np.float64), [], 0

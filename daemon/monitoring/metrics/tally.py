"""Counts from which the classification figures follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from daemon.monitoring.metrics.base import Figures
from daemon.monitoring.saved import take, take_list
from daemon.state import State

NO_ANSWER: Final = -1
"""The answer of a predictor that knows no class yet, or whose output is not a number: always an error."""

UNKNOWN: Final = -2
"""The target of a row whose label has no class index yet (no row of weight above 0 had it): always an error."""

# As scikit-learn and River have long floored it: a wrong certain answer costs 34.5 nats, not infinity.
P_FLOOR: Final = 1e-15
MAX_LOG_LOSS: Final = -math.log(P_FLOOR)


class Tally:
    """Accuracy, macro-F1, Cohen's kappa and log loss from counts per class.

    All of them need only the diagonal and the two margins of the confusion table, so memory grows with the number of
    labels, not with its square.

    >>> tally = Tally(probabilistic=True)
    >>> tally.update_all([0, 0, 1, 1], [0, 1, 1, 1], [0.5, 0.25, 1.0, 0.5])
    >>> {name: round(value, 4) for name, value in tally.figures().items()}
    {'examples': 4, 'errors': 1, 'accuracy': 0.75, 'macro_f1': 0.7333, 'kappa': 0.5, 'log_loss': 0.6931}

    Macro-F1 is the plain mean over every class that was a target or an answer (as in scikit-learn). Kappa after Cohen 1960,
    "A coefficient of agreement for nominal scales"; None where chance alone would always agree.
    """

    def __init__(self, *, probabilistic: bool) -> None:
        self.probabilistic = probabilistic
        self.num_examples = 0
        self.num_hits = 0
        self._loss = 0.0
        self._targets_C: list[int] = []
        self._answers_C: list[int] = []
        self._hits_C: list[int] = []

    def update_all(self, targets: Sequence[int], answers: Sequence[int], probabilities: Sequence[float]) -> None:
        """Count rows in their order; class indices start at 0, an answer may be `NO_ANSWER` and a target `UNKNOWN`."""
        largest = max(*targets, *answers)
        if largest >= len(self._targets_C):
            self._grow(largest + 1)
        for target, answer in zip(targets, answers, strict=True):
            if target != UNKNOWN:
                self._targets_C[target] += 1
            if answer != NO_ANSWER:
                self._answers_C[answer] += 1
            if target == answer:
                self._hits_C[target] += 1
                self.num_hits += 1
        self.num_examples += len(targets)
        if self.probabilistic:
            for probability in probabilities:
                # Written so that NaN counts as the floor, and rounding above 1 as 1.
                self._loss += -math.log(min(probability, 1.0)) if probability > P_FLOOR else MAX_LOG_LOSS

    def _grow(self, num_classes: int) -> None:
        for counts in (self._targets_C, self._answers_C, self._hits_C):
            counts.extend([0] * (num_classes - len(counts)))

    def figures(self) -> Figures:
        """examples, errors, accuracy, macro_f1, kappa, log_loss."""
        n = self.num_examples
        return {
            "examples": n,
            "errors": n - self.num_hits,
            "accuracy": self.num_hits / n if n else None,
            "macro_f1": self._macro_f1(),
            "kappa": self._kappa(),
            "log_loss": self._loss / n if n and self.probabilistic else None,
        }

    def target_counts(self) -> list[int]:
        """Rows by class index."""
        return list(self._targets_C)

    def _macro_f1(self) -> float | None:
        scores = [
            2 * hits / (targets + answers)
            for targets, answers, hits in zip(self._targets_C, self._answers_C, self._hits_C, strict=True)
            if targets + answers
        ]
        return math.fsum(scores) / len(scores) if scores else None

    def _kappa(self) -> float | None:
        n = self.num_examples
        # n² times the agreement by chance, in exact integers.
        chance = sum(t * a for t, a in zip(self._targets_C, self._answers_C, strict=True))
        if chance == n * n:
            return None
        return (n * self.num_hits - chance) / (n * n - chance)

    def state_dict(self) -> State:
        return {
            "examples": self.num_examples,
            "hits": self.num_hits,
            "loss": self._loss,
            "targets_C": np.array(self._targets_C, dtype=np.int64),
            "answers_C": np.array(self._answers_C, dtype=np.int64),
            "hits_C": np.array(self._hits_C, dtype=np.int64),
        }

    def load_state_dict(self, state: State) -> None:
        self.num_examples = take(state, "examples", owner="tally")
        self.num_hits = take(state, "hits", owner="tally")
        self._loss = take(state, "loss", owner="tally")
        self._targets_C = take_list(state, "targets_C", owner="tally")
        self._answers_C = take_list(state, "answers_C", owner="tally")
        self._hits_C = take_list(state, "hits_C", owner="tally")

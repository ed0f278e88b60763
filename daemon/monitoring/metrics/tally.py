"""Counts from which the classification figures follow."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from daemon.compiled import compiled
from daemon.monitoring.metrics.base import Figures, Floats
from daemon.monitoring.saved import take
from daemon.state import State

NO_ANSWER: Final = -1
"""The answer of a predictor that knows no class yet, or whose output is not a number: always an error."""

UNKNOWN: Final = -2
"""The target of a row whose label has no class index yet (no row of weight above 0 had it): always an error."""

# As scikit-learn and River have long floored it: a wrong certain answer costs 34.5 nats, not infinity.
P_FLOOR: Final = 1e-15
MAX_LOG_LOSS: Final = -math.log(P_FLOOR)


@compiled
def _add_log_losses(p_B: Floats, loss: float) -> float:
    """One after the other, so that the sum is the same however rows come together."""
    for p in p_B:
        # Written so that NaN counts as the floor, and rounding above 1 as 1.
        loss += -math.log(min(p, 1.0)) if p > P_FLOOR else MAX_LOG_LOSS
    return loss


class Tally:
    """Accuracy, macro-F1, Cohen's kappa and log loss from counts per class.

    All of them need only the diagonal and the two margins of the confusion table, so memory grows with the number of
    labels, not with its square.

    >>> tally = Tally(probabilistic=True)
    >>> tally.update_all(np.array([0.0, 0, 1, 1]), np.array([0.0, 1, 1, 1]), np.array([0.5, 0.25, 1.0, 0.5]))
    >>> {name: round(value, 4) for name, value in tally.figures().items()}
    {'examples': 4, 'errors': 1, 'accuracy': 0.75, 'macro_f1': 0.7333, 'kappa': 0.5, 'log_loss': 0.6931}

    Macro-F1 is the plain mean over every class that was a target or an answer (as in scikit-learn); an `UNKNOWN` target is no
    class, for its own may come yet. Kappa after Cohen 1960, "A coefficient of agreement for nominal scales"; None where chance
    alone would always agree.
    """

    def __init__(self, *, probabilistic: bool) -> None:
        self.probabilistic = probabilistic
        self.num_examples = 0
        self.num_hits = 0
        self._loss = 0.0
        self._targets_C, self._answers_C, self._hits_C = (np.zeros(0, np.int64) for _ in range(3))

    def update_all(self, target_B: Floats, answer_B: Floats, p_B: Floats) -> None:
        """Count rows; class indices start at 0, an answer may be `NO_ANSWER` and a target `UNKNOWN`."""
        hit_B = target_B == answer_B
        self.num_examples += len(target_B)
        self.num_hits += int(hit_B.sum())
        self._grow(int(max(target_B.max(initial=-1), answer_B.max(initial=-1))) + 1)
        for counts_C, class_B in (
            (self._targets_C, target_B[target_B != UNKNOWN]),
            (self._answers_C, answer_B[answer_B != NO_ANSWER]),
            (self._hits_C, target_B[hit_B]),
        ):
            counts_C += np.bincount(class_B.astype(np.intp), minlength=len(counts_C))
        if self.probabilistic:
            self._loss = _add_log_losses(p_B, self._loss)

    def _grow(self, num_classes: int) -> None:
        missing = num_classes - len(self._targets_C)
        if missing > 0:
            self._targets_C, self._answers_C, self._hits_C = (
                np.pad(counts_C, (0, missing)) for counts_C in (self._targets_C, self._answers_C, self._hits_C)
            )

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
        return self._targets_C.tolist()

    def _macro_f1(self) -> float | None:
        scores = [
            2 * hits / (targets + answers)
            for targets, answers, hits in zip(
                self._targets_C.tolist(), self._answers_C.tolist(), self._hits_C.tolist(), strict=True
            )
            if targets + answers
        ]
        return math.fsum(scores) / len(scores) if scores else None

    def _kappa(self) -> float | None:
        n = self.num_examples
        # n² times the agreement by chance, in exact integers.
        chance = sum(t * a for t, a in zip(self._targets_C.tolist(), self._answers_C.tolist(), strict=True))
        if chance == n * n:
            return None
        return (n * self.num_hits - chance) / (n * n - chance)

    def state_dict(self) -> State:
        return {
            "examples": self.num_examples,
            "hits": self.num_hits,
            "loss": self._loss,
            "targets_C": self._targets_C.copy(),
            "answers_C": self._answers_C.copy(),
            "hits_C": self._hits_C.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.num_examples = take(state, "examples", owner="tally")
        self.num_hits = take(state, "hits", owner="tally")
        self._loss = take(state, "loss", owner="tally")
        self._targets_C = np.array(take(state, "targets_C", owner="tally"), np.int64)
        self._answers_C = np.array(take(state, "answers_C", owner="tally"), np.int64)
        self._hits_C = np.array(take(state, "hits_C", owner="tally"), np.int64)

"""The simple predictors of labels: the last one, the one seen most often, and decayed frequencies.

Each gives every label that it knows a probability, with half a count that nobody has seen for each (the estimator of Krichevsky
and Trofimov 1981), and a label that it does not know 0.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.baseline import Baseline
from daemon.monitoring.baseline_kernels import (
    Flags,
    Floats,
    follow_last,
    follow_majority,
    follow_prior,
    last_label_p,
    share,
)
from daemon.monitoring.metrics.tally import NO_ANSWER
from daemon.monitoring.saved import take
from daemon.state import State

DECAYED_PRIOR_HALF_LIFE_ROWS: Final = 32
# How much more each row weighs than the one before it.
GROWTH: Final = 2 ** (1 / DECAYED_PRIOR_HALF_LIFE_ROWS)

Counts = TypeVar("Counts", NDArray[np.int64], NDArray[np.float64])


class LastLabel(Baseline):
    """Repeats the last label, and gives it the rate at which labels have stayed the same so far; others share the rest as they
    share the rows that were theirs.

    >>> last = LastLabel()
    >>> for label in (0, 0, 1, 2, 2):
    ...     last.learn(label)
    >>> last.predict(), [last.probability(label) for label in range(4)]
    (2, [0.3125, 0.1875, 0.5, 0.0])

    Of four labels behind another two stayed: 2.5 of 5. Of the other labels 0 has 2.5 rows of 4, and 1 has 1.5. While only one
    label is known it has all.
    """

    has_probabilities = True

    def __init__(self) -> None:
        self._counts_C = np.zeros(0, np.int64)
        self._last = NO_ANSWER
        self._num_stays = 0

    def predict(self) -> int:
        return self._last

    def probability(self, target: int) -> float:
        num_known = len(self._counts_C)
        return float(last_label_p(float(target), self._last, self._counts_C, num_known, self._counts_C.sum(), self._num_stays))

    def learn(self, target: float) -> None:
        self.follow(np.array([target]), np.array([target]), np.ones(1, np.bool_))

    def follow(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> tuple[Floats, Floats, Floats]:
        num_known, self._counts_C = len(self._counts_C), _with_room(self._counts_C, arrived_B[is_learned_B])
        answer_B, p_B, second_B = (np.empty(len(target_B)) for _ in range(3))
        self._last, self._num_stays = follow_last(
            target_B, arrived_B, is_learned_B, num_known, self._counts_C, self._last, self._num_stays,
            answer_B, p_B, second_B,
        )  # fmt: skip
        return answer_B, p_B, second_B

    def state_dict(self) -> State:
        return {"counts_C": self._counts_C.copy(), "last": self._last, "stays": self._num_stays}

    def load_state_dict(self, state: State) -> None:
        self._counts_C = np.array(take(state, "counts_C", owner="last label"), np.int64)
        self._last = take(state, "last", owner="last label")
        self._num_stays = take(state, "stays", owner="last label")


class Majority(Baseline):
    """Answers the label seen most often; of equals, the one that got there first. Each has its share of the rows.

    >>> majority = Majority()
    >>> for label in (0, 1, 1, 0, 1):
    ...     majority.learn(label)
    >>> majority.predict(), [round(majority.probability(label), 4) for label in range(3)]
    (1, [0.4167, 0.5833, 0.0])

    1 has 3.5 rows of 6.
    """

    has_probabilities = True

    def __init__(self) -> None:
        self._counts_C = np.zeros(0, np.int64)
        self._best = NO_ANSWER

    def predict(self) -> int:
        return self._best

    def probability(self, target: int) -> float:
        return float(share(float(target), self._counts_C, len(self._counts_C), self._counts_C.sum()))

    def learn(self, target: float) -> None:
        self.follow(np.array([target]), np.array([target]), np.ones(1, np.bool_))

    def follow(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> tuple[Floats, Floats, Floats]:
        num_known, self._counts_C = len(self._counts_C), _with_room(self._counts_C, arrived_B[is_learned_B])
        answer_B, p_B, second_B = (np.empty(len(target_B)) for _ in range(3))
        self._best = follow_majority(
            target_B, arrived_B, is_learned_B, num_known, self._counts_C, self._best, answer_B, p_B, second_B
        )
        return answer_B, p_B, second_B

    def state_dict(self) -> State:
        return {"counts_C": self._counts_C.copy(), "best": self._best}

    def load_state_dict(self, state: State) -> None:
        self._counts_C = np.array(take(state, "counts_C", owner="majority"), np.int64)
        self._best = take(state, "best", owner="majority")


class DecayedPrior(Baseline):
    """Label frequencies in which a row counts half after 32 more rows, with half a count for every known label.

    >>> prior = DecayedPrior()
    >>> for label in (0, 1, 1):
    ...     prior.learn(label)
    >>> prior.predict(), round(prior.probability(1), 4), prior.probability(2)
    (1, 0.6297, 0.0)
    """

    has_probabilities = True

    def __init__(self) -> None:
        self._mass_C = np.zeros(0)
        # Of all classes, and of the newest row: instead of shrinking every mass at each row, each new row weighs more; brought
        # back to 1 now and then.
        self._total, self._row_mass = 0.0, 1.0
        self._best = NO_ANSWER

    def predict(self) -> int:
        return self._best

    def probability(self, target: int) -> float:
        num_classes = len(self._mass_C)
        if not 0 <= target < num_classes:
            return 0.0
        half = 0.5 * self._row_mass
        return float((self._mass_C[target] + half) / (self._total + num_classes * half))

    def learn(self, target: float) -> None:
        self.follow(np.array([target]), np.array([target]), np.ones(1, np.bool_))

    def follow(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> tuple[Floats, Floats, Floats]:
        num_known, self._mass_C = len(self._mass_C), _with_room(self._mass_C, arrived_B[is_learned_B])
        answer_B, p_B, second_B = (np.empty(len(target_B)) for _ in range(3))
        self._total, self._row_mass, self._best = follow_prior(
            target_B, arrived_B, is_learned_B, num_known, self._mass_C, self._total, self._row_mass, self._best,
            GROWTH, answer_B, p_B, second_B,
        )  # fmt: skip
        return answer_B, p_B, second_B

    def state_dict(self) -> State:
        return {
            "mass_C": self._mass_C.copy(),
            "total": self._total,
            "row_mass": self._row_mass,
            "best": self._best,
        }

    def load_state_dict(self, state: State) -> None:
        self._mass_C = np.array(take(state, "mass_C", owner="decayed prior"), np.float64)
        self._total = take(state, "total", owner="decayed prior")
        self._row_mass = take(state, "row_mass", owner="decayed prior")
        self._best = take(state, "best", owner="decayed prior")


def _with_room(counts_C: Counts, learned_N: Floats) -> Counts:
    """The same with room for the labels that will be learned."""
    missing = int(learned_N.max(initial=-1.0)) + 1 - len(counts_C)
    return np.pad(counts_C, (0, missing)) if missing > 0 else counts_C

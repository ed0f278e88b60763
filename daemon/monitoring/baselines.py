"""The simple predictors that the model has to beat, run live beside it and scored by the same metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.baseline_kernels import Flags, Floats, follow_majority, follow_prior
from daemon.monitoring.metrics.tally import NO_ANSWER
from daemon.monitoring.saved import take
from daemon.state import State

DECAYED_PRIOR_HALF_LIFE_ROWS: Final = 32
# How much more each row weighs than the one before it.
GROWTH: Final = 2 ** (1 / DECAYED_PRIOR_HALF_LIFE_ROWS)

Counts = TypeVar("Counts", NDArray[np.int64], NDArray[np.float64])


class Baseline(ABC):
    """Predicts each row before it learns it. For classification a target is a class index and an answer may be `NO_ANSWER`;
    for regression both are numbers, and the answer before the first target is 0."""

    has_probabilities = False
    """Whether `probability` is more than an answer, and a log loss means anything."""

    @abstractmethod
    def predict(self) -> float:
        """The answer to the next row."""

    def probability(self, target: int) -> float:
        """What it gives to `target` being the next label: by its answer alone, 1 or 0."""
        return float(self.predict() == target)

    @abstractmethod
    def learn(self, target: float) -> None:
        """Take the row's target in."""

    def follow(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> tuple[Floats, Floats, Floats]:
        """Predict rows in their order, and after each learn the target that arrives with it, if it is to be learned.

        (B,) each: the answers, the probabilities of the targets, and those of the second class; 0 without probabilities.
        """
        answers = []
        for arrived, is_learned in zip(arrived_B.tolist(), is_learned_B.tolist(), strict=True):
            answers.append(self.predict())
            if is_learned:
                self.learn(arrived)
        none_B = np.zeros(len(target_B))
        return np.array(answers, np.float64), none_B, none_B

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...


class LastTarget(Baseline):
    """Repeats the last target: "last_label", and "last_value" for regression.

    >>> last = LastTarget(first_answer=NO_ANSWER)
    >>> last.learn(3.0)
    >>> last.predict()
    3.0
    """

    def __init__(self, *, first_answer: float) -> None:
        self._last = float(first_answer)

    def predict(self) -> float:
        return self._last

    def learn(self, target: float) -> None:
        self._last = target

    def follow(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> tuple[Floats, Floats, Floats]:
        learned_N = np.concatenate([[self._last], arrived_B[is_learned_B]])
        num_before_B: NDArray[np.int64] = np.cumsum(is_learned_B) - is_learned_B
        self._last = float(learned_N[-1])
        none_B = np.zeros(len(target_B))
        return learned_N[num_before_B], none_B, none_B

    def state_dict(self) -> State:
        return {"last": self._last}

    def load_state_dict(self, state: State) -> None:
        self._last = take(state, "last", owner="last target")


class Majority(Baseline):
    """Answers the label seen most often; of equals, the one that got there first.

    >>> majority = Majority()
    >>> for label in (0, 1, 1, 0):
    ...     majority.learn(label)
    >>> majority.predict()
    1
    """

    def __init__(self) -> None:
        self._counts_C = np.zeros(0, np.int64)
        self._best = NO_ANSWER

    def predict(self) -> int:
        return self._best

    def learn(self, target: float) -> None:
        self.follow(np.array([target]), np.array([target]), np.ones(1, np.bool_))

    def follow(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> tuple[Floats, Floats, Floats]:
        self._counts_C = _with_room(self._counts_C, arrived_B[is_learned_B])
        answer_B, none_B = np.empty(len(target_B)), np.zeros(len(target_B))
        self._best = follow_majority(arrived_B, is_learned_B, self._counts_C, self._best, answer_B)
        return answer_B, none_B, none_B

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

    The half count is the estimator of Krichevsky and Trofimov 1981.
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


class MeanTarget(Baseline):
    """Answers the mean of all targets so far.

    >>> mean = MeanTarget()
    >>> for target in (1.0, 2.0, 6.0):
    ...     mean.learn(target)
    >>> mean.predict()
    3.0
    """

    def __init__(self) -> None:
        self._mean = 0.0
        self._num_rows = 0

    def predict(self) -> float:
        return self._mean

    def learn(self, target: float) -> None:
        self._num_rows += 1
        self._mean += (target - self._mean) / self._num_rows

    def state_dict(self) -> State:
        return {"mean": self._mean, "rows": self._num_rows}

    def load_state_dict(self, state: State) -> None:
        self._mean = take(state, "mean", owner="mean target")
        self._num_rows = take(state, "rows", owner="mean target")


def _with_room(counts_C: Counts, learned_N: Floats) -> Counts:
    """The same with room for the labels that will be learned."""
    missing = int(learned_N.max(initial=-1.0)) + 1 - len(counts_C)
    return np.pad(counts_C, (0, missing)) if missing > 0 else counts_C


def classification_baselines() -> dict[str, Baseline]:
    """Fresh baselines of a classifier, by the name under which they are reported."""
    return {"last_label": LastTarget(first_answer=NO_ANSWER), "majority": Majority(), "decayed_prior": DecayedPrior()}


def regression_baselines() -> dict[str, Baseline]:
    """Fresh baselines of a regressor, by the name under which they are reported."""
    return {"last_value": LastTarget(first_answer=0.0), "mean": MeanTarget()}

"""The simple predictors that the model has to beat, run live beside it and scored by the same metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import numpy as np

from daemon.monitoring.metrics.tally import NO_ANSWER
from daemon.monitoring.saved import take, take_list
from daemon.state import State

DECAYED_PRIOR_HALF_LIFE_ROWS: Final = 32


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
        self._last = first_answer

    def predict(self) -> float:
        return self._last

    def learn(self, target: float) -> None:
        self._last = target

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
        self._counts_C: list[int] = []
        self._best = NO_ANSWER

    def predict(self) -> int:
        return self._best

    def learn(self, target: float) -> None:
        label = int(target)
        counts = self._counts_C
        if label >= len(counts):
            counts.extend([0] * (label + 1 - len(counts)))
        counts[label] += 1
        if self._best == NO_ANSWER or counts[label] > counts[self._best]:
            self._best = label

    def state_dict(self) -> State:
        return {"counts_C": np.array(self._counts_C, dtype=np.int64), "best": self._best}

    def load_state_dict(self, state: State) -> None:
        self._counts_C = take_list(state, "counts_C", owner="majority")
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
        self._mass_C: list[float] = []
        self._total = 0.0
        # Instead of shrinking every mass at each row, each new row weighs more; brought back to 1 now and then.
        self._row_mass = 1.0
        self._best = NO_ANSWER

    def predict(self) -> int:
        return self._best

    def probability(self, target: int) -> float:
        num_classes = len(self._mass_C)
        if not 0 <= target < num_classes:
            return 0.0
        half = 0.5 * self._row_mass
        return (self._mass_C[target] + half) / (self._total + num_classes * half)

    def learn(self, target: float) -> None:
        label = int(target)
        mass = self._mass_C
        if label >= len(mass):
            mass.extend([0.0] * (label + 1 - len(mass)))
        self._row_mass *= 2 ** (1 / DECAYED_PRIOR_HALF_LIFE_ROWS)
        if self._row_mass > 1e100:
            self._total /= self._row_mass
            self._mass_C = mass = [m / self._row_mass for m in mass]
            self._row_mass = 1.0
        mass[label] += self._row_mass
        self._total += self._row_mass
        # All masses decay alike, so only the label just seen can take the lead.
        if self._best == NO_ANSWER or mass[label] > mass[self._best]:
            self._best = label

    def state_dict(self) -> State:
        return {
            "mass_C": np.array(self._mass_C, dtype=np.float64),
            "total": self._total,
            "row_mass": self._row_mass,
            "best": self._best,
        }

    def load_state_dict(self, state: State) -> None:
        self._mass_C = take_list(state, "mass_C", owner="decayed prior")
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


def classification_baselines() -> dict[str, Baseline]:
    """Fresh baselines of a classifier, by the name under which they are reported."""
    return {"last_label": LastTarget(first_answer=NO_ANSWER), "majority": Majority(), "decayed_prior": DecayedPrior()}


def regression_baselines() -> dict[str, Baseline]:
    """Fresh baselines of a regressor, by the name under which they are reported."""
    return {"last_value": LastTarget(first_answer=0.0), "mean": MeanTarget()}

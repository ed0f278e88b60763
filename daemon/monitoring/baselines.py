"""The simple predictors that the model has to beat, run live beside it and scored by the same metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.monitoring.baseline import Baseline
from daemon.monitoring.baseline_kernels import Flags, Floats
from daemon.monitoring.label_baselines import DecayedPrior, LastLabel, Majority
from daemon.monitoring.saved import take
from daemon.state import State


class LastTarget(Baseline):
    """Repeats the last target.

    >>> last = LastTarget()
    >>> last.learn(3.0)
    >>> last.predict()
    3.0
    """

    def __init__(self) -> None:
        self._last = 0.0

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
    return {"last_label": LastLabel(), "majority": Majority(), "decayed_prior": DecayedPrior()}


def regression_baselines() -> dict[str, Baseline]:
    """Fresh baselines of a regressor, by the name under which they are reported."""
    return {"last_value": LastTarget(), "mean": MeanTarget()}

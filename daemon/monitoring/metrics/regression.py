"""Metrics of a regressor."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from daemon.monitoring.metrics.base import Figures, Floats, Metrics
from daemon.monitoring.saved import take, take_list
from daemon.state import State


class RegressionMetrics(Metrics):
    """Mean absolute and root mean squared error, since the start and over the last `window_rows` rows.

    A row whose answer is not a finite number is counted in `nonfinite` and left out of the means: one such row would
    otherwise make both useless for ever. Its loss is infinite.

    >>> metrics = RegressionMetrics(window_rows=2)
    >>> [metrics.update(target, 0.0, 0.0) for target in (5.0, 3.0, -4.0)]
    [5.0, 3.0, 4.0]
    >>> metrics.since_start()["mae"], metrics.window()["mae"]
    (4.0, 3.5)
    >>> round(metrics.window()["rmse"], 4)
    3.5355
    """

    def __init__(self, *, window_rows: int) -> None:
        self.num_examples = 0
        self._num_nonfinite = 0
        self._sum_absolute = 0.0
        self._sum_squared = 0.0
        self._window: deque[float] = deque(maxlen=window_rows)

    def update_all(self, target_B: Floats, answer_B: Floats, p_B: Floats) -> Floats:
        rows = zip(target_B.tolist(), answer_B.tolist(), strict=True)
        return np.array([self._add(abs(target - answer)) for target, answer in rows])

    def _add(self, error: float) -> float:
        """Count an absolute error, and return the loss that it is."""
        self.num_examples += 1
        squared = error * error
        if not squared < math.inf:  # NaN, infinite, or past what can be squared
            self._num_nonfinite += 1
            return math.inf
        self._sum_absolute += error
        self._sum_squared += squared
        self._window.append(error)
        return error

    def since_start(self) -> Figures:
        """examples, nonfinite, mae, rmse."""
        return _figures(self.num_examples, self._num_nonfinite, self._sum_absolute, self._sum_squared)

    def window(self) -> Figures:
        rows = self._window
        return _figures(len(rows), 0, math.fsum(rows), math.fsum(error * error for error in rows))

    def state_dict(self) -> State:
        return {
            "examples": self.num_examples,
            "nonfinite": self._num_nonfinite,
            "sum_absolute": self._sum_absolute,
            "sum_squared": self._sum_squared,
            "window": np.array(self._window, dtype=np.float64),
        }

    def load_state_dict(self, state: State) -> None:
        owner = "regression metrics"
        self.num_examples = take(state, "examples", owner=owner)
        self._num_nonfinite = take(state, "nonfinite", owner=owner)
        self._sum_absolute = take(state, "sum_absolute", owner=owner)
        self._sum_squared = take(state, "sum_squared", owner=owner)
        self._window = deque(take_list(state, "window", owner=owner), maxlen=self._window.maxlen)


def _figures(num_examples: int, num_nonfinite: int, sum_absolute: float, sum_squared: float) -> Figures:
    n = num_examples - num_nonfinite
    return {
        "examples": num_examples,
        "nonfinite": num_nonfinite,
        "mae": sum_absolute / n if n else None,
        "rmse": math.sqrt(sum_squared / n) if n else None,
    }

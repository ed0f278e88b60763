"""One number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.tasks.base import Target, Task
from daemon.state import JSON, State


class Regression(Task):
    """Targets are finite numbers and are learned as they are.

    >>> task = Regression()
    >>> task.admits([1.5, float("nan"), "high"], np.ones(3))
    [True, False, False]
    >>> task.encode([1.5, 2], np.ones(2)).tolist()
    [1.5, 2.0]
    >>> task.decode(np.array([0.5]))
    [{'value': 0.5}]
    """

    name = "regression"
    labels = ()

    def admits(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> list[bool]:
        return [not isinstance(target, str) and math.isfinite(target) for target in targets]

    def encode(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> NDArray[np.float64]:
        for target, admitted in zip(targets, self.admits(targets, weight_B), strict=True):
            if not admitted:
                raise ValueError(f"target {target!r} is not a finite number; send such rows to the dead letters")
        return np.array(targets, np.float64)

    def look_up(self, targets: Sequence[Target]) -> NDArray[np.float64]:
        return np.array(targets, np.float64)

    def decode(self, output: NDArray[np.float64]) -> list[dict[str, JSON]]:
        return [{"value": value} for value in output.tolist()]

    def state_dict(self) -> State:
        return {"labels": []}

    def load_state_dict(self, state: State) -> None:
        """There is nothing to take: a regression learns no labels."""

"""What a simple predictor is that the model has to beat."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from daemon.monitoring.baseline_kernels import Flags, Floats
from daemon.state import State


class Baseline(ABC):
    """Predicts each row before it learns it. For classification a target is a class index and an answer may be `NO_ANSWER`;
    for regression both are numbers, and the answer before the first target is 0."""

    has_probabilities = False
    """Whether it gives probabilities, as those of labels do."""

    @abstractmethod
    def predict(self) -> float:
        """The answer to the next row."""

    def probability(self, target: int) -> float:
        """What it gives to `target` being the next label; without probabilities 1 for its answer, 0 for others."""
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

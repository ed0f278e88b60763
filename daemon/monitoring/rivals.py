"""What the model has to beat, scored row by row beside it: the simple baselines, and its own best single expert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from daemon.monitoring.baseline_kernels import Flags
from daemon.monitoring.baselines import classification_baselines, regression_baselines
from daemon.monitoring.metrics.auc import BinaryScores
from daemon.monitoring.metrics.base import Figures, Floats, Metrics
from daemon.monitoring.saved import same_names, take
from daemon.monitoring.scored import answers, values
from daemon.state import State

BEST_EXPERT: Final = "best_expert"
"""The expert that had made the fewest errors (or the smallest ones) before the row; its output comes with the row."""


class Rivals:
    """The baselines of a task with their metrics, and, where the model is a pool of experts, the best of those."""

    def __init__(
        self, *, task: str, new_metrics: Callable[[bool], Metrics], has_experts: bool, collect_auc: bool = False
    ) -> None:
        """`new_metrics` makes metrics for a rival with probabilities or without; `collect_auc` is for classification alone."""
        self._classifies = task == "classification"
        self._baselines = classification_baselines() if self._classifies else regression_baselines()
        self._metrics = {name: new_metrics(baseline.has_probabilities) for name, baseline in self._baselines.items()}
        if has_experts:
            self._metrics[BEST_EXPERT] = new_metrics(self._classifies)
        self._scores = {name: BinaryScores() for name in self._metrics if collect_auc}

    @property
    def baseline_names(self) -> tuple[str, ...]:
        return tuple(self._baselines)

    def score(self, target_B: Floats, arrived_B: Floats, is_learned_B: Flags, expert: Floats | None) -> Floats:
        """Score rows in their order, and after each have the baselines learn the target that arrives with it, where it is to be
        learned. `expert` is the best one's output. The losses (R, B) of the R baselines."""
        if BEST_EXPERT in self._metrics:
            assert expert is not None, "a pool of experts tells what its best one said"
            read = answers if self._classifies else values
            self._metrics[BEST_EXPERT].update_all(*read(target_B, expert))
            if self._scores:
                self._scores[BEST_EXPERT].extend(target_B, expert)
        return np.array([self._score(name, target_B, arrived_B, is_learned_B) for name in self._baselines])

    def _score(self, name: str, target_B: Floats, arrived_B: Floats, is_learned_B: Flags) -> Floats:
        answer_B, p_B, second_B = self._baselines[name].follow(target_B, arrived_B, is_learned_B)
        if name in self._scores:
            self._scores[name].extend(target_B, np.stack([1.0 - second_B, second_B], axis=1))
        return self._metrics[name].update_all(target_B, answer_B, p_B)

    def since_start(self) -> dict[str, Figures]:
        """Each rival's figures over all rows."""
        return {name: metrics.since_start() for name, metrics in self._metrics.items()}

    def window(self) -> dict[str, Figures]:
        """Each rival's figures over the last rows."""
        return {name: metrics.window() for name, metrics in self._metrics.items()}

    def auc(self) -> dict[str, float | None]:
        """Each rival's over all rows, where it is collected."""
        return {name: scores.auc() for name, scores in self._scores.items()}

    def state_dict(self) -> State:
        state: State = {name: {"metrics": metrics.state_dict()} for name, metrics in self._metrics.items()}
        for name, baseline in self._baselines.items():
            state[name]["baseline"] = baseline.state_dict()
        for name, scores in self._scores.items():
            state[name]["scores"] = scores.state_dict()
        return state

    def load_state_dict(self, state: State) -> None:
        same_names(state, self._metrics, owner="baselines")
        for name, metrics in self._metrics.items():
            metrics.load_state_dict(take(state[name], "metrics", owner="baseline"))
        for name, baseline in self._baselines.items():
            baseline.load_state_dict(take(state[name], "baseline", owner="baseline"))
        for name, scores in self._scores.items():
            scores.load_state_dict(take(state[name], "scores", owner="baseline"))

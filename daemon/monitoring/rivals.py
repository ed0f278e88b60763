"""What the model has to beat, scored row by row beside it: the simple baselines, and its own best single expert."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from daemon.monitoring.baselines import Baseline, classification_baselines, regression_baselines
from daemon.monitoring.metrics.base import Figures, Floats, Metrics
from daemon.monitoring.saved import same_names, take
from daemon.state import State

BEST_EXPERT: Final = "best_expert"
"""The expert that had made the fewest errors (or the smallest ones) before the row; its answer comes with the row."""


class Rivals:
    """The baselines of a task with their metrics, and, where the model is a pool of experts, the best of those."""

    def __init__(self, *, task: str, new_metrics: Callable[[bool], Metrics], has_experts: bool) -> None:
        """`new_metrics` makes metrics for a rival with probabilities or without."""
        made = classification_baselines() if task == "classification" else regression_baselines()
        self._baselines: dict[str, tuple[Baseline, Metrics]] = {
            name: (baseline, new_metrics(baseline.has_probabilities)) for name, baseline in made.items()
        }
        self._expert = new_metrics(False) if has_experts else None

    @property
    def baseline_names(self) -> tuple[str, ...]:
        return tuple(self._baselines)

    def score(
        self,
        target_B: Floats,
        arrivals: Sequence[tuple[float, bool]],
        expert_answer_B: Floats | None,
    ) -> Floats:
        """Score rows in their order, and after each have the baselines learn the label that arrives with it: a target, and
        whether it is to be learned. The losses (R, B) of the R baselines."""
        if self._expert is not None:
            assert expert_answer_B is not None, "a pool of experts tells what its best one answered"
            self._expert.update_all(target_B, expert_answer_B, np.zeros(len(target_B)))
        return np.array([_score(baseline, metrics, target_B, arrivals) for baseline, metrics in self._baselines.values()])

    def since_start(self) -> dict[str, Figures]:
        """Each rival's figures over all rows."""
        return {name: metrics.since_start() for name, metrics in self._metrics().items()}

    def window(self) -> dict[str, Figures]:
        """Each rival's figures over the last rows."""
        return {name: metrics.window() for name, metrics in self._metrics().items()}

    def _metrics(self) -> dict[str, Metrics]:
        expert = {} if self._expert is None else {BEST_EXPERT: self._expert}
        return {name: metrics for name, (_, metrics) in self._baselines.items()} | expert

    def state_dict(self) -> State:
        baselines: State = {
            name: {"baseline": baseline.state_dict(), "metrics": metrics.state_dict()}
            for name, (baseline, metrics) in self._baselines.items()
        }
        return baselines | ({} if self._expert is None else {BEST_EXPERT: {"metrics": self._expert.state_dict()}})

    def load_state_dict(self, state: State) -> None:
        same_names(state, self._metrics(), owner="baselines")
        for name, metrics in self._metrics().items():
            metrics.load_state_dict(take(state[name], "metrics", owner="baseline"))
        for name, (baseline, _) in self._baselines.items():
            baseline.load_state_dict(take(state[name], "baseline", owner="baseline"))


def _score(baseline: Baseline, metrics: Metrics, target_B: Floats, arrivals: Sequence[tuple[float, bool]]) -> Floats:
    answers, probabilities = [], []
    for target, (arrived, is_learned) in zip(target_B.tolist(), arrivals, strict=True):
        answers.append(baseline.predict())
        probabilities.append(baseline.probability(int(target)) if baseline.has_probabilities else 0.0)
        if is_learned:
            baseline.learn(arrived)
    return metrics.update_all(target_B, np.array(answers, np.float64), np.array(probabilities))[0]

"""The trivial predictors beside the model, row by row, so that whole curves can be compared and not only their ends."""

from __future__ import annotations

from collections import deque

import numpy as np

from benchmarks.quality.scores import Answers, Floats
from daemon.monitoring.baselines import classification_baselines, regression_baselines


def baseline_answers(target_N: Floats, *, task: str, delay: int = 0) -> dict[str, Answers]:
    """What learnd's own baselines answer where each label arrives `delay` rows late."""
    new = classification_baselines if task == "classification" else regression_baselines
    nothing_N = np.full(len(target_N), np.nan)
    answers = {}
    for name, baseline in new().items():
        answer_N, p_N, late = np.empty(len(target_N)), nothing_N.copy(), deque[float]()
        for row, target in enumerate(target_N.tolist()):
            answer_N[row] = baseline.predict()
            if baseline.has_probabilities:
                p_N[row] = baseline.probability(int(target))
            late.append(target)
            if len(late) > delay:
                baseline.learn(late.popleft())
        answers[name] = Answers(answer_N, p_N, nothing_N)
    return answers

"""How far to trust the frequency of the classes when labels are late."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.calibration import LOG_FLOOR
from daemon.state import State

Floats = NDArray[np.float64]


class StalePrior:
    """Blends an answer with a balanced one, which does not know how frequent the classes are.

    Labels that are late tell how frequent the classes *were*. p_k ∝ answer_k^(1 − w) · balanced_k^w; w starts at one half
    and, by fixed share, each error of an answer costs it e^−`rate` of its weight, and a part `share` of the weight is spread
    evenly. Errors, not log losses: before the frequencies change the answer that knows them is only the more certain one.

    >>> prior = StalePrior(rate=np.log(3.0), share=0.0)
    >>> answer_C, balanced_C = np.array([0.9, 0.1]), np.array([0.1, 0.9])
    >>> prior.blend(answer_C, balanced_C).round(4).tolist()
    [0.5, 0.5]
    >>> prior.learn(answer_C, balanced_C, 1, 1.0)
    >>> prior.blend(answer_C, balanced_C).round(4).tolist()      # w = 3/4
    [0.25, 0.75]

    After Herbster and Warmuth 1998 (fixed share).
    """

    def __init__(self, *, rate: float = 0.05, share: float = 0.001) -> None:
        self._rate = rate
        self._share = share
        self._weight = 0.5  # w

    def blend(self, answer_C: Floats, balanced_C: Floats) -> Floats:
        """(C,) from two distributions over the same classes."""
        log_C = (1.0 - self._weight) * _log(answer_C) + self._weight * _log(balanced_C)
        p_C: Floats = np.exp(log_C - log_C.max())
        p_C /= p_C.sum()
        return p_C

    def learn(self, answer_C: Floats, balanced_C: Floats, target: int, weight: float) -> None:
        """Learn what both had said once the label is there; a class that neither knew makes an error of both."""
        errors = [int(p_C.argmax() != target) for p_C in (answer_C, balanced_C)]
        # An error of both weighs neither up: without it one factor is 1, however heavy the row.
        kept, balanced = (
            prior * np.exp(-weight * self._rate * (error - min(errors)))
            for prior, error in ((1.0 - self._weight, errors[0]), (self._weight, errors[1]))
        )
        self._weight = float((1.0 - self._share) * balanced / (kept + balanced) + self._share / 2.0)

    def state_dict(self) -> State:
        return {"weight": self._weight}

    def load_state_dict(self, state: State) -> None:
        self._weight = float(state["weight"])


def _log(p_C: Floats) -> Floats:
    log_C: Floats = np.log(np.maximum(p_C, LOG_FLOOR))
    return log_C

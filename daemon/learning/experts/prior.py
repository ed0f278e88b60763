"""The trivial expert that knows how often each label came lately."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.state import State

Floats = NDArray[np.float64]


class DecayedPrior(Expert):
    """Counts of the labels, halved every `half_life` rows; each class and the spare start from `pseudo_count`.

    An infinite `half_life` forgets nothing.

    >>> prior = DecayedPrior(half_life=1.0, pseudo_count=1.0)
    >>> for target in (0, 1, 1):
    ...     if target == len(prior.predict()) - 1:
    ...         prior.grow()
    ...     prior.learn(target, 1.0)
    >>> prior.predict().round(4).tolist()      # counts .25 and 1.5, and 1 each
    [0.2632, 0.5263, 0.2105]
    """

    is_trivial = True

    def __init__(self, *, half_life: float, pseudo_count: float, name: str = "prior") -> None:
        self.name = name
        self._decay = 0.5 ** (1.0 / half_life)
        self._pseudo_count = pseudo_count
        self._count_K = np.zeros(1)

    def predict(self) -> Floats:
        return _shares(self._count_K, self._pseudo_count)

    def learn(self, target: float, weight: float) -> None:
        if weight > 0.0:
            _count(self._count_K, self._decay, int(target), weight)

    def grow(self) -> None:
        self._count_K = np.append(self._count_K, 0.0)

    def state_dict(self) -> State:
        return {"counts": self._count_K.copy()}

    def load_state_dict(self, state: State) -> None:
        self._count_K = np.array(state["counts"], dtype=np.float64)

    weights = state_dict
    load_weights = load_state_dict


@compiled
def _count(count_K: Floats, decay: float, target: int, weight: float) -> None:
    for k in range(len(count_K)):
        count_K[k] *= decay
    count_K[target] += weight


@compiled
def _shares(count_K: Floats, pseudo_count: float) -> Floats:
    p_K: Floats = count_K + pseudo_count
    p_K /= p_K.sum()
    return p_K

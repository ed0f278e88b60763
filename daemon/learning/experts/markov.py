"""The trivial expert that knows which label follows which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.state import State


class MarkovLabel(Expert):
    """Decayed counts of the labels that followed the last one, learned row by row.

    A label starts from `pseudo_count` after every other, and from `pseudo_count + diagonal` after itself: that a label
    repeats is likely before anything is known. A row of counts decays by `decay` when its label was the last.

    >>> chain = MarkovLabel(decay=1.0, pseudo_count=0.5, diagonal=0.5)
    >>> for target in (0, 1, 0):
    ...     if target == len(chain.predict()) - 1:
    ...         chain.grow()
    ...     chain.learn(target, 1.0)
    >>> chain.predict().tolist()      # after 0 came: 1 once; and .5 + .5, .5, .5
    [0.3333333333333333, 0.5, 0.16666666666666666]
    """

    def __init__(self, *, decay: float, pseudo_count: float, diagonal: float, name: str = "markov") -> None:
        self.name = name
        self._decay = decay
        self._pseudo_count = pseudo_count
        self._diagonal = diagonal
        self._count_KK = np.zeros((1, 1))
        self._last = -1

    def predict(self) -> NDArray[np.float64]:
        p_K = np.full(len(self._count_KK), self._pseudo_count)
        if self._last >= 0:
            p_K += self._count_KK[self._last]
            p_K[self._last] += self._diagonal
        p_K /= p_K.sum()
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if weight > 0.0:
            if self._last >= 0:
                self._count_KK[self._last] *= self._decay
                self._count_KK[self._last, int(target)] += weight
            self._last = int(target)

    def grow(self) -> None:
        self._count_KK = np.pad(self._count_KK, (0, 1))

    def state_dict(self) -> State:
        return {"counts": self._count_KK.copy(), "last": self._last}

    def load_state_dict(self, state: State) -> None:
        self._count_KK = np.array(state["counts"], dtype=np.float64)
        self._last = int(state["last"])

    weights = state_dict
    load_weights = load_state_dict

"""The trivial expert that knows which label follows which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.state import State

Floats = NDArray[np.float64]

# What followed a label.
SAME, KNOWN, NEW = range(3)


class MarkovLabel(Expert):
    """Decayed counts of the labels that followed the last one, and of what followed any label: itself, a known one, a new one.

    A label's counts start from `pseudo_count` for every class and once more, shared out by what is known of all labels: to
    itself as much as labels were repeated lately, to the spare as much as a change brought a new label, the rest evenly. Where
    labels come sorted, one that is new is expected to stay from its second row on. Each row of counts decays by `decay` when
    its label was the last.

    >>> chain = MarkovLabel(decay=1.0, pseudo_count=0.5)
    >>> for target in (0, 1, 0):
    ...     if target == len(chain.predict()) - 1:
    ...         chain.grow()
    ...     chain.learn(target, 1.0)
    >>> chain.predict().tolist()      # after 0 came: 1 once; and of 2 in all 1/4, half of 3/4, half of 3/4
    [0.16666666666666666, 0.5833333333333334, 0.25]
    """

    is_trivial = True

    def __init__(self, *, decay: float, pseudo_count: float, name: str = "markov") -> None:
        self.name = name
        self._decay = decay
        self._pseudo_count = pseudo_count
        self._count_KK = np.zeros((1, 1))
        # How often a label was followed by itself, by another known one, by a new one.
        self._followed_3 = np.zeros(3)
        self._last, self._num_seen = -1, 0

    def predict(self) -> Floats:
        return _predict(self._count_KK, self._followed_3, self._last, self._num_seen, self._pseudo_count)

    def learn(self, target: float, weight: float) -> None:
        if weight > 0.0:
            label = int(target)
            if self._last >= 0:
                _learn(self._count_KK[self._last], self._followed_3, label, self._last, self._num_seen, weight, self._decay)
            self._last, self._num_seen = label, max(self._num_seen, label + 1)

    def grow(self) -> None:
        self._count_KK = np.pad(self._count_KK, (0, 1))

    def state_dict(self) -> State:
        own = {"counts": self._count_KK.copy(), "followed": self._followed_3.copy()}
        return own | {"last": self._last, "num_seen": self._num_seen}

    def load_state_dict(self, state: State) -> None:
        self._count_KK = np.array(state["counts"], dtype=np.float64)
        self._followed_3 = np.array(state["followed"], dtype=np.float64)
        self._last, self._num_seen = int(state["last"]), int(state["num_seen"])

    weights = state_dict
    load_weights = load_state_dict


@compiled
def _predict(count_KK: Floats, followed_3: Floats, last: int, num_seen: int, pseudo_count: float) -> Floats:
    num_classes = len(count_KK)
    p_K = np.empty(num_classes)
    if num_seen == 0:
        p_K[:] = 1.0 / num_classes
        return p_K
    changed = followed_3[KNOWN] + followed_3[NEW]
    changes = (changed + 1.0) / (followed_3[SAME] + changed + 2.0)
    to_new = (followed_3[NEW] + 1.0) / (changed + 2.0) if num_seen > 1 else 1.0
    mass = pseudo_count * (num_classes + 1)
    for k in range(num_classes):
        prior = changes * (1.0 - to_new) / max(1, num_seen - 1) if k < num_seen else changes * to_new / (num_classes - num_seen)
        p_K[k] = count_KK[last, k] + mass * (1.0 - changes if k == last else prior)
    p_K /= p_K.sum()
    return p_K


@compiled
def _learn(count_K: Floats, followed_3: Floats, label: int, last: int, num_seen: int, weight: float, decay: float) -> None:
    for k in range(len(count_K)):
        count_K[k] *= decay
    count_K[label] += weight
    for kind in range(3):
        followed_3[kind] *= decay
    followed_3[SAME if label == last else KNOWN if label < num_seen else NEW] += weight

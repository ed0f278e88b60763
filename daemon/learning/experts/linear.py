"""Multinomial logistic regression on dense inputs, row by row, with a step size for each weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.features.inputs import Dense
from daemon.state import State

Weights = NDArray[np.float32]

# AdaGrad's start: what a weight's first step is divided by.
START = 1e-3


class Linear(Expert):
    """p = softmax(Wx + b); each weight steps by `rate` · g / √(Σg²).

    >>> inputs = Dense()
    >>> inputs.widen(1)
    >>> inputs.values_D[:] = 1.0
    >>> linear = Linear(name="linear", inputs=inputs, rate=0.5)
    >>> linear.grow()
    >>> _ = linear.predict()
    >>> linear.learn(0, 1.0)
    >>> linear.predict().round(4).tolist()
    [0.8804, 0.1196]

    After Duchi, Hazan and Singer 2011.
    """

    def __init__(self, *, name: str, inputs: Dense, rate: float) -> None:
        self.name = name
        self._inputs = inputs
        self._rate = rate
        # The bias is the weight of a first input that is always 1.
        self._weight_DK: Weights = np.zeros((1, 1), dtype=np.float32)
        self._square_DK: Weights = np.full((1, 1), START, dtype=np.float32)
        self._p_K = np.ones(1)

    def predict(self) -> NDArray[np.float64]:
        self._fit_width()
        self._p_K = _predict(self._inputs.values_D, self._weight_DK)
        return self._p_K

    def _fit_width(self) -> None:
        missing = self._inputs.width + 1 - len(self._weight_DK)
        if missing > 0:
            self._weight_DK = np.pad(self._weight_DK, ((0, missing), (0, 0)))
            self._square_DK = np.pad(self._square_DK, ((0, missing), (0, 0)), constant_values=START)

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        _learn(self._inputs.values_D, self._weight_DK, self._square_DK, self._p_K, int(target), self._rate, weight)

    def grow(self) -> None:
        self._weight_DK = np.concatenate([self._weight_DK, self._weight_DK[:, -1:]], axis=1)
        self._square_DK = np.concatenate([self._square_DK, self._square_DK[:, -1:]], axis=1)
        self._p_K = np.append(self._p_K, self._p_K[-1]) / (1.0 + self._p_K[-1])

    def state_dict(self) -> State:
        return self.weights() | {"square": self._square_DK.copy()}

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._square_DK = np.array(state["square"], dtype=np.float32)

    def weights(self) -> State:
        self._fit_width()
        return {"weight": self._weight_DK.copy()}

    def load_weights(self, state: State) -> None:
        self._weight_DK = np.array(state["weight"], dtype=np.float32)
        self._square_DK = np.full_like(self._weight_DK, START)


@compiled
def _predict(value_D: Weights, weight_DK: Weights) -> NDArray[np.float64]:
    num_known = weight_DK.shape[1]
    p_K = np.empty(num_known)
    for k in range(num_known):
        p_K[k] = weight_DK[0, k]
    for d in range(len(value_D)):
        if value_D[d] != 0.0:
            for k in range(num_known):
                p_K[k] += value_D[d] * weight_DK[d + 1, k]
    top = p_K.max()
    total = 0.0
    for k in range(num_known):
        p_K[k] = max(np.exp(p_K[k] - top), 1e-12)
        total += p_K[k]
    return p_K / total


@compiled
def _learn(
    value_D: Weights,
    weight_DK: Weights,
    square_DK: Weights,
    p_K: NDArray[np.float64],
    target: int,
    rate: float,
    weight: float,
) -> None:
    error_K = p_K.copy()
    error_K[target] -= 1.0
    for d in range(len(weight_DK)):
        value = 1.0 if d == 0 else value_D[d - 1]
        if value != 0.0:
            for k in range(len(p_K)):
                gradient = error_K[k] * value
                square_DK[d, k] += gradient * gradient
                weight_DK[d, k] -= rate * weight * gradient / np.sqrt(square_DK[d, k])

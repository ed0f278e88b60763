"""Recursive least squares on random Fourier features: a kernel machine that forgets, one row at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.learning.experts.least_squares import LeastSquares
from daemon.learning.experts.tempered import TemperedSoftmax
from daemon.learning.features.fourier_map import FourierMap
from daemon.learning.features.inputs import Dense
from daemon.state import State

Floats = NDArray[np.float64]


class FourierLeastSquares(Expert):
    """Scores s_k = W_kᵀφ(x) fit one-hot labels by least squares with a memory of 1 / (1 - `forgetting`) rows.

    p is their `TemperedSoftmax`, φ is `FourierMap`'s.

    >>> inputs = Dense()
    >>> inputs.widen(1)
    >>> fourier = FourierLeastSquares(name="fourier", inputs=inputs, bandwidth=1.0, forgetting=0.99, seed=0, num_features=50)
    >>> fourier.grow()
    >>> _ = fourier.predict()
    >>> fourier.learn(0, 1.0)
    >>> fourier.predict().round(2).tolist()
    [0.99, 0.01]
    """

    def __init__(
        self,
        *,
        name: str,
        inputs: Dense,
        bandwidth: float,
        forgetting: float,
        seed: int,
        num_features: int,
        ridge: float = 0.1,
    ) -> None:
        self.name = name
        self._map = FourierMap(inputs=inputs, bandwidth=bandwidth, num_features=num_features, seed=seed)
        self._squares = LeastSquares(num_features=num_features, num_outputs=1, forgetting=forgetting, ridge=ridge)
        self._softmax = TemperedSoftmax(temperature=4.0, rate=0.3, discounts_new=True)
        self._phi_F = np.zeros(num_features)
        self._score_K = np.zeros(1)

    def predict(self) -> NDArray[np.float64]:
        self._phi_F = self._map.embed()
        self._score_K = self._squares.predict(self._phi_F)
        return self._softmax.predict(self._score_K)

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        self._map.learn()
        error_K = -self._score_K
        error_K[int(target)] += 1.0
        self._squares.learn(self._phi_F, error_K, weight)
        self._softmax.learn(int(target), weight)

    def grow(self) -> None:
        self._squares.grow()
        self._score_K = np.append(self._score_K, 0.0)
        self._softmax.grow()

    def state_dict(self) -> State:
        return self.weights() | {"squares": self._squares.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._squares.load_state_dict(state["squares"])

    def weights(self) -> State:
        return {
            "map": self._map.state_dict(),
            "weight": self._squares.weight_KF.copy(),
            "softmax": self._softmax.state_dict(),
        }

    def load_weights(self, state: State) -> None:
        self._map.load_state_dict(state["map"])
        self._squares.weight_KF = np.array(state["weight"], dtype=np.float64)
        self._softmax.load_state_dict(state["softmax"])

"""Recursive least squares on random Fourier features: a kernel machine that forgets, one row at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.experts.least_squares import LeastSquares
from daemon.learning.features.fourier_map import FourierMap
from daemon.learning.features.inputs import Dense
from daemon.state import State

Floats = NDArray[np.float64]


class FourierLeastSquares(Expert):
    """Scores s_k = W_kᵀφ(x) fit one-hot labels by least squares with a memory of 1 / (1 - `forgetting`) rows.

    p_k ∝ f_k · exp(τ · s_k) with τ learned by log loss; f_k is 1, but for a class never learned (the spare) the part of rows
    whose label was new. φ is `FourierMap`'s.
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
        self._count_K = np.zeros(1)
        self._log_temperature_S = np.array([np.log(4.0), 0.01])  # ln τ, and Σg² of its steps
        self._phi_F = np.zeros(num_features)
        self._score_K = np.zeros(1)
        self._p_K = np.ones(1)

    def predict(self) -> NDArray[np.float64]:
        self._phi_F = self._map.embed()
        self._score_K = self._squares.predict(self._phi_F)
        self._p_K = _softmax(self._score_K, self._count_K, self._log_temperature_S[0])
        return self._p_K

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        self._map.learn()
        error_K = -self._score_K
        error_K[int(target)] += 1.0
        self._squares.learn(self._phi_F, error_K, weight)
        _learn_temperature(self._score_K, self._p_K, int(target), weight, self._log_temperature_S)
        self._count_K[int(target)] += 1.0

    def grow(self) -> None:
        self._squares.grow()
        self._count_K = np.append(self._count_K, 0.0)
        self._score_K = np.append(self._score_K, 0.0)
        self._p_K = np.append(self._p_K, self._p_K[-1]) / (1.0 + self._p_K[-1])

    def state_dict(self) -> State:
        return self.weights() | {"squares": self._squares.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._squares.load_state_dict(state["squares"])

    def weights(self) -> State:
        return {
            "map": self._map.state_dict(),
            "weight": self._squares.weight_KF.copy(),
            "counts": self._count_K.copy(),
            "log_temperature": self._log_temperature_S.copy(),
        }

    def load_weights(self, state: State) -> None:
        self._map.load_state_dict(state["map"])
        self._squares.weight_KF = np.array(state["weight"], dtype=np.float64)
        self._count_K = np.array(state["counts"], dtype=np.float64)
        self._log_temperature_S = np.array(state["log_temperature"], dtype=np.float64)


@compiled
def _softmax(score_K: Floats, count_K: Floats, log_temperature: float) -> Floats:
    num_known = len(score_K)
    temperature = np.exp(log_temperature)
    novel = (num_known - 0.5) / (count_K.sum() + num_known)
    top = score_K.max()
    p_K = np.zeros(num_known)
    for k in range(num_known):
        factor = 1.0 if count_K[k] > 0.0 else novel
        p_K[k] = max(factor * np.exp(temperature * (score_K[k] - top)), 1e-12)
    p_K /= p_K.sum()
    return p_K


@compiled
def _learn_temperature(score_K: Floats, p_K: Floats, target: int, weight: float, log_temperature_S: Floats) -> None:
    """One AdaGrad step on ln τ by the log loss."""
    expected = 0.0
    for k in range(len(score_K)):
        expected += p_K[k] * score_K[k]
    gradient = np.exp(log_temperature_S[0]) * (expected - score_K[target])
    gradient = min(1.0, max(-1.0, gradient))
    log_temperature_S[1] += gradient * gradient
    log_temperature_S[0] -= 0.3 * weight * gradient / np.sqrt(log_temperature_S[1])
    log_temperature_S[0] = min(4.0, max(-1.0, log_temperature_S[0]))

"""Random Fourier features of dense inputs: a fixed random map whose inner products approach a Gaussian kernel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.inputs import DenseInputs
from daemon.state import State

Floats = NDArray[np.float64]


class FourierMap:
    """φ(x) = √(2/F) · cos(Ωx + b), F = `num_features`, Ω normal over `bandwidth` · √(number of inputs), b uniform.

    The number of inputs is that at the first row learned. An input that appears later gets its rows of Ω then, drawn from
    (seed, input): so the map needs no state but that number.

    After Rahimi and Recht 2007.
    """

    def __init__(self, *, inputs: DenseInputs, bandwidth: float, num_features: int, seed: int) -> None:
        self._inputs = inputs
        self._bandwidth = bandwidth
        self._seed = seed
        self._shift_F = np.random.default_rng([seed, 0]).uniform(0.0, 2.0 * np.pi, num_features)
        self._omega_DF = np.zeros((0, num_features))
        self._num_inputs_at_start = 0

    def embed(self) -> Floats:
        """(F,) φ of the current row."""
        width, num_features = self._inputs.width, len(self._shift_F)
        if width > len(self._omega_DF):
            new = [
                np.random.default_rng([self._seed, 1, i]).normal(size=num_features) for i in range(len(self._omega_DF), width)
            ]
            self._omega_DF = np.concatenate([self._omega_DF, np.stack(new)])
        scale = 1.0 / (self._bandwidth * math.sqrt(max(1, self._num_inputs_at_start or width)))
        return _embed(self._inputs.values_D, self._omega_DF, self._shift_F, scale)

    def learn(self) -> None:
        """The first row learned settles the bandwidth."""
        if not self._num_inputs_at_start:
            self._num_inputs_at_start = self._inputs.width

    def state_dict(self) -> State:
        return {"num_inputs_at_start": self._num_inputs_at_start}

    def load_state_dict(self, state: State) -> None:
        self._num_inputs_at_start = int(state["num_inputs_at_start"])


@compiled
def _embed(value_D: NDArray[np.float32], omega_DF: Floats, shift_F: Floats, scale: float) -> Floats:
    num_features = len(shift_F)
    phi_F = np.zeros(num_features)
    for d in range(len(value_D)):
        if value_D[d] != 0.0:
            value = value_D[d] * scale
            for f in range(num_features):
                phi_F[f] += value * omega_DF[d, f]
    norm = np.sqrt(2.0 / num_features)
    for f in range(num_features):
        phi_F[f] = norm * np.cos(phi_F[f] + shift_F[f])
    return phi_F

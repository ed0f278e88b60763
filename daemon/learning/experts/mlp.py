"""A small neural network as an expert on dense inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.learning.experts.perceptron import Perceptron
from daemon.learning.experts.perceptron_kernels import softmax
from daemon.learning.features.inputs import Dense
from daemon.state import State


class MLP(Expert):
    """p = softmax of a `Perceptron`'s outputs, one a class, that of the spare class among them.

    >>> inputs = Dense()
    >>> inputs.widen(1)
    >>> inputs.values_D[:] = 1.0
    >>> mlp = MLP(name="mlp", inputs=inputs, seed=0)
    >>> mlp.grow()
    >>> for _ in range(20):
    ...     p_K = mlp.predict()
    ...     mlp.learn(0, 1.0)
    >>> mlp.predict().round(3).tolist()
    [0.999, 0.001]
    """

    def __init__(self, *, name: str, inputs: Dense, seed: int, num_replayed: int = 7) -> None:
        self.name = name
        self._perceptron = Perceptron(inputs=inputs, seed=seed, classifies=True, rate=0.003, steps=1, num_replayed=num_replayed)

    def predict(self) -> NDArray[np.float64]:
        return softmax(self._perceptron.predict())

    def learn(self, target: float, weight: float) -> None:
        if weight > 0.0:
            self._perceptron.learn(target, weight)

    def grow(self) -> None:
        self._perceptron.grow()

    def state_dict(self) -> State:
        return self._perceptron.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._perceptron.load_state_dict(state)

    def weights(self) -> State:
        return self._perceptron.weights()

    def load_weights(self, state: State) -> None:
        self._perceptron.load_weights(state)

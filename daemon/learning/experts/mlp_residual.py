"""What a small neural network learns of what a guess leaves over."""

from __future__ import annotations

from daemon.learning.experts.perceptron import Perceptron
from daemon.learning.experts.residual import Residual
from daemon.learning.features.inputs import DenseInputs
from daemon.learning.features.references import Reference
from daemon.state import State


class MLPResidual(Residual):
    """f(x) by a small neural network (see `Perceptron`), which replays the residuals that it saw.

    >>> from daemon.learning.features.inputs import Dense
    >>> reference = Reference()
    >>> reference.value, reference.scale = 10.0, 2.0
    >>> mlp = MLPResidual(name="mlp", reference=reference, inputs=Dense(), seed=0)
    >>> for _ in range(1000):
    ...     _ = mlp.predict()
    ...     mlp.learn(12.0, 1.0)
    >>> mlp.predict().round(2).tolist()
    [12.0]
    """

    def __init__(
        self,
        *,
        name: str,
        reference: Reference,
        inputs: DenseInputs,
        seed: int,
        rate: float = 3e-3,
        steps: int = 2,
        error_limit: float = 3.0,
    ) -> None:
        super().__init__(name=name, reference=reference, error_limit=error_limit)
        self._perceptron = Perceptron(inputs=inputs, seed=seed, classifies=False, rate=rate, steps=steps)

    def _predict(self) -> float:
        return float(self._perceptron.predict()[0])

    def _learn(self, error: float, weight: float) -> None:
        self._perceptron.learn(self._output + error, weight)

    def _fit_state(self) -> State:
        return self._perceptron.state_dict()

    def _load_fit_state(self, state: State) -> None:
        self._perceptron.load_state_dict(state)

    def _fit_weights(self) -> State:
        return self._perceptron.weights()

    def _load_fit_weights(self, state: State) -> None:
        self._perceptron.load_weights(state)

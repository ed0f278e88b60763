"""What least squares on random Fourier features learn of what a guess leaves over."""

from __future__ import annotations

import numpy as np

from daemon.learning.experts.least_squares import LeastSquares
from daemon.learning.experts.residual import Residual
from daemon.learning.features.fourier_map import FourierMap
from daemon.learning.features.inputs import DenseInputs
from daemon.learning.features.references import Reference
from daemon.state import State


class FourierResidual(Residual):
    """f(x) by recursive least squares on random Fourier features of dense inputs (see `FourierMap`).

    >>> from daemon.learning.features.inputs import Dense
    >>> reference = Reference()
    >>> reference.value, reference.scale = 10.0, 2.0
    >>> fourier = FourierResidual(
    ...     name="fourier", reference=reference, inputs=Dense(), bandwidth=1.0, forgetting=1.0, seed=0
    ... )
    >>> _ = fourier.predict()
    >>> fourier.learn(12.0, 1.0)
    >>> fourier.predict().round(2).tolist()
    [11.83]
    """

    def __init__(
        self,
        *,
        name: str,
        reference: Reference,
        inputs: DenseInputs,
        bandwidth: float,
        forgetting: float,
        seed: int,
        num_features: int = 200,
        ridge: float = 0.1,
        error_limit: float = 1.0,
    ) -> None:
        super().__init__(name=name, reference=reference, error_limit=error_limit)
        self._map = FourierMap(inputs=inputs, bandwidth=bandwidth, num_features=num_features, seed=seed)
        self._squares = LeastSquares(num_features=num_features, num_outputs=1, forgetting=forgetting, ridge=ridge)
        self._phi_F = np.zeros(num_features)

    def _predict(self) -> float:
        self._phi_F = self._map.embed()
        return float(self._squares.predict(self._phi_F)[0])

    def _learn(self, error: float, weight: float) -> None:
        self._map.learn()
        self._squares.learn(self._phi_F, np.array([error]), weight)

    def _fit_state(self) -> State:
        return {"map": self._map.state_dict(), "squares": self._squares.state_dict()}

    def _load_fit_state(self, state: State) -> None:
        self._map.load_state_dict(state["map"])
        self._squares.load_state_dict(state["squares"])

    def _fit_weights(self) -> State:
        return {"map": self._map.state_dict(), "weight": self._squares.weight_KF.copy()}

    def _load_fit_weights(self, state: State) -> None:
        self._map.load_state_dict(state["map"])
        self._squares.load_weights(state["weight"])

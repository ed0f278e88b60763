"""What a linear function of dense inputs learns of what a guess leaves over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.least_squares import LeastSquares
from daemon.learning.experts.residual import Residual
from daemon.learning.features.inputs import DenseInputs
from daemon.learning.features.references import Reference
from daemon.state import State


class LinearResidual(Residual):
    """f(x) = w·x + b by recursive least squares, over the inputs of several extractors.

    >>> reference = Reference()
    >>> reference.value, reference.scale = 10.0, 2.0
    >>> linear = LinearResidual(name="linear", reference=reference, inputs=(), forgetting=1.0)
    >>> _ = linear.predict()
    >>> linear.learn(12.0, 1.0)      # a residual of one scale: b is the mean of 0 and 1
    >>> linear.predict().tolist()
    [11.0]
    """

    def __init__(
        self,
        *,
        name: str,
        reference: Reference,
        inputs: Sequence[DenseInputs],
        forgetting: float,
        ridge: float = 1.0,
        error_limit: float = 1.0,
    ) -> None:
        super().__init__(name=name, reference=reference, error_limit=error_limit)
        self._inputs = tuple(inputs)
        self._squares = LeastSquares(num_features=1, num_outputs=1, forgetting=forgetting, ridge=ridge)
        # Where the inputs of each part stand among the features, in the order in which they came; the bias is the first.
        self._place_of: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64) for _ in self._inputs]
        self._phi_F = np.ones(1)

    def _predict(self) -> float:
        self._fit_width()
        self._phi_F = np.ones(self._squares.num_features)
        for inputs, place_D in zip(self._inputs, self._place_of, strict=True):
            self._phi_F[place_D] = inputs.values_D
        return float(self._squares.predict(self._phi_F)[0])

    def _fit_width(self) -> None:
        """Features for the inputs that have come; they start from 0."""
        width = self._squares.num_features
        for part, inputs in enumerate(self._inputs):
            new = inputs.width - len(self._place_of[part])
            self._place_of[part] = np.append(self._place_of[part], np.arange(width, width + new))
            width += new
        self._squares.widen(width)

    def _learn(self, error: float, weight: float) -> None:
        self._squares.learn(self._phi_F, np.array([error]), weight)

    def _places(self) -> State:
        self._fit_width()
        return {str(part): place_D.copy() for part, place_D in enumerate(self._place_of)}

    def _load_places(self, state: State) -> None:
        self._place_of = [np.array(state[str(part)], dtype=np.int64) for part in range(len(self._inputs))]

    def _fit_state(self) -> State:
        return {"places": self._places(), "squares": self._squares.state_dict()}

    def _load_fit_state(self, state: State) -> None:
        self._load_places(state["places"])
        self._squares.load_state_dict(state["squares"])

    def _fit_weights(self) -> State:
        return {"places": self._places(), "weight": self._squares.weight_KF.copy()}

    def _load_fit_weights(self, state: State) -> None:
        self._load_places(state["places"])
        self._squares.load_weights(state["weight"])

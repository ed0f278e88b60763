"""Regression experts: guesses as they are, and what can be learned of what a guess leaves over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.learning.experts.least_squares import LeastSquares
from daemon.learning.experts.perceptron import Perceptron
from daemon.learning.features.fourier_map import FourierMap
from daemon.learning.features.inputs import Dense
from daemon.learning.features.references import Reference
from daemon.state import State

Floats = NDArray[np.float64]


class Guess(Expert):
    """A reference's value, as it is."""

    def __init__(self, *, name: str, reference: Reference) -> None:
        self.name = name
        self._reference = reference

    def predict(self) -> Floats:
        return np.array([self._reference.value])

    def learn(self, target: float, weight: float) -> None:
        """Nothing: the reference belongs to an extractor, which learns it."""

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None: ...

    weights = state_dict
    load_weights = load_state_dict


class Residual(Expert):
    """Reference value + scale · f(row), with f fitted to what the reference leaves over, in its scales.

    A subclass gives f. Errors of f are clipped to ±`error_limit` before it learns from them, so that a wild target moves it as
    a large one would. Nothing is learned before the reference has a scale.
    """

    def __init__(self, *, name: str, reference: Reference, error_limit: float) -> None:
        self.name = name
        self._reference = reference
        self._error_limit = error_limit
        self._output = 0.0

    def predict(self) -> Floats:
        self._output = self._predict()
        return np.array([self._reference.value + self._reference.scale * self._output])

    def learn(self, target: float, weight: float) -> None:
        if weight > 0.0 and self._reference.scale > 0.0:
            residual = (target - self._reference.value) / self._reference.scale
            error = min(self._error_limit, max(-self._error_limit, residual - self._output))
            self._learn(error, weight)

    @abstractmethod
    def _predict(self) -> float:
        """f of the current row."""

    @abstractmethod
    def _learn(self, error: float, weight: float) -> None:
        """Move f of the current row, where `_predict` was `error` too low."""


class LinearResidual(Residual):
    """f(x) = w·x + b by recursive least squares, over the inputs of several extractors."""

    def __init__(
        self,
        *,
        name: str,
        reference: Reference,
        inputs: Sequence[Dense],
        forgetting: float,
        ridge: float = 1.0,
        error_limit: float = 1.0,
    ) -> None:
        super().__init__(name=name, reference=reference, error_limit=error_limit)
        self._inputs = tuple(inputs)
        # Inputs that come later stand at the end, so each part remembers where its inputs are.
        self._place_D = np.zeros(0, dtype=np.int64)
        self._squares = LeastSquares(num_features=1, num_outputs=1, forgetting=forgetting, ridge=ridge)
        self._phi_F = np.ones(1)

    def _gather(self) -> Floats:
        """(F,) 1, then the inputs in the order in which they came."""
        parts = [inputs.values_D for inputs in self._inputs]
        self._fit_width([len(part) for part in parts])
        phi_F = np.empty(1 + len(self._place_D))
        phi_F[0] = 1.0
        phi_F[1:] = np.concatenate(parts)[np.argsort(self._place_D, kind="stable")] if parts else 0.0
        return phi_F

    def _fit_width(self, widths: Sequence[int]) -> None: ...

    def _predict(self) -> float:
        return 0.0

    def _learn(self, error: float, weight: float) -> None: ...

"""Regression experts: a guess as it is, and the contract of what is learned of what a guess leaves over."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.learning.features.references import Reference
from daemon.state import State

Floats = NDArray[np.float64]


class Guess(Expert):
    """A reference's value, as it is.

    >>> reference = Reference()
    >>> reference.value = 3.0
    >>> Guess(name="guess", reference=reference).predict().tolist()
    [3.0]
    """

    is_trivial = True

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
    a large one would. Nothing is learned before the reference has a scale. `prediction` is a reference for experts that stand
    after this one in the pool, to learn what it leaves over.
    """

    def __init__(self, *, name: str, reference: Reference, error_limit: float) -> None:
        self.name = name
        self._reference = reference
        self._error_limit = error_limit
        self._output = 0.0
        self.prediction = Reference()

    def predict(self) -> Floats:
        self._output = self._predict()
        self.prediction.value = self._reference.value + self._reference.scale * self._output
        return np.array([self.prediction.value])

    def learn(self, target: float, weight: float) -> None:
        if weight > 0.0 and self._reference.scale > 0.0:
            residual = (target - self._reference.value) / self._reference.scale
            error = min(self._error_limit, max(-self._error_limit, residual - self._output))
            self._learn(error, weight)
            self.prediction.learn(target)

    @abstractmethod
    def _predict(self) -> float:
        """f of the current row."""

    @abstractmethod
    def _learn(self, error: float, weight: float) -> None:
        """Move f of the current row, where `_predict` was `error` too low."""

    def state_dict(self) -> State:
        return {"prediction": self.prediction.state_dict(), "fit": self._fit_state()}

    def load_state_dict(self, state: State) -> None:
        self.prediction.load_state_dict(state["prediction"])
        self._load_fit_state(state["fit"])

    def weights(self) -> State:
        return {"prediction": self.prediction.state_dict(), "fit": self._fit_weights()}

    def load_weights(self, state: State) -> None:
        self.prediction.load_state_dict(state["prediction"])
        self._load_fit_weights(state["fit"])

    @abstractmethod
    def _fit_state(self) -> State: ...

    @abstractmethod
    def _load_fit_state(self, state: State) -> None: ...

    @abstractmethod
    def _fit_weights(self) -> State: ...

    @abstractmethod
    def _load_fit_weights(self, state: State) -> None: ...

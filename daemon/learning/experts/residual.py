"""Regression experts: guesses as they are, and what can be learned of what a guess leaves over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.experts.least_squares import LeastSquares
from daemon.learning.experts.perceptron import Perceptron
from daemon.learning.features.fourier_map import FourierMap
from daemon.learning.features.inputs import DenseInputs
from daemon.learning.features.references import Reference
from daemon.state import State

Floats = NDArray[np.float64]
SparseRow: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""(T,) hashes and (T,) values of the features of a row."""

# AdaGrad's start: what a weight's first step is divided by.
START = 1e-6


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


class LinearResidual(Residual):
    """f(x) = w·x + b by recursive least squares, over the inputs of several extractors."""

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


class FourierResidual(Residual):
    """f(x) by recursive least squares on random Fourier features of dense inputs (see `FourierMap`)."""

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


class MLPResidual(Residual):
    """f(x) by a small neural network (see `Perceptron`), which replays the residuals that it saw."""

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


class HashedResidual(Residual):
    """f = Σ x_j w_j over the features of a hashed sparse row, by AdaGrad; `2 ** bits` weights are shared by hash.

    A weight steps by `rate` / Σ|x| · x_j · g / √(Σg²), so that a row of features never seen moves by at most `rate`.
    """

    def __init__(
        self,
        *,
        name: str,
        reference: Reference,
        row: Callable[[], SparseRow],
        rate: float,
        bits: int = 18,
        error_limit: float = 3.0,
    ) -> None:
        super().__init__(name=name, reference=reference, error_limit=error_limit)
        self._row = row
        self._rate = rate
        self._weight_R = np.zeros(2**bits)
        self._square_R = np.full(2**bits, START)

    def _predict(self) -> float:
        hashes_T, value_T = self._row()
        return float(_sparse_predict(hashes_T, value_T, self._weight_R))

    def _learn(self, error: float, weight: float) -> None:
        hashes_T, value_T = self._row()
        _sparse_learn(hashes_T, value_T, self._weight_R, self._square_R, error, self._rate, weight)

    def _fit_state(self) -> State:
        return self._fit_weights() | {"square": self._square_R.copy()}

    def _load_fit_state(self, state: State) -> None:
        self._load_fit_weights(state)
        self._square_R = np.array(state["square"], dtype=np.float64)

    def _fit_weights(self) -> State:
        return {"weight": self._weight_R.copy()}

    def _load_fit_weights(self, state: State) -> None:
        self._weight_R = np.array(state["weight"], dtype=np.float64)


@compiled
def _sparse_predict(hashes_T: NDArray[np.uint64], value_T: NDArray[np.float32], weight_R: Floats) -> float:
    mask = np.uint64(len(weight_R) - 1)
    total = 0.0
    for t in range(len(hashes_T)):
        total += value_T[t] * weight_R[hashes_T[t] & mask]
    return total


@compiled
def _sparse_learn(
    hashes_T: NDArray[np.uint64],
    value_T: NDArray[np.float32],
    weight_R: Floats,
    square_R: Floats,
    error: float,
    rate: float,
    weight: float,
) -> None:
    mask = np.uint64(len(weight_R) - 1)
    length = 0.0
    for t in range(len(hashes_T)):
        length += abs(value_T[t])
    for t in range(len(hashes_T)):
        row = hashes_T[t] & mask
        gradient = error * value_T[t]
        square_R[row] += gradient * gradient
        weight_R[row] += weight * rate / length * gradient / np.sqrt(square_R[row])

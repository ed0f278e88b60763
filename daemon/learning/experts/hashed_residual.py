"""What hashed sparse features tell of what a guess leaves over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.residual import Floats, Residual
from daemon.learning.features.references import Reference
from daemon.state import State

SparseRow: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""(T,) hashes and (T,) values of the features of a row."""

# AdaGrad's start: what a weight's first step is divided by.
START = 1e-6


class HashedResidual(Residual):
    """f = Σ x_j w_j over the features of a hashed sparse row, by AdaGrad; `2 ** bits` weights are shared by hash.

    A weight steps by `rate` / Σ|x| · x_j · g / √(Σg²), so that a row of features never seen moves by at most `rate`.

    >>> reference = Reference()
    >>> reference.value, reference.scale = 10.0, 2.0
    >>> row = np.array([5], np.uint64), np.ones(1, np.float32)
    >>> hashed = HashedResidual(name="hashed", reference=reference, row=lambda: row, rate=0.5)
    >>> _ = hashed.predict()
    >>> hashed.learn(12.0, 1.0)
    >>> hashed.predict().round(4).tolist()      # half a scale further
    [11.0]
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

"""Multinomial logistic regression over hashed tokens, row by row, with a step size for each weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.features.inputs import Tokens
from daemon.state import State

Weights = NDArray[np.float32]

# AdaGrad's start: what a weight's first step is divided by, so that a token seen once does not rule.
START = 1e-3
# A class more than so many has its memory from the rows of the table: it is folded in half as classes double.
CLASSES_AT_FULL_SIZE = 8


class Tiles(Expert):
    """p = softmax(Σ_t W[t] + b) over the tokens t of the current row; tokens share `2 ** bits` rows of weights by hash.

    Each weight steps by `rate` · g / √(Σg²) (AdaGrad). A pool that knows more than 8 classes halves the rows of the table
    with each doubling of the classes, rows that fall together being averaged, so that the memory stays at `2 ** bits` · 64
    bytes for weights and accumulators together.

    After Duchi, Hazan and Singer 2011; tile coding after Albus 1975.
    """

    def __init__(self, *, name: str, tokens: Tokens, rate: float, bits: int = 18) -> None:
        self.name = name
        self._tokens = tokens
        self._rate = rate
        self._num_known = 1
        self._weight_RK: Weights = np.zeros((2**bits, 4), dtype=np.float32)
        self._square_RK: Weights = np.full((2**bits, 4), START, dtype=np.float32)
        self._bias_K: Weights = np.zeros(4, dtype=np.float32)
        self._bias_square_K: Weights = np.full(4, START, dtype=np.float32)
        self._p_K: NDArray[np.float64] = np.ones(1)

    def predict(self) -> NDArray[np.float64]:
        self._p_K = _predict(self._tokens.hashes_T, self._weight_RK, self._bias_K, self._num_known)
        return self._p_K

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        _learn(
            self._tokens.hashes_T, self._weight_RK, self._square_RK, self._bias_K, self._bias_square_K,
            self._p_K, int(target), self._rate, weight,
        )  # fmt: skip

    def grow(self) -> None:
        spare = self._num_known - 1
        if self._num_known == self._weight_RK.shape[1]:
            self._double()
        for array in (self._weight_RK, self._square_RK, self._bias_K, self._bias_square_K):
            array[..., spare + 1] = array[..., spare]
        self._num_known += 1
        self._p_K = np.append(self._p_K, self._p_K[-1]) / (1.0 + self._p_K[-1])

    def _double(self) -> None:
        """Room for twice the classes, in half the rows where the table is at its full size."""
        if self._weight_RK.shape[1] >= CLASSES_AT_FULL_SIZE:
            half = len(self._weight_RK) // 2
            self._weight_RK = (self._weight_RK[:half] + self._weight_RK[half:]) * np.float32(0.5)
            self._square_RK = (self._square_RK[:half] + self._square_RK[half:]) * np.float32(0.5)
        self._weight_RK = np.concatenate([self._weight_RK, np.zeros_like(self._weight_RK)], axis=1)
        self._square_RK = np.concatenate([self._square_RK, np.full_like(self._square_RK, START)], axis=1)
        self._bias_K = np.concatenate([self._bias_K, np.zeros_like(self._bias_K)])
        self._bias_square_K = np.concatenate([self._bias_square_K, np.full_like(self._bias_square_K, START)])

    def state_dict(self) -> State:
        return self.weights() | {"square": self._square_RK.copy(), "bias_square": self._bias_square_K.copy()}

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._square_RK = np.array(state["square"], dtype=np.float32)
        self._bias_square_K = np.array(state["bias_square"], dtype=np.float32)

    def weights(self) -> State:
        return {"num_known": self._num_known, "weight": self._weight_RK.copy(), "bias": self._bias_K.copy()}

    def load_weights(self, state: State) -> None:
        self._num_known = int(state["num_known"])
        self._weight_RK = np.array(state["weight"], dtype=np.float32)
        self._bias_K = np.array(state["bias"], dtype=np.float32)


@compiled
def _predict(token_T: NDArray[np.uint64], weight_RK: Weights, bias_K: Weights, num_known: int) -> NDArray[np.float64]:
    mask = np.uint64(len(weight_RK) - 1)
    p_K = np.zeros(num_known)
    for k in range(num_known):
        p_K[k] = bias_K[k]
    for t in range(len(token_T)):
        row = token_T[t] & mask
        for k in range(num_known):
            p_K[k] += weight_RK[row, k]
    top = p_K.max()
    total = 0.0
    for k in range(num_known):
        p_K[k] = np.exp(p_K[k] - top)
        total += p_K[k]
    for k in range(num_known):
        p_K[k] = max(p_K[k] / total, 1e-12)
    return p_K


@compiled
def _learn(
    token_T: NDArray[np.uint64],
    weight_RK: Weights,
    square_RK: Weights,
    bias_K: Weights,
    bias_square_K: Weights,
    p_K: NDArray[np.float64],
    target: int,
    rate: float,
    weight: float,
) -> None:
    num_known = len(p_K)
    mask = np.uint64(len(weight_RK) - 1)
    gradient_K = p_K.astype(np.float32)
    gradient_K[target] -= np.float32(1.0)
    step_K = gradient_K * np.float32(rate * weight)
    square_K = gradient_K * gradient_K
    for t in range(len(token_T)):
        row = token_T[t] & mask
        for k in range(num_known):
            square_RK[row, k] += square_K[k]
            weight_RK[row, k] -= step_K[k] / np.sqrt(square_RK[row, k])
    for k in range(num_known):
        bias_square_K[k] += square_K[k]
        # A tenth of the rate: every row moves the bias.
        bias_K[k] -= np.float32(0.1) * step_K[k] / np.sqrt(bias_square_K[k])

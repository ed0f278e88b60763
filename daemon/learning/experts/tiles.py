"""Multinomial logistic regression over hashed tokens, row by row, with a step size for each weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.features.inputs import Tokens
from daemon.state import State

Weights = NDArray[np.float32]

# The two planes of a cell.
WEIGHT, SQUARE = 0, 1
# A class more than so many has its memory from the rows of the table: it is folded in half as classes double.
CLASSES_AT_FULL_SIZE = 8


class Tiles(Expert):
    """p = softmax(Σ_t W[t] + b) over the tokens t of the current row; tokens share `2 ** bits` rows of weights by hash.

    Each weight steps by `rate` · g / √(`start` + Σg²) (AdaGrad); a small start lets a token seen once count for much. A pool
    that knows more than 8 classes halves the rows of the table with each doubling of the classes, rows that fall together
    being averaged, so that the memory stays at `2 ** bits` · 64 bytes for weights and accumulators together.

    >>> tokens = Tokens()
    >>> tokens.hashes_T = np.array([5], np.uint64)
    >>> tiles = Tiles(name="tiles", tokens=tokens, rate=0.5, bits=4)
    >>> tiles.grow()
    >>> tiles.learn(0, 1.0)
    >>> tiles.predict().round(4).tolist()      # .55 against -.55: the token's weight and a tenth of it, the bias
    [0.7498, 0.2502]

    After Duchi, Hazan and Singer 2011; tile coding after Albus 1975.
    """

    def __init__(self, *, name: str, tokens: Tokens, rate: float, start: float = 1e-3, bits: int = 18) -> None:
        self.name = name
        self._tokens = tokens
        self._rate = rate
        self._start = start
        self._num_known = 1
        # A weight and its accumulator lie together: learning finds in the cache what predicting read.
        self._cell_RPK: Weights = self._fresh(2**bits, 4)
        self._bias_PK: Weights = self._fresh(1, 4)[0]
        self._p_K: NDArray[np.float64] = np.ones(1)

    def _fresh(self, num_rows: int, num_classes: int) -> Weights:
        """(R, 2, K) weights and accumulators where nothing was learned."""
        cell_RPK = np.zeros((num_rows, 2, num_classes), dtype=np.float32)
        cell_RPK[:, SQUARE] = self._start
        return cell_RPK

    def predict(self) -> NDArray[np.float64]:
        self._p_K = _predict(self._tokens.hashes_T, self._cell_RPK, self._bias_PK, self._num_known)
        return self._p_K

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        _learn(self._tokens.hashes_T, self._cell_RPK, self._bias_PK, self._p_K, int(target), self._rate, weight)

    def grow(self) -> None:
        spare = self._num_known - 1
        if self._num_known == self._cell_RPK.shape[2]:
            self._double()
        for array in (self._cell_RPK, self._bias_PK):
            array[..., spare + 1] = array[..., spare]
        self._num_known += 1
        self._p_K = np.append(self._p_K, self._p_K[-1]) / (1.0 + self._p_K[-1])

    def _double(self) -> None:
        """Room for twice the classes, in half the rows where the table is at its full size."""
        num_classes = self._cell_RPK.shape[2]
        if num_classes >= CLASSES_AT_FULL_SIZE:
            half = len(self._cell_RPK) // 2
            self._cell_RPK = (self._cell_RPK[:half] + self._cell_RPK[half:]) * np.float32(0.5)
        self._cell_RPK = np.concatenate([self._cell_RPK, self._fresh(len(self._cell_RPK), num_classes)], axis=2)
        self._bias_PK = np.concatenate([self._bias_PK, self._fresh(1, num_classes)[0]], axis=1)

    def state_dict(self) -> State:
        state = self.weights()
        return state | {"square": self._cell_RPK[state["rows"], SQUARE], "bias_square": self._bias_PK[SQUARE].copy()}

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._cell_RPK[state["rows"], SQUARE] = state["square"]
        self._bias_PK[SQUARE] = state["bias_square"]

    def num_bytes(self) -> int:
        return self._cell_RPK.nbytes + self._bias_PK.nbytes

    def weights(self) -> State:
        """Only the rows in which something was learned, in their order: most of the table is as it was made."""
        rows = _learned_rows(self._cell_RPK, np.float32(self._start))
        return {
            "num_known": self._num_known,
            "num_rows": len(self._cell_RPK),
            "rows": rows,
            "weight": self._cell_RPK[rows, WEIGHT],
            "bias": self._bias_PK[WEIGHT].copy(),
        }

    def load_weights(self, state: State) -> None:
        self._num_known = int(state["num_known"])
        num_rows, num_classes = state["num_rows"], state["weight"].shape[1]
        if self._cell_RPK.shape == (num_rows, 2, num_classes):  # memory that is there costs less than new
            self._cell_RPK[:, WEIGHT], self._cell_RPK[:, SQUARE] = 0.0, self._start
        else:
            self._cell_RPK = self._fresh(num_rows, num_classes)
        self._cell_RPK[state["rows"], WEIGHT] = state["weight"]
        self._bias_PK = self._fresh(1, num_classes)[0]
        self._bias_PK[WEIGHT] = state["bias"]


@compiled
def _learned_rows(cell_RPK: Weights, start: np.float32) -> NDArray[np.int32]:
    """The rows that are not as they were made."""
    rows = np.empty(len(cell_RPK), dtype=np.int32)
    num_found = 0
    for r in range(len(cell_RPK)):
        for k in range(cell_RPK.shape[2]):
            if cell_RPK[r, WEIGHT, k] != 0.0 or cell_RPK[r, SQUARE, k] != start:
                rows[num_found] = r
                num_found += 1
                break
    return rows[:num_found].copy()


@compiled
def _predict(token_T: NDArray[np.uint64], cell_RPK: Weights, bias_PK: Weights, num_known: int) -> NDArray[np.float64]:
    mask = np.uint64(len(cell_RPK) - 1)
    p_K = np.zeros(num_known)
    for k in range(num_known):
        p_K[k] = bias_PK[WEIGHT, k]
    for t in range(len(token_T)):
        row = token_T[t] & mask
        for k in range(num_known):
            p_K[k] += cell_RPK[row, WEIGHT, k]
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
    cell_RPK: Weights,
    bias_PK: Weights,
    p_K: NDArray[np.float64],
    target: int,
    rate: float,
    weight: float,
) -> None:
    num_known = len(p_K)
    mask = np.uint64(len(cell_RPK) - 1)
    gradient_K = p_K.astype(np.float32)
    gradient_K[target] -= np.float32(1.0)
    step_K = gradient_K * np.float32(rate * weight)
    square_K = gradient_K * gradient_K
    for t in range(len(token_T)):
        row = token_T[t] & mask
        for k in range(num_known):
            cell_RPK[row, SQUARE, k] += square_K[k]
            cell_RPK[row, WEIGHT, k] -= step_K[k] / np.sqrt(cell_RPK[row, SQUARE, k])
    for k in range(num_known):
        bias_PK[SQUARE, k] += square_K[k]
        # A tenth of the rate: every row moves the bias.
        bias_PK[WEIGHT, k] -= np.float32(0.1) * step_K[k] / np.sqrt(bias_PK[SQUARE, k])

"""Compiled parts of `TileBank`: R members, K classes, tokens of one row.

Four classes of a member are named one by one, which the compiler makes one vector of, and tokens are gone through for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.slots import Cells, Indices, Slots

Floats = NDArray[np.float64]
Rates = NDArray[np.float32]


@compiled
def say(token_T: NDArray[np.uint64], slot_F: Slots, cells: Cells, bias_PK: Cells, p_RK: Floats) -> tuple[Indices, Slots]:
    """p = softmax(Σ_t W[t] + b) by member into `p_RK`; each token's feature, and its slot or -1."""
    num_members, num_known = p_RK.shape
    capacity = cells.shape[2]
    mask = np.uint64(len(slot_F) - 1)
    indices = np.empty(len(token_T), dtype=np.int32)
    slots = np.empty(len(token_T), dtype=np.int32)
    for t in range(len(token_T)):
        indices[t] = token_T[t] & mask
        slots[t] = slot_F[indices[t]] - 1
    table = cells.reshape(cells.shape[0], -1)
    logit_K = np.empty(capacity)
    for r in range(num_members):
        for j in range(0, capacity, 4):
            sum_0, sum_1 = np.float64(bias_PK[r, j]), np.float64(bias_PK[r, j + 1])
            sum_2, sum_3 = np.float64(bias_PK[r, j + 2]), np.float64(bias_PK[r, j + 3])
            start = r * capacity + j
            for t in range(len(slots)):
                if slots[t] >= 0:
                    row = table[slots[t], start : start + 4]
                    sum_0 += row[0]
                    sum_1 += row[1]
                    sum_2 += row[2]
                    sum_3 += row[3]
            logit_K[j], logit_K[j + 1], logit_K[j + 2], logit_K[j + 3] = sum_0, sum_1, sum_2, sum_3
        top = logit_K[:num_known].max()
        total = 0.0
        for k in range(num_known):
            p_RK[r, k] = np.exp(logit_K[k] - top)
            total += p_RK[r, k]
        for k in range(num_known):
            p_RK[r, k] = max(p_RK[r, k] / total, 1e-12)
    return indices, slots


@compiled
def step(slots: Slots, p_RK: Floats, target: int, rate_R: Rates, start_R: Rates, cells: Cells, bias_PK: Cells) -> None:
    """One AdaGrad step of every member for each token of the row, and a tenth of one for the bias, which every row moves."""
    num_members, num_known = p_RK.shape
    capacity = cells.shape[2]
    table = cells.reshape(cells.shape[0], -1)
    gradient_K = np.zeros(capacity, dtype=np.float32)
    for r in range(num_members):
        for k in range(num_known):
            gradient_K[k] = p_RK[r, k]
        gradient_K[target] -= np.float32(1.0)
        step_K, square_K = gradient_K * rate_R[r], gradient_K * gradient_K
        first, second = r * capacity, (num_members + r) * capacity
        for j in range(0, capacity, 4):
            for t in range(len(slots)):
                row = table[slots[t]]
                weights, squares = row[first + j : first + j + 4], row[second + j : second + j + 4]
                _step_four(weights, squares, step_K[j : j + 4], square_K[j : j + 4], start_R[r])
        for k in range(num_known):
            bias_PK[num_members + r, k] += square_K[k]
            bias_PK[r, k] -= np.float32(0.1) * step_K[k] / np.sqrt(start_R[r] + bias_PK[num_members + r, k])


@compiled
def _step_four(weights: Rates, squares: Rates, step: Rates, square: Rates, start: np.float32) -> None:
    square_0, square_1 = squares[0] + square[0], squares[1] + square[1]
    square_2, square_3 = squares[2] + square[2], squares[3] + square[3]
    weight_0 = weights[0] - step[0] / np.sqrt(start + square_0)
    weight_1 = weights[1] - step[1] / np.sqrt(start + square_1)
    weight_2 = weights[2] - step[2] / np.sqrt(start + square_2)
    weight_3 = weights[3] - step[3] / np.sqrt(start + square_3)
    squares[0], squares[1], squares[2], squares[3] = square_0, square_1, square_2, square_3
    weights[0], weights[1], weights[2], weights[3] = weight_0, weight_1, weight_2, weight_3

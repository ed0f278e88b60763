"""Logits and AdaGrad steps over the hashed features of a row, R rates and K classes of each side by side.

Where a feature has many numbers a loop over them is one of whole vectors. Where it has few, the loop itself would cost more
than what it does: there four numbers are named one by one, which the compiler makes one vector of, and features are gone
through for them. That is done for `NEAR` features after the other, so that their numbers are still in the processor's nearest
cache when the next four are named. Both give the same bits: the sum of each number is over the features in their order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.slots import Cells, Slots

# So many numbers are few.
FEW = 32
# Features whose numbers, where they are few, fit into the processor's nearest cache.
NEAR = 64


@compiled
def add_logits(slots: Slots, x: NDArray[np.float32], cells: Cells, plane: int, logit_RK: Cells) -> None:
    """logits += Σ_j x_j W_j; R planes of `cells` from `plane` on are W, features without a slot count as 0."""
    flat = logit_RK.reshape(-1)
    table = cells.reshape(cells.shape[0], -1)
    start = plane * cells.shape[2]
    if len(flat) > FEW:
        for i in range(len(slots)):
            if slots[i] >= 0:
                row = table[slots[i], start : start + len(flat)]
                for j in range(len(flat)):
                    flat[j] += x[i] * row[j]
        return
    for begin in range(0, len(slots), NEAR):
        for j in range(0, len(flat), 4):
            sum_0, sum_1, sum_2, sum_3 = flat[j], flat[j + 1], flat[j + 2], flat[j + 3]
            for i in range(begin, min(begin + NEAR, len(slots))):
                if slots[i] >= 0:
                    row = table[slots[i], start + j : start + j + 4]
                    sum_0 += x[i] * row[0]
                    sum_1 += x[i] * row[1]
                    sum_2 += x[i] * row[2]
                    sum_3 += x[i] * row[3]
            flat[j], flat[j + 1], flat[j + 2], flat[j + 3] = sum_0, sum_1, sum_2, sum_3


@compiled
def softmax(logit_RK: Cells, offset_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, K) the softmax of logits and what is added to those of each class; K is that of `offset_K`."""
    p_RK = np.empty((logit_RK.shape[0], len(offset_K)))
    for r in range(p_RK.shape[0]):
        top = -np.inf
        for k in range(p_RK.shape[1]):
            p_RK[r, k] = logit_RK[r, k] + offset_K[k]
            top = max(top, p_RK[r, k])
        total = 0.0
        for k in range(p_RK.shape[1]):
            p_RK[r, k] = np.exp(p_RK[r, k] - top) + 1e-12
            total += p_RK[r, k]
        p_RK[r] /= total
    return p_RK


@compiled
def gradients(p_RK: NDArray[np.float64], target: int, capacity: int) -> Cells:
    """p − [k = y] of each rate, with 0 behind the classes up to `capacity`."""
    gradient_RK = np.zeros((p_RK.shape[0], capacity), dtype=np.float32)
    gradient_RK[:, : p_RK.shape[1]] = p_RK
    gradient_RK[:, target] -= np.float32(1.0)
    return gradient_RK


@compiled
def step_weights(
    slots: Slots,
    x: NDArray[np.float32],
    gradient_RK: Cells,
    step_R: NDArray[np.float32],
    damping: np.float32,
    cells: Cells,
    planes: tuple[int, int],
) -> None:
    """One AdaGrad step for every feature of the row; R planes of `cells` from the first of `planes` on are W, those from the
    second on A."""
    num = gradient_RK.size
    gradient = gradient_RK.reshape(-1)
    step = np.repeat(step_R, gradient_RK.shape[1])
    table = cells.reshape(cells.shape[0], -1)
    first, second = planes[0] * cells.shape[2], planes[1] * cells.shape[2]
    if num > FEW:
        for i in range(len(slots)):
            weights = table[slots[i], first : first + num]
            squares = table[slots[i], second : second + num]
            for j in range(num):
                g = x[i] * gradient[j]
                squares[j] += g * g
                weights[j] -= step[j] * g / np.sqrt(squares[j] + damping)
        return
    for begin in range(0, len(slots), NEAR):
        for j in range(0, num, 4):
            gradient_4, step_4 = gradient[j : j + 4], step[j : j + 4]
            for i in range(begin, min(begin + NEAR, len(slots))):
                row = table[slots[i]]
                weights, squares = row[first + j : first + j + 4], row[second + j : second + j + 4]
                _step_four(weights, squares, x[i], gradient_4, step_4, damping)


@compiled
def _step_four(
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
    x: np.float32,
    gradient: NDArray[np.float32],
    step: NDArray[np.float32],
    damping: np.float32,
) -> None:
    g_0, g_1, g_2, g_3 = x * gradient[0], x * gradient[1], x * gradient[2], x * gradient[3]
    square_0, square_1 = squares[0] + g_0 * g_0, squares[1] + g_1 * g_1
    square_2, square_3 = squares[2] + g_2 * g_2, squares[3] + g_3 * g_3
    weight_0 = weights[0] - step[0] * g_0 / np.sqrt(square_0 + damping)
    weight_1 = weights[1] - step[1] * g_1 / np.sqrt(square_1 + damping)
    weight_2 = weights[2] - step[2] * g_2 / np.sqrt(square_2 + damping)
    weight_3 = weights[3] - step[3] * g_3 / np.sqrt(square_3 + damping)
    squares[0], squares[1], squares[2], squares[3] = square_0, square_1, square_2, square_3
    weights[0], weights[1], weights[2], weights[3] = weight_0, weight_1, weight_2, weight_3

"""One linear softmax on embeddings, learned one row after the other in two ways: as learnd does, and by the Gram scan.

The scan needs a step size by coordinate that holds within a micro-batch: then the logits of row i are those of the first
weights less Σ_{j<i} G_ij c_j, where G = X·S·Xᵀ and c_j = p_j − [k = y_j], and the weights are stepped once for all rows, by
products of matrices. Step sizes by coordinate *and class* that change with each row, which are learnd's, would need a G for
each class and row. The squares that a micro-batch is expected to add are counted before its steps, which takes no labels.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.worker import Measured
from daemon.compiled import compiled
from daemon.learning.experts.slots import SlotTable
from daemon.learning.experts.softmax_kernels import add_logits, gradients, softmax, step_weights

Floats = NDArray[np.float32]
Targets = NDArray[np.int64]

# Of the rates .15 · 2ⁿ those at which each errs least over 2,000 mails and 6,000 questions of banking77 together.
ROWS_RATE, SCAN_RATE = np.float32(0.3), np.float32(2.4)
DAMPING, FIRST_SQUARE = np.float32(3e-5), np.float32(1e-3)
MICRO_BATCH = 64


def rows_pass(x_ND: Floats, target_N: Targets, num_classes: int) -> Measured:
    """By learnd's kernels: AdaGrad by coordinate and class, its step sizes of this very row."""
    began = time.perf_counter()
    num_rows, width = x_ND.shape
    table = SlotTable(num_features=width, num_planes=2, max_bytes=1 << 62)
    slots, right = table.claim(np.arange(width, dtype=np.int32)), 0
    for _ in range(num_classes):
        table.grow()
    offset_K, step_1 = np.zeros(num_classes), np.full(1, ROWS_RATE)
    for row in range(num_rows):
        logit_1K = np.zeros((1, table.cells.shape[2]), dtype=np.float32)
        add_logits(slots, x_ND[row], table.cells, 0, logit_1K)
        p_1K = softmax(logit_1K, offset_K)
        right += int(p_1K[0].argmax() == target_N[row])
        gradient_1K = gradients(p_1K, int(target_N[row]), table.cells.shape[2])
        step_weights(slots, x_ND[row], gradient_1K, step_1, DAMPING, table.cells, (0, 1))
    return {"seconds": time.perf_counter() - began, "rows": num_rows, "accuracy": right / num_rows}


def scan_pass(x_ND: Floats, target_N: Targets, num_classes: int) -> Measured:
    """By the Gram scan: AdaGrad by coordinate, its step sizes of the micro-batch."""
    began = time.perf_counter()
    num_rows, width = x_ND.shape
    weight_DK, square_D, right = np.zeros((width, num_classes), np.float32), np.full(width, FIRST_SQUARE), 0
    for start in range(0, num_rows, MICRO_BATCH):
        x_BD, target_B = x_ND[start : start + MICRO_BATCH], target_N[start : start + MICRO_BATCH]
        logit_BK, x2_BD = x_BD @ weight_DK, x_BD * x_BD
        scaled_BD = x_BD * (SCAN_RATE / np.sqrt(square_D + _spread(logit_BK) @ x2_BD))
        step_BK, rights = _scan(logit_BK, scaled_BD @ x_BD.T, target_B)
        weight_DK -= scaled_BD.T @ step_BK
        square_D += (step_BK * step_BK).sum(axis=1) @ x2_BD
        right += rights
    return {"seconds": time.perf_counter() - began, "rows": num_rows, "accuracy": right / num_rows}


@compiled
def _scan(logit_BK: Floats, gram_BB: Floats, target_B: Targets) -> tuple[Floats, int]:
    """c of each row, its logits corrected by what the rows before it changed; and how many of them were right."""
    step_BK, right = np.empty_like(logit_BK), 0
    for i in range(len(logit_BK)):
        logit_K = logit_BK[i]
        for j in range(i):
            for k in range(len(logit_K)):
                logit_K[k] -= gram_BB[j, i] * step_BK[j, k]
        right += logit_K.argmax() == target_B[i]
        step_BK[i] = np.exp(logit_K - logit_K.max())
        step_BK[i] /= step_BK[i].sum()
        step_BK[i, target_B[i]] -= np.float32(1.0)
    return step_BK, right


@compiled
def _spread(logit_BK: Floats) -> Floats:
    """(B,) Σ_k p_k (1 − p_k): the squares that a row's errors are expected to have."""
    spread_B = np.empty(len(logit_BK), np.float32)
    for i in range(len(logit_BK)):
        p_K = np.exp(logit_BK[i] - logit_BK[i].max())
        p_K /= p_K.sum()
        spread_B[i] = (p_K * (np.float32(1.0) - p_K)).sum()
    return spread_B

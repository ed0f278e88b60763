"""The kernels over few numbers and over many, against the same sums and steps in numpy; logits and steps bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.learning.experts.naive_bayes import FEW as FEW_CLASSES
from daemon.learning.experts.naive_bayes import add_scores
from daemon.learning.experts.slots import Slots
from daemon.learning.experts.softmax_kernels import FEW, add_logits, step_weights

SLOTS = np.array([4, -1, 0, 7, 2, -1, 9], dtype=np.int32)
DAMPING = np.float32(1e-3)


@pytest.mark.parametrize("slots", [SLOTS, *(np.arange(num, dtype=np.int32) - 1 for num in (64, 65, 130))], ids=len)
@pytest.mark.parametrize("capacity", [4, 8, 16, 48])
def test_logits_and_steps(capacity: int, slots: Slots) -> None:
    random = np.random.default_rng(capacity)
    x = random.random(len(slots), dtype=np.float32)
    cells = random.random((slots.max() + 1, 6, capacity), dtype=np.float32)
    assert (2 * capacity <= FEW) == (capacity <= 16)
    logit_RK = np.zeros((2, capacity), dtype=np.float32)
    add_logits(slots, x, cells, 1, logit_RK)
    expected_RK = np.zeros_like(logit_RK)
    for slot, value in zip(slots, x, strict=True):
        expected_RK += value * cells[slot, 1:3] if slot >= 0 else np.float32(0.0)
    assert logit_RK.tobytes() == expected_RK.tobytes()

    gradient_RK = random.normal(size=(2, capacity)).astype(np.float32)
    step_R, stepped, found = np.array([0.1, 0.5], dtype=np.float32), cells.copy(), slots >= 0
    step_weights(slots[found], x[found], gradient_RK, step_R, DAMPING, stepped, (1, 4))
    for slot, value in zip(slots[found], x[found], strict=True):
        g_RK = value * gradient_RK
        cells[slot, 4:6] += g_RK * g_RK
        cells[slot, 1:3] -= step_R[:, None] * g_RK / np.sqrt(cells[slot, 4:6] + DAMPING)
    assert stepped.tobytes() == cells.tobytes()


@pytest.mark.parametrize("num_classes", [3, FEW_CLASSES, FEW_CLASSES + 1])
def test_scores_of_naive_bayes(num_classes: int) -> None:
    random = np.random.default_rng(num_classes)
    x = random.random(len(SLOTS), dtype=np.float32)
    cells = random.random((10, 3, 32), dtype=np.float32)
    total_K, score_K, length = random.random(num_classes) + 1.0, np.zeros(num_classes), 0.0
    add_scores(SLOTS, x, cells, 2, total_K, 0.5, score_K)
    expected_K = np.zeros(num_classes)
    for slot, value in zip(SLOTS, x.astype(np.float64), strict=True):
        expected_K += value * cells[slot, 2, :num_classes] if slot >= 0 else 0.0
        length += value
    expected_K += length * (np.log(0.5) - np.log(total_K))
    np.testing.assert_allclose(score_K, expected_K, rtol=1e-6)  # products are float32, their sum is not

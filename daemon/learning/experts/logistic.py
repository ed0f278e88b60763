"""Logistic regressions over all that a row holds: its words, its numbers and its categories, with AdaGrad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.bank import Bank
from daemon.learning.experts.slots import Slots, SlotTable
from daemon.learning.experts.softmax_kernels import add_logits, gradients, softmax, step_weights
from daemon.learning.experts.text_table import TextTable
from daemon.learning.features.hashing import Indices, Values
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.table_kernels import CATEGORY, MARK, MARK_BITS, NUMBER
from daemon.learning.features.text import TextFeatures
from daemon.state import State

RATES = (0.1, 0.5)
# Categories hash to so many features, and all columns take so much memory.
CATEGORY_BITS = 20
MAX_BYTES = 128 << 20
# AdaGrad's damping, in the units of a squared gradient.
DAMPING = 1e-3


class LogisticBank(Bank):
    """R multinomial logistic regressions that differ in their learning rate alone and share one pass over the features.

    logit_k = b_k + Σ_j x_j W_jk over the columns' running z-scores, an input of 1 for each category and of 3 for each column
    that is there though it mostly is not, and the words and pairs of words of a text, scaled to length 1. A step is A += g²,
    W −= weight · rate · g / √(A + 1e-3), with g = x_j (p_k − [k = y]), W and A by feature, class and rate. It is what is
    usually meant by a simple online learner: where what a label depends on adds up, over many columns or in one word of many,
    none of the others is as quick.

    Words are in `words`, which another expert of the pool holds; without it, in a table of its own. Memory is bounded by that
    of the words and 128 MiB for categories (see `SlotTable`).

    >>> text = TextFeatures(encoder=None)
    >>> text.indices, text.values = np.array([7], np.int32), np.ones(1, np.float32)
    >>> slow, fast = LogisticBank(text=text, table=None, rates=(0.1, 0.5)).experts()
    >>> slow.grow()
    >>> slow.learn(0, 1.0)
    >>> slow.predict().round(4).tolist(), fast.predict().round(4).tolist()
    ([0.5985, 0.4015], [0.8804, 0.1196])

    AdaGrad after Duchi, Hazan and Singer 2011.
    """

    is_simple = True

    def __init__(
        self,
        *,
        text: TextFeatures | None,
        table: TableFeatures | None,
        words: TextTable | None = None,
        rates: Sequence[float] = RATES,
    ) -> None:
        super().__init__(names=[f"logistic_{member}" for member in range(len(rates))])
        self._table = table
        self._rate_R = np.array(rates, dtype=np.float32)
        self._held = TextTable(text=text, num_logistic=len(rates)) if text and not words else None
        self._words = words or self._held
        # The bias is the first feature; columns, categories and marks follow.
        self._first_category = 1 + (table.max_columns if table else 0)
        num_features = self._first_category + ((1 << CATEGORY_BITS) + (1 << MARK_BITS) if table else 0)
        self._slots = SlotTable(num_features=num_features, num_planes=2 * len(rates), max_bytes=MAX_BYTES)
        self._indices, self._values = _BIAS, _ONE
        self._found = self._slots.claim(_BIAS)

    def predict(self) -> None:
        if table := self._table:
            self._indices, self._values, self._found = _columns(
                table.known_N, table.z_N, table.category_N, table.marks_T, self._first_category, self._slots.slot_F
            )
        logit_RK = np.zeros((self._num_rates, self._slots.cells.shape[2]), dtype=np.float32)
        add_logits(self._found, self._values, self._slots.cells, 0, logit_RK)
        if self._words:
            block, _ = self._words.find()
            add_logits(block.slots, block.values, block.cells, self._words.logistic, logit_RK)
        self.p_RK = softmax(logit_RK, np.zeros(self._slots.num_classes))

    def learn(self, target: int, weight: float) -> None:
        if weight <= 0.0:
            return
        gradient_RK = gradients(self.p_RK, target, self._slots.cells.shape[2])
        step_R = np.float32(weight) * self._rate_R
        slots = self._slots.claim(self._indices, self._found) if self._table else self._found
        step_weights(slots, self._values, gradient_RK, step_R, _DAMPING, self._slots.cells, (0, self._num_rates))
        if self._words:
            block, _ = self._words.claim()
            planes = self._words.logistic, self._words.logistic + block.num_planes
            step_weights(block.slots, block.values, gradient_RK, step_R, _DAMPING, block.cells, planes)

    def grow(self) -> None:
        self._slots.grow()
        if self._words:
            self._words.grow_to(self._slots.num_classes)
        self.predict()

    def num_bytes(self) -> int:
        return self._slots.num_bytes() + (self._held.num_bytes() if self._held else 0)

    def state_dict(self) -> State:
        words = {"words": self._held.state_dict()} if self._held else {}
        return {"columns": self._slots.state_dict()} | words

    def load_state_dict(self, state: State) -> None:
        self._slots.load_state_dict(state["columns"])
        if self._held:
            self._held.load_state_dict(state["words"])

    def weights(self) -> State:
        words = {"words": self._held.weights()} if self._held else {}
        return {"columns": self._slots.weights(self._num_rates)} | words

    def load_weights(self, state: State) -> None:
        self._slots.load_weights(state["columns"])
        if self._held:
            self._held.load_weights(state["words"])


_BIAS = np.zeros(1, dtype=np.int32)
_ONE = np.ones(1, dtype=np.float32)
_DAMPING = np.float32(DAMPING)
_UNUSED_BITS, _UNUSED_MARK_BITS = np.uint64(64 - CATEGORY_BITS), np.uint64(64 - MARK_BITS)


@compiled
def _columns(
    known_N: NDArray[np.int64],
    z_N: NDArray[np.float64],
    category_N: NDArray[np.uint64],
    marks_T: NDArray[np.uint64],
    first_category: int,
    slot_F: Slots,
) -> tuple[Indices, Values, Slots]:
    """(n,) the bias, the numbers that are not average, the categories and the marks of a row, their values, and their slots or
    -1."""
    indices = np.empty(1 + len(known_N) + len(marks_T), dtype=np.int32)
    values = np.empty(len(indices), dtype=np.float32)
    indices[0], values[0] = 0, 1.0
    num = 1
    for n in range(len(known_N)):
        if known_N[n] == NUMBER and z_N[n] != 0.0:
            indices[num], values[num] = 1 + n, z_N[n]
            num += 1
        elif known_N[n] == CATEGORY:
            indices[num], values[num] = first_category + int(category_N[n] >> _UNUSED_BITS), 1.0
            num += 1
    for t in range(len(marks_T)):
        indices[num], values[num] = first_category + (1 << CATEGORY_BITS) + int(marks_T[t] >> _UNUSED_MARK_BITS), MARK
        num += 1
    slots = np.empty(num, dtype=np.int32)
    for i in range(num):
        slots[i] = slot_F[indices[i]] - 1
    return indices[:num], values[:num], slots

"""Logistic regressions over all that a row holds: its words, its numbers and its categories, with AdaGrad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.bank import Bank
from daemon.learning.experts.slots import Indices, Slots, SlotTable
from daemon.learning.experts.softmax import add_logits, softmax, step_weights
from daemon.learning.features.hashing import BLOCK_SIZE
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.table_kernels import CATEGORY, NUMBER
from daemon.learning.features.text import TextFeatures
from daemon.state import State

Values = NDArray[np.float32]

# Categories hash to so many features.
CATEGORY_BITS = 20
# AdaGrad's damping, in the units of a squared gradient.
DAMPING = 1e-3


class LogisticBank(Bank):
    """R multinomial logistic regressions that differ in their learning rate alone and share one pass over the features.

    logit_k = b_k + Σ_j x_j W_jk over the columns' running z-scores, an input of 1 for each category, and the words and pairs
    of words of a text, scaled to length 1. A step is A += g², W −= weight · rate · g / √(A + 1e-3), with
    g = x_j (p_k − [k = y]), W and A by feature, class and rate. It is what is usually meant by a simple online learner: where
    what a label depends on adds up, over many columns or in one word of many, none of the others is as quick.

    Memory is bounded by `max_bytes` (see `SlotTable`).

    >>> text = TextFeatures(encoder=None)
    >>> text.indices, text.values = np.array([7], np.int32), np.ones(1, np.float32)
    >>> slow, fast = LogisticBank(text=text, table=None, rates=(0.1, 0.5)).experts()
    >>> slow.grow()
    >>> slow.learn(0, 1.0)
    >>> slow.predict().round(4).tolist(), fast.predict().round(4).tolist()
    ([0.5985, 0.4015], [0.8804, 0.1196])

    AdaGrad after Duchi, Hazan and Singer 2011.
    """

    def __init__(
        self,
        *,
        text: TextFeatures | None,
        table: TableFeatures | None,
        rates: Sequence[float] = (0.1, 0.5),
        max_bytes: int = 128 << 20,
    ) -> None:
        super().__init__(name="logistic", num_rates=len(rates))
        self._text, self._table = text, table
        self._rate_R = np.array(rates, dtype=np.float32)
        # Where each kind of feature starts: the bias is the first, columns, categories and words follow.
        self._first_category = 1 + (table.max_columns if table else 0)
        self._first_word = self._first_category + (1 << CATEGORY_BITS if table else 0)
        num_features = self._first_word + (BLOCK_SIZE if text else 0)
        self._slots = SlotTable(num_features=num_features, num_planes=2 * len(rates), max_bytes=max_bytes)
        self._indices, self._values = self._row()
        self._found: Slots | None = None

    def predict(self) -> None:
        self._indices, self._values = self._row()
        self._found = self._slots.find(self._indices)
        if self._text:
            self._slots.fetch(self._found)
        logit_RK = np.zeros((self._num_rates, self._slots.cells.shape[2]), dtype=np.float32)
        add_logits(self._found, self._values, self._slots.cells, logit_RK)
        self.p_RK = np.empty((self._num_rates, self._slots.num_classes))
        softmax(logit_RK, np.zeros(self._slots.num_classes), self.p_RK)

    def _row(self) -> tuple[Indices, Values]:
        """The features of the current row, the bias first, and their values."""
        indices, values = _BIAS, _ONE
        if table := self._table:
            indices, values = _columns(table.known_N, table.z_N, table.category_N, self._first_category)
        if text := self._text:
            num_words = int(np.searchsorted(text.indices, np.int32(BLOCK_SIZE)))
            indices = np.concatenate((indices, text.indices[:num_words] + np.int32(self._first_word)))
            values = np.concatenate((values, text.values[:num_words]))
        return indices, values

    def learn(self, target: int, weight: float) -> None:
        if weight <= 0.0:
            return
        slots, self._found = self._slots.claim(self._indices, self._found), None  # which may move the cells
        gradient_RK = np.zeros((self._num_rates, self._slots.cells.shape[2]), dtype=np.float32)
        gradient_RK[:, : self._slots.num_classes] = self.p_RK
        gradient_RK[:, target] -= 1.0
        step_R = np.float32(weight) * self._rate_R
        step_weights(slots, self._values, gradient_RK, step_R, _DAMPING, self._slots.cells, self._num_rates)

    def grow(self) -> None:
        self._slots.grow()
        self.predict()

    def num_bytes(self) -> int:
        return self._slots.num_bytes()

    def state_dict(self) -> State:
        return self._slots.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._slots.load_state_dict(state)

    def weights(self) -> State:
        return self._slots.weights(self._num_rates)

    def load_weights(self, state: State) -> None:
        self._slots.load_weights(state)


_BIAS = np.zeros(1, dtype=np.int32)
_ONE = np.ones(1, dtype=np.float32)
_DAMPING = np.float32(DAMPING)
_UNUSED_BITS = np.uint64(64 - CATEGORY_BITS)


@compiled
def _columns(
    known_N: NDArray[np.int64], z_N: NDArray[np.float64], category_N: NDArray[np.uint64], first_category: int
) -> tuple[Indices, Values]:
    """(n,) the bias, the numbers that are not average and the categories of a row, and their values."""
    indices = np.empty(len(known_N) + 1, dtype=np.int32)
    values = np.empty(len(known_N) + 1, dtype=np.float32)
    indices[0], values[0] = 0, 1.0
    num = 1
    for n in range(len(known_N)):
        if known_N[n] == NUMBER and z_N[n] != 0.0:
            indices[num], values[num] = 1 + n, z_N[n]
            num += 1
        elif known_N[n] == CATEGORY:
            indices[num], values[num] = first_category + int(category_N[n] >> _UNUSED_BITS), 1.0
            num += 1
    return indices[:num], values[:num]

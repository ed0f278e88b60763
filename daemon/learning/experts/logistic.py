"""Logistic regressions over all that a row holds: its words, its numbers and its categories, with AdaGrad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.learning.experts.bank import Bank, weighted
from daemon.learning.experts.slots import SlotTable
from daemon.learning.experts.softmax_kernels import add_logits, gradients, softmax, step_weights
from daemon.learning.experts.text_table import TextTable
from daemon.learning.features.sparse_row import MAX_BYTES, MAX_SLOTS, num_features, sparse_row
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.text import TextFeatures
from daemon.state import State

RATES = (0.1, 0.5)
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
    of the words and, for the others, 2¹⁸ categories and marks that came last within 128 MiB (see `SlotTable`).

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
        self._slots = SlotTable(
            num_features=num_features(table, num_biases=1) if table else 1,
            num_planes=2 * len(rates),
            max_bytes=MAX_BYTES,
            max_slots=MAX_SLOTS,
        )
        self._indices, self._values = _BIAS, _ONE
        self._found = self._slots.claim(_BIAS)

    def predict(self) -> None:
        if self._table:
            self._indices, self._values = sparse_row(self._table, num_biases=1)
            self._found = self._slots.find(self._indices)
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
        step_R = weighted(self._rate_R, weight)
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

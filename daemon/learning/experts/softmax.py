"""Linear softmaxes over words, bytes and the embedding together, with AdaGrad by coordinate and class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.learning.experts.bank import Bank, weighted
from daemon.learning.experts.lda import StreamingLDA
from daemon.learning.experts.slots import SlotTable
from daemon.learning.experts.softmax_kernels import add_logits, gradients, softmax, step_weights
from daemon.learning.experts.text_table import TextTable
from daemon.learning.features.text import TextFeatures
from daemon.state import State

# The part of the LDA's log probability that every softmax starts from, so that it learns what the LDA cannot say.
LDA_PART = 0.3
# AdaGrad's damping. It is in the units of a squared gradient, so a first step is at most rate / √2 for gradients beyond it.
DAMPING = 3e-5


class SoftmaxBank(Bank):
    """R softmaxes that differ in their learning rate alone and share one pass over the features.

    logit_k = Σ_j x_j W_jk + b_k + .3 ln p_k(LDA) over the hashed words and bytes and the embedding's D coordinates. A step
    is A += g², W −= weight · rate · g / √(A + 3e-5), with g = x_j (p_k − [k = y]), W and A by feature, class and rate. The
    embedding has its own rate, the bias a tenth of the sparse one. The spare class is trained as a negative. The embedding is
    stepped row by row as well, and not by a Gram scan, which needs step sizes by coordinate alone that hold through a
    micro-batch: that saves little of a row's time and errs more often (`dense_*` in docs/speed.md).

    `experts()` are its R members for the pool, of which the first holds `table`, for others to share: with room for
    `num_logistic` logistic regressions. Memory is bounded by that of the table, and 2·R·K·(D + 1) float32.

    >>> text = TextFeatures(encoder=None)
    >>> text.indices, text.values = np.array([7], np.int32), np.ones(1, np.float32)
    >>> slow, fast = SoftmaxBank(text=text, lda=None, rates=(0.1, 0.4)).experts()
    >>> slow.grow()
    >>> slow.learn(0, 1.0)
    >>> slow.predict().round(4).tolist(), fast.predict().round(4).tolist()
    ([0.5548, 0.4452], [0.7068, 0.2932])

    AdaGrad after Duchi, Hazan and Singer 2011.
    """

    def __init__(
        self,
        *,
        text: TextFeatures,
        lda: StreamingLDA | None,
        rates: Sequence[float] = (0.1, 0.4),
        dense_rate: float = 0.15,
        num_logistic: int = 0,
    ) -> None:
        super().__init__(names=[f"softmax_{member}" for member in range(len(rates))])
        self._text = text
        self._lda = lda
        self._rate_R = np.array(rates, dtype=np.float32)
        self._dense_rate_R = np.full(len(rates), dense_rate, dtype=np.float32)
        self.table = TextTable(text=text, num_softmaxes=len(rates), num_logistic=num_logistic)
        self._dense = SlotTable(num_features=text.width + 1, num_planes=2 * len(rates), max_bytes=1 << 62)
        self._dense_slots = self._dense.claim(np.arange(text.width + 1, dtype=np.int32))
        self._bias_slot = self._dense_slots[-1:]

    @property
    def num_classes(self) -> int:
        return self._dense.num_classes

    def predict(self) -> None:
        logit_RK = np.zeros((self._num_rates, self._dense.cells.shape[2]), dtype=np.float32)
        for block in self.table.find():
            add_logits(block.slots, block.values, block.cells, 0, logit_RK)
        add_logits(self._dense_slots[:-1], self._text.embedding, self._dense.cells, 0, logit_RK)
        add_logits(self._bias_slot, _ONE, self._dense.cells, 0, logit_RK)
        offset_K = LDA_PART * np.log(self._lda.p_K) if self._lda else np.zeros(self.num_classes)
        self.p_RK = softmax(logit_RK, offset_K)

    def learn(self, target: int, weight: float) -> None:
        if weight <= 0.0:
            return
        gradient_RK = gradients(self.p_RK, target, self._dense.cells.shape[2])
        step_R = weighted(self._rate_R, weight)
        for block in self.table.claim():
            planes = 0, block.num_planes
            step_weights(block.slots, block.values, gradient_RK, step_R, _DAMPING, block.cells, planes)
        dense_step_R = weighted(self._dense_rate_R, weight)
        dense, planes = self._dense.cells, (0, self._num_rates)
        step_weights(self._dense_slots[:-1], self._text.embedding, gradient_RK, dense_step_R, _DAMPING, dense, planes)
        step_weights(self._bias_slot, _ONE, gradient_RK, np.float32(0.1) * step_R, _DAMPING, dense, planes)

    def grow(self) -> None:
        self._dense.grow()
        self.table.grow_to(self.num_classes)
        self.predict()

    def num_bytes(self) -> int:
        """Memory of both tables."""
        return self.table.num_bytes() + self._dense.num_bytes()

    def state_dict(self) -> State:
        return {"table": self.table.state_dict(), "dense": self._dense.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.table.load_state_dict(state["table"])
        self._dense.load_state_dict(state["dense"])

    def weights(self) -> State:
        return {"table": self.table.weights(), "dense": self._dense.weights(self._num_rates)}

    def load_weights(self, state: State) -> None:
        self.table.load_weights(state["table"])
        self._dense.load_weights(state["dense"])


_ONE = np.ones(1, dtype=np.float32)
_DAMPING = np.float32(DAMPING)

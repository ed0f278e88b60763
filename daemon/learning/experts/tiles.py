"""Multinomial logistic regressions over hashed tokens, row by row, with a step size for each weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.learning.experts.bank import Bank, weighted
from daemon.learning.experts.slots import SlotTable
from daemon.learning.experts.tile_kernels import say, step
from daemon.learning.features.inputs import Tokens
from daemon.state import State

# Tokens hash to so many features, and those seen take so much memory for each member.
BITS = 18
MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Rate:
    """How far a member steps: `rate` · g / √(`start` + Σg²); a small start lets a token seen once count for much."""

    name: str
    rate: float
    start: float = 1e-3


class TileBank(Bank):
    """R regressions p = softmax(Σ_t W[t] + b) over the tokens t of the current row, that differ in their `Rate` alone.

    Each weight steps by AdaGrad, the bias by a tenth of it. Tokens that share a hash share their weights; memory is bounded by
    16 MiB for each member, or 1,024 tokens where their classes take more, and 1 MiB of index (see `SlotTable`).

    >>> tokens = Tokens()
    >>> tokens.hashes_T = np.array([5], np.uint64)
    >>> tiles, = TileBank(tokens=tokens, rates=[Rate("tiles", rate=0.5)]).experts()
    >>> tiles.grow()
    >>> tiles.learn(0, 1.0)
    >>> tiles.predict().round(4).tolist()      # .55 against -.55: the token's weight and a tenth of it, the bias
    [0.7498, 0.2502]

    After Duchi, Hazan and Singer 2011; tile coding after Albus 1975.
    """

    def __init__(self, *, tokens: Tokens, rates: Sequence[Rate]) -> None:
        super().__init__(names=[rate.name for rate in rates])
        self._tokens = tokens
        self._rate_R, self._start_R = (np.array(of, np.float32) for of in zip(*((r.rate, r.start) for r in rates), strict=True))
        num_planes = 2 * len(rates)
        # The weights of all members first, then their squared gradients.
        self._slots = SlotTable(num_features=1 << BITS, num_planes=num_planes, max_bytes=MAX_BYTES * len(rates))
        self._bias_PK = np.zeros(self._slots.cells.shape[1:], dtype=np.float32)
        self._indices = self._found = np.zeros(0, dtype=np.int32)

    def predict(self) -> None:
        self._indices, self._found = say(self._tokens.hashes_T, self._slots.slot_F, self._slots.cells, self._bias_PK, self.p_RK)

    def learn(self, target: int, weight: float) -> None:
        if weight <= 0.0:
            return
        slots = self._slots.claim(self._indices, self._found)
        step(slots, self.p_RK, target, weighted(self._rate_R, weight), self._start_R, self._slots.cells, self._bias_PK)

    def grow(self) -> None:
        self._slots.grow()
        spare = self._slots.num_classes - 1
        bias_PK = np.zeros(self._slots.cells.shape[1:], dtype=np.float32)
        bias_PK[:, :spare] = self._bias_PK[:, :spare]
        bias_PK[:, spare] = bias_PK[:, spare - 1]
        self._bias_PK = bias_PK
        self._fit()
        self.predict()

    def _fit(self) -> None:
        self.p_RK = np.ones((self._num_rates, self._slots.num_classes))

    def num_bytes(self) -> int:
        return self._slots.num_bytes() + self._bias_PK.nbytes

    def state_dict(self) -> State:
        return {"tokens": self._slots.state_dict(), "bias": self._bias_PK.copy()}

    def load_state_dict(self, state: State) -> None:
        self._slots.load_state_dict(state["tokens"])
        self._load_bias(state)

    def weights(self) -> State:
        return {"tokens": self._slots.weights(self._num_rates), "bias": self._bias_PK[: self._num_rates].copy()}

    def load_weights(self, state: State) -> None:
        self._slots.load_weights(state["tokens"])
        self._load_bias(state)

    def _load_bias(self, state: State) -> None:
        self._bias_PK = np.zeros(self._slots.cells.shape[1:], dtype=np.float32)
        self._bias_PK[: len(state["bias"])] = state["bias"]
        self._fit()

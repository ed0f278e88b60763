"""Experts that differ in their learning rate alone, and share one pass over the features of a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.learning.experts.base import Expert
from daemon.state import State


class Bank(ABC):
    """R experts in one: `experts()` are its members for the pool, `p_RK` what they say of the current row."""

    is_simple = False
    """Of all members, as an expert has it."""

    def __init__(self, *, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._num_rates = len(self._names)
        self.p_RK = np.ones((self._num_rates, 1))

    def experts(self) -> tuple[Expert, ...]:
        """The members of the pool: the first drives the bank and holds its state, the others show their part."""
        return tuple(_Member(self, name, rate) for rate, name in enumerate(self._names))

    @abstractmethod
    def predict(self) -> None:
        """Set `p_RK` for the current row."""

    @abstractmethod
    def learn(self, target: int, weight: float) -> None: ...

    @abstractmethod
    def grow(self) -> None: ...

    @abstractmethod
    def num_bytes(self) -> int: ...

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...

    @abstractmethod
    def weights(self) -> State: ...

    @abstractmethod
    def load_weights(self, state: State) -> None: ...


def weighted(rate_R: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """(R,) how far each member steps by a row of this weight."""
    return rate_R if weight == 1.0 else np.float32(weight) * rate_R  # nearly all weigh 1, and a product takes a microsecond


class _Member(Expert):
    """One rate's part of a bank."""

    def __init__(self, bank: Bank, name: str, rate: int) -> None:
        self.name = name
        self.is_simple = bank.is_simple
        self._bank = bank
        self._rate = rate

    @property
    def unit(self) -> Bank:
        return self._bank

    def predict(self) -> NDArray[np.float64]:
        if self._rate == 0:
            self._bank.predict()
        p_K: NDArray[np.float64] = self._bank.p_RK[self._rate]
        return p_K

    def learn(self, target: float, weight: float) -> None:
        if self._rate == 0:
            self._bank.learn(int(target), weight)

    def grow(self) -> None:
        if self._rate == 0:
            self._bank.grow()

    def num_bytes(self) -> int:
        return self._bank.num_bytes() if self._rate == 0 else 0

    def state_dict(self) -> State:
        return self._bank.state_dict() if self._rate == 0 else {}

    def load_state_dict(self, state: State) -> None:
        if self._rate == 0:
            self._bank.load_state_dict(state)

    def weights(self) -> State:
        return self._bank.weights() if self._rate == 0 else {}

    def load_weights(self, state: State) -> None:
        if self._rate == 0:
            self._bank.load_weights(state)

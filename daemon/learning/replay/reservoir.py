"""A uniform sample of everything seen."""

from __future__ import annotations

from daemon.learning.draws import draws
from daemon.learning.replay.base import Replay, Rows, num_rows
from daemon.learning.replay.store import Store
from daemon.state import State


class Reservoir(Replay):
    """Every row seen is kept with the same probability, capacity / seen.

    >>> import numpy as np
    >>> replay = Reservoir(capacity=3, seed=0)
    >>> replay.update({"target": np.arange(100.0), "weight": np.ones(100)})
    >>> replay.sample(2, ordinal=0)["target"].tolist()
    [9.0, 93.0]

    Algorithm R: Vitter 1985, "Random sampling with a reservoir".
    """

    def __init__(self, *, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self._seed = seed
        self._store = Store(capacity=capacity)
        self._seen = 0

    def update(self, rows: Rows) -> None:
        for index in range(num_rows(rows)):
            slot = self._seen
            if self._seen >= self.capacity:
                slot = int(draws(self._seed, "reservoir", self._seen).integers(self._seen + 1))
            if slot < self.capacity:
                self._store.write(slot, rows, index)
            self._seen += 1

    def sample(self, n: int, ordinal: int) -> Rows:
        if not self._store.size:
            return {}
        generator = draws(self._seed, "replay", ordinal)
        return self._store.read(generator.choice(self._store.size, min(n, self._store.size), replace=False))

    def __len__(self) -> int:
        return self._store.size

    def state_bytes(self) -> int:
        return self._store.nbytes()

    def state_dict(self) -> State:
        return {"rows": self._store.state_dict(), "seen": self._seen}

    def load_state_dict(self, state: State) -> None:
        self._store.load_state_dict(state["rows"])
        self._seen = state["seen"]

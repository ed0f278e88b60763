"""As many rows of every class as the memory allows, and a share of what came last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.draws import draws
from daemon.learning.replay.base import Replay, Rows, concatenate
from daemon.learning.replay.store import Store
from daemon.state import State


class Balanced(Replay):
    """A class-balancing reservoir beside a ring of the most recent rows; for classification, labels may grow.

    `recent_share` of the capacity is the ring, and as large a share of every sample comes from it (0 < share < 1). The
    rest of a sample takes turns between the classes. After `prefer_recent` samples come from the ring alone until it has
    turned over once.

    >>> replay = Balanced(capacity=8, recent_share=0.5, seed=0)
    >>> replay.update({"target": np.array([0.0] * 50 + [1.0] * 2 + [0.0] * 50), "weight": np.ones(102)})
    >>> replay.class_counts()
    {0: 2, 1: 2}

    Keeping: Chrysakis & Moens 2020, "Online continual learning from imbalanced data", algorithm 1 (CBRS).
    """

    def __init__(self, *, capacity: int, recent_share: float, seed: int) -> None:
        recent_capacity = round(capacity * recent_share)
        if not 0 < recent_capacity < capacity:
            raise ValueError(
                f"capacity {capacity} and recent_share {recent_share} leave {recent_capacity} recent rows and "
                f"{capacity - recent_capacity} balanced ones; both must be at least 1"
            )
        self.capacity = capacity
        self._recent_share = recent_share
        self._seed = seed
        self._recent = Store(capacity=recent_capacity)
        self._balanced = Store(capacity=capacity - recent_capacity)
        self._seen_C = np.zeros(0, np.int64)
        self._was_largest_C = np.zeros(0, np.bool_)
        self._seen = 0
        self._prefer_recent_until = 0

    def update(self, rows: Rows) -> None:
        for index, target in enumerate(rows["target"].astype(np.int64)):
            self._recent.write(self._seen % self._recent.capacity, rows, index)
            self._count(int(target))
            slot = self._slot(int(target))
            if slot is not None:
                self._balanced.write(slot, rows, index)
            self._seen += 1

    def sample(self, n: int, ordinal: int) -> Rows:
        if not self._seen or not n:
            return {}
        generator = draws(self._seed, "replay", ordinal)
        share = 1.0 if self._seen < self._prefer_recent_until else self._recent_share
        num_recent = min(round(n * share), self._recent.size)
        recent = self._recent.read(generator.choice(self._recent.size, num_recent, replace=False))
        balanced = self._balanced.read(_in_turns(self._balanced.targets(), n - round(n * share), generator))
        return concatenate(recent, balanced)

    def prefer_recent(self) -> None:
        self._prefer_recent_until = self._seen + self._recent.capacity

    def class_counts(self) -> dict[int, int]:
        """Balanced rows kept by class index."""
        classes, counts = np.unique(self._balanced.targets(), return_counts=True)
        return {int(c): int(count) for c, count in zip(classes, counts, strict=True)}

    def __len__(self) -> int:
        return self._recent.size + self._balanced.size

    def state_bytes(self) -> int:
        return self._recent.nbytes() + self._balanced.nbytes()

    def state_dict(self) -> State:
        return {
            "recent": self._recent.state_dict(),
            "balanced": self._balanced.state_dict(),
            "seen_by_class": self._seen_C.copy(),
            "was_largest": self._was_largest_C.copy(),
            "seen": self._seen,
            "prefer_recent_until": self._prefer_recent_until,
        }

    def load_state_dict(self, state: State) -> None:
        self._recent.load_state_dict(state["recent"])
        self._balanced.load_state_dict(state["balanced"])
        self._seen_C = np.array(state["seen_by_class"], np.int64)
        self._was_largest_C = np.array(state["was_largest"], np.bool_)
        self._seen, self._prefer_recent_until = state["seen"], state["prefer_recent_until"]

    def _count(self, target: int) -> None:
        missing = target + 1 - len(self._seen_C)
        if missing > 0:
            self._seen_C = np.append(self._seen_C, np.zeros(missing, np.int64))
            self._was_largest_C = np.append(self._was_largest_C, np.zeros(missing, np.bool_))
        self._seen_C[target] += 1

    def _slot(self, target: int) -> int | None:
        """Where a row of class `target` goes, or None: it is not kept."""
        if self._balanced.size < self._balanced.capacity:
            return self._balanced.size
        kept_B = self._balanced.targets()
        kept_C = np.bincount(kept_B.astype(np.int64), minlength=len(self._seen_C))
        self._was_largest_C |= kept_C == kept_C.max()
        generator = draws(self._seed, "balanced", self._seen)
        if self._was_largest_C[target]:
            # A class that had its fill keeps a uniform sample of its own rows.
            if generator.random() > kept_C[target] / self._seen_C[target]:
                return None
            victim = target
        else:
            victim = int(kept_C.argmax())
        candidates = np.flatnonzero(kept_B == victim)
        return int(candidates[generator.integers(len(candidates))])


def _in_turns(target_N: NDArray[np.float64], n: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """At most `n` of N rows without repetition: one of every class, a second of every class, and so on.

    >>> _in_turns(np.array([0.0, 0, 0, 0, 1, 2]), 4, np.random.default_rng(0)).tolist()
    [3, 4, 5, 2]
    """
    order = generator.permutation(len(target_N))
    classes, class_N = np.unique(target_N[order], return_inverse=True)
    by_class = np.argsort(class_N, kind="stable")
    starts = np.searchsorted(class_N[by_class], np.arange(len(classes)))
    turn_N = np.empty(len(order), np.intp)
    turn_N[by_class] = np.arange(len(order)) - starts[class_N[by_class]]
    # Which class comes first in a turn is drawn, so that no class is favoured where `n` is no multiple of their number.
    priority = generator.permutation(len(classes))
    return order[np.lexsort((priority[class_N], turn_N))][:n]

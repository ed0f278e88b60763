"""A table of per-class numbers for hashed features, of which only those seen take memory, and that never outgrows its bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.compiled import compiled
from daemon.state import State

Cells = NDArray[np.float32]
Slots = NDArray[np.int32]
Indices = NDArray[np.int32]

# When the bound is reached this part of the slots, those not used for longest, is given up at once: often enough to keep
# what is current, seldom enough that a row costs no more on average.
EVICTED_PART = 0.25


class SlotTable:
    """P planes of K numbers for each feature seen, K being the known classes and the spare.

    `cells[slot]` holds them as (P, capacity) with capacity ≥ K, all planes of a feature side by side, so that one feature
    costs one or two cache lines. Numbers beyond K are 0. A feature gets its slot by `claim` and starts from 0. Where the
    next slot or class would take more than `max_bytes`, the features that were not used for longest are forgotten; equally
    old ones go in the order of their slots, so that the same rows always leave the same table.
    """

    def __init__(self, *, num_features: int, num_planes: int, max_bytes: int) -> None:
        self._num_planes = num_planes
        self._max_bytes = max_bytes
        self.num_classes = 1
        self.num_slots = 0
        self._clock = 0
        self._slot_F = np.zeros(num_features, dtype=np.int32)  # slot + 1, 0 where the feature has none
        self._feature_S = np.zeros(0, dtype=np.int32)
        self._used_S = np.zeros(0, dtype=np.int64)
        self.cells = np.zeros((0, num_planes, class_capacity(1)), dtype=np.float32)

    @property
    def max_slots(self) -> int:
        """At least 1,024, whatever the bound and the number of classes."""
        bytes_per_slot = self._num_planes * class_capacity(self.num_classes) * 4 + 12
        return max(1024, self._max_bytes // bytes_per_slot)

    def find(self, indices: Indices) -> Slots:
        """(n,) the slot of each feature, -1 where it has none."""
        slots: Slots = self._slot_F[indices] - 1
        return slots

    def claim(self, indices: Indices) -> Slots:
        """(n,) the slot of each of a row's distinct features; new ones get one, and all count as used now."""
        self._clock += 1
        num_new = int(np.count_nonzero(self._slot_F[indices] == 0))
        if self.num_slots + num_new > self.max_slots:
            self._evict_down_to(max(0, min(int(self.max_slots * (1.0 - EVICTED_PART)), self.max_slots - num_new)))
        if self.num_slots + num_new > len(self._feature_S):
            doubled = min(max(2 * len(self._feature_S), 1024), self.max_slots)
            self._resize(max(doubled, self.num_slots + num_new))
        slots = np.empty(len(indices), dtype=np.int32)
        self.num_slots = _claim(indices, self._clock, self.num_slots, self._slot_F, self._feature_S, self._used_S, slots)
        return slots

    def grow(self) -> None:
        """One class more: the spare becomes it, and the fresh spare starts as its copy."""
        self.num_classes += 1
        if class_capacity(self.num_classes) > self.cells.shape[2]:
            self._evict_down_to(self.max_slots)
            self._resize(min(len(self._feature_S), self.max_slots))
        spare = self.num_classes - 1
        self.cells[: self.num_slots, :, spare] = self.cells[: self.num_slots, :, spare - 1]

    def _resize(self, capacity: int) -> None:
        capacity = max(capacity, self.num_slots)
        cells = np.zeros((capacity, self._num_planes, class_capacity(self.num_classes)), dtype=np.float32)
        kept = self.cells[: self.num_slots]
        cells[: self.num_slots, :, : kept.shape[2]] = kept
        self.cells = cells
        self._feature_S = np.concatenate([self._feature_S[: self.num_slots], np.zeros(capacity - self.num_slots, np.int32)])
        self._used_S = np.concatenate([self._used_S[: self.num_slots], np.zeros(capacity - self.num_slots, np.int64)])

    def _evict_down_to(self, num_kept: int) -> None:
        if self.num_slots <= num_kept:
            return
        used_S = self._used_S[: self.num_slots]
        oldest_first_S = np.argsort(used_S, kind="stable")
        kept_S = np.sort(oldest_first_S[self.num_slots - num_kept :])
        self._slot_F[self._feature_S[: self.num_slots]] = 0
        for column in (self._feature_S, self._used_S, self.cells):
            column[:num_kept] = column[kept_S]
            column[num_kept : self.num_slots] = 0
        self.num_slots = num_kept
        self._slot_F[self._feature_S[:num_kept]] = np.arange(1, num_kept + 1, dtype=np.int32)

    def num_bytes(self) -> int:
        """Memory that it takes: room for slots to come, and the index of all features, are no part of the state."""
        return self.cells.nbytes + self._slot_F.nbytes + self._feature_S.nbytes + self._used_S.nbytes

    def state_dict(self) -> State:
        """`cells` is (S, P, K)."""
        return self.weights(self._num_planes) | {"used": self._used_S[: self.num_slots].copy(), "clock": self._clock}

    def weights(self, num_planes: int) -> State:
        """The first `num_planes` planes, which are what predicting reads."""
        return {
            "features": self._feature_S[: self.num_slots].copy(),
            "cells": self.cells[: self.num_slots, :num_planes, : self.num_classes].copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._used_S = np.array(state["used"], dtype=np.int64)
        self._clock = int(state["clock"])

    def load_weights(self, state: State) -> None:
        features, cells = np.array(state["features"], dtype=np.int32), np.asarray(state["cells"])
        num_slots, num_planes, self.num_classes = cells.shape
        if num_planes > self._num_planes or len(features) != num_slots:
            raise StateError(
                f"a table of {len(features)} features and shape {cells.shape} does not fit {self._num_planes} planes; "
                "it was saved by another build or expert: start with a fresh folder"
            )
        self.num_slots = num_slots
        self._feature_S = features
        self._used_S = np.zeros(num_slots, dtype=np.int64)
        self.cells = np.zeros((num_slots, self._num_planes, class_capacity(self.num_classes)), dtype=np.float32)
        self.cells[:, :num_planes, : self.num_classes] = cells
        self._slot_F = np.zeros_like(self._slot_F)
        self._slot_F[features] = np.arange(1, num_slots + 1, dtype=np.int32)


def class_capacity(num_classes: int) -> int:
    """Room for classes, in steps that keep growing cheap and the inner loops in whole vectors.

    >>> [class_capacity(num_classes) for num_classes in (1, 3, 5, 16, 17, 151)]
    [4, 4, 8, 16, 32, 160]
    """
    step = 4 if num_classes <= 16 else 16
    return -(-num_classes // step) * step


@compiled
def _claim(
    indices: Indices, clock: int, num_slots: int, slot_F: Slots, feature_S: Indices, used_S: NDArray[np.int64], slots: Slots
) -> int:
    for i in range(len(indices)):
        feature = indices[i]
        slot = slot_F[feature] - 1
        if slot < 0:
            slot = num_slots
            slot_F[feature] = slot + 1
            feature_S[slot] = feature
            num_slots += 1
        used_S[slot] = clock
        slots[i] = slot
    return num_slots

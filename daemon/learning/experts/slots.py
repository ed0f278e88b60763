"""A table of per-class numbers for hashed features, of which only those seen take memory, and that never outgrows its bound."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.errors import StateError
from daemon.state import State

Cells = NDArray[np.float32]
Slots = NDArray[np.int32]
Indices = NDArray[np.int32]

# When the bound is reached this part of the slots, those not used for longest, is given up at once: often enough to keep
# what is current, seldom enough that a row costs no more on average.
EVICTED_PART = 0.25
# Numbers of a cache line; and the most of a feature that are worth to be fetched ahead: of more, the processor sees itself
# that they are read one after the other.
LINE = 16
MOST_FETCHED = 128


class SlotTable:
    """P planes of K numbers for each feature seen, K being the known classes and the spare.

    `cells[slot]` holds them as (P, capacity) with capacity ≥ K, all planes of a feature side by side, so that one feature
    costs one or two cache lines. Numbers beyond K are 0. A feature gets its slot by `claim` and starts from 0. Where the
    next slot or class would take more than `max_bytes`, or there are `max_slots`, the features that were not used for longest
    are forgotten; equally old ones go in the order of their slots, so that the same rows always leave the same table.

    The arrays have their full length from the start, and memory comes as slots are first used: nothing is ever copied to
    make room for one more.
    """

    def __init__(self, *, num_features: int, num_planes: int, max_bytes: int, max_slots: int | None = None) -> None:
        """`max_slots` is by default as many as there are features."""
        self._num_planes = num_planes
        self._max_bytes, self._most = max_bytes, min(num_features, max_slots or num_features)
        self.num_classes = 1
        self.num_slots = 0
        self._clock = 0
        self._most_slots = 0
        self.slot_F = np.zeros(num_features, dtype=np.int32)
        """Slot + 1 of each feature, 0 where it has none: for kernels that look up and read in one call."""
        self._bound_slots()
        self._allocate(self.max_slots)

    def _bound_slots(self) -> None:
        self.max_slots = min(self._most, max(1024, self._max_bytes // self._bytes_per_slot))
        """1,024 at least, whatever the bound in bytes and the number of classes."""

    @property
    def _bytes_per_slot(self) -> int:
        return self._num_planes * class_capacity(self.num_classes) * 4 + 12

    @property
    def features(self) -> Indices:
        """(S,) the feature of each slot."""
        return self._feature_S[: self.num_slots]

    def find(self, indices: Indices) -> Slots:
        """(n,) the slot of each feature, -1 where it has none. The numbers of those that have one are brought near on the
        way, where they are few enough: reading them here costs one wait in all, one by one in an expert a wait each."""
        slots = np.empty(len(indices), dtype=np.int32)
        _find(indices, self.slot_F, slots, self.cells)
        return slots

    def claim(self, indices: Indices, found: Slots | None = None) -> Slots:
        """(n,) the slot of each of a row's distinct features; new ones get one, and all count as used now. `found` is what
        `find` has just said of them, where the caller knows it."""
        self._clock += 1
        slots = self.find(indices) if found is None else found.copy()
        if self.num_slots + len(indices) > self.max_slots:  # there may be too little room
            slots = self._make_room(indices, slots)
        self.num_slots = _claim(indices, self._clock, self.num_slots, self.slot_F, self._feature_S, self._used_S, slots)
        self._most_slots = max(self._most_slots, self.num_slots)
        return slots

    def _make_room(self, indices: Indices, slots: Slots) -> Slots:
        """Forget what was not used for longest, until those of `indices` that have no slot fit; the slots of all of them."""
        num_new = int(np.count_nonzero(slots < 0))
        if self.num_slots + num_new <= self.max_slots:
            return slots
        self._evict_down_to(max(0, min(int(self.max_slots * (1.0 - EVICTED_PART)), self.max_slots - num_new)))
        slots = self.find(indices)
        num_new = int(np.count_nonzero(slots < 0))  # the row's own may have been among the oldest
        if self.num_slots + num_new > len(self._feature_S):  # a row may have more features than the bound has slots
            self._move(self.num_slots + num_new)
        return slots

    def grow(self) -> None:
        """One class more: the spare becomes it, and the fresh spare starts as its copy."""
        self.num_classes += 1
        self._bound_slots()
        if class_capacity(self.num_classes) > self.cells.shape[2]:
            self._evict_down_to(self.max_slots)
            self._move(self.max_slots)
        spare = self.num_classes - 1
        self.cells[: self.num_slots, :, spare] = self.cells[: self.num_slots, :, spare - 1]

    def _allocate(self, capacity: int) -> None:
        """Empty arrays for so many slots."""
        self._feature_S = np.zeros(capacity, dtype=np.int32)
        self._used_S = np.zeros(capacity, dtype=np.int64)
        self.cells = _aligned_zeros((capacity, self._num_planes, class_capacity(self.num_classes)))
        self._most_slots = self.num_slots

    def _move(self, capacity: int) -> None:
        """Into arrays for so many slots and all classes."""
        feature_S, used_S, kept = (column[: self.num_slots] for column in (self._feature_S, self._used_S, self.cells))
        self._allocate(max(capacity, self.num_slots))
        self._feature_S[: self.num_slots], self._used_S[: self.num_slots] = feature_S, used_S
        self.cells[: self.num_slots, :, : kept.shape[2]] = kept

    def _evict_down_to(self, num_kept: int) -> None:
        if self.num_slots <= num_kept:
            return
        used_S = self._used_S[: self.num_slots]
        oldest_first_S = np.argsort(used_S, kind="stable")
        kept_S = np.sort(oldest_first_S[self.num_slots - num_kept :])
        self.slot_F[self._feature_S[: self.num_slots]] = 0
        for column in (self._feature_S, self._used_S, self.cells):
            column[:num_kept] = column[kept_S]
            column[num_kept : self.num_slots] = 0
        self.num_slots = num_kept
        self.slot_F[self._feature_S[:num_kept]] = np.arange(1, num_kept + 1, dtype=np.int32)

    def num_bytes(self) -> int:
        """Memory that it takes: of slots once used, and of the index of all features, which is no part of the state."""
        return self._most_slots * self._bytes_per_slot + self.slot_F.nbytes

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
        if np.asarray(state["cells"]).shape[1] != self._num_planes:
            raise _misfit(state, self._num_planes)
        self.load_weights(state)
        self._used_S[: self.num_slots] = state["used"]
        self._clock = int(state["clock"])

    def load_weights(self, state: State) -> None:
        features, cells = np.array(state["features"], dtype=np.int32), np.asarray(state["cells"])
        num_slots, num_planes, num_classes = cells.shape
        if num_planes > self._num_planes or len(features) != num_slots:
            raise _misfit(state, self._num_planes)
        self._forget()
        self.num_classes = num_classes
        self._bound_slots()
        capacity = max(self.max_slots, num_slots)
        if (capacity, class_capacity(self.num_classes)) != (len(self.cells), self.cells.shape[2]):
            self._allocate(capacity)
        self.num_slots = num_slots
        self._most_slots = max(self._most_slots, num_slots)
        self._feature_S[:num_slots] = features
        self.cells[:num_slots, :num_planes, : self.num_classes] = cells
        self.slot_F[features] = np.arange(1, num_slots + 1, dtype=np.int32)

    def _forget(self) -> None:
        """As it was made, but for its length: memory that is there costs less than new."""
        self.slot_F[self.features] = 0
        for column in (self._feature_S, self._used_S, self.cells):
            column[: self.num_slots] = 0
        self.num_slots = 0


def _misfit(state: State, num_planes: int) -> StateError:
    features, cells = np.asarray(state["features"]), np.asarray(state["cells"])
    return StateError(
        f"a table of {len(features)} features and shape {cells.shape} does not fit {num_planes} planes; "
        "it was saved by another build or expert: start with a fresh folder"
    )


def _aligned_zeros(shape: tuple[int, int, int]) -> Cells:
    """float32 from the start of a cache line on: what is half a line long then never takes two."""
    size = math.prod(shape)
    spare = np.zeros(size + LINE, dtype=np.float32)
    start = -spare.ctypes.data // spare.itemsize % LINE
    return spare[start : start + size].reshape(shape)


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
    """Slots for the features that have none, in `slots` too."""
    for i in range(len(indices)):
        if slots[i] < 0 and slot_F[indices[i]] == 0:
            feature_S[num_slots] = indices[i]
            num_slots += 1
            slot_F[indices[i]] = num_slots
        if slots[i] < 0:  # which two that share a hash are both
            slots[i] = slot_F[indices[i]] - 1
        used_S[slots[i]] = clock
    return num_slots


@compiled
def _find(indices: Indices, slot_F: Slots, slots: Slots, cells: Cells) -> float:
    """Slots, and a number of each cache line of what they hold: reads that do not wait for each other. What is returned only
    keeps the compiler from leaving them out."""
    flat = cells.reshape(-1)
    size = cells.shape[1] * cells.shape[2]
    fetched = size if size <= MOST_FETCHED else 0
    highest = np.float32(0.0)
    for i in range(len(indices)):
        slots[i] = slot_F[indices[i]] - 1
    for i in range(len(indices)):
        start = max(0, np.int64(slots[i])) * size
        for j in range(start, start + fetched, LINE):
            highest = max(highest, flat[j])
    return float(highest)

"""Compiled parts of a table's inputs: what the columns of one row say, in their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.table_kernels import ABSENT, CATEGORY, COUNT, MISSING, NUM_CHANGES, NUMBER, Floats, Ints

# Columns of `slot_NS`: where each of a column's inputs starts, -1 where it has none.
SLOT, MISSING_MARK, CHANGES, CODE, SEASON, NUM_SLOTS = range(6)
# A rank is uniform on 0…1; times √12 it has the variance of a z-score.
UNIT_VARIANCE = 12.0**0.5
# A column is rare where it had no number so many times as often as it had one.
RARE = 3.0


@compiled
def column_without_inputs(kind_N: Ints, slot_NS: Ints) -> int:
    """The first column that has no inputs for the kind of its current value; -1 where all have. Categories get theirs apart."""
    for n in range(len(kind_N)):
        if (kind_N[n] == NUMBER and slot_NS[n, SLOT] < 0) or (kind_N[n] == MISSING and slot_NS[n, MISSING_MARK] < 0):
            return n
    return -1


@compiled
def dense_row(
    known_N: Ints,
    z_N: Floats,
    rank_N: Floats,
    change_NC: Floats,
    slot_NS: Ints,
    current_D: NDArray[np.float32],
    context_D: NDArray[np.float32],
) -> None:
    """Dense inputs of one row. `slot_NS` holds, a column, where its inputs stand (see `ColumnInputs`), or -1."""
    current_D[:] = 0.0
    context_D[:] = 0.0
    for n in range(len(known_N)):
        if known_N[n] == NUMBER and slot_NS[n, SLOT] >= 0:
            current_D[slot_NS[n, SLOT]] = z_N[n]
            current_D[slot_NS[n, SLOT] + 1] = (rank_N[n] - 0.5) * UNIT_VARIANCE
            place = slot_NS[n, CHANGES]
            context_D[place] = z_N[n]
            for c in range(NUM_CHANGES):
                context_D[place + 1 + c] = change_NC[n, c]
            if slot_NS[n, SEASON] >= 0:
                context_D[slot_NS[n, SEASON]] = change_NC[n, NUM_CHANGES]
        elif known_N[n] == MISSING and slot_NS[n, MISSING_MARK] >= 0:
            current_D[slot_NS[n, MISSING_MARK]] = 1.0


@compiled
def rare_row(known_N: Ints, stats_NS: Floats, key_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(T,) the keys of the columns that have a number here, and have none in most rows."""
    rare_T = np.empty(len(known_N), dtype=np.uint64)
    num = 0
    for n in range(len(known_N)):
        if known_N[n] == NUMBER and stats_NS[n, ABSENT] > RARE * stats_NS[n, COUNT]:
            rare_T[num] = key_N[n]
            num += 1
    return rare_T[:num]


@compiled
def raw_row(known_N: Ints, value_N: Floats, category_N: NDArray[np.uint64], raw_N: Floats) -> None:
    """Numbers as they are, categories as a number in [0, 1) by their hash, NaN where a value is missing."""
    for n in range(len(known_N)):
        raw_N[n] = np.nan
        if known_N[n] == NUMBER:
            raw_N[n] = value_N[n]
        elif known_N[n] == CATEGORY:
            raw_N[n] = category_N[n] * 2.0**-64

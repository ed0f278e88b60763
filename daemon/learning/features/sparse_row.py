"""A row of a table as the inputs of a regression: numbers, categories, and marks of what is there though it mostly is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.hashing import Indices, Values
from daemon.learning.features.table import TableFeatures
from daemon.learning.features.table_kernels import CATEGORY, NUMBER, Floats, Ints

# Categories and marks hash to so many features.
CATEGORY_BITS = 20
MARK_BITS = 16
# Of these so many that came last are remembered, as far as they fit into the memory that an expert has for them.
MAX_SLOTS = 1 << 18
MAX_BYTES = 128 << 20
# A mark as an input: the z-score of what is there in one row of ten.
MARK = 3.0


def num_features(table: TableFeatures, *, num_biases: int) -> int:
    """First come biases, then the columns, categories and marks."""
    return num_biases + table.max_columns + (1 << CATEGORY_BITS) + (1 << MARK_BITS)


def sparse_row(table: TableFeatures, *, num_biases: int, first_number: int = 0) -> tuple[Indices, Values]:
    """(n,) the inputs of the current row that are not 0, and their values: 1 for a bias and a category, `MARK` for a mark, of a
    number its z-score. Columns before `first_number` give no number."""
    row = table.row
    return _sparse_row(
        row.known_N, row.z_N, row.category_N, row.marks_T, num_biases, first_number, num_biases + table.max_columns
    )


_UNUSED_BITS, _UNUSED_MARK_BITS = np.uint64(64 - CATEGORY_BITS), np.uint64(64 - MARK_BITS)


@compiled
def _sparse_row(
    known_N: Ints,
    z_N: Floats,
    category_N: NDArray[np.uint64],
    marks_T: NDArray[np.uint64],
    num_biases: int,
    first_number: int,
    first_category: int,
) -> tuple[Indices, Values]:
    first_mark = first_category + (1 << CATEGORY_BITS)
    indices = np.empty(num_biases + len(known_N) + len(marks_T), dtype=np.int32)
    values = np.empty(len(indices), dtype=np.float32)
    for num in range(num_biases):
        indices[num], values[num] = num, 1.0
    num = num_biases
    for n in range(len(known_N)):
        if known_N[n] == NUMBER and n >= first_number and z_N[n] != 0.0:
            indices[num], values[num] = num_biases + n, z_N[n]
            num += 1
        elif known_N[n] == CATEGORY:
            indices[num], values[num] = first_category + int(category_N[n] >> _UNUSED_BITS), 1.0
            num += 1
    for t in range(len(marks_T)):
        indices[num], values[num] = first_mark + int(marks_T[t] >> _UNUSED_MARK_BITS), MARK
        num += 1
    return indices[:num], values[:num]

"""One row of a table by its columns, as experts read it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from daemon.learning.features.hash_text import hash_text
from daemon.learning.features.table_kernels import CATEGORY, NUMBER, WITH_SEASON

Hashes = NDArray[np.uint64]

# Beyond this a number is drawn in, so that no square overflows.
LARGEST = 1e100


class TableRow:
    """A row of N known columns. It stays as it is when statistics learn of it and of later rows.

    As it came: `kind_N` says whether a column has a number (`value_N`, its bits in `bits_N`), a category (its hash in
    `category_N`, its place in `categorical`) or none; `unknown` are names and values of columns that are not known.

    `TableFeatures.encode` fills in the rest, beside what came before: `known_N` is `kind_N`, save that a number too far off
    counts as missing; `z_N`, `rank_N` and `change_NC` are numbers' z-scores, ranks in their columns' windows, and changes;
    `raw_N` the numbers as they came, categories as a number in [0, 1) by hash, NaN where a value is missing; `marks_T` what is
    there that mostly is not.
    """

    def __init__(self, values: Mapping[str, float | str], index: Mapping[str, int]) -> None:
        """`index` is the place of each known column."""
        n = len(index)
        self.value_N, self.z_N, self.rank_N, self.raw_N = np.zeros((4, n))
        self.kind_N, self.known_N = np.zeros((2, n), dtype=np.int64)  # MISSING
        self.change_NC = np.zeros((n, WITH_SEASON))
        self.category_N: Hashes = np.zeros(n, dtype=np.uint64)
        self.bits_N: Hashes = self.value_N.view(np.uint64)
        self.marks_T: Hashes = _NO_MARKS
        self.categorical: list[int] = []
        self.unknown: list[tuple[str, str | float]] = []
        for name, value in values.items():
            column = index.get(name)
            if column is None:
                self.unknown.append((name, value))
            elif isinstance(value, str):
                self.kind_N[column] = CATEGORY
                self.category_N[column] = hash_text(f"{name}\0{value}")
                self.categorical.append(column)
            else:
                self.kind_N[column] = NUMBER
                inside = value if -LARGEST < value < LARGEST else LARGEST if value > 0 else -LARGEST
                self.value_N[column] = inside + 0.0  # -0 and 0 are one value


_NO_MARKS: Hashes = np.zeros(0, dtype=np.uint64)

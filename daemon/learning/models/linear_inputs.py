"""Rows as the linear model's kernels take them: numbers by column, and tokens of what is hashed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.batch import Batch
from daemon.learning.features.hash_text import hash_text
from daemon.learning.features.hashing import NUM_FEATURES as NUM_TEXT_FEATURES
from daemon.learning.features.hashing import Indices, TextHasher, Values
from daemon.learning.features.past_limit import ColumnLimit

# Categories of all columns share so many places by hash.
NUM_CATEGORIES = 1 << 18
MAX_CHARACTERS = 4000

Ints = NDArray[np.int64]
INT, FLOAT = np.dtype(np.int64), np.dtype(np.float64)

# What stands for the column of a number whose name no learned row has had, or one too many.
UNKNOWN = -1
NO_INDICES, NO_VALUES = np.empty(0, np.int32), np.empty(0, np.float32)


class Rows(NamedTuple):
    """B rows. Row i has the numbers from where those of row i − 1 end to `end_of_values_B[i]`, and the tokens likewise.

    A number is in column `column_V`, which is -1 where that is not known; a token has the value `x_T`.
    """

    column_V: Ints
    value_V: NDArray[np.float64]
    end_of_values_B: Ints
    token_T: Indices
    x_T: Values
    end_of_tokens_B: Ints


class RowReader:
    """Knows the numeric columns, at most `max_columns`, in the order in which rows that are learned first had them.

    A category is one token, by a hash of its column's name and itself; a text is tokens as `TextHasher` makes them.

    >>> reader = RowReader(reads_features=True, reads_text=False, max_columns=1)
    >>> rows = reader.read(Batch(["", ""], [{"x": 1.0}, {"x": 2.0, "y": 3.0, "colour": "red"}]), [0.0, 1.0])
    >>> rows.value_V.tolist(), rows.end_of_values_B.tolist(), rows.end_of_tokens_B.tolist(), reader.names
    ([1.0, 2.0, 3.0], [1, 3], [0, 1], ['x'])
    """

    def __init__(self, *, reads_features: bool, reads_text: bool, max_columns: int) -> None:
        self._reads_features, self._max_columns = reads_features, max_columns
        self._limit = ColumnLimit(max_columns=max_columns, read="the numbers are not read")
        self._hasher = TextHasher(max_characters=MAX_CHARACTERS) if reads_text else None
        # Words and bytes come first in the space of tokens.
        self._first_category = NUM_TEXT_FEATURES if reads_text else 0
        self._column: dict[str, int] = {}

    @property
    def num_tokens(self) -> int:
        """Tokens that there can be."""
        return self._first_category + NUM_CATEGORIES

    @property
    def num_columns(self) -> int:
        return len(self._column)

    @property
    def names(self) -> list[str]:
        return list(self._column)

    @names.setter
    def names(self, names: Sequence[str]) -> None:
        if len(names) > self._max_columns:
            raise StateError(
                f"the saved state has {len(names)} numeric columns, this model takes {self._max_columns}; "
                "set the model as it was when the state was saved, or start with a fresh folder"
            )
        self._column = {name: column for column, name in enumerate(names)}

    def read(self, batch: Batch, weights: Sequence[float]) -> Rows:
        """The rows of a micro-batch; those of a weight above 0 bring new columns in.

        Raises `ValueError` for NaN or infinity, naming the column, and then has taken in nothing.
        """
        columns: list[int] = []
        values: list[float] = []
        value_ends: list[int] = []
        categories: list[int] = []
        category_ends: list[int] = []
        column_of, max_columns = self._column, self._max_columns
        num_known = len(column_of)
        for row, weight in zip(batch.features, weights, strict=True):
            for name, value in row.items() if self._reads_features else ():
                if isinstance(value, str):
                    categories.append(self._first_category + hash_text(f"{name}\0{value}") % NUM_CATEGORIES)
                    continue
                column = column_of.get(name, UNKNOWN)
                if column == UNKNOWN and weight > 0.0:
                    if len(column_of) < max_columns:
                        column = column_of[name] = len(column_of)
                    else:
                        self._limit.tell(name)
                columns.append(column)
                values.append(value)
            value_ends.append(len(values))
            category_ends.append(len(categories))
        # A sum is finite only where all its terms are.
        if not math.isfinite(sum(values)):
            self._refuse_unless_finite(batch, num_known)
        token_T, x_T, end_of_tokens_B = self._tokens(batch.texts, categories, category_ends)
        column_V, value_V, end_of_values_B = np.array(columns, INT), np.array(values, FLOAT), np.array(value_ends, INT)
        return Rows(column_V, value_V, end_of_values_B, token_T, x_T, end_of_tokens_B)

    def _refuse_unless_finite(self, batch: Batch, num_known: int) -> None:
        for row in batch.features:
            for name, value in row.items():
                if not isinstance(value, str) and not math.isfinite(value):
                    self.names = self.names[:num_known]
                    raise ValueError(f"column {name!r}: {value} is not a finite number; leave a missing value out of the row")

    def _tokens(self, texts: Sequence[str], categories: Sequence[int], ends: Sequence[int]) -> tuple[Indices, Values, Ints]:
        """`token_T`, `x_T` and `end_of_tokens_B`: of each row those of its text, then those of its categories."""
        if not self._hasher:
            if not categories:
                return NO_INDICES, NO_VALUES, np.zeros(len(texts), INT)
            return np.array(categories, np.int32), np.ones(len(categories), np.float32), np.array(ends, INT)
        category_T = np.array(categories, np.int32)
        tokens, values, counts = [NO_INDICES], [NO_VALUES], list[int]()
        for text, start, end in zip(texts, [0, *ends], ends, strict=False):
            hashed, x = self._hasher.hash(text)
            tokens += [hashed, category_T[start:end]]
            values += [x, np.ones(end - start, np.float32)]
            counts.append(len(hashed) + end - start)
        return np.concatenate(tokens), np.concatenate(values), np.cumsum(counts, dtype=INT)

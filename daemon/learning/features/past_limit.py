"""What is read of columns of which nothing is known: new ones, and those of a table past the most that are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from daemon.learning.features import tile_kernels
from daemon.learning.features.hash_text import hash_text

logger = logging.getLogger(__name__)


class ColumnLimit:
    """Tells once, in the log, that a column came to which there is no room left."""

    def __init__(self, *, max_columns: int, read: str) -> None:
        """`read` says what is read of such columns."""
        self._max_columns, self._read = max_columns, read
        self._told = False

    def tell(self, name: str) -> None:
        """`name` is a column past the limit."""
        if not self._told:
            self._told = True
            logger.warning(
                "column %r is one more than %d: of it, and of others that come later, %s; leave out columns that tell nothing",
                name,
                self._max_columns,
                self._read,
            )


def tokens_past_limit(row: Iterable[tuple[str, str | float]]) -> NDArray[np.uint64]:
    """(T,) tokens of columns of which nothing is remembered: of a category one, of a number three, by its exact value and by
    its sign and size to a quarter and to the whole of a power of two.

    >>> one, other = (tokens_past_limit([("size", size)]) for size in (5.0, 5.5))
    >>> (one == other).tolist()
    [False, True, True]
    """
    row = list(row)
    category_T = np.array([hash_text(f"{name}\0{value}") for name, value in row if isinstance(value, str)], np.uint64)
    numbers = [(hash_text(name), value) for name, value in row if not isinstance(value, str)]
    key_V = np.array([key for key, _ in numbers], np.uint64)
    value_V = np.array([value for _, value in numbers], np.float64) + 0.0  # -0 and 0 are one value
    return np.concatenate([category_T, tile_kernels.number_tokens(key_V, value_V.view(np.uint64))])


def marks(row: Iterable[tuple[str, str | float]]) -> NDArray[np.uint64]:
    """(T,) by hash, the name of each column with a number, and the category of each other."""
    return np.array([hash_text(f"{name}\0{value}" if isinstance(value, str) else name) for name, value in row], np.uint64)

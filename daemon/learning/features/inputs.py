"""What an extractor holds of the current row and an expert reads: dense numbers, or tokens of a hashed sparse row."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class DenseInputs(Protocol):
    """Dense inputs of the current row, (D,) float32; D may grow from row to row, and an input keeps its place."""

    @property
    def values_D(self) -> NDArray[np.float32]: ...  # noqa: N802 - a shape suffix

    @property
    def width(self) -> int: ...


class Dense:
    """The dense inputs of the current row, float32. The width only grows, and an input keeps its place.

    >>> inputs = Dense()
    >>> inputs.widen(2)
    >>> inputs.values_D.tolist()
    [0.0, 0.0]
    """

    def __init__(self) -> None:
        self.values_D: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    @property
    def width(self) -> int:
        return len(self.values_D)

    def renew(self) -> None:
        """Room for the next row: who holds what the last one said keeps it."""
        self.values_D = np.zeros(len(self.values_D), dtype=np.float32)

    def widen(self, width: int) -> None:
        """At least `width` inputs from the next row on; those of the current row keep their values."""
        if width > len(self.values_D):
            self.values_D = np.concatenate([self.values_D, np.zeros(width - len(self.values_D), dtype=np.float32)])


class Tokens:
    """The tokens of the current row: 64 random bits each, of which an expert takes as many as its table has rows."""

    def __init__(self) -> None:
        self.hashes_T: NDArray[np.uint64] = np.zeros(0, dtype=np.uint64)

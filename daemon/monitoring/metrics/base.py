"""The contract of metrics: rows in, figures out, at any time.

A figure that does not apply, or that cannot be had yet, is None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from daemon.state import State

Floats = NDArray[np.float64]
Figures: TypeAlias = dict[str, float | None]


class Metrics(ABC):
    """Scores of one predictor since the start of the stream and over its last rows.

    The figures depend on the rows alone, never on how micro-batches were cut.
    """

    num_examples: int
    """Rows scored since the start."""

    @abstractmethod
    def update_all(self, target_B: Floats, answer_B: Floats, p_B: Floats) -> Floats:
        """Score rows in their order: the loss (B,) of each, 0 or 1 (classification) or the absolute error (regression).

        `p_B` is what the predictor gave to the targets; read only where it has probabilities.
        """

    def update(self, target: float, answer: float, probability: float) -> float:
        """Score one row and return its loss."""
        return float(self.update_all(np.array([target]), np.array([answer]), np.array([probability]))[0])

    @abstractmethod
    def since_start(self) -> Figures:
        """The figures over all rows."""

    @abstractmethod
    def window(self) -> Figures:
        """The figures over the last rows; costs time in the size of the window, so ask about once a second, not every row."""

    def target_counts(self) -> list[int]:
        """Rows by class index; empty where there are no classes."""
        return []

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...

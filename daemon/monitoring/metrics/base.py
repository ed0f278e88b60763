"""The contract of metrics: one row in, figures out, at any time.

A figure that does not apply, or that cannot be had yet, is None.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

from daemon.state import State

Figures: TypeAlias = dict[str, float | None]


class Metrics(ABC):
    """Scores of one predictor since the start of the stream and over its last rows.

    Python's own integers and floats, row by row: the figures depend on the rows alone, never on how micro-batches were cut.
    """

    num_examples: int
    """Rows scored since the start."""

    @abstractmethod
    def update(self, target: float, answer: float, probability: float) -> float:
        """Score one row and return its loss: 0 or 1 (classification), the absolute error (regression).

        `probability` is what the predictor gave to `target`; it is read only where the predictor has probabilities.
        """

    @abstractmethod
    def relative(self, loss: float) -> float:
        """A row's loss brought to [0, 1], for drift detectors; call it after `update`."""

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

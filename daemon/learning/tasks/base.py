"""The contract of a task: what is learned, how targets become numbers, how outputs become answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.state import JSON, State

Target = str | float


class Task(ABC):
    """Turns the targets of examples into the numbers that a model learns, and a model's outputs into answers."""

    name: str
    """As the settings write it."""

    labels: tuple[str, ...]
    """Labels by class index; empty for regression."""

    @abstractmethod
    def admits(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> list[bool]:
        """Whether each target may be learned, given that those before it are, with their weights. Changes nothing."""

    def weigh(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,) the weights that rows are learned with, from those of their examples."""
        return weight_B

    @abstractmethod
    def encode(self, targets: Sequence[Target], weight_B: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,) class indices or numbers; learns labels that are new. Raises `ValueError` where a target is not admitted.

        A row of weight 0 teaches no label: where its label is new, its index is NaN, "none of the classes".
        """

    @abstractmethod
    def look_up(self, targets: Sequence[Target]) -> NDArray[np.float64]:
        """(B,) the same without learning anything; NaN for a label that is not known."""

    @abstractmethod
    def decode(self, output: NDArray[np.float64]) -> list[dict[str, JSON]]:
        """One answer a row, from what the model returned: (B, C) probabilities or (B,) numbers."""

    @abstractmethod
    def state_dict(self) -> State: ...

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...

"""The contract of a drift detector: one number in, an alarm or none."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from daemon.state import State

Floats = NDArray[np.float64]


class Detector(ABC):
    """Watches a stream of numbers, the model's error as a rule, for a change.

    `update` with a value that is NaN or infinite, or outside what the detector can take, raises `ValueError` and leaves
    the detector as it was.
    """

    drift_detected: bool
    """Whether the last value raised an alarm."""

    worse: bool
    """Whether the last alarm was for a rise. Of errors a rise is the worse direction; False before any alarm."""

    @abstractmethod
    def update(self, x: float) -> None:
        """Take the next value and set `drift_detected`."""

    def advance(self, x_N: Floats) -> int:
        """Take values in their order up to the first that raises an alarm, or all of them; how many were taken. N is above 0.

        As `update` of each, and open to be done faster.
        """
        for num_taken, x in enumerate(x_N.tolist(), start=1):
            self.update(x)
            if self.drift_detected:
                return num_taken
        return len(x_N)

    @abstractmethod
    def state_dict(self) -> State:
        """All that is needed to go on, bit for bit."""

    @abstractmethod
    def load_state_dict(self, state: State) -> None: ...


def checked(x: float) -> float:
    """`x` as a float; raises `ValueError` where it is no finite number."""
    x = float(x)
    if not math.isfinite(x):
        raise ValueError(f"a drift detector was given {x}; it takes finite numbers, so score such a row as an error instead")
    return x


def checked_error(x: float) -> float:
    """`x` as a float from 0 on; raises `ValueError` otherwise."""
    x = checked(x)
    if x < 0.0:
        raise ValueError(f"this drift detector was given {x}; it takes errors, from 0 on")
    return x


def checked_share(x: float) -> float:
    """`x` as a float in [0, 1]; raises `ValueError` otherwise."""
    x = checked(x)
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"this drift detector was given {x}; it takes errors as a share, from 0 to 1: divide by the largest")
    return x


def checked_binary(x: float) -> float:
    """`x` as 0.0 or 1.0; raises `ValueError` otherwise."""
    x = checked(x)
    if x not in (0.0, 1.0):
        raise ValueError(f"this drift detector was given {x}; it takes 0 and 1 only: use glr, adwin, seed or page_hinkley")
    return x

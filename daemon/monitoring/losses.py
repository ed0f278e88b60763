"""The loss of each row by what was answered: what metrics count and the gate compares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def losses(task: str, target_B: Floats, output: Floats) -> Floats:
    """Losses (B,) of targets (B,) and the outputs of a model for them.

    Classification: 1 where the most probable of (B, C) is not the target, 0 where it is; a row of zeros is no answer, and a
    target of C or more (or NaN) was not known. Regression: the absolute error of (B,).

    >>> losses("classification", np.array([0.0, 1.0, 2.0]), np.array([[0.9, 0.1], [0.9, 0.1], [0.0, 0.0]])).tolist()
    [0.0, 1.0, 1.0]
    >>> losses("regression", np.array([1.0, 2.0]), np.array([1.5, 2.0])).tolist()
    [0.5, 0.0]
    """
    if task == "regression":
        error_B: Floats = np.abs(target_B - output)
        return error_B
    if output.shape[1] == 0:
        return np.ones(len(target_B))
    is_right_B = (output.argmax(axis=1) == target_B) & (output.max(axis=1) > 0)
    return np.where(is_right_B, 0.0, 1.0)

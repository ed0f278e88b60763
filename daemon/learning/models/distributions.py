"""Distributions over the known labels and the spare: what is answered of them, and who was wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.compiled import compiled
from daemon.learning.calibration import LOG_FLOOR
from daemon.learning.models.base import Floats


@compiled
def add_errors(p_EK: Floats, target: int, errors_E: Floats) -> None:
    """Count whose likeliest class, but for the spare, is another than the target's."""
    num_known = p_EK.shape[1] - 1
    for e in range(len(errors_E)):
        right = target < num_known
        for k in range(num_known if right else 0):
            right &= p_EK[e, k] < p_EK[e, target] or (p_EK[e, k] == p_EK[e, target] and k >= target)
        errors_E[e] += 0.0 if right else 1.0


@compiled
def over_known(mixed_K: Floats) -> Floats:
    """(C,) the distribution given that the label is one of the known ones; the spare comes last in K."""
    known_C: Floats = mixed_K[:-1].copy()
    known_C /= known_C.sum()
    return known_C


def geometric_mean(distributions: Sequence[Floats]) -> Floats:
    """By class, and not scaled to sum to 1."""
    mean: Floats = np.exp(np.log(np.maximum(distributions, LOG_FLOOR)).mean(axis=0))
    return mean

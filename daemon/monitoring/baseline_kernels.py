"""Compiled parts of the baselines, as `Baseline.follow` has them: B rows answered and learned in their order, C classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.monitoring.metrics.tally import NO_ANSWER

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@compiled
def follow_majority(arrived_B: Floats, is_learned_B: Flags, counts_C: NDArray[np.int64], best: int, answer_B: Floats) -> int:
    """The best class after the rows."""
    for row in range(len(arrived_B)):
        answer_B[row] = best
        if is_learned_B[row]:
            label = int(arrived_B[row])
            counts_C[label] += 1
            if best == NO_ANSWER or counts_C[label] > counts_C[best]:
                best = label
    return best


@compiled
def follow_prior(
    target_B: Floats,
    arrived_B: Floats,
    is_learned_B: Flags,
    num_known: int,
    mass_C: Floats,
    total: float,
    row_mass: float,
    best: int,
    growth: float,
    answer_B: Floats,
    p_B: Floats,
    second_B: Floats,
) -> tuple[float, float, int]:
    """The sums and the best class after the rows."""
    for row in range(len(target_B)):
        half = 0.5 * row_mass
        whole = total + num_known * half
        answer_B[row] = best
        p_B[row] = (mass_C[int(target_B[row])] + half) / whole if 0 <= target_B[row] < num_known else 0.0
        second_B[row] = (mass_C[1] + half) / whole if num_known > 1 else 0.0
        if is_learned_B[row]:
            label = int(arrived_B[row])
            num_known = max(num_known, label + 1)
            row_mass *= growth
            if row_mass > 1e100:
                total /= row_mass
                mass_C /= row_mass
                row_mass = 1.0
            mass_C[label] += row_mass
            total += row_mass
            # All masses decay alike, so only the label just seen can take the lead.
            if best == NO_ANSWER or mass_C[label] > mass_C[best]:
                best = label
    return total, row_mass, best

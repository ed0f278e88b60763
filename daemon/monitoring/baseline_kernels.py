"""Compiled parts of the baselines, as `Baseline.follow` has them: B rows answered and learned in their order, C classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.monitoring.metrics.tally import NO_ANSWER

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@compiled
def share(label: float, counts_C: Ints, num_known: int, num_rows: int) -> float:
    """Of the rows that were `label`'s, with half a row more for every known one; 0 for one that is not known."""
    p: float = (counts_C[int(label)] + 0.5) / (num_rows + 0.5 * num_known) if 0 <= label < num_known else 0.0
    return p


@compiled
def follow_majority(
    target_B: Floats,
    arrived_B: Floats,
    is_learned_B: Flags,
    num_known: int,
    counts_C: Ints,
    best: int,
    answer_B: Floats,
    p_B: Floats,
    second_B: Floats,
) -> int:
    """The best class after the rows."""
    num_rows = counts_C.sum()
    for row in range(len(target_B)):
        answer_B[row] = best
        p_B[row] = share(target_B[row], counts_C, num_known, num_rows)
        second_B[row] = share(1.0, counts_C, num_known, num_rows)
        if is_learned_B[row]:
            label = int(arrived_B[row])
            num_known = max(num_known, label + 1)
            counts_C[label] += 1
            num_rows += 1
            if best == NO_ANSWER or counts_C[label] > counts_C[best]:
                best = label
    return best


@compiled
def last_label_p(label: float, last: int, counts_C: Ints, num_known: int, num_rows: int, num_stays: int) -> float:
    """Of the label `last` the rate at which `num_stays` labels of `num_rows` were that of the row before, with half a row more
    on either side; of another known one its share of the rest, as `share` has it among the others."""
    if not 0 <= label < num_known:
        return 0.0
    if num_known == 1:
        return 1.0
    stays = (num_stays + 0.5) / num_rows  # of num_rows - 1 that came behind another
    if label == last:
        return stays
    others = num_rows - counts_C[last] + 0.5 * (num_known - 1)
    p: float = (1.0 - stays) * ((counts_C[int(label)] + 0.5) / others)
    return p


@compiled
def follow_last(
    target_B: Floats,
    arrived_B: Floats,
    is_learned_B: Flags,
    num_known: int,
    counts_C: Ints,
    last: int,
    num_stays: int,
    answer_B: Floats,
    p_B: Floats,
    second_B: Floats,
) -> tuple[int, int]:
    """The last class, and the number of labels that stayed, after the rows."""
    num_rows = counts_C.sum()
    for row in range(len(target_B)):
        answer_B[row] = last
        p_B[row] = last_label_p(target_B[row], last, counts_C, num_known, num_rows, num_stays)
        second_B[row] = last_label_p(1.0, last, counts_C, num_known, num_rows, num_stays)
        if is_learned_B[row]:
            label = int(arrived_B[row])
            num_known = max(num_known, label + 1)
            counts_C[label] += 1
            num_rows += 1
            num_stays += label == last
            last = label
    return last, num_stays


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

"""Compiled parts of `KeyColumn`.

N columns, S slots of a column for its values, a power of 2, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]
Labels = NDArray[np.int32]

# The slots that a value may be in, of which the one whose value came again least makes room.
WAYS = 4
# What is remembered of a row, as to which column tells best and how often its values repeat a label, after another one.
KEPT = 0.5 ** (1.0 / 300.0)
# What is left to all that does not follow from the value, and what the label of a row counts for in the losses, at least.
LEAST = 1e-6
# Of a value, and of a column: how often it came again, and how often with the label it had before.
AGAIN, SAME = range(2)


@compiled
def _first_way(key: np.uint64, num_slots: int) -> np.int64:
    return np.int64(key & np.uint64(num_slots - WAYS))


@compiled
def _repeats(key: np.uint64, n: int, tag_NS: Keys, value_NS2: Floats, column_N2: Floats) -> tuple[np.int64, float]:
    """The slot of a value of column `n`, and ρ; -1 where the value is not known."""
    first = _first_way(key, tag_NS.shape[1])
    for slot in range(first, first + WAYS):
        if key != 0 and tag_NS[n, slot] == key:
            of_column = (column_N2[n, SAME] + 1.0) / (column_N2[n, AGAIN] + 2.0)
            repeats = (value_NS2[n, slot, SAME] + 2.0 * of_column) / (value_NS2[n, slot, AGAIN] + 2.0)
            return np.int64(slot), min(1.0 - LEAST, repeats)
    return np.int64(-1), 0.0


@compiled
def _room(key: np.uint64, tag_S: Keys, value_S2: Floats) -> np.int64:
    """The slot for a value that is not known: an empty one, or that of the value that came again least."""
    first = _first_way(key, len(tag_S))
    room = first
    for slot in range(first, first + WAYS):
        if tag_S[slot] == 0:
            return np.int64(slot)
        if value_S2[slot, AGAIN] < value_S2[room, AGAIN]:
            room = np.int64(slot)
    return room


@compiled
def say(
    key_N: Keys,
    tag_NS: Keys,
    label_NS: Labels,
    value_NS2: Floats,
    column_N2: Floats,
    loss_N: Floats,
    prior_loss: float,
    count_K: Floats,
) -> Floats:
    p_K = count_K + 0.5
    p_K /= p_K.sum()
    least, n = prior_loss, -1
    for column in range(min(len(key_N), len(loss_N))):
        if loss_N[column] < least:
            least, n = loss_N[column], column
    if n >= 0:
        slot, repeats = _repeats(key_N[n], n, tag_NS, value_NS2, column_N2)
        if slot >= 0:
            p_K *= 1.0 - repeats
            p_K[label_NS[n, slot]] += repeats
    return p_K


@compiled
def learn(
    key_N: Keys,
    target: int,
    weight: float,
    tag_NS: Keys,
    label_NS: Labels,
    value_NS2: Floats,
    column_N2: Floats,
    loss_N: Floats,
    prior_loss: Floats,
    count_K: Floats,
) -> None:
    prior = (count_K[target] + 0.5) / (count_K.sum() + 0.5 * len(count_K))
    prior_loss[0] = KEPT * prior_loss[0] - weight * np.log(max(prior, LEAST))
    count_K[target] += weight
    for n in range(len(loss_N)):
        p = prior
        slot, repeats = np.int64(-1), 0.0
        if n < len(key_N):
            slot, repeats = _repeats(key_N[n], n, tag_NS, value_NS2, column_N2)
        if slot >= 0:
            same = 1.0 if label_NS[n, slot] == target else 0.0
            p = repeats * same + (1.0 - repeats) * prior
            value_NS2[n, slot, AGAIN] += weight
            value_NS2[n, slot, SAME] += weight * same
            column_N2[n, AGAIN] = KEPT * column_N2[n, AGAIN] + weight
            column_N2[n, SAME] = KEPT * column_N2[n, SAME] + weight * same
            label_NS[n, slot] = target
        elif n < len(key_N) and key_N[n] != 0:
            slot = _room(key_N[n], tag_NS[n], value_NS2[n])
            tag_NS[n, slot] = key_N[n]
            label_NS[n, slot] = target
            value_NS2[n, slot] = 0.0
        loss_N[n] = KEPT * loss_N[n] - weight * np.log(max(p, LEAST))

"""Growing, reading and updating the trees of a forest, compiled.

D columns, M rows of memory, R of them in a node, of C classes; N nodes and L entries of leaves a tree. A node is a leaf where
its child is 0; else rows with `value[column] <= threshold` go to `child`, others, and those where the value is missing (NaN),
to `child + 1`. The weights of the classes in a leaf are a linked list of entries, numbered from 1, that begins at `head`: a
tree takes the memory that its rows take, however many classes are known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.int32]
Weights = NDArray[np.float32]

# What every class is taken to weigh in a leaf, all classes together.
PSEUDO_WEIGHT = 0.5
# The threshold of a split into known and missing.
ABOVE_ALL = 1.7e308


@compiled
def _draw(key: int, counter: int, size: int) -> np.int64:
    """A number in [0, size): SplitMix64's finalizer (Steele, Lea and Flood 2014)."""
    bits = np.uint64(key) + np.uint64(counter) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> np.uint64(31))
    return np.int64((bits >> np.uint64(11)) % np.uint64(size))


@compiled
def _add_to_leaf(
    t: int, leaf: int, target: int, weight: float, num_entries: int,
    head_TN: Counts, class_TL: Counts, weight_TL: Weights, next_TL: Counts,
) -> int:  # fmt: skip
    """Add `weight` to a class of a leaf of tree `t`; returns how many entries there are now."""
    entry = head_TN[t, leaf]
    while entry > 0 and class_TL[t, entry] != target:
        entry = next_TL[t, entry]
    if entry > 0:
        weight_TL[t, entry] += weight
    else:
        num_entries += 1
        class_TL[t, num_entries] = target
        weight_TL[t, num_entries] = weight
        next_TL[t, num_entries] = head_TN[t, leaf]
        head_TN[t, leaf] = num_entries
    return num_entries


@compiled
def _find_leaf(t: int, value_D: Floats, column_TN: Counts, threshold_TN: Floats, child_TN: Counts) -> int:
    node = 0
    while child_TN[t, node] > 0:
        goes_left = value_D[column_TN[t, node]] <= threshold_TN[t, node]
        node = child_TN[t, node] + (0 if goes_left else 1)
    return node


@compiled
def _threshold(one: float, two: float, part: float) -> float:
    """Between two values, or, where one is missing, above all values; NaN where they do not differ."""
    if np.isnan(one) or np.isnan(two):
        return np.nan if np.isnan(one) and np.isnan(two) else ABOVE_ALL
    low, high = min(one, two), max(one, two)
    if low == high:
        return np.nan
    threshold = low + (high - low) * part
    return low if threshold >= high else threshold


@compiled
def _sort_by_class(
    row_R: Ints, target_M: Ints, weight_M: Floats, next_K: Ints, class_C: Ints, stop_C: Ints, sorted_R: Ints, weight_R: Floats
) -> int:
    """Put the rows, and their weights, into `sorted_R` and `weight_R`, one class after the other, each up to its place in
    `stop_C`; returns the number of classes. `next_K` is 0 throughout, before and after."""
    num_classes = 0
    for row in row_R:
        k = target_M[row]
        if next_K[k] == 0:
            class_C[num_classes] = k
            num_classes += 1
        next_K[k] += 1
    stop = 0
    for c in range(num_classes):
        start, stop = stop, stop + next_K[class_C[c]]
        next_K[class_C[c]], stop_C[c] = start, stop
    for row in row_R:
        place = next_K[target_M[row]]
        sorted_R[place], weight_R[place] = row, weight_M[row]
        next_K[target_M[row]] = place + 1
    for c in range(num_classes):
        next_K[class_C[c]] = 0
    return num_classes


@compiled
def _score(
    value_M: Floats, threshold: float, sorted_R: Ints, weight_R: Floats, stop_C: Ints, weight_C: Floats, total: float
) -> float:
    """How pure both sides of a split are: Σ of squared class weights over the weight of each side.

    Rows of a class lie together, so that they are summed up without a branch, in four partial sums.
    """
    left, left_squares, right_squares, start = 0.0, 0.0, 0.0, 0
    for c in range(len(stop_C)):
        stop = stop_C[c]
        whole = start + (stop - start) // 4 * 4
        a0 = a1 = a2 = a3 = 0.0
        for i in range(start, whole, 4):
            a0 += weight_R[i] * (value_M[sorted_R[i]] <= threshold)
            a1 += weight_R[i + 1] * (value_M[sorted_R[i + 1]] <= threshold)
            a2 += weight_R[i + 2] * (value_M[sorted_R[i + 2]] <= threshold)
            a3 += weight_R[i + 3] * (value_M[sorted_R[i + 3]] <= threshold)
        for i in range(whole, stop):
            a0 += weight_R[i] * (value_M[sorted_R[i]] <= threshold)
        start = stop
        of_class = (a0 + a1) + (a2 + a3)
        left += of_class
        left_squares += of_class * of_class
        right_squares += (weight_C[c] - of_class) ** 2
    score: float = left_squares / left + right_squares / (total - left)
    return score


@compiled
def _best_split(
    input_DM: Floats, row_R: Ints, sorted_R: Ints, weight_R: Floats, stop_C: Ints, weight_C: Floats, total: float,
    columns_D: Ints, num_tried: int, key: int, counter: int,
) -> tuple[int, float, int]:  # fmt: skip
    """Column (-1 where none splits these rows) and threshold of the best of `num_tried` random splits; and the next counter."""
    best, best_column, best_threshold, tried = -1.0, -1, 0.0, 0
    num_columns, size = len(input_DM), len(row_R)
    for d in range(num_columns):
        other = d + _draw(key, counter, num_columns - d)
        columns_D[d], columns_D[other] = columns_D[other], columns_D[d]
        value_M = input_DM[columns_D[d]]
        one = value_M[row_R[_draw(key, counter + 1, size)]]
        two = value_M[row_R[_draw(key, counter + 2, size)]]
        threshold = _threshold(one, two, _draw(key, counter + 3, 1 << 30) / (1 << 30))
        counter += 4
        if np.isnan(threshold):
            continue
        score = _score(value_M, threshold, sorted_R, weight_R, stop_C, weight_C, total)
        if score > best:
            best, best_column, best_threshold = score, columns_D[d], threshold
        tried += 1
        if tried == num_tried:
            break
    return best_column, best_threshold, counter


@compiled
def _part(value_M: Floats, threshold: float, row_M: Ints) -> int:
    """Put the rows that go left first; returns how many they are."""
    i, end = 0, len(row_M)
    while i < end:
        if value_M[row_M[i]] <= threshold:
            i += 1
        else:
            end -= 1
            row_M[i], row_M[end] = row_M[end], row_M[i]
    return i


@compiled
def grow_tree(
    t: int, input_DM: Floats, target_M: Ints, weight_M: Floats, size: int, num_classes: int, key: int, num_tried: int,
    column_TN: Counts, threshold_TN: Floats, child_TN: Counts,
    head_TN: Counts, class_TL: Counts, weight_TL: Weights, next_TL: Counts,
) -> tuple[int, int]:  # fmt: skip
    """Grow tree `t` on the first `size` rows of memory; returns its numbers of nodes and of entries.

    A node whose rows are of several classes is split by the best of `num_tried` random splits by Gini impurity.
    """
    column_N, threshold_N, child_N, head_N = column_TN[t], threshold_TN[t], child_TN[t], head_TN[t]
    row_M = np.arange(size)
    start_N, stop_N = np.zeros(len(child_N), np.int64), np.zeros(len(child_N), np.int64)
    stop_N[0] = size
    columns_D = np.arange(len(input_DM))
    next_K, class_C, stop_C = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    weight_C, sorted_R, weight_R = np.zeros(num_classes), np.zeros(size, np.int64), np.zeros(size)
    num_nodes, num_entries, node, counter = 1, 0, 0, 0
    while node < num_nodes:
        start, stop = start_N[node], stop_N[node]
        rows = row_M[start:stop]
        # All of it: what an earlier tree left here would be saved, and lost by a restart.
        column_N[node] = child_N[node] = head_N[node] = 0
        threshold_N[node] = 0.0
        num_present = _sort_by_class(rows, target_M, weight_M, next_K, class_C, stop_C, sorted_R, weight_R)
        column, threshold = -1, 0.0
        if num_present > 1:
            total, first = 0.0, 0
            for c in range(num_present):
                weight_C[c] = weight_R[first : stop_C[c]].sum()
                total += weight_C[c]
                first = stop_C[c]
            column, threshold, counter = _best_split(
                input_DM, rows, sorted_R, weight_R, stop_C[:num_present], weight_C, total, columns_D, num_tried, key, counter
            )
        if column < 0:
            for row in rows:
                num_entries = _add_to_leaf(
                    t, node, target_M[row], weight_M[row], num_entries, head_TN, class_TL, weight_TL, next_TL
                )
        if column >= 0:
            middle = start + _part(input_DM[column], threshold, rows)
            column_N[node], threshold_N[node], child_N[node] = column, threshold, num_nodes
            start_N[num_nodes], stop_N[num_nodes] = start, middle
            start_N[num_nodes + 1], stop_N[num_nodes + 1] = middle, stop
            num_nodes += 2
        node += 1
    return num_nodes, num_entries


@compiled
def log_shares(
    value_D: Floats, leaf_T: Ints, num_classes: int,
    column_TN: Counts, threshold_TN: Floats, child_TN: Counts,
    head_TN: Counts, class_TL: Counts, weight_TL: Weights, next_TL: Counts,
) -> Floats:  # fmt: skip
    """(K,) logarithms of the mean share of each class in the leaves of a row, which are left in `leaf_T`."""
    share_K = np.full(num_classes, 1e-9)
    for t in range(len(leaf_T)):
        leaf_T[t] = leaf = _find_leaf(t, value_D, column_TN, threshold_TN, child_TN)
        total = PSEUDO_WEIGHT
        entry = head_TN[t, leaf]
        while entry > 0:
            total += weight_TL[t, entry]
            entry = next_TL[t, entry]
        share_K += PSEUDO_WEIGHT / num_classes / total
        entry = head_TN[t, leaf]
        while entry > 0:
            share_K[class_TL[t, entry]] += weight_TL[t, entry] / total
            entry = next_TL[t, entry]
    log_share_K: Floats = np.log(share_K / share_K.sum())
    return log_share_K


@compiled
def learn_row(
    leaf_T: Ints, target: int, weight: float, num_entries_T: Ints,
    head_TN: Counts, class_TL: Counts, weight_TL: Weights, next_TL: Counts,
) -> None:  # fmt: skip
    """Add a row to its leaf of every tree."""
    for t in range(len(leaf_T)):
        num_entries_T[t] = _add_to_leaf(t, leaf_T[t], target, weight, num_entries_T[t], head_TN, class_TL, weight_TL, next_TL)

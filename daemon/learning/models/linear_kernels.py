"""Compiled parts of `Linear`: dense inputs of a row, its scores, its step, and what it leaves for the rows after it.

N numeric columns, K outputs (classes known and the spare; 1 for regression), T tokens of a micro-batch. A feature's cells are
(2, K): its weights, and the sums of their squared gradients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

Floats = NDArray[np.float64]
Slots = NDArray[np.int32]
Ints = NDArray[np.int64]
Cells = NDArray[np.float32]

# Columns of `stats_NS`: moments; the length of a run of faults; in deviations, four references to earlier values, and how far a
# value lies from each on average.
COUNT, MEAN, SQUARES, OUTLIERS, REFERENCE, SPREAD = 0, 1, 2, 3, 4, 8
NUM_CHANGES = 4
NUM_STATS = SPREAD + NUM_CHANGES
# How far a value moves each reference: the value before, and moving averages over 4, 16 and 64 rows.
STEP_C = (1.0, 1.0 / 4.0, 1.0 / 16.0, 1.0 / 64.0)
LIMIT, SPREAD_LIMIT = 5.0, 3.0
# Beyond this a number is drawn in, so that no square overflows.
LARGEST = 1e100
# A value so many deviations away is a fault of the sender and counts as missing, until so many came in a row.
OUTLIER_Z, OUTLIER_RUN, SETTLED_ROWS = 1e4, 1000.0, 30.0

# `history_F` of a classification: the last two labels (-1 for none), then the share of each of the first labels among the rows
# before, at half-lives of 4 and 32 rows. That of a regression is the target's row of statistics, the target before, the sums of
# its product with the next and of its square (in deviations), and how far the next lies from what these two foretell.
MAX_LABELS, SHARES = 32, 2
NUM_HISTORY = SHARES + 2 * MAX_LABELS
PREVIOUS, PRODUCTS, PREVIOUS_SQUARES, RESIDUAL = NUM_STATS, NUM_STATS + 1, NUM_STATS + 2, NUM_STATS + 3
NUM_TARGET_STATS = NUM_STATS + 4
DECAY_4, DECAY_32 = 0.5 ** (1.0 / 4.0), 0.5 ** (1.0 / 32.0)

# Places of the dense features: the bias, those of earlier labels or targets, those of each numeric column.
BIAS, LABELS, PER_LABEL, PER_COLUMN = 0, 1, 4, 1 + NUM_CHANGES
COLUMNS = LABELS + PER_LABEL * MAX_LABELS

# Step sizes of a classification; those of a regression are smaller, as its errors do not fade with certainty.
RATE, TOKEN_RATE, BIAS_RATE = 0.15, 0.3, 0.03
REGRESSION_RATE = 0.1
# AdaGrad's, in the units of a squared gradient.
DAMPING = 1e-3
P_FLOOR = 1e-12
# Errors of a regression count as at most so many times the mean residual of what the target before foretells.
HUBER = 1.0

# `progress_F`: rows learned, and the mean loss over about the last 500 of them.
LEARNED, LOSS = 0, 1
HORIZON_ROWS = 500.0


@compiled
def _deviation(stats_S: Floats) -> float:
    """Standard deviation so far; 0 where no two values differ."""
    if stats_S[COUNT] < 2.0:
        return 0.0
    scale: float = np.sqrt(stats_S[SQUARES] / stats_S[COUNT])
    return scale if scale > 1e-12 * abs(stats_S[MEAN]) else 0.0


@compiled
def _standardized(value: float, stats_S: Floats) -> float:
    scale = _deviation(stats_S)
    return min(LIMIT, max(-LIMIT, (value - stats_S[MEAN]) / scale)) if scale > 0.0 else 0.0


@compiled
def _is_outlier(value: float, stats_S: Floats) -> bool:
    if stats_S[COUNT] < SETTLED_ROWS:
        return False
    scale = np.sqrt(stats_S[SQUARES] / stats_S[COUNT]) + 1e-3 * abs(stats_S[MEAN]) + 1e-9
    return bool(abs(value - stats_S[MEAN]) > OUTLIER_Z * scale)


@compiled
def _learn_column(value: float, stats_S: Floats) -> None:
    """Take a value into a column's statistics; once settled it counts as at most five deviations away."""
    value = min(LARGEST, max(-LARGEST, value))
    if _is_outlier(value, stats_S):
        stats_S[OUTLIERS] += 1.0
        if stats_S[OUTLIERS] < OUTLIER_RUN:
            return
        stats_S[:] = 0.0
    stats_S[OUTLIERS] = 0.0
    z, count = _standardized(value, stats_S), stats_S[COUNT]
    for c in range(NUM_CHANGES if count > 0.0 else 0):
        change = abs(z - stats_S[REFERENCE + c])
        if count >= SETTLED_ROWS:
            change = min(change, SPREAD_LIMIT * stats_S[SPREAD + c])
        stats_S[SPREAD + c] += (change - stats_S[SPREAD + c]) / count
        stats_S[REFERENCE + c] += (z - stats_S[REFERENCE + c]) * STEP_C[c]
    if count >= SETTLED_ROWS:
        scale = _deviation(stats_S)
        reach = LIMIT * scale if scale > 0.0 else abs(value - stats_S[MEAN])
        value = min(stats_S[MEAN] + reach, max(stats_S[MEAN] - reach, value))
    stats_S[COUNT] += 1.0
    delta = value - stats_S[MEAN]
    stats_S[MEAN] += delta / stats_S[COUNT]
    stats_S[SQUARES] += delta * (value - stats_S[MEAN])


@compiled
def _learn_history(label: int, history_F: Floats) -> None:
    history_F[1], history_F[0] = history_F[0], label
    for k in range(MAX_LABELS):
        history_F[SHARES + 2 * k] *= DECAY_4
        history_F[SHARES + 2 * k + 1] *= DECAY_32
    if label < MAX_LABELS:
        history_F[SHARES + 2 * label] += 1.0 - DECAY_4
        history_F[SHARES + 2 * label + 1] += 1.0 - DECAY_32


@compiled
def _label_inputs(num_classes: int, history_F: Floats, feature_A: Ints, x_A: Floats, num: int) -> int:
    for k in range(min(num_classes, MAX_LABELS)):
        for i in range(PER_LABEL):
            x = history_F[2 * k + i] if i >= SHARES else 1.0 if history_F[i] == k else 0.0
            if x != 0.0:
                feature_A[num], x_A[num] = LABELS + PER_LABEL * k + i, x
                num += 1
    return num


@compiled
def _target_inputs(target_S: Floats, feature_A: Ints, x_A: Floats, num: int) -> int:
    """The target before, and how far it lies from its moving averages."""
    feature_A[num], x_A[num] = LABELS, target_S[REFERENCE]
    num += 1
    for c in range(1, NUM_CHANGES):
        if target_S[SPREAD + c] > 0.0:
            change = (target_S[REFERENCE] - target_S[REFERENCE + c]) / target_S[SPREAD + c]
            feature_A[num], x_A[num] = LABELS + c, min(LIMIT, max(-LIMIT, change))
            num += 1
    return num


@compiled
def _foretold(earlier_labels: bool, target_S: Floats) -> float:
    """The target by the one before alone, as an autoregression of order 1 has it; without earlier ones the mean."""
    foretold: float = target_S[MEAN]
    if earlier_labels and target_S[COUNT] > 0.0:
        follows = target_S[PRODUCTS] / (target_S[PREVIOUS_SQUARES] + 1.0)
        foretold += min(1.0, max(-1.0, follows)) * (target_S[PREVIOUS] - target_S[MEAN])
    return foretold


@compiled
def _learn_target(target: float, earlier_labels: bool, target_S: Floats) -> None:
    count, is_outlier = target_S[COUNT], _is_outlier(target, target_S)
    if count > 0.0 and not is_outlier:
        residual = abs(target - _foretold(earlier_labels, target_S))
        if count >= SETTLED_ROWS:
            residual = min(residual, LIMIT * target_S[RESIDUAL])
        target_S[RESIDUAL] += (residual - target_S[RESIDUAL]) / min(count, HORIZON_ROWS)
        before, now = _standardized(target_S[PREVIOUS], target_S), _standardized(target, target_S)
        target_S[PRODUCTS] += before * now
        target_S[PREVIOUS_SQUARES] += before * before
    _learn_column(target, target_S[:NUM_STATS])
    if not is_outlier or target_S[COUNT] == 1.0:  # 1: the target has changed its unit
        target_S[PREVIOUS] = target


@compiled
def _column_inputs(
    column: int, value: float, earlier_rows: bool, stats_S: Floats, feature_A: Ints, x_A: Floats, num: int
) -> int:
    value = min(LARGEST, max(-LARGEST, value))
    if _is_outlier(value, stats_S):
        return num
    z = _standardized(value, stats_S)
    first = COLUMNS + PER_COLUMN * column
    feature_A[num], x_A[num] = first, z
    num += 1
    for c in range(NUM_CHANGES if earlier_rows else 0):
        if stats_S[SPREAD + c] > 0.0:
            change = (z - stats_S[REFERENCE + c]) / stats_S[SPREAD + c]
            feature_A[num], x_A[num] = first + 1 + c, min(LIMIT, max(-LIMIT, change))
            num += 1
    return num


@compiled
def _add(feature: int, x: float, cells: Cells, score_K: Floats) -> None:
    for k in range(len(score_K)):
        score_K[k] += x * cells[feature, 0, k]


@compiled
def _score(
    feature_A: Ints, x_A: Floats, dense: Cells, slot_T: Slots, x_T: NDArray[np.float32], sparse: Cells, score_K: Floats
) -> None:
    score_K[:] = 0.0
    for a in range(len(feature_A)):
        _add(feature_A[a], x_A[a], dense, score_K)
    for t in range(len(slot_T)):
        if slot_T[t] >= 0:
            _add(slot_T[t], x_T[t], sparse, score_K)


@compiled
def _step(feature: int, x: float, rate: float, error_K: NDArray[np.float32], cells: Cells) -> None:
    x32, rate32, damping = np.float32(x), np.float32(rate), np.float32(DAMPING)
    weight_K, square_K = cells[feature, 0], cells[feature, 1]
    for k in range(len(error_K)):
        gradient = x32 * error_K[k]
        square = square_K[k] + gradient * gradient
        square_K[k] = square
        weight_K[k] -= rate32 * gradient / np.sqrt(square + damping)


@compiled
def _learn_weights(
    feature_A: Ints,
    x_A: Floats,
    dense: Cells,
    slot_T: Slots,
    x_T: NDArray[np.float32],
    sparse: Cells,
    error_K: Floats,
    classifies: bool,
    weight: float,
) -> None:
    rate, token_rate = (RATE, TOKEN_RATE) if classifies else (REGRESSION_RATE, REGRESSION_RATE)
    padded_K = np.zeros(dense.shape[2], np.float32)
    padded_K[: len(error_K)] = error_K
    for a in range(len(feature_A)):
        _step(feature_A[a], x_A[a], weight * (rate if a else BIAS_RATE), padded_K, dense)
    for t in range(len(slot_T)):
        _step(slot_T[t], x_T[t], weight * token_rate, padded_K, sparse)


@compiled
def _to_errors(classifies: bool, target: float, output_C: Floats, history_F: Floats, score_K: Floats) -> float:
    """Predictions become the derivatives of the loss by the scores; returns the loss that telemetry shows."""
    if classifies:
        loss: float = -np.log(score_K[int(target)])
        score_K[int(target)] -= 1.0
        return loss
    error: float = output_C[0] - target
    score_K[0] = min(HUBER, max(-HUBER, error / history_F[RESIDUAL])) if history_F[RESIDUAL] > 0.0 else 0.0
    return abs(error)


@compiled
def _softmax(score_K: Floats) -> None:
    top, total = score_K.max(), 0.0
    for k in range(len(score_K)):
        score_K[k] = max(np.exp(score_K[k] - top), P_FLOOR)
        total += score_K[k]
    for k in range(len(score_K)):
        score_K[k] /= total


@compiled
def run_rows(
    start: int,
    stop: int,
    column_V: Ints,
    value_V: Floats,
    end_of_values_B: Ints,
    slot_T: Slots,
    x_T: NDArray[np.float32],
    end_of_tokens_B: Ints,
    target_B: Floats,
    weight_B: Floats,
    output_BC: Floats,
    stats_NS: Floats,
    history_F: Floats,
    progress_F: Floats,
    dense: Cells,
    sparse: Cells,
    num_classes: int,
    earlier_rows: bool,
    earlier_labels: bool,
) -> None:
    """Predict each row in [start, stop) and, where its weight is above 0, learn it before the next.

    `num_classes` is -1 for regression. Row i has the values and tokens that end at `end_of_values_B[i]` and
    `end_of_tokens_B[i]`; a value of column -1 and a token of slot -1 are passed over. Of a row that is learned the label is
    known and every token has a slot.
    """
    classifies = num_classes >= 0
    score_K = np.empty(num_classes + 1 if classifies else 1)
    room = 1 + PER_LABEL * MAX_LABELS + PER_COLUMN * len(stats_NS)
    feature_A, x_A = np.empty(room, np.int64), np.empty(room)
    for row in range(start, stop):
        values = slice(end_of_values_B[row - 1] if row else 0, end_of_values_B[row])
        tokens = slice(end_of_tokens_B[row - 1] if row else 0, end_of_tokens_B[row])
        feature_A[0], x_A[0], num = BIAS, 1.0, 1
        if earlier_labels and classifies:
            num = _label_inputs(num_classes, history_F, feature_A, x_A, num)
        elif earlier_labels:
            num = _target_inputs(history_F, feature_A, x_A, num)
        for v in range(values.start, values.stop):
            if column_V[v] >= 0:
                num = _column_inputs(column_V[v], value_V[v], earlier_rows, stats_NS[column_V[v]], feature_A, x_A, num)
        _score(feature_A[:num], x_A[:num], dense, slot_T[tokens], x_T[tokens], sparse, score_K)
        if classifies:
            _softmax(score_K)
            known = score_K[:num_classes].sum()
            for k in range(num_classes):
                output_BC[row, k] = score_K[k] / known
        else:
            output_BC[row, 0] = _foretold(earlier_labels, history_F) + history_F[RESIDUAL] * score_K[0]
        if not weight_B[row] > 0.0:
            continue
        loss = _to_errors(classifies, target_B[row], output_BC[row], history_F, score_K)
        progress_F[LEARNED] += 1.0
        progress_F[LOSS] += (loss - progress_F[LOSS]) / min(progress_F[LEARNED], HORIZON_ROWS)
        _learn_weights(
            feature_A[:num], x_A[:num], dense, slot_T[tokens], x_T[tokens], sparse, score_K, classifies, weight_B[row]
        )
        for v in range(values.start, values.stop):
            if column_V[v] >= 0:
                _learn_column(value_V[v], stats_NS[column_V[v]])
        if not classifies:
            _learn_target(target_B[row], earlier_labels, history_F)
        elif earlier_labels:
            _learn_history(int(target_B[row]), history_F)

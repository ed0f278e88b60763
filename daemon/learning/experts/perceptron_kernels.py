"""Compiled parts of `Perceptron`: a pass forward, a pass back, and AdamW's step.

B rows, D inputs, J and W units of a hidden layer (W with the bias), K outputs, P parameters in one vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled

Weights = NDArray[np.float32]
Floats = NDArray[np.float64]

HIDDEN = 64
BETA_1, BETA_2, EPSILON, DECAY = 0.9, 0.999, 1e-8, 0.01
# Moments below are 0: those of a unit that died would decay to denormal numbers, on which processors are slow.
TINY = 1e-30
# Where the second layer, its bias and the output layer start in the vector of parameters.
SECOND, SECOND_BIAS, OUTPUT = HIDDEN, HIDDEN + HIDDEN * HIDDEN, 2 * HIDDEN + HIDDEN * HIDDEN


@compiled
def _add_product(input_BI: Weights, weight_IJ: Weights, output_BJ: Weights) -> None:
    """output += input · weight, four inputs at a time; J is 64, and known to be, so that the inner loop unrolls."""
    num_inputs = len(weight_IJ)
    whole = num_inputs // 4 * 4
    for b in range(len(input_BI)):
        for i in range(0, whole, 4):
            a0, a1, a2, a3 = input_BI[b, i], input_BI[b, i + 1], input_BI[b, i + 2], input_BI[b, i + 3]
            for j in range(HIDDEN):
                output_BJ[b, j] += (a0 * weight_IJ[i, j] + a1 * weight_IJ[i + 1, j]) + (
                    a2 * weight_IJ[i + 2, j] + a3 * weight_IJ[i + 3, j]
                )
        for i in range(whole, num_inputs):
            a0 = input_BI[b, i]
            for j in range(HIDDEN):
                output_BJ[b, j] += a0 * weight_IJ[i, j]


@compiled
def _add_outer(input_BI: Weights, error_BJ: Weights, gradient_IJ: Weights) -> None:
    """gradient += inputᵀ · error, four rows at a time."""
    num_inputs = len(gradient_IJ)
    whole = len(input_BI) // 4 * 4
    for i in range(num_inputs):
        for b in range(0, whole, 4):
            a0, a1, a2, a3 = input_BI[b, i], input_BI[b + 1, i], input_BI[b + 2, i], input_BI[b + 3, i]
            for j in range(HIDDEN):
                gradient_IJ[i, j] += (a0 * error_BJ[b, j] + a1 * error_BJ[b + 1, j]) + (
                    a2 * error_BJ[b + 2, j] + a3 * error_BJ[b + 3, j]
                )
        for b in range(whole, len(input_BI)):
            a0 = input_BI[b, i]
            for j in range(HIDDEN):
                gradient_IJ[i, j] += a0 * error_BJ[b, j]


@compiled
def _layer(input_BI: Weights, weight_IJ: Weights, bias_J: Weights, output_BJ: Weights) -> None:
    """output = max(0, input · weight + bias)."""
    for b in range(len(input_BI)):
        output_BJ[b] = bias_J
    _add_product(input_BI, weight_IJ, output_BJ)
    for b in range(len(input_BI)):
        for j in range(len(bias_J)):
            output_BJ[b, j] = max(output_BJ[b, j], np.float32(0.0))


@compiled
def _stop_where_dead(hidden_BJ: Weights, error_BJ: Weights) -> None:
    """The derivative of ReLU."""
    for b in range(len(hidden_BJ)):
        for j in range(hidden_BJ.shape[1]):
            error_BJ[b, j] = error_BJ[b, j] if hidden_BJ[b, j] > np.float32(0.0) else np.float32(0.0)


@compiled
def _outputs(hidden_BJ: Weights, output_KW: Weights, score_BK: Floats) -> None:
    """Inner products with the rows of the output layer, whose last column is the bias, in four partial sums."""
    bias = output_KW.shape[1] - 1
    for b in range(len(hidden_BJ)):
        for k in range(len(output_KW)):
            a0 = a1 = a2 = a3 = np.float32(0.0)
            for j in range(0, bias, 4):
                a0 += hidden_BJ[b, j] * output_KW[k, j]
                a1 += hidden_BJ[b, j + 1] * output_KW[k, j + 1]
                a2 += hidden_BJ[b, j + 2] * output_KW[k, j + 2]
                a3 += hidden_BJ[b, j + 3] * output_KW[k, j + 3]
            score_BK[b, k] = (a0 + a1) + (a2 + a3) + output_KW[k, bias]


@compiled
def _forward(
    theta_P: Weights, num_outputs: int, input_BD: Weights, first_BJ: Weights, second_BJ: Weights, score_BK: Floats
) -> None:
    end = OUTPUT + num_outputs * (HIDDEN + 1)
    num_inputs = (len(theta_P) - end) // HIDDEN
    _layer(input_BD, theta_P[end:].reshape((num_inputs, HIDDEN)), theta_P[:HIDDEN], first_BJ)
    _layer(first_BJ, theta_P[SECOND:SECOND_BIAS].reshape((HIDDEN, HIDDEN)), theta_P[SECOND_BIAS:OUTPUT], second_BJ)
    _outputs(second_BJ, theta_P[OUTPUT:end].reshape((num_outputs, HIDDEN + 1)), score_BK)


@compiled
def predict_row(theta_P: Weights, num_outputs: int, value_D: Weights) -> Floats:
    first_BJ = np.empty((1, HIDDEN), dtype=np.float32)
    second_BJ = np.empty((1, HIDDEN), dtype=np.float32)
    score_BK = np.empty((1, num_outputs))
    _forward(theta_P, num_outputs, value_D.reshape((1, len(value_D))), first_BJ, second_BJ, score_BK)
    score_K: Floats = score_BK[0]
    return score_K


@compiled
def _to_probabilities(score_BK: Floats) -> None:
    """Scores of each row become their softmax, none below 1e-12 of the largest."""
    num_outputs = score_BK.shape[1]
    for b in range(len(score_BK)):
        top, total = score_BK[b, 0], 0.0
        for k in range(1, num_outputs):
            top = max(top, score_BK[b, k])
        for k in range(num_outputs):
            score_BK[b, k] = max(np.exp(score_BK[b, k] - top), 1e-12)
            total += score_BK[b, k]
        for k in range(num_outputs):
            score_BK[b, k] /= total


@compiled
def softmax(score_K: Floats) -> Floats:
    """Probabilities from scores, none below 1e-12 of the largest."""
    p_BK = score_K.copy().reshape((1, len(score_K)))
    _to_probabilities(p_BK)
    p_K: Floats = p_BK[0]
    return p_K


@compiled
def _draw(seed: int, counter: int, size: int) -> np.int64:
    """A number in [0, size): SplitMix64's finalizer (Steele, Lea and Flood 2014)."""
    bits = np.uint64(seed) * np.uint64(0xD1342543DE82EF95) + np.uint64(counter) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> np.uint64(31))
    return np.int64((bits >> np.uint64(11)) % np.uint64(size))


@compiled
def take_steps(
    num_steps: int,
    theta_P: Weights,
    moment_P: Weights,
    square_P: Weights,
    num_outputs: int,
    memory_MD: Weights,
    target_M: Floats,
    weight_M: Floats,
    classifies: bool,
    error_limit: float,
    row: int,
    num_replayed: int,
    seed: int,
    rate: float,
    longest: float,
) -> None:
    """AdamW steps on row `row`, the last one stored, each with other rows drawn from those stored."""
    for counter in range(row * num_steps, (row + 1) * num_steps):
        size = min(row + 1, len(memory_MD))
        num_rows = 1 + (num_replayed if row > 0 else 0)
        pick_B = np.empty(num_rows, dtype=np.int64)
        input_BD = np.empty((num_rows, memory_MD.shape[1]), dtype=np.float32)
        for b in range(num_rows):
            pick_B[b] = row % len(memory_MD) if b == 0 else _draw(seed, counter * num_replayed + b, size)
            input_BD[b] = memory_MD[pick_B[b]]
        first_BJ = np.empty((num_rows, HIDDEN), dtype=np.float32)
        second_BJ = np.empty((num_rows, HIDDEN), dtype=np.float32)
        error_BK = np.empty((num_rows, num_outputs))
        _forward(theta_P, num_outputs, input_BD, first_BJ, second_BJ, error_BK)
        weight = 0.0
        for b in range(num_rows):
            weight += weight_M[pick_B[b]]
        if classifies:
            _to_probabilities(error_BK)
        for b in range(num_rows):
            if classifies:
                error_BK[b, int(target_M[pick_B[b]])] -= 1.0
            else:
                error_BK[b, 0] = min(error_limit, max(-error_limit, error_BK[b, 0] - target_M[pick_B[b]]))
            for k in range(num_outputs):
                error_BK[b, k] *= weight_M[pick_B[b]] / weight
        gradient_P = np.zeros_like(theta_P)
        _backward(theta_P, num_outputs, input_BD, first_BJ, second_BJ, error_BK.astype(np.float32), gradient_P)
        step_rate = rate * min(longest, weight / num_rows)
        _adamw(theta_P, moment_P, square_P, gradient_P, counter + 1, step_rate)


@compiled
def _backward(
    theta_P: Weights,
    num_outputs: int,
    input_BD: Weights,
    first_BJ: Weights,
    second_BJ: Weights,
    error_BK: Weights,
    gradient_P: Weights,
) -> None:
    """Gradients of the parameters, from those of the logits."""
    end = OUTPUT + num_outputs * (HIDDEN + 1)
    output_KW = theta_P[OUTPUT:end].reshape((num_outputs, HIDDEN + 1))
    output_gradient_KW = gradient_P[OUTPUT:end].reshape((num_outputs, HIDDEN + 1))
    second_error_BJ = np.zeros_like(second_BJ)
    for b in range(len(error_BK)):
        for k in range(num_outputs):
            error = error_BK[b, k]
            for j in range(HIDDEN):
                second_error_BJ[b, j] += error * output_KW[k, j]
                output_gradient_KW[k, j] += error * second_BJ[b, j]
            output_gradient_KW[k, HIDDEN] += error
    _stop_where_dead(second_BJ, second_error_BJ)
    _add_outer(first_BJ, second_error_BJ, gradient_P[SECOND:SECOND_BIAS].reshape((HIDDEN, HIDDEN)))
    first_error_BJ = np.zeros_like(first_BJ)
    second_JI = theta_P[SECOND:SECOND_BIAS].reshape((HIDDEN, HIDDEN)).T.copy()
    _add_product(second_error_BJ, second_JI, first_error_BJ)
    _stop_where_dead(first_BJ, first_error_BJ)
    _add_outer(input_BD, first_error_BJ, gradient_P[end:].reshape((input_BD.shape[1], HIDDEN)))
    for b in range(len(error_BK)):
        for j in range(HIDDEN):
            gradient_P[SECOND_BIAS + j] += second_error_BJ[b, j]
            gradient_P[j] += first_error_BJ[b, j]


@compiled
def _adamw(theta_P: Weights, moment_P: Weights, square_P: Weights, gradient_P: Weights, step: int, rate: float) -> None:
    beta_1, beta_2, one = np.float32(BETA_1), np.float32(BETA_2), np.float32(1.0)
    corrected_rate = np.float32(rate / (1.0 - BETA_1**step))
    correction = np.float32(1.0 / (1.0 - BETA_2**step))
    keep = np.float32(1.0 - rate * DECAY)
    epsilon, tiny = np.float32(EPSILON), np.float32(TINY)
    for p in range(len(theta_P)):
        gradient = gradient_P[p]
        moment = beta_1 * moment_P[p] + (one - beta_1) * gradient
        square = beta_2 * square_P[p] + (one - beta_2) * (gradient * gradient)
        moment = moment if abs(moment) > tiny else np.float32(0.0)
        square = square if square > tiny else np.float32(0.0)
        moment_P[p] = moment
        square_P[p] = square
        theta_P[p] = keep * theta_P[p] - corrected_rate * moment / (np.sqrt(square * correction) + epsilon)

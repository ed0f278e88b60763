"""Compiled parts of `Mixer`: what its mixers answer, and the two ways in which they step.

E experts, M mixers, K classes; (E, K) or (K, E) logarithms of what the experts gave to the classes, l in the formulas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.calibration import LOG_FLOOR

Floats = NDArray[np.float64]

# What a mixer that steps by exponentiated gradient gives an expert at least, so that one which was of no use can come back; and
# the most that a row changes its logarithm by.
LEAST_WEIGHT = 1e-6
LARGEST_STEP = 2.0
# Of Newton's steps: the information before the first row, that which is left of it however much is forgotten, for how many
# rows a heavy one counts at most, by how much a step lowers the loss of its row at most (to first order), and what the sizes of
# all weights come to at most.
FIRST_INFORMATION, LEAST_INFORMATION = 10.0, 0.003
HEAVIEST = 100.0
LARGEST_GAIN = 5.0
LARGEST_SIZE = 1000.0


@compiled
def mix(p_EK: Floats, weight_ME: Floats, log_p_EK: Floats, p_FK: Floats) -> None:
    """Fill in the logarithms, and what the forecasters say: the mixers, p_k ∝ exp Σ_e w_e l_ek, and then the experts."""
    num_experts, num_classes = p_EK.shape
    num_mixers = len(weight_ME)
    for e in range(num_experts):
        for k in range(num_classes):
            # An expert that says NaN or infinity holds nothing for possible: it moves no weight but its own, to nothing.
            p = p_EK[e, k] if 0.0 <= p_EK[e, k] < np.inf else 0.0
            log_p_EK[e, k] = np.log(max(p, LOG_FLOOR))
            p_FK[num_mixers + e, k] = p
    for m in range(num_mixers):
        p_K = p_FK[m]
        if m > 0 and np.array_equal(weight_ME[m - 1], weight_ME[m]):
            p_K[:] = p_FK[m - 1]
            continue
        p_K[:] = 0.0
        for e in range(num_experts):
            for k in range(num_classes):
                p_K[k] += weight_ME[m, e] * log_p_EK[e, k]
        top = p_K.max()
        total = 0.0
        for k in range(num_classes):
            p_K[k] = np.exp(p_K[k] - top)
            total += p_K[k]
        p_K /= total


@compiled
def weighted_mean(p_FK: Floats, share_F: Floats) -> Floats:
    """(K,) what all forecasters say, by their shares."""
    mixed_K = np.zeros(p_FK.shape[1])
    for f in range(len(share_F)):
        for k in range(len(mixed_K)):
            mixed_K[k] += share_F[f] * p_FK[f, k]
    mixed_K /= mixed_K.sum()
    return mixed_K


@compiled
def _step_exponentiated(
    log_p_KE: Floats, p_MK: Floats, target: int, weight: float, rate_M: Floats, max_total: float, weight_ME: Floats
) -> None:
    """Exponentiated gradient: w_e ← w_e · exp(−rate · gradient), scaled back to Σw ≤ `max_total`; of −ln p(target) the gradient
    in w_e is Σ_k p_k l_ek − l_e,target."""
    num_classes, num_experts = log_p_KE.shape
    for m in range(len(rate_M)):
        gradient_E = -log_p_KE[target]
        for k in range(num_classes):
            for e in range(num_experts):
                gradient_E[e] += p_MK[m, k] * log_p_KE[k, e]
        total = 0.0
        for e in range(num_experts):
            step = min(LARGEST_STEP, max(-LARGEST_STEP, -weight * rate_M[m] * gradient_E[e]))
            weight_ME[m, e] = max(LEAST_WEIGHT, weight_ME[m, e] * np.exp(step))
            total += weight_ME[m, e]
        if total > max_total:
            weight_ME[m] *= max_total / total


@compiled
def _step_newton(
    log_p_KE: Floats,
    p_MK: Floats,
    target: int,
    weight: float,
    kept_M: Floats,
    max_total: float,
    information_MEE: Floats,
    weight_ME: Floats,
) -> None:
    """A step of each. One that is the same as the one before, as the last two of a pool are until an alarm, takes over its
    step."""
    is_copy_M = np.zeros(len(kept_M), dtype=np.bool_)
    for m in range(1, len(kept_M)):
        if kept_M[m] == kept_M[m - 1] and np.array_equal(weight_ME[m], weight_ME[m - 1]):
            is_copy_M[m] = np.array_equal(information_MEE[m], information_MEE[m - 1])
    for m in range(len(kept_M)):
        if is_copy_M[m]:
            weight_ME[m], information_MEE[m] = weight_ME[m - 1], information_MEE[m - 1]
        else:
            _step_scoring(log_p_KE, p_MK[m], target, weight, kept_M[m], max_total, information_MEE[m], weight_ME[m])


@compiled
def _step_scoring(
    log_p_KE: Floats,
    p_K: Floats,
    target: int,
    weight: float,
    kept: float,
    max_total: float,
    information_EE: Floats,
    weight_E: Floats,
) -> None:
    """Fisher scoring that forgets: w ← w − I⁻¹ · gradient, scaled back to Σw ≤ `max_total` and Σ|w| ≤ 1,000, where I, of which
    only the upper triangle is kept, fades by `kept` and gains the row's information Σ_k p_k (l_k − l̄)(l_k − l̄)ᵀ."""
    num_classes, num_experts = log_p_KE.shape
    weight = min(weight, HEAVIEST)
    mean_E = np.zeros(num_experts)
    for k in range(num_classes):
        for e in range(num_experts):
            mean_E[e] += p_K[k] * log_p_KE[k, e]
    information_EE *= kept
    for e in range(num_experts):
        information_EE[e, e] += (1.0 - kept) * LEAST_INFORMATION
    _add_information(information_EE, weight * p_K, log_p_KE - mean_E)
    gradient_E = mean_E - log_p_KE[target]
    step_E = weight * gradient_E
    _solve(information_EE, step_E)
    gain = 0.0
    for e in range(num_experts):
        gain += gradient_E[e] * step_E[e]
    if gain > LARGEST_GAIN:  # experts that were sure, and agreed, told little of what their errors are worth
        step_E *= LARGEST_GAIN / gain
    total = size = 0.0
    for e in range(num_experts):
        weight_E[e] -= step_E[e]
        total += weight_E[e]
        size += abs(weight_E[e])
    if total > max_total or size > LARGEST_SIZE:
        weight_E *= min(max_total / total if total > max_total else 1.0, LARGEST_SIZE / size)


@compiled
def _add_information(information_EE: Floats, weight_K: Floats, from_mean_KE: Floats) -> None:
    """information += Σ_k weight_k · d_k · d_kᵀ, the upper triangle, class after class, but four of them at one look."""
    num_classes, num_experts = from_mean_KE.shape
    whole = num_classes // 4 * 4
    for k in range(0, whole, 4):
        d0_E, d1_E, d2_E, d3_E = from_mean_KE[k], from_mean_KE[k + 1], from_mean_KE[k + 2], from_mean_KE[k + 3]
        for i in range(num_experts):
            w0, w1 = weight_K[k] * d0_E[i], weight_K[k + 1] * d1_E[i]
            w2, w3 = weight_K[k + 2] * d2_E[i], weight_K[k + 3] * d3_E[i]
            for j in range(i, num_experts):
                sum_01 = information_EE[i, j] + w0 * d0_E[j] + w1 * d1_E[j]
                information_EE[i, j] = sum_01 + w2 * d2_E[j] + w3 * d3_E[j]
    for k in range(whole, num_classes):
        d_E = from_mean_KE[k]
        for i in range(num_experts):
            w = weight_K[k] * d_E[i]
            for j in range(i, num_experts):
                information_EE[i, j] += w * d_E[j]


@compiled
def _solve(matrix_EE: Floats, vector_E: Floats) -> None:
    """vector ← matrix⁻¹ · vector by Cholesky's factors, from the upper triangle of a positive definite matrix."""
    size = len(vector_E)
    factor_EE = matrix_EE.copy()
    for i in range(size):
        factor_EE[i, i] = np.sqrt(factor_EE[i, i])
        for j in range(i + 1, size):
            factor_EE[i, j] /= factor_EE[i, i]
        for q in range(i + 1, size):
            for j in range(q, size):
                factor_EE[q, j] -= factor_EE[i, q] * factor_EE[i, j]
        vector_E[i] /= factor_EE[i, i]
        for j in range(i + 1, size):
            vector_E[j] -= factor_EE[i, j] * vector_E[i]
    for i in range(size - 1, -1, -1):
        for q in range(i + 1, size):
            vector_E[i] -= factor_EE[i, q] * vector_E[q]
        vector_E[i] /= factor_EE[i, i]


@compiled
def step(
    log_p_EK: Floats,
    p_FK: Floats,
    target: int,
    weight: float,
    rate_R: Floats,
    kept_N: Floats,
    max_total: float,
    information_NEE: Floats,
    weight_ME: Floats,
) -> None:
    """The R mixers of `rate_R`, which come first, and the N mixers of `kept_N` learn a row; `p_FK` as `mix` filled it in."""
    rates, mixers = len(rate_R), len(weight_ME)
    log_p_KE = log_p_EK.T.copy()
    _step_exponentiated(log_p_KE, p_FK[:rates], target, weight, rate_R, max_total, weight_ME[:rates])
    _step_newton(log_p_KE, p_FK[rates:mixers], target, weight, kept_N, max_total, information_NEE, weight_ME[rates:])

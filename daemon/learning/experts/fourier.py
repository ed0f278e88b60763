"""Recursive least squares on random Fourier features: a kernel machine that forgets, one row at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.learning.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.features.inputs import Dense
from daemon.state import State

Floats = NDArray[np.float64]

# Rank-one updates wait until so many are together: the big matrix is read once a row and written once a block.
BLOCK_ROWS = 16
CAP = 100.0


class FourierLeastSquares(Expert):
    """Scores s_k = W_kᵀφ(x) fit one-hot labels by least squares with a memory of 1 / (1 - `forgetting`) rows.

    φ(x) = √(2/F) · cos(Ωx + b) with F = `num_features`, normal Ω over `bandwidth` · √(number of inputs) and uniform b: inner
    products of φ approach a Gaussian kernel. The inverse of the ridge-damped Gram matrix is kept by the Sherman-Morrison
    formula, and no direction of it rises over 100 / `ridge`: what has not been seen for long is forgotten so far and no
    further. p_k ∝ f_k · exp(τ · s_k) with τ learned by log loss; f_k is 1, but for a class never learned (the spare) the part
    of rows whose label was new.

    An input that appears later gets its rows of Ω then, drawn from (seed, input).

    After Rahimi and Recht 2007; Haykin, Adaptive Filter Theory, chapter on recursive least squares.
    """

    def __init__(
        self,
        *,
        name: str,
        inputs: Dense,
        bandwidth: float,
        forgetting: float,
        seed: int,
        num_features: int = 300,
        ridge: float = 0.1,
    ) -> None:
        self.name = name
        self._inputs = inputs
        self._bandwidth = bandwidth
        self._forgetting = forgetting
        self._seed = seed
        self._ridge = ridge
        self._shift_F = np.random.default_rng([seed, 0]).uniform(0.0, 2.0 * np.pi, num_features)
        self._omega_DF = np.zeros((0, num_features))
        self._num_inputs_at_start = 0
        self._weight_KF = np.zeros((1, num_features))
        self._count_K = np.zeros(1)
        self._inverse_FF = np.eye(num_features) / ridge
        self._pending_BF = np.zeros((BLOCK_ROWS, num_features))
        # How many updates wait, the scale of the inverse, ln τ, its Σg².
        self._scalar_S = np.array([0.0, 1.0, np.log(4.0), 0.01])
        self._phi_F = np.zeros(num_features)
        self._score_K = np.zeros(1)
        self._p_K = np.ones(1)

    def predict(self) -> NDArray[np.float64]:
        self._fit_width()
        num_inputs = self._num_inputs_at_start or self._inputs.width
        scale = 1.0 / (self._bandwidth * np.sqrt(max(1, num_inputs)))
        _embed(self._inputs.values_D, self._omega_DF, self._shift_F, scale, self._phi_F)
        self._score_K, self._p_K = _predict(self._phi_F, self._weight_KF, self._count_K, self._scalar_S[2])
        return self._p_K

    def _fit_width(self) -> None:
        """Rows of Ω for the inputs that have come: a function of seed and input, whenever it is called."""
        num_features = len(self._shift_F)
        new = [
            np.random.default_rng([self._seed, 1, i]).normal(size=num_features)
            for i in range(len(self._omega_DF), self._inputs.width)
        ]
        if new:
            self._omega_DF = np.concatenate([self._omega_DF, np.stack(new)])

    def learn(self, target: float, weight: float) -> None:
        if weight == 0.0:
            return
        if not self._num_inputs_at_start:
            self._num_inputs_at_start = self._inputs.width
        _learn(
            self._phi_F, self._score_K, self._weight_KF, self._inverse_FF, self._pending_BF, self._scalar_S,
            int(target), weight, self._forgetting, CAP / self._ridge,
        )  # fmt: skip
        _learn_temperature(self._score_K, self._p_K, int(target), weight, self._scalar_S)
        self._count_K[int(target)] += 1.0

    def grow(self) -> None:
        self._weight_KF = np.concatenate([self._weight_KF, np.zeros((1, len(self._shift_F)))])
        self._count_K = np.append(self._count_K, 0.0)
        self._score_K = np.append(self._score_K, 0.0)
        self._p_K = np.append(self._p_K, self._p_K[-1]) / (1.0 + self._p_K[-1])

    def state_dict(self) -> State:
        return self.weights() | {"inverse": self._inverse_FF.copy(), "pending": self._pending_BF.copy()}

    def load_state_dict(self, state: State) -> None:
        self.load_weights(state)
        self._inverse_FF = np.array(state["inverse"])
        self._pending_BF = np.array(state["pending"])

    def weights(self) -> State:
        return {
            "num_inputs_at_start": self._num_inputs_at_start,
            "weight": self._weight_KF.copy(),
            "counts": self._count_K.copy(),
            "scalars": self._scalar_S.copy(),
        }

    def load_weights(self, state: State) -> None:
        self._num_inputs_at_start = int(state["num_inputs_at_start"])
        self._weight_KF = np.array(state["weight"])
        self._count_K = np.array(state["counts"])
        self._scalar_S = np.array(state["scalars"])


@compiled
def _embed(value_D: NDArray[np.float32], omega_DF: Floats, shift_F: Floats, scale: float, phi_F: Floats) -> None:
    """φ of the current row, into `phi_F`."""
    num_features = len(shift_F)
    phi_F[:] = 0.0
    for d in range(len(value_D)):
        if value_D[d] != 0.0:
            value = value_D[d] * scale
            for f in range(num_features):
                phi_F[f] += value * omega_DF[d, f]
    norm = np.sqrt(2.0 / num_features)
    for f in range(num_features):
        phi_F[f] = norm * np.cos(phi_F[f] + shift_F[f])


@compiled
def _predict(phi_F: Floats, weight_KF: Floats, count_K: Floats, log_temperature: float) -> tuple[Floats, Floats]:
    num_known = len(weight_KF)
    score_K = np.zeros(num_known)
    for k in range(num_known):
        score_K[k] = _dot(weight_KF[k], phi_F)
    temperature = np.exp(log_temperature)
    novel = (num_known - 0.5) / (count_K.sum() + num_known)
    top = score_K.max()
    p_K = np.zeros(num_known)
    total = 0.0
    for k in range(num_known):
        factor = 1.0 if count_K[k] > 0.0 else novel
        p_K[k] = max(factor * np.exp(temperature * (score_K[k] - top)), 1e-12)
        total += p_K[k]
    return score_K, p_K / total


@compiled
def _dot(left_F: Floats, right_F: Floats) -> float:
    """Inner product in eight partial sums, which the compiler may put side by side."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = 0.0
    whole = len(left_F) // 8 * 8
    for i in range(0, whole, 8):
        a0 += left_F[i] * right_F[i]
        a1 += left_F[i + 1] * right_F[i + 1]
        a2 += left_F[i + 2] * right_F[i + 2]
        a3 += left_F[i + 3] * right_F[i + 3]
        a4 += left_F[i + 4] * right_F[i + 4]
        a5 += left_F[i + 5] * right_F[i + 5]
        a6 += left_F[i + 6] * right_F[i + 6]
        a7 += left_F[i + 7] * right_F[i + 7]
    for i in range(whole, len(left_F)):
        a0 += left_F[i] * right_F[i]
    return ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7))


@compiled
def _learn(
    phi_F: Floats,
    score_K: Floats,
    weight_KF: Floats,
    inverse_FF: Floats,
    pending_BF: Floats,
    scalar_S: Floats,
    target: int,
    weight: float,
    forgetting: float,
    cap: float,
) -> None:
    """One step of recursive least squares; the inverse is scale · (inverse_FF − Σ pending pendingᵀ)."""
    num_features = len(phi_F)
    num_pending, scale = int(scalar_S[0]), scalar_S[1]
    gain_F = np.zeros(num_features)
    for f in range(num_features):  # symmetric: a row serves as a column, and the loop inside runs along memory
        value = phi_F[f]
        for g in range(num_features):
            gain_F[g] += value * inverse_FF[f, g]
    for b in range(num_pending):
        value = _dot(pending_BF[b], phi_F)
        for f in range(num_features):
            gain_F[f] -= value * pending_BF[b, f]
    for f in range(num_features):
        gain_F[f] *= scale
    noise = forgetting / weight + _dot(phi_F, gain_F)
    for k in range(len(score_K)):
        step = ((1.0 if k == target else 0.0) - score_K[k]) / noise
        if step != 0.0:
            for f in range(num_features):
                weight_KF[k, f] += step * gain_F[f]
    shrink = 1.0 / np.sqrt(scale * noise)
    for f in range(num_features):
        pending_BF[num_pending, f] = gain_F[f] * shrink
    scalar_S[0] = num_pending + 1
    scalar_S[1] = scale / forgetting
    if num_pending + 1 == len(pending_BF):
        _flush(inverse_FF, pending_BF, scalar_S, cap)


@compiled
def _flush(inverse_FF: Floats, pending_BF: Floats, scalar_S: Floats, cap: float) -> None:
    """Carry the pending updates and the scale into the inverse, and draw in directions that rose over the cap."""
    num_features = len(inverse_FF)
    scale = scalar_S[1]
    for f in range(num_features):
        row_F = inverse_FF[f]
        for b in range(0, len(pending_BF), 4):
            u0, u1, u2, u3 = pending_BF[b, f], pending_BF[b + 1, f], pending_BF[b + 2, f], pending_BF[b + 3, f]
            for g in range(num_features):
                row_F[g] -= (u0 * pending_BF[b, g] + u1 * pending_BF[b + 1, g]) + (
                    u2 * pending_BF[b + 2, g] + u3 * pending_BF[b + 3, g]
                )
        for g in range(num_features):
            row_F[g] *= scale
    for f in range(num_features):
        if inverse_FF[f, f] > cap:
            shrink = np.sqrt(cap / inverse_FF[f, f])
            for g in range(num_features):
                inverse_FF[f, g] *= shrink
                inverse_FF[g, f] *= shrink
    scalar_S[0] = 0.0
    scalar_S[1] = 1.0


@compiled
def _learn_temperature(score_K: Floats, p_K: Floats, target: int, weight: float, scalar_S: Floats) -> None:
    """One AdaGrad step on ln τ by the log loss."""
    expected = 0.0
    for k in range(len(score_K)):
        expected += p_K[k] * score_K[k]
    gradient = np.exp(scalar_S[2]) * (expected - score_K[target])
    gradient = min(1.0, max(-1.0, gradient))
    scalar_S[3] += gradient * gradient
    scalar_S[2] -= 0.3 * weight * gradient / np.sqrt(scalar_S[3])
    scalar_S[2] = min(4.0, max(-1.0, scalar_S[2]))

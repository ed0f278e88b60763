"""Recursive least squares with forgetting: the exact fit to all rows so far, updated row by row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.state import State

Floats = NDArray[np.float64]

# Rank-one updates wait until so many are together: the big matrix is read once a row and written once a block.
BLOCK_ROWS = 16
# No direction of the inverse rises over this, in units of where it starts: what was not seen for long is forgotten so far
# and no further.
CAP = 100.0
# An input whose unit or place changes by more is another one: to carry over its square would leave nothing of the rest.
CARRIED = 10.0


class LeastSquares:
    """K outputs W·φ fitted to targets by least squares, a row counting `forgetting` as much with each row that follows.

    Starts as if W = 0 had been seen with weight `ridge`. `widen` and `grow` add inputs and outputs that start from 0.
    Memory: F² + 16 F + K F numbers for F inputs.

    >>> squares = LeastSquares(num_features=1, num_outputs=1, forgetting=1.0, ridge=1.0)
    >>> for target in (2.0, 4.0):
    ...     squares.learn(np.array([1.0]), np.array([target]) - squares.predict(np.array([1.0])), 1.0)
    >>> squares.predict(np.array([1.0])).round(9).tolist()      # (0 + 2 + 4) / 3
    [2.0]

    After Haykin, Adaptive Filter Theory, chapter on recursive least squares.
    """

    def __init__(self, *, num_features: int, num_outputs: int, forgetting: float, ridge: float) -> None:
        self._forgetting = forgetting
        self._ridge = ridge
        self._restart(np.zeros((num_outputs, num_features)))

    def _restart(self, weight_KF: Floats) -> None:
        """Take weights, and know nothing of the rows that made them."""
        num_features = weight_KF.shape[1]
        self.weight_KF = weight_KF
        # The inverse of the Gram matrix is scale · (inverse_FF − Σ pending pendingᵀ).
        self._inverse_FF = np.eye(num_features) / self._ridge
        self._pending_BF = np.zeros((BLOCK_ROWS, num_features))
        self._num_pending = 0
        self._scale = 1.0

    @property
    def num_features(self) -> int:
        return int(self.weight_KF.shape[1])

    def predict(self, phi_F: Floats) -> Floats:
        """(K,) W·φ."""
        return _scores(self.weight_KF, phi_F)

    def learn(self, phi_F: Floats, error_K: Floats, weight: float) -> None:
        """Step by the errors target − W·φ of a row that counts `weight` times."""
        noise = self._forgetting / weight
        _learn(phi_F, error_K, noise, self.weight_KF, self._inverse_FF, self._pending_BF, self._num_pending, self._scale)
        self._num_pending += 1
        self._scale /= self._forgetting
        if self._num_pending == BLOCK_ROWS:
            self._settle()
            _cap(self._inverse_FF, CAP / self._ridge)

    def _settle(self) -> None:
        """Carry what waits into the inverse."""
        _flush(self._inverse_FF, self._pending_BF, self._num_pending, self._scale)
        self._num_pending, self._scale = 0, 1.0

    def grow(self) -> None:
        """One more output."""
        self.weight_KF = np.pad(self.weight_KF, ((0, 1), (0, 0)))

    def widen(self, num_features: int) -> None:
        """Up to `num_features` inputs."""
        missing = num_features - self.num_features
        if missing <= 0:
            return
        self._settle()
        self.weight_KF = np.pad(self.weight_KF, ((0, 0), (0, missing)))
        self._inverse_FF = np.pad(self._inverse_FF, (0, missing))
        self._inverse_FF[-missing:, -missing:] = np.eye(missing) / self._ridge
        self._pending_BF = np.zeros((BLOCK_ROWS, num_features))

    def move_input(self, place: int, ratio: float, shift: float) -> None:
        """What was φ of an input is from now on ratio · φ + shift · φ_0, where φ_0 is always 1: all that is known stays so.

        An input that moves too far for that, by `CARRIED`, is forgotten.
        """
        self._settle()
        inverse_FF = self._inverse_FF
        if max(ratio, 1.0 / ratio, abs(shift)) > CARRIED:
            self.weight_KF[:, place] = 0.0
            inverse_FF[place] = 0.0
            inverse_FF[:, place] = 0.0
            inverse_FF[place, place] = 1.0 / self._ridge
            return
        self.weight_KF[:, 0] += shift * self.weight_KF[:, place]
        self.weight_KF[:, place] *= ratio
        for matrix_FF in (inverse_FF, inverse_FF.T):
            matrix_FF[0] += shift * matrix_FF[place]
            matrix_FF[place] *= ratio
        # Symmetric to the bit, as all that follows takes it to be: what is not would grow with what is forgotten.
        inverse_FF[:, 0] = inverse_FF[0]
        inverse_FF[:, place] = inverse_FF[place]

    def move_target(self, ratio: float, shift: float) -> None:
        """What was a target is from now on ratio · target + shift."""
        self.weight_KF *= ratio
        self.weight_KF[:, 0] += shift

    def state_dict(self) -> State:
        return {
            "weight": self.weight_KF.copy(),
            "inverse": self._inverse_FF.copy(),
            "pending": self._pending_BF[: self._num_pending].copy(),
            "scale": self._scale,
        }

    def load_state_dict(self, state: State) -> None:
        self.weight_KF = np.array(state["weight"], dtype=np.float64)
        self._inverse_FF = np.array(state["inverse"], dtype=np.float64)
        self._num_pending = len(state["pending"])
        self._pending_BF = np.zeros((BLOCK_ROWS, self.num_features))
        self._pending_BF[: self._num_pending] = state["pending"]
        self._scale = float(state["scale"])

    def load_weights(self, weight_KF: Floats) -> None:
        """Take `weight_KF` of another, to predict by."""
        self._restart(np.array(weight_KF, dtype=np.float64))


@compiled
def _scores(weight_KF: Floats, phi_F: Floats) -> Floats:
    score_K = np.empty(len(weight_KF))
    for k in range(len(weight_KF)):
        score_K[k] = _dot(weight_KF[k], phi_F)
    return score_K


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
    error_K: Floats,
    noise: float,
    weight_KF: Floats,
    inverse_FF: Floats,
    pending_BF: Floats,
    num_pending: int,
    scale: float,
) -> None:
    """One step of recursive least squares; its rank-one update of the inverse joins the pending ones."""
    num_features = len(phi_F)
    gain_F = np.zeros(num_features)
    whole = num_features // 4 * 4
    for f in range(0, whole, 4):  # symmetric: a row serves as a column, and the loop inside runs along memory
        v0, v1, v2, v3 = phi_F[f], phi_F[f + 1], phi_F[f + 2], phi_F[f + 3]
        for g in range(num_features):
            gain_F[g] += (v0 * inverse_FF[f, g] + v1 * inverse_FF[f + 1, g]) + (
                v2 * inverse_FF[f + 2, g] + v3 * inverse_FF[f + 3, g]
            )
    for f in range(whole, num_features):
        value = phi_F[f]
        for g in range(num_features):
            gain_F[g] += value * inverse_FF[f, g]
    for b in range(num_pending):
        value = _dot(pending_BF[b], phi_F)
        for f in range(num_features):
            gain_F[f] -= value * pending_BF[b, f]
    for f in range(num_features):
        gain_F[f] *= scale
    noise += _dot(phi_F, gain_F)
    for k in range(len(error_K)):
        step = error_K[k] / noise
        if step != 0.0:
            for f in range(num_features):
                weight_KF[k, f] += step * gain_F[f]
    shrink = 1.0 / np.sqrt(scale * noise)
    for f in range(num_features):
        pending_BF[num_pending, f] = gain_F[f] * shrink


@compiled
def _flush(inverse_FF: Floats, pending_BF: Floats, num_pending: int, scale: float) -> None:
    num_features = len(inverse_FF)
    pending_BF[num_pending:] = 0.0
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


@compiled
def _cap(inverse_FF: Floats, cap: float) -> None:
    """Draw in the directions that rose over `cap`: row and column alike, so that the matrix stays positive definite."""
    for f in range(len(inverse_FF)):
        if inverse_FF[f, f] > cap:
            shrink = np.sqrt(cap / inverse_FF[f, f])
            for g in range(len(inverse_FF)):
                inverse_FF[f, g] *= shrink
                inverse_FF[g, f] *= shrink

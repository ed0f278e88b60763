"""Which of several forecasters to trust, where the best one changes now and then: fixed share, at shares that are learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.errors import StateError
from daemon.learning.reactions import Haste
from daemon.state import State

Floats = NDArray[np.float64]

# Up to this exponent the floor of a probability keeps its power far from underflow; beyond it, powers of its ratio to the best.
PLAIN_EXPONENT = 30.0
# How fast the shares are weighed, and what each of them keeps of that weight, together.
SHARES_RATE, SHARES_KEPT = 0.5, 0.001


class FixedShare:
    """Weights of F forecasters: v_f ∝ v_f · max(p_f(target), `floor`)^`rate`, of which a share is then spread evenly.

    Of a stream that never changes each row costs that share; of one that changes, a small one costs the rows until the new
    best is found. So there are several: each of A shares has weights of its own, and these are weighed by what they gave to
    the targets. Behind an alarm all shares are ten times as large for a while (`Haste`).

    Memory: A · F + A + F numbers. A weight of a row multiplies the exponents; heavy rows count by the ratio to the best.

    >>> share = FixedShare([0.5, 0.5], rate=0.5, shares=(0.0,), floor=1e-4)
    >>> share.learn(np.array([0.8, 0.2]), 1.0)
    >>> share.weights.round(4).tolist()      # √.8 : √.2
    [0.6667, 0.3333]

    After Herbster and Warmuth 1998, and Monteleoni and Jaakkola 2003 for the several shares.
    """

    def __init__(self, first: Sequence[float], *, rate: float, shares: Sequence[float], floor: float) -> None:
        """`first` is what each forecaster weighs before the first row; it sums to 1."""
        self._rate, self._floor = rate, floor
        self._share_A = np.array(shares, dtype=np.float64)
        self._weight_AF = np.tile(np.array(first, dtype=np.float64), (len(shares), 1))
        self._by_share_A = np.full(len(shares), 1.0 / len(shares))
        self._haste = Haste()
        self.weights = np.array(first, dtype=np.float64)
        """(F,) what each forecaster weighs; sums to 1."""

    @property
    def is_hasty(self) -> bool:
        """Whether an alarm was raised a short while ago."""
        return self._haste.holds

    def learn(self, p_F: Floats, weight: float, *, late_by: int = 0) -> None:
        """`p_F` is what each gave to the target. From 1 + `late_by` rows no more is learned than from one."""
        parts = 1 + late_by
        share_A = self._haste.next_factor() * self._share_A / parts
        self.weights = _learn(p_F, weight / parts, self._rate, share_A, self._floor, self._by_share_A, self._weight_AF)

    def hasten(self) -> None:
        """The concept has changed."""
        self._haste.begin()

    def state_dict(self) -> State:
        return {
            "weights": self._weight_AF.copy(),
            "by_share": self._by_share_A.copy(),
            "haste": self._haste.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        weights, by_share = np.asarray(state["weights"]), np.asarray(state["by_share"])
        if weights.shape != self._weight_AF.shape or by_share.shape != self._by_share_A.shape:
            raise StateError(
                f"weights of shapes {weights.shape} and {by_share.shape} do not fit {self._weight_AF.shape} (shares, "
                "forecasters); the pool of experts differs from the one that was saved: start with a fresh folder"
            )
        self._weight_AF = weights.astype(np.float64)
        self._by_share_A = by_share.astype(np.float64)
        self._haste.load_state_dict(state["haste"])
        self.weights = _weights(self._by_share_A, self._weight_AF)


@compiled
def _weights(by_share_A: Floats, weight_AF: Floats) -> Floats:
    weight_F = np.zeros(weight_AF.shape[1])
    for a in range(len(by_share_A)):
        weight_F += by_share_A[a] * weight_AF[a]
    return weight_F


@compiled
def _learn(
    p_F: Floats, weight: float, rate: float, share_A: Floats, floor: float, by_share_A: Floats, weight_AF: Floats
) -> Floats:
    num_shares, num_forecasters = weight_AF.shape
    if num_shares > 1:
        likelihood_A = np.zeros(num_shares)
        for a in range(num_shares):
            for f in range(num_forecasters):
                likelihood_A[a] += weight_AF[a, f] * max(p_F[f], floor)
        by_share_A *= (likelihood_A / likelihood_A.max()) ** (weight * SHARES_RATE)
        by_share_A *= (1.0 - SHARES_KEPT) / by_share_A.sum()
        by_share_A += SHARES_KEPT / num_shares
    best = 1.0
    if weight * rate > PLAIN_EXPONENT:  # a heavy row: all powers may be 0, those of the ratios to the best are not
        best = max(p_F.max(), floor)
    power_F = np.empty(num_forecasters)
    for f in range(num_forecasters):
        power_F[f] = (max(p_F[f], floor) / best) ** (weight * rate)
    for a in range(num_shares):
        weight_AF[a] *= power_F
        total = weight_AF[a].sum()
        for f in range(num_forecasters):
            weight_AF[a, f] = (1.0 - share_A[a]) * weight_AF[a, f] / total + share_A[a] / num_forecasters
    return _weights(by_share_A, weight_AF)

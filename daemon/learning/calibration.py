"""What an expert says, made as certain as it has deserved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.state import State

Floats = NDArray[np.float64]

# Exponents of what was said, and parts that are spread evenly over all classes. `PLAIN` leaves it all but as it is.
POWERS = np.array([0.35, 0.7, 1.0, 2.0, 4.0])
SPREADS = np.array([0.001, 0.01, 0.05, 0.2])
PLAIN = 2, 0
# Below this an expert's probability says "impossible", which no expert can know: it bounds each log and each gradient.
LOG_FLOOR = 1e-9
# What the plain pair weighs at first, and the part of the weights that falls back to the first ones with each row.
PLAIN_WEIGHT = 0.8
SHARE = 0.001


class Calibration:
    """Calibrates experts, each by a mixture over exponents a and parts b: q_k = Σ_ab v_ab ((1 − b) p_k^a / Σ_j p_j^a + b / K).

    v is weighed by likelihood with fixed share, so that an expert which is surer than it should be, or is wrong about some rows
    whatever it says, as where labels are noisy, is drawn in. Its likeliest class stays the likeliest. A mixture that is weighed
    by log loss would have to draw such an expert in by others, which moves the boundaries between the classes, too: it errs
    less often where each is calibrated first.

    Memory: 20 numbers an expert. A weight of a row multiplies the exponent of the likelihood.

    >>> calibration = Calibration(places=[0])
    >>> calibration.apply(np.array([[1.0, 0.0]])).round(4).tolist()      # even before the first row nothing is impossible
    [[0.993, 0.007]]
    >>> for _ in range(100):
    ...     for target in (0, 0, 0, 1):
    ...         _ = calibration.apply(np.array([[1.0, 0.0]]))
    ...         calibration.learn(target, 1.0)
    >>> calibration.apply(np.array([[1.0, 0.0]])).round(2).tolist()
    [[0.9, 0.1]]

    After Vovk 1990 for the mixture, and Herbster and Warmuth 1998 for the share.
    """

    def __init__(self, *, places: Sequence[int]) -> None:
        """`places` are those of the C experts that are calibrated; the others are left as they are."""
        self._place_C = np.array(places, dtype=np.int64)
        self._weight_CG = np.tile(_FIRST_G, (len(places), 1))
        self._said_CPK = np.ones((len(places), len(POWERS), 1))

    def apply(self, p_EK: Floats) -> Floats:
        """(E, K) the same, calibrated. Kept for the `learn` that follows; changes nothing that is learned."""
        if not len(self._place_C):
            return p_EK
        self._said_CPK = np.empty((len(self._place_C), len(POWERS), p_EK.shape[1]))
        q_EK = p_EK.copy()
        _apply(p_EK, self._place_C, self._weight_CG, self._said_CPK, q_EK)
        return q_EK

    def learn(self, target: int, weight: float) -> None:
        """Learn from the class of the row calibrated last."""
        if len(self._place_C):
            _learn(self._said_CPK, target, weight, self._weight_CG)

    def state_dict(self) -> State:
        return {"weights": self._weight_CG.copy()}

    def load_state_dict(self, state: State) -> None:
        self._weight_CG = np.array(state["weights"], dtype=np.float64)


def _first() -> Floats:
    weight_PS = np.full((len(POWERS), len(SPREADS)), (1.0 - PLAIN_WEIGHT) / (len(POWERS) * len(SPREADS)))
    weight_PS[PLAIN] += PLAIN_WEIGHT
    return weight_PS.ravel()


_FIRST_G = _first()


@compiled
def _apply(p_EK: Floats, place_C: NDArray[np.int64], weight_CG: Floats, said_CPK: Floats, q_EK: Floats) -> None:
    num_classes, num_spreads = p_EK.shape[1], len(SPREADS)
    log_K = np.empty(num_classes)
    for c in range(len(place_C)):
        e, top = place_C[c], -np.inf
        for k in range(num_classes):
            # An expert that says NaN or infinity holds nothing for possible.
            log_K[k] = np.log(max(p_EK[e, k], LOG_FLOOR)) if 0.0 <= p_EK[e, k] < np.inf else np.log(LOG_FLOOR)
            top = max(top, log_K[k])
            q_EK[e, k] = 0.0
        for p in range(len(POWERS)):
            total = 0.0
            for k in range(num_classes):
                said_CPK[c, p, k] = np.exp(POWERS[p] * (log_K[k] - top))
                total += said_CPK[c, p, k]
            kept = spread = 0.0
            for s in range(num_spreads):
                kept += weight_CG[c, p * num_spreads + s] * (1.0 - SPREADS[s])
                spread += weight_CG[c, p * num_spreads + s] * SPREADS[s]
            for k in range(num_classes):
                said_CPK[c, p, k] /= total
                q_EK[e, k] += kept * said_CPK[c, p, k] + spread / num_classes


@compiled
def _learn(said_CPK: Floats, target: int, weight: float, weight_CG: Floats) -> None:
    num_classes, num_spreads = said_CPK.shape[2], len(SPREADS)
    likelihood_G = np.empty(weight_CG.shape[1])
    for c in range(len(weight_CG)):
        for p in range(len(POWERS)):
            said = said_CPK[c, p, target]
            for s in range(num_spreads):
                likelihood_G[p * num_spreads + s] = (1.0 - SPREADS[s]) * said + SPREADS[s] / num_classes
        if weight != 1.0:
            # Of the ratio to the best: however heavy the row, one of them is 1.
            likelihood_G[:] = (likelihood_G / likelihood_G.max()) ** weight
        total = 0.0
        for g in range(len(likelihood_G)):
            weight_CG[c, g] *= likelihood_G[g]
            total += weight_CG[c, g]
        kept = (1.0 - SHARE) / total
        for g in range(len(likelihood_G)):
            weight_CG[c, g] = kept * weight_CG[c, g] + SHARE * _FIRST_G[g]

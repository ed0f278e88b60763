"""Mixes the pool: experts calibrated one by one, bounded log-linear mixers, and fixed share over these and every expert."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.errors import StateError
from daemon.learning.calibration import LOG_FLOOR, Calibration
from daemon.learning.lead import MANY, NOBODY, Lead, errors_saved, follow
from daemon.learning.reactions import Haste
from daemon.state import State

Floats = NDArray[np.float64]

# What a mixer gives an expert at least, so that one which was of no use can come back; and the most that a row changes its
# logarithm by.
LEAST_WEIGHT = 1e-6
LARGEST_STEP = 2.0
# Up to this exponent the floor of a probability keeps its power far from underflow; beyond it, powers of its ratio to the best.
PLAIN_EXPONENT = 30.0


class Mixer:
    """One distribution from those of E experts, by two levels of weights that are learned from every row.

    M *mixers*, one a learning rate, each form p_k ∝ exp Σ_e w_e ln p_ek, with w from 1/E (or by `first_weights`), and step
    down the gradient of their log loss by exponentiated gradient: a step multiplies w, so that a good expert is found among
    many. After each step w is scaled back to Σw ≤ `max_total`. The bound keeps a pool that agrees from answering with
    certainty, which is what loses when labels come late. *Fixed share* then weighs the M mixers and the E experts themselves:
    v_f ∝ v_f · p_f(target)^`share_rate`, and a part `share` of the weight is spread evenly, so that whoever is best after a
    change of concept is found soon. Where one expert has nevertheless been right more often than the mix, by more than chance
    (`Lead`), the likeliest class is its own; behind an alarm that is judged by tens of rows alone.

    Errors of rows whose labels come `late_by` rows late share their causes: from 1 + `late_by` rows fixed share learns no more
    than from one. The mixers, whose weights are bounded, keep their rates.

    Before all that, what the experts of `calibrated` places say is made as certain as it has deserved (`Calibration`).

    Memory: M · E + M + 24 · E numbers. A weight of a row multiplies the gradient step and the exponent `share_rate`.

    >>> mixer = Mixer(num_experts=2, rates=(0.1,), max_total=1.0, share_rate=0.5, share=0.0)
    >>> p_EK = np.array([[0.8, 0.2], [0.5, 0.5]])
    >>> mixer.mix(p_EK).round(6).tolist()      # the mixer says 2/3, the experts .8 and .5: their mean
    [0.655556, 0.344444]
    >>> mixer.learn(0, 1.0)
    >>> mixer.mix(p_EK).round(6).tolist()
    [0.668446, 0.331554]

    After Kivinen and Warmuth 1997 (exponentiated gradient), Herbster and Warmuth 1998 (fixed share), and Mattern 2012 for
    mixing in the logistic domain.
    """

    def __init__(
        self,
        *,
        num_experts: int,
        first_weights: Sequence[float] = (),
        rates: Sequence[float] = (0.01, 0.03, 0.1),
        max_total: float = 1.2,
        share_rate: float = 0.5,
        share: float = 0.001,
        share_floor: float = 1e-4,
        standard_errors: Sequence[float] = (),
        calibrated: Sequence[int] = (),
    ) -> None:
        """`first_weights` is what each expert counts at the start, beside the others; all the same where it is empty.
        `standard_errors` says how far ahead each has to be to lead (see `Lead`), `calibrated` whose probabilities are
        calibrated before they are mixed (see `Calibration`), by place."""
        self._rate_M = np.array(rates, dtype=np.float64)
        self._max_total = max_total
        self._share_rate = share_rate
        self._haste = Haste(share=share)
        self._share_floor = share_floor
        num_forecasters = len(rates) + num_experts
        part_E = np.array(first_weights or [1.0] * num_experts) / (sum(first_weights) or num_experts)
        self._weight_ME = np.tile(part_E, (len(rates), 1))
        self._share_F = np.concatenate((np.ones(len(rates)), num_experts * part_E)) / num_forecasters
        self._lead = Lead(standard_errors or [MANY] * num_experts)
        self._calibration = Calibration(places=calibrated)
        self._log_p_EK = np.zeros((num_experts, 1))
        self._p_FK = np.ones((num_forecasters, 1))
        self._mixed_K = np.ones(1)

    @property
    def expert_weights(self) -> Floats:
        """(E,) what each expert weighs: its own share, and its part of the mixers' weights by their share."""
        num_mixers = len(self._rate_M)
        weight_E: Floats = self._share_F[:num_mixers] @ self._weight_ME + self._share_F[num_mixers:]
        return weight_E

    def mix(self, p_EK: Floats) -> Floats:
        """(K,) the mixed distribution. Kept for the `learn` that follows; changes nothing that is learned."""
        p_EK = self._calibration.apply(p_EK)
        self._log_p_EK = np.empty_like(p_EK)
        self._p_FK = np.empty((len(self._share_F), p_EK.shape[1]))
        self._mixed_K = np.empty(p_EK.shape[1])
        _mix(p_EK, self._weight_ME, self._share_F, self._log_p_EK, self._p_FK, self._mixed_K)
        leader = self._lead.leader
        return self._mixed_K if leader == NOBODY else follow(self._p_FK[len(self._rate_M) + leader], self._mixed_K)

    def learn(self, target: int, weight: float, *, late_by: int = 0) -> None:
        """Learn from the target of the row mixed last, which was mixed first `late_by` rows ago; `target` indexes K."""
        if len(self._mixed_K) > 2:  # of a single label that is known all experts say the same
            saved_E = errors_saved(self._p_FK[len(self._rate_M) :], self._mixed_K, target)
            self._lead.learn(saved_E, weight, hasty=self._haste.holds)
        _step_mixers(self._log_p_EK, self._p_FK, target, weight, self._rate_M, self._max_total, self._weight_ME)
        parts = 1 + late_by
        self._calibration.learn(target, weight / parts)
        share_rate, share = weight * self._share_rate / parts, self._haste.next_share() / parts
        _step_share(self._p_FK, target, share_rate, share, self._share_floor, self._share_F)

    def hasten(self) -> None:
        """Spread more of the weight over the next rows: the concept has changed."""
        self._haste.begin()
        self._lead.forget()

    def state_dict(self) -> State:
        return {
            "mixers": self._weight_ME.copy(),
            "share": self._share_F.copy(),
            "calibration": self._calibration.state_dict(),
            "lead": self._lead.state_dict(),
            "haste": self._haste.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        mixers, share = np.asarray(state["mixers"]), np.asarray(state["share"])
        if mixers.shape != self._weight_ME.shape or share.shape != self._share_F.shape:
            raise StateError(
                f"mixer weights of shape {mixers.shape} do not fit {self._weight_ME.shape} (mixers, experts); "
                "the pool of experts differs from the one that was saved: start with a fresh folder"
            )
        self._weight_ME = mixers.astype(np.float64)
        self._share_F = share.astype(np.float64)
        self._calibration.load_state_dict(state["calibration"])
        self._lead.load_state_dict(state["lead"])
        self._haste.load_state_dict(state["haste"])

    def weights(self) -> State:
        return self.state_dict()

    def load_weights(self, state: State) -> None:
        self.load_state_dict(state)


@compiled
def _mix(p_EK: Floats, weight_ME: Floats, share_F: Floats, log_p_EK: Floats, p_FK: Floats, mixed_K: Floats) -> None:
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
    mixed_K[:] = 0.0
    for f in range(len(share_F)):
        for k in range(num_classes):
            mixed_K[k] += share_F[f] * p_FK[f, k]
    mixed_K /= mixed_K.sum()


@compiled
def _step_mixers(
    log_p_EK: Floats, p_FK: Floats, target: int, weight: float, rate_M: Floats, max_total: float, weight_ME: Floats
) -> None:
    """The gradient of -ln p(target) in w_e is Σ_k p_k ln p_ek − ln p_e(target)."""
    num_experts, num_classes = log_p_EK.shape
    for m in range(len(rate_M)):
        total = 0.0
        for e in range(num_experts):
            gradient = -log_p_EK[e, target]
            for k in range(num_classes):
                gradient += p_FK[m, k] * log_p_EK[e, k]
            step = min(LARGEST_STEP, max(-LARGEST_STEP, -weight * rate_M[m] * gradient))
            weight_ME[m, e] = max(LEAST_WEIGHT, weight_ME[m, e] * np.exp(step))
            total += weight_ME[m, e]
        if total > max_total:
            weight_ME[m] *= max_total / total


@compiled
def _step_share(p_FK: Floats, target: int, share_rate: float, share: float, floor: float, share_F: Floats) -> None:
    best = 1.0
    if share_rate > PLAIN_EXPONENT:  # a heavy row: all powers may be 0, those of the ratios to the best are not
        best = max(p_FK[:, target].max(), floor)
    total = 0.0
    for f in range(len(share_F)):
        share_F[f] *= (max(p_FK[f, target], floor) / best) ** share_rate
        total += share_F[f]
    for f in range(len(share_F)):
        share_F[f] = (1.0 - share) * share_F[f] / total + share / len(share_F)

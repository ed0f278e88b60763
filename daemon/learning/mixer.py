"""Mixes the pool: experts calibrated one by one, bounded log-linear mixers, and fixed share over these and every expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from daemon.errors import StateError
from daemon.learning.calibration import Calibration
from daemon.learning.fixed_share import FixedShare
from daemon.learning.lead import MANY, NOBODY, Lead, errors_saved, follow
from daemon.learning.mixer_kernels import FIRST_INFORMATION, mix, step, weighted_mean
from daemon.state import State

Floats = NDArray[np.float64]


class HowToMix(TypedDict):
    """What of a mixer depends on whether labels are late."""

    kept: tuple[float, ...]
    shares: tuple[float, ...]


def how_to_mix(*, late: bool) -> HowToMix:
    """The last two of `kept` are one mixer until an alarm: then one goes on, and the other begins anew. Rows whose labels come
    late err together: of so few independent ones Newton's steps learn too much, and the shares cannot be told apart."""
    return HowToMix(kept=(), shares=(1e-3,)) if late else HowToMix(kept=(0.9998, 0.998, 0.998), shares=(1e-3, 1e-5))


class Mixer:
    """One distribution from those of E experts, by two levels of weights that are learned from every row.

    M *mixers* each form p_k ∝ exp Σ_e w_e ln p_ek, with w from 1/E (or by `first_weights`), and step down the gradient of
    their log loss; after each step w is scaled back to Σw ≤ `max_total`. The bound keeps a pool that agrees from answering
    with certainty, which is what loses when labels come late. Those of `rates` step by exponentiated gradient: a step
    multiplies w, so that a good expert is found among many. Those of `kept` take Newton's steps, as a logistic regression on
    what the experts say, and forget: they learn what two experts that err together are worth, and lose far less where there
    is much to learn; a weight may be negative, Σ|w| is at most 1,000, and a step lowers the loss of its row by at most 5, to
    first order. Behind an alarm the last of them begins anew, beside those that go on. *Fixed share* then weighs the M mixers
    and the E experts themselves, so that whoever is best after a change of concept is found soon (`FixedShare`). Where one
    expert has nevertheless been right more often than the mix, by more than chance (`Lead`), the likeliest class is its own;
    behind an alarm that is judged by tens of rows alone.

    Errors of rows whose labels come `late_by` rows late share their causes: from 1 + `late_by` rows fixed share learns no more
    than from one. The mixers keep their rates.

    Before all that, what the experts of `calibrated` places say is made as certain as it has deserved (`Calibration`).

    Memory: M · E + N · E² + (A + 1) · (M + E) + 24 · E numbers, N of `kept`, A of `shares`; a row takes some N · E² · (E + K)
    operations. A weight of a row multiplies the gradient step and the exponents of fixed share; Newton's steps count the row so
    many times, up to 100.

    >>> mixer = Mixer(num_experts=2, rates=(0.1,), max_total=1.0, share_rate=0.5, shares=(0.0,))
    >>> p_EK = np.array([[0.8, 0.2], [0.5, 0.5]])
    >>> mixer.mix(p_EK).round(6).tolist()      # the mixer says 2/3, the experts .8 and .5: their mean
    [0.655556, 0.344444]
    >>> mixer.learn(0, 1.0)
    >>> mixer.mix(p_EK).round(6).tolist()
    [0.668446, 0.331554]

    After Kivinen and Warmuth 1997 (exponentiated gradient), Fahrmeir 1992 (Fisher scoring row by row), Herbster and Warmuth
    1998 (fixed share), and Mattern 2012 for mixing in the logistic domain.
    """

    def __init__(
        self,
        *,
        num_experts: int,
        first_weights: Sequence[float] = (),
        rates: Sequence[float] = (0.01, 0.03, 0.1),
        kept: Sequence[float] = (),
        max_total: float = 1.2,
        share_rate: float = 0.5,
        shares: Sequence[float] = (0.001,),
        share_floor: float = 1e-4,
        standard_errors: Sequence[float] = (),
        calibrated: Sequence[int] = (),
    ) -> None:
        """`first_weights` is what each expert counts at the start, beside the others; all the same where it is empty.
        `standard_errors` says how far ahead each has to be to lead (see `Lead`), `calibrated` whose probabilities are
        calibrated before they are mixed (see `Calibration`), by place."""
        self._rate_R = np.array(rates, dtype=np.float64)
        self._kept_N = np.array(kept, dtype=np.float64)
        self._max_total = max_total
        num_mixers = len(rates) + len(kept)
        num_forecasters = num_mixers + num_experts
        part_E = np.array(first_weights or [1.0] * num_experts) / (sum(first_weights) or num_experts)
        # Those of `rates`, then those of `kept`.
        self._first_E = part_E
        self._weight_ME = np.tile(part_E, (num_mixers, 1))
        self._information_NEE = np.zeros((len(kept), num_experts, num_experts))
        for n in range(len(kept)):
            self._begin_newton(n)
        first_F = np.concatenate((np.ones(num_mixers), num_experts * part_E)) / num_forecasters
        self._share = FixedShare(first_F.tolist(), rate=share_rate, shares=shares, floor=share_floor)
        self._lead = Lead(standard_errors or [MANY] * num_experts)
        self._calibration = Calibration(places=calibrated)
        self._log_p_EK = np.zeros((num_experts, 1))
        self._p_FK = np.ones((num_forecasters, 1))
        self._mixed_K = np.ones(1)

    @property
    def expert_weights(self) -> Floats:
        """(E,) what each expert weighs: its own share, and its part of the mixers' weights, some below 0, by their share."""
        share_F = self._share.weights
        num_mixers = len(self._weight_ME)
        weight_E: Floats = share_F[:num_mixers] @ self._weight_ME + share_F[num_mixers:]
        return weight_E

    def mix(self, p_EK: Floats) -> Floats:
        """(K,) the mixed distribution. Kept for the `learn` that follows; changes nothing that is learned."""
        p_EK = self._calibration.apply(p_EK)
        num_mixers, num_classes = len(self._weight_ME), p_EK.shape[1]
        self._log_p_EK = np.empty_like(p_EK)
        self._p_FK = np.empty((num_mixers + len(p_EK), num_classes))
        mix(p_EK, self._weight_ME, self._log_p_EK, self._p_FK)
        self._mixed_K = weighted_mean(self._p_FK, self._share.weights)
        leader = self._lead.leader
        return self._mixed_K if leader == NOBODY else follow(self._p_FK[num_mixers + leader], self._mixed_K)

    def learn(self, target: int, weight: float, *, late_by: int = 0) -> None:
        """Learn from the target of the row mixed last, which was mixed first `late_by` rows ago; `target` indexes K."""
        num_mixers = len(self._weight_ME)
        if len(self._mixed_K) > 2:  # of a single label that is known all experts say the same
            saved_E = errors_saved(self._p_FK[num_mixers:], self._mixed_K, target)
            self._lead.learn(saved_E, weight, hasty=self._share.is_hasty)
        step(
            self._log_p_EK, self._p_FK, target, weight, self._rate_R, self._kept_N, self._max_total,
            self._information_NEE, self._weight_ME,
        )  # fmt: skip
        self._calibration.learn(target, weight / (1 + late_by))
        self._share.learn(self._p_FK[:, target].copy(), weight, late_by=late_by)

    def hasten(self) -> None:
        """The concept has changed: spread more of the weight over the next rows, and have one mixer take Newton's steps anew.
        What experts that err together were worth may hold no longer, or labels have been wrong; or it holds as before, and
        would have to be learned again."""
        self._share.hasten()
        self._lead.forget()
        if len(self._kept_N):
            self._begin_newton(len(self._kept_N) - 1)

    def _begin_newton(self, n: int) -> None:
        """As before the first row."""
        self._weight_ME[len(self._rate_R) + n] = self._first_E
        self._information_NEE[n] = FIRST_INFORMATION * np.eye(len(self._first_E))

    def state_dict(self) -> State:
        return {
            "mixers": self._weight_ME.copy(),
            "information": self._information_NEE.copy(),
            "share": self._share.state_dict(),
            "calibration": self._calibration.state_dict(),
            "lead": self._lead.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        mixers, information = np.asarray(state["mixers"]), np.asarray(state["information"])
        if mixers.shape != self._weight_ME.shape or information.shape != self._information_NEE.shape:
            raise StateError(
                f"mixer weights of shapes {mixers.shape} and {information.shape} do not fit {self._weight_ME.shape} (mixers, "
                f"experts) and {self._information_NEE.shape}; the pool of experts differs from the one that was saved: start "
                "with a fresh folder"
            )
        self._weight_ME = mixers.astype(np.float64)
        self._information_NEE = information.astype(np.float64)
        self._share.load_state_dict(state["share"])
        self._calibration.load_state_dict(state["calibration"])
        self._lead.load_state_dict(state["lead"])

    def weights(self) -> State:
        return self.state_dict()

    def load_weights(self, state: State) -> None:
        self.load_state_dict(state)

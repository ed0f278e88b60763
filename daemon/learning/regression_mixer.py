"""One number from those of E experts: convex mixtures at several rates, and fixed share over them and every expert."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.features.references import ROUNDING
from daemon.learning.lead import MANY, NOBODY, Lead
from daemon.learning.reactions import Haste
from daemon.state import State

Floats = NDArray[np.float64]

# A row's loss, and by how much experts differ or save, count for at most so many of the usual losses: whoever was less wrong of
# one wild row need not know more of the next.
LOSS_LIMIT = 30.0
# No forecaster moves the answer as if it were further than so many usual losses from their median.
NEAR_LOSSES = 10.0
# The range of the targets may be exceeded by so many usual losses.
RANGE_LOSSES = 100.0
# A heavy row changes the logarithm of a weight by at most so much; one of weight 1 comes to an eighth of it.
LARGEST_STEP = 20.0
# Losses times rate and weight of no more than this are far from where exp(-x) is 0; of more, what counts is the excess over the
# least.
PLAIN_LOSS = 500.0
# The usual loss is the mean over so many rows, jumps and all: what is rare and large makes up the mean absolute error.
SCALE_ROWS = 200.0
# Numbers far outside of the targets so far are drawn in: to half their range beyond it, and so many usual losses.
MARGIN = 0.5
# The scalars of its state: the usual loss; the rows learned, where all that came before two targets differed are one; the least
# and the largest target, of which one that is wild counts as drawn in; the last target as it was.
USUAL, ROWS, LOW, HIGH, LAST = range(5)


class RegressionMixer:
    """Learns weights for E experts by absolute loss, in units of the loss that is usual.

    M *mixers*, one a rate, each answer Σ w_e p_e and step down their loss by exponentiated gradient; *fixed share* weighs the
    mixers and the experts themselves by exp(-`share_rate` · loss), with a part `share` of the weight spread evenly at the usual
    loss or more, less of it at less: where a level holds for long and then jumps, whoever repeats it stays in charge. The
    answer is the mean by these weights, of all drawn in to within ten usual losses of their weighted median, since one that
    goes wild on a row would move a mean as far as it likes. While one expert has been closer than the mix, by more than chance
    (`Lead`), the answer is its own, drawn in to as near to the mix. Nothing is learned before two targets differed.

    Errors of rows whose targets come `late_by` rows late share their causes: from 1 + `late_by` rows both learn no more
    than from one.

    >>> mixer = RegressionMixer(num_experts=2, rates=(0.1,), share_rate=0.5, share=0.0)
    >>> mixer.learn(1.0, 1.0)      # the first target only tells the range
    >>> mixer.mix(np.array([1.0, 1.0]))
    1.0

    After Kivinen and Warmuth 1997 (exponentiated gradient), Herbster and Warmuth 1998 (fixed share).
    """

    def __init__(
        self,
        *,
        num_experts: int,
        rates: Sequence[float] = (0.005, 0.02, 0.08),
        share_rate: float = 0.2,
        share: float = 0.003,
        standard_errors: Sequence[float] = (),
    ) -> None:
        """`standard_errors` says how far ahead each expert has to be to lead (see `Lead`)."""
        num_forecasters = len(rates) + num_experts
        self._rate_M = np.array(rates, dtype=np.float64)
        self._share_rate = share_rate
        self._share = share
        self._haste = Haste()
        self._weight_ME = np.full((len(rates), num_experts), 1.0 / num_experts)
        self._share_F = np.full(num_forecasters, 1.0 / num_forecasters)
        self._scalar_S = np.zeros(5)
        self._lead = Lead(standard_errors or [MANY] * num_experts)
        self._p_F = np.zeros(num_forecasters)
        self._mixed = 0.0

    @property
    def expert_weights(self) -> Floats:
        """(E,) what each expert weighs: its own share, and its part of the mixers' weights by their share."""
        num_mixers = len(self._rate_M)
        weight_E: Floats = self._share_F[:num_mixers] @ self._weight_ME + self._share_F[num_mixers:]
        return weight_E

    def mix(self, p_E: Floats) -> float:
        """The mixed number. Kept for the `learn` that follows; changes nothing that is learned."""
        num_mixers = len(self._rate_M)
        reach = np.inf
        if self._scalar_S[ROWS] > 0.0:
            low, high = min(self._scalar_S[LOW], self._scalar_S[LAST]), max(self._scalar_S[HIGH], self._scalar_S[LAST])
            margin = MARGIN * (high - low) + RANGE_LOSSES * self._scalar_S[USUAL]
            # An expert that says NaN is as far off as one may be.
            p_E = np.clip(np.where(np.isnan(p_E), np.inf, p_E), low - margin, high + margin)
            reach = NEAR_LOSSES * self._scalar_S[USUAL]
        self._p_F = np.concatenate([np.zeros(num_mixers), p_E])
        self._p_F[:num_mixers] = (self._weight_ME * p_E).sum(axis=1)
        self._mixed = _mean_near_median(self._p_F, self._share_F, reach)
        leader = self._lead.leader
        return self._mixed if leader == NOBODY else _drawn_in(float(p_E[leader]), self._mixed, reach)

    def learn(self, target: float, weight: float, *, late_by: int = 0) -> None:
        """Learn from the target of the row mixed last, which was mixed first `late_by` rows ago."""
        if self._scalar_S[USUAL] > 0.0:
            off_E = np.abs(self._p_F[len(self._rate_M) :] - target)
            gain_E = np.clip((abs(self._mixed - target) - off_E) / self._scalar_S[USUAL], -LOSS_LIMIT, LOSS_LIMIT)
            self._lead.learn(gain_E, weight, hasty=self._haste.holds)
        parts = 1 + late_by
        _learn(
            self._p_F, self._mixed, target, weight, self._rate_M / parts, self._share_rate / parts,
            self._haste.next_factor() * self._share / parts, self._weight_ME, self._share_F, self._scalar_S,
        )  # fmt: skip

    def hasten(self) -> None:
        """Spread more of the weight over the next rows: the concept has changed."""
        self._haste.begin()
        self._lead.forget()

    def state_dict(self) -> State:
        return {
            "mixers": self._weight_ME.copy(),
            "share": self._share_F.copy(),
            "scalars": self._scalar_S.copy(),
            "lead": self._lead.state_dict(),
            "haste": self._haste.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        self._weight_ME = np.array(state["mixers"], dtype=np.float64)
        self._share_F = np.array(state["share"], dtype=np.float64)
        self._scalar_S = np.array(state["scalars"], dtype=np.float64)
        self._lead.load_state_dict(state["lead"])
        self._haste.load_state_dict(state["haste"])

    def weights(self) -> State:
        return self.state_dict()

    def load_weights(self, state: State) -> None:
        self.load_state_dict(state)


@compiled
def _drawn_in(value: float, middle: float, reach: float) -> float:
    return min(middle + reach, max(middle - reach, value))


@compiled
def _mean_near_median(p_F: Floats, share_F: Floats, reach: float) -> float:
    """The mean by `share_F` of what is within `reach` of the median by it, or drawn in to there."""
    median, below = 0.0, 0.0
    for f in np.argsort(p_F):
        median = p_F[f]
        below += share_F[f]
        if below >= 0.5:
            break
    mean = 0.0
    for f in range(len(p_F)):
        mean += share_F[f] * _drawn_in(p_F[f], median, reach)
    return mean


@compiled
def _learn(
    p_F: Floats,
    mixed: float,
    target: float,
    weight: float,
    rate_M: Floats,
    share_rate: float,
    share: float,
    weight_ME: Floats,
    share_F: Floats,
    scalar_S: Floats,
) -> None:
    num_mixers, num_experts = weight_ME.shape
    if scalar_S[ROWS] == 0.0:  # nothing was known, so there is nothing to learn from having been off
        scalar_S[ROWS], scalar_S[LOW : LAST + 1] = 1.0, target
        return
    if scalar_S[ROWS] == 1.0 and abs(target - scalar_S[LOW]) <= ROUNDING * abs(scalar_S[LOW]):
        return  # one target so far tells neither a range nor a usual loss
    scalar_S[ROWS] += 1.0
    before, scalar_S[LAST] = scalar_S[LAST], target
    if scalar_S[ROWS] > 2.0:
        # A single wild target widens the range no further; of a new level the second row counts in full.
        reach = scalar_S[HIGH] - scalar_S[LOW] + RANGE_LOSSES * scalar_S[USUAL]
        target = min(max(scalar_S[HIGH], before) + reach, max(min(scalar_S[LOW], before) - reach, target))
    scalar_S[LOW], scalar_S[HIGH] = min(scalar_S[LOW], target), max(scalar_S[HIGH], target)
    loss = abs(target - mixed)
    scalar_S[USUAL] += (loss - scalar_S[USUAL]) / min(scalar_S[ROWS] - 1.0, SCALE_ROWS)
    scale = scalar_S[USUAL]
    if scale == 0.0:
        return
    for m in range(num_mixers):
        slope = np.sign(p_F[m] - target)
        total = 0.0
        for e in range(num_experts):
            apart = (p_F[num_mixers + e] - p_F[m]) / scale
            apart = min(LOSS_LIMIT, max(-LOSS_LIMIT, apart))
            step = min(LARGEST_STEP, max(-LARGEST_STEP, -weight * rate_M[m] * slope * apart))
            weight_ME[m, e] = max(1e-6, weight_ME[m, e] * np.exp(step))
            total += weight_ME[m, e]
        weight_ME[m] /= total
    least = 0.0
    if weight * share_rate * LOSS_LIMIT > PLAIN_LOSS:
        least = min(LOSS_LIMIT, np.abs(target - p_F).min() / scale)
    total = 0.0
    for f in range(len(p_F)):
        share_F[f] *= np.exp(-weight * share_rate * (min(LOSS_LIMIT, abs(target - p_F[f]) / scale) - least))
        total += share_F[f]
    spread = share * min(1.0, loss / scale)  # a row that was foretold is no sign of a change
    for f in range(len(p_F)):
        share_F[f] = (1.0 - spread) * share_F[f] / total + spread / len(p_F)

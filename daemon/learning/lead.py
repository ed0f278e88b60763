"""Whether one expert alone has been losing less than the mixture of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.learning.experts.base import Expert
from daemon.learning.experts.markov import MarkovLabel
from daemon.state import State

Floats = NDArray[np.float64]

# What is remembered of a row after another one; and behind an alarm, where who was ahead in a burst of wrong labels is to lead
# no longer than the burst.
KEPT = 1.0 - 1.0 / 2000.0
KEPT_HASTY = 1.0 - 1.0 / 32.0
# An expert leads by so many standard errors, less one row of its advantage. Of many, one is often ahead by chance; of the
# simple ones, and of the trivial ones, less often, and where one is, it has more often than not found what the stream is made
# for. What follows the last label is right for long, where labels come sorted, or soon wrong: for it a quarter of a row's
# advantage is enough, and so is not to have differed at all for some rows.
MANY, SOME, FEW, NONE = 1.5, 1.0, 0.7, -1.0
QUARTER_ROW, LEVEL_ROWS = 0.25, 20
NOBODY = -1
# Of an expert: what the mixture lost more than it, the squares of that, and the rows on which they differed.
GAIN, SQUARES, ROWS = range(3)


class Lead:
    """Compares each of E experts with their mixture, row by row, by what the two lost.

    A mixture is weighed for its probabilities, or for its distance; it may still be wrong more often than the best of its
    experts, where that one alone knows all there is to know. Of those whose sum of gains is `standard_errors` and one row's
    gain above 0, the one leads that is furthest ahead: at 1.5 five rows to none are enough, at 0 two. At -1 a quarter of a
    row's gain is enough, what is left of one row 2,800 rows later; and where nobody is ahead so far, an expert leads that was
    right and wrong with the mixture in all rows, of 20 or more. Memory: 3 · E numbers; older rows fade, half of them in 1,400.

    >>> lead, leaders = Lead([MANY, MANY]), []
    >>> for row in range(5):
    ...     lead.learn(np.array([0.0, 1.0]), 1.0)
    ...     leaders.append(lead.leader)
    >>> leaders
    [-1, -1, -1, -1, 1]
    """

    def __init__(self, standard_errors: Sequence[float]) -> None:
        """`standard_errors` has one number an expert (see `standard_errors_to_lead`)."""
        self._standard_errors_E = np.array(standard_errors, dtype=np.float64)
        self._sum_ES = np.zeros((len(standard_errors), 3))
        self._num_rows = 0
        self.leader = NOBODY
        """The expert that leads, or -1."""

    def learn(self, gain_E: Floats, weight: float, *, hasty: bool = False) -> None:
        """`gain_E` is what the mixture lost on a row more than each expert alone; `hasty` right behind an alarm."""
        kept = KEPT_HASTY if hasty else KEPT
        self._num_rows += 1
        self.leader = _learn(gain_E, weight, kept, self._standard_errors_E, self._num_rows, self._sum_ES)

    def forget(self) -> None:
        """The concept has changed: nobody leads."""
        self._sum_ES[:] = 0.0
        self._num_rows = 0
        self.leader = NOBODY

    def state_dict(self) -> State:
        return {"sums": self._sum_ES.copy(), "rows": self._num_rows, "leader": self.leader}

    def load_state_dict(self, state: State) -> None:
        self._sum_ES = np.array(state["sums"], dtype=np.float64)
        self._num_rows, self.leader = int(state["rows"]), int(state["leader"])


def standard_errors_to_lead(experts: Sequence[Expert], *, late: bool) -> list[float]:
    """How far ahead each has to be. Where labels are late, the errors of a mixture that was led astray go on until its labels
    arrive: a trivial expert, which fits nothing and so is not led astray, need not be ahead by more than chance."""
    if late:
        return [0.0 if expert.is_trivial else MANY for expert in experts]
    return [_to_lead(expert) for expert in experts]


def _to_lead(expert: Expert) -> float:
    if isinstance(expert, MarkovLabel):
        return NONE
    return FEW if expert.is_trivial else SOME if expert.is_simple else MANY


@compiled
def _learn(gain_E: Floats, weight: float, kept: float, standard_errors_E: Floats, num_rows: int, sum_ES: Floats) -> int:
    leader, furthest = NOBODY, -np.inf
    for e in range(len(gain_E)):
        gain = weight * gain_E[e]
        sum_ES[e] *= kept
        sum_ES[e, GAIN] += gain
        sum_ES[e, SQUARES] += gain * gain
        sum_ES[e, ROWS] += 0.0 if gain == 0.0 else 1.0
        if sum_ES[e, GAIN] > 0.0 and sum_ES[e, SQUARES] > 0.0:
            rows = QUARTER_ROW if standard_errors_E[e] == NONE else 1.0
            ahead = sum_ES[e, GAIN] / np.sqrt(sum_ES[e, SQUARES]) - rows / np.sqrt(sum_ES[e, ROWS])
            if ahead > max(0.0, standard_errors_E[e]) and ahead > furthest:
                leader, furthest = e, ahead
        elif leader == NOBODY and standard_errors_E[e] == NONE and sum_ES[e, ROWS] == 0.0 and num_rows >= LEVEL_ROWS:
            leader = e
    return leader


@compiled
def errors_saved(p_EK: Floats, mixed_K: Floats, target: int) -> Floats:
    """(E,) 1 where the mixture is wrong about the class and the expert is not, -1 where it is the other way, else 0.

    Both answer the likeliest class but the spare, which is the last; an expert that holds nothing for possible is wrong.
    """
    num_known = len(mixed_K) - 1
    saved_E = np.zeros(len(p_EK))
    if num_known:
        right = mixed_K[:num_known].argmax() == target
        for e in range(len(p_EK)):
            alone = target < num_known and p_EK[e, target] > 0.0
            for k in range(num_known):
                alone &= p_EK[e, k] < p_EK[e, target] or (p_EK[e, k] == p_EK[e, target] and k >= target)
            saved_E[e] = 0.0 if alone == right else 1.0 if alone else -1.0
    return saved_E


@compiled
def follow(p_K: Floats, mixed_K: Floats) -> Floats:
    """(K,) the mixed distribution in which an expert's likeliest class and its own, where they differ, have changed places."""
    num_known = len(mixed_K) - 1
    answer_K = mixed_K.copy()
    if num_known:
        own, led = mixed_K[:num_known].argmax(), p_K[:num_known].argmax()
        answer_K[own], answer_K[led] = mixed_K[led], mixed_K[own]
    return answer_K

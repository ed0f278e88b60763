"""Scores become probabilities by a softmax whose temperature is learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daemon.compiled import compiled
from daemon.state import State

Floats = NDArray[np.float64]


class TemperedSoftmax:
    """p_k ∝ f_k · exp(τ · s_k), τ learned by log loss.

    f_k is 1; with `discounts_new`, for a class never learned (the spare) it is the part of rows whose label was new.

    >>> softmax = TemperedSoftmax(temperature=1.0, rate=0.1, discounts_new=False)
    >>> softmax.grow()
    >>> softmax.predict(np.log([1.0, 1.0])).tolist()      # two classes, of which none was learned
    [0.5, 0.5]
    """

    def __init__(self, *, temperature: float, rate: float, discounts_new: bool) -> None:
        """`temperature` is τ at the start, `rate` that of AdaGrad on ln τ."""
        self._rate = rate
        self._discounts_new = discounts_new
        self._count_K = np.zeros(1)
        self._log_temperature_S = np.array([np.log(temperature), 0.01])  # ln τ, and Σg² of its steps
        self._score_K = np.zeros(1)
        self._p_K = np.ones(1)

    def predict(self, score_K: Floats) -> Floats:
        """(K,) probabilities; kept for the `learn` that follows."""
        self._score_K = score_K
        self._p_K = _softmax(score_K, self._count_K, self._log_temperature_S[0], self._discounts_new)
        return self._p_K

    def of(self, score_K: Floats) -> Floats:
        """(K,) probabilities of other scores under the same temperature; nothing is kept."""
        return _softmax(score_K, self._count_K, self._log_temperature_S[0], False)

    def learn(self, target: int, weight: float) -> None:
        """Learn from the class of the row predicted last."""
        _learn_temperature(self._score_K, self._p_K, target, weight * self._rate, self._log_temperature_S)
        self._count_K[target] += 1.0

    def grow(self) -> None:
        """One more class, which takes half of the spare's part of the row predicted last."""
        self._count_K = np.append(self._count_K, 0.0)
        self._score_K = np.append(self._score_K, self._score_K[-1])
        self._p_K = np.append(self._p_K, self._p_K[-1]) / (1.0 + self._p_K[-1])

    def state_dict(self) -> State:
        return {"counts": self._count_K.copy(), "log_temperature": self._log_temperature_S.copy()}

    def load_state_dict(self, state: State) -> None:
        self._count_K = np.array(state["counts"], dtype=np.float64)
        self._log_temperature_S = np.array(state["log_temperature"], dtype=np.float64)


@compiled
def _softmax(score_K: Floats, count_K: Floats, log_temperature: float, discounts_new: bool) -> Floats:
    num_known = len(score_K)
    temperature = np.exp(log_temperature)
    novel = (num_known - 0.5) / (count_K.sum() + num_known)
    top = score_K.max()
    p_K = np.zeros(num_known)
    for k in range(num_known):
        factor = novel if discounts_new and count_K[k] == 0.0 else 1.0
        p_K[k] = max(factor * np.exp(temperature * (score_K[k] - top)), 1e-12)
    p_K /= p_K.sum()
    return p_K


@compiled
def _learn_temperature(score_K: Floats, p_K: Floats, target: int, rate: float, log_temperature_S: Floats) -> None:
    """One AdaGrad step on ln τ."""
    expected = 0.0
    for k in range(len(score_K)):
        expected += p_K[k] * score_K[k]
    gradient = np.exp(log_temperature_S[0]) * (expected - score_K[target])
    gradient = min(1.0, max(-1.0, gradient))
    log_temperature_S[1] += gradient * gradient
    log_temperature_S[0] -= rate * gradient / np.sqrt(log_temperature_S[1])
    log_temperature_S[0] = min(4.0, max(-1.0, log_temperature_S[0]))

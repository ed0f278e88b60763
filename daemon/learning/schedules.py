"""Learning rates over the slow steps: multipliers as pure functions, and the schedule that a model carries.

Default after Cazzonelli (CoLLAs 2024): a short warm-up, then a constant rate, re-warmed on drift;
weights are never reset.
"""

from __future__ import annotations

import math
from typing import Literal

from daemon.errors import StateError
from daemon.state import State


def constant(step: int) -> float:
    """Multiplier on the base learning rate, the same at every step.

    >>> [constant(s) for s in (0, 1000)]
    [1.0, 1.0]
    """
    return 1.0


def linear_warmup(step: int, *, num_warmup_steps: int) -> float:
    """Multiplier on the base learning rate; step counts from 0.

    >>> [linear_warmup(s, num_warmup_steps=4) for s in (0, 3, 9)]
    [0.25, 1.0, 1.0]

    After Goyal et al. 2017, section 2.2, starting near zero.
    """
    return min(1.0, (step + 1) / num_warmup_steps) if num_warmup_steps else 1.0


def cosine(step: int, *, num_steps: int, floor: float) -> float:
    """Multiplier that falls from 1 at step 0 along half a cosine to `floor` at `num_steps`, and stays there.

    >>> [round(cosine(s, num_steps=4, floor=0.1), 4) for s in range(6)]
    [1.0, 0.8682, 0.55, 0.2318, 0.1, 0.1]

    After Loshchilov & Hutter 2017 (SGDR), equation 5. A stream has no end, so the floor should not be 0.
    """
    share = min(1.0, step / num_steps)
    return floor + (1.0 - floor) * (1.0 + math.cos(math.pi * share)) / 2.0


class Schedule:
    """Warm-up, then a constant rate or a cosine down to a floor; re-warming starts the whole course again.

    `learning_rate` is the base rate. `num_decay_steps` and `floor` (a share of the base rate) count for "cosine" alone.

    >>> schedule = Schedule(learning_rate=1.0, num_warmup_steps=2)
    >>> [schedule.rate(step) for step in range(3)]
    [0.5, 1.0, 1.0]
    >>> for _ in range(3):
    ...     schedule.advance()
    >>> schedule.rewarm()
    >>> [schedule.rate(step) for step in range(3, 6)]
    [0.5, 1.0, 1.0]
    """

    def __init__(
        self,
        *,
        learning_rate: float,
        num_warmup_steps: int = 0,
        decay: Literal["constant", "cosine"] = "constant",
        num_decay_steps: int = 1,
        floor: float = 0.1,
    ) -> None:
        if num_warmup_steps < 0 or num_decay_steps < 1 or not 0.0 <= floor <= 1.0:
            raise ValueError(f"{num_warmup_steps=} must be >= 0, {num_decay_steps=} >= 1, {floor=} between 0 and 1")
        self._num_warmup_steps = num_warmup_steps
        self._decay = decay
        self._num_decay_steps = num_decay_steps
        self._floor = floor
        self.step = 0
        self.rewarmed_at = 0
        self.set_rate(learning_rate)

    def set_rate(self, learning_rate: float) -> None:
        """Take a new base rate from the next step on. Raises `ValueError` unless it is positive and finite."""
        if not 0.0 < learning_rate < math.inf:
            raise ValueError(f"learning_rate is {learning_rate}; it must be positive and finite")
        self.learning_rate = learning_rate

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0 since the start; steps before the last re-warm are past."""
        since = step - self.rewarmed_at
        warm = linear_warmup(since, num_warmup_steps=self._num_warmup_steps)
        if self._decay == "constant":
            return self.learning_rate * warm * constant(since)
        num_decayed = max(0, since - self._num_warmup_steps)
        return self.learning_rate * warm * cosine(num_decayed, num_steps=self._num_decay_steps, floor=self._floor)

    def advance(self) -> None:
        """One more step was taken."""
        self.step += 1

    def rewarm(self) -> None:
        """Start again with the next step."""
        self.rewarmed_at = self.step

    def state_dict(self) -> State:
        return {"learning_rate": self.learning_rate, "step": self.step, "rewarmed_at": self.rewarmed_at}

    def load_state_dict(self, state: State) -> None:
        try:
            self.set_rate(state["learning_rate"])
            self.step, self.rewarmed_at = state["step"], state["rewarmed_at"]
        except (KeyError, ValueError) as error:
            raise StateError(
                f"the schedule's saved state {state!r} does not fit: {error}; use the checkpoint before it"
            ) from error

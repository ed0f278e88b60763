"""What a target is guessed from before anything is fitted: the target before, the mean, the target of the same key."""

from __future__ import annotations

from daemon.state import State

# A scale follows the size of the errors over so many rows, and an error counts for at most so many scales.
SCALE_ROWS = 100
SCALE_LIMIT = 3.0
# The first errors beyond the limit are wild; from this many on, one after the other, the limit doubles with each.
WILD_ROWS = 4
MOST_DOUBLINGS = 1000
# A difference of so much of a target is none: the mean of equal targets is off by a few units in their last place.
ROUNDING = 1e-13


class Reference:
    """A guess at the next target, `value`, and the mean size of its errors lately, `scale`, 0 before the first error.

    Targets that are all the same tell of no scale: they do not count towards it, so that the first error sets it.
    Experts learn what the guess leaves over, in units of the scale. A single wild error moves the scale little.

    >>> reference = Reference()
    >>> for target in (2.0, 4.0, 100.0):      # errors of 2, 4 and 100, the last drawn in to three scales, which are 3
    ...     reference.learn(target)
    >>> reference.scale
    5.0
    """

    def __init__(self) -> None:
        self.value = 0.0
        self.scale = 0.0
        self._num_rows = 0
        self._num_clipped = 0  # of the last errors, one after the other

    def learn(self, target: float) -> None:
        """Take in how far the value was off."""
        error = abs(target - self.value)
        if self.scale == 0.0 and error <= ROUNDING * abs(target):
            return
        if self.scale > 0.0:
            doublings = min(MOST_DOUBLINGS, max(0, self._num_clipped + 1 - WILD_ROWS))
            limit = SCALE_LIMIT * self.scale * 2.0**doublings
            self._num_clipped = self._num_clipped + 1 if error > limit else 0
            error = min(error, limit)
        self._num_rows = min(self._num_rows + 1, SCALE_ROWS)
        self.scale += (error - self.scale) / self._num_rows

    def state_dict(self) -> State:
        """Without the value, which belongs to the row in hand."""
        return {"scale": self.scale, "num_rows": self._num_rows, "num_clipped": self._num_clipped}

    def load_state_dict(self, state: State) -> None:
        self.scale, self._num_rows = float(state["scale"]), int(state["num_rows"])
        self._num_clipped = int(state["num_clipped"])

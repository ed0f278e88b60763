"""A generalised likelihood-ratio test of "one rate" against "one rate, then another", at every row and for every split."""

from __future__ import annotations

import math
from itertools import islice
from typing import Final

from daemon.monitoring.drift.base import Detector, checked_share
from daemon.monitoring.saved import take
from daemon.state import State

# A hull has about 2 ln(rows) corners; only a stream that bends all the way could reach this, and would raise alarms first.
MAX_SPLITS: Final = 200

# Rows of a Bernoulli draw's own spread that the spread of the first few values is weighed against.
PRIOR_ROWS: Final = 30

# A fall is no emergency, and most rows are no errors: looking for one now and then keeps the mean cost low.
FALL_EVERY_ROWS: Final = 16


class LikelihoodRatio(Detector):
    """Alarm where some split of the rows since the last alarm is far likelier than no split.

    A split into n rows before and m after has the evidence (in nats)

        ln likelihood with a rate each - ln likelihood with one rate + ln(n m / (n + m)),

    and more than `threshold` is an alarm. The last term makes short bursts, of which a stable stream has so many more than
    of long rises, pay for their number; without it, they alone would decide how strict the test must be.

    Values are errors as a share, in [0, 1]. 0 and 1 are Bernoulli draws; for shares between them, which vary less, the same
    likelihood is divided by their dispersion, their variance over that of a Bernoulli draw of their mean. Neither the rate
    before a change nor that after it need be known. Splits are tried at the corners of the convex hull of the running sum
    alone: the likeliest lies on the lower hull for a rise, on the upper one for a fall. After an alarm in either direction
    the history starts anew.

    >>> detector = LikelihoodRatio(threshold=15.0)
    >>> alarms = []
    >>> for row in range(2000):
    ...     detector.update(row % 10 == 0 if row < 1000 else row % 2 == 0)
    ...     if detector.drift_detected:
    ...         alarms.append((row, detector.worse))
    >>> alarms
    [(1022, True)]

    The test: Lorden 1971; Besson, Kaufmann, Maillard and Seznec 2022, "Efficient change-point detection for tackling
    piecewise-stationary bandits". The hull: Romano, Eckley, Fearnhead and Rigaill 2023, "Fast online changepoint detection
    via functional pruning CUSUM statistics"; Ward, Dilillo, Eckley and Fearnhead 2024 for the exponential family. The price
    of short stretches: Chan and Walther 2013, "Detection with the scan and the average likelihood ratio". The dispersion:
    Wedderburn 1974, "Quasi-likelihood functions".
    """

    def __init__(self, *, threshold: float) -> None:
        if not threshold > 0:
            raise ValueError(f"threshold is {threshold}; it must be above 0")
        self._threshold = threshold
        self._restart()
        self.drift_detected = False
        self.worse = False

    def _restart(self) -> None:
        self._num_rows = 0
        self._sum = 0.0
        self._squares = 0.0
        # Corners (rows, sum, log likelihood of those rows under their own rate), the start first and the newest row last.
        self._lower = [(0, 0.0, 0.0)]
        self._upper = [(0, 0.0, 0.0)]

    def update(self, x: float) -> None:
        x = checked_share(x)
        if self.drift_detected:
            self._restart()
        self._num_rows += 1
        self._sum += x
        self._squares += x * x
        # Without a value above the mean the evidence for a rise can only shrink.
        rise = x * self._num_rows > self._sum and self._is_split(self._lower)
        fall = not rise and self._num_rows % FALL_EVERY_ROWS == 0 and self._is_split(self._upper)
        corner = (self._num_rows, self._sum, _log_likelihood(self._sum, self._num_rows))
        _extend(self._lower, corner, sign=1.0)
        _extend(self._upper, corner, sign=-1.0)
        self.drift_detected = rise or fall
        if self.drift_detected:
            self.worse = rise

    def _is_split(self, hull: list[tuple[int, float, float]]) -> bool:
        """Whether rows up to one of the corners and rows after it have rates of their own."""
        num_rows, total, dispersion = self._num_rows, self._sum, self._dispersion()
        needed = dispersion * (self._threshold + math.log(num_rows)) + _log_likelihood(total, num_rows)
        for n, part, before in islice(hull, 1, None):
            num_after = num_rows - n
            size = dispersion * math.log(n * num_after)
            if before + _log_likelihood(total - part, num_after) + size > needed:
                return True
        return False

    def _dispersion(self) -> float:
        """1 for values of 0 and 1, less for values between them."""
        mean = self._sum / self._num_rows
        bernoulli = mean * (1 - mean)
        if bernoulli <= 0.0:
            return 1.0
        variance = max(0.0, self._squares / self._num_rows - mean * mean)
        return (variance / bernoulli * self._num_rows + PRIOR_ROWS) / (self._num_rows + PRIOR_ROWS)

    def state_dict(self) -> State:
        return {
            "rows": self._num_rows,
            "sum": self._sum,
            "squares": self._squares,
            "lower": [list(corner) for corner in self._lower],
            "upper": [list(corner) for corner in self._upper],
            "drift_detected": self.drift_detected,
            "worse": self.worse,
        }

    def load_state_dict(self, state: State) -> None:
        owner = "likelihood ratio"
        self._num_rows = take(state, "rows", owner=owner)
        self._sum = take(state, "sum", owner=owner)
        self._squares = take(state, "squares", owner=owner)
        self._lower = [(n, part, before) for n, part, before in take(state, "lower", owner=owner)]
        self._upper = [(n, part, before) for n, part, before in take(state, "upper", owner=owner)]
        self.drift_detected = take(state, "drift_detected", owner=owner)
        self.worse = take(state, "worse", owner=owner)


def _log_likelihood(total: float, num_rows: int) -> float:
    """Of `num_rows` Bernoulli rows that sum to `total`, under their own mean.

    >>> round(_log_likelihood(1.0, 2), 4), _log_likelihood(2.0, 2)
    (-1.3863, 0.0)
    """
    rest = num_rows - total
    if total <= 0.0 or rest <= 0.0:
        return 0.0
    return total * math.log(total / num_rows) + rest * math.log(rest / num_rows)


def _extend(hull: list[tuple[int, float, float]], corner: tuple[int, float, float], *, sign: float) -> None:
    """Append the newest point to the lower hull (sign 1) or the upper one (sign -1); drop corners that it hides."""
    n, total, _ = corner
    while len(hull) > 1:
        (n0, s0, _), (n1, s1, _) = hull[-2], hull[-1]
        if sign * ((s1 - s0) * (n - n1) - (total - s1) * (n1 - n0)) < 0.0:
            break
        hull.pop()
    if len(hull) == MAX_SPLITS:
        del hull[1]
    hull.append(corner)
